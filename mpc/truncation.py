"""Truncation: divide a secret by a public number, as after every fixed-point product.

Both protocols give ``floor(x / d)``, plus 1 with the probability of the part cut off,
and so round without bias. The rounding depends on the cut-off digits and on numbers
that a worker knows: a worker who is later told the exact result learns one inequality
about the cut-off digits.
"""

import numpy as np

from mpc.beaver import as_share, masked, refresh, share_offline
from mpc.ledger import check, step
from mpc.masks import spoilt
from mpc.ring import Z2k
from mpc.share import Share, shown


def truncate(x: Share, d: int) -> Share:
    """Shares of ``x / d`` by `truncate_locally` or `truncate_with_provider`.

    The World decides which; d is an integer of at least 1.
    """
    check("truncate", (x,), Z2k)
    local = x.world.truncation == "local"
    if _divisor(x, d, local) == 1:
        return x
    return truncate_locally(refresh(x), d) if local else truncate_with_provider(x, d)


def _divisor(x, d, local=False):
    """d as an int; raises unless a truncation of x can take it."""
    most = x.ring.modulus // 2 - 1 if local else x.ring.modulus // 4
    if not isinstance(d, (int, float, np.integer)) or d != d // 1 or not 1 <= d <= most:
        raise ValueError(f"truncate: divisor {shown(d)} is out of range for {x.ring}; "
                         f"take an integer from 1 to {most}")
    return int(d)


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
    ring, j, d = x.ring, x.world.party_index(x.rows), _divisor(x, d, local=True)
    sign = ring.reduce(1 - 2 * j)
    return x._with(ring.mul(sign, ring.mul(sign, x.rows) // d), spoilt(x.masks))


@step(over=Z2k, rounds=1, online="(k - 1)*k*w*n", offline="2*w*n",
      source="Dalskov, Escudero and Keller, eprint 2019/131, for any divisor")
def truncate_with_provider(x: Share, d: int) -> Share:
    """Divide the opened epsilon in public, and add a dealt quotient of the mask.

    off, a multiple of d, moves x to 0 <= x + off < 2^(l-1). Over the integers,
    c = epsilon + off mod 2^l and the mask sum to x + off, or to 2^l more. They do
    that (wrap = 1) if c's top bit e is 1, and otherwise if a's top bit t is, since the
    top bit of x + off is 0: wrap = e + (1 - e) t. The result is opened, as it is

        x / d  =  (c - 2^l wrap) div d  +  a / d rounded up  -  off / d
               =  c div d  -  fall wrap  +  q  -  off / d

    where fall is the difference of the quotients of c and c - 2^l, and the provider
    deals t and q.

    No x in -off .. 2^(l-1) - off - 1 ever fails. The probability of rounding up is
    within d / 2^l of the part cut off, and equal to it if d is a power of two.
    """
    ring, d, (secret,) = x.ring, _divisor(x, d), masked(epsilon=x)
    top, off = ring.bits - 1, d * (ring.modulus // 4 // d)
    a = ring.value(secret.terms[0].value)
    t, q = a >> top, a // d + (a % d > 0)
    t_share, q_share = share_offline(x.world, t=(t, ring), q=(q, ring))
    c = ring.value(ring.add(secret.constant, off))
    whole, left = divmod(ring.modulus, d)
    fall = (whole + 1) % 2**64 - (c % d + (d - left)) // d
    e = c >> top
    constant = ring.reduce(c // d - e * fall - off // d)
    return as_share(constant, (ring.reduce((e - 1) * fall), t_share, t),
                    (None, q_share, q), like=x)
