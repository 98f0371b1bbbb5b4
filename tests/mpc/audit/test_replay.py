"""Replay: one role run alone on its messages must send exactly its earlier messages."""

import pytest
from helpers import common, give, rows_of

from mpc import OutOfStep
from mpc.audit.replay import RecordedWorld
from mpc.audit.tags import TaggedWorld
from mpc.world import group


def test_a_replayed_role_holds_its_own_keys_only():
    world = RecordedWorld(seed=1)
    keys = world.replay("server")._keys
    assert set(keys) == {group("alice", "server"), group("bob", "server")}
    assert group("server", "crypto_provider") not in world._keys


def test_a_replay_repeats_the_protocols_of_its_simulation():
    world = RecordedWorld(3, seed=1, ring_bits=32)
    replay = world.replay("bob", kind=TaggedWorld)
    assert type(replay) is TaggedWorld and replay.here == ("bob",)
    assert len(replay.workers) == 3 and replay.ring == world.ring
    assert replay.comparison == "carry-tree" and replay.truncation == "provider"


def test_a_replayed_role_must_repeat_every_message_bit_for_bit():
    def program(world, more=0):
        x = give(world, [1, 2])
        return world.open(x=x.plus(common(world, [more])))[0]

    world = RecordedWorld(seed=1)
    program(world)
    replay = world.replay("alice")
    with pytest.raises(OutOfStep, match="alice sends x at step 3, which differs"):
        program(replay, more=1)


def test_a_replay_reports_messages_that_are_left_over_or_missing():
    world = RecordedWorld(seed=1)
    give(world, [1])
    with pytest.raises(OutOfStep, match="1 messages not received and 0 not sent"):
        world.replay("bob").finish()
    with pytest.raises(OutOfStep, match="0 messages not received and 1 not sent"):
        world.replay("server").finish()

    def longer(world):
        world.open(x=give(world, [1]))

    replay = world.replay("server")
    longer(replay)
    replay.finish()                             # the server takes no part in an opening
    with pytest.raises(OutOfStep, match="bob sends x at step 3, which differs"):
        longer(world.replay("bob"))
    replay = world.replay("server")
    y, _ = replay.deal(replay.ring, (2,), "y")
    with pytest.raises(OutOfStep, match="message that nobody sent in the simulation"):
        replay.gather("server", y=y)


def test_a_tape_keeps_messages_in_order_with_their_step():
    world = RecordedWorld(seed=1)
    share = give(world, [1, 2])
    world.open(x=share)
    assert [(p.src, p.dst, p.header, len(p.payload)) for p in world.tape] == [
        ("server", "bob", (2, "given"), 16), ("alice", "bob", (3, "x"), 16),
        ("bob", "alice", (3, "x"), 16)]
    assert world.tape[1].payload == world.ring.pack(rows_of(share)[0])
