"""nn.load reads the parameters of a model, and refuses every other file in one line."""

import os
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

import nn

GOOD = {"fc1.weight": np.arange(6.0).reshape(2, 3) / 7, "fc1.bias": np.full((), -0.5)}


@pytest.fixture
def path(tmp_path):
    np.savez(tmp_path / "model.npz", **GOOD)
    return tmp_path / "model.npz"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_load_returns_what_savez_wrote_bit_for_bit(tmp_path, save):
    model = nn.Linear(5, 3, np.random.default_rng(1))
    save(tmp_path / "m.npz", **{n: p.value for n, p in model.named_parameters()})
    loaded = nn.load(tmp_path / "m.npz")
    assert list(loaded) == ["weight", "bias"]
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(loaded[name], parameter.value, strict=True)
        loaded[name][...] = 0           # they are the caller's own


def test_names_shapes_and_the_byte_order_survive(path, tmp_path):
    for name, array in nn.load(path).items():
        np.testing.assert_array_equal(array, GOOD[name], strict=True)
    np.savez(tmp_path / "big.npz", **{n: a.astype(">f8") for n, a in GOOD.items()})
    for name, array in nn.load(str(tmp_path / "big.npz")).items():
        np.testing.assert_array_equal(array, GOOD[name], strict=True)


def refused(path):
    """The line of the error, without the name of the file."""
    with pytest.raises(ValueError) as caught:
        nn.load(path)
    line = str(caught.value)
    assert "\n" not in line and line.startswith(f"load: {path}: ")
    return line.removeprefix(f"load: {path}: ")


@pytest.mark.parametrize("array, fault", [
    (np.zeros((2, 2), np.float32), "has elements of float32"),
    (np.zeros(3, np.int64), "has elements of int64"),
    (np.zeros(3, complex), "has elements of complex128"),
    (np.array("text"), "has elements of <U4"),
    (np.zeros(3, bool), "has elements of bool"),
    (np.array([0, np.nan]), "contains nan or inf"),
    (np.array([[np.inf]]), "contains nan or inf"),
    (np.zeros((0, 3)), r"is empty, of shape \(0, 3\)")])
def test_an_array_that_is_no_parameter_is_refused_by_name(path, array, fault):
    np.savez(path, **GOOD, **{"fc9.weight": array})
    with pytest.raises(ValueError, match=f"'fc9.weight' {fault}; save finite float64"):
        nn.load(path)


def test_a_torn_file_is_refused_at_every_length(path):
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert refused(path).startswith("damaged, or no .npz file")


def test_a_flipped_bit_changes_no_number(path):
    """A zip has a checksum of each array; a bit of its directory may hide an entry."""
    whole, silent = path.read_bytes(), 0
    for i in range(len(whole)):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 16]) + whole[i + 1:])
        try:
            loaded = nn.load(path)
        except ValueError as error:
            assert "\n" not in str(error)
            continue
        silent += 1
        for name, array in loaded.items():
            np.testing.assert_array_equal(array, GOOD[name])
    assert silent < len(whole) / 3      # of a tiny model: most bytes are headers


class Explodes:
    def __reduce__(self):
        return os.mkdir, ("/nowhere/it/was/unpickled",)


@pytest.mark.parametrize("kind", ["pickle", "object array", "object member"])
def test_nothing_is_unpickled(tmp_path, kind):
    path, bad = tmp_path / "model.npz", np.array([Explodes()], dtype=object)
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Explodes()))
    elif kind == "object array":
        with path.open("wb") as file:
            np.save(file, bad, allow_pickle=True)
    else:
        np.savez(path, weight=bad)
    assert refused(path).startswith("damaged, or no .npz file of plain arrays")


def test_files_of_other_kinds_are_refused(tmp_path):
    path = tmp_path / "model.npz"
    assert refused(path).startswith("no such file")
    assert refused(tmp_path).startswith("no such file")
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    assert refused(path).startswith("damaged, or no .npz file")
    for content in (b"", b"text", b"PK\x03\x04", b"PK\x05\x06" + bytes(18)):
        path.write_bytes(content)
        assert "save" in refused(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "no array")
    assert refused(path) == ("'readme.txt' is no array; save finite float64 arrays, "
                             "such as the parameters of a model")
    np.savez(path)
    assert refused(path) == "has no arrays; save each parameter once"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name_are_refused(path):
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("fc1.bias.npy", file.read("fc1.bias.npy"))
    assert refused(path) == "has two arrays of one name; save each parameter once"


def test_a_header_that_announces_terabytes_is_refused(path):
    with zipfile.ZipFile(path, "w") as file, file.open("w.npy", "w") as member:
        np.lib.format.write_array_header_1_0(
            member, {"descr": "<f8", "fortran_order": False, "shape": (2**55,)})
    assert refused(path).startswith("damaged, or no .npz file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_an_unreadable_file_is_refused(path):
    path.chmod(0)
    assert refused(path).startswith("cannot be read (Permission denied)")


def test_a_small_file_that_promises_gigabytes_is_refused_unread(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        with file.open("w.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(
                member, {"descr": "<f8", "fortran_order": False, "shape": (2**25,)})
            for _ in range(2**8):
                member.write(bytes(2**20))
    assert path.stat().st_size < 2e6
    tracemalloc.start()
    try:
        assert refused(path).startswith("unpacks to 268,435,584 bytes, more than ")
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


def test_the_caller_may_bound_what_is_unpacked(path):
    np.savez_compressed(path, w=np.zeros(10**6))
    assert refused(path).endswith("; take another file, or set at_most")
    assert nn.load(path, 8 * 10**6 + 128)["w"].shape == (10**6,)
    np.savez(path, w=np.zeros(10**6))
    assert nn.load(path)["w"].shape == (10**6,)
    with pytest.raises(ValueError, match="unpacks to 8,000,128 bytes, more than 5,000"):
        nn.load(path, 5_000)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_files_that_numpy_would_not_write_are_refused(path, method):
    with zipfile.ZipFile(path, "w", method) as file, file.open("w.npy", "w") as member:
        np.save(member, np.ones(3))
    assert refused(path).startswith("damaged, or no .npz file of plain arrays")


@pytest.mark.parametrize("header, fault", [
    ("{'descr': '<f8', 'fortran_order': False, 'shape': (3L,), }", None),
    ("{'descr': ',f8', 'fortran_order': False, 'shape': (3,), }", "damaged, or no"),
    ("{'descr': (", "damaged, or no .npz"), ("(" * 4000, "damaged, or no .npz")])
def test_headers_that_numpy_hardly_reads_are_read_or_refused(path, header, fault):
    packed = np.lib.format.magic(1, 0) + len(header).to_bytes(2, "little")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("w.npy", packed + header.encode() + np.ones(3).tobytes())
    if fault:
        assert refused(path).startswith(fault)
    else:
        assert nn.load(path)["w"].tolist() == [1, 1, 1]


def test_names_stay_in_one_line(path):
    np.savez(path, **{"a\nb": np.ones(1)})
    assert refused(path) == "has a name that cannot be printed; save the model again"
