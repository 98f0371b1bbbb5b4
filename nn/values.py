"""Which values a Tensor holds and meets: real numbers as float64, exactly, or a type of its own."""

from fractions import Fraction
from math import isfinite
from numbers import Integral, Number, Real

import numpy as np

EXACT = 2**53           # up to here float64 holds every integer
LONG = 2**128           # numerators and denominators beyond are left to float64


def as_value(value, what="Tensor", copy=True):
    """Return `value` as something to compute with.

    Parameters
    ----------
    value : number, list, tuple, array or value of another type with a shape
    what : str
        Who asks, for the message.
    copy : bool
        Whether an array is one that its owner may write into later.

    Returns
    -------
    float64 array, or `value` itself where its type is none of NumPy's

    Raises
    ------
    TypeError
        For what holds no real numbers: complex numbers, strings, dates, objects, masked arrays.
    ValueError
        For numbers that float64 does not hold exactly, and rows of different lengths.
    """
    if isinstance(value, (Number, list, tuple, np.ndarray, np.generic)):
        return _floats(value, what, copy)
    if not hasattr(value, "shape"):
        raise TypeError(f"{what}: cannot hold a {type(value).__name__}; "
                        "pass a number, an array or a fixed-point value")
    return value


def as_operand(x, operation):
    """Return what stands beside a Tensor in `operation`: a Python number, or as `as_value` does."""
    if isinstance(x, (Number, np.generic)) or isinstance(x, np.ndarray) and not x.ndim:
        return as_number(x, operation)
    if isinstance(x, np.ndarray) or hasattr(x, "shape"):
        return as_value(x, operation)
    raise TypeError(f"Tensor: cannot {operation} a {type(x).__name__}; "
                    "pass a Tensor, a number or an array")


def as_number(x, what):
    """Return one public real number as a Python int or float; TypeError for anything else."""
    if isinstance(x, (np.ndarray, np.generic)) and not isinstance(x, np.ma.MaskedArray):
        x = x.item() if x.ndim == 0 else x
    if not isinstance(x, Real):
        raise TypeError(f"{what}: a {type(x).__name__} is no real number; pass an int or a float")
    try:
        number = float(x)
    except OverflowError:
        raise ValueError(f"{what}: the number is beyond float64; pass a smaller one") from None
    if not isinstance(x, Integral):
        return number
    if number != x:
        raise ValueError(f"{what}: float64 does not hold this integer exactly; pass one up to "
                         f"2^{EXACT.bit_length() - 1}, or float(number)")
    return int(x)


def as_factor(x, what):
    """Return one public real number that is finite, as a float; no bool."""
    if isinstance(x, (bool, np.bool_)):
        raise TypeError(f"{what}: a bool is no real number; pass an int or a float")
    number = float(as_number(x, what))
    if not isfinite(number):
        raise ValueError(f"{what}: {number} is not finite; pass a finite number")
    return number


def exact(number):
    """Return a public number as the fraction that its digits say: 0.1 is 1/10.

    Sums and products of such fractions are right to the last digit, so that what cancels leaves 0
    and no rest of a rounding. A number that would take too many digits, or is not finite, remains a
    float.
    """
    if isinstance(number, float):
        number = Fraction(repr(float(number))) if isfinite(number) else number
    else:
        number = Fraction(number)
    short = isinstance(number, Fraction) and max(abs(number.numerator), number.denominator) < LONG
    return number if short else float(number)


def _floats(value, what, copy):
    """Return `value` as a float64 array of the same numbers."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{what}: cannot take a masked array, whose mask would be lost; "
                        "pass array.filled(number)")
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{what}: the rows of a list differ in length; "
                         "pass rows of one length") from None
    if array.dtype.kind not in "biuf" and not _holds_large_integers(array):
        raise TypeError(f"{what}: cannot take {array.dtype.name} elements; pass real numbers")
    try:
        with np.errstate(over="ignore"):
            floats = array.astype(np.float64, copy=copy and isinstance(value, np.ndarray))
    except OverflowError:
        raise ValueError(f"{what}: an integer is beyond float64; pass smaller ones") from None
    if not _same(floats, value if isinstance(value, (list, tuple)) else array):
        raise ValueError(f"{what}: float64 does not hold these {array.dtype.name} numbers exactly; "
                         f"pass integers up to 2^{EXACT.bit_length() - 1}, or round them first")
    return floats


def _holds_large_integers(array):
    """Is this the object array that NumPy makes of Python integers beyond 64 bits?"""
    return array.dtype == object and all(type(x) is int for x in array.flat)


def _same(floats, numbers):
    """Are `floats` the very `numbers` that they were made from?"""
    if isinstance(numbers, np.ndarray) and numbers.dtype.kind in "bf":
        return (numbers.dtype.itemsize <= 8
                or bool(np.all((floats == numbers) | np.isnan(numbers))))
    large = np.isfinite(floats) & (np.abs(floats) >= EXACT)
    if not large.any():
        return True
    exact = np.asarray(numbers, dtype=object)       # Python's numbers compare exactly
    return all(a == b for a, b in zip(floats[large].tolist(), exact[large].tolist()))
