"""Runs under mpiexec, for tests: start them, wait for them, look at their processes."""

import contextlib
import functools
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


without_mpi = pytest.mark.skipif(
    bool(MISSING), reason=f"no {' and no '.join(MISSING)} here: pip install '.[mpi]'")


def in_processes(test):
    """Mark a test that starts MPI processes."""
    return pytest.mark.mpi(without_mpi(test))


def clean(**variables):
    """An environment without a launcher's variables."""
    launchers = ("PMI", "MPI", "MNIST", "OMPI", "SLURM", "FLUX", "JSM")
    env = {k: v for k, v in os.environ.items() if not k.startswith(launchers)}
    return env | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **variables}


@functools.cache
def unshared():
    """The command that gives a run mounts of its own; [] where that is forbidden."""
    for words in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        attempt = [*words, "sh", "-c", "mount -t tmpfs none /dev/shm"]
        with contextlib.suppress(OSError):
            if subprocess.run(attempt, capture_output=True).returncode == 0:
                return words
    return []


def with_disks(words, disks):
    """The command `words` with a file system in memory at each of {path: size}."""
    mounts = [f"mount -t tmpfs -o size={size} none {path} &&"
              for path, size in disks.items()]
    return [*unshared(), "sh", "-c", " ".join((*mounts, 'exec "$0" "$@"')), *words]


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

    A group is (number of processes, command line) and optionally their PYTHONPATH. The
    run has a /dev/shm of its own, as large as Docker's, where the system permits it.
    `disks` are further file systems of its own, and `variables` its environment. It is
    killed after `TIMEOUT`, so a test that waits for its output never hangs.
    """

    def __init__(self, *groups, disks=(), **variables):
        self.marker, self.opened = f"MARKER_OF_A_TEST={uuid.uuid4()}", set()
        words = [MPIEXEC]
        for count, command, *path in groups:
            env = ["-env", "PYTHONPATH", *path] * bool(path)
            words += [":"] * (len(words) > 1)
            words += ["-n", str(count), *env, sys.executable, *command]
        sizes = {"/dev/shm": "64m"} if unshared() else {}
        sizes |= {str(path): size for path, size in dict(disks).items()}
        self.process = subprocess.Popen(
            with_disks(words, sizes) if sizes else words, text=True,
            env=clean(**dict([self.marker.split("=")]), **variables),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.hangs, self.timer = False, threading.Timer(TIMEOUT, self._kill)
        self.timer.daemon = True
        self.timer.start()
        self.disks = {path: self._open(path) for path in sizes}
        if not sizes:
            threading.Thread(target=self._look, daemon=True).start()

    def _open(self, path):
        """The root of a file system of this run, which the run may end."""
        own, deadline = f"/proc/{self.process.pid}/root{path}", time.monotonic() + 20
        while os.stat(own).st_dev == os.stat(path).st_dev:
            assert time.monotonic() < deadline, path
            time.sleep(0.002)
        return os.open(own, os.O_RDONLY)

    def root(self, path):
        """The folder `path` as this run sees it."""
        return Path(f"/proc/self/fd/{self.disks[str(path)]}")

    def memory(self):
        """The files that the run has left in shared memory."""
        if self.disks:
            return os.listdir(self.root("/dev/shm"))
        return list(filter(os.path.exists, self.opened))

    def _look(self):
        """Note the shared memory of this run: other processes have their own."""
        while self.process.poll() is None:
            pids = [pid for pid, _ in processes(self.marker)]
            self.opened |= {name for pid in pids for name in shared_memory(pid)}
            time.sleep(0.05)

    def _kill(self):
        self.hangs = True
        for pid, _ in processes(self.marker):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def ends(self, filled=False):
        """(status, output, error output); no process or memory may be left.

        If a test has `filled` shared memory, its own file remains.
        """
        out, err = self.process.communicate()
        self.timer.cancel()
        if self.hangs:
            pytest.fail(f"still running after {TIMEOUT} s:\n{out}\n{err}")
        deadline = time.monotonic() + 20
        while left := [*processes(self.marker), *self.memory()]:
            if filled and [name[:6] for name in left] == ["filler"]:
                break
            assert time.monotonic() < deadline, (left, out, err)
            time.sleep(0.05)
        return self.process.returncode, out, err

    def __del__(self):
        for disk in self.disks.values():
            os.close(disk)

    def supervisors(self):
        """{role: process} of the supervisors."""
        return {words[4]: pid for pid, words in processes(self.marker)
                if len(words) > 5 and words[3].endswith("supervisor.py")}

    def pid_of(self, role):
        """The process of a `role`, from the command line of its supervisor."""
        for _, words in processes(self.marker):
            if len(words) > 5 and words[3].endswith("supervisor.py"):
                if words[4] == role:
                    return int(words[5])
        raise LookupError(role)


def roles(program, folder, *words, n=4, **variables):
    """A run of ``program`` of mpi_roles.py in `n` processes."""
    command = [str(TESTS / "mpi_roles.py"), program, str(folder), *words]
    return Started((n, command), **variables)


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
