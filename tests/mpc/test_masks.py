"""The mask ledger: a program that it accepts reveals nothing; those it stops would.

A program of linear operations is run twice: on shares, where the ledger judges it, and
on its elements as linear forms in the coins. Opened values reveal nothing if the forms
take every combination of values equally often, which can be counted in a small ring.
"""

from itertools import product

import numpy as np
import pytest
from helpers import everywhere, give

import mpc
from mpc import (
    MaskReused,
    World,
    beaver,
    carry_tree,
    comparison,
    run_threads,
    securenn,
)
from mpc.ring import Bits, Z2k, Z2kMinus1, Zm
from mpc.share import concatenate


def coin(world, shape=(3,), name="r", ring=None):
    return world.deal(ring or world.ring, shape, name)[0]


def secret(world, shape=(3,), ring=None):
    return give(world, np.zeros(shape), ring)


# ---- refused, with the reason and the remedy

ONES = np.ones((1, 3), np.uint64)
ALONE = {
    "a coin repeated by times": lambda w, s: s + coin(w, (1,)).times(ONES),
    "a coin repeated by plus": lambda w, s: s + coin(w, (1,)).plus(ONES),
    "a coin repeated by a public bit": lambda w, s: s + securenn.xor_public(
        coin(w, (1,)), ONES),
    "a coin repeated by a sum": lambda w, s: s + coin(w, (1,)),
    "a coin repeated by a difference": lambda w, s: s - coin(w, ()),
    "a coin repeated by another share": lambda w, s: coin(w, (1,)) + s,
    "a coin that cancelled": lambda w, s: (lambda r: (s + r) - (s + s + r))(coin(w)),
    "a coin that was taken away": lambda w, s: (lambda r: (s + r) - r)(coin(w)),
    "a coin added twice": lambda w, s: (lambda r: s + r + r)(coin(w)),
    "a value doubled under its coin": lambda w, s: (
        lambda r: (s + r) + (s + r))(coin(w)),
    "a coin times nothing": lambda w, s: s + coin(w).times(np.zeros((1, 3), np.uint64)),
    "a coin times 0": lambda w, s: s + coin(w).times(0),
    "a coin times 2": lambda w, s: s + coin(w).times(2),
    "a coin times an array": lambda w, s: s + coin(w).times(ONES),
    "a coin joined with itself": lambda w, s: (
        lambda r: concatenate([s + r, r]))(coin(w)),
    "a coin joined along a new axis": lambda w, s: (
        lambda r: concatenate([(s + r)[None], (s + s + r)[None]]))(coin(w)),
    "a cancelled coin beside another": lambda w, s: (
        lambda r, t: concatenate([s + r - r, s + t]))(coin(w), coin(w)),
    "a coin beside itself reversed": lambda w, s: (lambda r: s + r + r[::-1])(coin(w)),
    "a coin in three orders, whose factors would add up to 3": lambda w, s: (
        lambda r: r + r.transpose((1, 2, 0)) + r.transpose((2, 0, 1)))(
            coin(w, (2, 2, 2))),
    "a coin in three orders by index": lambda w, s: (
        lambda r: r[[0, 1, 2]] + r[[1, 2, 0]] + r[[2, 0, 1]])(coin(w)),
    "a coin in three orders before a turn that is the same": lambda w, s: (
        lambda r: r.reshape(8) + r.transpose((1, 2, 0)).reshape(8) + r.transpose(
            (2, 0, 1)).reshape(8))(coin(w, (2, 2, 2))),
    "three pairs of a coin's elements": lambda w, s: (
        lambda r: r[:2] + r[1:] + r[::-2])(coin(w)),
    "a coin in three places of joined shares": lambda w, s: (
        lambda r: concatenate([r, s, s]) + concatenate([s, r, s]) + concatenate(
            [s, s, r]))(coin(w)),
    "a coin's element taken twice": lambda w, s: s + coin(w)[[0, 0, 1]],
    "a coin, summed up": lambda w, s: s + coin(w).cumsum(0),
    "a coin and its transpose": lambda w, s: (lambda r: r + r.T)(coin(w, (3, 3))),
    "a repeated coin, transposed": lambda w, s: (secret(w, (3, 2)) + coin(w, (1, 2))).T,
    "a repeated coin, indexed": lambda w, s: (s + coin(w, (1,)))[1:],
    "a repeated coin, reshaped": lambda w, s: (s + coin(w, (1,))).reshape(3, 1),
    "a repeated coin, moved": lambda w, s: (
        secret(w, (3, 2)) + coin(w, (1, 2))).transpose((1, 0)),
    "a repeated coin, summed": lambda w, s: (
        secret(w, (3, 2)) + coin(w, (1, 2))).sum(1),
    "a sum of no coins": lambda w, s: s + coin(w)[:0].sum(),
    "a sum of no packed bits": lambda w, s: coin(w, (0, 3), ring=Bits()).sum(0),
    "a repeated coin, negated": lambda w, s: -(s + coin(w, (1,))),
    "a cancelled coin behind plus": lambda w, s: (
        lambda r: (s + r - r).plus(1))(coin(w)),
    "a cancelled coin, repeated": lambda w, s: (
        lambda r: secret(w, (2, 3)) + (r - r))(coin(w)),
    "a coin doubled in a ring of bytes": lambda w, s: (
        lambda r: r + r)(coin(w, ring=Zm(4))),
    "a coin added twice to packed bits": lambda w, s: (
        lambda r: r + r)(coin(w, ring=Bits())),
    "packed bits AND a number": lambda w, s: coin(w, ring=Bits()).times(255),
    "a coin times a secret": lambda w, s: mpc.multiply(s + coin(w), s),
    "a secret times a coin": lambda w, s: mpc.multiply(s, s + coin(w)),
    "a coin times itself": lambda w, s: (lambda r: mpc.multiply(r, r))(coin(w)),
    "a coin in a product of matrices": lambda w, s: mpc.matmul(
        coin(w, (1, 3)), s.reshape(3, 1)),
    "a coin in a bit that is brought into the ring": lambda w, s: (
        carry_tree.bit_to_arithmetic(coin(w, (1,), ring=Bits()), 3, w.ring)),
    "a coin, truncated": lambda w, s: mpc.truncate(s + coin(w), 10),
    "a coin, truncated, times a secret": lambda w, s: (
        lambda q: mpc.multiply(q, q))(mpc.truncate(s + coin(w), 10)),
}


@pytest.mark.parametrize("program", ALONE.values(), ids=ALONE)
def test_a_coin_that_does_not_hide_each_element_once_stops_the_opening(program):
    def run(world):
        shown = program(world, secret(world))
        before = len(world.ledger.messages)
        for show in (lambda: world.open(x=shown),
                     lambda: world.gather("server", x=shown)):
            with pytest.raises(MaskReused, match=r"the coin r of step .* element once"
                                                 r".* deal a fresh one of shape \("):
                show()
        assert len(world.ledger.messages) == before
        return {}

    everywhere(run)


TWICE = {
    "the same coin": lambda w, s, r: (s + r, s + s + r),
    "a coin and a part of it": lambda w, s, r: (s + r, r[:1]),
    "the newest of two coins": lambda w, s, r: (
        lambda q: (s + r + q, s + s + q))(coin(w)),
    "a coin beside another": lambda w, s, r: (concatenate([s + coin(w), s + r]), s + r),
    "the older coin of two that were joined": lambda w, s, r: (
        concatenate([s + r, s + coin(w)]), s + r),
    "one of a joined share, under an older one too": lambda w, s, r: (
        concatenate([s, s + coin(w)]) + concatenate([r, secret(w)]), s + r),
    "a coin, turned": lambda w, s, r: (s + r, (s + r).reshape(3, 1)),
    "both in one round": lambda w, s, r: ((s + r), (s - r)),
}


@pytest.mark.parametrize("program", TWICE.values(), ids=TWICE)
def test_a_coin_hides_one_value_only(program):
    world = World(seed=1)
    first, second = program(world, secret(world), coin(world))
    world.open(first=first)
    with pytest.raises(MaskReused, match="the coin .* has hidden a value already"):
        world.open(second=second)
    first, second = program(world, secret(world), coin(world))
    with pytest.raises(MaskReused):
        world.open(first=first, second=second)


# ---- allowed

ALLOWED = {
    "a value without a coin": lambda w, s, r: s,
    "a coin alone": lambda w, s, r: r,
    "a value under a coin": lambda w, s, r: s + r,
    "a value from a coin": lambda w, s, r: r - s,
    "doubled, under its coin": lambda w, s, r: s + s + r,
    "a coin times 3": lambda w, s, r: s + r.times(3),
    "a coin times 3 that was added": lambda w, s, r: s + r + r + r,
    "a coin of an odd ring, doubled": lambda w, s, r: (
        lambda q: q + q)(coin(w, ring=Z2kMinus1(64))),
    "a cancelled coin under a fresh one": lambda w, s, r: (s + r) - (s + r) + coin(w),
    "a cancelled coin under an older one": lambda w, s, r: (
        lambda q: s + r + q - q)(coin(w)),
    "a coin that cancelled and came back": lambda w, s, r: s + r - r + r,
    "a coin and one that cancelled": lambda w, s, r: s + r + (r - r),
    "a repeated coin under a fresh one": lambda w, s, r: s + coin(w, ()) + coin(w),
    "a coin joined with itself under a fresh one": lambda w, s, r: (
        concatenate([s + r, s + r]) + coin(w, (6,))),
    "broadcast and then masked": lambda w, s, r: (
        secret(w, (2, 3)) + r + coin(w, (2, 3))),
    "new axes of size 1": lambda w, s, r: secret(w, (1, 1, 3)) + r,
    "two that are joined": lambda w, s, r: concatenate([s + r, s + coin(w)]),
    "one that is joined alone": lambda w, s, r: concatenate([s + r]),
    "turned and cut": lambda w, s, r: (s + r).reshape(3, 1).T[..., 1:].plus(5),
    "a sum": lambda w, s, r: (s + r).sum(),
}


@pytest.mark.parametrize("program", ALLOWED.values(), ids=ALLOWED)
def test_a_share_hidden_by_a_coin_may_be_opened(program):
    world = World(seed=1)
    world.open(x=program(world, secret(world), coin(world)))


def test_a_protocol_spends_the_coins_that_it_deals():
    world = World(seed=1)
    x, y = secret(world, (2, 2)), secret(world, (2, 2))
    mpc.matmul(x, y)
    for opened in beaver.masked(epsilon=x, delta=y):
        a, = opened.terms
        with pytest.raises(MaskReused, match="has hidden a value already"):
            world.open(x=secret(world, (2, 2)) + a.share)


def test_the_ledger_keeps_nothing_of_coins_that_are_gone():
    def sizes():
        return {name: len(v) for name, v in vars(world).items()
                if hasattr(v, "__len__")}

    world = World(seed=1)
    before = sizes()
    comparison.relu(secret(world))
    assert sizes() == before and before["_drawn"] == 0


# ---- all protocols for one function accept the same operands

WAYS = {"SecureNN, local": {"comparison": "securenn", "truncation": "local"},
        "SecureNN, provider": {"comparison": "securenn", "truncation": "provider"},
        "carry tree": {"comparison": "carry-tree", "truncation": "local"},
        "carry tree, provider": {"comparison": "carry-tree", "truncation": "provider"},
        "three workers": {"n_workers": 3}}
STEPS = {
    "relu": lambda x, y: mpc.relu(x), "drelu": lambda x, y: mpc.drelu(y),
    "equal": mpc.equal, "multiply": mpc.multiply,
    "multiply by itself": lambda x, y: mpc.multiply(x, x),
    "truncate": lambda x, y: mpc.truncate(x, 10),
    "matmul": lambda x, y: mpc.matmul(x.reshape(1, 3), y.reshape(3, 1)),
    "select": lambda x, y: mpc.select_share(mpc.drelu(y), x, y),
    "tournament": lambda x, y: mpc.tournament(x),
    "refresh": lambda x, y: mpc.refresh(x),
    "maximum": lambda x, y: mpc.comparison.maximum(x),
}
MASKED = {"one coin in both": lambda s, r, o: (s + r, s - r),
          "a coin and its reverse": lambda s, r, o: (s + r, s + r[::-1]),
          "a repeated coin": lambda s, r, o: (s + o, s + o),
          "a spoilt coin": lambda s, r, o: (s + r.times(ONES), s + r)}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_protocol_accepts_operands_with_coins_in_them_and_spends_none(way, step):
    for masked in MASKED.values():
        world = World(seed=1, **way)
        s, r, repeated = secret(world), coin(world), coin(world, (1,), "o")
        x, y = masked(s, r, repeated)
        step(x, y)
        step(y, x)                          # again, with the same coins in other shares
        world.open(x=s + r)         # the program's own coins are still there


# ---- an accepted program reveals nothing

RING, SHAPE = Z2k(2), (2,)
COINS = 3                                   # of two elements each: 4^6 assignments


class Both:
    """A share, and its elements as linear forms (*shape, elements of coins)."""

    def __init__(self, share, forms):
        self.share, self.forms = share, forms


def random_program(rng, world):
    """Shares to be opened, each with its forms."""
    shape, pool = SHAPE, []
    eye = np.eye(COINS * 2, dtype=int).reshape(COINS, 2, -1)
    for forms in eye:
        r = coin(world, shape, ring=RING)
        pool.append(Both(secret(world, shape, RING) + r, forms))
    for _ in range(rng.integers(1, 7)):
        x, y = (pool[i] for i in rng.integers(0, len(pool), 2))
        pool.append(ONE_STEP[rng.integers(len(ONE_STEP))](rng, x, y))
    return [pool[i] for i in rng.integers(0, len(pool), rng.integers(1, 4))]


def _add(rng, x, y):
    sign = rng.choice([-1, 1])
    try:
        np.broadcast_shapes(x.share.shape, y.share.shape)
    except ValueError:
        return x
    dims = max(x.share.ndim, y.share.ndim)
    a, b = (v.forms.reshape((1,) * (dims - v.share.ndim) + v.forms.shape)
            for v in (x, y))
    return Both(x.share + y.share if sign == 1 else x.share - y.share, a + sign * b)


def _times(rng, x, y):
    n = int(rng.integers(-1, 4))
    if rng.integers(2):
        return Both(x.share.times(n), x.forms * n)
    values = rng.integers(0, 4, x.share.shape)
    known = values[None].astype(np.uint64)
    return Both(x.share.times(known), x.forms * values[..., None])


def _turn(rng, x, y):
    axes = (*range(x.share.ndim)[::-1], x.share.ndim)
    return Both(x.share.T, x.forms.transpose(axes))


def _cut(rng, x, y):
    keys = slice(None, None, -1), slice(0, 1), slice(1, None), None, ...
    key = keys[rng.integers(5)]
    key = ... if x.share.ndim == 0 and isinstance(key, slice) else key
    shape = *np.zeros(x.share.shape)[key].shape, x.forms.shape[-1]
    return Both(x.share[key], x.forms[key].reshape(shape))


def _take(rng, x, y):
    """Two rows, perhaps the same one twice."""
    if not x.share.ndim or not x.share.shape[0]:
        return x
    rows = rng.integers(0, x.share.shape[0], 2).tolist()
    return Both(x.share[rows], x.forms[rows])


def _sum(rng, x, y):
    axis = None if not x.share.ndim else int(rng.integers(x.share.ndim))
    return Both(x.share.sum(axis), x.forms if axis is None else x.forms.sum(axis))


def _join(rng, x, y):
    if not x.share.ndim or x.share.shape[1:] != y.share.shape[1:] or not y.share.ndim:
        return x
    return Both(concatenate([x.share, y.share]), np.concatenate([x.forms, y.forms]))


def _plus(rng, x, y):
    wide = np.ones((1, *rng.choice([(1,), (2,)]), *x.share.shape), np.uint64)
    forms = np.broadcast_to(x.forms, (*wide.shape[1:], x.forms.shape[-1]))
    return Both(x.share.plus(wide), forms)


ONE_STEP = [_add, _add, _add, _times, _turn, _cut, _take, _sum, _join, _plus]


def reveals_nothing(forms):
    """Do these linear forms (n, elements) take all 4^n values equally often?"""
    inputs = np.array(list(product(range(4), repeat=forms.shape[-1])), np.int8)
    number = (inputs @ forms.T.astype(int)) % 4 @ 4 ** np.arange(len(forms))
    found = np.bincount(number, minlength=4 ** len(forms))
    return (found == found[0]).all()


def test_no_accepted_program_reveals_anything():
    let_through = stopped = needless = 0
    for seed in range(1500):
        rng, world = np.random.default_rng(seed), World(seed=0, ring_bits=2)
        shown = [b for b in random_program(rng, world) if b.forms.size]
        forms = np.concatenate([np.zeros((0, COINS * 2), int), *(
            b.forms.reshape(-1, COINS * 2) for b in shown)])
        if len(forms) > 6:                  # more than there are elements of coins
            quiet = False
        else:
            quiet = reveals_nothing(forms)
        try:
            for b in shown:
                world.open(x=b.share)
        except MaskReused:
            stopped, needless = stopped + 1, needless + quiet
        else:
            assert quiet, f"seed {seed}"
            let_through += 1
    assert let_through > 300 and stopped > 300
    assert needless < 0.2 * let_through     # careful, and not a nuisance


def test_threads_and_replays_come_to_the_same_verdict_although_they_hold_less():
    def program(world):
        r, s = coin(world), secret(world)
        epsilon, = world.open(e=s + r)                  # known to the workers alone
        with pytest.raises(MaskReused):
            world.open(x=s + coin(world).times(epsilon))
        world.open(y=(s + r).times(epsilon) + coin(world))
        return {}

    everywhere(program)
    assert set(run_threads(program)) == {"server", "alice", "bob", "crypto_provider"}


def test_a_refused_opening_spends_no_mask():
    world = World(seed=1)
    (used, _), (fresh, _) = (world.deal(world.ring, (2,), name) for name in "ab")
    world.open(used=used)
    with pytest.raises(MaskReused):
        world.open(fresh=fresh, used=used)
    world.open(fresh=fresh)
