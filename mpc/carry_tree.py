"""The carry tree, a parallel-prefix adder: comparison for any number of workers.

A secret x is opened under a mask r whose bits the provider has shared: c = x + r is
uniform, and x = c - r. The top bit of that difference is c's top bit, r's top bit and
the borrow from the bits below, added mod 2. The borrow is a carry of c + not r + 1,
which a tree of ANDs finds in log2 l levels. The provider receives nothing.

In four bits, x = 5 and r = 13: c = 2, and 2 - 13 = 5 mod 16. The three low bits of c
are 2 and those of r are 5: the subtraction borrows (1), c's top bit is 0 and r's is 1,
and 1 + 0 + 1 = 0 mod 2 is the top bit of 5.

A position of a sum *generates* a carry (g) if both bits are 1, and *propagates* one (p)
if exactly one is. All bits are packed: the first axis runs over the l bits of a number,
the last over bytes that hold the bits of eight elements each, so one AND of two arrays
serves all of them. In the ring `Bits`, + and plus() are XOR; products are AND.
"""

import numpy as np

from mpc.beaver import deal, multiply, share_offline
from mpc.ledger import step
from mpc.ring import Bits, Z2k, bits_of, pack_bits, unpack_bits
from mpc.securenn import xor_public
from mpc.share import Share, concatenate, shown

BITS = Bits()


def fold(x: Share, axis: int, combine) -> Share:
    """Combine neighbours along an axis of x, left and right, until one is left.

    Each level halves their number; the last of an odd number waits. The axis goes.
    """
    def cut(*ends):
        return x[(slice(None),) * axis + (slice(*ends),)]
    while (n := x.shape[axis]) > 1:
        pairs = combine(cut(0, n - 1, 2), cut(1, n, 2))
        x = concatenate([pairs, cut(n // 2 * 2, n)], axis)
    return x[(slice(None),) * axis + (0,)]


@step(over=Z2k, rounds=1, online="(k - 1)*k*w*n", offline="l*ceil(n/8)",
      source="Catrina and de Hoogh, SCN 2010; edaBits (Escudero et al., CRYPTO 2020)")
def masked_bits(x: Share) -> tuple[np.ndarray, Share]:
    """Open c = x + r: the bits of c, which all workers know, and shares of those of r.

    For x (..., n), both packed: (l, ..., n / 8).
    """
    if x.ndim == 0:
        raise ValueError("masked_bits: a single number has no axis; reshape it to (1,)")
    l = x.ring.bits
    r, r_value = deal(x.world, x.ring, x.shape, "r")
    r_bits, = share_offline(x.world, r_bits=(pack_bits(bits_of(r_value, l)), BITS))
    c, = x.world.open(c=x + r)
    return pack_bits(bits_of(c, l)), r_bits


@step(shares=2, over=Bits, rounds="levels(l)", online="(k - 1)*k*3*(l - 1)*ceil(n/8)",
      offline="2*(l - 1)*ceil(n/8)", source="Brent and Kung; MP-SPDZ's CarryOutRaw")
def carry(g: Share, p: Share) -> Share:
    """The carry out of bits that generate (g) or propagate (p) one, (..., n / 8).

    Two neighbours combine to (g_hi XOR p_hi g_lo, p_hi p_lo). Both products share p_hi,
    which is opened once. The p of the lowest bit never matters.
    """
    def node(lo, hi):
        both = multiply(hi[1], lo)
        return concatenate([hi[:1] + both[:1], both[1:]])
    return fold(concatenate([g[None], p[None]]), 1, node)[0]


@step(over=Z2k, rounds="1 + levels(l - 1)", source="x = c + not r + 1, by `carry`",
      online="(k - 1)*k*(w*n + 3*(l - 2)*ceil(n/8))", offline="(3*l - 4)*ceil(n/8)")
def msb(x: Share) -> Share:
    """XOR shares of the top bit of x (..., n), packed: exact over the whole ring."""
    c, r = masked_bits(x)
    top, not_r = x.ring.bits - 1, r.plus(255)
    if top == 0:
        return r[0].plus(c[:, 0])
    low = c[:, :top]
    g, p = not_r[:top].times(low), not_r[:top].plus(low)    # local, since c is known
    g = concatenate([g[:1] + p[:1], g[1:]])     # carry-in 1: bit 0 carries if g or p
    return (not_r[top] + carry(g, p)).plus(c[:, top])


@step(over=Bits, rounds=1, online="(k - 1)*k*ceil(n/8)", offline="w*n",
      source="daBits (Rotaru and Wood, INDOCRYPT 2019): b XOR m = b + m - 2 b m")
def bit_to_arithmetic(bits: Share, n: int, ring: Z2k) -> Share:
    """Shares over `ring` of n packed bits, through a dealt bit b that nobody knows."""
    if not isinstance(n, int) or bits.shape[-1:] != (-(-n // 8),):
        raise ValueError(f"bit_to_arithmetic: shape {bits.shape} does not hold "
                         f"{shown(n)} packed bits; give one byte for each eight")
    b, b_value = deal(bits.world, BITS, bits.shape, "b")
    b_value = unpack_bits(b_value, n).astype(ring.dtype)
    b_ring, = share_offline(bits.world, b=(b_value, ring))
    m, = bits.world.open(m=bits + b)
    return xor_public(b_ring, unpack_bits(m, n))


@step(over=Z2k, rounds="2 + levels(l - 1)", offline="w*n + (3*l - 4)*ceil(n/8)",
      online="(k - 1)*k*(w*n + (3*l - 5)*ceil(n/8))", source="`msb` and a daBit")
def drelu(x: Share) -> Share:
    """Shares of [x >= 0], 0 or 1 without a scale, for any x; drelu(0) = 1.

    At l = 64 each of two workers sends 31.4 bytes for an element.
    """
    flat = x.reshape(-1)
    bit = bit_to_arithmetic(msb(flat), flat.shape[0], x.ring)
    return (-bit).plus(1).reshape(x.shape)


@step(over=Bits, rounds="levels(l)", online="(k - 1)*k*2*(l - 1)*ceil(n/8)",
      offline="(l - 1)*ceil(n/8)", source="a tree of ANDs")
def and_all(bits: Share) -> Share:
    """The AND of l packed bits, (l, ..., n / 8) -> (..., n / 8)."""
    return fold(bits, 0, multiply)


@step(over=Z2k, rounds="2 + levels(l)", offline="w*n + (2*l - 1)*ceil(n/8)",
      online="(k - 1)*k*(w*n + (2*l - 1)*ceil(n/8))", source="`and_all` and a daBit")
def is_zero(x: Share) -> Share:
    """Shares of [x == 0]: then, and only then, x + r and r have the same bits.

    At l = 64 each of two workers sends 23.9 bytes for an element, fewer than for drelu.
    """
    flat = x.reshape(-1)
    c, r = masked_bits(flat)
    same = and_all(r.plus(c ^ 255))                             # not (c XOR r)
    return bit_to_arithmetic(same, flat.shape[0], x.ring).reshape(x.shape)
