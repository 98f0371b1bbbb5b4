"""The discrete Gaussian from cryptographic coins: noise for integers.

The discrete Gaussian of parameter sigma takes the integer x with a probability in
proportion to exp(-x^2 / (2 sigma^2)). Added to integers, it gives the privacy of the
continuous Gaussian (Canonne, Kamath and Steinke, NeurIPS 2020), without the last digits
that betray floating-point noise (Mironov, CCS 2012).

A table of P(|X| <= k) inverts a uniform number of 127 bits. Tables grow with sigma, so
a wide X is ``X_0 + m X_1 + m^2 X_2 + ...``, with all X_i from one small table
(Micciancio and Walter, CRYPTO 2017; docs/PRIVACY.md bounds the error). A sample takes a
fixed number of words, so its coins can be drawn, dealt or enumerated like any mask.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from decimal import Context, Decimal, localcontext
from itertools import accumulate
from numbers import Real
from typing import NamedTuple

import numpy as np

from mpc.ring import Z2k
from mpc.share import shown

WORD = 64               # bits of a word of coins
LARGEST_TABLE = 4000    # samples of a larger sigma are sums
LARGEST_SIGMA = 2**58   # up to there, the largest sample fits in int64
GUIDE = 16              # bits of a word that look up where to search in a table


class Parts(NamedTuple):
    """X is the sum of m^i X_i for i < terms, where each X_i has this sigma."""

    sigma: float
    m: int
    terms: int


class Table(NamedTuple):
    """P(|X| <= k) for k = 0, 1, ... in units of 2^-(2 bits - 1), as two words.

    `guide` has the number of entries below each value of the leading bits.
    """

    high: np.ndarray
    low: np.ndarray
    guide: np.ndarray
    bits: int


def parts(sigma: float) -> Parts:
    """How a sample of parameter `sigma` is summed up, with never less noise.

    The sum has parameter sigma_X sqrt(1 + m^2 + m^4 + ...), which exceeds `sigma` by
    one part in 10^15 at most. sigma_X is at least 1.99 sqrt(1 + m^2).
    """
    if isinstance(sigma, bool) or not isinstance(sigma, Real):
        raise TypeError(f"noise: sigma is {shown(sigma)}; give a number")
    if not 0 < sigma <= LARGEST_SIGMA:
        raise ValueError(f"noise: sigma={sigma}: take a number above 0 and up to "
                         f"{LARGEST_SIGMA:.1e}, so that all noise fits in 64 bits")
    sigma = float(sigma)
    if sigma <= LARGEST_TABLE:
        return Parts(sigma, 1, 1)
    terms = 2
    while sigma / 2 > (LARGEST_TABLE / 2) ** terms:
        terms += 1
    m = int((sigma / 2) ** (1 / terms))
    spread = math.sqrt(sum(m ** (2 * i) for i in range(terms)))
    return Parts(sigma / spread * (1 + 2**-50), m, terms)


def words_per_sample(sigma: float) -> int:
    """Two words of coins, high and low, for each part."""
    return 2 * parts(sigma).terms


def from_words(words: np.ndarray, sigma: float, bits: int = WORD) -> np.ndarray:
    """Discrete Gaussian int64 (*shape) from coins uint64 (*shape, words_per_sample).

    The coins are uniform below 2^bits, independent, and used once. With fewer `bits`
    than 64, the table is coarse enough to be enumerated: for tests and lessons only.
    """
    sigma_x, m, terms = parts(sigma)
    if words.dtype != np.uint64 or words.shape[-1:] != (2 * terms,):
        raise ValueError(f"noise: coins {words.dtype} {words.shape} came; draw uint64 "
                         f"(..., {2 * terms}) for sigma={sigma}")
    table = cumulative_table(sigma_x, bits)
    samples = np.zeros(words.shape[:-1], np.int64)
    for i in range(terms):
        samples += m**i * _invert(table, words[..., 2 * i], words[..., 2 * i + 1])
    return samples


def discrete_gaussian(take: Callable[[int], bytes], shape: tuple[int, ...],
                      sigma: float) -> np.ndarray:
    """Discrete Gaussian int64 of `shape` from a stream of coins (`mpc.randomness`)."""
    words = Z2k(WORD).uniform(take, (*shape, words_per_sample(sigma)))
    return from_words(words, sigma)


@functools.lru_cache(maxsize=8)
def cumulative_table(sigma: float, bits: int = WORD) -> Table:
    """The `Table` of X. Entries are rounded down, so that no tail is too light.

    The last entry is the whole: a sample beyond it has less than one unit.
    """
    whole = 2 ** (2 * bits - 1)
    with localcontext(Context(prec=60)):
        weights = list(_weights(Decimal(sigma), Decimal(2) ** -60 / whole))
        unit = whole / sum(weights)
        entries = [int(below * unit) for below in accumulate(weights)]
    entries = [entry for entry in entries if entry < whole - 1] + [whole]
    high = np.array([entry >> bits for entry in entries], np.uint64)
    low = np.array([entry % 2**bits for entry in entries], np.uint64)
    leading = np.arange(1 << min(GUIDE, bits - 1), dtype=np.uint64)
    guide = np.searchsorted(high, leading << _guide_shift(bits))
    return Table(high, low, guide.astype(np.int32), bits)


def _guide_shift(bits):
    return np.uint64(max(bits - 1 - GUIDE, 0))


def _weights(sigma: Decimal, least: Decimal) -> Iterator[Decimal]:
    """exp(-k^2 / (2 sigma^2)), of k and -k together, for k = 0, 1, ... down to `least`.

    The ratio of neighbours falls by the same factor from each k to the next.
    """
    ratio = (-1 / (2 * sigma * sigma)).exp()
    factor, weight = ratio * ratio, ratio
    yield Decimal(1)
    while weight > least:
        yield 2 * weight
        ratio *= factor
        weight *= ratio


def _invert(table, high, low):
    """The samples of a `table` at the numbers that these words make.

    The top bit of `high` is the sign. Its other bits, followed by those of `low`, are
    u, and |X| is the number of entries up to u. Only a few samples look at `low`: those
    whose high word is that of an entry, too.
    """
    top = np.uint64(table.bits - 1)
    u = (high & (np.uint64(1) << top) - np.uint64(1)).reshape(-1)
    size = table.guide[(u >> _guide_shift(table.bits)).view(np.int64)].astype(np.int64)
    more = np.flatnonzero(table.high[size] < u)
    size[more] = np.searchsorted(table.high, u[more])
    tied = np.flatnonzero(table.high[size] == u)
    while len(tied):
        below = table.low[size[tied]] <= low.reshape(-1)[tied]
        tied = tied[below & (table.high[size[tied]] == u[tied])]
        size[tied] += 1
    sign = 1 - 2 * (high >> top).view(np.int64)
    return sign * size.reshape(high.shape)
