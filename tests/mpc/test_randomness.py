"""Streams are repeatable to those who hold the key, and different wherever anything differs."""

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
SOURCES = sorted(pathlib.Path(mpc.__file__).parent.glob("**/*.py"))


def test_a_stream_is_shake_128_of_key_counter_and_label():
    expected = hashlib.shake_128(KEY + b"\x05\0\0\0\0\0\0\0" + b"relu/s Z_67*").digest(40)
    assert stream(KEY, "relu/s Z_67*", 5)(40) == expected


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
    keys = {lesson_key(seed, name) for seed in (0, 1, 11, "1") for name in ("alice bob", "1 alice")}
    assert len(keys) == 8 and {len(key) for key in keys} == {16}


@pytest.mark.parametrize("seed", [np.int64(1), np.uint8(1), np.int32(1), np.uint64(1)], ids=repr)
def test_equal_integers_are_equal_seeds_whatever_their_type(seed):
    assert World(seed=seed)._keys == World(seed=1)._keys == make_keys(World(seed=1).roles, seed)
    assert lesson_key(seed, "rounding") == lesson_key(1, "rounding") != lesson_key("1", "rounding")
    keys = run_threads(lambda world: world._keys, seed=seed)
    assert keys == run_threads(lambda world: world._keys, seed=1)


@pytest.mark.parametrize("seed", [True, False, np.True_, 1.0, np.float64(1), "1", b"1", [1], (),
                                  np.array([1])], ids=repr)
@pytest.mark.parametrize("make", [lambda s: World(seed=s), lambda s: make_keys(World().roles, s),
                                  lambda s: run_threads(lambda world: None, seed=s)])
def test_what_is_no_integer_is_no_seed(make, seed):
    with pytest.raises(TypeError, match="a seed is a whole number, not a .*None for fresh keys"):
        make(seed)


def test_a_negative_or_a_large_seed_is_one_too():
    keys = [tuple(World(seed=seed)._keys.values()) for seed in (-1, 1, 2**70, 2**64 - 1)]
    assert len(set(keys)) == 4


def test_a_fresh_key_comes_from_the_operating_system(monkeypatch):
    monkeypatch.setattr(randomness.os, "urandom", lambda n: b"\x2a" * n)
    assert fresh_key() == b"\x2a" * 16


def test_fresh_keys_differ():
    assert len({fresh_key() for _ in range(100)}) == 100


@pytest.mark.parametrize("seeds, equal", [
    ((None, None), False), ((1, 2), False), ((0, None), False), ((1, 1), True), ((0, 0), True)])
def test_masks_repeat_with_a_seed_and_only_then(seeds, equal):
    def masks(world):
        share, clear = world.deal(Z2k(64), (50,), "a")
        zero = world.zero_share(Z2k(64), (50,), "z")
        return np.concatenate([rows_of(v).ravel() for v in (
            share, zero, world.common_coins(Z2k(64), (50,), "c"))])

    a, b = (masks(World(seed=seed)) for seed in seeds)
    assert (a == b).all() if equal else (a != b).all()
    assert len(np.unique(a)) == a.size == 250


def imported(path):
    """The modules that the file at `path` imports, and the names it takes from attributes."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and "(" not in ast.unparse(node):
            yield ast.unparse(node)


# Programs, not protocols: their generators choose public initial weights and numbers to measure
# with, and in the labs show what becomes of masks that NumPy's generator made. The overture hides
# with such masks, says so at its top, and is imported by nobody.
PROGRAMS = {"tiny", "train_mnist", "options", "save", "costs", "forecast", "mpi", "guard", "labs", "show",
            "graph", "exercises"}
PROTOCOLS = [path for path in SOURCES if path.stem not in PROGRAMS]


@pytest.mark.parametrize("path", PROTOCOLS, ids=lambda path: path.name)
def test_no_generator_but_the_streams_hides_anything(path):
    weak = {name for name in imported(path) if name.split(".")[:2] == ["np", "random"]
            or name.split(".")[:2] == ["numpy", "random"]
            or name.split(".")[0] in ("random", "uuid", "time")}
    assert weak == set()


def test_no_protocol_imports_a_program():
    """The package itself begins with the guard, before NumPy."""
    used = {name.split(".")[1] for path in PROTOCOLS for name in imported(path)
            if name.startswith("mpc.") and (path.stem, name) != ("__init__", "mpc.transport.supervisor")}
    assert used & PROGRAMS == set() and {"ring", "world", "beaver"} <= used


def test_a_program_takes_numpys_generator_for_nothing_but_seeded_public_numbers():
    for path in SOURCES:
        weak = {name for name in imported(path) if "random" in name.split(".")[:2]}
        assert weak <= ({"np.random", "np.random.default_rng"} if path.stem in PROGRAMS else set())


def test_the_search_for_other_generators_sees_all_modules():
    names = {path.stem for path in SOURCES}
    assert {"world", "ring", "randomness", "securenn", "beaver", "fixed_point", "provider"} <= names
    assert PROGRAMS <= names
    train = next(path for path in SOURCES if path.name == "train_mnist.py")
    assert "np.random.default_rng" in set(imported(train))


def test_only_the_randomness_module_knows_where_bytes_come_from():
    """Besides, `mpi` hashes the program's source, to compare versions."""
    users = {path.stem for path in SOURCES for name in imported(path)
             if name.split(".")[0] in ("hashlib", "secrets") or name == "os.urandom"}
    assert users == {"randomness", "mpi"}
    mpi = next(path for path in SOURCES if path.name == "mpi.py").read_text(encoding="utf-8")
    assert mpi.count("hashlib.") == 1 and "urandom" not in mpi
