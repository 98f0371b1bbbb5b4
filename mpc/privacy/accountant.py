"""The accountant: what noise of parameter sigma promises about one item.

A run releases, for each batch, a sum of vectors, one from each item and none longer
than 1 (in units of the clipping norm), plus Gaussian noise of parameter sigma (the
noise multiplier). Batches come in a fixed order, so an item is in one sum per epoch.
The run is then rho-zCDP with rho = epochs / (2 sigma^2), for the discrete Gaussian as
for the continuous one (Bun and Steinke, TCC 2016; Canonne, Kamath and Steinke, NeurIPS
2020). No amplification by sampling is claimed: it would need a secret random order.

Two data sets are neighbours if the item of one slot is replaced by nothing, a zero
vector ("zero-out" adjacency). If an item is replaced by another ("replace-one"), sums
differ by up to 2 instead of 1, which makes rho four times as large.

Logarithms are natural. Every function takes numbers of any size; a wrong one raises a
ValueError in one line.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Context
from numbers import Real

import numpy as np
from scipy.optimize import brentq
from scipy.special import erfcx, gammaln, logsumexp, ndtr

from mpc.ring import is_integer
from mpc.share import shown

SENSITIVITY = {"zero-out": 1, "replace-one": 2}     # in units of the clipping norm
MEANING = {"zero-out": "one item replaced by nothing",
           "replace-one": "one item replaced by another"}


@dataclass(frozen=True)
class Spent:
    """The privacy that training has cost. ``a + b`` is the cost of both together.

    `rho` is that of zero-concentrated differential privacy (zCDP) for this adjacency.
    """

    rho: float
    delta: float
    epochs: int
    adjacency: str = "zero-out"

    def __post_init__(self):
        _number("rho", self.rho)
        _probability(self.delta)
        _count("epochs", self.epochs)
        _sensitivity(self.adjacency)

    @property
    def epsilon(self) -> float:
        return zcdp_epsilon(self.rho, self.delta)

    def __add__(self, other: Spent) -> Spent:
        """Composition: rho adds up, also if one run depends on the other's result."""
        if not isinstance(other, Spent):
            return NotImplemented
        if (self.delta, self.adjacency) != (other.delta, other.adjacency):
            raise ValueError(f"accountant: delta={self.delta:g} and {self.adjacency} + "
                             f"delta={other.delta:g} and {other.adjacency}; add up "
                             "runs at one delta and adjacency (dataclasses.replace)")
        return replace(self, rho=self.rho + other.rho,
                       epochs=self.epochs + other.epochs)

    def replacing(self) -> Spent:
        """The same runs if an item is replaced by another one: 2^2 times the rho."""
        if self.adjacency == "replace-one":
            return self
        return replace(self, rho=4 * self.rho, adjacency="replace-one")

    def __str__(self):
        return (f"({rounded_up(self.epsilon)}, {self.delta})-differential privacy "
                f"(zCDP with rho = {rounded_up(self.rho)}) after {self.epochs} "
                f"epoch{'s' * (self.epochs != 1)}, for {MEANING[self.adjacency]}")


def spent(sigma: float, epochs: int, delta: float,
          adjacency: str = "zero-out") -> Spent:
    """The cost of `epochs` passes in fixed order with the noise multiplier `sigma`."""
    if _number("sigma", sigma) == 0:
        raise ValueError("accountant: sigma=0 is no noise; take a number above 0")
    ratio = _sensitivity(adjacency) / float(sigma)
    return Spent(_count("epochs", epochs) * (ratio * ratio / 2), delta, epochs,
                 adjacency)


def noise_for(epsilon: float, delta: float, epochs: int,
              adjacency: str = "zero-out") -> float:
    """The least noise multiplier with which `epochs` passes cost at most `epsilon`.

    It is larger by one part in 10^12, so that rounding never exceeds the target.
    """
    rho = zcdp_rho(epsilon, delta)
    if rho == 0:
        raise ValueError(f"accountant: no finite noise gives epsilon={epsilon:g} at "
                         f"delta={delta:g}; take larger ones")
    if _count("epochs", epochs) == 0:
        raise ValueError("accountant: epochs=0 need no noise; take a number above 0")
    least = math.sqrt(epochs / 2) / math.sqrt(rho)
    return _sensitivity(adjacency) * least * (1 + 1e-12)


# ------------------------------------------------------------------ zCDP

# Proposition 12 of Canonne, Kamath and Steinke: a rho-zCDP mechanism is (epsilon,
# delta)-DP with, for every alpha = 1 + x > 1,
#     log delta = x ((1 + x) rho - epsilon) + (1 + x) log(x / (1 + x)) - log x.
# Solved for each of the three numbers, it holds at any x, so that an inexact x costs
# tightness and never truth. At the best x the derivative is zero:
#     epsilon = (1 + 2 x) rho - log(1 + 1/x), and so log delta = -x^2 rho - log(1 + x).


def zcdp_delta(rho: float, epsilon: float) -> float:
    """The delta of a rho-zCDP mechanism at `epsilon`."""
    _number("rho", rho), _number("epsilon", epsilon)
    if rho == 0:
        return 0.0
    x = _root(lambda x: (1 + 2 * x) * rho - epsilon - math.log1p(1 / x))
    slope = x * rho + (rho - epsilon)
    return math.exp(min(0.0, x * (slope - math.log1p(1 / x)) - math.log1p(x)))


def zcdp_epsilon(rho: float, delta: float) -> float:
    """The epsilon of a rho-zCDP mechanism at `delta`."""
    _number("rho", rho), _probability(delta)
    if rho == 0:
        return 0.0
    rest = -math.log(delta)
    x = _root(lambda x: x * x * rho + math.log1p(x) - rest)
    return max(0.0, (1 + x) * rho + (rest - math.log1p(x)) / x - math.log1p(1 / x))


def zcdp_rho(epsilon: float, delta: float) -> float:
    """The largest rho with which a mechanism is (epsilon, delta)-DP."""
    _number("epsilon", epsilon), _probability(delta)
    rest = -math.log(delta)
    x = _root(lambda x: epsilon + math.log1p(1 / x)
              - (1 + 2 * x) * ((rest - math.log1p(x)) / x / x))
    excess = (rest - math.log1p(x)) / x
    return max(0.0, (epsilon + math.log1p(1 / x) - excess) / (1 + x))


def _root(increasing: Callable[[float], float]) -> float:
    """Where a function of x > 0 becomes positive, at least 10^-130, at most 10^130."""
    def f(t):
        return increasing(math.exp(t))

    low, high = -300.0, 300.0
    if f(low) >= 0:
        return math.exp(low)
    return math.exp(brentq(f, low, high) if f(high) > 0 else high)


# ------------------------------------------------------------------ for comparison


def gdp_delta(mu: float, epsilon: float) -> float:
    """The delta of mu-GDP at `epsilon`: exact for the continuous Gaussian.

    mu is sqrt(2 rho), or sensitivity sqrt(epochs) / sigma (Balle and Wang, ICML 2018;
    Dong, Roth and Su, 2022).
    """
    _number("mu", mu), _number("epsilon", epsilon)
    if mu == 0:
        return 0.0
    u, v = epsilon / mu - mu / 2, epsilon / mu + mu / 2
    # exp(epsilon) Phi(-v), where epsilon = (v^2 - u^2) / 2
    other = math.exp(-u * u / 2) * erfcx(v / math.sqrt(2)) / 2
    return max(0.0, float(ndtr(-u) - other))


def gdp_epsilon(mu: float, delta: float) -> float:
    """The epsilon of mu-GDP at `delta`: exact for the continuous Gaussian."""
    _number("mu", mu), _probability(delta)
    if gdp_delta(mu, 0) <= delta:
        return 0.0
    above = zcdp_epsilon(mu * mu / 2, delta)
    if gdp_delta(mu, above) >= delta:       # within rounding, for a huge mu
        return above
    return brentq(lambda epsilon: gdp_delta(mu, epsilon) - delta, 0, above)


ORDERS = (*range(2, 64), *range(64, 256, 4), *range(256, 1024, 32))


def poisson_epsilon(q: float, sigma: float, steps: int, delta: float) -> float:
    """NOT valid for a fixed order: the epsilon if every batch were a random sample.

    Every step would have to take each item with probability `q`, independently and
    secretly, with items added or removed as adjacency. From Renyi divergences of whole
    orders (Mironov, Talwar and Zhang, 2019) by the conversion of Canonne, Kamath and
    Steinke; only to show the price of a fixed order.
    """
    if not 0 < _number("q", q) <= 1:
        raise ValueError(f"accountant: q={q:g}: take a probability above 0")
    if _number("sigma", sigma) == 0:
        raise ValueError("accountant: sigma=0 is no noise; take a number above 0")
    _count("steps", steps), _probability(delta)
    return max(0.0, min(
        steps * sampled_rdp(q, sigma, order) + math.log1p(-1 / order)
        - (math.log(delta) + math.log(order)) / (order - 1) for order in ORDERS))


def sampled_rdp(q: float, sigma: float, order: int) -> float:
    """The Renyi divergence, of a whole `order`, of one step of the sampled Gaussian."""
    if q == 1:
        return order / (2 * sigma * sigma)
    k = np.arange(order + 1)
    binomial = gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)
    terms = (binomial + (order - k) * math.log1p(-q) + k * math.log(q)
             + k * (k - 1) / (2 * sigma * sigma))
    return float(logsumexp(terms)) / (order - 1)


# ------------------------------------------------------------------ arguments


def rounded_up(x: float) -> str:
    """`x` with five digits and never less than it: no promise is rounded down."""
    return str(Context(prec=5, rounding=ROUND_CEILING).create_decimal(float(x)))


def _number(name, value):
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"accountant: {name} is {shown(value)}; give a number")
    if not 0 <= value < math.inf:
        raise ValueError(f"accountant: {name}={value}: take a finite number from 0 up")
    return value


def _probability(delta):
    if not 0 < _number("delta", delta) < 1:
        raise ValueError(f"accountant: delta={delta}: take a probability between 0 and "
                         "1, below one by the number of items")


def _count(name, value):
    if not is_integer(value):
        raise TypeError(f"accountant: {name} is {shown(value)}; give a whole number")
    if value < 0:
        raise ValueError(f"accountant: {name}={value}: take a number from 0 up")
    return int(value)


def _sensitivity(adjacency):
    if adjacency not in SENSITIVITY:
        raise ValueError(f"accountant: adjacency {shown(adjacency)}: take "
                         f"{' or '.join(SENSITIVITY)}")
    return SENSITIVITY[adjacency]
