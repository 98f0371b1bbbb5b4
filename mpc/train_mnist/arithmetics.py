"""The three arithmetics of the training program: floats, fixed point, and shares."""

from __future__ import annotations

import itertools
import math
from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

import mpc
import nn
from mpc.ring import Z2k
from mpc.train_mnist.options import common_options
from mpc.train_mnist.range_checks import weight_scale
from mpc.transport.mpi import MpiWorld

SEED_WORDS = 8          # ring elements that make the seed of hidden weights


class Float:
    """Plain float64 numbers, with which the others are compared."""

    world: mpc.World | None = None
    weight_scale = 1        # the scale of weights, relative to that of other numbers
    digits = 6              # significant decimals of a loss

    def __init__(self, options: Namespace, world: mpc.World | None = None):
        pass

    def generator(self, options: Namespace) -> np.random.Generator | None:
        """That of the initial weights; None where their owner does not live."""
        return np.random.default_rng(options.seed)

    def model(self, model: nn.Module) -> nn.Module:
        return model

    def batch(self, load: Callable, shape: tuple, parts: Sequence):
        """A batch; each of its `parts` is (owner, slice of items)."""
        return load(slice(parts[0][1].start, parts[-1][1].stop))

    def targets(self, labels):
        """The labels, as the loss of a training batch takes them."""
        return labels

    def reveal(self, value, name: str) -> np.ndarray:
        return np.asarray(value)

    def reveal_model(self, model: nn.Module) -> nn.Module:
        return model

    def predictions(self, output):
        """The largest output of each row as a one-hot row."""
        return np.eye(output.shape[-1])[output.argmax(-1)]


class Fixed(Float):
    """Fixed point in the clear, with the rounding of the shared arithmetic."""

    def __init__(self, options: Namespace, world: mpc.World | None = None):
        digits = options.precision_fractional
        self.format = {"precision_fractional": digits, "base": options.base,
                       "ring": Z2k(options.ring_bits)}
        self.digits = math.ceil(digits * math.log10(options.base))
        self.weight_scale = weight_scale(options)
        self.seeds = (          # every encoded value has its own rounding coins
            f"{options.seed}/{i}" if options.reproducible else None
            for i in itertools.count())

    def encode(self, numbers, weight_scale: int = 1) -> mpc.FixedPoint:
        return mpc.fix_precision(numbers, rounding_seed=next(self.seeds),
                                 weight_scale=weight_scale, **self.format)

    def model(self, model: nn.Module) -> nn.Module:
        """The parameters in fixed point: a bias has the scale of a layer's product."""
        return model.map(lambda p: self.encode(
            p, self.weight_scale if p.ndim > 1 else self.product_scale))

    def targets(self, labels):
        """At the scale of a layer's product, so that their difference has all digits.

        The loss and the error of an output are then quotients of one opening.
        """
        return labels.finer(self.product_scale)

    @property
    def product_scale(self) -> int:
        """The scale of a layer's product, relative to that of other numbers."""
        factor = self.world.matmul_factor if self.world else 1
        unit = self.encode(0).unit
        return 1 if self.weight_scale == 1 else self.weight_scale * unit * factor

    def batch(self, load: Callable, shape: tuple, parts: Sequence):
        return self.encode(super().batch(load, shape, parts))

    def reveal(self, value, name: str) -> np.ndarray:
        return value.get().float_precision()

    def reveal_model(self, model: nn.Module) -> nn.Module:
        return model.get().float_precision()

    def predictions(self, output):
        return output.argmax(-1, one_hot=True)


class Shared(Fixed):
    """Fixed point on secret shares, in the given World or in one of its own."""

    world: mpc.World

    def __init__(self, options: Namespace, world: mpc.World | None = None):
        super().__init__(options)
        self.world = world or make_world(options)
        self.format["ring"] = self.world.ring
        self.owner = self.world.server      # of the initial weights
        if options.initial_weights == "provider":
            self.owner = self.world.crypto_provider

    def _share(self, value, **owner):
        return value.share(
            *self.world.workers, crypto_provider=self.world.crypto_provider, **owner)

    def generator(self, options: Namespace) -> np.random.Generator | None:
        """The server's, from the public seed, or the provider's, from coins it deals.

        The provider adds up the shares of the coins that it deals. Each worker knows
        its share of them, which says nothing about the sum.
        """
        if self.owner is self.world.server:
            return super().generator(options) if self.world.has(self.owner) else None
        with self.world.ledger.offline():
            _, dealt = self.world.deal(
                self.world.ring, (SEED_WORDS,), "initial weights")
        seeds = np.asarray(self.world.ring.sum(dealt, axis=1))
        return next((np.random.default_rng(seed.tolist()) for seed in seeds), None)

    def model(self, model: nn.Module) -> nn.Module:
        with self.world.ledger.step("share model"):
            return super().model(model).map(partial(self._share, owner=self.owner))

    def batch(self, load: Callable, shape: tuple, parts: Sequence):
        """Each owner shares its part of the batch."""
        shared = []
        for owner, items in parts:
            own = self.world.private_input(
                self.world.workers[owner], (items.stop - items.start, *shape),
                lambda items=items: load(items))
            with self.world.ledger.step("share data"):
                shared.append(self._share(self.encode(own)))
        return mpc.concatenate(shared)

    def reveal(self, value, name: str) -> np.ndarray:
        with self.world.ledger.step(f"reveal {name}"):
            return super().reveal(value, name)

    def reveal_model(self, model: nn.Module) -> nn.Module:
        with self.world.ledger.step("reveal model"):
            return super().reveal_model(model)


def make_world(options: Namespace, **more) -> mpc.World:
    """The World of `options`: a simulation, or this process's role under MPI.

    With `keys`, a World of some roles in this process. `more` are arguments of a World.
    """
    settings = {"seed": options.seed if options.reproducible else None,
                "ring_bits": options.ring_bits, "comparison": options.comparison,
                "truncation": options.truncation, "security": options.security,
                "seals": options.seals, **more}
    if options.world == "mpi" and "keys" not in more:
        return MpiWorld(options.workers, public=common_options(options), **settings)
    return mpc.World(options.workers, checked=options.checked, **settings)


ARITHMETICS: dict[str, type[Float]] = {"shared": Shared, "fixed": Fixed, "float": Float}
