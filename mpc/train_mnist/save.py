"""Files that are complete or missing: the trained model, and checkpoints.

A file grows as a `Draft` beside its place. The draft of a model exists from the start
of a run, as large as the model will be: a disk that is full by the end loses nothing.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from nn import Module

FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class Draft:
    """A file in the making, in the folder of `path`; a link stays a link.

    On Linux it has no name before `publish`, so a killed process leaves nothing.
    Elsewhere it is `.NAME.part`, and the next process for this place removes it. If a
    running process holds a draft for it, `BlockingIOError`. Without `publish`, leaving
    the context removes the draft.
    """

    def __init__(self, path: str | os.PathLike, mode: int = 0o666):
        self.target = os.path.realpath(path)
        folder, name = os.path.split(self.target)
        self.part = os.path.join(folder, f".{name}.part")
        with contextlib.suppress(FileNotFoundError):
            old = os.open(self.part, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            with open(old, "rb") as file:
                _lock(file)
                os.unlink(self.part)
        with contextlib.ExitStack() as held:
            held.enter_context(_claim(self.target))
            try:
                self.file = open(os.open(folder, os.O_TMPFILE | os.O_RDWR, mode), "w+b")
                self.path = f"/proc/self/fd/{self.file.fileno()}"
            except (AttributeError, OSError):   # not on this system or in this folder
                self.file = open(os.open(self.part, FLAGS, mode), "w+b")
                self.path = self.part
                _lock(self.file)
            self._held = held.pop_all()

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *_) -> None:
        with contextlib.suppress(OSError):      # a full disk: what is left of a buffer
            self.file.close()
        if self.part:
            with contextlib.suppress(OSError):
                os.unlink(self.part)
        self._held.close()

    def publish(self) -> None:
        """Move the file to its place once it is on the disk, up to this position."""
        self.file.truncate()
        self.file.flush()
        os.fsync(self.file.fileno())
        if os.name == "nt":                     # Windows renames no open file
            self.file.close()
        if self.path != self.part:              # with src_dir_fd, link follows the link
            os.link(self.path, self.part, src_dir_fd=self.file.fileno())
        os.replace(self.part, self.target)
        self.part = ""
        with contextlib.suppress(OSError):      # Windows opens no folders
            folder = os.open(os.path.dirname(self.target), os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)


@contextlib.contextmanager
def _claim(target):
    """Hold a socket that, on Linux, one process at a time can have for this file.

    `BlockingIOError` if another process has it. It ends with its process.
    """
    name = f"\0mpc-numpy {hashlib.sha256(os.fsencode(target)).hexdigest()}"
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(socket.socket(socket.AF_UNIX)).bind(name)
        except AttributeError:                  # Windows has no such sockets
            pass
        except OSError as error:                # other systems have other names
            if error.errno == errno.EADDRINUSE:
                raise BlockingIOError from None
        yield


def _lock(file):
    """Hold the file until it is closed; `BlockingIOError` if another process does."""
    with contextlib.suppress(ImportError):      # Windows has no such locks
        import fcntl
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# ------------------------------------------------------------------ the model


@contextlib.contextmanager
def reserved(path: str | os.PathLike, model: Module) -> Iterator[Draft]:
    """A draft at `path`, as large as a file of this `model`.

    An `OSError` says in one line why there is none.
    """
    try:
        draft = Draft(path)
    except BlockingIOError:
        raise OSError(f"--save {path}: another run is about to write there; name "
                      "another place") from None
    except OSError as error:
        raise OSError(_refusal(path, error)) from None
    with draft:
        try:
            _write(draft.file, model)
            draft.file.flush()
            os.fsync(draft.file.fileno())
        except OSError as error:
            raise OSError(_refusal(path, error)) from None
        yield draft


def write_model(draft: Draft, model: Module, path: str | os.PathLike) -> None:
    """Complete the draft and move it to `path`.

    If that fails, the model goes to a new file in the folder for temporary files, which
    the `OSError` names.
    """
    try:
        draft.file.seek(0)
        _write(draft.file, model)
        if os.path.exists(draft.target):
            shutil.copymode(draft.target, draft.path)   # keeps the file's permissions
        draft.publish()
    except OSError as error:
        line = f"--save {path}: {error.strerror or error}; "
        try:
            second, name = tempfile.mkstemp(".npz", "model-")
            with open(second, "wb") as file:
                _write(file, model)
        except OSError as other:
            raise OSError(f"{line}nor could {tempfile.gettempdir()} be written "
                          f"({other.strerror or other})") from None
        raise OSError(f"{line}the model is in {name}") from None


def save_model(model: Module, path: str | os.PathLike) -> None:
    """Write the parameters to `path` as .npz, all or nothing; a link stays a link."""
    with reserved(path, model) as draft:
        write_model(draft, model, path)


def _write(file: BinaryIO, model: Module) -> None:
    arrays = {name: parameter.value for name, parameter in model.named_parameters()}
    np.savez(file, **arrays)  # type: ignore[arg-type]


def _refusal(path, error):
    return (f"--save {path}: cannot be written ({error.strerror or error}); name "
            "another place")


def check_place(path: str) -> str | None:
    """Why nothing at `path` may be replaced by a model, in one line, or None."""
    target = os.path.realpath(path)
    writable = os.path.isfile(target) and os.access(target, os.W_OK)
    if path.endswith(os.sep) or os.path.exists(target) and not writable:
        return f"--save {path}: not a writable file; name another"
    return None
