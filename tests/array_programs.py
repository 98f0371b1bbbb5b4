"""Random programs of NumPy's functions on secrets, each compared with NumPy itself.

The lines are plain NumPy, so each program runs three times: on arrays, on
`expected.Expected` for the bounds of error, and on secrets. See `random_programs`.
"""

from itertools import product as indices

import numpy as np
from differential import Program, Setting, check, expect, run_lines
from expected import Expected, Format, LeftRange
from random_programs import ARRAYS, Generator, axes, often, pick

import nn

SETTINGS = {
    "securenn": Setting(Format()),
    "carry-tree": Setting(Format(), "carry-tree"),
    "three workers": Setting(Format(workers=3), "carry-tree")}


class Arrays(Generator):
    """A program of NumPy's functions under construction, in one setting."""

    def __init__(self, seed, setting, small=False):
        super().__init__(seed)
        self.small = small
        self.setting, self.format, self.limits = setting, setting.format, False
        self.names = expect(Program(seed, setting, ()))

    def add(self, prefix, text):
        name = super().add(prefix, text)
        if prefix == "t" and not isinstance(self.value(name), Expected):
            raise LeftRange         # of public arrays alone
        return name

    def magnitude(self):
        return self.pick(1, 3) if self.small else self.pick(1, 3, 10, 100)

    def some(self, least=0):
        """A value with elements, and at least so many axes."""
        return self.operand(lambda v: v.ndim >= least and v.value.size > 0,
                            tuple(self.rng.integers(1, 5, max(least, 1)).tolist()))

    def either(self, x):
        """A partner of x: secret, or a public array or number of any type."""
        if self.chance(0.6):
            return self.partner(x)
        shape = self.broadcasting(self.value(x).shape)
        m = self.add("m", pick(self.rng, ARRAYS)(self.rng, shape))
        if not np.isfinite(np.asarray(self.value(m), float)).all():
            raise LeftRange
        return m if self.chance(0.8) else repr(round(float(self.rng.normal(0, 3)), 2))

    def number(self):
        """Of a type that NumPy's arrays take."""
        while "Decimal(" in (text := super().number()) or "Fraction(" in text:
            pass
        return text

    def axis(self, x):
        return axes(self, x, none=False)


def keeping(g):
    return ", keepdims=True" if g.chance(0.3) else ""


def reduction(g):
    name, x = g.pick("sum", "mean", "max", "min", "var"), g.some()
    axis = "(0, -1)" if g.value(x).ndim > 1 and g.chance(0.2) else axes(g, x)
    if name == "var" and g.value(x).value.size == 1:
        name = "mean"
    if g.chance(0.5):
        return f"np.{name}({x}, axis={axis}{keeping(g)})"
    return f"{x}.{name}(axis={axis}{keeping(g)})"


def place(g):
    name, x = g.pick("argmax", "argmin"), g.some()
    return f"np.{name}({x}, {axes(g, x)}{keeping(g)})"


def counted(g):
    x = g.some()
    test = f"{x} {g.pick('>', '<=', '!=', '==')} {g.number()}"
    return f"np.{g.pick('any', 'all', 'count_nonzero')}({test}, {axes(g, x)})"


def elementwise(g):
    return f"np.{g.pick('abs', 'square', 'negative', 'sign')}({g.operand()})"


def builtin(g):
    return f"{g.pick('abs({})', '{} ** 3', '-{}', '{} ** 1').format(g.operand())}"


def binary(g):
    x, name = g.operand(), g.pick("maximum", "minimum", "add", "subtract", "multiply",
                                  "maximum", "minimum")
    y = g.either(x)
    return f"np.{name}({x}, {y})" if g.chance(0.5) else f"np.{name}({y}, {x})"


def divided(g):
    x = g.operand()
    m = g.add("m", f"np.full({g.broadcasting(g.value(x).shape)}, {g.factor()})")
    return f"{x} / {m}" if g.chance(0.5) else f"np.divide({x}, {g.factor()})"


def clipped(g):
    low, high = sorted(np.round(g.rng.normal(0, 3, 2), 2).tolist())
    x = g.operand()
    return g.pick(f"np.clip({x}, {low}, {high})", f"np.clip({x}, {low}, None)",
                  f"{x}.clip(None, {high})")


def test(g, x):
    """A comparison, or several, inline: their arrays of bools are for `&` and `~`."""
    one = f"({x} {g.pick('>', '<', '>=', '<=')} {g.number()})"
    if g.chance(0.6):
        return one
    two = f"({x} {g.pick('>', '<', '!=', '==')} {g.number()})"
    return g.pick(f"({one} & {two})", f"({one} | {two})", f"~{one}",
                  f"np.logical_and({one}, {two})", f"np.logical_or({one}, ~{two})")


def chosen(g):
    x = g.operand()
    return f"np.where({test(g, x)}, {x}, {g.either(x)})"


def chosen_publicly(g):
    x = g.operand()
    m = g.add("m", f"np.array({(g.rng.random(g.value(x).shape) < 0.5).tolist()}, bool)")
    return f"np.where({m}, {x}, {g.either(x)})"


def logical(g):
    return test(g, g.operand())


def compared(g):
    x, name = g.operand(), g.pick("less", "less_equal", "greater", "greater_equal",
                                  "equal", "not_equal")
    y = g.either(x)
    return f"np.{name}({x}, {y})" if g.chance(0.5) else f"np.{name}({y}, {x})"


def moved(g):
    x = g.some(1)
    v = g.value(x)
    a, b, n = g.axis(x), g.axis(x), v.shape[0]
    return g.pick(
        f"np.ravel({x})", f"np.flip({x}, {a})", f"np.flip({x})",
        f"np.roll({x}, {g.rng.integers(-5, 6)}, {a})", f"np.roll({x}, 1)",
        f"np.swapaxes({x}, {a}, {b})", f"np.moveaxis({x}, {a}, {b})",
        f"np.squeeze({x}[None])", f"np.expand_dims({x}, {a})",
        f"np.broadcast_to({x}, {(2, *v.shape)})", f"{x}.repeat(2, {a})",
        f"np.tile({x}, 2)", f"np.take({x}, [0, -1, 0], axis={a})",
        f"np.take({x}, np.array([[0], [-1]]))", f"np.delete({x}, 0, {a})",
        f"np.split({x}, [1], {a})[{g.rng.integers(2)}]",
        f"np.array_split({x}, 3, {a})[1]", f"np.pad({x}, 1)",
        f"np.pad({x}, (0, 2), mode='edge')", f"np.transpose({x})",
        f"{x}.transpose({tuple(g.rng.permutation(v.ndim).tolist())})",
        f"np.reshape({x}, (-1,))", f"{x}.flatten()", f"np.atleast_2d({x})",
        f"{x}[[{', '.join(map(str, g.rng.integers(-n, n, 4)))}]]",
        f"{x}[..., [0, 0]]", f"{x}[{[bool(i % 2) for i in range(n)]}]",
        f"{x}[::-2]", f"{x}[..., ::-1]", f"{x}[:, None][[0]]", f"{x}[None]")


def joined(g):
    x = g.some(1)
    shape = g.value(x).shape
    same = g.values(lambda v: v.shape == shape)
    m = g.add("m", f"rng({g.rng.integers(99)}).integers(-4, 5, {shape})")
    parts = [pick(g.rng, [*same, m]) for _ in range(g.rng.integers(1, 3))]
    text = ", ".join([*parts, x] if g.chance(0.5) else [x, *parts])
    return g.pick(f"np.stack([{text}], {g.axis(x)})", f"np.concatenate([{text}])",
                  f"np.concatenate([{text}], {g.axis(x)})", f"np.vstack(({text},))",
                  f"np.hstack([{text}])", f"np.concatenate([{text}], None)",
                  f"np.column_stack([{text}])" if len(shape) < 3 else f"{x}.ravel()")


def summed(g):
    x = g.some(1)
    return g.pick(f"np.cumsum({x}, {axes(g, x)})", f"np.diff({x}, axis={g.axis(x)})",
                  f"np.diff({x}, 2)", f"{x}.cumsum({g.axis(x)})")


def product(g):
    x = g.some(1)
    shape = g.value(x).shape
    vector = g.leaf(shape[-1:]) if g.chance(0.6) else g.array(shape[-1:])
    matrix = g.leaf((shape[-1], 2)) if g.chance(0.6) else g.array((shape[-1], 2))
    stack = g.leaf((2, *shape[-1:], 2))
    choices = [f"{x} @ {vector}", f"np.matmul({x}, {matrix})", f"{x} @ {stack}",
               f"{x} @ {matrix} @ np.ones(2)", f"np.outer({x}, {vector})",
               f"np.dot({x}, {g.number()})"]
    if len(shape) < 3:
        choices += [f"np.dot({x}, {vector})", f"np.dot({x}, {matrix})",
                    f"np.inner({x}, {vector})", f"np.inner({x}, {x})",
                    f"{vector} @ {x}.T"]
    return g.pick(*choices)


LINES = often(
    globals(), reduction=5, place=2, counted=1, elementwise=2, builtin=1, binary=5,
    divided=1, clipped=1, chosen=2, chosen_publicly=1, logical=1, compared=2, summed=2,
    moved=6, joined=3, product=4)


def draw(seed, setting, small=False):
    """A program of one to five lines, and its `Expected` numbers."""
    g = Arrays(seed, setting, small)
    lines, tries = int(g.rng.integers(1, 4 if small else 6)), 0
    while lines and tries < 50:
        lines -= g.try_line(pick(g.rng, LINES))
        tries += 1
    return g.program(), g.names


def by_numpy(program):
    """All lines on arrays of NumPy; answers of comparisons are 0.0 and 1.0."""
    names = run_lines(program.only(), None, None, None)
    for name, text in program.lines:
        value = eval(text, names | {"secret": np.asarray, "public": np.asarray})
        names[name] = np.asarray(value, float) if name[0] == "t" else value
    return names


def failure(seed, setting, **options):
    """None, or why a program is wrong: its bounds, or its results on secrets."""
    program, expected = draw(seed, setting)
    plain = by_numpy(program)
    for name in program.results:
        value, bound = np.asarray(plain[name], float), expected[name]
        if value.shape != bound.shape or not np.allclose(
                value, bound.value, rtol=1e-9, atol=1e-9 + bound.error):
            return f"{program}\n# NumPy: {value}, Expected: {bound.value}"
    return check(program, expected, **options)


# -------------------------------------------------------------------- gradients


def leaves(program):
    return [name for name, _ in program.lines if name[0] in "xp"]


def loss_of(program, names):
    """The sum of all results under fixed weights."""
    rng = np.random.default_rng(0)
    results = [names[name] for name in program.results]
    return sum((r * np.round(rng.uniform(0.5, 1.5, r.shape), 2)).sum() for r in results)


def gradients(program, make):
    """{leaf: the gradient}, for a program on Tensors whose values `make` makes."""
    def tensor(array):
        return nn.Tensor(make(np.asarray(array, float)), requires_grad=True)

    names = run_lines(program, tensor, tensor, None)
    loss = loss_of(program, names)
    if not loss.requires_grad:
        return {}
    loss.backward()
    return {name: names[name].grad for name in leaves(program)
            if names[name].grad is not None}


def slopes(program, name, at, step=1e-5):
    """The slopes of the loss to both sides as an entry of a leaf moves."""
    def loss(move):
        def number(array):
            return np.array(array, float)

        names = {"np": np, "rng": np.random.default_rng, "secret": number,
                 "public": number}
        for n, text in program.lines:
            value = eval(text, names)
            names[n] = np.asarray(value, float) if n[0] == "t" else value
            names[n] = move(value) if n == name else names[n]
        return float(loss_of(program, names))

    def shifted(d):
        def move(array):
            array[at] += d
            return array
        return move

    down, here, up = (loss(shifted(d)) for d in (-step, 0, step))
    return (here - down) / step, (up - here) / step


def wrong_gradient(program, secret):
    """None, or why a gradient differs from the slope, or that on secrets from both.

    Also how many entries were compared: where the slopes to both sides differ, the
    loss has no gradient.
    """
    plain = gradients(program, np.array)
    hidden, compared = gradients(program, secret), 0
    for name, g in plain.items():
        g = np.asarray(g, float)
        h = hidden[name]
        h = h if isinstance(h, np.ndarray) else h.get().float_precision()
        size = max(1, *(np.abs(v).max(initial=0) for v in plain.values()))
        if h.shape != g.shape or not np.allclose(h, g, rtol=0, atol=0.02 * size):
            smooth = all(np.allclose(*slopes(program, name, at), atol=1e-3 * size)
                         for at in indices(*map(range, g.shape)))
            if smooth:
                return f"{program}\n# on secrets {h}, on floats {g}", compared
        for at in indices(*map(range, g.shape)):
            down, up = slopes(program, name, at)
            if abs(up - down) < 1e-3 * size and abs(up) < 1e4:      # no jump
                compared += 1
                if abs(g[at] - (up + down) / 2) > 1e-3 * size:
                    return f"{program}\n# {name}{at}: {g[at]}, slope {up}", compared
    return None, compared
