"""Fixed point: ring elements with a decimal point, and every operator that a user writes.

A real number is kept as ``raw / scale``. The *unit*, 1000 for three decimal digits, is the scale of
an ordinary number; the bit of a comparison has scale 1. A product has the scale of both operands
together and is truncated when it is used, once. A public number costs nothing where it can go into
the scale: a value at scale S, divided by 50, is the same raw value at scale 50 S.

Right or refused. Let R = 15/16 of a quarter of the ring, the largest raw value that may be
truncated or compared. Every operation is right within its error bound (docs/NUMBERS.md) as long as

    a value          |v| < R / (2 unit)             what `fix_precision` accepts
    a product        |x y| < R / (2 unit^2)         of secrets; all terms of a matrix one together
    by a public one  |x|, |x c| < R / (2 unit D)    by a number or array c, D = max(unit, 1000)

and sums and differences of these within twice as much. `FixedPoint.limits` has the numbers. No
scale may outgrow them: an operand whose scale would leave less room is truncated first. Overflows
that depend on the values are detected by a checked World (`mpc.audit.checked`).

An update is far smaller than its weight. A weight may therefore be kept `finer`, by a whole factor
that narrows the range of its products as much. The gradient g is rescaled so that x.T @ g comes out
at the scale of the weight (`aimed`): the 64 x 128 elements of g are truncated, and not the 784 x
128 of the product.
"""

import functools
from decimal import Decimal
from fractions import Fraction
from numbers import Number, Real

import numpy as np

from mpc import public
from mpc.audit.checked import compared
from mpc.public import PublicArray, PublicWorld
from mpc.encoding import (LARGEST, PRECISE, are_whole, as_fraction, digit_base, encode,
                          exact_factor, limits, most_divisor, real_array)
from mpc.ring import Z2k, raw_limit
from mpc.share import Local, Share, concatenate as join, shown


def _numeric(operator):
    """A binary operator of FixedPoint, left to the other operand if that is no number or array."""
    @functools.wraps(operator)
    def checked(self, other):
        if isinstance(other, FixedPoint):
            _same_format(self, other)
        elif isinstance(other, (list, tuple, np.ndarray)):
            other = real_array(other)
        elif not isinstance(other, (Number, np.bool_)):
            return NotImplemented
        elif not isinstance(other, (Real, Decimal, np.bool_)) or isinstance(other, np.timedelta64):
            raise TypeError(f"fixed point: a {type(other).__name__} is no operand; take real "
                            "numbers")
        _check_shapes(operator.__name__, self._number.shape, getattr(other, "shape", ()))
        return operator(self, other)
    return checked


class FixedPoint:
    """An array of numbers with a fixed decimal point, over one of three kinds of value.

    Clear (public), Share (secret) or Private (what one role alone holds, such as its data before
    they are shared or a result that was revealed to it). Shapes and axes are those of the array.
    """

    __hash__ = None

    def __init__(self, value, base=10, precision=3, scale=None, weight_scale=1, is_bit=False):
        self.value, self.base, self.precision = value, base, precision
        self.unit = base**precision
        self.scale = self.unit * weight_scale if scale is None else scale  # what raw values are divided by
        self.weight_scale = weight_scale
        self.is_bit = is_bit        # the answer of a comparison, 0 or 1: no product with it grows
        self._truncated = None      # the same number as an operand, once a product needed it

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
    def limits(self):
        """The `Limits` of this format: base, digits, ring, and how much finer it is."""
        return limits(self.unit, self.ring, self.weight_scale)

    @property
    def _number(self):
        """The value as an operand; a value private to one role is none."""
        if isinstance(self.value, Local):
            raise TypeError(f"fixed point: {self.value.role} alone holds this value; share() it to "
                            "compute with it, or decode it with float_precision()")
        return self.value

    def _with(self, value, scale=None, weight_scale=None):
        return FixedPoint(value, self.base, self.precision, self.scale if scale is None else scale,
                          self.weight_scale if weight_scale is None else weight_scale)

    def __repr__(self):
        unit = f"{self.precision} {'decimal' if self.base == 10 else f'base-{self.base}'} digits"
        scale = f", scale {self.scale}" * (self.scale != self.unit)
        if is_secret(self.value):
            return f"FixedPoint({unit}{scale}) > {self.value!r}"
        holder = "public" if isinstance(self.value, PublicArray) else f"known to {self.value.role}"
        numbers = np.array2string(self.float_precision(), prefix=" " * 4)
        return f"FixedPoint({unit}{scale}), {holder}\n    {numbers}"

    # ------------------------------------------------------------------ scales

    def _at(self, scale, weight_scale=1):
        """The same number at another scale: multiplied up for free, or truncated."""
        ratio = Fraction(scale) / self.scale
        value = public.times_integer(self._number, ratio.numerator)
        return self._with(public.scale_down(value, ratio.denominator), scale, weight_scale)

    def _ordinary(self):
        """At the unit, the scale of ordinary numbers. A truncation that this takes is done once."""
        if self.scale <= self.unit:
            return self._at(self.unit)
        if self._truncated is None:
            self._truncated = self._at(self.unit)
        return self._truncated

    def _operand(self):
        """Ready for a product: truncated, if an earlier product left that to do."""
        return self if self.scale <= self.unit * self.weight_scale else self._ordinary()

    def _for_sum(self):
        """At a scale that leaves the range of products."""
        fits = self.scale <= self.unit**2 * self.weight_scale and self.scale.denominator == 1
        return self if fits else self._ordinary()

    def rescaled_for(self, weight, x, c=1):
        """This gradient at the scale at which ``x.T @ gradient * c`` has that of a finer `weight`.

        `c` is the public number that will multiply the product. Unchanged where there is no such
        scale, or none that leaves the range of products: the product is then truncated.
        """
        if not (isinstance(weight, FixedPoint) and isinstance(x, FixedPoint) and weight.weight_scale > 1
                and c):
            return self
        x_scale = x.scale if x.scale <= x.unit * x.weight_scale else x.unit        # as an operand
        if x_scale > x.unit:
            return self         # it would be rounded to less than one part in `finer`
        scale = Fraction(weight.scale) * abs(as_fraction(c)) / x_scale
        if scale == self.unit:
            g = self._ordinary()                # which the layer below needs too
            return g._with(g.value, weight_scale=weight.weight_scale)
        g = self if self._has_room_at(scale) else self._ordinary()
        return g._rescaled(scale, weight.weight_scale) if g._has_room_at(scale) else self

    def _has_room_at(self, scale):
        """Does the numerator that leads to this `scale` leave the range of products?"""
        return self.scale * (scale / self.scale).numerator <= self.unit**2 * self.weight_scale

    @compared("rescaled")
    def _rescaled(self, scale, weight_scale):
        return self._at(scale, weight_scale)

    def _pair(self, other):
        """Both operands of a sum or comparison, at one scale."""
        if isinstance(other, FixedPoint):
            return _alike([self, other])
        return self._with_public(real_array(other))

    def _with_public(self, numbers):
        """This value and public `numbers` that it is added to or compared with, at one scale."""
        encode(numbers, self.unit * self.weight_scale, self.ring)      # refuses what is no value
        x, largest = self._for_sum(), np.abs(numbers.astype(float)).max(initial=0)
        if (x.scale < x.unit and not are_whole(numbers)
                or x.scale > x.unit * x.weight_scale and largest * x.scale >= raw_limit(x.ring) / 2):
            x = x._ordinary()
        return x, x._public(numbers)

    def _public(self, numbers):
        """Public `numbers` at the scale of this value."""
        raw = encode(numbers, self.scale, self.ring)[None]
        like = self._number
        return self._with(PublicArray(PublicWorld() if public.secret(like) else like.world, like.ring, raw))

    # ------------------------------------------------------------------ sums

    @compared("+")
    @_numeric
    def __add__(self, other):
        x, y = self._pair(other)
        return x._with(public.add(x.value, y.value))

    def __neg__(self):
        return self._with(-self._number)

    @compared("-")
    @_numeric
    def __sub__(self, other):
        x, y = self._pair(other)
        return x._with(public.add(x.value, -y.value))

    @_numeric
    def __rsub__(self, other):
        return -self + other

    __radd__ = __add__

    @compared("sum")
    def sum(self, axis=None, keepdims=False):
        x = self._for_sum()
        return x._with(x._number.sum(axis, keepdims))

    # ------------------------------------------------------------------ products

    @compared("*")
    @_numeric
    def __mul__(self, other):
        if isinstance(other, FixedPoint):
            return self._product(other, public.multiply)
        if np.ndim(other) == 0:
            return self._times_number(exact_factor(other))
        return self._times_array(other, public.multiply)

    __rmul__ = __mul__

    @compared("/")
    @_numeric
    def __truediv__(self, number):
        if isinstance(number, FixedPoint) or np.ndim(number):
            raise TypeError("division by a secret or an array is not provided; divide by one "
                            "public number, or multiply by a public array")
        if number == 0:
            raise ZeroDivisionError("fixed point: division by 0; divide by a number other than 0")
        return self._times_number(1 / exact_factor(number))

    def __rtruediv__(self, other):
        raise TypeError("fixed point: division by a secret is not provided; divide by one public "
                        "number")

    @compared("@")
    @_numeric
    def __matmul__(self, other):
        if not isinstance(other, FixedPoint):
            return self._times_array(real_array(other), public.matmul)
        return self._product(other, public.matmul)

    @compared("@", reflected=True)
    @_numeric
    def __rmatmul__(self, other):
        return self._times_array(real_array(other), lambda x, c: public.matmul(c, x))

    @compared("**")
    def __pow__(self, exponent):
        if not (isinstance(exponent, (Number, np.ndarray)) and np.ndim(exponent) == 0
                and exponent == 2):
            raise ValueError("fixed point: only ** 2 is provided; products give other powers")
        x = self if self.scale <= self.unit else self._ordinary()
        return x._with(public.square(x._number), x.scale**2)

    def _product(self, other, op):
        """`op` of two values; an operand whose scale would leave too little room is truncated."""
        x, y = self, other
        if x.scale * y.scale > x.unit**2 and not (x.is_bit or y.is_bit):
            x, y = x._operand(), y._operand()
            if x.weight_scale > 1 and y.weight_scale > 1:
                y = y._ordinary()
        return x._with(op(x._number, y._number), x.scale * y.scale, max(x.weight_scale, y.weight_scale))

    # ------------------------------------------------------------------ public factors

    def _times_number(self, c):
        """By a public number, an exact fraction.

        Into the scale where that stays a whole multiple of the unit: free. Else the numerator goes
        into the raw value and the denominator into the scale, if one of them is small enough for
        the range of such products, or else digit by digit.
        """
        if c == 0:
            return self._with(public.times_integer(self._number, 0))
        self._check_factors(abs(c))
        if abs(float(c)) * self.limits.value < 0.5 / (self.unit * self.weight_scale):
            return self._with(public.times_integer(self._number, 0))    # of the largest value too
        exact, c = c, as_fraction(c)
        free, part = self._scaled(c), min(abs(c.numerator), c.denominator)
        if free is not None:
            return free
        if c.denominator == 1:
            x = self._for_sum()
            return x._with(public.times_integer(x._number, c.numerator))
        x = self._at_least_unit(self._widest_scale // part)
        free, scale = x._scaled(c), x.scale * c.denominator
        if free is not None:
            return free
        if x.scale * part > x._widest_scale or scale > x.unit * most_divisor(x.ring):
            return x._at_least_unit()._by_digits(np.array(float(exact)), public.multiply)
        return x._with(public.times_integer(x._number, c.numerator), scale)

    def _check_factors(self, size):
        """Raise unless each of these sizes of public factors has room."""
        largest = min(LARGEST, raw_limit(self.ring) / (2 * digit_base(self.unit)))
        if not np.all(size <= largest * 1.001):         # what a float makes of the bound
            raise ValueError("fixed point: a public factor is out of range; take one of size up to "
                             f"{largest:g}, or scale the data")

    @property
    def _widest_scale(self):
        """The largest scale at which a product with a public number has its range."""
        return self.unit * self.weight_scale * digit_base(self.unit)

    def _scaled(self, c):
        """This value times `c` by another scale alone; None where there is no such scale."""
        scale, most = self.scale / abs(c), self.unit * most_divisor(self.ring)
        if scale.denominator > 1 or scale % self.unit or scale > most:
            return None
        return self._with(self._number if c > 0 else -self._number, scale.numerator)

    def _times_array(self, c, op):
        """`op`, a product or matrix product, of this value and public numbers `c`.

        Whole numbers go into the raw value as they are, multiples of one number as whole numbers
        times that number, all others digit by digit.
        """
        self._check_factors(np.abs(c.astype(float)))
        lost = 0.5 / (self.unit * self.weight_scale * self.limits.value)
        c = np.where(np.abs(c) < lost, 0, c)            # less than a digit of the largest value
        size = np.abs(c.astype(float))
        if are_whole(c):
            x = self._for_sum()
            return x._with(op(x._number, x._integers(c)))
        x, least = self._operand(), size[size > 0].min()
        multiples, whole = c / least, np.rint(c / least)
        if np.abs(whole).max() <= digit_base(x.unit) and np.all(
                np.abs(multiples - whole) <= 1e-12 * np.abs(whole)):
            return x._with(op(x._number, x._integers(whole)))._times_number(exact_factor(least))
        return self._at_least_unit()._by_digits(c, op)

    def _at_least_unit(self, most=0):
        """At the scale of ordinary numbers, or a larger one up to `most`; no integer.

        Of the scales that one truncation reaches it is the largest, so that few digits are lost.
        """
        if self.scale < self.unit:
            return self._ordinary()
        if self.scale <= max(most, self.unit * self.weight_scale):
            return self
        least, units = -(-self.scale // max(most, 1)), self.scale // self.unit
        divisor = next((d for d in range(least, least + 1000) if units % d == 0), units)
        return self._ordinary() if divisor == units else self._at(self.scale // divisor)

    def _by_digits(self, c, op):
        """`op` of this value and public numbers ``c = c_1 / D + c_2 / D^2 + ...``, c_k whole.

        By Horner's rule: op(x, c_1) + (op(x, c_2) + ...) / D, a truncation for each further digit,
        as many as it takes to be right to one part in a million of each number.
        """
        base, rest, digits = digit_base(self.unit), np.asarray(c, float), []
        while not digits or np.any(np.abs(rest) > PRECISE / 2 * base**len(digits) * np.abs(c)):
            whole = np.rint(rest * base)
            digits.append(whole)
            rest = rest * base - whole
        total = op(self._number, self._integers(digits[-1]))
        for digit in reversed(digits[:-1]):
            total = public.add(public.scale_down(total, base),
                               op(self._number, self._integers(digit)))
        return self._with(total, self.scale * base)

    def _integers(self, numbers):
        """Public whole `numbers` as ring elements that have no scale."""
        return self._with(self._number, 1, 1)._public(numbers).value

    # ------------------------------------------------------------------ comparisons

    @compared("drelu")
    def drelu(self):
        """[self >= 0], an integer 0 or 1."""
        return self._bits(public.drelu(self._number))

    def _bits(self, value):
        return FixedPoint(value, self.base, self.precision, 1, is_bit=True)

    def relu(self):
        x = self._operand()
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

    def eq(self, other):
        """[self == other], an integer 0 or 1; `==` raises, since no party knows the answer."""
        difference = self.__sub__(other)
        if difference is NotImplemented:
            raise TypeError(f"eq: a {type(other).__name__} is no number or array")
        return difference._is_zero()

    @compared("eq")
    def _is_zero(self):
        return self._bits(public.is_zero(self._number))

    @compared("max")
    def max(self, axis=None):
        """The largest element along `axis`, or of all."""
        x = self._axis_last(axis, "max")
        return x._with(public.maximum(x.value))

    @compared("argmax")
    def argmax(self, axis=None, one_hot=False):
        """The place of the first maximum: an integer, or a row of 0 and 1 along a new last axis."""
        x = self._axis_last(axis, "argmax")
        place = public.argmax_one_hot(x.value)
        if not one_hot:
            index = np.arange(place.shape[-1]).astype(self.ring.dtype)
            place = place.times(index[None]).sum(-1)
        return x._with(place, 1, 1)

    def _axis_last(self, axis, name):
        """The same numbers with `axis` last, or all in one row."""
        if not (axis is None or isinstance(axis, (int, np.integer))):
            raise TypeError(f"{name}: axis {shown(axis)} is no integer; take one axis, or None for "
                            "all")
        x = self._operand()
        value = x._number
        return x._with(value.reshape(-1) if axis is None else value.moveaxis(axis, -1))

    def __eq__(self, other):
        raise TypeError("no party knows whether secrets are equal; use .eq() for a secret answer")

    # ------------------------------------------------------------------ to plain Python

    def _single_number(self, name):
        """The only number of a value that this process knows, for bool(), float() and int()."""
        if is_secret(self.value):
            raise TypeError(f"{name}(): this value is secret, and no branch or plain number may "
                            "depend on it; reveal it with .get() and decode with "
                            ".float_precision()")
        numbers = self.float_precision()
        if numbers.size != 1:
            raise TypeError(f"{name}(): shape {self.shape} is not one number; decode all with "
                            "float_precision()")
        if np.isnan(numbers).any():
            raise TypeError(f"{name}(): only {self.value.role} knows this number, who lives in "
                            "another process")
        return numbers.item()

    def __bool__(self):
        return bool(self._single_number("bool"))

    def __float__(self):
        return self._single_number("float")

    def __int__(self):
        return int(self._single_number("int"))

    def __iter__(self):
        raise TypeError("a FixedPoint cannot be iterated; index it: x[i]")

    def __array__(self, dtype=None, copy=None):
        raise TypeError("a FixedPoint is no NumPy array; reveal it with .get() and decode it with "
                        ".float_precision(), or use its own methods")

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(_refusal(function.__name__))

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        """``array + x`` and ``np.add(array, x)`` are the operators above; others are refused."""
        mine, reflected = OPERATORS.get(ufunc.__name__, (None, None))
        name = mine if isinstance(inputs[0], FixedPoint) else reflected
        if name is None or method != "__call__" or options:
            raise TypeError(_refusal(ufunc.__name__))
        first, *others = inputs if isinstance(inputs[0], FixedPoint) else inputs[::-1]
        result = getattr(first, name)(*others)
        if result is NotImplemented:        # NumPy's own message would show all operands
            raise TypeError(f"np.{ufunc.__name__}: a FixedPoint meets a "
                            f"{type(others[0]).__name__}, which is no number or array")
        return result

    # ------------------------------------------------------------------ shape

    def reshape(self, *shape):
        shape = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], list) else shape
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
            For parties that are not all of one World, an owner that is unknown or does not hold the
            value, another ring, or digits for which local truncation is unsafe.
        TypeError
            For a value that is shared already.
        """
        world = getattr(crypto_provider, "world", None)
        if world is None or workers != world.workers or (
                crypto_provider is not world.crypto_provider):
            raise ValueError(f"share: {_names(workers)} with {_names([crypto_provider])} are not "
                             "the parties of one World; name all its workers, *world.workers, and "
                             "crypto_provider=world.crypto_provider")
        if is_secret(self.value):
            raise TypeError("share: this value is shared already; reveal it with get() first")
        if self.ring != world.ring:
            raise ValueError(f"share: a value over {self.ring} does not fit a World over "
                             f"{world.ring}; encode it with fix_precision(..., ring=world.ring)")
        if owner is not None and str(owner) not in world.roles:
            raise ValueError(f"share: no role of this World is called {_names([owner])}; the owner "
                             f"is one of {', '.join(world.roles)}")
        if world.truncation == "local":
            self._check_local()
        if isinstance(self.value, Local):
            if owner is not None and str(owner) != self.value.role:
                raise ValueError(f"share: {self.value.role} holds this value, not "
                                 f"{_names([owner])}; leave the owner out")
            owner, rows = self.value.role, self.value.rows
        else:
            owner = world.server if owner is None else owner
            rows = world.private_input(owner, self.shape, lambda: self.value.rows[0], np.uint64).rows
        share, = world.share(owner, value=(rows, world.ring))
        return self._with(share)

    def _check_local(self):
        """Refuse digits with which even small products would fail under local truncation."""
        often = self.ring.modulus // (self.unit**2 * self.weight_scale)
        if often < 10**6:
            raise ValueError(f"share: with {self.precision} digits in base {self.base} over "
                             f"{self.ring}, local truncation of the product 1 * 1 would fail in "
                             f"one of {often:,} cases; make the World with truncation='provider', "
                             "or take fewer digits")

    def refresh(self):
        """The same number with fresh rows, after any truncation that waits."""
        x = self._operand()
        return x._with(public.refresh(x._number))

    @compared("get")
    def get(self, role=None):
        """Reveal to one `role`, the server by default: a FixedPoint over its Private value.

        Brought to the scale of ordinary numbers (an integer stays one, what is finer stays so) and
        refreshed after this last truncation: the rows that arrive tell their sum and no more.
        Rounds: 1.
        """
        if isinstance(self.value, Local):
            if role is not None and str(role) != self.value.role:
                raise ValueError(f"get: {self.value.role} alone holds this value and does not send "
                                 f"it on to {_names([role])}; share() it first")
            return self
        x = self.refresh()
        if isinstance(x.value, PublicArray):
            return x
        world = x.value.world
        role = world.server if role is None else role
        rows, = world.gather(role, revealed=x.value)
        return x._with(Local(str(role), x.ring.sum(rows, axis=1), x.ring))

    def float_precision(self):
        """The numbers as float64; NaN of the right shape where they are not known."""
        if is_secret(self.value):
            raise TypeError("float_precision: this value is secret; reveal it first with .get()")
        rows = np.asarray(self.value.rows)
        if not len(rows):
            return np.full(self.shape, np.nan)
        raw, scale = self.value.ring.to_int(rows)[0], self.scale
        if scale >= 2**62 or scale != int(scale) or np.all(np.abs(raw) < 2**53):
            return raw / float(scale)
        whole, rest = np.divmod(np.abs(raw), np.int64(scale))       # apart: no digit is lost
        return np.sign(raw) * (whole + rest / float(scale))


OPERATORS = {                           # of a value on the left, and on the right
    "add": ("__add__", "__radd__"), "subtract": ("__sub__", "__rsub__"),
    "multiply": ("__mul__", "__rmul__"), "divide": ("__truediv__", "__rtruediv__"),
    "matmul": ("__matmul__", "__rmatmul__"), "power": ("__pow__", None),
    "negative": ("__neg__", None), "greater": ("__gt__", "__lt__"),
    "greater_equal": ("__ge__", "__le__"), "less": ("__lt__", "__gt__"),
    "less_equal": ("__le__", "__ge__")}
METHODS = "use its operators and methods, or reveal it with .get() first"
INSTEAD = {"sum": "call x.sum()", "mean": "divide x.sum() by the number of elements",
           "var": "compute it from x.sum() and (x * x).sum()",
           "dot": "write x @ y, or (x * y).sum()",
           "max": "call x.max()", "amax": "call x.max()",
           "min": "call -(-x).max()", "amin": "call -(-x).max()", "argmax": "call x.argmax()",
           "argmin": "call (-x).argmax()", "reshape": "call x.reshape()",
           "ravel": "call x.reshape(-1)",
           "transpose": "write x.T", "concatenate": "call mpc.concatenate()",
           "stack": "call mpc.concatenate() of x[None]", "vstack": "call mpc.concatenate()",
           "hstack": "call mpc.concatenate()", "where": "write bit * x + (1 - bit) * y",
           "maximum": "write (x - y).relu() + y", "clip": "write it with relu()",
           "array_equal": "use x.eq(y)", "equal": "use x.eq(y)", "not_equal": "write 1 - x.eq(y)",
           "square": "write x ** 2", "abs": "write (x > 0) * 2 * x - x",
           "allclose": "compare what was revealed",
           "shape": "read x.shape", "ndim": "read x.ndim", "size": "read x.shape"}


def fix_precision(array, precision_fractional=3, base=10, ring=None, rounding_seed=None, weight_scale=1):
    """Encode real numbers in fixed point: a public array, or what one role holds as `Local`.

    Parameters
    ----------
    array : array of real numbers, or Private
    precision_fractional : int
        Digits behind the point, in `base` 10 or 2.
    ring : Z2k, optional
        Z_2^64 by default; sharing needs the World's ring.
    rounding_seed : int, optional
        Makes the rounding of products of *public* values repeatable.
    finer : int
        How many times finer than `precision_fractional` says, for weights, whose updates are small:
        1, or at least the unit, since gradients are rounded to one part in `finer`.

    Returns
    -------
    FixedPoint
        Of scale ``base ** precision_fractional * finer``; numbers are rounded to the nearest.

    Raises
    ------
    ValueError
        For a number beyond the limit of the format, another base, digits that are no count, or so
        many that the ring has no room for a product.
    TypeError
        For elements that are no real numbers: complex numbers, strings, dates, masked arrays.
    """
    ring = Z2k(64) if ring is None else ring
    if not isinstance(ring, Z2k):
        raise TypeError(f"fix_precision: {shown(ring)} is no ring Z_2^l; take world.ring")
    if not isinstance(base, (int, np.integer)) or base not in (2, 10):
        raise ValueError(f"fix_precision: base {shown(base)} is not provided; take 2 or 10")
    if not isinstance(precision_fractional, (int, np.integer)) or not (
            0 <= precision_fractional <= 64):
        raise ValueError(f"fix_precision: {shown(precision_fractional)} is no number of digits; "
                         "take an integer from 0 on, as many as the ring has room for")
    base, precision_fractional = int(base), int(precision_fractional)
    if not isinstance(weight_scale, (int, np.integer)) or weight_scale < 1:
        raise ValueError(f"fix_precision: weight_scale={shown(weight_scale)} is no whole factor; take an integer "
                         "from 1 on")
    weight_scale, unit = int(weight_scale), base**precision_fractional
    if 1 < weight_scale < unit:
        raise ValueError(f"fix_precision: weight_scale={weight_scale} would round gradients more coarsely than "
                         f"other numbers; take 1, or {unit} and more")
    if unit**2 * weight_scale >= raw_limit(ring):
        extra = f", {weight_scale} times finer," * (weight_scale > 1)
        raise ValueError(f"fix_precision: {precision_fractional} digits in base {base}{extra} "
                         f"leave no room for a product in {ring}; take fewer")
    if isinstance(array, Local):
        value = Local(array.role, encode(array.rows, unit * weight_scale, ring, first=1), ring)
    else:
        value = PublicArray(PublicWorld(rounding_seed), ring, encode(real_array(array), unit * weight_scale,
                                                          ring)[None])
    return FixedPoint(value, base, precision_fractional, weight_scale=weight_scale)


def concatenate(values, axis=0):
    """FixedPoint values of one format, all secret or all public, joined along an `axis`."""
    values = list(values)
    if not values:
        raise ValueError("concatenate: there is nothing to join; give one value or more")
    for v in values:
        if not isinstance(v, FixedPoint):
            raise TypeError(f"concatenate: a {type(v).__name__} is no FixedPoint; encode it with "
                            "fix_precision() and share() it")
        _same_format(values[0], v)
        if public.secret(v.value) != public.secret(values[0].value):
            raise TypeError("concatenate: some are secret and some public; share() these first")
    return _joined(values, axis)


@compared("concatenate")
def _joined(values, axis):
    values = _alike(values)
    return values[0]._with(join([v._number for v in values], axis))


def _alike(values):
    """The same numbers at one scale, which leaves room for their sum."""
    values = [v._for_sum() for v in values]
    if len({(v.scale, v.weight_scale) for v in values}) > 1:
        weight_scale = min(v.weight_scale for v in values)
        values = [v._ordinary() if weight_scale == 1 else v._at(v.unit * weight_scale, weight_scale) for v in values]
    return values


def _refusal(name):
    return f"np.{name} does not work on a FixedPoint; {INSTEAD.get(name, METHODS)}"


def is_secret(value):
    return isinstance(value, Share)


def _check_shapes(name, x, y):
    """Raise, in words about the arrays of the caller, unless two operands fit."""
    if name in ("__matmul__", "__rmatmul__"):
        x, y = (y, x) if name == "__rmatmul__" else (x, y)
        if len(x) < 2 or len(y) < 2:
            raise ValueError(f"matmul: {x} @ {y} is no product of matrices; reshape a vector to "
                             "one row or one column")
        if x[-1] != y[-2]:
            raise ValueError(f"matmul: {x} @ {y} is no product of matrices; the inner sizes, "
                             f"{x[-1]} and {y[-2]}, must be equal")
        x, y = x[:-2], y[:-2]
    if x == y:
        return
    try:
        np.broadcast_shapes(x, y)
    except ValueError:
        raise ValueError(f"fixed point: shapes {x} and {y} do not broadcast; reshape one of the "
                         "operands") from None


def _names(roles):
    return ", ".join(r if isinstance(r, str) else getattr(r, "name", type(r).__name__)
                     for r in roles) or "nobody"


def _same_format(x, y):
    if (x.base, x.precision, x._number.ring) != (y.base, y.precision, y._number.ring):
        raise ValueError(f"fixed point: {x.precision} digits in base {x.base} over {x.ring} do not "
                         f"meet {y.precision} in base {y.base} over {y.ring}; encode both alike")
