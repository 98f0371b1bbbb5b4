"""Find the files of an MNIST split, load them, and check that they belong together."""

from __future__ import annotations

import os
from numbers import Integral
from pathlib import Path

import numpy as np

from data.idx import FETCH, DataError, count_items, read_idx

EMBEDDED = Path(__file__).parent / "mnist"
FILE_STEMS = {"train": "train", "test": "t10k"}
PICTURE_SHAPE = (28, 28)
FETCH_ALL = (", or fetch all with `python -m data.mnist --download DIR` and name DIR "
             "by --data-dir, data_dir or MNIST_DIR")


def load_mnist(
    split: str = "train",
    n: int | None = None,
    data_dir: str | os.PathLike | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first `n` pictures and labels of an MNIST split, in file order.

    Parameters
    ----------
    split : {"train", "test"}
    n : int, optional
        The number of items; all items of the files by default.
    data_dir : path, optional
        The directory of the files, gzipped or raw, under any of their usual names. The
        default is the environment variable MNIST_DIR or, without it, the subset in this
        package: the first 6,400 training and the first 1,280 test items.

    Returns
    -------
    images : (n, 28, 28) uint8 array
        From 0, the background, to 255, full ink.
    labels : (n,) uint8 array
        The digits, 0 to 9.

    Raises
    ------
    DataError
        If `split` is unknown, a file is missing, damaged or not the file its name says,
        a label exceeds 9, the two files disagree, or they have fewer than `n` items.
        One line: the file, the fault, a remedy.

    Examples
    --------
    >>> images, labels = load_mnist("train", n=640)
    >>> images.shape, labels.shape
    ((640, 28, 28), (640,))
    """
    if split not in ("train", "test"):
        raise DataError(f"load_mnist: split={split!r} is neither 'train' nor 'test'; "
                        "pass one of them")
    if n is not None and not (isinstance(n, Integral) and n >= 1):
        raise DataError(f"load_mnist: n={n!r} is not a number of items; pass 1 or "
                        "more, or leave n out for all items")
    folder = _folder(data_dir)
    images_path = _find(folder, f"{FILE_STEMS[split]}-images", "idx3")
    labels_path = _find(folder, f"{FILE_STEMS[split]}-labels", "idx1")
    count = count_items(images_path, PICTURE_SHAPE)
    n_labels = count_items(labels_path, ())
    if count != n_labels:
        raise DataError(f"{labels_path}: {n_labels:,} labels for the {count:,} "
                        f"pictures of {images_path.name}; take both files from the "
                        f"same set, or {FETCH}")
    if n is not None and n > count:
        remedy = FETCH_ALL if folder == EMBEDDED else ""
        raise DataError(f"{images_path}: holds {count:,} items, but {n:,} were asked "
                        f"for; ask for at most {count:,}{remedy}")
    images = read_idx(images_path, PICTURE_SHAPE, stop=n)
    labels = read_idx(labels_path, ())
    if labels.max() > 9:
        item = int((labels > 9).argmax())
        raise DataError(f"{labels_path}: the label of item {item} is not a digit 0 to "
                        f"9; {FETCH}")
    return images.copy(), labels[:n].copy()         # writable


def _folder(data_dir):
    """Return the directory to read: `data_dir`, MNIST_DIR or the embedded subset."""
    named = data_dir is not None
    folder = os.fspath(data_dir) if named else os.environ.get("MNIST_DIR", "")
    if not folder and not named:
        return EMBEDDED
    if not folder:
        raise DataError("load_mnist: the name of the directory is empty; pass one, or "
                        "leave it out for the embedded subset")
    folder = Path(os.path.expanduser(folder))
    if not os.path.isdir(folder):
        flaw = "no such directory"
        if os.path.exists(folder):
            flaw = "is a file, not a directory"
        source, fix = ("", "the name") if named else (" (from MNIST_DIR)", "MNIST_DIR")
        raise DataError(f"{folder}: {flaw}{source}; correct {fix}, leave it out for "
                        "the embedded subset, or fetch the files with "
                        "`python -m data.mnist --download DIR`")
    return folder


def _find(folder, stem, axes):
    """Return the first existing path among the usual names of a file."""
    # The downloaded name comes first, so that a new download replaces a damaged file.
    names = [f"{stem}{mark}{axes}-ubyte{end}" for mark in "-." for end in (".gz", "")]
    for name in names:
        if os.path.isfile(folder / name):
            return folder / name
    raise DataError(f"{folder / names[0]}: not there, nor {', '.join(names[1:])}; pass "
                    "the directory that contains it, or run "
                    f"`python -m data.mnist --download {folder}`")
