"""The product in three: its answer, its exact tables, and the control without the doubling."""

from itertools import product

import numpy as np
import pytest

import mpc
import view_steps as steps
from helpers import everywhere, give, reconstruct
from mpc import World, beaver
from mpc.ring import Z2k
from mpc.audit.views import Experiment
from view_steps import ALICE, BOB, splits

pytestmark = pytest.mark.view
FREE = ["u", "v", "c"]


def hidden(experiment, role, groups):
    groups = list(groups)
    assert groups and all(len(g) > 1 for g in groups)
    return not any(experiment.tells_apart(role, g) for g in groups)


def test_it_is_twice_the_product_for_every_case_on_three_bits():
    """All 64 pairs of secrets, all masks of one element: 2^15 assignments each."""
    experiment = Experiment(steps.matmul_in_three, FREE, bits=3)
    for x, y in product(range(8), repeat=2):
        world, z = experiment.run(x=(3, x), y=(6, y))
        assert np.all(z.ring.sum(z.rows, axis=0) == 2 * (3 + x) * (6 + y) % 8)


def test_it_agrees_with_numpy_at_full_size_and_in_every_way_to_run_it():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 2**64, (5, 7), np.uint64), rng.integers(0, 2**64, (7, 2), np.uint64)

    def program(world):
        return {"z": mpc.matmul_in_three(give(world, x), give(world, y, owner="bob"))}

    z = everywhere(program)[1]["z"]
    assert np.array_equal(reconstruct(z), np.uint64(2) * (x @ y))


@pytest.mark.parametrize("role", [ALICE, BOB])
def test_it_hides_both_operands_from_each_worker(role):
    assert hidden(Experiment(steps.matmul_in_three, FREE), role, splits("xy", role, (4, 4)))


@pytest.mark.parametrize("role", [ALICE, BOB])
def test_on_three_bits_it_hides_both_operands(role):
    experiment = Experiment(steps.matmul_in_three, FREE, bits=3)
    cases = [case for case in next(splits("xy", role, (8, 8), own=[(5, 2)]))][::5]
    assert hidden(experiment, role, [cases])


@pytest.mark.parametrize("role", [ALICE, BOB])
def test_one_doubled_opening_serves_two_products_of_the_same_secret(role):
    free = ["u", "v", "c", "v#2", "c#2"]
    experiment = Experiment(steps.three_reused, free)
    labels = [coin.name.split("/")[-1] for coin in experiment.coins(x=(0, 0), y=(0, 0), y2=(0, 0))]
    assert labels == ["u", "v", "c", "v#2", "c#2"]          # and no u#2
    cases = next(splits(("x", "y", "y2"), role, (4, 4, 4), own=[(1, 2, 3)]))[::7]
    assert hidden(experiment, role, [cases])


@pytest.mark.parametrize("role", [ALICE, BOB])
def test_one_opening_of_the_right_operand_serves_both_kinds_of_product(role):
    free = ["matmul_in_three/u", "v", "matmul_in_three/c", "matmul/b", "matmul/c"]
    experiment = Experiment(steps.three_and_beaver, free)
    assert [c.name for c in experiment.coins(x=(0, 0), y=(0, 0), w=(0, 0))] == [
        "matmul_in_three/u", "matmul_in_three/v", "matmul_in_three/c", "matmul/b", "matmul/c"]
    cases = next(splits(("x", "y", "w"), role, (4, 4, 4), own=[(1, 2, 3)]))[::7]
    assert hidden(experiment, role, [cases])
    tied = Experiment(steps.three_and_beaver, free,
                      mutants={"matmul/c": lambda v, coins: coins["matmul_in_three/c"]})
    assert role == ALICE or tied.tells_apart(role, cases)


def without_doubling(world, x, y):
    """The control: x itself under the mask 2 u_0 - u_1, whose parity bob knows."""
    u, _ = world.deal(world.ring, (world.n,), "u")
    world.open(e=world.given(x) - beaver._doubled(u))


def test_without_the_doubling_bob_reads_the_parity_of_x():
    cases = [dict(x=(a, 1), y=(0, 0)) for a in range(4)]
    experiment = Experiment(without_doubling, ["u"])
    assert experiment.distance(BOB, cases[:3:2]) == 0       # two x of one parity
    assert experiment.distance(BOB, cases[:2]) == 1         # two of different ones


@pytest.mark.parametrize("coin, mutant, role", [
    ("u", lambda v, c: 0 * v, BOB), ("u", lambda v, c: np.stack([0 * v[0], v[1]]), BOB),
    ("u", lambda v, c: np.stack([v[0], 0 * v[1]]), ALICE), ("v", lambda v, c: 0 * v, ALICE),
    ("v", lambda v, c: np.stack([0 * v[0], v[1]]), BOB), ("c", lambda v, c: 0 * v, BOB),
    ("u", lambda v, c: v // 2, ALICE), ("v", lambda v, c: np.stack([v[0], -v[0] % 4]), ALICE)])
def test_a_broken_coin_is_caught(coin, mutant, role):
    experiment = Experiment(steps.matmul_in_three, FREE, mutants={coin: mutant})
    groups = splits("xy", role, (4, 4), own=[(1, 2), (3, 0)])
    assert any(experiment.tells_apart(role, g) for g in groups)


def test_a_large_product_in_a_world_of_three_products_is_one_of_them():
    world = World(products="three", seed=1)
    parties = dict(crypto_provider=world.crypto_provider)
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(64, 512)), rng.normal(size=(512, 3)) / 20
    s, t = (mpc.fix_precision(v).share(*world.workers, **parties) for v in (x, w))
    assert np.abs((s @ t).get().float_precision() - x @ w).max() < 0.1
    assert world.ledger.calls["matmul_in_three"] == 1
    (t.T @ t).get()
    assert world.ledger.calls["matmul"] == 1                # a small one stays Beaver's


def test_three_workers_and_vectors_are_refused():
    world = World(3, seed=1)
    x = give(world, [[1]])
    with pytest.raises(ValueError, match="a protocol of two workers, not 3; call matmul"):
        mpc.matmul_in_three(x, x)
    with pytest.raises(ValueError, match="products 'three' is a protocol of two workers"):
        World(3, products="three")
    two = World(seed=1)
    with pytest.raises(ValueError, match="reshape a vector"):
        mpc.matmul_in_three(give(two, [1, 2]), give(two, [[1], [2]]))
    with pytest.raises(ValueError, match="convert one first"):
        mpc.matmul_in_three(give(two, [[1]]), give(two, [[1]], Z2k(8)))
