"""docs/COSTS.md says what the ledger counts today."""

import re
from pathlib import Path

import pytest

from mpc import costs

PAGE = (Path(__file__).parents[1] / "docs/COSTS.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines()
        if re.match(r"\| (8,192 ReLUs|training)", line)]


def test_the_table_has_a_row_for_every_setting():
    assert [(row[1], int(row[3])) for row in ROWS] == [(c, n) for n, c in costs.SETTINGS] * 2


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row[:4]))
def test_a_row_is_what_the_ledger_counts(row):
    task, comparison, truncation, workers, *numbers, _ = row
    function = costs.relus if "ReLU" in task else costs.batch
    counted = costs.measure(int(workers), comparison, function, runs=1)
    assert counted[:-1] == (truncation, *(int(n.replace(",", "")) for n in numbers))


def test_the_command_prints_a_table_of_the_pages_form(capsys, monkeypatch):
    monkeypatch.setattr(costs, "measure", lambda *_: costs.Measured("none", 1, 2, 3, 4, 0.5))
    assert costs.main([]) == 0
    header, rule, first, *rest = capsys.readouterr().out.splitlines()
    assert f"{header}\n{rule}\n" in PAGE
    assert first == "| 8,192 ReLUs | securenn | none | 2 | 1 | 2 | 3 | 4 | 0.500 |"
    assert len(rest) == 7


@pytest.mark.parametrize("text, status", [("--help", 0), ("--runs", 2), ("more", 2)])
def test_help_and_bad_arguments_end_the_command(capsys, text, status):
    with pytest.raises(SystemExit) as stop:
        costs.main([text])
    out, err = capsys.readouterr()
    assert stop.value.code == status
    assert "rounds and bytes" in out if status == 0 else (out, err.count("\n")) == ("", 1)
