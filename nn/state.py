"""The state of a model or an optimiser, as a dict {name: value}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .values import Value, as_value


def matching(caller: str, state: Any, due: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values in `state`; raise unless it has the names and shapes of `due`.

    Arrays are copied. Values keep their type: floats cannot replace encoded or secret
    numbers, which they would reveal or leave out of a protocol.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"{caller}: a {type(state).__name__} came; pass a dict "
                        "{name: value}, as from state_dict()")
    values = {k: as_value(state[k], f"{caller}: {k}") for k in due if k in state}
    faults = [f"{name} is missing" for name in due if name not in state]
    faults += [f"{name} is unexpected" for name in state if name not in due]
    faults += [f"{name} has shape {value.shape}, not {due[name].shape}"
               for name, value in values.items() if value.shape != due[name].shape]
    if faults:
        more = f", and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise ValueError(f"{caller}: {', '.join(faults[:3])}{more}; pass the state of "
                         "one with the same parameters")
    for name, value in values.items():
        if is_plain(value) and not is_plain(due[name]):
            raise TypeError(f"{caller}: {name} holds a {type(due[name]).__name__}, and "
                            "floats came; load them before model.map and model.share")
    return values


def is_plain(value: Value) -> bool:
    """Is this value a plain array of floats, neither encoded nor secret?"""
    return isinstance(value, np.ndarray)
