"""Convert pictures and labels to normalised rows, one-hot rows and batches."""

from __future__ import annotations

from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np

MEAN, DEVIATION = 0.1307, 0.3081    # of all training pixels, scaled to [0, 1]
PIXELS = 28 * 28


def normalise(images: np.ndarray) -> np.ndarray:
    """Return pictures as rows with mean 0 and deviation 1 over the training set.

    Parameters
    ----------
    images : (n, 28, 28) uint8 array

    Returns
    -------
    (n, 784) float64 array
        (images / 255 - 0.1307) / 0.3081: background -0.4242, full ink 2.8215.

    Raises
    ------
    TypeError
        If the pixels are not bytes, for example because they are already scaled.
    ValueError
        If the pictures have another shape.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise TypeError(f"normalise: pixels are {images.dtype}, not uint8; pass the "
                        "images as load_mnist returns them, and only once")
    if images.shape[1:] != (28, 28):
        raise ValueError(f"normalise: images have shape {images.shape}, not "
                         "(n, 28, 28); for a single picture pass images[i:i+1]")
    rows = images.reshape(-1, PIXELS) / 255
    rows -= MEAN                        # in place: 60,000 rows take 376 MB
    rows /= DEVIATION
    return rows


def one_hot(labels: Any, classes: int = 10) -> np.ndarray:
    """Return one row per label: 1 in the column of the label, 0 elsewhere.

    Parameters
    ----------
    labels : (n,) array of integers in 0..classes-1
    classes : int, default 10

    Returns
    -------
    (n, classes) float64 array

    Raises
    ------
    TypeError
        If the labels are not integers.
    ValueError
        If `labels` is not one-dimensional, `classes` is below 1, or a label is out of
        range.
    """
    labels = np.asarray(labels)
    _check_counts("one_hot", classes=classes)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"one_hot: labels are {labels.dtype}; pass integers")
    if labels.ndim != 1:
        raise ValueError(f"one_hot: labels have shape {labels.shape}, not (n,); "
                         "flatten them")
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        raise ValueError(f"one_hot: the label at position {wrong.argmax()} is not in "
                         f"0..{classes - 1}; correct it, or raise classes")
    return (labels[:, None] == np.arange(classes)).astype(np.float64)   # (n, classes)


def owner_slices(n_items: int, n_owners: int) -> list[slice]:
    """Divide the items among the owners: contiguous slices in file order.

    The slices are as equal as possible; any extra items go to the first owners.

    >>> owner_slices(10, 3)
    [slice(0, 4, None), slice(4, 7, None), slice(7, 10, None)]
    """
    _check_counts("owner_slices", n_items=n_items, n_owners=n_owners)
    if n_owners > n_items:
        raise ValueError(f"owner_slices: {n_owners} owners for {n_items} items leave "
                         f"some with none; take at most {n_items} owners, or more "
                         "items")
    each, extra = divmod(n_items, n_owners)
    starts = [i * each + min(i, extra) for i in range(n_owners + 1)]
    return [slice(start, stop) for start, stop in pairwise(starts)]


def batches(n_items: int, batch_size: int,
            n_owners: int) -> list[list[tuple[int, slice]]]:
    """Return the batches in file order, without shuffling, as parts by owner.

    Parameters
    ----------
    n_items : int
    batch_size : int
        The number of items in each batch; the last one may be shorter.
    n_owners : int
        Owner i has the items of `owner_slices(n_items, n_owners)[i]`.

    Returns
    -------
    list of lists of (owner, slice)
        One list per batch: its parts, in order. The slices index the whole set, and
        together the parts cover each item once. A batch from one owner has one part, a
        batch from two owners has two, and so on.

    Raises
    ------
    ValueError
        If a number is not a positive integer, or there are more owners than items.

    Examples
    --------
    >>> batches(6, 4, n_owners=2)
    [[(0, slice(0, 3, None)), (1, slice(3, 4, None))], [(1, slice(4, 6, None))]]
    """
    _check_counts("batches", n_items=n_items, batch_size=batch_size, n_owners=n_owners)
    owned = owner_slices(n_items, n_owners)
    return [_parts(owned, start, min(start + batch_size, n_items))
            for start in range(0, n_items, batch_size)]


def _parts(owned, start, stop):
    """Return the (owner, slice) pairs for the items from `start` to `stop`."""
    overlaps = ((i, max(start, own.start), min(stop, own.stop))
                for i, own in enumerate(owned))
    return [(i, slice(first, last)) for i, first, last in overlaps if first < last]


def _check_counts(function, **counts):
    for name, value in counts.items():
        if not (isinstance(value, Integral) and value >= 1):
            raise ValueError(f"{function}: {name}={value!r} is not a count; "
                             "pass an integer of 1 or more")
