"""The command ``python -m mpc.train_mnist``: options in, a report out."""

import functools
import statistics

from mpc.train_mnist import console
from mpc.train_mnist.options import check_options, is_server, parser
from mpc.train_mnist.save import save_model
from mpc.train_mnist.training import train
from mpc.transport.mpi import as_role


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
    problem = check_options(options)
    if problem:
        raise ValueError(problem)
    done = train(options, functools.partial(print, flush=True), note=console.note)
    if done.world:
        done.world.finish()
    for line in report(done, options):
        print(line)
    if options.ledger:
        print("", done.world.ledger.table(done.batch_messages), sep="\n")
    if options.save is not None and is_server(options):
        save_model(done.model, options.save)
        print(f"Model written to {options.save}")
    return 0
