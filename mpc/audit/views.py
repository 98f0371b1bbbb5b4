"""The exact view of each party in a protocol, on a ring small enough to enumerate.

A protocol hides a secret from a role if the role's *view* does not depend on it. The
view is everything the role holds at the end: the coins it knows, the messages it
received and its own output share. On a tiny ring every coin can be enumerated, so the
distribution of a view is a finite table, and privacy is an equation between tables,
without statistics and without a tolerance.

    experiment = Experiment(protocol, free=["a", "b"], bits=2)
    experiment.tells_apart("alice", [{"x": (1, 0)}, {"x": (1, 3)}])     # False

`protocol(world, **inputs)` is a short function: it builds its inputs with `world.given`
and `world.known` and calls the code under test. All coins run as one batch: element e
of every array belongs to assignment e of values to coins. Coins named in `free` (by the
end of their label) take every value. All others keep one value, which is itself a leak
unless the view does not depend on them: always run the experiment without a mutant
first. A mutant replaces a coin, never the code:

    Experiment(protocol, free=["a", "b"], mutants={"a": lambda v, coins: v * 0})

Choose the inputs with care. A worker knows its own input share, so this share is fixed,
and the table must be the same for all shares of the other workers. The crypto provider
must learn nothing: its table, which includes everything that it dealt, must be the same
for all inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod

import numpy as np

from mpc.ring import Bits, Ring, Zm, pack_bits, unpack_bits
from mpc.seals import Seals
from mpc.share import Share
from mpc.world import World

_TRIAL = 13     # elements of the run that only lists the coins of a protocol
_WORD = 2**62   # values that one word of a table can tell apart


class Coin:
    """One draw of a protocol: its label, its groups of holders, its possible values."""

    def __init__(self, label, groups, ring, shape, n):
        self.label, self.groups, self.ring = label, groups, ring
        self.count = 1              # the second draw of a label is label#2, and so on
        axis = _batch_axis(shape, n, ring)
        self.axis = 1 + axis
        self.digits = (len(groups), *shape[:axis], *shape[axis + 1:])
        low = 1 if isinstance(ring, Zm) and ring.nonzero else 0
        self.values = np.arange(low, _size(ring)).astype(ring.dtype)

    @property
    def name(self) -> str:
        return self.label + (f"#{self.count}" if self.count > 1 else "")

    def matches(self, end: str) -> bool:
        """Does this draw's label end in `end`? With #n: is it the n-th draw, too?"""
        return any(own == end or own.endswith("/" + end)
                   for own in (self.label, f"{self.label}#{self.count}"))


class Watched(World):
    """A simulation that records the view of every role, in order.

    `seen[role]` is a list of (label, array, ring): the coins from the role's keys, as
    (*shape), and the messages to it. Nothing else reaches a role, so an attack may use
    this list alone.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.seen = {role: [] for role in self.roles}

    def _draw(self, groups, ring, shape, name):
        coins = super()._draw(groups, ring, shape, name)
        for holders, rows in zip(groups, coins, strict=True):
            for role in self.roles:
                if role in holders:
                    self.see(role, rows, ring, self.ledger.label(name))
        return coins

    def _exchange(self, messages):
        received = super()._exchange(messages)
        for src, dst, name, ring, _ in messages:
            if src != dst:
                rows, label = received[src, dst, name], self.ledger.label(name)
                self.see(dst, rows, ring, label)
        return received

    def see(self, role: str, rows: np.ndarray, ring: Ring, label: str = "") -> None:
        """Record that `role` now holds `rows`, (1, *shape)."""
        self.seen[role].append((label, rows[0], ring))

    def saw(self, role: str, label: str) -> list[np.ndarray]:
        """The arrays that `role` saw under this label or one that ends in it."""
        return [array for own, array, _ in self.seen[role]
                if own == label or own.endswith("/" + label)]


class ViewWorld(Watched):
    """A watched simulation with given coins: element e belongs to assignment e.

    `given` has the values of each draw, in order, with the assignments on the last
    axis; None keeps every coin at its lowest value.
    """

    def __init__(self, n: int, given: list[np.ndarray] | None = None, **options):
        super().__init__(seed=0, coins=self._coins, **options)
        self.n, self._given = n, given
        self.drawn: list[Coin] = []
        if self.seals:
            self.seals = SealsOfEach(self, self.seals)

    def _draw(self, groups, ring, shape, name):
        coin = Coin(self.ledger.label(name), groups, ring, shape, self.n)
        coin.count += sum(c.label == coin.label for c in self.drawn)
        self.drawn.append(coin)
        return super()._draw(groups, ring, shape, name)

    def _coins(self, label, ring, shape):
        coin = self.drawn[-1]
        if self._given is None:
            values = np.broadcast_to(coin.values[0], (*coin.digits, self.n))
        else:
            values = self._given[len(self.drawn) - 1]
        if isinstance(ring, Bits):
            return pack_bits(values)
        return np.moveaxis(values, -1, coin.axis)

    def columns(self, role: str) -> list[tuple[np.ndarray, int]]:
        """Everything that `role` has seen: (n numbers, how many values they take)."""
        return [(column, _size(ring)) for _, array, ring in self.seen[role]
                for column in self._elements_last(array, ring).reshape(-1, self.n)]

    def _elements_last(self, array, ring):
        if isinstance(ring, Bits):
            return unpack_bits(array, self.n)
        return np.moveaxis(array, _batch_axis(array.shape, self.n, ring), -1)

    # ---- inputs of a protocol, the same for every element

    def given(self, rows, ring: Ring | None = None, axis: int = 0) -> Share:
        """A Share with one row for each worker, repeated along a new `axis`.

        Of `Bits`, give single ones; they are repeated and packed along a new last axis.
        """
        ring = self.ring if ring is None else ring
        if isinstance(ring, Bits):
            bits = np.array(rows, ring.dtype)[..., None]
            rows = pack_bits(np.repeat(bits, self.n, axis=-1))
        else:
            rows = self._repeat(np.array(rows, ring.dtype), axis)
        if not self.seals:
            return Share(self, ring, rows)
        secret = ring.sum(rows, axis=0)[None]
        with self.ledger.offline():
            dealt = {"seal of input": (self.seals.attach(secret, ring)[:, 1:], ring)}
            seals, = self._split(str(self.crypto_provider), dealt)
        return self._share(ring, np.concatenate([rows[:, None], seals], axis=1))

    def known(self, value, dtype=np.uint64, axis: int = 0) -> np.ndarray:
        """A common value of the workers, repeated along a new `axis`."""
        return self._repeat(np.array(value, dtype)[None], axis)

    def _repeat(self, rows, axis):
        return np.repeat(np.expand_dims(rows, axis + 1), self.n, axis=axis + 1)


class SealsOfEach(Seals):
    """Seals whose keys and coefficients are new for each element, as in its own World.

    They are coins, so they can be enumerated. `check` sends each element's sums, as
    those of a World with this one element, but no hashes, and stops nobody.
    """

    def __init__(self, world, seals: Seals):
        super().__init__(world, seals.number(world.ring), world.ring.spare)

    def _key(self, ring):
        if ring not in self._keys:
            shape = self.number(ring), _batch(ring, self.world.n)
            own, known = self.world._deal(ring, shape, "alpha")
            self._keys[ring] = own, ring.sum(known, axis=1)
        return self._keys[ring]

    def _beside(self, keys, shape, ring):
        if not shape:
            raise ValueError("views: a sealed number has one axis or more")
        axes = [1] * len(shape)
        axes[_batch_axis(shape, self.world.n, ring)] = keys.shape[2]
        return keys.reshape(*keys.shape[:2], *axes)

    def _promise(self, roles, pads):
        """No hash protects a pad."""
        return {}, {}

    def _keep_promise(self, name, pads, told, hashes):
        pass

    def check(self):
        """Each worker shows all others its sums of every element."""
        world, sums = self.world, {}
        with world.ledger.step("check"):
            for ring, n in self.counts.items():
                batch = _batch(ring, world.n)
                for rest in self._opened[ring]:
                    rest = rest.reshape(len(rest), n, -1, batch)
                    shape = n, rest.shape[2], batch
                    chi = world.common_coins(ring, shape, "chi")
                    part = ring.sum(ring.mul(rest, chi), axis=2)
                    sums[ring] = ring.add(sums.get(ring, 0 * part), part)
            world._exchange([(w, v, f"sigma over {ring}", ring, part[i:i + 1])
                             for ring, part in sums.items()
                             for i, w in enumerate(world._workers)
                             for v in world._workers])
        self._forget()
        return {ring: reduce(ring.add, part) for ring, part in sums.items()}


class Experiment:
    """A protocol on a tiny ring under all values of some coins, perhaps with a mutant.

    Parameters
    ----------
    protocol : callable
        ``protocol(world, **inputs)``; returns the Share or Shares that the workers
        keep, or None.
    free : list of str
        Labels, or ends of labels, of the coins that take every value.
    bits : int
        The World's ring is Z_2^bits.
    workers : int
    mutants : dict, optional
        {end of a label: f}; ``f(values, coins)`` replaces the values of that coin.
        `values` has shape (keys, *digits of one element, assignments), and coins[label]
        are the values of any other draw.
    fixed : dict, optional
        {end of a label: array of digits} for coins that keep these values instead of
        the lowest one.
    extra : dict, optional
        {name: size} of additional coins for mutants, as coins[name] in 0 .. size-1.
    **options
        Of the World.
    """

    kind = ViewWorld

    def __init__(self, protocol: Callable, free: list[str], bits: int = 2,
                 workers: int = 2, mutants: dict | None = None,
                 fixed: dict | None = None, extra: dict | None = None, **options):
        self.protocol, self.free = protocol, list(free)
        self.mutants, self.fixed = dict(mutants or {}), dict(fixed or {})
        self.extra = dict(extra or {})
        self.options: dict = {"ring_bits": bits, "n_workers": workers, **options}

    def coins(self, **inputs) -> list[Coin]:
        """The coins that the protocol draws, in order, from a run on a few elements."""
        world = self.kind(_TRIAL, **self.options)
        self.protocol(world, **inputs)
        return world.drawn

    def run(self, **inputs) -> tuple[ViewWorld, Share | tuple | None]:
        """Run all assignments of the free coins: the ViewWorld, and the result.

        The digits of an assignment's number, in a mixed radix, are the values of the
        extra coins and of each free element.
        """
        drawn = self.coins(**inputs)
        _all_named([*self.free, *self.mutants, *self.fixed], drawn)
        sizes = [*self.extra.values()]
        for coin in drawn:
            sizes += [len(coin.values)] * np.count_nonzero(self._free(coin))
        digits = _mixed_radix(sizes)
        by_name = {name: next(digits) for name in self.extra}
        for coin in drawn:
            values = self._constant(coin, prod(sizes))
            for place in zip(*np.nonzero(self._free(coin)), strict=True):
                values[place] = coin.values[next(digits)]
            by_name[coin.name] = values
        given = [self._mutated(coin, by_name) for coin in drawn]
        world = self.kind(prod(sizes), given, **self.options)
        return world, self.protocol(world, **inputs)

    def _free(self, coin):
        """Which of the coin's digits take every value?"""
        free = any(coin.matches(name) for name in self.free)
        return np.full(coin.digits, free)

    def _constant(self, coin, total):
        """The values of all digits that are not free, repeated for all assignments."""
        fixed = (v for end, v in self.fixed.items() if coin.matches(end))
        value = np.asarray(next(fixed, coin.values[0]), coin.ring.dtype)
        value = np.broadcast_to(value, coin.digits)
        return np.repeat(value[..., None], total, axis=-1)

    def _mutated(self, coin, by_name):
        values = by_name[coin.name]
        for end, mutant in self.mutants.items():
            if coin.matches(end):
                changed = np.broadcast_to(mutant(values, by_name), values.shape)
                values = changed.astype(values.dtype)
        return values

    def tables(self, roles: list, **inputs) -> dict:
        """{role: its table}; a role may be a tuple of colluding roles."""
        world, outputs = self.run(**inputs)
        for share in outputs if isinstance(outputs, tuple) else (outputs,):
            if share is not None:
                each = len(share.rows) // len(world.workers_here)
                for i, row in enumerate(share.rows):
                    worker = world.workers_here[i // each]
                    world.see(worker, row[None], share.ring, "output")
        return {role: _table(world, role) for role in roles}

    def tells_apart(self, role: str | tuple, cases: list[dict]) -> bool:
        """Can `role` tell any two `cases` (dicts of inputs) apart? Do tables differ?"""
        tables = (self.tables([role], **case)[role] for case in cases)
        first = next(tables)
        return any(not np.array_equal(first, other) for other in tables)

    def distance(self, role: str | tuple, cases: list[dict]) -> float:
        """The largest total variation between the tables of the first case and another.

        0.0 if `role` learns nothing, 1.0 if it can always tell two cases apart.
        """
        tables = [self.tables([role], **case)[role] for case in cases]
        return max((total_variation(tables[0], t) for t in tables[1:]), default=0.0)


def total_variation(one: np.ndarray, two: np.ndarray) -> float:
    """Half the sum of |differences| of two tables' probabilities, between 0 and 1."""
    if one.shape == two.shape and np.array_equal(one, two):
        return 0.0
    rows = np.concatenate([one, two], axis=0)
    _, where = np.unique(rows, axis=0, return_inverse=True)
    where = where.reshape(-1)
    a = np.bincount(where[:len(one)], minlength=where.max() + 1) / len(one)
    b = np.bincount(where[len(one):], minlength=where.max() + 1) / len(two)
    return float(np.abs(a - b).sum() / 2)


def _table(world, role):
    """The sorted views of `role`, one row for each assignment: a multiset."""
    roles = role if isinstance(role, tuple) else (role,)
    words, room = [np.zeros(world.n, np.int64)], _WORD
    for r in roles:
        for column, radix in world.columns(r):      # pack them into few words
            if room < radix:
                words.append(np.zeros(world.n, np.int64))
                room = _WORD
            words[-1] = words[-1] * radix + column.astype(np.int64)
            room //= radix
    if len(words) == 1:
        return np.sort(words[0])[:, None]
    return np.stack(words)[:, np.lexsort(words[::-1])].T


def _mixed_radix(sizes):
    """The digits of the numbers 0, 1, 2, ... below the product of the `sizes`."""
    rest = np.arange(prod(sizes))
    for size in sizes:
        yield rest % size
        rest = rest // size


def _size(ring):
    """How many values one element can take."""
    return 2 if isinstance(ring, Bits) else ring.order


def _batch(ring, n):
    """How long the axis of n elements is."""
    return -(-n // 8) if isinstance(ring, Bits) else n


def _batch_axis(shape, n, ring):
    """The axis that runs over n elements; for packed bits the last, in bytes."""
    axes = [i for i, m in enumerate(shape) if m == n]
    if isinstance(ring, Bits):
        axes = [len(shape) - 1] if shape and shape[-1] == _batch(ring, n) else []
    if len(axes) != 1:
        raise ValueError(f"views: shape {tuple(shape)} needs exactly one axis of {n} "
                         "elements; shape the inputs by world.given and world.known")
    return axes[0]


def _all_named(names, drawn):
    for name in names:
        if not any(coin.matches(name) for coin in drawn):
            raise ValueError(f"views: the protocol draws no coin {name!r}; take one of "
                             f"{', '.join(coin.label for coin in drawn)}")
