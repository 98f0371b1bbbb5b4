"""Attacks on results: they attack the function that a run computes, not the protocol.

Secure computation hides everything but the results. These attacks read the results: a
trained model, a loss. They work just as well on a model that one trusted party trained
in the clear, and no protocol prevents them; differential privacy does.

Only arrays go in: `mpc.course.labs` runs the attacks on the tutorial's training.

Sources: loss threshold, Yeom et al., CSF 2018; LiRA and curves on log axes, Carlini et
al., S&P 2022; a bound on epsilon, Jagielski et al., NeurIPS 2020, and Nasr et al., S&P
2021; weights that trap single inputs, Boenisch et al., EuroS&P 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import stats

Layers = list[tuple[np.ndarray, np.ndarray]]       # (weight, bias) of each layer
STACK = 4           # models that are trained at once: their weights fit into a cache
TINY = 1e-6         # keeps the logarithm of a loss finite
LEAST = 1e-3        # deviation of a log loss


# ------------------------------------------------------------------ shadow models


def halves(n_models: int, n_items: int, seed: int = 0) -> np.ndarray:
    """Which items each model is trained on: booleans (n_models, n_items).

    Models 2i and 2i + 1 divide all items between them, at random, so every item is in
    exactly half of the models. Both numbers are even.
    """
    if n_models % 2 or n_items % 2:
        raise ValueError(f"halves: {n_models} models, {n_items} items; both are halved,"
                         " so take even numbers")
    rng, members = np.random.default_rng(seed), np.zeros((n_models, n_items), bool)
    for row in members[::2]:
        row[rng.permutation(n_items)[:n_items // 2]] = True
    members[1::2] = ~members[::2]
    return members


def shadows(pictures: np.ndarray, labels: np.ndarray, members: np.ndarray,
            initial: Layers, epochs: int = 10, batch_size: int = 64,
            lr: float = 0.02) -> np.ndarray:
    """Losses (models, items) of networks, each trained on its `members` alone.

    All are trained at once, as stacked matrix products in the dtype of the `pictures`.
    Model i passes over its items in file order, by the squared error of one-hot
    `labels`. Each array of `initial` is (models or 1, ...): with 1, all start alike.
    """
    counts = set(np.count_nonzero(members, axis=1))
    if len(counts) != 1:
        raise ValueError(f"shadows: the models have {sorted(map(int, counts))} items; "
                         "give each the same number")
    n, found = len(members), []
    each = [[np.broadcast_to(p, (n, *p.shape[1:])) for p in (weight, bias[:, None])]
            for weight, bias in initial]
    for first in range(0, n, STACK):
        part = slice(first, first + STACK)
        layers = [tuple(p[part].astype(pictures.dtype) for p in pair) for pair in each]
        own = np.stack([np.flatnonzero(row) for row in members[part]])
        for i in [*range(0, own.shape[1], batch_size)] * epochs:
            items = own[:, i:i + batch_size]
            _descend(layers, pictures[items], labels[items], lr)
        found += [losses([(w[i], b[i, 0]) for w, b in layers], pictures, labels)
                  for i in range(len(own))]
    return np.stack(found)


def _descend(layers, x, t, lr):
    """One step of gradient descent of every model on its batch, in place."""
    *values, output = _values(layers, x)
    rate = output.dtype.type(2 * lr / x.shape[-2])
    gradient = rate * (output - t)
    for (weight, bias), a in zip(reversed(layers), reversed(values), strict=True):
        change = a.swapaxes(-1, -2) @ gradient
        bias -= gradient.sum(-2, keepdims=True)
        if a is not x:
            gradient = (gradient @ weight.swapaxes(-1, -2)) * (a > 0)
        weight -= change


def _values(layers, x):
    """The input of each layer, and the output."""
    values = [x]
    for i, (weight, bias) in enumerate(layers):
        if i:
            values[i] = np.maximum(values[i], 0)
        values.append(values[i] @ weight + bias)
    return values


def losses(layers: Layers, pictures: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The squared error of each item under one network with ReLUs between layers."""
    return ((_values(layers, pictures)[-1] - labels)**2).sum(-1)


# ------------------------------------------------------------------ membership


def loss_threshold(losses: np.ndarray) -> np.ndarray:
    """Scores of items: a model has smaller losses on its members (Yeom et al.)."""
    return -losses


def lira(losses: np.ndarray, shadow_losses: np.ndarray,
         shadow_members: np.ndarray) -> np.ndarray:
    """Scores of items: is the loss like that of shadows with the item, or without it?

    The likelihood ratio of two normal distributions of the log loss (Carlini et al.).
    `losses` (items,) are the target's. Shadows (models, items) were trained alike; each
    item is in some of them and not in others. The score is a logarithm.
    """
    here, there = (-np.log(x + TINY) for x in (losses, shadow_losses))
    logs = []
    for group in (shadow_members, ~shadow_members):
        n = group.sum(0)
        if n.min() < 2:
            raise ValueError("lira: an item is in (or out of) fewer than 2 shadows; "
                             "take more models")
        mean = (there * group).sum(0) / n
        deviation = np.sqrt(((there - mean)**2 * group).sum(0) / (n - 1))
        logs.append(stats.norm.logpdf(here, mean, deviation + LEAST))
    return logs[0] - logs[1]


def in_turn(losses: np.ndarray, members: np.ndarray, n_shadows: int) -> np.ndarray:
    """LiRA's scores (models, items) with each of the models as the target in turn.

    `members` are `halves`. The shadows of a target are the next pairs of models. Its
    own complement is never among them: in the other models an item of the target would
    be rarer than others, which would tell the attack something.
    """
    n, scores = len(losses), []
    if n_shadows % 2 or not 4 <= n_shadows <= n - 2:
        raise ValueError(f"in_turn: {n_shadows} shadows of {n} models; take an even "
                         f"number from 4 to {n - 2}")
    for i in range(n):
        others = (i // 2 * 2 + 2 + np.arange(n_shadows)) % n
        scores.append(lira(losses[i], losses[others], members[others]))
    return np.stack(scores)


class Measured(NamedTuple):
    """The success of an attack."""

    auc: float              # the area under the curve: .5 for coin tosses
    tpr: float              # members found at a false-positive rate of 1 %
    epsilon: float          # a lower bound on the training's, see `epsilon_bound`
    roc: tuple              # (false-positive rates, true-positive rates), rising


def measure(scores: np.ndarray, members: np.ndarray) -> Measured:
    """The success of an attack that gives members higher `scores`, over any targets."""
    thresholds, hits, alarms = _counts(scores, members)
    tpr, fpr = (np.concatenate([[0], n / n[-1]]) for n in (hits, alarms))
    return Measured(float(np.trapezoid(tpr, fpr)), float(tpr[fpr <= 0.01].max()),
                    epsilon_bound(scores, members), (fpr, tpr))


def _counts(scores, members):
    """Members, and others, with a score of at least each threshold, from the top."""
    scores, members = np.ravel(scores), np.ravel(members).astype(bool)
    if scores.shape != members.shape or not 0 < members.sum() < len(members):
        raise ValueError(f"measure: {len(scores)} scores and {len(members)} items, "
                         f"{members.sum()} of them members; give each item its score, "
                         "and both members and others")
    order = np.argsort(-scores, kind="stable")
    scores, members = scores[order], members[order]
    last = np.append(scores[1:] != scores[:-1], True)       # equal scores count as one
    hits = np.cumsum(members)
    return scores[last], hits[last], (np.arange(1, len(hits) + 1) - hits)[last]


# ------------------------------------------------------------------ epsilon


def epsilon_bound(scores: np.ndarray, members: np.ndarray, delta: float = 1e-5,
                  confidence: float = 0.95) -> float:
    """A lower bound on epsilon: training with a smaller one defeats such an attack.

    The threshold is chosen on the first half of the trials and judged on the second
    half, which must not be sorted. The adjacency is that of the trials: in `halves`,
    another item replaces the missing one, for which the epsilon of removing an item
    counts twice. Trials should be independent; those of items of one model nearly are.
    Halves without members, or without others, bound nothing: 0.
    """
    scores, members = np.ravel(scores), np.ravel(members).astype(bool)
    half = len(scores) // 2
    if any(len(set(part)) < 2 for part in (members[:half], members[half:])):
        return 0.0
    thresholds, hits, alarms = _counts(scores[:half], members[:half])
    bounds = epsilon_of_counts(hits, hits[-1], alarms, alarms[-1], delta, confidence)
    told = scores[half:] >= thresholds[np.argmax(bounds)]
    right = members[half:]
    return float(epsilon_of_counts((told & right).sum(), right.sum(),
                                   (told & ~right).sum(), (~right).sum(), delta,
                                   confidence))


def epsilon_of_counts(hits, n_members, alarms, n_others, delta: float = 1e-5,
                      confidence: float = 0.95) -> np.ndarray:
    """The bound from `hits` of members and false `alarms` of others, at one threshold.

    (epsilon, delta) needs TPR <= e^epsilon FPR + delta, and the same with both
    complements. Clopper and Pearson's limits hold for both rates at once with this
    confidence.
    """
    hits, alarms = np.asarray(hits), np.asarray(alarms)
    tail = (1 - confidence) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        tpr = np.where(hits > 0, stats.beta.ppf(tail, hits, n_members - hits + 1), 0)
        fpr = np.where(alarms < n_others,
                       stats.beta.ppf(1 - tail, alarms + 1, n_others - alarms), 1)
        ratios = (tpr - delta) / fpr, (1 - fpr - delta) / (1 - tpr)
        return np.log(np.maximum(np.maximum(*ratios), 1))


# ------------------------------------------------------------------ a label


def read_labels(shown: float, layers: Layers, pictures: np.ndarray,
                labels: np.ndarray) -> np.ndarray:
    """Guess each one-hot label of a batch from its printed loss and all other labels.

    The weights `layers` before the batch are public, and so the attacker, who knows all
    `pictures`, computes the loss for each of the ten labels that an item could have.
    """
    outputs, n = _values(layers, pictures)[-1], len(labels)
    own = losses(layers, pictures, labels)
    each = ((outputs[:, None] - np.eye(labels.shape[1]))**2).sum(-1)
    candidates = (own.sum() - own[:, None] + each) / n
    return np.abs(candidates - shown).argmin(axis=1)


# ------------------------------------------------------------------ pictures


def trap(public: np.ndarray, sizes: Sequence[int] = (784, 128, 64, 10),
         rare: float = 1 / 400, further: float = 0.3, seed: int = 0) -> Layers:
    """Initial weights with which each unit of layer 1 fires for few items of training.

    By `public` pictures of the same kind, the biases are set so that a share `rare` of
    items reaches each unit. Later layers are positive, with weights of size `further`,
    so that every gradient comes back. A unit that meets one item only is changed by a
    multiple of this item.
    """
    rng, layers = np.random.default_rng(seed), []
    for m, n in pairwise(sizes):
        layers.append((further * np.abs(rng.standard_normal((m, n))), np.full(n, 0.1)))
    weight = rng.standard_normal(sizes[:2])
    weight /= np.linalg.norm(weight, axis=0)
    layers[0] = weight, -np.quantile(public @ weight, 1 - rare, axis=0)
    layers[-1] = further * rng.standard_normal(sizes[-2:]), np.zeros(sizes[-1])
    return layers


def read_pictures(before: tuple, after: tuple) -> np.ndarray:
    """Pictures (n, pixels) in the update of layer 1, one of each unit that has moved.

    The gradient of a unit's weights is the sum of its items' pictures, each times the
    gradient of its bias for the item. With one item, the quotient is the picture.
    """
    weight, bias = (new - old for new, old in zip(after, before, strict=True))
    moved = bias != 0
    return (weight[:, moved] / bias[moved]).T


def match(found: np.ndarray, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the most similar of the true `pictures`, its correlation) of each one `found`.
    """
    if not len(found):
        return np.zeros(0, int), np.zeros(0)
    one, other = (x - x.mean(1, keepdims=True) for x in (found, pictures))
    norms = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(other, axis=1)
    alike = one @ other.T / np.maximum(norms, TINY)
    return alike.argmax(axis=1), alike.max(axis=1)
