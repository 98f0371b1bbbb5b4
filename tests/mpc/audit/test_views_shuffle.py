"""The exact views of a shuffle: it hides the rows, and their order if they are shown.

Two rows of one number, for two and three workers. Orders sort random words, which are
often equal on a tiny ring. So where rows are shown, the words of one draw are replaced
by those of both orders, equally often.
"""

import numpy as np
import pytest
import view_steps as steps
from view_steps import (
    ALICE,
    BOB,
    P2,
    SERVER,
    WORKERS,
    GivenOwnCoins,
    GivenOwnShares,
    coalitions,
    outsider_varies,
)

from mpc.audit.views import Experiment, ViewWorld

pytestmark = pytest.mark.view
everybody = pytest.mark.parametrize(
    "workers, coalition", [(n, c) for n in (2, 3) for c in coalitions(n)])
ROWS = ((1, 3), (2, 0), (0, 1))         # the shares of two numbers


def outsider_of(workers, coalition):
    return next(i for i in range(workers) if WORKERS[i] not in coalition)


def cases(workers, coalition, bits, values):
    rows = np.array(ROWS) % 2**bits
    return outsider_varies(workers, coalition, values, x=rows.tolist())


def with_numbers(workers, coalition, *numbers):
    """On one bit: the outsider's shares make these pairs of numbers."""
    rows, outside = np.array(ROWS) % 2, outsider_of(workers, coalition)
    rest = rows[:workers].sum(axis=0) - rows[outside]
    shares = [tuple(((np.array(pair) - rest) % 2).tolist()) for pair in numbers]
    return outsider_varies(workers, coalition, shares, x=rows.tolist())


# ---- the rows


@pytest.mark.parametrize("orders", [[[0, 0], [0, 0]], [[1, 0], [0, 1]]])
@pytest.mark.parametrize("role", [ALICE, BOB])
def test_a_shuffle_hides_the_rows_under_all_coins_but_the_orders(role, orders):
    """2^16 assignments: both masks, the shares of both messages and of both c."""
    experiment = Experiment(steps.shuffle, ["a", "z", "c"], 1,
                            fixed={"order": orders, "rho": orders[:1]})
    groups = cases(2, (role,), 1, [(0, 0), (0, 1), (1, 0), (1, 1)])
    assert not experiment.tells_apart(role, groups)


@everybody
def test_a_shuffle_hides_the_rows_given_the_coalitions_own_coins(workers, coalition):
    """All coins of the outsider, those of its orders included."""
    groups = cases(workers, coalition, 1, [(0, 0), (0, 1), (1, 0), (1, 1)])
    for own in (0, 1):
        experiment = GivenOwnCoins(steps.shuffle, coalition, own, bits=1,
                                   workers=workers)
        assert not experiment.tells_apart(coalition, groups)


@pytest.mark.parametrize("coalition", coalitions(2))
def test_a_shuffle_on_two_bits_hides_the_rows(coalition):
    groups = cases(2, coalition, 2, [(0, 0), (0, 3), (1, 2)])
    experiment = GivenOwnShares(steps.shuffle, coalition, 1)
    assert not experiment.tells_apart(coalition, groups)


@pytest.mark.parametrize("workers", [2, 3, 5])
def test_the_provider_receives_nothing_in_a_shuffle(workers):
    world = ViewWorld(13, ring_bits=4, n_workers=workers)
    steps.shuffle(world, x=[(1, 2, 3)] * workers)
    assert P2 not in {m.dst for m in world.ledger.messages}


# ---- the order, if the rows are revealed


@everybody
def test_a_coalition_that_sees_the_shuffled_rows_does_not_learn_the_order(
        workers, coalition):
    """The one order that it does not know is enough."""
    role, place = (SERVER, *coalition), outsider_of(workers, coalition)

    def tells_apart(mutant, *numbers):
        experiment = GivenOwnCoins(
            steps.shuffle_shown(SERVER), role, 1, bits=1, workers=workers,
            mutants={f"order#{place + 1}": mutant}, extra={"pi": 2}, ignored=["order"])
        return experiment.tells_apart(role, with_numbers(workers, coalition, *numbers))

    def uniform(v, coins):
        v = v.astype(int)
        target = np.stack([coins["pi"], 1 - coins["pi"]])
        v[place] = (target - v.sum(axis=0) + v[place]) % 2
        return v

    def identity(v, coins):
        return uniform(v, {"pi": 0 * coins["pi"]})

    assert not tells_apart(uniform, (0, 1), (1, 0))
    assert tells_apart(identity, (0, 1), (1, 0))
    assert tells_apart(uniform, (0, 1), (0, 0))         # the rows are shown


@pytest.mark.parametrize("workers", [2, 3])
def test_the_provider_that_sees_the_shuffled_rows_does_not_learn_the_order(workers):
    """Nor who had which share: the common order of all workers is enough."""
    def tells_apart(mutant, inputs):
        experiment = GivenOwnCoins(
            steps.shuffle_shown(P2), (P2,), 1, bits=1, workers=workers,
            mutants={"rho": mutant}, extra={"order": 2}, ignored=["zero"])
        return experiment.tells_apart(P2, inputs)

    def uniform(v, coins):
        return np.stack([coins["order"], 1 - coins["order"]])[None]

    def identity(v, coins):
        return uniform(v, {"order": 0 * coins["order"]})

    def given(*rows):
        return {"x": (*rows, (0, 0))[:workers]}

    inputs = [given((0, 1), (1, 1)), given((1, 0), (1, 1)), given((0, 0), (0, 1))]
    assert not tells_apart(uniform, inputs)
    assert tells_apart(identity, inputs)
    assert tells_apart(uniform, [inputs[0], given((0, 1), (0, 1))])
