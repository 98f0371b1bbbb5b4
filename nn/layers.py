"""Layers: linear maps, activations, and dropout."""

from __future__ import annotations

from math import prod
from numbers import Integral
from typing import Any

import numpy as np

from .module import Module
from .state import is_plain
from .tensor import Tensor, as_tensor
from .values import as_number


class Linear(Module):
    """``x @ weight + bias``, or ``x @ weight`` with ``bias=False``.

    The generator `rng` draws the weight, of shape (in_features, out_features), then the
    bias, each entry uniform in +-1/sqrt(in_features). Pass a seeded generator to
    reproduce them; initial weights are not secret.
    """

    def __init__(self, in_features: int, out_features: int,
                 rng: np.random.Generator | None = None, *, bias: bool = True) -> None:
        check_sizes("Linear", in_features, out_features)
        rng = generator("Linear", rng)
        self.weight = uniform(rng, in_features, (in_features, out_features))
        self.bias: Any = uniform(rng, in_features, (out_features,)) if bias else None

    def forward(self, x: Any) -> Tensor:
        x = operand("Linear", x, self.weight) @ self.weight     # (n, in) @ (in, out)
        return x if self.bias is None else x + self.bias        # (n, out) + (out,)

    def extra_repr(self) -> str:
        sizes = "{}, {}".format(*self.weight.shape)
        return sizes + ", bias=False" * (self.bias is None)


class ReLU(Module):
    """``max(x, 0)``, element by element. Its slope at 0 is 1."""

    def forward(self, x: Any) -> Tensor:
        return as_tensor(x).relu()


class Square(Module):
    """``x ** 2``, element by element: an activation without a comparison."""

    def forward(self, x: Any) -> Tensor:
        return as_tensor(x).square()


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``, element by element."""

    def forward(self, x: Any) -> Tensor:
        x = as_tensor(x)
        return x.sigmoid()


class Tanh(Module):
    """The hyperbolic tangent, element by element."""

    def forward(self, x: Any) -> Tensor:
        x = as_tensor(x)
        return x.tanh()


class Flatten(Module):
    """All axes but the first as one: (n, 6, 4, 4) becomes (n, 96)."""

    def forward(self, x: Any) -> Tensor:
        x = as_tensor(x)
        if not x.ndim:
            raise ValueError("Flatten: a single number came; pass one row per item")
        return x.reshape(x.shape[0], prod(x.shape[1:]))


class Dropout(Module):
    """In training, each element is 0 with probability `p`, and else x / (1 - p).

    Everybody knows which elements are dropped: the mask is public, drawn by `rng` for
    each element and call. All roles of a run must draw the same masks, so the default
    generator has the seed 0; pass one with a seed of its own to each of several layers.
    After `eval`, the output is the input.
    """

    def __init__(self, p: float = 0.5, rng: np.random.Generator | None = None) -> None:
        self.p = float(as_number(p, "Dropout(p)", finite=True))
        if not 0 <= self.p < 1:
            raise ValueError(f"Dropout: p is {self.p}; pass a probability from 0 on, "
                             "below 1")
        same = np.random.default_rng(0)
        self.rng = generator("Dropout", same if rng is None else rng)

    def forward(self, x: Any) -> Tensor:
        x = as_tensor(x)
        if not self.training or not self.p:
            return x
        kept = self.rng.uniform(size=x.shape) >= self.p
        return x * kept.astype(np.float64) * (1 / (1 - self.p))

    def extra_repr(self) -> str:
        return f"p={self.p}"


# ---- what layers with weights have in common


def check_sizes(layer: str, *sizes: Any) -> None:
    """Raise unless all sizes are integers of 1 or more."""
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, Integral):
            raise TypeError(f"{layer}: a size is a {type(size).__name__}; "
                            "pass integers")
    if min(sizes) < 1:
        raise ValueError(f"{layer}({', '.join(map(str, sizes))}): "
                         "pass sizes of 1 or more")


def generator(layer: str, rng: Any) -> np.random.Generator:
    """Return `rng`, or a new generator for None."""
    if rng is not None and not hasattr(rng, "uniform"):
        raise TypeError(f"{layer}: rng is a {type(rng).__name__}; pass "
                        "np.random.default_rng(seed), or nothing; other options, such "
                        "as bias=False, by name")
    return np.random.default_rng() if rng is None else rng


def uniform(rng: np.random.Generator, inputs: int, shape: tuple) -> Tensor:
    """Return a parameter with entries uniform in +-1/sqrt(inputs)."""
    bound = 1 / np.sqrt(inputs)
    return Tensor(rng.uniform(-bound, bound, shape), requires_grad=True)


def operand(layer: str, x: Any, weight: Tensor) -> Tensor:
    """Return the input of a layer as a Tensor that can meet its weight."""
    x = as_tensor(x)
    if is_plain(weight.value) and not is_plain(x.value):
        raise TypeError(f"{layer}: the input is a {type(x.value).__name__} and the "
                        "weight a plain array; encode the layer with "
                        "model.map(mpc.fix_precision), and share it with "
                        "model.share(...) if its weights are secret")
    return x
