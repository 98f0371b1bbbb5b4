"""The supervisor of a role: a process that reports why the role died and ends the run.

`mpc.transport.launcher` runs this file as a script, in the process that the MPI
launcher started; the role is its child. A launcher ends all processes of a run when one
of them is killed, so no other role could still report which one it was. A supervisor
survives its role: it prints one line that names the role and the cause, and then ends
the others. It imports only the standard library and knows no key and no share.

Supervisors are tested on Linux. On macOS and other Unix systems they leave shared
memory behind more often.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import signal
import sys
import threading
import time
from array import array

TURN = 1.0                  # seconds between the reports of successive roles
GRACE_PERIOD = 2.0          # further seconds before a role reports that another ended
LAUNCHER_TIMEOUT = 10.0     # seconds for the launcher to read its pipes or end a run

# Exit statuses of a role, besides 0, 1 for an error and 2 for bad input.
CONSEQUENCE = 3     # it noticed the end of another role, whose supervisor knows why
DISAGREEMENT = 4    # it noticed that two programs differ; other roles may notice too
INTERRUPTED = 130

ENDED = "ended with the others"                 # the report of a role that ends well
END_SIGNAL = getattr(signal, "SIGUSR2", 0)      # a supervisor ends other roles with it


def main(role: str, pid: int, rank: int, size: int,
         stderr: int, stdout: int, report: int) -> None:
    """Supervise process `pid` of `role`; the last three arguments are pipes from it."""
    status, lines = watch(role, pid, stderr, stdout, report)
    time.sleep(delay(status, rank, size))
    for line in lines:
        say(2, role, line)
    if status:
        end_run(status if status in (2, INTERRUPTED) else 1)


def watch(role: str, pid: int, stderr: int, stdout: int, report: int) -> tuple:
    """Wait until the role ends; its status, and the lines to print about its end.

    Its standard output is passed on at once, and so is the server's standard error. The
    standard error of other roles is held back: it may be a mere consequence.
    """
    held, shown = [], []

    def pass_errors():
        for line in open(stderr, encoding="utf-8", errors="replace"):
            if role == "server":
                shown.append(line)
                say(2, role, line)
            else:
                held.append(line)

    def pass_output():
        for line in open(stdout, encoding="utf-8", errors="replace"):
            say(1, role, line)

    readers = [threading.Thread(target=read, daemon=True)
               for read in (pass_errors, pass_output)]
    for reader in readers:
        reader.start()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    for reader in readers:
        reader.join(GRACE_PERIOD)       # a child of the role may hold the pipe open
    os.set_blocking(report, False)
    reported = b""
    with contextlib.suppress(BlockingIOError):
        reported = os.read(report, 2**16)
    lines = reported.decode(errors="replace").splitlines()
    return verdict(status, held, lines, bool(shown))


def say(stream: int, role: str, line: str) -> None:
    """Write one line to standard output (1) or error (2), in one piece."""
    with contextlib.suppress(OSError):          # nobody reads it any more
        os.write(stream, f"{role}: {line.rstrip()}\n".encode())


def verdict(status: int, held: list, reported: list, shown: bool) -> tuple:
    """The status of a role for the run, and the lines to print about its end.

    `held` are lines of its standard error, and `reported` those of its error report;
    `shown` tells whether its lines have already appeared on the console.
    """
    if status == -signal.SIGINT:
        return INTERRUPTED, reported or ["interrupted"]
    if END_SIGNAL and status == -END_SIGNAL:
        return CONSEQUENCE, []
    if status < 0:
        name = signal.Signals(-status).name
        full = " (shared memory is full)" * (name == "SIGBUS")
        line = f"killed by signal {-status} ({name}){full}; the run ends"
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


# ------------------------------------------------------------------ the end of a run


def end_run(status: int) -> None:
    """End every process of the run, including this one."""
    for pid in other_roles():
        end_role(pid)
    wait_until_read()
    if "PMI_FD" in os.environ:          # ask the launcher of MPICH, as MPI_Abort does
        request = f"cmd=abort exitcode={status}\n".encode()
        with contextlib.suppress(OSError):
            os.write(int(os.environ["PMI_FD"]), request)
        time.sleep(LAUNCHER_TIMEOUT)
    os.kill(os.getpid(), signal.SIGKILL)        # any launcher then ends the run


def other_roles():
    """The pids of the roles of this run on this host, read from their supervisors."""
    script = ["-I", "-S", os.path.abspath(__file__)]
    for folder in glob.glob("/proc/[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            with open(f"{folder}/cmdline", encoding="utf-8") as file:
                words = file.read().split("\0")
            _, parent = _state_and_parent(os.path.basename(folder))
            if words[1:4] == script and parent == os.getppid():
                yield int(words[5])


def end_role(pid: int) -> None:
    """End a role that may wait for others, and unlink its shared memory.

    The role is stopped first, so that it creates no more of it.
    """
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGSTOP)
        deadline = time.monotonic() + 1
        while _state_and_parent(pid)[0] not in "TtZX" and time.monotonic() < deadline:
            time.sleep(0.002)
        unlink_shared_memory(pid)
        os.kill(pid, END_SIGNAL)
        os.kill(pid, signal.SIGCONT)


def _state_and_parent(pid):
    """The state of a process, one letter, and the pid of its parent."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        state, parent = file.read().rpartition(")")[2].split()[:2]
    return state, int(parent)


def unlink_shared_memory(pid: int | str = "self") -> None:
    """Unlink MPICH's shared memory, which a run that fails would leave behind.

    The names are not needed once all roles have opened it.
    """
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
            names = set(re.findall(r"/dev/shm/mpich_shm_\w+", maps.read()))
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(name)


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


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
