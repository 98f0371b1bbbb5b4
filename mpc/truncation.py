"""Truncation: divide a secret by a public number, as after every product of fixed-point numbers."""

import numpy as np

from mpc.ledger import step
from mpc.ring import Z2k


@step
def truncate(x, d):
    """The workers get shares of ``x / d``, rounded up or down at random and right on average.

    Worker 0 computes ``floor(x_0 / d)`` and worker 1 ``-floor(-x_1 / d)``: one rounds down and one
    up. With both rounding down, every result would be low by (d - 1) / d of a unit on average, and
    training would drag every weight down.

    Parameters
    ----------
    x : Share over Z_2^l of two workers
        Signed; as small as the failure below demands.
    d : int
        Any divisor, 1 <= d < 2^(l - 1); no power of two is needed.

    Returns
    -------
    Share
        ``floor(x / d)``, plus 1 with the probability of the part cut off.

    Raises
    ------
    ValueError
        With another number of workers, since the signed rows of three or more add up to the secret
        plus a multiple of 2^l; over another ring; and for a divisor out of range.

    Notes
    -----
    Rounds: 0
    Bytes: 0
    Security: no message. The rounding depends on the cut-off digits and on a worker's own row, so
        that a worker who is later told the exact result learns one inequality about those digits.
    Source: Mohassel and Zhang, S&P 2017, theorem 1, for any d. For |x| <= 2^(l-2) the result is off
        by about 2^l / d with probability |x| / 2^l exactly, half the theorem's bound.
    """
    ring = x.ring
    if len(x.world.workers) != 2:
        raise ValueError(f"truncate: local truncation is wrong for {len(x.world.workers)} workers; "
                         "make the World with two")
    if not isinstance(ring, Z2k):
        raise ValueError(f"truncate: a share over {ring} has no sign; truncate over Z_2^l")
    if d != int(d) or not 1 <= d < ring.modulus // 2:
        raise ValueError(f"truncate: divisor {d} is out of range for {ring}; take an integer from "
                         f"1 to {ring.modulus // 2 - 1}")
    if d == 1:
        return x
    first, d = x.world.j(x.rows) == 0, np.uint64(d)
    return x._with(np.where(first, x.rows // d, ring.neg(ring.neg(x.rows) // d)))
