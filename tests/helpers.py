"""For every protocol test: one program, run in all the ways that must agree."""

import numpy as np

from mpc import FixedPoint, Local, Share, World, run_threads
from mpc.audit.replay import RecordedWorld
from mpc.audit.tags import TaggedWorld, strip
from mpc.share import RingArray


class Tagged(World, TaggedWorld):
    """Tags, and the ways of a program."""


class TaggedRecord(World, TaggedWorld, RecordedWorld):
    """A tagged simulation that can be replayed."""


def rows_of(value):
    """The plain rows (holders here, *shape) of any value of the package."""
    if isinstance(value, FixedPoint):
        value = value.value
    return strip(value.rows if isinstance(value, (RingArray, Local)) else value)


def reconstruct(share):
    """The ring elements behind a Share of a simulation: tests see all shares."""
    return share.ring.sum(rows_of(share), axis=0)


def give(world, values, ring=None, owner="server"):
    """Shares of public ring elements `values`, as their owner would deal them."""
    ring = world.ring if ring is None else ring
    values = np.asarray(values, ring.dtype)
    held = world.private_input(owner, values.shape, lambda: values, ring.dtype)
    return world.share(owner, given=(held.rows, ring))[0]


def common(world, values, dtype=np.uint64):
    """`values` as known to all workers and nobody else, (1 or 0, *shape)."""
    values = np.asarray(values, dtype)
    shape = (int(bool(world.workers_here)), *values.shape)
    rows = np.broadcast_to(values, shape).copy()
    return world._wrap(rows, "common")


def everywhere(program, n_workers=2, seed=7, **options):
    """``program(world)`` in a tagged simulation, by replay of each role, in threads.

    The program returns a dict of Shares, FixedPoints, Locals or held arrays. All must
    agree bit for bit, and so must all ledgers. Returns the World and the results of the
    simulation.
    """
    world = TaggedRecord(n_workers, seed=seed, **options)
    expected = program(world)
    world.finish()
    alone = {}
    for role in world.roles:
        replay = world.replay(role, kind=Tagged, **options)
        alone[role] = (program(replay), replay.ledger)
        replay.finish()             # with seals, what is open is checked

    def with_ledger(own):
        results = program(own)
        if own.seals:
            own.seals.check()
        return results, own.ledger

    threads = run_threads(with_ledger, n_workers, seed, kind=Tagged, **options)
    for results in (alone, threads):
        for role in world.roles:
            values, ledger = results[role]
            assert ledger.messages == world.ledger.messages, f"ledger of {role}"
            for name, value in values.items():
                assert_own_rows(world, role, name, rows_of(value), expected[name])
    return world, expected


def assert_own_rows(world, role, name, own, everybodys):
    """`own` is the part of `role` in a value of the simulation."""
    whole = rows_of(everybodys)
    workers = [str(w) for w in world.workers]
    if isinstance(everybodys, FixedPoint):
        everybodys = everybodys.value
    if isinstance(everybodys, Share):
        each = len(whole) // len(workers)       # a share, and those of its seals
        due = whole.reshape(len(workers), each, *whole.shape[1:])
        due = due[workers.index(role)] if role in workers else whole[:0]
    else:                               # common, or local to one role: all or nothing
        rows = everybodys.rows if isinstance(everybodys, Local) else everybodys
        holders = workers if rows.kind == "common" else [rows.kind.split()[-1]]
        due = whole if role in holders else whole[:0]
    assert own.dtype == whole.dtype and own.shape == due.shape, f"{name} at {role}"
    np.testing.assert_array_equal(own, due, err_msg=f"{name} at {role}")


def with_rows(world, rows, ring=None):
    """A Share with exactly these `rows`, one for each worker of a simulation."""
    ring = world.ring if ring is None else ring
    return Share(world, ring, world._wrap(np.asarray(rows, ring.dtype), "share"))


def every_sharing(world, values, ring=None):
    """A Share of `values` in every sharing by two workers: (len(values), modulus)."""
    ring = world.ring if ring is None else ring
    elements = np.arange(ring.modulus).astype(ring.dtype)
    values, first = np.meshgrid(np.asarray(values, ring.dtype), elements, indexing="ij")
    return with_rows(world, [first, ring.sub(values, first)], ring)


def under_every_mask(values, label, bits, n_workers=2):
    """A Share of signed `values`, (len(values), 2^bits): of each under every mask.

    `label` is that of the mask, whose shares sum to 0 in the first column, then to 1.
    """
    columns = np.arange(2**bits)
    masks = np.stack([columns * (j + 3) % 2**bits for j in range(n_workers)])
    masks[0] += columns - masks.sum(axis=0)
    coins = Injected({label: masks[:, None] % 2**bits})
    world = World(n_workers, seed=1, ring_bits=bits, comparison="carry-tree",
                  coins=coins)
    values = np.repeat(np.asarray(values)[:, None], 2**bits, axis=1)
    return give(world, world.ring.from_int(values))


class Injected:
    """``World(coins=Injected({label: values}))``: these coins; all others are drawn.

    `values` have a row for each key. `unused` has the labels not yet asked for.
    """

    def __init__(self, coins):
        self.coins, self.unused = coins, set(coins)

    def __call__(self, label, ring, shape):
        if label in self.coins:
            self.unused.discard(label)
            return np.broadcast_to(np.asarray(self.coins[label], ring.dtype), shape)
