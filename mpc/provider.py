"""The crypto provider (the simulated dealer): correlated randomness for products.

The provider knows every mask in the clear and must therefore see nothing that they hide; it is
neither the server nor a receiver of openings. It sends one correction for each product; everything
else comes from keys that it has with each worker.
"""

from typing import NamedTuple

from mpc.share import Share, matched


class Triple(NamedTuple):
    """Shares of random a and b and of c = a op b: the coins of one product, to be used once."""

    a: Share
    b: Share
    c: Share


class SquarePair(NamedTuple):
    """Shares of a random a and of c = a * a: the coins of one square, to be used once."""

    a: Share
    c: Share


def deal_triple(world, ring, x_shape, y_shape, op):
    """A `Triple` for ``x op y``, op being ring.mul or ring.matmul."""
    a, a_clear = world.dealt(ring, x_shape, "a")
    b, b_clear = world.dealt(ring, y_shape, "b")
    return Triple(a, b, _correction(world, ring, op(*matched(a_clear, b_clear))))


def deal_square(world, ring, shape):
    """A `SquarePair` for ``x * x``."""
    a, a_clear = world.dealt(ring, shape, "a")
    return SquarePair(a, _correction(world, ring, ring.mul(a_clear, a_clear)))


def _correction(world, ring, c_clear):
    with world.ledger.offline():
        return world.share(world.crypto_provider, (c_clear, ring), name="c")
