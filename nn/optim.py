"""Optimisers: what to do with a gradient."""

from .shapes import shape_of
from .tensor import Tensor
from .values import as_number


class SGD:
    """Gradient descent: ``w = w - grad * lr`` for every parameter, once a batch.

    `parameters` come from ``model.parameters()``; one that is there twice is moved once. The rate
    `lr` is a public number; it multiplies the gradient alone, so that a fixed-point type can fold
    it into the rounding which the gradient needs anyway.
    """

    def __init__(self, parameters, lr):
        if isinstance(parameters, Tensor) or not hasattr(parameters, "__iter__"):
            raise TypeError(f"SGD: a {type(parameters).__name__} alone came; pass a list of "
                            "parameters: [tensor], or that from model.parameters()")
        self.parameters = list({id(parameter): parameter for parameter in parameters}.values())
        self.lr = float(as_number(lr, "SGD(lr)", finite=True))
        if not self.parameters:
            raise ValueError("SGD: no parameters to train; pass model.parameters(), where each "
                             "is a Tensor with requires_grad=True")
        for i, parameter in enumerate(self.parameters):
            if not isinstance(parameter, Tensor):
                raise TypeError(f"SGD: parameter {i} is a {type(parameter).__name__}; pass "
                                "Tensors, as from model.parameters()")
            if not parameter.is_parameter:
                raise ValueError(f"SGD: parameter {i}, of shape {parameter.shape}, cannot be "
                                 "trained; pass leaves, made by Tensor(value, requires_grad=True)")

    def step(self):
        """Move every parameter against its gradient, or none of them."""
        lr = float(as_number(self.lr, "SGD(lr)", finite=True))      # it may have been set anew
        for i, parameter in enumerate(self.parameters):
            if parameter.grad is None:
                raise ValueError(f"SGD.step: parameter {i}, of shape {parameter.shape}, has no "
                                 "gradient; call loss.backward() first, or leave it out of SGD")
            if shape_of(parameter.grad) != parameter.shape:
                raise ValueError(f"SGD.step: parameter {i} has shape {parameter.shape} and its "
                                 f"gradient {shape_of(parameter.grad)}; keep the gradient's shape")
        moved = [p.value - p.grad * lr for p in self.parameters]
        for parameter, value in zip(self.parameters, moved):
            parameter.value = value

    def zero_grad(self):
        """Forget all gradients. Call it before each backward pass, or they add up."""
        for parameter in self.parameters:
            parameter.grad = None
