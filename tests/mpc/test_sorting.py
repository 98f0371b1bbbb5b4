"""Sorting and shuffling of fixed-point numbers: order, ties, prices, refusals."""

from collections import Counter
from functools import partial
from itertools import permutations, product

import numpy as np
import pytest
from helpers import everywhere, give, reconstruct, rows_of
from price import protocols

from mpc import World, fix_precision, sorting
from mpc.audit.tags import TaggedWorld
from mpc.ring import Zm

WAYS = [(2, "carry-tree"), (3, "carry-tree"), (2, "securenn")]
CALLS = {"sort": sorting.sort, "top_k": lambda x: sorting.top_k(x, 2),
         "median": sorting.median, "sort_rows": lambda x: sorting.sort_rows(x, 1),
         "shuffle": sorting.shuffle}


def shared(world, x, **options):
    return fix_precision(x, **options).share(
        *world.workers, crypto_provider=world.crypto_provider)


def decoded(x):
    return x.get().float_precision()


# ---- the network


@pytest.mark.parametrize("n", range(1, 13))
def test_the_network_sorts_every_sequence_of_zeros_and_ones(n):
    """So it sorts everything: the zero-one principle (Knuth, 5.3.4, theorem Z)."""
    x = np.array([*product((0, 1), repeat=n)]).reshape(-1, n)
    for first, last in [(0, n), (n - 1, n), (n // 2, n // 2 + 1), (0, 1)]:
        y = x.copy()
        for low, high in sorting._comparators(n, range(first, last)):
            assert len({*low, *high}) == 2 * len(low)       # disjoint: one message
            y[:, low], y[:, high] = (np.minimum(y[:, low], y[:, high]),
                                     np.maximum(y[:, low], y[:, high]))
        np.testing.assert_array_equal(y[:, first:last], np.sort(x)[:, first:last])


@pytest.mark.parametrize("n, layers, comparators, largest", [
    (2, 1, 1, 1), (4, 3, 5, 3), (16, 10, 63, 15), (100, 28, 1077, 99)])
def test_the_size_of_the_network(n, layers, comparators, largest):
    network = sorting._comparators(n, range(n))
    assert (len(network), sum(len(low) for low, _ in network)) == (layers, comparators)
    last = sorting._comparators(n, range(n - 1, n))
    assert sum(len(low) for low, _ in last) == largest
    t = (n - 1).bit_length()
    assert layers == t * (t + 1) // 2


@pytest.mark.parametrize("n_workers, comparison, n", [
    (*way, n) for way in WAYS for n in (1, 2, 3, 7, 16) if n < 7 or "tree" in way[1]])
def test_numbers_are_sorted_with_ties_and_both_signs(n_workers, comparison, n):
    x = np.random.default_rng(n).integers(-3, 4, (5, n)) / 2
    x[0] = np.geomspace(1e-3, 1e15, n) * (-1) ** np.arange(n)
    world = TaggedWorld(n_workers, seed=1, comparison=comparison)
    for given in (fix_precision(x), shared(world, x)):
        due = np.sort(fix_precision(x).float_precision())
        np.testing.assert_array_equal(decoded(sorting.sort(given)), due)
        np.testing.assert_array_equal(decoded(sorting.sort(given, 0)), np.sort(
            fix_precision(x).float_precision(), axis=0))
        k = (n + 1) // 2
        np.testing.assert_array_equal(decoded(sorting.top_k(given, k)),
                                      due[:, ::-1][:, :k])
        error = np.abs(decoded(sorting.median(given)) - np.median(due, axis=1))
        assert error.max() <= 0.001 + 1e-6 * np.abs(np.median(due, axis=1)).max()


@pytest.mark.parametrize("n_workers, comparison", WAYS)
def test_rows_are_sorted_by_a_column_and_stay_together(n_workers, comparison):
    x = np.random.default_rng(1).integers(-9, 9, (2, 9, 3)).astype(float)
    world = World(n_workers, seed=1, comparison=comparison)
    for column in range(3):
        for given in (fix_precision(x), shared(world, x)):
            found = decoded(sorting.sort_rows(given, column))
            np.testing.assert_array_equal(found[..., column], np.sort(x[..., column]))
            for one, other in zip(found, x, strict=True):
                assert Counter(map(tuple, one)) == Counter(map(tuple, other))


def test_pending_products_and_weights_are_sorted_at_their_scale():
    world = World(seed=1, comparison="carry-tree")
    x = shared(world, [3.0, -1.5, 2.0])
    found = decoded(sorting.sort(x * x))
    assert np.abs(found - [2.25, 4, 9]).max() <= 0.001
    weight = shared(world, [0.5, 1e-7, -1e-7], weight_scale=10**6)
    assert decoded(sorting.sort(weight)).tolist() == [-1e-7, 1e-7, 0.5]
    assert sorting.median(x).get().float_precision() == 2


def test_a_median_of_an_even_number_is_a_mean():
    for x in ([1.0, 4.0, 2.0, 8.0], [1.0, -1.0]):
        found = sorting.median(shared(World(seed=1), x))
        assert abs(float(found.get()) - np.median(x)) <= 0.001


# ---- the shuffle


@pytest.mark.parametrize("n_workers, comparison", WAYS)
@pytest.mark.parametrize("shape", [(1,), (7,), (7, 3), (4, 2, 3), (0, 2), (3, 0)])
def test_a_shuffle_keeps_the_rows(n_workers, comparison, shape):
    x = np.arange(np.prod(shape)).reshape(shape) - 3.0
    world = TaggedWorld(n_workers, seed=1, comparison=comparison)
    found = decoded(sorting.shuffle(shared(world, x)))
    assert found.shape == shape
    assert sorted(found.tolist(), key=str) == sorted(x.tolist(), key=str)


@pytest.mark.parametrize("n_workers", [2, 3])
def test_every_order_is_equally_likely(n_workers):
    """4,800 shuffles of three numbers in one call: 800 of each order, within 4.5 sd."""
    world = World(n_workers, seed=1, comparison="carry-tree")
    x = give(world, np.broadcast_to(np.arange(3), (4800, 3))[..., None])
    found = Counter(map(tuple, reconstruct(sorting.shuffle_rows(x))[..., 0].tolist()))
    assert set(found) == set(permutations(range(3)))
    assert max(abs(n - 800) for n in found.values()) < 4.5 * (800 * 5 / 6)**0.5


def test_an_order_is_the_composition_of_all_workers_orders():
    """rho first, then that of each worker: an order sorts the sum of its words."""
    n, rows = 5, {}

    def coins(label, ring, shape):
        if label.endswith(("rho", "order")):
            rng = np.random.default_rng(len(rows))
            rows[len(rows)] = words = rng.integers(0, 2**63, shape).astype(np.uint64)
            return words

    world = World(3, comparison="carry-tree", coins=coins)
    found = reconstruct(sorting.shuffle_rows(give(world, np.arange(n)[:, None])))
    due = np.arange(n)
    for words in rows.values():
        due = due[np.argsort(words.sum(axis=0))]
    assert len(rows) == 4 and found[:, 0].tolist() == due.tolist()


@pytest.mark.parametrize("n_workers", [2, 3])
def test_each_worker_receives_the_rows_once_under_a_mask(n_workers):
    world = World(n_workers, seed=1, comparison="carry-tree")
    x = shared(world, np.ones((6, 2)))
    since = len(world.ledger.messages)
    sorting.shuffle(x)
    online = [m for m in world.ledger.messages[since:] if not m.offline]
    workers = [str(w) for w in world.workers]
    assert Counter((m.src, m.dst) for m in online) == Counter(
        (src, dst) for dst in workers for src in workers if src != dst)
    assert {m.name for m in online} == {"epsilon"}


def test_a_shuffle_of_shares_leaves_shares_that_are_not_its_input(world):
    x = give(world, np.arange(50)[:, None])
    found = rows_of(sorting.shuffle_rows(x))
    for row in found:
        assert not np.isin(row, rows_of(x)).any()


# ---- messages


@pytest.mark.parametrize("n_workers, comparison", WAYS)
@pytest.mark.parametrize("name", CALLS)
def test_all_messages_are_those_of_protocols_with_view_tables(
        name, n_workers, comparison):
    audited = {name.split(".")[1] for name in protocols()}
    ledgers = []
    for x in (np.arange(12.0).reshape(4, 3), np.ones((4, 3))):
        world = World(n_workers, seed=1, comparison=comparison)
        given = shared(world, x)
        mark = len(world.ledger.messages)
        CALLS[name](given)
        ledgers.append(world.ledger.messages[mark:])
    assert ledgers[0] == ledgers[1]                 # whatever the values
    inside = {part for m in ledgers[0] for part in m.path.split("/")}
    assert inside and inside <= audited


@pytest.mark.parametrize("n_workers, comparison", WAYS[:2])
def test_sorting_and_shuffling_are_the_same_in_every_way_to_run_them(
        n_workers, comparison):
    def program(world):
        x = shared(world, [[0.5, 3.0], [-2.0, 1.0], [0.5, 4.0]])
        return {name: call(x) for name, call in CALLS.items()}

    everywhere(program, n_workers, comparison=comparison)


# ---- refusals


@pytest.mark.parametrize("value", [2.0, np.ones(3), [1, 2]])
@pytest.mark.parametrize("name", CALLS)
def test_an_operand_that_is_no_fixed_point_number_is_refused(name, value):
    with pytest.raises(TypeError, match=f"{name} takes a FixedPoint, not .*; encode"):
        CALLS[name](value)


REFUSED = [
    (partial(sorting.top_k, k=4), ValueError, r"top_k: k = 4 of 3 numbers; take an"),
    (partial(sorting.top_k, k=0), ValueError, "top_k: k = 0 of 3"),
    (partial(sorting.top_k, k=1.0), ValueError, "top_k: k = 1.0 of 3"),
    (partial(sorting.sort, axis=1), ValueError, "axis 1 does not fit ndim 1"),
    (partial(sorting.sort_rows, column=0), ValueError, r"no column 0 in \(3,\)"),
]


@pytest.mark.parametrize("call, kind, message", REFUSED)
def test_operands_that_do_not_fit_are_refused_with_a_remedy(call, kind, message):
    for given in (fix_precision([1.0, 2.0, 3.0]), shared(World(seed=1), [1.0] * 3)):
        with pytest.raises(kind, match=message):
            call(given)


def test_columns_nothing_public_and_a_single_number_are_refused():
    world = World(seed=1)
    for column in (3, -1, None, True):
        with pytest.raises(ValueError, match="no column"):
            sorting.sort_rows(shared(world, np.ones((2, 3))), column)
    with pytest.raises(ValueError, match="median: no number along this axis"):
        sorting.median(shared(world, np.ones((2, 0))))
    with pytest.raises(TypeError, match="know the order of a public value; share"):
        sorting.shuffle(fix_precision([1.0]))
    with pytest.raises(TypeError, match="only server knows it; share"):
        sorting.shuffle(fix_precision(1.0).share(
            *world.workers, crypto_provider=world.crypto_provider).get())
    with pytest.raises(ValueError, match="axis -1 does not fit ndim 0"):
        sorting.sort(shared(world, 1.0))
    with pytest.raises(ValueError, match="shuffle: a single number has no order"):
        sorting.shuffle(shared(world, 1.0))
    with pytest.raises(ValueError, match="shuffle_rows: .* the wrong ring"):
        sorting.shuffle_rows(give(world, np.zeros((3, 1)), Zm(7)))
