"""A worker that cheats under MPI: every role ends in one line; nothing is saved."""

import pytest
from mpi_runs import SMALL, Started, in_processes, one_line

LIAR = """
import sys

from mpc import World
from mpc.train_mnist.command import main

honest, seen = World._exchange, []


def lying(self, messages):
    src, dst, name, ring, rows = messages[0]
    if self.here == ("{cheat}",) and name == "{name}" and not self.ledger.is_offline:
        seen.append(name)
        if len(seen) == {which}:
            messages = [(src, dst, name, ring, ring.add(rows, 1) if len(rows) and (
                dst in {to}) else rows) for src, dst, name, ring, rows in messages]
    return honest(self, messages)


World._exchange = lying
sys.exit(main(sys.argv[1:]))
"""


@in_processes
@pytest.mark.parametrize("workers, cheat, name, which, to, noticed", [
    (2, "alice", "nonce of revealed", 2, ("server",), "told a role different numbers"),
    (2, "bob", "delta", 2, ("alice", "bob"), "does not fit its seals"),
    (3, "worker3", "delta", 2, ("alice",), "was shown other numbers"),
    (3, "alice", "sigma", 1, ("bob", "worker3"), "had committed itself to")])
def test_a_cheat_ends_every_role_in_one_line_and_no_model_is_written(
        tmp_path, workers, cheat, name, which, to, noticed):
    """A lie in a result, in a share to all or to one worker, and in the check.

    Who tells all workers the same lie, itself included, is caught by the sums alone.
    """
    (tmp_path / "liar.py").write_text(
        LIAR.format(cheat=cheat, name=name, which=which, to=to))
    words = f"{SMALL} --security abort --workers {workers} --save {tmp_path}/model.npz"
    status, out, err = Started(
        (workers + 2, [str(tmp_path / "liar.py"), *words.split()])).ends()
    line = one_line(err)
    assert status == 2 and "train_mnist: a worker cheated: " in line, err
    assert noticed in line, line
    assert "make another World" in line and "Accuracy after" not in out
    assert not (tmp_path / "model.npz").exists()
