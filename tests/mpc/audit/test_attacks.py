"""Each attack reads the secret of a weakened protocol and nothing of the real one."""

import numpy as np
import pytest
from scipy import stats

from mpc.audit import attacks
from mpc.audit.views import Watched

MANY = np.random.default_rng(0).integers(-1000, 1000, 4000).tolist()
RELU_INPUTS = attacks.read_relu_inputs, ([5, -3, 200, 0, -511],)
SIGNS = attacks.read_signs, (MANY,)
FACTOR = attacks.read_factor, ([17, -4, 2**30], [1, 2, 3])
UPDATE = attacks.read_update, ([500, -250, 125], [3, 0, -7])
SEED = attacks.read_from_seed, ([31, -41],)
LABS = {
    "ReLU inputs, by a provider without zero shares": RELU_INPUTS,
    "signs, by a provider with one beta": SIGNS,
    "a factor, from a reused mask": FACTOR,
    "an update, from a reused mask of W": UPDATE,
    "a shared value, from a generator's seed": SEED,
}


@pytest.mark.parametrize("attack, arguments", LABS.values(), ids=LABS)
def test_the_attack_reads_the_secret_from_the_weakened_protocol(attack, arguments):
    assert attack(*arguments, weak=True).broken


@pytest.mark.parametrize("attack, arguments", LABS.values(), ids=LABS)
def test_the_attack_fails_on_the_protocol_as_it_is(attack, arguments):
    lab = attack(*arguments, weak=False)
    if attack is attacks.read_signs:        # it always answers; it was told the first
        pairs = zip(lab.secret[1:], lab.recovered[1:], strict=True)
        right = sum(a == b for a, b in pairs)
        assert stats.binomtest(right, len(lab.secret) - 1).pvalue > 1e-6
    else:
        assert lab.recovered == [None] * len(lab.secret)


WRONG_LISTS = [
    ([1.5], TypeError, "takes a list of whole numbers"),
    ([1.0], TypeError, "takes a list of whole numbers"),
    (5, TypeError, "takes a list of whole numbers"),
    ("12", TypeError, "takes a list of whole numbers"),
    ([], ValueError, "the list is empty; take one whole number or more"),
    ([0, 2**63], ValueError, "item 1 of the list has a size of "),
    ([-2**63, 0], ValueError, "item 0 of the list has a size of "),
]
LONG = "the lists have 2 and 1 items; take two of equal length"


@pytest.mark.parametrize("attack, arguments, error, told", [
    *((attack, [wrong] * len(arguments), error, told)
      for attack, arguments in LABS.values() for wrong, error, told in WRONG_LISTS),
    (attacks.read_relu_inputs, [[1, 512]], ValueError, "item 1 of the list has a size"),
    (attacks.read_relu_inputs, [[1, 2], True, 2], ValueError, "item 1 of the list has"),
    (attacks.read_relu_inputs, [[1], True, 2**14], ValueError, "bound: item 0 of the"),
    (attacks.read_relu_inputs, [[0], True, 0], ValueError, "bound is below 1; take 1"),
    (attacks.read_signs, [[2**40]], ValueError, "has a size of 1099511627776 or more"),
    (attacks.read_factor, [[1, 2], [1]], ValueError, LONG),
    (attacks.read_update, [[1, 2], [1]], ValueError, LONG),
    (attacks.read_factor, [[1], [2**40]], ValueError, "a size of 1099511627776")])
@pytest.mark.parametrize("weak", [True, False])
def test_other_inputs_are_refused_in_one_line(attack, arguments, error, told, weak):
    with pytest.raises(error) as caught:
        attack(*arguments, **{} if len(arguments) == 3 else {"weak": weak})
    message = str(caught.value)
    assert message.startswith(attack.__name__)
    assert told in message and "\n" not in message


@pytest.mark.parametrize("attack, arguments", [
    (attacks.read_relu_inputs, ([511, -511, 0, -1],)),
    (attacks.read_relu_inputs, (np.array([3, -3]),)),
    (attacks.read_signs, ([2**40 - 1, 1 - 2**40, 0],)),
    (attacks.read_factor, ([2**40 - 1, 1 - 2**40], [1 - 2**40, 2**40 - 1])),
    (attacks.read_update, ([2**40 - 1, 1 - 2**40], [1 - 2**40, 2**40 - 1])),
    (attacks.read_from_seed, ([2**63 - 1, 1 - 2**63],))])
def test_every_accepted_input_is_read(attack, arguments):
    lab = attack(*arguments, weak=True)
    assert lab.broken and len(lab.secret) == len(arguments[0])


ALL = {"server", "alice", "bob", "crypto_provider"}


@pytest.mark.parametrize("attack, arguments, attacker", [
    (*FACTOR, "alice"), (*UPDATE, "alice"), (*RELU_INPUTS, "crypto_provider"),
    (*SIGNS, "crypto_provider")])
def test_an_attacker_uses_its_own_view_alone(monkeypatch, attack, arguments, attacker):
    """It wins without the views of the others, and fails without its own."""
    original, hidden = Watched.saw, ALL - {attacker}

    def saw(world, role, label):
        assert role not in hidden, f"the attack uses the view of {role}"
        return original(world, role, label)

    monkeypatch.setattr(Watched, "saw", saw)
    assert attack(*arguments, weak=True).broken
    hidden = {attacker}
    with pytest.raises(AssertionError, match=f"the attack uses the view of {attacker}"):
        attack(*arguments, weak=True)


@pytest.mark.parametrize("attack, arguments", [FACTOR, UPDATE])
def test_alice_needs_only_bobs_share_of_an_opening(monkeypatch, attack, arguments):
    """The opened value that the simulation knows does not help: it is wiped here."""
    original = Watched.open

    def wiped(world, **shares):
        return tuple(opened * 0 for opened in original(world, **shares))

    monkeypatch.setattr(Watched, "open", wiped)
    assert attack(*arguments, weak=True).broken
