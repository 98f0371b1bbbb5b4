"""The batch in MP-SPDZ: ``python mp_spdz_batch.py FOLDER PATH``, PATH its build.

Two parties and the dealer are processes of dealer-ring-party.x, without encryption, on
loopback. A process cannot wait for an order, so the program is compiled for one batch
and for 1 + MORE, and a batch is the difference of both, over MORE. The weights after
one batch go to FOLDER/after.npz. Prints versions, bytes and rounds, then for each line
on standard input the CPU seconds (all three) and wall seconds of a batch.
"""

import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

MORE = 3
F = 16                                          # as in mp_spdz_batch.mpc


def call(command, cwd):
    """Its standard output; its error output is shown if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"MP-SPDZ: {' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def run(folder, path, batches):
    """(CPU seconds of all processes, wall seconds, output of party 0) of one run."""
    port, start = random.randrange(10_000, 30_000), time.perf_counter()
    processes = [subprocess.Popen(
        [f"{path}/dealer-ring-party.x", "-p", str(party), "-N", "3", "-u", "-h",
         "localhost", "-pn", str(port), "-b", "20000", f"mp_spdz_batch-{batches}"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for party in range(3)]
    said = [process.stderr.read() for process in processes]
    used = 0
    for process, text in zip(processes, said, strict=True):
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        if status:
            raise SystemExit(f"MP-SPDZ ended with status {status}: {text}")
        used += usage.ru_utime + usage.ru_stime
    return used, time.perf_counter() - start, said[0]


def write_input(folder):
    """The input of party 0, as integers with F fractional bits; returns the shapes."""
    arrays = list(np.load(folder / "batch.npz").values())
    (folder / "Player-Data").mkdir(exist_ok=True)
    with open(folder / "Player-Data" / "Input-P0-0", "w", encoding="ascii") as file:
        for array in arrays:
            print(*np.rint(array * 2**F).astype(int).flat, file=file)
    return [array.shape for array in arrays[2:]]


def main():
    folder, path = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    shapes = write_input(folder)
    source = Path(__file__).with_suffix(".mpc")
    costs = []
    for n in 1, 1 + MORE:
        compiled = call([sys.executable, f"{path}/compile.py", "-R", "64", "-O",
                         str(source), str(n)], folder)
        *_, said = run(folder, path, n)
        costs.append([float(re.search(pattern, text)[1]) for pattern, text in (
            (r"Data sent = ([\d.e+]+) MB", said),
            (r"(\d+) virtual machine rounds", compiled))])
        if n == 1:
            flat = np.fromfile(next(folder.glob("Player-Data/Binary-Output-P0*")),
                               np.int64) / 2**F
            cuts = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
            np.savez(folder / "after.npz", *(
                part.reshape(shape) for part, shape in
                zip(np.split(flat, cuts), shapes, strict=True)))
    sent, rounds = (np.array(costs[1]) - costs[0]) / MORE
    version = re.search(r"^## ([\d.]+)", (path / "CHANGELOG.md").read_text(), re.M)
    print(json.dumps({"versions": f"MP-SPDZ {version[1] if version else 'unknown'}",
                      "sent": round(1e6 * sent), "rounds": round(rounds)}), flush=True)
    for _ in sys.stdin:
        one, many = run(folder, path, 1), run(folder, path, 1 + MORE)
        print((many[0] - one[0]) / MORE, (many[1] - one[1]) / MORE, flush=True)


if __name__ == "__main__":
    main()
