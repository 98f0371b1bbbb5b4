"""docs/COSTS.md says what the ledger counts today."""

import re
from pathlib import Path

import pytest

from mpc import costs

PAGE = (Path(__file__).parents[1] / "docs/COSTS.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d.*? ReLUs|training.*?) \| (\S+) \| (\d) \| (\d+) \| ([\d,]+) \| ([\d,]+) \|",
                  PAGE, re.M)


def test_the_table_has_a_row_for_every_setting():
    assert [(row[1], int(row[2])) for row in ROWS] == [(c, n) for n, c in costs.SETTINGS] * 2


@pytest.mark.parametrize("task, comparison, workers, rounds, worker, provider", ROWS)
def test_a_row_is_what_the_ledger_counts(task, comparison, workers, rounds, worker, provider):
    function = costs.relus if "ReLU" in task else costs.batch
    counted = costs.measure(int(workers), comparison, function, runs=1)[:3]
    assert counted == tuple(int(n.replace(",", "")) for n in (rounds, worker, provider))
