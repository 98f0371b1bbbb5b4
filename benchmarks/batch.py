"""One training batch of the 784-128-64-10 network, private against plain: ``python -m benchmarks.batch``.

All from one process, by interleaved repetitions, after the memory line of `mpc.ring` (plain NumPy
timed in a fresh process of its own would be twice as slow, and flatter us). "plain" is the same
network, loss and optimiser on float64 arrays. "total" is all roles together; the roles' own times
are measured by replay of each by itself.
"""

import argparse
import platform
import resource

import numpy as np
import threadpoolctl

import mpc
import nn
from benchmarks.measure import interleaved
from mpc.costs import batch
from mpc.train_mnist import Net, train_batch

CONFIGURATIONS = [("carry-tree", "beaver"), ("carry-tree", "three"),
                  ("securenn", "beaver"), ("securenn", "three")]


def plain():
    """A function that runs the batch on floats."""
    rng = np.random.default_rng(0)
    model = Net(rng)
    optimiser = nn.SGD(model.parameters(), 0.02)
    pictures, labels = rng.normal(size=(64, 784)), np.eye(10)[rng.integers(0, 10, 64)]
    return lambda: train_batch(model, optimiser, pictures, labels)


def alone(comparison, products):
    """{role: a function that runs its part of set-up and two batches by itself, by replay}."""
    recorded = mpc.World(2, comparison=comparison, products=products, record=True)
    program(recorded)
    return {role: (lambda role=role: program(recorded.replay(role)), 1)
            for role in ("alice", "crypto_provider")}


def program(world):
    run = batch(world)
    run()
    run()


def traffic(comparison, products):
    """Rounds, and bytes that a worker and the provider send in one batch."""
    world = mpc.World(2, comparison=comparison, products=products)
    run = batch(world)
    mark = len(world.ledger.messages)
    run()
    sent = {role: sum(m.nbytes for m in world.ledger.messages[mark:] if m.src == role)
            for role in world.roles}
    return world.ledger.cost(mark).rounds, sent["alice"], sent["crypto_provider"]


def main(argv=None):
    p = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__.splitlines()[0])
    p.add_argument("--repeat", type=int, default=15, help="interleaved repetitions (15)")
    p.add_argument("--threads", type=int, default=1, choices=(1, 2),
                   help="of BLAS: one for CPU figures, two for wall time; never mix them")
    options = p.parse_args(argv)
    tasks = {"plain": (plain(), 20)}
    for comparison, products in CONFIGURATIONS:
        world = mpc.World(2, comparison=comparison, products=products)
        tasks[comparison, products] = batch(world), 1
    with threadpoolctl.threadpool_limits(options.threads):
        medians = interleaved(tasks, options.repeat)
        unit = medians["plain"]
        print(f"Python {platform.python_version()}, NumPy {np.__version__}, {options.threads} BLAS "
              f"thread(s), {options.repeat} repetitions")
        print(f"plain float64: {1e3 * unit[0]:.2f} ms CPU, {1e3 * unit[1]:.2f} ms wall\n")
        print("| comparison | products | CPU ms, all roles | x plain | wall ms | x plain | rounds "
              "| MB by a worker | MB by the provider |\n" + "| --- " * 9 + "|")
        for comparison, products in CONFIGURATIONS:
            cpu, wall = medians[comparison, products]
            rounds, worker, provider = traffic(comparison, products)
            print(f"| {comparison} | {products} | {1e3 * cpu:.1f} | {cpu / unit[0]:.0f} "
                  f"| {1e3 * wall:.1f} | {wall / unit[1]:.0f} | {rounds} | {worker / 1e6:.2f} "
                  f"| {provider / 1e6:.2f} |", flush=True)
        print("\nRoles by themselves, set-up and two batches, CPU ms by replay:")
        for comparison in ("carry-tree", "securenn"):
            times = interleaved(alone(comparison, "beaver"), max(options.repeat // 3, 1), warm_up=1)
            print(f"  {comparison}: " + ", ".join(f"{role} {1e3 * cpu:.0f}"
                                                  for role, (cpu, _) in times.items()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nPeak memory of this process: {peak:.0f} MB")


if __name__ == "__main__":
    main()
