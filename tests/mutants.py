"""Every coin of every protocol, broken: the observer and the leak.

A mutant replaces one coin and leaves the code unchanged. With the coin intact, all
tables are equal. "pairs" is the table of two elements, which is also that of two calls,
since elements are independent: tied coins pass every table of a single element. Some
ties reveal nothing, for a reason that the mutant states: no observer is named.
docs/COINS.md ends with this table, which

    PYTHONPATH=.:tests python -c "import mutants; print(mutants.table())"

prints.
"""

from itertools import combinations, product
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
    WORKERS,
    GivenOwnCoins,
    GivenOwnShares,
    coalitions,
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


def whole(mutant):
    """Mark a mutant that computes with its own coin: it needs all values of that."""
    mutant.whole = True
    return mutant


def clear(f, modulus):
    """A dealt value f(v, coins) instead of a uniform one, in uniform shares."""
    def mutant(v, coins):
        *rows, _ = v.astype(np.int64)
        value = np.asarray(f(v, coins)).astype(np.int64)
        return np.stack([*rows, (value - sum(rows)) % modulus])
    return mutant


def dealt_zero(modulus):
    return clear(lambda v, coins: 0 * v[-1], modulus)


def dealt_half(modulus):
    return whole(clear(lambda v, coins: v[-1] // 2, modulus))


@whole
def half(v, coins):
    """A share below half of its range."""
    return v // 2


def found(coins, name):
    """The values of a coin, by the end of its label."""
    return next(v for own, v in coins.items() if f"/{own}".endswith(f"/{name}"))


def like(name):
    """Equal to another coin."""
    return lambda v, coins: np.broadcast_to(found(coins, name), v.shape)


def row_like(index, name, other):
    """One share equal to a share of another coin."""
    def mutant(v, coins):
        v = v.copy()
        v[index] = found(coins, name)[other]
        return v
    return mutant


def tied(name, index=0):
    """A worker's share equal to its share of another coin, modulo 2 if either is a bit.

    A coin follows the middle entry of a table; all entries of a table follow a coin.
    """
    def mutant(v, coins):
        v, theirs = v.copy(), found(coins, name)[index]
        if theirs.size > v[index].size:
            theirs = theirs.reshape(-1, v.shape[-1])[7]
        bit = np.uint8 in (v.dtype, theirs.dtype)
        v[index] = v[index] // 2 * 2 + theirs % 2 if bit else theirs
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


def along(axis, index=slice(None)):
    """The second element on an `axis` gets the coin, or one share, of the first."""
    def mutant(v, coins):
        v = v.copy()
        first, second = [[index, *[slice(None)] * (axis - 1), i] for i in (0, 1)]
        v[tuple(second)] = v[tuple(first)]
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
    given: type = None      # `GivenOwnCoins` or `GivenOwnShares`, instead of `free`
    ignored: tuple = ()     # hidden coins that `given` fixes

    def experiment(self, role, coins=(), mutant=None, extra=None):
        """The view of `role`: over `free` coins, or `given` its own."""
        coins = (coins,) if isinstance(coins, str) else coins
        options = {"bits": self.bits, "workers": self.workers, "extra": extra,
                   "mutants": dict.fromkeys(coins, mutant)}
        if self.given is None:
            return Experiment(self.step, self.free, fixed=self.fixed, **options)
        coalition = role if isinstance(role, tuple) else (role,)
        free = coins if getattr(mutant, "whole", False) else ()
        return self.given(self.step, coalition, 1, ignored=self.ignored, free=free,
                          **options)


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
        return self.coin if isinstance(self.coin, str) else " with ".join(self.coin)

    @property
    def who(self):
        if self.roles == tuple(coalitions(3)):
            return "every two"
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
# two of three workers who collude
FIRST, OUTER, LAST = PAIRS = [(BOB, WORKER3), (ALICE, WORKER3), (ALICE, BOB)]


def _both(groups):
    return {ALICE: groups(ALICE), BOB: groups(BOB)}


def _given(step, values, bits=3, workers=2, **rows):
    """Given a coalition's own shares: the outsider's input shares take all `values`."""
    values = list(values)
    groups = {c if workers > 2 else c[0]: [outsider_varies(workers, c, values, **rows)]
              for c in coalitions(workers)}
    return Setting(step, [], groups, bits, workers=workers, given=GivenOwnShares)


SETTINGS = {
    "sharing": Setting(steps.share_by(SERVER), ["x"],
                       {BOB: [[{"x": v} for v in range(4)]]}),
    "reveal": Setting(steps.reveal, ["zero"],
                      {SERVER: [[{"x": (a, (1 - a) % 4)} for a in range(4)]]}),
    "multiply": Setting(steps.multiply, PRODUCT, _both(lambda r: list(
        steps.splits("xy", r, (4, 4), own=[(1, 2), (3, 0)])))),
    "two openings": Setting(steps.open_all, ["a", "b"], _both(lambda r: list(
        steps.splits("xy", r, (4, 4), own=[(1, 2), (3, 0)])))),
    "multiply, pairs": Setting(steps.multiply, PRODUCT, _both(lambda r: _two(
        "xy", r, 2, ((0, 1), (1, 1)))), bits=1),
    "W before and after an update": Setting(
        steps.multiply_twice, [*PRODUCT], _both(lambda r: list(
            steps.splits(("x", "x2", "y"), r, (2, 2, 2), own=[(1, 0, 1)]))), bits=1),
    "square": Setting(steps.square, ["a", "c"], _both(lambda r: list(
        steps.splits("x", r, (4,), own=[(1,), (2,)])))),
    "matmul": Setting(steps.matmul, ["a", "b", "c"], _both(lambda r: list(
        steps.splits("xy", r, (4, 4), own=[(1, 2), (3, 0)])))),
    "matmul, column times row": _given(
        steps.outer, [(0, 0), (0, 1), (2, 1)], 2, x=((1, 3), (2, 0)),
        y=((0, 3), (1, 2))),
    "matmul, W before and after an update": _given(
        steps.matmul_twice, (0, 1, 3), 2, x=(1, 3), x2=(2, 2), y=(3, 1)),
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
        steps.provider_truncation(2), ["a", "t", "q"],
        _both(lambda r: list(steps.splits("x", r, (8,), own=[(3,)]))), bits=3),
    "provider's truncation, pairs": _given(
        steps.provider_truncation(2), [(0, 0), (1, 0), (4, 7)], x=((3, 5), (1, 2))),
    "four bits": _given(steps.leaves(), range(8), x=(3, 5)),
    "sign": _given(steps.tree_msb(), range(8), x=(3, 5)),
    "sign without the lowest bit": _given(steps.tree_msb(1), range(8), x=(3, 5)),
    "two thresholds": _given(steps.at_least(0, 2), range(8), x=(3, 5)),
    "sign, pairs": _given(
        steps.tree_msb(), [(0, 0), (1, 0), (4, 7)], x=((3, 5), (1, 2))),
    "node of the tree": Setting(
        steps.bits_and, ["a", "b", "c"],
        _both(lambda r: [
            [{"x": _rows(r, [1], [p]), "y": _rows(r, [[0], [1]], [[g], [q]])}
             for p, g, q in product(range(2), repeat=3)]])),
    "node of the tree, pairs": Setting(
        steps.bits_and, [],
        _both(lambda r: [
            [{"x": _rows(r, [1, 0], p), "y": _rows(r, [[0, 1], [1, 1]], [g, q])}
             for p, g, q in product(product(range(2), repeat=2), repeat=3)]]),
        given=GivenOwnShares),
    "sign with two levels": _given(steps.tree_msb(), (0, 924, 947), 10, x=(100, 77)),
    "bit to arithmetic": Setting(
        steps.bit_to_arithmetic, ["bit_to_arithmetic/b"],
        _both(lambda r: list(steps.splits("x", r, (2,))))),
    "bit to arithmetic, pairs": _given(
        steps.bit_to_arithmetic, product(range(2), repeat=2), 2, x=((1, 0), (0, 1))),
    "equality": _given(steps.is_zero, range(8), x=(3, 5)),
    "equality, two calls": _given(steps.is_zero, (0, 3, 5), x=(3, 5), x2=(6, 2)),
    "drelu as a whole": Setting(
        less_bits(steps.drelu), JOINT,
        {P2: [steps.every("a", (4,))[::3]],
         **_both(lambda r: list(steps.splits("a", r, (4,), own=[(1,), (2,)])))},
        patches=IDEAL),
    "drelu on three bits": Setting(
        less_bits(steps.drelu), [], {BOB: [[{"a": (a, 5)} for a in (1, 3, 4, 6)]]},
        bits=3, patches=IDEAL, given=GivenOwnCoins,
        ignored=("s", "z", "turn", "zero", "x_bits")),
    "SecureNN's relu": Setting(
        steps.relu, ["bit", *PRODUCT], _both(lambda r: list(
            steps.splits("a", r, (4,), own=[(1,), (2,)]))), patches=DRELU),
    "SecureNN's equality": Setting(
        steps.equal, ["bit", *PRODUCT], _both(lambda r: list(
            steps.splits("xy", r, (4, 4), own=[(1, 3)]))), patches=DRELU),
    # several protocols that read one opening
    "two products": _given(steps.products, (0, 1, 3), 2, x=(1, 3), y=(3, 0), y2=(2, 1)),
    "products, quotient and sign": _given(
        steps.all_of_one(2), (0, 1, 4, 7), x=(3, 5), y=(6, 1)),
    "relu": _given(steps.fixed_relu(2), range(8), x=(3, 5)),
    "relu, two calls": _given(steps.fixed_relu(2), (0, 1, 6), x=(3, 5), x2=(6, 1)),
    "products of a quotient": _given(
        steps.quotient_products(2), (0, 1, 4, 7), x=(3, 5), y=(6, 1)),
    "products of a bit": Setting(
        steps.bit_products, [], _both(lambda r: [[
            {"bit": _rows(r, 1, bit), "x": _rows(r, 3, x), "y": _rows(r, 6, y)}
            for bit in range(2) for x, y in product((0, 1, 5), repeat=2)]]),
        3, given=GivenOwnShares),
    "training step": _given(steps.neuron, (0, 5), w=(6, 1), x=(3, 5), y=(2, 4)),
    # the carry tree's ANDs, and the first maximum
    "AND of three bits": Setting(
        steps.and_all, PRODUCT, _both(lambda r: [
            [{"x": _rows(r, (1, 0, 1), other)}
             for other in product(range(2), repeat=3)]])),
    "first of three maxima": Setting(
        steps.all_pairs, [], _both(lambda r: [steps.some_candidates(2, (r,))]),
        given=GivenOwnShares),
    # the shuffle
    "shuffle": _given(
        steps.shuffle, product(range(2), repeat=2), 1, x=((1, 1), (0, 1))),
    "shuffle, three workers": _given(
        steps.shuffle, product(range(2), repeat=2), 1, 3, x=((1, 1), (0, 1), (1, 0))),
    # three workers: two who collude, or one who is shown a result
    "multiply, three workers": _given(
        steps.multiply, range(4), 2, 3, x=(1, 2, 3), y=(3, 0, 2)),
    "matmul, three workers": _given(
        steps.matmul, range(4), 2, 3, x=(1, 2, 3), y=(3, 0, 2)),
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
        workers=3, given=GivenOwnCoins),
    "provider's truncation, three workers": _given(
        steps.provider_truncation(2), range(8), 3, 3, x=(1, 3, 2)),
    "four bits, three workers": _given(
        steps.leaves(), range(0, 16, 3), 4, 3, x=(1, 3, 2)),
    "sign with two groups, three workers": _given(
        steps.tree_msb(), (0, 59, 60, 61), 6, 3, x=(1, 3, 2)),
    "equality, three workers": _given(steps.is_zero, range(8), 3, 3, x=(1, 3, 2)),
    "relu, three workers": _given(
        steps.fixed_relu(2), range(8), 3, 3, x=(1, 3, 2)),
    "products, quotient and sign, three workers": _given(
        steps.all_of_one(2), (0, 1, 4), 3, 3, x=(3, 5, 2), y=(6, 1, 3)),
}


# ------------------------------------------------------------------ the mutants

BOTH = (ALICE, BOB)
NO_SHARE = "alice's share is 0"
SAME_SHARE = "alice's share is the same for two elements"
HALF = "half its range"


def each(setting, names, *rest):
    """The same mutant for each of several coins, one at a time."""
    return [Mutant(setting, name, *rest) for name in names.split()]


def masks(setting, name, modulus, learns):
    """A dealt mask that is constant, or below half; one worker's share is constant."""
    workers = SETTINGS[setting].workers
    everybody = BOTH if workers == 2 else tuple(coalitions(3))
    zero = "the bit is 0" if modulus == 2 else "the mask is 0"
    found = [Mutant(setting, name, zero, dealt_zero(modulus), everybody, learns)]
    if modulus > 2:
        found.append(Mutant(setting, name, HALF, dealt_half(modulus), everybody,
                            f"part of {learns}"))
    for i, worker in enumerate(WORKERS[:workers]):
        others = tuple(w for w in WORKERS[:workers] if w != worker)
        found.append(Mutant(setting, name, f"{worker}'s share is 0", row(i, 0),
                            (others if workers > 2 else others[0],), learns))
    return found


def dealt(setting, name, learns):
    """Shares of a number of the provider: one worker's is constant, or below half."""
    workers = SETTINGS[setting].workers
    found = []
    for i, worker in enumerate(WORKERS[:workers - 1]):
        others = tuple(w for w in WORKERS[:workers] if w != worker)
        who = (others if workers > 2 else others[0],)
        found.append(
            Mutant(setting, name, f"{worker}'s share is 0", row(i, 0), who, learns))
    if workers == 2:
        found.append(Mutant(setting, name, "alice's share is below half", half, (BOB,),
                            f"part of {learns}"))
    return found


def pairs(setting, name, learns):
    """Two elements have one mask, or one worker's share of it."""
    return [Mutant(setting, name, "one mask for two elements", shared, BOTH, learns),
            Mutant(setting, name, SAME_SHARE, shared_row(0), (BOB,),
                   "the difference of alice's two input shares")]


def calls(setting, ends, learns):
    """Coins of a second call that are those of the first: masks, and alice's shares."""
    found = []
    for end in ends.split():
        first, again = end.split(":")
        mask = again.startswith("+")
        found.append(Mutant(
            setting, again.lstrip("+"), "that of the first call" if mask else
            "alice's share is that of the first call", like(first),
            BOTH if mask else (BOB,), learns))
    return found


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
    *masks("two openings", "a", 4, "x"),
    *masks("two openings", "b", 4, "y"),
    Mutant("two openings", "b", "b = a", like("open_all/a"), BOTH, "x - y"),
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
    # matrix products
    *masks("matmul", "a", 4, "x"),
    *masks("matmul", "b", 4, "y"),
    Mutant("matmul", "b", "b = a", like("matmul/a"), BOTH, "x - y"),
    Mutant("matmul", "b", "alice's share is that of a", row_like(0, "matmul/a", 0),
           (BOB,), "a relation between x and y"),
    *dealt("matmul", "c", "a product of differences of masks"),
    Mutant("matmul", "c", "alice's share is that of a", row_like(0, "matmul/a", 0),
           (BOB,), "a relation between the masks"),
    Mutant("matmul, column times row", "a", "one mask for two elements", along(1), BOTH,
           "the difference of the entries"),
    Mutant("matmul, column times row", "b", "one mask for two elements", along(2), BOTH,
           "the difference of the entries"),
    Mutant("matmul, column times row", "a", SAME_SHARE, along(1, 0), (BOB,),
           "a relation between the entries"),
    Mutant("matmul, column times row", "b", SAME_SHARE, along(2, 0), (BOB,),
           "a relation between the entries"),
    Mutant("matmul, column times row", "c", "alice's share is the same for two columns",
           along(2), (BOB,), "a relation between the products"),
    Mutant("matmul, column times row", "c", "alice's share is the same for two rows",
           along(1), (BOB,), "a relation between the products"),
    Mutant("matmul, W before and after an update", "a#2", "the mask of W reused",
           like("matmul/a"), BOTH, "the update"),
    Mutant("matmul, W before and after an update", "a#2", "alice's share reused",
           row_like(0, "matmul/a", 0), (BOB,), "the update, in part"),
    Mutant("matmul, W before and after an update", "c#2", "alice's share reused",
           like("matmul/c"), (BOB,), "a relation between the products"),
    # selection
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
    *masks("provider's truncation", "a", 8, "x"),
    Mutant("provider's truncation", "a", "even values only",
           whole(clear(lambda v, c: v[-1] // 2 * 2, 8)), BOTH, "the parity of x"),
    *dealt("provider's truncation", "t", "a's top bit, so part of x"),
    *dealt("provider's truncation", "q", "a / d, so part of x"),
    Mutant("provider's truncation", "q", "alice's share is that of t",
           like("truncate_with_provider/t"), (BOB,),
           "the difference of both, so part of x"),
    *pairs("provider's truncation, pairs", "a", "x - x'"),
    Mutant("provider's truncation, pairs", "t", SAME_SHARE, shared, (BOB,),
           "whether the top bits agree"),
    Mutant("provider's truncation, pairs", "q", SAME_SHARE, shared, (BOB,),
           "the difference of the quotients"),
    # the bits of an opened secret: tables of four bits, and the top bit
    *masks("four bits", "a", 8, "x"),
    Mutant("four bits", "table", NO_SHARE, always(0), (BOB,), "a, so x"),
    Mutant("four bits", "table", "alice's share is 0 in one entry", first_bit(0),
           (BOB,), "whether those bits of a are 0"),
    Mutant("four bits", "table", "one share for all entries", one_for_all_bits, (BOB,),
           "a, so x"),
    Mutant("four bits", "table", "alice's share is the lowest bit of her share of a",
           lambda v, c: np.broadcast_to(found(c, "a")[:1, None, None] % 2, v.shape),
           (BOB,), "part of a"),
    *masks("two thresholds", "a", 8, "x"),
    *dealt("two thresholds", "table", "a, so x"),
    *dealt("two thresholds", "top", "a's top bit"),
    *masks("two thresholds", "b#1", 2, "both answers"),
    *dealt("two thresholds", "b#2", "b, so both answers"),
    Mutant("two thresholds", "b#1", "one bit for both", shared, BOTH,
           "whether the answers agree"),
    Mutant("two thresholds", "b#2", "alice's share is the same for both", shared_row(0),
           (BOB,), "whether the answers agree"),
    Mutant("sign", "top", NO_SHARE, always(0), (BOB,), "a's top bit"),
    Mutant("sign", "table", NO_SHARE, always(0), (BOB,), "a's other bits"),
    Mutant("sign", "table", "alice's share is that of the top bit", tied("msb/top"),
           (BOB,), "a's bits, up to one"),
    Mutant("sign", "top", "alice's share is that of an entry of the table",
           tied("msb/table"), (BOB,), "a relation between bits of a"),
    Mutant("sign", "top", "alice's share is the lowest bit of her share of a",
           tied("msb/a"), (BOB,), "a relation between bits of a"),
    Mutant("sign without the lowest bit", "a", "a = 0", dealt_zero(8), BOTH, "x"),
    Mutant("sign without the lowest bit", "a", HALF, dealt_half(8), BOTH, "part of x"),
    Mutant("sign without the lowest bit", "a", NO_SHARE, row(0, 0), (BOB,), "x"),
    Mutant("sign without the lowest bit", "top", NO_SHARE, always(0), (BOB,),
           "part of a"),
    Mutant("sign without the lowest bit", "table", NO_SHARE, always(0), (BOB,),
           "part of a"),
    *pairs("sign, pairs", "a", "x - x'"),
    Mutant("sign, pairs", "top", SAME_SHARE, shared, (BOB,),
           "whether the top bits of the masks agree"),
    Mutant("sign, pairs", "table", SAME_SHARE, shared, (BOB,),
           "which bits of the masks agree"),
    # the tree
    *masks("node of the tree", "a", 2, "p_hi"),
    *masks("node of the tree", "b", 2, "g_lo and p_lo"),
    Mutant("node of the tree", "c", NO_SHARE, always(0), (BOB,), "a b"),
    Mutant("node of the tree", "b", "one mask for both partners", along(1), BOTH,
           "g_lo XOR p_lo"),
    Mutant("node of the tree", "b", "alice's share is the same for both partners",
           along(1, 0), (BOB,), "a relation between g_lo and p_lo"),
    Mutant("node of the tree", "c", "alice's share is the same for both products",
           along(1), (BOB,), "a relation between the products"),
    Mutant("node of the tree", "b", "b = a",
           lambda v, c: np.repeat(found(c, "multiply/a")[:, None], 2, axis=1), BOTH,
           "p_hi XOR g_lo"),
    Mutant("node of the tree", "c", "alice's share is that of a", tied("multiply/a"),
           (BOB,), "a relation between the masks"),
    *pairs("node of the tree, pairs", "a", "p_hi XOR p_hi'"),
    *pairs("node of the tree, pairs", "b", "g_lo XOR g_lo'"),
    Mutant("node of the tree, pairs", "c", SAME_SHARE, shared, (BOB,),
           "a relation between the products"),
    Mutant("sign with two levels", "multiply/a#2", "the mask of the first level reused",
           like("multiply/a"), BOTH, "a relation between two levels"),
    Mutant("sign with two levels", "multiply/b#2", "the mask of the first level reused",
           like("multiply/b"), BOTH, "a relation between two levels"),
    Mutant("sign with two levels", "multiply/c#2",
           "alice's share is that of the first level", like("multiply/c"), (BOB,),
           "a relation between the products"),
    Mutant("sign with two levels", "top", "alice's share is that of a node's a",
           tied("multiply/a"), (BOB,), "a relation between masks"),
    # a bit in the ring
    Mutant("bit to arithmetic", "b#1", "b = 0", dealt_zero(2), BOTH, "the bit"),
    Mutant("bit to arithmetic", "b#1", "alice's XOR share is 0", row(0, 0), (BOB,),
           "the bit"),
    Mutant("bit to arithmetic", "b#1", "bob's XOR share is 0", row(1, 0), (ALICE,),
           "the bit"),
    Mutant("bit to arithmetic", "b#2", "alice's arithmetic share is 0", always(0),
           (BOB,), "b, so the bit"),
    Mutant("bit to arithmetic", "b#2", HALF, half, (BOB,), "part of b"),
    Mutant("bit to arithmetic", "b#2", "alice's arithmetic share is her XOR share",
           lambda v, c: found(c, "bit_to_arithmetic/b")[:1], (BOB,), "part of b"),
    *pairs("bit to arithmetic, pairs", "b#1", "whether the bits agree"),
    Mutant("bit to arithmetic, pairs", "b#2", SAME_SHARE, shared, (BOB,),
           "whether the dealt bits agree"),
    # equality
    Mutant("equality", "a", "a = 0", dealt_zero(8), BOTH, "x"),
    Mutant("equality", "a", HALF, dealt_half(8), BOTH, "part of x"),
    Mutant("equality", "table", NO_SHARE, always(0), (BOB,), "a, so x"),
    Mutant("equality", "b#1", "b = 0", dealt_zero(2), BOTH, "whether x is 0"),
    Mutant("equality", "b#2", "alice's arithmetic share is 0", always(0), (BOB,),
           "b, so whether x is 0"),
    *calls("equality, two calls", "a:+a#2", "x - x'"),
    *calls("equality, two calls", "table:table#2", "a relation between both masks"),
    *calls("equality, two calls", "bit_to_arithmetic/b:+b#3",
           "whether both answers agree"),
    *calls("equality, two calls", "bit_to_arithmetic/b#2:b#4",
           "whether both dealt bits agree"),
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
           like("beta_1"), (BOB,), "a relation between both"),
    # SecureNN's protocols that use a comparison
    Mutant("SecureNN's relu", "bit", NO_SHARE, always(0), (BOB,), "the sign"),
    Mutant("SecureNN's relu", "multiply/a", "a = 0", dealt_zero(4), BOTH, "the sign"),
    Mutant("SecureNN's relu", "multiply/b", "b = 0", dealt_zero(4), BOTH, "a"),
    Mutant("SecureNN's relu", "multiply/b", "b = a", like("multiply/a"), BOTH,
           "a minus its sign"),
    Mutant("SecureNN's relu", "multiply/b", NO_SHARE, row(0, 0), (BOB,), "a"),
    Mutant("SecureNN's relu", "multiply/c", NO_SHARE, always(0), (BOB,),
           "a b, so the result"),
    Mutant("SecureNN's equality", "bit",
           "alice's share is the same in both comparisons", shared, (BOB,),
           "whether both answers agree, so equality"),
    Mutant("SecureNN's equality", "multiply/a", "a = 0", dealt_zero(4), BOTH, "x >= y"),
    Mutant("SecureNN's equality", "multiply/b", "b = a", like("multiply/a"), BOTH,
           "equality"),
    Mutant("SecureNN's equality", "multiply/b", NO_SHARE, row(0, 0), (BOB,), "y >= x"),
    Mutant("SecureNN's equality", "multiply/c", NO_SHARE, always(0), (BOB,),
           "a b, so the result"),
    # several protocols that read one opening
    *masks("two products", "matmul/a", 4, "x"),
    *masks("two products", "matmul/b", 4, "y"),
    *masks("two products", "multiply/b", 4, "y2"),
    Mutant("two products", "multiply/b", "the mask of y reused", like("matmul/b"), BOTH,
           "y - y2"),
    *dealt("two products", "matmul/c", "a product of differences of masks"),
    *dealt("two products", "multiply/c", "the product of two masks"),
    *masks("products, quotient and sign", "multiply/a", 8, "x"),
    *masks("products, quotient and sign", "multiply/b", 8, "y"),
    *each("products, quotient and sign", "multiply/c matmul/c t q top table b#2",
          NO_SHARE, always(0), (BOB,), "a number that hides x or y"),
    *each("products, quotient and sign", "multiply/c matmul/c t q b#2", HALF, half,
          (BOB,), "part of a number that hides x or y"),
    *masks("products, quotient and sign", "b#1", 2, "the sign"),
    *masks("relu", "a", 8, "x"),
    *each("relu", "t q top table b#2 multiply/c c_1", NO_SHARE, always(0), (BOB,),
          "part of a, so of x, or b, so the sign"),
    *each("relu", "t q b#2 multiply/c c_1", HALF, half, (BOB,),
          "part of a or of b"),
    *masks("relu", "b#1", 2, "the sign"),
    Mutant("relu", "b#1", "b = t", clear(
        lambda v, c: sum(found(c, "truncate_with_provider/a")) % 8 // 4, 2), BOTH,
        "the carry into the top bit of x"),
    Mutant("relu", "b#1", "b is the lowest bit of a", clear(
        lambda v, c: sum(found(c, "truncate_with_provider/a")) % 2, 2), BOTH,
        "whether the sign and the parity of x agree"),
    *calls("relu, two calls", "truncate_with_provider/a:+a#2", "x - x'"),
    *calls("relu, two calls", "truncate_with_provider/t:t#2 msb/top:top#2"
           " msb/table:table#2", "whether bits of the masks agree"),
    *calls("relu, two calls", "truncate_with_provider/q:q#2",
           "the difference of the masks' quotients"),
    *calls("relu, two calls", "bit_to_arithmetic/b:+b#3", "whether the signs agree"),
    *calls("relu, two calls", "bit_to_arithmetic/b#2:b#4",
           "whether the dealt bits agree"),
    *calls("relu, two calls", "multiply/c:multiply/c#2 multiply/c_1:c_1#2",
           "a relation between the products"),
    *masks("products of a quotient", "multiply/b", 8, "y"),
    *each("products of a quotient", "t q multiply/c#1 c_1#1 c_2 c_3 c#2 c_1#2",
          NO_SHARE, always(0), (BOB,), "part of a or of a b"),
    *each("products of a quotient", "t q multiply/c#1 c_1#1 c_2 c_3 c#2 c_1#2",
          HALF, half, (BOB,), "part of a or of a b"),
    *masks("products of a bit", "b#1", 2, "the bit"),
    *masks("products of a bit", "multiply/a", 8, "y"),
    *each("products of a bit", "b#2 multiply/c#1 c#2 c_1 c#3", NO_SHARE, always(0),
          (BOB,), "b, so the bit, or its product with a part of a"),
    *each("products of a bit", "b#2 multiply/c#1 c#2 c_1 c#3", HALF, half,
          (BOB,), "part of b, or of its product with a part of a"),
    Mutant("training step", "multiply/a", "the mask of x also hides the error",
           like("matmul/a"), BOTH, "x minus the error"),
    Mutant("training step", "matmul/b#2", "the mask of w also hides the gradient",
           like("matmul/b"), BOTH, "w minus the gradient"),
    Mutant("training step", "matmul/b#2", "the mask of w x also hides the gradient",
           like("truncate_with_provider/a"), BOTH, "w x minus the gradient"),
    Mutant("training step", "matmul/c#2", "alice's share is that of the first product",
           like("matmul/c"), (BOB,), "a relation between the products"),
    Mutant("training step", "multiply/c#2", "alice's share is that of the ReLU's",
           like("multiply/c"), (BOB,), "a relation between the products"),
    # the carry tree's ANDs, and the first maximum
    Mutant("AND of three bits", "multiply/a#1", "a = 0", dealt_zero(2), BOTH, "a bit"),
    Mutant("AND of three bits", "multiply/a#2", "a of the first level reused",
           like("and_all/multiply/a"), BOTH, "a relation between two levels"),
    Mutant("AND of three bits", "multiply/b#2", NO_SHARE, row(0, 0), (BOB,), "a bit"),
    Mutant("AND of three bits", "multiply/c#1", NO_SHARE, always(0), (BOB,), "a b"),
    Mutant("first of three maxima", "msb/a", "one mask for two pairs", shared, BOTH,
           "differences of differences"),
    Mutant("first of three maxima", "top", "alice's share is the same for two pairs",
           shared, (BOB,), "a relation between two masks"),
    Mutant("first of three maxima", "table", "alice's share is the same for two pairs",
           shared, (BOB,), "a relation between two masks"),
    Mutant("first of three maxima", "multiply/a",
           "one mask for the first and the last candidate",
           lambda v, c: v[:, :, [0, 1, 0]], BOTH, "whether two signs agree"),
    Mutant("first of three maxima", "multiply/c", NO_SHARE, always(0), (BOB,), "a b"),
    Mutant("first of three maxima", "b#1", "b = 0", dealt_zero(2), BOTH,
           "the position"),
    Mutant("first of three maxima", "b#1", "one bit for two candidates", shared, BOTH,
           "whether one of them is the first maximum"),
    Mutant("first of three maxima", "b#2",
           "alice's share is the same for two candidates", shared, (BOB,),
           "whether one of them is the first maximum"),
    # the shuffle: in pass i, worker i alone receives masked rows
    *(Mutant("shuffle", f"a#{i}", how, mutant, (who,), learns)
      for i, who, other in [(1, ALICE, 1), (2, BOB, 0)]
      for how, mutant, learns in [
          ("the mask is 0", dealt_zero(2), "the rows"),
          (f"{WORKERS[other]}'s share is 0", row(other, 0), f"{WORKERS[other]}'s rows"),
          ("one mask for two rows", along(1), "the difference of the rows")]),
    Mutant("shuffle", "c#2", NO_SHARE, row(0, 0), (BOB,), "pi(a), so the rows"),
    Mutant("shuffle", "c#2", "alice's share is the same for two rows", along(1), (BOB,),
           "the difference of a's rows, so of the rows"),
    *(Mutant("shuffle, three workers", f"a#{i + 1}", f"{WORKERS[j]}'s share is 0",
             row(j, 0), (tuple(w for w in WORKERS[:3] if w != WORKERS[j]),),
             f"{WORKERS[j]}'s rows") for i in range(3) for j in range(3) if i != j),
    Mutant("shuffle, three workers", "a#2", "that of the first pass",
           like("shuffle_rows/a"), (LAST,), "the difference of worker3's rows"),
    *dealt("shuffle, three workers", "c#2", "pi(a), so the rows")[:1],
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
    *masks("matmul, three workers", "a", 4, "x"),
    *masks("matmul, three workers", "b", 4, "y"),
    *dealt("matmul, three workers", "c", "products of differences of masks"),
    *masks("provider's truncation, three workers", "a", 8, "x"),
    *dealt("provider's truncation, three workers", "t", "a's top bit, so part of x"),
    *dealt("provider's truncation, three workers", "q", "a / d, so part of x"),
    *masks("four bits, three workers", "a", 16, "x"),
    *dealt("four bits, three workers", "table", "a, so x"),
    *dealt("sign with two groups, three workers", "top", "a's top bit"),
    *masks("sign with two groups, three workers", "multiply/a", 2, "p_hi"),
    *dealt("sign with two groups, three workers", "multiply/c", "a b"),
    *masks("equality, three workers", "b#1", 2, "equality"),
    *dealt("equality, three workers", "b#2", "b, so equality"),
    *masks("relu, three workers", "a", 8, "x"),
    *masks("relu, three workers", "b#1", 2, "the sign"),
    *(m for coin in "t q top table b#2 multiply/c c_1".split() for m in dealt(
        "relu, three workers", coin, "part of a, so of x, or b, so the sign")),
    *(m for coin in "multiply/c matmul/c t q top table b#2".split() for m in dealt(
        "products, quotient and sign, three workers", coin,
        "a number that hides x or y")),
]


# ---------------------------------------------- shares tied across one opening's pieces

# In these settings every two coins are tied, at each worker that holds a share of both.
TIED = ["matmul", "sign", "sign without the lowest bit", "equality", "two products",
        "products, quotient and sign", "relu", "products of a quotient",
        "products of a bit", "relu, three workers"]

# Tied shares show the difference of the two numbers, modulo 2 if one is a bit: nothing
# if the numbers are always equal. {setting: {(coin, coin): why they are equal}}
B = "bit_to_arithmetic/b"
EQUAL = {
    "equality": {(f"is_zero/{B}#2", f"is_zero/{B}#1"): "both share b"},
    "products, quotient and sign": {
        ("drelu/msb/top#1", "truncate_with_provider/t#1"): "both share a's top bit",
        (f"drelu/{B}#2", f"drelu/{B}#1"): "both share b"},
    "relu": {(f"drelu/{B}#2", f"drelu/{B}#1"): "both share b"},
    "relu, three workers": {(f"drelu/{B}#2", f"drelu/{B}#1"): "both share b"},
    "products of a quotient": {
        ("multiply/c#1", "truncate_with_provider/t#1"): "t t = t",
        ("multiply/c_2#1", "multiply/c_1#1"): "t q = q t"},
    "products of a bit": {
        (f"{B}#2", f"{B}#1"): "both share b", ("multiply/c#1", f"{B}#1"): "b b = b",
        ("multiply/c#1", f"{B}#2"): "b b = b"},
}


def ties(name):
    """(role, changed coin, other coin, mutant) for every two coins of a setting."""
    setting = SETTINGS[name]
    workers = WORKERS[:setting.workers]
    for index in range(len(workers)):
        others = *workers[:index], *workers[index + 1:]
        role = others if len(others) > 1 else others[0]
        drawn = setting.experiment(role).coins(**setting.groups[role][0][0])
        held = [coin for coin in drawn if len(coin.groups) > index]
        for first, second in combinations(held, 2):
            # a mask stays as it is if it can: the provider's numbers depend on it
            masks_last = len(second.groups) > len(first.groups)
            coin, other = (first, second) if masks_last else (second, first)
            mutant = tied(other.name, index)
            if len(coin.values) > len(other.values):
                whole(mutant)
            yield role, *(f"{c.label}#{c.count}" for c in (coin, other)), mutant


# ------------------------------------------------------------------ the table


def table():
    """The mutants as a table in Markdown."""
    rows = [[m.setting, m.coins, m.how, m.who, m.learns] for m in MUTANTS]
    how = "shares are equal, or their lowest bits"
    rows += [[name, "any two but those below", f"a worker's {how}", "all others",
              "a relation between two dealt numbers"] for name in TIED]
    rows += [[name, " with ".join(map(short, coins)), f"a worker's {how}", "nobody",
              f"nothing: {why}"]
             for name, equal in EQUAL.items() for coins, why in equal.items()]
    rows = [["protocol", "coin", "broken how", "observer", "leak"], ["---"] * 5,
            *merged(rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def short(coin):
    """The end of a coin's label: its protocol and its name."""
    return "/".join(coin.split("/")[-2:])


def merged(rows):
    """Rows that differ in the coin alone, as one row."""
    coins = {}
    for setting, coin, *rest in rows:
        coins.setdefault((setting, *rest), []).append(coin)
    return [[setting, "; ".join(names), *rest]
            for (setting, *rest), names in coins.items()]
