"""The options of ``python -m mpc.train_mnist``, and what makes them unusable together."""

import argparse
import functools
import math

from mpc.train_mnist import save
from mpc.encoding import as_fraction, digit_base
from mpc.transport.mpi import launched
from mpc.ring import Z2k, raw_limit

# Left out, these get their defaults behind the parser: by then it is known which were given.
DEFAULTS = {"workers": 2, "comparison": None, "truncation": None, "products": "beaver",
            "ring_bits": 64, "ledger": False, "precision_fractional": 3, "base": 10,
            "reproducible": False, "checked": False, "world": None}     # None: as its own text says
WITHOUT_EFFECT = {"shared": (), "float": tuple(DEFAULTS),
                  "fixed": ("workers", "comparison", "truncation", "products", "ring_bits",
                            "ledger", "checked", "world")}
PRIVATE = "data_dir", "save", "ledger", "world"     # may differ from role to role

# Local truncation of x fails with probability |x| / 2^l (`mpc.truncation`). Over all that a batch
# of 64 truncates, with three decimal digits, 64 bits and a learning rate of 1 / n, this adds up to
# less than:
FAILURES = 5e-9
FURTHER = 4         # times as much if lr is no fraction 1 / n: an update is truncated more often
ROOM = 200          # the size of a number up to which the truncation of a product is to succeed


class Parser(argparse.ArgumentParser):
    """A parser whose errors take one line, and who refuses what would have no effect.

    Options named in `hidden` are not in its help.
    """

    def __init__(self, *args, hidden=(), **options):
        self.hidden = hidden
        super().__init__(*args, **options)

    def add_argument(self, *names, **how):
        if any(name in self.hidden for name in names):
            how["help"] = argparse.SUPPRESS
        return super().add_argument(*names, **how)

    def parse_args(self, args=None, namespace=None):
        options = super().parse_args(args, namespace)
        for name, default in DEFAULTS.items():
            if getattr(options, name) is None:
                setattr(options, name, default)
            elif name in WITHOUT_EFFECT[options.arithmetic]:
                self.error(f"--{name.replace('_', '-')} has no effect with --arithmetic "
                           f"{options.arithmetic}; leave one of them out")
        if options.truncation is None:
            options.truncation = "local" if options.workers == 2 else "provider"
        try:
            options.world = options.world or ("mpi" if launched() else "simulation")
        except ValueError as error:
            self.error(str(error))
        return options

    def error(self, message):
        name = self.prog.rpartition(".")[2]
        self.exit(2, f"{name}: {message}; --help lists the options\n")


def number(kind, what, least, most=float("inf")):
    """A type for argparse: a `kind` of number from `least` to `most`."""
    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None
        if not least <= value <= most or value == float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is out of range; take {what} from {least:g} "
                                             + ("up" if most == float("inf") else f"to {most:g}"))
        return value
    return parse


def path_name(text):
    """A type for argparse: the name of a file or folder."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty; give one, or leave the option out")
    return text


def parser(command="train_mnist", hidden=()):
    """All options; the defaults are those of the tutorial. The help leaves out the `hidden` ones.
    """
    p = Parser(prog=f"python -m mpc.{command}", description=DESCRIPTION, epilog=EXAMPLE,
               formatter_class=argparse.RawDescriptionHelpFormatter, hidden=hidden)
    whole = functools.partial(number, int, "a whole number")
    p.add_argument("--epochs", type=whole(1), default=10, metavar="N",
                   help="how many times to go through the training items (default 10)")
    p.add_argument("--train-items", type=whole(1), default=640, metavar="N",
                   help="how many of the first training items to use (default 640)")
    p.add_argument("--test-items", type=whole(1), default=640, metavar="N",
                   help="how many of the first test items to use (default 640)")
    p.add_argument("--batch-size", type=whole(1), default=64, metavar="N",
                   help="training items in one step of gradient descent (default 64)")
    p.add_argument("--lr", type=number(float, "a number", 1e-6, 10), default=0.02,
                   help="learning rate, 1e-6 to 10 (default 0.02)")
    p.add_argument("--activation", choices=("relu", "square"), default="relu",
                   help="what follows each hidden layer (default relu); training with square needs "
                   "no comparison")
    p.add_argument("--seed", type=whole(0), default=1, metavar="N",
                   help="what the initial weights are drawn from (default 1); it is public, so "
                   "everybody knows them until the first update")
    p.add_argument("--log-interval", type=whole(1), default=1, metavar="N",
                   help="reveal and print the loss of every N-th batch only (default 1)")
    p.add_argument("--arithmetic", choices=tuple(WITHOUT_EFFECT), default="shared",
                   help="secret shares (default), or for comparison fixed-point or floating-point "
                   "numbers in the clear")
    p.add_argument("--precision-fractional", type=whole(1), metavar="N",
                   help="fractional digits of a fixed-point number (default 3)")
    p.add_argument("--base", type=int, choices=(10, 2), help="base of these digits (default 10)")
    p.add_argument("--workers", type=whole(2), metavar="N",
                   help="number of workers, who own the data and compute on the shares (default 2)")
    p.add_argument("--comparison", choices=("securenn", "carry-tree"),
                   help="how the signs of secrets are found: securenn (default for two workers, "
                   "and for two only), or carry-tree (default for more), which sends less and "
                   "where the provider only deals ahead")
    p.add_argument("--truncation", choices=("local", "provider"),
                   help="how products are scaled down: local (default for two workers, and for two "
                   "only), without a message, or provider (default for more), in one round, where "
                   "no value in range ever fails")
    p.add_argument("--products", choices=("beaver", "three"),
                   help="how the largest matrix products are computed: beaver (default), or three, "
                   "with three local products in place of its five (two workers only)")
    p.add_argument("--ring-bits", type=whole(8, 64), metavar="L",
                   help="compute in the integers mod 2^L (default 64); with --truncation provider "
                   "44 is enough, sends less and takes half the floating-point products")
    p.add_argument("--data-dir", type=path_name, metavar="DIR",
                   help="the folder of the four MNIST files (default: what the environment "
                   "variable MNIST_DIR says, or else the digits that come with the package)")
    p.add_argument("--stream", action="store_true",
                   help="share each batch when its turn comes instead of all beforehand: for data "
                   "that do not fit into memory (a batch is then masked anew in every epoch)")
    p.add_argument("--save", type=path_name, metavar="MODEL.npz",
                   help="write the trained model, as the server decrypted it, to this file")
    p.add_argument("--ledger", action="store_true", default=None,
                   help="print where one training batch spends its rounds and bytes")
    p.add_argument("--reproducible", action="store_true", default=None,
                   help="derive all masks from --seed too, so that a run can be repeated; for "
                   "lessons only, since whoever knows the seed then knows every secret")
    p.add_argument("--checked", action="store_true", default=None,
                   help="compare every operation with the same one on plain numbers, and stop "
                   "where a number leaves its range; simulation only, for lessons and testing")
    p.add_argument("--world", choices=("simulation", "mpi"),
                   help="where the roles live: all in this process, or each in a process of MPI "
                   "(default: mpi if mpiexec started this process)")
    return p


DESCRIPTION = """\
Train a neural network on handwritten digits that nobody sees: pictures, labels and weights are
secret-shared among workers. All parties run in this one process, to be looked at; started by
mpiexec, each in a process of its own."""
EXAMPLE = """\
example: three workers, one short epoch, and what a batch costs:
  python -m mpc.train_mnist --workers 3 --epochs 1 --train-items 128 --ledger"""


def public(options):
    """The options that all roles must have alike, as a dict."""
    return {name: value for name, value in vars(options).items() if name not in PRIVATE}


def is_server(options):
    """Does the server, who prints and saves, live in this process?"""
    return options.world == "simulation" or not launched() or launched()[0] == 0


def check_options(options):
    """What makes `options` unusable together, in one line, or None."""
    shared = options.arithmetic == "shared"
    problem = options.save is not None and is_server(options) and save.unfit_place(options.save)
    if problem:
        return problem
    if options.world == "mpi" and not launched():
        return (f"--world mpi: no launcher of MPI started this process; start mpiexec "
                f"-n {options.workers + 2} python -m mpc.train_mnist")
    if options.world == "simulation" and launched() and launched()[1] > 1:
        return (f"--world simulation: a launcher started {launched()[1]} processes, and each would "
                "play all roles; start it without mpiexec, or leave --world out")
    if options.world == "mpi" and not shared:
        return (f"--arithmetic {options.arithmetic}: one process is enough where nothing is "
                "shared; start it without mpiexec")
    if options.world == "mpi" and options.checked:
        return ("--checked: the comparison needs all shares in one process; leave it out, or start "
                "the command without mpiexec")
    for option, of_two in (("comparison", "securenn"), ("truncation", "local"),
                           ("products", "three")):
        if options.workers > 2 and getattr(options, option) == of_two:
            return (f"--{option} {of_two}: a protocol of two workers, wrong for {options.workers}; "
                    "leave it out or take --workers 2")
    for name, items in (("train", options.train_items), ("test", options.test_items)):
        if shared and items < options.workers:
            return (f"--{name}-items {items}: each of the {options.workers} workers owns one item "
                    f"or more; take {options.workers} or more")
    return check_range(options) if options.arithmetic != "float" else None


def truncates_locally(options):
    """Are products scaled down without a message?"""
    return options.arithmetic == "shared" and options.truncation == "local"


def weight_scale(options):
    """How many times finer than numbers the weights are kept, so that updates need no truncation.

    Worth it where truncation is a message. The error of an output reaches a weight times 2 lr /
    batch size, rounded to one part in `finer`: as fine as other numbers are, or as the ring has
    room for. A whole multiple of it, so that no numerator takes room, and no coarser than the unit.
    From a sixth of an output's error on, accuracy suffers: better not finer at all.
    """
    rates = [as_fraction(options.lr) * as_fraction(2 / n) for n in _batch_sizes(options)]
    if options.arithmetic != "shared" or truncates_locally(options) or min(rates) < 1e-9:
        return 1
    unit, step = _unit(options), math.lcm(*(rate.denominator for rate in rates))
    most = min(int(unit / min(rates)),
               int(raw_limit(Z2k(options.ring_bits))) // (unit**2 * _room(options)))
    most = most // step * step
    return most if most >= unit and most * min(rates) >= min(6, unit) else 1


def _unit(options):
    return options.base ** options.precision_fractional


def _batch_sizes(options):
    """The size of a batch, and of the last one if it is smaller."""
    whole, rest = divmod(options.train_items, options.batch_size)
    return [options.batch_size] * bool(whole) + [rest] * bool(rest)


def _room(options):
    """How large numbers become: the loss is a sum over a batch, a product in three is doubled."""
    return max(ROOM, 2 * options.batch_size) * (1 + (options.products == "three"))


def check_range(options):
    """What makes the ring too small for the digits of a number, in one line, or None."""
    local, simple = truncates_locally(options), as_fraction(options.lr).numerator == 1
    passes = sum(-(-n // options.batch_size) for n in (options.train_items, options.test_items))

    def problem(digits):
        unit, ring = options.base**digits, Z2k(options.ring_bits)
        size = unit * (unit if simple else digit_base(unit)) * _room(options)
        if size >= raw_limit(ring):
            return f"products need {math.ceil(math.log2(size / raw_limit(Z2k(2)))) + 2} bits"
        failures = (options.epochs * passes * FAILURES * max(options.batch_size, 8) / 64
                    * (unit / 1000) ** 2 * (1 if simple else FURTHER)
                    * 2.0 ** (64 - options.ring_bits))
        if local and failures > 1 / 1000:
            often = f"one of {round(1 / failures)} runs" if failures < 0.6 else "every run"
            return f"local truncation would ruin a product in {often}"
        return None

    digits = options.precision_fractional
    found = problem(digits)
    if not found:
        return None
    fewer = next((d for d in range(digits - 1, 0, -1) if not problem(d)), None)
    remedies = [f"{fewer} or fewer digits"] * (fewer is not None) + ["more bits"] * (
        options.ring_bits < 64) + [
        "--truncation provider, which has no such failures"] * (local and "ruin" in found)
    return (f"--precision-fractional {digits} in base {options.base}, --ring-bits "
            f"{options.ring_bits}: {found}; take {', or '.join(remedies)}")
