"""Preprocessing: the crypto provider deals a whole run ahead, and training is online.

On the carry tree the provider receives nothing, so it runs the training program alone
(`mpc.transport.ahead`). With --preprocess the workers keep its messages in memory, and
training starts once the last one has come. With --preprocess DIR they come from the
files that --deal DIR wrote, one for each worker, and the provider takes no part.

A file holds the key that the worker shares with the provider, and all messages to this
worker: its correlated randomness. It is as secret as the worker's shares, since with
the files of all workers every message of the run can be read. Its masks hide one run
only: a worker removes its file before the first message. Do not keep copies.

A file is a line with the format, a line with the SHA-256 of the rest, a line of JSON,
and the messages. It is written as a `Draft`, so it is whole or missing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from argparse import Namespace
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mpc.program import World
from mpc.randomness import fresh_key
from mpc.train_mnist.arithmetics import make_world
from mpc.train_mnist.checkpoint import check_parameters, parameters_of
from mpc.train_mnist.command import train
from mpc.train_mnist.forecast import traffic
from mpc.train_mnist.options import roles_here
from mpc.train_mnist.save import Draft
from mpc.transport import handshake
from mpc.transport.ahead import DEALT, Ahead, Outbox, used_up
from mpc.transport.link import Disagreement, Parcel
from mpc.transport.mpi import from_wire, to_wire
from mpc.world import group, make_keys, role_names

FORMAT = b"mpc-numpy dealt 1\n"
DIGITS = 64                 # of a SHA-256
CHUNK = 2**20               # bytes that are hashed at a time
MOST_BYTES = 10**9          # that workers keep in memory
DEALER = "crypto_provider"
AGAIN = "deal again, with --deal"




class Dealt(NamedTuple):
    """The file of one worker, open at its first message."""

    path: Path
    session: str        # a random name, common to the files that were dealt together
    key: bytes          # of this worker and the provider
    file: BinaryIO

    def parcels(self, worker: str) -> Iterator[Parcel]:
        """The messages to this worker, in order."""
        with self.file:
            while size := self.file.read(8):
                message = self.file.read(int.from_bytes(size, "little"))
                yield from_wire(DEALER, worker, message)


def run_provider(options: Namespace, keys: dict,
                 keep: Callable[[Parcel], None]) -> None:
    """Run the provider's role alone; ``keep(parcel)`` gets each of its messages."""
    world = make_world(options, here=(DEALER,), keys=keys, link=Outbox(keep))
    train(options, lambda line: None, world)
    world.finish()


def bytes_dealt(options: Namespace) -> int:
    """The bytes that the provider sends in the whole run, from shapes alone."""
    return int(traffic(options).nbytes[-1].sum())


def _keys(options):
    """All keys of a simulation."""
    return make_keys(role_names(options.workers),
                     options.seed if options.reproducible else None)


# ------------------------------------------------------------------ training


def prepared_world(options: Namespace, log: Callable = print) -> World | None:
    """The World of a run whose provider has dealt everything; `log` gets a line.

    None in the provider's own process, which has nothing left to do.
    """
    *others, _ = role_names(options.workers)
    here, files = [role for role in others if role in roles_here(options)], None
    if options.preprocess is True:
        size = check_memory(options)
    else:
        files = {role: read(Path(options.preprocess), role, options)
                 for role in here if role != "server"}
    if options.world == "mpi":
        world = make_world(options, absent=(DEALER,))
        keys, link = world._keys, world._link
    else:
        keys, link = _keys(options), None
    start = time.perf_counter()
    if files is not None:
        claim(files, world if link else None)
        keys |= {group(worker, DEALER): file.key for worker, file in files.items()}
        dealt = {worker: file.parcels(worker) for worker, file in files.items()}
    else:
        kept = _deal_now(options, here, keys, link)
        dealt = {role: used_up(parcels) for role, parcels in kept.items()}
        log(f"Dealt ahead: {size / 1e6:,.1f} MB in {time.perf_counter() - start:.1f} s")
    if not here:
        return None
    ahead = Ahead(DEALER, dealt, link)
    if link is None:
        return make_world(options, here=here, keys=keys, link=ahead)
    world._link = ahead
    return world


def check_memory(options: Namespace) -> int:
    """The bytes to keep in memory; raises ValueError if they are too many."""
    size = bytes_dealt(options)
    if size > MOST_BYTES:
        raise ValueError(f"--preprocess: the provider would deal {size / 1e6:,.0f} MB, "
                         f"and memory is limited to {MOST_BYTES / 1e6:,.0f} MB; take "
                         "fewer items or epochs, or --deal DIR and --preprocess DIR")
    return size


def _deal_now(options, here, keys, link):
    """{role here: all messages of the provider to it}, once the last one is sent."""
    if link is None:
        kept: dict = {role: deque() for role in here}
        run_provider(options, keys, lambda parcel: kept[parcel.dst].append(parcel))
        return kept
    link = link.uncounted()
    if here:
        return {role: deque(link.until(DEALER, role, DEALT)) for role in here}
    run_provider(options, keys, lambda parcel: link.put(*parcel))
    for role in role_names(options.workers)[:-1]:
        link.put(DEALER, role, DEALT, b"")
    return {}


# ------------------------------------------------------------------ files


def claim(files: dict[str, Dealt], world: World | None) -> None:
    """Remove the files, which serve this run; raises ValueError if they do not match.

    Under MPI, `world` is that of this process.
    """
    sessions = {worker: file.session for worker, file in files.items()}
    if world:
        me, = world.here
        sessions = handshake.meet(world, "dealt", {me: sessions.get(me)})
    if len(set(sessions.values()) - {None}) > 1:
        raise Disagreement("--preprocess: the workers' files were not dealt together; "
                           f"{AGAIN}")
    for file in files.values():
        try:
            file.path.unlink()
        except OSError as error:
            raise ValueError(f"--preprocess: {file.path}: cannot be removed "
                             f"({error.strerror}), and a file serves one run; {AGAIN}"
                             ) from None


def file_name(worker: str) -> str:
    return f"{worker}.dealt"


def deal(options: Namespace, log: Callable = print) -> None:
    """Run the provider alone, and write a file for each worker: all of them or none."""
    folder, start = Path(options.deal), time.perf_counter()
    try:
        size = _write_files(options, folder)
    except OSError as error:
        reason = error.strerror or "another run is dealing there"
        raise OSError(f"--deal {folder}: {reason}; name another folder") from None
    log(f"Dealt ahead: {size / 1e6:,.1f} MB in {time.perf_counter() - start:.1f} s, "
        f"in {folder}; train once, with --preprocess {folder}")


def _write_files(options, folder):
    """Write the files; the bytes of their messages."""
    workers, keys = role_names(options.workers)[1:-1], _keys(options)
    size, session = bytes_dealt(options), fresh_key().hex()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any((folder / file_name(worker)).exists() for worker in workers):
        raise ValueError(f"--deal {folder}: has files that no run has used; use or "
                         "remove them, or name another folder")
    free = shutil.disk_usage(folder).free
    if size > free:
        raise ValueError(f"--deal {folder}: {size / 1e6:,.0f} MB are to be dealt, and "
                         f"{free / 1e6:,.0f} MB are free; name another folder")
    with ExitStack() as stack:
        drafts = {worker: stack.enter_context(Draft(folder / file_name(worker), 0o600))
                  for worker in workers}
        hashes = {worker: hashlib.sha256() for worker in workers}

        def write(worker, part):
            hashes[worker].update(part)
            drafts[worker].file.write(part)

        def keep(parcel):
            message = to_wire(parcel.header, parcel.payload)
            write(parcel.dst, len(message).to_bytes(8, "little") + message)

        for worker, draft in drafts.items():
            draft.file.write(FORMAT + bytes(DIGITS) + b"\n")     # the hash comes last
            head = {"role": worker, "session": session, "parameters":
                    parameters_of(options), "key": keys[group(worker, DEALER)].hex()}
            write(worker, json.dumps(head).encode() + b"\n")
        run_provider(options, keys, keep)
        for worker, draft in drafts.items():
            draft.file.seek(len(FORMAT))
            draft.file.write(hashes[worker].hexdigest().encode())
            draft.file.seek(0, 2)
        _publish([*drafts.values()])
    return size


def _publish(drafts):
    """Publish all drafts, or none."""
    for i, draft in enumerate(drafts):
        try:
            draft.publish()
        except OSError:
            for done in drafts[:i]:
                Path(done.target).unlink()
            raise


def read(folder: Path, worker: str, options: Namespace) -> Dealt:
    """The file of a `worker`; raises ValueError unless it is whole and of this run."""
    path = folder / file_name(worker)
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise ValueError(f"--preprocess {folder}: has no {path.name}, and a file "
                         f"serves one run; {AGAIN}") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); correct its "
                         "permissions") from None
    with ExitStack() as held:
        held.enter_context(file)
        if file.read(len(FORMAT)) != FORMAT:
            raise ValueError(f"{path}: no file of --deal of this version; {AGAIN}")
        checksum, whole = file.read(DIGITS + 1)[:-1], hashlib.sha256()
        start = file.tell()
        while part := file.read(CHUNK):
            whole.update(part)
        if whole.hexdigest().encode() != checksum:
            raise ValueError(f"{path}: damaged, its checksum is wrong; {AGAIN}")
        file.seek(start)
        try:
            head = json.loads(file.readline(CHUNK))
            role, parameters = head["role"], dict(head["parameters"])
            found = Dealt(path, str(head["session"]), bytes.fromhex(head["key"]), file)
            if not all(isinstance(text, str) and text.isprintable()
                       for text in (role, *parameters, *parameters.values())):
                raise ValueError
        except (ValueError, TypeError, KeyError, RecursionError):
            raise ValueError(f"{path}: malformed; {AGAIN}") from None
        if role != worker:
            raise ValueError(f"{path}: is of {role}; give it back its name")
        check_parameters(path, parameters, parameters_of(options), "train")
        held.pop_all()
    return found
