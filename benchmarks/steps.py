"""Each protocol compared with its lower bound: ``python -m benchmarks.steps``.

The lower bound of a product is its floating-point products alone; that of a comparison
is the stream of coins that it must derive. Both are measured in the same run.
"""

import argparse
import hashlib

import numpy as np
import threadpoolctl

import mpc
from benchmarks.measure import interleaved
from mpc import beaver, carry_tree, securenn, truncation
from mpc.audit.views import Watched
from mpc.limbs import keep_large_blocks

N = 8192


def shared(world, shape):
    """Shares of small random numbers."""
    numbers = np.random.default_rng(0).integers(-2**20, 2**20, shape)
    secret = world.private_input(
        world.server, shape, lambda: world.ring.from_int(numbers), np.uint64)
    x, = world.share(world.server, x=(secret.rows, world.ring))
    return x


def stream_of(protocol, *shapes):
    """Bytes of coins that a protocol on operands of these shapes derives, each once."""
    world = Watched(seed=0)
    drawn = []
    original = world._draw

    def draw(groups, ring, shape, name):
        drawn.append(len(groups) * ring.nbytes(shape))
        return original(groups, ring, shape, name)

    world._draw = draw
    operands = [shared(world, shape) for shape in shapes]
    drawn.clear()
    protocol(*operands)
    return sum(drawn)


def tasks():
    """{name: (protocol, lower bound)}: functions of no argument."""
    world = mpc.World()
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(64, 784)), rng.normal(size=(784, 128))

    def gemm(times):
        return lambda: [left @ right for _ in range(times)]

    def shake(nbytes):
        return lambda: hashlib.shake_128(b"coins").digest(nbytes)

    def run(protocol, *shapes):
        return lambda: protocol(*(shared(world, shape) for shape in shapes))

    result = {"matmul 64x784 @ 784x128 (18 float products)":
              (run(beaver.matmul, (64, 784), (784, 128)), gemm(18))}
    for name, protocol, n_operands in [
            ("multiply", beaver.multiply, 2),
            ("securenn drelu", securenn.drelu, 1),
            ("carry_tree drelu", carry_tree.drelu, 1),
            ("truncate_locally", lambda x: truncation.truncate_locally(x, 1000), 1),
            ("truncate_with_provider",
             lambda x: truncation.truncate_with_provider(x, 1000), 1)]:
        shapes = [(N,)] * n_operands
        coins = max(stream_of(protocol, *shapes), 1)
        result[f"{name}, {N:,} elements"] = run(protocol, *shapes), shake(coins)
    return result


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.steps", description=__doc__.splitlines()[0])
    p.add_argument(
        "--repeat", type=int, default=15, help="interleaved repetitions (15)")
    options = p.parse_args(argv)
    keep_large_blocks()
    pairs = tasks()
    with threadpoolctl.threadpool_limits(1):
        runs = {(name, i): (function, 1) for name, both in pairs.items()
                for i, function in enumerate(both)}
        medians = interleaved(runs, options.repeat)
    print("| protocol (all roles; sharing of the operands included) | CPU ms "
          "| lower bound, ms | ratio |\n| --- | --- | --- | --- |")
    for name in pairs:
        taken, bound = medians[name, 0][0], medians[name, 1][0]
        print(f"| {name} | {1e3 * taken:.2f} | {1e3 * bound:.2f} "
              f"| {taken / bound:.1f} |")


if __name__ == "__main__":
    main()
