"""A private training batch, compared with plain NumPy: ``python -m benchmarks.batch``.

Everything is measured in one process by interleaved repetitions. (In a fresh process,
plain NumPy would take twice as long, and flatter us.) "plain" is the same network,
loss and optimiser on float64 arrays. "all roles" is the simulation: all workers and
the provider. A worker alone and the provider alone are replays of one role, which
derives all its streams itself. "online" is the simulation without the provider, which
has dealt ahead. Pictures stay shared and masked, as in every epoch except the first.
"overhead" is the same batch of a 2-2-2-2 network on two items, whose arrays cost
nothing: the time of Python, and the number of function calls, which depends on no
machine.
"""

import argparse
import cProfile
import gc
import platform
import pstats
import subprocess
import sys
from collections import defaultdict, deque
from typing import NamedTuple

import numpy as np
import threadpoolctl

import mpc
import nn
from benchmarks.measure import interleaved
from mpc.audit.replay import RecordedWorld
from mpc.limbs import keep_large_blocks
from mpc.train_mnist import Net, costs, train, train_batch
from mpc.train_mnist.options import parser
from mpc.transport.ahead import Ahead, Outbox, used_up
from mpc.world import make_keys, role_names


class Setting(NamedTuple):
    """One way to train, by the training command's options."""

    comparison: str
    ring_bits: int = 64
    truncation: str = "provider"
    workers: int = 2

    @property
    def words(self):
        return [word for name, value in self._asdict().items()
                for word in (f"--{name.replace('_', '-')}", str(value))]

    def world(self, kind=mpc.World, **more):
        return kind(self.workers, comparison=self.comparison, ring_bits=self.ring_bits,
                    truncation=self.truncation, **more)

    def __str__(self):
        return " | ".join(map(str, self))


SETTINGS = [Setting(comparison, *ring) for comparison in ("carry-tree", "securenn")
            for ring in ((48, "provider"), (64, "provider"), (64, "local"))]
SETTINGS.append(Setting("carry-tree", 48, workers=3))
WARM_UP = 3         # repetitions that do not count
NAMES = "comparison", "bits", "truncation", "workers"


def batch(world):
    return costs.batch(world, fresh=False)


def overhead(world):
    """A function that runs the batch with arrays that cost nothing."""
    return costs.batch(world, 2, fresh=False, sizes=((2, 2),) * 3)


def calls(run):
    """The function calls of a run after the first one, those into C included.

    Without those of the garbage collector, which may meet what ran before.
    """
    run()
    gc.collect()
    gc.disable()
    with cProfile.Profile() as profile:
        run()
    gc.enable()
    return pstats.Stats(profile).total_calls


def plain():
    """A function that runs the batch on floats."""
    rng = np.random.default_rng(0)
    model = Net(rng)
    optimiser = nn.SGD(model.parameters(), 0.02)
    pictures, labels = rng.normal(size=(64, 784)), np.eye(10)[rng.integers(0, 10, 64)]
    return lambda: train_batch(model, optimiser, pictures, labels)


def alone(setting, batches):
    """{role: a function that runs its part of the next batch, by replay}."""
    recorded = setting.world(RecordedWorld)
    run = batch(recorded)
    for _ in range(batches):
        run()
    return {role: batch(recorded.replay(role)) for role in ("alice", "crypto_provider")}


def online(setting, batches):
    """A function that runs the next batch, for which the provider has dealt ahead."""
    *others, dealer = role_names(setting.workers)
    keys, dealt = make_keys(role_names(setting.workers)), defaultdict(deque)
    provider = batch(setting.world(here=(dealer,), keys=keys, link=Outbox(
        lambda parcel: dealt[parcel.dst].append(parcel))))
    for _ in range(batches):
        provider()
    link = Ahead(dealer, {role: used_up(dealt[role]) for role in others})
    return batch(setting.world(here=others, keys=keys, link=link))


def traffic(setting):
    """Rounds, and bytes sent by a worker and by the provider, online and offline."""
    world = setting.world()
    run = batch(world)
    run()
    mark = len(world.ledger.messages)
    run()

    def sent(role, *offline):
        return sum(m.nbytes for m in world.ledger.messages[mark:]
                   if m.src == role and m.offline in offline)
    return (world.ledger.cost(mark).rounds, sent("alice", True, False),
            sent("crypto_provider", False), sent("crypto_provider", True))


def peak(setting):
    """Peak memory in MB of a process that runs ten batches: this one with --peak."""
    command = [sys.executable, "-m", "benchmarks.batch", "--peak", *map(str, setting)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout) // 1024


def show_peak(comparison, ring_bits, truncation, workers):
    setting = Setting(comparison, int(ring_bits), truncation, int(workers))
    run = batch(setting.world())
    for _ in range(10):
        run()
    # getrusage would count the parent's memory
    with open("/proc/self/status", encoding="ascii") as file:
        print(next(line.split()[1] for line in file if line.startswith("VmHWM:")))


def accuracy(setting, seed):
    """Per cent of 640 test digits after ten epochs on 640."""
    words = [*setting.words, "--seed", str(seed), "--log-interval", "1000"]
    return train(parser().parse_args(words), log=lambda _: None).accuracies[-1] / 6.4


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.batch", description=__doc__.splitlines()[0])
    p.add_argument(
        "--repeat", type=int, default=15, help="interleaved repetitions (15)")
    p.add_argument("--threads", type=int, default=1, choices=(1, 2),
                   help="of BLAS: one for CPU time, two for wall time; do not mix them")
    p.add_argument("--accuracy", action="store_true",
                   help="also train, with seeds 0 to 3: takes some minutes")
    p.add_argument("--peak", nargs=4, help=argparse.SUPPRESS)
    options = p.parse_args(argv)
    keep_large_blocks()
    if options.peak:
        show_peak(*options.peak)
        return
    with threadpoolctl.threadpool_limits(options.threads):
        show_batches(options)
    if options.accuracy:
        show_accuracies()


def show_batches(options):
    """Print the table of times, rounds, bytes and memory."""
    tasks = {"plain": (plain(), 20)}
    for setting in SETTINGS:
        tasks[setting] = batch(setting.world()), 1
        tasks["overhead", setting] = overhead(setting.world()), 1
        if setting.comparison == "carry-tree":
            tasks["online", setting] = online(setting, options.repeat + WARM_UP), 1
    medians = interleaved(tasks, options.repeat, WARM_UP)
    unit = medians["plain"]
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {kernels()}, "
          f"{options.threads} BLAS thread(s), {options.repeat} repetitions")
    print(f"plain float64: {1e3 * unit[0]:.2f} ms CPU, {1e3 * unit[1]:.2f} ms wall")
    print_header(
        *NAMES, "CPU ms, all roles", "x plain", "wall ms", "x plain",
        "overhead, CPU ms", "calls",
        "a worker alone, CPU ms", "the provider alone", "rounds", "MB sent by a worker",
        "MB sent by the provider, online", "and offline", "peak MB")
    for setting in SETTINGS:
        cpu, wall = medians[setting]
        cells = [f"{1e3 * cpu:.1f}", f"{cpu / unit[0]:.0f}",
                 f"{1e3 * wall:.1f}", f"{wall / unit[1]:.0f}"]
        cells.append(f"{1e3 * medians['overhead', setting][0]:.1f}")
        cells.append(f"{calls(overhead(setting.world())):,}")
        runs = alone(setting, options.repeat + 1)
        roles = {role: (run, 1) for role, run in runs.items()}
        parts = interleaved(roles, options.repeat, 1)
        cells += [f"{1e3 * parts[role][0]:.1f}" for role in roles]
        rounds, *sent = traffic(setting)
        cells += [str(rounds), *(f"{n / 1e6:.2f}" for n in sent), str(peak(setting))]
        print(f"| {setting} | {' | '.join(cells)} |", flush=True)
    print_header(*NAMES, "online CPU ms, all but the provider", "x plain",
                 "of all roles", "wall ms", "x plain")
    for setting in SETTINGS:
        if setting.comparison == "carry-tree":
            cpu, wall = medians["online", setting]
            print(f"| {setting} | {1e3 * cpu:.1f} | {cpu / unit[0]:.0f} | "
                  f"{cpu / medians[setting][0]:.2f} | {1e3 * wall:.1f} | "
                  f"{wall / unit[1]:.0f} |")


def kernels():
    """The BLAS library and its kernels: plain NumPy gains the most from wider ones."""
    found = {f"{library['internal_api']} with "
             f"{library.get('architecture', 'unknown')} kernels"
             for library in threadpoolctl.threadpool_info()
             if library["user_api"] == "blas"}       # NumPy and SciPy each bring one
    return " and ".join(sorted(found)) or "unknown BLAS"


def show_accuracies():
    """Print the table of accuracies."""
    print_header(*NAMES, "accuracy after 10 epochs, seeds 0 to 3")
    for setting in SETTINGS:
        found = " ".join(f"{accuracy(setting, seed):.1f}" for seed in range(4))
        print(f"| {setting} | {found} |", flush=True)


def print_header(*columns):
    print(f"\n| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|")


if __name__ == "__main__":
    main()
