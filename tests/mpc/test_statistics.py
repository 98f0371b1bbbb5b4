"""Joint statistics at full size (l = 64, p = 67): what a role sees, alone, in pairs and across calls.

The exact tables need a tiny ring; these tests look at the real one, with fixed seeds. Each statistic
is shown to reject a broken coin: marginals see a half-range mask, only pairs see a shared beta.
"""

import numpy as np
import pytest
from scipy import stats

from helpers import give
from mpc import drelu
from mpc.views import Watched

pytestmark = pytest.mark.view
N, CALLS, FAIL = 4000, 3, 1e-6


def views(values, coins=None):
    """For each of several calls of drelu on `values`: what P2 concludes, and alice's openings."""
    world = Watched(seed=11, coins=coins)
    x = give(world, np.asarray(values).astype(np.uint64))
    for _ in range(CALLS):
        drelu(x)
    d = world.saw("crypto_provider", "d")
    # two workers' messages for each of two comparisons in a call
    sums = [(d[i].astype(int) + d[i + 1]) % 67 for i in range(0, len(d), 2)]
    return {"zeros": [s == 0 for s in sums], "values": sums, "a~": world.saw("crypto_provider", "a~"),
            "r": [a + b for a, b in zip(world.saw("alice", "r"), world.saw("bob", "r"))],
            "rows": world.saw("alice", "r")}


SMALL = np.arange(N) % 7 + 1        # positive and tiny: real data look like this in a 64-bit ring


@pytest.fixture(scope="module")
def seen():
    return views(SMALL)


def uniform(values, size):
    """The p-value of a chi-square test that `values` in 0 .. size-1 are uniform."""
    return stats.chisquare(np.bincount(np.ravel(values).astype(int), minlength=size)).pvalue


def bytes_of(words):
    """The lowest and the highest byte of each word."""
    return words & np.uint64(255), words >> np.uint64(56)


def test_what_is_opened_or_sent_is_uniform_in_its_top_and_low_bytes(seen):
    for words in (*seen["a~"], *seen["rows"]):
        for part in bytes_of(words):
            assert uniform(part, 256) > FAIL
        assert stats.kstest(words.astype(float) / 2**64, "uniform").pvalue > FAIL


def test_neighbouring_elements_and_successive_calls_are_unrelated(seen):
    for words in (*seen["a~"], *seen["rows"]):
        assert uniform((words[1:] ^ words[:-1]) >> np.uint64(60), 16) > FAIL
        assert uniform((words[1:] - words[:-1]) & np.uint64(15), 16) > FAIL
    for one, other in zip(seen["a~"][:-2], seen["a~"][2:]):
        assert uniform((one - other) >> np.uint64(60), 16) > FAIL


def test_a_half_range_mask_is_seen_in_the_top_byte_and_not_in_the_low_one():
    def half(label, ring, shape):
        if not label.endswith("compute_msb/x"):
            return None
        rng = np.random.default_rng(3)
        alice = rng.integers(0, 2**64 - 1, shape[1:], dtype=np.uint64)
        x = rng.integers(0, 2**63, shape[1:], dtype=np.uint64)
        return np.stack([alice, ring.sub(x, alice)])

    world = Watched(seed=11, coins=half)
    x = give(world, SMALL.astype(np.uint64))
    opened = []
    original = world.open
    world.open = lambda *shares, name: opened.append((name, original(*shares, name=name))) or opened[-1][1]
    drelu(x)
    r = next(value[0] for name, value in opened if name == "r")
    low, top = bytes_of(r)
    assert uniform(top, 256) < 1e-12 and uniform(low, 256) > FAIL


def test_the_provider_sees_one_zero_in_half_of_the_comparisons_at_any_place(seen):
    for zeros in seen["zeros"]:
        count = zeros.sum(axis=0)
        assert set(np.unique(count)) == {0, 1}
        assert stats.binomtest(int(count.sum()), N).pvalue > FAIL
        assert uniform(zeros[:, count == 1].argmax(axis=0), 64) > FAIL


def test_all_other_values_that_the_provider_sees_are_uniform_units(seen):
    for values in seen["values"]:
        assert uniform(values[values != 0] - 1, 66) > FAIL


def agreement(answers):
    """How often neighbours, and the same element in successive calls, have the same answer."""
    in_call = [np.mean(a[1:] == a[:-1]) for a in answers]
    across = [np.mean(a == b) for a, b in zip(answers[:-2], answers[2:])]
    return np.array(in_call + across)


def test_answers_of_two_elements_or_two_calls_agree_half_the_time(seen):
    answers = [z.any(axis=0) for z in seen["zeros"]]
    assert np.all(np.abs(agreement(answers) - 0.5) < 0.05)


def test_one_beta_for_a_tensor_passes_the_marginals_and_fails_the_pairs():
    rng = np.random.default_rng(5)

    def one_beta(label, ring, shape):
        return np.full(shape, rng.integers(2), ring.dtype) if label.endswith("compute_msb/beta") else None

    seen = views(SMALL, one_beta)
    answers = [z.any(axis=0) for z in seen["zeros"]]
    assert np.mean(answers[1][1:] == answers[1][:-1]) == 1.0
    assert uniform(seen["values"][1][seen["values"][1] != 0] - 1, 66) > FAIL
