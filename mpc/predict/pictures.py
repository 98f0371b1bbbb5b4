"""Read the pictures that are named on the command line, as bytes of 28 x 28."""

from __future__ import annotations

import os
import re
import struct
import warnings
from pathlib import Path

import numpy as np

import data
from data.idx import count_items, read_idx

SHAPE = (28, 28)
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
MOST_PNG = 10_000_000       # bytes; 28 x 28 pixels take less than 10,000
ITEMS = re.compile(r"(.+):(\d+)(?:-(\d+))?", re.DOTALL)
SYNTAX = ("take a .png, a .npy, or items of an IDX file: test:3, "
          "t10k-images-idx3-ubyte:3-7")


def read_pictures(words: list[str], data_dir: str | None = None
                  ) -> tuple[list[str], np.ndarray]:
    """(a name for each picture, bytes (n, 28, 28)): white digits on black.

    A word is ``test:3`` or ``train:3-7`` (items of MNIST, counted from 0, the last one
    included), ``FILE:3-7`` (items of another IDX file), a .png or a .npy.
    """
    found = [_read(word, data_dir) for word in words]
    return ([name for names, _ in found for name in names],
            np.concatenate([pictures for _, pictures in found]))


def _read(word, data_dir):
    """The names and pictures of one word of the command line."""
    if match := ITEMS.fullmatch(word):
        file, first, last = match[1], int(match[2]), int(match[3] or match[2])
        if last < first:
            raise ValueError(f"{word}: ends before it begins; take {file}:{last}-"
                             f"{first}")
        pictures = _items(file, first, last, data_dir)
        return [f"{file}:{i}" for i in range(first, last + 1)], pictures
    kind = Path(word).suffix.lower()
    if kind not in READERS:
        raise ValueError(f"{word}: no picture; {SYNTAX}")
    if not os.path.isfile(word):        # False for a name that is no name
        raise ValueError(f"{word}: no such file; {SYNTAX}")
    pictures = READERS[kind](word)
    if pictures.mean() > 127:
        raise ValueError(f"{word}: is bright on the whole, and a digit is white on "
                         "black; invert it")
    names = [word] if len(pictures) == 1 else [f"{word}[{i}]" for i in
                                               range(len(pictures))]
    return names, pictures


def _items(file, first, last, data_dir):
    if file in ("train", "test"):
        return data.load_mnist(file, last + 1, data_dir)[0][first:]
    count = count_items(Path(file), SHAPE)
    if last >= count:
        raise ValueError(f"{file}: has no item {last}; the last is {count - 1}")
    return read_idx(Path(file), SHAPE, first, last + 1)


def _npy(word):
    """One picture or several: bytes, or floats from 0 to 1."""
    try:
        with open(word, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")     # about headers that Python 2 wrote
            array = np.load(file, allow_pickle=False)
    except Exception:       # NumPy raises errors of many kinds, also MemoryError
        array = None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{word}: damaged, or no plain array; save it again")
    if array.shape[-2:] != SHAPE and array.shape[-1:] == (28 * 28,):
        array = array.reshape(*array.shape[:-1], *SHAPE)
    if array.shape[-2:] != SHAPE or array.ndim > 3 or not array.size:
        raise ValueError(f"{word}: has shape {array.shape}; save pictures of 28 x 28")
    if array.dtype.kind == "f":
        if not ((0 <= array) & (array <= 1)).all():     # nor nan
            raise ValueError(f"{word}: has numbers outside 0 to 1; scale it")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise ValueError(f"{word}: has elements of {array.dtype}; save bytes, or "
                         "floats from 0 to 1")
    return array.reshape(-1, *SHAPE)


def _png(word):
    """A grey or coloured picture, as grey."""
    try:
        from matplotlib.image import imread
    except ImportError:
        raise ValueError(f"{word}: a PNG needs matplotlib; install it with python -m "
                         "pip install matplotlib, or save a .npy") from None
    damaged = f"{word}: damaged, or no PNG; save it again"
    if os.path.getsize(word) > MOST_PNG:
        raise ValueError(f"{word}: is larger than {MOST_PNG:,} bytes; save the pixels "
                         "alone")
    with open(word, "rb") as file:
        head = file.read(24)
    if len(head) < 24 or not head.startswith(PNG_MAGIC):
        raise ValueError(damaged)
    size = struct.unpack_from(">2I", head, 16)      # width, height
    if size != SHAPE:                   # a small file can unpack to gigabytes
        raise ValueError(f"{word}: has {size[0]} x {size[1]} pixels; scale it to "
                         "28 x 28")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")     # about chunks beside the pixels
            pixels = np.asarray(imread(word, "png"))
    except Exception:       # the reader raises errors of many kinds
        raise ValueError(damaged) from None
    if pixels.shape[:2] != SHAPE:       # the header is of another size than the picture
        raise ValueError(damaged)
    if pixels.ndim == 3:
        colours = pixels.shape[2] - 1 + pixels.shape[2] % 2     # then opacity, if even
        if (pixels[..., colours:] < 1).any():
            raise ValueError(f"{word}: is transparent in places; put it on black")
        pixels = pixels[..., :colours].mean(axis=-1)
    return np.rint(pixels * 255).astype(np.uint8)[None]


READERS = {".npy": _npy, ".png": _png}
