"""Seals: security with abort. Workers who cheat are caught before a result leaves.

A *seal*, or MAC, of a secret x is alpha x. The key alpha is a number that the crypto
provider drew and shared among the workers, so nobody else knows it. Beside its share of
x each worker holds a share of each seal: one more row of the same array. All that
workers do on their own is linear. They do the same with the seals, and

    x = sum of x_j,   m = sum of m_j,   alpha = sum of alpha_j   give   m = alpha x

A worker who adds an error e to an opened y must add alpha e to the seals, and does not
know alpha. Only the product with a seal of 1, whose rows are (1, alpha_0), (0, alpha_1)
..., adds a public number to a secret.

Numbers have `seals` seals over Z_2^(bits + spare) in one word; the lowest `bits` bits
are the value. Without spare bits an error of 2^(bits - 1) would vanish for every even
alpha. Bits have `spare` seals for each of those, one bit each, packed as they are.

*Check.* Before anybody can know a result, and whenever `LIMIT` bytes of seals wait, the
workers agree on coefficients chi that nobody could choose, and each commits itself to

    sigma_j = sum over all opened y of chi (m_j - alpha_j y)

before they show each other these sigmas, which must sum to 0. They also compare hashes
of all that was opened, since a worker can send different numbers to two others. On a
failure everybody stops (`Cheated`). The error names nobody, and the keys are void.

A cheat that changes a value escapes with probability at most

    ((spare + 3) / 2^(spare + 2))^seals           numbers: 3.1e-11 with 20 spare bits, 2
    ((1 + 2^-ROWS) / 2)^(seals spare)             bits: 1.1e-12

Source: SPDZ2k (Cramer et al., CRYPTO 2018) for numbers; for bits a global key as by
Frederiksen, Keller, Orsini and Scholl (ASIACRYPT 2015), after TinyOT (Nielsen et al.,
CRYPTO 2012). The seals come from an honest dealer instead of a protocol. There are
tests, and no formal proof.
"""

from __future__ import annotations

import hashlib
from functools import reduce
from math import ceil, log2, prod
from typing import NoReturn

import numpy as np

from mpc import masks
from mpc.randomness import stream
from mpc.ring import Bits, Ring, Z2k, is_integer
from mpc.share import COMMON, Share, local, shown

BITS = Bits()
SEALS, SPARE = 2, 20        # of a number by default; bits of each
LIMIT = 2**23       # as many bytes of seals wait for a check, at a worker
ROWS = 8            # random sums of each seal of bits
SEED, NONCE, HASH = 16, 16, 32      # bytes


class Cheated(RuntimeError):
    """A worker sent something else than the protocol says; no result leaves."""


class Seals:
    """The seals of a World: its keys, what it has opened, and the check."""

    def __init__(self, world, seals: int, spare: int):
        if not is_integer(seals) or not 1 <= seals <= 9 or spare < 1:
            raise ValueError(f"World: seals={shown(seals)}, spare={spare}: take 1 to 9 "
                             "seals, and 1 spare bit or more for each")
        seals = int(seals)
        self.world, self.counts = world, {world.ring: seals, BITS: seals * spare}
        self.spare = spare
        self.limit: float = LIMIT
        self.void, self.checks, self.waited = False, 0, 0   # a failure; what was done
        self._keys: dict[Ring, tuple] = {}
        self._forget()

    def _forget(self):
        self.waiting = 0            # bytes
        self._opened = {ring: [] for ring in self.counts}
        self._transcript = hashlib.sha256()

    @property
    def escape(self) -> float:
        """The probability with which a cheat escapes, at most."""
        numbers = (self.spare + 3) / 2 ** (self.spare + 2)
        return max(numbers ** self.counts[self.world.ring],
                   ((1 + 2.0**-ROWS) / 2) ** self.counts[BITS])

    def report(self) -> str:
        """What the checks have found, for those who read a result."""
        return (f"Seals: {self.checks} check{'s' * (self.checks != 1)} found that no "
                "worker cheated; a cheat escapes with probability "
                f"2^{ceil(log2(self.escape))} at most")

    def number(self, ring: Ring) -> int:
        """How many seals an element has."""
        if ring not in self.counts:
            raise ValueError(f"World: {ring} has no seals; with security='abort' share "
                             f"over {' or '.join(map(str, self.counts))}")
        return self.counts[ring]

    # ---- keys

    def _key(self, ring):
        """Shares of the keys, (workers_here, number), and at the provider their sum."""
        if ring not in self._keys:
            own, known = self.world._deal(ring, (self.number(ring),), "alpha")
            self._keys[ring] = own, ring.sum(known, axis=1)
        return self._keys[ring]

    def one(self, ring: Ring, first: np.ndarray, shape: tuple) -> np.ndarray:
        """Shares of 1, `first`, with their seals, for a value of this shape."""
        alpha, _ = self._key(ring)
        seals = self._beside(alpha, shape, ring)
        first = np.broadcast_to(first[:, None], (len(first), 1, *seals.shape[2:]))
        rows = np.concatenate([first, seals], axis=1)
        return rows.reshape(len(rows) * rows.shape[1], *rows.shape[2:])

    def _beside(self, keys, shape, ring):
        """Keys (holders, number) with the axes of a value of this shape."""
        return keys.reshape(*keys.shape, *(1,) * len(shape))

    def attach(self, value: np.ndarray, ring: Ring) -> np.ndarray:
        """The provider's value with its seals, (provider_here, 1 + number, *shape)."""
        _, alpha = self._key(ring)
        seals = ring.mul(self._beside(alpha, value.shape[1:], ring), value[:, None])
        return np.concatenate([value[:, None], seals], axis=1)

    # ---- secrets in and out

    def input(self, owner: str, values: dict) -> tuple[Share, ...]:
        """Shares of an owner's values: it shows all workers x - r, for a dealt r.

        The provider tells the owner r in advance. Rounds: 1. Bytes: x - r, to each
        worker.
        """
        world, dealt, known = self.world, {}, {}
        for name, (value, ring) in values.items():
            dealt[name], r = world.deal(ring, value.shape[1:], f"mask of {name}")
            known[f"mask of {name}"] = ring, self._sum(ring, self._plain(r))
        told, messages = self._hint([owner], known), []
        for name, (value, ring) in values.items():
            hidden = ring.sub(value, told[f"mask of {name}"])
            messages += [(owner, w.name, name, ring, hidden) for w in world.workers]
        received, shares = world._exchange(messages), []
        me = self._one_of(world._workers)
        for name, share in dealt.items():
            self.heard(received[owner, me, name])
            x = share.plus(world._wrap(received[owner, me, name], COMMON))
            shares.append(x._with(x.rows, {}))
        return tuple(shares)

    def output(self, roles: list, shares: dict) -> list[np.ndarray]:
        """Each of the roles learns secrets: a list of (role_here, *shape).

        The workers open y + r, under a dealt r. Nobody can know y before the check has
        passed, or a cheat would see what its lies have led to. So the provider gives
        the roles r plus a pad from each worker, and hashes of the pads. After the
        check each worker sends its pad and the value of y + r, so that one honest
        worker is enough. Without spare bits: they would show overflows. Rounds: 6.
        """
        world, masked, hints, pads = self.world, {}, {}, {}
        for name, share in shares.items():
            masks.spend(masks.hiding(share))
            ring = share.ring.values
            r, known = world.deal(share.ring, share.shape, f"mask of {name}")
            masked[name] = share + r
            pads[name] = _, padding = world._deal(ring, share.shape, f"pad of {name}")
            value = share.ring.value(self._sum(share.ring, self._plain(known)))
            hints[name] = ring, ring.add(value, self._sum(ring, padding))
        hints = self._hint(roles, hints)
        nonces, hashes = self._promise(roles, pads)
        opened = world.open(**masked)
        self.check()
        own = dict(nonces)
        for (name, share), y in zip(shares.items(), opened, strict=True):
            value = share.ring.value(world._unwrap(y, COMMON))
            own[name] = share.ring.values, [value] * len(world.workers)
            own[f"pad of {name}"] = share.ring.values, world._rows_of(pads[name][0])
        told, results = self._told(roles, own), []
        for name, share in shares.items():
            ring, padding = share.ring.values, told[f"pad of {name}"]
            if any(not np.array_equal(y, told[name][0]) for y in told[name]):
                self._fail("the workers told a role different numbers")
            self._keep_promise(name, padding, told, hashes)
            r = reduce(ring.sub, padding, hints[name])
            results.append(ring.sub(told[name][0], r))
        return results

    def _promise(self, roles, pads):
        """The provider sends hashes of the workers' pads: (nonces, hashes)."""
        world, nonces, hashes = self.world, {}, {}
        for name, (_, padding) in pads.items():
            own, known = world._deal(BITS, (NONCE,), f"nonce of {name}")
            texts = [commitment(w.name, "pad", bytes(nonce) + pad.tobytes())
                     for pad_of, nonce_of in zip(padding, known, strict=True)
                     for w, pad, nonce in zip(world.workers, pad_of, nonce_of,
                                              strict=True)]
            nonces[f"nonce of {name}"] = BITS, world._rows_of(own)
            hashes[f"hash of {name}"] = BITS, np.frombuffer(
                b"".join(texts), np.uint8).reshape(*known.shape[:2], HASH)
        return nonces, self._hint(roles, hashes)

    def _keep_promise(self, name, pads, told, hashes):
        """Raise unless the pads are those that the provider has promised."""
        for i, (w, pad, nonce) in enumerate(zip(
                self.world.workers, pads, told[f"nonce of {name}"], strict=True)):
            for row, salt, due in zip(pad, nonce, hashes[f"hash of {name}"],
                                      strict=True):
                if commitment(w.name, "pad", bytes(salt) + row.tobytes()) != bytes(
                        due[i]):
                    self._fail("a worker did not send its part of a mask")

    def _hint(self, roles, known):
        """The provider tells roles what it knows, offline; what a role here got."""
        world, provider = self.world, self.world.crypto_provider.name
        with world.ledger.offline():
            received = world._exchange([(provider, role, name, ring, value)
                                        for role in roles
                                        for name, (ring, value) in known.items()])
        return {name: received[provider, self._one_of(roles), name] for name in known}

    def _told(self, roles, own):
        """Each worker tells roles its rows; lists of what a role here got."""
        world = self.world
        received = world._exchange(
            [(w.name, role, name, ring, row[:w.name in world.here])
             for role in roles for name, (ring, rows) in own.items()
             for w, row in zip(world.workers, rows, strict=True)])
        me = self._one_of(roles)
        return {name: [received[w.name, me, name] for w in world.workers]
                for name in own}

    def _one_of(self, roles):
        """One of the roles that lives here, or else any, whose rows are missing."""
        return next((role for role in roles if role in self.world.here), roles[0])

    def compare(self, ints: np.ndarray) -> None:
        """Raise unless all roles have heard the same broadcast, (role_here, n).

        The workers repeat it to everybody. Rounds: 1.
        """
        world = self.world
        row = ints[:1] if world.workers_here else ints[:0]
        received = world._exchange([(w.name, role, "heard", Z2k(64), row)
                                    for w in world.workers for role in world.roles])
        if any(len(heard) and not np.array_equal(heard, ints[:1])
               for heard in received.values()):
            self._fail("a role told two others different numbers")

    def _sum(self, ring, known):
        """The sum of what the provider knows, (provider_here, n_workers, *shape)."""
        return reduce(ring.add, known.swapaxes(0, 1))

    def _plain(self, known):
        """What the provider knows of dealt numbers."""
        return self.world._unwrap(known, local(self.world.crypto_provider.name))

    # ---- the check

    def heard(self, array: np.ndarray) -> None:
        """Enter what all workers have heard: they will compare its hash."""
        if len(array):
            self._transcript.update(np.ascontiguousarray(array))

    def remember(self, rows: np.ndarray, opened: np.ndarray, ring: Ring) -> None:
        """Keep m_j - alpha_j y for an opened y, (1 or 0, *shape)."""
        n, (alpha, _) = self.number(ring), self._key(ring)
        seals = rows.reshape(len(alpha), 1 + n, *rows.shape[1:])[:, 1:]
        beside = self._beside(alpha, opened.shape[1:], ring)
        due = ring.mul(beside, opened[:, None])
        rest = ring.sub(seals, due)
        self._opened[ring].append(rest.reshape(len(alpha), n, prod(rows.shape[1:])))
        self.waiting += n * ring.nbytes(rows.shape[1:])
        self.waited += n * ring.nbytes(rows.shape[1:])
        self.heard(opened)

    def check(self) -> None:
        """Raise `Cheated` unless all that was opened fits its seals.

        Rounds: 4. Bytes: each worker sends every other one 96 for seeds and hashes, 48
        to commit to its sums, and the sums.
        """
        if not self.waiting:
            return
        with self.world.ledger.step("check"):
            seeds = self._private(SEED, "seed")
            seeds = self._shown("seed", seeds, self._transcript.digest())
            chi = stream(b"".join(seeds), "chi", 0)
            sums = self._sums(chi)
            sigmas = self._shown("sigma", sums)
            for ring, part in self._parts() if sigmas else ():
                parts = [np.frombuffer(sigma[part], ring.dtype) for sigma in sigmas]
                if reduce(ring.add, parts).any():
                    self._fail("what was opened does not fit its seals")
        self.checks += 1
        self._forget()

    def _parts(self):
        """The places of each ring's sums in the bytes of a sigma."""
        numbers, bits = self.counts
        end = self.counts[numbers] * 8
        return (numbers, slice(0, end)), (
            bits, slice(end, end + self.counts[bits] * ROWS * 8))

    def _sums(self, chi):
        """sigma of each worker here, as (workers_here, bytes)."""
        (numbers, n), (bits, m) = self.counts.items()
        here = len(self.world.workers_here)
        if not here:
            return np.zeros((0, 8 * (n + m * ROWS)), np.uint8)
        rest = np.concatenate([np.zeros((here, n, 0), np.uint64),
                               *self._opened[numbers]], axis=2)
        planes = np.concatenate([np.zeros((here, m, 0), np.uint8),
                                 *self._opened[bits]], axis=2)
        planes = np.concatenate(
            [planes, np.zeros((here, m, -planes.shape[2] % 8), np.uint8)], axis=2)
        planes = planes.view(np.uint64)
        words, width = rest.shape[2], planes.shape[2]
        drawn = np.frombuffer(chi(8 * (n * words + m * ROWS + width)), np.uint64)
        weights, toeplitz = drawn[:n * words].reshape(n, words), drawn[n * words:]
        first = np.sum(weights * rest, axis=2, dtype=np.uint64)
        second = np.zeros((here, m, ROWS), np.uint64)
        for i, j in np.ndindex(m, ROWS):
            row = toeplitz[i * ROWS + j:][:width]
            np.bitwise_xor.reduce(planes[:, i] & row, axis=1, out=second[:, i, j])
        return np.concatenate([numbers.reduce(first).view(np.uint8),
                               second.reshape(here, m * ROWS).view(np.uint8)], axis=1)

    def _private(self, size, name):
        """Random bytes of each worker, that nobody else knows: (workers_here, size)."""
        world = self.world
        groups = [frozenset((w.name,)) for w in world.workers]
        return np.concatenate(world._draw(groups, BITS, (size,), name))

    def _shown(self, name, own, same=b""):
        """All workers show each other bytes, which a hash has fixed before.

        A hash of the `same` bytes must come with every commitment. Each commitment
        contains its owner's name, or a worker could repeat another one's.
        """
        world, nonces = self.world, self._private(NONCE, "nonce")
        texts = {w: bytes(nonce) + bytes(row) for w, nonce, row in
                 zip(world.workers_here, nonces, own, strict=True)}
        hashes = {w: commitment(w, name, text) + same for w, text in texts.items()}
        committed = self._to_all(f"hash of {name}", hashes, HASH + len(same))
        told = self._to_all(name, texts, NONCE + own.shape[1])
        for (w, me), text in told.items():
            if committed[w, me] != commitment(w, name, text) + same:
                self._fail("a worker was shown other numbers than others, or than "
                           "their sender had committed itself to")
        me = next(iter(world.workers_here), None)
        return [told[w, me][NONCE:] for w in world._workers] if me else []

    def _to_all(self, name, own, size):
        """Each worker sends bytes to all: {(worker, receiver here): bytes}."""
        world, none = self.world, np.zeros((0, size), np.uint8)
        rows = {w: np.frombuffer(own[w], np.uint8)[None] if w in own else none
                for w in world._workers}
        received = world._exchange([(w, me, name, BITS, rows[w]) for w in world._workers
                                    for me in world._workers])
        return {(w, me): bytes(row[0]) for (w, me, _), row in received.items()
                if me in world.here}

    def _fail(self, reason) -> NoReturn:
        self.void = True
        self.world._keys.clear()
        raise Cheated(f"a worker cheated: {reason}; no result leaves, and the keys are "
                      "void: make another World")


def commitment(worker: str, name: str, text: bytes) -> bytes:
    """The hash by which a worker is bound to a text."""
    return hashlib.sha256(f"{worker} {name} ".encode() + text).digest()
