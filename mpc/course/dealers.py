"""Triples without a dealer, and functions in shares: the ideas, on small numbers.

Two workers can make their own correlated randomness, by oblivious transfer or by
homomorphic encryption. And function secret sharing deals a table in a few bytes.

    >>> c = triple_by_transfers((3, 1), (2, 5), [[7] * 4, [9] * 4], bits=4)
    >>> sum(c) % 16 == (3 + 1) * (2 + 5) % 16
    True

THESE ARE LESSONS AND PROTECT NOTHING. A group of 11 elements and primes of seven digits
are broken in microseconds; real ones have 256 bits (of an elliptic curve) and 1,536
bits. Keys, exponents and masks are arguments, so that a test can enumerate them. All
parties are semi-honest, and nothing here defends against timing.

Sources: Chou and Orlandi, LATINCRYPT 2015; Gilboa, CRYPTO 1999; Paillier, EUROCRYPT
1999; Boyle, Gilboa and Ishai, CCS 2016; Boyle et al., EUROCRYPT 2021.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import lcm
from typing import Any, NamedTuple

# ------------------------------------------------------------------ oblivious transfer


class Group(NamedTuple):
    """The powers of g modulo a prime p: q elements, for a prime q."""

    p: int
    q: int
    g: int


SMALL = Group(23, 11, 2)


def choose(group: Group, offer: int, b: int, choice: int) -> int:
    """The receiver's word: g^b for message 0, and g^b times the `offer` for message 1.

    The sender has offered g^a. For a uniform b below q, the word is a uniform element
    of the group for either choice, so the sender learns nothing at all.
    """
    return pow(group.g, b, group.p) * (offer if choice else 1) % group.p


def lock(group: Group, a: int, word: int, messages: Sequence[int]) -> list[int]:
    """Both messages of 64 bits, each under the key of one choice.

    The keys are hashes of word^a and of (word / g^a)^a. The receiver knows g^(a b), one
    of them. The other one would take a discrete logarithm (easy in a small group).
    """
    offer = pow(group.g, a, group.p)
    bases = word, word * pow(offer, -1, group.p)
    return [m ^ _pad(pow(base, a, group.p), i)
            for i, (base, m) in enumerate(zip(bases, messages, strict=True))]


def unlock(group: Group, offer: int, b: int, choice: int, locked: Sequence[int]) -> int:
    """The message of the receiver's choice."""
    return locked[choice] ^ _pad(pow(offer, b, group.p), choice)


def _pad(element, i):
    return int.from_bytes(hashlib.shake_128(f"{i} {element}".encode()).digest(8), "big")


# ------------------------------------------------------------------ Gilboa's product


def product_by_transfers(x: Any, y: Any, masks: Sequence, bits: int) -> tuple:
    """Shares of x y modulo 2^bits: (alice's, bob's, what alice has received).

    Alice knows x and bob knows y. For each bit i of x, bob sends r_i or r_i + 2^i y by
    an oblivious transfer, which is ideal here, and alice chooses by her bit. `masks`
    are the r_i, one for each bit. Each message that alice receives has a mask of its
    own, and bob receives nothing. Numbers, or arrays of them.
    """
    if len(masks) != bits:
        raise ValueError(f"product_by_transfers: {len(masks)} masks for {bits} bits; "
                         "give each transfer its own")
    received = [(r + ((x >> i) & 1) * (y << i)) % 2**bits for i, r in enumerate(masks)]
    return sum(received) % 2**bits, -sum(masks) % 2**bits, received


def triple_by_transfers(a: tuple, b: tuple, masks: Sequence, bits: int) -> tuple:
    """Shares (alice's, bob's) of a b, for shares a and b that they drew themselves.

    Each computes one product alone, a_0 b_0 and a_1 b_1. The two others take `bits`
    transfers each, under two lists of `masks`.
    """
    p_0, p_1, _ = product_by_transfers(a[0], b[1], masks[0], bits)
    q_0, q_1, _ = product_by_transfers(b[0], a[1], masks[1], bits)
    return (a[0] * b[0] + p_0 + q_0) % 2**bits, (a[1] * b[1] + p_1 + q_1) % 2**bits


# ------------------------------------------------------------------ Paillier


class Paillier(NamedTuple):
    """Paillier's keys: n is public, the order secret."""

    n: int
    order: int


def paillier(p: int, q: int) -> Paillier:
    """The keys of two primes of similar size, whose product n everybody may know."""
    return Paillier(p * q, lcm(p - 1, q - 1))


def encrypt(n: int, m: int, r: int) -> int:
    """A ciphertext of m, with a coin r that has no common divisor with n.

    (1 + n)^m is 1 + m n modulo n^2. A product of ciphertexts is a ciphertext of the
    sum, and a power is a ciphertext of a multiple.
    """
    return (1 + m % n * n) * pow(r, n, n * n) % (n * n)


def decrypt(key: Paillier, c: int) -> int:
    """The number below n in a ciphertext: the power `order` cancels the coin."""
    n, order = key
    return (pow(c, order, n * n) - 1) // n * pow(order, -1, n) % n


def triple_by_encryption(key: Paillier, a: tuple, b: tuple, mask: int,
                         coins: Sequence[int], bits: int) -> tuple:
    """Shares of a b modulo 2^bits: (alice's, bob's, what alice has decrypted).

    Alice has the key and sends ciphertexts of a_0 and b_0. Bob answers with a
    ciphertext of a_0 b_1 + b_0 a_1 + mask. He sees only ciphertexts. She sees a number
    below 2^(2 bits + 1) under the mask: its statistical distance from noise is at most
    2^(2 bits + 1) / M, for a uniform mask below M. The sum must stay below n.
    """
    n = key.n
    if (2 << 2 * bits) + mask >= n:
        raise ValueError(f"triple_by_encryption: {bits} bits under a mask of "
                         f"{mask.bit_length()} outgrow n; take larger primes")
    of_a, of_b = (encrypt(n, v, r) for v, r in zip((a[0], b[0]), coins, strict=False))
    answer = (pow(of_a, b[1], n * n) * pow(of_b, a[1], n * n)
              * encrypt(n, mask, coins[2])) % (n * n)
    decrypted = decrypt(key, answer)
    return ((a[0] * b[0] + decrypted) % 2**bits, (a[1] * b[1] - mask) % 2**bits,
            decrypted)


# ------------------------------------------------------------------ functions in shares


class PointKey(NamedTuple):
    """One worker's share of the function [x = place]: where its tree begins."""

    seed: bytes
    bit: int                    # 0 for alice, 1 for bob
    corrections: list           # of each level: (seed, left bit, right bit)


def point_keys(place: int, depth: int, seeds: Sequence[bytes]) -> list[PointKey]:
    """Keys of alice and bob for the function that is 1 at `place` and 0 elsewhere.

    `place` has `depth` bits. Each worker grows a binary tree from its own seed. Off the
    path to the place both trees are equal, seeds and bits; on the path the seeds are
    independent and the bits differ. The dealer gives both workers the same corrections,
    which make the trees equal at each node off the path. A key hides the place as long
    as SHAKE-128 of a random seed looks random: no table of views can show that.
    """
    states = [(seed, bit) for bit, seed in enumerate(seeds)]
    corrections = []
    for level in reversed(range(depth)):
        turn = place >> level & 1
        grown = [_grow(seed) for seed, _ in states]
        lost = _xor(*(children[1 - turn][0] for children in grown))
        bits = [grown[0][side][1] ^ grown[1][side][1] ^ (side == turn)
                for side in (0, 1)]
        corrections.append((lost, *bits))
        states = [_step(state, corrections[-1], turn) for state in states]
    return [PointKey(seed, bit, corrections) for bit, seed in enumerate(seeds)]


def evaluate(key: PointKey, x: int) -> int:
    """A worker's XOR share of [x = place], without a message."""
    return states_to(key, x)[-1][1]


def states_to(key: PointKey, x: int) -> list[tuple[bytes, int]]:
    """The (seed, bit) of each node on the way to leaf x, the root first."""
    states = [(key.seed, key.bit)]
    for i, correction in enumerate(key.corrections):
        turn = x >> (len(key.corrections) - 1 - i) & 1
        states.append(_step(states[-1], correction, turn))
    return states


class ComparisonKey(NamedTuple):
    """One worker's share of the function [x < bound]."""

    point: PointKey             # of the function [x = bound]
    values: list                # corrections of each level: (left value, right value)


def comparison_keys(bound: int, depth: int,
                    seeds: Sequence[bytes]) -> list[ComparisonKey]:
    """Keys of alice and bob for the function that is 1 below `bound` and else 0.

    Each node of the tree has a value, too, one more random bit, and a worker adds up
    (XOR) the values on its way. Off the path to the bound both trees are equal, so the
    values of alice and bob cancel. The corrections make them cancel on the path and at
    its siblings as well, except at a left sibling: every x under it is below the bound,
    so there they add up to 1. (The paper carries a sum along the path and so needs one
    bit for each level, not two, and another one at the end.)
    """
    keys = point_keys(bound, depth, seeds)
    paths = zip(*(states_to(key, bound)[:-1] for key in keys), strict=True)
    values = []
    for level, ((seed, _), (other, _)) in enumerate(paths):
        turn = bound >> (depth - 1 - level) & 1
        pairs = zip(_grow(seed), _grow(other), strict=True)
        left, right = (one[2] ^ its[2] for one, its in pairs)
        values.append((left ^ turn, right))
    return [ComparisonKey(key, values) for key in keys]


def is_below(key: ComparisonKey, x: int) -> int:
    """A worker's XOR share of [x < bound], without a message."""
    share = 0
    for level, (seed, bit) in enumerate(states_to(key.point, x)[:-1]):
        turn = x >> (len(key.values) - 1 - level) & 1
        share ^= _grow(seed)[turn][2] ^ bit & key.values[level][turn]
    return share


def _grow(seed):
    """Two children (seed, bit, value) of a node."""
    out = hashlib.shake_128(seed).digest(2 * len(seed) + 1)
    n, bits = len(seed), out[-1]
    return ((out[:n], bits & 1, bits >> 2 & 1),
            (out[n:-1], bits >> 1 & 1, bits >> 3 & 1))


def _step(state, correction, turn):
    """The child of a node, corrected if the bit of the node is 1."""
    seed, bit = state
    child, flag, _ = _grow(seed)[turn]
    if not bit:
        return child, flag
    return _xor(child, correction[0]), flag ^ correction[1 + turn]


def _xor(one, other):
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
