"""Views at full size: for other secrets of an outsider there is the same view.

The argument of docs/SECURITY.md ("One opening, several protocols"), carried out for
whole programs over Z_2^64. One run has a coalition of all workers but one, and the
secrets x. In another run the secrets are y, and the outsider's coins are replaced until
the coalition hears the same, bit for bit: the share of its mask in each message of the
outsider, and its share of each number whose rest the last worker gets. All other coins
stay. Each coin is replaced once, for one message, so the coins of both runs correspond
one to one: the coalition's view is as likely with x as with y. A coin that served twice
would have to meet two messages.
"""

from typing import NamedTuple

import numpy as np
import pytest

import nn
from mpc import World
from mpc.ring import Ring
from mpc.world import group

pytestmark = pytest.mark.view
P2, SERVER = "crypto_provider", "server"
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

    def __init__(self, workers, outsider, coins):
        super().__init__(workers, seed=1, comparison="carry-tree")
        self.outsider, self.steered = outsider, coins
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
                       if src in (self.outsider, P2, SERVER) and dst != src
                       and dst in self._workers and dst != self.outsider]
        return received


def coin_of(world, message):
    """(number of a draw, key) of the outsider's coin in this message; None if none."""
    names, masks, key = [message.name], {message.name}, {world.outsider, message.src}
    if message.src == world.outsider:       # masks are dealt in the order of messages
        names = [m.name for m in world.heard if m[:4] == message[:4]]
        masks, key = {MASKS.get(name, "a") for name in names}, {world.outsider, P2}
    labels = {f"{message.path}/{mask}".lstrip("/") for mask in masks}
    found = [(i, group(*key)) for i, (label, coins) in enumerate(
        world.draws[:message.draws]) if label in labels and group(*key) in coins
        and coins[group(*key)].dtype == message.rows.dtype][-len(names):]
    return found[names.index(message.name)] if len(found) == len(names) else None


def explained(program, x, y, workers=2, outsider="alice"):
    """So many coins make the coalition's view with x one with y; False if none do."""
    first, coins, done = Steered(workers, outsider, {}), {}, set()
    program(first, x)
    while True:
        world = Steered(workers, outsider, coins)
        program(world, y)
        assert [m[:5] for m in world.heard] == [m[:5] for m in first.heard]
        other = [k for k, (now, due) in enumerate(zip(world.heard, first.heard,
                                                      strict=True))
                 if not np.array_equal(now.rows, due.rows)]
        if not other:
            return len(coins)
        for k in other:                     # those of one round, or of one sharing
            now, due = world.heard[k], first.heard[k]
            if now.draws != world.heard[other[0]].draws:
                break
            coin = coin_of(world, now)
            if coin is None or (now.dst, coin) in done:
                return False
            done.add((now.dst, coin))
            number, key = coin
            rest = now.ring.sub(now.rows, due.rows)     # of a secret less its mask
            coins[coin] = now.ring.add(world.draws[number][1][key], rest)


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
    assert explained(program, X, Y, workers, outsider) > 3


# ---- teeth


class Reusing(Steered):
    """The second mask `a` of a product is the first one."""

    def _draw(self, groups, ring, shape, name):
        rows = super()._draw(groups, ring, shape, name)
        masks = [coins for label, coins in self.draws if label == "multiply/a"]
        return [masks[0].get(key, row) for key, row in zip(groups, rows, strict=True)
                ] if masks and self.ledger.label(name) == "multiply/a" else rows


class Constant(Steered):
    """The random shares of c are 0, so the last worker gets all of it."""

    def _draw(self, groups, ring, shape, name):
        rows = super()._draw(groups, ring, shape, name)
        return [row * 0 for row in rows] if name == "c" else rows


@pytest.mark.parametrize("kind", [Reusing, Constant])
def test_a_coin_that_is_weak_or_serves_twice_cannot_be_explained(kind, monkeypatch):
    def squares(world, x):
        x, y = map(world.secret, x, [SERVER] * 2)
        return x * x, y * y

    assert explained(squares, X, Y)
    monkeypatch.setitem(globals(), "Steered", kind)
    assert not explained(squares, X, Y)
