"""The World: who takes part, who lives in this process, and the only verbs that move data.

One program serves every role. A value that several parties hold in different versions is one array
whose FIRST axis runs over those of its holders that live here:

    kind                              array                            example
    public, known to every role       (*shape)                         a size, the learning rate
    share, a row for each worker      (workers_here, *shape)           a secret weight
    common, known to all workers      (1 or 0, *shape)                 an opened masked value
    private to one role               (1 or 0, *shape)                 the provider's masks

NumPy does next to nothing on an array without rows, so every role runs the same straight line and
pays for its own part only. In the simulation all roles live here; in a process of its own a worker
has one row and the crypto provider none. Two rules follow. The first axis of a held array belongs
to the World: nobody else sums, picks or reverses along it. And no branch depends on a held value;
a decision goes through `announce`. A counter ticks in every role at every draw and verb and travels
with every message, so that a role which strays is stopped (`OutOfStep`).

Words. A *coin* is a random number drawn for one purpose; a *mask* is a coin that hides a value, as
a in x - a. *Dealt* coins are shared among the workers and known to the crypto provider, *common*
ones are known to all workers and to nobody else. To *open* a share is to show it to all workers. A
*step* is one function of the protocol, with its name in the ledger. What is sent *offline* depends
on nobody's input and could be sent a day ahead.
"""

import operator
import os
import threading
import weakref
from itertools import combinations

import numpy as np

from mpc import tags
from mpc.ledger import Ledger
from mpc.link import OutOfStep, PeerFailed, Playback, ProtocolError, Queues, Tape
from mpc.masks import Mask, Use, hiding, spend
from mpc.randomness import fresh_key, lesson_key, public_seed, stream
from mpc.ring import Ring, Z2k
from mpc.share import Private, Share, shown


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
        Makes every mask repeatable, for lessons and tests: whoever knows it knows all masks.
        Without it the keys come from the operating system. Equal integers of any type give equal
        keys.
    ring_bits : int
        Shares of values live in Z_2^ring_bits.
    comparison : {"securenn", "carry-tree"}, optional
        How signs are found (`mpc.comparison`): SecureNN by default for two workers, and for two
        only; the carry tree for more.
    truncation : {"provider", "local"}
        How products are scaled down (`mpc.truncation`): with the provider's help by default, which
        never fails for a value in range; locally, for two workers only, without a message.
    products : {"beaver", "three"}, optional
        How large matrix products of two workers are computed (`mpc.beaver`): Beaver's way by
        default, or with three local products where it takes five.
    checked : bool
        Every operation on fixed-point numbers is compared with the same one on plain numbers
        (`mpc.checked`): for lessons, and for testing a program; simulation only.
    tagged : bool
        Held arrays know their holders and refuse to mix (`mpc.tags`); for tests.
    record : bool
        Keep every message, so that `replay` can run one role by itself; simulation only.
    coins : callable, optional
        ``coins(label, ring, shape)`` may return coins to use in place of drawn ones, or None. For
        tests that enumerate them; simulation only. `shape` starts with the number of keys.
    here, keys, link
        The names of the roles that live here, their keys, and the way to the others; set by
        `replay`, `run_threads` and the like.

    A World belongs to the process and the thread that made it, and there is no copy of it: two of
    them would draw the same coins for different values.
    """

    def __init__(self, n_workers=2, *, seed=None, ring_bits=64, comparison=None,
                 truncation="provider", products="beaver", checked=False, tagged=False,
                 record=False, coins=None, here=None, keys=None, link=None):
        names = role_names(n_workers)
        self.comparison = _choice("comparison", comparison, ("securenn", "carry-tree"), n_workers)
        self.truncation = _choice("truncation", truncation or "provider", ("local", "provider"),
                                  n_workers)
        self.products = _choice("products", products, ("three", "beaver"), n_workers)
        self.server, *workers, self.crypto_provider = (Role(self, name) for name in names)
        self.roles, self.workers = names, tuple(workers)
        self.here = names if here is None else tuple(here)
        if checked and self.here != names:
            raise ValueError("World: checked=True compares shares with plain numbers, which only a "
                             "simulation of all roles in one process can; leave it out here")
        self.checked = bool(checked)
        self.ring, self.ledger = Z2k(ring_bits), Ledger()
        self.tagged, self.coins, self.counter = tagged, coins, 0
        self._home, self._drawn = _here(), {}
        self._link = Tape() if record else link
        keys = make_keys(names, seed) if keys is None else keys
        self._keys = {group: key for group, key in keys.items() if group & set(self.here)}
        self._workers = names[1:-1]
        self.workers_here = tuple(name for name in self._workers if name in self.here)

    def __repr__(self):
        here = "" if self.here == self.roles else f", here: {', '.join(self.here)}"
        return (f"World({len(self.workers)} workers, {self.ring}, {self.comparison}, "
                f"{self.truncation} truncation{here})")

    def __reduce_ex__(self, protocol):
        raise TypeError("a World is not copied or pickled: two would draw the same masks for "
                        "different values; pass this one on, or make another and share anew")

    def has(self, role):
        """Does `role` live in this process? For local effects only: printing, reading, saving."""
        return self._named(role) in self.here

    def j(self, like):
        """The indices of the workers here, a column (workers_here, 1, ..., 1), in ndim and dtype
        those of `like`, rows of a share."""
        index = np.array([self._workers.index(name) for name in self.workers_here], like.dtype)
        return self._tag(index.reshape(-1, *(1,) * (like.ndim - 1)), tags.SHARE)

    # ------------------------------------------------------------------ coins

    def _draw(self, groups, ring, shape, name):
        """Fresh coins of `shape`, one array for each group's key; None for a key not held here."""
        self._tick()
        label = self.ledger.label(name)
        if self.coins is not None:
            given = self.coins(label, ring, (len(groups), *shape))
            if given is not None:
                return list(given)
        return [ring.uniform(stream(self._keys[group], f"{label} {ring}", self.counter), shape)
                if group in self._keys else None for group in groups]

    def common(self, ring, shape, name):
        """Randomness common to the workers and unknown to everybody else, (1 or 0, *shape).

        No message: the workers have a key of their own.
        """
        coins, = self._draw([group(*self._workers)], ring, shape, name)
        coins = self._tag(self._one(coins, ring, shape, bool(self.workers_here)), tags.COMMON)
        return self._known(coins, name)

    def dealt(self, ring, shape, name):
        """A random secret that nobody chose: a Share, and its rows at the crypto provider, apart.

        No message: each worker derives its row from its key with the provider, and the provider
        holds all those keys: rows (provider_here, n_workers, *shape), whose sum over axis 1 is the
        secret.
        """
        dealer = str(self.crypto_provider)
        rows = self._draw([group(w, dealer) for w in self._workers], ring, shape, name)
        share = self._share(ring, rows, shape)
        share.masks = {self._mask(name): Use(1)}
        apart = None
        if self.has(dealer):
            together = self.workers_here == self._workers       # then one array serves both
            apart = tags.strip(share.rows) if together else np.stack(rows)
        apart = self._one(apart, ring, (len(rows), *shape), self.has(dealer))
        return share, self._tag(apart, private(dealer))

    def zero_share(self, ring, shape, name):
        """A fresh Share of zero: what a worker adds so that its row tells nothing of its past.

        No message: each pair of workers draws a coin, which one adds and the other subtracts. Still
        uniform to any coalition that leaves two workers out.
        """
        pairs = list(combinations(self._workers, 2))
        coins = dict(zip(pairs, self._draw([group(*p) for p in pairs], ring, shape, name)))

        def row(w):
            parts = [coins[p] if p[0] == w else ring.neg(coins[p]) for p in pairs if w in p]
            return parts[0] if len(parts) == 1 else ring.sum(np.stack(parts), axis=0)

        rows = [row(w) if w in self.here else None for w in self._workers]
        return self._known(self._share(ring, rows, shape), name)

    # ------------------------------------------------------------------ verbs

    def held(self, role, shape, load, dtype=np.float64):
        """What one `role` has of its own: `load()` runs where it lives, and nowhere else.

        Returns a `Private` with rows (role_here, *shape). Rounds: 0.
        """
        role = self._named(role)
        if not all(isinstance(n, (int, np.integer)) for n in shape):
            raise TypeError("held: a shape is public integers; announce() the size first")
        shape = tuple(map(int, shape))
        if not self.has(role):
            return Private(role, self._tag(np.zeros((0, *shape), dtype), private(role)))
        array = _exactly(load(), np.dtype(dtype), role)
        if array.shape != shape:
            raise ValueError(f"held: {role} loaded shape {array.shape} where all roles expect "
                             f"{shape}; announce() the size first")
        return Private(role, self._tag(array[None], private(role)))

    def share(self, owner, *values, name):
        """Fresh shares of what `owner` holds: a Share for each (array (owner_here, *shape), ring).

        All workers but one derive their row from their key with the owner; the last worker (or the
        owner itself, if it is a worker) has what remains. Rounds: 1, or 0 when the owner is a
        worker. Bytes: one row of each value, from the owner to the last worker.
        """
        owner = self._named(owner)
        last = owner if owner in self._workers else self._workers[-1]
        others = [w for w in self._workers if w != last]
        names = _names(name, len(values))
        masks, rests = [], []
        for (value, ring), label in zip(values, names):
            value = self._owned(value, owner, ring)
            drawn = self._draw([group(w, owner) for w in others], ring, value.shape[1:], label)
            rest = value
            if self.has(owner):
                for mask in drawn:
                    rest = ring.sub(rest, mask)
            masks.append(drawn)
            rests.append(rest)
        if last != owner:
            rests = self._exchange(name, [(owner, last, label, ring, rest) for label, (_, ring),
                                          rest in zip(names, values, rests)])
        shares = []
        for (_, ring), drawn, rest in zip(values, masks, rests):
            rows = dict(zip(others, drawn))
            rows[last] = rest[0] if self.has(last) else None
            shares.append(self._share(ring, [rows[w] for w in self._workers], rest.shape[1:]))
        return shares[0] if len(shares) == 1 else tuple(shares)

    def open(self, *shares, name):
        """Every worker learns the secrets: common arrays (1 or 0, *shape).

        Rounds: 1. Bytes: each worker sends its row of each share to every other worker.
        Raises `MaskReused` when the dealt coins in one of them do not hide it (`mpc.masks`).
        """
        rows, names = [self._rows(s) for s in shares], _names(name, len(shares))
        spend([mask for s in shares for mask in hiding(s)])
        sent = [(src, dst, label, s.ring, self._row_of(src, r))
                for label, s, r in zip(names, shares, rows)
                for src in self._workers for dst in self._workers if src != dst]
        received = iter(self._exchange(name, sent))
        opened = []
        for s, r in zip(shares, rows):
            messages = {(src, dst): next(received) for src in self._workers
                        for dst in self._workers if src != dst}
            if not self.workers_here:
                opened.append(np.zeros((0, *s.shape), s.ring.dtype))
                continue
            me = self.workers_here[0]
            total = self._row_of(me, r)
            for w in self._workers:
                if w != me:
                    total = s.ring.add(total, messages[w, me])
            opened.append(total)
        opened = tuple(self._tag(o, tags.COMMON) for o in opened)
        return opened[0] if len(opened) == 1 else opened

    def gather(self, role, *shares, name):
        """One role gets every worker's row, apart: arrays (role_here, n_workers, *shape).

        Their sum over axis 1 is the secret. Rounds: 1. Bytes: one row from each worker.
        """
        role, rows = self._named(role), [self._rows(s) for s in shares]
        names = _names(name, len(shares))
        spend([mask for s in shares for mask in hiding(s)])
        sent = [(w, role, label, s.ring, self._row_of(w, r))
                for label, s, r in zip(names, shares, rows) for w in self._workers]
        received = self._exchange(name, [m for m in sent if m[0] != role])
        arrived = iter(received)
        own = [rows if w == role else next(arrived) for w, *_, rows in sent]
        n, gathered = len(self._workers), []
        for i in range(len(shares)):
            rows = own[n * i:n * (i + 1)]
            gathered.append(self._tag(np.stack(rows, axis=1), private(role)))
        return gathered[0] if len(gathered) == 1 else tuple(gathered)

    def announce(self, role, ints, n, name="announce"):
        """`role` tells everybody `n` plain integers: a list of ints, public from now on.

        `ints` matters where the role lives only. The one way from a held value to a decision.
        Rounds: 1. Bytes: 8 n to each other role.
        """
        role, ring = self._named(role), Z2k(64)
        value = np.zeros((0, n), np.uint64)
        if self.has(role):
            value = ring.from_int(np.array([_integers(ints, role)], np.int64))
        if value.shape[1:] != (n,):
            raise ValueError(f"announce: {role} has {value.shape[1]} integers where all expect {n}")
        others = [r for r in self.roles if r != role]
        received = self._exchange(name, [(role, r, name, ring, value) for r in others])
        rows = [value, *received]
        return [int(i) for i in ring.to_int(next(r for r in rows if len(r)))[0]]

    # ------------------------------------------------------------------ underneath the verbs

    def _tick(self):
        if self._home != _here():
            raise RuntimeError("World: another process or thread made it, and both would draw the "
                               "same masks for different values; make a World of its own here")
        self.counter += 1

    def spend(self, *values):
        """The coins `values`, drawn by this World, hide something from now on, and nothing else
        later: for a step that was given its coins."""
        drawn = (self._drawn.get(id(value), (None, None)) for value in values)
        spend([mask for value, (known, mask) in zip(values, drawn)
               if known is not None and known() is value])

    def _known(self, value, name):
        """Enter the coins `value`, just drawn, into the mask ledger."""
        key = id(value)
        known = weakref.ref(value, lambda _: self._drawn.pop(key, None))
        self._drawn[key] = known, self._mask(name)
        return value

    def _mask(self, name):
        return Mask(self.ledger.label(name), self.counter)

    def _exchange(self, name, messages):
        """Carry one round of (src, dst, name, ring, rows (src_here, *shape)); what arrives.

        All is sent before anything is awaited, and sending never blocks: no two roles can wait for
        each other.
        """
        self._tick()
        self.ledger.add_round(self.counter, [
            (src, dst, label, str(ring), rows.shape[1:], ring.nbytes(rows.shape[1:]))
            for src, dst, label, ring, rows in messages])
        header = (self.counter, self.ledger.label(name))
        if self._link is not None:
            for src, dst, _, ring, rows in messages:
                if src in self.here and (dst not in self.here or isinstance(self._link, Tape)):
                    self._link.put(src, dst, header, ring.pack(rows))
        return [self._receive(src, dst, ring, rows, header) for src, dst, _, ring, rows in messages]

    def _receive(self, src, dst, ring, rows, header):
        if dst not in self.here:
            return np.zeros((0, *rows.shape[1:]), ring.dtype)
        if src in self.here:
            return rows
        try:
            received = ring.unpack(self._link.get(src, dst, header), rows.shape[1:])
        except ValueError as error:
            raise ProtocolError(f"{dst} heard from {src} at step {header[0]}: {error}") from None
        if ring.modulus < 256**ring.width and (received >= ring.modulus).any():
            raise ProtocolError(f"{dst} heard from {src} at step {header[0]} ({header[1]}) what is "
                                f"no element of {ring}")
        return received[None]

    def _share(self, ring, rows, shape):
        """A Share from a list of rows in the order of the workers, None for those elsewhere."""
        here = [row for w, row in zip(self._workers, rows) if w in self.here]
        rows = np.stack(here) if here else np.zeros((0, *shape), ring.dtype)
        return Share(self, ring, self._tag(rows, tags.SHARE))

    def _rows(self, share):
        if not isinstance(share, Share):
            raise TypeError(f"a {type(share).__name__} came where a Share is due; of a FixedPoint "
                            "pass .value")
        if share.world is not self:
            raise ValueError("a Share of another World came: its workers are not those of this "
                             "one; share the value here")
        rows = self._untag(share.rows, tags.SHARE)
        if len(rows) != len(self.workers_here):
            raise ValueError(f"a Share with {len(rows)} rows came where {len(self.workers_here)} "
                             "workers live: a common value is not a share")
        return rows

    def _owned(self, value, owner, ring):
        if not isinstance(ring, Ring) or not isinstance(value, np.ndarray):
            raise TypeError(f"share: a {type(value).__name__} over a {type(ring).__name__} came "
                            "where an array and its ring are due; give what held() made, .rows")
        rows = self._untag(value, private(owner))
        if rows.shape[:1] != (self.has(owner),) or rows.dtype != ring.dtype:
            raise ValueError(f"share: {rows.dtype} of shape {rows.shape} is not what {owner} holds "
                             f"in {ring}; give ({int(self.has(owner))}, *shape) of {ring.dtype}, "
                             "as held() makes it")
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
            raise ValueError(f"{name} has no part in this World; take one of "
                             f"{', '.join(self.roles)}")
        return name

    def _tag(self, array, kind):
        return tags.tag(array, kind) if self.tagged else array

    def _untag(self, array, kind):
        if self.tagged and getattr(array, "kind", None) != kind:
            raise tags.RoleError(f"a {getattr(array, 'kind', 'public')} value came where a {kind} "
                                 "value is due; only share, open and gather turn kinds into others")
        return tags.strip(array)

    # ------------------------------------------------------------------ other ways to run a program

    def replay(self, role, **options):
        """A World in which `role` lives alone and hears what this recorded simulation sent it.

        Run the same program in it, then call `finish`: it raises unless the role said, bit for bit,
        what it said here.
        """
        if not isinstance(self._link, Tape):
            raise ValueError("replay: this World kept no messages; make it with record=True")
        role = self._named(role)
        options = {"ring_bits": self.ring.bits, "comparison": self.comparison,
                   "truncation": self.truncation, "products": self.products, **options}
        return World(len(self.workers), here=(role,), keys=self._keys,
                     link=Playback(self._link, role), **options)

    def finish(self):
        """The end of a program: raise `OutOfStep` if messages were left over.

        A simulation has none, so that one program ends alike in every World.
        """
        if self.here != self.roles:
            self._link.finish()

    @property
    def tape(self):
        """The messages of a recorded simulation, in order."""
        if not isinstance(self._link, Tape):
            raise ValueError("tape: this World kept no messages; make it with record=True")
        return self._link.parcels


def _here():
    """The process and the thread that run this line."""
    return os.getpid(), threading.get_ident()


def _choice(what, chosen, options, n_workers):
    """One of two ways to do `what`, the first of which works for two workers only."""
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
    """What `role` loaded, as an array of `dtype`; what that type cannot hold is not changed."""
    try:
        found = np.asarray(loaded)
    except ValueError:                              # lists of different lengths
        found = np.array(None)
    fits = found.dtype.kind in "biuf" and not np.ma.is_masked(loaded)
    if fits and (found.dtype.itemsize == 8 or not np.can_cast(found.dtype, dtype)):
        with np.errstate(invalid="ignore"):         # what does not fit comes back as something else
            there = found.astype(dtype, copy=False)
            back = there.astype(found.dtype, copy=False)
        fits = np.array_equal(back, found, equal_nan=True) and np.array_equal(there < 0, found < 0)
    if not fits:
        raise ValueError(f"held: what {role} loaded, {found.dtype} of shape {found.shape}, is not "
                         f"exactly an array of {dtype}; convert it before")
    return found.astype(dtype, copy=False)


def _integers(ints, role):
    """What `role` announces, as integers of 64 bits."""
    try:
        found = [int(i) if isinstance(i, (bool, np.bool_)) else operator.index(i) for i in ints]
    except TypeError:
        raise TypeError(f"announce: {role} has something else than a list of integers; round "
                        "numbers before") from None
    if not all(-2**63 <= i < 2**63 for i in found):
        raise ValueError(f"announce: {role} has an integer that does not fit 64 bits; send it in "
                         "two parts")
    return found


def _names(name, n):
    """The names of `n` arrays that travel together, from "epsilon, delta"."""
    names = [part.strip() for part in name.split(",")] if isinstance(name, str) else []
    if len(names) != n:
        raise ValueError(f"{n} arrays need as many names, not {shown(name)}")
    return names


def private(role):
    """The tag of a value that only `role` holds."""
    return f"private to {role}"


def group(*names):
    """The name of the key that these roles hold in common."""
    return frozenset(names)


def role_names(n_workers):
    """Server, workers, crypto provider: the order of ranks everywhere."""
    if not isinstance(n_workers, (int, np.integer)):
        raise ValueError(f"World: {shown(n_workers)} is no number of workers; take a whole one, "
                         "2 or more")
    if n_workers < 2:
        raise ValueError(f"World: {n_workers} worker(s) cannot share a secret; take 2 or more")
    workers = ["alice", "bob", *(f"worker{i}" for i in range(3, n_workers + 1))]
    return ("server", *workers, "crypto_provider")


def key_groups(names):
    """Who has a key in common: each pair of roles that share a stream, and all workers together."""
    server, *workers, provider = names
    groups = [group(*workers), *(group(*p) for p in combinations(workers, 2)),
              *(group(w, owner) for w in workers for owner in (server, provider))]
    return list(dict.fromkeys(groups))          # two workers alone are a pair too


def make_keys(names, seed=None):
    """One key for each of the `key_groups`; the same ones for the same `seed`, if there is one."""
    seed = None if seed is None else public_seed(seed)
    return {g: fresh_key() if seed is None else lesson_key(seed, " ".join(sorted(g)))
            for g in key_groups(names)}


def run_threads(program, n_workers=2, seed=None, timeout=60.0, **options):
    """Run ``program(world)`` in one thread for each role, each in a World of its own.

    The roles exchange bytes through queues and hold only their own keys. Returns {role: result}.
    An error in one role ends each other one at its next message; the error that is no mere
    consequence of another is raised, and so is `OutOfStep` if a message was left over.
    """
    names = role_names(n_workers)
    keys, queues = make_keys(names, seed), Queues(names, timeout)
    results, errors = {}, {}

    def run(role):
        try:
            own = {names: key for names, key in keys.items() if role in names}
            world = World(n_workers, here=(role,), keys=own, link=queues.endpoint(role), **options)
            results[role] = program(world)
        except BaseException as error:          # whatever it is, the others must hear of it
            errors[role] = error
            queues.close(role, error)
        else:
            queues.close(role)

    threads = [threading.Thread(target=run, args=(role,), daemon=True) for role in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise min(errors.values(),
                  key=lambda e: 2 * isinstance(e, PeerFailed) + isinstance(e, OutOfStep))
    queues.finish()
    return results
