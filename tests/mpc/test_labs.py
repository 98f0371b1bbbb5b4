"""Each attack reads the secret from the weakened protocol and nothing from the real one."""

import numpy as np
import pytest
from scipy import stats

from mpc import labs
from mpc.views import Watched

MANY = np.random.default_rng(0).integers(-1000, 1000, 4000).tolist()
LABS = {
    "ReLU inputs, by a provider without zero shares": (labs.read_relu_inputs,
                                                       ([5, -3, 200, 0, -511],)),
    "signs, by a provider with one beta": (labs.read_signs, (MANY,)),
    "a factor, from a mask used twice": (labs.read_factor, ([17, -4, 2**30], [1, 2, 3])),
    "a step of descent, from W's mask used twice": (labs.read_update,
                                                    ([500, -250, 125], [3, 0, -7])),
    "a shared value, from a generator's seed": (labs.read_from_seed, ([31, -41],)),
}


@pytest.mark.parametrize("attack, arguments", LABS.values(), ids=LABS)
def test_the_attack_reads_the_secret_from_the_weakened_protocol(attack, arguments):
    assert attack(*arguments, weak=True).broken


@pytest.mark.parametrize("attack, arguments", LABS.values(), ids=LABS)
def test_the_attack_fails_on_the_protocol_as_it_is(attack, arguments):
    lab = attack(*arguments, weak=False)
    if attack is labs.read_signs:           # it always answers; the first sign it was told
        right = sum(a == b for a, b in zip(lab.secret[1:], lab.recovered[1:]))
        assert stats.binomtest(right, len(lab.secret) - 1).pvalue > 1e-6
    else:
        assert lab.recovered == [None] * len(lab.secret)


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


@pytest.mark.parametrize("attack, arguments", [
    (labs.read_relu_inputs, ([1.5],)), (labs.read_relu_inputs, ([512],)),
    (labs.read_relu_inputs, (["a"],)), (labs.read_signs, ([2**62],)),
    (labs.read_signs, ([10**30],)),
    (labs.read_factor, ([2**40], [1])), (labs.read_update, ([1], [0.5])),
    (labs.read_from_seed, ([True],))])
def test_an_attack_is_told_what_it_can_read(attack, arguments):
    with pytest.raises(ValueError, match="labs: the attack reads integers between"):
        attack(*arguments)
