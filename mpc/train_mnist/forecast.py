"""The cost of a training run on a network, before it runs.

``python -m mpc.train_mnist.costs forecast`` prints it. Messages depend on shapes alone.
The training program therefore runs in a World without any role: arrays have no rows,
no picture is read, and only the ledger fills. A few batches and two epochs suffice,
because every further one costs the same as the one before it. Bytes and rounds are
exactly those of the whole run; with seals, up to the checks between results. The time
is a model, the sum of four parts:

    start  +  rounds x RTT / 2  +  bytes of the busiest role / bandwidth  +  computation

Messages of a round travel at the same time, and nobody answers: it takes half a round
trip. Each role has a link of this bandwidth in each direction and does nothing else
while it sends. Bytes of one round wait for those of the round before, so the sum over
the rounds counts, each with its busiest role, if it is larger than the sum of a role.
All roles start one after the other. Computation is that of one process for all roles,
measured on this machine with embedded digits. With SecureNN, workers and provider wait
for each other, and each derives its own streams, so it takes longer, by `IN_TURN`; on
the carry tree the provider works ahead, and roles on separate cores take less.
"""

from __future__ import annotations

import time
from argparse import SUPPRESS, ArgumentTypeError, Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np

from mpc.program import World
from mpc.seals import LIMIT
from mpc.train_mnist.options import Parser, check_options, flag, parser, whole
from mpc.train_mnist.training import train

NETWORKS = {"lan": (0.3, 1000.0), "wan": (40.0, 100.0)}
TIMED = 256         # the most items of a batch that is timed
# Measured (benchmarks/README.md):
START = 0.6         # seconds in which a role starts
CONNECTING = 40     # round trips: MPI connects all roles, and then TCP starts slowly
IN_TURN = 1.3       # a worker and the provider of SecureNN alone, times one process
WITHOUT_EFFECT = ("arithmetic", "seed", "reproducible", "data_dir", "save", "ledger",
                  "checked", "world", "checkpoint", "resume", "every", "dp_lesson",
                  "preprocess", "deal")
DESCRIPTION = """\
Predict the cost of a training run on a network: the exact rounds and bytes, and the
time, estimated as the sum of waiting, moving bytes and computing."""
EXAMPLE = """\
example:
  python -m mpc.train_mnist.costs forecast --items 60000 --epochs 10 --network wan"""


class Network(NamedTuple):
    """The speed of the messages."""

    name: str
    rtt: float          # milliseconds for a message and its answer
    bandwidth: float    # megabits per second, of each role in each direction


class Traffic(NamedTuple):
    """The messages of a run: online rounds, and bytes [sender, receiver] of all."""

    roles: tuple
    rounds: int
    nbytes: np.ndarray
    in_turn: int = 0    # online bytes of the busiest role of each round

    def seconds(self, network: Network) -> tuple[float, float]:
        """(waiting for rounds, moving bytes) on a `Network`."""
        busiest = max(self.nbytes.sum(axis=0).max(), self.nbytes.sum(axis=1).max(),
                      self.in_turn)
        return (float(self.rounds) * network.rtt / 2e3,
                float(busiest) * 8 / (network.bandwidth * 1e6))


def network(text: str) -> Network:
    """A type for argparse: lan, wan or RTT,BANDWIDTH."""
    try:
        rtt, bandwidth = NETWORKS.get(text) or map(float, text.split(","))
        if not (0 <= rtt < float("inf") and 0 < bandwidth < float("inf")):
            raise ValueError
    except ValueError:
        raise ArgumentTypeError(
            f"{text!r} is not a network; take lan, wan or RTT,BANDWIDTH in "
            "milliseconds and megabits per second, such as 40,100") from None
    return Network(text, rtt, bandwidth)


def ledger_of(options: Namespace, **changes) -> np.ndarray:
    """[rounds, bytes of each pair ...] of a run with these `changes`, from shapes.

    Then the bytes `in_turn`, and, with seals, what waited for checks and how many there
    were before results.
    """
    options = Namespace(**vars(options) | changes)
    world = World(options.workers, ring_bits=options.ring_bits,
                  comparison=options.comparison, truncation=options.truncation,
                  security=options.security, seals=options.seals,
                  here=(), keys={})
    if world.seals:
        world.seals.limit = float("inf")        # `with_checks` adds those in between
    world.ledger.messages.kept.append(slice(None))
    train(options, lambda line: None, world)
    counted = np.zeros(4 + len(world.roles)**2, object)     # integers of any size
    counted[0] = world.ledger.cost().rounds
    if world.seals:
        counted[-2:] = world.seals.waited, world.seals.checks
    for (_, _, src, dst, _), nbytes in world.ledger.totals.nbytes.items():
        pair = world.roles.index(src), world.roles.index(dst)
        i = np.ravel_multi_index(pair, (len(world.roles),) * 2)
        counted[1 + i] += nbytes
    online = (m for m in world.ledger.messages if not m.offline)
    for _, messages in groupby(online, lambda m: m.round):
        ends = Counter[tuple[str, bool]]()
        for m in messages:
            ends[m.src, True] += m.nbytes
            ends[m.dst, False] += m.nbytes
        counted[-3] += max(ends.values())
    return counted


def with_checks(counted: np.ndarray, roles: tuple, seals: int) -> np.ndarray:
    """The same with the checks that come in between, each `LIMIT` bytes of seals.

    Their number is an estimate: it depends on what waits when.
    """
    waited, checks = counted[-2:]
    more = max(waited // LIMIT - checks, 0)
    world = World(len(roles) - 2, security="abort", seals=seals, here=(), keys={})
    assert world.seals
    world.seals.waiting = 1
    world.seals.check()
    for (_, _, src, dst, _), nbytes in world.ledger.totals.nbytes.items():
        pair = roles.index(src), roles.index(dst)
        counted[1 + np.ravel_multi_index(pair, (len(roles),) * 2)] += more * nbytes
    counted[0] += more * world.ledger.cost().rounds
    return counted


def straight(counted: Callable, n: int, least: int) -> np.ndarray:
    """``counted(n)`` for a function that is linear from `least` on."""
    if n <= least + 1:
        return counted(n)
    first = counted(least)
    return first + (n - least) * (counted(least + 1) - first)


def traffic(options: Namespace) -> Traffic:
    """The `Traffic` of the whole run.

    All epochs from the second on cost the same, and so do all full batches of an epoch
    from the second on; every run includes a shorter last batch.
    """
    size, shown = options.batch_size, {"log_interval": 0}

    def items(batches, of):
        return batches * size + of % size

    def run(epochs, batches, tests):
        return ledger_of(
            options, epochs=epochs, train_items=items(batches, options.train_items),
            test_items=items(tests, options.test_items), **shown)

    def with_tests(epochs, batches):
        return straight(
            lambda n: run(epochs, batches, n), options.test_items // size, least)

    def with_batches(epochs):
        return straight(
            lambda n: with_tests(epochs, n), options.train_items // size, least)

    def losses(items):
        few = {"epochs": 1, "train_items": items, "test_items": options.workers}
        return (ledger_of(options, **few, log_interval=1)
                - ledger_of(options, **few, **shown))

    owned = -(-options.workers // size)     # batches in which each worker owns an item
    least = max(owned, 2)
    counted = straight(with_batches, options.epochs, 1)
    batches, rest = divmod(options.train_items, size)
    batches += rest > 0
    interval = options.log_interval or batches + 1
    told, last = batches // interval, rest > 0 and batches % interval == 0
    if told:
        a_loss = losses(owned * size) // owned
        counted += options.epochs * (told - last) * a_loss
    if last:
        counted += options.epochs * (losses(owned * size + rest) - owned * a_loss)
    roles = World(options.workers, here=(), keys={}).roles
    if options.security == "abort":
        counted = with_checks(counted, roles, options.seals)
    return Traffic(roles, int(counted[0]), counted[1:-3].reshape((len(roles),) * 2),
                   int(counted[-3]))


def computation(options: Namespace) -> tuple[float, float]:
    """Seconds of a training batch and of a test batch, in one process.

    Batches of more than `TIMED` items are not run: their time grows with the items.
    """
    whole = [min(options.batch_size, items)
             for items in (options.train_items, options.test_items)]
    begun: list[float] = []
    ended: list[float] = []
    size = min(max(whole), TIMED)
    batches = -(-options.workers // size)
    few = {"epochs": 3, "train_items": batches * size, "test_items": batches * size,
           "batch_size": size, "log_interval": 0, "data_dir": None}

    def progress(text):             # "Test set: 0/..." to "" is a test
        if text == "":
            ended.append(time.perf_counter())
        elif len(begun) == len(ended):
            begun.append(time.perf_counter())

    run = train(Namespace(**vars(options) | few), lambda line: None,
                progress=progress, warn=lambda line: None)
    tests = [(after - before) / batches
             for before, after in zip(begun, ended, strict=True)]
    return (min(run.seconds) * whole[0] / size, min(tests) * whole[1] / size)


def lines(options: Namespace,
          progress: Callable = lambda text: None) -> Iterator[str]:
    """The forecast, line by line; raises ValueError for options that have no effect."""
    check_forecast(options)
    progress("Counting the messages of a few batches ...")
    run = traffic(options)
    progress("Timing a few batches ...")
    batch, test = computation(options)
    progress("")
    waiting, moving = run.seconds(options.network)
    size = options.batch_size
    computing = options.epochs * (-(-options.train_items // size) * batch
                                  + -(-options.test_items // size) * test)
    computing *= IN_TURN if options.comparison == "securenn" else 1
    _, rtt, bandwidth = options.network
    yield (f"Forecast: {options.epochs} epoch{'s' * (options.epochs > 1)} over "
           f"{options.train_items:,} items, {options.workers} workers")
    yield f"Network: round trip {rtt:g} ms, {bandwidth:g} Mbit/s to and from each role"
    yield f"Rounds: {run.rounds:,}"
    for role, nbytes in zip(run.roles, run.nbytes.sum(axis=1), strict=True):
        yield f"Bytes sent by {role}: {nbytes:,}"
    start = START * len(run.roles) + CONNECTING * options.network.rtt / 1e3
    whole = start + waiting + moving + computing
    yield (f"Time: {whole:,.0f} s = {start:,.0f} s to start + {waiting:,.0f} s for "
           f"rounds + {moving:,.0f} s for bytes + {computing:,.0f} s of computation")
    yield f"A batch takes {batch:.3f} s of computation here, all roles in one process"


def check_forecast(options: Namespace) -> None:
    """Raise ValueError for options that have no effect or cannot be used together."""
    default = parser().parse_args([])
    for name in WITHOUT_EFFECT:
        if getattr(options, name) != getattr(default, name):
            raise ValueError(f"{flag(name)} has no effect on a forecast; leave it out")
    problem = check_options(options)
    if problem:
        raise ValueError(problem)


def forecast_parser() -> Parser:
    """The options of the training command that change its messages, and the network."""
    return parser("train_mnist.costs forecast", DESCRIPTION, EXAMPLE,
                  hidden=WITHOUT_EFFECT, own={"forecast": _forecast})


def _forecast(add):
    add("--network", type=network, default="lan", metavar="lan|wan|RTT,BANDWIDTH",
        help="lan (0.3 ms, 1000 Mbit/s; default), wan (40 ms, 100 Mbit/s), or another "
        "round trip in milliseconds and bandwidth in megabits per second")
    add("--items", dest="train_items", type=whole(1), metavar="N",
        default=SUPPRESS, help="the same as --train-items")
