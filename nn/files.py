"""Read the parameters of a trained model from a file."""

from __future__ import annotations

import os
import warnings
from zipfile import ZIP_DEFLATED, ZIP_STORED

import numpy as np


def load(path: str | os.PathLike, at_most: int | None = None) -> dict[str, np.ndarray]:
    """Return the parameters in an .npz file: {name: float64 array}, in file order.

    The names are those of ``model.named_parameters()``. ``np.savez(path, **arrays)``
    writes such a file. Nothing in it is unpickled.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    at_most : int, optional
        The most bytes that it may unpack to, since a small file can promise gigabytes:
        by default 20 times its size, and a megabyte.

    Raises
    ------
    ValueError
        If the file cannot be read, is damaged, too large or of another kind, or if an
        array is empty, not float64 or not finite. One line: the file, the fault, a
        remedy.
    """
    if not os.path.isfile(path):
        raise ValueError(f"load: {path}: no such file; name an .npz file of parameters")
    if at_most is None:
        at_most = 10**6 + 20 * os.path.getsize(path)
    try:
        with open(path, "rb") as raw, warnings.catch_warnings():
            warnings.simplefilter("ignore")     # about headers that Python 2 wrote
            size, names, arrays = _unpacked(raw, at_most)
    except OSError as error:
        raise ValueError(f"load: {path}: cannot be read ({error.strerror or error}); "
                         "correct its permissions, or save the model again") from None
    except Exception:           # NumPy, zipfile and zlib raise errors of many kinds
        raise ValueError(f"load: {path}: damaged, or no .npz file of plain arrays; "
                         "save the model again") from None
    if size > at_most:
        raise ValueError(f"load: {path}: unpacks to {size:,} bytes, more than "
                         f"{at_most:,}; take another file, or set at_most")
    if not all(map(str.isprintable, names)):
        raise ValueError(f"load: {path}: has a name that cannot be printed; save the "
                         "model again")
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


def _unpacked(raw, at_most):
    """Return the size, the names and the arrays in an .npz file, if not too large."""
    file = np.load(raw, allow_pickle=False)     # np.load leaves a damaged file open
    if not isinstance(file, np.lib.npyio.NpzFile) or file.zip is None:
        raise ValueError
    members = file.zip.infolist()
    if any(m.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for m in members):
        raise ValueError
    size, names = sum(m.file_size for m in members), list(file.files)
    return size, names, [file[n] for n in names] if size <= at_most else []


def _fault(array):
    """Return why an entry is no parameter, or None."""
    if not isinstance(array, np.ndarray):
        return "is no array"
    if array.dtype.newbyteorder("=") != np.float64:
        return f"has elements of {array.dtype}"
    if not array.size:
        return f"is empty, of shape {array.shape}"
    return None if np.isfinite(array).all() else "contains nan or inf"
