"""The three arithmetics that a network can be trained in: floats, fixed point, and shares."""

import itertools
import math

import numpy as np

import data
import mpc
from mpc.ring import Z2k
from mpc.train_mnist.options import public, weight_scale
from mpc.transport.mpi import MpiWorld


class Float:
    """Plain float64 numbers: what the others are measured against."""

    world = None
    weight_scale = 1       # times that a weight is finer than another number
    digits = 6      # decimals of a loss that are worth printing

    def __init__(self, options, world=None):
        pass

    def model(self, model):
        return model

    def batch(self, load, shape, parts):
        return load(slice(parts[0][1].start, parts[-1][1].stop))

    def reveal(self, value, what):
        return np.asarray(value)

    def reveal_model(self, model):
        return model

    def place(self, output):
        """The largest output of each row as a one-hot row."""
        return np.eye(output.shape[-1])[output.argmax(-1)]


class Fixed(Float):
    """Fixed point in the clear, with the rounding of the shared arithmetic."""

    def __init__(self, options, world=None):
        self.format = {"precision_fractional": options.precision_fractional, "base": options.base,
                       "ring": Z2k(options.ring_bits)}
        self.digits = math.ceil(options.precision_fractional * math.log10(options.base))
        self.seeds = (f"{options.seed}/{i}" if options.reproducible else None
                      for i in itertools.count())     # coins of its own for every value encoded

    def encode(self, numbers, weight_scale=1):
        return mpc.fix_precision(numbers, rounding_seed=next(self.seeds), weight_scale=weight_scale,
                                 **self.format)

    def model(self, model):
        """Fixed-point parameters; the weights as much finer as their updates want them."""
        return model.map(lambda p: self.encode(p, self.weight_scale if p.ndim > 1 else 1))

    def batch(self, load, shape, parts):
        return self.encode(super().batch(load, shape, parts))

    def reveal(self, value, what):
        return value.get().float_precision()

    def reveal_model(self, model):
        return model.get().float_precision()

    def place(self, output):
        return output.argmax(-1, one_hot=True)


def make_world(options):
    """The World that `options` ask for: a simulation, or this process's role under MPI."""
    how = {"seed": options.seed if options.reproducible else None, "ring_bits": options.ring_bits,
           "comparison": options.comparison, "truncation": options.truncation,
           "products": options.products}
    if options.world == "mpi":
        return MpiWorld(options.workers, public=public(options), **how)
    return mpc.World(options.workers, checked=options.checked, **how)


class Shared(Fixed):
    """Fixed point on secret shares, in a World of its own or in the one that is given."""

    def __init__(self, options, world=None):
        super().__init__(options)
        self.world = world or make_world(options)
        self.weight_scale = weight_scale(options)

    def _share(self, value, **owner):
        return value.share(*self.world.workers, crypto_provider=self.world.crypto_provider, **owner)

    def model(self, model):
        with self.world.ledger.step("share model"):
            return super().model(model).map(self._share)

    def batch(self, load, shape, parts):
        """Each owner shares its part of a batch.

        In this teaching command every owner reads the same file and takes its own part of it.
        """
        shared = []
        for owner, items in parts:
            held = self.world.private_input(self.world.workers[owner], (items.stop - items.start, *shape),
                                   lambda items=items: load(items))
            with self.world.ledger.step("share data"):
                shared.append(self._share(self.encode(held)))
        return mpc.concatenate(shared)

    def reveal(self, value, what):
        with self.world.ledger.step(f"reveal {what}"):
            return super().reveal(value, what)

    def reveal_model(self, model):
        with self.world.ledger.step("reveal model"):
            return super().reveal_model(model)


ARITHMETICS = {"shared": Shared, "fixed": Fixed, "float": Float}


