"""The training command, of which one role kills itself at a given place.

``python tests/mpc/train_mnist/dying_roles.py ROLE PLACE NUMBER [OPTIONS]`` dies when it
is at this place for the NUMBER-th time.
"""

import itertools
import os
import signal
import sys

from mpc.train_mnist import checkpoint, command, training
from mpc.transport.launcher import launched, role_of
from mpc.transport.mpi import as_role

PLACES = {"in a batch": (training, "train_batch"),
          "in a test": (training, "count_correct"),
          "in a write": (os, "replace"), "after a write": (checkpoint, "write_whole")}


def dies(place, number):
    """Make this process kill itself there: before the call of a function, or after."""
    owner, name = PLACES[place]
    function, count = getattr(owner, name), itertools.count(1)

    def dying(*args, **how):
        last = next(count) == number
        if not last or place == "after a write":
            result = function(*args, **how)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)


if __name__ == "__main__":
    role, where, when, *words = sys.argv[1:]

    def main():
        if role_of(*launched()) == role:
            dies(where, int(when))
        return command.command(words)

    sys.exit(as_role(main, speakers=("server",)))
