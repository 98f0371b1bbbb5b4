"""The World of a program: with one line for the numbers of an owner.

A result leaves it by `FixedPoint.reveal`.
"""

from __future__ import annotations

import numpy as np

from mpc import world
from mpc.array_functions import concatenate
from mpc.encoding import real_array
from mpc.fixed_point import FixedPoint, fix_precision
from mpc.world import Role

MOST_AXES = 8       # an owner announces so many sizes, whatever its data


class World(world.World):
    __doc__ = world.World.__doc__       # the same, and one verb more

    def secret(self, numbers, owner: Role | str | None = None, *, axis: int = 0,
               precision: int = 3, base: int = 10) -> FixedPoint:
        """The numbers of an `owner`, shared: a `FixedPoint`.

        They matter only where the owner lives; a function is called there. The owner
        announces their shape to everybody. A dict {owner: numbers} joins those of
        several owners: their rows, or their columns with axis=1. Rounds: 1, and 1 more
        for an owner who is no worker; with seals 3.
        """
        if isinstance(numbers, dict):
            if not numbers:
                raise ValueError("secret: no owner; give one or more")
            return concatenate([self.secret(part, role, precision=precision, base=base)
                                for role, part in numbers.items()], axis)
        if owner is None:
            raise ValueError(f"secret: no owner; name one of {', '.join(self.roles)}")
        role, array = self._named(owner), np.zeros(0)
        if self.has(role):
            array = real_array(numbers() if callable(numbers) else numbers)
        sizes = [array.ndim, *array.shape, *(0,) * MOST_AXES][:1 + MOST_AXES]
        ndim, *shape = self.broadcast(role, sizes, 1 + MOST_AXES)
        held = self.private_input(role, tuple(shape[:ndim]), lambda: array, array.dtype)
        return fix_precision(held, precision, base, self.ring).share(
            *self.workers, crypto_provider=self.crypto_provider)
