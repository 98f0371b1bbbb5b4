"""Functions of fixed-point numbers: errors over their ranges, prices, refusals."""

import functools
import math
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import everywhere
from price import protocols

import nn
from mpc import World, concatenate, fix_precision, functions
from mpc.ring import Z2k

# (base, digits, bits): delta of the error 2 eps + delta |result|, by docs/NUMBERS.md
DELTA = {(10, 3, 64): 1e-7, (2, 10, 64): 1e-7, (10, 3, 48): 1e-5, (2, 10, 48): 1e-5,
         (10, 3, 44): 5e-5, (2, 10, 44): 5e-5, (10, 6, 64): 5e-6, (10, 2, 56): 1e-6}
WAYS = [(2, "carry-tree"), (3, "carry-tree"), (2, "securenn")]


class Range:
    """The range of each function in a format, as docs/NUMBERS.md states it."""

    def __init__(self, base, digits, bits):
        self.unit, self.bits = base**digits, bits
        self.eps, unit_bits = 1 / self.unit, (self.unit - 1).bit_length()
        self.divisor = 4.0 ** (bits // 2 - 2) / self.unit
        self.high = math.floor(0.45 * (bits - 3 - unit_bits) * 0.693)
        self.t = (bits - 3) // 2
        self.quotient = 15 / 16 * 2.0 ** (bits - 3) / self.unit / 2**self.t

    def positive(self, n, most):
        """Dense in every power of ten, with both ends."""
        return np.geomspace(self.eps, most * 0.999, n)


def both(x):
    return np.concatenate([x, -x])


def operands(name, r, n):
    rng = np.random.default_rng(n)
    if name == "reciprocal":
        return [both(r.positive(n, 4 * r.unit))]
    if name == "divide":
        y = both(r.positive(n, r.divisor))
        q = rng.choice([-1, 1], 2 * n) * np.geomspace(r.eps, r.quotient * 0.999, 2 * n)
        largest = 2.0**r.t / r.unit     # makes |x| 2^(1 - t) 2 eps
        return [np.clip(rng.permutation(q) * y, -largest, largest), y]
    if name in ("sqrt", "rsqrt", "log"):
        return [r.positive(n, r.divisor)]
    if name == "exp":
        return [np.linspace(-2 * math.log(r.unit), r.high - r.eps, n)]
    if name == "softmax":
        return [rng.normal(0, rng.uniform(0, 6, (n // 10, 1)), (n // 10, 10))]
    reach = 2 * math.log(r.unit)
    return [np.concatenate([np.linspace(-reach, reach, n), both(
        r.positive(99, 2**(r.bits - 5) / r.unit))])]


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


NUMPY = {"reciprocal": lambda x: 1 / x, "divide": np.divide, "sqrt": np.sqrt,
         "rsqrt": lambda x: 1 / np.sqrt(x), "exp": np.exp, "log": np.log,
         "sigmoid": lambda x: np.exp(-np.logaddexp(0, -x)), "tanh": np.tanh,
         "softmax": softmax}
EXACT_TO_UNIT = {"log", "sigmoid", "tanh", "softmax"}       # errors have no delta


def check(name, form, n, share=lambda x: x):
    """The result is within the bound for all operands; returns it."""
    (base, digits, bits), r = form, Range(*form)
    numbers = [fix_precision(x, digits, base, Z2k(bits)) for x in operands(name, r, n)]
    plain = [x.float_precision() for x in numbers]
    if name in ("reciprocal", "divide", "rsqrt", "log"):
        assert np.all(plain[-1])
    found = getattr(functions, name)(*map(share, numbers))
    assert found.scale == found.unit == r.unit and found.weight_scale == 1
    found, due = found.get().float_precision(), NUMPY[name](*plain)
    bound = 2 * r.eps + 1e-14
    if name not in EXACT_TO_UNIT:
        delta = DELTA[form] * (30 if name == "sqrt" else 1)
        bound = bound + delta * np.abs(due)
    if name == "divide":
        bound = bound + np.abs(plain[0]) * 2.0 ** (1 - r.t)
    assert found.shape == due.shape
    excess = np.abs(found - due) - bound
    worst = excess.argmax()
    assert excess.max() <= 0, [float(x.ravel()[worst]) for x in (*plain, found, due)]
    return found


def test_the_page_states_these_ranges():
    page = (Path(__file__).parents[2] / "docs/NUMBERS.md").read_text(encoding="utf-8")
    rows = {name: re.findall(r"x < (\S+)", row)
            for name, row in re.findall(r"^\| `(\w+)\(x(.*)$", page, re.M)}
    for i, bits in enumerate((64, 48, 44)):
        r = Range(10, 3, bits)
        for name, due in [("sqrt", r.divisor), ("log", r.divisor), ("exp", r.high)]:
            assert 0.85 * due < float(rows[name][i]) <= due, (name, bits)


@pytest.mark.parametrize("name", NUMPY)
def test_a_docstring_has_the_price_of_the_page(name):
    """docs/COSTS.md in turn is compared with the ledger."""
    page = (Path(__file__).parents[2] / "docs/COSTS.md").read_text(encoding="utf-8")
    row, = re.findall(rf"^\| `{name}`[^|]*\| (\S+) \| (\S+) ", page, re.M)
    docstring = " ".join(getattr(functions, name).__doc__.split())
    assert re.findall(r"Rounds: (\d+)\. Bytes: (\d+)", docstring) == [row]


def shared(world):
    return functools.partial(lambda x: x.share(
        *world.workers, crypto_provider=world.crypto_provider))


@pytest.mark.parametrize("form", DELTA, ids=str)
@pytest.mark.parametrize("name", NUMPY)
def test_the_error_is_within_its_bound_over_the_whole_range(name, form):
    check(name, form, 5000)


@pytest.mark.parametrize("form", [(10, 3, 64), (2, 10, 48), (10, 3, 44)], ids=str)
@pytest.mark.parametrize("n_workers, comparison", WAYS)
@pytest.mark.parametrize("name", NUMPY)
def test_the_error_is_within_its_bound_for_secrets(name, n_workers, comparison, form):
    world = World(n_workers, seed=1, ring_bits=form[-1], comparison=comparison)
    check(name, form, 200, shared(world))


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 16, 17, 100])
def test_the_rows_of_a_softmax_sum_to_one(k):
    x = np.random.default_rng(k).normal(0, 3, (500, k))
    x[::7] = 0                                          # ties
    x[1::7, -1] = 1e6                                   # far ahead
    x[2::7, 0] = -1e9                                   # far behind
    found = functions.softmax(fix_precision(x)).float_precision()
    assert np.abs(found.sum(axis=1) - 1).max() <= 0.001 * k
    assert np.abs(found - softmax(x)).max() <= 0.002


def test_a_softmax_along_another_axis():
    x = np.random.default_rng(1).normal(size=(3, 4, 5))
    for axis in (0, 1, -2, 2):
        found = functions.softmax(fix_precision(x), axis).float_precision()
        due = np.moveaxis(softmax(np.moveaxis(x, axis, -1)), -1, axis)
        assert np.abs(found - due).max() <= 0.002


# ---- outside the range, and other operands


OUTSIDE = [
    ("reciprocal", [0, 3000, -3000, 2e15, -2e15], 0), ("sqrt", [0, -0.001, -1e15], 0),
    ("rsqrt", [0, -0.001, -1e15], 0), ("exp", [-7.7, -20, -2e15], 0),
    ("exp", [15, 16, 2e15], math.exp(15)), ("log", [0, -0.001, -2e15], math.log(0.001)),
    ("log", [2e15], math.log(4**30 / 1000)), ("sigmoid", [-2e15, -8], 0),
    ("sigmoid", [2e15, 8], 1), ("tanh", [-2e15, -5], -1), ("tanh", [2e15, 5], 1)]


@pytest.mark.parametrize("comparison", ["carry-tree", "securenn"])
@pytest.mark.parametrize("name, x, due", OUTSIDE)
def test_results_outside_the_range_are_those_of_the_page(name, x, due, comparison):
    world = World(seed=1, comparison=comparison)
    for given in (fix_precision(x), shared(world)(fix_precision(x))):
        found = getattr(functions, name)(given).get().float_precision()
        assert np.abs(found - due).max() <= 0.002 + 1e-7 * abs(due)


def test_a_quotient_by_zero_is_zero():
    world = World(seed=1)
    x, y = fix_precision([1.0, -5.0, 0.0, 0.0]), fix_precision([0.0, 0.0, 0.0, 3.0])
    for given in (lambda v: v, shared(world)):
        found = functions.divide(given(x), given(y))
        np.testing.assert_array_equal(found.get().float_precision(), 0)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (2, 0, 3), (3, 1, 2)])
@pytest.mark.parametrize("name", NUMPY)
def test_a_result_has_the_shape_of_the_operand(name, shape):
    if name == "softmax" and not shape:
        shape = (4,)
    x = np.full(shape, 1.5)
    for given in (lambda v: v, shared(World(seed=1, comparison="carry-tree")),
                  shared(World(seed=1))):
        numbers = [given(fix_precision(x))] * (1 + (name == "divide"))
        found = getattr(functions, name)(*numbers)
        assert found.shape == shape
        due = NUMPY[name](*[x] * len(numbers)) if x.size else x
        assert np.abs(found.get().float_precision() - due).max(initial=0) <= 0.002


def test_secret_and_public_operands_of_a_quotient_broadcast():
    world = World(seed=1)
    x, y = np.array([[1.0], [-6.0]]), np.array([0.5, 3.0, -8.0])
    for share_x in (lambda v: v, shared(world)):
        for share_y in (lambda v: v, shared(world)):
            found = functions.divide(share_x(fix_precision(x)),
                                     share_y(fix_precision(y)))
            assert np.abs(found.get().float_precision() - x / y).max() <= 0.002


def test_operands_may_be_pending_products_bits_and_weights():
    world = World(seed=1, comparison="carry-tree")
    share = shared(world)
    x, y = share(fix_precision([3.0, -5.0])), share(fix_precision([4.0, 12.0]))
    weight = share(fix_precision([4.0, 0.25], weight_scale=64_000))
    for found, due in [
            (functions.sqrt(x * x + y * y), [5, 13]),
            (functions.exp(x > y), [1, 1]), (functions.reciprocal(weight), [0.25, 4]),
            (functions.log((y / 2).sum()), math.log(8)),
            (functions.divide(y, x * 0.5), [8 / 3, -4.8]),
            (functions.sqrt(y) * functions.sqrt(y), [4, 12]),
            (functions.tanh(concatenate([x, -x])[::2]), [math.tanh(3), -math.tanh(3)])]:
        assert np.abs(found.get().float_precision() - due).max() <= 0.02


# ---- messages


AUDITED = {name.split(".")[1] for name in protocols()}


@pytest.mark.parametrize("n_workers, comparison", WAYS)
@pytest.mark.parametrize("name", NUMPY)
def test_all_messages_are_those_of_protocols_with_view_tables(
        name, n_workers, comparison):
    world = World(n_workers, seed=1, comparison=comparison)
    x = shared(world)(fix_precision([[1.0, 2.0, 3.0]]))
    mark = len(world.ledger.messages)
    getattr(functions, name)(*[x] * (1 + (name == "divide")))
    inside = {part for m in world.ledger.messages[mark:] for part in m.path.split("/")}
    assert inside and inside <= AUDITED


@pytest.mark.parametrize("n_workers, comparison", WAYS)
def test_functions_are_the_same_in_every_way_to_run_them(n_workers, comparison):
    chosen = ["tanh"] if comparison == "securenn" else ["divide", "sqrt", "softmax"]

    def program(world):
        x = shared(world)(fix_precision([[0.5, -2.0, 3.0]]))
        return {name: getattr(functions, name)(*[x] * (1 + (name == "divide")))
                for name in chosen}

    everywhere(program, n_workers, comparison=comparison)


def test_messages_do_not_depend_on_the_values():
    ledgers = []
    for number in (0.0, -3.5, 1e9):
        world = World(seed=1)
        x = shared(world)(fix_precision([number, 1.0]))
        for name in NUMPY:
            getattr(functions, name)(*[x] * (1 + (name == "divide")))
        ledgers.append(world.ledger.messages)
    assert ledgers[0] == ledgers[1] == ledgers[2]


# ---- refusals


@pytest.mark.parametrize("value", [2.0, np.ones(3), None, "secret"])
@pytest.mark.parametrize("name", NUMPY)
def test_an_operand_that_is_no_fixed_point_number_is_refused(name, value):
    x = [fix_precision([1.0])] * (name == "divide")
    with pytest.raises(TypeError, match=f"{name} takes a FixedPoint, not .*; encode"):
        getattr(functions, name)(*x, value)


def test_a_share_and_a_local_value_are_refused():
    world = World(seed=1)
    x = shared(world)(fix_precision([2.0]))
    with pytest.raises(TypeError, match="sqrt takes a FixedPoint, not a Share"):
        functions.sqrt(x.value)
    with pytest.raises(TypeError, match="only server knows it; share"):
        functions.sqrt(x.get())


@pytest.mark.parametrize("digits, base, bits", [(3, 10, 32), (3, 10, 42), (7, 10, 64),
                                                (4, 10, 44), (24, 2, 64)])
@pytest.mark.parametrize("name", NUMPY)
def test_a_ring_without_room_is_refused(name, digits, base, bits):
    x = fix_precision([1.0], digits, base, Z2k(bits))
    with pytest.raises(ValueError, match="no room inside; take fewer digits"):
        getattr(functions, name)(*[x] * (1 + (name == "divide")))


@pytest.mark.parametrize("name", NUMPY)
def test_local_truncation_is_refused_before_a_message(name):
    world = World(seed=1, truncation="local")
    x = shared(world)(fix_precision([1.0]))
    sent = len(world.ledger.messages)
    with pytest.raises(ValueError, match="local truncation would fail .*; make the Wo"):
        getattr(functions, name)(*[x] * (1 + (name == "divide")))
    assert len(world.ledger.messages) == sent


def test_a_quotient_of_two_formats_is_refused():
    with pytest.raises(ValueError, match="divide: two formats; encode both operands"):
        functions.divide(fix_precision([1.0]), fix_precision([1.0], 2))


def test_a_quotient_is_refused_before_a_message():
    world, other = World(seed=1), World(seed=1)
    x, y = (shared(w)(fix_precision([1.0, 2.0])) for w in (world, other))
    x = x * x
    sent = len(world.ledger.messages)
    for divisor, kind, message in [
            (y, ValueError, "two Worlds do not meet"),
            (fix_precision(np.ones(3)), ValueError, r"\(2,\) and \(3,\) do not broad"),
            (fix_precision(np.ones(2), 2), ValueError, "two formats"),
            (np.ones(2), TypeError, "divide takes a FixedPoint"),
            (y.get(), TypeError, "only server knows it")]:
        with pytest.raises(kind, match=message):
            functions.divide(x, divisor)
    assert len(world.ledger.messages) == sent


def test_a_softmax_of_no_or_too_many_candidates_or_no_axis_is_refused():
    for x, axis, message in [(np.ones((2, 0)), -1, "0 candidates"),
                             (np.ones(2), 3, "axis 3 does not fit"),
                             (np.array(1.0), -1, "axis -1 does not fit")]:
        with pytest.raises(ValueError, match=message):
            functions.softmax(fix_precision(x), axis)


@pytest.mark.parametrize("axis", [(0, 1), (), None, 1.0, 2, -3])
def test_a_softmax_is_along_one_axis_that_the_numbers_have(axis):
    for x in (fix_precision(np.ones((2, 3))), nn.Tensor(np.ones((2, 3)))):
        with pytest.raises((TypeError, ValueError),
                           match="axis.* does not fit|have this axis|an axis is"):
            x.softmax(axis)


def test_coefficients_do_not_depend_on_the_callers_decimal_context():
    import decimal

    functions._fit.cache_clear()
    plain = functions._fit(decimal.Decimal.ln, 1, 4, 8)
    functions._fit.cache_clear()
    with decimal.localcontext(decimal.Context(prec=3)):
        assert functions._fit(decimal.Decimal.ln, 1, 4, 8) == plain
