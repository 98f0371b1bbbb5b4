"""Tensor: a value that remembers how it was made, so that gradients can flow back.

Each operation runs on the values and leaves behind, per operand that needs a gradient, one rule of
`gradients`. `backward` walks these links from the loss to the leaves, once, and then lets them go.
"""

from math import prod
from numbers import Integral, Real

import numpy as np

from . import gradients
from .backward import walk
from .refusals import Refusals
from .shapes import axes_of, shape_from
from .values import as_number, as_value, is_number


def _operator(name):
    """Return ``self op other`` and ``other op self`` for one function of `gradients`."""
    return (lambda self, other: _apply(getattr(gradients, name), self, other),
            lambda self, other: _apply(getattr(gradients, name), other, self))


class Tensor(Refusals):
    """A value of any type with ``+ - * @ sum reshape .T``, and its gradient.

    Real numbers, lists and arrays of them become a float64 array of the tensor's own; every other
    `value` with a shape is kept as it is. `requires_grad` says whether `backward` shall leave a
    gradient in ``.grad``, where it adds up until `SGD.zero_grad`. Data and targets need none, and
    then nothing is computed for them. A gradient that depends on no value (that of ``x.sum()`` is
    all ones) is public, hence a NumPy array whatever the type of `value`.
    """

    def __init__(self, value, requires_grad=False):
        if isinstance(value, Tensor):
            raise TypeError("Tensor: the value is a Tensor already; pass its .value")
        if not isinstance(requires_grad, (bool, np.bool_)):
            raise TypeError(f"Tensor: requires_grad is a {type(requires_grad).__name__}; pass True "
                            "or False, and all numbers as one list")
        self.value, self.requires_grad = as_value(value), bool(requires_grad)
        self.grad = None
        self._parents = ()          # (operand, rule) pairs; () at a leaf, None once used

    @property
    def shape(self):
        return self.value.shape

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def is_parameter(self):
        """Does this need a gradient, and was it given rather than computed?"""
        return self.requires_grad and self._parents == ()

    # ---- operators; numbers, arrays and bare values may stand on either side

    __add__, __radd__ = _operator("add")
    __sub__, __rsub__ = _operator("subtract")
    __truediv__, __rtruediv__ = _operator("divide")
    __matmul__, __rmatmul__ = _operator("matmul")

    def __mul__(self, other):
        if is_number(other):
            return _apply(gradients.scale, self, n=as_number(other, "multiply"))
        return _apply(gradients.multiply, self, other)

    def __rmul__(self, other):
        return self * other if is_number(other) else _apply(gradients.multiply, other, self)

    def __neg__(self):
        return _apply(gradients.negative, self)

    def __pow__(self, n):
        if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
            shown = n if isinstance(n, Real) else f"a {type(n).__name__}"
            raise ValueError(f"power: the exponent, {shown}, is not a public integer 1, 2, 3, ...; "
                             "for other powers multiply or divide")
        return _apply(gradients.power, self, n=int(n))

    def __getitem__(self, key):
        return _apply(gradients.index, self, key=_positions(key))

    # ---- methods

    @property
    def T(self):
        """The axes in reverse order; below two axes the tensor as it is."""
        return _apply(gradients.transpose, self)

    def sum(self, axis=None, keepdims=False):
        """Return the sum over `axis` (an integer or several), over everything by default."""
        return _apply(gradients.sum_over, self, axis=axis, keepdims=keepdims)

    def mean(self, axis=None, keepdims=False):
        """Return the mean over `axis`: the sum, divided by the public number of terms."""
        count = prod(self.shape[a] for a in axes_of(self.shape, axis))
        if not count:
            raise ValueError(f"mean: shape {self.shape} has no elements to average over axis "
                             f"{axis}; leave empty batches out")
        return self.sum(axis, keepdims) / count

    def reshape(self, *shape):
        """Return the elements in another shape: integers, a tuple or a list; one may be -1."""
        return _apply(gradients.reshape, self, shape=shape_from(shape, self.shape))

    def relu(self):
        """Return ``max(x, 0)``. One comparison, whose answer the backward pass uses again."""
        return _apply(gradients.relu, self)

    def square(self):
        """Return ``x ** 2``, the cheap activation: no comparison."""
        return self ** 2

    def refresh(self):
        """Return the same value with fresh randomness; on plain numbers, the value itself."""
        return _apply(gradients.refresh, self)

    # ---- backward

    def backward(self, seed=1):
        """Add d self / d leaf to the gradient of every leaf that `self` was made from.

        It starts from `seed`, a number or a value of the shape of `self`; a tensor of more than one
        element needs the latter. Public numbers (the seed, the 1/64 of a mean) are carried beside
        each gradient and meet it once, at the leaf, so that it keeps its digits.

        One forward pass serves one backward pass: the links are let go on the way, so that a
        batch's memory is free when the next one comes. The walk has no limit of depth, and always
        the same order, since on secret shares each product is a message that others wait for.
        """
        if not self.requires_grad:
            raise ValueError("backward: this tensor was made from none that needs a gradient; "
                             "make the leaves with Tensor(value, requires_grad=True)")
        walk(self, seed.value if isinstance(seed, Tensor) else seed)

    def __repr__(self):
        head = f"Tensor(requires_grad={self.requires_grad}) > "
        if not isinstance(self.value, (np.ndarray, np.generic)):
            return head + repr(self.value)
        head += "ndarray("
        return head + np.array2string(np.asarray(self.value), separator=", ", prefix=head) + ")"


# ---- the links


def _apply(operation, *operands, **options):
    """Run one function of `gradients` and link its result to the operands that need a gradient."""
    operands = [_operand(x, operation.__name__) for x in operands]
    values = [x.value if isinstance(x, Tensor) else x for x in operands]
    value, *rules = operation(*values, **options)
    parents = tuple((x, rule) for x, rule in zip(operands, rules)
                    if isinstance(x, Tensor) and x.requires_grad)
    result = object.__new__(Tensor)                         # Tensor(value) would copy it
    result.value = np.asarray(value) if isinstance(value, np.generic) else value
    result.requires_grad, result.grad, result._parents = bool(parents), None, parents
    return result


def _operand(x, operation):
    """Return `x` as a Tensor, a public number, or a value with a shape; or refuse it."""
    if is_number(x):
        return as_number(x, operation)
    if not hasattr(x, "shape"):
        raise TypeError(f"Tensor: cannot {operation} a {type(x).__name__}; "
                        "pass a Tensor, a number or an array")
    return x if isinstance(x, Tensor) else as_value(x, operation)


def _positions(key):
    """Return public positions; an array of them is one that nobody else writes into."""
    if isinstance(key, tuple):
        return tuple(map(_positions, key))
    if isinstance(key, Tensor):
        raise TypeError("index: a Tensor is no public position; pass integers, slices, None, ... "
                        "or an array of integers")
    return np.array(key) if isinstance(key, (list, np.ndarray)) and np.size(key) else key
