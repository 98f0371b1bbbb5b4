"""Loss and optimiser: one step by hand, and training that lowers the loss."""

from fractions import Fraction

import numpy as np
import pytest

import nn


class Mlp(nn.Module):
    """784-128-64-10, the network of the project."""

    def __init__(self, rng, activation=nn.ReLU):
        self.fc1, self.act1 = nn.Linear(784, 128, rng), activation()
        self.fc2, self.act2 = nn.Linear(128, 64, rng), activation()
        self.fc3 = nn.Linear(64, 10, rng)

    def forward(self, x):
        return self.fc3(self.act2(self.fc2(self.act1(self.fc1(x)))))


def batch(rng, n=64):
    return rng.normal(size=(n, 784)), np.eye(10)[rng.integers(0, 10, n)]


def step_by_hand(x, t, w1, b1, w2, b2, w3, b3, lr):
    """One training step in plain NumPy: the loss, and the six parameters after it."""
    z1 = x @ w1 + b1
    h1 = z1 * (z1 >= 0)
    z2 = h1 @ w2 + b2
    h2 = z2 * (z2 >= 0)
    o = h2 @ w3 + b3
    d3 = 2 * (o - t) / len(x)                              # (64, 10)
    d2 = (d3 @ w3.T) * (z2 >= 0)                           # (64, 64)
    d1 = (d2 @ w2.T) * (z1 >= 0)                           # (64, 128)
    grads = x.T @ d1, d1.sum(0), h1.T @ d2, d2.sum(0), h2.T @ d3, d3.sum(0)
    parameters = zip((w1, b1, w2, b2, w3, b3), grads, strict=True)
    return ((o - t) ** 2).sum() / len(x), [w - lr * g for w, g in parameters]


def test_one_step_of_the_network_matches_the_formulas(rng):
    net, (x, t) = Mlp(rng), batch(rng)
    initial = [p.value for p in net.parameters()]
    loss_by_hand, expected = step_by_hand(x, t, *initial, lr=0.02)
    loss = nn.mse_loss(net(nn.Tensor(x)), nn.Tensor(t))
    loss.backward()
    nn.SGD(net.parameters(), lr=0.02).step()
    np.testing.assert_allclose(loss.value, loss_by_hand, rtol=1e-12)
    for parameter, value in zip(net.parameters(), expected, strict=True):
        np.testing.assert_allclose(parameter.value, value, rtol=1e-11, atol=1e-14)


def test_one_batch_costs_eight_matrix_products_and_two_comparisons(opaque, rng):
    net, (x, t) = Mlp(rng).map(opaque), batch(rng)
    nn.mse_loss(net(nn.Tensor(opaque(x))), nn.Tensor(opaque(t))).backward()
    nn.SGD(net.parameters(), lr=0.02).step()
    shapes = (784, 128), (128,), (128, 64), (64,), (64, 10), (10,)
    due = {"number": [f"{shape} * number" for shape in shapes],     # the factor 2/64
           "updated": [f"{shape} updated at 0.02" for shape in shapes]}
    for word, lines in due.items():
        assert sorted(lines) == sorted(line for line in opaque.log if word in line)
    assert [line for line in opaque.log if not any(word in line for word in due)] == [
        "(64, 784) @ (784, 128)", "relu (64, 128)",
        "(64, 128) @ (128, 64)", "relu (64, 64)",
        "(64, 64) @ (64, 10)", "(64, 10) ** 2",
        "(64, 10) @ (10, 64)", "(64, 64) @ (64, 10)",   # for the input and the weight
        "(64, 64) * value", "(64, 64) @ (64, 128)", "(128, 64) @ (64, 64)",
        "(64, 128) * value", "(784, 64) @ (64, 128)"]       # none for the images


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Square])
def test_every_step_lowers_the_loss(rng, activation):
    net = nn.Module()
    net.layers = [nn.Linear(3, 8, rng), activation(), nn.Linear(8, 1, rng)]
    x = rng.uniform(-1, 1, (32, 3))
    target, losses = x[:, :1] - 0.5 * x[:, 1:2], []
    sgd = nn.SGD(net.parameters(), lr=0.02)
    for _ in range(100):
        out = nn.Tensor(x)
        for layer in net.layers:
            out = layer(out)
        loss = nn.mse_loss(out, target)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(float(loss.value))
    assert (np.diff(losses) < 0).all() and losses[-1] < losses[0] / 5


# ---- the loss


def test_the_loss_is_the_squared_error_over_the_rows():
    output, target = [[1.0, 2.0], [3.0, 4.0]], [[0.0, 2.0], [3.0, 1.0]]
    loss = nn.mse_loss(nn.Tensor(output), np.array(target))
    assert loss.shape == () and loss.value == (1 + 9) / 2


def test_the_gradient_of_the_loss(check):
    target = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    check(nn.mse_loss, [[1.0, 2.0, -1.0], [3.0, 4.0, 0.5]], target)


@pytest.mark.parametrize("target", [np.ones(2), np.ones((2, 1)), [1.0, 2.0]])
def test_a_target_of_another_shape_is_refused(target):
    with pytest.raises(ValueError, match="one row per item and one column per class"):
        nn.mse_loss(nn.Tensor(np.ones((2, 2))), target)


def test_a_target_may_be_a_list():
    assert nn.mse_loss(nn.Tensor([[1.0, 2.0], [3.0, 4.0]]), [[0, 2], [3, 1]]).value == 5


@pytest.mark.parametrize("shape", [(), (0,), (0, 2)])
def test_a_loss_without_rows_is_refused(shape):
    with pytest.raises(ValueError, match="no rows to average over; give one row per"):
        nn.mse_loss(nn.Tensor(np.ones(shape)), np.ones(shape))


def test_an_output_that_is_not_a_tensor_is_refused():
    with pytest.raises(TypeError, match="output is a ndarray; pass the Tensor"):
        nn.mse_loss(np.ones((2, 2)), np.ones((2, 2)))


# ---- the optimiser


def test_a_step_moves_against_the_gradient_and_keeps_the_tensor():
    w = nn.Tensor([1.0, 2.0], requires_grad=True)
    (w * np.array([3.0, 5.0])).sum().backward()
    nn.SGD([w], lr=0.1).step()
    np.testing.assert_allclose(w.value, [0.7, 1.5])
    assert w._parents == () and w.requires_grad


def test_a_step_does_not_write_into_the_old_value():
    start = np.ones(2)
    w = nn.Tensor(start, requires_grad=True)
    w.sum().backward()
    nn.SGD([w], lr=0.1).step()
    np.testing.assert_array_equal(start, 1.0)


def test_a_public_gradient_moves_a_value_too(opaque):
    w = nn.Tensor(opaque([1.0, 2.0]), requires_grad=True)
    (w * np.array([3.0, 5.0])).sum().backward()
    assert isinstance(w.grad, np.ndarray)
    nn.SGD([w], lr=0.1).step()
    np.testing.assert_allclose(w.value._array, [0.7, 1.5])


def test_zero_grad_clears_gradients():
    w = nn.Tensor([1.0], requires_grad=True)
    w.sum().backward()
    nn.SGD([w], lr=0.1).zero_grad()
    assert w.grad is None


def test_a_step_without_gradients_is_refused():
    w = nn.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match="parameter 0, .*call loss.backward"):
        nn.SGD([w], lr=0.1).step()


def test_an_optimiser_without_parameters_is_refused():
    with pytest.raises(ValueError, match=r"pass model.parameters\(\)"):
        nn.SGD(nn.ReLU().parameters(), lr=0.1)


@pytest.fixture
def w():
    """A parameter of 1 and 2 whose gradient is 3 and 5."""
    w = nn.Tensor([1.0, 2.0], requires_grad=True)
    (w * np.array([3.0, 5.0])).sum().backward()
    return w


@pytest.mark.parametrize("lr", [0.5, Fraction(1, 2), np.float32(0.5), np.array(0.5)])
def test_a_rate_may_be_a_number_of_any_type(w, lr):
    nn.SGD([w], lr).step()
    assert w.value.dtype == np.float64 and w.value.tolist() == [-0.5, -0.5]


@pytest.mark.parametrize("lr", [
    np.array([0.1]), "0.1", None, True, 1j, nn.Tensor(0.1), [0.1], np.array("0.1"),
    np.array(1j)], ids=lambda lr: type(lr).__name__)
def test_a_rate_that_is_not_a_number_is_refused_when_passed_or_assigned(w, lr):
    with pytest.raises(TypeError, match=r"SGD\(lr\): .* is not a real number; pass"):
        nn.SGD([w], lr)
    sgd = nn.SGD([w], 0.1)
    sgd.lr = lr
    with pytest.raises(TypeError, match=r"SGD\(lr\): .* is not a real number; pass"):
        sgd.step()
    assert w.value.tolist() == [1, 2]


@pytest.mark.parametrize("lr", [np.nan, np.inf, -np.inf, np.float32("nan")])
def test_a_rate_that_is_not_finite_is_refused(w, lr):
    with pytest.raises(ValueError, match=r"SGD\(lr\): .* is not finite; pass"):
        nn.SGD([w], lr)


def test_a_negative_rate_is_refused_when_passed_or_assigned(w):
    with pytest.raises(ValueError, match=r"SGD: lr=-0.1, .* a rate and a decay from 0"):
        nn.SGD([w], -0.1)
    sgd = nn.SGD([w], 0)
    sgd.lr = -1e-9
    with pytest.raises(ValueError, match="SGD: lr=-1e-09"):
        sgd.step()
    assert w.value.tolist() == [1, 2]


def test_a_rate_may_be_set_between_steps(w):
    sgd = nn.SGD([w], 1.0)
    sgd.lr = 0.5
    sgd.step()
    assert w.value.tolist() == [-0.5, -0.5]


def test_a_duplicate_parameter_is_updated_once(w):
    nn.SGD([w, w], 0.5).step()
    assert w.value.tolist() == [-0.5, -0.5]


def test_parameters_come_from_any_iterable(w):
    for some in ((p for p in [w]), (w,), {w}, {w: "key"}):
        assert nn.SGD(some, 0.1).parameters[0] is w


@pytest.mark.parametrize("some, remedy", [
    (lambda w: w, r"is a Tensor; pass a list of Tensors: \[tensor\]"),
    (lambda w: nn.Linear(1, 1), r"is a Linear; pass .* model.parameters\(\)"),
    (lambda w: nn.Linear(1, 1).named_parameters(), "parameter 0 is a tuple; pass"),
    (lambda w: {"w": w}, "parameter 0 is a str; pass Tensors"),
    (lambda w: [w.value], "parameter 0 is a ndarray; pass Tensors"),
    (lambda w: None, "is a NoneType; pass a list")])
def test_other_arguments_than_a_list_of_parameters_are_refused(w, some, remedy):
    with pytest.raises(TypeError, match=remedy):
        nn.SGD(some(w), 0.1)


@pytest.mark.parametrize("make", [lambda w: w * 2, lambda w: nn.Tensor(1.0)])
def test_a_tensor_that_cannot_be_trained_is_refused(w, make):
    with pytest.raises(ValueError, match="parameter 1, .*, cannot be trained; pass"):
        nn.SGD([w, make(w)], 0.1)


def test_after_a_gradient_of_another_shape_no_parameter_is_updated(w):
    v = nn.Tensor([[1.0], [2.0]], requires_grad=True)
    v.grad = np.ones(2)
    with pytest.raises(ValueError, match="parameter 1 has shape .* and its gradient"):
        nn.SGD([w, v], 0.1).step()
    assert w.value.tolist() == [1, 2]


# ---- momentum and weight decay


def by_hand(w, gradient, steps, lr, m=0.0, decay=0.0, nesterov=False):
    """PyTorch's formulas, in plain NumPy: the weights after each step."""
    v, found = None, []
    for _ in range(steps):
        g = gradient(w) + decay * w
        v = g if v is None else m * v + g
        w = w - lr * (g + m * v if nesterov else v)
        found.append(w)
    return found


@pytest.mark.parametrize("options", [
    {"momentum": 0.9}, {"momentum": 0.5, "weight_decay": 0.1}, {"weight_decay": 0.1},
    {"momentum": 0.9, "weight_decay": 0.01, "nesterov": True}, {}], ids=range(5))
@pytest.mark.parametrize("hidden", [False, True], ids=["floats", "opaque"])
def test_steps_follow_the_formulas(options, hidden, opaque):
    kind, start, target = opaque if hidden else np.array, [3.0, -1.0], [1.0, 0.5]
    w = nn.Tensor(kind(start), requires_grad=True)
    sgd = nn.SGD([w], 0.1, **options)
    due = by_hand(np.array(start), lambda w: 2 * (w - target), 6, 0.1,
                  options.get("momentum", 0), options.get("weight_decay", 0),
                  options.get("nesterov", False))
    for expected in due:
        sgd.zero_grad()
        ((w - np.array(target)) ** 2).sum().backward()
        sgd.step()
        found = w.value._array if hidden else w.value
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_three_steps_with_momentum_and_decay_by_hand():
    """w = 3, gradient 2: g = 2 + 0.5 w, v = 0.5 v + g, w = w - 0.5 v."""
    w, found = nn.Tensor([3.0], requires_grad=True), []
    sgd = nn.SGD([w], lr=0.5, momentum=0.5, weight_decay=0.5)
    for _ in range(3):
        w.grad = np.array([2.0])
        sgd.step()
        found.append(w.value.item())
    # v = 3.5, then 1.75 + 2.625 = 4.375, then 2.1875 + 1.53125 = 3.71875
    assert found == [1.25, -0.9375, -2.796875]


def test_a_changed_rate_applies_to_the_old_momentum(w):
    sgd = nn.SGD([w], 1.0, momentum=0.5)
    sgd.step()                              # w = 1 - 3, 2 - 5
    sgd.lr = 0.1
    sgd.step()                              # v = 4.5, 7.5
    np.testing.assert_allclose(w.value, [-2.45, -3.75])


def test_a_step_that_fails_leaves_weights_and_momentum(w):
    v = nn.Tensor([1.0], requires_grad=True)
    v.grad = np.ones(1)
    sgd = nn.SGD([w, v], 0.1, momentum=0.9)
    sgd.step()
    before = sgd.state_dict(), w.value
    v.grad = None
    with pytest.raises(ValueError, match="parameter 1, .*call loss.backward"):
        sgd.step()
    assert w.value is before[1]
    np.testing.assert_array_equal(sgd.velocities[0], before[0]["velocity.0"])


@pytest.mark.parametrize("options, remedy", [
    ({"momentum": 1}, "pass a momentum from 0 on, below 1"),
    ({"momentum": -0.1}, "pass a momentum"), ({"weight_decay": -1}, "decay from 0 on"),
    ({"nesterov": True}, "nesterov needs a momentum; pass momentum=0.9"),
    ({"momentum": np.nan}, r"SGD\(momentum\): nan is not finite"),
    ({"weight_decay": np.inf}, r"SGD\(weight_decay\): inf is not finite")])
def test_other_momenta_and_decays_are_refused(w, options, remedy):
    with pytest.raises(ValueError, match=remedy):
        nn.SGD([w], 0.1, **options)


def test_the_state_of_an_optimiser_is_loaded_into_another(w, tmp_path):
    sgd = nn.SGD([w], 0.5, momentum=0.5, weight_decay=0.25, nesterov=True)
    assert set(sgd.state_dict()) == {"lr", "momentum", "weight_decay", "nesterov"}
    sgd.step()
    v = nn.Tensor(w.value, requires_grad=True)
    v.grad = w.grad
    other = nn.SGD([v], 1.0)
    np.savez(tmp_path / "sgd.npz", **sgd.state_dict())
    with np.load(tmp_path / "sgd.npz") as state:
        other.load_state_dict(state)
    for one in (sgd, other):
        one.step()
    assert (other.lr, other.momentum, other.weight_decay, other.nesterov) == (
        0.5, 0.5, 0.25, True)
    np.testing.assert_array_equal(v.value, w.value)


@pytest.mark.parametrize("change, fault", [
    (lambda s: s.pop("lr"), "lr is missing"),
    (lambda s: s.update({"velocity.1": np.ones(2)}), "velocity.1 is unexpected"),
    (lambda s: s.update({"velocity.0": np.ones(3)}), "velocity.0 has shape"),
    (lambda s: s.update(momentum=[1.0]), "momentum has shape")], ids=range(4))
def test_a_state_of_another_optimiser_is_refused(w, change, fault):
    sgd = nn.SGD([w], 0.5, momentum=0.5)
    sgd.step()
    state = sgd.state_dict()
    change(state)
    other = nn.SGD([w], 0.25)
    with pytest.raises(ValueError, match=f"SGD.load_state_dict: {fault}"):
        other.load_state_dict(state)
    with pytest.raises(TypeError, match="came; pass a dict"):
        other.load_state_dict([state])
    assert other.lr == 0.25 and other.momentum == 0 and not other.velocities
