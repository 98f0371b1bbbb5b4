"""Random options of the commands: each set runs, or is refused in one line at once.

``python tests/fuzz/test_options.py --runs N`` tries N sets, with other seeds by
``--seed``. The values are right, at an edge, or nonsense; sets that would train for
long are only checked. A set takes at most `SECONDS` of computation.
"""

import argparse
import contextlib
import io
import os
import random
import shlex
import tempfile
import time

from mpc import train_mnist
from mpc.train_mnist import command, costs

SECONDS = 20
MOST_WORK = 24          # items times epochs of a set that trains
NUMBERS = ("-1", "0", "1", "2", "3", "4", "5", "7", "8", "31", "36", "44", "63", "64",
           "65", "1000", "6400", "6401", "1000000", "1000001", "1000000000",
           "1000000001", "9" * 25, "9" * 5000, "1.5", "1e3", "nan", "", "x", "٣", " 4 ")
SMALL = "1", "2", "3", "4", "5", "7", "8"
RATES = "0.02", "0.1", "1", "10", "1e-6", "1e-7", "11", "inf", "nan", "0.0123456789", ""
PATHS = ("{0}/a", "{0}/b.npz", "{0}", "{0}/no/where", "/dev/null", "/dev/full", "\0",
         "{0}/a\nb", "{0}/" + "n" * 300, "", "/proc/x", "{0}/\udcff", "-", "~none/x")
VALUES = {
    **dict.fromkeys(("--train-items", "--test-items", "--batch-size", "--epochs",
                     "--log-interval"), (SMALL, NUMBERS)),
    **dict.fromkeys(("--seed", "--every"), (NUMBERS,)),
    "--precision-fractional": (("3", "5", "8", "16"), NUMBERS),
    "--ring-bits": (("31", "36", "44", "64"), NUMBERS),
    "--initial-weights": (("seed", "provider"), ("server",)),
    "--workers": (("2", "2", "3", "4"), NUMBERS), "--base": (("2", "10"), NUMBERS),
    "--lr": (RATES,), "--activation": (("relu", "square"), ("tanh", "")),
    "--arithmetic": (("shared", "fixed", "float"), ("complex",)),
    "--comparison": (("securenn", "carry-tree"), ("x",)),
    "--truncation": (("local", "provider"), ("",)),
    "--world": (("simulation", "mpi"), ("x",)),
    **dict.fromkeys(("--save", "--checkpoint", "--resume", "--data-dir"), (PATHS,)),
    **dict.fromkeys(("--stream", "--ledger", "--reproducible", "--checked", "--help",
                     "--nonsense", "word"), None)}
TINY = {"--train-items": "4", "--test-items": "4", "--epochs": "1"}


class TooLong(Exception):
    """These options would train for long: they were accepted."""


def words_of(g, folder):
    """A command line."""
    chosen = dict(TINY)
    for name in g.sample(list(VALUES), g.randrange(6)):
        values = VALUES[name] and g.choice(g.choice(VALUES[name][:g.choice((1, 2))]))
        chosen[name] = values and values.format(folder)
    words = [word for name, value in chosen.items()
             for word in ([name] if value is None else [name, value])]
    if g.random() < 0.05:
        g.shuffle(words)
    return words


def short_only(options, *arguments, train=command.train, **how):
    work = options.epochs * (options.train_items + options.test_items)
    if work > MOST_WORK or options.workers > 4:
        raise TooLong
    return train(options, *arguments, **how)


def status_of(function, words):
    """(exit status, output, error output); a status of None for TooLong."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = function(words)
        except SystemExit as stop:
            status = stop.code
        except TooLong:
            status = None
    return status, out.getvalue(), err.getvalue()


def try_options(g, folder):
    """Run the training command, or the forecast, once; was the set accepted?"""
    words = words_of(g, folder)
    start, before = time.process_time(), set(os.listdir(folder))
    status, out, err = status_of(train_mnist.main, words)
    took = time.process_time() - start
    shown = shlex.join(words)
    assert took < SECONDS, f"{took:.1f} s: {shown}"
    *warnings, line = err.split("\n")[:-1] or [""]
    if status == 2:
        assert line.startswith("train_mnist: ") and "Traceback" not in err, shown
        assert "Errno" not in line, (line, shown)
        assert all(text.startswith("warning: ") for text in warnings), (err, shown)
        new = set(os.listdir(folder)) - before
        assert not [name for name in new if name.endswith(".part")], (new, shown)
    elif status == 0:
        assert "--help" in words or "Accuracy after" in out, shown
        assert not line or line.startswith("warning: "), (err, shown)
    else:
        assert status is None, (status, shown)
    return status != 2


def try_forecast(g, folder):
    """Of options with which a forecast of shapes alone must be as quick."""
    words = [word for word in words_of(g, folder) if word != "--help"]
    status, _, err = status_of(costs.main, ["forecast", *words])
    assert status in (0, 2) and err.count("\n") == (status == 2), (err, words)
    return status == 0


def run(runs, seed, forecasts):
    """Try so many sets; the number of those that were accepted."""
    accepted, train = 0, command.train
    with tempfile.TemporaryDirectory() as folder:
        command.train = short_only
        try:
            for i in range(runs):
                g = random.Random(f"{seed}/{i}")
                try:
                    accepted += try_options(g, folder)
                    if i % 50 < forecasts:
                        try_forecast(g, folder)
                except BaseException:
                    print(f"run {i} of --seed {seed}")
                    raise
        finally:
            command.train = train
    return accepted


def test_every_set_of_options_runs_or_is_refused_in_one_line():
    assert 10 < run(60, 0, forecasts=0) < 50


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--forecasts", type=int, default=2, help="of 50 sets")
    given = parser.parse_args()
    print(run(given.runs, given.seed, given.forecasts), "of", given.runs,
          "were accepted")
