"""The accountant: others' tables, the definition, limits, and the noise itself."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpc.privacy import accountant
from mpc.privacy.accountant import (
    Spent,
    gdp_delta,
    gdp_epsilon,
    noise_for,
    poisson_epsilon,
    rounded_up,
    sampled_rdp,
    spent,
    zcdp_delta,
    zcdp_epsilon,
    zcdp_rho,
)

RHOS = st.floats(-12, 4).map(lambda t: 10.0**t)
DELTAS = st.floats(-80, -0.01).map(lambda t: 10.0**t)
EPSILONS = st.floats(-3, 4).map(lambda t: 10.0**t)

# ------------------------------------------------------------------ others' figures

# dp-accounting 0.6.0: epochs, sigma, delta, RdpAccountant, PLDAccountant
TABLE = [(1, 1.0, 1e-5, 4.7285, 4.3772), (20, 6.678, 1e-5, 2.9999, 2.7675),
         (10, 4.0, 1e-5, 3.6171, 3.3414), (10, 4.0, 1e-6, 4.0104, 3.7472),
         (10, 4.0, 1e-9, 5.0070, 4.7710)]


@pytest.mark.parametrize("epochs, sigma, delta, rdp, pld", TABLE)
def test_the_accountants_of_dp_accounting_agree(epochs, sigma, delta, rdp, pld):
    run = spent(sigma, epochs, delta)
    assert run.epsilon == pytest.approx(rdp, abs=1e-3)
    mu = math.sqrt(epochs) / sigma
    assert gdp_epsilon(mu, delta) == pytest.approx(pld, abs=1e-3)
    assert gdp_delta(mu, pld) == pytest.approx(delta, rel=1e-3)


def test_the_poisson_figure_agrees_with_opacus_and_dp_accounting():
    """Both print 2.5966; whole orders alone are a little above."""
    epsilon = poisson_epsilon(256 / 60000, 1.1, 14062, 1e-5)
    assert 2.5966 <= epsilon < 2.5966 + 1e-3


def test_without_sampling_the_poisson_figure_is_that_of_a_fixed_order():
    for steps, sigma, delta in ((20, 6.678, 1e-5), (1, 3.0, 1e-9)):
        fixed = spent(sigma, steps, delta).epsilon
        assert fixed <= poisson_epsilon(1, sigma, steps, delta) < fixed * 1.01
    assert sampled_rdp(1 - 1e-9, 2.0, 7) == pytest.approx(sampled_rdp(1, 2.0, 7))


def test_a_sampled_divergence_is_the_expectation_of_its_definition():
    q, sigma, order = 0.1, 1.5, 5
    x, dx = np.linspace(-60, 60, 200_001, retstep=True)
    density = np.exp(-x * x / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
    ratio = 1 - q + q * np.exp((2 * x - 1) / (2 * sigma**2))
    moment = (density * ratio**order).sum() * dx
    assert sampled_rdp(q, sigma, order) == pytest.approx(math.log(moment) / (order - 1))


# ------------------------------------------------------------------ the definition


def proposition_12(rho, epsilon):
    """As printed, on a dense grid of alpha."""
    alpha = 1 + np.exp(np.linspace(-30, 30, 200_001))
    log_delta = ((alpha - 1) * (alpha * rho - epsilon) - np.log(alpha - 1)
                 + alpha * np.log1p(-1 / alpha))
    return math.exp(min(0, log_delta.min()))


@pytest.mark.parametrize("rho, epsilon", [
    (0.5, 1.0), (0.2243, 3.0), (1e-4, 0.1), (5.0, 30.0), (0.01, 0.0), (3.0, 1.0)])
def test_delta_is_the_minimum_over_all_orders(rho, epsilon):
    assert zcdp_delta(rho, epsilon) == pytest.approx(proposition_12(rho, epsilon), 1e-6)


def discrete_gaussian_delta(sigma, shift, epsilon):
    """The exact delta of integers that differ by `shift`, with discrete noise."""
    k = np.arange(-40 * math.ceil(sigma), 40 * math.ceil(sigma) + 1)
    p = np.exp(-k * k / (2 * sigma**2))
    q = np.exp(-(k - shift) ** 2 / (2 * sigma**2))
    return np.maximum(q - math.exp(epsilon) * p, 0).sum() / p.sum()


@pytest.mark.parametrize("sigma, shift", [(0.4, 1), (1, 1), (4, 1), (30, 30), (8, 3)])
def test_the_noise_itself_never_exceeds_the_claim(sigma, shift):
    for epsilon in (0, 0.1, 0.5, 1, 2, 4, 8):
        exact = discrete_gaussian_delta(sigma, shift, epsilon)
        assert exact <= zcdp_delta((shift / sigma) ** 2 / 2, epsilon) * (1 + 1e-12)


@pytest.mark.parametrize("epsilon", [0.5, 1, 3])
def test_wide_discrete_noise_has_the_delta_of_the_continuous(epsilon):
    exact = discrete_gaussian_delta(100, 100, epsilon)
    assert exact == pytest.approx(gdp_delta(1, epsilon), rel=1e-3)


# ------------------------------------------------------------------ order and inverses


@given(RHOS, DELTAS)
def test_epsilon_and_delta_are_inverse(rho, delta):
    epsilon = zcdp_epsilon(rho, delta)
    if epsilon > 1e-6 * math.sqrt(rho):
        assert zcdp_delta(rho, epsilon) == pytest.approx(delta, rel=1e-6)
    else:
        assert zcdp_delta(rho, 0) <= delta * (1 + 1e-6)


@given(EPSILONS, DELTAS, st.integers(1, 1000), st.sampled_from(["zero-out",
                                                                "replace-one"]))
def test_the_noise_for_a_target_costs_the_target(epsilon, delta, epochs, adjacency):
    sigma = noise_for(epsilon, delta, epochs, adjacency)
    cost = spent(sigma, epochs, delta, adjacency).epsilon
    assert cost <= epsilon and cost == pytest.approx(epsilon, rel=1e-8)
    assert spent(sigma * (1 - 1e-6), epochs, delta, adjacency).epsilon > epsilon


@given(EPSILONS, DELTAS)
def test_rho_is_the_inverse_of_epsilon(epsilon, delta):
    assert zcdp_epsilon(zcdp_rho(epsilon, delta), delta) == pytest.approx(epsilon)


@given(RHOS, DELTAS, st.floats(1.001, 10))
def test_epsilon_grows_with_rho_and_falls_with_delta(rho, delta, factor):
    assert zcdp_epsilon(rho, delta) <= zcdp_epsilon(rho * factor, delta)
    assert zcdp_epsilon(rho, delta) <= zcdp_epsilon(rho, delta / factor)
    assert zcdp_delta(rho, 1) <= zcdp_delta(rho * factor, 1)
    assert zcdp_delta(rho, 1) >= zcdp_delta(rho, factor)


@given(RHOS, DELTAS)
def test_zcdp_is_never_below_the_exact_gaussian(rho, delta):
    assert zcdp_epsilon(rho, delta) >= gdp_epsilon(math.sqrt(2 * rho), delta) - 1e-9


@given(RHOS, EPSILONS)
def test_the_delta_of_zcdp_is_never_below_the_exact_gaussian(rho, epsilon):
    exact = gdp_delta(math.sqrt(2 * rho), epsilon)
    assert exact <= zcdp_delta(rho, epsilon) * (1 + 1e-6)


# ------------------------------------------------------------------ limits


def test_without_a_release_nothing_is_spent():
    assert zcdp_epsilon(0, 1e-5) == zcdp_delta(0, 0) == gdp_delta(0, 0) == 0
    assert gdp_epsilon(0, 1e-9) == 0
    assert spent(1.0, 0, 1e-5).epsilon == 0


@pytest.mark.parametrize("rho", [5e-324, 1e-100, 1e-12, 1.0, 1e6, 1e100, 1e300])
@pytest.mark.parametrize("delta", [5e-324, 1e-100, 1e-5, 1 - 1e-15])
def test_extreme_arguments_give_finite_ordered_results(rho, delta):
    epsilon = zcdp_epsilon(rho, delta)
    # the bound of Bun and Steinke, which is looser
    simple = rho + 2 * math.sqrt(rho) * math.sqrt(-math.log(delta))
    assert 0 <= epsilon <= simple * (1 + 1e-9) + 1e-127
    assert 0 <= gdp_epsilon(math.sqrt(2 * rho), delta) < math.inf
    assert 0 <= zcdp_delta(rho, 0) <= 1 and zcdp_delta(rho, 1e308) in (0, 1)


@pytest.mark.parametrize("epsilon", [0, 1e-9, 1.0, 1e6, 1e100])
@pytest.mark.parametrize("delta", [1e-100, 1e-5, 1 - 1e-9])
def test_a_target_at_the_limits_is_met(epsilon, delta):
    sigma = noise_for(epsilon, delta, 3)
    assert 0 < sigma < math.inf and spent(sigma, 3, delta).epsilon <= epsilon


def test_a_target_that_no_number_reaches_is_refused():
    with pytest.raises(ValueError, match="^accountant: no finite noise .* larger ones"):
        noise_for(0, 1e-300, 1)


# ------------------------------------------------------------------ what was spent


def test_the_rho_of_runs_adds_up():
    a, b = spent(4.0, 10, 1e-5), spent(8.0, 30, 1e-5)
    both = a + b
    assert both.rho == a.rho + b.rho and both.epochs == 40
    assert max(a.epsilon, b.epsilon) < both.epsilon < a.epsilon + b.epsilon
    assert (a + a).epsilon == pytest.approx(spent(4.0, 20, 1e-5).epsilon)


@pytest.mark.parametrize("other", [
    spent(4.0, 10, 1e-6), spent(4.0, 10, 1e-5, "replace-one")])
def test_runs_of_another_delta_or_adjacency_are_not_added(other):
    with pytest.raises(ValueError, match="add up runs at one delta and adjacency"):
        spent(4.0, 10, 1e-5) + other
    assert spent(4.0, 10, 1e-5) + replace(
        other, delta=1e-5, adjacency="zero-out") == Spent(
            10 / 32 + other.rho, 1e-5, 20)
    with pytest.raises(TypeError):
        other + 1


def test_replacing_an_item_by_another_doubles_the_sensitivity():
    run = spent(6.678, 20, 1e-5)
    other = run.replacing()
    assert other == other.replacing() and other.adjacency == "replace-one"
    assert other.rho == pytest.approx(4 * run.rho)
    assert other.epsilon == pytest.approx(spent(6.678 / 2, 20, 1e-5).epsilon)
    assert other.epsilon == pytest.approx(
        spent(6.678, 20, 1e-5, "replace-one").epsilon)
    assert noise_for(3, 1e-5, 20, "replace-one") == pytest.approx(
        2 * noise_for(3, 1e-5, 20))
    # by way of an empty slot: the group of two of a pure guarantee would be 2 epsilon
    assert run.epsilon < other.epsilon


def test_a_sentence_says_what_was_spent():
    assert str(spent(noise_for(3, 1e-5, 20), 20, 1e-5)) == (
        "(3.0000, 1e-05)-differential privacy (zCDP with rho = 0.22425) after 20 "
        "epochs, for one item replaced by nothing")
    assert str(spent(1.0, 1, 1e-6, "replace-one")) == (
        "(11.689, 1e-06)-differential privacy (zCDP with rho = 2) after 1 epoch, for "
        "one item replaced by another")


@given(st.floats(0, 1e300))
def test_a_printed_number_is_not_below_the_number(x):
    assert x <= Fraction(rounded_up(x)) <= Fraction(x) * Fraction("1.0001")


# ------------------------------------------------------------------ wrong arguments


@pytest.mark.parametrize("call, message", [
    (lambda: spent(0, 1, 1e-5), "sigma=0 is no noise"),
    (lambda: spent(-1.0, 1, 1e-5), "sigma=-1.0: take a finite number"),
    (lambda: spent(math.nan, 1, 1e-5), "sigma=nan: take a finite"),
    (lambda: spent(1.0, -1, 1e-5), "epochs=-1: take"),
    (lambda: spent(1.0, 1, 0), "delta=0: take a probability"),
    (lambda: spent(1.0, 1, 1), "delta=1: take a probability"),
    (lambda: spent(1.0, 1, 1e-5, "remove"), "'remove': take zero-out or replace-one"),
    (lambda: spent(1.0, 1, 1e-5, None), "None: take zero-out or replace-one"),
    (lambda: Spent(-1.0, 1e-5, 1), "rho=-1.0"),
    (lambda: Spent(math.inf, 1e-5, 1), "rho=inf"),
    (lambda: noise_for(-1, 1e-5, 1), "epsilon=-1"),
    (lambda: noise_for(1, 2, 1), "delta=2"),
    (lambda: noise_for(1, 1e-5, 0), "epochs=0 need no noise"),
    (lambda: zcdp_epsilon(1, 1.5), "delta=1.5"),
    (lambda: zcdp_delta(1, -1), "epsilon=-1"),
    (lambda: gdp_delta(-1, 1), "mu=-1"),
    (lambda: gdp_epsilon(1, 0), "delta=0"),
    (lambda: poisson_epsilon(0, 1.0, 1, 1e-5), "q=0: take a probability"),
    (lambda: poisson_epsilon(1.5, 1.0, 1, 1e-5), "q=1.5: take a probability"),
    (lambda: poisson_epsilon(0.5, 0, 1, 1e-5), "sigma=0 is no noise")])
def test_a_wrong_number_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    text = str(caught.value)
    assert text.startswith("accountant: ") and message in text and "\n" not in text


@pytest.mark.parametrize("call", [
    lambda: spent("1", 1, 1e-5), lambda: spent(True, 1, 1e-5),
    lambda: spent(1.0, 1.5, 1e-5), lambda: spent(1.0, True, 1e-5),
    lambda: zcdp_epsilon(None, 1e-5), lambda: zcdp_delta(1, "1"),
    lambda: spent(np.ones(2), 1, 1e-5), lambda: spent(1.0, 1, None)])
def test_what_is_no_number_is_refused_in_one_line(call):
    with pytest.raises(TypeError, match=r"^accountant: [^\n]*give a (whole )?number"):
        call()


def test_numpys_numbers_are_numbers():
    run = spent(np.float64(4), np.int64(10), np.float64(1e-5))
    assert run.epsilon == spent(4.0, 10, 1e-5).epsilon
    assert spent(4, 10, 1e-5) == spent(4.0, 10, 1e-5)


# ------------------------------------------------------------------ mutants


@pytest.mark.parametrize("name, value", [
    ("SENSITIVITY", {"zero-out": 0.5, "replace-one": 1}),
    ("SENSITIVITY", {"zero-out": 1, "replace-one": 2**0.5})])
def test_a_smaller_sensitivity_is_caught(monkeypatch, name, value):
    monkeypatch.setattr(accountant, name, value)
    with pytest.raises(AssertionError):
        test_the_accountants_of_dp_accounting_agree(*TABLE[0])
        test_replacing_an_item_by_another_doubles_the_sensitivity()


@pytest.mark.parametrize("x", [0.01, 0.5, 2.0, 50.0, 1e6])
def test_an_inexact_order_is_looser_and_still_valid(monkeypatch, x):
    """The promise does not rest on the search for the best order."""
    best = zcdp_epsilon(0.2, 1e-5), zcdp_delta(0.2, 2.0), zcdp_rho(2.0, 1e-5)
    monkeypatch.setattr(accountant, "_root", lambda f: x)
    epsilon, delta = zcdp_epsilon(0.2, 1e-5), zcdp_delta(0.2, 2.0)
    assert epsilon > best[0] and delta > best[1] and zcdp_rho(2.0, 1e-5) < best[2]
