"""Each attack reads the secret from the weakened protocol and nothing from the real one."""

import numpy as np
import pytest
from scipy import stats

from mpc.audit import attacks
from mpc.audit.views import Watched

MANY = np.random.default_rng(0).integers(-1000, 1000, 4000).tolist()
LABS = {
    "ReLU inputs, by a provider without zero shares": (attacks.read_relu_inputs,
                                                       ([5, -3, 200, 0, -511],)),
    "signs, by a provider with one beta": (attacks.read_signs, (MANY,)),
    "a factor, from a mask used twice": (attacks.read_factor, ([17, -4, 2**30], [1, 2, 3])),
    "a step of descent, from W's mask used twice": (attacks.read_update,
                                                    ([500, -250, 125], [3, 0, -7])),
    "a shared value, from a generator's seed": (attacks.read_from_seed, ([31, -41],)),
}


@pytest.mark.parametrize("attack, arguments", LABS.values(), ids=LABS)
def test_the_attack_reads_the_secret_from_the_weakened_protocol(attack, arguments):
    assert attack(*arguments, weak=True).broken


@pytest.mark.parametrize("attack, arguments", LABS.values(), ids=LABS)
def test_the_attack_fails_on_the_protocol_as_it_is(attack, arguments):
    lab = attack(*arguments, weak=False)
    if attack is attacks.read_signs:           # it always answers; the first sign it was told
        right = sum(a == b for a, b in zip(lab.secret[1:], lab.recovered[1:]))
        assert stats.binomtest(right, len(lab.secret) - 1).pvalue > 1e-6
    else:
        assert lab.recovered == [None] * len(lab.secret)


LONG = "s have 2 and 1 items; take as many in each"


@pytest.mark.parametrize("attack, arguments, error, told", [
    *((attack, [change(arguments[0])] + [change(other) for other in arguments[1:]], error, told)
      for attack, arguments in LABS.values() for change, error, told in (
          (lambda numbers: [1.5], TypeError, "takes a list of whole numbers"),
          (lambda numbers: [1.0], TypeError, "takes a list of whole numbers"),
          (lambda numbers: 5, TypeError, "takes a list of whole numbers"),
          (lambda numbers: "12", TypeError, "takes a list of whole numbers"),
          (lambda numbers: [], ValueError, "the list is empty; take a list"),
          (lambda numbers: [0, 2**63], ValueError, "item 1 of the list has a size of "),
          (lambda numbers: [-2**63, 0], ValueError, "item 0 of the list has a size of "))),
    (attacks.read_relu_inputs, [[1, 512]], ValueError, "item 1 of the list has a size of 512 or more"),
    (attacks.read_relu_inputs, [[1, 2], True, 2], ValueError, "item 1 of the list has a size of 2 or"),
    (attacks.read_relu_inputs, [[1], True, 2**14], ValueError, "bound: item 0 of the list has a size"),
    (attacks.read_relu_inputs, [[0], True, 0], ValueError, "bound is below 1; take 1 or more"),
    (attacks.read_signs, [[2**40]], ValueError, "has a size of 1099511627776 or more"),
    (attacks.read_factor, [[1, 2], [1]], ValueError, LONG),
    (attacks.read_update, [[1, 2], [1]], ValueError, LONG),
    (attacks.read_factor, [[1], [2**40]], ValueError, "has a size of 1099511627776 or more")])
@pytest.mark.parametrize("weak", [True, False])
def test_what_an_attack_cannot_read_is_refused_in_one_line(attack, arguments, error, told, weak):
    with pytest.raises(error) as caught:
        attack(*arguments, **{} if len(arguments) == 3 else {"weak": weak})
    message = str(caught.value)
    assert message.startswith(attack.__name__) and told in message and "\n" not in message


@pytest.mark.parametrize("attack, arguments", [
    (attacks.read_relu_inputs, ([511, -511, 0, -1],)), (attacks.read_relu_inputs, (np.array([3, -3]),)),
    (attacks.read_signs, ([2**40 - 1, 1 - 2**40, 0],)),
    (attacks.read_factor, ([2**40 - 1, 1 - 2**40], [1 - 2**40, 2**40 - 1])),
    (attacks.read_update, ([2**40 - 1, 1 - 2**40], [1 - 2**40, 2**40 - 1])),
    (attacks.read_from_seed, ([2**63 - 1, 1 - 2**63],))])
def test_all_that_it_accepts_is_read(attack, arguments):
    lab = attack(*arguments, weak=True)
    assert lab.broken and len(lab.secret) == len(arguments[0])


@pytest.mark.parametrize("attack, arguments, learner, others", [
    (*LABS["a factor, from a mask used twice"], "alice", ("server", "bob", "crypto_provider")),
    (*LABS["a step of descent, from W's mask used twice"], "alice",
     ("server", "bob", "crypto_provider")),
    (*LABS["ReLU inputs, by a provider without zero shares"], "crypto_provider",
     ("server", "alice", "bob")),
    (*LABS["signs, by a provider with one beta"], "crypto_provider", ("server", "alice", "bob")),
])
def test_the_attacker_reads_what_its_own_party_saw_and_no_more(monkeypatch, attack, arguments,
                                                               learner, others):
    """It wins when the others have seen nothing, and fails when its own party has not."""
    original, hidden = Watched.saw, others

    def saw(world, role, label):
        assert role not in hidden, f"the attack reads what {role} saw"
        return original(world, role, label)

    monkeypatch.setattr(Watched, "saw", saw)
    assert attack(*arguments, weak=True).broken
    hidden = (learner,)
    with pytest.raises(AssertionError, match=f"reads what {learner} saw"):
        attack(*arguments, weak=True)


@pytest.mark.parametrize("attack, arguments", [
    LABS["a factor, from a mask used twice"], LABS["a step of descent, from W's mask used twice"]])
def test_alices_attacks_need_no_more_of_an_opening_than_bobs_row(monkeypatch, attack, arguments):
    """What the simulation knows of an opened value is no help: it may be wiped."""
    original = Watched.open

    def wiped(world, *shares, name):
        opened = original(world, *shares, name=name)
        return tuple(o * 0 for o in opened) if isinstance(opened, tuple) else opened * 0

    monkeypatch.setattr(Watched, "open", wiped)
    assert attack(*arguments, weak=True).broken
