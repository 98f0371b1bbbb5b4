"""The loss of this project."""

from .tensor import Tensor


def mse_loss(output, target):
    """Return the squared error, summed over the classes and averaged over the batch.

    ``((output - target) ** 2).sum() / n`` for an `output` of shape (n, ...), one row an item, and a
    `target` of the same shape, e.g. one-hot labels. The division is by n, not by the number of
    elements, so the value is that of the tutorial this project re-makes. The loss is refreshed,
    since it is there to be revealed: the shares that are then handed over tell only their sum.
    """
    if not isinstance(output, Tensor):
        raise TypeError(f"mse_loss: the output is a {type(output).__name__}; "
                        "pass what the model returned, a Tensor")
    target = target if isinstance(target, Tensor) else Tensor(target)
    if output.shape != target.shape:
        raise ValueError(f"mse_loss: output {output.shape} and target {target.shape} differ; "
                         "give both one row an item and one column a class (one-hot labels)")
    if not output.ndim or not output.shape[0]:
        raise ValueError(f"mse_loss: an output of shape {output.shape} has no rows to average "
                         "over; give one row an item, and at least one")
    return ((output - target) ** 2).sum().refresh() / output.shape[0]
