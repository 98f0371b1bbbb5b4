"""How bytes travel between roles in different processes or threads.

The header of a message is (step counter, name). If it differs from the header that the
receiver expects, the two roles no longer run the same program.

    ProtocolError
      Disagreement    two roles were started with different programs or parameters
      OutOfStep       a role and its peer are at different steps
      PeerFailed      a role stopped with an error of its own
"""

from __future__ import annotations

from typing import NamedTuple

END = (0, "the end of the program")         # a header: the sender has finished
ADVICE = "decide on local values through broadcast() only"


class ProtocolError(RuntimeError):
    """The roles cannot continue together."""


class Disagreement(ProtocolError, ValueError):
    """Two roles were started with different programs or parameters."""


class OutOfStep(ProtocolError):
    """Two roles are at different steps: one of them branched on local data."""


class PeerFailed(ProtocolError):
    """Another role stopped; its own error tells why."""


class Parcel(NamedTuple):
    """One message on a link."""

    src: str
    dst: str
    header: tuple       # (step counter, full name)
    payload: bytes | memoryview


class Link:
    """The base of all links: a subclass defines the first three methods."""

    def put(self, src: str, dst: str, header: tuple, payload: bytes) -> None:
        """Send a message without waiting until the receiver takes it."""
        raise NotImplementedError

    def get(self, src: str, dst: str, header: tuple) -> bytes | memoryview:
        """Wait for the next message from `src` to `dst`, and return its payload."""
        raise NotImplementedError

    def finish(self) -> None:
        """End the program."""
        raise NotImplementedError

    def uncounted(self) -> Link:
        """This link for messages that no ledger counts: those of `handshake`."""
        return self

    def receive(self, src: str, dst: str, header: tuple, ring, shape: tuple):
        """The next array from `src` to `dst`: elements of `ring`, of this `shape`."""
        payload = self.get(src, dst, header)
        try:
            received = ring.unpack(payload, shape)
            if ring.order < 256**ring.width and (received >= ring.order).any():
                raise ValueError(f"its bytes are not elements of {ring}")
        except ValueError as error:
            raise ProtocolError(f"{dst} received a malformed message from {src} at "
                                f"{where(header)}: {error}") from None
        return received


def check(parcel: Parcel, header: tuple) -> bytes | memoryview:
    """The payload of `parcel`; raises `OutOfStep` unless it has this `header`."""
    if parcel.header != header:
        alike = "start all roles alike, and " * (END in (header, parcel.header))
        raise OutOfStep(f"{parcel.dst} is at {where(header)} and {parcel.src} at "
                        f"{where(parcel.header)}; {alike}{ADVICE}")
    return parcel.payload


def where(header: tuple) -> str:
    """A step as error messages show it."""
    return END[1] if header == END else f"step {header[0]} ({header[1]})"
