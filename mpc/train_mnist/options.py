"""The options of ``python -m mpc.train_mnist``, and the combinations it refuses."""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Callable, Iterable

from mpc.seals import SEALS, SPARE
from mpc.train_mnist import console
from mpc.train_mnist.range_checks import check_range, suits
from mpc.train_mnist.save import check_place
from mpc.transport.mpi import launched
from mpc.world import role_names

# The parser leaves these at None to show which were given; defaults are set later.
DEFAULTS = {"workers": 2, "comparison": None, "truncation": "provider",
            "ring_bits": None,
            "ledger": False, "precision_fractional": 3, "base": 10,
            "reproducible": False, "checked": False, "world": None,
            "initial_weights": "seed",
            "security": "semi-honest", "seals": SEALS}
RINGS: tuple[int, ...] = (48, 64)  # bits: the default is the smaller ring if it suits
SEED = 1
DP = {"dp_delta": 1e-5, "dp_clip": 0.5, "dp_noise_by": "provider", "dp_lesson": False}
EVERY = 50          # batches: about four seconds
WITHOUT_EFFECT = {"shared": (), "float": tuple(DEFAULTS),
                  "fixed": ("workers", "comparison", "truncation", "ring_bits",
                            "ledger", "checked", "world", "security", "seals",
                            "initial_weights")}
FEWEST = 8          # items whose loss is revealed: that of one item is its secret
# These may differ from role to role.
LOCAL = "data_dir", "save", "ledger", "world", "model", "images"
DESCRIPTION = """\
Train a neural network on handwritten digits that nobody sees: pictures, labels and
weights are secret-shared among workers. One process simulates all parties; under
mpiexec each party is a process of its own."""
EXAMPLE = """\
example: three workers, one short epoch, and the cost of a batch:
  python -m mpc.train_mnist --workers 3 --epochs 1 --train-items 128 --ledger"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors take one line."""

    def __init__(self, **options):
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def hide(self, names: Iterable[str]) -> None:
        """Leave these options out of the help; a group without options is not shown."""
        for action in self._actions:
            if action.dest in names:
                action.help = argparse.SUPPRESS

    def error(self, message):
        name = self.prog.rpartition(".")[2]
        self.exit(2, f"{name}: {console.in_one_line(message)}; --help lists the "
                  "options\n")


class TrainingParser(Parser):
    """Adds the late defaults, and refuses options that would have no effect.

    The default ring is the first of the `rings` that suits (`suits`), or the last.
    """

    rings = RINGS

    def parse_args(self, args=None, namespace=None):
        options = super().parse_args(args, namespace)
        if options.security != "abort" and options.seals is not None:
            self.error("--seals has no effect without --security abort; leave it out")
        for name, default in DEFAULTS.items():
            if getattr(options, name) is None:
                setattr(options, name, default)
            elif name in WITHOUT_EFFECT[options.arithmetic]:
                self.error(f"{flag(name)} has no effect with --arithmetic "
                           f"{options.arithmetic}; leave one of them out")
        if options.seed is None:
            options.seed = SEED
        elif options.initial_weights == "provider" and not options.reproducible:
            self.error("--seed has no effect with --initial-weights provider; leave "
                       "one of them out")
        _differential_privacy(self, options)
        if options.ring_bits is None:
            rings = (64 - SPARE,) if options.security == "abort" else self.rings
            options.ring_bits = next(
                (bits for bits in rings if suits(options, bits)), rings[-1])
        if options.every is None:
            options.every = EVERY
        elif not (options.checkpoint or options.resume):
            self.error("--every has no effect without --checkpoint or --resume; leave "
                       "it out")
        try:
            options.world = options.world or ("mpi" if launched() else "simulation")
        except ValueError as error:
            self.error(str(error))
        return options


def _differential_privacy(parser, options):
    """Set the defaults of DP, and `dp`: is it asked for?"""
    options.dp = options.dp_epsilon is not None or options.dp_noise is not None
    if options.dp_epsilon is not None and options.dp_noise is not None:
        parser.error("--dp-epsilon and --dp-noise: one follows from the other; give "
                     "one of them")
    for name, default in DP.items():
        if getattr(options, name) is None:
            setattr(options, name, default)
        elif not options.dp:
            parser.error(f"{flag(name)} has no effect without --dp-epsilon or "
                         "--dp-noise; leave it out")
    if options.log_interval is None:
        options.log_interval = 0 if options.dp else 1


def flag(name: str) -> str:
    """The option `name` as it is typed."""
    return f"--{name.replace('_', '-')}"


def number(kind: type, description: str, least: float,
           most: float = float("inf")) -> Callable:
    """A type for argparse: a `kind` of number from `least` to `most`."""
    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {description}") from None
        if not least <= value <= most or value == float("inf"):
            limit = "up" if most == float("inf") else f"to {most:,}"
            raise argparse.ArgumentTypeError(
                f"{text} is out of range; take {description} from {least:g} {limit}")
        return value
    return parse


def path_name(text: str) -> str:
    """A type for argparse: the name of a file or folder."""
    if not text:
        raise argparse.ArgumentTypeError(
            "the name is empty; give one, or leave the option out")
    if "\0" in text:
        raise argparse.ArgumentTypeError(
            f"{text!r} has a NUL character, which no file name has; leave it out")
    return text


def parser(command: str = "train_mnist", description: str = DESCRIPTION,
           epilog: str = EXAMPLE, hidden: Iterable[str] = (),
           own: dict[str, Callable] | None = None,
           rings: tuple[int, ...] = RINGS) -> Parser:
    """All options, with the tutorial's defaults; the help omits the `hidden` ones.

    A command's `own` groups come first: {title: function of ``add_argument``}. The
    default ring is one of the `rings`, in bits.
    """
    p = TrainingParser(prog=f"python -m mpc.{command}", description=description,
                       epilog=epilog)
    p.rings = rings
    for title, add_options in {**(own or {}), **GROUPS}.items():
        add_options(p.add_argument_group(title).add_argument)
    p.hide(hidden)
    return p


def whole(least: int, most: int = 10**9) -> Callable:
    """A type for argparse: a whole number."""
    return number(int, "a whole number", least, most)


def _data(add):
    add("--train-items", type=whole(1), default=640, metavar="N",
        help="use the first N training items (default 640)")
    add("--test-items", type=whole(1), default=640, metavar="N",
        help="use the first N test items (default 640)")
    add("--data-dir", type=path_name, metavar="DIR",
        help="the folder of the four MNIST files (default: the folder in the "
        "environment variable MNIST_DIR, or the digits that come with the package)")
    add("--stream", action="store_true",
        help="share each batch just before it is used instead of all beforehand: for "
        "data that do not fit into memory (each batch is masked anew in every epoch)")


def _training(add):
    add("--epochs", type=whole(1), default=10, metavar="N",
        help="passes over the training items (default 10)")
    add("--batch-size", type=whole(1), default=64, metavar="N",
        help="training items in one step of gradient descent (default 64)")
    add("--lr", type=number(float, "a number", 1e-6, 10), default=0.02,
        help="learning rate, 1e-6 to 10 (default 0.02)")
    add("--activation", choices=("relu", "square"), default="relu",
        help="the activation of the hidden layers (default relu); training with square "
        "needs no comparison")
    add("--seed", type=whole(0, 2**64), metavar="N",
        help=f"the seed of the initial weights (default {SEED}); it is public, so "
        "everybody knows them until the first update")
    add("--initial-weights", choices=("seed", "provider"),
        help="seed (default): the server draws the initial weights from --seed; "
        "provider: the crypto provider draws them, and nobody else knows them")


def _arithmetic(add):
    add("--arithmetic", choices=tuple(WITHOUT_EFFECT), default="shared",
        help="secret shares (default), or, for comparison, fixed-point or "
        "floating-point numbers in the clear")
    add("--precision-fractional", type=whole(1, 64), metavar="N",
        help="fractional digits of a fixed-point number (default 3)")
    add("--base", type=int, choices=(10, 2),
        help="the base of these digits (default 10)")
    add("--ring-bits", type=whole(8, 64), metavar="L",
        help="compute in the integers mod 2^L: the default is 48, with outputs of a "
        "layer up to 100, or 64, if 48 bits leave no room for the digits and the "
        "learning rate or with --truncation local; with --security abort 44, which "
        "are the most")
    add("--workers", type=whole(2, 1000), metavar="N",
        help="number of workers, which own the data and compute on shares (default 2)")
    add("--security", choices=("semi-honest", "abort"),
        help="semi-honest (default): all follow the protocol; abort: workers who cheat "
        "are caught before anything is revealed, and the run ends")
    add("--seals", type=whole(1, 4), metavar="N",
        help=f"with --security abort: seals of a number, each of {SPARE} bits (default "
        f"{SEALS})")
    add("--comparison", choices=("securenn", "carry-tree"),
        help="the protocol that finds the sign of a secret: securenn (two workers "
        "only, and their default), or carry-tree (default for more), which sends less "
        "and needs the provider offline only")
    add("--truncation", choices=("local", "provider"),
        help="how products are scaled down: provider (default), without errors, or "
        "local (two workers only), the tutorial's way, without a message and with rare "
        "wrap-around errors")
    add("--reproducible", action="store_true", default=None,
        help="derive all masks from --seed too, so that a run can be repeated; for "
        "lessons only, since anyone with the seed then knows every secret")
    add("--checked", action="store_true", default=None,
        help="compare every operation with the same one on plain numbers, and stop "
        "when a number leaves its range; simulation only, for lessons and testing")


def _privacy(add):
    add("--dp-epsilon", type=number(float, "a number", 1e-3, 1e4), metavar="E",
        help="train with differential privacy: clipped gradients, and so much noise "
        "that the model says at most this about any item")
    add("--dp-noise", type=number(float, "a number", 1e-3, 1e6), metavar="S",
        help="the same by the noise itself: its deviation, as a multiple of --dp-clip")
    add("--dp-delta", type=number(float, "a number", 1e-30, 0.5), metavar="D",
        help="the probability with which the bound may fail (default "
        f"{DP['dp_delta']})")
    add("--dp-clip", type=number(float, "a number", 1e-3, 1e3), metavar="C",
        help="the longest gradient of an item; longer ones are scaled down (default "
        f"{DP['dp_clip']})")
    add("--dp-noise-by", choices=("provider", "workers"),
        help="who draws the noise: the provider (default), which must not collude with "
        "the server, or each worker, so that any of them protects the items, with more "
        "noise")
    add("--dp-lesson", action="store_true", default=None,
        help="allow --reproducible with noise: for lessons only, since anyone with the "
        "seed can subtract it")


def _output(add):
    add("--log-interval", type=whole(0), metavar="N",
        help="reveal and print the loss of every N-th batch (default 1), unless it has "
        f"fewer than {FEWEST} items; 0 reveals no loss, and is the only way with "
        "differential privacy. With N above 1, also print the progress of each test")
    add("--save", type=path_name, metavar="MODEL.npz",
        help="write the trained model, which the server receives, to this file")
    add("--ledger", action="store_true", default=None,
        help="print the rounds and bytes of each protocol in one training batch")


def _checkpoints(add):
    add("--checkpoint", type=path_name, metavar="DIR",
        help="write checkpoints to DIR, also on Ctrl-C: each role its own shares and "
        "state to a file of its own, which no other user may read")
    add("--resume", type=path_name, metavar="DIR",
        help="go on from the newest checkpoint in DIR that all roles have, and write "
        "further ones there; give the other options as before")
    add("--every", type=whole(1), metavar="N",
        help=f"write a checkpoint after every N-th batch (default {EVERY})")


def _preprocessing(add):
    add("--preprocess", nargs="?", const=True, type=path_name, metavar="DIR",
        help="let the crypto provider deal for the whole run before training starts; "
        "the workers keep its messages in memory, or read them from the files of "
        "--deal DIR, which serve one run (not with SecureNN)")
    add("--deal", type=path_name, metavar="DIR",
        help="run only the crypto provider and write a file for each other role to DIR "
        "(mode 600); give the other options as for training")


def _processes(add):
    add("--world", choices=("simulation", "mpi"),
        help="run all roles in this process, or each role in an MPI process (default: "
        "mpi if mpiexec started this process)")


GROUPS = {"data": _data, "training": _training,
          "arithmetic and protocol": _arithmetic,
          "differential privacy": _privacy, "output": _output,
          "checkpoints": _checkpoints, "preprocessing": _preprocessing,
          "processes": _processes}


def reveals_loss(options: Namespace, n_items: int) -> bool:
    """May the loss of a batch of `n_items` be revealed?

    That of few items is nearly the secret of one. With --reproducible, or in the clear,
    nothing is secret.
    """
    return (n_items >= FEWEST or options.reproducible
            or options.arithmetic != "shared")


def common_options(options: Namespace) -> dict:
    """The options that must be the same for all roles."""
    found = vars(options) | {name: bool(getattr(options, name))
                             for name in ("checkpoint", "resume")}
    if isinstance(options.preprocess, str):
        found["preprocess"] = "DIR"
    return {name: value for name, value in found.items() if name not in LOCAL}


def roles_here(options: Namespace) -> tuple[str, ...]:
    """The roles that this process plays."""
    names, place = role_names(options.workers), launched()
    if options.world == "simulation" or not place:
        return names
    return names[place[0]:][:1]


def is_server(options: Namespace) -> bool:
    """Does the server, which prints and saves, live in this process?"""
    return "server" in roles_here(options)


def check_options(options: Namespace, command: str = "train_mnist") -> str | None:
    """Why these `options` cannot be used together, in one line, or None."""
    shared, mpi = options.arithmetic == "shared", options.world == "mpi"
    place = launched()
    if options.checkpoint and options.resume:
        return ("--checkpoint and --resume: --resume DIR also writes checkpoints to "
                "DIR; give one of them")
    if (options.checkpoint or options.resume) and not shared:
        return (f"--{'checkpoint' if options.checkpoint else 'resume'}: a checkpoint "
                f"holds shares, and --arithmetic {options.arithmetic} shares nothing; "
                "leave one of them out")
    if options.save is not None and is_server(options):
        problem = check_place(options.save)
        if problem:
            return problem
    if mpi and not place:
        return ("--world mpi: no MPI launcher started this process; start mpiexec "
                f"-n {options.workers + 2} python -m mpc.{command}")
    if not mpi and place and place[1] > 1:
        return (f"--world simulation: a launcher started {place[1]} processes, and "
                "each would simulate all roles; start it without mpiexec, or leave "
                "--world out")
    if mpi and not shared:
        return (f"--arithmetic {options.arithmetic}: one process is enough where "
                "nothing is shared; start it without mpiexec")
    if mpi and options.checked:
        return ("--checked: the comparison needs all shares in one process; leave it "
                "out, or start the command without mpiexec")
    problem = check_preprocessing(options)
    if problem:
        return problem
    sealed = options.security == "abort"
    if sealed and options.ring_bits > 64 - SPARE:
        return (f"--ring-bits {options.ring_bits}: --security abort needs {SPARE} bits "
                f"of a word for seals; take {64 - SPARE} or fewer")
    if sealed and (options.checkpoint or options.resume):
        return ("--checkpoint and --resume: not with --security abort, whose seals no "
                "later run can check; leave them out")
    for name, of_two in (("comparison", "securenn"), ("truncation", "local")):
        if sealed and getattr(options, name) == of_two:
            return (f"--{name} {of_two}: not with --security abort, since its messages "
                    "cannot be sealed; leave it out")
        if options.workers > 2 and getattr(options, name) == of_two:
            return (f"--{name} {of_two}: a protocol for two workers, wrong for "
                    f"{options.workers}; leave it out or take --workers 2")
    problem = check_dp(options) if options.dp else None
    if problem:
        return problem
    for name in ("train_items", "test_items"):
        if shared and getattr(options, name) < options.workers:
            return (f"{flag(name)} {getattr(options, name)}: each of the "
                    f"{options.workers} workers owns at least one item; take "
                    f"{options.workers} or more")
    return check_range(options) if options.arithmetic != "float" else None


def check_preprocessing(options: Namespace) -> str | None:
    """Why the provider cannot deal ahead as these options say, or None."""
    name = "--deal" if options.deal else "--preprocess"
    if options.deal is None and options.preprocess is None:
        return None
    if options.deal and options.preprocess is not None:
        return "--deal and --preprocess: deal first and train later; give one of them"
    if options.arithmetic != "shared":
        return (f"{name}: --arithmetic {options.arithmetic} has no provider; leave one "
                "of them out")
    if options.checkpoint or options.resume:
        return (f"{name}: not with --checkpoint or --resume, whose runs start again "
                "with other masks; leave one of them out")
    if options.checked:
        return (f"{name}: --checked needs all roles at once; leave one of them out")
    if options.security == "semi-honest" and (
            options.comparison or ("securenn" if options.workers == 2 else "")
            ) == "securenn":
        return (f"{name}: with SecureNN the provider also works online; add "
                "--comparison carry-tree, where it works offline only")
    if options.deal and options.world == "mpi":
        return "--deal: the provider deals alone; start it without mpiexec"
    for other in ("save", "ledger"):
        if options.deal and getattr(options, other):
            return f"--{other} has no effect with --deal; leave it out"
    return None


def check_dp(options: Namespace) -> str | None:
    """Why training cannot be differentially private as these options say, or None."""
    if options.log_interval:
        return (f"--log-interval {options.log_interval}: with differential privacy no "
                "loss is shown, since it would say more than the budget allows; leave "
                "it out")
    if options.activation != "relu":
        return (f"--activation {options.activation}: squares of squares have no bound "
                "that the ring could hold; with differential privacy take relu")
    if options.truncation == "local":
        return ("--truncation local: where it fails, a long gradient looks short and "
                "would not be clipped; leave it out with differential privacy")
    if options.checkpoint or options.resume:
        return ("--checkpoint and --resume: a run and its repetition would spend more "
                "than either reports; leave them out with differential privacy")
    if options.reproducible and not options.dp_lesson:
        return ("--reproducible: whoever knows the seed can subtract the noise, and "
                "nothing would be private; leave it out, or add --dp-lesson")
    if options.dp_noise_by == "workers" and options.arithmetic != "shared":
        return (f"--dp-noise-by workers: --arithmetic {options.arithmetic} has none; "
                "leave it out")
    return None
