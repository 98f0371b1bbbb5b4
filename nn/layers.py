"""Layers: a Module owns parameters and other modules, and says what comes out of what goes in."""

from numbers import Integral

import numpy as np

from . import parameters
from .tensor import Tensor
from .values import as_value


class Module:
    """Base of all layers and networks.

    Set tensors and sub-modules as attributes, also in lists, tuples and dicts, and write `forward`;
    there is nothing to register and no ``super().__init__()`` to call. A parameter is a Tensor
    with ``requires_grad=True`` that was not computed; one that a set or an object holds is refused.

    >>> class Net(Module):
    ...     def __init__(self):
    ...         self.hidden, self.act, self.out = Linear(784, 128), ReLU(), Linear(128, 10)
    ...     def forward(self, x):
    ...         return self.out(self.act(self.hidden(x)))
    >>> [name for name, _ in Net().named_parameters()]
    ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
    """

    def forward(self, *inputs):
        """Return the output for `inputs`; every module writes its own."""
        raise NotImplementedError(f"{type(self).__name__} has no forward; "
                                  "define forward(self, x), which returns a Tensor")

    def __call__(self, *inputs):
        return self.forward(*inputs)

    def named_parameters(self):
        """Return the list of (dotted name, parameter): `nn.parameters.find` says from where."""
        return parameters.find(self, Module)

    def parameters(self):
        """Return the list of parameters, in order of definition."""
        return [parameter for _, parameter in self.named_parameters()]

    def map(self, f):
        """Replace every parameter's value by ``f(value)``, forget its gradient, return self.

        The parameter objects stay the same, so that an optimiser that holds them goes on working.
        Where f raises, the model stays as it was.
        """
        found = self.named_parameters()
        values = [as_value(f(parameter.value), f"map: {name}") for name, parameter in found]
        for (_, parameter), value in zip(found, values):
            parameter.value, parameter.grad = value, None
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


class Linear(Module):
    """``x @ weight + bias``.

    The generator `rng` draws the weight, of shape (in_features, out_features), and then the bias,
    each entry uniform in +-1/sqrt(in_features). Pass a seeded one to draw the same again; initial
    weights are no secret that it would have to protect.
    """

    def __init__(self, in_features, out_features, rng=None):
        for size in (in_features, out_features):
            if isinstance(size, bool) or not isinstance(size, Integral):
                raise TypeError(f"Linear: a size is a {type(size).__name__}; pass two integers")
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Linear({in_features}, {out_features}): take sizes of 1 or more")
        rng = np.random.default_rng() if rng is None else rng
        if not hasattr(rng, "uniform"):
            raise TypeError(f"Linear: rng is a {type(rng).__name__}; pass "
                            "np.random.default_rng(seed), or nothing")
        bound = 1 / np.sqrt(in_features)
        self.weight = Tensor(rng.uniform(-bound, bound, (in_features, out_features)), True)
        self.bias = Tensor(rng.uniform(-bound, bound, out_features), True)

    def forward(self, x):
        x = _tensor(x)
        if isinstance(self.weight.value, np.ndarray) and not isinstance(x.value, np.ndarray):
            raise TypeError(f"Linear: the input is a {type(x.value).__name__} and the weight a "
                            "plain array; encode the layer with model.map(mpc.fix_precision), and "
                            "share it with model.share(...) if its weights are secret")
        return x @ self.weight + self.bias    # (n, in) @ (in, out) + (out,) -> (n, out)


class ReLU(Module):
    """``max(x, 0)``, element by element. Its slope at 0 counts as 1."""

    def forward(self, x):
        return _tensor(x).relu()


class Square(Module):
    """``x ** 2``, element by element: an activation without a comparison."""

    def forward(self, x):
        return _tensor(x).square()


def _tensor(x):
    """Return the input of a layer as a Tensor; a bare array or value is one that needs none."""
    return x if isinstance(x, Tensor) else Tensor(x)
