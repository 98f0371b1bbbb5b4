"""Holder tags: arrays that know who holds them, and refuse to mix what no single party has.

In a simulation every role's numbers lie in one process, and NumPy would happily add a worker's
share to a mask that only the crypto provider knows. In a World made with ``tagged=True`` every held
array is a `Tagged` one, and such a line raises `RoleError` where it stands. Tags cost about a
seventh of the time, so that tests switch them on and training leaves them off.
"""

import numpy as np

SHARE, COMMON = "share", "common"      # the other kinds are "private to <role>"
_CHANGES_ROWS = (np.sum, np.prod, np.max, np.min, np.any, np.all, np.mean, np.argmax, np.argmin)


class RoleError(TypeError):
    """A line computes with numbers that no single party holds."""


class Tagged(np.ndarray):
    """An array whose first axis runs over the holders of one `kind` of value."""

    kind = None

    def __array_finalize__(self, source):
        self.kind = getattr(source, "kind", None)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if method in ("reduce", "accumulate", "reduceat"):
            _keep_holders(kwargs.get("axis", 0), self)
        if out is not None:
            kwargs["out"] = tuple(strip(o) for o in out)
        kind, rows = _merge((*inputs, *(out or ())))
        result = getattr(ufunc, method)(*map(strip, inputs), **kwargs)
        return out[0] if out is not None else _retag(result, kind, rows, ufunc.__name__)

    def __array_function__(self, function, types, args, kwargs):
        if function in _CHANGES_ROWS:
            _keep_holders(kwargs.get("axis", args[1] if len(args) > 1 else None), self)
        kind, rows = _merge((*args, *kwargs.values()))
        return _retag(function(*map(strip, args), **{k: strip(v) for k, v in kwargs.items()}),
                      kind, rows, function.__name__)

    def __getitem__(self, key):
        first = key[0] if isinstance(key, tuple) else key
        if not (first is Ellipsis or isinstance(first, slice) and first == slice(None)):
            raise RoleError(f"[{first!r}] picks among the holders of a {self.kind} value; the first "
                            "axis belongs to them: index behind it, as in x[:, i]")
        return super().__getitem__(key)

    def __setitem__(self, key, value):
        _merge((self, value))
        self[key]                               # the same rule for the key as for reading
        np.ndarray.__setitem__(self, key, strip(value))

    def __iter__(self):
        raise RoleError(f"iterating over a {self.kind} value visits its holders one by one; no party "
                        "can do that")


def tag(array, kind):
    """`array` as a value of this `kind`."""
    tagged = np.asarray(array).view(Tagged)
    tagged.kind = kind
    return tagged


def strip(value):
    """The plain array(s) behind tagged ones: for the World, which carries everyone's data."""
    if isinstance(value, Tagged):
        return np.asarray(value)
    if isinstance(value, (list, tuple)):
        return type(value)(map(strip, value))
    return value


def _merge(values):
    """The kind, and the number of rows, of a result computed from `values`."""
    kinds, rows = {}, 0
    for value in values:
        nested = value if isinstance(value, (list, tuple)) else (value,)
        for v in nested:
            if isinstance(v, Tagged):
                kinds[v.kind], rows = True, max(rows, v.shape[0] if v.ndim else 0)
    if list(kinds) == [COMMON, SHARE]:
        kinds = {SHARE: True}                   # what all workers know, each may use on its share
    kinds = [k for k in kinds if k != COMMON] if SHARE in kinds else list(kinds)
    if len(kinds) > 1:
        raise RoleError(f"a {kinds[0]} value meets a {kinds[1]} value: no party holds both")
    return (kinds[0] if kinds else None), rows


def _keep_holders(axis, array):
    axes = range(array.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if any(a % array.ndim == 0 for a in axes):
        raise RoleError(f"a reduction over axis 0 combines what different parties hold of a "
                        f"{array.kind} value; use world.open or world.gather")


def _retag(result, kind, rows, name):
    if isinstance(result, (list, tuple)):
        return type(result)(_retag(r, kind, rows, name) for r in result)
    if not isinstance(result, np.ndarray):
        result = np.asarray(result)
    if result.ndim == 0 or result.shape[0] not in (rows, 1):
        raise RoleError(f"{name} lost the holder axis of a {kind} value: shape {result.shape} "
                        f"where {rows} holders stand first")
    return tag(result, kind)
