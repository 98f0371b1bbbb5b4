"""Maximum, its place, and equality, by comparisons on shares."""

import numpy as np

from mpc.beaver import multiply
from mpc.ledger import step
from mpc.securenn import drelu
from mpc.share import concatenate, lead


@step
def tournament(x):
    """The workers get shares of the maximum along the last axis and of its one-hot place.

    Neighbours play, left against right; a loser's value and one-hot row are replaced by the
    winner's with one product of the comparison's bit. On a tie the left one wins, so that the first
    maximum is found, as NumPy finds it.

    Parameters
    ----------
    x : Share over Z_2^l, (..., m)
        Differences in the range of drelu: |x_i - x_k| < 2^(l-2).

    Returns
    -------
    maximum : Share (...)
        At the scale of x.
    place : Share (..., m)
        1 at the first maximum, 0 elsewhere; no scale.

    Raises
    ------
    ValueError
        When there is no last axis or nothing along it.

    Notes
    -----
    Rounds: 9*levels
    Bytes: n*(m - 1)*(11*w + 5*l + 2*w*(m + 2)) online, n*(m - 1)*(2*w + l + w*(m + 1)) offline
        for n maxima of m candidates of w bytes and l bits; levels is log2 m, rounded up
    Security: that of drelu and multiply; the bit is opened once under one mask for value and row.
    Source: a knock-out tree of log2 m levels of comparisons, where SecureNN's MaxPool takes m - 1.
    """
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"tournament: shape {x.shape} has no candidates along its last axis")
    m = x.shape[-1]
    zero = x.times(np.zeros((1,) * (x.ndim + 1), x.ring.dtype))
    eye = lead(np.eye(m, dtype=x.ring.dtype)[None], x.ndim + 2)
    rows = [zero.reshape(*x.shape, 1).plus(eye)]        # the one-hot row of every candidate
    field = concatenate([x.reshape(*x.shape, 1), *rows], axis=-1)        # (..., m, 1 + m)
    while field.shape[-2] > 1:
        pairs = field.shape[-2] // 2 * 2
        left, right = field[..., 0:pairs:2, :], field[..., 1:pairs:2, :]
        wins = drelu((left - right)[..., 0])
        winner = right + multiply(wins.reshape(*wins.shape, 1), left - right)
        field = concatenate([winner, field[..., pairs:, :]], axis=-2)
    return field[..., 0, 0], field[..., 0, 1:]


@step
def equal(x, y):
    """The workers get shares of [x == y], and learn nothing.

    Parameters
    ----------
    x, y : Share over Z_2^l of one scale
        Shapes that broadcast; |x - y| < 2^(l-2).

    Returns
    -------
    Share over Z_2^l
        0 or 1, without a scale, of the broadcast shape.

    Notes
    -----
    Rounds: 9
    Bytes: n*(26*w + 10*l) online, n*(5*w + 2*l) offline
        for n elements of w bytes and l bits
    Security: that of drelu and multiply.
    Source: [x >= y] [y >= x]. Comparing the square of the difference with zero, as others do, needs
        one comparison less and overflows.
    """
    difference = (x - y)[None]
    both = drelu(concatenate([difference, -difference]))
    return multiply(both[0], both[1])
