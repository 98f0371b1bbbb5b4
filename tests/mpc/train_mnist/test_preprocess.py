"""Dealing ahead: the same run bit for bit, and files that serve one run only."""

import json
import re
import stat

import numpy as np
import pytest
from mpi_runs import Started, in_processes, one_line
from mpi_runs import command as processes
from training_runs import SMALL, command, options, trained

from mpc import train_mnist
from mpc.train_mnist import preprocess
from mpc.world import group, role_names

TREE = f"{SMALL} --comparison carry-tree"
TINY = "--train-items 4 --batch-size 4 --test-items 3 --epochs 1 --reproducible"


def trained_ahead(text):
    """The `Run` after dealing into memory, and the line about it."""
    given, lines = options(f"{text} --preprocess"), []
    world = preprocess.prepared_world(given, lines.append)
    run = train_mnist.train(given, lambda line: None, world)
    world.finish()
    return run, *lines


def dealt(capsys, folder, text=TINY):
    """Deal into `folder`; the files that hold it."""
    status, out, err = command(capsys, f"{text} --workers 3 --deal {folder}")
    assert (status, err) == (0, "") and out.startswith("Dealt ahead: ")
    return {role: folder / f"{role}.dealt" for role in role_names(3)[:-1]}


def assert_same(run, other):
    for (name, ours), (_, theirs) in zip(run.model.named_parameters(),
                                         other.model.named_parameters(), strict=True):
        np.testing.assert_array_equal(ours.value, theirs.value, name)
    assert (run.losses, run.accuracies) == (other.losses, other.accuracies)
    ledgers = run.world.ledger, other.world.ledger
    assert len({ledger.messages.digest() for ledger in ledgers}) == 1
    assert ledgers[0].totals.nbytes == ledgers[1].totals.nbytes


@pytest.mark.parametrize("how", [
    "--comparison carry-tree --stream --epochs 2", "--security abort --seals 1",
    "--workers 3 --initial-weights provider --dp-noise 1 --dp-lesson"])
def test_a_run_dealt_ahead_has_the_same_bits_and_the_same_ledger(how):
    text = f"{TINY} {how}"
    plain, _ = trained(text)
    ahead, line = trained_ahead(text)
    assert_same(ahead, plain)
    assert not ahead.world.has("crypto_provider")
    sent = sum(n for (_, _, src, *_), n in plain.world.ledger.totals.nbytes.items()
               if src == "crypto_provider")
    assert line.startswith(f"Dealt ahead: {sent / 1e6:,.1f} MB in ")


def test_without_a_seed_every_run_has_other_masks():
    text = f"{TINY} --workers 3".replace(" --reproducible", "")
    kept = []
    for _ in range(2):
        world = preprocess.prepared_world(options(f"{text} --preprocess"), kept.append)
        kept.append(next(world._link.dealt["worker3"]).payload)
    assert bytes(kept[1]) != bytes(kept[3])


# ------------------------------------------------------------------ files


def test_files_give_the_same_model_and_serve_one_run(capsys, tmp_path):
    files = dealt(capsys, tmp_path / "d")
    for path in files.values():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    linked = files["bob"].rename(tmp_path / "bob's disk")
    files["bob"].symlink_to(linked)
    models = [tmp_path / name for name in ("a.npz", "b.npz")]
    ways = f"--preprocess {tmp_path}/d", ""
    for model, way in zip(models, ways, strict=True):
        status, _, err = command(capsys, f"{TINY} --workers 3 {way} --save {model}")
        assert (status, err) == (0, "")
    assert models[0].read_bytes() == models[1].read_bytes()
    assert not any(path.exists() for path in (*files.values(), linked))
    status, out, err = command(capsys, f"{TINY} --workers 3 --preprocess {tmp_path}/d")
    assert (status, out) == (2, "") and err == (
        f"train_mnist: --preprocess {tmp_path}/d: has no server.dealt, and a file "
        "serves one run; deal again, with --deal\n")


def test_a_file_holds_the_key_and_the_messages_of_one_role(capsys, tmp_path):
    files, kept = dealt(capsys, tmp_path / "d"), []
    given = options(f"{TINY} --workers 3")
    keys = preprocess._keys(given)
    preprocess.run_provider(given, keys, kept.append)
    for role, path in files.items():
        form, checksum, head, rest = path.read_bytes().split(b"\n", 3)
        key = keys.get(group(role, "crypto_provider"), b"")
        assert json.loads(head)["key"] == key.hex()
        assert (key == b"") == (role == "server")
        found = [other for other in keys.values()
                 if other in path.read_bytes() or other.hex().encode() in head]
        assert found == [key] * (key != b"")
        assert rest == b"".join(
            len(message).to_bytes(8, "little") + message
            for p in kept if p.dst == role
            for message in [preprocess.to_wire(p.header, p.payload)])


@pytest.mark.parametrize("more, said", [
    ("--epochs 2", "was written with epochs 1, not 2; train with the options and the"),
    ("--seed 3", "was written with seed 1, not 3; train with the options"),
    ("--ring-bits 44", "was written with ring_bits 48, not 44")])
def test_files_of_other_options_are_refused_and_kept(capsys, tmp_path, more, said):
    files = dealt(capsys, tmp_path / "d")
    before = {path: path.read_bytes() for path in files.values()}
    status, out, err = command(
        capsys, f"{TINY} --workers 3 --preprocess {tmp_path}/d {more}")
    assert (status, out) == (2, "") and said in err and err.count("\n") == 1
    assert {path: path.read_bytes() for path in files.values()} == before


def rewritten(path, change, of_rest=bytes):
    """Write the file again with another head or rest and the right checksum."""
    form, checksum, head, rest = path.read_bytes().split(b"\n", 3)
    body = json.dumps(change(json.loads(head))).encode() + b"\n" + of_rest(rest)
    digest = preprocess.sha256(body).hexdigest().encode()
    path.write_bytes(b"\n".join((form, digest, body)))


def test_damaged_renamed_and_mixed_files_are_refused_in_a_line(capsys, tmp_path):
    files, other = (dealt(capsys, tmp_path / name) for name in "de")
    worker3, whole = files["worker3"], files["worker3"].read_bytes()
    key = json.loads(whole.split(b"\n", 3)[2])["key"]
    flipped = whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]

    def refused(said):
        status, out, err = command(
            capsys, f"{TINY} --workers 3 --preprocess {tmp_path}/d")
        assert (status, out) == (2, "") and said in err and err.count("\n") == 1, err
        assert key not in err and all(path.exists() for path in files.values())

    for damaged in (whole[:-1], flipped, whole[:200], whole + b"x", b"",
                    whole.replace(b"dealt 1", b"dealt 2", 1)):
        worker3.write_bytes(damaged)
        refused(f"{worker3}: no file of --deal of this version; deal again"
                if damaged[:18] != whole[:18] else
                f"{worker3}: damaged, its checksum is wrong; deal again")
    for change, said in ((lambda head: {**head, "key": 5}, "malformed"),
                         (lambda head: {**head, "key": key[2:]}, "malformed"),
                         (lambda head: [head], "malformed"),
                         (lambda head: head | {"role": "bob"}, "is of bob; give it")):
        worker3.write_bytes(whole)
        rewritten(worker3, change)
        refused(f"{worker3}: {said}")
    worker3.write_bytes(files["bob"].read_bytes())
    refused(f"{worker3}: is of bob; give it back its name")
    worker3.write_bytes(other["worker3"].read_bytes())
    refused("--preprocess: the files of the roles were not dealt together; deal again")
    worker3.write_bytes(whole)
    rewritten(worker3, lambda head: head | {
        "parameters": head["parameters"] | {"code": '"other"'}})
    refused('was written with code "other", not')


def test_other_messages_under_the_right_checksum_end_in_a_line(capsys, tmp_path):
    files = dealt(capsys, tmp_path / "d")
    whole = {path: path.read_bytes() for path in files.values()}
    rest = whole[files["worker3"]].split(b"\n", 3)[3]
    first = rest[:8 + int.from_bytes(rest[:8], "little")]
    for other, said in (
            (rest[:-3], "worker3 received a malformed message from"),
            (first[:5], "worker3 received a malformed message of 0 bytes from"),
            (first, r"worker3 is at step \d+ .* step 0 \(the end of what is dealt"),
            (rest + first, "crypto_provider dealt worker3 more than the program took"),
            (b"\xff" * 8 + rest[8:], "worker3 received a malformed message from"),
            (bytes(1000), "worker3 received a malformed message of 0 bytes from")):
        for path, content in whole.items():
            path.write_bytes(content)
        rewritten(files["worker3"], dict, lambda _, other=other: other)
        status, _, err = command(
            capsys, f"{TINY} --workers 3 --preprocess {tmp_path}/d")
        assert status == 2 and err.count("\n") == 1
        assert re.match(rf"train_mnist: --preprocess {tmp_path}/d: a file is not as it "
                        rf"was dealt \({said}.*\); deal again, with --deal$", err), err


def test_dealing_through_a_link_needs_its_folder(capsys, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "bob.dealt").symlink_to(tmp_path / "disk" / "bobs")
    status, out, err = command(capsys, f"{TINY} --workers 3 --deal {tmp_path}/d")
    assert (status, out) == (2, "") and err == (
        f"train_mnist: --deal {tmp_path}/d: bob.dealt is a link into a folder that is "
        "not there; make it, or remove the link\n")
    (tmp_path / "disk").mkdir()
    dealt(capsys, tmp_path / "d")
    assert (tmp_path / "disk" / "bobs").exists()


def test_dealing_writes_all_files_or_none(capsys, tmp_path, monkeypatch):
    files = dealt(capsys, tmp_path / "d")
    text = f"{TINY} --workers 3 --deal"
    status, out, err = command(capsys, f"{text} {tmp_path}/d")
    assert (status, out) == (2, "") and "has files that no run has used" in err
    assert all(path.exists() for path in files.values())
    monkeypatch.setattr(preprocess.shutil, "disk_usage", lambda folder: Free)
    status, out, err = command(capsys, f"{text} {tmp_path}/full")
    assert (status, out) == (2, "") and re.search(r"\d MB are to be dealt, and 0", err)
    monkeypatch.undo()
    publish = preprocess.Draft.publish

    def failing(draft):
        if "bob" in draft.target:
            raise OSError(28, "No space left on device")
        publish(draft)
    monkeypatch.setattr(preprocess.Draft, "publish", failing)
    status, out, err = command(capsys, f"{text} {tmp_path}/new")
    assert (status, out) == (2, "") and err == (
        f"train_mnist: --deal {tmp_path}/new: No space left on device; name another "
        "folder\n")
    assert list((tmp_path / "new").iterdir()) == []


class Free:
    free = 0


# ------------------------------------------------------------------ processes


@in_processes
def test_processes_deal_ahead_into_memory_and_take_files(capsys, tmp_path):
    text, model = f"{TREE} --save", tmp_path / "m.npz"
    run, _ = trained(TREE)
    status, out, err = Started(processes(f"{text} {model} --preprocess", 4)).ends()
    assert (status, err) == (0, "") and out.startswith("Dealt ahead: 4.4 MB in ")
    files = f"--preprocess {tmp_path}/d"
    assert command(capsys, f"{TREE} --deal {tmp_path}/d")[0] == 0
    status, out, err = Started(processes(f"{TREE} {files} --seed 2", 4)).ends()
    assert (status, out) == (2, "")
    assert "with seed 1, not 2; train with" in one_line(err)
    with np.load(model) as saved:
        first = dict(saved)
    status, _, err = Started(processes(f"{text} {model} {files}", 4)).ends()
    assert (status, err) == (0, "") and list((tmp_path / "d").iterdir()) == []
    with np.load(model) as saved:
        for name, parameter in run.model.named_parameters():
            np.testing.assert_array_equal(saved[name], parameter.value, name)
            np.testing.assert_array_equal(first[name], parameter.value, name)
    status, out, err = Started(processes(f"{TREE} {files}", 4)).ends()
    assert (status, out) == (2, "")
    assert "dealt, and a file serves one run; deal again" in one_line(err)
