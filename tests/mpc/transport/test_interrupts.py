"""Ctrl-C while a command is loading ends it, in one process."""

import signal
import subprocess
import sys

import pytest
from mpi_runs import ROOT, clean

from mpc.train_mnist import console
from mpc.transport import interrupts

SWALLOWS = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    raise ImportError("interrupted")
"""


@pytest.mark.parametrize("module", interrupts.COMMANDS)
def test_ctrl_c_ends_a_command_that_imports_numpy_without_a_traceback(tmp_path, module):
    """Also where a library catches the interrupt."""
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "__init__.py").write_text(SWALLOWS)
    done = subprocess.run(
        [sys.executable, "-m", module], capture_output=True, text=True, timeout=60,
        env=clean(PYTHONPATH=f"{tmp_path}:{ROOT}"))
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("words, status", [
    (["-m", "mpc.train_mnist", "--data-dir", "/nowhere/at/all"], 2),
    (["-m", "mpc.transport.mpi", "empty.py"], 0), (["-c", "import mpc"], 0)])
def test_after_loading_ctrl_c_raises_keyboard_interrupt_again(tmp_path, words, status):
    (tmp_path / "empty.py").touch()
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, signal\n"
        "atexit.register(lambda: print(signal.getsignal(signal.SIGINT).__name__))\n")
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=60,
        cwd=tmp_path, env=clean(PYTHONPATH=f"{tmp_path}:{ROOT}"))
    assert (done.returncode, done.stdout) == (status, "default_int_handler\n")


def test_a_command_that_simulates_all_roles_raises_it_again_when_it_runs(capsys):
    interrupts.end_at_once()
    assert console.exit_status("costs", lambda: signal.raise_signal(signal.SIGINT)) == (
        130)
    assert capsys.readouterr().err == "costs: interrupted\n"


def test_a_handler_of_the_program_stays(monkeypatch):
    def own(*_):
        pass

    before = signal.signal(signal.SIGINT, own)
    try:
        interrupts.end_at_once()
        interrupts.raise_again()
        assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)
    interrupts.end_at_once()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    interrupts.raise_again()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
