"""Two, three and five workers: all that a user can write, against NumPy on floats."""

import numpy as np
import pytest
from helpers import everywhere, reconstruct, rows_of

import mpc
import nn
from mpc import FixedPoint, World, public

WAYS = {"two": {"n_workers": 2},
        "two, carry tree": {"n_workers": 2, "comparison": "carry-tree"},
        "three": {"n_workers": 3}, "five": {"n_workers": 5}}
UNIT = 0.001                # of three decimal digits
X = np.array([[1.5, -2.25, 0.0], [3.125, -0.5, 2.25]])
Y = np.array([[-1.5, 2.0, 0.5], [3.125, -0.75, -4.0]])
ROW = np.array([0.5, -2.0, 1.25])
TIES = np.array([[1.0, 4.0, 4.0, -2.0], [3.0, 3.0, 3.0, 3.0], [-5.0, -4.0, -4.5, -4.0]])


def shared(world, numbers, owner="server", weight_scale=1):
    held = world.private_input(owner, numbers.shape, lambda: numbers)
    encoded = mpc.fix_precision(held, weight_scale=weight_scale)
    return encoded.share(*world.workers, crypto_provider=world.crypto_provider)


# {name: (computation on secrets, result on floats, largest error in units)}
OPERATIONS = {
    "x": (lambda x, y, r, t: x, X, 0.5),
    "-x": (lambda x, y, r, t: -x, -X, 0.5),
    "x + y": (lambda x, y, r, t: x + y, X + Y, 0.5),
    "x - row": (lambda x, y, r, t: x - r, X - ROW, 0.5),
    "2 - x": (lambda x, y, r, t: 2 - x, 2 - X, 0.5),
    "x * 3": (lambda x, y, r, t: x * 3, X * 3, 0.5),
    "x * 0.3": (lambda x, y, r, t: x * 0.3, X * 0.3, 1.01),
    "x / 8": (lambda x, y, r, t: x / 8, X / 8, 1.01),
    "x * public": (lambda x, y, r, t: x * Y, X * Y, 1.01),
    "x * y": (lambda x, y, r, t: x * y, X * Y, 1.01),
    "x * row": (lambda x, y, r, t: x * r, X * ROW, 1.01),
    "x * y * x": (lambda x, y, r, t: x * y * x, X * Y * X, 5.2),
    "x @ y.T": (lambda x, y, r, t: x @ y.T, X @ Y.T, 1.01),
    "public @ x": (lambda x, y, r, t: Y.T @ x, Y.T @ X, 1.01),
    "x ** 2": (lambda x, y, r, t: x ** 2, X ** 2, 1.01),
    "refresh": (lambda x, y, r, t: x.refresh(), X, 0.5),
    "sum": (lambda x, y, r, t: x.sum(axis=0), X.sum(axis=0), 0.5),
    "relu": (lambda x, y, r, t: x.relu(), np.maximum(X, 0), 0.5),
    "x >= y": (lambda x, y, r, t: x >= y, X >= Y, 0),
    "x <= y": (lambda x, y, r, t: x <= y, X <= Y, 0),
    "x > y": (lambda x, y, r, t: x > y, X > Y, 0),
    "x < y": (lambda x, y, r, t: x < y, X < Y, 0),
    "x >= 0": (lambda x, y, r, t: x >= 0, X >= 0, 0),
    "x.eq(y)": (lambda x, y, r, t: x.eq(y), X == Y, 0),
    "x.eq(row)": (lambda x, y, r, t: x.eq(r), X == ROW, 0),
    "max": (lambda x, y, r, t: t.max(axis=1), TIES.max(axis=1), 0.5),
    "max of all": (lambda x, y, r, t: x.max(), X.max(), 0.5),
    "max of columns": (lambda x, y, r, t: x.max(axis=0), X.max(axis=0), 0.5),
    "argmax": (lambda x, y, r, t: t.argmax(axis=1), TIES.argmax(axis=1), 0),
    "one-hot": (lambda x, y, r, t: t.argmax(axis=1, one_hot=True),
                np.eye(4)[TIES.argmax(1)], 0),
}


def inputs(world):
    return [shared(world, X), shared(world, Y, "alice"), shared(world, ROW, "bob"),
            shared(world, TIES)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operator_agrees_with_floats(way, name):
    operation, expected, units = OPERATIONS[name]
    world = World(seed=1, **WAYS[way])
    result = operation(*inputs(world))
    assert isinstance(result, FixedPoint) and len(rows_of(result)) == len(world.workers)
    got = result.get().float_precision()
    assert got.shape == np.shape(expected)
    np.testing.assert_allclose(got, expected, rtol=0, atol=units * UNIT)


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_needs_the_shares_of_all_workers(way):
    """Of 4,000 zeros, sums of some workers' shares have uniform top and low bits."""
    world = World(seed=1, **WAYS[way])
    x = shared(world, np.zeros(4000))
    rows = rows_of(x)
    assert rows.shape == (len(world.workers), 4000)
    for k in range(1, 2 ** len(rows)):
        chosen = [i for i in range(len(rows)) if k >> i & 1]
        total = x.ring.sum(rows[chosen], axis=0)
        if len(chosen) == len(rows):
            assert not total.any()
        else:
            assert abs(np.mean(total >> np.uint64(63)) - 0.5) < 0.05
            assert abs(np.mean(total & np.uint64(1)) - 0.5) < 0.05
    opened, = world.open(opened=x.value)
    assert not opened.any()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("owner", ["server", "alice", "bob", "last worker"])
def test_any_owner_shares_and_any_role_is_shown_the_result(way, owner):
    world = World(seed=1, **WAYS[way])
    x = shared(world, X, owner if owner != "last worker" else str(world.workers[-1]))
    for role in (world.server, *world.workers):
        shown = x.get(role)
        assert shown.value.role == str(role)
        np.testing.assert_array_equal(shown.float_precision(), X)


@pytest.mark.parametrize("way", WAYS)
def test_refreshed_shares_are_new_and_have_the_same_sum(way):
    world = World(seed=1, **WAYS[way])
    x = shared(world, X)
    fresh = x.refresh()
    assert np.all(rows_of(fresh) != rows_of(x))
    np.testing.assert_array_equal(reconstruct(fresh.value), reconstruct(x.value))
    squared = reconstruct(mpc.multiply(fresh.value, fresh.value))
    np.testing.assert_array_equal(squared, reconstruct(x.value) ** np.uint64(2))


# ---- a step of training


class Net(nn.Module):
    def __init__(self):
        rng = np.random.default_rng(2)
        self.first, self.last = nn.Linear(6, 5, rng), nn.Linear(5, 3, rng)

    def forward(self, x):
        return self.last(self.first(x).relu())


def train(model, x, t, steps=2):
    optimiser, losses = nn.SGD(model.parameters(), 0.1), []
    for _ in range(steps):
        model.map(lambda value: value)          # forget the gradients
        loss = nn.mse_loss(model(nn.Tensor(x)), nn.Tensor(t))
        loss.backward()
        optimiser.step()
        losses.append(loss.value)
    return losses


def batch():
    rng = np.random.default_rng(3)
    return rng.normal(size=(8, 6)), np.eye(3)[rng.integers(0, 3, 8)]


def shared_training(world):
    """{name: value} of all losses and parameters after two steps."""
    x, t = batch()
    model = Net().map(lambda value: shared(world, value))
    losses = train(model, shared(world, x, "alice"), shared(world, t, "bob"))
    return {**{f"loss {i}": loss for i, loss in enumerate(losses)},
            **{name: p.value for name, p in model.named_parameters()}}


@pytest.mark.parametrize("way", WAYS)
def test_two_steps_of_training_agree_with_floats(way):
    """Within 5 units: encoding, a few truncations, 0.1 times sums of eight of them."""
    floats, start = Net(), Net()
    losses = train(floats, *batch())
    got = shared_training(World(seed=1, **WAYS[way]))
    found = {name: value.get().float_precision() for name, value in got.items()}
    for i, loss in enumerate(losses):
        assert abs(found[f"loss {i}"] - loss) < 0.02
    assert found["loss 1"] < found["loss 0"]
    before = dict(start.named_parameters())
    for name, parameter in floats.named_parameters():
        np.testing.assert_allclose(found[name], parameter.value, rtol=0, atol=5 * UNIT)
        assert np.abs(parameter.value - before[name].value).max() > 10 * UNIT


@pytest.fixture
def truncate(monkeypatch):
    """The truncation that FixedPoint calls: shapes go to `calls`, `spoil` is added."""
    class Recorded:
        def __init__(self):
            self.calls, self.spoil = [], None

        def __call__(self, x, d, truncate=public.truncate):
            self.calls.append(x.shape)
            quotient = truncate(x, d)
            wrong = len(self.calls) - 1 == self.spoil
            return quotient.plus(10**6) if wrong else quotient      # by 1000

    recorded = Recorded()
    monkeypatch.setattr(public, "truncate", recorded)
    return recorded


def step(world, weight_scale):
    """The loss and all parameters after a step; a bias has the scale of a product."""
    x, t = batch()
    bias_scale = weight_scale * 1000 * len(world.workers) if weight_scale > 1 else 1
    model = Net().map(lambda p: shared(
        world, p, weight_scale=weight_scale if p.ndim > 1 else bias_scale))
    loss, = train(model, shared(world, x, "alice"), shared(world, t, "bob"), 1)
    values = [loss, *(p.value for p in model.parameters())]
    return np.concatenate([v.get().float_precision().reshape(-1) for v in values])


FORWARD = [(8, 5), (8, 3)]      # the hidden layer, and the error
BACKWARD = [(8, 5)]             # the gradient of the hidden layer, before its ReLU
UPDATES = [(6, 5), (5,), (5, 3), (3,)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("weight_scale, due", [
    (1, [*FORWARD, *BACKWARD, *UPDATES, ()]), (2_400_000, [*FORWARD, *BACKWARD, ()])])
def test_a_step_of_training_truncates_each_value_once_and_none_in_vain(
        way, weight_scale, due, truncate):
    """The last one is that of the loss, when it is revealed."""
    right = step(World(seed=1, **WAYS[way]), weight_scale)
    assert truncate.calls == due
    for i in range(len(due)):
        truncate.calls, truncate.spoil = [], i
        wrong = step(World(seed=1, **WAYS[way]), weight_scale)
        assert np.abs(wrong - right).max() > 1, f"{truncate.calls[i]} is not used"


# ---- in every way to run it


def test_three_workers_compute_the_same_in_every_way_to_run_them():
    def program(world):
        values = inputs(world)
        results = {name: compute(*values) for name, (compute, *_) in OPERATIONS.items()}
        revealed = {f"{name}, revealed": value.get() for name, value in results.items()}
        opened = world.open(opened=values[0].value)[0]
        return {**results, **revealed, "opened": opened}

    world, got = everywhere(program, 3)
    for name, (_, expected, units) in OPERATIONS.items():
        revealed = got[f"{name}, revealed"].float_precision()
        np.testing.assert_allclose(revealed, expected, 0, units * UNIT, err_msg=name)
    opened = world.ring.to_int(rows_of(got["opened"]))[0]
    np.testing.assert_array_equal(opened, np.rint(X / UNIT))


def test_three_workers_train_the_same_in_every_way_to_run_them():
    world, got = everywhere(shared_training, 3)
    alone = shared_training(World(3, seed=7))
    for name, value in got.items():
        np.testing.assert_array_equal(rows_of(value), rows_of(alone[name]))
    assert len(world.workers) == 3 and len(got) == 6
