"""Optimisers: updates of parameters from their gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .shapes import shape_of
from .state import matching
from .tensor import Tensor
from .values import Value, as_number, as_value

NUMBERS = "lr", "momentum", "weight_decay", "nesterov"


class SGD:
    """Stochastic gradient descent, by PyTorch's formulas for each parameter w.

        g = gradient + weight_decay * w
        v = momentum * v + g    in the first step: v = g
        w = w - lr * v          with nesterov: w - lr * (g + momentum * v)

    `parameters` come from ``model.parameters()``; duplicates are updated once. `lr`,
    `momentum` and `weight_decay` are public numbers, and may be set between steps. With
    momentum or weight decay, fixed-point gradients are rounded to the scale of their
    weight first, and v keeps this scale. Without, `lr` multiplies the gradient alone,
    so a fixed-point type can combine it with the rounding of the gradient.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float = 0,
                 weight_decay: float = 0, nesterov: bool = False) -> None:
        if isinstance(parameters, Tensor) or not hasattr(parameters, "__iter__"):
            raise TypeError(f"SGD: parameters is a {type(parameters).__name__}; pass a "
                            "list of Tensors: [tensor], or model.parameters()")
        self.parameters = list({id(p): p for p in parameters}.values())
        if not self.parameters:
            raise ValueError("SGD: no parameters to train; pass model.parameters(), "
                             "Tensors with requires_grad=True")
        for i, parameter in enumerate(self.parameters):
            if not isinstance(parameter, Tensor):
                raise TypeError(f"SGD: parameter {i} is a {type(parameter).__name__}; "
                                "pass Tensors, as from model.parameters()")
            if not parameter.is_parameter:
                raise ValueError(f"SGD: parameter {i}, of shape {parameter.shape}, "
                                 "cannot be trained; pass leaves, made by "
                                 "Tensor(value, requires_grad=True)")
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.nesterov = bool(nesterov)
        self.lr, self.momentum, self.weight_decay = self._numbers()
        self.velocities: list[Value] = []       # of all parameters, from the first step

    def _numbers(self) -> tuple[float, float, float]:
        """Return lr, momentum and weight_decay, which may be new, as floats."""
        lr, momentum, decay = (float(as_number(x, f"SGD({name})", True)) for name, x in
                               zip(NUMBERS, (self.lr, self.momentum, self.weight_decay),
                                   strict=False))
        if not 0 <= momentum < 1 or min(lr, decay) < 0:
            raise ValueError(
                f"SGD: lr={lr}, momentum={momentum}, weight_decay={decay}; pass a "
                "momentum from 0 on, below 1, and a rate and a decay from 0 on")
        if self.nesterov and not momentum:
            raise ValueError("SGD: nesterov needs a momentum; pass momentum=0.9")
        return lr, momentum, decay

    def step(self) -> None:
        """Update every parameter, or none if an error is raised."""
        lr, momentum, decay = self._numbers()
        self._check()
        velocities = self.velocities or [None] * len(self.parameters)
        moved = [self._moved(p.value, p.grad, v, lr, momentum, decay)
                 for p, v in zip(self.parameters, velocities, strict=True)]
        for parameter, (value, _) in zip(self.parameters, moved, strict=True):
            parameter.value = value
        self.velocities = [v for _, v in moved] if momentum else []

    def _moved(self, w, g, v, lr, momentum, decay):
        """Return the new value and velocity of one parameter."""
        if momentum or decay:
            g = _at_scale(w, g)
        if decay:
            g = _updated(g, w, -decay)
        if momentum:
            v = g if v is None else v * momentum + g
            g = g + v * momentum if self.nesterov else v
        return _updated(w, g, lr), v

    def _check(self) -> None:
        """Raise unless each parameter has a gradient and a velocity of its shape."""
        for i, p in enumerate(self.parameters):
            if p.grad is None:
                raise ValueError(
                    f"SGD.step: parameter {i}, of shape {p.shape}, has no gradient; "
                    "call loss.backward() first, or leave it out of SGD")
            if shape_of(p.grad) != p.shape:
                raise ValueError(
                    f"SGD.step: parameter {i} has shape {p.shape} and its gradient "
                    f"{shape_of(p.grad)}; keep the gradient's shape")
        for i, (p, v) in enumerate(zip(self.parameters, self.velocities, strict=False)):
            if type(v) is not type(p.value) or v.shape != p.shape:
                raise ValueError(
                    f"SGD.step: parameter {i} is a {type(p.value).__name__} and its "
                    f"momentum a {type(v).__name__}; make a new SGD after a change of "
                    "the model's type or shape")

    def zero_grad(self) -> None:
        """Clear all gradients; without it, each backward pass adds to them."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Value]:
        """Return {name: value}: lr and the like, and velocity.0, velocity.1, ...

        Before the first step, and without momentum, there is no velocity. It is as
        secret as the gradients.
        """
        numbers = {name: as_value(float(getattr(self, name))) for name in NUMBERS}
        return {**numbers, **{f"velocity.{i}": as_value(v)
                              for i, v in enumerate(self.velocities)}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on as the SGD of this `state`, which had parameters of the same shapes."""
        due = {name: np.zeros(()) for name in NUMBERS}
        if isinstance(state, Mapping) and len(state) > len(due):
            due |= {f"velocity.{i}": p.value for i, p in enumerate(self.parameters)}
        values = matching("SGD.load_state_dict", state, due)
        self.lr, self.momentum, self.weight_decay, nesterov = (
            float(values.pop(name)) for name in NUMBERS)
        self.nesterov, self.velocities = bool(nesterov), list(values.values())


def _at_scale(value, grad):
    """Return `grad`, in fixed point at the scale of `value`."""
    return _updated(value - value, grad, -1) if hasattr(value, "updated") else grad


def _updated(value, grad, lr):
    """Return value - lr * grad; a fixed-point type keeps the scale of the value."""
    if hasattr(value, "updated") and hasattr(grad, "rescaled_for"):
        return value.updated(grad, lr)
    return value - grad * lr
