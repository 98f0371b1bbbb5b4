"""Optimisers: what to do with a gradient."""

from .shapes import shape_of
from .tensor import Tensor
from .values import as_factor


class SGD:
    """Gradient descent: ``w = w - grad * lr`` for every parameter, once a batch.

    Parameters
    ----------
    parameters : list, or other iterable, of Tensor
        As from ``model.parameters()``; one that is there twice is moved once. The tensors stay the
        same objects; each step gives them a new value, which has no tie to the graph that the
        gradient came from.
    lr : float
        The learning rate, a public number that is finite.

    Raises
    ------
    ValueError
        When there is no parameter, when one needs no gradient, or when `lr` is not finite.
    TypeError
        When a parameter is no Tensor or `lr` no real number.

    Notes
    -----
    The product is the gradient times a public number, so that a fixed-point type can fold `lr` into
    the rounding which the gradient needs anyway.
    """

    def __init__(self, parameters, lr):
        self.parameters = _trainable(parameters)
        self.lr = as_factor(lr, "SGD(lr)")

    def step(self):
        """Move every parameter against its gradient.

        Raises
        ------
        ValueError
            When a parameter has no gradient, or one of another shape; then none is moved.
        """
        lr = as_factor(self.lr, "SGD(lr)")                  # it may have been set anew
        for i, parameter in enumerate(self.parameters):
            if parameter.grad is None:
                raise ValueError(f"SGD.step: parameter {i}, of shape {parameter.shape}, has no "
                                 "gradient; call loss.backward() first, or leave it out of SGD")
            if shape_of(parameter.grad) != parameter.shape:
                raise ValueError(f"SGD.step: parameter {i} has shape {parameter.shape} and its "
                                 f"gradient {shape_of(parameter.grad)}; keep the gradient's shape")
        for parameter in self.parameters:
            parameter.value = parameter.value - parameter.grad * lr

    def zero_grad(self):
        """Forget all gradients. Call it before each backward pass, or they add up."""
        for parameter in self.parameters:
            parameter.grad = None


def _trainable(parameters):
    """Return the list of `parameters`, each one once, if all of them can be trained."""
    if isinstance(parameters, Tensor):
        raise TypeError("SGD: a Tensor alone came; pass a list of parameters: [tensor]")
    if not hasattr(parameters, "__iter__"):
        raise TypeError(f"SGD: a {type(parameters).__name__} came; pass a list of parameters, as "
                        "from model.parameters()")
    found = list({id(parameter): parameter for parameter in parameters}.values())
    if not found:
        raise ValueError("SGD: no parameters to train; pass model.parameters(), where each "
                         "is a Tensor with requires_grad=True")
    for i, parameter in enumerate(found):
        if not isinstance(parameter, Tensor):
            raise TypeError(f"SGD: parameter {i} is a {type(parameter).__name__}; pass Tensors, as "
                            "from model.parameters()")
        if not parameter.is_parameter:
            raise ValueError(f"SGD: parameter {i}, of shape {parameter.shape}, cannot be trained; "
                             "pass leaves, made by Tensor(value, requires_grad=True)")
    return found
