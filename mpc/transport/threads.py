"""One thread for each role: the same program in several Worlds of one process."""

import copy
import queue
import threading

from mpc.transport.link import Link, OutOfStep, Parcel, PeerFailed, check
from mpc.world import World, make_keys, role_names


def run_threads(program, n_workers=2, seed=None, timeout=60.0, kind=World, **options):
    """Run ``program(world)`` in one thread for each role; returns {role: result}.

    Each role has a World of its own, of class `kind`, holds only its own keys, and sends
    bytes through queues. An error in one role ends every other role at its next message;
    the original error is raised, and `OutOfStep` if a message is left over.
    """
    names = role_names(n_workers)
    keys, queues = make_keys(names, seed), Queues(names, timeout)
    results, errors = {}, {}

    def run(role):
        try:
            own = {names: key for names, key in keys.items() if role in names}
            link = queues.endpoint(role)
            world = kind(n_workers, here=(role,), keys=own, link=link, **options)
            results[role] = program(world)
        except BaseException as error:          # the other roles must hear of any error
            errors[role] = error
            queues.close(role, error)
        else:
            queues.close(role)

    threads = [threading.Thread(target=run, args=(role,), daemon=True) for role in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise min(errors.values(),
                  key=lambda e: 2 * isinstance(e, PeerFailed) + isinstance(e, OutOfStep))
    queues.finish()
    return results


class Queues(Link):
    """The links of roles that are threads: a queue for each ordered pair of them."""

    def __init__(self, roles, timeout=60.0):
        self.roles, self.timeout = roles, timeout
        self._queues = {(a, b): queue.SimpleQueue() for a in roles for b in roles if a != b}
        self._failures = []         # shared by all endpoints: which role stopped, and why

    def endpoint(self, *here):
        """The part of the links that these roles use; the others' are out of reach."""
        part = copy.copy(self)
        part._queues = {p: q for p, q in self._queues.items() if set(p) & set(here)}
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
        """`role` is done; roles that still wait for it are told, after an error all are."""
        news = OutOfStep(f"{role} has come to its end and sends no more")
        if error:
            news = PeerFailed(f"{role} stopped: {error!r}")
            self._failures.append(str(news))
        for other in self.roles:
            if other != role:
                self._queues[role, other].put(Parcel(role, other, None, news))

    def finish(self):
        """Raise `OutOfStep` if a sent message was never received."""
        for waiting in self._queues.values():
            while not waiting.empty():
                parcel = waiting.get()
                if parcel.header is not None:
                    raise OutOfStep(f"{parcel.src} sent {parcel.header[1]} at step "
                                    f"{parcel.header[0]}, and {parcel.dst} ended without it")
