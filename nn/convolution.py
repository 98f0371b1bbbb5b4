"""Convolution and pooling of pictures, (n, channels, height, width).

A convolution is one matrix product (im2col): the elements under each position of the
kernel become a row, and the kernels are the columns of the weight. Positions depend on
shapes alone, so everybody knows them: moving elements into rows, and their gradients
back, needs no message.
"""

from __future__ import annotations

from math import prod
from numbers import Integral
from typing import Any

import numpy as np

from .layers import check_sizes, generator, operand, uniform
from .module import Module
from .shapes import Shape
from .tensor import Tensor, as_tensor

Pair = int | tuple[int, ...]      # the same size for both axes, or two


def conv2d(x: Any, weight: Tensor, bias: Tensor | None = None, stride: Pair = 1,
           padding: Pair = 0) -> Tensor:
    """Return the sums of products of each kernel with all windows of each picture.

    `x` has shape (n, channels, height, width), with `padding` zeros around it, and the
    `weight` (kernels, channels, kernel height, kernel width). The result has shape
    (n, kernels, rows, columns), and costs one product of matrices.
    """
    x, weight = as_tensor(x), as_tensor(weight)
    if not x.ndim == weight.ndim == 4 or x.shape[1] != weight.shape[1]:
        raise ValueError(f"conv2d: the input has shape {x.shape} and the weight "
                         f"{weight.shape}; give both four axes and as many channels")
    kernels = weight.shape[0]
    around = [(0, 0), (0, 0), *((n, n) for n in pair("conv2d", padding, 0))]
    x = np.pad(x, around) if np.any(around) else x
    places = windows("conv2d", x.shape, weight.shape[2:], stride)
    n, (rows, columns) = x.shape[0], places.shape[:2]
    inputs = x.reshape(n, prod(x.shape[1:]))[:, places]
    inputs = inputs.reshape(n * rows * columns, places[0, 0].size)
    y = inputs @ weight.reshape(kernels, -1).T                  # (n * windows, kernels)
    y = y if bias is None else y + bias
    return y.reshape(n, rows, columns, kernels).transpose(0, 3, 1, 2)


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
        places = windows(type(self).__name__, x.shape, self.kernel_size, self.stride)
        places = np.moveaxis(places, 2, 0)              # (channels, rows, columns, ...)
        return x.reshape(x.shape[0], prod(x.shape[1:]))[:, places]

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


def windows(name: str, shape: Shape, kernel: Pair, stride: Pair) -> np.ndarray:
    """Return the places of all windows of a picture, numbered from 0 in its order.

    The array has shape (rows, columns, channels, kernel height * kernel width).
    """
    if len(shape) != 4:
        raise ValueError(f"{name}: the input has shape {shape}; give it "
                         "(n, channels, height, width)")
    _, channels, height, width = shape
    (h, w), (down, right) = pair(name, kernel, 1), pair(name, stride, 1)
    if h > height or w > width:
        raise ValueError(f"{name}: a kernel of {h} x {w} does not fit into pictures of "
                         f"{height} x {width}; take a smaller one")
    places = np.arange(channels * height * width).reshape(channels, height, width)
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
