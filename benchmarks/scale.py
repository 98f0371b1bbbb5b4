"""How cost grows with the data: ``python -m benchmarks.scale [--picture FILE]``.

The time of an epoch grows in proportion to its items (streamed, so that memory stays
constant). An item costs less in a larger batch, because the weights are opened and
multiplied once for the whole batch.
"""

import argparse
import resource
import time

import threadpoolctl

import mpc
from benchmarks.measure import interleaved
from mpc.limbs import keep_large_blocks
from mpc.train_mnist import costs, train
from mpc.train_mnist.options import parser

SIZES = 8, 16, 32, 64, 128, 256, 512
ITEMS = 320, 640, 1280, 2560, 5120
YTICKS = 0.3, 0.5, 1, 2, 3, 5, 10
NAMES = {"carry-tree": "carry tree", "securenn": "SecureNN"}


def per_item(comparison, repeat):
    """CPU milliseconds of all roles for one item, by batch size."""
    tasks = {}
    for size in SIZES:
        world = mpc.World(comparison=comparison, truncation="local")
        tasks[size] = costs.batch(world, size, fresh=False), 1
    return [1e3 * cpu / size for size, (cpu, _) in interleaved(tasks, repeat).items()]


def epochs(comparison):
    """CPU seconds of one epoch, by the number of items."""
    def seconds(items):
        start = time.process_time()
        text = (f"--comparison {comparison} --train-items {items} --test-items 2 "
                "--epochs 1 --stream --log-interval 1000")
        train(parser().parse_args(text.split()), lambda _: None)
        return time.process_time() - start
    seconds(ITEMS[0])           # to warm up
    return [seconds(items) for items in ITEMS]


def main(argv=None):
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description=__doc__.splitlines()[0])
    p.add_argument("--repeat", type=int, default=5, help="interleaved repetitions (5)")
    p.add_argument("--picture", metavar="FILE",
                   help="also draw the two tables; needs matplotlib")
    options = p.parse_args(argv)
    keep_large_blocks()
    tables = {"items in an epoch | CPU seconds": {},
              "items in a batch | CPU ms an item": {}}
    with threadpoolctl.threadpool_limits(1):
        for comparison, name in NAMES.items():
            found = epochs(comparison), per_item(comparison, options.repeat)
            for table, x, y in zip(tables.values(), (ITEMS, SIZES), found, strict=True):
                table[name] = x, y
    for title, table in tables.items():
        print(f"| {title}: {' | '.join(table)} |\n{'| --- ' * (1 + len(table))}|")
        columns = [y for _, y in table.values()]
        for x, *ys in zip(table["carry tree"][0], *columns, strict=True):
            print(f"| {x:,} | {' | '.join(f'{y:.2f}' for y in ys)} |")
        print()
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"Peak memory: {kilobytes // 1024} MB")
    if options.picture:
        draw(tables, options.picture)


def draw(tables, path):
    """Both tables as curves, side by side."""
    from mpc.course import pictures
    figure, panels = pictures.panels(2, (8.4, 3.2))
    for axes, (title, table) in zip(panels, tables.items(), strict=True):
        xlabel, ylabel = title.split(" | ")
        looks = iter(pictures.SERIES)
        for name, (x, y) in table.items():
            colour, line, marker = next(looks)
            axes.plot(x, y, color=colour, linestyle=line, marker=marker, label=name)
        axes.set(xlabel=xlabel, ylabel=ylabel, xscale="log", yscale="log")
        for axis, ticks in ((axes.xaxis, x), (axes.yaxis, YTICKS)):
            axis.set_ticks(ticks, [f"{n:,}" for n in ticks])
            axis.set_ticks([], minor=True)
        axes.set_ylim(0.2, 12)
        axes.legend()
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    main()
