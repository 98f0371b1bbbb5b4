"""Modules: their parameters, the order of these, and changes of type."""

import doctest

import numpy as np
import pytest

import nn
import nn.module


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


def test_the_docstring_examples_run():
    done = doctest.testmod(nn.module, extraglobs={"nn": nn})
    assert done.attempted >= 6 and done.failed == 0


# ---- Sequential and the simple layers


def test_a_sequential_is_the_composition_of_its_modules(rng):
    first, second = nn.Linear(4, 3, rng), nn.Linear(3, 2, rng)
    x = rng.normal(size=(5, 4))
    net = nn.Sequential(first, nn.ReLU(), second)
    np.testing.assert_array_equal(net(x).value, second(first(x).relu()).value)
    np.testing.assert_array_equal(nn.Sequential()(x).value, x)


def test_a_sequential_is_indexed_iterated_and_sliced():
    layers = nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)
    net = nn.Sequential(*layers)
    net.extra = nn.Tensor(1.0, requires_grad=True)      # not one of the layers
    assert len(net) == 3 and list(net) == list(layers) and net[-1] is layers[2]
    assert list(net[1:]) == list(layers[1:]) and isinstance(net[1:], nn.Sequential)
    assert [name for name, _ in net.named_parameters()] == [
        "0.weight", "0.bias", "2.weight", "2.bias", "extra"]
    with pytest.raises(IndexError):
        net[3]


@pytest.mark.parametrize("it", [
    [nn.ReLU()], nn.ReLU, np.tanh, None, nn.Tensor(1.0)], ids=range(5))
def test_a_sequential_of_other_things_is_refused(it):
    with pytest.raises(TypeError, match="Sequential: argument 1, .*, is no module; pa"):
        nn.Sequential(nn.ReLU(), it)


def test_a_layer_without_bias():
    layer = nn.Linear(4, 3, np.random.default_rng(0), bias=False)
    x = np.ones((2, 4))
    np.testing.assert_array_equal(layer(x).value, x @ layer.weight.value)
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    with pytest.raises(TypeError, match="options, such as bias=False, by name"):
        nn.Linear(4, 3, False)


def test_flatten_keeps_the_rows(check, rng):
    assert nn.Flatten()(np.ones((5, 2, 3, 4))).shape == (5, 24)
    assert nn.Flatten()(np.ones(5)).shape == (5, 1)
    assert nn.Flatten()(np.ones((0, 2, 3))).shape == (0, 6)
    check(lambda x: nn.Flatten()(x) * np.arange(1.0, 5), rng.normal(size=(2, 2, 2)))
    with pytest.raises(ValueError, match="a single number came; pass one row per item"):
        nn.Flatten()(1.0)


# ---- repr


def test_the_repr_shows_names_and_sizes():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3, bias=False), nn.Sequential(
        nn.Dropout(0.25), nn.Square(), nn.Sigmoid(), nn.Tanh()))
    assert repr(net) == (
        "Sequential(\n  (0): Flatten()\n  (1): Linear(4, 3, bias=False)\n"
        "  (2): Sequential(\n    (0): Dropout(p=0.25)\n    (1): Square()\n"
        "    (2): Sigmoid()\n    (3): Tanh()\n  )\n)")


def test_the_repr_of_a_class_shows_modules_in_containers_and_parameters():
    net = Net()
    net.layers, net.scale = [net.act, {"a": nn.ReLU()}], nn.Tensor([1.5, 2.5], True)
    assert repr(net) == (
        "Net(\n  (fc1): Linear(4, 3)\n  (act): ReLU()\n  (fc2): Linear(3, 2)\n"
        "  (layers.0): ReLU()\n  (layers.1.a): ReLU()\n"
        "  (scale): parameter of shape (2,)\n)")
    assert repr(nn.Module()) == "Module()"


def test_the_repr_ends_if_modules_and_lists_hold_each_other():
    net, ring = nn.Module(), [nn.ReLU()]
    ring.append(ring)
    net.me, net.ring = net, ring
    assert repr(net) == "Module(\n  (me): ...\n  (ring.0): ReLU()\n)"


def test_the_repr_of_a_shared_model_is_that_of_the_model(opaque):
    net = Net()
    before = repr(net)
    assert repr(net.map(opaque).share("alice", "bob")) == before


# ---- training and testing


def test_train_and_eval_reach_every_module():
    net = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.5)))
    net.more = {"a": [nn.Dropout(0.5)]}
    every = net, net[0], net[1], net[1][0], net.more["a"][0]
    assert all(module.training for module in every)
    assert net.eval() is net and not any(module.training for module in every)
    assert net.train() is net and all(module.training for module in every)


def test_dropout_keeps_the_mean_and_scales_the_rest(rng):
    layer, x = nn.Dropout(0.25, rng), np.full((200, 100), 3.0)
    first, second = layer(x).value, layer(x).value
    assert set(np.unique(first)) == {0.0, 4.0} and (first != second).any()
    assert abs((first == 0).mean() - 0.25) < 0.015      # five standard deviations
    np.testing.assert_array_equal(layer.eval()(x).value, x)


def test_dropout_has_the_gradient_of_its_mask(check, rng):
    def dropped(x):
        return nn.Dropout(0.4, np.random.default_rng(5))(x)
    check(dropped, rng.normal(size=(4, 5)))


def test_all_roles_drop_the_same_elements_and_p_zero_drops_nothing():
    x = np.ones(50)
    one, other = nn.Dropout(), nn.Dropout()         # as two roles would make them
    for _ in range(2):
        np.testing.assert_array_equal(one(x).value, other(x).value)
    assert (nn.Dropout(0.5, np.random.default_rng(1))(x).value != nn.Dropout()(x).value
            ).any()
    np.testing.assert_array_equal(nn.Dropout(0)(x).value, x)


@pytest.mark.parametrize("p, error", [
    (1, ValueError), (-0.1, ValueError), (np.nan, ValueError), ("0.5", TypeError),
    (True, TypeError), (None, TypeError)])
def test_a_dropout_of_no_probability_is_refused(p, error):
    with pytest.raises(error, match="Dropout.*; pass"):
        nn.Dropout(p)


def test_zero_grad_of_a_module_clears_its_gradients():
    net = Net()
    net(np.ones((2, 4))).sum().backward()
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


# ---- the state


def test_a_state_is_loaded_into_another_model(rng, tmp_path):
    net, other = Net(rng), Net(rng)
    np.savez(tmp_path / "net.npz", **net.state_dict())
    with np.load(tmp_path / "net.npz") as state:
        assert other.load_state_dict(state) is other
    x = rng.normal(size=(5, 4))
    np.testing.assert_array_equal(other(x).value, net(x).value)
    assert list(net.state_dict()) == [name for name, _ in net.named_parameters()]


def test_a_state_is_a_copy(rng):
    net = Net(rng)
    state = net.state_dict()
    net.map(np.zeros_like)
    assert state["fc1.weight"].any()
    net.load_state_dict(state)
    state["fc1.weight"][:] = 7
    assert (net.fc1.weight.value != 7).all()


def test_a_state_of_secrets_is_loaded_as_it_is(opaque, rng):
    net = Net(rng).map(opaque).share("alice", "bob")
    state = net.state_dict()
    assert all(isinstance(value, opaque) for value in state.values())
    for other in (Net(rng), Net(rng).map(opaque)):
        other.fc1.bias.grad = np.ones(3)
        other.load_state_dict(state)
        assert other.fc1.bias.value is net.fc1.bias.value
        assert other.fc1.bias.grad is None


@pytest.mark.parametrize("change, fault", [
    (lambda s: s.pop("fc1.bias"), "fc1.bias is missing; pass"),
    (lambda s: s.update(x=1.0), "x is unexpected; pass"),
    (lambda s: s.update({"fc1.bias": np.ones((3, 1))}),
     r"fc1.bias has shape \(3, 1\), not \(3,\); pass"),
    (lambda s: (s.pop("fc1.bias"), s.update(x=1.0)),
     "fc1.bias is missing, x is unexpected; pass"),
    (lambda s: s.clear(), "fc1.weight is missing, .*, and 1 more; pass")], ids=range(5))
def test_a_state_that_does_not_match_leaves_the_model_unchanged(change, fault, rng):
    net = Net(rng)
    before, state = net.state_dict(), Net(rng).state_dict()
    change(state)
    with pytest.raises(ValueError, match=f"load_state_dict: {fault}"):
        net.load_state_dict(state)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_state_of_other_types_is_refused(opaque, rng):
    net = Net(rng)
    for state in ([1.0], net, None, list(net.state_dict().items())):
        with pytest.raises(TypeError, match="came; pass a dict {name: value}"):
            net.load_state_dict(state)
    with pytest.raises(TypeError, match="load_state_dict: fc1.bias: cannot take str"):
        net.load_state_dict({**net.state_dict(), "fc1.bias": ["a", "b", "c"]})
    floats = net.state_dict()
    net.map(opaque)
    with pytest.raises(TypeError, match="fc1.weight holds a Opaque, and floats came; "):
        net.load_state_dict(floats)
    assert all(isinstance(p.value, opaque) for p in net.parameters())


# ---- errors


def test_sharing_plain_arrays_names_the_remedy():
    with pytest.raises(TypeError, match="fc1.weight, a ndarray, .*call model.map"):
        Net().share("alice", "bob")


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0)])
def test_empty_layers_are_refused(sizes):
    with pytest.raises(ValueError, match="pass sizes of 1 or more"):
        nn.Linear(*sizes)


def test_a_module_passes_options_on_by_keyword():
    class Scaled(nn.Module):
        def forward(self, x, by=1):
            return nn.Tensor(x) * by

    assert Scaled()([2.0], by=3).value.tolist() == [6.0]


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="has no forward; define forward"):
        nn.Module()(1)


@pytest.mark.parametrize("sizes", [(2.5, 3), ("2", 3), (True, 1), (2, None)])
def test_sizes_that_are_not_integers_are_refused(sizes):
    with pytest.raises(TypeError, match="Linear: a size is a .*; pass integers"):
        nn.Linear(*sizes)


def test_a_seed_instead_of_a_generator_is_refused():
    with pytest.raises(TypeError, match="rng is a int; pass np.random.default_rng"):
        nn.Linear(2, 3, 7)
    assert nn.Linear(np.int64(2), 3, np.random.default_rng(7)).weight.shape == (2, 3)
