"""Rings: the finite arithmetic in which secrets live.

The protocols use four rings. Each is a small object with the same methods on arrays:

    Z2k(l)          integers mod 2^l, 1 <= l <= 64   uint64   shares of values
    Z2kMinus1(l)    integers mod 2^l - 1             uint64   the sign is a parity there
    Zm(m)           integers mod m, m <= 251         uint8    bits mod a prime, coins
    Bits()          eight bits in a byte             uint8    sum is XOR, product is AND

All elements are canonical, 0 <= x < modulus, in operands and in results. A ring knows
nothing about parties: the first axis of an array may run over holders, and often does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce
from math import prod

import numpy as np

from mpc.limbs import matmul_mod


class Ring:
    """Arithmetic in words of dtype `wide` that `reduce` brings back to elements."""

    bits: int
    modulus: int
    dtype: np.dtype = np.dtype("<u8")
    wide: np.dtype = dtype
    one = 1
    width = cached_property(lambda self: (self.bits + 7) // 8)  # bytes on the wire
    order = cached_property(lambda self: self.modulus)      # the number of elements
    characteristic = cached_property(lambda self: self.order)   # so many ones are 0
    values = property(lambda self: self)                    # the ring of the values
    name = cached_property(str)

    def reduce(self, x: np.ndarray) -> np.ndarray:
        """Elements of the ring from any words."""
        return x

    def _reduced(self, x: np.ndarray) -> np.ndarray:
        """`reduce` for words that nobody else has, which may be overwritten."""
        return self.reduce(x)

    def value(self, x: np.ndarray) -> np.ndarray:
        """The values of elements, in the ring `values`."""
        return x

    def add(self, x: np.ndarray | int, y: np.ndarray | int) -> np.ndarray:
        return self._reduced(np.add(x, y, dtype=self.wide))

    def sub(self, x: np.ndarray | int, y: np.ndarray | int) -> np.ndarray:
        return self.add(x, self.neg(y))

    def neg(self, x: np.ndarray | int) -> np.ndarray:
        # the order minus x; 2^64 is 0 in words
        return self._reduced(np.subtract(self.order % 2**64, x, dtype=self.wide))

    def mul(self, x: np.ndarray | int, y: np.ndarray | int) -> np.ndarray:
        return self._reduced(np.multiply(x, y, dtype=self.wide))

    def sum(self, x: np.ndarray, axis: int | tuple, keepdims=False) -> np.ndarray:
        for a in np.atleast_1d(axis):
            x = reduce(self.add, np.split(x, max(x.shape[a], 1), axis=a))
        return np.sum(x, axis=axis, keepdims=keepdims, dtype=self.dtype)    # of one

    def matmul(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """``x @ y`` for stacks of matrices."""
        return self.sum(self.mul(x[..., None], y[..., None, :, :]), axis=-2)

    def uniform(self, take: Callable[[int], bytes], shape: tuple) -> np.ndarray:
        """Uniform elements from a stream: `take(n)` is its first n bytes."""
        raise NotImplementedError

    def nbytes(self, shape: tuple) -> int:
        """Bytes that elements of this `shape` take on the wire."""
        return prod(shape) * self.width

    def pack(self, x: np.ndarray) -> bytes:
        """Elements as `nbytes` bytes, little-endian, `width` bytes each."""
        words = np.ascontiguousarray(x, self.dtype)
        return np.ndarray(words.size, f"V{self.width}", words,
                          strides=self.dtype.itemsize).tobytes()

    def unpack(self, payload: bytes, shape: tuple) -> np.ndarray:
        """The inverse of `pack`; raises ValueError for a payload of another size."""
        if len(payload) != self.nbytes(shape):
            raise ValueError(f"{self}: {len(payload)} bytes came where {shape} needs "
                             f"{self.nbytes(shape)}; the roles run different programs")
        if self.width == self.dtype.itemsize:
            return np.frombuffer(payload, self.dtype).reshape(shape)
        padded = bytes(payload) + bytes(self.dtype.itemsize - self.width)
        words = np.ndarray(prod(shape), self.dtype, padded, strides=self.width)
        return (words & 256**self.width - 1).reshape(shape)     # less the next bytes


def is_integer(n: object) -> bool:
    """Is `n` an integer of Python or NumPy? A truth value is none."""
    return isinstance(n, (int, np.integer)) and not isinstance(n, bool)


def _set_size(ring, name, least, most):
    """Check the size and make it an int of Python; one of NumPy would wrap around."""
    size = getattr(ring, name)
    if not is_integer(size) or not least <= size <= most:
        raise ValueError(f"{type(ring).__name__}: {name} is no whole number in range; "
                         f"take {least} to {most}")
    object.__setattr__(ring, name, int(size))


def _below(limit, size, draw):
    """The first `size` words of a stream that are below `limit`.

    `draw(n)` gives its first n words, so drawing more of them changes none.
    """
    n = size + size // 16 + 16
    while len(found := (words := draw(n))[words < limit]) < size:
        n *= 2
    return found[:size]


@dataclass(frozen=True)
class _OfWords(Ring):
    """Integers mod 2^bits - less."""

    bits: int = 64
    less = 0

    def __post_init__(self):
        _set_size(self, "bits", 1 + self.less, 64)
        object.__setattr__(self, "modulus", (1 << self.bits) - self.less)


@dataclass(frozen=True)
class Z2k(_OfWords):
    """Integers mod 2^bits: results mod 2^64, masked at the end.

    With `spare` bits, elements are words of bits + spare bits, of which the lowest
    `bits` are the value; the others serve its seals (`mpc.seals`).
    """

    spare: int = 0
    width = cached_property(lambda self: (self.bits + self.spare + 7) // 8)
    order = cached_property(lambda self: 1 << self.bits + self.spare)
    values = property(lambda self: Z2k(self.bits) if self.spare else self)

    def __post_init__(self):
        super().__post_init__()
        if not is_integer(self.spare) or not 0 <= self.spare <= 64 - self.bits:
            raise ValueError(f"Z2k: spare={self.spare}: take 0 to {64 - self.bits} for "
                             f"values of {self.bits} bits")

    def __str__(self):
        return f"Z_2^{self.bits}" + f" with {self.spare} spare bits" * bool(self.spare)

    def reduce(self, x):
        word = self.bits + self.spare
        return x if word == 64 else x & self.order - 1

    def _reduced(self, x):
        if self.bits + self.spare < 64:
            x &= self.order - 1         # in place: half the time of a new array
        return x

    def sub(self, x, y):
        return self._reduced(np.subtract(x, y, dtype=self.dtype))

    def uniform(self, take, shape):
        """In one pass over the stream, of which a few more bytes are read."""
        n, width = prod(shape), self.width
        payload = take(n * width + self.dtype.itemsize - width)
        words = np.ndarray(n, self.dtype, payload, strides=width)
        return self.reduce(words).reshape(shape)

    def value(self, x: np.ndarray) -> np.ndarray:
        """The values of elements: without the spare bits."""
        return x & self.modulus - 1 if self.spare else x

    def sum(self, x, axis, keepdims=False):
        return self._reduced(np.sum(x, axis=axis, keepdims=keepdims, dtype=self.dtype))

    def matmul(self, x, y):
        """``x @ y``; operands may be any words."""
        return self._reduced(matmul_mod(x, y, self.bits + self.spare))

    def from_int(self, x: np.ndarray) -> np.ndarray:
        """Elements from signed integers."""
        return self.reduce(x.astype(np.int64).view(np.uint64))

    def to_int(self, x: np.ndarray) -> np.ndarray:
        """Signed int64: the upper half of the values is negative."""
        return (x << 64 - self.bits).view(np.int64) >> 64 - self.bits


def raw_limit(ring: Z2k) -> float:
    """R, the bound of signed values of Z_2^l: 15/16 of a quarter of the ring.

    The comparison and the truncation can take a quarter; the rest is for the part that
    a truncation by a divisor of up to a 64th of the ring adds.
    """
    return ring.modulus // 4 * 15 / 16


def bits_of(x: np.ndarray, bits: int) -> np.ndarray:
    """The lowest `bits` bits of words (h, ...), lowest first: (h, bits, ...) uint8."""
    return np.stack([(x >> i).astype(np.uint8) & 1 for i in range(bits)], axis=1)


class Z2kMinus1(_OfWords):
    """Integers mod 2^bits - 1: a carry out of the top comes back in at the bottom."""

    less = 1

    def __str__(self):
        return f"Z_(2^{self.bits} - 1)"

    def reduce(self, x):
        return x % self.modulus if self.bits < 64 else x * (x != self.modulus)

    def add(self, x, y):
        total = x + y
        return self.reduce(total + (total < x))     # a carry out of bit 63 is 2^64 = 1

    def mul(self, x, y):
        """By Python's integers, which never overflow; no protocol multiplies here."""
        return (np.multiply(x, y, dtype=object) % self.modulus).astype(self.dtype)

    def uniform(self, take, shape):
        """Words of `bits` bits; the word of all ones, a second zero, is rejected."""
        return _below(self.modulus, prod(shape),
                      lambda n: Z2k(self.bits).uniform(take, (n,))).reshape(shape)


@dataclass(frozen=True)
class Zm(Ring):
    """Integers mod m: products fit 16 bits. Where division matters, m is a prime."""

    modulus: int
    nonzero: bool = False       # coins only: `uniform` draws from 1 .. m - 1
    dtype, wide, width = np.dtype("u1"), np.dtype("<u2"), 1
    units = property(lambda self: Zm(self.modulus, nonzero=True))   # all but 0

    def __post_init__(self):
        _set_size(self, "modulus", 1 + self.nonzero, 251)

    def __str__(self):
        return f"Z_{self.modulus}" + "*" * self.nonzero

    def reduce(self, x):
        """``x % m``; NumPy vectorises a quotient and not a remainder."""
        return (x - x // self.modulus * self.modulus).astype(self.dtype, copy=False)

    def uniform(self, take, shape):
        """Without modulo bias: low bits of bytes where m is a power of two.

        Otherwise a 16-bit word below the largest multiple of m^2 gives two residues.
        """
        m, size = self.modulus - self.nonzero, prod(shape)
        if m & m - 1 == 0:
            found = np.frombuffer(take(size), np.uint8) & m - 1
        else:
            words = _below(2**16 // m**2 * m**2, (size + 1) // 2,
                           lambda n: np.frombuffer(take(2 * n), self.wide))
            high = words // m
            found = np.concatenate([words - high * m, high - high // m * m])[:size]
        return (found + self.nonzero).astype(self.dtype).reshape(shape)


@dataclass(frozen=True)
class Bits(Ring):
    """Single bits, eight to a byte along the last axis: one operation serves all eight.

    A sum is XOR, a product AND. Bytes as `pack_bits` makes them.
    """

    bits, modulus, characteristic, one = 8, 256, 2, 255
    dtype = np.dtype("u1")

    def __str__(self):
        return "bits"

    def add(self, x, y):
        return x ^ y

    sub = add

    def mul(self, x, y):
        return x & y

    def neg(self, x):
        return x

    def uniform(self, take, shape):
        """Each byte is an element."""
        return np.frombuffer(take(self.nbytes(shape)), self.dtype).reshape(shape)

    def sum(self, x, axis, keepdims=False):
        return np.bitwise_xor.reduce(x, axis=axis, keepdims=keepdims)


def pack_bits(bits: np.ndarray) -> np.ndarray:
    """0 and 1 in (..., n) as bytes in (..., ceil(n / 8)); zeros fill the last one."""
    return np.packbits(bits, axis=-1, bitorder="little")


def unpack_bits(packed: np.ndarray, n: int) -> np.ndarray:
    """The inverse of `pack_bits` for n elements."""
    return np.unpackbits(packed, axis=-1, count=n, bitorder="little")


def packed_bits_of(x: np.ndarray, bits: int) -> np.ndarray:
    """``pack_bits(bits_of(x, bits))``, from the bytes of the words (h, ..., n)."""
    octets = x.copy()[..., None].view(np.uint8)         # the bytes on a last axis
    octets = octets.transpose(0, -1, *range(1, x.ndim)).copy()
    places = (1 << np.arange(8, dtype=np.uint8)).reshape(8, *(1,) * (x.ndim - 1))
    planes = pack_bits(octets[:, :, None] & places)
    return planes.reshape(len(x), 64, *planes.shape[3:])[:, :bits]


def prime_above(bits: int) -> int:
    """The smallest prime above bits + 1, for `private_compare` of `bits` bits."""
    above = range(bits + 2, 2 * bits + 5)       # up to twice as far there is always one
    return next(p for p in above if all(p % q for q in range(2, p)))
