"""NumPy's functions on secrets give NumPy's numbers, and their gradients are right."""

import array_programs
import numpy as np
import pytest
from array_programs import SETTINGS, draw, failure, wrong_gradient
from expected import Format

import mpc
import nn
from mpc.array_functions import RULES

CHUNK = 50
EVERY = pytest.mark.parametrize("name", SETTINGS)


def check_programs(name, first, n):
    found = [failure((7, i), SETTINGS[name]) for i in range(first, first + n)]
    assert not any(found), "\n".join(str(f) for f in found if f)


@EVERY
@pytest.mark.parametrize("first", range(0, 250, CHUNK))
def test_random_programs_of_numpy_agree(name, first):
    check_programs(name, first, CHUNK)


@pytest.mark.slow
@EVERY
@pytest.mark.parametrize("first", range(1000, 3000, 250))
def test_many_random_programs_of_numpy_agree(name, first):
    check_programs(name, first, 250)


def check_gradients(first, n):
    world, compared = mpc.World(seed=1, comparison="carry-tree"), 0
    for i in range(first, first + n):
        program, _ = draw((8, i), SETTINGS["carry-tree"], small=True)
        wrong, entries = wrong_gradient(program, lambda a: secret(world, a))
        assert not wrong, wrong
        compared += entries > 0
    assert compared > 0.8 * n


@pytest.mark.parametrize("first", range(0, 100, CHUNK))
def test_gradients_of_random_programs_are_slopes(first):
    check_gradients(first, CHUNK)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 600, 250))
def test_gradients_of_many_random_programs_are_slopes(first):
    check_gradients(first, 250)


# ---- the tests can fail

def test_every_rule_is_in_the_programs_or_in_a_test_of_its_own():
    text = " ".join(t for i in range(1000) for _, t in draw(
        (7, i), SETTINGS["carry-tree"])[0].lines)
    words = {word for word in text.replace("(", " ").replace(".", " ").split()}
    operators = {"add", "subtract", "multiply", "divide", "matmul", "power", "negative",
                 "invert", "bitwise_and", "bitwise_or"}
    missing = {f.__name__ for f in RULES} - words - operators - set(SINGLE) - {"pow", "absolute"}
    assert not missing


@pytest.mark.parametrize("rule, wrong", [
    (np.maximum, lambda x, y: x), (np.var, lambda x, axis=None, *, keepdims=False: (
        (x - x.mean(axis, keepdims=True)) ** 2).sum(axis, keepdims)),
    (np.flip, lambda x, axis=None: x), (np.cumsum, lambda x, axis=None: x)])
def test_a_wrong_rule_is_found(rule, wrong, monkeypatch):
    monkeypatch.setitem(RULES, rule, wrong)
    monkeypatch.setattr(array_programs, "LINES", {
        np.maximum: [array_programs.binary], np.var: [array_programs.reduction],
        np.flip: [array_programs.moved], np.cumsum: [array_programs.summed]}[rule])
    assert any(failure((9, i), SETTINGS["carry-tree"]) for i in range(60))


def test_bounds_of_random_programs_are_small():
    eps = Format().eps
    drawn = [draw((7, i), SETTINGS["carry-tree"]) for i in range(300)]
    errors = np.concatenate([(expected[name].revealed_error / eps).ravel()[:5]
                             for program, expected in drawn
                             for name in program.results])
    assert np.quantile(errors, [0.5, 0.75]).tolist() <= [10, 100]


# ---- rules outside the programs

A = np.array([[1.5, -2.0, 3.0], [0.25, 4.0, -1.0]])
SINGLE = {
    "rot90": "np.rot90(x)", "fliplr": "np.fliplr(x)", "flipud": "np.flipud(x)",
    "take_along_axis": "np.take_along_axis(x, np.array([[0, 2], [1, 1]]), 1)",
    "diagonal": "np.diagonal(x)", "hsplit": "np.hsplit(x, 3)[1]",
    "vsplit": "np.vsplit(x, 2)[1]", "atleast_1d": "np.atleast_1d(x.sum())",
    "shape": "x * np.shape(x)[0]", "ndim": "x * np.ndim(x)",
    "size": "x * np.size(x, 1)", "zeros_like": "x + np.zeros_like(x)",
    "ones_like": "x + np.ones_like(x)", "logical_not": "np.logical_not(x)",
    "norm": "np.linalg.norm(x)", "std": "np.std(x, 1)", "sqrt": "np.sqrt(abs(x))",
    "exp": "np.exp(x)", "log": "np.log(abs(x))", "tanh": "np.tanh(x)"}
MATHEMATICS = {"norm", "std", "sqrt", "exp", "log", "tanh"}


def secret(world, array):
    return mpc.fix_precision(array).share(*world.workers,
                                          crypto_provider=world.crypto_provider)


@pytest.mark.parametrize("name", [n for n in SINGLE if n not in MATHEMATICS])
def test_a_rule_of_its_own(name):
    x = secret(mpc.World(seed=1, checked=True), A)
    due = np.asarray(eval(SINGLE[name], {"np": np, "x": A}), float)
    for value in (eval(SINGLE[name], {"np": np, "x": x}),
                  eval(SINGLE[name], {"np": np, "x": nn.Tensor(x)}).value):
        found = value.get().float_precision()
        assert found.shape == due.shape
        np.testing.assert_allclose(found, due, atol=0.002)


def test_methods_have_the_names_of_numpy():
    x = secret(mpc.World(seed=1), A)
    for name in ("mean", "var", "std", "min", "argmin", "clip", "dot", "ravel", "take",
                 "squeeze", "swapaxes", "repeat", "flatten", "abs", "any", "all",
                 "cumsum", "transpose", "sum", "max", "argmax", "reshape", "diagonal"):
        for value in (x, nn.Tensor(x), nn.Tensor(A)):
            assert callable(getattr(value, name)), name
    assert x.mean(0).get().float_precision() == pytest.approx(A.mean(0), abs=0.002)
    assert x.size == 6 and len(x) == 2 and x.ndim == 2


def test_the_answer_of_a_comparison_selects_without_another_comparison():
    def rounds(select):
        world = mpc.World(seed=1, comparison="carry-tree")
        select(secret(world, A))
        return world.ledger.cost().rounds

    one = rounds(lambda x: x > 0)
    assert rounds(lambda x: np.where(x > 0, x, 0)) <= one + 1
    assert rounds(lambda x: np.where(~(x > 0)[::-1].T.T, x, 0)) <= one + 1
    assert rounds(lambda x: np.where((x > 0) * 2, x, 0)) > one + 3


def test_public_and_secret_arrays_meet_in_every_function():
    world = mpc.World(seed=1)
    x, p = secret(world, A), mpc.fix_precision(A)
    joined = np.concatenate([p, x, A])
    assert joined.get().float_precision().tolist() == np.concatenate([A, A, A]).tolist()
    assert np.stack([p, A]).float_precision().tolist() == np.stack([A, A]).tolist()
    assert mpc.public.secret(joined.value) and np.mean(p).float_precision() == (
        pytest.approx(A.mean(), abs=0.002))
