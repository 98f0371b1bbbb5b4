"""The supervisor of a role: a process that reports why the role died and ends the run.

`mpc.transport.launcher` runs this file as a script, in the process that the MPI
launcher started; the role is its child. A launcher ends all processes of a run when one
of them is killed, so no other role could still report which one it was. A supervisor
survives its role: it prints one line that names the role and the cause, and then ends
the others. It imports only the standard library and knows no key and no share.

If several roles fail, the first supervisor that takes a socket reports, and causes are
reported before their consequences. A supervisor also names its role when it is
stopped, and a role whose process ended before it had a supervisor.

Supervisors are tested on Linux, where docs/FAULTS.md lists what they do. On macOS and
other Unix systems they may print more lines and leave shared memory behind.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import select
import signal
import sys
import threading
import time
from array import array
from collections.abc import Iterable, Iterator

TURN = 0.5                  # seconds between the reports of successive roles
GRACE_PERIOD = 2.0          # further seconds before a role reports that another ended
LAST_LINES = 0.5            # seconds before a role's end, to which its lines belong
CHECK_INTERVAL = 1.0        # seconds between two looks at the other processes
LAUNCHER_TIMEOUT = 10.0     # seconds for the launcher to read its pipes or end a run
LITTLE = 32                 # MB of shared memory that must be left, or it is full

# Exit statuses of a role, besides 0, 1 for an error and 2 for bad input.
CONSEQUENCE = 3     # it noticed the end of another role, whose supervisor knows why
DISAGREEMENT = 4    # it noticed that two programs differ; other roles may notice too
INTERRUPTED = 130

JOINED = "joined the others"            # reports of a role that starts and ends well
ENDED = "ended with the others"
END_SIGNAL = getattr(signal, "SIGUSR2", 0)      # a supervisor ends other roles with it

LAUNCHER = os.getppid()     # its process on this host, also after it has ended
_reporting = None       # in the supervisor that reports: a socket; see `is_first`


def main(role: str, pid: int, rank: int, size: int,
         stderr: int, stdout: int, report: int) -> None:
    """Supervise process `pid` of `role`; the last three arguments are pipes from it."""
    status, lines = watch(role, pid, size, stderr, stdout, report)
    if status:
        time.sleep(delay(status, rank, size))
        if not is_first():
            time.sleep(LAUNCHER_TIMEOUT)        # another supervisor ends the run
            lines = []
    for line in lines:
        say(2, role, line)
    if status:
        end_run(status if status in (2, INTERRUPTED) else 1)


def role_of(rank: int, size: int) -> str:
    """The role of a rank, in the order of `world.role_names`."""
    if size < 4 and rank:
        return f"process {rank}"
    if rank and rank == size - 1:
        return "crypto_provider"
    return ("server", "alice", "bob")[rank] if rank < 3 else f"worker{rank}"


def watch(role: str, pid: int, size: int, stderr: int, stdout: int,
          report: int) -> tuple:
    """Wait until the role ends; its status, and the lines to print about its end.

    Its standard output is passed on at once. So is the server's standard error, except
    for the last lines before its end; that of other roles is held back. These lines may
    be a mere consequence of the end of another role.
    """
    held, shown, reported, ended = [], [], [], threading.Event()

    def pass_errors():
        for line in lines_of(stderr):
            if role == "server" and not ended.wait(LAST_LINES):
                shown.append(line)
                say(2, role, line)
            else:
                held.append(line)

    def pass_output():
        for line in lines_of(stdout):
            say(1, role, line)

    def keep_reports():
        for line in lines_of(report):
            reported.append(line)

    def check_start():
        missing = set()
        while JOINED not in reported and not ended.wait(CHECK_INTERVAL):
            before, missing = missing, missing_ranks(size)
            if before & missing and is_first():
                say(2, role_of(min(before & missing), size),
                    "ended before it joined the others; the run ends")
                end_run(1)

    readers = [threading.Thread(target=read, daemon=True)
               for read in (pass_errors, pass_output, keep_reports)]
    for thread in (*readers, threading.Thread(target=check_start, daemon=True)):
        thread.start()
    status = wait_for(role, pid)
    ended.set()
    for reader in readers:
        reader.join(GRACE_PERIOD)       # a child of the role may hold the pipe open
    return verdict(status, held, reported, bool(shown))


def lines_of(pipe: int) -> Iterator[str]:
    """The lines that come through a pipe, without their ends."""
    for line in open(pipe, encoding="utf-8", errors="replace"):
        yield line.rstrip()


def wait_for(role: str, pid: int) -> int:
    """Wait until the role ends; its status. If it is stopped, say so and wait on."""
    while True:
        _, status = os.waitpid(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        time.sleep(CHECK_INTERVAL)      # another supervisor may have stopped and end it
        if state_and_parent(pid)[0] in "Tt":
            stop = signal.Signals(os.WSTOPSIG(status))
            say(2, role, f"stopped by signal {int(stop)} ({stop.name}); the others "
                f"wait; kill -CONT {pid} continues it")


def say(stream: int, role: str, line: str) -> None:
    """Write one line to standard output (1) or error (2), in one piece."""
    with contextlib.suppress(OSError):          # nobody reads it any more
        os.write(stream, f"{role}: {line.rstrip()}\n".encode())


def verdict(status: int, held: list, reported: list, shown: bool) -> tuple:
    """The status of a role for the run, and the lines to print about its end.

    `held` are lines of its standard error, and `reported` those of its error report;
    `shown` tells whether its lines have already appeared on the console.
    """
    reported = [line for line in reported if line != JOINED]
    if status == -signal.SIGINT:
        return INTERRUPTED, reported or ["interrupted"]
    if END_SIGNAL and status == -END_SIGNAL:
        return CONSEQUENCE, []
    if status < 0:
        name = signal.Signals(-status).name
        reason = full_memory() if name in ("SIGBUS", "SIGSEGV") else ""
        line = f"killed by signal {-status} ({name}){reason}; the run ends"
        return -signal.SIGKILL, [line]
    lines = held + [line for line in reported if line != ENDED]
    if status == 0 and ENDED not in reported:
        return 1, [*lines, "ended before the others did; the run ends"]
    if status and not lines and not shown:
        lines = [f"ended with status {status}; the run ends"]
    return status, lines


def delay(status: int, rank: int, size: int) -> float:
    """Seconds to wait, so that other supervisors may report first and end the run.

    A killed role is reported at once. Bad input, a disagreement or Ctrl-C may end all
    roles alike: the first rank reports it. Consequences come last.
    """
    if status <= 0:
        return 0
    if status == CONSEQUENCE:
        return TURN * size + GRACE_PERIOD
    return TURN * rank


def full_memory() -> str:
    """The reason of a failed access to memory, if little shared memory is left."""
    with contextlib.suppress(OSError):
        disk = os.statvfs("/dev/shm")
        left, size = (n * disk.f_frsize / 2**20 for n in (disk.f_bavail, disk.f_blocks))
        if left < LITTLE:
            return (f": shared memory is full or too small, /dev/shm has {left:.0f} of "
                    f"{size:.0f} MB left; remove files there that no run uses, or make "
                    "it larger, as docker run --shm-size=256m does")
    return ""


# ------------------------------------------------------------------ the end of a run


def is_first() -> bool:
    """Is this the first supervisor of the run on this host that wants to report?

    The first one gets a socket whose name no other process can have before this one
    ends. Without such sockets, every supervisor is the first.
    """
    import socket  # needed at a failure only

    global _reporting
    try:
        run = f"{os.readlink('/proc/self/ns/pid')} {LAUNCHER}"
        unique = socket.socket(socket.AF_UNIX)
        unique.bind(f"\0mpc-numpy {run}")
        _reporting = unique
    except OSError as error:
        return error.errno != errno.EADDRINUSE
    return True


def end_run(status: int) -> None:
    """End every process of the run, including this one."""
    end_other_roles()
    unlink_of_run()
    wait_until_read()
    if "PMI_FD" in os.environ:          # ask the launcher of MPICH, as MPI_Abort does
        request = f"cmd=abort exitcode={status}\n".encode()
        with contextlib.suppress(OSError):
            os.write(int(os.environ["PMI_FD"]), request)
        time.sleep(LAUNCHER_TIMEOUT)
    os.kill(os.getpid(), signal.SIGKILL)        # any launcher then ends the run


def end_other_roles() -> None:
    """End the roles on this host, which may wait for others, and unlink their memory.

    Each is stopped first, so that it creates no more of it.
    """
    for pid in other_roles():
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGSTOP)
            wait_for_state(pid, "TtZX")
            unlink_shared_memory(pid)
            os.kill(pid, END_SIGNAL)
            os.kill(pid, signal.SIGCONT)
            wait_for_state(pid, "ZX")


def wait_until_read() -> None:
    """Wait until the launcher has read all output; it discards unread output."""
    import fcntl  # missing on Windows, which has no supervisors
    import termios

    for stream in (1, 2):
        deadline, unread = time.monotonic() + LAUNCHER_TIMEOUT, array("i", [1])
        while unread[0] and time.monotonic() < deadline:
            time.sleep(0.05)
            try:
                fcntl.ioctl(stream, termios.FIONREAD, unread)
            except OSError:                 # not a pipe: nothing is buffered
                break


# ------------------------------------------------------------------ processes


def processes() -> Iterator[str]:
    """The folders in /proc of the living processes that the launcher started here."""
    for folder in glob.glob("/proc/[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = state_and_parent(os.path.basename(folder))
            if parent == LAUNCHER and state not in "ZX":
                yield folder


def other_roles() -> Iterator[int]:
    """The pids of the roles of this run on this host, read from their supervisors."""
    script = ["-I", "-S", os.path.abspath(__file__)]
    for folder in processes():
        with contextlib.suppress(OSError, IndexError):
            words = read_file(f"{folder}/cmdline").split("\0")
            if words[1:4] == script:
                yield int(words[5])


def missing_ranks(size: int) -> set[int]:
    """The ranks without a process, if MPICH started all on this host, and directly."""
    with contextlib.suppress(OSError):
        folders, found = list(processes()), set[int]()
        alone = os.environ.get("MPI_LOCALNRANKS") == str(size)
        if alone and len(folders) < size and not ranks_of(f"/proc/{LAUNCHER}"):
            found.update(*map(ranks_of, folders))
            return set(range(size)) - found
    return set()


def ranks_of(folder: str) -> set[int]:
    """The rank of a process with this folder in /proc, or none, as for a launcher."""
    variables = read_file(f"{folder}/environ")
    return set(map(int, re.findall(r"\bPMI_RANK=(\d+)\0", variables)))


def state_and_parent(pid: int | str) -> tuple[str, int]:
    """The state of a process, one letter, and the pid of its parent."""
    state, parent = read_file(f"/proc/{pid}/stat").rpartition(")")[2].split()[:2]
    return state, int(parent)


def wait_for_state(pid: int, states: str) -> None:
    """Wait until the process is in one of these states, for a second at most."""
    deadline = time.monotonic() + 1
    while state_and_parent(pid)[0] not in states and time.monotonic() < deadline:
        time.sleep(0.002)


def read_file(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


# ------------------------------------------------------------------ shared memory


def unlink_shared_memory(pid: int | str = "self") -> None:
    """Unlink the shared memory of MPI that a role has opened.

    A run that fails would leave it behind. Nobody needs the names once all roles have
    joined.
    """
    with contextlib.suppress(OSError):
        opened = read_file(f"/proc/{pid}/maps")
        for path in glob.glob(f"/proc/{pid}/fd/*"):
            with contextlib.suppress(OSError):
                opened += f"\n{os.readlink(path)}"
        unlink(re.findall(r"/dev/shm/(?:mpich|ucx_shm)_\w+", opened))


def unlink_of_run() -> None:
    """Unlink the shared memory that MPICH has created for this run.

    A role that was killed while it joined may have been the only one to open it. MPICH
    names it after the hash (FNV-1a) of the launcher's name of the run.
    """
    name = name_of_run()
    if name:
        number = 2166136261
        for byte in name:
            number = (number ^ byte) * 16777619 % 2**32
        unlink(glob.glob(f"/dev/shm/mpich_*_{number:x}_*"))


def name_of_run() -> bytes:
    """The name of this run, from the launcher of MPICH; b"" without an answer.

    The role has ended and no longer asks the launcher anything.
    """
    answer = part = b"?"
    with contextlib.suppress(OSError, KeyError):
        launcher = int(os.environ["PMI_FD"])
        os.write(launcher, b"cmd=get_my_kvsname\n")
        while part and select.select([launcher], [], [], 1)[0]:
            answer += (part := os.read(launcher, 1000))
            if found := re.search(rb" kvsname=(\S+)\n", answer):
                return found[1]
    return b""


def unlink(paths: Iterable[str]) -> None:
    for path in set(paths):
        with contextlib.suppress(OSError):
            os.unlink(path)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
