"""What each party sees: exact tables of a protocol step's views, on a ring small enough to count.

A step is private towards a role if that role's *view* does not depend on what it must not learn.
The view is all it holds at the end: the coins it knows, the messages it received, its own output
share. On a tiny ring every coin can be enumerated, so the distribution of a view is a finite table,
and privacy is an equation between tables: no statistics, no tolerance.

    experiment = Experiment(step, free=["a", "b"], bits=2)
    experiment.tells_apart("alice", [dict(x=(1, 0)), dict(x=(1, 3))])     # False: she cannot

`step(world, **inputs)` is a few lines that build their inputs with `world.given` and `world.known`
and call the protocol's own function. All coins run as one batch: element e of every array belongs
to coin assignment number e. Coins named in `free` (by the end of their label) take every value;
all others stand still at one value, which is itself a leak unless nothing in the view depends on
them: always run the experiment without a mutant first. A mutant replaces a coin, never the code:

    Experiment(step, free=["a", "b"], mutants={"a": lambda v, coins: v * 0})

Which inputs to compare matters as much as the table. A worker's own input share is fixed, and the
table must be the same for all shares of the others. The crypto provider is entitled to nothing: its
table must be the same for all inputs, with everything that it dealt as a column.
"""

from math import prod

import numpy as np

from mpc.ring import Bits, Zm, pack_bits, unpack_bits
from mpc.share import Share
from mpc.world import World

_TRIAL = 13     # elements of the run that only asks which coins a step draws


class Coin:
    """One draw of a step: its label, who knows it, and the digits of one element of it."""

    def __init__(self, label, groups, ring, shape, n):
        self.label, self.groups, self.ring = label, groups, ring
        self.count = 1              # the second draw of a label is label#2, and so on
        axis = _batch_axis(shape, n, ring)
        self.axis = 1 + axis
        self.digits = (len(groups), *shape[:axis], *shape[axis + 1:])
        low = 1 if isinstance(ring, Zm) and ring.nonzero else 0
        self.values = np.arange(low, _size(ring)).astype(ring.dtype)

    @property
    def name(self):
        return self.label + (f"#{self.count}" if self.count > 1 else "")

    def matches(self, end):
        """Does `end` name this draw: its label, or the end of it; with #n only the n-th draw?"""
        return any(own == end or own.endswith("/" + end)
                   for own in (self.label, f"{self.label}#{self.count}"))


class Watched(World):
    """A simulation that writes down what every role gets to know, in order.

    `seen[role]` is a list of (label, array, ring): the coins from the role's keys, (*shape), and
    the messages to it. Nothing else reaches a role: an attack may start from this list alone.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.seen = {role: [] for role in self.roles}

    def _draw(self, groups, ring, shape, name):
        coins = super()._draw(groups, ring, shape, name)
        for holders, row in zip(groups, coins):
            for role in self.roles:
                if role in holders:
                    self.see(role, row, ring, self.ledger.label(name))
        return coins

    def _exchange(self, messages):
        received = super()._exchange(messages)
        for (src, dst, label, ring, _), rows in zip(messages, received):
            if src != dst:
                self.see(dst, rows, ring, self.ledger.label(label))
        return received

    def see(self, role, rows, ring, label=""):
        """Write down that `role` comes to hold `rows`, (1, *shape)."""
        self.seen[role].append((label, rows[0], ring))

    def saw(self, role, label):
        """What `role` got to know under this label, or end of one: a list of arrays."""
        return [array for own, array, _ in self.seen[role]
                if own == label or own.endswith("/" + label)]


class ViewWorld(Watched):
    """A watched simulation whose coins are given: element e belongs to coin assignment number e."""

    def __init__(self, n, given=None, **options):
        super().__init__(seed=0, coins=self._coins, **options)
        self.n, self._given, self.drawn = n, given, []

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
        return pack_bits(values) if isinstance(ring, Bits) else np.moveaxis(values, -1, coin.axis)

    def columns(self, role):
        """All that `role` has seen as (row of n numbers, how many values it can take)."""
        return [(row, _size(ring)) for _, array, ring in self.seen[role]
                for row in self._elements_last(array, ring).reshape(-1, self.n)]

    def _elements_last(self, array, ring):
        axis = _batch_axis(array.shape, self.n, ring)
        if isinstance(ring, Bits):
            return unpack_bits(array, self.n)
        return np.moveaxis(array, axis, -1)

    # ---- inputs of a step, the same for every element

    def given(self, rows, ring=None, axis=0):
        """A Share with these `rows`, one for each worker, repeated along a new `axis`."""
        ring = self.ring if ring is None else ring
        return Share(self, ring, self._repeat(np.array(rows, ring.dtype), axis))

    def known(self, value, dtype=np.uint64, axis=0):
        """A common value of the workers, repeated along a new `axis`."""
        return self._repeat(np.array(value, dtype)[None], axis)

    def _repeat(self, rows, axis):
        return np.repeat(np.expand_dims(rows, axis + 1), self.n, axis=axis + 1)


class Experiment:
    """A step on a tiny ring, with some coins enumerated and perhaps one of them broken.

    Parameters
    ----------
    step : callable
        ``step(world, **inputs)``; returns the Share or Shares that the workers keep, or None.
    free : list of str
        Labels, or ends of labels, of the coins that take every value.
    bits : int
        The World's ring is Z_2^bits.
    workers : int
    mutants : dict, optional
        {end of a label: f}, with ``f(values, coins)`` in place of the coin's values. `values` is
        (keys, *digits of one element, assignments); coins[label] are those of every other draw.
    fixed : dict, optional
        {end of a label: array of digits} for coins that stand still elsewhere than at their lowest.
    extra : dict, optional
        {name: size} of further coins that only mutants use, as coins[name] in 0 .. size-1.
    """

    def __init__(self, step, free, bits=2, workers=2, mutants=None, fixed=None, extra=None):
        self.step, self.free, self.mutants = step, list(free), dict(mutants or {})
        self.fixed, self.extra = dict(fixed or {}), dict(extra or {})
        self.options = dict(ring_bits=bits, n_workers=workers)

    def coins(self, **inputs):
        """The coins that the step draws, in order: asked by a run on a few elements."""
        world = ViewWorld(_TRIAL, **self.options)
        self.step(world, **inputs)
        return world.drawn

    def run(self, **inputs):
        """One run over all assignments of the free coins: the ViewWorld, and what came out."""
        drawn = self.coins(**inputs)
        _all_named([*self.free, *self.mutants, *self.fixed], drawn)
        free = [any(coin.matches(name) for name in self.free) for coin in drawn]
        total = prod(len(c.values) ** prod(c.digits) for c, is_free in zip(drawn, free) if is_free)
        total *= prod(self.extra.values())
        number, stride, by_name = np.arange(total), 1, {}
        for name, size in self.extra.items():
            by_name[name] = number // stride % size
            stride *= size
        for coin, is_free in zip(drawn, free):
            if is_free:
                size, digits = len(coin.values), np.arange(prod(coin.digits)).reshape(coin.digits)
                index = number // (stride * size ** digits[..., None]) % size
                stride *= size ** digits.size
                by_name[coin.name] = coin.values[index]
            else:
                still = next((v for k, v in self.fixed.items() if coin.matches(k)), coin.values[0])
                still = np.broadcast_to(np.asarray(still, coin.ring.dtype), coin.digits)
                by_name[coin.name] = np.repeat(still[..., None], total, axis=-1)
        given = [self._mutated(coin, by_name) for coin in drawn]
        world = ViewWorld(total, given, **self.options)
        return world, self.step(world, **inputs)

    def _mutated(self, coin, by_name):
        values = by_name[coin.name]
        for name, mutant in self.mutants.items():
            if coin.matches(name):
                values = np.broadcast_to(mutant(values, by_name), values.shape).astype(values.dtype)
        return values

    def tables(self, roles, **inputs):
        """{role: its table}; a role may be a tuple of colluding roles."""
        world, outputs = self.run(**inputs)
        for share in outputs if isinstance(outputs, tuple) else (outputs,):
            if share is not None:
                for i, worker in enumerate(world.workers_here):
                    world.see(worker, share.rows[i:i + 1], share.ring, "output")
        return {role: _table(world, role) for role in roles}

    def tells_apart(self, role, cases):
        """Can `role` tell any two of the `cases` (dicts of inputs) apart: does any table differ?"""
        first, *others = cases
        reference = self.tables([role], **first)[role]
        return not all(np.array_equal(reference, self.tables([role], **case)[role])
                       for case in others)

    def distance(self, role, cases):
        """How well `role` can tell the `cases` apart: the largest total variation of two tables.

        Exactly 0.0 if all tables are the same multiset, which is what privacy means.
        """
        tables = [self.tables([role], **case)[role] for case in cases]
        return max((total_variation(tables[0], t) for t in tables[1:]), default=0.0)


def total_variation(one, two):
    """Half the sum of |difference| of two tables' probabilities: 0 the same, 1 disjoint."""
    if one.shape == two.shape and np.array_equal(one, two):
        return 0.0
    rows = np.concatenate([one, two], axis=0)
    _, where = np.unique(rows, axis=0, return_inverse=True)
    where = where.reshape(-1)
    a = np.bincount(where[:len(one)], minlength=where.max() + 1) / len(one)
    b = np.bincount(where[len(one):], minlength=where.max() + 1) / len(two)
    return float(np.abs(a - b).sum() / 2)


def _table(world, role):
    """All that `role` has seen, a row for each assignment of the coins, sorted: a multiset."""
    roles = role if isinstance(role, tuple) else (role,)
    columns = [column for r in roles for column in world.columns(r)]
    words, room = [np.zeros(world.n, np.int64)], 2**62
    for row, radix in columns:                  # as few words as the columns' radices allow
        if room < radix:
            words.append(np.zeros(world.n, np.int64))
            room = 2**62
        words[-1] = words[-1] * radix + row.astype(np.int64)
        room //= radix
    if len(words) == 1:
        return np.sort(words[0])[:, None]
    return np.stack(words)[:, np.lexsort(words[::-1])].T


def _size(ring):
    """How many values one element can take."""
    return 2 if isinstance(ring, Bits) else ring.modulus


def _batch_axis(shape, n, ring):
    """The axis of `shape` that runs over n elements: the last, of bytes, where bits are packed."""
    axes = [i for i, m in enumerate(shape) if m == n]
    if isinstance(ring, Bits):
        axes = [len(shape) - 1] if shape and shape[-1] == -(-n // 8) else []
    if len(axes) != 1:
        raise ValueError(f"views: shape {tuple(shape)} has no single axis of {n} elements; every "
                         "held array needs one, and no other axis of that length")
    return axes[0]


def _all_named(names, drawn):
    for name in names:
        if not any(coin.matches(name) for coin in drawn):
            raise ValueError(f"views: the step draws no coin {name!r}; it draws "
                             f"{', '.join(coin.label for coin in drawn)}")
