"""Attacks that work: weaken one coin of a protocol, then act as the party that profits.

Each attack runs the project's own code in a simulation that records the view of every
party (`mpc.audit.views.Watched`). ``weak=True`` breaks a single coin. The attacker gets
the view of its party and nothing else. With ``weak=False`` the same attack runs against
the intact protocol and finds nothing.

    >>> lab = read_relu_inputs([5, -3, 200], weak=True)
    >>> lab.recovered
    [5, -3, 200]
"""

from __future__ import annotations

import operator
from typing import NamedTuple

import numpy as np

from mpc.audit.views import Watched
from mpc.beaver import matmul, multiply
from mpc.program import World
from mpc.ring import Z2kMinus1, Zm, bits_of, prime_above
from mpc.seals import Cheated
from mpc.securenn import drelu

SIZE = 2**40            # secrets are smaller; random ring elements almost never are
MOST_GUESSES = 2**14


class Lab(NamedTuple):
    """The secret and the attacker's result: None for an element it cannot determine."""

    secret: list
    recovered: list

    @property
    def broken(self) -> bool:
        """Did the attacker read the whole secret?"""
        return self.recovered == self.secret


def _whole(attack, values, limit=SIZE):
    """`values` as a list of integers; raises unless all are below `limit` in size."""
    try:
        numbers = [operator.index(value) for value in values]
    except TypeError:
        raise TypeError(f"{attack}: takes a list of whole numbers") from None
    if not numbers:
        raise ValueError(f"{attack}: the list is empty; take one whole number or more")
    for i, value in enumerate(numbers):
        if abs(value) >= limit:
            raise ValueError(f"{attack}: item {i} of the list has a size of {limit} or "
                             "more; take smaller numbers")
    return numbers


def _same_length(attack, one, other):
    if len(one) != len(other):
        raise ValueError(f"{attack}: the lists have {len(one)} and {len(other)} items; "
                         "take two of equal length")


def _world(weaken, weak):
    return Watched(coins=weaken if weak else None)


def _given(world, owner, values, name):
    """A Share of signed integers that `owner` holds."""
    ring, values = world.ring, np.asarray(values)
    own = world.private_input(
        owner, values.shape, lambda: ring.from_int(values), ring.dtype)
    return world.share(owner, **{name: (own.rows, ring)})[0]


# -------------------------------------------------- the provider, without zero shares


def read_relu_inputs(secrets: list, weak: bool = True, bound: int = 512) -> Lab:
    """The crypto provider reads ReLU inputs if private_compare lacks its zero shares.

    The provider dealt the shares of x's bits, so it can compute both workers' values
    c_i for any guess of the input. Multiplication by s_i and rotation keep the ratios
    of the entries in the two messages. These ratios are a fingerprint that only the
    right guess matches. Released implementations have had this flaw. Inputs are
    integers below `bound` in absolute value.
    """
    if _whole("read_relu_inputs, bound", [bound], MOST_GUESSES)[0] < 1:
        raise ValueError("read_relu_inputs: bound is below 1; take 1 or more")
    secrets = _whole("read_relu_inputs", secrets, bound)

    def without_zero_shares(label, ring, shape):
        return np.zeros(shape, ring.dtype) if label.endswith("compute_msb/z") else None

    world = _world(without_zero_shares, weak)
    drelu(_given(world, world.server, secrets, "a"))

    def saw(label):
        return world.saw("crypto_provider", "compute_msb/" + label)

    odd, field = Z2kMinus1(world.ring.bits), Zm(prime_above(world.ring.bits))
    x = odd.add(*saw("x"))
    share_0, = saw("x_bits")        # its coin for alice; bob has the difference
    bits = bits_of(x[None], odd.bits)[0]
    shares = np.stack([share_0, field.sub(bits, share_0)])
    d_0, d_1 = saw("private_compare/d")
    guesses = np.arange(-bound, bound)
    recovered = []
    for e in range(len(secrets)):
        r = odd.add(x[e], _opened_for(guesses, odd))
        seen = _fingerprint(d_0[:, e, None], d_1[:, e, None], field.modulus)
        fits = []
        for beta in (0, 1):
            c_0, c_1 = _c_values(shares[:, :, e], r, beta, field.modulus)
            fits.append(_fingerprint(c_0, c_1, field.modulus))
        match = np.any([(fit == seen).all(axis=0) for fit in fits], axis=0)
        recovered.append(int(guesses[match][0]) if match.sum() == 1 else None)
    return Lab(secrets, recovered)


def _opened_for(guesses, odd):
    """2 y for each guess a: compute_msb opens 2 y + x, where y = 2 a mod 2^l."""
    doubled = [2 * (2 * int(a) % 2**odd.bits) % odd.modulus for a in guesses]
    return np.array(doubled, odd.dtype)


def _c_values(shares, r, beta, p):
    """Both workers' c_i for every guess of r: arrays (l, guesses)."""
    t = bits_of((r + np.uint64(beta))[None], shares.shape[1])[0].astype(np.int64)
    values = []
    for j, x in enumerate(shares.astype(np.int64)):
        w = x[:, None] + j * t - 2 * t * x[:, None]
        above = np.cumsum(w[::-1], axis=0)[::-1] - w
        values.append((above + j + (1 - 2 * beta) * (j * t - x[:, None])) % p)
    return values


def _fingerprint(c_0, c_1, p):
    """How often each ratio c_0 : c_1 occurs: (p + 2, guesses)."""
    inverse = np.array([0] + [pow(k, -1, p) for k in range(1, p)])
    c_0, c_1 = c_0.astype(np.int64), c_1.astype(np.int64)
    at_infinity = np.where(c_0 != 0, p, p + 1)
    ratio = np.where(c_1 != 0, c_0 * inverse[c_1] % p, at_infinity)
    return np.stack([(ratio == k).sum(axis=0) for k in range(p + 2)])


# -------------------------------------------------------- the provider, with one beta


def read_signs(secrets: list, weak: bool = True) -> Lab:
    """The crypto provider reads which signs agree if one beta serves a whole tensor.

    It sees beta XOR (x > r), and for inputs much smaller than the ring "x > r" is their
    sign. With one beta for all, the answers are all signs up to one common complement;
    here the attacker is told the first sign. Every marginal statistic of the weakened
    protocol is perfect.
    """
    secrets = _whole("read_signs", secrets)

    def one_beta(label, ring, shape):
        if label.endswith("compute_msb/beta"):
            return np.ones(shape, ring.dtype)

    world = _world(one_beta, weak)
    drelu(_given(world, world.server, secrets, "a"))
    d_0, d_1 = world.saw("crypto_provider", "compute_msb/private_compare/d")
    p = prime_above(world.ring.bits)
    answers = ((d_0.astype(int) + d_1) % p == 0).any(axis=0)
    signs = [s < 0 for s in secrets]
    return Lab(signs, [bool(a ^ answers[0] ^ signs[0]) for a in answers])


# -------------------------------------------------------- a worker, with reused masks


def _same_every_time(end):
    """Coins that are the same in every draw of one label and shape."""
    def coins(label, ring, shape):
        if not label.endswith(end):
            return None
        raw = np.random.default_rng(0).bytes(8 * int(np.prod(shape)))
        return np.frombuffer(raw, "<u8").reshape(shape)

    return coins


def read_factor(secret: list, mine: list, weak: bool = True) -> Lab:
    """Alice reads bob's factor if two products use the same mask.

    Bob's x and alice's own x' are opened as x - a and x' - a; their difference is
    x - x'. Alice rebuilds each opening from the share that bob sent and her own.
    """
    secret, mine = _whole("read_factor", secret), _whole("read_factor", mine)
    _same_length("read_factor", secret, mine)
    world = _world(_same_every_time("multiply/a"), weak)
    alice, bob = world.workers
    x, own = _given(world, bob, secret, "x"), _given(world, alice, mine, "own")
    y = _given(world, world.server, [7] * len(secret), "y")
    multiply(x, y)
    multiply(own, y)

    ring, known = world.ring, np.asarray(mine)
    (x_alice,), (own_bob,) = world.saw("alice", "x"), world.saw("alice", "own")
    a, again = world.saw("alice", "multiply/a")
    received = world.saw("alice", "epsilon")
    own_alice = ring.sub(ring.from_int(known), own_bob)          # she shared it herself
    first = ring.add(received[0], ring.sub(x_alice, a))         # x - a
    second = ring.add(received[1], ring.sub(own_alice, again))  # x' - a
    return Lab(secret, _plausible(ring.to_int(ring.sub(first, second)) + mine))


def read_update(weights: list, update: list, weak: bool = True) -> Lab:
    """Alice reads an update of gradient descent if W keeps its mask after the update.

    W is opened as W - b before the update and W - g - b after it. Alice rebuilds both
    openings from the shares that bob sent and her own.
    """
    weights, update = _whole("read_update", weights), _whole("read_update", update)
    _same_length("read_update", weights, update)
    world = _world(_same_every_time("matmul/b"), weak)
    w = _given(world, world.server, [weights], "W")
    g = _given(world, world.server, [update], "g")
    x = _given(world, world.workers[0], [[3]], "x")
    matmul(x, w)
    matmul(x, w - g)

    ring = world.ring
    (w_alice,), (g_alice,) = world.saw("alice", "W"), world.saw("alice", "g")
    b, again = world.saw("alice", "matmul/b")
    received = world.saw("alice", "delta")
    before = ring.add(received[0], ring.sub(w_alice, b))            # W - b
    updated = ring.sub(w_alice, g_alice)
    after = ring.add(received[1], ring.sub(updated, again))         # W - g - b
    return Lab(update, _plausible(ring.to_int(ring.sub(before, after))[0]))


def _plausible(numbers):
    """Small numbers as they are, None for large ones, which are noise."""
    return [int(v) if abs(int(v)) < SIZE else None for v in numbers]


# -------------------------------------------------- a worker, with a guessable seed


def read_from_seed(secret: list, weak: bool = True, seeds: int = 3600) -> Lab:
    """Bob reads the server's data if a NumPy generator with a clock's seed draws masks.

    Bob knows some coins himself. He tries every second of the last hour until one seed
    explains them, and then derives alice's mask too.
    """
    secret = _whole("read_from_seed", secret, 2**63)
    generator = np.random.default_rng(1234)

    def from_generator(label, ring, shape):
        return generator.integers(0, 2**64, shape, dtype=np.uint64)

    world = _world(from_generator, weak)
    _given(world, world.server, secret, "x")        # alice gets the mask, bob the rest
    known = world.common_coins(world.ring, (2,), "known")[0]
    x_bob, = world.saw("bob", "x")
    for seed in range(seeds):
        guess = np.random.default_rng(seed)
        mask = guess.integers(0, 2**64, x_bob.shape, dtype=np.uint64)
        if np.array_equal(guess.integers(0, 2**64, 2, dtype=np.uint64), known):
            return Lab(secret, [int(v) for v in world.ring.to_int(x_bob + mask)])
    return Lab(secret, [None] * len(secret))


# -------------------------------------------------- a worker that lies


class CheatingWorld(World):
    """A simulation in which one worker may send something else than it should.

    ``lie(label, ring, rows)`` returns the rows that the `cheat` sends in place of
    `rows`, an array (1, *shape) of elements of `ring`. `label` is the message's full
    name. Other workers get the same lie. The simulation opens what alice has heard, so
    she cannot be the cheat.
    """

    def __init__(self, *args, lie, cheat: str = "bob", **options):
        super().__init__(*args, **options)
        self.lie, self.cheat = lie, self._named(cheat)
        if cheat == "alice":
            raise ValueError("CheatingWorld: alice's view is what is opened here; take "
                             "another worker")

    def _exchange(self, messages):
        told: dict = {}
        for src, dst, name, ring, rows in messages:
            if src == self.cheat and src != dst and name not in told:
                told[name] = self.lie(self.ledger.label(name), ring, rows)
        return super()._exchange(
            [(src, dst, name, ring, told[name] if src == self.cheat and src != dst
              else rows) for src, dst, name, ring, rows in messages])


def cheat(program, lie, **options) -> tuple:
    """``program(world)`` with a worker who lies: (its result, None) or (None, error).

    Without ``security="abort"`` nobody notices, and the result is wrong; with it the
    run ends before a result leaves.

    >>> def program(world):
    ...     x = world.secret([1.0, 2.0, 3.0], owner="alice")
    ...     return (x * x).sum().reveal(to="server")
    >>> def push(label, ring, rows):
    ...     return ring.add(rows, 5000) if label.endswith("multiply/epsilon") else rows
    >>> bool(cheat(program, push)[0] == 14)
    False
    >>> cheat(program, push, security="abort")[1] is not None
    True
    """
    world = CheatingWorld(lie=lie, **options)
    try:
        return program(world), None
    except Cheated as error:
        return None, error
