"""The page on numbers agrees with the code."""

import doctest
import re
from pathlib import Path

import pytest

from mpc import World, fix_precision
from mpc.ring import Z2k

PAGE = Path(__file__).parents[1] / "docs" / "NUMBERS.md"
ROW = re.compile(r"^\| (\d+) \| (\d+) \| Z_2\^(\d+) " + r"\| (\S+) " * 4 + r"\|$", re.M)
ROWS = ROW.findall(PAGE.read_text(encoding="utf-8"))


def test_the_table_of_ranges_has_its_rows():
    assert len(ROWS) == 7


@pytest.mark.parametrize("digits, base, bits, shown", [
    (d, b, l, s) for d, b, l, *s in ROWS])
def test_a_row_of_the_table_shows_the_limits_of_a_format(digits, base, bits, shown):
    world = World(ring_bits=int(bits))
    x = fix_precision(0.0, int(digits), int(base), world.ring)
    secret = x.share(*world.workers, crypto_provider=world.crypto_provider)
    assert [f"{limit:.2e}" for limit in secret.limits] == list(shown)
    assert x.limits == secret.limits._replace(matmul=x.limits.product)


def test_the_example_prints_the_output_of_the_page():
    results = doctest.testfile(str(PAGE), module_relative=False)
    assert results.attempted == 4 and results.failed == 0


@pytest.mark.parametrize("digits, base, bits", [
    (int(d), int(b), int(l)) for d, b, l, *_ in ROWS])
def test_values_up_to_the_limit_are_accepted_and_no_larger_one(digits, base, bits):
    limit = fix_precision(0.0, digits, base, Z2k(bits)).limits.value
    for sign in (1, -1):
        fix_precision(sign * limit * 0.9999999, digits, base, Z2k(bits))
        with pytest.raises(ValueError, match="cannot be represented"):
            fix_precision(sign * limit * 1.0000001, digits, base, Z2k(bits))
