"""docs/COSTS.md agrees with the ledger and with the contracts of the protocols."""

import ast
import re
from pathlib import Path

import price
import pytest

from mpc import World
from mpc.train_mnist import arithmetics, costs, train, training
from mpc.train_mnist.options import parser

PAGE = (Path(__file__).parents[1] / "docs/COSTS.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines()
        if re.match(r"\| (8,192 ReLUs|training)", line)]


def test_the_formulas_are_those_of_the_contracts():
    assert f"\n{price.table()}\n" in PAGE


def test_the_prices_of_functions_are_those_of_the_page():
    assert f"\n{price.function_table()}\n" in PAGE


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


def batches(world, b):
    """{role: bytes online, bytes offline} and rounds of the batches of a run.

    Two epochs of two batches, each of which the encrypted test follows.
    """
    n = len(world.workers)
    options = parser().parse_args(
        f"--train-items {2 * b} --test-items {n} --batch-size {b} --epochs 2 "
        f"--workers {n} --security {world.security} --comparison carry-tree "
        f"--truncation {world.truncation} --ring-bits {world.ring.bits}".split())
    train_batch, sent, rounds = training.train_batch, [], []

    def watched(*args):
        mark = len(world.ledger.messages)
        loss = train_batch(*args)
        sent.append({(role, offline): sum(
            m.nbytes for m in world.ledger.messages[mark:]
            if (m.src, m.offline) == (role, offline))
            for role in world.roles for offline in (False, True)})
        rounds.append(world.ledger.cost(mark).rounds)
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "train_batch", watched)
        train(options, lambda line: None, world)
    return sent, rounds


def without_roles(workers=2, ring_bits=48, **options):
    return World(workers, comparison="carry-tree", here=(), keys={},
                 ring_bits=ring_bits, **options)


@pytest.mark.parametrize("b", [16, 64])
def test_the_bytes_of_a_batch_are_those_of_the_formula(b):
    n0, n1, n2, n3 = 784, 128, 64, 10
    weights = 6 * (n0 * n1 + n1 * n2 + n2 * n3)
    online = {"6 (n0 n1 + n1 n2 + n2 n3)": weights,
              "6 B (4 n1 + 4 n2 + 2 n3)": 6 * b * (4 * n1 + 4 * n2 + 2 * n3),
              "2.375 B (n1 + n2)": 2.375 * b * (n1 + n2)}
    ahead = {"6 (n0 n1 + n1 n2 + n2 n3)": weights,
             "6 B (11 n1 + 11 n2 + 9 n3)": 6 * b * (11 * n1 + 11 * n2 + 9 * n3),
             "14.75 B (n1 + n2)": 14.75 * b * (n1 + n2)}
    line = "  +  ".join([*online, "6 B n0 when the pictures are new"])
    assert f"      {line}\n" in PAGE
    assert f"      {'  +  '.join(ahead)}\n" in PAGE
    sent, rounds = batches(without_roles(), b)
    each = sum(online.values())
    assert [batch["alice", False] for batch in sent] == [
        each + 6 * b * n0, each + 6 * b * n0, each - weights, each]
    assert rounds == [19, 19, 18, 19]       # the test of an epoch opens the weights
    assert [batch["bob", False] for batch in sent] == [
        batch["alice", False] for batch in sent]
    assert {batch["crypto_provider", True] for batch in sent} == {sum(ahead.values())}
    assert not any(batch["crypto_provider", False] for batch in sent)
    if b == 64:
        first, later = sent[0]["alice", False], sent[-1]["alice", False]
        average = (first + 9 * later) / 10
        assert (f"With B = 64 that is {later / 1e6:.2f} MB a batch, and "
                f"{first / 1e6:.2f} MB in the first epoch: {average / 1e6:.2f} MB on "
                "average over ten epochs, in 19 rounds.") in WORDS
        assert f"With B = 64 that is {sum(ahead.values()) / 1e6:.2f} MB." in WORDS


@pytest.mark.parametrize("truncation, what", [("provider", "exact"),
                                              ("local", "local")])
def test_truncations_at_64_bits_cost_what_the_page_says(truncation, what):
    sent, rounds = batches(without_roles(ring_bits=64, truncation=truncation), 64)
    ahead, online = sent[-1]["crypto_provider", True], sent[-1]["alice", False]
    assert (f"{what}: {rounds[-1]} rounds, {online / 1e6:.2f} MB from each worker and "
            f"{ahead / 1e6:.2f} MB from the provider") in WORDS


SEALED = [[cell.strip() for cell in line.split("|")[1:-1]] for line in
          PAGE.splitlines() if re.match(r"\| (two|three) workers, ", line)]


@pytest.mark.parametrize("row", SEALED, ids=lambda row: row[0])
def test_seals_cost_a_batch_what_the_page_says(row):
    setting, *numbers = row
    workers = 3 if setting.startswith("three") else 2
    seals = {"one": 1, "two": 2}.get(setting.split()[2])
    sealed = {"security": "abort", "seals": seals} if seals else {}
    world = without_roles(workers, 44, **sealed)
    if seals:
        world.seals.limit = float("inf")        # no check within a batch
    sent, rounds = batches(world, 64)
    assert [int(n.replace(",", "")) for n in numbers[:3]] == [
        rounds[-1], sent[-1]["alice", False], sent[-1]["crypto_provider", True]]


def test_chapter_10_divides_the_numbers_of_the_page():
    """Those with two seals by those without, for a worker and for the provider."""
    chapter = Path(__file__).parents[1] / "notebooks/10_whoever_cheats.ipynb"
    source = chapter.read_text(encoding="utf-8")
    divided = re.findall(r"round\((\d[\d_]+) / (\d[\d_]+), ", source)
    plain, _, two, *three = [[n.replace(",", "_") for n in row[2:4]] for row in SEALED]
    assert divided == list(zip(two, plain, strict=True)) and len(three) == 2


def test_weights_of_the_ordinary_scale_would_cost_more(monkeypatch):
    def cost():
        run, mark = costs.batch(world), len(world.ledger.messages)
        run()
        sent = sum(m.nbytes for m in world.ledger.messages[mark:] if m.src == "alice")
        return world.ledger.cost(mark).rounds, f"{sent / 1e6:.2f} MB"

    world = without_roles(3)
    _, finer = cost()
    monkeypatch.setattr(arithmetics, "weight_scale", lambda options: 1)
    rounds, ordinary = cost()
    assert (f"a batch would take {rounds} rounds, and three workers would send "
            f"{ordinary} each instead of {finer}.") in WORDS


def test_a_comparison_costs_what_the_page_says():
    for comparison, rounds, online, ahead in (("securenn", 8, 408, 80),
                                              ("carry-tree", 6, 27.5, 41.875)):
        world = World(comparison=comparison)
        protocol = price.DRELU[comparison]
        found = price.promised(protocol, world, n=8000)
        assert found == (rounds, 8000 * online, 8000 * ahead)
        assert f"{online:g} bytes online" in WORDS and f"{ahead:g} offline" in WORDS


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
