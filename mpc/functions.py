"""Functions of secret numbers: quotients, roots, exp, log, sigmoid, tanh, softmax.

A function computes from comparisons with public numbers and a polynomial, and sends
only the messages of these protocols. All comparisons of x read one opening of it and
travel together. Their bits place x in an interval and select what differs between
intervals:

    reciprocal, divide, sqrt, rsqrt, log    |x| = m 4^i, with 1/4 <= m < 1
    exp                                     x = k + m, with 0 <= m < 1
    sigmoid, tanh                           a parabola for each interval

In the first two rows a polynomial in m follows, the same one for all x. Intermediate
numbers have f = (l - 5) // 2 binary digits (29 in a ring of 64 bits), and the result is
truncated to the unit. Coefficients come from decimals that are rounded correctly, so
all roles have the same ones.

Arguments are `FixedPoint` numbers, secret or public, of any shape. A result r is off by
at most 2 eps + delta |r|, with delta from 1e-7 (64 bits) to 5e-5 (44), 30 times as much
for a root; docs/NUMBERS.md has the ranges of all formats. Rounds, and the bytes that a
worker sends for an element, are those of three digits, 64 bits, two workers and the
carry tree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from math import ceil, cos, floor, pi

import numpy as np

from mpc import beaver, comparison, public
from mpc.public import add, multiply, scaled
from mpc.ring import Ring
from mpc.share import RingArray, Share, check_broadcast, check_pair, shown

GUARD = 3       # a factor has at least so many binary digits below the unit
QUARTER, ONE = Fraction(1, 4), Fraction(1)


# ---- quotients and roots


def reciprocal(x):
    """1 / x for any x of any sign. It is 0 for x = 0, since nobody can notice that.

    Rounds: 12. Bytes: 258.
    """
    x = _operand(x, "reciprocal")
    large = ((2 * x.unit**2).bit_length() + 1) // 2     # from 4^large on, 1 / x = 0
    n = min(large, _quarters(x.ring))
    bits, m, factor = _mantissa(x.value, range(n), both=True)
    levels = _levels([Fraction(x.unit**2, 4 ** (i + 1)) for i in range(n)], both=True)
    p = _polynomial(m, factor, _fit(_inverse, QUARTER, ONE, 16))
    return _number(x, *_product(p, 4, bits, levels))


def divide(x, y):
    """x / y for y of any sign, of shapes that broadcast. It is 0 for y = 0, as above.

    For |x / y| below `x.limits.value` / 2^t with t = (l - 3) // 2, 2.0e6 by default. An
    error of |x| 2^(1 - t) comes on top. Rounds: 12. Bytes: 492.
    """
    for v in (x, y):
        _check(v, "divide")
    if (x.base, x.precision, x.ring) != (y.base, y.precision, y.ring):
        raise ValueError("divide: two formats; encode both operands alike")
    if isinstance(x.value, Share) and isinstance(y.value, Share):
        check_pair(x.value, y.value, "divide")
    check_broadcast(x.shape, y.shape, "divide")
    x, y = x._at(x.unit), y._at(y.unit)
    ring, n, t = y.ring, _quarters(y.ring), (y.ring.bits - 3) // 2
    _open(x.value, y.value)
    bits, m, factor = _mantissa(y.value, range(n), both=True)
    power = _selected(bits, _levels([Fraction(y.unit * 2**t, 4 ** (i + 1))
                                     for i in range(n)], both=True))
    _open(m, power)
    quotient = multiply(x.value, power)         # x / y times m
    inverse = _polynomial(m, factor, _fit(_inverse, QUARTER, ONE, 16))
    _open(quotient, inverse)
    quotient = scaled(quotient, Fraction(2**GUARD, 2**t))
    inverse = scaled(inverse, Fraction(2 ** (t - GUARD), 4 ** _digits(ring)))
    return _number(x, multiply(quotient, inverse), t)


def sqrt(x):
    """The square root of 0 <= x < 1.1e15; 0 for x < 0. Rounds: 12. Bytes: 298."""
    return _root(x, "sqrt", Decimal.sqrt, 1)


def rsqrt(x):
    """1 / sqrt(x) for 0 < x < 1.1e15; 0 for x <= 0. Rounds: 12. Bytes: 298."""
    return _root(x, "rsqrt", _inverse_root, -1)


def _root(x, name, function, sign):
    """unit function(x): that of m, times (4^(i + 1) / scale) to the power sign / 2.

    More digits of x count than it has at the unit, if a truncation is pending.
    """
    _check(x, name)
    if x.scale != x.unit:
        x = x._at(max(x.unit, min(x.scale, x.unit**2) // 8))    # keeps the range
    exponents = range(_quarters(x.ring))
    bits, m, factor = _mantissa(x.value, exponents)
    root = _exact(Decimal.sqrt, Fraction(x.scale))
    levels = _levels([x.unit * (Fraction(2 ** (i + 1)) / root) ** sign
                      for i in exponents])
    p = _polynomial(m, factor, _fit(function, QUARTER, ONE, 16))
    return _number(x, *_product(p, 2, bits, levels))


# ---- exponential and logarithm


def exp(x):
    """e^x for x < high, and e^high from there on; 0 where that is below eps / 2.

    high is 15 with three digits and 64 bits, 10 with 48 bits and 9 with 44. Rounds: 11.
    Bytes: 218.
    """
    x = _operand(x, "exp")
    high = floor(0.45 * (x.ring.bits - 3 - _unit_bits(x)) * 0.693)
    return _number(x, *_exp(x.value, x.unit, -ceil(_ln(2 * x.unit)), high, x.unit))


def _exp(x, unit, low, high, factor):
    """factor e^x, and the binary digits of it: a power of e, times e^m."""
    whole = range(low, high + 1)
    bits = at_least(x, [k * unit for k in whole])
    inside = _selected(multiply(bits, x), [0, *[2] * (high - low), 0])
    floors = [-unit * (2 * k + 1) for k in whole[:-1]]
    m = add(inside, _selected(bits, [-unit, *floors, -unit]))       # 2 m - 1
    p = _polynomial(m, Fraction(2 ** _digits(x.ring), unit),
                    _fit(Decimal.exp, Fraction(0), ONE, 8))
    powers = [factor * _exact(Decimal.exp, Fraction(k)) for k in whole]
    return _product(p, 1, bits, [0, *powers])


def log(x):
    """The natural logarithm of 0 < x < 1.1e15; that of eps for x <= 0.

    Its error has no delta. Rounds: 11. Bytes: 282.
    """
    x = _operand(x, "log")
    exponents, places = range(_quarters(x.ring)), _unit_bits(x)
    bits, m, factor = _mantissa(x.value, exponents)
    part = Fraction(x.unit, 2**places)
    p = _polynomial(m, factor, [c * part for c in _fit(Decimal.ln, QUARTER, ONE, 16)])
    p = scaled(p, Fraction(2**places, 4 ** _digits(x.ring)))
    four, unit = (x.unit * _exact(Decimal.ln, Fraction(n)) for n in (4, x.unit))
    levels = [i * four - unit for i in (1, *(i + 1 for i in exponents),
                                        exponents.stop + 1)]
    return x._with(add(p, _selected(bits, levels)))


def softmax(x, axis: int = -1):
    """e^x over the sum of e^x along an axis, for any x.

    Its error has no delta, and the sum of k results is 1 to within k eps. With k = 10:
    Rounds: 35. Bytes: 237.
    """
    x = _operand(x, "softmax")
    v = x.value.moveaxis(axis, -1)
    unit, ring, k, f = x.unit, x.ring, v.shape[-1], _digits(x.ring)
    stop = f // 2 + (k.bit_length() + 1) // 2
    if not 1 <= k or stop > _quarters(ring):
        raise ValueError(f"softmax: {k} candidates over {ring}; take 1 or more, and "
                         "fewer, or a larger ring")
    c = f // 2 * 2
    top = public.maximum(v).reshape(*v.shape[:-1], 1)
    powers, digits = _exp(v - top, unit, -ceil(_ln(2 * unit * k)), 0, 1)
    powers = scaled(powers, Fraction(2**c, 2**digits))
    total = powers.sum(-1, keepdims=True)               # from 1 to k, with c digits
    exponents = range(c // 2 - 1, stop)
    bits, m, factor = _mantissa(total, exponents)
    part = Fraction(unit * 2**c, 2 ** _unit_bits(x))
    levels = _levels([part / 4 ** (i + 1) for i in exponents])
    p = _polynomial(m, factor, _fit(_inverse, QUARTER, ONE, 16))
    inverse, digits = _product(p, 4, bits, levels)
    room = ring.bits - 4 - c
    inverse = scaled(inverse, Fraction(2**room, 2**digits))
    shares = multiply(powers, inverse).moveaxis(-1, axis)
    return _number(x, shares, c + room - _unit_bits(x))


# ---- bounded functions


def sigmoid(x):
    """1 / (1 + e^-x) for any x. Its error has no delta. Rounds: 8. Bytes: 110."""
    x = _operand(x, "sigmoid")
    return _piecewise(x, _sigmoid, 0, _ln(x.unit / 0.75), 0.125)


def tanh(x):
    """The hyperbolic tangent of any x. No delta in its error. Rounds: 8. Bytes: 139."""
    x = _operand(x, "tanh")
    return _piecewise(x, _tanh, -1, _ln(2 * x.unit / 0.75) / 2, 2)


def _piecewise(x, function, left, reach, third):
    """`left` below -reach, 1 above reach, and in between parabolas of x.

    On an interval of length h, a parabola is off by at most third h^3 / 192, if `third`
    bounds the third derivative. That may be 3/4 eps: rounding takes another eps.
    """
    v, ring, unit = x.value, x.ring, x.unit
    n = ceil(2 * float(reach) / (144 / (third * unit)) ** (1 / 3))
    knots, parabolas = _parabolas(function, left, reach, n, unit)
    squares = scaled(multiply(v, v), Fraction(1, unit))
    bits, places = at_least(v, knots), ring.bits - 4 - _unit_bits(x)
    constant, linear, square = ([2**places * c for c in column]
                                for column in zip(*parabolas, strict=True))
    total = add(_selected(bits, constant), _selected(multiply(bits, v), linear))
    total = add(total, _selected(multiply(bits, squares), square))
    return _number(x, total, places)


@lru_cache
def _parabolas(function, left, reach, n, unit):
    """n + 1 knots of raw x, and the coefficients of 1, x and x^2 / unit between them.

    At scale unit, as x is.
    """
    knots = sorted({round(unit * reach * (2 * k - n) / n) for k in range(n + 1)})
    parabolas = [(Fraction(left * unit), Fraction(0), Fraction(0))]
    for low, high in zip(knots, knots[1:], strict=False):
        a, b, c = _fit(function, Fraction(low, unit), Fraction(high, unit), 3)
        t = Fraction(low + high, high - low)        # p = a + b z + c z^2, z = s x - t
        s = Fraction(2, high - low)
        parabolas.append((unit * (a - b * t + c * t**2), unit * s * (b - 2 * c * t),
                          (unit * s) ** 2 * c))
    return knots, [*parabolas, (Fraction(unit), Fraction(0), Fraction(0))]


# ---- intervals


def at_least(x, thresholds: Sequence[int]) -> RingArray:
    """[x >= t] for each of the public raw numbers, (len(thresholds), *x.shape)."""
    t = np.array(thresholds, np.int64)
    if isinstance(x, Share):
        return comparison.at_least(x, t)
    t = t.reshape(1, -1, *(1,) * x.ndim)
    return x._with(x.ring.from_int(x.ring.to_int(x.rows)[:, None] >= t))


def _selected(bits: RingArray, levels: Sequence) -> RingArray:
    """The level of the interval of x: levels[0] below all thresholds, and so on.

    With ``multiply(bits, x)`` for the bits, a multiple of x; levels[0] is 0 then.
    """
    first, *others = whole = [round(level) for level in levels]
    steps = [b - a for a, b in zip(whole, others, strict=False)]
    return bits.times(_raw(steps, bits)).sum(0).plus(first)


def _raw(values: Sequence[int], like: RingArray) -> np.ndarray:
    """Public numbers along the first axis of a stack."""
    elements = [value % like.ring.modulus for value in values]
    return np.array(elements, like.ring.dtype).reshape(1, -1, *(1,) * (like.ndim - 1))


def _mantissa(x: RingArray, exponents: range, both=False):
    """The bits of x >= 4^i, m in polynomial's form, and the factor to it.

    4^i <= |x| < 4^(i + 1), for an i of the `exponents`, makes |x| = m 4^(i + 1). Other
    x have m = 1/4, as does x < 0 unless `both` signs have an m.
    """
    top, f = (x.ring.bits - 2) // 2 * 2, _digits(x.ring)
    up = [4**i for i in (*exponents, exponents.stop)]
    bits = at_least(x, [1 - t for t in up[::-1]] * both + up)
    powers = _levels([2 ** (top - 2 - 2 * i) for i in exponents], both)
    none = [0 if power else 2 ** (top - 2) for power in powers]
    m = add(_selected(multiply(bits, x), powers), _selected(bits, none))
    return bits, m.plus(-5 * 2 ** (top - 3)), Fraction(2 ** (f + 3), 3 * 2**top)


def _levels(values: list, both=False) -> list:
    """The levels for the bits of `_mantissa`: 0 outside, and of the sign of x."""
    return [0, *(-v for v in reversed(values) if both), *[0] * both, *values, 0]


# ---- polynomials


def _polynomial(m: RingArray, factor: Fraction, coefficients: Sequence[Fraction]):
    """p(z) at scale 4^f for z = m factor 2^-f from -1 to 1, after Estrin.

    Of 2^q coefficients, neighbours make 2^(q - 1) linear terms. Each further level adds
    z^2, z^4, ... times every second term to the others: q openings, one after another.
    """
    f = _digits(m.ring)
    power = scaled(m, factor)
    constants, slopes = ([round(c * one) for c in coefficients[i::2]]
                         for i, one in enumerate((4**f, 2**f)))
    lines = power[None]
    terms = lines.times(_raw(slopes, lines)).plus(_raw(constants, lines))
    while terms.shape[0] > 1:
        power, odd = multiply(power, power), terms[1::2]
        _open(power, odd)
        power, odd = (scaled(v, Fraction(1, 2**f)) for v in (power, odd))
        terms = add(terms[::2], multiply(power, odd))
    return terms[0]


def _product(p: RingArray, largest: int, bits: RingArray, levels: Sequence):
    """p at scale 4^f times a level; p is at most `largest`.

    Returns the product and its scale's binary digits, as many as there is room for.
    """
    ring, f = p.ring, _digits(p.ring)
    room = ring.bits - 3 - (largest * ceil(max(map(abs, levels)))).bit_length()
    below = max(GUARD, room - f)
    level = _selected(bits, [v * 2**below for v in levels])
    _open(p, level)
    p = scaled(p, Fraction(2 ** (room - below), 4**f))
    return multiply(p, level), room


def _open(x: RingArray, y: RingArray) -> None:
    """One round for the openings of two secrets that are needed next."""
    if isinstance(x, Share) and isinstance(y, Share):
        beaver.open_all(x, y)


@lru_cache
def _fit(function: Callable[[Decimal], Decimal], low: Fraction, high: Fraction,
         count: int) -> tuple[Fraction, ...]:
    """The polynomial in z, from -1 to 1, that interpolates a function on low to high.

    With `count` coefficients, through Chebyshev's nodes. Newton's divided differences.
    """
    nodes = [Fraction(round(1e9 * cos(pi * (k + 0.5) / count)), 10**9)
             for k in range(count)]
    table = [_exact(function, (low + high) / 2 + (high - low) / 2 * z) for z in nodes]
    for i in range(1, count):
        table[i:] = [(b - a) / (nodes[k] - nodes[k - i]) for k, (a, b) in enumerate(
            zip(table[i - 1:], table[i:], strict=False), i)]
    result = [Fraction(0)] * count
    for value, node in zip(table[::-1], nodes[::-1], strict=True):
        shifted = [Fraction(0), *result[:-1]]
        result = [a - node * b for a, b in zip(shifted, result, strict=True)]
        result[0] += value
    return tuple(result)


def _exact(function: Callable[[Decimal], Decimal], x: Fraction | int) -> Fraction:
    """A function at x, to 50 digits."""
    x = Fraction(x)
    with localcontext(Context(prec=50)):
        return Fraction(function(Decimal(x.numerator) / Decimal(x.denominator)))


def _ln(x: float) -> Fraction:
    return _exact(Decimal.ln, Fraction(x))


def _inverse(x: Decimal) -> Decimal:
    return 1 / x


def _inverse_root(x: Decimal) -> Decimal:
    return 1 / x.sqrt()


def _sigmoid(x: Decimal) -> Decimal:
    return 1 / (1 + (-x).exp())


def _tanh(x: Decimal) -> Decimal:
    return 2 / (1 + (-2 * x).exp()) - 1


# ---- numbers


def _digits(ring: Ring) -> int:
    """f: products of numbers up to 7 with f binary digits each have room."""
    return (ring.bits - 5) // 2


def _quarters(ring: Ring) -> int:
    """The most powers of 4 that raw numbers are compared with."""
    return ring.bits // 2 - 2


def _unit_bits(x) -> int:
    return (x.unit - 1).bit_length()


def _operand(x, name: str):
    """`x` at its unit, for a function of this name."""
    _check(x, name)
    return x._at(x.unit)


def _check(x, name: str) -> None:
    """Raise unless the function `name` can take `x`."""
    if not hasattr(x, "weight_scale"):
        raise TypeError(f"{name} takes a FixedPoint, not {shown(x)}; encode it with "
                        "fix_precision()")
    if 512 * x.unit > 2 ** _digits(x.ring):
        raise ValueError(f"{name}: {x.precision} digits in base {x.base} over {x.ring} "
                         "leave no room inside; take fewer digits or a larger ring")
    if getattr(x._number.world, "truncation", None) == "local":
        raise ValueError(f"{name}: local truncation would fail in up to 1 of 4 cases; "
                         "make the World with truncation='provider'")


def _number(x, value: RingArray, places: int):
    """The result at the unit, from `places` more binary digits."""
    return x._with(value, x.unit * 2**places, 1, x.unit)._at(x.unit)
