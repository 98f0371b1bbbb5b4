"""The walk from the loss to the leaves: its order, and the numbers carried along."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .shapes import Shape
from .values import NUMBER, Value, as_number, as_value, exact, is_number

if TYPE_CHECKING:
    from .tensor import Tensor

Pair = tuple[Value, Any]            # (g, c) means c * g, as in `gradients`


def walk(root: Tensor, seed: Any) -> None:
    """Add the gradient of `root` to each leaf from which it was computed."""
    collected = {root: separated(as_seed(seed, root.shape), 1)}
    for tensor in graph(root):
        g, c = collected.pop(tensor)
        if not tensor._parents:
            mine = multiplied_out(g, c, tensor.shape)
            tensor.grad = mine if tensor.grad is None else tensor.grad + mine
            continue
        for parent, rule in tensor._parents:
            pair = separated(*rule(g, c))
            if parent in collected:
                pair = added(collected[parent], pair)
            collected[parent] = pair
        tensor._parents = None


def graph(root: Tensor) -> list[Tensor]:
    """Return `root` and the tensors behind it, each after all that depend on it.

    Depth first, operands from left to right, with an explicit stack. `seen` is never
    iterated, so the order depends on the graph alone: it is the same in every process.
    """
    finished, seen, stack = [], {root}, [(root, links(root))]
    while stack:
        tensor, left = stack[-1]
        for parent, _ in left:
            if parent not in seen:
                seen.add(parent)
                stack.append((parent, links(parent)))
                break
        else:
            finished.append(tensor)
            stack.pop()
    return finished[::-1]


def links(tensor: Tensor) -> Iterator:
    """Return an iterator over the (operand, rule) pairs of a tensor."""
    if tensor._parents is None:
        raise ValueError(
            "backward: part of this graph was already used by a backward pass; "
            "run the forward pass again, or add the losses first")
    return iter(tensor._parents)


def as_seed(seed: Any, shape: Shape) -> Value:
    """Return the gradient at a root of `shape`: a finite float, or a value."""
    if is_number(seed):
        if prod(shape) != 1:
            raise ValueError(
                f"backward: a tensor of shape {shape} has no single gradient; "
                f"call .sum() first, or pass a seed of shape {shape}")
        return float(as_number(seed, "backward(seed)", finite=True))
    seed = as_value(seed, "backward(seed)")
    if seed.shape != shape:
        raise ValueError(f"backward: the seed has shape {seed.shape}; "
                         f"pass one of shape {shape}")
    return seed


def separated(g: Value, c: Fraction | float) -> Pair:
    """Move a public number g into c; the pair then holds the number 1, or a value."""
    if not isinstance(g, NUMBER):
        return g, exact(c)
    return 1, exact(c if g == 1 else c * exact(g))


def added(one: Pair, other: Pair) -> Pair:
    """Return the sum of two gradients.

    The larger number is factored out, so no value is multiplied by more than 1, which
    could exceed the range of a fixed-point type.
    """
    (g, c), (h, d) = one, other
    if isinstance(g, NUMBER) and isinstance(h, NUMBER):
        return 1, exact(c + d)
    if c == d:
        return g + h, c
    if abs(c) >= abs(d):
        return g + h * float(d / c), c
    return g * float(c / d) + h, d


def multiplied_out(g: Value, c: Fraction | float, shape: Shape) -> Value:
    """Return c * g for a leaf of `shape`; an array is always a new one."""
    if isinstance(g, NUMBER):
        return np.full(shape, float(c))
    if isinstance(g, np.ndarray):
        return np.asarray(g * float(c))
    return g * float(c)
