"""Fetch the four MNIST files from public mirrors, and keep only what has the right content.

What is checked is the SHA-256 of the *uncompressed* content: the gzip bytes differ from mirror to
mirror, the pictures do not. A file appears under its name whole and checked, or not at all.
"""

import hashlib
import os
import secrets
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

from data.idx import DataError, read_content

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


def download_mnist(folder, mirrors=MIRRORS, report=print):
    """Make `folder` hold the four MNIST files, fetching those that it lacks.

    A file that is there with the right content stays; one with other content is replaced, once
    the right one has arrived.

    Parameters
    ----------
    folder : path
        Made if it does not exist.
    mirrors : sequence of str
        Base URLs, tried in order for every file.
    report : callable
        Called with a line of text at each step.

    Raises
    ------
    DataError
        When a mirror is no web address, no mirror delivers a file, or the folder cannot be
        written. One line, with the reason at each mirror; nothing half-written stays behind.
    """
    for mirror in mirrors:
        if not mirror.lower().startswith(("http://", "https://")):
            raise DataError(f"mirror {mirror!r} is no web address; begin it with https://")
    folder = Path(os.path.expanduser(folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in FILES.items():
            _ensure(folder / name, content, mirrors, report)
    except OSError as error:
        raise DataError(f"{error.filename or folder}: {error.strerror or error}; choose a "
                        "directory that can be written, with 12 MB free") from None


def _ensure(path, content, mirrors, report):
    """Leave the file at `path` if its content is right; else fetch it from the first that can."""
    if path.exists():
        fault = _fault(path, content)
        if fault is None:
            return report(f"{path.name}: already there, SHA-256 right, kept")
        report(f"{path.name}: there, but {fault}; fetching it anew")
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
                    "name another mirror with --mirror URL")


def _fetch(url, path, content):
    """Write the answer of `url` beside `path`, and move it there if its content is right."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file, closing(_chunks(url, content.size + 2**16)) as chunks:
            file.writelines(chunks)
        fault = _fault(part, content)
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
    """Return what is wrong with a file's content, or None."""
    try:
        found = read_content(path, content.size + 1)      # bounded: a gzip bomb stays packed
    except DataError as error:
        return str(error).removeprefix(f"{path}: ").partition(";")[0]
    if len(found) != content.size:
        amount = "more" if len(found) > content.size else f"{len(found):,}"
        return f"unpacked it has {amount} instead of {content.size:,} bytes"
    sha256 = hashlib.sha256(found).hexdigest()
    if sha256 != content.sha256:
        return f"SHA-256 is {sha256[:8]}... instead of {content.sha256[:8]}..."
    return None
