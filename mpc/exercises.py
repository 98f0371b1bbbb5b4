"""The checks of the course's exercises: each takes the learner's answer and prints one line.

    >>> sum_of_rows(...)
    Not yet: put your answer in place of the three dots, then run the cell again.

A check is a function of the answer that returns None if it is right, or else a sentence that says
what is wrong with it; the decorator `check` prints. Its docstring is what a right answer shows. An
answer may be a function of the learner's: as long as it returns nothing or `...`, it is empty.
Checks stand here and not in the notebooks, so that a notebook's cell does not tell its solution.
"""

import functools

import numpy as np

from mpc.ring import Z2k

EMPTY = "put your answer in place of the three dots, then run the cell again"


class _Empty(Exception):
    """The learner's function gave nothing yet."""


def check(function):
    """Make a check of a `function(answer)` that says what is wrong, or returns None."""
    @functools.wraps(function)
    def run(answer):
        try:
            wrong = EMPTY if is_empty(answer) else function(_watched(answer))
        except _Empty:
            wrong = EMPTY
        except Exception as error:              # a learner's mistake is answered, never thrown back
            wrong = f"that cannot be used as an answer ({type(error).__name__}: {error})"
        print(f"Not yet: {wrong}." if wrong else f"Right. {function.__doc__}")
    return run


def is_empty(answer):
    """Is there still a placeholder: `...`, or a tuple or list with one in it?"""
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


def differs(answer, right):
    """What is wrong with an array or number that should be `right`, exactly; None if nothing."""
    answer, right = np.asarray(answer), np.asarray(right)
    if answer.shape != right.shape:
        return f"the shape is {answer.shape} where {right.shape} is due"
    if not np.array_equal(answer, right):
        n = int((answer != right).sum())
        return f"{n} of {right.size} numbers differ" if right.ndim else f"{answer} is not it"
    return None


# ------------------------------------------------------------------ 1. Shares of a picture


@check
def round_the_clock(answer):
    """6 + 4 = 10, and 10 is 2: one may add 4 as well as take 4 away."""
    if not 0 <= answer < 8 or answer != int(answer):
        return f"{answer} is not there: the elements of Z_2^3 are 0 to 7"
    if (6 + answer) % 8 != 2:
        return f"6 + {answer} is {(6 + answer) % 8} on this clock, and 2 is due"


@check
def split_in_three(split):
    """Two masks and what remains; any two of the three rows still look like noise."""
    for ring, numbers in ((Z2k(64), [5, 2**63 + 1, 2**62]), (Z2k(3), [2, 7, 6])):
        secret, *masks = (np.array([n], np.uint64) for n in numbers)
        rows = split(secret, *masks, ring)
        if len(rows) != 3:
            return f"{len(rows)} rows came where three workers wait"
        for row in map(np.asarray, rows):
            if np.any(row != ring.reduce(row)):
                return f"{row[0]} is no element of {ring}: ring.sub goes round, - does not"
            if np.array_equal(row, secret):
                return "one of the rows is the secret itself, and its worker can read it"
        total = ring.add(ring.add(rows[0], rows[1]), rows[2])
        if not np.array_equal(total, secret):
            return f"of the secret {secret[0]} the rows make {total[0]}; they must add up to it"


@check
def lazy_masks(answer):
    """Half of the secrets are ruled out: the mask was too small to go once round."""
    found, possible = set(answer), {7, 0, 1, 2}
    if not found <= set(range(8)):
        return f"{sorted(found - set(range(8)))} are no elements of Z_2^3: go round at 8"
    if found - possible:
        guess = min(found - possible)
        return f"{guess} is not possible: its mask would be {(guess - 7) % 8}"
    if found != possible:
        return f"there are 4 possible masks, hence 4 possible secrets, and {len(found)} came"


@check
def negative(function):
    """A public number goes to one worker only: the package's `Share.plus` takes care of it."""
    ring, x = Z2k(64), np.array([0, 18, 253], np.uint64)
    row = np.array([7, 2**63, 2**64 - 1], np.uint64)
    sum_of = ring.to_int(ring.add(function(row, 0, ring), function(ring.sub(x, row), 1, ring)))
    for wrong, why in ((510 - x.astype(int), "255 went in twice, since both workers added it"),
                       (-x.astype(int), "255 is missing: one worker must add it")):
        if np.array_equal(sum_of, wrong):
            return why
    if not np.array_equal(sum_of, 255 - x.astype(int)):
        return f"pixels of brightness {x} become {sum_of}, and {255 - x} is due"


# ------------------------------------------------------------------ 2. The decimal point


# ------------------------------------------------------------------ 3. Multiplying secrets


# ------------------------------------------------------------------ 4. Comparing secrets


# ------------------------------------------------------------------ 5. Who sees what


# ------------------------------------------------------------------ 6. Gradients by hand


# ------------------------------------------------------------------ 7. Training on MNIST


# ------------------------------------------------------------------ 8. More workers


# ------------------------------------------------------------------ 9. Making it fast
