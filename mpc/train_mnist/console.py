"""The commands at the terminal: exit statuses, and a line that shows progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def exit_status(name: str, run: Callable[[], int]) -> int:
    """``run()``, the exit status of the command `name`, or the status of its failure.

    2 after a one-line error about the input, 130 after Ctrl-C, and silently 1 if the
    reader of the output has gone, as `head` does.
    """
    try:
        return run()
    except BrokenPipeError:
        progress()
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError) as error:
        progress()
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        progress()
        print(f"{name}: {str(error) or 'interrupted'}", file=sys.stderr)
        return 130


def progress(text: str = "") -> None:
    """Show `text` on a terminal, in place of the last one; an empty text removes it.

    It goes to standard error, so that standard output holds only results, and never to
    a pipe, a file or a notebook.
    """
    if sys.stderr is not None and sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
