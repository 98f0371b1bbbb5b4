"""The ledger: every message of a run, and the contract of every protocol.

A message's size follows from its shape, so every role keeps the whole ledger, messages
between other roles included. Values never enter it.
"""

import functools
from collections import Counter
from contextlib import contextmanager
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


class Ledger:
    """All messages so far, in order, and how often each protocol was called."""

    def __init__(self):
        self.messages, self.calls = [], Counter()
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
        self.round += bool(messages)
        for src, dst, name, ring, shape, nbytes in messages:
            self.messages.append(Message(counter, self.round, "/".join(self.path), name,
                                         src, dst, ring, shape, nbytes, self._offline))

    def cost(self, since: int | slice = 0, path: str = "") -> Cost:
        """The cost of the messages from `since` on, or in that slice, below `path`."""
        above = path + "/" * bool(path)
        chosen = [m for m in self._chosen(since) if f"{m.path}/".startswith(above)]
        on, off = ([m for m in chosen if m.offline == flag] for flag in (False, True))
        return Cost(len({m.round for m in on}), sum(m.nbytes for m in on),
                    len({m.round for m in off}), sum(m.nbytes for m in off))

    def _chosen(self, since):
        return self.messages[since if isinstance(since, slice) else slice(since, None)]

    def table(self, since: int | slice = 0) -> str:
        """A text table: rounds and bytes of each protocol in the messages `since`."""
        parts = [tuple(filter(None, m.path.split("/"))) for m in self._chosen(since)]
        rows = [("step", "rounds", "bytes", "offline rounds", "bytes")]
        for path in sorted({p[:depth] for p in parts for depth in range(len(p) + 1)}):
            cost = map("{:,}".format, self.cost(since, "/".join(path)))
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
