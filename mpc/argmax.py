"""The maximum and its place, by comparisons on shares."""

import numpy as np

from mpc import carry_tree
from mpc.beaver import multiply
from mpc.comparison import drelu
from mpc.ledger import step
from mpc.share import concatenate, lead

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
    place = carry_tree.all_of(against_all)                                   # (m, n / 8)
    return carry_tree.to_ring(place, n, x.ring).T.reshape(*x.shape)


def _answers_of(m):
    """Where, among the answers of all pairs, those stand which tell whether candidate j wins:
    (m - 1, m), a column for each j."""
    left, right = np.triu_indices(m, 1)
    number = np.zeros((m, m), int)
    number[left, right] = np.arange(len(left))              # the earlier of two: does it win?
    number[right, left] = np.arange(len(left)) + len(left)  # the later: does the earlier lose?
    return number[~np.eye(m, dtype=bool)].reshape(m, m - 1).T


def place_of_max(x):
    """The one-hot place of the first maximum along the last axis.

    By `all_pairs`, for its few rounds, on the carry tree and for 2 to `FEW` candidates; by
    `tournament`, for its m - 1 comparisons, where they are more and on SecureNN. It costs what the
    one that it takes does; the number of candidates, which decides, is public.
    """
    return all_pairs(x) if _few(x) else tournament(x)[1]


def maximum(x):
    """The maximum along the last axis, at the scale of x: by `all_pairs` and one product of n m
    elements, or by a `tournament` without the one-hot rows; chosen as in `place_of_max`."""
    if _few(x):
        return multiply(all_pairs(x), x).sum(-1)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"max: shape {x.shape} has no candidates along its last axis; give one or "
                         "more")
    return _knocked_out(x.reshape(*x.shape, 1))[..., 0, 0]


def _few(x):
    return x.world.comparison == "carry-tree" and x.ndim > 0 and 1 < x.shape[-1] <= FEW
