"""Numbers on their way into fixed point: how large they may be, and which integers they become."""

from decimal import Decimal
from fractions import Fraction
from numbers import Integral, Number
from typing import NamedTuple

import numpy as np

from mpc.ring import raw_limit

PRECISE = 1e-6              # a public factor is right to one part in a million
LARGEST = 1e9               # public factor, where the ring has room for it


class Limits(NamedTuple):
    """How large numbers of a format may be, in absolute value."""

    value: float        # what may be encoded
    product: float      # products of two secrets
    public: float       # a value that meets a public number or array, and the product


def most_divisor(ring):
    """The largest divisor with which every raw value up to R is truncated rightly."""
    return max(ring.modulus // 64, 1)


def digit_base(unit):
    """D: the base of the digits in which public numbers are multiplied."""
    return max(unit, 1000)


def limits(unit, ring, weight_scale=1):
    """The `Limits` of numbers of this `unit` over a `ring`."""
    value = raw_limit(ring) / (2 * unit * weight_scale)
    return Limits(value, value / unit, value / digit_base(unit))


def real_array(numbers):
    """`numbers` as an array of integers or float64; raises TypeError for other things.

    Integers are kept, since a float64 holds 53 bits of them only.
    """
    if isinstance(numbers, np.ma.MaskedArray):
        raise TypeError("fixed point: a masked array hides elements; fill it first")
    try:
        array = np.asarray(numbers)
    except ValueError:
        raise ValueError("fixed point: rows of different lengths are not an array; make them "
                         "equal") from None
    if array.dtype == object and all(
            isinstance(v, (Number, np.generic)) and not isinstance(v, complex) for v in array.flat):
        floats = np.array([float(v) for v in array.flat]).reshape(array.shape)
        if any(isinstance(v, Integral) and v != f for v, f in zip(array.flat, floats.flat)):
            raise ValueError("fixed point: among other numbers, an integer beyond 2^53 would lose "
                             "digits; give an array of integers alone")
        array = floats
    if array.dtype.kind not in "biuf":
        raise TypeError(f"fixed point: elements of type {array.dtype} are no real numbers; give "
                        "integers or floats")
    if array.dtype.kind == "b":
        return array.astype(np.int64)
    if array.dtype.kind in "iu":
        return array
    if not np.all(np.isfinite(array)):
        raise ValueError("fixed point: nan and inf are no numbers to compute with; take finite "
                         "ones")
    return array.astype(np.float64)


def are_whole(numbers):
    return np.array_equal(np.rint(numbers), numbers)


def encode(numbers, scale, ring, first=0):
    """Real `numbers` as ring elements at `scale`, to the nearest; raises beyond the ring.

    The whole part and the rest are scaled apart, so that no digit of a large number is lost. The
    `first` axes are not the caller's, and not named in an error.
    """
    limit = Fraction(int(raw_limit(ring)), 2)
    with np.errstate(over="ignore"):
        bad = ~np.asarray(np.abs(numbers.astype(float)) * float(scale) < float(limit))
    if bad.any():
        place = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(bad)))[first:]
        where = f" at {list(place)}" if numbers.ndim > first else ""
        raise ValueError(f"fixed point: the number{where} cannot be represented at scale {scale} "
                         f"in {ring}, whose limit is {float(limit) / float(scale):g}; take fewer "
                         "fractional digits or scale the data")
    if numbers.dtype.kind != "f":
        return ring.from_int(numbers.astype(np.int64) * np.int64(scale))
    whole = np.trunc(numbers)
    rest = np.rint((numbers - whole) * float(scale))
    return ring.from_int(whole.astype(np.int64) * np.int64(scale) + rest.astype(np.int64))


def exact_factor(number):
    """A public number as the fraction that it is; a float as the shortest decimal that reads so."""
    if isinstance(number, (Fraction, int, np.integer)):
        return Fraction(int(number)) if not isinstance(number, Fraction) else number
    if isinstance(number, (np.ndarray, np.bool_)):
        return exact_factor(number.item())
    if isinstance(number, Decimal) and number.is_finite():
        return Fraction(number)
    if not np.isfinite(float(number)):
        raise ValueError(f"fixed point: {number} is no factor; take a finite number")
    return Fraction(str(float(number)))


def as_fraction(number):
    """A public number as a fraction of small integers, within one part in a million."""
    exact = exact_factor(number)
    size = abs(exact)
    if max(abs(exact.numerator), exact.denominator) <= 10**6:
        return exact
    if size > 1:
        return 1 / as_fraction(1 / exact)
    return exact.limit_denominator(10**6) if size > Fraction(1, 10**6) else Fraction(
        1 if exact > 0 else -1, round(1 / size))
