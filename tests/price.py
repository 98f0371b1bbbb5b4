"""The price of a step: what its docstring promises, and what the ledger counted in one call."""

import inspect
import math
import re

from mpc import beaver, carry_tree, securenn

# What a formula may name: the whole price of an inner step, by the World's comparison.
INNER = {"securenn": {"drelu": securenn.drelu, "multiply": beaver.multiply},
         "carry-tree": {"drelu": carry_tree.drelu, "multiply": beaver.multiply,
                        "is_zero": carry_tree.is_zero}}


def promised(step, world, **sizes):
    """(rounds, online bytes, offline bytes) by the formulas in the docstring of `step`.

    They may use the `sizes`, the number k of workers, the bits l and bytes w of a ring element, and
    say "... with securenn; ... with carry-tree".
    """
    names = dict(sizes, k=len(world.workers), l=world.ring.bits, w=world.ring.width,
                 ceil=math.ceil, levels=lambda n: (n - 1).bit_length(), packed=packed,
                 __builtins__={})
    prices = []
    for i, formula in enumerate(formulas(step, world.comparison)):
        for name, inner in INNER[world.comparison].items():
            if re.search(rf"\b{name}\b", formula):
                names[name] = promised(inner, world, **sizes)[i]
        prices.append(eval(formula, names))
    return tuple(prices)


def packed(n, m):
    """Bytes of packed bits, one for each game of n tournaments of m, filled up on every level."""
    total = 0
    while m > 1:
        total += -(-n * (m // 2) // 8)
        m -= m // 2
    return total


def formulas(step, comparison):
    """The formulas of rounds, online and offline bytes, as text."""
    notes = inspect.getdoc(step)
    rounds, = re.findall(r"^Rounds: (.+)$", notes, re.M)
    block, = re.findall(r"^Bytes: (.+?)(?=^Security:)", notes, re.M | re.S)
    if " online" in block:
        online, offline = re.match(r"(.+?) online(?:,\s(.+?) offline)?\b", block, re.S).groups()
    else:
        online = offline = block.split("\n")[0]
    return [case(" ".join((text or "0").split()), comparison) for text in (rounds, online, offline)]


def case(text, comparison):
    """Of "A with securenn; B with carry-tree" the one that applies."""
    cases = dict(part.split(" with ")[::-1] for part in text.split("; ") if " with " in part)
    return cases.get(comparison, text)


def paid(world, call):
    """(rounds, online bytes, offline bytes) of `call()`, by the ledger."""
    since = len(world.ledger.messages)
    call()
    cost = world.ledger.cost(since)
    return cost.rounds, cost.nbytes, cost.offline_bytes


# SecureNN's Table 1 (whitepaper of February 2019) beside ours: the paper's bits over all links for
# one element, and the bits that we need not send. `logp` is what one residue mod p takes: 8 here,
# as in the authors' own code. The paper sends both rows of whatever P2 shares; we send the last
# worker's, and the other worker derives its own from a key.
TABLE_1 = {
    # step                      bits in the paper     not sent here      what that is
    "securenn.select_share":    ("5*l",               "0",               "nothing"),
    "securenn.private_compare": ("2*l*logp",          "0",               "nothing"),
    "securenn.share_convert":   ("4*l*logp + 6*l",    "l*logp + 2*l",    "x's bits, delta, eta'"),
    "securenn.compute_msb":     ("4*l*logp + 13*l",   "l*logp + 4*l",    "x, x, bits, x[0], beta'"),
    "securenn.drelu":           ("8*l*logp + 19*l",   "2*l*logp + 6*l",  "the two lines above"),
    "comparison.relu":          ("8*l*logp + 24*l",   "2*l*logp + 6*l",  "as drelu"),
    "beaver.multiply":          ("5*l",               "0",               "MatMul 1 x 1, PRFs"),
    "beaver.matmul":            ("2*a*b*l + 2*b*c*l + a*c*l", "0",       "a x b by b x c, PRFs"),
    # MaxPool plays m - 1 comparisons and selects value and index by two products of 5 l bits; we
    # select the value and its one-hot row of m by one product of a bit with 1 + m numbers.
    "comparison.tournament":        ("(m - 1)*(8*l*logp + 29*l)", "(m - 1)*(2*l*logp + 11*l - 3*m*l)",
                                 "as drelu, and 10 l - (3 m + 5) l"),
}


def table_1(step, **sizes):
    """The two figures of `step` in bytes at l = 64: the paper's, and how much is not sent here."""
    paper, less, _ = TABLE_1[step]
    return tuple(eval(bits, {"__builtins__": {}}, dict(sizes, l=64, logp=8)) // 8
                 for bits in (paper, less))
