"""The price of a protocol: the contract's promise and the ledger's count."""

import ast
import math
import operator
from collections import Counter

import numpy as np

import mpc
from mpc import carry_tree, functions, securenn, sorting

COLUMNS = ("rounds", "online", "offline")
DRELU = {"securenn": securenn.drelu, "carry-tree": carry_tree.drelu}
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
             ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv}


def evaluate(formula, names):
    """The value of a formula: whole numbers, + - * / //, `names` and their calls."""
    def value(node):
        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.Name(id=name):
                return names[name]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                return OPERATORS[type(op)](value(left), value(right))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return names[name](*map(value, args))
        raise ValueError(f"{formula!r} is no formula: {type(node).__name__}")
    return value(ast.parse(str(formula), mode="eval").body)


def promised(protocol, world, **sizes):
    """(rounds, online bytes, offline bytes) by the contract, for a call of these sizes.

    The names in the formulas are those of docs/COSTS.md. The bits l are those of the
    ring, unless `sizes` say that fewer are compared.
    """
    names = {"k": len(world.workers), "l": world.ring.bits, "w": world.ring.width,
             "ceil": math.ceil, "levels": lambda n: (n - 1).bit_length(),
             "packed": packed, **sizes}
    names["g"] = -(-(names["l"] - 1) // 4)
    inner = {"drelu": DRELU[world.comparison], "is_zero": carry_tree.is_zero}

    def price(function, column):
        formula = formula_for(function.contract, column, world.comparison)
        named = {node.id for node in ast.walk(ast.parse(formula))
                 if isinstance(node, ast.Name)}
        prices = {name: price(inner[name], column) for name in named & set(inner)}
        return evaluate(formula, names | prices)

    return tuple(price(protocol, column) for column in COLUMNS)


def formula_for(contract, column, chosen):
    """The formula of a `column` that applies to the comparison `chosen`."""
    formula = getattr(contract, column)
    return str(formula[chosen] if isinstance(formula, dict) else formula)


def packed(n, m):
    """Bytes of the bits of n tournaments of m, packed on each level."""
    total = 0
    while m > 1:
        total += -(-n * (m // 2) // 8)
        m -= m // 2
    return total


def paid(world, call):
    """(rounds, online bytes, offline bytes) of `call()`, by the ledger."""
    since = len(world.ledger.messages)
    call()
    cost = world.ledger.cost(since)
    return cost.rounds, cost.nbytes, cost.offline_bytes


def protocols():
    """{"module.name": function}: everything with a contract, module by module."""
    modules = [mpc.beaver, mpc.truncation, mpc.securenn, mpc.carry_tree, mpc.comparison,
               sorting]
    return {f"{m.__name__.removeprefix('mpc.')}.{name}": f for m in modules
            for name, f in vars(m).items()
            if hasattr(f, "contract") and f.__module__ == m.__name__}


def table():
    """All contracts as a table in Markdown, as docs/COSTS.md has it."""
    lines = ["| protocol | rounds | bytes online | bytes offline |",
             "| --- | --- | --- | --- |"]
    for name, protocol in protocols().items():
        cells = [_cell(getattr(protocol.contract, column)) for column in COLUMNS]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def _cell(formula):
    if isinstance(formula, dict):
        return "; ".join(f"{chosen}: `{text}`" for chosen, text in formula.items())
    return f"`{formula}`"


def function_table():
    """The prices of functions of fixed-point numbers, as docs/COSTS.md has them."""
    names = "reciprocal divide sqrt rsqrt exp log sigmoid tanh".split()
    rows = {f"`{name}`": (getattr(functions, name), [(80,)] * (1 + (name == "divide")))
            for name in names}
    rows["`softmax` of 10"] = functions.softmax, [(8, 10)]
    rows["`sort` of 16"] = sorting.sort, [(8, 16)]
    rows["`sort` of 128"] = sorting.sort, [(8, 128)]
    rows["`top_k`, 3 of 16"] = lambda x: sorting.top_k(x, 3), [(8, 16)]
    rows["`median` of 15"] = sorting.median, [(8, 15)]
    rows["`sort_rows` of 16 with 4 columns"] = (
        lambda x: sorting.sort_rows(x, 0), [(8, 16, 4)])
    rows["`shuffle` of 16 rows with 4 columns"] = sorting.shuffle, [(16, 4)]
    lines = ["| function | carry tree: rounds | worker | provider "
             "| SecureNN: rounds | worker | provider |",
             "| --- " * 7 + "|"]
    for name, call in rows.items():
        tree, securenn = (function_price(*call, comparison)
                          for comparison in ("carry-tree", "securenn"))
        lines.append(f"| {' | '.join([name, *tree, *securenn])} |")
    return "\n".join(lines)


def function_price(function, shapes, comparison):
    """Rounds, and bytes for each element from a worker and from the provider.

    Three digits and 64 bits; online and offline together.
    """
    world = mpc.World(comparison=comparison, here=(), keys={})
    operands = [mpc.fix_precision(np.zeros(shape)).share(
        *world.workers, crypto_provider=world.crypto_provider) for shape in shapes]
    since, elements = len(world.ledger.messages), math.prod(shapes[0])
    function(*operands)
    sent = Counter()
    for message in world.ledger.messages[since:]:
        sent[message.src] += message.nbytes / elements
    return (f"{world.ledger.cost(since).rounds}", f"{sent['alice']:,.0f}",
            f"{sent['crypto_provider']:,.0f}")


# SecureNN's Table 1 (whitepaper of February 2019) beside ours: the paper's bits over
# all links for one element, and the bits that we need not send. `logp` is the size of a
# residue mod p: 8 here, as in the authors' own code. The paper sends both shares of
# every value that P2 shares; we send the last worker's, and the other worker derives
# its own from a key.
TABLE_1 = {
    # protocol: bits in the paper, bits not sent here, the values that they belong to
    "securenn.select_share": ("5*l", "0", "nothing"),
    "securenn.private_compare": ("2*l*logp", "0", "nothing"),
    "securenn.share_convert": ("4*l*logp + 6*l", "l*logp + 2*l",
                               "x's bits, delta, eta'"),
    "securenn.compute_msb": ("4*l*logp + 13*l", "l*logp + 4*l",
                             "x, x, bits, x[0], beta'"),
    "securenn.drelu": ("8*l*logp + 19*l", "2*l*logp + 6*l", "the two lines above"),
    "comparison.relu": ("8*l*logp + 24*l", "2*l*logp + 6*l", "as drelu"),
    "beaver.multiply": ("5*l", "0", "MatMul 1 x 1, PRFs"),
    "beaver.matmul": ("2*a*b*l + 2*b*c*l + a*c*l", "0", "a x b by b x c, PRFs"),
    # MaxPool plays m - 1 comparisons and selects value and index by two products of 5 l
    # bits; we select the value and its one-hot row of m by one product of a bit with
    # 1 + m numbers.
    "comparison.tournament": ("(m - 1)*(8*l*logp + 29*l)",
                              "(m - 1)*(2*l*logp + 11*l - 3*m*l)",
                              "as drelu, and 10 l - (3 m + 5) l"),
}


def table_1(protocol, **sizes):
    """Two figures in bytes at l = 64: the paper's, and how much is not sent here."""
    paper, less, _ = TABLE_1[protocol]
    return tuple(evaluate(bits, dict(sizes, l=64, logp=8)) // 8 for bits in (paper,
                                                                             less))
