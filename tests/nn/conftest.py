"""A gradient checker, and a value type that computes but cannot be read."""

from itertools import product

import numpy as np
import pytest

import nn
from mpc.array_functions import ArrayFunctions


@pytest.fixture(autouse=True)
def strict_floats():
    with np.errstate(all="raise"):
        yield


# ---- a stand-in for fixed point, with the same operators, which it logs


class Opaque(ArrayFunctions):
    """A value that cannot be read. `Opaque.log` lists its products and comparisons.

    It has the optional methods of a value (`nn.values`), which round nothing here.
    """

    __iter__ = None
    __hash__ = None
    log = []

    def __init__(self, array):
        self._array = np.asarray(array, dtype=float)
        self.shape, self.ndim = self._array.shape, self._array.ndim

    def _refuse(self, *_):
        raise AssertionError("a held value was read")

    __bool__ = __len__ = _refuse
    __array__ = __float__ = __int__ = __index__ = _refuse

    @staticmethod
    def _raw(other, *public):
        """The array behind an Opaque, or an operand of one of the `public` types."""
        if isinstance(other, Opaque):
            return other._array
        kind = type(other).__name__
        assert isinstance(other, public), f"fixed point cannot take a {kind} here"
        return other

    def __add__(self, other):
        return Opaque(self._array + self._raw(other, int, float, np.ndarray))

    def __sub__(self, other):
        return Opaque(self._array - self._raw(other, int, float, np.ndarray))

    def __rsub__(self, other):
        return Opaque(self._raw(other, int, float, np.ndarray) - self._array)

    def __neg__(self):
        return Opaque(-self._array)

    def __mul__(self, other):
        kind = {Opaque: "value", np.ndarray: "array"}.get(type(other), "number")
        if kind != "number" or other != 1:                      # times 1 costs nothing
            Opaque.log.append(f"{self.shape} * {kind}")
        return Opaque(self._array * self._raw(other, int, float, np.ndarray))

    def __matmul__(self, other):
        Opaque.log.append(f"{self.shape} @ {other.shape}")
        return Opaque(self._array @ self._raw(other, np.ndarray))

    def __rmatmul__(self, other):
        Opaque.log.append(f"{other.shape} @ {self.shape}")
        return Opaque(self._raw(other, np.ndarray) @ self._array)

    def __truediv__(self, number):
        assert type(number) in (int, float), "only public numbers divide"
        return Opaque(self._array / number)

    def __pow__(self, n):
        assert n == 2, "only the square"
        Opaque.log.append(f"{self.shape} ** 2")
        return Opaque(self._array**2)

    __radd__, __rmul__ = __add__, __mul__

    @property
    def T(self):
        return Opaque(self._array.T)

    def sum(self, axis=None, keepdims=False):
        assert axis is None or isinstance(axis, int), "one axis at a time"
        return Opaque(self._array.sum(axis=axis, keepdims=keepdims))

    def reshape(self, *shape):
        assert all(isinstance(n, int) for n in shape)
        return Opaque(self._array.reshape(shape))

    def __getitem__(self, key):
        return Opaque(self._array[key])

    def transpose(self, axes):
        return Opaque(self._array.transpose(axes))

    def cumsum(self, axis):
        return Opaque(self._array.cumsum(axis))

    def argmax(self, axis=None, one_hot=False, keepdims=False):
        assert one_hot or axis is None, "the place as a vector, or of all elements"
        Opaque.log.append(f"argmax {self.shape}")
        place = self._array.argmax(axis)
        return Opaque(np.eye(self.shape[-1])[place] if one_hot else place)

    def _joined(self, arrays, axis):
        return Opaque(np.concatenate([getattr(a, "_array", a) for a in arrays], axis))

    def _compare(self, other, op):
        Opaque.log.append(f"{self.shape} {op.__name__}")
        return Opaque(op(self._array, self._raw(other, int, float, np.ndarray)))

    def _bit(self):
        return Opaque(self._array != 0)

    def __invert__(self):
        return Opaque(self._array == 0)

    def __and__(self, other):
        return self * other

    __lt__, __le__, __gt__, __ge__, __eq__, __ne__ = (
        lambda self, other, op=op: self._compare(other, op)
        for op in (np.less, np.less_equal, np.greater, np.greater_equal, np.equal,
                   np.not_equal))

    def operand(self):
        return self

    def relu_and_slope(self):
        Opaque.log.append(f"relu {self.shape}")
        slope = Opaque(self._array >= 0)
        return Opaque(self._array * slope._array), slope

    def rescaled_for(self, weight, x, c=1):
        return self

    def updated(self, gradient, rate=1):
        Opaque.log.append(f"{self.shape} updated at {rate}")
        return Opaque(self._array - rate * self._raw(gradient))

    def share(self, *owners, provider=None):
        return Opaque(self._array)

    def get(self):
        return Opaque(self._array)

    def float_precision(self):
        return self._array

    def __repr__(self):
        return "Opaque > Share\n    alice: [?]\n    bob:   [?]"


@pytest.fixture
def opaque():
    """The class, with an empty log."""
    Opaque.log.clear()
    return Opaque


# ---- the gradient checker


def losses(f, xs):
    """Three scalars from f(*xs), whose gradient is a number, an array, and a value."""
    weights = np.random.default_rng(5).uniform(0.5, 1.5, f(*xs).shape)
    return {"sum": f(*xs).sum(), "weighted sum": (f(*xs) * weights).sum(),
            "sum of squares": (f(*xs) ** 2).sum()}


def tensors(arrays, kind=np.array):
    return [nn.Tensor(kind(array), requires_grad=True) for array in arrays]


def slope(f, name, arrays, i, at, step=1e-6):
    """The central difference of one loss, as entry `at` of argument `i` moves."""
    def value(d):
        moved = [np.array(array, dtype=float) for array in arrays]
        moved[i][at] += d
        return losses(f, tensors(moved))[name].value
    return float(value(step) - value(-step)) / (2 * step)


def backward_gradients(f, name, arrays, kind):
    """The gradients from `backward` as arrays, for every type of value."""
    xs = tensors(arrays, kind)
    losses(f, xs)[name].backward()
    assert all(x.grad.shape == x.shape for x in xs), f"{name}: wrong shape of gradient"
    return [x.grad._array if isinstance(x.grad, Opaque) else x.grad for x in xs]


def check_gradients(f, *arrays, opaque=True):
    """Assert that the gradients of ``f(*tensors)`` are correct, for three losses.

    On floats they are compared with central differences at every entry, and on opaque
    values with the gradients on floats. ``opaque=False`` is for an f that fixed point
    cannot compute.
    """
    arrays = [np.array(array, dtype=float) for array in arrays]
    for name in ("sum", "weighted sum", "sum of squares"):
        got = backward_gradients(f, name, arrays, np.array)
        for i, array in enumerate(arrays):
            for at in product(*map(range, array.shape)):
                expected = slope(f, name, arrays, i, at)
                assert abs(got[i][at] - expected) <= 1e-6 * (1 + abs(expected)), (
                    f"{name}: argument {i} at {at}, where it is {array[at]:.6g}: "
                    f"backward says {got[i][at]:.6g}, the slope is {expected:.6g}")
        if opaque:
            hidden = backward_gradients(f, name, arrays, Opaque)
            for a, b in zip(got, hidden, strict=True):
                np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.fixture(scope="session")
def check():
    return check_gradients


@pytest.fixture
def rng():
    return np.random.default_rng(0)
