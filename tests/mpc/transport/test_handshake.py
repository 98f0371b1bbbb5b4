"""Roles compare programs and parameters; only the members of a group get its key."""

import concurrent.futures
import json
import re
import sys

import numpy as np
import pytest

from mpc.ledger import Ledger, Messages
from mpc.randomness import stream
from mpc.transport import handshake
from mpc.transport.link import Disagreement, OutOfStep, ProtocolError
from mpc.transport.threads import Queues, run_threads
from mpc.world import World, key_groups, make_keys, role_names


def test_parameters_tell_types_apart_and_treat_numpy_integers_as_integers():
    texts = [handshake.as_texts({"seed": seed})["seed"] for seed in (1, True, 1.0, "1")]
    assert len(set(texts)) == 4
    assert handshake.as_texts({"seed": np.int64(1)})["seed"] == texts[0]
    for value in (object(), {1}, np.ones(2)):
        with pytest.raises(ValueError, match="MpiWorld: x is a .* give numbers, texts"):
            handshake.as_texts({"x": value})


def test_versions_name_python_numpy_and_every_module_of_a_program():
    found = handshake.versions()
    assert found["python"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert np.__version__.startswith(found["numpy"])
    assert f"source of {__name__}" in found
    loaded = {name.removeprefix("source of ").split(".")[0]
              for name in found if " of " in name}
    assert not loaded & {"mpc", "nn", "data", "json", "numpy", "pytest"}


def test_the_code_version_covers_every_folder_of_the_packages(tmp_path, monkeypatch):
    monkeypatch.setattr(handshake, "ROOT", str(tmp_path))
    (tmp_path / "mpc" / "audit").mkdir(parents=True)
    before = handshake.versions()["code"]
    (tmp_path / "mpc" / "audit" / "tags.py").write_text("")
    assert handshake.versions()["code"] != before


@pytest.mark.parametrize("own, text", [
    ({"lr": 0.1}, "bob was started with lr 0.5 and server with 0.1; start"),
    ({}, "alice was started with lr 0.1 and server with nothing; start"),
    ({"lr": 0.1, "n": 3}, "alice was started with n nothing and server with 3; start")])
def test_different_parameters_are_reported_with_name_and_role(own, text):
    names = role_names(2)
    queues = Queues(names)
    for other in names[1:]:
        lr = 0.5 if other == "bob" else 0.1
        queues.put(other, "server", handshake.START,
                   json.dumps({"lr": f"{lr}"}).encode())
    with pytest.raises(ValueError, match=text):
        handshake.compare_parameters(names, "server", queues.endpoint("server"),
                                     handshake.as_texts(own))


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff\xfe", b"7"])
def test_a_malformed_handshake_is_refused(payload):
    names = role_names(2)
    queues = Queues(names)
    queues.put("alice", "server", handshake.START, payload)
    with pytest.raises(ProtocolError, match="cannot read the handshake of alice"):
        handshake.compare_parameters(names, "server", queues.endpoint("server"),
                                     {"lr": 0.1})


# ------------------------------------------------------------------ keys


@pytest.mark.parametrize("n_workers, groups", [
    (2, "server+alice server+bob alice+bob alice+crypto_provider bob+crypto_provider "
        "alice bob crypto_provider"),
    (3, "server+alice server+bob server+worker3 alice+bob alice+worker3 bob+worker3 "
        "alice+bob+worker3 alice+crypto_provider bob+crypto_provider "
        "worker3+crypto_provider alice bob worker3 crypto_provider")])
def test_these_groups_have_a_key_and_no_others(n_workers, groups):
    """Not server and provider, nor several workers together with one of these two."""
    names = role_names(n_workers)
    queues, expected = Queues(names), {frozenset(g.split("+")) for g in groups.split()}
    for role in names:
        keys = handshake.agree_on_keys(names, role, queues.endpoint(role))
        assert set(keys) == {group for group in expected if role in group}


@pytest.mark.parametrize("n_workers", [2, 3])
def test_each_group_agrees_on_a_key_that_no_other_role_receives(n_workers):
    names = role_names(n_workers)
    queues = Queues(names)
    keys = {role: handshake.agree_on_keys(names, role, queues.endpoint(role))
            for role in names}
    for group in key_groups(names):
        assert len({keys[role][group] for role in group}) == 1
        assert not any(group in keys[role] for role in names if role not in group)
    queues.finish()
    assert {group for role in names for group in keys[role]} == set(make_keys(names))
    different = {key for role in names for key in keys[role].values()}
    assert len(different) == len(key_groups(names))


def test_a_key_of_another_length_is_refused():
    names = role_names(2)
    queues = Queues(names)
    queues.put("alice", "bob", (0, "key of alice, bob"), b"short")
    with pytest.raises(ProtocolError,
                       match="alice sent bob a key of 5 bytes instead of 16"):
        handshake.agree_on_keys(names, "bob", queues.endpoint("bob"))


def test_roles_meet_and_hear_each_others_values_without_a_step_or_a_ledger():
    def program(world):
        told = handshake.meet(world, "lunch", {world.here[0]: [world.here[0], 1]})
        assert list(told) == list(world.roles)
        return told, world.counter, world.ledger.messages

    results = run_threads(program)
    assert results["bob"][0] == {name: [name, 1] for name in role_names(2)}
    assert all(result == results["bob"] for result in results.values())
    assert results["bob"][1:] == (0, [])


def test_roles_that_meet_elsewhere_or_say_no_json_are_refused():
    def elsewhere(world):
        handshake.meet(world, "lunch" if world.has("bob") else "dinner",
                       {world.here[0]: 0})

    def mumbles(world):
        if not world.has("alice"):
            return handshake.meet(world, "lunch", {world.here[0]: 0})
        for other in world.roles:
            if other != "alice":
                world._link.put("alice", other, (1, "lunch"), b"{")

    with pytest.raises(OutOfStep, match="lunch"):
        run_threads(elsewhere)
    with pytest.raises(ProtocolError, match="cannot read the message lunch; start all"):
        run_threads(mumbles)


def test_in_a_simulation_nobody_waits():
    world = World()
    assert handshake.meet(world, "lunch", {"alice": 1}) == {"alice": 1}


def test_keys_that_differ_are_found_and_the_proof_reveals_nothing_about_them():
    names, queues = role_names(2), Queues(role_names(2))
    sound = make_keys(names)
    sent = []

    class Overheard:
        def __init__(self, role):
            self.link = queues.endpoint(role)
            self.get = self.link.get

        def put(self, *parcel):
            sent.append(parcel)
            self.link.put(*parcel)

    def confirm(broken=frozenset()):
        keys = {role: {group: sound[group] for group in sound if role in group}
                for role in names}
        if broken:
            keys["bob"][broken] = bytes(16)
        with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
            return {role: pool.submit(handshake.confirm_keys, names, role,
                                      Overheard(role), keys[role]) for role in names}

    assert all(done.exception() is None for done in confirm().values())
    assert {frozenset(parcel[:2]) for parcel in sent} == {frozenset(pair) for pair in (
        ("alice", "bob"), ("server", "alice"), ("server", "bob"),
        ("alice", "crypto_provider"), ("bob", "crypto_provider"))}
    assert len({parcel[3] for parcel in sent}) == len(sent)
    drawn = {stream(key, label, counter)(16)
             for key in sound.values() for label in ("", "x") for counter in range(9)}
    assert not {parcel[3] for parcel in sent} & {*sound.values(), *drawn}
    done = confirm(frozenset(("bob", "crypto_provider")))
    with pytest.raises(Disagreement,
                       match="bob and crypto_provider hold different keys of the gr"):
        raise done["crypto_provider"].exception()
    assert done["server"].exception() is None


@pytest.mark.parametrize("changes, place", [
    ({}, None), ({0: 2}, "step 0 (0/x) on;"), ({29: 2}, "step 29 (29/x) on;"),
    ({7: 3, 20: 2}, "step 7 (7/x) on;"), ({30: 1}, "step 29 (29/x) on;")])
def test_ledgers_that_differ_are_found_with_the_step(changes, place):
    """One message more or longer at one role, in a ledger that keeps them all."""
    assert difference(changes) == place


@pytest.mark.parametrize("changes, place", [
    ({}, None), ({29: 2}, "step 29 (29/x) on, or earlier;"),
    ({7: 3}, "step 29 (29/x) on, or earlier;"),
    ({7: 3, 25: 2}, "step 25 (25/x) on, or earlier;"),
    ({30: 1}, "step 29 (29/x) on, or earlier;")])
def test_ledgers_that_have_dropped_messages_are_compared_in_whole(
        monkeypatch, changes, place):
    monkeypatch.setattr(Messages, "newest", 10)
    assert difference(changes) == place


def difference(changes):
    """The place that the server is told if bob's messages have other lengths."""
    names, queues = ("server", "bob"), Queues(role_names(2), timeout=60)
    ledgers = {role: Ledger() for role in names}
    for role, ledger in ledgers.items():
        own = changes if role == "bob" else {}
        for i in range(30 + (30 in own)):
            with ledger.step(f"{i}"):
                n = own.get(i, 1)
                ledger.add_round(i, [("alice", "bob", "x", "Z_2^64", (n,), 8 * n)])
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        done = {role: pool.submit(handshake.compare_ledgers, names, role,
                                  queues.endpoint(role), ledgers[role], 30)
                for role in names}
    error = done["server"].exception()
    if error is None:
        return None
    found = re.fullmatch(r"the ledgers of bob and server differ from (.*;) all roles "
                         "must use the same shapes and steps: .*", str(error))
    return found[1]
