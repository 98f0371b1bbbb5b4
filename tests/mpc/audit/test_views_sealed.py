"""The exact views with seals: they show nothing more, also to a worker who lies.

Each element has keys and coefficients of its own, so these are enumerated like all
other coins. Numbers have one bit and one spare bit, or two and one; bits have one seal.
"""

from itertools import product

import numpy as np
import pytest
import view_steps as steps
from view_steps import (
    ALICE,
    BOB,
    P2,
    SERVER,
    GivenOwnShares,
    coalitions,
    outsider_varies,
)

from mpc import truncation
from mpc.audit.views import Experiment, ViewWorld
from mpc.seals import Cheated

pytestmark = pytest.mark.view
SEALED = {"security": "abort", "seals": 1, "spare": 1}
everybody = pytest.mark.parametrize(
    "workers, coalition", [(n, c) for n in (2, 3) for c in coalitions(n)])
ROWS = ((1, 3, 2), (2, 0, 1))           # shares of two numbers


class GivenOwnSealedShares(GivenOwnShares):
    """The seals of an input depend on it, so the dealt numbers are found each time.

    An outsider's coin for a seal then follows from the number and the coalition's share
    of it. It shows in no message but the outsider's sums, which follow from the others'
    unless somebody lies.
    """

    def run(self, **inputs):
        self._dealt = None
        return super().run(**inputs)


def sealed(step, coalition, workers, bits=1, own=0, **options):
    return GivenOwnSealedShares(step, coalition, own, bits=bits, workers=workers,
                                **{**SEALED, **options})


def cases(workers, coalition, bits, *names):
    """All shares of the outsider, of each input."""
    size = 2 ** (bits + 1)
    rows = {name: np.array(row) % size for name, row in zip(names, ROWS, strict=False)}
    return outsider_varies(workers, coalition, range(size), **rows)


def hides(experiment, coalition, inputs):
    assert len(inputs) > 1
    return not experiment.tells_apart(coalition, inputs)


# ---- steps, followed by a check


def checked(step):
    def run(world, **inputs):
        result = step(world, **inputs)
        world.seals.check()
        return result
    return run


@pytest.mark.parametrize("own", [0, 1])
@everybody
def test_a_sealed_product_hides_both_operands(workers, coalition, own):
    experiment = sealed(checked(steps.multiply), coalition, workers, own=own)
    assert hides(experiment, coalition, cases(workers, coalition, 1, "x", "y"))


@everybody
def test_a_sealed_matrix_product_hides_both_operands(workers, coalition):
    experiment = sealed(checked(steps.matmul), coalition, workers)
    inputs = cases(workers, coalition, 1, "x", "y")
    assert hides(experiment, coalition, [
        {name: np.reshape(rows, (workers, 1)) for name, rows in case.items()}
        for case in inputs])


def quotient(world, x):
    return truncation.truncate_with_provider(world.given(x), 2)


@everybody
def test_a_sealed_truncation_hides_its_operand(workers, coalition):
    experiment = sealed(checked(quotient), coalition, workers, bits=3)
    assert hides(experiment, coalition, cases(workers, coalition, 3, "x"))


def bit_cases(workers, coalition, *names):
    """All bits of the outsider, of each input."""
    rows = {name: np.array(row) % 2 for name, row in zip(names, ROWS, strict=False)}
    return outsider_varies(workers, coalition, range(2), **rows)


@everybody
def test_a_sealed_and_hides_both_bits(workers, coalition):
    experiment = sealed(checked(steps.bits_and), coalition, workers)
    assert hides(experiment, coalition, bit_cases(workers, coalition, "x", "y"))


@everybody
def test_a_sealed_bit_in_the_ring_hides_it(workers, coalition):
    experiment = sealed(checked(steps.bit_to_arithmetic), coalition, workers)
    assert hides(experiment, coalition, bit_cases(workers, coalition, "x"))


@pytest.mark.parametrize("step", [steps.tree_msb(), steps.tree_drelu()])
@everybody
def test_a_sealed_sign_hides_its_operand(workers, coalition, step):
    experiment = sealed(checked(step), coalition, workers, bits=3)
    assert hides(experiment, coalition, cases(workers, coalition, 3, "x"))


# ---- inputs and results


def by(owner):
    def step(world, x):
        rows = world._repeat(np.array([x], np.uint64), 0)
        share, = world.share(owner, x=(rows, world.ring))
        return share
    return step


@pytest.mark.parametrize("owner, role", [
    (SERVER, ALICE), (SERVER, BOB), (ALICE, BOB), (SERVER, P2), (BOB, P2)])
def test_a_sealed_input_hides_the_number_from_all_but_its_owner(owner, role):
    free = ["mask of x", "seal of mask of x", "alpha"]
    experiment = Experiment(by(owner), free, 1, **SEALED)
    assert not experiment.tells_apart(role, [{"x": v} for v in range(2)])


def shown_to(role):
    def step(world, x):
        world.gather(role, x=world.given(x))
    return step


@pytest.mark.parametrize("receiver", [SERVER, ALICE])
@everybody
def test_a_result_is_hidden_from_those_who_do_not_receive_it(
        receiver, workers, coalition):
    if receiver in coalition:
        return
    experiment = sealed(shown_to(receiver), coalition, workers)
    assert hides(experiment, coalition, cases(workers, coalition, 1, "x"))


@pytest.mark.parametrize("receiver", [SERVER, ALICE])
@everybody
def test_who_receives_a_result_learns_its_value_and_no_spare_bit(
        receiver, workers, coalition):
    """Words that differ by a multiple of 2 are the same value of one bit."""
    coalition = tuple(dict.fromkeys((*coalition, receiver)))
    workers_in = tuple(c for c in coalition if c != SERVER)
    if len(workers_in) == workers:
        return
    experiment = sealed(shown_to(receiver), coalition, workers)
    inputs = cases(workers, workers_in, 1, "x")
    assert hides(experiment, coalition, inputs[::2])
    assert hides(experiment, coalition, inputs[1::2])
    assert experiment.tells_apart(coalition, inputs[:2])


# ---- selective failure: a lie whose consequence depends on nothing secret


class Lying(ViewWorld):
    """Bob adds `errors` to what he opens."""

    errors: tuple = ()

    def _exchange(self, messages):
        lies = dict(self.errors)
        return super()._exchange([
            (src, dst, name, ring, ring.add(rows, np.array(lies[name], ring.dtype))
             if src == BOB and src != dst and name in lies else rows)
            for src, dst, name, ring, rows in messages])


def lying(errors, step, **options):
    class Experimental(GivenOwnSealedShares):
        kind = type("Liar", (Lying,), {"errors": errors})

    return Experimental(step, (BOB,), **{**SEALED, "workers": 2, **options})


@pytest.mark.parametrize("errors", [e for e in product(range(4), repeat=2) if any(e)])
def test_whether_a_lie_in_a_product_is_noticed_depends_on_no_secret(errors):
    """All errors in both openings; bob sees alice's sums, and so whether he fails."""
    lies = tuple(zip(("epsilon", "delta"), errors, strict=True))
    experiment = lying(lies, checked(steps.multiply), bits=1)
    assert hides(experiment, (BOB,), cases(2, (BOB,), 1, "x", "y"))


@pytest.mark.parametrize("errors", [(255, 0), (0, 255), (255, 255)])
def test_whether_a_lie_in_an_and_is_noticed_depends_on_no_secret(errors):
    lies = tuple(zip(("epsilon", "delta"), errors, strict=True))
    experiment = lying(lies, checked(steps.bits_and), bits=1)
    assert hides(experiment, (BOB,), bit_cases(2, (BOB,), "x", "y"))


@pytest.mark.parametrize("error", [1, 2, 4, 5, 8, 13])
def test_whether_a_lie_in_a_truncation_is_noticed_depends_on_no_secret(error):
    experiment = lying((("epsilon", error),), checked(quotient), bits=3)
    assert hides(experiment, (BOB,), cases(2, (BOB,), 3, "x"))


def result_up_to_the_check(world, x, y):
    """A product whose operands bob lies about, on its way to him, until all stop."""
    product, check = steps.multiply(world, x, y), world.seals.check

    def stop():
        check()
        raise Cheated

    world.seals.check = stop
    with pytest.raises(Cheated):
        world.gather(BOB, z=product)


LIES = [(("epsilon", 1),), (("epsilon", 2), ("delta", 3)), (("z", 1),)]


@pytest.mark.parametrize("lies", LIES)
def test_a_cheat_who_receives_a_result_learns_nothing_from_its_lies(lies):
    """It has the provider's hint and y + r, and lacks alice's pad until she checks."""
    experiment = lying(lies, result_up_to_the_check, bits=1)
    assert hides(experiment, (BOB,), cases(2, (BOB,), 1, "x", "y"))


def test_without_pads_a_cheat_would_learn_from_its_lies():
    experiment = lying(LIES[1], result_up_to_the_check, bits=1,
                       mutants={"pad of z": lambda values, coins: values * 0})
    assert not hides(experiment, (BOB,), cases(2, (BOB,), 1, "x", "y"))


def test_a_lie_is_noticed_as_often_as_stated():
    """Of all keys and coefficients: the worst error, in each size of numbers."""
    for bits, spare in ((1, 1), (1, 2), (2, 1)):
        def opens(world):
            r, _ = world.deal(world.ring, (world.n,), "r")
            world.open(epsilon=r)
            world.result = world.seals.check()

        options = {**SEALED, "spare": spare}
        experiment = Experiment(opens, ["alpha", "chi"], bits, **options)
        experiment.kind = type("Liar", (Lying,), {
            "errors": (("epsilon", 2 ** (bits - 1)),)})
        world, _ = experiment.run()
        sums = world.result[world.ring]
        assert np.mean(sums == 0) == (spare + 3) / 2 ** (spare + 2)


# ---- the tables can fail


def test_a_seal_in_the_clear_would_show():
    """If the seal's shares are not random, bob's are alpha a, and with a alpha."""
    experiment = sealed(checked(steps.multiply), (BOB,), 2, free=["seal of a"],
                        mutants={"multiply/a": lambda values, coins: values * 0})
    assert not hides(experiment, (BOB,), cases(2, (BOB,), 1, "x", "y"))


def test_a_result_under_no_mask_would_show():
    experiment = sealed(shown_to(SERVER), (BOB,), 2,
                        mutants={"mask of x": lambda values, coins: values * 0})
    assert not hides(experiment, (BOB,), cases(2, (BOB,), 1, "x"))
