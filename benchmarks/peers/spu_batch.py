"""The batch in SecretFlow's SPU: ``python spu_batch.py FOLDER PROTOCOL``.

Two parties (SEMI2K) or three (SECURENN) are processes with one thread each, connected
by loopback. FOLDER/batch.npz has the pictures, labels and weights. They run one batch,
write the weights after it to FOLDER/after.npz and print its versions, bytes and rounds.
Then, for each line on standard input, they run one batch and print its CPU seconds (all
parties) and wall seconds.
"""

import importlib.metadata
import json
import multiprocessing
import os
import re
import socket
import sys
import time

import numpy as np

NAMES = ["w1", "b1", "w2", "b2", "w3", "b3"]


def step(x, target, w1, b1, w2, b2, w3, b3):
    """Forward, gradients of the sum of squared errors / 64 by hand, update.

    Signs are computed once: JAX's own derivative of a ReLU would compare again.
    """
    import jax.numpy as jnp
    z1 = x @ w1 + b1
    sign1 = z1 > 0
    h1 = jnp.where(sign1, z1, 0.0)
    z2 = h1 @ w2 + b2
    sign2 = z2 > 0
    h2 = jnp.where(sign2, z2, 0.0)
    d3 = (h2 @ w3 + b3 - target) * (2 / 64)
    d2 = jnp.where(sign2, d3 @ w3.T, 0.0)
    d1 = jnp.where(sign1, d2 @ w2.T, 0.0)
    steps = x.T @ d1, d1.sum(0), h1.T @ d2, d2.sum(0), h2.T @ d3, d3.sum(0)
    return [w - 0.02 * g
            for w, g in zip((w1, b1, w2, b2, w3, b3), steps, strict=True)]


def settings(protocol):
    """The runtime's configuration: 64-bit ring, defaults, one thread."""
    from spu import libspu
    config = libspu.RuntimeConfig(
        protocol=getattr(libspu.ProtocolKind, protocol), field=libspu.FieldType.FM64)
    config.max_concurrency = 1
    config.experimental_enable_inter_op_par = False
    config.experimental_enable_intra_op_par = False
    return config


def as_share(meta, chunks):
    """SPU's own object, which cannot travel between processes."""
    from spu import libspu
    share = libspu.Share()
    share.meta, share.share_chunks = meta, chunks
    return share


def role(rank, addresses, protocol, folder, shares, orders, results):
    """One party; its program keeps the weights under their names between batches."""
    from spu import api, libspu
    from spu.utils import frontend
    log = libspu.logging.LogOptions()
    log.enable_console_logger = False
    log.system_log_path = os.path.join(folder, f"log{rank}")
    libspu.logging.setup_logging(log)
    desc = libspu.link.Desc()
    for i, address in enumerate(addresses):
        desc.add_party(f"party{i}", address)
    link = libspu.link.create_brpc(desc, rank)
    config = settings(protocol)
    arrays = [a.astype("float32") for a in
              np.load(os.path.join(folder, "batch.npz")).values()]
    names = ["x", "target", *NAMES]
    executable, _ = frontend.compile(
        frontend.Kind.JAX, step, arrays, {}, names,
        [libspu.Visibility.VIS_SECRET] * len(names), lambda _: NAMES)
    executable.output_names[:] = NAMES
    config.enable_pphlo_profile = True
    profiled = api.Runtime(link, config)
    config.enable_pphlo_profile = False
    runtime = api.Runtime(link.spawn(), config)

    def fill(machine):
        for name, parts in shares.items():
            machine.set_var(name, as_share(*parts))

    fill(profiled)
    profiled.run(executable)
    found = [profiled.get_var(name) for name in NAMES]
    results.put([(share.meta, list(share.share_chunks)) for share in found])
    fill(runtime)
    while orders.get():
        runtime.run(executable)
        results.put(time.process_time())
    link.stop_link()


def main():
    from spu import api, libspu
    folder, protocol = sys.argv[1:]
    n = 3 if protocol == "SECURENN" else 2
    io = api.Io(n, settings(protocol))
    arrays = np.load(os.path.join(folder, "batch.npz")).values()
    shares = [{} for _ in range(n)]
    for name, array in zip(["x", "target", *NAMES], arrays, strict=True):
        made = io.make_shares(array.astype("float32"), libspu.Visibility.VIS_SECRET)
        for rank, share in enumerate(made):
            shares[rank][name] = share.meta, list(share.share_chunks)
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    addresses = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
    for s in sockets:
        s.close()
    context = multiprocessing.get_context("spawn")
    orders = [context.Queue() for _ in range(n)]
    results = [context.Queue() for _ in range(n)]
    processes = [context.Process(
        target=role, daemon=True,
        args=(rank, addresses, protocol, folder, shares[rank], orders[rank],
              results[rank])) for rank in range(n)]
    for process in processes:
        process.start()
    after = []
    for parts in zip(*(queue.get() for queue in results), strict=True):
        after.append(io.reconstruct([as_share(*part) for part in parts]))
    np.savez(os.path.join(folder, "after.npz"), *after)
    with open(os.path.join(folder, "log0"), encoding="utf-8") as file:
        log = file.read()
    sent, actions = re.search(
        r"Link details: total send bytes (\d+),.* send actions (\d+)", log).groups()
    print(json.dumps({"versions": f"SPU {importlib.metadata.version('spu')}",
                      "sent": int(sent), "rounds": int(actions)}), flush=True)
    before = 0
    for _ in sys.stdin:
        start = time.perf_counter()
        for queue in orders:
            queue.put(True)
        used = sum(queue.get() for queue in results)
        print(used - before, time.perf_counter() - start, flush=True)
        before = used
    for queue in orders:
        queue.put(False)
    for process in processes:
        process.join(10)


if __name__ == "__main__":
    main()
