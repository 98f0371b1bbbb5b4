"""How cost grows with the data: ``python -m benchmarks.scale [--picture FILE]``.

The time of an epoch grows in proportion to its items (streamed, so that memory stays
constant). It falls with the batch size, because the weights are opened and multiplied
once for the whole batch. Each worker adds its own products and coins; the provider's
work and the program's steps are there only once.
"""

import argparse
import resource
import time
from itertools import zip_longest

import threadpoolctl

import mpc
from benchmarks.measure import interleaved
from mpc.limbs import keep_large_blocks
from mpc.train_mnist import costs, train
from mpc.train_mnist.options import parser

SIZES = 8, 16, 32, 64, 128, 256, 512
ITEMS = 320, 640, 1280, 2560, 5120
WORKERS = 2, 3, 4, 5
EPOCH = 5120            # items of an epoch that is timed by its batches
YTICKS = 0.3, 1, 3, 10, 30
NAMES = {"carry-tree": "carry tree", "securenn": "SecureNN"}


def by_size(comparison, repeat):
    """CPU seconds of the training batches of an epoch, by batch size."""
    return medians({size: (2, comparison, size) for size in SIZES}, repeat)


def by_workers(comparison, repeat):
    """The same by the number of workers, in batches of 64; SecureNN takes two."""
    numbers = WORKERS if comparison == "carry-tree" else WORKERS[:1]
    return medians({n: (n, comparison, 64) for n in numbers}, repeat)


def medians(settings, repeat):
    """Seconds of an epoch for each of {name: (workers, comparison, batch size)}."""
    tasks = {name: (costs.batch(mpc.World(n, comparison=comparison), size, fresh=False),
                    1) for name, (n, comparison, size) in settings.items()}
    return [cpu * EPOCH / settings[name][2]
            for name, (cpu, _) in interleaved(tasks, repeat).items()]


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
    seconds = f"CPU seconds for {EPOCH:,} items"
    tables = {"items in an epoch | CPU seconds": {},
              f"items in a batch | {seconds}": {}, f"workers | {seconds}": {}}
    with threadpoolctl.threadpool_limits(1):
        for comparison, name in NAMES.items():
            found = (epochs(comparison), by_size(comparison, options.repeat),
                     by_workers(comparison, options.repeat))
            for table, y, x in zip(
                    tables.values(), found, (ITEMS, SIZES, WORKERS), strict=True):
                table[name] = x[:len(y)], y
    for title, table in tables.items():
        print(f"| {title}: {' | '.join(table)} |\n{'| --- ' * (1 + len(table))}|")
        columns = [y for _, y in table.values()]
        for x, *ys in zip_longest(table["carry tree"][0], *columns):
            cells = ["" if y is None else f"{y:.2f}" for y in ys]
            print(f"| {x:,} | {' | '.join(cells)} |")
        print()
    _, (two, *_, five) = tables[f"workers | {seconds}"]["carry tree"]
    print(f"Five workers cost {five / two:.2f} times as much as two")
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"Peak memory: {kilobytes // 1024} MB")
    if options.picture:
        draw(tables, options.picture)


def draw(tables, path):
    """The tables as curves, side by side."""
    from mpc.course import pictures
    figure, panels = pictures.panels(3, (10.4, 3.2), sharey=True)
    for axes, (title, table) in zip(panels, tables.items(), strict=True):
        xlabel, ylabel = title.split(" | ")
        looks = iter(pictures.SERIES)
        for name, (x, y) in table.items():
            colour, line, marker = next(looks)
            axes.plot(x, y, color=colour, linestyle=line, marker=marker, label=name)
        axes.set(xlabel=xlabel, title=ylabel, xscale="log", yscale="log")
        for axis, ticks in ((axes.xaxis, table["carry tree"][0]), (axes.yaxis, YTICKS)):
            axis.set_ticks(ticks, [f"{n:,}" for n in ticks])
            axis.set_ticks([], minor=True)
        axes.set_ylim(0.2, 40)
        axes.legend()
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    main()
