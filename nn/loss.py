"""The loss of this project."""

from .gradients import shape_of


def mse_loss(output, target):
    """Return the squared error, summed over the classes and averaged over the batch.

    ``((output - target) ** 2).sum() / n``: the division is by the number of rows n, not by the
    number of elements, so the value is that of the tutorial this project re-makes.

    Parameters
    ----------
    output : Tensor of shape (n, ...)
        What the network says, one row an item.
    target : Tensor or value of the shape of `output`
        What it should have said, e.g. one-hot labels.

    Returns
    -------
    Tensor of shape ()
        Refreshed, since a loss is there to be revealed: the shares that are then handed over tell
        nothing but their sum. On plain numbers the refresh does nothing.

    Raises
    ------
    ValueError
        When the shapes differ; broadcasting (n, 10) against (n,) would hide a missing one-hot.
    """
    if output.shape != shape_of(target):
        raise ValueError(f"mse_loss: output {output.shape} and target {shape_of(target)} differ; "
                         "give both one row an item and one column a class (one-hot labels)")
    return ((output - target) ** 2).sum().refresh() / output.shape[0]
