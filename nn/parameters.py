"""Where the parameters of a module are: in every place that has an order, and nowhere unnoticed."""

from collections.abc import Mapping, Sequence, Set
from functools import partial
from types import (BuiltinFunctionType, ClassMethodDescriptorType, FunctionType, GeneratorType,
                   GetSetDescriptorType, MemberDescriptorType, MethodDescriptorType, MethodType,
                   ModuleType)

import numpy as np

from .tensor import Tensor

TEXT = str, bytes, bytearray, memoryview, range         # sequences that hold no tensors
PASSING = GeneratorType, map, filter, zip               # looked through, they would be used up
ATOMS = (*TEXT, int, float, complex, type, ModuleType, BuiltinFunctionType, np.generic, type(None))
CODE = (FunctionType, BuiltinFunctionType, property, classmethod, staticmethod,
        MethodDescriptorType, ClassMethodDescriptorType, GetSetDescriptorType)     # of a class
DEPTH = 3                                               # of objects of unknown types


def find(module, kind):
    """Return the list of (dotted name, parameter) of `module`, in order of definition, each once.

    `kind` is the class of modules. Attributes are looked through, those of the class first, and
    what is in them: modules, lists, tuples and other sequences, dicts, arrays of objects.

    Raises
    ------
    TypeError
        When a parameter is somewhere without an order or without a name: in a set, in an object
        that is no module, in a function; and for an iterator, which could not be used again.
    ValueError
        When two parameters would have one name.
    """
    found, seen, elsewhere = {}, {}, []

    def visit(name, item):
        if isinstance(item, ATOMS) or id(item) in seen:
            return
        seen[id(item)] = item
        if isinstance(item, Tensor):
            if item.is_parameter:
                if name in found:
                    raise ValueError(f"parameters: two are called {name}; rename one")
                found[name] = item
            return
        if isinstance(item, PASSING):
            raise TypeError(f"parameters: {name} is a {type(item).__name__}, which can be gone "
                            "through only once; make it a list")
        children = attributes(item) if isinstance(item, kind) else elements(item)
        if children is None:
            elsewhere.append((name, item))
        for child, value in (children or {}).items():
            visit(f"{name}.{child}" if name else child, value)
        if isinstance(item, Mapping):
            elsewhere.extend((f"a key of {name}", key) for key in item)

    visit("", module)
    known = {id(parameter) for parameter in found.values()}
    for name, item in elsewhere:
        if _hides(item, known, {}, DEPTH):
            raise TypeError(f"parameters: {name}, a {type(item).__name__}, holds a parameter that "
                            "would not be trained; derive it from nn.Module, or put the parameter "
                            "into an attribute, a list or a dict of a module")
    return list(found.items())


def attributes(item):
    """Return {name: value} of the attributes of an object and its classes, base classes first."""
    found = {}
    for cls in reversed(type(item).__mro__):
        for name, value in vars(cls).items():
            if isinstance(value, MemberDescriptorType):             # of __slots__
                if hasattr(item, name):
                    found[name] = getattr(item, name)
            elif not name.startswith("__") and not isinstance(value, CODE):
                found[name] = value
    found.update(getattr(item, "__dict__", {}))
    return found


def elements(item):
    """Return {place: element} of a container with an order, None for anything else."""
    if isinstance(item, Mapping):
        return _unlike({str(key): value for key, value in item.items()}, item)
    if isinstance(item, Sequence):
        return {str(i): value for i, value in enumerate(item)}
    if isinstance(item, np.ndarray):
        return {str(i): value for i, value in enumerate(item.flat)} if item.dtype == object else {}
    return None


def _unlike(named, mapping):
    if len(named) < len(mapping):
        raise ValueError("parameters: two keys of a dict have one name as text; rename one")
    return named


def _hides(item, known, seen, depth):
    """Is there a parameter in `item`, which has no order, that is not `known` from elsewhere?"""
    if isinstance(item, ATOMS) or id(item) in seen or depth < 0:
        return False
    seen[id(item)] = item
    if isinstance(item, Tensor):
        return item.is_parameter and id(item) not in known
    inside = elements(item)
    if inside is not None:
        inside = [*inside.values(), *(item if isinstance(item, Mapping) else ())]
    elif isinstance(item, Set):
        inside = list(item)
    elif isinstance(item, FunctionType):
        inside = [*map(_content, item.__closure__ or ()), *(item.__defaults__ or ()),
                  *(item.__kwdefaults__ or {}).values()]
    elif isinstance(item, MethodType):
        inside = [item.__self__]
    elif isinstance(item, partial):
        inside = [item.func, *item.args, *item.keywords.values()]
    elif hasattr(item, "shape"):
        inside = []                             # a value: it holds numbers
    else:
        inside, depth = list(attributes(item).values()), depth - 1
    return any(_hides(x, known, seen, depth) for x in inside)


def _content(cell):
    """Return what a variable of an enclosing function holds, None if it has no value yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None
