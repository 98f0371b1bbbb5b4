"""The checks of the course's exercises: each takes an answer and prints one line.

    >>> sum_of_shares(...)
    Not yet: put your answer in place of the three dots, then run the cell again.

A check is a function of the answer. It returns None for a correct answer, and otherwise
a sentence that describes the mistake; the decorator `check` prints it. The docstring is
printed after a correct answer. An answer may be a function written by the learner: then
the parameter of the check is called `function`, and the answer counts as empty while it
returns nothing or `...`. Where a task forbids something, such as a look at a secret,
the function gets objects that refuse it: `Shared`, `SharedBit`, `Hidden`, `Limbs`. The
checks are in this module because the cells of a notebook would show the solutions.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from mpc.ring import Z2k, Z2kMinus1

EMPTY = "put your answer in place of the three dots, then run the cell again"


class _Empty(Exception):
    """The learner's function returned nothing yet."""


class Refused(Exception):
    """An answer of the wrong form, or one that does something forbidden."""


def check(function: Callable[[Any], str | None]) -> Callable[[Any], None]:
    """Make a check that prints the result of ``function(answer)``."""
    wants_function = "function" in inspect.signature(function).parameters

    def mistake(answer):
        try:
            if is_empty(answer):
                raise _Empty
            if wants_function and not callable(answer):
                raise Refused(f"the answer is a function, not {answer!r}")
            return function(_watched(answer))
        except _Empty:
            return EMPTY
        except Refused as reason:
            return str(reason)
        except Exception as error:              # one line instead of a traceback
            return f"this answer cannot be used ({type(error).__name__}: {error})"

    @functools.wraps(function)
    def run(answer):
        wrong = mistake(answer)
        print(f"Not yet: {wrong}." if wrong else f"Right. {function.__doc__}")
    run.mistake = mistake       # type: ignore[attr-defined]    # for exercises_de
    return run


def is_empty(answer: Any) -> bool:
    """Is the answer still `...` or None, or a tuple or list that contains one?"""
    parts = answer if isinstance(answer, (tuple, list)) else [answer]
    return any(part is ... or part is None for part in parts)


def _watched(answer):
    if not callable(answer):
        return answer

    @functools.wraps(answer)
    def call(*args, **kwargs):
        result = answer(*args, **kwargs)
        if is_empty(result):
            raise _Empty
        return result
    return call


def expect(holds: Any) -> None:
    """Say if a number of the text does not hold in this run, and go on."""
    if not holds:
        print("The text describes another result here. It is that of the stored run: "
              "with other parameters, on another machine, or after a change of the "
              "program, yours may differ.")


def whole(answer: Any) -> int:
    """A whole number, however it is written: 7, 7.0, "7" or an array of one number."""
    try:
        number = float(answer) if isinstance(answer, str) else np.asarray(answer).item()
        if number == int(number):
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise Refused(f"a whole number is expected, such as 7, and not {answer!r}")


def whole_numbers(answer: Any, n: int | None = None) -> list[int]:
    """Several whole numbers in any form, and exactly `n` if it is given."""
    if isinstance(answer, str):
        answer = [word for word in re.split(r"[\[\](){},;\s]+", answer) if word]
    try:
        found = [whole(number) for number in answer]
    except TypeError:
        found = [whole(answer)]
    if n is not None and len(found) != n:
        raise Refused(f"{n} numbers are expected, and not {len(found)}")
    return found


def differs(answer: Any, right: Any) -> str | None:
    """Describe how an array or number differs from `right`; None if it does not."""
    answer, right = np.asarray(answer), np.asarray(right)
    if answer.shape != right.shape:
        return f"the shape is {answer.shape}, and {right.shape} is expected"
    if not np.array_equal(answer, right):
        n = int((answer != right).sum())
        if right.ndim:
            return f"{n} of {right.size} numbers differ"
        return f"{answer} is not correct"
    return None


# ------------------------------------------------------------ what an answer may do


class _Unseen:
    """A number that nobody knows: all that it does not offer is refused."""

    __array_ufunc__ = None              # NumPy leaves the operators to this class
    __hash__ = None                     # type: ignore[assignment]
    allowed = ""

    def __init__(self, value: Any):
        self.value = value

    def _refuse(self, *others):
        raise Refused(f"nobody knows this number: {self.allowed}")

    __bool__ = __int__ = __float__ = __index__ = __str__ = _refuse
    __abs__ = __invert__ = _refuse
    __eq__ = __ne__ = _refuse           # type: ignore[assignment]
    __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = _refuse
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = _refuse
    __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _refuse
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _refuse
    __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = _refuse


def _value(number):
    """The number in an `_Unseen`, or a known one; NumPy's become Python's."""
    number = getattr(number, "value", number)
    return number.item() if isinstance(number, np.integer) else number


class Shared(_Unseen):
    """A number in shares: sums, and products with numbers that all know.

    `products` counts the products of two such numbers, and None forbids them.
    """

    allowed = "multiply it by common numbers and add, nothing else"

    def __init__(self, value: Any, products: list | None = None):
        super().__init__(value)
        self.products = products

    def _made(self, value):
        return type(self)(value, self.products)

    def __add__(self, other):
        return self._made(self.value + _value(other))

    def __mul__(self, other):
        if isinstance(other, Shared):
            if self.products is None:
                self._refuse()
            self.products.append("one")
        return self._made(self.value * _value(other))

    def __neg__(self):
        return self._made(-self.value)

    def __sub__(self, other):
        return self + -1 * other

    def __rsub__(self, other):
        return -self + other

    __radd__, __rmul__ = __add__, __mul__


class SharedBit(_Unseen):
    """A bit in shares: XOR is free, and AND, a product, may be `allowed`."""

    allowed = "combine bits by ^ alone"

    def __xor__(self, other):
        return type(self)(self.value ^ getattr(other, "value", other))

    __rxor__ = __xor__


class MultipliedBit(SharedBit):
    """A bit in shares whose products with other bits are allowed."""

    allowed = "combine bits by ^ and & alone"

    def __and__(self, other):
        return type(self)(self.value & getattr(other, "value", other))

    __rand__ = __and__


class Hidden(_Unseen):
    """Elements of a ring of which only the lowest bit may be looked at."""

    allowed = "look at nothing but a lowest bit, such as that of ring.add(a, a)"

    def __add__(self, other):
        return Hidden(self.value + getattr(other, "value", other))

    def __and__(self, bit):
        if whole(bit) != 1:
            self._refuse()
        return self.value & np.uint64(1)

    def __mod__(self, two):
        if whole(two) != 2:
            self._refuse()
        return self & 1

    def __mul__(self, number):
        return Hidden(self.value * np.uint64(whole(number)))

    __radd__, __rand__, __rmul__ = __add__, __and__, __mul__


class HiddenRing:
    """The sums and differences of a ring, on `Hidden` elements."""

    def __init__(self, ring: Any):
        self._ring = ring

    def add(self, a, b):
        return Hidden(self._ring.add(a.value, getattr(b, "value", b)))

    def sub(self, a, b):
        return Hidden(self._ring.sub(getattr(a, "value", a), getattr(b, "value", b)))

    def neg(self, a):
        return Hidden(self._ring.neg(a.value))


class Limbs(np.ndarray):
    """Matrices that count their products of floats in `made` and refuse others."""

    made: list = []

    def __array_ufunc__(self, ufunc, method, *inputs, **how):
        plain = [np.asarray(x) if isinstance(x, Limbs) else x for x in inputs]
        if ufunc is np.matmul:
            if any(np.asarray(x).dtype != float for x in plain):
                raise Refused("this multiplies matrices of whole numbers, which is "
                              "slow: multiply the floats, then apply whole()")
            self.made.append("one")
        how.pop("out", None)
        result = getattr(ufunc, method)(*plain, **how)
        return result.view(Limbs) if isinstance(result, np.ndarray) else result

    def dot(self, other):
        return self @ other

    def __array_function__(self, function, types, args, how):
        raise Refused(f"multiply matrices by @, not by np.{function.__name__}")


# ------------------------------------------------------------ 1. Shares of a picture


@check
def round_the_clock(answer):
    """6 + 4 = 10, which is 2: adding 4 is the same as subtracting 4."""
    answer = whole(answer)
    if not 0 <= answer < 8:
        return f"{answer} does not exist: the elements of Z_2^3 are 0 to 7"
    if (6 + answer) % 8 != 2:
        return f"6 + {answer} is {(6 + answer) % 8} on this clock, not 2"


@check
def split_in_three(function):
    """Two masks and the remainder; any two of the three shares still look random."""
    for ring, numbers in ((Z2k(64), [5, 2**63 + 1, 2**62]), (Z2k(3), [3, 7, 6])):
        secret, *masks = (np.array([n], np.uint64) for n in numbers)
        shares = function(secret, *masks, ring)
        if len(shares) != 3:
            return f"{len(shares)} shares for three workers"
        for share in map(np.asarray, shares):
            if np.any(share != ring.reduce(share)):
                return (f"{share[0]} is not an element of {ring}: ring.sub wraps "
                        "around, - does not")
            if np.array_equal(share, secret):
                return "one of the shares is the secret itself: its worker can read it"
        total = ring.sum(np.broadcast_arrays(*shares), axis=0)
        if not np.array_equal(total, secret):
            return (f"the shares of {secret[0]} add up to {total[0]}; "
                    "they must add up to the secret")
    return _two_of_three(function, Z2k(2))


def _two_of_three(split, ring):
    """Compare, for all masks and secrets, how often two workers see their shares."""
    one, two = (m.ravel().astype(np.uint64) for m in np.indices([ring.modulus] * 2))
    tables = {}
    for secret in range(ring.modulus):
        own = split(np.full_like(one, secret), one, two, ring)
        shares = np.stack(np.broadcast_arrays(*own, one)[:3])
        for i, j in combinations(range(3), 2):
            seen = np.sort(shares[i] * np.uint64(ring.modulus) + shares[j])
            if not np.array_equal(tables.setdefault((i, j), seen), seen):
                return (f"workers {i + 1} and {j + 1} can tell secrets apart: in {ring}"
                        f", over all masks, their shares for the secret {secret} occur "
                        "with other frequencies than for 0")


@check
def lazy_masks(answer):
    """Half of the secrets are ruled out: the masks did not cover the whole ring."""
    found, possible = set(whole_numbers(answer)), {7, 0, 1, 2}
    outside = found - set(range(8))
    if outside:
        return f"{sorted(outside)} are not elements of Z_2^3: wrap around at 8"
    if found - possible:
        guess = min(found - possible)
        return f"{guess} is not possible: its mask would be {(guess - 7) % 8}"
    if found != possible:
        return f"there are 4 possible masks, so 4 possible secrets, not {len(found)}"


@check
def negative(function):
    """Only one worker adds a public number: the package does it in `Share.plus`."""
    ring, x = Z2k(64), np.array([0, 18, 253], np.uint64)
    share = np.array([7, 2**63, 2**64 - 1], np.uint64)
    other = function(ring.sub(x, share), 1, ring)
    found = ring.to_int(ring.add(function(share, 0, ring), other))
    if np.array_equal(found, 510 - x.astype(int)):
        return "255 was added twice, once by each worker"
    if np.array_equal(found, -x.astype(int)):
        return "255 is missing: one worker must add it"
    if not np.array_equal(found, 255 - x.astype(int)):
        return f"pixels of brightness {x} become {found}, not {255 - x}"


# ------------------------------------------------------------ 2. The decimal point


@check
def quarter_below_zero(answer):
    """65,286 is 250 below 65,536, which is 0: it represents -250 thousandths."""
    answer = whole(answer)
    if not 0 <= answer < 2**16:
        return f"{answer} does not exist: the elements of Z_2^16 are 0 to 65,535"
    number = (answer - 2**16 * (answer >= 2**15)) / 1000
    if number != -0.25:
        return f"{answer} stands for {number:g}"


@check
def sum_of_two_scales(answer):
    """3,125,000 millionths are 3.125, and no digit is lost."""
    if answer == 3.125:
        return "3.125 is the number itself; its raw value counts millionths"
    answer = whole(answer)
    if answer == 128_000:
        return "this adds raw values of two scales; 3 is 3,000,000 at scale 1,000,000"
    if answer == 3125:
        return "3125 is the sum at scale 1000; give it at scale 1,000,000"
    if answer != 3_125_000:
        return f"at scale 1,000,000 this is {answer / 10**6:g}, not 3.125"


@check
def half_of_bob(function):
    """One worker rounds down and the other up, so errors cancel on average."""
    ring, d = Z2k(12), np.uint64(10)
    mask = np.arange(ring.modulus, dtype=np.uint64)
    for x in (25, 700, -31):
        share = ring.add(ring.from_int(np.array([x])), mask)
        of_bob = np.asarray(function(ring.neg(mask), d, ring))
        if np.any(of_bob != ring.reduce(of_bob)):
            return (f"{of_bob[of_bob != ring.reduce(of_bob)][0]} is no element of "
                    f"{ring}: a minus sign wraps around at 2^64; take ring.neg")
        result = ring.to_int(ring.add(share // d, of_bob))
        if np.array_equal(of_bob, ring.neg(mask)):
            return ("without a division, bob's share is 10 times too large: "
                    f"25 becomes {result[0]}")
        error = result - x / 10
        far = np.abs(error) > 100
        if far.sum() != abs(x):
            return (f"for {x} / 10 the result is far off with {far.sum()} of "
                    f"{ring.modulus} masks; only {abs(x)} are unavoidable")
        mean = error[~far].mean()
        if abs(mean) > 0.01:
            side = "high" if mean > 0 else "low"
            return f"{x} / 10 is {abs(mean):.1f} too {side} on average"


@check
def wrapped_around(function):
    """A common number, and a common number times a share: linear, so it is free."""
    for a in range(16):
        for x in range(8):
            c = (x - a) % 16
            e, t = c >> 3, a >> 3
            found = function(e, Shared(t))
            found = getattr(found, "value", found)
            if found == (c + a >= 16):
                continue
            said = f"l = 4, x = {x}, a = {a}, c = {c}, so e = {e} and t = {t}"
            if found not in (0, 1):
                return f"{said}: {found} came, but a bit is 0 or 1"
            if c + a >= 16:
                return f"{said}: it wrapped around; one top bit of 1 is enough"
            return f"{said}: {c} + {a} is below 16, so it did not wrap around"


@check
def bits_of_the_ring(answer):
    """2^54 is the first power of two above 10^16."""
    answer = whole(answer)
    if not 1 <= answer <= 64:
        return f"{answer} is not a number of bits; take an integer from 1 to 64"
    if 2**answer <= 10**16:
        return (f"with {answer} bits there are errors more often than once in 10^9: "
                f"{1e7 / 2**answer:.1e}")
    if answer > 54:
        return (f"fewer would do: with {answer} bits there is one error in "
                f"{2**answer / 1e7:.1e}")


# ------------------------------------------------------------ 3. Multiplying secrets


@check
def put_together(function):
    """Four pieces of a rectangle: one public, two linear in shares, one dealt."""
    from mpc import Share, World

    world = World(seed=3)
    ring, (alice, bob), one = world.ring, world.workers, np.ones((1, 4), np.uint64)
    x, = world.share(alice, x=(21 * one, ring))
    y, = world.share(bob, y=(2**40 * one, ring))
    (a, a_shares), (b, b_shares) = (world.deal(ring, (4,), name) for name in "ab")
    a_clear, b_clear = ring.sum(a_shares, axis=1), ring.sum(b_shares, axis=1)
    c_clear = ring.mul(a_clear, b_clear)
    c, = world.share(world.crypto_provider, c=(c_clear, ring))
    epsilon, delta = world.open(epsilon=x - a, delta=y - b)
    share = function(a, b, c, epsilon, delta, ring)
    if not isinstance(share, Share):
        return f"the result is a {type(share).__name__}, not a share of the product"
    found, due = ring.sum(share.rows, axis=0), ring.mul(21 * one, 2**40 * one)[0]
    grey, orange = ring.mul(epsilon, delta)[0], c_clear[0]
    blue = ring.sub(ring.sub(due, grey), orange)
    swapped = ring.add(ring.mul(epsilon, a_clear), ring.mul(delta, b_clear))[0]
    mistakes = (
        (ring.sub(due, grey), "the grey piece is missing: one worker must add it"),
        (ring.add(due, grey), "the grey piece was added twice, once for each worker"),
        (ring.sub(due, orange), "the orange piece, a b, is missing"),
        (ring.add(ring.sub(due, blue), swapped),
         "epsilon goes with b, and delta with a; look at the rectangle"))
    for wrong, why in mistakes:
        if np.array_equal(found, wrong):
            return why
    if not np.array_equal(found, due):
        return differs(found, due)
    for worker in (0, 1):               # the other worker's shares are changed
        changed = [Share(world, ring, v.rows + np.uint64(5) * (np.arange(2) != worker)
                         .astype(np.uint64)[:, None]) for v in (a, b, c)]
        again = function(*changed, epsilon, delta, ring)
        if not np.array_equal(again.rows[worker], share.rows[worker]):
            return (f"{world.workers[worker]}'s share depends on the other worker's "
                    "shares: each worker computes with its own")


@check
def bytes_of_a_batch(answer):
    """1,204,224 bytes: a worker sends the factors, of 50,176 and 100,352 elements."""
    answer = whole(answer)
    due = 8 * (64 * 784 + 784 * 128)
    if answer == due // 8:
        return "these are elements, not bytes"
    if answer == 2 * due:
        return "these are the bytes of both workers"
    if answer >= 8 * 64 * 784 * 128:
        return "this opens each factor again for each single product"
    if answer != due:
        return f"{answer:,} is not correct: count the elements of both factors"


@check
def one_product_to_deal(function):
    """Three products in all: one for each worker, and this one for the provider."""
    for a, b in (([1, 2], [3, 1]), ([5, -4], [2, 9]), ([0, 7], [-6, 6])):
        products: list = []
        found = function(*([Shared(v, products) for v in pair] for pair in (a, b)))
        found = getattr(found, "value", found)
        due = 2 * sum(a) * sum(b) - 4 * (a[0] * b[0] + a[1] * b[1])
        if found == due and len(products) > 1:
            return f"this is right, but takes {len(products)} products of shares, not 1"
        if found == due:
            continue
        said = f"a = {a} and b = {b} need {due}, not {found}"
        if found == -due:
            return f"{said}; look at the sign"
        if 2 * found == due:
            return f"{said}; that is half of it"
        if found == due + 4 * (a[0] * b[0] + a[1] * b[1]):
            return f"{said}; the products of each worker must be subtracted"
        return said


@check
def a_word_too_many(function):
    """The mask and the opened value reveal the secret: never tell the dealer."""
    ring, secret = Z2k(64), np.array([0, 18, 253], np.uint64)
    rows = np.array([[7, 2**63, 5], [2**64 - 1, 3, 2**62], [1, 2**40, 8]], np.uint64)
    for shares in (rows[:2], rows):
        mask = ring.sum(shares, axis=0)
        epsilon = ring.sub(secret, mask)
        found = function(epsilon, shares, ring)
        if np.array_equal(found, epsilon):
            return "the mask is still on it"
        if np.array_equal(found, ring.sub(epsilon, mask)):
            return "the mask was subtracted again; it must be added"
        if any(np.array_equal(found, ring.add(epsilon, ring.sum(rows[:n], axis=0)))
               for n in range(1, len(shares))):
            return (f"one share of the mask is missing, or more: there are "
                    f"{len(shares)} workers")
        wrong = differs(found, secret)
        if wrong:
            return wrong


@check
def same_mask(answer):
    """The difference, 26, plus alice's 5 is 31; the mask was 11, but is not needed."""
    answer = whole(answer)
    if not 0 <= answer < 256:
        return f"{answer} does not exist: the elements of Z_2^8 are 0 to 255"
    if answer == 26:
        return "26 is the difference of the secrets; alice knows hers"
    if answer in (235, 230):
        return "the difference is the other way round"
    if answer != 31:
        return (f"under the mask {(answer - 20) % 256}, 5 would be opened as "
                f"{(25 - answer) % 256}, not as 250")


# ------------------------------------------------------------ 4. Comparing secrets


@check
def top_bit(function):
    """In an odd ring, 2a is odd exactly if it wraps around: for a in the upper half."""
    for l in (3, 4, 6):
        ring = Z2kMinus1(l)
        a = np.arange(ring.modulus, dtype=np.uint64)
        bit, right = function(Hidden(a), HiddenRing(ring)), a >> np.uint64(l - 1)
        bit = bit.value if isinstance(bit, Hidden) else np.asarray(bit)
        if bit.max() > 1:
            return f"{bit.max()} is too large, bits are 0 and 1: take the lowest bit"
        if np.array_equal(bit, a & np.uint64(1)):
            return f"this is the lowest bit of a itself: the top bit of {a[1]} is 0"
        if not bit.any():
            return ("every double is even without wrapping around: "
                    "ring.add wraps around, + does not")
        if not np.array_equal(bit, right):
            return f"in {ring}, the top bit of {a[bit != right][0]} is different"


@check
def below(function):
    """One zero if x < t, else none: for t = r + 1 the opposite of x > r."""
    number = np.arange(16)
    bits = number[:, None] >> np.array([3, 2, 1, 0]) & 1
    for x in number:
        for t in number:
            differ = bits[x] ^ bits[t]
            above = np.cumsum(differ) - differ
            c = np.asarray(function(bits[x], bits[t], above))
            zero, pair = bool((c == 0).any()), f"x = {x} and t = {t}"
            if x == t and zero:
                return f"{pair} give a zero, but they are equal, which is not below"
            if ((c == 0) & (above > 0)).any():
                return f"{pair} give {c}: a zero where a place further up has decided"
            if zero and x > t:
                return f"{pair} give {c}, with a zero: that finds x > t, if anything"
            if not zero and x < t:
                return f"{pair} give {c}, without a zero: that finds x > t, if anything"
            if (c == 0).sum() > 1 or (c < 0).any() or (c > 5).any():
                return f"{pair} give {c}: one zero at most, and only numbers 0 to 5"
    for t in bits:                      # the same lines on numbers in shares
        hidden = [np.array([Shared(n) for n in v], object) for v in (bits[5], 0 * t)]
        for c in np.asarray(function(hidden[0], t, hidden[1]), object).ravel():
            if not isinstance(c, (Shared, int, np.integer)):
                return f"{c!r} is not a number in shares"


@check
def smallest_prime(answer):
    """37 is the next prime after 33."""
    answer = whole(answer)
    if answer < 2:
        return f"{answer} is not a modulus"
    if answer <= 33:
        return f"with 32 bits c can be {answer}, which is 0 mod {answer}"
    factor = next((k for k in range(2, int(answer)) if answer % k == 0), None)
    if factor:
        return (f"{answer} is {factor} times {answer // factor}: "
                "a product of non-zero numbers can be 0")
    if answer > 37:
        return f"{answer} works, but so does a smaller one"


@check
def too_large(answer):
    """2 times 8 is 16, the first number of the upper half: the limit is 2^(l-2)."""
    answer = whole(answer)
    if answer not in range(1, 16):
        return f"{answer} is not a positive number of this ring: they go from 1 to 15"
    if answer < 8:
        return f"for {answer} DReLU says 1, and it is right"
    if answer > 8:
        return f"for {answer} DReLU says 0, but there is a smaller one"


@check
def explains(function):
    """The factor s hides one number, but not the ratio of two."""
    p = 67
    for c, s in (((2, 3), 2), ((2, 3), 40), ((66, 1), 5), ((17, 45), 66)):
        d = tuple(s * n % p for n in c)
        if not function(*c, *d, p):
            hint = "" if max(c) * s < p else "reduce mod p: "
            return f"c = {c} and d = {d}: {hint}there is an s, {s}"
    for c, d in (((2, 3), (3, 2)), ((1, 2), (1, 3)), ((17, 45), (45, 17))):
        if function(*c, *d, p):
            return f"c = {c} and d = {d}: no s does that"
    p = 7
    for numbers in np.ndindex((p - 1,) * 4):
        c_0, c_1, d_0, d_1 = (n + 1 for n in numbers)
        due = any(((s * c_0 - d_0) % p, (s * c_1 - d_1) % p) == (0, 0)
                  for s in range(1, p))
        if bool(function(c_0, c_1, d_0, d_1, p)) != due:
            return (f"mod {p}, c = {c_0, c_1} and d = {d_0, d_1}: "
                    f"there is {'an' if due else 'no'} s")


@check
def look_up(function):
    """Two look-ups and an XOR: each worker does that on its own shares."""
    for v in range(16):
        for u in range(16):
            line = [SharedBit(int(v >= i)) for i in range(17)]
            g, p = (getattr(bit, "value", bit) for bit in function(line, u))
            said = f"u = {u}, v = {v}: "
            if g != (u + v >= 16):
                if u + v == 15:
                    return said + "u + v reaches 15 only, which generates no carry"
                return said + f"u + v is {u + v}; from 16 on it generates a carry"
            if p != (u + v == 15):
                if g and p:
                    return said + "this group generates a carry by itself, so let p = 0"
                return said + f"u + v is {u + v}; 15 alone propagates"


# ------------------------------------------------------------ 5. Who sees what


@check
def view_of_alice(answer):
    """Her own shares, and bob's messages: his shares of the two opened values."""
    reasons = {2: "with it she knows the mask a, and so x",
               4: "only the provider knows it",
               6: "with it she knows the result; bob never sends it"}
    names = {1: "her share of x", 3: "bob's share of x - a", 5: "her share of b"}
    answer = whole_numbers(answer)
    for number in answer:
        if number not in {**reasons, **names}:
            return f"there is no number {number} in the list"
        if number in reasons:
            return f"number {number} is not in her view: {reasons[number]}"
    for number, name in names.items():
        if number not in answer:
            return f"one is missing: she could not compute without {name}"


@check
def who_can_tell(answer):
    """Alice knew her shares anyway; bob learns the shares that should hide hers."""
    names = ("alice", "bob")
    if isinstance(answer, str):
        answer = answer.replace(",", " ").split()
    try:
        answer = [str(name).strip().lower() for name in answer]
    except TypeError:
        answer = [str(answer).lower()]
    if len(answer) != 3 or not set(answer) <= set(names):
        return "give three names, each alice or bob"
    others = [(p, q) for p in range(4) for q in range(4)]
    cases = {"alice": [{"x": (1, p), "y": (2, q)} for p, q in others],
             "bob": [{"x": (p, 1), "y": (q, 2)} for p, q in others]}

    def alices(share):
        return lambda v, coins: np.concatenate([share(v, coins), v[1:]])

    bugs = [{"b": alices(lambda v, coins: 0 * v[:1])},
            {"a": alices(lambda v, coins: coins["multiply/b"][:1])},
            {"c": lambda v, coins: coins["multiply/a"][:1]}]
    for number, (name, mutants) in enumerate(zip(answer, bugs, strict=True), 1):
        if not _of_a_product(2, mutants).tells_apart(name, cases[name]):
            return (f"({number}) {name}'s table is the same for all shares of the "
                    "other worker")


def _of_a_product(bits, mutants):
    from mpc.audit.views import Experiment
    from mpc.beaver import multiply

    def step(world, x, y):
        return multiply(world.given(x), world.given(y))

    return Experiment(step, ["a", "b", "c"], bits, mutants=mutants)


@check
def simulator(function):
    """Its table equals the real one: alice could have written her view by herself."""
    z, *coins = (n.ravel().astype(np.uint64) for n in np.indices((4,) * 5))
    names, ring = ("a", "b", "epsilon", "delta", "c"), Z2k(2)
    real = _of_a_product(ring.bits, {})
    for own in ((1, 2), (3, 0)):
        x, y = (np.full_like(z, n) for n in own)
        view = function(x, y, z, coins, ring)
        if len(view) != len(names):
            return f"alice's view has five numbers, {', '.join(names)}; not {len(view)}"
        columns = [ring.reduce(n) for n in np.broadcast_arrays(*view, z)]
        words = functools.reduce(lambda word, n: 4 * word + n.astype(int), columns, 0)
        for others in ((0, 0), (3, 1)):
            x, y = zip(own, others, strict=True)
            due = real.tables(["alice"], x=x, y=y)["alice"][:, 0]
            if np.array_equal(np.sort(words), due):
                continue
            for name, n in zip(names, columns, strict=False):
                if np.ptp(np.bincount(n.astype(int), minlength=4)):
                    return f"in alice's view, {name} is uniform, and in yours it is not"
            if np.array_equal(np.sort(words // 4), np.sort(due // 4)):
                return ("the five numbers are right, but do not fit z: alice computes "
                        "epsilon y + delta a + c from her view, and gets another share")
            return ("each number is uniform, but your five together are not: some of "
                    "them depend on each other")


@check
def one_mask_for_two(function):
    """Each mask alone is perfect, but the difference of the opened values is x - x'."""
    v = np.arange(2 * 2 * 5, dtype=np.uint64).reshape(2, 2, 5)
    found = np.asarray(function(v.copy(), {}))
    if found.shape != v.shape:
        return differs(found, v)
    if not np.array_equal(found[:, 0], v[:, 0]):
        return "the first element has changed; its coin must stay the same"
    others = [(0, 0), (0, 1), (1, 0), (1, 1)]
    pairs = [{"x": ((0, 1), other), "y": ((1, 1), (0, 1))} for other in others]
    if not _of_a_product(1, {"a": function}).tells_apart("alice", pairs):
        return "alice still cannot tell inputs apart: give both elements one coin"
    if not np.array_equal(found[:, 1], v[:, 0]):
        return "alice can tell, but the second coin is not that of the first element"


@check
def triple_of_zeros(mutants):
    """Results are correct and factors are known: only a table of views detects it."""
    if not isinstance(mutants, dict):
        return "the answer is a dictionary, as in MUTANTS"
    for mutant in mutants.values():
        if not callable(mutant):
            return f"{mutant!r} is not a function of (v, coins), like zero"
    step = _of_a_product(2, mutants)
    for worker in (0, 1):
        name = ("alice", "bob")[worker]
        for which in (0, 1):
            if _hidden_part(step, worker, which) < 1:
                return (f"the {('first', 'second')[which]} factor is still hidden from "
                        f"{name}, at least in part")
    world, product = step.run(x=(1, 2), y=(2, 1))
    if np.any(world.ring.sum(product.rows, axis=0) != 3 * 3 % 4):
        return "the product is no longer correct"


def _hidden_part(step, worker, which):
    """The least distance of two tables of a worker, for two values of a factor."""
    from mpc.audit.views import total_variation

    def rows(own, other):
        return (own, other) if worker == 0 else (other, own)

    name, tables = ("alice", "bob")[worker], []
    for value in range(4):
        inputs = [rows(1, value if which == k else 2) for k in (0, 1)]
        tables.append(step.tables([name], x=inputs[0], y=inputs[1])[name])
    return min(total_variation(p, q) for p, q in combinations(tables, 2))


@check
def blind_spot(answer):
    """A table assumes uniform coins; it cannot test how they are drawn."""
    reasons = {**dict.fromkeys((1, 2), "the tables of two elements turn red"),
               **dict.fromkeys((3, 4), "the provider's table turns red"),
               5: "the table turns red at once",
               6: "the table of that party, with all that it sees, turns red"}
    answer = whole(answer)
    if answer not in {*reasons, 7}:
        return f"{answer} is not in the list, which goes from 1 to 7"
    if answer != 7:
        return f"for number {answer} {reasons[answer]}"


# ------------------------------------------------------------ 6. Gradients by hand


@check
def slope(function):
    """For a parabola it is exact, for any step."""
    curves = ("w * w", lambda w: w * w, 6.0), ("5 - 2 w", lambda w: 5 - 2 * w, -2.0)
    for text, f, derivative in curves:
        found = float(function(f, 3.0, 0.25))
        if abs(found - derivative) < 1e-9:
            continue
        said = (f"at w = 3 with h = 0.25 the slope of {text} is {derivative:g}, "
                f"not {found:g}")
        if abs(found - (f(3.25) - f(3)) / 0.25) < 1e-9:
            return f"{said}: this looks to one side only"
        if abs(found - derivative / 2) < 1e-9:
            return f"{said}: divide by the distance of the two points"
        if abs(found - 2 * derivative) < 1e-9:
            return f"{said}, twice the slope: the two points are 2 h apart"
        return said + ": the wrong sign" * (abs(found + derivative) < 1e-9)


@check
def matmul_rules(function):
    """Both rules are matrix products: on shares, each is another Beaver product."""
    rng = np.random.default_rng(0)
    a, b, g = (rng.integers(-3, 4, shape) for shape in ((2, 3), (3, 4), (2, 4)))
    found = function(a, b, g)
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        return "give two gradients: that of a and that of b"
    of_a, of_b = found
    for name, x, found, right in (("a", a, of_a, g @ b.T), ("b", b, of_b, a.T @ g)):
        if np.shape(found) != x.shape:
            return f"the gradient of {name}, {x.shape}, has the shape {np.shape(found)}"
        if not np.array_equal(found, right):
            return f"the shapes are correct, but the gradient of {name} is not"


@check
def three_ways(answer):
    """5 through each factor, and 3: the derivative of x x + 3 x is 2 x + 3."""
    known = {8: "this counts x x through one factor only",
             10: "the path through 3x is missing",
             40: "this is the value of y, not its gradient"}
    answer = whole(answer)
    if answer != 13:
        return known.get(answer, f"{answer} is not correct: add up three gradients")


@check
def products_of_a_step(answer):
    """Forward: one per layer. Backward: one per weight, and one between the layers."""
    forward, backward = whole_numbers(answer, 2)
    if forward != 2:
        return f"{forward} forward: there are two layers, with one matrix product each"
    if backward == 4:
        return "4 backward: one of them is for x, which needs no gradient"
    if backward == 2:
        return "2 backward: two for the weights, but g must also reach the first layer"
    if backward != 3:
        return f"{backward} backward: count the rules that the two products need"


# ------------------------------------------------------------ 7. Training on MNIST


@check
def straddling_batches(answer):
    """Batches 4 and 7: owners change at pictures 214 and 427, not multiples of 64."""
    import data

    due = [i for i, parts in enumerate(data.batches(640, 64, 3), 1) if len(parts) > 1]
    found = sorted(set(whole_numbers(answer)))
    if due == [i + 1 for i in found]:
        return "correct, if one counted from 0; here the first batch is number 1"
    if found != due:
        return (f"{len(set(found) & set(due))} of the batches {found} straddle two "
                f"owners, and {len(due)} of all ten do; owner 1 has pictures 0 to 213")


@check
def comparisons_a_batch(answer):
    """12,288 comparisons: one for each of 192 hidden units and 64 pictures."""
    each, batch, answer = 128 + 64, 64, whole(answer)
    if answer == 2 * each * batch:
        return "the backward pass needs no comparison: it reuses the bits of the ReLUs"
    if answer == each:
        return f"{each} is correct for one picture, but a batch has {batch}"
    if answer == (each + 10) * batch:
        return "no ReLU follows the last layer"
    if answer != each * batch:
        return f"{answer} is not correct: count both hidden layers, for each picture"


@check
def epoch_loss(function):
    """One number per epoch still shows the server that the network learns."""
    import mpc

    world, numbers = mpc.World(seed=7, comparison="carry-tree"), [1.25, 0.75, 0.25]
    roles = {"crypto_provider": world.crypto_provider}
    losses = [mpc.fix_precision(x).share(*world.workers, **roles) for x in numbers]
    before = len(world.ledger.messages)
    result = function(losses)
    sent = world.ledger.messages[before:]
    revealed = len({m.round for m in sent if m.dst == str(world.server)})
    others = {m.dst for m in sent if m.name == "revealed"} - {str(world.server)}
    if others:
        return f"{', '.join(sorted(others))} received a result, too"
    if isinstance(result, mpc.FixedPoint):
        if revealed:
            return ".float_precision() is missing, which decodes the revealed value"
        return "that is still secret: .get() reveals it, .float_precision() decodes it"
    if revealed > 1:
        return (f"the server was told {revealed} numbers for {len(losses)} losses: "
                "add first, then reveal")
    if abs(float(result) - np.mean(numbers)) > 0.002:
        return (f"for the losses {numbers} the result is {float(result):.3f}, "
                "not their mean")


@check
def sabotage(function):
    """All digits are sevens now. One party broke the rules, and nobody can tell."""
    ring, coins = Z2k(64), np.random.default_rng(7)
    share = coins.integers(0, 2**64, 10, np.uint64)
    before = coins.integers(-200, 200, 10)
    of_bob = ring.sub(ring.from_int(before), share)
    changed = np.asarray(function(share.copy(), ring))
    change = (ring.to_int(ring.add(changed, of_bob)) - before) / 1000
    if np.abs(change).max() > 1e9:
        return ("the biases are noise now: alice does not know bob's share, so she can "
                "add to her own but not replace it")
    lead = change[7] - np.delete(change, 7).max()
    if lead < 5:
        return (f"the 7 gains only {lead:g} over the others, not 5; "
                "shares are in thousandths")


@check
def membership(answer):
    """Over half of the guesses are correct: the model reveals its training data."""
    threshold, inside, outside = answer
    threshold = np.asarray(threshold, float).item()
    inside, outside = np.asarray(inside)[::2], np.asarray(outside)[::2]

    def rates(t):
        return np.mean(inside < t), np.mean(outside >= t)

    found = rates(threshold)
    best = max(np.mean(rates(t)) for t in np.concatenate([inside, outside]))
    if np.mean(found) < best - 0.02:
        return (f"with {threshold:g}, {100 * found[0]:.0f} % of the members and "
                f"{100 * found[1]:.0f} % of the others are guessed correctly; a better "
                "threshold is where the two histograms cross")


# ------------------------------------------------------------ 8. More workers


@check
def bytes_of_an_opening(function):
    """Each worker sends its share to all others: n (n - 1) messages in one round."""
    for k, n in ((2, 784), (3, 784), (5, 10)):
        found, due = function(k, n), 8 * k * (k - 1) * n
        if found == due:
            continue
        said = f"{found:,} bytes is wrong for {k} workers and {n} elements"
        if found == 8 * k * n:
            return f"{said}; each worker sends to all others, perhaps more than one"
        if found == 8 * k * k * n:
            return f"{said}; no worker sends its share to itself"
        if found == 8 * (k - 1) * n:
            return f"{said}; one worker sends that, but all workers send"
        return f"{said}; these are elements, not bytes" if 8 * found == due else said


@check
def two_groups(function):
    """A pair of groups behaves like one group, and so does a pair of pairs."""
    groups = [(0, 0), (0, 1), (1, 0)]
    for high in groups:
        for low in groups:
            g, p = function(*(tuple(map(MultipliedBit, pair)) for pair in (high, low)))
            g, p = (getattr(bit, "value", bit) for bit in (g, p))
            for carry in (0, 1):
                due = high[0] ^ (high[1] & (low[0] ^ (low[1] & carry)))
                if (int(g) ^ (int(p) & carry)) == due:
                    continue
                where = f"high {high}, low {low}: "
                if low[0] and not carry and due:
                    return where + "the low group makes a carry and the high passes it"
                if low[0] and not due and not high[0]:
                    return where + "the other way round: the high group stops a carry"
                return where + "a carry gets through only if both groups pass it on"


@check
def seconds_on_a_network(function):
    """21 rounds and 2 MB: 0.58 s between cities, 0.42 s of it waiting for messages."""
    for rounds, nbytes in ((21, 0), (0, 2_000_000), (21, 2_000_000)):
        for rtt, bandwidth in ((0.3, 1000), (40, 100)):
            found = float(function(rounds, nbytes, rtt, bandwidth))
            due = rounds * rtt / 2e3 + 8 * nbytes / (bandwidth * 1e6)
            if abs(found - due) < 1e-9:
                continue
            said = (f"{rounds} rounds and {nbytes:,} bytes at {rtt:g} ms and "
                    f"{bandwidth:g} Mbit/s take {due:g} s, not {found:g}")
            if rounds and abs(found - due - 0.4995 * rounds * rtt) < 1e-9:
                return f"{said}; rtt is in milliseconds"
            if rounds and abs(found - due - rounds * rtt / 2e3) < 1e-9:
                return f"{said}; a message takes half of rtt, and nobody answers"
            if nbytes and not rounds and abs(8 * found - due) < 1e-9:
                return f"{said}; a byte has eight bits"
            return said


# ------------------------------------------------------------ 9. Making it fast


@check
def six_products(function):
    """Exact with floating-point products; the three other products are 0 mod 2^64."""
    from mpc.limbs import matmul_mod, split_limbs

    rng = np.random.default_rng(9)
    x = rng.integers(0, 2**64, (5, 300), np.uint64)
    y = rng.integers(0, 2**64, (300, 4), np.uint64)
    a, b = split_limbs(x), split_limbs(y)
    Limbs.made.clear()
    found = function(*([v.view(Limbs) for v in limbs] for limbs in (a, b)))
    found = np.asarray(found)
    if len(Limbs.made) > 6:
        return f"this takes {len(Limbs.made)} products of floats, and six are enough"
    if found.dtype == float:
        return ("these are floats, not words: convert each bracket by whole(), then "
                "shift the words")
    if found.dtype != np.uint64:
        return f"the words are {found.dtype}, not uint64"
    due = matmul_mod(x, y)
    for i in range(3):
        terms = [(a[j] @ b[i - j]).astype(np.int64).view(np.uint64) << np.uint64(22 * i)
                 for j in range(i + 1)]
        if np.array_equal(found + sum(terms), due):
            return f"the bracket of 2^{22 * i} is missing"
        for j, term in enumerate(terms):
            if np.array_equal(found + term, due):
                return f"a{j} b{i - j} is missing"
    return differs(found, due)


@check
def shorter_limbs(answer):
    """2^21 is ample for any matrix, but four limbs need ten products instead of six."""
    known = {2**23: "that is right for one product, but the bracket adds up four",
             2**19: "the limbs are signed: 15 of their 16 bits hold the size",
             2**21 - 1: "2^53 itself is still exact, so K may be larger by 1"}
    answer = whole(answer)
    if answer != 2**21:
        excess = 4 * answer * 2**30 / 2**53
        return known.get(answer, f"4 K 2^30 is {excess:g} times the limit")


@check
def before_or_behind(answer):
    """100,352 numbers or 8,192: twelve times fewer openings for the same update."""
    product, gradient = whole_numbers(answer, 2)
    if (product, gradient) == (64 * 128, 784 * 128):
        return "this is the other way round"
    if product != 784 * 128:
        return f"{product:,} for the product: it has the shape of the weights"
    if gradient != 64 * 128:
        return f"{gradient:,} for d: it has 64 rows of 128"


# ------------------------------------------------------------ 10. Whoever cheats


@check
def share_of_a_seal(answer):
    """173 times 11 is 1,903, which is 111; and 200 + 167 = 367, which is 111, too."""
    known = {111: "that is the whole seal; alice has 200 of it",
             184: "a seal is the secret times the key, not plus",
             7: "the ring wraps around at 256, not at 16"}
    answer = whole(answer)
    if not 0 <= answer < 256:
        return (f"{answer} does not exist: the elements of Z_2^8 are 0 to 255, so it "
                "wraps around at 256")
    total = (answer + 200) % 256
    if total != 111:
        return known.get(answer, f"alice's 200 and this {answer} add up to {total}, "
                                 "not to the seal")


@check
def forged_seal(answer):
    """Half of the keys are even, and then 8 alpha is 0: a coin toss decides."""
    e, guess = whole_numbers(answer, 2)
    if e % 16 == 0:
        return f"an error of {e} changes nothing: it is 0 in Z_2^4"
    right = sum((alpha * e - guess) % 16 == 0 for alpha in range(16))
    if right != 8:
        return f"{right} of 16 keys let this pass"


@check
def spare_bits(answer):
    """15 in 16,384: two bits more than the ten that a thousand seems to ask for."""
    answer = whole(answer)
    if answer < 0:
        return f"{answer} bits do not exist"
    p = (answer + 3) / 2.0 ** (answer + 2)
    if p >= 1 / 1000:
        return f"with {answer} it passes more often than once in 1,000: {p:.2g}"
    if answer > 12:
        return f"with {answer} it passes once in {1 / p:,.6g} runs; fewer are enough"


@check
def lies_that_cancel(answer):
    """The sum is 0 times alpha, for every key: no luck is needed."""
    one, other = whole_numbers(answer, 2)
    for name, e in (("e0", one), ("e1", other)):
        if e % 16 == 0:
            return f"{name} = {e} changes no value: it is a multiple of 16"
    total = (3 * one + 5 * other) % 256
    if total:
        return f"3 e0 + 5 e1 is {total}, so the check finds {total} times the key"


@check
def order_of_a_reveal(answer):
    """First all is opened, then it is checked, and only then a result leaves."""
    steps = "ocshwp"
    answer = re.findall(r"\w", "".join(answer).lower())
    if sorted(answer) != sorted(steps):
        return f"give a string with each letter once: {', '.join(sorted(steps))}"
    at = {letter: answer.index(letter) for letter in steps}
    if at["p"] < at["w"]:
        return ("a pad leaves before the check is over: a cheat who receives the "
                "result would know it, and be caught too late")
    if at["s"] < at["c"]:
        return "a seed is shown before all are committed: bob could choose his last"
    if at["s"] < at["o"]:
        return ("the coefficients are known before everything is opened: bob can "
                "choose errors that cancel")
    if at["h"] < at["s"]:
        return "no sigma can be computed before the seeds are known"
    if at["w"] < at["h"]:
        return "sigma is shown before all are committed: bob could choose his last"


@check
def caught_or_not(answer):
    """A seal vouches for the computation, as long as no cheat knows the key."""
    missed = {2: "they are her own data, and their seals fit",
              3: "the seal fits the wrong c, since the provider knows the key",
              6: "together they know the key, and can forge any seal"}
    answer = whole_numbers(answer)
    for number in answer:
        if number not in range(1, 7):
            return f"there is no number {number} in the list"
        if number in missed:
            return f"number {number} is not noticed: {missed[number]}"
    for number, why in ((1, "the opened number does not fit its seal"),
                        (4, "the server has a hash of it from the provider"),
                        (5, "it does not fit the seal of the new number")):
        if number not in answer:
            return f"number {number} is noticed: {why}"


# ------------------------------------------------------------ 12. Who is the provider?


@check
def a_word_for_a_choice(function):
    """g^b is uniform in the group, and so is its product with anything in it."""
    p, g = 23, 2
    for a, b, choice in ((3, 5, 0), (3, 5, 1), (7, 4, 1), (7, 9, 0)):
        offer = pow(g, a, p)
        found, due = function(offer, b, choice, p, g), pow(g, b, p)
        due = due * offer % p if choice else due
        if found == due:
            continue
        said = f"offer {offer}, b = {b}, choice {choice}: {found} came"
        if found % p == due:
            return f"{said}, which is no element modulo 23: wrap around"
        if found == (offer if choice else 1):
            return f"{said}, without b: the sender would see the choice"
        if found == pow(g, b, p):
            return f"{said}, the same as for choice 0: it must fit message 1"
        if found == pow(g, b, p) * offer % p:
            return f"{said}: the offer belongs to choice 1 alone"
        return f"{said}, and {due} is expected"


@check
def messages_of_bob(function):
    """Both have the same mask, so alice gets r plus her bit times 2^i y."""
    for i, y, r, modulus in ((0, 5, 9, 16), (2, 3, 7, 16), (3, 3, 1, 16)):
        found = [int(m) % modulus for m in function(i, y, r, modulus)]
        due = [r % modulus, (r + 2**i * y) % modulus]
        if found == due:
            continue
        said = f"i = {i}, y = {y}, r = {r}: {tuple(found)}"
        if found == [0, 2**i * y % modulus]:
            return f"{said} has no mask: alice would read y"
        if found == [due[0], 2**i * y % modulus]:
            return f"{said}: the second message has no mask"
        if found == due[::-1]:
            return f"{said} is the wrong way round: message 0 is for a bit of 0"
        if found == [due[0], (r + y) % modulus]:
            return f"{said}: bit i of x counts 2^i"
        return f"{said}, and {tuple(due)} is expected"


@check
def transfers_of_a_triple(answer):
    """Two mixed products, a transfer for each of 64 bits: 128 for one triple."""
    known = {64: "that is one product of two numbers, and a triple needs two",
             256: "each worker makes one product on its own, without a message",
             4096: "one transfer serves a bit of x and all bits of y",
             32: "each bit of a number takes a transfer"}
    answer = whole(answer)
    if answer != 128:
        return known.get(answer, f"{answer} is not correct: count the mixed products")


@check
def under_encryption(function):
    """Bob computes on numbers that he cannot read, and hides his own under a mask."""
    from mpc.course.dealers import decrypt, encrypt, paillier

    key = paillier(1009, 1013)
    n = key.n
    for a_0, b_0, a_1, b_1, mask in ((2, 3, 5, 7, 100), (9, 4, 1, 8, 77)):
        of_a, of_b, of_mask = (encrypt(n, v, r) for v, r in
                               ((a_0, 17), (b_0, 23), (mask, 31)))
        found = int(function(of_a, of_b, a_1, b_1, of_mask, n))
        read, due = decrypt(key, found % n**2), a_0 * b_1 + b_0 * a_1 + mask
        if read == due and 0 <= found < n**2:
            continue
        said = f"alice reads {read} instead of {due}"
        if read == due:
            return "this is correct, but it grows too long: reduce it modulo n^2"
        if read == due - mask:
            return f"{said}: without the mask she learns about bob's shares"
        if found == of_a**b_1 * of_b**a_1 * of_mask % n:
            return f"{said}: ciphertexts are numbers modulo n^2, not n"
        if read == (a_0 * a_1 + b_0 * b_1 + mask) % n:
            return f"{said}: the shares belong crosswise"
        if found % n**2 == (pow(of_a, b_1, n**2) + pow(of_b, a_1, n**2)
                            + of_mask) % n**2:
            return f"{said}: to add numbers, multiply their ciphertexts"
        if read == (a_0 + b_1 + b_0 + a_1 + mask) % n:
            return f"{said}: to multiply by a number, take a power"
        return said


@check
def more_than(function):
    """The line of the carry tree's table, from a point function, by XOR alone."""
    rng = np.random.default_rng(12)
    for v in (9, 3, 0, 15):
        alice = [int(bit) for bit in rng.integers(0, 2, 16)]
        bob = [bit ^ (x == v) for x, bit in enumerate(alice)]
        found = [[int(bit) for bit in function(list(own))] for own in (alice, bob)]
        if {len(line) for line in found} != {15}:
            return f"{len(found[0])} bits came, and 15 are expected: i from 0 to 14"
        if any(bit not in (0, 1) for line in found for bit in line):
            return f"{max(found[0])} is no bit: a sum is the XOR only modulo 2"
        bits = [one ^ other for one, other in zip(*found, strict=True)]
        if bits == [int(v > i) for i in range(15)]:
            continue
        said = f"v = {v}: "
        if bits == [int(v >= i) for i in range(15)]:
            return said + "this is [v >= i]; begin after i"
        if bits == [int(v <= i) for i in range(15)]:
            return said + "this is [v <= i], the other side of i"
        if bits == [int(v < i) for i in range(15)]:
            return said + "this is [v < i], the other side of i"
        return said + ("the XOR of both lines is wrong; nothing can be decided by a "
                       "look at one worker's shares alone")


@check
def which_way(answer):
    """Count those who compute, how often they can talk, and who must be trusted."""
    if isinstance(answer, str):
        answer = re.findall(r"\w+", answer)
    words = [str(word).upper() for word in answer]
    if len(words) != 3 or not set(words) <= {"MPC", "FHE", "TEE", "FL"}:
        return "give three of MPC, FHE, TEE and FL"
    reasons = {
        "FHE": "one of two that can both compute need not do all of it, at 10,000 times"
               " the cost or more",
        "TEE": "a chip asks for trust in its maker",
        "FL": "federated learning trains a model, and updates would be seen",
        "MPC": "a second party must compute and talk in rounds"}
    if words[0] != "MPC":
        return f"(1) {reasons[words[0]]}"
    if words[1] != "FHE":
        more = ", and there is no second server" if words[1] == "MPC" else ""
        return f"(2) {reasons[words[1]]}{more}"
    if words[2] != "FL":
        return (f"(3) with {words[2]} the text of a million phones would be encrypted "
                "or shared, and moved")


# ------------------------------------------------------------ 11. What results tell


@check
def threshold_for_few_alarms(function):
    """Chosen on models that the attacker has trained, and then used on the target."""
    rng = np.random.default_rng(11)
    for others in (rng.gamma(2, 0.3, 1000), rng.gamma(1, 1, 5000), np.arange(1.0, 501)):
        threshold = float(function(others.copy()))
        rate = np.mean(others < threshold)
        if rate > 0.01:
            return (f"{100 * rate:.3g} % of those who were never in the training are "
                    "accused; 1 % at most")
        if rate < 0.007:
            return (f"{100 * rate:.2g} % are accused, so fewer members are found than "
                    "1 % allows: a larger threshold")


@check
def label_of_a_loss(function):
    """The printed loss is rounded, so the nearest one wins."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        ten = np.round(rng.uniform(0.9, 1.1), 4) + rng.permutation(10) * 0.004
        label = int(rng.integers(10))
        for off in (0.001, -0.001):
            shown = ten[label] + off
            found = function(ten.copy(), float(shown))
            if np.shape(found):
                return "a list came: no loss may be equal, since the losses are rounded"
            if found not in range(10):
                return f"{found} is no label from 0 to 9"
            if found != label:
                said = f"the loss shown is {shown:.3f}, and label {found} would give "
                return f"{said}{ten[int(found)]:.3f}; another one is nearer"


@check
def odds_of_an_answer(answer):
    """log 3, about 1.1: each answer is at most 3 times as likely for a yes as for a no.
    """
    known = ((3, "that is the ratio e^epsilon; epsilon is its logarithm"),
             (np.log(3 / 4), "compare two people, not a person and its answer"),
             (0.75, "that is the chance of a true answer"),
             (np.log10(3), "that is a logarithm to base 10; take the natural one"),
             (np.log2(3), "that is a logarithm to base 2; take the natural one"))
    answer = np.asarray(answer, float).item()
    if abs(answer - np.log(3)) < 0.005:
        return None
    for number, why in known:
        if abs(answer - number) < 0.005:
            return why
    return f"e^{answer:.3g} is {np.exp(answer):.3g}, not the largest ratio in a column"


@check
def clipped(function):
    """Long gradients become as long as the bound, and short ones stay what they are."""
    for gradient, bound in (([3.0, 4.0], 1.0), ([0.3, -0.4], 1.0), ([6.0, 8.0], 5.0),
                            ([0.0, 0.0], 1.0)):
        g = np.array(gradient)
        with np.errstate(all="ignore"):
            found = np.asarray(function(g.copy(), bound), float)
        if found.shape != g.shape:
            return differs(found, g)
        length, due = np.linalg.norm(g), min(np.linalg.norm(g), bound)
        said = f"{gradient} with bound {bound:g} becomes {found.round(3).tolist()}"
        if not np.isfinite(found).all():
            return f"{said}: a gradient of length 0 must stay as it is"
        if np.linalg.norm(found) > bound + 1e-9:
            return f"{said}, of length {np.linalg.norm(found):.3g}: too long"
        if np.allclose(found, g * (due / length if length else 1)):
            continue
        if length <= bound:
            return f"{said}, but it was short enough"
        return f"{said}: only the length may change, not the direction"


@check
def excess(function):
    """What e^epsilon times the other distribution does not cover, summed up."""
    p, q = np.array([0.5, 0.3, 0.2, 0.0]), np.array([0.2, 0.1, 0.4, 0.3])
    for epsilon in (0.3, 0.9, 0.0):
        found = float(function(p.copy(), q.copy(), epsilon))
        due = np.maximum(p - np.exp(epsilon) * q, 0).sum()
        if abs(found - due) < 1e-9:
            continue
        said = f"epsilon = {epsilon:g}: {found:.4g} instead of {due:.4g}"
        if abs(found - (p - np.exp(epsilon) * q).sum()) < 1e-9:
            return f"{said}; negative differences must count as 0"
        if abs(found - p[p > np.exp(epsilon) * q].sum()) < 1e-9:
            return f"{said}; only the part of P above e^epsilon Q counts"
        if abs(found - np.maximum(p - epsilon * q, 0).sum()) < 1e-9:
            return f"{said}; the factor is e^epsilon"
        if abs(found - np.maximum(p - np.exp(epsilon) * q, 0).max()) < 1e-9:
            return f"{said}; add up all results, not the largest alone"
        return said
