"""A Tensor refuses comparisons, conversions and NumPy functions."""

import copy
import operator

import numpy as np
import pytest

import mpc
from nn import Tensor


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
def test_comparisons_are_refused(x, sign):
    for other in (3, 3.0, None, "a", x, Tensor(1.0)):
        with pytest.raises(TypeError, match=rf"^{sign} of a Tensor: .*\.value {sign}"):
            COMPARISONS[sign](x, other)
    for other in (np.ones((2, 2)), np.float64(3)):
        for one, two in ((x, other), (other, x)):
            with pytest.raises(TypeError, match=r"\.value"):
                COMPARISONS[sign](one, two)


def test_membership_by_value_is_refused():
    x = Tensor(1.0)
    with pytest.raises(TypeError, match="a is b"):
        assert x in [1.0]
    assert x in [x]


def test_tensors_hash_by_identity():
    x, y = Tensor(1.0), Tensor(1.0)
    assert len({x, y, x}) == 2 and {x: "x", y: "y"}[y] == "y"
    assert hash(x) != hash(copy.deepcopy(x))


NUMPY = {
    "np.mean": (np.mean, "tensor.mean"), "np.sum": (np.sum, "tensor.sum"),
    "np.reshape": (lambda x: np.reshape(x, (4,)), "tensor.reshape"),
    "np.transpose": (np.transpose, "tensor.T"),
    "np.dot": (lambda x: np.dot(x, x), "a @ b"),
    "np.inner": (lambda x: np.inner(x, x), "a @ b.T"),
    "np.square": (np.square, "tensor.square"),
    "np.maximum": (lambda x: np.maximum(x, 0), "tensor.relu"),
    "np.shape": (np.shape, "tensor.shape"),
    **{f"np.{f.__name__}": (f, "operators and methods") for f in (
        np.exp, np.sqrt, np.abs, np.max, np.argmax, np.sort, np.linalg.norm, np.cumsum,
        np.prod, np.zeros_like, np.array_equal, np.any)},
    "np.stack": (lambda x: np.stack([x, x]), "operators and methods"),
    "np.concatenate": (lambda x: np.concatenate([x, x]), "operators and methods"),
    "np.where": (lambda x: np.where(x, 1, 0), "operators and methods"),
    "np.einsum": (lambda x: np.einsum("ij->i", x), "operators and methods")}


@pytest.mark.parametrize("name", NUMPY)
def test_numpy_functions_are_refused_with_a_replacement(x, name):
    function, instead = NUMPY[name]
    arguments = (x, x) if name == "np.array_equal" else (x,)
    with pytest.raises(TypeError, match=rf"^np\.\w+: .*{instead}.*, or pass its"):
        function(*arguments)


@pytest.mark.parametrize("f", [
    np.asarray, np.array, lambda x: np.array([x, x]), np.atleast_1d,
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
    with pytest.raises(TypeError, match="NumPy cannot compute with a Tensor"):
        f(Tensor(np.ones((2, 2)), True), a)
    np.testing.assert_array_equal(a, 1)


@pytest.mark.parametrize("f, remedy", [
    (float, r"write float\(tensor.value\)"), (int, r"write int\(tensor.value\)"),
    (len, r"write tensor.shape\[0\]"), (list, r"not iterable; index it: tensor\[i\]"),
    (bool, "a branch must not depend on a value"),
    (lambda x: x[x], "not a public index"),
    (lambda x: x[0, Tensor(1)], "not a public index"),
    (lambda x: 1.0 in x, "not iterable")])
def test_conversions_are_refused_with_a_replacement(x, f, remedy):
    with pytest.raises(TypeError, match=remedy) as caught:
        f(x)
    assert "\n" not in str(caught.value)
