"""The last words of a role: a small process that waits for it, and ends the run if it fails.

Run as a script by `mpc.mpi`, in the process that the launcher of MPI started; the role is its
child. A launcher ends all processes of a run when one of them is killed, so that no other role
could still say which one it was. A guard can: it outlives its role, says in one line who ended and
why, and only then pulls the others down. It imports nothing but the standard library and knows no
key and no row.
"""

import fcntl
import os
import signal
import sys
import termios
import time
from array import array

PATIENCE = 2.0      # seconds in which a guard that knows why may speak first
ASKED = 10.0        # seconds for the launcher to do as it is asked
ALIKE = 2, 130      # bad input or Ctrl-C may end all roles alike: the first of them speaks for all
CONSEQUENCE = 3     # a role only noticed that another has ended: the other one's guard knows why


def watch(role, pid, words):
    """Wait for the process `pid` of `role`; returns its status and its last words.

    `words` is what the role writes to its standard error; the server's are passed on as they come.
    """
    heard = []
    for line in words:
        heard.append(line)
        if role == "server":
            say(role, heard.pop())
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status < 0:
        return 1, [f"killed by signal {-status} ({signal.Signals(-status).name}); the run ends"]
    return status, heard


def say(role, line):
    """One line on the standard error, in one piece."""
    os.write(2, f"{role}: {line.rstrip()}\n".encode())


def heard():
    """Wait until the launcher has read what was said: it drops the rest when a run ends."""
    deadline, unread = time.monotonic() + ASKED, array("i", [1])
    while unread[0] and time.monotonic() < deadline:
        time.sleep(0.05)
        try:
            fcntl.ioctl(2, termios.FIONREAD, unread)
        except OSError:                     # no pipe: it is read as it is written
            break


def end_all(status):
    """End every process of the run, this one too."""
    heard()
    if "PMI_FD" in os.environ:              # ask the launcher of MPICH, as MPI_Abort does
        os.write(int(os.environ["PMI_FD"]), f"cmd=abort exitcode={status}\n".encode())
        time.sleep(ASKED)
    os.kill(os.getpid(), signal.SIGKILL)    # any launcher ends a run of which a process is killed


def turn(status, rank):
    """Seconds in which the guards of other roles may speak first, and end the run."""
    return rank * (status in ALIKE) + PATIENCE * (status == CONSEQUENCE)


def main(rank, role, pid, source):
    signal.signal(signal.SIGINT, signal.SIG_IGN)        # the role itself says that it was stopped
    with open(int(source), encoding="utf-8", errors="replace") as words:
        status, last_words = watch(role, int(pid), words)
    time.sleep(turn(status, int(rank)))
    for line in last_words:
        say(role, line)
    if status:
        end_all(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
