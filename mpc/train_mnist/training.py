"""The network, its training loop and its test, for any of the three arithmetics."""

import functools
import sys
import time
from typing import NamedTuple

import numpy as np

import data
import nn
from mpc.train_mnist.arithmetics import ARITHMETICS


class Net(nn.Module):
    """784-128-64-10, fully connected. `rng` draws the weights first, then the biases."""

    def __init__(self, rng=None, activation="relu"):
        rng = np.random.default_rng() if rng is None else rng
        sizes = (784, 128), (128, 64), (64, 10)
        self.fc1, self.fc2, self.fc3 = layers = [nn.Linear(m, n) for m, n in sizes]
        for parameters in ([layer.weight for layer in layers], [layer.bias for layer in layers]):
            for (fan_in, _), parameter in zip(sizes, parameters):
                bound = 1 / np.sqrt(fan_in)
                parameter.value = rng.uniform(-bound, bound, parameter.shape)
        self.activation = {"relu": nn.ReLU, "square": nn.Square}[activation]()

    def forward(self, x):
        x = self.activation(self.fc1(x))
        x = self.activation(self.fc2(x))
        return self.fc3(x)


class Run(NamedTuple):
    """What a training run leaves behind."""

    model: Net              # floats at the server; NaN in a process without it
    losses: list            # of every logged batch
    accuracies: list        # correct answers after each epoch
    seconds: list           # of each batch; in a role by itself, averages up to the last logged
    world: object           # None where nothing was shared
    batch_messages: slice   # the ledger's messages of the first batch


class Stream(NamedTuple):
    """What `make` yields, made anew for every pass."""

    make: object

    def __iter__(self):
        return self.make()


def private_batches(arithmetic, split, n_items, options):
    """The (pictures, one-hot labels) of each batch, in file order, encoded and shared.

    All at once, so that a batch is shared and masked once for all epochs; with --stream each when
    its turn comes, so that memory holds one.
    """
    @functools.cache
    def load():
        return data.load_mnist(split, n_items, options.data_dir)

    def pictures(items):
        return data.normalise(load()[0][items])

    def labels(items):
        return data.one_hot(load()[1][items])

    def batches():
        owners = options.workers if arithmetic.world else 1
        for parts in data.batches(n_items, options.batch_size, owners):
            yield arithmetic.batch(pictures, (784,), parts), arithmetic.batch(labels, (10,), parts)

    return Stream(batches) if options.stream else list(batches())


def train_batch(model, optimiser, pictures, labels, rate=1):
    """One step of gradient descent; the loss, as secret as the data.

    `rate` is a part of the learning rate that goes in at the other end: the backward pass starts
    from it, so that it is in the one rounding that finer weights demand.
    """
    optimiser.zero_grad()
    loss = nn.mse_loss(model(nn.Tensor(pictures)), nn.Tensor(labels))
    loss.backward(rate)
    optimiser.step()
    return loss.value


def make_step(arithmetic, model, lr):
    """A function of pictures and labels that takes one step; `train_batch` says where `lr` goes."""
    early, late = (lr, 1) if arithmetic.weight_scale > 1 else (1, lr)
    optimiser = nn.SGD(model.parameters(), late)
    return lambda pictures, labels: train_batch(model, optimiser, pictures, labels, early)


def count_correct(arithmetic, model, batches):
    """How many test items the model gets right: the one number that is revealed."""
    hits = [(arithmetic.place(model(nn.Tensor(x)).value) * t).sum() for x, t in batches]
    return arithmetic.reveal(sum(hits[1:], hits[0]), "count")


def announced(batches, n_items, note):
    """The test `batches`; `note` is told how many of `n_items` are done, and "" at the end."""
    done = 0
    for pictures, labels in batches:
        note(f"Test set: {done}/{n_items}")
        yield pictures, labels
        done += labels.shape[0]
    note("")


OUT_OF_RANGE = ("warning: no mean of squares is like this: values have left the range of the "
                "numbers; take a smaller --lr or fewer --precision-fractional digits")


def train(options, log=print, world=None, note=lambda text: None):
    """Train and test as `options` say, and `log` as it goes; returns a `Run`.

    `world` is where the shares live, a simulation of all roles if left out. `note` is told how far
    a test is, and then "".
    """
    arithmetic = ARITHMETICS[options.arithmetic](options, world)
    world = arithmetic.world
    rng = np.random.default_rng(options.seed) if world is None or world.has(world.server) else None
    model = arithmetic.model(Net(rng, options.activation))
    batches = private_batches(arithmetic, "train", options.train_items, options)
    test_batches = private_batches(arithmetic, "test", options.test_items, options)
    step = make_step(arithmetic, model, options.lr)
    losses, counts, seconds, first, warned = [], [], [], None, False
    for epoch in range(1, options.epochs + 1):
        done, untimed, start = 0, 0, time.perf_counter()
        for i, (pictures, labels) in enumerate(batches, 1):
            mark = len(world.ledger.messages) if world else 0
            loss = step(pictures, labels)
            first = first or slice(mark, len(world.ledger.messages) if world else 0)
            done, untimed = done + labels.shape[0], untimed + 1
            logged = i % options.log_interval == 0
            if logged:
                losses.append(float(arithmetic.reveal(loss, "loss")))
            if logged or world is None or world.here == world.roles:    # or nobody waited for it
                now = time.perf_counter()
                seconds += [(now - start) / untimed] * untimed
                untimed, start = 0, now
            if logged:
                log(f"Train Epoch: {epoch} [{done}/{options.train_items} "
                    f"({100 * done / options.train_items:.0f}%)]  "
                    f"Loss: {losses[-1]:.{arithmetic.digits}f}  Time: {seconds[-1]:.3f}s")
                if not warned and not 0 <= losses[-1] <= 1e6 and losses[-1] == losses[-1]:
                    warned = True
                    print(OUT_OF_RANGE, file=sys.stderr)
        counts.append(float(count_correct(
            arithmetic, model, announced(test_batches, options.test_items, note))))
        log(f"Test set: Accuracy: {counts[-1]:.0f}/{options.test_items} "
            f"({100 * counts[-1] / options.test_items:.0f}%)")
    return Run(arithmetic.reveal_model(model), losses, counts, seconds, world, first)


