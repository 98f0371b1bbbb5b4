"""Public numbers travel beside a gradient and multiply it once, at the leaf."""

from fractions import Fraction
from numbers import Number

import numpy as np
import pytest

import mpc
import nn
from nn import Tensor
from nn.backward import added

UNIT = 0.001                            # of a number with three decimal digits


def shared(world, numbers, **how):
    x = mpc.fix_precision(numbers, **how)
    return x.share(*world.workers, crypto_provider=world.crypto_provider)


@pytest.fixture(params=["public", "local", "provider"])
def encode(request):
    """Fixed-point numbers: public, or shared in a World with this truncation."""
    if request.param == "public":
        return lambda numbers: mpc.fix_precision(numbers, rounding_seed=1)
    world = mpc.World(seed=1, truncation=request.param)
    return lambda numbers: shared(world, numbers)


def read(gradient):
    """The numbers of a gradient to the last digit; revealing would round them."""
    if isinstance(gradient, np.ndarray):
        return gradient
    ring = gradient.ring
    return ring.to_int(ring.sum(gradient.value.rows, axis=0)) / float(gradient.scale)


# ---- in fixed point


def test_the_gradient_of_a_mean_of_many_is_not_rounded_to_zero(encode):
    for number in (0.5, 1):
        x = Tensor(encode(np.full((64, 3), number)))
        w = Tensor(encode(np.ones((3, 128))), True)
        (x @ w).mean().backward()
        np.testing.assert_allclose(read(w.grad), 64 * number / 8192, rtol=1e-3)


def test_a_gradient_of_one_640th_is_exact(encode):
    x, w = Tensor(encode(np.ones((4, 2)))), Tensor(encode(np.ones((2, 3))), True)
    ((x @ w).sum() / 640).backward()
    np.testing.assert_allclose(read(w.grad), np.full((2, 3), 4 / 640), rtol=1e-12)


@pytest.mark.parametrize("number", [1, 0.25, 1 / 64, 1 / 640, 1e-6, 0.02 / 64, 30])
def test_the_precision_of_a_gradient_scales_with_its_number(number):
    """The error is at most the number times the rounding of the values it multiplies.
    """
    def gradient(seed):
        x, w = (mpc.fix_precision(a, rounding_seed=i) for i, a in enumerate((X, W)))
        w = Tensor(w, True)
        (((Tensor(x) @ w).relu() * 1.5) ** 2).sum().backward(seed)
        return w.grad

    rng = np.random.default_rng(0)
    X, W = rng.uniform(-1, 1, (5, 4)).round(3), rng.uniform(-1, 1, (4, 3)).round(3)
    one, scaled = gradient(1).float_precision(), gradient(number).float_precision()
    np.testing.assert_allclose(scaled / number, one, rtol=2e-6, atol=UNIT / 50)


@pytest.mark.parametrize("f", [
    lambda y: y.sum() / 64 / 128, lambda y: (y / 64).sum() / 128,
    lambda y: (y / 8192).sum(), lambda y: y.mean() * (y.shape[0] * y.shape[1] / 8192),
    lambda y: (y * (1 / 8192)).sum(), lambda y: ((y / 64) * (1 / 128)).sum()],
    ids=range(6))
def test_the_position_of_a_public_number_does_not_matter(encode, f):
    rng = np.random.default_rng(0)
    x, w = rng.uniform(-1, 1, (5, 4)).round(3), rng.uniform(-1, 1, (4, 3)).round(3)
    due = 2 * x.T @ (x @ w) / 8192
    leaf = Tensor(encode(w), True)
    f((Tensor(encode(x)) @ leaf) ** 2).backward()
    np.testing.assert_allclose(read(leaf.grad), due, atol=20 * UNIT / 8192)


def test_terms_with_different_numbers_are_exact_to_the_larger_number(encode):
    a, b = np.array([0.5, -1.25]), np.array([3.0, 0.75])
    x, y = Tensor(encode(a), True), Tensor(encode(b), True)
    ((x * y).sum() / 64 + (x * x).sum() * 4 + x.sum() / 8).backward()
    np.testing.assert_allclose(read(x.grad), b / 64 + 8 * a + 1 / 8, atol=8 * 2 * UNIT)
    np.testing.assert_allclose(read(y.grad), a / 64, atol=2 * UNIT / 64)


def test_numbers_travel_beside_gradients_that_are_public_arrays(encode):
    factors = np.array([[1.0, -2.0, 0.5]])
    x = Tensor(encode([[1.0], [2.0]]), True)
    ((x @ Tensor(factors)).sum() / 8192).backward()
    np.testing.assert_allclose(read(x.grad), np.full((2, 1), -0.5 / 8192), rtol=1e-12)


@pytest.mark.parametrize("lr, n, weight_scale, step", [
    (0.02, 64, 3_200_000, UNIT),        # as fine as the error: no second rounding
    (0.02, 64, 100_000, 1 / 31.25), (0.1, 8, 100_000, 1 / 625),
    (0.0213, 60, 100_000, 1 / 35.5)])
def test_a_weight_of_larger_scale_is_updated_without_a_truncation(
        lr, n, weight_scale, step):
    """With lr as the seed, only the n outputs' errors are rounded, to this step."""
    rng = np.random.default_rng(0)
    x, w, t = (rng.uniform(-1, 1, shape).round(3) for shape in ((n, 5), (5, 3), (n, 3)))
    world = mpc.World(seed=1)
    weight = Tensor(shared(world, w, weight_scale=weight_scale), True)
    error = (Tensor(shared(world, x)) @ weight - Tensor(shared(world, t))) ** 2
    (error.sum() / n).backward(lr)
    before = world.ledger.calls.copy()
    nn.SGD([weight], 1).step()
    assert world.ledger.calls == before
    moved = weight.value.get().float_precision() - w
    exact = -lr * 2 / n * x.T @ (x @ w - t)
    largest = np.abs(x).sum(0).max()
    rounding = UNIT if step == UNIT else UNIT + step
    assert np.max(np.abs(moved - exact)) < lr * 2 / n * largest * rounding


# ---- numbers beside gradients


class Watched:
    """A value that records the numbers that multiply it."""

    numbers, shape = [], (2,)

    def __mul__(self, other):
        if isinstance(other, Number) and other != 1:
            Watched.numbers.append(other)
        return self

    def __pow__(self, n):
        return self

    def __add__(self, other):
        return self

    def sum(self, axis=None, keepdims=False):
        total = Watched()
        total.shape = ()
        return total

    def reshape(self, *shape):
        return self

    def __truediv__(self, number):
        return self

    __rmul__, __radd__ = __mul__, __add__


def test_numbers_multiply_a_value_once_at_the_leaf():
    x = Tensor(Watched(), True)
    y = ((((x ** 2) * 3 / 4) ** 2).sum() / 64).square() / 5
    Watched.numbers.clear()
    y.backward(0.5)
    due = 0.5 / 5 * 2 / 64 * 2 * 3 / 4 * 2
    assert Watched.numbers == [pytest.approx(due, rel=1e-15)]


def test_gradients_with_the_same_number_are_added_before_the_product():
    x = Tensor(Watched(), True)
    y = ((x ** 2).sum() + (x ** 2).sum() + (x * x).sum() * 2) / 64
    Watched.numbers.clear()
    y.backward()
    assert Watched.numbers == [2 / 64]


@pytest.mark.parametrize("one, other", [
    ((1, 1.0), (1, 2.0)), ((1, 0.5), (1, -0.5)), ((7.0, 3.0), (5.0, 3.0)),
    ((7.0, 3.0), (5.0, 0.5)), ((7.0, 0.5), (5.0, 3.0)), ((7.0, -4.0), (5.0, 0.5)),
    ((7.0, 0.0), (5.0, 2.0)), ((7.0, 2.0), (5.0, 0.0)), ((7.0, 0.0), (5.0, 0.0)),
    ((1, 2.0), (5.0, 0.5)), ((5.0, 0.5), (1, 2.0)), ((1, 2.0), (5.0, 2.0))], ids=str)
def test_adding_gradients_multiplies_none_by_more_than_one(one, other):
    factors = []

    class Value(np.ndarray):
        def __mul__(self, number):
            factors.append(abs(number))
            return super().__mul__(number)

    def value(g):
        return g if isinstance(g, int) else np.full(2, g).view(Value)

    g, c = added(*((value(g), c) for g, c in (one, other)))
    due = one[0] * one[1] + other[0] * other[1]
    np.testing.assert_allclose(float(c) * np.asarray(g), due)
    assert all(factor <= 1 for factor in factors)


def test_numbers_cancel_exactly(encode):
    x, y = Tensor(encode([1.0, 2.0]), True), Tensor([1.0, 2.0], True)
    for leaf in (x, y):
        terms = leaf * 0.1 + leaf * 0.2 - leaf * 0.3
        (terms.sum() + leaf.sum() / 3 - leaf.mean() * 2 / 3).backward()
        np.testing.assert_array_equal(read(leaf.grad), 0)


@pytest.mark.parametrize("number", [1e-200, 1e200, 1 / 3, 0.1])
def test_a_long_chain_of_numbers_is_exact_to_the_digits_of_a_float(number):
    x = Tensor([1.0], True)
    y = x
    for _ in range(2000):
        y = y * number / number
    y.sum().backward()
    np.testing.assert_allclose(x.grad, 1, rtol=1e-12)


def test_a_chain_of_small_and_large_numbers_is_exact_on_floats():
    x = Tensor([1.0, -2.0], True)
    y = x
    for _ in range(200):
        y = y / 1000 * 999.0 * Fraction(1000, 999)
    y.sum().backward()
    np.testing.assert_allclose(x.grad, 1, rtol=1e-12)


@pytest.mark.parametrize("number", [0, 0.0, -1])
def test_zero_and_negative_numbers_multiply_gradients(encode, number):
    x = Tensor(encode([1.0, 2.0]), True)
    ((x * x).sum() * number + x.sum() * 3).backward()
    due = 2 * number * np.array([1.0, 2.0])
    np.testing.assert_allclose(read(x.grad), 3 + due, atol=4 * UNIT)
    y = Tensor(encode([1.0, 2.0]), True)
    (y * y).sum().backward(number)
    np.testing.assert_allclose(read(y.grad), due, atol=4 * UNIT)


# ---- seeds


@pytest.mark.parametrize("seed", [
    None, "1", True, 1j, np.bool_(True), {}, np.array(["a"])], ids=repr)
def test_a_seed_that_is_not_a_number_is_refused(seed):
    with pytest.raises(TypeError, match=r"backward\(seed\): .*; pass "):
        Tensor([1.0], True).backward(seed)


@pytest.mark.parametrize("seed", [np.nan, np.inf, -np.inf])
def test_a_seed_that_is_not_finite_is_refused(seed):
    with pytest.raises(ValueError, match="is not finite; pass a finite number"):
        Tensor(1.0, True).backward(seed)


def test_a_list_may_be_the_seed():
    with pytest.raises(ValueError, match=r"seed has shape \(1,\); pass one of"):
        Tensor(1.0, True).backward([1.0])
    x = Tensor([1.0, 2.0], True)
    (x * 3).backward([1, 10])
    np.testing.assert_array_equal(x.grad, [3, 30])


def test_a_secret_may_be_the_seed(encode):
    x = Tensor(encode([1.0, 2.0]), True)
    (x * 3).backward(Tensor(encode([0.5, -1.0])))
    np.testing.assert_allclose(read(x.grad), [1.5, -3.0], atol=UNIT)
