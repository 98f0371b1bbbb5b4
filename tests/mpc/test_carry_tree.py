"""The carry tree: every value under every mask of small rings, and tables of leaves."""

import numpy as np
import pytest
from helpers import everywhere, give, reconstruct, under_every_mask

import mpc
from mpc import World, carry_tree, comparison, truncation
from mpc.ring import Zm, pack_bits, unpack_bits

SMALL = [2, 3, 4, 5, 6, 8]
sizes = pytest.mark.parametrize("n_workers", [2, 3])
rings = pytest.mark.parametrize("bits", SMALL)


def all_values(bits):
    return np.arange(-2 ** (bits - 1), 2 ** (bits - 1))


def bits_of_numbers(numbers, bits):
    """Packed bits (1, bits, n / 8) of `numbers`, as one holder has them."""
    return pack_bits(numbers >> np.arange(bits)[:, None] & 1)[None].astype(np.uint8)


# ---- leaves


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5])
def test_a_table_says_above_which_numbers_a_value_is(bits):
    v = np.arange(2**bits)
    table = unpack_bits(carry_tree.thresholds(bits_of_numbers(v, bits)), 2**bits)
    np.testing.assert_array_equal(table[0], v > np.arange(2**bits - 1)[:, None])


@sizes
@pytest.mark.parametrize("bits", [4, 1, 2, 3])
def test_a_leaf_adds_all_pairs_of_four_bits_or_fewer(bits, n_workers):
    world, n = World(n_workers, seed=1), 4**bits
    u, v = np.indices((2**bits, 2**bits)).reshape(2, n)
    groups = carry_tree.leaves(give(world, v), *(bits_of_numbers(w, bits)
                                                 for w in (u, v)))
    generates, propagates = (unpack_bits(reconstruct(x), n)[0] for x in groups)
    np.testing.assert_array_equal(generates, u + v >= 2**bits)
    np.testing.assert_array_equal(propagates, u + v == 2**bits - 1)


@pytest.mark.parametrize("bits", [5, 6, 7, 8])
def test_bits_that_the_lowest_leaf_lacks_pass_a_carry_on(bits):
    world = World(seed=1)
    u, v = np.indices((2**bits, 2**bits)).reshape(2, -1)
    groups = carry_tree.leaves(give(world, v), *(bits_of_numbers(w, bits)
                                                 for w in (u, v)))
    (g_low, g_high), (p_low, p_high) = (unpack_bits(reconstruct(x), u.size)
                                        for x in groups)
    np.testing.assert_array_equal(g_high | p_high & g_low, u + v >= 2**bits)
    np.testing.assert_array_equal(p_high & p_low, u + v == 2**bits - 1)


# ---- signs and zeros


@sizes
@rings
def test_every_sign_is_right_under_every_mask(bits, n_workers):
    values = all_values(bits)
    x = under_every_mask(values, "drelu/msb/a", bits, n_workers)
    found = reconstruct(carry_tree.drelu(x))
    assert not x.world.coins.unused
    np.testing.assert_array_equal(found, np.tile(values >= 0, (2**bits, 1)).T)


@sizes
@rings
def test_a_sign_without_low_bits_is_that_of_the_number_rounded_up_or_down(
        bits, n_workers):
    values = all_values(bits)
    for low in range(1, bits):
        x = under_every_mask(values, "drelu/msb/a", bits, n_workers)
        wrong = reconstruct(carry_tree.drelu(x, low)) != (values >= 0)[:, None]
        rounded = (-2**low < values) & (values < 0)
        rounded |= values > 2 ** (bits - 1) - 2**low
        np.testing.assert_array_equal(wrong.any(axis=1), rounded)
        assert not wrong.all(axis=1).any()


@sizes
@pytest.mark.parametrize("bits", [3, 4, 5, 6, 7])
def test_a_quotient_times_its_sign_is_never_negative(bits, n_workers):
    """From one opening: a small negative number with the sign 1 has the quotient 0."""
    for d in range(2, 2 ** (bits - 2) + 1):
        off = d * (2 ** (bits - 2) // d)
        values = np.arange(-off, 2 ** (bits - 1) - off)
        for low in range((d & -d).bit_length()):            # 2^low divides d
            x = under_every_mask(values, "truncate_with_provider/a", bits, n_workers)
            quotient = mpc.truncate(x, d)
            product = mpc.multiply(quotient, carry_tree.drelu(x, low))
            product, quotient = (x.ring.to_int(reconstruct(v))
                                 for v in (product, quotient))
            np.testing.assert_array_equal(product, np.maximum(quotient, 0))


def test_a_sign_that_lacks_more_bits_than_the_divisor_has_fails_this_check():
    x = under_every_mask([-3], "truncate_with_provider/a", 6)
    quotient = mpc.truncate(x, 2)
    product = reconstruct(mpc.multiply(quotient, carry_tree.drelu(x, 2)))
    assert set(x.ring.to_int(product).flat) == {0, -1}


@pytest.mark.parametrize("divisor, low", [(1, 0), (10, 1), (1000, 3), (4096, 12),
                                          (3, 0), (3 * 2**20, 20)])
def test_a_divisor_spares_its_factors_of_two(divisor, low):
    worlds = [World(seed=1, comparison="carry-tree") for _ in range(2)]
    x, y = (give(world, np.arange(-500, 500) * 1000) for world in worlds)
    one, two = comparison.drelu(x, divisor), carry_tree.drelu(y, low)
    np.testing.assert_array_equal(one.rows, two.rows)
    assert worlds[0].ledger.messages == worlds[1].ledger.messages


@sizes
@rings
def test_zero_is_found_under_every_mask(bits, n_workers):
    values = all_values(bits)
    x = under_every_mask(values, "is_zero/a", bits, n_workers)
    found = reconstruct(carry_tree.is_zero(x))
    assert not x.world.coins.unused
    np.testing.assert_array_equal(found, np.tile(values == 0, (2**bits, 1)).T)


@pytest.mark.parametrize("bits", [64, 63, 44, 33])
def test_signs_and_zeros_of_large_rings(bits):
    end, world = 2 ** (bits - 1), World(seed=1, ring_bits=bits, comparison="carry-tree")
    values = np.random.default_rng(0).integers(-end, end, 1000)
    values[:12] = [0, 1, -1, 15, 16, -16, -17, end - 1, -end, 1 - end, 2**32, -2**32]
    x = give(world, world.ring.from_int(values))
    for low in (0, 1, 3, 7):
        found = reconstruct(carry_tree.drelu(x, low))
        exact = (values <= -2**low) | (0 <= values) & (values <= end - 2**low)
        np.testing.assert_array_equal(found[exact], (values >= 0)[exact])
    np.testing.assert_array_equal(reconstruct(carry_tree.is_zero(x)), values == 0)


@pytest.mark.parametrize("bits", [64, 21, 6])
def test_signs_and_zeros_are_the_same_in_every_way_to_run_them(bits):
    def program(world):
        x = give(world, world.ring.from_int(np.array([[3, -1, 0], [-9, 8, -8]])))
        return {"sign": mpc.drelu(x), "rounded": carry_tree.drelu(x, 2),
                "ReLU": mpc.relu(x), "quotient": mpc.truncate(x, 4),
                "zero": carry_tree.is_zero(x)}
    for n_workers in (2, 3):
        world, got = everywhere(program, n_workers, ring_bits=bits,
                                comparison="carry-tree")
        values = {name: world.ring.to_int(reconstruct(x)) for name, x in got.items()}
        assert values["sign"].tolist() == [[1, 0, 1], [0, 1, 0]]
        assert values["ReLU"].tolist() == [[3, 0, 0], [0, 8, 0]]
        assert values["zero"].tolist() == [[0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize("protocol, error", [
    (lambda x: carry_tree.drelu(x, -1), "low=-1: cut off 0 to 63 bits"),
    (lambda x: carry_tree.drelu(x, 64), "low=64: cut off 0 to 63 bits"),
    (lambda x: carry_tree.msb(x, True), "low=a bool: cut off"),
    (lambda x: carry_tree.msb(x, 2.5), "low=2.5: cut off"),
    (lambda x: mpc.drelu(x, 0), "drelu: divisor 0"),
    (lambda x: mpc.drelu(x, -4), "drelu: divisor -4"),
    (lambda x: mpc.drelu(x, 2.5), "drelu: divisor 2.5"),
    (lambda x: mpc.drelu(x, 2**63), "drelu: divisor 9223372036854775808"),
    (lambda x: truncation.truncate_with_provider(x, 2**63), "divisor 922337203"),
    (lambda x: truncation.truncate_with_provider(x, 0), "divisor 0 is out of range"),
    (lambda x: truncation.truncate_locally(x, 2**63), "divisor 922337203"),
    (lambda x: carry_tree.bit_to_arithmetic(carry_tree.msb(x), 8, Zm(5)), "no Z_2")])
def test_a_protocol_refuses_cuts_divisors_and_rings_it_cannot_take(protocol, error):
    world = mpc.World(comparison="carry-tree")
    x, = world.share("server", x=(np.arange(8, dtype=np.uint64)[None], world.ring))
    with pytest.raises(ValueError, match=error):
        protocol(x)


def test_a_divisor_of_numpy_is_one():
    world = mpc.World(comparison="carry-tree")
    x, = world.share("server", x=(np.arange(8, dtype=np.uint64)[None], world.ring))
    assert reconstruct(mpc.drelu(x, np.int64(4))).tolist() == [1] * 8
