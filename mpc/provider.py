"""The crypto provider (the simulated dealer): correlated randomness for products.

The provider knows every mask in the clear and must therefore see nothing that they hide; it is
neither the server nor a receiver of openings. It sends one correction for each product; everything
else comes from keys that it has with each worker.
"""

from typing import NamedTuple

import numpy as np

from mpc.share import Share


class Masked(NamedTuple):
    """A secret x under a dealt mask a, kept with its Share so that x is opened once only.

    The workers know epsilon = x - a. Every product of the same, unchanged x may use it again with
    another partner, since nothing new is shown; another value needs another mask.
    """

    a: Share                # the mask, whose rows the provider knows
    apart: np.ndarray       # these rows, (provider_here, n_workers, *shape)
    epsilon: np.ndarray     # common, (1 or 0, *shape); None until it is opened

    @property
    def clear(self):
        """The mask as the provider knows it, (provider_here, *shape)."""
        return self.a.ring.sum(self.apart, axis=1)

    @property
    def T(self):
        return Masked(self.a.T, np.swapaxes(self.apart, -1, -2), np.swapaxes(self.epsilon, -1, -2))


def mask(x, name, kind="masked"):
    """A mask for the secret `x`: the one that it is kept under, or a freshly dealt one.

    `kind` "doubled" is another mask beside it, for `beaver.matmul_in_three`.
    """
    if getattr(x, kind) is None:
        _freeze(x.rows)                         # what is kept under a mask stays what it is
        setattr(x, kind, Masked(*x.world.dealt(x.ring, x.shape, name), None))
    return getattr(x, kind)


def _freeze(array):
    """No more writing to `array`, nor to the arrays that it is a view of."""
    while isinstance(array, np.ndarray):
        array.flags.writeable = False
        array = array.base


def correct(world, ring, c_clear):
    """Shares of the product of two masks, which the provider knows: the one message it sends."""
    with world.ledger.offline():
        return world.share(world.crypto_provider, (c_clear, ring), name="c")
