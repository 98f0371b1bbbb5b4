"""--save: the model that was trained, all or nothing, and no other file lost."""

import contextlib
import itertools
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from training_runs import IN_FLOATS, PARAMETERS, SMALL, command

import data
import nn
from mpc import train_mnist
from mpc.train_mnist import command as command_module
from mpc.train_mnist import save
from mpc.world import World

ROOT = Path(__file__).parents[3]


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


def full_disk(monkeypatch, *times):
    """np.savez finds the disk full when it is called for one of these `times`."""
    count, savez = itertools.count(1), np.savez

    def full(file, **arrays):
        if next(count) in times:
            file.write(b"half a model")
            raise OSError(28, "No space left on device")
        savez(file, **arrays)

    monkeypatch.setattr(np, "savez", full)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A folder with an old model, and an empty one for temporary files."""
    (tmp_path / "own").mkdir()
    (tmp_path / "temporary").mkdir()
    (tmp_path / "own" / "model.npz").write_bytes(b"the old model")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "own", tmp_path / "temporary"


def assert_only_the_old_model(folder):
    assert list(folder.iterdir()) == [folder / "model.npz"]
    assert (folder / "model.npz").read_bytes() == b"the old model"


def test_a_disk_without_room_for_the_model_is_refused_before_training(
        folders, monkeypatch, capsys):
    own, temporary = folders
    full_disk(monkeypatch, 1)
    assert command(capsys, f"{IN_FLOATS} --save {own}/model.npz") == (
        2, "", f"train_mnist: --save {own}/model.npz: cannot be written (No space left "
        "on device); name another place\n")
    assert_only_the_old_model(own)
    assert not list(temporary.iterdir())


def test_a_save_that_fails_after_training_goes_to_the_temporary_folder(
        folders, monkeypatch, capsys):
    """The old model stays whole, and the report is printed."""
    own, temporary = folders
    full_disk(monkeypatch, 2)
    status, out, err = command(capsys, f"{IN_FLOATS} --save {own}/model.npz")
    second, = temporary.iterdir()
    assert (status, err) == (
        2, f"train_mnist: --save {own}/model.npz: No space left on device; the model "
        f"is in {second}\n")
    assert "Accuracy after 2 epochs" in out and "written" not in out
    assert {name: p.shape for name, p in nn.load(second).items()} == PARAMETERS
    assert_only_the_old_model(own)


def test_without_a_second_place_both_reasons_are_told(folders, monkeypatch, capsys):
    own, temporary = folders
    full_disk(monkeypatch, 2, 3)
    status, _, err = command(capsys, f"{IN_FLOATS} --save {own}/model.npz")
    assert (status, err) == (
        2, f"train_mnist: --save {own}/model.npz: No space left on device; nor could "
        f"{temporary} be written (No space left on device)\n")
    assert_only_the_old_model(own)


@pytest.mark.parametrize("later", ["finish", "report"])
def test_the_model_is_written_before_anything_else_can_fail(
        tmp_path, monkeypatch, capsys, later):
    def fails(*_):
        raise ValueError("a peer is dead")

    owner = command_module if later == "report" else World
    monkeypatch.setattr(owner, later, fails)
    status, _, err = command(capsys, f"{SMALL} --save {tmp_path}/model.npz")
    assert (status, err) == (2, "train_mnist: a peer is dead\n")
    assert set(nn.load(tmp_path / "model.npz")) == set(PARAMETERS)


def test_the_place_is_reserved_from_the_start_and_given_back(
        tmp_path, monkeypatch, capsys):
    """As many bytes as the model will take; Ctrl-C gives them back."""
    assert command(capsys, f"{IN_FLOATS} --save {tmp_path}/model.npz")[0] == 0
    size, drafts, seen, reserved = (
        (tmp_path / "model.npz").stat().st_size, [], [], save.reserved)

    @contextlib.contextmanager
    def watched(*args):
        with reserved(*args) as draft:
            drafts.append(draft)
            yield draft

    def interrupted(*_, **__):
        seen.extend(os.stat(draft.path).st_size for draft in drafts)
        raise KeyboardInterrupt

    monkeypatch.setattr(command_module, "reserved", watched)
    monkeypatch.setattr(command_module, "train", interrupted)
    assert command(capsys, f"{IN_FLOATS} --save {tmp_path}/other.npz")[0] == 130
    assert seen == [size] and list(tmp_path.iterdir()) == [tmp_path / "model.npz"]


NAMELESS = hasattr(os, "O_TMPFILE")         # this system has files without a name


@pytest.mark.parametrize("nameless", [
    pytest.param(True, marks=pytest.mark.skipif(not NAMELESS, reason="no O_TMPFILE")),
    False])
def test_a_killed_run_leaves_nothing_or_a_draft_that_the_next_one_removes(
        tmp_path, nameless):
    forget = "" if nameless or not NAMELESS else "del os.O_TMPFILE; "
    code = (f"import os, signal, sys; {forget}"
            "from mpc.train_mnist import save, training; "
            "place = save.reserved(sys.argv[1], training.Net()); place.__enter__(); "
            "os.kill(os.getpid(), signal.SIGKILL)")
    path, model = tmp_path / "model.npz", train_mnist.Net(np.random.default_rng(1))
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    left = [] if nameless else [".model.npz.part"]
    assert [part.name for part in tmp_path.iterdir()] == left
    save.save_model(model, path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture(params=["nameless", "named"])
def drafts(request, monkeypatch):
    """Both kinds of drafts, where this system has both."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)


def test_two_runs_cannot_reserve_one_place(tmp_path, capsys, drafts):
    path, model = tmp_path / "model.npz", train_mnist.Net(np.random.default_rng(1))
    with save.reserved(path, model) as draft:
        assert command(capsys, f"{IN_FLOATS} --save {path}") == (
            2, "", f"train_mnist: --save {path}: another run is about to write there; "
            "name another place\n")
        save.write_model(draft, model, path)
    assert list(tmp_path.iterdir()) == [path] and set(nn.load(path)) == set(PARAMETERS)


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_nothing_of_another_kind_is_in_the_way_of_a_draft(tmp_path, kind):
    path, part = tmp_path / "model.npz", tmp_path / ".model.npz.part"
    (tmp_path / "else").write_bytes(b"else")
    {"folder": part.mkdir, "pipe": lambda: os.mkfifo(part),
     "link": lambda: part.symlink_to(tmp_path / "else")}[kind]()
    model = train_mnist.Net(np.random.default_rng(1))
    if kind == "folder":
        with pytest.raises(OSError, match="cannot be written .Is a directory.; name"):
            save.save_model(model, path)
    else:
        save.save_model(model, path)
        assert set(tmp_path.iterdir()) == {path, tmp_path / "else"}
    assert (tmp_path / "else").read_bytes() == b"else"


@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o027, 0o640)])
def test_a_new_model_has_the_mode_of_the_umask_and_an_old_one_keeps_its_own(
        tmp_path, umask, mode, drafts):
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
def test_a_link_stays_and_the_file_that_it_names_is_written(
        tmp_path, capsys, old, drafts):
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
    def read_only(path, flags, mode=0o777):
        if str(path).startswith(str(tmp_path)) and flags & os.O_RDWR:  # root may always
            raise OSError(30, "Read-only file system", path)
        return os_open(path, flags, mode)

    os_open = os.open
    monkeypatch.setattr(os, "open", read_only)
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
