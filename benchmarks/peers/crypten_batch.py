"""The batch in CrypTen: ``python crypten_batch.py FOLDER``, started by the benchmark.

Two parties and the trusted provider are processes with one thread each. The pictures,
labels and weights are in FOLDER/batch.npz. They run one batch, write the weights after
it to FOLDER/after.npz and print versions, bytes and rounds. Then, for each line on
standard input, they run one batch and print its CPU seconds (all three) and wall
seconds.
"""

import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time

import numpy as np


def crypten():
    """The module; newer versions of torch have moved a module that it imports."""
    import torch.onnx
    try:
        import torch.onnx._internal.registration  # noqa: F401
    except ImportError:
        from torch.onnx._internal.torchscript_exporter import registration
        sys.modules["torch.onnx._internal.registration"] = registration
    import crypten
    crypten.cfg.mpc.provider = "TTP"     # the default shows party 0 everything
    return crypten


def role(rank, folder, meeting, orders, results):
    """One process: ranks 0 and 1 are the parties, 2 is the provider."""
    os.environ.update(WORLD_SIZE="2", RANK=str(rank), DISTRIBUTED_BACKEND="gloo",
                      RENDEZVOUS=f"file://{meeting}", OMP_NUM_THREADS="1")
    import torch
    torch.set_num_threads(1)
    library = crypten()
    if rank == 2:
        threading.Thread(target=tell_cpu, args=(orders, results), daemon=True).start()
        library.mpc.provider.TTPServer()
        return
    library.init()
    pictures, labels, *weights = np.load(os.path.join(folder, "batch.npz")).values()
    x, target = (library.cryptensor(torch.tensor(a)) for a in (pictures, labels))
    parameters = [library.cryptensor(torch.tensor(w), requires_grad=True)
                  for w in weights]
    library.cfg.communicator.verbose = True
    library.comm.get().reset_communication_stats()
    parameters = batch(library, x, target, parameters)
    cost = library.comm.get().get_communication_stats()
    library.cfg.communicator.verbose = False
    after = [p.get_plain_text().numpy() for p in parameters]
    if rank == 1:           # party 0 counts its requests to the provider, too
        np.savez(os.path.join(folder, "after.npz"), *after)
        results.put({"versions": f"CrypTen {library.__version__}, "
                                 f"torch {torch.__version__}",
                     "sent": cost["bytes"] / 2,     # it counts both directions
                     "rounds": cost["rounds"]})
    while orders.get():
        parameters = batch(library, x, target, parameters)
        results.put(time.process_time())
    library.uninit()


def tell_cpu(orders, results):
    """The provider waits for the parties' requests; this thread waits for ours."""
    while orders.get():
        results.put(time.process_time())


def batch(library, x, target, parameters):
    """Forward, sum of squared errors / 64, backward, update."""
    w1, b1, w2, b2, w3, b3 = parameters
    hidden = (x.matmul(w1) + b1).relu()
    hidden = (hidden.matmul(w2) + b2).relu()
    error = hidden.matmul(w3) + b3 - target
    error.square().sum().div(64).backward()
    with library.no_grad():
        updated = [p - p.grad * 0.02 for p in parameters]
    for p in updated:
        p.requires_grad = True
    return updated


def main():
    context = multiprocessing.get_context("spawn")
    orders = [context.Queue() for _ in range(3)]
    results = [context.Queue() for _ in range(3)]
    with tempfile.TemporaryDirectory() as place:
        meeting = os.path.join(place, "meeting")
        processes = [
            context.Process(target=role, daemon=True,
                            args=(rank, sys.argv[1], meeting, orders[rank],
                                  results[rank]))
            for rank in range(3)]
        for process in processes:
            process.start()
        print(json.dumps(results[1].get()), flush=True)
        before = 0
        for _ in sys.stdin:
            start = time.perf_counter()
            for queue in orders[:2]:
                queue.put(True)
            used = results[0].get() + results[1].get()
            wall = time.perf_counter() - start
            orders[2].put(True)
            used += results[2].get()
            print(used - before, wall, flush=True)
            before = used
        for queue in orders:
            queue.put(False)
        for process in processes:
            process.join(10)


if __name__ == "__main__":
    main()
