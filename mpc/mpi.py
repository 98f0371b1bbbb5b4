"""The World whose roles are processes of MPI: the server, the workers, last the crypto provider.

``mpiexec -n 4 python -m mpc.train_mnist`` starts the same command four times; each process plays
the role of its rank, 0 the server. It holds the keys and rows of this role alone; the others hear
from it what it sends, as bytes with a header, and nothing is ever unpickled. MPI encrypts nothing.

Two things keep the processes from waiting for each other more than they must. Sends do not wait
until they are taken, so that a role which hears nothing, as the crypto provider mostly, runs ahead
of the others, by at most `AHEAD` messages to each. And a role that waits sleeps between its looks:
MPI's own receive would take a core from those who compute.
"""

import contextlib
import functools
import hashlib
import json
import os
import re
import struct
import sys
import threading
import time
from collections import Counter, deque
from pathlib import Path

from mpc import guard
from mpc.link import OutOfStep, Parcel, PeerFailed, ProtocolError, check
from mpc.randomness import KEY_BYTES, fresh_key
from mpc.world import World, key_groups, make_keys, role_names

AHEAD = 64                  # messages on their way to one role before the sender waits
EAGER = 3e-4                # seconds in which a waiting role only lets others go first
NAPS = (2e-5, 1e-3)         # seconds that it then sleeps between two looks: at first, and at most
LAUNCHERS = ("PMI_RANK", "PMI_SIZE"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")
_HEAD = struct.Struct("<QH")            # step counter, length of the name that follows


# ---------------------------------------------------------------------- messages


def to_wire(header, payload):
    """A message as bytes: step counter, name and payload."""
    counter, name = header[0], header[1].encode()
    return b"".join((_HEAD.pack(counter, len(name)), name, payload))


def from_wire(src, dst, message):
    """The `Parcel` in the bytes that `dst` heard from `src`; `ProtocolError` if it is none."""
    try:
        counter, length = _HEAD.unpack_from(message)
        start = _HEAD.size + length
        if start > len(message):
            raise ValueError
        name = bytes(message[_HEAD.size:start]).decode()
    except (struct.error, ValueError):
        raise ProtocolError(f"{dst} heard {len(message)} bytes from {src} that are no message of "
                            "this program; start all roles from the same version") from None
    return Parcel(src, dst, (counter, name), memoryview(message)[start:])


class MpiLink:
    """The link of the role that this process plays; `comm` has a rank for each of `roles`."""

    def __init__(self, comm, roles, ahead=AHEAD):
        self.comm, self.roles, self.ahead = comm, roles, ahead
        self.sent, self.received = Counter(), Counter()         # bytes of payload, by peer
        self._sending = {role: deque() for role in roles}       # (counter, request, its buffer)

    def put(self, src, dst, header, payload):
        """Send without waiting, unless `ahead` messages of earlier steps are not taken yet.

        A message counts as taken when `dst` has begun to receive it (MPI's synchronous mode).
        Only earlier steps are waited for, so that no circle of roles can wait for each other: the
        one that is furthest behind never does.
        """
        queue = self._sending[dst]
        message = to_wire(header, payload)
        self._wait(lambda: len(self._unsent(dst)) < self.ahead or queue[0][0] == header[0])
        request = self._wait(lambda: self.comm.Issend(message, self.roles.index(dst)))
        queue.append((header[0], request, message))
        self.sent[dst] += len(payload)

    def get(self, src, dst, header):
        """The payload of the next message from `src`, which must be that of `header`."""
        status = mpi().Status()
        found = self._wait(lambda: self.comm.Improbe(self.roles.index(src), status=status))
        message = bytearray(status.Get_count())
        arrival = self._wait(lambda: found.Irecv(message))
        self._wait(arrival.Test)
        parcel = from_wire(src, dst, message)
        self.received[src] += len(parcel.payload)
        return check(parcel, header)

    def finish(self):
        """Wait until all that was sent is taken; raise `OutOfStep` if a message was left over."""
        self._wait(lambda: not any(self._unsent(role) for role in self.roles))
        status = mpi().Status()
        if self.comm.Iprobe(status=status):
            raise OutOfStep(f"{self.roles[status.source]} sent a message that nobody waited for")

    def _unsent(self, dst):
        """The messages to `dst` that it has not begun to receive."""
        queue = self._sending[dst]
        while queue and queue[0][1].Test():
            queue.popleft()
        return queue

    def _wait(self, look):
        """What `look()` returns once it is true. In between others compute: most messages come
        soon, so that the naps are short at first."""
        (nap, longest), start = NAPS, time.perf_counter()
        try:
            while not (found := look()):
                if time.perf_counter() - start < EAGER:
                    os.sched_yield()
                else:
                    time.sleep(nap)
                    nap = min(1.2 * nap, longest)
        except mpi().Exception as error:        # the peer has gone; its own guard knows more
            raise PeerFailed(str(error).splitlines()[-1]) from None
        return found


# ---------------------------------------------------------------------- the World


class MpiWorld(World):
    """A World for the role whose rank this process has; its verbs are those of `World`.

    Before anything else, all roles compare their `papers`, and each group of roles agrees on its
    key. A program that fails must end the other processes too: run it by `as_role`.

    Parameters
    ----------
    n_workers, seed, **options
        As in `World`. With a seed every role derives all keys: for lessons and tests only.
    public : dict, optional
        The public parameters of the program, as JSON knows them; all roles must have the same.
    ahead : int
        How many messages may be on their way to one role before the sender waits.
    """

    def __init__(self, n_workers=2, *, seed=None, public=(), ahead=AHEAD, **options):
        names, comm = role_names(n_workers), mpi().COMM_WORLD
        if comm.size != len(names):
            raise ValueError(f"{comm.size} process{'es' * (comm.size > 1)} of MPI cannot play the "
                             f"{len(names)} roles of {n_workers} workers: start mpiexec "
                             f"-n {len(names)}, or change --workers")
        role, link = names[comm.rank], MpiLink(comm, names, ahead)
        shown = {"n_workers": n_workers, "seed": seed, **options, **dict(public)}
        compare_papers(names, role, link, {"code": code_version(), **shown})
        unlink_shared_memory()
        keys = agree_on_keys(names, role, link) if seed is None else make_keys(names, seed)
        self._before = Counter(link.sent), Counter(link.received)
        super().__init__(n_workers, here=(role,), keys=keys, link=link, **options)

    def finish(self):
        """The end: raise unless all messages were taken, and the ledger counted their bytes."""
        super().finish()
        me, = self.here
        for what, passed, before, mine, peer in (
                ("sent to", self._link.sent, self._before[0], "src", "dst"),
                ("received from", self._link.received, self._before[1], "dst", "src")):
            counted = Counter()
            for message in self.ledger.messages:
                if getattr(message, mine) == me:
                    counted[getattr(message, peer)] += message.nbytes
            for role, nbytes in (passed - before).items() | (counted).items():
                if not passed[role] - before[role] == counted[role]:
                    raise ProtocolError(f"{me} {what} {role} {passed[role] - before[role]} bytes "
                                        f"and its ledger counts {counted[role]}")


def agree_on_keys(names, role, link):
    """The keys of `role`: the first of each group draws one and sends it to the others alone."""
    keys = {}
    for group in key_groups(names):
        first, *others = (name for name in names if name in group)
        header = (0, f"key of {', '.join((first, *others))}")
        if role == first:
            keys[group] = fresh_key()
            for other in others:
                link.put(role, other, header, keys[group])
        elif role in group:
            keys[group] = bytes(link.get(first, role, header))
            if len(keys[group]) != KEY_BYTES:
                raise ProtocolError(f"{first} sent a key of {len(keys[group])} bytes to {role} in "
                                    f"place of {KEY_BYTES}")
    return keys


def code_version():
    """A hash of the source of all three packages."""
    digest, root = hashlib.sha256(), Path(__file__).parent.parent
    for package in ("mpc", "nn", "data"):
        for path in sorted((root / package).glob("*.py")):
            digest.update(f"{package}/{path.name} ".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def compare_papers(names, role, link, papers):
    """Raise `ValueError` unless every role has the same `papers`, a dict of public values."""
    header, others = (0, "papers"), [name for name in names if name != role]
    for other in others:
        link.put(role, other, header, json.dumps(papers).encode())
    for other in others:
        try:
            theirs = dict(json.loads(bytes(link.get(other, role, header))))
        except (ValueError, TypeError):
            raise ProtocolError(f"{other} sent no papers that {role} can read") from None
        for what in sorted(papers.keys() | theirs.keys()):
            if papers.get(what) != theirs.get(what):
                raise ValueError(f"{other} was started with {what} {theirs.get(what)} and {role} "
                                 f"with {papers.get(what)}; start all roles alike")


def unlink_shared_memory():
    """Take the names of MPICH's shared memory away, now that all roles have opened it: a run that
    fails would leave them, and the memory, behind."""
    with contextlib.suppress(OSError), open("/proc/self/maps", encoding="utf-8") as maps:
        for name in set(re.findall(r"/dev/shm/mpich_shm\S*", maps.read())):
            with contextlib.suppress(OSError):
                os.unlink(name)


# ---------------------------------------------------------------------- the process


@functools.cache
def mpi():
    """The module MPI of mpi4py, which joins the other processes when it is first loaded."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise ValueError(f"MPI cannot be used ({error}); install it by python -m pip install "
                         "'.[mpi]'") from None
    return MPI


def launched():
    """The rank of this process and how many a launcher of MPI started, or None if none did."""
    for rank, size in LAUNCHERS:
        if rank in os.environ and size in os.environ:
            return int(os.environ[rank]), int(os.environ[size])
    return None


def as_role(main, rank, size):
    """``main()``, an exit status, as the role of this `rank`: only the server prints.

    The process that the launcher knows becomes the `guard` of a child, in which this returns. If
    `main` fails the child ends here; its guard says its last words and ends the other processes.
    """
    role = role_names(size - 2)[rank] if size > 3 else "server" if rank == 0 else f"process {rank}"
    (source, words), (alive, held) = os.pipe(), os.pipe()
    child = os.fork()
    if child:
        for end in (source, held):
            os.set_inheritable(end, True)
        os.execv(sys.executable, [sys.executable, "-I", "-S", guard.__file__, str(rank), role,
                                  str(child), str(source)])
    for end in (source, held):
        os.close(end)
    threading.Thread(target=_outlive, args=(role, alive, os.dup(2)), daemon=True).start()
    os.dup2(words, 2)
    os.close(words)
    if rank:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    status = _status_of(main)
    if status:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)        # without MPI's farewell, which would wait for the others
    return 0


def _outlive(role, alive, launcher):
    """End this process when its guard, who holds the other end of `alive`, was killed: the launcher
    knows the guard only, and would wait for us. MPICH's launcher may still hang; no test shows that
    it does not."""
    os.read(alive, 1)
    os.write(launcher, f"{role}: its guard was killed; the run ends\n".encode())
    os._exit(1)


def _status_of(main):
    """The exit status of ``main()``; what it raises is told in one line."""
    try:
        return main()
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
            return 1
        return stop.code
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return guard.CONSEQUENCE if isinstance(error, PeerFailed) else 1
