"""Mutated IDX files: each is loaded rightly or refused in one line, in bounds.

``python tests/fuzz/test_idx_files.py --runs N`` tries N files, with other seeds by
``--seed``. A file takes at most `SECONDS` of computation, and memory for the items
asked for and `SPARE` bytes.
"""

import gzip
import struct
import sys
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path[:0] = map(str, Path(__file__).parents[2:0:-1])

from mutations import cut, drop, flip, insert, main, repeat, run

import data
from data import download
from data.download import Content
from mpc.predict import read_pictures

SECONDS, SPARE = 20, 6e6
LARGE = 100_000         # pictures that a small file may hold
EDGES = 0, 1, 2, 5, 6, 27, 28, 255, 10_000, LARGE, 10**6, 10**6 + 1, 2**31, 2**32 - 1
IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx(array):
    """The bytes of an IDX file of unsigned bytes."""
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape
                       ) + array.tobytes()


# ------------------------------------------------------------------ mutations


def header(g, b):
    """Another count or shape."""
    at = g.choice((4, 8, 12))
    return b[:at] + struct.pack(">I", g.choice(EDGES)) + b[at + 4:]


def kind(g, b):
    return b[:2] + bytes([g.choice((8, 9, 11, 13, 14, 0)), g.randrange(5)]) + b[4:]


def zeros(g, b):
    return b + bytes(g.choice((1, 1000, 10**5, 10**6, 10**7)))


def pack(g, b):
    return gzip.compress(b, g.choice((0, 1, 9)))


def more_streams(g, b):
    return b + gzip.compress(g.choice((b"", b"abc", bytes(10**6)))) * g.randrange(1, 99)


def empty_blocks(g, b):
    """A gzip stream that starts with deflate blocks without content."""
    packer = zlib.compressobj(0, zlib.DEFLATED, -15)
    blocks = b"\0\0\0\xff\xff" * g.choice((1, 1000, 10**6))
    tail = struct.pack("<2I", zlib.crc32(b), len(b) % 2**32)
    return (b"\x1f\x8b\x08" + bytes(7) + blocks + packer.compress(b) + packer.flush()
            + tail)


def bomb(g, b):
    """Many black pictures, with or without the labels' count."""
    count = g.choice((5, LARGE))
    return gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28)
                         + bytes(784 * LARGE), 1)


MUTATIONS = (flip, cut, drop, insert, repeat, header, header, kind, zeros, pack,
             more_streams, empty_blocks)


def mutated(g, content):
    for _ in range(g.choice((0, 1, 1, 1, 2, 3, 4))):
        content = g.choice(MUTATIONS)(g, content)
    if g.random() < 0.4:            # else a checksum would hide most mutations
        content = pack(g, content)
    return bomb(g, content) if g.random() < 0.01 else content


# ------------------------------------------------------------------ the judgement


def unpacked(content):
    """By another way than the package's."""
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


def refused_or(function, *arguments):
    """The result of the function, or None after an error of one line."""
    try:
        return function(*arguments)
    except ValueError as error:
        line = str(error)
        assert "\n" not in line and ";" in line, line
        return None


def try_files(g, folder):
    """Write a mutated pair of files and read them in all ways; was it accepted?"""
    seed = np.random.default_rng(g.randrange(2**32))
    n_items = g.choice((1, 5, 5, 40))
    contents = {IMAGES: idx(seed.integers(0, 256, (n_items, 28, 28), np.uint8)),
                LABELS: idx(seed.integers(0, 10, n_items, np.uint8))}
    for name in g.choice(((IMAGES,), (IMAGES,), (LABELS,), (IMAGES, LABELS))):
        contents[name] = mutated(g, contents[name])
    if g.random() < 0.02:
        contents[IMAGES] = bomb(g, b"")
        contents[LABELS] = idx(np.zeros(LARGE, np.uint8))
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    n = g.choice((None, 1, 3, 5))
    first = g.randrange(6)
    tracemalloc.start()
    start = time.process_time()
    try:
        loaded = refused_or(data.load_mnist, "test", n, folder)
        refused_or(read_pictures, [f"{folder / IMAGES}:{first}-{first + 2}"])
        try:
            download._fault(folder / IMAGES, Content(20_000, ""))
        except download._Other:
            pass
        took, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    kept = 4 * sum(array.nbytes for array in loaded or ())
    assert took < SECONDS, f"{took:.1f} s"
    assert peak < SPARE + kept, f"{peak:,} bytes"
    for name, offset, found in zip((IMAGES, LABELS), (16, 8), loaded or (),
                                   strict=False):
        due = np.frombuffer(unpacked(contents[name]), np.uint8, offset=offset)
        np.testing.assert_array_equal(found.ravel(), due[:found.size])
        assert len(found) == (n or len(found)) and found.flags.writeable
    return loaded is not None


def test_mutated_files_are_loaded_rightly_or_refused_in_bounds():
    assert 20 < run(try_files, 200, 0) < 150


if __name__ == "__main__":
    main(__doc__, try_files)
