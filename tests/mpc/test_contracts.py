"""Every protocol has a contract, and costs the promised price."""

import inspect
from types import ModuleType

import numpy as np
import pytest
from helpers import common, give
from price import (
    COLUMNS,
    DRELU,
    TABLE_1,
    evaluate,
    paid,
    promised,
    protocols,
    table_1,
)

import mpc
from mpc import World, truncation
from mpc.ring import Bits, Z2kMinus1, Zm, prime_above
from mpc.securenn import CompareCoins

# Exported functions without a contract: helpers, and the World's choice of a protocol.
HELPERS = {"concatenate", "fix_precision", "make_world", "run_threads"}
CHOICES = {"drelu": DRELU.values(),
           "truncate": [truncation.truncate_locally, truncation.truncate_with_provider]}
PROTOCOLS = protocols()


def zeros(world, *shapes, ring=None):
    return [give(world, np.zeros(shape), ring) for shape in shapes]


def of_each_bit(count):
    """`count` shares of as many rows of packed bits as the ring has bits."""
    return lambda world: zeros(world, *[(world.ring.bits, 3)] * count, ring=Bits())


def shares(*shapes):
    return lambda world: zeros(world, *shapes)


def compare_arguments(*shape):
    def arguments(world):
        l = world.ring.bits
        field = Zm(prime_above(l))
        return (*zeros(world, (l, *shape), ring=field), common(world, np.zeros(shape)),
                CompareCoins.draw(world, field, l, shape))
    return arguments


def msb_arguments(*shape):
    return lambda world: (*zeros(world, shape, ring=Z2kMinus1(world.ring.bits)),
                          world.ring)


TWO = [(2, "securenn")]
TREE = [(2, "carry-tree"), (3, "carry-tree")]

# protocol -> (its arguments, the sizes in its formulas, the Worlds that can do it)
PRICED = {
    "beaver.multiply": (shares((4, 1), (3,)), {"x": 4, "y": 3, "z": 12}, TWO + TREE),
    "beaver.matmul": (shares((5, 2), (2, 3)), {"x": 10, "y": 6, "z": 15}, TWO + TREE),
    "beaver.open_all": (shares((4, 1), (3,)), {"x": 4, "y": 3}, TWO + TREE),
    "beaver.refresh": (shares((2, 3)), {}, TWO + TREE),
    "truncation.truncate_locally": (lambda w: (*zeros(w, (2, 3)), 7), {}, TWO),
    "truncation.truncate_with_provider":
        (lambda w: (*zeros(w, (2, 3)), 3), {"n": 6}, TWO + TREE),
    "securenn.select_share": (shares((7,), (7,), (7,)), {"n": 7}, TWO + TREE),
    "securenn.private_compare": (compare_arguments(7), {"n": 7}, TWO),
    "securenn.share_convert": (shares((7,)), {"n": 7}, TWO),
    "securenn.compute_msb": (msb_arguments(7), {"n": 7}, TWO),
    "securenn.drelu": (shares((7,)), {"n": 7}, TWO),
    "carry_tree.carry": (of_each_bit(2), {"n": 20}, TREE),
    "carry_tree.msb": (shares((20,)), {"n": 20}, TREE),
    "carry_tree.bit_to_arithmetic":
        (lambda w: (*zeros(w, (3,), ring=Bits()), 20, w.ring), {"n": 20}, TREE),
    "carry_tree.drelu": (shares((4, 5)), {"n": 20}, TREE),
    "carry_tree.at_least": (lambda w: (*zeros(w, (4, 5)), np.arange(3)),
                            {"n": 20, "m": 3}, TREE),
    "carry_tree.and_all": (of_each_bit(1), {"n": 20}, TREE),
    "carry_tree.is_zero": (shares((20,)), {"n": 20}, TREE),
    "comparison.relu": (shares((7,)), {"n": 7}, TWO + TREE),
    "comparison.equal": (shares((7,), (7,)), {"n": 7}, TWO + TREE),
    "comparison.tournament": (shares((3, 10)), {"n": 3, "m": 10}, TWO + TREE),
    "sorting.shuffle_rows": (shares((3, 5, 2)), {"n": 30, "m": 15}, TWO + TREE),
    "comparison.all_pairs": (shares((3, 10)), {"n": 3, "m": 10}, TREE),
}


def test_all_lists_exactly_the_public_names():
    public = {name for name, value in vars(mpc).items()
              if not name.startswith("_") and not isinstance(value, ModuleType)}
    assert set(mpc.__all__) == public and len(mpc.__all__) == len(public)


def test_every_exported_function_has_a_contract_or_leads_to_one_that_has():
    functions = {name for name in mpc.__all__ if inspect.isfunction(getattr(mpc, name))}
    declared = {name for name in functions if getattr(mpc, name) in PROTOCOLS.values()}
    assert functions == declared | HELPERS | set(CHOICES)
    for name, choices in CHOICES.items():
        for choice in choices:
            assert choice in PROTOCOLS.values()
            assert choice.__name__ in getattr(mpc, name).__doc__


def test_every_protocol_is_priced():
    assert set(PRICED) == set(PROTOCOLS), "a protocol is missing in PRICED"


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_contract_names_security_source_and_the_case_of_every_comparison(name):
    contract = PROTOCOLS[name].contract
    assert contract.secure and contract.source and PROTOCOLS[name].__doc__
    for column in COLUMNS:
        formula = getattr(contract, column)
        if isinstance(formula, dict):
            assert list(formula) == list(DRELU)


@pytest.mark.parametrize("ring_bits", [64, 48, 20, 6, 5, 4])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_costs_the_price_of_its_contract(name, ring_bits):
    arguments, sizes, worlds = PRICED[name]
    for n_workers, comparison in worlds:
        world = World(n_workers, seed=1, ring_bits=ring_bits, comparison=comparison)
        given = arguments(world)
        price = paid(world, lambda given=given: PROTOCOLS[name](*given))
        due = promised(PROTOCOLS[name], world, **sizes)
        assert price == due, (n_workers, comparison)
        assert world.ledger.calls[name.split(".")[1]] == 1      # under its own name


@pytest.mark.parametrize("ring_bits, low", [(64, 7), (20, 1), (20, 18), (5, 2)])
@pytest.mark.parametrize("name", ["carry_tree.msb", "carry_tree.drelu"])
def test_bits_that_are_cut_off_cost_nothing(name, ring_bits, low):
    for n_workers, comparison in TREE:
        world = World(n_workers, seed=1, ring_bits=ring_bits, comparison=comparison)
        x, = zeros(world, (20,))
        price = paid(world, lambda x=x: PROTOCOLS[name](x, low))
        assert price == promised(PROTOCOLS[name], world, n=20, l=ring_bits - low)


def test_a_formula_is_arithmetic_over_names_that_are_given():
    assert evaluate("2*(n - 1) + half(n)//2", {"n": 5, "half": lambda n: n / 2}) == 9
    for text in ("n**2", "n.bits", "[n]", "n if n else 1", "'n'", "f(n=1)",
                 "__import__"):
        with pytest.raises((ValueError, KeyError)):
            evaluate(text, {"n": 5, "f": int})


# ---- refusals of the decorator

REFUSED = [
    (lambda w, x: mpc.multiply(x, 3), TypeError, "multiply takes a Share, not a int"),
    (lambda w, x: mpc.relu(mpc.fix_precision([1.0])), TypeError,
     "relu takes a Share, not a FixedPoint; of a FixedPoint pass .value"),
    (lambda w, x: mpc.select_share(x, x, y=np.ones(3)), TypeError,
     r"select_share takes a Share, not a ndarray; .* use plus\(\), times\(\)"),
    (lambda w, x: mpc.multiply(x, give(World(seed=1), [1, 2, 3])), ValueError,
     "multiply: shares of two Worlds do not meet; share both in one"),
    (lambda w, x: mpc.equal(x, give(w, [1, 2, 3], Zm(67))), ValueError,
     r"equal: rings Z_2\^64 and Z_67; convert one first"),
    (lambda w, x: mpc.relu(give(w, [1, 2, 3], Zm(67))), ValueError,
     r"relu: Z_67 is the wrong ring; take one over Z_2\^l"),
    (lambda w, x: mpc.carry_tree.and_all(x), ValueError,
     r"and_all: Z_2\^64 is the wrong ring; pack the bits first"),
    (lambda w, x: mpc.share_convert(give(World(3, seed=1), [1])), ValueError,
     "share_convert: a protocol of two workers, not 3; make the World with two, or "
     "with the carry tree"),
]


@pytest.mark.parametrize("call, kind, message", REFUSED,
                         ids=[m[:20] for *_, m in REFUSED])
def test_operands_that_do_not_fit_are_refused_with_a_remedy(world, call, kind, message):
    with pytest.raises(kind, match=message):
        call(world, give(world, [1, 2, 3]))
    assert world.ledger.path == ""


# ---- beside the paper

# protocol -> (arguments for one element, sizes, the paper's bytes at l = 64 with a byte
# for a residue)
ONE = {
    "beaver.multiply": (shares((), ()), {}, 40),
    "beaver.matmul": (shares((5, 2), (2, 3)), {"a": 5, "b": 2, "c": 3}, 376),
    "securenn.select_share": (shares((), (), ()), {}, 40),
    "securenn.private_compare": (compare_arguments(), {}, 128),
    "securenn.share_convert": (shares(()), {}, 304),
    "securenn.compute_msb": (msb_arguments(), {}, 360),
    "securenn.drelu": (shares(()), {}, 664),
    "comparison.relu": (shares(()), {}, 704),
    "comparison.tournament": (shares((10,)), {"m": 10}, 6696),
}


@pytest.mark.parametrize("name", TABLE_1)
def test_the_bytes_are_those_of_table_1_less_the_shares_that_keys_replace(name):
    world, (arguments, sizes, figure) = World(seed=1), ONE[name]
    given = arguments(world)
    _, online, offline = paid(world, lambda: PROTOCOLS[name](*given))
    paper, less = table_1(name, **sizes)
    print(f"{name}: {paper} bytes in the paper, {online + offline} here; "
          f"{TABLE_1[name][2]}")
    assert (paper, online + offline) == (figure, paper - less)


def test_a_relu_sends_528_bytes_where_the_paper_sends_704():
    world = World(seed=1)
    share, = zeros(world, (100,))
    assert paid(world, lambda: mpc.relu(share)) == (9, 44_000, 8_800)
