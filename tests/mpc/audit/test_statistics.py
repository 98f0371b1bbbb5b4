"""Joint statistics of views at full size (l = 64, p = 67): values, pairs and calls.

The exact tables need a tiny ring; these tests use the real one, with fixed seeds. Each
statistic is shown to reject a broken coin: marginals detect a half-range mask, and only
pairs detect a shared beta.

An opened value is rebuilt from the two shares that alice and bob send each other, in
the ring of the opening. One share alone is uniform even under a bad mask.
"""

from itertools import pairwise

import numpy as np
import pytest
from helpers import give
from scipy import stats

from mpc import beaver, carry_tree, drelu, world
from mpc.audit.views import Watched
from mpc.ring import Z2k, Z2kMinus1
from mpc.truncation import truncate_with_provider

pytestmark = pytest.mark.view
N, CALLS, FAIL = 4000, 3, 1e-6


def views(values, coins=None):
    """P2's conclusions and messages in each of several calls of drelu on `values`."""
    world = Watched(seed=11, coins=coins)
    x = give(world, np.asarray(values).astype(np.uint64))
    for _ in range(CALLS):
        drelu(x)
    d = world.saw("crypto_provider", "d")
    # two workers' messages for each of two comparisons in a call
    sums = [(d[i].astype(int) + d[i + 1]) % 67 for i in range(0, len(d), 2)]
    return {"zeros": [s == 0 for s in sums], "values": sums,
            "a_tilde": world.saw("crypto_provider", "a_tilde")}


SMALL = np.arange(N) % 7 + 1        # positive and tiny, as real data in a 64-bit ring


@pytest.fixture(scope="module")
def seen():
    return views(SMALL)


def uniform(values, size):
    """The p-value of a chi-square test that `values` in 0 .. size-1 are uniform."""
    counts = np.bincount(np.ravel(values).astype(int), minlength=size)
    return stats.chisquare(counts).pvalue


def bytes_of(words):
    """The lowest and the highest byte of each word."""
    return words & np.uint64(255), words >> np.uint64(56)


# {name: the protocol, the end of the message's label, its ring, the receiver (None for
# alice and bob), the end of the mask's label}
SHOWN = {
    "r of compute_msb": (
        drelu, "compute_msb/r", Z2kMinus1(64), None, "compute_msb/x"),
    "a~ of share_convert": (
        drelu, "share_convert/a_tilde", Z2k(64), "crypto_provider", "r_0"),
    "epsilon of a product": (
        lambda x: beaver.multiply(x, -x), "epsilon", Z2k(64), None, "multiply/a"),
    "delta of a product": (
        lambda x: beaver.multiply(x, -x), "delta", Z2k(64), None, "multiply/b"),
    "epsilon of a matrix product": (
        lambda x: beaver.matmul(x.reshape(N, 1), x[:1].reshape(1, 1)), "epsilon",
        Z2k(64), None, "matmul/a"),
    "epsilon of a square": (
        lambda x: beaver.multiply(x, x), "epsilon", Z2k(64), None, "multiply/a"),
    "epsilon of the carry tree": (
        carry_tree.drelu, "msb/epsilon", Z2k(64), None, "msb/a"),
    "epsilon of the truncation": (
        lambda x: truncate_with_provider(x, 1000), "truncate_with_provider/epsilon",
        Z2k(64), None, "truncate_with_provider/a"),
    "epsilon of a ReLU, of which the quotient and the sign are read": (
        lambda x: beaver.multiply(truncate_with_provider(x, 1000),
                                  carry_tree.drelu(x, 3)),
        "truncate_with_provider/epsilon", Z2k(64), None, "truncate_with_provider/a"),
}


def shown(what, coins=None):
    """The two rows of each of several calls, and their sums: the opened words."""
    protocol, label, ring, receiver, _ = SHOWN[what]
    world = Watched(seed=11, coins=coins)
    for _ in range(CALLS):
        protocol(give(world, SMALL.astype(np.uint64)))      # a Share without a mask
    if receiver:
        both = world.saw(receiver, label)
        rows = both[0::2], both[1::2]
    else:
        rows = world.saw("bob", label), world.saw("alice", label)
    assert [len(r) for r in rows] == [CALLS, CALLS]
    return rows, [ring.add(*pair).ravel() for pair in zip(*rows, strict=True)]


@pytest.mark.parametrize("what", SHOWN)
def test_opened_and_sent_values_are_uniform_in_their_top_and_low_bytes(what):
    rows, words = shown(what)
    for array in (*words, *rows[0], *rows[1]):
        assert array.size == N
        for part in bytes_of(array):
            assert uniform(part, 256) > FAIL
        unit = array.ravel().astype(float) / 2**64
        assert stats.kstest(unit, "uniform").pvalue > FAIL


@pytest.mark.parametrize("what", SHOWN)
def test_neighbouring_elements_and_successive_calls_are_unrelated(what):
    _, words = shown(what)
    for array in words:
        assert uniform((array[1:] ^ array[:-1]) >> np.uint64(60), 16) > FAIL
        assert uniform((array[1:] - array[:-1]) & np.uint64(15), 16) > FAIL
    for one, other in pairwise(words):
        assert uniform((one - other) >> np.uint64(60), 16) > FAIL


def test_the_workers_shares_add_up_to_the_opened_value(monkeypatch):
    """The words above are the openings themselves, in the right ring."""
    opened, original = [], world.World.open

    def remember(self, **shares):
        values = original(self, **shares)
        for name, value in zip(shares, values, strict=True):
            opened.append((self.ledger.label(name), value.ravel()))
        return values

    monkeypatch.setattr(world.World, "open", remember)
    for what, (_, label, _, receiver, _) in SHOWN.items():
        if receiver is None:
            opened.clear()
            _, words = shown(what)
            due = [value for own, value in opened if ("/" + own).endswith("/" + label)]
            np.testing.assert_array_equal(words, due)


def half(what):
    """Coins for `shown` with a mask uniform below 2^63 only; its rows stay uniform."""
    ring, end = SHOWN[what][2], SHOWN[what][4]
    rng = np.random.default_rng(3)

    def coins(label, _, shape):
        if end == "r_0" and label.endswith("share_convert/r_1"):
            return np.zeros(shape, np.uint64)                   # r = r_0 + r_1
        if not ("/" + label).endswith("/" + end):
            return None
        mask = rng.integers(0, 2**63, shape[1:], dtype=np.uint64)
        if shape[0] == 1:
            return mask[None]
        alice = rng.integers(0, ring.modulus, shape[1:], dtype=np.uint64)
        return np.stack([alice, ring.sub(mask, alice)])

    return coins


@pytest.mark.parametrize("what", SHOWN)
def test_a_half_range_mask_is_seen_in_the_top_byte_and_not_in_the_low_one(what):
    rows, words = shown(what, half(what))
    for array in words:
        low, top = bytes_of(array)
        assert uniform(top, 256) < 1e-12 and uniform(low, 256) > FAIL
    for array in (*rows[0], *rows[1]):          # one row alone would not tell
        assert uniform(bytes_of(array)[1], 256) > FAIL


def test_the_provider_sees_one_zero_in_half_of_the_comparisons_anywhere(seen):
    for zeros in seen["zeros"]:
        count = zeros.sum(axis=0)
        assert set(np.unique(count)) == {0, 1}
        assert stats.binomtest(int(count.sum()), N).pvalue > FAIL
        assert uniform(zeros[:, count == 1].argmax(axis=0), 64) > FAIL


def test_all_other_values_that_the_provider_sees_are_uniform_units(seen):
    for values in seen["values"]:
        assert uniform(values[values != 0] - 1, 66) > FAIL


def agreement(answers):
    """How often neighbours, and an element in two calls, have the same answer."""
    in_call = [np.mean(a[1:] == a[:-1]) for a in answers]
    across = [np.mean(a == b) for a, b in zip(answers[:-2], answers[2:], strict=True)]
    return np.array(in_call + across)


def test_answers_of_two_elements_or_two_calls_agree_half_the_time(seen):
    answers = [z.any(axis=0) for z in seen["zeros"]]
    assert np.all(np.abs(agreement(answers) - 0.5) < 0.05)


def test_one_beta_for_a_tensor_passes_the_marginals_and_fails_the_pairs():
    rng = np.random.default_rng(5)

    def one_beta(label, ring, shape):
        if label.endswith("compute_msb/beta"):
            return np.full(shape, rng.integers(2), ring.dtype)

    seen = views(SMALL, one_beta)
    answers = [z.any(axis=0) for z in seen["zeros"]]
    assert np.mean(answers[1][1:] == answers[1][:-1]) == 1.0
    assert uniform(seen["values"][1][seen["values"][1] != 0] - 1, 66) > FAIL
