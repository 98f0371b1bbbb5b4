"""One thread for each role: the same program in several Worlds of one process."""

from __future__ import annotations

import copy
import itertools
import queue
import threading

from mpc.program import World
from mpc.transport.link import Link, OutOfStep, Parcel, PeerFailed, check, where
from mpc.world import make_keys, role_names


def run_threads(program, n_workers: int = 2, seed: int | None = None,
                timeout: float = 60.0, kind: type[World] = World, **options) -> dict:
    """Run ``program(world)`` in one thread for each role; returns {role: result}.

    Each role has its own World, of class `kind`, holds only its own keys, and sends
    bytes through queues. An error in one role ends every other role at its next
    message; the original error is raised, and `OutOfStep` if a message is left over.
    """
    names = role_names(n_workers)
    keys, queues = make_keys(names, seed), Queues(names, timeout)
    results, errors = {}, {}

    def run(role):
        try:
            own = {group: key for group, key in keys.items() if role in group}
            link = queues.endpoint(role)
            world = kind(n_workers, here=(role,), keys=own, link=link, **options)
            results[role] = program(world)
        except BaseException as error:          # the other roles must hear of any error
            errors[role] = error
            queues.close(role, error)
        else:
            queues.close(role)

    threads = [threading.Thread(target=run, args=(role,), daemon=True)
               for role in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        consequences = PeerFailed, OutOfStep        # of an error in another role
        raise min(errors.values(),
                  key=lambda error: [isinstance(error, kind) for kind in consequences])
    queues.finish()
    return results


class Queues(Link):
    """The links of roles that are threads: a queue for each ordered pair of roles."""

    def __init__(self, roles: tuple, timeout: float = 60.0):
        self.roles, self.timeout = roles, timeout
        pairs = itertools.permutations(roles, 2)
        self._queues: dict = {pair: queue.SimpleQueue() for pair in pairs}
        self._failures: list = []   # of roles that stopped; all endpoints share it

    def endpoint(self, *here: str) -> Queues:
        """The queues that these roles use; they cannot reach the others."""
        part = copy.copy(self)
        part._queues = {p: q for p, q in self._queues.items() if set(p) & set(here)}
        return part

    def put(self, src: str, dst: str, header: tuple, payload: bytes) -> None:
        if self._failures:
            raise PeerFailed(self._failures[0])
        self._queues[src, dst].put(Parcel(src, dst, header, payload))

    def get(self, src: str, dst: str, header: tuple) -> bytes | memoryview:
        try:
            parcel = self._queues[src, dst].get(timeout=self.timeout)
        except queue.Empty:
            raise OutOfStep(f"{dst} waits at {where(header)}: nothing came from {src} "
                            f"in {self.timeout} s") from None
        if not isinstance(parcel, Parcel):      # an error from close()
            raise parcel
        return check(parcel, header)

    def close(self, role: str, error: BaseException | None = None) -> None:
        """`role` is done: tell the roles that wait for it; after an error, tell all."""
        if error:
            self._failures.append(f"{role} stopped: {error!r}")
        for other in self.roles:
            if other != role:
                self._queues[role, other].put(
                    PeerFailed(self._failures[-1]) if error else
                    OutOfStep(f"{role} has finished and sends no more"))

    def finish(self) -> None:
        """Raise `OutOfStep` if a message was never received."""
        for waiting in self._queues.values():
            while not waiting.empty():
                parcel = waiting.get()
                if isinstance(parcel, Parcel):
                    raise OutOfStep(f"{parcel.dst} never received the message that "
                                    f"{parcel.src} sent at {where(parcel.header)}")
