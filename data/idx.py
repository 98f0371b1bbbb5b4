"""Read an IDX file, raw or gzipped, and check its header against its content.

An IDX file is a header followed by the bytes of an array in row-major order:

    00 00 08 03    two zeros; 08: the items are unsigned bytes; 03: three axes
    00 00 EA 60    first axis:  60,000 pictures
    00 00 00 1C    second axis: 28 rows
    00 00 00 1C    third axis:  28 columns

Sixteen bytes of header can announce terabytes, and kilobytes of gzip can unpack to
gigabytes or keep a reader busy without a byte of content. So the header is checked
first, only the items asked for are kept in memory, and each piece of content may take
a limited number of packed bytes. idx2numpy then builds the array.
"""

from __future__ import annotations

import gzip
import math
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import idx2numpy
import numpy as np

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08
ITEM_SIZES = {UNSIGNED_BYTE: 1, 0x09: 1, 0x0B: 2, 0x0C: 4, 0x0D: 4, 0x0E: 8}
MOST_ITEMS = 1_000_000      # more than any MNIST-like set; as pictures, 784 MB
PIECE = 2**16               # bytes of content that are read at once
MOST_PACKED = 2**19         # packed bytes for a piece: gzip reads up to 2**17 ahead
FETCH = "fetch it again with `python -m data.mnist --download DIR`"


class DataError(ValueError):
    """A data set cannot be used: one line with the file, the fault and a remedy."""


class _Metered:
    """A gzipped file of which at most `left` more bytes may be read."""

    def __init__(self, file: BinaryIO):
        self.file, self.left = file, MOST_PACKED

    def read(self, size: int) -> bytes:
        packed = self.file.read(size)
        self.left -= len(packed)
        if self.left < 0:
            raise gzip.BadGzipFile("a long part of it has no content")
        return packed


@contextmanager
def _pieces(path: Path, size: int = PIECE) -> Iterator[Iterator[bytes]]:
    """The uncompressed content of a file, in pieces of this size.

    The content decides whether the file is gzipped, not its name: browsers unpack files
    but keep the `.gz`, or pack them and drop it. A file that cannot be read, or whose
    gzip stream is damaged or ends early, raises DataError.
    """
    try:
        with open(path, "rb", opener=_open_file) as raw:
            packed = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            if not packed:
                yield iter(lambda: raw.read(size), b"")
                return
            metered: Any = _Metered(raw)        # GzipFile calls only `read`
            with gzip.GzipFile(fileobj=metered) as stream:
                yield _unpacked(stream, size)
    except EOFError:
        raise DataError(f"{path}: truncated, its gzip stream ends early; {FETCH}"
                        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip file ({error}); {FETCH}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); "
                        "correct the path or the permissions") from None


def _unpacked(stream, size):
    while piece := stream.read(size):
        yield piece
        stream.fileobj.left = MOST_PACKED


def _open_file(path, flags):
    """Open an ordinary file; a pipe or a device could keep us waiting for ever."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "not an ordinary file")
    return descriptor


def read_content(path: Path, at_most: int) -> bytes:
    """Return the uncompressed content of a file, up to `at_most` bytes.

    Raises DataError for a file that cannot be read or a damaged gzip stream.
    """
    content = bytearray()
    with _pieces(path, min(at_most, PIECE)) as pieces:
        for piece in pieces:
            content += piece[:at_most - len(content)]
            if len(content) == at_most:
                break
    return bytes(content)


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


def count_items(path: Path, item_shape: tuple[int, ...]) -> int:
    """Return the number of items that the header of an IDX file announces.

    Raises
    ------
    DataError
        If the file is not an IDX file of unsigned bytes, its items have another shape
        than `item_shape`, or there are none or more than a million.
    """
    return _checked_count(path, read_content(path, 8 + 4 * len(item_shape)), item_shape)


def read_idx(path: Path, item_shape: tuple[int, ...], first: int = 0,
             stop: int | None = None) -> np.ndarray:
    """Return items of an IDX file of unsigned bytes.

    The whole file is checked, but only the items asked for are kept in memory.

    Parameters
    ----------
    path : path of a raw or gzipped file
    item_shape : tuple of int
        The required shape of each item: (28, 28) for pictures, () for labels.
    first, stop : int
        The items from `first` up to, but not including, `stop`; by default all.

    Returns
    -------
    (n, *item_shape) uint8 array
        A read-only view of their bytes; n is smaller than asked for if the file has
        fewer items.

    Raises
    ------
    DataError
        As `count_items` does, and if the size of the file differs from its header.
    """
    header_size, size = 8 + 4 * len(item_shape), math.prod(item_shape)
    count = count_items(path, item_shape)
    first, stop, _ = slice(first, stop).indices(count)
    promised = header_size + count * size
    begin, end = (header_size + i * size for i in (first, max(first, stop)))
    kept, found = bytearray(), 0
    with _pieces(path) as pieces:
        for piece in pieces:
            kept += piece[max(begin - found, 0):max(end - found, 0)]
            found += len(piece)
            if found > promised:
                break
    if found != promised:
        amount = f"only {found:,}" if found < promised else "more"
        raise DataError(f"{path}: its header promises {count:,} items in {promised:,} "
                        f"bytes, found {amount}; {FETCH}")
    header = struct.pack(f">4B{1 + len(item_shape)}I", 0, 0, UNSIGNED_BYTE,
                         1 + len(item_shape), len(kept) // size, *item_shape)
    content = header + kept
    del kept                            # else memory would hold it three times
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
