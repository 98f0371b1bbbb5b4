"""Exact matrix products mod 2^l by the floating-point unit.

NumPy has no fast product of integer matrices, but a product of float64 matrices of
whole numbers is exact as long as every sum stays within 2^53. So each word is split
into *limbs*, signed numbers of at most 24 bits. Words of 64 bits take three limbs of
22, 22 and 20 bits, x = a0 + 2^22 a1 + 2^44 a2 and y likewise, and

    x @ y = a0@b0 + 2^22 (a0@b1 + a1@b0) + 2^44 (a0@b2 + a1@b1 + a2@b0)   mod 2^64

The other three products have weight 2^66 and more. Words of up to 48 bits need two
limbs and no last bracket, words of up to 24 bits one limb.
"""

from functools import lru_cache, reduce
from operator import iadd

import numpy as np

LARGEST = 24            # bits of a limb
EXACT = 2**53           # float64 represents every integer up to here


def matmul_mod(x: np.ndarray, y: np.ndarray, bits: int = 64) -> np.ndarray:
    """``x @ y`` mod 2^bits; bits above these are arbitrary, also in operands.

    A product of two limbs of 24 bits is at most 2^46, so a sum of 128 of them is at
    most 2^53. Longer products are the sum of several blocks. A bracket is added up in
    floats if that stays within 2^53, too: for an inner dimension of up to 64 with 48
    bits, and of up to 1024 with 64 bits.
    """
    if not x.size or not y.size:        # nor does NumPy loop over arrays without rows
        return np.matmul(x, y)
    if x.shape[-2] == y.shape[-1] == 1:     # of a row and a column: words are as fast
        return np.add.reduce(x.swapaxes(-1, -2) * y, axis=-2, keepdims=True)
    return _product(split_limbs(x, bits), split_limbs(y, bits), bits).view(np.uint64)


def _product(a, b, bits):
    """The product mod 2^64 of the numbers with limbs `a` and `b`, as int64."""
    inner, (size, *_), total = a[0].shape[-1], limb_sizes(bits), 0
    n_blocks = -(-inner * 4 ** (size - 1) // EXACT)
    length = -(-inner // n_blocks)
    blocks = [slice(i * length, (i + 1) * length) for i in range(n_blocks)]
    for n, largest in reversed(brackets(bits)):
        total <<= size
        for block in blocks:
            parts = [a[i][..., block] @ b[n - i][..., block, :] for i in range(n + 1)]
            if length * largest <= EXACT:
                parts = [reduce(iadd, parts)]
            for part in parts:
                whole = part.astype(np.int64)
                whole += total
                total = whole
    return total


@lru_cache
def limb_sizes(bits: int) -> tuple[int, ...]:
    """The bits of each limb of a word, equally many but for the last."""
    n = -(-bits // LARGEST)
    size = -(-bits // n)
    return (*[size] * (n - 1), bits - size * (n - 1))


@lru_cache
def brackets(bits: int) -> tuple[tuple[int, int], ...]:
    """(n, the largest sum of a_i b_(n-i) over all i) of each bracket of a product."""
    sizes = limb_sizes(bits)
    return tuple((n, sum(2 ** (sizes[i] + sizes[n - i] - 2) for i in range(n + 1)))
                 for n in range(len(sizes)))


def split_limbs(x: np.ndarray, bits: int = 64) -> list[np.ndarray]:
    """Words of Z_2^bits as float64 arrays of signed limbs, the lowest first.

    A limb takes its b bits as a signed number, |a| <= 2^(b-1). If it is negative, the
    limb above is larger by 1: it is rounded, by half of each limb below.
    """
    limbs, low, half = [], 0, 0
    for size in limb_sizes(bits):
        words = x + half >> low if low else x
        limb = words.astype(np.int32)           # whose way to floats is faster
        limb <<= 32 - size
        limb >>= 32 - size                      # with its sign
        limbs.append(limb.astype(np.float64))
        low += size
        half += 1 << low - 1
    return limbs


def keep_large_blocks() -> None:
    """Make glibc serve blocks of up to 32 MB from memory that it keeps.

    It raises its limit once such a block is freed. Otherwise every large temporary
    array costs fresh pages from the system, a fifth of the time of a training batch.
    """
    np.empty(2**25 - 2**13, np.uint8)
