"""Discrete Gaussian noise: exact tables, every coin of a tiny one, and statistics.

The checks are functions of a module, so that the mutants at the end can fail them.
"""

import bisect
import math
import types
from decimal import ROUND_FLOOR, Context, Decimal, localcontext
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import chi2

from mpc import World
from mpc.audit.views import Experiment
from mpc.privacy import noise
from mpc.randomness import lesson_key, stream
from mpc.ring import Z2k


def entries(module, sigma, bits=64):
    """The table as Python's integers."""
    table = module.cumulative_table(sigma, bits)
    return [int(h) << bits | int(l) for h, l in zip(table.high, table.low, strict=True)]


def exact_table(sigma, bits):
    """The same from the definition, with 80 digits and no recurrence."""
    whole, reach = 2 ** (2 * bits - 1), math.ceil(20 * sigma) + 2
    with localcontext(Context(prec=80)):
        s = Decimal(sigma)
        rho = [(-Decimal(k * k) / (2 * s * s)).exp() for k in range(reach)]
        total = 2 * sum(rho) - 1
        below = (whole * (2 * sum(rho[:k + 1]) - 1) / total for k in range(reach))
        found = [int(b.to_integral_value(ROUND_FLOOR)) for b in below]
    return [entry for entry in found if entry < whole - 1] + [whole]


def words_of(values, bits):
    """Words (n, 2) whose numbers are these integers."""
    return np.array([divmod(v, 2**bits) for v in values], np.uint64).reshape(-1, 2)


def drawn(module, sigma, n, name="samples"):
    take = stream(lesson_key(0, name), "noise", 1)
    return module.discrete_gaussian(take, (n,), sigma)


# ------------------------------------------------------------------ the table


def check_table(module):
    for sigma, bits in [(0.3, 64), (1.0, 64), (2.5, 64), (8, 64), (40.7, 64),
                        (1.3, 3), (5, 6), (2, 20)]:
        assert entries(module, sigma, bits) == exact_table(sigma, bits), (sigma, bits)


def test_every_entry_is_the_exact_probability_rounded_down():
    check_table(noise)


def test_the_table_ends_where_less_than_two_units_are_left():
    for sigma in (0.3, 8, 360):
        *_, last, whole = entries(noise, sigma)
        assert whole == 2**127 and last < whole - 1
        assert 12.5 * sigma - 2 <= len(entries(noise, sigma)) <= 13.5 * sigma + 2


def test_a_table_ignores_the_callers_decimal_context():
    noise.cumulative_table.cache_clear()
    with localcontext(Context(prec=5)):
        assert entries(noise, 3.5) == exact_table(3.5, 64)


# ------------------------------------------------------------------ its coins


def check_every_coin(module):
    """All pairs of words: how often each sample comes is its probability."""
    for sigma, bits in [(1.3, 3), (0.7, 4), (5, 4), (0.1, 2), (2, 1)]:
        words = np.array([*product(range(2**bits), repeat=2)], np.uint64)
        samples = module.from_words(words, sigma, bits)
        table = exact_table(sigma, bits)
        due = np.diff([0, *table])      # for |X| = 0, 1, ..., of each sign
        for sign, half in zip((1, -1), np.split(samples, 2), strict=True):
            found = [np.sum(sign * half == k) for k in range(len(due))]
            assert found == due.tolist(), (sigma, bits, sign)


def test_every_coin_of_a_tiny_table_gives_the_exact_distribution():
    check_every_coin(noise)


def check_search(module):
    """Against bisection by Python's integers, mostly at the entries themselves."""
    rng = np.random.default_rng(1)
    for sigma, bits in [(3.0, 64), (200.0, 64), (40.0, 22), (4.0, 5)]:
        table = entries(module, sigma, bits)
        near = [e + d for e in table for d in (-1, 0, 1) if 0 <= e + d < table[-1]]
        near += [int(v) % table[-1] for v in rng.integers(0, 2**63, 500)]
        near += [int(v) << bits - 1 for v in rng.integers(0, 2**(bits - 1), 500)]
        due = np.array([bisect.bisect_right(table, v) for v in near])
        positive, negative = near, [v + table[-1] for v in near]
        for values, sign in ((positive, 1), (negative, -1)):
            found = module.from_words(words_of(values, bits), sigma, bits)
            assert (found == sign * due).all(), (sigma, bits)


def test_a_sample_is_the_place_of_its_127_bits_in_the_table():
    check_search(noise)


def check_sum(module, monkeypatch):
    """A sum of two tiny tables, over all its coins."""
    monkeypatch.setattr(module, "LARGEST_TABLE", 8)
    sigma, bits = 9.0, 2
    sigma_x, m, terms = module.parts(sigma)
    assert (m, terms) == (2, 2) and module.words_per_sample(sigma) == 4
    words = np.array([*product(range(2**bits), repeat=4)], np.uint64)
    samples = module.from_words(words.reshape(16, 16, 4), sigma, bits)
    one = np.array([*product(range(2**bits), repeat=2)], np.uint64)
    # with a table of sigma_x alone
    monkeypatch.setattr(module, "LARGEST_TABLE", 4000)
    x = module.from_words(one, sigma_x, bits)
    assert samples.tolist() == (x[:, None] + m * x).tolist() and x.std() > 2


def test_a_wide_sample_is_the_weighted_sum_of_narrow_ones(monkeypatch):
    check_sum(noise, monkeypatch)


def test_the_top_bit_is_the_sign():
    words = Z2k(64).uniform(stream(lesson_key(0, "x"), "noise", 1), (1000, 6))
    flipped = words.copy()
    flipped[:, ::2] ^= np.uint64(2**63)
    x = noise.from_words(words, 1e9)
    assert (noise.from_words(flipped, 1e9) == -x).all() and (x != 0).any()


def test_coins_of_a_world_drive_it():
    world = World(seed=3)
    coins = world.common_coins(Z2k(64), (4, 5, noise.words_per_sample(1e6)), "noise")
    samples = noise.from_words(coins, 1e6)
    assert samples.shape == (1, 4, 5) and samples.dtype == np.int64
    assert noise.from_words(coins[:0], 1e6).shape == (0, 4, 5)
    assert len(set(samples.ravel().tolist())) == 20


def test_all_its_coins_can_be_enumerated_in_a_view():
    """x + noise has the exact distribution of the table, shifted by the secret."""
    def protocol(world, x):
        coins = world.common_coins(Z2k(3), (world.n, 2), "coins")
        noisy.append(x + noise.from_words(coins, 1.3, bits=3))

    noisy = []
    due = np.diff([0, *exact_table(1.3, 3)])
    for x in (0, 5):
        Experiment(protocol, free=["coins"], bits=3).run(x=x)
        values, counts = np.unique(noisy[-1] - x, return_counts=True)
        seen = dict(zip(values.tolist(), counts.tolist(), strict=True))
        assert seen == {0: 2 * due[0]} | {s * k: n for k, n in enumerate(due)
                                          if k and n for s in (1, -1)}


# ------------------------------------------------------------------ wide noise


SIGMAS = st.floats(1e-3, noise.LARGEST_SIGMA) | st.floats(0, 58).map(lambda t: 2.0**t)


def check_parts(module, sigma):
    sigma_x, m, terms = module.parts(sigma)
    squares = sum(m ** (2 * i) for i in range(terms))
    excess = Fraction(sigma_x) ** 2 * squares / Fraction(sigma) ** 2
    assert 1 <= excess < 1 + Fraction(1, 10**14)
    assert terms == 1 or Fraction(sigma_x) ** 2 >= Fraction("1.99") ** 2 * (1 + m * m)
    assert sigma_x <= 4300 and (terms > 1) == (sigma > 4000)


@given(SIGMAS)
def test_the_parts_never_have_less_noise_and_overlap_smoothly(sigma):
    check_parts(noise, sigma)


def reached(values, reach, m):
    """The weights of x = y + m j for weights of y and of j, as {x: weight}."""
    total = {}
    for y, weight in values.items():
        for j, other in reach.items():
            total[y + m * j] = total.get(y + m * j, 0) + weight * other
    return total


def deviations(sigma, m, terms):
    """|P(x) / (c exp(-x^2 / 2 S^2)) - 1| at the x below 6 S, with 60 digits."""
    with localcontext(Context(prec=60)):
        s2 = 2 * Decimal(sigma) ** 2
        rho = {k: (-k * k / s2).exp() for k in map(Decimal, range(-300, 301))
               if k * k < 300 * s2}
        weights = rho
        for i in range(1, terms):
            weights = reached(weights, rho, m**i)
        S2 = s2 * sum(m ** (2 * i) for i in range(terms))
        return [abs(w / weights[Decimal(0)] / (-x * x / S2).exp() - 1)
                for x, w in weights.items() if x * x < 18 * S2]


@pytest.mark.parametrize("sigma, m, terms", [
    (2.85, 3, 2), (3.0, 4, 2), (8.0, 4, 2), (3.2, 3, 2), (4.0, 2, 3)])
def test_the_sum_deviates_by_as_little_as_poissons_formula_says(sigma, m, terms):
    """At a width t = sigma / sqrt(1 + m^2), P deviates by 2 exp(-2 pi^2 t^2) at most.

    Twice that between two points; it is nearly reached, so this test sees the noise.
    """
    worst = max(deviations(sigma, m, terms))
    t = Decimal(sigma) / Decimal(1 + m * m).sqrt()
    bound = 4 * (-2 * Decimal(math.pi) ** 2 * t * t).exp()
    assert worst < bound * terms
    if terms == 2:
        assert worst > bound / 4


def test_at_the_width_of_the_parts_the_deviation_is_2_to_the_minus_110():
    assert max(deviations(1.99 * math.sqrt(10), 3, 2)) < Decimal(2) ** -110


def test_the_largest_samples_fit_in_64_bits():
    for sigma in (1.0, 100.0, 4001.0, 1e9, float(noise.LARGEST_SIGMA)):
        n = noise.words_per_sample(sigma)
        words = np.zeros((2, n), np.uint64)
        words[0] = 2**64 - 1                    # the sign, and the last entry
        words[1, ::2], words[1, 1::2] = 2**63 - 1, 2**64 - 1
        low, high = noise.from_words(words, sigma).tolist()
        assert low == -high and 12 * sigma - 2 < high < 14 * sigma + 2
        sigma_x, m, terms = noise.parts(sigma)
        size = len(noise.cumulative_table(sigma_x).high) - 1
        assert high == size * sum(m**i for i in range(terms)) < 2**63


# ------------------------------------------------------------------ statistics


def p_value(found, due):
    """Of chi-square, over the cells with at least ten expected."""
    cells = due >= 10
    found, due = [np.append(v[cells], v[~cells].sum()) for v in (found, due)]
    statistic = ((found - due) ** 2 / np.maximum(due, 1e-300))[due > 1].sum()
    return chi2.sf(statistic, (due > 1).sum() - 1)


def probabilities(sigma, reach):
    k = np.arange(-reach, reach + 1)
    p = np.exp(-k * k / (2 * sigma * sigma))
    return p / p.sum()


def check_statistics(module):
    for sigma in (0.6, 3.0, 8.5, 40.0):
        n, reach = 200_000, math.ceil(14 * sigma) + 2
        x = drawn(module, sigma, n)
        found = np.bincount(x + reach, minlength=2 * reach + 1)
        assert p_value(found, n * probabilities(sigma, reach)) > 1e-3, sigma
    for sigma in (4000.0, 4200.0, 3e6, 6.7e9, 1e13):
        x = drawn(module, sigma, n)
        edges = np.linspace(-5, 5, 101)
        found, _ = np.histogram(x / sigma, [-np.inf, *edges, np.inf])
        assert p_value(found, n * np.diff([0, *ndtr(edges), 1])) > 1e-3, sigma


def test_samples_have_the_distribution():
    check_statistics(noise)


def test_the_last_digits_of_wide_noise_are_uniform():
    for sigma, modulus in ((4200.0, 45), (1e9, 793), (1e9, 10), (1e9, 1000)):
        n = 100_000
        found = np.bincount(drawn(noise, sigma, n) % modulus, minlength=modulus)
        assert p_value(found, np.full(modulus, n / modulus)) > 1e-3


def test_neighbouring_samples_are_uncorrelated():
    x = drawn(noise, 1e9, 200_000) / 1e9
    assert abs(np.mean(x[1:] * x[:-1])) < 4 / math.sqrt(len(x))
    assert abs(np.mean(x)) < 4 / math.sqrt(len(x))


def coin(rng, numerator, denominator):
    """True with probability numerator / denominator, exactly."""
    return rng.integers(0, denominator) < numerator


def bernoulli_exp(rng, a, b):
    """Algorithm 1 of Canonne, Kamath and Steinke: exp(-a / b)."""
    while a > b:
        if not bernoulli_exp(rng, 1, 1):
            return False
        a -= b
    k = 1
    while coin(rng, a, b * k):
        k += 1
    return k % 2 == 1


def discrete_laplace(rng, t):
    """Algorithm 2, for a whole scale t."""
    while True:
        u = int(rng.integers(0, t))
        if not bernoulli_exp(rng, u, t):
            continue
        v = 0
        while bernoulli_exp(rng, 1, 1):
            v += 1
        negative, x = coin(rng, 1, 2), u + t * v
        if not (negative and x == 0):
            return -x if negative else x


def rejection_sample(rng, sigma2):
    """Algorithm 3: the discrete Gaussian of variance parameter `sigma2`."""
    t = math.isqrt(sigma2) + 1
    while True:
        y = discrete_laplace(rng, t)
        if bernoulli_exp(rng, (abs(y) * t - sigma2) ** 2, 2 * sigma2 * t * t):
            return y


@pytest.mark.parametrize("sigma", [1, 5])
def test_samples_agree_with_those_of_the_rejection_sampler(sigma):
    rng, reach = np.random.default_rng(5), 80
    theirs = np.array([rejection_sample(rng, sigma**2) for _ in range(4000)])
    counts = [np.bincount(x + reach, minlength=2 * reach + 1)
              for x in (theirs, drawn(noise, sigma, 40_000))]
    share = (counts[0] + counts[1]) / 44_000
    cells = 4000 * share >= 10
    statistic = sum((c[cells] - n * share[cells]) ** 2 / (n * share[cells])
                    for c, n in zip(counts, (4000, 40_000), strict=True)).sum()
    assert chi2.sf(statistic, cells.sum() - 1) > 1e-3
    assert p_value(counts[0], 4000 * probabilities(sigma, reach)) > 1e-3


# ------------------------------------------------------------------ use


def test_a_sample_takes_its_words_and_no_others():
    asked = []

    def take(nbytes):
        asked.append(nbytes)
        return stream(lesson_key(1, "x"), "noise", 1)(nbytes)

    x = noise.discrete_gaussian(take, (2, 3), 1e9)
    assert asked == [2 * 3 * 6 * 8] and x.shape == (2, 3) and x.dtype == np.int64
    longer = noise.discrete_gaussian(take, (5, 3), 1e9)
    assert (longer[:2] == x).all() and len(np.unique(longer)) == 15


@pytest.mark.parametrize("sigma, error", [
    (0, ValueError), (-1.0, ValueError), (float("nan"), ValueError),
    (math.inf, ValueError), (2.0**58 * 1.01, ValueError), (10**400, ValueError),
    (True, TypeError), ("3", TypeError), (None, TypeError), (1j, TypeError)])
def test_a_wrong_sigma_is_refused_in_one_line(sigma, error):
    for call in (noise.parts, noise.words_per_sample):
        with pytest.raises(error, match=r"^noise: sigma[^\n]*(take|give) a number"):
            call(sigma)


@pytest.mark.parametrize("words", [
    np.zeros((4, 4), np.uint64), np.zeros((4, 2), np.int64), np.zeros(3, np.uint64),
    np.uint64(3)])
def test_wrong_coins_are_refused(words):
    with pytest.raises(ValueError, match=r"draw uint64 \(\.\.\., 2\) for sigma=3"):
        noise.from_words(words, 3.0)


def test_noise_too_narrow_for_the_table_is_zero():
    for sigma in (0.01, 1e-200, 5e-324):
        assert entries(noise, sigma) == [2**127]
        assert (drawn(noise, sigma, 100) == 0).all()


# ------------------------------------------------------------------ mutants


MUTANTS = {
    "the sign is biased": ("(high >> top).view", "((high | low) >> top).view"),
    "no sign": ("sign = 1 - 2 *", "sign = 1 + 0 *"),
    "ties are not looked at": ("while len(tied):", "while False:"),
    "a tie counts from the other side": (
        "table.low[size[tied]] <= low", "table.low[size[tied]] < low"),
    "a tie ends too early": ("while len(tied):", "if len(tied):"),
    "the table is rounded up": ("int(below * unit)", "int(below * unit) + 1"),
    "zero counts twice": ("yield Decimal(1)", "yield Decimal(2)"),
    "a narrower table": ("_weights(Decimal(sigma)", "_weights(Decimal(sigma * .99)"),
    "the whole is missing": ("+ [whole]", "+ [whole - 1]"),
    "the guide is trusted": ("more = np", "more = [] and np"),
    "less noise": ("(1 + 2**-50)", "(1 - 2**-50)"),
    "parts too narrow to overlap": ("int((sigma / 2) **", "int((sigma / .5) **"),
    "equal weights": ("+= m**i * _inv", "+= m * _inv"),
    "one word for all parts": ("words[..., 2 * i], ", "words[..., 0], "),
}


def mutant(old, new):
    source = Path(noise.__file__).read_text(encoding="utf-8")
    assert source.count(old) == 1, old
    module = types.ModuleType("mutant")
    exec(compile(source.replace(old, new), "mutant", "exec"), module.__dict__)
    return module


def check_all(module, monkeypatch):
    check_table(module)
    check_every_coin(module)
    check_search(module)
    for sigma in (4001.0, 1e6, 6.7e9, 1e13):
        check_parts(module, sigma)
    check_sum(module, monkeypatch)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_fails_the_checks(name, monkeypatch):
    with pytest.raises((AssertionError, IndexError)):
        check_all(mutant(*MUTANTS[name]), monkeypatch)


def test_the_module_itself_passes_the_checks_of_the_mutants(monkeypatch):
    check_all(mutant("GUIDE = 16", "GUIDE = 16"), monkeypatch)
