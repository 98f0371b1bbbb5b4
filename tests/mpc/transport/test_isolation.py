"""No role's objects reach another role's values, and sizes do not depend on data."""

import functools
import gc
import hashlib
import queue
import types

import numpy as np
import pytest
from helpers import rows_of

import data
import mpc
import nn
from mpc import Share, World, beaver, public, run_threads
from mpc.audit.replay import RecordedWorld
from mpc.train_mnist import Net
from mpc.transport.threads import Queues
from mpc.world import make_keys

pytestmark = pytest.mark.view
GLOBAL = (types.ModuleType, type, types.FrameType, types.CodeType)
PARTS = ("__closure__", "__defaults__", "__kwdefaults__", "__dict__", "__self__",
         "__func__")


class SmallNet(nn.Module):
    def __init__(self, rng=None):
        self.first, self.last = nn.Linear(12, 8, rng), nn.Linear(8, 4, rng)

    def forward(self, x):
        return self.last(self.first(x).relu())


def pictures(seed, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=(5, 12))


def labels(seed):
    return np.eye(4)[np.random.default_rng(seed).integers(0, 4, 5)]


def weights(seed):
    return SmallNet(np.random.default_rng(seed))


def one_step(world, seed=0, scale=1.0):
    """A step of gradient descent; returns all values that the program holds at its end.

    Pictures, labels and initial weights are made by the `load` of their owner.
    """
    alice, bob = world.workers
    parties = {"crypto_provider": world.crypto_provider}
    images = world.private_input(alice, (5, 12), lambda: pictures(seed, scale))
    classes = world.private_input(bob, (5, 4), lambda: labels(seed))
    x = mpc.fix_precision(images).share(alice, bob, **parties)
    t = mpc.fix_precision(classes).share(alice, bob, **parties)

    model, own = SmallNet(), []
    for name, parameter in model.named_parameters():
        def load(name=name):
            return scale * dict(weights(seed).named_parameters())[name].value
        own.append(world.private_input(world.server, parameter.shape, load))
        parameter.value = mpc.fix_precision(own[-1]).share(alice, bob, **parties)
    before = {f"old {name}": p.value for name, p in model.named_parameters()}
    optimiser = nn.SGD(model.parameters(), 0.02)
    loss = nn.mse_loss(model(nn.Tensor(x)), nn.Tensor(t))
    loss.backward()
    optimiser.step()
    return {"x": x, "t": t, "graph": loss, "model": model, "images": images, "own": own,
            "loss": loss.value, "revealed": loss.value.get(), **before,
            **{name: p.value for name, p in model.named_parameters()}}


def reachable(root):
    """All objects that references from `root` reach, except modules and classes.

    From a function: its closure, defaults and attributes, and the object of a method,
    but not its globals, which belong to the program that all roles run. From a share:
    also the notes of `beaver` and `public`, its opening and its quotients.
    """
    seen, stack = {}, [root]
    while stack:
        thing = stack.pop()
        if id(thing) in seen or isinstance(thing, GLOBAL):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, Share):
            stack.extend([beaver._opened[thing], public._quotients[thing]])
        if isinstance(thing, np.ndarray):
            stack.extend([thing.base, *(thing.flat if thing.dtype == object else ())])
        if isinstance(thing, types.GeneratorType) and thing.gi_frame is not None:
            stack.append(dict(thing.gi_frame.f_locals))
        if callable(thing) and hasattr(thing, "__name__"):
            stack.extend(getattr(thing, part, None) for part in PARTS)
        else:
            stack.extend(gc.get_referents(thing))
    return list(seen.values())


def memory(root):
    """The bytes of every array and byte string that references from `root` reach."""
    found = set()
    for thing in reachable(root):
        if isinstance(thing, np.ndarray) and thing.dtype != object:
            found |= {thing.tobytes(), thing.T.tobytes()}
        elif isinstance(thing, (bytes, bytearray, memoryview)):
            found.add(bytes(thing))
        elif (isinstance(thing, (list, tuple)) and thing
              and isinstance(thing[0], (int, float))):
            found |= {number_bytes(thing, kind) for kind in (np.uint64, np.float64)}
    return found


def number_bytes(numbers, kind):
    """The bytes of a list of Python numbers as an array, or none if it is not one."""
    try:
        return np.array(numbers, kind).tobytes()
    except (OverflowError, TypeError, ValueError):
        return b""


def found_in(found, array):
    """Do any of these bytes contain the first four elements of a row or column?"""
    array = np.asarray(array)
    assert array.size >= 4
    pieces = {order.ravel()[:4].tobytes() for order in (array, array.T)}
    return any(piece in own for piece in pieces for own in found)


@pytest.fixture(scope="module")
def roles():
    """{role: (its World, the values of its program)} after a step in four threads."""
    return run_threads(lambda world: (world, one_step(world)), seed=None)


@pytest.fixture(scope="module")
def memories(roles):
    return {role: memory(held) for role, held in roles.items()}


def test_a_role_reaches_no_other_roles_world(roles):
    for role, held in roles.items():
        worlds = [thing for thing in reachable(held) if isinstance(thing, World)]
        assert worlds == [held[0]] and held[0].here == (role,)


def test_a_role_reaches_its_own_keys_and_no_others(roles):
    keys = {group: world._keys[group] for world, _ in roles.values()
            for group in world._keys}
    assert len(keys) == 8
    for role, held in roles.items():
        reached = {thing for thing in reachable(held) if isinstance(thing, bytes)}
        for group, key in keys.items():
            assert (key in reached) == (role in group), (role, group)


SHARES = ("x", "first.weight", "last.weight", "old first.weight", "old last.weight",
          "last.bias")
OPENED = ("x", "old last.weight")       # operands of products, which open them


def test_a_role_reaches_no_share_of_another_worker(roles, memories):
    for owner in ("alice", "bob"):
        for name in SHARES:
            share, = rows_of(roles[owner][1][name])
            for role, found in memories.items():
                assert found_in(found, share) == (role == owner), (role, name)


def test_a_role_reaches_no_plaintext_but_its_own(roles, memories):
    images, model = pictures(0), dict(weights(0).named_parameters())
    plain = [("alice", images)]
    plain += [("server", model[name].value) for name in model if "weight" in name]
    for owner, numbers in plain:
        encoded = mpc.fix_precision(numbers).value.rows[0]
        for role, found in memories.items():
            assert found_in(found, numbers) == (role == owner), (role, owner)
            assert not found_in(found, encoded), (role, owner)  # dropped after sharing
    for role, (_, held) in roles.items():
        assert len(rows_of(held["revealed"])) == (role == "server")


def test_masks_stay_with_the_provider_and_openings_with_the_workers(roles, memories):
    for name in OPENED:
        opened = {role: beaver._opened[held[name].value]
                  for role, (_, held) in roles.items()}
        assert all(len(form.terms) == 1 for form in opened.values())
        masks = [part[0] for part in opened["crypto_provider"].parts]
        assert all(len(part) == 0 for role, form in opened.items()
                   if role != "crypto_provider" for part in form.parts)
        epsilon, = opened["alice"].constant
        np.testing.assert_array_equal(epsilon, opened["bob"].constant[0])
        for worker, mask in zip(("alice", "bob"), masks, strict=True):
            np.testing.assert_array_equal(opened[worker].terms[0].share.rows[0], mask)
        for array, owners in ((masks[0], {"alice", "crypto_provider"}),
                              (masks[1], {"bob", "crypto_provider"}),
                              (sum(masks), {"crypto_provider"}),
                              (epsilon, {"alice", "bob"})):
            for role, found in memories.items():
                assert found_in(found, array) == (role in owners), role


def test_two_roles_reach_no_common_object_that_can_be_written_to(roles):
    """Except the queue of a pair and the empty list of failures."""
    kinds = (np.ndarray, bytearray, dict, list, set, World, Queues)
    owners, everything = {}, {role: reachable(held) for role, held in roles.items()}
    for role, (world, _) in roles.items():
        assert world._link._failures == []
        queues = world._link._queues.values()
        common = [world._link._failures, *gc.get_referents(*queues)]
        for thing in everything[role]:
            if isinstance(thing, kinds) and not any(thing is c for c in common):
                assert owners.setdefault(id(thing), role) == role, (role, type(thing))
    assert len(owners) > 100


def test_a_role_reaches_the_queues_that_it_uses_and_no_others(roles):
    pairs = Queues(tuple(roles))._queues
    for role, held in roles.items():
        links = [thing for thing in reachable(held) if isinstance(thing, Queues)]
        assert links == [held[0]._link] and len(links[0]._queues) == 6
        assert set(links[0]._queues) == {pair for pair in pairs if role in pair}
        queues = {id(q) for q in reachable(held) if isinstance(q, queue.SimpleQueue)}
        assert queues == {id(q) for q in links[0]._queues.values()}
        for other, other_held in roles.items():
            shared = queues & {id(q) for q in other_held[0]._link._queues.values()}
            assert len(shared) == (6 if other == role else 2)


NAMES = ("server", "alice", "bob", "crypto_provider")


def test_an_endpoint_neither_sends_nor_receives_the_messages_of_others():
    queues = Queues(NAMES, timeout=0.01)
    queues.endpoint("bob").put("bob", "crypto_provider", (1, "d"), b"row")
    alice = queues.endpoint("alice")
    with pytest.raises(KeyError):
        alice.get("bob", "crypto_provider", (1, "d"))
    with pytest.raises(KeyError):
        alice.put("bob", "crypto_provider", (1, "d"), b"row")
    provider = queues.endpoint("crypto_provider")
    assert provider.get("bob", "crypto_provider", (1, "d")) == b"row"


# ------------------------------------------------------------------ leaks are found


class Keeper:
    def __init__(self, row):
        self.row = row

    def method(self):
        return self.row


def in_a_generator(row):
    yield row
    yield row


def default(row):
    def function(hidden=row):
        return hidden
    return function


def by_name_only(row):
    def function(*, hidden=row):
        return hidden
    return function


def attribute(row):
    def function():
        return None
    function.hidden = row
    return function


def started(row):
    generator = in_a_generator(row)
    next(generator)
    return generator


HIDINGS = {
    "list": lambda row: [row], "view": lambda row: np.stack([row, row])[1:, :2],
    "part of a larger array": lambda row: np.concatenate([0 * row, row, row]),
    "transposed": lambda row: np.ascontiguousarray(row.T),
    "bytes": lambda row: b"x" + row.tobytes(),
    "Python numbers": lambda row: row.ravel().tolist(),
    "closure": lambda row: lambda: row, "default": default,
    "keyword default": by_name_only, "attribute of a function": attribute,
    "bound method": lambda row: Keeper(row).method,
    "builtin's object": lambda row: [row].append,
    "partial": lambda row: functools.partial(len, row), "generator": started,
    "object array": lambda row: np.array([None, row], dtype=object),
    "exception": lambda row: ValueError(row),
    "default of a lambda": lambda row: lambda r=row: r,
    "queue": lambda row: queued(row),
}


def queued(row):
    waiting = queue.SimpleQueue()
    waiting.put(row)
    return waiting


@pytest.mark.parametrize("hide", HIDINGS.values(), ids=HIDINGS)
def test_the_walk_would_find_a_share_that_leaked(roles, memories, hide):
    """Put bob's share where alice can reach it."""
    row, = rows_of(roles["bob"][1]["x"])
    assert not found_in(memories["alice"], row)
    assert found_in(memory((*roles["alice"], {"leak": hide(row)})), row)


def test_plaintext_outside_private_input_would_be_found():
    """A program that makes pictures in every role and keeps them in a closure."""
    def careless(world):
        images = pictures(0)
        held = world.private_input("alice", (5, 12), lambda: images)
        return world, held, lambda: images

    found = run_threads(careless, seed=None)
    assert all(found_in(memory(things), pictures(0)) for things in found.values())


def test_the_server_receives_revealed_values_and_the_provider_securenns_messages(roles):
    world, _ = roles["server"]
    to = {role: {(m.path.split("/")[-1], m.name)
                 for m in world.ledger.messages if m.dst == role}
          for role in world.roles}
    assert to["server"] == {("", "revealed")}
    assert to["crypto_provider"] == {("share_convert", "a_tilde"),
                                     ("private_compare", "d")}
    assert {name for _, name in to["alice"]} == {"epsilon", "delta", "r"}


def tape(seed, scale=1.0):
    """All parcels of a recorded step with one set of keys and these data."""
    world = RecordedWorld(seed=1, truncation="local")
    one_step(world, seed, scale)
    return world.ledger.messages, world.tape


def sizes(parcels):
    return [(p.src, p.dst, p.header, len(p.payload)) for p in parcels]


def test_messages_of_different_data_differ_only_in_their_payloads():
    """Pictures, labels and weights of other seeds, 1000 times larger, or all zero."""
    messages, parcels = tape(0)
    assert [(p.src, p.dst, p.header[0], len(p.payload)) for p in parcels] == [
        (m.src, m.dst, m.counter, m.nbytes) for m in messages]
    for seed, scale in ((1, 1.0), (2, 1000.0), (3, 0.0)):
        other_messages, other = tape(seed, scale)
        assert messages == other_messages
        assert sizes(parcels) == sizes(other)
        pairs = zip(parcels, other, strict=True)
        assert sum(p.payload != q.payload for p, q in pairs) > len(parcels) / 2


def test_a_payload_whose_length_depends_on_the_data_would_be_found():
    """A link that omits zero bytes."""
    saved = [[p._replace(payload=p.payload.replace(b"\0", b"")) for p in tape(seed)[1]]
             for seed in (0, 1)]
    assert sizes(saved[0]) != sizes(saved[1])


def test_each_ordered_pair_has_a_queue_and_each_group_a_key():
    queues, keys = Queues(NAMES), make_keys(NAMES)
    assert set(queues._queues) == {(a, b) for a in NAMES for b in NAMES if a != b}
    assert len(set(keys.values())) == len(keys) == 8


# ------------------------------------------------------------------ golden transcripts

# A change of a protocol, or of the name of a step or coin, changes these hashes.
GOLDEN = {
    "provider": "5011cbbef29a1148296191a81708201827eafe7f079fd6dbf800b669c287ed40",
    "local": "a6a96407445f0671e6b31bc39cd9ef362e6511eb6605a2afaa5ed0b8cdcb235e",
    "carry-tree": "ef831fbdbea1f452be772316088d66cca1eb11a266213f428fbea649c086b67f"}


PROTOCOLS = {"provider": {}, "local": {"truncation": "local"},
             "carry-tree": {"comparison": "carry-tree"}}


@pytest.mark.parametrize("protocols", GOLDEN)
def test_the_messages_of_one_real_training_batch_have_not_changed(protocols):
    assert transcript(protocols) == GOLDEN[protocols]


def transcript(protocols):
    """The hash of every message of a batch: 64 pictures, 784-128-64-10, seeded keys."""
    world = RecordedWorld(seed=1, **PROTOCOLS[protocols])
    alice, bob = world.workers
    images, labels = data.load_mnist("train", 64)
    parties = {"crypto_provider": world.crypto_provider}
    images, classes = data.normalise(images), data.one_hot(labels)
    x = mpc.fix_precision(images).share(alice, bob, owner=alice, **parties)
    t = mpc.fix_precision(classes).share(alice, bob, owner=bob, **parties)
    model = Net(np.random.default_rng(1)).map(mpc.fix_precision)
    model = model.share(alice, bob, **parties)
    optimiser = nn.SGD(model.parameters(), 0.02)
    loss = nn.mse_loss(model(nn.Tensor(x)), nn.Tensor(t))
    loss.backward()
    optimiser.step()
    model.get()
    digest = hashlib.sha256()
    for parcel in world.tape:
        digest.update(repr(parcel[:3]).encode() + parcel.payload)
    return digest.hexdigest()
