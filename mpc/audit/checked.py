"""Checked mode: every operation on fixed-point numbers beside the same one on plain numbers.

``World(checked=True)`` is for lessons and for testing a program of one's own. It exists in the
simulation only, where all shares lie in one process: after each operation of `FixedPoint` the
operands and the result are put together and decoded, the operation is repeated on floating-point
numbers, and a difference beyond its error bound raises `OutOfRange`, at the line where it happens.
Nothing is ever fed back: the shares are those of an unchecked World, bit for bit.

It detects a number that leaves its range, a product that wraps around the ring, a truncation that
failed, and a comparison beyond its range. Public values are always checked, since everybody knows
them.
"""

from numbers import Integral, Number

import numpy as np

from mpc.ring import Z2k, raw_limit
from mpc.share import Local, RingArray
from mpc.audit.tags import strip


class OutOfRange(ValueError):
    """A number has left the range in which the operations on it are right."""


def compare(name, result, operands, options):
    """Raise OutOfRange unless `result` is that of the operation on plain numbers."""
    plain, reference = [_decoded(v) for v in operands], REFERENCES[name]
    if name in ("*", "@", "r@") and not all(hasattr(v, "weight_scale") for v in operands):
        reference = PUBLIC[name, hasattr(operands[0], "weight_scale")]
    with np.errstate(all="ignore"):
        expected, bound = reference(_step(name, result, operands), *plain, **options)
    found = _decoded(result)
    limit = raw_limit(result.ring) / float(result.scale)
    size = np.abs(expected).max(initial=0)
    if size >= limit and isinstance(result.ring, Z2k):
        raise OutOfRange(f"{name}: a number of size {size:.1e} came where {_format(result)} leave "
                         f"room for {limit:.1e}; scale the data, take fewer digits or a "
                         "larger ring")
    wrong = np.broadcast_to(~(np.abs(found - expected) <= bound + 1e-12), found.shape)
    if wrong.any():
        raise OutOfRange(f"{name}: {wrong.sum()} of {wrong.size} results are wrong by up to "
                         f"{np.abs(found - expected).max():.1e}: a product wrapped around or a "
                         f"truncation failed; numbers are as large as {size:.1e}, with "
                         f"{_format(result)}; {_remedy(operands)}")


def _step(name, result, operands):
    """The distance of two neighbouring numbers, of the coarsest that take part."""
    if name == "rescaled":
        return 1 / float(result.scale)
    weight_scale = min(v.weight_scale for v in _flat((result, *operands)) if hasattr(v, "weight_scale"))
    return 1 / (result.unit * weight_scale)


def _flat(values):
    for v in values:
        if isinstance(v, (list, tuple)):
            yield from _flat(v)
        else:
            yield v


def _format(x):
    return f"{x.precision} digits in base {x.base} over {x.ring}"


def _remedy(operands):
    worlds = [getattr(getattr(v, "value", None), "world", None) for v in _flat(operands)]
    if any(getattr(world, "truncation", None) == "local" for world in worlds):
        return "make the World with truncation='provider', or scale the data"
    return "scale the data, take fewer digits or a larger ring"


def _decoded(x):
    """The plain numbers of an operand: the sum of all shares, for nobody but the comparison."""
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


# ---------------------------------------------------------------------- the same on plain numbers
#
# Each of these takes the unit's inverse and the decoded operands, and returns what the operation
# should give and how far it may be off; docs/NUMBERS.md has the same bounds in words.

ROUNDING = 1e-15            # of float64, relative to the operands


def _sum(op):
    def reference(ulp, x, y):
        return op(x, y), 2 * ulp + ROUNDING * (np.abs(x) + np.abs(y))
    return reference


def _product(op):
    def reference(ulp, x, y):
        size = op(np.abs(x), np.abs(y))
        one = np.ones_like(np.asarray(x, float)), np.ones_like(np.asarray(y, float))
        return op(np.asarray(x, float), np.asarray(y, float)), (
            1e-13 * size + ulp * (op(np.abs(x), one[1]) + op(one[0], np.abs(y))
                                                + op(*one)))
    return reference


def _public_product(op, secret_first):
    def reference(ulp, x, y):
        x, y = np.asarray(x, float), np.asarray(y, float)
        ones = np.ones_like(x), np.ones_like(y)
        factor = op(ones[0], np.abs(y)) if secret_first else op(np.abs(x), ones[1])
        return op(x, y), 1.1e-6 * op(np.abs(x), np.abs(y)) + ulp * (op(*ones) + factor)
    return reference


def _quotient(ulp, x, y):
    return x / y, 1.1e-6 * np.abs(x / y) + ulp * (1 + np.abs(1 / y))


def _total(ulp, x, axis=None, keepdims=False):
    size, n = np.abs(x).sum(axis=axis, keepdims=keepdims), np.ones_like(x)
    return (x.sum(axis=axis, keepdims=keepdims),
            ulp * n.sum(axis=axis, keepdims=keepdims) + 1e-14 * size)


def _argmax(ulp, x, axis=None, one_hot=False):
    last = x.reshape(-1) if axis is None else np.moveaxis(x, axis, -1)
    place, top = last.argmax(-1), np.sort(last, -1)[..., -2:]
    close = (top[..., -1] - top[..., 0] <= 2 * ulp) & (last.shape[-1] > 1)      # either may win
    bound = np.where(close, np.inf, 0)
    return (np.eye(last.shape[-1])[place], bound[..., None]) if one_hot else (place, bound)


def _joined(ulp, values, axis=0):
    return np.concatenate(values, axis), ulp


REFERENCES = {
    "+": _sum(np.add), "-": _sum(np.subtract), "sum": _total, "concatenate": _joined,
    "*": _product(np.multiply), "@": _product(np.matmul), "r@": None, "/": _quotient,
    "**": lambda ulp, x, n: _product(np.multiply)(ulp, x, x),
    "drelu": lambda ulp, x: ((x >= 0).astype(float), 0), "eq": lambda ulp, x: (x == 0, 0),
    "max": lambda ulp, x, axis=None: (x.max(axis), ulp), "argmax": _argmax,
    "rescaled": lambda ulp, x, scale, weight_scale: (x, ulp),
    "get": lambda ulp, x, role=None: (x, ulp + ROUNDING * np.abs(x)),
}
PUBLIC = {("*", True): _public_product(np.multiply, True), ("@", True): _public_product(np.matmul, True),("*", False): _public_product(np.multiply, False), ("r@", True): _public_product(lambda x, y: np.matmul(y, x), True)}
