"""NumPy's functions on other types of arrays: `FixedPoint` and `nn.Tensor`.

NumPy passes a call such as np.mean(x) on to the type of x (NEP 13, NEP 18). One table
answers for all types. Each of its rules computes with the *primitives* of a type,

    + - * / @ **  & ~  >= > <= < == !=  sum max argmax cumsum relu sqrt exp log tanh
    reshape transpose [...], and `_joined`, which concatenates

and with rules above it. So a result is as secret as its operands, and on a Tensor every
rule has its gradient. A function that only moves elements is applied to their numbers.

Rules take the arguments of NumPy's functions, and refuse those that make no sense here
(out, dtype, where). Shapes, axes and positions are public.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from math import prod
from numbers import Integral, Number
from typing import Any

import numpy as np

RULES: dict[Callable, Callable] = {}        # {NumPy's function: ours}


class ArrayFunctions:
    """Base of a type with the primitives above: an array for NumPy's functions."""

    def __getattr__(self, name: str) -> Any:
        way = INSTEAD.get(name) or f"use np.{name}" * any(
            f.__name__ == name for f in RULES)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute "
                             f"'{name}'{way and '; '}{way}", name=name, obj=self)

    size = property(lambda self: prod(self.shape))

    def __array_function__(self, function, types, args, kwargs):
        return self._apply(function, args, kwargs)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if method != "__call__":
            raise TypeError(f"np.{ufunc.__name__}.{method} is not provided for a "
                            f"{type(self).__name__}; use its methods, such as sum")
        return self._apply(ufunc, inputs, options)

    def _apply(self, function, args, kwargs):
        kind, name = type(self).__name__, function.__name__
        if function not in RULES:
            way = INSTEAD.get(name, "use its methods, or reveal it first")
            raise TypeError(f"np.{name} is not provided for a {kind}; {way}")
        if "out" in kwargs:
            raise TypeError(f"np.{name}: no array takes in the result, which is a "
                            f"{kind}; write y = y + x for y += x, and leave out `out`")
        rule = RULES[function]
        try:
            inspect.signature(rule).bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"np.{name} of a {kind}: {error}; it takes "
                            f"{inspect.signature(rule)}") from None
        return rule(*args, **kwargs)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len: a number without axes has no length")
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __setitem__(self, key, value):
        raise TypeError(f"a {type(self).__name__} is not changed in place; make another"
                        " one, with np.where or np.concatenate")

    def __pos__(self):
        return self

    def __abs__(self):
        return absolute(self)

    def __format__(self, spec):
        if spec:
            raise TypeError(f"format: a {type(self).__name__} is no number that "
                            f"everybody knows; {INSTEAD['item']}")
        return str(self)

    def __index__(self):
        raise TypeError(f"index: a {type(self).__name__} is no integer that everybody "
                        "knows; multiply by x == np.arange(n), or reveal it first")

    def __or__(self, other):
        return logical_or(self, other)

    def __rand__(self, other):
        return self & other

    def __ror__(self, other):
        return self | other


def rule(*functions, method=True):
    """Enter a function as the rule of NumPy's `functions`, and as a method."""
    def enter(ours):
        RULES.update(dict.fromkeys(functions, ours))
        if method and not hasattr(ArrayFunctions, functions[0].__name__):
            setattr(ArrayFunctions, functions[0].__name__, ours)
        return ours
    return enter


# What to use in place of functions, methods and operators that are not provided.
INSTEAD = {name: way for way, names in {
    "use (x == y).all(), which is a secret bit": "array_equal",
    "use (abs(x - y) < bound).all(), which is a secret bit": "allclose",
    "use abs(x - y) < bound": "isclose",
    "the number of different values would depend on them; use sort": "unique",
    "the number of positions would depend on the values; use x != 0":
        "nonzero flatnonzero argwhere",
    "the number of elements would depend on the values; multiply by the secret bits":
        "compress extract",
    "positions would be secret; x.sort_rows(column) keeps rows together":
        "argsort argpartition lexsort",
    "count instead: (x >= y).sum()": "searchsorted digitize",
    "count instead: ((x >= low) & (x < high)).sum()": "histogram bincount",
    "use x.sort() and a public index": "percentile quantile partition",
    "use (x[:, None] == y).any(1), a secret bit for each x": "isin intersect1d",
    "use x.max() - x.min()": "ptp", "use np.diagonal(x).sum()": "trace",
    "use np.diagonal(x), or x * np.eye(n) for a matrix": "diag",
    "multiply by np.tri(n), or by its transpose": "tril triu",
    "use (x * weights).sum() / weights.sum()": "average",
    "with centred rows c of n numbers, use c @ c.T / (n - 1)": "cov corrcoef",
    "multiply the parts with *": "prod cumprod",
    "write it with @, * and sum of slices":
        "einsum tensordot vdot vecdot kron cross convolve correlate matrix_power",
    "use np.concatenate or np.stack": "append insert dstack block",
    "write np.where(mask, new, old)":
        "put putmask place copyto select choose piecewise fill fill_diagonal",
    "use x != y of two answers to comparisons": "bitwise_xor logical_xor ^",
    "use np.exp and np.log": "log2 log10 log1p expm1 exp2 float_power logaddexp",
    "use np.exp(x * np.log(a)) for a public a": "np.power(a,x)",
    "use abs": "fabs", "use np.maximum or np.minimum": "fmax fmin",
    "use np.sqrt(x ** 2 + y ** 2)": "hypot",
    "round what is revealed, or count public bounds: (x[..., None] >= bounds).sum(-1)":
        "round rint floor ceil trunc fix remainder fmod floor_divide divmod % //",
    "reveal it first": "save savez savetxt",
    "take .reveal() of a secret, .value of a Tensor":
        "item tolist numpy detach reveal get data",
    "take .value of a Tensor, where no gradient is wanted":
        "sort top_k sort_rows shuffle",
    "use np.linalg.norm": "norm",
    "it is never changed in place: y = x is a copy": "copy clone",
    "its numbers have a fixed point, and answers are 0 or 1": "astype dtype",
    "use np.full(x.shape, number)": "full_like empty_like",
    "no number is nan: encoding refuses it":
        "isnan isfinite isinf nan_to_num nansum nanmean nanmax nanmin",
    "use reshape": "view resize", "use x[:, None] or np.expand_dims": "unsqueeze",
    "use transpose": "permute t mT matrix_transpose", "use clip": "clamp",
    "use @": "mm bmm matmul matvec"}.items() for name in names.split()}


def _refused(sign: str):
    def refuse(self, *_):
        raise TypeError(f"{sign} is not provided for a {type(self).__name__}; "
                        f"{INSTEAD[sign]}")
    return refuse


for _sign, _names in {"%": "mod rmod", "//": "floordiv rfloordiv", "^": "xor rxor",
                      "divmod": "divmod rdivmod", "round": "round", "floor": "floor",
                      "ceil": "ceil", "np.power(a,x)": "rpow"}.items():
    for _name in _names.split():
        setattr(ArrayFunctions, f"__{_name}__", _refused(_sign))


def axes_of(shape: tuple, axis: int | tuple | None) -> tuple[int, ...]:
    """The non-negative axes that `axis` names; None names all."""
    if axis is None:
        return tuple(range(len(shape)))
    axes = axis if isinstance(axis, tuple) else (axis,)
    if any(isinstance(a, bool) or not isinstance(a, Integral) for a in axes):
        raise TypeError("an axis is not an integer; pass an integer, a tuple of them, "
                        "or None")
    if any(not -len(shape) <= a < len(shape) for a in axes):
        raise ValueError(f"shape {shape} does not have this axis; it has {len(shape)} "
                         "axes")
    axes = tuple(int(a) % len(shape) for a in axes)
    if len(set(axes)) < len(axes):
        raise ValueError(f"an axis of shape {shape} is named twice; name each once")
    return axes


def kept(x, axis, keepdims: bool) -> tuple[int, ...]:
    """The shape of x after a reduction along `axis`."""
    axes = axes_of(x.shape, axis)
    return tuple(1 if i in axes else n for i, n in enumerate(x.shape)
                 if keepdims or i not in axes)


def joined_last(x, axis):
    """x with all its elements along `axis` on one last axis."""
    axes = axes_of(x.shape, axis)
    others = [i for i in range(x.ndim) if i not in axes]
    x = x.transpose(*others, *axes) if x.ndim > 1 else x
    split = len(others)
    return x.reshape(*x.shape[:split], prod(x.shape[split:]))


# ------------------------------------------------------------------- the primitives


def _operator(function: Callable, back: str):
    def apply(x, y):
        if isinstance(x, ArrayFunctions) and not isinstance(y, np.ndarray | np.generic):
            return function(x, y)
        name = function.__name__.rstrip("_")
        on_left = isinstance(x, ArrayFunctions)
        result = (getattr(x, f"__{name}__")(y) if on_left
                  else getattr(y, f"__{back}__", lambda x: NotImplemented)(x))
        if result is NotImplemented:
            raise TypeError(f"np.{name}: a {type(x).__name__} does not meet a "
                            f"{type(y).__name__}; pass real numbers")
        return result
    return apply


for _name, _op, _back in (
        ("add", operator.add, "radd"), ("subtract", operator.sub, "rsub"),
        ("multiply", operator.mul, "rmul"), ("divide", operator.truediv, "rtruediv"),
        ("matmul", operator.matmul, "rmatmul"), ("power", operator.pow, "rpow"),
        ("bitwise_and", operator.and_, "rand"), ("bitwise_or", operator.or_, "ror"),
        ("less", operator.lt, "gt"), ("less_equal", operator.le, "ge"),
        ("greater", operator.gt, "lt"), ("greater_equal", operator.ge, "le"),
        ("equal", operator.eq, "eq"), ("not_equal", operator.ne, "ne")):
    RULES[getattr(np, _name)] = _operator(_op, _back)

RULES[np.negative], RULES[np.positive] = operator.neg, operator.pos
RULES[np.invert] = operator.invert


def _function(name: str, primitive: str = ""):
    def apply(x):
        if not hasattr(x, primitive or name):
            raise TypeError(f"np.{name} is not provided for a {type(x).__name__}; pass "
                            "its value where no gradient is wanted")
        return getattr(x, primitive or name)()
    return apply


for _name in ("sqrt", "exp", "log", "tanh", "reciprocal"):
    RULES[getattr(np, _name)] = _function(_name)


@rule(np.sort, method=False)
def sort(x, axis=-1):
    if axis is None:
        return _function("sort")(x.reshape(-1))
    return np.moveaxis(_function("sort")(np.moveaxis(x, axis, -1)), -1, axis)


@rule(np.median)
def median(x, axis=None, *, keepdims=False):
    """The one in the middle of the order along `axis`, or the mean of the two."""
    last = _function("median", "last_median")(joined_last(x, axis))
    return last.reshape(kept(x, axis, keepdims))


@rule(np.sum, method=False)
def sum_(x, axis=None, *, keepdims=False):
    return x.sum(axis, keepdims)


@rule(np.max, np.amax, method=False)
def max_(x, axis=None, *, keepdims=False):
    return x.max(axis, keepdims)


@rule(np.argmax, method=False)
def argmax(x, axis=None, *, keepdims=False):
    return x.argmax(axis, keepdims=keepdims)


@rule(np.cumsum, method=False)
def cumsum(x, axis=None):
    return x.cumsum(axis)


@rule(np.reshape, method=False)
def reshape(x, shape):
    return x.reshape(shape)


@rule(np.transpose, method=False)
def transpose(x, axes=None):
    return x.T if axes is None else x.transpose(axes)


@rule(np.concatenate, method=False)
def concatenate(arrays, axis=0):
    """Arrays joined along an axis that they have; all flattened for axis None."""
    arrays = list(arrays) if axis is not None else [np.ravel(a) for a in arrays]
    ours = [a for a in arrays if isinstance(a, ArrayFunctions)]
    first = min(ours, key=lambda a: not hasattr(a, "backward"))     # a Tensor, if any
    return first._joined(arrays, axis or 0)


# ------------------------------------------------------------------- moving elements


PUBLIC = int, str, tuple, list, slice, np.ndarray, np.integer, np.bool_, type(None)


def _check_public(name, *places):
    """Raise unless these are public positions, sizes or axes."""
    if not all(isinstance(p, PUBLIC) for p in places):
        raise TypeError(f"np.{name}: positions must be public; pass integers, or "
                        "multiply by secret bits")


def _mover(function):
    def move(x, *args, **kwargs):
        """Elements of x in the places that NumPy gives them."""
        _check_public(function.__name__, *args, *kwargs.values())
        try:
            places = function(np.arange(x.size).reshape(x.shape), *args, **kwargs)
        except (IndexError, ValueError) as error:       # whose text shows an operand
            raise type(error)(f"np.{function.__name__}: shape {x.shape} does not fit "
                              "these positions, sizes or axes") from None
        if isinstance(places, list):
            return [_taken(x, p) for p in places]
        return _taken(x, places)
    move.__name__ = function.__name__
    return move


def _taken(x, places):
    """The elements with these numbers, as views if that is possible."""
    flat = places.reshape(-1)
    if flat.size == x.size and np.array_equal(flat, np.arange(x.size)):
        return x.reshape(places.shape)
    return x.reshape((-1,))[places]


for _move in (np.ravel, np.squeeze, np.expand_dims, np.broadcast_to, np.swapaxes,
              np.moveaxis, np.flip, np.fliplr, np.flipud, np.roll, np.rot90, np.take,
              np.take_along_axis, np.repeat, np.tile, np.delete, np.diagonal, np.split,
              np.array_split, np.hsplit, np.vsplit, np.atleast_1d, np.atleast_2d):
    rule(_move)(_mover(_move))

setattr(ArrayFunctions, "flatten", RULES[np.ravel])     # noqa: B010


@rule(np.pad)
def pad(x, pad_width, mode="constant", **options):
    """As NumPy's, for modes that move elements, and for zeros around them."""
    _check_public("pad", pad_width, mode)
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap"):
        raise ValueError("np.pad: this mode computes; take constant, edge, reflect, "
                         "symmetric or wrap")
    if any(k != "constant_values" or np.any(v) for k, v in options.items()):
        raise ValueError("np.pad: only zeros are added, or elements as they are; leave "
                         "out the options, and add a constant afterwards")
    options = {"constant_values": x.size} if mode == "constant" else {}
    places = np.pad(np.arange(x.size).reshape(x.shape), pad_width, mode, **options)
    flat = x.reshape((-1,))
    return flat[places] if mode != "constant" else concatenate(
        [flat, np.zeros(1)])[places]


@rule(np.stack, method=False)
def stack(arrays, axis=0):
    return np.concatenate([np.expand_dims(a, axis) for a in arrays], axis)


@rule(np.vstack, method=False)
def vstack(arrays):
    return np.concatenate([np.atleast_2d(a) for a in arrays], 0)


@rule(np.hstack, method=False)
def hstack(arrays):
    arrays = [np.atleast_1d(a) for a in arrays]
    return np.concatenate(arrays, 0 if np.ndim(arrays[0]) == 1 else 1)


@rule(np.column_stack, method=False)
def column_stack(arrays):
    return np.concatenate([np.reshape(a, (-1, 1)) if np.ndim(a) < 2 else a
                           for a in arrays], 1)


@rule(np.shape, method=False)
def shape(x):
    return x.shape


@rule(np.ndim, method=False)
def ndim(x):
    return len(x.shape)


@rule(np.size, method=False)
def size(x, axis=None):
    return prod(x.shape[a] for a in axes_of(x.shape, axis))


@rule(np.zeros_like, method=False)
def zeros_like(x):
    """Public zeros."""
    return np.zeros(x.shape)


@rule(np.ones_like, method=False)
def ones_like(x):
    """Public ones."""
    return np.ones(x.shape)


# ------------------------------------------------------------------- sums


def _count(x, axis, name, ddof=0):
    n = size(x, axis) - ddof
    if n <= 0:
        raise ValueError(f"{name}: shape {x.shape} has too few elements on axis {axis} "
                         f"to divide by {n}; leave out empty batches")
    return n


@rule(np.mean)
def mean(x, axis=None, *, keepdims=False):
    """The sum over `axis` divided by the number of terms."""
    return x.sum(axis, keepdims) / _count(x, axis, "mean")


@rule(np.var)
def var(x, axis=None, *, ddof=0, keepdims=False):
    """The mean square of the distance from the mean."""
    n = _count(x, axis, "var", ddof)
    return ((x - mean(x, axis, keepdims=True)) ** 2).sum(axis, keepdims) / n


@rule(np.std)
def std(x, axis=None, *, ddof=0, keepdims=False):
    """The square root of the variance."""
    return var(x, axis, ddof=ddof, keepdims=keepdims).sqrt()


@rule(np.linalg.norm, method=False)
def norm(x, ord=None, axis=None, keepdims=False):
    """The Euclidean norm, of a matrix: the Frobenius norm."""
    if ord not in (None, 2, "fro") or ord == 2 and len(axes_of(x.shape, axis)) > 1:
        raise ValueError("norm: only the Euclidean norm is provided; leave out ord")
    return (x ** 2).sum(axis, keepdims).sqrt()


@rule(np.diff)
def diff(x, n=1, axis=-1):
    """Differences of neighbours, n times."""
    place, = axes_of(x.shape, (axis,))
    at = (slice(None),) * place
    if isinstance(n, bool) or not isinstance(n, Integral) or n < 0:
        raise ValueError("diff: n is not an integer from 0 on; pass one")
    for _ in range(min(n, x.shape[place])):
        x = x[at + (slice(1, None),)] - x[at + (slice(None, -1),)]
    return x


# ------------------------------------------------------------------- products


@rule(np.square)
def square(x):
    """x * x."""
    return x ** 2


@rule(np.dot)
def dot(x, y):
    """The product of matrices or vectors, or with a number."""
    if not np.ndim(x) or not np.ndim(y):
        return x * y
    if np.ndim(x) > 2 or np.ndim(y) > 2:
        raise ValueError("dot: more than two axes; use @, which multiplies stacks")
    return np.matmul(x, y)


@rule(np.inner)
def inner(x, y):
    """Sums of products along the last axes of both."""
    return dot(x, y) if min(np.ndim(x), np.ndim(y)) < 2 else dot(x, np.transpose(y))


@rule(np.outer)
def outer(x, y):
    """All products of an element of x and one of y."""
    return np.reshape(x, (-1, 1)) * np.reshape(y, (1, -1))


# ------------------------------------------------------------------- comparisons


def check_bits(sign, *operands):
    """Raise if an operand of a logical operator may have other values than 0 and 1."""
    for v in operands:
        if not (v.boolean if hasattr(v, "boolean") else np.asarray(v).dtype == bool):
            raise TypeError(f"{sign}: numbers came where only 0 and 1 make sense; "
                            "compare first, as in x != 0")


def _bits(x):
    """0 or 1: [x != 0], which costs nothing if x is the result of a comparison."""
    return x._bit() if isinstance(x, ArrayFunctions) else np.asarray(x) != 0


@rule(np.logical_not)
def logical_not(x):
    return ~_bits(x)


@rule(np.logical_and)
def logical_and(x, y):
    return _bits(x) & _bits(y)


@rule(np.logical_or)
def logical_or(x, y):
    return ~(~_bits(x) & ~_bits(y))


@rule(np.count_nonzero)
def count_nonzero(x, axis=None, *, keepdims=False):
    return _bits(x).sum(axis, keepdims)


@rule(np.any)
def any_(x, axis=None, *, keepdims=False):
    """[one element or more is not 0]."""
    return count_nonzero(x, axis, keepdims=keepdims) > 0


@rule(np.all)
def all_(x, axis=None, *, keepdims=False):
    """[no element is 0]."""
    return count_nonzero(x, axis, keepdims=keepdims) >= size(x, axis)


@rule(np.where, method=False)
def where(condition, x=None, y=None):
    """x where the condition holds, else y: one product."""
    if x is None or y is None:
        raise TypeError("np.where: " + INSTEAD["nonzero"])
    x, y = _wide(x), _wide(y)
    return _bits(condition) * (x - y) + y


def _wide(x):
    """Public numbers in a type whose differences are right: those of uint8 wrap."""
    plain = isinstance(x, Number) and not isinstance(x, np.generic)
    if isinstance(x, ArrayFunctions) or plain:
        return x                # a Python number, such as a Fraction, is exact
    x = np.asarray(x)
    if x.dtype.kind not in "biuf":
        raise TypeError(f"np.where: elements of {x.dtype}; pass real numbers")
    wide = x.astype(float if x.dtype.kind == "f" else np.int64)
    return wide if np.array_equal(wide, x) else x.astype(float)


@rule(np.absolute)
def absolute(x):
    """|x|, by one comparison."""
    positive = x.relu()
    return positive - (x - positive)        # 2 positive may be out of range


setattr(ArrayFunctions, "abs", absolute)                # noqa: B010


@rule(np.sign, method=False)
def sign(x):
    """1, 0 or -1: two comparisons."""
    return (x > 0) - (x < 0)


@rule(np.maximum, method=False)
def maximum(x, y):
    """The larger one of each pair."""
    return (x - y).relu() + y


@rule(np.minimum, method=False)
def minimum(x, y):
    """The smaller one of each pair."""
    return x - (x - y).relu()


@rule(np.clip)
def clip(x, a_min=None, a_max=None, *, min=None, max=None):
    """x, but at least `a_min` and at most `a_max`."""
    low, high = (min if a_min is None else a_min), (max if a_max is None else a_max)
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


@rule(np.min, np.amin)
def min_(x, axis=None, *, keepdims=False):
    """The smallest element along `axis`, or of all."""
    return -(-x).max(axis, keepdims)


@rule(np.argmin)
def argmin(x, axis=None, *, keepdims=False):
    """The index of the first minimum."""
    return (-x).argmax(axis, keepdims=keepdims)
