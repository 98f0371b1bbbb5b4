"""Seals: sealed programs give the same numbers, and a worker who cheats is caught."""

import hashlib
from collections import Counter
from math import sqrt

import numpy as np
import pytest
from helpers import everywhere, give, reconstruct
from pytest import approx

import nn
from mpc import (
    World,
    beaver,
    carry_tree,
    comparison,
    run_threads,
    seals,
    sorting,
    truncation,
)
from mpc.audit.attacks import CheatingWorld, cheat
from mpc.audit.views import Watched
from mpc.masks import MaskReused
from mpc.randomness import stream
from mpc.ring import Bits, Z2k, Z2kMinus1
from mpc.seals import Cheated, Seals
from mpc.share import Share

BITS = Bits()
SEALED = {"security": "abort", "seals": 2}
RNG = np.random.default_rng


def sealed(n_workers=2, **options):
    return World(n_workers, **{**SEALED, "seed": 1, **options})


def signed(world, numbers):
    return give(world, world.ring.from_int(np.asarray(numbers)))


def values_of(share):
    """The secret of a simulation, from the rows without seals."""
    rows = share.world.values_in(np.asarray(share.rows), share.ring)
    return share.ring.value(share.ring.sum(rows, axis=0))


def fits_its_seals(share):
    """Is each seal of the share alpha times its secret?"""
    seals, ring = share.world.seals, share.ring
    n, (_, alpha) = seals.number(ring), seals._key(ring)
    rows = np.asarray(share.rows).reshape(-1, 1 + n, *share.shape)
    x, *m = ring.sum(rows, axis=0)
    return all(np.array_equal(m_i, ring.mul(alpha_i, x))
               for m_i, alpha_i in zip(m, alpha[0], strict=True))


# ---- answers

STEPS = {
    "multiply": (lambda x: beaver.multiply(x, x), lambda n: n * n),
    "matmul": (lambda x: beaver.matmul(x, x.T), lambda n: n @ n.T),
    "truncate": (lambda x: truncation.truncate(x, 8), lambda n: n / 8),
    "drelu": (carry_tree.drelu, lambda n: n >= 0),
    "drelu of few bits": (lambda x: comparison.drelu(x, 4), lambda n: n >= 0),
    "is_zero": (carry_tree.is_zero, lambda n: n == 0),
    "at_least": (lambda x: carry_tree.at_least(x, np.array([-3, 4])),
                 lambda n: np.stack([n >= -3, n >= 4])),
    "relu": (comparison.relu, lambda n: np.maximum(n, 0)),
    "relu after a product": (
        lambda x: comparison.relu(beaver.multiply(x, x).plus(-9 % 2**64)),
        lambda n: np.maximum(n * n - 9, 0)),
    "all_pairs": (comparison.all_pairs, lambda n: np.eye(3)[n.argmax(-1)]),
    "tournament": (lambda x: comparison.tournament(x)[1],
                   lambda n: np.eye(3)[n.argmax(-1)]),
    "maximum": (comparison.maximum, lambda n: n.max(-1)),
    "public numbers": (lambda x: x.plus(5).times(3) - x.sum(0), lambda n: (
        (n + 5) * 3 - n.sum(0)))}
NUMBERS = np.array([[5, -3, 0], [7, 7, -2**30], [-1, 1, 2**20]])


@pytest.mark.parametrize("n_workers", [2, 3])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_gives_the_same_number_with_seals_that_fit(step, n_workers):
    """In a tagged simulation, by replay of each role, and in threads, bit for bit."""
    protocol, plain = STEPS[step]
    numbers = {"drelu of few bits": NUMBERS * 4}.get(step, NUMBERS)
    if step in ("multiply", "matmul", "relu after a product"):
        numbers = NUMBERS // 2**12

    def program(world):
        return {"y": protocol(signed(world, numbers))}

    world, found = everywhere(program, n_workers, **SEALED)
    y, due = found["y"], plain(numbers)
    if step == "truncate":
        assert np.abs(world.ring.to_int(values_of(y)) - due).max() < 1
    else:
        np.testing.assert_array_equal(world.ring.to_int(values_of(y)), due)
    plain_copy = Share(world, y.ring, np.asarray(y.rows))
    assert fits_its_seals(plain_copy)
    world.seals.check()
    assert world.seals.waiting == 0 and not world.seals.void


@pytest.mark.parametrize("owner", ["server", "alice", "worker3", "crypto_provider"])
def test_an_owner_shares_and_one_role_gets_it_everywhere(owner):
    def program(world):
        x = give(world, np.arange(6, dtype=np.uint64).reshape(2, 3), owner=owner)
        one, = world.gather("bob", x=x)
        two, three = world.gather("server", x=x + x, y=x.times(5))
        return {"x": x, "one": one, "two": two, "three": three}

    world, found = everywhere(program, 3, **SEALED)
    for name, factor in (("one", 1), ("two", 2), ("three", 5)):
        assert found[name].shape == (1, 1, 2, 3)
        np.testing.assert_array_equal(
            np.asarray(found[name]).reshape(2, 3), factor * np.arange(6).reshape(2, 3))


def test_packed_bits_are_shared_and_gathered():
    world, bits = sealed(), np.arange(16, dtype=np.uint8).reshape(2, 8)
    x = give(world, bits, BITS)
    rows, = world.gather("alice", x=x.plus(255))
    np.testing.assert_array_equal(BITS.sum(rows, axis=1)[0], bits ^ 255)
    assert fits_its_seals(x)


def test_a_fixed_point_program_in_checked_mode():
    world, rng = sealed(3, checked=True), RNG(0)
    a, b = rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
    x, y = world.secret(a, "alice"), world.secret(b, "server")
    np.testing.assert_allclose((x @ y).reveal(), a @ b, atol=0.01)
    np.testing.assert_allclose((1 / (x * x + 1)).reveal(), 1 / (a * a + 1), atol=0.01)
    np.testing.assert_allclose(np.sort(x, axis=0).reveal(), np.sort(a, axis=0),
                               atol=0.001)
    assert (x > 0).reveal(to="bob").tolist() == (a > 0).tolist()
    assert world.comparison == "carry-tree" and world.ring == Z2k(44, spare=20)


def test_seals_are_checked_in_between_when_many_wait():
    world = sealed()
    world.seals.limit = 500         # an opening here takes 800 bytes
    x = signed(world, np.arange(50))
    for _ in range(4):
        x = beaver.multiply(x, x).times(0).plus(3)
    assert world.ledger.calls["multiply/check"] == world.seals.checks == 3
    assert (world.seals.waiting, world.seals.waited) == (800, 3200)


# ---- prices


def elements(ledger, offline, since=0):
    """How many elements travel, by ring."""
    found = Counter()
    for m in ledger.messages[since:]:
        if m.offline == offline:
            found["bits" if m.ring == "bits" else "numbers"] += int(np.prod(m.shape))
    return found


@pytest.mark.parametrize("n_workers", [2, 3])
@pytest.mark.parametrize("step", [s for s in STEPS if s != "matmul"])
def test_online_only_values_travel_and_offline_each_number_has_its_seals(
        step, n_workers):
    protocol, _ = STEPS[step]
    honest = World(n_workers, seed=1, ring_bits=44, comparison="carry-tree")
    costly = sealed(n_workers)
    for world in (honest, costly):
        x, world.since = signed(world, NUMBERS // 2**12), len(world.ledger.messages)
        if world.seals:             # the keys' first use sends nothing
            world.one(BITS, ()), world.one(world.ring, ())
        protocol(x)
    online = [elements(w.ledger, False, w.since) for w in (honest, costly)]
    assert online[0] == online[1]
    assert (honest.ledger.cost(honest.since).rounds
            == costly.ledger.cost(costly.since).rounds)
    dealt, more = (elements(w.ledger, True, w.since) for w in (honest, costly))
    for kind, n in (("numbers", 2), ("bits", 40)):
        masks = online[0][kind] // (n_workers * (n_workers - 1))
        assert more[kind] == (1 + n) * dealt[kind] + n * masks


def test_a_result_takes_six_rounds_and_an_input_one():
    world = sealed(3)
    x = signed(world, np.arange(10))
    cost = world.ledger.cost()
    assert (cost.rounds, cost.nbytes) == (1, 3 * 10 * 8)
    since = len(world.ledger.messages)
    world.gather("server", x=x)
    cost = world.ledger.cost(since)
    sigma = 8 * (2 + 40 * seals.ROWS)
    check = 6 * (32 + 32 + 32 + 32 + 16 + sigma)
    told = 3 * (10 * 6 + 10 * 6 + 16)           # values, pads and nonces
    assert (cost.rounds, cost.nbytes) == (6, 6 * 80 + check + told)


# ---- every message of a batch, altered


class Net(nn.Module):
    def __init__(self, rng):
        self.one, self.two = nn.Linear(6, 4, rng), nn.Linear(4, 3, rng)
        self.activation = nn.ReLU()

    def forward(self, x):
        return self.two(self.activation(self.one(x)))


def batch(world):
    """One step of training and an answer: a loss, an answer and a weight."""
    rng = RNG(3)
    model = Net(rng).map(lambda p: world.secret(p, "server"))
    pictures = world.secret(rng.normal(size=(5, 6)), "bob")
    labels = world.secret(np.eye(3)[rng.integers(0, 3, 5)], "alice")
    loss = nn.mse_loss(model(nn.Tensor(pictures)), nn.Tensor(labels))
    loss.backward()
    nn.SGD(model.parameters(), 0.02).step()
    answer = np.argmax(model(nn.Tensor(pictures)).value, axis=1)
    return [v.reveal(to="server") for v in (
        loss.value, answer, model.one.weight.value)]


class Lie:
    """Alters the message of number `which`, and counts all messages."""

    def __init__(self, how, which=None, rng=None):
        self.how, self.which, self.rng = how, which, rng or RNG(0)
        self.labels, self.earlier = [], {}

    def __call__(self, label, ring, rows):
        self.labels.append(label)
        kind, told = (str(ring), rows.shape), rows
        if self.which == len(self.labels) - 1:
            told = self.how(ring, rows.copy(), self.rng, self.earlier.get(kind))
        self.earlier[kind] = rows
        return told


def one_bit(ring, rows, rng, _):
    flat = rows.reshape(-1)
    i, bit = rng.integers(flat.size), rng.integers(8 if ring == BITS else ring.bits)
    flat[i] = ring.add(flat[i], np.array(1 << int(bit), ring.dtype))
    return rows


def garbage(ring, rows, rng, _):
    return ring.uniform(lambda n: rng.bytes(n), rows.shape)


def zeros(ring, rows, *_):
    return rows * 0


def replay(ring, rows, rng, earlier):
    if earlier is None or np.array_equal(earlier, rows):
        return garbage(ring, rows, rng, None)
    return earlier


def negated(ring, rows, *_):
    return ring.neg(rows) if ring != BITS else ~rows


def cancelling(ring, rows, rng, _):
    """Errors that sum to 0, in two elements; in one they are the top bit alone."""
    flat = rows.reshape(-1)
    error = np.array(1 << (7 if ring == BITS else ring.bits - 1), ring.dtype)
    flat[0], flat[-1] = ring.add(flat[0], error), ring.sub(flat[-1], error)
    return rows if flat.size > 1 else one_bit(ring, rows, rng, None)


HOW = [one_bit, garbage, zeros, replay, negated, cancelling]


def altered(how, n_workers):
    """The messages whose alteration nobody noticed; without bob's of his data's shape.

    The data themselves, "value", are his own: no protocol can dispute them.
    """
    labels, escaped = Lie(how), []
    cheat(batch, labels, n_workers=n_workers, seed=1, **SEALED)
    for which, label in enumerate(labels.labels):
        lie = Lie(how, which, RNG(which))
        if label != "broadcast" and not cheat(
                batch, lie, n_workers=n_workers, seed=which, **SEALED)[1]:
            escaped.append(label)
    return escaped


@pytest.mark.parametrize("n_workers", [2, 3])
def test_a_bit_changed_in_any_message_is_caught(n_workers):
    lie = Lie(one_bit)
    found, error = cheat(batch, lie, n_workers=n_workers, seed=1, **SEALED)
    assert error is None and len(lie.labels) == 84
    honest = batch(World(n_workers, seed=1, ring_bits=44, comparison="carry-tree"))
    for mine, theirs in zip(found, honest, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=0.01)
    assert altered(one_bit, n_workers) == ["value"]


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW[1:], ids=lambda how: how.__name__)
def test_any_message_altered_in_any_way_is_caught(how):
    assert altered(how, n_workers=3) == ["value"]


def test_without_seals_nobody_notices():
    def twist(label, ring, rows):
        return ring.add(rows, 2**30) if label.endswith("matmul/epsilon") else rows

    honest = {"seed": 1, "ring_bits": 44, "comparison": "carry-tree"}
    wrong, error = cheat(batch, twist, **honest)
    assert error is None
    assert not np.allclose(wrong[0], batch(World(**honest))[0], atol=0.1)
    assert cheat(batch, twist, seed=1, **SEALED)[1] is not None


# ---- after a failure


def caught_world():
    world = CheatingWorld(lie=lambda label, ring, rows: ring.add(rows, 1), **SEALED)
    with pytest.raises(Cheated, match="^a worker cheated: .* make another World$"):
        world.gather("server", x=signed(world, [1, 2, 3]))
    return world


def test_after_a_failure_the_world_is_void():
    world = caught_world()
    assert world.seals.void and not world._keys
    for verb in (lambda: signed(world, [1]), lambda: world.broadcast("alice", [1], 1),
                 lambda: world.deal(world.ring, (2,), "a")):
        with pytest.raises(Cheated, match="make another"):
            verb()


def test_the_error_names_no_worker():
    """With three workers, nobody knows whose message was wrong."""
    lie, names = Lie(one_bit), ("alice", "bob", "worker3")
    cheat(batch, lie, n_workers=3, seed=1, **SEALED)
    for which in range(10, 84, 5):
        lie = Lie(one_bit, which, RNG(which))
        _, error = cheat(batch, lie, n_workers=3, seed=1, **SEALED)
        assert error and not any(name in str(error) for name in names)


@pytest.mark.parametrize("who", ["bob", "server"])
def test_equivocation_is_caught(who):
    """In threads, where two workers can hear different things of one role."""
    class Equivocating(World):
        def _exchange(self, messages):
            if self.here == (who,):
                messages = [
                    (src, dst, name, ring, ring.add(rows, 1)
                     if (src, dst) == (who, "worker3") and len(rows) else rows)
                    for src, dst, name, ring, rows in messages]
            return super()._exchange(messages)

    def program(world):
        x = signed(world, [1, 2, 3])
        return world.gather("server", x=beaver.multiply(x, x))

    with pytest.raises(Cheated):
        run_threads(program, 3, kind=Equivocating, timeout=20, **SEALED)
    assert len(run_threads(program, 3, **SEALED)) == 5


def test_a_worker_that_tells_the_receiver_something_else_is_caught():
    def twist(label, ring, rows):
        return ring.add(rows, 1) if rows.shape[1:] == (5,) and ring.bits == 44 and (
            ring.spare == 0) else rows

    world = CheatingWorld(lie=twist, **SEALED)
    with pytest.raises(Cheated, match="told a role different numbers"):
        world.gather("server", x=signed(world, range(5)))


# ---- guards: without one of them an attack succeeds


def lies_in(name, error=1):
    def lie(label, ring, rows):
        return ring.add(rows, error) if label.split("/")[-1] == name else rows
    return lie


def escapes(world, opened):
    try:
        opened(world)
        world.seals.check()
    except Cheated:
        return False
    return True


def opens_numbers(world):
    r, _ = world.deal(world.ring, (4,), "r")
    world.open(epsilon=r)


def test_a_skipped_check_lets_a_lie_through(monkeypatch):
    world = CheatingWorld(lie=lies_in("epsilon"), **SEALED)
    assert not escapes(world, opens_numbers)
    monkeypatch.setattr(Seals, "check", lambda self: None)
    assert escapes(CheatingWorld(lie=lies_in("epsilon"), **SEALED), opens_numbers)


def test_an_opening_that_is_not_remembered_can_be_a_lie(monkeypatch):
    def program(world):
        opens_numbers(world)
        r, _ = world.deal(world.ring, (1,), "r")
        world.open(delta=r)

    assert not escapes(CheatingWorld(lie=lies_in("delta"), **SEALED), program)
    remember = Seals.remember
    monkeypatch.setattr(Seals, "remember", lambda self, rows, opened, ring: (
        remember(self, rows, opened, ring) if opened.size == 4 else None))
    assert escapes(CheatingWorld(lie=lies_in("delta"), **SEALED), program)


def adds_to_his_seals(monkeypatch, guess):
    """Bob adds an error to a share, and `guess` times the error to his seals."""
    remember = Seals.remember

    def cheating(self, rows, opened, ring):
        rows = rows.copy()
        n = self.number(ring)
        rows[2 + n:] = ring.add(rows[2 + n:], guess)
        remember(self, rows, opened, ring)

    monkeypatch.setattr(Seals, "remember", cheating)
    return CheatingWorld(lie=lies_in("epsilon", 1), **SEALED)


def test_a_known_alpha_lets_a_worker_forge_seals(monkeypatch):
    with monkeypatch.context() as patch:
        assert not escapes(adds_to_his_seals(patch, 5), opens_numbers)
    key = Seals._key

    def constant(self, ring):
        alpha, known = key(self, ring)
        alpha = np.concatenate([alpha[:1] * 0 + 3, alpha[1:] * 0 + 2])
        return alpha, known * 0 + 5

    monkeypatch.setattr(Seals, "_key", constant)
    assert escapes(adds_to_his_seals(monkeypatch, 5), opens_numbers)


@pytest.mark.parametrize("known", [False, True])
def test_coefficients_known_early_let_errors_cancel(known, monkeypatch):
    """With chi known, e_0 = chi_1 and e_1 = -chi_0 cancel in the only sum."""
    if known:
        private = Seals._private
        monkeypatch.setattr(Seals, "_private", lambda self, size, name: (
            private(self, size, name) * (name != "seed")))
    chi = np.frombuffer(stream(bytes(2 * seals.SEED), "chi", 0)(16), np.uint64)
    errors = chi[::-1] * np.array([1, 2**64 - 1], np.uint64)

    def lie(label, ring, rows):
        return ring.add(rows, errors) if label == "epsilon" else rows

    def program(world):
        world.open(epsilon=world.deal(world.ring, (2,), "r")[0])

    world = CheatingWorld(lie=lie, security="abort", seals=1)
    assert escapes(world, program) == known


@pytest.mark.parametrize("named", [True, False])
def test_a_commitment_without_a_name_can_be_repeated(named, monkeypatch):
    """Bob lies about a bit, waits, and repeats alice's commitment and her sums."""
    if not named:
        monkeypatch.setattr(seals, "commitment", lambda worker, name, text: (
            hashlib.sha256(text).digest()))

    class Mirror(World):
        def _exchange(self, messages):
            names = {m[2] for m in messages}
            if "m" in names:
                messages = [(*m[:4], m[4] ^ 1 if m[0] == "bob" else m[4])
                            for m in messages]
            if names & {"hash of sigma", "sigma"}:
                hers = next(m[4] for m in messages if m[0] == "alice")
                messages = [(*m[:4], hers if m[0] == "bob" else m[4]) for m in messages]
            return super()._exchange(messages)

    def program(world):
        world.open(m=world.deal(BITS, (4,), "b")[0])

    assert escapes(Mirror(**SEALED), program) == (not named)


class TwoTongues(World):
    """Bob tells worker3 something else than alice, in one message."""

    lie = "broadcast"

    def _exchange(self, messages):
        return super()._exchange([
            (src, dst, name, ring, ring.add(rows, 1) if len(rows) and (
                src, dst, name) == ("bob", "worker3", self.lie) else rows)
            for src, dst, name, ring, rows in messages])


def announced(world):
    told = world.broadcast("bob", [7], 1)
    world.gather("server", x=signed(world, [1]))
    return told


@pytest.mark.parametrize("compared", [True, False])
def test_announcements_that_nobody_compares_can_differ(compared, monkeypatch):
    """The provider and the server compare, too: they follow the same program."""
    if compared:
        with pytest.raises(Cheated, match="told two others different"):
            run_threads(announced, 3, kind=TwoTongues, timeout=20, **SEALED)
    else:
        monkeypatch.setattr(Seals, "compare", lambda self, ints: None)
        found = run_threads(announced, 3, kind=TwoTongues, timeout=20, **SEALED)
        assert found["alice"] == [7] and found["worker3"] == [8]


@pytest.mark.parametrize("liar", ["bob", "server"])
@pytest.mark.parametrize("hears", ["crypto_provider", "server", "alice"])
def test_whoever_hears_another_broadcast_finds_it_out(liar, hears):
    class Lying(World):
        def _exchange(self, messages):
            second = np.array([[0, 1]], np.uint64)
            return super()._exchange([
                (src, dst, name, ring, ring.add(rows, second) if len(rows) and (
                    src, dst, name) == (liar, hears, "broadcast") else rows)
                for src, dst, name, ring, rows in messages])

    if liar != hears:
        with pytest.raises(Cheated):
            run_threads(lambda world: world.broadcast(liar, [1, 2], 2), 3, kind=Lying,
                        timeout=20, **SEALED)


@pytest.mark.parametrize("name", ["epsilon", "given"])
def test_openings_that_two_workers_saw_differently_have_different_hashes(name):
    """And so have an owner's numbers, under their mask."""
    class OneOpening(TwoTongues):
        lie = name

    def program(world):
        x = give(world, [1, 2], owner="bob")
        beaver.multiply(x, x)
        world.seals.check()

    with pytest.raises(Cheated, match="shown other numbers"):
        run_threads(program, 3, kind=OneOpening, timeout=20, **SEALED)


# ---- nobody learns what its lies have led to


@pytest.mark.parametrize("receiver", ["bob", "server"])
def test_a_result_stays_hidden_from_a_cheat_who_receives_it(receiver):
    """Bob lies about a sign; alice's pad never leaves, so y + r is noise to him."""
    world = CheatingWorld(lie=lies_in("m"), **SEALED)
    x = world.secret([-3.25, 2.0], "alice")
    with pytest.raises(Cheated, match="does not fit its seals"):
        np.maximum(x, 0).reveal(to=receiver)
    names = [m.name for m in world.ledger.messages]
    assert "hint of revealed" not in names      # it has the name of the message
    assert "revealed" in names and "pad of revealed" not in names


def test_a_pad_must_be_the_one_that_the_provider_knows():
    for name in "pad of x", "nonce of x":
        world = CheatingWorld(lie=lies_in(name), **SEALED)
        with pytest.raises(Cheated, match="its part of a mask"):
            world.gather("server", x=signed(world, [1, 2]))


def test_the_hash_of_a_pad_hides_it_behind_a_nonce():
    """Without one, the receiver of a hash could try all pads before the check."""
    world = Watched(seed=1, **SEALED)
    for _ in range(2):
        world.gather("server", x=signed(world, [1]))
    nonces = [nonce.tobytes() for nonce in world.saw("server", "nonce of x")]
    assert len(set(nonces)) == 4 and {*map(len, nonces)} == {seals.NONCE}


def test_everybody_learns_a_result_from_the_workers():
    def program(world):
        return world.secret([1.5, -2.0], "alice").reveal().tolist()

    found = run_threads(program, 3, seed=1, **SEALED)
    assert all(value == [1.5, -2.0] for value in found.values())
    lying = CheatingWorld(lie=lies_in("revealed"), n_workers=3, **SEALED)
    with pytest.raises(Cheated):
        program(lying)


def test_a_result_for_everybody_is_truncated_before():
    """Its digits below the unit would tell more than the result."""
    x = sealed().secret([1.234], "alice")
    assert (x * x).reveal().tolist() in ([1.522], [1.523])


def test_masks_of_a_result_are_spent():
    world = sealed()
    x, y = signed(world, [1, 2]), signed(world, [5, 6])
    a, _ = world.deal(world.ring, (2,), "a")
    world.gather("bob", e=x - a)
    with pytest.raises(MaskReused):
        world.gather("bob", e=y - a)
    with pytest.raises(MaskReused):     # a has a part in the product
        world.open(z=beaver.matmul((x - a).reshape(1, 2), y.reshape(2, 1)))


def test_a_program_that_ends_checks_what_it_has_opened():
    world = CheatingWorld(lie=lies_in("x"), **SEALED)
    world.open(x=signed(world, [1000]))
    with pytest.raises(Cheated):
        world.finish()


# ---- how often a cheat escapes


def rate(spare, trials, ring_of, error):
    """How often a lie about one dealt element passes one seal of `spare` bits."""
    escaped = 0
    for trial in range(trials):         # repeatable
        world = CheatingWorld(lie=lies_in("y", error), security="abort", seals=1,
                              spare=spare, ring_bits=40, seed=trial)
        escaped += escapes(world, lambda w: w.open(
            y=w.deal(ring_of(w), (1,), "r")[0]))
    return escaped


@pytest.mark.slow
@pytest.mark.parametrize("spare, trials", [(4, 2000), (6, 3000)])
def test_the_worst_error_of_a_number_escapes_as_often_as_stated(spare, trials):
    p = (spare + 3) / 2 ** (spare + 2)
    escaped = rate(spare, trials, lambda w: w.ring, 2**39)
    assert abs(escaped - p * trials) < 3 * sqrt(p * (1 - p) * trials)


@pytest.mark.slow
def test_each_seal_has_keys_and_coefficients_of_its_own():
    """The rate of two is the square of one; with a common chi it would be .18."""
    p, trials, escaped = (5 / 16) ** 2, 2000, 0
    for trial in range(trials):
        world = CheatingWorld(lie=lies_in("y", 2**39), security="abort", seals=2,
                              spare=2, ring_bits=40, seed=trial)
        escaped += escapes(world, lambda w: w.open(
            y=w.deal(w.ring, (1,), "r")[0]))
    assert abs(escaped - p * trials) < 3 * sqrt(p * (1 - p) * trials)


def test_each_seal_of_a_number_has_coefficients_of_its_own():
    world = sealed()
    world.seals._opened[world.ring] = [np.ones((2, 2, 1), np.uint64)]
    sums = world.seals._sums(lambda n: np.arange(n // 8, dtype=np.uint64).tobytes())
    assert sums[:, :16].view(np.uint64).tolist() == [[0, 1], [0, 1]]


def test_sums_of_bits_are_independent_for_all_planes_and_rows():
    """The coefficients of one wrong bit: all sums of all seals depend on other ones."""
    world = World(security="abort", seals=1, spare=3, ring_bits=8)
    seals_of, rows = world.seals, 3 * seals.ROWS
    for place in (0, 5):
        wrong = np.zeros((2, 3, 6 * 8), np.uint8)
        wrong[0, :, 8 * place] = 1              # the lowest bit of one word
        basis = []
        for bit in range(rows + 5):             # a stream with a single bit
            words = np.zeros(rows + 6, np.uint64)
            words[bit] = 1
            seals_of._opened[BITS], seals_of._opened[world.ring] = [wrong], []
            sums = seals_of._sums(lambda n, words=words: words.tobytes())
            basis.append(sums[0, 8:].view(np.uint64) & 1)
        matrix = np.array(basis)                # stream bit -> sums: a permutation
        assert matrix.sum(axis=0).tolist() == [1] * rows
        assert matrix.sum(axis=1).max() == 1


def test_a_commitment_hides_what_it_commits_to(monkeypatch):
    """Without nonces, equal sums would have equal hashes, which could be guessed."""
    def hashes(world):
        seen = []
        shown = world._exchange

        def watched(messages):
            seen.extend(rows.tobytes() for src, _, name, _, rows in messages
                        if name == "hash of sigma" and src == "alice")
            return shown(messages)

        world._exchange = watched
        for _ in range(2):
            world.seals.waiting, world.seals._opened = 1, {
                world.ring: [np.zeros((2, 2, 1), np.uint64)], BITS: []}
            world.seals.check()
        return set(seen)

    assert len(hashes(World(**SEALED))) == 2
    private = Seals._private
    monkeypatch.setattr(Seals, "_private", lambda self, size, name: (
        private(self, size, name) * (name != "nonce")))
    assert len(hashes(World(**SEALED))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("spare, trials", [(4, 2000), (6, 3000)])
def test_a_wrong_bit_escapes_as_often_as_stated(spare, trials):
    p = ((1 + 2**-seals.ROWS) / 2) ** spare
    escaped = rate(spare, trials, lambda w: BITS, 1)
    assert abs(escaped - p * trials) < 3 * sqrt(p * (1 - p) * trials)


def escape_exactly(bits, spare):
    """The probability over all alpha and chi that the error 2^(bits - 1) escapes."""
    word = 2 ** (bits + spare)
    alpha, chi = np.indices((word, word))
    return np.mean(alpha * chi * 2 ** (bits - 1) % word == 0)


def test_the_report_states_the_rates_of_numbers_and_of_bits():
    assert sealed().seals.escape == (23 / 2**22) ** 2 == approx(2**-34.96, rel=.01)
    assert sealed(seals=1).seals.escape == 23 / 2**22
    assert sealed(spare=1).seals.escape == ((1 + 2**-8) / 2) ** 2 > (4 / 8) ** 2
    world = sealed()
    world.secret(np.ones(3), "alice").reveal(to="bob")
    assert world.seals.report() == (
        "Seals: 1 check found that no worker cheated; a cheat escapes with probability "
        "2^-34 at most")        # (23 / 2^22)^2 is more than 2^-35


def test_the_stated_rate_is_exact():
    for bits, spare in ((2, 1), (3, 2), (2, 4), (4, 3)):
        assert escape_exactly(bits, spare) == (spare + 3) / 2 ** (spare + 2)


# ---- errors


@pytest.mark.parametrize("options, words", [
    ({"comparison": "securenn"}, "securenn.* not provided with security='abort'"),
    ({"truncation": "local"}, "local.* not provided with security='abort'"),
    ({"ring_bits": 45}, "ring_bits=45 and spare=20 .* take ring_bits of up to 44"),
    ({"seals": 0}, "seals=0"), ({"seals": 2.0}, "seals=2.0"),
    ({"spare": "x"}, "spare='x'"), ({"spare": 0}, "spare=0"),
    ({"security": None, "seals": 3}, "no effect without security='abort'"),
    ({"security": None, "seals": 2, "spare": 7}, "no effect without"),
    ({"security": "malicious"}, "security='malicious': take 'semi-honest' or 'abort'")])
def test_a_world_refuses_options_that_cannot_be_sealed(options, words):
    with pytest.raises(ValueError, match=words):
        World(**{**SEALED, **options})


def test_rings_without_seals_are_refused():
    world = sealed()
    with pytest.raises(ValueError, match="has no seals"):
        world.deal(Z2kMinus1(64), (2,), "r")


def test_a_shuffle_is_refused():
    x = sealed().secret(np.arange(6).reshape(3, 2), "alice")
    with pytest.raises(ValueError, match="shuffle: not with security='abort'"):
        sorting.shuffle_rows(x.value)


def test_a_semi_honest_world_has_no_seals():
    world = World(seed=1)
    assert world.seals is None and world.ring == Z2k(64)
    assert reconstruct(signed(world, [3, -1])).tolist() == [3, 2**64 - 1]
