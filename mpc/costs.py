"""What privacy costs, backend by backend: ``python -m mpc.costs`` prints the table.

Rounds and bytes come from the ledger and are exact; seconds are the median of a few runs on the
machine at hand, all roles in one process.
"""

import statistics
import time

import numpy as np

import mpc
import nn
from mpc.train_mnist import Net, train_batch

SETTINGS = [(2, "securenn"), (2, "carry-tree"), (3, "carry-tree"), (5, "carry-tree")]
RELUS, BATCH = 8192, 64


def relus(world):
    """A function that computes 8,192 ReLUs of a fresh secret."""
    numbers = np.random.default_rng(0).normal(size=RELUS)

    def run():
        share(world, numbers).relu()
    return run


def batch(world):
    """A function that runs one training batch of the 784-128-64-10 network."""
    rng = np.random.default_rng(0)
    model = Net(rng).map(mpc.fix_precision).map(lambda value: share(world, value))
    optimiser = nn.SGD(model.parameters(), 0.02)
    pictures, labels = rng.normal(size=(BATCH, 784)), np.eye(10)[rng.integers(0, 10, BATCH)]

    def run():
        train_batch(model, optimiser, share(world, pictures), share(world, labels))
    return run


def share(world, value):
    """Shares of what alice owns, which costs no message."""
    value = value if isinstance(value, mpc.FixedPoint) else mpc.fix_precision(value)
    return value.share(*world.workers, crypto_provider=world.crypto_provider,
                       owner=world.workers[0])


def measure(n_workers, comparison, task, runs=3):
    """Rounds, bytes of the busiest worker and of the provider, seconds: of one run of a task."""
    world = mpc.World(n_workers, comparison=comparison)
    run, seconds = task(world), []
    for _ in range(runs):
        mark, start = len(world.ledger.messages), time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    sent = {role: sum(m.nbytes for m in world.ledger.messages[mark:] if m.src == role)
            for role in world.roles}
    return (world.ledger.cost(mark).rounds, max(sent[str(w)] for w in world.workers),
            sent[str(world.crypto_provider)], statistics.median(seconds))


def table():
    """The lines of the table, in Markdown, as they are measured."""
    yield ("| task | comparison | workers | rounds | bytes by a worker | bytes by the provider "
           "| seconds |")
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for name, task in ((f"{RELUS:,} ReLUs", relus), (f"training batch of {BATCH}", batch)):
        for n_workers, comparison in SETTINGS:
            rounds, worker, provider, seconds = measure(n_workers, comparison, task)
            yield (f"| {name} | {comparison} | {n_workers} | {rounds} | {worker:,} | {provider:,} "
                   f"| {seconds:.3f} |")


if __name__ == "__main__":
    for line in table():
        print(line, flush=True)
