"""The World's verbs: their results, their prices, and the holder of each array."""

import contextlib
import copy
import multiprocessing
import os
import pickle
import threading
import time
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import common, everywhere, give, reconstruct, rows_of

import mpc
from mpc import (
    OutOfStep,
    PeerFailed,
    ProtocolError,
    RoleError,
    Share,
    World,
    multiply,
    relu,
    run_threads,
)
from mpc.audit.replay import RecordedWorld
from mpc.audit.tags import TaggedWorld
from mpc.ring import Bits, Z2k, Z2kMinus1, Zm, bits_of
from mpc.transport.link import Parcel, check
from mpc.transport.threads import Queues
from mpc.world import group, make_keys, role_names

every_size = pytest.mark.parametrize("n_workers", [2, 3, 5])
RINGS = [Z2k(64), Z2k(20), Z2kMinus1(8), Zm(67)]
every_ring = pytest.mark.parametrize("ring", RINGS, ids=str)
VALUES = np.array([[0, 1, 2], [66, 33, 5]])


def sent(world, since=0):
    """{(sender, receiver): bytes} of the messages `since`."""
    totals = {}
    for m in world.ledger.messages[since:]:
        totals[m.src, m.dst] = totals.get((m.src, m.dst), 0) + m.nbytes
    return totals


# ---- roles and their processes


def test_the_roles_of_a_world_have_names_and_an_order():
    world = World(3)
    assert world.roles == ("server", "alice", "bob", "worker3", "crypto_provider")
    assert [str(w) for w in world.workers] == ["alice", "bob", "worker3"]
    assert str(world.server) == "server"
    assert repr(world.crypto_provider) == "crypto_provider"
    assert world.workers[2].world is world
    assert world.has(world.server) and world.has("worker3")


@every_size
def test_party_index_numbers_the_workers_here_in_the_type_of_its_operand(n_workers):
    def column(world):
        rows = rows_of(give(world, VALUES % 7, Zm(7)))
        return {"j": Share(world, Zm(7), world.party_index(rows))}

    world, results = everywhere(column, n_workers)
    j = results["j"].rows
    assert (j.dtype, j.shape) == (np.uint8, (n_workers, 1, 1)) and j.kind == "share"
    assert rows_of(j).ravel().tolist() == list(range(n_workers))


# ---- share


@every_size
@every_ring
@pytest.mark.parametrize("owner", ["server", "crypto_provider"])
def test_sharing_costs_one_share_to_the_last_worker(n_workers, ring, owner):
    world, results = everywhere(
        lambda w: {"x": give(w, VALUES, ring, owner)}, n_workers)
    x = results["x"]
    assert reconstruct(x).tolist() == VALUES.tolist()
    assert rows_of(x).shape == (n_workers, 2, 3) and x.shape == (2, 3)
    assert x.rows.dtype == ring.dtype and x.rows.kind == "share"
    assert sent(world) == {(owner, str(world.workers[-1])): 6 * ring.width}
    assert world.ledger.cost().rounds == 1


@every_ring
@pytest.mark.parametrize("n_workers, owner", [
    (2, "alice"), (2, "bob"), (3, "alice"), (3, "worker3"), (5, "bob"), (5, "worker5")])
def test_a_worker_shares_without_a_message(n_workers, owner, ring):
    world, results = everywhere(
        lambda w: {"x": give(w, VALUES, ring, owner)}, n_workers)
    assert reconstruct(results["x"]).tolist() == VALUES.tolist()
    assert world.ledger.messages == [] and world.ledger.round == 0


@every_size
@pytest.mark.parametrize("owner", ["server", "crypto_provider", "alice"])
def test_shares_of_a_value_look_fresh(n_workers, owner):
    world = World(n_workers, seed=1)
    first, again = (rows_of(give(world, np.zeros(200), owner=owner)) for _ in range(2))
    assert len(np.unique(np.concatenate([first, again]))) == 2 * n_workers * 200
    for rows in combinations(range(n_workers), n_workers - 1):  # and so do their sums
        partial = world.ring.sum(first[list(rows)], axis=0)
        ones = bits_of(partial[None], world.ring.bits).mean()
        assert abs(ones - 0.5) < 0.03 and len(np.unique(partial)) == 200


def test_several_values_and_rings_travel_in_one_round(n_workers=3):
    def program(world):
        held = world.private_input("server", (4,), lambda: [1, 2, 3, 4], np.uint64).rows
        small = held.astype(np.uint8)
        x, y = world.share("server", x=(held, Z2k(64)), y=(small, Zm(7)))
        return {"x": x, "y": y}

    world, results = everywhere(program, n_workers)
    assert [reconstruct(results[n]).tolist() for n in "xy"] == [[1, 2, 3, 4]] * 2
    assert [(m.name, m.ring, m.round, m.nbytes) for m in world.ledger.messages] == [
        ("x", "Z_2^64", 1, 32), ("y", "Z_7", 1, 4)]


def test_a_message_may_have_any_name():
    """Also those of the verbs' parameters."""
    names = ("self", "owner", "role", "shares", "receivers", "not a word")

    def program(world):
        held = world.private_input("bob", (2,), lambda: [1, 2], np.uint64).rows
        shares = world.share("bob", **dict.fromkeys(names, (held, world.ring)))
        named = dict(zip(names, shares, strict=True))
        world.gather("bob", **named)
        return {"open": world.open(**named)[-1]}

    world, results = everywhere(program)
    assert rows_of(results["open"]).tolist() == [[1, 2]]
    assert [m.name for m in world.ledger.messages[:6]] == list(names)


def test_a_verb_without_values_does_nothing():
    world = World()
    assert world.share("server") == world.open() == world.gather("bob") == ()
    assert world.counter == 0 and world.ledger.messages == []


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,)])
def test_scalars_and_empty_arrays_can_be_shared_and_opened(shape):
    def program(world):
        share = give(world, np.zeros(shape))
        return {"share": share, "open": world.open(x=share)[0],
                "gather": world.gather("server", x=share)[0]}

    _, results = everywhere(program)
    assert results["open"].shape == (1, *shape)
    assert results["gather"].shape == (1, 2, *shape)


# ---- coins


@every_size
@every_ring
def test_common_coins_are_known_to_all_workers_and_to_nobody_else(n_workers, ring):
    world, results = everywhere(
        lambda w: {"c": w.common_coins(ring, (2, 3), "c")}, n_workers)
    coins = results["c"]
    assert coins.shape == (1, 2, 3) and coins.kind == "common"
    assert coins.dtype == ring.dtype and world.ledger.messages == []
    for role in world.roles:
        alone = World(n_workers, here=(role,), keys=world._keys)
        held = alone.common_coins(ring, (2, 3), "c")
        assert held.shape == ((role in map(str, world.workers)), 2, 3)
        assert held.dtype == ring.dtype
        assert held.tolist() == rows_of(coins)[:len(held)].tolist()


@every_size
@pytest.mark.parametrize("owner", ["alice", "bob", "crypto_provider"])
def test_private_coins_are_known_to_one_role_alone(n_workers, owner):
    world = World(n_workers, seed=1)
    coins = world.private_coins(owner, world.ring, (4,), "c")
    for role in world.roles:
        alone = World(n_workers, here=(role,), keys=world._keys)
        held = alone.private_coins(owner, world.ring, (4,), "c")
        assert held.tolist() == coins[:role == owner].tolist()


@pytest.mark.parametrize("ring", [Z2k(64), Bits()], ids=str)
def test_nobody_writes_to_a_dealt_mask_which_workers_and_provider_may_hold(ring):
    share, known = World(seed=1).deal(ring, (3,), "a")
    for rows in (share.rows, known, known[0]):
        with pytest.raises(ValueError, match="read-only"):
            rows[:] = 0


@every_size
@every_ring
def test_the_provider_knows_all_shares_of_a_dealt_secret(n_workers, ring):
    def program(world):
        share, dealer_rows = world.deal(ring, (2, 3), "a")
        return {"a": share, "dealer": dealer_rows}

    world, results = everywhere(program, n_workers)
    assert rows_of(results["a"]).tolist() == rows_of(results["dealer"])[0].tolist()
    assert results["dealer"].kind == "local to crypto_provider"
    assert results["dealer"].dtype == ring.dtype and world.ledger.messages == []
    rows = rows_of(results["a"])
    assert rows.shape == (n_workers, 2, 3) and not (rows[0] == rows[1]).all()


@every_size
@every_ring
def test_a_zero_share_adds_up_to_zero_and_looks_like_noise(n_workers, ring):
    world, results = everywhere(
        lambda w: {"z": w.zero_share(ring, (20, 30), "z")}, n_workers)
    assert not reconstruct(results["z"]).any() and world.ledger.messages == []
    rows = rows_of(results["z"])
    assert rows.shape == (n_workers, 20, 30) and rows.dtype == ring.dtype
    for some in range(1, n_workers):
        for chosen in combinations(range(n_workers), some):     # all but one, or fewer
            partial = ring.sum(rows[list(chosen)], axis=0)
            assert len(np.unique(partial)) >= min(ring.modulus - 1, 200)


def test_every_draw_is_fresh_and_named():
    world = World(seed=1)
    draws = [rows_of(world.common_coins(Z2k(64), (4,), name)) for name in "aab"]
    draws += [rows_of(world.deal(Z2k(64), (4,), "a")[0])]
    draws += [rows_of(world.zero_share(Z2k(64), (4,), "a"))]
    assert len(np.unique(np.concatenate(draws))) == 4 * (3 + 2 + 2)
    assert world.counter == 5


def test_given_coins_replace_drawn_ones():
    asked = []

    def coins(label, ring, shape):
        asked.append((label, str(ring), shape))
        if label == "lesson/r":
            return np.full(shape, 9, ring.dtype)

    world = TaggedWorld(coins=coins, seed=1)
    with world.ledger.step("lesson"):
        r, a = (world.common_coins(Z2k(8), (2,), name) for name in "ra")
        share, dealer_rows = world.deal(Z2k(8), (3,), "r")
    assert asked == [("lesson/r", "Z_2^8", (1, 2)), ("lesson/a", "Z_2^8", (1, 2)),
                     ("lesson/r", "Z_2^8", (2, 3))]
    assert rows_of(r).tolist() == [[9, 9]] and rows_of(a).tolist() != [[9, 9]]
    assert rows_of(share).tolist() == [[9] * 3] * 2 == rows_of(dealer_rows)[0].tolist()


def test_a_shared_value_and_a_zero_share_take_given_coins_too():
    world = World(3, coins=lambda label, ring, shape: np.full(shape, 2, ring.dtype))
    assert rows_of(give(world, [10])).tolist() == [[2], [2], [6]]
    assert rows_of(world.zero_share(Zm(7), (1,), "z")).tolist() == [[4], [0], [3]]


# ---- open, gather, broadcast


@every_size
@every_ring
def test_an_opening_tells_every_worker_and_nobody_else(n_workers, ring):
    def program(world):
        x, y = give(world, VALUES, ring), give(world, [1, 2], ring)
        a, b = world.open(a=x, b=y)
        return {"a": a, "b": b, "x again": world.open(x=x)[0]}

    world, results = everywhere(program, n_workers)
    assert rows_of(results["a"]).tolist() == [VALUES.tolist()]
    assert rows_of(results["x again"]).tolist() == [VALUES.tolist()]
    assert rows_of(results["b"]).tolist() == [[1, 2]] and results["a"].kind == "common"
    workers = [str(w) for w in world.workers]
    assert sent(world, since=2) == {(a, b): (6 + 2 + 6) * ring.width
                                    for a in workers for b in workers if a != b}
    assert world.ledger.round == 2 + 2      # two to share, two to open


@every_size
@every_ring
@pytest.mark.parametrize("role", ["server", "crypto_provider", "alice", "bob"])
def test_gathered_shares_arrive_in_the_order_of_the_workers(n_workers, ring, role):
    def program(world):
        x = give(world, VALUES, ring)
        g, h = world.gather(role, g=x, h=-x)
        return {"x": x, "g": g, "h": h}

    world, results = everywhere(program, n_workers)
    x, g, h = (rows_of(results[name]) for name in "xgh")
    assert g.shape == (1, n_workers, 2, 3)
    assert results["g"].kind == f"local to {role}"
    assert g[0].tolist() == x.tolist() and h[0].tolist() == ring.neg(x).tolist()
    assert sent(world, since=1) == {(w, role): 12 * ring.width
                                    for w in map(str, world.workers) if w != role}
    assert world.ledger.round == 2


@every_size
@pytest.mark.parametrize("role", ["server", "crypto_provider", "bob"])
def test_a_broadcast_reaches_every_role_as_plain_integers(n_workers, role):
    def program(world):
        told = world.broadcast(role, [7, -1, 2**62] if world.has(role) else None, 3)
        assert told == [7, -1, 2**62] and {type(i) for i in told} == {int}
        return {}

    world, _ = everywhere(program, n_workers)
    assert sent(world) == {(role, other): 24 for other in world.roles if other != role}
    assert world.ledger.round == 1 and world.ledger.messages[0].name == "broadcast"


def test_a_decision_goes_through_a_broadcast():
    def program(world):
        ring, x, steps = world.ring, give(world, [3]), 0
        while True:
            rows = rows_of(world.gather("server", x=x)[0])
            positive = [number > 0 for number in ring.to_int(ring.sum(rows, 1)).ravel()]
            if not world.broadcast("server", positive, 1)[0]:
                steps = np.full((len(rows), 1), steps)
                return {"x": x, "steps": world._wrap(steps, "local to server")}
            x, steps = x.plus(ring.from_int(np.array([[-1]]))), steps + 1

    _, results = everywhere(program)
    assert rows_of(results["steps"]).tolist() == [[3]]
    assert reconstruct(results["x"]).tolist() == [0]


# ---- private_input


@every_size
def test_only_the_owner_loads_its_data(n_workers):
    def program(world):
        def load():
            assert world.has("bob")
            return [[1, 2]]

        return {"h": world.private_input("bob", (1, 2), load)}

    world, results = everywhere(program, n_workers)
    held = results["h"]
    assert rows_of(held).tolist() == [[[1, 2]]] and held.role == "bob"
    assert held.rows.dtype == np.float64 and world.ledger.messages == []
    assert held.rows.kind == "local to bob" and held.shape == (1, 2)


# ---- errors of a caller


def a_share(world, ring=None):
    return world.deal(ring or world.ring, (2,), "x")[0]


def rows(*shape, dtype=np.uint64):
    return np.zeros(shape, dtype)


MISTAKES = {
    "a World of one": (lambda w: World(1), "take 2 or more"),
    "a World of a half": (lambda w: World(2.5), "take 2 or more"),
    "an unknown protocol": (lambda w: World(truncation="remote"),
                            "'remote' is not provided for this number of workers; "
                            "take provider or local"),
    "SecureNN of three": (lambda w: World(3, comparison="securenn"),
                          "not provided for .* workers; take carry-tree"),
    "checked apart": (lambda w: World(here=("bob",), checked=True), "leave it out"),
    "a wrong shape": (lambda w: w.private_input("server", (3,), lambda: [1, 2]),
                      r"\(2,\), not exactly float64 \(3,\); .* broadcast\(\) its size"),
    "no holder axis": (lambda w: w.share("server", x=(rows(), w.ring)),
                       r"like private_input\(\)"),
    "a public vector": (lambda w: w.share("alice", x=(rows(5), w.ring)),
                        r"a ring and its elements \(1, \*shape\)"),
    "a Share": (lambda w: w.share("bob", x=(a_share(w), w.ring)),
                r"\(a Share, a Z2k\)"),
    "a number as ring": (lambda w: w.share("bob", x=(rows(1, 2), 64)),
                         r"\(uint64 \(1, 2\), 64\) came"),
    "real numbers": (lambda w: w.share("bob", x=(rows(1, 2, dtype=float), w.ring)),
                     r"share: \(float64 \(1, 2\), a Z2k\) came"),
    "a common value": (lambda w: w.open(x=Share(w, w.ring, common(w, [1, 2]))),
                       "no Share of this World's workers"),
    "one row too many": (lambda w: w.gather("bob", x=Share(w, w.ring, rows(3, 2))),
                         "no Share of this World's workers"),
    "too many integers": (lambda w: w.broadcast("bob", [1, 2, 3], 2),
                          r"bob loaded int64 \(3,\), not exactly int64 \(2,\)"),
}
STRANGERS = {
    "private_input": lambda w: w.private_input("carol", (), lambda: 1),
    "has": lambda w: w.has("carol"),
    "share": lambda w: w.share("carol", x=(rows(1, 2), w.ring)),
    "gather": lambda w: w.gather("carol", x=a_share(w)),
    "broadcast": lambda w: w.broadcast("carol", [], 0),
    "replay": lambda w: RecordedWorld().replay("carol"),
}
for verb, call in STRANGERS.items():
    MISTAKES[f"{verb} by a stranger"] = call, "carol: no such role among server, alice"


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_names_its_remedy_in_one_line(mistake):
    call, remedy = MISTAKES[mistake]
    with pytest.raises(ValueError, match=remedy) as caught:
        call(World(seed=1))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("call, remedy", [
    (lambda w: w.open(x=[1, 2]), r"a list"),
    (lambda w: w.private_input("bob", (None,), lambda: [1]), "as an integer")])
def test_a_wrong_type_is_named_with_the_right_one(call, remedy):
    with pytest.raises(TypeError, match=remedy):
        call(World(seed=1))


@pytest.mark.parametrize("line", [
    "w.open(x=Share(w, w.ring, c))", "w.gather('server', x=Share(w, w.ring, c))",
    "w.open(x=Share(w, w.ring, clear))", "w.share('server', x=(clear, w.ring))",
    "w.share('server', x=(c, w.ring))", "w.share('alice', x=(share.rows, w.ring))"])
def test_a_verb_takes_values_of_its_own_kind_only(world, line):
    share, clear = world.deal(world.ring, (2,), "x")
    names = {"w": world, "Share": Share, "share": share, "clear": clear,
             "c": common(world, [1, 2])}
    with pytest.raises(RoleError, match="expected a .* value, got a .* one"):
        eval(line, names)


def test_a_payload_of_another_size_is_refused():
    def program(world):
        return world.open(x=a_share(world, Z2k(64 if world.has("alice") else 32)))[0]

    with pytest.raises(ProtocolError, match="16 bytes .* 8|8 bytes .* 16"):
        run_threads(program, seed=1)


# ---- keys


@every_size
@pytest.mark.parametrize("seed", [None, 1])
def test_a_role_holds_the_keys_of_its_own_groups_and_no_others(n_workers, seed):
    names = role_names(n_workers)
    keys = make_keys(names, seed)
    server, *workers, provider = names
    due = {group(*workers)} | {group(*pair) for pair in combinations(workers, 2)} | {
        group(w, owner) for w in workers for owner in (server, provider)}
    due |= {group(role) for role in (*workers, provider)}
    assert set(keys) == due and len(set(keys.values())) == len(due)
    held = run_threads(lambda w: set(w._keys), n_workers, seed)
    assert held == {role: {g for g in due if role in g} for role in names}
    assert len(held[provider]) == n_workers + 1         # its own, and one with each


def test_a_world_without_seed_asks_the_operating_system_for_each_key(monkeypatch):
    asked = []
    monkeypatch.setattr("mpc.randomness.os.urandom",
                        lambda n: asked.append(n) or bytes([len(asked)]) * n)
    keys = World(3)._keys
    assert asked == [16] * len(keys) == [16] * (1 + 3 + 6 + 4)
    assert len(set(keys.values())) == 14
    run_threads(lambda w: None)
    assert len(asked) >= 10 + 5
    asked.clear()
    World(seed=0)
    run_threads(lambda w: None, seed=0)
    assert asked == []


# ---- threads


PARTITIONS = [[("server", "alice"), ("bob",), ("crypto_provider",)],
              [("alice", "crypto_provider"), ("bob", "server")],
              [("alice", "bob"), ("server", "crypto_provider")],
              [("bob",), ("server", "alice", "crypto_provider")]]


def in_partition(program, parts, seed):
    """Run ``program(world)`` in a thread for each part of the roles; {part: result}."""
    names, results = role_names(2), {}
    keys, queues = make_keys(names, seed), Queues(names, timeout=10)

    def run(part):
        results[part] = program(TaggedWorld(here=part, keys=keys, link=queues))

    threads = [threading.Thread(target=run, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return results


@pytest.mark.parametrize("parts", PARTITIONS, ids=str)
def test_roles_that_live_together_compute_the_same_bits(parts):
    def program(world):
        x, y = give(world, VALUES), give(world, VALUES, owner="bob")
        z = relu(multiply(x, y))
        results = {"z": z.rows, "all": world.open(z=z)[0],
                   "server": world.gather("server", z=z)[0],
                   "bob": world.gather("bob", z=z)[0]}
        return results, world.ledger.messages

    simulation = TaggedWorld(seed=5)
    expected, messages = program(simulation)
    results = in_partition(program, parts, seed=5)
    assert set(results) == set(parts)
    for part, (own, ledger) in results.items():
        workers = [i for i, w in enumerate(("alice", "bob")) if w in part]
        assert ledger == messages
        assert rows_of(own["z"]).tolist() == rows_of(expected["z"])[workers].tolist()
        for name in ("all", "server", "bob"):
            here = bool(workers) if name == "all" else name in part
            due = rows_of(expected[name])[:here]
            assert rows_of(own[name]).tolist() == due.tolist()


def fails_soon(program, error, match, **options):
    """``run_threads(program)`` raises this error long before its timeout."""
    start = time.perf_counter()
    with pytest.raises(error, match=match):
        run_threads(program, seed=1, **options)
    assert time.perf_counter() - start < 30


@pytest.mark.parametrize("role", ["server", "alice", "bob", "crypto_provider"])
def test_an_error_in_one_role_ends_all_and_is_the_one_that_is_raised(role):
    ended = []

    def program(world):
        try:
            x = give(world, VALUES)
            for i in range(5):
                if i == 2 and world.has(role):
                    raise ZeroDivisionError(f"an error of {role}")
                x = relu(x)
        finally:
            ended.append(world.here)

    fails_soon(program, ZeroDivisionError, f"an error of {role}")
    assert len(ended) == 4


@pytest.mark.parametrize("header", [(4, "epsilon"), (3, "delta")])
def test_a_message_of_another_step_or_name_is_refused(header):
    came = Parcel("alice", "bob", header, b"")
    with pytest.raises(OutOfStep, match="bob is at step 3 .epsilon. and alice at"):
        check(came, (3, "epsilon"))


def test_a_peer_of_a_failed_role_names_the_role_that_failed():
    heard = {}

    def program(world):
        if world.has("alice"):
            raise KeyError("lost")
        try:
            world.open(x=a_share(world))
        except PeerFailed as error:
            heard[world.here] = str(error)
            raise

    fails_soon(program, KeyError, "lost")
    assert heard == {("bob",): "alice stopped: KeyError('lost')"}
    assert issubclass(PeerFailed, ProtocolError)
    assert issubclass(OutOfStep, ProtocolError)


def test_an_error_that_only_an_owner_meets_ends_all():
    def program(world):
        held = world.private_input("bob", (3,), lambda: [1, 2], np.uint64)
        return world.open(x=world.share("bob", x=(held.rows, world.ring))[0])[0]

    fails_soon(program, ValueError, "bob loaded int64")


def test_a_silent_peer_is_given_up_after_the_timeout():
    given_up = threading.Event()

    def program(world):
        if world.has("alice"):
            assert given_up.wait(20)
        try:
            return world.open(x=a_share(world))[0]
        except OutOfStep:
            given_up.set()
            raise

    fails_soon(program, OutOfStep, "nothing came from alice in 0.1 s", timeout=0.1)


def extra_coin(world):
    world.common_coins(world.ring, (1,), "more")


def extra_verb(world):
    world.open(more=a_share(world))


def extra_gather(world):
    world.gather("server", more=a_share(world))


STRAYS = {"draws one more coin": extra_coin, "opens once more": extra_verb,
          "gathers once more": extra_gather, "stops early": None}


def straying(role, stray):
    """A program in which `role` branches on local data."""
    def program(world):
        x = world.open(x=a_share(world))[0]
        if world.here == (role,):                   # like: if opened.any()
            if stray is None:
                return x
            stray(world)
        receiver, y = "bob" if role == "alice" else "alice", a_share(world)
        return world.gather(receiver, y=Share(world, world.ring, y.rows))[0]
    return program


@pytest.mark.parametrize("role", ["alice", "bob"])
@pytest.mark.parametrize("stray", STRAYS)
def test_a_role_that_branches_on_local_data_is_stopped_in_threads(role, stray):
    fails_soon(straying(role, STRAYS[stray]), OutOfStep,
               r"through broadcast\(\) only|has finished|ended")


@pytest.mark.parametrize("role", ["alice", "bob"])
@pytest.mark.parametrize("stray", STRAYS)
def test_a_role_that_branches_on_local_data_is_stopped_in_replay(role, stray):
    program = straying(role, STRAYS[stray])
    world = RecordedWorld(seed=1)
    program(world)
    replay = world.replay(role)
    with pytest.raises(OutOfStep):
        program(replay)
        replay.finish()
    for other in set(world.roles) - {role}:
        replay = world.replay(other)
        program(replay)
        replay.finish()


def test_a_branch_on_an_opened_value_passes_the_simulation_and_fails_apart():
    def program(world):
        opened = world.open(x=give(world, [5]))[0]
        if rows_of(opened).any():
            world.common_coins(world.ring, (1,), "more")
        return world.gather("crypto_provider", y=a_share(world))[0]

    assert rows_of(program(World(seed=1))).shape == (1, 2, 2)
    fails_soon(program, OutOfStep, r"crypto_provider is at step 5 \(y\) and alice at "
                                   r"step 6 \(y\); .* through broadcast\(\) only")


def test_two_roles_that_send_a_megabyte_to_each_other_do_not_wait_for_each_other():
    size = 2**17

    def program(world):
        share = world.zero_share(world.ring, (size,), "x")
        return world.open(x=share, y=share + share)[1].shape, world.ledger.messages

    results = run_threads(program, seed=1, timeout=60)
    assert {role: shape for role, (shape, _) in results.items()} == {
        "server": (0, size), "alice": (1, size), "bob": (1, size),
        "crypto_provider": (0, size)}
    assert sum(m.nbytes for m in results["server"][1]) == 4 * 2**20


def test_threads_return_what_each_role_computed():
    results = run_threads(lambda world: world.here, n_workers=3)
    assert results == {role: (role,) for role in role_names(3)}


# ---- a World stays where it was made


VERBS = {
    "deal": a_share, "common_coins": lambda w: w.common_coins(w.ring, (1,), "c"),
    "private_coins": lambda w: w.private_coins("bob", w.ring, (1,), "c"),
    "zero_share": lambda w: w.zero_share(w.ring, (1,), "z"),
    "share": lambda w: give(w, [1]), "broadcast": lambda w: w.broadcast("bob", [1], 1),
    "private_input": lambda w: w.private_input("bob", (), lambda: 1.0),
    "open": lambda w: w.open(x=w.kept.masked),
    "gather": lambda w: w.gather("bob", x=w.kept.masked),
    "spend": lambda w: w.spend(w.kept.coins), "finish": lambda w: w.finish(),
    "secret": lambda w: w.secret([1.0], "bob"), "reveal": lambda w: w.kept.x.reveal(),
    "multiply": lambda w: w.kept.x * w.kept.x,
    "relu": lambda w: w.kept.x.relu()}
INHERITED = []          # by a forked process


def settled():
    """A World and, as `kept`, values that wait for a verb."""
    world = mpc.World(seed=1)
    world.kept = SimpleNamespace(
        masked=give(world, [1]) + world.deal(world.ring, (1,), "r")[0],
        coins=world.common_coins(world.ring, (1,), "c"),
        x=world.secret([1.0], "alice"))
    return world


def complaint(verb, world):
    """The error message of a verb, or None."""
    try:
        VERBS[verb](world)
    except RuntimeError as error:
        return str(error)


def test_every_verb_is_tried_elsewhere():
    public = {name for name in dir(World) if callable(getattr(World, name))
              and not name.startswith("_")}
    assert public - VERBS.keys() == {
        "has", "one", "party_index", "values_in",       # which only look
        "publish"}                                      # with seals only


@pytest.mark.parametrize("verb", VERBS)
def test_a_world_in_another_thread_is_refused_and_goes_on_where_it_was_made(verb):
    world, raised = settled(), []
    before = world.counter, world.ledger.messages[:]
    thread = threading.Thread(target=lambda: raised.append(complaint(verb, world)))
    thread.start()
    thread.join()
    assert "another process or thread made it" in raised[0]
    assert (world.counter, world.ledger.messages) == before
    VERBS[verb](world)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("verb", VERBS)
def test_a_world_in_a_forked_process_is_refused(verb):
    world = settled()
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            os._exit(7 if "another process" in complaint(verb, world) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    VERBS[verb](world)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_pool_of_processes_gets_no_world():
    world = settled()
    INHERITED.append(world)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert "another process" in pool.apply(in_a_pool, ("open",))
        for secret in (world, world.alice, world.kept.masked, world.kept.x):
            with pytest.raises(TypeError, match="is not (copied or )?pickled"):
                pool.apply(repr, (secret,))
    INHERITED.clear()
    VERBS["open"](world)


def in_a_pool(verb):
    return complaint(verb, INHERITED[0])


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_world_is_not_duplicated_nor_with_a_model(duplicate):
    world = settled()
    with pytest.raises(TypeError, match="a World is not copied or pickled: masks"):
        duplicate(world)
    for value in (world.alice, world.kept.x.value):
        if duplicate is pickle.dumps:
            with pytest.raises(TypeError, match="pickled"):
                duplicate(value)
        else:
            assert duplicate(value) is value


def test_a_verb_takes_shares_of_its_own_world_only():
    world, x = World(seed=1), a_share(World(seed=1))
    for call in (lambda: world.open(x=x), lambda: world.gather("bob", x=x)):
        with pytest.raises(ValueError, match="no Share of this World.s workers; share"):
            call()


@pytest.mark.parametrize("ints", [
    [1.5], ["1"], [None], None, 3, [2**63], [-2**63 - 1], [10**30], [2**63, -1]],
    ids=str)
def test_a_broadcast_is_exact_or_refused(ints):
    world = World(seed=1)
    with pytest.raises((TypeError, ValueError), match=(
            "as an integer|not iterable|concatenate str|NoneType|not exactly int64")):
        world.broadcast("bob", ints, 1)
    told = world.broadcast("bob", [np.uint8(3), True, np.False_, -2**63, 2**63 - 1], 5)
    assert told == [3, 1, 0, -2**63, 2**63 - 1] and world.counter == 1
    assert world.broadcast("bob", [], 0) == []


@pytest.mark.parametrize("loaded, dtype", [
    ([2**53 + 1], float), ([1j], float), (["1.5"], float), ([None], float),
    ([1.5], np.uint64), ([-1], np.uint64), ([np.nan], np.uint64),
    ([2**64 - 1], np.int64), ([300], np.uint8), ([np.datetime64("2020-01-01")], float),
    (np.ma.array([1.0], mask=[True]), float)], ids=str)
def test_loaded_data_are_held_exactly_or_refused(loaded, dtype):
    with pytest.raises(ValueError, match=r"bob loaded .*, not exactly .*; convert it"):
        World(seed=1).private_input("bob", (1,), lambda: loaded, dtype)


def test_loaded_lists_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="inhomogeneous"):
        World(seed=1).private_input("bob", (2,), lambda: [[1], [1, 2]])


@pytest.mark.parametrize("loaded, dtype", [
    ([2**53], float), ([True], float), ([1.5, np.nan], float), ([3.0], np.uint64),
    ([7], np.uint8), ([2**63 - 1], np.uint64), (np.array([5], np.uint8), float),
    (np.float32([0.1]), float)], ids=str)
def test_loaded_data_that_a_type_can_hold_are_accepted(loaded, dtype):
    world = World(seed=1)
    held = world.private_input("bob", (len(loaded),), lambda: loaded, dtype).rows
    assert held.dtype == dtype
    assert np.array_equal(held[0], np.asarray(loaded), equal_nan=True)


# ---- one line in, one line out


@pytest.mark.parametrize("n_workers", [2, 3])
def test_a_secret_comes_in_by_one_line_and_goes_out_by_another(n_workers):
    world = mpc.World(n_workers, seed=1)
    x = world.secret([[1, 2.5], [-3, 4]], owner=world.alice)
    assert x.reveal().tolist() == [[1, 2.5], [-3, 4]]
    assert (x > 2).reveal().tolist() == [[False, True], [False, True]]
    index = x.argmax().reveal(to="bob")
    assert ["a", "b", "c", "d"][index] == "d" and x.sum().reveal() + 1 == 5.5
    assert (x > 0).reveal().dtype == bool and x.max().reveal().dtype == float


def test_whole_numbers_are_revealed_without_rounding_to_floats():
    x = mpc.World(seed=1).secret([2.0**53, -(2.0**53)], "alice", precision=0)
    assert (x + 1).reveal().tolist() == [2**53 + 1, 1 - 2**53]
    assert (x + 1).reveal(to="bob").tolist() == [2**53 + 1, 1 - 2**53]


def test_a_secret_of_several_owners_is_joined():
    world = mpc.World(seed=1)
    rows = world.secret({"alice": [[1, 2]], world.bob: lambda: [[3, 4], [5, 6]]})
    assert rows.reveal().tolist() == [[1, 2], [3, 4], [5, 6]]
    columns = world.secret({"bob": np.ones((2, 1)), "alice": np.zeros((2, 2))}, axis=1)
    assert columns.reveal().tolist() == [[1, 0, 0], [1, 0, 0]]
    fine = world.secret(0.123456, "alice", precision=6)
    assert fine.reveal() == 0.123456


@pytest.mark.parametrize("owner, rounds", [("alice", 1), ("bob", 1), ("server", 2)])
def test_a_secret_takes_the_stated_rounds(owner, rounds):
    world = mpc.World(seed=1)
    x = world.secret([1.0, 2.0], owner)
    assert world.ledger.cost().rounds == rounds
    for to, more in (("alice", 1), (None, 2)):
        mark = len(world.ledger.messages)
        x.reveal(to)
        assert world.ledger.cost(mark).rounds == more


def test_only_the_owner_loads_and_only_the_receiver_learns():
    """Every role alone, with the data of a role only where it lives."""
    def program(world):
        loaded = []

        def load():
            loaded.append(1)
            return [1.0, 2.0]

        x = world.secret(load, owner="alice")
        y = world.secret([0.5, 4.0] if world.has("bob") else None, owner="bob")
        assert loaded == [1] * world.has("alice")
        mine, known = (x * y).reveal(to="bob"), (x * y).reveal()
        assert np.isnan(mine).all() != world.has("bob")
        assert known == pytest.approx([0.5, 8], abs=0.002)
        return {"x": x.value}

    everywhere(program)


def test_integers_beyond_those_of_a_float_keep_their_digits():
    numbers = [2**53 + 1, -2**60 - 1, 5]

    def program(world):
        x = world.secret(np.array(numbers), owner="alice", precision=0)
        found = x.reveal(to="bob")
        assert not world.has("bob") or found.tolist() == numbers
        return {"x": x.value}

    everywhere(program)


@pytest.mark.parametrize("line, error, remedy", [
    ("world.carol", AttributeError, "has no carol; its workers are alice, bob"),
    ("world.secret([1.0])", ValueError, "no owner; name one of server, alice"),
    ("world.secret('one', 'bob')", TypeError, "elements of <U3; give real numbers"),
    ("world.secret([1j], 'bob')", TypeError, "elements of complex128"),
    ("world.secret(2**64 - 1, 'bob')", ValueError, "cannot be represented at scale"),
    ("world.secret([[1], [2, 3]], 'bob')", ValueError, "rows differ in length; pad"),
    ("world.secret([np.inf], 'bob')", ValueError, "nan or inf in an array"),
    ("world.secret(lambda: [np.nan], 'bob')", ValueError, "nan or inf in an array"),
    ("world.secret(np.ma.array([1], mask=[1]), 'bob')", TypeError, "a masked array"),
    ("world.secret({'alice': 1, 'bob': 2})", ValueError, "make it a list of one numb"),
    ("world.secret({'alice': [1], 'bob': [[1]]})", ValueError, "do not join on axis"),
    ("world.secret({})", ValueError, "secret: no owner; give one or more"),
    ("world.secret([1.0], 'alice').reveal('carol')", ValueError, "carol: no such role"),
])
def test_wrong_ways_in_and_out_are_refused(line, error, remedy):
    with pytest.raises(error, match=remedy):
        eval(line, {"world": mpc.World(seed=1), "np": np})
