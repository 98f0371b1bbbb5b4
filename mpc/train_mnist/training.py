"""The network, its training loop and its test, for any of the three arithmetics."""

from __future__ import annotations

import functools
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

import data
import nn
from mpc.ledger import Messages
from mpc.privacy.dp_sgd import Clip, NoisyStep
from mpc.program import World
from mpc.train_mnist.arithmetics import ARITHMETICS, Float
from mpc.train_mnist.checkpoint import Checkpoints, NoCheckpoints, folder_of
from mpc.train_mnist.options import FEWEST, reveals_loss
from mpc.train_mnist.range_checks import (
    losses_in_range,
    noise_multiplier,
    out_of_range,
)
from mpc.transport.handshake import meet

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


# ------------------------------------------------------------------ a whole run


class Run(NamedTuple):
    """The results of a training run."""

    model: nn.Module        # floats at the server; NaN in a process without it
    losses: list[float]     # of every logged batch
    accuracies: list[float]     # test items classified correctly after each epoch
    seconds: list[float]    # of each batch; see `Stopwatch`
    world: World | None     # None where nothing was shared
    batch_messages: slice   # the ledger's messages of this process's first batch
    resumed: dict[str, int] = {}    # values that earlier processes revealed, by kind


class Stopwatch:
    """Seconds of each batch; batches that nobody waited for get an average."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.start()

    def start(self) -> None:
        self._since, self._batches = time.perf_counter(), 0

    def count(self, waited: bool) -> None:
        """One more batch is done, and this process has `waited` for its messages."""
        self._batches += 1
        if waited:
            elapsed = time.perf_counter() - self._since
            self.seconds += [elapsed / self._batches] * self._batches
            self.start()


def train(options: Namespace, log: Callable = print, world: World | None = None,
          progress: Callable = lambda text: None,
          warn: Callable = lambda text: print(text, file=sys.stderr),
          model: nn.Module | None = None) -> Run:
    """Train and test as `options` say, and pass each line of output to `log`.

    The shares live in `world`, by default one that `options` describe. `progress` is
    called with the progress of each test, and with "" at its end, and `warn` once if a
    loss shows that numbers have left their range. The server may begin with a `model`
    of its own: nobody sees which weights it shares.
    """
    if model and (folder_of(options) or options.initial_weights == "provider"):
        raise ValueError("train: a model came, and a checkpoint or the crypto provider "
                         "would replace its weights; leave one of them out")
    arithmetic = ARITHMETICS[options.arithmetic](options, world)
    world = arithmetic.world
    checkpoints = NoCheckpoints()
    if world and folder_of(options):
        checkpoints = Checkpoints(options, world)
    is_told = world is None or world.has(world.server)
    generator = arithmetic.generator(options)
    model = arithmetic.model(model or Net(generator, options.activation))
    batches = private_batches(arithmetic, "train", options)
    tests = private_batches(arithmetic, "test", options)
    losses, counts = checkpoints.restore(model, {"train": batches, "test": tests})
    done, resumed = checkpoints.done, {"loss": len(losses), "count": len(counts)}

    def test():
        shown = with_progress(tests, options, world, log, progress)
        counts.append(count_correct(arithmetic, model, shown))
        log(f"Test set: Accuracy: {of_items(counts[-1], options.test_items)}")

    if done:
        log(f"Resumed after {done} batches")
        if done % len(batches) == 0:
            test()
    step = (private_step(arithmetic, model, options) if options.dp else
            make_step(arithmetic, model, options.lr))
    simulated = world is None or len(world.here) > 1
    messages = world.ledger.messages if world else Messages()
    least, most = losses_in_range(options)
    warned = not all(least <= loss <= most for loss in losses)     # before a resume
    first, watch = slice(len(messages), len(messages)), Stopwatch()
    messages.kept.append(slice(first.start, None))
    epochs = gradient_descent(step, batches, options.epochs, done)
    diverging = np.errstate(over="ignore", invalid="ignore")    # we warn
    with checkpoints.noting_interrupts(), diverging:
        for epoch, batch, loss in epochs:
            if first.stop == first.start:
                first = slice(first.start, len(messages))
                messages.kept[-1] = first
            interval = options.log_interval
            logged = interval > 0 and batch % interval == 0
            shown = logged and reveals_loss(options, batch_items(batch, options))
            if shown:
                losses.append(float(arithmetic.reveal(loss, "loss")))
            watch.count(shown or simulated)
            if logged and not shown:
                log(f"{place(epoch, batch, options)}  Loss: not revealed, since it is "
                    f"of fewer than {FEWEST} items")
            elif shown:
                log(f"{place(epoch, batch, options)}  "
                    f"Loss: {losses[-1]:.{arithmetic.digits}f}  "
                    f"Time: {watch.seconds[-1]:.3f}s")
                if is_told and not warned and not least <= losses[-1] <= most:
                    warn(out_of_range(options))
                    warned = True
            if checkpoints.after_batch(epoch, batch, losses, counts):
                watch.start()
            if batch == len(batches):
                test()
                watch.start()
    model = arithmetic.reveal_model(model)
    return Run(model, losses, counts, watch.seconds, world, first, resumed)


def batch_items(batch: int, options: Namespace) -> int:
    """The number of items of a batch, counted from 1: the last one may be smaller."""
    return min(options.batch_size,
               options.train_items - (batch - 1) * options.batch_size)


def place(epoch: int, batch: int, options: Namespace) -> str:
    """Where a batch lies in the run."""
    done = min(batch * options.batch_size, options.train_items)
    return f"Train Epoch: {epoch} [{of_items(done, options.train_items)}]"


def of_items(count: float, n_items: int) -> str:
    return f"{count:.0f}/{n_items} ({100 * count / n_items:.0f}%)"


def with_progress(batches, options: Namespace, world: World | None, log: Callable,
                  progress: Callable) -> Iterator[tuple]:
    """The test `batches`; reports to `progress`, and to the log of a long run.

    With --log-interval N, for N above 1, that is after every N-th batch. All roles meet
    there: the server, which sends and receives nothing in a test, would run ahead.
    """
    interval, n_items, done = options.log_interval, options.test_items, 0
    for batch, (pictures, labels) in enumerate(batches, 1):
        progress(f"Test set: {done}/{n_items}")
        yield pictures, labels
        done += labels.shape[0]
        if interval > 1 and batch % interval == 0:
            if world:
                meet(world, "test progress", dict.fromkeys(world.here, done))
            progress("")
            log(f"Test set: [{of_items(done, n_items)}]")
    progress("")
