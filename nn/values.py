"""Which values a Tensor holds and meets: real numbers as float64, or a type of its own."""

from fractions import Fraction
from math import isfinite
from numbers import Integral, Number, Real

import numpy as np

EXACT = 2**53           # up to here float64 holds every integer
LARGE = "an integer is beyond 2^53, where float64 leaves some out; pass smaller ones, or floats"


def as_value(value, what="Tensor"):
    """Return real numbers as a new float64 array, and a value of a type of its own as it is."""
    if is_number(value):
        return np.array(as_number(value, what), np.float64)
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{what}: a masked array would lose its mask; pass array.filled(number)")
    if not isinstance(value, (list, tuple, np.ndarray)):
        if hasattr(value, "shape"):
            return value
        raise TypeError(f"{what}: cannot hold a {type(value).__name__}; "
                        "pass a number, an array or a fixed-point value")
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{what}: the rows differ in length; pass rows of one length") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{what}: cannot take {array.dtype.name} elements; pass real numbers, "
                        "integers up to 2^53")
    if array.dtype.kind in "iu" and ((array > EXACT) | (array < -EXACT)).any():
        raise ValueError(f"{what}: {LARGE}")
    return array.astype(np.float64)


def is_number(x):
    """Is this one number, or an array without axes?"""
    scalar = isinstance(x, (Number, np.generic, np.ndarray)) and np.ndim(x) == 0
    return scalar and not isinstance(x, np.ma.MaskedArray)


def as_number(x, what, finite=False):
    """Return one public real number as an int or a float; if `finite` is asked for, no bool."""
    x = x.item() if is_number(x) and hasattr(x, "item") else x
    if not isinstance(x, Real) or finite and isinstance(x, bool):
        raise TypeError(f"{what}: a {type(x).__name__} is no real number; pass an int or a float")
    if isinstance(x, Integral) and abs(x) > EXACT:
        raise ValueError(f"{what}: {LARGE}")
    if finite and not isfinite(x):
        raise ValueError(f"{what}: {float(x)} is not finite; pass a finite number")
    return int(x) if isinstance(x, Integral) else float(x)


def exact(number):
    """Return a public number as the fraction that its digits say, 0.1 as 1/10: sums then cancel.

    It remains a float where it is not finite, or the fraction takes more than 128 bits.
    """
    if not isfinite(number):
        return number
    number = Fraction(repr(float(number)) if isinstance(number, float) else number)
    return number if max(abs(number.numerator), number.denominator) < 2**128 else float(number)
