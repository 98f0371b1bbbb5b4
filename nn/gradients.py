"""One rule per operation: how a change of the result reaches each operand.

Each function below takes plain values (not Tensors), computes the operation's result
``y`` and returns it with one *rule* per operand. A rule maps the gradient of the loss
with respect to ``y`` to the gradient with respect to that operand. Rules are called
later and one by one: the product ``g @ b.T`` for an operand that needs no gradient is
never computed.

A gradient travels as a pair (g, c) that means c * g: c is a public number, and g is
either the number 1, for every element, or a value of the shape of ``y``. The backward
pass starts from (1, 1); until a value enters, the gradient stays public and has no
shape. Rules are linear, so they multiply c by public numbers and leave g alone. After
``sum() / 64`` the gradient is (1, 1/64); the rule of the square then returns (x, 2/64);
and c multiplies the value once, at the leaf. A fixed-point value thus keeps all its
digits, however small the numbers are.

Values are opaque: code here branches on shapes and types, never on content.
"""

from __future__ import annotations

from math import prod

import numpy as np

from .moves import Rule, Unary, reshaped
from .shapes import Axis, axes_of, shape_of
from .values import NUMBER, Value, exact

Binary = tuple[Value, Rule, Rule]

# ---- helpers: shapes and broadcasting


def unbroadcast(g, full, shape):
    """Sum a gradient over the axes along which its operand was repeated.

    Broadcasting took the operand from `shape` to `full`, the shape of the result.
    The sum of a number is the number times the count of its copies.
    """
    if isinstance(g, NUMBER):
        operand = (1,) * (len(full) - len(shape)) + shape
        return g * prod(n for n, m in zip(full, operand, strict=True) if m == 1)
    if g.shape != full:                       # number * b, where b itself was broadcast
        g = g + np.zeros(full)
    for _ in range(len(full) - len(shape)):
        g = g.sum(axis=0)
    for axis, (n, m) in enumerate(zip(g.shape, shape, strict=True)):
        if n != m:
            g = g.sum(axis=axis, keepdims=True)
    return g


def unbroadcast_stack(g, shape):
    """Sum the gradient of a stack of matrices over repeated ones."""
    return g if g.shape == shape else unbroadcast(g, g.shape, shape)


def turned(x):
    """Return `x` with its last two axes exchanged."""
    if len(x.shape) == 2:
        return x.T
    *stack, rows, columns = range(len(x.shape))
    return x.transpose((*stack, columns, rows))


def filled(g, shape):
    """Write out the shape of `g`: the number 1 becomes a public array of ones."""
    return np.full(shape, g, dtype=np.float64) if isinstance(g, NUMBER) else g


# ---- element by element, with broadcasting


def add(a: Value, b: Value) -> Binary:
    """y = a + b:  da = g,  db = g."""
    y = a + b
    return (y, lambda g, c: (unbroadcast(g, y.shape, shape_of(a)), c),
            lambda g, c: (unbroadcast(g, y.shape, shape_of(b)), c))


def subtract(a: Value, b: Value) -> Binary:
    """y = a - b:  da = g,  db = -g."""
    y = a - b
    return (y, lambda g, c: (unbroadcast(g, y.shape, shape_of(a)), c),
            lambda g, c: (unbroadcast(-g, y.shape, shape_of(b)), c))


def multiply(a: Value, b: Value) -> Binary:
    """y = a * b:  da = g * b,  db = g * a."""
    y = a * b
    return (y, lambda g, c: (unbroadcast(g * b, y.shape, shape_of(a)), c),
            lambda g, c: (unbroadcast(g * a, y.shape, shape_of(b)), c))


def scale(x: Value, n: int | float) -> Unary:
    """y = n * x, n a public number:  dx = n * g."""
    return x * n, lambda g, c: (g, c * exact(n))


def divide(a: Value, b: Value) -> Unary | Binary:
    """y = a / b:  da = g / b,  db = -g * y / b.

    Fixed-point types divide by public numbers only.
    """
    if isinstance(b, NUMBER):
        if b == 0:
            raise ZeroDivisionError("divide: by the number 0; take another")
        return a / b, lambda g, c: (g, c / exact(b))
    y = a / b
    return (y, lambda g, c: (unbroadcast(g / b, y.shape, shape_of(a)), c),
            lambda g, c: (unbroadcast(-(g * y) / b, y.shape, shape_of(b)), c))


def negative(x: Value) -> Unary:
    """y = -x:  dx = -g."""
    return -x, lambda g, c: (-g, c)


def power(x: Value, n: int) -> Unary:
    """y = x ** n:  dx = n * x ** (n - 1) * g. For a square that is 2 * x * g.

    A fixed-point type may have to round x first: both passes use the rounded one.
    """
    x = x.operand() if hasattr(x, "operand") else x
    if n == 1:
        return x, lambda g, c: (g, c)
    return x ** n, lambda g, c: ((x if n == 2 else x ** (n - 1)) * g, c * n)


def relu(x: Value) -> Unary:
    """y = x * bit, bit = (x >= 0):  dx = g * bit. Both passes use one comparison."""
    if hasattr(x, "relu_and_slope"):
        y, bit = x.relu_and_slope()
    else:
        bit = (x >= 0).astype(np.float64)
        y = x * bit
    return y, lambda g, c: (g * bit, c)


# ---- products and sums


def matmul(a: Value, b: Value) -> Binary:
    """y = a @ b, stacks of matrices:  da = g @ b.T,  db = a.T @ g.

    A fixed-point type may rescale g first, so that the update of b by c * db, which is
    much larger than g, needs no truncation.
    """
    if min(len(shape_of(a)), len(shape_of(b))) < 2:
        raise ValueError(f"matmul: {shape_of(a)} @ {shape_of(b)} has an operand "
                         "without axes; multiply by numbers with *")
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul: {a.shape} @ {b.shape} do not match; the second "
                         f"needs {a.shape[-1]} rows, one per column of the first")
    y = a @ b                                           # (n, k) @ (k, m) -> (n, m)

    def rescaled(g, c):
        g = filled(g, y.shape)
        matrices = len(a.shape) == len(b.shape) == 2 and hasattr(g, "rescaled_for")
        return g.rescaled_for(b, a, float(c)) if matrices else g

    def rule_a(g, c):                                   # (n, m) @ (m, k) -> (n, k)
        return unbroadcast_stack(rescaled(g, c) @ turned(b), a.shape), c

    def rule_b(g, c):                                   # (k, n) @ (n, m) -> (k, m)
        return unbroadcast_stack(turned(a) @ rescaled(g, c), b.shape), c

    return y, rule_a, rule_b


def sum_over(x: Value, axis: Axis, keepdims: bool) -> Unary:
    """y = sum of x over `axis`:  dx = g, repeated along `axis`.

    A public number repeats without a change.
    """
    axes = axes_of(x.shape, axis)
    ones = [1 if i in axes else n for i, n in enumerate(x.shape)]

    def rule(g, c):
        if isinstance(g, NUMBER):
            return g, c
        return reshaped(g, ones) + np.zeros(x.shape), c     # repeats without a product

    return x.sum(axis=axis, keepdims=keepdims), rule


def cumulated(x: Value, axis: int) -> Unary:
    """y = the sums up to each element:  dx = the sums of g from each element on."""
    back = (slice(None),) * (axis % len(x.shape)) + (slice(None, None, -1),)
    return x.cumsum(axis), lambda g, c: (
        filled(g, x.shape)[back].cumsum(axis)[back], c)


# ---- functions of one element


def sqrt(x: Value) -> Unary:
    """y = sqrt(x):  dx = g / (2 y)."""
    y = np.sqrt(x)
    return y, lambda g, c: (g / y, c * exact(0.5))


def exp(x: Value) -> Unary:
    """y = e ** x:  dx = g * y."""
    y = np.exp(x)
    return y, lambda g, c: (g * y, c)


def log(x: Value) -> Unary:
    """y = the natural logarithm of x:  dx = g / x."""
    return np.log(x), lambda g, c: (g / x, c)


def sigmoid(x: Value) -> Unary:
    """y = 1 / (1 + e ** -x):  dx = g * (y - y * y)."""
    y = x.sigmoid() if hasattr(x, "sigmoid") else (1 + np.tanh(x / 2)) / 2
    return y, lambda g, c: (g * (y - y * y), c)


def tanh(x: Value) -> Unary:
    """y = tanh(x):  dx = g * (1 - y * y)."""
    y = np.tanh(x)
    return y, lambda g, c: (g * (1 - y * y), c)


def softmax(x: Value) -> Unary:
    """y = e ** x / sum(e ** x) along the last axis:  dx = y * (g - sum(g * y))."""
    if hasattr(x, "softmax"):
        y = x.softmax(-1)
    else:
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        y = e / e.sum(axis=-1, keepdims=True)

    def rule(g, c):
        g = filled(g, x.shape)
        return y * (g - (g * y).sum(axis=-1, keepdims=True)), c

    return y, rule
