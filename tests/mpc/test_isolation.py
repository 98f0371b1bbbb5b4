"""No role's objects reach what another role holds, and sizes do not depend on data."""

import gc
import hashlib
import types

import numpy as np
import pytest

import data
import mpc
import nn
from helpers import rows_of
from mpc import World, run_threads
from mpc.link import Queues
from mpc.train_mnist import Net
from mpc.world import make_keys

pytestmark = pytest.mark.view
SMALL = (12, 8, 4)
SKIP = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType, type,
        types.FrameType, types.CodeType)


class SmallNet(nn.Module):
    def __init__(self, rng=None):
        self.first, self.last = nn.Linear(12, 8, rng), nn.Linear(8, 4, rng)

    def forward(self, x):
        return self.last(self.first(x).relu())


def one_step(world, seed=0, model=None):
    """A step of descent; returns all that the program holds at its end."""
    rng = np.random.default_rng(seed)
    alice, bob = world.workers
    images, labels = rng.normal(size=(5, 12)), np.eye(4)[rng.integers(0, 4, 5)]

    def share(owner, array):
        held = world.held(owner, array.shape, lambda: array)
        return mpc.fix_precision(held).share(alice, bob, crypto_provider=world.crypto_provider)

    x, t = share(alice, images), share(bob, labels)
    model = SmallNet(np.random.default_rng(seed)) if model is None else model
    model = model.map(mpc.fix_precision).share(alice, bob, crypto_provider=world.crypto_provider)
    optimiser = nn.SGD(model.parameters(), 0.02)
    loss = nn.mse_loss(model(nn.Tensor(x)), nn.Tensor(t))
    loss.backward()
    optimiser.step()
    return {"x": x, "loss": loss.value, "revealed": loss.value.get(),
            **{name: p.value for name, p in model.named_parameters()}}


def reachable(root):
    """Every object that can be reached from `root` by references, less code and modules."""
    seen, stack = {}, [root]
    while stack:
        thing = stack.pop()
        if id(thing) in seen or isinstance(thing, SKIP):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, np.ndarray) and thing.base is not None:
            stack.append(thing.base)
        stack.extend(gc.get_referents(thing))
    return list(seen.values())


@pytest.fixture(scope="module")
def roles():
    """{role: (its World, what its program holds)} after a step in four threads."""
    return run_threads(lambda world: (world, one_step(world)), seed=None)


def test_a_role_reaches_no_other_roles_world(roles):
    for role, held in roles.items():
        worlds = [thing for thing in reachable(held) if isinstance(thing, World)]
        assert worlds == [held[0]] and held[0].here == (role,)


def test_a_role_reaches_its_own_keys_and_no_others(roles):
    keys = {names: key for world, _ in roles.values() for names, key in world._keys.items()}
    assert len(keys) == 5
    for role, held in roles.items():
        reached = {thing for thing in reachable(held) if isinstance(thing, bytes)}
        for names, key in keys.items():
            assert (key in reached) == (role in names), (role, names)


def test_a_role_reaches_no_row_of_another_worker_and_nothing_of_what_is_hidden(roles):
    rows = {role: {name: rows_of(value) for name, value in held.items()} for role, (_, held) in roles.items()}
    for role, held in roles.items():
        arrays = {thing.tobytes() for thing in reachable(held)
                  if isinstance(thing, np.ndarray) and thing.size > 3}
        for other in {"alice", "bob"} - {role}:
            for name in ("x", "first.weight", "last.weight", "last.bias"):
                assert rows[other][name].shape[0] == 1
                assert rows[other][name].tobytes() not in arrays, (role, other, name)


def test_the_walk_would_find_a_row_that_leaked(roles):
    """The teeth: put a row of bob's where alice can reach it."""
    row = rows_of(roles["bob"][1]["x"])
    held = (*roles["alice"], {"leak": [row[0]]})
    assert row.tobytes() in {t.tobytes() for t in reachable(held) if isinstance(t, np.ndarray)}


def test_the_server_receives_what_is_revealed_and_the_provider_what_securenn_lists(roles):
    world, _ = roles["server"]
    to = {role: {(m.path.split("/")[-1], m.name) for m in world.ledger.messages if m.dst == role}
          for role in world.roles}
    assert to["server"] == {("", "revealed")}
    assert to["crypto_provider"] == {("share_convert", "a~"), ("private_compare", "d")}
    assert {name for _, name in to["alice"]} == {"epsilon", "delta", "r"}


def test_messages_of_different_data_differ_in_nothing_but_their_payload():
    ledgers = []
    for seed in (0, 1):
        world = World(seed=seed)
        one_step(world, seed)
        ledgers.append(world.ledger.messages)
    assert ledgers[0] == ledgers[1]


def test_queues_are_empty_at_the_end():
    names = ("server", "alice", "bob", "crypto_provider")
    queues, keys = Queues(names), make_keys(names)
    assert set(queues._queues) == {(a, b) for a in names for b in names if a != b}
    assert len(set(keys.values())) == len(keys) == 5


# ---- golden transcript: a change of protocol changes this constant, on purpose


GOLDEN = "acbf42969cc8f894a4425766d8e15481116a4340f310853a1ce320d1b869f9e1"


def test_the_messages_of_one_real_training_batch_are_what_they_were():
    """784-128-64-10, the first 64 pictures, keys from a seed: every byte of every message."""
    world = World(seed="golden", record=True)
    alice, bob = world.workers
    images, labels = data.load_mnist("train", 64)
    parties = dict(crypto_provider=world.crypto_provider)
    x = mpc.fix_precision(data.normalise(images)).share(alice, bob, owner=alice, **parties)
    t = mpc.fix_precision(data.one_hot(labels)).share(alice, bob, owner=bob, **parties)
    model = Net(np.random.default_rng(1)).map(mpc.fix_precision).share(alice, bob, **parties)
    optimiser = nn.SGD(model.parameters(), 0.02)
    loss = nn.mse_loss(model(nn.Tensor(x)), nn.Tensor(t))
    loss.backward()
    optimiser.step()
    model.get()
    digest = hashlib.sha256()
    for parcel in world.tape:
        digest.update(repr(parcel[:3]).encode() + parcel.payload)
    assert digest.hexdigest() == GOLDEN
