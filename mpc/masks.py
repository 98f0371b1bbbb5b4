"""The mask ledger: the dealt coins that hide a share, and those that have hidden one.

A one-time mask must hide one value only, or the difference of two values leaks. So each
share keeps a `Use` of every dealt coin in it: the public factor of the coin, and a
fingerprint of the order in which its elements lie. For a coin r these are

    r, as dealt                         factor 1
    x + r, x - r, r + r, r.times(3)     1, -1, 2, 3; public values change none
    r.T, r[1:], r.sum(0), r.reshape(6)  the same factor, another order
    (x + r) - (y + r)                   0: it cancelled
    r repeated along an axis, r + r[::-1], r times an array, r joined with itself
                                        none: elements share an element of r

The *newest* coin that did not cancel protects a share that is opened or gathered. Its
factor must be invertible in the ring: 3 is, while 2 in Z_2^l would show a parity. And
it must not have protected another value. Then each opened element has a coin element
that no earlier opening used, so all opened values together are uniform, and older coins
do not matter. So a protocol that deals a fresh coin accepts any operands, and spends
none of the coins in them. A share joined from several needs all its coins, each of
which hides a part. A share without coins may be opened; a share whose coins all
cancelled may not.

The ledger follows from the shapes and the lines of the program and never from a held
value, so every role comes to the same verdict.
"""

from math import gcd
from typing import NamedTuple


class MaskReused(RuntimeError):
    """A coin would hide a second value, or hides nothing: a difference would leak."""


class Mask:
    """A dealt coin, known by its label and the step counter at its draw."""

    def __init__(self, label: str, counter: int):
        self.label, self.counter, self.spent = label, counter, False

    def __repr__(self):
        return f"the coin {self.label} of step {self.counter}"


class Use(NamedTuple):
    """How a coin lies in a share."""

    factor: int | None  # None if elements have different ones, 0 if the coin cancelled
    order: int = 0      # equal numbers mean that the elements lie in the same places
    whole: bool = True  # False if it hides only a part of the elements


# ---- the masks {Mask: Use} of the result of an operation


def moved(masks: dict, *how) -> dict:
    """The elements in other places; `how` tells one move from others."""
    return masks and {mask: Use(use.factor, hash((use.order, *how)), use.whole)
                      for mask, use in masks.items()}


def scaled(masks: dict, n: int | None, ring) -> dict:
    """The elements times a public integer n, or None for several that differ.

    Factors 0 and None stay: such a coin hides nothing.
    """
    return masks and {
        mask: Use(n and use.factor * n % ring.characteristic, use.order, use.whole)
        if use.factor else use for mask, use in masks.items()}


def spoilt(masks: dict) -> dict:
    """The elements repeated, or times unknown numbers."""
    return scaled(masks, None, None)


def spread(masks: dict, shape: tuple, wider: tuple) -> dict:
    """The elements broadcast to a `wider` shape; new axes of size 1 repeat none."""
    same = shape == wider or (1,) * (len(wider) - len(shape)) + shape == wider
    return masks if same else spoilt(masks)


def added(x, y, shape: tuple, sign: int = 1) -> dict:
    """The masks of ``x + sign * y``, of this `shape`."""
    masks, others = spread(x.masks, x.shape, shape), spread(y.masks, y.shape, shape)
    if not others:
        return masks
    others = scaled(others, sign, x.ring)
    return masks | {mask: _sum(masks[mask], use, x.ring) if mask in masks else use
                    for mask, use in others.items()}


def _sum(one, other, ring):
    if one.factor == 0 or other.factor == 0:
        return other if one.factor == 0 else one
    alike = None not in (one.factor, other.factor) and one[1:] == other[1:]
    total = (one.factor + other.factor) % ring.characteristic if alike else None
    return one._replace(factor=total)


def joined(shares: list, axis: int) -> dict:
    """The masks of shares that are joined along an `axis`: each hides a part."""
    if len(shares) == 1:
        return shares[0].masks
    masks, start = {}, 0
    for share in shares:
        for mask, use in moved(share.masks, "joined", axis, start).items():
            factor = None if mask in masks else use.factor
            masks[mask] = use._replace(factor=factor, whole=False)
        start += share.shape[axis]
    return masks


# ---- when a share is opened or gathered


def hiding(share) -> list:
    """The coins that hide `share`; raises `MaskReused` if they do not."""
    left = [mask for mask, use in share.masks.items() if use.factor != 0]
    newest = max(left, key=lambda mask: mask.counter, default=None)
    coins = [newest] if newest and share.masks[newest].whole else list(share.masks)
    for mask in coins:
        if gcd(share.masks[mask].factor or 0, share.ring.characteristic) != 1:
            raise MaskReused(f"{mask} does not hide each element once: it cancelled or "
                             f"repeats; deal a fresh one of shape {share.shape}")
    return coins


def spend(coins: list) -> None:
    """Enter that these coins hide a value from now on, and no other one later."""
    for i, mask in enumerate(coins):
        if mask.spent or mask in coins[:i]:
            raise MaskReused(f"{mask} has hidden a value already; deal a fresh one, or "
                             "use the first opening again if the value is the same")
    for mask in coins:
        mask.spent = True
