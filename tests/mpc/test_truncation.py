"""Both truncations: rounding without bias; wrap-around errors as rare as promised."""

import numpy as np
import pytest
from helpers import (
    every_sharing,
    everywhere,
    give,
    reconstruct,
    rows_of,
    under_every_mask,
    with_rows,
)

import mpc
from mpc import World
from mpc.audit.tags import TaggedWorld
from mpc.ring import Z2kMinus1
from mpc.truncation import truncate_locally, truncate_with_provider

DIVISORS = [10, 1000, 8, 1024]      # 1 and 3 digits in base 10, 3 and 10 in base 2
SIZES = [0, 1, 7, 500, 999, 1023, 12345, 16384]
VALUES = np.array(SIZES + [-x for x in SIZES[1:]])


def floor_floor(x, d):
    """The mutant: both workers round down, as NumPy's // and >> do on signed rows."""
    return with_rows(x.world, x.ring.from_int(x.ring.to_int(rows_of(x)) // d), x.ring)


def errors(truncation, x, values, d):
    """How far each result is from values / d, and where the error is about 2^l / d."""
    error = x.ring.to_int(reconstruct(truncation(x, d))) - values[:, None] / d
    return error, np.abs(error) > x.ring.modulus / d / 2


def exhaustive(values, bits=16):
    """A Share of `values` in all their sharings."""
    return every_sharing(World(seed=1, ring_bits=bits), values % 2**bits)


def mean_errors_of_all_sharings(truncation, d):
    error, failed = errors(truncation, exhaustive(VALUES), VALUES, d)
    return np.array([e[~f].mean() for e, f in zip(error, failed, strict=True)])


def mean_errors_at_64_bits(truncation, d, n=40_000):
    world = World(seed=1)
    values = np.repeat(VALUES[:, None], n, axis=1).astype(np.int64)
    x = give(world, values.view(np.uint64))
    return errors(truncation, x, VALUES, d)[0].mean(axis=1)


SAMPLED = 5 * 0.5 / np.sqrt(40_000)     # 5 standard deviations of a mean of coins


# ---- local truncation

@pytest.mark.parametrize("d", DIVISORS)
def test_the_mean_error_is_zero_over_all_sharings(d):
    assert np.abs(mean_errors_of_all_sharings(truncate_locally, d)).max() < d / 2**16


@pytest.mark.parametrize("d", DIVISORS)
def test_the_mean_error_is_zero_at_64_bits(d):
    assert np.abs(mean_errors_at_64_bits(truncate_locally, d)).max() < SAMPLED


@pytest.mark.parametrize("d", DIVISORS)
def test_two_workers_who_both_round_down_fail_these_checks(d):
    """Their results are low by (d - 1) / d on average, for every value."""
    bias = mean_errors_of_all_sharings(floor_floor, d) + (d - 1) / d
    assert np.abs(bias).max() < d / 2**15
    assert np.abs(mean_errors_at_64_bits(floor_floor, d) + (d - 1) / d).max() < SAMPLED
    assert d / 2**16 < (d - 1) / d > SAMPLED


def test_minus_one_vanishes_or_stays_but_for_the_mutant_it_always_stays():
    x = exhaustive(np.array([-1]))
    assert set(x.ring.to_int(reconstruct(floor_floor(x, 10))).flat) == {-1}
    right = x.ring.to_int(reconstruct(truncate_locally(x, 10)))
    assert (right == 0).sum() > 8 * (right == -1).sum() > 0


@pytest.mark.parametrize("d", [2, 3, *DIVISORS, 32767])
def test_it_fails_for_exactly_x_of_all_sharings(d):
    """|x| / 2^l of them; a failure is off by 2^l / d, and never by little."""
    error, failed = errors(truncate_locally, exhaustive(VALUES), VALUES, d)
    far = np.abs(error) >= 1
    np.testing.assert_array_equal(far.sum(axis=1), np.abs(VALUES))
    assert np.all(np.abs(np.abs(error[far]) - 2**16 / d) < 1 + 1e-9)


@pytest.mark.parametrize("d", DIVISORS)
def test_it_rounds_up_as_often_as_the_part_cut_off(d):
    x = exhaustive(VALUES)
    got = x.ring.to_int(reconstruct(truncate_locally(x, d)))
    failed = errors(truncate_locally, x, VALUES, d)[1]
    for value, results, bad in zip(VALUES, got, failed, strict=True):
        up = results[~bad] - value // d
        assert set(up) <= {0, 1} and abs(up.mean() - value % d / d) < d / 2**16


@pytest.mark.parametrize("bits, d", [(3, 2), (3, 3), (5, 3), (5, 8), (5, 10), (5, 15)])
def test_toy_rings_by_the_formula_in_python_integers(bits, d):
    ring = 2**bits
    x = every_sharing(World(seed=1, ring_bits=bits), range(ring))
    got = rows_of(truncate_locally(x, d)).reshape(2, -1).T
    pairs = rows_of(x).reshape(2, -1).T.tolist()
    expected = [(a // d, -(-b % ring // d) % ring) for a, b in pairs]
    np.testing.assert_array_equal(got, expected)


# x, its shares mod 2^8, and the results for d = 10: x_0 // 10 and -((256 - x_1) // 10)
BY_HAND = [
    (100, (200, 156), (20, -10)),       # 10
    (105, (200, 161), (20, -9)),        # 11: 256 - 161 = 95 is cut to 9
    (105, (209, 152), (20, -10)),       # 10: 209 is cut to 20
    (-5, (12, 239), (1, -1)),           # 0
    (-5, (8, 243), (0, -1)),            # -1
    (0, (137, 119), (13, -13)),         # 0: both cut the same digit
    (100, (7, 93), (0, -16)),           # the shares add up without a wrap: off by 26
]


@pytest.mark.parametrize("x, rows, quotients", BY_HAND)
def test_truncate_by_hand(x, rows, quotients):
    world = TaggedWorld(seed=1, ring_bits=8)
    share = with_rows(world, np.array(rows)[:, None])
    assert world.ring.to_int(reconstruct(share)) == x
    got = world.ring.to_int(rows_of(truncate_locally(share, 10)))
    np.testing.assert_array_equal(got[:, 0], quotients)


@pytest.mark.parametrize("d", [2, 1000, 2**13, 10**9, 2**63 - 1])
@pytest.mark.parametrize("value", [0, 1, -1, 10**6, -10**6, 2**40 + 1, -2**40 - 1])
def test_the_edges_at_64_bits_are_off_by_less_than_one(value, d):
    world = World(seed=1)
    x = give(world, np.full(500, value % 2**64, np.uint64))
    got = world.ring.to_int(reconstruct(truncate_locally(x, d)))
    assert set(got.tolist()) <= {value // d, -(-value // d)}        # 0 stays 0


@pytest.mark.parametrize("value", [2**62, -2**62])
def test_a_quarter_fails_at_the_end_of_the_range(value):
    world = World(seed=1)
    x = give(world, np.full(10_000, value % 2**64, np.uint64))
    error = world.ring.to_int(reconstruct(truncate_locally(x, 1000))) - value // 1000
    assert abs((np.abs(error) > 1).mean() - 0.25) < 5 * 0.0044


# Shares that are far from uniform, as public factors leave them behind. The law above
# does not hold for them: taken as they are, all of the first and last would fail.
# `truncate` refreshes them first.
UNEVEN = {
    "zeros, then a public -1000":
        lambda x: x.times(_public(x, 0)).plus(_public(x, -1000)),
    "the same value taken away again": lambda x: (x - x).plus(_public(x, -1000)),
    "a public number alone": lambda x: with_rows(x.world, np.stack(
        [np.full(x.shape, 2**64 - 1000, np.uint64), np.zeros(x.shape, np.uint64)])),
    "two shares that are alike": lambda x: with_rows(x.world, np.stack(
        [np.full(x.shape, 2**64 - 500, np.uint64)] * 2)),
}


def _public(like, number):
    return np.full((1, *like.shape), number % 2**64, np.uint64)


@pytest.mark.parametrize("name", UNEVEN)
@pytest.mark.parametrize("truncation", ["local", "provider"])
def test_shares_that_are_far_from_uniform_are_truncated_rightly(name, truncation):
    world = World(seed=1, truncation=truncation)
    x = UNEVEN[name](give(world, np.arange(1000)))
    assert set(world.ring.to_int(reconstruct(x))) == {-1000}
    got = world.ring.to_int(reconstruct(mpc.truncate(x, 10)))
    np.testing.assert_array_equal(got, -100)


@pytest.mark.parametrize("name", list(UNEVEN)[:3])
def test_without_fresh_shares_they_all_fail(name):
    x = UNEVEN[name](give(World(seed=1), np.arange(1000)))
    got = x.ring.to_int(reconstruct(truncate_locally(x, 10)))
    assert np.all(np.abs(got + 100) > 2**60)


def test_a_long_chain_of_public_steps_stays_right():
    """Each step narrows the shares: without fresh ones a chain of 50 always fails."""
    world = World(seed=1, truncation="local")
    x = give(world, np.full(200, -1000 % 2**64, np.uint64))
    for _ in range(60):
        x = mpc.truncate(x, 2).plus(_public(x, -500))
    np.testing.assert_allclose(world.ring.to_int(reconstruct(x)), -1000, atol=2)


def test_a_divisor_of_one_changes_nothing(world):
    x = give(world, [1, 2, 3])
    np.testing.assert_array_equal(rows_of(mpc.truncate(x, 1)), rows_of(x))


@pytest.mark.parametrize("n_workers, truncation", [
    (2, "local"), (2, "provider"), (3, "provider")])
def test_truncate_is_the_same_in_every_way_to_run_it(n_workers, truncation):
    def program(world):
        return {"z": mpc.truncate(give(world, [[100_000], [0], [7000]]), 1000)}
    _, got = everywhere(program, n_workers, truncation=truncation)
    np.testing.assert_array_equal(reconstruct(got["z"]), [[100], [0], [7]])


# ---- truncation with the provider

def rounded_up(values, d, bits=16, n_workers=2):
    """The excess of ``x / d`` over its floor, (len(values), 2^bits): for every mask."""
    x = under_every_mask(values, "truncate_with_provider/a", bits, n_workers)
    quotients = x.ring.to_int(reconstruct(truncate_with_provider(x, d)))
    assert not x.world.coins.unused
    return quotients - np.asarray(values)[:, None] // d


def valid(d, bits):
    """The values that are truncated rightly: half the ring."""
    off = d * (2 ** (bits - 2) // d)
    return np.arange(-off, 2 ** (bits - 1) - off)


@pytest.mark.parametrize("n_workers", [2, 3])
@pytest.mark.parametrize("bits", [3, 4, 5, 6, 7, 8])
def test_with_the_provider_all_values_in_range_are_right_under_all_masks(
        bits, n_workers):
    """Rounded up as often as the part cut off says: almost, or if d is 2^i exactly."""
    for d in range(2, 2 ** (bits - 2) + 1):
        values = valid(d, bits)
        up, bound = rounded_up(values, d, bits, n_workers), d / 2**bits
        assert set(up.flat) == {0, 1} and not up[values % d == 0].any()
        bias = np.abs(up.mean(axis=1) - values % d / d).max()
        assert bias == 0 if d & d - 1 == 0 else 0 < bias < bound


@pytest.mark.parametrize("bits", [3, 5, 8])
def test_with_the_provider_the_values_around_the_range_fail_under_some_mask(bits):
    """One below it the two top bits still tell if the sum wraps around."""
    for d in range(2, 2 ** (bits - 2) + 1):
        first, *_, last = valid(d, bits)
        for value in (first - 2, last + 1):
            assert set(rounded_up([value], d, bits).flat) - {0, 1}


@pytest.mark.parametrize("d", [*DIVISORS, 2**14])
def test_with_the_provider_it_rounds_without_bias_at_16_bits(d):
    values = np.intersect1d(VALUES, valid(d, 16))
    up = rounded_up(values, d)
    assert set(up.flat) <= {0, 1}
    assert np.abs(up.mean(axis=1) - values % d / d).max() < d / 2**16


def test_one_opening_serves_all_quotients_of_a_value():
    world = World(seed=1)
    x = give(world, np.arange(-500, 500).reshape(20, 50))
    for y, d in ((x, 10), (x, 7), (x.T, 2), (x.reshape(-1), 1)):
        quotient = world.ring.to_int(reconstruct(mpc.truncate(y, d)))
        assert np.abs(quotient - world.ring.to_int(reconstruct(y)) / d).max() < 1
    assert [m.name for m in world.ledger.messages if m.src == "alice"] == ["epsilon"]


@pytest.mark.parametrize("d", [2, 1000, 2**13, 10**9, 2**62])
@pytest.mark.parametrize("n_workers", [2, 3, 4])
def test_with_the_provider_the_edges_at_64_bits_are_right(n_workers, d):
    off = d * (2**62 // d)
    world = World(n_workers, seed=1, truncation="provider")
    ends = (-off, -off + 1, 2**63 - off - 1)
    for value in (0, 1, -1, 10**6, -10**6, *ends, 2**61, -2**61):
        x = give(world, np.full(200, value % 2**64, np.uint64))
        got = world.ring.to_int(reconstruct(mpc.truncate(x, d)))
        assert set(got.tolist()) <= {value // d, -(-value // d)}


@pytest.mark.parametrize("d", [10**3, 10**6, 2**13])
@pytest.mark.parametrize("n_workers", [2, 3])
def test_with_the_provider_300_000_random_values_are_right_and_right_on_average(
        n_workers, d):
    """The mean error is 0 within 5 standard deviations of a mean of coins."""
    n = 300_000
    values = np.random.default_rng(4).integers(-2**61, 2**61, n, endpoint=True)
    world = World(n_workers, seed=1, truncation="provider")
    result = mpc.truncate(give(world, values.view(np.uint64)), d)
    got = world.ring.to_int(reconstruct(result))
    rounded_up = got - values // d
    assert set(rounded_up.tolist()) == {0, 1}
    assert abs((rounded_up - values % d / d).mean()) < 5 * 0.5 / np.sqrt(n)


# ---- errors

def test_three_workers_are_refused_by_the_local_truncation():
    x = give(World(3, seed=1), [1])
    with pytest.raises(ValueError, match="not 3; make .* truncation='provider'"):
        truncate_locally(x, 10)


@pytest.mark.parametrize("truncation, most", [
    ("local", 2**63 - 1), ("provider", 2**62)])
def test_a_divisor_out_of_range_is_refused(truncation, most):
    x = give(World(seed=1, truncation=truncation), [1])
    for d in (0, -10, 2.5, most + 1):
        with pytest.raises(ValueError,
                           match=f"divisor {d} is out of range for Z_2.64; take an "
                                             f"integer from 1 to {most}"):
            mpc.truncate(x, d)


def test_a_ring_without_signs_is_refused(world):
    with pytest.raises(ValueError, match="truncate: .* take one over Z_2.l"):
        mpc.truncate(give(world, [1], Z2kMinus1(64)), 10)
