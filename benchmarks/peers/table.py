"""The table of peers: see ../README.md."""

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import threadpoolctl

import data
import mpc
import nn
from benchmarks.batch import kernels
from benchmarks.measure import interleaved
from benchmarks.peers import here_batch
from benchmarks.processes import mpiexec
from mpc.limbs import keep_large_blocks
from mpc.train_mnist.training import Net, train_batch

HERE = Path(__file__).parent
OURS = {"carry tree, 64 bits": {"comparison": "carry-tree"},
        "carry tree, 48 bits": {"comparison": "carry-tree", "ring_bits": 48},
        "SecureNN, 64 bits": {"comparison": "securenn"}}
UNIT = "carry tree, 64 bits"
INSTALL = {
    "CrypTen": "pip install torch numpy==1.26.4 omegaconf onnx pandas pyyaml scipy "
               "scikit-learn; pip install --no-deps crypten==0.4.1; --crypten PYTHON",
    "SPU": "pip install spu, with Python 3.10 or 3.11; --spu PYTHON",
    "MP-SPDZ": "build dealer-ring-party.x with -DINSECURE (messages in the clear, as "
               "here) from https://github.com/data61/MP-SPDZ; --mp-spdz FOLDER",
    "one process per role": "pip install -e '.[mpi]'"}


class Peer:
    """A program beside this file that runs a batch for each line it reads."""

    def __init__(self, name, folder, command, facts=True, **environment):
        self.name, self.folder = name, folder
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self.process = subprocess.Popen(
            command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=os.environ | environment)
        self.facts = json.loads(self._answer()) if facts else {}

    def run(self):
        print("go", file=self.process.stdin, flush=True)
        return tuple(map(float, self._answer().split()))

    def _answer(self):
        for line in self.process.stdout:
            if line[0] in "{0123456789":        # SPU logs to standard output, too
                return line
        raise SystemExit(f"peers: {self.name} ended; see its message above")

    def error(self, due):
        """The largest difference of an updated weight from the `due` one."""
        with np.load(self.folder / "after.npz") as arrays:
            return largest(list(arrays.values()), due)

    def close(self):
        with self.process:
            self.process.stdin.close()


def largest(arrays, others):
    return max(np.abs(a - b).max() for a, b in zip(arrays, others, strict=True))


def first_batch():
    """The pictures, labels and initial weights, and the weights after it in float64."""
    pictures, labels = data.load_mnist("train", 64, None)
    arrays = data.normalise(pictures).reshape(64, 784), data.one_hot(labels)
    net = Net(np.random.default_rng(0))
    before = [p.value.copy() for p in here_batch.weights(net)]
    step = nn.SGD(net.parameters(), 0.02)
    train_batch(net, step, *arrays)
    after = [p.value.copy() for p in here_batch.weights(net)]
    return [*arrays, *before], after, lambda: train_batch(net, step, *arrays)


def commands(options):
    """{name: command without its folder}, and a line for each missing system."""
    found, python = {}, sys.executable
    for name, module, given in (("CrypTen", "crypten", options.crypten),
                                ("SPU", "spu", options.spu)):
        if not given and not importlib.util.find_spec(module):
            print(f"{name} is not installed: {INSTALL[name]}")
        elif name == "SPU":
            for protocol in "SEMI2K", "SECURENN":
                found[f"SPU {protocol}"] = given or python, "spu_batch.py", protocol
        else:
            found[name] = given or python, "crypten_batch.py"
    if options.mp_spdz:
        found["MP-SPDZ dealer-ring"] = python, "mp_spdz_batch.py", options.mp_spdz
    else:
        print(f"MP-SPDZ is not here: {INSTALL['MP-SPDZ']}")
    return found


def our_processes(folder):
    """Our roles in processes of their own, or None without MPI."""
    if not (mpiexec() and importlib.util.find_spec("mpi4py")):
        print(f"no {INSTALL['one process per role']}")
        return None
    return Peer("carry tree, 64 bits, four processes", folder, [
        mpiexec(), "-n", "4", sys.executable, "-m", "mpc.transport.mpi",
        str(HERE / "here_batch.py"), str(folder), "carry-tree"], facts=False,
        PYTHONPATH=str(HERE.parent.parent))


def ours(folder, due):
    """{name: (task, facts, error)} of this package, all roles in this process."""
    rows = {}
    for name, how in OURS.items():
        run, reveal = here_batch.batch(mpc.World(**how), folder)
        run()
        wrong = largest(reveal(), due)          # the model is in the clear from now on
        world = mpc.World(**how)
        run, _ = here_batch.batch(world, folder)
        run()
        mark = len(world.ledger.messages)
        run()
        sent = sum(m.nbytes for m in world.ledger.messages[mark:] if m.src == "alice")
        facts = {"sent": sent, "rounds": world.ledger.cost(mark).rounds}
        rows[name] = (run, 1), facts, wrong
    return rows


def main():
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description="The same training batch in this package and in others, in turn.")
    p.add_argument("--repeat", type=int, default=9, help="interleaved repetitions (9)")
    for name in "crypten", "spu":
        p.add_argument(f"--{name}", metavar="PYTHON", help="its interpreter")
    p.add_argument("--mp-spdz", metavar="FOLDER", help="its build")
    options = p.parse_args()
    keep_large_blocks()
    arrays, due, plain = first_batch()
    with contextlib.ExitStack() as stack, threadpoolctl.threadpool_limits(1):
        def new_folder():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            np.savez(folder / "batch.npz", *arrays)
            return folder

        rows = {"plain float64": ((plain, 20), {}, 0.0), **ours(new_folder(), due)}
        if four := our_processes(new_folder()):
            stack.callback(four.close)
            rows[four.name] = (four.run, 0), rows[UNIT][1], rows[UNIT][2]
        versions = [f"Python {platform.python_version()}", f"NumPy {np.__version__}",
                    kernels()]
        for name, (python, program, *words) in commands(options).items():
            folder = new_folder()
            command = [python, str(HERE / program), str(folder), *words]
            peer = Peer(name, folder, command)
            stack.callback(peer.close)
            rows[name] = (peer.run, 0), peer.facts, peer.error(due)
            versions.append(peer.facts["versions"])
        load = os.getloadavg()[0]
        medians = interleaved({name: row[0] for name, row in rows.items()},
                              options.repeat, 1)
    print(f"{', '.join(dict.fromkeys(versions))}; one thread a process, "
          f"{options.repeat} repetitions, load {load:.1f} before and "
          f"{os.getloadavg()[0]:.1f} after\n")
    print_table(rows, medians)


def print_table(rows, medians):
    columns = ("system", "CPU ms a batch, all processes", f"x {UNIT}", "wall ms",
               "MB sent by a worker", "rounds", "largest error of a weight")
    print(f"| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|")
    for name, (_, facts, wrong) in rows.items():
        cpu, wall = medians[name]
        sent = f"{facts['sent'] / 1e6:.2f}" if facts else ""
        print(f"| {name} | {1e3 * cpu:.4g} | {cpu / medians[UNIT][0]:.2f} "
              f"| {1e3 * wall:.4g} | {sent} | {facts.get('rounds', '')} "
              f"| {wrong:.1e} |")
