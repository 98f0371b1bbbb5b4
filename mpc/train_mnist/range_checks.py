"""Do the numbers of a training run fit the ring? And which scale can weights have?"""

from __future__ import annotations

import math
from argparse import Namespace

from mpc.encoding import as_fraction, digit_base
from mpc.ring import Z2k, raw_limit

# Local truncation of x is wrong with probability |x| / 2^l (`mpc.truncation`). Over all
# values that a batch of 64 truncates, with three decimal digits, 64 bits and a learning
# rate of 1 / n, this adds up to less than:
WRAP_AROUND = 5e-9
FURTHER = 4         # times as much if lr is not 1 / n: an update then truncates more
ROOM = 200          # the largest number whose product must be truncated correctly


def weight_scale(options: Namespace) -> int:
    """The factor by which weights have a larger scale, so updates need no truncation.

    It exceeds 1 only if a truncation takes a message. The error of an output reaches a
    weight multiplied by 2 lr / batch size, then rounded to one part in this scale: at
    most as fine as other numbers, and within the room of the ring. The scale is a
    multiple of the denominator, so numerators take no room, and at least the unit. If
    the rounding exceeded a sixth of an output's error, accuracy would suffer; weights
    then keep the ordinary scale.
    """
    rates = [as_fraction(options.lr) * as_fraction(2 / size)
             for size in _batch_sizes(options)]
    if (options.arithmetic != "shared" or truncates_locally(options)
            or min(rates) < 1e-9):
        return 1
    unit = options.base ** options.precision_fractional
    step = math.lcm(*(rate.denominator for rate in rates))
    room = int(raw_limit(Z2k(options.ring_bits))) // (unit**2 * _room(options))
    most = min(int(unit / min(rates)), room) // step * step
    return most if most >= unit and most * min(rates) >= min(6, unit) else 1


def check_range(options: Namespace) -> str | None:
    """Why the ring is too small for the digits of a number, in one line, or None."""
    digits = options.precision_fractional
    found = _problem(options, digits)
    if not found:
        return None
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


def _problem(options: Namespace, digits: int) -> str | None:
    unit, ring = options.base**digits, Z2k(options.ring_bits)
    simple = as_fraction(options.lr).numerator == 1
    size = unit * (unit if simple else digit_base(unit)) * _room(options)
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


def _batch_sizes(options: Namespace) -> list[int]:
    """The size of a batch, and of the last one if it is smaller."""
    whole, rest = divmod(options.train_items, options.batch_size)
    return [options.batch_size] * bool(whole) + [rest] * bool(rest)


def _room(options: Namespace) -> int:
    """The largest number: the loss is a sum over a batch."""
    return max(ROOM, 2 * options.batch_size)
