"""Batches of several arrays of any type."""

from __future__ import annotations

from numbers import Integral

from .values import Value


def batches(size: int, *arrays: Value) -> list[tuple[Value, ...]]:
    """Return tuples of up to `size` rows of each array; the last may have fewer.

    Use the same list in every epoch: a secret that was opened under a mask once then
    needs no further message.
    """
    if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
        raise ValueError("batches: the size is not a positive integer; pass one, then "
                         "the arrays")
    lengths = [len(array) for array in arrays]
    if not lengths or min(lengths) != max(lengths):
        raise ValueError(f"batches: arrays of {lengths} rows; pass one or more of "
                         "equally many rows")
    return [tuple(array[i:i + int(size)] for array in arrays)
            for i in range(0, lengths[0], int(size))]
