"""Read the parameters of a trained model from a file."""

from __future__ import annotations

import os
import zlib
from zipfile import BadZipFile

import numpy as np

# What NumPy and zipfile raise for a file that is damaged or of another kind.
FAULTS = (ValueError, TypeError, KeyError, EOFError, BadZipFile, zlib.error,
          RuntimeError, NotImplementedError, MemoryError, OverflowError)


def load(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Return the parameters in an .npz file: {name: float64 array}, in file order.

    The names are those of ``model.named_parameters()``. ``np.savez(path, **arrays)``
    writes such a file. Nothing in it is unpickled.

    Raises
    ------
    ValueError
        If the file cannot be read, is damaged or is of another kind, or if an array is
        empty, not float64 or not finite. One line: the file, the fault, a remedy.
    """
    if not os.path.isfile(path):
        raise ValueError(f"load: {path}: no such file; name an .npz file of parameters")
    try:
        with open(path, "rb") as raw:       # np.load leaves a damaged file open
            file = np.load(raw, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError
            names, arrays = list(file.files), [file[name] for name in file.files]
    except OSError as error:
        raise ValueError(f"load: {path}: cannot be read ({error.strerror or error}); "
                         "correct its permissions, or save the model again") from None
    except FAULTS:
        raise ValueError(f"load: {path}: damaged, or no .npz file of plain arrays; "
                         "save the model again") from None
    if not names or len(set(names)) < len(names):
        fault = "two arrays of one name" if names else "no arrays"
        raise ValueError(f"load: {path}: has {fault}; save each parameter once")
    for name, array in zip(names, arrays, strict=True):
        fault = _fault(array)
        if fault:
            raise ValueError(f"load: {path}: {name!r} {fault}; save finite float64 "
                             "arrays, such as the parameters of a model")
    return {name: np.ascontiguousarray(array, np.float64).reshape(array.shape)
            for name, array in zip(names, arrays, strict=True)}


def _fault(array):
    """Return why an entry is no parameter, or None."""
    if not isinstance(array, np.ndarray):
        return "is no array"
    if array.dtype.newbyteorder("=") != np.float64:
        return f"has elements of {array.dtype}"
    if not array.size:
        return f"is empty, of shape {array.shape}"
    return None if np.isfinite(array).all() else "contains nan or inf"
