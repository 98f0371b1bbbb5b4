"""The World: who takes part, who lives in this process, and the verbs that move data.

One program serves every role. A value that different parties hold in different versions
is one array whose FIRST axis runs over those of its holders that live in this process:

    kind                           array                     example
    public, known to every role    (*shape)                  a size, the learning rate
    shares, one for each worker    (workers_here, *shape)    a secret weight
    common to all workers          (1 or 0, *shape)          an opened masked value
    local to one role              (1 or 0, *shape)          the provider's masks

NumPy does almost no work on an array without rows, so every role runs the same straight
line of code and pays for its own part only. A simulation hosts all roles; a process of
its own hosts one worker with one row, or the crypto provider with none.

Two rules follow. No other code sums, picks or reverses along the first axis. No branch
depends on such a value; a public decision goes through `broadcast`. A counter advances
in every role at each draw and each round and travels with every message, so a role that
leaves the common program is stopped (`OutOfStep`).

Messages are passed by keyword: ``world.open(epsilon=x - a, delta=y - b)`` sends both in
one round under these names and returns a tuple. docs/GLOSSARY.md defines the terms.
"""

from __future__ import annotations

import operator
import os
import threading
from functools import reduce
from itertools import combinations

import numpy as np

from mpc.ledger import Ledger, check
from mpc.masks import Mask, Use, hiding, spend
from mpc.randomness import fresh_key, lesson_key, public_seed, stream
from mpc.ring import Ring, Z2k, is_integer
from mpc.seals import SEALS, SPARE, Cheated, Seals
from mpc.share import COMMON, SHARE, Local, Notes, Share, local, shown


class Role:
    """A party by its name, and the World it belongs to."""

    def __init__(self, world: World, name: str):
        self.world, self.name = world, name

    def __repr__(self):
        return self.name

    # a copied model computes with the same parties
    __copy__ = __deepcopy__ = lambda self, memo=None: self


class World:
    """All roles of a protocol, seen from one process.

    n_workers    two or more: alice and bob, then worker3, worker4 ...
    security     "semi-honest": all roles follow the protocol; or "abort": workers who
                 cheat are caught before any result leaves (`mpc.seals`)
    seals        how many seals a number has, each of `spare` bits: with "abort" only
    seed         makes every mask repeatable, and known to anyone who knows the seed; by
                 default, keys come from the operating system
    ring_bits    values are shared in Z_2^ring_bits: 64, or with seals 64 - spare. Up to
                 48 halve the floating-point products, and narrow the range
    comparison   "securenn", for two workers only and their default, or "carry-tree"
    truncation   "provider", without errors for values in range, or "local", without
                 messages and for two workers only
    checked      compares all fixed-point results with plain numbers; simulation only
    coins        ``coins(label, ring, shape)`` returns coins to use in place of drawn
                 ones, or None; `shape` starts with the number of keys; simulation only
    here, keys, link    the roles in this process, their keys, their link to the others

    A World belongs to the process and the thread that made it and cannot be copied: two
    copies would draw the same coins for different values.
    """

    def __init__(self, n_workers: int = 2, *, seed: int | None = None,
                 ring_bits: int | None = None, comparison: str | None = None,
                 truncation: str = "provider", checked: bool = False, coins=None,
                 security: str = "semi-honest", seals: int = SEALS, spare: int = SPARE,
                 here=None, keys=None, link=None):
        self.roles = names = role_names(n_workers)
        if security not in (None, "semi-honest", "abort"):
            raise ValueError(f"World: security={shown(security)}: take 'semi-honest' "
                             "or 'abort'")
        self.security = security or "semi-honest"
        abort = self.security == "abort"
        two = n_workers == 2 and not abort
        signs = ["securenn"] * two + ["carry-tree"]
        self.comparison = _chosen(comparison, signs, abort)
        self.truncation = _chosen(truncation, ["provider"] + ["local"] * two, abort)
        self.server, *workers, self.crypto_provider = (Role(self, n) for n in names)
        self.workers, self._workers = tuple(workers), names[1:-1]
        self._dealt = [group(w, names[-1]) for w in self._workers]
        self._splits = {owner: _split_of(owner, self._workers) for owner in names}
        self._local = {role: local(role) for role in names}
        self.here = names if here is None else tuple(here)
        self.workers_here = tuple(w for w in self._workers if w in self.here)
        self._places = [self._workers.index(w) for w in self.workers_here]
        self._row = dict.fromkeys(self._workers, slice(0)) | {      # of a share
            w: slice(i, i + 1) for i, w in enumerate(self.workers_here)}
        if checked and self.here != names:
            raise ValueError("World: checked=True needs all roles here; leave it out")
        self.checked, self.coins, self._link = bool(checked), coins, link
        if not is_integer(spare) or not is_integer(seals):
            raise ValueError(f"World: seals={shown(seals)}, spare={shown(spare)}; take "
                             "whole numbers")
        if not abort and (seals, spare) != (SEALS, SPARE):
            raise ValueError("World: seals and spare have no effect without "
                             "security='abort'; leave them out")
        spare = int(spare) * abort
        if abort and isinstance(ring_bits, int) and ring_bits > 64 - spare:
            raise ValueError(f"World: ring_bits={ring_bits} and spare={spare} do not "
                             f"fit one word; take ring_bits of up to {64 - spare}")
        self.ring = Z2k(64 - spare if ring_bits is None else ring_bits, spare)
        self.ledger, self.counter = Ledger(), 0
        self.seals = Seals(self, seals, spare) if abort else None
        keys = make_keys(names, seed) if keys is None else keys
        self._keys = {g: key for g, key in keys.items() if g & set(self.here)}
        self._home = os.getpid(), threading.get_ident()
        self._drawn = Notes()

    def __repr__(self):
        return (f"{type(self).__name__}({len(self.workers)} workers, {self.ring}, "
                f"{self.comparison}, {self.truncation} truncation)")

    def __getattr__(self, name: str) -> Role:
        """Workers by name: ``world.alice``."""
        for worker in self.__dict__.get("workers", ()):
            if worker.name == name:
                return worker
        raise AttributeError(f"{type(self).__name__} has no {name}; its workers are "
                             f"{', '.join(self.__dict__.get('_workers', ()))}")

    def __reduce_ex__(self, protocol):
        raise TypeError("a World is not copied or pickled: masks repeat; make another")

    @property
    def matmul_factor(self) -> int:
        """The k in the product k x @ y of two secret matrices (`mpc.beaver`)."""
        return 1 if self.seals else len(self.workers)

    def has(self, role: Role | str) -> bool:
        """Does `role` live in this process? For local effects such as printing."""
        return self._named(role) in self.here

    def one(self, ring: Ring, shape: tuple) -> np.ndarray:
        """Shares of 1 without a message, with as many axes as a value of this shape."""
        first = [ring.one * (w == self._workers[0]) for w in self.workers_here]
        rows = np.array(first, ring.dtype).reshape(-1, *(1,) * len(shape))
        rows = self.seals.one(ring, rows, shape) if self.seals else rows
        return self._wrap(rows, SHARE)

    def party_index(self, like: np.ndarray) -> np.ndarray:
        """The paper's j, (workers_here, 1, ..., 1): axes and dtype as in `like`."""
        index = np.array([*map(self._workers.index, self.workers_here)], like.dtype)
        return self._wrap(index.reshape(-1, *(1,) * (like.ndim - 1)), SHARE)

    # ------------------------------------------------------------------ coins

    def _draw(self, groups, ring, shape, name):
        """Fresh coins for each group: (1, *shape), or (0, *shape) without its key."""
        self._check_home()
        self._tick()
        label = self.ledger.label(name)
        given = self.coins and self.coins(label, ring, (len(groups), *shape))
        if given is not None:
            return list(given[:, None])
        label = f"{label} {ring.name}"
        return [ring.uniform(stream(self._keys[g], label, self.counter), (1, *shape))
                if g in self._keys else np.zeros((0, *shape), ring.dtype)
                for g in groups]

    def common_coins(self, ring: Ring, shape: tuple, name: str) -> np.ndarray:
        """Coins known to all workers and nobody else, (1 or 0, *shape). No message."""
        coins, = self._draw([group(*self._workers)], ring, shape, name)
        return self._remember(self._wrap(coins, COMMON), name)

    def private_coins(self, role: Role | str, ring: Ring, shape: tuple,
                      name: str) -> np.ndarray:
        """Coins that one worker or the provider draws alone, (role_here, *shape)."""
        role = self._named(role)
        coins, = self._draw([group(role)], ring, shape, name)
        return self._wrap(coins, self._local[role])

    def deal(self, ring: Ring, shape: tuple, name: str) -> tuple[Share, np.ndarray]:
        """A random secret: a Share, and its shares as the crypto provider knows them.

        Those have shape (provider_here, n_workers, *shape). No message: each worker
        derives its share from its key with the provider, which holds all these keys.
        With seals, the provider sends the last worker its share of them, offline.
        """
        dealer = self.roles[-1]
        rows, known = self._deal(ring, shape, name)
        mask = Mask(self.ledger.label(name), self.counter)
        if self.seals:
            with self.ledger.offline():
                seals = self.seals.attach(ring.sum(known, axis=1), ring)[:, 1:]
                more, = self._split(dealer, {f"seal of {name}": (seals, ring)})
            rows = np.concatenate([rows[:, None], more], axis=1)
        known = self._wrap(known, self._local[dealer])
        return self._share(ring, rows, {mask: Use(1)}), known

    def _deal(self, ring, shape, name):
        """The rows of a random number at the workers here, and all at the provider."""
        drawn = np.concatenate(self._draw(self._dealt, ring, shape, name))
        drawn.flags.writeable = False       # two holders may see one array
        if self.roles[-1] not in self.here:
            return drawn, np.zeros((0, len(self._workers), *shape), ring.dtype)
        own = drawn if len(self._places) == len(drawn) else drawn[self._places]
        return own, drawn[None]

    def zero_share(self, ring: Ring, shape: tuple, name: str) -> Share:
        """A fresh Share of zero, uniform to any coalition that leaves out two workers.

        No message: each pair of workers draws a coin; one adds it, the other
        subtracts it.
        """
        pairs = list(combinations(self._workers, 2))
        drawn = self._draw([group(*p) for p in pairs], ring, shape, name)
        rows = {w: np.zeros((int(w in self.here), *shape), ring.dtype)
                for w in self._workers}
        for (plus, minus), coins in zip(pairs, drawn, strict=True):
            rows[plus] = ring.add(rows[plus], coins)
            rows[minus] = ring.sub(rows[minus], coins)
        own = np.concatenate([*rows.values()])
        return self._remember(self._share(ring, own), name)

    # ------------------------------------------------------------------ verbs

    def private_input(self, role: Role | str, shape: tuple, load, dtype=float) -> Local:
        """Data of one `role`: `load()` runs where the role lives, and nowhere else.

        Returns a `Local` with rows (role_here, *shape). Rounds: 0.
        """
        self._check_home()
        role, rows = self._named(role), np.zeros((0, *shape), dtype)
        if self.has(role):
            rows = _exactly(load(), rows.shape[1:], rows.dtype, role)[None]
        return Local(role, self._wrap(rows, self._local[role]))

    def share(self, owner: Role | str, /, **values: tuple) -> tuple[Share, ...]:
        """Fresh shares of `owner`'s arrays, each given as name=(rows, ring).

        All workers but one derive their share from their key with the owner. The last
        worker, or the owner if it is a worker, gets the difference. Rounds: 1, or 0 if
        the owner is a worker. Bytes: one share of each value, to the last worker. With
        seals, 1 round and the size of each value to every worker.
        """
        owner, held = self._named(owner), {}
        kind, n = self._local[owner], int(owner in self.here)
        for name, (value, ring) in values.items():
            value = self._unwrap(value, kind)
            typed = isinstance(value, np.ndarray) and isinstance(ring, Ring)
            if not typed or value.shape[:1] != (n,) or value.dtype != ring.dtype:
                raise ValueError(f"share: {shown((value, ring))} came; pass a ring and "
                                 f"its elements ({n}, *shape), like private_input()")
            held[name] = value, ring
        if self.seals and owner != str(self.crypto_provider):
            return self.seals.input(owner, held)
        if self.seals:
            held = {name: (self.seals.attach(*pair), pair[1])
                    for name, pair in held.items()}
        return tuple([self._share(ring, rows) for (_, ring), rows in
                      zip(held.values(), self._split(owner, held), strict=True)])

    def _split(self, owner, held):
        """Shares of an owner's values, (workers_here, *shape) each."""
        last, place, groups = self._splits[owner]
        drawn = [self._draw(groups, ring, value.shape[1:], name)
                 for name, (value, ring) in held.items()]
        rest = self._exchange(
            [(owner, last, name, ring, reduce(ring.sub, rows, value))
             for rows, (name, (value, ring)) in zip(drawn, held.items(), strict=True)])
        return [self._rows_here([*rows[:place], row, *rows[place:]])
                for rows, row in zip(drawn, rest.values(), strict=True)]

    def open(self, /, **shares: Share) -> tuple[np.ndarray, ...]:
        """Reveal secrets to all workers: a tuple of common arrays (1 or 0, *shape).

        Rounds: 1. Bytes: each worker sends its share to every other worker.
        Raises `MaskReused` if a dealt mask in a share is used up or does not hide it; a
        share that never had a mask is opened without complaint (`mpc.masks`). With
        seals, an opened number may be wrong until the next check: a result leaves by
        `gather`.
        """
        if self.seals and self.seals.waiting > self.seals.limit:
            self.seals.check()
        opened = [reduce(ring.add, rows)
                  for ring, rows in self._collect(self._workers, shares)]
        if self.seals:
            for share, y in zip(shares.values(), opened, strict=True):
                self.seals.remember(self._unwrap(share.rows, SHARE), y, share.ring)
        return tuple([self._wrap(y, COMMON) for y in opened])

    def gather(self, role: Role | str, /, **shares: Share) -> tuple[np.ndarray, ...]:
        """Send all shares to one `role`: a tuple of (role_here, n_workers, *shape).

        Their sum over axis 1 is the secret. Rounds: 1. Bytes: a share from each worker.
        Raises `MaskReused` as `open` does. With seals, (role_here, 1, *shape) after a
        check, in 6 rounds.
        """
        role = self._named(role)
        if self.seals:
            rows = [value[:, None] for value in self.seals.output([role], shares)]
        else:
            rows = [np.stack(rows, axis=1) for _, rows in self._collect([role], shares)]
        return tuple(self._wrap(array, self._local[role]) for array in rows)

    def publish(self, /, **shares: Share) -> tuple[np.ndarray, ...]:
        """All roles learn the secrets: a tuple of (1, *shape). With seals only.

        Rounds: 6. No role has to believe another one, as it does in a broadcast.
        """
        if not self.seals:
            raise ValueError("publish: this World has no seals; gather the secrets at "
                             "a role, which broadcasts them")
        return tuple(self.seals.output([*self.roles], shares))

    def _collect(self, receivers, shares):
        """For each share: its ring, and all workers' rows, (receiver_here, *shape).

        All receivers get equal rows; these are those of a receiver here, if any.
        """
        self._check_home()
        messages, coins = [], []
        for name, share in shares.items():
            check("open or gather", (share,))
            rows = self.values_in(self._unwrap(share.rows, SHARE), share.ring)
            if share.world is not self or rows.shape[0] != len(self.workers_here):
                raise ValueError("no Share of this World's workers; share it here")
            messages += [(src, dst, name, share.ring, rows[self._row[src]])
                         for src in self._workers for dst in receivers]
            coins += hiding(share)
        spend(coins)
        received = self._exchange(messages)
        me, *_ = [r for r in receivers if r in self.here] or receivers
        return [(share.ring, [received[src, me, name] for src in self._workers])
                for name, share in shares.items()]

    def broadcast(self, role: Role | str, ints: list, n: int) -> list[int]:
        """`role` tells everybody `n` integers: the way from local data to a decision.

        `ints` matters only where the role lives. Rounds: 1. Bytes: 8 n to each other
        role. With seals, 2 rounds: the workers repeat it to all roles, which compare.
        """
        role, ring = self._named(role), Z2k(64)
        held = self.private_input(      # + 0 makes an integer of a bool
            role, (n,), lambda: [operator.index(i + 0) for i in ints], np.int64)
        value = ring.from_int(self._unwrap(held.rows, self._local[role]))
        received = self._exchange(
            [(role, other, "broadcast", ring, value) for other in self.roles])
        told = np.concatenate([*received.values()])
        if self.seals:
            self.seals.compare(told)
        return ring.to_int(told[0]).tolist()

    def finish(self) -> None:
        """End a program: raises `OutOfStep` if messages are left over."""
        self._check_home()
        if self.seals:
            self.seals.check()
        if self._link is not None:
            self._link.finish()

    # ------------------------------------------------------ underneath the verbs

    def _check_home(self):
        if self._home != (os.getpid(), threading.get_ident()):
            raise RuntimeError("World: another process or thread made it; both would "
                               "draw the same masks; make a World of its own here")

    def _tick(self):
        if self.seals and self.seals.void:
            raise Cheated("a worker cheated in this World; make another one")
        self.counter += 1

    def spend(self, *coins: np.ndarray | Share) -> None:
        """Enter into the mask ledger that these coins hide a value; only once each."""
        self._check_home()
        spend([mask for coin in coins if (mask := self._drawn[coin])])

    def _remember(self, coins, name):
        """Keep the mask of freshly drawn `coins` for `spend`, while the coins exist."""
        self._drawn[coins] = Mask(self.ledger.label(name), self.counter)
        return coins

    def _exchange(self, messages):
        """Carry one round of (src, dst, name, ring, rows (src_here, *shape)).

        Returns {(src, dst, name): rows (dst_here, *shape)}. A role's message to itself
        does not travel. All messages are sent before any is awaited, and sending never
        blocks, so no two roles can wait for each other.
        """
        sent = [message for message in messages if message[0] != message[1]]
        if sent:
            self._tick()
        self.ledger.add_round(self.counter, [
            (src, dst, name, ring.name, rows.shape[1:], ring.nbytes(rows.shape[1:]))
            for src, dst, name, ring, rows in sent])
        if self.here == self.roles:         # a simulation
            return {(src, dst, name): rows for src, dst, name, _, rows in messages}
        header = self._header(messages)
        for src, dst, _, ring, rows in sent:
            if src in self.here and dst not in self.here:
                self._link.put(src, dst, header, ring.pack(rows))
        return {(src, dst, name): rows if src in self.here and dst in self.here else
                self._receive(header, src, dst, ring, rows.shape[1:])
                for src, dst, name, ring, rows in messages}

    def _header(self, messages):
        """What travels with each message of a round: where the program is."""
        names = {name: None for _, _, name, *_ in messages}
        return self.counter, self.ledger.label(", ".join(names))

    def _receive(self, header, src, dst, ring, shape):
        if dst not in self.here:
            return np.zeros((0, *shape), ring.dtype)
        return self._link.receive(src, dst, header, ring, shape)[None]

    def _share(self, ring, own, masks=None):
        """A Share from the rows of the workers here."""
        if self.seals:              # (workers_here, 1 + seals, *shape)
            own = own.reshape(len(own) * own.shape[1], *own.shape[2:])
        return Share(self, ring, self._wrap(own, SHARE), masks)

    def _rows_of(self, own):
        """Each worker's row, (worker_here, *shape), from those of the workers here."""
        return [own[self._row[w]] for w in self._workers]

    def _rows_here(self, rows):
        """Those of an array for each worker that belong to workers in this process."""
        own = [r[:w in self.here] for w, r in zip(self._workers, rows, strict=True)]
        return np.concatenate(own)

    def values_in(self, rows: np.ndarray, ring: Ring) -> np.ndarray:
        """The rows (workers_here, *shape) of a share, without those of its seals."""
        return rows[::1 + self.seals.number(ring)] if self.seals else rows

    def _named(self, role) -> str:
        name = str(role) if isinstance(role, (str, Role)) else shown(role)
        if name not in self.roles:
            raise ValueError(f"{name}: no such role among {', '.join(self.roles)}")
        return name

    def _wrap(self, array, kind):
        """Applied to every array that a verb returns; `TaggedWorld` marks holders."""
        return array

    def _unwrap(self, array, kind):
        """Applied to every array that a verb takes; `TaggedWorld` checks holders."""
        return array


def _chosen(name, allowed, abort=False):
    """The protocol of this `name`; the first of those `allowed` is the default."""
    if name not in (None, *allowed):
        where = ("with security='abort': its messages cannot be sealed" if abort else
                 "for this number of workers")
        raise ValueError(f"World: {shown(name)} is not provided {where}; take "
                         f"{' or '.join(allowed)}")
    return name or allowed[0]


def _exactly(loaded, shape, dtype, role):
    """The array that `role` loaded; raises if `dtype` would change a value."""
    got = np.asarray(loaded)
    if got.dtype.kind in "biuf" and not np.ma.is_masked(loaded) and got.shape == shape:
        with np.errstate(invalid="ignore"):
            array = got.astype(dtype, copy=False)
            back = array.astype(got.dtype, copy=False)
        if all(np.array_equal(a, got, equal_nan=True) for a in (array, back)):
            return array
    kind = "masked " * np.ma.is_masked(loaded) + str(got.dtype)
    raise ValueError(f"private_input: {role} loaded {kind} {got.shape}, not exactly "
                     f"{dtype} {shape}; convert it or broadcast() its size")


def _split_of(owner, workers):
    """The worker that gets the rest of a split, its place, and the others' keys."""
    last = owner if owner in workers else workers[-1]
    return last, workers.index(last), [group(w, owner) for w in workers if w != last]


def group(*names: str) -> frozenset[str]:
    """The name of the key that these roles hold in common."""
    return frozenset(names)


def role_names(n_workers: int) -> tuple[str, ...]:
    """Server, workers, crypto provider: the order of ranks everywhere."""
    if not isinstance(n_workers, (int, np.integer)) or n_workers < 2:
        raise ValueError(f"World: {shown(n_workers)} workers; take 2 or more")
    workers = ["alice", "bob", *(f"worker{i}" for i in range(3, n_workers + 1))]
    return ("server", *workers, "crypto_provider")


def key_groups(names: tuple[str, ...]) -> list[frozenset[str]]:
    """Who has a key: all workers, pairs that share a stream, and each of these alone.

    The server draws no coins alone.
    """
    server, *workers, provider = names
    groups = [group(*workers), *(group(*p) for p in combinations(workers, 2)),
              *(group(w, owner) for w in workers for owner in (server, provider)),
              *map(group, workers), group(provider)]
    return list(dict.fromkeys(groups))          # two workers alone are a pair too


def make_keys(names: tuple[str, ...], seed: int | None = None) -> dict:
    """One key for each of the `key_groups`; a `seed` makes them repeatable."""
    seed = None if seed is None else public_seed(seed)
    return {g: fresh_key() if seed is None else lesson_key(seed, " ".join(sorted(g)))
            for g in key_groups(names)}
