"""Build your own secure computation in fewer than 100 lines: a lab in 14 tasks.

    python -m mpc.course.lab --new my_mpc.py    writes the file with the holes
    python -m mpc.course.lab my_mpc.py          checks it, task by task

The checks run in order and stop at the first hole that is not filled correctly, with a
line that describes the mistake. They test results on edge values, that a worker's row
depends on its own data only, and the privacy of a protocol: in a ring of 4 or 8
elements they tabulate the view of each worker, for all secrets and all coins. The
checks help learners; they do not stop cheating.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import traceback
import warnings
from pathlib import Path
from types import ModuleType

from mpc.course.lab.checks import TASKS, Wrong

SKELETON = Path(__file__).with_name("my_mpc.py")


def load(path: Path) -> ModuleType:
    """The learner's file as a module."""
    spec = importlib.util.spec_from_file_location("my_mpc", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mistake(check, mine: ModuleType, path: Path) -> str | None:
    """One line about the mistake that `check` finds; None if it finds none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")             # of overflow: rings wrap around
            check(mine)
    except Wrong as wrong:
        return str(wrong)
    except (Exception, SystemExit) as error:
        return _described(error, path)
    return None


def _described(error, path):
    """An exception in one line, with the line of the learner's file."""
    ours = [frame for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename == str(path)]
    line = getattr(error, "lineno", None) or (ours[-1].lineno if ours else 0)
    if isinstance(error, NotImplementedError):
        return f"fill the hole in line {line}, {ours[-1].name}"
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{said}, in line {line}" if line else said


def run(path: Path) -> bool:
    """Print a line for each task up to the first mistake; True if all are solved."""
    try:
        mine = load(path)
    except (Exception, SystemExit) as error:
        print(f"Not yet: {path} does not run ({_described(error, path)})")
        return False
    for number, check in enumerate(TASKS, 1):
        wrong = mistake(check, mine, path)
        head = f"Task {number:2}, {check.__name__.removeprefix('check_')}"
        if wrong:
            print(f"{head}: not yet: {wrong}")
            return False
        print(f"{head}: solved. {check.__doc__}")
    print(f"All {len(TASKS)} tasks are solved: this network learns on secrets.")
    return True


def main(words: list[str] | None = None) -> int:
    """The exit status: 0 if all is solved, 1 if not yet, 2 for a bad file."""
    parser = argparse.ArgumentParser(
        prog="python -m mpc.course.lab", description="Build your own secure "
        "computation: begin with --new, then fill the holes in order.")
    parser.add_argument("file", type=Path, help="your file, such as my_mpc.py")
    parser.add_argument("--new", action="store_true",
                        help="write the file with the holes; never overwrite one")
    options = parser.parse_args(words)
    path = options.file.resolve()
    try:
        if options.new:
            with path.open("x", encoding="utf-8") as file:
                file.write(SKELETON.read_text(encoding="utf-8"))
            print(f"{options.file}: fill the holes from top to bottom, and check with "
                  f"python -m mpc.course.lab {options.file}")
            return 0
        path.read_text(encoding="utf-8")
        if path.suffix != ".py":
            raise ValueError("its name must end in .py")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        print(f"lab: {options.file}: {reason}", file=sys.stderr)
        return 2
    return 0 if run(path) else 1
