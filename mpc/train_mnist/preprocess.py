"""Preprocessing: the crypto provider deals for a whole run before training starts.

On the carry tree the provider receives nothing, so it runs the training program alone
(`mpc.transport.ahead`). With --preprocess the workers keep its messages in memory, and
training starts when the last one has arrived. With --preprocess DIR the messages come
from the files that --deal DIR wrote, one for each other role, and the provider takes no
part.

A worker's file holds its correlated randomness: the key that it shares with the
provider, and all messages of the provider to it. It is as secret as the worker's
shares: with the files of all workers, the messages of the run reveal everything. Its
masks hide one run only, so each role removes its file before anything is shared. A copy
would repeat them, and the difference of two runs would leak.

A file is a line with the format, a line with the SHA-256 of the rest, a line of JSON,
and the messages. It is written as a `Draft`, so it is whole or missing.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from argparse import Namespace
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from mpc.program import World
from mpc.randomness import KEY_BYTES, fresh_key
from mpc.train_mnist.arithmetics import make_world
from mpc.train_mnist.checkpoint import check_parameters, parameters_of
from mpc.train_mnist.forecast import traffic
from mpc.train_mnist.options import roles_here
from mpc.train_mnist.save import Draft
from mpc.train_mnist.training import train
from mpc.transport import handshake
from mpc.transport.ahead import DEALT, Ahead, Outbox, used_up
from mpc.transport.link import Parcel, ProtocolError
from mpc.transport.mpi import from_wire, to_wire
from mpc.world import group, make_keys, role_names

FORMAT = b"mpc-numpy dealt 1\n"
DIGITS = 64                 # of a SHA-256
CHUNK = 2**20               # bytes that are hashed at a time
MOST_BYTES = 10**9          # that workers keep in memory
DEALER = "crypto_provider"
AGAIN = "deal again, with --deal"


class Dealt(NamedTuple):
    """The file of one role."""

    path: Path
    session: str        # a random name, common to the files that were dealt together
    key: bytes          # of this worker and the provider; b"" for the server
    start: int          # the place of the first message

    def take(self, role: str) -> Iterator[Parcel | None]:
        """None, and then the messages to this `role`.

        The file is removed first; if `path` is a link, the one that it names.
        """
        with self.path.open("rb") as file:
            self.path.resolve().unlink()
            yield None
            end = file.seek(0, os.SEEK_END)
            file.seek(self.start)
            while size := file.read(8):
                rest = end - file.tell()
                message = file.read(min(int.from_bytes(size, "little"), rest))
                yield from_wire(DEALER, role, message)


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
        size = check_memory(options) if "server" in here else 0     # one asks for all
    else:
        files = {role: read(Path(options.preprocess), role, options)
                 for role in here}
    if options.world == "mpi":
        world = make_world(options, absent=(DEALER,))
        keys, link = world._keys, world._link
    else:
        keys, link = _keys(options), None
    start = time.perf_counter()
    if files is not None:
        dealt = claim(files, world if link else None)
        keys |= {group(role, DEALER): file.key for role, file in files.items()
                 if file.key}
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


@contextmanager
def one_line_for_changed_files(options: Namespace) -> Iterator[None]:
    """Refuse files whose checksums are right and whose messages are not those dealt.

    It shows only when a worker takes such a message; under MPI, its role reports it.
    """
    try:
        yield
    except ProtocolError as error:
        if options.world == "mpi" or not options.preprocess:
            raise
        reason, *_ = str(error).split("; ")     # then comes advice to programmers
        raise ValueError(f"--preprocess {options.preprocess}: a file is not as it was "
                         f"dealt ({reason}); {AGAIN}") from None


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


def claim(files: dict[str, Dealt], world: World | None) -> dict:
    """{role: its messages}; the files are removed, since they serve this run only.

    Raises ValueError unless all were dealt together. Under MPI, `world` is that of this
    process.
    """
    sessions = {role: file.session for role, file in files.items()}
    if world:
        me, = world.here
        sessions = handshake.meet(world, "dealt", {me: sessions.get(me)})
    if len(set(sessions.values()) - {None}) > 1:
        raise ValueError("--preprocess: the files of the roles were not dealt "
                         f"together; {AGAIN}")
    taken = {role: file.take(role) for role, file in files.items()}
    for role, parcels in taken.items():
        try:
            next(parcels)
        except OSError as error:
            raise ValueError(f"--preprocess: {files[role].path}: cannot be opened and "
                             f"removed ({error.strerror}), and a file serves one run; "
                             f"{AGAIN}") from None
    return taken


def file_name(role: str) -> str:
    return f"{role}.dealt"


def deal(options: Namespace, log: Callable = print) -> None:
    """Run the provider alone, and write a file for each other role: all or none."""
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
    roles, keys = role_names(options.workers)[:-1], _keys(options)
    size, session = bytes_dealt(options), fresh_key().hex()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any((folder / file_name(role)).exists() for role in roles):
        raise ValueError(f"--deal {folder}: has files that no run has used; use or "
                         "remove them, or name another folder")
    for path in (folder / file_name(role) for role in roles):
        if not os.path.isdir(os.path.dirname(os.path.realpath(path))):
            raise ValueError(f"--deal {folder}: {path.name} is a link into a folder "
                             "that is not there; make it, or remove the link")
    free = shutil.disk_usage(folder).free
    if size > free:
        raise ValueError(f"--deal {folder}: {size / 1e6:,.0f} MB are to be dealt, and "
                         f"{free / 1e6:,.0f} MB are free; name another folder")
    with ExitStack() as stack:
        drafts = {role: stack.enter_context(Draft(folder / file_name(role), 0o600))
                  for role in roles}
        hashes = {role: sha256() for role in roles}

        def write(role, part):
            hashes[role].update(part)
            drafts[role].file.write(part)

        def keep(parcel):
            message = to_wire(parcel.header, parcel.payload)
            write(parcel.dst, len(message).to_bytes(8, "little") + message)

        parameters = parameters_of(options)
        for role, draft in drafts.items():
            draft.file.write(FORMAT + bytes(DIGITS) + b"\n")     # the hash comes last
            head = {"role": role, "session": session, "parameters": parameters,
                    "key": keys.get(group(role, DEALER), b"").hex()}
            write(role, json.dumps(head).encode() + b"\n")
        run_provider(options, keys, keep)
        for role, draft in drafts.items():
            draft.file.seek(len(FORMAT))
            draft.file.write(hashes[role].hexdigest().encode())
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


def read(folder: Path, role: str, options: Namespace) -> Dealt:
    """The file of a `role`; raises ValueError unless it is whole and of this run."""
    path = folder / file_name(role)
    try:
        with path.open("rb") as file:
            form, checksum, whole = file.readline(99), file.read(DIGITS + 1), sha256()
            start = file.tell()
            while part := file.read(CHUNK):
                whole.update(part)
            file.seek(start)
            head, start = file.readline(CHUNK), file.tell()
    except FileNotFoundError:
        raise ValueError(f"--preprocess {folder}: has no {path.name}, and a file "
                         f"serves one run; {AGAIN}") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); correct its "
                         "permissions") from None
    if form != FORMAT:
        raise ValueError(f"{path}: no file of --deal of this version; {AGAIN}")
    if checksum != whole.hexdigest().encode() + b"\n":
        raise ValueError(f"{path}: damaged, its checksum is wrong; {AGAIN}")
    try:
        found = json.loads(head)
        named, parameters = found["role"], dict(found["parameters"])
        dealt = Dealt(path, str(found["session"]), bytes.fromhex(found["key"]), start)
        if (len(dealt.key) != KEY_BYTES * (role != "server")
                or not all(isinstance(text, str) and text.isprintable()
                           for text in (named, *parameters, *parameters.values()))):
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError(f"{path}: malformed; {AGAIN}") from None
    if named != role:
        raise ValueError(f"{path}: is of {named}; give it back its name")
    check_parameters(path, parameters, parameters_of(options), "train")
    return dealt
