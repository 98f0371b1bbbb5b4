"""Train the 784-128-64-10 MNIST network on secret shares: ``python -m mpc.train_mnist``.

The workers, alice and bob or more, each own an equal part of the pictures and labels and share it
out; the server owns the model; the crypto provider deals. In this teaching command all owners read
the same file, and the initial weights come from a public seed. The same program trains on
floating-point numbers and on fixed point in the clear, from the same weights, for comparison.
"""

import functools
import itertools
import math
import statistics
import sys
import time
from typing import NamedTuple

import numpy as np

from mpc.siblings import insist

insist("mpc", "data", "nn")     # before another module of such a name is run in their place

import data
import mpc
import nn
from mpc import console
from mpc.mpi import MpiWorld, as_role
from mpc.options import complaint, finer, parser, public, speaks
from mpc.ring import Z2k
from mpc.save import save_model


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


# ---------------------------------------------------------------------- the three arithmetics


class Float:
    """Plain float64 numbers: what the others are measured against."""

    world = None
    finer = 1       # times that a weight is finer than another number
    digits = 6      # decimals of a loss that are worth printing

    def __init__(self, options, world=None):
        pass

    def model(self, model):
        return model

    def batch(self, load, shape, parts):
        return load(slice(parts[0][1].start, parts[-1][1].stop))

    def reveal(self, value, what):
        return np.asarray(value)

    def reveal_model(self, model):
        return model

    def place(self, output):
        """The largest output of each row as a one-hot row."""
        return np.eye(output.shape[-1])[output.argmax(-1)]


class Fixed(Float):
    """Fixed point in the clear, with the rounding of the shared arithmetic."""

    def __init__(self, options, world=None):
        self.format = {"precision_fractional": options.precision_fractional, "base": options.base,
                       "ring": Z2k(options.ring_bits)}
        self.digits = math.ceil(options.precision_fractional * math.log10(options.base))
        self.seeds = (f"{options.seed}/{i}" if options.reproducible else None
                      for i in itertools.count())     # coins of its own for every value encoded

    def encode(self, numbers, finer=1):
        return mpc.fix_precision(numbers, rounding_seed=next(self.seeds), finer=finer,
                                 **self.format)

    def model(self, model):
        """Fixed-point parameters; the weights as much finer as their updates want them."""
        return model.map(lambda p: self.encode(p, self.finer if p.ndim > 1 else 1))

    def batch(self, load, shape, parts):
        return self.encode(super().batch(load, shape, parts))

    def reveal(self, value, what):
        return value.get().float_precision()

    def reveal_model(self, model):
        return model.get().float_precision()

    def place(self, output):
        return output.argmax(-1, one_hot=True)


def make_world(options):
    """The World that `options` ask for: a simulation, or this process's role under MPI."""
    how = {"seed": options.seed if options.reproducible else None, "ring_bits": options.ring_bits,
           "comparison": options.comparison, "truncation": options.truncation,
           "products": options.products}
    if options.world == "mpi":
        return MpiWorld(options.workers, public=public(options), **how)
    return mpc.World(options.workers, checked=options.checked, **how)


class Shared(Fixed):
    """Fixed point on secret shares, in a World of its own or in the one that is given."""

    def __init__(self, options, world=None):
        super().__init__(options)
        self.world = world or make_world(options)
        self.finer = finer(options)

    def _share(self, value, **owner):
        return value.share(*self.world.workers, crypto_provider=self.world.crypto_provider, **owner)

    def model(self, model):
        with self.world.ledger.step("share model"):
            return super().model(model).map(self._share)

    def batch(self, load, shape, parts):
        """Each owner shares its part of a batch.

        In this teaching command every owner reads the same file and takes its own part of it.
        """
        shared = []
        for owner, items in parts:
            held = self.world.held(self.world.workers[owner], (items.stop - items.start, *shape),
                                   lambda items=items: load(items))
            with self.world.ledger.step("share data"):
                shared.append(self._share(self.encode(held)))
        return mpc.concatenate(shared)

    def reveal(self, value, what):
        with self.world.ledger.step(f"reveal {what}"):
            return super().reveal(value, what)

    def reveal_model(self, model):
        with self.world.ledger.step("reveal model"):
            return super().reveal_model(model)


ARITHMETICS = {"shared": Shared, "fixed": Fixed, "float": Float}


# ---------------------------------------------------------------------- training and testing


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


def descent(arithmetic, model, lr):
    """A function of pictures and labels that takes one step; `train_batch` says where `lr` goes."""
    early, late = (lr, 1) if arithmetic.finer > 1 else (1, lr)
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
    step = descent(arithmetic, model, options.lr)
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


# ---------------------------------------------------------------------- the report at the end


def report(run, options):
    """The lines printed after training: accuracy, time, cost, and what was revealed."""
    yield ""
    yield (f"Accuracy after {options.epochs} epoch{'s' * (options.epochs > 1)}: "
           f"{run.accuracies[-1]:.0f}/{options.test_items} "
           f"({100 * run.accuracies[-1] / options.test_items:.1f} %)")
    if run.seconds:
        yield (f"Time per batch: {statistics.median(run.seconds):.3f} s "
               f"(median of {len(run.seconds)})")
    if run.world is None:
        yield f"Arithmetic: {options.arithmetic}; nothing was secret"
        return
    world, ledger = run.world, run.world.ledger
    batch = ledger.messages[run.batch_messages]
    yield f"Rounds per batch: {len({m.round for m in batch if not m.offline})}"
    for role in world.roles:
        online = sum(m.nbytes for m in batch if m.src == role and not m.offline)
        offline = sum(m.nbytes for m in batch if m.src == role and m.offline)
        yield (f"Bytes per batch sent by {role}: {online:,}"
               + f" and {offline:,} ahead of time" * bool(offline))
    yield "Revealed, to the server alone:"
    for what, one, more in (
            ("loss", "loss of a training batch", "losses of training batches"),
            ("count", "count of correct test answers", "counts of correct test answers"),
            ("model", "tensor of trained parameters", "tensors of trained parameters")):
        told = {m.round for m in ledger.messages if m.path.split("/")[0] == f"reveal {what}"
                and m.dst == str(world.server) and m.name == "revealed"}
        yield f"  {len(told):>5}  {one if len(told) == 1 else more}"
    yield ("Known to everybody: the shapes, the hyper-parameters, the number of steps and, since "
           "--seed is public, the initial weights.")
    yield ("No worker was told any of these; one who is told such a value also learns an "
           "inequality about the digits that its last truncation cut off.")


# ---------------------------------------------------------------------- the command


def main(argv=()):
    """The command, in one process or as one role of several, whichever it was started as.

    `argv` are its words, none if left out: ``sys.argv`` is not read, since in a notebook it holds
    those of the kernel. Returns the exit status.
    """
    return as_role(functools.partial(command, argv), speakers=("server",))


def command(argv=()):
    """Exit status 0, or 2 after one line on what was wrong with the input."""
    return console.ending("train_mnist", functools.partial(run, parser().parse_args(list(argv))))


def run(options):
    """Train as `options` say and print how it went; exit status 0."""
    problem = complaint(options)
    if problem:
        raise ValueError(problem)
    done = train(options, functools.partial(print, flush=True), note=console.note)
    if done.world:
        done.world.finish()
    for line in report(done, options):
        print(line)
    if options.ledger:
        print("", done.world.ledger.table(done.batch_messages), sep="\n")
    if options.save is not None and speaks(options):
        save_model(done.model, options.save)
        print(f"Model written to {options.save}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
