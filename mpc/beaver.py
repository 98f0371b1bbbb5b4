"""Products of two secrets, after Beaver: each spends a random product dealt in advance.

With shares of random a, b and c = a op b, the workers open epsilon = x - a and
delta = y - b, which are uniform and so reveal nothing, and

    x op y = (epsilon + a) op (delta + b)
           = epsilon op delta + epsilon op b + a op delta + c

is linear in the shares. `op` is any product that distributes over sums, elementwise or
of matrices. A secret is opened once: `masked` keeps its mask and its epsilon, and every
later product of the same secret uses them again.
"""

import weakref
from typing import NamedTuple

import numpy as np

from mpc.ledger import step
from mpc.masks import spoilt
from mpc.ring import Ring
from mpc.share import Share, check_broadcast, check_matmul, matched, reversed_axes
from mpc.world import World


@step(shares=2, rounds=1, online="(k - 1)*k*w*(x + y)", offline="w*z",
      source="Beaver, CRYPTO 1991")
def multiply(x: Share, y: Share) -> Share:
    """Shares of ``x * y``, for shapes that broadcast. Scales are up to the caller."""
    check_broadcast(x.shape, y.shape, "multiply")
    return _product(x, y, x.ring.mul)


@step(shares=2, rounds=1, online="(k - 1)*k*w*(x + y)", offline="w*z",
      source="Mohassel and Zhang, S&P 2017: Beaver's product of matrices")
def matmul(x: Share, y: Share) -> Share:
    """Shares of the matrix product ``x @ y``, of shapes (..., m, k) and (..., k, n)."""
    check_matmul(x.shape, y.shape)
    return _product(x, y, x.ring.matmul)


def _product(x, y, op):
    """The product of the module's docstring.

    Only one worker adds epsilon op delta: it adds delta to its share of b. In algorithm
    1 of SecureNN as printed both subtract it, which gives x op y - 3 epsilon op delta.
    """
    ring, (a, a_value, _) = x.ring, mask(x, "a")
    b, b_value, _ = mask(y, "b")
    c, = share_offline(x.world, c=(op(*matched(a_value, b_value)), ring))
    opened = _open(x.world, epsilon=x, **({} if x is y else {"delta": y}))
    epsilon, delta = opened[0], opened[-1]
    left, right = op(*matched(epsilon, b.plus(delta).rows)), op(*matched(a.rows, delta))
    return c._with(ring.add(c.rows, ring.add(left, right)), spoilt(x.masks | y.masks))


@step(rounds=1, online="(k - 1)*k*w*n", offline="w*n",
      source="x^2 = epsilon^2 + 2 epsilon a + a^2, with a dealt pair (a, a^2)")
def square(x: Share) -> Share:
    """Shares of ``x * x``, with one opening instead of the two of a product."""
    ring, (a, a_value, _) = x.ring, mask(x, "a")
    c, = share_offline(x.world, c=(ring.mul(a_value, a_value), ring))
    epsilon, = _open(x.world, epsilon=x)
    rest = a.times(ring.add(epsilon, epsilon)).plus(ring.mul(epsilon, epsilon))
    return c._with(ring.add(c.rows, rest.rows), spoilt(x.masks))


@step(secure="shares are uniform up to their sum, and independent of earlier shares",
      source="SecureNN, section 3: shares of zero from the workers' common key")
def refresh(x: Share) -> Share:
    """Fresh shares of the same secret: each worker adds its share of zero.

    Someone who is shown the fresh shares and holds nothing else learns only their sum.
    """
    return x + x.world.zero_share(x.ring, x.shape, "zero")


def deal(world: World, ring: Ring, shape: tuple, name: str):
    """A random secret: a Share, and its value at the dealer (provider_here, *shape)."""
    share, dealer_rows = world.deal(ring, shape, name)
    return share, ring.sum(dealer_rows, axis=1)


def share_offline(world: World, **values) -> tuple:
    """Shares of values of the provider that depend on no input, as in `World.share`."""
    with world.ledger.offline():
        return world.share(world.crypto_provider, **values)


# ---- masked values


class Masked(NamedTuple):
    """The mask `a` of a secret x, and epsilon = x - a once it is open.

    Every product of the same x may use epsilon again with another partner, since
    nothing new is shown. Another value needs another mask.
    """

    a: Share
    mask_value: np.ndarray      # a as the provider knows it, (provider_here, *shape)
    epsilon: np.ndarray | None = None


_masked: dict[int, Masked] = {}     # by the id of a Share, as long as it lives


def masked(x: Share) -> Masked | None:
    """The mask of `x`, if it has one. The transpose of an opened secret is open too."""
    known = _masked.get(id(x))
    if known is None and x.transpose_of is not None:
        original = masked(x.transpose_of)
        if original and original.epsilon is not None:
            return Masked(original.a.T, *map(reversed_axes, original[1:]))
    return known


def mask(x: Share, name: str) -> Masked:
    """The mask of `x`; a freshly dealt one if it has none."""
    known = masked(x)
    if known is None:
        known = _masked[id(x)] = Masked(*deal(x.world, x.ring, x.shape, name))
        weakref.finalize(x, _masked.pop, id(x), None)
        rows = x.rows
        while isinstance(rows, np.ndarray):     # the mask serves these numbers alone
            rows.flags.writeable = False
            rows = rows.base
    return known


def _open(world, **secrets):
    """The epsilon of each masked secret; one round opens those not open yet."""
    waiting = {name: x for name, x in secrets.items() if masked(x).epsilon is None}
    opened = world.open(**{name: x - masked(x).a for name, x in waiting.items()})
    for x, epsilon in zip(waiting.values(), opened, strict=True):
        _masked[id(x)] = masked(x)._replace(epsilon=epsilon)
    return [masked(x).epsilon for x in secrets.values()]
