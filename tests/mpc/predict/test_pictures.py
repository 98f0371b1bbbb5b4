"""The pictures that a command line names, and those that it refuses in one line."""

import os
import shutil
import sys

import numpy as np
import pytest

import data
from data.load import EMBEDDED
from mpc.predict import read_pictures

IDX = EMBEDDED / "t10k-images-idx3-ubyte.gz"
TEST, _ = data.load_mnist("test", 10)


def test_mnist_items_have_a_short_form():
    names, pictures = read_pictures(["test:3", "test:7-8", "train:0"])
    assert names == ["test:3", "test:7", "test:8", "train:0"]
    train, _ = data.load_mnist("train", 1)
    np.testing.assert_array_equal(pictures, [TEST[3], TEST[7], TEST[8], train[0]])
    assert pictures.dtype == np.uint8


def test_short_forms_are_of_the_data_folder(tmp_path):
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        shutil.copy(EMBEDDED / name, tmp_path)
    assert read_pictures(["test:1"], tmp_path)[1].shape == (1, 28, 28)
    with pytest.raises(ValueError, match="train-images"):
        read_pictures(["train:1"], tmp_path)


def test_items_of_an_idx_file():
    names, pictures = read_pictures([f"{IDX}:2-4"])
    assert names == [f"{IDX}:{i}" for i in (2, 3, 4)]
    np.testing.assert_array_equal(pictures, TEST[2:5])


@pytest.mark.parametrize("array, due", [
    (TEST[0], TEST[:1]), (TEST[0].ravel(), TEST[:1]), (TEST[:3], TEST[:3]),
    (TEST[:2].reshape(2, 784), TEST[:2]), (TEST[:2] / 255, TEST[:2]),
    ((TEST[5] / 255).astype(np.float32), TEST[5:6]),
    (np.asfortranarray(TEST[4]), TEST[4:5])])
def test_arrays_of_bytes_or_fractions(tmp_path, array, due):
    path = tmp_path / "x.npy"
    np.save(path, array)
    names, pictures = read_pictures([str(path)])
    np.testing.assert_array_equal(pictures, due)
    assert names == ([str(path)] if len(due) == 1 else
                     [f"{path}[{i}]" for i in range(len(due))])


@pytest.mark.parametrize("channels", ["grey", "rgb", "rgba"])
def test_png_pictures(tmp_path, channels):
    image = pytest.importorskip("matplotlib.image")
    path, grey = tmp_path / "x.png", TEST[0] / 255
    rgb = np.stack([grey] * 3 + [np.ones_like(grey)] * (channels == "rgba"), axis=-1)
    if channels == "grey":
        from PIL import Image
        Image.fromarray(TEST[0]).save(path)
    else:
        image.imsave(path, rgb)
    np.testing.assert_array_equal(read_pictures([str(path)])[1], TEST[:1])


def refused(word):
    with pytest.raises(ValueError) as caught:
        read_pictures([word])
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_without_matplotlib_a_png_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "x.png").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "matplotlib.image", None)
    assert refused(f"{tmp_path}/x.png") == (
        f"{tmp_path}/x.png: a PNG needs matplotlib; install it with python -m pip "
        "install matplotlib, or save a .npy")


def test_bad_pngs_are_refused(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    path = tmp_path / "x.png"
    image.imsave(path, np.zeros((30, 40, 3)))
    assert refused(str(path)).endswith("has 40 x 30 pixels; scale it to 28 x 28")
    image.imsave(path, np.ones((28, 28, 3)))
    assert "bright on the whole, and a digit is white on black; invert" in refused(
        str(path))
    claimed = bytearray(path.read_bytes())
    claimed[16:24] = bytes([0, 0, 99, 99] * 2)
    path.write_bytes(claimed)
    assert refused(str(path)).endswith("has 25443 x 25443 pixels; scale it to 28 x 28")
    clear = np.zeros((28, 28, 4))
    image.imsave(path, clear)
    assert refused(str(path)).endswith("is transparent in places; put it on black")
    whole = path.read_bytes()
    for content in (b"", b"GIF89a", whole[:40], whole[:-30]):
        path.write_bytes(content)
        assert refused(str(path)).endswith("damaged, or no PNG; save it again")


@pytest.mark.parametrize("array, fault", [
    (np.zeros((27, 28), np.uint8), r"has shape \(27, 28\)"),
    (np.zeros(783, np.uint8), r"has shape \(783,\)"),
    (np.zeros((1, 1, 28, 28), np.uint8), r"has shape \(1, 1, 28, 28\)"),
    (np.zeros((0, 28, 28), np.uint8), r"has shape \(0, 28, 28\)"),
    (np.array(0.0), r"has shape \(\)"),
    (np.full((28, 28), 2.0), "has numbers outside 0 to 1"),
    (np.full((28, 28), np.nan), "has numbers outside 0 to 1"),
    (np.zeros((28, 28), np.int64), "has elements of int64"),
    (np.zeros((28, 28), bool), "has elements of bool"),
    (np.zeros((28, 28), complex), "has elements of complex128"),
    (np.full((28, 28), 200, np.uint8), "bright on the whole"),
    (np.array([None] * 784), "damaged, or no plain array")])
def test_bad_arrays_are_refused(tmp_path, array, fault):
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(ValueError, match=fault):
        read_pictures([f"{tmp_path}/x.npy"])


def test_an_array_of_no_type_that_numpy_can_read_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((28, 28), np.uint8))
    content = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(content.replace(b"'|u1'", b"',u1'"))
    assert refused(f"{tmp_path}/x.npy").endswith("no plain array; save it again")


def test_an_array_that_promises_more_than_memory_holds_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1000, 28, 28), np.uint8))
    content = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(content.replace(b"(1000,", b"(10**9,"))
    assert refused(f"{tmp_path}/x.npy").endswith("no plain array; save it again")
    for count in (b"9" * 13, b"9" * 30):
        (tmp_path / "x.npy").write_bytes(content.replace(
            b"(1000, 28, 28), }" + b" " * (len(count) - 4), b"(" + count +
            b", 28, 28), }"))
        assert refused(f"{tmp_path}/x.npy").endswith("no plain array; save it again")


@pytest.mark.parametrize("word, fault", [
    ("test:0-999999999999999", "but 1,000,000,000,000,000 were asked for"),
    (f"{IDX}:0-999999999999999", "has no item 999999999999999; the last is 1279"),
    ("test:9-3", "test:9-3: ends before it begins; take test:3-9"),
    ("test:1280", "holds 1,280 items, but 1,281 were asked for"),
    ("x.png", "x.png: no such file; take a .png"),
    ("n" * 300 + ".png", "n.png: no such file"), ("\0.npy", ".npy: no such file"),
    ("n" * 300 + ":0", "cannot be read (File name too long)"),
    ("x.jpg", "x.jpg: no picture; take a .png"), ("test", "test: no picture; take"),
    ("test:", "test:: no picture"), ("test:-1", "test:-1: no picture"),
    ("test:3:7", "test:3: cannot be read"), ("nowhere:3", "nowhere: cannot be read"),
    (f"{IDX}:1280", "has no item 1280; the last is 1279"),
    ("setup.cfg:0", "setup.cfg: not an IDX file"), ("", ": no picture")])
def test_bad_words_are_refused(word, fault, monkeypatch):
    monkeypatch.chdir(os.path.dirname(os.path.dirname(EMBEDDED.parent)) or ".")
    monkeypatch.chdir(EMBEDDED.parents[1])
    assert fault in refused(word)
