"""Tensor: the products and gradients of backward, values and errors."""

import gc
import sys
import weakref

import numpy as np
import pytest

from nn import Tensor


def leaf(value):
    return Tensor(value, requires_grad=True)


# ---- the products of a backward pass


def test_no_gradient_is_computed_for_data(opaque):
    x, w = Tensor(opaque(np.ones((4, 3)))), leaf(opaque(np.ones((3, 2))))
    (x @ w).square().sum().backward()
    assert opaque.log == [
        "(4, 3) @ (3, 2)", "(4, 2) ** 2", "(3, 4) @ (4, 2)", "(3, 2) * number"]
    assert x.grad is None


@pytest.mark.parametrize("needed", [0, 1])
def test_the_gradient_goes_to_the_operand_that_needs_it(opaque, needed):
    a, b = Tensor(opaque([3.0]), needed == 0), Tensor(opaque([5.0]), needed == 1)
    (a * b).sum().backward()
    assert opaque.log == ["(1,) * value"]   # the gradient is the other operand times 1
    np.testing.assert_array_equal((a, b)[needed].grad._array, (5.0, 3.0)[needed])


def test_without_requires_grad_no_graph_is_kept():
    assert (Tensor([1.0]) * 2 + 3)._parents == ()


def test_relu_compares_once(opaque):
    x = leaf(opaque([1.0, -1.0]))
    (x.relu() ** 2).sum().backward()
    assert opaque.log == ["relu (2,)", "(2,) ** 2", "(2,) * value", "(2,) * number"]
    np.testing.assert_array_equal(x.grad._array, [2, 0])


def test_a_square_costs_one_product_and_its_gradient_none(opaque):
    x = leaf(opaque([3.0]))
    ((x**2).sum() / 64).backward()
    assert opaque.log == ["(1,) ** 2", "(1,) * number"]
    np.testing.assert_array_equal(x.grad._array, 6 / 64)


def test_x_times_x_and_x_squared_have_the_same_gradient():
    x, y = leaf([3.0, -2.0]), leaf([3.0, -2.0])
    (x * x).sum().backward()
    (y**2).sum().backward()
    np.testing.assert_array_equal(x.grad, y.grad)


def test_both_passes_of_a_square_use_the_same_rounded_value(opaque, monkeypatch):
    monkeypatch.setattr(opaque, "operand", lambda x: opaque(x._array.round()))
    x = leaf(opaque([2.75]))
    y = x.square().sum()
    y.backward()
    assert (y.value._array, x.grad._array) == (9, 6)


def test_both_products_of_a_gradient_use_the_one_rescaled_for_the_update(
        opaque, monkeypatch):
    def rescaled_for(gradient, weight, x, c):
        opaque.log.append(f"{gradient.shape} for {weight.shape}, {x.shape} * {c}")
        return opaque(gradient._array.round())

    monkeypatch.setattr(opaque, "rescaled_for", rescaled_for)
    x, w = leaf(opaque(np.full((4, 3), 0.5))), leaf(opaque(np.full((3, 2), 0.25)))
    ((x @ w).square().sum() / 4).backward()
    due = "(4, 2) for (3, 2), (4, 3) * 0.5"         # 2/4 of the gradient and of .square
    assert [line for line in opaque.log if "for" in line] == [due, due]
    np.testing.assert_array_equal(x.grad._array, 0)         # 0.375, rounded
    np.testing.assert_array_equal(w.grad._array, 0)


def test_a_gradient_stays_a_number_until_it_meets_a_value(opaque):
    x = leaf(opaque(np.ones((4, 3))))
    ((x * x).T.reshape(12).sum() / 4).backward()
    assert opaque.log == ["(4, 3) * value", "(4, 3) * number"]


def test_repeating_a_gradient_costs_no_product(opaque):
    x = leaf(opaque(np.ones((4, 3))))
    (x.sum(axis=0).square()).sum().backward()
    assert opaque.log == ["(3,) ** 2", "(4, 3) * number"]


def test_a_gradient_that_depends_on_no_value_is_a_public_array(opaque):
    x = leaf(opaque(np.ones((2, 3))))
    (x.sum() / 4).backward()
    np.testing.assert_array_equal(x.grad, np.full((2, 3), 0.25))


def test_backward_runs_in_the_same_order_every_time(opaque):
    def run():
        opaque.log.clear()
        a, b, c = (leaf(opaque(np.ones((n, n + 1)))) for n in (2, 3, 4))
        (((a @ b) @ c).relu() ** 2 + (a @ (b @ c)) ** 2).sum().backward()
        return list(opaque.log)
    assert run() == run() == run()


# ---- gradients and graphs after a backward pass


def test_gradients_of_several_graphs_add_up():
    w = leaf([2.0])
    for _ in range(3):
        (w * 5).sum().backward()
    np.testing.assert_array_equal(w.grad, [15.0])


def test_only_leaves_keep_a_gradient():
    w = leaf([2.0])
    hidden = w * 5
    loss = hidden.sum()
    loss.backward()
    assert hidden.grad is None and loss.grad is None


def test_a_leaf_can_be_differentiated_by_itself():
    w = leaf(2.0)
    w.backward()
    np.testing.assert_array_equal(w.grad, 1.0)


def test_backward_frees_the_graph_without_the_garbage_collector():
    gc.disable()
    try:
        w = leaf(np.ones(3))
        hidden = w * 2
        gone = weakref.ref(hidden), weakref.ref(hidden.value)
        loss = (hidden * hidden).sum()
        del hidden
        assert gone[0]() is not None
        loss.backward()
        assert gone[0]() is None and gone[1]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("used", [True, False])
def test_a_graph_deeper_than_the_recursion_limit(used):
    x = leaf(1.0)
    y = x
    for _ in range(50 * sys.getrecursionlimit()):
        y = y + 1
    if used:
        y.backward()
        assert x.grad == 1
    del y


def test_a_graph_with_exponentially_many_paths_is_walked_once():
    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad == 2.0**60


def test_the_rules_use_the_values_of_the_forward_pass():
    w = leaf([3.0])
    loss = (w**2).sum()
    w.value = np.array([100.0])
    loss.backward()
    np.testing.assert_array_equal(w.grad, [6.0])


def test_a_seed_of_the_tensors_shape_starts_the_gradient():
    x = leaf([1.0, 2.0])
    (x * 3).backward(seed=np.array([1.0, 10.0]))
    np.testing.assert_array_equal(x.grad, [3.0, 30.0])


def test_a_number_seeds_a_tensor_of_one_element():
    x = leaf([[2.0]])
    (x * 3).backward(seed=10)
    np.testing.assert_array_equal(x.grad, [[30.0]])


# ---- values


@pytest.mark.parametrize("value", [
    3, 2.5, [1, 2], np.arange(3), np.float32(1), np.zeros((2, 0))])
def test_plain_values_become_float64_arrays(value):
    array = Tensor(value).value
    assert isinstance(array, np.ndarray) and array.dtype == np.float64


def test_other_values_are_kept_as_they_are(opaque):
    value = opaque([1.0])
    assert Tensor(value).value is value


def test_a_tensor_has_the_shape_and_ndim_of_its_value(opaque):
    x = Tensor(opaque(np.ones((2, 3))))
    assert x.shape == (2, 3) and x.ndim == 2


def test_repr_shows_the_types_down_to_the_numbers(opaque):
    assert repr(leaf([1.0, 2.5])) == "Tensor(requires_grad=True) > ndarray([1. , 2.5])"
    assert repr(Tensor(2)) == "Tensor(requires_grad=False) > ndarray(2.)"
    assert repr(leaf(opaque([1.0]))) == (
        "Tensor(requires_grad=True) > Opaque > Share\n    alice: [?]\n    bob:   [?]")


def test_repr_of_a_matrix_aligns_its_columns():
    first, second = repr(leaf([[1.0, 2.0], [3.0, 4.0]])).splitlines()
    assert first.index("[1.") == second.index("[3.")


# ---- errors


def test_backward_of_many_elements_asks_for_a_sum_or_a_seed():
    with pytest.raises(ValueError, match=r"no single gradient; call .sum\(\) first"):
        leaf(np.ones((2, 3))).backward()


def test_a_seed_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"seed has shape \(3,\); pass one of"):
        leaf(np.ones((2, 3))).backward(seed=np.ones(3))


def test_a_seed_for_one_element_must_not_be_larger():
    with pytest.raises(ValueError, match=r"\(3,\); pass one of shape \(\)"):
        leaf(1.0).backward(seed=np.ones(3))


def test_backward_of_data_is_refused():
    with pytest.raises(ValueError, match=r"Tensor\(value, requires_grad=True\)"):
        Tensor(1.0).backward()


def test_a_graph_supports_one_backward_pass():
    w = leaf(2.0)
    loss = w * w
    loss.backward()
    with pytest.raises(ValueError, match="already used .* run the forward pass again"):
        loss.backward()
    np.testing.assert_array_equal(w.grad, 4.0)


def test_a_second_loss_over_the_same_graph_is_refused():
    w = leaf(2.0)
    hidden = w * w
    (hidden * 3).backward()
    with pytest.raises(ValueError, match="or add the losses first"):
        (hidden * 5).backward()


def test_a_tensor_in_a_tensor_is_refused():
    with pytest.raises(TypeError, match="pass its .value"):
        Tensor(Tensor(1.0))


@pytest.mark.parametrize("value", ["abc", None, {}])
def test_values_without_a_shape_are_refused(value):
    with pytest.raises(TypeError, match="pass a number, an array or a fixed"):
        Tensor(value)


@pytest.mark.parametrize("other", ["abc", None, [1.0]])
def test_operands_without_a_shape_are_refused(other):
    with pytest.raises(TypeError, match="cannot add a .*; pass a Tensor, a number"):
        Tensor(1.0) + other


def test_a_tensor_as_a_condition_is_refused():
    with pytest.raises(TypeError, match="a branch must not depend on a value"):
        bool(Tensor(1.0))


def test_a_tensor_has_a_length_and_rows_with_gradients():
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], True)
    first, second = x
    (first * second).sum().backward()
    np.testing.assert_array_equal(x.grad, [[3, 4], [1, 2]])
    assert len(x) == 2 and x.size == 4
