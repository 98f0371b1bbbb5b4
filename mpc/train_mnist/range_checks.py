"""Do the numbers of a training run fit the ring? And which scale can weights have?"""

from __future__ import annotations

import math
from argparse import Namespace
from fractions import Fraction

from mpc.encoding import as_fraction, digit_base
from mpc.fixed_point import COARSEST, gradient_scale
from mpc.privacy.dp_sgd import Clip, largest_sum
from mpc.ring import Z2k, raw_limit

# Local truncation of x is wrong with probability |x| / 2^l (`mpc.truncation`). Over all
# values that a batch of 64 truncates, with three decimal digits, 64 bits and a learning
# rate of 1 / n, this adds up to less than:
WRAP_AROUND = 5e-9
FURTHER = 4         # times as much if lr is not 1 / n: an update then truncates more
ROOM = 200          # the largest number whose product must be truncated correctly
OUTPUT = 100        # the largest output of a layer, its product with finer weights
ABSURD = 1e6        # no loss of a network that learns
CHANCE = 100        # one wrapped loss in so many looks like a loss in range
WIDEST, PIXELS, BRIGHTEST = 128, 784, 3     # units of a layer, inputs, their size
SPARE = 40          # times as large outputs have room where weights could be coarser


def weight_scale(options: Namespace) -> int:
    """The factor by which weights have a larger scale, so updates need no truncation.

    An update is x.T @ g * rate, g being the gradient of a layer's output. Weights that
    are k unit / rate times as fine as other numbers take it as it is
    (`FixedPoint.updated`). With room to spare they are finer. With less room, g must be
    coarser (`gradient_scale`); if its scale had to be below `COARSEST`, accuracy would
    suffer, and weights keep the ordinary scale. The factor has three binary digits and
    zeros: a ReLU's comparison skips as many bits.
    """
    rates = [as_fraction(options.lr) * as_fraction(2 / size)
             for size in _batch_sizes(options)]
    if options.dp:
        return private_weight_scale(options)
    if truncates_locally(options) or min(rates) < 1e-9:
        return 1
    unit, workers = options.base ** options.precision_fractional, _workers(options)
    room = int(raw_limit(Z2k(options.ring_bits))) // (unit**2 * workers * OUTPUT)
    most = min(room, max(room // SPARE, math.ceil(workers * unit / min(rates))))
    zeros = max(most.bit_length() - 3, 0)
    factor = most >> zeros << zeros
    coarsest = min(gradient_scale(Fraction(factor, workers * unit), rate, unit)
                   for rate in rates) if factor else 0
    return factor if coarsest >= COARSEST and factor >= unit else 1


def suits(options: Namespace, bits: int) -> bool:
    """Do numbers fit a ring of so many bits, and do updates need no truncation?"""
    options = Namespace(**vars(options) | {"ring_bits": bits})
    return (not options.dp and not check_range(options)
            and weight_scale(options) > 1)


def private_weight_scale(options: Namespace) -> int:
    """The largest power of two for which a layer's product has room.

    With such weights a truncation divides by much, so that its quotient is small
    whatever came in, as the norms of DP-SGD need (`check_room`).
    """
    unit = options.base ** options.precision_fractional
    room = int(raw_limit(Z2k(options.ring_bits))) // (unit**2 * _workers(options))
    return 1 << max((room // OUTPUT).bit_length() - 1, 0)


def check_room(options: Namespace) -> str | None:
    """Why the ring is too small for the clipped gradients and their noise, or None.

    Squares of a layer's numbers must add up without leaving the ring. Pixels have a
    bound of their own; other numbers are quotients, of at most 2^l / d + 1 for the
    divisor d. And a sum of contributions with its noise must fit.
    """
    unit, k = options.base ** options.precision_fractional, _workers(options)
    limit = raw_limit(Z2k(options.ring_bits))
    largest = 2**options.ring_bits // (k * unit * private_weight_scale(options)) + 1
    squares = k * max(WIDEST * largest**2, PIXELS * (BRIGHTEST * unit) ** 2)
    clip = Clip(options.dp_clip, unit)
    total = k * largest_sum(clip, noise_multiplier(options) * clip.sensitivity,
                            options.batch_size)
    found = ("squares of activations" if squares > limit else
             "the sum of clipped gradients and its noise" if 1000 * total > limit else
             "a --dp-clip of one step of the fixed-point numbers"
             if min(clip.staircase()[0]) < 1 else None)
    return found and (f"--ring-bits {options.ring_bits} with {unit} as the scale of "
                      f"numbers has no room for {found}; take another number of "
                      "--precision-fractional digits, more bits, or smaller batches")


def check_range(options: Namespace) -> str | None:
    """Why the ring is too small for the digits of a number, in one line, or None."""
    digits = options.precision_fractional
    found = _problem(options, digits)
    if not found:
        return check_room(options) if options.dp else None
    remedies = []
    fewer = next(
        (d for d in range(digits - 1, 0, -1) if not _problem(options, d)), None)
    if fewer:
        remedies.append(f"{fewer} or fewer digits")
    if options.ring_bits < 64:
        remedies.append("more bits")
    if "local" in found:
        remedies.append("--truncation provider, which has no such errors")
    return (f"--precision-fractional {digits} in base {options.base}, --ring-bits "
            f"{options.ring_bits}: {found}; take {', or '.join(remedies)}")


def losses_in_range(options: Namespace) -> tuple[float, float]:
    """The least and the largest loss that numbers in range give.

    A sum of squares that wraps around can have any value of the ring, so the largest
    loss in range is far below the largest that the ring can hold.
    """
    if options.arithmetic == "float":
        return 0, ABSURD
    unit = options.base ** options.precision_fractional
    holds = float(raw_limit(Z2k(options.ring_bits))) / unit**2 / options.batch_size
    return -2 / unit, max(_room(options) / options.batch_size,      # see `check_range`
                          min(holds / CHANCE, ABSURD))


def out_of_range(options: Namespace) -> str:
    """The warning about a loss that is not in range."""
    remedies = ["a smaller --lr"]
    if options.arithmetic != "float":
        if options.ring_bits < 64:
            remedies.append("more --ring-bits")
        if options.base ** options.precision_fractional >= 10_000:
            remedies.append("fewer --precision-fractional digits")
    return ("warning: a loss of this size shows that numbers have left their range, or "
            f"soon will; take {' or '.join(remedies)}")


def _problem(options: Namespace, digits: int) -> str | None:
    unit, ring = options.base**digits, Z2k(options.ring_bits)
    simple = as_fraction(options.lr).numerator == 1
    size = max(unit * _workers(options), 1 if simple else digit_base(unit))
    size *= unit * _room(options)
    if size >= raw_limit(ring):
        bits = math.ceil(math.log2(size / raw_limit(Z2k(2)))) + 2
        return f"products need {bits} bits"
    if not truncates_locally(options):
        return None
    batches = sum(-(-items // options.batch_size)
                  for items in (options.train_items, options.test_items))
    errors = (options.epochs * batches * WRAP_AROUND * max(options.batch_size, 8) / 64
              * (unit / 1000) ** 2 * (1 if simple else FURTHER)
              * 2.0 ** (64 - options.ring_bits))
    if errors <= 1 / 1000:
        return None
    often = f"one of {round(1 / errors)} runs" if errors < 0.6 else "every run"
    return f"local truncation would ruin a product in {often}"


def truncates_locally(options: Namespace) -> bool:
    """Are products scaled down without a message?"""
    return options.arithmetic == "shared" and options.truncation == "local"


def noise_multiplier(options: Namespace) -> float:
    """The deviation of the noise over the clipping bound."""
    if options.dp_noise is not None:
        return options.dp_noise
    from mpc.privacy.accountant import noise_for  # SciPy, only where it is used

    return noise_for(options.dp_epsilon, options.dp_delta, options.epochs)


def _workers(options: Namespace) -> int:
    """The factor in a matrix product of secrets (`World.matmul_factor`)."""
    honest = options.arithmetic == "shared" and options.security == "semi-honest"
    return options.workers if honest else 1


def _batch_sizes(options: Namespace) -> list[int]:
    """The size of a batch, and of the last one if it is smaller."""
    whole, rest = divmod(options.train_items, options.batch_size)
    return [options.batch_size] * bool(whole) + [rest] * bool(rest)


def _room(options: Namespace) -> int:
    """The largest number: the loss is a sum over a batch."""
    return max(ROOM, 2 * options.batch_size)
