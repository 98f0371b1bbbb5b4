"""Holder tags: arrays that know who holds them, and refuse to mix what no single party has.

In a simulation every role's numbers lie in one process, and NumPy would happily add a worker's
share to a mask that only the crypto provider knows. In a `TaggedWorld` every held
array is a `Tagged` one, and such a line raises `RoleError` where it stands. Two questions are put
to every operation:

- Does one party hold all of its operands? Shares meet shares and common values, nothing else.
- Could each holder have done it alone? Without any rows it must give a result of the same shape
  without rows, as it will in the process of a role that holds none; and one row at a time it must
  give the same rows.

Tags cost time, so that tests switch them on and training leaves them off. They see what goes
through NumPy's operators, functions and methods; ``np.asarray`` takes them off.
"""

import numpy as np

from mpc.world import COMMON, SHARE, World

_ELEMENTWISE = (np.where, np.zeros_like, np.ones_like, np.full_like, np.empty_like)


class RoleError(TypeError):
    """A line computes with numbers that no single party holds."""


class TaggedWorld(World):
    """A World whose arrays know their holders: for tests, since every operation costs time."""

    def _wrap(self, array, kind):
        return tag(array, kind)

    def _unwrap(self, array, kind):
        if getattr(array, "kind", None) != kind:
            raise RoleError(f"a {getattr(array, 'kind', 'public')} value came where a {kind} value "
                            "is due; only share, open and gather turn one kind into another")
        return strip(array)


class Tagged(np.ndarray):
    """An array whose first axis runs over the holders of one `kind` of value."""

    kind = None

    def __array_finalize__(self, source):
        self.kind = getattr(source, "kind", None)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if method == "__call__" and "where" in kwargs:
            raise RoleError(f"{ufunc.__name__}(where=...) leaves elements undefined; use np.where")
        result = _checked(ufunc.__name__, getattr(ufunc, method), inputs, kwargs,
                          apart=method != "__call__")
        if out is None:
            return result
        for target, value in zip(out, result if isinstance(result, tuple) else (result,)):
            _must_fit(target, value)
            np.copyto(strip(target), strip(value), casting="same_kind")
        return out if len(out) > 1 else out[0]

    def __array_function__(self, function, types, args, kwargs):
        if function is np.reshape:
            return Tagged.reshape(*args, **kwargs)
        if kwargs.get("out") is not None:
            raise RoleError(f"{function.__name__}(out=...) may lose the tag; assign the result")
        return _checked(function.__name__, function, args, kwargs,
                        apart=function not in _ELEMENTWISE)

    def __getitem__(self, key):
        first, *others = key if isinstance(key, tuple) and key else (key,)
        if not (first is Ellipsis or isinstance(first, slice) and first == slice(None)):
            came = first if isinstance(first, int) else f"a {type(first).__name__}"
            raise RoleError(f"[{came}] picks among the holders of a {self.kind} value; the first "
                            "axis belongs to them: index behind it, as in x[:, i]")
        if first is not Ellipsis and all(isinstance(k, (int, slice, type(None))) for k in others):
            return super().__getitem__(key)
        return _checked("indexing", np.ndarray.__getitem__, (self, key), {}, apart=True)

    def __setitem__(self, key, value):
        _must_fit(self[key], value)             # the same rule for the key as for reading
        super().__setitem__(key, strip(value))

    def reshape(self, *shape, **kwargs):
        shape = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        if not shape or shape[0] != len(self) or -1 in shape:
            raise RoleError(f"reshape of {self.shape} to {tuple(shape)}: the first axis belongs to "
                            "the holders and stays, and a role without rows cannot resolve -1")
        return super().reshape(shape, **kwargs)

    def transpose(self, *axes):
        return np.transpose(self, axes[0] if len(axes) == 1 else axes or None)

    @property
    def T(self):
        return np.transpose(self)

    def _refuse(self, *_, **__):
        raise RoleError(f"a {self.kind} value is about to leave its arrays, for a branch, a loop "
                        "or a number; what decides is public: let world.broadcast tell every role")

    __iter__ = __bool__ = __int__ = __float__ = __index__ = item = tolist = _refuse
    sort = partition = put = _refuse            # in place, behind the back of the rules


def _as_method(function):
    def method(self, *args, **kwargs):
        return function(self, *args, **kwargs)
    return method


# These methods of ndarray do not pass through the two hooks above; the functions do.
for _function in (np.argmax, np.argmin, np.argpartition, np.argsort, np.choose, np.compress,
                  np.cumprod, np.cumsum, np.diagonal, np.dot, np.nonzero, np.ravel, np.repeat,
                  np.searchsorted, np.squeeze, np.swapaxes, np.take, np.trace):
    setattr(Tagged, _function.__name__, _as_method(_function))
Tagged.flatten = Tagged.ravel


def tag(array, kind):
    """`array` as a value of this `kind`."""
    tagged = np.asarray(array).view(Tagged)
    tagged.kind = kind
    return tagged


def strip(value):
    """The plain array(s) behind tagged ones: for the World, which carries everyone's data."""
    return _rows(value, slice(None))


def _rows(value, rows):
    """`value` with some `rows` of each tagged array in it, all plain; a single row serves all."""
    if isinstance(value, Tagged):
        plain = np.asarray(value)
        return plain if len(plain) == 1 and rows != slice(0) else plain[rows]
    if isinstance(value, (list, tuple)):
        return type(value)(_rows(v, rows) for v in value)
    return value


def _held(values):
    """All tagged arrays among `values`, lists and tuples of them included."""
    for v in values:
        if isinstance(v, Tagged):
            yield v
        elif isinstance(v, (list, tuple)):
            yield from _held(v)


def _kind(*values):
    """The kind of what is computed from `values`; None if all is public."""
    kinds = {v.kind for v in _held(values)}
    if SHARE in kinds:
        kinds.discard(COMMON)                   # what all workers know, each may use on its share
    if len(kinds) > 1:
        raise RoleError(" meets ".join(f"a {kind} value" for kind in sorted(kinds)) + ": no party "
                        "holds both; only share, open, gather and announce move values")
    return kinds.pop() if kinds else None


def _must_fit(target, value):
    """Raise unless `value` may be written into `target`, an array that exists already."""
    kind, own = _kind(target, value), getattr(target, "kind", None)
    if kind != own:
        raise RoleError(f"a {kind} value is written into a {own or 'public'} array; make a new one")
    shape, is_held = np.shape(strip(value)), isinstance(value, Tagged)
    same_depth = len(shape) == target.ndim
    if own and (is_held and not same_depth or same_depth and not is_held and shape[0] != 1):
        raise RoleError(f"shape {shape} is written into shape {target.shape} of a {kind} value: "
                        "the first axis belongs to its holders; give a public value 1 row")


def _checked(name, function, args, kwargs, apart=False):
    """The result of `function`, tagged, if every holder could have called it alone."""
    def call(rows):
        return function(*(_rows(a, rows) for a in args),
                        **{k: _rows(v, rows) for k, v in kwargs.items()})

    held = list(_held((*args, *kwargs.values())))
    kind, n = _kind(*held), max(map(len, held), default=0)
    result = call(slice(None))
    try:
        alone = [call(slice(0))] + [call(slice(i, i + 1)) for i in range(n) if apart and n > 1]
    except Exception as error:          # whose text may show elements of a row
        raise RoleError(f"{name}: a role that holds no row of this {kind} value, or one only, "
                        f"fails here with a {type(error).__name__}") from None
    return _retag(result, alone, n, kind, name)


def _retag(result, alone, n, kind, name):
    if isinstance(result, (list, tuple)):
        return type(result)(_retag(r, a, n, kind, name) for r, *a in zip(result, *alone))
    nobody, *each = map(np.asarray, alone)
    result = np.asarray(result)
    if (nobody.shape[:1] != (0,) or result.shape != (n, *nobody.shape[1:])
            or any(a.tobytes() != result[i:i + 1].tobytes() for i, a in enumerate(each))):
        raise RoleError(f"{name} mixes the {n} rows of a {kind} value, which belong to different "
                        f"holders, or loses them: its shape is {result.shape}. Compute behind axis "
                        "0, and combine rows by world.open or world.gather")
    return tag(result, kind)
