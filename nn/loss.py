"""The mean squared error."""

from __future__ import annotations

from typing import Any

from .tensor import Tensor


def mse_loss(output: Tensor, target: Any) -> Tensor:
    """Return the squared error, summed over the classes and averaged over the batch.

    ``((output - target) ** 2).sum() / n`` for an `output` and a `target` of shape
    (n, ...), one row per item, such as one-hot labels. The divisor is n, not the number
    of elements, as in the tutorial that this project re-makes.
    """
    if not isinstance(output, Tensor):
        raise TypeError(f"mse_loss: the output is a {type(output).__name__}; "
                        "pass the Tensor that the model returned")
    target = target if isinstance(target, Tensor) else Tensor(target)
    if output.shape != target.shape:
        raise ValueError(f"mse_loss: output {output.shape} and target {target.shape} "
                         "differ; give both one row per item and one column per class "
                         "(one-hot labels)")
    if not output.ndim or not output.shape[0]:
        raise ValueError(f"mse_loss: an output of shape {output.shape} has no rows to "
                         "average over; give one row per item, and at least one")
    return ((output - target) ** 2).sum() / output.shape[0]
