"""Attacks on results, run on the tutorial's training.

They attack the function that a run computes, not the protocol (`mpc.audit.results`).

    >>> lab = membership()
    >>> round(lab["LiRA, public seed"].auc, 1)
    0.8
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import data
from mpc.audit import results
from mpc.audit.results import Layers, Measured
from mpc.privacy.dp_sgd import Clip, clipped_sums
from mpc.train_mnist import Net, train
from mpc.train_mnist.options import parser
from nn import Module

QUICK = "--comparison carry-tree"
ALIKE = 0.95        # the correlation of a picture that was read; averages reach 0.93
MOST = 640          # items of a run that the trap attacks
PUBLIC = 6400       # those after them are digits that the server knows


def layers_of(model: Module) -> Layers:
    """The weights and biases of a `Net`, as the attacks take them."""
    values = [parameter.value for parameter in model.parameters()]
    return list(zip(values[::2], values[1::2], strict=True))


def digits(split: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and one-hot labels as the training program prepares them."""
    images, labels = data.load_mnist(split, n)
    return data.normalise(images), data.one_hot(labels)


# ------------------------------------------------------------------ membership


def membership(n_shadows: int = 32, epochs: int = 10, public_seed: bool = True,
               n_items: int = 1280) -> dict[str, Measured]:
    """Whose digits were in the training? The loss threshold and LiRA, {name: success}.

    Trains ``n_shadows + 2`` models, each on half of the items, as the tutorial does on
    640, in float32 in the clear. Each is the target once. With a public seed the
    shadows have the initial weights of the target, and otherwise all have others.
    """
    pictures, labels = (a.astype(np.float32) for a in digits("train", n_items))
    members = results.halves(n_shadows + 2, n_items)
    seeds = [1] if public_seed else range(100, 100 + len(members))
    nets = [layers_of(Net(np.random.default_rng(seed))) for seed in seeds]
    initial = [(np.stack([w for w, _ in layer]), np.stack([b for _, b in layer]))
               for layer in zip(*nets, strict=True)]
    losses = results.shadows(pictures, labels, members, initial, epochs)
    scores = {"loss threshold": results.loss_threshold(losses),
              f"LiRA, {'public' if public_seed else 'unknown'} seed":
                  results.in_turn(losses, members, n_shadows)}
    return {name: results.measure(s, members) for name, s in scores.items()}


def private_nets(members: np.ndarray, sigma: float, epochs: int = 10,
                 batch_size: int = 160, lr: float = 1, bound: float = 1) -> list[Net]:
    """Networks, each trained privately on its `members` (models, items), in float32.

    As `--dp-noise sigma --dp-clip bound` trains from the public seed, with the clipping
    of `mpc.privacy.dp_sgd`. The noise is of NumPy's generator: for attacks alone.
    """
    pictures, labels = (a.astype(np.float32) for a in digits("train", members.shape[1]))
    rng, clip, nets = np.random.default_rng(0), Clip(bound, 1000), []
    scale, rate = np.float32(sigma * bound / 2), np.float32(2 * lr / batch_size)
    for row in members:
        net, own = Net(np.random.default_rng(1)), np.flatnonzero(row)
        net.map(lambda weights: weights.astype(np.float32))
        for first in [*range(0, len(own), batch_size)] * epochs:
            items = own[first:first + batch_size]
            sums = clipped_sums(net, pictures[items], labels[items], clip)
            for parameter, total in zip(net.parameters(), sums, strict=True):
                noise = scale * rng.standard_normal(total.shape, np.float32)
                parameter.value = parameter.value - rate * (
                    total.astype(np.float32) + noise)
        nets.append(net)
    return nets


# ------------------------------------------------------------------ a label


class Labels(NamedTuple):
    """The labels of a batch, and the guesses."""

    shown: float            # the printed loss
    guesses: np.ndarray
    labels: np.ndarray

    @property
    def right(self) -> int:
        return int((self.guesses == self.labels).sum())


def first_loss(options: str = "") -> Labels:
    """Read labels from the first loss that a run on shares prints, of 64 items.

    The attacker knows the initial weights, all pictures of the batch and 63 labels, and
    guesses the 64th label; each item is the 64th once. Coin tosses get 6.4 right.
    """
    chosen = parser().parse_args(
        [*"--train-items 64 --test-items 2 --epochs 1".split(), *options.split()])
    shown, = train(chosen, lambda line: None).losses
    pictures, labels = digits("train", 64)
    known = layers_of(Net(np.random.default_rng(chosen.seed)))
    guesses = results.read_labels(shown, known, pictures, labels)
    return Labels(shown, guesses, labels.argmax(1))


# ------------------------------------------------------------------ digits


class Trapped(NamedTuple):
    """Pictures in the update of a model, and the training items that they show."""

    items: np.ndarray           # each item once
    pictures: np.ndarray        # (items, 28, 28), as the server reads them
    correlations: np.ndarray    # with the true pictures


def trap(chosen: bool = True, options: str = QUICK) -> Trapped:
    """The server reads digits from the model of a run of one epoch on 640, on shares.

    It begins with weights that it has `chosen`, or with those of the public seed. It
    knows these weights and, at the end, the trained ones, as in every run, and nothing
    else. `Trapped` has the pictures that are nearly those of an item.
    """
    words = f"--train-items {MOST} --test-items 2 --epochs 1 --log-interval 0 {options}"
    parsed = parser().parse_args(words.split())
    net = Net(np.random.default_rng(parsed.seed))
    if chosen:
        public = digits("train", PUBLIC)[0][MOST:]
        parameters = [p for layer in results.trap(public) for p in layer]
        for parameter, value in zip(net.parameters(), parameters, strict=True):
            parameter.value = value
    before = layers_of(net)[0]
    run = train(parsed, lambda line: None, model=net)
    found = results.read_pictures(before, layers_of(run.model)[0])
    return _read(found, digits("train", MOST)[0])


def _read(found, pictures):
    """The pictures `found` that are alike to one of the true ones, best first."""
    items, alike = results.match(found, pictures)
    best = [i for i in np.argsort(-alike) if alike[i] > ALIKE]
    _, first = np.unique(items[best], return_index=True)
    kept = np.array(best, int)[np.sort(first)]
    return Trapped(items[kept], found[kept].reshape(-1, 28, 28), alike[kept])
