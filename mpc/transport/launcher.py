"""Turns a process started by an MPI launcher into a role with a supervisor.

The process forks: the child becomes the role, and the process that the launcher knows
becomes its `supervisor`. The commands of this package do so before NumPy is loaded,
since an import can fail too. This module uses only the standard library.

Roles in processes need `os.fork`: they are tested on Linux; macOS and other Unix
systems should work. Windows has the simulation only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

from mpc.transport import interrupts, supervisor
from mpc.transport.error_report import describe
from mpc.transport.supervisor import role_of

# The variables through which a launcher passes a process its rank and the number of
# processes (a PMIx launcher passes a name instead of the number). MPI works under the
# first two launchers; processes of the others cannot find each other.
LAUNCHERS = (("PMI_RANK", "PMI_SIZE"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"))
FOREIGN_LAUNCHERS = {"srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
                     "jsrun": ("JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE"),
                     "flux": ("FLUX_TASK_RANK", "FLUX_JOB_SIZE"),
                     "a launcher with PMIx": ("PMIX_RANK", "PMIX_NAMESPACE")}
WITH_ROLES = "mpc.train_mnist", "mpc.predict", "mpc.transport.mpi"      # commands

report_pipe = None      # in a role: the pipe on which its supervisor reads its report
life_pipe = None        # in a role: the pipe that closes when its supervisor ends


def launched() -> tuple[int, int] | None:
    """The rank of this process and the number of processes, or None without a launcher.

    Raises `ValueError` if a launcher started several processes that MPI cannot connect.
    """
    for names in LAUNCHERS:
        rank, size = (os.environ.get(name) for name in names)
        if rank is None or size is None:
            continue
        if not (rank.isdecimal() and size.isdecimal() and int(rank) < int(size)):
            raise ValueError(
                f"{names[0]} is {rank!r} and {names[1]} is {size!r}, not a rank and a "
                "number of processes; start mpiexec, or unset both")
        return int(rank), int(size)
    for launcher, (rank, size) in FOREIGN_LAUNCHERS.items():
        if rank in os.environ and size in os.environ:
            if os.environ[size] == "1":
                return None
            raise ValueError(
                f"{launcher} started this process ({rank} is set), and its processes "
                "cannot be the roles of one run; start them with the mpiexec of the "
                "MPI that mpi4py uses: mpiexec -n 4 python -m mpc.train_mnist; or "
                f"unset {rank} for a simulation in one process")
    return None


def start_early() -> None:
    """`start_role` now, if Python was started as ``python -m`` a command with roles."""
    if interrupts.command() in WITH_ROLES and (status := start_role()):
        sys.exit(status)


def start_role() -> int:
    """Under a launcher, fork into a supervisor and a role; returns in the role.

    Returns an exit status: 0, or 2 after one line if roles cannot be processes here.
    """
    try:
        place = launched()
        if place and not hasattr(os, "fork"):
            raise ValueError(
                f"roles in MPI processes need os.fork, which {sys.platform} does not "
                "have; use Linux, or run the simulation, without mpiexec")
    except ValueError as error:
        ranks = [os.environ.get(rank, "0") for rank, _ in FOREIGN_LAUNCHERS.values()]
        if set(ranks) == {"0"}:                 # one process prints it for all
            print(error, file=sys.stderr)
        return 2
    if place and report_pipe is None:
        _fork(*place)
    return 0


def report(line: str) -> None:
    """Pass a line to the supervisor to print; without a supervisor, print it now."""
    os.write(2 if report_pipe is None else report_pipe, f"{line[:1000]}\n".encode())


def _fork(rank, size):
    """Return in the child; only the server has the launcher's input and output."""
    global report_pipe, life_pipe
    role = role_of(rank, size)
    stderr, stdout, reports, life = (os.pipe() for _ in range(4))   # (read, write) each
    kept = (stderr[0], stdout[0], reports[0], life[1])      # by the supervisor
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})   # until both are ready
    child = os.fork()
    if child:
        signal.signal(signal.SIGINT, signal.SIG_IGN)    # the role reports the interrupt
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        for end in kept:
            os.set_inheritable(end, True)
        numbers = map(str, (child, rank, size, *kept[:3]))
        os.execv(sys.executable, [sys.executable, "-I", "-S",
                                  os.path.abspath(supervisor.__file__), role, *numbers])
    for end in kept:
        os.close(end)
    life_pipe = life[0]
    threading.Thread(target=_end_with_supervisor, args=(role, os.dup(2)),
                     daemon=True).start()
    os.dup2(stderr[1], 2)
    if rank:
        os.dup2(stdout[1], 1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)    # mpiexec passes nothing on
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True, write_through=False)   # whole lines
    os.close(stderr[1])
    os.close(stdout[1])
    report_pipe, sys.excepthook = reports[1], _report_and_exit
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _report_and_exit(kind, error, trace):
    """End the role on an uncaught error, without MPI's finalisation: it would wait."""
    report(describe(error))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(supervisor.INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1)


def _end_with_supervisor(role, stderr):
    """End this process when its supervisor is killed, which closes `life_pipe`.

    The launcher knows only the supervisor and would wait for the role.
    """
    os.read(life_pipe, 1)
    os.write(stderr, f"{role}: its supervisor was killed; the run ends\n".encode())
    os._exit(1)


@contextlib.contextmanager
def joining() -> Iterator[None]:
    """While MPI waits for the other processes, signals end this role at once.

    MPI waits in C, where Python runs neither its handler of Ctrl-C nor the thread that
    notices the end of the supervisor. The system sends SIGIO when `life_pipe` closes.
    """
    if life_pipe is None:
        yield
        return
    import fcntl  # missing on Windows, which has no roles

    interrupts.end_at_once()
    flags = fcntl.fcntl(life_pipe, fcntl.F_GETFL)
    fcntl.fcntl(life_pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life_pipe, fcntl.F_SETFL, flags | os.O_ASYNC)
    try:
        yield
        report(supervisor.JOINED)
    finally:
        fcntl.fcntl(life_pipe, fcntl.F_SETFL, flags)
        interrupts.raise_again()
