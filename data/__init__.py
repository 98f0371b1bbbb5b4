"""Pictures: the MNIST digits, ready for a network. Knows nothing of secrecy or of gradients.

    images, labels = data.load_mnist("train", n=640)    # uint8 (640, 28, 28), uint8 (640,)
    x = data.normalise(images)                          # float64 (640, 784)
    t = data.one_hot(labels)                            # float64 (640, 10)
    for parts in data.batches(640, 64, n_owners=2):     # [(owner, slice), ...] batch by batch

The modules, from the bottom up: `idx` reads one file and believes nothing it says, `load` finds
the files of a split, `prepare` makes numbers of them, `download` fetches the full set. The last
is the command `python -m data.mnist`; the package does not import that module, for Python warns
about a module that is imported before it is run.
"""

from data.idx import DataError
from data.load import load_mnist
from data.prepare import batches, normalise, one_hot, owner_slices

__all__ = ["DataError", "batches", "load_mnist", "normalise", "one_hot", "owner_slices"]
