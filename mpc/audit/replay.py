"""Record a simulation and run one of its roles again, alone, on the messages it received.

A role that computes from its own data and messages alone must repeat, bit for bit, every
message that it sent in the simulation. Any use of another role's data shows as a
difference.
"""

from collections import deque

from mpc.transport.link import Link, OutOfStep, Parcel, check
from mpc.world import World


class RecordedWorld(World):
    """A simulation that keeps every message on its `tape`."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.tape = []

    def _exchange(self, messages):
        received = super()._exchange(messages)
        names = ", ".join(dict.fromkeys(name for _, _, name, *_ in messages))
        header = (self.counter, self.ledger.label(names))
        self.tape += [Parcel(src, dst, header, ring.pack(rows))
                      for src, dst, _, ring, rows in messages]
        return received

    def replay(self, role, kind=World, **options):
        """A World of class `kind` where `role` lives alone and hears the tape.

        Run the same program in it, then call `finish`: it raises unless the role sent
        what it sent here.
        """
        role = self._named(role)
        options = {"ring_bits": self.ring.bits, "comparison": self.comparison,
                   "truncation": self.truncation, "products": self.products, **options}
        return kind(len(self.workers), here=(role,), keys=self._keys,
                    link=Playback(self.tape, role), **options)


class Playback(Link):
    """The link of one role run alone: it hears the tape and compares what the role sends."""

    def __init__(self, tape, role):
        self.heard = deque(p for p in tape if p.dst == role)
        self.said = deque(p for p in tape if p.src == role)

    def get(self, src, dst, header):
        if not self.heard:
            raise OutOfStep(f"{dst} waits at step {header[0]} ({header[1]}) for a message that "
                            "nobody sent in the simulation")
        parcel = self.heard.popleft()
        if parcel.src != src:
            raise OutOfStep(
                f"{dst} waits for {src} and hears {parcel.src} at step {header[0]}")
        return check(parcel, header)

    def put(self, *parcel):
        if not self.said or self.said.popleft() != Parcel(*parcel):
            raise OutOfStep(f"{parcel[0]} sends {parcel[2][1]} at step {parcel[2][0]}, which "
                            "differs from the simulation")

    def finish(self):
        """Raise unless the role received and sent every message of the tape."""
        if self.heard or self.said:
            raise OutOfStep(f"{len(self.heard)} messages unheard and {len(self.said)} unsaid at "
                            "the end")
