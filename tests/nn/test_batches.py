"""Batches of rows, for arrays and for secrets."""

import numpy as np
import pytest

import mpc
import nn


def test_batches_have_all_rows_in_order_and_the_last_may_be_smaller():
    x, y = np.arange(14).reshape(7, 2), np.arange(7)
    found = nn.batches(3, x, y)
    assert [len(b) for _, b in found] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([a for a, _ in found]), x)
    np.testing.assert_array_equal(np.concatenate([b for _, b in found]), y)


def test_batches_of_a_secret_are_opened_once_for_all_epochs():
    world = mpc.World(seed=1)
    x, w = world.secret(np.eye(4), "alice"), world.secret(np.ones((4, 1)), "bob")
    batches, online = nn.batches(2, x), []
    for _ in range(2):
        mark = len(world.ledger.messages)
        products = [rows @ w for rows, in batches]
        online.append([m.name for m in world.ledger.messages[mark:] if not m.offline])
        np.testing.assert_array_equal(products[1].reveal(), np.ones((2, 1)))
    assert set(online[0]) == {"epsilon", "delta"} and not online[1]


@pytest.mark.parametrize("arguments, remedy", [
    ((2,), "arrays of \\[\\] rows; pass one"), ((0, [1]), "not a positive integer"),
    ((True, [1]), "not a positive integer"), ((1.5, [1]), "not a positive integer"),
    (([1], 2), "not a positive integer; pass one, then the arrays"),
    ((2, [1, 2], [1]), "arrays of \\[2, 1\\] rows; pass one or more of equally")])
def test_wrong_batches_are_refused(arguments, remedy):
    with pytest.raises(ValueError, match=remedy):
        nn.batches(*arguments)
