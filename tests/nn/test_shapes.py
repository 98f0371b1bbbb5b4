"""Shapes and axes, accepted and refused alike for arrays and secrets."""

import numpy as np
import pytest

import mpc
from nn import Tensor


@pytest.fixture(params=["array", "public", "secret"])
def make(request):
    """A function that makes a parameter, over one kind of value, of an array."""
    world = mpc.World(seed=1)

    def tensor(array):
        value = np.array(array, float)
        if request.param != "array":
            value = mpc.fix_precision(value)
        if request.param == "secret":
            value = value.share(*world.workers, crypto_provider=world.crypto_provider)
        return Tensor(value, requires_grad=True)

    return tensor


def read(value):
    return value if isinstance(value, np.ndarray) else value.get().float_precision()


@pytest.mark.parametrize("old, sizes, new", [
    ((1, 2), ([2, 1],), (2, 1)), ((1, 2), ((2,),), (2,)), ((2, 3), (-1,), (6,)),
    ((2, 3), (3, -1), (3, 2)), ((2, 3), ([-1, 2],), (3, 2)), ((2, 0), (0, 5), (0, 5)),
    ((1,), ((),), ()), ((1, 1), (), ()), ((), (1, 1), (1, 1)), ((), ((),), ()),
    ((2, 3), (np.int64(6),), (6,))], ids=str)
def test_reshape_takes_sizes_a_tuple_or_a_list_with_one_unknown(make, old, sizes, new):
    array = np.arange(float(np.prod(old))).reshape(old)
    x = make(array)
    y = x.reshape(*sizes)
    assert y.shape == new
    np.testing.assert_array_equal(read(y.value), array.reshape(new))
    (y * y).sum().backward()
    np.testing.assert_allclose(read(x.grad), 2 * array)


@pytest.mark.parametrize("sizes", [
    (5,), (4, -1), (-1, -1), ((),), (), (0, -1), (2, 3, 2)], ids=str)
def test_a_shape_that_does_not_fit_is_refused(make, sizes):
    with pytest.raises(ValueError, match=r"\(2, 3\) does not fit .*; both need 6"):
        make(np.ones((2, 3))).reshape(*sizes)


@pytest.mark.parametrize("sizes", [
    (6.0,), ("6",), (None,), (True, 6), (-2, -3)], ids=str)
def test_a_size_that_is_not_an_integer_is_refused(make, sizes):
    with pytest.raises(TypeError, match="a size is not a non-negative integer"):
        make(np.ones((2, 3))).reshape(*sizes)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_a_transpose_reverses_the_axes(make, shape):
    array = np.arange(float(np.prod(shape))).reshape(shape)
    x = make(array)
    assert x.T.shape == shape[::-1]
    np.testing.assert_array_equal(read(x.T.value), array.T)
    (x.T * x.T).sum().backward()
    np.testing.assert_allclose(read(x.grad), 2 * array)


def test_a_transpose_of_three_axes_reverses_them_on_arrays(check):
    array = np.arange(6.0).reshape(1, 2, 3) + 0.5
    np.testing.assert_array_equal(Tensor(array).T.value, array.T)
    check(lambda a: a.T * np.arange(1.0, 7).reshape(3, 2, 1), array)


@pytest.mark.parametrize("method", ["sum", "mean"])
@pytest.mark.parametrize("axis, error, text", [
    (2, ValueError, r"shape \(2, 3\) does not have this axis; it has 2 axes"),
    (-3, ValueError, "does not have this axis"),
    ((0, 2), ValueError, "does not have this axis"),
    ((0, 0), ValueError, "is named twice"), ((0, -2), ValueError, "is named twice"),
    (1.0, TypeError, "an axis is not an integer; pass"),
    ([0, 1], TypeError, "an axis is not an integer; pass"),
    ("0", TypeError, "an axis is not an integer; pass"),
    (True, TypeError, "an axis is not an integer; pass")])
def test_a_wrong_axis_is_refused(make, method, axis, error, text):
    with pytest.raises(error, match=text):
        getattr(make(np.ones((2, 3))), method)(axis)


@pytest.mark.parametrize("shape, axis, due", [
    ((0, 3), 1, (0,)), ((2, 3), (0, 1), ()), ((2, 3), np.int64(1), (2,)),
    ((2, 3), (-1,), (2,)), ((2, 0, 3), 2, (2, 0)), ((), None, ())], ids=str)
def test_a_mean_divides_by_the_number_of_its_terms(make, shape, axis, due):
    x = make(np.full(shape, 1.5))
    y = x.mean(axis)
    assert y.shape == due
    np.testing.assert_allclose(read(y.value), np.full(due, 1.5), atol=0.001)
    y.sum().backward()
    terms = np.prod(shape, dtype=int) // max(np.prod(due, dtype=int), 1)
    np.testing.assert_allclose(read(x.grad), np.full(shape, 1 / max(terms, 1)))


@pytest.mark.parametrize("shape, axis", [
    ((0, 3), 0), ((0, 3), None), ((2, 0), 1), ((0,), None)])
def test_a_mean_of_nothing_is_refused(make, shape, axis):
    with pytest.raises(ValueError, match="has too few elements on axis .*; leave out"):
        make(np.ones(shape)).mean(axis)


@pytest.mark.parametrize("n", [np.int64(2), np.uint8(2), 2])
def test_any_type_of_integer_may_be_the_exponent(make, n):
    x = make([3.0])
    (x ** n).sum().backward()
    np.testing.assert_allclose(read(x.grad), [6])


@pytest.mark.parametrize("n", [True, 2.0, "2", np.array([2]), 1j, None])
def test_an_exponent_that_is_not_an_integer_is_refused(make, n):
    with pytest.raises(ValueError, match="the exponent, .*, is not a public positive"):
        make([3.0]) ** n


def test_a_secret_exponent_is_not_printed(make):
    for n in (make([2.0]), make([2.0]).value):
        with pytest.raises(ValueError, match=f"exponent, a {type(n).__name__}, is not"):
            make([3.0]) ** n


def test_matrices_that_do_not_match_are_refused(make):
    with pytest.raises(ValueError, match="do not match; the second needs 3 rows"):
        make(np.ones((2, 3))) @ make(np.ones((2, 3)))
