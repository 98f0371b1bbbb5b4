"""The command ``python -m mpc.predict``: a model and pictures in, answers out."""

from __future__ import annotations

import argparse
import functools
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

import data
import nn
from mpc.limbs import keep_large_blocks
from mpc.predict.pictures import read_pictures
from mpc.program import World
from mpc.train_mnist import console
from mpc.train_mnist.arithmetics import Shared
from mpc.train_mnist.options import (
    Parser,
    check_options,
    flag,
    parser,
    path_name,
    roles_here,
)
from mpc.train_mnist.training import Net
from mpc.transport.mpi import as_role
from mpc.world import role_names

AT_ONCE = 64        # pictures
WITHOUT_EFFECT = ("train_items", "test_items", "stream", "epochs", "batch_size", "lr",
                  "seed", "initial_weights", "arithmetic", "log_interval", "save",
                  "checkpoint", "resume", "every", "dp_epsilon", "dp_noise",
                  "dp_delta", "dp_clip", "dp_noise_by", "dp_lesson", "preprocess",
                  "deal")
DESCRIPTION = """\
Ask a trained model about pictures of digits, on secret shares. The server owns the
model and a worker the pictures; only this worker learns the answers. One process
simulates all parties; under mpiexec each party is a process of its own, and only the
owner of the pictures prints."""
EXAMPLE = """\
example: train a model, and ask it about the first test digits:
  python -m mpc.train_mnist --save model.npz
  python -m mpc.predict --model model.npz test:0-9"""


class Answers(NamedTuple):
    """The answers, and the World in which they were computed."""

    digits: list[float]     # of each picture, at its owner; NaN in other roles
    world: World
    seconds: float          # from the sharing of the model to the last answer


def ask(options: Namespace, parameters: dict[str, np.ndarray] | None,
        images: np.ndarray, world: World | None = None,
        progress: Callable = lambda text: None) -> Answers:
    """Classify `images` of the worker `options.owner` by the server's model.

    The model's `parameters` matter only where the server lives, and the `images`, bytes
    (n, 28, 28), where the owner lives. Everybody learns n, and the owner n answers.
    """
    arithmetic = Shared(options, world)
    world, owner = arithmetic.world, options.owner
    start, place = time.perf_counter(), [str(w) for w in world.workers].index(owner)
    n, = world.broadcast(owner, [len(images)], 1)
    model, digits = arithmetic.model(network(options, parameters)), []
    for first in range(0, n, AT_ONCE):
        progress(f"Asking: {first}/{n}")
        own = slice(first, min(first + AT_ONCE, n))
        pictures = arithmetic.batch(
            lambda items: data.normalise(images[items]), (784,), [(place, own)])
        answer = model(nn.Tensor(pictures)).value.argmax(-1)
        with world.ledger.step("reveal answer"):
            digits += answer.get(owner).float_precision().tolist()
    progress("")
    return Answers(digits, world, time.perf_counter() - start)


def network(options: Namespace,
            parameters: dict[str, np.ndarray] | None = None) -> nn.Module:
    """The network of the training command, with these parameters if they are given.

    Raises ValueError if it has others.
    """
    net = Net(np.random.default_rng(0), options.activation)
    due = dict(net.named_parameters())
    if parameters is None:
        return net
    for name in [*due, *(parameters.keys() - due.keys())]:
        our, their = (d[name].shape if name in d else "nothing"
                      for d in (due, parameters))
        if our != their:
            raise ValueError(f"--model {options.model}: {name} is {their}, and {our} "
                             "in the network; take a model of python -m "
                             "mpc.train_mnist")
    for name, parameter in due.items():
        parameter.value = parameters[name]
    return net


def report(answers: Answers, names: list[str], owner: str) -> Iterator[str]:
    """The lines for the owner: the answers, their cost, and who learnt what."""
    ledger = answers.world.ledger
    yield from (f"{name}: {digit:.0f}"
                for name, digit in zip(names, answers.digits, strict=True))
    yield ""
    yield f"Rounds: {ledger.cost().rounds}"
    for role in answers.world.roles:
        online, offline = (sum(n for (_, _, src, _, offline), n
                               in ledger.totals.nbytes.items()
                               if (src, offline) == (role, flag))
                           for flag in (False, True))
        yield f"Bytes sent by {role}: {online:,}" + (
            f" and {offline:,} offline" * bool(offline))
    yield f"Time: {answers.seconds:.3f} s"
    n = len(names)
    yield f"Revealed, to {owner} alone: {n} answer{'s' * (n > 1)}"
    yield "Known to everybody: the number of pictures, the shapes and the options."
    if answers.world.seals:
        yield answers.world.seals.report()


def predict_parser() -> Parser:
    """The options of the training command that matter here, and the pictures."""
    return parser("predict", DESCRIPTION, EXAMPLE, hidden=WITHOUT_EFFECT,
                  own={"model and pictures": _model_and_pictures}, rings=(64,))


def _model_and_pictures(add):
    add("--model", type=path_name, metavar="MODEL.npz",
        help="the model that --save wrote; only the server reads it")
    add("--owner", default="alice", metavar="WORKER",
        help="the worker that owns the pictures and learns the answers (default alice)")
    add("images", nargs="*", metavar="IMAGE",
        help="test:3 or test:3-7 (MNIST test digits from 0 on; also train:3), an IDX "
        "file with items (t10k-images-idx3-ubyte:3-7), a .npy (bytes, or floats from 0 "
        "to 1) or a .png, of 28 x 28, white on black; only the owner reads them")


def main(argv: Sequence[str] = ()) -> int:
    """The command, in one process or as one role of several; returns the exit status.

    Under MPI, only the owner of the pictures prints.
    """
    early = argparse.ArgumentParser(add_help=False)
    early.add_argument("--owner", default="alice", nargs="?")
    owner = early.parse_known_args(list(argv))[0].owner
    return as_role(functools.partial(command, argv), speakers=(owner,))


def command(argv: Sequence[str]) -> int:
    """Parse and run; exit status 0, or 2 after a one-line error about the input."""
    options = predict_parser().parse_args(list(argv))
    return console.exit_status("predict", functools.partial(run, options))


def run(options: Namespace) -> int:
    """Ask as `options` say and print the answers; exit status 0."""
    check(options)
    here, images = roles_here(options), np.zeros((0, 28, 28), np.uint8)
    names: list[str] = []
    due = sum(p.value.nbytes for p in network(options).parameters())
    parameters = nn.load(options.model, due + 10**6) if "server" in here else None
    network(options, parameters)        # refuses others before anything is shared
    if options.owner in here:
        names, images = read_pictures(options.images, options.data_dir)
    keep_large_blocks()
    answers = ask(options, parameters, images, progress=console.progress)
    answers.world.finish()
    if options.owner in here:
        print("\n".join(report(answers, names, options.owner)))
        if options.ledger:
            print("", answers.world.ledger.table(), sep="\n")
    return 0


def check(options: Namespace) -> None:
    """Raise ValueError for options that have no effect, are missing or do not fit."""
    default = parser().parse_args([])
    for name in WITHOUT_EFFECT:
        if getattr(options, name) != getattr(default, name):
            raise ValueError(f"{flag(name)} has no effect on an answer; leave it out")
    workers, here = role_names(options.workers)[1:-1], roles_here(options)
    if options.owner not in workers:
        raise ValueError(f"--owner {options.owner}: no worker; take one of "
                         f"{', '.join(workers)}")
    if "server" in here and not options.model:
        raise ValueError("--model is missing; name a file that python -m "
                         "mpc.train_mnist --save MODEL.npz wrote")
    if options.owner in here and not options.images:
        raise ValueError("no picture; name one, such as test:0, or a .png or .npy")
    problem = check_options(options, "predict")
    if problem:
        raise ValueError(problem)
