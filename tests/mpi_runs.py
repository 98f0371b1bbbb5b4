"""Runs under mpiexec, for tests: start them, wait for them, look at their processes."""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
BESIDE = Path(sys.executable).with_name("mpiexec")      # where pip puts it
MPIEXEC = str(BESIDE) if BESIDE.exists() else shutil.which("mpiexec")
MISSING = [name for name, found in (("mpi4py", importlib.util.find_spec("mpi4py")),
                                    ("mpiexec", MPIEXEC)) if not found]
SMALL = "--train-items 6 --batch-size 4 --test-items 4 --epochs 2 --reproducible"
TIMEOUT = 120       # seconds within which a run must end


def in_processes(test):
    """Mark a test that starts MPI processes."""
    reason = f"no {' and no '.join(MISSING)} here: pip install '.[mpi]'"
    return pytest.mark.mpi(pytest.mark.skipif(bool(MISSING), reason=reason)(test))


def clean(**variables):
    """An environment without a launcher's variables."""
    launchers = ("PMI", "MPI", "MNIST", "OMPI", "SLURM", "FLUX", "JSM")
    env = {k: v for k, v in os.environ.items() if not k.startswith(launchers)}
    return env | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **variables}


def processes(marker):
    """(pid, command line) of all processes with `marker` in their environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                words = (folder / "cmdline").read_bytes().decode().split("\0")
                yield int(folder.name), words
        except OSError:                 # it has ended
            pass


def shared_memory(pid):
    """The files in shared memory that a process has opened."""
    with contextlib.suppress(OSError):
        maps = Path(f"/proc/{pid}/maps").read_text()
        return set(re.findall(r"/dev/shm/\w+", maps))
    return set()


class Started:
    """A run under mpiexec of several groups of processes.

    A group is (number of processes, command line) and optionally their PYTHONPATH.
    """

    def __init__(self, *groups):
        self.marker, self.shared = f"MARKER_OF_A_TEST={uuid.uuid4()}", set()
        words = []
        for count, command, *path in groups:
            env = ["-env", "PYTHONPATH", *path] * bool(path)
            words += [":"] * bool(words)
            words += ["-n", str(count), *env, sys.executable, *command]
        self.process = subprocess.Popen(
            [MPIEXEC, *words], text=True, env=clean(**dict([self.marker.split("=")])),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self):
        """Note the shared memory of this run: other processes have their own."""
        while self.process.poll() is None:
            pids = [pid for pid, _ in processes(self.marker)]
            self.shared |= {name for pid in pids for name in shared_memory(pid)}
            time.sleep(0.05)

    def ends(self, within=TIMEOUT):
        """(status, output, error output); no process or memory may be left."""
        try:
            out, err = self.process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            for pid, _ in processes(self.marker):
                os.kill(pid, signal.SIGKILL)
            out, err = self.process.communicate()
            pytest.fail(f"still running after {within} s:\n{out}\n{err}")
        deadline = time.monotonic() + 20
        while left := [*processes(self.marker), *filter(os.path.exists, self.shared)]:
            assert time.monotonic() < deadline, (left, out, err)
            time.sleep(0.05)
        return self.process.returncode, out, err

    def pid_of(self, role):
        """The process of a `role`, from the command line of its supervisor."""
        for _, words in processes(self.marker):
            if any(word.endswith("supervisor.py") for word in words) and role in words:
                return int(words[words.index(role) + 1])
        raise LookupError(role)


def roles(program, folder, *words, n=4):
    """A run of ``program`` of mpi_roles.py in `n` processes."""
    return Started((n, [str(TESTS / "mpi_roles.py"), program, str(folder), *words]))


def command(words, n=4):
    """A group of processes that run the training command."""
    return n, ["-m", "mpc.train_mnist", *words.split()]


def program(folder, text, name="program.py"):
    """The words that start a user's program, written into `folder`, as a role."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return ["-m", "mpc.transport.mpi", str(folder / name)]


def one_line(err):
    """The only line of the error output."""
    assert err.count("\n") == 1, err
    return err.removesuffix("\n")
