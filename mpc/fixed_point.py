"""Fixed point: ring elements with a decimal point, and the operators of a program.

A real number is a raw integer over a scale. The *unit*, 1000 for three decimal digits,
is the scale of an ordinary number; a comparison's bit has scale 1. A product has the
product of both scales, times k if k workers multiply matrices (`mpc.beaver`). It is
truncated once, straight to the scale at which it is used next: by `operand` before a
product or a ReLU, by `_alike` before a sum of two scales, by `_for_sum` if little room
is left, and by `refresh` before it is revealed. `mpc.public_factors` says where a
public factor goes.

Every operation is correct within the ranges and errors of docs/NUMBERS.md. With R =
15/16 of a quarter of the ring, `FixedPoint.limits` has the figures of

    a value          |v| < R / (2 unit)             as `fix_precision` accepts it
    a product        |x y| < R / (2 unit^2)
    a matrix product |x| @ |y| < R / (2 k unit^2)   of secrets; k = 1 if one is public
    a public factor  |x|, |x c| < R / (2 unit D)    D = max(unit, 1000)

and sums of these may be twice as large. An operand whose scale would leave less room is
truncated first. A checked World detects overflows that depend on the values.

Updates are far smaller than their weights. So the scale of a weight may be larger by a
whole factor, `weight_scale`, which narrows its ranges by the same factor. Its gradient
is truncated straight to the scale that makes the update a multiple of the weight's raw
values (`rescaled_for`), so that the update is subtracted as it is (`updated`). A bias
and a label at the scale of the product (`finer`) need no truncation either.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache, partial, wraps
from math import ceil, prod
from operator import attrgetter

import numpy as np

from mpc import encoding, functions, public, sorting
from mpc.array_functions import ArrayFunctions, check_bits, joined_last, kept
from mpc.encoding import Limits, as_scale, digit_base, encode, real_array
from mpc.public import PublicArray, PublicWorld
from mpc.public_factors import check_size, times_array, times_number
from mpc.ring import Z2k, is_integer, raw_limit
from mpc.share import Local, RingArray, shown
from mpc.share import concatenate as join

ROOTS = {-1: "reciprocal", 0.5: "sqrt", -0.5: "rsqrt"}
COARSEST = 6    # the least scale of a gradient: steps of a sixth of an output's error


def compared(name: str, operation):
    """The `operation`, which a checked World repeats on plain numbers."""
    @wraps(operation)
    def run(*operands, **options):
        result = operation(*operands, **options)
        if result is NotImplemented:
            return result
        value = operands[0].value if name == "get" else result.value
        if isinstance(value, RingArray) and value.world.checked:
            from mpc.audit.checked import compare  # loaded only where it is used

            compare(name, result, operands, options)
        return result
    return run


def _operator(name: str, operation):
    """A binary operator, `compared`: by a number, an array or a FixedPoint."""
    @wraps(operation)
    def run(self, other):
        if isinstance(other, FixedPoint):
            _same_format(self, other)
        elif isinstance(other, (list, tuple, np.ndarray)):
            other = real_array(other)[()]
        elif not encoding.is_number(other):
            return NotImplemented
        return operation(self, other)
    return compared(name, run)


class FixedPoint(ArrayFunctions):
    """An array of numbers with a fixed point: secret, public, or local to one role.

    The `value` is a Share, a PublicArray or a Local, whose shape and axes it has.
    NumPy's functions work on it (`mpc.array_functions`). The elements of a `boolean`
    one, such as the result of a comparison, are 0 or 1.
    """

    def __init__(self, value, base: int = 10, precision: int = 3, scale=None,
                 weight_scale: int = 1, rest=None, boolean: bool = False):
        self.value, self.base, self.precision = value, base, precision
        self.unit, self.weight_scale = base**precision, weight_scale
        # the scale of the raw values, and that of an operand, once truncated
        self.scale = self.unit * weight_scale if scale is None else scale
        self.rest = self.scale if rest is None else rest
        self.boolean = boolean
        self.source: FixedPoint | None = None       # of which this is a quotient

    shape = property(attrgetter("value.shape"))
    ndim = property(attrgetter("value.ndim"))
    ring = property(attrgetter("value.ring"))
    _scales = property(attrgetter("scale", "weight_scale", "rest"))
    T = property(lambda self: self._moved(self._number.T))

    @property
    def limits(self) -> Limits:
        """The ranges of this format."""
        value = raw_limit(self.ring) / (2 * self.unit * self.weight_scale)
        product, k = value / self.unit, public.matmul_factor(self.value, self.value)
        return Limits(value, product, product / k, value / digit_base(self.unit))

    @property
    def _number(self):
        """The value as an operand; refused if it is local to one role."""
        if isinstance(self.value, Local):
            raise TypeError(f"fixed point: only {self.value.role} knows it; share() it")
        return self.value

    def _with(self, value, scale=None, weight_scale=None, rest=None, boolean=False):
        scale, rest = (self.scale if scale is None else scale,
                       self.rest if rest is None else rest)
        return FixedPoint(value, self.base, self.precision, scale,
                          weight_scale or self.weight_scale, rest, boolean)

    def _moved(self, value):
        """The same elements, in other places."""
        return self._with(value, boolean=self.boolean)

    def _answer(self, value):
        """The result of a comparison."""
        return self._with(value, 1, 1, self.unit, True)

    def __repr__(self) -> str:
        kind = "decimal" if self.base == 10 else f"base-{self.base}"
        scale = f", scale {self.scale}" * (self.scale != self.unit)
        text = f"FixedPoint({self.precision} {kind} digits{scale})"
        if public.secret(self.value):
            return f"{text} > {self.value!r}"
        role = getattr(self.value, "role", "")
        numbers = np.array2string(self.float_precision(), prefix=" " * 4)
        return f"{text}, {'known to ' * bool(role)}{role or 'public'}\n    {numbers}"

    # ------------------------------------------------------------------ scales

    def _at(self, scale):
        """The same number at another scale: multiplied for free, or truncated."""
        return self._quotient(Fraction(scale, self.scale), scale)

    def _quotient(self, factor, scale):
        result = self._with(public.scaled(self._number, factor), scale, 1, scale)
        result.source = self if factor.denominator > 1 else None
        return result

    def operand(self):
        """Ready for a product: truncated, if that is pending or 1 * 1 had no room."""
        scale = _operand_scale(*self._scales, self.unit, raw_limit(self.ring))
        return self if scale is None else self._at(scale)

    def _for_sum(self):
        """At a scale that keeps the full range of products."""
        fits = self.scale <= self.unit**2 * self.weight_scale
        return self if fits else self._at(self.unit)

    @partial(compared, "finer")
    def finer(self, weight_scale: int) -> FixedPoint:
        """The same numbers at the scale of a weight, in whose range they must be."""
        most = raw_limit(self.ring) / self.unit
        if not is_integer(weight_scale) or not 1 <= weight_scale < most:
            raise ValueError(f"finer: weight_scale={shown(weight_scale)} over "
                             f"{self.ring}; take an integer from 1 to {most:.0f}")
        scale = self.unit * int(weight_scale)
        raw = public.scaled(self._number, Fraction(scale, self.scale))
        return self._with(raw, scale, weight_scale, scale)

    @partial(compared, "rescaled")
    def rescaled_for(self, weight, x, c=1) -> FixedPoint:
        """A gradient at the scale for an update of `weight` by ``x.T @ self * c``.

        The update is then a whole multiple of the weight's raw values, to within a
        millionth of it, and needs no truncation. Unchanged if the weight is no finer
        than others, if there is no room, or if the scale would be below `COARSEST`.
        A gradient that has been truncated is rounded from its source: once, not twice,
        and without a message, since the source is open.
        """
        fixed = isinstance(weight, FixedPoint) and isinstance(x, FixedPoint)
        if not fixed or weight.weight_scale == 1 or not c:
            return self
        _same_format(weight, x)
        source = self if self.source is None else self.source
        factor, scale = _rescaling(source._scales, weight.scale, x._scales, self.unit,
                                   public.matmul_factor(x.value, self.value), c)
        return source._quotient(factor, scale) if factor else self

    def _encoded(self, numbers, scale):
        """Public `numbers` at a `scale`, as an operand of this value."""
        world = PublicWorld() if public.secret(self._number) else self.value.world
        return PublicArray(world, self.ring, encode(numbers[None], scale, self.ring))

    def _pair(self, other):
        """Both operands of a sum at one scale: a FixedPoint and a value."""
        if isinstance(other, FixedPoint):
            x, y = _alike([self, other])
            return x, y.value
        numbers, x = real_array(other), self._for_sum()
        self._encoded(numbers, self.unit)       # refuses large numbers
        largest = np.abs(numbers.astype(float)).max(initial=0)
        if (largest * x.scale >= raw_limit(x.ring) / 2 or x.scale.denominator > 1
                or x.scale < x.unit and not encoding.are_whole(numbers)):
            x = x._at(x.unit)
        return x, x._encoded(numbers, x.scale)

    # ------------------------------------------------------------------ sums

    @partial(_operator, "+")
    def __add__(self, other) -> FixedPoint:
        x, y = self._pair(other)
        return x._with(public.add(x.value, y))

    __radd__ = __add__

    @partial(_operator, "-")
    def __sub__(self, other) -> FixedPoint:
        x, y = self._pair(other)
        return x._with(public.subtract(x.value, y))

    def __rsub__(self, other) -> FixedPoint:
        result = -self + other
        result.boolean = self.boolean and is_integer(other) and other == 1
        return result

    def __neg__(self) -> FixedPoint:
        return self._with(-self._number)

    @partial(compared, "updated")
    def updated(self, gradient: FixedPoint, rate=1) -> FixedPoint:
        """``self - rate * gradient``, at the scale of self, which may be a weight's.

        Without a truncation, if the rate is that of a whole number of raw values, to
        within a millionth.
        """
        if not isinstance(gradient, FixedPoint) or not encoding.is_number(rate):
            raise TypeError("updated: pass a FixedPoint and a public number")
        _same_format(self, gradient)
        size, factor = _update(self.scale, gradient.scale, rate)
        check_size(gradient, size)
        if factor.denominator == 1:
            change = public.scaled(gradient.value, factor)
        else:
            change = (gradient * rate)._at(self.unit)._at(self.scale).value
        return self._with(public.subtract(self.value, change))

    @partial(compared, "sum")
    def sum(self, axis=None, keepdims: bool = False) -> FixedPoint:
        x = self._for_sum()
        return x._with(x._number.sum(axis, keepdims))

    @partial(compared, "cumsum")
    def cumsum(self, axis: int | None = None) -> FixedPoint:
        x = self._for_sum() if axis is not None else self._for_sum().reshape(-1)
        return x._with(x._number.cumsum(axis or 0))

    # ------------------------------------------------------------------ products

    @partial(_operator, "*")
    def __mul__(self, other) -> FixedPoint:
        if isinstance(other, (FixedPoint, np.ndarray)):
            return self._product(other, public.multiply)
        return times_number(self, other)

    __rmul__ = __mul__

    def __truediv__(self, other) -> FixedPoint:
        if isinstance(other, FixedPoint):
            return self.divide(other)
        return self._over(other)

    def __rtruediv__(self, other) -> FixedPoint:
        if not encoding.is_number(other) and not isinstance(
                other, (list, tuple, np.ndarray)):
            return NotImplemented
        return self._public(other).divide(self)

    @partial(_operator, "/")
    def _over(self, other):
        """Divided by public numbers."""
        if np.any(np.equal(other, 0)):
            raise ZeroDivisionError("fixed point: division by 0; take another number")
        if np.ndim(other):
            return times_array(self, 1 / other, public.multiply)
        return times_number(self, 1 / encoding.exact_factor(other))

    @partial(_operator, "@")
    def __matmul__(self, other) -> FixedPoint:
        return self._product(other, public.matmul)

    @partial(_operator, "r@")
    def __rmatmul__(self, other) -> FixedPoint:
        return self._product(other, lambda x, c: public.matmul(c, x))

    def __pow__(self, exponent) -> FixedPoint:
        """x * x * ... for a positive integer; also 1 / x, and roots."""
        if encoding.is_number(exponent) and exponent in ROOTS:
            return getattr(self, ROOTS[exponent])()
        if not is_integer(exponent) or exponent < 1:
            raise ValueError(f"**: {shown(exponent)} is no public positive integer and "
                             f"none of {list(ROOTS)}; use products, exp and log")
        if exponent == 1:
            return self
        power = (self ** (exponent // 2))._squared()
        return power * self if exponent % 2 else power

    @partial(compared, "**")
    def _squared(self):
        x = self if self.scale <= self.unit else self._at(self.unit)
        return x._product(x, public.multiply)

    def _product(self, other, op):
        """`op` of two values, truncated first if they would leave too little room."""
        if not isinstance(other, FixedPoint):
            return times_array(self, real_array(other), op)
        k = public.matmul_factor(self.value, other.value) if op is public.matmul else 1
        left, right, *scales = _product_scales(
            self._scales, other._scales, self.unit, raw_limit(self.ring), k)
        x = self if left is None else self._at(left)
        y = other if right is None else other._at(right)
        return x._with(op(x._number, y.value), *scales)

    # ------------------------------------------------------------------ comparisons

    @partial(compared, "drelu")
    def drelu(self) -> FixedPoint:
        """[self >= 0], an integer 0 or 1."""
        return self._answer(public.drelu(self._number))

    @partial(compared, "relu")
    def relu(self) -> FixedPoint:
        return self.relu_and_slope()[0]

    def relu_and_slope(self) -> tuple[FixedPoint, FixedPoint]:
        """max(self, 0) and the slope of each element, 0 or 1.

        If a pending truncation opens the value, its sign comes from the same opening.
        The slope of a negative number that is rounded to 0 may be 1.
        """
        x = self.operand()
        local = getattr(x._number.world, "truncation", None) == "local"
        source = x if local else self
        divisor = 1 if source.scale % x.scale else source.scale // x.scale
        slope = x._answer(public.drelu(source._number, divisor))
        return x * slope, slope

    def __ge__(self, other) -> FixedPoint:
        return _then(self.__sub__(other), FixedPoint.drelu)

    def __le__(self, other) -> FixedPoint:
        return _then((-self).__add__(other), FixedPoint.drelu)

    def __lt__(self, other) -> FixedPoint:
        return _then(self.__ge__(other), FixedPoint.__invert__)

    def __gt__(self, other) -> FixedPoint:
        return _then(self.__le__(other), FixedPoint.__invert__)

    def __eq__(self, other):
        """[self == other] of each element, as secret as both."""
        difference = self.__sub__(other)
        if difference is NotImplemented and isinstance(other, ArrayFunctions):
            return NotImplemented               # a Tensor has an answer of its own
        if difference is NotImplemented:
            raise TypeError(f"fixed point: == a {type(other).__name__}; compare with "
                            "numbers, and write x is y for the same object")
        return difference._is_zero()

    def __ne__(self, other):
        return ~(self == other)

    eq = __eq__

    @partial(compared, "eq")
    def _is_zero(self):
        return self._answer(public.is_zero(self._number))

    @partial(compared, "max")
    def max(self, axis=None, keepdims: bool = False) -> FixedPoint:
        """The largest element along `axis`, or of all."""
        x = joined_last(self.operand(), axis)
        return x._with(public.maximum(x.value)).reshape(kept(self, axis, keepdims))

    @partial(compared, "argmax")
    def argmax(self, axis: int | None = None, keepdims: bool = False,
               one_hot: bool = False) -> FixedPoint:
        """The index of the first maximum, or 0 and 1 along a new last axis."""
        x = joined_last(self.operand(), axis)
        place = public.argmax_one_hot(x.value)
        if one_hot:
            return x._answer(place)
        index = np.arange(place.shape[-1], dtype=self.ring.dtype)
        index = x._with(place.times(index[None]).sum(-1), 1, 1, x.unit)
        return index.reshape(kept(self, axis, keepdims))

    # ------------------------------------------------------------------ functions

    (divide, reciprocal, sqrt, rsqrt, exp, log, sigmoid, tanh, softmax, sort, top_k,
     last_median, sort_rows) = (compared(f.__name__, f) for f in (
         functions.divide, functions.reciprocal, functions.sqrt, functions.rsqrt,
         functions.exp, functions.log, functions.sigmoid, functions.tanh,
         functions.softmax, sorting.sort, sorting.top_k, sorting.median,
         sorting.sort_rows))
    shuffle = sorting.shuffle

    # ------------------------------------------------------------------ 0 and 1

    def _bit(self):
        """[self != 0], which a boolean is already."""
        return self if self.boolean else self != 0

    def __invert__(self) -> FixedPoint:
        check_bits("~", self)
        return 1 - self

    def __and__(self, other) -> FixedPoint:
        check_bits("&", self, other)
        product = self * other
        return product._with(product.value, boolean=True)

    def __or__(self, other) -> FixedPoint:
        check_bits("|", self, other)
        return super().__or__(other)

    # ------------------------------------------------------------------ NumPy, shapes

    def __array__(self, dtype=None, copy=None):
        raise TypeError("fixed point: no NumPy array; join several with np.stack, or "
                        "use .reveal()")

    def reshape(self, *shape) -> FixedPoint:
        return self._moved(self._number.reshape(*shape))

    def transpose(self, *axes) -> FixedPoint:
        """The axes in this order; without any, in reverse order."""
        one = len(axes) == 1 and not is_integer(axes[0])
        named = axes[0] if one else axes or None
        return self.T if named is None else self._moved(self._number.transpose(named))

    def __getitem__(self, key) -> FixedPoint:
        return self._moved(self._number[key])

    def _joined(self, arrays, axis):
        """FixedPoints and public arrays, joined; secret if one of them is."""
        values = [a if isinstance(a, FixedPoint) else self._public(a) for a in arrays]
        like = next((v for v in values if public.secret(v.value)), None)
        if like is not None:
            values = [v if public.secret(v.value) else v._with(
                public.as_share(v._number, like.value)) for v in values]
        return concatenate(values, axis)

    def _public(self, numbers):
        """Public numbers in this format."""
        return fix_precision(numbers, self.precision, self.base, self.ring)

    # ------------------------------------------------------------------ parties

    def share(self, *workers, crypto_provider, owner=None) -> FixedPoint:
        """Share among the `workers`: all workers of the `crypto_provider`'s World.

        The `owner` of a public value is the server, or another role that is named here;
        a local value belongs to its role.
        """
        world = getattr(crypto_provider, "world", None)
        if world is None or (*workers, crypto_provider) != (
                *world.workers, world.crypto_provider):
            raise ValueError("share: not the parties of one World; name *world.workers")
        if public.secret(self.value):
            raise TypeError("share: the value is shared already; reveal it with get()")
        if self.ring != world.ring:
            raise ValueError("share: encode with fix_precision(..., ring=world.ring)")
        often = self.ring.modulus // (self.unit**2 * self.weight_scale)
        if world.truncation == "local" and often < 10**6:
            raise ValueError(f"share: local truncation fails in 1 of {often:,} products"
                             " 1 * 1; take truncation='provider', or fewer digits")
        held = self.value
        if not isinstance(held, Local):
            rows, role = held.rows, world.server if owner is None else owner
            held = world.private_input(role, self.shape, lambda: rows[0], np.uint64)
        if owner is not None and str(owner) != held.role:
            raise ValueError(f"share: {held.role} holds this value; drop the owner")
        return self._with(*world.share(held.role, value=(held.rows, world.ring)))

    def refresh(self) -> FixedPoint:
        """The same number under fresh shares, after any pending truncation."""
        x = self if self.scale <= max(self.unit, self.rest) else self._at(self.unit)
        return x._with(public.refresh(x._number))

    @partial(compared, "get")
    def get(self, role=None) -> FixedPoint:
        """Reveal to one `role`, the server by default: a FixedPoint local to it.

        The shares that arrive are fresh and reveal only their sum. Rounds: 1, or 6
        with seals.
        """
        holder = getattr(self.value, "role", None)
        if holder and role is not None and str(role) != holder:
            raise ValueError(f"get: {holder} alone holds this value; share() it first")
        x = self if holder else self.refresh()
        if not public.secret(x.value):
            return x
        role = x.value.world.server if role is None else role
        rows, = x.value.world.gather(role, revealed=x.value)
        return x._with(Local(str(role), x.ring.sum(rows, axis=1), x.ring))

    def reveal(self, to=None) -> np.ndarray:
        """Plain numbers, revealed to one role, or by the server to everybody.

        Answers of comparisons are bools, and indices are integers. In a role that does
        not learn them all numbers are NaN. Rounds: 1, or 2 to everybody; with seals 6,
        and everybody learns them from the workers.
        """
        to_all = to is None and public.secret(self.value)
        shown = self._known_to_all() if to_all else self.get(to)
        rows = np.asarray(shown.value.rows)
        if self.scale != 1 or not len(rows):
            return shown.float_precision()
        return self.ring.to_int(rows)[0].astype(bool if self.boolean else np.int64)[()]

    def _known_to_all(self):
        """A public FixedPoint of the same numbers."""
        world = self.value.world
        if world.seals:
            shown = self.refresh()
            raw, = world.publish(revealed=shown.value)
        else:
            shown = self.get()
            held = self.ring.to_int(np.asarray(shown.value.rows)).ravel().tolist()
            told = world.broadcast(world.server, held, prod(self.shape))
            raw = self.ring.from_int(np.array(told, np.int64).reshape(1, *self.shape))
        return shown._with(PublicArray(PublicWorld(), self.ring, raw))

    def float_precision(self) -> np.ndarray:
        """The numbers as float64; NaN where they are not known."""
        if public.secret(self.value):
            raise TypeError("fixed point: no branch or number may depend on a secret; "
                            "use np.where, & or np.maximum, or .reveal() it")
        rows = np.asarray(self.value.rows)
        if not len(rows):
            return np.full(self.shape, np.nan)
        raw = self.ring.to_int(rows)[0].astype(object)      # Python's / loses no digit
        scale, part = self.scale.as_integer_ratio()
        return np.asarray(raw * part / scale, float)[()]

    def __float__(self) -> float:
        numbers = self.float_precision()
        if numbers.size != 1 or np.isnan(numbers).any():
            raise TypeError(f"float: shape {self.shape} is not one number known here")
        return numbers.item()

    def __bool__(self) -> bool:
        return bool(float(self))

    def __int__(self) -> int:
        return int(float(self))


def fix_precision(array, precision_fractional: int = 3, base: int = 10, ring=None,
                  rounding_seed=None, weight_scale: int = 1) -> FixedPoint:
    """Encode real numbers, or those of a `Local`, rounded to the nearest.

    There are `precision_fractional` digits behind the point, in `base` 10 or 2. The
    scale of a weight may be larger by a whole factor `weight_scale`. The `ring` is
    Z_2^64, or that of the World that will share the value. A `rounding_seed` makes the
    rounding of products of public values repeatable.
    """
    ring, digits = Z2k(64) if ring is None else ring, precision_fractional
    if not isinstance(ring, Z2k):
        raise TypeError(f"fix_precision: {shown(ring)} is no Z_2^l; take world.ring")
    whole = all(isinstance(n, (int, np.integer)) for n in (digits, base, weight_scale))
    if not whole or base not in (2, 10) or not 0 <= digits <= 64 or weight_scale < 1:
        raise ValueError(f"fix_precision: {shown(digits)} digits in base {shown(base)},"
                         f" weight_scale={shown(weight_scale)}; take integers, base 2 "
                         "or 10, digits from 0 on and a weight_scale from 1 on")
    base, digits, weight_scale = int(base), int(digits), int(weight_scale)
    unit, scale, room = base**digits, base**digits * weight_scale, raw_limit(ring)
    if 1 < weight_scale < unit or max(unit**2, scale) >= room:
        raise ValueError(f"fix_precision: {digits} digits in base {base}, weight_scale="
                         f"{weight_scale}, over {ring}; take fewer digits, or a "
                         f"weight_scale of 1 or from {unit} to {room / unit:.0f}")
    local = isinstance(array, Local)
    raw = encode(array.rows if local else real_array(array)[None], scale, ring)
    value = (Local(array.role, raw, ring) if local
             else PublicArray(PublicWorld(rounding_seed), ring, raw))
    return FixedPoint(value, base, digits, weight_scale=weight_scale)


@partial(compared, "concatenate")
def concatenate(values: list | tuple, axis: int = 0) -> FixedPoint:
    """FixedPoints of one format, all secret or all public, joined along an `axis`."""
    if not len(values):
        raise ValueError("concatenate: nothing to join; give one value or more")
    for v in values:
        if not isinstance(v, FixedPoint):
            raise TypeError(f"concatenate: a {type(v).__name__} is no FixedPoint")
        _same_format(values[0], v)
        if not v.ndim:
            raise ValueError("concatenate: a number without axes; use np.stack, or "
                             "make it a list of one number")
    boolean = all(v.boolean for v in values)
    values = _alike(values)
    joined = join([v._number for v in values], axis)
    return values[0]._with(joined, boolean=boolean)


# ------------------------------------------------------------------ scales
#
# Public numbers alone. A program needs few of them, and the same in each batch.


@lru_cache
def _operand_scale(scale, weight_scale, rest, unit, limit):
    """The scale to which an operand is truncated; None if it is ready."""
    ready = scale <= min(rest, unit * weight_scale, limit / unit)
    return None if ready else min(rest, unit)


@lru_cache
def _product_scales(x, y, unit, limit, k) -> tuple:
    """The scales to which both operands are truncated, or None, and the product's.

    x and y are the scale, weight_scale and rest of the operands, as the last three are
    of the product; k is the factor of a matrix product.
    """
    cuts = [None, None]
    if x[0] * y[0] > unit**2:
        cuts = [_operand_scale(*v, unit, limit) for v in (x, y)]
        x, y = (v if cut is None else (cut, 1, cut)
                for v, cut in zip((x, y), cuts, strict=True))
        if x[1] > 1 and y[1] > 1:
            cuts[1], y = unit, (unit, 1, unit)
    return *cuts, as_scale(x[0] * y[0] * k), max(x[1], y[1]) * k, min(unit, x[2], y[2])


@lru_cache(typed=True)
def _rescaling(source, weight, x, unit, k, c) -> tuple:
    """The factor by which a gradient is rescaled, 0 for none, and its scale.

    `weight` is a scale, `source` and `x` are three each, and c is a public number.
    """
    scale = gradient_scale(Fraction(weight) / min(x[0], x[2]) / (k * unit),
                           encoding.as_fraction(c), unit)
    divisor = _near(source[0] / scale, unit) if scale >= COARSEST else 0
    has_room = source[0] * Fraction(divisor).denominator <= unit**2 * source[1]
    return 1 / divisor if divisor and has_room else 0, as_scale(scale)


@lru_cache(typed=True)
def _update(weight, gradient, rate) -> tuple:
    """The size of a rate, and the factor of the raw gradient in an update by it."""
    ratio = encoding.as_fraction(rate)
    factor = Fraction(weight) / gradient * ratio
    return encoding.size_of(ratio), as_scale(_near(factor, 1) or factor)


def gradient_scale(finer: Fraction, c: Fraction, unit: int) -> Fraction:
    """The largest scale up to the unit of a g for an update by ``x.T @ g * c``.

    The weight's raw values are `finer` times as fine as those of ``x.T @ g`` with a g
    at the unit. A g of scale |c| unit finer / d makes the update a d-th of that; d is a
    power of two, unless another number gives the unit itself.
    """
    d = finer * abs(c)
    return unit * (Fraction(1) if d.denominator == 1 and d else
                   d / (1 << (ceil(d) - 1).bit_length()))


def _near(ratio, largest):
    """`ratio` to within a millionth of it: a whole number if one is so near.

    Else a fraction whose denominator is up to `largest`, or 0 if there is none.
    """
    found = (Fraction(ratio).limit_denominator(most) for most in (1, largest))
    return next((n for n in found if 10**6 * abs(n - ratio) <= abs(ratio)), 0)


def _alike(values):
    """The same numbers at one scale, which leaves room for their sum.

    The first one also has the weight_scale and the rest of the sum.
    """
    values = [v._for_sum() for v in values]
    scales, weight_scales, rests = zip(*[v._scales for v in values], strict=True)
    scale, weight_scale, rest = scales[0], min(weight_scales), min(rests)
    if len({*scales}) > 1:
        if any(v.scale % (v.unit * weight_scale) for v in values):
            weight_scale = 1    # else raw values would be multiplied beyond the ring
        scale = rest = values[0].unit * weight_scale
        values = [v._at(scale) for v in values]
    return [values[0]._with(values[0].value, scale, weight_scale, rest), *values[1:]]


def _then(answer, operation):
    """The operation on an answer, unless the operands had none."""
    return answer if answer is NotImplemented else operation(answer)


def _same_format(x, y):
    x, y = ((x.precision, x.base, x._number.ring.name),
            (y.precision, y.base, y._number.ring.name))
    if x != y:
        raise ValueError(f"fixed point: formats {x} and {y} differ; encode both alike")
