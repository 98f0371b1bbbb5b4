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
