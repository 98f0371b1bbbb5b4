"""No error message shows digits of a share: every operation is given wrong operands.

The rows of the secrets hold one digit pattern that no other number here has. To sweep
another kind of operand, add it to `OPERANDS`; the test finds its operators and methods.
"""

import copy
import inspect
import operator
import pickle
import re
from functools import partial

import numpy as np
import pytest
from helpers import common, give

import mpc
import nn
from mpc import (
    CompareCoins,
    FixedPoint,
    Local,
    Role,
    Share,
    World,
    carry_tree,
    comparison,
    run_threads,
)
from mpc.audit import tags
from mpc.audit.replay import RecordedWorld
from mpc.ring import Bits, Z2k, Z2kMinus1, Zm
from mpc.share import INSTEAD, concatenate
from mpc.world import make_keys

DIGITS = 9182736455463728190            # every element of a share is this number
RUN = 5                                 # this many of its digits in sequence are a leak
PARTS = {str(DIGITS)[i:i + RUN] for i in range(len(str(DIGITS)) - RUN + 1)}


def secret(world, shape=(2, 3), ring=None):
    """A share whose elements all are the pattern."""
    ring = ring or world.ring
    rows = np.full((len(world.workers_here), *shape), DIGITS % ring.modulus, ring.dtype)
    return Share(world, ring, world._wrap(rows, tags.SHARE))


def fixed(world, shape=(2, 3)):
    return FixedPoint(secret(world, shape))


def private(world):
    return Local("alice", tags.strip(secret(world).rows)[:1], world.ring)


# the left operands {name: value of a World}, which also serve as right ones
OPERANDS = {
    "a share": secret,
    "a vector": lambda w: secret(w, (3,)),
    "a single number": lambda w: secret(w, ()),
    "a share of another shape": lambda w: secret(w, (4, 5)),
    "a share of another ring": lambda w: secret(w, ring=Z2kMinus1(64)),
    "a share of another World": lambda w: secret(World(seed=2)),
    "a fixed-point number": fixed,
    "a revealed number": lambda w: FixedPoint(private(w)),
    "a tensor": lambda w: nn.Tensor(fixed(w), True),
}

# the right operands, wrong in most places
WRONG = {
    **OPERANDS,
    "None": lambda w: None,
    "text": lambda w: "text",
    "a float": lambda w: 0.5,
    "a complex number": lambda w: 1j,
    "a small integer": lambda w: 2,
    "a huge integer": lambda w: 10**30,
    "an array": lambda w: np.ones((7, 7)),
    "rows": lambda w: secret(w).rows,
    "an element of a row": lambda w: tags.strip(secret(w).rows).flat[0],
    "a slice by a secret": lambda w: slice(secret(w), None),
    "places by a secret": lambda w: (0, secret(w)),
    "a list of secrets": lambda w: [secret(w), secret(w)],
    "a dict": lambda w: {"x": secret(w)},
    "a local value": private,
    "coins": lambda w: CompareCoins(*[secret(w).rows] * 2, secret(w), secret(w).rows),
    "a World": lambda w: w,
    "a role": lambda w: w.workers[0],
    "a ring": lambda w: Zm(67),
}

OPERATORS = [getattr(operator, name) for name in (
    "add sub mul matmul truediv floordiv mod pow lshift rshift and_ or_ xor lt le eq "
    "ne ge gt contains getitem concat iadd imul").split()]
OPERATORS += [divmod, lambda x, y: operator.setitem(x, y, y)]
UNARY = [operator.neg, operator.pos, operator.abs, operator.invert, operator.index,
         bool, int, float, complex, len, list, hash, iter, next, reversed, round, sum,
         sorted, any, all, max, min, partial(operator.mod, "%d"), lambda x: f"{x:.3f}",
         pickle.dumps, copy.copy, copy.deepcopy, np.asarray, np.float64,
         lambda x: np.array([x, x]), lambda x: np.array([x], float)]
# Without functions of a dtype or a seed, since NumPy shows the repr of a wrong one.
NUMPY = [np.add, np.matmul, np.multiply.outer, np.add.reduce, np.mean, np.dot, np.sum,
         np.argmax, np.stack, np.concatenate, np.where, np.sort, np.linalg.norm,
         np.array_equal, np.isclose, np.full_like, np.take, np.bincount, np.einsum]
PROTOCOLS = [getattr(mpc, name) for name in mpc.__all__
             if inspect.isfunction(getattr(mpc, name)) and name != "run_threads"]
PROTOCOLS += [concatenate, carry_tree.bit_to_arithmetic, carry_tree.carry,
              carry_tree.msb, comparison.maximum, comparison.argmax_one_hot]


def texts_of(error):
    """The texts in a traceback of `error`, with those of the errors behind it."""
    while error is not None:
        notes = getattr(error, "__notes__", ())
        yield "".join(map(str, (type(error).__name__, error, *notes)))
        context = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or context


def leaks(call, *arguments):
    """The messages of `call` that show the pattern; other errors than these fail."""
    try:
        with np.errstate(all="ignore"):
            call(*arguments)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError,
            ArithmeticError, NotImplementedError, RuntimeError, MemoryError) as error:
        if isinstance(error, KeyError) and any(error.args[0] is x for x in arguments):
            return []           # a dict shows any key that it lacks
        return [text for text in texts_of(error) if any(part in text for part in PARTS)]
    return []


def arguments_of(function):
    """How many arguments besides the secret the sweep gives to a function."""
    positional = [p for p in inspect.signature(function).parameters.values()
                  if p.kind != inspect.Parameter.KEYWORD_ONLY]
    return range(1, min(len(positional), 4))


def found_in(world, x):
    """All leaks of operators, methods and protocols of `x` with wrong operands."""
    wrong = {name: make(world) for name, make in WRONG.items()}
    for function in (*UNARY, *NUMPY, *PROTOCOLS):
        yield from leaks(function, x)
    for value in wrong.values():
        for function in (*OPERATORS, *NUMPY):
            yield from leaks(function, x, value)
            yield from leaks(function, value, x)
        for function in PROTOCOLS:
            for n in arguments_of(function):
                yield from leaks(function, x, *[value] * n)
                yield from leaks(function, *[value] * n, x)
        for name in (name for name in dir(type(x)) if not name.startswith("_")):
            if callable(getattr(type(x), name)):
                for n in range(1, 4):
                    yield from leaks(getattr(x, name), *[value] * n)


WORLDS = {"SecureNN": World, "three": partial(World, 3), "tagged": tags.TaggedWorld,
          "tree": partial(World, comparison="carry-tree", truncation="provider")}
SWEEP = [(name, world) for name in OPERANDS for world in WORLDS
         if world == "SecureNN" or name == "a share"]


@pytest.mark.parametrize("name, kind", SWEEP)
def test_no_operation_with_wrong_operands_shows_digits_of_a_share(name, kind):
    world = WORLDS[kind](seed=1)
    assert not sorted(set(found_in(world, OPERANDS[name](world))))


VERBS = {
    "open": lambda w, v: (w.open(x=v), w.open(secret(w), name=v)[0]),
    "open, a wrong name": lambda w, v: w.open(secret(w), name=v),
    "gather": lambda w, v: w.gather("bob", x=v),
    "gather at": lambda w, v: w.gather(v, x=secret(w)),
    "share": lambda w, v: w.share("alice", x=(v, w.ring)),
    "share over": lambda w, v: w.share("alice", x=(secret(w).rows[:1], v)),
    "share by": lambda w, v: w.share(v, x=(secret(w).rows[:1], w.ring)),
    "share at all": lambda w, v: w.share("alice", x=v),
    "private_input": lambda w, v: w.private_input("alice", (2, 3), lambda: v),
    "private_input of integers": lambda w, v: w.private_input(
        "alice", (2, 3), lambda: v, np.uint64),
    "private_input by": lambda w, v: w.private_input(v, (2,), lambda: np.ones(2)),
    "private_input in": lambda w, v: w.private_input("alice", v, lambda: np.ones(2)),
    "broadcast": lambda w, v: w.broadcast("alice", v, 1),
    "broadcast one": lambda w, v: w.broadcast("alice", [v], 1),
    "broadcast by": lambda w, v: w.broadcast(v, [1], 1),
    "broadcast n": lambda w, v: w.broadcast("alice", [1], v),
    "has": lambda w, v: w.has(v),
    "deal": lambda w, v: w.deal(v, (2,), "x"),
    "deal in": lambda w, v: w.deal(w.ring, v, "x"),
    "deal as": lambda w, v: w.deal(w.ring, (2,), v),
    "common_coins": lambda w, v: w.common_coins(w.ring, v, "x"),
    "zero_share": lambda w, v: w.zero_share(v, (2,), "x"),
    "spend": lambda w, v: w.spend(v),
    "replay": lambda w, v: RecordedWorld(seed=1).replay(v),
    "a World of workers": lambda w, v: World(v),
    "a World of a seed": lambda w, v: World(seed=v),
    "a World of bits": lambda w, v: World(ring_bits=v),
    "a World of a comparison": lambda w, v: World(comparison=v),
    "a World of a truncation": lambda w, v: World(truncation=v),
    "keys": lambda w, v: make_keys(w.roles, v),
    "threads": lambda w, v: run_threads(lambda own: None, v),
    "a share of rows": lambda w, v: Share(w, w.ring, v),
    "a share in a ring": lambda w, v: Share(w, v, secret(w).rows),
    "rings": lambda w, v: (Z2k(v), Z2kMinus1(v), Zm(v)),
}


HUNGRY = {"a World of workers", "threads", "deal in", "common_coins"}


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_shows_digits_of_its_arguments(verb):
    for name, make in WRONG.items():
        if verb in HUNGRY and name in ("a huge integer", "an element of a row"):
            continue                        # needs more memory than there is
        world = World(seed=1)
        assert not leaks(VERBS[verb], world, make(world)), name


def test_the_sweep_would_see_a_leak():
    world = World(seed=1)

    def careless(x):
        raise TypeError(f"indexing with {x!r}")

    def chained(x):
        try:
            careless(x)
        except TypeError:
            raise ValueError("no digits here")      # noqa: B904, the chain is tested

    assert leaks(careless, secret(world)) and leaks(chained, secret(world))
    assert len(PROTOCOLS) > 15 and {"open", "private_input"} <= set(VERBS)
    assert set(dir(Share)) >= {"plus", "times", "transpose"}


@pytest.mark.parametrize("role", ["alice", "server"])
def test_an_error_in_an_owners_data_shows_place_and_type_but_no_value(role):
    world = World(seed=1, here=(role,))
    masked = np.ma.array([9912345678901234.0], mask=[True])
    for bad in (["9912345678901234"], [2**53 + 1], [1j], [-1.5e300, None],
                [[1], [1, 2]], masked, object()):
        if role == "server":                                # which does not load them
            world.private_input("alice", (1,), lambda bad=bad: bad)
            continue
        with pytest.raises(ValueError) as stopped:
            world.private_input("alice", (1,), lambda bad=bad: bad)
        assert not re.search(r"99123|90071|1.5e", "".join(texts_of(stopped.value)))


# ---- NumPy's functions


@pytest.mark.parametrize("function", [
    np.mean, np.sum, np.argmax, np.max, np.dot, np.stack, np.add.reduce, np.sort,
    np.exp, np.where, np.shape, np.concatenate, np.vstack, np.round, np.array_equal],
    ids=lambda f: f.__name__)
def test_a_function_of_numpy_is_refused(world, function):
    x = give(world, [[1, 2], [3, 4]])
    arguments = [x, x] if function in (np.dot, np.array_equal) else [x]
    if function in (np.stack, np.concatenate, np.vstack):
        arguments = [[x, x]]
    with pytest.raises(TypeError, match="take shares: use (.*x|mpc|its own operators)"):
        function(*arguments)


@pytest.mark.parametrize("name", INSTEAD)
def test_the_remedies_of_a_refusal_exist(world, name):
    x, scope = give(world, [[1, 2], [3, 4]]), {"mpc": mpc}
    for code in re.findall(r"(?:mpc|x)(?:\.\w+)+", INSTEAD[name]):
        eval(code, {**scope, "x": x})


@pytest.mark.parametrize("convert", [
    np.asarray, np.array, np.float64, lambda x: np.array([x, x]),
    lambda x: np.asarray(x, object), lambda x: np.array([[x]])])
def test_no_array_is_made_of_a_share(world, convert):
    with pytest.raises(TypeError, match="a share is no array.* reveal it first"):
        convert(give(world, [1, 2]))


def test_a_simulation_shows_the_rows(world):
    x = give(world, [1, 2])
    assert tags.strip(x.rows).shape == (2, 2) and str(tags.strip(x.rows)[0]) in repr(x)


# ---- copies


class Model:
    def __init__(self, world):
        self.weight = mpc.fix_precision(np.ones((2, 2))).share(
            *world.workers, crypto_provider=world.crypto_provider)
        self.workers, self.moments = world.workers, [self.weight.value]


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, pickle.dumps,
                                  lambda w: copy.deepcopy({"world": w})])
def test_a_world_is_neither_copied_nor_pickled(make):
    world = World(seed=1)
    with pytest.raises(TypeError, match="not copied or pickled.* make another"):
        make(world)


def test_a_share_is_a_value_and_its_copy_is_itself(world):
    x = give(world, [1, 2])
    mpc.multiply(x, x)
    assert copy.copy(x) is x and copy.deepcopy([x])[0] is x
    assert all(copy.deepcopy(role) is role is copy.copy(role) for role in world.workers)


def test_a_copied_model_computes_over_the_same_world_with_other_coins():
    world = World(seed=1)
    model = Model(world)
    twin = copy.deepcopy(model)
    assert twin.weight is not model.weight and twin.weight.value.world is world
    assert twin.workers == model.workers and twin.moments[0].world is world
    masks = [w.weight.refresh().value.rows for w in (model, twin)]
    assert not (masks[0] == masks[1]).any()
    product = (twin.weight @ model.weight).get().float_precision()
    np.testing.assert_allclose(product, [[2, 2], [2, 2]], atol=0.01)


@pytest.mark.parametrize("history", [
    lambda x: None, lambda x: mpc.multiply(x, x), mpc.relu])
@pytest.mark.parametrize("hold", [
    lambda x: x, FixedPoint, lambda x: [x], lambda x: {"x": x.T}])
def test_no_share_is_pickled_with_any_history(history, hold):
    x = give(World(seed=1), [[1, 2], [3, 4]])
    history(x)
    with pytest.raises(TypeError, match="a share is not pickled: .*keys.* reveal it"):
        pickle.dumps(hold(x))


def test_a_local_value_is_pickled_alone():
    world = World(seed=1)
    one = mpc.fix_precision(world.private_input("alice", (2,), lambda: [1.5, 2])).share(
        *world.workers, crypto_provider=world.crypto_provider)
    text = pickle.dumps(one.get())
    assert pickle.loads(text).float_precision().tolist() == [1.5, 2]
    assert not any(key in text for key in world._keys.values()) and b"World" not in text
    assert isinstance(copy.deepcopy(one.get()).value, Local)


def test_a_role_is_not_pickled_with_its_world():
    with pytest.raises(TypeError, match="a World is not copied or pickled"):
        pickle.dumps(World(seed=1).server)
    assert isinstance(World().server, Role)


def test_keys_are_in_no_repr():
    world = World(seed=1)
    shown = world, *world.workers, give(world, [1]), Bits(), world.ledger
    text = " ".join(map(repr, shown))
    for key in world._keys.values():
        assert repr(key) not in text and key.hex() not in text
    assert "beta" not in repr(common(world, [1]))
