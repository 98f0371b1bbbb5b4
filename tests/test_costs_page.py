"""docs/COSTS.md agrees with the ledger and with the contracts of the protocols."""

import ast
import re
from pathlib import Path

import price
import pytest

from mpc import World
from mpc.train_mnist import costs, train, training
from mpc.train_mnist.options import parser

PAGE = (Path(__file__).parents[1] / "docs/COSTS.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines()
        if re.match(r"\| (8,192 ReLUs|training)", line)]


def test_the_formulas_are_those_of_the_contracts():
    assert f"\n{price.table()}\n" in PAGE


def test_every_name_in_a_formula_is_explained():
    explained = set(re.findall(r"^- `(\w+)", PAGE, re.MULTILINE))
    for protocol in price.protocols().values():
        for column in price.COLUMNS:
            for chosen in ("securenn", "carry-tree"):
                formula = price.formula_for(protocol.contract, column, chosen)
                names = {node.id for node in ast.walk(ast.parse(formula))
                         if isinstance(node, ast.Name)}
                assert names <= explained, (protocol.__name__, names - explained)


def test_the_table_has_a_row_for_every_setting():
    assert [(row[1], int(row[3])) for row in ROWS] == [(c, n) for n,
                                                       c in costs.SETTINGS] * 2


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row[:4]))
def test_a_row_matches_the_ledger(row):
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
    line = "  +  ".join([*formula, "8 B n0 when the pictures are new"])
    assert f"      {line}\n" in PAGE
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
    arguments = f"--train-items {2 * b} --test-items 2 --batch-size {b} --epochs 2"
    options = parser().parse_args(arguments.split())
    train(options, lambda line: None, world)
    (weights, *_), each = formula.values(), sum(formula.values())
    assert [batch["alice"] for batch in sent] == [
        each + 8 * b * n0, each + 8 * b * n0, each - weights, each]
    assert rounds == [26, 26, 25, 26]       # the test of an epoch opens the weights
    assert [batch["bob"] for batch in sent] == [batch["alice"] for batch in sent]
    if b == 64:
        first, later = sent[0]["alice"], sent[-1]["alice"]
        average = (first + 9 * later) / 10
        assert (f"With B = 64 that is {later / 1e6:.2f} MB a batch, and "
                f"{first / 1e6:.2f} MB in the first epoch: {average / 1e6:.2f} MB on "
                "average") in " ".join(PAGE.split())
        assert first < 2.2e6 and later < 1.9e6


def test_the_command_prints_a_table_of_the_pages_form(capsys, monkeypatch):
    monkeypatch.setattr(costs, "measure", lambda *_: costs.Measured("none", 1, 2, 3, 4,
                                                                    0.5))
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
    assert "rounds and bytes" in out if status == 0 else (out, err.count("\n")) == ("",
                                                                                    1)
