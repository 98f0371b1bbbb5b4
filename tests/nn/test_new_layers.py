"""Layers and losses that need functions of secrets, on floats and on shares."""

import numpy as np
import pytest
from helpers import everywhere

import mpc
import nn

UNIT = 0.001
WORLDS = [{"comparison": "securenn"}, {"comparison": "carry-tree"},
          {"comparison": "carry-tree", "n_workers": 3}]
LOGITS = np.array([[1.0, 2.0, -1.0, 0.0], [3.0, 0.5, 4.0, -2.0], [0.2, 0.1, 0.0, 0.3]])
LABELS = np.array([1, 0, 3])


@pytest.fixture(params=WORLDS, ids=["securenn", "carry-tree", "three"])
def share(request):
    world = mpc.World(seed=1, checked=True, **request.param)
    return lambda numbers: mpc.fix_precision(numbers).share(
        *world.workers, crypto_provider=world.crypto_provider)


def gradients(f, arrays, kind):
    """The result of f, and the gradients of a weighted sum of it, as arrays."""
    leaves = [nn.Tensor(kind(array), requires_grad=True) for array in arrays]
    y = f(*leaves)
    weights = np.arange(y.value.size).reshape(y.shape) % 3 / 2 + 0.5
    (y * weights).sum().backward()
    return [plain(value) for value in (y.value, *(leaf.grad for leaf in leaves))]


def plain(value):
    return value if isinstance(value, np.ndarray) else value.get().float_precision()


def compare(f, arrays, share, units):
    """Results and gradients on shares are those on floats, within so many units."""
    for due, found in zip(gradients(f, arrays, np.array), gradients(f, arrays, share),
                          strict=True):
        assert np.abs(found - due).max() <= units * UNIT


# ---- activations and pools


def test_the_values_of_a_sigmoid_and_of_a_tanh(check):
    x = np.array([[-3.0, -0.5, 0.0], [0.25, 1.0, 4.0]])
    np.testing.assert_allclose(nn.Sigmoid()(x).value, 1 / (1 + np.exp(-x)), rtol=1e-12)
    np.testing.assert_allclose(nn.Tanh()(x).value, np.tanh(x), rtol=1e-12)
    for layer in (nn.Sigmoid(), nn.Tanh()):
        check(layer, x, opaque=False)


@pytest.mark.parametrize("layer", [nn.Sigmoid(), nn.Tanh()])
def test_a_smooth_activation_on_shares(layer, share):
    """Values are off by two units, and slopes, of products of these, by four."""
    compare(layer, [np.linspace(-4, 4, 12).reshape(3, 4)], share, 4)


def test_the_maximum_of_windows(check, rng):
    x = rng.permutation(48).reshape(1, 2, 4, 6) / 10
    inside = x.reshape(1, 2, 2, 2, 3, 2)
    np.testing.assert_array_equal(nn.MaxPool2d(2)(x).value, inside.max((3, 5)))
    check(nn.MaxPool2d(2), x[:, :1])
    check(nn.MaxPool2d((2, 3), stride=1), x[:, :1])


@pytest.mark.parametrize("layer", [
    nn.MaxPool2d(2), nn.AvgPool2d(2), nn.MaxPool2d((3, 2), stride=1)], ids=range(3))
def test_pools_on_shares(layer, share, rng):
    """The mean is rounded once; the maximum and all gradients are exact."""
    compare(layer, [rng.permutation(48).reshape(1, 2, 4, 6) / 10], share, 1)


# ---- convolution


@pytest.mark.parametrize("stride, padding", [(1, 0), (2, 1)])
def test_a_convolution_on_shares(stride, padding, share, rng):
    """The operands of all products are exact, and each sum is rounded once."""
    arrays = [np.round(rng.normal(size=shape), 3)
              for shape in ((2, 2, 5, 5), (3, 2, 3, 3), (3,))]
    compare(lambda *xs: nn.conv2d(*xs, stride, padding), arrays, share, 1)


def test_a_convolutional_network_is_trained_on_shares(share):
    """Measured over ten seeds of each World: at most 0.0059."""
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(8, 1, 8, 8)), np.eye(3)[rng.integers(0, 3, 8)]

    def trained(kind):
        draw = np.random.default_rng(1)
        net = nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1, rng=draw), nn.ReLU(), nn.AvgPool2d(2),
            nn.Conv2d(3, 4, 2, stride=2, rng=draw), nn.Square(), nn.Flatten(),
            nn.Linear(16, 3, draw)).map(kind)
        sgd = nn.SGD(net.parameters(), 0.02, momentum=0.9, weight_decay=0.01)
        for _ in range(10):
            sgd.zero_grad()
            nn.mse_loss(net(kind(x)), kind(target)).backward()
            sgd.step()
        return [plain(p.value) for p in net.parameters()]

    for due, found in zip(trained(np.array), trained(share), strict=True):
        assert np.abs(found - due).max() < 0.012


# ---- cross entropies


@pytest.mark.parametrize("secret", [True, False], ids=["secret", "public"])
def test_the_cross_entropy_on_shares(secret, share):
    """Measured over ten seeds of each World: 0.5 units, and 1.0 of the gradient."""
    target = share(np.eye(4)[LABELS]) if secret else LABELS
    x = nn.Tensor(share(LOGITS), requires_grad=True)
    y = nn.Tensor(LOGITS, requires_grad=True)
    found, due = nn.cross_entropy(x, target), nn.cross_entropy(y, LABELS)
    for loss in (found, due):
        loss.backward()
    assert abs(plain(found.value) - due.value) <= 2 * UNIT
    assert np.abs(plain(x.grad) - y.grad).max() <= 2 * UNIT


@pytest.mark.parametrize("secret", [True, False], ids=["secret", "public"])
def test_the_binary_cross_entropy_on_shares(secret, share):
    """Measured over ten seeds of each World: 1.0 units, and 0.9 of the gradient."""
    labels = np.array([[0.0, 1.0, 1.0, 0.0]] * 3)
    x = nn.Tensor(share(LOGITS), requires_grad=True)
    y = nn.Tensor(LOGITS, requires_grad=True)
    found = nn.binary_cross_entropy_with_logits(x, share(labels) if secret else labels)
    due = nn.binary_cross_entropy_with_logits(y, labels)
    for loss in (found, due):
        loss.backward()
    assert abs(plain(found.value) - due.value) <= 2 * UNIT
    assert np.abs(plain(x.grad) - y.grad).max() <= 2 * UNIT


def test_large_logits_on_shares_have_a_softmax_of_0_and_1(share):
    x = nn.Tensor(share([[500.0, 0.0, -700.0]]), requires_grad=True)
    loss = nn.cross_entropy(x, [1])
    loss.backward()
    assert abs(plain(loss.value) - 500) <= 2 * UNIT
    np.testing.assert_allclose(plain(x.grad), [[1, -1, 0]], atol=2 * UNIT)


def test_each_role_alone_computes_the_same():
    """In the simulation, by replay and in threads."""
    def program(world):
        def share(numbers):
            return mpc.fix_precision(numbers).share(
                *world.workers, crypto_provider=world.crypto_provider)
        net = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Tanh(), nn.Sigmoid(),
                            nn.Linear(4, 3, np.random.default_rng(0))).map(share)
        x = nn.Tensor(share(np.arange(32).reshape(2, 1, 4, 4) / 32), True)
        loss = nn.cross_entropy(net(x), [0, 2]) + nn.binary_cross_entropy_with_logits(
            net(x), share(np.eye(3)[:2]))
        loss.backward()
        return {"loss": loss.value, "x": x.grad, "weight": net[-1].weight.grad}

    everywhere(program, comparison="carry-tree")
