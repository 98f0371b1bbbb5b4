"""`python -m data.mnist --download DIR`: fetch the full MNIST set, 70,000 pictures."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from data.download import MIRRORS, download_mnist, without_password
from data.idx import DataError
from data.load import load_mnist
from data.prepare import batches, normalise, one_hot, owner_slices

__all__ = ["DataError", "batches", "download_mnist", "load_mnist", "main", "normalise",
           "one_hot", "owner_slices"]


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        """Exit with one line, without the usage that argparse prints first."""
        text = without_password(message)
        self.exit(2, f"{self.prog}: {text}; --help lists the options\n")


def main(argv: Iterable[str] = ()) -> int:
    """Run the command with the arguments `argv`; return its exit status."""
    parser = _Parser(
        prog="python -m data.mnist",
        description="Fetch the four MNIST files (12 MB) and check their SHA-256. To "
                    "use them, set the environment variable MNIST_DIR to DIR.")
    parser.add_argument(
        "--download", metavar="DIR", required=True,
        help="the directory for the files; correct files in it are kept, damaged ones "
             "are fetched again, and a complete file of another data set is an error")
    parser.add_argument(
        "--mirror", metavar="URL", action="append",
        help="fetch from URL/NAME.gz instead of the two public mirrors; repeat the "
             "option for several mirrors, tried in order")
    options = parser.parse_args(list(argv))
    mirrors = options.mirror or MIRRORS
    try:
        download_mnist(options.download, mirrors, partial(print, flush=True))
    except DataError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except OSError as error:            # of the output
        with suppress(OSError, ValueError):     # no file, as in a notebook
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # its reader has gone, as `head` does
            return 1
        print(f"{parser.prog}: output: {error.strerror}; write it to another place",
              file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted; no partial file is left, run it again",
              file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
