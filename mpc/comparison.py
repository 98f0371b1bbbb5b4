"""Signs, equality and maxima, by the World's comparison.

    securenn      two workers; the provider takes part and sees masked messages;
                  |x| < 2^(l-2); for a ReLU each worker sends 176 bytes online, and the
                  provider 88
    carry-tree    any number of workers; the provider only deals in advance; any x; for
                  a ReLU each of two workers sends 14 bytes, and the provider none
"""

import numpy as np

from mpc import carry_tree, securenn
from mpc.beaver import multiply
from mpc.ledger import check, step
from mpc.ring import Z2k, is_integer
from mpc.share import Share, concatenate, shown

AS_DRELU = "as drelu by the World's comparison"
FEW = 64    # up to so many candidates, all pairs are compared: 14 rounds instead of 54


def drelu(x: Share, divisor: int = 1) -> Share:
    """Shares of [x >= 0]: `securenn.drelu` or `carry_tree.drelu`.

    With a divisor, the answer is right for the product with ``truncate(x, divisor)``.
    """
    check("drelu", (x,))
    if not is_integer(divisor) or not 1 <= divisor <= max(x.ring.modulus // 4, 1):
        raise ValueError(f"drelu: divisor {shown(divisor)}; take that of a truncation")
    if x.world.comparison == "securenn":
        return securenn.drelu(x)
    divisor = int(divisor)
    return carry_tree.drelu(x, low=(divisor & -divisor).bit_length() - 1)


def at_least(x: Share, thresholds: np.ndarray) -> Share:
    """Shares of [x >= t] for each of the public integers, all at once: (m, *x.shape).

    `carry_tree.at_least`, or `securenn.drelu` of all differences.
    """
    check("at_least", (x,), Z2k)
    if x.world.comparison == "carry-tree":
        return carry_tree.at_least(x, thresholds)
    t = x.ring.neg(carry_tree.raw_thresholds(thresholds))
    return securenn.drelu(x[None].plus(t.reshape(1, -1, *(1,) * x.ndim)))


@step(over=Z2k, secure=AS_DRELU, source="SecureNN, algorithm 7",
      rounds={"securenn": "drelu + 1", "carry-tree": "drelu"},
      online={"securenn": "drelu + 4*w*n", "carry-tree": "drelu"},
      offline="drelu + w*n")
def relu(x: Share) -> Share:
    """Shares of max(x, 0), at the scale of x."""
    return multiply(drelu(x), x)


@step(shares=2, over=Z2k, secure=AS_DRELU, source="[x >= y] [y >= x], or `is_zero`",
      rounds={"securenn": "drelu + 1", "carry-tree": "is_zero"},
      online={"securenn": "2*drelu + 4*w*n", "carry-tree": "is_zero"},
      offline={"securenn": "2*drelu + w*n", "carry-tree": "is_zero"})
def equal(x: Share, y: Share) -> Share:
    """Shares of [x == y], 0 or 1 without a scale, for x and y of one scale.

    With SecureNN, x - y must be in its range. Comparing the square of the difference
    with zero would need one comparison less, and overflow.
    """
    if x.world.comparison == "carry-tree":
        return carry_tree.is_zero(x - y)
    difference = (x - y)[None]
    both = drelu(concatenate([difference, -difference]))
    return multiply(both[0], both[1])


# ---- the maximum and its place


@step(secure=AS_DRELU, source="a knock-out tree", rounds="(drelu + 1)*levels(m)",
      online={"securenn": "n*(m - 1)*(11*w + 5*l + 2*w*(m + 2))",
              "carry-tree": "(k - 1)*k*(n*(m - 1)*w*(m + 2) + (3*g - 2)*packed(n, m))"},
      offline={"securenn": "n*(m - 1)*(2*w + l + w*(m + 1))",
               "carry-tree": "n*(m - 1)*w*(m + 2) + (17*g - 1)*packed(n, m)"})
def tournament(x: Share) -> tuple[Share, Share]:
    """Of x (..., m): the maximum (...), and its one-hot place (..., m) without a scale.

    Neighbours play, left against right. One product of the comparison's bit replaces a
    loser's value and one-hot row by the winner's. On a tie the left one wins, so the
    first maximum is found, as by NumPy. Differences must be in the range of drelu. The
    MaxPool of SecureNN has m - 1 levels instead of log2 m.
    """
    one_hot = np.eye(_candidates(x, "tournament"), dtype=x.ring.dtype)[None]
    places = x.times(0)[..., None].plus(one_hot)
    players = concatenate([x[..., None], places], axis=-1)
    best = carry_tree.fold(players, x.ndim - 1, _winner)
    return best[..., 0], best[..., 1:]


def _winner(left, right):
    """Of two rows (..., c) the one whose first entry is larger, or the left one."""
    lead = left - right
    value = lead[..., :1] if lead.shape[-1] > 1 else lead   # opened once, if it is all
    return right + multiply(drelu(value), lead)


@step(rounds="2 + levels(g) + levels(m - 1)", source="CrypTen's pairwise maximum",
      online="(k - 1)*k*(w*n*m*(m - 1)//2"
             " + (3*(g - 1)*m*(m - 1)//2 + (2*m - 3)*m)*ceil(n/8))",
      offline="w*n*m + ((17*g - 1)*m*(m - 1)//2 + (m - 2)*m)*ceil(n/8)")
def all_pairs(x: Share) -> Share:
    """Of x (..., m): the one-hot place of the first maximum, without a scale.

    All m (m - 1) / 2 pairs are compared at once. A candidate's place is 1 if it wins
    against each of the others; the later of two equals loses. That is a quarter of the
    tournament's rounds and m / 2 times its comparisons: worth it where those are cheap
    and m is small. Differences must be below 2^(l-1).
    """
    flat = x.reshape(-1, _candidates(x, "all_pairs", 2)).T                  # (m, n)
    m, n = flat.shape
    left, right = np.triu_indices(m, 1)
    difference = flat._with(x.ring.sub(flat.rows[:, left], flat.rows[:, right]))
    loses = carry_tree.msb(difference)
    wins = concatenate([loses.plus(255), loses])        # of each left, each right one
    own = np.argsort([*left, *right], kind="stable").reshape(m, m - 1).T    # (m - 1, m)
    place = carry_tree.and_all(wins._with(wins.rows[:, own]))               # (m, n / 8)
    return carry_tree.bit_to_arithmetic(place, n, x.ring).T.reshape(*x.shape)


def argmax_one_hot(x: Share) -> Share:
    """The one-hot place of the first maximum along the last axis.

    By `all_pairs` for its few rounds, with the carry tree and for 2 to `FEW`
    candidates; by `tournament` for its m - 1 comparisons otherwise. The price is that
    of the one taken.
    """
    return all_pairs(x) if _few(x, "argmax") else tournament(x)[1]


def maximum(x: Share) -> Share:
    """The maximum along the last axis, at the scale of x.

    By `all_pairs` and one product, or by a tournament without the one-hot rows; chosen
    as in `argmax_one_hot`.
    """
    if _few(x, "max"):
        return multiply(all_pairs(x), x).sum(-1)
    return carry_tree.fold(x[..., None], x.ndim - 1, _winner)[..., 0]


def _few(x, name):
    return 1 < _candidates(x, name) <= FEW and x.world.comparison == "carry-tree"


def _candidates(x, name, least=1):
    """How many there are along the last axis; raises if they are too few."""
    if x.ndim == 0 or x.shape[-1] < least:
        raise ValueError(f"{name}: {x.shape} needs {least} or more on its last axis")
    return x.shape[-1]
