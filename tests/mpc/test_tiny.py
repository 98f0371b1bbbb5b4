"""The overture: its protocols against the package's, its training against floats."""

import ast
import importlib
import re
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from helpers import common, give, reconstruct, rows_of, with_rows

import mpc
import nn
from mpc import World, tiny
from mpc.ring import Z2kMinus1, Zm
from mpc.securenn import CompareCoins

PATH = Path(tiny.__file__)
SOURCE = PATH.read_text(encoding="utf-8")
P, ODD = Zm(tiny.P), Z2kMinus1(64)
EDGES = np.array([0, 1, 2, 2**64 - 1, 2**64 - 2, 2**40, 2**64 - 2**40, 2**62 - 1,
                  2**64 - 2**62], np.uint64)


@pytest.fixture(autouse=True)
def repeatable(monkeypatch):
    monkeypatch.setattr(tiny, "rng", np.random.default_rng(1))


def secrets(seed=2):
    """Edge values and random ones, below a quarter of the ring in absolute value."""
    signed = np.random.default_rng(seed).integers(-2**62, 2**62, 100)
    return np.concatenate([EDGES, signed.view(np.uint64)])


def shared(rows, ring=None):
    """The package's Share with the shares of tiny."""
    return with_rows(World(seed=1), rows, ring)


# ---------------------------------------------------------------------- protocols


def check_shares(tiny):
    x, world = secrets(), World(seed=1)
    assert (tiny.share(x) != x).any() and (tiny.share(x) != tiny.share(x)).any()
    np.testing.assert_array_equal(reconstruct(shared(tiny.share(x))), x)
    np.testing.assert_array_equal(tiny.reveal(rows_of(give(world, x))), x)
    before = tiny.share(x)
    after = tiny.refresh(before)
    assert (after != before).all()
    np.testing.assert_array_equal(tiny.reveal(after), x)
    np.testing.assert_array_equal(reconstruct(shared(tiny.as_shares(x))), x)


def check_encoding(tiny):
    numbers = np.array([0, 1, -1, 0.0004, -2.5, 1e6])
    ours, theirs = tiny.encode(numbers), mpc.fix_precision(numbers)
    np.testing.assert_array_equal(ours, theirs.value.rows[0])
    np.testing.assert_array_equal(tiny.decode(ours), theirs.float_precision())


def check_products(tiny):
    x, y = secrets(2), secrets(3)
    for ours, theirs, factor, m, n in (
            (np.multiply, mpc.multiply, 1, (109,), (109,)),
            (tiny.matmul, mpc.matmul, 2, (3, 36), (36, 3))):
        a = tiny.share(x[:np.prod(m)].reshape(m))
        b = tiny.share(y[:np.prod(n)].reshape(n))
        world = World(seed=1)
        due = reconstruct(theirs(with_rows(world, a), with_rows(world, b)))
        found = tiny.reveal(tiny.product(ours, a, b)) * np.uint64(factor)
        np.testing.assert_array_equal(found, due)


@pytest.mark.parametrize("d", [2, 50, 1000, 3200])
def test_truncation_is_within_one_unit_of_the_package(d):
    check_truncation(tiny, d)


def check_truncation(tiny, d=1000):
    x = tiny.share((secrets() >> 22) - 2**20 * (secrets() & 1))
    due = reconstruct(mpc.truncate(shared(x), d)).view(np.int64)
    assert np.abs(tiny.reveal(tiny.truncate(x, d)).view(np.int64) - due).max() <= 1


def test_truncation_is_unbiased():
    x = tiny.share(np.full(40_000, 1250, np.uint64))
    assert abs(tiny.reveal(tiny.truncate(x)).mean() - 1.25) < 0.02


def test_truncation_is_correct_for_shares_that_are_not_uniform():
    """Without a refresh, -1 as (-1, 0) would always cause a wrap-around error."""
    minus_one = tiny.as_shares(np.array([2**64 - 1], np.uint64))
    assert tiny.reveal(tiny.truncate(minus_one)).view(np.int64) in (-1, 0)


def compare(x_rows, r, beta):
    """The answer of the package on the same shares mod P, of shape (2, n, l)."""
    x_bits = shared(np.moveaxis(x_rows, -1, 1), P)
    coins = CompareCoins.draw(x_bits.world, P, x_bits.shape[0], r.shape)
    coins = coins._replace(beta=common(x_bits.world, beta, np.uint8))
    return rows_of(mpc.private_compare(x_bits, common(x_bits.world, r), coins))[0]


def check_private_compare(tiny):
    """All inputs of 1, 3 and 4 bits, and edges at 64 bits."""
    for l in (1, 3, 4):
        x, r, beta = np.indices((2**l, 2**l, 2), np.uint64).reshape(3, -1)
        bits = tiny.share_bits(x, l)
        answer = tiny.private_compare(bits, r, beta)
        np.testing.assert_array_equal(answer, compare(bits, r, beta))
        np.testing.assert_array_equal(answer, beta ^ (x > r))
    x, r, beta = (v.reshape(-1) for v in np.meshgrid(EDGES, EDGES, np.uint64([0, 1])))
    bits = tiny.share_bits(x)
    answer = tiny.private_compare(bits, r, beta)
    np.testing.assert_array_equal(answer, compare(bits, r, beta))


def check_share_convert(tiny):
    a = secrets()
    a = tiny.share(a[a != 2**64 - 1])
    due = reconstruct(mpc.share_convert(shared(a)))
    np.testing.assert_array_equal(reconstruct(shared(tiny.share_convert(a), ODD)), due)


def check_msb(tiny):
    a = np.concatenate([secrets(), np.uint64([2**63, 2**63 - 1])])
    a = tiny.share_odd(a[a != 2**64 - 1])
    due = reconstruct(mpc.compute_msb(shared(a, ODD), World().ring))
    np.testing.assert_array_equal(tiny.reveal(tiny.msb(a)), due)


def check_relu(tiny):
    for shape in ((109,), (1, 109), (109, 1, 1)):
        x = tiny.share(secrets().reshape(shape))
        due = reconstruct(mpc.drelu(shared(x)))
        np.testing.assert_array_equal(tiny.reveal(tiny.drelu(x)), due)
        relu, due = tiny.Tensor(x).relu().value, reconstruct(mpc.relu(shared(x)))
        np.testing.assert_array_equal(tiny.reveal(relu), due)


# ---------------------------------------------------------------------- training


def numbers(tiny, shares):
    return tiny.decode(tiny.reveal(shares))


def both(tiny, *sizes):
    """The same network twice: in tiny, and in nn on the decoded numbers."""
    ours = [tiny.layer(n, m) for n, m in pairwise(sizes)]
    theirs = [[nn.Tensor(numbers(tiny, p.value), True) for p in pair] for pair in ours]
    return ours, theirs


def nn_forward(layers, x):
    for i, (weight, bias) in enumerate(layers):
        x = x @ weight + bias
        x = x.relu() if i < len(layers) - 1 else x
    return x


def check_gradients(tiny):
    """Two layers, of which the first is used twice: its gradients add up."""
    ours, theirs = both(tiny, 5, 5, 3)
    x, t = np.random.default_rng(4).integers(-2000, 2000, (2, 6, 5)) / 1000
    t = t[:, :3]
    ours, theirs = [ours[0], *ours], [theirs[0], *theirs]
    start, begin = tiny.Tensor(tiny.share(tiny.encode(x))), nn.Tensor(x, True)
    error = tiny.forward(ours, start).squared_error(tiny.share(tiny.encode(t)))
    error.backward()
    (nn.mse_loss(nn_forward(theirs, begin), t) * 6).backward()
    parameters = zip(sum(ours, []), sum(theirs, []), strict=True)
    for a, b in [(start, begin), *parameters]:
        np.testing.assert_allclose(numbers(tiny, a.grad), b.grad, atol=0.06)


def test_a_constant_gets_no_gradient():
    x = tiny.Tensor(tiny.share(tiny.encode(np.ones((2, 5)))), constant=True)
    output = tiny.forward([tiny.layer(5, 3)], x)
    output.squared_error(output.value).backward()
    assert x.grad is None


def check_training(tiny):
    """Four batches: losses and parameters match those on floats, up to rounding."""
    ours, theirs = both(tiny, 784, 128, 64, 10)
    x, t = tiny.load("train", 64)
    x_real, t_real = (nn.Tensor(numbers(tiny, v)) for v in (x, t))
    optimiser, losses = nn.SGD(sum(theirs, []), 0.02), []
    for _ in range(4):
        optimiser.zero_grad()
        loss = nn.mse_loss(nn_forward(theirs, x_real), t_real)
        loss.backward()
        optimiser.step()
        losses.append((tiny.train_batch(ours, x, t), float(loss.value)))
    np.testing.assert_allclose(*np.transpose(losses), atol=0.02)
    assert losses[0][0] > losses[1][0] > losses[2][0] > losses[3][0]
    for a, b in zip(sum(ours, []), sum(theirs, []), strict=True):
        assert np.abs(numbers(tiny, a.value) - b.value).max() < 0.006


def check_count(tiny):
    """A tie counts as correct; the outputs are the biases alone."""
    outputs = np.array([[1.0, 2.0, 2.0]])
    values = np.zeros((3, 3)), outputs, np.ones((5, 3)), np.eye(3)[[0, 1, 2, 2, 0]]
    weight, bias, x, t = (tiny.share(tiny.encode(v)) for v in values)
    layers = [[tiny.Tensor(weight), tiny.Tensor(bias)]]
    assert tiny.count_correct(layers, x, t) == 3


CHECKS = [
    check_shares, check_encoding, check_products, check_truncation,
    check_private_compare, check_share_convert, check_msb, check_relu, check_gradients,
    check_training, check_count]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_each_part_matches_the_package(check):
    check(tiny)


@pytest.mark.slow
def test_four_of_ten_epochs_classify_most_test_digits(capsys):
    tiny.main(epochs=4)
    *epochs, last = capsys.readouterr().out.splitlines()
    epochs = [re.fullmatch(r"Epoch \d+: loss (\d\.\d{3})", line) for line in epochs]
    losses = [float(match[1]) for match in epochs]
    assert len(losses) == 4 and losses == sorted(losses, reverse=True)
    correct = re.fullmatch(r"Test set: (\d+) of 640 correct \(\d\d\.\d %\)", last)
    assert int(correct[1]) >= 0.55 * 640


# ---------------------------------------------------------------------- mutants


@pytest.mark.parametrize("check, right, wrong", [
    (check_shares, "secret - mask", "secret + mask"),
    (check_shares, "[u, -u])\n\n\n# ", "[u, u])\n\n\n# "),
    (check_products, "b + as_shares(delta)", "b - as_shares(delta)"),
    (check_products, "c + op(a", "c - op(a"),
    (check_truncation, "-(-x[1] // d)", "x[1] // d"),
    (check_private_compare, "x - j * t) + j", "j * t - x) + j"),
    (check_private_compare, "- 2 * t * x", "+ 2 * t * x"),
    (check_private_compare, "np.where(never, ", "np.where(False, "),
    (check_private_compare, "np.stack([u, -u])) % P", "np.stack([u, u])) % P"),
    (check_share_convert, "r - 1, eta_2", "r, eta_2"),
    (check_share_convert, "(alpha + 1)", "alpha"),
    (check_share_convert, "odd_sum(a, L - 1 - theta", "odd_sum(a, theta"),
    (check_share_convert, "total + (total < y)", "total"),
    (check_msb, "xor(x_0, r & 1)", "x_0"),
    (check_msb, "delta - 2 * theta", "delta + 2 * theta"),
    (check_relu, "share_convert(2 * a)", "share_convert(a)"),
    (check_gradients, "g, 2 * e", "g, e"),
    (check_gradients, "parent.grad + g", "g"),
    (check_gradients, "reversed(self.history({}))", "self.history({})"),
    (check_training, "p.value - truncate", "p.value + truncate"),
    (check_training, "round(n / lr)", "round(1 / lr)"),
    (check_count, "drelu(right - y)", "drelu(y - right)"),
])
def test_a_mutant_fails_its_check(check, right, wrong):
    assert SOURCE.count(right) == 1, "the text to replace must be unique"
    mutant = ModuleType("mutant")
    exec(compile(SOURCE.replace(right, wrong), "mutant", "exec"), vars(mutant))
    mutant.rng = np.random.default_rng(1)
    with pytest.raises((AssertionError, AttributeError)):
        check(mutant)


# ---------------------------------------------------------------------- the file


def test_it_is_short_and_imports_only_numpy_and_data():
    lines = [line for line in SOURCE.splitlines() if line.strip()]
    assert len(lines) <= 220 and max(map(len, lines)) <= 88
    imports = [ast.unparse(node) for node in ast.walk(ast.parse(SOURCE))
               if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert imports == ["import numpy as np", "import data"]


def test_the_modules_that_it_names_exist():
    named = set(re.findall(r"mpc\.([\w.]+)", SOURCE)) - {"tiny"}
    assert {"randomness", "transport", "audit.views", "ledger"} <= named
    for name in named:
        importlib.import_module(f"mpc.{name}")


MESSAGES = {"share", "share_odd", "share_bits"}


def names(node, keep):
    """The names in an expression that `keep` accepts, except inside a message."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MESSAGES:
        return set()
    own = {node.id} if isinstance(node, ast.Name) and keep(node.id) else set()
    return own.union(*(names(child, keep) for child in ast.iter_child_nodes(node)))


def pairs(statement):
    """The (target, value) pairs of an assignment."""
    target, value = statement.targets[0], statement.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return zip(target.elts, value.elts, strict=True)
    return [(target, value)]


def functions(source=SOURCE):
    body = ast.parse(source).body
    return [node for node in body if isinstance(node, ast.FunctionDef)]


def is_p2(name):
    return name.endswith("_p2") and name != "to_p2"


def crossings(function):
    """Values that move between P2 and the workers without a message."""
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and function.name != "private_compare":
            yield from names(node.value, is_p2)
        if not isinstance(node, ast.Assign):
            continue
        for target, value in pairs(node):
            used = names(value, is_p2)
            by_name = target.id if isinstance(target, ast.Name) else ast.unparse(target)
            if not is_p2(by_name):
                yield from used
            elif not used:                  # new at P2: drawn there, or received
                source = getattr(getattr(value, "func", None), "id", "")
                if source not in ("uniform", "to_p2", "private_compare"):
                    yield by_name


def test_values_move_between_the_provider_and_the_workers_only_in_messages():
    assert [(f.name, name) for f in functions() for name in crossings(f)] == []


@pytest.mark.parametrize("right, wrong", [
    ("gamma = xor(beta_1, beta)", "gamma = xor(beta_1, beta_1_p2)"),
    ("a_tilde_p2 = to_p2(a_tilde)", "a_tilde_p2 = a_tilde"),
    ("return c + op(a, delta)", "return c + op(a_p2, delta)"),
])
def test_the_use_of_another_roles_value_is_detected(right, wrong):
    assert SOURCE.count(right) == 1
    mutant = functions(SOURCE.replace(right, wrong))
    assert [name for f in mutant for name in crossings(f)]


def test_a_single_share_is_used_only_in_messages_and_by_its_worker():
    """`reveal` sends shares, and `truncate` computes differently for each worker."""
    taken = [(f.name, ast.unparse(node)) for f in functions() for node in ast.walk(f)
             if isinstance(node, ast.Subscript)]
    users = {name for name, text in taken
             if text.endswith(("[0]", "[1]")) and not text.endswith("shape[1]")}
    assert users == {"reveal", "truncate"}
