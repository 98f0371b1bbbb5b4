"""Shapes and axes: the arguments of `sum`, `mean` and `reshape`, for all values."""

from __future__ import annotations

from math import prod
from numbers import Integral
from typing import Any

from mpc.array_functions import axes_of as axes_of

Shape = tuple[int, ...]
Axis = int | tuple[int, ...] | None


def shape_of(value: Any) -> Shape:
    """Return the shape of `value`; a Python number has shape ``()``."""
    return getattr(value, "shape", ())


def shape_from(sizes: tuple, old: Shape) -> Shape:
    """Return the shape requested by ``reshape(*sizes)`` for a value of shape `old`."""
    one = len(sizes) == 1 and isinstance(sizes[0], (tuple, list))
    shape = sizes[0] if one else sizes
    if any(isinstance(n, bool) or not isinstance(n, Integral) or n < -1 for n in shape):
        raise TypeError("reshape: a size is not a non-negative integer; pass integers, "
                        "or -1 for one size to be computed")
    known = prod(n for n in shape if n != -1)
    if list(shape).count(-1) == 1 and known:
        shape = [prod(old) // known if n == -1 else n for n in shape]
    if -1 in shape or prod(shape) != prod(old):
        raise ValueError(f"reshape: shape {old} does not fit the requested shape; "
                         f"both need {prod(old)} elements")
    return tuple(map(int, shape))
