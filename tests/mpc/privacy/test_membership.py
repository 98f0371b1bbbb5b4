"""Differential privacy against the membership attack: the bound holds, and it helps."""

from types import SimpleNamespace

import numpy as np
import pytest

import data
from mpc.audit import results
from mpc.privacy.accountant import noise_for, spent
from mpc.privacy.dp_sgd import Clip, NoisyStep, layers_of
from mpc.train_mnist.training import Net

ITEMS, MODELS, EPOCHS, EPSILON = 6400, 6, 10, 8


def initial():
    """The layers of the tutorial's public seed, and the network."""
    net = Net(np.random.default_rng(1))
    return [(layer.weight.value[None], layer.bias.value[None])
            for layer in layers_of(net)], net


def private_losses(pictures, labels, members, sigma):
    """Losses of all items under networks trained with noise, each on its members."""
    losses = []
    for row in members:
        net = initial()[1]
        step = NoisyStep(SimpleNamespace(world=None), net, 3.0, Clip(0.5, 1000), sigma)
        for _ in range(EPOCHS):
            step(pictures[row], labels[row])
        layers = [(layer.weight.value, layer.bias.value) for layer in layers_of(net)]
        losses.append(results.losses(layers, pictures, labels))
    return np.array(losses)


@pytest.mark.slow
def test_the_attack_bounds_epsilon_below_the_claim_and_above_zero_without_noise():
    pictures, labels = data.load_mnist("train", ITEMS)
    pictures, labels = data.normalise(pictures), data.one_hot(labels)
    members = results.halves(MODELS, ITEMS)
    layers, _ = initial()
    plain = results.shadows(pictures, labels, members, layers, epochs=40, lr=0.05)
    sigma = noise_for(EPSILON, 1e-5, EPOCHS)
    noisy = private_losses(pictures, labels, members, sigma)
    found = {}
    for name, losses in (("plain", plain), ("noisy", noisy)):
        scores = results.in_turn(losses, members, MODELS - 2)
        found[name] = results.measure(scores, members)
    # members are in half of the models, and in the other half others replace them
    claim = spent(sigma, EPOCHS, 1e-5).replacing().epsilon
    assert found["plain"].epsilon > 0.5 and found["plain"].auc > 0.6
    assert found["noisy"].epsilon < claim and found["noisy"].auc < 0.53
    assert found["noisy"].epsilon < found["plain"].epsilon / 2
