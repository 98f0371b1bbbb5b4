"""Products of two secrets: right for all inputs, sharings and masks."""

import operator

import numpy as np
import pytest
from helpers import (
    Injected,
    common,
    every_sharing,
    everywhere,
    give,
    reconstruct,
    rows_of,
    with_rows,
)

import mpc
from mpc import World
from mpc.audit.replay import RecordedWorld
from mpc.audit.tags import TaggedWorld
from mpc.ring import Z2k, Z2kMinus1

EDGES = [0, 1, -1, 2**62, -2**62, 2**63 - 1, -2**63, 1000, -1000]


def signed(values):
    return np.array([v % 2**64 for v in values], np.uint64)


def toy(bits, seed=1):
    return TaggedWorld(seed=seed, ring_bits=bits)


# ---- answers

@pytest.mark.parametrize("bits", [3, 5])
def test_multiply_is_right_for_all_inputs(bits):
    x, y = np.indices((2**bits, 2**bits)).reshape(2, -1)
    for seed in range(20):
        world = toy(bits, seed)
        z = mpc.multiply(give(world, x), give(world, y))
        np.testing.assert_array_equal(reconstruct(z), x * y % 2**bits)


def test_multiply_is_right_for_all_sharings_of_all_inputs():
    world = toy(3)
    x, y = every_sharing(world, range(8)), every_sharing(world, range(8))
    z = reconstruct(mpc.multiply(x.reshape(8, 8, 1, 1), y))
    x, y = np.indices((8, 8))
    expected = np.broadcast_to((x * y % 8)[:, None, :, None], (8, 8, 8, 8))
    np.testing.assert_array_equal(z, expected)


def test_multiply_is_right_for_all_masks():
    x, y, a, b, c = np.indices((8,) * 5).reshape(5, -1)
    zero = np.zeros_like(a)
    world = World(seed=1, ring_bits=3, coins=Injected(
        {"multiply/a": [a, zero], "multiply/b": [zero, b], "multiply/c": [c]}))
    z = mpc.multiply(give(world, x), give(world, y))
    np.testing.assert_array_equal(reconstruct(z), x * y % 8)
    assert not world.coins.unused


def test_multiply_by_hand():
    """Mod 32: x = 6 = 20 + 18, y = 7 = 10 + 29, a = 3 + 4, b = 5 + 6, c = 77 = 9 + 4.

    epsilon = 6 - 7 = 31 and delta = 7 - 11 = 28, which both learn. Then

        alice: c + epsilon b + a delta + epsilon delta
               = 9 + 31 * 5 + 3 * 28 + 31 * 28 = 1116 = 28
        bob:   c + epsilon b + a delta
               = 4 + 31 * 6 + 4 * 28 = 302 = 14

    and 28 + 14 = 42 = 6 * 7.
    """
    coins = Injected({"multiply/a": [[3], [4]], "multiply/b": [[5], [6]],
                      "multiply/c": [[9]]})
    world = RecordedWorld(seed=1, ring_bits=5, coins=coins)
    z = mpc.multiply(with_rows(world, [[20], [18]]), with_rows(world, [[10], [29]]))
    np.testing.assert_array_equal(z.rows, [[28], [14]])
    sent = [(p.src, p.dst, p.header[1], p.payload[0]) for p in world.tape]
    assert sent == [("crypto_provider", "bob", "multiply/c", 4),
                    ("alice", "bob", "multiply/epsilon, delta", 20 - 3),
                    ("bob", "alice", "multiply/epsilon, delta", 18 - 4),
                    ("alice", "bob", "multiply/epsilon, delta", 10 - 5),
                    ("bob", "alice", "multiply/epsilon, delta", 29 - 6)]


def test_multiply_at_the_edges_of_64_bits():
    world = toy(64)
    x, y = signed(EDGES)[:, None], signed(EDGES)
    z = mpc.multiply(give(world, x), give(world, y))
    expected = [signed([a * b for b in EDGES]) for a in EDGES]
    np.testing.assert_array_equal(reconstruct(z), expected)


@pytest.mark.parametrize("bits", [3, 5])
def test_square_is_right_for_all_sharings_of_all_inputs(bits):
    for seed in range(10):
        world = toy(bits, seed)
        z = reconstruct(mpc.square(every_sharing(world, range(2**bits))))
        expected = [np.arange(2**bits) ** 2 % 2**bits] * 2**bits
        np.testing.assert_array_equal(z.T, expected)


def test_square_by_hand():
    """Mod 32: x = 6 = 20 + 18, a = 3 + 4 = 7, c = 49 = 10 + 7, epsilon = 6 - 7 = 31.

        alice: c + 2 epsilon a + epsilon^2 = 10 + 2 * 31 * 3 + 31 * 31 = 1157 = 5
        bob:   c + 2 epsilon a = 7 + 2 * 31 * 4 = 255 = 31

    and 5 + 31 = 36 = 6^2.
    """
    coins = Injected({"square/a": [[3], [4]], "square/c": [[10]]})
    world = World(seed=1, ring_bits=5, coins=coins)
    z = mpc.square(with_rows(world, [[20], [18]]))
    np.testing.assert_array_equal(z.rows, [[5], [31]])


def test_matmul_is_right_for_all_inputs():
    a, b, c, d = np.indices((8,) * 4).reshape(4, -1)
    world = toy(3)
    x, y = np.stack([a, b], -1)[:, None, :], np.stack([c, d], -1)[:, :, None]
    z = mpc.matmul(give(world, x), give(world, y))
    np.testing.assert_array_equal(reconstruct(z)[:, 0, 0], (a * c + b * d) % 8)


@pytest.mark.parametrize("x, y", [((1, 1), (1, 1)), ((2, 2), (2, 2)), ((2, 3), (3, 2)),
                                  ((3, 5), (5, 2)), ((2, 3, 2), (2, 2)),
                                  ((2, 2), (3, 2, 1)), ((0, 3), (3, 2)),
                                  ((2, 0), (0, 3))])
def test_matmul_of_random_matrices_is_that_of_numpy(x, y):
    rng, world = np.random.default_rng(0), toy(64)
    x, y = (rng.integers(0, 2**64, shape, dtype=np.uint64) for shape in (x, y))
    z = mpc.matmul(give(world, x), give(world, y))
    np.testing.assert_array_equal(reconstruct(z), x @ y)        # mod 2^64, as NumPy


@pytest.mark.parametrize("n_workers", [2, 3, 4])
def test_products_are_right_for_any_number_of_workers(n_workers):
    world = TaggedWorld(n_workers, seed=1, ring_bits=5)
    x, y = np.indices((32, 32))
    a, b = give(world, x), give(world, y)
    np.testing.assert_array_equal(reconstruct(mpc.multiply(a, b)), x * y % 32)
    np.testing.assert_array_equal(reconstruct(mpc.matmul(a, b)), x @ y % 32)
    np.testing.assert_array_equal(reconstruct(mpc.square(a)), x * x % 32)


@pytest.mark.parametrize("x, y", [((2,), (2,)), ((3,), (2, 3)), ((2, 1), (2,)),
                                  ((), (3, 2)), ((2, 2, 2), (2, 2)),
                                  ((2, 3), (3, 1, 1))])
def test_multiply_broadcasts_as_the_secrets_would(x, y):
    rng, world = np.random.default_rng(0), toy(5)
    x, y = (rng.integers(0, 32, shape) for shape in (x, y))
    z = mpc.multiply(give(world, x), give(world, y))
    np.testing.assert_array_equal(reconstruct(z), x * y % 32)


@pytest.mark.parametrize("bits", [3, 5])
def test_refresh_keeps_the_secret_and_draws_every_sharing_of_it(bits):
    world = toy(bits)
    x = with_rows(world, np.broadcast_to([[1], [2]], (2, 5000)))
    fresh = mpc.refresh(x)
    np.testing.assert_array_equal(reconstruct(fresh), np.full(5000, 3))
    assert set(rows_of(fresh)[0].tolist()) == set(range(2**bits))


def test_products_and_refresh_are_the_same_in_every_way_to_run_them():
    def program(world):
        x, y = give(world, [[1, 2, 3], [4, 5, 6]]), give(world, [[7, 8, 9], [1, 2, 3]])
        z = mpc.multiply(x, y)
        return {"multiply": z, "matmul": mpc.matmul(z, y.T), "square": mpc.square(z),
                "refresh": mpc.refresh(z)}
    for n_workers in (2, 3):
        _, got = everywhere(program, n_workers)
        values = {name: reconstruct(share).tolist() for name, share in got.items()}
        assert values["matmul"] == [[420, 120], [270, 78]]
        assert values["refresh"] == values["multiply"]


# ---- errors

@pytest.mark.parametrize("protocol", [mpc.multiply, mpc.matmul])
def test_operands_of_two_rings_are_refused(world, protocol):
    x, y = give(world, np.eye(2)), give(world, np.eye(2), Z2kMinus1(64))
    with pytest.raises(ValueError, match=r"Z_2\^64 and Z_\(2\^64 - 1\); convert one"):
        protocol(x, y)


@pytest.mark.parametrize("x, y", [((2,), (2, 2)), ((2, 2), (2,)), ((2, 3), (2, 3)),
                                  ((), ())])
def test_matmul_refuses_operands_that_are_not_two_matrices(world, x, y):
    with pytest.raises(ValueError, match="no product of matrices; transpose one, or"):
        mpc.matmul(give(world, np.zeros(x)), give(world, np.zeros(y)))


def test_stacks_that_do_not_broadcast_are_refused_with_the_shapes_of_the_secrets(world):
    shapes = r"matmul of stacks: \(2,\) and \(5,\) do not broadcast; reshape"
    with pytest.raises(ValueError, match=shapes):
        mpc.matmul(give(world, np.zeros((2, 3, 4))), give(world, np.zeros((5, 4, 2))))


def test_multiply_refuses_shapes_that_do_not_broadcast(world):
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\) do not broadcast; resh"):
        mpc.multiply(give(world, [1, 2]), give(world, [1, 2, 3]))


@pytest.mark.parametrize("protocol", [mpc.multiply, mpc.matmul])
def test_a_public_operand_is_refused(world, protocol):
    with pytest.raises(TypeError, match=r"a Share, not a ndarray; .* times\(\)"):
        protocol(give(world, np.eye(2)), np.eye(2))


@pytest.mark.parametrize("op", [operator.add, operator.sub])
def test_sums_of_two_rings_are_refused(op):
    world = toy(5)
    with pytest.raises(ValueError, match="a sum: rings .*; convert one first"):
        op(give(world, [1]), give(world, [1], Z2k(3)))


def test_a_common_operand_of_a_sum_is_refused(world):
    with pytest.raises(TypeError, match=r"use plus\(\) or times\(\) for"):
        give(world, [1]) + common(world, [1])
