"""Products of words by floats: exact at the extremes of every limb, in every ring."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc import limbs
from mpc.limbs import matmul_mod, split_limbs
from mpc.randomness import lesson_key, stream
from mpc.ring import Z2k


def compose(a, b, c):
    """The words whose limbs are a, b and c."""
    a, b, c = (np.array(limb, np.int64, ndmin=1).view(np.uint64) for limb in (a, b, c))
    return a + (b << np.uint64(22)) + (c << np.uint64(44))


LIMBS = [(-2**21, -2**21, -2**19), (2**21 - 1, 2**21 - 1, 2**19 - 1),
         (-2**21, 2**21 - 1, -2**19), (1 - 2**21, 1 - 2**21, 1 - 2**19)]


@pytest.mark.parametrize("limbs", LIMBS)
def test_a_word_splits_into_small_signed_limbs(limbs):
    word = compose(*limbs)
    found = [int(limb[0]) for limb in split_limbs(word)]        # 2^63 comes as -2^63
    assert [abs(limb) for limb in found] == [abs(limb) for limb in limbs]
    assert compose(*found).tolist() == word.tolist() and found[:2] == list(limbs[:2])


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_the_limbs_of_any_word_give_it_back(words):
    words = np.array(words, np.uint64)
    a, b, c = (limb.astype(np.int64) for limb in split_limbs(words))
    assert np.abs(a).max() <= 2**21 and np.abs(b).max() <= 2**21
    assert np.abs(c).max() <= 2**19
    assert compose(a, b, c).tolist() == words.tolist()


@pytest.mark.parametrize("inner", [1, 1024, 1025, 2049])
@pytest.mark.parametrize("left, right", list(product(LIMBS, repeat=2)))
def test_long_products_are_exact_at_the_extremes_of_every_limb(inner, left, right):
    x = np.broadcast_to(compose(*left), (1, inner)).copy()
    y = np.broadcast_to(compose(*right), (inner, 1)).copy()
    expected = inner * int(x[0, 0]) * int(y[0, 0]) % 2**64
    assert int(matmul_mod(x, y)[0, 0]) == expected


@pytest.mark.parametrize("inner", [1024, 1025, 2049])
def test_long_products_equal_numpys_integer_products(inner):
    take = stream(lesson_key(0, "matmul"), "x", 0)
    x, y = Z2k(64).uniform(take, (2, 2 * inner, 3))
    x, y = x.reshape(2, 3, inner), y.reshape(2, inner, 3)
    np.testing.assert_array_equal(matmul_mod(x, y), x @ y)


@pytest.mark.parametrize("x, y", [
    ((0, 2, 3), (0, 3, 4)), ((1, 2, 3), (2, 3, 4)), ((2, 1, 2, 3), (2, 5, 3, 4)),
    ((2, 2, 0), (2, 0, 4)), ((0, 2, 2049), (0, 2049, 4))])
def test_stacks_of_matrices_multiply_as_in_numpy(x, y):
    odd = np.uint64(0x9E3779B97F4A7C15)
    x, y = (np.arange(np.prod(s), dtype=np.uint64).reshape(s) * odd for s in (x, y))
    result = matmul_mod(x, y)
    assert result.dtype == np.uint64 and result.shape == (x @ y).shape
    assert result.tolist() == (x @ y).tolist()


@pytest.mark.parametrize("view", [
    lambda x: x[::-1], lambda x: x[:, ::-1], lambda x: x[1:], lambda x: x[:, 1:],
    lambda x: x.T, lambda x: np.broadcast_to(x[:1], x.shape), lambda x: x[None, :, :],
    lambda x: np.broadcast_to(x[:, 1:2], x.shape), lambda x: x[::2],
    lambda x: np.asfortranarray(x)])
def test_every_view_of_an_operand_multiplies_as_it_is(view):
    ring = Z2k(64)
    x, y = ring.uniform(stream(lesson_key(0, "view"), "x", 0), (2, 4, 4))
    x.flags.writeable = False
    left = view(x)
    right = y[:left.shape[-1]]
    assert ring.matmul(left, right).tolist() == (left @ right).tolist()


@pytest.mark.parametrize("bits, sizes", [
    (1, [1]), (24, [24]), (25, [13, 12]), (44, [22, 22]), (45, [23, 22]),
    (48, [24, 24]), (49, [17, 17, 15]), (64, [22, 22, 20])])
def test_a_word_has_as_few_limbs_as_24_bits_allow(bits, sizes):
    assert limbs.limb_sizes(bits) == tuple(sizes)
    assert len(split_limbs(np.zeros(1, np.uint64), bits)) == len(sizes)


@pytest.mark.parametrize("bits", [1, 3, 23, 24, 25, 44, 45, 47, 48, 49, 63, 64])
def test_products_of_every_word_size_are_exact_at_the_extremes(bits):
    """With inner dimensions at both ends of all bounds: of a sum, and of a bracket."""
    sizes = limbs.limb_sizes(bits)
    inner = 1, 64, 65, 128, 129, 784, 1024, 1025, 2048, 2049
    ends = [[-2**(b - 1) for b in sizes], [2**(b - 1) - 1 for b in sizes],
            [1 - 2**(b - 1) for b in sizes],
            [2**(b - 1) - 1 for b in sizes[:-1]] + [-2**(sizes[-1] - 1)]]
    words = [sum(limb << sizes[0] * i for i, limb in enumerate(limbs)) % 2**bits
             for limbs in ends]
    for n, a, b in product(inner, words, words):
        x, y = np.full((1, n), a, np.uint64), np.full((n, 2), b, np.uint64)
        assert Z2k(bits).matmul(x, y).tolist() == [2 * [n * a * b % 2**bits]]


def test_sums_of_128_products_of_24_bits_reach_the_last_exact_float():
    lowest = np.full((1, 128), 2**47 - 2**23, np.uint64)
    assert [int(limb[0, 0]) for limb in split_limbs(lowest, 48)] == [-2**23, -2**23]
    reached = split_limbs(lowest, 48)[0] @ split_limbs(lowest.T, 48)[0]
    assert int(reached[0, 0]) == limbs.EXACT
    odd = lowest.copy()
    odd[0, 0] += 1                                      # then the sum has a lowest bit
    assert int(Z2k(48).matmul(odd, np.repeat(lowest.T, 2, 1))[0, 0]) == (
        sum(map(int, odd[0])) * int(lowest[0, 0]) % 2**48)


@pytest.mark.parametrize("bits, inner", [(48, 784), (64, 8191)])
def test_an_undivided_long_product_would_be_wrong(monkeypatch, bits, inner):
    take = stream(lesson_key(0, "long"), "x", 0)
    low = Z2k(bits).uniform(take, (2, inner)) | np.uint64(2**(limbs.limb_sizes(bits)[
        0] - 1) - 1)                                    # the largest limbs
    expected = [[sum(int(a) * int(b) for a, b in zip(x, y, strict=True)) % 2**bits
                 for y in low] for x in low]
    assert Z2k(bits).matmul(low, low.T).tolist() == expected
    monkeypatch.setattr(limbs, "EXACT", 2**60)
    assert Z2k(bits).matmul(low, low.T).tolist() != expected


@pytest.mark.parametrize("dtype", [float, np.float32, np.int32, np.uint8])
def test_operands_are_words(dtype):
    with pytest.raises((TypeError, ValueError, OverflowError)):
        Z2k(64).matmul(np.ones((2, 3), dtype), np.ones((3, 2), dtype))


def test_a_product_leaves_its_operands_as_they_are():
    x = Z2k(64).uniform(stream(lesson_key(0, "kept"), "x", 0), (3, 3)).copy()
    before = x.copy()
    for bits in (22, 48, 64):
        matmul_mod(x, x, bits)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("x, y", [
    ((0, 3, 10**6), (0, 10**6, 2)), ((1, 3, 0), (1, 0, 2)), ((0, 4), (4, 10**7))])
def test_a_product_without_elements_takes_no_work(monkeypatch, x, y):
    monkeypatch.setattr(limbs, "split_limbs", None)
    x, y = np.empty(x, np.uint64), np.empty(y, np.uint64)
    product = matmul_mod(x, y)
    assert product.dtype == np.uint64 and product.shape == (x @ y).shape
    assert not product.any()
