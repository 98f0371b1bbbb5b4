"""Dealers of the course: right answers, and exact tables of what each party sees."""

from collections import Counter
from itertools import product

import numpy as np
import pytest

from mpc.course import dealers
from mpc.course.dealers import SMALL

KEY = dealers.paillier(1009, 1013)


@pytest.mark.parametrize("choice", [0, 1])
def test_a_transfer_gives_the_message_of_the_choice(choice):
    for a, b in product(range(1, SMALL.q), range(SMALL.q)):
        offer = pow(SMALL.g, a, SMALL.p)
        word = dealers.choose(SMALL, offer, b, choice)
        locked = dealers.lock(SMALL, a, word, (17, 2**63 + 5))
        found = dealers.unlock(SMALL, offer, b, choice, locked)
        assert found == (17, 2**63 + 5)[choice]
        assert dealers.unlock(SMALL, offer, b, 1 - choice, locked) not in (17, found)


def test_the_sender_sees_the_same_for_both_choices():
    """Over all of the receiver's coins, exactly."""
    for a in range(1, SMALL.q):
        offer = pow(SMALL.g, a, SMALL.p)
        tables = [Counter(dealers.choose(SMALL, offer, b, choice)
                          for b in range(SMALL.q)) for choice in (0, 1)]
        assert tables[0] == tables[1] and set(tables[0].values()) == {1}


def all_masks(bits):
    return np.indices((2**bits,) * bits).reshape(bits, -1)


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_a_product_by_transfers_is_right_and_alice_sees_noise(bits):
    masks = all_masks(bits)
    for x in range(2**bits):
        tables = []
        for y in range(2**bits):
            alice, bob, received = dealers.product_by_transfers(x, y, masks, bits)
            assert np.all((alice + bob) % 2**bits == x * y % 2**bits)
            tables.append(Counter(zip(*(r.tolist() for r in received), strict=True)))
        assert all(table == tables[0] for table in tables)
        assert set(tables[0].values()) == {1}


def test_one_mask_for_all_transfers_would_show():
    """The table can fail: of x = 3, alice sees 2 y between two messages."""
    r = np.arange(4)
    tables = [Counter(zip(*(m.tolist() for m in dealers.product_by_transfers(
        3, y, [r, r], 2)[2]), strict=True)) for y in range(4)]
    assert tables[0] != tables[1]


def test_a_triple_by_transfers_is_one():
    rng = np.random.default_rng(1)
    for bits in (4, 16, 31):
        a, b = (rng.integers(0, 2**bits, (2, 50)).tolist() for _ in range(2))
        for a_0, a_1, b_0, b_1 in zip(*a, *b, strict=True):
            masks = rng.integers(0, 2**bits, (2, bits)).tolist()
            c = dealers.triple_by_transfers((a_0, a_1), (b_0, b_1), masks, bits)
            assert sum(c) % 2**bits == (a_0 + a_1) * (b_0 + b_1) % 2**bits


def test_each_transfer_has_its_own_mask():
    with pytest.raises(ValueError, match="3 masks for 4 bits"):
        dealers.product_by_transfers(1, 2, [0, 0, 0], 4)


def test_sums_and_multiples_of_ciphertexts():
    n, modulus = KEY.n, KEY.n**2
    one, other = dealers.encrypt(n, 40, 5), dealers.encrypt(n, 2, 77)
    assert dealers.decrypt(KEY, one) == 40 and one != dealers.encrypt(n, 40, 6)
    assert dealers.decrypt(KEY, one * other % modulus) == 42
    assert dealers.decrypt(KEY, pow(one, 3, modulus)) == 120
    assert dealers.decrypt(KEY, dealers.encrypt(n, -1, 9)) == n - 1


def test_a_triple_by_encryption_is_one_for_all_shares_of_two_bits():
    for a_0, a_1, b_0, b_1, mask in product(*[range(4)] * 4, (0, 5, 1023)):
        alice, bob, seen = dealers.triple_by_encryption(
            KEY, (a_0, a_1), (b_0, b_1), mask, (3, 5, 7), 2)
        assert (alice + bob) % 4 == (a_0 + a_1) * (b_0 + b_1) % 4
        assert seen == a_0 * b_1 + b_0 * a_1 + mask


def test_alice_is_as_close_to_learning_nothing_as_stated():
    """The distance of her views of two secrets, over all masks, is exact."""
    bits, most = 2, 256
    def view(a_1, b_1):
        return Counter(dealers.triple_by_encryption(
            KEY, (3, a_1), (3, b_1), mask, (3, 5, 7), bits)[2] for mask in range(most))

    none, all_ = view(0, 0), view(3, 3)
    apart = sum(abs(none[v] - all_[v]) for v in none | all_) / 2 / most
    assert apart == (3 * 3 + 3 * 3) / most <= 2 ** (2 * bits + 1) / most


def test_a_sum_that_outgrows_n_is_refused():
    with pytest.raises(ValueError, match="outgrow n"):
        dealers.triple_by_encryption(KEY, (1, 1), (1, 1), 2**20, (3, 5, 7), 2)


@pytest.mark.parametrize("depth", [1, 3, 4, 8])
def test_point_keys_share_a_point_function(depth):
    for place in {0, 1, 2**depth - 1, 2**depth // 2}:
        keys = dealers.point_keys(place, depth, (b"a" * 16, b"b" * 16))
        for x in range(2**depth):
            shares = [dealers.evaluate(key, x) for key in keys]
            assert shares[0] ^ shares[1] == (x == place)


def test_two_trees_differ_on_the_path_alone():
    keys = dealers.point_keys(5, 4, (b"a" * 16, b"b" * 16))
    for x in range(16):
        pairs = zip(*(dealers.states_to(key, x) for key in keys), strict=True)
        for level, ((seed, bit), (other, its)) in enumerate(pairs):
            on_path = x >> (4 - level) == 5 >> (4 - level)
            assert (seed != other) == on_path == (bit != its)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 6])
def test_comparison_keys_share_a_comparison(depth):
    """Each bound with each x, under two pairs of seeds."""
    for bound, i in product(range(2**depth), range(2)):
        keys = dealers.comparison_keys(bound, depth, [hashed(i, 0), hashed(i, 1)])
        for x in range(2**depth):
            shares = [dealers.is_below(key, x) for key in keys]
            assert shares[0] ^ shares[1] == (x < bound), (bound, x)


def test_bits_of_a_comparison_key_and_of_a_share_are_fair():
    """A statistic over many seeds, no proof: one key alone shows coin tosses."""
    ones, shares = np.zeros((2, 4, 2)), np.zeros((2, 16))
    for i in range(400):
        for which, bound in enumerate((0, 15)):
            seeds = [hashed(i, side) for side in (0, 1)]
            key = dealers.comparison_keys(bound, 4, seeds)[0]
            ones[which] += key.values
            shares[which] += [dealers.is_below(key, x) for x in range(16)]
    assert np.all(np.abs(ones - 200) < 4 * 10)      # four deviations
    assert np.all(np.abs(shares - 200) < 4 * 10)


def test_a_key_has_the_same_size_and_fair_bits_for_every_place():
    """A statistic over many seeds, no proof: bits of corrections are coin tosses."""
    ones = np.zeros((2, 4, 2))
    for i in range(400):
        seeds = [hashed(i, side) for side in (0, 1)]
        for which, place in enumerate((0, 15)):
            key = dealers.point_keys(place, 4, seeds)[0]
            assert [len(c[0]) for c in key.corrections] == [16] * 4
            ones[which] += [c[1:] for c in key.corrections]
    assert np.all(np.abs(ones - 200) < 4 * 10)      # four deviations


def hashed(i, side):
    return bytes(np.random.default_rng((i, side)).bytes(16))
