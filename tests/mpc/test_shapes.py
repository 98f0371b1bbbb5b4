"""Every protocol gives NumPy's shapes and values, for stacks, broadcasting and arrays
without elements, and refuses the operands that NumPy refuses."""

import sys

import numpy as np
import pytest
from helpers import everywhere, give, reconstruct
from hypothesis import given, settings
from hypothesis import strategies as st

import mpc
from mpc import World, carry_tree, comparison
from mpc.ring import Bits, pack_bits

WAYS = {"SecureNN": {}, "three workers": {"n_workers": 3},
        "tree": {"comparison": "carry-tree", "truncation": "provider"}}
sizes = st.integers(0, 3)
shapes = st.lists(sizes, max_size=3).map(tuple)


def small(shape, seed=0):
    """Small signed integers with many ties."""
    return np.random.default_rng(seed).integers(-2, 3, shape)


def check(way, step, due, *values):
    """`step` of shares of `values` shares ``due(*values)``, in values and in shape."""
    world = World(seed=1, **WAYS[way])
    try:
        expected = np.asarray(due(*values))
    except ValueError:
        with pytest.raises(ValueError):
            step(*(give(world, world.ring.from_int(v)) for v in values))
        return
    found = step(*(give(world, world.ring.from_int(v)) for v in values))
    assert found.shape == expected.shape
    np.testing.assert_array_equal(world.ring.to_int(reconstruct(found)), expected)


ELEMENTWISE = {
    "multiply": (mpc.multiply, np.multiply), "equal": (mpc.equal, np.equal),
    "add": (lambda x, y: x + y, np.add), "sub": (lambda x, y: x - y, np.subtract),
    "select": (lambda x, y: mpc.select_share(mpc.drelu(x), x, y),
               lambda x, y: np.where(x >= 0, y, x)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ELEMENTWISE)
@settings(max_examples=25, deadline=None)
@given(x=shapes, y=shapes)
def test_elementwise_steps_broadcast_as_numpy_does(way, name, x, y):
    check(way, *ELEMENTWISE[name], small(x), small(y, 1))


ALONE = {"relu": (mpc.relu, lambda x: np.maximum(x, 0)),
         "drelu": (mpc.drelu, lambda x: x >= 0),
         "square": (lambda x: mpc.multiply(x, x), np.square),
         "refresh": (mpc.refresh, lambda x: x),
         "truncate": (lambda x: mpc.truncate(x.times(8), 8), lambda x: x),
         "transpose": (lambda x: x.T, np.transpose)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ALONE)
@settings(max_examples=15, deadline=None)
@given(x=shapes)
def test_steps_of_one_operand_keep_its_shape(way, name, x):
    check(way, *ALONE[name], small(x))


def matrices(draw):
    """Two shapes whose matrix product exists, each perhaps a stack that broadcasts."""
    m, k, n = (draw(sizes) for _ in range(3))
    stack = draw(st.lists(st.integers(1, 3), max_size=2))
    left, right = ([draw(st.sampled_from([1, size])) for size in stack][draw(
        st.integers(0, len(stack))):] for _ in range(2))
    return (*left, m, k), (*right, k, n)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=40, deadline=None)
@given(shapes=st.composite(matrices)())
def test_matrix_products_of_stacks_are_those_of_numpy(way, shapes):
    x, y = (small(shape, i) for i, shape in enumerate(shapes))
    k = WAYS[way].get("n_workers", 2)
    check(way, mpc.matmul, lambda x, y: k * (x @ y), x, y)


@pytest.mark.parametrize("x, y", [
    ((2, 128, 4), (4, 3)), ((1, 256, 4), (4, 3)), ((5, 4), (2, 4, 3)),
    ((2, 1, 3, 4), (5, 4, 2)), ((3, 0, 4), (4, 2)), ((2, 3, 0), (0, 4))])
def test_products_of_stacks_agree_in_every_role(x, y):
    clear = small(x), small(y, 1)

    def program(world):
        return {"z": mpc.matmul(*(give(world, world.ring.from_int(v)) for v in clear))}

    world, results = everywhere(program)
    np.testing.assert_array_equal(world.ring.to_int(reconstruct(results["z"])),
                                  2 * (clear[0] @ clear[1]))


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=15, deadline=None)
@given(shape=st.tuples(shapes, st.integers(1, 6)).map(lambda s: (*s[0], s[1])))
def test_maxima_have_the_shape_and_the_place_of_numpys(way, shape):
    x = small(shape)
    place = np.eye(shape[-1], dtype=int)[x.argmax(-1)] if x.size else x
    check(way, mpc.comparison.maximum,
          lambda x: x.max(-1) if x.size else np.zeros(shape[:-1]), x)
    check(way, mpc.comparison.argmax_one_hot, lambda _: place, x)
    check(way, lambda s: mpc.tournament(s)[1], lambda _: place, x)
    if way in ("tree", "three workers") and shape[-1] > 1:
        check(way, mpc.all_pairs, lambda _: place, x)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 17])
@pytest.mark.parametrize("stack", [(), (2,), (3, 2), (0,)])
def test_packed_bits_of_any_stack_come_into_the_ring(n, stack):
    world = World(seed=1, comparison="carry-tree")
    bits = np.random.default_rng(0).integers(0, 2, (*stack, n)).astype(np.uint8)
    packed = give(world, pack_bits(bits), Bits())
    found = carry_tree.bit_to_arithmetic(packed, n, world.ring)
    assert found.shape == bits.shape and (reconstruct(found) == bits).all()


@pytest.mark.parametrize("n", [0, 8, 17, 10**9, None, 9.0])
def test_more_or_fewer_bits_than_are_packed_are_refused(n):
    world = World(seed=1, comparison="carry-tree")
    with pytest.raises(ValueError, match=r"bit_to_arithmetic: shape \(2,\) .*not hold"):
        carry_tree.bit_to_arithmetic(give(world, [1, 2], Bits()), n, world.ring)


def test_a_single_number_has_no_axis_to_pack():
    world = World(seed=1, comparison="carry-tree")
    with pytest.raises(ValueError, match="a single number .* reshape it to"):
        carry_tree.msb(give(world, 1))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("step", [mpc.drelu, mpc.relu, lambda x: mpc.truncate(x, 2),
                                  lambda x: mpc.equal(x, x), mpc.tournament])
def test_a_share_over_a_ring_without_signs_is_refused(way, step):
    world = World(seed=1, **WAYS[way])
    for ring in (mpc.ring.Z2kMinus1(64), mpc.ring.Zm(67)):
        with pytest.raises(ValueError, match=r"Z_2\^l"):
            step(give(world, [1, 2], ring))


# ---- large tournaments


def test_few_candidates_meet_in_pairs_and_many_in_a_tournament():
    """A public rule: all pairs of 2 to 64 candidates on the carry tree."""
    for m, chosen in ((1, "tournament"), (2, "all_pairs"), (64, "all_pairs"),
                      (65, "tournament"), (300, "tournament")):
        for step in (comparison.maximum, comparison.argmax_one_hot):
            world = World(seed=1, comparison="carry-tree")
            step(give(world, np.arange(m)))
            calls = {"all_pairs", "tournament"} & set(world.ledger.calls)
            one_hot = step is comparison.argmax_one_hot
            due = {chosen} if one_hot or chosen == "all_pairs" else set()
            assert calls == due, m
            widest = max((m.shape[0] for m in world.ledger.messages
                          if m.name == "epsilon" and m.path.endswith("msb")), default=0)
            assert widest == (m * (m - 1) // 2 if chosen == "all_pairs" else m // 2)


@pytest.mark.parametrize("m", [63, 64, 65, 100, 300])
def test_the_largest_of_many_is_found(m):
    x = np.random.default_rng(m).integers(-50, 50, (2, m))
    check("tree", comparison.maximum, lambda x: x.max(-1), x)
    check("tree", comparison.argmax_one_hot,
          lambda x: np.eye(m)[x.argmax(-1)].astype(int), x)


def test_all_pairs_of_many_are_made_without_a_loop_over_them():
    """4,950 comparisons, in as few calls of Python functions as 190 take."""
    counts = {}
    for m in (20, 100):
        world = World(seed=1, comparison="carry-tree")
        x, calls = give(world, np.arange(m)), [0]

        def count(frame, event, argument, calls=calls):
            calls[0] += event == "call"

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            mpc.all_pairs(x)
        finally:
            sys.setprofile(before)
        counts[m] = calls[0]
    assert counts[100] < 2 * counts[20]
