"""Mutated models, pictures and checkpoints: each is read, or refused in one line.

``python tests/fuzz/test_models.py --runs N`` tries N files, with other seeds by
``--seed``. A file takes at most `SECONDS` of computation, and `SPARE` bytes of memory
beyond its own size.
"""

import hashlib
import io
import json
import random
import resource
import struct
import sys
import time
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path[:0] = map(str, Path(__file__).parents[2:0:-1])

from mutations import cut, drop, flip, insert, main, repeat, run

import nn
from mpc import predict
from mpc.predict.pictures import PNG_MAGIC, read_pictures
from mpc.train_mnist import Net, checkpoint
from mpc.train_mnist.options import parser

SECONDS, SPARE = 20, 50e6
MODEL = {name: p.value for name, p in Net(np.random.default_rng(0)).named_parameters()}
SHAPES = ((), (0,), (3,), (784, 128), (28, 28), (2, 28, 28), (784,), (5, 784), (-1,),
          (28, 28, 0), (1,) * 33, (2**40,), (2**62, 4))
TYPES = "<f8", ">f8", "<f4", "|u1", "|b1", "|O", "<U3", "<c16", "<M8[s]", "|V0", "<f2"
HEADERS = (b"", b"{", b"(" * 4000, b"{'descr': (", b"1 + 1", b"[" * 300, b"\xff" * 50,
           b"{'descr': '<f8', 'fortran_order': False, 'shape': (3L,)}",
           b"{'descr': [('a', '<f8')], 'fortran_order': 0, 'shape': (1,)}",
           b"{'descr': '<f8', 'fortran_order': False, 'shape': 'x'}",
           b"{'descr': None, 'fortran_order': False, 'shape': (1, None)}")
NAMES = "fc1.weight", "fc1.bias", "x", " ", "a\nb", "../up", "\u0663", "n" * 300, "a/"

CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"acTL", b"PLTE", b"tRNS",
          b"gAMA", b"fdAT", b"aaaa")
CONTENTS = (b"", b"k\0\0" + zlib.compress(bytes(10**7)), b"k\0" + b"\xff" * 9,
            bytes(768), b"k\0\1\0\0\0" + zlib.compress(b"text"), b"II*\0\x08\0\0\0")


# ------------------------------------------------------------------ what files contain


def npy(g, array):
    """A .npy file, often with another header."""
    if g.random() < 0.5:
        stream = io.BytesIO()
        np.save(stream, array)
        return stream.getvalue()
    header = g.choice(HEADERS) if g.random() < 0.4 else repr({
        "descr": g.choice(TYPES), "fortran_order": g.random() < 0.2,
        "shape": g.choice(SHAPES)}).encode()
    version = g.choice(((1, 0), (1, 0), (2, 0), (3, 0), (0, 0), (9, 9)))
    size = len(header) if g.random() < 0.9 else g.randrange(2**16)
    packed = struct.pack("<H" if version[0] == 1 else "<I", size) + header
    data = array.tobytes()[:g.choice((None, None, 0, 8))]
    return b"\x93NUMPY" + bytes(version) + packed + data


def npz(g):
    """An .npz file of a few arrays; small ones promise much."""
    stream, arrays, method = io.BytesIO(), MODEL, zipfile.ZIP_STORED
    if g.random() < 0.8:
        method = g.choice((0, 0, 8, 8, 12, 14))
        arrays = {g.choice(NAMES): np.zeros(g.choice((1, 3, (28, 28))))
                  for _ in range(3)}
    with zipfile.ZipFile(stream, "w", method) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")         # of a name that comes twice
        for name, array in arrays.items():
            known = arrays is MODEL and g.random() < 0.9
            content = npy(random.Random(3), array) if known else npy(g, array)
            file.writestr(name + g.choice((".npy", ".npy", ".npy", "")), content)
        if g.random() < 0.02:
            with file.open("bomb.npy", "w") as member:
                np.lib.format.write_array_header_1_0(member, {
                    "descr": "<f8", "fortran_order": False, "shape": (2**24,)})
                member.write(bytes(2**27))
    return stream.getvalue()


def png(g):
    """A grey or coloured .png of 28 x 28, often with odd chunks."""
    def chunk(kind, data):
        body = kind + data
        crc = zlib.crc32(body) ^ (g.random() < 0.02)
        return struct.pack(">I", len(data)) + body + struct.pack(">I", crc)

    depth, colour = g.choice(((8, 0), (8, 2), (8, 6), (8, 3), (16, 0), (1, 0), (3, 9)))
    size = struct.pack(">2I", *g.choice(((28, 28),) * 4 + ((28, 2**31 - 1), (0, 28))))
    head = chunk(b"IHDR", size + bytes([depth, colour, 0, 0, g.choice((0, 0, 0, 1))]))
    row = 1 + 28 * {0: 1, 2: 3, 6: 4}.get(colour, 1) * depth // 8
    data = zlib.compress(g.randbytes(1) * row * 28 + g.choice((b"", bytes(10**6))))
    extra = [chunk(g.choice(CHUNKS), g.choice(CONTENTS))
             for _ in range(g.choice((0, 0, 1, 2)))]
    return PNG_MAGIC + head + b"".join(extra) + chunk(b"IDAT", data) + g.choice(
        (chunk(b"IEND", b""), b""))


def saved(g, role):
    """A checkpoint whose checksum is right, and the rest perhaps not."""
    point = {"session": "s", "done": 2, "epoch": 1, "batch": 2, "counter": 5,
             "losses": 1, "counts": 0, "opened": [["train", 0, 0, "matmul/a", 3]]}
    header = {"role": role, "point": point, "data": None, "arrays": {"revealed": 8},
              "parameters": dict(PARAMETERS)}
    parts = header, point, point["opened"][0], header["parameters"], header["arrays"]
    for _ in range(g.choice((0, 1, 1, 2))):
        part = g.choice(parts)
        key = g.randrange(5) if isinstance(part, list) else g.choice(sorted(part))
        part[key] = g.choice((None, -1, 2**70, 1.5, "x", [], {}, [[]], True, "\n"))
    text = g.choice((json.dumps(header),) * 9 + ("[" * 10**5, "NaN", "", "{}", "[1]"))
    body = text.encode() + b"\n" + struct.pack("<d", 1.5)
    checksum = hashlib.sha256(body).hexdigest().encode()
    return b"\n".join((checkpoint.FORMAT, checksum, body))


PARAMETERS = {"code": '"1"', "lr": "0.02"}
MUTATIONS = flip, flip, cut, drop, insert, repeat


def mutated(g, content):
    for _ in range(g.choice((0, 1, 1, 2, 3))):
        content = g.choice(MUTATIONS)(g, content)
    return content


# ------------------------------------------------------------------ the judgement


def refused_or(function, *arguments):
    """The result of the function, or None after an error of one line."""
    try:
        return function(*arguments)
    except ValueError as error:
        line = str(error)
        assert "\n" not in line and ";" in line, line
        return None


def a_model(path):
    loaded = refused_or(nn.load, path)
    options = parser().parse_args([])
    options.model = path
    if loaded is not None and refused_or(predict.network, options, loaded):
        assert all(np.isfinite(p).all() for p in loaded.values())
    return loaded is not None


def a_picture(path):
    found = refused_or(read_pictures, [str(path)])
    if found is None:
        return False
    names, pictures = found
    assert pictures.dtype == np.uint8 and pictures.shape == (len(names), 28, 28)
    return True


def a_checkpoint(path):
    read = refused_or(checkpoint.files_of, path.parent, "server", PARAMETERS, None)
    for found in (read or {}).values():
        assert all(isinstance(n, int) for n in found.point[1:7])
    return bool(read)


def npy_of_pictures(g):
    shape = g.choice(((28, 28), (784,), (3, 28, 28)))
    return npy(g, np.zeros(shape, g.choice(("u1", "f8", "f4"))))


KINDS = {"model.npz": (npz, a_model), "one.png": (png, a_picture),
         "some.npy": (npy_of_pictures, a_picture),
         "server-00000002.checkpoint": (lambda g: saved(g, "server"), a_checkpoint)}


def try_file(g, folder):
    """Write a mutated file and read it; was it accepted?"""
    name = g.choice(list(KINDS))
    make, read = KINDS[name]
    path = folder / name
    path.write_bytes(mutated(g, make(g)))
    before, start = peak(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        accepted = read(path)
    took, grown = time.process_time() - start, peak() - before
    assert took < SECONDS, f"{took:.1f} s"
    assert grown < SPARE + path.stat().st_size, f"{grown:,} bytes"
    path.unlink()
    return accepted


def peak():
    """The most bytes of memory that this process has had in use so far."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_mutated_models_pictures_and_checkpoints_are_read_or_refused():
    assert 10 < run(try_file, 200, 0) < 120


if __name__ == "__main__":
    main(__doc__, try_file)
