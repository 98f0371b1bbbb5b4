"""Fixtures of the tests of the training program."""

import pytest


@pytest.fixture(autouse=True)
def embedded_data(monkeypatch):
    monkeypatch.delenv("MNIST_DIR", raising=False)
