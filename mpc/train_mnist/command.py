"""The command ``python -m mpc.train_mnist``: options in, a report out."""

from __future__ import annotations

import functools
import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np

import nn
from data.idx import MOST_ITEMS
from mpc.ledger import Messages
from mpc.limbs import keep_large_blocks
from mpc.program import World
from mpc.train_mnist import console
from mpc.train_mnist.arithmetics import ARITHMETICS
from mpc.train_mnist.checkpoint import (
    Checkpoints,
    NoCheckpoints,
    check_folder,
    folder_of,
)
from mpc.train_mnist.options import (
    FEWEST,
    check_options,
    flag,
    is_server,
    parser,
    reveals_loss,
)
from mpc.train_mnist.range_checks import (
    losses_in_range,
    noise_multiplier,
    out_of_range,
)
from mpc.train_mnist.save import reserved, write_model
from mpc.train_mnist.training import (
    Net,
    count_correct,
    gradient_descent,
    make_step,
    private_batches,
    private_step,
)
from mpc.transport.handshake import meet
from mpc.transport.mpi import as_role

REVEALED = (
    ("loss", "loss of a training batch", "losses of training batches"),
    ("count", "count of correctly classified test items",
     "counts of correctly classified test items"),
    ("model", "tensor of trained parameters", "tensors of trained parameters"))


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


def report(run: Run, options: Namespace) -> Iterator[str]:
    """The lines after training: accuracy, time, cost, and the revealed values."""
    yield ""
    if options.dp:
        yield from privacy_report(options)
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
    if batch:           # a resumed run may have nothing left to train
        yield f"Rounds per batch: {ledger.cost(run.batch_messages).rounds}"
    for role in world.roles if batch else ():
        online = sum(m.nbytes for m in batch if m.src == role and not m.offline)
        offline = sum(m.nbytes for m in batch if m.src == role and m.offline)
        yield (f"Bytes per batch sent by {role}: {online:,}"
               + f" and {offline:,} offline" * bool(offline))
    yield "Revealed, to the server alone:"
    for name, one, more in REVEALED:
        n = run.resumed.get(name, 0) + sum(
            count for (path, *what, _), count in ledger.totals.messages.items()
            if path.split("/")[0] == f"reveal {name}"
            and what == ["revealed", str(world.workers[0]), str(world.server)])
        yield f"  {n:>5}  {one if n == 1 else more}"
    known = "Known to everybody: the shapes, the hyper-parameters"
    if options.initial_weights == "provider" and not options.reproducible:
        yield f"{known} and the number of steps."
        yield "Known to the crypto provider alone: the initial weights."
    else:
        yield (f"{known}, the number of steps and, since --seed is public, the initial "
               "weights.")
    if world.seals:
        yield world.seals.report()
    yield ("No worker received any of these; a worker that receives such a value also "
           "learns an inequality about the digits that its last truncation cut off.")


def privacy_report(options: Namespace) -> Iterator[str]:
    """What the model tells about a training item, and who must not collude."""
    from mpc.privacy.accountant import spent  # SciPy, only where it is used

    sigma = noise_multiplier(options)
    budget = spent(sigma, options.epochs, options.dp_delta)
    yield f"Spent for each training item: {budget}"
    yield f"  {budget.replacing()}"
    shared = options.arithmetic == "shared"
    yield (f"Noise: {sigma:.4g} times the clipping bound {options.dp_clip:g}, " + (
        "in the clear, so the party that trains could subtract it" if not shared else
        "from every worker: one that keeps its own to itself is enough"
        if options.dp_noise_by == "workers" else
        "dealt by the crypto provider, which must not collude with the server"))
    yield ("Not covered: test items, whose counts are exact, and choosing options by "
           "looking at private items")
    if options.reproducible:
        yield "--reproducible: everybody can subtract the noise; nothing is private"


def main(argv: Sequence[str] = ()) -> int:
    """The command, in one process or as one role of several; returns the exit status.

    `argv` are its arguments, by default none: a notebook's ``sys.argv`` is not ours.
    """
    return as_role(functools.partial(command, argv), speakers=("server",))


def command(argv: Sequence[str]) -> int:
    """Parse and run; exit status 0, or 2 after a one-line error about the input."""
    options = parser().parse_args(list(argv))
    return console.exit_status("train_mnist", functools.partial(run, options))


def check_items(options: Namespace) -> str | None:
    """Why no files have so many items, in one line, or None."""
    for name in ("train_items", "test_items"):
        if getattr(options, name) > MOST_ITEMS:
            return (f"{flag(name)} {getattr(options, name)}: files hold at most "
                    f"{MOST_ITEMS:,} items; take fewer")
    return None


def run(options: Namespace) -> int:
    """Train as `options` say, save, and print the result.

    Returns the exit status: 0, or 2 if the model could not be saved at its place.
    """
    problem = (check_options(options) or check_items(options)
               or check_folder(options))
    if problem:
        raise ValueError(problem)
    keep_large_blocks()
    log, world = functools.partial(print, flush=True), None
    if options.deal or options.preprocess:
        from mpc.train_mnist import preprocess  # it imports this module
    if options.deal:
        preprocess.deal(options, log)
        return 0
    saves, status = options.save is not None and is_server(options), 0
    with reserved(options.save, Net()) if saves else nullcontext() as draft:
        if options.preprocess:
            world = preprocess.prepared_world(options, log)
            if world is None:
                return 0
        done = train(options, log, world, console.progress)
        if draft:
            try:
                write_model(draft, done.model, options.save)
            except OSError as error:        # the report is still worth reading
                print(f"train_mnist: {error}", file=sys.stderr)
                status = 2
    if done.world:
        done.world.finish()
    for line in report(done, options):
        print(line)
    if options.ledger and done.world:
        print("", done.world.ledger.table(done.batch_messages), sep="\n")
    if saves and not status:
        print(f"Model written to {options.save}")
    return status
