"""A World whose roles are MPI processes: server, workers, crypto provider, by rank.

``mpiexec -n 4 python -m mpc.train_mnist`` starts the training command four times, and
``mpiexec -n 4 python -m mpc.transport.mpi PROGRAM`` a user's program. Each process
plays the role of its rank, 0 the server, and holds only the keys and shares of this
role. Roles exchange bytes with a header; nothing is ever unpickled. MPI does not
encrypt. The launcher's console shows the output of every role, prefixed with its name
except for the server: to keep a result to itself, a role must write it to a file.

Processes rarely wait for each other. Sending does not wait for the
receiver, so a role that receives little, such as the crypto provider, runs ahead of the
others, by at most `AHEAD` messages to each. A waiting role sleeps between its polls:
MPI's own receive would take a core from the roles that compute.

No role waits forever. The `supervisor` of a role that fails ends the run. A role that
reaches the end of its program tells the others and waits for them. Roles that wait for
a message that never comes, because their programs differ, detect it: after a while each
reports its wait, and the role that has passed this step raises `OutOfStep`.

Tested on Linux with MPICH; other Unix systems and MPIs should work. Windows has the
simulation only.
"""

from __future__ import annotations

import copy
import functools
import importlib
import itertools
import json
import os
import runpy
import struct
import sys
import time
import warnings
from collections import Counter, deque
from collections.abc import Iterator

from mpc.program import World
from mpc.randomness import public_seed
from mpc.transport import handshake, interrupts, launcher, supervisor
from mpc.transport.error_report import describe
from mpc.transport.launcher import launched, role_of
from mpc.transport.link import (
    ADVICE,
    END,
    Link,
    OutOfStep,
    Parcel,
    PeerFailed,
    ProtocolError,
    check,
    where,
)
from mpc.world import make_keys, role_names

AHEAD = 64                      # the most messages in transit to one role
YIELD_TIME = 3e-4               # seconds in which a waiting role only yields its core
POLL_INTERVAL = (2e-5, 1e-3)    # seconds between later polls: the first and the longest
LONG_WAIT = 1.0                 # seconds of waiting before a role reports its wait
MESSAGE, WAIT = 1, 2            # MPI tags
SEND, RECEIVE = "send", "receive"       # kinds of wait
_HEAD = struct.Struct("<QH")            # step counter, length of the name that follows


# ------------------------------------------------------------------ messages


def to_wire(header: tuple, payload: bytes) -> bytes:
    """A message as bytes: step counter, name and payload."""
    counter, name = header[0], header[1].encode()
    return b"".join((_HEAD.pack(counter, len(name)), name, payload))


def from_wire(src: str, dst: str, message: bytes | bytearray) -> Parcel:
    """The inverse of `to_wire`; raises `ProtocolError` on a malformed message."""
    try:
        counter, length = _HEAD.unpack_from(message)
        start = _HEAD.size + length
        if start > len(message):
            raise ValueError
        name = bytes(message[_HEAD.size:start]).decode()
    except (struct.error, ValueError):
        raise ProtocolError(
            f"{dst} received a malformed message of {len(message)} bytes from {src}; "
            "start all roles from the same version") from None
    return Parcel(src, dst, (counter, name), memoryview(message)[start:])


class Mailbox:
    """The messages between this process and the others, for all its Worlds."""

    def __init__(self, comm):
        self.comm, self.worlds, self._waits = comm, itertools.count(1), {}
        self._outbox = {rank: deque() for rank in range(comm.size)}
        self._reports = []      # (request, message) that MPI may not have sent yet

    def send(self, rank: int, header: tuple, message: bytes) -> None:
        """Send without waiting; the buffer lives until the message is received."""
        request = self.wait(lambda: self.comm.Issend(message, rank, MESSAGE))
        self._outbox[rank].append((header, request, message))

    def pending(self, rank: int) -> deque:
        """(header, request, message) of all that `rank` has not begun to receive."""
        queue = self._outbox[rank]
        while queue and queue[0][1].Test():
            queue.popleft()
        return queue

    def wait_until_received(self) -> None:
        """Wait until the others have received all messages from this process."""
        self.wait(lambda: not any(map(self.pending, self._outbox)))

    def receive(self, rank: int, idle) -> bytearray:
        """The next message from `rank`."""
        return self._fetch(self.wait(lambda: self._probe(rank, MESSAGE), idle))

    def report_wait(self, rank: int, wait: tuple) -> None:
        """Report a wait of this process to `rank`: (world, kind, counter, name)."""
        message = json.dumps(wait).encode()
        self._reports = [sent for sent in self._reports if not sent[0].Test()]
        self._reports.append((self.comm.Isend(message, rank, WAIT), message))

    def waits(self) -> dict:
        """{rank: the latest wait that it reported to this process}"""
        while found := self._probe(mpi().ANY_SOURCE, WAIT):
            self._waits[found[0]] = json.loads(self._fetch(found))
        return self._waits

    def close(self) -> None:
        """Complete all sends, and receive the reports of the other processes."""
        self.wait_until_received()
        self.wait(lambda: all(request.Test() for request, _ in self._reports))
        self.waits()

    def _probe(self, rank, tag):
        status = mpi().Status()
        found = self.comm.Improbe(rank, tag, status)
        return found and (status.source, found, status.Get_count())

    def _fetch(self, probed):
        _, found, size = probed
        message = bytearray(size)
        arrival = self.wait(lambda: found.Irecv(message))
        self.wait(arrival.Test)
        return message

    def wait(self, poll, idle=lambda: None):
        """Call `poll()` until its result is true, and return it.

        Most messages come soon, so the process first only yields its core; then it
        sleeps between polls, longer each time. In a long wait it calls `idle()` after
        each poll.
        """
        (pause, longest), start = POLL_INTERVAL, time.perf_counter()
        try:
            while not (result := poll()):
                waited = time.perf_counter() - start
                if waited < YIELD_TIME:
                    os.sched_yield()
                else:
                    time.sleep(pause)
                    pause = min(1.2 * pause, longest)
                if waited > LONG_WAIT:
                    idle()
        except mpi().Exception as error:    # the peer is gone; its supervisor knows why
            reason = str(error).splitlines()[-1]
            raise PeerFailed(f"the connection to another role has failed ({reason}); "
                             "its host or its supervisor may be gone") from None
        return result


@functools.cache
def mailbox() -> Mailbox:
    """The `Mailbox` of this process; it is never freed, since MPI reads its buffers."""
    return Mailbox(mpi().COMM_WORLD)


class MpiLink(Link):
    """The link of the `world`-th World of this process; `roles` are in rank order."""

    def __init__(self, mailbox: Mailbox, roles: tuple, world: int = 1,
                 ahead: int = AHEAD):
        self.mailbox, self.roles, self.world, self.ahead = mailbox, roles, world, ahead
        self.sent, self.received = Counter[str](), Counter[str]()   # bytes, by peer
        self._last_sent, self._last_received = Counter[str](), Counter[str]()   # steps

    def put(self, src: str, dst: str, header: tuple, payload: bytes) -> None:
        """Send without waiting, unless `ahead` messages of earlier steps are pending.

        Only messages of earlier steps make it wait, so there is no deadlock: the role
        that is furthest behind never waits.
        """
        rank, header = self.roles.index(dst), self._of_this_world(header)

        def may_send():
            pending = self.mailbox.pending(rank)
            return len(pending) < self.ahead or pending[0][0] == header

        self.mailbox.wait(may_send, self._idle(src, dst, header, SEND))
        self.mailbox.send(rank, header, to_wire(header, payload))
        self.sent[dst] += len(payload)
        self._last_sent[dst] = header[0]

    def get(self, src: str, dst: str, header: tuple) -> bytes | memoryview:
        """The payload of the next message from `src`, which must belong to `header`."""
        header = self._of_this_world(header)
        parcel = self._next(src, dst, self._idle(dst, src, header, RECEIVE))
        self.received[src] += len(parcel.payload)
        self._last_received[src] = header[0]
        return check(parcel, header)

    def until(self, src: str, dst: str, header: tuple) -> Iterator[Parcel]:
        """The next messages from `src`, before the one with this `header`."""
        while (parcel := self._next(src, dst)).header != header:
            yield parcel

    def _next(self, src, dst, idle=lambda: None):
        return from_wire(src, dst, self.mailbox.receive(self.roles.index(src), idle))

    def finish(self) -> None:
        """Wait until all messages have been received."""
        self.mailbox.wait_until_received()

    def uncounted(self) -> MpiLink:
        link = copy.copy(self)
        link.sent, link.received = Counter(), Counter()
        return link

    def _of_this_world(self, header):
        """The header as it travels; from the second World on, it names the World."""
        if self.world == 1 or header == END:
            return header
        return header[0], f"{header[1]} of World {self.world}"

    def _idle(self, me, peer, header, kind):
        """A callback for a long wait of `me` for `peer` at `header`.

        It reports the wait to `peer` once, and checks the waits of the others.
        """
        rank, reported = self.roles.index(peer), []

        def idle():
            if header == END:       # the others no longer read reports
                return
            if not reported:
                pending = self.mailbox.pending(rank) if kind == SEND else ()
                reported.append(pending[0][0] if pending else header)
                self.mailbox.report_wait(rank, (self.world, kind, *reported[0]))
            self._check_waits(me, header, kind)
        return idle

    def _check_waits(self, me, header, kind):
        """Raise `OutOfStep` if a role waits for `me` at a step that `me` has passed."""
        for rank, (world, theirs, counter, name) in self.mailbox.waits().items():
            other = self.roles[rank]
            if kind == theirs == RECEIVE:
                passed = header[0] >= counter
            else:
                passed = header[0] > counter
            done = self._last_sent if theirs == RECEIVE else self._last_received
            if world == self.world and passed and done[other] < counter:
                wait = (f"waits for a message that {me} never sent" if theirs == RECEIVE
                        else f"sent a message that {me} never received")
                raise OutOfStep(
                    f"{other} {wait}, at {where((counter, name))} of {other} and "
                    f"{where(header)} of {me}; {ADVICE}")


# ------------------------------------------------------------------ the World


class MpiWorld(World):
    """The World of one role in an MPI process; its verbs are those of `World`.

    First all roles compare their programs and parameters, and each group of roles
    agrees on its key and confirms it. A program may make several Worlds, in the same
    order in all roles. Start it with ``mpiexec -n 4 python -m mpc.transport.mpi
    PROGRAM`` or run it with `as_role`, so that a role that fails ends the others.

    Parameters
    ----------
    n_workers, seed, **options
        As in `World`. With a seed every role derives all keys: for lessons and tests.
    public : dict, optional
        The public parameters of the program, as JSON: the same in all roles.
    ahead : int
        The number of messages in transit to one role from which on the sender waits.
    absent : tuple of str
        Roles that leave after the start: `finish` compares no ledger with theirs.
    """

    def __init__(self, n_workers: int = 2, *, seed: int | None = None, public=(),
                 ahead: int = AHEAD, absent: tuple[str, ...] = (), **options):
        names, comm = role_names(n_workers), mpi().COMM_WORLD
        check_processes(names, n_workers, (comm.rank, comm.size))
        role, number = names[comm.rank], next(mailbox().worlds)
        seed = None if seed is None else public_seed(seed)
        link = MpiLink(mailbox(), names, number)
        parameters = {"n_workers": n_workers, "seed": seed, **options, **dict(public)}
        texts = handshake.as_texts({**handshake.versions(), **parameters})
        handshake.compare_parameters(names, role, link, texts)
        keys = (handshake.agree_on_keys(names, role, link) if seed is None
                else make_keys(names, seed))
        handshake.confirm_keys(names, role, link, keys)
        self._present = tuple(name for name in names if name not in absent)
        super().__init__(n_workers, here=(role,), keys=keys,
                         link=MpiLink(mailbox(), names, number, ahead), **options)

    def finish(self) -> None:
        """End a program: check the number of bytes sent, and compare all ledgers.

        This detects roles whose programs differ in their messages. A different public
        factor or addend leaves no trace in a ledger; to detect it, the roles compare
        their sources at the start (`handshake.versions`).
        """
        self._check_home()
        if self.seals:
            self.seals.check()
        me, = self.here
        sent, received = Counter[str](), Counter[str]()
        for (_, _, src, dst, _), nbytes in self.ledger.totals.nbytes.items():
            sent[dst] += nbytes * (src == me)
            received[src] += nbytes * (dst == me)
        for verb, passed, counted in (("sent to", self._link.sent, sent),
                                      ("received from", self._link.received, received)):
            for role in self.roles:
                if passed[role] != counted[role]:
                    raise ProtocolError(
                        f"{me} {verb} {role} {passed[role]} bytes, but its ledger "
                        f"counts {counted[role]}; send messages through the World only")
        handshake.compare_ledgers(
            self._present, me, self._link.uncounted(), self.ledger, self.counter)
        super().finish()


def check_processes(names: tuple, n_workers: int, place: tuple) -> None:
    """Raise `ValueError` unless a process of this (rank, size) can play a role."""
    started, size = launched(), place[1]
    if started and started != place:
        vendor, _ = mpi().get_vendor()
        raise ValueError(
            f"the launcher started {started[1]} processes and {vendor}, which "
            f"mpi4py uses, finds {size}: they belong to different MPIs; use the "
            f"mpiexec of {vendor}")
    if size != len(names):
        raise ValueError(
            f"{size} MPI process{'es' * (size > 1)} cannot play the {len(names)} roles "
            f"of {n_workers} workers; start mpiexec -n {len(names)}, or take "
            "another number of workers")
    if launcher.report_pipe is None:
        raise ValueError(
            "MpiWorld: no supervisor would end the other roles if this one failed; "
            f"start mpiexec -n {size} python -m mpc.transport.mpi PROGRAM, or run it "
            "with as_role")


# ------------------------------------------------------------------ the process


@functools.cache
def mpi():
    """The module MPI of mpi4py; loading it joins the other processes.

    UCX, the transport of most builds of MPICH, would ask the receiver before it sends a
    large message, which takes another round trip; it need not, unless the user says so.
    """
    os.environ.setdefault("UCX_RNDV_THRESH", "inf")
    try:
        with warnings.catch_warnings(), launcher.joining():
            warnings.simplefilter("ignore", RuntimeWarning)     # see check_processes
            from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise ValueError(f"MPI cannot be used ({error}); install it with python -m pip "
                         "install '.[mpi]'") from None
    supervisor.unlink_shared_memory()       # all roles of this host have opened it
    return MPI


def as_role(main, speakers: tuple | None = None) -> int:
    """Run ``main()``, which returns an exit status, as the role of this process.

    Under a launcher, this process becomes the supervisor of a child, and this function
    returns in the child. If `main` fails, the child ends here, and its supervisor
    reports the error and ends the other processes. The supervisor starts only now,
    unless the command was ``python -m mpc.transport.mpi``. Only the roles in `speakers`
    print; None means all. Without a launcher, the function just calls ``main()``.
    """
    status = launcher.start_role()
    place = None if status else launched()
    if place is None:
        return status or main()
    if speakers is not None and role_of(*place) not in speakers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    status = _status_of(main) or _status_of(farewell)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if status:
        os._exit(status)        # MPI's finalisation would wait for the others
    launcher.report(supervisor.ENDED)
    return 0


def farewell() -> None:
    """Tell all roles that the program has ended here, and wait until they end too."""
    comm = mpi().COMM_WORLD
    names = tuple(role_of(rank, comm.size) for rank in range(comm.size))
    me, link = names[comm.rank], MpiLink(mailbox(), names)
    for _ in handshake.exchange(names, me, link, END, b""):
        pass
    mailbox().close()


def _status_of(main):
    """The exit status of ``main()``; reports an error to the supervisor."""
    try:
        return main() or 0
    except SystemExit as stop:
        if isinstance(stop.code, str):
            launcher.report(stop.code)
            return 1
        return stop.code or 0
    except BaseException as error:
        launcher.report(describe(error))
        for kind, status in ((PeerFailed, supervisor.CONSEQUENCE),
                             (ProtocolError, supervisor.DISAGREEMENT),
                             (KeyboardInterrupt, supervisor.INTERRUPTED)):
            if isinstance(error, kind):
                return status
        return 1


def run(words: list) -> int:
    """``python -m mpc.transport.mpi PROGRAM [WORDS]``: a program as a role."""
    if not words or not os.path.exists(words[0]):
        fault = f"{words[0]}: no such file" if words else "no program"
        print(f"mpc.transport.mpi: {fault}; start mpiexec -n 4 python -m "
              "mpc.transport.mpi PROGRAM.py", file=sys.stderr)
        return 2
    sys.argv[:] = words
    sys.path[0] = os.path.dirname(os.path.abspath(words[0]))

    def program():
        interrupts.raise_again()
        runpy.run_path(words[0], run_name="__main__")
        _, size = launched() or (0, 1)
        if size > 1 and not mailbox.cache_info().currsize:
            raise ValueError(f"{words[0]} made no World of its role, so every process "
                             "ran the whole program; take mpc.make_world()")

    return as_role(program)


if __name__ == "__main__":      # a second copy of the module: run the imported one
    sys.exit(importlib.import_module("mpc.transport.mpi").run(sys.argv[1:]))
