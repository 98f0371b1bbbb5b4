"""`python -m data.mnist --download DIR`: fetch the full MNIST set, 70,000 pictures."""

import argparse
import sys
from functools import partial

from data.download import MIRRORS, download_mnist
from data.idx import DataError
from data.load import load_mnist
from data.prepare import batches, normalise, one_hot, owner_slices

__all__ = ["DataError", "batches", "download_mnist", "load_mnist", "main", "normalise", "one_hot",
           "owner_slices"]


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        """End with one line, without the usage that argparse puts before it."""
        self.exit(2, f"{self.prog}: {message}; --help lists the options\n")


def main(argv=None):
    """Run the command with `argv`; return its exit status: 0, or 2 after one line on stderr."""
    parser = _Parser(
        prog="python -m data.mnist",
        description="Fetch the four MNIST files (12 MB) and check their SHA-256. Set the "
                    "environment variable MNIST_DIR to DIR to use them.")
    parser.add_argument("--download", metavar="DIR", required=True,
                        help="the directory to fill; right files already there are kept")
    parser.add_argument("--mirror", metavar="URL", action="append",
                        help="fetch from URL/NAME.gz instead of the two public mirrors; may be "
                             "given several times, tried in order")
    options = parser.parse_args(argv)
    try:
        download_mnist(options.download, options.mirror or MIRRORS, partial(print, flush=True))
    except DataError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted; nothing half-written is left, run it again",
              file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
