"""One process per role and the simulation: ``python -m benchmarks.processes``.

All run in turn, so that a machine that changes its speed changes it for all; medians
are shown. Needs the extra mpi. Waiting roles should cost next to nothing: on fewer
cores than roles, a role that polls while it waits would starve those that compute.
"online" is four processes for which the provider has dealt ahead (`--preprocess`).
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "mpc.train_mnist",
           "--epochs", "3", "--test-items", "2"]
SETTINGS = {"carry-tree": ["--comparison", "carry-tree"], "securenn": []}


def mpiexec():
    """The launcher beside this Python, or the first on the PATH."""
    beside = Path(sys.executable).with_name("mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpiexec")


def seconds(command):
    """Seconds per batch, as a training command prints them."""
    done = subprocess.run(command, capture_output=True, text=True, check=True,
                          env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
    return float(re.search(r"^Time per batch: ([\d.]+) s", done.stdout, re.M)[1])


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    options.add_argument("--repetitions", type=int, default=7)
    repetitions = options.parse_args().repetitions
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before, "
          f"{repetitions} repetitions; seconds a batch, median (minimum to maximum)\n")
    print("| comparison | processes | seconds a batch | of one process |\n"
          "| --- | --- | --- | --- |")
    for name, words in SETTINGS.items():
        one = [*COMMAND, *words]
        four = [mpiexec(), "-n", "4", *one]
        ways = {"one": one, "four": four}
        if "carry-tree" in words:
            ways |= {"one, online": [*one, "--preprocess"],
                     "four, online": [*four, "--preprocess"]}
        runs = [[seconds(way) for way in ways.values()] for _ in range(repetitions)]
        taken = dict(zip(ways, zip(*runs, strict=True), strict=True))
        for way, t in taken.items():
            ratio = statistics.median(t) / statistics.median(taken["one"])
            print(f"| {name} | {way} | {statistics.median(t):.3f} ({min(t):.3f} to "
                  f"{max(t):.3f}) | {ratio:.2f} |", flush=True)
    print(f"\nload {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
