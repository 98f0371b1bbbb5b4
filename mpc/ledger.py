"""The ledger: every message of a run, and the contract of every protocol.

A message's size follows from its shape, so every role keeps the whole ledger, messages
between other roles included. Values never enter it. Its memory does not grow with the
number of batches: it keeps totals of the whole run, and the newest messages.
"""

import functools
import hashlib
from collections import Counter
from collections.abc import Sequence
from contextlib import contextmanager
from itertools import groupby
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


class Kind(NamedTuple):
    """The fields of a message by which its bytes are added up."""

    path: str
    name: str
    src: str
    dst: str
    offline: bool


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
        self.kept, self._left, self._count, self._hash = [], {}, 0, b""

    def append(self, message: Message):
        old = self._count - self.newest
        if old >= 0 and not any(old in range(self._count)[part] for part in self.kept):
            self._left.pop(old, None)
        self._left[self._count] = message
        self._count += 1
        self._hash = hashlib.sha256(self._hash + repr(message).encode()).digest()

    def digest(self) -> str:
        """The same for two runs whose messages are the same, in order."""
        return self._hash.hex()[:16]

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
        return self._left[numbers]

    def __eq__(self, other):
        if isinstance(other, Messages):
            return len(self) == len(other) and self.digest() == other.digest()
        return self[:] == other

    def __repr__(self):
        return repr([*self._left.values()])


class Totals:
    """Sums over all messages, or some: as many numbers as a program has kinds."""

    def __init__(self, messages: Sequence[Message] = ()):
        self.messages: Counter[Kind] = Counter()
        self.nbytes: Counter[Kind] = Counter()
        self.rounds: Counter[tuple[str, bool]] = Counter()      # by path and offline
        for _, one_round in groupby(messages, lambda m: m.round):
            self.add(list(one_round))

    def add(self, one_round: list[Message]):
        """Count the messages of a round, which are of one protocol."""
        for m in one_round:
            kind = Kind(m.path, m.name, m.src, m.dst, m.offline)
            self.messages[kind] += 1
            self.nbytes[kind] += m.nbytes
        self.rounds[m.path, m.offline] += 1

    def cost(self, path: str = "") -> Cost:
        """The cost below `path`."""
        above, sums = path + "/" * bool(path), [0, 0, 0, 0]
        for (own, offline), n in self.rounds.items():
            sums[2 * offline] += n * f"{own}/".startswith(above)
        for kind, n in self.nbytes.items():
            sums[2 * kind.offline + 1] += n * f"{kind.path}/".startswith(above)
        return Cost(*sums)


class Ledger:
    """All messages so far, in order, and how often each protocol was called.

    `totals` are those of the whole run.
    """

    def __init__(self):
        self.messages, self.totals, self.calls = Messages(), Totals(), Counter()
        self.round, self.path, self._offline = 0, (), False

    def step(self, name: str):
        """A context: messages and coins inside belong to the protocol `name`."""
        self.calls[self.label(name)] += 1
        return self._within((*self.path, name), self._offline)

    def offline(self):
        """A context: messages inside depend on nobody's input (preprocessing)."""
        return self._within(self.path, True)

    @contextmanager
    def _within(self, path, offline):
        outer = self.path, self._offline
        self.path, self._offline = path, offline
        try:
            yield
        finally:
            self.path, self._offline = outer

    def label(self, name: str) -> str:
        """The full name of a coin or message `name` at this point of the program."""
        return "/".join((*self.path, name))

    def add_round(self, counter: int, messages: list[tuple]):
        """Record one round of (src, dst, name, ring, shape, nbytes)."""
        if not messages:
            return
        self.round += 1
        path = intern("/".join(self.path))
        sent = [Message(counter, self.round, path, name, src, dst, intern(ring), shape,
                        nbytes, self._offline)
                for src, dst, name, ring, shape, nbytes in messages]
        for message in sent:
            self.messages.append(message)
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
        check_pair(operands[0], x, name)
    if not isinstance(x.ring, over):
        raise ValueError(f"{name}: {x.ring} is the wrong ring; {REMEDIES[over]}")
    if workers not in (None, n := len(x.world.workers)):
        raise ValueError(f"{name}: a protocol of two workers, not {n}; make the World "
                         "with two, or with the carry tree and truncation='provider'")
