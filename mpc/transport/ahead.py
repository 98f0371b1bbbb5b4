"""Correlated randomness dealt in advance: the crypto provider runs first.

Where the provider receives nothing, as on the carry tree, its part of a program needs
no input. So it can run alone, and the workers keep its messages. Then they run the same
program without it, with the same bits as if it took part.

Each message of the provider serves one run: its masks hide one value only.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from mpc.transport.link import Link, Parcel, ProtocolError, check, where

DEALT = (0, "the end of what is dealt ahead")   # a header


class Outbox(Link):
    """The link of a provider that runs alone: ``keep(parcel)`` gets its messages."""

    def __init__(self, keep: Callable[[Parcel], None]):
        self.keep = keep

    def put(self, src: str, dst: str, header: tuple, payload: bytes) -> None:
        self.keep(Parcel(src, dst, header, payload))

    def get(self, src: str, dst: str, header: tuple) -> bytes | memoryview:
        raise ProtocolError(f"{dst} waits for {src} at {where(header)}, so it cannot "
                            "work ahead; run this program with it")

    def finish(self) -> None:
        pass


class Ahead(Link):
    """A link on which the messages of `dealer` are those that were dealt ahead.

    `dealt` is {worker: its parcels, in order}; all others go through `link`, if any.
    """

    def __init__(self, dealer: str, dealt: Mapping[str, Iterable[Parcel]],
                 link: Link | None = None):
        self.dealer, self.link = dealer, link
        self.dealt = {worker: iter(parcels) for worker, parcels in dealt.items()}
        self.sent = getattr(link, "sent", Counter())        # bytes, by peer
        self.received = getattr(link, "received", Counter())

    def put(self, src: str, dst: str, header: tuple, payload: bytes) -> None:
        if self.link is None or dst == self.dealer:
            raise ProtocolError(f"{src} has a message for {dst} at {where(header)}, "
                                f"and {self.dealer} has dealt ahead and gone")
        self.link.put(src, dst, header, payload)

    def get(self, src: str, dst: str, header: tuple) -> bytes | memoryview:
        if src != self.dealer and self.link:
            return self.link.get(src, dst, header)
        parcel = next(self.dealt[dst], Parcel(src, dst, DEALT, b""))
        self.received[src] += len(parcel.payload)
        return check(parcel, header)

    def finish(self) -> None:
        """End the program; raises `ProtocolError` if a dealt message is left over."""
        for worker, parcels in self.dealt.items():
            if next(parcels, None):
                raise ProtocolError(f"{self.dealer} dealt {worker} more than the "
                                    "program took")
        if self.link:
            self.link.finish()

    def uncounted(self) -> Link:
        return self.link.uncounted() if self.link else self


def used_up(parcels: deque[Parcel]) -> Iterator[Parcel]:
    """These parcels one by one, each freed as soon as it is used."""
    while parcels:
        yield parcels.popleft()
