"""The World: who takes part, who lives in this process, and the only verbs that move data.

One program serves every role. A value that different parties hold in different versions
is one array whose FIRST axis runs over those of its holders that live in this process:

    kind                            array                       example
    public, known to every role     (*shape)                    a size, the learning rate
    shares, one for each worker     (workers_here, *shape)      a secret weight
    common to all workers           (1 or 0, *shape)            an opened masked value
    local to one role               (1 or 0, *shape)            the crypto provider's masks

NumPy does almost no work on an array without rows, so every role runs the same straight
line of code and pays for its own part only. A simulation hosts all roles; a process of
its own hosts one worker with one row, or the crypto provider with none.

Two rules follow. The first axis belongs to the World: no other code sums, picks or
reverses along it. And no branch depends on such a value; a public decision goes through
`broadcast`. A counter advances in every role at each draw and each verb and travels with
every message, so a role that leaves the common program is stopped (`OutOfStep`).

Messages are passed by keyword: ``world.open(epsilon=x - a, delta=y - b)`` sends both in
one round under these names and returns a tuple. docs/GLOSSARY.md defines the terms.
"""

import operator
import os
import threading
import weakref
from functools import reduce
from itertools import combinations

import numpy as np

from mpc.ledger import Ledger
from mpc.masks import Mask, Use, hiding, spend
from mpc.randomness import fresh_key, lesson_key, public_seed, stream
from mpc.ring import Ring, Z2k
from mpc.share import Local, Share, shown

SHARE, COMMON = "share", "common"       # kinds of value; the third is `local(role)`


class Role:
    """A party by its name, and the World it belongs to."""

    def __init__(self, world, name):
        self.world, self.name = world, name

    def __repr__(self):
        return self.name

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self             # a copied model computes with the same parties


class World:
    """All roles of a protocol, seen from one process.

    Parameters
    ----------
    n_workers : int
        Two or more: alice and bob, then worker3, worker4 ...
    seed : int, optional
        Makes every mask repeatable, for lessons and tests: anyone who knows it knows all
        masks. Without it the keys come from the operating system.
    ring_bits : int
        Shares of values live in Z_2^ring_bits.
    comparison : {"securenn", "carry-tree"}, optional
        The protocol for signs (`mpc.comparison`). SecureNN works for two workers only and
        is their default; the carry tree is the default for more.
    truncation : {"provider", "local"}
        How products are scaled down (`mpc.truncation`). The provider's help never fails
        for a value in range; local truncation takes no message and two workers.
    products : {"beaver", "three"}, optional
        How two workers compute large matrix products (`mpc.beaver`): Beaver's way, or
        with three local products in place of five.
    checked : bool
        Compares every fixed-point operation with the same one on plain numbers
        (`mpc.audit.checked`): for lessons and for testing programs; simulation only.
    coins : callable, optional
        ``coins(label, ring, shape)`` returns coins to use in place of drawn ones, or
        None; `shape` starts with the number of keys. For tests; simulation only.
    here, keys, link
        The names of the roles in this process, their keys, and the link to the others;
        set by `run_threads` and the like.

    A World belongs to the process and the thread that made it and cannot be copied: two
    copies would draw the same coins for different values.
    """

    def __init__(self, n_workers=2, *, seed=None, ring_bits=64, comparison=None,
                 truncation="provider", products="beaver", checked=False, coins=None,
                 here=None, keys=None, link=None):
        names = role_names(n_workers)
        self.comparison = _choice(
            "comparison", comparison, ("securenn", "carry-tree"), n_workers)
        self.truncation = _choice(
            "truncation", truncation or "provider", ("local", "provider"), n_workers)
        self.products = _choice("products", products, ("three", "beaver"), n_workers)
        self.server, *workers, self.crypto_provider = (Role(self, n) for n in names)
        self.roles, self.workers = names, tuple(workers)
        self.here = names if here is None else tuple(here)
        if checked and self.here != names:
            raise ValueError("World: checked=True compares shares with plain numbers, which "
                             "needs all roles in one process; leave it out here")
        self.checked = bool(checked)
        self.ring, self.ledger = Z2k(ring_bits), Ledger()
        self.coins, self.counter = coins, 0
        self._home, self._drawn, self._link = _here(), {}, link
        keys = make_keys(names, seed) if keys is None else keys
        self._keys = {g: key for g, key in keys.items() if g & set(self.here)}
        self._workers = names[1:-1]
        self.workers_here = tuple(name for name in self._workers if name in self.here)

    def __repr__(self):
        here = "" if self.here == self.roles else f", here: {', '.join(self.here)}"
        return (f"{type(self).__name__}({len(self.workers)} workers, {self.ring}, "
                f"{self.comparison}, {self.truncation} truncation{here})")

    def __reduce_ex__(self, protocol):
        raise TypeError("a World is not copied or pickled: two would draw the same masks for "
                        "different values; pass this one on, or make another and share anew")

    def has(self, role):
        """Does `role` live in this process? For local effects: printing, reading, saving."""
        return self._named(role) in self.here

    def party_index(self, like):
        """The paper's j: the indices of the workers here, (workers_here, 1, ..., 1).

        With the dtype and the number of axes of `like`, an array of shares.
        """
        index = [self._workers.index(name) for name in self.workers_here]
        column = np.array(index, like.dtype).reshape(-1, *(1,) * (like.ndim - 1))
        return self._wrap(column, SHARE)

    # ------------------------------------------------------------------ coins

    def _draw(self, groups, ring, shape, name):
        """Fresh coins of `shape` for each group's key; None where the key is not here."""
        self._tick()
        label = self.ledger.label(name)
        if self.coins is not None:
            given = self.coins(label, ring, (len(groups), *shape))
            if given is not None:
                return list(given)
        return [ring.uniform(stream(self._keys[g], f"{label} {ring}", self.counter), shape)
                if g in self._keys else None for g in groups]

    def common_coins(self, ring, shape, name):
        """Coins known to all workers and to nobody else, (1 or 0, *shape). No message."""
        coins, = self._draw([group(*self._workers)], ring, shape, name)
        coins = self._one(coins, ring, shape, bool(self.workers_here))
        return self._known(self._wrap(coins, COMMON), name)

    def deal(self, ring, shape, name):
        """A random secret: a Share, and its shares as the crypto provider knows them.

        No message: each worker derives its share from its key with the provider, and the
        provider holds all those keys. The provider's array is (provider_here, n_workers,
        *shape); its sum over axis 1 is the secret.
        """
        dealer = str(self.crypto_provider)
        rows = self._draw([group(w, dealer) for w in self._workers], ring, shape, name)
        share = self._share(ring, rows, shape)
        share.masks = {self._mask(name): Use(1)}
        dealer_rows = None
        if self.has(dealer):
            together = self.workers_here == self._workers       # then one array serves both
            dealer_rows = self._unwrap(share.rows, SHARE) if together else np.stack(rows)
        dealer_rows = self._one(dealer_rows, ring, (len(rows), *shape), self.has(dealer))
        return share, self._wrap(dealer_rows, local(dealer))

    def zero_share(self, ring, shape, name):
        """A fresh Share of zero, to make other shares independent of their past.

        No message: each pair of workers draws a coin; one adds it, the other subtracts it.
        Uniform to any coalition that leaves two workers out.
        """
        pairs = list(combinations(self._workers, 2))
        coins = dict(zip(pairs, self._draw([group(*p) for p in pairs], ring, shape, name)))

        def row(w):
            own = [coins[p] if p[0] == w else ring.neg(coins[p]) for p in pairs if w in p]
            return ring.sum(np.stack(own), axis=0)

        rows = [row(w) if w in self.here else None for w in self._workers]
        return self._known(self._share(ring, rows, shape), name)

    # ------------------------------------------------------------------ verbs

    def private_input(self, role, shape, load, dtype=np.float64):
        """Data of one `role`: `load()` runs where the role lives, and nowhere else.

        Returns a `Local` with rows (role_here, *shape). Rounds: 0.
        """
        role = self._named(role)
        if not all(isinstance(n, (int, np.integer)) for n in shape):
            raise TypeError("private_input: a shape is public integers; broadcast() the size "
                            "first")
        shape = tuple(map(int, shape))
        if not self.has(role):
            return Local(role, self._wrap(np.zeros((0, *shape), dtype), local(role)))
        array = _exactly(load(), np.dtype(dtype), role)
        if array.shape != shape:
            raise ValueError(f"private_input: {role} loaded shape {array.shape} where all "
                             f"roles expect {shape}; broadcast() the size first")
        return Local(role, self._wrap(array[None], local(role)))

    def share(self, owner, **values):
        """Fresh shares of `owner`'s arrays, each given as name=(rows, ring); a tuple.

        All workers but one derive their share from their key with the owner. The last
        worker, or the owner if it is a worker, gets the difference. Rounds: 1, or 0 when
        the owner is a worker. Bytes: one share of each value, to the last worker.
        """
        owner = self._named(owner)
        last = owner if owner in self._workers else self._workers[-1]
        others = [w for w in self._workers if w != last]
        masks, messages = [], []
        for name, (value, ring) in values.items():
            rest = self._owned(value, owner, ring)
            shape, groups = rest.shape[1:], [group(w, owner) for w in others]
            masks.append(self._draw(groups, ring, shape, name))
            if self.has(owner):
                rest = reduce(ring.sub, masks[-1], rest)
            messages.append((owner, last, name, ring, rest))
        if last != owner:
            rests = self._exchange(messages)
        else:
            rests = [rest for *_, rest in messages]
        shares = []
        for (*_, ring, _), drawn, rest in zip(messages, masks, rests):
            rows = dict(zip(others, drawn)) | {last: rest[0] if len(rest) else None}
            rows = [rows[w] for w in self._workers]
            shares.append(self._share(ring, rows, rest.shape[1:]))
        return tuple(shares)

    def open(self, **shares):
        """Reveal secrets to all workers: a tuple of common arrays (1 or 0, *shape).

        Rounds: 1. Bytes: each worker sends its share to every other worker.
        Raises `MaskReused` unless fresh dealt coins hide the secrets (`mpc.masks`).
        """
        me = (self.workers_here or self._workers)[0]
        return tuple(
            self._wrap(reduce(share.ring.add, rows[me]), COMMON)
            for share, rows in zip(shares.values(), self._collect(self._workers, shares)))

    def gather(self, role, **shares):
        """Send all shares to one `role`: a tuple of arrays (role_here, n_workers, *shape).

        Their sum over axis 1 is the secret. Rounds: 1. Bytes: one share from each worker.
        Raises `MaskReused` as `open` does.
        """
        role = self._named(role)
        return tuple(self._wrap(np.stack(rows[role], axis=1), local(role))
                     for rows in self._collect([role], shares))

    def _collect(self, receivers, shares):
        """{receiver: the rows (receiver_here, *shape) of all workers}, for each share."""
        rows = {name: self._rows(share) for name, share in shares.items()}
        spend([mask for share in shares.values() for mask in hiding(share)])
        messages = [(src, dst, name, shares[name].ring, self._row_of(src, rows[name]))
                    for name in shares for src in self._workers for dst in receivers]
        sent = [message for message in messages if message[0] != message[1]]
        arrived = iter(self._exchange(sent))
        collected = {name: {dst: [] for dst in receivers} for name in shares}
        for src, dst, name, _, own in messages:
            collected[name][dst].append(own if src == dst else next(arrived))
        return collected.values()

    def broadcast(self, role, ints, n, name="broadcast"):
        """`role` tells everybody `n` plain integers: a list of ints, public from now on.

        `ints` matters only where the role lives. The one way from local data to a public
        decision. Rounds: 1. Bytes: 8 n to each other role.
        """
        role, ring = self._named(role), Z2k(64)
        value = np.zeros((0, n), np.uint64)
        if self.has(role):
            value = ring.from_int(np.array([_integers(ints, role)], np.int64))
        if value.shape[1:] != (n,):
            raise ValueError(f"broadcast: {role} has {value.shape[1]} integers where all "
                             f"expect {n}")
        others = [r for r in self.roles if r != role]
        received = self._exchange([(role, r, name, ring, value) for r in others])
        known = next(rows for rows in (value, *received) if len(rows))
        return [int(i) for i in ring.to_int(known)[0]]

    def finish(self):
        """End a program: raises `OutOfStep` if messages are left over.

        Does nothing in a simulation, so one program ends alike in every World.
        """
        if self._link is not None:
            self._link.finish()

    # ------------------------------------------------------------------ underneath the verbs

    def _tick(self):
        if self._home != _here():
            raise RuntimeError("World: another process or thread made it, and both would draw "
                               "the same masks for different values; make a World of its own "
                               "here")
        self.counter += 1

    def spend(self, *values):
        """Enter into the mask ledger that these coins of this World now hide a value.

        For protocols that take their coins as arguments. Raises on a second use.
        """
        drawn = (self._drawn.get(id(value), (None, None)) for value in values)
        spend([mask for value, (known, mask) in zip(values, drawn)
               if known is not None and known() is value])

    def _known(self, value, name):
        """Enter freshly drawn coins into the mask ledger."""
        key = id(value)
        known = weakref.ref(value, lambda _: self._drawn.pop(key, None))
        self._drawn[key] = known, self._mask(name)
        return value

    def _mask(self, name):
        return Mask(self.ledger.label(name), self.counter)

    def _exchange(self, messages):
        """Carry one round of (src, dst, name, ring, rows (src_here, *shape)).

        Returns the received rows. All messages are sent before any is awaited, and
        sending never blocks, so no two roles can wait for each other.
        """
        self._tick()
        self.ledger.add_round(self.counter, [
            (src, dst, name, str(ring), rows.shape[1:], ring.nbytes(rows.shape[1:]))
            for src, dst, name, ring, rows in messages])
        names = ", ".join(dict.fromkeys(name for _, _, name, *_ in messages))
        header = (self.counter, self.ledger.label(names))
        for src, dst, _, ring, rows in messages:
            if src in self.here and dst not in self.here:
                self._link.put(src, dst, header, ring.pack(rows))
        return [self._receive(src, dst, ring, rows, header)
                for src, dst, _, ring, rows in messages]

    def _receive(self, src, dst, ring, rows, header):
        shape = rows.shape[1:]
        if dst not in self.here:
            return np.zeros((0, *shape), ring.dtype)
        if src in self.here:
            return rows
        return self._link.receive(src, dst, header, ring, shape)[None]

    def _share(self, ring, rows, shape):
        """A Share from rows in the order of the workers, None for workers elsewhere."""
        here = [row for w, row in zip(self._workers, rows) if w in self.here]
        rows = np.stack(here) if here else np.zeros((0, *shape), ring.dtype)
        return Share(self, ring, self._wrap(rows, SHARE))

    def _rows(self, share):
        if not isinstance(share, Share):
            raise TypeError(f"expected a Share, got a {type(share).__name__}; pass .value of a "
                            "FixedPoint")
        if share.world is not self:
            raise ValueError("this Share belongs to another World with other workers; share "
                             "the value in this one")
        rows = self._unwrap(share.rows, SHARE)
        if len(rows) != len(self.workers_here):
            raise ValueError(f"expected {len(self.workers_here)} rows, one for each worker "
                             f"here, got {len(rows)}: a common value is not a Share")
        return rows

    def _owned(self, value, owner, ring):
        if not isinstance(ring, Ring) or not isinstance(value, np.ndarray):
            raise TypeError(f"share: expected (array, ring), got ({type(value).__name__}, "
                            f"{type(ring).__name__}); pass the .rows of private_input()")
        rows = self._unwrap(value, local(owner))
        if rows.shape[:1] != (self.has(owner),) or rows.dtype != ring.dtype:
            raise ValueError(f"share: {rows.dtype} {rows.shape} does not hold {owner}'s "
                             f"elements of {ring}; pass ({int(self.has(owner))}, *shape) of "
                             f"{ring.dtype}, as private_input() makes it")
        return rows

    def _row_of(self, worker, rows):
        """The row of `worker` as (worker_here, *shape)."""
        if worker not in self.workers_here:
            return rows[:0]
        i = self.workers_here.index(worker)
        return rows[i:i + 1]

    def _one(self, array, ring, shape, here):
        return array[None] if here else np.zeros((0, *shape), ring.dtype)

    def _named(self, role):
        name = str(role) if isinstance(role, (str, Role)) else shown(role)
        if name not in self.roles:
            raise ValueError(f"{name} is not a role of this World; take one of "
                             f"{', '.join(self.roles)}")
        return name

    def _wrap(self, array, kind):
        """Called with every array that leaves a verb; `TaggedWorld` marks its holders."""
        return array

    def _unwrap(self, array, kind):
        """Called with every array that enters a verb; `TaggedWorld` checks its holders."""
        return array


def _here():
    """The process and the thread that run this line."""
    return os.getpid(), threading.get_ident()


def _choice(what, chosen, options, n_workers):
    """One of two protocols for `what`; the first works for two workers only."""
    if chosen is None:
        return options[n_workers > 2]
    if not isinstance(chosen, str) or chosen not in options:
        raise ValueError(f"World: {what} {shown(chosen)} is not provided; take "
                         f"{' or '.join(options)}")
    if chosen == options[0] and n_workers > 2:
        raise ValueError(f"World: {what} {chosen!r} is a protocol of two workers and wrong for "
                         f"{n_workers}; take {options[1]!r}")
    return chosen


def _exactly(loaded, dtype, role):
    """The array that `role` loaded, as `dtype`; raises where that would change a value."""
    try:
        found = np.asarray(loaded)
    except ValueError:                              # lists of different lengths
        found = np.array(None)
    fits = found.dtype.kind in "biuf" and not np.ma.is_masked(loaded)
    if fits and (found.dtype.itemsize == 8 or not np.can_cast(found.dtype, dtype)):
        with np.errstate(invalid="ignore"):
            there = found.astype(dtype, copy=False)
            back = there.astype(found.dtype, copy=False)
        fits = np.array_equal(back, found, equal_nan=True) and np.array_equal(
            there < 0, found < 0)
    if not fits:
        raise ValueError(f"private_input: {role} loaded {found.dtype} of shape {found.shape}, "
                         f"which is not exactly an array of {dtype}; convert it first")
    return found.astype(dtype, copy=False)


def _integers(ints, role):
    """The integers that `role` broadcasts, of 64 bits each."""
    try:
        found = [int(i) if isinstance(i, (bool, np.bool_)) else operator.index(i)
                 for i in ints]
    except TypeError:
        raise TypeError(f"broadcast: {role} has something other than a list of integers; "
                        "round numbers first") from None
    if not all(-2**63 <= i < 2**63 for i in found):
        raise ValueError(f"broadcast: {role} has an integer that does not fit 64 bits; send it "
                         "in two parts")
    return found


def local(role):
    """The kind of a value that only `role` holds."""
    return f"local to {role}"


def group(*names):
    """The name of the key that these roles hold in common."""
    return frozenset(names)


def role_names(n_workers):
    """Server, workers, crypto provider: the order of ranks everywhere."""
    if not isinstance(n_workers, (int, np.integer)):
        raise ValueError(f"World: {shown(n_workers)} is no number of workers; take an integer, "
                         "2 or more")
    if n_workers < 2:
        raise ValueError(f"World: {n_workers} worker(s) cannot share a secret; take 2 or more")
    workers = ["alice", "bob", *(f"worker{i}" for i in range(3, n_workers + 1))]
    return ("server", *workers, "crypto_provider")


def key_groups(names):
    """Who has a common key: each pair of roles that share a stream, and all workers."""
    server, *workers, provider = names
    groups = [group(*workers), *(group(*p) for p in combinations(workers, 2)),
              *(group(w, owner) for w in workers for owner in (server, provider))]
    return list(dict.fromkeys(groups))          # two workers alone are a pair too


def make_keys(names, seed=None):
    """One key for each of the `key_groups`; a `seed` makes them repeatable."""
    seed = None if seed is None else public_seed(seed)
    return {g: fresh_key() if seed is None else lesson_key(seed, " ".join(sorted(g)))
            for g in key_groups(names)}
