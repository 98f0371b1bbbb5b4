"""Launchers are recognised; a supervisor reports a cause before its consequences."""

import os
import re
import signal
import subprocess
import sys
import types

import pytest
from mpi_runs import SMALL, TIMEOUT, clean, in_processes, one_line

from mpc import train_mnist
from mpc.transport import launcher, supervisor
from mpc.world import role_names


@pytest.fixture
def no_launcher(monkeypatch):
    for rank, size in [*launcher.LAUNCHERS, *launcher.FOREIGN_LAUNCHERS.values()]:
        monkeypatch.delenv(rank, raising=False)
        monkeypatch.delenv(size, raising=False)
    return monkeypatch


def test_a_launcher_is_recognised_by_its_variables(no_launcher):
    assert launcher.launched() is None
    no_launcher.setenv("PMI_RANK", "2")
    assert launcher.launched() is None
    no_launcher.setenv("PMI_SIZE", "4")
    assert launcher.launched() == (2, 4)


@pytest.mark.parametrize("variables, name", [
    ({"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "4", "PMIX_RANK": "2",
      "PMIX_NAMESPACE": "a"}, "srun"),
    ({"FLUX_TASK_RANK": "0", "FLUX_JOB_SIZE": "4"}, "flux"),
    ({"JSM_NAMESPACE_RANK": "0", "JSM_NAMESPACE_SIZE": "4"}, "jsrun"),
    ({"PMIX_RANK": "0", "PMIX_NAMESPACE": "prterun-1"}, "a launcher with PMIx")])
def test_a_foreign_launcher_is_refused_by_name(no_launcher, variables, name):
    for variable, value in variables.items():
        no_launcher.setenv(variable, value)
    with pytest.raises(ValueError, match=f"^{name} started this process .* start them "
                                         "with the mpiexec of the MPI that mpi4py use"):
        launcher.launched()


@pytest.mark.parametrize("variables", [
    {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"},                         # a batch script
    {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "PMIX_RANK": "0",
     "PMIX_NAMESPACE": "a"},
    {"FLUX_TASK_RANK": "0", "FLUX_JOB_SIZE": "1"}])
def test_one_process_of_a_foreign_launcher_is_an_ordinary_one(no_launcher, variables):
    for variable, value in variables.items():
        no_launcher.setenv(variable, value)
    assert launcher.launched() is None


@pytest.mark.parametrize("rank, size", [
    ("abc", "4"), ("4", "4"), ("-1", "4"), ("0", ""), ("", "0")])
def test_malformed_variables_of_a_launcher_are_refused(no_launcher, rank, size):
    no_launcher.setenv("PMI_RANK", rank)
    no_launcher.setenv("PMI_SIZE", size)
    with pytest.raises(ValueError, match=f"PMI_RANK is '{rank}' and PMI_SIZE is "
                                         f"'{size}', not a rank and a number"):
        launcher.launched()


@pytest.mark.parametrize("n_workers", range(2, 7))
def test_the_launcher_names_roles_as_the_world_does(n_workers):
    names = role_names(n_workers)
    ranks = range(len(names))
    assert names == tuple(launcher.role_of(rank, len(names)) for rank in ranks)


# ------------------------------------------------------------------ refused starts


NO_FORK = """
import os, runpy, sys
del os.fork
sys.modules["fcntl"] = sys.modules["termios"] = None
sys.argv[0] = "-m"
import mpc                              # as on Windows
from mpc import train_mnist
sys.exit(train_mnist.main(["--epochs", "1"]))
"""


@pytest.mark.parametrize("words, variables, message", [
    (["-m", "mpc.train_mnist"], {"PMI_RANK": "abc", "PMI_SIZE": "4"},
     "PMI_RANK is 'abc' and PMI_"),
    (["-m", "mpc.train_mnist"], {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "4"},
     "srun started"),
    (["-c", "from mpc import train_mnist; exit(train_mnist.main([]))"],
     {"PMIX_RANK": "0", "PMIX_NAMESPACE": "x"},
     "a launcher with PMIx started this process"),
    (["-m", "mpc.train_mnist.costs", "forecast"], {"PMI_RANK": "abc", "PMI_SIZE": "4"},
     "PMI_RANK is 'abc'"),
    (["-c", NO_FORK], {"PMI_RANK": "0", "PMI_SIZE": "4"},
     f"roles in MPI processes need os.fork, which {sys.platform} does not have; use")])
def test_an_impossible_start_is_refused_in_one_line(words, variables, message):
    done = subprocess.run([sys.executable, *words], env=clean(**variables),
                          capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in one_line(done.stderr)


def test_only_the_first_process_of_a_foreign_launcher_prints_the_line():
    done = subprocess.run([sys.executable, "-m", "mpc.train_mnist"],
                          env=clean(SLURM_PROCID="1", SLURM_STEP_NUM_TASKS="4"),
                          capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


@in_processes
def test_the_launcher_of_another_mpi_is_refused_by_name():
    done = subprocess.run([sys.executable, "-m", "mpc.train_mnist", *SMALL.split()],
                          env=clean(OMPI_COMM_WORLD_RANK="0", OMPI_COMM_WORLD_SIZE="4"),
                          capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode != 0 and done.stdout == ""
    assert re.fullmatch(
        r"server: train_mnist: the launcher started 4 processes and (.*), which mpi4py "
        r"uses, finds 1: they belong to different MPIs; use the mpiexec of \1",
        one_line(done.stderr))


def test_without_a_launcher_the_command_says_how_to_start_it(capsys):
    assert train_mnist.main(["--world", "mpi", "--workers", "3"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and one_line(err) == (
        "train_mnist: --world mpi: no MPI launcher started this process; start "
        "mpiexec -n 5 python -m mpc.train_mnist")


# ------------------------------------------------------------------ supervisors


@pytest.mark.parametrize("status, held, reported, shown, expected", [
    (0, ["warning"], [supervisor.ENDED], False, (0, ["warning"])),
    (0, [], [], False, (1, ["ended before the others did; the run ends"])),
    (2, ["bad option"], [], False, (2, ["bad option"])),
    (2, [], [], True, (2, [])),
    (7, [], [], False, (7, ["ended with status 7; the run ends"])),
    (1, ["warning"], ["ValueError: x"], False, (1, ["warning", "ValueError: x"])),
    (-signal.SIGINT, [], [], False, (130, ["interrupted"])),
    (1, [], [supervisor.JOINED, "ValueError: x"], False, (1, ["ValueError: x"])),
    (-signal.SIGINT, [], [supervisor.JOINED], False, (130, ["interrupted"])),
    (-signal.SIGUSR2, [], ["PeerFailed: x"], False, (supervisor.CONSEQUENCE, [])),
    (-signal.SIGKILL, ["warning"], [], False,
     (-9, ["killed by signal 9 (SIGKILL); the run ends"]))])
def test_a_supervisor_reports_the_end_of_a_role(
        status, held, reported, shown, expected):
    assert supervisor.verdict(status, held, reported, shown) == expected


END = "; the run ends"
FULL = (": shared memory is full or too small, /dev/shm has 3 of 64 MB left; remove "
        "files there that no run uses, or make it larger, as docker run "
        "--shm-size=256m does; the run ends")


@pytest.mark.parametrize("left, number, reason", [
    (3, signal.SIGBUS, FULL), (3, signal.SIGSEGV, FULL), (50, signal.SIGBUS, END),
    (3, signal.SIGKILL, END)])
def test_a_role_that_misses_shared_memory_is_reported_with_the_remedy(
        monkeypatch, left, number, reason):
    disk = types.SimpleNamespace(f_frsize=2**20, f_blocks=64, f_bavail=left)
    monkeypatch.setattr(os, "statvfs", lambda path: disk, raising=False)
    assert supervisor.verdict(-number, [], [], False) == (
        -9, [f"killed by signal {int(number)} ({number.name}){reason}"])


@pytest.mark.parametrize("here, of_launcher, local, missing", [
    ({0, 1, 3}, None, "4", {2}), ({0, 1, 2, 3}, None, "4", set()),
    ({0, 1, None, 3}, None, "4", set()),    # a process that has not begun
    ({0, 1}, None, "2", set()),             # other hosts have the others
    ({3}, 3, "4", set())])                  # a shell between the launcher and each role
def test_a_rank_is_missing_if_all_could_be_seen(
        monkeypatch, here, of_launcher, local, missing):
    ranks = {f"/proc/{rank}": rank for rank in here}
    ranks[f"/proc/{supervisor.LAUNCHER}"] = of_launcher
    environment = {f"{folder}/environ": f"A=1\0PMI_RANK={rank}\0PMI_SIZE=4\0"
                   for folder, rank in ranks.items()}
    monkeypatch.setenv("MPI_LOCALNRANKS", local)
    monkeypatch.setattr(supervisor, "processes", lambda: [*ranks][:-1])
    monkeypatch.setattr(supervisor, "read_file", environment.__getitem__)
    assert supervisor.missing_ranks(4) == missing


def test_a_cause_is_reported_before_its_consequences():
    """A killed role at once, then causes that all roles may share, then the rest."""
    delay = supervisor.delay
    assert delay(-9, 3, 4) == delay(0, 3, 4) == delay(1, 0, 4) == 0
    alike = [delay(status, rank, 4) for rank in range(4) for status in (1, 2, 4, 130)]
    assert alike == sorted(alike) and len(set(alike)) == 4
    consequences = [delay(supervisor.CONSEQUENCE, rank, 4) for rank in range(4)]
    assert min(consequences) > max(alike)
