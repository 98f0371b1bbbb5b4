"""One training batch of the 784-128-64-10 network, private against plain: ``python -m benchmarks.batch``.

All from one process, by interleaved repetitions, after the memory line of `mpc.ring` (plain NumPy
timed in a fresh process of its own would be twice as slow, and flatter us). "plain" is the same
network, loss and optimiser on float64 arrays. "all roles" is the simulation, both workers and the
provider; a worker and the provider by themselves are replays of one role, with all streams derived
by that role alone. Pictures stay shared and masked, as in all epochs but the first.
"""

import argparse
import contextlib
import platform
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import threadpoolctl

from mpc.audit.replay import RecordedWorld
import mpc
import nn
from benchmarks.measure import interleaved
from mpc.train_mnist import costs
from mpc.train_mnist.options import parser
from mpc.train_mnist import Net, train, train_batch


class Setting(NamedTuple):
    """One way to train, by the training command's options."""

    comparison: str
    products: str = "beaver"
    ring_bits: int = 64
    truncation: str = "local"

    @property
    def words(self):
        return [word for name, value in self._asdict().items()
                for word in (f"--{name.replace('_', '-')}", str(value))]

    def __str__(self):
        return " | ".join(map(str, self))


SETTINGS = [Setting(comparison, products, *ring)
            for comparison in ("carry-tree", "securenn")
            for ring in ((64, "local"), (44, "provider")) for products in ("beaver", "three")]


def batch(world):
    return costs.batch(world, fresh=False)


def plain():
    """A function that runs the batch on floats."""
    rng = np.random.default_rng(0)
    model = Net(rng)
    optimiser = nn.SGD(model.parameters(), 0.02)
    pictures, labels = rng.normal(size=(64, 784)), np.eye(10)[rng.integers(0, 10, 64)]
    return lambda: train_batch(model, optimiser, pictures, labels)


def alone(setting, batches):
    """{role: a function that runs its part of the next of so many batches, by replay}."""
    recorded = RecordedWorld(2, **setting._asdict())
    run = batch(recorded)
    for _ in range(batches):
        run()
    return {role: batch(recorded.replay(role)) for role in ("alice", "crypto_provider")}


def traffic(setting):
    """Rounds, bytes that a worker sends, and bytes that the provider sends online and ahead."""
    world = mpc.World(2, **setting._asdict())
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
    """Peak memory in MB of a process that runs ten batches: this command with --peak."""
    command = [sys.executable, "-m", "benchmarks.batch", "--peak", *setting]
    done = subprocess.run([str(word) for word in command], check=True, capture_output=True,
                          text=True)
    return int(done.stdout) // 1024


def show_peak(words):
    run = batch(mpc.World(2, **Setting(words[0], words[1], int(words[2]), words[3])._asdict()))
    for _ in range(10):
        run()
    with open("/proc/self/status", encoding="ascii") as file:      # getrusage counts the parent's
        print(next(line.split()[1] for line in file if line.startswith("VmHWM:")))


def accuracy(setting, seed):
    """Per cent of 640 test digits after ten epochs on 640."""
    options = parser().parse_args([*setting.words, "--seed", str(seed), "--log-interval", "1000"])
    return train(options, log=lambda line: None).accuracies[-1] / 6.4


@contextlib.contextmanager
def crypten(python):
    """A function that runs the batch in CrypTen and returns (CPU, wall) seconds."""
    script = Path(__file__).with_name("crypten_batch.py")
    process = subprocess.Popen([python, script], text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)

    def run():
        print("go", file=process.stdin, flush=True)
        line = process.stdout.readline()
        if not line:
            raise SystemExit("batch: CrypTen ended; its message is above")
        return tuple(map(float, line.split()))
    with process:
        yield run
        process.stdin.close()


def main(argv=None):
    p = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__.splitlines()[0])
    p.add_argument("--repeat", type=int, default=15, help="interleaved repetitions (15)")
    p.add_argument("--threads", type=int, default=1, choices=(1, 2),
                   help="of BLAS: one for CPU figures, two for wall time; never mix them")
    p.add_argument("--crypten", metavar="PYTHON",
                   help="run the batch in CrypTen too, between ours, with this interpreter")
    p.add_argument("--accuracy", action="store_true",
                   help="also train, with seeds 0 to 3: takes some minutes")
    p.add_argument("--peak", nargs=4, help=argparse.SUPPRESS)
    options = p.parse_args(argv)
    if options.peak:
        show_peak(options.peak)
        return
    tasks = {"plain": (plain(), 20)}
    tasks |= {setting: (batch(mpc.World(2, **setting._asdict())), 1) for setting in SETTINGS}
    with threadpoolctl.threadpool_limits(options.threads), contextlib.ExitStack() as stack:
        if options.crypten:
            tasks["CrypTen"] = stack.enter_context(crypten(options.crypten)), 0
        medians = interleaved(tasks, options.repeat)
        unit = medians["plain"]
        print(f"Python {platform.python_version()}, NumPy {np.__version__}, {options.threads} BLAS "
              f"thread(s), {options.repeat} repetitions")
        print(f"plain float64: {1e3 * unit[0]:.2f} ms CPU, {1e3 * unit[1]:.2f} ms wall")
        if options.crypten:
            print("CrypTen: {:.0f} ms CPU, {:.0f} ms wall".format(
                *(1e3 * t for t in medians["CrypTen"])))
        heads = ("comparison", "products", "bits", "truncation", "CPU ms, all roles", "x plain",
                 "wall ms", "x plain", *["CrypTen / ours"] * bool(options.crypten),
                 "a worker alone, CPU ms", "the provider alone", "rounds", "MB by a worker",
                 "MB by the provider", "and ahead of time", "peak MB")
        print(f"\n| {' | '.join(heads)} |\n{'| --- ' * len(heads)}|")
        for setting in SETTINGS:
            cpu, wall = medians[setting]
            parts = interleaved({role: (run, 1) for role, run
                                 in alone(setting, options.repeat + 1).items()}, options.repeat, 1)
            rounds, *sent = traffic(setting)
            cells = [f"{1e3 * cpu:.1f}", f"{cpu / unit[0]:.0f}", f"{1e3 * wall:.1f}",
                     f"{wall / unit[1]:.0f}"]
            if options.crypten:
                cells.append(f"{medians['CrypTen'][0] / cpu:.1f}")
            cells += [f"{1e3 * parts[role][0]:.1f}" for role in ("alice", "crypto_provider")]
            cells += [str(rounds), *(f"{n / 1e6:.2f}" for n in sent), str(peak(setting))]
            print(f"| {setting} | {' | '.join(cells)} |", flush=True)
        if options.accuracy:
            print("\n| comparison | products | bits | truncation | accuracy after 10 epochs, seeds "
                  "0 to 3 |\n" + "| --- " * 5 + "|")
            for setting in SETTINGS:
                print(f"| {setting} | "
                      + " ".join(f"{accuracy(setting, seed):.1f}" for seed in range(4)) + " |",
                      flush=True)


if __name__ == "__main__":
    main()
