"""Checkpoints: the resumed run is the same run, and each role's file is its own."""

import json
import os
import re
import shutil
import signal
import stat
from pathlib import Path

import numpy as np
import pytest
from training_runs import SMALL, command, options

import data
from mpc import run_threads, train_mnist
from mpc.audit.replay import RecordedWorld
from mpc.beaver import mask_of
from mpc.train_mnist import checkpoint, training
from mpc.train_mnist.options import common_options
from mpc.transport import handshake
from mpc.transport.link import Disagreement
from mpc.world import role_names

ALWAYS = f"{SMALL} --every 1"       # six batches, three in each epoch
KINDS = ["", "--comparison carry-tree", "--truncation local",
         "--stream --truncation local --log-interval 2",
         "--ring-bits 44 --initial-weights provider",
         "--comparison carry-tree --stream --workers 3", "--checked"]


def world_of(chosen):
    return RecordedWorld(
        chosen.workers, seed=chosen.seed if chosen.reproducible else None,
        ring_bits=chosen.ring_bits, comparison=chosen.comparison,
        truncation=chosen.truncation, checked=chosen.checked)


def run(text):
    """(the `Run` with these options, its World, which recorded all messages)"""
    chosen = options(text)
    world = world_of(chosen)
    return train_mnist.train(chosen, lambda line: None, world), world


def copies(monkeypatch, folder):
    """Copy the folder of checkpoints after each batch, to `folder`.N."""
    after_batch = checkpoint.Checkpoints.after_batch

    def copying(self, epoch, batch, losses, counts):
        written = after_batch(self, epoch, batch, losses, counts)
        shutil.copytree(folder, f"{folder}.{3 * epoch - 3 + batch}")
        return written

    monkeypatch.setattr(checkpoint.Checkpoints, "after_batch", copying)


def point_of(folder, done, role="bob"):
    """The public part of a checkpoint, as JSON."""
    return checkpoint.read_whole(folder / checkpoint.file_name(role, done))[0]["point"]


def parameters(done):
    return [(name, p.value) for name, p in done.model.named_parameters()]


def assert_same(one, other):
    """The same model, losses and counts, bit for bit."""
    pairs = zip(parameters(one), parameters(other), strict=True)
    for (name, left), (_, right) in pairs:
        np.testing.assert_array_equal(left, right, err_msg=name, strict=True)
    assert one.losses == other.losses and one.accuracies == other.accuracies


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with the checkpoints of a whole run, not to be changed."""
    folder = tmp_path_factory.mktemp("written") / "run"
    run(f"{ALWAYS} --checkpoint {folder}")
    return folder


@pytest.fixture
def folder(written, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(written, tmp_path / "run"))


# ------------------------------------------------------------------ the same run


@pytest.mark.parametrize("how", KINDS)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(
        tmp_path, monkeypatch, how):
    """From every batch, and with all messages; no coin meets a second value.

    After the checkpoint, all messages equal those of the uninterrupted run. Before it,
    the resumed run sends only messages that the first process has sent already: shares
    of the same weights and pictures under the same coins, and the same openings.
    """
    place = tmp_path / "run"
    plain, uninterrupted = run(f"{SMALL} {how}")
    with monkeypatch.context() as patch:
        copies(patch, place)
        assert_same(run(f"{ALWAYS} {how} --checkpoint {place}")[0], plain)
    sent = {tuple(parcel[:2]) + parcel[3:] for parcel in uninterrupted.tape}
    for done in (3, 5) if how else range(1, 7):
        point = point_of(Path(f"{place}.{done}"), done)
        resumed, world = run(f"{ALWAYS} {how} --resume {place}.{done}")
        assert_same(resumed, plain)
        assert (point["epoch"] - 1) * 3 + point["batch"] == point["done"] == done
        later = [parcel for parcel in world.tape if parcel.header[0] > point["counter"]]
        assert later == [parcel for parcel in uninterrupted.tape
                         if parcel.header[0] > point["counter"]]
        assert later and {tuple(p[:2]) + p[3:] for p in world.tape} <= sent
        assert world.counter == uninterrupted.counter


def test_pictures_and_labels_that_were_open_are_opened_under_the_same_masks(folder):
    """Without this, their later products would have other shares."""
    point = point_of(folder, 6)
    parts = [entry[:3] for entry in point["opened"]]
    assert sorted(parts) == sorted(
        [*(["train", i, 0] for i in range(3)),
         *(["test", i, part] for i in range(2) for part in range(2))])
    assert len({entry[-1] for entry in point["opened"]}) == 7


def draws(monkeypatch):
    """{(step, label): coins} of each run from now on, in a list."""
    drawn, draw, start = [], RecordedWorld._draw, RecordedWorld.__init__

    def noting_start(self, *args, **how):
        drawn.append({})
        start(self, *args, **how)

    def noting(self, groups, ring, shape, name):
        rows = draw(self, groups, ring, shape, name)
        coins = [row.tobytes() for row in rows]
        assert drawn[-1].setdefault((self.counter, self.ledger.label(name)), coins)
        return rows

    monkeypatch.setattr(RecordedWorld, "__init__", noting_start)
    monkeypatch.setattr(RecordedWorld, "_draw", noting)
    return drawn


def test_a_resumed_run_draws_the_coins_of_the_first_process_at_the_same_steps(
        folder, monkeypatch):
    """They meet the same values: the messages are the same (tested above)."""
    drawn = draws(monkeypatch)
    run(SMALL)
    (folder / "bob-00000006.checkpoint").unlink()
    run(f"{ALWAYS} --resume {folder}")
    first, second = drawn
    assert second.keys() < first.keys() and len(second) > 50
    assert all(first[place] == coins for place, coins in second.items())


def test_without_reproducible_a_resumed_run_has_fresh_keys_and_coins(
        tmp_path, monkeypatch):
    drawn, how = draws(monkeypatch), ALWAYS.replace("--reproducible", "")
    one, before = run(f"{how} --checkpoint {tmp_path}/run")
    (tmp_path / "run" / "alice-00000006.checkpoint").unlink()
    other, after = run(f"{how} --resume {tmp_path}/run")
    assert not set(before._keys.values()) & set(after._keys.values())
    coins = [{c for row in run.values() for c in row if len(c) > 20} for run in drawn]
    assert len(coins[1]) > 50 and not coins[0] & coins[1]
    assert before.tape[-1].payload != after.tape[-1].payload
    for (_, left), (_, right) in zip(parameters(one), parameters(other), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-3)      # rounded by other coins
    assert one.losses[:5] == other.losses[:5]


def test_the_report_of_a_resumed_run_counts_what_was_revealed_before(
        folder, capsys, monkeypatch):
    status, out, err = command(capsys, f"{ALWAYS} --resume {folder}")
    assert (status, err) == (0, "")
    lines = out[out.index("Revealed, to the server alone:\n"):].splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["6", "2", "6"]
    assert "Rounds per batch" not in out        # nothing was left to train
    assert out.startswith("Resumed after 6 batches\nTest set: Accuracy: ")
    (folder / "bob-00000006.checkpoint").unlink()
    status, out, err = command(capsys, f"{ALWAYS} --resume {folder}")
    assert status == 0 and "Rounds per batch: 29" in out
    assert out.startswith(
        "Resumed after 5 batches\nTrain Epoch: 2 [10/10 (100%)]")


# ------------------------------------------------------------------ whose file it is


def test_a_role_writes_only_what_it_holds(written):
    """A worker its shares, the server what it received, the provider nothing."""
    held = {role: checkpoint.read_whole(written / checkpoint.file_name(role, 6))
            for role in role_names(2)}
    for role, (header, payload) in held.items():
        assert header["role"] == role
        assert header["point"] == held["server"][0]["point"]
        assert set(header) == {"role", "point", "parameters", "data", "arrays"}
        assert sum(header["arrays"].values()) == len(payload)
    assert held["crypto_provider"][1] == b""
    done, world = run(SMALL)
    assert held["server"][0]["arrays"] == {"revealed": 56}
    assert held["server"][1] == np.array(
        [*done.losses, done.accuracies[0]]).tobytes()
    ring, n = world.ring, 784 * 128 + 128 * 64 + 64 * 10 + 128 + 64 + 10
    alice, bob = (ring.unpack(held[worker][1], (n,)) for worker in ("alice", "bob"))
    files = {path.name: path.read_bytes() for path in written.iterdir()}
    for mine in ("alice", "bob"):
        piece = held[mine][1][6000:6060]
        assert {name.split("-")[0] for name in files if piece in files[name]} == {mine}
    # together they are the model
    scale = run_of_scale(world)
    weights = ring.to_int(ring.add(alice, bob))[:784 * 128] / scale
    np.testing.assert_allclose(weights, parameters(done)[0][1].ravel(), atol=1e-9)


def run_of_scale(world):
    """The scale of the weights."""
    return train_mnist.Shared(options(SMALL), world).weight_scale * 1000


def test_a_share_in_a_file_is_uniform(written):
    """One worker's file reveals nothing: the bytes of its shares look random."""
    for worker in ("alice", "bob"):
        payload = checkpoint.read_whole(written / checkpoint.file_name(worker, 6))[1]
        counts = np.bincount(np.frombuffer(payload, np.uint8), minlength=256)
        expected = len(payload) / 256
        assert ((counts - expected)**2 / expected).sum() < 400      # 255 on average


def test_files_have_mode_600_and_a_new_folder_700(tmp_path):
    before = os.umask(0)
    try:
        run(f"{ALWAYS} --every 6 --checkpoint {tmp_path}/new/run")
    finally:
        os.umask(before)
    folder = tmp_path / "new" / "run"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = list(folder.iterdir())
    assert sorted(path.name for path in files) == sorted(
        checkpoint.file_name(role, 6) for role in role_names(2))
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_each_role_keeps_its_last_two(written):
    assert sorted(path.name for path in written.iterdir()) == sorted(
        checkpoint.file_name(role, done) for role in role_names(2) for done in (5, 6))


# ------------------------------------------------------------------ which checkpoint


def test_roles_that_died_between_their_writes_go_on_from_the_last_common_one(
        folder, capsys):
    plain, _ = run(SMALL)
    for role in ("alice", "crypto_provider"):
        (folder / checkpoint.file_name(role, 6)).unlink()
    assert_same(run(f"{ALWAYS} --resume {folder}")[0], plain)
    names = sorted(path.name for path in folder.iterdir())      # all wrote the sixth
    assert names == sorted(checkpoint.file_name(role, done)
                           for role in role_names(2) for done in (5, 6))


def test_checkpoints_of_two_runs_are_not_mixed(tmp_path, capsys):
    """Equal options, other coins: the shares of alice and bob would not fit."""
    how = ALWAYS.replace("--reproducible", "")
    for name in ("one", "other"):
        run(f"{how} --every 6 --checkpoint {tmp_path}/{name}")
    place = "alice-00000006.checkpoint"
    shutil.copy(tmp_path / "other" / place, tmp_path / "one" / place)
    status, out, err = command(capsys, f"{how} --resume {tmp_path}/one")
    assert (status, out) == (2, "")
    assert err == ("train_mnist: no checkpoint of one run is there for all roles, "
                   "which have: server after batch 6; alice after batch 6; bob after "
                   "batch 6; crypto_provider after batch 6; name the folders of one "
                   "run\n")


def test_an_abandoned_future_is_neither_mixed_in_nor_kept(tmp_path, monkeypatch):
    """alice alone wrote batch 6; all go on from 5, with other coins, and die again."""
    how, place = ALWAYS.replace("--reproducible", ""), tmp_path / "run"
    how += " --train-items 24 --batch-size 8"       # losses of fewer are not revealed
    run(f"{how} --checkpoint {place}")
    for role in ("server", "bob", "crypto_provider"):
        (place / checkpoint.file_name(role, 6)).unlink()
    monkeypatch.setattr(checkpoint.Checkpoints, "_write", fail)
    with pytest.raises(RuntimeError, match="killed"):
        run(f"{how} --resume {place}")
    monkeypatch.undo()
    resumed, _ = run(f"{how} --resume {place}")
    assert len(resumed.losses) == 6
    points = [point_of(place, 6, role) for role in role_names(2)]
    assert all(point == points[0] for point in points)


def fail(*_, **__):
    raise RuntimeError("killed")


def test_roles_in_processes_of_their_own_find_a_common_checkpoint_or_say_so(folder):
    """Each reads its own files; the handshake compares the points."""
    chosen = options(f"{ALWAYS} --resume {folder}")

    def start(world):
        return checkpoint.Checkpoints(chosen, world).done

    settings = {"seed": 1, "comparison": "securenn"}
    assert set(run_threads(start, **settings).values()) == {6}
    (folder / "bob-00000006.checkpoint").unlink()
    assert set(run_threads(start, **settings).values()) == {5}
    (folder / "alice-00000005.checkpoint").unlink()
    with pytest.raises(Disagreement, match="server after batch 5, 6; alice after batch "
                       "6; bob after batch 5; crypto_provider after batch 5, 6; name"):
        run_threads(start, **settings)


# ------------------------------------------------------------------ refused


def refused(capsys, text):
    """The one line with which the command ends before anything is shared."""
    status, out, err = command(capsys, text)
    assert (status, out) == (2, "") and err.count("\n") == 1, (status, out, err)
    assert err.startswith("train_mnist: ")
    return err.removeprefix("train_mnist: ").removesuffix("\n")


def rewritten(path, change):
    """Change the header and arrays of a file, and give it the right checksum."""
    header, arrays = checkpoint.read_whole(path)
    changed = change(header, arrays)
    arrays = changed if isinstance(changed, bytes) else arrays
    checkpoint.write_whole(path, json.dumps(header).encode() + b"\n" + arrays)


@pytest.mark.parametrize("damage, said", [
    (lambda b: b[:-1], "damaged, its checksum is wrong"),
    (lambda b: b[:len(b) // 2], "damaged, its checksum is wrong"),
    (lambda b: b[:300], "damaged, its checksum is wrong"),
    (lambda b: b[:60], "not a checkpoint of this version"),
    (lambda b: b"", "not a checkpoint of this version"),
    (lambda b: b + b"!", "damaged, its checksum is wrong"),
    (lambda b: b[:-1] + bytes([b[-1] ^ 1]), "damaged, its checksum is wrong"),
    (lambda b: b[:200] + bytes([b[200] ^ 4]) + b[201:], "damaged, its checksum"),
    (lambda b: b[:40] + bytes([b[40] ^ 1]) + b[41:], "damaged, its checksum is wrong"),
    (lambda b: bytes([b[0] ^ 1]) + b[1:], "not a checkpoint of this version"),
    (lambda b: b.replace(b"checkpoint 1", b"checkpoint 2", 1), "of this version"),
    (lambda b: b"\x80\x04N.", "not a checkpoint of this version")])
def test_a_damaged_file_is_refused(folder, capsys, damage, said, role="bob"):
    path = folder / checkpoint.file_name(role, 6)
    path.write_bytes(damage(path.read_bytes()))
    err = refused(capsys, f"{ALWAYS} --resume {folder}")
    assert err.startswith(f"--resume {folder}: {path}: ") and said in err


@pytest.mark.parametrize("role", ["server", "alice", "crypto_provider"])
def test_a_damaged_file_of_any_role_is_refused(folder, capsys, role):
    test_a_damaged_file_is_refused(
        folder, capsys, lambda content: content[:-1], "damaged", role)
    (folder / checkpoint.file_name(role, 6)).unlink()           # the remedy works
    assert command(capsys, f"{ALWAYS} --resume {folder}")[0] == 0


@pytest.mark.parametrize("change, said", [
    (lambda h, a: h.update(role="bob"), "is of bob after 6 batches"),
    (lambda h, a: h["point"].update(done=5), "is of alice after 5 batches"),
    (lambda h, a: h["point"].update(done="6"), "is of alice after 6 batches"),
    (lambda h, a: h["point"].pop("counter"), "malformed"),
    (lambda h, a: h["point"].update(more=1), "malformed"),
    (lambda h, a: h["point"].update(counter="7"), "malformed"),
    (lambda h, a: h["point"].update(losses=-1), "malformed"),
    (lambda h, a: h["point"].update(opened=[["train", 0, 0, "a"]]), "malformed"),
    (lambda h, a: h["point"].update(opened=[["train", 0, 0.5, "a", 1]]), "malformed"),
    (lambda h, a: h.update(role="b\nb"), "malformed"),
    (lambda h, a: h["parameters"].update(lr="1\n2"), "malformed"),
    (lambda h, a: h.pop("arrays"), "malformed"),
    (lambda h, a: h.update(parameters=[1]), "malformed"),
    (lambda h, a: h["parameters"].update(code="0" * 16), "was written with code 000"),
    (lambda h, a: h["parameters"].update(lr="0.5"), "was written with lr 0.5, not"),
    (lambda h, a: h["point"].update(counter=7), "no checkpoint of one run is there"),
    (lambda h, a: h["point"].update(session="7"), "no checkpoint of one run is there"),
    (lambda h, a: h["point"]["opened"].pop(), "no checkpoint of one run is there"),
    (lambda h, a: h.update(data="7"), "alice had other data"),
    (lambda h, a: h["arrays"].pop("fc1.bias"), "bytes came where"),
    (lambda h, a: h["arrays"].update({"fc1.bias": -8}), "bytes came where"),
    (lambda h, a: a[:-8], "bytes came where")])
def test_a_file_that_was_tampered_with_is_refused(folder, capsys, change, said):
    """Also one with the right checksum."""
    (folder / "alice-00000005.checkpoint").unlink()
    rewritten(folder / "alice-00000006.checkpoint", change)
    assert said in refused(capsys, f"{ALWAYS} --resume {folder}")


def test_json_that_is_damaged_under_a_right_checksum_is_refused(folder, capsys):
    path = folder / "bob-00000006.checkpoint"
    for body in (b"", b"\xff\n", b"{\n", b"[]\n", b"7\n\n", b"[" * 10**5 + b"\n"):
        checkpoint.write_whole(path, body)
        assert f"{path}: malformed; delete it" in refused(
            capsys, f"{ALWAYS} --resume {folder}")


def test_a_file_larger_than_any_checkpoint_is_refused_unread(folder, capsys):
    path = folder / "bob-00000006.checkpoint"
    with path.open("r+b") as file:
        file.truncate(10**9)                # takes no room on a disk
    assert "not a checkpoint of this version" in refused(
        capsys, f"{ALWAYS} --resume {folder}")


def test_shares_outside_the_ring_are_refused(tmp_path, capsys):
    how = f"{ALWAYS} --every 6 --ring-bits 44"
    run(f"{how} --checkpoint {tmp_path}/run")
    path = tmp_path / "run" / "bob-00000006.checkpoint"
    rewritten(path, lambda header, arrays: arrays[:-1] + b"\xff")
    assert "not elements of Z_2^44" in refused(capsys, f"{how} --resume {tmp_path}/run")


@pytest.mark.parametrize("also, said", [
    ("--lr 0.03", "was written with lr 0.02, not 0.03"),
    ("--epochs 3", "epochs 2, not 3"), ("--stream", "stream false, not true"),
    ("--seed 2", "seed 1, not 2"), ("--comparison carry-tree", "comparison null, not"),
    ("--batch-size 5", "batch_size 4, not 5"), ("--log-interval 2", "log_interval 1"),
    ("--checked", "checked false, not true"), ("--train-items 11", "train_items 10")])
def test_other_options_are_refused(written, capsys, also, said):
    err = refused(capsys, f"{ALWAYS} --resume {written} {also}")
    assert said in err and "resume with the options and the version of that run" in err


def test_places_and_the_schedule_may_change(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MNIST_DIR", str(data.load.EMBEDDED))
    assert command(capsys, f"{SMALL} --every 2 --resume {folder} --ledger "
                   f"--save {tmp_path}/model.npz")[0] == 0


def test_another_version_of_the_code_is_refused(written, capsys, monkeypatch):
    versions = handshake.versions()
    monkeypatch.setattr(handshake, "versions", lambda: versions | {"code": "f" * 16})
    err = refused(capsys, f"{ALWAYS} --resume {written}")
    assert re.search("was written with code .*, not .f{16}.; resume with", err)


@pytest.mark.parametrize("role", role_names(2))
def test_a_role_without_a_checkpoint_is_named(folder, capsys, role):
    for path in folder.glob(f"{role}-*"):
        path.unlink()
    assert refused(capsys, f"{ALWAYS} --resume {folder}") == (
        f"--resume {folder}: has no checkpoint of {role}; name the folder that was "
        "given to --checkpoint")


def test_with_reproducible_masks_other_data_are_refused(
        written, tmp_path, capsys, monkeypatch):
    """The masks of the first data would hide others, and show the difference."""
    load = data.load_mnist

    def other(split, n, data_dir):
        images, labels = map(np.copy, load(split, n, data_dir))
        if split == "test":
            images[4, 0, 0] += 1        # bob's
        return images, labels

    monkeypatch.setattr(data, "load_mnist", other)
    err = refused(capsys, f"{ALWAYS} --resume {written}")
    assert "bob-00000005.checkpoint: bob had other data" in err


def test_without_reproducible_no_file_has_a_digest_of_data(tmp_path):
    """It would confirm a guess of them."""
    how = ALWAYS.replace("--reproducible", "")
    run(f"{how} --every 6 --checkpoint {tmp_path}/run")
    headers = [checkpoint.read_whole(path)[0] for path in (tmp_path / "run").iterdir()]
    assert [header["data"] for header in headers] == [None] * 4
    assert [header["point"]["opened"] for header in headers] == [[]] * 4


@pytest.mark.parametrize("text, said", [
    ("--checkpoint {used}", "--checkpoint {used}: has checkpoints of an earlier run; "
     "go on with --resume, or name another folder"),
    ("--checkpoint {file}", "--checkpoint {file}: Not a directory; name another"),
    ("--checkpoint {file}/in", "--checkpoint {file}/in: Not a directory; name another"),
    ("--resume {file}", "--resume {file}: Not a directory; name another folder"),
    ("--resume {nowhere}", "--resume {nowhere}: has no checkpoint of server; name the "
     "folder that was given to --checkpoint"),
    ("--resume {used} --checkpoint {nowhere}", "give one of them"),
    ("--every 3", "--every has no effect without --checkpoint or --resume"),
    ("--checkpoint {nowhere} --every 0", "--every: 0 is out of range"),
    ("--checkpoint=", "--checkpoint: the name is empty"),
    ("--resume=", "--resume: the name is empty")])
def test_a_bad_option_is_refused_in_one_line(written, tmp_path, capsys, text, said):
    (tmp_path / "file").write_text("")
    places = {"used": written, "file": tmp_path / "file", "nowhere": tmp_path / "new"}
    said, text = (t.format(**places) for t in (said, text))
    assert said in refused(capsys, f"{SMALL} {text}")


@pytest.mark.parametrize("arithmetic", ["float", "fixed"])
@pytest.mark.parametrize("option", ["checkpoint", "resume"])
def test_without_shares_there_are_no_checkpoints(tmp_path, capsys, arithmetic, option):
    text = f"--arithmetic {arithmetic} --{option} {tmp_path}/run"
    assert refused(capsys, text) == (
        f"--{option}: a checkpoint holds shares, and --arithmetic {arithmetic} shares "
        "nothing; leave one of them out")
    assert not (tmp_path / "run").exists()


def test_a_write_that_fails_leaves_the_earlier_checkpoints_whole(
        tmp_path, capsys, monkeypatch):
    calls, fsync = [], os.fsync

    def full(file):
        calls.append(file)
        if len(calls) > 12:
            raise OSError(28, "No space left on device")
        fsync(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        status, out, err = command(capsys, f"{ALWAYS} --checkpoint {tmp_path}/run")
    assert status == 2 and err == (f"train_mnist: checkpoint {tmp_path}/run: No space "
                                   "left on device; make room there, and resume\n")
    assert not list((tmp_path / "run").glob("*.part"))
    assert_same(run(f"{ALWAYS} --resume {tmp_path}/run")[0], run(SMALL)[0])


def test_the_rest_of_a_write_that_was_cut_off_is_ignored(folder, capsys):
    half = folder / ".bob-00000006.checkpoint.part"
    half.write_bytes(b"half")
    (folder / "bob-00000006.checkpoint").unlink()
    assert command(capsys, f"{ALWAYS} --resume {folder}")[0] == 0
    assert not half.exists() and (folder / "bob-00000006.checkpoint").exists()


# ------------------------------------------------------------------ Ctrl-C


def interrupting(monkeypatch, times, batch=2):
    """Send this process Ctrl-C in the middle of a batch."""
    step, calls = training.train_batch, []

    def interrupted(*args):
        calls.append(args)
        loss = step(*args)
        for _ in range(times if len(calls) == batch else 0):
            signal.raise_signal(signal.SIGINT)
        return loss

    monkeypatch.setattr(training, "train_batch", interrupted)
    return calls


def test_ctrl_c_writes_a_checkpoint_after_the_batch_and_says_how_to_go_on(
        tmp_path, capsys, monkeypatch):
    place, handler = tmp_path / "run", signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        calls = interrupting(patch, 1)
        status, out, err = command(capsys, f"{SMALL} --checkpoint {place}")
    assert (status, len(calls)) == (130, 2) and out.count("Train Epoch") == 2
    assert err == (f"train_mnist: interrupted after 2 batches; --resume {place} with "
                   "the same options goes on from here\n")
    assert signal.getsignal(signal.SIGINT) is handler
    assert_same(run(f"{SMALL} --resume {place}")[0], run(SMALL)[0])


def test_a_second_ctrl_c_ends_the_run_at_once(tmp_path, capsys, monkeypatch):
    interrupting(monkeypatch, 2)
    status, _, err = command(capsys, f"{SMALL} --checkpoint {tmp_path}/run")
    assert (status, err) == (130, "train_mnist: interrupted\n")
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("how", ["", "--comparison carry-tree --stream"])
def test_each_role_alone_resumes_from_its_own_files(tmp_path, how):
    """In threads, with a folder for each role; bob died before his last write."""
    def program(option):
        def train(world):
            place = tmp_path / world.here[0]
            chosen = options(f"{ALWAYS} {how} {option} {place}")
            return train_mnist.train(chosen, lambda line: None, world)
        return train

    chosen = options(how)
    settings = {"seed": 1, "comparison": chosen.comparison or "securenn",
                "ring_bits": chosen.ring_bits}
    run_threads(program("--checkpoint"), **settings)
    for role in role_names(2):
        names = {path.name for path in (tmp_path / role).iterdir()}
        assert names == {checkpoint.file_name(role, done) for done in (5, 6)}
    (tmp_path / "bob" / "bob-00000006.checkpoint").unlink()
    told = run_threads(program("--resume"), **settings)
    assert_same(told["server"], run(f"{SMALL} {how}")[0])
    assert np.isnan(told["alice"].losses).all() and len(told["alice"].losses) == 6


def test_an_interrupt_of_one_role_stops_all_at_the_same_batch(tmp_path):
    """In threads: bob alone is interrupted."""
    chosen = options(f"{SMALL} --checkpoint {tmp_path}/run")

    def program(world):
        batches = {"train": [()] * 3, "test": []}
        checkpoints = checkpoint.Checkpoints(chosen, world)
        checkpoints.restore(train_mnist.Shared(chosen, world).model(train_mnist.Net(
            np.random.default_rng(1))), batches)
        for batch in (1, 2, 3):
            checkpoints.interrupted = batch == 2 and world.has("bob")
            try:
                checkpoints.after_batch(1, batch, [], [])
            except KeyboardInterrupt as error:
                return batch, str(error)
        return None

    told = run_threads(program, seed=1, comparison="securenn")
    assert len(told) == 4 and set(told.values()) == {
        (2, f"interrupted after 2 batches; --resume {tmp_path}/run with the same "
         "options goes on from here")}
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(
        checkpoint.file_name(role, 2) for role in role_names(2))


# ------------------------------------------------------------------ openings


def test_only_an_open_secret_has_a_mask(folder):
    """The mask is named by the label and the step of its draw."""
    chosen = options(SMALL)
    world = world_of(chosen)
    batches = train_mnist.private_batches(
        train_mnist.Shared(chosen, world), "train", chosen)
    x = batches[0][0].value
    assert mask_of(x) is None and mask_of(x.T) is None
    opening = world.counter + 1
    checkpoint.repeat_opening(x, "matmul/a", opening)
    mask = mask_of(x)
    assert (mask.label, mask.counter) == ("matmul/a", opening)
    assert mask_of(x.T) is mask and world.counter == opening + 1


def test_the_schedule_is_no_parameter_of_the_result():
    chosen = options(f"{SMALL} --checkpoint somewhere --every 7")
    assert set(common_options(chosen)) - set(checkpoint.parameters_of(chosen)) == set(
        checkpoint.SCHEDULE)
