"""The commands at the terminal: exit statuses, and a line that shows progress."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable

from mpc.seals import Cheated
from mpc.transport import interrupts
from mpc.transport.launcher import launched


def exit_status(name: str, run: Callable[[], int]) -> int:
    """``run()``, the exit status of the command `name`, or the status of its failure.

    2 after a one-line error about the input, the output, the memory or a worker who
    cheated, 130 after Ctrl-C, and silently 1 if the reader of the output has gone, as
    `head` does.
    """
    interrupts.raise_again()
    try:
        status = run()
        if sys.stdout is not None:
            sys.stdout.flush()          # at exit, a full disk would take three lines
        return status
    except BrokenPipeError:
        progress()
        _drop_output()
        return 1
    except (ValueError, OSError, Cheated) as error:
        line = str(error)
        if isinstance(error, OSError) and error.errno and not error.filename:
            _drop_output()              # our own errors name a file or an option
            line = f"output: {error.strerror}; write it to another place"
    except MemoryError as error:
        line = (f"out of memory ({str(error) or 'no details'}); take a smaller batch "
                "or fewer items")
    except KeyboardInterrupt as error:
        progress()
        print(f"{name}: {str(error) or 'interrupted'}", file=sys.stderr)
        return 130
    progress()
    print(f"{name}: {in_one_line(line)}", file=sys.stderr)
    return 2


def in_one_line(text: str) -> str:
    """`text` with line breaks and other control characters, as of a path, escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def one_process() -> int:
    """0, or 2 if a launcher started several processes; the first one says so."""
    place = launched()
    if not place or place[1] == 1:
        return 0
    if place[0] == 0:
        raise ValueError(f"a launcher started {place[1]} processes, and one simulates "
                         "all roles; start it without mpiexec")
    return 2


def _drop_output():
    """Discard what is still buffered: at exit, Python would try to write it again."""
    with contextlib.suppress(OSError, ValueError):      # no file, as in a notebook
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def progress(text: str = "") -> None:
    """Show `text` on a terminal, in place of the last one; an empty text removes it.

    It goes to standard error, so that standard output holds only results, and never to
    a pipe, a file or a notebook.
    """
    if sys.stderr is not None and sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
