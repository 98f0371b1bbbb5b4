"""Cross entropies: their values and gradients on floats, and what they refuse."""

import numpy as np
import pytest

import nn

LOGITS = [[1.0, 2.0, -1.0], [3.0, 0.5, 4.0]]
ONE_HOT = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_the_cross_entropy_is_minus_the_mean_logarithm_of_the_softmax():
    p = softmax(np.array(LOGITS))
    due = -(np.log(p[0, 1]) + np.log(p[1, 0])) / 2
    for target in (ONE_HOT, nn.Tensor(ONE_HOT), [1, 0], np.array([1, 0], np.uint8),
                   nn.Tensor([1, 0])):
        loss = nn.cross_entropy(nn.Tensor(LOGITS), target)
        assert loss.shape == () and abs(loss.value - due) < 1e-15


def test_the_gradient_is_the_softmax_minus_the_target_over_the_rows():
    x = nn.Tensor(LOGITS, requires_grad=True)
    nn.cross_entropy(x, ONE_HOT).backward()
    due = (softmax(np.array(LOGITS)) - ONE_HOT) / 2
    np.testing.assert_allclose(x.grad, due, rtol=1e-12)


@pytest.mark.parametrize("target", [ONE_HOT, [2, 0], [[0.2, 0.3, 0.5], [1, 0, 0]]],
                         ids=["one-hot", "labels", "probabilities"])
def test_the_gradient_of_the_cross_entropy(check, target):
    check(lambda x: nn.cross_entropy(x, target), LOGITS, opaque=False)
    check(lambda x: nn.cross_entropy(x ** 2, target), LOGITS, opaque=False)


def test_large_logits_do_not_overflow():
    x = nn.Tensor([[1e4, 0.0, -1e4]], requires_grad=True)
    with np.errstate(under="ignore"):           # exp(-1e4) is 0
        loss, other = nn.cross_entropy(x, [1]), nn.cross_entropy(x, [0])
    loss.backward()
    assert loss.value == 1e4 and other.value == 0
    np.testing.assert_array_equal(x.grad, [[1, -1, 0]])


def test_the_binary_cross_entropy_is_the_mean_over_all_elements():
    x, t = np.array(LOGITS), np.array(ONE_HOT)
    p = 1 / (1 + np.exp(-x))
    due = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    loss = nn.binary_cross_entropy_with_logits(nn.Tensor(x), t)
    assert abs(loss.value - due) < 1e-15
    large = nn.Tensor([800.0, -800.0], requires_grad=True)
    with np.errstate(under="ignore"):
        loss = nn.binary_cross_entropy_with_logits(large, [0.0, 0.0])
    loss.backward()
    assert loss.value == 400 and large.grad.tolist() == [0.5, 0]


@pytest.mark.parametrize("target", [ONE_HOT, [[0.25, 0.5, 1.0], [0.1, 0.9, 0.0]]])
def test_the_gradient_of_the_binary_cross_entropy(check, target):
    check(lambda x: nn.binary_cross_entropy_with_logits(x, target), LOGITS,
          opaque=False)


def test_a_classifier_is_trained_with_either(rng):
    x = rng.normal(size=(60, 2))
    labels = (x[:, 0] + x[:, 1] > 0).astype(int)
    for loss, classes, target in (
            (nn.cross_entropy, 2, labels),
            (nn.binary_cross_entropy_with_logits, 1, labels[:, None])):
        model = nn.Linear(2, classes, rng)
        sgd = nn.SGD(model.parameters(), 0.5, momentum=0.9)
        for _ in range(50):
            sgd.zero_grad()
            loss(model(x), target).backward()
            sgd.step()
        output = model(x).value
        found = output.argmax(1) if classes == 2 else output[:, 0] > 0
        assert (found == labels).mean() > 0.95


# ---- errors


@pytest.mark.parametrize("target, remedy", [
    ([0, 3], "a label is not an integer from 0 to 2; the output has 3 classes"),
    ([0, -1], "a label is not"), ([0.5, 1], "a label is not"),
    ([np.nan, 1], "a label is not"), ([0, 1, 2], r"\(2, 3\) and target \(3,\) differ"),
    (np.ones((2, 3)), "a row of the target does not sum to 1"),
    (np.full((2, 3), np.nan), "a row of the target does not sum to 1"),
    ([[1], [0]], r"target \(2, 1\) differ; give both one row per item"),
    (nn.Tensor(ONE_HOT, requires_grad=True), "needs a gradient, .* pass target.value")],
    ids=range(9))
def test_other_targets_of_a_cross_entropy_are_refused(target, remedy):
    with pytest.raises(ValueError, match=f"cross_entropy: .*{remedy}"):
        nn.cross_entropy(nn.Tensor(LOGITS), target)


def test_secret_labels_are_not_made_one_hot(opaque):
    with pytest.raises(ValueError, match="give both one row per item and one column"):
        nn.cross_entropy(nn.Tensor(LOGITS), opaque([0.0, 1.0]))


@pytest.mark.parametrize("loss", [
    nn.cross_entropy, nn.binary_cross_entropy_with_logits])
def test_outputs_that_are_no_batch_of_a_model_are_refused(loss):
    with pytest.raises(TypeError, match=f"{loss.__name__}: the output is a ndarray"):
        loss(np.ones((2, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="no rows to average over"):
        loss(nn.Tensor(np.ones((0, 2))), np.ones((0, 2)))


def test_a_cross_entropy_needs_two_axes():
    with pytest.raises(ValueError, match="one row per item and one column per class"):
        nn.cross_entropy(nn.Tensor([1.0, 2.0]), [0, 1])


@pytest.mark.parametrize("target", [np.full((2, 3), 1.5), np.full((2, 3), np.nan)])
def test_a_binary_target_that_is_no_probability_is_refused(target):
    with pytest.raises(ValueError, match="a target is not between 0 and 1"):
        nn.binary_cross_entropy_with_logits(nn.Tensor(LOGITS), target)
