"""docs/SECURITY.md and docs/COINS.md match the tests."""

import re
from pathlib import Path

import mutants
import pytest

ROOT = Path(__file__).parents[1]
SECURITY = (ROOT / "docs/SECURITY.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/\S+?)::(\w+)`", SECURITY)))


def promises():
    section = SECURITY.split("## Promises")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("|")][2:]


def test_every_promise_names_a_test():
    assert len(promises()) >= 15
    for row in promises():
        assert re.search(r"`tests/\S+::\w+`", row), row


@pytest.mark.parametrize("path, name", NAMED, ids=[name for _, name in NAMED])
def test_every_test_that_a_row_names_exists(path, name):
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_the_table_of_coins_is_that_of_the_mutants():
    assert (ROOT / "docs/COINS.md").read_text().endswith(mutants.table() + "\n")
