"""Layers: a Module owns parameters and other modules, and says what comes out of what goes in."""

import numpy as np

from .tensor import Tensor


class Module:
    """Base of all layers and networks.

    Set tensors and sub-modules as attributes (lists and tuples of them too) and write `forward`;
    there is nothing to register and no ``super().__init__()`` to call. A parameter is a Tensor
    with ``requires_grad=True``.

    Examples
    --------
    >>> class Net(Module):
    ...     def __init__(self):
    ...         self.hidden, self.act, self.out = Linear(784, 128), ReLU(), Linear(128, 10)
    ...     def forward(self, x):
    ...         return self.out(self.act(self.hidden(x)))
    >>> [name for name, _ in Net().named_parameters()]
    ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
    """

    def forward(self, *inputs):
        """Return the output for `inputs`. Every module writes its own."""
        raise NotImplementedError(f"{type(self).__name__} has no forward; "
                                  "define forward(self, x), which returns a Tensor")

    def __call__(self, *inputs):
        return self.forward(*inputs)

    def named_parameters(self):
        """Return the list of (dotted name, parameter), in order of definition, each one once."""
        found, seen = [], set()

        def visit(name, item):
            if isinstance(item, Tensor) and item.requires_grad and id(item) not in seen:
                seen.add(id(item))
                found.append((name, item))
            for child_name, child in _children(item):
                visit(f"{name}.{child_name}" if name else child_name, child)

        visit("", self)
        return found

    def parameters(self):
        """Return the list of parameters, in order of definition."""
        return [parameter for _, parameter in self.named_parameters()]

    def map(self, f):
        """Replace every parameter's value by ``f(value)``, forget its gradient, return self.

        The parameter objects stay the same, so that an optimiser that holds them goes on working.
        """
        for parameter in self.parameters():
            parameter.value, parameter.grad = f(parameter.value), None
        return self

    def share(self, *args, **kwargs):
        """Replace every value by ``value.share(...)``: secret shares of it. Returns self."""
        return self._call("share", *args, **kwargs)

    def get(self):
        """Replace every value by ``value.get()``: reveal the model. Returns self."""
        return self._call("get")

    def float_precision(self):
        """Replace every value by ``value.float_precision()``: float64 arrays. Returns self."""
        return self._call("float_precision")

    def _call(self, method, *args, **kwargs):
        for name, parameter in self.named_parameters():
            if not hasattr(parameter.value, method):
                raise TypeError(
                    f"{method}: the value of {name} is a {type(parameter.value).__name__}, which "
                    f"has no .{method}(); call model.map(f) first, e.g. map(mpc.fix_precision)")
        return self.map(lambda value: getattr(value, method)(*args, **kwargs))


def _children(item):
    """Return the (name, item) pairs inside a module, list or tuple; nothing is inside the rest."""
    if isinstance(item, Module):
        return list(vars(item).items())
    if isinstance(item, (list, tuple)):
        return [(str(i), child) for i, child in enumerate(item)]
    return []


class Linear(Module):
    """``x @ weight + bias``.

    Parameters
    ----------
    in_features, out_features : int
        Length of a row of the input and of the output.
    rng : numpy.random.Generator, optional
        Draws the weight, then the bias, each entry uniform in +-1/sqrt(in_features). Pass a seeded
        one to draw the same again; initial weights are no secret that a generator would have to
        protect.

    Attributes
    ----------
    weight : Tensor of shape (in_features, out_features)
    bias : Tensor of shape (out_features,)

    Raises
    ------
    ValueError
        When a size is not positive.
    """

    def __init__(self, in_features, out_features, rng=None):
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Linear({in_features}, {out_features}): take sizes of 1 or more")
        rng = np.random.default_rng() if rng is None else rng
        bound = 1 / np.sqrt(in_features)
        self.weight = Tensor(rng.uniform(-bound, bound, (in_features, out_features)), True)
        self.bias = Tensor(rng.uniform(-bound, bound, out_features), True)

    def forward(self, x):
        return x @ self.weight + self.bias    # (n, in) @ (in, out) + (out,) -> (n, out)


class ReLU(Module):
    """``max(x, 0)``, element by element. Its slope at 0 counts as 1."""

    def forward(self, x):
        return x.relu()


class Square(Module):
    """``x ** 2``, element by element: an activation without a comparison."""

    def forward(self, x):
        return x.square()
