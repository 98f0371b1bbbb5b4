"""Find the files of an MNIST split, load them, and check that they belong together."""

import os
from numbers import Integral
from pathlib import Path

from data.idx import FETCH, DataError, read_idx

EMBEDDED = Path(__file__).parent / "mnist"
FILE_STEMS = {"train": "train", "test": "t10k"}
PICTURE_SHAPE = (28, 28)
FETCH_ALL = (", or fetch all with `python -m data.mnist --download DIR` and name DIR by "
             "--data-dir, data_dir or MNIST_DIR")


def load_mnist(split="train", n=None, data_dir=None):
    """Return the first `n` pictures and labels of an MNIST split, in file order.

    Parameters
    ----------
    split : {"train", "test"}
    n : int, optional
        How many items; all that the files hold when left out.
    data_dir : path, optional
        Where the files are, gzipped or raw, under any of their usual names. When left out, the
        environment variable MNIST_DIR says it, and without that the subset embedded in this
        package is read: the first 6,400 training and the first 1,280 test items.

    Returns
    -------
    images : (n, 28, 28) uint8 array
        0 is the background, 255 full ink.
    labels : (n,) uint8 array
        The digits, 0 to 9.

    Raises
    ------
    DataError
        When the split is neither, a file is missing, damaged or another file than its name
        says, a label is above 9, the two files disagree, or they hold fewer than `n` items.
        One line: the file, what was found, what to do.

    Examples
    --------
    >>> images, labels = load_mnist("train", n=640)
    >>> images.shape, labels.shape
    ((640, 28, 28), (640,))
    """
    if split not in ("train", "test"):
        raise DataError(f"load_mnist: split={split!r} is neither 'train' nor 'test'; take one")
    if n is not None and not (isinstance(n, Integral) and n >= 1):
        raise DataError(f"load_mnist: n={n!r} is no number of items; take 1 or more, or leave "
                        "n out for all items")
    folder = _folder(data_dir)
    images_path = _find(folder, f"{FILE_STEMS[split]}-images", "idx3")
    labels_path = _find(folder, f"{FILE_STEMS[split]}-labels", "idx1")
    images, labels = read_idx(images_path, PICTURE_SHAPE), read_idx(labels_path, ())
    _check_pair(images_path, images, labels_path, labels)
    if n is not None and n > len(images):
        remedy = FETCH_ALL if folder == EMBEDDED else ""
        raise DataError(f"{images_path}: holds {len(images):,} items, {n:,} were asked for; "
                        f"ask for at most {len(images):,}{remedy}")
    return images[:n].copy(), labels[:n].copy()      # copies: writable, and no more than asked


def _check_pair(images_path, images, labels_path, labels):
    """Raise unless there is a label for each picture, and each label is a digit."""
    if len(images) != len(labels):
        raise DataError(f"{labels_path}: {len(labels):,} labels for the {len(images):,} pictures "
                        f"of {images_path.name}; take both files from the same set, or {FETCH}")
    if labels.max() > 9:
        item = int((labels > 9).argmax())
        raise DataError(f"{labels_path}: the label of item {item} is not a digit 0 to 9; {FETCH}")


def _folder(data_dir):
    """Return the directory to read: the caller's, else that of MNIST_DIR, else the embedded."""
    folder = os.environ.get("MNIST_DIR", "") if data_dir is None else os.fspath(data_dir)
    if not folder and data_dir is None:
        return EMBEDDED
    if not folder:
        raise DataError("load_mnist: the name of the directory is empty; give one, or leave it out "
                        "for the embedded subset")
    folder = Path(os.path.expanduser(folder))
    if not os.path.isdir(folder):
        flaw = "is a file, not a directory" if os.path.exists(folder) else "no such directory"
        said, correct = ((" (named by MNIST_DIR)", "MNIST_DIR") if data_dir is None else
                         ("", "the name"))
        raise DataError(f"{folder}: {flaw}{said}; correct {correct}, leave it out for the embedded "
                        "subset, or fetch the files with `python -m data.mnist --download DIR`")
    return folder


def _find(folder, stem, axes):
    """Return the path of the first of a file's usual names that exists in `folder`."""
    # The downloaded name comes first, so that fetching a damaged file again is a remedy.
    names = [f"{stem}{mark}{axes}-ubyte{ending}" for mark in "-." for ending in (".gz", "")]
    for name in names:
        if os.path.isfile(folder / name):
            return folder / name
    raise DataError(f"{folder / names[0]}: not there, nor {', '.join(names[1:])}; name the "
                    f"directory that holds it, or run `python -m data.mnist --download {folder}`")
