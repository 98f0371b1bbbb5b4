"""Labs on results: the attacks work on the tutorial's training, and remedies help."""

import numpy as np
import pytest

import data
from mpc import train_mnist
from mpc.audit import results
from mpc.course import labs
from mpc.train_mnist.options import parser


def test_membership_in_the_tutorials_training_shows():
    """With few shadows; the whole setting is a slow test."""
    found = labs.membership(n_shadows=8)
    lira, yeom = found["LiRA, public seed"], found["loss threshold"]
    assert lira.auc > 0.68 and lira.tpr > 0.03
    assert 0.5 < yeom.auc < 0.65 and yeom.auc < lira.auc


@pytest.mark.slow
def test_membership_with_32_shadows():
    """A public seed makes the attack better; without it, it works as well."""
    public, unknown = (labs.membership(public_seed=known) for known in (True, False))
    assert public["LiRA, public seed"].auc >= 0.75
    assert public["LiRA, public seed"].tpr >= 0.1
    assert public["LiRA, public seed"].epsilon >= 2
    assert 0.5 < public["loss threshold"].auc < 0.65
    assert 0.62 < unknown["LiRA, unknown seed"].auc < public["LiRA, public seed"].auc


def test_private_training_without_noise_and_clipping_is_gradient_descent():
    members = results.halves(2, 64)
    pictures, labels = (a.astype(np.float32) for a in labs.digits("train", 64))
    start = [(w[None], b[None]) for w, b in labs.layers_of(
        train_mnist.Net(np.random.default_rng(1)))]
    due = results.shadows(pictures, labels, members, start, 2, 16, lr=0.02)

    def losses(sigma):
        nets = labs.private_nets(members, sigma, 2, 16, lr=0.02, bound=1e6)
        return [results.losses(labs.layers_of(net), pictures, labels) for net in nets]

    np.testing.assert_allclose(losses(0), due, rtol=1e-3)
    assert not np.allclose(losses(1e-6), due, rtol=1e-2)


@pytest.mark.parametrize("how", ["", "--comparison carry-tree --ring-bits 44"])
def test_the_first_loss_on_shares_tells_labels(how):
    """42 of 64, or 27, by the rounding; coin tosses get 6.4."""
    lab = labs.first_loss(f"--reproducible {how}")
    assert lab.right >= 25 and lab.guesses.shape == (64,)
    labels = data.load_mnist("train", 64)[1]
    np.testing.assert_array_equal(lab.labels, labels)


def test_the_first_loss_of_unknown_weights_tells_no_labels():
    """The guesses assume the weights of the public seed, and the provider drew others.
    """
    right = [labs.first_loss("--initial-weights provider").right for _ in range(3)]
    assert np.mean(right) < 20


def test_a_server_reads_digits_if_it_has_chosen_its_weights():
    lab = labs.trap(options=f"{labs.QUICK} --reproducible")
    assert len(lab.items) == len(set(lab.items)) >= 30
    assert lab.pictures.shape == (len(lab.items), 28, 28)
    assert np.all(lab.correlations > labs.ALIKE)
    true = data.normalise(data.load_mnist("train", 640)[0])
    for item, picture in zip(lab.items, lab.pictures, strict=True):
        assert np.corrcoef(true[item], picture.ravel())[0, 1] > labs.ALIKE


def test_differential_privacy_closes_the_trap():
    """Clipping alone does not: an item's picture stays what it is, only shorter."""
    clipped = labs.trap(options="--comparison carry-tree --dp-noise 0.001")
    private = labs.trap(options="--comparison carry-tree --dp-epsilon 8")
    assert len(clipped.items) >= 10 and len(private.items) == 0


def test_a_server_reads_no_digit_from_the_weights_of_the_public_seed():
    lab = labs.trap(chosen=False, options=f"{labs.QUICK} --reproducible")
    assert len(lab.items) == 0 and lab.pictures.shape == (0, 28, 28)


def test_only_a_server_that_draws_the_weights_can_choose_them(tmp_path):
    net = train_mnist.Net()
    for how in ("--initial-weights provider", f"--checkpoint {tmp_path}/run"):
        with pytest.raises(ValueError, match="train: a model came") as caught:
            train_mnist.train(parser().parse_args(how.split()), model=net)
        assert "\n" not in str(caught.value)
