"""The checks of the lab's tasks, in order: each raises `Wrong` with the mistake.

A check takes the learner's module, runs functions of it, and replaces some of its
names meanwhile (`observed`, `tabulate`). Its docstring is the insight of the task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

WORKERS = "alice", "bob"
MOST = 2**16        # combinations of coins in a table


class Wrong(Exception):
    """A mistake, described in one line."""


def require(condition: Any, mistake: str) -> None:
    """Raise `Wrong` unless the condition holds."""
    if not condition:
        raise Wrong(mistake)


# ------------------------------------------------------------------ tools


def random(n: Any, size: int, seed: int = 1) -> np.ndarray:
    """Elements of a ring of this size, the same in every run."""
    return np.random.default_rng(seed).integers(0, size, n, np.uint64)


def shares_of(secret: np.ndarray, size: int, seed: int = 2) -> np.ndarray:
    """Shares of elements of a ring of this size."""
    mask = random(secret.shape, size, seed)
    return np.stack([mask, (secret - mask) % size])


def elements(value: Any, shape: tuple, mine: ModuleType, name: str) -> np.ndarray:
    """`value` as elements of the ring, if it is an array of this shape."""
    require(value is not None, f"{name} returns nothing")
    array = np.asarray(value)
    require(array.dtype.kind in "ui",
            f"{name} returns {array.dtype}, not elements of the ring, uint64")
    require(array.shape == shape,
            f"{name} returns the shape {array.shape}; {shape} is expected")
    outside = array[(array < 0) | (array >= mine.L)]
    require(not outside.size, f"{name} returns {outside[:1]}, which is outside of the "
            "ring: take % L at the end")
    return array.astype(np.uint64)


def total(value: Any, shape: tuple, mine: ModuleType, name: str) -> np.ndarray:
    """The secret of the shares `value`, if they are shares of this shape."""
    x = elements(value, (2, *shape), mine, name)
    return (x[0] + x[1]) % mine.L


@contextmanager
def replaced(mine: ModuleType, **names: Any) -> Iterator[None]:
    """Replace names of the learner's module for a while."""
    before = {name: getattr(mine, name) for name in names}
    vars(mine).update(names)
    try:
        yield
    finally:
        vars(mine).update(before)


@contextmanager
def observed(mine: ModuleType) -> Iterator[list[np.ndarray]]:
    """Record the opened values, and refuse `reconstruct` anywhere else."""
    log: list[np.ndarray] = []
    original = mine.reconstruct

    def opened(x):
        log.append(np.array(original(x)))
        return log[-1].copy()

    def refuse(x):
        raise Wrong("reconstruct is called, but no worker has both shares: only "
                    "opened sends them")

    with replaced(mine, opened=opened, reconstruct=refuse):
        yield log


def check_local(function: Callable, mine: ModuleType, name: str, *inputs: Any) -> None:
    """Row j of the result depends on row j of the shares, and nothing is opened."""
    with observed(mine) as log:
        copies = [np.array(x) for x in inputs]
        before = np.array(function(*copies))
        require(not log, f"{name} opens a value; it needs no message")
        require(all(map(np.array_equal, copies, inputs)),
                f"{name} changes an array that it is given: return a new one")
        for j, worker in enumerate(WORKERS):
            changed = [np.array(x) for x in inputs]
            for i, x in enumerate(inputs):
                if np.ndim(x) == 2 and len(x) == 2:     # shares
                    changed[i][1 - j] = random(x[0].shape, mine.L, seed=9 + i)
            after = np.asarray(function(*changed))
            require(np.array_equal(before[j], after[j]),
                    f"{worker}'s result depends on the share of {WORKERS[1 - j]}, "
                    "which that worker never sent")


def check_fresh(mine: ModuleType, name: str, work: Callable) -> list[np.ndarray]:
    """The values that `work` opens, each different in a second run."""
    with observed(mine) as first:
        work()
    with observed(mine) as second:
        work()
    for a, b in zip(first, second, strict=False):
        require(a.shape != b.shape or (a != b).any(), f"{name} opens a value that is "
                "the same in every run: it has no fresh mask, so the workers read it")
    return first


def tabulate(mine: ModuleType, size: int, work: Callable) -> np.ndarray:
    """``work(n)`` on arrays of `n` elements, one for each combination of the coins.

    It runs in a ring of this size. Its result is an array of shape (k, n), of k
    numbers for each combination.
    """
    drawn: list[int] = []

    def uniform(shape, n=1):
        shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        require(shape[-1:] == (n,), f"uniform{shape} draws too few or too many coins: "
                f"each element needs its own, so the shape must end in {n}")
        first, count = sum(drawn), int(np.prod(shape)) // n
        drawn.append(count)
        powers = np.array([size**(first + i) for i in range(count)], object)
        digits = np.arange(n)[None, :] // powers[:, None] % size
        return digits.astype(np.uint64).reshape(shape)

    with replaced(mine, L=size, uniform=uniform):
        work(1)
    n = size**sum(drawn)
    require(n <= MOST, f"{sum(drawn)} coins for each element are more than it takes")
    drawn.clear()
    with replaced(mine, L=size, uniform=lambda shape: uniform(shape, n)):
        return np.asarray(work(n))


def same_views(views: Sequence, worker: str, secrets: Sequence, name: str) -> None:
    """Are the views of a worker equally frequent for all secrets?"""
    tables = [Counter(zip(*view.tolist(), strict=True)) for view in views]
    for table, secret in zip(tables, secrets, strict=True):
        require(table == tables[0], f"{worker} can tell {secrets[0]} from {secret}: "
                f"over all coins, the views of {name} are not equally frequent")


def uniform_view(view: np.ndarray, size: int, mistake: str) -> None:
    """Does each combination of values occur equally often?"""
    table = Counter(zip(*view.tolist(), strict=True))
    require(len(table) == size**len(view) and len(set(table.values())) == 1, mistake)


# ------------------------------------------------------------------ shares


def check_share(mine):
    """Each share is uniform over all coins, whatever the secret is."""
    def rows(n, secret):
        x = mine.share(np.full(n, secret, np.uint64))
        found = total(x, (n,), mine, "share")
        require((found == secret).all(),
                f"the shares of {secret} add up to {found[0]} mod {mine.L}")
        return x

    tables = [tabulate(mine, 8, lambda n, secret=secret: rows(n, secret))
              for secret in range(8)]
    require(tables[0].shape[1] > 1, "share draws no coin: uniform(shape) does")
    for j, worker in enumerate(WORKERS):
        same_views([table[j:j + 1] for table in tables], worker, range(8), "a share")
    x = elements(mine.share(np.zeros((3, 4), np.uint64)), (2, 3, 4), mine, "share")
    require(len(np.unique(x)) == x.size, "two elements have the same mask")


def check_reconstruct(mine):
    """The sum of the shares, round the clock."""
    x = np.array([[3, mine.L - 1, mine.L - 5], [4, 1, 9]], np.uint64)
    found = elements(mine.reconstruct(x), (3,), mine, "reconstruct")
    for i, due in enumerate((7, 0, 4)):
        require(found[i] == due, f"the shares {x[0, i]} and {x[1, i]} are those of "
                f"{due}, not of {found[i]}")


def check_add(mine):
    """Linear operations are free: no message, no coin."""
    secrets = random((2, 6), mine.L)
    x, y = (shares_of(s, mine.L, seed) for s, seed in zip(secrets, (3, 4), strict=True))
    found = total(mine.add(x, y), (6,), mine, "add")
    require((found == secrets.sum(axis=0) % mine.L).all(), "the result is not the sum")
    check_local(mine.add, mine, "add", x, y)


def check_add_public(mine):
    """One worker adds it; if both did, it would count twice."""
    secret, c = random(6, mine.L), random(6, mine.L, seed=5)
    x = shares_of(secret, mine.L)
    found = total(mine.add_public(x, c), (6,), mine, "add_public")
    difference = (found - secret) % mine.L
    require((difference != 0).any(), "c is missing: one worker must add it")
    require((difference != 2 * c % mine.L).any(),
            "c was added twice, once by each worker")
    require((difference == c).all(), "the result is not x + c")
    check_local(mine.add_public, mine, "add_public", x, c)


def check_fixed_point(mine):
    """The upper half of the ring stands for negative numbers."""
    numbers = np.array([0, 1, -1, 2.5, -0.25, 0.0006, 1e6, -1e6])
    due = np.rint(numbers * 1000).astype(np.int64).astype(np.uint64) % mine.L
    found = elements(mine.encode(numbers), (8,), mine, "encode")
    for number, a, b in zip(numbers, found, due, strict=True):
        require(a == b, f"{number:g} becomes {a}, not {b}")
    back = np.asarray(mine.decode(due), float)
    require(back.shape == (8,), f"decode returns the shape {back.shape}, not (8,)")
    for number, a in zip(np.rint(numbers * 1000) / 1000, back, strict=True):
        require(a == number, f"decode gives {a:g} for the element of {number:g}")


# ------------------------------------------------------------------ products


def check_triple(mine):
    """Two masks and their product, known to the dealer alone."""
    for op, m, n, k in ((np.multiply, (6,), (6,), (6,)),
                        (np.matmul, (2, 3), (3, 4), (2, 4))):
        a, b, c = (total(v, shape, mine, "triple") for v, shape in
                   zip(mine.triple(op, m, n), (m, n, k), strict=True))
        require((c == op(a, b) % mine.L).all(), f"c is not {op.__name__}(a, b)")

    def view(n, j):
        a, b, c = mine.triple(np.multiply, (n,), (n,))
        masks = [(v[0] + v[1]) % mine.L for v in (a, b)]
        return np.stack([*masks, a[j], b[j], c[j]])

    for j, worker in enumerate(WORKERS):
        uniform_view(tabulate(mine, 4, lambda n, j=j: view(n, j)), 4,
                     f"{worker}'s shares tell something about a or b: draw a and b, "
                     "and share a, b and c, each with coins of its own")


def check_multiply(mine):
    """Both opened values are uniform; the rest is linear."""
    secrets = random((2, 6), mine.L)
    x, y = shares_of(secrets[0], mine.L, 3), shares_of(secrets[1], mine.L, 4)
    with observed(mine) as log:
        found = total(mine.multiply(x, y), (6,), mine, "multiply")
    require(len(log) == 2, f"{len(log)} values were opened, not epsilon and delta")
    error = (found - secrets[0] * secrets[1]) % mine.L
    public = log[0] * log[1] % mine.L
    require((error != public).any(), "epsilon delta was added twice, by both workers")
    require((error != -public % mine.L).any(), "epsilon delta is missing")
    for j, worker in enumerate(WORKERS):
        def view(n, j, secrets):
            shares = []
            for secret in secrets:
                row = np.full(n, 1, np.uint64)          # the worker's share is 1
                pair = [row, (secret - row) % mine.L]
                shares.append(np.stack(pair if j == 0 else pair[::-1]))
            with observed(mine) as log, _dealt(mine, "triple") as dealt:
                mine.multiply(*shares)
            require(dealt, "multiply takes no triple")
            return np.stack([*(v[j] for v in dealt), *log])

        pairs = [(p, q) for p in range(4) for q in range(4)]
        views = [tabulate(mine, 4, lambda n, j=j, view=view, pair=pair:
                          view(n, j, np.array(pair, np.uint64))) for pair in pairs]
        same_views(views, worker, [f"x, y = {p}, {q}" for p, q in pairs], "multiply")
    require(not error.any(), "the shares do not add up to the product")


@contextmanager
def _dealt(mine, name):
    """Record the arrays that the dealer's function `name` deals."""
    original, log = getattr(mine, name), []

    def deal(*args):
        dealt = original(*args)
        log.extend(np.asarray(value) for value in dealt)
        return dealt

    with replaced(mine, **{name: deal}):
        yield log


def check_truncate(mine):
    """Alice rounds down and bob rounds up: right on average, without a message."""
    check_local(lambda x: mine.truncate(x, 10), mine, "truncate",
                shares_of(random(6, 2500), mine.L))
    for d in (10, 1000):
        for value in (2500, -2500, 7, 0):
            secret = np.full(500, value, np.int64).astype(np.uint64) % mine.L
            x = shares_of(secret, mine.L, seed=d)
            found = signed(total(mine.truncate(x, d), (500,), mine, "truncate"), mine)
            far = np.abs(found - value / d) > 1
            require(not far.any(), f"{value} / {d} is {found[far][:1]} instead of "
                    f"{value / d:g}, with {far.sum()} of 500 masks")


def signed(elements, mine):
    """Elements as integers, negative in the upper half of the ring."""
    numbers = elements.astype(np.int64)
    return np.where(elements < mine.L // 2, numbers, numbers - mine.L)


def check_matmul(mine):
    """784 x 128 weights are opened once for a batch, not once for each product."""
    a, b = random((3, 4), mine.L, 6), random((4, 5), mine.L, 7)
    x, y = shares_of(a, mine.L, 3), shares_of(b, mine.L, 4)
    log = check_fresh(mine, "matmul", lambda: mine.matmul(x, y))
    sizes = sorted(value.size for value in log)
    require(sum(sizes) > 0, "matmul opens nothing: two shares met without a message")
    require(sizes == [12, 20], f"{sum(sizes)} elements were opened in {len(sizes)} "
            "values, not the 12 and 20 of both matrices")
    found = total(mine.matmul(x, y), (3, 5), mine, "matmul")
    require((found == a @ b % mine.L).all(), "the result is not the matrix product")


# ------------------------------------------------------------------ signs


def check_dealt_bits(mine):
    """A mask that workers can compare with, since the dealer knows its bits."""
    l = mine.L.bit_length() - 1
    r, bits = mine.dealt_bits((5,))
    r = total(r, (5,), mine, "dealt_bits")
    bits = total(bits, (l, 5), mine, "dealt_bits")
    require((bits <= 1).all(), "a bit is neither 0 nor 1")
    powers = np.array([2**i for i in range(l)], np.uint64)[:, None]
    require((r != (bits[::-1] * powers).sum(axis=0)).any(), "the lowest bit is first")
    require((r == (bits * powers).sum(axis=0)).all(), "the bits are not those of r")

    def view(n, j):
        r, bits = mine.dealt_bits((n,))
        return np.stack([(r[0] + r[1]) % mine.L, r[j], *bits[j]])

    for j, worker in enumerate(WORKERS):
        uniform_view(tabulate(mine, 4, lambda n, j=j: view(n, j)), 4,
                     f"{worker}'s shares tell something about r: share r and each bit, "
                     "each with coins of its own")


def check_private_compare(mine):
    """Bits of a public number choose between AND and OR."""
    r, c = np.indices((16, 16), np.uint64).reshape(2, -1)
    bits = shares_of(np.stack([r >> np.uint64(i) & np.uint64(1) for i in range(4)]),
                     mine.L)
    log = check_fresh(mine, "private_compare", lambda: mine.private_compare(c, bits))
    require(log, "private_compare opens nothing: the products of shared bits need "
            "multiply")
    found = total(mine.private_compare(c, bits), (256,), mine, "private_compare")
    wrong = np.flatnonzero(found != (r > c))
    require(not wrong.size, "for the number {} and c = {} the result is {}".format(
        *([v[wrong[0]] for v in (r, c, found)] if wrong.size else "   ")))


def check_negative(mine):
    """One opened value, and a comparison with a mask whose bits are known."""
    numbers = np.array([0, 1, -1, 3, -3, 2**40, -2**40, mine.L // 2 - 1, -mine.L // 2])
    x = shares_of(numbers.astype(np.uint64) % mine.L, mine.L)
    log = check_fresh(mine, "negative", lambda: mine.negative(x))
    require(log, "negative opens nothing: two shares met without a message")
    found = total(mine.negative(x), (9,), mine, "negative")
    for number, bit in zip(numbers, found, strict=True):
        require(bit == (number < 0), f"negative gives {bit} for {number}")

    def multiply(x, y):                 # nothing is opened; one coin
        product = (x[0] + x[1]) * (y[0] + y[1])
        mask = mine.uniform(product.shape)
        dealt.append(np.stack([mask, (product - mask) % mine.L]))
        return dealt[-1]

    for j, worker in enumerate(WORKERS):
        def view(n, j, secret):
            nonlocal dealt
            row = np.full(n, 1, np.uint64)
            pair = [row, (secret - row) % mine.L]
            with observed(mine) as log, _dealt(mine, "dealt_bits") as dealt:
                with replaced(mine, multiply=multiply):
                    mine.negative(np.stack(pair if j == 0 else pair[::-1]))
            rows = [v[j].reshape(-1, n) for v in dealt]
            return np.concatenate([*rows, *(v.reshape(-1, n) for v in log)])

        dealt: list = []
        views = [tabulate(mine, 4, lambda n, j=j, view=view, secret=secret:
                          view(n, j, np.uint64(secret))) for secret in range(4)]
        same_views(views, worker, [f"x = {secret}" for secret in range(4)], "negative")


def check_relu(mine):
    """A product with a bit, which has no scale, so nothing is truncated."""
    numbers = np.array([0, 1.5, -1.5, 100, -100, 0.001])
    secret = np.rint(numbers * 1000).astype(np.int64).astype(np.uint64) % mine.L
    x = shares_of(secret, mine.L)
    log = check_fresh(mine, "relu", lambda: mine.relu(x))
    require(log, "relu opens nothing: two shares met without a message")
    found = signed(total(mine.relu(x), (6,), mine, "relu"), mine) / 1000
    due = np.maximum(numbers, 0)
    require(not np.allclose(found, due / 1000, atol=0.001), "the result is 1000 times "
            "too small: a bit is 0 or 1, not 0 or 1000, so do not truncate")
    require(not np.array_equal(found, np.minimum(numbers, 0)),
            "the negative numbers were kept, and the positive ones became 0")
    for number, a, b in zip(numbers, found, due, strict=True):
        require(a == b, f"relu gives {a:g} for {number:g}")


# ------------------------------------------------------------------ training


def check_step(mine):
    """Five matrix products, one comparison, and no party saw a number."""
    rng = np.random.default_rng(3)
    shapes = {"w1": (3, 4), "w2": (4, 2), "x": (5, 3), "t": (5, 2)}
    plain = {name: rng.integers(-1000, 1000, shape) / 1000
             for name, shape in shapes.items()}
    x, rate = [shares_of(np.rint(v * 1000).astype(np.int64).astype(np.uint64) % mine.L,
                         mine.L, seed) for seed, v in enumerate(plain.values())], 0.5
    log = check_fresh(mine, "step", lambda: mine.step(*x, rate))
    require(log, "step opens nothing: two shares met without a message")
    new = mine.step(*x, rate)
    require(isinstance(new, (tuple, list)) and len(new) == 2,
            "step returns the shares of both weights, (w1, w2)")
    found = [signed(total(v, shapes[name], mine, "step"), mine) / 1000
             for name, v in zip(("w1", "w2"), new, strict=True)]
    z = plain["x"] @ plain["w1"]
    error = np.maximum(z, 0) @ plain["w2"] - plain["t"]
    back = error @ plain["w2"].T
    g1, g2 = plain["x"].T @ (back * (z > 0)), np.maximum(z, 0).T @ error
    unmasked = plain["x"].T @ back
    for wrong, why in (
            ((0 * g1, 0 * g2), "the weights did not move"),
            ((-g1 / 5, -g2 / 5), "the weights went uphill: subtract the gradient"),
            ((unmasked / 5, g2 / 5),
             "the gradient went through the ReLU where its input is negative"),
            ((g1, g2), "the gradient was not divided by the number of rows"),
            ((2 * g1 / 5, 2 * g2 / 5), "the loss is half the square: the gradient is "
             "y - t, not twice that")):
        same = all(np.abs(a - plain[name] + rate * g).max() < 0.02
                   for name, a, g in zip(("w1", "w2"), found, wrong, strict=True))
        require(not same, why)
    for name, a, g in zip(("w1", "w2"), found, (g1, g2), strict=True):
        off = np.abs(a - (plain[name] - rate * g / 5)).max()
        require(off < 0.01, f"{name} is off by {off:.3g} from a step on plain numbers")


TASKS = (check_share, check_reconstruct, check_add, check_add_public, check_fixed_point,
         check_triple, check_multiply, check_truncate, check_matmul, check_dealt_bits,
         check_private_compare, check_negative, check_relu, check_step)
