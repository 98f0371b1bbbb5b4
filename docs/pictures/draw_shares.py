"""Draw shares.png: one digit beside the two shares that alice and bob compute on.

Run by scripts/pictures; needs matplotlib, which the extra `notebooks` installs.
"""

import sys
from pathlib import Path

import data
import mpc
from mpc.course import pictures


def digit_and_shares(item=0):
    """A picture in [0, 1] and its two shares, as fractions of 2^64."""
    images, _ = data.load_mnist("train", n=item + 1)
    world = mpc.World(seed=1)
    alice, bob = world.workers
    secret = mpc.fix_precision(images[item] / 255).share(
        alice, bob, crypto_provider=world.crypto_provider, owner=alice)
    return images[item] / 255, *(secret.value.rows / 2.0**64)


def draw(folder):
    """Write shares.png into `folder`."""
    titles = "the digit", "alice's share", "bob's share"
    figure = pictures.images(
        digit_and_shares(), titles, signs="=+", note="(mod $2^{64}$)")
    Path(folder).mkdir(parents=True, exist_ok=True)
    figure.savefig(Path(folder) / "shares.png", dpi=100)


if __name__ == "__main__":
    draw(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
