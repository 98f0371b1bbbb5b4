"""One rule per operation: how a change of the result reaches each operand.

Every function below takes plain values (not Tensors), computes the operation's result ``y`` and
returns it together with one *rule* per operand. A rule maps ``g``, the gradient of the loss with
respect to ``y``, to the gradient with respect to that operand. Rules are called late and one by
one: the product ``g @ b.T`` for an operand that needs no gradient is never computed.

A gradient travels as a pair (c, g) that means c * g: a public number, and either the number 1,
which stands for itself at every element, or a value of the shape of ``y``. The backward pass starts
from (1, 1), and as long as no value enters, the gradient stays public and without a shape. Rules
are linear, so that c need not enter them: a rule takes g and returns a number, a value or, where it
multiplies by a public number n, the pair (n, value). After ``sum() / 64`` the gradient is
(1/64, 1); the square's rule then returns (2, x); and c meets the value once, at the leaf. A
fixed-point value thus keeps all its digits, however small the numbers are.

Values are opaque: whatever decides here decides by shape or by type, never by what a value holds.
"""

from math import prod
from numbers import Number

import numpy as np

from .shapes import axes_of, shape_of
from .values import exact

# ---- helpers: shapes and broadcasting


def reshaped(x, shape):
    """Return `x` in `shape`; its one element, as a sum, where that is ``()``."""
    return x.reshape(*shape) if shape else x.sum()


def unbroadcast(g, full, shape):
    """Sum a gradient over the axes along which its operand was repeated.

    The operand had `shape`; broadcasting repeated it until it had the shape `full` of the result.
    The sum of a number is the number times the count of its copies.
    """
    if isinstance(g, Number):
        operand = (1,) * (len(full) - len(shape)) + shape
        return g * prod(n for n, m in zip(full, operand) if m == 1)
    if g.shape != full:                       # number * b, where b itself was broadcast
        g = g + np.zeros(full)
    for _ in range(len(full) - len(shape)):
        g = g.sum(axis=0)
    for axis, (n, m) in enumerate(zip(g.shape, shape)):
        if n != m:
            g = g.sum(axis=axis, keepdims=True)
    return g


def filled(g, shape):
    """Return `g` with its shape written out: the number 1 becomes a public array of ones."""
    return np.full(shape, g, dtype=np.float64) if isinstance(g, Number) else g


# ---- element by element, with broadcasting


def add(a, b):
    """y = a + b:  da = g,  db = g."""
    y = a + b
    return (y, lambda g: unbroadcast(g, y.shape, shape_of(a)),
            lambda g: unbroadcast(g, y.shape, shape_of(b)))


def subtract(a, b):
    """y = a - b:  da = g,  db = -g."""
    y = a - b
    return (y, lambda g: unbroadcast(g, y.shape, shape_of(a)),
            lambda g: unbroadcast(-g, y.shape, shape_of(b)))


def multiply(a, b):
    """y = a * b:  da = g * b,  db = g * a."""
    y = a * b
    return (y, lambda g: unbroadcast(g * b, y.shape, shape_of(a)),
            lambda g: unbroadcast(g * a, y.shape, shape_of(b)))


def scale(x, n):
    """y = n * x, n a public number:  dx = n * g."""
    return x * n, lambda g: (n, g)


def divide(a, b):
    """y = a / b:  da = g / b,  db = -g * y / b. Secret types divide by public numbers only."""
    if isinstance(b, Number):
        if b == 0:
            raise ZeroDivisionError("divide: by the number 0; take another")
        return a / b, lambda g: (1 / exact(b), g)
    y = a / b
    return (y, lambda g: unbroadcast(g / b, y.shape, shape_of(a)),
            lambda g: unbroadcast(-(g * y) / b, y.shape, shape_of(b)))


def negative(x):
    """y = -x:  dx = -g."""
    return -x, lambda g: -g


def power(x, n):
    """y = x ** n:  dx = n * x ** (n - 1) * g. For the square that is 2 * x * g: x is there."""
    if n == 1:
        return x, lambda g: g
    return x ** n, lambda g: (n, (x if n == 2 else x ** (n - 1)) * g)


def relu(x):
    """y = x * bit, bit = (x >= 0):  dx = g * bit. One comparison serves both directions."""
    bit = x.drelu() if hasattr(x, "drelu") else (x >= 0).astype(np.float64)
    return x * bit, lambda g: g * bit


def refresh(x):
    """y = x with fresh randomness, if its type has any:  dx = g."""
    return x.refresh() if hasattr(x, "refresh") else x, lambda g: g


# ---- products and sums


def matmul(a, b):
    """y = a @ b, matrices:  da = g @ b.T,  db = a.T @ g.

    A fixed-point type may aim g at the scale at which db meets b without a rounding. For that its
    rule is called with c too, the number that will multiply db.
    """
    if len(shape_of(a)) != 2 or len(shape_of(b)) != 2:
        raise ValueError(f"matmul: {shape_of(a)} @ {shape_of(b)} are not two matrices; "
                         "reshape vectors to (1, n) or (n, 1)")
    if a.shape[1] != b.shape[0]:
        raise ValueError(f"matmul: {a.shape} @ {b.shape} do not match; the second needs "
                         f"{a.shape[1]} rows, one for each column of the first")
    y = a @ b                                 # (n, k) @ (k, m) -> (n, m)

    def rule_b(g, c=1.0):
        g = filled(g, y.shape)
        return a.T @ (g.rescaled_for(b, a, c) if hasattr(g, "rescaled_for") else g)   # (k, n) @ (n, m) -> (k, m)

    rule_b.with_number = True
    return y, lambda g: filled(g, y.shape) @ b.T, rule_b                # (n, m) @ (m, k) -> (n, k)


def sum_over(x, axis, keepdims):
    """y = sum of x over `axis`:  dx = g, repeated along `axis`. A number repeats by itself."""
    axes = axes_of(x.shape, axis)
    ones = [1 if i in axes else n for i, n in enumerate(x.shape)]       # x.shape, with keepdims

    def rule(g):                              # a sum with zeros repeats without a product
        return g if isinstance(g, Number) else reshaped(g, ones) + np.zeros(x.shape)

    return x.sum(axis=axis, keepdims=keepdims), rule


# ---- moving elements about


def reshape(x, shape):
    """y = x in another shape:  dx = g in the shape of x."""
    return reshaped(x, shape), lambda g: g if isinstance(g, Number) else reshaped(g, x.shape)


def transpose(x):
    """y = x.T:  dx = g.T. Below two axes there is nothing to exchange."""
    if len(x.shape) < 2:
        return x, lambda g: g
    return x.T, lambda g: g if isinstance(g, Number) else g.T


def index(x, key):
    """y = x[key]:  dx = g at the positions that `key` selects, 0 elsewhere."""
    return x[key], lambda g: placed(g, key, x.shape)


def placed(g, key, shape):
    """Return zeros of `shape` with `g` added at ``[key]``.

    Arrays are written to. Other types cannot be, so theirs is a product with the public 0/1 matrix
    that has one row per selected element: right for every key, and large; slice before training.
    """
    if isinstance(g, (Number, np.ndarray)):
        zeros = np.zeros(shape)
        np.add.at(zeros, key, g)
        return zeros
    size = prod(shape)
    chosen = np.arange(size).reshape(shape)[key].reshape(-1, 1)
    rows = (chosen == np.arange(size)).astype(np.int64)        # (selected, size)
    return reshaped(reshaped(g, (1, len(rows))) @ rows, shape)
