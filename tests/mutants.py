"""Every coin of every protocol, broken: the observer and the leak.

A mutant replaces one coin and leaves the code unchanged. With the coin intact, all
tables are equal. "pairs" is the table of two elements, which is also that of two calls,
since elements are independent: tied coins pass every table of a single element.
docs/COINS.md ends with this table, which

    PYTHONPATH=.:tests python -c "import mutants; print(mutants.table())"

prints.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
import view_steps as steps
from view_steps import (
    ALICE,
    BOB,
    JOINT,
    P2,
    SERVER,
    WORKER3,
    GivenOwnCoins,
    less_bits,
    outsider_varies,
)

from mpc.audit.views import Experiment

# ---------------------------------------------------------------- how a coin is broken


def always(value):
    return lambda v, coins: v * 0 + value


def shared(v, coins):
    """The second element (on the last digit axis) gets the coin of the first."""
    v = v.copy()
    v[..., 1, :] = v[..., 0, :]
    return v


def shared_row(row):
    """One party's share is the same for both elements."""
    def mutant(v, coins):
        v = v.copy()
        v[row, ..., 1, :] = v[row, ..., 0, :]
        return v
    return mutant


def row(index, value):
    """One party's share of a dealt coin has a fixed value."""
    def mutant(v, coins):
        v = v.copy()
        v[index] = value
        return v
    return mutant


def clear(f, modulus):
    """A dealt value f(v, coins) instead of a uniform one, in uniform shares."""
    def mutant(v, coins):
        value = np.asarray(f(v, coins)).astype(np.int64)
        return np.stack([v[0], (value - v[0]) % modulus])
    return mutant


def dealt_zero(modulus):
    return clear(lambda v, coins: 0 * v[1], modulus)


def dealt_half(modulus):
    return clear(lambda v, coins: v[1] // 2, modulus)


def xor_zero(v, coins):
    """A dealt bit 0, in uniform XOR shares."""
    return np.stack([v[0], v[0]])


def like(name):
    """Equal to another coin."""
    return lambda v, coins: coins[name]


def row_like(index, name, other):
    """One share equal to a share of another coin."""
    def mutant(v, coins):
        v = v.copy()
        v[index] = coins[name][other]
        return v
    return mutant


def one_for_all_bits(v, coins):
    return np.repeat(v[:, :1], v.shape[1], axis=1)


def first_bit(value):
    def mutant(v, coins):
        v = v.copy()
        v[:, 0] = value
        return v
    return mutant


# ------------------------------------------------------------------ the experiments


class Setting(NamedTuple):
    """A protocol, its free coins, and inputs that a role must not tell apart."""

    step: object
    free: list
    groups: dict
    bits: int = 2
    fixed: dict = {}
    patches: dict = {}      # ideal sub-protocols: {(module, name): function}
    workers: int = 2
    ignored: tuple = None   # `GivenOwnCoins` with these coins fixed, instead of `free`

    def experiment(self, role, coins=(), mutant=None, extra=None):
        """The view of `role`: over `free` coins or, with `ignored`, given its own."""
        coins = (coins,) if isinstance(coins, str) else coins
        options = {"bits": self.bits, "workers": self.workers, "extra": extra,
                   "mutants": dict.fromkeys(coins, mutant)}
        if self.ignored is None:
            return Experiment(self.step, self.free, fixed=self.fixed, **options)
        coalition = role if isinstance(role, tuple) else (role,)
        case = self.groups[role][0][0]
        return GivenOwnCoins(self.step, coalition, case, 1, self.ignored, **options)


class Mutant(NamedTuple):
    setting: str
    coin: object        # the name of a coin, or names of several
    how: str            # in words, for the table
    mutant: object
    roles: tuple        # each of these roles or coalitions must tell inputs apart
    learns: str
    extra: dict = {}    # further coins that the mutant uses

    @property
    def coins(self):
        return self.coin if isinstance(self.coin, str) else ", ".join(self.coin)

    @property
    def who(self):
        return ", ".join(role if isinstance(role, str) else " with ".join(role)
                         for role in self.roles)

    @property
    def id(self):
        return f"{self.setting}: {self.coins}: {self.how}"


def _compare_cases(l, deals, rs):
    return {P2: [[{"x": x, "r": r, "x_0": x_0} for r in rs] for x, x_0 in deals]}


def _two(names, role, size, own):
    """Two elements: the own shares fixed, all shares of the other worker."""
    values = list(product(range(size), repeat=2))
    return [[{name: _rows(role, *rows)
              for name, *rows in zip(names, own, other, strict=True)}
             for other in product(values, repeat=len(names))]]


def _rows(role, own, other):
    return (own, other) if role == ALICE else (other, own)


def _sum_of_d(l):
    def step(world, **inputs):
        steps.private_compare(l, check=False)(world, **inputs)
        (label, d_0, field), (_, d_1, _) = world.seen[P2][-2:]
        world.seen[P2][-2:] = [(label, field.add(d_0, d_1), field)]
    return step


def _shown(step, name):
    """The protocol, with the shares of its result shown to the provider."""
    def run(world, **inputs):
        world.gather(world.crypto_provider, **{name: step(world, **inputs)})
    return run


PRODUCT = ["multiply/a", "multiply/b", "multiply/c"]
COMPARE = ["beta", "s", "z", "turn"]
IDEAL = {("mpc.securenn", "private_compare"): steps.ideal_private_compare,
         ("mpc.securenn", "multiply"): steps.ideal_multiply}
DRELU = {("mpc.comparison", "drelu"): steps.ideal_drelu}
ALL_PAIRS = {("mpc.carry_tree", "msb"): steps.ideal_msb,
             ("mpc.carry_tree", "multiply"): steps.ideal_and}
# two of three workers who collude
FIRST, OUTER, LAST = PAIRS = [(BOB, WORKER3), (ALICE, WORKER3), (ALICE, BOB)]


def _both(groups):
    return {ALICE: groups(ALICE), BOB: groups(BOB)}


def _pairs(rows, values):
    return {pair: [outsider_varies(3, pair, rows, values)] for pair in PAIRS}


SETTINGS = {
    "sharing": Setting(steps.share_by(SERVER), ["x"],
                       {BOB: [[{"x": v} for v in range(4)]]}),
    "reveal": Setting(steps.reveal, ["zero"],
                      {SERVER: [[{"x": (a, (1 - a) % 4)} for a in range(4)]]}),
    "multiply": Setting(steps.multiply, PRODUCT, _both(lambda r: list(
        steps.splits("xy", r, (4, 4), own=[(1, 2), (3, 0)])))),
    "multiply, pairs": Setting(steps.multiply, PRODUCT, _both(lambda r: _two(
        "xy", r, 2, ((0, 1), (1, 1)))), bits=1),
    "W before and after an update": Setting(
        steps.multiply_twice, [*PRODUCT], _both(lambda r: list(
            steps.splits(("x", "x2", "y"), r, (2, 2, 2), own=[(1, 0, 1)]))), bits=1),
    "square": Setting(steps.square, ["a", "c"], _both(lambda r: list(
        steps.splits("x", r, (4,), own=[(1,), (2,)])))),
    "matmul": Setting(steps.matmul, ["a", "b", "c"], _both(lambda r: _two(
        "xy", r, 2, ((0, 1), (1, 1)))), bits=1),
    "select_share": Setting(
        _shown(steps.select_share, "z"), [*PRODUCT, "zero"],
        {P2: [[{"alpha": (1, 0), "x": x, "y": (2, 3)} for x in ((1, 0), (0, 1))]]}),
    "private_compare": Setting(
        steps.private_compare(2, check=False), COMPARE,
        _compare_cases(2, [(1, (1, 3)), (2, (0, 4)), (3, (2, 2)), (0, (4, 1)),
                           (1, (0, 0))], range(4))),
    "private_compare, three bits": Setting(
        _sum_of_d(3), ["beta", "s", "turn"],
        _compare_cases(3, [(5, (1, 3, 0)), (2, (0, 1, 4))], range(8)), bits=3),
    "private_compare, pairs": Setting(
        steps.private_compare(1, check=False), COMPARE,
        _compare_cases(1, [((0, 1), ((1, 2),)), ((0, 0), ((1, 1),))],
                       list(product(range(2), repeat=2)))),
    "private_compare, pairs of two bits": Setting(
        _sum_of_d(2), ["beta", "s", "turn"],
        _compare_cases(2, [((1, 2), ((1, 3), (0, 2)))],
                       list(product(range(4), repeat=2)))),
    "share_convert": Setting(
        steps.share_convert, ["r_0", "r_1", "eta_2", "x_bits", "delta", "eta_1"],
        _both(lambda r: list(steps.splits("a", r, (4,))))),
    "share_convert, provider": Setting(
        steps.share_convert, ["r_0", "r_1", "eta_2", "s", "z", "turn"],
        {P2: [steps.every("a", (4,))]},
        fixed={"x_bits": [[2, 4]]}),
    "share_convert, pairs": Setting(
        steps.share_convert, ["x_bits", "delta", "eta_1"],
        {BOB: _two("a", BOB, 4, ((1, 2),))}, fixed={"r_0": 1, "r_1": 2}),
    "share_convert, pairs, provider": Setting(
        steps.share_convert, ["r_0", "r_1", "eta_2"],
        {P2: [[{"a": (o, p)}
               for o in product(range(4), repeat=2) for p in ((1, 2), (0, 3))]]},
        patches=IDEAL),
    "share_convert with its result": Setting(
        _shown(steps.share_convert, "y"),
        ["r_0", "r_1", "eta_2", "x_bits", "delta", "eta_1", "zero"],
        {P2: [[{"a": (a, (1 - a) % 4)} for a in range(4)]]}, patches=IDEAL),
    "compute_msb": Setting(
        steps.compute_msb,
        ["compute_msb/beta", "compute_msb/x", "x_bits", "x_lsb", "beta_1", "product"],
        _both(lambda r: list(steps.splits("a", r, (3,)))), patches=IDEAL),
    "compute_msb, provider": Setting(
        steps.compute_msb,
        ["compute_msb/beta", "compute_msb/s", "compute_msb/z", "turn", "compute_msb/x"],
        {P2: [steps.every("a", (3,))]}, fixed={"x_bits": [[3, 1]]}),
    "compute_msb, pairs": Setting(
        less_bits(steps.compute_msb), ["compute_msb/x", "x_lsb", "beta_1", "product"],
        _both(lambda r: [_two("a", r, 3, ((1, 2),))[0][::2]]), patches=IDEAL),
    "compute_msb, pairs, provider": Setting(
        steps.compute_msb, ["compute_msb/beta", "compute_msb/x"],
        {P2: [[{"a": ((1, 2), o)} for o in product(range(3), repeat=2)]]},
        patches=IDEAL),
    "compute_msb with its result": Setting(
        _shown(steps.compute_msb, "bit"), ["compute_msb/beta", "zero"],
        {P2: [[{"a": (0, 0)}, {"a": (1, 2)}, {"a": (2, 2)}, {"a": (0, 1)}]]},
        fixed={"compute_msb/x": [1, 1], "x_lsb": 3, "beta_1": 2, "multiply/a": [1, 2],
               "multiply/c": 3},
        patches={key: IDEAL[key] for key in [("mpc.securenn", "private_compare")]}),
    "provider's truncation": Setting(
        steps.provider_truncation(2), ["r", "r_top", "r_over_d"],
        _both(lambda r: list(steps.splits("x", r, (8,), own=[(3,)]))), bits=3),
    "provider's truncation, pairs": Setting(
        steps.provider_truncation(1), ["r", "r_top", "r_over_d"],
        _both(lambda r: [_two("x", r, 4, ((1, 2),))[0][::3]])),
    "carry tree, masked opening": Setting(
        steps.masked_bits, ["r", "r_bits"],
        _both(lambda r: list(steps.splits("x", r, (4,), own=[(3,)])))),
    "carry tree, masked opening, pairs": Setting(
        steps.masked_pair, ["r", "r_bits"],
        _both(lambda r: [_two("x", r, 4, ((1, 2),))[0][::3]])),
    "carry tree, node": Setting(
        steps.bits_and, ["a", "b", "c"],
        _both(lambda r: [
            [{"x": _rows(r, [1], [p]), "y": _rows(r, [[0], [1]], [[g], [q]])}
             for p, g, q in product(range(2), repeat=3)]])),
    "carry tree, bit to arithmetic": Setting(
        steps.bit_to_arithmetic, ["bit_to_arithmetic/b"],
        _both(lambda r: list(steps.splits("x", r, (2,))))),
    "drelu as a whole": Setting(
        less_bits(steps.drelu), JOINT,
        {P2: [steps.every("a", (4,))[::3]],
         **_both(lambda r: list(steps.splits("a", r, (4,), own=[(1,), (2,)])))},
        patches=IDEAL),
    "drelu on three bits": Setting(
        less_bits(steps.drelu), [], {BOB: [[{"a": (a, 5)} for a in (1, 3, 4, 6)]]},
        bits=3, patches=IDEAL, ignored=("s", "z", "turn", "zero", "x_bits")),
    "relu": Setting(
        steps.relu, ["bit", *PRODUCT], _both(lambda r: list(
            steps.splits("a", r, (4,), own=[(1,), (2,)]))), patches=DRELU),
    "equality": Setting(
        steps.equal, ["bit", *PRODUCT], _both(lambda r: list(
            steps.splits("xy", r, (4, 4), own=[(1, 3)]))), patches=DRELU),
    # the carry tree's ANDs, and the first maximum
    "AND of three bits": Setting(
        steps.and_all, PRODUCT, _both(lambda r: [
            [{"x": _rows(r, (1, 0, 1), other)}
             for other in product(range(2), repeat=3)]])),
    "first of three maxima": Setting(
        steps.all_pairs, [], {ALICE: [steps.some_candidates(2, (ALICE,))]}, ignored=()),
    "first of three maxima, signs and ANDs ideal": Setting(
        steps.all_pairs, [], _both(lambda r: [steps.some_candidates(2, (r,))]),
        ignored=(), patches=ALL_PAIRS),
    # three workers: two who collude, or one who is shown a result
    "multiply, three workers": Setting(
        steps.multiply, [], {
            pair: [[{**x, **y} for x, y in product(
                outsider_varies(3, pair, (1, 2, 3), range(4)),
                outsider_varies(3, pair, (3, 0, 2), range(4), "y"))]]
            for pair in PAIRS}, workers=3, ignored=()),
    "multiply, three workers, opened": Setting(
        steps.product_opened, PRODUCT, {ALICE: [
            [{"x": (1, *x), "y": (0, *y)}
             for x, y in product(product(range(2), repeat=2), repeat=2)
             if (1 + sum(x)) * sum(y) % 2 == 0]]}, bits=1, workers=3),
    "reveal, three workers": Setting(
        steps.reveal, [], {
            (SERVER, ALICE): [[{"x": x} for x in [(1, 0, 2), (1, 1, 1), (1, 3, 3)]]],
            (SERVER, BOB): [[{"x": x} for x in [(0, 1, 2), (1, 1, 1), (3, 1, 3)]]],
            (SERVER, WORKER3): [[{"x": x} for x in [(0, 2, 1), (1, 1, 1), (3, 3, 1)]]]},
        workers=3, ignored=()),
    "provider's truncation, three workers": Setting(
        steps.provider_truncation(2), [], _pairs((1, 3, 2), range(8)), bits=3,
        workers=3, ignored=()),
    "carry tree, masked opening, three workers": Setting(
        steps.masked_bits, [], _pairs((1, 3, 2), range(4)), workers=3, ignored=()),
    "carry tree, top bit, three workers": Setting(
        steps.tree_msb, [], _pairs((1, 3, 2), range(8)), bits=3, workers=3, ignored=()),
    "equality by masks, three workers": Setting(
        steps.is_zero, [], _pairs((1, 3, 2), range(4)), workers=3, ignored=()),
}


# ------------------------------------------------------------------ the mutants

BOTH = (ALICE, BOB)
NO_SHARE = "alice's share is 0"
SAME_SHARE = "alice's share is the same for two elements"
MUTANTS = [
    Mutant("sharing", "x", "the mask is 0", always(0), (BOB,), "the value"),
    Mutant("sharing", "x", "half its range", lambda v, c: v // 2, (BOB,),
           "part of the value"),
    Mutant("reveal", "zero", "no fresh sharing of zero", always(0), (SERVER,),
           "both workers' shares"),
    # products
    Mutant("multiply", "multiply/a", "a = 0", dealt_zero(4), BOTH, "x"),
    Mutant("multiply", "multiply/b", "b = 0", dealt_zero(4), BOTH, "y"),
    Mutant("multiply", "multiply/a", "half its range", dealt_half(4), BOTH,
           "part of x"),
    Mutant("multiply", "multiply/a", "even values only",
           clear(lambda v, c: v[1] // 2 * 2, 4), BOTH, "the parity of x"),
    Mutant("multiply", "multiply/b", "b = a", like("multiply/a"), BOTH, "x - y"),
    Mutant("multiply", "multiply/a", NO_SHARE, row(0, 0), (BOB,), "x"),
    Mutant("multiply", "multiply/a", "bob's share is 0", row(1, 0), (ALICE,), "x"),
    Mutant("multiply", "multiply/b", NO_SHARE, row(0, 0), (BOB,), "y"),
    Mutant("multiply", "multiply/b", "bob's share is 0", row(1, 0), (ALICE,), "y"),
    Mutant("multiply", "multiply/b", "alice's share is that of a",
           row_like(0, "multiply/a", 0), (BOB,), "a relation between x and y"),
    Mutant("multiply", "multiply/c", NO_SHARE, always(0), (BOB,),
           "a b, so x y with the opened values"),
    Mutant("multiply", "multiply/c", "alice's share is that of a",
           row_like(0, "multiply/a", 0), (BOB,), "a relation between the masks"),
    Mutant("multiply, pairs", "multiply/a", "one mask for two elements", shared, BOTH,
           "x - x'"),
    Mutant("multiply, pairs", "multiply/b", "one mask for two elements", shared, BOTH,
           "y - y'"),
    Mutant("multiply, pairs", "multiply/b", SAME_SHARE, shared_row(0), (BOB,),
           "a relation between y and y'"),
    Mutant("multiply, pairs", "multiply/c", SAME_SHARE, shared, (BOB,),
           "a relation between the products"),
    Mutant("W before and after an update", "multiply/a#2", "the mask of W reused",
           like("multiply/a"), BOTH, "the update"),
    Mutant("W before and after an update", "multiply/c#2", "alice's share reused",
           like("multiply/c"), (BOB,), "a relation between the products"),
    Mutant("multiply, pairs", ("multiply/a", "multiply/b", "multiply/c"),
           "a whole triple used twice", shared, BOTH, "differences of both operands"),
    Mutant("multiply", ("multiply/a", "multiply/b"), "a triple of zeros", dealt_zero(4),
           BOTH, "both operands"),
    Mutant("square", "a", "a = 0", dealt_zero(4), BOTH, "x"),
    Mutant("square", "a", "half its range", dealt_half(4), BOTH, "part of x"),
    Mutant("square", "a", NO_SHARE, row(0, 0), (BOB,), "x"),
    Mutant("square", "c", NO_SHARE, always(0), (BOB,), "a^2, so x up to its sign"),
    Mutant("matmul", "a", "one mask for all entries", shared, BOTH,
           "differences of entries"),
    Mutant("matmul", "b", "one mask for all entries",
           lambda v, c: np.repeat(v[:, :1], 2, axis=1), BOTH, "differences of entries"),
    Mutant("select_share", "zero",
           "no fresh sharing of zero, result shown to the provider", always(0), (P2,),
           "the input shares"),
    # private_compare
    Mutant("private_compare", "beta", "beta = 0", always(0), (P2,), "x > r"),
    Mutant("private_compare", "beta", "beta = 1", always(1), (P2,), "x > r"),
    Mutant("private_compare", "s", "s = 1", always(1), (P2,), "r"),
    Mutant("private_compare", "s", "one s for all bits", one_for_all_bits, (P2,),
           "part of r"),
    Mutant("private_compare", "s", "s is 1 or -1",
           lambda v, c: np.where(v % 2 == 0, 4, 1), (P2,), "part of r"),
    Mutant("private_compare", "s", "s may be 0", lambda v, c: v - 1, (P2,),
           "part of r"),
    Mutant("private_compare", "s", "s = 1 in one place", first_bit(1), (P2,),
           "part of r"),
    Mutant("private_compare", "z", "no fresh sharing of zero", always(0), (P2,),
           "r, from the shares it dealt"),
    Mutant("private_compare", "z", "one z for all bits", one_for_all_bits, (P2,),
           "part of r"),
    Mutant("private_compare", "z", "z = 0 in one place", first_bit(0), (P2,),
           "part of r"),
    Mutant("private_compare", "z", "z is never 0", lambda v, c: np.where(v == 0, 1, v),
           (P2,), "part of r"),
    Mutant("private_compare", "z", "z = s", like("s"), (P2,), "part of r"),
    Mutant("private_compare", "turn", "no rotation", always(0), (P2,),
           "the deciding bit's position"),
    Mutant("private_compare, three bits", "turn", "two of three rotations",
           lambda v, c: v % 2, (P2,), "part of the deciding bit's position"),
    Mutant("private_compare, pairs", "beta", "one beta for a tensor", shared, (P2,),
           "which answers agree"),
    Mutant("private_compare, pairs", "s", "one s for two elements", shared, (P2,),
           "part of r and r'"),
    Mutant("private_compare, pairs", "z", "one z for two elements", shared, (P2,),
           "part of r and r'"),
    Mutant("private_compare, pairs of two bits", "turn", "one rotation for a tensor",
           shared, (P2,), "whether the same bit decides"),
    Mutant("private_compare, pairs of two bits", "s", "one s for two elements", shared,
           (P2,), "part of r and r'"),
    Mutant("private_compare, pairs of two bits", "beta", "one beta for a tensor",
           shared, (P2,), "which answers agree"),
    Mutant("private_compare, pairs of two bits", ("beta", "s", "turn"),
           "a whole comparison used twice, except z", shared, (P2,),
           "a relation between r and r'"),
    # share_convert
    Mutant("share_convert, provider", "r_0", "r_0 = 0", always(0), (P2,),
           "alice's share"),
    Mutant("share_convert, provider", "r_1", "r_1 = 0", always(0), (P2,),
           "bob's share"),
    Mutant("share_convert, provider", "r_1", "r_0 = r_1", like("share_convert/r_0"),
           (P2,), "the difference of the shares"),
    Mutant("share_convert, provider", "r_1", "r = 0 always",
           lambda v, c: -c["share_convert/r_0"] % 4, (P2,), "a"),
    Mutant("share_convert, provider", "r_0", "half its range", lambda v, c: v // 2,
           (P2,), "part of alice's share"),
    Mutant("share_convert, provider", "eta_2", "eta_2 = 0", always(0), (P2,),
           "x > r - 1"),
    Mutant("share_convert", "x_bits", NO_SHARE, always(0), (BOB,), "x, so a"),
    Mutant("share_convert", "x_bits", "one share for all bits", one_for_all_bits,
           (BOB,), "which bits agree"),
    Mutant("share_convert", "delta", NO_SHARE, always(0), (BOB,), "delta"),
    Mutant("share_convert", "eta_1", NO_SHARE, always(0), (BOB,),
           "eta_1, so x > r - 1"),
    Mutant("share_convert", "delta", "alice's share is that of eta_1",
           like("share_convert/eta_1"), (BOB,), "delta - eta_1"),
    Mutant("share_convert", "eta_1", "alice's share is eta_2",
           like("share_convert/eta_2"), (BOB,), "eta_1"),
    Mutant("share_convert", "delta", "alice's share is that of a bit",
           lambda v, c: c["share_convert/x_bits"][:, 0] % 3, (BOB,),
           "a relation between delta and x"),
    Mutant("share_convert, pairs", "x_bits", SAME_SHARE, shared, (BOB,),
           "differences of bits of x and x'"),
    Mutant("share_convert, pairs", "delta", SAME_SHARE, shared, (BOB,),
           "delta - delta'"),
    Mutant("share_convert, pairs", "eta_1", SAME_SHARE, shared, (BOB,),
           "whether the answers agree"),
    Mutant("share_convert, pairs, provider", "r_0", "one r_0 for a tensor", shared,
           (P2,), "differences of alice's shares"),
    Mutant("share_convert, pairs, provider", ("r_0", "r_1"), "one r for a tensor",
           shared, (P2,), "a - a', and differences of the shares"),
    Mutant("share_convert, pairs, provider", "eta_2", "one eta_2 for a tensor", shared,
           (P2,), "which answers agree"),
    Mutant("share_convert with its result", "zero", "no fresh sharing of zero",
           always(0), (P2,), "the shares of a, if it is shown the result's shares"),
    # compute_msb
    Mutant("compute_msb", "compute_msb/x", "x = 0", dealt_zero(3), BOTH, "a"),
    Mutant("compute_msb", "compute_msb/x", "half its range",
           clear(lambda v, c: c["coin"], 3), BOTH, "part of a", {"coin": 2}),
    Mutant("compute_msb", "compute_msb/x", "even values only",
           clear(lambda v, c: 2 * c["coin"], 3), BOTH, "part of a", {"coin": 2}),
    Mutant("compute_msb", "compute_msb/x",
           "one value too many: uniform in 0 .. 2^l - 1",
           clear(lambda v, c: c["coin"] % 3, 3), BOTH, "part of a", {"coin": 4}),
    Mutant("compute_msb", "compute_msb/x", NO_SHARE, row(0, 0), (BOB,), "a"),
    Mutant("compute_msb", "x_bits", NO_SHARE, always(0), (BOB,), "x, so a"),
    Mutant("compute_msb", "x_lsb", NO_SHARE, always(0), (BOB,), "the answer"),
    Mutant("compute_msb", "beta_1", NO_SHARE, always(0), (BOB,), "x > r"),
    Mutant("compute_msb", "product", NO_SHARE, always(0), (BOB,), "gamma delta"),
    Mutant("compute_msb", "beta_1", "alice's share is that of x_lsb",
           like("compute_msb/x_lsb"), (BOB,), "a relation between both"),
    Mutant("compute_msb", "compute_msb/x", "alice's share is that of a bit",
           lambda v, c: np.stack([c["compute_msb/x_bits"][0, 0] % 3, v[1]]), (BOB,),
           "part of a"),
    Mutant("compute_msb, provider", "compute_msb/beta", "beta = 0", always(0), (P2,),
           "x > r, so the sign"),
    Mutant("compute_msb, pairs", "compute_msb/x", "one x for a tensor", shared, BOTH,
           "differences of all secrets"),
    Mutant("compute_msb, pairs", "compute_msb/x", SAME_SHARE, shared_row(0), (BOB,),
           "a relation between two secrets"),
    Mutant("compute_msb, pairs", "x_lsb", SAME_SHARE, shared, (BOB,),
           "whether the answers agree"),
    Mutant("compute_msb, pairs", "beta_1", SAME_SHARE, shared, (BOB,),
           "whether both wrapped"),
    Mutant("compute_msb, pairs, provider", "compute_msb/beta", "one beta for a tensor",
           shared, (P2,), "which signs agree"),
    Mutant("compute_msb with its result", "zero", "no fresh sharing of zero", always(0),
           (P2,), "the earlier shares, if it is shown the result's shares"),
    # the provider's truncation
    Mutant("provider's truncation", "r", "r = 0", dealt_zero(8), BOTH, "x"),
    Mutant("provider's truncation", "r", "half its range", dealt_half(8), BOTH,
           "part of x"),
    Mutant("provider's truncation", "r", NO_SHARE, row(0, 0), (BOB,), "x"),
    Mutant("provider's truncation", "r_top", NO_SHARE, always(0), (BOB,),
           "r's top bit, so part of x"),
    Mutant("provider's truncation", "r_over_d", NO_SHARE, always(0), (BOB,),
           "r / d, so part of x"),
    Mutant("provider's truncation", "r_over_d", "alice's share is that of r_top",
           like("truncate_with_provider/r_top"), (BOB,),
           "a relation between both, so part of x"),
    Mutant("provider's truncation, pairs", "r", "one mask for two elements", shared,
           BOTH, "x - x'"),
    Mutant("provider's truncation, pairs", "r", SAME_SHARE, shared_row(0), (BOB,),
           "a relation between x and x'"),
    Mutant("provider's truncation, pairs", "r_top", SAME_SHARE, shared, (BOB,),
           "whether the top bits agree"),
    Mutant("provider's truncation, pairs", "r_over_d", SAME_SHARE, shared, (BOB,),
           "the difference of the quotients"),
    # the carry tree
    Mutant("carry tree, masked opening", "r", "r = 0", dealt_zero(4), BOTH, "x"),
    Mutant("carry tree, masked opening", "r", "half its range", dealt_half(4), BOTH,
           "part of x"),
    Mutant("carry tree, masked opening", "r", NO_SHARE, row(0, 0), (BOB,), "x"),
    Mutant("carry tree, masked opening", "r_bits", NO_SHARE, always(0), (BOB,),
           "r, so x"),
    Mutant("carry tree, masked opening", "r_bits", "one share for all bits",
           one_for_all_bits, (BOB,), "which bits of r agree"),
    Mutant("carry tree, masked opening", "r_bits", "alice's share is 0 at the top bit",
           lambda v, c: np.concatenate([v[:, :1], 0 * v[:, 1:]], axis=1), (BOB,),
           "r's top bit"),
    Mutant("carry tree, masked opening", "r_bits",
           "alice's share is the bits of her share of r",
           lambda v, c: np.stack([[c["masked_bits/r"][0] >> i & 1 for i in (0, 1)]]),
           (BOB,), "part of r"),
    Mutant("carry tree, masked opening, pairs", "r", "one mask for two elements",
           shared, BOTH, "x - x'"),
    Mutant("carry tree, masked opening, pairs", "r", SAME_SHARE, shared_row(0), (BOB,),
           "a relation between x and x'"),
    Mutant("carry tree, masked opening, pairs", "r_bits", SAME_SHARE, shared, (BOB,),
           "which bits of r and r' agree"),
    Mutant("carry tree, node", "a", "a = 0", xor_zero, BOTH, "p_hi"),
    Mutant("carry tree, node", "b", "b = 0", xor_zero, BOTH, "g_lo and p_lo"),
    Mutant("carry tree, node", "a", NO_SHARE, row(0, 0), (BOB,), "p_hi"),
    Mutant("carry tree, node", "b", NO_SHARE, row(0, 0), (BOB,), "g_lo and p_lo"),
    Mutant("carry tree, node", "c", NO_SHARE, always(0), (BOB,), "a b"),
    Mutant("carry tree, node", "b", "one mask for both partners",
           lambda v, c: np.repeat(v[:, :1], 2, axis=1), BOTH, "g_lo XOR p_lo"),
    Mutant("carry tree, node", "b", "b = a",
           lambda v, c: np.repeat(c["multiply/a"][:, None], 2, axis=1), BOTH,
           "p_hi XOR g_lo"),
    Mutant("carry tree, bit to arithmetic", "bit_to_arithmetic/b#1", "b = 0", xor_zero,
           BOTH, "the bit"),
    Mutant("carry tree, bit to arithmetic", "bit_to_arithmetic/b#1",
           "alice's XOR share is 0", row(0, 0), (BOB,), "the bit"),
    Mutant("carry tree, bit to arithmetic", "bit_to_arithmetic/b#2",
           "alice's arithmetic share is 0", always(0), (BOB,), "b, so the bit"),
    Mutant("carry tree, bit to arithmetic", "bit_to_arithmetic/b#2",
           "alice's arithmetic share is her XOR share",
           lambda v, c: c["bit_to_arithmetic/b"][:1], (BOB,), "part of b"),
    # coins tied across protocols pass every table of one; the joint table sees them
    Mutant("drelu as a whole", "eta_2", "eta_2 = beta", like("drelu/compute_msb/beta"),
           (P2,), "a relation between the two answers"),
    Mutant("drelu as a whole", "beta_1", "alice's share is that of eta_1",
           like("drelu/share_convert/eta_1"), (BOB,),
           "a relation between the two answers"),
    Mutant("drelu as a whole", "compute_msb/x", "alice's share is that of delta",
           lambda v, c: np.stack([c["drelu/share_convert/delta"][0], v[1]]), (BOB,),
           "part of a"),
    Mutant("drelu as a whole", "compute_msb/x", "the provider's x is the workers' r",
           clear(lambda v, c: (c["drelu/share_convert/r_0"][0].astype(int)
                               + c["drelu/share_convert/r_1"][0]) % 4 % 3, 3),
           (ALICE, BOB, P2), "a"),
    Mutant("drelu on three bits", "product", NO_SHARE, always(0), (BOB,),
           "gamma delta"),
    Mutant("drelu on three bits", "product", "alice's share is that of beta_1",
           lambda v, c: c["drelu/compute_msb/beta_1#1 (0,)"], (BOB,),
           "a relation between both"),
    # protocols that use a comparison
    Mutant("relu", "bit", NO_SHARE, always(0), (BOB,), "the sign"),
    Mutant("relu", "multiply/a", "a = 0", dealt_zero(4), BOTH, "the sign"),
    Mutant("relu", "multiply/b", "b = 0", dealt_zero(4), BOTH, "a"),
    Mutant("relu", "multiply/b", "b = a", like("relu/multiply/a"), BOTH,
           "a minus its sign"),
    Mutant("relu", "multiply/b", NO_SHARE, row(0, 0), (BOB,), "a"),
    Mutant("relu", "multiply/c", NO_SHARE, always(0), (BOB,), "a b, so the result"),
    Mutant("equality", "bit", "alice's share is the same in both comparisons", shared,
           (BOB,), "whether both answers agree, so equality"),
    Mutant("equality", "multiply/a", "a = 0", dealt_zero(4), BOTH, "x >= y"),
    Mutant("equality", "multiply/b", "b = a", like("equal/multiply/a"), BOTH,
           "equality"),
    Mutant("equality", "multiply/b", NO_SHARE, row(0, 0), (BOB,), "y >= x"),
    Mutant("equality", "multiply/c", NO_SHARE, always(0), (BOB,), "a b, so the result"),
    # the carry tree's ANDs, and the first maximum
    Mutant("AND of three bits", "multiply/a#1", "a = 0", xor_zero, BOTH, "a bit"),
    Mutant("AND of three bits", "multiply/a#2", "a of the first level reused",
           like("and_all/multiply/a"), BOTH, "a relation between two levels"),
    Mutant("AND of three bits", "multiply/b#2", NO_SHARE, row(0, 0), (BOB,), "a bit"),
    Mutant("AND of three bits", "multiply/c#1", NO_SHARE, always(0), (BOB,), "a b"),
    Mutant("first of three maxima", "masked_bits/r", "one mask for two pairs", shared,
           (ALICE,), "differences of differences"),
    Mutant("first of three maxima", "multiply/a",
           "one mask for the first and the last candidate",
           lambda v, c: v[:, :, [0, 1, 0]], (ALICE,), "whether two signs agree"),
    Mutant("first of three maxima", "bit_to_arithmetic/b#1",
           "one bit for two candidates", shared, (ALICE,),
           "whether one of them is the first maximum"),
    Mutant("first of three maxima, signs and ANDs ideal", "bit_to_arithmetic/b#1",
           "b = 0", xor_zero, BOTH, "the position"),
    Mutant("first of three maxima, signs and ANDs ideal", "bit_to_arithmetic/b#2",
           "alice's share is the same for two candidates", shared, (BOB,),
           "whether one of them is the first maximum"),
    Mutant("first of three maxima, signs and ANDs ideal", "and", NO_SHARE, always(0),
           (BOB,), "the position"),
    # three workers
    Mutant("multiply, three workers", "multiply/a", NO_SHARE, row(0, 0), (FIRST,), "x"),
    Mutant("multiply, three workers", "multiply/b", "bob's share is 0", row(1, 0),
           (OUTER,), "y"),
    Mutant("multiply, three workers", "multiply/a", "worker3's share is 0", row(2, 0),
           (LAST,), "x"),
    Mutant("multiply, three workers", "multiply/c", NO_SHARE, row(0, 0), (FIRST,),
           "a b, so x y with the opened values"),
    Mutant("multiply, three workers", "multiply/c", "bob's share is 0", row(1, 0),
           (OUTER,), "a b, so x y with the opened values"),
    Mutant("multiply, three workers, opened", "multiply/c", "bob's share is 0",
           row(1, 0), (ALICE,), "a b, as soon as the product is opened"),
    Mutant("reveal, three workers", "zero", "alice's and bob's coin is 0", row(0, 0),
           ((SERVER, WORKER3),), "alice's and bob's shares"),
    Mutant("reveal, three workers", "zero", "alice's and worker3's coin is 0",
           row(1, 0), ((SERVER, BOB),), "alice's and worker3's shares"),
    Mutant("reveal, three workers", "zero", "bob's and worker3's coin is 0", row(2, 0),
           ((SERVER, ALICE),), "bob's and worker3's shares"),
    Mutant("provider's truncation, three workers", "r", NO_SHARE, row(0, 0), (FIRST,),
           "x"),
    Mutant("provider's truncation, three workers", "r", "worker3's share is 0",
           row(2, 0), (LAST,), "x"),
    Mutant("provider's truncation, three workers", "r_top", NO_SHARE, row(0, 0),
           (FIRST,), "r's top bit, so part of x"),
    Mutant("provider's truncation, three workers", "r_over_d", "bob's share is 0",
           row(1, 0), (OUTER,), "r / d, so part of x"),
    Mutant("carry tree, masked opening, three workers", "r", "bob's share is 0",
           row(1, 0), (OUTER,), "x"),
    Mutant("carry tree, masked opening, three workers", "r_bits", NO_SHARE, row(0, 0),
           (FIRST,), "r, so x"),
    Mutant("carry tree, top bit, three workers", "multiply/b", NO_SHARE, row(0, 0),
           (FIRST,), "g_lo and p_lo"),
    Mutant("carry tree, top bit, three workers", "multiply/c", "bob's share is 0",
           row(1, 0), (OUTER,), "a b"),
    Mutant("equality by masks, three workers", "bit_to_arithmetic/b#1",
           "worker3's XOR share is 0", row(2, 0), (LAST,), "equality"),
    Mutant("equality by masks, three workers", "bit_to_arithmetic/b#2",
           "alice's arithmetic share is 0", row(0, 0), (FIRST,), "b, so equality"),
]


def table():
    """The mutants as a table in Markdown."""
    lines = ["| protocol | coin | broken how | observer | leak |",
             "| --- | --- | --- | --- | --- |"]
    for m in MUTANTS:
        lines.append(f"| {m.setting} | {m.coins} | {m.how} | {m.who} | {m.learns} |")
    return "\n".join(lines)

