"""Find the parameters of a module, and refuse those in places not searched."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from types import GeneratorType, MemberDescriptorType
from typing import Any

import numpy as np

from .tensor import Tensor


def find(module: Any, kind: type) -> list[tuple[str, Tensor]]:
    """Return (dotted name, parameter) pairs in order of definition, without duplicates.

    The search follows modules (of class `kind`), lists, tuples, deques and dicts, and
    within a module the attributes, those of its class first. A parameter in any other
    object raises TypeError.
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
            raise TypeError(f"parameters: {name} can be iterated only once; "
                            "make it a list")
        for place, value in places(item, kind):
            visit(f"{name}.{place}" if name else place, value)
        others.append((name, item))

    visit("", module)
    for name, item in others[:]:                # a copy: the loop adds to the list
        known = len(found)
        for value in contents(item):
            visit(name, value)
        if len(found) > known:
            raise TypeError(
                f"parameters: {name}, a {type(item).__name__}, holds a parameter that "
                "would not be trained; derive it from nn.Module, or put the parameter "
                "into an attribute, a list or a dict of a module")
    names = [name for name, _ in found]
    if len(set(names)) < len(names):
        raise ValueError(f"parameters: two are called {max(names, key=names.count)}; "
                         "rename one")
    return found


def places(item: Any, kind: type) -> Iterable[tuple[Any, Any]]:
    """Return (name, value) pairs of a module, dict or sequence, as defined."""
    if isinstance(item, Mapping):
        return item.items()
    if not isinstance(item, kind):
        return enumerate(item if isinstance(item, (list, tuple, deque)) else ())
    held = {k: v for cls in reversed(type(item).__mro__) for k, v in vars(cls).items()}
    slots = [k for k, v in held.items() if isinstance(v, MemberDescriptorType)]
    held.update({k: getattr(item, k, None) for k in slots})
    return {**held, **getattr(item, "__dict__", {})}.items()


def contents(item: Any) -> Iterable:
    """Return the direct contents of any object: its attributes and elements."""
    if isinstance(item, np.ndarray):
        return item.flat if item.dtype == object else ()
    elements = item if isinstance(item, Collection) else ()
    return [*getattr(item, "__dict__", {}).values(), *elements]
