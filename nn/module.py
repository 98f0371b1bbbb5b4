"""Modules: they own parameters and other modules, and map inputs to an output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from reprlib import recursive_repr
from typing import Any

from . import parameters
from .state import matching
from .tensor import Tensor, as_tensor
from .values import Value, as_value


class Module:
    """Base of all layers and networks.

    Assign tensors and sub-modules to attributes, also within lists, tuples and dicts,
    and write `forward`; no registration or ``super().__init__()`` is needed. Parameters
    are the Tensors created with ``requires_grad=True``. A parameter inside a set,
    another object or a function is refused.

    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         self.hidden, self.act = nn.Linear(784, 128), nn.ReLU()
    ...         self.out = nn.Linear(128, 10)
    ...     def forward(self, x):
    ...         return self.out(self.act(self.hidden(x)))
    >>> Net()
    Net(
      (hidden): Linear(784, 128)
      (act): ReLU()
      (out): Linear(128, 10)
    )
    >>> [name for name, _ in Net().named_parameters()]
    ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
    """

    training = True             # do layers such as Dropout behave as in training?

    def forward(self, *inputs: Any) -> Tensor:
        """Return the output for `inputs`; every module defines its own."""
        raise NotImplementedError(f"{type(self).__name__} has no forward; "
                                  "define forward(self, x), which returns a Tensor")

    def __call__(self, *inputs: Any, **options: Any) -> Tensor:
        return self.forward(*inputs, **options)

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        """Return the list of (dotted name, parameter), in order of definition."""
        return parameters.find(self, Module)

    def parameters(self) -> list[Tensor]:
        """Return the list of parameters, in order of definition."""
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self) -> None:
        """Clear all gradients; without it, each backward pass adds to them."""
        for parameter in self.parameters():
            parameter.grad = None

    def train(self, mode: bool = True) -> Module:
        """Set `training` in this module and in all modules within it; return self."""
        for _, module in parameters.search("", self, Module, {}):
            if isinstance(module, Module):
                module.training = bool(mode)
        return self

    def eval(self) -> Module:
        """Prepare for a test: the opposite of `train`."""
        return self.train(False)

    def state_dict(self) -> dict[str, Value]:
        """Return {dotted name: value} of the parameters; arrays are copies.

        A parameter of two modules is listed once, under its first name.
        """
        return {name: as_value(p.value) for name, p in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> Module:
        """Replace each value by the one of its name in `state`; return self.

        `state` is the `state_dict` of a module built alike, or an .npz file of such
        names. All names and shapes must match, or the model is unchanged. Gradients are
        cleared. Values keep their type: floats cannot replace encoded or secret ones.
        """
        found = dict(self.named_parameters())
        values = matching("load_state_dict", state,
                          {name: p.value for name, p in found.items()})
        for name, parameter in found.items():
            parameter.value, parameter.grad = values[name], None
        return self

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

    def extra_repr(self) -> str:
        """Return the sizes that `repr` shows between the brackets of a layer."""
        return ""

    @recursive_repr()
    def __repr__(self) -> str:
        """The class, and the name, class and sizes of all within; never a value."""
        sizes = self.extra_repr()
        lines = [f"({name}): {item!r}" if isinstance(item, Module) else
                 f"({name}): parameter of shape {item.shape}"
                 for name, item in parameters.children(self, Module)
                 if isinstance(item, Module) or not sizes]
        if not lines:
            return f"{type(self).__name__}({sizes})"
        body = "\n".join([sizes] * bool(sizes) + lines).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {body}\n)"


class Sequential(Module):
    """Modules in a row: the output of each is the input of the next.

    Their names are "0", "1", ... It has a length, and can be indexed and iterated; a
    slice is a Sequential of the same modules.

    >>> net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    >>> net
    Sequential(
      (0): Linear(784, 128)
      (1): ReLU()
      (2): Linear(128, 10)
    )
    >>> len(net), net[1], [name for name, _ in net[:2].named_parameters()]
    (3, ReLU(), ['0.weight', '0.bias'])
    """

    def __init__(self, *modules: Module) -> None:
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(f"Sequential: argument {i}, a {type(module).__name__}, "
                                "is no module; pass objects such as nn.ReLU(), and a "
                                "list of them as Sequential(*modules)")
            setattr(self, str(i), module)

    def _modules(self) -> list[Module]:
        return [item for name, item in vars(self).items() if name.isdigit()]

    def forward(self, x: Any) -> Tensor:
        for module in self._modules():
            x = module(x)
        return as_tensor(x)

    def __len__(self) -> int:
        return len(self._modules())

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules())

    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return Sequential(*self._modules()[index])
        return self._modules()[index]
