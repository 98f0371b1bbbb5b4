"""The exact view of each role in each protocol, equal for all that it must not learn.

All coins of one element are enumerated on a ring of two or three bits, through the
project's own functions, World and ledger. See `mpc.audit.views`; test_mutants.py has
the mutants that these tables catch.
"""

from itertools import combinations, product

import numpy as np
import pytest
import view_steps as steps
from view_steps import (
    ALICE,
    BOB,
    JOINT,
    P2,
    SERVER,
    WORKER3,
    WORKERS,
    GivenOwnCoins,
    every,
    less_bits,
    splits,
)

from mpc import securenn
from mpc.audit.views import Experiment, ViewWorld
from mpc.ring import Zm
from mpc.securenn import CompareCoins

pytestmark = pytest.mark.view
COMPARE = ["beta", "s", "z", "turn"]
PRODUCT = ["multiply/a", "multiply/b", "multiply/c"]


def hidden(experiment, role, groups):
    """`role` cannot tell any group of inputs apart, and one group has two members."""
    groups = [g for g in groups if len(g) > 1]
    assert groups
    return not any(experiment.tells_apart(role, cases) for cases in groups)


# ---- sharing, opening, revealing


@pytest.mark.parametrize("owner", [SERVER, P2, ALICE])
def test_a_worker_learns_nothing_from_its_share(owner):
    experiment = Experiment(steps.share_by(owner), ["x"])
    for worker in {ALICE, BOB} - {owner}:
        assert hidden(experiment, worker, [[{"x": v} for v in range(4)]])


@pytest.mark.parametrize("coalition", [(ALICE, BOB), (ALICE, "worker3"),
                                       (BOB, "worker3")])
def test_two_of_three_workers_learn_nothing_from_their_shares(coalition):
    experiment = Experiment(steps.share_by(SERVER), ["x"], workers=3)
    assert hidden(experiment, coalition, [[{"x": v} for v in range(4)]])


def test_the_receiver_of_a_revealed_value_learns_the_sum_and_no_more():
    experiment = Experiment(steps.reveal, ["zero"])
    assert hidden(experiment, SERVER, [[{"x": (a, (total - a) % 4)} for a in range(4)]
                                       for total in range(4)])
    assert experiment.distance(SERVER, [{"x": (0, 0)}, {"x": (0, 1)}]) == 1


@pytest.mark.parametrize("workers, coalition, same", [
    (3, (ALICE,), [(1, 0, 2), (1, 1, 1), (1, 3, 3)]),
    (3, (BOB,), [(0, 1, 2), (1, 1, 1), (3, 1, 3)]),
    (3, (WORKER3,), [(0, 2, 1), (1, 1, 1), (3, 3, 1)]),
    (4, (ALICE, BOB), [(1, 2, 3, 0), (1, 2, 1, 2), (1, 2, 2, 1)]),
    (4, (BOB, WORKER3), [(3, 1, 2, 0), (1, 1, 2, 2), (2, 1, 2, 1)])])
def test_the_receiver_and_all_workers_but_two_learn_the_sum_and_no_more(
        workers, coalition, same):
    role = (SERVER, *coalition)
    experiment = GivenOwnCoins(steps.reveal, role, 1, workers=workers)
    assert hidden(experiment, role, [[{"x": x} for x in same]])


@pytest.mark.parametrize("coalition", steps.coalitions(3))
def test_the_receiver_and_two_of_three_workers_learn_a_product_and_not_its_operands(
        coalition):
    """Own shares and the result yield the third share of the result, and no more."""
    role = (SERVER, *coalition)
    outside = [w not in coalition for w in WORKERS[:3]].index(True)
    groups = {}
    for theirs in product(range(4), repeat=2):
        x, y = [1, 2, 3], [3, 0, 2]
        x[outside], y[outside] = theirs
        groups.setdefault(sum(x) * sum(y) % 4, []).append({"x": x, "y": y})
    experiment = GivenOwnCoins(steps.product_revealed, role, 1, workers=3)
    assert len(groups) > 1 and hidden(experiment, role, groups.values())


@pytest.mark.parametrize("workers, size", [
    (2, 0), (3, 0), (3, 1), (4, 0), (4, 1), (4, 2)])
def test_a_sharing_of_zero_is_uniform_to_coalitions_without_two_workers(workers, size):
    """Given their own coins, the shares of all outsiders but one are uniform."""
    def step(world):
        return world.zero_share(world.ring, (world.n,), "zero")

    for coalition in combinations(WORKERS[:workers], size):
        _, zero = GivenOwnCoins(step, coalition, 1, workers=workers).run()
        assert np.all(zero.ring.sum(zero.rows, axis=0) == 0)
        outside = [i for i, w in enumerate(WORKERS[:workers]) if w not in coalition]
        for some in combinations(outside, len(outside) - 1):
            rows = np.ravel_multi_index(tuple(zero.rows[i] for i in some),
                                        (4,) * len(some))
            assert len(set(np.bincount(rows, minlength=4**len(some)))) == 1


# ---- products


@pytest.mark.parametrize("role", [ALICE, BOB])
def test_a_product_hides_both_operands_from_each_worker(role):
    assert hidden(Experiment(steps.multiply, PRODUCT), role, splits("xy", role, (4, 4)))


@pytest.mark.parametrize("role", [ALICE, BOB])
def test_two_openings_in_one_round_hide_both_secrets(role):
    groups = splits("xy", role, (4, 4))
    assert hidden(Experiment(steps.open_all, ["a", "b"]), role, groups)


def test_a_product_on_three_bits_hides_the_operands():
    experiment = Experiment(steps.multiply, PRODUCT, bits=3)
    assert hidden(experiment, ALICE, splits("xy", ALICE, (8, 8), own=[(3, 6)]))


@pytest.mark.parametrize("role", [ALICE, BOB])
def test_a_square_hides_its_operand(role):
    assert hidden(Experiment(steps.square, ["a", "c"]), role, splits("x", role, (4,)))


@pytest.mark.parametrize("role", [ALICE, BOB])
def test_a_matrix_product_hides_its_operands(role):
    """A row of two by a column of two; test_views_tree.py has single entries."""
    mine, values = ((1, 2), (3, 1)), [(0, 0), (2, 3)]

    def rows(own, other):
        return (own, other) if role == ALICE else (other, own)

    cases = [{"x": rows(mine[0], x), "y": rows(mine[1], y)}
             for x, y in product(values, repeat=2)]
    assert hidden(Experiment(steps.matmul, ["a", "b", "c"]), role, [cases])


@pytest.mark.parametrize("role", [ALICE, BOB])
def test_select_share_hides_all_three_operands(role):
    experiment = Experiment(steps.select_share, [*PRODUCT, "zero"])
    groups = splits(("alpha", "x", "y"), role, (4, 4, 4), own=[(1, 0, 3)])
    assert hidden(experiment, role, groups)


@pytest.mark.parametrize("coalition", [
    (ALICE,), (BOB,), (WORKER3,), (ALICE, BOB), (BOB, WORKER3)])
def test_a_product_of_three_workers_hides_the_operands_from_any_two(coalition):
    experiment, cases = Experiment(steps.multiply, PRODUCT, workers=3), []
    outside = next(i for i, name in enumerate(WORKERS) if name not in coalition)
    for x, y in product((0, 3), repeat=2):      # one outsider's shares, at the extremes
        rows = {"x": [1, 2, 3], "y": [3, 0, 2]}
        rows["x"][outside], rows["y"][outside] = x, y
        cases.append(rows)
    assert hidden(experiment, coalition, [cases])


@pytest.mark.parametrize("role", [ALICE, BOB])
def test_the_tournaments_product_hides_bit_value_and_place(role):
    def case(own, other):
        rows = (own, other) if role == ALICE else (other, own)
        return {"bit": [row[0] for row in rows], "pair": [row[1:] for row in rows]}

    others = [(0, 0, 0), (1, 3, 0), (2, 1, 1), (3, 2, 3)]
    cases = [case((1, 2, 3), other) for other in others]
    assert hidden(Experiment(steps.one_hot_step, PRODUCT), role, [cases])


# ---- private_compare: the provider may know x and have dealt the shares of its bits


def test_private_compare_hides_r_from_the_provider_that_dealt_the_bits():
    cases = [{"x": x, "r": r, "x_0": x_0} for x in range(4) for r in range(4)
             for x_0 in product(range(5), repeat=2)]
    by_deal = [[c for c in cases if (c["x"], c["x_0"]) == deal]
               for deal in product(range(4), product(range(5), repeat=2))]
    experiment = Experiment(steps.private_compare(2), COMPARE)
    assert hidden(experiment, P2, by_deal)


def test_private_compare_with_a_known_answer_looks_like_any_other():
    ordinary = Experiment(steps.private_compare(2), COMPARE)
    forged = Experiment(steps.private_compare(2, known=True), COMPARE)
    for x, r in product(range(4), repeat=2):
        case = {"x": x, "r": r, "x_0": (1, 3)}
        reference = ordinary.tables([P2], x=x, r=0, x_0=(1, 3))[P2]
        assert np.array_equal(forged.tables([P2], **case)[P2], reference)


@pytest.mark.parametrize("x, x_0", [(5, (1, 3, 0)), (0, (4, 4, 2))])
def test_private_compare_on_three_bits_hides_every_r_with_a_rotation(x, x_0):
    experiment = Experiment(steps.private_compare(3), COMPARE)
    assert hidden(experiment, P2, [[{"x": x, "r": r, "x_0": x_0} for r in range(8)]])


def test_a_rotation_hides_the_place_of_the_zero_as_well_as_a_permutation(monkeypatch):
    """On three bits rotations are half of all permutations: equal tables."""
    rotated = Experiment(steps.private_compare(3), ["beta", "s", "turn"])
    ordered = Experiment(steps.private_compare(3), ["beta", "s", "order"])

    def sum_only(world):
        """The provider's view without z: the sum of both messages (see below)."""
        d_0, d_1 = world.saw(P2, "d")
        digits = tuple((d_0.astype(int) + d_1) % 5)
        return np.sort(np.ravel_multi_index(digits, (5, 5, 5)))

    def permuted(rows, turn):
        orders = np.array([
            [0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 2, 1], [1, 0, 2], [2, 1, 0]])
        return np.take_along_axis(rows, np.moveaxis(orders[turn], -1, 1), axis=1)

    def with_six_orders(cls, world, field, l, shape):
        order = world.common_coins(Zm(6), shape, "order")
        return drawn(world, field, l, shape)._replace(turn=order)

    drawn = CompareCoins.draw
    for x, r in [(0, 0), (5, 3), (3, 5), (7, 7)]:
        case = {"x": x, "r": r, "x_0": (1, 3, 0)}
        by_rotation = sum_only(rotated.run(**case)[0])
        with monkeypatch.context() as patch:
            patch.setattr(securenn, "rotate", permuted)
            patch.setattr(CompareCoins, "draw", classmethod(with_six_orders))
            by_permutation = sum_only(ordered.run(**case)[0])
        assert len(by_permutation) == 2 * len(by_rotation)
        assert np.array_equal(by_permutation[::2], by_rotation)
        assert np.array_equal(by_permutation[1::2], by_rotation)


def test_shifting_z_moves_the_two_messages_against_each_other_and_nothing_else():
    """So a table of the sum is enough: z makes the split uniform in any case."""
    step, case = steps.private_compare(3), {"x": 5, "r": 3, "x_0": (1, 3, 0)}
    for i in range(3):
        shift = np.zeros((1, 3), int)
        shift[0, i] = 1
        plain = Experiment(step, ["beta", "s", "turn"])
        moved = Experiment(step, ["beta", "s", "turn"], fixed={"z": shift})
        d_0, d_1 = plain.run(**case)[0].saw(P2, "d")
        e_0, e_1 = moved.run(**case)[0].saw(P2, "d")
        up, down = (e_0.astype(int) - d_0) % 5, (d_1.astype(int) - e_1) % 5
        assert np.array_equal(up, down)
        one_place = np.broadcast_to([[0], [0], [1]], up.shape)
        assert np.array_equal(np.sort(up, axis=0), one_place)


def test_private_compare_sends_the_workers_nothing():
    world = ViewWorld(5, ring_bits=2)
    steps.private_compare(2)(world, x=1, r=2, x_0=(0, 0))
    assert {m.dst for m in world.ledger.messages} == {P2}


# ---- share_convert and compute_msb


@pytest.mark.parametrize("role", [ALICE, BOB])
def test_share_convert_tells_a_worker_nothing(role):
    """private_compare sends workers nothing, so its s, z and turn may be fixed."""
    free = ["r_0", "r_1", "eta_2", "x_bits", "delta", "eta_1"]
    experiment = Experiment(steps.share_convert, free)
    assert hidden(experiment, role, splits("a", role, (4,)))


@pytest.mark.parametrize("role", [ALICE, BOB])
def test_share_convert_on_three_bits_tells_a_worker_nothing(role):
    """The shares of x's bits go back to the provider only, under z: fixed as well."""
    free = ["r_0", "r_1", "eta_2", "delta", "eta_1"]
    for mine in (0, 5):
        cases = next(iter(splits("a", role, (8,), own=[(mine,)])))
        experiment = Experiment(less_bits(steps.share_convert), free, bits=3)
        assert hidden(experiment, role, [cases])


def test_share_convert_tells_the_provider_nothing_with_the_real_comparison_inside():
    free = ["r_0", "r_1", "eta_2", "s", "z", "turn"]
    experiment = Experiment(steps.share_convert, free)
    for x_0 in ((0, 0), (2, 4)):
        experiment.fixed = {"x_bits": [x_0]}
        assert hidden(experiment, P2, [every("a", (4,))])


@pytest.mark.parametrize("role", [ALICE, BOB])
def test_compute_msb_tells_a_worker_nothing_with_the_real_product_inside(role):
    free = ["compute_msb/beta", "compute_msb/x", "x_lsb", "beta_1", *PRODUCT]
    experiment = Experiment(less_bits(steps.compute_msb), free)
    assert hidden(experiment, role, splits("a", role, (3,)))


def test_compute_msb_tells_a_worker_nothing_with_the_bit_shares_in_view(monkeypatch):
    monkeypatch.setattr(securenn, "multiply", steps.ideal_multiply)
    free = ["compute_msb/beta", "compute_msb/x", "x_bits", "x_lsb", "beta_1", "product"]
    experiment = Experiment(steps.compute_msb, free)
    for role in (ALICE, BOB):
        assert hidden(experiment, role, splits("a", role, (3,)))


def test_compute_msb_tells_the_provider_nothing_with_the_real_comparison_inside():
    free = ["compute_msb/beta", "compute_msb/s", "compute_msb/z", "turn",
            "compute_msb/x"]
    experiment = Experiment(steps.compute_msb, free)
    for x_0 in ((0, 0), (3, 1)):
        experiment.fixed = {"x_bits": [x_0]}
        assert hidden(experiment, P2, [every("a", (3,))])


# ---- drelu as one joint table, and protocols that use it


@pytest.fixture
def ideal(monkeypatch):
    """private_compare and multiply inside drelu replaced by their ideals."""
    monkeypatch.setattr(securenn, "private_compare", steps.ideal_private_compare)
    monkeypatch.setattr(securenn, "multiply", steps.ideal_multiply)


@pytest.mark.parametrize("role", [ALICE, BOB, P2])
def test_drelu_as_a_whole_tells_nobody_anything(ideal, role):
    """331,776 assignments for each input; the only test of coins tied across its parts.

    The two comparisons and the product inside are ideal, and bob's view lacks the
    shares of bits. On two bits the product is always 0, since a + a is only 0 or 2; the
    next test has both of its values.
    """
    if role == P2:
        groups = [every("a", (4,))]
    else:
        groups = splits("a", role, (4,), own=[(1,), (2,)])
    assert hidden(Experiment(less_bits(steps.drelu), JOINT), role, groups)


@pytest.mark.parametrize("own", [1, 2])
@pytest.mark.parametrize("role", [ALICE, BOB, P2])
def test_drelu_on_three_bits_tells_nobody_anything_given_its_own_coins(
        ideal, role, own):
    """As above, for a few values of the role's own coins and all of the others."""
    def cases(pairs):
        return [{"a": (m, o) if role == ALICE else (o, m)} for m, o in pairs]

    if role == P2:
        groups = [cases(product(range(8), repeat=2))]
    elif role == ALICE:
        groups = [cases((mine, other) for other in range(8)) for mine in range(8)]
    else:
        groups = [cases((5, other) for other in (1, 3, 4, 6))]
    hide = GivenOwnCoins(less_bits(steps.drelu), (role,), own, bits=3,
                         ignored=["s", "z", "turn", "zero", "x_bits"])
    assert hidden(hide, role, groups)


def test_on_three_bits_drelus_product_has_both_values_and_the_sign_is_right(ideal):
    step = GivenOwnCoins(steps.drelu, (ALICE,), 1, bits=3,
                         ignored=["s", "z", "turn", "zero", "x_bits", "delta", "eta_1"])
    seen = set()
    for a in range(-2, 2):
        world, bit = step.run(a=(5, (a - 5) % 8))
        theirs, = world.saw(BOB, "product")
        mine, = world.saw(ALICE, "product")
        seen |= set(((mine + theirs) % 8).tolist())
        assert np.all(bit.ring.sum(bit.rows, axis=0) == (a >= 0))
    assert seen == {0, 1}


@pytest.mark.parametrize("role", [ALICE, BOB])
def test_relu_hides_its_operand(monkeypatch, role):
    monkeypatch.setattr(steps.comparison, "drelu", steps.ideal_drelu)
    experiment = Experiment(steps.relu, ["bit", *PRODUCT])
    assert hidden(experiment, role, splits("a", role, (4,)))


@pytest.mark.parametrize("role", [ALICE, BOB])
def test_equality_hides_its_operands(monkeypatch, role):
    monkeypatch.setattr(steps.comparison, "drelu", steps.ideal_drelu)
    experiment = Experiment(steps.equal, ["bit", *PRODUCT])
    assert hidden(experiment, role, splits("xy", role, (4, 4), own=[(1, 3), (2, 2)]))


# ---- protocols that send the provider nothing


def test_the_provider_receives_nothing_in_products_and_reveals():
    for step, case in [
            (steps.multiply, {"x": (1, 2), "y": (3, 0)}),
            (steps.square, {"x": (1, 2)}),
            (steps.matmul, {"x": ((1, 2), (0, 1)), "y": ((3, 0), (1, 1))}),
            (steps.select_share, {"alpha": (1, 0), "x": (1, 2), "y": (3, 0)}),
            (steps.reveal, {"x": (1, 2)})]:
        world = ViewWorld(5, ring_bits=2)
        step(world, **case)
        assert P2 not in {m.dst for m in world.ledger.messages}


def test_compare_coins_match_their_docstring():
    """The experiments inject coins; test_coins.py tests how they are drawn."""
    assert CompareCoins._fields == ("beta", "s", "zero", "turn")
