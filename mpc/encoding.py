"""Encoding: the range of fixed-point numbers, and the integers that stand for them."""

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np

from mpc.ring import Z2k, raw_limit


class Limits(NamedTuple):
    """Bounds on the absolute values of the numbers of a format."""

    value: float        # numbers that are encoded
    product: float      # products of two secrets
    matmul: float       # matrix products of two secrets, all terms of an element
    public: float       # a value that meets a public factor, and their product


def digit_base(unit: int) -> int:
    """D: the base of the digits in which public numbers are multiplied."""
    return max(unit, 1000)


def is_number(x) -> bool:
    """Is `x` a real number? NumPy registers durations as integers."""
    real = isinstance(x, (int, float, Real, Decimal, np.bool_))
    return real and not isinstance(x, np.timedelta64)


def size_of(number) -> float:
    """The absolute value of a number, infinite if it is too large for a float."""
    try:
        return abs(float(number))
    except OverflowError:
        return float("inf")


def are_whole(numbers: np.ndarray) -> bool:
    return np.array_equal(np.rint(numbers), numbers)


def real_array(numbers) -> np.ndarray:
    """`numbers` as an array of 64-bit integers or floats; raises for anything else.

    Integers stay integers: a float64 holds only 53 bits of them.
    """
    if isinstance(numbers, np.ma.MaskedArray):
        raise TypeError("fixed point: a masked array hides elements; fill it first")
    try:
        array = np.asarray(numbers)
    except ValueError:                  # whose text may show elements
        raise ValueError("fixed point: rows differ in length; pad them") from None
    if array.dtype == object and all(map(is_number, array.flat)):
        if any(isinstance(n, Integral) and abs(n) != size_of(n) for n in array.flat):
            raise ValueError("fixed point: integers beyond 2^53; give them an array")
        array = array.astype(float)
    kind = array.dtype.kind
    if kind not in "biuf":
        raise TypeError(f"fixed point: elements of {array.dtype}; give real numbers")
    if kind == "f" and not np.all(np.isfinite(array)):
        raise ValueError("fixed point: nan or inf in an array; give finite numbers")
    return array.astype({"f": np.float64, "u": np.uint64}.get(kind, np.int64))


def encode(rows: np.ndarray, scale: int, ring: Z2k) -> np.ndarray:
    """Real numbers as the nearest ring elements at `scale`; axis 0 is the holders'.

    The whole part and the rest are scaled apart: no digit of a large number is lost.
    """
    limit = raw_limit(ring) / (2 * float(scale))
    bad = ~np.asarray(np.abs(rows.astype(float)) < limit)
    if bad.any():
        at = "".join(f" at {np.argwhere(b)[0].tolist()}" for b in bad if b.ndim)
        raise ValueError(f"fixed point: the number{at} cannot be represented at scale "
                         f"{scale} in {ring}, whose limit is {limit:g}; take fewer "
                         "fractional digits or scale the data")
    whole = rows.astype(np.int64)
    rest = np.rint((rows - whole) * float(scale)).astype(np.int64)
    return ring.from_int(whole * np.int64(scale) + rest)


@lru_cache
def as_scale(ratio):
    """A whole ratio as an int, and equal fractions as one: both are found at once."""
    return ratio if ratio.denominator > 1 else int(ratio)


@lru_cache(typed=True)      # a program has few factors
def exact_factor(number) -> Fraction:
    """A public number as the fraction that is meant; a float by its short decimal."""
    plain = number.item() if isinstance(number, np.generic) else number
    if isinstance(plain, (int, Fraction)):
        return Fraction(plain)
    if not np.isfinite(float(plain)):
        raise ValueError(f"fixed point: {plain} is no factor; take a finite number")
    return Fraction(plain if isinstance(plain, Decimal) else str(float(plain)))


@lru_cache(typed=True)
def as_fraction(number) -> Fraction:
    """A public number as a fraction of small integers, to within a millionth of it."""
    exact = exact_factor(number)
    if abs(exact) > 1:
        return 1 / as_fraction(1 / exact)
    tiny = 0 < abs(exact) * 10**6 <= 1
    return Fraction(1, round(1 / exact)) if tiny else exact.limit_denominator(10**6)
