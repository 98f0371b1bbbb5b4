"""Each attack reads the secret from the weakened protocol and nothing from the real one."""

import numpy as np
import pytest

from mpc import labs

LABS = {
    "ReLU inputs, by a provider without zero shares": (labs.read_relu_inputs, ([5, -3, 200, 0, -511],)),
    "signs, by a provider with one beta": (labs.read_signs, ([(-1) ** (k * k // 3) * k for k in range(64)],)),
    "a factor, from a triple used twice": (labs.read_factor, ([17, -4, 2**30], [1, 2, 3])),
    "a step of descent, from W's mask used twice": (labs.read_update, ([500, -250, 125], [3, 0, -7])),
    "a shared value, from a generator's seed": (labs.read_from_seed, ([31, -41],)),
}


@pytest.mark.parametrize("attack, arguments", LABS.values(), ids=LABS)
def test_the_attack_reads_the_secret_from_the_weakened_protocol(attack, arguments):
    assert attack(*arguments, weak=True).broken


@pytest.mark.parametrize("attack, arguments", LABS.values(), ids=LABS)
def test_the_attack_fails_on_the_protocol_as_it_is(attack, arguments):
    lab = attack(*arguments, weak=False)
    assert not lab.broken
    agree = np.mean([a == b for a, b in zip(lab.secret, lab.recovered)])
    assert agree < 0.8 and (None in lab.recovered or attack is labs.read_signs)
