"""The command ``python -m mpc.train_mnist``: options in, a report out."""

from __future__ import annotations

import functools
import statistics
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import nullcontext

from data.idx import MOST_ITEMS
from mpc.limbs import keep_large_blocks
from mpc.train_mnist import console, preprocess
from mpc.train_mnist.checkpoint import check_folder
from mpc.train_mnist.options import check_options, flag, is_server, parser
from mpc.train_mnist.range_checks import noise_multiplier
from mpc.train_mnist.save import reserved, write_model
from mpc.train_mnist.training import Net, Run, train
from mpc.transport.mpi import as_role

REVEALED = (
    ("loss", "loss of a training batch", "losses of training batches"),
    ("count", "count of correctly classified test items",
     "counts of correctly classified test items"),
    ("model", "tensor of trained parameters", "tensors of trained parameters"))


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
    yield ("No worker received any of these. A worker that did would also learn how "
           "the last truncation rounded (the rounding bit in docs/SECURITY.md).")


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
    """Train as `options` say, or deal for such a run.

    Returns the exit status: 0, or 2 if the model could not be saved at its place.
    """
    problem = (check_options(options) or check_items(options)
               or check_folder(options))
    if problem:
        raise ValueError(problem)
    keep_large_blocks()
    if options.deal:
        preprocess.deal(options)
        return 0
    with preprocess.one_line_for_changed_files(options):
        return train_and_report(options)


def train_and_report(options: Namespace) -> int:
    """Train, save and print the result; returns the exit status."""
    log, world = functools.partial(print, flush=True), None
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
