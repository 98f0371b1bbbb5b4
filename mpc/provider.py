"""The crypto provider (the simulated dealer): correlated randomness for products.

The provider knows every mask in the clear and must therefore see nothing that they hide; it is
neither the server nor a receiver of openings. It sends one correction for each product; everything
else comes from keys that it has with each worker.
"""

import functools

import numpy as np

from mpc.share import reversed_axes


class Masked:
    """A secret x under a dealt mask a, kept with its Share so that x is opened once only.

    The workers know epsilon = x - a. Every product of the same, unchanged x may use it again with
    another partner, since nothing new is shown; another value needs another mask.

    Attributes
    ----------
    a : Share
        The mask.
    apart : private to the provider, (provider_here, n_workers, *shape)
        The rows of the mask, which the provider knows.
    epsilon : common (1, *shape), or None until it is opened
    """

    def __init__(self, a, apart, epsilon=None):
        self.a, self.apart, self.epsilon = a, apart, epsilon

    @functools.cached_property
    def clear(self):
        """The mask as the provider knows it, (provider_here, *shape)."""
        return frozen(self.a.ring.sum(self.apart, axis=1))

    @property
    def T(self):
        turned = Masked(self.a.T, reversed_axes(self.apart, 2), reversed_axes(self.epsilon))
        if "clear" in vars(self):
            turned.clear = reversed_axes(self.clear)
        return turned


def mask(x, name, kind="masked"):
    """A mask for the secret `x`: the one that it is kept under, or a freshly dealt one.

    `kind` "doubled" is another mask beside it, for `beaver.matmul_in_three`.
    """
    if getattr(x, kind) is None:
        a, apart = x.world.dealt(x.ring, x.shape, name)
        frozen(x.rows), frozen(a.rows)          # what is kept under a mask stays what it is
        setattr(x, kind, Masked(a, apart))
    return getattr(x, kind)


def frozen(array):
    """`array`, to which nobody writes any more, nor to the arrays that it is a view of."""
    owner = array
    while isinstance(owner, np.ndarray):
        owner.flags.writeable = False
        owner = owner.base
    return array


def correct(world, ring, c_clear):
    """Shares of the product of two masks, which the provider knows: the one message it sends."""
    with world.ledger.offline():
        return world.share(world.crypto_provider, (c_clear, ring), name="c")
