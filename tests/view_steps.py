"""Protocol steps as experiments: inputs on tiny rings, and what each role must not tell apart.

A worker's own input share is fixed and all shares of the others are compared; the crypto provider
must not tell any inputs apart. `ideal_*` stand for a nested step that has its own tables: sound,
since those are equal for every fixed input, its coins are fresh, and its answer is right on every
coin, all of which the tests of that step show.
"""

from itertools import product

import numpy as np

from mpc import beaver, carry_tree, comparison, securenn, truncation
from mpc.ring import Odd, Z2k, Zm, prime_above
from mpc.securenn import CompareCoins
from mpc.share import Share

ALICE, BOB, P2, SERVER = "alice", "bob", "crypto_provider", "server"


# ------------------------------------------------------------------ steps


def reveal(world, x):
    """Server gets the refreshed rows of x."""
    world.gather(world.server, beaver.refresh(world.given(x)), name="x")


def share_by(owner):
    """`owner` shares the value x."""
    def step(world, x):
        rows = world._repeat(np.array([x], np.uint64), 0)
        return world.share(owner, (rows, world.ring), name="x")
    return step


def multiply(world, x, y):
    return beaver.multiply(world.given(x), world.given(y))


def multiply_reused(world, x, y, y2):
    """One x, opened once, in products with two partners."""
    secret = world.given(x)
    return beaver.multiply(secret, world.given(y)), beaver.multiply(secret, world.given(y2))


def multiply_twice(world, x, x2, y):
    """Two different secrets in two products: W before and after an update."""
    partner = world.given(y)
    return beaver.multiply(world.given(x), partner), beaver.multiply(world.given(x2), partner)


def matmul(world, x, y):
    """(1, 2) @ (2, 1)."""
    return beaver.matmul(world.given(np.reshape(x, (-1, 1, 2))), world.given(np.reshape(y, (-1, 2, 1))))


def matmul_in_three(world, x, y):
    """(1, 1) @ (1, 1), twice the product."""
    return beaver.matmul_in_three(world.given(np.reshape(x, (-1, 1, 1))),
                                  world.given(np.reshape(y, (-1, 1, 1))))


def three_reused(world, x, y, y2):
    """One x, opened once: forward, and transposed as in the gradient of the weights."""
    secret = world.given(np.reshape(x, (-1, 1, 1)))
    return (beaver.matmul_in_three(secret, world.given(np.reshape(y, (-1, 1, 1)))),
            beaver.matmul_in_three(secret.T, world.given(np.reshape(y2, (-1, 1, 1)))))


def square(world, x):
    return beaver.square(world.given(x))


def select_share(world, alpha, x, y):
    return securenn.select_share(world.given(alpha), world.given(x), world.given(y))


def private_compare(l, known=False, check=True):
    """x >? r on l bits; x_0 are alice's shares of the bits (l, ...), bob's follow."""
    def step(world, x, r, x_0):
        field = Zm(prime_above(l))
        bits = np.moveaxis(np.asarray(x)[..., None] >> np.arange(l) & 1, -1, 0)        # (l, ...)
        rows = np.stack([np.asarray(x_0), (bits - np.asarray(x_0)) % field.modulus])
        x_bits = world.given(rows, field, axis=1)
        r = world.known(r)
        coins = CompareCoins.draw(world, field, l, r.shape[1:])
        flags = np.ones(r.shape, bool) if known else None
        answer = securenn.private_compare(x_bits, r, coins, known=flags)
        true = known | (world.known(x) > r)
        assert not check or np.array_equal(answer == 1, (coins.beta == 1) ^ true)
    return step


def share_convert(world, a):
    y = securenn.share_convert(world.given(a))
    if (sum(np.asarray(a)) % world.ring.modulus != world.ring.modulus - 1).all():
        assert np.array_equal(y.ring.sum(y.rows, axis=0),
                              np.broadcast_to(_clear(world, a), y.shape))
    return y


def compute_msb(world, a):
    odd = Odd(world.ring.bits)
    bit = securenn.compute_msb(world.given(a, odd), world.ring)
    clear = np.asarray(sum(np.asarray(a)) % odd.modulus)
    expected = (clear >= 2 ** (odd.bits - 1)).astype(np.uint64)
    assert np.array_equal(bit.ring.sum(bit.rows, axis=0), np.broadcast_to(expected, bit.shape))
    return bit


def drelu(world, a):
    return securenn.drelu(world.given(a))


def relu(world, a):
    return comparison.relu(world.given(a))


def equal(world, x, y):
    return comparison.equal(world.given(x), world.given(y))


def provider_truncation(d):
    def step(world, x):
        return truncation.truncate_with_provider(world.given(x), d)
    return step


def masked_bits(world, x):
    return carry_tree.masked_bits(world.given(x))[1]


def masked_pair(world, x):
    """Two elements of each assignment, side by side in rows: the last axis runs over assignments."""
    return carry_tree.masked_bits(world.given(x, axis=1))[1]


def tree_drelu(world, x):
    bit = carry_tree.drelu(world.given(x))
    clear = world.ring.to_int(np.array(sum(x) % world.ring.modulus, np.uint64)[None])
    assert np.array_equal(bit.ring.sum(bit.rows, axis=0), np.broadcast_to(clear >= 0, bit.shape))
    return bit


def is_zero(world, x):
    return carry_tree.is_zero(world.given(x))


def bits_and(world, x, y):
    """The node of the tree: one bit, opened once, times two others."""
    def packed(rows):
        bits = np.repeat(np.array(rows, np.uint8)[..., None], world.n, axis=-1)
        return Share(world, carry_tree.BITS, carry_tree.pack_bits(bits))
    return beaver.multiply(packed(x), packed(y))


def to_ring(world, x):
    """A dealt bit brings one XOR-shared bit into the ring."""
    bits = np.repeat(np.array(x, np.uint8)[..., None], world.n, axis=-1)
    shared = Share(world, carry_tree.BITS, carry_tree.pack_bits(bits))
    return carry_tree.to_ring(shared, world.n, world.ring)


def one_hot_step(world, bit, pair):
    """The tournament's product: a bit, opened once, times a value and a place (2 elements)."""
    return beaver.multiply(world.given(np.reshape(bit, (-1, 1))), world.given(pair))


def _clear(world, rows):
    return np.asarray(sum(np.asarray(rows)) % world.ring.modulus)


# ------------------------------------------------------------------ ideal nested steps


def ideal_private_compare(x_bits, r, coins, *, known=None):
    """P2 gets beta XOR (x > r) and nothing else."""
    world, l = x_bits.world, x_bits.shape[0]
    bits = x_bits.ring.sum(x_bits.rows, axis=0).astype(np.uint64)
    x = sum(bits[i] << np.uint64(i) for i in range(l))[None]
    greater = x > r if known is None else (x > r) | known
    answer = (greater ^ (coins.beta == 1)).astype(np.uint8)
    world.see(P2, answer, Zm(2), "answer")
    return answer


def _fresh(world, ring, clear, name):
    """Shares of what nobody computed: alice's row is a coin of hers, bob gets the rest."""
    mask, = world._draw([frozenset([ALICE])], ring, clear.shape, name)
    rows = np.stack([mask, ring.sub(clear, mask)])
    world.see(BOB, rows[1:], ring, name)
    return Share(world, ring, rows)


def ideal_multiply(x, y):
    """The workers get fresh shares of x * y."""
    ring = x.ring
    clear = ring.mul(ring.sum(x.rows, axis=0), ring.sum(y.rows, axis=0))
    return _fresh(x.world, ring, clear, "product")


def ideal_drelu(a):
    """The workers get fresh shares of [a >= 0]."""
    clear = (a.ring.to_int(a.ring.sum(a.rows, axis=0)) >= 0).astype(a.ring.dtype)
    return _fresh(a.world, a.ring, clear, "bit")


# ------------------------------------------------------------------ which inputs to compare


def splits(names, role, sizes, own=None):
    """For each own share of `role` (all, or the given ones): the cases of all shares of the other.

    `names` are inputs of two rows each with values below `sizes`; yields lists of dicts.
    """
    values = list(product(*(range(m) for m in sizes)))
    for mine in values if own is None else own:
        yield [{name: (m, o) if role == ALICE else (o, m) for name, m, o in zip(names, mine, other)}
               for other in values]


def every(names, sizes):
    """The cases of all rows of all inputs: what the provider must not tell apart."""
    grids = [list(product(range(m), repeat=2)) for m in sizes]
    return [dict(zip(names, rows)) for rows in product(*grids)]


RING2 = Z2k(2)
