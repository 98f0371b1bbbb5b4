"""What a training run takes on a network, before it is run: ``python -m mpc.train_mnist.forecast``.

Messages depend on shapes alone. The training program therefore runs in a World where no role lives:
every array has no rows, no picture is read, and only the ledger fills. A few batches and two epochs
are enough, since every further one costs what the one before it did: bytes and rounds are those of
the whole run, exactly. The time is a model, the sum of three parts:

    rounds x RTT  +  bytes of the busiest role / bandwidth  +  computation

Each role has a link of this bandwidth in either direction and does nothing else while it sends; a
round waits for one round trip. Computation is that of all roles one after the other, measured here
on batches of embedded digits: roles on cores of their own take less.
"""

import sys
import time
from argparse import ArgumentTypeError, Namespace
from functools import partial
from typing import NamedTuple

import numpy as np

from mpc.train_mnist import console
from mpc.train_mnist.options import check_options, number, parser
from mpc.train_mnist import train
from mpc.world import World

NETWORKS = {"lan": (0.3, 1000.0), "wan": (40.0, 100.0)}
NEVER = 10**9       # a log interval
WITHOUT_EFFECT = ("arithmetic", "seed", "reproducible", "data_dir", "save", "ledger",
                  "checked", "world")


class Network(NamedTuple):
    """What a message meets on its way."""

    name: str
    rtt: float          # milliseconds for a message and its answer
    bandwidth: float    # megabits per second, of each role in each direction


class Traffic(NamedTuple):
    """The messages of a run: rounds that were waited for, bytes [sender, receiver] of all."""

    roles: tuple
    rounds: int
    nbytes: np.ndarray

    def seconds(self, network):
        """(waiting for rounds, moving bytes) on a `Network`."""
        busiest = max(self.nbytes.sum(axis=0).max(), self.nbytes.sum(axis=1).max())
        return (float(self.rounds) * network.rtt / 1e3,
                float(busiest) * 8 / (network.bandwidth * 1e6))


def network(text):
    """A type for argparse: lan, wan or RTT,BANDWIDTH."""
    try:
        rtt, bandwidth = NETWORKS.get(text) or map(float, text.split(","))
        if not (0 <= rtt < float("inf") and 0 < bandwidth < float("inf")):
            raise ValueError
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no network; take lan, wan or RTT,BANDWIDTH in "
                                "milliseconds and megabits per second, as 40,100") from None
    return Network(text, rtt, bandwidth)


def ledger_of(options, **changes):
    """[rounds, bytes of each pair ...] of a run with these `changes`, from shapes alone."""
    options = Namespace(**vars(options) | changes)
    world = World(options.workers, ring_bits=options.ring_bits, comparison=options.comparison,
                  truncation=options.truncation, products=options.products, here=(), keys={})
    train(options, lambda line: None, world)
    counted = np.zeros(1 + len(world.roles)**2, np.int64)
    counted[0] = world.ledger.cost().rounds
    for message in world.ledger.messages:
        pair = world.roles.index(message.src), world.roles.index(message.dst)
        counted[1 + np.ravel_multi_index(pair, (len(world.roles),) * 2)] += message.nbytes
    return counted


def straight(counted, n, least):
    """``counted(n)`` of a function that is a straight line from `least` on."""
    if n <= least + 1:
        return counted(n)
    first = counted(least)
    return first + (n - least) * (counted(least + 1) - first)


def traffic(options):
    """The `Traffic` of the whole run.

    From the second epoch on all epochs cost the same, and from the second batch of an epoch on all
    full batches do; a shorter last one is in every run.
    """
    size, shown = options.batch_size, {"log_interval": NEVER}

    def items(batches, of):
        return batches * size + of % size

    def run(epochs, batches, tests):
        return ledger_of(options, epochs=epochs, train_items=items(batches, options.train_items),
                         test_items=items(tests, options.test_items), **shown)

    def with_tests(epochs, batches):
        return straight(lambda n: run(epochs, batches, n), options.test_items // size, least)

    def with_batches(epochs):
        return straight(lambda n: with_tests(epochs, n), options.train_items // size, least)

    def losses(items):
        few = dict(epochs=1, train_items=items, test_items=options.workers)
        return ledger_of(options, **few, log_interval=1) - ledger_of(options, **few, **shown)

    owned = -(-options.workers // size)         # batches of which each worker owns an item
    least = max(owned, 2)
    counted = straight(with_batches, options.epochs, 1)
    batches, rest = -(-options.train_items // size), options.train_items % size
    told, last = batches // options.log_interval, rest > 0 and batches % options.log_interval == 0
    a_loss = losses(owned * size) // owned
    counted += options.epochs * (told - last) * a_loss
    if last:
        counted += options.epochs * (losses(owned * size + rest) - owned * a_loss)
    roles = World(options.workers, here=(), keys={}).roles
    return Traffic(roles, int(counted[0]), counted[1:].reshape(len(roles), len(roles)))


def computation(options):
    """Seconds of a training batch and of a test batch, in one process on this machine."""
    size, stamps = min(options.batch_size, 1280), []
    batches = -(-options.workers // size)
    few = {"epochs": 3, "train_items": batches * size, "test_items": batches * size,
           "batch_size": size, "log_interval": batches, "data_dir": None}
    run = train(Namespace(**vars(options) | few), lambda line: stamps.append(time.perf_counter()))
    tests = [(after - before) / batches for before, after in zip(stamps[::2], stamps[1::2])]
    return min(run.seconds), min(tests)


def lines(options, note=lambda text: None):
    """The forecast, line by line; `note` is told what goes on before the first, and then ""."""
    note("Counting the messages of a few batches ...")
    run = traffic(options)
    note("Timing a few batches ...")
    batch, test = computation(options)
    note("")
    waiting, moving = run.seconds(options.network)
    size = options.batch_size
    computing = options.epochs * (-(-options.train_items // size) * batch
                                  + -(-options.test_items // size) * test)
    name, rtt, bandwidth = options.network
    yield (f"Forecast: {options.epochs} epoch{'s' * (options.epochs > 1)} over "
           f"{options.train_items:,} items, {options.workers} workers")
    yield f"Network: round trip {rtt:g} ms, {bandwidth:g} Mbit/s to and from each role"
    yield f"Rounds: {run.rounds:,}"
    for role, nbytes in zip(run.roles, run.nbytes.sum(axis=1)):
        yield f"Bytes sent by {role}: {nbytes:,}"
    yield (f"Time: {waiting + moving + computing:,.0f} s = {waiting:,.0f} s for rounds + "
           f"{moving:,.0f} s for bytes + {computing:,.0f} s of computation")
    yield f"A batch takes {batch:.3f} s of computation here, all roles in one process"


def forecast_parser():
    """The options of the training command that change its messages, and the network."""
    p = parser("forecast", hidden=[option(name) for name in WITHOUT_EFFECT])
    p.description = ("What a training run takes on a network: rounds and bytes, exactly, and the "
                     "time as a sum\nof waiting, moving bytes and computing.")
    p.epilog = "example:\n  python -m mpc.train_mnist.forecast --items 60000 --epochs 10 --network wan"
    p.add_argument("--items", dest="train_items", metavar="N",
                   type=number(int, "a whole number", 1),
                   help="the same as --train-items")
    p.add_argument("--network", type=network, default="lan", metavar="lan|wan|RTT,BANDWIDTH",
                   help="lan (0.3 ms, 1000 Mbit/s; default), wan (40 ms, 100 Mbit/s), or another "
                   "round trip in milliseconds and bandwidth in megabits per second")
    return p


def option(name):
    """The name of an option as it is typed."""
    return f"--{name.replace('_', '-')}"


def run(options):
    """Print the forecast; exit status 0."""
    default = parser().parse_args([])
    for name in WITHOUT_EFFECT:
        if getattr(options, name) != getattr(default, name):
            raise ValueError(f"{option(name)} has no effect on a forecast; leave it out")
    if problem := check_options(options):
        raise ValueError(problem)
    for line in lines(options, console.note):
        print(line, flush=True)
    return 0


def main(argv=()):
    """The command with the words `argv`, none if left out; its exit status."""
    return console.ending("forecast", partial(run, forecast_parser().parse_args(list(argv))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
