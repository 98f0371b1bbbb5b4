"""Comparison, whichever way the World was made to do it.

    securenn      two workers; the provider takes part in every comparison and sees masked messages;
                  |x| < 2^(l-2); a ReLU takes 176 bytes from each worker and 88 from the provider
    carry-tree    any number of workers; the provider only deals ahead; any x; a ReLU takes 47 bytes
                  from each of two workers, and none from the provider
"""

import numpy as np

from mpc import carry_tree, securenn
from mpc.beaver import multiply
from mpc.ledger import must_be_secret, step
from mpc.share import concatenate, lead

DRELU = {"securenn": securenn.drelu, "carry-tree": carry_tree.drelu}


def drelu(x):
    """Shares of [x >= 0], by the World's comparison: `securenn.drelu` or `carry_tree.drelu`."""
    must_be_secret(x, "drelu")
    return DRELU[x.world.comparison](x)


@step
def relu(x):
    """The workers get shares of max(x, 0), and learn nothing.

    Parameters
    ----------
    x : Share over Z_2^l
        In the range of the World's comparison.

    Returns
    -------
    Share over Z_2^l
        Of the same shape and scale.

    Notes
    -----
    Rounds: drelu + multiply
    Bytes: drelu + multiply
        for as many elements
    Security: that of drelu and multiply.
    Source: SecureNN, algorithm 7: x times its sign.
    """
    return multiply(drelu(x), x)


@step
def equal(x, y):
    """The workers get shares of [x == y], and learn nothing.

    Parameters
    ----------
    x, y : Share over Z_2^l of one scale
        Shapes that broadcast; x - y in the range of the World's comparison.

    Returns
    -------
    Share over Z_2^l
        0 or 1, without a scale, of the broadcast shape.

    Notes
    -----
    Rounds: drelu + multiply with securenn; is_zero with carry-tree
    Bytes: 2*drelu + multiply with securenn; is_zero with carry-tree
        for as many elements, twice as many comparisons
    Security: that of drelu and multiply, or of the carry tree.
    Source: securenn: [x >= y] [y >= x]; comparing the square of the difference with zero, as others
        do, needs one comparison less and overflows. carry-tree: x - y is zero if and only if no bit
        of it, opened under the mask r, differs from r's.
    """
    must_be_secret(y, "equal")
    if x.world.comparison == "carry-tree":
        return carry_tree.is_zero(x - y)
    difference = (x - y)[None]
    both = drelu(concatenate([difference, -difference]))
    return multiply(both[0], both[1])


# ---- the maximum and its place

FEW = 64        # candidates of which all 2,016 pairs are compared at once: 14 rounds in place of 54


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
    Rounds: 9*levels(m) with securenn; (3 + levels(l - 1))*levels(m) with carry-tree
    Bytes: n*(m - 1)*(11*w + 5*l + 2*w*(m + 2)) with securenn;
        (k - 1)*k*(n*(m - 1)*w*(m + 3) + (3*l - 5)*packed(n, m)) with carry-tree online,
        n*(m - 1)*(2*w + l + w*(m + 1)) with securenn;
        n*(m - 1)*w*(m + 2) + (3*l - 4)*packed(n, m) with carry-tree offline
        for n maxima of m candidates of w bytes and l bits, k workers; levels(m) is log2 m, rounded
        up, and packed(n, m) the sum of ceil(n*p/8) over all levels, p being a level's pairs
    Security: that of drelu and multiply; the bit is opened once under one mask for value and row.
    Source: a knock-out tree of log2 m levels of comparisons, where SecureNN's MaxPool takes m - 1.
    """
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"tournament: shape {x.shape} has no candidates along its last axis")
    m = x.shape[-1]
    zero = x.times(0)
    eye = lead(np.eye(m, dtype=x.ring.dtype)[None], x.ndim + 2)
    rows = [zero.reshape(*x.shape, 1).plus(eye)]        # the one-hot row of every candidate
    field = concatenate([x.reshape(*x.shape, 1), *rows], axis=-1)        # (..., m, 1 + m)
    field = _knocked_out(field)
    return field[..., 0, 0], field[..., 0, 1:]


def _knocked_out(field):
    """Of rows (..., m, c) the one whose first entry is the largest, (..., 1, c)."""
    while field.shape[-2] > 1:
        pairs = field.shape[-2] // 2 * 2
        left, right = field[..., 0:pairs:2, :], field[..., 1:pairs:2, :]
        wins = drelu((left - right)[..., 0])
        winner = right + multiply(wins.reshape(*wins.shape, 1), left - right)
        field = concatenate([winner, field[..., pairs:, :]], axis=-2)
    return field


@step
def all_pairs(x):
    """The workers get shares of the one-hot place of the first maximum along the last axis.

    All m (m - 1) / 2 pairs are compared at once; a candidate's place is 1 if it wins against each
    of the others, the later of two equals being the loser. A quarter of the tournament's rounds
    and m / 2 times its comparisons: worth it where those are cheap and m is small.

    Parameters
    ----------
    x : Share over Z_2^l, (..., m)
        No difference |x_i - x_k| of 2^(l-1) or more.

    Returns
    -------
    Share (..., m)
        1 at the first maximum, 0 elsewhere; no scale.

    Raises
    ------
    ValueError
        When there are not two candidates along a last axis.

    Notes
    -----
    Rounds: 2 + levels(l - 1) + levels(m - 1)
    Bytes: (k - 1)*k*(w*n*q + (3*(l - 2)*q + (2*m - 3)*m)*ceil(n/8)) online,
        w*n*m + ((3*l - 4)*q + (m - 2)*m)*ceil(n/8) offline
        for n maxima of m candidates of w bytes and l bits in q = m (m - 1) / 2 pairs, k workers;
        levels(l) is log2 l, rounded up
    Security: that of the carry tree's steps; safe from any coalition that lacks one worker.
    Source: CrypTen's "pairwise" maximum, with the answers kept as packed bits until the end.
    """
    if x.ndim == 0 or x.shape[-1] < 2:
        raise ValueError(f"all_pairs: shape {x.shape} has no two candidates along its last axis; "
                         "take the tournament")
    flat = x.reshape(-1, x.shape[-1]).T                     # (m, n)
    m, n = flat.shape
    left, right = np.triu_indices(m, 1)
    loses = carry_tree.msb(flat._with(flat.rows[:, left]) - flat._with(flat.rows[:, right]))
    answers = concatenate([loses.plus(255), loses])         # (2 pairs, n / 8): left wins; loses
    against_all = answers._with(answers.rows[:, _answers_of(m)])             # (m - 1, m, n / 8)
    place = carry_tree.and_all(against_all)                                   # (m, n / 8)
    return carry_tree.bit_to_arithmetic(place, n, x.ring).T.reshape(*x.shape)


def _answers_of(m):
    """Where, among the answers of all pairs, those stand which tell whether candidate j wins:
    (m - 1, m), a column for each j."""
    left, right = np.triu_indices(m, 1)
    number = np.zeros((m, m), int)
    number[left, right] = np.arange(len(left))              # the earlier of two: does it win?
    number[right, left] = np.arange(len(left)) + len(left)  # the later: does the earlier lose?
    return number[~np.eye(m, dtype=bool)].reshape(m, m - 1).T


def argmax_one_hot(x):
    """The one-hot place of the first maximum along the last axis.

    By `all_pairs`, for its few rounds, on the carry tree and for 2 to `FEW` candidates; by
    `tournament`, for its m - 1 comparisons, where they are more and on SecureNN. It costs what the
    one that it takes does; the number of candidates, which decides, is public.
    """
    return all_pairs(x) if _few(x) else tournament(x)[1]


def maximum(x):
    """The maximum along the last axis, at the scale of x: by `all_pairs` and one product of n m
    elements, or by a `tournament` without the one-hot rows; chosen as in `argmax_one_hot`."""
    if _few(x):
        return multiply(all_pairs(x), x).sum(-1)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"max: shape {x.shape} has no candidates along its last axis; give one or "
                         "more")
    return _knocked_out(x.reshape(*x.shape, 1))[..., 0, 0]


def _few(x):
    return x.world.comparison == "carry-tree" and x.ndim > 0 and 1 < x.shape[-1] <= FEW
