"""The drawing of a tape: its operations in order, without overlapping texts."""

import numpy as np
import pytest

from mpc.course import graph
from nn import Linear, Tensor, mse_loss


def network():
    layer = Linear(2, 3, np.random.default_rng(0))
    return mse_loss(layer(Tensor(np.ones((4, 2)))).relu(), np.ones((4, 3))), layer


def test_operations_follow_their_operands_and_show_their_rules():
    loss, layer = network()
    lines = graph.operations(loss)
    assert [name for _, name, _ in lines] == [
        None, "matmul", None, "add", "relu", "subtract", "power", "sum_over", "divide"]
    assert lines[0][0] is layer.weight and lines[-1][0] is loss
    rules = {name: text for _, name, text in lines}
    assert rules["add"] == "y = a + b:  da = g,  db = g"


def test_a_tensor_that_is_used_twice_is_drawn_once():
    x = Tensor([2.0], requires_grad=True)
    names = [name for _, name, _ in graph.operations(x * x + x)]
    assert names == [None, "multiply", "add"]


@pytest.mark.parametrize("columns", [None, {"add": 1, "relu": 2}])
def test_the_texts_of_a_tape_do_not_overlap(columns):
    loss, layer = network()
    figure = graph.tape(loss, dict(layer.named_parameters()), columns)
    figure.draw_without_rendering()
    shown = [t for t in figure.axes[0].texts if t.get_text()]
    boxes = [t.get_window_extent() for t in shown]
    assert {"weight", "bias", "4 × 3", "1 number"} <= {t.get_text() for t in shown}
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, shown[i]
        assert not any(box.overlaps(other) for other in boxes[:i]), shown[i]


def test_a_tape_after_a_backward_pass_is_refused():
    loss, _ = network()
    loss.backward()
    with pytest.raises(ValueError, match="run the forward pass again, and draw before"):
        graph.operations(loss)
