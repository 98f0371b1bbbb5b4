"""Where the parameters of a module are: in every place that has an order, and nowhere unnoticed."""

from collections import deque
from collections.abc import Collection, Mapping
from types import GeneratorType, MemberDescriptorType as Slot

import numpy as np

from .tensor import Tensor


def find(module, kind):
    """Return the list of (dotted name, parameter) of `module`, in order of definition, each once.

    The search goes through attributes, those of the class first, and through modules (of class
    `kind`), lists, tuples, deques and dicts. A parameter in anything else raises TypeError.
    """
    found, seen, others = [], set(), []

    def visit(name, item):
        if id(item) in seen or isinstance(item, (str, bytes, range, type)):
            return
        seen.add(id(item))
        if isinstance(item, Tensor):
            if item.is_parameter:
                found.append((name, item))
            return
        if isinstance(item, (GeneratorType, map, filter, zip)):
            raise TypeError(f"parameters: {name} can be gone through only once; make it a list")
        for place, value in places(item, kind):
            visit(f"{name}.{place}" if name else place, value)
        others.append((name, item))

    visit("", module)
    for name, item in others[:]:                # one look at each, and none at what is in there
        known = len(found)
        for value in contents(item):
            visit(name, value)
        if len(found) > known:
            raise TypeError(f"parameters: {name}, a {type(item).__name__}, holds a parameter that "
                            "would not be trained; derive it from nn.Module, or put the parameter "
                            "into an attribute, a list or a dict of a module")
    names = [name for name, _ in found]
    if len(set(names)) < len(names):
        raise ValueError(f"parameters: two are called {max(names, key=names.count)}; rename one")
    return found


def places(item, kind):
    """Return the (name, value) pairs of a module, a dict or a sequence, in order of definition."""
    if isinstance(item, Mapping):
        return item.items()
    if not isinstance(item, kind):
        return enumerate(item if isinstance(item, (list, tuple, deque)) else ())
    held = {k: v for cls in reversed(type(item).__mro__) for k, v in vars(cls).items()}
    held.update({k: getattr(item, k, None) for k, v in held.items() if isinstance(v, Slot)})
    return {**held, **getattr(item, "__dict__", {})}.items()


def contents(item):
    """Return what any object holds at one look: attributes of its own, elements of a container."""
    if isinstance(item, np.ndarray):
        return item.flat if item.dtype == object else ()
    elements = item if isinstance(item, Collection) else ()
    return [*getattr(item, "__dict__", {}).values(), *elements]
