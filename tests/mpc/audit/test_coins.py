"""How coins are drawn: in full shape and exact range, uniform, per element, used once.

The view tables inject coins, so they cannot see a coin that is drawn once for a whole
tensor, nor one that is drawn for a row of a matrix and serves all its rows.
"""

from functools import partial
from itertools import combinations

import numpy as np
import pytest
import view_steps as steps
from helpers import give
from scipy import stats

from mpc import (
    CompareCoins,
    MaskReused,
    World,
    beaver,
    carry_tree,
    comparison,
    private_compare,
    run_threads,
    securenn,
    sorting,
    truncation,
)
from mpc.audit.replay import RecordedWorld
from mpc.audit.views import Experiment, Watched
from mpc.ring import Bits, Zm, pack_bits, unpack_bits

pytestmark = pytest.mark.view
N = 3000                # no other axis has this length


def square(x):
    return beaver.multiply(x, x)


def run_all(world, n=N):
    """Every protocol that draws coins, on n elements."""
    x, y = give(world, np.zeros(n)), give(world, np.ones(n))
    comparison.relu(x)
    square(y)
    securenn.select_share(securenn.drelu(y), x, y)
    beaver.matmul((x + y).reshape(n, 1), y[:1].reshape(1, 1))


def run_tree(world, n=N):
    """A quotient, its sign, their product and equality, by the carry tree."""
    x = give(world, np.zeros(n))
    quotient = truncation.truncate_with_provider(x, 2)
    beaver.multiply(quotient, carry_tree.drelu(x))
    carry_tree.is_zero(give(world, np.ones(n)))


@pytest.fixture(scope="module")
def drawn():
    """{label: arrays} of all coins of runs on small rings, and {label: ring}.

    Labels start with the size of the ring. Bits are unpacked, one for each element. The
    tree needs 6 bits for two groups of bits, and so a node.
    """
    coins, rings = {}, {}
    for bits, program in [(3, run_all), (6, run_tree)]:
        world = Watched(seed=5, ring_bits=bits)
        world._draw = partial(draw, world, world._draw, coins, rings)
        program(world)
    return coins, rings


def draw(world, original, coins, rings, groups, ring, shape, name):
    result, packed = original(groups, ring, shape, name), isinstance(ring, Bits)
    label = f"{world.ring.bits} bits/{world.ledger.label(name)}" + " packed" * packed
    coins.setdefault(label, []).extend(
        unpack_bits(array, N) if packed else array for array, in result)
    rings[label] = Zm(2) if packed else ring
    return result


def test_every_coin_has_its_own_number_for_each_element(drawn):
    coins, _ = drawn
    assert len(coins) > 35
    for label, arrays in coins.items():
        for array in arrays:
            if label.endswith(("matmul/b", "matmul/c")):
                continue            # the matrix product's other operand is one row
            assert N in array.shape, f"{label} has shape {array.shape}"
            assert 0 not in array.strides, f"{label} is broadcast"


# The smallest and the largest value of a coin, by the end of its label: for numbers of
# three bits mod 8, mod 7 inside share_convert and compute_msb, bits mod 5, a prime; for
# numbers of six bits mod 64, and packed bits.
RANGES = {
    "share_convert/r_0": (0, 7), "share_convert/r_1": (0, 7),
    "share_convert/eta_2": (0, 1),
    "share_convert/delta": (0, 6), "share_convert/eta_1": (0, 6),
    "share_convert/refresh/zero": (0, 6), "share_convert/s": (1, 4),
    "share_convert/z": (0, 4),
    "share_convert/turn": (0, 2), "share_convert/x_bits": (0, 4),
    "compute_msb/x": (0, 6), "compute_msb/beta": (0, 1), "compute_msb/s": (1, 4),
    "compute_msb/z": (0, 4), "compute_msb/turn": (0, 2), "compute_msb/x_bits": (0, 4),
    "compute_msb/x_lsb": (0, 7), "compute_msb/beta_1": (0, 7),
    "compute_msb/refresh/zero": (0, 7),
    "relu/multiply/a": (0, 7), "relu/multiply/b": (0, 7), "relu/multiply/c": (0, 7),
    "3 bits/multiply/a": (0, 7), "3 bits/multiply/c": (0, 7),
    "compute_msb/multiply/a": (0, 7), "compute_msb/multiply/b": (0, 7),
    "compute_msb/multiply/c": (0, 7), "matmul/a": (0, 7), "matmul/c": (0, 7),
    "select_share/multiply/a": (0, 7), "select_share/multiply/b": (0, 7),
    "select_share/multiply/c": (0, 7), "select_share/refresh/zero": (0, 7),
    "3 bits/given": (0, 7), "6 bits/given": (0, 63), "is_zero/a": (0, 63),
    "truncate_with_provider/a": (0, 63), "truncate_with_provider/t": (0, 63),
    "truncate_with_provider/q": (0, 63), "6 bits/multiply/c": (0, 63),
    "6 bits/multiply/c_1": (0, 63), "bit_to_arithmetic/b": (0, 63),
    "msb/top packed": (0, 1), "msb/table packed": (0, 1),
    "is_zero/table packed": (0, 1), "bit_to_arithmetic/b packed": (0, 1),
    "carry/multiply/a packed": (0, 1), "carry/multiply/b packed": (0, 1),
    "carry/multiply/c packed": (0, 1), "and_all/multiply/a packed": (0, 1),
    "and_all/multiply/b packed": (0, 1), "and_all/multiply/c packed": (0, 1),
}


def test_every_coin_takes_exactly_the_values_of_its_range(drawn):
    coins, _ = drawn
    seen = set()
    for label, arrays in coins.items():
        if not any(N in array.shape for array in arrays):
            continue
        end, = (end for end in RANGES if f"/{label}".endswith(f"/{end}"))
        low, high = RANGES[end]
        seen.add(end)
        for array in arrays:
            assert np.unique(array).tolist() == list(range(low, high + 1)), label
    assert seen == set(RANGES)


def test_every_coin_is_uniform_alone_and_together_with_its_neighbour(drawn):
    coins, rings = drawn
    for label, arrays in coins.items():
        ring = rings[label]
        low = 1 if isinstance(ring, Zm) and ring.nonzero else 0
        size = ring.modulus - low
        for array in arrays:
            if N not in array.shape or size == 1:
                continue
            elements = np.moveaxis(array, array.shape.index(N), -1)
            flat = elements.reshape(-1, N).astype(int) - low
            single = np.bincount(flat.ravel(), minlength=size)
            neighbours = flat[:, 0::2] * size + flat[:, 1::2]
            pairs = np.bincount(neighbours.ravel(), minlength=size**2)
            assert stats.chisquare(single).pvalue > 1e-6, label
            assert stats.chisquare(pairs).pvalue > 1e-6, label


def test_two_keys_and_two_calls_give_unrelated_coins(drawn):
    coins, rings = drawn
    for label, arrays in coins.items():
        least = 0.4 / rings[label].modulus
        for i, one in enumerate(arrays):
            for other in arrays[i + 1:]:
                if one.shape == other.shape and one.size >= N:
                    assert least < np.mean(one == other) < 0.95, label


# ---- matrices: a coin for every element of every row, under all protocol choices

SHAPE = (7, 13)                                 # 91 elements, whose bits take 12 bytes
WAYS = {"two workers, SecureNN": {"comparison": "securenn", "truncation": "local"},
        "two workers, carry tree": {"comparison": "carry-tree"},
        "three workers": {"n_workers": 3}}
TREE = {"two workers, carry tree", "three workers"}
MATRIX = {(7, 13), (91,)}                       # the carry tree flattens its operand

# A protocol, its input's shape, the ends of its coins' shapes: words and packed bits.
PROTOCOLS = {
    "relu": (comparison.relu, SHAPE, MATRIX, {(12,)}),
    "equal": (lambda x: comparison.equal(x, -x), SHAPE, MATRIX, {(12,)}),
    "square": (square, SHAPE, {SHAPE}, set()),
    "multiply": (lambda x: beaver.multiply(x, -x), SHAPE, {SHAPE}, set()),
    "refresh": (beaver.refresh, SHAPE, {SHAPE}, set()),
    "truncate": (lambda x: truncation.truncate(x, 1000), SHAPE, {SHAPE}, set()),
    "matmul": (lambda x: beaver.matmul(x, x.T), SHAPE,
               {(7, 13), (7, 7)}, set()),
    "tournament": (comparison.tournament, (43, 3),
                   {(43, 1), (43, 1, 1), (43, 1, 4), (43,)}, {(6,)}),
}
OF_THE_TREE = {
    "leaves": (lambda x: carry_tree.leaves(x, *carry_tree.known_bits(x)), SHAPE,
               {SHAPE}, {(7, 2)}),
    "quotient times sign": (lambda x: beaver.multiply(
        truncation.truncate_with_provider(x, 1000), carry_tree.drelu(x)),
        SHAPE, MATRIX, {(12,)}),
    "msb": (carry_tree.msb, SHAPE, {SHAPE}, {(7, 2)}),
    "at_least": (lambda x: carry_tree.at_least(x, np.array([0, 5, 9])), SHAPE,
                 {SHAPE, (3, 91)}, {(3, 12), (1, 12)}),
    "shuffle": (sorting.shuffle_rows, (2, *SHAPE), {(2, *SHAPE), (2, 7)}, set()),
    "is_zero": (carry_tree.is_zero, SHAPE, MATRIX, {(12,)}),
    "all_pairs": (comparison.all_pairs, (43, 5),
                  {(10, 43), (5, 43)}, {(10, 6), (5, 6)}),
}
BIT_BY_BIT = ("s", "z", "x_bits")       # for each of 64 bit positions, first
CASES = [(way, name) for way in WAYS
         for name in (*PROTOCOLS, *(OF_THE_TREE if way in TREE else ()))]


def draws_of(way, name):
    """(label, ring, the requested shape, arrays of all keys) of each draw."""
    protocol, shape, *_ = {**PROTOCOLS, **OF_THE_TREE}[name]
    world, draws = World(seed=3, **WAYS[way]), []
    x = give(world, np.arange(np.prod(shape)).reshape(shape))
    original = world._draw

    def draw(groups, ring, asked, coin):
        result = original(groups, ring, asked, coin)
        arrays = [array for array, in result]
        draws.append((world.ledger.label(coin), ring, asked, arrays))
        return result

    world._draw = draw
    protocol(x)
    return draws


def check_shapes(way, name):
    *_, words, packed = {**PROTOCOLS, **OF_THE_TREE}[name]
    draws, levels = draws_of(way, name), {}
    assert draws
    for label, ring, asked, arrays in draws:
        ends = packed if isinstance(ring, Bits) else words
        end = next((end for end in ends if asked[-len(end):] == end), None)
        assert end, f"{label}: {asked} instead of {ends}"
        path = label.split("/")
        bit_by_bit = path[-1] in BIT_BY_BIT and name != "shuffle"
        assert not bit_by_bit or asked[0] == 64, f"{label}: {asked}"
        assert path[-1] != "table" or asked[:2] == (15, 16), f"{label}: {asked}"
        if path[-3:] in (["carry", "multiply", "a"], ["and_all", "multiply", "a"]):
            levels.setdefault(path[-3], []).append(asked[:-len(end)])
        for array in arrays:
            assert array.shape == asked, label
            assert 0 not in array.strides, f"{label} is broadcast"
        for one, other in combinations(arrays, 2):
            assert not np.array_equal(one, other), f"{label} is the same from two keys"
    rows = {"carry": 16, "and_all": 4 if name == "all_pairs" else 16}
    for tree, found in levels.items():
        lead = (1,) * (tree == "carry")     # one p of each pair
        due = [(*lead, pairs) for pairs in halves(rows[tree])]
        whole = due * (len(found) // len(due))
        assert found == whole != [], f"{tree}: {found} instead of {due}"


def halves(n):
    """How many pairs a tree of n leaves has on each of its levels."""
    while n > 1:
        yield n // 2
        n -= n // 2


@pytest.mark.parametrize("way, name", CASES)
def test_every_coin_of_a_matrix_has_the_shape_of_the_value_it_hides(way, name):
    check_shapes(way, name)


def drawing_one_row(verb, repeated):
    """World's `verb`, drawing for the last axis alone and repeating the coins."""
    original = getattr(World, verb)

    def last_axis(world, ring, shape, coin):
        if len(shape) < 2:
            return original(world, ring, shape, coin)
        repeated.append(coin)
        drawn = original(world, ring, shape[-1:], coin)
        if verb == "common_coins":
            return np.broadcast_to(lift(drawn, shape), (1, *shape)).copy()
        share = drawn[0] if verb == "deal" else drawn
        rows = lift(share.rows, shape)
        rows = np.broadcast_to(rows, (len(rows), *shape)).copy()
        wide = share._with(rows, share.masks)
        if verb == "zero_share":
            return wide
        known = drawn[1].reshape(1, -1, *(1,) * (len(shape) - 1), shape[-1])
        return wide, np.broadcast_to(known, (*known.shape[:2], *shape)).copy()

    return last_axis


@pytest.mark.parametrize("way, name", [case for case in CASES if case != (
    "two workers, SecureNN", "truncate")])
def test_a_coin_drawn_for_one_row_and_used_for_all_is_seen(monkeypatch, way, name):
    """The teeth: one verb after the other draws for the last axis alone."""
    seen = set()
    for verb in ("deal", "common_coins", "zero_share"):
        repeated = []
        with monkeypatch.context() as patched:
            patched.setattr(World, verb, drawing_one_row(verb, repeated))
            draws_of(way, name)
            if repeated:
                with pytest.raises(AssertionError, match="instead of|: \\("):
                    check_shapes(way, name)
                seen.add(verb)
    assert seen >= ({"zero_share"} if name == "refresh" else {"deal"})


def lift(rows, shape):
    """Rows (holders, n) as (holders, 1, ..., n), for broadcasting to `shape`."""
    return rows.reshape(len(rows), *(1,) * (len(shape) - 1), shape[-1])


# ---- element by element

SMALL, KEPT = (3, 5), (1, 2)        # 15 elements, whose bits take two bytes


def of_the_kept_element(ring, shape):
    """A mask over the last axes of `shape`: all bits set at the kept element."""
    mine = np.zeros(SMALL, bool)
    mine[KEPT] = True
    if isinstance(ring, Bits):
        assert shape[-1] == 2
        return pack_bits(mine.ravel())
    whole = mine if shape[-2:] == SMALL else mine.ravel()
    assert shape[-whole.ndim:] == whole.shape
    return np.where(whole, np.iinfo(ring.dtype).max, 0).astype(ring.dtype)


def elementwise_protocols(way):
    yield from (comparison.relu, comparison.drelu, square,
                truncation.truncate_with_provider)
    if way in TREE:
        yield carry_tree.is_zero


@pytest.mark.parametrize("way, protocol", [
    (way, protocol) for way in WAYS for protocol in elementwise_protocols(way)])
def test_the_coins_of_other_elements_do_not_touch_an_elements_messages(way, protocol):
    """So "shared by two elements" and "reused in two calls" are one table of two."""
    rng, log = np.random.default_rng(0), []

    def fresh(ring, shape):
        low = 1 if isinstance(ring, Zm) and ring.nonzero else 0
        return rng.integers(low, ring.modulus, shape, dtype=ring.dtype)

    def remember(label, ring, shape):
        log.append(fresh(ring, shape))
        return log[-1]

    def change_the_others(label, ring, shape):
        mine = of_the_kept_element(ring, shape)
        return log[next(counter)] & mine | fresh(ring, shape) & ~mine

    counter, transcripts = iter(range(10**6)), []
    arguments = (10,) if protocol is truncation.truncate_with_provider else ()
    for hook in (remember, change_the_others):
        world = Watched(coins=hook, **WAYS[way])
        protocol(give(world, np.arange(15).reshape(SMALL)), *arguments)
        transcripts.append(world.seen)
    assert next(counter) == len(log) > 0
    for role in world.roles:
        one_run, other_run = (t[role] for t in transcripts)
        assert len(one_run) == len(other_run) > 0
        for (label, one, ring), (_, other, _) in zip(one_run, other_run, strict=True):
            mine = of_the_kept_element(ring, one.shape)
            np.testing.assert_array_equal(one & mine, other & mine, f"{role} {label}")
            assert one.nbytes < 50 or not np.array_equal(one, other), (role, label)


# ---- used once


def reuse(world):
    x, y = give(world, [1, 2]), give(world, [3, 4])
    a, _ = world.deal(world.ring, (2,), "a")
    world.open(first=x - a)
    world.open(second=y - a)


def test_a_second_value_under_a_dealt_mask_is_refused_with_the_coins_name(world):
    with pytest.raises(MaskReused, match="the coin a of step .* deal a fresh one"):
        reuse(world)


def test_reuse_is_refused_in_every_role_of_a_replay_and_in_threads():
    def program(world):
        with pytest.raises(MaskReused):
            reuse(world)
        return {}

    simulation = RecordedWorld(seed=1)
    program(simulation)
    for role in simulation.roles:
        program(simulation.replay(role))
    assert set(run_threads(program)) == set(simulation.roles)


@pytest.mark.parametrize("change", [
    lambda a: -a, lambda a: a[:1], lambda a: a.reshape(2, 1), lambda a: a + a,
    lambda a: a.sum(), lambda a: a[[1, 0]]])
def test_a_mask_is_recognised_after_linear_changes(world, change):
    a, _ = world.deal(world.ring, (2,), "a")
    world.open(first=a)
    with pytest.raises(MaskReused):
        world.gather("server", second=change(a))


def test_the_coins_of_a_comparison_serve_once(world):
    field, r = Zm(67), np.zeros((1, 2), np.uint64)
    bits = give(world, np.zeros((64, 2)), field)
    coins = CompareCoins.draw(world, field, 64, (2,))
    private_compare(bits, r, coins)
    with pytest.raises(MaskReused, match="the coin beta of step"):
        private_compare(bits, r, coins)
    for name, used in coins._asdict().items():
        others = CompareCoins.draw(world, field, 64, (2,))
        with pytest.raises(MaskReused, match="has hidden a value already"):
            private_compare(bits, r, others._replace(**{name: used}))


def test_a_secret_opened_once_serves_several_products_and_its_transpose(world):
    x, y = give(world, [[1, 2], [3, 4]]), give(world, [[5, 6], [7, 8]])
    beaver.matmul(x, y)
    mark = len(world.ledger.messages)
    beaver.matmul(x, y)
    beaver.matmul(x.T, y)
    beaver.multiply(y, x)
    assert {m.name for m in world.ledger.messages[mark:]} == {"c"}


def test_a_changed_secret_is_opened_under_a_new_mask(world):
    w, x = give(world, [[1, 2], [3, 4]]), give(world, [[5, 6], [7, 8]])
    beaver.matmul(x, w)
    updated = w - x
    mark = len(world.ledger.messages)
    beaver.matmul(x, updated)
    assert {m.name for m in world.ledger.messages[mark:]} == {"delta", "c"}
    old, new = (form.terms[0].share.masks
                for form in beaver.masked(epsilon=w, delta=updated))
    assert old and new and new.keys().isdisjoint(old)


def test_a_masked_secret_cannot_be_changed_in_place(world):
    x = give(World(), [1, 2])
    square(x)
    with pytest.raises(ValueError, match="read-only"):
        x.rows += np.uint64(1)


def test_every_protocol_of_the_views_draws_its_coins_by_name():
    """The tables name coins by label; a coin without one could not be broken."""
    labels = [c.label for c in Experiment(steps.relu, []).coins(a=(0, 0))]
    assert all(labels) and len(labels) == 25
