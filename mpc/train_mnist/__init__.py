"""Train the 784-128-64-10 network on secret shares: ``python -m mpc.train_mnist``.

Each worker (alice, bob, ...) owns an equal part of the pictures and labels and shares
it; the server owns the model; the crypto provider deals correlated randomness. In this
teaching command all owners read the same file, and the initial weights come from a
public seed. For comparison, the same program trains on floating-point numbers and on
fixed-point numbers in the clear, from the same weights.
"""

from mpc.train_mnist.siblings import insist

insist("mpc", "data", "nn")     # before another module of such a name is imported

from mpc.train_mnist.arithmetics import ARITHMETICS, Fixed, Float, Shared, make_world
from mpc.train_mnist.command import main, report
from mpc.train_mnist.save import save_model
from mpc.train_mnist.training import (
    Net,
    Run,
    count_correct,
    gradient_descent,
    make_step,
    private_batches,
    train,
    train_batch,
)

__all__ = [
    "ARITHMETICS", "Fixed", "Float", "Net", "Run", "Shared", "count_correct",
    "gradient_descent", "main", "make_step", "make_world", "private_batches", "report",
    "save_model", "train", "train_batch",
]
