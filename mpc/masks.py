"""The mask ledger: which dealt coins hide a share, and which of them have hidden a value before.

A share keeps, for each dealt coin in it, a `Use`: the public factor of the coin, and a fingerprint
of the order in which its elements lie.

    r, dealt                            factor 1
    x + r, x - r, r + r, r.times(3)     1, -1, 2, 3; public values leave it as it is
    r.T, r[1:], r.sum(0), r.reshape(6)  the same factor, another order
    (x + r) - (y + r)                   0: it cancelled
    r repeated along an axis, r + r[::-1], r times an array, joined with itself
                                        none: some elements have no element of r for themselves

A share that is shown is protected by the *newest* coin in it that did not cancel. It must have a
factor that can be undone (3 can, 2 in Z_2^l cannot and would show a parity), and no value that was
shown before may have leaned on it. Then nothing is told by all that is shown together: every shown
element has an element of its newest coin for itself, as the rows of a triangular matrix have, and
older coins do not matter. So a step that deals a fresh coin takes any operand, whatever other coins
are in it, and spends none of them. A share that was joined from several needs all its coins, of
which each hides a part. A share without coins may be shown; one whose coins cancelled may not.

All this follows from shapes and from the lines of the program, never from a held value: every role
comes to the same verdict.
"""

from math import gcd
from typing import NamedTuple

import numpy as np


class MaskReused(RuntimeError):
    """A coin was about to hide a second value, or hides nothing: a difference would leak."""


class Mask:
    """A coin of the mask ledger, known by its label and the step counter at its draw."""

    def __init__(self, label, counter):
        self.label, self.counter, self.spent = label, counter, False

    def __repr__(self):
        return f"the coin {self.label} of step {self.counter}"


class Use(NamedTuple):
    """How a coin lies in a share."""

    factor: int         # None where there is no single one, 0 where the coin cancelled
    order: int = 0      # equal numbers: the elements lie in the same places
    whole: bool = True  # does it hide every element, and not only those of one part?


# ---- what the operations on a share do to its masks, {Mask: Use}


def moved(masks, *how):
    """The elements in other places, `how` saying in which."""
    return {mask: use._replace(order=hash((use.order, *how))) for mask, use in masks.items()}


def scaled(masks, n, ring):
    """The elements times a public integer."""
    return {mask: use if use.factor is None else use._replace(factor=use.factor * n
                                                              % ring.characteristic)
            for mask, use in masks.items()}


def spoilt(masks):
    """The elements repeated, or times what nobody knows here."""
    return {mask: use if use.factor == 0 else use._replace(factor=None)
            for mask, use in masks.items()}


def spread(masks, shape, wider):
    """The elements broadcast from one `shape` to a `wider` one; new axes of size 1 repeat none."""
    return masks if (1,) * (len(wider) - len(shape)) + shape == wider else spoilt(masks)


def added(x, y, sign=1):
    """The masks of the share ``x + sign * y``."""
    if not (x.masks or y.masks):
        return {}
    shape = x.shape if x.shape == y.shape else np.broadcast_shapes(x.shape, y.shape)
    masks = spread(x.masks, x.shape, shape)
    others = spread(scaled(y.masks, sign, y.ring), y.shape, shape)
    return masks | {mask: _sum(masks.get(mask, Use(0)), use, x.ring)
                    for mask, use in others.items()}


def _sum(one, other, ring):
    if one.factor == 0 or other.factor == 0:
        return other if one.factor == 0 else one
    if one.factor is None or other.factor is None or one[1:] != other[1:]:
        return one._replace(factor=None)
    return one._replace(factor=(one.factor + other.factor) % ring.characteristic)


def joined(shares, axis):
    """The masks of shares that are joined along an `axis`: each hides a part."""
    if len(shares) == 1:
        return shares[0].masks
    masks, start = {}, 0
    for share in shares:
        for mask, use in moved(share.masks, "joined", axis, start).items():
            use = use._replace(whole=False)
            masks[mask] = use if mask not in masks else use._replace(factor=None)
        start += share.shape[axis]
    return masks


# ---- what happens when a share is shown


def hiding(share):
    """The coins that hide `share` when it is shown; raises where they do not."""
    left = [mask for mask, use in share.masks.items() if use.factor != 0]
    newest = max(left, key=lambda mask: mask.counter, default=None)
    coins = [newest] if newest and share.masks[newest].whole else list(share.masks)
    for mask in coins:
        factor = share.masks[mask].factor
        if factor is None or gcd(factor, share.ring.characteristic) != 1:
            raise MaskReused(f"{mask} does not hide each element once: it cancelled, was repeated "
                             "along an axis, joined with itself or multiplied; deal a fresh one of "
                             f"shape {share.shape}, and open under that")
    return coins


def spend(coins):
    """These coins hide a value from now on, and no other one later."""
    for i, mask in enumerate(coins):
        if mask.spent or mask in coins[:i]:
            raise MaskReused(f"{mask} has hidden a value already; deal a fresh one, or use the "
                             "first opening again if the value is the same")
    for mask in coins:
        mask.spent = True
