"""Additive shares of an array, and what each worker does with its own row alone.

A secret array x over a ring is split into one row for each worker, uniform but for their sum:
x = x_0 + x_1 + ... mod the ring. `Share.rows` holds the rows of the workers *that live in this
process*, shape (workers_here, *shape): two in a simulation of two workers, one in a worker's own
process, none at the crypto provider. Everything here is linear, so each worker computes it on its
own row and no message is sent.
"""

from math import prod

import numpy as np


class MaskReused(RuntimeError):
    """A coin was about to hide a second value: whoever sees both learns their difference."""

    def __init__(self, label, counter):
        super().__init__(f"the coin {label} of step {counter} has hidden a value already; deal a "
                         "fresh one, or use the first opening again if the value is the same")


class Share:
    """The rows of a secret array that live here; `shape` and all axes are those of the secret."""

    __array_ufunc__ = None      # an array on the left hands the operator to this class

    def __init__(self, world, ring, rows, masks=frozenset()):
        if rows.dtype != ring.dtype:        # int64 beside uint64 makes float64, without a word
            raise TypeError(f"Share: {rows.dtype} holds no elements of {ring}; compute in "
                            f"{ring.dtype}")
        self.world, self.ring, self.rows = world, ring, rows
        self.masks = masks          # the dealt coins that hide this value; spent when it is shown
        self.masked = self.doubled = None   # this value, and twice it, under a mask once opened

    @property
    def shape(self):
        return self.rows.shape[1:]

    @property
    def ndim(self):
        return self.rows.ndim - 1

    def _with(self, rows, masks=frozenset()):
        return Share(self.world, self.ring, rows, masks)

    def __repr__(self):
        def text(row):
            return np.array2string(row, threshold=6, edgeitems=2, prefix=" " * 8)

        rows = zip(self.world.workers_here, np.asarray(self.rows))
        held = "".join(f"\n  -> {name}: {text(row)}" for name, row in rows)
        return f"Share({self.ring}, shape {self.shape})" + held

    # ---- share and share, share and public or common value (axis 0 of size 1 for the holders)

    def __add__(self, other):
        x, y = aligned(self, other)
        return self._with(self.ring.add(x, y), _hidden_by(self, other))

    __radd__ = __add__          # raises: what is no Share has no sign of who knows it

    def __sub__(self, other):
        x, y = aligned(self, other)
        return self._with(self.ring.sub(x, y), _hidden_by(self, other))

    def __neg__(self):
        return self._with(self.ring.neg(self.rows), self.masks)

    def plus(self, value):
        """Add a `value` that all workers know, (1, *shape): exactly one of them does."""
        rows, value = matched(self.rows, value)
        first = self.world.j(rows) == 0
        return self._with(self.ring.add(rows, np.where(first, value, self.ring.dtype.type(0))),
                          self.masks)

    def times(self, value):
        """Multiply by a `value` that all workers know, (1, *shape)."""
        return self._with(self.ring.mul(*matched(self.rows, value)), self.masks)

    # ---- the shape of the secret

    def sum(self, axis=None, keepdims=False):
        axis = tuple(range(self.ndim)) if axis is None else axis
        return self._with(self.ring.sum(self.rows, behind(axis, self.ndim), keepdims), self.masks)

    def reshape(self, *shape):
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
        if -1 in shape:             # NumPy cannot resolve -1 where no row is here
            known = -prod(shape)
            rest = prod(self.shape) // max(known, 1)
            shape = tuple(rest if n == -1 else n for n in shape)
        if prod(shape) != prod(self.shape):
            raise ValueError(f"reshape: shape {self.shape} does not fit {shape}")    # in every role
        return self._with(self.rows.reshape(self.rows.shape[:1] + shape), self.masks)

    @property
    def T(self):
        """The last two axes exchanged."""
        if self.ndim < 2:
            raise ValueError(f"T: shape {self.shape} has no two axes to exchange; reshape it first")
        transposed = self._with(np.swapaxes(self.rows, -1, -2), self.masks)
        for kind in ("masked", "doubled"):          # an opening of x is one of x.T
            known = getattr(self, kind)
            if known is not None and known.epsilon is not None:
                setattr(transposed, kind, known.T)
        return transposed

    def moveaxis(self, source, destination):
        """One axis of the secret put in another place."""
        return self._with(np.moveaxis(self.rows, behind(source, self.ndim),
                                      behind(destination, self.ndim)), self.masks)

    def __getitem__(self, key):
        key = key if isinstance(key, tuple) else (key,)
        places = int, np.integer, slice, type(None), type(...)
        if any(isinstance(k, bool) or not isinstance(k, places) for k in key):
            raise TypeError(f"indexing a share with {key!r}: only integers, slices, None and ... "
                            "are public positions; select by a secret with a product")
        return self._with(self.rows[(slice(None), *key)], self.masks)

    def __bool__(self):
        raise TypeError("a share has no truth value: nobody knows it; reveal it first")

    def __iter__(self):
        raise TypeError("a share cannot be iterated; index it: x[i]")


class Private:
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
    """Several shares of one ring, joined along an `axis` of the secrets."""
    if not shares:
        raise ValueError("concatenate: there is nothing to join; give one share or more")
    first = shares[0]
    if any(s.ring != first.ring for s in shares):
        raise ValueError(f"concatenate: shares over {', '.join(str(s.ring) for s in shares)} do "
                         "not join; convert them to one ring first")
    masks = frozenset()
    for s in shares:
        for coin in sorted(masks & s.masks):
            raise MaskReused(*coin)             # two values under one coin, to be shown together
        masks |= s.masks
    rows = np.concatenate([s.rows for s in shares], axis=behind(axis, first.ndim))
    return first._with(rows, masks)


def _hidden_by(x, y):
    """The coins that hide x + y; one that is repeated along an axis would hide several values."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    for operand in (x, y):
        if operand.masks and operand.shape != shape:
            raise MaskReused(*sorted(operand.masks)[0])
    return x.masks | y.masks


def matched(x, y):
    """Two held arrays with as many axes each, so that they broadcast behind the holders."""
    return lead(x, y.ndim), lead(y, x.ndim)


def lead(rows, ndim):
    """`rows` with new axes *behind* the holders until it has `ndim` axes: (2, n) -> (2, 1, n)."""
    missing = max(ndim - rows.ndim, 0)
    return rows.reshape(rows.shape[:1] + (1,) * missing + rows.shape[1:])


def aligned(x, y):
    """The rows of two shares, ready to broadcast as the secrets would."""
    if not isinstance(y, Share):
        raise TypeError(f"a share meets a {type(y).__name__}: use plus() or times() for what all "
                        "workers know")
    if x.ring != y.ring:
        raise ValueError(f"shares over {x.ring} and {y.ring} do not add; convert one first")
    if x.world != y.world:
        raise ValueError("shares of two Worlds do not add: their workers are not the same; share "
                         "both in one")
    try:
        np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        raise ValueError(f"shares of shapes {x.shape} and {y.shape} do not broadcast; reshape one"
                         ) from None
    return matched(x.rows, y.rows)


def behind(axis, ndim):
    """Axes of the secret as axes of its rows, where the holders come first."""
    if isinstance(axis, tuple):
        return tuple(behind(a, ndim) for a in axis)
    if not -ndim <= axis < ndim:
        raise ValueError(f"axis {axis} does not exist in {ndim} dimensions")
    return axis % ndim + 1
