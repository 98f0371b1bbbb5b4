"""Order: sorting by a network of comparators, and a shuffle that nobody can follow.

A *comparator* puts two numbers in order: with the bit b = [x >= y], they become
x - b (x - y) and y + b (x - y). A network is a fixed list of them, so which numbers
meet depends on no value. Batcher's merge exchange sorts n numbers in t (t + 1) / 2
layers for t = log2 n, rounded up. The comparators of a layer travel together, each at
the price of a ReLU. If only some places of the order are wanted, comparators that
cannot influence them are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import prod

import numpy as np

from mpc import public
from mpc.beaver import share_offline
from mpc.ledger import step
from mpc.public import multiply
from mpc.ring import Z2k, is_integer
from mpc.share import RingArray, Share, concatenate, shown


def sort(x, axis: int = -1):
    """The numbers along an axis in ascending order."""
    v = _operand(x, "sort").moveaxis(axis, -1)
    return _ranked(x, v, axis, 0, v.shape[-1])


def top_k(x, k: int, axis: int = -1):
    """The k largest numbers along an axis, the largest first."""
    v = _operand(x, "top_k").moveaxis(axis, -1)
    n = v.shape[-1]
    if not is_integer(k) or not 1 <= k <= n:
        raise ValueError(f"top_k: k = {shown(k)} of {n} numbers; take an integer from "
                         f"1 to {n}")
    return _ranked(x, v, axis, n - int(k), n, step=-1)


def median(x, axis: int = -1):
    """The median along an axis, which goes: the mean of the middle two if n is even."""
    v = _operand(x, "median").moveaxis(axis, -1)
    n = v.shape[-1]
    if not n:
        raise ValueError("median: no number along this axis; give one or more")
    total = _ranked(x, v, axis, (n - 1) // 2, n // 2 + 1).sum(axis)
    return total if n % 2 else total / 2


def sort_rows(x, column: int):
    """The rows of x (..., n, c) in ascending order of one column, ties in any order."""
    v = _operand(x, "sort_rows")
    if v.ndim < 2 or not is_integer(column) or not 0 <= column < v.shape[-1]:
        raise ValueError(f"sort_rows: no column {shown(column)} in {v.shape}; give rows"
                         " and the index of a column from 0 on")
    return x.operand()._with(_network(v, range(v.shape[-2]), int(column)))


def shuffle(x):
    """The rows x[0], x[1] ... of a secret in an order that nobody knows."""
    v = _operand(x, "shuffle")
    if not isinstance(v, Share):
        raise TypeError("shuffle: everybody would know the order of a public value; "
                        "share() it first")
    if not v.ndim:
        raise ValueError("shuffle: a single number has no order; give an array")
    rows = shuffle_rows(v.reshape(v.shape[0], prod(v.shape[1:])))
    return x.operand()._with(rows.reshape(*v.shape))


def _operand(x, name):
    """The raw numbers of `x`, truncated if that is pending."""
    if not hasattr(x, "weight_scale"):
        raise TypeError(f"{name} takes a FixedPoint, not {shown(x)}; encode it with "
                        "fix_precision()")
    return x.operand()._number


def _ranked(x, v, axis, first, last, step=1):
    """The places first to last - 1 of v (..., n) in ascending order, along the axis."""
    ordered = _network(v[..., None], range(first, last))[..., first:last, 0]
    return x.operand()._with(ordered[..., ::step].moveaxis(-1, axis))


# ---- the network


def _network(v: RingArray, places: range, column: int = 0) -> RingArray:
    """Rows v (..., n, c) ordered by a column, as far as the `places` are concerned."""
    for low, high in _comparators(v.shape[-2], places):
        rest = sorted({*range(v.shape[-2])} - {*low, *high})
        x, y, others = (_taken(v, rows) for rows in (low, high, rest))
        lead = x - y
        key = lead if v.shape[-1] == 1 else lead[..., column:column + 1]
        move = multiply(public.drelu(key), lead)            # 0 or x - y
        v = concatenate([x - move, y + move, others], axis=-2)
        v = _taken(v, np.argsort([*low, *high, *rest]).tolist())
    return v


@lru_cache
def _comparators(n: int, places: range) -> list[tuple[list, list]]:
    """Of each layer, the rows of the smaller and those of the larger numbers.

    Only comparators on which the `places` depend, of the network for the next power of
    two. The rows that are missing are the last ones, as if they were infinite, or the
    first ones; whichever needs fewer comparators.
    """
    size = 1 << (n - 1).bit_length() if n else 0
    networks = []
    for missing in (0, size - n):
        needed, kept = set(places), []
        for layer in reversed([*_merge_exchange(size)]):
            pairs = [(i - missing, j - missing) for i, j in layer
                     if missing <= i and j < missing + n]
            pairs = [pair for pair in pairs if needed.intersection(pair)]
            needed.update(*pairs)
            if pairs:
                kept.append(([low for low, _ in pairs], [high for _, high in pairs]))
        networks.append(kept[::-1])
    return min(networks, key=lambda layers: sum(len(low) for low, _ in layers))


def _merge_exchange(n: int) -> Iterator[list[tuple[int, int]]]:
    """Batcher's layers for a power of two (Knuth, volume 3, algorithm 5.2.2M)."""
    p = n // 2
    while p:
        q, r, d = n // 2, 0, p
        while d:
            yield [(i, i + d) for i in range(n - d) if i & p == r]
            d, q, r = q - p, q // 2, p
        p //= 2


def _taken(v: RingArray, rows: list[int]) -> RingArray:
    """The rows of v (..., n, c) with these public indices."""
    return v._moved(np.take(v.rows, np.array(rows, int), axis=-2), "rows", tuple(rows))


# ---- the shuffle


@step(over=Z2k, rounds="k", online="(k - 1)*k*w*n",
      offline="k*w*n + (k - 1)*k*w*m",
      source="Chase, Ghosh and Poburinnaya, ASIACRYPT 2020, with dealt masks")
def shuffle_rows(x: Share) -> Share:
    """Rows of x (..., n, c) in an order that nobody knows; (...) matrices on their own.

    All workers apply an order rho from their common coins, which the provider does not
    know. Then each worker i in turn applies an order pi, which only it and the provider
    know. It gets x - a, under a dealt mask a, shares out pi(x - a), and the provider
    deals shares of pi(a). An order sorts random words: it is uniform up to equal words,
    which occur with probability n^2 / 2^(l + 1).
    """
    world, ring, lanes = x.world, x.ring, x.shape[:-1]
    if world.seals:
        raise ValueError("shuffle: not with security='abort': a worker could share "
                         "other rows than it was given; sort by random numbers")
    rho = world.common_coins(ring, lanes, "rho")
    x = x._moved(_in_order(x.rows, rho), "shuffled")
    for worker in world.workers:
        order, order_known = world.deal(ring, lanes, "order")
        with world.ledger.offline():
            words, = world.gather(worker, order=order)
        a, a_known = world.deal(ring, x.shape, "a")
        masked, = world.gather(worker, epsilon=x - a)
        mine = _in_order(ring.sum(masked, axis=1), ring.sum(words, axis=1))
        mask = _in_order(ring.sum(a_known, axis=1), ring.sum(order_known, axis=1))
        rest, = share_offline(world, c=(mask, ring))
        fresh, = world.share(worker, z=(mine, ring))
        x = fresh + rest
    return x


def _in_order(rows: np.ndarray, words: np.ndarray) -> np.ndarray:
    """rows (holders, ..., n, c) in the order that sorts the words (holders, ..., n)."""
    order = np.argsort(words, axis=-1, kind="stable")
    return np.take_along_axis(rows, order[..., None], axis=-2)
