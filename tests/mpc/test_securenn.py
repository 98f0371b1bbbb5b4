"""SecureNN's protocols alone: all inputs, sharings and coins on toy rings, and edges.

share_convert has tests of its own with the corner r = 0, because those of relu cannot
see its bugs: a wrong theta moves the even number 2a by one, and only a = 0 and a = -1
change their sign.
"""

import numpy as np
import pytest
from helpers import (
    Injected,
    common,
    every_sharing,
    everywhere,
    give,
    reconstruct,
    rows_of,
    with_rows,
)

import mpc
from mpc import World, securenn
from mpc.audit.replay import RecordedWorld
from mpc.ring import Z2k, Z2kMinus1, Zm, bits_of
from mpc.securenn import CompareCoins

TOP = 2**64 - 1
TOYS = [(3, 5), (5, 7)]


def toy(bits, seed=1, coins=()):
    return World(seed=seed, ring_bits=bits, coins=Injected(dict(coins)))


def grid(*sizes):
    """All tuples below `sizes`, a flat array for each place."""
    return np.indices(sizes).reshape(len(sizes), -1)


def edges(values):
    return np.array([v % 2**64 for v in values], np.uint64)


# ---- select_share

@pytest.mark.parametrize("bits", [3, 5])
def test_select_share_is_right_for_all_inputs(bits):
    for seed in range(5):
        world, (alpha, x, y) = toy(bits, seed), grid(2, 2**bits, 2**bits)
        got = mpc.select_share(give(world, alpha), give(world, x), give(world, y))
        np.testing.assert_array_equal(reconstruct(got), np.where(alpha == 1, y, x))


def test_select_share_is_right_for_all_sharings():
    world = toy(3)
    alpha, x, y = (every_sharing(world, values) for values in ([0, 1], [5], [3]))
    got = reconstruct(mpc.select_share(alpha.reshape(2, 8, 1, 1), x.reshape(8, 1), y))
    expected = np.broadcast_to([[[[5]]], [[[3]]]], (2, 8, 8, 8))
    np.testing.assert_array_equal(got, expected)


def test_select_share_at_the_edges_of_64_bits():
    world, values = toy(64), edges([0, 1, -1, 2**62, -2**62, 2**63])
    x, y = give(world, values[:, None]), give(world, values)
    for bit in (0, 1):
        got = reconstruct(mpc.select_share(give(world, bit), x, y))
        chosen = values if bit else values[:, None]
        np.testing.assert_array_equal(got, np.broadcast_to(chosen, (6, 6)))


# ---- private_compare

def bits(values, l):
    return bits_of(np.asarray(values, np.uint64)[None], l)[0]


def compare(x_bits, r, beta, known=None, **coins):
    """P2's answers, and the coins but for beta drawn or given."""
    world, (l, *shape) = x_bits.world, x_bits.shape
    drawn = CompareCoins.draw(world, x_bits.ring, l, tuple(shape))
    drawn = drawn._replace(beta=common(world, beta, np.uint8), **coins)
    known = None if known is None else common(world, known, bool)
    return rows_of(mpc.private_compare(x_bits, common(world, r), drawn, known=known))[0]


@pytest.mark.parametrize("l, p", TOYS)
def test_private_compare_is_right_for_all_inputs(l, p):
    """All three cases: beta = 0; beta = 1; and beta = 1 with r = 2^l - 1."""
    x, r, beta = grid(2**l, 2**l, 2)
    for seed in range(20):
        x_bits = give(toy(l, seed), bits(x, l), Zm(p))
        np.testing.assert_array_equal(compare(x_bits, r, beta), beta ^ (x > r))


@pytest.mark.parametrize("l, p", TOYS)
@pytest.mark.parametrize("beta", [0, 1])
def test_private_compare_takes_x_to_be_above_r_where_that_is_known(l, p, beta):
    x, r, known = grid(2**l, 2**l, 2)
    for seed in range(20):
        x_bits = give(toy(l, seed), bits(x, l), Zm(p))
        got = compare(x_bits, r, np.full_like(r, beta), known=known)
        np.testing.assert_array_equal(got, beta ^ ((x > r) | (known == 1)))


def test_private_compare_is_right_for_all_sharings_of_the_bits():
    x, r, beta, *first = grid(8, 8, 2, 5, 5, 5)
    first, field = np.array(first, np.uint8), Zm(5)
    x_bits = with_rows(toy(3), [first, field.sub(bits(x, 3), first)], field)
    np.testing.assert_array_equal(compare(x_bits, r, beta), beta ^ (x > r))


def test_private_compare_is_right_for_all_units_and_rotations():
    x, r, beta, turn, *s = grid(8, 8, 2, 3, 4, 4, 4)
    x_bits = give(toy(3), bits(x, 3), Zm(5))
    s, turn = (common(x_bits.world, v, np.uint8) for v in (np.add(s, 1), turn))
    got = compare(x_bits, r, beta, s=s, turn=turn)
    np.testing.assert_array_equal(got, beta ^ (x > r))


def test_private_compare_is_right_for_all_zero_shares():
    x, r, beta, *z = grid(8, 8, 2, 5, 5, 5)
    x_bits, field = give(toy(3), bits(x, 3), Zm(5)), Zm(5)
    z = np.array(z, np.uint8)
    zero = with_rows(x_bits.world, [z, field.neg(z)], field)
    np.testing.assert_array_equal(compare(x_bits, r, beta, zero=zero), beta ^ (x > r))


def test_private_compare_at_the_edges_of_64_bits():
    values = edges([0, 1, 2, 2**62, 2**63 - 1, 2**63, TOP - 1, TOP])
    x, r, beta = (a.reshape(-1) for a in np.meshgrid(values, values, np.uint64([0, 1])))
    x_bits = give(toy(64), bits(x, 64), Zm(67))
    np.testing.assert_array_equal(compare(x_bits, r, beta), beta ^ (x > r))
    got = compare(x_bits, r, beta, known=np.ones_like(r))
    np.testing.assert_array_equal(got, beta ^ 1)


def test_private_compare_agrees_with_numpy_at_64_bits():
    rng = np.random.default_rng(0)
    x, r = rng.integers(0, 2**64, (2, 500), dtype=np.uint64)
    r[:100] = x[:100]
    place = rng.integers(0, 64, 100, dtype=np.uint64)
    r[100:200] = x[100:200] ^ (np.uint64(1) << place)
    beta = rng.integers(0, 2, 500)
    got = compare(give(toy(64), bits(x, 64), Zm(67)), r, beta)
    np.testing.assert_array_equal(got, beta ^ (x > r))


def test_private_compare_by_hand():
    """l = 3, p = 5, x = 5 = 101, r = 3 = 011, beta = 0; all lists lowest bit first.

    The bits (1, 0, 1) are shared as (1, 4, 3) + (0, 1, 3); r's are (1, 1, 0). Mod 5,

        w_i = x_i + j r_i - 2 r_i x_i             alice (4, 1, 3)    bob (1, 0, 3)
        c_i = j r_i - x_i + j + w_(i+1) + ...     alice (3, 4, 2)    bob (0, 4, 3)

    Together c = (3, 3, 0): bit 2 decides, since x has 1 there, r has 0, and no bit
    above differs. With s = (2, 3, 4) and z = (1, 2, 3),

        s_i c_i + z_i    alice (2, 4, 1)
        s_i c_i - z_i    bob   (4, 0, 4)

    Turned by one place, P2 reads (1, 2, 4) and (4, 4, 0), sees (0, 1, 4), and answers
    1: x > r.
    """
    world, field = RecordedWorld(seed=1, ring_bits=3), Zm(5)
    x_bits = with_rows(world, [[[1], [4], [3]], [[0], [1], [3]]], field)
    z = [[[1], [2], [3]], field.neg(np.uint8([[1], [2], [3]]))]
    got = compare(x_bits, [3], [0], s=common(world, [[2], [3], [4]], np.uint8),
                  zero=with_rows(world, z, field), turn=common(world, [1], np.uint8))
    assert [(p.src, p.dst, [*p.payload]) for p in world.tape] == \
        [("alice", "crypto_provider", [1, 2, 4]), ("bob", "crypto_provider", [4, 4, 0])]
    assert got.tolist() == [1]


@pytest.mark.parametrize("beta, r, known, c", [
    (1, 7, False, [0, 1, 1]),       # x <= 7 always: forged, one zero
    (0, 0, True, [0, 1, 1]),        # x > -1 always: forged, one zero
    (1, 0, True, [1, 1, 1]),        # x <= -1 never: forged, none
])
def test_the_forged_values_by_hand(beta, r, known, c):
    """Alice has 0; bob has 1, and 0 in the place of the zero. Here s = 1, turn = 0."""
    world, field = RecordedWorld(seed=1, ring_bits=3), Zm(5)
    zero = with_rows(world, np.zeros((2, 3, 1)), field)
    compare(give(world, [[1], [0], [1]], field), [r], [beta], [known],
            s=common(world, [[1]] * 3, np.uint8), zero=zero,
            turn=common(world, [0], np.uint8))
    alice, bob = (p for p in world.tape if p.dst == "crypto_provider")
    assert ([*alice.payload], [*bob.payload]) == ([0, 0, 0], c)


# ---- share_convert, alone

def all_pairs(bits, *more):
    """Rows a_0, a_1 of every a but 2^l - 1, and all tuples below the sizes `more`."""
    first, second, *rest = grid(2**bits, 2**bits, *more)
    valid = (first + second) % 2**bits != 2**bits - 1
    return np.stack([first, second])[:, valid], [r[valid] for r in rest]


def wrong_conversions(bits, rows, **given):
    """How many of these pairs of shares are converted wrongly, of how many."""
    world = toy(bits, coins={f"share_convert/{name}": [v] for name, v in given.items()})
    got = mpc.share_convert(with_rows(world, rows))
    assert not world.coins.unused
    assert got.ring == Z2kMinus1(bits) and rows_of(got).max() < 2**bits - 1
    return int((reconstruct(got) != rows.sum(axis=0) % 2**bits).sum()), rows.shape[1]


@pytest.mark.parametrize("bits", [3, 4, 5])
def test_share_convert_is_right_for_all_share_pairs(bits):
    rows, _ = all_pairs(bits)
    for seed in range(20):
        got = mpc.share_convert(with_rows(toy(bits, seed), rows))
        np.testing.assert_array_equal(reconstruct(got), rows.sum(axis=0) % 2**bits)


@pytest.mark.parametrize("bits", [3, 4])
def test_share_convert_is_right_for_all_masks(bits):
    rows, (r_0, r_1, eta) = all_pairs(bits, 2**bits, 2**bits, 2)
    assert wrong_conversions(bits, rows, r_0=r_0, r_1=r_1, eta_2=eta)[0] == 0


def with_r(bits, r):
    """All share pairs, all r_0 with r_1 = r - r_0, and both coins."""
    rows, (r_0, eta) = all_pairs(bits, 2**bits, 2)
    return rows, {"r_0": r_0, "r_1": (r - r_0) % 2**bits, "eta_2": eta}


@pytest.mark.parametrize("bits", [3, 4, 5])
@pytest.mark.parametrize("r", [0, 1, -1])
def test_share_convert_is_right_at_the_ends_of_r(bits, r):
    rows, coins = with_r(bits, r)
    assert wrong_conversions(bits, rows, **coins)[0] == 0


@pytest.mark.parametrize("bits", [3, 4, 5])
def test_the_mutant_that_lets_r_minus_one_wrap_around_is_always_wrong_at_r_0(
        bits, monkeypatch):
    right = mpc.private_compare
    monkeypatch.setattr(securenn, "private_compare", lambda *args, known: right(*args))
    rows, coins = with_r(bits, 0)
    wrong, total = wrong_conversions(bits, rows, **coins)
    assert wrong == total > 0
    rows, coins = with_r(bits, 1)
    assert wrong_conversions(bits, rows, **coins)[0] == 0


@pytest.mark.parametrize("bits", [3, 4, 5])
def test_the_mutant_that_compares_with_r_is_wrong(bits, monkeypatch):
    right = mpc.private_compare
    monkeypatch.setattr(
        securenn, "private_compare",
        lambda x_bits, r, coins, known: right(x_bits, (r + 1) % 2**bits, coins))
    assert wrong_conversions(bits, all_pairs(bits)[0])[0] > 0


@pytest.mark.parametrize("r", [0, 1, 2**63, TOP])
def test_share_convert_at_the_edges_of_64_bits(r):
    a, first = (v.reshape(-1) for v in np.meshgrid(
        edges([0, 1, 2, -2, 2**62, -2**62, 2**63]), edges([0, 1, 12345, 2**63, TOP])))
    for r_0 in (0, 7, TOP):
        r_1 = (r - r_0) % 2**64
        world = toy(64, coins={"share_convert/r_0": r_0, "share_convert/r_1": r_1})
        got = mpc.share_convert(with_rows(world, [first, a - first]))
        np.testing.assert_array_equal(reconstruct(got), a)
        assert not world.coins.unused


# ---- compute_msb

@pytest.mark.parametrize("bits", [3, 5])
def test_compute_msb_is_right_for_all_sharings_of_the_odd_ring(bits):
    for seed in range(20):
        world = toy(bits, seed)
        a = every_sharing(world, range(2**bits - 1), Z2kMinus1(bits))
        got = reconstruct(mpc.compute_msb(a, world.ring))
        top_bits = np.arange(2**bits - 1) >> bits - 1
        np.testing.assert_array_equal(got.T, [top_bits] * (2**bits - 1))


def test_compute_msb_is_right_for_all_masks():
    first, second, x_0, x_1, beta = grid(7, 7, 7, 7, 2)
    world = toy(3, coins={"compute_msb/x": [x_0, x_1], "compute_msb/beta": [beta]})
    got = mpc.compute_msb(with_rows(world, [first, second], Z2kMinus1(3)), world.ring)
    np.testing.assert_array_equal(reconstruct(got), (first + second) % 7 >> 2)
    assert not world.coins.unused


def test_compute_msb_at_the_edges_of_64_bits_and_into_another_ring():
    values = [0, 1, 2**62, 2**63 - 1, 2**63, 2**63 + 1, TOP - 1]
    for x in (0, 1, 2**63, TOP - 1):
        world = toy(64, coins={"compute_msb/x": [[x], [0]]})
        a = give(world, values, Z2kMinus1(64))
        for ring in (world.ring, Z2k(8)):
            got = mpc.compute_msb(a, ring)
            assert got.ring == ring
            assert reconstruct(got).tolist() == [0, 0, 0, 0, 1, 1, 1]
        assert not world.coins.unused


# ---- drelu and relu

def drelu_of(a, bits):
    """[a >= 0] where the double of a keeps its sign, and its opposite elsewhere."""
    signed = np.where(a < 2 ** (bits - 1), a, a - 2**bits)
    in_range = (-(2 ** (bits - 2)) <= signed) & (signed < 2 ** (bits - 2))
    return (signed >= 0) == in_range


@pytest.mark.parametrize("bits", [3, 4, 5])
def test_drelu_is_right_in_its_range_and_wrong_everywhere_outside(bits):
    a = np.arange(2**bits)
    for seed in range(10):
        got = reconstruct(mpc.drelu(every_sharing(toy(bits, seed), a)))
        np.testing.assert_array_equal(got.T, [drelu_of(a, bits)] * 2**bits)


@pytest.mark.parametrize("bits", [3, 4, 5])
def test_relu_is_right_for_all_sharings_in_its_range(bits):
    a = np.arange(-(2 ** (bits - 2)), 2 ** (bits - 2))
    for seed in range(10):
        got = reconstruct(mpc.relu(every_sharing(toy(bits, seed), a % 2**bits)))
        np.testing.assert_array_equal(got.T, [np.maximum(a, 0)] * 2**bits)


END = 2**62     # drelu's range at 64 bits is -END <= a < END
AT_64_BITS = [(0, 1), (1, 1), (-1, 0), (2, 1), (-2, 0), (1000, 1), (-1000, 0),
              (END - 1, 1), (-END, 0), (END, 0), (-END - 1, 1)]    # two outside fail


@pytest.mark.parametrize("r", [None, 0, 1, TOP])
def test_drelu_and_relu_at_the_edges_of_64_bits(r):
    coins = {} if r is None else {"r_0": 7, "r_1": (r - 7) % 2**64}
    a, bit = edges([a for a, _ in AT_64_BITS]), [b for _, b in AT_64_BITS]
    for protocol, path, expected in [
            (mpc.drelu, "drelu", bit), (mpc.relu, "relu/drelu", bit * a)]:
        world = toy(64, coins={f"{path}/share_convert/{name}": v
                               for name, v in coins.items()})
        got = reconstruct(protocol(give(world, np.tile(a, (50, 1)))))
        np.testing.assert_array_equal(got, [expected] * 50)
        assert not world.coins.unused


def test_drelu_of_random_numbers_at_64_bits():
    rng, world = np.random.default_rng(0), toy(64)
    a = rng.integers(-END, END, (40, 5)) >> rng.integers(0, 62, (40, 5))
    got = reconstruct(mpc.drelu(give(world, a.view(np.uint64))))
    np.testing.assert_array_equal(got, a >= 0)


# ---- in every way to run them

def compare_program(world):
    x, r = [0, 5, 2**63, TOP, 9], [0, 4, TOP, TOP, 8]
    x_bits = give(world, bits(x, 64), Zm(67))
    coins = CompareCoins.draw(world, Zm(67), 64, (5,))
    answer = mpc.private_compare(x_bits, common(world, r), coins)
    return {"answer": answer, "beta": coins.beta}


VALUES = edges([3, 0, -3, -1])
PROGRAMS = {
    "select_share": (lambda w: mpc.select_share(give(w, [0, 1, 0, 1]), give(w, VALUES),
                                                give(w, [9])), edges([3, 9, -3, 9])),
    "share_convert": (lambda w: mpc.share_convert(give(w, VALUES + VALUES)),
                      VALUES + VALUES),
    "compute_msb": (lambda w: mpc.compute_msb(give(w, VALUES % TOP, Z2kMinus1(64)),
                                              w.ring),
                    [0, 0, 1, 0]),
    "drelu": (lambda w: mpc.drelu(give(w, VALUES)), [1, 1, 0, 0]),
    "relu": (lambda w: mpc.relu(give(w, VALUES)), [3, 0, 0, 0]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_step_is_the_same_in_every_way_to_run_it(name):
    protocol, expected = PROGRAMS[name]
    _, got = everywhere(lambda world: {name: protocol(world)})
    np.testing.assert_array_equal(reconstruct(got[name]), expected)


def test_private_compare_is_the_same_in_every_way_to_run_it():
    _, got = everywhere(compare_program)
    greater = rows_of(got["answer"]) ^ rows_of(got["beta"])
    np.testing.assert_array_equal(greater, [[0, 1, 0, 0, 1]])


# ---- errors

THREE = {
    "private_compare": lambda w: mpc.private_compare(
        give(w, np.zeros((3, 1)), Zm(5)), common(w, [0]),
        CompareCoins.draw(w, Zm(5), 3, (1,))),
    "share_convert": lambda w: mpc.share_convert(give(w, [1])),
    "compute_msb": lambda w: mpc.compute_msb(give(w, [1], Z2kMinus1(64)), w.ring),
    "drelu": lambda w: securenn.drelu(give(w, [1])),
}


@pytest.mark.parametrize("name", THREE)
def test_three_workers_are_refused(name):
    with pytest.raises(ValueError, match="of two workers, not 3; make the World with"):
        THREE[name](World(3, seed=1))


@pytest.mark.parametrize("l, p, remedy", [
    (4, 5, "p=5 is no prime above 5, which 4 bits need; take 7"),
    (64, 61, "p=61 is no prime above 65, which 64 bits need; take 67"),
    (5, 9, "p=9 is no prime above 6, which 5 bits need; take 7"),
])
def test_a_bad_modulus_is_refused(world, l, p, remedy):
    with pytest.raises(ValueError, match=remedy):
        compare(give(world, np.zeros((l, 1)), Zm(p)), [0], [0])


@pytest.mark.parametrize("r, beta, known, remedy", [
    ([0], [0, 0], None, r"\(3, 2\) do not fit r \(1,\) and coins \(2,\); give one of"),
    ([0, 0], [0], None, r"\(3, 2\) do not fit r \(2,\) and coins \(1,\); give one of"),
    ([0, 0], [0, 0], [1], r"\(3, 2\) do not fit .*; give one of each"),
])
def test_shapes_that_do_not_fit_are_refused(world, r, beta, known, remedy):
    with pytest.raises(ValueError, match=remedy):
        compare(give(world, np.zeros((3, 2)), Zm(5)), r, beta, known)


WRONG_RING = [
    (lambda w: mpc.private_compare(give(w, np.zeros((3, 1))), common(w, [0]),
                                   CompareCoins.draw(w, Zm(5), 3, (1,))),
     "Z_2^64 is the wrong ring; share the bits mod a prime"),
    (lambda w: mpc.share_convert(give(w, [1], Z2kMinus1(64))),
     "Z_(2^64 - 1) is the wrong ring; take one over Z_2^l"),
    (lambda w: mpc.drelu(give(w, [1], Zm(67))),
     "Z_67 is the wrong ring; take one over Z_2^l"),
    (lambda w: mpc.relu(give(w, [1], Z2kMinus1(5))),
     "Z_(2^5 - 1) is the wrong ring; take one over Z_2^l"),
    (lambda w: mpc.compute_msb(give(w, [1]), w.ring),
     "Z_2^64 is the wrong ring; share_convert it first"),
    (lambda w: mpc.compute_msb(give(w, [1], Z2kMinus1(64)), Z2kMinus1(64)),
     "a Z2kMinus1 is no Z_2^l; take world.ring"),
]


@pytest.mark.parametrize("call, remedy", WRONG_RING)
def test_a_share_over_the_wrong_ring_is_refused_with_the_remedy(world, call, remedy):
    with pytest.raises(ValueError) as error:
        call(world)
    assert remedy in str(error.value)


def test_select_share_over_two_rings_is_refused(world):
    with pytest.raises(ValueError, match="convert one first"):
        mpc.select_share(give(world, [1], Z2kMinus1(64)), give(world, [1]),
                         give(world, [2]))
