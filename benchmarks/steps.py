"""Each step against its floor: ``python -m benchmarks.steps``.

The floor of a product is its floating-point products alone, that of a comparison the stream of
coins that it must derive; both are measured in the same run.
"""

import argparse
import hashlib

import numpy as np
import threadpoolctl

import mpc
from benchmarks.measure import interleaved
from mpc import beaver, carry_tree, securenn, truncation
from mpc.audit.views import Watched

N = 8192


def shared(world, shape):
    """Shares of small random numbers."""
    numbers = np.random.default_rng(0).integers(-2**20, 2**20, shape)
    rows = world.private_input(world.server, shape, lambda: world.ring.from_int(numbers), np.uint64).rows
    return world.share(world.server, x=(rows, world.ring))[0]


def stream_of(step, *shapes):
    """Bytes of coins that a step on operands of these shapes derives, all roles, each once."""
    world = Watched(seed=0)
    drawn = []
    original = world._draw

    def draw(groups, ring, shape, name):
        drawn.append(len(groups) * ring.nbytes(shape))
        return original(groups, ring, shape, name)

    world._draw = draw
    operands = [shared(world, shape) for shape in shapes]
    drawn.clear()
    step(*operands)
    return sum(drawn)


def tasks():
    """{name: (step, floor)}: functions of no argument."""
    world = mpc.World()
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(64, 784)), rng.normal(size=(784, 128))

    def gemm(times):
        return lambda: [left @ right for _ in range(times)]

    def shake(nbytes):
        return lambda: hashlib.shake_128(b"floor").digest(nbytes)

    big = (64, 784), (784, 128)
    result = {
        "matmul 64x784 @ 784x128 (30 float products)":
            (lambda: beaver.matmul(*(shared(world, s) for s in big)), gemm(30)),
        "matmul_in_three, the same (18 float products)":
            (lambda: beaver.matmul_in_three(*(shared(world, s) for s in big)), gemm(18))}
    for name, step, shapes in [
            (f"multiply, {N:,} elements", beaver.multiply, ((N,), (N,))),
            (f"securenn drelu, {N:,} elements", securenn.drelu, ((N,),)),
            (f"carry_tree drelu, {N:,} elements", carry_tree.drelu, ((N,),)),
            (f"truncate_locally, {N:,} elements", lambda x: truncation.truncate_locally(x, 1000),
             ((N,),)),
            (f"truncate_with_provider, {N:,} elements",
             lambda x: truncation.truncate_with_provider(x, 1000), ((N,),))]:
        result[name] = (lambda step=step, shapes=shapes: step(*(shared(world, s) for s in shapes)),
                        shake(max(stream_of(step, *shapes), 1)))
    return result


def main(argv=None):
    p = argparse.ArgumentParser(prog="python -m benchmarks.steps", description=__doc__.splitlines()[0])
    p.add_argument("--repeat", type=int, default=15, help="interleaved repetitions (15)")
    options = p.parse_args(argv)
    pairs = tasks()
    with threadpoolctl.threadpool_limits(1):
        runs = {(name, i): (function, 1) for name, both in pairs.items()
                for i, function in enumerate(both)}
        medians = interleaved(runs, options.repeat)
    print("| step (all roles; sharing of the operands included) | CPU ms | floor ms | ratio |\n"
          "| --- | --- | --- | --- |")
    for name in pairs:
        step, floor = medians[name, 0][0], medians[name, 1][0]
        print(f"| {name} | {1e3 * step:.2f} | {1e3 * floor:.2f} | {step / floor:.1f} |")


if __name__ == "__main__":
    main()
