"""Tensor: a value that remembers how it was computed, so that gradients can flow back.

Each operation computes its result and links it to each operand that needs a gradient by
one rule of `gradients`. `backward` follows these links once, from the loss to the
leaves, and removes them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np

from mpc.array_functions import ArrayFunctions, joined_last, kept

from . import gradients, moves
from .backward import walk
from .refusals import Refusals
from .shapes import Axis, axes_of, shape_from, shape_of
from .values import as_number, as_value, is_number, one_hot

Operator = Callable[["Tensor", Any], "Tensor"]


def _operator(name: str) -> tuple[Operator, Operator]:
    """Return ``self op other`` and ``other op self`` for a function of `gradients`."""
    return (lambda self, other: _apply(getattr(gradients, name), self, other),
            lambda self, other: _apply(getattr(gradients, name), other, self))


def _function(name: str) -> Callable[[Tensor], Tensor]:
    """Return a method for a function of `gradients` of one operand."""
    def method(self):
        return _apply(getattr(gradients, name), self)
    method.__doc__ = getattr(gradients, name).__doc__
    return method


def _comparison(sign: str) -> Operator:
    """Return a method that compares values; its answers, 0 or 1, have no gradient."""
    def compare(self, other):
        y = other.value if isinstance(other, Tensor) else _constant(other, sign)
        answer = getattr(operator, sign)(self.value, y)
        return _plain(answer.astype(np.float64) if hasattr(answer, "astype")
                      else answer)
    return compare


class Tensor(Refusals, ArrayFunctions):
    """A value of any type with ``+ - * @ sum reshape .T``, and its gradient.

    NumPy's functions work on it, and it has them as methods (`mpc.array_functions`).
    Comparisons have no gradient, and Tensors hash by identity, as in PyTorch.

    Real numbers, and lists and arrays of them, are copied into a float64 array; any
    other `value` with a shape is kept as it is. With `requires_grad`, `backward` adds
    the gradient to ``.grad``, until `SGD.zero_grad` clears it. Data and targets need no
    gradient, and none is computed for them. A gradient that depends on no value (that
    of ``x.sum()`` is all ones) is public: a NumPy array for every type of `value`.
    """

    def __init__(self, value: Any, requires_grad: bool = False) -> None:
        if isinstance(value, Tensor):
            raise TypeError("Tensor: the value is a Tensor already; pass its .value")
        if not isinstance(requires_grad, (bool, np.bool_)):
            kind = type(requires_grad).__name__
            raise TypeError(f"Tensor: requires_grad is a {kind}; pass True or False, "
                            "and all numbers as one list")
        self.value = as_value(value)
        self.requires_grad = bool(requires_grad)
        self.grad: Any = None
        self._parents: Any = ()     # (operand, rule) pairs; None after a backward pass

    shape = property(operator.attrgetter("value.shape"))
    ndim = property(lambda self: len(self.shape))

    @property
    def is_parameter(self) -> bool:
        """Does this tensor need a gradient without being the result of an operation?"""
        return self.requires_grad and self._parents == ()

    # ---- operators; the other operand may be a number, an array or a bare value

    __add__, __radd__ = _operator("add")
    __sub__, __rsub__ = _operator("subtract")
    __truediv__, __rtruediv__ = _operator("divide")
    __lt__, __le__, __gt__, __ge__ = map(_comparison, ("lt", "le", "gt", "ge"))
    __eq__, __ne__ = _comparison("eq"), _comparison("ne")   # type: ignore[assignment]
    __hash__ = object.__hash__

    def __matmul__(self, other: Any) -> Tensor:
        return _matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return _matmul(other, self)

    def __mul__(self, other: Any) -> Tensor:
        if is_number(other):
            return _apply(gradients.scale, self, n=as_number(other, "multiply"))
        return _apply(gradients.multiply, self, other)

    def __rmul__(self, other: Any) -> Tensor:
        if is_number(other):
            return self * other
        return _apply(gradients.multiply, other, self)

    def __neg__(self) -> Tensor:
        return _apply(gradients.negative, self)

    def reciprocal(self) -> Tensor:
        """Return ``1 / x``."""
        return 1 / self

    def __pow__(self, n: Any) -> Tensor:
        if is_number(n) and n in (-1, 0.5, -0.5):
            root = self if n == -1 else self.sqrt()
            return root if n > 0 else 1 / root
        if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
            shown = n if isinstance(n, Real) else f"a {type(n).__name__}"
            raise ValueError(f"power: the exponent, {shown}, is not a public positive "
                             "integer; for other powers multiply or divide")
        return _apply(gradients.power, self, n=int(n))

    def __getitem__(self, key: Any) -> Tensor:
        return _apply(moves.index, self, key=_public_index(key))

    def __and__(self, other: Any) -> Tensor:
        x, y = self._bit().value, as_tensor(other)._bit().value
        return _plain(x & y if hasattr(x, "_bit") and hasattr(y, "_bit") else x * y)

    def __invert__(self) -> Tensor:
        return _plain(1 - self._bit().value)

    # ---- methods

    @property
    def T(self) -> Tensor:
        """The axes in reverse order; with fewer than two axes, the same value."""
        return _apply(moves.transpose, self, axes=None)

    def transpose(self, *axes: Any) -> Tensor:
        """Return the axes in this order; without any, in reverse order."""
        named = axes[0] if len(axes) == 1 and not is_number(axes[0]) else axes or None
        if named is None:
            return self.T
        order = axes_of(self.shape, tuple(named))
        if len(order) < self.ndim:
            raise ValueError(f"transpose: shape {self.shape} has {self.ndim} axes; "
                             "name each once")
        return _apply(moves.transpose, self, axes=order)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Return the sum over `axis`, by default over all axes."""
        return _apply(gradients.sum_over, self, axis=axis, keepdims=keepdims)

    def cumsum(self, axis: int | None = None) -> Tensor:
        """Return the sums of all elements up to each one along `axis`."""
        x = self.reshape(-1) if axis is None else self
        return _apply(gradients.cumulated, x, axis=axis or 0)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Return the largest elements; the gradient reaches the first of each."""
        x = joined_last(self, axis)
        largest = (x * _plain(one_hot(x.value))).sum(-1)
        return largest.reshape(kept(self, axis, keepdims))

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """Return the indices of the first maxima, without a gradient."""
        return _plain(self.value.argmax(axis, keepdims=keepdims))

    sqrt, exp, log, sigmoid, tanh = map(_function, (
        "sqrt", "exp", "log", "sigmoid", "tanh"))

    def softmax(self, axis: int = -1) -> Tensor:
        """Return ``e ** x`` divided by its sum along `axis`."""
        place, = axes_of(self.shape, (axis,))
        if place == self.ndim - 1:
            return _apply(gradients.softmax, self)
        return self.swapaxes(place, -1).softmax().swapaxes(place, -1)

    def reshape(self, *shape: Any) -> Tensor:
        """Return the elements in another shape, where one size may be -1."""
        return _apply(moves.reshape, self, shape=shape_from(shape, self.shape))

    def relu(self) -> Tensor:
        """Return ``max(x, 0)``; the backward pass reuses its one comparison."""
        return _apply(gradients.relu, self)

    # ---- primitives of `ArrayFunctions`

    def _bit(self):
        """Return [self != 0], without a gradient; an answer to a comparison is that."""
        value = self.value
        return _plain(value._bit() if hasattr(value, "_bit") else np.not_equal(
            value, 0).astype(np.float64))

    def _joined(self, arrays, axis):
        return _apply(moves.join, *arrays, axis=axis)

    # ---- backward

    def backward(self, seed: Any = 1) -> None:
        """Add d self / d leaf to the gradient of each leaf behind this tensor.

        `seed` is the gradient of `self`: a number, or a value of its shape, which a
        tensor of several elements needs. Public numbers (the seed, the 1/64 of a mean)
        travel beside each gradient and multiply it once, at the leaf, so it keeps its
        digits.

        Each forward pass supports one backward pass. The walk removes the links, so the
        memory of a batch is free for the next one. It has no depth limit and a fixed
        order: on secret shares, each product is a message that others wait for.
        """
        if not self.requires_grad:
            raise ValueError("backward: no leaf of this tensor needs a gradient; "
                             "make leaves with Tensor(value, requires_grad=True)")
        walk(self, seed.value if isinstance(seed, Tensor) else seed)

    def __repr__(self) -> str:
        head = f"Tensor(requires_grad={self.requires_grad}) > "
        if not isinstance(self.value, (np.ndarray, np.generic)):
            return head + repr(self.value)
        head += "ndarray("
        shown = np.array2string(np.asarray(self.value), separator=", ", prefix=head)
        return f"{head}{shown})"


# ---- the links


def _matmul(a, b):
    """Return ``a @ b``; a vector is a row on the left, and a column on the right."""
    a, b = (x if isinstance(x, Tensor) else _constant(x, "matmul") for x in (a, b))
    left, right = len(shape_of(a)) == 1, len(shape_of(b)) == 1
    y = _apply(gradients.matmul, a.reshape(1, -1) if left else a,
               b.reshape(-1, 1) if right else b)
    shape = y.shape[:-2] + y.shape[-2:-1] * (not left) + y.shape[-1:] * (not right)
    return y.reshape(shape) if left or right else y


def _plain(value, parents=()):
    """Return a Tensor of a new value, which is not copied; without a gradient."""
    result = object.__new__(Tensor)
    result.value = np.asarray(value) if isinstance(value, np.generic) else value
    result.requires_grad, result.grad, result._parents = bool(parents), None, parents
    return result


def as_tensor(x: Any) -> Tensor:
    """Return `x` as a Tensor; a bare value needs no gradient."""
    return x if isinstance(x, Tensor) else Tensor(x)


def _apply(operation, *operands, **options):
    """Run a function of `gradients`; link its result to operands needing a gradient."""
    values = [x.value if isinstance(x, Tensor) else _constant(x, operation.__name__)
              for x in operands]
    value, *rules = operation(*values, **options)
    parents = [(x, rule) for x, rule in zip(operands, rules, strict=False)
               if isinstance(x, Tensor) and x.requires_grad]
    return _plain(value, tuple(parents))


def _constant(x, operation):
    """Return an operand that is no Tensor: a public number, or a value of a shape."""
    if is_number(x):
        return as_number(x, operation)
    if not hasattr(x, "shape"):
        raise TypeError(f"Tensor: cannot {operation} a {type(x).__name__}; "
                        "pass a Tensor, a number or an array")
    return as_value(x, operation)


def _public_index(key):
    """Return a public index, with its own copy of any array."""
    if isinstance(key, tuple):
        return tuple(map(_public_index, key))
    if isinstance(key, Tensor):
        raise TypeError("index: a Tensor is not a public index; pass integers, slices, "
                        "None, ... or an array of integers")
    array = isinstance(key, (list, np.ndarray)) and np.size(key)
    return np.array(key) if array else key
