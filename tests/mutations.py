"""For the fuzzers: mutations of bytes by a generator, and their common loop."""

import argparse
import random
import tempfile
from pathlib import Path


def run(try_one, runs, seed):
    """Call ``try_one(generator, folder)`` so often; how often was it true?"""
    accepted = 0
    with tempfile.TemporaryDirectory() as folder:
        for i in range(runs):
            try:
                accepted += try_one(random.Random(f"{seed}/{i}"), Path(folder))
            except BaseException:
                print(f"run {i} of --seed {seed}")
                raise
    return accepted


def main(doc, try_one):
    """A fuzzer by hand: --runs N --seed N."""
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    accepted = run(try_one, options.runs, options.seed)
    print(accepted, "of", options.runs, "were accepted")


def flip(g, b):
    at = g.randrange(len(b) + 1)
    return b[:at] + bytes(x ^ 1 << g.randrange(8) for x in b[at:at + 1]) + b[at + 1:]


def cut(g, b):
    return b[:g.randrange(len(b) + 1)]


def drop(g, b):
    at = g.randrange(len(b) + 1)
    return b[:at] + b[at + g.randrange(20):]


def insert(g, b):
    at = g.randrange(len(b) + 1)
    return b[:at] + g.randbytes(g.randrange(1, 20)) + b[at:]


def repeat(g, b):
    at = g.randrange(len(b) + 1)
    return b[:at] + b[at:at + g.randrange(2000)] * g.randrange(1, 4) + b[at:]
