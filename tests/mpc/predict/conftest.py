"""Fixtures of the tests of the command that asks a model."""

import shutil

import pytest

from mpc import train_mnist


@pytest.fixture(autouse=True)
def embedded_data(monkeypatch):
    monkeypatch.delenv("MNIST_DIR", raising=False)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """{activation: a file with a model that has learnt something}"""
    found = {}
    for activation, lr in (("relu", "0.1"), ("square", "0.01")):
        found[activation] = tmp_path_factory.mktemp("model") / "model.npz"
        train_mnist.main(f"--arithmetic float --lr {lr} --activation {activation} "
                         f"--save {found[activation]}".split())
    return found


@pytest.fixture
def model(trained, tmp_path):
    return shutil.copy(trained["relu"], tmp_path / "model.npz")
