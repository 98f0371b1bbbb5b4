"""Writing a trained model to a file, all or nothing."""

import contextlib
import os
import shutil
import stat
import time

import numpy as np


def save_model(model, path):
    """Write the parameters to `path` as .npz, all or nothing; a link stays one."""
    arrays = {name: parameter.value for name, parameter in model.named_parameters()}
    target = os.path.realpath(path)
    part = _beside(target)
    try:
        with open(part, "xb") as file:                  # its mode follows the umask
            np.savez(file, **arrays)
        if os.path.exists(target):
            shutil.copymode(target, part)               # a private file stays private
        os.replace(part, target)
    except OSError as error:
        raise OSError(f"--save {path}: {error.strerror or error}; name another place") from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(part)


def unfit_place(path):
    """Why no model can be saved at `path`, in one line, or None. Leaves nothing behind."""
    target = os.path.realpath(path)
    try:
        try:
            kind = os.lstat(target).st_mode
        except FileNotFoundError:
            kind = None
        if kind is not None and stat.S_ISDIR(kind) or not os.path.basename(path):
            return f"--save {path}: this is a folder; name a file in it"
        if kind is not None and not stat.S_ISREG(kind):
            return f"--save {path}: this is no ordinary file; name another"
        if not os.path.isdir(os.path.dirname(target)):
            return f"--save {path}: there is no folder {os.path.dirname(target)}; make it first"
        if kind is not None:
            open(target, "ab").close()
        part = _beside(target)
        open(part, "xb").close()
        os.unlink(part)
    except OSError as error:
        return f"--save {path}: cannot be written ({error.strerror}); name another place"
    return None


def _beside(target):
    """A new name in the folder of `target`."""
    return os.path.join(os.path.dirname(target), f"{os.getpid()}-{time.time_ns()}.part")
