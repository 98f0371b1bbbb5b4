"""Additive shares of an array, and what each worker does with its own row alone.

A secret array x over a ring is split into one row for each worker, uniform but for their sum:
x = x_0 + x_1 + ... mod the ring. `Share.rows` holds the rows of the workers *that live in this
process*, shape (workers_here, *shape): two in a simulation of two workers, one in a worker's own
process, none at the crypto provider. Everything here is linear, so each worker computes it on its
own row and no message is sent.

A share is a value: its rows are read-only, also in slices of it, and a copy of it is itself.
"""

from math import prod

import numpy as np

from mpc import masks
from mpc.ring import Bits

# What to call in place of a function of NumPy; shapes and numbers are all that it could return.
INSTEAD = {
    "add": "x + y, or x.plus(value) for what all workers know", "subtract": "x - y",
    "negative": "-x", "multiply": "mpc.multiply(x, y), or x.times(value) for what all workers know",
    "matmul": "mpc.matmul(x, y)", "dot": "mpc.matmul(x, y)", "square": "mpc.square(x)",
    "sum": "x.sum()", "reshape": "x.reshape()", "ravel": "x.reshape(-1)", "transpose": "x.T",
    "moveaxis": "x.moveaxis()", "shape": "x.shape", "ndim": "x.ndim",
    "concatenate": "mpc.share.concatenate()", "where": "mpc.select_share()",
    "max": "mpc.tournament(x)", "argmax": "mpc.tournament(x)", "equal": "mpc.equal(x, y)",
    "greater_equal": "mpc.drelu(x - y)",
}


class RingArray:
    """An array of ring elements over its holders: the base of `Share` and `PublicArray`.

    `rows` has shape (holders_here, *shape); `shape` and all axes are those of the value.
    `masks` are the dealt coins in it (`mpc.masks`); public arrays have none.
    """

    __hash__ = None             # an error of a dict would show the value it did not find

    def __init__(self, world, ring, rows, masks=None):
        if not isinstance(rows, np.ndarray) or rows.dtype != ring.dtype or not rows.ndim:
            array = isinstance(rows, np.ndarray)
            came = f"{rows.dtype} {rows.shape}" if array else shown(rows)
            raise TypeError(f"{type(self).__name__}: {came} holds no elements of {ring}; "
                            f"compute in {ring.dtype}, a row for each worker")
        self.world, self.ring, self._rows = world, ring, rows.view()
        self._rows.flags.writeable = False
        self.masks = masks or {}
        self.transpose_of = None

    @property
    def rows(self):
        return self._rows

    @property
    def shape(self):
        return self._rows.shape[1:]

    @property
    def ndim(self):
        return self._rows.ndim - 1

    def _with(self, rows, masks=None):
        return type(self)(self.world, self.ring, rows, masks)

    def _moved(self, rows, *how):
        """The elements in other places: `rows`, a view or a sum of these."""
        return self._with(rows, masks.moved(self.masks, self.shape, *how))

    # ---- share and share, share and public or common value (axis 0 of size 1 for the holders)

    def __add__(self, other):
        x, y = aligned(self, other)
        return self._with(self.ring.add(x, y), masks.added(self, other))

    __radd__ = __add__          # raises: what is no Share has no sign of who knows it

    def __sub__(self, other):
        x, y = aligned(self, other)
        return self._with(self.ring.sub(x, y), masks.added(self, other, -1))

    def __neg__(self):
        return self._with(self.ring.neg(self.rows), masks.scaled(self.masks, -1, self.ring))

    def plus(self, value):
        """Add a `value` that all workers know, (1, *shape) or a public integer: one adds it."""
        rows, value = matched(self.rows, self._known(value, "plus"))
        first = self.world.party_index(rows) == 0
        rows = self.ring.add(rows, np.where(first, value, self.ring.dtype.type(0)))
        return self._with(rows, masks.spread(self.masks, self.shape, rows.shape[1:]))

    def times(self, value):
        """Multiply by a `value` that all workers know, (1, *shape) or a public integer."""
        rows = self.ring.mul(*matched(self.rows, self._known(value, "times")))
        if isinstance(value, np.ndarray) or isinstance(self.ring, Bits):
            return self._with(rows, masks.spoilt(self.masks))
        return self._with(rows, masks.scaled(self.masks, int(value), self.ring))

    def _known(self, value, name):
        """An operand that all workers know, as (1, *shape), or (0, *shape) where none lives."""
        if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
            return np.full((1,) * (self.ndim + 1), int(value) % self.ring.modulus, self.ring.dtype)
        if not isinstance(value, np.ndarray):
            raise TypeError(f"{name}: {shown(value)} came where what all workers know is due; give "
                            f"an integer or an array (1, *shape) of {self.ring.dtype}, and use + "
                            "or mpc.multiply for another share")
        if value.dtype != self.ring.dtype:
            raise TypeError(f"{name}: {value.dtype} holds no elements of {self.ring}; compute in "
                            f"{self.ring.dtype}")
        if value.shape[:1] != (1,) and (self.world.workers_here or value.shape[:1] != (0,)):
            raise ValueError(f"{name}: shape {value.shape} has no first axis of size 1 for the "
                             "holders; give value[None]")
        _must_broadcast(self.shape, value.shape[1:], name)
        return value

    # ---- the shape of the secret

    def sum(self, axis=None, keepdims=False):
        axis = tuple(range(self.ndim)) if axis is None else axis
        axis = behind(axis, self.ndim)
        return self._moved(self.ring.sum(self.rows, axis, keepdims), "sum", axis, keepdims)

    def reshape(self, *shape):
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        sizes = ", ".join(map(shown, shape))
        if not all(isinstance(n, (int, np.integer)) for n in shape):
            raise TypeError(f"reshape: sizes are public integers, not {sizes}")
        shape = tuple(map(int, shape))
        if -1 in shape:             # NumPy cannot resolve -1 where no row is here
            known = -prod(shape)
            rest = prod(self.shape) // max(known, 1)
            shape = tuple(rest if n == -1 else n for n in shape)
        if prod(shape) != prod(self.shape) or min(shape, default=0) < 0:
            raise ValueError(f"reshape: shape {self.shape} does not fit ({sizes})")  # in every role
        if shape == self.shape:
            return self._with(self.rows, self.masks)
        return self._moved(self.rows.reshape(self.rows.shape[:1] + shape), "reshape", shape)

    @property
    def T(self):
        """The axes in reverse order, as those of NumPy's arrays; fewer than two stay."""
        if self.ndim < 2:
            return self
        transposed = self._moved(reversed_axes(self.rows), "T")
        transposed.transpose_of = self      # whose openings are its own
        return transposed

    def moveaxis(self, source, destination):
        """One axis of the secret put in another place."""
        places = behind(source, self.ndim), behind(destination, self.ndim)
        return self._moved(np.moveaxis(self.rows, *places), "moveaxis", *places)

    def __getitem__(self, key):
        key = key if isinstance(key, tuple) else (key,)
        wrong = [k for k in key if not _public_place(k)]
        if wrong:
            raise TypeError(f"indexing a share with {_a(wrong[0])}: only integers, slices, None "
                            "and ... are public positions; join slices with concatenate, and "
                            "select by a secret with a product")
        try:
            rows = self.rows[(slice(None), *key)]
        except (IndexError, ValueError):
            raise IndexError(f"this index does not fit a share of shape {self.shape}; count its "
                             "axes and elements as those of the secret") from None
        return self._moved(rows, "index", str(key))

    def __repr__(self):
        def text(row):
            return np.array2string(row, threshold=6, edgeitems=2, prefix=" " * 8)

        rows = zip(self.world.workers_here, np.asarray(self.rows))
        held = "".join(f"\n  -> {name}: {text(row)}" for name, row in rows)
        return f"{type(self).__name__}({self.ring}, shape {self.shape})" + held

    # ---- what a secret cannot do

    def __bool__(self):
        raise TypeError("a share has no truth value: nobody knows it; reveal it first")

    def __eq__(self, other):
        raise TypeError("no party knows whether secrets are equal; use mpc.equal(x, y) for a "
                        "secret answer, and `is` for one and the same share")

    def __iter__(self):
        raise TypeError("a share cannot be iterated; index it: x[i]")

    def __array__(self, *_, **__):
        raise TypeError("a share is no array: its rows are random alone; compute with its own "
                        "operators and methods, or reveal it first")

    def __array_ufunc__(self, ufunc, method, *_, **__):
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        raise TypeError(_refusal(name))

    def __array_function__(self, function, *_, **__):
        raise TypeError(_refusal(function.__name__))

    # ---- a copy is the value itself, over the same World; nothing leaves the process

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce_ex__(self, protocol):
        raise TypeError(f"a {type(self).__name__} is not pickled: its World and all keys would go "
                        "along; reveal it and keep the numbers, and share them anew")


class Share(RingArray):
    """A secret: the workers' shares of it that live in this process."""


class Local:
    """What one `role` alone holds: rows (1, *shape) where it lives, (0, *shape) elsewhere.

    `ring` is that of encoded or revealed numbers; None for what is not encoded yet.
    """

    def __init__(self, role, rows, ring=None):
        self.role, self.rows, self.ring = role, rows, ring

    @property
    def shape(self):
        return self.rows.shape[1:]

    @property
    def ndim(self):
        return self.rows.ndim - 1

    def __repr__(self):
        here = str(np.asarray(self.rows)[0]) if len(self.rows) else "not in this process"
        return f"Private({self.role}, shape {self.shape})\n  -> {self.role}: {here}"


def concatenate(shares, axis=0):
    """Several shares of one ring and World, joined along an `axis` of the secrets."""
    shares = list(shares) if isinstance(shares, (list, tuple)) else [shares]
    if not shares:
        raise ValueError("concatenate: there is nothing to join; give one share or more")
    for s in shares:
        if not isinstance(s, RingArray):
            raise TypeError(f"concatenate: {_a(s)} is no Share; mpc.concatenate joins FixedPoints")
    first = shares[0]
    if any(s.ring != first.ring for s in shares):
        raise ValueError(f"concatenate: shares over {', '.join(str(s.ring) for s in shares)} do "
                         "not join; convert them to one ring first")
    if any(s.world != first.world for s in shares):
        raise ValueError("concatenate: shares of two Worlds do not join: their workers are not "
                         "the same; share all in one")
    place = behind(axis, first.ndim)
    rests = {s.shape[:place - 1] + s.shape[place:] for s in shares}
    if len(rests) > 1 or any(s.ndim != first.ndim for s in shares):
        raise ValueError(f"concatenate: shapes {', '.join(str(s.shape) for s in shares)} do not "
                         f"join along axis {place - 1}; they may differ in this axis only")
    rows = np.concatenate([s.rows for s in shares], axis=place)
    return first._with(rows, masks.joined(shares, place - 1))


def matched(x, y):
    """Two held arrays with as many axes each, so that they broadcast behind the holders."""
    return lead(x, y.ndim), lead(y, x.ndim)


def lead(rows, ndim):
    """`rows` with new axes *behind* the holders until it has `ndim` axes: (2, n) -> (2, 1, n)."""
    missing = max(ndim - rows.ndim, 0)
    return rows.reshape(rows.shape[:1] + (1,) * missing + rows.shape[1:])


def aligned(x, y):
    """The rows of two shares, ready to broadcast as the secrets would."""
    if not isinstance(y, type(x)):
        raise TypeError(f"a share meets {_a(y)}: use plus() or times() for what all workers know")
    if x.ring != y.ring:
        raise ValueError(f"shares over {x.ring} and {y.ring} do not add; convert one first")
    if x.world != y.world:
        raise ValueError("shares of two Worlds do not add: their workers are not the same; share "
                         "both in one")
    _must_broadcast(x.shape, y.shape, "a sum")
    return matched(x.rows, y.rows)


def behind(axis, ndim):
    """Axes of the secret as axes of its rows, where the holders come first."""
    if isinstance(axis, tuple):
        places = tuple(behind(a, ndim) for a in axis)
        if len(set(places)) < len(places):
            raise ValueError(f"an axis of {ndim} is named twice; name each once")
        return places
    if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool):
        raise TypeError(f"an axis is a public integer, not {shown(axis)}")
    if not -ndim <= axis < ndim:
        raise ValueError(f"axis {shown(axis)} does not exist in {ndim} dimensions")
    return int(axis) % ndim + 1


def reversed_axes(rows, holders=1):
    """`rows` with the axes behind the `holders`' ones in reverse order."""
    return np.transpose(rows, (*range(holders), *range(rows.ndim - 1, holders - 1, -1)))


def check_pair(x, y, name):
    """Raise unless both are shares, or public arrays, of one ring and World."""
    if not isinstance(x, RingArray) or not isinstance(y, type(x)):
        raise TypeError(f"{name}: {shown(x)} does not meet {shown(y)}; use plus() or "
                        "times() for common values, .value of a FixedPoint")
    if x.ring != y.ring:
        raise ValueError(f"{name}: rings {x.ring} and {y.ring}; convert one first")
    if x.world != y.world:
        raise ValueError(f"{name}: shares of two Worlds do not meet; share both in one")


def check_broadcast(x, y, name):
    """Raise unless the shapes `x` and `y` broadcast."""
    try:
        np.broadcast_shapes(x, y)
    except ValueError:
        raise ValueError(f"{name}: shapes {x} and {y} do not broadcast; reshape one of "
                         "them") from None


def check_matmul(x, y):
    """Raise unless stacks of matrices of the shapes `x` and `y` have a product."""
    if min(len(x), len(y)) < 2 or x[-1] != y[-2]:
        raise ValueError(f"matmul: {x} @ {y} is no product of matrices; transpose one, "
                         "or reshape a vector to one row or one column")
    check_broadcast(x[:-2], y[:-2], "matmul of stacks")


def shown(value):
    """A wrong operand in an error message: a word or a number by itself, anything else, which may
    be secret, by its type alone."""
    return repr(value) if isinstance(value, (str, int, float, type(None))) else _a(value)


def _a(value):
    return f"a {type(value).__name__}"


def _public_place(k):
    """Is `k` a position that everybody knows?"""
    if isinstance(k, slice):
        return all(n is None or _public_place(n) for n in (k.start, k.stop, k.step))
    return not isinstance(k, bool) and isinstance(k, (int, np.integer, type(None), type(...)))


def _must_broadcast(x, y, name):
    if x == y:
        return
    try:
        np.broadcast_shapes(x, y)
    except ValueError:
        raise ValueError(f"{name}: shapes {x} and {y} do not broadcast; reshape one") from None


def _refusal(name):
    ways = INSTEAD.get(name, "its own operators and methods, or reveal it first")
    return f"np.{name} does not take shares: use {ways}"
