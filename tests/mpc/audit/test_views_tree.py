"""Views in the carry tree, the provider's truncation and products of n workers.

With three workers, or many coins, a coalition's own coins are fixed (`GivenOwnCoins`):
the table is then that of these values, over all coins that the coalition does not know.
"""

from itertools import product

import numpy as np
import pytest
import view_steps as steps
from view_steps import (
    ALICE,
    BOB,
    P2,
    WORKERS,
    GivenOwnCoins,
    coalitions,
    outsider_varies,
    some_candidates,
)

from mpc import carry_tree
from mpc.audit.views import Experiment, ViewWorld

pytestmark = pytest.mark.view


def hidden(experiment, role, cases):
    return len(cases) > 1 and not experiment.tells_apart(role, cases)


NODE = ["multiply/a", "multiply/b", "multiply/c"]
ALL = [(n, c) for n in (2, 3) for c in coalitions(n)]


@pytest.mark.parametrize("bits, d", [(3, 2), (4, 3)])
@pytest.mark.parametrize("role", coalitions(2))
def test_the_providers_truncation_hides_its_operand(bits, d, role):
    free = ["r", "r_top", "r_over_d"]
    experiment = Experiment(steps.provider_truncation(d), free, bits)
    assert hidden(experiment, role, outsider_varies(2, role, (1, 3), range(2**bits)))


@pytest.mark.parametrize("bits, d, own", [(3, 2, 1), (3, 2, 2), (4, 3, 1)])
@pytest.mark.parametrize("coalition", coalitions(3))
def test_the_providers_truncation_hides_its_operand_from_two_of_three(
        bits, d, own, coalition):
    cases = outsider_varies(3, coalition, (1, 3, 2), range(2**bits))
    experiment = GivenOwnCoins(steps.provider_truncation(d), coalition, cases[0], own,
                               bits=bits, workers=3)
    assert hidden(experiment, coalition, cases)


@pytest.mark.parametrize("workers, coalition", ALL)
def test_the_masked_opening_hides_its_operand(workers, coalition):
    experiment = Experiment(steps.masked_bits, ["r", "r_bits"], 2, workers)
    cases = outsider_varies(workers, coalition, (1, 3, 2), range(4))
    assert hidden(experiment, coalition, cases)


@pytest.mark.parametrize("workers, coalition", ALL)
def test_a_node_of_the_tree_hides_its_bits(workers, coalition):
    """p_hi meets g_lo and p_lo under one mask; two bits shared by XOR."""
    experiment = Experiment(steps.bits_and, ["a", "b", "c"], 2, workers)
    x, y = [[1], [0], [1]], [[[0], [1]], [[1], [1]], [[0], [0]]]
    outside = next(i for i in range(workers) if WORKERS[i] not in coalition)
    cases = []
    for p_hi, g_lo, p_lo in product(range(2), repeat=3):
        x_rows, y_rows = list(x[:workers]), list(y[:workers])
        x_rows[outside], y_rows[outside] = [p_hi], [[g_lo], [p_lo]]
        cases.append({"x": x_rows, "y": y_rows})
    assert hidden(experiment, coalition, cases)


@pytest.mark.parametrize("workers, coalition", ALL)
def test_the_dabit_hides_the_bit_that_it_converts(workers, coalition):
    free = ["bit_to_arithmetic/b"]
    experiment = Experiment(steps.bit_to_arithmetic, free, 2, workers)
    labels = [coin.name for coin in experiment.coins(x=(0,) * workers)]
    assert labels == [*free, f"{free[0]}#2"]        # XOR shares, and shares in the ring
    cases = outsider_varies(workers, coalition, (1, 0, 1), range(2))
    assert hidden(experiment, coalition, cases)


@pytest.mark.parametrize("role", [(ALICE,), (BOB,)])
def test_drelu_on_the_tree_as_a_whole_hides_its_operand(role):
    """On two bits the carry is local: a masked opening and a dealt bit are left."""
    experiment = Experiment(steps.tree_drelu, ["r", "r_bits", "bit_to_arithmetic/b"], 2)
    for mine in range(4):
        cases = outsider_varies(2, role, (mine, mine), range(4))
        assert hidden(experiment, role, cases)


@pytest.mark.parametrize("role", [(ALICE,), (BOB,)])
def test_the_top_bit_of_three_hides_its_operand_with_a_real_node(role):
    """2^18 assignments of all coins of the masked opening and of the one node."""
    experiment = Experiment(steps.tree_msb, ["r", "r_bits", *NODE], 3)
    assert hidden(experiment, role, outsider_varies(2, role, (3, 5), (0, 1, 5)))


def given(step, workers, coalition, cases, bits=2, own=1):
    """No two of the `cases` can be told apart by the coalition, given its own coins."""
    experiment = GivenOwnCoins(step, coalition, cases[0], own, bits=bits,
                               workers=workers)
    return hidden(experiment, coalition, cases)


@pytest.mark.parametrize("bits", [2, 3])
@pytest.mark.parametrize("workers, coalition", ALL)
def test_drelu_on_the_tree_with_everything_real_hides_its_operand(
        workers, coalition, bits):
    cases = outsider_varies(workers, coalition, (1, 3, 2), range(2**bits))
    assert given(steps.tree_drelu, workers, coalition, cases, bits)


@pytest.mark.parametrize("own", [0, 1])
@pytest.mark.parametrize("workers, coalition", ALL)
def test_the_top_bit_of_four_hides_its_operand_behind_two_levels(
        workers, coalition, own):
    cases = outsider_varies(workers, coalition, (5, 3, 14), (0, 7, 8))
    assert given(steps.tree_msb, workers, coalition, cases, 4, own)


@pytest.mark.parametrize("role", [(ALICE,), (BOB,)])
def test_equality_by_masks_hides_its_operand(role):
    free = ["r", "r_bits", *NODE, "bit_to_arithmetic/b"]
    experiment = Experiment(steps.is_zero, free, 2)
    assert hidden(experiment, role, outsider_varies(2, role, (3, 1), range(4)))


@pytest.mark.parametrize("bits", [2, 3])
@pytest.mark.parametrize("workers, coalition", ALL)
def test_equality_by_masks_hides_its_operand_from_all_workers_but_one(
        workers, coalition, bits):
    cases = outsider_varies(workers, coalition, (3, 1, 2), range(2**bits)[::bits - 1])
    assert given(steps.is_zero, workers, coalition, cases, bits)


# ---- the AND of many bits, and the first maximum


@pytest.mark.parametrize("l", [2, 3])
@pytest.mark.parametrize("role", coalitions(2))
def test_the_and_of_many_bits_hides_them(role, l):
    experiment = Experiment(steps.and_all, NODE)
    rows = ([1, 0, 1][:l], [0, 1, 1][:l])
    cases = outsider_varies(2, role, rows, product(range(2), repeat=l))
    assert hidden(experiment, role, cases)


@pytest.mark.parametrize("l", [2, 3, 4])
@pytest.mark.parametrize("coalition", coalitions(3))
def test_the_and_of_many_bits_hides_them_from_two_of_three(coalition, l):
    rows = ([1, 0, 1, 1][:l], [0, 1, 1, 0][:l], [0, 1, 0, 0][:l])
    cases = outsider_varies(3, coalition, rows, product(range(2), repeat=l))
    assert given(steps.and_all, 3, coalition, cases)


@pytest.mark.parametrize("workers, coalition", ALL)
def test_the_first_of_two_maxima_hides_the_candidates(workers, coalition):
    """Everything real: one masked opening, and a dealt bit for each place."""
    cases = some_candidates(workers, coalition, 2)
    assert given(steps.all_pairs, workers, coalition, cases)


@pytest.mark.parametrize("workers, coalition", [(2, (ALICE,)), (3, (ALICE, BOB))])
def test_the_first_of_three_maxima_hides_the_candidates_with_everything_real(
        workers, coalition):
    """The outsider is the last worker, who draws no share of the provider's values."""
    cases = some_candidates(workers, coalition)
    assert given(steps.all_pairs, workers, coalition, cases)


@pytest.mark.parametrize("workers, coalition", ALL)
def test_the_first_of_three_maxima_hides_the_candidates(
        monkeypatch, workers, coalition):
    """The three signs and the ANDs are ideal; both have tables of their own above."""
    monkeypatch.setattr(carry_tree, "msb", steps.ideal_msb)
    monkeypatch.setattr(carry_tree, "multiply", steps.ideal_and)
    cases = some_candidates(workers, coalition)
    assert given(steps.all_pairs, workers, coalition, cases)


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("workers, coalition", ALL)
def test_the_signs_of_all_pairs_opened_on_the_way_would_show(
        monkeypatch, workers, coalition, m):
    def opened_msb(x):
        loses = steps.ideal_msb(x)
        x.world.open(loses=loses)
        return loses

    monkeypatch.setattr(carry_tree, "msb", opened_msb)
    monkeypatch.setattr(carry_tree, "multiply", steps.ideal_and)
    assert not given(steps.all_pairs, workers, coalition,
                     some_candidates(workers, coalition, m))


# ---- messages to the provider, and opened products


@pytest.mark.parametrize("workers", [2, 3, 5])
def test_the_provider_receives_nothing_in_the_tree_and_the_truncation(workers):
    rows = tuple(range(workers))
    for step, case in [(steps.tree_drelu, {"x": rows}), (steps.is_zero, {"x": rows}),
                       (steps.provider_truncation(2), {"x": rows}),
                       (steps.multiply, {"x": rows, "y": rows})]:
        world = ViewWorld(13, ring_bits=4, n_workers=workers)
        step(world, **case)
        assert P2 not in {m.dst for m in world.ledger.messages}
        assert {m.src for m in world.ledger.messages} > {P2}


def test_with_three_workers_a_missing_share_of_c_shows_once_the_product_is_opened():
    """If c lacks bob's share, only alice's table of an opened product differs."""
    same_product = [{"x": (1, x1, x2), "y": (0, y1, y2)}
                    for x1, x2, y1, y2 in product(range(2), repeat=4)
                    if (1 + x1 + x2) * (y1 + y2) % 2 == 0]

    def without_bob(v, coins):
        return np.stack([v[0], 0 * v[1]])

    def shows(step, mutants):
        experiment = Experiment(step, NODE, 1, 3, mutants)
        return experiment.tells_apart((ALICE,), same_product)

    assert not shows(steps.multiply, {"multiply/c": without_bob})
    assert not shows(steps.product_opened, {})
    assert shows(steps.product_opened, {"multiply/c": without_bob})
