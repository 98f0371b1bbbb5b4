"""Layers: a Module owns parameters and other modules, and maps inputs to an output."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np

from . import parameters
from .tensor import Tensor
from .values import Value, as_value


class Module:
    """Base of all layers and networks.

    Assign tensors and sub-modules to attributes, also within lists, tuples and dicts,
    and write `forward`; no registration or ``super().__init__()`` is needed. Parameters
    are the Tensors created with ``requires_grad=True``. A parameter inside a set or
    another object is refused.

    >>> class Net(Module):
    ...     def __init__(self):
    ...         self.hidden, self.act = Linear(784, 128), ReLU()
    ...         self.out = Linear(128, 10)
    ...     def forward(self, x):
    ...         return self.out(self.act(self.hidden(x)))
    >>> [name for name, _ in Net().named_parameters()]
    ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
    """

    def forward(self, *inputs: Any) -> Tensor:
        """Return the output for `inputs`; every module defines its own."""
        raise NotImplementedError(f"{type(self).__name__} has no forward; "
                                  "define forward(self, x), which returns a Tensor")

    def __call__(self, *inputs: Any) -> Tensor:
        return self.forward(*inputs)

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        """Return the list of (dotted name, parameter), in order of definition."""
        return parameters.find(self, Module)

    def parameters(self) -> list[Tensor]:
        """Return the list of parameters, in order of definition."""
        return [parameter for _, parameter in self.named_parameters()]

    def map(self, f: Callable[[Value], Value]) -> Module:
        """Replace the value of each parameter by ``f(value)``; return self.

        Gradients are cleared. The parameter objects stay the same, so optimisers that
        hold them keep working. If f raises, the model is unchanged.
        """
        found = self.named_parameters()
        values = [as_value(f(p.value), f"map: {name}") for name, p in found]
        for (_, parameter), value in zip(found, values, strict=True):
            parameter.value, parameter.grad = value, None
        return self

    def share(self, *args: Any, **kwargs: Any) -> Module:
        """Replace each value by its secret shares, ``value.share(...)``."""
        return self._call("share", *args, **kwargs)

    def get(self) -> Module:
        """Reveal the model: replace each value by ``value.get()``; return self."""
        return self._call("get")

    def float_precision(self) -> Module:
        """Replace each value by ``value.float_precision()``, a float64 array."""
        return self._call("float_precision")

    def _call(self, method, *args, **kwargs):
        for name, parameter in self.named_parameters():
            if not hasattr(parameter.value, method):
                kind = type(parameter.value).__name__
                raise TypeError(f"{method}: the value of {name}, a {kind}, has no "
                                f".{method}(); call model.map(f) first, e.g. "
                                "map(mpc.fix_precision)")
        return self.map(lambda value: getattr(value, method)(*args, **kwargs))


class Linear(Module):
    """``x @ weight + bias``.

    The generator `rng` draws the weight, of shape (in_features, out_features), then the
    bias, each entry uniform in +-1/sqrt(in_features). Pass a seeded generator to
    reproduce them; initial weights are not secret.
    """

    def __init__(self, in_features: int, out_features: int,
                 rng: np.random.Generator | None = None) -> None:
        for size in (in_features, out_features):
            if isinstance(size, bool) or not isinstance(size, Integral):
                raise TypeError(f"Linear: a size is a {type(size).__name__}; "
                                "pass two integers")
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Linear({in_features}, {out_features}): "
                             "pass sizes of 1 or more")
        rng = np.random.default_rng() if rng is None else rng
        if not hasattr(rng, "uniform"):
            raise TypeError(f"Linear: rng is a {type(rng).__name__}; "
                            "pass np.random.default_rng(seed), or nothing")
        bound = 1 / np.sqrt(in_features)
        shape = in_features, out_features
        self.weight = Tensor(rng.uniform(-bound, bound, shape), requires_grad=True)
        self.bias = Tensor(rng.uniform(-bound, bound, out_features), requires_grad=True)

    def forward(self, x: Any) -> Tensor:
        x = _tensor(x)
        plain = isinstance(self.weight.value, np.ndarray)
        if plain and not isinstance(x.value, np.ndarray):
            raise TypeError(f"Linear: the input is a {type(x.value).__name__} and the "
                            "weight a plain array; encode the layer with "
                            "model.map(mpc.fix_precision), and share it with "
                            "model.share(...) if its weights are secret")
        return x @ self.weight + self.bias    # (n, in) @ (in, out) + (out,) -> (n, out)


class ReLU(Module):
    """``max(x, 0)``, element by element. Its slope at 0 is 1."""

    def forward(self, x: Any) -> Tensor:
        return _tensor(x).relu()


class Square(Module):
    """``x ** 2``, element by element: an activation without a comparison."""

    def forward(self, x: Any) -> Tensor:
        return _tensor(x).square()


def _tensor(x):
    """Return the input of a layer as a Tensor; a bare value needs no gradient."""
    return x if isinstance(x, Tensor) else Tensor(x)
