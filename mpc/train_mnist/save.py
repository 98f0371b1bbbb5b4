"""Writing a trained model to a file, all or nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nn import Module


def save_model(model: Module, path: str | os.PathLike) -> None:
    """Write the parameters to `path` as .npz, all or nothing; a link stays a link."""
    arrays = {name: parameter.value for name, parameter in model.named_parameters()}
    target = os.path.realpath(path)
    part = _part(target)
    try:
        with open(part, "xb") as file:
            np.savez(file, **arrays)
        if os.path.exists(target):
            shutil.copymode(target, part)               # keeps the file's permissions
        os.replace(part, target)
    except OSError as error:
        raise OSError(f"--save {path}: {error.strerror or error}; name another place"
                      ) from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(part)


def check_place(path: str) -> str | None:
    """Why no model can be saved at `path`, in one line, or None. Changes nothing."""
    target = os.path.realpath(path)
    writable = os.path.isfile(target) and os.access(target, os.W_OK)
    if path.endswith(os.sep) or os.path.exists(target) and not writable:
        return f"--save {path}: not a writable file; name another"
    try:
        open(_part(target), "xb").close()
        os.unlink(_part(target))
    except OSError as error:
        return (f"--save {path}: cannot be written ({error.strerror}); name another "
                "place")
    return None


def _part(target: str) -> str:
    """The temporary file, in the same folder."""
    return f"{target}.{os.getpid()}.part"
