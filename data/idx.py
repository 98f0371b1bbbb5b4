"""Read an IDX file, raw or gzipped, and check its header against its content.

An IDX file is a header followed by the bytes of an array in row-major order:

    00 00 08 03    two zeros; 08: the items are unsigned bytes; 03: three axes
    00 00 EA 60    first axis:  60,000 pictures
    00 00 00 1C    second axis: 28 rows
    00 00 00 1C    third axis:  28 columns

Sixteen bytes of header can announce terabytes, so the header is checked before memory
of that size is allocated. idx2numpy then builds the array.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import idx2numpy
import numpy as np

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08
ITEM_SIZES = {UNSIGNED_BYTE: 1, 0x09: 1, 0x0B: 2, 0x0C: 4, 0x0D: 4, 0x0E: 8}
MOST_ITEMS = 1_000_000      # more than any MNIST-like set; as pictures, 784 MB
FETCH = "fetch it again with `python -m data.mnist --download DIR`"


class DataError(ValueError):
    """A data set cannot be used: one line with the file, the fault and a remedy."""


def read_content(path: Path, at_most: int) -> bytes:
    """Return the uncompressed content of a file, up to `at_most` bytes.

    The content decides whether the file is gzipped, not its name: browsers unpack files
    but keep the `.gz`, or pack them and drop it. A file that cannot be read, or whose
    gzip stream is damaged or ends early, raises DataError.
    """
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            if not packed:
                return raw.read(at_most)
            with gzip.GzipFile(fileobj=raw) as stream:
                return stream.read(at_most)
    except EOFError:
        raise DataError(f"{path}: truncated, its gzip stream ends early; {FETCH}"
                        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip file ({error}); {FETCH}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); "
                        "correct the path or the permissions") from None


def is_whole(path: Path) -> bool:
    """Is a file complete, given that `read_content` has read it without an error?

    That proves a gzip stream complete. A raw IDX file of any type must have the size
    that its header announces. Other files have no such proof: the answer is no.
    """
    with open(path, "rb") as raw:
        header = raw.read(4 + 4 * 255)
        size = os.fstat(raw.fileno()).st_size
    if header[:2] == GZIP_MAGIC:
        return True
    if len(header) < 4 or header[:2] != b"\0\0" or header[2] not in ITEM_SIZES:
        return False
    start = 4 + 4 * header[3]
    if len(header) < start:
        return False
    shape = struct.unpack_from(f">{header[3]}I", header, 4)
    return size == start + math.prod(shape) * ITEM_SIZES[header[2]]


def read_idx(path: Path, item_shape: tuple[int, ...]) -> np.ndarray:
    """Return the array of an IDX file of unsigned bytes.

    Parameters
    ----------
    path : path of a raw or gzipped file
    item_shape : tuple of int
        The required shape of each item: (28, 28) for pictures, () for labels.

    Returns
    -------
    (n, *item_shape) uint8 array
        A read-only view of the bytes of the file.

    Raises
    ------
    DataError
        If the file is not an IDX file, its items have another type or shape, there are
        none or more than a million, or its size differs from the header.
    """
    header_size = 8 + 4 * len(item_shape)
    count = _checked_count(path, read_content(path, header_size), item_shape)
    promised = header_size + count * math.prod(item_shape)
    content = read_content(path, promised + 1)      # one more byte shows an excess
    if len(content) != promised:
        found = f"only {len(content):,}" if len(content) < promised else "more"
        raise DataError(f"{path}: its header promises {count:,} items in {promised:,} "
                        f"bytes, found {found}; {FETCH}")
    return idx2numpy.convert_from_string(content)


def _checked_count(path, header, item_shape):
    """Return the number of items in `header` after checking everything else in it."""
    if not header:
        raise DataError(f"{path}: is empty; {FETCH}")
    if len(header) < 4 or header[:2] != b"\0\0":
        raise DataError(f"{path}: not an IDX file, raw or gzipped: its content does "
                        f"not start with two zero bytes; {FETCH}")
    kind, axes = header[2:4]
    if (kind, axes) != (UNSIGNED_BYTE, 1 + len(item_shape)):
        expected = ("pictures (type 0x08, 3 axes)" if item_shape else
                    "labels (type 0x08, 1 axis)")
        raise DataError(f"{path}: expected {expected}, found type 0x{kind:02X} with "
                        f"{axes}; put the right file under this name, or {FETCH}")
    if len(header) < 4 + 4 * axes:
        raise DataError(f"{path}: truncated, it ends within its header; {FETCH}")
    count, *found_shape = struct.unpack(f">{axes}I", header[4:])
    if tuple(found_shape) != item_shape:
        raise DataError(f"{path}: expected items of shape {item_shape}, found "
                        f"{tuple(found_shape)}; scale the pictures to 28 x 28, or "
                        f"{FETCH}")
    if not 1 <= count <= MOST_ITEMS:
        raise DataError(f"{path}: its header promises {count:,} items, possible are 1 "
                        f"to {MOST_ITEMS:,}; {FETCH}")
    return count
