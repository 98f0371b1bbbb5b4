"""The carry tree, a parallel-prefix adder: comparison for any number of workers.

An opened secret is x = epsilon + a: everybody knows epsilon, the provider the mask a.
The top bit of a sum is the XOR of both top bits and of the carry out of the bits below.
A group of bits *generates* a carry (g), or *propagates* the carry of the bits below it
(p), or neither. Two neighbours combine into one group, so a tree of ANDs finds the
carry in log2 levels. The provider receives nothing.

The leaves are groups of four bits. Let u be those of epsilon and v those of the mask:
u + v >= 16 generates a carry, u + v = 15 propagates one. The provider deals shares of
the table [v > i], i = 0 .. 14, and the workers, who know u, look up [v > 15 - u] and
[v > 14 - u].

In eight bits, x = 5 and a = 0xd3 = 1 1010 011: epsilon = 0x32 = 0 0110 010. The lowest
group has three bits, and 2 + 3 is neither 8 nor 7. The next generates a carry: 6 + 10 =
16. The top bits are 0 and 1, and 0 + 1 + 1 = 0 mod 2 is the top bit of 5.

All bits are packed: the first axis runs over the bits of a number, the last over bytes
that hold the bits of eight elements each. In the ring `Bits`, + and plus() are XOR;
products are AND.
"""

from math import prod

import numpy as np

from mpc.beaver import as_share, masked, multiply, share_offline
from mpc.ledger import step
from mpc.ring import Bits, Z2k, is_integer, packed_bits_of, unpack_bits
from mpc.share import Share, concatenate, shown

BITS = Bits()
G_ALONE = np.array([255, 0], BITS.dtype)        # of the pair g, p


def fold(x: Share, axis: int, combine) -> Share:
    """Combine neighbours along an axis of x, left and right, until one is left.

    Each level halves their number; the last of an odd number waits. The axis goes.
    """
    def cut(*ends):
        return x[(slice(None),) * axis + (slice(*ends),)]
    while (n := x.shape[axis]) > 1:
        pairs = combine(cut(0, n - 1, 2), cut(1, n, 2))
        x = concatenate([pairs, cut(n - 1, n)], axis) if n % 2 else pairs
    return x[(slice(None),) * axis + (0,)]


# ---- the bits of an opened secret


def known_bits(x: Share, low: int = 0, less: int = 0) -> list[np.ndarray]:
    """Packed bits of two numbers that sum to x - less: one public, one the provider's.

    Both (holders, l - low, ..., n / 8) for x (..., n). If `low` bits are cut off, the
    mask is rounded up: the sum is then x / 2^low, rounded up or down.
    """
    if x.ndim == 0:
        raise ValueError("a single number has no axis to pack; reshape it to (1,)")
    if not is_integer(low) or not 0 <= low < x.ring.bits:
        raise ValueError(f"low={shown(low)}: cut off 0 to {x.ring.bits - 1} bits")
    ring, (secret,) = x.ring, masked(epsilon=x)
    a = secret.terms[0].value
    numbers = ring.sub(secret.constant, less) >> low, (a >> low) + (a % 2**low > 0)
    return [packed_bits_of(number, ring.bits - low) for number in numbers]


def leaves(x: Share, c: np.ndarray, v: np.ndarray) -> tuple[Share, Share]:
    """Shares of g and p of each group of four bits of c + v, (groups, ..., n / 8).

    Bits missing from the lowest group propagate a carry, and none enters them.
    """
    def grouped(bits, fill):                        # (holders, 4, groups, ..., n / 8)
        missing = np.full_like(bits[:, [0] * (-bits.shape[1] % 4)], fill)
        bits = np.concatenate([missing, bits], axis=1)
        shape = len(bits), bits.shape[1] // 4, 4, *bits.shape[2:]
        return bits.reshape(shape).swapaxes(1, 2)

    u, more_than = one_hot(grouped(c, 255)), thresholds(grouped(v, 0))
    table, = share_offline(x.world, table=(more_than, BITS))
    g = table.times(u[:, :0:-1]).sum(0)                     # [v > i] for i = 15 - u
    at_least = table.times(u[:, -2::-1]).sum(0).plus(u[:, 15])      # [v > i - 1]
    return g, g + at_least


def one_hot(u: np.ndarray) -> np.ndarray:
    """[u = i] for all i < 2^b, for b bits u (holders, b, ...), the lowest first."""
    found = np.full_like(u[:, :1], 255)
    for i in range(u.shape[1]):
        bit = u[:, i:i + 1]
        found = np.concatenate([found & ~bit, found & bit], axis=1)
    return found


def thresholds(v: np.ndarray) -> np.ndarray:
    """[v > i] for all i < 2^b - 1, for b bits v (holders, b, ...), the lowest first."""
    table = v[:, :0]
    for i in range(v.shape[1]):
        bit = v[:, i:i + 1]
        table = np.concatenate([bit | table, bit, bit & table], axis=1)
    return table


# ---- the tree


@step(shares=2, over=Bits, rounds="levels(l)", online="(k - 1)*k*3*(l - 1)*ceil(n/8)",
      offline="2*(l - 1)*ceil(n/8)", source="Brent and Kung; MP-SPDZ's CarryOutRaw")
def carry(g: Share, p: Share) -> Share:
    """The carry out of bits that generate (g) or propagate (p) one, (..., n / 8).

    Two neighbours combine to (g_hi XOR p_hi g_lo, p_hi p_lo). Both products share p_hi,
    which is opened once. The p of the lowest bit never matters.
    """
    g_alone = G_ALONE.reshape(1, 2, *(1,) * g.ndim)

    def node(lo, hi):
        return hi.times(g_alone) + multiply(hi[1:], lo)
    return fold(concatenate([g[None], p[None]]), 1, node)[0]


def top_bit(x: Share, c: np.ndarray, v: np.ndarray) -> Share:
    """Shares of the top bit of c + v, from the bits of both."""
    top, = share_offline(x.world, top=(v[:, -1], BITS))
    signs = top.plus(c[:, -1])
    return signs + carry(*leaves(x, c[:, :-1], v[:, :-1])) if c.shape[1] > 1 else signs


@step(over=Z2k, rounds="1 + levels(g)", offline="(17*g - 1)*ceil(n/8)",
      online="(k - 1)*k*(w*n + 3*(g - 1)*ceil(n/8))",
      source="Catrina and de Hoogh, SCN 2010, with a dealt table for each four bits")
def msb(x: Share, low: int = 0) -> Share:
    """XOR shares of the top bit of x (..., n), packed: exact over the whole ring.

    With `low` bits cut off, as many fewer are compared (l - low for l). The answer is
    the sign of a quotient x / 2^low, rounded up or down: -2^low < x < 0 may be taken
    for positive, and the quotient of x by any multiple of 2^low is then 0. Beyond the
    range of that quotient, x > 2^(l-1) - 2^low may be taken for negative.
    """
    return top_bit(x, *known_bits(x, low))


@step(over=Bits, rounds=1, online="(k - 1)*k*ceil(n/8)", offline="w*n",
      source="daBits (Rotaru and Wood, INDOCRYPT 2019): b XOR m = b + m - 2 b m")
def bit_to_arithmetic(bits: Share, n: int, ring: Z2k) -> Share:
    """Shares over `ring` of n packed bits, opened under a bit b dealt in both rings."""
    if not isinstance(ring, Z2k):
        raise ValueError(f"bit_to_arithmetic: {shown(ring)} is no Z_2^l; take "
                         "world.ring")
    if not isinstance(n, int) or bits.shape[-1:] != (-(-n // 8),):
        raise ValueError(f"bit_to_arithmetic: shape {bits.shape} does not hold "
                         f"{shown(n)} packed bits; give one byte for each eight")
    b, b_rows = bits.world.deal(BITS, bits.shape, "b")
    value = unpack_bits(BITS.sum(b_rows, axis=1), n).astype(ring.dtype)
    share, = share_offline(bits.world, b=(value, ring))
    m, = bits.world.open(m=bits + b)
    m = unpack_bits(m, n).astype(ring.dtype)
    return as_share(m, (ring.sub(1, m + m), share, value), like=bits)


@step(over=Z2k, rounds="2 + levels(g)", offline="w*n + (17*g - 1)*ceil(n/8)",
      online="(k - 1)*k*(w*n + (3*g - 2)*ceil(n/8))", source="`msb` and a daBit")
def drelu(x: Share, low: int = 0) -> Share:
    """Shares of [x >= 0], 0 or 1 without a scale, for any x; drelu(0) = 1.

    `low` as in `msb`. At l = 64 each of two workers sends 13.75 bytes for an element, 8
    of which open x. The bit is opened, so its products with opened secrets are free.
    """
    positive = msb(x.reshape(-1), low).plus(255)
    return bit_to_arithmetic(positive, prod(x.shape), x.ring).reshape(x.shape)


@step(over=Z2k, rounds="2 + levels(g)",
      online="(k - 1)*k*(w*n + (3*g - 2)*m*ceil(n/8))",
      offline="w*n*m + (15*g + 1)*ceil(n/8) + 2*(g - 1)*m*ceil(n/8)",
      source="`drelu` for many numbers, of which the provider knows one mask")
def at_least(x: Share, thresholds: np.ndarray) -> Share:
    """Shares of [x >= t] for each of m public integers, (m, *x.shape), for any x - t.

    One opening of x and one table of its mask serve all thresholds. At l = 64 each of
    two workers sends 8 bytes for an element, and 5.75 for each threshold.
    """
    flat, ring = x.reshape(-1), x.ring
    t = raw_thresholds(thresholds).reshape(1, -1, 1)
    secret, = masked(epsilon=flat)
    c = packed_bits_of(ring.sub(secret.constant[:, None], t), ring.bits)
    v = packed_bits_of(secret.terms[0].value[:, None], ring.bits)
    positive = top_bit(x, c, v).plus(255)
    bits = bit_to_arithmetic(positive, prod(x.shape), ring)
    return bits.reshape(t.size, *x.shape)


def raw_thresholds(thresholds: np.ndarray) -> np.ndarray:
    """Public integers as words; raises for other numbers."""
    t = np.asarray(thresholds)
    if t.dtype != np.int64 or t.ndim != 1:
        raise TypeError(f"at_least: {shown(t)} came; give the public thresholds as one "
                        "axis of int64, at the scale of x")
    return t.view(np.uint64)


@step(over=Bits, rounds="levels(l)", online="(k - 1)*k*2*(l - 1)*ceil(n/8)",
      offline="(l - 1)*ceil(n/8)", source="a tree of ANDs")
def and_all(bits: Share) -> Share:
    """The AND of l packed bits, (l, ..., n / 8) -> (..., n / 8)."""
    return fold(bits, 0, multiply)


@step(over=Z2k, rounds="2 + levels(ceil(l/4))", source="`and_all` and a daBit",
      online="(k - 1)*k*(w*n + (2*ceil(l/4) - 1)*ceil(n/8))",
      offline="w*n + (16*ceil(l/4) - 1)*ceil(n/8)")
def is_zero(x: Share) -> Share:
    """Shares of [x == 0]: then, and only then, x - 1 has ones alone.

    That is, all bits of epsilon - 1 and the mask propagate. At l = 64 each of two
    workers sends 11.9 bytes for an element, fewer than for drelu.
    """
    _, p = leaves(x, *known_bits(x.reshape(-1), less=1))
    return bit_to_arithmetic(and_all(p), prod(x.shape), x.ring).reshape(x.shape)
