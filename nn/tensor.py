"""Tensor: a value that remembers how it was made, so that gradients can flow back.

Each operation runs on the values and leaves behind, per operand that needs a gradient, one rule of
`gradients`. `backward` walks these links from the loss to the leaves, once, and then lets them go.
"""

from math import prod
from numbers import Integral, Number, Real

import numpy as np

from . import gradients
from .backward import as_seed, walk
from .refusals import Refusals
from .shapes import axes_of, shape_from
from .values import as_operand, as_value


class Tensor(Refusals):
    """A value of any type with ``+ - * @ sum reshape .T``, and its gradient.

    Parameters
    ----------
    value : number, list, array or fixed-point value
        Real numbers, lists and arrays of them become float64 arrays of the very same numbers, which
        are the tensor's own, or are refused; every other type with a shape is kept as it is.
    requires_grad : bool
        Whether `backward` shall leave a gradient here. Data and targets need none, and then
        nothing is computed for them.

    Attributes
    ----------
    value : float64 array or fixed-point value
    grad : value of the shape of `value`, or None
        Filled by `backward` on the tensors that were made with ``requires_grad=True``, and only
        there. It adds up until `SGD.zero_grad`. A gradient that depends on no value (that of
        ``x.sum()`` is all ones) is public, hence a NumPy array whatever the type of `value`. An
        array belongs to this tensor alone, so that it may be written into.

    Raises
    ------
    TypeError
        When `value` has no shape, holds no real numbers, or is a Tensor already.
    ValueError
        When float64 does not hold a number exactly.

    Notes
    -----
    Two tensors do not compare, and NumPy's functions refuse a tensor: `Refusals`.
    """

    def __init__(self, value, requires_grad=False):
        if isinstance(value, Tensor):
            raise TypeError("Tensor: the value is a Tensor already; pass its .value")
        if not isinstance(requires_grad, (bool, np.bool_)):
            raise TypeError(f"Tensor: requires_grad is a {type(requires_grad).__name__}; pass True "
                            "or False, and all numbers as one list")
        self.value = as_value(value)
        self.requires_grad = bool(requires_grad)
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
        """Is this one to be trained: needs it a gradient, and was it given rather than computed?"""
        return self.requires_grad and self._parents == ()

    # ---- operators; numbers, arrays and bare values may stand on either side

    def __add__(self, other):
        return _apply(gradients.add, self, other)

    def __radd__(self, other):
        return _apply(gradients.add, other, self)

    def __sub__(self, other):
        return _apply(gradients.subtract, self, other)

    def __rsub__(self, other):
        return _apply(gradients.subtract, other, self)

    def __mul__(self, other):
        other = _operand(other, "multiply")
        if isinstance(other, Number):
            return _apply(gradients.scale, self, n=other)
        return _apply(gradients.multiply, self, other)

    def __rmul__(self, other):
        other = _operand(other, "multiply")
        return self * other if isinstance(other, Number) else _apply(
            gradients.multiply, other, self)

    def __truediv__(self, other):
        return _apply(gradients.divide, self, other)

    def __rtruediv__(self, other):
        return _apply(gradients.divide, other, self)

    def __matmul__(self, other):
        return _apply(gradients.matmul, self, other)

    def __rmatmul__(self, other):
        return _apply(gradients.matmul, other, self)

    def __neg__(self):
        return _apply(gradients.negative, self)

    def __pow__(self, n):
        if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
            shown = n if isinstance(n, Real) else f"a {type(n).__name__}"
            raise ValueError(f"power: the exponent, {shown}, is not a public integer 1, 2, 3, ...; "
                             "for other powers multiply or divide")
        return _apply(gradients.power, self, n=int(n))

    def __getitem__(self, key):
        return _apply(gradients.index, self, key=_own(key))

    # ---- methods

    @property
    def T(self):
        """The axes in reverse order; below two axes the tensor as it is."""
        return _apply(gradients.transpose, self)

    def sum(self, axis=None, keepdims=False):
        """Return the sum over `axis` (an integer or several), over everything by default."""
        axes_of(self.shape, axis)
        return _apply(gradients.sum_over, self, axis=axis, keepdims=keepdims)

    def mean(self, axis=None, keepdims=False):
        """Return the mean over `axis`: the sum, divided by the public number of terms."""
        count = prod(self.shape[a] for a in axes_of(self.shape, axis))
        if not count:
            raise ValueError(f"mean: shape {self.shape} has no elements to average over axis "
                             f"{axis}; leave empty batches out")
        return self.sum(axis, keepdims) / count

    def reshape(self, *shape):
        """Return the same elements in another shape: ``x.reshape(2, 3)``, or one tuple or list.

        One size may be -1: it is worked out from the others.
        """
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

        Parameters
        ----------
        seed : number, or value of the shape of `self`
            The gradient to start from. It is public: the number 1 unless you say otherwise. A
            tensor of more than one element needs a seed of its own shape.

        Raises
        ------
        ValueError
            When nothing here needs a gradient, when the seed does not fit or is not finite, or
            when a part of the graph was used before: one forward pass serves one backward pass,
            since the links are let go on the way so that a batch's memory is free when the next
            one comes.
        TypeError
            When the seed is neither a real number nor a value with a shape.

        Notes
        -----
        Public numbers (the seed, the 1/64 of a mean, the 2 of a square) are carried beside each
        gradient and meet it once, at the leaf: on the way it keeps the size, and so the digits, of
        the values that it is made of. Others choose such a factor by trial and call it loss
        scaling; here it follows from the program.

        The graph is walked by a loop, so that depth has no limit, and always in the same order,
        since on secret shares each product is a message that others wait for.
        """
        if not self.requires_grad:
            raise ValueError("backward: this tensor was made from none that needs a gradient; "
                             "make the leaves with Tensor(value, requires_grad=True)")
        walk(self, as_seed(seed.value if isinstance(seed, Tensor) else seed, self.shape))

    def __repr__(self):
        head = f"Tensor(requires_grad={self.requires_grad}) > "
        if not isinstance(self.value, (np.ndarray, np.generic)):
            return head + repr(self.value)
        head += "ndarray("
        return head + np.array2string(np.asarray(self.value), separator=", ", prefix=head) + ")"


# ---- the links


def _operand(x, operation):
    """Return `x` as an operand: a Tensor as it is, numbers and arrays as floats, or refuse it."""
    return x if isinstance(x, Tensor) else as_operand(x, operation)


def _own(key):
    """Return public positions, as arrays that nobody else writes into."""
    if isinstance(key, tuple):
        return tuple(map(_own, key))
    if isinstance(key, Tensor):
        raise TypeError("index: a Tensor is no public position; pass integers, slices, None, ... "
                        "or an array of integers")
    return np.array(key) if isinstance(key, (list, np.ndarray)) and np.size(key) else key


def _apply(operation, *operands, **options):
    """Run one function of `gradients` and link its result to the operands that need a gradient."""
    operands = [_operand(x, operation.__name__) for x in operands]
    values = [x.value if isinstance(x, Tensor) else x for x in operands]
    value, *rules = operation(*values, **options)
    parents = tuple((x, rule) for x, rule in zip(operands, rules)
                    if isinstance(x, Tensor) and x.requires_grad)
    result = object.__new__(Tensor)                         # its value is new, and not copied
    result.value = as_value(value, operation.__name__, copy=False)
    result.requires_grad, result.grad, result._parents = bool(parents), None, parents
    return result
