"""Optimisers: what to do with a gradient."""


class SGD:
    """Gradient descent: ``w = w - grad * lr`` for every parameter, once a batch.

    Parameters
    ----------
    parameters : list of Tensor
        As from ``model.parameters()``. The tensors stay the same objects; each step gives them a
        new value, which has no tie to the graph that the gradient came from.
    lr : float
        The learning rate, a public number.

    Raises
    ------
    ValueError
        When there is no parameter.

    Notes
    -----
    The product is the gradient times a public number, so that a fixed-point type can fold `lr` into
    the rounding which the gradient needs anyway.
    """

    def __init__(self, parameters, lr):
        self.parameters = list(parameters)
        self.lr = lr
        if not self.parameters:
            raise ValueError("SGD: no parameters to train; pass model.parameters(), where each "
                             "is a Tensor with requires_grad=True")

    def step(self):
        """Move every parameter against its gradient.

        Raises
        ------
        ValueError
            When a parameter has no gradient; then none is moved.
        """
        for i, parameter in enumerate(self.parameters):
            if parameter.grad is None:
                raise ValueError(f"SGD.step: parameter {i}, of shape {parameter.shape}, has no "
                                 "gradient; call loss.backward() first, or leave it out of SGD")
        for parameter in self.parameters:
            parameter.value = parameter.value - parameter.grad * self.lr

    def zero_grad(self):
        """Forget all gradients. Call it before each backward pass, or they add up."""
        for parameter in self.parameters:
            parameter.grad = None
