"""Every fault in every role at every place of a training run, and its outcome.

`tests/faults/sitecustomize.py` puts the fault in, from outside the package.
"""

import os
import re
import signal
import time
from typing import NamedTuple

import numpy as np
from mpi_runs import ROOT, TESTS, Started, command

from mpc.train_mnist.checkpoint import read_whole
from mpc.world import role_names

SMALL = "--train-items 6 --batch-size 4 --test-items 4 --epochs 1"
CHECKPOINTS = "--checkpoint {folder}/run --every 1"
FAST = 5.0          # seconds from a fault to the end of the last process
STOPPED = 2.5       # seconds for which a role is stopped: longer than any role waits

PLACES = {
    "joining": "before MPI has connected the role",
    "handshake": "before the roles compare their parameters",
    "keys": "before they agree on keys",
    "sharing": "when the model is shared, before the data are",
    "training": "before the second batch",
    "test": "before the encrypted test",
    "reveal": "before the model is revealed",
    "save": "in the server: between writing the model and moving it to its place; in "
            "other roles: at the end of the program"}
FAULTS = {
    "SIGKILL": "a signal kills the role, as the system does when memory is short",
    "SIGSTOP": f"the role is stopped, and continued after {STOPPED} s",
    "SIGINT": "Ctrl-C reaches this role alone",
    "exception": "the program raises an error",
    "exit 0": "the program calls `sys.exit(0)`",
    "os._exit(0)": "a library ends the process with status 0",
    "import error": "NumPy cannot be imported",
    "disk full": "the disk with the role's own files becomes full",
    "/dev/shm full": "shared memory becomes full"}
EVERYWHERE = tuple(PLACES)
BEFORE_WRITING, JOINED = EVERYWHERE[:5], EVERYWHERE[1:]
NONSENSE = {("import error", place): "all modules have been imported"
            for place in JOINED}


class Outcome(NamedTuple):
    """How a run ends. In its lines, ROLE is the role with the fault.

    OTHER is any role, STEP a step of the protocol, and N a number.
    """

    places: tuple
    status: int
    lines: tuple = ()       # one of these is printed
    others: str = "are ended"


OUTCOMES = {
    "SIGKILL": [Outcome(EVERYWHERE, 1, (
        "ROLE: killed by signal 9 (SIGKILL); the run ends",))],
    "SIGSTOP": [Outcome(EVERYWHERE, 0, (
        "ROLE: stopped by signal 19 (SIGSTOP); the others wait; kill -CONT N continues "
        "it",), "wait, and go on with it")],
    "SIGINT": [Outcome(EVERYWHERE, 130, ("ROLE: train_mnist: interrupted",))],
    "exception": [Outcome(EVERYWHERE, 1, ("ROLE: RuntimeError: an injected error",))],
    "exit 0": [Outcome(EVERYWHERE, 1, tuple(
        f"OTHER: OutOfStep: {where}; start all roles alike, and decide on local values "
        "through broadcast() only"
        for where in ("OTHER is at STEP and ROLE at the end of the program",
                      "ROLE is at the end of the program and OTHER at STEP")))],
    "os._exit(0)": [Outcome(EVERYWHERE, 1, (
        "ROLE: ended before the others did; the run ends",))],
    "import error": [Outcome(("joining",), 1, (
        "ROLE: ImportError: libblas.so: no such file",))],
    "disk full": [
        Outcome(BEFORE_WRITING, 2, (
            "ROLE: train_mnist: checkpoint FOLDER: No space left on device; make room "
            "there, and resume",)),
        Outcome(EVERYWHERE[5:], 0, (), "go on: the room for the model is reserved")],
    "/dev/shm full": [
        Outcome(("joining",), 1, tuple(
            f"OTHER: killed by signal {number}: shared memory is full or too small, "
            "/dev/shm has N of N MB left; remove files there that no run uses, or make "
            "it larger, as docker run --shm-size=256m does; the run ends"
            for number in ("7 (SIGBUS)", "11 (SIGSEGV)"))),
        Outcome(JOINED, 0, (), "go on: all memory is taken when the roles join")]}
SAMPLE = [      # of every fault, role and place, for each run of the checks
    (2, "server", "joining", "SIGKILL"), (2, "alice", "test", "SIGSTOP"),
    (2, "bob", "handshake", "SIGINT"), (2, "crypto_provider", "keys", "exception"),
    (2, "server", "save", "SIGKILL"), (2, "alice", "joining", "import error"),
    (2, "bob", "reveal", "exit 0"), (2, "crypto_provider", "joining", "os._exit(0)"),
    (2, "alice", "training", "disk full"), (2, "bob", "joining", "/dev/shm full"),
    (2, "server", "sharing", "/dev/shm full"), (3, "worker3", "training", "SIGKILL")]


def combinations():
    """All (number of workers, role, place, fault) that make sense."""
    return [(n_workers, role, place, fault)
            for n_workers in (2, 3) for role in role_names(n_workers)
            for place in PLACES for fault in FAULTS if (fault, place) not in NONSENSE]


def outcome_of(fault, place):
    """The only outcome of a fault at a place."""
    outcome, = (o for o in OUTCOMES[fault] if place in o.places)
    return outcome


def pattern(line, role):
    """The regular expression of a line that is printed when `role` has the fault."""
    words = {"ROLE": role, "OTHER": r"\w+", "STEP": r"step \d+ \([^)]*\)", "N": r"\d+",
             "FOLDER": r"\S+"}
    parts = re.split(rf"\b({'|'.join(words)})\b", line)
    return "".join(words.get(part) or re.escape(part) for part in parts)


def start(folder, n_workers, role, place, fault):
    """A run with this fault; each role has its own options for files."""
    own, user = folder / "disk", folder / "user"
    own.mkdir()
    user.mkdir()
    groups = []
    for name in role_names(n_workers):
        place_of_files = own if name == role and fault == "disk full" else user
        words = f"{SMALL} --workers {n_workers} --save {place_of_files}/model.npz"
        if fault == "disk full":
            words += f" {CHECKPOINTS.format(folder=place_of_files)}"
        groups.append(command(words, 1))
    return Started(
        *groups, disks={own: "8m"} if fault == "disk full" else {},
        PYTHONPATH=f"{TESTS / 'faults'}{os.pathsep}{ROOT}",
        FAULT=f"{role} {place} {fault}", FAULTY=str(folder / "faulty"),
        FAULTY_DISK=str(own))


def check(folder, n_workers, role, place, fault, idle=False):
    """Run it, and compare the outcome with the table; an `idle` machine is `FAST`."""
    run, faulty = start(folder, n_workers, role, place, fault), folder / "faulty"
    outcome, early = outcome_of(fault, place), ""
    if fault == "SIGSTOP":
        early = run.process.stderr.readline()
        time.sleep(STOPPED)
        assert run.process.poll() is None
        os.kill(int(faulty.read_text()), signal.SIGCONT)
    status, out, err = run.ends(filled="full" in fault)
    end = time.time()
    assert status == outcome.status, (status, out, early + err)
    lines = (early + err).splitlines()
    assert len(lines) == bool(outcome.lines), early + err
    for line in lines:
        assert any(re.fullmatch(pattern(each, role), line) for each in outcome.lines)
    at_once = idle and outcome.status and fault != "disk full"
    assert not at_once or end - faulty.stat().st_mtime < FAST
    check_files(run, folder, role, outcome.status == 0, fault == "disk full")


def check_files(run, folder, role, good, with_checkpoints):
    """All files are whole, and the model is there if the run was `good`."""
    places = [folder / "user"]
    if with_checkpoints:
        places.append(run.root(folder / "disk"))
    models = []
    for place in places:
        files = {path for path in place.rglob("*") if path.is_file()}
        for path in files:
            if path.suffix == ".checkpoint":
                read_whole(path)
            elif path.name == "model.npz":
                with np.load(path) as model:
                    models.append({name: model[name].shape for name in model.files})
            else:
                assert path.name.startswith("filler"), path
    assert len(models) == 1 if good else len(models) <= 1
    assert all(len(shapes) == 6 for shapes in models)


def table():
    """The outcomes as lines of Markdown."""
    yield "| fault | places | status | standard error | the other roles |"
    yield "| --- | --- | --- | --- | --- |"
    for fault, outcomes in OUTCOMES.items():
        for outcome in outcomes:
            lines = " or ".join(f"`{line}`" for line in outcome.lines) or "nothing"
            yield (f"| {FAULTS[fault]} (`{fault}`) | {named(outcome.places)} | "
                   f"{outcome.status} | {lines} | {outcome.others} |")
    for reason in sorted(set(NONSENSE.values())):
        pairs = [pair for pair, why in NONSENSE.items() if why == reason]
        places = tuple(place for _, place in pairs)
        yield (f"| {FAULTS[pairs[0][0]]} (`{pairs[0][0]}`) | {named(places)} | - | "
               f"makes no sense: {reason} | - |")


def named(places):
    """Places as the table shows them."""
    return "all" if places == EVERYWHERE else ", ".join(places)
