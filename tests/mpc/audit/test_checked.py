"""A checked World: notices at the operation what only the values show, and changes nothing."""

import numpy as np
import pytest
from helpers import rows_of

import mpc
import nn
from mpc import OutOfRange, World, fix_precision
from mpc.audit.checked import PUBLIC, REFERENCES
from mpc.audit.replay import RecordedWorld
from mpc.audit.tags import TaggedWorld


def shared(world, array, **how):
    x = fix_precision(array, ring=world.ring, **how)
    return x.share(*world.workers, crypto_provider=world.crypto_provider)


# ---- what it notices: a program, and the operation that it names

LARGE = [
    ("s(4e6) * s(4e6)",
     r"^\*: a number of size 1.6e\+13 came where 3 digits in base 10 over "
     r"Z_2\^64 leave room for 4.3e\+12; scale the data, take fewer digits or a larger ring$"),
    ("s([[4e6, 4e6]]) @ s([[1e6], [4e6]])", r"^@: a number of size 2.0e\+13"),
    ("s(3e6) ** 2", r"^\*\*: a number of size 9.0e\+12"),
    ("s([2e15, 2e15, 2e15]).sum()",
     r"^sum: a number of size 6.0e\+15 .* leave room for 4.3e\+15"),
    ("s(2e15) + s(2e15) + s(2e15)", r"^\+: a number of size 6.0e\+15"),
    ("s(2e15) - s(-2e15) - s(-2e15) > 0", r"^-: a number of size 6.0e\+15"),
    ("s(2e15) * 3", r"^\*: a number of size 6.0e\+15"),
    ("s(2e15) / 0.1", r"^/: a number of size 2.0e\+16"),
    ("s(1e10) * np.full(1, 12345.678)", r"^\*: a number of size 1.2e\+14"),
    ("np.full((1, 1), 12345.678) @ s([[1e10]])", r"^@: a number of size 1.2e\+14"),
    ("(s([4e6]) * s([4e6])).relu()", r"^\*: a number of size 1.6e\+13"),
    ("nn.mse_loss(nn.Tensor(s([[4e6]])), nn.Tensor(s([[0.0]])))",
     r"^\*\*: a number of size"),
]


@pytest.mark.parametrize("line, message", LARGE)
@pytest.mark.parametrize("public", [False, True])
def test_a_number_that_leaves_its_range_is_named_with_operation_size_limit_and_remedy(
        line, message, public):
    world = World(seed=1, checked=True)
    s = fix_precision if public else lambda array: shared(world, array)
    with pytest.raises(OutOfRange, match=message):
        eval(line, {"s": s, "np": np, "nn": nn})
    if not public:
        unchecked = World(seed=1)
        eval(line,
             {"s": lambda array: shared(unchecked, array), "np": np,
                  "nn": nn})    # in silence


def test_a_local_truncation_that_failed_is_noticed_and_the_provider_s_named_as_the_remedy():
    world = World(seed=1, checked=True, truncation="local")
    with pytest.raises(OutOfRange,
                       match="^get: .* results are wrong by up to .*: a product wrapped "
                                         "around or a truncation failed; .*; make the World with "
                                         "truncation='provider', or scale the data$"):
        (shared(world, np.full(200, 1e6)) * shared(world, np.full(200, 4e6))).get()


def test_numbers_up_to_the_limits_are_right_and_raise_nothing():
    world, n = World(seed=1, checked=True), 2000
    limits = fix_precision(0.0).limits
    assert limits == mpc.FixedPoint(fix_precision(0.0).value).limits
    value, product = limits.value * 0.999999, np.sqrt(limits.product) * 0.999999
    x = shared(world, np.linspace(-value, value, n))
    assert np.array_equal((x > -x).get().float_precision(), np.linspace(-1, 1, n) > 0)
    p = shared(world, np.linspace(-product, product, n))
    exact = np.linspace(-product, product, n) ** 2
    assert np.abs((p * p).get().float_precision() - exact).max() <= 2 * product * 0.0005 + 0.002
    public = limits.public * 0.999999
    np.testing.assert_allclose((shared(world, [public, -public]) * 0.987654).get()
                               .float_precision(),
                               [public * 0.987654, -public * 0.987654],
                               rtol=1e-6)


# ---- teeth: operations that are wrong are found out

@pytest.mark.parametrize("name, line", [
    ("+", "x + y"), ("-", "x - y"), ("*", "x * y"), ("*", "x * 0.3"), ("*", "x * P"),
    ("/", "x / 7"), ("@", "x @ y.T"), ("@", "x @ P.T"), ("@", "P.T @ x"),
    ("**", "x ** 2"), ("sum", "x.sum(0)"), ("drelu", "x > y"), ("eq", "x.eq(y)"),
    ("max", "x.max(1)"), ("argmax", "x.argmax(1)"),
    ("argmax", "x.argmax(1, one_hot=True)"), ("get", "(x * y).get()"),
    ("concatenate", "mpc.concatenate([x, y * x])"),
])
@pytest.mark.parametrize("kind", ["secret", "public"])
def test_an_operation_that_gives_something_else_is_noticed(name, line, kind,
                                                           monkeypatch):
    """The reference is moved by just over twice its bound, which is as good as a wrong result."""
    rng = np.random.default_rng(5)
    a, b = rng.permutation(np.arange(-6, 6)).reshape(3, 4), rng.normal(size=(3, 4))
    world = World(seed=1, checked=True)
    make = fix_precision if kind == "public" else lambda array: shared(world, array)
    names = {"x": make(a), "y": make(b), "P": np.round(b, 2), "mpc": mpc}
    eval(line,
         names)                                           # right: nothing is raised

    def moved(reference):
        def run(*args, **options):
            expected, bound = reference(*args, **options)
            first = (np.arange(np.size(expected)) == 0).reshape(np.shape(expected))
            return expected + first * (2.01 * np.minimum(bound, 1) + 1e-9), bound
        return run

    monkeypatch.setattr("mpc.audit.checked.REFERENCES",
                        {**REFERENCES, name: moved(REFERENCES[name])})
    monkeypatch.setattr("mpc.audit.checked.PUBLIC",
                        {key: moved(f) for key, f in PUBLIC.items()})
    with pytest.raises(OutOfRange, match=r": 1 of \d+ results are wrong by up to"):
        eval(line, names)


# ---- it only looks

def program(world):
    x, y = shared(world, [[1.0, -2.0], [0.5, 4.0]]), shared(world,
                                                            [[0.5, 0.25], [-1.0, 2.0]])
    w = nn.Tensor(y, True)
    loss = nn.mse_loss((nn.Tensor(x) @ w).relu(), nn.Tensor(x))
    loss.backward()
    nn.SGD([w], 0.1).step()
    return [w.value, loss.value, x.max(1), x.argmax(0), mpc.concatenate([x > y, x * y]),
            x.eq(y) / 3]


@pytest.mark.parametrize("n_workers, how",
                         [(2, {}), (2, {"truncation": "local"}), (3, {}),
                                            (2, {"comparison": "carry-tree",
                                                     "ring_bits": 48})])
def test_all_shares_and_messages_are_those_of_an_unchecked_world(n_workers, how):
    worlds = [RecordedWorld(n_workers, seed=1, checked=checked, **how)
              for checked in (False, True)]
    for plain, checked in zip(*map(program, worlds)):
        np.testing.assert_array_equal(rows_of(plain), rows_of(checked))
    assert worlds[0].tape == worlds[1].tape


def test_a_tagged_world_may_be_checked_too():
    program(TaggedWorld(seed=1, checked=True))


# ---- where it cannot be

@pytest.mark.parametrize("run", [
    lambda: mpc.run_threads(lambda world: None, checked=True),
    lambda: RecordedWorld(seed=1).replay("alice", checked=True),
    lambda: World(here=("alice",), keys={}, checked=True)],
    ids=["threads", "replay", "one role"])
def test_roles_apart_cannot_compare(run):
    with pytest.raises(ValueError,
                       match="checked=True compares shares with plain numbers, which only "
                                         "a simulation of all roles in one process can"):
        run()


def test_a_recorded_checked_simulation_is_replayed_without_the_comparison():
    world = RecordedWorld(seed=1, checked=True)
    program(world)
    for role in world.roles:
        alone = world.replay(role)
        assert not alone.checked
        program(alone)
        alone.finish()
