"""Find the parameters of a module, and refuse those in places not searched."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dis import get_instructions
from functools import cache, partial
from itertools import chain, cycle, islice
from types import (
    BuiltinMethodType,
    CodeType,
    FunctionType,
    GeneratorType,
    MemberDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
)
from typing import Any

import numpy as np

from .tensor import Tensor

Named = list[tuple[str, Any]]
ATOMS = (str, bytes, range, type, int, float, complex, type(None), np.generic)
ONCE: tuple[type, ...] = (
    GeneratorType, map, filter, zip, enumerate, reversed, chain, cycle, islice,
    type(iter([])), type(iter(())), type(reversed([])))
SEQUENCES = (list, tuple, deque)
WRAPPERS = (MethodType, BuiltinMethodType, MethodWrapperType, partial, staticmethod,
            classmethod, property)


def find(module: Any, kind: type) -> Named:
    """Return (dotted name, parameter) pairs in order of definition, without duplicates.

    The search follows modules (of class `kind`), lists, tuples, deques and dicts, and
    within a module the attributes, those of its class first. A parameter in any other
    object raises TypeError, also one that a function refers to.
    """
    seen: dict = {}
    items = list(search("", module, kind, seen))
    found = [(name, x) for name, x in items if is_parameter(x)]
    for name, item in items:                # grows: its contents have contents, too
        for value in contents(item, kind):
            inside = [x for _, x in search(name, value, kind, seen)]
            if any(map(is_parameter, inside)):
                raise TypeError(
                    f"parameters: {name}, a {type(item).__name__}, holds a parameter "
                    "that would not be trained; derive it from nn.Module, or put the "
                    "parameter into an attribute, a list or a dict of a module")
            items.extend((name, x) for x in inside)
    names = [name for name, _ in found]
    if len(set(names)) < len(names):
        raise ValueError(f"parameters: two are called {max(names, key=names.count)}; "
                         "rename one")
    return found


def is_parameter(item: Any) -> bool:
    """Is `item` a Tensor that is trained?"""
    return isinstance(item, Tensor) and item.is_parameter


def search(name: str, item: Any, kind: type, seen: dict) -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, item) for `item` and all below it in searched places, once.

    `seen` has all items so far by their id, and keeps them alive.
    """
    if id(item) in seen or isinstance(item, ATOMS):
        return
    seen[id(item)] = item
    if isinstance(item, ONCE):
        raise TypeError(f"parameters: {name} can be iterated only once; "
                        "make it a list")
    yield name, item
    for place, value in places(item, kind):
        yield from search(f"{name}.{place}" if name else place, value, kind, seen)


def places(item: Any, kind: type) -> Iterable[tuple[Any, Any]]:
    """Return (name, value) pairs of a module, dict or sequence, as defined."""
    if isinstance(item, Mapping):
        return item.items()
    if not isinstance(item, kind):
        return enumerate(item if isinstance(item, SEQUENCES) else ())
    held = {k: v for cls in reversed(type(item).__mro__) for k, v in vars(cls).items()}
    return {**held, **attributes(item)}.items()


def children(item: Any, kind: type, above: tuple = ()) -> Named:
    """Return the modules and parameters that a module holds itself or in containers.

    Containers `above` are not entered again.
    """
    found: Named = []
    for place, value in places(item, kind):
        if isinstance(value, kind) or is_parameter(value):
            found.append((str(place), value))
        elif isinstance(value, (Mapping, *SEQUENCES)) and id(value) not in above:
            inside = children(value, kind, (*above, id(value)))
            found.extend((f"{place}.{name}", x) for name, x in inside)
    return found


# ---- what else an object holds


def attributes(item: Any) -> dict[str, Any]:
    """Return the attributes of an object, in its slots and in its dict."""
    slots = {k: getattr(item, k, None) for cls in reversed(type(item).__mro__)
             for k, v in vars(cls).items() if isinstance(v, MemberDescriptorType)}
    return {**slots, **getattr(item, "__dict__", {})}


def contents(item: Any, kind: type) -> list:
    """Return the direct contents of any object: its attributes and elements."""
    if isinstance(item, Tensor):
        return []
    if isinstance(item, np.ndarray):
        return list(item.flat) if item.dtype == object else []
    if isinstance(item, ModuleType):
        return [x for x in vars(item).values() if isinstance(x, (Tensor, kind))]
    if isinstance(item, FunctionType):
        return [*vars(item).values(), *referred(item)]
    elements = item if isinstance(item, Collection) else ()
    wrapped = ("__self__", "__func__", "func", "args", "keywords", "fget", "fset")
    return [*attributes(item).values(), *elements,
            *(getattr(item, k, None) for k in wrapped if isinstance(item, WRAPPERS))]


def referred(function: FunctionType) -> list:
    """Return the values that a function refers to: defaults, closure and globals.

    Of the globals, modules are left out, and functions of other modules.
    """
    here = function.__globals__
    known = [here.get(name) for name in sorted(global_names(function.__code__))]
    near = [x for x in known if not isinstance(x, ModuleType)
            and getattr(x, "__globals__", here) is here]
    return [function.__defaults__, function.__kwdefaults__, *near,
            *map(content, function.__closure__ or ())]


def content(cell: Any) -> Any:
    """Return the value of a variable in a closure; None if it has none yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


@cache
def global_names(code: CodeType) -> frozenset[str]:
    """Return the names of globals that a function's code reads, and code within it."""
    own = {step.argval for step in get_instructions(code)
           if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return frozenset(own).union(
        *(global_names(c) for c in code.co_consts if isinstance(c, CodeType)))
