"""Optimisers: updates of parameters from their gradients."""

from __future__ import annotations

from collections.abc import Iterable

from .shapes import shape_of
from .tensor import Tensor
from .values import as_number


class SGD:
    """Stochastic gradient descent: ``w = w - lr * grad`` for every parameter.

    `parameters` come from ``model.parameters()``; duplicates are updated once. `lr` is
    a public number. It multiplies the gradient alone, so a fixed-point type can combine
    it with the rounding of the gradient.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        if isinstance(parameters, Tensor) or not hasattr(parameters, "__iter__"):
            raise TypeError(f"SGD: parameters is a {type(parameters).__name__}; pass a "
                            "list of Tensors: [tensor], or model.parameters()")
        self.parameters = list({id(p): p for p in parameters}.values())
        self.lr = float(as_number(lr, "SGD(lr)", finite=True))
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

    def step(self) -> None:
        """Update every parameter, or none if an error is raised."""
        lr = float(as_number(self.lr, "SGD(lr)", finite=True))   # may be new
        for i, parameter in enumerate(self.parameters):
            if parameter.grad is None:
                raise ValueError(
                    f"SGD.step: parameter {i}, of shape {parameter.shape}, has no "
                    "gradient; call loss.backward() first, or leave it out of SGD")
            if shape_of(parameter.grad) != parameter.shape:
                raise ValueError(
                    f"SGD.step: parameter {i} has shape {parameter.shape} and its "
                    f"gradient {shape_of(parameter.grad)}; keep the gradient's shape")
        moved = [_updated(p.value, p.grad, lr) for p in self.parameters]
        for parameter, value in zip(self.parameters, moved, strict=True):
            parameter.value = value

    def zero_grad(self) -> None:
        """Clear all gradients; without it, each backward pass adds to them."""
        for parameter in self.parameters:
            parameter.grad = None


def _updated(value, grad, lr):
    """Return value - lr * grad; a fixed-point type keeps the scale of the value."""
    if hasattr(value, "updated") and hasattr(grad, "rescaled_for"):
        return value.updated(grad, lr)
    return value - grad * lr
