"""Exact matrix products mod 2^l by the floating-point unit.

NumPy has no fast product of integer matrices, but a product of float64 matrices of
whole numbers is exact as long as every sum stays below 2^53. So each word is split into
*limbs*, signed numbers of 22 bits, x = a0 + 2^22 a1 + 2^44 a2 and y likewise, and

    x @ y = a0@b0 + 2^22 (a0@b1 + a1@b0) + 2^44 (a0@b2 + a1@b1 + a2@b0)   mod 2^64

The other three products have weight 2^66 and more. Words of up to 44 bits need two
limbs and no last bracket, words of up to 22 bits one limb.
"""

import numpy as np

LIMB = 22               # bits of a limb
INNER_LIMIT = 1024      # the longest inner dimension whose sums stay below 2^53


def matmul_mod(x: np.ndarray, y: np.ndarray, bits: int = 64) -> np.ndarray:
    """``x @ y`` mod 2^bits; bits above these are arbitrary.

    The sums of the middle bracket are the largest: 2 K 2^21 2^21 <= 2^53 for an inner
    dimension K <= 1024; those of the last reach 1.5 K 2^42 for 45 to 64 bits. Longer
    products are the sum of two halves.
    """
    if not x.size or not y.size:        # nor does NumPy loop over arrays without rows
        return np.matmul(x, y)
    if x.shape[-2] == y.shape[-1] == 1:     # of a row and a column: words are as fast
        return np.add.reduce(x.swapaxes(-1, -2) * y, axis=-2, keepdims=True)
    if x.shape[-1] > INNER_LIMIT:
        half = x.shape[-1] // 2
        left = matmul_mod(x[..., :half], y[..., :half, :], bits)
        return left + matmul_mod(x[..., half:], y[..., half:, :], bits)
    a, b, total = split_limbs(x, bits), split_limbs(y, bits), np.zeros((), np.int64)
    for n in reversed(range(len(a))):
        bracket = a[0] @ b[n]
        for i in range(n):
            bracket += a[i + 1] @ b[n - i - 1]
        part = bracket.astype(np.int64)
        part += np.left_shift(total, LIMB, out=total)
        total = part
    return total.view(np.uint64)


def split_limbs(x: np.ndarray, bits: int = 64) -> list[np.ndarray]:
    """Words of Z_2^bits as float64 arrays of signed limbs, the lowest first.

    Each limb takes the low 22 bits as a signed number, |a| <= 2^21, and leaves the rest
    to the next; the last one of a 64-bit word has |c| <= 2^19.
    """
    unused, limbs = 64 - bits, []
    rest = (x << unused).view(np.int64) >> unused       # with the sign of the word
    for _ in range((bits - 1) // LIMB):
        limb = rest << 64 - LIMB
        limb >>= 64 - LIMB
        limbs.append(limb.astype(np.float64))
        rest = np.subtract(rest, limb, out=limb)
        rest >>= LIMB
    return [*limbs, rest.astype(np.float64)]


def keep_large_blocks() -> None:
    """Make glibc serve blocks of up to 32 MB from memory that it keeps.

    It raises its limit once such a block is freed. Otherwise every large temporary
    array costs fresh pages from the system, a fifth of the time of a training batch.
    """
    np.empty(2**25 - 2**13, np.uint8)
