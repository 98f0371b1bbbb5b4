"""Timing by interleaved repetitions: only ratios within one run mean anything."""

import statistics
import time


def interleaved(tasks, repeat, warm_up=3):
    """Run all `tasks` in turn, `repeat` times; {name: (CPU, wall) medians in seconds}.

    A machine that changes its speed changes it for all of them. `tasks` is {name:
    (function, inner)}: a short function is called `inner` times in a row; with 0 it
    returns its own (CPU, wall) seconds.
    """
    times = {name: [] for name in tasks}
    for i in range(-warm_up, repeat):
        for name, (function, inner) in tasks.items():
            if inner == 0:
                took = function()
                times[name] += [took] * (i >= 0)
                continue
            cpu, wall = time.process_time(), time.perf_counter()
            for _ in range(inner):
                function()
            if i >= 0:
                times[name].append(((time.process_time() - cpu) / inner,
                                    (time.perf_counter() - wall) / inner))
    return {name: tuple(map(statistics.median, zip(*values, strict=True)))
            for name, values in times.items()}
