"""Read one IDX file, raw or gzipped, and believe nothing that it says before it is checked.

An IDX file is a header and then the bytes of an array in row-major order:

    00 00 08 03    two zeros; 08: the items are unsigned bytes; 03: the array has three axes
    00 00 EA 60    first axis:  60,000 pictures
    00 00 00 1C    second axis: 28 rows
    00 00 00 1C    third axis:  28 columns

A header may promise terabytes in sixteen bytes, so it is compared with what MNIST can be before
anything of that size is asked for. The array itself is made by idx2numpy.
"""

import gzip
import math
import os
import struct
import zlib

import idx2numpy

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08
ITEM_SIZES = {UNSIGNED_BYTE: 1, 0x09: 1, 0x0B: 2, 0x0C: 4, 0x0D: 4, 0x0E: 8}    # of all kinds
MOST_ITEMS = 1_000_000      # the largest MNIST-like sets hold fewer; as pictures, 784 MB
FETCH = "fetch it again with `python -m data.mnist --download DIR`"


class DataError(ValueError):
    """Files or numbers that give no data set: one line with the file, what is wrong, a remedy."""


def read_content(path, at_most):
    """Return the first `at_most` bytes of a file's uncompressed content, or all if it has fewer.

    The file counts as gzipped when its content is, whatever its name: browsers unpack files
    and keep the `.gz`, or pack them and drop it.

    Raises
    ------
    DataError
        When the file cannot be read, or its gzip stream is damaged or ends early.
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
        raise DataError(f"{path}: truncated, its gzip stream ends early; {FETCH}") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip file ({error}); {FETCH}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); "
                        "correct the path or the permissions") from None


def is_whole(path):
    """Is nothing missing of a file that `read_content` has read without complaint?

    Of a gzip stream that is sure by then. A raw IDX file of whatever items has the size that its
    header promises; of anything else it cannot be told, and the answer is no.
    """
    with open(path, "rb") as raw:
        header, size = raw.read(4 + 4 * 255), os.fstat(raw.fileno()).st_size
    if header[:2] == GZIP_MAGIC:
        return True
    if len(header) < 4 or header[:2] != b"\0\0" or header[2] not in ITEM_SIZES:
        return False
    start = 4 + 4 * header[3]
    if len(header) < start:
        return False
    shape = struct.unpack_from(f">{header[3]}I", header, 4)
    return size == start + math.prod(shape) * ITEM_SIZES[header[2]]


def read_idx(path, item_shape):
    """Return the array of an IDX file of unsigned bytes.

    Parameters
    ----------
    path : path of a raw or gzipped file
    item_shape : tuple of int
        The shape that each item must have: (28, 28) for pictures, () for labels.

    Returns
    -------
    (n, *item_shape) uint8 array
        Read-only, since it is a view of the bytes that were read.

    Raises
    ------
    DataError
        When the file is not an IDX file, holds items of another kind or shape, holds none or
        more than a million, or fewer or more bytes than its header promises.
    """
    header_size = 8 + 4 * len(item_shape)
    count = _checked_count(path, read_content(path, header_size), item_shape)
    promised = header_size + count * math.prod(item_shape)
    content = read_content(path, promised + 1)      # one more: to notice that there is more
    if len(content) != promised:
        found = f"only {len(content):,}" if len(content) < promised else "more"
        raise DataError(f"{path}: its header promises {count:,} items in {promised:,} bytes, "
                        f"found {found}; {FETCH}")
    return idx2numpy.convert_from_string(content)


def _checked_count(path, header, item_shape):
    """Return the number of items that `header` promises, once everything else in it is right."""
    if not header:
        raise DataError(f"{path}: is empty; {FETCH}")
    if len(header) < 4 or header[:2] != b"\0\0":
        raise DataError(f"{path}: no IDX file, raw or gzipped: its content does not start with two "
                        f"zero bytes; {FETCH}")
    kind, axes = header[2:4]
    expected = "pictures (type 0x08, 3 axes)" if item_shape else "labels (type 0x08, 1 axis)"
    if (kind, axes) != (UNSIGNED_BYTE, 1 + len(item_shape)):
        raise DataError(f"{path}: expected {expected}, found type 0x{kind:02X} with "
                        f"{axes}; put the right file under this name, or {FETCH}")
    if len(header) < 4 + 4 * axes:
        raise DataError(f"{path}: truncated, it ends within its header; {FETCH}")
    count, *found_shape = struct.unpack(f">{axes}I", header[4:])
    if tuple(found_shape) != item_shape:
        raise DataError(f"{path}: expected items of shape {item_shape}, found "
                        f"{tuple(found_shape)}; scale the pictures to 28 x 28, or {FETCH}")
    if not 1 <= count <= MOST_ITEMS:
        raise DataError(f"{path}: its header promises {count:,} items, possible are 1 to "
                        f"{MOST_ITEMS:,}; {FETCH}")
    return count
