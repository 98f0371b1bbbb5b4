"""Truncation: divide a secret by a public number, as after every product of fixed-point numbers."""

import numpy as np

from mpc.beaver import refresh
from mpc.ledger import must_be_secret, step
from mpc.masks import spoilt
from mpc.ring import Z2k
from mpc.share import shown


def truncate(x, d):
    """Shares of ``x / d``, by `truncate_locally` or `truncate_with_provider` as the World says.

    Raises
    ------
    ValueError
        For a share over a ring without signs, and for a divisor out of range.
    """
    must_be_secret(x, "truncate")
    ring = x.ring
    if not isinstance(ring, Z2k):
        raise ValueError(f"truncate: a share over {ring} has no sign; truncate over Z_2^l")
    most = ring.modulus // 2 - 1 if x.world.truncation == "local" else ring.modulus // 4
    if not isinstance(d, (int, float, np.integer)) or d != d // 1 or not 1 <= d <= most:
        raise ValueError(f"truncate: divisor {shown(d)} is out of range for {ring}; take an "
                         f"integer from 1 to {most}")
    if d == 1:
        return x
    if x.world.truncation == "local":
        return truncate_locally(refresh(x), int(d))     # its law holds for uniform shares
    return truncate_with_provider(x, int(d))


@step
def truncate_locally(x, d):
    """The workers get shares of ``x / d``, rounded up or down at random and right on average.

    Worker 0 computes ``floor(x_0 / d)`` and worker 1 ``-floor(-x_1 / d)``: one rounds down and one
    up. With both rounding down, every result would be low by (d - 1) / d of a unit on average, and
    training would drag every weight down.

    Parameters
    ----------
    x : Share over Z_2^l of two workers
        Signed; as small as the failure below demands. Its shares must be uniform (`refresh`): the
        failure of others has another probability, and is certain for x = -1 as (-1, 0), which
        public factors can leave behind.
    d : int
        Any divisor, 1 <= d < 2^(l-1); no power of two is needed.

    Returns
    -------
    Share
        ``floor(x / d)``, plus 1 with the probability of the part cut off.

    Raises
    ------
    ValueError
        With another number of workers, since the signed rows of three or more add up to the secret
        plus a multiple of 2^l.

    Notes
    -----
    Rounds: 0
    Bytes: 0
    Security: no message. The rounding depends on the cut-off digits and on a worker's own row, so
        that a worker who is later told the exact result learns one inequality about those digits.
    Source: Mohassel and Zhang, S&P 2017, theorem 1, for any d. For |x| <= 2^(l-2) the result is off
        by about 2^l / d with probability |x| / 2^l exactly over uniform shares, half the theorem's
        bound.
    """
    if len(x.world.workers) != 2:
        raise ValueError(f"truncate: local truncation is wrong for {len(x.world.workers)} workers; "
                         "make the World with truncation='provider'")
    ring, j = x.ring, x.world.party_index(x.rows)
    sign = ring.reduce(np.uint64(1) - j - j)            # 1 for worker 0 and -1 for worker 1
    rows = ring.mul(sign, ring.mul(sign, x.rows) // np.uint64(d))
    return x._with(rows, spoilt(x.masks))


@step
def truncate_with_provider(x, d):
    """The workers get shares of ``x / d``, rounded up or down at random and right on average.

    Opened under a mask r, x can be divided in public; what is left is r's own quotient, which the
    provider knows, and whether x + r wrapped around, which r's top bit and the opened one tell,
    since x itself, moved up by a multiple of d, has none.

    Parameters
    ----------
    x : Share over Z_2^l
        Signed, -off <= x < 2^(l-1) - off with off = d floor(2^(l-2) / d). No value in this range
        ever fails.
    d : int
        Any divisor, 1 <= d <= 2^(l-2).

    Returns
    -------
    Share
        ``floor(x / d)``, plus 1 with the probability of the part cut off (within d / 2^l of it when
        d is no power of two).

    Notes
    -----
    Rounds: 1
    Bytes: (k - 1)*k*w*n online, 2*w*n offline
        for n elements of w bytes, k workers
    Security: what is opened is uniform; safe from any coalition that lacks one worker. The provider
        receives nothing. The rounding depends on the cut-off digits and on what was opened, so that
        whoever is later told the exact result learns one inequality about those digits.
    Source: Dalskov, Escudero and Keller (eprint 2019/131; the top bit), for divisors that are no
        power of two.
    """
    world, ring = x.world, x.ring
    l, off = ring.bits, d * (ring.modulus // 4 // d)
    d, top = np.uint64(d), np.uint64(l - 1)
    r, r_apart = world.deal(ring, x.shape, "r")
    r_clear = ring.sum(r_apart, axis=1)
    with world.ledger.offline():
        r_top, r_over_d = world.share(world.crypto_provider, r_top=(r_clear >> top, ring),
                                      r_over_d=(r_clear // d, ring))
    c, = world.open(c=(x + r).plus(_public(off, x)))
    wrapped = r_top.times((c >> top) ^ np.uint64(1))            # x' + r >= 2^l
    whole, left = divmod(ring.modulus, int(d))
    carried = ring.reduce(np.uint64(whole % 2**64) + (c % d + np.uint64(left)) // d)   # 2^l more
    quotient = (wrapped.times(carried) - r_over_d).plus(ring.sub(c // d, _public(off // int(d), x)))
    return x._with(quotient.rows, spoilt(x.masks))


def _public(number, like):
    """A public number as an operand of the share `like`: (1, ..., 1)."""
    return np.full((1,) * (like.ndim + 1), number, like.ring.dtype)
