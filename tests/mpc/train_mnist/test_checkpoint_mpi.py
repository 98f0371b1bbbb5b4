"""Roles that are killed with kill -9 and resumed end in the same model, bit for bit."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from mpi_runs import Started, command, in_processes, one_line
from training_runs import SMALL, trained
from training_runs import command as simulated

from mpc.train_mnist import checkpoint
from mpc.world import role_names

ALWAYS = f"{SMALL} --every 1"       # six batches, three in each epoch
DYING = str(Path(__file__).with_name("dying_roles.py"))
LONG = "--epochs 1000 --train-items 64 --test-items 2 --reproducible"


def assert_is_the_model_of(path, text):
    """The saved model is that of an uninterrupted simulation with these options."""
    run, _ = trained(text)
    with np.load(path) as saved:
        for name, parameter in run.model.named_parameters():
            np.testing.assert_array_equal(saved[name], parameter.value, strict=True)


def started(text, n=4):
    return Started(command(text, n)).ends()


def files(folder):
    return {role: sorted(checkpoint.listed(folder, role)) for role in role_names(2)}


@in_processes
@pytest.mark.parametrize("role, place, number, how", [
    ("alice", "in a batch", 6, "--truncation local --log-interval 10"),
    ("bob", "after a write", 3, ""),
    ("server", "in a write", 5, "--comparison carry-tree --stream"),
    ("crypto_provider", "in a test", 1, "--workers 3")])
def test_a_run_goes_on_after_kill_9_and_ends_in_the_same_model(
        tmp_path, role, place, number, how):
    folder, model = tmp_path / "run", tmp_path / "model.npz"
    n = 5 if "workers" in how else 4
    words = f"{ALWAYS} {how} --checkpoint {folder}".split()
    status, _, err = Started((n, [DYING, role, place, str(number), *words])).ends()
    assert status != 0
    assert one_line(err) == f"{role}: killed by signal 9 (SIGKILL); the run ends"
    status, out, err = started(f"{ALWAYS} {how} --resume {folder} --save {model}", n)
    assert (status, err) == (0, "") and f"Model written to {model}" in out
    assert out.count("Train Epoch") < 6         # it did not begin again
    assert_is_the_model_of(model, f"{SMALL} {how}")


@in_processes
def test_processes_resume_a_simulation(capsys, tmp_path):
    folder, model = tmp_path / "run", tmp_path / "model.npz"
    text = f"{ALWAYS} --comparison carry-tree"
    assert simulated(capsys, f"{text} --checkpoint {folder}")[0] == 0
    for path in folder.glob("*-00000006.checkpoint"):
        path.unlink()
    status, out, err = started(f"{text} --resume {folder} --save {model}")
    assert (status, err) == (0, "")
    assert out.startswith("Resumed after 5 batches\nTrain Epoch: 2 [10/10 (100%)]")
    assert_is_the_model_of(model, text.replace("--every 1", ""))


@in_processes
@pytest.mark.parametrize("who", ["all", "crypto_provider"])
def test_ctrl_c_at_one_role_or_all_writes_one_checkpoint_of_all(tmp_path, who):
    folder = tmp_path / "run"
    run = Started(command(f"{LONG} --checkpoint {folder} --every 100000"))
    for _ in range(4):          # a line for each batch, one for each test
        assert run.process.stdout.readline()
    if who == "all":
        run.process.send_signal(signal.SIGINT)
    else:
        os.kill(run.pid_of(who), signal.SIGINT)
    status, _, err = run.ends()
    (done,), = set(map(tuple, files(folder).values()))
    role, line = one_line(err).split(": ", 1)       # of whichever was first
    assert done >= 2 and role in role_names(2) and (status, line) == (
        130, f"train_mnist: interrupted after {done} batches; --resume {folder} with "
        "the same options goes on from here")


@in_processes
def test_a_damaged_file_or_a_role_that_begins_anew_ends_the_run_in_a_line(
        capsys, tmp_path):
    folder = tmp_path / "run"
    assert simulated(capsys, f"{ALWAYS} --every 5 --checkpoint {folder}")[0] == 0
    before = {path: path.read_bytes() for path in folder.iterdir()}
    bobs = folder / checkpoint.file_name("bob", 5)
    bobs.write_bytes(before[bobs][:-3])
    status, out, err = started(f"{ALWAYS} --resume {folder}")
    assert (status, out) == (2, "") and one_line(err) == (
        f"bob: train_mnist: --resume {folder}: {bobs}: damaged, its checksum is wrong; "
        "delete it to go on from an earlier checkpoint")
    bobs.write_bytes(before[bobs])
    new = f"{ALWAYS} --checkpoint {tmp_path}/new"
    status, out, err = Started(
        command(f"{ALWAYS} --resume {folder}", 3), command(new, 1)).ends()
    assert (status, out) == (2, "")
    assert "was started with checkpoint" in one_line(err)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@in_processes
def test_each_role_may_have_a_folder_of_its_own(tmp_path):
    """As on several hosts; without a common checkpoint all say so in one line."""
    def groups(option):
        return [command(f"{ALWAYS} --every 2 {option} {tmp_path}/{role}", 1)
                for role in role_names(2)]

    assert Started(*groups("--checkpoint")).ends()[0] == 0
    for role in role_names(2):
        names = {path.name for path in (tmp_path / role).iterdir()}
        assert names == {checkpoint.file_name(role, done) for done in (4, 6)}
    (tmp_path / "alice" / checkpoint.file_name("alice", 4)).unlink()
    (tmp_path / "bob" / checkpoint.file_name("bob", 6)).unlink()
    status, out, err = Started(*groups("--resume")).ends()
    assert (status, out) == (2, "") and one_line(err).endswith(
        "which have: server after batch 4, 6; alice after batch 6; bob after batch 4; "
        "crypto_provider after batch 4, 6; name the folders of one run")
