"""Fixed point: operators beside NumPy's, secret and public; scales; errors."""

import operator
from fractions import Fraction

import numpy as np
import pytest
from helpers import everywhere, reconstruct, rows_of

import mpc
import nn
from mpc import World, fix_precision, public
from mpc.audit.replay import RecordedWorld
from mpc.encoding import as_fraction, as_scale
from mpc.ring import Z2k

BASES = [(10, 3), (2, 10)]


def share(world, array, owner=None, base=10, precision=3, weight_scale=1):
    x = fix_precision(array, precision, base, world.ring, weight_scale=weight_scale)
    return x.share(*world.workers, crypto_provider=world.crypto_provider, owner=owner)


def decode(x):
    return x.get().float_precision()


def numbers(*shape):
    """Multiples of 1/8 in -3 .. 3, which both bases hold exactly."""
    rng = np.random.default_rng([*shape, 5])
    return rng.integers(-24, 25, shape) / 8


# ---- encoding and decoding

@pytest.mark.parametrize("base, precision, number, raw", [
    (10, 3, 0, 0), (10, 3, 1.5, 1500), (10, 3, -0.001, -1), (10, 3, 0.0004, 0),
    (10, 3, 0.0006, 1), (10, 3, -0.0004, 0), (10, 3, -0.0006, -1), (10, 0, 7, 7),
    (2, 10, 1.5, 1536), (2, 10, -2**-10, -1), (2, 0, -3, -3),
    (10, 3, 2.1e15, 2.1e18), (2, 10, -(2.0**50), -2.0**60),
    (10, 0, 2**53 + 1, 2**53 + 1), (10, 3, 10**14 + 1, 10**17 + 1000),
    (10, 3, 1e14 + 0.125, 10**17 + 125),
])
def test_encode_rounds_to_the_nearest_multiple(base, precision, number, raw):
    x = fix_precision(number, precision, base)
    assert x.ring.to_int(rows_of(x)).tolist() == [raw]
    assert x.float_precision() == raw / base**precision


@pytest.mark.parametrize("dtype", [
    bool, np.int8, np.uint8, np.int32, np.uint64, np.float16, np.float32, np.longdouble,
    object])
def test_numbers_of_every_type_are_encoded_by_their_value(dtype):
    array, s = np.array([1, 0, 1]).astype(dtype), share(World(seed=1), [1.5, 2, 3])
    np.testing.assert_array_equal(fix_precision(array).float_precision(), [1, 0, 1])
    np.testing.assert_array_equal(decode(s * array), [1.5, 0, 3])
    np.testing.assert_array_equal(decode(s + array), [2.5, 2, 4])


@pytest.mark.parametrize("array", [
    [1j], np.array([1 + 2j]), ["1.5"], np.array(["2020-01-01"], "datetime64[D]"),
    [None], [b"1"], np.ma.array([1.0, 2.0], mask=[0, 1]), [np.datetime64("2020-01-01")],
    {"a": 1}], ids=lambda a: type(a).__name__ + getattr(a, "dtype", np.dtype("O")).str)
def test_other_types_are_refused_as_data_and_as_operands(array):
    s = share(World(seed=1), [1.0])
    for use in (fix_precision, lambda a: s + a, lambda a: s * a, lambda a: s > a, s.eq,
                lambda a: a - s):
        with pytest.raises(TypeError):
            use(array)


@pytest.mark.parametrize("number", [1e16, -1e16, 1e308, 2.2e15, 2**70])
def test_a_number_out_of_range_is_refused_with_its_place_scale_and_limit(world, number):
    """The message leaves out the number itself, which may be a secret."""
    remedy = (r"^fixed point: the number at \[1\] cannot be represented at scale 1000 "
              r"in Z_2\^64, whose limit is 2.16173e\+15; take fewer fractional digits "
              r"or scale the data$")
    numbers = np.array([1.0, float(number)])
    with pytest.raises(ValueError, match=remedy):
        fix_precision([1.0, number])
    with pytest.raises(ValueError, match=remedy):   # at its owner, before any message
        fix_precision(world.private_input(world.workers[0], (2,), lambda: numbers))
    with pytest.raises(ValueError, match=remedy):
        share(world, [1.0, 2.0]) + numbers


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(world, number):
    s, t = share(world, [1.0, 2.0]), share(world, [1.0])
    for use in (lambda: fix_precision([1.0, number]), lambda: s + number,
                lambda: t > number, lambda: t * [number], lambda: number - t):
        with pytest.raises(ValueError, match="nan or inf in an array; give finite num"):
            use()


def test_integers_meet_public_numbers_in_the_range_of_values_only():
    bit = share(World(seed=1), [1.0]) > 0
    for use in (lambda: bit + 10**17, lambda: bit > 10**17, lambda: 10**17 - bit):
        with pytest.raises(ValueError, match="cannot be represented at scale 1000"):
            use()
    assert decode(bit + 10**15 - 10**15).tolist() == [1]


def test_the_limit_depends_on_digits_base_and_ring():
    assert fix_precision(2.0**40, 3).float_precision() == 2.0**40
    for digits, base, bits in ((7, 10, 64), (24, 2, 64), (3, 10, 32)):
        limit = f"scale {base**digits} in Z_2.{bits}, whose limit is"
        with pytest.raises(ValueError, match=limit):
            fix_precision(2.0**40, digits, base, Z2k(bits))


# ---- operators: one line each, on secret and on public operands, against NumPy

TWO = ["x + y", "x - y", "x * y", "x * y + x", "x * x - y * y", "(x + 1) * (y - 1)",
       "-x * y", "x * y * 0.5", "(x * y).sum()", "(x - y) / 64 + y", "x + y * y",
       "x * y / 64 * y"]        # in the last one the first rounding counts y times
TWO_SHAPES = [((2, 3), (2, 3)), ((3, 2), (3, 2)), ((2, 2), (2,)), ((3,), (2, 3)),
              ((2, 1), (2,)), ((2, 2, 2), (2, 2)), ((), (2,)), ((3, 1), (1, 2))]
KINDS = [("secret", "secret"), ("secret", "public"), ("public", "secret"),
         ("public", "public"), ("secret", "array"), ("array", "secret"),
         ("array", "public")]


def operand(kind, array, world):
    if kind == "array":
        return array
    return share(world, array) if kind == "secret" else fix_precision(array)


@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
@pytest.mark.parametrize("line", TWO)
def test_two_operands_as_in_numpy(line, kinds):
    world = World(seed=1)
    for shapes in TWO_SHAPES:
        x, y = numbers(*shapes[0]), numbers(*shapes[1])
        xs, ys = operand(kinds[0], x, world), operand(kinds[1], y, world)
        got, expected = eval(line, {"x": xs, "y": ys}), eval(line, {"x": x, "y": y})
        if not isinstance(got, np.ndarray):     # no part of it was fixed point
            got = decode(got)
        assert got.shape == expected.shape
        bound = 0.0045 if "64 * y" in line else 0.0011
        np.testing.assert_allclose(got, expected, atol=bound)


ONE = ["1 - x", "x - 1", "2.5 + x", "A + x", "x - A", "A - x", "A * x", "x * A",
       "x ** 2", "-x", "3 * x", "x * 0.5", "x * -0.02", "x / 64", "x / 0.5", "x * 0",
       "np.float64(0.5) * x", "np.int64(3) - x", "x * np.array(0.25)",
       "np.array(2.0) + x", "True + x", "x / 3", "x * (1 / 3)",
       "np.add(x, A)", "np.multiply(A, x)", "np.subtract(A, x)",
       "np.negative(x)", "np.divide(x, 4)", "np.matmul(x.T, A)", "np.matmul(A.T, x)",
       "x.T", "x.sum()", "x.sum(0)", "x.sum(np.int64(1))", "x.sum((0, np.int64(1)))",
       "x.sum(axis=-1)", "x.sum(1, keepdims=True)", "x.reshape(-1)", "x.reshape(3, -1)",
       "x.reshape((1, 6))", "x[0]", "x[-1, 1:]", "x[:, None]", "x[..., 0]", "x.T @ A",
       "A @ x.T", "A.T @ x", "x @ B", "B.T @ x.T", "(x @ B + 1) * 0.5"]


@pytest.mark.parametrize("kind", ["secret", "public"])
@pytest.mark.parametrize("line", ONE)
def test_one_operand_as_in_numpy(line, kind):
    world = World(seed=1)
    for shape in ((2, 3), (3, 2)):
        x = numbers(*shape)
        public = {"A": numbers(*shape), "B": numbers(shape[1], 4), "np": np}
        expected = eval(line, {**public, "x": x})
        got = decode(eval(line, {**public, "x": operand(kind, x, world)}))
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, atol=0.0011)


@pytest.mark.parametrize("x, y", [
    ((2, 2), (2, 2)), ((3, 2), (2, 3)), ((2, 3, 2), (2, 2)), ((2, 2), (3, 2, 1)),
    ((1, 3), (3, 1))])
@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
def test_products_of_matrices_as_in_numpy(kinds, x, y):
    world, x, y = World(seed=1), numbers(*x), numbers(*y)
    got = operand(kinds[0], x, world) @ operand(kinds[1], y, world)
    np.testing.assert_allclose(decode(got), x @ y, atol=0.0011)


COMPARED = [("x > y", "x > y"), ("x >= y", "x >= y"), ("x < y", "x < y"),
            ("x <= y", "x <= y"), ("x.eq(y)", "x == y"), ("x > 0.5", "x > 0.5"),
            ("0.5 >= x", "0.5 >= x"), ("x.eq(0.5)", "x == 0.5"),
            ("(x - y).drelu()", "x >= y"), ("x.drelu()", "x >= 0"),
            ("(x - y).relu()", "np.maximum(x - y, 0)"), ("(x > y) * x", "(x > y) * x"),
            ("(x > y) + 0.25", "(x > y) + 0.25"),
            ("(x > y) / 4 - 0.3", "(x > y) / 4 - 0.3")]


@pytest.mark.parametrize("kinds", [
    *[k for k in KINDS if k[0] != "array"], ("public", "array")], ids="-".join)
def test_comparisons_as_in_numpy_also_for_equal_operands(kinds):
    world, values = World(seed=1), np.array([-2.5, -0.001, 0, 0.001, 0.5, 0.501])
    x, y = values[:, None], values
    xs, ys = operand(kinds[0], x, world), operand(kinds[1], y, world)
    for line, numpy_line in COMPARED:
        got = decode(eval(line, {"x": xs, "y": ys}))
        expected = eval(numpy_line, {"x": x, "y": y, "np": np})
        np.testing.assert_allclose(got, expected, atol=1e-12, err_msg=line)


def test_an_array_may_stand_on_the_left_of_a_comparison():
    y = share(World(seed=1), [1.0, 2.0, 3.0])
    for op in (operator.gt, operator.ge, operator.lt, operator.le):
        expected = op(2, np.arange(1, 4))
        np.testing.assert_array_equal(decode(op(np.full(3, 2.0), y)), expected)


@pytest.mark.parametrize("line", [
    "x.max()", "x.max(0)", "x.max(axis=1)", "x.max(-1)", "x.max(axis=-2)",
    "x.argmax()", "x.argmax(0)", "x.argmax(axis=1)", "x.argmax(-1)",
    "x.argmax(axis=-2)"])
@pytest.mark.parametrize("kind", ["secret", "public"])
def test_maxima_as_in_numpy_with_many_ties(line, kind):
    world = World(seed=1)
    for shape in ((2, 2), (2, 3), (3, 2), (2, 3, 2)):
        x = np.random.default_rng(0).integers(-1, 2, shape) / 8
        got = decode(eval(line, {"x": operand(kind, x, world)}))
        np.testing.assert_array_equal(got, eval(line, {"x": x}))


@pytest.mark.parametrize("kind", ["secret", "public"])
def test_a_one_hot_argmax_marks_the_first_maximum(kind):
    x = operand(kind, np.array([[1.0, 3, 3], [0, -1, 0]]), World(seed=1))
    hot = x.argmax(axis=1, one_hot=True)
    np.testing.assert_array_equal(decode(hot), [[0, 1, 0], [1, 0, 0]])
    assert hot.scale == 1
    hot = x.argmax(0, one_hot=True)
    np.testing.assert_array_equal(decode(hot), [[1, 0], [1, 0], [1, 0]])


@pytest.mark.parametrize("base, precision", BASES)
def test_both_bases_compute_alike(base, precision):
    world, x, y = World(seed=1), numbers(3, 2), numbers(2, 3)
    xs, ys = (share(world, v, base=base, precision=precision) for v in (x, y))
    np.testing.assert_allclose(decode(xs @ ys / 3), x @ y / 3, atol=0.0011)
    np.testing.assert_array_equal(decode(xs.T > ys), x.T > y)
    np.testing.assert_array_equal(decode(xs.max(axis=0)), x.max(axis=0))


@pytest.mark.parametrize("bits", [20, 32, 48])
def test_smaller_rings_compute_alike(bits):
    world = World(seed=1, ring_bits=bits)
    x, y = np.array([[0.5, -0.1, 0], [0.3, 0.2, -0.4]])
    xs, ys = (share(world, v, precision=1) for v in (x, y))
    np.testing.assert_allclose(decode(xs + ys), x + y)
    np.testing.assert_array_equal(decode(xs > ys), x > y)
    np.testing.assert_array_equal(decode(xs.max()), 0.5)


@pytest.mark.parametrize("n_workers", [2, 3, 4])
def test_any_number_of_workers_computes_alike(n_workers):
    world = World(n_workers, seed=1, comparison="carry-tree", truncation="provider")
    s, t = share(world, [1.0, -2.0]), share(world, [0.5, 4.0])
    assert decode(2 * s + t - 1).tolist() == [1.5, -1]
    assert "truncate_with_provider" not in world.ledger.calls   # a divisor of 1 is free
    assert decode(s * t).tolist() == [0.5, -8]
    assert decode((s * t).relu()).tolist() == [0.5, 0]
    assert decode(s > t).tolist() == [1, 0] and decode(s.eq(t - 6)).tolist() == [0, 1]
    assert decode(s.max()) == 1 and decode(t.argmax()) == 1


def test_the_same_program_everywhere():
    def program(world):
        alice, bob = world.workers
        x = share(world, [[1.0, -2.0], [0.5, 4.0]], owner=alice)
        y = share(world, [[0.5, 0.25], [-1.0, 2.0]], owner=bob)
        z = (x @ y * 0.5 + x / 64 - 1).relu()
        return {"z": z, "more": x > y, "place": z.argmax(axis=1, one_hot=True),
                "equal": x.eq(y), "loss": (z ** 2).sum(), "revealed": z.get(),
                "to bob": (z * y).get(bob)}
    _, got = everywhere(program)
    revealed = got["revealed"].float_precision()
    np.testing.assert_allclose(revealed, [[0.266, 0], [0, 3.125]], atol=0.003)
    assert reconstruct(got["place"].value).tolist() == [[1, 0], [0, 1]]


# ---- scales, and the cost of a truncation

PUBLIC = np.array([0.5, 2.0])


@pytest.mark.parametrize("line, truncations", [
    ("s", 0), ("s + t", 0), ("s - 0.25", 0), ("3 * s", 0), ("-s", 0), ("s.sum()", 0),
    ("s > t", 0), ("s.relu()", 0), ("s.max()", 0), ("s * bit", 0), ("bit * bit", 0),
    ("bit * s + t", 0), ("bit / 2", 1), ("bit * PUBLIC", 1), ("s * MASK", 0),
    ("s * MASK * t", 1), ("s * t * MASK", 1), ("s / 1", 0), ("s * 1.0", 0),
    ("1 - bit", 0), ("s * t", 1), ("s ** 2", 1), ("s * t + 1", 1), ("s * t - s * t", 1),
    ("(s * t).sum()", 1), ("s * 0.5", 1), ("s / 64", 1), ("s / 64 * 0.02 * t", 2),
    ("(s * t).sum() / 64", 1), ("s * PUBLIC", 1), ("s * 0.5 * PUBLIC", 2),
    ("s * 0.987654", 2), ("s * np.pi", 2), ("s * np.array([np.pi, 2])", 2),
    ("s * 0.987654 * t", 3), ("bit * 0.25", 1), ("s * t + s", 1),
    ("s - 0.02 * (s * t) / 64", 1), ("s * t * t", 2), ("s * t * PUBLIC", 2),
    ("s * t > 0", 0), ("(s * t).relu()", 1),
])
def test_truncations_are_as_few_as_possible(line, truncations):
    world = World(seed=1)
    s, t = share(world, [1.0, 2.0]), share(world, [3.0, 4.0])
    names = {"s": s, "t": t, "bit": s > 1.5, "np": np, "PUBLIC": PUBLIC,
             "MASK": np.array([0, 1])}
    world.ledger.calls.clear()
    decode(eval(line, names))
    calls = {path: n for path, n in world.ledger.calls.items()
             if path.endswith("_with_provider")}
    assert sum(calls.values()) == truncations


@pytest.mark.parametrize("line, scale", [
    ("s", 1000), ("s * t", 10**6), ("s > t", 1), ("(s > t) * s", 1000),
    ("s / 64", 64_000), ("s * 0.02", 50_000), ("s / 64 * t", 10**6), ("3 * s", 1000),
    ("s * t + s", 1000), ("(s / 64) ** 2", 10**6), ("(s * t).relu()", 1000),
    ("s.argmax()", 1), ("s.eq(t) / 2", 2000), ("s / 2 * (t / 5)", 10**6),
    ("s * t * 0.5", 2 * 10**6), ("s * t * 0.5 + s", 1000),
    ("(s * t * 0.5).sum()", 1000), ("s * t * (s > t)", 10**6), ("s * t * 4", 250_000),
    ("s * 0.3 * 0.3 * 0.3", 10**6), ("s * 0.3 * 0.3 * 0.3 * 0.3", 2_500_000),
    ("s / 1e9 / 1e9", 10**15), ("s * 0.987654", 10**6), ("s * MASK", 1000),
])
def test_scales_leave_the_range_of_products(line, scale):
    """If an operation exceeds it, the next one truncates first."""
    world = World(seed=1)
    s, t = share(world, [1.0, 2.0]), share(world, [3.0, 4.0])
    assert eval(line, {"s": s, "t": t, "MASK": np.array([0, 1])}).scale == scale


def truncated(world):
    """The shapes that were truncated with the provider's help, in order."""
    return [m.shape for m in world.ledger.messages if m.name == "q"]


RATES = [1, 0.05, 1 / 32, 3 / 32, -2 / 7, 1 / 3, np.pi, 1e-6, 0]


@pytest.mark.parametrize("n_workers", [2, 3])
@pytest.mark.parametrize("weight_scale, c", [(6000, 1), (192_000, 1 / 32),
                                             (192_000, 3 / 32), (300_000, 0.02)])
def test_the_update_of_a_finer_weight_truncates_only_its_gradient(
        weight_scale, c, n_workers):
    """Once, for the layer below too."""
    world = World(n_workers, seed=1)
    exact, x_exact, g_exact = numbers(6, 3), numbers(4, 6), numbers(4, 3)
    weight = share(world, exact, weight_scale=weight_scale)
    x = share(world, x_exact)
    for _ in range(3):
        g = share(world, g_exact) @ share(world, np.eye(3), weight_scale=3000)
        g = g.rescaled_for(weight, x, c)
        assert 6 <= g.scale <= 1000
        (g @ share(world, np.ones((3, 1))))
        weight = weight.updated(x.T @ g, c)
    assert (weight.weight_scale, weight.scale) == (weight_scale, 1000 * weight_scale)
    due = exact - 3 * c * x_exact.T @ g_exact
    np.testing.assert_allclose(decode(weight), due, atol=0.04)
    assert truncated(world) == [(4, 3)] * 3             # it is revealed as it is


@pytest.mark.parametrize("n_workers", [2, 3])
@pytest.mark.parametrize("kind", ["secret", "public"])
def test_a_rescaled_gradient_divides_the_weights_scale_or_is_unchanged(kind, n_workers):
    """It is at most as fine as other numbers, and off by less than its own unit."""
    world, kept = World(n_workers, seed=1), []
    make = share if kind == "secret" else lambda world, array, **how: fix_precision(
        array, **how)
    factor = n_workers if kind == "secret" else 1
    for weight_scale in (1000, 192_000, 999_983, 84_000_000):
        weight = make(world, numbers(6, 3), weight_scale=weight_scale)
        for c in RATES[:-1]:
            x, one = make(world, numbers(4, 6)), make(world, np.ones(3))
            plain = make(world, numbers(4, 3))
            for g in (plain, plain * one, plain / 7, plain * one * 0.3):
                rescaled = g.rescaled_for(weight, x, c)
                kept.append(rescaled is g)
                if rescaled is g:
                    continue
                update = rescaled.scale * x.scale * factor
                assert (weight.scale * as_fraction(c) / update).denominator == 1
                assert 6 <= rescaled.scale <= g.unit and rescaled.rest == rescaled.scale
                off = decode(rescaled) - decode(g)
                assert np.abs(off).max() <= 1 / rescaled.scale + 0.001
    assert 0.1 < np.mean(kept) < 0.9


def test_a_gradient_is_rescaled_only_for_a_finer_weight():
    world = World(seed=1)
    g, x, w = (share(world, numbers(2, 2)) for _ in range(3))
    finer = share(world, numbers(2, 2), weight_scale=6000)
    for weight, data, c in ((w, x, 1), (finer, x, 0), (numbers(2, 2), x, 1),
                            (finer, numbers(2, 2), 1)):
        assert g.rescaled_for(weight, data, c) is g
    assert (g * g).rescaled_for(finer, x).scale <= 1000


def test_a_gradient_is_not_rescaled_for_numbers_that_one_role_alone_knows():
    world = World(seed=1)
    ones = fix_precision(np.ones((1, 3)), ring=world.ring)
    alone = ones.share(*world.workers, crypto_provider=world.crypto_provider).get()
    weight = fix_precision(np.ones((1, 3)), ring=world.ring, weight_scale=20000)
    for operands in ((weight, alone), (alone, ones)):
        if operands[0] is alone:
            alone.weight_scale = 20000
        with pytest.raises(TypeError, match="only server knows it"):
            ones.rescaled_for(*operands)


def test_whole_scales_are_integers_of_python():
    assert type(as_scale(np.int64(77))) is type(as_scale(77)) is int
    assert as_scale(Fraction(77)) == 77 and as_scale(Fraction(1, 3)) == Fraction(1, 3)


@pytest.mark.parametrize("gradient, scale", [
    (lambda s: s, 1000), (lambda s: s * s, 10**6), (lambda s: s / 64, 64_000),
    (lambda s: s.reshape(1, 3).T @ s.reshape(1, 3)[:, :1], 2 * 10**6)],
    ids=["at the unit", "a product", "a quotient", "a matrix product"])
@pytest.mark.parametrize("weight_scale", [1, 1000, 64_000, 999_983])
def test_an_update_is_free_if_its_scale_divides_and_else_right_to_its_bound(
        gradient, scale, weight_scale):
    world, values = World(seed=1, checked=True), np.array([1.5, -0.125, 2.25])
    exact = gradient(values.copy()).reshape(-1)
    for rate in RATES:
        weight = share(world, [0.5, -1.0, 0.25], weight_scale=weight_scale)
        g = gradient(share(world, values)).reshape(-1)
        assert g.scale == scale
        mark = len(truncated(world))
        new = weight.updated(g, rate)
        assert (new.scale, new.weight_scale) == (weight.scale, weight_scale)
        due = np.array([0.5, -1.0, 0.25]) - rate * exact
        factor = weight.scale * as_fraction(rate) / scale
        if abs(round(factor) - factor) <= abs(factor) / 10**6:
            assert len(truncated(world)) == mark
            np.testing.assert_allclose(decode(new), due, rtol=0, atol=1e-12 + np.abs(
                rate * exact).max() / 10**6)
        else:
            assert len(truncated(world)) > mark
            np.testing.assert_allclose(decode(new), due, rtol=2.2e-6,
                                       atol=(2 + abs(rate)) * 0.001)


@pytest.mark.parametrize("line, scale, weight_scale", [
    ("w", 4 * 10**6, 4000), ("s * w", 4 * 10**9, 4000), ("(s * w) * s", 10**6, 1),
    ("w > s", 1, 1), ("w * (w > 0)", 4 * 10**6, 4000), ("s * w + s", 1000, 1),
    ("w - w", 4 * 10**6, 4000), ("w - w * 0.02", 4 * 10**6, 4000),
    ("w / 50", 2 * 10**8, 4000), ("w ** 2", 10**6, 1), ("w * w", 4 * 10**9, 4000),
    ("w + 1.5", 4 * 10**6, 4000), ("w.argmax()", 1, 1), ("(s * w).relu()", 1000, 1),
    ("w.updated(s)", 4 * 10**6, 4000), ("w.updated(s * s, 1)", 4 * 10**6, 4000),
    ("w.updated(w, 0.5)", 4 * 10**6, 4000), ("s.updated(w)", 1000, 1),
])
def test_a_finer_scale_stays_until_a_truncation(line, scale, weight_scale):
    world = World(seed=1)
    s = share(world, [1.0, 2.0])
    w = share(world, [3.0025, 4.0], weight_scale=4000)
    got = eval(line, {"s": s, "w": w})
    assert (got.scale, got.weight_scale) == (scale, weight_scale)
    for call, plain in ((".relu()", ""), (".updated(s)", " - s"),
                        (".updated(s * s, 1)", " - s * s"), (".updated(w)", " - w"),
                        (".updated(w, 0.5)", " - w * 0.5")):
        line = line.replace(call, plain)
    exact = eval(line, {"s": np.array([1.0, 2.0]), "w": np.array([3.0025, 4.0])})
    np.testing.assert_allclose(decode(got), exact, atol=0.009)


@pytest.mark.parametrize("weight_scale, kept", [
    (1, 1.235), (1000, 1.234567), (7000, 8641969 / 7_000_000)])
def test_a_finer_number_keeps_the_digits_that_others_lose(weight_scale, kept):
    x = fix_precision([1.234567], weight_scale=weight_scale)
    assert x.float_precision().tolist() == [kept]


@pytest.mark.parametrize("weight_scale", [0, -1, 1.5])
def test_a_weight_scale_that_is_not_a_whole_factor_is_refused(weight_scale):
    remedy = f"weight_scale={weight_scale}; take integers, .* a weight_scale from 1 on"
    with pytest.raises(ValueError, match=remedy):
        fix_precision([1.0], weight_scale=weight_scale)


def test_a_weight_scale_below_the_unit_is_refused_since_it_would_coarsen_gradients():
    remedy = r"weight_scale=10, over Z_2.64; .* weight_scale of 1 or from 1000 to"
    with pytest.raises(ValueError, match=remedy):
        fix_precision([1.0], weight_scale=10)


@pytest.mark.parametrize("weight_scale", [0, -1, 1.5, True, 10**16])
def test_numbers_are_made_finer_by_a_whole_factor_with_room(weight_scale):
    x = share(World(seed=1), [5.0])
    assert x.finer(10**6).reveal() == [5.0]
    with pytest.raises(ValueError, match="finer: weight_scale"):
        x.finer(weight_scale)


def test_a_checked_world_notices_numbers_too_large_to_be_made_finer():
    with pytest.raises(mpc.audit.checked.OutOfRange, match="finer: a number"):
        share(World(seed=1, ring_bits=48, checked=True), [5e6]).finer(10**6)


def test_a_weight_scale_without_room_in_the_ring_is_refused():
    remedy = ("weight_scale=4123168605, over Z_2.44; take fewer digits, or a "
              "weight_scale of 1 or from 1000 to 4123168604")
    with pytest.raises(ValueError, match=remedy):
        fix_precision([1.0], weight_scale=4123168605, ring=Z2k(44))
    assert fix_precision([0.25], weight_scale=4123168604, ring=Z2k(44)).limits.value > 0


@pytest.mark.parametrize("n_workers", [2, 3])
def test_a_bias_at_the_scale_of_a_layers_product_is_added_without_a_truncation(
        n_workers):
    world = World(n_workers, seed=1)
    x, w, b = numbers(4, 6), numbers(6, 3), numbers(3)
    weight = share(world, w, weight_scale=5000)
    bias = share(world, b, weight_scale=5000 * 1000 * n_workers)
    output = share(world, x) @ weight + bias
    assert output.scale == bias.scale and not truncated(world)
    np.testing.assert_allclose(decode(output), x @ w + b, atol=0.002)
    assert truncated(world) == [(4, 3)]                 # the output alone
    moved = bias.updated(share(world, x).sum(0)[:3], 0.05)
    assert truncated(world) == [(4, 3)] and moved.scale == bias.scale
    np.testing.assert_allclose(decode(moved), b - 0.05 * x.sum(0)[:3])


@pytest.mark.parametrize("line", ["b * s", "s * b", "b * b", "b ** 2", "b @ s.T",
                                  "b.T @ b", "b.relu() * s", "b.max(1) * 2", "b * 0.3"])
@pytest.mark.parametrize("kind", ["secret", "public"])
def test_a_bias_that_leaves_no_room_for_a_product_is_truncated_first(line, kind):
    world = World(seed=1, checked=True)
    make = share if kind == "secret" else lambda world, array, **how: fix_precision(
        array, **how)
    s, b = numbers(2, 3), numbers(2, 3) / 8
    values = {"s": make(world, s), "b": make(world, b, weight_scale=4 * 10**13)}
    assert values["b"].limits.product < 1
    due = eval(line.replace("b.relu()", "np.maximum(b, 0)"), {"s": s, "b": b, "np": np})
    np.testing.assert_allclose(decode(eval(line, values)), due, atol=0.01)


@pytest.mark.parametrize("n_workers", [2, 3, 5])
def test_matrix_products_up_to_their_limit_are_right(n_workers):
    """A quarter of it for each of two terms would be too much for twice as many."""
    world = World(n_workers, seed=1, checked=True)
    limits, plain = share(world, 0.0).limits, fix_precision(0.0).limits
    assert limits.matmul == limits.product / n_workers and plain == limits._replace(
        matmul=plain.product)
    finer = share(world, 0.0, weight_scale=4000).limits
    np.testing.assert_allclose(finer[:3], np.array(limits[:3]) / 4000)
    side = np.sqrt(limits.matmul * 0.999 / 2)
    x, y = np.array([[side, side]]), np.array([[side, side], [-side, side]]).T
    found = decode(share(world, x) @ share(world, y))
    np.testing.assert_allclose(found, x @ y, atol=0.002 * side + 0.002)
    with pytest.raises(mpc.OutOfRange):
        share(world, x * 2.01) @ share(world, y)


def test_many_products_with_public_factors_do_not_outgrow_the_ring():
    x = share(World(seed=1), [2.0])
    for _ in range(12):
        x = x * x.refresh() * 0.5           # 2, as it was
    np.testing.assert_allclose(decode(x), [2.0], atol=0.01)


def test_a_count_is_no_bit_and_leaves_no_truncation_to_later():
    world = World(seed=1, truncation="provider", ring_bits=44)
    s, ones = share(world, [2.0]), share(world, np.ones(640))
    w = share(world, [1.0], weight_scale=21990)
    assert decode((ones > 0).sum() * (s * w)).tolist() == [1280.0]


def test_a_factor_of_many_digits_leaves_room_for_a_finer_product():
    world = World(seed=1, truncation="provider")
    product = share(world, [10.0]) * share(world, [10.0], weight_scale=1_600_000)
    np.testing.assert_allclose(decode(product * 0.123457), 12.3457, atol=0.01)


def test_public_weights_of_secret_data_have_gradients_too():
    world = World(seed=1)
    x = nn.Tensor(share(world, [[1.0, 2.0]]))
    w = nn.Tensor(np.array([[0.5], [0.25]]), True)
    ((x @ w) ** 2).sum().backward()
    np.testing.assert_allclose(decode(w.grad), [[2.0], [4.0]], atol=0.01)


def test_a_transposed_value_is_truncated_with_its_original():
    world = World(seed=1)
    s = share(world, numbers(2, 3))
    h = s * s
    (h @ share(world, numbers(3, 1))).refresh()
    (h.T @ share(world, numbers(2, 1))).refresh()
    assert truncated(world) == [(2, 3), (2, 1), (3, 1)]
    opened = [m for m in world.ledger.messages if m.name in ("epsilon", "delta")
              and m.src == "alice" and m.shape in ((2, 3), (3, 2))]
    assert len(opened) == 3         # s, h, and its quotient, which matrices need masked


USES = ["h * s", "s * h", "h * h", "h ** 2", "h @ s", "s @ h", "h.T @ h", "h + s",
        "s - h", "h.relu()", "h.relu_and_slope()", "h.max(0)", "h.argmax(1)",
        "h.refresh()", "h.drelu() * h", "h.reshape(4, 1) * s[0]", "h.T.reshape(4) ** 2",
        "mpc.concatenate([s, h])"]


@pytest.fixture
def truncations(monkeypatch):
    """A list of the (array, divisor) that are truncated from now on."""
    calls = []

    def recorded(x, d, truncate=public.truncate):
        calls.append((x, d))
        return truncate(x, d)

    monkeypatch.setattr(public, "truncate", recorded)
    return calls


@pytest.mark.parametrize("how", [
    {"comparison": "securenn"}, {"comparison": "carry-tree"}, {"truncation": "local"},
    {"n_workers": 3}])
def test_a_value_is_truncated_once_for_all_its_uses(truncations, how):
    world = World(seed=1, **how)
    for uses in (USES, USES[::-1]):
        s = share(world, numbers(2, 2))
        h = s * s
        for line in uses:
            eval(line, {"h": h, "s": s, "mpc": mpc})
            assert [d for x, d in truncations if x is h.value] == [1000], line


def test_many_public_factors_do_not_outgrow_the_ring():
    s, expected = share(World(seed=1), [1000.0, -1000.0]), np.array([1000.0, -1000.0])
    for _ in range(12):
        s, expected = s * 0.97 * 1.37, expected * 0.97 * 1.37
    np.testing.assert_allclose(decode(s), expected, rtol=1e-4)


@pytest.mark.parametrize("base, precision", BASES)
@pytest.mark.parametrize("kind", ["secret", "public"])
def test_products_round_without_bias(kind, base, precision):
    n, ulp = 40_000, float(base) ** -precision
    for x, y in ((37, 0.125), (-37, 0.125), (3, 0.5), (-1, 0.75), (4, 0.5), (-6, 0.5)):
        xs = fix_precision(np.full(n, x * ulp), precision, base, rounding_seed=1)
        if kind == "secret":
            world = World(seed=1)
            xs = xs.share(*world.workers, crypto_provider=world.crypto_provider)
        raw = decode(xs * np.full(n, y)) / ulp
        assert set(np.rint(raw)) <= {np.floor(x * y), np.ceil(x * y)}
        assert abs(raw.mean() - x * y) < 5 * 0.5 / np.sqrt(n)


def test_the_rounding_of_public_products_repeats_with_a_seed_only():
    def product(seed):
        x = fix_precision(np.full(1000, 0.001), rounding_seed=seed)
        return decode(x * np.full(1000, 0.5))
    np.testing.assert_array_equal(product(5), product(5))
    assert np.any(product(5) != product(6)) and np.any(product(None) != product(None))


# ---- public factors as fractions

@pytest.mark.parametrize("number, fraction", [
    (0, (0, 1)), (0.0, (0, 1)), (-0.0, (0, 1)), (1, (1, 1)), (True, (1, 1)),
    (64, (64, 1)), (0.5, (1, 2)), (0.02, (1, 50)), (-0.1, (-1, 10)), (1 / 3, (1, 3)),
    (-2 / 3, (-2, 3)), (0.1 + 0.2, (3, 10)), (1e-6, (1, 10**6)), (1e-9, (1, 10**9)),
    (-1e-9, (-1, 10**9)), (1e6, (10**6, 1)), (1e9, (10**9, 1)), (10**7, (10**7, 1)),
    (-10**7, (-10**7, 1)), (np.float32(0.1), (1, 10)), (np.float64(0.02), (1, 50)),
    (np.int8(-3), (-3, 1)), (np.True_, (1, 1)), (np.array(0.25)[()], (1, 4)),
    (Fraction(2, 7), (2, 7)),
])
def test_a_factor_is_the_fraction_that_was_meant(number, fraction):
    assert as_fraction(number) == Fraction(*fraction)


def test_a_factor_is_correct_to_one_part_in_a_million():
    rng = np.random.default_rng(0)
    for number in rng.choice([1, -1], 2000) * 10 ** rng.uniform(-9, 9, 2000):
        fraction = as_fraction(number)
        assert abs(fraction / Fraction(number) - 1) <= Fraction(1, 10**6)
        assert max(abs(fraction.numerator), fraction.denominator) <= 10**9


@pytest.mark.parametrize("number", [1e10, -1e18, 1e300, 10**30])
def test_a_factor_that_would_outgrow_the_ring_is_refused(number):
    for factor in (number, np.array([float(number)])):
        with pytest.raises(ValueError, match="take public factors of size up to 1e.09"):
            fix_precision([1.0]) * factor


@pytest.mark.parametrize("operation", [
    lambda x, n: x * n, lambda x, n: x + n, lambda x, n: n - x, lambda x, n: x < n,
    lambda x, n: x * Fraction(n, 3), lambda x, n: x.updated(x, n),
    lambda x, n: fix_precision([n])])
def test_numbers_too_large_for_a_float_are_refused(operation):
    with pytest.raises(ValueError, match="fixed point: (take|integers beyond 2.53)"):
        operation(fix_precision([1.0]), 10**400)


@pytest.mark.parametrize("number", [1e-15, -1e-17, 1e-18, -2.4e-19, 1e-30, 1e-300])
def test_a_tiny_factor_is_correct_for_the_largest_values(number):
    largest = fix_precision(0.0).limits.value * 0.999
    s = share(World(seed=1), [largest, -largest, 1.0])
    for factor in (number, np.full(3, number)):
        expected = np.array([largest, -largest, 1.0]) * factor
        np.testing.assert_allclose(decode(s * factor), expected, atol=0.0021)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_factor_that_is_no_number_is_refused(number):
    for op in (operator.mul, operator.truediv):
        with pytest.raises(ValueError, match="is no factor; take a finite number"):
            op(fix_precision([1.0]), number)


def test_small_and_large_factors_reach_the_value():
    s = share(World(seed=1), [3e6, -5e6])
    np.testing.assert_allclose(decode(s * 1e-6), [3, -5], atol=0.0011)
    np.testing.assert_allclose(decode(s / 1e6), [3, -5], atol=0.0011)
    np.testing.assert_allclose(decode(s * 1e6), [3e12, -5e12])
    np.testing.assert_allclose(decode(s * 1e-9 * 1e9), [3e6, -5e6])


def test_division_by_zero_is_refused():
    with pytest.raises(ZeroDivisionError, match="division by 0; take another number"):
        fix_precision([1.0]) / 0


# ---- to and from the parties

def test_get_tells_the_server_and_nan_to_everybody_else():
    def program(world):
        to_server, to_bob = share(world, [[1.5, -2.0]]) * 2, share(world, [3.0])
        return decode(to_server), decode(to_bob.get("bob"))
    results = mpc.run_threads(program, seed=1)
    assert sorted(results) == ["alice", "bob", "crypto_provider", "server"]
    for role, (to_server, to_bob) in results.items():
        due = [[3, -4]] if role == "server" else np.full((1, 2), np.nan)
        np.testing.assert_array_equal(to_server, due)
        np.testing.assert_array_equal(to_bob, [3] if role == "bob" else [np.nan])


def test_get_refreshes_after_the_last_truncation():
    world = RecordedWorld(seed=1)
    product = share(world, [1.0, 2.0]) * share(world, [3.0, 4.0])
    assert decode(product).tolist() == [3, 8]
    assert [*world.ledger.calls] == ["multiply", "truncate_with_provider", "refresh"]
    stale = rows_of(product.operand())
    sent = [np.frombuffer(p.payload, "<u8") for p in world.tape if p.dst == "server"]
    assert not np.any(stale == sent)


def test_refresh_truncates_first_and_keeps_the_number():
    world = World(seed=1)
    fresh = (share(world, [1.5, 2.0]) * share(world, [3.0, 4.0])).refresh()
    assert fresh.scale == 1000 and decode(fresh / 2).tolist() == [2.25, 4]
    x = fix_precision([1.0])                # public: nothing to do
    assert x.refresh().float_precision() == x.get().float_precision() == 1


def test_the_data_of_a_worker_are_shared_by_that_worker(world):
    alice, bob = world.workers
    x = fix_precision(world.private_input(bob, (2,), lambda: [1.5, -2]))
    s = x.share(alice, bob, crypto_provider=world.crypto_provider)
    assert decode(s).tolist() == [1.5, -2]
    assert {m.src for m in world.ledger.messages} == {"alice", "bob"}
    assert s.get(bob).value.role == "bob"


def test_concatenate_joins_values_of_different_scales():
    world = World(seed=1)
    s, t = share(world, [[1.0, 2.0]]), share(world, [[3.0, 4.0]])
    assert decode(mpc.concatenate([s, t])).tolist() == [[1, 2], [3, 4]]
    joined = mpc.concatenate([s * 2, s * t, t / 2], axis=-1)
    assert decode(joined).tolist() == [[2, 4, 3, 8, 1.5, 2]]


def test_the_representation_is_a_chain_down_to_each_workers_numbers(world):
    parameter = nn.Tensor(share(world, [1.0, 2.0]), requires_grad=True)
    alice, bob = rows_of(parameter.value)
    assert repr(parameter).split("\n") == [
        "Tensor(requires_grad=True) > FixedPoint(3 decimal digits) > "
        "Share(Z_2^64, shape (2,))",
        f"  -> alice: {alice}", f"  -> bob: {bob}"]


@pytest.mark.parametrize("value, shown", [
    (lambda s: s * s,
     "FixedPoint(3 decimal digits, scale 1000000) > Share(Z_2^64, shape (1,))"),
    (lambda s: s / 64, "FixedPoint(3 decimal digits, scale 64000) > Share"),
    (lambda s: s.get(), "FixedPoint(3 decimal digits), known to server\n    [1.]"),
    (lambda s: fix_precision([0.5], 4, 2),
     "FixedPoint(4 base-2 digits), public\n    [0.5]"),
])
def test_the_representation_shows_scale_and_holder(world, value, shown):
    assert repr(value(share(world, [1.0]))).startswith(shown)


# ---- errors

REFUSED = [
    ("bool(s)", "no branch or number may depend on a secret"),
    ("int(s)", "use np.where, & or np.maximum, or .reveal() it"),
    ("float(s)", "use np.where, & or np.maximum, or .reveal() it"),
    ("s.float_precision()", "use np.where, & or np.maximum, or .reveal() it"),
    ("s in [1]", "no branch or number may depend on a secret"),
    ("1.5 in s", "no branch or number may depend on a secret"),
    ("s == 'a'", "== a str; compare with numbers, and write x is y"),
    ("None != s", "== a NoneType; compare with numbers, and write x is y"),
    ("s & (s > 0)", "&: numbers came where only 0 and 1 make sense; compare first"),
    ("(s > 0) & 1", "&: numbers came where only 0 and 1 make sense; compare first"),
    *((line, "|: numbers came where only 0 and 1 make sense; compare first")
      for line in ("s | (s > 0)", "(s > 0) | 1", "(s > 0) | None", "3 | s", "s | s",
                   "np.bitwise_or(s, s)", "np.array([1, 2]) | (s > 0)")),
    ("~s", "~: numbers came where only 0 and 1 make sense; compare first"),
    ("len(s.sum())", "a number without axes has no length"),
    ("hash(s)", "unhashable type"),
    ("s + '1'", "unsupported operand"), ("s @ None", "unsupported operand"),
    ("s * 1j", "unsupported operand type(s) for *: 'FixedPoint' and 'complex'"),
    ("s.eq('1')", "== a str; compare with numbers, and write x is y"),
    ("s.argmax(axis='rows')", "an axis is not an integer; pass an integer"),
    ("s.max(axis=[0])", "an axis is not an integer; pass an integer"),
    ("np.asarray(s)", "no NumPy array; join several with np.stack, or use .rev"),
    ("np.array([s, s])", "no NumPy array; join several with np.stack, or use .rev"),
    ("np.linalg.inv(s)", "inv is not provided for a FixedPoint; use its methods"),
    ("np.unique(s)", "is not provided for a FixedPoint; the number of different"),
    ("np.array_equal(s, s)", "use (x == y).all(), which is a secret bit"),
    ("np.where(s)", "the number of positions would depend on the values"),
    ("np.mean(s, dtype=int)", "unexpected keyword argument 'dtype'; it takes (x, axis"),
    ("np.add.reduce(s)", "np.add.reduce is not provided for a FixedPoint; use its"),
    ("np.add(s, 1, out=np.ones(2))", "no array takes in the result, which is a Fixed"),
    ("np.ones(2).__iadd__(s)", "write y = y + x for y += x, and leave out `out`"),
    ("s.__setitem__(0, 1)", "not changed in place; make another one, with np.where"),
    ("np.add(s, None)", "unsupported operand type(s) for +"),
    ("np.add(None, s)", "np.add: a NoneType does not meet a FixedPoint; pass real"),
    ("np.take(s, s)", "positions must be public; pass integers, or multiply"),
    ("mpc.concatenate([s, 1.0])", "concatenate: a float is no FixedPoint"),
    ("s > None", "not supported between instances"),
    ("None >= s", "not supported between instances"),
    ("s[s > 0]", "select by a secret with a product"),
    ("mpc.concatenate([s, fix_precision([1.0])])", "a Share does not meet a Public"),
]


@pytest.mark.parametrize("line, remedy", REFUSED)
def test_operations_that_no_party_could_do_are_refused(world, line, remedy):
    with pytest.raises(TypeError) as error:
        eval(line, {**globals(), "s": share(world, [1.0, 2.0])})
    assert remedy in str(error.value)


@pytest.mark.parametrize("line", [
    "p + 1", "s + p", "p - s", "p * 2", "p / 2", "p * s", "p @ np.eye(2)", "p ** 2",
    "-p", "p.sum()", "p.reshape(2, 1)", "p.T", "p[0]", "p > 0", "p.eq(s)", "p.relu()",
    "p.drelu()", "p.max()", "p.argmax()", "p.refresh()", "mpc.concatenate([s, p])",
])
def test_a_value_that_one_role_holds_takes_part_in_no_computation(world, line):
    s = share(world, [1.0, 2.0])
    with pytest.raises(TypeError, match=r"only server knows it; share\(\) it"):
        eval(line, {**globals(), "s": s, "p": s.get()})


UNFIT = [
    *((f"s ** {n}", f"**: {shown} is no public positive integer and none of [-1")
      for n, shown in {"0.3": "0.3", "0": "0", "-2": "-2", "np.ones(2)": "float64 (2,)",
                       "np.array(2)": "int64 ()", "s": "a FixedPoint",
                       "s[0]": "a FixedPoint", "'s'": "'s'", "True": "a bool"}.items()),
    ("s + np.ones(3)", "(2,) and (3,) do not broadcast; reshape one"),
    ("s * fix_precision(np.ones(3))", "(2,) and (3,) do not broadcast; reshape"),
    ("s.reshape(1, 2) @ s.reshape(1, 2)", "is no product of matrices; transpose one"),
    ("mpc.concatenate([])", "concatenate: nothing to join"),
    ("s + [[1], [1, 2]]", "fixed point: rows differ in length; pad them"),
    ("s.get('alice').get('bob')", "alice alone holds this value; share() it first"),
    ("s @ s[:1]", "matmul: (1, 2) @ (1, 1) is no product of matrices"),
    ("s @ s.sum()", "matmul: (2,) @ () is no product of matrices"),
    ("s.clip()[3:].mean()", "mean: shape (0,) has too few elements on axis None"),
    ("s.reshape(1, 2) @ np.eye(3)", "(1, 2) @ (3, 3) is no product of matrices"),
    ("s.reshape(1, 1, 2) @ np.ones((3, 2, 2)) @ np.ones((2, 2, 1))",
     "matmul of stacks: (3,) and (2,) do not broadcast; reshape one"),
    ("s.sum(1)", "axis 1 does not fit ndim 1"),
    ("s.max(-2)", "shape (2,) does not have this axis; it has 1 axes"),
    ("s.max(axis=(0, 0))", "an axis of shape (2,) is named twice; name each once"),
    ("s + fix_precision([1.0], 10, 2)", "and (10, 2, 'Z_2^64') differ; encode both"),
    ("s * fix_precision([1.0], 2)", "and (2, 10, 'Z_2^64') differ; encode both alike"),
    ("s > fix_precision([1.0], ring=Z2k(32))", "and (3, 10, 'Z_2^32') differ"),
    ("s.eq(fix_precision([1.0], 1))", "and (1, 10, 'Z_2^64') differ; encode both"),
    ("s.reshape(1, 2) @ fix_precision(np.eye(2), 5)", "and (5, 10, 'Z_2^64') differ"),
    ("mpc.concatenate([s, fix_precision([1.0], 4)])", "and (4, 10, 'Z_2^64') differ"),
]


@pytest.mark.parametrize("line, remedy", UNFIT)
def test_operands_that_do_not_fit_are_refused(world, line, remedy):
    with pytest.raises(ValueError) as error:
        eval(line, {**globals(), "s": share(world, [1.0, 2.0])})
    assert remedy in str(error.value)


@pytest.mark.parametrize("digits, base, bits, remedy", [
    (3, 16, 64, "3 digits in base 16, .*; take integers, base 2 or 10"),
    (-1, 10, 64, "-1 digits in base 10, .*; take .* digits from 0 on"),
    (2.5, 10, 64, "2.5 digits in base 10, .*; take .* digits from 0 on"),
    (10, 10, 64, "10 digits in base 10, weight_scale=1, over Z_2.64; take fewer"),
    (31, 2, 64, "31 digits in base 2, weight_scale=1, over Z_2.64; take fewer digits"),
    (5, 10, 32, "5 digits in base 10, weight_scale=1, over Z_2.32; take fewer digits"),
])
def test_a_format_without_room_in_the_ring_is_refused(digits, base, bits, remedy):
    with pytest.raises(ValueError, match=remedy):
        fix_precision([1.0], digits, base, Z2k(bits))


@pytest.mark.parametrize("digits, base, bits", [
    (9, 10, 64), (30, 2, 64), (4, 10, 32), (np.int64(3), 10, 64)])
def test_the_longest_formats_compute(digits, base, bits):
    world = World(seed=1, ring_bits=bits)
    x, y = (share(world, [v], precision=digits, base=base) for v in (0.5, -0.25))
    np.testing.assert_allclose(decode(x * y), -0.125, atol=base ** -float(digits))


def test_sharing_names_all_parties_of_one_world(world):
    alice, bob = world.workers
    provider, x = world.crypto_provider, fix_precision([1.0])
    both, remedy = (alice, bob), r"not the parties of one World; name \*world.workers"
    for workers, dealer in [
            ((alice,), provider), ((bob, alice), provider), ((), provider),
            (both, World().crypto_provider), (both, world.server), (both, None),
            (("alice", "bob"), provider), (both, "crypto_provider")]:
        with pytest.raises(ValueError, match=remedy):
            x.share(*workers, crypto_provider=dealer)


def test_a_local_value_is_shared_by_its_role_only(world):
    alice, bob = world.workers
    x = fix_precision(world.private_input(bob, (2,), lambda: [1.5, -2]))
    with pytest.raises(ValueError, match="bob holds this value; drop the owner"):
        x.share(alice, bob, crypto_provider=world.crypto_provider, owner=alice)
    revealed = share(world, [1.0]).get(alice)
    assert revealed.get() is revealed and revealed.get(alice) is revealed


@pytest.mark.parametrize("digits, base, bits", [(9, 10, 64), (3, 10, 32), (24, 2, 64)])
def test_local_truncation_that_would_often_fail_is_refused(digits, base, bits):
    local, exact = (World(seed=1, ring_bits=bits, truncation=how)
                    for how in ("local", "provider"))
    remedy = "fails in 1 of .* products 1 . 1; take truncation='provider', or fewer"
    with pytest.raises(ValueError, match=remedy):
        share(local, [1.0], base=base, precision=digits)
    ones = share(exact, np.ones(1000), base=base, precision=digits)
    np.testing.assert_allclose(decode(ones * ones), 1, atol=base ** -float(digits))


def test_only_a_revealed_number_is_a_plain_number():
    x = share(World(seed=1), [2.5])
    assert float(x.get()) == 2.5 and int(x.get()) == 2 and bool((x > 1).get())
    assert not (x > 3).get() and float(fix_precision(0.5)) == 0.5
    with pytest.raises(TypeError, match=r"shape \(2,\) is not one number known here"):
        bool(fix_precision([1.0, 2.0]))

    def program(world):
        return bool(share(world, [1.0]).get())
    with pytest.raises(TypeError, match=r"shape \(1,\) is not one number known here"):
        mpc.run_threads(program, seed=1)


def test_sharing_needs_a_role_of_this_world_as_owner(world):
    with pytest.raises(ValueError, match="carol.* server, alice, bob, crypto_prov"):
        share(world, [1.0], owner="carol")


def test_sharing_twice_is_refused(world):
    with pytest.raises(TypeError, match=r"shared already; reveal it with get\(\)"):
        share(world, [1.0]).share(*world.workers, crypto_provider=world.crypto_provider)


def test_sharing_over_another_ring_is_refused():
    world, x = World(ring_bits=32), fix_precision([1.0])
    with pytest.raises(ValueError, match=r"encode with fix_precision\(..., ring=world"):
        x.share(*world.workers, crypto_provider=world.crypto_provider)
