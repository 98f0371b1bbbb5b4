"""A checked World detects overflows and changes no share and no message."""

import subprocess
import sys

import numpy as np
import pytest
from helpers import rows_of

import mpc
import nn
from mpc import OutOfRange, World, fix_precision
from mpc.audit.checked import REFERENCES
from mpc.audit.replay import RecordedWorld
from mpc.audit.tags import TaggedWorld


def shared(world, array, **how):
    x = fix_precision(array, ring=world.ring, **how)
    return x.share(*world.workers, crypto_provider=world.crypto_provider)


# ---- detection: a program, and the operation that the error names

LARGE = [
    ("s(4e6) * s(4e6)", r"^\*: a number of size 1.6e\+13 came where 3 digits in base "
     r"10 over Z_2\^64 leave room for 4.3e\+12; scale the data, take fewer digits or a "
     r"larger ring$"),
    ("s([[4e6, 4e6]]) @ s([[1e6], [4e6]])", r"^@: a number of size 2.0e\+13"),
    ("s(3e6) ** 2", r"^\*\*: a number of size 9.0e\+12"),
    ("s([2e15, 2e15, 2e15]).sum()",
     r"^sum: a number of size 6.0e\+15 .* leave room for 4.3e\+15"),
    ("s(2e15) + s(2e15) + s(2e15)", r"^\+: a number of size 6.0e\+15"),
    ("s(2e15) - s(-2e15) - s(-2e15) > 0", r"^-: a number of size 6.0e\+15"),
    ("s(2e15) * 3", r"^\*: a number of size 6.0e\+15"),
    ("s(2e15) / 0.1", r"^/: a number of size 2.0e\+16"),
    ("s(1e10) * np.full(1, 12345.678)", r"^\*: a number of size 1.2e\+14"),
    ("np.full((1, 1), 12345.678) @ s([[1e10]])", r"^@: a number of size 1.2e\+14"),
    ("(s([4e6]) * s([4e6])).relu()", r"^\*: a number of size 1.6e\+13"),
    ("nn.mse_loss(nn.Tensor(s([[4e6]])), nn.Tensor(s([[0.0]])))", r"^\*\*: a number"),
    ("s([1.0, 8e9]) / s([2.0, 1.0])", r"^divide: 1 of 2 results are wrong by up to"),
    ("s([1.0, 2.0]) / s([0.0, 1.0])",
     "^divide: 1 of 2 results are undefined, such as a quotient by zero; change the"),
    ("s(1e15) / s(0.001)", r"^divide: a number of size 1.0e\+18"),
]


@pytest.mark.parametrize("line, message", LARGE)
@pytest.mark.parametrize("public", [False, True])
def test_an_overflow_is_reported_with_operation_size_limit_and_remedy(
        line, message, public):
    def evaluate(world):
        encode = fix_precision if public else lambda array: shared(world, array)
        eval(line, {"s": encode, "np": np, "nn": nn})

    with pytest.raises(OutOfRange, match=message):
        evaluate(World(seed=1, checked=True))
    if not public:
        evaluate(World(seed=1))         # unchecked: no error


@pytest.mark.parametrize("line, message", [
    ("x.sort()", "^sort: "), ("x.top_k(1)", "^top_k: "),
    ("x.reshape(-1, 1).sort_rows(0)", "^sort_rows: "), ("x.softmax()", "^softmax: ")])
def test_differences_beyond_the_range_of_securenn_are_detected(line, message):
    """The carry tree compares any two numbers."""
    def evaluate(comparison):
        world = World(seed=1, checked=True, comparison=comparison)
        eval(line, {"x": shared(world, [2e15, -2e15]) * 2})

    with pytest.raises(OutOfRange, match=message):
        evaluate("securenn")
    evaluate("carry-tree")


def test_a_local_truncation_that_fails_is_detected_and_the_remedy_is_the_provider():
    world = World(seed=1, checked=True, truncation="local")
    product = shared(world, np.full(200, 1e6)) * shared(world, np.full(200, 4e6))
    message = ("^get: .* results are wrong by up to .*: a product wrapped around or a "
               "truncation failed; .*; make the World with truncation='provider', or "
               "scale the data$")
    with pytest.raises(OutOfRange, match=message):
        product.get()


def test_numbers_up_to_the_limits_are_correct_and_raise_nothing():
    world, n = World(seed=1, checked=True), 2000
    limits = fix_precision(0.0).limits
    assert limits == mpc.FixedPoint(fix_precision(0.0).value).limits
    value, product = limits.value * 0.999999, np.sqrt(limits.product) * 0.999999
    x = shared(world, np.linspace(-value, value, n))
    above = (x > -x).get().float_precision()
    assert np.array_equal(above, np.linspace(-1, 1, n) > 0)
    p = shared(world, np.linspace(-product, product, n))
    off = (p * p).get().float_precision() - np.linspace(-product, product, n) ** 2
    assert np.abs(off).max() <= 2 * product * 0.0005 + 0.002
    public = np.array([limits.public, -limits.public]) * 0.999999
    scaled = (shared(world, public) * 0.987654).get().float_precision()
    np.testing.assert_allclose(scaled, public * 0.987654, rtol=1e-6)


# ---- teeth: operations that are wrong are detected

TEETH = [
    ("+", "x + y"), ("-", "x - y"), ("*", "x * y"), (("*", True, False), "x * 0.3"),
    (("*", True, False), "x * P"), ("/", "x / 7"), ("@", "x @ y.T"),
    (("@", True, False), "x @ P.T"), ("r@", "P.T @ x"), ("**", "x ** 2"),
    ("sum", "x.sum(0)"), ("cumsum", "x.cumsum(1)"), ("drelu", "x > y"),
    ("eq", "x.eq(y)"), ("max", "x.max(1)"),
    ("reciprocal", "(y + 5) ** -1"), ("sqrt", "np.sqrt(y + 5)"), ("exp", "np.exp(y)"),
    ("rsqrt", "(y + 5) ** -0.5"), ("log", "np.log(y + 5)"), ("tanh", "np.tanh(y)"),
    ("sigmoid", "y.sigmoid()"),
    ("argmax", "x.argmax(1)"), ("argmax", "x.argmax(1, one_hot=True)"),
    ("get", "(x * y).get()"), ("concatenate", "mpc.concatenate([x, y * x])"),
    ("rescaled", "(x * y).rescaled_for(w, x)"), ("relu", "(x * y).relu()"),
    ("divide", "x / y"), ("divide", "x / (x * y + 50)"), ("softmax", "x.softmax(0)"),
    ("sort", "x.sort(0)"), ("top_k", "x.top_k(2)"), ("median", "x.median(1)"),
    ("sort_rows", "(x * y).sort_rows(0)"),
    ("updated", "w.updated((x * y).T, 0.3)"), ("updated", "w.updated(x.T)"),
    ("finer", "x.finer(2000)"), ("finer", "(x * y).finer(1)"),
]


def test_every_operation_has_such_a_test():
    assert {name for name, _ in TEETH} == set(REFERENCES)


@pytest.mark.parametrize("name, line", TEETH)
@pytest.mark.parametrize("kind", ["secret", "public"])
def test_an_operation_with_another_result_is_detected(name, line, kind, monkeypatch):
    """The reference moves by just over twice its bound: as good as a wrong result."""
    rng, world = np.random.default_rng(5), World(seed=1, checked=True)
    a, b = rng.permutation(np.arange(-6, 6)).reshape(3, 4), rng.normal(size=(3, 4))
    make = fix_precision if kind == "public" else lambda *args, **how: shared(
        world, *args, **how)
    names = {"x": make(a), "y": make(b), "w": make(b.T, weight_scale=2000), "mpc": mpc,
             "P": np.round(b, 2), "np": np}
    eval(line, names)                                       # correct: no error

    def moved(*args, **options):
        expected, bound = REFERENCES[name](*args, **options)
        first = (np.arange(np.size(expected)) == 0).reshape(np.shape(expected))
        return expected + first * (2.01 * np.minimum(bound, 1) + 1e-9), bound

    monkeypatch.setattr("mpc.audit.checked.REFERENCES", {**REFERENCES, name: moved})
    with pytest.raises(OutOfRange, match=r": 1 of \d+ results are wrong by up to"):
        eval(line, names)


@pytest.mark.parametrize("op", "+ - * / > == @".split())
def test_numbers_in_an_array_of_objects_are_compared_as_numbers(op):
    x = shared(World(seed=1, checked=True), [0.5, 2.0])
    found = eval(f"x {op} y", {"x": x, "y": np.array([1, 2.0], object)})
    due = eval(f"x {op} y", {"x": np.array([0.5, 2.0]), "y": np.array([1, 2.0])})
    np.testing.assert_allclose(found.reveal(), due, atol=0.002)


@pytest.mark.parametrize("role", ["'bob'", "world.bob", "None"])
def test_a_checked_value_is_revealed_to_a_role_or_its_name(role):
    world = World(seed=1, checked=True)
    x = shared(world, [0.5, 2.0])
    assert x.get(eval(role, {"world": world})).float_precision().tolist() == [0.5, 2.0]


@pytest.mark.parametrize("line", [
    "np.sqrt(z * z)", "z.std()", "(z * z + 0.001) ** -0.5", "np.log(z * z + 0.001)",
    "1 / (z * z + 0.002)", "z / (z * z + 0.002)", "(z * z).softmax()", "np.exp(z * z)"])
def test_a_function_of_a_product_may_round_the_product_first(line):
    world = World(seed=3, checked=True)
    z = np.random.default_rng(1).uniform(0, 0.1, 50).round(3)
    z = fix_precision(z).share(*world.workers, crypto_provider=world.crypto_provider)
    assert np.isfinite(eval(line, {"np": np, "z": z}).reveal()).all()


@pytest.mark.parametrize("line", [
    "1 / x", "x / (x - x)", "np.sqrt(-y)", "(x - 1) ** -0.5", "np.log(x)",
    "np.exp(20 * y)", "3e7 * y / (y - 0.999)"])
def test_a_function_outside_its_range_is_detected(line):
    world = World(seed=1, checked=True)
    names = {"x": shared(world, [0.0, 1.0]), "y": shared(world, [1.0, 2.0]), "np": np}
    with pytest.raises(OutOfRange):
        eval(line, names)


# ---- it only looks

def program(world):
    x = shared(world, [[1.0, -2.0], [0.5, 4.0]])
    y = shared(world, [[0.5, 0.25], [-1.0, 2.0]])
    w = nn.Tensor(y, True)
    loss = nn.mse_loss((nn.Tensor(x) @ w).relu(), nn.Tensor(x))
    loss.backward()
    nn.SGD([w], 0.1).step()
    joined = mpc.concatenate([x > y, x * y])
    return [w.value, loss.value, x.max(1), x.argmax(0), joined, x.eq(y) / 3]


@pytest.mark.parametrize("n_workers, how", [
    (2, {}), (2, {"truncation": "local"}), (3, {}),
    (2, {"comparison": "carry-tree", "ring_bits": 48})])
def test_all_shares_and_messages_are_those_of_an_unchecked_world(n_workers, how):
    worlds = [RecordedWorld(n_workers, seed=1, checked=checked, **how)
              for checked in (False, True)]
    for plain, checked in zip(*map(program, worlds), strict=True):
        np.testing.assert_array_equal(rows_of(plain), rows_of(checked))
    assert worlds[0].tape == worlds[1].tape


def test_a_tagged_world_may_be_checked_too():
    program(TaggedWorld(seed=1, checked=True))


def test_the_comparison_is_loaded_by_a_checked_world_only():
    """An import of the room at its first use would fail here."""
    code = ("import sys, mpc; sys.modules['mpc.audit.checked'] = None\n"
            "def double(world):\n"
            "    x = mpc.fix_precision([1.0]).share(\n"
            "        *world.workers, crypto_provider=world.crypto_provider)\n"
            "    return (x + x).get().float_precision()[0]\n"
            "assert double(mpc.World()) == 2\n"
            "double(mpc.World(checked=True))")
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = found.stderr.strip().splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: import of mpc.audit.checked halted")


# ---- where it cannot be

@pytest.mark.parametrize("run", [
    lambda: mpc.run_threads(lambda world: None, checked=True),
    lambda: RecordedWorld(seed=1).replay("alice", checked=True),
    lambda: World(here=("alice",), keys={}, checked=True)],
    ids=["threads", "replay", "one role"])
def test_roles_apart_cannot_compare(run):
    with pytest.raises(ValueError, match="checked=True needs all roles here; leave it"):
        run()


def test_a_recorded_checked_simulation_is_replayed_without_the_comparison():
    world = RecordedWorld(seed=1, checked=True)
    program(world)
    for role in world.roles:
        alone = world.replay(role)
        assert not alone.checked
        program(alone)
        alone.finish()


def test_rounding_of_large_numbers_and_of_updates_is_no_error():
    world = World(checked=True)
    one_digit = shared(world, np.full(4, 2.0e14), precision_fractional=1)
    one_digit.relu(), one_digit.max(), mpc.concatenate([one_digit, one_digit])
    weight = shared(world, np.full(9, 0.74), weight_scale=3000)
    weight.updated(shared(world, np.full(9, 0.25), weight_scale=3000) / 7)
