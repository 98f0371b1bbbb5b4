"""Views in the carry tree, the provider's truncation and products of n workers.

Most tables are those of a few values of everything that a coalition was dealt, over all
shares of masks that its outsider holds (`GivenOwnShares`). A few small ones enumerate
all coins.
"""

from itertools import product

import numpy as np
import pytest
import view_steps as steps
from view_steps import (
    ALICE,
    P2,
    GivenOwnShares,
    coalitions,
    outsider_varies,
    some_candidates,
)

from mpc import carry_tree
from mpc.audit.views import Experiment, ViewWorld

pytestmark = pytest.mark.view


def hidden(experiment, role, cases):
    return len(cases) > 1 and not experiment.tells_apart(role, cases)


def given(step, workers, coalition, cases, bits=2, own=(0, 1)):
    """No two of the `cases` can be told apart, given the coalition's own shares."""
    return all(hidden(GivenOwnShares(step, coalition, n, bits=bits, workers=workers),
                      coalition, cases) for n in own)


@pytest.mark.parametrize("role", coalitions(2))
def test_given_shares_are_a_slice_of_the_table_over_all_coins(role):
    """`GivenOwnShares` fixes what it claims to fix, and misses no other assignment."""
    def view(experiment):
        world, _ = experiment.run(x=(3, 6))
        return np.stack([column for column, _ in world.columns(role[0])], axis=1)

    step = steps.provider_truncation(2)
    whole = view(Experiment(step, ["a", "t", "q"], 3))
    part = view(GivenOwnShares(step, role, 1, bits=3))
    fixed = (part == part[0]).all(axis=0)       # shares of a, t and q
    among = whole[(whole[:, fixed] == part[0, fixed]).all(axis=1)]
    assert fixed.sum() == 3 and len(part) == 8
    assert sorted(map(tuple, among)) == sorted(map(tuple, part))


NODE = ["multiply/a", "multiply/b", "multiply/c"]
ALL = [(n, c) for n in (2, 3) for c in coalitions(n)]
everybody = pytest.mark.parametrize("workers, coalition", ALL)


# ---- matrix products and truncation


@everybody
def test_a_matrix_product_hides_its_operands_from_all_workers_but_one(
        workers, coalition):
    """One product for each worker; all coins of one entry, at 2 (two workers) bits."""
    experiment = Experiment(steps.matmul, ["a", "b", "c"], 4 - workers, workers)
    cases = outsider_varies(workers, coalition, range(2**(4 - workers)),
                            x=(1, 3, 0), y=(3, 0, 1))
    assert hidden(experiment, coalition, cases)
    cases = outsider_varies(workers, coalition, range(4), x=(1, 3, 2), y=(3, 0, 2))
    assert given(steps.matmul, workers, coalition, cases)


@everybody
def test_a_product_of_column_and_row_hides_every_entry(workers, coalition):
    cases = outsider_varies(workers, coalition, [(0, 0), (0, 1), (3, 2)],
                            x=((1, 3), (2, 0), (0, 2)), y=((0, 3), (1, 2), (3, 3)))
    assert given(steps.outer, workers, coalition, cases)


@pytest.mark.parametrize("bits, d", [(3, 2), (4, 3)])
@pytest.mark.parametrize("role", coalitions(2))
def test_the_providers_truncation_hides_its_operand(bits, d, role):
    experiment = Experiment(steps.provider_truncation(d), ["a", "t", "q"], bits)
    assert hidden(experiment, role, outsider_varies(2, role, range(2**bits), x=(1, 3)))


@pytest.mark.parametrize("bits, d", [(3, 2), (4, 3), (4, 4), (5, 6), (5, 7)])
@everybody
def test_the_providers_truncation_hides_its_operand_from_all_workers_but_one(
        workers, coalition, bits, d):
    cases = outsider_varies(workers, coalition, range(2**bits), x=(1, 3, 2))
    assert given(steps.provider_truncation(d), workers, coalition, cases, bits)


@everybody
def test_the_providers_truncation_hides_two_elements(workers, coalition):
    cases = outsider_varies(workers, coalition, product((0, 1, 6), repeat=2),
                            x=((3, 5), (1, 2), (4, 4)))
    assert given(steps.provider_truncation(2), workers, coalition, cases, 3)


# ---- the bits of an opened secret


@pytest.mark.parametrize("role", coalitions(2))
def test_the_table_of_four_bits_hides_the_mask_under_all_coins(role):
    """2^19 assignments: a mask of two bits, and alice's share of 15 entries."""
    experiment = Experiment(steps.leaves(), ["a", "table"], 2)
    assert hidden(experiment, role, outsider_varies(2, role, (0, 1, 3), x=(2, 3)))


@pytest.mark.parametrize("low, less", [(0, 0), (0, 1), (1, 0), (3, 0)])
@pytest.mark.parametrize("bits", [4, 6])
@everybody
def test_the_tables_of_four_bits_hide_the_operand(workers, coalition, bits, low, less):
    """One and two groups, in part with missing bits; with `less` as in equality."""
    cases = outsider_varies(workers, coalition, range(2**bits)[::bits - 1], x=(1, 3, 2))
    assert given(steps.leaves(low, less), workers, coalition, cases, bits)


@everybody
def test_a_node_of_the_tree_hides_its_bits(workers, coalition):
    """p_hi meets g_lo and p_lo under one mask; bits shared by XOR; under all coins."""
    experiment = Experiment(steps.bits_and, ["a", "b", "c"], 2, workers)
    x, y = [[1], [0], [1]], [[[0], [1]], [[1], [1]], [[0], [0]]]
    p_hi = outsider_varies(workers, coalition, [[0], [1]], x=x)
    lo = outsider_varies(
        workers, coalition, [[[g], [p]] for g, p in product(range(2), repeat=2)], y=y)
    assert hidden(experiment, coalition, [{**one, **two} for one in p_hi for two in lo])


@pytest.mark.parametrize("bits, low", [(2, 0), (3, 0), (3, 1), (4, 0), (5, 2), (6, 0),
                                       (6, 1), (9, 0)])
@everybody
def test_the_top_bit_hides_its_operand(workers, coalition, bits, low):
    """Up to two groups of four bits; with and without the lowest bits."""
    values = [*range(2**bits)[::2**bits // 4], 2**bits - 1, 2**bits - 3]
    cases = outsider_varies(workers, coalition, values, x=(1, 3, 2))
    assert given(steps.tree_msb(low), workers, coalition, cases, bits)


@everybody
def test_the_top_bit_behind_two_levels_of_the_tree_hides_its_operand(
        workers, coalition):
    cases = outsider_varies(workers, coalition, (0, 511, 700), x=(1, 3, 2))
    assert given(steps.tree_msb(), workers, coalition, cases, 10, own=(1,))


@everybody
def test_the_top_bits_of_two_elements_hide_them(workers, coalition):
    cases = outsider_varies(workers, coalition, product((0, 1, 6), repeat=2),
                            x=((3, 5), (1, 2), (4, 4)))
    assert given(steps.tree_msb(), workers, coalition, cases, 3)


@everybody
def test_the_dabit_hides_the_bit_that_it_converts(workers, coalition):
    free = ["bit_to_arithmetic/b"]
    experiment = Experiment(steps.bit_to_arithmetic, free, 2, workers)
    labels = [coin.name for coin in experiment.coins(x=(0,) * workers)]
    assert labels == [*free, f"{free[0]}#2"]        # XOR shares, and shares in the ring
    cases = outsider_varies(workers, coalition, range(2), x=(1, 0, 1))
    assert hidden(experiment, coalition, cases)


@pytest.mark.parametrize("bits, low", [(2, 0), (3, 0), (3, 1), (4, 2), (6, 0)])
@everybody
def test_the_sign_hides_its_operand(workers, coalition, bits, low):
    values = [*range(2**bits)[::2**bits // 4], 2**bits - 1, 2**bits - 3]
    cases = outsider_varies(workers, coalition, values, x=(1, 3, 2))
    assert given(steps.tree_drelu(low), workers, coalition, cases, bits)


@pytest.mark.parametrize("bits, thresholds", [
    (2, (0, 1)), (3, (0,)), (3, (-2, 0, 1)), (6, (0, 5)), (6, (7, 7))])
@everybody
def test_comparisons_with_several_thresholds_hide_their_operand(
        workers, coalition, bits, thresholds):
    """All read one opening and one table; every answer has a dealt bit of its own."""
    values = [*range(2**bits)[::2**bits // 4], 2**bits - 1, 2**bits - 3]
    cases = outsider_varies(workers, coalition, values, x=(1, 3, 2))
    assert given(steps.at_least(*thresholds), workers, coalition, cases, bits)


@pytest.mark.parametrize("bits", [2, 3, 6])
@everybody
def test_equality_by_masks_hides_its_operand(workers, coalition, bits):
    values = [*range(2**bits)[::2**bits // 4], 2**bits - 1, 2**bits - 3]
    cases = outsider_varies(workers, coalition, values, x=(3, 1, 2))
    assert given(steps.is_zero, workers, coalition, cases, bits)


# ---- the AND of many bits, and the first maximum


@pytest.mark.parametrize("l", [2, 3])
@pytest.mark.parametrize("role", coalitions(2))
def test_the_and_of_many_bits_hides_them(role, l):
    experiment = Experiment(steps.and_all, NODE)
    rows = ([1, 0, 1][:l], [0, 1, 1][:l])
    cases = outsider_varies(2, role, product(range(2), repeat=l), x=rows)
    assert hidden(experiment, role, cases)


@pytest.mark.parametrize("l", [2, 3, 4])
@pytest.mark.parametrize("coalition", coalitions(3))
def test_the_and_of_many_bits_hides_them_from_two_of_three(coalition, l):
    rows = ([1, 0, 1, 1][:l], [0, 1, 1, 0][:l], [0, 1, 0, 0][:l])
    cases = outsider_varies(3, coalition, product(range(2), repeat=l), x=rows)
    assert given(steps.and_all, 3, coalition, cases, own=(1,))


@pytest.mark.parametrize("m", [2, 3])
@everybody
def test_the_first_of_several_maxima_hides_the_candidates(workers, coalition, m):
    """Everything real: signs of all pairs, ANDs, and a dealt bit for each place."""
    cases = some_candidates(workers, coalition, m)
    assert given(steps.all_pairs, workers, coalition, cases)


@pytest.mark.parametrize("m", [2, 3])
@everybody
def test_the_signs_of_all_pairs_opened_on_the_way_would_show(
        monkeypatch, workers, coalition, m):
    def opened_msb(x):
        loses = msb(x)
        x.world.open(loses=loses)
        return loses

    msb = carry_tree.msb
    monkeypatch.setattr(carry_tree, "msb", opened_msb)
    assert not given(steps.all_pairs, workers, coalition,
                     some_candidates(workers, coalition, m))


# ---- messages to the provider, and opened products


@pytest.mark.parametrize("workers", [2, 3, 5])
def test_the_provider_receives_nothing_in_the_tree_and_the_truncation(workers):
    rows = tuple(range(workers))
    for step, names in [
            (steps.tree_drelu(), "x"), (steps.tree_drelu(1), "x"), (steps.is_zero, "x"),
            (steps.at_least(0, 1), "x"),
            (steps.provider_truncation(2), "x"), (steps.multiply, "xy"),
            (steps.matmul, "xy")]:
        world = ViewWorld(13, ring_bits=4, n_workers=workers)
        step(world, **dict.fromkeys(names, rows))
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
