"""docs/COSTS.md agrees with the ledger."""

import re
from pathlib import Path

import pytest

from mpc import World, train_mnist
from mpc.train_mnist import costs, training
from mpc.train_mnist.options import parser

PAGE = (Path(__file__).parents[1] / "docs/COSTS.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines()
        if re.match(r"\| (8,192 ReLUs|training)", line)]


def test_the_table_has_a_row_for_every_setting():
    settings = [(row[1], int(row[3])) for row in ROWS]
    assert settings == [(c, n) for n, c in costs.SETTINGS] * 2


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row[:4]))
def test_a_row_has_the_numbers_of_the_ledger(row):
    task, comparison, truncation, workers, *numbers, _ = row
    function = costs.relus if "ReLU" in task else costs.batch
    counted = costs.measure(int(workers), comparison, function, runs=1)
    assert counted[:-1] == (truncation, *(int(n.replace(",", "")) for n in numbers))


@pytest.mark.parametrize("b", [16, 64])
def test_the_bytes_of_a_batch_are_those_of_the_formula(b, monkeypatch):
    n0, n1, n2, n3 = 784, 128, 64, 10
    formula = {"8 (n0 n1 + n1 n2 + n2 n3)": 8 * (n0 * n1 + n1 * n2 + n2 * n3),
               "8 B (5 n1 + 5 n2 + n3)": 8 * b * (5 * n1 + 5 * n2 + n3),
               "31.375 B (n1 + n2)": 31.375 * b * (n1 + n2)}
    terms = "  +  ".join(formula)
    assert f"      {terms}  +  8 B n0 when the pictures are new\n" in PAGE
    world = World(comparison="carry-tree", truncation="local")
    train_batch, sent, rounds = training.train_batch, [], []

    def watched(*args):
        mark = len(world.ledger.messages)
        loss = train_batch(*args)
        messages = world.ledger.messages[mark:]
        sent.append({role: sum(m.nbytes for m in messages if m.src == role)
                     for role in ("alice", "bob")})
        rounds.append(world.ledger.cost(mark).rounds)
        return loss

    monkeypatch.setattr(training, "train_batch", watched)
    words = f"--train-items {2 * b} --test-items 2 --batch-size {b} --epochs 2".split()
    train_mnist.train(parser().parse_args(words), lambda line: None, world)
    (weights, *_), each = formula.values(), sum(formula.values())
    first = each + 8 * b * n0
    # the test after an epoch has opened the weights
    assert [batch["alice"] for batch in sent] == [first, first, each - weights, each]
    assert rounds == [26, 26, 25, 26]
    assert [batch["bob"] for batch in sent] == [batch["alice"] for batch in sent]
    if b == 64:
        figures = [f"{n / 1e6:.2f} MB" for n in (each, first, (first + 9 * each) / 10)]
        text = "With B = 64 that is {} a batch, and {} in the first epoch: {} on"
        assert text.format(*figures) in " ".join(PAGE.split())
        assert first < 2.2e6 and each < 1.9e6


def test_the_command_prints_a_table_of_the_pages_form(capsys, monkeypatch):
    cost = costs.Measured("none", 1, 2, 3, 4, 0.5)
    monkeypatch.setattr(costs, "measure", lambda *_: cost)
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
    if status == 0:
        assert "rounds and bytes" in out
    else:
        assert (out, err.count("\n")) == ("", 1)
