"""How coins are drawn: full shape, exact range, uniform, each element its own, and used once.

The view tables inject coins, so they cannot see a coin that is drawn once for a whole tensor.
"""

import numpy as np
import pytest
from scipy import stats

import view_steps as steps
from helpers import give
from mpc import (CompareCoins, MaskReused, World, beaver, comparison, private_compare, run_threads,
                 securenn)
from mpc.ring import Zm
from mpc.views import Watched

pytestmark = pytest.mark.view
N = 3000                # no other axis has this length


def run_all(world, n=N):
    """Every step that draws coins, on n elements."""
    x, y = give(world, np.zeros(n)), give(world, np.ones(n))
    comparison.relu(x)
    beaver.square(y)
    securenn.select_share(securenn.drelu(y), x, y)
    beaver.matmul(x.reshape(n, 1), y[:1].reshape(1, 1))


@pytest.fixture(scope="module")
def drawn():
    """{label: arrays} of all coins that a small-ring run draws, and the world's rings by label."""
    coins, rings = {}, {}
    world = Watched(seed=5, ring_bits=3)
    original = world._draw

    def draw(groups, ring, shape, name):
        result = original(groups, ring, shape, name)
        label = world.ledger.label(name)
        coins.setdefault(label, []).extend(result)
        rings[label] = ring
        return result

    world._draw = draw
    run_all(world)
    return coins, rings


def test_every_coin_has_an_own_number_for_every_element(drawn):
    coins, _ = drawn
    assert len(coins) > 25
    for label, arrays in coins.items():
        for array in arrays:
            if label.endswith(("matmul/b", "matmul/c")):
                continue                                # the matrix product's other operand is one row
            assert N in array.shape, f"{label} has shape {array.shape}"
            assert 0 not in array.strides, f"{label} is broadcast"


def test_every_coin_takes_exactly_the_values_of_its_range(drawn):
    coins, rings = drawn
    for label, arrays in coins.items():
        ring = rings[label]
        low = 1 if isinstance(ring, Zm) and ring.nonzero else 0
        for array in arrays:
            if N in array.shape:
                assert np.array_equal(np.unique(array), np.arange(low, ring.modulus)), label


def test_every_coin_is_uniform_alone_and_together_with_its_neighbour(drawn):
    coins, rings = drawn
    for label, arrays in coins.items():
        ring = rings[label]
        low = 1 if isinstance(ring, Zm) and ring.nonzero else 0
        size = ring.modulus - low
        for array in arrays:
            if N not in array.shape or size == 1:
                continue
            flat = np.moveaxis(array, array.shape.index(N), -1).reshape(-1, N).astype(int) - low
            single = np.bincount(flat.ravel(), minlength=size)
            pairs = np.bincount((flat[:, 0::2] * size + flat[:, 1::2]).ravel(), minlength=size**2)
            assert stats.chisquare(single).pvalue > 1e-6, label
            assert stats.chisquare(pairs).pvalue > 1e-6, label


def test_two_keys_and_two_calls_give_unrelated_coins(drawn):
    coins, _ = drawn
    for label, arrays in coins.items():
        for i, one in enumerate(arrays):
            for other in arrays[i + 1:]:
                if one.shape == other.shape and one.size >= N:
                    assert 0.05 < np.mean(one == other) < 0.95, label


@pytest.mark.parametrize("step", [comparison.relu, securenn.drelu, beaver.square])
def test_the_coins_of_other_elements_do_not_touch_an_elements_messages(step):
    """With it, "shared by two elements" and "reused in two calls" are the same two-element table."""
    n, kept, rng = 5, 2, np.random.default_rng(0)
    log = {}

    def remember(label, ring, shape):
        key = (label, len([k for k in log if k[0] == label]))
        low = 1 if isinstance(ring, Zm) and ring.nonzero else 0
        log[key] = rng.integers(low, ring.modulus, shape, dtype=ring.dtype)
        return log[key]

    def change_the_others(label, ring, shape):
        key = (label, counts.setdefault(label, 0))
        counts[label] += 1
        low = 1 if isinstance(ring, Zm) and ring.nonzero else 0
        other = rng.integers(low, ring.modulus, shape, dtype=ring.dtype)
        mine = np.arange(n) == kept
        return np.where(mine, log[key], other)

    counts, transcripts = {}, []
    for hook in (remember, change_the_others):
        world = Watched(coins=hook)
        step(give(world, [3, 1, 4, 1, 5]))
        transcripts.append(world.seen)
    for role in ("alice", "bob", "crypto_provider"):
        messages = [list(zip(t[role])) for t in transcripts]
        assert len(messages[0]) == len(messages[1]) > 0
        for ((label, one, _),), ((_, other, _),) in zip(*messages):
            assert one.shape[-1] == n
            assert np.array_equal(one[..., kept], other[..., kept]), (role, label)
            assert one.size < 20 or not np.array_equal(one, other), (role, label)


# ---- used once


def reuse(world):
    x, y = give(world, [1, 2]), give(world, [3, 4])
    a, _ = world.dealt(world.ring, (2,), "a")
    world.open(x - a, name="first")
    world.open(y - a, name="second")


def test_a_second_value_under_a_dealt_mask_is_refused_with_the_coins_name(world):
    with pytest.raises(MaskReused, match="the coin a of step .* deal a fresh one"):
        reuse(world)


def test_reuse_is_refused_in_every_role_of_a_replay_and_in_threads():
    def program(world):
        with pytest.raises(MaskReused):
            reuse(world)
        return {}

    simulation = World(seed=1, record=True)
    program(simulation)
    for role in simulation.roles:
        program(simulation.replay(role))
    assert set(run_threads(program)) == set(simulation.roles)


@pytest.mark.parametrize("change", [lambda a: -a, lambda a: a[:1], lambda a: a.reshape(2, 1),
                                    lambda a: a + a, lambda a: a.sum(), lambda a: a.moveaxis(0, 0)])
def test_a_mask_is_recognised_behind_linear_changes(world, change):
    a, _ = world.dealt(world.ring, (2,), "a")
    world.open(a, name="first")
    with pytest.raises(MaskReused):
        world.gather("server", change(a), name="second")


def test_the_coins_of_a_comparison_serve_once(world):
    field, r = Zm(67), np.zeros((1, 2), np.uint64)
    bits = give(world, np.zeros((64, 2)), field)
    coins = CompareCoins.draw(world, field, 64, (2,))
    private_compare(bits, r, coins)
    with pytest.raises(MaskReused, match="share_convert|turn"):
        private_compare(bits, r, coins)


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
    assert updated.masked is None
    beaver.matmul(x, updated)
    assert updated.masked.a.masks.isdisjoint(w.masked.a.masks)


def test_a_masked_secret_cannot_be_changed_in_place(world):
    x = give(World(), [1, 2])
    beaver.square(x)
    with pytest.raises(ValueError, match="read-only"):
        x.rows += np.uint64(1)


def test_every_step_of_the_views_draws_its_coins_by_name():
    """The tables name coins by label; a coin without one could not be broken."""
    from mpc.views import Experiment
    labels = [c.label for c in Experiment(steps.relu, []).coins(a=(0, 0))]
    assert all(labels) and len(labels) == 25
