"""Streams repeat for whoever has the key, and differ wherever anything else differs."""

import ast
import hashlib
import pathlib

import numpy as np
import pytest
from helpers import rows_of

import mpc
from mpc import World, randomness, run_threads
from mpc.randomness import fresh_key, lesson_key, stream
from mpc.ring import Z2k
from mpc.world import make_keys

KEY = bytes(range(16))
PACKAGE = pathlib.Path(mpc.__file__).parent
SOURCES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
           for path in sorted(PACKAGE.glob("**/*.py"))}


def test_a_stream_is_shake_128_of_key_counter_and_label():
    seed = KEY + b"\x05\0\0\0\0\0\0\0" + b"relu/s Z_67*"
    assert stream(KEY, "relu/s Z_67*", 5)(40) == hashlib.shake_128(seed).digest(40)


def test_a_stream_gives_the_bytes_that_it_gave_on_the_day_this_was_written():
    assert stream(KEY, "a", 1)(16).hex() == "4b168a2de352b31bfdea6abe64ebdb39"


def test_a_longer_piece_of_a_stream_begins_with_the_shorter():
    take = stream(KEY, "a", 1)
    assert take(1000)[:10] == take(10) == stream(KEY, "a", 1)(10)


def test_streams_differ_by_key_label_and_counter():
    draws = [stream(key, label, counter)(16) for key in (KEY, KEY[::-1])
             for label in ("a", "b", "a ") for counter in (0, 1, 256, 2**40)]
    assert len(set(draws)) == 2 * 3 * 4


def test_a_lesson_key_repeats_and_differs_by_seed_and_group():
    assert lesson_key(1, "alice bob") == lesson_key(1, "alice bob")
    keys = {lesson_key(seed, name) for seed in (0, 1, 11, -1)
            for name in ("alice bob", "1 alice")}
    assert len(keys) == 8 and {len(key) for key in keys} == {16}


@pytest.mark.parametrize("seed", [
    np.int64(1), np.uint8(1), np.int32(1), np.uint64(1)], ids=repr)
def test_equal_integers_of_any_type_are_equal_seeds(seed):
    world = World(seed=1)
    assert World(seed=seed)._keys == world._keys == make_keys(world.roles, seed)
    assert lesson_key(seed, "rounding") == lesson_key(1, "rounding")
    keys = run_threads(lambda world: world._keys, seed=seed)
    assert keys == run_threads(lambda world: world._keys, seed=1)


@pytest.mark.parametrize("seed", [
    True, False, np.True_, 1.0, np.float64(1), "1", b"1", [1], (), np.array([1])],
    ids=repr)
@pytest.mark.parametrize("make", [
    lambda s: World(seed=s), lambda s: make_keys(World().roles, s),
    lambda s: run_threads(lambda world: None, seed=s)])
def test_only_a_whole_number_is_a_seed(make, seed):
    with pytest.raises(TypeError, match="seed: a .* came; give an int or None"):
        make(seed)


def test_a_seed_may_be_negative_or_large():
    seeds = -1, 1, 2**70, 2**64 - 1
    assert len({tuple(World(seed=seed)._keys.values()) for seed in seeds}) == 4


def test_a_fresh_key_comes_from_the_operating_system(monkeypatch):
    monkeypatch.setattr(randomness.os, "urandom", lambda n: b"\x2a" * n)
    assert fresh_key() == b"\x2a" * 16


def test_fresh_keys_differ():
    assert len({fresh_key() for _ in range(100)}) == 100


@pytest.mark.parametrize("seeds, equal", [
    ((None, None), False), ((1, 2), False), ((0, None), False), ((1, 1), True),
    ((0, 0), True)])
def test_masks_repeat_with_a_seed_and_only_then(seeds, equal):
    def masks(world):
        share, _ = world.deal(Z2k(64), (50,), "a")
        zero = world.zero_share(Z2k(64), (50,), "z")
        coins = world.common_coins(Z2k(64), (50,), "c")
        return np.concatenate([rows_of(v).ravel() for v in (share, zero, coins)])

    a, b = (masks(World(seed=seed)) for seed in seeds)
    assert (a == b).all() if equal else (a != b).all()
    assert len(np.unique(a)) == a.size == 250


def imported(module):
    """The names that a `module` of the package imports, and those of its attributes."""
    for node in ast.walk(ast.parse(SOURCES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and "(" not in ast.unparse(node):
            yield ast.unparse(node)


# Programs, not protocols: their generators choose public initial weights and numbers to
# measure with, and the attacks show the danger of masks made by NumPy's generator. The
# overture hides with such masks, says so at its top, and nobody imports it.
PROGRAMS = ("tiny", "train_mnist", "predict", "course", "audit.attacks",
            "audit.results")


def inside(name, rooms):
    return any(f"{name}.".startswith(f"{room}.") for room in rooms)


PROTOCOLS = [module for module in SOURCES if not inside(module, PROGRAMS)]


@pytest.mark.parametrize("module", PROTOCOLS)
def test_no_generator_but_the_streams_hides_anything(module):
    """The transport reads the clock, in order to wait."""
    weak = {name for name in imported(module)
            if name.split(".")[:2] in (["np", "random"], ["numpy", "random"])
            or inside(name, ("random", "uuid"))
            or inside(name, ["time"]) and not inside(module, ["transport"])}
    assert weak == set()


def test_no_protocol_imports_a_program_or_the_transport():
    used = {(module, name.removeprefix("mpc.")) for module in PROTOCOLS
            for name in imported(module) if name.startswith("mpc.")}
    assert {"ring", "world", "beaver"} <= {name.split(".")[0] for _, name in used}
    assert {use for use in used if inside(use[1], PROGRAMS)} == set()
    assert {(module, name) for module, name in used if inside(name, ["transport"])
            and not inside(module, ("__init__", "transport", "audit"))} == set()


@pytest.mark.parametrize("module", SOURCES)
def test_a_program_takes_only_seeded_public_numbers_from_numpys_generator(module):
    weak = {name for name in imported(module) if "random" in name.split(".")[:2]}
    allowed = {"np.random", "np.random.default_rng", "np.random.Generator"}
    assert weak <= (allowed if inside(module, PROGRAMS) else set())


def test_the_search_for_other_generators_sees_all_modules():
    assert {"world", "ring", "randomness", "securenn", "beaver", "limbs", "public",
            "audit.views", "transport.threads"} <= set(PROTOCOLS)
    for program in PROGRAMS:
        assert any(inside(module, [program]) for module in SOURCES)
    found = {name for module in SOURCES if inside(module, ["train_mnist"])
             for name in imported(module)}
    assert "np.random.default_rng" in found


def test_only_the_randomness_module_takes_bytes_from_a_source():
    """Others hash sources, messages, files, and what workers commit themselves to.

    The dealers of chapter 12 take their coins from the system and hash group elements.
    """
    users = {module for module in SOURCES for name in imported(module)
             if name in ("hashlib", "secrets", "os.urandom")}
    others = {"transport.handshake", "train_mnist.checkpoint", "train_mnist.save",
              "ledger", "seals"}
    assert "randomness" in users and users <= {"randomness", "course.dealers", *others}
    for module in others:
        source = SOURCES[module].read_text(encoding="utf-8")
        assert "urandom" not in source and source.count("hashlib.sha256(") == (
            source.count("hashlib."))
