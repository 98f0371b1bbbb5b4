"""One program, in one process or in a process for each role."""

from __future__ import annotations

from mpc.program import World
from mpc.transport.launcher import launched


def make_world(n_workers: int = 2, **options) -> World:
    """A World of all roles; under ``mpiexec``, of the role of this process.

    The options are those of `World`; the program is the same either way.
    """
    if not launched():
        return World(n_workers, **options)
    from mpc.transport.mpi import MpiWorld  # a module that is a command, too

    return MpiWorld(n_workers, **options)
