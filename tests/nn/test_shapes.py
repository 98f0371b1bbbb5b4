"""Shapes that are asked for, and refused alike for arrays and for secrets."""

import numpy as np
import pytest

import mpc
from nn import Tensor


@pytest.fixture(params=["array", "public", "secret"])
def make(request):
    """Tensors that need a gradient, over one kind of value, and how to read a value."""
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
def test_reshape_takes_sizes_a_tuple_or_a_list_and_works_one_out(make, old, sizes, new):
    x = make(np.arange(float(np.prod(old))).reshape(old))
    y = x.reshape(*sizes)
    assert y.shape == new
    np.testing.assert_array_equal(read(y.value), np.arange(float(np.prod(old))).reshape(new))
    (y * y).sum().backward()
    np.testing.assert_allclose(read(x.grad), 2 * np.arange(float(np.prod(old))).reshape(old))


@pytest.mark.parametrize("sizes", [(5,), (4, -1), (-1, -1), ((),), (), (0, -1), (2, 3, 2)], ids=str)
def test_a_shape_that_does_not_fit_is_refused(make, sizes):
    with pytest.raises(ValueError, match=r"reshape: shape \(2, 3\) does not fit .*; both need 6"):
        make(np.ones((2, 3))).reshape(*sizes)


@pytest.mark.parametrize("sizes", [(6.0,), ("6",), (None,), (True, 6), (-2, -3)], ids=str)
def test_a_size_that_is_no_integer_is_refused(make, sizes):
    with pytest.raises(TypeError, match="reshape: a size is no integer from 0 on; pass integers"):
        make(np.ones((2, 3))).reshape(*sizes)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_a_transpose_reverses_the_axes_and_below_two_there_is_nothing_to_do(make, shape):
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
    (2, ValueError, r"this axis does not exist in shape \(2, 3\)"), (-3, ValueError, "does not exist"),
    ((0, 2), ValueError, "does not exist"), ((0, 0), ValueError, "is named twice"),
    ((0, -2), ValueError, "is named twice"), (1.0, TypeError, "an axis is no integer; pass"),
    ([0, 1], TypeError, "an axis is no integer; pass"), ("0", TypeError, "no integer; pass"),
    (True, TypeError, "an axis is no integer; pass")])
def test_an_axis_that_does_not_exist_is_refused(make, method, axis, error, text):
    with pytest.raises(error, match=text):
        getattr(make(np.ones((2, 3))), method)(axis)


@pytest.mark.parametrize("shape, axis, due", [
    ((0, 3), 1, (0,)), ((2, 3), (0, 1), ()), ((2, 3), np.int64(1), (2,)), ((2, 3), (-1,), (2,)),
    ((2, 0, 3), 2, (2, 0)), ((), None, ())], ids=str)
def test_a_mean_divides_by_the_number_of_its_terms(make, shape, axis, due):
    x = make(np.full(shape, 1.5))
    y = x.mean(axis)
    assert y.shape == due
    np.testing.assert_allclose(read(y.value), np.full(due, 1.5), atol=0.001)
    y.sum().backward()
    terms = np.prod(shape, dtype=int) // max(np.prod(due, dtype=int), 1)
    np.testing.assert_allclose(read(x.grad), np.full(shape, 1 / max(terms, 1)))


@pytest.mark.parametrize("shape, axis", [((0, 3), 0), ((0, 3), None), ((2, 0), 1), ((0,), None)])
def test_a_mean_of_nothing_is_refused(make, shape, axis):
    with pytest.raises(ValueError, match="has no elements to average .*; leave empty batches out"):
        make(np.ones(shape)).mean(axis)


@pytest.mark.parametrize("n", [np.int64(2), np.uint8(2), 2])
def test_a_square_may_be_asked_for_by_any_integer(make, n):
    x = make([3.0])
    (x ** n).sum().backward()
    np.testing.assert_allclose(read(x.grad), [6])


@pytest.mark.parametrize("n", [True, 2.0, "2", np.array([2]), 1j, None])
def test_an_exponent_that_is_no_integer_is_named_by_its_type_and_refused(make, n):
    with pytest.raises(ValueError, match="the exponent, .*, is not a public integer 1, 2, 3"):
        make([3.0]) ** n


def test_a_secret_exponent_is_not_printed(make):
    with pytest.raises(ValueError, match="the exponent, a (Tensor|FixedPoint|ndarray), is not"):
        make([3.0]) ** make([2.0])
    with pytest.raises(ValueError, match="the exponent, a (Tensor|FixedPoint|ndarray), is not"):
        make([3.0]) ** make([2.0]).value


def test_matrices_that_do_not_match_are_refused(make):
    with pytest.raises(ValueError, match=r"\(2, 3\) @ \(2, 3\) do not match; .* needs 3 rows"):
        make(np.ones((2, 3))) @ make(np.ones((2, 3)))
