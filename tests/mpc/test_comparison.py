"""Maximum, its place, and equality by both comparisons: toy rings, edges and ties."""

import numpy as np
import pytest
from helpers import every_sharing, everywhere, give, reconstruct

import mpc
from mpc import World
from mpc import comparison as comparison_module

END = 2**62     # differences must stay below it


def tuples(values, m):
    """All tuples of m of the `values`, one a row."""
    return np.stack(np.meshgrid(*[values] * m), axis=-1).reshape(-1, m)


WAYS = [(2, "securenn"), (2, "carry-tree"), (3, "carry-tree")]


def check_maxima(x, bits=64, seed=1):
    """Compare maximum and first place of each row of signed `x` with NumPy's."""
    expected = np.eye(x.shape[-1])[x.argmax(axis=-1)]
    for n_workers, comparison in WAYS:
        world = World(n_workers, seed=seed, ring_bits=bits, comparison=comparison)
        share = give(world, world.ring.from_int(x))
        maximum, place = mpc.tournament(share)
        found = world.ring.to_int(reconstruct(maximum))
        np.testing.assert_array_equal(found, x.max(axis=-1))
        np.testing.assert_array_equal(reconstruct(place), expected)
        if comparison == "carry-tree" and x.shape[-1] > 1:
            np.testing.assert_array_equal(reconstruct(mpc.all_pairs(share)), expected)


@pytest.mark.parametrize("bits, values, m", [
    (3, [-1, 0], 1), (3, [-1, 0], 2), (3, [0, 1], 5), (3, [-4, -3], 4), (3, [3, 2], 6),
    (5, range(-4, 4), 1), (5, range(-4, 4), 2), (5, range(8), 3),
    (5, range(-16, -8), 3),
])
def test_maxima_are_right_for_all_candidates(bits, values, m):
    for seed in range(3):
        check_maxima(tuples(np.array(values), m), bits, seed)


def test_tournament_is_right_for_all_sharings():
    world = World(seed=1, ring_bits=3)
    zeros = give(world, np.zeros((2, 8, 8)))
    first = every_sharing(world, [1, 0]).reshape(2, 8, 1) + zeros
    second = every_sharing(world, [0, 1]).reshape(2, 1, 8) + zeros
    pair = [x.reshape(2, 64, 1) for x in (first, second)]
    maximum, place = mpc.tournament(mpc.share.concatenate(pair, axis=-1))
    np.testing.assert_array_equal(reconstruct(maximum), np.ones((2, 64)))
    np.testing.assert_array_equal(reconstruct(place)[:, :, 0], [[1] * 64, [0] * 64])


@pytest.mark.parametrize("x", [
    [0, 0], [1, 1, 1], [0, -1], [-1, 0], [END // 2 - 1, -END // 2],
    [-END // 2, END // 2 - 1], [END - 1, 0, END - 1], [5, 7, 7, 5, 7], [-3, -3, -4],
    [2**63 - 1, 2**63 - 2], [3, 1, 4, 1, 5, 9, 2, 6, 5, 9],
])
def test_maxima_at_the_edges_of_64_bits(x):
    check_maxima(np.array(x))


@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (2, 3), (2, 3, 5), (3, 10)])
def test_maxima_of_small_numbers_with_many_ties(shape):
    check_maxima(np.random.default_rng(0).integers(-2, 3, shape))


@pytest.mark.parametrize("bits", [3, 5])
@pytest.mark.parametrize("n_workers, comparison", WAYS)
def test_equal_is_right_for_all_inputs_in_range(bits, n_workers, comparison):
    """SecureNN sees the sign of differences below 2^(l-2); the carry tree takes all."""
    x, y = np.indices((2**bits, 2**bits)).reshape(2, -1)
    far = np.minimum((x - y) % 2**bits, (y - x) % 2**bits) >= 2 ** (bits - 2)
    valid = ~far | (comparison == "carry-tree")
    for seed in range(10):
        world = World(n_workers, seed=seed, ring_bits=bits, comparison=comparison)
        got = reconstruct(mpc.equal(give(world, x), give(world, y)))
        np.testing.assert_array_equal(got[valid], (x == y)[valid])


def test_equal_is_right_for_all_sharings():
    world = World(seed=1, ring_bits=5)
    x, y = every_sharing(world, [3, 4, 5]), every_sharing(world, [4])
    got = reconstruct(mpc.equal(x.reshape(3, 32, 1), y))
    expected = np.broadcast_to([[[0]], [[1]], [[0]]], (3, 32, 32))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("n_workers, comparison", WAYS)
def test_equal_at_the_edges_of_64_bits_and_with_broadcasting(n_workers, comparison):
    world = World(n_workers, seed=1, comparison=comparison)
    x = np.array([0, 1, -1, END // 2 - 1, -END // 2, 1000]).view(np.uint64)
    column, row = give(world, x[:, None]), give(world, x)
    np.testing.assert_array_equal(reconstruct(mpc.equal(column, row)), np.eye(6))
    np.testing.assert_array_equal(reconstruct(mpc.equal(row, column)), np.eye(6))


@pytest.mark.parametrize("n_workers, comparison", WAYS)
def test_maxima_and_equality_are_the_same_in_every_way_to_run_them(
        n_workers, comparison):
    def program(world):
        x = give(world, [[1, 5, 5], [7, 2, 1]])
        maximum, place = mpc.tournament(x)
        pairs = mpc.all_pairs(x) if comparison == "carry-tree" else place
        return {"maximum": maximum, "place": place, "pairs": pairs,
                "equal": mpc.equal(x[0], x[1])}
    _, got = everywhere(program, n_workers, comparison=comparison)
    assert reconstruct(got["maximum"]).tolist() == [5, 7]
    assert reconstruct(got["place"]).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert reconstruct(got["pairs"]).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert reconstruct(got["equal"]).tolist() == [0, 0, 0]


@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_a_tournament_without_candidates_is_refused(world, shape):
    with pytest.raises(ValueError, match="tournament: .* needs 1 or more on its"):
        mpc.tournament(give(world, np.zeros(shape)))


@pytest.mark.parametrize("shape", [(), (1,), (3, 0)])
def test_all_pairs_without_a_pair_are_refused(shape):
    world = World(seed=1, comparison="carry-tree")
    with pytest.raises(ValueError, match="all_pairs: .* needs 2 or more on its"):
        mpc.all_pairs(give(world, np.zeros(shape)))


@pytest.mark.parametrize("n_workers, comparison", WAYS)
def test_comparisons_with_several_thresholds(n_workers, comparison):
    """With ties, both signs, and the edges of the range."""
    world = World(n_workers, seed=1, comparison=comparison)
    x = np.array([[0, 1, -1], [END // 2 - 1, -END // 2, 1000]])
    t = np.array([0, 0, 1, -1, 1000, 1001, END // 2 - 1, 1 - END // 2])
    got = reconstruct(comparison_module.at_least(give(world, x.view(np.uint64)), t))
    np.testing.assert_array_equal(got, x >= t[:, None, None])
    single = comparison_module.at_least(give(world, 5), np.array([5, 6]))
    assert reconstruct(single).tolist() == [1, 0]


@pytest.mark.parametrize("bits", [1, 2, 3, 6])
def test_thresholds_are_right_for_all_numbers_and_sharings_of_the_tree(bits):
    world = World(seed=1, ring_bits=bits, comparison="carry-tree")
    x, t = every_sharing(world, range(2**bits)), np.arange(-2**(bits - 1), 2**bits)
    difference = world.ring.to_int(world.ring.reduce(
        np.arange(2**bits)[:, None] - t[:, None, None]).astype(np.uint64))
    got = reconstruct(comparison_module.at_least(x, t))
    np.testing.assert_array_equal(got, np.broadcast_to(difference >= 0, got.shape))


@pytest.mark.parametrize("n_workers, comparison", WAYS)
@pytest.mark.parametrize("t", [[0.5], np.array(3), np.array([[1]]), "ab", [True]])
def test_thresholds_that_are_no_public_integers_are_refused(n_workers, comparison, t):
    world = World(n_workers, seed=1, comparison=comparison)
    with pytest.raises(TypeError, match="at_least: .* came; give the public thr"):
        comparison_module.at_least(give(world, [1]), t)
    with pytest.raises(TypeError, match="at_least takes a Share"):
        comparison_module.at_least(np.ones(3), np.array([1]))


def test_equal_over_two_rings_is_refused(world):
    with pytest.raises(ValueError, match="equal: rings .*; convert one first"):
        mpc.equal(give(world, [1]), give(world, [1], mpc.ring.Z2kMinus1(64)))


def test_equal_of_shapes_that_do_not_broadcast_is_refused(world):
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\) do not broadcast; resh"):
        mpc.equal(give(world, [1, 2]), give(world, [1, 2, 3]))
