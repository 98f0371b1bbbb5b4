"""Every rule against finite differences, on floats and on opaque values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from nn import Tensor, gradients

# No entry is near the kink of a ReLU at 0.
A = np.array([[1.5, -2.0, 0.5], [-0.25, 3.0, -1.0]])
B = np.array([[-0.5, 1.0, 2.0], [0.75, -1.25, 4.0]])
C = np.array([[0.5, 1.0], [-1.5, 2.0], [0.25, -3.0]])
ROW, COLUMN, ONE = np.array([2.0, -1.0, 0.5]), np.array([[1.0], [-3.0]]), np.array(1.75)
OPERANDS = {"same shape": B, "row": ROW, "one row": ROW[None], "column": COLUMN,
            "scalar": ONE, "one by one": ONE.reshape(1, 1),
            "one more axis": B[None] * np.ones((2, 1, 1))}


@pytest.fixture(params=OPERANDS.values(), ids=OPERANDS.keys())
def other(request):
    return request.param


# ---- element by element


def test_add(check, other):
    check(lambda a, b: a + b, A, other)


def test_subtract(check, other):
    check(lambda a, b: a - b, A, other)


def test_subtract_from_the_broadcast_operand(check, other):
    check(lambda a, b: b - a, A, other)


def test_multiply(check, other):
    check(lambda a, b: a * b, A, other)


def test_multiply_when_both_operands_broadcast(check):
    check(lambda a, b: a * b, COLUMN, ROW)


def test_divide_by_a_tensor(check, other):
    check(lambda a, b: a / b, A, other, opaque=False)


def test_divide_a_number(check):
    check(lambda a: 3 / a, A, opaque=False)


def test_divide_by_a_number(check):
    check(lambda a: a / 64, A)


def test_negative(check):
    check(lambda a: -a, A)


def test_square(check):
    check(lambda a: a.square(), A)


@pytest.mark.parametrize("n", [1, 3, 4])
def test_power(check, n):
    check(lambda a: a**n, A, opaque=False)


def test_relu(check):
    check(lambda a: a.relu(), A)


@pytest.mark.parametrize("f", [
    lambda a: a + 2, lambda a: 2 + a, lambda a: a - 2, lambda a: 2 - a,
    lambda a: a * 2.5, lambda a: 2.5 * a, lambda a: a + ROW, lambda a: ROW + a,
    lambda a: a - ROW, lambda a: ROW - a, lambda a: a * ROW, lambda a: ROW * a,
    lambda a: a @ C, lambda a: C @ a])
def test_numbers_and_arrays_may_be_either_operand(check, f):
    check(f, A)


def test_numpy_scalars_may_be_either_operand(check):
    check(lambda a: np.float64(2) * a - np.float64(1) + a * np.float64(3), A)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=2))
def test_products_of_any_two_shapes_that_broadcast(check, shapes):
    a, b = (np.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape)
            for shape in shapes.input_shapes)
    check(lambda a, b: a * b - a, a, b)


# ---- products and sums


def test_matmul(check):
    check(lambda a, c: a @ c, A, C)


def test_matmul_with_itself_transposed(check):
    check(lambda a: a @ a.T, A)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, -1, -2])
def test_sum(check, axis, keepdims):
    check(lambda a: a.sum(axis, keepdims), A)


@pytest.mark.parametrize("axis", [(0, 2), (-1, 0), (0, 1, 2), (1,)])
def test_sum_over_several_axes(check, axis):
    check(lambda a: a.sum(axis), np.stack([A, B]), opaque=False)


def test_sum_of_a_scalar(check):
    check(lambda a: a.sum(), ONE)


@pytest.mark.parametrize("axis", [None, 0, -1])
def test_mean(check, axis):
    check(lambda a: a.mean(axis), A)


# ---- moving elements about


@pytest.mark.parametrize("shape", [(3, 2), (6,), (1, 2, 1, 3)])
def test_reshape(check, shape):
    check(lambda a: a.reshape(*shape), A)


def test_reshape_takes_a_tuple(check):
    check(lambda a: a.reshape((3, 2)), A)


def test_reshape_of_a_scalar(check):
    check(lambda a: a.reshape(1, 1), ONE)


def test_transpose(check):
    check(lambda a: a.T * C, A)


@pytest.mark.parametrize("key", [
    0, -1, (1, 2), slice(1, 2), (slice(None), slice(None, None, -2)), (slice(None), 1),
    None, Ellipsis, slice(2, 2)], ids=str)
def test_index(check, key):
    check(lambda a: a[key], A)


def test_index_that_selects_an_element_twice(check):
    check(lambda a: a[[0, 1, 0]], A, opaque=False)


def test_rows_of_one_tensor_can_be_used_separately(check):
    check(lambda a: a[0] * a[1] + a[:, 1:].sum(), A)


# ---- reuse and composition


def test_gradients_of_a_tensor_used_several_times_add_up(check):
    check(lambda a: a * a + a - (a * 2).relu(), A)


def test_a_product_with_itself_is_a_square(check):
    check(lambda a: a * a, A)


def test_an_intermediate_used_twice(check):
    def f(a, b):
        c = a * b
        return c * c + c
    check(f, A, ROW)


def test_a_network_of_two_layers(check):
    check(lambda x, w, b, v, c: (x @ w + b).relu() @ v + c,
          A, C, [0.1, -0.2], C.T, [0.3, 0.1, -0.7])


def test_a_network_of_squares(check):
    check(lambda x, w, b, v: ((x @ w + b) ** 2) @ v, A, C, [0.1, -0.2], C.T)


# ---- the kink at zero, and tests of the checker


def test_relu_at_zero_has_slope_one():
    x = Tensor([0.0, -1.0, 2.0], requires_grad=True)
    x.relu().sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 0, 1])


def wrong_factor(a, b):
    return a * b, lambda g, c: (g * b, c), lambda g, c: (g * a * 1.0001, c)


def wrong_operand(a, b):
    return a * b, lambda g, c: (g * a, c), lambda g, c: (g * b, c)


def wrong_sign(a, b):
    return a * b, lambda g, c: (-g * b, c), lambda g, c: (g * a, c)


@pytest.mark.parametrize("rule", [wrong_factor, wrong_operand, wrong_sign])
def test_the_checker_catches_a_wrong_rule(check, monkeypatch, rule):
    monkeypatch.setattr(gradients, "multiply", rule)
    text = r"argument [01] at \(0, 0\), where .*: backward says .*, the slope is "
    with pytest.raises(AssertionError, match=text):
        check(lambda a, b: a * b, A, B)


def test_the_checker_catches_a_missing_sum_over_broadcast_axes(check, monkeypatch):
    monkeypatch.setattr(gradients, "unbroadcast", lambda g, full, shape: g)
    with pytest.raises(AssertionError, match="wrong shape|backward says"):
        check(lambda a, b: a + b, A, ROW)


def test_the_checker_catches_a_rule_that_reads_values(check, monkeypatch):
    def peeking(x):
        return -x, lambda g, c: (-g if bool(x) else -g, c)
    monkeypatch.setattr(gradients, "negative", peeking)
    with pytest.raises(AssertionError, match="was read"):
        check(lambda a: -a, [2.0])


# ---- errors


@pytest.mark.parametrize("n", [0, -2, 0.3, None])
def test_an_exponent_that_is_not_a_positive_integer_is_refused(n):
    with pytest.raises(ValueError, match="not a public positive integer; for other"):
        Tensor([1.0]) ** n


def test_matmul_of_a_number_is_refused():
    with pytest.raises(ValueError, match="an operand without axes; multiply by"):
        Tensor(A) @ 2.0
