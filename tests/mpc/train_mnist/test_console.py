"""How the commands end, and the progress line that only a terminal shows."""

import io
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mpc.train_mnist import command, console, costs, forecast

ROOT = Path(__file__).parents[3]
SMALL = "--epochs 1 --train-items 4 --test-items 4 --batch-size 2".split()
COMMANDS = {"train_mnist": SMALL, "costs": [], "costs forecast": ["forecast", *SMALL]}
MODULES = {"train_mnist": "mpc.train_mnist", "costs": "mpc.train_mnist.costs",
           "costs forecast": "mpc.train_mnist.costs"}
WORK = {"train_mnist": (command, "train"), "costs": (costs, "measure"),
        "costs forecast": (forecast, "traffic")}
PROGRESS = {
    "train_mnist": ["Test set: 0/4", "Test set: 2/4"],
    "costs": ["Measuring 8,192 ReLUs, securenn, 2 workers ...",
              "Measuring training batch of 64, carry-tree, 5 workers ..."],
    "costs forecast": ["Counting the messages of a few batches ...",
                       "Timing a few batches ..."]}
each_command = pytest.mark.parametrize("name", COMMANDS)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def fails(error):
    def run(*_, **__):
        raise error
    return run


def main(name, words):
    return (command if name == "train_mnist" else costs).main(words)


@pytest.mark.parametrize("error, status, said", [
    (ValueError("no good; take another"), 2, "name: no good; take another\n"),
    (OSError("no room"), 2, "name: no room\n"),
    (OSError(28, "No space left on device"), 2,
     "name: output: No space left on device; write it to another place\n"),
    (OSError(13, "Permission denied", "m.npz"), 2,
     "name: [Errno 13] Permission denied: 'm.npz'\n"),
    (ValueError("a\nb\x1b[2J: no such file"), 2,
     "name: a\\nb\\x1b[2J: no such file\n"),
    (MemoryError("Unable to allocate 8 GiB"), 2, "name: out of memory (Unable to "
     "allocate 8 GiB); take a smaller batch or fewer items\n"),
    (MemoryError(), 2, "name: out of memory (no details); take a smaller batch or "
     "fewer items\n"),
    (KeyboardInterrupt(), 130, "name: interrupted\n")])
def test_a_failure_takes_one_line(capsys, error, status, said):
    assert console.exit_status("name", fails(error)) == status
    assert capsys.readouterr() == ("", said)


def test_a_programming_error_is_not_hidden():
    with pytest.raises(AttributeError):
        console.exit_status("name", fails(AttributeError("a mistake")))


def test_on_a_terminal_the_progress_line_disappears_before_an_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    console.progress("one of two")
    assert console.exit_status("name", fails(KeyboardInterrupt())) == 130
    assert terminal.getvalue() == "\r\x1b[Kone of two\r\x1b[Kname: interrupted\n"


def test_without_a_terminal_there_is_no_progress_line(capsys, monkeypatch):
    console.progress("one of two")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys, "stderr", None)
    console.progress("one of two")


@each_command
def test_an_interrupted_command_ends_without_a_traceback(capsys, monkeypatch, name):
    monkeypatch.setattr(*WORK[name], fails(KeyboardInterrupt()))
    assert main(name, COMMANDS[name]) == 130
    assert capsys.readouterr().err == f"{name}: interrupted\n"


@pytest.mark.parametrize("name", ["train_mnist", "costs"])
def test_a_program_that_calls_main_keeps_its_own_arguments(capsys, monkeypatch, name):
    monkeypatch.setattr(sys, "argv", ["kernel", "-f", "/run/kernel-1.json"])
    monkeypatch.setattr(*WORK[name], fails(ValueError("it started")))
    assert main(name, ()) == 2
    assert capsys.readouterr().err == f"{name}: it started\n"


# ------------------------------------------------------------------ as a user runs them


def started(name, **how):
    words = [sys.executable, "-m", MODULES[name], *COMMANDS[name]]
    return subprocess.Popen(words, cwd=ROOT, **how)


@each_command
def test_a_reader_that_goes_away_ends_the_command_without_a_word(name):
    source, end = os.pipe()
    os.close(source)
    process = started(name, stdout=end, stderr=subprocess.PIPE, text=True)
    os.close(end)
    assert (process.communicate()[1], process.returncode) == ("", 1)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux")
@each_command
def test_a_full_disk_is_one_line_that_blames_the_output(name):
    with open("/dev/full", "w") as full:
        process = started(name, stdout=full, stderr=subprocess.PIPE, text=True)
        said = process.communicate()[1]
    assert (said, process.returncode) == (
        f"{name}: output: No space left on device; write it to another place\n", 2)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux")
def test_a_disk_that_is_full_for_the_last_line_is_one_line_too():
    code = ("import sys; from mpc.train_mnist import console; "
            "sys.exit(console.exit_status('name', lambda: print('last') or 0))")
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (
        2, "name: output: No space left on device; write it to another place\n")


def test_without_any_output_a_command_still_ends(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert console.exit_status("name", lambda: 0) == 0


@pytest.mark.parametrize("name", ["costs", "costs forecast"])
def test_of_several_processes_one_refuses_to_do_the_same_as_all(
        capsys, monkeypatch, name):
    monkeypatch.setattr(*WORK[name], fails(AssertionError("it started")))
    monkeypatch.setenv("PMI_SIZE", "4")
    for rank in "0123":
        monkeypatch.setenv("PMI_RANK", rank)
        assert costs.main(COMMANDS[name]) == 2
        assert capsys.readouterr() == ("", "" if int(rank) else (
            f"{name}: a launcher started 4 processes, and one simulates all roles; "
            "start it without mpiexec\n"))


def seen(terminal):
    """Everything that a process writes to its terminal until it ends."""
    said = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:             # the process has ended
            return said.decode()
        if not piece:
            return said.decode()
        said += piece


@each_command
def test_on_a_terminal_progress_takes_one_line_that_is_gone_at_the_end(name):
    ours, its = pty.openpty()
    process = started(name, stdout=subprocess.PIPE, stderr=its, text=True)
    os.close(its)
    said, out = seen(ours), process.communicate()[0]
    os.close(ours)
    assert process.returncode == 0 and out.count("\n") > 5
    assert "\n" not in said
    assert all(f"\r\x1b[K{text}" in said for text in PROGRESS[name])
    assert said.endswith("\r\x1b[K") and "\x1b" not in out


@pytest.mark.parametrize("name", ["costs", "costs forecast"])
def test_ctrl_c_ends_it_in_a_line(name):
    """Sent when it says, on its terminal, that it is at work."""
    ours, its = pty.openpty()
    process = started(name, stdout=subprocess.DEVNULL, stderr=its)
    os.close(its)
    os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    said = seen(ours)
    os.close(ours)
    assert process.wait() == 130
    assert said.rpartition("\x1b[K")[2] == f"{name}: interrupted\r\n"
    assert "Traceback" not in said
