"""The error report of a role: one line that every party may read.

Reports appear at the launcher's console, which may belong to another party. So a report
quotes an error message only if this program or this package worded it. A message from a
library may quote a private value, so its report names only the error and the line.

Standard library only: a role can report that NumPy failed to load.
"""

from __future__ import annotations

import dis
import os

PACKAGES = "mpc", "nn", "data"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBRARY = os.path.realpath(os.path.dirname(os.__file__))


def describe(error: BaseException) -> str:
    """The report on `error`, in one line."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    while isinstance(error, ImportError) and isinstance(error.__cause__, ImportError):
        error = error.__cause__         # NumPy's own advice takes a page
    kind, frames = type(error).__name__, _frames(error)
    if isinstance(error, SyntaxError):
        file = os.path.basename(error.filename or "")
        return f"{kind}: {error.msg} ({file}, {error.lineno})"
    of_system = isinstance(error, OSError) and error.errno
    if of_system or isinstance(error, ImportError) or (
            frames and _is_worded_here(frames[-1])):
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return ": ".join([kind, *lines[:1]])
    own = ([frame for frame in frames if is_program(_file(frame))]
           or [frame for frame in frames if is_ours(_file(frame))])
    place = ""
    if own:
        place = f" in {os.path.basename(_file(own[-1]))}, line {own[-1].tb_lineno}"
    return (f"{kind}{place}; a library worded the message, which may quote private "
            "data; run the simulation on other numbers to read it")


def is_ours(file: str) -> bool:
    """Does this source file belong to one of the three packages?"""
    path = os.path.abspath(file)
    return any(path.startswith(os.path.join(ROOT, name, "")) for name in PACKAGES)


def is_program(file: str) -> bool:
    """Is this source file the user's own: not ours, not Python's and not installed?"""
    path = os.path.realpath(file)
    return (file.endswith(".py") and not is_ours(file)
            and not {"site-packages", "dist-packages"} & set(path.split(os.sep))
            and not path.startswith(os.path.join(LIBRARY, "")))


def _frames(error):
    """The traceback entries of `error`, outermost first."""
    frames, frame = [], error.__traceback__
    while frame:
        frames.append(frame)
        frame = frame.tb_next
    return frames


def _file(frame):
    return frame.tb_frame.f_code.co_filename


def _is_worded_here(frame):
    """Did a `raise` or `assert` of the program or of these packages word the error?

    The bytecode instruction decides: a function that fails while a ``raise`` line is
    evaluated words its own message.
    """
    instruction = frame.tb_frame.f_code.co_code[frame.tb_lasti]
    return instruction == dis.opmap["RAISE_VARARGS"] and (
        is_program(_file(frame)) or is_ours(_file(frame)))
