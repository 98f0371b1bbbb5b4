"""Draw shares.png: one digit beside the two shares that alice and bob compute on.

Run by scripts/pictures; needs matplotlib, which the `notebooks` extra installs.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

import data
import mpc


def digit_and_shares(item=0):
    """A picture in [0, 1], and the two rows that it is shared in, as fractions of 2^64."""
    images, _ = data.load_mnist("train", n=item + 1)
    world = mpc.World(seed=1)
    alice, bob = world.workers
    secret = mpc.fix_precision(images[item] / 255).share(
        alice, bob, crypto_provider=world.crypto_provider, owner=alice)
    return images[item] / 255, secret.value.rows / 2.0**64


def draw(folder):
    """Write shares.png into `folder`."""
    digit, (of_alice, of_bob) = digit_and_shares()
    figure, axes = plt.subplots(1, 3, figsize=(6.6, 2.3))
    pictures = (digit, "the digit"), (of_alice, "alice's share"), (of_bob, "bob's share")
    for axis, (picture, title) in zip(axes, pictures):
        axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
        axis.set_title(title, fontsize=11)
        axis.set_axis_off()
    figure.subplots_adjust(left=0.02, right=0.98, bottom=0.03, top=0.86, wspace=0.45)
    for left, right, sign in ((0, 1, "="), (1, 2, "+")):
        x = (axes[left].get_position().x1 + axes[right].get_position().x0) / 2
        figure.text(x, 0.44, sign, ha="center", va="center", fontsize=18)
    figure.text(x, 0.28, "(mod $2^{64}$)", ha="center", va="center", fontsize=9)
    Path(folder).mkdir(parents=True, exist_ok=True)
    figure.savefig(Path(folder) / "shares.png", dpi=100)


if __name__ == "__main__":
    draw(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
