"""Every step keeps a contract: a docstring in four lines, and the price that it names."""

import inspect
import re
import sys
from types import ModuleType

import numpy as np
import pytest

import mpc
from helpers import common, give
from mpc import World
from mpc.ring import Bits, Z2kMinus1, Zm, prime_above
from mpc.securenn import CompareCoins
from price import TABLE_1, paid, promised, table_1

# Exported functions that are no steps: helpers, and those that take the step which the World says.
HELPERS = {"concatenate", "fix_precision", "run_threads"}
CHOICES = {"drelu": ["securenn.drelu", "carry_tree.drelu"],
           "truncate": ["truncation.truncate_locally", "truncation.truncate_with_provider"]}


def all_steps():
    """{"module.step": function}: whatever `mpc.ledger.step` has wrapped in its `run`."""
    modules = [sys.modules[name] for name in sorted(sys.modules) if name.startswith("mpc.")]
    return {f"{m.__name__.removeprefix('mpc.')}.{name}": f for m in modules
            for name, f in vars(m).items() if inspect.isfunction(f) and f.__module__ == m.__name__
            and f.__code__ is mpc.refresh.__code__}


STEPS = all_steps()


def zeros(world, *shapes, ring=None):
    return [give(world, np.zeros(shape), ring) for shape in shapes]


def compare_arguments(*shape):
    def arguments(world):
        l = world.ring.bits
        field = Zm(prime_above(l))
        return (*zeros(world, (l, *shape), ring=field), common(world, np.zeros(shape)),
                CompareCoins.draw(world, field, l, shape))
    return arguments


TWO = [(2, "securenn")]
TREE = [(2, "carry-tree"), (3, "carry-tree")]

# step -> (its arguments, the sizes in its formulas, the Worlds that can do it)
PRICED = {
    "beaver.multiply": (lambda w: zeros(w, (4, 1), (3,)), dict(x=4, y=3, z=12), TWO + TREE),
    "beaver.matmul": (lambda w: zeros(w, (5, 2), (2, 3)), dict(x=10, y=6, z=15), TWO + TREE),
    "beaver.matmul_in_three": (lambda w: zeros(w, (5, 2), (2, 3)), dict(x=10, y=6, z=15), TWO),
    "beaver.square": (lambda w: zeros(w, (2, 3)), dict(x=6), TWO + TREE),
    "beaver.refresh": (lambda w: zeros(w, (2, 3)), {}, TWO + TREE),
    "truncation.truncate_locally": (lambda w: (*zeros(w, (2, 3)), 7), {}, TWO),
    "truncation.truncate_with_provider": (lambda w: (*zeros(w, (2, 3)), 7), dict(n=6), TWO + TREE),
    "securenn.select_share": (lambda w: zeros(w, (7,), (7,), (7,)), dict(n=7), TWO),
    "securenn.private_compare": (compare_arguments(7), dict(n=7), TWO),
    "securenn.share_convert": (lambda w: zeros(w, (7,)), dict(n=7), TWO),
    "securenn.compute_msb": (lambda w: (*zeros(w, (7,), ring=Z2kMinus1(w.ring.bits)), w.ring), dict(n=7),
                             TWO),
    "securenn.drelu": (lambda w: zeros(w, (7,)), dict(n=7), TWO),
    "carry_tree.masked_bits": (lambda w: zeros(w, (20,)), dict(n=20), TREE),
    "carry_tree.carry": (lambda w: zeros(w, (w.ring.bits, 3), (w.ring.bits, 3), ring=Bits()),
                         dict(m=3), TREE),
    "carry_tree.msb": (lambda w: zeros(w, (20,)), dict(n=20), TREE),
    "carry_tree.bit_to_arithmetic": (lambda w: (*zeros(w, (3,), ring=Bits()), 20, w.ring), dict(n=20), TREE),
    "carry_tree.drelu": (lambda w: zeros(w, (4, 5)), dict(n=20), TREE),
    "carry_tree.and_all": (lambda w: zeros(w, (w.ring.bits, 3), ring=Bits()), dict(m=3), TREE),
    "carry_tree.is_zero": (lambda w: zeros(w, (20,)), dict(n=20), TREE),
    "comparison.relu": (lambda w: zeros(w, (7,)), dict(n=7, x=7, y=7, z=7), TWO + TREE),
    "comparison.equal": (lambda w: zeros(w, (7,), (7,)), dict(n=7, x=7, y=7, z=7), TWO + TREE),
    "comparison.tournament": (lambda w: zeros(w, (3, 10)), dict(n=3, m=10), TWO + TREE),
    "comparison.all_pairs": (lambda w: zeros(w, (3, 10)), dict(n=3, m=10, q=45), TREE),
}


def sections(step):
    """{heading: text} of a numpydoc docstring."""
    parts = re.split(r"^(\w+)\n-+\n", inspect.getdoc(step), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def test_all_names_exactly_what_is_public():
    public = {name for name, value in vars(mpc).items()
              if not name.startswith("_") and not isinstance(value, ModuleType)}
    assert set(mpc.__all__) == public and len(mpc.__all__) == len(public)


def test_every_exported_function_is_a_step_or_leads_to_one():
    functions = {name for name in mpc.__all__ if inspect.isfunction(getattr(mpc, name))}
    steps = {name for name in functions if getattr(mpc, name) in STEPS.values()}
    assert functions == steps | HELPERS | set(CHOICES)
    for name, names in CHOICES.items():
        for choice in names:
            assert choice in STEPS
            assert choice.removeprefix("truncation.") in getattr(mpc, name).__doc__


def test_every_step_is_priced():
    assert set(PRICED) == set(STEPS), "a step is missing in PRICED, or a name there is no step"


@pytest.mark.parametrize("name", STEPS)
def test_the_docstring_is_a_contract(name):
    text = sections(STEPS[name])
    assert [*text][:2] == ["Parameters", "Returns"] and [*text][-1] == "Notes"
    assert re.findall(r"^(\w+):", text["Notes"], re.M) == ["Rounds", "Bytes", "Security", "Source"]
    if not name.startswith("carry_tree.masked_bits"):           # who gets or learns what
        assert re.match("The workers get |P2 learns ", inspect.getdoc(STEPS[name]))


@pytest.mark.parametrize("name", STEPS)
def test_the_docstring_names_the_parameters_of_the_signature(name):
    lines = re.findall(r"^(\w.*?) : ", sections(STEPS[name])["Parameters"], re.M)
    documented = [parameter for line in lines for parameter in line.split(", ")]
    assert documented == list(inspect.signature(STEPS[name]).parameters)


@pytest.mark.parametrize("bits", [64, 20, 5])
@pytest.mark.parametrize("name", STEPS)
def test_a_step_costs_what_its_docstring_says(name, bits):
    arguments, sizes, worlds = PRICED[name]
    for n_workers, comparison in worlds:
        world = World(n_workers, seed=1, ring_bits=bits, comparison=comparison)
        given = arguments(world)
        price = paid(world, lambda: STEPS[name](*given))
        assert price == promised(STEPS[name], world, **sizes), (n_workers, comparison)
        assert world.ledger.calls[name.split(".")[1]] == 1      # under its own name


# ---- beside the paper

# step -> (arguments for one element, sizes, the paper's bytes at l = 64 with a byte for a residue)
ONE = {
    "beaver.multiply": (lambda w: zeros(w, (), ()), {}, 40),
    "beaver.matmul": (lambda w: zeros(w, (5, 2), (2, 3)), dict(a=5, b=2, c=3), 376),
    "securenn.select_share": (lambda w: zeros(w, (), (), ()), {}, 40),
    "securenn.private_compare": (compare_arguments(), {}, 128),
    "securenn.share_convert": (lambda w: zeros(w, ()), {}, 304),
    "securenn.compute_msb": (lambda w: (*zeros(w, (), ring=Z2kMinus1(64)), w.ring), {}, 360),
    "securenn.drelu": (lambda w: zeros(w, ()), {}, 664),
    "comparison.relu": (lambda w: zeros(w, ()), {}, 704),
    "comparison.tournament": (lambda w: zeros(w, (10,)), dict(m=10), 6696),
}


@pytest.mark.parametrize("name", TABLE_1)
def test_the_bytes_are_those_of_table_1_less_what_keys_replace(name):
    world, (arguments, sizes, figure) = World(seed=1), ONE[name]
    given = arguments(world)
    _, online, offline = paid(world, lambda: STEPS[name](*given))
    paper, less = table_1(name, **sizes)
    print(f"{name}: {paper} bytes in the paper, {online + offline} here; {TABLE_1[name][2]}")
    assert (paper, online + offline) == (figure, paper - less)


def test_a_relu_sends_528_bytes_where_the_paper_sends_704():
    world = World(seed=1)
    share, = zeros(world, (100,))
    assert paid(world, lambda: mpc.relu(share)) == (9, 44_000, 8_800)
