"""Fixed point: ring elements with a decimal point, and every operator that a user writes.

A real number is kept as ``raw / scale``; the scale is ``base ** (precision * depth) * factor *
finer``:

    depth 0     an integer, such as a comparison's bit       scale 1
    depth 1     an ordinary number                           scale 1000, for three decimal digits
    depth 2     a product, before its truncation             scale 1,000,000

A product adds the depths of its operands, and the truncation that brings depth 2 back to 1 waits
until the value is used. A bit times a value therefore needs none. A public number costs nothing at
all: a value at scale S, times 0.02, is the same raw value at scale S / 0.02 = 50 S. Such public
divisors gather in `factor`; one truncation takes them all in when the value meets another scale, as
when a gradient meets its weight.

A weight moves by far less than it is. It may be kept `finer` than other numbers, by a whole factor,
and the gradient g from which its update x.T @ g is made is brought to just this factor beforehand
(`aimed`): the product of 784 x 128 elements needs no truncation, since the 64 x 128 of g had one.
"""

import functools
from fractions import Fraction
from math import gcd
from numbers import Number

import numpy as np

from mpc import beaver, either
from mpc.either import Clear, Public
from mpc.ring import Z2k
from mpc.share import Private, Share, concatenate as join


def _numeric(operator):
    """A binary operator of FixedPoint, left to the other operand if that is no number or array."""
    @functools.wraps(operator)
    def checked(self, other):
        if isinstance(other, FixedPoint):
            _same_format(self, other)
        elif not isinstance(other, (Number, np.ndarray, np.generic)):
            return NotImplemented
        return operator(self, other)
    return checked


class FixedPoint:
    """An array of numbers with a fixed decimal point, over one of three kinds of value.

    Clear (public), Share (secret) or Private (what one role alone holds, such as its data before
    they are shared or a result that was revealed to it). Shapes and axes are those of the array.
    """

    __array_ufunc__ = None
    __hash__ = None

    def __init__(self, value, base=10, precision=3, depth=1, factor=1, finer=1):
        self.value, self.base, self.precision = value, base, precision
        self.depth, self.factor, self.finer = depth, factor, finer
        self._truncated = None      # the same number as an operand, once a product needed it
        self._bit = False           # the answer of a comparison, 0 or 1

    @property
    def scale(self):
        """What raw ring elements are divided by."""
        return self.base ** (self.precision * self.depth) * self.factor * self.finer

    @property
    def shape(self):
        return self.value.shape

    @property
    def ndim(self):
        return self.value.ndim

    @property
    def ring(self):
        return self.value.ring

    @property
    def _number(self):
        """The value as an operand: what one role alone holds is none."""
        if isinstance(self.value, Private):
            raise TypeError(f"fixed point: {self.value.role} alone holds this value; share() it to "
                            "compute with it, or decode it with float_precision()")
        return self.value

    def _with(self, value, depth=None, factor=None, finer=None):
        return FixedPoint(value, self.base, self.precision,
                          self.depth if depth is None else depth,
                          self.factor if factor is None else factor,
                          self.finer if finer is None else finer)

    def __repr__(self):
        unit = f"{self.precision} {'decimal' if self.base == 10 else f'base-{self.base}'} digits"
        scale = f", scale {self.scale}" * (self.scale != self.base ** self.precision)
        if isinstance(self.value, Share) and not isinstance(self.value, Clear):
            return f"FixedPoint({unit}{scale}) > {self.value!r}"
        holder = "public" if isinstance(self.value, Clear) else f"known to {self.value.role}"
        numbers = np.array2string(self.float_precision(), prefix=" " * 4)
        return f"FixedPoint({unit}{scale}), {holder}\n    {numbers}"

    # ------------------------------------------------------------------ scales

    def _at(self, depth, factor=1, finer=1):
        """The same number at another scale: multiplied up for free, or truncated."""
        ratio = Fraction(self._with(self._number, depth, factor, finer).scale, self.scale)
        value = either.times_integer(self.value, ratio.numerator)
        return self._with(either.scale_down(value, ratio.denominator), depth, factor, finer)

    def aimed(self, weight, x, number=1):
        """This gradient at the scale at which ``number * x.T @ gradient`` has that of a finer
        `weight`; `number` is public and multiplies that product afterwards."""
        if not (isinstance(weight, FixedPoint) and isinstance(x, FixedPoint) and weight.finer > 1
                and number):
            return self
        products = 2 if either.in_three(x.value, self.value) else 1     # the doubled one, or one
        return self._at(weight.depth - min(x.depth, 1),
                        Fraction(weight.factor, products) * abs(as_fraction(number)), weight.finer)

    def _settled(self):
        """Ready for a product: the truncation that an earlier one left is done now, and once."""
        if self.depth <= 1:
            return self._with(self._number)
        if self._truncated is None:
            self._truncated = self._at(1, self.factor)
        return self._truncated

    def _pair(self, other):
        """Both operands of a sum or comparison, at one scale."""
        if not isinstance(other, FixedPoint):
            numbers = np.asarray(other, float)
            mine = self._at(1) if self.depth == 0 and np.any(numbers % 1) else self
            return mine, mine._public(numbers)
        if (self.depth, self.factor, self.finer) == (other.depth, other.factor, other.finer):
            return self, other
        finer = min(self.finer, other.finer)
        return self._at(1, finer=finer), other._at(1, finer=finer)

    def _public(self, numbers):
        """Public `numbers` at the scale of this value."""
        raw = encode(numbers, self.scale, self.ring)[None]
        like = self._number
        return self._with(Clear(Public() if either.secret(like) else like.world, like.ring, raw))

    def _factor(self, other):
        """`other` as an operand of a product: a public array has depth 1."""
        if isinstance(other, FixedPoint):
            return other
        return self._with(self.value, 1, 1, 1)._public(np.asarray(other, float))

    # ------------------------------------------------------------------ arithmetic

    @_numeric
    def __add__(self, other):
        x, y = self._pair(other)
        return x._with(either.add(x.value, y.value))

    def __neg__(self):
        return self._with(-self._number)

    @_numeric
    def __sub__(self, other):
        x, y = self._pair(other)
        return x._with(either.add(x.value, -y.value))

    @_numeric
    def __rsub__(self, other):
        return -self + other

    @_numeric
    def __mul__(self, other):
        if not isinstance(other, FixedPoint) and np.ndim(other) == 0:
            return self._times_number(as_fraction(other))
        return self._product(self._factor(other), either.multiply)

    __radd__, __rmul__ = __add__, __mul__

    @_numeric
    def __truediv__(self, number):
        if isinstance(number, FixedPoint) or np.ndim(number):
            raise TypeError("division by a secret or an array is not provided; divide by one "
                            "public number, or multiply by a public array")
        if number == 0:
            raise ZeroDivisionError("fixed point: division by 0; divide by a number other than 0")
        return self._times_number(1 / as_fraction(number))

    @_numeric
    def __matmul__(self, other):
        x, y = self, self._factor(other)
        if either.in_three(x.value, y.value):
            twice = x._product(y, beaver.matmul_in_three)
            return twice._with(twice.value, factor=2 * twice.factor)
        return x._product(y, either.matmul)

    @_numeric
    def __rmatmul__(self, other):
        return self._factor(other)._product(self, either.matmul)

    def __pow__(self, exponent):
        if exponent != 2:
            raise ValueError(f"** {exponent!r} is not provided; ** 2 is, products give the rest")
        x = self._settled()
        return x._with(either.square(x.value), 2 * x.depth, x.factor ** 2, x.finer ** 2)

    def _product(self, other, op):
        x, y = self, other
        if not (x._bit or y._bit):                  # a bit times a value needs no truncation
            x, y = x._settled(), y._settled()
        return x._with(op(x.value, y.value), x.depth + y.depth, x.factor * y.factor,
                       x.finer * y.finer)

    def _times_number(self, ratio):
        """By a public fraction: the numerator goes into the raw value, the rest into the scale.

        What many factors gather is truncated in time, before the raw value outgrows the ring.
        """
        grown, divided = abs(ratio.numerator), ratio.denominator
        outgrown = (self.factor * divided > 10**9           # which products multiply
                    or grown > 1 and self.scale * grown > 2 ** (2 * self.ring.bits // 3)
                    or self.scale * divided > self.ring.modulus // 4 * self.base**self.precision)
        x = self._at(1, finer=self.finer) if outgrown else self
        both = gcd(Fraction(x.factor).numerator, ratio.numerator)       # cancels
        return x._with(either.times_integer(x._number, ratio.numerator // both),
                       factor=Fraction(x.factor * ratio.denominator, both))

    # ------------------------------------------------------------------ comparisons

    def drelu(self):
        """[self >= 0], an integer 0 or 1."""
        return self._answer(either.drelu(self._settled().value))

    def _answer(self, value):
        """Bits of no scale, as a comparison finds them."""
        bits = self._with(value, 0, 1, 1)
        bits._bit = True
        return bits

    def relu(self):
        x = self._settled()
        return x * x.drelu()

    @_numeric
    def __ge__(self, other):
        return (self - other).drelu()

    @_numeric
    def __le__(self, other):
        return (-self + other).drelu()

    @_numeric
    def __lt__(self, other):
        return 1 - (self >= other)

    @_numeric
    def __gt__(self, other):
        return 1 - (self <= other)

    @_numeric
    def eq(self, other):
        """[self == other], an integer 0 or 1; `==` raises, since no party knows the answer."""
        x, y = self._pair(other)
        return self._answer(either.is_zero(either.add(x.value, -y.value)))

    def max(self, axis=None):
        """The largest element along `axis`, or of all."""
        x = self._last(axis)
        return x._with(either.maximum(x.value))

    def argmax(self, axis=None, one_hot=False):
        """The place of the first maximum: an integer, or a row of 0 and 1 along a new last axis."""
        x = self._last(axis)
        place = either.place_of_max(x.value)
        if not one_hot:
            index = np.arange(place.shape[-1]).astype(self.ring.dtype)
            place = place.times(index[None]).sum(-1)
        return x._with(place, 0, 1, 1)

    def _last(self, axis):
        """The same numbers with `axis` last, or all in one row."""
        x = self._settled()
        return x._with(x.value.reshape(-1) if axis is None else x.value.moveaxis(axis, -1))

    def __eq__(self, other):
        raise TypeError("no party knows whether secrets are equal; use .eq() for a secret answer")

    def __bool__(self):
        raise TypeError("a FixedPoint has no truth value: no branch may depend on a secret")

    def __float__(self):
        raise TypeError("reveal with .get() and decode with .float_precision()")

    def __iter__(self):
        raise TypeError("a FixedPoint cannot be iterated; index it: x[i]")

    # ------------------------------------------------------------------ shape

    def sum(self, axis=None, keepdims=False):
        return self._with(self._number.sum(axis, keepdims))

    def reshape(self, *shape):
        return self._with(self._number.reshape(*shape))

    @property
    def T(self):
        turned = self._with(self._number.T)
        if self._truncated is not None:
            turned._truncated = self._truncated.T
        return turned

    def __getitem__(self, key):
        return self._with(self._number[key])

    # ------------------------------------------------------------------ from and to the parties

    def share(self, *workers, crypto_provider, owner=None):
        """Split among all workers what one role holds: a FixedPoint over a Share.

        Parameters
        ----------
        workers : Role
            All workers of the World, in order.
        crypto_provider : Role
            The provider of the same World, which will deal for products of this value.
        owner : Role, optional
            Whose array it is, the server's by default; what a Private holds is its role's.

        Raises
        ------
        ValueError
            For parties that are not all of one World, an unknown owner, or another ring.
        TypeError
            For a value that is shared already.
        """
        world = crypto_provider.world
        if workers != world.workers or crypto_provider is not world.crypto_provider:
            raise ValueError(f"share: {workers} with {crypto_provider} are not the parties of one "
                             f"World; name all its workers, {world.workers}")
        if isinstance(self.value, Share) and not isinstance(self.value, Clear):
            raise TypeError("share: this value is shared already; reveal it with get() first")
        if self.ring != world.ring:
            raise ValueError(f"share: a value over {self.ring} does not fit a World over "
                             f"{world.ring}; encode it with fix_precision(..., ring=world.ring)")
        if owner is not None and str(owner) not in world.roles:
            raise ValueError(f"share: no role of this World is called {owner}; the owner is one of "
                             f"{', '.join(world.roles)}")
        if isinstance(self.value, Private):
            owner, rows = self.value.role, self.value.rows
        else:
            owner = world.server if owner is None else owner
            rows = world.held(owner, self.shape, lambda: self.value.rows[0], np.uint64).rows
        share = world.share(owner, (rows, world.ring), name="value")
        return self._with(share)

    def refresh(self):
        """The same number with fresh rows, after any truncation that waits."""
        x = self._settled()
        return x._with(either.refresh(x.value))

    def get(self, role=None):
        """Reveal to one `role`, the server by default: a FixedPoint over its Private value.

        Brought to depth 1 (an integer stays one, what is finer stays so) and refreshed after this
        last truncation: the rows that arrive tell their sum and no more. Rounds: 1.
        """
        if isinstance(self.value, Private):
            return self
        plain = self.depth in (0, 1) and self.factor == 1
        x = (self if plain else self._at(1)).refresh()
        if isinstance(x.value, Clear):
            return x
        world = x.value.world
        role = world.server if role is None else role
        rows = world.gather(role, x.value, name="revealed")
        return x._with(Private(str(role), x.ring.sum(rows, axis=1), x.ring))

    def float_precision(self):
        """The numbers as float64; NaN of the right shape where they are not known."""
        if isinstance(self.value, Share) and not isinstance(self.value, Clear):
            raise TypeError("float_precision: this value is secret; reveal it first with .get()")
        rows = np.asarray(self.value.rows)
        if not len(rows):
            return np.full(self.shape, np.nan)
        return self.value.ring.to_int(rows)[0] / float(self.scale)


def fix_precision(array, precision_fractional=3, base=10, ring=None, rounding_seed=None, finer=1):
    """Encode real numbers in fixed point: a public array, or what one role holds as `Private`.

    Parameters
    ----------
    array : array of numbers, or Private
    precision_fractional : int
        Digits behind the point, in `base` 10 or 2.
    ring : Z2k, optional
        Z_2^64 by default; sharing needs the World's ring.
    rounding_seed : int, optional
        Makes the rounding of products of *public* values repeatable.
    finer : int
        How many times finer than `precision_fractional` says: for weights, whose updates are small.

    Returns
    -------
    FixedPoint

    Raises
    ------
    ValueError
        For a number that the ring cannot hold at this scale, another base, or a precision that
        leaves no room for a product.
    """
    ring = Z2k(64) if ring is None else ring
    if base not in (2, 10):
        raise ValueError(f"fix_precision: base {base} is not provided; take 2 or 10")
    if precision_fractional != int(precision_fractional) or precision_fractional < 0:
        raise ValueError(f"fix_precision: {precision_fractional} is no number of digits; take an "
                         "integer from 0 on")
    base, precision_fractional = int(base), int(precision_fractional)
    if finer != int(finer) or finer < 1:
        raise ValueError(f"fix_precision: finer={finer} is no whole factor; take an integer from 1 "
                         "on")
    if base ** (2 * precision_fractional) * finer >= ring.modulus // 4:
        extra = f", {finer} times finer," * (finer > 1)
        raise ValueError(f"fix_precision: {precision_fractional} digits in base {base}{extra} "
                         f"leave no room for a product in {ring}; take fewer")
    scale = base**precision_fractional * int(finer)
    if isinstance(array, Private):
        value = Private(array.role, encode(array.rows, scale, ring), ring)
    else:
        raw = encode(np.asarray(array, float), scale, ring)
        value = Clear(Public(rounding_seed), ring, raw[None])
    return FixedPoint(value, base, precision_fractional, finer=int(finer))


def concatenate(values, axis=0):
    """FixedPoint values of one format, all secret or all public, joined along an `axis`."""
    first = values[0]
    for v in values:
        _same_format(first, v)
        if either.secret(v.value) != either.secret(first.value):
            raise TypeError("concatenate: some are secret and some public; share() these first")
    return first._with(join([v._at(first.depth, first.factor, first.finer).value
                             for v in values], axis))


def encode(numbers, scale, ring):
    """Real `numbers` as ring elements at `scale`, to the nearest; raises beyond the ring."""
    with np.errstate(over="ignore"):
        raw, limit = np.rint(numbers * float(scale)), 2.0 ** (ring.bits - 1)
    bad = ~(np.abs(raw) < limit)
    if np.asarray(bad).any():
        worst = np.asarray(numbers)[np.asarray(bad)].flat[0]
        raise ValueError(f"fixed point: {worst} cannot be represented at scale {scale} in {ring}, "
                         f"whose limit is {limit / float(scale):g}; take fewer fractional digits "
                         "or scale the data")
    return ring.from_int(raw)


def as_fraction(number):
    """A public number as a fraction of small integers, within one part in a million."""
    if isinstance(number, Fraction):
        exact = number
    elif not np.isfinite(number):
        raise ValueError(f"fixed point: {number} is no factor; take a finite number")
    else:
        exact = Fraction(str(number + 0))       # a bool is a number too
    size = abs(exact)
    if max(abs(exact.numerator), exact.denominator) <= 10**6:
        return exact
    if not Fraction(1, 10**9) <= size <= 10**9:
        raise ValueError(f"fixed point: the factor {number} is out of range; take 0 or one of size "
                         "1e-09 to 1e+09, or scale the data")
    if size > 1:
        return 1 / as_fraction(1 / exact)
    return exact.limit_denominator(10**6) if size > Fraction(1, 10**6) else Fraction(
        1 if exact > 0 else -1, round(1 / size))


def _same_format(x, y):
    if (x.base, x.precision, x._number.ring) != (y.base, y.precision, y._number.ring):
        raise ValueError(f"fixed point: {x.precision} digits in base {x.base} over {x.ring} do not "
                         f"meet {y.precision} in base {y.base} over {y.ring}; encode both alike")
