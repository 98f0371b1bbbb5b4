"""Coverage-guided mutation of the files that a user names, with Atheris.

``python tests/fuzz/atheris_idx.py [CORPUS] [-max_total_time=600]`` runs until an error
is not one line. The first byte of an input chooses the reader. The package does not
require Atheris: install it and the package into an environment of your own.
"""

import sys
import tempfile
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed: pip install atheris in an environment of your "
             "own; without it, run tests/fuzz/test_idx_files.py and test_models.py")

with atheris.instrument_imports(include=["data", "nn", "mpc.predict"]):
    import data.idx
    import nn
    from mpc.predict.pictures import read_pictures

FOLDER = Path(tempfile.mkdtemp())
IMAGES = FOLDER / "images-idx3-ubyte"
READERS = (
    (IMAGES, lambda path: data.idx.read_idx(path, (28, 28), 0, 3)),
    (IMAGES, lambda path: read_pictures([f"{path}:0-2"])),
    (FOLDER / "model.npz", nn.load),
    (FOLDER / "some.npy", lambda path: read_pictures([str(path)])),
    (FOLDER / "one.png", lambda path: read_pictures([str(path)])))


def test_one_input(content):
    path, read = READERS[content[0] % len(READERS) if content else 0]
    path.write_bytes(content[1:])
    try:
        read(path)
    except ValueError as error:
        assert "\n" not in str(error) and ";" in str(error), error


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
