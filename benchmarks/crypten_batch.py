"""The same training batch in CrypTen, for `benchmarks.batch --crypten PYTHON`.

CrypTen 0.4.1 requires an older NumPy than this project and therefore an environment of
its own: PYTHON is its interpreter. Two parties and the trusted provider are processes
with one thread each. For each line on standard input they run one batch together and
print its CPU seconds (all three) and wall seconds.
"""

import multiprocessing
import os
import sys
import tempfile
import threading
import time

BATCH, SIZES = 64, ((784, 128), (128, 64), (64, 10))


def crypten():
    """The module; newer versions of torch have moved a module that it imports."""
    import torch.onnx
    try:
        import torch.onnx._internal.registration  # noqa: F401
    except ImportError:
        from torch.onnx._internal.torchscript_exporter import registration
        sys.modules["torch.onnx._internal.registration"] = registration
    import crypten
    crypten.cfg.mpc.beaver = "TTP"
    return crypten


def role(rank, meeting, orders, results):
    """One process: ranks 0 and 1 are the parties, 2 is the provider."""
    os.environ.update(WORLD_SIZE="2", RANK=str(rank), DISTRIBUTED_BACKEND="gloo",
                      RENDEZVOUS=f"file://{meeting}", OMP_NUM_THREADS="1")
    import torch
    torch.set_num_threads(1)
    library = crypten()
    if rank == 2:
        threading.Thread(target=tell_cpu, args=(orders, results), daemon=True).start()
        library.mpc.beaver.TTPServer()
        return
    library.init()
    torch.manual_seed(0)
    x, target = torch.randn(BATCH, 784), torch.eye(10)[torch.randint(0, 10, (BATCH,))]
    shapes = [(fan_in, shape) for fan_in, width in SIZES
              for shape in ((fan_in, width), (width,))]
    parameters = [
        library.cryptensor((2 * torch.rand(s) - 1) / fan_in**0.5, requires_grad=True)
        for fan_in, s in shapes]
    x, target = library.cryptensor(x), library.cryptensor(target)
    while orders.get():
        parameters = batch(library, x, target, parameters)
        results.put(time.process_time())
    library.uninit()


def tell_cpu(orders, results):
    """The provider waits for the parties' requests; this thread waits for ours."""
    while orders.get():
        results.put(time.process_time())


def batch(library, x, target, parameters):
    """Forward, mean squared error, backward, update."""
    w1, b1, w2, b2, w3, b3 = parameters
    hidden = (x.matmul(w1) + b1).relu()
    hidden = (hidden.matmul(w2) + b2).relu()
    error = hidden.matmul(w3) + b3 - target
    error.square().sum().div(BATCH).backward()
    with library.no_grad():
        updated = [p - p.grad * 0.02 for p in parameters]
    for p in updated:
        p.requires_grad = True
    return updated


def main():
    context = multiprocessing.get_context("spawn")
    orders = [context.Queue() for _ in range(3)]
    results = [context.Queue() for _ in range(3)]
    with tempfile.TemporaryDirectory() as folder:
        meeting = os.path.join(folder, "meeting")
        processes = [
            context.Process(target=role, daemon=True,
                            args=(rank, meeting, orders[rank], results[rank]))
            for rank in range(3)]
        for process in processes:
            process.start()
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
