"""Normalised rows, one-hot rows and batches by owner: numbers and errors."""

import doctest

import numpy as np
import pytest

import data
import data.prepare


def test_normalise_matches_a_computation_by_hand():
    images = np.zeros((2, 28, 28), np.uint8)
    images[1, 0, 1], images[1, 27, 27] = 255, 51
    rows = data.normalise(images)
    assert rows.shape == (2, 784) and rows.dtype == np.float64
    np.testing.assert_allclose(rows[0], -0.1307 / 0.3081, atol=1e-8)
    np.testing.assert_allclose(rows[1, [1, 783]], [2.82148653, 0.22492697], atol=1e-8)


def test_normalise_does_not_change_its_input_and_accepts_no_items():
    images = np.full((1, 28, 28), 7, np.uint8)
    data.normalise(images)
    assert (images == 7).all()
    assert data.normalise(images[:0]).shape == (0, 784)


def test_normalised_training_pictures_have_mean_0_and_deviation_1():
    rows = data.normalise(data.load_mnist("train", data_dir=data.load.EMBEDDED)[0])
    assert abs(rows.mean()) < 0.01 and abs(rows.std() - 1) < 0.01


def test_one_hot_inverts_argmax():
    labels = np.array([3, 0, 9, 9], np.uint8)
    rows = data.one_hot(labels)
    assert rows.shape == (4, 10) and rows.dtype == np.float64
    assert (rows.sum(axis=1) == 1).all() and (rows.argmax(axis=1) == labels).all()
    assert data.one_hot([1, 0], classes=2).tolist() == [[0, 1], [1, 0]]


def test_batches_of_two_owners_have_two_parts_and_the_last_is_shorter():
    assert data.batches(10, 4, n_owners=2) == [
        [(0, slice(0, 4))],
        [(0, slice(4, 5)), (1, slice(5, 8))],
        [(1, slice(8, 10))]]


def test_the_default_training_batches_have_one_owner_each():
    parts = data.batches(640, 64, n_owners=2)
    assert [len(batch) for batch in parts] == [1] * 10
    assert [batch[0][0] for batch in parts] == [0] * 5 + [1] * 5


def test_batches_cover_each_item_once_in_order_with_its_owner():
    for n_items in range(1, 13):
        for n_owners in range(1, n_items + 1):
            owned = data.owner_slices(n_items, n_owners)
            sizes = [own.stop - own.start for own in owned]
            assert sum(sizes) == n_items and max(sizes) - min(sizes) <= 1
            for batch_size in range(1, 15):
                parts = data.batches(n_items, batch_size, n_owners)
                flat = [part for batch in parts for part in batch]
                items = [i for _, s in flat for i in range(s.start, s.stop)]
                assert items == list(range(n_items))
                for owner, s in flat:
                    assert owned[owner].start <= s.start < s.stop <= owned[owner].stop
                for batch in parts[:-1]:
                    assert sum(s.stop - s.start for _, s in batch) == batch_size


@pytest.mark.parametrize("call, error, remedy", [
    (lambda: data.normalise(np.zeros((2, 28, 28))), TypeError, "as load_mnist"),
    (lambda: data.normalise(np.zeros((28, 28), np.uint8)), ValueError,
     r"pass images\[i:i\+1\]"),
    (lambda: data.one_hot([1.0]), TypeError, "float64; pass integers"),
    (lambda: data.one_hot([[1]]), ValueError, "flatten them"),
    (lambda: data.one_hot([3, 10]), ValueError, r"position 1 is not in 0\.\.9"),
    (lambda: data.one_hot([-1]), ValueError, r"position 0 is not in 0\.\.9"),
    (lambda: data.one_hot([0], classes=0), ValueError, "classes=0 .* an integer of 1"),
    (lambda: data.batches(0, 64, 2), ValueError, "n_items=0 .* an integer of 1"),
    (lambda: data.batches(64, 0, 2), ValueError, "batch_size=0 .* an integer of 1"),
    (lambda: data.batches(64, 6.4, 2), ValueError, "batch_size=6.4 .* an integer of 1"),
    (lambda: data.batches(64, 64, -1), ValueError, "n_owners=-1 .* an integer of 1"),
    (lambda: data.batches(2, 64, 3), ValueError, "3 owners for 2 items .* at most 2"),
    (lambda: data.owner_slices("2", 1), ValueError, "n_items='2' .* an integer of 1"),
])
def test_errors_name_a_remedy(call, error, remedy):
    with pytest.raises(error, match=remedy):
        call()


def test_the_docstring_examples_run(monkeypatch):
    monkeypatch.delenv("MNIST_DIR", raising=False)
    for module in (data.load, data.prepare):
        result = doctest.testmod(module)
        assert result.attempted and not result.failed


def test_exported_names_are_the_public_ones():
    public = {name for name, value in vars(data).items()
              if not name.startswith("_") and type(value) is not type(data)}
    assert public == set(data.__all__)
