"""The MNIST digits, prepared for a network; independent of secrets and gradients.

    images, labels = data.load_mnist("train", n=640)    # uint8 (640, 28, 28) and (640,)
    x = data.normalise(images)                          # float64 (640, 784)
    t = data.one_hot(labels)                            # float64 (640, 10)
    for parts in data.batches(640, 64, n_owners=2):     # [(owner, slice), ...]

From the bottom up: `idx` reads and checks a file, `load` finds the files of a split,
`prepare` converts them to numbers, and `download` fetches the full set. The command
`python -m data.mnist` is not imported here: Python warns if a module is imported before
it is run.
"""

import sys

if sys.orig_argv[-len(sys.argv):][:1] == ["data.mnist"] and sys.argv[:1] == ["-m"]:
    def _in_one_line(kind, error, trace, otherwise=sys.excepthook):
        if issubclass(kind, KeyboardInterrupt):     # while NumPy is imported
            print("python -m data.mnist: interrupted", file=sys.stderr)
        else:
            otherwise(kind, error, trace)

    sys.excepthook = _in_one_line

from data.idx import DataError
from data.load import load_mnist
from data.prepare import batches, normalise, one_hot, owner_slices

__all__ = ["DataError", "batches", "load_mnist", "normalise", "one_hot", "owner_slices"]
