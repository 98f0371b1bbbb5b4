"""Memory stays flat over thousands of batches, in a simulation and under MPI."""

import json
import sys

import pytest
import soak
from mpi_runs import in_processes, roles

import nn
from mpc import World
from mpc.ledger import Messages

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")


@on_linux
@pytest.mark.slow
def test_a_long_training_keeps_its_memory(monkeypatch):
    monkeypatch.setattr(Messages, "newest", 0)      # restored after the test
    world = World(seed=1)
    assert soak.growth(soak.training(world, nn.Linear(2, 1), nn.ReLU())) < soak.MOST
    assert len(world.ledger.messages) > 50_000
    assert len(world.ledger.table()) < 10_000


@on_linux
@in_processes
def test_every_role_keeps_its_memory_in_a_process_of_its_own(tmp_path):
    status, _, err = roles("soaked", tmp_path).ends()
    assert (status, err) == (0, "")
    grown = {role: json.loads((tmp_path / f"{role}.json").read_text())
             for role in World().roles}
    assert all(n < soak.MOST for n in grown.values()), grown
