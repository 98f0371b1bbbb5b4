"""Checked mode: every operation on fixed-point numbers is repeated on plain numbers.

``World(checked=True)`` is for lessons and for testing a program. It exists only in the
simulation, where all shares are in one process: after each operation of `FixedPoint`
the operands and the result are decoded, the operation is repeated on floating-point
numbers, and a difference beyond its error bound raises `OutOfRange` at the line where
it happens. Nothing is fed back: all shares are those of an unchecked World.

It detects numbers that leave their range, products that wrap around the ring,
truncations that fail, and comparisons beyond their range. Public values are always
checked, since everybody knows them.
"""

from __future__ import annotations

from numbers import Integral, Number

import numpy as np

from mpc.audit.tags import strip
from mpc.ring import Z2k, raw_limit
from mpc.share import Local, RingArray


class OutOfRange(ValueError):
    """A number has left the range in which operations on it are correct."""


def compare(name: str, result, operands: tuple, options: dict):
    """Raise OutOfRange unless `result` is that of the operation on plain numbers."""
    reference = REFERENCES.get((name, *map(_is_fixed, operands)), REFERENCES[name])
    with np.errstate(all="ignore"):
        expected, bound = reference(
            _step(name, result, operands), *map(_decoded, operands), **options)
    found, name = _decoded(result), name.replace("r@", "@")
    limit = raw_limit(result.ring) / float(result.scale)
    size = np.abs(expected).max(initial=0)
    if size >= limit and isinstance(result.ring, Z2k):
        raise OutOfRange(f"{name}: a number of size {size:.1e} came where "
                         f"{_format(result)} leave room for {limit:.1e}; scale the "
                         "data, take fewer digits or a larger ring")
    undefined = np.isnan(expected)
    if undefined.any():
        raise OutOfRange(f"{name}: {undefined.sum()} of {undefined.size} results are "
                         "undefined, such as a quotient by zero; change the operands")
    off = np.abs(found - expected)
    wrong = np.broadcast_to(~(off <= bound + 1e-12 + ROUNDING * size), found.shape)
    if wrong.any():
        raise OutOfRange(f"{name}: {wrong.sum()} of {wrong.size} results are wrong by "
                         f"up to {off.max():.1e}: a product wrapped around or a "
                         f"truncation failed; numbers are as large as {size:.1e}, with "
                         f"{_format(result)}; {_remedy(operands)}")


def _is_fixed(x):
    return hasattr(x, "weight_scale")


def _step(name, result, operands):
    """The distance of two neighbouring numbers in the coarsest format involved.

    For a quotient, also the error relative to the dividend (`mpc.functions.divide`).
    """
    if name == "updated":
        return 1 / result.unit
    fixed = filter(_is_fixed, _flat((result, *operands)))
    step = 1 / float(min(min(x.unit * x.weight_scale, x.rest) for x in fixed))
    if name == "divide":
        return step, 2.0 ** (1 - (result.ring.bits - 3) // 2)
    return step


def _flat(values):
    for v in values:
        yield from _flat(v) if isinstance(v, (list, tuple)) else (v,)


def _format(x):
    return f"{x.precision} digits in base {x.base} over {x.ring}"


def _remedy(operands):
    worlds = [getattr(x.value, "world", None) for x in _flat(operands) if _is_fixed(x)]
    if any(getattr(world, "truncation", None) == "local" for world in worlds):
        return "make the World with truncation='provider', or scale the data"
    return "scale the data, take fewer digits or a larger ring"


def _decoded(x):
    """The plain numbers of an operand, for the comparison only."""
    if isinstance(x, (list, tuple)):
        return type(x)(_decoded(v) for v in x)
    value = getattr(x, "value", None)
    if isinstance(value, (RingArray, Local)):
        rows = strip(value.rows)
        if isinstance(value, RingArray):
            rows = value.world.values_in(rows, value.ring)
        raw = value.ring.sum(rows, axis=0) if isinstance(value, RingArray) else rows[0]
        return value.ring.to_int(raw) / float(x.scale)
    if x is None or isinstance(x, Integral):
        return x if x is None else int(x)
    if isinstance(x, Number) or isinstance(x, np.ndarray) and x.dtype == object:
        return np.asarray(x, float)[()]
    return np.asarray(x)


# ------------------------------------------------------ the operations on plain numbers
#
# Each takes the distance of two neighbouring numbers and the decoded operands, and
# returns the result and the bound of its error, which docs/NUMBERS.md states in words.

ROUNDING = 1e-15            # of float64, relative to the operands


def _sum(op):
    def reference(ulp, x, y):
        return op(x, y), 2 * ulp + ROUNDING * (np.abs(x) + np.abs(y))
    return reference


def _product(op):
    def reference(ulp, x, y):
        x, y = np.asarray(x, float), np.asarray(y, float)
        sizes = op(np.abs(x), np.ones_like(y)) + op(np.ones_like(x), np.abs(y))
        return op(x, y), (1e-13 * op(np.abs(x), np.abs(y))
                          + ulp * (sizes + op(np.ones_like(x), np.ones_like(y))))
    return reference


def _public_product(op):
    """By public numbers, the second operand of `op`."""
    def reference(ulp, x, c):
        x, c = np.asarray(x, float), np.asarray(c, float)
        return op(x, c), (1.1e-6 * op(np.abs(x), np.abs(c))
                          + ulp * op(np.ones_like(x), 1 + np.abs(c)))
    return reference


def _quotient(ulp, x, y):
    y = np.asarray(y)
    return x / y, 1.1e-6 * np.abs(x / y) + ulp * (1 + np.abs(1 / y))


def _total(ulp, x, axis=None, keepdims=False):
    def add(array):
        return array.sum(axis=axis, keepdims=keepdims)
    return add(x), ulp * add(np.ones_like(x)) + 1e-14 * add(np.abs(x))


def _cumulated(ulp, x, axis=None):
    def add(array):
        return array.cumsum(axis)
    return add(x), ulp * add(np.ones_like(x)) + 1e-14 * add(np.abs(x))


def _argmax(ulp, x, axis=None, keepdims=False, one_hot=False):
    last = x.reshape(-1) if axis is None else np.moveaxis(x, axis, -1)
    place, top = last.argmax(-1), np.sort(last, -1)[..., -2:]
    tie = (top[..., -1] - top[..., 0] <= 2 * ulp) & (last.shape[-1] > 1)
    bound = np.where(tie, np.inf, 0)            # either may win
    if one_hot:
        return np.eye(last.shape[-1])[place], bound[..., None]
    shape = np.argmax(x, axis, keepdims=keepdims).shape
    return place.reshape(shape), bound.reshape(shape)


def _divided(steps, x, y):
    """By a secret or a public array of the same format; pending digits go before."""
    ulp, slack = steps
    ends = [np.divide(a, b, out=np.zeros(np.broadcast_shapes(x.shape, y.shape)),
                      where=b != 0)
            for a in _neighbours(x, ulp) for b in _neighbours(y, ulp)]
    low, high = np.min(ends, axis=0), np.max(ends, axis=0)
    low = np.where(y == 0, np.nan, low)         # never right
    error = 2 * ulp + 5e-5 * np.maximum(np.abs(low), np.abs(high)) + slack * np.abs(x)
    return (low + high) / 2, (high - low) / 2 + error


def _neighbours(x, ulp):
    """The multiples of `ulp` below and above x; both are x if it is one."""
    n = np.asarray(x) / ulp
    near = 1e-9 * np.maximum(np.abs(n), 1)
    return np.floor(n + near) * ulp, np.ceil(n - near) * ulp


def _softmax(ulp, x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    e /= e.sum(axis, keepdims=True)
    return e, 2 * ulp + np.expm1(2 * ulp) * e


def _top(ulp, x, k, axis=-1):
    return np.take(np.flip(np.sort(x, axis), axis), range(k), axis), ulp


def _sorted_rows(ulp, x, column):
    """Ties come in any order, so the other columns are not compared."""
    rows = np.take_along_axis(x, np.argsort(x[..., column], -1)[..., None], -2)
    return rows, np.where(np.arange(x.shape[-1]) == column, ulp, np.inf)


def _joined(ulp, values, axis=0):
    return np.concatenate(values, axis), ulp


def _function(f):
    """Of `mpc.functions`, with the largest delta of all rings."""
    def reference(ulp, x):
        result, (low, high) = f(x), map(f, _neighbours(x, ulp))
        moved = np.fmax(np.abs(low - result), np.abs(high - result))
        return result, 2.001 * ulp + 1.5e-3 * np.abs(result) + moved
    return reference


# Where bounds differ, the key shows which operands are fixed-point numbers.
REFERENCES = {
    "+": _sum(np.add), "-": _sum(np.subtract), "sum": _total, "concatenate": _joined,
    "*": _product(np.multiply), "@": _product(np.matmul), "/": _quotient,
    ("*", True, False): _public_product(np.multiply),
    ("@", True, False): _public_product(np.matmul),
    "r@": _public_product(lambda x, c: np.matmul(c, x)),
    "**": lambda ulp, x: _product(np.multiply)(ulp, x, x),
    "updated": lambda ulp, x, g, rate=1: (
        x - rate * g, ((1.1e-6 + ROUNDING) * (np.abs(x) + np.abs(rate * g))
                       + (2 + abs(rate)) * ulp)),
    "finer": lambda ulp, x, weight_scale: (x, ulp),
    "rescaled": lambda ulp, g, weight, x, c=1: (g, 2 * ulp + 1e-6 * np.abs(g)),
    "reciprocal": _function(np.reciprocal),
    "sqrt": _function(np.sqrt), "rsqrt": _function(lambda x: 1 / np.sqrt(x)),
    "exp": _function(np.exp), "log": _function(np.log), "tanh": _function(np.tanh),
    "sigmoid": _function(lambda x: (1 + np.tanh(x / 2)) / 2),
    "relu": lambda ulp, x: (np.maximum(x, 0), ulp),
    "drelu": lambda ulp, x: ((x >= 0).astype(float), 0),
    "eq": lambda ulp, x: (x == 0, 0),
    "max": lambda ulp, x, axis=None, keepdims=False: (
        x.max(axis=axis, keepdims=keepdims), ulp),
    "argmax": _argmax, "cumsum": _cumulated, "divide": _divided, "softmax": _softmax,
    "sort": lambda ulp, x, axis=-1: (np.sort(x, axis), ulp), "top_k": _top,
    "median": lambda ulp, x, axis=-1: (
        np.median(x, axis), 3 * ulp + 1.1e-6 * np.abs(np.median(x, axis))),
    "sort_rows": _sorted_rows,
    "get": lambda ulp, x, role=None: (x, ulp + ROUNDING * np.abs(x)),
}
