"""Programs that `test_mpi.py` starts under mpiexec, as roles.

``python tests/mpi_roles.py PROGRAM FOLDER [WORDS]``
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import soak

from mpc import fix_precision, train_mnist
from mpc.train_mnist.options import parser
from mpc.transport import mpi as mpc_mpi
from mpc.transport.launcher import launched, role_of
from mpc.transport.link import Parcel
from mpc.transport.mpi import MESSAGE, MpiLink, MpiWorld, as_role, mpi


def share(world, numbers):
    """Shares of public numbers, as if they were secret."""
    return fix_precision(numbers).share(*world.workers,
                                        crypto_provider=world.crypto_provider)


def digest(parcels):
    """One hash over headers and payloads, in order."""
    whole = hashlib.sha256()
    for parcel in parcels:
        whole.update(repr(tuple(parcel[:3])).encode() + bytes(parcel.payload))
    return whole.hexdigest()


def transcript(folder, *words):
    """A training run; each role saves digests of its messages and of its ledger."""
    options = parser().parse_args(words)
    world = train_mnist.make_world(options)
    link, (me,), sent, received = world._link, world.here, [], []
    put, get = link.put, link.get

    def recording_put(*parcel):
        sent.append(Parcel(*parcel))
        put(*parcel)

    def recording_get(src, dst, header):
        received.append(Parcel(src, dst, header, get(src, dst, header)))
        return received[-1].payload

    link.put, link.get = recording_put, recording_get
    run = train_mnist.train(options, lambda line: None, world)
    del link.put, link.get
    world.finish()
    (folder / f"{me}.json").write_text(json.dumps({
        "sent": digest(sent), "received": digest(received), "losses": run.losses,
        "ledger": hashlib.sha256(repr(world.ledger.messages).encode()).hexdigest(),
        "sent bytes": link.sent, "received bytes": link.received,
        "keys": [sorted(group) for group in world._keys]}))
    if world.has("server"):
        train_mnist.save_model(run.model, folder / "model.npz")


def restless(folder, *words):
    """The same, where every role that waits at all reports its wait."""
    mpc_mpi.LONG_WAIT = 0
    transcript(folder, *words)


def ahead(folder):
    """The workers sleep at first; the provider logs how many messages are pending."""
    world = MpiWorld(ahead=5, truncation="local")   # the provider sends one per product
    x = share(world, [2.0])
    if world.workers_here:
        seen = folder / "seen"
        while not seen.exists() or seen.read_text().count("\n") < 5:
            time.sleep(0.05)
        time.sleep(0.5)         # in which an unbounded provider would run on
    (folder / f"{world.here[0]}.times").write_text(f"{time.monotonic()}")
    for _ in range(20):
        x = x.refresh() * x
        if world.has(world.crypto_provider):
            pending = len(world._link.mailbox.pending(world.roles.index("bob")))
            with (folder / "seen").open("a") as file:
                file.write(f"{pending} {time.monotonic()}\n")
    world.finish()


def fails(folder, who, how):
    """One role fails in the middle."""
    world = MpiWorld()
    x = share(world, [2.0])
    for i in range(1000):
        x = x * x.refresh() * 0.25
        if i == 5 and world.has(who):
            if how == "raise":
                raise RuntimeError("the disk is full")
            os.kill(os.getpid(), getattr(signal, how))
    world.finish()


def garbage(folder, kind):
    """alice sends bob malformed messages."""
    put = MpiLink.put

    def bad(link, src, dst, header, payload):
        if (src, dst) == ("alice", "bob") and header[0] > 3:
            if kind == "noise":
                wild = os.urandom(7)
                link.mailbox.comm.Send(wild, link.roles.index(dst), MESSAGE)
                return
            payload = payload + b"!" * 8
        put(link, src, dst, header, payload)

    MpiLink.put = bad
    world = MpiWorld()
    x = share(world, [2.0])
    (x * x).relu().get()
    world.finish()


def keys(folder):
    """Each role saves its keys, and all text that its objects can show."""
    world = MpiWorld(int(mpi().COMM_WORLD.size) - 2)
    x = share(world, [2.0])
    (x * x).get()
    world.finish()
    shown = " ".join((repr(world), repr(world._link),
                      repr(world.ledger.messages), world.ledger.table()))
    (folder / f"{world.here[0]}.json").write_text(json.dumps({
        "keys": {" ".join(sorted(group)): k.hex() for group, k in world._keys.items()},
        "shown": shown}))


def several(folder):
    """Worlds one after the other, finished or not, and two that take turns."""
    def product(world, x, y):
        xy = share(world, [x]) * share(world, [y])
        return float(xy.relu().get().float_precision()[0])

    first, results = MpiWorld(seed=1), []
    results.append(product(first, 2.0, 3.0))
    first.finish()
    second = MpiWorld(comparison="carry-tree")
    results.append(product(second, -2.0, 3.0))
    third, fourth = MpiWorld(truncation="provider"), MpiWorld(seed=1)
    results += [product(world, 5.0, 1.5) for world in (third, fourth, third, second)]
    for world in (fourth, second, third):
        world.finish()
    (folder / f"{first.here[0]}.json").write_text(json.dumps(results))


def seeds(folder, who):
    """One role with seed=True, which equals 1 and gives other keys."""
    role = role_of(*launched())
    MpiWorld(seed=True if role == who else 1)


def shapes(folder):
    """Only the server has another shape; the sizes of messages are the same."""
    world = MpiWorld()
    shape = (3, 2) if world.has("server") else (2, 3)
    held = world.private_input("alice", shape, lambda: np.ones(shape))
    with world.ledger.step("mistaken"):
        share(world, held).get()
    world.finish()


def extra(folder, how):
    """alice sends bob a message that is in no ledger; he receives it or not."""
    world = MpiWorld()
    x = share(world, [2.0])
    (x * x).get()
    header, payload = (world.counter, "extra"), b"12345678" * (how == "received")
    if world.has("alice"):
        world._link.put("alice", "bob", header, payload)
    if world.has("bob") and how == "received":
        world._link.get("alice", "bob", header)
    world.finish()


def circle(folder):
    """Each worker expects to receive the result, and waits for the other."""
    world = MpiWorld()
    x = share(world, [2.0])
    x.get(world.workers[int(world.has("bob"))])
    world.finish()


def full(folder):
    """alice waits until bob receives, bob for the server, and the server for alice."""
    world = MpiWorld(ahead=3)
    link, (me,) = world._link, world.here
    if me == "alice":
        for i in range(10):
            link.put("alice", "bob", (i + 1, "x"), b"")
    elif me == "bob":
        link.get("server", "bob", (20, "y"))
    elif me == "server":
        link.get("alice", "server", (15, "z"))


def prints(folder):
    """Each worker receives a result of its own, and prints it."""
    world = MpiWorld()
    x = share(world, [2.0])
    for worker in world.workers:
        result = (x * x).get(worker).float_precision()
        if world.has(worker):
            print("mine:", result)
    if world.has("server"):
        print("writes:", writes(lambda: print("the server's", "line")))
    world.finish()


def writes(action):
    """The bytes of each write that `action` makes to standard output."""
    out, (packets, pipe) = os.dup(1), os.pipe2(os.O_DIRECT | os.O_NONBLOCK)
    os.dup2(pipe, 1)
    action()
    os.dup2(out, 1)
    os.close(pipe)
    return list(iter(lambda: os.read(packets, 4096), b""))


def soaked(folder):
    """Thousands of batches; each role saves the bytes by which its memory grows."""
    world = MpiWorld(seed=1)
    grown = soak.growth(soak.products(world), warm_up=500)     # fills MPI's buffers
    world.finish()
    (folder / f"{world.here[0]}.json").write_text(json.dumps(grown))


if __name__ == "__main__":
    program, place, *rest = sys.argv[1:]

    def main():
        globals()[program](Path(place), *rest)
        return 0

    sys.exit(as_role(main))
