"""How bytes travel between roles in different processes or threads, and what stops them.

A link has three methods. `put(src, dst, header, payload)` never blocks. `get(src, dst,
header)` waits for the payload of the next message from src to dst. `finish()` ends the
program. The header (step counter, name) is the one the program expects; a message with
another one means that the two roles no longer run the same program.

    ProtocolError
      Disagreement    two roles were started with different programs or parameters
      OutOfStep       a role is at another step than its peer
      PeerFailed      a role stopped with an error of its own
"""

from typing import NamedTuple


class ProtocolError(RuntimeError):
    """The roles cannot go on together."""


class Disagreement(ProtocolError, ValueError):
    """Two roles were started with different programs or parameters."""


class OutOfStep(ProtocolError):
    """Two roles are at different steps: one of them branched on local data."""


class PeerFailed(ProtocolError):
    """Another role stopped; read its own error."""


class Parcel(NamedTuple):
    """One message on a link."""

    src: str
    dst: str
    header: tuple       # (step counter, full name)
    payload: bytes


class Link:
    """The part of a link that does not depend on how its bytes travel."""

    def receive(self, src, dst, header, ring, shape):
        """The next array from `src` to `dst`: elements of `ring`, of this `shape`."""
        try:
            received = ring.unpack(self.get(src, dst, header), shape)
        except ValueError as error:
            raise ProtocolError(
                f"{dst} heard from {src} at step {header[0]}: {error}") from None
        if ring.modulus < 256**ring.width and (received >= ring.modulus).any():
            raise ProtocolError(f"{dst} heard from {src} at step {header[0]} ({header[1]}) "
                                f"bytes that are no elements of {ring}")
        return received


def check(parcel, header):
    """The payload of `parcel`, if it belongs to the step that `header` names."""
    if parcel.header != header:
        raise OutOfStep(f"{parcel.dst} is at step {header[0]} ({header[1]}) and {parcel.src} at "
                        f"step {parcel.header[0]} ({parcel.header[1]}); decide on local values "
                        "through broadcast() only")
    return parcel.payload
