"""The World whose roles are processes of MPI: the server, the workers, last the crypto provider.

``mpiexec -n 4 python -m mpc.train_mnist`` starts the same command four times, and
``mpiexec -n 4 python -m mpc.transport.mpi PROGRAM`` a program of a user; each process plays the role of its
rank, 0 the server. It holds the keys and rows of this role alone; the others hear from it what it
sends, as bytes with a header, and nothing is ever unpickled. MPI encrypts nothing. What a role
prints is shown at the launcher's console, with the name of the role in front unless it is the
server: a role that keeps a result to itself writes it to a file of its own.

Two things keep the processes from waiting for each other more than they must. Sends do not wait
until they are taken, so that a role which hears nothing, as the crypto provider mostly, runs ahead
of the others, by at most `AHEAD` messages to each. And a role that waits sleeps between its looks:
MPI's own receive would take a core from those who compute.

No role waits without an end. One that fails is noticed by its `guard`. One that comes to its end
says so, and waits until the others do. And those who wait for what will never come, since their
programs differ, find it out: after a while each says what it waits for, and the one that has gone
past this step tells.

Roles in processes are tested on Linux, with MPICH; other Unix systems and MPIs should do. Windows
has the simulation only.
"""

import copy
import functools
import hashlib
import importlib
import itertools
import json
import operator
import os
import runpy
import struct
import sys
import time
import warnings
from collections import Counter, deque
from pathlib import Path

import numpy as np

from mpc.transport import supervisor
from mpc.transport.supervisor import launched
from mpc.transport.link import Disagreement, Link, OutOfStep, Parcel, PeerFailed, ProtocolError, check
from mpc.randomness import KEY_BYTES, fresh_key, public_seed, stream
from mpc.world import World, key_groups, make_keys, role_names

AHEAD = 64                  # messages on their way to one role before the sender waits
EAGER = 3e-4                # seconds in which a waiting role only lets others go first
NAPS = (2e-5, 1e-3)         # seconds that it then sleeps between two looks: at first, and at most
LONG = 1.0                  # seconds after which it says what it waits for
MESSAGE, WAITING = 1, 2     # MPI's tags
SEND, HEAR = "send", "hear"             # what a role waits for
END = (0, "the end of the program")
ADVICE = "decide on held values through broadcast() only"
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


class Post:
    """What this process sends to the others and hears from them, for one World after another."""

    def __init__(self, comm):
        self.comm, self.worlds, self.notes = comm, itertools.count(1), {}
        self._sending = {rank: deque() for rank in range(comm.size)}    # (header, request, buffer)
        self._asking = []                                               # (request, buffer)

    def send(self, rank, header, message):
        """Send without waiting; the buffer lives until the message is taken."""
        request = self.wait(lambda: self.comm.Issend(message, rank, MESSAGE))
        self._sending[rank].append((header, request, message))

    def unsent(self, rank):
        """The messages that this `rank` has not begun to receive (MPI's synchronous mode)."""
        queue = self._sending[rank]
        while queue and queue[0][1].Test():
            queue.popleft()
        return queue

    def hear(self, rank, idle):
        """The next message from this `rank`."""
        return self._received(self.wait(lambda: self._arrived(rank, MESSAGE), idle))

    def ask(self, rank, note):
        """Tell this `rank` what this process waits for."""
        message = json.dumps(note).encode()
        self._asking = [asked for asked in self._asking if not asked[0].Test()]
        self._asking.append((self.comm.Isend(message, rank, WAITING), message))

    def asked(self):
        """{rank: note}, the last that each has told."""
        while found := self._arrived(mpi().ANY_SOURCE, WAITING):
            self.notes[found[0]] = json.loads(self._received(found))
        return self.notes

    def close(self):
        """Wait until all that was sent has been taken, and take what others have asked."""
        self.wait(lambda: not any(map(self.unsent, self._sending)))
        self.wait(lambda: all(request.Test() for request, _ in self._asking))
        self.asked()

    def _arrived(self, rank, tag):
        status = mpi().Status()
        found = self.comm.Improbe(rank, tag, status)
        return found and (status.source, found, status.Get_count())

    def _received(self, arrived):
        _, found, size = arrived
        message = bytearray(size)
        arrival = self.wait(lambda: found.Irecv(message))
        self.wait(arrival.Test)
        return message

    def wait(self, look, idle=lambda: None):
        """What `look()` returns once it is true. In between others compute: most messages come
        soon, so that the naps are short at first. In a long wait, `idle()` after each of them."""
        (nap, longest), start = NAPS, time.perf_counter()
        try:
            while not (found := look()):
                waited = time.perf_counter() - start
                if waited < EAGER:
                    os.sched_yield()
                else:
                    time.sleep(nap)
                    nap = min(1.2 * nap, longest)
                if waited > LONG:
                    idle()
        except mpi().Exception as error:        # the peer has gone; its own guard knows more
            raise PeerFailed(str(error).splitlines()[-1]) from None
        return found


@functools.cache
def post():
    """The `Post` of this process, which lives as long as it does: MPI reads its buffers."""
    return Post(mpi().COMM_WORLD)


class MpiLink(Link):
    """The link of a World, the `world`-th of this process; the rank of a role is its place in
    `roles`."""

    def __init__(self, post, roles, world=1, ahead=AHEAD):
        self.post, self.roles, self.world, self.ahead = post, roles, world, ahead
        self.sent, self.received = Counter(), Counter()         # bytes of payload, by peer
        self._said, self._heard = Counter(), Counter()          # the last step of a message to it

    def put(self, src, dst, header, payload):
        """Send without waiting, unless `ahead` messages of earlier steps are not taken yet.

        Only earlier steps are waited for, so that no circle of roles can wait for each other: the
        one that is furthest behind never does.
        """
        rank, header = self.roles.index(dst), self._of_this_world(header)
        self.post.wait(
            lambda: len(queue := self.post.unsent(rank)) < self.ahead or queue[0][0] == header,
            self._idle(src, dst, header, SEND))
        self.post.send(rank, header, to_wire(header, payload))
        self.sent[dst] += len(payload)
        self._said[dst] = header[0]

    def get(self, src, dst, header):
        """The payload of the next message from `src`, which must be that of `header`."""
        header = self._of_this_world(header)
        message = self.post.hear(self.roles.index(src), self._idle(dst, src, header, HEAR))
        parcel = from_wire(src, dst, message)
        if parcel.header == END != header:
            raise OutOfStep(f"{dst} waits at step {header[0]} ({header[1]}) for {src}, who has "
                            f"come to {END[1]}; start all roles alike, and {ADVICE}")
        if header == END != parcel.header:
            raise OutOfStep(f"{dst} has come to {END[1]} and {src} is at step {parcel.header[0]} "
                            f"({parcel.header[1]}); start all roles alike, and {ADVICE}")
        self.received[src] += len(parcel.payload)
        self._heard[src] = header[0]
        return check(parcel, header)

    def finish(self):
        """Wait until all that was sent is taken."""
        self.post.wait(lambda: not any(map(self.post.unsent, range(len(self.roles)))))

    def _of_this_world(self, header):
        """The header as it travels: messages of the second World say so."""
        return header if self.world == 1 or header == END else (
            header[0], f"{header[1]} of World {self.world}")

    def _idle(self, me, peer, header, kind):
        """What `me`, who waits at `header` for `peer` to hear or to take a message, does meanwhile:
        say so once, and raise `OutOfStep` if another waits for `me` at a step that is over."""
        told = []

        def idle():
            if header == END:       # nobody listens any more
                return
            rank, step = self.roles.index(peer), header
            if kind == SEND:
                step = next((step for step, *_ in self.post.unsent(rank)), header)
            if not told:
                told.append(step)
                self.post.ask(rank, (self.world, kind, *step))
            for rank, (world, theirs, counter, name) in self.post.asked().items():
                other = self.roles[rank]
                here = header[0] >= counter if kind == theirs == HEAR else header[0] > counter
                done = (self._said if theirs == HEAR else self._heard)[other] >= counter
                if world == self.world and here and not done:
                    how = "waits for what" if theirs == HEAR else "sent what"
                    never = "sent" if theirs == HEAR else "heard"
                    raise OutOfStep(f"{other} {how} {me} never {never}, at step {counter} ({name}) "
                                    f"of {other} and {header[0]} ({header[1]}) of {me}; {ADVICE}")
        return idle


# ---------------------------------------------------------------------- the World


class MpiWorld(World):
    """A World for the role whose rank this process has; its verbs are those of `World`.

    Before anything else, all roles compare their `papers`, and each group of roles agrees on its
    key and confirms it. A program may make several Worlds, in the same order in all roles. It is
    started by ``mpiexec -n 4 python -m mpc.transport.mpi PROGRAM``, or calls `as_role` itself, so that a role
    that fails ends the others.

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
        insist_on_processes(names, n_workers, (comm.rank, comm.size))
        role, number = names[comm.rank], next(post().worlds)
        seed = None if seed is None else public_seed(seed)
        talk = MpiLink(post(), names, number)
        shown = {"n_workers": n_workers, "seed": seed, **options, **dict(public)}
        compare_handshakes(names, role, talk, handshake({**versions(), **shown}))
        supervisor.unlink_shared_memory()            # all roles have opened it
        keys = agree_on_keys(names, role, talk) if seed is None else make_keys(names, seed)
        confirm_keys(names, role, talk, keys)
        super().__init__(n_workers, here=(role,), keys=keys,
                         link=MpiLink(post(), names, number, ahead), **options)

    def finish(self):
        """The end: raise unless all messages were taken, the ledger counted their bytes, and the
        ledgers of all roles are the same.

        Roles whose programs differ in their messages are found out here at the latest. A number
        that a program adds or multiplies by leaves no trace in a ledger: for that, the roles
        compared their programs at the start (`versions`).
        """
        me, = self.here
        for what, passed, mine, peer in (("sent to", self._link.sent, "src", "dst"),
                                         ("received from", self._link.received, "dst", "src")):
            counted = Counter()
            for message in self.ledger.messages:
                if getattr(message, mine) == me:
                    counted[getattr(message, peer)] += message.nbytes
            for role in self.roles:
                if passed[role] != counted[role]:
                    raise ProtocolError(f"{me} {what} {role} {passed[role]} bytes and its ledger "
                                        f"counts {counted[role]}")
        talk = copy.copy(self._link)
        talk.sent, talk.received = Counter(), Counter()         # no ledger counts what follows
        compare_ledgers(self.roles, me, talk, self.ledger, self.counter)
        super().finish()


def insist_on_processes(names, n_workers, place):
    """Raise `ValueError` unless this process, of this (rank, size), can be one of these roles."""
    size = place[1]
    if launched() not in (None, place):
        vendor, _ = mpi().get_vendor()
        raise ValueError(f"the launcher started {launched()[1]} processes and {vendor}, which "
                         f"mpi4py uses, finds {size}: they belong to different MPIs; take the "
                         f"mpiexec of {vendor}")
    if size != len(names):
        raise ValueError(f"{size} process{'es' * (size > 1)} of MPI cannot play the {len(names)} "
                         f"roles of {n_workers} workers: start mpiexec -n {len(names)}, or change "
                         "--workers")
    if supervisor.news is None:
        raise ValueError("MpiWorld: nobody would end the other roles if this one failed; start "
                         f"mpiexec -n {size} python -m mpc.transport.mpi PROGRAM, or run it by as_role")


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


def confirm_keys(names, role, link, keys):
    """Raise `Disagreement` unless all roles of each group hold the same key.

    Each tells the others in the group a number that only the key gives, and that tells nothing of
    it or of its coins: a stream of its own, which no draw has, since their counters begin at 1.
    """
    for group in (group for group in key_groups(names) if role in group):
        members = [name for name in names if name in group]
        header = (0, f"proof of the key of {', '.join(members)}")

        def proof(name):
            return stream(keys[group], f"{header[1]} by {name}", 0)(KEY_BYTES)

        for other in members:
            if other != role:
                link.put(role, other, header, proof(role))
        for other in members:
            if other != role and bytes(link.get(other, role, header)) != proof(other):
                raise Disagreement(f"{other} and {role} hold different keys of the group "
                                   f"{', '.join(members)}; start the run again")


def digest(*parts):
    """A short hash of these byte strings."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "little") + part)
    return whole.hexdigest()[:16]


def versions():
    """What all roles must have alike, whatever the program: versions and hashes of sources.

    The sources are those of the three packages and of the program: the file that was started, and
    every module loaded by now that neither belongs to Python nor is an installed package. What is
    loaded later, or was typed into `python -c`, is not compared.
    """
    root = Path(__file__).resolve().parents[2]
    ours = [path for package in supervisor.PACKAGES
            for path in sorted((root / package).rglob("*.py"))]
    sources = {f"source of {name}": digest(Path(module.__file__).read_bytes())
               for name, module in list(sys.modules.items())
               if supervisor.is_program(getattr(module, "__file__", None) or "")}
    return {"code": digest(*(part for path in ours
                             for part in (path.relative_to(root).as_posix().encode(),
                                          path.read_bytes()))),
            "python": ".".join(map(str, sys.version_info[:2])),
            "numpy": ".".join(np.__version__.split(".")[:2]), **sources}


def handshake(values):
    """Public `values` as text, so that 1, 1.0 and True are three."""
    texts = {}
    for what, value in values.items():
        try:
            texts[what] = json.dumps(value, sort_keys=True, default=operator.index)
        except TypeError:
            raise ValueError(f"MpiWorld: {what} is a {type(value).__name__}, which roles cannot "
                             "compare; give numbers, texts, lists and dicts") from None
    return texts


def compare_handshakes(names, role, link, texts):
    """Raise `Disagreement` unless every role has the same `texts`, those of `papers`."""
    header, others = (0, "papers"), [name for name in names if name != role]
    for other in others:
        link.put(role, other, header, json.dumps(texts).encode())
    for other in others:
        try:
            theirs = dict(json.loads(bytes(link.get(other, role, header))))
        except (ValueError, TypeError):
            raise ProtocolError(f"{other} sent no papers that {role} can read") from None
        for what in sorted(texts.keys() | theirs.keys()):
            one, two = theirs.get(what, "nothing"), texts.get(what, "nothing")
            if one != two:
                raise Disagreement(f"{other} was started with {what} {one} and {role} with {two}; "
                                   "start all roles alike")


def compare_ledgers(names, role, link, ledger, counter):
    """Raise `Disagreement` unless all roles have the same `ledger`, at the same step `counter`.

    Each sends a digest of its own; where two differ, a mark for each message shows the first.
    """
    header, others = (counter + 1, "finish"), [name for name in names if name != role]
    texts = [repr(message).encode() for message in ledger.messages]
    own = digest(repr(ledger.round).encode(), *texts).encode()
    for other in others:
        link.put(role, other, header, own)
    for other in [other for other in others if bytes(link.get(other, role, header)) != own]:
        marks = [digest(text).encode()[:8] for text in texts]
        link.put(role, other, header, b"".join(marks))
        heard = bytes(link.get(other, role, header))
        theirs = [heard[i:i + 8] for i in range(0, len(heard), 8)]
        same = next((i for i, (one, two) in enumerate(zip(marks, theirs)) if one != two),
                    min(len(marks), len(theirs)))
        at = ledger.messages[min(same, len(texts) - 1)] if texts else None
        where = f"from step {at.counter} ({at.path}/{at.name})" if at else "from the start"
        raise Disagreement(f"the ledgers of {other} and {role} differ {where} on; shapes and steps "
                           f"must be the same in all roles: {ADVICE}")


# ---------------------------------------------------------------------- the process


@functools.cache
def mpi():
    """The module MPI of mpi4py, which joins the other processes when it is first loaded."""
    try:
        with warnings.catch_warnings():     # of another launcher, which we name ourselves
            warnings.simplefilter("ignore", RuntimeWarning)
            from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise ValueError(f"MPI cannot be used ({error}); install it by python -m pip install "
                         "'.[mpi]'") from None
    return MPI


def as_role(main, speakers=None):
    """``main()``, an exit status, as the role whose rank a launcher gave to this process.

    The process that the launcher knows becomes the `guard` of a child, in which this returns. If
    `main` fails the child ends here; its guard says its last words and ends the other processes.
    The guard watches from here on only, unless ``python -m mpc.transport.mpi`` started the program. Only the
    roles named as `speakers` print, or all. Without a launcher, this is ``main()``.
    """
    status = supervisor.begin()
    if status or launched() is None:
        return status or main()
    rank, size = launched()
    if speakers is not None and supervisor.role_of(rank, size) not in speakers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    status = _status_of(main) or _status_of(farewell)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if status:
        supervisor.unlink_shared_memory()
        os._exit(status)        # without MPI's farewell, which would wait for the others
    supervisor.tell(supervisor.ENDED)
    return 0


def farewell():
    """Tell all roles that the program is over here, and wait until it is over there."""
    comm = mpi().COMM_WORLD
    names = [supervisor.role_of(rank, comm.size) for rank in range(comm.size)]
    others, link = [name for name in names if name != names[comm.rank]], MpiLink(post(), names)
    for other in others:
        link.put(names[comm.rank], other, END, b"")
    for other in others:
        link.get(other, names[comm.rank], END)
    post().close()


def _status_of(main):
    """The exit status of ``main()``; what it raises is told in one line."""
    try:
        return main() or 0
    except SystemExit as stop:
        if isinstance(stop.code, str):
            supervisor.tell(stop.code)
            return 1
        return stop.code or 0
    except BaseException as error:
        supervisor.tell(supervisor.words_of(error))
        for kind, status in ((PeerFailed, supervisor.CONSEQUENCE), (ProtocolError, supervisor.DISAGREEMENT),
                             (KeyboardInterrupt, supervisor.INTERRUPTED)):
            if isinstance(error, kind):
                return status
        return 1


def run(words):
    """``python -m mpc.transport.mpi PROGRAM [WORDS]``: a program as the role of this process."""
    if not words:
        print("mpc.transport.mpi: no program; start mpiexec -n 4 python -m mpc.transport.mpi PROGRAM.py",
              file=sys.stderr)
        return 2
    sys.argv[:] = words
    sys.path[0] = os.path.dirname(os.path.abspath(words[0]))

    def program():
        runpy.run_path(words[0], run_name="__main__")

    return as_role(program)


if __name__ == "__main__":      # the module that the program imports, which is not this one
    sys.exit(importlib.import_module("mpc.transport.mpi").run(sys.argv[1:]))
