"""How bytes travel between roles that live apart, and what a World does when they stop coming.

A link has two methods. `put(src, dst, header, payload)` never blocks; `get(src, dst, header)` waits
for the next message from src to dst. The header (step counter, name) is what the program expects;
a message with another one means that the two roles no longer run the same program.

    ProtocolError
      Disagreement    two roles were started with different programs or parameters
      OutOfStep       a role came to another step than its peer
      PeerFailed      a role stopped with an error of its own
"""

import copy
import queue
from collections import deque
from typing import NamedTuple


class ProtocolError(RuntimeError):
    """The roles cannot go on together."""


class Disagreement(ProtocolError, ValueError):
    """Two roles were started with different programs or parameters."""


class OutOfStep(ProtocolError):
    """Two roles have come to different steps: one of them branched on what it alone knows."""


class PeerFailed(ProtocolError):
    """Another role stopped; its own error is the one to read."""


class Parcel(NamedTuple):
    """One message on a link."""

    src: str
    dst: str
    header: tuple       # (step counter, full name)
    payload: bytes


def check(parcel, header):
    """The payload of `parcel`, if it belongs to the step that `header` names."""
    if parcel.header != header:
        raise OutOfStep(f"{parcel.dst} is at step {header[0]} ({header[1]}) and {parcel.src} at "
                        f"step {parcel.header[0]} ({parcel.header[1]}); decide on held values "
                        "through announce() only")
    return parcel.payload


class Tape:
    """The link of a simulation that is to be replayed: it keeps every message."""

    def __init__(self):
        self.parcels = []

    def put(self, *parcel):
        self.parcels.append(Parcel(*parcel))


class Playback:
    """The link of one role run by itself: it hears the tape, and must say what it said there."""

    def __init__(self, tape, role):
        self.heard = deque(p for p in tape.parcels if p.dst == role)
        self.said = deque(p for p in tape.parcels if p.src == role)

    def get(self, src, dst, header):
        if not self.heard:
            raise OutOfStep(f"{dst} waits at step {header[0]} ({header[1]}) for a message that "
                            "nobody sent in the simulation")
        parcel = self.heard.popleft()
        if parcel.src != src:
            raise OutOfStep(f"{dst} waits for {src} and hears {parcel.src} at step {header[0]}")
        return check(parcel, header)

    def put(self, *parcel):
        if not self.said or self.said.popleft() != Parcel(*parcel):
            raise OutOfStep(f"{parcel[0]} sends {parcel[2][1]} at step {parcel[2][0]}, other than "
                            "in the simulation")

    def finish(self):
        """Raise unless every message of the tape was heard and said again."""
        if self.heard or self.said:
            raise OutOfStep(f"{len(self.heard)} messages unheard and {len(self.said)} unsaid at "
                            "the end")


class Queues:
    """The links of roles that are threads: a queue for each ordered pair of them."""

    def __init__(self, roles, timeout=60.0):
        self.roles, self.timeout = roles, timeout
        self._queues = {(a, b): queue.SimpleQueue() for a in roles for b in roles if a != b}
        self._failures = []         # shared by all endpoints: who stopped, and why

    def endpoint(self, *here):
        """The part of the links that these roles use; they cannot reach the others'."""
        part = copy.copy(self)
        part._queues = {pair: q for pair, q in self._queues.items() if set(pair) & set(here)}
        return part

    def put(self, *parcel):
        if self._failures:
            raise PeerFailed(self._failures[0])
        self._queues[parcel[0], parcel[1]].put(Parcel(*parcel))

    def get(self, src, dst, header):
        try:
            parcel = self._queues[src, dst].get(timeout=self.timeout)
        except queue.Empty:
            raise OutOfStep(f"{dst} waits at step {header[0]} ({header[1]}): nothing came from "
                            f"{src} in {self.timeout} s") from None
        if parcel.header is None:
            raise parcel.payload
        return check(parcel, header)

    def close(self, role, error=None):
        """`role` is done; whoever waits for it, or after an error sends to anybody, is told."""
        news = OutOfStep(f"{role} has come to its end and sends no more")
        if error:
            news = PeerFailed(f"{role} stopped: {error!r}")
            self._failures.append(str(news))
        for other in self.roles:
            if other != role:
                self._queues[role, other].put(Parcel(role, other, None, news))

    def finish(self):
        """Raise `OutOfStep` if a message was sent that nobody took."""
        for waiting in self._queues.values():
            while not waiting.empty():
                parcel = waiting.get()
                if parcel.header is not None:
                    raise OutOfStep(f"{parcel.src} sent {parcel.header[1]} at step "
                                    f"{parcel.header[0]}, and {parcel.dst} ended without it")
