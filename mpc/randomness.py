"""Streams of cryptographic randomness: one key per group of roles, one label and counter per draw.

Whoever holds a key can derive a stream, and nobody else can tell it from noise: SHAKE-128 is an
extendable-output function of the SHA-3 family (FIPS 202). Two roles with a common key therefore
hold the same masks without a message. NumPy's generators are fast and well distributed, but a few
outputs give away all the others; they may choose initial weights, never a mask or a share.
"""

import hashlib
import os
from numbers import Integral

KEY_BYTES = 16


def fresh_key():
    """A key from the operating system's generator."""
    return os.urandom(KEY_BYTES)


def public_seed(seed):
    """`seed` as an int, whichever type of integer it is: equal seeds shall give equal keys."""
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise TypeError(f"a seed is a whole number, not a {type(seed).__name__}; take an int, or "
                        "None for fresh keys")
    return int(seed)


def lesson_key(seed, name):
    """The key `name` of a run that can be repeated: for lessons and tests; all can derive it.

    `seed` is an integer, or a text that a program made out of one.
    """
    seed = seed if isinstance(seed, str) else public_seed(seed)
    return hashlib.shake_128(f"lesson key {seed!r} {name}".encode()).digest(KEY_BYTES)


def stream(key, label, counter):
    """The stream of `key` for one draw, as a function: ``take(n)`` is its first n bytes.

    `counter` is unique within a run, so no two draws of a key share a stream; `label` says what the
    coins are for, which keeps two programs that count alike from meeting in one stream.
    """
    seed = key + counter.to_bytes(8, "little") + label.encode()
    return lambda nbytes: hashlib.shake_128(seed).digest(nbytes)
