"""Fetch the four MNIST files from public mirrors, and keep only what has the right content.

What is checked is the SHA-256 of the *uncompressed* content: the gzip bytes differ from mirror to
mirror, the pictures do not. A file appears under its name whole and checked, or not at all. Other
data sets come in files of the same names: one that is whole is never replaced.
"""

import hashlib
import os
import re
import secrets
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

from data.idx import DataError, is_whole, read_content

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist",
           "https://storage.googleapis.com/cvdf-datasets/mnist")
CHUNK, TIMEOUT = 2**18, 30                # bytes at a time; seconds of silence


class Content(NamedTuple):
    """What a file holds once it is unpacked."""

    size: int
    sha256: str


FILES = {
    "train-images-idx3-ubyte.gz": Content(
        47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "train-labels-idx1-ubyte.gz": Content(
        60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte.gz": Content(
        7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "t10k-labels-idx1-ubyte.gz": Content(
        10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}


class _MirrorFault(Exception):
    """Why one mirror did not deliver; the next one is tried."""


class _Other(Exception):
    """What a file holds that is whole, but not what was looked for."""


def download_mnist(folder, mirrors=MIRRORS, report=print):
    """Make `folder` hold the four MNIST files, fetching those that it lacks.

    A file that is there with the right content stays; a damaged one is replaced, once the right one
    has arrived. A whole file with other content is somebody's data: nothing is fetched then.

    Parameters
    ----------
    folder : path
        Made if it does not exist, and taken away again if nothing came into it.
    mirrors : sequence of str
        Base URLs, tried in order for every file.
    report : callable
        Called with a line of text at each step.

    Raises
    ------
    DataError
        When a mirror is no web address or holds a password, the folder holds a file of another
        data set, no mirror delivers a file, or the folder cannot be written. One line, with the
        reason at each mirror; nothing half-written stays behind.
    """
    for mirror in mirrors:
        _check_mirror(mirror)
    folder = Path(os.path.expanduser(folder))
    if any(ord(character) < 32 for character in str(folder)):
        raise DataError(f"directory {str(folder)!r}: no name of a directory; leave the control "
                        "characters out")
    made = []
    try:
        made = [place for place in (folder, *folder.parents) if not place.exists()]
        faults = {name: _look(folder / name, content, report) for name, content in FILES.items()}
        folder.mkdir(parents=True, exist_ok=True)
        for name in faults:
            if faults[name] is not None:
                _get(folder / name, FILES[name], mirrors, report)
    except BrokenPipeError:             # of `report`: its reader has gone
        raise
    except OSError as error:
        raise DataError(f"{error.filename or folder}: {error.strerror or error}; choose a "
                        "directory that can be written, with 12 MB free") from None
    finally:
        with suppress(OSError):         # one that is not empty stays
            for place in made:
                place.rmdir()


def without_password(text):
    """`text` without what stands before the @ of an address."""
    return re.sub(r"//.*@", "//", text, flags=re.S)


def _check_mirror(mirror):
    """Raise unless `mirror` is a web address that can be used and printed."""
    shown = without_password(mirror)
    if not mirror.lower().startswith(("http://", "https://")):
        raise DataError(f"mirror {shown!r} is no web address; begin it with https://")
    if shown != mirror:
        raise DataError(f"mirror {shown!r} was given with a user name or password, which cannot be "
                        "sent; leave out all before the @")
    if not mirror.isprintable() or " " in mirror:
        raise DataError(f"mirror {shown!r} is no web address; leave out spaces and control "
                        "characters")


def _look(path, content, report):
    """What is wrong with the file at `path`: None, or a few words; a whole other file raises."""
    if not path.exists():
        return "not there"
    if not path.is_file():
        raise DataError(f"{path}: this is no ordinary file; choose another directory")
    open(path, "rb").close()            # what cannot be read may be whole
    try:
        fault = _fault(path, content)
    except _Other as other:
        raise DataError(f"{path}: {other}: this is a whole file of another data set; it stays as "
                        "it is, and nothing was fetched; choose another directory") from None
    report(f"{path.name}: there, but {fault}; fetching it anew" if fault else
           f"{path.name}: already there, SHA-256 right, kept")
    return fault


def _get(path, content, mirrors, report):
    """Fetch the file at `path` from the first of the `mirrors` that delivers it."""
    faults = []
    for mirror in mirrors:
        report(f"{path.name}: fetching from {mirror}")
        try:
            _fetch(f"{mirror.rstrip('/')}/{path.name}", path, content)
        except _MirrorFault as fault:
            faults.append(f"{mirror}: {fault}")
            report(f"{path.name}: not from {faults[-1]}")
        else:
            return report(f"{path.name}: {path.stat().st_size:,} bytes, SHA-256 right, saved")
    raise DataError(f"{path}: no mirror delivered it ({'; '.join(faults)}); check the network, or "
                    "name another mirror with --mirror URL; if you have the four files, use "
                    "--data-dir DIR")


def _fetch(url, path, content):
    """Write the answer of `url` beside `path`, and move it there if its content is right."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file, closing(_chunks(url, content.size + 2**16)) as chunks:
            file.writelines(chunks)
        try:
            fault = _fault(part, content)
        except _Other as other:
            fault = other
        if fault is not None:
            raise _MirrorFault(fault)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _chunks(url, at_most):
    """Yield the body that `url` answers with; what the network does wrong is a _MirrorFault."""
    try:
        with urlopen(url, timeout=TIMEOUT) as response:
            received = 0
            while chunk := response.read(CHUNK):
                received += len(chunk)
                if received > at_most:
                    raise _MirrorFault(f"more than {at_most:,} bytes")
                yield chunk
    except HTTPError as error:
        error.close()
        raise _MirrorFault(f"HTTP status {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:      # ValueError: no such URL can be
        raise _MirrorFault(str(getattr(error, "reason", error))) from None


def _fault(path, content):
    """What is damaged in a file, in a few words, or None if its content is right.

    Raises `_Other` if it is whole, as far as it was read, and holds something else: a gzip stream
    checks itself, and a header in front of raw content says how long the file must be.
    """
    try:
        found = read_content(path, content.size + 1)      # bounded: a gzip bomb stays packed
    except DataError as error:
        return str(error).removeprefix(f"{path}: ").partition(";")[0]
    if len(found) != content.size:
        amount = "more" if len(found) > content.size else f"{len(found):,}"
        fault = f"unpacked it has {amount} instead of {content.size:,} bytes"
    else:
        sha256 = hashlib.sha256(found).hexdigest()
        if sha256 == content.sha256:
            return None
        fault = f"SHA-256 is {sha256[:8]}... instead of {content.sha256[:8]}..."
    if is_whole(path):
        raise _Other(fault)
    return fault
