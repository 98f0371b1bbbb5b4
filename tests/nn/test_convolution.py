"""Convolution and pooling, beside loops over the windows."""

import numpy as np
import pytest

import nn

SHAPES = [      # pictures, kernels, stride, padding
    ((2, 1, 5, 5), (3, 1, 3, 3), 1, 0), ((2, 3, 6, 5), (2, 3, 2, 3), (2, 1), (1, 2)),
    ((1, 2, 4, 4), (4, 2, 4, 4), 1, 0), ((1, 2, 3, 7), (1, 2, 1, 1), 3, 1),
    ((3, 2, 5, 4), (2, 2, 3, 3), 2, 1)]


def by_hand(x, weight, stride, padding):
    """The convolution as loops over windows and kernels."""
    down, right = stride if isinstance(stride, tuple) else (stride, stride)
    top, left = padding if isinstance(padding, tuple) else (padding, padding)
    x = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
    h, w = weight.shape[2:]
    rows, columns = (x.shape[2] - h) // down + 1, (x.shape[3] - w) // right + 1
    y = np.zeros((len(x), len(weight), rows, columns))
    for n, k, i, j in np.ndindex(y.shape):
        window = x[n, :, i * down:i * down + h, j * right:j * right + w]
        y[n, k, i, j] = (window * weight[k]).sum()
    return y


@pytest.mark.parametrize("shape, kernels, stride, padding", SHAPES)
def test_a_convolution_is_that_of_loops(shape, kernels, stride, padding, rng):
    x, weight = rng.normal(size=shape), rng.normal(size=kernels)
    bias = rng.normal(size=kernels[0])
    due = by_hand(x, weight, stride, padding)
    found = nn.conv2d(x, nn.Tensor(weight), stride=stride, padding=padding)
    np.testing.assert_allclose(found.value, due, atol=1e-12)
    found = nn.conv2d(nn.Tensor(x), nn.Tensor(weight), nn.Tensor(bias), stride, padding)
    np.testing.assert_allclose(found.value, due + bias[:, None, None], atol=1e-12)


@pytest.mark.parametrize("shape, kernels, stride, padding", SHAPES[:2])
def test_the_gradients_of_a_convolution(shape, kernels, stride, padding, check, rng):
    check(lambda x, w, b: nn.conv2d(x, w, b, stride, padding), rng.normal(size=shape),
          rng.normal(size=kernels), rng.normal(size=kernels[0]))


def test_a_convolution_is_one_product_of_matrices(opaque, rng):
    layer = nn.Conv2d(2, 3, 3, padding=1, rng=rng).map(opaque)
    layer(opaque(rng.normal(size=(4, 2, 5, 5)))).square().sum().backward()
    assert [line for line in opaque.log if "@" in line] == [
        "(100, 18) @ (18, 3)", "(18, 100) @ (100, 3)"]


def test_the_mean_and_the_maximum_of_windows(check, rng):
    x = rng.normal(size=(2, 3, 5, 6))
    inside = x[:, :, :4].reshape(2, 3, 2, 2, 3, 2)
    found = nn.AvgPool2d(2)(x).value
    np.testing.assert_allclose(found, inside.mean((3, 5)), atol=1e-15)
    check(nn.AvgPool2d((2, 3), stride=1), x[:1, :1])


def test_windows_of_a_pool_may_overlap_or_leave_gaps():
    x = np.arange(25.0).reshape(1, 1, 5, 5)
    np.testing.assert_array_equal(nn.AvgPool2d(1, stride=2)(x).value, x[:, :, ::2, ::2])
    np.testing.assert_array_equal(nn.AvgPool2d(3, 1)(x).value, x[:, :, 1:4, 1:4])


def test_the_layer_draws_its_weights_and_shows_its_sizes():
    layer = nn.Conv2d(3, 5, (2, 4), stride=2, rng=np.random.default_rng(0))
    assert layer.weight.shape == (5, 3, 2, 4) and layer.bias.shape == (5,)
    assert np.abs(layer.weight.value).max() <= 1 / np.sqrt(24)
    assert repr(nn.Sequential(
        layer, nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.AvgPool2d(2),
        nn.MaxPool2d(3, stride=2))) == (
        "Sequential(\n  (0): Conv2d(3, 5, kernel_size=(2, 4), stride=(2, 2))\n"
        "  (1): Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), "
        "bias=False)\n  (2): AvgPool2d(kernel_size=(2, 2), stride=(2, 2))\n"
        "  (3): MaxPool2d(kernel_size=(3, 3), stride=(2, 2))\n)")


def test_a_small_network_learns_on_floats(rng):
    net = nn.Sequential(nn.Conv2d(1, 3, 3, rng=rng), nn.ReLU(), nn.AvgPool2d(2),
                        nn.Flatten(), nn.Linear(12, 2, rng))
    x = rng.normal(size=(40, 1, 6, 6))
    labels = (x[:, 0, :, :3].sum((1, 2)) > x[:, 0, :, 3:].sum((1, 2))).astype(int)
    sgd = nn.SGD(net.parameters(), 0.1, momentum=0.9)
    for _ in range(60):
        sgd.zero_grad()
        nn.cross_entropy(net(x), labels).backward()
        sgd.step()
    assert (net(x).value.argmax(1) == labels).mean() > 0.95


def test_a_batch_may_be_empty():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.AvgPool2d(2), nn.Flatten())
    assert net(np.ones((0, 1, 4, 4))).shape == (0, 8)


# ---- errors


@pytest.mark.parametrize("x, weight", [
    ((1, 2, 5, 5), (3, 1, 3, 3)), ((1, 1, 5, 5), (1, 3, 3)), ((5, 5), (1, 1, 3, 3))])
def test_pictures_and_kernels_that_do_not_match_are_refused(x, weight):
    with pytest.raises(ValueError, match="conv2d: .*give both four axes and as many"):
        nn.conv2d(nn.Tensor(np.ones(x)), nn.Tensor(np.ones(weight)))


@pytest.mark.parametrize("layer", [nn.AvgPool2d(2), nn.MaxPool2d(2)])
def test_pictures_without_channels_are_refused(layer):
    with pytest.raises(ValueError, match=r"give it \(n, channels, height, width\)"):
        layer(np.ones((3, 5, 5)))


def test_a_kernel_larger_than_the_picture_is_refused():
    with pytest.raises(ValueError, match="a kernel of 4 x 2 does not fit into pict"):
        nn.Conv2d(1, 1, (4, 2))(np.ones((1, 1, 3, 3)))
    assert nn.Conv2d(1, 1, 4, padding=1)(np.ones((1, 1, 3, 3))).shape == (1, 1, 2, 2)


@pytest.mark.parametrize("make", [
    lambda: nn.Conv2d(1, 1, 0), lambda: nn.Conv2d(1, 1, (2, 2, 2)),
    lambda: nn.Conv2d(1, 1, 2, stride=0), lambda: nn.Conv2d(1, 1, 2, padding=-1),
    lambda: nn.Conv2d(1, 1, 2.0), lambda: nn.AvgPool2d("2"), lambda: nn.MaxPool2d(True),
    lambda: nn.AvgPool2d(2, stride=0)], ids=range(8))
def test_sizes_that_are_not_integers_in_range_are_refused(make):
    with pytest.raises(ValueError, match="is not an integer from [01] on, or two of t"):
        make()


def test_plain_kernels_and_encoded_pictures_do_not_meet(opaque):
    with pytest.raises(TypeError, match="Conv2d: the input is a Opaque and the weight"):
        nn.Conv2d(1, 1, 2)(opaque(np.ones((1, 1, 3, 3))))
