"""Every exported step keeps a contract: a docstring in four lines, and the price it names."""

import inspect
import re
from types import ModuleType

import numpy as np
import pytest

import mpc
from helpers import common, give
from mpc.ring import Odd, Zm, prime_above
from mpc.securenn import CompareCoins
from price import TABLE_1, paid, promised, sizes_of, table_1

NO_STEPS = {"concatenate", "fix_precision", "run_threads"}      # the other exported functions
STEPS = sorted(name for name in mpc.__all__
               if inspect.isfunction(getattr(mpc, name)) and name not in NO_STEPS)


def zeros(world, *shapes, ring=None):
    return [give(world, np.zeros(shape), ring) for shape in shapes]


def compare_arguments(world):
    l = world.ring.bits
    field = Zm(prime_above(l))
    return (*zeros(world, (l, 7), ring=field), common(world, np.zeros(7)),
            CompareCoins.draw(world, field, l, (7,)))


# step -> (its arguments, the sizes in its formulas)
PRICED = {
    "multiply": (lambda w: zeros(w, (4, 1), (3,)), dict(x=4, y=3, z=12)),
    "matmul": (lambda w: zeros(w, (5, 2), (2, 3)), dict(x=10, y=6, z=15)),
    "square": (lambda w: zeros(w, (2, 3)), dict(x=6)),
    "refresh": (lambda w: zeros(w, (2, 3)), {}),
    "truncate": (lambda w: (*zeros(w, (2, 3)), 10), {}),
    "select_share": (lambda w: zeros(w, (7,), (7,), (7,)), dict(n=7)),
    "private_compare": (compare_arguments, dict(n=7)),
    "share_convert": (lambda w: zeros(w, (7,)), dict(n=7)),
    "compute_msb": (lambda w: (*zeros(w, (7,), ring=Odd(w.ring.bits)), w.ring), dict(n=7)),
    "drelu": (lambda w: zeros(w, (7,)), dict(n=7)),
    "relu": (lambda w: zeros(w, (7,)), dict(n=7)),
    "tournament": (lambda w: zeros(w, (3, 10)), dict(n=3, m=10, levels=4)),
    "equal": (lambda w: zeros(w, (7,), (7,)), dict(n=7)),
}


def sections(protocol):
    """{heading: text} of a numpydoc docstring."""
    parts = re.split(r"^(\w+)\n-+\n", inspect.getdoc(protocol), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def test_all_names_exactly_what_is_public():
    public = {name for name, value in vars(mpc).items()
              if not name.startswith("_") and not isinstance(value, ModuleType)}
    assert set(mpc.__all__) == public and len(mpc.__all__) == len(public)


def test_every_exported_step_is_priced():
    assert set(PRICED) == set(STEPS), "a step of mpc is missing here, or a name that is no step"


@pytest.mark.parametrize("name", STEPS)
def test_a_step_carries_its_name_in_the_ledger(name):
    world = mpc.World(seed=1)
    getattr(mpc, name)(*PRICED[name][0](world))
    assert world.ledger.calls[name] == 1


@pytest.mark.parametrize("name", STEPS)
def test_the_docstring_is_a_contract(name):
    protocol = getattr(mpc, name)
    text = sections(protocol)
    assert [*text][:2] == ["Parameters", "Returns"] and "Notes" in text
    assert re.findall(r"^(\w+):", text["Notes"], re.M) == ["Rounds", "Bytes", "Security", "Source"]
    assert re.match("The workers get |P2 learns ", inspect.getdoc(protocol))    # who learns what


@pytest.mark.parametrize("name", STEPS)
def test_the_docstring_names_the_parameters_of_the_signature(name):
    lines = re.findall(r"^(\w.*?) : ", sections(getattr(mpc, name))["Parameters"], re.M)
    documented = [parameter for line in lines for parameter in line.split(", ")]
    assert documented == list(inspect.signature(getattr(mpc, name)).parameters)


@pytest.mark.parametrize("bits", [64, 20, 5])
@pytest.mark.parametrize("name", STEPS)
def test_a_step_costs_what_its_docstring_says(name, bits):
    world = mpc.World(seed=1, ring_bits=bits)
    arguments, sizes = PRICED[name]
    arguments = arguments(world)
    assert paid(world, lambda: getattr(mpc, name)(*arguments)) == \
        promised(getattr(mpc, name), **sizes_of(world, **sizes))


# ---- beside the paper

# step -> (arguments for one element, sizes, the paper's bytes at l = 64 with a byte for a residue)
ONE = {
    "multiply": (lambda w: zeros(w, (), ()), dict(x=1, y=1, z=1), 40),
    "matmul": (lambda w: zeros(w, (5, 2), (2, 3)), dict(x=10, y=6, z=15, a=5, b=2, c=3), 376),
    "select_share": (lambda w: zeros(w, (), (), ()), dict(n=1), 40),
    "private_compare": (compare_arguments, dict(n=1), 128),
    "share_convert": (lambda w: zeros(w, ()), dict(n=1), 304),
    "compute_msb": (lambda w: (*zeros(w, (), ring=Odd(64)), w.ring), dict(n=1), 360),
    "drelu": (lambda w: zeros(w, ()), dict(n=1), 664),
    "relu": (lambda w: zeros(w, ()), dict(n=1), 704),
    "tournament": (lambda w: zeros(w, (10,)), dict(n=1, m=10, levels=4), 6696),
}


@pytest.mark.parametrize("name", TABLE_1)
def test_the_bytes_are_those_of_table_1_less_what_keys_replace(name):
    world = mpc.World(seed=1)
    _, sizes, figure = ONE[name]
    paper, less = table_1(name, **sizes_of(world, **sizes))
    _, online, offline = promised(getattr(mpc, name), **sizes_of(world, **sizes))
    print(f"{name}: {paper} bytes in the paper, {online + offline} here; {TABLE_1[name][2]}")
    assert (paper, online + offline) == (figure, paper - less)


def test_a_relu_sends_528_bytes_where_the_paper_sends_704():
    world = mpc.World(seed=1)
    share, = zeros(world, (100,))
    assert paid(world, lambda: mpc.relu(share)) == (9, 44_000, 8_800)
