"""Modules: their parameters, the order of these, and changes of type."""

import doctest

import numpy as np
import pytest

import nn
import nn.layers


class Net(nn.Module):
    def __init__(self, rng=None):
        self.fc1, self.act = nn.Linear(4, 3, rng), nn.ReLU()
        self.fc2 = nn.Linear(3, 2, rng)
        self.mean = nn.Tensor(0.5)                  # not a parameter: needs no gradient

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x - self.mean)))


def test_parameters_are_named_in_order_of_definition():
    names = [name for name, _ in Net().named_parameters()]
    assert names == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]


def test_parameters_are_the_tensors_themselves():
    net = Net()
    assert net.parameters()[3] is net.fc2.bias


def test_a_shared_parameter_is_listed_once():
    net = Net()
    net.tied = net.fc1
    assert len(net.parameters()) == 4


def test_modules_in_lists_are_found():
    net = nn.Module()
    net.layers = [nn.Linear(2, 2), (nn.ReLU(), nn.Linear(2, 1))]
    assert [name for name, _ in net.named_parameters()] == [
        "layers.0.weight", "layers.0.bias", "layers.1.1.weight", "layers.1.1.bias"]


def test_linear_is_a_product_and_a_sum(rng):
    layer, x = nn.Linear(4, 3, rng), rng.normal(size=(5, 4))
    expected = x @ layer.weight.value + layer.bias.value
    np.testing.assert_array_equal(layer(nn.Tensor(x)).value, expected)
    np.testing.assert_array_equal(layer(x).value, expected)


def test_initial_weights_are_uniform_within_the_inverse_root_of_the_inputs(rng):
    layer = nn.Linear(100, 300, rng)
    for values in (layer.weight.value, layer.bias.value):
        assert np.abs(values).max() <= 0.1
        assert abs(values.std() - 0.1 / np.sqrt(3)) < 0.005


def test_the_same_generator_draws_the_same_network():
    a, b = (Net(np.random.default_rng(3)).fc2.weight.value for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_two_networks_without_a_generator_differ():
    assert (Net().fc1.weight.value != Net().fc1.weight.value).any()


def test_activations():
    x = nn.Tensor([-2.0, 0.0, 3.0])
    np.testing.assert_array_equal(nn.ReLU()(x).value, [0, 0, 3])
    np.testing.assert_array_equal(nn.Square()(x).value, [4, 0, 9])


def test_map_changes_values_and_keeps_the_parameters():
    net = Net()
    before, old = net.parameters(), net.fc1.bias.value
    net.fc1.bias.grad = old
    assert net.map(lambda value: value * 2) is net
    assert all(a is b for a, b in zip(before, net.parameters(), strict=True))
    np.testing.assert_array_equal(net.fc1.bias.value, 2 * old)
    assert net.fc1.bias.grad is None


def test_a_model_is_shared_and_revealed(opaque, rng):
    net = Net(rng)
    old = [parameter.value for parameter in net.parameters()]
    shared = net.map(opaque).share("alice", "bob", provider="carol")
    assert all(isinstance(parameter.value, opaque) for parameter in shared.parameters())
    revealed = shared.get().float_precision().parameters()
    for before, parameter in zip(old, revealed, strict=True):
        np.testing.assert_array_equal(parameter.value, before)


def test_opaque_gradients_of_a_network_equal_those_on_floats(opaque, rng):
    x, grads = rng.normal(size=(5, 4)), []
    for kind in (np.array, opaque):
        net = Net(np.random.default_rng(1)).map(kind)
        nn.mse_loss(net(nn.Tensor(kind(x))), np.ones((5, 2))).backward()
        grads.append([getattr(p.grad, "_array", p.grad) for p in net.parameters()])
    for a, b in zip(*grads, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_the_docstring_example_runs():
    assert doctest.testmod(nn.layers).failed == 0


# ---- errors


def test_sharing_plain_arrays_names_the_remedy():
    with pytest.raises(TypeError, match="fc1.weight, a ndarray, .*call model.map"):
        Net().share("alice", "bob")


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0)])
def test_empty_layers_are_refused(sizes):
    with pytest.raises(ValueError, match="pass sizes of 1 or more"):
        nn.Linear(*sizes)


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="has no forward; define forward"):
        nn.Module()(1)


@pytest.mark.parametrize("sizes", [(2.5, 3), ("2", 3), (True, 1), (2, None)])
def test_sizes_that_are_not_integers_are_refused(sizes):
    with pytest.raises(TypeError, match="Linear: a size is a .*; pass two integers"):
        nn.Linear(*sizes)


def test_a_seed_instead_of_a_generator_is_refused():
    with pytest.raises(TypeError, match="rng is a int; pass np.random.default_rng"):
        nn.Linear(2, 3, 7)
    assert nn.Linear(np.int64(2), 3, np.random.default_rng(7)).weight.shape == (2, 3)
