"""Comparisons of Tensors, and the conversions that they refuse."""

import copy
import operator

import numpy as np
import pytest

import mpc
import nn
from nn import Tensor
from nn.refusals import INSTEAD


@pytest.fixture(params=["array", "secret"])
def x(request):
    value = np.array([[1.0, 2.0], [3.0, 4.0]])
    if request.param == "secret":
        world = mpc.World(seed=1)
        value = mpc.fix_precision(value).share(*world.workers,
                                               crypto_provider=world.crypto_provider)
    return Tensor(value, requires_grad=True)


COMPARISONS = {"==": operator.eq, "!=": operator.ne, "<": operator.lt,
               "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@pytest.mark.parametrize("sign", COMPARISONS)
def test_comparisons_compare_elements_without_a_gradient(x, sign):
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    for other in (3, 2.0, x, Tensor(2.0), np.full((2, 2), 2.5), np.float64(3)):
        plain = a if other is x else getattr(other, "value", other)
        for one, two, left, right in ((x, other, a, plain), (other, x, plain, a)):
            answer = COMPARISONS[sign](one, two)
            assert isinstance(answer, Tensor) and not answer.requires_grad
            np.testing.assert_array_equal(read(answer), COMPARISONS[sign](left, right))
    for other in (None, "a"):
        with pytest.raises(TypeError, match="cannot .. a (NoneType|str); pass a"):
            COMPARISONS[sign](x, other)


def read(x):
    value = x.value
    return value if isinstance(value, np.ndarray) else value.get().float_precision()


def test_membership_by_value_is_refused():
    x = Tensor(1.0)
    with pytest.raises(TypeError, match="must not depend on a value"):
        assert x in [1.0]
    assert x in [x]


def test_tensors_hash_by_identity():
    x, y = Tensor(1.0), Tensor(1.0)
    assert len({x, y, x}) == 2 and {x: "x", y: "y"}[y] == "y"
    assert hash(x) != hash(copy.deepcopy(x))


@pytest.mark.parametrize("function, instead", [
    (lambda x: np.array_equal(x, x), r"use \(x == y\).all\(\)"),
    (np.unique, "use sort"), (np.nonzero, "use x != 0"),
    (lambda x: np.where(x), "use x != 0"), (np.prod, "multiply the parts"),
    (lambda x: np.einsum("ij->i", x), "write it with @"),
    (lambda x: np.sum(x, dtype=int), r"it takes \(x, axis=None, \*, keepdims"),
    (np.linalg.inv, "reveal it first")])
def test_numpy_functions_without_a_meaning_name_a_replacement(x, function, instead):
    with pytest.raises(TypeError, match=rf"^np\.\w+.*: .*{instead}|; .*{instead}"):
        function(x)


@pytest.mark.parametrize("f", [
    np.asarray, np.array, lambda x: np.array([x, x]),
    lambda x: np.asarray(x, dtype=object), np.ma.array])
def test_a_tensor_is_not_converted_to_an_array(x, f):
    with pytest.raises(TypeError, match=r"pass its \.value"):
        f(x)


def test_numpy_operators_compute_as_the_operators_of_a_tensor():
    x, a = Tensor([[1.0, 2.0], [3.0, 4.0]], True), np.array([[1.0, 0.0], [2.0, 1.0]])
    for name in ("add", "subtract", "multiply", "divide", "matmul"):
        ufunc = getattr(np, name)
        np.testing.assert_array_equal(ufunc(x, a + 1).value, ufunc(x.value, a + 1))
        np.testing.assert_array_equal(ufunc(a, x).value, ufunc(a, x.value))
        np.testing.assert_array_equal(ufunc(x, x).value, ufunc(x.value, x.value))
        assert ufunc(a, x).requires_grad
    np.testing.assert_array_equal(np.negative(x).value, -x.value)
    np.testing.assert_array_equal(np.power(x, 2).value, x.value**2)


@pytest.mark.parametrize("f", [
    lambda x, a: np.add(a, x, out=a), lambda x, a: a.__iadd__(x),
    lambda x, a: np.add.reduce(x), lambda x, a: np.add(a, x, where=a > 0),
    lambda x, a: np.add.outer(a, x), lambda x, a: np.power(a, x)])
def test_a_tensor_is_not_written_into_an_array(f):
    a = np.ones((2, 2))
    with pytest.raises(TypeError, match="^np.(add|pow)"):
        f(Tensor(np.ones((2, 2)), True), a)
    np.testing.assert_array_equal(a, 1)


@pytest.mark.parametrize("f, remedy", [
    (float, r"write float\(tensor.value\)"), (int, r"write int\(tensor.value\)"),
    (lambda x: len(x.sum()), "a number without axes has no length"),
    (bool, "a branch must not depend on a value"),
    (lambda x: x[x], "not a public index"),
    (lambda x: x[0, Tensor(1)], "not a public index"),
    (lambda x: 1.0 in x, "a branch must not depend on a value")])
def test_conversions_are_refused_with_a_replacement(x, f, remedy):
    with pytest.raises(TypeError, match=remedy) as caught:
        f(x)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name, instead", [
    ("Adam", "take SGD"), ("CrossEntropyLoss", "take cross_entropy"),
    ("Parameter", r"take Tensor\(value, requires_grad=True\)"),
    ("functional", "methods of a Tensor"), ("no_such_name", "'no_such_name'$")])
def test_a_name_of_pytorch_names_a_replacement(name, instead):
    with pytest.raises(AttributeError, match=f"^module 'nn' has no .*{instead}"):
        getattr(nn, name)


def test_no_replacement_is_named_for_what_nn_has():
    assert not {*INSTEAD} & {*vars(nn)}
