"""Streams of cryptographic randomness: a key per group of roles, a stream per draw.

Whoever holds a key can derive its streams, and to everybody else they look like noise:
SHAKE-128 is an extendable-output function of the SHA-3 family (FIPS 202). So two roles
with a common key have the same masks without a message. NumPy's generators are fast and
well distributed, but a few outputs reveal all the others; they may choose initial
weights, never a mask or a share.
"""

import hashlib
import os
from collections.abc import Callable
from numbers import Integral

KEY_BYTES = 16


def fresh_key() -> bytes:
    """A key from the operating system's generator."""
    return os.urandom(KEY_BYTES)


def public_seed(seed: int) -> int:
    """`seed` as an int, so that equal integers of any type give equal keys."""
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise TypeError(f"seed: a {type(seed).__name__} came; give an int or None")
    return int(seed)


def lesson_key(seed: int | str, name: str) -> bytes:
    """The key `name` of a repeatable run, for lessons: anyone can derive it.

    A `seed` is an integer, or a text that a program makes of one.
    """
    seed = seed if isinstance(seed, str) else public_seed(seed)
    return hashlib.shake_128(f"lesson key {seed!r} {name}".encode()).digest(KEY_BYTES)


def stream(key: bytes, label: str, counter: int) -> Callable[[int], bytes]:
    """The stream of `key` for one draw: a function ``take(n)`` of its first n bytes.

    `counter` is unique within a run, so no two draws of a key share a stream; `label`
    names the coins, so two programs that count alike do not share one either.
    """
    seed = key + counter.to_bytes(8, "little") + label.encode()
    return hashlib.shake_128(seed).digest
