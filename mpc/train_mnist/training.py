"""The network, its training loop and its test, for any of the three arithmetics."""

from __future__ import annotations

import functools
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

import data
import nn
from mpc.privacy.dp_sgd import Clip, NoisyStep
from mpc.train_mnist.arithmetics import Float
from mpc.train_mnist.range_checks import noise_multiplier

SIZES = (784, 128), (128, 64), (64, 10)
ACTIVATIONS = {"relu": nn.ReLU, "square": nn.Square}


class Net(nn.Module):
    """784-128-64-10, fully connected. `rng` draws all weights, then all biases."""

    def __init__(self, rng: np.random.Generator | None = None,
                 activation: str = "relu", sizes: Sequence[tuple] = SIZES):
        rng = np.random.default_rng() if rng is None else rng
        self.fc1, self.fc2, self.fc3 = layers = [nn.Linear(m, n) for m, n in sizes]
        for parameters in ([layer.weight for layer in layers],
                           [layer.bias for layer in layers]):
            for (fan_in, _), parameter in zip(sizes, parameters, strict=True):
                bound = 1 / np.sqrt(fan_in)
                parameter.value = rng.uniform(-bound, bound, parameter.shape)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x):
        x = self.activation(self.fc1(x))
        x = self.activation(self.fc2(x))
        return self.fc3(x)


class Stream(Sequence):
    """The (pictures, one-hot labels) of each batch, shared anew in every pass."""

    def __init__(self, arithmetic: Float, split: str, options: Namespace):
        n_items = getattr(options, f"{split}_items")
        owners = options.workers if arithmetic.world else 1
        self.arithmetic = arithmetic
        self.parts = list(data.batches(n_items, options.batch_size, owners))
        self.load = functools.cache(
            lambda: data.load_mnist(split, n_items, options.data_dir))

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index) -> tuple:
        parts = self.parts[index]
        return (self.arithmetic.batch(self.pictures, (784,), parts),
                self.arithmetic.batch(self.labels, (10,), parts))

    def pictures(self, items: slice) -> np.ndarray:
        return data.normalise(self.load()[0][items])

    def labels(self, items: slice) -> np.ndarray:
        return data.one_hot(self.load()[1][items])


def private_batches(
        arithmetic: Float, split: str, options: Namespace) -> Stream | list[tuple]:
    """The batches of a split, in file order, encoded and shared.

    By default all at once, so each batch is shared and masked only once for all epochs;
    with --stream each one just before it is used, so memory holds one at a time.
    """
    stream = Stream(arithmetic, split, options)
    return stream if options.stream else list(stream)


def train_batch(model: nn.Module, optimiser: nn.SGD, pictures, labels, rate: float = 1):
    """One step of gradient descent; returns the loss, as secret as the data.

    `rate` is a factor of the learning rate with which the backward pass starts. The
    scale of each gradient then takes it up (`FixedPoint.rescaled_for`).
    """
    optimiser.zero_grad()
    loss = nn.mse_loss(model(nn.Tensor(pictures)), nn.Tensor(labels))
    loss.backward(rate)
    optimiser.step()
    return loss.value


def make_step(arithmetic: Float, model: nn.Module, lr: float) -> Callable:
    """A function of pictures and labels that takes one step and returns the loss.

    The learning rate goes into the backward pass if weights have a larger scale, so
    that their update needs no truncation; else into the update.
    """
    backward_rate, step_rate = (lr, 1) if arithmetic.weight_scale > 1 else (1, lr)
    optimiser = nn.SGD(model.parameters(), step_rate)
    return lambda pictures, labels: train_batch(
        model, optimiser, pictures, arithmetic.targets(labels), backward_rate)


def private_step(arithmetic: Float, model: nn.Module, options: Namespace) -> Callable:
    """The same with differential privacy: it returns None, since no loss is shown."""
    clip = Clip(options.dp_clip, options.base ** options.precision_fractional)
    return NoisyStep(arithmetic, model, options.lr, clip, noise_multiplier(options),
                     options.dp_noise_by == "workers")


def gradient_descent(
        step: Callable, batches: Sequence, epochs: int, done: int = 0
) -> Iterator[tuple]:
    """Train; yields (epoch, batch, loss) after every batch, counted from 1.

    Of all batches of all epochs, the first `done` were trained earlier.
    """
    for i in range(done, epochs * len(batches)):
        epoch, batch = divmod(i, len(batches))
        yield epoch + 1, batch + 1, step(*batches[batch])


def count_correct(arithmetic: Float, model: Callable, batches: Iterable) -> float:
    """The number of correctly classified test items: all that a test reveals."""
    hits = [(arithmetic.predictions(model(nn.Tensor(pictures)).value) * labels).sum()
            for pictures, labels in batches]
    return float(arithmetic.reveal(sum(hits[1:], hits[0]), "count"))
