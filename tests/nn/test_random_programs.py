"""Random expressions: exact gradients on floats, close ones in fixed point.

The seed determines a program: operations on shared leaves and on earlier results. Its
loss is a sum of means, times a public number down to 1/8192.
"""

import functools

import numpy as np
import pytest

import mpc
from nn import Tensor

SHAPES = (2, 3), (3,), (1, 3), (2, 1), (3, 2), ()
NUMBERS = 0.5, 2, -3, 0.25, 1.5
LARGEST = 6                             # operations with larger results are redrawn
UNIT = 10.0**-4                         # of a number with four decimal digits

# In fixed point, each product of either pass has an error of at most one unit, which
# reaches a leaf times the slopes in between. For the programs below, this many units
# bound the sum for a loss with number 1; a smaller number scales the bound.
TOLERANCE = 40


def candidates(rng, nodes):
    """A random operation: a function of the list of tensors so far."""
    i, j = rng.integers(len(nodes), size=2)
    x, number = nodes[i], float(rng.choice(NUMBERS))
    row = np.array(rng.integers(-20, 20, x.shape[-1:]) / 10)
    axis = int(rng.integers(x.ndim)) if x.ndim else None
    keep = bool(rng.integers(2))
    sizes = [x.shape[::-1], (-1,), (1, -1), (-1, 1)][rng.integers(4)]
    cut = slice(int(rng.integers(2)), None)
    return [
        lambda t: t[i] + t[j], lambda t: t[i] - t[j], lambda t: t[i] * t[j],
        lambda t: t[i] * number, lambda t: number - t[i], lambda t: t[i] / (2 * number),
        lambda t: t[i] * row, lambda t: t[i] + row, lambda t: row - t[i],
        lambda t: t[i].sum(axis, keep), lambda t: t[i].mean(axis, keepdims=keep),
        lambda t: t[i].T, lambda t: t[i].reshape(*sizes), lambda t: t[i][cut],
        lambda t: t[i][..., ::-1], lambda t: t[i] @ t[j], lambda t: t[i].T @ t[j],
        lambda t: t[i].square(), lambda t: t[i].relu(),
        lambda t: row.reshape(1, -1) @ t[i].reshape(-1, row.size).T,
    ][rng.integers(20)]


def program(seed, steps=12):
    """The arrays of the leaves, the loss as a function of them, and its number."""
    rng = np.random.default_rng(seed)
    arrays = [np.array(rng.integers(-15, 16, SHAPES[k]) / 10 + 0.05)
              for k in rng.integers(len(SHAPES), size=3)]
    number = 1 / float(rng.choice([1, 64, 640, 8192]))
    chosen, nodes = [], [Tensor(array) for array in arrays]
    while len(chosen) < steps:
        step = candidates(rng, nodes)
        try:
            value = step(nodes)
        except (ValueError, IndexError):            # mismatched shapes, a missing axis
            continue
        size = np.abs(value.value)
        if size.size and LARGEST > size.max() and size.min() > 0.02 and size.size <= 24:
            chosen.append(step)                     # nothing is near the kink of a ReLU
            nodes.append(value)

    def loss(leaves):
        tensors = list(leaves)
        for step in chosen:
            tensors.append(step(tensors))
        means = (t.mean() for t in tensors[len(arrays):])
        return sum(means, tensors[-1].sum() * 0.5) * number

    return arrays, loss, number


def gradients(loss, arrays, kind):
    leaves = [Tensor(kind(array), requires_grad=True) for array in arrays]
    loss(leaves).backward()
    return [leaf.grad for leaf in leaves]


def slopes(loss, arrays, step=1e-5):
    """Central differences of the loss at every entry of every leaf."""
    def value(i, at, d):
        moved = [array.copy() for array in arrays]
        moved[i][at] += d
        return float(loss([Tensor(array) for array in moved]).value)

    found = [np.zeros(array.shape) for array in arrays]
    for i, array in enumerate(arrays):
        for at in np.ndindex(array.shape):
            found[i][at] = (value(i, at, step) - value(i, at, -step)) / (2 * step)
    return found


@pytest.mark.parametrize("block", range(10))
def test_gradients_of_random_programs(block):
    for seed in range(15 * block, 15 * block + 15):
        arrays, loss, number = program(seed)
        exact = gradients(loss, arrays, np.array)
        fixed = gradients(loss, arrays, functools.partial(
            mpc.fix_precision, precision_fractional=4, rounding_seed=seed))
        for a, b, c in zip(exact, slopes(loss, arrays), fixed, strict=True):
            if a is None:                           # a leaf that no operation uses
                assert c is None and not b.any()
                continue
            error = np.max(np.abs(a - b))
            assert error <= 1e-6 * number * (1 + np.abs(b / number).max()), seed
            c = c if isinstance(c, np.ndarray) else c.float_precision()
            units = np.max(np.abs(a - c)) / (UNIT * number)
            assert units <= TOLERANCE, f"program {seed}: error of {units:.0f} units"
