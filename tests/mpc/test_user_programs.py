"""Short programs of a user in the default World: the correct number, or a refusal.

Each tolerance is at most the documented error of the operations in the line. Numbers
have three decimal digits unless another format is given.
"""

import datetime

import numpy as np
import pytest

import mpc
import nn

REFUSED = TypeError, ValueError


@pytest.fixture
def S():
    """Shares numbers in one default World."""
    return sharing(mpc.World(seed=1))


def sharing(world, **format):
    def share(numbers, weight_scale=1):
        x = mpc.fix_precision(numbers, ring=world.ring, weight_scale=weight_scale,
                              **format)
        return x.share(*world.workers, crypto_provider=world.crypto_provider)
    return share


def out(x):
    return x.get().float_precision()


def near(numbers, by=0.006):
    return pytest.approx(np.asarray(numbers, float), rel=0, abs=by)


# -------------------------------------------------------------- zeros and long chains


def test_a_public_mask_then_a_public_number(S):
    x, mask = S([2.0, 3.0, 4.0]), np.array([1.0, 0.0, 1.0])
    assert out(x * mask - 1) == near([1, -1, 3])


def test_a_masked_tensor_through_relu(S):
    x = nn.Tensor(S([2.0, 3.0, 4.0]))
    assert out((x * np.array([1.0, 0.0, 1.0]) - 1).relu().value) == near([1, 0, 3])


def test_a_cancelled_value_then_division(S):
    x = S([2.0, 3.0, 4.0])
    assert out((x - x - 0.5) / 3) == near([-1 / 6] * 3)


@pytest.mark.parametrize("steps", [1, 30, 50, 200])
def test_a_long_chain_of_public_factors_stays_where_it_is(S, steps):
    y = S(np.full(200, -1.0))
    for _ in range(steps):
        y = y * np.full(200, 0.5) - 0.5
    assert out(y) == near(np.full(200, -1), by=0.009)   # errors halve at each step


# ---------------------------------------------------------------------- large numbers


def test_the_mean_of_squared_salaries():
    salaries = np.random.default_rng(0).uniform(30e3, 90e3, 500).round(2)
    for seed in range(20):
        x = sharing(mpc.World(seed=seed))(salaries)
        mean = np.mean(salaries**2)
        assert out((x * x).sum() / 500) == near(mean, by=1e-6 * mean + 0.003 * 90e3)


@pytest.mark.parametrize("x, y", [
    (1e6, 1.5e6), (1e6, 4e6), (2e6, 2.3e6), (-1e6, 4.6e6)])
def test_products_up_to_the_limit(S, x, y):
    n = 10_000
    assert out(S(np.full(n, x)) * S(np.full(n, y))) == near(np.full(n, x * y))


def test_a_product_beyond_the_limit_is_detected_in_checked_mode():
    S = sharing(mpc.World(seed=1, checked=True))
    with pytest.raises(mpc.OutOfRange):
        S([4e6]) * S([4e6])


# ---------------------------------------------------------- public numbers and arrays


@pytest.mark.parametrize("c", [
    0.0004, np.array([0.0004]), np.array(0.0004), 1e-6 / 0.0025])
def test_a_small_public_number_is_no_zero(S, c):
    assert out(S([1000.0]) * c) == near([0.4])


@pytest.mark.parametrize("c", [np.pi, np.array([np.pi])])
def test_pi_keeps_six_digits(S, c):
    assert out(S([1e6]) * c) == near([np.pi * 1e6], by=3.2)


def test_a_learning_rate_in_an_array_moves_the_weights_or_is_refused(S):
    w = nn.Tensor(S([[1.0]]), True)
    (w * 1000).sum().backward()
    try:
        nn.SGD([w], np.array([0.0004])).step()
    except REFUSED:
        return
    assert out(w.value) == near([[0.6]])


@pytest.mark.parametrize("n", [1000, 1500, 3000, 10_000])
def test_a_mean_as_a_product_with_a_column(S, n):
    mean = out(S(np.full((1, n), 100.0)) @ np.full((n, 1), 1 / n))
    assert mean == near([[100]], by=1e-4 + 0.001 * (n + 2))


def test_a_number_of_half_precision_has_its_value_not_its_text(S):
    x = np.float16(2.986)
    assert float(x) != 2.986
    for line in S([1000.0]) * x, x * S([1000.0]), S([1000.0]) * np.array([x]):
        assert out(line) == near([1000 * float(x)], by=0.009)


@pytest.mark.parametrize("factor", [np.full(4, 1j), 1j, np.complex128(1 + 1j)])
def test_complex_factors_are_refused(S, factor):
    x = S(np.ones(4))
    with pytest.raises(REFUSED):
        factor * x
    with pytest.raises(REFUSED):
        x * factor


# ---------------------------------------------------------------------- input


def test_whole_numbers_that_float64_cannot_hold_are_correct_or_refused():
    S = sharing(mpc.World(seed=1), precision_fractional=0)
    try:
        x = S(np.array([2**53 + 1]))
    except REFUSED:
        return
    assert out(x - 2**53) == near([1], by=0)


def test_a_large_number_is_encoded_to_the_last_digit(S):
    assert out(S([1e14 + 1]) - 1e14) == near([1], by=0)


@pytest.mark.parametrize("numbers", [
    np.array([1 + 2j]), [1j], np.array(["2026-11-25"], "datetime64[D]"), ["12", "1e3"],
    "7", np.array([3], "timedelta64[s]"), datetime.timedelta(1), [None],
    np.ma.array([1.0, 2.0], mask=[False, True])], ids=repr)
def test_data_that_are_no_plain_numbers_are_refused(numbers):
    with pytest.raises(REFUSED):
        mpc.fix_precision(numbers)


# ---------------------------------------------------------------------- scales


def test_the_square_of_a_scaled_value(S):
    x = out((S(np.full(5, 100.0)) * 1.234567) ** 2)
    assert x == near(np.full(5, 123.4567**2), by=0.9)       # 2 * 123 * 0.0035


def test_the_square_of_a_quotient(S):
    assert out((S([20.0]) / np.sqrt(10)) ** 2) == near([40], by=0.04)


def test_a_product_of_a_scaled_value():
    for seed in range(20):
        S = sharing(mpc.World(seed=seed))
        got = out(S([5000.0]) * 0.987654 * S([5000.0]))
        assert got == near([5000 * 0.987654 * 5000],
                           by=25 + 20)    # 1e-6 of it; 5,000 times 0.004


def test_the_variance_of_numbers_far_from_zero(S):
    v = np.random.default_rng(0).uniform(2400, 5600, 1000).round(3)
    x = S(v)
    assert out((x * x).sum() / 1000 - (x.sum() / 1000) ** 2) == near(np.var(v), by=100)


def test_bits_and_values_joined(S):
    x = S([1.5, -2.25])
    assert out(mpc.concatenate([x > 0, x])) == near([1, 0, 1.5, -2.25])
    assert out(mpc.concatenate([x > 0, x * x, x, x * 0.3])) == near(
        [1, 0, 2.25, 5.0625, 1.5, -2.25, 0.45, -0.675], by=0.008)


def test_powers_of_a_scaled_value(S):
    assert out(((S([1.0]) * 0.123456) ** 2) ** 2) == near([0.123456**4])


def test_a_product_of_tiny_quotients_then_a_sum(S):
    assert out((S([1.0]) / 1e6) * (S([1.0]) / 1e6) + 1000) == near([1000], by=0.005)


@pytest.mark.parametrize("digits, bits", [(9, 64), (3, 24), (6, 44)])
def test_one_times_one_in_every_format_that_is_accepted(digits, bits):
    world, n = mpc.World(seed=1, ring_bits=bits), 20_000
    S = sharing(world, precision_fractional=digits)
    assert out(S(np.ones(n)) * S(np.ones(n))) == near(np.ones(n), by=4 * 10.0**-digits)


# ---------------------------------------------------------------------- gradients


@pytest.mark.parametrize("loss, due", [
    (lambda y: y.mean(), 1 / 128), (lambda y: y.sum() / 640, 64 / 640),
    (lambda y: y.sum() / 8192, 1 / 128)], ids=["mean", "sum / 640", "sum / 8192"])
def test_small_public_gradients_are_not_rounded_away(S, loss, due):
    x, w = nn.Tensor(S(np.ones((64, 3)))), nn.Tensor(S(np.ones((3, 128))), True)
    loss(x @ w).backward()
    assert out(w.grad) == near(np.full((3, 128), due), by=0.003)


@pytest.mark.parametrize("weight_scale", [1, 1000, 2**20, 999_983, 1_600_000])
@pytest.mark.parametrize("c", [1, 0.1234567, 1 / 64, 2 / 7, 0.02])
@pytest.mark.parametrize("truncation", ["provider", "local"])
def test_gradients_of_finer_weights_are_correct_for_any_factor(
        weight_scale, c, truncation):
    rng = np.random.default_rng(weight_scale)
    S = sharing(mpc.World(seed=1, checked=True, truncation=truncation))
    X, W = rng.uniform(-1, 1, (6, 4)).round(3), rng.uniform(-1, 1, (4, 3)).round(3)
    v, u = np.full((6, 3), 100.0), rng.uniform(-1, 1, (6, 3)).round(3)
    w = nn.Tensor(S(W, weight_scale), True)
    (((nn.Tensor(S(X)) @ w) * S(v) * S(u)).sum() * c).backward()
    due = X.T @ (v * u) * c
    np.testing.assert_allclose(out(w.grad), due, atol=c * 6 * 0.12 + 0.002)
    nn.SGD([w], 0.05).step()
    np.testing.assert_allclose(out(w.value), W - 0.05 * due, atol=0.05)


def test_a_rescaled_gradient_is_an_ordinary_number_too():
    S = sharing(mpc.World(seed=1, checked=True))
    g, w, x = (S(np.full((2, 2), n), f) for n, f in ((0.5, 1), (1.0, 1000), (2.0, 1)))
    for c in (2 / 7, 2 / 7 / 500, 1e-6):
        rescaled = g.rescaled_for(w, x, c)
        for result, due in ((rescaled + 1000.0, 1000.5), (rescaled * g, 0.25),
                            (rescaled / 4, 0.125), (rescaled.sum(), 2.0),
                            (mpc.concatenate([rescaled, g]), 0.5)):
            coarse = 1 / float(rescaled.scale)
            np.testing.assert_allclose(out(result), due, atol=4 * coarse + 0.01)


@pytest.mark.parametrize("bits, weight_scale, c", [
    (48, 6976, 0.3658435291805171), (44, 9631, 0.7), (64, 9642292, 2.5),
    (48, 8640, 3.5)])
def test_the_gradient_of_a_finer_weight_is_an_ordinary_number(bits, weight_scale, c):
    rng = np.random.default_rng(bits)
    S = sharing(mpc.World(seed=1, ring_bits=bits, comparison="carry-tree"))
    x, v = nn.Tensor(S(rng.uniform(-1, 1, (7, 3)))), S(rng.uniform(-1, 1, (7, 2)))
    w = nn.Tensor(S(rng.uniform(-1, 1, (3, 2)), weight_scale), True)
    (((x @ w - v) ** 2).sum() * (c / 7)).backward()
    g, n, m = w.grad, out(w.grad), out(w.value)
    for result, due in ((g * g, n * n), (g * w.value, n * m), (g.relu(), np.fmax(n, 0)),
                        (g.T @ g, n.T @ n), (g * 1234.5678 / 1000, n * 1.2345678)):
        np.testing.assert_allclose(out(result), due, atol=0.01 * (1 + np.abs(n).max()))


def test_gradients_behind_products_of_finer_weights_are_not_rounded_away():
    S = sharing(mpc.World(seed=1, checked=True))
    for weight_scale in (1, 1000, 10**6):
        w = nn.Tensor(S([[1.0]], weight_scale), True)
        h = S(np.ones((10, 1))) @ S([[1.0]], weight_scale)
        ((nn.Tensor(h) @ w - 0.5) ** 2).mean().backward()
        np.testing.assert_allclose(out(w.grad), [[1.0]], atol=0.02)


# ---------------------------------------------------------------------- checked Worlds


@pytest.mark.parametrize("checked", [False, True])
def test_a_world_meets_tensors_and_refuses_strangers(checked):
    x = sharing(mpc.World(seed=1, checked=checked))([1.0, 2.0])
    for left in (x, mpc.fix_precision([1.0, 2.0])):
        product = left * nn.Tensor(x)
        assert isinstance(product, nn.Tensor)
        assert out(product.value).tolist() == [1, 4]
        for stranger in (None, {}):
            with pytest.raises(TypeError, match="unsupported operand"):
                left * stranger
        assert out((left > nn.Tensor(x - 1)).value).tolist() == [1, 1]
        with pytest.raises(TypeError):
            left * np.timedelta64(3)


def test_a_checked_world_detects_a_matrix_product_with_terms_out_of_range():
    world = mpc.World(seed=1, ring_bits=44, checked=True)
    c = np.where(np.arange(1000) < 300, 1 / 600, 1 / 1400)[:, None]
    x = sharing(world)(np.full((1, 1000), 5e4))
    with pytest.raises(mpc.OutOfRange):
        x @ c
    assert abs(out((x * c.T).sum()) - 5e4) < 1.1    # the terms are truncated one by one


def test_the_maximum_of_many_takes_no_square_of_memory():
    world = mpc.World(seed=1, comparison="carry-tree")
    numbers = np.random.default_rng(0).normal(size=5000).round(3)
    assert out(sharing(world)(numbers).max()) == numbers.max()
    assert sum(message.nbytes for message in world.ledger.messages) < 5000 * 400


# ---------------------------------------------------------------------- weights


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("program, due", [
    (lambda w, v: (w * 0.7) @ v, 4.2),
    (lambda w, v: (w * (3 / 7)) * (v * (2 / 7)), 0.735),
    (lambda w, v: (w / 7 + v / 7) @ (v / 3), 0.476),
    (lambda w, v: (w * np.array([[0.7]])) * v, 4.2)],
    ids=["a number", "two numbers", "a sum", "an array"])
def test_products_of_fine_weights_times_public_numbers(workers, program, due):
    S = sharing(mpc.World(workers, comparison="carry-tree"))
    assert out(program(S([[3.0]], 10**7), S([[2.0]], 10**7))) == near([[due]], by=0.01)


def test_a_sum_of_weights_whose_scales_are_no_multiples():
    S = sharing(mpc.World(comparison="carry-tree"))
    total = S([[3.0]], 2_543_818_959) + S([[2.0]], 421_292_471)
    assert out(total) == near([[5]], by=0.01)


@pytest.mark.parametrize("gradient, rate, error", [
    (10.0, 1e15, ValueError), (10.0, "1", TypeError), (None, 1, TypeError)])
def test_an_update_takes_a_fixed_point_and_a_public_number(S, gradient, rate, error):
    with pytest.raises(error, match="updated|public factors"):
        S([1.0]).updated(3 if gradient is None else S([gradient]), rate)
