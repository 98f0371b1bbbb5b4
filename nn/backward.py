"""The walk from the loss to the leaves: in which order, and what is carried along."""

from math import prod
from numbers import Number

import numpy as np

from .values import as_number, as_value, exact, is_number


def walk(root, seed):
    """Add the gradient of `root` to each leaf that it was made from.

    A gradient travels as a pair (c, g) that means c * g, as `gradients` says; c is a fraction.
    """
    order, seed = graph(root), as_seed(seed, root.shape)
    collected = {id(root): (exact(seed), 1) if isinstance(seed, float) else (exact(1), seed)}
    for tensor in order:
        c, g = collected.pop(id(tensor))
        if not tensor._parents:
            mine = multiplied_out(c, g, tensor.shape)
            tensor.grad = mine if tensor.grad is None else tensor.grad + mine
            continue
        for parent, rule in tensor._parents:
            result = rule(g, float(c)) if hasattr(rule, "with_number") else rule(g)
            n, value = result if isinstance(result, tuple) else (1, result)
            if isinstance(value, Number):
                n, value = exact(n) * exact(value), 1
            pair = (c if n == 1 else exact(c * exact(n)), value)
            before = collected.get(id(parent))
            collected[id(parent)] = pair if before is None else added(before, pair)
        tensor._parents = None


def graph(root):
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


def as_seed(seed, shape):
    """Return the gradient that a tensor of `shape` starts from: a finite float, or a value."""
    if is_number(seed) and prod(shape) != 1:
        raise ValueError(f"backward: a tensor of shape {shape} has no single gradient; "
                         f"call .sum() first, or pass a seed of shape {shape}")
    if is_number(seed):
        return float(as_number(seed, "backward(seed)", finite=True))
    seed = as_value(seed, "backward(seed)")
    if seed.shape != shape:
        raise ValueError(f"backward: the seed has shape {seed.shape}; pass one of shape {shape}")
    return seed


def added(one, other):
    """Return the sum of two gradients (c, g), again as one.

    They meet at the larger number: no value is multiplied by more than 1, which could take it out
    of the range of a fixed-point type.
    """
    (c, g), (d, h) = one, other
    if isinstance(g, Number) and isinstance(h, Number):
        return exact(c + d), 1
    if c == d:
        return c, g + h
    if abs(c) >= abs(d):
        return c, g + h * float(d / c)
    return d, g * float(c / d) + h


def multiplied_out(c, g, shape):
    """Return c * g at a leaf of `shape`; an array is one that nobody else holds."""
    if isinstance(g, Number):
        return np.full(shape, float(c))
    if isinstance(g, np.ndarray):
        return np.asarray(g * float(c))
    return g if c == 1 else g * float(c)
