"""Each worker computes on its own share: the secret changes as NumPy's array would."""

import copy
import pickle

import numpy as np
import pytest
from helpers import common, everywhere, give, reconstruct, rows_of

from mpc import FixedPoint, Local, Share, World, matmul, multiply
from mpc.audit.tags import TaggedWorld
from mpc.public import PublicArray, PublicWorld
from mpc.ring import Z2k, Z2kMinus1, Zm
from mpc.share import concatenate, shown

RINGS = [Z2k(64), Z2k(5), Z2kMinus1(64), Z2kMinus1(3), Zm(67)]
every_ring = pytest.mark.parametrize("ring", RINGS, ids=str)
every_size = pytest.mark.parametrize("n_workers", [2, 3])


def numbers(ring, shape, start=1):
    """Ring elements that differ from each other where the ring is large enough."""
    integers = [i % ring.modulus for i in range(start, start + int(np.prod(shape)))]
    return np.array(integers, ring.dtype).reshape(shape)


def agrees(compute, expected, *shapes, n_workers=2, ring=RINGS[0]):
    """``compute(*shares)`` shares ``expected(*clear)`` in its ring, in every role."""
    clear = [numbers(ring, shape, 5 * i + 1) for i, shape in enumerate(shapes)]

    def program(world):
        return {"result": compute(*(give(world, x, ring) for x in clear))}

    world, results = everywhere(program, n_workers)
    due = np.asarray(expected(*(x.astype(object) for x in clear)), object)
    due = np.asarray(due % ring.modulus, object)
    assert results["result"].shape == due.shape and results["result"].ndim == due.ndim
    assert rows_of(results["result"]).shape == (n_workers, *due.shape)
    assert reconstruct(results["result"]).tolist() == due.tolist()


# ---- linear operators


@every_ring
@every_size
def test_shares_add_subtract_and_negate(ring, n_workers):
    agrees(lambda x, y: x + y - (-x), lambda x, y: x + y + x, (2, 3), (2, 3),
           n_workers=n_workers, ring=ring)


@every_size
@pytest.mark.parametrize("x, y", [
    ((2,), (2, 2)), ((3,), (3, 3)), ((2, 3), (3,)), ((3, 2), (2,)), ((), (2,)),
    ((3, 3), ()), ((2, 1), (1, 2)), ((3,), (2, 1, 3))])
def test_shares_broadcast_as_secrets_do_even_if_a_size_is_that_of_the_workers(
        n_workers, x, y):
    agrees(lambda x, y: x + y, lambda x, y: x + y, x, y, n_workers=n_workers)
    agrees(lambda x, y: x - y, lambda x, y: x - y, x, y, n_workers=n_workers)


@every_ring
@pytest.mark.parametrize("n_workers", [2, 3, 5])
def test_exactly_one_worker_adds_a_common_value(ring, n_workers):
    world = TaggedWorld(n_workers, seed=1)
    share = give(world, numbers(ring, (4,)), ring)
    sum_ = share.plus(common(world, numbers(ring, (4,), 3), ring.dtype))
    assert reconstruct(sum_).tolist() == ring.add(
        numbers(ring, (4,)), numbers(ring, (4,), 3)).tolist()
    unchanged = (rows_of(sum_) == rows_of(share)).all(axis=1)
    assert unchanged.tolist() == [False] + [True] * (n_workers - 1)


@every_size
@pytest.mark.parametrize("x, y", [
    ((2,), (2, 2)), ((3,), (3, 3)), ((2, 2), (2,)), ((3, 3), (3,)), ((), (2,)),
    ((2,), ()), ((3, 1), (1, 2))])
def test_a_common_value_broadcasts_as_a_secret_would(n_workers, x, y):
    values = numbers(Z2k(64), y, 9)
    integers = values.astype(object)
    agrees(lambda s: s.plus(common(s.world, values)), lambda s: s + integers, x,
           n_workers=n_workers)
    agrees(lambda s: s.times(common(s.world, values)), lambda s: s * integers, x,
           n_workers=n_workers)


@every_ring
def test_a_public_integer_is_taken_as_it_is(ring):
    agrees(lambda s: s.times(3).plus(-2), lambda s: 3 * s - 2, (2, 3), ring=ring)
    agrees(lambda s: s.times(np.int64(-1)).plus(10**30), lambda s: -s + 10**30, (2,),
           ring=ring)


@every_ring
def test_a_public_factor_multiplies_in_the_ring(ring):
    two = np.full((1, 1), 2, ring.dtype)
    agrees(lambda s: s.times(two).plus(two), lambda s: 2 * s + 2, (3,), ring=ring)


# ---- the shape of the secret


@every_size
@pytest.mark.parametrize("shape, new", [
    ((2, 3), (6,)), ((2, 3), (-1,)), ((2, 3), (3, -1)), ((6,), (-1, 2)), ((), (1, -1)),
    ((2, 0), (-1,)), ((4,), (1, -1, 2)), ((2, 3), (1, 2, 3))])
def test_a_reshape_resolves_minus_one_also_without_rows(n_workers, shape, new):
    for sizes in ([new], new, [list(new)]):
        agrees(lambda s, sizes=sizes: s.reshape(*sizes), lambda x: x.reshape(new),
               shape, n_workers=n_workers)


@pytest.mark.parametrize("role", ["alice", "server"])
@pytest.mark.parametrize("new", [(5,), (4, -1), (-1, -1), (2, 2)])
def test_a_reshape_that_does_not_fit_is_refused_in_every_role(role, new):
    world = World(here=(role,), seed=1)
    share, _ = world.deal(world.ring, (6,), "x")
    with pytest.raises(ValueError, match=r"reshape: .* does not fit \(6,\); give"):
        share.reshape(new)


@every_size
@pytest.mark.parametrize("axis", [None, 0, 1, -1, -3, (0, 2), (-1, 0), (0, 1, 2), (1,)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_a_sum_counts_its_axes_in_the_secret(n_workers, axis, keepdims):
    agrees(lambda s: s.sum(axis, keepdims), lambda x: x.sum(axis, keepdims=keepdims),
           (2, 3, 4), n_workers=n_workers)


@every_ring
def test_a_sum_stays_in_its_ring(ring):
    agrees(lambda s: s.sum(), lambda x: x.sum(), (3, 40), ring=ring)
    agrees(lambda s: s.sum(0), lambda x: x.sum(0), (0, 2), ring=ring)


@every_size
@pytest.mark.parametrize("shape", [
    (), (3,), (2, 3), (3, 3), (2, 3, 4), (3, 2, 1, 2), (0, 2)])
def test_the_transpose_is_that_of_an_array(n_workers, shape):
    agrees(lambda s: s.T, lambda x: x.T, shape, n_workers=n_workers)


@pytest.mark.parametrize("axes", [
    (0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (-1, 0, -2), [1, 0, 2]])
def test_axes_change_places_among_those_of_the_secret(axes):
    agrees(lambda s: s.transpose(axes), lambda x: x.transpose(axes), (2, 3, 4))


@pytest.mark.parametrize("source, destination", [
    (0, -1), (-1, 0), (1, 2), (-2, -3), (0, 0)])
def test_an_axis_moves_among_those_of_the_secret(source, destination):
    agrees(lambda s: s.moveaxis(source, destination),
           lambda x: np.moveaxis(x, source, destination), (2, 3, 4))


PLACES = [[0], [1, 0], [-1, -1, 0], np.array([[0, 1], [1, 1]]), np.array([], int), [],
          [True, False], np.array([[True, False, True], [False, True, True]]),
          (slice(None), [2, 0]), ([0, 1], [2, 1]), (None, [1], ..., 0),
          (slice(None, None, -1), np.array([0, -1], np.int8)), ([[0], [1]], [0, 2])]


@pytest.mark.parametrize("key", PLACES, ids=str)
def test_arrays_of_public_positions_choose_as_in_numpy(key):
    agrees(lambda s: s[key], lambda x: x[key], (2, 3))


def test_cumulated_sums(world):
    agrees(lambda s: s.cumsum(1), lambda x: np.cumsum(x, 1), (2, 3, 4))
    with pytest.raises(TypeError, match="cumsum: over Z_5"):
        give(world, np.ones(3, np.uint8), Zm(5)).cumsum(0)


def test_an_opened_secret_in_another_order_shares_its_opening(world):
    x = give(world, [1, 2, 3])
    multiply(x, x)
    before = [m.name for m in world.ledger.messages if not m.offline]
    assert reconstruct(multiply(x[[2, 0, 1]], x)).tolist() == [3, 2, 6]
    assert before == [m.name for m in world.ledger.messages if not m.offline]
    multiply(x[[2, 2, 1]], x)
    assert before < [m.name for m in world.ledger.messages if not m.offline]


KEYS = [0, -1, slice(1, None), slice(None, None, -1), (0, 1), (slice(None), 0), None,
        (..., 0), (None, 1, ..., None), np.int64(1), (slice(0, 0),),
        (..., slice(None, None, 2)), ...]


@pytest.mark.parametrize("key", KEYS, ids=str)
@every_size
def test_an_index_counts_its_axes_in_the_secret(key, n_workers):
    agrees(lambda s: s[key], lambda x: x[key], (2, 3, 4), n_workers=n_workers)


@pytest.mark.parametrize("key", [
    True, 1.0, (0, False), "x", range(2), slice(True), slice(0, 1.0)], ids=str)
def test_an_index_is_a_public_position(world, key):
    share = give(world, numbers(world.ring, (2, 3)))
    with pytest.raises(TypeError, match="select by a secret with a product"):
        share[key]
    with pytest.raises(TypeError, match="select by a secret with a product"):
        share[share]


@pytest.mark.parametrize("role", ["alice", "server"])
def test_an_index_out_of_range_is_seen_in_every_role(role):
    world = World(here=(role,), seed=1)
    share, _ = world.deal(world.ring, (3, 2), "x")
    for key in (3, (0, 2), (0, 0, 0)):
        with pytest.raises(IndexError):
            share[key]


@every_size
@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_shares_join_along_an_axis_of_the_secret(n_workers, axis):
    agrees(lambda x, y: concatenate([x, y, x], axis),
           lambda x, y: np.concatenate([x, y, x], axis), (2, 2), (2, 2),
           n_workers=n_workers)


# ---- errors


@pytest.mark.parametrize("line, error, remedy", [
    ("x + 1", TypeError, r"a Share does not meet 1; use plus\(\) or times\(\)"),
    ("x - np.ones((1, 3))", TypeError, r"float64 \(1, 3\); use plus\(\) or times\(\)"),
    ("np.ones((2, 3)) + x", TypeError, r"use x \+ y, or x.plus\(value\)"),
    ("sum([x, x])", TypeError, "unsupported operand"),
    ("1 - x", TypeError, "unsupported operand"),
    ("np.add(x, x)", TypeError, r"use x \+ y, or x.plus\(value\)"),
    ("x + odd", ValueError, r"rings Z_2\^64 and Z_\(2\^64 - 1\); convert one"),
    ("x + known", TypeError, "a Share does not meet a PublicArray; use plus"),
    ("concatenate([x, odd])", ValueError, "concatenate: rings .* convert one first"),
    ("concatenate([])", ValueError, "give one share or more"),
    ("concatenate(x)", TypeError, "has no len"),
    ("concatenate([x, there])", ValueError, "two Worlds do not meet; share both in"),
    ("concatenate([x, x[None]])", ValueError, r"\(3,\), \(1, 3\)\] do not join on"),
    ("concatenate([x[None], x[None, 1:]])", ValueError, r"\(1, 3\), \(1, 2\)\] do not"),
    ("concatenate([x, fixed])", TypeError, "a FixedPoint; .* .value of a FixedPoint"),
    ("concatenate([fixed, x])", TypeError, "a FixedPoint .* .value of a FixedPoint"),
    ("concatenate([x[0], x[0]])", ValueError, "axis 0 does not fit ndim 0"),
    ("x + there", ValueError, "two Worlds do not meet; share both in one"),
    ("x + x[:2]", ValueError, r"\(3,\) and \(2,\) do not broadcast; reshape one"),
    ("x[3]", IndexError, r"\(3\) does not fit \(3,\)"),
    ("x[0, 0]", IndexError, r"does not fit \(3,\)"),
    ("x[::0]", IndexError, r"does not fit \(3,\)"),
    ("x[x:]", TypeError, r"\(a slice\) is no public position; take integers or slices"),
    ("x[x]", TypeError, r"\(a Share\) is no public position; .* secret with a product"),
    ("x.times(x)", TypeError, r"times: a Share came; .* use \+ or mpc.multiply"),
    ("x.plus(None)", TypeError, "plus: None came; give an integer or uint64"),
    ("x.times(0.5)", TypeError, "times: 0.5 came"),
    ("x.plus(True)", TypeError, "plus: a bool came"),
    ("x.times(two)", TypeError, r"times: uint64 \(2,\) came; .* as value\[None\]"),
    ("x[:2].times(two)", TypeError, r"as value\[None\]"),
    ("x.plus(two[None])", ValueError, r"plus: \(3,\) and \(2,\) do not"),
    ("x == x", TypeError, r"use mpc.equal\(x, y\)"),
    ("x != 1", TypeError, r"use mpc.equal\(x, y\)"),
    ("{x: 1}", TypeError, "unhashable"),
    ("x.sum('a')", TypeError, "an axis is a public integer, not 'a'"),
    ("x.sum(x)", TypeError, "an axis is a public integer, not a Share"),
    ("x.sum(True)", TypeError, "an axis is a public integer, not a bool"),
    ("x.sum((0, 0))", ValueError, "name each once"),
    ("x.reshape('a')", ValueError, r"\('a'\) does not fit \(3,\); give public sizes"),
    ("x.reshape(x)", ValueError, r"\(a Share\) does not fit \(3,\); give public sizes"),
    ("x.reshape(-3, -1)", ValueError, "does not fit"),
    ("Share(x.world, x.ring, [1, 2])", TypeError, "a list came, not elements of Z_2"),
    ("Share(x.world, x.ring, np.ones(2))", TypeError, r"float64 \(2,\) came, not elem"),
    ("x.sum(1)", ValueError, "axis 1 does not fit ndim 1; name each once"),
    ("x.sum((0, -2))", ValueError, r"axis \(0, -2\) does not fit ndim 1"),
    ("x.transpose((0, 1))", ValueError, r"axis \(0, 1\) does not fit ndim 1"),
    ("x.moveaxis(0, 1)", ValueError, "axis 1 does not fit ndim 1"),
    ("x.reshape(1, 3).moveaxis((0, 1), -1)", TypeError, r"integer, not \(0, 1\)"),
    ("x.reshape(1, 3).cumsum((0, 1))", TypeError, r"public integer, not \(0, 1\)"),
    ("concatenate([x, x], (0, 0))", TypeError, r"public integer, not \(0, 0\)"),
    ("x.transpose(())", ValueError, "1 axes, and 0 are named; name each once"),
    ("x[[0.5]]", TypeError, "an array of float64 came; take integers, or bools"),
    ("x[[3]]", IndexError, "does not fit"),
    ("x[np.ones(5, bool)]", IndexError, "does not fit"),
    ("concatenate([x, x], 1)", ValueError, "axis 1 does not fit ndim 1"),
    ("bool(x)", TypeError, "reveal it first"),
    ("list(x)", TypeError, "not iterable"),
    ("x.times(np.ones((1, 3), int))", TypeError, "int64 .* came; .* uint64"),
    ("x.plus(np.ones((1, 3)))", TypeError, "float64 .* came; .* uint64"),
])
def test_a_mistake_with_a_share_names_its_remedy(line, error, remedy):
    world = World(seed=7)
    x, odd = give(world, [1, 2, 3]), give(world, [1, 2, 3], Z2kMinus1(64))
    names = {"x": x, "odd": odd, "there": give(World(), [1, 2, 3]), "np": np,
             "concatenate": concatenate, "fixed": FixedPoint(x), "Share": Share,
             "two": np.array([1, 2], np.uint64),
             "known": PublicArray(PublicWorld(), x.ring, np.ones((1, 3), np.uint64))}
    with pytest.raises(error, match=remedy):
        eval(line, names)


@pytest.mark.parametrize("value, text", [
    (12345, "12345"), ("word", "'word'"), (None, "None"), (0.5, "0.5"),
    (np.float64(12345), "a float64"), (np.uint64(12345), "a uint64"),
    (True, "a bool"), ([12345], "a list"),
    (np.array([12345]), "int64 (1,)"), ((1, np.uint64(12345)), "(1, a uint64)")])
def test_a_message_shows_no_element_of_an_array(value, text):
    assert shown(value) == text


def test_a_share_shows_the_numbers_of_each_worker(world):
    share = give(world, [1, 2])
    lines = repr(share).splitlines()
    assert lines[0] == "Share(Z_2^64, shape (2,))" and len(lines) == 3
    alice, bob = rows_of(share)
    assert lines[1:] == [f"  -> alice: {alice}", f"  -> bob: {bob}"]


@pytest.mark.parametrize("role, named", [
    ("alice", ["alice:"]), ("bob", ["bob:"]), ("server", [])])
def test_a_role_sees_its_own_share_only(role, named):
    world = World(here=(role,), seed=1)
    share, _ = world.deal(world.ring, (2,), "x")
    assert [line.split()[1] for line in repr(share).splitlines()[1:]] == named


def test_a_local_value_is_shown_where_it_lives():
    here = World(seed=1).private_input("server", (2,), lambda: [1.5, 2])
    there = World(here=("alice",), seed=1).private_input("server", (2,), lambda: 1 / 0)
    assert isinstance(here, Local) and here.ndim == 1
    assert here.shape == there.shape == (2,)
    assert repr(here) == "Local(server, shape (2,))\n  -> server: [1.5 2. ]"
    assert repr(there) == "Local(server, shape (2,))\n  -> server: not in this process"


def test_no_operation_on_one_share_sends_a_message(world):
    x = give(world, numbers(world.ring, (2, 3)))
    before = len(world.ledger.messages), world.counter
    y = concatenate([(x + x - x).T, (-x).reshape(3, -1)]).sum(0)[1:]
    y = y.plus(np.ones((1, 1), np.uint64))
    assert isinstance(y, Share)
    assert (len(world.ledger.messages), world.counter) == before


@pytest.mark.parametrize("part", [
    lambda x: x, lambda x: x[0:1], lambda x: x.T, lambda x: x.reshape(-1),
    lambda x: x.transpose((1, 0))])
@pytest.mark.parametrize("before", [True, False])
def test_nobody_writes_to_a_share_whose_mask_is_kept(part, before):
    """Later products would use the old value. Nor through an earlier part of it."""
    world = World(seed=1)
    x, y = give(world, [[1, 2], [3, 4]]), give(world, [[1, 0], [0, 1]])
    view = part(x) if before else None
    matmul(x, y)
    view = part(x) if view is None else view
    with pytest.raises(ValueError, match="read-only"):
        view.rows += np.uint64(100)
    with pytest.raises(ValueError, match="read-only"):
        view.rows[:, :1][...] = 0
    with pytest.raises(AttributeError):
        x.rows = x.rows + np.uint64(100)
    assert reconstruct(x).tolist() == [[1, 2], [3, 4]]
    assert reconstruct(matmul(x, y)).tolist() == [[2, 4], [6, 8]]    # 2 x @ y


def test_rows_given_to_a_share_by_hand_are_frozen_with_its_mask():
    world = World(seed=1)
    array = np.ones((2, 2, 2), np.uint64)
    rows = array[:]
    x = Share(world, world.ring, rows)
    array += np.uint64(1)                               # not masked yet: a new value
    matmul(x, x)
    for frozen in (array, rows):
        with pytest.raises(ValueError, match="read-only"):
            frozen += np.uint64(1)
    assert reconstruct(x).tolist() == [[4, 4], [4, 4]]


def test_an_array_of_rows_becomes_read_only():
    world, rows = World(seed=1), np.ones((2, 3), np.uint64)
    Share(world, world.ring, rows)
    with pytest.raises(ValueError, match="read-only"):
        rows[0, 0] = 2


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (2, 1, 3, 2)])
def test_a_kept_mask_serves_the_transpose_of_any_number_of_axes(shape):
    world = World(seed=1)
    values = numbers(world.ring, shape), numbers(world.ring, shape[::-1], 9)
    x, y = (give(world, v) for v in values)
    multiply(x, x)
    mark = len(world.ledger.messages)
    product = reconstruct(multiply(x.T, y))
    assert {m.name for m in world.ledger.messages[mark:]} == {"c", "delta"}
    assert (product == values[0].T * values[1]).all()


# ---- the sister of a Share


def public(values, world=None):
    """A public array of integers over Z_2^64."""
    rows = Z2k(64).from_int(np.array(values))[None]
    return PublicArray(world or PublicWorld(), Z2k(64), rows)


@pytest.mark.parametrize("compute", [
    lambda x, y: x + y, lambda x, y: x - y, lambda x, y: -x, lambda x, y: x.sum(0),
    lambda x, y: x.reshape(3, -1), lambda x, y: x.T, lambda x, y: x.transpose((1, 0)),
    lambda x, y: x[:, [2, 0, 0]], lambda x, y: x.cumsum(0),
    lambda x, y: x[1:, ..., None], lambda x, y: concatenate([x, y], -1)])
def test_a_public_array_computes_as_a_share_does(world, compute):
    x, y = [[1, -2, 3], [4, 5, -6]], [[7, 8, 9], [1, -1, 0]]
    found = compute(public(x), public(y))
    secret = compute(*(give(world, world.ring.from_int(np.array(v))) for v in (x, y)))
    assert isinstance(found, PublicArray) and found.shape == secret.shape
    assert found.rows[0].tolist() == reconstruct(secret).tolist()
    assert not found.masks


def test_a_public_array_takes_public_operands_and_is_copied_and_shown_as_a_share():
    x = public([1, 2])
    assert x.plus(3).rows.tolist() == [[4, 5]] and x.times(3).rows.tolist() == [[3, 6]]
    assert copy.deepcopy(x) is x is copy.copy(x)
    assert repr(x) == "PublicArray(Z_2^64, shape (2,))\n  -> everybody: [1 2]"
    with pytest.raises(TypeError, match="is not pickled"):
        pickle.dumps(x)
    with pytest.raises(TypeError, match="does not meet a Share"):
        x + give(World(), [1, 2])


def test_the_transpose_of_a_vector_is_the_vector_and_is_opened_once(world):
    x = give(world, [1, 2, 3])
    z = multiply(x, x.T)
    opened = [m.name for m in world.ledger.messages if not m.offline]
    np.testing.assert_array_equal(reconstruct(z), [1, 4, 9])
    assert opened.count("epsilon") == 2 and "delta" not in opened


def test_one_share_joined_keeps_its_masks(world):
    x, (old, _), (fresh, _) = (
        give(world, [1, 2]), *(world.deal(world.ring, (2,), n) for n in ("r", "s")))
    hidden = (x + old).times(np.ones((1, 2), np.uint64)) + fresh
    opened, = world.open(v=concatenate([hidden]))
    assert opened.shape == (1, 2)
