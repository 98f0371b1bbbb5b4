"""Rings: the finite arithmetic in which secrets live.

Four rings serve the protocols, each a small object with the same methods on NumPy arrays:

    Z2k(l)    integers mod 2^l, 1 <= l <= 64   uint64; shares of values
    Odd(l)    integers mod 2^l - 1             uint64; where SecureNN reads a sign as a parity
    Zm(m)     integers mod m, 2 <= m <= 251    uint8;  bits of a number mod a prime, coins
    Bits()    eight bits in a byte             uint8;  sum is XOR, product is AND

Every array holds canonical elements, 0 <= x < modulus, and every result is canonical again. Nothing
here knows about parties: an array's first axis may run over holders, and often does.
"""

import weakref
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import prod

import numpy as np

# Freed at once: from then on glibc serves blocks up to 32 MB from memory that it keeps, where it
# would otherwise ask the system for fresh pages at every large temporary array. A fifth of the time
# of a training batch; harmless elsewhere.
np.empty(2**25 - 2**13, np.uint8)

LIMB = 22               # bits of a limb: 64-bit words have three, see `matmul_mod`
INNER_LIMIT = 1024      # the longest inner dimension whose limb products are exact
REMEMBERED = 32         # arrays whose limbs are kept: those of one batch, the pictures' among them
_split = {}             # (id of an array, bits): a weak reference to it, its limbs


class Ring:
    """What the rings share: arithmetic built from `add`, `neg` and `mul`, and the wire."""

    def sub(self, x, y):
        """``x - y``."""
        return self.add(x, self.neg(y))

    def sum(self, x, axis, keepdims=False):
        """Sum over one `axis` or a tuple of axes."""
        axes = {a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))}
        for a in sorted(axes):
            if x.shape[a]:
                x = reduce(self.add, np.split(x, x.shape[a], axis=a))
            else:
                x = np.sum(x, axis=a, keepdims=True, dtype=self.dtype)
        return x if keepdims else x.reshape([n for i, n in enumerate(x.shape) if i not in axes])

    def matmul(self, x, y):
        """``x @ y`` for stacks of matrices, one outer product for each inner index."""
        outer = (self.mul(x[..., :, k, None], y[..., None, k, :]) for k in range(x.shape[-1]))
        return reduce(self.add, outer, x[..., :0] @ y[..., :0, :])     # that is 0, in its shape

    def sum_of(self, op, *pairs):
        """The sum of ``op(x, y)`` over `pairs`, op being `mul` or `matmul`."""
        return reduce(self.add, (op(x, y) for x, y in pairs))

    def zeros(self, shape):
        """The neutral element, `shape` times."""
        return np.zeros(shape, self.dtype)

    def nbytes(self, shape):
        """Bytes that elements of this `shape` take on the wire."""
        return prod(shape) * self.width

    def pack(self, x):
        """Elements as `nbytes` bytes, little-endian, `width` bytes each."""
        words = np.ascontiguousarray(x, self.dtype)
        size = words.dtype.itemsize
        return words.reshape(-1, 1).view(np.uint8).reshape(-1, size)[:, :self.width].tobytes()

    def unpack(self, payload, shape):
        """The inverse of `pack`; raises ValueError on a payload of another size."""
        if len(payload) != self.nbytes(shape):
            raise ValueError(f"{self}: {len(payload)} bytes came where shape {tuple(shape)} needs "
                             f"{self.nbytes(shape)}; sender and receiver run different programs")
        return _words(payload, self.width, self.dtype).reshape(shape)

    @property
    def width(self):
        """Bytes of one element on the wire."""
        return (self.bits + 7) // 8

    @property
    def characteristic(self):
        """How many ones add up to 0."""
        return self.modulus


def _words(raw, width, dtype):
    """`raw` bytes as little-endian words of `width` bytes each, in `dtype`."""
    size = np.dtype(dtype).itemsize
    if width == size:
        return np.frombuffer(raw, dtype)
    overlapping = np.ndarray(len(raw) // width, dtype, raw + bytes(size - width), strides=width)
    return overlapping & dtype.type(256**width - 1)     # the upper bytes are those of the next


def _whole(number, what):
    """`number` as an int: one of NumPy's would wrap around at 2^64."""
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
        raise TypeError(f"{what} takes a whole number, not a {type(number).__name__}")
    return int(number)


def _accept(candidates, size):
    """The first `size` words that `candidates(n)`, of n draws, accepts; draws more where needed.

    The same stream gives the same answer to everyone who holds it, however often it is extended.
    """
    n = size + size // 16 + 16
    while len(found := candidates(n)) < size:
        n *= 2
    return found[:size]


# ------------------------------------------------------------------ integers mod 2^l


@dataclass(frozen=True)
class Z2k(Ring):
    """Integers mod 2^bits in uint64. Arithmetic mod 2^64 is right mod 2^bits: mask at the end."""

    bits: int = 64
    dtype = np.dtype("<u8")

    def __post_init__(self):
        object.__setattr__(self, "bits", _whole(self.bits, "Z2k"))
        if not 1 <= self.bits <= 64:
            raise ValueError("Z2k: that many bits do not fit a 64-bit word; take 1 to 64")

    def __str__(self):
        return f"Z_2^{self.bits}"

    @property
    def modulus(self):
        return 1 << self.bits

    def reduce(self, x):
        """Any uint64 words, brought into the ring."""
        return x if self.bits == 64 else x & np.uint64(self.modulus - 1)

    def add(self, x, y):
        return self.reduce(x + y)

    def sub(self, x, y):
        return self.reduce(x - y)

    def neg(self, x):
        return self.reduce(np.negative(x))

    def mul(self, x, y):
        return self.reduce(x * y)

    def matmul(self, x, y):
        return self.reduce(matmul_mod(self.bits, (x, y)))

    def sum_of(self, op, *pairs):
        if op == self.matmul:
            return self.reduce(matmul_mod(self.bits, *pairs))         # converted to integers once
        return super().sum_of(op, *pairs)

    def sum(self, x, axis, keepdims=False):
        return self.reduce(np.sum(x, axis=axis, keepdims=keepdims, dtype=np.uint64))

    def from_int(self, x):
        """Ring elements of a signed integer array."""
        return self.reduce(x.astype(np.int64).view(np.uint64))

    def to_int(self, x):
        """Signed int64 of least absolute value: the upper half of the ring is negative."""
        unused = 64 - self.bits
        if not unused:
            return x.view(np.int64)
        return (x << np.uint64(unused)).view(np.int64) >> unused

    def bits_of(self, x):
        """Bits, least significant first, as a new axis behind the first: (h, bits, ...) uint8."""
        return bits_of(x, self.bits)

    def uniform(self, take, shape):
        """Uniform elements from `take(n)`, the first n bytes of a stream."""
        return self.reduce(_words(take(self.nbytes(shape)), self.width, self.dtype)).reshape(shape)


def raw_limit(ring):
    """R, which signed values of Z_2^l stay below in size: 15/16 of a quarter of the ring.

    A quarter is what the comparison and the truncation can take; the rest of it is for what a
    truncation by a divisor of up to a 64th of the ring adds.
    """
    return ring.modulus // 4 * 15 / 16


def bits_of(x, bits):
    """The lowest `bits` bits of uint64 words (h, ...) as (h, bits, ...) uint8, lowest first."""
    words = x.astype("<u8", order="C")[..., None]
    octets = np.moveaxis(words.view(np.uint8), -1, 1).copy()
    return np.stack([octets[:, i >> 3] >> np.uint8(i & 7) & np.uint8(1) for i in range(bits)],
                    axis=1)


def split_limbs(x, bits=64):
    """Words of Z_2^bits as float64 arrays of signed limbs, ``x = a + 2^22 b + 2^44 c mod 2^bits``.

    One limb for each 22 bits begun. |a|, |b| <= 2^21 and of 64 bits |c| <= 2^19: each limb takes
    the low bits as a signed number and leaves the rest to the next.
    """
    rest, limbs = Z2k(bits).to_int(x), []
    for _ in range((bits - 1) // LIMB):
        limb = rest << (64 - LIMB)
        limb >>= 64 - LIMB
        limbs.append(limb.astype(np.float64))
        rest = rest - limb
        rest >>= LIMB
    return [*limbs, rest.astype(np.float64)]


def limbs_of(x, bits):
    """`split_limbs`, remembered for the last few arrays that were made read-only for good.

    Such are masked operands, which meet several products, also transposed: a view of the same
    words, all of them, is a view of the same limbs. What is remembered goes with the array.
    """
    owner = x if x.base is None else x.base
    if not (type(x) is type(owner) is np.ndarray and owner.dtype == x.dtype
            and owner.size == x.size and owner.flags.c_contiguous and not owner.flags.writeable
            and owner.__array_interface__["data"] == x.__array_interface__["data"]
            and all(step > 0 for n, step in zip(x.shape, x.strides) if n > 1)):
        return split_limbs(x, bits)
    key = id(owner), bits
    found, limbs = _split.pop(key, (lambda: None, None))
    if found() is not owner:
        found, limbs = weakref.ref(owner, lambda _: _split.pop(key, None)), split_limbs(owner, bits)
    _split[key] = found, limbs                      # the latest is last
    for oldest in list(_split)[:-REMEMBERED]:
        _split.pop(oldest, None)                    # another thread may have been faster
    return [np.ndarray(x.shape, np.float64, limb, strides=x.strides) for limb in limbs]


def matmul_mod(bits, *pairs):
    """The sum of ``x @ y`` over `pairs`, mod 2^bits (or a multiple of it), exactly, by products of
    the floating-point unit.

    NumPy has no fast integer matrix product, but float64 products are exact as long as every sum
    stays below 2^53. With x = a0 + 2^22 a1 + 2^44 a2 and y likewise,

        x @ y = a0@b0 + 2^22 (a0@b1 + a1@b0) + 2^44 (a0@b2 + a1@b1 + a2@b0)   mod 2^64,

    the other three products having weight 2^66 and more; up to 44 bits the last bracket falls away
    too. The largest bracket is the middle one: 2 K 2^21 2^21 <= 2^53 for an inner dimension
    K <= 1024; the last is at most 1.5 K 2^42, for 45 to 64 bits. Of several pairs the inner
    dimensions add up: the brackets are summed as floats and converted once. Longer products are cut
    into blocks of 1024, and pairs that are too long together computed one by one.
    """
    if sum(x.shape[-1] for x, _ in pairs) > INNER_LIMIT:
        blocks = [(x[..., k:k + INNER_LIMIT], y[..., k:k + INNER_LIMIT, :])
                  for x, y in pairs for k in range(0, x.shape[-1], INNER_LIMIT)]
        return reduce(np.add, (matmul_mod(bits, block) for block in blocks))
    brackets = {}
    for x, y in pairs:
        a, b = limbs_of(x, bits), limbs_of(y, bits)
        for i, j in product(range(len(a)), repeat=2):
            if i + j < len(a):
                term = a[i] @ b[j]
                brackets[i + j] = term if i + j not in brackets else np.add(
                    brackets[i + j], term, out=brackets[i + j])
    words = {i: bracket.astype(np.int64).view(np.uint64) for i, bracket in brackets.items()}
    return reduce(np.add, (word << np.uint64(LIMB * i) for i, word in words.items()))


# ------------------------------------------------------------------ integers mod 2^l - 1


@dataclass(frozen=True)
class Z2kMinus1(Ring):
    """Integers mod 2^bits - 1 in uint64: what exceeds 2^bits comes back in at the low end."""

    bits: int = 64
    dtype = np.dtype("<u8")

    def __post_init__(self):
        object.__setattr__(self, "bits", _whole(self.bits, "Odd"))
        if not 2 <= self.bits <= 64:
            raise ValueError("Odd: that many bits do not fit a 64-bit word; take 2 to 64")

    def __str__(self):
        return f"Z_(2^{self.bits} - 1)"

    @property
    def modulus(self):
        return (1 << self.bits) - 1

    def reduce(self, x):
        """Any uint64 words, brought into the ring; 2^bits - 1 is 0."""
        top = np.uint64(self.modulus)
        return x % top if self.bits < 64 else np.where(x == top, np.uint64(0), x)

    def add(self, x, y):
        total = x + y
        return self.reduce(total + (total < x))      # a carry out of bit 63 is worth 2^64 = 1 there

    def neg(self, x):
        return self.reduce(np.uint64(self.modulus) - x)

    def mul(self, x, y):
        """By halves of 32 bits: x y = high 2^64 + low, and 2^64 = 2^(64 - bits) in this ring."""
        half, mask = np.uint64(32), np.uint64(2**32 - 1)
        x0, x1, y0, y1 = x & mask, x >> half, y & mask, y >> half
        mid = x1 * y0 + (x0 * y0 >> half)
        mid2 = (mid & mask) + x0 * y1
        high = x1 * y1 + (mid >> half) + (mid2 >> half)
        return self.add(self.reduce(high << np.uint64(64 - self.bits)), self.reduce(x * y))

    def bits_of(self, x):
        """Bits, least significant first, as a new axis behind the first: (h, bits, ...) uint8."""
        return bits_of(x, self.bits)

    def uniform(self, take, shape):
        """Uniform elements from a stream: words of `bits` bits, all ones refused."""
        size, top = prod(shape), np.uint64(self.modulus)

        def candidates(n):
            words = _words(take(n * self.width), self.width, self.dtype) & top
            return words[words != top]

        return _accept(candidates, size).reshape(shape)


# ------------------------------------------------------------------ integers mod a small m


@dataclass(frozen=True)
class Zm(Ring):
    """Integers mod m <= 251 in uint8; products fit 16 bits. m is a prime where division matters."""

    modulus: int
    nonzero: bool = False       # a set of coins only: 1 .. m-1, from which `uniform` then draws
    dtype = np.dtype("u1")
    width = 1

    def __post_init__(self):
        object.__setattr__(self, "modulus", _whole(self.modulus, "Zm"))
        least = 1 + self.nonzero
        if not least <= self.modulus <= 251:
            raise ValueError(f"Zm: this modulus does not fit a byte; take {least} to 251")

    def __str__(self):
        return f"Z_{self.modulus}" + "*" * self.nonzero

    @property
    def units(self):
        """The residues other than 0, as a set to draw from."""
        return Zm(self.modulus, nonzero=True)

    def reduce(self, x, dtype=None):
        """Non-negative integers of any unsigned dtype, brought into the ring (and into `dtype`).

        A quotient by a constant is vectorised, a remainder is not: ``x - x // m * m``.
        """
        return (x - x // self.modulus * self.modulus).astype(dtype or self.dtype, copy=False)

    def add(self, x, y):
        return self.reduce(np.add(x, y, dtype=np.uint16))

    def neg(self, x):
        return self.reduce(np.subtract(self.modulus, x, dtype=np.uint16))

    def mul(self, x, y):
        return self.reduce(np.multiply(x, y, dtype=np.uint16))

    def uniform(self, take, shape):
        """Uniform elements from a stream, without modulo bias.

        A power of two takes low bits of a byte each. Otherwise a 16-bit word below the largest
        multiple of m^2 gives two residues, and the others are refused.
        """
        m = self.modulus - self.nonzero
        size = prod(shape)
        if m & (m - 1) == 0:
            found = np.frombuffer(take(size), np.uint8) & np.uint8(m - 1)
        else:
            limit = 65536 // (m * m) * (m * m)

            def candidates(n):
                words = np.frombuffer(take(2 * n), "<u2")
                return words[words < limit]

            words = _accept(candidates, (size + 1) // 2)
            high = words // m
            low = words - high * m
            high = high - high // m * m
            found = np.concatenate([low, high])[:size].astype(np.uint8)
        return (found + np.uint8(self.nonzero)).reshape(shape)


# ------------------------------------------------------------------ bits, eight in a byte


@dataclass(frozen=True)
class Bits(Ring):
    """Single bits of many elements, packed eight to a byte: one NumPy operation serves all eight.

    The last axis of an array runs over bytes, as `pack_bits` makes them. A sum is XOR, a product
    AND.
    """

    bits = 8
    modulus = 256
    characteristic = 2
    dtype = np.dtype("u1")

    def __str__(self):
        return "bits"

    def add(self, x, y):
        return x ^ y

    sub = add

    def neg(self, x):
        return x

    def mul(self, x, y):
        return x & y

    def uniform(self, take, shape):
        """Uniform bytes of a stream, which are eight uniform bits each."""
        return np.frombuffer(take(self.nbytes(shape)), np.uint8).reshape(shape)


def pack_bits(bits):
    """0 and 1 in (..., n) as bytes in (..., ceil(n / 8)), the last filled up with zeros."""
    return np.packbits(bits, axis=-1, bitorder="little")


def unpack_bits(packed, n):
    """The inverse of `pack_bits` for n elements."""
    return np.unpackbits(packed, axis=-1, count=n, bitorder="little")


def prime_above(bits):
    """The smallest prime above bits + 1: what private_compare needs for numbers of `bits` bits."""
    p = bits + 2
    while any(p % q == 0 for q in range(2, int(p**0.5) + 1)):
        p += 1
    return p
