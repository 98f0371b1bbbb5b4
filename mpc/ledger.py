"""The ledger: every message of a run, and the contract of every protocol.

A message's size follows from its shape, so every role keeps the whole ledger, messages
between other roles included. Values never enter it. Its memory does not grow with the
number of batches: it keeps totals of the whole run, and the newest messages.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Sequence
from sys import intern
from typing import NamedTuple

from mpc.ring import Bits, Ring, Z2k, Z2kMinus1, Zm
from mpc.share import Share, check_pair

REMEDIES = {Z2k: "take one over Z_2^l", Z2kMinus1: "share_convert it first",
            Zm: "share the bits mod a prime", Bits: "pack the bits first"}


class Message(NamedTuple):
    """One array on its way from one role to another; `nbytes` is its payload."""

    counter: int        # the World's step counter when it was sent
    round: int          # messages of one round travel at the same time
    path: str           # the protocols it belongs to: "drelu/share_convert/..."
    name: str           # the paper's letter for the value
    src: str
    dst: str
    ring: str
    shape: tuple
    nbytes: int
    offline: bool       # could have been sent before the inputs were known


class Cost(NamedTuple):
    """Rounds and bytes of a stretch of the ledger, online and offline."""

    rounds: int
    nbytes: int
    offline_rounds: int
    offline_bytes: int


class Messages(Sequence):
    """The messages of a run by number, and a digest of all of them.

    A long run leaves the `newest` ones and those in slices that a program puts into
    `kept`; to reach for another raises ValueError.
    """

    newest = 50_000

    def __init__(self):
        self.kept, self._left = [], {}
        self._count, self._old = 0, 0       # so many were there, and are old by now
        self._hash = hashlib.sha256()

    def add(self, one_round: list[tuple]):
        """Append the fields of each message of a round."""
        self._left.update(enumerate(one_round, self._count))
        self._count += len(one_round)
        while self._old < self._count - self.newest:
            if not any(self._old in range(self._count)[part] for part in self.kept):
                self._left.pop(self._old)
            self._old += 1
        self._hash.update(repr(one_round).encode())

    def digest(self) -> str:
        """The same for two runs whose messages are the same, in order."""
        return self._hash.hexdigest()[:16]

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        numbers = range(self._count)[index]
        if isinstance(index, slice):
            return [self[i] for i in numbers]
        if numbers not in self._left:
            raise ValueError(f"ledger: message {numbers} of {self._count} is dropped; "
                             "call world.ledger.messages.kept.append(slice(None)) "
                             "at the start of the program")
        return Message(*self._left[numbers])

    def __eq__(self, other):
        if isinstance(other, Messages):
            return len(self) == len(other) and self.digest() == other.digest()
        return self[:] == other

    def __repr__(self):
        return repr([Message(*fields) for fields in self._left.values()])


class Totals:
    """Sums over all messages, or some: as many numbers as a program has kinds.

    A kind of message is (path, name, src, dst, offline); `rounds` are counted by path
    and offline, and the last round is that of the number `round`.
    """

    def __init__(self, messages: Sequence[tuple] = ()):
        sums: tuple[Counter, ...] = Counter(), Counter(), Counter()
        self.messages, self.nbytes, self.rounds = sums
        self.round = 0
        self.add(messages)

    def add(self, messages: Sequence[tuple]):
        """Count messages, given by their fields, in order."""
        for _, number, path, name, src, dst, _, _, nbytes, offline in messages:
            kind = path, name, src, dst, offline
            self.messages[kind] += 1
            self.nbytes[kind] += nbytes
            self.rounds[path, offline] += number != self.round
            self.round = number

    def cost(self, path: str = "") -> Cost:
        """The cost below `path`."""
        above, sums = path + "/" * bool(path), [0, 0, 0, 0]
        for (own, offline), n in self.rounds.items():
            sums[2 * offline] += n * f"{own}/".startswith(above)
        for (own, *_, offline), n in self.nbytes.items():
            sums[2 * offline + 1] += n * f"{own}/".startswith(above)
        return Cost(*sums)


class Stretch:
    """A context whose messages and coins have another path, or are offline."""

    def __init__(self, ledger: Ledger, path: str, offline: bool):
        self.ledger, self.inner = ledger, (path, offline)

    def __enter__(self):
        self.outer = self.ledger.path, self.ledger.is_offline
        self.ledger.path, self.ledger.is_offline = self.inner

    def __exit__(self, *_):
        self.ledger.path, self.ledger.is_offline = self.outer


class Ledger:
    """All messages so far, in order, and how often each protocol was called.

    `totals` are those of the whole run, and `path` names the protocols that run now.
    """

    def __init__(self):
        self.messages, self.totals, self.calls = Messages(), Totals(), Counter()
        self.round, self.path, self.is_offline = 0, "", False

    def step(self, name: str):
        """A context: messages and coins inside belong to the protocol `name`."""
        path = intern(self.label(name))
        self.calls[path] += 1
        return Stretch(self, path, self.is_offline)

    def offline(self):
        """A context: messages inside depend on nobody's input (preprocessing)."""
        return Stretch(self, self.path, True)

    def label(self, name: str) -> str:
        """The full name of a coin or message `name` at this point of the program."""
        return f"{self.path}/{name}" if self.path else name

    def add_round(self, counter: int, messages: list[tuple]):
        """Record one round of (src, dst, name, ring, shape, nbytes)."""
        if not messages:
            return
        self.round += 1
        sent = [(counter, self.round, self.path, name, src, dst, ring, shape, nbytes,
                 self.is_offline) for src, dst, name, ring, shape, nbytes in messages]
        self.messages.add(sent)
        self.totals.add(sent)

    def cost(self, since: int | slice = 0, path: str = "") -> Cost:
        """The cost of the messages from `since` on, or in that slice, below `path`."""
        return self._totals(since).cost(path)

    def _totals(self, since):
        part = since if isinstance(since, slice) else slice(since, None)
        whole = range(len(self.messages))
        return self.totals if whole[part] == whole else Totals(self.messages[part])

    def table(self, since: int | slice = 0) -> str:
        """A text table: rounds and bytes of each protocol in the messages `since`."""
        totals = self._totals(since)
        parts = {tuple(filter(None, path.split("/"))) for path, _ in totals.rounds}
        rows = [("step", "rounds", "bytes", "offline rounds", "bytes")]
        for path in sorted({p[:depth] for p in parts for depth in range(len(p) + 1)}):
            cost = map("{:,}".format, totals.cost("/".join(path)))
            rows.append(("  " * len(path) + ("all", *path)[-1], *cost))
        return "\n".join("{:<52}{:>7}{:>13}{:>16}{:>13}".format(*row) for row in rows)


class Contract(NamedTuple):
    """A protocol's source, its price, and against whom it is secure.

    Prices are formulas, with bytes over all links; docs/COSTS.md explains their
    letters. Where the World's comparison matters, a price is a dict of comparison and
    formula. The default for `secure` is that of Beaver's products.
    """

    source: str
    rounds: int | str | dict = 0
    online: str | dict = "0"
    offline: str | dict = "0"
    secure: str = "semi-honest; all workers but one, or a provider who receives nothing"


def step(*, shares: int | None = 1, over: type[Ring] = Ring, workers=None, **promises):
    """Declare a protocol with the `promises` of its `contract`.

    Its first `shares` arguments (None: all) must be Shares that pass `check`. Its
    messages and
    coins carry the name of the function.
    """
    def declare(protocol):
        name = protocol.__name__

        @functools.wraps(protocol)
        def run(x, *args, **kwargs):
            check(name, (x, *args, *kwargs.values())[:shares], over, workers)
            with x.world.ledger.step(name):
                return protocol(x, *args, **kwargs)

        run.contract = Contract(**promises)
        return run
    return declare


def check(name: str, operands: tuple, over: type[Ring] = Ring, workers=None):
    """Raise unless the `operands` of the protocol `name` are Shares that it can take.

    All of one World, with so many `workers` if given, and of one ring, of kind `over`.
    """
    for x in operands:
        if not isinstance(x, Share):
            raise TypeError(f"{name} takes a Share, not a {type(x).__name__}; of a "
                            "FixedPoint pass .value; use plus(), times() if public")
        if x is not operands[0]:
            check_pair(operands[0], x, name)
    if over is not Ring and not isinstance(x.ring, over):
        raise ValueError(f"{name}: {x.ring} is the wrong ring; {REMEDIES[over]}")
    if workers and workers != (n := len(x.world.workers)):
        raise ValueError(f"{name}: a protocol of two workers, not {n}; make the World "
                         "with two, or with the carry tree and truncation='provider'")
