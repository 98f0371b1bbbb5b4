"""--save: the model that was trained, all or nothing, and no other file lost."""

import os
import re
import stat

import numpy as np
import pytest
from training_runs import IN_FLOATS, PARAMETERS, command

import data
from mpc import train_mnist
from mpc.train_mnist import command as command_module
from mpc.train_mnist import save


@pytest.mark.parametrize("arithmetic", train_mnist.ARITHMETICS)
def test_save_writes_the_model_that_was_tested(
        tmp_path, capsys, monkeypatch, arithmetic):
    """The revealed parameters, to the last bit.

    They classify as many items correctly as the command counted, and far more than a
    model that was not trained.
    """
    runs, train = [], train_mnist.train

    def kept(*args, **how):
        runs.append(train(*args, **how))
        return runs[0]

    monkeypatch.setattr(command_module, "train", kept)
    path = tmp_path / "model.npz"
    text = (f"--train-items 128 --test-items 320 --epochs 2 --lr 0.1 --save {path} "
            f"--arithmetic {arithmetic}" + " --reproducible" * (arithmetic != "float"))
    status, out, _ = command(capsys, text)
    assert status == 0 and out.endswith(f"Model written to {path}\n")
    assert list(tmp_path.iterdir()) == [path]
    with np.load(path) as saved:
        parameters = {name: saved[name] for name in saved.files}
    assert {name: p.shape for name, p in parameters.items()} == PARAMETERS
    for name, revealed in runs[0].model.named_parameters():
        np.testing.assert_array_equal(parameters[name], revealed.value, strict=True)

    images, labels = data.load_mnist("test", 320)

    def correct(w1, b1, w2, b2, w3, b3):
        hidden = np.maximum(data.normalise(images) @ w1 + b1, 0)
        hidden = np.maximum(hidden @ w2 + b2, 0)
        return np.sum((hidden @ w3 + b3).argmax(1) == labels)

    printed = int(re.findall(r"Accuracy: (\d+)/320 ", out)[-1])
    initial = train_mnist.Net(np.random.default_rng(1))
    tolerance = 4 * (arithmetic != "float")
    assert abs(correct(*parameters.values()) - printed) <= tolerance
    assert printed > 30 + correct(*(p.value for p in initial.parameters()))
    assert printed > 30 + correct(*(np.zeros(shape) for shape in PARAMETERS.values()))


def test_a_failed_save_leaves_nothing_new_and_the_old_model_whole(
        tmp_path, monkeypatch, capsys):
    def full(file, **arrays):
        file.write(b"half a model")
        raise OSError(28, "No space left on device")

    path = tmp_path / "model.npz"
    path.write_bytes(b"the old model")
    monkeypatch.setattr(np, "savez", full)
    status, _, err = command(capsys, f"{IN_FLOATS} --save {path}")
    assert (status, err) == (2, f"train_mnist: --save {path}: No space left on device; "
                             "name another place\n")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"the old model"


@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o027, 0o640)])
def test_a_new_model_has_the_mode_of_the_umask_and_an_old_one_keeps_its_own(
        tmp_path, umask, mode):
    model, path = train_mnist.Net(np.random.default_rng(1)), tmp_path / "model.npz"
    before = os.umask(umask)
    try:
        save.save_model(model, path)
        assert stat.S_IMODE(path.stat().st_mode) == mode
        path.chmod(0o600)
        save.save_model(model, path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


@pytest.mark.parametrize("old", [b"the old model", None])
def test_a_link_stays_and_the_file_that_it_names_is_written(tmp_path, capsys, old):
    folder, link = tmp_path / "models", tmp_path / "latest.npz"
    folder.mkdir()
    link.symlink_to(folder / "model.npz")
    if old is not None:
        (folder / "model.npz").write_bytes(old)
    assert command(capsys, f"{IN_FLOATS} --save {link}")[0] == 0
    assert link.is_symlink()
    assert list(folder.iterdir()) == [folder / "model.npz"]
    with np.load(link) as saved:
        assert set(saved.files) == set(PARAMETERS)


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "read-only file"])
def test_only_a_writable_file_is_replaced(tmp_path, capsys, monkeypatch, kind):
    """Others are refused before training, and stay as they are."""
    path = tmp_path / "model"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/dev/null")
    else:
        path.write_bytes(b"the old model")
        monkeypatch.setattr(os, "access", lambda path, mode: False)     # root may
    before = path.lstat()
    assert command(capsys, f"{IN_FLOATS} --save {path}") == (
        2, "", f"train_mnist: --save {path}: not a writable file; name "
        "another\n")
    assert path.lstat() == before and list(tmp_path.iterdir()) == [path]


def test_the_check_of_the_place_leaves_nothing_behind(tmp_path):
    path = tmp_path / "model.npz"
    assert save.check_place(str(path)) is None and list(tmp_path.iterdir()) == []
    path.write_bytes(b"the old model")
    assert save.check_place(str(path)) is None and list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"the old model"


def test_a_place_that_cannot_be_written_is_refused_before_training(
        tmp_path, monkeypatch, capsys):
    def read_only(path, mode):
        raise OSError(30, "Read-only file system", path)

    monkeypatch.setattr(save, "open", read_only, raising=False)     # root may always
    path = tmp_path / "model.npz"
    assert command(capsys, f"{IN_FLOATS} --save {path}") == (
        2, "", f"train_mnist: --save {path}: cannot be written (Read-only file "
        "system); name another place\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused_before_training(
        capsys, tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    status, out, err = command(capsys, f"--save {tmp_path}/model.npz")
    assert (status, out) == (2, "") and "cannot be written (Permission denied)" in err
