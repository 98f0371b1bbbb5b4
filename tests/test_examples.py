"""The examples, as a reader runs them."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mpi_runs import Started, in_processes

import nn

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(name):
    """What an example prints."""
    done = subprocess.run(
        [sys.executable, f"examples/{name}"], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


@pytest.mark.slow
def test_lenet_learns():
    """Measured in seven runs: 218 to 240 of 256."""
    out = run("lenet.py")
    count, = re.findall(r"^correct: (\d+) of 256 test digits$", out, re.M)
    assert int(count) >= 192 and "(3): Conv2d(6, 16, kernel_size=(5, 5)" in out


def test_salaries():
    assert run("salaries.py").splitlines() == [
        "mean 52,464.29, standard deviation 16,283",
        "of my own people, 1 earn more than that"]


def test_the_second_highest_bid_is_the_price():
    assert run("auction.py") == "bob wins and pays 1,250.50\n"


def test_a_linear_regression_finds_the_coefficients():
    found = re.match(r"found \[(.*)\], true", run("linear_regression.py"))[1]
    np.testing.assert_allclose([*map(float, found.split())], [2, -1, 0.5], atol=0.02)


def test_a_logistic_regression_is_as_good_as_on_floats():
    """The same steps on float64 classify 100 patients of 120 correctly."""
    table = np.genfromtxt(ROOT / "examples/patients.csv", delimiter=",", skip_header=1)
    x, y = (table[:, :4] - table[:, :4].mean(0)) / table[:, :4].std(0), table[:, 4:]
    model = nn.Linear(4, 1, np.random.default_rng(0))
    sgd = nn.SGD(model.parameters(), lr=0.5, momentum=0.9)
    for _ in range(10):
        for a, b in nn.batches(40, x, y):
            sgd.zero_grad()
            nn.binary_cross_entropy_with_logits(model(a), b).backward()
            sgd.step()
    correct = int(((model(x).value > 0) == y).sum())
    shown, = re.findall(r"^(\d+) of 120 patients", run("logistic_regression.py"))
    assert abs(int(shown) - correct) <= 1 and correct > 90


def test_a_private_prediction_answers_like_the_labels():
    answers, labels = (ast.literal_eval(row) for row in re.findall(
        r"\[.*?\]", run("private_prediction.py")))
    assert sum(a == b for a, b in zip(answers, labels, strict=True)) >= 6


@in_processes
@pytest.mark.parametrize("name, n", [
    ("salaries.py", 4), ("auction.py", 5), ("private_prediction.py", 4)])
def test_an_example_runs_with_a_process_for_each_role(name, n):
    """Whoever knows a result prints it; lines of others than the server say whose."""
    words = ["-m", "mpc.transport.mpi", str(ROOT / "examples" / name)]
    status, out, err = Started((n, words)).ends()
    assert not status and not err
    lines = {line.removeprefix("alice: ") for line in out.splitlines()}
    assert lines == set(run(name).splitlines())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short(path):
    most = 40 if path.name == "lenet.py" else 30
    assert len(path.read_text(encoding="utf-8").splitlines()) <= most
