"""Truncation: divide a secret by a public number, as after every fixed-point product.

Both protocols give ``floor(x / d)``, plus 1 with the probability of the part cut off,
and so round without bias. The rounding depends on the cut-off digits and on numbers
that a worker knows: a worker who is later told the exact result learns one inequality
about the cut-off digits.
"""

import numpy as np

from mpc.beaver import deal, refresh, share_offline
from mpc.ledger import check, step
from mpc.masks import spoilt
from mpc.ring import Z2k
from mpc.share import Share, shown


def truncate(x: Share, d: int) -> Share:
    """Shares of ``x / d`` by `truncate_locally` or `truncate_with_provider`.

    The World decides which; d is an integer of at least 1.
    """
    check("truncate", (x,), Z2k)
    ring, local = x.ring, x.world.truncation == "local"
    most = ring.modulus // 2 - 1 if local else ring.modulus // 4
    if not isinstance(d, (int, float, np.integer)) or d != d // 1 or not 1 <= d <= most:
        raise ValueError(f"truncate: divisor {shown(d)} is out of range for {ring}; "
                         f"take an integer from 1 to {most}")
    if d == 1:
        return x
    if local:
        return truncate_locally(refresh(x), int(d))
    return truncate_with_provider(x, int(d))


@step(over=Z2k, workers=2, secure="semi-honest; no message",
      source="Mohassel and Zhang, S&P 2017, theorem 1, for any divisor")
def truncate_locally(x: Share, d: int) -> Share:
    """Worker 0 computes ``floor(x_0 / d)`` and worker 1 ``-floor(-x_1 / d)``.

    One rounds down and one up. If both rounded down, every result would be low by
    (d - 1) / d on average, and training would drag every weight down.

    A wrap-around error, by about 2^l / d, has probability |x| / 2^l for uniform shares
    of |x| <= 2^(l-2): half the theorem's bound. Other shares must be refreshed first:
    public factors can leave x = -1 as (-1, 0), where the error is certain.
    """
    ring, j = x.ring, x.world.party_index(x.rows)
    sign = ring.reduce(1 - 2 * j)
    return x._with(ring.mul(sign, ring.mul(sign, x.rows) // d), spoilt(x.masks))


@step(over=Z2k, rounds=1, online="(k - 1)*k*w*n", offline="2*w*n",
      source="Dalskov, Escudero and Keller, eprint 2019/131, for any divisor")
def truncate_with_provider(x: Share, d: int) -> Share:
    """Open x + r under a mask r, divide it in public, and subtract a dealt r / d.

    x is first moved up by `off`, a multiple of d, so that its top bit is 0. Then the
    top bits of r and of the opened number tell whether the sum wrapped around, and no x
    in -off .. 2^(l-1) - off - 1 ever fails. The probability of rounding up is within
    d / 2^l of the part cut off, and equal to it if d is a power of two.
    """
    ring = x.ring
    top, off = ring.bits - 1, d * (ring.modulus // 4 // d)
    r, r_value = deal(x.world, ring, x.shape, "r")
    r_top, r_over_d = share_offline(x.world, r_top=(r_value >> top, ring),
                                    r_over_d=(r_value // d, ring))
    c, = x.world.open(c=(x + r).plus(off))
    wrapped = r_top.times((c >> top) ^ 1)                       # x + off + r >= 2^l
    whole, left = divmod(ring.modulus, d)
    carried = ring.reduce((c % d + left) // d + whole % 2**64)  # 2^l more, over d
    quotient = wrapped.times(carried) - r_over_d
    return x._with(quotient.plus(c // d).plus(-(off // d)).rows, spoilt(x.masks))
