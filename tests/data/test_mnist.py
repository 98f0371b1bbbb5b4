"""Loading MNIST: the embedded subset, other directories, and wrong files."""

import gzip
import hashlib
import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

import data
from data.idx import read_idx
from data.load import EMBEDDED

FULL_SET = os.environ.get("MNIST_DIR")       # before the fixture below removes it
NAMES = {"images": "t10k-images-idx3-ubyte", "labels": "t10k-labels-idx1-ubyte"}


@pytest.fixture(autouse=True)
def no_mnist_dir(monkeypatch):
    monkeypatch.delenv("MNIST_DIR", raising=False)


def idx(array):
    """Return a uint8 array as the bytes of an IDX file."""
    return header(*array.shape) + array.tobytes()


def header(*axes, kind=8):
    return struct.pack(f">4B{len(axes)}I", 0, 0, kind, len(axes), *axes)


def pictures(n=5):
    return np.random.default_rng(n).integers(0, 256, (n, 28, 28), dtype=np.uint8)


IMAGES, LABELS = idx(pictures()), idx(np.arange(5, dtype=np.uint8))


@pytest.fixture
def folder(tmp_path):
    """A directory with five test items in raw files."""
    (tmp_path / NAMES["images"]).write_bytes(IMAGES)
    (tmp_path / NAMES["labels"]).write_bytes(LABELS)
    return tmp_path


# ---- the embedded subset

EMBEDDED_SHA256 = {
    "train-images-idx3-ubyte":
        "330c005e4be9b1275aeb6c08d50283b692df460a8562531c861e2e101a328fe7",
    "train-labels-idx1-ubyte":
        "92e290a7bc6095c6ac9f53937b62e6ded81d6e109405e04bba3d6cfbf994691c",
    "t10k-images-idx3-ubyte":
        "7238de0d977538d1588ca8b06d0aa67d0de12f624547098c215c606247c84e9f",
    "t10k-labels-idx1-ubyte":
        "e902dddb5206b8f5e345c2aeefa7de766a79ae6b437e51b392a6e33d66b43c8a",
}


@pytest.mark.parametrize("name, sha256", EMBEDDED_SHA256.items())
def test_the_embedded_subset_has_its_checksums(name, sha256):
    packed = (EMBEDDED / f"{name}.gz").read_bytes()
    assert hashlib.sha256(gzip.decompress(packed)).hexdigest() == sha256
    assert packed[4:8] == bytes(4)              # no time stamp, to be reproducible
    assert f"`{sha256}`" in (EMBEDDED / "README.md").read_text()


def test_the_subset_has_its_origin_and_licence():
    for name in ("README.md", "LICENSE"):
        text = (EMBEDDED / name).read_text()
        for words in ("LeCun", "Cortes", "Attribution-ShareAlike 3.0"):
            assert words in text


@pytest.mark.parametrize("split, n, digits", [
    ("train", 6400, [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]),
    ("test", 1280, [7, 2, 1, 0, 4, 1, 4, 9, 5, 9])])
def test_without_a_directory_the_subset_is_loaded(split, n, digits):
    images, labels = data.load_mnist(split)
    assert images.shape == (n, 28, 28) and labels.shape == (n,)
    assert images.dtype == labels.dtype == np.uint8
    assert labels[:10].tolist() == digits


def test_n_selects_the_first_items_as_writable_arrays():
    images, labels = data.load_mnist("train", n=np.int64(640))
    every_image, every_label = data.load_mnist("train")
    np.testing.assert_array_equal(images, every_image[:640])
    np.testing.assert_array_equal(labels, every_label[:640])
    images[0], labels[0] = 0, 0
    assert images.base is None


@pytest.mark.skipif(not FULL_SET, reason="MNIST_DIR names no full set")
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_subset_is_the_beginning_of_the_set_in_mnist_dir(split):
    full = data.load_mnist(split, data_dir=FULL_SET)
    for part, whole in zip(data.load_mnist(split), full, strict=True):
        np.testing.assert_array_equal(part, whole[:len(part)])


# ---- other directories


@pytest.mark.parametrize("name", ["{}-ubyte", "{}-ubyte.gz"])
@pytest.mark.parametrize("mark", ["-", "."])
def test_every_usual_name_is_found_raw_and_gzipped(tmp_path, mark, name):
    for kind, content in (("images-idx3", IMAGES), ("labels-idx1", LABELS)):
        path = tmp_path / f"t10k-{name.format(kind.replace('-', mark))}"
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    images, labels = data.load_mnist("test", data_dir=tmp_path)
    np.testing.assert_array_equal(images, pictures())
    assert labels.tolist() == [0, 1, 2, 3, 4]


def test_the_content_decides_whether_a_file_is_gzipped(folder):
    (folder / NAMES["images"]).write_bytes(gzip.compress(IMAGES))
    assert len(data.load_mnist("test", data_dir=str(folder))[0]) == 5


def test_a_downloaded_file_has_precedence_over_other_names(folder):
    (folder / "t10k-labels.idx1-ubyte").write_bytes(b"damaged")
    (folder / NAMES["labels"]).write_bytes(b"damaged")
    (folder / f"{NAMES['labels']}.gz").write_bytes(gzip.compress(LABELS))
    assert len(data.load_mnist("test", data_dir=folder)[0]) == 5


def test_data_dir_has_precedence_over_mnist_dir(folder, monkeypatch):
    monkeypatch.setenv("MNIST_DIR", str(folder))
    assert len(data.load_mnist("test")[0]) == 5
    assert len(data.load_mnist("test", data_dir=EMBEDDED)[0]) == 1280
    monkeypatch.setenv("MNIST_DIR", "")
    assert len(data.load_mnist("test")[0]) == 1280


def test_a_tilde_means_the_home_directory(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    assert len(data.load_mnist("test", data_dir=f"~/{folder.name}")[0]) == 5


# ---- errors: one line with the file, the fault and a remedy


def assert_refused(folder, name, found, remedy, **options):
    with pytest.raises(data.DataError) as caught:
        data.load_mnist("test", data_dir=folder, **options)
    message = str(caught.value)
    assert message.startswith(str(Path(folder, name))) and "\n" not in message
    assert found in message and remedy in message.rpartition(";")[2]


FETCH = "`python -m data.mnist --download DIR`"
PACKED = gzip.compress(IMAGES)
WRONG_IMAGES = {
    "empty": (b"", ": is empty"),
    "empty, packed": (gzip.compress(b""), ": is empty"),
    "a web page": (b"<html>404</html>", "not an IDX file, raw or gzipped: its content"),
    "a packed web page": (gzip.compress(b"<html>404</html>"), "not an IDX file, raw"),
    "labels": (LABELS, "expected pictures (type 0x08, 3 axes), found type 0x08 with 1"),
    "of another type": (header(5, 28, 28, kind=13), "found type 0x0D with 3"),
    "of another size": (idx(np.zeros((5, 32, 32), np.uint8)), "28), found (32, 32)"),
    "cut in the header": (IMAGES[:11], "truncated, it ends within its header"),
    "without items": (header(0, 28, 28), "promises 0 items, possible are 1 to 1,000"),
    "promising terabytes": (header(2**32 - 1, 28, 28), "promises 4,294,967,295 items"),
    "truncated": (IMAGES[:-1], "promises 5 items in 3,936 bytes, found only 3,935"),
    "too long": (IMAGES + b"\0", "promises 5 items in 3,936 bytes, found more"),
    "packed, cut in gzip's header": (PACKED[:5], "truncated, its gzip stream ends"),
    "packed, truncated": (PACKED[:-9], "truncated, its gzip stream ends early"),
    "truncated, packed": (gzip.compress(IMAGES[:-1]), "found only 3,935"),
    "packed, damaged": (PACKED[:99] + b"damaged" + PACKED[106:], "damaged gzip file ("),
    "packed, wrong checksum": (PACKED[:-8] + bytes(4) + PACKED[-4:], "file (CRC"),
    "packed, then zeros": (PACKED + bytes(10**7), "file (a long part of it has"),
    "packed, then empty streams": (PACKED + 10**5 * gzip.compress(b""), "has no conte"),
    "packed, with a tail": (PACKED + b"tail", "damaged gzip file (Not a gzipped file"),
}


@pytest.mark.parametrize("content, found", WRONG_IMAGES.values(), ids=WRONG_IMAGES)
def test_a_wrong_file_under_the_name_of_the_images_is_refused(folder, content, found):
    (folder / NAMES["images"]).write_bytes(content)
    assert_refused(folder, NAMES["images"], found, FETCH)


@pytest.mark.parametrize("content, found", [
    (IMAGES, "expected labels (type 0x08, 1 axis), found type 0x08 with 3"),
    (LABELS[:-1], "promises 5 items in 13 bytes, found only 12"),
    (LABELS[:6], "truncated, it ends within its header"),
    (idx(np.arange(4, dtype=np.uint8)), "4 labels for the 5 pictures of t10k-images"),
    (idx(np.array([0, 1, 10, 9, 0], np.uint8)), "label of item 2 is not a digit"),
])
def test_a_wrong_file_under_the_name_of_the_labels_is_refused(folder, content, found):
    (folder / NAMES["labels"]).write_bytes(content)
    assert_refused(folder, NAMES["labels"], found, FETCH)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_false_header_costs_no_memory(folder, pack):
    content = header(2**32 - 1, 28, 28) + bytes(10**7)
    (folder / NAMES["images"]).write_bytes(pack(content))
    tracemalloc.start()
    assert_refused(folder, NAMES["images"], "promises 4,294,967,295 items", FETCH)
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()


@pytest.mark.parametrize("zeros, n", [(2**17, 5), (0, 2)])
def test_zeros_after_a_gzip_stream_are_padding(folder, zeros, n):
    (folder / NAMES["images"]).write_bytes(PACKED + bytes(zeros))
    images, labels = data.load_mnist("test", n, folder)
    np.testing.assert_array_equal(images, pictures()[:n])
    assert labels.tolist() == [0, 1, 2, 3, 4][:n]


@pytest.fixture(scope="module")
def bomb():
    """A gzip file of 110 KB with 150,000 pictures, 118 MB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    pieces = [packer.compress(header(150_000, 28, 28))]
    pieces += [packer.compress(bytes(784 * 10_000)) for _ in range(15)]
    return b"".join([*pieces, packer.flush()])


def test_memory_is_that_of_the_items_asked_for(folder, bomb):
    """Although the whole file is checked, to its last byte."""
    (folder / NAMES["images"]).write_bytes(bomb)
    (folder / NAMES["labels"]).write_bytes(idx(np.zeros(150_000, np.uint8)))
    tracemalloc.start()
    assert len(data.load_mnist("test", 100, folder)[0]) == 100
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()
    (folder / NAMES["images"]).write_bytes(bomb[:-8] + bytes(8))
    assert_refused(folder, NAMES["images"], "damaged gzip file (CRC", FETCH, n=100)


def test_files_that_disagree_are_refused_before_they_are_read(folder, bomb):
    (folder / NAMES["images"]).write_bytes(bomb[:1000])
    assert_refused(folder, NAMES["labels"], "5 labels for the 150,000 pictures", FETCH)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_no_file_to_wait_for(folder):
    os.mkfifo(folder / "pipe")
    with pytest.raises(data.DataError, match="cannot be read .not an ordinary file"):
        read_idx(folder / "pipe", (28, 28))


def test_requests_for_too_many_items_are_refused(folder):
    assert_refused(folder, NAMES["images"], "holds 5 items, but 6 were asked for",
                   "ask for at most 5", n=6)
    assert_refused(EMBEDDED, f"{NAMES['images']}.gz",
                   "holds 1,280 items, but 1,281 were asked for",
                   f"at most 1,280, or fetch all with {FETCH} and name DIR by "
                   "--data-dir, data_dir or MNIST_DIR", n=1281)


def test_a_missing_file_is_reported_with_all_its_names(folder):
    (folder / NAMES["labels"]).unlink()
    assert_refused(folder, "t10k-labels-idx1-ubyte.gz",
                   "not there, nor t10k-labels-idx1-ubyte, t10k-labels.idx1-ubyte.gz, ",
                   f"`python -m data.mnist --download {folder}`")


def test_a_missing_directory_is_reported_with_its_source(folder, monkeypatch):
    assert_refused(folder / "gone", "", "no such directory; correct the name, leave it "
                   "out for the embedded subset", FETCH)
    assert_refused(folder / NAMES["images"], "", "not a directory; correct", FETCH)
    assert_refused(folder / ("n" * 300), "", "no such directory; correct the", FETCH)
    monkeypatch.setenv("MNIST_DIR", str(folder / "gone"))
    with pytest.raises(data.DataError, match=r"from MNIST_DIR\); correct MNIST_DIR"):
        data.load_mnist()
    with pytest.raises(data.DataError, match="directory is empty; pass one, or leave"):
        data.load_mnist(data_dir="")


def test_a_file_that_cannot_be_read_is_reported_with_the_reason(folder, monkeypatch):
    def refuse(path, mode, **how):
        raise PermissionError(13, "Permission denied", path)
    monkeypatch.setattr("builtins.open", refuse)             # chmod would not stop root
    assert_refused(folder, NAMES["images"], "cannot be read (Permission denied)",
                   "permissions")


@pytest.mark.parametrize("arguments, remedy", [
    (("validation",), "split='validation' is neither 'train' nor 'test'; pass one"),
    (("test", 0), "n=0 is not a number of items; pass 1 or more, or leave n out"),
    (("test", -3), "n=-3 is not a number of items"),
    (("test", 2.5), "n=2.5 is not a number of items"),
    (("test", "9"), "n='9' is not a number of items"),
])
def test_bad_arguments_are_refused(arguments, remedy):
    with pytest.raises(data.DataError, match=remedy):
        data.load_mnist(*arguments)


def test_a_data_error_is_a_value_error():
    assert issubclass(data.DataError, ValueError)
