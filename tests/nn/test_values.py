"""The values and operands of a Tensor: copies of real numbers, or secrets."""

import datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import mpc
import nn
from nn import Tensor

LARGE = 2**53 + 1                   # the first integer that float64 does not represent


@pytest.mark.parametrize("value, due", [
    (3, 3.0), (True, 1.0), ([1, 2], [1.0, 2.0]), ([True, False], [1.0, 0.0]),
    ((1, 2.5), [1, 2.5]), (2**53, 2.0**53), (Fraction(1, 3), 1 / 3),
    (np.float16(2.986), 2.986328125),
    (np.arange(3, dtype=np.uint8), [0, 1, 2]), (np.array([-2**53]), [-2.0**53]),
    (np.longdouble(0.5), 0.5), (np.array([np.nan]), [np.nan])], ids=repr)
def test_a_tensor_holds_its_numbers_as_float64(value, due):
    held = Tensor(value).value
    assert type(held) is np.ndarray and held.dtype == np.float64
    np.testing.assert_array_equal(held, due, strict=False)


@pytest.mark.parametrize("value", [
    LARGE, -LARGE, [LARGE], np.array([-LARGE]), np.array([2**64 - 1], np.uint64),
    10**400, np.int64(LARGE)], ids=lambda value: type(value).__name__)
def test_integers_that_float64_may_not_represent_are_refused(value):
    with pytest.raises(ValueError, match="beyond 2.53; pass smaller ones, or floats"):
        Tensor(value)


@pytest.mark.parametrize("value", [
    [1j], np.full(2, 1 + 0j), ["1.5"], np.array(["1.5"]), [None], [b"1"], [2**70],
    [Decimal(1)], [datetime.date(2020, 1, 1)], np.array([1, None]),
    np.zeros(1, [("a", int)])], ids=repr)
def test_elements_that_are_not_real_numbers_are_refused(value):
    with pytest.raises(TypeError, match="Tensor: cannot take .* elements; pass real"):
        Tensor(value)


@pytest.mark.parametrize("value", [
    1j, np.complex64(1j), np.str_("1.5"), np.datetime64("2020-01-01"),
    np.timedelta64(1, "s"), Decimal("0.1"), np.array("1.5"), np.array(None)], ids=repr)
def test_a_scalar_that_is_not_a_real_number_is_refused(value):
    with pytest.raises(TypeError, match=r"Tensor: a \w+ is not a real number; pass"):
        Tensor(value)


def test_a_masked_array_is_refused():
    masked = np.ma.array([1.0, 2.0], mask=[False, True])
    for use in (Tensor, lambda a: Tensor([1.0, 2.0]) * a, lambda a: Tensor(1.0) * a[1]):
        with pytest.raises(TypeError, match="[mM]asked"):
            use(masked)


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="the rows differ in length; pass"):
        Tensor([[1], [2, 3]])


@pytest.mark.parametrize("tensors", [[Tensor(1.0)], [[Tensor(1.0)]], (Tensor([1.0]),)])
def test_a_list_of_tensors_is_refused(tensors):
    with pytest.raises(TypeError, match="a Tensor is not an array; pass its .value"):
        Tensor(tensors)


def test_a_second_array_is_refused():
    with pytest.raises(TypeError, match="requires_grad is a list; pass True or"):
        Tensor([1.0], [2.0])


# ---- operands

OPERATIONS = {"add": lambda a, b: a + b, "subtract": lambda a, b: b - a,
              "multiply": lambda a, b: b * a, "divide": lambda a, b: a / b,
              "matmul": lambda a, b: a @ b}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("other", [
    "2", b"2", None, 1j, np.complex64(1j), Decimal("0.1"), [1.0], {},
    datetime.date(2020, 1, 1), np.datetime64("2020-01-01"), np.str_("2"),
    np.full((2, 2), 1j), np.full((2, 2), "a"),
    np.full((2, 2), None), LARGE, np.full((2, 2), LARGE), 10**400], ids=repr)
def test_operands_that_are_not_real_numbers_are_refused_in_one_line(operation, other):
    with pytest.raises((TypeError, ValueError)) as caught:
        OPERATIONS[operation](Tensor(np.ones((2, 2)), True), other)
    text = str(caught.value)
    assert operation in text and "; pass" in text and "\n" not in text


@pytest.mark.parametrize("number, due", [
    (2, 2.0), (True, 1.0), (np.float16(2.986), 2.986328125), (np.int64(-3), -3.0),
    (Fraction(1, 3), 1 / 3), (np.array(0.25), 0.25), (np.bool_(True), 1.0),
    (np.float32(0.1), float(np.float32(0.1)))], ids=repr)
def test_a_public_number_is_the_same_factor_in_both_passes(number, due):
    operations = lambda x: x * number, lambda x: number * x, lambda x: x / (1 / due)
    for product in operations:
        x = Tensor([1.0, -2.0], True)
        y = product(x)
        y.sum().backward()
        np.testing.assert_allclose(y.value, [due, -2 * due], rtol=1e-15)
        np.testing.assert_allclose(x.grad, [due, due], rtol=1e-15)


def test_division_by_the_number_zero_is_refused():
    with pytest.raises(ZeroDivisionError, match="by the number 0; take another"):
        Tensor([1.0]) / 0


# ---- a tensor copies its numbers


def test_writing_into_the_source_array_does_not_change_a_tensor():
    numbers = np.array([1.0, 2.0])
    x = Tensor(numbers, True)
    y = (x * x).sum()
    numbers[:] = 50
    y.backward()
    np.testing.assert_array_equal(x.grad, [2.0, 4.0])
    x.value -= x.grad                                   # nor the other way round
    np.testing.assert_array_equal(numbers, [50, 50])


def test_writing_into_an_operand_or_index_does_not_change_a_gradient():
    factors, places = np.array([1.0, 2.0]), np.array([0, 0])
    x = Tensor([3.0, 4.0], True)
    y = (x * factors)[places].sum()
    factors[:], places[:] = 50, 1
    y.backward()
    np.testing.assert_array_equal(x.grad, [2.0, 0.0])


# ---- gradients share no memory


@pytest.mark.parametrize("f", [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: (a + b).reshape(2, 2).T,
    lambda a, b: (a + b).relu(), lambda a, b: (a + b).sum(0) + (a + b),
    lambda a, b: (a + b)[:, :], lambda a, b: a * b], ids=range(7))
def test_writing_into_a_gradient_changes_no_other_array(f):
    a, b = Tensor(np.full((2, 2), 3.0), True), Tensor(np.full((2, 2), 5.0), True)
    seed, y = np.ones((2, 2)), f(a, b)
    y.backward(seed)
    kept = [x.copy() for x in (b.grad, a.value, b.value, seed, y.value)]
    a.grad *= 0.5
    now = b.grad, a.value, b.value, seed, y.value
    for array, before in zip(now, kept, strict=True):
        np.testing.assert_array_equal(array, before)


def test_the_gradient_of_a_leaf_is_a_copy_of_the_seed():
    seed, x = np.ones(2), Tensor([1.0, 2.0], True)
    x.backward(seed)
    x.grad += 1
    np.testing.assert_array_equal(seed, 1)
    number, y = np.array(3.0), Tensor(1.0, True)
    y.backward(number)
    number += 1
    assert y.grad == 3


def test_adding_a_gradient_does_not_change_the_earlier_array():
    x = Tensor([1.0, 2.0], True)
    (x * 2).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    np.testing.assert_array_equal(first, 2)
    np.testing.assert_array_equal(x.grad, 5)


# ---- secrets in layers


def shared(world, numbers):
    x = mpc.fix_precision(numbers)
    return x.share(*world.workers, crypto_provider=world.crypto_provider)


def test_a_plain_layer_refuses_a_secret_and_says_how_to_encode_the_layer():
    world = mpc.World(seed=1)
    layer, x = nn.Linear(2, 3, np.random.default_rng(0)), shared(world, [[1.0, 2.0]])
    with pytest.raises(TypeError, match="plain array; encode the layer with model"):
        layer(x)
    due = layer([[1.0, 2.0]]).value
    got = layer.map(mpc.fix_precision)(x).value.get().float_precision()
    np.testing.assert_allclose(got, due, atol=0.003)
    layer.share(*world.workers, crypto_provider=world.crypto_provider)
    np.testing.assert_allclose(layer(x).value.get().float_precision(), due, atol=0.003)


def test_layers_take_bare_arrays_and_secrets():
    np.testing.assert_array_equal(nn.ReLU()(np.array([-1.0, 2.0])).value, [0, 2])
    np.testing.assert_array_equal(nn.Square()([[-1.0, 2.0]]).value, [[1, 4]])
    secret = nn.ReLU()(shared(mpc.World(seed=1), [-1.0, 2.0]))
    np.testing.assert_array_equal(secret.value.get().float_precision(), [0, 2])
