"""Attacks on results: each computes what its paper says, and its measure can fail."""

import numpy as np
import pytest
from scipy import stats

import nn
from mpc.audit import results
from mpc.audit.results import (
    epsilon_bound,
    epsilon_of_counts,
    halves,
    in_turn,
    lira,
    match,
    measure,
    read_labels,
    read_pictures,
    shadows,
    trap,
)

SIZES = (12, 8, 6, 3)


def data_of(n, rng):
    return rng.normal(size=(n, SIZES[0])), np.eye(3)[rng.integers(0, 3, n)]


def initial(rng, n_models=1):
    return [(rng.normal(size=(n_models, m, n)) / 3, rng.normal(size=(n_models, n)) / 3)
            for m, n in zip(SIZES, SIZES[1:], strict=False)]


@pytest.mark.parametrize("n_models", [1, 6])
def test_a_shadow_is_the_network_that_nn_trains(n_models):
    """To the last bits, with a batch that is not full, alike or unlike at the start."""
    rng = np.random.default_rng(0)
    (x, t), start, members = data_of(20, rng), initial(rng, n_models), halves(6, 20)
    found = shadows(x, t, members, start, epochs=3, batch_size=4, lr=0.1)
    for i, own in enumerate(members):
        layers = [nn.Linear(m, n) for m, n in zip(SIZES, SIZES[1:], strict=False)]
        for layer, (weight, bias) in zip(layers, start, strict=True):
            layer.weight.value = weight[i % n_models]
            layer.bias.value = bias[i % n_models]
        net = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
        optimiser = nn.SGD(net.parameters(), 0.1)
        mine = np.flatnonzero(own)
        for first in [0, 4, 8] * 3:
            items = mine[first:first + 4]
            optimiser.zero_grad()
            nn.mse_loss(net(nn.Tensor(x[items])), nn.Tensor(t[items])).backward()
            optimiser.step()
        due = ((net(nn.Tensor(x)).value - t)**2).sum(1)
        np.testing.assert_allclose(found[i], due, rtol=1e-9)


def test_every_item_is_in_half_of_the_models():
    members = halves(10, 40)
    assert np.all(members.sum(0) == 5) and np.all(members.sum(1) == 20)
    np.testing.assert_array_equal(members[::2], ~members[1::2])
    assert not np.array_equal(halves(10, 40, seed=1), members)


def test_random_scores_find_nobody():
    """The measure is .5, and the bound on epsilon is 0."""
    rng, members = np.random.default_rng(0), halves(20, 1000)
    scores = rng.normal(size=members.shape)
    found = measure(scores, members)
    assert abs(found.auc - 0.5) < 0.02 and 0.005 < found.tpr < 0.015
    assert epsilon_bound(scores, members) == 0
    losses = np.exp(rng.normal(size=members.shape))
    assert abs(measure(in_turn(losses, members, 18), members).auc - 0.5) < 0.02
    assert epsilon_bound(in_turn(losses, members, 18), members) == 0


def test_the_measure_is_that_of_ranks():
    rng = np.random.default_rng(0)
    members = rng.random(400) < 0.3
    scores = np.round(rng.normal(size=400) + members, 1)       # with ties
    found = measure(scores, members)
    u = stats.mannwhitneyu(scores[members], scores[~members]).statistic
    assert found.auc == pytest.approx(u / (members.sum() * (~members).sum()))
    fpr, tpr = found.roc
    assert fpr[0] == tpr[0] == 0 and fpr[-1] == tpr[-1] == 1
    assert np.all(np.diff(fpr) >= 0) and np.all(np.diff(tpr) >= 0)
    top = scores > np.sort(scores[~members])[-3]        # 2 of 280 others: below 1 %
    assert (~members).sum() >= 200 and found.tpr >= top[members].mean()


@pytest.mark.parametrize("scores, auc, tpr", [
    ([4, 3, 2, 1], 1, 1), ([1, 2, 3, 4], 0, 0), ([1, 1, 1, 1], 0.5, 0)])
def test_perfect_and_useless_attacks(scores, auc, tpr):
    found = measure(np.array(scores), np.array([True, True, False, False]))
    assert (found.auc, found.tpr) == (auc, tpr)


def test_lira_is_the_ratio_of_two_normal_densities():
    losses = np.exp([[-1.0], [-2.0], [1.0], [3.0]])
    members = np.array([[True], [True], [False], [False]])
    score, = lira(np.exp([-1.5]), losses, members)
    normal = stats.norm.logpdf
    due = normal(1.5, 1.5, 0.5**0.5) - normal(1.5, -2, 2**0.5)
    assert score == pytest.approx(due, abs=0.02)        # `LEAST` widens both
    assert score > 0 > lira(np.exp([2.0]), losses, members)[0]


def test_a_target_is_not_its_own_shadow():
    """A model that has its item by heart tells nothing about others."""
    members = halves(8, 100)
    losses = np.exp(np.random.default_rng(0).normal(size=members.shape))
    alone = in_turn(losses, members, 6)
    losses[0] = np.where(members[0], 1e-5, 9)
    changed = in_turn(losses, members, 6)
    assert np.array_equal(changed[1], alone[1])         # the complement: no shadow
    assert measure(changed[0], members[0]).auc > 0.5
    assert not np.array_equal(changed[2], alone[2])


# ------------------------------------------------------------------ epsilon


@pytest.mark.parametrize("hits, members, alarms, others", [
    (100, 100, 0, 100), (60, 100, 20, 100), (900, 1000, 990, 1000), (0, 50, 0, 50)])
def test_the_bound_is_that_of_clopper_and_pearson(hits, members, alarms, others):
    def limits(k, n):       # two-sided at 90 % is one-sided at 95 %
        found = stats.binomtest(k, n).proportion_ci(0.9, "exact")
        return found.low, found.high

    (tpr, _), (_, fpr) = limits(hits, members), limits(alarms, others)
    with np.errstate(divide="ignore"):
        due = np.log([max((tpr - 1e-5) / fpr, 1), max((1 - fpr - 1e-5) / (1 - tpr), 1)])
    found = epsilon_of_counts(hits, members, alarms, others, confidence=0.9)
    assert found == pytest.approx(due.max())


def test_the_bound_on_epsilon_covers_as_often_as_stated():
    """Randomised response with epsilon 1: at 90 %, at most 10 % of bounds are above 1.

    And with many trials a bound comes close.
    """
    rng, above = np.random.default_rng(0), 0
    truth = np.e / (1 + np.e)
    for _ in range(200):
        members = rng.random(400) < 0.5
        answers = np.where(rng.random(400) < truth, members, ~members)
        above += epsilon_bound(answers * 1.0, members, 0, confidence=0.9) > 1
    assert above <= 30
    members = rng.random(100_000) < 0.5
    answers = np.where(rng.random(100_000) < truth, members, ~members)
    assert 0.9 < epsilon_bound(answers * 1.0, members, 0) < 1


# ------------------------------------------------------------------ labels, pictures


def test_a_loss_tells_the_one_label_that_is_missing():
    rng = np.random.default_rng(0)
    (x, t), start = data_of(16, rng), [(w[0], b[0]) for w, b in initial(rng)]
    shown = results.losses(start, x, t).mean()
    np.testing.assert_array_equal(read_labels(shown, start, x, t), t.argmax(1))
    wrong = read_labels(shown + 1, start, x, t)
    assert np.mean(wrong == t.argmax(1)) < 0.9


def test_a_unit_that_one_picture_reached_shows_it():
    rng = np.random.default_rng(0)
    x, other = rng.normal(size=(2, 30))
    weight, bias = rng.normal(size=(30, 4)), rng.normal(size=4)
    step = np.array([0.1, 0, -0.2, 0])          # two units have not moved
    after = weight - np.outer(x, step), bias - step
    found = read_pictures((weight, bias), after)
    np.testing.assert_allclose(found, [x, x])
    which, alike = match(found, np.stack([other, x, -x]))
    assert which.tolist() == [1, 1] and np.all(alike > 0.999)
    assert all(len(part) == 0 for part in match(found[:0], x[None]))


def test_a_trap_fires_for_few_items():
    public, fresh = np.random.default_rng(0).normal(size=(2, 2000, 12))
    (weight, bias), *further = trap(public, SIZES, rare=0.01)
    assert [w.shape for w, _ in further] == [(8, 6), (6, 3)]
    fires = (fresh @ weight + bias > 0).mean(0)
    assert np.all((0.002 < fires) & (fires < 0.03))


@pytest.mark.parametrize("call, told", [
    (lambda: halves(3, 10), "halves: 3 models, 10 items"),
    (lambda: halves(4, 9), "take even numbers"),
    (lambda: shadows(np.zeros((4, 2)), np.zeros((4, 1)), np.tri(4, dtype=bool), []),
     "shadows: the models have [1, 2, 3, 4] items"),
    (lambda: in_turn(np.ones((6, 4)), halves(6, 4), 6), "take an even number from 4"),
    (lambda: in_turn(np.ones((6, 4)), halves(6, 4), 3), "in_turn: 3 shadows of 6"),
    (lambda: lira(np.ones(2), np.ones((3, 2)), np.tri(3, 2, dtype=bool)),
     "lira: an item is in (or out of) fewer than 2 shadows"),
    (lambda: measure([1, 2], [True, True]), "both members and others"),
    (lambda: measure([1, 2], [True]), "2 scores and 1 items")])
def test_other_inputs_are_refused_in_one_line(call, told):
    with pytest.raises(ValueError) as caught:
        call()
    assert told in str(caught.value) and "\n" not in str(caught.value)
