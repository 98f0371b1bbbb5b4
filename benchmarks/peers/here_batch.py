"""The batch in this package: in the benchmark's process, or in a process for each role:

    mpiexec -n 4 python -m mpc.transport.mpi here_batch.py FOLDER COMPARISON

FOLDER/batch.npz has the pictures, labels and weights. For each line on the server's
standard input the roles run one batch; the server prints CPU seconds (all roles) and
wall seconds.
"""

import sys
import time
from pathlib import Path

import numpy as np

import mpc
from mpc.limbs import keep_large_blocks
from mpc.train_mnist import costs
from mpc.train_mnist.arithmetics import Shared
from mpc.train_mnist.options import parser
from mpc.train_mnist.training import Net, make_step
from mpc.transport.handshake import meet


def batch(world, folder):
    """(a function that runs one batch, one that reveals the weights to the server)."""
    options = parser().parse_args(["--ring-bits", str(world.ring.bits)])
    arithmetic = Shared(options, world)
    net = Net(np.random.default_rng(0))         # the weights in batch.npz
    model = arithmetic.model(net)
    with np.load(Path(folder, "batch.npz")) as arrays:
        shared = [costs.share(world, arrays[name]) for name in ("arr_0", "arr_1")]
    step = make_step(arithmetic, model, options.lr)
    return (lambda: step(*shared),
            lambda: [p.value for p in weights(arithmetic.reveal_model(model))])


def weights(net):
    """The parameters in the order of batch.npz."""
    layers = net.fc1, net.fc2, net.fc3
    return [p for layer in layers for p in (layer.weight, layer.bias)]


def main():
    keep_large_blocks()
    world = mpc.make_world(comparison=sys.argv[2])
    (me,), (run, _) = world.here, batch(world, sys.argv[1])
    run()
    while meet(world, "order", {me: bool(me == "server" and sys.stdin.readline())}
               )["server"]:
        start, cpu = time.perf_counter(), time.process_time()
        run()
        used = meet(world, "CPU", {me: time.process_time() - cpu})
        if me == "server":
            print(sum(used.values()), time.perf_counter() - start, flush=True)
    world.finish()


if __name__ == "__main__":
    main()
