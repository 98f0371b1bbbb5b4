"""Rules for operations that move elements: their gradients move back.

The form of a rule is that of `gradients`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from .shapes import Shape
from .values import NUMBER, Value

Rule = Callable[[Value, Any], tuple[Value, Any]]
Unary = tuple[Value, Rule]


def reshaped(x, shape):
    """Return `x` in `shape`; for ``()``, its one element, as a sum."""
    return x.reshape(*shape) if shape else x.sum()


def reshape(x: Value, shape: Shape) -> Unary:
    """y = x in another shape:  dx = g in the shape of x."""
    return reshaped(x, shape), lambda g, c: (
        g if isinstance(g, NUMBER) else reshaped(g, x.shape), c)


def transpose(x: Value, axes: tuple | None) -> Unary:
    """y = x with its axes in another order:  dx = g with its axes back in place."""
    if len(x.shape) < 2:
        return x, lambda g, c: (g, c)
    if axes is None:
        return x.T, lambda g, c: (g if isinstance(g, NUMBER) else g.T, c)
    back = tuple(int(i) for i in np.argsort(axes))
    return x.transpose(axes), lambda g, c: (
        g if isinstance(g, NUMBER) else g.transpose(back), c)


def join(*values: Value, axis: int) -> tuple:
    """y = the values joined along `axis`:  each takes its part of g."""
    y = np.concatenate(values, axis)
    at = (slice(None),) * (axis % len(y.shape))
    ends = np.cumsum([v.shape[axis] for v in values]).tolist()

    def part(start, end):
        return lambda g, c: (
            g if isinstance(g, NUMBER) else g[at + (slice(start, end),)], c)

    return (y, *map(part, [0, *ends[:-1]], ends))


def index(x: Value, key: Any) -> Unary:
    """y = x[key]:  dx = g at the positions that `key` selects, 0 elsewhere."""
    return x[key], lambda g, c: (placed(g, key, x.shape), c)


def placed(g, key, shape):
    """Return zeros of `shape` with `g` added at ``[key]``.

    NumPy writes into an array. Other types cannot be written to: each of their elements
    is the sum of a run of g in the order of positions, a difference of cumulated sums.
    """
    if isinstance(g, (*NUMBER, np.ndarray)):
        zeros = np.zeros(shape)
        np.add.at(zeros, key, g)
        return zeros
    every = np.arange(prod(shape))
    chosen = every.reshape(shape)[key].reshape(-1)
    if not chosen.size:
        return np.zeros(shape)
    order = np.argsort(chosen, kind="stable")
    first, end = (np.searchsorted(chosen[order], every, side) for side in
                  ("left", "right"))
    g = g.reshape(chosen.size)
    nothing = g[:1] - g[:1]
    if (end - first).max() < 2:         # no position twice
        source = np.where(end > first, order[first % chosen.size], chosen.size)
        return reshaped(np.concatenate([g, nothing])[source], shape)
    sums = np.concatenate([nothing, g[order].cumsum(0)])
    return reshaped(sums[end] - sums[first], shape)
