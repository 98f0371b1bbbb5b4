"""What privacy costs, backend by backend: ``python -m mpc.train_mnist.costs`` prints the table.

Rounds and bytes come from the ledger and are exact; seconds are the median of a few runs on the
machine at hand, all roles in one process.
"""

import argparse
import statistics
import sys
import time
from typing import NamedTuple

import numpy as np

import mpc
from mpc.train_mnist import console
from mpc.train_mnist.options import parser
from mpc.train_mnist import Net, Shared, make_step

SETTINGS = [(2, "securenn"), (2, "carry-tree"), (3, "carry-tree"), (5, "carry-tree")]
RELUS, BATCH = 8192, 64


def relus(world):
    """A function that computes 8,192 ReLUs of a fresh secret."""
    numbers = np.random.default_rng(0).normal(size=RELUS)

    def run():
        share(world, numbers).relu()
    return run


def batch(world, size=BATCH, fresh=True):
    """A function that runs one training batch of the 784-128-64-10 network, as the command does.

    On pictures shared anew each time, as in a first epoch, unless `fresh` is False.
    """
    options = parser().parse_args(
        f"--workers {len(world.workers)} --ring-bits {world.ring.bits} --products {world.products} "
        f"--truncation {world.truncation} --batch-size {size}".split())
    arithmetic, rng = Shared(options, world), np.random.default_rng(0)
    model = arithmetic.model(Net(rng))
    pictures, labels = rng.normal(size=(size, 784)), np.eye(10)[rng.integers(0, 10, size)]
    step = make_step(arithmetic, model, options.lr)
    shared = None if fresh else (share(world, pictures), share(world, labels))

    def run():
        step(*shared or (share(world, pictures), share(world, labels)))
    return run


def share(world, value):
    """Shares of what alice owns, which costs no message."""
    value = mpc.fix_precision(value, ring=world.ring)
    return value.share(*world.workers, crypto_provider=world.crypto_provider,
                       owner=world.workers[0])


class Measured(NamedTuple):
    """What one run of a task costs."""

    truncation: str     # how products were scaled down, or "none" where none was
    rounds: int         # online
    worker: int         # bytes sent by the busiest worker
    online: int         # bytes sent by the provider
    ahead: int          # bytes that the provider could send before the inputs are known
    seconds: float


def measure(n_workers, comparison, task, runs=3):
    """The `Measured` costs of a task, seconds from the median of `runs`.

    Truncation is the training command's: local for two workers, by the provider for more.
    """
    world = mpc.World(n_workers, comparison=comparison,
                      truncation="local" if n_workers == 2 else "provider")
    run, seconds = task(world), []
    for _ in range(runs):
        mark, start = len(world.ledger.messages), time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)

    def sent(role, *offline):
        return sum(m.nbytes for m in world.ledger.messages[mark:]
                   if m.src == str(role) and m.offline in offline)

    truncates = any("truncate" in path for path in world.ledger.calls)
    return Measured(world.truncation if truncates else "none", world.ledger.cost(mark).rounds,
                    max(sent(worker, True, False) for worker in world.workers),
                    sent(world.crypto_provider, False), sent(world.crypto_provider, True),
                    statistics.median(seconds))


def table(note=lambda text: None):
    """The lines of the table, in Markdown, as they are measured; `note` is told what is measured
    next, and "" before a line."""
    columns = ("task", "comparison", "truncation", "workers", "rounds (online)",
               "bytes by a worker", "bytes by the provider, online", "and ahead of time", "seconds")
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for name, task in ((f"{RELUS:,} ReLUs", relus), (f"training batch of {BATCH}", batch)):
        for n_workers, comparison in SETTINGS:
            note(f"Measuring {name}, {comparison}, {n_workers} workers ...")
            cost = measure(n_workers, comparison, task)
            note("")
            yield (f"| {name} | {comparison} | {cost.truncation} | {n_workers} | {cost.rounds} "
                   f"| {cost.worker:,} | {cost.online:,} | {cost.ahead:,} | {cost.seconds:.3f} |")


class Parser(argparse.ArgumentParser):
    """A parser whose errors take one line."""

    def error(self, message):
        self.exit(2, f"costs: {message}; --help says what is printed\n")


def run():
    """Print the table; exit status 0."""
    for line in table(console.note):
        print(line, flush=True)
    return 0


def main(argv=()):
    """The command with the words `argv`, none if left out; its exit status."""
    Parser(prog="python -m mpc.train_mnist.costs", description="Print what privacy costs as a Markdown table: "
           "rounds and bytes of ReLUs and of a training batch, by comparison protocol and number "
           "of workers. Takes a few seconds; there is nothing to choose.").parse_args(list(argv))
    return console.ending("costs", run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
