"""The carry tree: comparison with zero for any number of workers; the provider hears nothing.

A secret x is opened under a mask r whose bits the provider has shared: c = x + r is uniform, and
x = c - r. The top bit of that difference is c's top bit, r's top bit and the borrow from the bits
below, added mod 2. The borrow is a carry of c + not r + 1, which a tree of ANDs finds in log2 l
levels: the Catrina-de Hoogh and edaBits family, as in MP-SPDZ's comparisons.

In four bits, x = 5 and r = 13: c = 2, and 2 - 13 = 5 mod 16. The three low bits of c are 2 and
those of r are 5: the subtraction borrows (1), c's top bit is 0 and r's is 1, and 1 + 0 + 1 = 0 mod
2 is the top bit of 5.

A position of a sum *generates* a carry (g) if both bits are 1, and *propagates* one (p) if just one
is. All bits are packed: the first axis runs over the l bits of a number, the last over bytes that
hold the bits of eight elements each, so that one AND of two arrays serves all of them. The ring is
`Bits`: + and plus() are XOR, times() and products are AND.
"""

import numpy as np

from mpc.beaver import multiply
from mpc.ledger import step
from mpc.ring import Bits, Z2k, pack_bits, unpack_bits
from mpc.securenn import xor_public
from mpc.share import concatenate, shown

BITS = Bits()


@step
def masked_bits(x):
    """Open x under a mask, and give the workers shares of the mask's bits.

    Parameters
    ----------
    x : Share over Z_2^l, (..., n)

    Returns
    -------
    c_bits : common (1 or 0, l, ..., n / 8)
        The packed bits of c = x + r.
    r_bits : Share of packed bits, (l, ..., n / 8)

    Notes
    -----
    Rounds: 1
    Bytes: (k - 1)*k*w*n online, l*ceil(n/8) offline
        for n elements of w bytes and l bits, k workers
    Security: c is uniform; safe from any coalition that lacks one worker. The provider
        receives nothing.
    Source: Catrina and de Hoogh, SCN 2010; Escudero et al., CRYPTO 2020 (edaBits).
    """
    world, ring = x.world, x.ring
    if not isinstance(ring, Z2k) or x.ndim == 0:
        raise ValueError(f"masked_bits: shape {x.shape} over {ring} has no bits to pack; take a "
                         "share over Z_2^l, and reshape a single number to (1,)")
    r, r_apart = world.deal(ring, x.shape, "r")
    r_clear = ring.sum(r_apart, axis=1)
    with world.ledger.offline():
        r_bits, = world.share(world.crypto_provider,
                              r_bits=(pack_bits(ring.bits_of(r_clear)), BITS))
    c, = world.open(c=x + r)
    return pack_bits(ring.bits_of(c)), r_bits


@step
def carry(g, p):
    """The workers get shares of the carry out of bits that generate (g) or propagate (p) one.

    Two neighbours combine to (g_hi XOR p_hi g_lo, p_hi p_lo), so that l bits take log2 l rounds.
    Both products of a node share p_hi, which is opened once.

    Parameters
    ----------
    g, p : Share of packed bits, (l, ..., m)
        The lowest bit first; above it, no bit both generates and propagates. The p of the lowest
        bit never matters: products with it are computed all the same, for the sake of one rule.

    Returns
    -------
    Share of packed bits, (..., m)

    Notes
    -----
    Rounds: levels(l)
    Bytes: (k - 1)*k*3*(l - 1)*m online, 2*(l - 1)*m offline
        for l rows of m bytes, k workers; levels(l) is log2 l, rounded up
    Security: that of multiply.
    Source: Brent and Kung's operator, as in MP-SPDZ's CarryOutRaw.
    """
    while g.shape[0] > 1:
        pairs = g.shape[0] // 2 * 2
        g_lo, g_hi, p_lo, p_hi = g[0:pairs:2], g[1:pairs:2], p[0:pairs:2], p[1:pairs:2]
        both = multiply(p_hi, concatenate([g_lo[None], p_lo[None]]))
        g = concatenate([g_hi + both[0], g[pairs:]])
        p = concatenate([both[1], p[pairs:]])
    return g[0]


@step
def msb(x):
    """The workers get XOR shares of the top bit of x, packed, and learn nothing.

    Parameters
    ----------
    x : Share over Z_2^l, (..., n)
        Any value: exact over the whole ring.

    Returns
    -------
    Share of packed bits, (..., n / 8)

    Notes
    -----
    Rounds: 1 + levels(l - 1)
    Bytes: (k - 1)*k*(w*n + 3*(l - 2)*ceil(n/8)) online, (3*l - 4)*ceil(n/8) offline
        for n elements of w bytes and l bits, k workers; levels(l) is log2 l, rounded up
    Security: that of masked_bits and carry.
    Source: x = c - r = c + not r + 1, whose carry into the top bit is 1 XOR the borrow.
    """
    c, r = masked_bits(x)
    ones = np.full_like(c, 255)
    not_r, top = r.plus(ones), x.ring.bits - 1
    low = not_r[:top]
    g, p = low.times(c[:, :top]), low.plus(c[:, :top])       # c is known: both are local
    if top == 0:
        return r[top].plus(c[:, top])
    g = concatenate([g[:1] + p[:1], g[1:]])     # with a carry-in of 1, bit 0 carries if g or p
    return (not_r[top] + carry(g, p)).plus(c[:, top])


@step
def bit_to_arithmetic(bits, n, ring):
    """The workers get shares over `ring` of n packed bits, and learn nothing.

    Parameters
    ----------
    bits : Share of packed bits, (..., n / 8)
    n : int
    ring : Z2k

    Returns
    -------
    Share over `ring`, (..., n)

    Notes
    -----
    Rounds: 1
    Bytes: (k - 1)*k*ceil(n/8) online, w*n offline
        for n elements of w bytes, k workers
    Security: the opened bit is masked by one that nobody knows; safe from any coalition that
        lacks one worker.
    Source: Rotaru and Wood, INDOCRYPT 2019 (daBits): b XOR m = b + m - 2 b m.
    """
    world = bits.world
    if bits.ring != BITS or not isinstance(n, int) or bits.shape[-1:] != (-(-n // 8),):
        raise ValueError(f"bit_to_arithmetic: shape {bits.shape} over {bits.ring} does not hold {shown(n)} "
                         "packed bits; give a byte along the last axis for each eight")
    b, b_apart = world.deal(BITS, bits.shape, "b")
    b_clear = BITS.sum(b_apart, axis=1)
    with world.ledger.offline():
        b_ring, = world.share(world.crypto_provider, b=(_unpacked(b_clear, n, ring), ring))
    m, = world.open(m=bits + b)
    return xor_public(b_ring, _unpacked(m, n, ring))


def _unpacked(packed, n, ring):
    return unpack_bits(packed, n).astype(ring.dtype)


@step
def drelu(x):
    """The workers get shares of [x >= 0], and learn nothing. The provider receives nothing.

    Parameters
    ----------
    x : Share over Z_2^l
        Any shape and any value of the ring.

    Returns
    -------
    Share over Z_2^l
        0 or 1, without a scale, of the same shape. drelu(0) = 1.

    Notes
    -----
    Rounds: 2 + levels(l - 1)
    Bytes: (k - 1)*k*(w*n + (3*l - 5)*ceil(n/8)) online, w*n + (3*l - 4)*ceil(n/8) offline
        for n elements of w bytes and l bits, k workers; levels(l) is log2 l, rounded up. At
        l = 64 and two workers each sends 31.4 bytes for an element.
    Security: semi-honest; safe from any coalition that lacks one worker, and the provider.
    Source: the carry tree of this module; SecureNN's DReLU has the same 8 rounds.
    """
    flat = x.reshape(-1)
    bit = bit_to_arithmetic(msb(flat), flat.shape[0], x.ring)
    return (-bit).plus(1).reshape(x.shape)


@step
def and_all(bits):
    """The workers get shares of the AND of several rows of packed bits, and learn nothing.

    Parameters
    ----------
    bits : Share of packed bits, (l, ..., m)

    Returns
    -------
    Share of packed bits, (..., m)

    Notes
    -----
    Rounds: levels(l)
    Bytes: (k - 1)*k*2*(l - 1)*m online, (l - 1)*m offline
        for l rows of m bytes, k workers; levels(l) is log2 l, rounded up
    Security: that of multiply.
    Source: a tree of ANDs.
    """
    while bits.shape[0] > 1:
        pairs = bits.shape[0] // 2 * 2
        bits = concatenate([multiply(bits[0:pairs:2], bits[1:pairs:2]), bits[pairs:]])
    return bits[0]


@step
def is_zero(x):
    """The workers get shares of [x == 0], and learn nothing. The provider receives nothing.

    Parameters
    ----------
    x : Share over Z_2^l
        Any shape and any value of the ring.

    Returns
    -------
    Share over Z_2^l
        0 or 1, without a scale, of the same shape.

    Notes
    -----
    Rounds: 2 + levels(l)
    Bytes: (k - 1)*k*(w*n + (2*l - 1)*ceil(n/8)) online, w*n + (2*l - 1)*ceil(n/8) offline
        for n elements of w bytes and l bits, k workers; levels(l) is log2 l, rounded up. At
        l = 64 and two workers each sends 23.9 bytes for an element, less than for one comparison.
    Security: that of masked_bits, and_all and bit_to_arithmetic.
    Source: x is zero if and only if c = x + r and r have the same bits.
    """
    flat = x.reshape(-1)
    c, r = masked_bits(flat)
    same = and_all(r.plus(c ^ np.uint8(255)))                # not (c XOR r)
    return bit_to_arithmetic(same, flat.shape[0], x.ring).reshape(x.shape)
