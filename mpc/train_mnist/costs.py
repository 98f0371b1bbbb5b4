"""The cost of privacy, by backend: ``python -m mpc.train_mnist.costs`` prints a table.

Rounds and bytes come from the ledger and are exact; seconds are the median of a few
runs on this machine, all roles in one process.
``python -m mpc.train_mnist.costs forecast`` predicts the cost of a whole training run
on a network (`mpc.train_mnist.forecast`).
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

import mpc
from mpc.limbs import keep_large_blocks
from mpc.train_mnist import console, forecast
from mpc.train_mnist.arithmetics import Shared
from mpc.train_mnist.options import Parser, parser
from mpc.train_mnist.training import SIZES, Net, make_step

SETTINGS = (2, "securenn"), (2, "carry-tree"), (3, "carry-tree"), (5, "carry-tree")
RELUS, BATCH = 8192, 64
COLUMNS = ("task", "comparison", "truncation", "workers", "rounds (online)",
           "bytes sent by a worker", "bytes sent by the provider, online",
           "and offline", "seconds")
DESCRIPTION = """\
Print the cost of privacy as a Markdown table: rounds and bytes of ReLUs and of a
training batch, by comparison protocol and number of workers. It has no options and
takes a few seconds."""
EPILOG = """\
python -m mpc.train_mnist.costs forecast [options] predicts the cost of a whole training
run on a network; forecast --help lists its options."""


class Measured(NamedTuple):
    """The cost of one run of a task."""

    truncation: str     # how products were scaled down; "none" if there were none
    rounds: int         # online
    worker: int         # bytes sent by the busiest worker
    online: int         # bytes sent by the provider
    offline: int        # bytes that the provider can send before the inputs exist
    seconds: float


def relus(world: mpc.World) -> Callable:
    """A function that computes 8,192 ReLUs of a fresh secret."""
    numbers = np.random.default_rng(0).normal(size=RELUS)
    return lambda: share(world, numbers).relu()


def batch(world: mpc.World, size: int = BATCH, fresh: bool = True,
          sizes: Sequence[tuple] = SIZES) -> Callable:
    """A function that runs one training batch of the network, as the command does.

    Pictures are shared anew each time, as in a first epoch, unless `fresh` is False.
    The layers of another network have other `sizes`.
    """
    options = parser().parse_args(
        f"--workers {len(world.workers)} --ring-bits {world.ring.bits} "
        f"--security {world.security} "
        f"--truncation {world.truncation} --batch-size {size}".split())
    arithmetic, rng = Shared(options, world), np.random.default_rng(0)
    model = arithmetic.model(Net(rng, sizes=sizes))
    (inputs, _), *_, (_, classes) = sizes
    numbers = (rng.normal(size=(size, inputs)),
               np.eye(classes)[rng.integers(0, classes, size)])
    step = make_step(arithmetic, model, options.lr)
    kept = None if fresh else [share(world, array) for array in numbers]
    return lambda: step(*kept or [share(world, array) for array in numbers])


def share(world: mpc.World, numbers: np.ndarray) -> mpc.FixedPoint:
    """Shares of numbers that alice owns; sharing takes no message."""
    encoded = mpc.fix_precision(numbers, ring=world.ring)
    return encoded.share(*world.workers, crypto_provider=world.crypto_provider,
                         owner=world.workers[0])


def measure(n_workers: int, comparison: str, task: Callable, runs: int = 3) -> Measured:
    """The cost of a task with this comparison and the default truncation.

    ReLUs in the ring of a World, a batch in that of the training command.
    """
    bits = parser().parse_args([]).ring_bits if task is batch else None
    world = mpc.World(n_workers, comparison=comparison, ring_bits=bits)
    run, seconds = task(world), []
    for _ in range(runs):
        mark, start = len(world.ledger.messages), time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)

    def sent(role, *offline):
        return sum(m.nbytes for m in world.ledger.messages[mark:]
                   if m.src == str(role) and m.offline in offline)

    truncates = any("truncate" in path for path in world.ledger.calls)
    return Measured(world.truncation if truncates else "none",
                    world.ledger.cost(mark).rounds,
                    max(sent(worker, True, False) for worker in world.workers),
                    sent(world.crypto_provider, False),
                    sent(world.crypto_provider, True), statistics.median(seconds))


def table(progress: Callable = lambda text: None) -> Iterator[str]:
    """The lines of the table, in Markdown, each as soon as it is measured."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|{' --- |' * len(COLUMNS)}"
    tasks = {f"{RELUS:,} ReLUs": relus, f"training batch of {BATCH}": batch}
    for name, task in tasks.items():
        for n_workers, comparison in SETTINGS:
            progress(f"Measuring {name}, {comparison}, {n_workers} workers ...")
            cost = measure(n_workers, comparison, task)
            progress("")
            yield (f"| {name} | {comparison} | {cost.truncation} | {n_workers} "
                   f"| {cost.rounds} | {cost.worker:,} | {cost.online:,} "
                   f"| {cost.offline:,} | {cost.seconds:.3f} |")


def print_lines(lines: Iterator[str]) -> int:
    """Print `lines` as they come; exit status 0, or 2 under a launcher."""
    status = console.one_process()
    for line in lines if status == 0 else ():
        print(line, flush=True)
    return status


def main(argv: Sequence[str] = ()) -> int:
    """The command with arguments `argv`, none by default; returns the exit status."""
    words = list(argv)
    if words[:1] == ["forecast"]:
        options = forecast.forecast_parser().parse_args(words[1:])
        name, lines = "costs forecast", forecast.lines(options, console.progress)
    else:
        Parser(prog="python -m mpc.train_mnist.costs", description=DESCRIPTION,
               epilog=EPILOG).parse_args(words)
        name, lines = "costs", table(console.progress)
    keep_large_blocks()
    return console.exit_status(name, partial(print_lines, lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
