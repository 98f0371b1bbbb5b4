"""Public factors: how a value is multiplied by numbers that everybody knows.

A value at scale S times c is

    the same raw value at scale S / c       if that is a whole multiple of the unit
    c times the raw value at scale S        for a whole number c
    p times the raw value at scale S q      for c = p / q, if there is room for p or q
    a sum over the digits of c              otherwise, one truncation for each digit

Arrays follow the same rule: whole numbers go into the raw value, multiples of one
number are whole numbers times that number, all others go digit by digit. There is room
as long as the product has the range of docs/NUMBERS.md; an operand whose scale leaves
too little is truncated first.
"""

from fractions import Fraction
from functools import lru_cache

import numpy as np

from mpc import encoding, public
from mpc.encoding import are_whole, as_fraction, as_scale, digit_base, exact_factor
from mpc.ring import raw_limit


def times_number(x, number):
    """The FixedPoint `x` times a public number.

    A gradient at a scale of its own, and so with a coarse `rest`, is an ordinary number
    from here on: the public factor is its last step.
    """
    y = _times(x, number)
    return y._with(y.value, rest=x.unit) if y.rest % x.unit else y


def _times(x, number):
    p, q = as_fraction(number).as_integer_ratio()       # refuses nan
    size = encoding.size_of(number)
    check_size(x, size)
    if number == 1 and not x.boolean:
        return x
    if size * raw_limit(x.ring) < 1:            # nothing is left even of large values
        return x._with(x._number.times(0))
    most = x.unit * max(x.ring.modulus // 64, 1)
    scale, rest = _free_scales(x.scale, x.rest, x.unit, p, q, most)
    if not scale:
        part = min(abs(p), q)
        if x.scale % x.unit and x.scale > x.unit:       # of a gradient
            x = x._at(x.unit)
        x = x._for_sum() if q == 1 else _at_least_unit(x, _widest(x) // part)
        scale, rest = _free_scales(x.scale, x.rest, x.unit, p, q, most)
    if scale:
        return x._with(x._number if p > 0 else -x._number, scale, rest=rest)
    if q > 1 and (x.scale * part > _widest(x) or x.scale * q > most):
        return _by_digits(x, np.float64(exact_factor(number)), public.multiply)
    return x._with(public.scaled(x._number, Fraction(p)), x.scale * q)


def times_array(x, c: np.ndarray, op):
    """`op` of the FixedPoint `x` and public numbers: a product, of matrices or not."""
    check_size(x, np.abs(c.astype(float)).max(initial=0))
    c = np.where(np.abs(c) * raw_limit(x.ring) < 1, 0, c)
    if are_whole(c):
        x = x._for_sum()
        return x._with(op(x._number, x._encoded(c, 1)))
    least = np.abs(c[c != 0]).min()
    whole = np.rint(c / least)
    multiples = np.allclose(c / least, whole, rtol=1e-12, atol=0)
    if not multiples or np.abs(whole).max() > digit_base(x.unit):
        return _by_digits(x, c, op)
    x = x.operand()
    product = x._with(op(x._number, x._encoded(whole, 1)))
    return times_number(product, least)


def _by_digits(x, c, op):
    """`op` of `x` and ``c = c_1 / D + c_2 / D^2 + ...``, the c_k whole numbers.

    By Horner's rule, op(x, c_1) + (op(x, c_2) + ...) / D, with as many digits as make
    each number correct to half of one part in a million.
    """
    x, base, rest, digits = _at_least_unit(x), digit_base(x.unit), c, []
    while not digits or np.any(np.abs(rest) > 5e-7 * base**len(digits) * np.abs(c)):
        digits.append(np.rint(rest * base))
        rest = rest * base - digits[-1]
    total = op(x._number, x._encoded(digits.pop(), 1))
    for digit in reversed(digits):
        product = op(x._number, x._encoded(digit, 1))
        total = public.add(public.scaled(total, Fraction(1, base)), product)
    return x._with(total, x.scale * base)


def check_size(x, size: float):
    """Raise unless public factors may be of this size."""
    largest = min(1e9, raw_limit(x.ring) / (2 * digit_base(x.unit)))
    if not size <= largest * 1.001:             # a float may be just above the bound
        raise ValueError(f"fixed point: take public factors of size up to {largest:g}")


def _widest(x):
    """The largest scale at which a product with a public number has its range."""
    return x.unit * x.weight_scale * digit_base(x.unit)


@lru_cache
def _free_scales(scale, rest, unit, p, q, most) -> tuple:
    """The scale at which a raw value is x p / q, and the rest; None, if above `most`.

    It is a multiple of the unit, or x comes from a gradient at a scale of its own
    (`rescaled_for`).
    """
    scale, coarse = scale * Fraction(q, abs(p)), rest % unit
    free = (scale % unit == 0 or coarse) and scale <= most
    return (as_scale(scale), unit if coarse else rest) if free else (None, None)


def _at_least_unit(x, most=0):
    """`x` at the unit, or at a larger scale up to `most` that one truncation reaches.

    The largest one is taken, so that few digits are lost.
    """
    if x.unit <= x.scale <= max(most, x.unit * x.weight_scale):
        return x
    least, units = -(-x.scale // max(most, 1)), x.scale // x.unit
    divisors = [d for d in range(least, min(least + 1000, units)) if units % d == 0]
    finer = x._at(x.scale // divisors[0] if divisors else x.unit)
    return finer._with(finer.value, rest=min(x.rest, x.unit))
