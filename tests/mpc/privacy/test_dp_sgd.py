"""DP-SGD: no item contributes more than the bound; noise lies on the same lattice."""

import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import give

import data
import mpc
from mpc import public
from mpc.audit.views import Watched
from mpc.privacy import dp_sgd
from mpc.privacy.dp_sgd import WHOLE, Clip, NoisyStep, clipped_sums
from mpc.train_mnist.arithmetics import ARITHMETICS
from mpc.train_mnist.options import parser
from mpc.train_mnist.training import Net

RNG = np.random.default_rng
PICTURES, LABELS = data.load_mnist("train", 64)
PICTURES, LABELS = data.normalise(PICTURES), data.one_hot(LABELS)


class Setting:
    """A network with these weights, and items, in one arithmetic."""

    def __init__(self, words="--arithmetic fixed --reproducible --dp-lesson",
                 change=lambda net, rng: None, seed=1):
        self.options = parser().parse_args(f"--dp-noise 1 {words}".split())
        self.arithmetic = ARITHMETICS[self.options.arithmetic](self.options)
        net = Net(RNG(seed))
        change(net, RNG(seed))
        self.model = self.arithmetic.model(net)
        self.unit = self.options.base ** self.options.precision_fractional

    def shared(self, pictures, labels):
        def of(numbers):
            return self.arithmetic.batch(lambda items: numbers, numbers.shape[1:],
                                         [(0, slice(0, len(numbers)))])
        return of(pictures), of(labels)

    def sums(self, pictures, labels, clip):
        """The clipped sums of a batch as Python's integers, without the factor k."""
        found = clipped_sums(self.model, *self.shared(pictures, labels), clip)
        world = self.arithmetic.world
        k = world.matmul_factor if world else 1
        return [integers(s) // k for s in found]

    def norm(self, picture, label, clip):
        """The exact squared length of the contribution of one item."""
        return sum(int((s * s).sum()) for s in self.sums(
            picture[None], label[None], clip))


def integers(array):
    """The signed integers behind a raw array, public or of a simulation."""
    rows = array.world.values_in(np.asarray(array.rows), array.ring)
    total = array.ring.value(array.ring.sum(rows, axis=0))
    return array.ring.to_int(total).astype(object)


# ---- what enters


def huge(net, rng):
    for p in net.parameters():
        p.value = p.value * 40


def dead(net, rng):
    net.fc1.bias.value = net.fc1.bias.value - 40


def sparse(net, rng):
    for p in net.parameters():
        p.value = p.value * (rng.random(p.shape) < 0.1)


def zero(net, rng):
    for p in net.parameters():
        p.value = p.value * 0


NETWORKS = {"as trained": lambda net, rng: None, "huge": huge, "dead": dead,
            "sparse": sparse, "zero": zero}


def items(rng):
    """Digits, and pictures that nobody has drawn."""
    black, white = PICTURES.min(), PICTURES.max()
    strange = [np.full(784, black), np.full(784, white),
               np.where(np.arange(784) % 2, black, white),
               rng.choice([black, white], 784), np.full(784, 0.0)]
    pictures = np.stack([*PICTURES[:6], *strange])
    return pictures, LABELS[:len(pictures)]


# ---- sensitivity


@pytest.mark.parametrize("bound", [0.25, 1, 4])
@pytest.mark.parametrize("network", ["as trained", "dead", "sparse", "zero"])
def test_no_item_contributes_more_than_the_bound(network, bound):
    """Exact integers, in the clear; the huge ones overflow, which is refused there."""
    setting = Setting(change=NETWORKS[network])
    clip = Clip(bound, setting.unit)
    norms = [setting.norm(*item, clip) for item in zip(*items(RNG(0)), strict=True)]
    assert max(norms) <= clip.sensitivity**2
    if network == "as trained" and bound < 4:       # and not by far less
        assert max(norms) > 0.5 * clip.sensitivity**2


@pytest.mark.parametrize("words", [
    "--comparison carry-tree", "--comparison securenn", "--workers 3",
    "--security abort --precision-fractional 2", "--base 2 --precision-fractional 10"])
def test_no_item_contributes_more_than_the_bound_on_shares(words):
    for network in NETWORKS:
        setting = Setting(words, NETWORKS[network])
        clip = Clip(0.5, setting.unit)
        pictures, labels = items(RNG(0))
        for i in (0, 7) if network == "huge" else (0,):
            norm = setting.norm(pictures[i], labels[i], clip)
            assert norm <= clip.sensitivity**2


@pytest.mark.parametrize("words", [
    "--arithmetic fixed", "--comparison carry-tree",
    "--security abort --precision-fractional 2 --seals 1"])
def test_a_clipped_sum_is_the_sum_of_clipped_gradients_of_floats(words):
    setting, floats = Setting(words), Setting("--arithmetic float")
    clip = Clip(0.5, setting.unit)
    found = setting.sums(PICTURES[:20], LABELS[:20], clip)
    expected = clipped_sums(floats.model, PICTURES[:20], LABELS[:20], clip)
    for total, due in zip(found, expected, strict=True):
        total = total.astype(float) / (WHOLE * setting.unit**2)
        size = np.abs(due).max()
        assert np.abs(total - due).max() < 0.02 + (0.3 if setting.unit < 500 else 0.06
                                                   ) * size


def test_a_gradient_within_the_bound_is_that_of_autograd():
    """Half of it: the loss has gradient 2 (output - target)."""
    import nn

    floats = Setting("--arithmetic float")
    found = clipped_sums(floats.model, PICTURES[:8], LABELS[:8], Clip(1e3, 1000))
    nn.mse_loss(floats.model(nn.Tensor(PICTURES[:8])), nn.Tensor(LABELS[:8])).backward()
    for total, p in zip(found, floats.model.parameters(), strict=True):
        np.testing.assert_allclose(total * 2 / 8, p.grad, atol=1e-12)


def test_the_staircase_never_exceeds_the_bound():
    for bound, unit in ((0.1, 1000), (0.5, 100), (3, 1024)):
        clip = Clip(bound, unit)
        ends, factors = clip.staircase()
        assert factors[0] == WHOLE and factors == sorted(factors, reverse=True)
        assert ends[-1] > (70 * bound / 2 * unit) ** 2
        for end, factor in zip(ends, factors, strict=True):
            assert factor**2 * end * unit**2 <= clip.sensitivity**2
        c = Fraction(bound) / 2
        assert clip.sensitivity == math.ceil(c * WHOLE * unit**2)


def test_numbers_too_large_to_be_multiplied_contribute_nothing():
    """The output's error is so large that |a|^2 |d|^2 would leave the ring."""
    setting = Setting("--comparison carry-tree")
    clip = Clip(0.5, setting.unit)
    assert setting.norm(PICTURES[0], LABELS[0], clip) > 0
    assert setting.norm(PICTURES[0] * 3, LABELS[0] * 10**5, clip) == 0


def test_norms_that_a_comparison_could_not_take_contribute_nothing():
    """SecureNN's has half the range of the ring; a norm beyond it would look small."""
    world, clip = mpc.World(comparison="securenn"), Clip(0.5, 1000)
    for part in (2.1, 3, 5, 7.9, 8.1, 30):
        square = math.isqrt(int(2**64 / 3 / part))          # of a and of d
        x = give(world, [[math.isqrt(square * clip.unit)]])
        assert integers(dp_sgd.clip_factors([(x, x)] * 3, clip)).tolist() == [0]


# ---- teeth: each of these would make a contribution too long


def at_the_edge(setting, step, item=0, apart=4e-4):
    """Bounds for which an item lies around the end of a step."""
    wide = Clip(1e3, setting.unit)
    length = math.sqrt(setting.norm(PICTURES[item], LABELS[item], wide)) / WHOLE
    bound = 2 * length / setting.unit**2 / 1.2**step
    return [Clip(bound * (1 + i * apart), setting.unit) for i in range(-4, 21)]


def longest(setting, clips, item=0):
    """The largest contribution over its bound, of an item under several bounds."""
    return max(setting.norm(PICTURES[item], LABELS[item], clip) / clip.sensitivity**2
               for clip in clips)


def test_at_the_edges_of_steps_too():
    setting = Setting()
    for step in (0, 1, 5):
        assert 0.6 < longest(setting, at_the_edge(setting, step)) <= 1


def test_a_norm_rounded_down_would_exceed_the_bound(monkeypatch):
    setting = Setting()
    clips = at_the_edge(setting, 0, apart=1e-4)
    assert longest(setting, clips) <= 1
    squares = dp_sgd.squares
    monkeypatch.setattr(dp_sgd, "squares", lambda arrays, unit: (
        squares(arrays, unit).plus(-3)))
    assert longest(setting, clips) > 1


def test_a_staircase_rounded_up_would_exceed_the_bound(monkeypatch):
    setting = Setting()
    clips = at_the_edge(setting, 20)
    staircase = Clip.staircase
    monkeypatch.setattr(Clip, "staircase", lambda self: (
        staircase(self)[0], [f + 1 for f in staircase(self)[1]]))
    assert longest(setting, clips) > 1


def test_rounding_after_clipping_would_exceed_the_bound(monkeypatch):
    setting = Setting(change=sparse)
    clip, multiply = Clip(0.25, setting.unit), public.multiply

    def rounded(x, y):
        z = multiply(x, y)
        if x.shape == (1, 1) and y.shape[0] == 1 and y.ndim == 2:
            return public.scaled(z, Fraction(1, 50 * WHOLE)).times(50 * WHOLE)
        return z

    assert longest(setting, [clip] * 20, 3) <= 1
    monkeypatch.setattr(public, "multiply", rounded)
    assert longest(setting, [clip] * 20, 3) > 1


def test_another_slope_at_zero_in_the_norm_would_exceed_the_bound(monkeypatch):
    """With all weights of the first layer 0, its units are at 0."""
    def at_zero(net, rng):
        net.fc1.weight.value, net.fc1.bias.value = (
            p.value * 0 for p in (net.fc1.weight, net.fc1.bias))
        net.fc2.weight.value = net.fc2.weight.value * 5
        net.fc2.bias.value = net.fc2.bias.value + 1

    setting, clip = Setting(change=at_zero), Clip(4, 1000)
    assert longest(setting, [clip], 2) <= 1
    factors = dp_sgd.clip_factors

    def without_units_at_zero(values, clip):
        (x, d), *others = values
        return factors([(x, d.times(0)), *others], clip)

    monkeypatch.setattr(dp_sgd, "clip_factors", without_units_at_zero)
    assert longest(setting, [clip], 2) > 1


# ---- noise


def noise_of(words, sigma=0.5, by_workers=False, shape=(40, 50)):
    """The integers that a step would add to a sum, once for each drawer."""
    setting = Setting(words)
    step = NoisyStep(setting.arithmetic, setting.model, 1, Clip(0.5, setting.unit),
                     sigma, by_workers)
    zeros = public.PublicArray(public.PublicWorld(), step_ring(setting),
                               np.zeros((1, *shape), np.uint64))
    if setting.arithmetic.world:
        world = setting.arithmetic.world
        zeros = public.as_share(zeros, like=setting.model.fc1.weight.value.value)
        assert zeros.world is world
    return step, [integers(n).astype(float) for n in step._noise(zeros)]


def step_ring(setting):
    return setting.model.fc1.weight.value.ring


@pytest.mark.parametrize("words, by_workers, drawers", [
    ("--arithmetic fixed", False, 1), ("--comparison carry-tree", False, 1),
    ("--workers 3", True, 3), ("--security abort --precision-fractional 2", False, 1),
    ("--security abort --precision-fractional 2", True, 2)])
def test_noise_has_the_stated_deviation_on_the_lattice_of_the_sum(
        words, by_workers, drawers):
    step, found = noise_of(words, by_workers=by_workers)
    assert len(found) == drawers
    for noise in found:
        assert noise.std() == pytest.approx(step.deviation, rel=0.1)
        assert abs(noise.mean()) < 5 * step.deviation / math.sqrt(noise.size)
        assert math.gcd(*map(int, noise.reshape(-1))) == 1      # no coarser lattice
    if drawers > 1:
        assert abs(np.corrcoef(found[0].reshape(-1), found[1].reshape(-1))[0, 1]) < 0.1


def test_noise_of_a_coarser_lattice_would_be_noticed(monkeypatch):
    original = dp_sgd.discrete_gaussian
    monkeypatch.setattr(dp_sgd, "discrete_gaussian", lambda take, shape, sigma: (
        10 * original(take, shape, sigma / 10)))
    _, (noise,) = noise_of("--arithmetic fixed")
    assert math.gcd(*map(int, noise.reshape(-1))) > 1


def test_a_step_of_floats_has_no_digits_below_the_lattice():
    """They would be those of the items, without noise; rounding has its own bound."""
    setting, clip = Setting("--arithmetic float"), Clip(0.5, 1000)
    before = [np.array(p.value) for p in setting.model.parameters()]
    step = NoisyStep(setting.arithmetic, setting.model, 2, clip, 1e-3)
    step(PICTURES[:16], LABELS[:16])
    for p, w in zip(setting.model.parameters(), before, strict=True):
        moved = (w - p.value) * 16 / 4 * WHOLE * clip.unit**2
        assert np.abs(moved - np.rint(moved)).max() < 0.01
    rounding = math.sqrt(sum(w.size for w in before))
    assert 1 < step.deviation / 1e-3 - clip.sensitivity - rounding < 3


def test_two_steps_have_different_noise():
    step, (one,) = noise_of("--arithmetic fixed")
    zeros = public.PublicArray(public.PublicWorld(), mpc.World().ring,
                               np.zeros((1, 40, 50), np.uint64))
    two, = step._noise(zeros)
    assert (integers(two).astype(float) != one).mean() > 0.99
    _, (another_run,) = noise_of("--arithmetic fixed")
    assert (another_run != one).mean() > 0.99


@pytest.mark.parametrize("workers, by_workers", [(2, False), (3, True)])
def test_nobody_but_who_draws_noise_knows_its_coins(workers, by_workers):
    world = Watched(workers, comparison="carry-tree")
    nothing = SimpleNamespace(parameters=list)
    step = NoisyStep(SimpleNamespace(world=world), nothing, 1, Clip(0.5, 1000), 1,
                     by_workers)
    step._noise(give(world, np.zeros((2, 3))))
    drawers = [*map(str, world.workers)] if by_workers else ["crypto_provider"]
    for role in world.roles:
        assert len(world.saw(role, "noise/coins")) == (role in drawers)


@pytest.mark.parametrize("words, by_workers", [
    ("--arithmetic float", False), ("--arithmetic fixed", False),
    ("--comparison carry-tree", False), ("--workers 3", True),
    ("--security abort --precision-fractional 2", False)])
def test_a_step_moves_weights_by_noise_of_the_stated_deviation(words, by_workers):
    """Of sigma times the bound, for each who draws it, whatever the scale of a sum."""
    def weight():
        value = setting.model.fc1.weight.value
        return value if isinstance(value, np.ndarray) else value.get().float_precision()

    setting, sigma, lr = Setting(words), 3, 0.5
    clip, size, before = Clip(0.5, setting.unit), 2, weight()
    NoisyStep(setting.arithmetic, setting.model, lr, clip, sigma, by_workers)(
        *setting.shared(PICTURES[:size], LABELS[:size]))
    moved = (weight() - before) * size / (2 * lr) * WHOLE * setting.unit**2
    due = sigma * clip.sensitivity * (math.sqrt(3) if by_workers else 1)
    assert moved.std() == pytest.approx(due, rel=0.02)


@pytest.mark.parametrize("words", ["--arithmetic float", "--arithmetic fixed",
                                   "--comparison carry-tree"])
def test_a_step_moves_weights_by_the_mean_of_clipped_gradients(words):
    """With hardly any noise; the learning rate is that of plain gradient descent."""
    setting, floats = Setting(words), Setting("--arithmetic float")
    clip, lr = Clip(0.5, setting.unit), 2.0
    before = [np.array(p.value) for p in floats.model.parameters()]
    sums = clipped_sums(floats.model, PICTURES[:16], LABELS[:16], clip)
    step = NoisyStep(setting.arithmetic, setting.model, lr, clip, 1e-5)
    step(*setting.shared(PICTURES[:16], LABELS[:16]))
    model = setting.arithmetic.reveal_model(setting.model)
    for p, w, total in zip(model.parameters(), before, sums, strict=True):
        due = -lr * 2 * total / 16
        slack = 0.003 + 0.08 * np.abs(due).max()
        np.testing.assert_allclose(p.value - w, due, atol=slack)
