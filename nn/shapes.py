"""Shapes: what `sum`, `mean` and `reshape` are asked for, checked alike for every type of value."""

from math import prod
from numbers import Integral


def shape_of(value):
    """Return the shape of `value`; a Python number has shape ``()``."""
    return getattr(value, "shape", ())


def axes_of(shape, axis):
    """Return the axes that `axis` names, None all of them, as a tuple of integers from 0 on."""
    if axis is None:
        return tuple(range(len(shape)))
    axes = axis if isinstance(axis, tuple) else (axis,)
    if any(isinstance(a, bool) or not isinstance(a, Integral) for a in axes):
        raise TypeError("sum: an axis is no integer; pass an integer, a tuple of them, or None")
    if any(not -len(shape) <= a < len(shape) for a in axes):
        raise ValueError(f"sum: this axis does not exist in shape {shape}; it has {len(shape)}")
    axes = tuple(int(a) % len(shape) for a in axes)
    if len(set(axes)) < len(axes):
        raise ValueError(f"sum: one of the axes of shape {shape} is named twice; name each once")
    return axes


def shape_from(sizes, old):
    """Return the shape that ``reshape(*sizes)`` asks for, -1 worked out; `old` is the present."""
    shape = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    if any(isinstance(n, bool) or not isinstance(n, Integral) or n < -1 for n in shape):
        raise TypeError("reshape: a size is no integer from 0 on; pass integers, one of them -1 "
                        "if it is to be worked out")
    known = prod(n for n in shape if n != -1)
    if list(shape).count(-1) == 1 and known:
        shape = [prod(old) // known if n == -1 else n for n in shape]
    if -1 in shape or prod(shape) != prod(old):
        raise ValueError(f"reshape: shape {old} does not fit what is asked; both need {prod(old)} "
                         "elements")
    return tuple(map(int, shape))
