"""The same line for secret and for public values: what `FixedPoint` computes with.

A `Share` is secret. A `PublicArray` is an array that everybody knows, made to look like a share of one
row so that sums, shapes and indices need no second version; products, truncation and comparison of
secrets are protocols, and those of public arrays plain NumPy under the same law of rounding.
"""

from math import prod

import numpy as np

from mpc import beaver, comparison, masks
from mpc.randomness import fresh_key, lesson_key, stream
from mpc.ring import Z2k
from mpc.share import RingArray, Share, matched
from mpc.truncation import truncate

LARGE = 2**15       # elements of a left operand from which three products beat Beaver's five


class PublicWorld:
    """The World of values that everybody knows: one row, no worker, coins for rounding only."""

    workers_here = ("everybody",)
    checked = True          # their numbers are there to compare with
    __hash__ = None

    def __eq__(self, other):
        return isinstance(other, PublicWorld)        # what everybody knows meets from anywhere

    def __init__(self, seed=None):
        self._key = fresh_key() if seed is None else lesson_key(seed, "rounding")
        self._counter = 0

    def party_index(self, like):
        return np.zeros((1,) * like.ndim, like.dtype)

    def coins(self, ring, shape):
        """Uniform ring elements that nobody chose."""
        self._counter += 1
        return ring.uniform(stream(self._key, "rounding", self._counter), shape)


class PublicArray(RingArray):
    """A public ring array: a "share" of one row that everybody holds, with the same operations."""

    def truncate(self, d):
        """``x / d``, rounded up with the probability of the part cut off: the law of `truncate`."""
        if d == 1:
            return self
        down, cut = np.divmod(self.ring.to_int(self.rows), np.int64(d))
        coin = self.world.coins(Z2k(64), self.rows.shape) % np.uint64(d)
        return self._with(self.ring.from_int(down + (coin < cut.view(np.uint64))))

    def drelu(self):
        return self._with((self.ring.to_int(self.rows) >= 0).astype(self.ring.dtype))

    def argmax_one_hot(self):
        """The first maximum along the last axis, as a row of 0 and 1."""
        best = self.ring.to_int(self.rows).argmax(-1)
        return self._with(np.eye(self.shape[-1], dtype=self.ring.dtype)[best])


def secret(value):
    return isinstance(value, Share)


def add(x, y):
    if secret(x) == secret(y):
        return x + y
    return x.plus(y.rows) if secret(x) else y.plus(x.rows)


def multiply(x, y):
    if secret(x) and secret(y):
        return beaver.multiply(x, y)
    return x.times(y.rows) if secret(x) else y.times(x.rows)


def in_three(x, y):
    """Is ``x @ y`` one of the large products of secrets that the World wants in three?"""
    return (secret(x) and secret(y) and x.world.products == "three"
            and prod(x.shape) >= LARGE)


def matmul(x, y):
    if secret(x) and secret(y):
        return beaver.matmul(x, y)
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-2]:
        raise ValueError(f"matmul: {x.shape} @ {y.shape} is no product of matrices; reshape a "
                         "vector to one row or one column")
    keeper = x if secret(x) else y
    return keeper._with(keeper.ring.matmul(*matched(x.rows, y.rows)), masks.spoilt(keeper.masks))


def square(x):
    return beaver.square(x) if secret(x) else x.times(x.rows)


def times_integer(x, n):
    if n == 1:
        return x
    return x.times(n)


def scale_down(x, d):
    if d == 1:
        return x
    return truncate(x, d) if secret(x) else x.truncate(d)


def drelu(x):
    return comparison.drelu(x) if secret(x) else x.drelu()


def is_zero(x):
    """[x == 0]"""
    if not secret(x):
        return x._with((x.rows == 0).astype(x.ring.dtype))
    return comparison.equal(x, x.times(0))


def maximum(x):
    """The maximum along the last axis."""
    return comparison.maximum(x) if secret(x) else x.times(x.argmax_one_hot().rows).sum(-1)


def argmax_one_hot(x):
    """The first maximum along the last axis, as a row of 0 and 1."""
    return comparison.argmax_one_hot(x) if secret(x) else x.argmax_one_hot()


def refresh(x):
    return beaver.refresh(x) if secret(x) else x
