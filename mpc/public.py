"""One line for secret and for public values: the operations that `FixedPoint` calls.

A `Share` is secret. A `PublicArray` is an array that everybody knows, in the form of a
share with one holder, so sums, shapes and indices are the same code. Products,
truncation and comparison of secrets are protocols; those of public arrays are plain
NumPy with the same rule of rounding.
"""

from fractions import Fraction
from functools import reduce

import numpy as np

from mpc import beaver, comparison, masks
from mpc.randomness import fresh_key, lesson_key, stream
from mpc.ring import Ring, Z2k
from mpc.share import Notes, RingArray, Share, check_matmul, matched
from mpc.truncation import truncate


class PublicWorld:
    """The World of public arrays: one holder, no messages, coins for rounding only."""

    workers_here = ("everybody",)
    checked = True          # the numbers to compare with are public

    def __init__(self, seed: int | None = None):
        self._key = fresh_key() if seed is None else lesson_key(seed, "rounding")
        self._counter = 0

    def __eq__(self, other):
        return isinstance(other, PublicWorld)       # any public arrays may meet

    def one(self, ring: Ring, shape: tuple) -> np.ndarray:
        return np.ones((1,) * (1 + len(shape)), ring.dtype)

    def values_in(self, rows: np.ndarray, ring: Ring) -> np.ndarray:
        return rows

    def coins(self, shape: tuple) -> np.ndarray:
        """Uniform words of 64 bits."""
        self._counter += 1
        return Z2k(64).uniform(stream(self._key, "rounding", self._counter), shape)


class PublicArray(RingArray):
    """A ring array that everybody knows: one holder, who is each party."""


def secret(value: RingArray) -> bool:
    return isinstance(value, Share)


def as_share(x: RingArray, like: Share) -> Share:
    """A public array as a sharing in the World of `like`; it hides nothing."""
    one = like.world.one(x.ring, x.shape)
    return Share(like.world, x.ring, x.ring.mul(np.array(x.rows), one))


def add(x: RingArray, y: RingArray) -> RingArray:
    if secret(x) == secret(y):
        return x + y
    return x.plus(y.rows) if secret(x) else y.plus(x.rows)


def subtract(x: RingArray, y: RingArray) -> RingArray:
    return x - y if secret(x) == secret(y) else add(x, -y)


def open_all(*values: RingArray) -> None:
    """Open the secret ones in one round, for products and quotients that follow."""
    secrets = [x for x in values if secret(x)]
    if secrets:
        beaver.open_all(*secrets)


def multiply(x: RingArray, y: RingArray) -> RingArray:
    if isinstance(x, Share) and isinstance(y, Share):
        return beaver.multiply(x, y)
    return x.times(y.rows) if secret(x) else y.times(x.rows)


def matmul(x: RingArray, y: RingArray) -> RingArray:
    """A multiple of ``x @ y``, by `matmul_factor`; a vector is one row or column."""
    if 1 in (x.ndim, y.ndim) and 0 not in (x.ndim, y.ndim):
        z = matmul(x.reshape(1, x.shape[0]) if x.ndim == 1 else x,
                   y.reshape(y.shape[0], 1) if y.ndim == 1 else y)
        return z[..., 0, 0] if x.ndim == y.ndim else z[
            (..., 0, slice(None)) if x.ndim == 1 else (..., 0)]
    if isinstance(x, Share) and isinstance(y, Share):
        return beaver.matmul(x, y)
    check_matmul(x.shape, y.shape)
    keeper = x if secret(x) else y
    rows = keeper.ring.matmul(*matched(x.rows, y.rows))
    return keeper._with(rows, masks.spoilt(keeper.masks))


def matmul_factor(x: RingArray, y: RingArray) -> int:
    return x.world.matmul_factor if isinstance(x, Share) and isinstance(y, Share) else 1


_quotients = Notes()        # {factor: quotient} of an array


def scaled(x: RingArray, factor: Fraction) -> RingArray:
    """``x * factor``, rounded up with the probability of the part cut off.

    An array, or a view of it, has one quotient by each factor, however often it is
    used.
    """
    n, d = factor.as_integer_ratio()
    if d == 1:
        return x if n == 1 else x.times(n)
    original, views = x.view_of
    if views:
        return reduce(lambda q, view: q._view(*view), views, scaled(original, factor))
    quotients = _quotients[x] or {}
    if (n, d) not in quotients:
        multiple = x if n == 1 else x.times(n)
        quotients[n, d] = (truncate(multiple, d) if isinstance(multiple, Share)
                           else _rounded(multiple, d))
        _quotients[x] = quotients
    return quotients[n, d]


def _rounded(x, d):
    down, cut = np.divmod(x.ring.to_int(x.rows), np.int64(d))
    up = x.world.coins(x.rows.shape) % np.uint64(d) < cut.view(np.uint64)
    return x._with(x.ring.from_int(down + up))


def _either(protocol, plain):
    """`protocol` for a Share; for a PublicArray `plain`, of its signed integers."""
    def operation(x, *options) -> RingArray:
        if secret(x):
            return protocol(x, *options)
        return x._with(x.ring.from_int(plain(x.ring.to_int(x.rows))))
    return operation


drelu = _either(comparison.drelu, lambda x: x >= 0)
is_zero = _either(lambda x: comparison.equal(x, x.times(0)), lambda x: x == 0)
refresh = _either(beaver.refresh, lambda x: x)

# along the last axis
maximum = _either(comparison.maximum, lambda x: x.max(-1))
argmax_one_hot = _either(comparison.argmax_one_hot,
                         lambda x: np.eye(x.shape[-1])[x.argmax(-1)])
