"""Draw curves.png: the same training on floats, on fixed point and on secret shares.

Run by scripts/pictures; takes about 15 seconds and needs matplotlib, which the extra
`notebooks` installs. The comparison is the carry tree, which is faster.
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
    """The loss of each batch, and the accuracy in per cent after each epoch."""
    options = parser().parse_args(text.split())
    run = train_mnist.train(options, log=lambda line: None)
    return run.losses, [100 * n / options.test_items for n in run.accuracies]


def draw(folder):
    """Write curves.png into `folder`."""
    runs = {name: losses_and_accuracies(text) for name, text in RUNS.items()}
    figure = pictures.training(runs)
    Path(folder).mkdir(parents=True, exist_ok=True)
    figure.savefig(Path(folder) / "curves.png", dpi=100)


if __name__ == "__main__":
    draw(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
