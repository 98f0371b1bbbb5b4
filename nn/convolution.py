"""Convolution and pooling of pictures, (n, channels, height, width).

A convolution is one matrix product (im2col): the elements under each position of the
kernel become a row, and the kernels are the columns of the weight. Positions depend on
shapes alone, so everybody knows them: moving elements into rows, and their gradients
back, needs no message.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from .gradients import Unary, filled
from .layers import check_sizes, generator, operand, uniform
from .module import Module, as_tensor
from .shapes import Shape
from .tensor import Tensor, _apply
from .values import Value

Pair = int | tuple[int, ...]      # the same size for both axes, or two


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Pair = 1,
           padding: Pair = 0) -> Tensor:
    """Return the sums of products of each kernel with all windows of each picture.

    `x` has shape (n, channels, height, width), with `padding` zeros around it, and the
    `weight` (kernels, channels, kernel height, kernel width). The result has shape
    (n, kernels, rows, columns), and costs one product of matrices.
    """
    x, weight = as_tensor(x), as_tensor(weight)
    if weight.ndim != 4 or x.shape[1:2] != weight.shape[1:2]:
        raise ValueError(f"conv2d: the input has shape {x.shape} and the weight "
                         f"{weight.shape}; give both four axes and as many channels")
    kernels = weight.shape[0]
    places = windows("conv2d", x.shape, weight.shape[2:], stride, padding)
    rows, columns = places.shape[:2]
    inputs = gathered(x, places.reshape(rows * columns, -1))
    y = inputs.reshape(-1, inputs.shape[-1]) @ weight.reshape(kernels, -1).T
    y = y if bias is None else y + bias                 # (n * windows, kernels)
    order = np.arange(rows * columns * kernels).reshape(rows, columns, kernels)
    return gathered(y.reshape(x.shape[0], order.size), np.moveaxis(order, -1, 0))


class Conv2d(Module):
    """`conv2d` with a weight and a bias of its own.

    The generator `rng` draws the weight, of shape (out_channels, in_channels, kernel
    height, kernel width), then the bias, each entry uniform in +-1/sqrt(n) for the n
    inputs of a window.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Pair,
                 stride: Pair = 1, padding: Pair = 0,
                 rng: np.random.Generator | None = None, *, bias: bool = True) -> None:
        check_sizes("Conv2d", in_channels, out_channels)
        kernel, self.stride = (pair("Conv2d", n, 1) for n in (kernel_size, stride))
        self.padding = pair("Conv2d", padding, 0)
        rng, inputs = generator("Conv2d", rng), in_channels * kernel[0] * kernel[1]
        self.weight = uniform(rng, inputs, (out_channels, in_channels, *kernel))
        self.bias: Any = uniform(rng, inputs, (out_channels,)) if bias else None

    def forward(self, x: Any) -> Tensor:
        x = operand("Conv2d", x, self.weight)
        return conv2d(x, self.weight, self.bias, self.stride, self.padding)

    def extra_repr(self) -> str:
        out, channels, *kernel = self.weight.shape
        return (f"{channels}, {out}, kernel_size={tuple(kernel)}, stride={self.stride}"
                + f", padding={self.padding}" * (self.padding != (0, 0))
                + ", bias=False" * (self.bias is None))


class Pool2d(Module):
    """Base of the pooling layers: one result per window, whose stride is its size."""

    def __init__(self, kernel_size: Pair, stride: Pair | None = None) -> None:
        name = type(self).__name__
        self.kernel_size = pair(name, kernel_size, 1)
        self.stride = self.kernel_size if stride is None else pair(name, stride, 1)

    def windows(self, x: Any) -> Tensor:
        """Return the elements of each window, along a new last axis."""
        x = as_tensor(x)
        places = windows(type(self).__name__, x.shape, self.kernel_size, self.stride, 0)
        return gathered(x, np.moveaxis(places, 2, 0))   # (channels, rows, columns, ...)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}"


class AvgPool2d(Pool2d):
    """The mean of each window of each channel: no message."""

    def forward(self, x: Any) -> Tensor:
        x = self.windows(x)
        return x.sum(axis=-1) / x.shape[-1]


class MaxPool2d(Pool2d):
    """The largest element of each window of each channel: comparisons."""

    def forward(self, x: Any) -> Tensor:
        x = self.windows(x)
        return x.max(axis=-1)


# ---- windows: the places of their elements


def windows(name: str, shape: Shape, kernel: Pair, stride: Pair,
            padding: Pair) -> np.ndarray:
    """Return the places of all windows of a picture, numbered from 0 in its order.

    The array has shape (rows, columns, channels, kernel height * kernel width); -1
    stands for a zero of the padding.
    """
    if len(shape) != 4:
        raise ValueError(f"{name}: the input has shape {shape}; give it "
                         "(n, channels, height, width)")
    _, channels, *sizes = shape
    (h, w), (down, right) = pair(name, kernel, 1), pair(name, stride, 1)
    around = [(0, 0), *((p, p) for p in pair(name, padding, 0))]
    places = np.arange(channels * sizes[0] * sizes[1]).reshape(channels, *sizes)
    places = np.pad(places, around, constant_values=-1)
    if h > places.shape[1] or w > places.shape[2]:
        raise ValueError(f"{name}: a kernel of {h} x {w} does not fit into pictures of "
                         f"{places.shape[1]} x {places.shape[2]}; take a smaller one")
    found = np.lib.stride_tricks.sliding_window_view(places, (h, w), axis=(1, 2))
    found = np.moveaxis(found[:, ::down, ::right], 0, 2)
    return found.reshape(*found.shape[:3], h * w)


def pair(name: str, size: Any, least: int) -> tuple[int, int]:
    """Return a size for both axes: a pair, or one integer for both."""
    both = size if isinstance(size, (tuple, list)) else (size, size)
    whole = all(isinstance(n, Integral) and not isinstance(n, bool) for n in both)
    if not whole or len(both) != 2 or min(both) < least:
        raise ValueError(f"{name}: a size, stride or padding is not an integer from "
                         f"{least} on, or two of them")
    return int(both[0]), int(both[1])


# ---- moving elements


def gathered(x: Tensor, places: np.ndarray) -> Tensor:
    """Return the elements of each item in these places, and 0 for the place -1."""
    return _apply(gather, x, places=places)


def gather(x: Value, places: np.ndarray) -> Unary:
    """y = x[:, places]:  dx = for each element, the sum of g where it went."""
    y = taken(x, places)

    def rule(g, c):
        g = filled(g, y.shape)
        back = readers(places, int(np.prod(x.shape[1:])))
        return taken(g, back).sum(axis=-1).reshape(*x.shape), c

    return y, rule


def taken(x: Value, places: np.ndarray) -> Value:
    """Return the elements of each item of a value, and 0 for the place -1."""
    flat, inside = x.reshape(x.shape[0], int(np.prod(x.shape[1:]))), places >= 0
    y = flat[:, np.maximum(places, 0)]
    return y if inside.all() else y * inside.astype(np.float64)


def readers(places: np.ndarray, size: int) -> np.ndarray:
    """Return, for each of `size` elements, the positions in `places` that have it.

    A row for each element, filled up with -1.
    """
    order = np.argsort(places, axis=None, kind="stable")
    order = order[np.count_nonzero(places < 0):]        # without the padding
    element = places.reshape(-1)[order]
    counts = np.bincount(element, minlength=size)
    rank = np.arange(len(order)) - (np.cumsum(counts) - counts)[element]
    table = np.full((size, counts.max(initial=1)), -1)
    table[element, rank] = order
    return table
