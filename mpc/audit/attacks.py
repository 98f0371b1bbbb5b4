"""Attacks that work: take one coin away from a protocol step, play the party that profits, win.

Each lab runs the project's own code in a simulation that writes down what every party gets to know
(`mpc.audit.views.Watched`), with ``weak=True`` breaking a single coin, and hands the attacker what its
party saw: nothing else. The same attack on the unbroken protocol (``weak=False``) finds nothing.

    >>> lab = read_relu_inputs([5, -3, 200], weak=True)
    >>> lab.recovered
    [5, -3, 200]
"""

import operator
from typing import NamedTuple

import numpy as np

from mpc.beaver import matmul, multiply
from mpc.ring import Z2kMinus1, Zm, bits_of, prime_above
from mpc.securenn import drelu
from mpc.audit.views import Watched


SIZE = 2**40        # of a number that no attack takes for noise, nor noise for it
MOST_GUESSES = 2**14


class Lab(NamedTuple):
    """What there was to find, and what the attacker found (None where it could not tell)."""

    secret: list
    recovered: list

    @property
    def broken(self):
        """Did the attacker read the whole secret?"""
        return self.recovered == self.secret


def _whole(lab, values, limit=SIZE):
    """`values` as a list of whole numbers below `limit` in absolute value; raises if they are not.
    """
    try:
        numbers = [operator.index(value) for value in values]
    except TypeError:
        raise TypeError(f"{lab}: takes a list of whole numbers, one or more") from None
    if not numbers:
        raise ValueError(f"{lab}: the list is empty; take a list of whole numbers, one or more")
    for i, value in enumerate(numbers):
        if abs(value) >= limit:
            raise ValueError(f"{lab}: item {i} of the list has a size of {limit} or more; take "
                             "smaller numbers")
    return numbers


def _alike(lab, *lists):
    """Raise unless all `lists` have one length."""
    if len({len(numbers) for numbers in lists}) > 1:
        raise ValueError(f"{lab}: the lists have {' and '.join(str(len(n)) for n in lists)} items; "
                         "take as many in each")


def _world(weaken, weak):
    return Watched(coins=weaken if weak else None)


def _given(world, owner, values, name):
    """`owner` shares a list of signed integers."""
    ring, values = world.ring, np.asarray(values)
    rows = world.private_input(owner, values.shape, lambda: ring.from_int(values), np.uint64).rows
    return world.share(owner, **{name: (rows, ring)})[0]


# ---------------------------------------------------------------- the provider, without zero shares


def read_relu_inputs(secrets, weak=True, bound=512):
    """The crypto provider reads ReLU inputs exactly when private_compare lacks its zero shares.

    The provider dealt the shares of x's bits, so that it can compute both workers' values c_i for
    any guess of the input. Multiplying by s_i and rotating leaves the ratios of the two messages'
    entries as a fingerprint, which only the right guess matches. Released implementations have
    shipped this. The inputs here are integers below `bound` in absolute value.
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
    row_0, = saw("x bits")                                  # its coin for alice; bob has the rest
    bits = bits_of(x[None], odd.bits)[0]
    rows = np.stack([row_0, field.sub(bits, row_0)])
    d_0, d_1 = saw("private_compare/d")
    guesses = np.arange(-bound, bound)
    found = []
    for e in range(len(secrets)):
        r = odd.add(x[e], _opened_for(guesses, odd))
        seen = _fingerprint(d_0[:, e, None], d_1[:, e, None], field.modulus)
        fits = [_fingerprint(*_c_values(rows[:, :, e], r, beta, field.modulus), field.modulus)
                for beta in (0, 1)]
        match = np.any([(fit == seen).all(axis=0) for fit in fits], axis=0)
        found.append(int(guesses[match][0]) if match.sum() == 1 else None)
    return Lab(list(secrets), found)


def _opened_for(guesses, odd):
    """2 y for each guess a: compute_msb opens 2 y + x, y being 2 a mod 2^l as an integer."""
    return np.array([2 * (2 * int(a) % 2**odd.bits) % odd.modulus for a in guesses], odd.dtype)


def _c_values(rows, r, beta, p):
    """Both workers' c_i for every guess of r: arrays (l, guesses)."""
    t = bits_of((r + np.uint64(beta))[None], rows.shape[1])[0].astype(np.int64)
    values = []
    for j, x in enumerate(rows.astype(np.int64)):
        w = x[:, None] + j * t - 2 * t * x[:, None]
        above = np.cumsum(w[::-1], axis=0)[::-1] - w
        values.append((above + j + (1 - 2 * beta) * (j * t - x[:, None])) % p)
    return values


def _fingerprint(c_0, c_1, p):
    """How often each ratio c_0 : c_1 occurs: (p + 2, guesses), blind to factors and order."""
    inverse = np.array([0] + [pow(k, -1, p) for k in range(1, p)])
    c_0, c_1 = c_0.astype(np.int64), c_1.astype(np.int64)
    ratio = np.where(c_1 != 0, c_0 * inverse[c_1] % p, np.where(c_0 != 0, p, p + 1))
    return np.stack([(ratio == k).sum(axis=0) for k in range(p + 2)])


# ------------------------------------------------------------------ the provider, with one beta


def read_signs(secrets, weak=True):
    """The crypto provider reads which signs agree when one beta serves a whole tensor.

    It sees beta XOR (x > r), and for inputs much smaller than the ring "x > r" is their sign. With
    one beta for all, the answers are all signs up to one common complement; here the attacker is
    told the first sign. Every marginal statistic of this protocol is perfect.
    """
    secrets = _whole("read_signs", secrets)

    def one_beta(label, ring, shape):
        return np.ones(shape, ring.dtype) if label.endswith("compute_msb/beta") else None

    world = _world(one_beta, weak)
    drelu(_given(world, world.server, secrets, "a"))
    d_0, d_1 = world.saw("crypto_provider", "compute_msb/private_compare/d")
    answers = ((d_0.astype(int) + d_1) % prime_above(world.ring.bits) == 0).any(axis=0)
    signs = [bool(s < 0) for s in secrets]
    return Lab(signs, [bool(a ^ answers[0] ^ signs[0]) for a in answers])


# ------------------------------------------------------------------ a worker, with reused masks


def _same_every_time(end):
    """Coins that come out of one drawer: the same for every draw of this label and shape."""
    drawer = {}

    def coins(label, ring, shape):
        if not label.endswith(end):
            return None
        if (end, shape) not in drawer:
            fresh = np.frombuffer(np.random.default_rng(0).bytes(8 * int(np.prod(shape))), "<u8")
            drawer[end, shape] = fresh.reshape(shape)
        return drawer[end, shape]

    return coins


def read_factor(secret, mine, weak=True):
    """Alice reads bob's factor when two products spend the same mask.

    Bob's x and alice's own x' are opened as x - a and x' - a; their difference is x - x'. Of each
    opening she has bob's row, which came in a message, and her own, which she sent.
    """
    secret, mine = _whole("read_factor", secret), _whole("read_factor", mine)
    _alike("read_factor", secret, mine)
    world = _world(_same_every_time("multiply/a"), weak)
    alice, bob = world.workers
    x, own = _given(world, bob, secret, "x"), _given(world, alice, mine, "own")
    y = _given(world, world.server, [7] * len(secret), "y")
    multiply(x, y)
    multiply(own, y)

    ring, mine = world.ring, np.asarray(mine)
    (row_x,), (bobs,) = world.saw("alice", "x"), world.saw("alice", "own")
    (a, again), received = world.saw("alice", "multiply/a"), world.saw("alice", "epsilon")
    row_own = ring.sub(ring.from_int(mine), bobs)           # she shared it herself
    first = ring.add(received[0], ring.sub(row_x, a))       # x - a
    second = ring.add(received[1], ring.sub(row_own, again))    # x' - a
    guess = ring.to_int(ring.sub(first, second)) + mine
    return Lab(list(secret), _plausible(guess))


def read_update(weights, update, weak=True):
    """Alice reads a step of gradient descent when W keeps its mask after the update.

    W is opened as W - b before the step and W - g - b after it. She has bob's rows of both, which
    came in messages, and her own, which she sent.
    """
    weights, update = _whole("read_update", weights), _whole("read_update", update)
    _alike("read_update", weights, update)
    world = _world(_same_every_time("matmul/b"), weak)
    w, g = (_given(world, world.server, [v], name)
            for v, name in ((weights, "W"), (update, "g")))
    x = _given(world, world.workers[0], [[3]], "x")
    matmul(x, w)
    matmul(x, w - g)

    ring = world.ring
    (row_w,), (row_g,) = world.saw("alice", "W"), world.saw("alice", "g")
    (b, again), received = world.saw("alice", "matmul/b"), world.saw("alice", "delta")
    before = ring.add(received[0], ring.sub(row_w, b))      # W - b
    after = ring.add(received[1], ring.sub(ring.sub(row_w, row_g), again))      # W - g - b
    return Lab(list(update), _plausible(ring.to_int(ring.sub(before, after))[0]))


def _plausible(numbers):
    """Small numbers as found; large ones are noise."""
    return [int(v) if abs(int(v)) < SIZE else None for v in numbers]


# ------------------------------------------------------------------ a worker, with a guessable seed


def read_from_seed(secret, weak=True, seeds=3600):
    """Bob reads what the server shares when masks come from a NumPy generator with a clock's seed.

    He knows some coins himself; he tries every second of the last hour until one seed explains
    them, and then has alice's mask too.
    """
    secret = _whole("read_from_seed", secret, 2**63)
    generator = np.random.default_rng(1234)

    def from_generator(label, ring, shape):
        return generator.integers(0, 2**64, shape, dtype=np.uint64)

    world = _world(from_generator, weak)
    _given(world, world.server, secret, "x")                # alice's row: the mask; bob's: the rest
    known = world.common_coins(world.ring, (2,), "known")[0]
    row, = world.saw("bob", "x")
    for seed in range(seeds):
        guess = np.random.default_rng(seed)
        mask = guess.integers(0, 2**64, row.shape, dtype=np.uint64)
        if np.array_equal(guess.integers(0, 2**64, 2, dtype=np.uint64), known):
            return Lab(list(secret), [int(v) for v in world.ring.to_int(row + mask)])
    return Lab(list(secret), [None] * len(secret))
