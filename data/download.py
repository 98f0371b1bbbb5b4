"""Fetch the four MNIST files from public mirrors and verify their content.

The SHA-256 is that of the *uncompressed* content: gzip bytes differ between mirrors,
the pictures do not. A file appears under its name complete and verified, or not at all.
Other data sets use the same file names: a complete file is never replaced.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

from data.idx import DataError, is_whole, read_content

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist",
           "https://storage.googleapis.com/cvdf-datasets/mnist")
CHUNK, TIMEOUT = 2**18, 30                # bytes per read; seconds of silence
ABANDONED = 3600        # seconds without growth: the part of a download that was killed


class Content(NamedTuple):
    """The size and SHA-256 of an uncompressed file."""

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
    """A mirror did not deliver; the next one is tried."""


class _ReportFault(Exception):
    """The output cannot be written, which is no fault of the folder."""


class _Other(Exception):
    """A file is complete, but is not the expected one."""


def download_mnist(folder: str | os.PathLike, mirrors: Iterable[str] = MIRRORS,
                   report: Callable[[str], object] = print) -> None:
    """Complete the four MNIST files in `folder`.

    Correct files are kept. A damaged file is replaced once the correct one has arrived.
    If a file is complete but different, it belongs to another data set: nothing is
    fetched.

    Parameters
    ----------
    folder : path
        Created if necessary, and removed again if it stays empty.
    mirrors : sequence of str
        Base URLs, tried in order for every file.
    report : callable
        Called with a line of text at each step. Its errors are not changed.

    Raises
    ------
    DataError
        If a mirror is not a web address or contains a password, the folder contains a
        file of another data set or cannot be written, or no mirror delivers a file. One
        line, with the fault of each mirror; no partial file is left.
    """
    for mirror in mirrors:
        _check_mirror(mirror)
    folder = Path(os.path.expanduser(folder))
    if any(ord(character) < 32 for character in str(folder)):
        raise DataError(f"directory {str(folder)!r}: not a name of a directory; leave "
                        "out control characters")
    def told(line):
        try:
            report(line)
        except OSError as error:
            raise _ReportFault from error

    made = []
    try:
        made = [place for place in (folder, *folder.parents) if not place.exists()]
        faults = {name: _check_file(folder / name, content, told)
                  for name, content in FILES.items()}
        folder.mkdir(parents=True, exist_ok=True)
        for name, fault in faults.items():
            if fault is not None:
                _get(folder / name, FILES[name], mirrors, told)
    except _ReportFault as fault:
        raise fault.__cause__ from None  # type: ignore[misc]
    except OSError as error:
        raise DataError(f"{error.filename or folder}: {error.strerror or error}; choose"
                        " a directory that can be written, with 12 MB free") from None
    finally:
        with suppress(OSError):         # a directory with content stays
            for place in made:
                place.rmdir()


def without_password(text: str) -> str:
    """Remove the user name and password from any web address in `text`."""
    return re.sub(r"//.*@", "//", text, flags=re.S)


def _check_mirror(mirror):
    """Raise unless `mirror` is a web address without a password."""
    shown = without_password(mirror)
    if not mirror.lower().startswith(("http://", "https://")):
        raise DataError(f"mirror {shown!r} is not a web address; begin with https://")
    if shown != mirror:
        raise DataError(f"mirror {shown!r} was given with a user name or password, "
                        "which cannot be sent; leave out everything before the @")
    if not mirror.isprintable() or " " in mirror:
        raise DataError(f"mirror {shown!r} is not a web address; leave out spaces and "
                        "control characters")


def _check_file(path, content, report):
    """Return the fault of an existing file, or None; another data set raises."""
    if not path.exists():
        return "not there"
    if not path.is_file():
        raise DataError(f"{path}: not an ordinary file; choose another directory")
    open(path, "rb").close()            # raises if unreadable: it may be whole
    try:
        fault = _fault(path, content)
    except _Other as other:
        raise DataError(f"{path}: {other}: this is a complete file of another data "
                        "set; it stays as it is, and nothing was fetched; choose "
                        "another directory") from None
    report(f"{path.name}: there, but {fault}; fetching it again" if fault else
           f"{path.name}: already there, SHA-256 correct, kept")
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
            report(f"{path.name}: {path.stat().st_size:,} bytes, SHA-256 correct, "
                   "saved")
            return
    raise DataError(f"{path}: no mirror delivered it ({'; '.join(faults)}); check the "
                    "network, or name another mirror with --mirror URL; if you have "
                    "the four files, use --data-dir DIR")


def _fetch(url, path, content):
    """Write the answer of `url` to a temporary file; rename it if it is correct."""
    for old in path.parent.glob(f".{path.name}.*.part"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > ABANDONED:
                old.unlink()
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file, closing(_chunks(url, content.size + 2**16)) as c:
            file.writelines(c)
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
    """Yield the body of the answer of `url`; network errors raise _MirrorFault."""
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
    except (OSError, HTTPException, ValueError) as error:  # ValueError: a malformed URL
        raise _MirrorFault(str(getattr(error, "reason", error))) from None


def _fault(path, content):
    """Describe the damage of a file, or return None if its content is correct.

    A complete file with other content raises `_Other`: a gzip stream checks itself, and
    the header of raw content gives the size of the file.
    """
    try:
        found = read_content(path, content.size + 1)    # the limit stops gzip bombs
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
