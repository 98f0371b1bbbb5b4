"""Draw relu.png: every message of one ReLU, drawn from the ledger of a run.

Run by scripts/pictures; needs matplotlib, which the extra `notebooks` installs.
"""

import sys
from pathlib import Path

import mpc
from mpc.course import pictures


def messages():
    """The messages of the ReLU of one secret number, without its sharing."""
    world = mpc.World(seed=1)
    x = mpc.fix_precision([1.5]).share(
        *world.workers, crypto_provider=world.crypto_provider)
    start = len(world.ledger.messages)
    mpc.relu(x.value)
    return world.ledger.messages[start:]


def draw(folder):
    """Write relu.png into `folder`."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    figure = pictures.sequence(messages(), pictures.RELU_NOTES)
    figure.savefig(Path(folder) / "relu.png", dpi=100)


if __name__ == "__main__":
    draw(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
