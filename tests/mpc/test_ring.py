"""Rings against Python's integers, uniform elements against the words of a stream."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.randomness import lesson_key, stream
from mpc.ring import (
    Bits,
    Z2k,
    Z2kMinus1,
    Zm,
    bits_of,
    pack_bits,
    packed_bits_of,
    prime_above,
)

BITS = (3, 5, 8, 32, 64)
OF_WORDS = [Z2k(l) for l in BITS] + [Z2kMinus1(l) for l in BITS]
RINGS = OF_WORDS + [Zm(m) for m in (2, 5, 7, 67, 251)]
SMALL = [ring for ring in RINGS if ring.modulus <= 32]
every_ring = pytest.mark.parametrize("ring", RINGS, ids=str)
every_word = pytest.mark.parametrize("ring", OF_WORDS, ids=str)
OPERATIONS = {"add": lambda x, y: x + y, "sub": lambda x, y: x - y,
              "mul": lambda x, y: x * y}


def integers(array):
    """The elements as Python's integers, which never overflow."""
    return np.asarray(array).astype(object)


def same(ring, result, expected):
    """`result` has canonical elements of `ring`, equal to `expected` in it."""
    expected = np.asarray(expected, object) % ring.modulus
    assert result.dtype == ring.dtype and result.shape == expected.shape
    assert integers(result).tolist() == expected.tolist()


def elements(ring, shape):
    """Every kind of element, the edges more often than by chance."""
    edges = sorted({0, 1, ring.modulus // 2, ring.modulus - 1})
    one = st.sampled_from(edges) | st.integers(0, ring.modulus - 1)
    size = int(np.prod(shape))
    return st.lists(one, min_size=size, max_size=size).map(
        lambda values: np.array(values, dtype=ring.dtype).reshape(shape))


# ---- arithmetic


@pytest.mark.parametrize("ring", SMALL, ids=str)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_pair_of_a_small_ring_computes_as_integers_do(ring, name):
    x, y = np.array(list(product(range(ring.modulus), repeat=2)), ring.dtype).T
    same(ring, getattr(ring, name)(x, y), OPERATIONS[name](integers(x), integers(y)))


@every_ring
@given(data=st.data())
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
def test_every_ring_computes_as_integers_do(ring, data):
    x, y = data.draw(elements(ring, (2, 9)))
    same(ring, ring.neg(x), -integers(x))
    for name, operation in OPERATIONS.items():
        same(ring, getattr(ring, name)(x, y), operation(integers(x), integers(y)))


@every_ring
@given(data=st.data())
@settings(max_examples=15, deadline=None, derandomize=True, database=None)
def test_matmul_and_sum_of_every_ring_compute_as_integers_do(ring, data):
    x, y = data.draw(elements(ring, (2, 2, 3))), data.draw(elements(ring, (1, 3, 4)))
    same(ring, ring.matmul(x, y), integers(x) @ integers(y))
    same(ring, ring.sum(x, axis=0), integers(x).sum(0))
    same(ring, ring.sum(x, axis=(0, -1)), integers(x).sum((0, 2)))
    same(ring, ring.sum(x, axis=1, keepdims=True), integers(x).sum(1, keepdims=True))


@every_ring
def test_the_greatest_elements_do_not_overflow(ring):
    top = np.full((1, 300), ring.modulus - 1, ring.dtype)
    same(ring, ring.sum(top, axis=1), [300 * (ring.modulus - 1)])
    same(ring, ring.matmul(top, top.T), [[300 * (ring.modulus - 1) ** 2]])


@every_ring
def test_a_sum_over_nothing_is_zero_and_a_role_without_rows_sums_none(ring):
    def empty(*shape):
        return np.zeros(shape, ring.dtype)

    same(ring, ring.sum(empty(2, 0, 3), axis=1), np.zeros((2, 3), int))
    same(ring, ring.matmul(empty(2, 3, 0), empty(2, 0, 4)), np.zeros((2, 3, 4), int))
    assert ring.sum(empty(0, 5, 3), axis=1).shape == (0, 3)
    assert ring.matmul(empty(0, 2, 3), empty(0, 3, 4)).shape == (0, 2, 4)


@pytest.mark.parametrize("l", BITS)
def test_signed_integers_come_back_from_their_ring(l):
    x = np.array([0, 1, -1, 2 ** (l - 1) - 1, -(2 ** (l - 1))])
    same(Z2k(l), Z2k(l).from_int(x), integers(x))
    back = Z2k(l).to_int(Z2k(l).from_int(x))
    assert back.dtype == np.int64 and back.tolist() == x.tolist()


@every_word
def test_any_word_is_brought_into_the_ring(ring):
    words = [0, 1, 2**64 - 1, 2**63, 2**33 + 5, ring.modulus, ring.modulus + 1]
    words = np.array([w for w in words if w < 2**64], np.uint64)
    same(ring, ring.reduce(words), integers(words))


@every_word
def test_bits_are_an_axis_behind_the_holders_lowest_first(ring):
    x = np.array([[0, 1, 2], [ring.modulus - 1, ring.modulus // 2, 5]], np.uint64)
    bits = bits_of(x, ring.bits)
    assert bits.shape == (2, ring.bits, 3) and bits.dtype == np.uint8
    for row, element in np.ndindex(2, 3):
        assert bits[row, :, element].tolist() == [int(x[row, element]) >> i & 1
                                                  for i in range(ring.bits)]
    assert bits_of(x[:0], 64).shape == (0, 64, 3)


@every_word
@pytest.mark.parametrize("shape", [(2, 9), (1, 3, 4), (2, 0), (0, 8)])
def test_bits_are_packed_as_one_by_one(ring, shape):
    x = ring.uniform(stream(lesson_key(0, "packed"), "x", 0), shape)
    for words in (x, np.asfortranarray(x), x[..., ::-1]):
        packed = packed_bits_of(words, ring.bits)
        expected = pack_bits(bits_of(words, ring.bits))
        assert packed.dtype == np.uint8 and packed.shape == expected.shape
        assert packed.tolist() == expected.tolist()


@pytest.mark.parametrize("make, remedy", [
    (lambda: Z2k(65), "take 1 to 64"), (lambda: Z2k(0), "take 1 to 64"),
    (lambda: Z2kMinus1(1), "take 2 to 64"), (lambda: Z2kMinus1(65), "take 2 to 64"),
    (lambda: Zm(252), "take 1 to 251"), (lambda: Zm(0), "take 1 to 251"),
    (lambda: Zm(1).units, "take 2")])
def test_a_ring_that_does_not_fit_its_words_is_refused(make, remedy):
    with pytest.raises(ValueError, match=remedy):
        make()


def test_prime_above_is_the_smallest_prime_above_the_bits_and_one():
    primes = [p for p in range(2, 80) if all(p % q for q in range(2, p))]
    for bits in range(1, 65):
        assert prime_above(bits) == min(p for p in primes if p > bits + 1)
    assert (prime_above(3), prime_above(5), prime_above(64)) == (5, 7, 67)


@pytest.mark.parametrize("ring", [Z2k, Z2kMinus1])
def test_the_size_of_a_ring_is_a_whole_number(ring):
    assert ring(np.int64(64)) == ring(64)
    assert ring(np.int64(64)).modulus == ring(64).modulus
    for wrong in (8.0, True, "8", None, np.array([8])):
        with pytest.raises(ValueError, match="bits is no whole number in range"):
            ring(wrong)
    with pytest.raises(ValueError, match="Zm: modulus is no whole number"):
        Zm(7.0)


@every_ring
def test_as_many_ones_as_the_characteristic_says_add_up_to_nothing(ring):
    one, n = np.array([1], ring.dtype), ring.characteristic
    total = np.zeros(1, ring.dtype)
    for bit in f"{n:b}":                        # n times one, by doubling
        total = ring.add(total, total)
        total = ring.add(total, one) if bit == "1" else total
    assert not total.any() and (n == 2 or ring.add(one, one).any())


# ---- the wire


@every_ring
def test_elements_come_back_from_the_wire(ring):
    x = ring.uniform(stream(lesson_key(1, "wire"), "x", 0), (3, 4))
    payload = ring.pack(x)
    assert len(payload) == ring.nbytes(x.shape) == 12 * ring.width
    assert ring.width == -(-(ring.modulus - 1).bit_length() // 8)
    assert ring.unpack(payload, (3, 4)).tolist() == x.tolist()
    assert ring.unpack(memoryview(payload), (3, 4)).tolist() == x.tolist()
    assert ring.pack(x.T) == ring.pack(x.T.copy())


@every_ring
def test_no_elements_are_no_bytes(ring):
    assert ring.pack(np.zeros((0, 3), ring.dtype)) == b"" and ring.nbytes((0, 3)) == 0
    empty = ring.unpack(b"", (2, 0))
    assert empty.shape == (2, 0) and empty.dtype == ring.dtype


def test_the_wire_is_little_endian_and_no_wider_than_needed():
    assert Z2k(16).pack(np.array([0x0102, 3], np.uint64)) == b"\2\1\3\0"
    assert Z2k(20).pack(np.array([0x01020], np.uint64)) == b"\x20\x10\0"
    assert Z2kMinus1(64).pack(np.array([2], np.uint64)) == b"\2" + bytes(7)
    assert Zm(67).pack(np.array([66, 0], np.uint8)) == b"\x42\0"


@every_ring
def test_a_payload_of_another_size_is_refused(ring):
    with pytest.raises(ValueError, match="bytes came .* run different programs"):
        ring.unpack(bytes(5 * ring.width + 1), (5,))


# ---- uniform elements


def chi_square(counts):
    """Standardised: near 0 if `counts` could come from a uniform choice."""
    expected = counts.sum() / len(counts)
    freedom = len(counts) - 1
    statistic = ((counts - expected) ** 2 / expected).sum()
    return (statistic - freedom) / (2 * freedom) ** 0.5


@pytest.mark.parametrize("ring", SMALL + [Z2k(8), Z2kMinus1(8)] + [
    Zm(67), Zm(251), Zm(64), Zm(10), Zm(5).units, Zm(67).units, Zm(2).units], ids=str)
def test_uniform_elements_are_all_reached_and_equally_often(ring):
    x = ring.uniform(stream(lesson_key(0, "chi"), "x", 0), (200, 500))
    first = int(getattr(ring, "nonzero", False))
    assert x.dtype == ring.dtype and (x.min(), x.max()) == (first, ring.modulus - 1)
    counts = np.bincount(x.ravel().astype(np.int64), minlength=ring.modulus)[first:]
    assert counts.min() > 0
    if len(counts) > 1:
        assert chi_square(counts) < 4


@pytest.mark.parametrize("m", [5, 7, 67, 251])
def test_the_two_residues_of_one_word_are_independent(m):
    x = Zm(m).uniform(stream(lesson_key(0, "pairs"), "x", 0), (2 * 300_000,))
    pairs = x[:300_000].astype(int) * m + x[300_000:]
    assert chi_square(np.bincount(pairs, minlength=m * m)) < 4


@pytest.mark.parametrize("ring", [ring(l) for ring in (Z2k, Z2kMinus1)
                                  for l in (32, 33, 64)], ids=str)
def test_every_bit_of_a_long_element_is_fair(ring):
    x = ring.uniform(stream(lesson_key(0, "bits"), "x", 0), (1, 40_000))
    ones = bits_of(x, ring.bits).sum(axis=(0, 2), dtype=int)
    assert ones.shape == (ring.bits,)
    assert np.abs(ones - 20_000).max() < 450            # 4.5 deviations


def test_words_of_a_power_of_two_become_elements_as_they_are():
    words = bytes(range(250, 256)) + bytes(range(10))
    def take(n):
        return words[:n]

    assert Z2k(8).uniform(take, (2, 2)).tolist() == [[250, 251], [252, 253]]
    assert Z2k(5).uniform(take, (2,)).tolist() == [250 % 32, 251 % 32]
    assert Zm(4).uniform(take, (3,)).tolist() == [2, 3, 0]


def refusing(bad, ring, size, width):
    """A stream whose first words `bad` must be rejected, and the one without them."""
    rest = stream(lesson_key(2, "refuse"), str(ring), 0)(100 * size * width)
    return (lambda n: (bad + rest)[:n]), (lambda n: rest[:n])


@pytest.mark.parametrize("ring", [Z2kMinus1(l) for l in (3, 8, 32, 64)], ids=str)
@pytest.mark.parametrize("refused", [1, 3, 200])
def test_all_ones_are_refused_and_the_next_words_move_up(ring, refused):
    bad, without = refusing(b"\xff" * ring.width * refused, ring, 60, ring.width)
    assert ring.uniform(bad, (60,)).tolist() == ring.uniform(without, (60,)).tolist()


@pytest.mark.parametrize("ring", [Zm(5), Zm(7), Zm(67), Zm(251), Zm(67).units], ids=str)
@pytest.mark.parametrize("refused", [1, 3, 200])
def test_words_above_the_last_multiple_are_refused_and_the_next_move_up(ring, refused):
    m = ring.modulus - ring.nonzero
    limit = 2**16 // m**2 * m**2
    for word in (limit, 2**16 - 1):
        bad, without = refusing(word.to_bytes(2, "little") * refused, ring, 60, 2)
        expected = ring.uniform(without, (60,)).tolist()
        assert ring.uniform(bad, (60,)).tolist() == expected


@pytest.mark.parametrize("m", [5, 67, 251])
def test_the_last_word_below_the_multiple_gives_the_greatest_residues(m):
    word = (2**16 // m**2 * m**2 - 1).to_bytes(2, "little")
    assert Zm(m).uniform(lambda n: (word * n)[:n], (4,)).tolist() == [m - 1] * 4


@pytest.mark.parametrize("ring", [Z2kMinus1(3), Zm(7), Zm(182)], ids=str)
def test_a_stream_that_must_be_extended_gives_the_same_elements(ring):
    take = stream(lesson_key(3, "extend"), "x", 0)
    asked = []

    def recording(n):
        asked.append(n)
        return take(n)

    x, more = ring.uniform(recording, (4000,)), ring.uniform(take, (8000,))
    if isinstance(ring, Zm):                # the second residues of its words come last
        more = np.concatenate([more[:2000], more[4000:6000]])
    assert x.tolist() == more[:4000].tolist()
    assert asked == sorted(asked) and (len(asked) > 1 or ring != Zm(182))


@every_ring
def test_no_shape_is_too_small_for_uniform_elements(ring):
    take = stream(lesson_key(4, "shape"), "x", 0)
    assert ring.uniform(take, ()).shape == ()
    assert ring.uniform(take, (0, 3)).shape == (0, 3)
    assert 0 <= int(ring.uniform(take, (1,))[0]) < ring.modulus


def test_packed_bits_add_by_xor_and_multiply_by_and():
    ring = Bits()
    x = ring.uniform(stream(lesson_key(5, "bits"), "x", 0), (2, 3, 4))
    np.testing.assert_array_equal(ring.add(x[0], x[1]), x[0] ^ x[1])
    np.testing.assert_array_equal(ring.sub(x[0], x[1]), x[0] ^ x[1])
    np.testing.assert_array_equal(ring.mul(x[0], x[1]), x[0] & x[1])
    np.testing.assert_array_equal(ring.neg(x), x)
    np.testing.assert_array_equal(ring.sum(x, (0, 1)), np.bitwise_xor.reduce(x, (0, 1)))
    assert ring.unpack(ring.pack(x), x.shape).tolist() == x.tolist()
