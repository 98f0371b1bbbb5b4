"""Additive shares of an array, and the operations that need no message.

A secret array x over a ring is the sum of one share for each worker, in that ring:
x = x_0 + x_1 + ... The shares of all workers but one are uniform and independent of x.
`Share.rows` has those of the workers *that live in this process*, (workers_here,
*shape): two in a simulation of two workers, one in a worker's own process, none at the
crypto provider. All operations here are linear, so each worker computes on its own.

A Share is a value: its rows are read-only, also through slices of it, and a copy of it
is the Share itself.
"""

from __future__ import annotations

import weakref
from math import prod
from operator import attrgetter

import numpy as np

from mpc import masks
from mpc.ring import Bits, Ring, Z2k, is_integer

SHARE, COMMON = "share", "common"       # kinds of value; the third is `local(role)`
PLAIN = {int, type(None), type(...)}            # in an index, and ends of slices
PLACES = int, np.integer, list, np.ndarray      # in an index, beside these

# The counterparts of NumPy functions, where they have other names.
INSTEAD = {"add": "x + y, or x.plus(value)", "matmul": "mpc.matmul(x, y)",
           "multiply": "mpc.multiply(x, y), x.times(value)", "equal": "mpc.equal(x, y)",
           "square": "mpc.multiply(x, x)", "where": "mpc.select_share()",
           "max": "mpc.tournament(x)", "argmax": "mpc.tournament(x)",
           "concatenate": "mpc.share.concatenate()"}


class RingArray:
    """Ring elements and their holders: the base of `Share` and `PublicArray`.

    `rows` has shape (holders_here, *shape); `shape` and all axes are those of the
    value. `masks` are the dealt coins in it (`mpc.masks`); a public array has none.
    The array of rows becomes read-only.
    """

    def __init__(self, world, ring: Ring, rows: np.ndarray, masks=None):
        array = isinstance(rows, np.ndarray) and rows.ndim
        if not array or rows.dtype != ring.dtype:
            raise TypeError(f"{type(self).__name__}: {shown(rows)} came, not elements "
                            f"of {ring} ({ring.dtype}) with an axis of holders")
        self.world, self.ring, self.masks = world, ring, masks or {}
        self.shape, self.ndim = rows.shape[1:], rows.ndim - 1
        self._rows = rows
        rows.flags.writeable = False
        self.view_of = None, ()     # the array whose elements these are, after moves

    rows = property(attrgetter("_rows"))            # not to be replaced

    def _with(self, rows, masks=None):
        return type(self)(self.world, self.ring, rows, masks)

    def _moved(self, rows, *how):
        """The elements in other places, or sums of them."""
        return self._with(rows, masks.moved(self.masks, self.shape, *how))

    def _view(self, move, *how):
        """All elements, in other places: what is known of them holds for the view."""
        view, (root, moves) = self._moved(move(self.rows), *how), self.view_of
        view.view_of = self if root is None else root, (*moves, (move, *how))
        return view

    # ---- sums, and operands that all workers know: (1, *shape), for all holders

    def __add__(self, other: RingArray):
        return self._sum(other, self.ring.add)

    def __sub__(self, other: RingArray):
        return self._sum(other, self.ring.sub, -1)

    def _sum(self, other, operation, sign=1):
        check_pair(self, other, "a sum")
        x, y = self.rows, other.rows
        if self.shape != other.shape:
            check_broadcast(self.shape, other.shape, "a sum")
            x, y = matched(x, y)
        rows = operation(x, y)
        return self._with(rows, masks.added(self, other, rows.shape[1:], sign))

    def __neg__(self):
        rows = self.ring.neg(self.rows)
        return self._with(rows, masks.scaled(self.masks, -1, self.ring))

    def plus(self, value: int | np.ndarray):
        """Add a value that all workers know: that number of times a share of 1."""
        rows, value = matched(self.rows, self._known(value, "plus"))
        one = self.world.one(self.ring, rows.shape[1:])
        rows = self.ring.add(rows, self.ring.mul(value, one))
        return self._with(rows, masks.spread(self.masks, self.shape, rows.shape[1:]))

    def times(self, value: int | np.ndarray):
        """Multiply by a value that all workers know."""
        rows = self.ring.mul(*matched(self.rows, self._known(value, "times")))
        n = None if isinstance(self.ring, Bits) or not is_integer(value) else int(value)
        return self._with(rows, masks.scaled(self.masks, n, self.ring))

    def _known(self, value, name):
        """`value` as an array (1, *shape), or (0, *shape) where no worker lives."""
        dtype, holders = self.ring.dtype, ((1,), (bool(self.world.workers_here),))
        if is_integer(value):
            return np.full(1, int(value) % self.ring.order, dtype)
        if getattr(value, "dtype", None) != dtype or value.shape[:1] not in holders:
            raise TypeError(f"{name}: {shown(value)} came; give an integer or {dtype} "
                            "as value[None], and use + or mpc.multiply for a share")
        check_broadcast(self.shape, value.shape[1:], name)
        return value

    # ---- the shape of the value

    def sum(self, axis: int | tuple | None = None, keepdims=False):
        axes = behind(tuple(range(self.ndim)) if axis is None else axis, self.ndim)
        total = self._moved(self.ring.sum(self.rows, axes, keepdims), "sum", axes)
        return total if prod(self.shape) else total.times(0)    # no coin is in it

    def reshape(self, *shape):
        try:                    # by an array that every role has
            new = np.empty(self.shape, bool).reshape(*shape).shape
        except (TypeError, ValueError):
            raise ValueError(f"reshape: {shown(shape)} does not fit {self.shape}; give "
                             "public sizes of as many elements") from None
        return self._view(lambda x: x.reshape(len(x), *new), "reshape", new)

    @property
    def T(self):
        """The axes in reverse order, as in NumPy; with fewer than two, the same."""
        return self if self.ndim < 2 else self.transpose(range(self.ndim)[::-1])

    def transpose(self, axes: tuple):
        """The axes in another order; `axes` names each once."""
        axes = behind(tuple(axes), self.ndim)
        if len(axes) < self.ndim:
            raise ValueError(f"transpose: {self.ndim} axes, and {len(axes)} are named; "
                             "name each once")
        return self._view(lambda x: x.transpose(0, *axes), "transpose", axes)

    def moveaxis(self, source: int, destination: int):
        here, there = (behind((a,), self.ndim)[0] - 1 for a in (source, destination))
        axes = [i for i in range(self.ndim) if i != here]
        return self.transpose((*axes[:there], here, *axes[there:]))

    def __getitem__(self, key):
        """By public integers, slices, None, ..., and arrays of integers or of bools."""
        parts = key if isinstance(key, tuple) else (key,)
        kinds = {type(n) for k in parts for n in
                 ((k.start, k.stop, k.step) if type(k) is slice else (k,))} - PLAIN
        if kinds and not all(issubclass(k, PLACES) and k is not bool for k in kinds):
            raise TypeError(f"index: {shown(parts)} is no public position; take "
                            "integers or slices, and select by a secret with a product")
        try:
            if kinds and any(issubclass(k, (list, np.ndarray)) for k in kinds):
                where = np.arange(prod(self.shape)).reshape(self.shape)
                return self._taken(where[tuple(map(_positions, parts))])
            rows = self.rows[(slice(None),) + parts]
        except (IndexError, ValueError):
            raise IndexError(
                f"index: {shown(parts)} does not fit {self.shape}") from None
        return self._moved(rows, "index", str(parts))

    def _taken(self, places: np.ndarray):
        """The elements of these numbers, in the shape of `places`."""
        size = prod(self.shape)
        counts = np.bincount(places.reshape(-1), minlength=size)

        def take(x):
            return x.reshape(len(x), size)[:, places]

        how = "taken", places.shape, places.tobytes()
        if np.all(counts == 1):
            return self._view(take, *how)
        taken = self._moved(take(self.rows), *how)
        return taken if counts.max(initial=0) < 2 else taken._with(
            taken.rows, masks.spoilt(taken.masks))

    def cumsum(self, axis: int):
        """The sums of all elements up to each one along an axis."""
        place, = behind((axis,), self.ndim)
        if not isinstance(self.ring, Z2k):
            raise TypeError(f"cumsum: over {self.ring}; convert to a Z_2^l first")
        rows = self.ring.reduce(np.cumsum(self.rows, place, dtype=self.ring.dtype))
        return self._with(rows, masks.spoilt(self.masks))

    def __repr__(self):
        lines = [f"{type(self).__name__}({self.ring}, shape {self.shape})"]
        rows = self.world.values_in(np.array(self.rows), self.ring)
        for name, row in zip(self.world.workers_here, rows, strict=True):
            text = np.array2string(row, threshold=6, edgeitems=2, prefix=" " * 8)
            lines.append(f"  -> {name}: {text}")
        return "\n".join(lines)

    # ---- refused, since nobody knows a secret

    def __bool__(self):
        raise TypeError("bool: nobody knows the value of a share; reveal it first")

    def __eq__(self, other):
        raise TypeError("==: use mpc.equal(x, y) for a secret answer, or x is y")

    __iter__ = None             # one indexes it instead: x[i]

    def __array__(self, *_, **__):
        raise TypeError("a share is no array; use its own methods, or reveal it first")

    def __array_function__(self, function, *_, **__):
        ways = INSTEAD.get(function.__name__, "its own operators, or reveal it first")
        raise TypeError(f"np.{function.__name__} does not take shares: use {ways}")

    __array_ufunc__ = __array_function__

    # ---- a copy is the value itself, over the same World; nothing leaves the process

    __copy__ = __deepcopy__ = lambda self, memo=None: self

    def __reduce_ex__(self, protocol):
        raise TypeError("a share is not pickled: its World has keys; reveal it first")


class Share(RingArray):
    """A sharing: the shares of one secret that live in this process."""


class Local:
    """A value known to one `role`: rows (1, *shape) where it lives, else (0, *shape).

    `ring` is that of encoded or revealed numbers, and None before they are encoded.
    """

    def __init__(self, role: str, rows: np.ndarray, ring: Ring | None = None):
        self.role, self.rows, self.ring = role, rows, ring
        self.shape, self.ndim = rows.shape[1:], rows.ndim - 1

    def __repr__(self):
        here = np.asarray(self.rows)[0] if len(self.rows) else "not in this process"
        return f"Local({self.role}, shape {self.shape})\n  -> {self.role}: {here}"


def local(role: str) -> str:
    """The kind of a value that only `role` holds."""
    return f"local to {role}"


class Notes(dict):
    """Notes on arrays, by identity, for as long as an array lives.

    Each module keeps its own, so nobody writes on another one's object.
    """

    def __getitem__(self, x):
        return self.get(id(x), (None,))[0]

    def __setitem__(self, x, note):
        key = id(x)
        super().__setitem__(key, (note, weakref.ref(x, lambda _: self.pop(key))))


def concatenate(shares: list, axis: int = 0):
    """Shares over one ring and in one World, joined along an `axis` of the secrets."""
    if not len(shares):
        raise ValueError("concatenate: nothing to join; give one share or more")
    for share in shares:
        check_pair(shares[0], share, "concatenate")
    place, = behind((axis,), shares[0].ndim)
    try:
        rows = np.concatenate([share.rows for share in shares], axis=place)
    except ValueError:
        shapes = [share.shape for share in shares]
        raise ValueError(f"concatenate: {shapes} do not join on axis {axis}") from None
    return shares[0]._with(rows, masks.joined(shares, place - 1))


def _positions(key):
    """An array of an index as NumPy needs it; refused if it has other elements."""
    if not isinstance(key, (list, np.ndarray)):
        return key
    key = np.asarray(key) if np.size(key) else np.asarray(key, int)
    if key.dtype.kind not in "iub":
        raise TypeError(f"index: an array of {key.dtype} came; take integers, or bools")
    return key


def aligned(x: RingArray, y: RingArray) -> tuple:
    """Views of both with equally many axes, so that their rows broadcast."""
    if x.ndim != y.ndim:
        n = max(x.ndim, y.ndim)
        x, y = (v.reshape((1,) * (n - v.ndim) + v.shape) for v in (x, y))
    return x, y


def matched(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two held arrays with equally many axes, so that they broadcast as the values."""
    return (x, y) if x.ndim == y.ndim else (lead(x, y.ndim), lead(y, x.ndim))


def lead(rows: np.ndarray, ndim: int) -> np.ndarray:
    """`rows` with new axes *behind* the holders, up to `ndim`: (2, n) -> (2, 1, n)."""
    ones = (1,) * (ndim - rows.ndim)
    return rows.reshape(len(rows), *ones, *rows.shape[1:]) if ones else rows


def behind(axis: int | tuple, ndim: int) -> tuple:
    """Axes of the value as axes of its rows, where the holders come first."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    axis = axes[0] if len(axes) == 1 else axis      # as an error shows it
    if not all(map(is_integer, axes)):
        raise TypeError(f"an axis is a public integer, not {shown(axis)}")
    places = [int(a) % ndim + 1 for a in axes if -ndim <= a < ndim]
    if len(set(places)) < len(axes):
        raise ValueError(f"axis {shown(axis)} does not fit ndim {ndim}; name each once")
    return tuple(places)


def check_pair(x: RingArray, y: RingArray, name: str) -> None:
    """Raise unless both are shares, or public arrays, of one ring and World."""
    if type(x) is not type(y) or not isinstance(x, RingArray):
        raise TypeError(f"{name}: {shown(x)} does not meet {shown(y)}; use plus() or "
                        "times() for common values, .value of a FixedPoint")
    if x.ring is not y.ring and x.ring != y.ring:
        raise ValueError(f"{name}: rings {x.ring} and {y.ring}; convert one first")
    if x.world != y.world:
        raise ValueError(f"{name}: shares of two Worlds do not meet; share both in one")


def check_broadcast(x: tuple, y: tuple, name: str) -> None:
    """Raise unless the shapes `x` and `y` broadcast."""
    for m, n in zip(x[::-1], y[::-1], strict=False):
        if m != n and 1 not in (m, n):
            raise ValueError(f"{name}: {x} and {y} do not broadcast; reshape one")


def check_matmul(x: tuple, y: tuple) -> None:
    """Raise unless stacks of matrices of the shapes `x` and `y` have a product."""
    if min(len(x), len(y)) < 2 or x[-1] != y[-2]:
        raise ValueError(f"matmul: {x} @ {y} is no product of matrices; transpose one, "
                         "or reshape a vector to one row or one column")
    check_broadcast(x[:-2], y[:-2], "matmul of stacks")


def shown(value) -> str:
    """A wrong operand in a message: what may be secret, by its type alone."""
    if isinstance(value, tuple):
        return f"({', '.join(map(shown, value))})"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    plain = type(value) in (str, int, float, type(None))
    return repr(value) if plain else f"a {type(value).__name__}"
