"""SecureNN: comparison with zero for two workers and a crypto provider.

A sign is the top bit of the sum of two shares, which depends on the carries out of all
lower bits. SecureNN (Wagh, Gupta, Chandran, PETS 2019, eprint 2018/442) reads it in an
odd ring, where the top bit of a is the lowest bit of 2a: mod 15, a = 9 has top bit 1,
and 2a = 18 = 3 has lowest bit 1.

    drelu              1 - msb: [x >= 0]; ReLU is x times it
      share_convert      from Z_2^l to Z_(2^l - 1)
        private_compare    did the masking wrap around?
      compute_msb        the lowest bit of 2a, opened under a mask
        private_compare    did the masking wrap around?

j is a worker's index (the paper's P0 and P1 are alice and bob), P2 the crypto provider.
P2 takes part in every comparison and must learn nothing from it, so each element has
coins of its own. P2 receives a_tilde and d in share_convert and d in compute_msb, from
each worker, and nothing else. Names are those of the paper, and numbers in brackets its
lines. Where the whitepaper of February 2019 differs from this code, it is wrong, as
exhaustive tests on small rings show: its algorithm 3 detects x < r for beta = 0 and
ignores r + 1 for beta = 1, and its algorithm 4 swaps the signs of delta and eta.
"""

from typing import NamedTuple

import numpy as np

from mpc.beaver import multiply, refresh, share_offline
from mpc.ledger import step
from mpc.masks import spoilt
from mpc.ring import Ring, Z2k, Z2kMinus1, Zm, bits_of, prime_above
from mpc.share import Share, check_pair, shown
from mpc.world import World

ONE_OF_THREE = "semi-honest; one worker, or the provider"


@step(shares=3, rounds=1, online="2*(k - 1)*k*w*n", offline="w*n",
      source="SecureNN, algorithm 2")
def select_share(alpha: Share, x: Share, y: Share) -> Share:
    """Fresh shares of x where alpha = 0, and of y where alpha = 1.

    alpha is 0 or 1 in the ring, without a scale; shapes broadcast.
    """
    return refresh(x + multiply(alpha, y - x))


class CompareCoins(NamedTuple):
    """The workers' common coins for one private_compare, fresh for each element.

    P2 must not know them, and no second comparison may use them.
    """

    beta: np.ndarray    # (1, *shape) in {0, 1}: flips the answer that P2 sees
    s: np.ndarray       # (1, l, *shape) in 1 .. p-1: hides every value other than 0
    zero: Share         # over Z_p, (l, *shape): refreshes shares that P2 may have dealt
    turn: np.ndarray    # (1, *shape) in 0 .. l-1: how far the l values are rotated

    @classmethod
    def draw(cls, world: World, field: Zm, l: int, shape: tuple, name="beta"):
        """Fresh coins for elements of `shape` compared in Z_p; `name` is beta's."""
        return cls(world.common_coins(Zm(2), shape, name),
                   world.common_coins(field.units, (l, *shape), "s"),
                   world.zero_share(field, (l, *shape), "z"),
                   world.common_coins(Zm(l), shape, "turn"))


@step(over=Zm, workers=2, rounds=1, online="2*n*l", source="SecureNN, algorithm 3",
      secure="semi-honest; the provider, even if it dealt the shares of x_bits")
def private_compare(x_bits: Share, r: np.ndarray, coins: CompareCoins, *,
                    known: np.ndarray | None = None) -> np.ndarray:
    """P2 learns ``beta XOR (x > r)`` for each element, and nothing else.

    x_bits (l, *shape) are the bits of x mod p, lowest first; all workers know the array
    r (1, *shape). Where `known` is true, x > r counts as true: for r = -1.

    Exactly one c_i is 0 if (beta = 0 and x > r) or (beta = 1 and x <= r), and none
    otherwise. P2 sees the c_i multiplied by units, freshly shared and rotated. Without
    the fresh sharing, which released code omits, P2 could read r from the ratios of the
    two messages. A rotation hides the place of the 0 as well as the paper's
    permutation, because all other values are uniform; for the same reason the u_i are
    not needed.
    """
    known = np.zeros_like(r, bool) if known is None else known
    _check_compare(x_bits, r, coins, known)
    world, field, l = x_bits.world, Zm(x_bits.ring.modulus), x_bits.shape[0]
    beta, s, zero, turn = coins
    world.spend(*coins)
    forged = known | (beta == 1) & (r == 2**l - 1)          # x <= 2^l - 1        [10]
    t_bits = bits_of(np.where(beta == 1, r + 1, r), l)      # x > r, x < r + 1     [1]
    j = world.party_index(x_bits.rows[:, 0].astype(np.int16))
    keep, ones = (~forged).astype(np.int16), forged * j
    lowest = j * (known & (beta == 1))                      # no 0 for x <= -1
    sign = 1 - 2 * beta.astype(np.int16)
    above = (l + 2) * field.modulus     # sum of w_k over k > i, from a large 0 mod p on
    d = np.empty_like(x_bits.rows)
    for i in reversed(range(l)):
        x, t = x_bits.rows[:, i].astype(np.int16), t_bits[:, i].astype(np.int16)
        w = x + j * t - 2 * t * x                           # x XOR t           [5, 8]
        c = sign * (j * t - x) + j + above                  #                   [6, 9]
        c = keep * c + (ones if i else lowest)              #                     [11]
        above = above + w
        c = field.reduce(c.view(np.uint16)).astype(np.uint16)
        d[:, i] = field.reduce(s[:, i] * c + zero.rows[:, i])                   # [14]
    d, = world.gather(world.crypto_provider, d=x_bits._with(rotate(d, turn)))
    return np.any(field.sum(d, axis=1) == 0, axis=1).astype(np.uint8)           # [15]


@step(over=Z2k, workers=2, rounds=4, online="n*(4*w + 3*l)", secure=ONE_OF_THREE,
      source="SecureNN, algorithm 4, with the signs of its proof instead of line 11")
def share_convert(a: Share) -> Share:
    """Shares mod 2^l - 1 of the same a, which must not be 2^l - 1.

    The shares a_0, a_1 are integers whose sum is a or a + 2^l. In the new ring 2^l = 1,
    so they stand for a + theta with theta = [the sum wraps around], which is computed
    and subtracted. The wrap is seen through a mask r that both workers know. r = 0 is
    treated as in footnote 4: "x > -1" is true, where r - 1 mod 2^l would say false.
    """
    world, ring, n = a.world, a.ring, a.shape
    odd, field = Z2kMinus1(ring.bits), Zm(prime_above(ring.bits))
    r_0, r_1 = (world.common_coins(ring, n, name) for name in ("r_0", "r_1"))
    coins = CompareCoins.draw(world, field, ring.bits, n, "eta_2")
    j, P2 = world.party_index(a.rows), world.crypto_provider
    r, alpha = ring.add(r_0, r_1), wrap(r_0, r_1, ring)                            # [1]
    r_j = np.where(j == 0, r_0, r_1)
    beta = Share(world, odd, wrap(a.rows, r_j, ring))       # beta_j, not the coin beta
    a_01, = world.gather(P2, a_tilde=a._with(ring.add(a.rows, r_j)))            # [2, 3]
    x, delta = ring.sum(a_01, axis=1), wrap(a_01[:, 0], a_01[:, 1], ring)          # [4]
    x_bits, delta = world.share(P2, x_bits=(bits_of(x, ring.bits), field),
                                delta=(delta, odd))                             # [5, 6]
    eta_1 = private_compare(x_bits, ring.reduce(r - 1), coins, known=r == 0)       # [7]
    eta_1, = world.share(P2, eta_1=(eta_1.astype(odd.dtype), odd))                 # [8]
    eta = xor_public(eta_1, coins.beta)                                        # [9, 10]
    theta = (beta + delta + eta).plus(odd.neg(alpha + 1))                         # [11]
    return refresh(Share(world, odd, odd.reduce(a.rows)) - theta)                 # [12]


@step(over=Z2kMinus1, workers=2, rounds=4, online="n*(7*w + 2*l)",
      offline="n*(2*w + l)", secure=ONE_OF_THREE, source="SecureNN, algorithm 5")
def compute_msb(a: Share, ring: Z2k) -> Share:
    """Shares over `ring` of the top bit of a: [a >= 2^(l-1)].

    In an odd ring the top bit of a is the lowest bit of 2a. That is read from
    r = 2a + x, opened under a mask x whose bits P2 has shared: the lowest bits of r and
    x differ by it, and by one more if the sum wrapped around, that is, if x > r.
    """
    if not isinstance(ring, Z2k):
        raise ValueError(f"compute_msb: {shown(ring)} is no Z_2^l; take world.ring")
    world, odd, P2 = a.world, a.ring, a.world.crypto_provider
    field = Zm(prime_above(odd.bits))
    coins = CompareCoins.draw(world, field, odd.bits, a.shape)
    x, x_rows = world.deal(odd, a.shape, "x")                                      # [1]
    bits = bits_of(odd.sum(x_rows, axis=1), odd.bits)
    x_bits, x_lsb = share_offline(world, x_bits=(bits, field),
                                  x_lsb=(bits[:, 0].astype(ring.dtype), ring))     # [2]
    r, = world.open(r=a + a + x)                                                # [3, 4]
    beta_1 = private_compare(x_bits, r, coins)                                     # [5]
    beta_1, = world.share(P2, beta_1=(beta_1.astype(ring.dtype), ring))            # [6]
    gamma = xor_public(beta_1, coins.beta)                          # x > r          [7]
    delta = xor_public(x_lsb, r & 1)                                # x[0] XOR r[0]  [8]
    theta = multiply(gamma, delta)                                                 # [9]
    return refresh(gamma + delta - theta - theta)                   # XOR           [10]


@step(over=Z2k, workers=2, rounds=8, online="n*(11*w + 5*l)", offline="n*(2*w + l)",
      secure=ONE_OF_THREE, source="SecureNN, section 5.2 and algorithm 6")
def drelu(a: Share) -> Share:
    """Shares of [a >= 0], 0 or 1 without a scale; drelu(0) = 1.

    Needs -2^(l-2) <= a < 2^(l-2): doubling a must not change its sign. An element takes
    488 bytes at l = 64. The paper counts 664, because it sends both shares of a value
    that P2 shares, where here a key yields one of them.
    """
    return (-compute_msb(share_convert(a + a), a.ring)).plus(1)


# ---- the parts of the algorithms


def wrap(x: np.ndarray, y: np.ndarray, ring: Ring) -> np.ndarray:
    """[x + y >= 2^l] for representatives x and y: the sum is then smaller than x."""
    return (ring.add(x, y) < x).astype(ring.dtype)


def xor_public(b: Share, c: np.ndarray) -> Share:
    """Shares of ``b XOR c``, b a shared bit and c one that all workers know."""
    return b._with(np.where(c == 1, (-b).plus(1).rows, b.rows), spoilt(b.masks))


def rotate(rows: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Element e's values (h, l, e) moved up by turn[e] places, cyclically.

    By the binary digits of `turn`: one fixed rotation each, taken where the digit is 1.
    """
    for k in range((rows.shape[1] - 1).bit_length()):
        taken = (0 - (turn >> k & 1)).astype(np.uint8)[:, None]             # 255 or 0
        rows = rows ^ ((rows ^ np.roll(rows, 1 << k, axis=1)) & taken)
    return rows


def _check_compare(x_bits, r, coins, known):
    """Raise unless the arguments of private_compare fit each other."""
    came = r, coins, known
    if not all(map(isinstance, came, (np.ndarray, CompareCoins, np.ndarray))):
        raise TypeError(f"private_compare: {[type(v).__name__ for v in came]} came; "
                        "give arrays that all workers know, and CompareCoins.draw()")
    beta, s, zero, turn = coins
    check_pair(x_bits, zero, "private_compare")
    l, p = x_bits.shape[0] if x_bits.ndim else 0, x_bits.ring.modulus
    if p <= l + 1 or prime_above(p - 2) != p:
        raise ValueError(f"private_compare: p={p} is no prime above {l + 1}, which {l} "
                         f"bits need; take {prime_above(l)}")
    shapes = {v.shape[1:] for v in (r, known, beta, turn)}
    if shapes != {x_bits.shape[1:]} or not s.shape[1:] == zero.shape == x_bits.shape:
        raise ValueError(f"private_compare: bits {x_bits.shape} do not fit r "
                         f"{r.shape[1:]} and coins {beta.shape[1:]}; give one of each")
