"""Products of two secrets: right for all inputs, sharings and masks."""

import operator
from itertools import product

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
from mpc import World, beaver, carry_tree
from mpc.audit.replay import RecordedWorld
from mpc.audit.tags import TaggedWorld
from mpc.ring import Z2k, Z2kMinus1

EDGES = [0, 1, -1, 2**62, -2**62, 2**63 - 1, -2**63, 1000, -1000]


def signed(values):
    return np.array([v % 2**64 for v in values], np.uint64)


def toy(bits, seed=1):
    return TaggedWorld(seed=seed, ring_bits=bits)


def online(world, since=0):
    """The names of the messages online, after the owner's sharing."""
    return [m.name for m in world.ledger.messages[since:]
            if m.src != "server" and not m.offline]


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

        alice: epsilon y + delta a + c = 31 * 10 + 28 * 3 + 9 = 403 = 19
        bob:   epsilon y + delta a + c = 31 * 29 + 28 * 4 + 4 = 1015 = 23

    and 19 + 23 = 42 = 6 * 7.
    """
    coins = Injected({"multiply/a": [[3], [4]], "multiply/b": [[5], [6]],
                      "multiply/c": [[9]]})
    world = RecordedWorld(seed=1, ring_bits=5, coins=coins)
    z = mpc.multiply(with_rows(world, [[20], [18]]), with_rows(world, [[10], [29]]))
    np.testing.assert_array_equal(z.rows, [[19], [23]])
    sent = [(p.src, p.dst, p.header[1], p.payload[0]) for p in world.tape]
    assert sent == [("alice", "bob", "multiply/epsilon, delta", 20 - 3),
                    ("bob", "alice", "multiply/epsilon, delta", 18 - 4),
                    ("alice", "bob", "multiply/epsilon, delta", 10 - 5),
                    ("bob", "alice", "multiply/epsilon, delta", 29 - 6),
                    ("crypto_provider", "bob", "multiply/c", 4)]


def test_multiply_at_the_edges_of_64_bits():
    world = toy(64)
    x, y = signed(EDGES)[:, None], signed(EDGES)
    z = mpc.multiply(give(world, x), give(world, y))
    expected = [signed([a * b for b in EDGES]) for a in EDGES]
    np.testing.assert_array_equal(reconstruct(z), expected)


@pytest.mark.parametrize("bits", [3, 5])
def test_a_square_is_right_for_all_sharings_of_all_inputs(bits):
    for seed in range(10):
        x = every_sharing(toy(bits, seed), range(2**bits))
        expected = [np.arange(2**bits) ** 2 % 2**bits] * 2**bits
        np.testing.assert_array_equal(reconstruct(mpc.multiply(x, x)).T, expected)


def test_a_square_by_hand_opens_its_operand_once():
    """Mod 32: x = 6 = 20 + 18, a = 3 + 4 = 7, c = 49 = 10 + 7, epsilon = 6 - 7 = 31.

        alice: epsilon x + epsilon a + c = 31 * 20 + 31 * 3 + 10 = 723 = 19
        bob:   epsilon x + epsilon a + c = 31 * 18 + 31 * 4 + 7 = 689 = 17

    and 19 + 17 = 36 = 6^2.
    """
    coins = Injected({"multiply/a": [[3], [4]], "multiply/c": [[10]]})
    x = with_rows(World(seed=1, ring_bits=5, coins=coins), [[20], [18]])
    np.testing.assert_array_equal(mpc.multiply(x, x).rows, [[19], [17]])
    assert online(x.world) == ["epsilon"] * 2


def test_matmul_by_hand():
    """Mod 32, with the secrets and masks of `test_multiply_by_hand`.

    c = -2 (3 - 4) (2 * 5 - 11) = -2 = 30 = 9 + 21. Then

        alice: (epsilon + 2 a) (delta + 2 b) + c = 37 * 38 + 9 = 1415 = 7
        bob:   (epsilon + 2 a) (delta + 2 b) + c = 39 * 40 + 21 = 1581 = 13

    and 7 + 13 = 20 = 84 = 2 * 6 * 7.
    """
    coins = Injected({"matmul/a": [[[3]], [[4]]], "matmul/b": [[[5]], [[6]]],
                      "matmul/c": [[[9]]]})
    world = World(seed=1, ring_bits=5, coins=coins)
    x, y = with_rows(world, [[[20]], [[18]]]), with_rows(world, [[[10]], [[29]]])
    np.testing.assert_array_equal(mpc.matmul(x, y).rows, [[[7]], [[13]]])


def test_matmul_is_right_for_all_inputs():
    a, b, c, d = np.indices((8,) * 4).reshape(4, -1)
    world = toy(3)
    x, y = np.stack([a, b], -1)[:, None, :], np.stack([c, d], -1)[:, :, None]
    z = mpc.matmul(give(world, x), give(world, y))
    np.testing.assert_array_equal(reconstruct(z)[:, 0, 0], 2 * (a * c + b * d) % 8)


@pytest.mark.parametrize("k, bits", [(2, 2), (3, 2), (5, 1)])
def test_matmul_is_right_for_all_masks(k, bits):
    x, y, *masks = np.indices((2**bits,) * (2 + 2 * k)).reshape(2 + 2 * k, -1, 1, 1)
    world = World(k, seed=1, ring_bits=bits, coins=Injected(
        {"matmul/a": masks[:k], "matmul/b": masks[k:]}))
    z = mpc.matmul(give(world, x), give(world, y))
    np.testing.assert_array_equal(reconstruct(z), k * x * y % 2**bits)
    assert not world.coins.unused


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("x, y", [((1, 1), (1, 1)), ((2, 2), (2, 2)), ((2, 3), (3, 2)),
                                  ((3, 5), (5, 2)), ((2, 3, 2), (2, 2)),
                                  ((2, 2), (3, 2, 1)), ((3, 1, 2, 2), (4, 2, 1)),
                                  ((0, 3), (3, 2)), ((2, 0), (0, 3))])
def test_the_rows_of_matmul_sum_to_k_times_the_product(k, x, y):
    rng, world = np.random.default_rng(0), TaggedWorld(k, seed=1)
    x, y = (rng.integers(0, 2**64, shape, dtype=np.uint64) for shape in (x, y))
    z = mpc.matmul(give(world, x), give(world, y))
    due = np.uint64(k) * (x @ y)                                # mod 2^64, as NumPy
    np.testing.assert_array_equal(reconstruct(z), due)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_matmul_is_right_in_a_ring_of_any_size(k):
    rng = np.random.default_rng(0)
    for bits in range(1, 65):
        world = World(k, seed=1, ring_bits=bits)
        x, y = rng.integers(0, world.ring.modulus, (2, 3, 3), np.uint64)
        z = mpc.matmul(give(world, x), give(world, y))
        due = world.ring.reduce(np.uint64(k) * (x @ y))
        np.testing.assert_array_equal(reconstruct(z), due)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_each_worker_multiplies_matrices_once(k, monkeypatch):
    """And the provider k - 1 times, ahead of time; the first axis has the holders."""
    world, products = World(k, seed=1), []

    def counted(self, x, y, matmul=Z2k.matmul):
        products.append(len(x))
        return matmul(self, x, y)

    monkeypatch.setattr(Z2k, "matmul", counted)
    x, y = give(world, np.ones((2, 3))), give(world, np.ones((3, 4)))
    for left, right in ((x, y), (x, y), (y.T, x.T)):
        mpc.matmul(left, right)
        assert products == [1] * (k - 1) + [k]
        products.clear()


@pytest.mark.parametrize("n_workers", [2, 3, 4])
def test_products_are_right_for_any_number_of_workers(n_workers):
    world = TaggedWorld(n_workers, seed=1, ring_bits=5)
    x, y = np.indices((32, 32))
    a, b = give(world, x), give(world, y)
    np.testing.assert_array_equal(reconstruct(mpc.multiply(a, b)), x * y % 32)
    np.testing.assert_array_equal(reconstruct(mpc.multiply(a, a)), x * x % 32)
    product = reconstruct(mpc.matmul(a, b))
    np.testing.assert_array_equal(product, n_workers * (x @ y) % 32)


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
        return {"multiply": z, "matmul": mpc.matmul(z, y.T),
                "square": mpc.multiply(z, z), "refresh": mpc.refresh(z)}
    for n_workers in (2, 3):
        _, got = everywhere(program, n_workers)
        values = {name: reconstruct(share).tolist() for name, share in got.items()}
        due = np.array([[420, 120], [270, 78]]) * n_workers
        assert values["matmul"] == due.tolist()
        assert values["square"] == [[49, 256, 729], [16, 100, 324]]
        assert values["refresh"] == values["multiply"]


# ---- opened secrets

NUMBERS = np.arange(-8, 8).reshape(4, 4)
MOVES = {"as it is": lambda x: x, "transposed": lambda x: x.T,
         "with a new axis": lambda x: x.reshape(4, 1, 4),
         "reshaped twice": lambda x: x.reshape(2, 8).T.reshape(4, 4)}


def a_masked_secret(world):
    x = give(world, world.ring.from_int(NUMBERS))
    beaver.masked(epsilon=x)
    return x, NUMBERS, 1


def a_quotient(world):
    return mpc.truncate(give(world, world.ring.from_int(10 * NUMBERS)), 10), NUMBERS, 2


def a_bit(world):
    return mpc.drelu(give(world, world.ring.from_int(NUMBERS))), NUMBERS >= 0, 1


FORMS = [a_masked_secret, a_quotient, a_bit]


@pytest.mark.parametrize("n_workers", [2, 3])
@pytest.mark.parametrize("left, right", [
    pair for i, left in enumerate(FORMS) for pair in ((left, r) for r in FORMS[i:])])
def test_a_product_of_opened_secrets_takes_no_message_online(left, right, n_workers):
    """The provider deals as many products as there are pairs of dealt numbers."""
    world = TaggedWorld(n_workers, seed=1, comparison="carry-tree")
    (x, x_clear, s), (y, y_clear, t) = left(world), right(world)
    for turn, twist in product(MOVES.values(), repeat=2):
        mark = len(world.ledger.messages)
        z = world.ring.to_int(reconstruct(mpc.multiply(turn(x), twist(y))))
        np.testing.assert_array_equal(z, turn(x_clear) * twist(y_clear))
        assert not online(world, mark)
        assert len(world.ledger.messages[mark:]) == s * t


@pytest.mark.parametrize("form", FORMS)
def test_a_square_of_an_opened_secret_takes_no_message_online(form):
    world = TaggedWorld(seed=1, comparison="carry-tree")
    x, clear, terms = form(world)
    mark = len(world.ledger.messages)
    squared = world.ring.to_int(reconstruct(mpc.multiply(x, x)))
    np.testing.assert_array_equal(squared, clear * clear)
    assert not online(world, mark)
    assert len(world.ledger.messages[mark:]) == terms**2


def test_products_of_opened_secrets_are_the_same_in_every_way_to_run_them():
    def program(world):
        (x, *_), (q, *_), (b, *_) = (form(world) for form in FORMS)
        return {"q b": mpc.multiply(q.T, b.reshape(4, 1, 4)), "q x": mpc.multiply(q, x),
                "q q": mpc.multiply(q, q), "b @ q": mpc.matmul(b, q.T)}
    for n_workers in (2, 3):
        everywhere(program, n_workers, comparison="carry-tree")


@pytest.mark.parametrize("form", FORMS)
def test_a_matrix_product_masks_its_operand_once_and_a_masked_one_not_again(form):
    world = World(seed=1, comparison="carry-tree")
    x, clear, _ = form(world)
    for due in ([] if form is a_masked_secret else ["epsilon"] * 2, []):
        mark = len(world.ledger.messages)
        z = world.ring.to_int(reconstruct(mpc.matmul(x, x.T)))
        np.testing.assert_array_equal(z, 2 * (clear.astype(int) @ clear.T))
        assert online(world, mark) == due


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
@pytest.mark.parametrize("first", [True, False])
def test_a_secret_and_its_views_are_opened_once(move, first):
    """Whichever of them is multiplied first."""
    world = World(seed=1)
    x = give(world, NUMBERS)
    for y in ((x, move(x), x) if first else (move(x), x, move(x))):
        mpc.multiply(y, y)
    mpc.multiply(x, move(x))
    assert online(world) == ["epsilon"] * 2


@pytest.mark.parametrize("part", [
    lambda x: x[:2], lambda x: x[[0, 0, 1]], lambda x: x.sum(0), lambda x: -x,
    mpc.refresh])
def test_a_part_or_a_function_of_an_opened_secret_is_opened_under_its_own_mask(part):
    world = World(seed=1)
    x = give(world, NUMBERS)
    mpc.multiply(x, x)
    y, mark = part(x), len(world.ledger.messages)
    mpc.multiply(y, y)
    assert online(world, mark) == ["epsilon"] * 2


READERS = {"truncation": lambda x: mpc.truncate(x, 10), "sign": mpc.drelu,
           "zero": carry_tree.is_zero, "square": lambda x: mpc.multiply(x, x),
           "matrix product": lambda x: mpc.matmul(x.T, x)}


@pytest.mark.parametrize("n_workers", [2, 3])
@pytest.mark.parametrize("first", READERS)
def test_a_secret_is_opened_once_whatever_reads_it(first, n_workers):
    """A sign opens bits of its own, and no word of the ring."""
    world = World(n_workers, seed=1, comparison="carry-tree")
    x = give(world, NUMBERS)
    for reader in (READERS[first], *READERS.values()):
        reader(x)
    words = [m.name for m in world.ledger.messages if not m.offline
             and m.src != "server" and m.ring == str(world.ring)]
    assert words == ["epsilon"] * n_workers * (n_workers - 1)


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


def test_matmul_refuses_packed_bits():
    """Its factor k has no meaning there."""
    world = mpc.World(comparison="carry-tree")
    bits, = world.share("server", bits=(np.ones((1, 2, 2), np.uint8), carry_tree.BITS))
    with pytest.raises(ValueError, match="matmul: bits is the wrong ring"):
        mpc.matmul(bits, bits)


def test_a_long_chain_of_views_shares_the_opening():
    world = World(comparison="carry-tree")
    x = give(world, np.arange(6).reshape(2, 3))
    mpc.multiply(x, x)
    view = x
    for _ in range(1500):
        view = view.T.reshape(3, 2)
    due = np.arange(6).reshape(2, 3)
    for _ in range(1500):
        due = due.T.reshape(3, 2)
    mark = len(world.ledger.messages)
    np.testing.assert_array_equal(reconstruct(mpc.multiply(view, view)), due**2)
    assert world.ledger.cost(mark).nbytes == 0
