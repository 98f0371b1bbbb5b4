"""Tensor: a value that remembers how it was computed, so that gradients can flow back.

Each operation computes its result and links it to each operand that needs a gradient by
one rule of `gradients`. `backward` follows these links once, from the loss to the
leaves, and removes them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from numbers import Integral, Real
from typing import Any

import numpy as np

from . import gradients
from .backward import walk
from .refusals import Refusals
from .shapes import Axis, Shape, axes_of, shape_from
from .values import as_number, as_value, is_number

Operator = Callable[["Tensor", Any], "Tensor"]


def _operator(name: str) -> tuple[Operator, Operator]:
    """Return ``self op other`` and ``other op self`` for a function of `gradients`."""
    return (lambda self, other: _apply(getattr(gradients, name), self, other),
            lambda self, other: _apply(getattr(gradients, name), other, self))


class Tensor(Refusals):
    """A value of any type with ``+ - * @ sum reshape .T``, and its gradient.

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

    @property
    def shape(self) -> Shape:
        return self.value.shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def is_parameter(self) -> bool:
        """Does this tensor need a gradient without being the result of an operation?"""
        return self.requires_grad and self._parents == ()

    # ---- operators; the other operand may be a number, an array or a bare value

    __add__, __radd__ = _operator("add")
    __sub__, __rsub__ = _operator("subtract")
    __truediv__, __rtruediv__ = _operator("divide")
    __matmul__, __rmatmul__ = _operator("matmul")

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

    def __pow__(self, n: int) -> Tensor:
        if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
            shown = n if isinstance(n, Real) else f"a {type(n).__name__}"
            raise ValueError(f"power: the exponent, {shown}, is not a public positive "
                             "integer; for other powers multiply or divide")
        return _apply(gradients.power, self, n=int(n))

    def __getitem__(self, key: Any) -> Tensor:
        return _apply(gradients.index, self, key=_public_index(key))

    # ---- methods

    @property
    def T(self) -> Tensor:
        """The axes in reverse order; with fewer than two axes, the same value."""
        return _apply(gradients.transpose, self)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Return the sum over `axis`, by default over all axes."""
        return _apply(gradients.sum_over, self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """Return the sum over `axis` divided by the number of terms."""
        count = prod(self.shape[a] for a in axes_of(self.shape, axis))
        if not count:
            raise ValueError(f"mean: shape {self.shape} has no elements to average "
                             f"over axis {axis}; leave out empty batches")
        return self.sum(axis, keepdims) / count

    def reshape(self, *shape: Any) -> Tensor:
        """Return the elements in another shape, where one size may be -1."""
        return _apply(gradients.reshape, self, shape=shape_from(shape, self.shape))

    def relu(self) -> Tensor:
        """Return ``max(x, 0)``; the backward pass reuses its one comparison."""
        return _apply(gradients.relu, self)

    def square(self) -> Tensor:
        """Return ``x ** 2``, the cheap activation: no comparison."""
        return self ** 2

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


def _apply(operation, *operands, **options):
    """Run a function of `gradients`; link its result to operands needing a gradient."""
    operands = [_operand(x, operation.__name__) for x in operands]
    values = [x.value if isinstance(x, Tensor) else x for x in operands]
    value, *rules = operation(*values, **options)
    parents = tuple((x, rule) for x, rule in zip(operands, rules, strict=False)
                    if isinstance(x, Tensor) and x.requires_grad)
    result = object.__new__(Tensor)                     # Tensor(value) would copy it
    result.value = np.asarray(value) if isinstance(value, np.generic) else value
    result.requires_grad, result.grad, result._parents = bool(parents), None, parents
    return result


def _operand(x, operation):
    """Return `x` as a Tensor, a public number, or a value with a shape."""
    if is_number(x):
        return as_number(x, operation)
    if not hasattr(x, "shape"):
        raise TypeError(f"Tensor: cannot {operation} a {type(x).__name__}; "
                        "pass a Tensor, a number or an array")
    return x if isinstance(x, Tensor) else as_value(x, operation)


def _public_index(key):
    """Return a public index, with its own copy of any array."""
    if isinstance(key, tuple):
        return tuple(map(_public_index, key))
    if isinstance(key, Tensor):
        raise TypeError("index: a Tensor is not a public index; pass integers, slices, "
                        "None, ... or an array of integers")
    array = isinstance(key, (list, np.ndarray)) and np.size(key)
    return np.array(key) if array else key
