"""Views at full size: for other secrets of an outsider there is the same view.

The argument of docs/SECURITY.md ("One opening, several protocols"), carried out for
whole programs over Z_2^64. One run has a coalition and the secrets x. In another run
the secrets are y, and coins that the coalition does not hold are replaced until it
hears the same, bit for bit. Each coin is replaced once, and the coins of both runs
correspond one to one: so the coalition's view is as likely with x as with y.

*All workers but one.* The outsider's share of a mask follows from its message, and its
share of a number that the provider shares from what the last worker gets. All other
coins stay. A coin that served twice would have to meet two messages.

*The provider, in SecureNN.* The workers' common coins follow from the two messages to
the provider: r_0 and r_1 from the masked shares, and in a comparison beta from whether
there is a 0, the rotation from its place, s from the other values, z from the shares.
"""

from typing import NamedTuple

import numpy as np
import pytest

import nn
from mpc import World, securenn
from mpc.ring import Ring
from mpc.world import group

pytestmark = pytest.mark.view
P2, SERVER, WORKERS = "crypto_provider", "server", ("alice", "bob", "worker3")
MASKS = {"delta": "b", "m": "b"}        # message: mask; that of others is a


class Message(NamedTuple):
    draws: int          # so many came before it
    src: str
    dst: str
    path: str
    name: str
    ring: Ring
    rows: np.ndarray


class Steered(World):
    """A simulation that keeps its draws, and all that a coalition hears from others.

    `coins` are {(number of a draw, key): rows} in place of drawn ones.
    """

    def __init__(self, workers, coalition, coins, comparison):
        super().__init__(workers, seed=1, comparison=comparison)
        self.coalition, self.steered = coalition, coins
        self.draws, self.heard = [], []

    def _draw(self, groups, ring, shape, name):
        drawn = super()._draw(groups, ring, shape, name)
        rows = {key: self.steered.get((len(self.draws), key), row)
                for key, row in zip(groups, drawn, strict=True)}
        self.draws.append((self.ledger.label(name), rows))
        return [*rows.values()]

    def _exchange(self, messages):
        received = super()._exchange(messages)
        self.heard += [Message(len(self.draws), src, dst, self.ledger.path, name, ring,
                               received[src, dst, name])
                       for src, dst, name, ring, _ in messages
                       if dst in self.coalition and src not in self.coalition]
        return received

    def drawn(self, message, names, key, path=None):
        """The (number, key) of draws with these names before a message, in order."""
        path = message.path if path is None else path
        labels = {f"{path}/{name}".lstrip("/") for name in names}
        return [(i, key) for i, (label, coins) in enumerate(
            self.draws[:message.draws]) if label in labels and key in coins]

    def coin(self, place):
        number, key = place
        return self.draws[number][1][key]


def explained(program, x, y, workers, coalition, comparison="carry-tree"):
    """So many coins make the coalition's view with x one with y; 0 if none do."""
    first, coins = Steered(workers, coalition, {}, comparison), {}
    program(first, x)
    while True:
        world = Steered(workers, coalition, coins, comparison)
        program(world, y)
        assert [m[:5] for m in world.heard] == [m[:5] for m in first.heard]
        other = [(now, due) for now, due in zip(world.heard, first.heard, strict=True)
                 if not np.array_equal(now.rows, due.rows)]
        if not other:
            return len(coins)
        found = (for_provider if P2 in coalition else for_workers)(world, first, other)
        if not found or coins.keys() & found.keys():
            return 0
        coins |= found


def for_workers(world, first, other):
    """Coins of the outsider with which the first of the `other` messages is as due."""
    outsider, = {*world._workers} - {*world.coalition}
    start, found = other[0][0].draws, {}
    for now, due in other:
        if now.draws > start:               # those of one round, or of one sharing
            break
        names, masks, key = [now.name], {now.name}, group(outsider, now.src)
        if now.src == outsider:             # masks are dealt in the order of messages
            names = [m.name for m in world.heard if m[:4] == now[:4]]
            masks, key = {MASKS.get(name, "a") for name in names}, group(outsider, P2)
        places = [p for p in world.drawn(now, masks, key)
                  if world.coin(p).dtype == now.rows.dtype][-len(names):]
        if len(places) < len(names):
            return {}
        place = places[names.index(now.name)]
        rest = now.ring.sub(now.rows, due.rows)     # of a secret less its mask
        found[place] = now.ring.add(world.coin(place), rest)
    return found


def for_provider(world, first, other):
    """Coins of both workers with which the first two `other` messages are as due."""
    message, key = other[0][0], group(*WORKERS[:2])
    ring, p = message.ring, message.ring.modulus
    mine, due = ([m.rows for m in w.heard if m.draws == message.draws]      # a round
                 for w in (world, first))
    if message.name == "a_tilde":
        places = world.drawn(message, ("r_0", "r_1"), key)[-2:]
        return {place: ring.add(world.coin(place), ring.sub(theirs, now))
                for place, now, theirs in zip(places, mine, due, strict=True)}
    outer = message.path.rpartition("/")[0]
    places = [world.drawn(message, names, key, outer)[-1]
              for names in (("beta", "eta_2"), ("s",), ("z",), ("turn",))]
    beta, s, z, turn = map(world.coin, places)
    now, then = (ring.add(*rows) for rows in (mine, due))
    differ = (now == 0).any(axis=1) ^ (then == 0).any(axis=1)
    if differ.any():
        return {places[0]: beta ^ differ}
    l, inverse = s.shape[1], np.array([0, *(pow(i, -1, p) for i in range(1, p))])

    def back(rows, turn):
        return securenn.rotate(rows, (l - turn) % l).astype(int)

    c, hers = (back(now, turn) * inverse[s] % p,
               (back(mine[0], turn) - z) * inverse[s] % p)
    place = np.argmax(then == 0, axis=1) - np.argmax(c == 0, axis=1)
    turn = (np.where((now == 0).any(axis=1), place, turn) % l).astype(np.uint8)
    s = np.where(c == 0, s, back(then, turn) * inverse[c] % p)
    z = (back(due[0], turn) - s * hers) % p
    return {place: coin.astype(np.uint8)
            for place, coin in zip(places[1:], (s, z, turn), strict=True)}


# ---- programs of x, two arrays (4, 3)


def quotient(world, x):
    x, y = map(world.secret, x, [SERVER] * 2)
    return (x / y) * x


def order(world, x):
    return np.sort(world.secret(x[0], SERVER), axis=0)


def choice(world, x):
    x, y = map(world.secret, x, [SERVER] * 2)
    return np.where(x > y, x, y) * np.where(x > 0, y, x)


def moved(world, x):
    """Sums, repeated and joined elements, and views, of a secret that is open."""
    x, y = map(world.secret, x, [SERVER] * 2)
    square, total = x * x, np.cumsum(x, axis=0)
    often, joined = x[[0, 0, 1, 3]], np.concatenate([x, y, x])
    fresh = x.refresh()
    return (total * x, np.cumsum(square, 0) * total, often * often, often * x,
            x[::-1] * x, x[[3, 2, 1, 0]] @ x.T, joined * joined, joined[:4] @ x.T,
            fresh * fresh, (fresh - x) * x, (x / 7) * (x / 3), (x.T > 0) * x.T)


def second_order(world, x):
    """The gradient of a gradient's square."""
    layer = nn.Linear(3, 2, np.random.default_rng(0)).map(
        lambda p: world.secret(p, SERVER))
    once = nn.Tensor(world.secret(x[0], SERVER), requires_grad=True)
    layer(once).square().sum().backward()
    again = nn.Tensor(once.grad * once.grad, requires_grad=True)
    (layer(again) * layer(again)).sum().backward()
    return again.grad * once.grad


def training(world, x):
    """Two steps with dropout, momentum and weight decay."""
    rng = np.random.default_rng(0)
    layer, dropout = nn.Linear(3, 2, rng), nn.Dropout(0.5, rng)
    layer = layer.map(lambda p: world.secret(p, SERVER))
    sgd = nn.SGD(layer.parameters(), 0.1, 0.9, 0.01, nesterov=True)
    x, y = map(world.secret, x, [SERVER] * 2)
    for _ in range(2):
        sgd.zero_grad()
        z = layer(dropout(nn.Tensor(x)))
        nn.mse_loss(z, nn.Tensor(y[:, :2])).backward()
        sgd.step()


X, Y = np.random.default_rng(1).normal(size=(2, 2, 4, 3))


@pytest.mark.parametrize("program, workers, outsider", [
    (quotient, 2, "alice"), (order, 2, "alice"), (choice, 2, "bob"), (moved, 3, "bob"),
    (second_order, 2, "alice"), (training, 2, "alice"), (training, 3, "worker3")])
def test_a_program_shows_a_coalition_nothing_of_an_outsiders_secrets(
        program, workers, outsider):
    coalition = {*WORKERS[:workers]} - {outsider}
    assert explained(program, X, Y, workers, coalition) > 3


@pytest.mark.parametrize("program", [order, choice])
def test_a_program_with_securenn_shows_the_provider_nothing(program):
    assert explained(program, X, Y, 2, {P2}, "securenn") > 10


# ---- teeth


class Reusing(Steered):
    """The second mask `a` of a product is the first one."""

    def _draw(self, groups, ring, shape, name):
        rows = super()._draw(groups, ring, shape, name)
        masks = [coins for label, coins in self.draws if label == "multiply/a"]
        return [masks[0].get(key, row) for key, row in zip(groups, rows, strict=True)
                ] if masks and self.ledger.label(name) == "multiply/a" else rows


class Constant(Steered):
    """The random shares of c are 0, so the last worker gets all of it; and so is z."""

    def _draw(self, groups, ring, shape, name):
        rows = super()._draw(groups, ring, shape, name)
        return [row * 0 for row in rows] if name in ("c", "z") else rows


def squares(world, x):
    x, y = map(world.secret, x, [SERVER] * 2)
    return x * x, y * y


@pytest.mark.parametrize("kind, program, coalition, comparison", [
    (Reusing, squares, {"bob"}, "carry-tree"),
    (Constant, squares, {"bob"}, "carry-tree"), (Constant, choice, {P2}, "securenn")])
def test_a_coin_that_is_weak_or_serves_twice_cannot_be_explained(
        kind, program, coalition, comparison, monkeypatch):
    assert explained(program, X, Y, 2, coalition, comparison)
    monkeypatch.setitem(globals(), "Steered", kind)
    assert not explained(program, X, Y, 2, coalition, comparison)
