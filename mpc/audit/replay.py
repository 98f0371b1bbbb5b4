"""Record a simulation and run one of its roles again, alone, on its messages.

A role that computes from its own data and messages only must send the same messages as
in the simulation, bit for bit. Any use of another role's data shows up as a difference.
"""

from __future__ import annotations

from collections import deque

from mpc.transport.link import Link, OutOfStep, Parcel, check
from mpc.world import Role, World


class RecordedWorld(World):
    """A simulation that keeps every message on its `tape`."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.tape = []

    def _exchange(self, messages):
        received, header = super()._exchange(messages), self._header(messages)
        self.tape += [Parcel(src, dst, header, ring.pack(rows))
                      for src, dst, _, ring, rows in messages if src != dst]
        return received

    def replay(self, role: Role | str, kind: type[World] = World, **options) -> World:
        """A World of class `kind` where `role` runs alone and receives from the tape.

        Run the same program in it, then call `finish`: it raises unless the role sent
        exactly the messages of the simulation.
        """
        name = self._named(role)
        options = {"ring_bits": self.ring.bits, "comparison": self.comparison,
                   "truncation": self.truncation, "security": self.security, **options}
        if self.seals:
            options |= {"seals": self.seals.number(self.ring), "spare": self.ring.spare}
        return kind(len(self.workers), here=(name,), keys=self._keys,
                    link=Playback(self.tape, name), **options)


class Playback(Link):
    """The link of a role that runs alone: it plays the tape and checks the messages."""

    def __init__(self, tape: list[Parcel], role: str):
        self.incoming = deque(p for p in tape if p.dst == role)
        self.outgoing = deque(p for p in tape if p.src == role)

    def get(self, src, dst, header):
        if not self.incoming:
            raise OutOfStep(f"{dst} waits at step {header[0]} ({header[1]}) for a "
                            "message that nobody sent in the simulation")
        parcel = self.incoming.popleft()
        if parcel.src != src:
            raise OutOfStep(f"{dst} waits for {src} at step {header[0]}, but the next "
                            f"message is from {parcel.src}")
        return check(parcel, header)

    def put(self, *parcel):
        if not self.outgoing or self.outgoing.popleft() != Parcel(*parcel):
            raise OutOfStep(f"{parcel[0]} sends {parcel[2][1]} at step {parcel[2][0]}, "
                            "which differs from the simulation")

    def finish(self):
        """Raise unless the role received and sent every message of the tape."""
        if self.incoming or self.outgoing:
            raise OutOfStep(f"{len(self.incoming)} messages not received and "
                            f"{len(self.outgoing)} not sent at the end")
