"""The ledger: every message of a run, with the step it belongs to.

Sizes are known from shapes alone, so that every role keeps the whole ledger, also of messages
between others; that all ledgers agree is a test. Values never enter it.
"""

import functools
from collections import Counter
from contextlib import contextmanager
from typing import NamedTuple


class Message(NamedTuple):
    """One array on its way from one role to another; `nbytes` is its payload."""

    counter: int        # the World's step counter when it was sent
    round: int          # messages of one round travel at the same time
    path: str           # the protocol steps it belongs to, outermost first: "relu/drelu/..."
    name: str           # the paper's letter for what is sent
    src: str
    dst: str
    ring: str
    shape: tuple
    nbytes: int
    offline: bool       # could have been sent before the inputs were known


class Cost(NamedTuple):
    """What a stretch of the ledger costs: rounds and bytes, online and ahead of time."""

    rounds: int
    nbytes: int
    offline_rounds: int
    offline_bytes: int


class Ledger:
    """All messages so far, in order, and how often each step was called."""

    def __init__(self):
        self.messages, self.calls = [], Counter()
        self.round, self.path, self._offline = 0, (), False

    @contextmanager
    def step(self, name):
        """Everything inside belongs to the step `name` of the step around it."""
        outer, self.path = self.path, (*self.path, name)
        self.calls["/".join(self.path)] += 1
        try:
            yield
        finally:
            self.path = outer

    @contextmanager
    def offline(self):
        """What is sent inside depends on nobody's input: it could be sent a day ahead."""
        outer, self._offline = self._offline, True
        try:
            yield
        finally:
            self._offline = outer

    def label(self, name):
        """The full name of a draw or message `name` at this point of the program."""
        return "/".join((*self.path, name))

    def add_round(self, counter, messages):
        """Record one round of (src, dst, name, ring, shape, nbytes); no messages, no round."""
        self.round += bool(messages)
        path = "/".join(self.path)
        self.messages += [Message(counter, self.round, path, name, src, dst, ring, shape, nbytes,
                                  self._offline)
                          for src, dst, name, ring, shape, nbytes in messages]

    def cost(self, since=0, path=""):
        """The `Cost` of the messages from `since` on, or in that slice, at `path` or below it."""
        above = path + "/" * bool(path)
        chosen = [m for m in self._chosen(since) if f"{m.path}/".startswith(above)]
        on, off = ([m for m in chosen if m.offline == flag] for flag in (False, True))
        return Cost(len({m.round for m in on}), sum(m.nbytes for m in on),
                    len({m.round for m in off}), sum(m.nbytes for m in off))

    def _chosen(self, since):
        return self.messages[since if isinstance(since, slice) else slice(since, None)]

    def table(self, since=0):
        """The steps of the messages `since` as a text table of rounds and bytes."""
        paths = {}
        for m in self._chosen(since):
            parts = m.path.split("/") if m.path else []
            for depth in range(len(parts) + 1):
                paths.setdefault("/".join(parts[:depth]), None)
        rows = [f"{'step':<52}{'rounds':>7}{'bytes':>13}{'offline rounds':>16}{'bytes':>13}"]
        for path in sorted(paths, key=lambda path: path.split("/")):
            name = "  " * (path.count("/") + 1) + path.rpartition("/")[2] if path else "all"
            cost = self.cost(since, path)
            rows.append(f"{name:<52}{cost.rounds:>7}{cost.nbytes:>13,}"
                        f"{cost.offline_rounds:>16}{cost.offline_bytes:>13,}")
        return "\n".join(rows)

    def transcript(self, since=0):
        """The messages `since`, a line each: round, step, from, to, what, shape, bytes."""
        return "\n".join(
            f"round {m.round:<4} {m.path:<40} {m.src:>15} -> {m.dst:<15} {m.name:<16} "
            f"{m.ring} {m.shape} {m.nbytes} B{' offline' * m.offline}"
            for m in self._chosen(since))


def step(protocol):
    """Decorate a protocol step: its messages and coins carry its name. Its first argument knows the
    World."""
    @functools.wraps(protocol)
    def run(x, *args, **kwargs):
        must_be_secret(x, protocol.__name__)
        with x.world.ledger.step(protocol.__name__):
            return protocol(x, *args, **kwargs)
    return run


def must_be_secret(x, name):
    """Raise unless `x`, an operand of the protocol `name`, is a Share of a World."""
    if not (hasattr(x, "rows") and hasattr(getattr(x, "world", None), "ledger")):
        raise TypeError(f"{name} takes a Share, not a {type(x).__name__}; of a FixedPoint pass "
                        ".value, or call its own method or operator")
