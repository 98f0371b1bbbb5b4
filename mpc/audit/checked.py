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

from functools import reduce
from itertools import product
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
    """The distance of two neighbouring numbers in the coarsest format involved."""
    if name == "updated":
        return 1 / result.unit
    fixed = filter(_is_fixed, _flat((result, *operands)))
    return 1 / float(min(min(x.unit * x.weight_scale, x.rest) for x in fixed))


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
        raw = value.ring.sum(rows, axis=0) if isinstance(value, RingArray) else rows[0]
        return value.ring.to_int(raw) / float(x.scale)
    if x is None or isinstance(x, Integral):
        return x if x is None else int(x)
    return float(x) if isinstance(x, Number) else np.asarray(x)


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


def _joined(ulp, values, axis=0):
    return np.concatenate(values, axis), ulp


def _function(f, scale=0.0):
    """Of `mpc.functions`: the largest delta of all rings, and `scale` |x| on top."""
    def reference(ulp, x, *operands, **options):
        result = f(x, *operands, **options)
        ends = product(*(_truncated(v, ulp) for v in (x, *operands)))
        moved = reduce(np.fmax, [np.abs(f(*v, **options) - result) for v in ends])
        return result, (2.001 * ulp + 1.5e-3 * np.abs(result) + scale * np.abs(x)
                        + moved)
    return reference


def _truncated(x, ulp):
    """The two numbers to which a pending truncation may round; others stay."""
    if isinstance(x, int):
        return x,
    return [ulp * rounded(x / ulp + d) for rounded, d in (
        (np.floor, 1e-6), (np.ceil, -1e-6))]


def _softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


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
    "rescaled": lambda ulp, g, weight, x, c=1: (g, ulp),
    "divide": _function(np.divide, 4e-6), "reciprocal": _function(np.reciprocal),
    "sqrt": _function(np.sqrt), "rsqrt": _function(lambda x: 1 / np.sqrt(x)),
    "exp": _function(np.exp), "log": _function(np.log), "tanh": _function(np.tanh),
    "sigmoid": _function(lambda x: (1 + np.tanh(x / 2)) / 2),
    "softmax": _function(_softmax),
    "relu": lambda ulp, x: (np.maximum(x, 0), ulp),
    "drelu": lambda ulp, x: ((x >= 0).astype(float), 0),
    "eq": lambda ulp, x: (x == 0, 0),
    "max": lambda ulp, x, axis=None, keepdims=False: (
        x.max(axis=axis, keepdims=keepdims), ulp),
    "argmax": _argmax, "cumsum": _cumulated,
    "get": lambda ulp, x, role=None: (x, ulp + ROUNDING * np.abs(x)),
}
