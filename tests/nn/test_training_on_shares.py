"""Training of a Sequential on secret shares, beside the same training on floats."""

import numpy as np
import pytest
from helpers import everywhere

import mpc
import nn

STEPS = 30
# Each step rounds each weight up or down at random, by less than one unit of 0.001. The
# sum of n such errors is around sqrt(n) units, and the network changes it somewhat.
# Measured over ten seeds of each World below: at most 3.8 sqrt(30) units.
BOUND = 0.006 * STEPS**0.5
WORLDS = [{"comparison": "securenn"}, {"comparison": "carry-tree"},
          {"comparison": "carry-tree", "n_workers": 3},
          {"comparison": "securenn", "truncation": "local"}]
METHODS = [{"momentum": 0.9, "weight_decay": 0.05},
           {"momentum": 0.8, "weight_decay": 0.05, "nesterov": True},
           {"weight_decay": 0.2}]


def network():
    rng = np.random.default_rng(3)
    return nn.Sequential(nn.Linear(6, 8, rng, bias=False), nn.ReLU(),
                         nn.Linear(8, 3, rng))


def data():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (16, 6))
    return x, np.tanh(x @ rng.normal(size=(6, 3)))


def trained(encode=np.array, weights=np.array, rate=1.0, lr=0.05, steps=STEPS,
            **method):
    """The model after the training; `rate` is the part of lr in the backward pass."""
    model, (x, t) = network().map(weights), map(encode, data())
    sgd = nn.SGD(model.parameters(), lr / rate, **method)
    for _ in range(steps):
        model.zero_grad()
        nn.mse_loss(model(x), t).backward(rate)
        sgd.step()
    return model, sgd


def sharing(world, **options):
    def share(numbers):
        return mpc.fix_precision(numbers, **options).share(
            *world.workers, crypto_provider=world.crypto_provider)
    return share


def error(model, expected):
    found = model.get().float_precision().state_dict()
    return max(np.abs(value - found[name]).max()
               for name, value in expected.state_dict().items())


@pytest.mark.parametrize("options, method", [
    *((options, METHODS[0]) for options in WORLDS), (WORLDS[1], METHODS[1]),
    (WORLDS[1], METHODS[2])], ids=range(6))
def test_weights_trained_on_shares_are_those_of_floats(options, method):
    share = sharing(mpc.World(seed=1, checked=True, **options))
    model, _ = trained(share, share, **method)
    assert error(model, trained(**method)[0]) < BOUND


@pytest.mark.parametrize("method", METHODS, ids=range(3))
def test_the_bound_tells_these_methods_from_others(method):
    model = trained(**method)[0]
    for other in ({}, method | {"weight_decay": 0}, method | {"momentum": 0.5}):
        other = {k: v for k, v in other.items() if k != "nesterov"}
        state, found = model.state_dict(), trained(**other)[0].state_dict()
        assert max(np.abs(state[k] - found[k]).max() for k in state) > BOUND


def test_the_momentum_of_fine_weights_keeps_their_digits():
    """With the rate in the backward pass, so that gradients are small.

    Measured over ten seeds: at most 0.0033. With velocities of three digits: 0.09.
    """
    world = mpc.World(seed=1)
    encode = sharing(world)

    def weights(numbers):
        scale = 10**5 if numbers.ndim > 1 else 10**8 * len(world.workers)
        return sharing(world, weight_scale=scale)(numbers)

    method = {"momentum": 0.9, "lr": 0.01}
    model, sgd = trained(encode, weights, rate=0.01, **method)
    assert [v.scale for v in sgd.velocities] == [
        p.value.scale for p in model.parameters()]
    assert error(model, trained(**method)[0]) < 0.006


def test_steps_on_shares_by_hand():
    """v = 2, then 0.5 * 2 + 2 + 0.5 * w: all numbers are exact at three digits."""
    world = mpc.World(seed=1, checked=True)
    share = sharing(world)
    w = nn.Tensor(share([3.0]), requires_grad=True)
    sgd = nn.SGD([w], lr=0.5, momentum=0.5)
    found = []
    for decay in (0, 0.5, 0.5):
        sgd.weight_decay = decay
        sgd.zero_grad()
        (w * share([2.0])).sum().backward()
        sgd.step()
        found.append(w.value.get().float_precision().item())
    # v = 2; 0.5 * 2 + 2 + 0.5 * 2 = 4; 0.5 * 4 + 2 + 0.5 * 0 = 4
    assert found == [2.0, 0.0, -2.0]


def test_a_public_gradient_gives_a_momentum_of_the_type_of_its_weight():
    share = sharing(mpc.World(seed=1, checked=True))
    w = nn.Tensor(share([3.0]), requires_grad=True)
    sgd = nn.SGD([w], lr=0.5, momentum=0.5, weight_decay=0.5)
    for _ in range(2):              # v = 1 + 1.5 = 2.5; 1.25 + 1 + 0.5 * 1.75 = 3.125
        sgd.zero_grad()
        w.sum().backward()
        sgd.step()
    assert w.value.get().float_precision().item() == pytest.approx(0.1875, abs=0.003)


def test_a_run_that_is_stopped_goes_on_from_its_state():
    share = sharing(mpc.World(seed=1))
    method = METHODS[0]
    model, sgd = trained(share, share, steps=10, **method)
    again = network().load_state_dict(model.state_dict())
    resumed = nn.SGD(again.parameters(), lr=1)
    resumed.load_state_dict(sgd.state_dict())
    x, t = map(share, data())
    for net, method in ((model, sgd), (again, resumed)):
        for _ in range(5):
            net.zero_grad()
            nn.mse_loss(net(x), t).backward()
            method.step()
    assert error(model, trained(steps=15, **METHODS[0])[0]) < BOUND
    assert error(again, trained(steps=15, **METHODS[0])[0]) < BOUND


def test_a_momentum_of_another_type_than_its_weight_is_refused():
    share = sharing(mpc.World(seed=1))
    model, sgd = trained(share, share, steps=1, momentum=0.9)
    before = [p.grad for p in model.parameters()]
    model.get().float_precision()
    for parameter, gradient in zip(model.parameters(), before, strict=True):
        parameter.grad = gradient
    state = model.state_dict()
    with pytest.raises(ValueError, match="parameter 0 is a ndarray and its mom"):
        sgd.step()
    assert all((state[k] == v).all() for k, v in model.state_dict().items())


@pytest.mark.parametrize("n_workers", [2, 3])
def test_each_role_alone_takes_the_same_steps(n_workers):
    """In the simulation, by replay and in threads: the public masks are the same."""
    def program(world):
        share = sharing(world)
        net = nn.Sequential(
            nn.Conv2d(1, 2, 3, padding=1, rng=np.random.default_rng(0)), nn.ReLU(),
            nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(0.25),
            nn.Linear(8, 2, np.random.default_rng(1))).map(share)
        sgd = nn.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=0.01)
        x = share(np.arange(32).reshape(2, 1, 4, 4) / 32)
        for _ in range(2):
            net.zero_grad()
            nn.mse_loss(net(x), share(np.eye(2))).backward()
            sgd.step()
        return net.state_dict() | {k: v for k, v in sgd.state_dict().items()
                                   if k.startswith("velocity")}

    everywhere(program, n_workers, comparison="carry-tree")
