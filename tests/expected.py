"""NumPy's numbers, with the error that is allowed and the range in which it is kept.

The contract, for numbers with the unit u = base ** digits over Z_2^l, where eps = 1 / u
and R = 15/16 2^(l-2):

    range        a value          |v| < R / (2 u), also both sides of a comparison
                 a sum            |v| < R / u
                 a product        |x y| < R / (2 u^2)
                 a matrix product of secrets, for k workers
                                  the sum of |x y| < R / (2 k u^2)
                 a public factor  |x|, |x c| and their sums < R / (2 u D),
                                  D = max(u, 1000), |c| <= 1e9, |c| < R / (2 D)
                 sums of these    all terms together below twice as much
    error        encode           eps / 2; nothing for a number that the format holds
                 x + y, x - y     2 eps; n eps for a sum of n; 0 before any truncation
                 x * y, x @ y     |x| eps + |y| eps + eps^2, summed along the inner axis
                 x * c, x @ c     1e-6 |x c| + eps (1 + |c|), summed likewise
                 relu, max        eps, as for refresh, concatenate and a reveal
                 x > y, argmax    either answer if the operands differ by less than
                                  their errors

Errors of the operands are added: (x + e) (y + f) differs from x y by
|x| f + |y| e + e f.
"""

from functools import cached_property
from math import gcd
from typing import NamedTuple

import numpy as np

from mpc.array_functions import ArrayFunctions

HALF_ULP = 2.0**-53         # the relative error of one float64 operation: NumPy's own


class Format(NamedTuple):
    """A format of numbers, and the range in which they must be correct.

    The `workers` are those who multiply secret matrices. The range leaves out `spare`
    bits. Local truncation fails with probability |raw| / 2^l; with 24 spare bits that
    is at most 2^-26 for an element, which does not occur in practice.
    """

    base: int = 10
    digits: int = 3
    bits: int = 64
    spare: int = 0
    workers: int = 2

    @property
    def unit(self):
        return self.base ** self.digits

    @property
    def eps(self):
        return 1 / self.unit

    @property
    def sums(self):
        return 15 / 16 * 2.0 ** (self.bits - self.spare - 2) / self.unit

    @property
    def values(self):
        return self.sums / 2

    @property
    def products(self):
        return self.sums / self.unit

    @property
    def matrix_products(self):
        return self.products / self.workers

    @property
    def factors(self):
        return self.sums / max(self.unit, 1000)

    def rounding(self, numbers):
        """The error of encoding: 0 for multiples of a 1 / 2^k with 2^k | u."""
        step = 1 / gcd(self.unit, 2**20)
        return np.where(numbers % step == 0, 0, self.eps / 2)


class LeftRange(Exception):
    """The true numbers of a line leave the range: nothing is promised for it."""


class Expected(ArrayFunctions):
    """NumPy's array, and how far the library's may be from it.

    value   float64
    error   the bound of |result - value|, of the same shape
    exact   no truncation came before: sums of encoded numbers have no error of their
            own
    limit   of sums. A product may be summed while its truncation is pending, and the
            limit is then that of products.
    terms   the sum of absolute values to which the limit applies
    secret  False if only public values take part
    boolean True for the results of comparisons

    NumPy's functions are those of `mpc.array_functions` too, so that the errors of
    their parts add up. A test compares the values with NumPy's own.
    """

    __hash__ = None

    def __init__(self, format, value, error, exact=False, limit=None, size=None,
                 secret=True, boolean=False):
        self.format, self.value = format, np.asarray(value, float)
        self.error = np.broadcast_to(error, self.value.shape)
        self.exact, self.secret, self.boolean = exact, secret, boolean
        self.limit = format.sums if limit is None else limit
        size_here = self.most if size is None else size
        self.terms = np.broadcast_to(size_here, self.value.shape)
        within(self.most, format.sums)
        if size is not None:
            within(self.terms, self.limit)

    @property
    def shape(self):
        return self.value.shape

    @property
    def ndim(self):
        return self.value.ndim

    @cached_property
    def most(self):
        """The largest absolute value that it may have."""
        return np.abs(self.value) + self.error

    @property
    def cut(self):
        """The error of the truncation that may be pending."""
        return 0 if self.exact else self.format.eps

    @property
    def operand(self):
        """The largest absolute value as an operand, in the range of values."""
        within(self.most + self.cut, self.format.values)
        return self.most + self.format.eps

    @property
    def revealed_error(self):
        """The bound of a decoded number, a quotient that float64 rounds."""
        return self.error + self.cut + 3 * HALF_ULP * np.abs(self.value)

    def _with(self, value, error, **changes):
        kept = {"exact": self.exact, "secret": self.secret}
        return Expected(self.format, value, error, **kept | changes)

    def _each(self, move):
        """The same numbers in another arrangement."""
        return self._with(move(self.value), move(self.error), limit=self.limit,
                          size=move(self.terms), boolean=self.boolean)

    def _meet(self, other):
        """The other operand of a sum or comparison, also a public number or array."""
        if isinstance(other, Expected):
            return other
        return encoded(self.format, other, secret=False)

    # ---- sums

    def __add__(self, other):
        x, y = self, self._meet(other)
        value = x.value + y.value
        cut = 0 if x.exact and y.exact else 2 * self.format.eps
        if not isinstance(other, Expected) and x.limit < self.format.sums and (
                np.abs(y.value) < x.limit / 2).all():
            within(x.terms + y.terms, x.limit)    # a small number joins the product
        limit, size = joint(x, y, x.terms + y.terms, np.abs(value))
        return self._with(value, x.error + y.error + cut + HALF_ULP * np.abs(value),
                          limit=limit, size=size, exact=x.exact and y.exact,
                          secret=x.secret or y.secret)

    def __neg__(self):
        return self._with(-self.value, self.error, limit=self.limit, size=self.terms)

    def __sub__(self, other):
        return self + -self._meet(other)

    def __rsub__(self, other):
        return -self + other

    def cumsum(self, axis=None):
        parts = self if axis is not None else self.reshape(-1)
        axis = 0 if axis is None else axis % parts.ndim
        rows = [parts._each(lambda a, i=i: a.take(range(i + 1), axis))
                for i in range(parts.shape[axis])]
        return expected_concatenate([r.sum(axis, True) for r in rows], axis)

    def sum(self, axis=None, keepdims=False):
        def add(array):
            return array.sum(axis=axis, keepdims=keepdims)

        value, n = add(self.value), add(np.ones(self.shape))
        error = add(self.error) + n * self.cut + n * HALF_ULP * add(np.abs(self.value))
        waits = self.limit < self.format.sums
        return self._with(value, error, limit=self.limit,
                          size=add(self.terms) if waits else None)

    # ---- products

    def __mul__(self, other):
        return self._product(other, np.multiply)

    def __matmul__(self, other):
        return self._product(other, np.matmul)

    def __rmatmul__(self, other):
        return self._product(other, lambda x, y: np.matmul(y, x))

    __radd__, __rmul__ = __add__, __mul__

    def _product(self, other, op):
        """By a secret or a public factor; `op` may sum along an inner axis."""
        x, eps = self.operand, self.format.eps
        if isinstance(other, Expected):
            y, value = other.operand, op(self.value, other.value)
            size, limit = op(x, y), self.format.products
            if op is np.matmul and self.secret and other.secret:
                limit = self.format.matrix_products
            within(size, limit / 2)
            e, f = self.error + eps, other.error + eps
            error = op(e, np.abs(other.value)) + op(np.abs(self.value), f) + op(e, f)
            return self._with(value, error + self._inner(op, size), exact=False,
                              size=size, limit=limit,
                              secret=self.secret or other.secret)
        number = np.asarray(other, float)
        c = np.abs(number)
        if (c > min(1e9, self.format.factors * self.format.unit / 2)).any():
            raise LeftRange
        size = np.maximum(op(x, c), op(x, np.ones_like(c)))
        within(size, self.format.factors / 2)
        error = (op(self.error + eps, c) + 1e-6 * op(self.most, c)
                 + eps * op(np.ones(self.shape), np.ones_like(c)))
        return self._with(op(self.value, number), error + self._inner(op, op(x, c)),
                          exact=False, size=size, limit=self.format.factors)

    def _inner(self, op, size):
        """NumPy's own error in the sum of `size`."""
        return HALF_ULP * size * (2 if op is np.multiply else 1 + self.value.size)

    def __truediv__(self, number):
        return self * (1 / np.asarray(number, float))

    def __pow__(self, n):
        if n == 1:
            return self
        half = self ** (n // 2)
        return half * half * self if n % 2 else half * half

    # ---- comparisons

    def _compare(self, op, other):
        """0 or 1, and an error of 1 where either answer is correct."""
        x, y = self, self._meet(other)
        _ = x.operand, y.operand        # both sides have to be values
        _ = self - other                # and their difference in the range of sums
        margin = x.error + y.error + (0 if x.exact and y.exact else 2 * self.format.eps)
        certain = (np.abs(x.value - y.value) > margin) | (margin == 0)
        return self._answer(op(x.value, y.value), np.where(certain, 0, 1),
                            x.secret or y.secret)

    def _answer(self, value, error, secret):
        return Expected(self.format, value, error, exact=True, secret=secret,
                        boolean=True)

    def _bit(self):
        return self if self.boolean else self != 0

    def __invert__(self):
        return self._answer(1 - self.value, self.error, self.secret)

    def __and__(self, other):
        other = self._meet(other)
        error = np.maximum(self.error, other.error)
        return self._answer(self.value * other.value, error,
                            self.secret or other.secret)

    def __ge__(self, other):
        return self._compare(np.greater_equal, other)

    def __le__(self, other):
        return self._compare(np.less_equal, other)

    def __gt__(self, other):
        return self._compare(np.greater, other)

    def __lt__(self, other):
        return self._compare(np.less, other)

    def __eq__(self, other):
        return self._compare(np.equal, other)

    def __ne__(self, other):
        return ~(self == other)

    eq = __eq__

    def drelu(self):
        return self >= 0

    def relu(self):
        _ = self.operand
        return self._with(np.maximum(self.value, 0), self.error + self.cut, exact=False)

    def refresh(self):
        return self._with(self.value, self.error + self.cut, exact=self.exact)

    def max(self, axis=None, keepdims=False):
        _ = self.operand
        return self._with(self.value.max(axis=axis, keepdims=keepdims),
                          self.error.max(axis=axis, keepdims=keepdims) + self.cut,
                          exact=False)

    def argmax(self, axis=None, one_hot=False, keepdims=False):
        _ = self.operand
        x = self._each(lambda a: a.reshape(-1) if axis is None
                       else np.moveaxis(a, axis, -1))
        n, best = x.shape[-1], x.value.argmax(-1)
        place = np.eye(n)[best]
        margin = x.error + self.cut
        others = np.where(place, -np.inf, x.value + margin).max(-1)
        certain = ((np.where(place, x.value - margin, -np.inf).max(-1) > others)
                   | (margin == 0).all(-1))
        if one_hot:
            return self._answer(place, np.where(certain, 0, 1)[..., None], self.secret)
        shape = self.value.argmax(axis, keepdims=keepdims).shape
        answer = Expected(self.format, best, np.where(certain, 0, n - 1), exact=True,
                          secret=self.secret)
        return answer.reshape(shape)

    # ---- shape

    def reshape(self, *shape):
        return self._each(lambda a: a.reshape(*shape))

    @property
    def T(self):
        return self._each(np.transpose)

    def transpose(self, *axes):
        return self._each(lambda a: a.transpose(*axes))

    def _joined(self, arrays, axis):
        values = [self._meet(a) for a in arrays]
        return expected_concatenate(values, axis)

    def __getitem__(self, key):
        return self._each(lambda a: a[key])


def within(size, limit):
    if not (size < limit).all():
        raise LeftRange


def encoded(format, numbers, secret=True):
    """The numbers of a user as `Expected` ones."""
    numbers = np.asarray(numbers, float)
    within(np.abs(numbers), format.values)
    return Expected(format, numbers, format.rounding(numbers), exact=True,
                    secret=secret)


def joint(x, y, size, settled):
    """The limit of x and y together, and the size to which it applies.

    Two products are added before their truncation, and so is a number that is small
    enough. A large number is added to a product after the product's truncation.
    """
    limit = min(x.limit, y.limit)
    if x.limit == y.limit < x.format.sums or (size < limit).all():
        return limit, size
    return x.format.sums, settled


def expected_concatenate(values, axis=0):
    def join(arrays):
        return np.concatenate(list(arrays), axis)

    first, exact = values[0], all(v.exact for v in values)
    limit = min(v.limit for v in values)
    size = join(v.terms for v in values)
    if not (size < limit).all():
        limit, size = first.format.sums, None
    return first._with(join(v.value for v in values),
                       join(v.error + v.cut for v in values),
                       exact=exact, limit=limit, size=size)
