"""The price of a step: what its docstring promises, and what the ledger counted in one call."""

import inspect
import re



def promised(protocol, **sizes):
    """(rounds, online bytes, offline bytes) by the formulas in the docstring of `protocol`."""
    notes = inspect.getdoc(protocol)
    rounds, = re.findall(r"^Rounds: (.+)$", notes, re.M)
    price, = re.findall(r"^Bytes: (.+)$", notes, re.M)
    online, offline = re.fullmatch(r"(.+?)(?: online(?:, (.+) offline)?)?", price).groups()
    return tuple(eval(formula or "0", {"__builtins__": {}}, sizes)
                 for formula in (rounds, online, offline))


def paid(world, call):
    """(rounds, online bytes, offline bytes) of `call()`, by the ledger."""
    since = len(world.ledger.messages)
    call()
    cost = world.ledger.cost(since)
    return cost.rounds, cost.nbytes, cost.offline_bytes


def sizes_of(world, **sizes):
    """`sizes`, and those that all formulas may use: l bits and w bytes of a ring element."""
    return dict(sizes, l=world.ring.bits, w=world.ring.width)


# SecureNN's Table 1 (whitepaper of February 2019) beside ours: the paper's bits over all links for
# one element, and the bits that we need not send. `logp` is what one residue mod p takes: 8 here,
# as in the authors' own code. The paper sends both rows of whatever P2 shares; we send the last
# worker's, and the other worker derives its own from a key.
TABLE_1 = {
    # step             bits in the paper     not sent here      what that is
    "select_share":    ("5*l",               "0",               "nothing"),
    "private_compare": ("2*l*logp",          "0",               "nothing"),
    "share_convert":   ("4*l*logp + 6*l",    "l*logp + 2*l",    "a row of x's bits, delta, eta'"),
    "compute_msb":     ("4*l*logp + 13*l",   "l*logp + 4*l",    "both of x; its bits, x[0], beta'"),
    "drelu":           ("8*l*logp + 19*l",   "2*l*logp + 6*l",  "the two lines above"),
    "relu":            ("8*l*logp + 24*l",   "2*l*logp + 6*l",  "as drelu; the product has 5 l"),
    "multiply":        ("5*l",               "0",               "MatMul of 1 x 1, with PRFs"),
    "matmul":          ("2*a*b*l + 2*b*c*l + a*c*l", "0",       "a x b by b x c, with PRFs"),
    # MaxPool plays m - 1 comparisons and selects value and index by two products of 5 l bits; we
    # select the value and its one-hot row of m by one product of a bit with 1 + m numbers.
    "tournament":      ("(m - 1)*(8*l*logp + 29*l)",
                        "(m - 1)*(2*l*logp + 11*l - 3*m*l)",    "as drelu, and 10 l - (3 m + 5) l"),
}


def table_1(step, **sizes):
    """The two figures of `step` in bytes: the paper's, and how much of it is not sent here."""
    paper, less, _ = TABLE_1[step]
    return tuple(eval(bits, {"__builtins__": {}}, dict(sizes, logp=8)) // 8
                 for bits in (paper, less))
