"""What the commands have in common at the terminal: how they end, and a line that shows progress.
"""

import os
import sys


def ending(name, run):
    """The exit status of a command: that of ``run()``, or one that says how it failed.

    2 after one line on what was wrong with the input, 130 after Ctrl-C, and 1 without a word if
    whoever read the output has gone, as `head` does.
    """
    try:
        return run()
    except BrokenPipeError:
        note()
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError) as error:
        note()
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        note()
        print(f"{name}: interrupted", file=sys.stderr)
        return 130


def note(text=""):
    """Show `text` on a terminal, in place of what was noted before; nothing, to take that away.

    On the standard error, so that the output holds results alone; not in pipes, files or notebooks.
    """
    if sys.stderr is not None and sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
