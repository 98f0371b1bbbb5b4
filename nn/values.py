"""The values of a Tensor: real numbers as float64, or any type like an array.

A fixed-point type may have methods that save comparisons and rounding. Arrays do
without:

    x.relu_and_slope()      max(x, 0) and the slope of each element, 0 or 1
    x.argmax(one_hot=True)  1 at the first maximum along the last axis, 0 elsewhere
    x.sigmoid(), .softmax() functions that NumPy lacks
    x.operand()             x, rounded for a product; both passes use the same
    g.rescaled_for(w, x, c) the gradient g, rounded for the update of w by c * x.T @ g
    w.updated(g, rate)      w - rate * g, at the scale of w
"""

from __future__ import annotations

from fractions import Fraction
from math import isfinite
from numbers import Integral, Number, Real
from typing import Any

import numpy as np

Value = Any             # float64 arrays, fixed-point numbers, or any type like them
NUMBER = int, float     # the types of a public number, once `as_number` has taken it
EXACT = 2**53           # float64 represents every integer up to here
LARGE = "float64 is not exact for integers beyond 2^53; pass smaller ones, or floats"


def as_value(value: Any, caller: str = "Tensor") -> Value:
    """Copy real numbers into a float64 array; return other types of value unchanged.

    Errors name the `caller`.
    """
    if is_number(value):
        return np.array(as_number(value, caller), np.float64)
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{caller}: a masked array would lose its mask; "
                        "pass array.filled(number)")
    if not isinstance(value, (list, tuple, np.ndarray)):
        if hasattr(value, "shape"):
            return value
        raise TypeError(f"{caller}: cannot hold a {type(value).__name__}; "
                        "pass a number, an array or a fixed-point value")
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{caller}: the rows differ in length; "
                         "pass rows of equal length") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{caller}: cannot take {array.dtype.name} elements; "
                        "pass real numbers, integers up to 2^53")
    if array.dtype.kind in "iu" and ((array > EXACT) | (array < -EXACT)).any():
        raise ValueError(f"{caller}: {LARGE}")
    return array.astype(np.float64)


def is_number(x: Any) -> bool:
    """Is `x` a single number, or an array without axes?"""
    if getattr(x, "ndim", 0) or isinstance(x, np.ma.MaskedArray):
        return False
    return isinstance(x, (int, float, Number, np.generic, np.ndarray))


def as_number(x: Any, caller: str, finite: bool = False) -> int | float:
    """Return a public real number as an int or a float.

    `finite` also refuses bools, infinities and nan.
    """
    x = x.item() if is_number(x) and hasattr(x, "item") else x
    if not isinstance(x, (int, float, Real)) or finite and isinstance(x, bool):
        raise TypeError(f"{caller}: a {type(x).__name__} is not a real number; "
                        "pass an int or a float")
    number = int(x) if isinstance(x, Integral) else float(x)
    if isinstance(number, int) and abs(number) > EXACT:
        raise ValueError(f"{caller}: {LARGE}")
    if finite and not isfinite(number):
        raise ValueError(f"{caller}: {number} is not finite; pass a finite number")
    return number


def one_hot(x: Value) -> Value:
    """Return 1 at the first maximum along the last axis, 0 elsewhere."""
    if isinstance(x, np.ndarray):
        return np.eye(x.shape[-1])[x.argmax(-1)]
    return x.argmax(-1, one_hot=True)


def exact(number: Any) -> Fraction | float:
    """Return a public number as the fraction its digits denote: 0.1 as 1/10.

    Sums of such fractions cancel exactly. The number stays a float if it is not finite,
    or if the fraction needs more than 128 bits.
    """
    if not isinstance(number, Fraction):
        if not isfinite(number):
            return number
        number = Fraction(repr(float(number)) if isinstance(number, float) else number)
    above, below = number.as_integer_ratio()
    small = -2**128 < above < 2**128 and below < 2**128
    return number if small else float(number)
