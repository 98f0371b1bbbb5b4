"""Random programs, each compared with NumPy within the documented bounds of error.

A program is drawn line by line (`differential.Program`). NumPy runs each line at once,
with its error and its range (`expected.Expected`). If its true numbers leave the
documented range, another line replaces it. So every program that is drawn must be
correct, and no result of the library influences the choice of programs.

Run many programs by hand, or one of them again:

    python tests/random_programs.py --programs 100000 --seed 1
    python tests/random_programs.py --programs 1 --seed 1 --first 517
"""

import argparse
import collections
import sys
import time
from decimal import Decimal
from fractions import Fraction
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

if __name__ == "__main__":
    # else `mpc` would be tests/mpc
    sys.path.insert(0, str(Path(__file__).parents[1]))

from differential import Program, Setting, check, expect, skeleton, smallest
from expected import Format, LeftRange

LARGE = 64          # elements; more only in programs about long axes
TRIES = 50          # lines drawn in vain before a program ends early

FORMATS = [Format()] * 6 + [Format(10, digits) for digits in (0, 1, 2, 4)] + [
    Format(2, 10), Format(2, 13), Format(10, 3, 48), Format(10, 2, 48),
    Format(2, 8, 48), Format(10, 3, 44), Format(10, 2, 44), Format(2, 10, 44),
    Format(10, 0, 36), Format(10, 1, 36), Format(10, 2, 36), Format(2, 5, 36)]
LOCAL = [Format(10, digits, 64, 24) for digits in (0, 1, 2, 3, 3, 3)] + [
    Format(2, 10, 64, 24), Format(10, 0, 48, 24), Format(2, 3, 48, 24)]
PROVIDER = [(2, "securenn"), (2, "carry-tree"), (2, "carry-tree"), (3, "carry-tree")]
DTYPES = [np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64,
          np.uint8, np.bool_]


def draw_setting(rng):
    if rng.random() < 0.15:
        return Setting(pick(rng, LOCAL), pick(rng, ["securenn", "carry-tree"]), "local")
    format, (workers, comparison) = pick(rng, FORMATS), pick(rng, PROVIDER)
    return Setting(format._replace(workers=workers), comparison)


def pick(rng, choices):
    """One of a list, as it is: rng.choice would make an array of it."""
    return choices[rng.integers(len(choices))]


# -------------------------------------------------------------------- drawing a program


class Generator:
    """A program under construction, and NumPy's numbers for its lines."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.seed, self.setting = seed, draw_setting(self.rng)
        self.format = self.setting.format
        self.lines, self.left_range = [], 0
        self.names = expect(Program(seed, self.setting, ()))
        self.limits = self.rng.random() < 0.3       # numbers near their limits

    def chance(self, probability):
        return self.rng.random() < probability

    def pick(self, *choices):
        return pick(self.rng, choices)

    def add(self, prefix, text):
        """Run a line in NumPy and append it; returns its name. May raise LeftRange."""
        name = f"{prefix}{len(self.lines)}"
        value = eval(text, self.names)
        self.names[name] = value
        self.lines.append((name, text))
        return name

    def try_line(self, make):
        """Append the line that `make` draws, unless it leaves the range."""
        before = len(self.lines)
        try:
            text = make(self)
            self.add("t", text)
            return True
        except LeftRange:
            self.left_range += 1
            for name, _ in self.lines[before:]:
                del self.names[name]
            del self.lines[before:]
            return False

    def program(self):
        whole = Program(self.seed, self.setting, tuple(self.lines))
        return whole.only(*(name for name in whole.results if name[0] == "t"))

    # ---- operands

    def value(self, name):
        return self.names[name]

    def values(self, fits=lambda value: True):
        """The names of the values that fit; public arrays are none."""
        return [name for name, _ in self.lines if name[0] != "m"
                and fits(self.names[name])]

    def operand(self, fits=lambda value: True, shape=None):
        """A value from before, later ones more often, or a new leaf."""
        known = self.values(lambda v: v.value.size <= LARGE and fits(v))
        if known and self.chance(0.8):
            return known[-1 - min(int(self.rng.exponential(1.5)), len(known) - 1)]
        return self.leaf(self.shape() if shape is None else shape)

    def partner(self, name):
        """An operand that broadcasts with `name`: from before, also itself, or new."""
        shape = self.value(name).shape

        def fits(value):
            try:
                return prod(np.broadcast_shapes(shape, value.shape)) <= LARGE
            except ValueError:
                return False
        return self.operand(fits, self.broadcasting(shape))

    def shape(self, least=0):
        ndim = max(least, int(self.rng.choice(4, p=[0.1, 0.45, 0.35, 0.1])))
        sizes = self.rng.integers(1, 5, ndim)
        if ndim and self.chance(0.03):
            sizes[self.rng.integers(ndim)] = 0
        return tuple(sizes.tolist())

    def broadcasting(self, shape):
        """The same shape, or one with fewer axes or with axes of size 1."""
        if self.chance(0.6):
            return shape
        shape = shape[self.rng.integers(len(shape) + 1):]
        return tuple(1 if self.chance(0.3) else n for n in shape)

    def leaf(self, shape, size=None):
        """A new secret, or sometimes a public FixedPoint, of numbers up to `size`."""
        array = self.numbers(shape, self.magnitude() if size is None else size)
        public = self.chance(0.15)
        return self.add("p" if public else "x",
                        f"{'public' if public else 'secret'}({array})")

    def magnitude(self):
        """How large the numbers of a leaf are."""
        f, rng = self.format, self.rng
        if self.limits and self.chance(0.5):
            return rng.uniform(0.5, 0.999) * self.pick(f.values, f.factors,
                                                       f.products ** 0.5)
        if self.chance(0.15):
            return np.exp(rng.uniform(np.log(f.eps), np.log(f.values)))
        return self.pick(1, 3, 10, 100, 5 * f.eps)

    def numbers(self, shape, size):
        """Python for an array of numbers up to `size` in absolute value."""
        size = min(float(size), 0.999 * self.format.values)
        if prod(shape) > LARGE:
            seed = self.rng.integers(1000)
            return f"rng({seed}).uniform({-size!r}, {size!r}, {shape})"
        array = self.rng.uniform(-size, size, shape)
        kind = self.rng.random()
        if kind < (0.4 if self.limits else 0.1):        # at the very ends
            array = np.where(self.rng.random(shape) < 0.5, -size, size)
        elif kind < 0.4:                    # multiples of 1/8: exact in most formats
            array = np.trunc(array * 8) / 8
        elif kind < 0.5:
            array = np.trunc(array)
        elif kind < 0.6:
            array = np.where(self.rng.random(shape) < 0.5, 0, array)
        return literal(array)

    def number(self):
        """Python for a public number of any type."""
        return self.pick(*NUMBERS)(self.rng)

    def factor(self):
        """Python for a public number other than 0."""
        text = self.number()
        return text if eval(text, self.names) else "0.5"

    def array(self, shape):
        """A new public array."""
        return self.add("m", self.pick(*ARRAYS)(self.rng, shape))


# ------------------------------------------------------------ public numbers and arrays


def numpy_number(rng):
    dtype = pick(rng, DTYPES)
    return repr(dtype(rng.uniform(0, 5) if dtype is np.uint8 else rng.normal(0, 3)))


def power_of_ten(low, high):
    """A number of either sign between 10^low and 10^high in size."""
    return lambda rng: repr(pick(rng, [-1, 1]) * float(10 ** rng.uniform(low, high)))


NUMBERS = [
    lambda rng: "0",
    lambda rng: pick(rng, ["True", "False"]),
    lambda rng: repr(int(rng.integers(-20, 21))),
    lambda rng: repr(round(float(rng.normal(0, 3)), int(rng.integers(1, 7)))),
    lambda rng: repr(float(rng.normal(0, 3))),
    lambda rng: repr(float(rng.normal(0, 3))),
    lambda rng: repr(Fraction(int(rng.integers(-9, 10)), int(rng.integers(1, 12)))),
    lambda rng: repr(Decimal(str(round(rng.normal(0, 3), 3)))),
    numpy_number, numpy_number, power_of_ten(-8.9, -2), power_of_ten(2, 8.9)]


def mask(rng, shape, ones=0.5):
    return literal((rng.random(shape) < ones).astype(pick(rng, DTYPES)))


def constant(rng, shape):
    return f"np.full({shape}, {pick(rng, [0.5, -1, 1.0, 0.987654, 1 / 3, 1e-5, 300])})"


def floats(rng, shape):
    size = pick(rng, [1, 10, 1000])
    return literal(rng.uniform(-size, size, shape).astype(pick(rng, DTYPES[:3])))


def tiny(rng, shape):
    return literal(np.where(rng.random(shape) < 0.3, 0,
                            10 ** rng.uniform(-8.9, -2, shape)))


def wide(rng, shape):
    """Tiny and large factors beside each other."""
    return literal(rng.choice([-1, 1], shape) * 10 ** rng.uniform(-8.9, 6, shape))


ARRAYS = [
    mask, mask, constant, floats, floats, tiny, wide,
    lambda rng, shape: f"np.zeros({shape}, {name_of(pick(rng, DTYPES))})",
    lambda rng, shape: f"np.full({shape}, 1 / {max(1, prod(shape))})",
    lambda rng, shape: literal(rng.integers(0, 20, shape).astype(pick(rng, DTYPES)))]


def name_of(dtype):
    return f"np.{np.dtype(dtype).name.replace('bool', 'bool_')}"


def literal(array):
    """Python for an array, to the last bit."""
    if array.size == 0:
        return f"np.zeros({array.shape}, {name_of(array.dtype)})"
    return f"np.array({array.tolist()}, {name_of(array.dtype)})"


# -------------------------------------------------------------- the lines of a program
#
# Each function draws the text of one line; leaves that it needs are lines before it.


def add(g):
    x = g.operand()
    return f"{x} {g.pick('+', '-')} {g.partner(x)}"


def add_public(g):
    x, sign = g.operand(), g.pick("+", "-")
    public = g.number() if g.chance(0.6) else g.array(g.broadcasting(g.value(x).shape))
    return f"{x} {sign} {public}" if g.chance(0.7) else f"{public} {sign} {x}"


def multiply(g):
    x = g.operand()
    return f"{x} * {g.partner(x)}"


def square(g):
    return f"{g.operand()} ** 2"


def times_number(g):
    x, number = g.operand(), g.number()
    return f"{x} * {number}" if g.chance(0.7) else f"{number} * {x}"


def over_number(g):
    return f"{g.operand()} / {g.factor()}"


def times_array(g):
    x = g.operand()
    m = g.array(g.broadcasting(g.value(x).shape))
    return f"{x} * {m}" if g.chance(0.7) else f"{m} * {x}"


def masked_then_shifted(g):
    """A masked element is 0 and its shares are not random until they are refreshed."""
    x = g.operand()
    m = g.add("m", mask(g.rng, g.value(x).shape))
    return f"{x} * {m} {g.pick('+', '-')} {g.factor()}"


def zero_then_shifted(g):
    return f"{g.operand()} * 0 {g.pick('+', '-')} {g.factor()}"


def cancel(g):
    x = g.operand()
    return f"({x} - {x} - {g.number()}) / {g.factor()}"


def matrix(g):
    return g.operand(lambda v: v.value.ndim >= 2, g.shape(least=2))


def matmul(g):
    x = matrix(g)
    *stack, n, inner = g.value(x).shape
    wide = int(g.rng.integers(1, 4))
    shape = (*stack, inner, wide) if g.chance(0.3) else (inner, wide)
    fits = g.values(lambda v: v.value.ndim == 2 and v.shape[0] == inner
                    and v.value.size <= LARGE)
    y = pick(g.rng, fits) if fits and g.chance(0.4) else g.leaf(shape)
    return f"{x} @ {y}"


def matmul_public(g):
    x = matrix(g)
    n, inner = g.value(x).shape[-2:]
    if g.chance(0.7):
        return f"{x} @ {g.array((inner, int(g.rng.integers(1, 4))))}"
    return f"{g.array((int(g.rng.integers(1, 4)), n))} @ {x}"


def axes(g, x, none=True):
    """Python for an axis of x, or None."""
    ndim = g.value(x).value.ndim
    if ndim == 0 or none and g.chance(0.35):
        return "None"
    return repr(int(g.rng.integers(-ndim, ndim)))


def add_up(g):
    x = g.operand()
    axis = "(0, -1)" if g.value(x).value.ndim > 1 and g.chance(0.2) else axes(g, x)
    return f"{x}.sum({axis}{', keepdims=True' if g.chance(0.3) else ''})"


def mean(g):
    x = g.operand(lambda v: v.value.size > 0, (3,))
    return f"{x}.sum() / {g.value(x).value.size}"


def index(g):
    x = g.operand(lambda v: v.value.ndim > 0 and v.value.size > 0, (2, 3))
    keys = []
    for n in g.value(x).shape[:g.rng.integers(1, g.value(x).value.ndim + 1)]:
        start = int(g.rng.integers(-n, n))
        keys.append(g.pick(f"{start}", f"{start}:", f":{start}", "::-1", "::2", ":"))
    if g.chance(0.3):
        keys.insert(g.rng.integers(len(keys) + 1), "None")
    elif g.chance(0.2):
        keys.append("...")
    return f"{x}[{', '.join(keys)}]"


def reshape(g):
    x = g.operand()
    shape, size = list(g.value(x).shape), g.value(x).value.size
    g.rng.shuffle(shape)
    sizes = g.pick("-1", str(tuple(shape)), f"({size}, 1)", f"1, {size}")
    return f"{x}.reshape({sizes})"


def transpose(g):
    return f"{g.operand(lambda v: v.value.ndim == 2, (2, 3))}.T"


def negate(g):
    return f"-{g.operand()}"


def refresh(g):
    return f"{g.operand()}.refresh()"


def join(g):
    """Operands of different scales: bits, values, products."""
    x = g.operand(lambda v: v.secret and v.value.ndim > 0, (2,))
    if not g.value(x).secret:
        raise LeftRange
    shape = g.value(x).shape
    others = g.values(lambda v: v.secret and v.shape == shape)
    parts = [pick(g.rng, others) for _ in range(g.rng.integers(1, 3))] + [x]
    return f"concatenate([{', '.join(parts)}], axis={axes(g, x, none=False)})"


def compare(g):
    x = g.operand()
    y = g.partner(x) if g.chance(0.5) else g.number()
    if g.chance(0.2):
        return f"{x}.eq({y})"
    return f"{x} {g.pick('>', '>=', '<', '<=')} {y}"


def select(g):
    """A comparison's bits times a value."""
    x = g.operand()
    return f"({x} {g.pick('>', '<=')} {g.number()}) * {g.partner(x)}"


def relu(g):
    return f"{g.operand()}.{g.pick('relu', 'relu', 'drelu')}()"


def largest(g):
    x = g.operand(lambda v: v.value.size > 0, (4,))
    if g.value(x).value.size == 0:
        raise LeftRange
    return f"{x}.{g.pick('max(', 'argmax(', 'argmax(one_hot=True, axis=')}{axes(g, x)})"


# ---- near the limits: operands that nearly use the range that is left


def fill_product(g):
    """x and an operand that is nearly too large, for each product or for their sum."""
    x = g.operand(lambda v: v.value.size > 0, (2,))
    how = g.pick("{} * {}", "{} * {}", "{} * {}", "({} * {}).sum()",
                 "{}.reshape(1, -1) @ {}.reshape(-1, 1)")
    matrices, value = "@" in how, g.value(x)
    room = g.format.matrix_products if matrices else g.format.products
    together = matrices or "sum" in how
    room /= float(value.operand.sum() if together else value.operand.max())
    if room < 2 * g.format.eps:
        raise LeftRange
    y = g.leaf(value.shape, room * g.rng.uniform(0.9, 0.999) - g.format.eps)
    return how.format(x, y)


def fill_factor(g):
    """x and a public factor that is nearly too large, or x as large as it may be."""
    if g.chance(0.3):
        x = g.leaf(g.shape(), g.format.factors * g.rng.uniform(0.9, 0.999))
        return f"{x} * {pick(g.rng, NUMBERS)(g.rng)}"
    x = g.operand(lambda v: v.value.size > 0, (2,))
    value, together = g.value(x), g.chance(0.3)
    room = g.format.factors / float(value.operand.sum() if together
                                    else value.operand.max())
    c, n = float(room * g.rng.uniform(0.9, 0.999)), value.value.size
    numbers = f"rng({g.rng.integers(1000)}).uniform({-c!r}, {c!r}, {n})"
    if together:
        return f"{x}.reshape(1, -1) @ {numbers}.reshape(-1, 1)"
    return g.pick(f"{x} * {c!r}", f"{x}.reshape(-1) * np.full({n}, {c!r})",
                  f"{x}.reshape(-1) * {numbers}")


def fill_again(g):
    """A large value that was divided, and then multiplied by a whole number."""
    x = g.leaf(g.shape(), g.format.factors * g.rng.uniform(0.5, 0.999))
    divisor = g.pick(3, 64, 1000, 1009, 10**6, 999_983)
    factor = int(divisor * g.rng.uniform(0.5, 0.99)) or 1
    return f"{x} / {divisor} * {g.pick(str(factor), f'np.array([{factor}])')}"


def filled(g):
    return f"({g.pick(fill_product, fill_factor, fill_again)(g)})"


def fill_then_sum(g):
    """A product that nearly leaves its range, and a number in the wider one of sums."""
    low, high = np.log(g.format.factors / 10), np.log(g.format.values)
    size = float(g.pick(np.exp(g.rng.uniform(low, high)),
                        g.rng.uniform(0, 1) * g.format.products))
    other = g.leaf((), size) if g.chance(0.4) else repr(g.pick(-size, size))
    return f"{filled(g)} {g.pick('+', '-')} {other}"


def fill_then_compare(g):
    product, size = filled(g), float(g.rng.uniform(0.1, 1)) * g.format.products
    other = g.pick(f"-{product}", g.leaf((), size), repr(g.pick(-size, size)))
    return f"{product} {g.pick('>', '>=', '<', '<=')} {other}"


def ends(g):
    """Two operands at the ends of the range of values; the second may be public."""
    size = 0.999 * g.format.values
    x = g.leaf(g.shape(), size)
    return x, g.leaf(g.value(x).shape,
                     size) if g.chance(0.8) else repr(g.pick(-size, size))


def fill_sum(g):
    x, y = ends(g)
    return f"{x} {g.pick('+', '-')} {y}"


def fill_comparison(g):
    x, y = ends(g)
    return g.pick(f"{x} > {y}", f"{x} <= {y}", f"{x}.eq({y})", f"{x}.relu()")


# ---- long axes


def long_leaf(g):
    n, f = int(g.rng.integers(1000, 10001)), g.format
    size = g.pick(g.magnitude(), 0.99 * f.factors / n,
                  0.99 * (f.products / n) ** 0.5, 0.7 * (f.matrix_products / n) ** 0.5)
    shape = g.pick((n,), (2, n), (1, n))
    return g.add("x", f"secret({g.numbers(shape, min(size, f.sums / n))})"), n


def long_sum(g):
    x, n = long_leaf(g)
    m = g.add("m", f"rng({g.rng.integers(1000)}).integers(0, 2, {n})")
    return g.pick(f"{x}.sum(-1)", f"{x}.sum(-1) / {n}", f"({x} * {x}).sum(-1)",
                  f"({x} * {m}).sum(-1)", f"({x} * {g.factor()}).sum(-1)",
                  f"({x} ** 2).sum() / {n}",
                  f"({x} * {m} - {g.factor()}).sum(-1, keepdims=True)")


def long_matmul(g):
    x, n = long_leaf(g)
    column = g.add("m", g.pick(f"np.full(({n}, 1), 1 / {n})", f"np.ones(({n}, 2))",
                               f"rng({g.rng.integers(1000)}).normal(0, 1, ({n}, 2))"))
    return g.pick(f"{x}.reshape(-1, {n}) @ {column}",
                  f"{x}.reshape(-1, {n}) @ {x}.reshape(-1, {n}).T")


def variance(g):
    """The mean of squares minus the square of the mean, of numbers around a centre."""
    n, f = int(g.pick(3, 10, 100, 1000)), g.format
    most = 0.9 * (f.factors / n) ** 0.5         # so that n squares stay in range
    centre = float(g.rng.uniform(0, most))
    x = g.add("x", f"secret({centre!r} + rng({g.rng.integers(1000)}).normal(0, "
                   f"{min(centre, most - centre) / 4!r}, {n}))")
    return f"({x} * {x}).sum() / {n} - ({x}.sum() / {n}) ** 2"


def chain_link(g):
    """One of many public factors in a row, near 1 in size, or a mask."""
    x = g.values()[-1]
    shape = g.value(x).shape
    m = g.add("m", g.pick(f"np.full({shape}, {g.pick(0.5, 2, 0.9, 1.1, -1)})",
                          mask(g.rng, shape, ones=0.9)))
    shift = g.pick("0.5", "1", "Fraction(1, 3)")
    factor = g.pick("0.987654", "1.234567", "-0.3", "np.float16(1.1)", "2", "1")
    divisor = g.pick("3", "1.01", "0.7", "np.sqrt(2)")
    return g.pick(f"{x} * {m}", f"{x} * {m} - {shift}", f"{x} * {factor}",
                  f"{x} / {divisor}")


def often(functions, **times):
    """Some of these {name: function}, each as often as it is to be drawn."""
    return [functions[name] for name, n in times.items() for _ in range(n)]


MIXED = often(
    globals(), add=20, add_public=25, multiply=25, square=10, times_number=25,
    over_number=20, times_array=25, masked_then_shifted=10, zero_then_shifted=5,
    cancel=5, matmul=10, matmul_public=15, add_up=15, mean=10, index=10, reshape=5,
    transpose=5, negate=5, refresh=5, join=10, compare=6, select=3, relu=4, largest=3)
LIMITS = MIXED + often(
    globals(), fill_product=40, fill_factor=40, fill_again=10, fill_then_sum=30,
    fill_then_compare=5, fill_sum=20, fill_comparison=5)
LONG = often(globals(), long_sum=3, long_matmul=2, variance=3)
CHAIN = [chain_link]


class Drawn(NamedTuple):
    """A program, NumPy's numbers, and how many lines left the range."""

    program: Program
    expected: dict
    left_range: int


def draw(seed):
    """The program of a `seed`, two integers."""
    g = Generator(seed)
    mixed = LIMITS if g.limits else MIXED
    style = g.rng.random()
    if style < 0.07:
        parts = [(CHAIN, int(g.rng.integers(10, 51))), (mixed, 2)]
        g.leaf(g.shape(), g.pick(1, 3, 100))
    elif style < 0.2:
        parts = [(LONG, 1), (mixed, 3)]
    else:
        parts = [(mixed, int(g.rng.integers(1, 9)))]
    for table, lines in parts:
        tries = 0
        while lines and tries < TRIES:
            lines -= g.try_line(pick(g.rng, table))
            tries += 1
    return Drawn(g.program(), g.names, g.left_range)


# -------------------------------------------------------------------- beyond the range


def draw_beyond(seed):
    """A short program whose last line leaves the range by a factor of 1.01 to 1000.

    If only the values leave it, only checked mode detects it.
    """
    g = Generator(seed)
    f, n = g.format._replace(spare=0), int(g.rng.integers(1, 4))
    beyond = float(10 ** g.rng.uniform(0.005, 3))
    low, high = np.log(max(2, 3 * beyond / f.unit)), np.log(min(f.values,
                                                                f.products)) - 0.1
    x = float(np.exp(g.rng.uniform(low, high)))
    y, root = beyond * f.products / x, (beyond * f.products) ** 0.5
    factor, end = min(beyond * f.factors / x, 1e9), 0.999 * f.values
    sizes, last = g.pick(
        ([beyond * f.values], "-x0"), ([end], "x0 + x0 + x0 + x0 + x0 + x0"),
        ([end], "x0 + x0 + x0 > -x0 - x0 - x0"), ([root], "x0 ** 2"),
        ([x, y], "x0 * x1"), ([x, y], "(x0 * x1).sum()"),
        ([x, y], "x0.reshape(1, -1) @ x1.reshape(-1, 1)"), ([x], f"x0 * {factor!r}"),
        ([x], f"x0 * np.full({n}, {factor!r})"))
    leaves = [(f"x{i}", f"secret(np.full({n}, {size!r}))")
              for i, size in enumerate(sizes)]
    return Program(seed, g.setting._replace(format=f), (*leaves, ("t2", last)))


# -------------------------------------------------------------------- by hand


class Report(NamedTuple):
    """The results of many programs; the first `shown` failures are reduced."""

    programs: int
    left_range: int
    failures: list
    shown: int

    def __str__(self):
        kinds = collections.Counter(skeleton(failure)
                                    for failure in self.failures[:self.shown])
        return "\n".join([
            f"{self.programs} programs, {len(self.failures)} failures; "
            f"{self.left_range} lines left the range and were drawn again",
            *(f"{n:6} {kind}" for kind, n in kinds.most_common())])


def run(seed, first, programs, show=3, progress=None, **options):
    """Draw and check programs `first`, `first` + 1 ... of a seed; returns a Report.

    The `options` are those of the World. `progress` is called after each program.
    """
    failures, left_range = [], 0
    for i in range(first, first + programs):
        program, expected, left = draw((seed, i))
        failure, left_range = check(program, expected, **options), left_range + left
        if failure:
            failures.append(smallest(failure, **options) if len(failures) < show
                            else failure)
        if progress:
            progress(failure and failures[-1], len(failures))
    return Report(programs, left_range, failures, show)


def main(argv=None):
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--programs", type=int, default=1000, metavar="N")
    p.add_argument("--seed", type=int, default=1, metavar="S")
    p.add_argument("--first", type=int, default=0, metavar="I",
                   help="start with program I")
    p.add_argument("--show", type=int, default=20, metavar="N",
                   help="print at most N failures")
    options = p.parse_args(argv)
    done, start, said = 0, time.monotonic(), time.monotonic()

    def progress(failure, failures):
        nonlocal done, said
        done += 1
        if failure and failures <= options.show:
            print(failure, flush=True)
        if time.monotonic() - said > 10:
            said = time.monotonic()
            print(f"{done} of {options.programs}, {failures} failures, "
                  f"{said - start:.0f} s", file=sys.stderr, flush=True)

    if options.programs == 1:
        print(f"{draw((options.seed, options.first)).program}\n")
    report = run(options.seed, options.first, options.programs, options.show, progress)
    print(report)
    return bool(report.failures)


if __name__ == "__main__":
    sys.exit(main())
