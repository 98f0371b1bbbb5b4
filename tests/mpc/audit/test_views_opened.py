"""Views where several protocols read one opening: products, quotients, signs, a ReLU.

Everything is real, for two and three workers, and each coalition of all but one: over
all shares of masks that the outsider holds, for a few values of all that the coalition
was dealt (`GivenOwnShares`). Two products are tabulated under all coins too.
"""

from itertools import product

import pytest
import view_steps as steps
from view_steps import (
    ALICE,
    BOB,
    P2,
    GivenOwnShares,
    coalitions,
    outsider_varies,
    some_candidates,
    splits,
)

from mpc.audit.views import Experiment, ViewWorld

pytestmark = pytest.mark.view
everybody = pytest.mark.parametrize(
    "workers, coalition", [(n, c) for n in (2, 3) for c in coalitions(n)])
X, Y, Y2 = (3, 5, 2), (6, 1, 3), (1, 2, 4)


def given(step, coalition, values, bits=3, own=(0, 1), **inputs):
    """No inputs of the outsider can be told apart, given the coalition's own shares."""
    workers = len(coalition) + 1
    cases = outsider_varies(workers, coalition, values, **inputs)
    return len(cases) > 1 and not any(
        GivenOwnShares(step, coalition, n, bits=bits, workers=workers).tells_apart(
            coalition, cases) for n in own)


# ---- products


@pytest.mark.parametrize("role", [ALICE, BOB])
def test_one_opening_serves_two_products_of_the_same_secret(role):
    """Of matrices with y, elementwise with y2, under all coins."""
    free = ["matmul/a", "matmul/b", "matmul/c", "multiply/b", "multiply/c"]
    experiment = Experiment(steps.products, free)
    drawn = [coin.label for coin in experiment.coins(x=(0, 0), y=(0, 0), y2=(0, 0))]
    assert sorted(drawn) == sorted(free)        # x has one mask
    groups = list(splits(("x", "y", "y2"), role, (4, 4, 4), own=[(1, 2, 3)]))
    assert not any(experiment.tells_apart(role, cases[::5]) for cases in groups)


@everybody
def test_one_opening_serves_two_products_of_all_workers_but_one(workers, coalition):
    assert given(steps.products, coalition, (0, 1, 3), 2, x=X, y=Y, y2=Y2)


@everybody
def test_views_of_a_secret_share_its_opening(workers, coalition):
    coins = Experiment(steps.through_views, [], 3, workers).coins(x=X[:workers],
                                                                 y=Y[:workers])
    assert [c.label for c in coins].count("multiply/a") == 1
    assert given(steps.through_views, coalition, (0, 1, 5, 6), x=X, y=Y)


# ---- quotients and signs from the opening of a product


@pytest.mark.parametrize("bits, d", [(3, 2), (4, 3)])
@everybody
def test_products_quotient_and_sign_of_one_opening_hide_it(workers, coalition, bits, d):
    """x y, x @ y, x / d and the sign of x: one mask of x serves all four."""
    assert given(steps.all_of_one(d), coalition, (0, 1, 5), bits, (1,), x=X, y=Y)


@everybody
def test_products_of_a_quotient_hide_it(workers, coalition):
    """q q and q y take the opening of x; only y has a mask of its own."""
    assert given(steps.quotient_products(2), coalition, (0, 1, 5, 6), x=X, y=Y)


@everybody
def test_products_of_a_bit_hide_it_and_its_partners(workers, coalition):
    """The square of a bit, its product with a quotient, and with a masked value."""
    def step(world, x, y):
        return steps.bit_products(world, [v % 2 for v in y], x, y)

    assert given(step, coalition, (0, 1, 5), x=X, y=Y)


@everybody
def test_products_of_the_bits_of_several_thresholds_hide_the_operands(
        workers, coalition):
    """As in functions: the bits meet x, whose opening they read, its quotient and y."""
    step = steps.interval_products(0, 2)
    assert given(step, coalition, (0, 1, 5), x=X, y=Y)


@pytest.mark.parametrize("bits, d", [(3, 2), (4, 2), (4, 3), (4, 4), (5, 6)])
@everybody
def test_a_relu_of_fixed_point_hides_its_operand(workers, coalition, bits, d):
    """Quotient times sign; a divisor with a power of two cuts off low bits."""
    values = range(2**bits)[::2**(bits - 3)]
    assert given(steps.fixed_relu(d), coalition, values, bits, x=X)


@everybody
def test_a_relu_at_the_scale_of_its_operand_hides_it(workers, coalition):
    """A sign times the secret of which it was read: no message but for the sign."""
    assert given(steps.relu, coalition, range(8), a=X)


@pytest.mark.parametrize("protocol", [steps.maximum, steps.tournament])
@everybody
def test_a_maximum_hides_the_candidates(workers, coalition, protocol):
    """Signs times differences: of all pairs, and of a game of the tournament."""
    cases = some_candidates(workers, coalition, 2)
    experiment = GivenOwnShares(protocol, coalition, 1, workers=workers)
    assert not experiment.tells_apart(coalition, cases)


@everybody
def test_two_relus_hide_both_operands(workers, coalition):
    """Two elements or two calls: a coin that both use would be seen."""
    assert given(steps.fixed_relu(2), coalition, (0, 1, 6), own=(1,), x=X, x2=Y)


@pytest.mark.parametrize("coalition", coalitions(2))
def test_a_training_step_of_one_neuron_hides_data_and_weight(coalition):
    """Forward and backward in one table: w and x in two matrix products."""
    assert given(steps.neuron, coalition, (0, 5), own=(1,), w=(6, 1), x=X, y=Y)


# ---- the provider


@pytest.mark.parametrize("workers", [2, 3, 5])
def test_the_provider_receives_nothing_from_an_opening_that_several_protocols_read(
        workers):
    rows = tuple(range(workers))
    for step, names in [
            (steps.products, ["x", "y", "y2"]), (steps.through_views, "xy"),
            (steps.all_of_one(2), "xy"), (steps.quotient_products(2), "xy"),
            (steps.fixed_relu(3), "x"), (steps.neuron, "wxy")]:
        world = ViewWorld(13, ring_bits=5, n_workers=workers, comparison="carry-tree")
        step(world, **dict.fromkeys(names, rows))
        assert P2 not in {m.dst for m in world.ledger.messages}
        assert P2 in {m.src for m in world.ledger.messages}


def test_every_role_sends_as_many_messages_for_any_values():
    """The ledger of an opening that several protocols read does not depend on it."""
    ledgers = []
    for x, y in product((0, 5), repeat=2):
        world = ViewWorld(13, ring_bits=4, comparison="carry-tree")
        steps.all_of_one(2)(world, x=(x, 3), y=(y, 7))
        ledgers.append(world.ledger.messages)
    assert all(messages == ledgers[0] for messages in ledgers)
