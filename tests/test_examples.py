"""The examples, as a reader runs them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_has_at_most_40_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40
