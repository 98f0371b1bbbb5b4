"""Checkpoints: the resumed run is the same run, and each role's file is its own."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from training_runs import SMALL, options

from mpc import train_mnist
from mpc.audit.replay import RecordedWorld
from mpc.train_mnist import checkpoint

ALWAYS = f"{SMALL} --every 1"       # six batches, three in each epoch
KINDS = ["", "--comparison carry-tree", "--workers 3", "--truncation local", "--stream",
         "--stream --truncation local --log-interval 2", "--ring-bits 44",
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
    for (name, left), (_, right) in zip(parameters(one), parameters(other), strict=True):
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
    for done in (2, 3, 5) if how else range(1, 7):
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


def test_every_coin_of_a_resumed_run_meets_the_value_that_it_met_before(
        folder, monkeypatch):
    """All draws of both processes: who drew which coins at which step."""
    drawn = []
    draw = RecordedWorld._draw

    def noting(self, groups, ring, shape, name):
        rows = draw(self, groups, ring, shape, name)
        drawn[-1][self.counter, self.ledger.label(name)] = [r.tobytes() for r in rows]
        return rows

    monkeypatch.setattr(RecordedWorld, "_draw", noting)
    drawn.append({})
    run(SMALL)
    drawn.append({})
    run(f"{ALWAYS} --resume {folder}")
    first, second = drawn
    assert second.keys() <= first.keys() and len(second) > 20
    assert all(first[place] == coins for place, coins in second.items())
