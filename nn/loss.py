"""Losses: how far an output is from its target, as one number."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .gradients import Unary
from .shapes import Shape
from .state import is_plain
from .tensor import Tensor, _apply
from .values import Value, as_value


def mse_loss(output: Tensor, target: Any) -> Tensor:
    """Return the squared error, summed over the classes and averaged over the batch.

    ``((output - target) ** 2).sum() / n`` for an `output` and a `target` of shape
    (n, ...), one row per item, such as one-hot labels. The divisor is n, not the number
    of elements, as in the tutorial that this project re-makes.
    """
    _check_output("mse_loss", output)
    target = target if isinstance(target, Tensor) else Tensor(target)
    _check_target("mse_loss", output.shape, target.shape)
    return ((output - target) ** 2).sum() / output.shape[0]


def cross_entropy(output: Tensor, target: Any) -> Tensor:
    """Return minus the logarithm of the softmax at the target, averaged over the batch.

    `output` has shape (n, classes), without a softmax. The `target` has one row of
    probabilities per item, which sum to 1, such as one-hot labels; or it is a public
    array of n integers from 0 on. The gradient is ``(softmax - target) / n``: both
    passes use one softmax, which is as secret as the output.
    """
    _check_output("cross_entropy", output)
    if output.ndim != 2:
        raise ValueError(f"cross_entropy: the output has shape {output.shape}; "
                         "give it one row per item and one column per class")
    target = _probabilities(_constant("cross_entropy", target), output.shape)
    _check_target("cross_entropy", output.shape, target.shape)
    return _apply(softmax_cross_entropy, output, target=target) / output.shape[0]


def softmax_cross_entropy(x: Value, target: Value) -> Unary:
    """y = sum(log(sum(exp(x))) - target * x):  dx = g * (softmax(x) - target)."""
    x = x - np.max(x, axis=-1, keepdims=True)               # exp stays within 0 and 1
    exp = np.exp(x)
    total = exp.sum(axis=-1, keepdims=True)                 # from 1 to the classes
    softmax = exp / total
    y = np.log(total).sum() - (x * target).sum()
    return y, lambda g, c: ((softmax - target) * g, c)


def binary_cross_entropy_with_logits(output: Tensor, target: Any) -> Tensor:
    """Return the cross entropy of sigmoid(output), averaged over all elements.

    The `target` has the shape of the `output`, and probabilities such as 0 and 1. The
    gradient is ``(sigmoid(output) - target) / n``: both passes use one exponential.
    """
    name = "binary_cross_entropy_with_logits"
    _check_output(name, output)
    target = _constant(name, target)
    _check_target(name, output.shape, target.shape)
    if is_plain(target) and not ((target >= 0) & (target <= 1)).all():
        raise ValueError(f"{name}: a target is not between 0 and 1; pass probabilities")
    return _apply(sigmoid_cross_entropy, output, target=target) / prod(output.shape)


def sigmoid_cross_entropy(x: Value, target: Value) -> Unary:
    """y = sum(log(1 + exp(x)) - target * x):  dx = g * (sigmoid(x) - target)."""
    if hasattr(x, "relu_and_slope"):
        positive, bit = x.relu_and_slope()
    else:
        positive, bit = np.maximum(x, 0), (x >= 0).astype(np.float64)
    exp = np.exp(x - positive * 2)                          # of -|x|: from 0 to 1
    half = 1 / (exp + 1)                                    # sigmoid(|x|)
    sigmoid = bit * (half * 2 - 1) + (1 - half)
    y = (positive + np.log(exp + 1) - x * target).sum()
    return y, lambda g, c: ((sigmoid - target) * g, c)


# ---- outputs and targets


def _check_output(loss: str, output: Any) -> None:
    if not isinstance(output, Tensor):
        raise TypeError(f"{loss}: the output is a {type(output).__name__}; "
                        "pass the Tensor that the model returned")
    if not output.ndim or not output.shape[0]:
        raise ValueError(f"{loss}: an output of shape {output.shape} has no rows to "
                         "average over; give one row per item, and at least one")


def _check_target(loss: str, output: Shape, target: Shape) -> None:
    if output != target:
        raise ValueError(f"{loss}: output {output} and target {target} differ; give "
                         "both one row per item and one column per class (one-hot "
                         "labels)")


def _constant(loss: str, target: Any) -> Value:
    """Return the value of a target that needs no gradient."""
    if isinstance(target, Tensor) and target.requires_grad:
        raise ValueError(f"{loss}: the target needs a gradient, which is not provided; "
                         "pass target.value")
    return target.value if isinstance(target, Tensor) else as_value(target, loss)


def _probabilities(target: Value, shape: Shape) -> Value:
    """Return a target of this shape: public labels become one-hot rows."""
    if not is_plain(target):
        return target
    if target.shape == shape[:1]:
        if not np.isin(target, np.arange(shape[1])).all():
            raise ValueError("cross_entropy: a label is not an integer from 0 to "
                             f"{shape[1] - 1}; the output has {shape[1]} classes")
        return np.eye(shape[1])[target.astype(int)]
    if target.shape == shape and not np.allclose(target.sum(axis=1), 1, atol=1e-6):
        raise ValueError("cross_entropy: a row of the target does not sum to 1; pass "
                         "probabilities, such as one-hot labels")
    return target
