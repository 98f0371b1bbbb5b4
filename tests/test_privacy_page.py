"""The page on differential privacy agrees with the code."""

import doctest
import math
import re
from pathlib import Path

import pytest

from mpc.privacy.accountant import gdp_epsilon, noise_for, poisson_epsilon, spent
from mpc.privacy.noise import words_per_sample

PAGE = Path(__file__).parents[1] / "docs" / "PRIVACY.md"
TEXT = PAGE.read_text(encoding="utf-8")
OTHERS = re.findall(r"^\| (\d+) epochs?, σ = ([\d.]+)(?:, δ = 10\^-(\d+))? "
                    + r"\| ([\d.]+) " * 4 + r"\|$", TEXT, re.M)
TARGETS = re.findall(r"^\| (\d) " + r"\| ([\d.]+) " * 4 + r"\|$", TEXT, re.M)


def test_the_examples_print_the_output_of_the_page():
    results = doctest.testfile(str(PAGE), module_relative=False)
    assert results.attempted == 10 and results.failed == 0


@pytest.mark.parametrize("epochs, sigma, delta, zcdp, rdp, gdp, pld", OTHERS)
def test_a_row_of_the_comparison(epochs, sigma, delta, zcdp, rdp, gdp, pld):
    sigma, delta = float(sigma), 10.0 ** -int(delta or 5)
    assert f"{spent(sigma, int(epochs), delta).epsilon:.4f}" == zcdp
    assert f"{gdp_epsilon(math.sqrt(int(epochs)) / sigma, delta):.4f}" == gdp
    assert abs(float(zcdp) - float(rdp)) < 1e-3 and abs(float(gdp) - float(pld)) < 1e-3


def test_the_figures_of_sampling():
    assert len(OTHERS) == 5
    assert f"{poisson_epsilon(256 / 60000, 1.1, 14062, 1e-5):.4f}" == "2.5970"
    assert "`poisson_epsilon` 2.5970" in TEXT and "costs ε = 56.9" in TEXT
    assert f"{spent(1.1, 60, 1e-5).epsilon:.1f}" == "56.9"


def test_the_table_of_noise_for_a_target():
    assert [row[0] for row in TARGETS] == ["1", "3", "8"]
    for epsilon, *shown in TARGETS:
        found = [noise_for(float(epsilon), 1e-5, n) for n in (1, 10, 20, 40)]
        assert [f"{sigma:.2f}" for sigma in found] == shown


def test_the_words_of_a_sample():
    rows = re.findall(r"^\| [\d.,^· ]+ \| (\d) \| (\d\d) \| \d+ \| \d+ \|$", TEXT, re.M)
    words = [words_per_sample(s) for s in (6.7, 4000, 1e6, 1e9, 6.7e9, 1e11)]
    assert [(int(a), int(b)) for a, b in rows] == [(n // 2, 8 * n) for n in words]
