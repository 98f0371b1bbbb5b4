"""Draw curves.png: the same training on floats, on fixed point in the clear and on secret shares.

Run by scripts/pictures; takes about 15 seconds and needs matplotlib, which the `notebooks` extra
installs. Shares find their signs by the carry tree here, which is the faster way.
"""

import sys
from pathlib import Path

from mpc import train_mnist
from mpc.course import pictures
from mpc.train_mnist.options import parser

RUNS = {"floating point": "--arithmetic float",
        "fixed point, in the clear": "--arithmetic fixed --reproducible",
        "fixed point, on secret shares": "--comparison carry-tree --reproducible"}


def losses_and_accuracies(text):
    """The loss of each batch, and the percentage of right answers after each epoch."""
    options = parser().parse_args(text.split())
    run = train_mnist.train(options, log=lambda line: None)
    return run.losses, [100 * n / options.test_items for n in run.accuracies]


def draw(folder):
    """Write curves.png into `folder`."""
    figure = pictures.training({name: losses_and_accuracies(text) for name, text in RUNS.items()})
    Path(folder).mkdir(parents=True, exist_ok=True)
    figure.savefig(Path(folder) / "curves.png", dpi=100)


if __name__ == "__main__":
    draw(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
