"""One program, run by NumPy and by the library, and where they differ.

A program is a list of lines of Python such as

    x0 = secret(np.array([2.0, 3.0, 4.0]))
    m1 = np.array([1, 0, 1], np.int8)
    t2 = x0 * m1
    t3 = t2 - 1

and it runs twice: with `FixedPoint` behind `secret` it is the program under test; with
`expected.Expected` behind it the same lines give NumPy's numbers and the errors that
are allowed. A program that fails is reduced to the few lines that show the failure.
"""

import ast
import collections
import re
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from expected import Format, LeftRange, encoded, expected_concatenate

import mpc

# x: a secret, p: a public FixedPoint, m: a public array, t: a result
NAME = re.compile(r"\b[xpmt]\d+\b")


class Setting(NamedTuple):
    """A Format, and the World it is used in."""

    format: Format
    comparison: str = "securenn"
    truncation: str = "provider"

    def world(self, seed, **options):
        return mpc.World(self.format.workers, seed=seed, ring_bits=self.format.bits,
                         comparison=self.comparison, truncation=self.truncation,
                         **options)

    def __str__(self):
        f = self.format
        return (f"{f.digits} digits in base {f.base} over Z_2^{f.bits}, {f.workers} "
                f"workers, {self.comparison}, {self.truncation} truncation")


class Program(NamedTuple):
    """Lines (name, text) of Python; those that no later line uses are the results."""

    seed: tuple             # of the run, and the number of the program in it
    setting: Setting
    lines: tuple

    @property
    def results(self):
        used = names_in(*(text for _, text in self.lines))
        return [name for name, _ in self.lines if name not in used]

    def only(self, *results):
        """Only the lines that these results need."""
        needed, kept = set(results), []
        for name, text in reversed(self.lines):
            if name in needed:
                needed |= names_in(text)
                kept.append((name, text))
        return self._replace(lines=tuple(reversed(kept)))

    def without(self, name, operand):
        """The program without the line `name`, replaced by one of its operands."""
        lines = [(n, re.sub(rf"\b{name}\b", operand, text)) for n, text in self.lines
                 if n != name]
        kept = [n for n in self.results if n != name] or [operand]
        return self._replace(lines=tuple(lines)).only(*kept)

    def __str__(self):
        """Readable Python: a line that is used once is written where it is used."""
        uses = collections.Counter(n for _, text in self.lines
                                   for n in NAME.findall(text))
        inlined, shown = {}, []
        for name, text in self.lines:
            text = NAME.sub(lambda m: inlined.get(m[0], m[0]), text)
            if uses[name] == 1 and (name[0] == "t" or name[0] == "m"
                                    and len(text) < 40):
                inlined[name] = f"({text})"
            else:
                shown.append(f"{name} = {ast.unparse(ast.parse(text))}")
        seed, number = self.seed
        title = f"# --seed {seed} --first {number} --programs 1: {self.setting}"
        return "\n".join([title, *shown])


def names_in(*texts):
    return {name for text in texts for name in NAME.findall(text)}


# -------------------------------------------------------------------- both runs


def expect(program, format=None):
    """All lines in NumPy: {name: Expected, or an array}. Raises LeftRange."""
    format = format or program.setting.format
    return run_lines(program, lambda a: encoded(format, a),
                     lambda a: encoded(format, a, secret=False), expected_concatenate)


def compute(program, **options):
    """All lines in a World with these options: {name: FixedPoint, or an array}."""
    format, seed = program.setting.format, program.seed[1]
    world = program.setting.world(seed, **options)

    def public(array):
        return mpc.fix_precision(array, format.digits, format.base, ring=world.ring,
                                 rounding_seed=seed)

    def secret(array):
        return public(array).share(*world.workers,
                                   crypto_provider=world.crypto_provider)

    return run_lines(program, secret, public, mpc.concatenate)


def run_lines(program, secret, public, concatenate):
    names = {"np": np, "Fraction": Fraction, "Decimal": Decimal,
             "rng": np.random.default_rng, "secret": secret, "public": public,
             "concatenate": concatenate}
    for name, text in program.lines:
        names[name] = eval(text, names)
    return names


# -------------------------------------------------------------------- the comparison


class Failure(NamedTuple):
    """The failure of a program: "wrong" or the name of an error, and the details."""

    kind: str
    detail: str
    program: Program

    def __str__(self):
        return f"{self.program}\n# {self.detail}\n"


def check(program, expected=None, refusals=(), **options):
    """None, or the Failure: the program is refused, or a result exceeds its bound.

    Errors of the types `refusals` are raised; any other refusal is a failure.
    """
    expected = expected or expect(program)
    try:
        computed = compute(program, **options)
        revealed = {name: computed[name].get().float_precision()
                    for name in program.results}
    except refusals:
        raise
    except Exception as error:
        return Failure(type(error).__name__, f"{type(error).__name__}: {error}",
                       program)
    for name in program.results:
        problem = difference(revealed[name], expected[name])
        if problem:
            return Failure("wrong", f"{name}: {problem}", program)
    return None


def check_beyond(program, refusals, **options):
    """None if a program that leaves the range is refused, or correct nevertheless."""
    unlimited = program.setting.format._replace(bits=900)
    try:
        return check(program, expect(program, unlimited), refusals, **options)
    except refusals:
        return None


def difference(got, expected):
    """The difference of a revealed array from the expected one in words, or None."""
    if got.shape != expected.shape:
        return f"shape {got.shape}, NumPy has {expected.shape}"
    bound = expected.revealed_error
    bad = ~(np.abs(got - expected.value) <= bound)
    if not bad.any():
        return None
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    return (f"{got[place]} at {place}, NumPy has {expected.value[place]}, bound "
            f"{bound[place]:.3g}; {bad.sum()} of {bad.size} are wrong")


def smallest(failure, **options):
    """The Failure of the fewest lines that fail in the same way."""
    def fails(program):
        try:
            found = check(program, **options)
        except (LeftRange, ValueError, IndexError):     # NumPy refuses it
            return None
        return found and found.kind == failure.kind and found

    program = failure.program
    for name, _ in program.lines:               # the first line that fails alone
        shorter = name[0] == "t" and fails(program.only(name))
        if shorter:
            failure = shorter
            break
    for name, text in reversed(failure.program.lines):      # then drop line by line
        for operand in sorted(names_in(text)):
            if name in dict(failure.program.lines) and operand[0] != "m":
                failure = fails(failure.program.without(name, operand)) or failure
    return failure


def skeleton(failure):
    """The kind of a failure and its last line without names and numbers."""
    _, text = failure.program.lines[-1]
    text = re.sub(r"(np\.\w+|Fraction|Decimal)\([^()]*\)|True|False", "c",
                  NAME.sub("x", text))
    return f"{failure.kind}: " + re.sub(r"-?\b\d[\d.e+-]*", "c", text)
