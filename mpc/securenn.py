"""SecureNN: comparison with zero for two workers and a crypto provider.

A sign is the top bit of the sum of two rows, which depends on carries out of all lower bits.
SecureNN (Wagh, Gupta, Chandran, PETS 2019, eprint 2018/442) reads it in an odd ring, where the top
bit of a is the lowest bit of 2a: mod 15, a = 9 has top bit 1, and 2a = 18 = 3 has lowest bit 1.

    drelu              1 - msb: [x >= 0]; ReLU is x times it
      share_convert      from Z_2^l to Z_(2^l - 1)
        private_compare    did the masking wrap around?
      compute_msb        the lowest bit of 2a, opened under a mask
        private_compare    did the masking wrap around?

j is a worker's index (the paper's P0 and P1 are alice and bob), P2 the crypto provider. P2 takes
part in every comparison and must learn nothing from it: each element has coins of its own. Names
are those of the paper; numbers in square brackets its lines. Where the whitepaper of February 2019
differs from what is computed here, it is wrong, as exhaustive tests on small rings show: its
algorithm 3 detects x < r for beta = 0 and ignores r + 1 for beta = 1, and its algorithm 4 exchanges
the signs of delta and eta.
"""

from typing import NamedTuple

import numpy as np

from mpc.beaver import multiply, refresh
from mpc.ledger import must_be_secret, step
from mpc.masks import spoilt
from mpc.ring import Z2kMinus1, Ring, Z2k, Zm, bits_of, prime_above
from mpc.share import Share, shown

BIT = Zm(2)


@step
def select_share(alpha, x, y):
    """The workers get shares of x where alpha = 0, and of y where alpha = 1, and learn nothing.

    Parameters
    ----------
    alpha, x, y : Share over one ring Z_2^l
        alpha is 0 or 1 in the ring, without a scale. Shapes broadcast.

    Returns
    -------
    Share
        ``x + alpha (y - x)``, with fresh rows.

    Notes
    -----
    Rounds: 1
    Bytes: 4*w*n online, w*n offline
        for n elements (all three of one shape) of w bytes; the paper's 5 l bits
    Security: semi-honest; one worker, or the provider, who receives nothing.
    Source: SecureNN, algorithm 2.
    """
    for operand in (x, y):
        must_be_secret(operand, "select_share")
    return refresh(x + multiply(alpha, y - x))


class CompareCoins(NamedTuple):
    """The workers' common coins for one private_compare, fresh for each element; P2 must not know
    them, and no second comparison may use them."""

    beta: np.ndarray    # (1, *shape) in {0, 1}: flips the answer that P2 sees
    s: np.ndarray       # (1, l, *shape) in 1 .. p-1: hides every value that is not zero
    zero: Share         # over Z_p, (l, *shape): fresh rows, since P2 may have dealt the old ones
    turn: np.ndarray    # (1, *shape) in 0 .. l-1: by how many places the l values are rotated

    @classmethod
    def draw(cls, world, field, l, shape, name="beta"):
        """Fresh coins for elements of `shape`, compared in Z_p = `field`; `name` is beta's."""
        return cls(world.common_coins(BIT, shape, name),
                   world.common_coins(field.units, (l, *shape), "s"),
                   world.zero_share(field, (l, *shape), "z"),
                   world.common_coins(Zm(l), shape, "turn"))


@step
def private_compare(x_bits, r, coins, *, known=None):
    """P2 learns ``beta XOR (x > r)`` for each element, and nothing else; the workers learn nothing.

    The l values c_i say for each bit position, the highest first, whether it decides: exactly one
    is zero if (beta = 0 and x > r) or (beta = 1 and x <= r), none otherwise. P2 sees them
    multiplied by random units, freshly shared and rotated: a zero somewhere, or none.

    Parameters
    ----------
    x_bits : Share over Z_p, (l, *shape)
        The bits of x, least significant first. P2 may know x and all rows.
    r : common (1, *shape) uint64
        An integer below 2^l that both workers know, without a scale.
    coins : CompareCoins
        Drawn for this call alone; the workers undo `coins.beta` on shares of the answer.
    known : common (1, *shape) bool, optional
        Where it is true, "x > r" is taken to be true whatever r says: for r = -1.

    Returns
    -------
    private to the provider (1 or 0, *shape) uint8
        The blinded answer.

    Raises
    ------
    ValueError
        For another number of workers than two, p that is no prime above l + 1, or shapes that do
        not fit.
    MaskReused
        When the coins have served before.

    Notes
    -----
    Rounds: 1
    Bytes: 2*n*l online
        for n elements of l bits, one byte for each residue; the paper's 2 l log p bits
    Security: semi-honest; the provider alone, even if it dealt the rows of x_bits.
    Source: SecureNN, algorithm 3, in its published form, for P2's answer on (x, r, beta). Beyond
        the released code: `zero`, without which P2, knowing the rows that it dealt, reads r from
        the ratios of the two messages. Other than the paper: a rotation hides the place of the
        single zero as well as any permutation, all other values being uniform and independent; and
        where the answer is known beforehand the values are forged without the paper's u_i.
    """
    world, field = x_bits.world, x_bits.ring
    _check_compare(x_bits, r, coins, known)
    l, (beta, s, zero, turn) = x_bits.shape[0], coins
    p = field.modulus
    world.spend(*coins)

    top = np.uint64(2**l - 1)
    forge = has_zero = (beta == 1) & (r == top)         # x <= 2^l - 1 always               [10]
    if known is not None:
        forge, has_zero = forge | known, np.where(known, beta == 0, forge)
    t_bits = bits_of(np.where(beta == 1, r + np.uint64(1), r), l)       # x > r, or x < r + 1    [1]

    # 16-bit rows, one for each bit position: negative terms wrap around, and 2 p lifts c above 0
    word = np.uint16
    j = world.party_index(x_bits.rows[:, 0].astype(word))
    flip_j, keep = (1 - 2 * beta.astype(np.int16)).astype(word), 1 - forge.astype(word)
    forged, lowest = (1 - keep) * j, (1 - keep) * j * ~has_zero
    above = np.zeros_like(j)                            # sum of w_k over k > i
    d = np.empty_like(x_bits.rows)
    for i in reversed(range(l)):
        x, t = x_bits.rows[:, i].astype(word), t_bits[:, i].astype(word)
        c = above + j + flip_j * (j * t - x) + word(2 * p)                          #   [6, 9]
        c = keep * c + (forged if i else lowest)                                    #     [11]
        d[:, i] = field.reduce(s[:, i] * field.reduce(c, word) + zero.rows[:, i])   #     [14]
        above = above + x + t * (j + word(p) - x - x)   # w = x + j t - 2 t x = x XOR t   [5, 8]
    d, = world.gather(world.crypto_provider, d=x_bits._with(rotate(d, turn)))
    return np.any(field.sum(d, axis=1) == 0, axis=1).astype(np.uint8)     # some d_i = 0?    [15]


def rotate(rows, turn):
    """Element e's values (h, l, e) moved up by turn[e] places, the last ones coming in first.

    By the binary digits of `turn`: a fixed rotation for each digit, taken where the digit is 1.
    """
    l = rows.shape[1]
    for k in range((l - 1).bit_length()):
        taken = (0 - (turn >> k & 1)).astype(np.uint8)[:, None]             # 255 or 0
        rows = rows ^ ((rows ^ np.roll(rows, 1 << k, axis=1)) & taken)
    return rows


def _check_compare(x_bits, r, coins, known):
    field, (l, *shape) = x_bits.ring, x_bits.shape or (0,)
    shape = tuple(shape)
    _two_workers(x_bits.world, "private_compare")
    _over(field, Zm, "private_compare", "share the bits mod a prime")
    if (not isinstance(coins, CompareCoins) or not isinstance(r, np.ndarray)
            or not isinstance(known, (np.ndarray, type(None)))):
        raise TypeError(f"private_compare: r {type(r).__name__}, coins {type(coins).__name__}, "
                        f"known {type(known).__name__}; give arrays that all workers know, and "
                        "CompareCoins.draw()")
    if coins.zero.world is not x_bits.world:
        raise ValueError("private_compare: the coins are those of another World; draw them in that "
                         "of the bits")
    p = field.modulus
    if p <= l + 1:
        raise ValueError(f"private_compare: p={p} is too small for {l} bits; take a prime above "
                         f"{l + 1}")
    if prime_above(p - 2) != p:
        raise ValueError(f"private_compare: p={p} is no prime, so that a product of units can be 0"
                         f"; take {prime_above(l)}")
    if known is not None and known.shape[1:] != shape:
        raise ValueError(f"private_compare: known {known.shape[1:]} does not fit bits of {shape} "
                         "elements; give one for each element")
    due = (shape, (l, *shape), (l, *shape), shape)
    if r.shape[1:] != shape or any(coin.shape != full if isinstance(coin, Share) else
                                   coin.shape[1:] != full for coin, full in zip(coins, due)):
        raise ValueError(f"private_compare: bits of {shape} elements do not fit r {r.shape[1:]} "
                         f"and coins {coins.beta.shape[1:]}; give one r and one set of coins for "
                         "each element and bit")


def _two_workers(world, name):
    if len(world.workers) != 2:
        raise ValueError(f"{name}: SecureNN is a protocol of two workers, not "
                         f"{len(world.workers)}; make the World with two")


def _over(ring, kind, name, remedy):
    if not isinstance(ring, kind):
        came = ring if isinstance(ring, Ring) else shown(ring)
        raise ValueError(f"{name}: a share over {came} is of the wrong ring; {remedy}")


def xor_public(b, c):
    """Shares of ``b XOR c``, b a shared bit and c one that both workers know: 1 - b where c = 1."""
    return b._with(np.where(c == 1, (-b).plus(1).rows, b.rows), spoilt(b.masks))


@step
def share_convert(a):
    """The workers get shares mod 2^l - 1 of what they share mod 2^l, and learn nothing.

    The rows a_0, a_1 are integers whose sum is a or a + 2^l. In the new ring 2^l = 1, so that the
    same rows stand for a + theta, theta = [the sum wraps around]; theta is worked out and taken
    away. The wrap of the rows is seen through a mask r that both workers know.

    Parameters
    ----------
    a : Share over Z_2^l
        Any shape; a != 2^l - 1, which would be 0 in the new ring.

    Returns
    -------
    Share over Z_(2^l - 1)
        Of the same shape.

    Raises
    ------
    ValueError
        For another number of workers than two, or a share over another ring.

    Notes
    -----
    Rounds: 4
    Bytes: n*(4*w + 3*l) online
        for n elements of w bytes and l bits. The paper counts 4 l log p + 6 l bits, since it sends
        both rows of what the provider shares; here one of them comes from a key.
    Security: semi-honest; one worker, or the provider.
    Source: SecureNN, algorithm 4, with the signs of its proof, not of its line 11; r = 0 as in its
        footnote 4 ("x > -1" is true, while r - 1 mod 2^l would say false).
    """
    world, ring, n = a.world, a.ring, a.shape
    _two_workers(world, "share_convert")
    _over(ring, Z2k, "share_convert", "convert from Z_2^l only")
    odd, field = Z2kMinus1(ring.bits), Zm(prime_above(ring.bits))
    r_0, r_1 = (world.common_coins(ring, n, name) for name in ("r_0", "r_1"))
    compare = CompareCoins.draw(world, field, ring.bits, n, "eta_2")

    j = world.party_index(a.rows)
    r, alpha = ring.add(r_0, r_1), wrap(r_0, r_1, ring)                               # [1]
    r_j = np.where(j == 0, r_0, r_1)
    a_tilde = a._with(ring.add(a.rows, r_j))                                          # [2]
    beta = Share(world, odd, wrap(a.rows, r_j, ring))           # beta_j, not the coin beta
    a_01, = world.gather(world.crypto_provider, a_tilde=a_tilde)                      # [3]
    x, delta = ring.sum(a_01, axis=1), wrap(a_01[:, 0], a_01[:, 1], ring)             # [4]
    x_bits, delta = world.share(world.crypto_provider, x_bits=(ring.bits_of(x), field),
                                delta=(delta, odd))                                   # [5, 6]
    eta_1 = private_compare(x_bits, ring.sub(r, np.ones_like(r)), compare, known=r == 0)  # [7]
    eta_1, = world.share(world.crypto_provider, eta_1=(eta_1.astype(odd.dtype), odd)) # [8]
    eta = xor_public(eta_1, compare.beta)                                                   # [9, 10]
    theta = (beta + delta + eta).plus(odd.neg(alpha + np.uint64(1)))                  # [11]
    y = Share(world, odd, odd.reduce(a.rows)) - theta                                 # [12]
    return refresh(y)


def wrap(x, y, ring):
    """[x + y >= 2^l] for representatives x and y: the sum came out smaller than x."""
    return (ring.add(x, y) < x).astype(ring.dtype)


@step
def compute_msb(a, ring):
    """The workers get shares of the top bit of a: [a >= 2^(l-1)], and learn nothing.

    In an odd ring the top bit of a is the lowest bit of 2a. That is read from r = 2a + x, opened
    under a mask x whose bits the provider has shared: the lowest bits of r and x differ by it, and
    by one more if the sum wrapped around, which is to say x > r.

    Parameters
    ----------
    a : Share over Z_(2^l - 1)
    ring : Z2k
        The ring of the result, Z_2^l.

    Returns
    -------
    Share over `ring`
        0 or 1, without a scale, of the same shape.

    Raises
    ------
    ValueError
        For another number of workers than two, or when one of the rings is not of that kind.

    Notes
    -----
    Rounds: 4
    Bytes: n*(7*w + 2*l) online, n*(2*w + l) offline
        for n elements of w bytes and l bits. The paper counts 5 rounds with the dealing, and
        4 l log p + 13 l bits, since it sends both rows of what the provider shares.
    Security: semi-honest; one worker, or the provider. x is uniform in all of Z_(2^l - 1).
    Source: SecureNN, algorithm 5 of the published version, with shares over Z_2^l as output.
    """
    world, odd, n = a.world, a.ring, a.shape
    _two_workers(world, "compute_msb")
    _over(odd, Z2kMinus1, "compute_msb", "share_convert it first")
    _over(ring, Z2k, "compute_msb", "the result needs Z_2^l, such as world.ring")
    field = Zm(prime_above(odd.bits))
    compare = CompareCoins.draw(world, field, odd.bits, n)
    x, x_apart = world.deal(odd, n, "x")                                             # [1]
    bits = odd.bits_of(odd.sum(x_apart, axis=1))
    with world.ledger.offline():
        x_bits, x_lsb = world.share(world.crypto_provider, x_bits=(bits, field),
                                    x_lsb=(bits[:, 0].astype(ring.dtype), ring))      # [2]
    r, = world.open(r=a + a + x)                                                      # [3, 4]
    beta_1 = private_compare(x_bits, r, compare)                                      # [5]
    beta_1, = world.share(world.crypto_provider, beta_1=(beta_1.astype(ring.dtype), ring)) # [6]
    gamma = xor_public(beta_1, compare.beta)                                                # [7] x > r
    delta = xor_public(x_lsb, r & np.uint64(1))                                    # [8] x[0] XOR r[0]
    theta = multiply(gamma, delta)                                                    # [9]
    return refresh(gamma + delta - theta - theta)                                     # [10] XOR


@step
def drelu(a):
    """The workers get shares of [a >= 0], and learn nothing.

    Parameters
    ----------
    a : Share over Z_2^l
        Signed, -2^(l-2) <= a < 2^(l-2): the double of a must not change its sign.

    Returns
    -------
    Share over Z_2^l
        0 or 1, without a scale, of the same shape. drelu(0) = 1.

    Notes
    -----
    Rounds: 8
    Bytes: n*(11*w + 5*l) online, n*(2*w + l) offline
        for n elements of w bytes and l bits: 488 at l = 64. The paper counts 8 l log p + 19 l bits
        (664 bytes with a byte for each residue), since it sends both rows of what the provider
        shares.
    Security: semi-honest; one worker, or the provider.
    Source: SecureNN, section 5.2 and algorithm 6 (derivative of ReLU).
    """
    y = share_convert(a + a)
    alpha = compute_msb(y, a.ring)
    return (-alpha).plus(1)
