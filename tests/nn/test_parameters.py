"""Parameters are found in ordered containers and refused elsewhere."""

import functools
import itertools
import os
import subprocess
import sys
from collections import OrderedDict, UserDict, UserList, deque, namedtuple
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

import nn


def leaf(value=1.0):
    return nn.Tensor(value, requires_grad=True)


class Holder(nn.Module):
    """A module with one attribute, `it`."""

    def __init__(self, it):
        self.it = it


Two = namedtuple("Two", "left right")
W, V = leaf(), leaf(2.0)


@pytest.mark.parametrize("it, names", [
    ({"a": W, "b": V}, ["it.a", "it.b"]), ({"b": W, "a": V}, ["it.b", "it.a"]),
    ({2: W, None: V}, ["it.2", "it.None"]), (deque([W, V]), ["it.0", "it.1"]),
    (OrderedDict(a=W, b=V), ["it.a", "it.b"]), (UserDict(a=W, b=V), ["it.a", "it.b"]),
    (MappingProxyType({"a": W, "b": V}), ["it.a", "it.b"]),
    (Two(W, V), ["it.0", "it.1"]),
    ([{"a": [W]}, (deque([Holder(V)]),)], ["it.0.a.0", "it.1.0.0.it"]),
    (Holder({"a": Holder([W, V])}), ["it.it.a.it.0", "it.it.a.it.1"])], ids=range(10))
def test_ordered_containers_are_searched(it, names):
    found = Holder(it).named_parameters()
    assert [name for name, _ in found] == names
    assert [p for _, p in found][0] is W and [p for _, p in found][1] is V


def test_a_layer_in_a_dict_is_trained():
    model = Holder({"layer": nn.Linear(2, 1, np.random.default_rng(0))})
    before = model.it["layer"].weight.value.copy()
    output = model.it["layer"](np.ones((4, 2)))
    nn.mse_loss(output, np.full((4, 1), 9.0)).backward()
    nn.SGD(model.parameters(), 0.1).step()
    assert np.all(model.it["layer"].weight.value > before)


class Base(nn.Module):
    first = leaf()
    both = leaf()

    @property
    def doubled(self):
        return self.first * 2

    @staticmethod
    def helper(x):
        return x


class Derived(Base):
    both = leaf()
    layers = [nn.Linear(1, 1)]

    def __init__(self):
        self.own = leaf()


class Slotted(nn.Module):
    __slots__ = "weight", "__hidden", "empty"

    def __init__(self):
        self.weight, self.__hidden, self.other = leaf(), leaf(), leaf()


def test_class_attributes_are_parameters_and_may_be_overridden():
    model = Derived()
    found = dict(model.named_parameters())
    assert list(found) == ["first", "both", "layers.0.weight", "layers.0.bias", "own"]
    assert found["both"] is Derived.both and found["first"] is Base.first


def test_slots_are_searched():
    model = Slotted()
    assert {name for name, _ in model.named_parameters()} == {
        "weight", "_Slotted__hidden", "other"}


def test_modules_that_hold_each_other_are_searched_once():
    parent, child = Holder(None), Holder(leaf())
    parent.it, child.parent = [child, child], parent
    assert [name for name, _ in parent.named_parameters()] == ["it.0.it"]
    assert [name for name, _ in child.named_parameters()] == ["it"]
    ring = [leaf()]
    ring.append(ring)
    assert len(Holder(ring).parameters()) == 1


def test_results_and_data_are_not_parameters():
    model = Holder(leaf())
    model.cached = model.it * 2
    model.data = nn.Tensor(1.0)
    assert [name for name, _ in model.named_parameters()] == ["it"]
    model.cached.sum().backward()
    assert len(model.parameters()) == 1


# ---- places that are not searched


class Plain:
    """A class that should have been a module."""

    def __init__(self, it):
        self.it = it


@dataclass
class Data:
    it: object


@pytest.mark.parametrize("kind", [
    lambda w: {w}, lambda w: frozenset([w]), Plain, Data,
    lambda w: SimpleNamespace(w=w), lambda w: [Plain(w)],
    lambda w: Plain([{"a": (w,)}]), lambda w: {"a": {w}}, lambda w: {w: "a key"},
    lambda w: {"a": w}.values(), lambda w: UserList([w]),
    lambda w: np.array([[None, Holder(w)]])], ids=range(12))
@pytest.mark.parametrize("it", [leaf(), nn.Linear(1, 1)], ids=["tensor", "layer"])
def test_a_parameter_in_another_place_is_refused(kind, it):
    model = Holder(kind(it))
    model.ordinary = leaf()
    with pytest.raises(TypeError, match="holds a parameter that would not be trained"):
        model.parameters()


@pytest.mark.parametrize("kind", [lambda w: {w}, Plain])
def test_a_parameter_in_another_place_is_accepted_if_it_is_also_found(kind):
    weight = leaf()
    model = Holder(kind(weight))
    model.weight = weight
    assert [name for name, _ in model.named_parameters()] == ["weight"]
    model.optimiser = nn.SGD(model.parameters(), 0.1)
    assert len(model.parameters()) == 1


@pytest.mark.parametrize("it", [
    "text", b"bytes", range(3), {1, 2}, None, np.zeros(3), np.random.default_rng(0),
    np.random, nn.Linear, len, np.exp, Base, "text".upper, Plain(3), {"a": {1}},
    object(), range(10**12), [nn.Tensor(1.0)], {nn.Tensor(1.0)}, open,
    SimpleNamespace(a=[nn.Tensor(1.0)])], ids=range(21))
def test_other_attributes_are_accepted(it):
    assert Holder(it).parameters() == []


def closure(w):
    return lambda x: x @ w


def deep_closure(w):
    def outer():
        def inner(x):
            return closure(w)(x)
        return inner
    return outer


def recursive(w):
    def again(n):
        return again(n - 1) if n else w
    return again


GLOBAL = leaf()


def uses_the_global(x):
    return [GLOBAL * y for y in x]


def calls_it(x):
    return uses_the_global(x)


class Slots:
    __slots__ = "it", "empty"

    def __init__(self, it):
        self.it = it


@pytest.mark.parametrize("kind", [
    closure, deep_closure, recursive, lambda w: lambda x, w=w: x @ w,
    lambda w: functools.partial(np.matmul, w), lambda w: functools.partial(max, key=w),
    lambda w: functools.partial(closure(w), 1), lambda w: w.__class__.forward.__get__(w)
    if isinstance(w, nn.Module) else w.__add__, lambda w: [w].append,
    lambda w: [w].__len__, lambda w: functools.lru_cache(closure(w)), Slots,
    lambda w: Plain(Plain(w)), lambda w: Plain(closure(Plain([w]))),
    lambda w: {"f": closure(w)}, lambda w: property(closure(w)),
    lambda w: functools.wraps(len)(closure(w))], ids=range(17))
@pytest.mark.parametrize("it", [leaf(), nn.Linear(1, 1)], ids=["tensor", "layer"])
def test_a_parameter_behind_a_function_is_refused(kind, it):
    for place in (lambda f: f, lambda f: [f], lambda f: {"f": f}):
        with pytest.raises(TypeError, match="holds a parameter that would not be tra"):
            Holder(place(kind(it))).parameters()
        model = Holder([place(kind(it)), it])       # but it is also found
        assert model.parameters() == nn.Module.parameters(Holder(it))


@pytest.mark.parametrize("it", [uses_the_global, calls_it, [lambda x: GLOBAL + x]])
def test_a_global_parameter_that_a_function_uses_is_refused(it):
    with pytest.raises(TypeError, match="a function, holds a parameter that would not"):
        Holder(it).parameters()


def test_a_method_that_uses_a_global_parameter_is_refused():
    class Net(nn.Module):
        def forward(self, x):
            return x * GLOBAL

    with pytest.raises(TypeError, match="forward, a function, holds a parameter"):
        Net().share("alice", "bob")


def test_a_name_of_a_method_is_no_global():
    class Net(nn.Module):
        def forward(self, x):
            return self.GLOBAL(x)

        def GLOBAL(self, x):
            return x

    assert Net().parameters() == []


def test_methods_and_functions_of_found_layers_are_accepted():
    model = Holder(nn.Linear(1, 1))
    model.call, model.closure = model.it.forward, closure(model.it)
    model.twice = functools.partial(lambda layer, x: layer(layer(x)), model.it)
    model.me = closure(model)
    assert [name for name, _ in model.named_parameters()] == ["it.weight", "it.bias"]


@pytest.mark.parametrize("it", [
    map(leaf, [1.0]), (leaf() for _ in range(2)), zip([leaf()], strict=True),
    filter(None, [leaf()]), enumerate([leaf()]), reversed([leaf()]), iter([leaf()]),
    itertools.chain([leaf()]), itertools.cycle([leaf()])],
    ids=lambda it: type(it).__name__)
def test_an_iterator_is_refused(it):
    with pytest.raises(TypeError, match="can be iterated only once; make it a list"):
        Holder(it).parameters()


def test_two_parameters_with_the_same_name_are_refused():
    with pytest.raises(ValueError, match="two are called it.1; rename one"):
        Holder({1: leaf(), "1": leaf()}).parameters()
    model = Holder([leaf()])
    setattr(model, "it.0", leaf())
    with pytest.raises(ValueError, match="two are called it.0; rename one"):
        model.parameters()


PROGRAM = """
import nn
class Net(nn.Module):
    shift = nn.Tensor(1.0, True)
    def __init__(self):
        self.layers = {name: nn.Linear(1, 1) for name in ("b", "a", "c")}
        self.rest = [nn.Tensor(1.0, True), {"z": nn.Tensor(2.0, True)}]
print([name for name, _ in Net().named_parameters()])
"""


def test_the_order_is_the_same_in_every_process():
    for seed in "123":
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed})
        assert done.stdout == (
            "['shift', 'layers.b.weight', 'layers.b.bias', 'layers.a.weight', "
            "'layers.a.bias', 'layers.c.weight', 'layers.c.bias', "
            "'rest.0', 'rest.1.z']\n")


# ---- one parameter in two modules


def test_tied_weights_are_trained_once_by_the_sum_of_their_gradients():
    """An encoder and a decoder with one weight, as in PyTorch."""
    encoder, decoder = nn.Linear(2, 2), nn.Linear(2, 2)
    decoder.weight = encoder.weight
    model = nn.Module()
    model.encoder, model.decoder = encoder, decoder
    assert [name for name, _ in model.named_parameters()] == [
        "encoder.weight", "encoder.bias", "decoder.bias"]
    w = np.array([[0.5, -1.0], [0.25, 2.0]])
    encoder.weight.value = w.copy()
    encoder.bias.value, decoder.bias.value = np.zeros(2), np.zeros(2)
    x = np.array([[1.0, 2.0]])
    decoder(encoder(x)).sum().backward()
    ones = np.ones((1, 2))
    gradient = x.T @ (ones @ w.T) + (x @ w).T @ ones
    np.testing.assert_allclose(encoder.weight.grad, gradient)
    nn.SGD([*encoder.parameters(), *decoder.parameters()], 0.1).step()
    np.testing.assert_allclose(encoder.weight.value, w - 0.1 * gradient)


def test_tied_weights_are_shared_once_and_stay_tied(opaque):
    model = Holder([nn.Linear(2, 2), nn.Linear(2, 2)])
    model.it[1].weight = model.it[0].weight
    model.map(opaque).share("alice", "bob")
    assert model.it[1].weight is model.it[0].weight
    assert isinstance(model.it[1].weight.value, opaque)


# ---- map


def test_a_map_that_raises_leaves_the_model_unchanged():
    model = Holder([leaf(1.0), leaf(2.0), leaf(3.0)])

    def picky(value):
        if value == 3:
            raise ValueError("no threes")
        return value * 10

    with pytest.raises(ValueError, match="no threes"):
        model.map(picky)
    assert [float(p.value) for p in model.parameters()] == [1, 2, 3]


def test_a_map_to_none_is_refused():
    with pytest.raises(TypeError, match="map: it: cannot hold a NoneType"):
        Holder(leaf()).map(lambda value: None)
