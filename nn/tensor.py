"""Tensor: a value that remembers how it was made, so that gradients can flow back.

Each operation runs on the values and leaves behind, per operand that needs a gradient, one rule of
`gradients`. `backward` walks these links from the loss to the leaves, once, and then lets them go.
"""

from math import prod
from numbers import Number

import numpy as np

from . import gradients


class Tensor:
    """A value of any type with ``+ - * @ sum reshape .T``, and its gradient.

    Parameters
    ----------
    value : number, list, array or fixed-point value
        Numbers, lists and arrays become float64 arrays (never written to, so not copied); every
        other type with a shape is kept as it is.
    requires_grad : bool
        Whether `backward` shall leave a gradient here. Data and targets need none, and then
        nothing is computed for them.

    Attributes
    ----------
    value : float64 array or fixed-point value
    grad : value of the shape of `value`, or None
        Filled by `backward` on the tensors that were made with ``requires_grad=True``, and only
        there. It adds up until `SGD.zero_grad`. A gradient that depends on no value (that of
        ``x.sum()`` is all ones) is public, hence a NumPy array whatever the type of `value`.
        Replace it but do not write into it: another tensor may hold the same array.

    Raises
    ------
    TypeError
        When `value` has no shape, or is a Tensor already.
    """

    __array_ufunc__ = None          # array + tensor: NumPy leaves it to the operators below
    __iter__ = None

    def __init__(self, value, requires_grad=False):
        self.value = _as_value(value)
        self.requires_grad = requires_grad
        self.grad = None
        self._parents = ()          # (operand, rule) pairs; () at a leaf, None once used

    @property
    def shape(self):
        return self.value.shape

    @property
    def ndim(self):
        return len(self.shape)

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
        return _apply(gradients.multiply, self, other)

    def __rmul__(self, other):
        return _apply(gradients.multiply, other, self)

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
        return _apply(gradients.power, self, n=n)

    def __getitem__(self, key):
        return _apply(gradients.index, self, key=key)

    # ---- methods

    @property
    def T(self):
        """The axes in reverse order."""
        return _apply(gradients.transpose, self)

    def sum(self, axis=None, keepdims=False):
        """Return the sum over `axis`, over everything by default."""
        return _apply(gradients.sum_over, self, axis=axis, keepdims=keepdims)

    def mean(self, axis=None, keepdims=False):
        """Return the mean over `axis`: the sum, divided by the public number of terms."""
        total = self.sum(axis, keepdims)
        return total / (prod(self.shape) // prod(total.shape))

    def reshape(self, *shape):
        """Return the same elements in another shape: ``x.reshape(2, 3)``, or one tuple."""
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
        return _apply(gradients.reshape, self, shape=shape)

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
            When nothing here needs a gradient, when the seed does not fit, or when a part of the
            graph was used before: one forward pass serves one backward pass, since the links are
            let go on the way so that a batch's memory is free when the next one comes.

        Notes
        -----
        The graph is walked by a loop, so that depth has no limit, and always in the same order,
        since on secret shares each product is a message that others wait for.
        """
        seed = seed.value if isinstance(seed, Tensor) else seed
        self._check_seed(seed)
        order = _graph(self)
        _collect(self, seed)
        for tensor in order:
            if not tensor._parents:                          # a leaf keeps what it collected
                tensor.grad = gradients.filled(tensor.grad, tensor.shape)
                continue
            g, tensor.grad = tensor.grad, None
            for parent, rule in tensor._parents:
                _collect(parent, rule(g))
            tensor._parents = None

    def _check_seed(self, seed):
        if not self.requires_grad:
            raise ValueError("backward: this tensor was made from none that needs a gradient; "
                             "make the leaves with Tensor(value, requires_grad=True)")
        if isinstance(seed, Number) and prod(self.shape) != 1:
            raise ValueError(f"backward: a tensor of shape {self.shape} has no single gradient; "
                             f"call .sum() first, or pass a seed of shape {self.shape}")
        if not isinstance(seed, Number) and gradients.shape_of(seed) != self.shape:
            raise ValueError(f"backward: the seed has shape {gradients.shape_of(seed)}; "
                             f"pass one of shape {self.shape}")

    def __bool__(self):
        raise TypeError("bool(Tensor): a branch must not depend on a value, which may be secret; "
                        "compute both sides, or look at .value where it is public")

    def __repr__(self):
        head = f"Tensor(requires_grad={self.requires_grad}) > "
        if not isinstance(self.value, (np.ndarray, np.generic)):
            return head + repr(self.value)
        head += "ndarray("
        return head + np.array2string(np.asarray(self.value), separator=", ", prefix=head) + ")"


# ---- the graph


def _as_value(value):
    """Return `value` as something to compute with: a float64 array, or a type with a shape."""
    if isinstance(value, Tensor):
        raise TypeError("Tensor: the value is a Tensor already; pass its .value")
    if isinstance(value, (Number, list, tuple, np.ndarray)):
        return np.asarray(value, dtype=np.float64)
    if not hasattr(value, "shape"):
        raise TypeError(f"Tensor: cannot hold a {type(value).__name__}; "
                        "pass a number, an array or a fixed-point value")
    return value


def _apply(operation, *operands, **options):
    """Run one function of `gradients` and link its result to the operands that need a gradient."""
    for operand in operands:
        if not isinstance(operand, Number) and not hasattr(operand, "shape"):
            raise TypeError(f"Tensor: cannot {operation.__name__} a {type(operand).__name__}; "
                            "pass a Tensor, a number or an array")
    values = [x.value if isinstance(x, Tensor) else x for x in operands]
    value, *rules = operation(*values, **options)
    parents = tuple((x, rule) for x, rule in zip(operands, rules)
                    if isinstance(x, Tensor) and x.requires_grad)
    result = Tensor(value, requires_grad=bool(parents))
    result._parents = parents
    return result


def _collect(tensor, g):
    """Add `g` to what has reached `tensor` so far."""
    tensor.grad = g if tensor.grad is None else tensor.grad + g


def _graph(root):
    """Return the tensors that `root` was made from, each after all that were made from it.

    Depth first, operands left to right, with a stack of our own. `seen` is asked, never iterated:
    the order comes from the graph alone, and is the same in every process.
    """
    finished, seen, stack = [], set(), [(root, False)]
    while stack:
        tensor, done = stack.pop()
        if done:
            finished.append(tensor)
        elif id(tensor) not in seen:
            if tensor._parents is None:
                raise ValueError("backward: a part of this graph was already used by a backward "
                                 "pass; run the forward pass again, or add the losses first")
            seen.add(id(tensor))
            stack.append((tensor, True))
            stack.extend((parent, False) for parent, _ in reversed(tensor._parents))
    return finished[::-1]
