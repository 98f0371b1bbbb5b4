"""Ctrl-C while a command loads its libraries, or waits in C: it ends the process.

Elsewhere Ctrl-C raises `KeyboardInterrupt`. A library that is being imported may catch
it, turn it into another error, or print a long traceback, and code in C does not see it
before it returns. Standard library only.
"""

import signal
import sys
import threading

# The modules that are commands; each calls `raise_again` when it starts its work.
COMMANDS = ("mpc.train_mnist", "mpc.train_mnist.costs", "mpc.predict",
            "mpc.transport.mpi")

_changed = False


def end_early() -> None:
    """`end_at_once`, if Python was started as ``python -m`` one of `COMMANDS`."""
    if command() in COMMANDS:
        end_at_once()


def command() -> str | None:
    """The module after ``python -m``, while Python still looks for it."""
    if sys.argv[:1] == ["-m"]:
        return sys.orig_argv[-len(sys.argv)].removeprefix("-m")
    return None


def end_at_once() -> None:
    """From now on Ctrl-C ends this process, if it would raise `KeyboardInterrupt`."""
    global _changed
    if (threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _changed = True


def raise_again() -> None:
    """Undo `end_at_once`."""
    global _changed
    if _changed:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _changed = False
