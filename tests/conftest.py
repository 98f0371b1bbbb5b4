"""Fixtures of all tests; what they call by name is in helpers.py."""

import pytest

from mpc import World


@pytest.fixture
def world():
    """A tagged simulation of two workers whose masks repeat."""
    return World(seed=7, tagged=True)
