"""`python -m data.mnist --download DIR`: fetch the full MNIST set, 70,000 pictures."""

import argparse
import os
import sys
from functools import partial

from data.download import MIRRORS, download_mnist, without_password
from data.idx import DataError
from data.load import load_mnist
from data.prepare import batches, normalise, one_hot, owner_slices

__all__ = ["DataError", "batches", "download_mnist", "load_mnist", "main", "normalise", "one_hot",
           "owner_slices"]


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        """End with one line, without the usage that argparse puts before it."""
        self.exit(2, f"{self.prog}: {without_password(message)}; --help lists the options\n")


def main(argv=()):
    """Run the command with the words `argv`; return its exit status: 0, or 2 after one line."""
    parser = _Parser(
        prog="python -m data.mnist",
        description="Fetch the four MNIST files (12 MB) and check their SHA-256. Set the "
                    "environment variable MNIST_DIR to DIR to use them.")
    parser.add_argument("--download", metavar="DIR", required=True,
                        help="the directory to fill; a right file that is there is kept, a damaged "
                             "one fetched anew; a whole file of another data set is an error")
    parser.add_argument("--mirror", metavar="URL", action="append",
                        help="fetch from URL/NAME.gz instead of the two public mirrors; may be "
                             "given several times, tried in order")
    options = parser.parse_args(list(argv))
    try:
        download_mnist(options.download, options.mirror or MIRRORS, partial(print, flush=True))
    except DataError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:             # whoever read our lines has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted; nothing half-written is left, run it again",
              file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
