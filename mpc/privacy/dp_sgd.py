"""DP-SGD on shares: the gradient of each item is clipped, and their sum gets noise.

A step of gradient descent publishes nothing here; the model that is revealed in the end
is computed from noisy sums alone. So whether an item was in its batch changes what
anyone can see only as much as it changes these sums.

*Ghost clipping.* With the input a of a layer and the gradient d of its output, an item
contributes the matrix a d^T to the gradient of the weights and d to that of the biases.
The squared length of all its contributions is, over all layers,

    N = sum of (|a|^2 + 1) |d|^2

and needs no gradient of its own. Its factor f = min(1, C / sqrt(N)) becomes a
*staircase*, of which a comparison finds the step: f = C / tau_i for tau_(i-1)^2 < N <=
tau_i^2, rounded down, and 0 above the last tau. Then a^T (f d) is the clipped sum.

*The bound is exact.* All these are integers. a and d enter N and the sum with the same
digits; |a|^2 and |d|^2 are rounded up, f is rounded down, and nothing is rounded
between clipping and noise. So the contribution of an item is never longer than
`Clip.sensitivity` on the lattice of the sum, where the noise lies too. A quotient by D
is at most 2^l / D + 1 whatever came in, so squares cannot leave the ring
(`range_checks.check_room`), and factors too large to be multiplied make f = 0.

Source: Abadi et al., CCS 2016; Li et al., ICLR 2022 (ghost clipping for layers);
Kairouz, Liu and Steinke, ICML 2021 (discrete Gaussian on a lattice).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor, isqrt
from typing import NamedTuple

import numpy as np

from mpc import public
from mpc.beaver import share_offline
from mpc.functions import at_least
from mpc.privacy.noise import discrete_gaussian, from_words, words_per_sample
from mpc.randomness import fresh_key, stream
from mpc.ring import Z2k, raw_limit
from mpc.share import concatenate

STEPS, RATIO = 24, Fraction(6, 5)       # of the staircase, which ends at 79 C
WHOLE = 1000        # f = 1, as an integer


class Clip(NamedTuple):
    """The bound C of an item's gradient, for a loss with gradient 2 (output - target).

    `unit` is the scale of activations and gradients.
    """

    bound: float
    unit: int

    @property
    def sensitivity(self) -> int:
        """The longest contribution of an item, on the lattice of the sum."""
        return ceil(Fraction(self.bound) / 2 * WHOLE * self.unit**2)

    def staircase(self) -> tuple[list[int], list[int]]:
        """The largest N of each step, and its factor; f of WHOLE is 1."""
        c = Fraction(self.bound) / 2
        ends = [c * RATIO**i for i in range(STEPS + 1)]
        return ([floor((end * self.unit) ** 2) for end in ends],
                [floor(WHOLE * c / end) for end in ends])


def layers_of(model) -> list:
    """The layers of the training command's network, from the input on."""
    return [model.fc1, model.fc2, model.fc3]


def pairs(model, pictures, labels) -> list[tuple]:
    """(a, d) of each layer: its input and half the gradient of its output, by item."""
    layers, inputs, slopes, x = layers_of(model), [], [], pictures
    for layer in layers:
        inputs.append(x)
        z = x @ layer.weight.value + layer.bias.value
        if layer is not layers[-1]:
            x, slope = relu_and_slope(z)
            slopes.append(slope)
    deltas = [settled(z) - labels]
    for layer, slope in zip(layers[:0:-1], reversed(slopes), strict=True):
        deltas.append(settled(deltas[-1] @ layer.weight.value.T) * slope)
    return list(zip(inputs, reversed(deltas), strict=True))


def relu_and_slope(z):
    """max(z, 0) and its slope, which is 1 at 0 in the norm and in the gradient."""
    is_array = isinstance(z, np.ndarray)
    return (np.maximum(z, 0), z >= 0) if is_array else z.relu_and_slope()


def settled(z):
    """After any pending truncation."""
    return z if isinstance(z, np.ndarray) else z.operand()


def squares(arrays: Sequence, unit: int):
    """|row|^2 of raw integers (n, m) over `unit`, rounded up: (len(arrays), n)."""
    totals = []
    for x in arrays:
        n, m = x.shape
        total = public.matmul(x.reshape(n, 1, m), x.reshape(n, m, 1))
        totals.append(total.reshape(1, n))
    factor = unit * public.matmul_factor(totals[0], totals[0])
    return public.scaled(concatenate(totals), Fraction(1, factor)).plus(1)


def clip_factors(values: list[tuple], clip: Clip):
    """The factor f of each item (n,), an integer up to WHOLE.

    `values` are the raw integers (a, d) of each layer. One comparison finds factors of
    N that are too large, and one more the step of N.
    """
    (ends, factors), k = clip.staircase(), len(values)
    inputs, gradients = zip(*values, strict=True)
    public.open_all(*gradients)
    both = concatenate([squares(inputs, clip.unit).plus(clip.unit),
                        squares(gradients, clip.unit)])
    large = at_least(both, [isqrt(both.ring.modulus // 8 // k) + 1])[0]
    both = public.subtract(both, public.multiply(large, both))
    n = public.multiply(both[:k], both[k:]).sum(0)
    n = public.add(n, large.sum(0).times(ends[-1] + 1))
    bits = at_least(-n, [-end for end in ends])         # [N <= end]: a run of ones
    steps = [f - less for f, less in zip(factors, [*factors[1:], 0], strict=True)]
    weights = np.array(steps, bits.ring.dtype).reshape(1, -1, 1)
    return bits.times(weights).sum(0)


def clipped_sums(model, pictures, labels, clip: Clip) -> list:
    """The clipped sum of each parameter's gradient, in the order of the parameters.

    These are raw integers, k WHOLE unit^2 / 2 times as large as gradients, for the
    factor k of a matrix product; or floats, which are half a gradient.
    """
    values = pairs(model, pictures, labels)
    if isinstance(pictures, np.ndarray):
        return float_sums(values, clip)
    values = [(a.value, d.value) for a, d in values]
    f, sums = clip_factors(values, clip), []
    clipped = [public.multiply(f.reshape(f.shape[0], 1), d) for _, d in values]
    public.open_all(*clipped)
    for (a, _), g in zip(values, clipped, strict=True):
        k = public.matmul_factor(a, g)
        sums += [public.matmul(a.T, g), g.sum(0).times(k * clip.unit)]
    return sums


def float_sums(values: list[tuple], clip: Clip) -> list[np.ndarray]:
    """The clipped sums of floats, with the same staircase."""
    ends, factors = clip.staircase()
    n = sum(((a * a).sum(1) + 1) * (d * d).sum(1) for a, d in values)
    step = np.searchsorted(np.array(ends) / clip.unit**2, n)
    f = (np.array([*factors, 0]) / WHOLE)[step][:, None]
    return [part for a, d in values for part in (a.T @ (f * d), (f * d).sum(0))]


# ---- the noisy step


class NoisyStep:
    """A step of DP-SGD: a function of pictures and labels. It reveals nothing.

    `sigma` is the noise multiplier, the deviation of the noise over the bound C. The
    provider deals the noise, or each worker adds its own. In the clear it comes from a
    fresh key. A sum of floats is first rounded to the lattice, or its last digits would
    have no noise. That adds up to 1 to each number's change, and so to the bound.
    """

    def __init__(self, arithmetic, model, lr: float, clip: Clip, sigma: float,
                 by_workers: bool = False):
        self.world, self.model, self.lr, self.clip = arithmetic.world, model, lr, clip
        values = [p.value for p in model.parameters()]
        rounded = sum(v.size for v in values if isinstance(v, np.ndarray))
        rounding = isqrt(rounded) + 2 if rounded else 0     # 2: also errors of floats
        self.deviation = sigma * (clip.sensitivity + rounding)
        self.by_workers, self._key, self._drawn = by_workers, fresh_key(), 0

    def __call__(self, pictures, labels) -> None:
        sums = clipped_sums(self.model, pictures, labels, self.clip)
        size = pictures.shape[0]
        rate = Fraction(2 * self.lr) / size
        if isinstance(pictures, np.ndarray):
            self._move_floats(sums, rate)
        else:
            self._move(sums, rate, size)

    def _move_floats(self, sums, rate):
        lattice = WHOLE * self.clip.unit**2
        for parameter, total in zip(self.model.parameters(), sums, strict=True):
            whole = np.rint(total * lattice).astype(np.int64)
            noisy = whole + self._own(total.shape)
            parameter.value = parameter.value - float(rate) * (noisy / lattice)

    def _move(self, sums, rate, size):
        """Each weight less rate times its noisy sum, truncated to the weight's scale.

        The rate becomes a fraction p / q for a p that the sum has room for.
        """
        parameters, changes = self.model.parameters(), []
        k = self.world.matmul_factor if self.world else 1
        largest = k * largest_sum(self.clip, self.deviation, size)
        for parameter, total in zip(parameters, sums, strict=True):
            for noise in self._noise(total):
                total = public.add(total, noise.times(k))
            factor = Fraction(parameter.value.scale) / (k * WHOLE * self.clip.unit**2)
            room = max(int(raw_limit(total.ring) / largest), 1)
            part = 1 / (1 / (factor * rate)).limit_denominator(room)
            changes.append((total.times(part.numerator), part.denominator))
        public.open_all(*(change for change, _ in changes))
        for parameter, (change, q) in zip(parameters, changes, strict=True):
            w, change = parameter.value, public.scaled(change, Fraction(1, q))
            parameter.value = w._with(public.subtract(w.value, change))

    def _noise(self, total):
        """Integers on the lattice of a sum: dealt, or one array from each worker."""
        if self.world is None:
            return [total._with(total.ring.from_int(self._own(total.shape))[None])]
        roles = self.world.workers if self.by_workers else [self.world.crypto_provider]
        with self.world.ledger.step("noise"):
            return [self._shared(role, total) for role in roles]

    def _shared(self, role, total):
        """Noise that one role draws, from coins that nobody else knows, and shares."""
        world, ring, shape = self.world, total.ring, total.shape
        words = world.private_coins(
            role, Z2k(64), (*shape, words_per_sample(self.deviation)), "coins")
        drawn = world.private_input(role, shape, lambda: from_words(
            np.asarray(words)[0], self.deviation), np.int64)
        noise = {"noise": (ring.from_int(drawn.rows), ring)}
        return world.share(role, **noise)[0] if self.by_workers else share_offline(
            world, **noise)[0]

    def _own(self, shape):
        """Noise in the clear."""
        self._drawn += 1
        take = stream(self._key, "noise", self._drawn)
        return discrete_gaussian(take, shape, self.deviation)


def largest_sum(clip: Clip, deviation: float, size: int) -> int:
    """What a sum with noise never exceeds, but for once in 10^30 draws."""
    return size * clip.sensitivity + ceil(12 * deviation)
