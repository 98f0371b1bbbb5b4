"""The provider runs first, alone, and the others run without it."""

from collections import defaultdict, deque

import numpy as np
import pytest

import mpc
from mpc.transport.ahead import Ahead, Outbox, used_up
from mpc.transport.link import ProtocolError
from mpc.world import make_keys, role_names

KEYS = make_keys(role_names(2), 1)
*OTHERS, DEALER = role_names(2)


def secret(world, numbers):
    """Alice's numbers. `world.secret` would tell the provider their shape."""
    return mpc.fix_precision(np.array(numbers), rounding_seed=1, ring=world.ring).share(
        *world.workers, crypto_provider=world.crypto_provider, owner=world.alice)


def program(world):
    x, y = secret(world, [1.5, -2.0, 0.25]), secret(world, [0.5, 4.0, -1.0])
    return [(x * y).reveal(to="server"), np.sort(np.maximum(x, y)).reveal(to="alice"),
            np.sqrt(y * y).reveal(to="bob")]


def dealt(program=program, **options):
    """{role: the messages of a provider that runs the program alone}"""
    kept = defaultdict(deque)
    world = mpc.World(here=(DEALER,), keys=KEYS, **options,
                      link=Outbox(lambda parcel: kept[parcel.dst].append(parcel)))
    program(world)
    world.finish()
    return kept


def without_provider(kept, **options):
    link = Ahead(DEALER, {role: used_up(kept[role]) for role in OTHERS})
    return mpc.World(here=OTHERS, keys=KEYS, link=link, **options)


@pytest.mark.parametrize("options", [{"comparison": "carry-tree"},
                                     {"security": "abort", "seals": 1}])
def test_any_program_without_messages_to_the_provider_has_the_same_bits(options):
    together = mpc.World(seed=1, **options)
    alone = without_provider(dealt(**options), **options)
    for found, due in zip(program(alone), program(together), strict=True):
        np.testing.assert_array_equal(found, due)
    alone.finish()
    assert alone.ledger.messages.digest() == together.ledger.messages.digest()


def test_a_provider_that_waits_for_a_message_cannot_run_first():
    with pytest.raises(ProtocolError, match="^crypto_provider waits for alice at step "
                       r".*cannot work ahead; run this program with it$"):
        dealt(comparison="securenn")


def test_a_program_that_takes_more_or_less_than_was_dealt_is_stopped():
    tree = {"comparison": "carry-tree"}

    def shorter(world):
        return (secret(world, [1.5]) > 1).reveal(to="bob")

    with pytest.raises(mpc.OutOfStep, match="the end of what is dealt ahead"):
        program(without_provider(dealt(lambda world: None, **tree), **tree))
    with pytest.raises(mpc.OutOfStep, match="bob is at step"):
        program(without_provider(dealt(shorter, **tree), **tree))
    world = without_provider(dealt(**tree), **tree)
    with pytest.raises(ProtocolError, match="dealt bob more than the program took"):
        world.finish()


def test_no_message_reaches_a_provider_that_has_gone():
    world = without_provider(dealt(lambda world: None), comparison="carry-tree")
    with pytest.raises(ProtocolError, match="has dealt ahead and gone"):
        world.broadcast("alice", [1], 1)
