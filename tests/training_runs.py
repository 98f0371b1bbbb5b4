"""Small runs of the training program, for its tests."""

from mpc import train_mnist
from mpc.train_mnist.options import parser

SMALL = "--train-items 10 --batch-size 4 --test-items 6 --epochs 2 --reproducible"
IN_FLOATS = SMALL.replace("--reproducible", "--arithmetic float")
PARAMETERS = {"fc1.weight": (784, 128), "fc1.bias": (128,), "fc2.weight": (128, 64),
              "fc2.bias": (64,), "fc3.weight": (64, 10), "fc3.bias": (10,)}


def options(text):
    return parser().parse_args(text.split())


def trained(text, world=None):
    """The `Run` with these options, and its lines."""
    lines = []
    return train_mnist.train(options(text), lines.append, world), lines


def command(capsys, text):
    """Exit status, output and error output of the command."""
    try:
        status = train_mnist.main(text.split())
    except SystemExit as stop:
        status = stop.code
    return status, *capsys.readouterr()
