"""What each role sees in the carry tree, the provider's truncation and products of n workers."""

from itertools import combinations, product

import numpy as np
import pytest

import view_steps as steps
from mpc import carry_tree
from mpc.views import Experiment, ViewWorld
from view_steps import ALICE, BOB, P2

pytestmark = pytest.mark.view
NAMES = [ALICE, BOB, "worker3"]


def coalitions(workers):
    """All sets of all workers but one: who must learn nothing even together."""
    return list(combinations(NAMES[:workers], workers - 1))


def outsider_varies(workers, coalition, rows, values, name="x"):
    """The rows of the one worker outside take all `values`; the coalition's stay `rows`."""
    outside = next(i for i in range(workers) if NAMES[i] not in coalition)
    cases = []
    for value in values:
        mine = list(rows[:workers])
        mine[outside] = value
        cases.append({name: tuple(mine)})
    return cases


def hidden(experiment, role, cases):
    return len(cases) > 1 and not experiment.tells_apart(role, cases)


ALL = [(n, c) for n in (2, 3) for c in coalitions(n)]


@pytest.mark.parametrize("bits, d, workers, coalition", [
    *((bits, d, *who) for bits, d in [(3, 2), (4, 3)] for who in ALL if who[0] == 2),
    *((3, 2, *who) for who in ALL if who[0] == 3)])
def test_the_providers_truncation_hides_its_operand(bits, d, workers, coalition):
    experiment = Experiment(steps.provider_truncation(d), ["r", "top bit of r", "r / d"], bits, workers)
    values = range(2**bits) if workers == 2 else (0, 1, 2**bits - 1)
    assert hidden(experiment, coalition, outsider_varies(workers, coalition, (1, 3, 2), values))


@pytest.mark.parametrize("workers, coalition", ALL)
def test_the_masked_opening_hides_its_operand(workers, coalition):
    experiment = Experiment(steps.masked_bits, ["r", "r bits"], 2, workers)
    assert hidden(experiment, coalition, outsider_varies(workers, coalition, (1, 3, 2), range(4)))


@pytest.mark.parametrize("workers, coalition", ALL)
def test_a_node_of_the_tree_hides_its_bits(workers, coalition):
    """p_hi meets g_lo and p_lo under one mask; two bits shared by XOR."""
    experiment = Experiment(steps.bits_and, ["a", "b", "c"], 2, workers)
    x, y = [[1], [0], [1]], [[[0], [1]], [[1], [1]], [[0], [0]]]
    outside = next(i for i in range(workers) if NAMES[i] not in coalition)
    cases = []
    for p_hi, g_lo, p_lo in product(range(2), repeat=3):
        x_rows, y_rows = list(x[:workers]), list(y[:workers])
        x_rows[outside], y_rows[outside] = [p_hi], [[g_lo], [p_lo]]
        cases.append(dict(x=x_rows, y=y_rows))
    assert hidden(experiment, coalition, cases)


@pytest.mark.parametrize("workers, coalition", ALL)
def test_the_dealt_bit_hides_what_it_brings_into_the_ring(workers, coalition):
    experiment = Experiment(steps.to_ring, ["to_ring/b"], 2, workers)
    labels = [coin.name for coin in experiment.coins(x=(0,) * workers)]
    assert labels == ["to_ring/b", "to_ring/b#2"]           # XOR shares, shares in the ring
    assert hidden(experiment, coalition, outsider_varies(workers, coalition, (1, 0, 1), range(2)))


@pytest.mark.parametrize("role", [(ALICE,), (BOB,)])
def test_drelu_on_the_tree_as_a_whole_hides_its_operand(role):
    """Two bits: the carry is local, so the masked opening and the dealt bit are all there is."""
    experiment = Experiment(steps.tree_drelu, ["r", "r bits", "to_ring/b"], 2)
    for mine in range(4):
        assert hidden(experiment, role, outsider_varies(2, role, (mine, mine), range(4)))


@pytest.mark.parametrize("role", [(ALICE,), (BOB,)])
def test_drelu_on_three_bits_hides_its_operand_with_a_real_node(role):
    """Both workers' bit shares matter now; r's own coins stand still in turn, see the control."""
    free = ["r", "r bits", "multiply/a", "multiply/b", "multiply/c"]
    experiment = Experiment(_tree_msb, free, 3)
    assert hidden(experiment, role, outsider_varies(2, role, (3, 5), (0, 1, 5)))


def _tree_msb(world, x):
    return carry_tree.msb(world.given(x))


@pytest.mark.parametrize("role", [(ALICE,), (BOB,)])
def test_equality_by_masks_hides_its_operand(role):
    experiment = Experiment(steps.is_zero, ["r", "r bits", "multiply/a", "multiply/b", "multiply/c",
                                            "to_ring/b"], 2)
    assert hidden(experiment, role, outsider_varies(2, role, (3, 1), range(4)))


@pytest.mark.parametrize("workers", [2, 3, 5])
def test_the_provider_hears_nothing_from_the_tree_and_the_truncation(workers):
    rows = tuple(range(workers))
    for step, case in [(steps.tree_drelu, dict(x=rows)), (steps.is_zero, dict(x=rows)),
                       (steps.provider_truncation(2), dict(x=rows)),
                       (steps.multiply, dict(x=rows, y=rows))]:
        world = ViewWorld(13, ring_bits=4, n_workers=workers)
        step(world, **case)
        assert P2 not in {m.dst for m in world.ledger.messages}
        assert {m.src for m in world.ledger.messages} > {P2}


def test_of_three_workers_a_row_of_c_too_few_shows_once_the_product_is_opened():
    """With bob left out of c's sharing, every table of unopened rows stays equal for alice."""
    def opened(world, x, y):
        world.open(steps.multiply(world, x, y), name="z")

    same_product = [dict(x=(1, x1, x2), y=(0, y1, y2)) for x1, x2, y1, y2 in product(range(2), repeat=4)
                    if (1 + x1 + x2) * (y1 + y2) % 2 == 0]
    free = ["multiply/a", "multiply/b", "multiply/c"]

    def without_bob(v, coins):
        return np.stack([v[0], 0 * v[1]])

    mutant = {"multiply/c": without_bob}
    assert not Experiment(steps.multiply, free, 1, 3, mutant).tells_apart((ALICE,), same_product)
    assert not Experiment(opened, free, 1, 3).tells_apart((ALICE,), same_product)
    assert Experiment(opened, free, 1, 3, mutant).tells_apart((ALICE,), same_product)
