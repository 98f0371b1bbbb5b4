"""Holder tags: arrays that know who holds them and refuse to mix with others.

In a simulation all numbers lie in one process, and NumPy would happily add a worker's
share to a mask that only the crypto provider knows. In a `TaggedWorld` every array of
the World is `Tagged`, and such a line raises `RoleError`. Every operation must pass two
tests:

- One party holds all of its operands. Shares meet shares and common values only.
- Each holder could compute it alone. Without rows it must return a result of the same
  shape without rows, as in the process of a role that holds none; and row by row it
  must return the same rows.

Tags cost time: tests switch them on, training leaves them off. They follow NumPy's
operators, functions and methods; ``np.asarray`` removes them.
"""

from __future__ import annotations

from functools import partialmethod

import numpy as np

from mpc.world import COMMON, SHARE, World

_ELEMENTWISE = (np.where, np.zeros_like, np.ones_like, np.full_like, np.empty_like)


class RoleError(TypeError):
    """A line computes with numbers that no single party holds."""


class TaggedWorld(World):
    """A World whose arrays know their holders: for tests, since it is slower."""

    def _wrap(self, array, kind):
        return tag(array, kind)

    def _unwrap(self, array, kind):
        own = getattr(array, "kind", "public")
        if own != kind:
            raise RoleError(f"expected a {kind} value, got a {own} one; only share, "
                            "open and gather turn one kind into another")
        return strip(array)


class Tagged(np.ndarray):
    """An array whose first axis runs over the holders of one `kind` of value."""

    kind: str | None = None

    def __array_finalize__(self, source):
        self.kind = getattr(source, "kind", None)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if method == "__call__" and "where" in kwargs:
            raise RoleError(f"{ufunc.__name__}(where=...) leaves elements undefined; "
                            "use np.where")
        result = _checked(ufunc.__name__, getattr(ufunc, method), inputs, kwargs,
                          by_row=method != "__call__")
        if out is None:
            return result
        results = result if isinstance(result, tuple) else (result,)
        for target, value in zip(out, results, strict=True):
            _must_fit(target, value)
            np.copyto(strip(target), strip(value), casting="same_kind")
        return out if len(out) > 1 else out[0]

    def __array_function__(self, function, types, args, kwargs):
        if function is np.reshape:
            return Tagged.reshape(*args, **kwargs)
        if kwargs.get("out") is not None:
            raise RoleError(f"{function.__name__}(out=...) may lose the tag; assign "
                            "the result")
        return _checked(function.__name__, function, args, kwargs,
                        by_row=function not in _ELEMENTWISE)

    def __getitem__(self, key):
        first, *others = key if isinstance(key, tuple) and key else (key,)
        if first is not Ellipsis and not (
                isinstance(first, slice) and first == slice(None)):
            came = first if isinstance(first, int) else f"a {type(first).__name__}"
            raise RoleError(f"[{came}] selects holders of a {self.kind} value; keep "
                            "the first axis: index the others, as in x[:, i]")
        simple = all(isinstance(k, (int, slice, type(None))) for k in others)
        if simple and first is not Ellipsis:
            return super().__getitem__(key)
        function, args = np.ndarray.__getitem__, (self, key)
        return _checked("indexing", function, args, {}, by_row=True)

    def __setitem__(self, key, value):
        _must_fit(self[key], value)             # reading applies the rule for keys
        super().__setitem__(key, strip(value))

    def reshape(self, *shape, **kwargs):
        if len(shape) == 1 and not isinstance(shape[0], int):
            shape = shape[0]
        if not shape or shape[0] != len(self) or -1 in shape:
            raise RoleError(f"reshape of {self.shape} to {tuple(shape)}: the first "
                            "axis belongs to the holders, and a role without rows "
                            "cannot resolve -1; keep that axis and give every size")
        return super().reshape(shape, **kwargs)

    def transpose(self, *axes):
        return np.transpose(self, axes[0] if len(axes) == 1 else axes or None)

    T = property(np.transpose)

    def _refuse(self, *_, **__):
        raise RoleError(f"a {self.kind} value cannot become a plain number, a branch "
                        "or a loop; a public decision goes through world.broadcast")

    __iter__ = __bool__ = __int__ = __float__ = __index__ = item = tolist = _refuse
    sort = partition = put = _refuse            # these change the array in place


# These methods of ndarray bypass the two hooks above; the functions do not.
for _function in (np.argmax, np.argmin, np.argpartition, np.argsort, np.choose,
                  np.compress, np.cumprod, np.cumsum, np.diagonal, np.dot, np.nonzero,
                  np.ravel, np.repeat, np.searchsorted, np.squeeze, np.swapaxes,
                  np.take, np.trace):
    setattr(Tagged, _function.__name__, partialmethod(_function))
setattr(Tagged, "flatten", partialmethod(np.ravel))  # noqa: B010


def tag(array: np.ndarray, kind: str) -> Tagged:
    """`array` as a value of this `kind`."""
    tagged = np.asarray(array).view(Tagged)
    tagged.kind = kind
    return tagged


def strip(value):
    """The plain arrays behind tagged ones, for the World, which moves all data."""
    return _rows(value, slice(None))


def _rows(value, rows):
    """`value` with these `rows` of each tagged array in it, all plain.

    An array of one row keeps it for every request: all holders know it.
    """
    if isinstance(value, Tagged):
        plain = np.asarray(value)
        return plain if len(plain) == 1 and rows != slice(0) else plain[rows]
    if isinstance(value, (list, tuple)):
        return type(value)(_rows(v, rows) for v in value)
    return value


def _tagged(values):
    """All tagged arrays among `values`, also inside lists and tuples."""
    for v in values:
        if isinstance(v, Tagged):
            yield v
        elif isinstance(v, (list, tuple)):
            yield from _tagged(v)


def _kind(*values):
    """The kind of a result computed from `values`; None if all are public."""
    kinds = {v.kind for v in _tagged(values)}
    if SHARE in kinds:
        kinds.discard(COMMON)           # a worker may use common values on its share
    if len(kinds) > 1:
        raise RoleError(" meets ".join(f"a {kind} value" for kind in sorted(kinds)) +
                        ": no party holds both; only share, open, gather and broadcast "
                        "move values")
    return kinds.pop() if kinds else None


def _must_fit(target, value):
    """Raise unless `value` may be written into `target`, an existing array."""
    kind, own = _kind(target, value), getattr(target, "kind", None)
    if kind != own:
        raise RoleError(f"a {kind} value cannot be written into a {own or 'public'} "
                        "array; make a new one")
    shape, is_held = np.shape(strip(value)), isinstance(value, Tagged)
    same_depth = len(shape) == target.ndim
    if own and (is_held and not same_depth
                or same_depth and not is_held and shape[0] != 1):
        raise RoleError(f"shape {shape} cannot be written into shape {target.shape} of "
                        f"a {kind} value: its first axis belongs to the holders; give "
                        "a public value 1 row")


def _checked(name, function, args, kwargs, by_row=False):
    """The tagged result of `function`, if every holder could have called it alone."""
    def call(rows):
        return function(*(_rows(a, rows) for a in args),
                        **{k: _rows(v, rows) for k, v in kwargs.items()})

    held = list(_tagged((*args, *kwargs.values())))
    kind, n = _kind(*held), max(map(len, held), default=0)
    result = call(slice(None))
    parts = [slice(0)] + [slice(i, i + 1) for i in range(n) if by_row and n > 1]
    try:
        alone = [call(part) for part in parts]
    except Exception as error:              # its text may show elements of a row
        raise RoleError(f"{name}: a role that holds no row of this {kind} value, or "
                        f"only one, fails here: {type(error).__name__}") from None
    return _retag(result, alone, n, kind, name)


def _retag(result, alone, n, kind, name):
    """`result` tagged, if it agrees with the results without rows and row by row."""
    if isinstance(result, (list, tuple)):
        return type(result)(_retag(r, a, n, kind, name)
                            for r, *a in zip(result, *alone, strict=True))
    nobody, *each = map(np.asarray, alone)
    result = np.asarray(result)
    keeps_rows = nobody.shape[:1] == (0,) and result.shape == (n, *nobody.shape[1:])
    if not keeps_rows or any(a.tobytes() != result[i:i + 1].tobytes()
                             for i, a in enumerate(each)):
        raise RoleError(f"{name} mixes or loses the {n} rows of a {kind} value, which "
                        f"belong to different holders: the result is {result.shape}; "
                        "compute behind axis 0, and combine rows by open or gather")
    return tag(result, kind)
