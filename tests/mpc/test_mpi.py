"""Roles that are processes of MPI: the same bits, keys of their own, and an end with a reason."""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest
from mpi_roles import digest

from mpc import World, mpi, train_mnist
from mpc.link import ProtocolError, Queues
from mpc.options import parser
from mpc.world import key_groups, make_keys, role_names

HERE = Path(__file__).parent
BESIDE = Path(sys.executable).with_name("mpiexec")      # where pip puts it
MPIEXEC = str(BESIDE) if BESIDE.exists() else shutil.which("mpiexec")
MISSING = [what for what, there in (("mpi4py", importlib.util.find_spec("mpi4py")),
                                    ("mpiexec", MPIEXEC)) if not there]


def in_processes(test):
    """Mark a test that starts processes of MPI."""
    reason = f"no {' and no '.join(MISSING)} here: pip install '.[mpi]'"
    return pytest.mark.mpi(pytest.mark.skipif(bool(MISSING), reason=reason)(test))


SMALL = "--train-items 6 --batch-size 4 --test-items 4 --epochs 2 --reproducible"
SOON = 120      # seconds within which a run must be over


def processes(marker):
    """(pid, command line) of all processes with `marker` in their environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                yield int(folder.name), (folder / "cmdline").read_bytes().decode().split("\0")
        except OSError:                 # it has ended meanwhile
            pass


class Started:
    """A run under mpiexec: `groups` are (number of processes, command line) of MPMD."""

    def __init__(self, *groups):
        self.marker = f"MARKER_OF_A_TEST={uuid.uuid4()}"
        words = []
        for count, command in groups:
            words += [":"] * bool(words) + ["-n", str(count), sys.executable, *command]
        name, value = self.marker.split("=")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PMI", "MPI", "MNIST"))}
        env |= {name: value, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
        self.process = subprocess.Popen([MPIEXEC, *words], env=env, text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)

    def ends(self, within=SOON):
        """(status, output, error output); nothing of the run is left."""
        try:
            out, err = self.process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            for pid, _ in processes(self.marker):
                os.kill(pid, signal.SIGKILL)
            out, err = self.process.communicate()
            pytest.fail(f"still running after {within} s:\n{out}\n{err}")
        deadline = time.monotonic() + 20
        while left := list(processes(self.marker)):
            assert time.monotonic() < deadline, left
            time.sleep(0.05)
        return self.process.returncode, out, err

    def pid_of(self, role):
        """The process of a `role`, as its guard was told it."""
        for _, words in processes(self.marker):
            if any(word.endswith("guard.py") for word in words) and role in words:
                return int(words[words.index(role) + 1])
        raise LookupError(role)


def roles(program, folder, *words, n=4):
    """``program`` of mpi_roles.py in `n` processes."""
    return Started((n, [str(HERE.parent / "mpi_roles.py"), program, str(folder), *words]))


def one_line(err):
    """The only line of the error output."""
    assert err.count("\n") == 1, err
    return err.removesuffix("\n")


# ---------------------------------------------------------------------- the same bits


@pytest.mark.parametrize("also", ["", "--comparison carry-tree", "--workers 3"])
@in_processes
def test_every_message_and_the_model_equal_the_simulations_bit_for_bit(tmp_path, also):
    """Both epochs, the encrypted test and the revealed model; payloads, headers, ledgers."""
    options = parser().parse_args(f"{SMALL} {also}".split())
    names = role_names(options.workers)
    started = roles("transcript", tmp_path, *f"{SMALL} {also}".split(), n=len(names))
    world = World(options.workers, seed=1, record=True, comparison=options.comparison)
    run = train_mnist.train(options, lambda line: None, world)
    status, _, err = started.ends()
    assert (status, err) == (0, "")
    for role in names:
        left = json.loads((tmp_path / f"{role}.json").read_text())
        assert left["said"] == digest(p for p in world.tape if p.src == role)
        assert left["heard"] == digest(p for p in heard_in_order(world, role))
        whole = repr(world.ledger.messages).encode()
        assert left["ledger"] == hashlib.sha256(whole).hexdigest()
        assert left["sent"] == traffic(world, role, "src", "dst")
        assert left["received"] == traffic(world, role, "dst", "src")
        assert left["keys"] and all(role in group for group in left["keys"])
        if role == "server":
            assert left["losses"] == run.losses
        else:
            assert np.isnan(left["losses"]).all()
    with np.load(tmp_path / "model.npz") as model:
        for name, parameter in run.model.named_parameters():
            np.testing.assert_array_equal(model[name], parameter.value)


def heard_in_order(world, role):
    return [parcel for parcel in world.tape if parcel.dst == role]


def traffic(world, role, mine, peer):
    """Bytes between `role` and each other one, as the simulation's ledger counts them."""
    counted = {}
    for message in world.ledger.messages:
        if getattr(message, mine) == role:
            other = getattr(message, peer)
            counted[other] = counted.get(other, 0) + message.nbytes
    return counted


# ---------------------------------------------------------------------- who has what


@in_processes
@pytest.mark.parametrize("workers", [2, 3])
def test_keys_are_agreed_on_by_those_who_share_them_and_shown_nowhere(tmp_path, workers):
    names = role_names(workers)
    assert roles("keys", tmp_path, n=len(names)).ends()[::2] == (0, "")
    left = {role: json.loads((tmp_path / f"{role}.json").read_text()) for role in names}
    everything = {}
    for role in names:
        own = left[role]["keys"]
        assert set(own) == {" ".join(sorted(g)) for g in key_groups(names) if role in g}
        for group, key in own.items():
            assert everything.setdefault(group, key) == key and len(key) == 32
    assert len(set(everything.values())) == len(everything) == len(key_groups(names))
    for role in names:
        for key in everything.values():
            assert key not in left[role]["shown"]
            assert repr(bytes.fromhex(key))[2:-1] not in left[role]["shown"]


@in_processes
def test_owners_alone_read_their_files_and_the_server_alone_prints_and_saves(tmp_path):
    """The server's and the provider's folder do not exist, the workers' place for a model neither."""
    owners = f"--data-dir {train_mnist.data.load.EMBEDDED} --save {tmp_path}/nowhere/model.npz"
    others = f"--data-dir {tmp_path}/nowhere --save {tmp_path}/model.npz"
    status, out, err = Started(command(f"{SMALL} {others}", 1), command(f"{SMALL} {owners}", 2),
                               command(f"{SMALL} {others}", 1)).ends()
    assert (status, err) == (0, "")
    assert out.count("Accuracy after 2 epochs") == 1 == out.count("Model written to")
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]
    assert "nan" not in out and len(re.findall("^Train Epoch", out, re.M)) == 4


def command(words, n=4):
    return n, ["-m", "mpc.train_mnist", *words.split()]


# ---------------------------------------------------------------------- ahead, within a bound


@in_processes
def test_the_provider_runs_ahead_of_slow_workers_by_a_bounded_number_of_messages(tmp_path):
    status, _, err = roles("ahead", tmp_path).ends()
    assert (status, err) == (0, "")
    awake = min(float((tmp_path / f"{w}.times").read_text()) for w in ("alice", "bob"))
    seen = [line.split() for line in (tmp_path / "seen").read_text().splitlines()]
    before = [int(n) for n, when in seen if float(when) < awake]
    assert len(before) == max(before) == 5          # that many products, and not one more
    assert max(int(n) for n, _ in seen) == 5


# ---------------------------------------------------------------------- how a run ends


@in_processes
@pytest.mark.parametrize("role", ["server", "alice", "crypto_provider"])
def test_a_killed_role_ends_the_run_in_a_line_that_names_it(tmp_path, role):
    started = Started(command(f"--epochs 1000 --train-items 64 --test-items 2 --save {tmp_path}/model.npz"))
    lines = []
    for _ in range(int(np.random.default_rng().integers(1, 8))):
        lines.append(started.process.stdout.readline())
    assert "Train Epoch" in lines[0]
    os.kill(started.pid_of(role), signal.SIGKILL)
    start = time.monotonic()
    status, _, err = started.ends()
    assert status != 0 and time.monotonic() - start < 30
    assert one_line(err) == f"{role}: killed by signal 9 (SIGKILL); the run ends"
    assert list(tmp_path.iterdir()) == []


@in_processes
def test_an_interrupted_run_says_so_once():
    started = Started(command("--epochs 1000 --train-items 64 --test-items 2"))
    assert "Train Epoch" in started.process.stdout.readline()
    started.process.send_signal(signal.SIGINT)
    status, _, err = started.ends()
    assert (status, one_line(err)) == (130, "server: train_mnist: interrupted")


@in_processes
@pytest.mark.parametrize("role", ["server", "bob", "crypto_provider"])
def test_an_error_in_one_role_ends_the_run_in_a_line_that_names_it(tmp_path, role):
    status, _, err = roles("fails", tmp_path, role, "raise").ends()
    assert (status, one_line(err)) == (1, f"{role}: RuntimeError: the disk is full")


@in_processes
def test_a_role_with_other_parameters_is_refused_before_anything_is_shared():
    status, out, err = Started(command(SMALL, 2), command(f"{SMALL} --lr 0.5", 1),
                               command(SMALL, 1)).ends()
    assert (status, out) == (2, "")
    assert re.fullmatch(r"\w+: train_mnist: (\w+) was started with lr (0.5|0.02) and (\w+) with "
                        r"(0.5|0.02); start all roles alike", one_line(err))
    assert "bob was started with lr 0.5" in err or "and bob with 0.5" in err


@in_processes
def test_a_role_with_another_version_is_refused(tmp_path):
    copy = tmp_path / "copy"
    for package in ("mpc", "nn", "data"):
        shutil.copytree(HERE.parents[1] / package, copy / package)
    with (copy / "mpc" / "ring.py").open("a") as file:
        file.write("# another version\n")
    other = ["-c", f"import sys; sys.path.insert(0, {str(copy)!r}); from mpc import train_mnist; "
             "sys.exit(train_mnist.main(sys.argv[1:]))", *SMALL.split()]
    status, out, err = Started(command(SMALL, 3), (1, other)).ends()
    assert (status, out) == (2, "")
    assert re.fullmatch(r"\w+: train_mnist: \w+ was started with code \w{16} and \w+ with \w{16}; "
                        "start all roles alike", one_line(err))
    assert "crypto_provider " in err


@in_processes
@pytest.mark.parametrize("what, told", [
    ("noise", "heard 7 bytes from alice that are no message of this program"),
    ("short", "bob heard from alice at step "), ("long", "bob heard from alice at step ")])
def test_garbage_on_the_wire_is_found_by_who_hears_it(tmp_path, what, told):
    status, _, err = roles("garbage", tmp_path, what).ends()
    assert status == 1
    assert one_line(err).startswith("bob: ProtocolError: ") and told in err


@in_processes
@pytest.mark.parametrize("n, words, told", [
    (3, "", "3 processes of MPI cannot play the 4 roles of 2 workers: start mpiexec -n 4, or"),
    (4, "--workers 3", "4 processes of MPI cannot play the 5 roles of 3 workers: start mpiexec"),
    (4, "--epochs ten", "--epochs: 'ten' is not a whole number"),
    (4, "--arithmetic float", "--arithmetic float: one process is enough where nothing is"),
    (4, "--data-dir /nowhere", "/nowhere: no such directory")])
def test_a_bad_start_is_told_in_one_line(n, words, told):
    small = SMALL.removesuffix(" --reproducible")
    status, out, err = Started(command(f"{small} {words}", n)).ends()
    assert (status, out) == (2, "")
    assert re.match(r"(server|alice|bob): train_mnist: ", one_line(err)) and told in err


@in_processes
def test_a_bad_option_of_one_role_alone_ends_the_run():
    status, out, err = Started(command(SMALL, 3), command(f"{SMALL} --epochs 0", 1)).ends()
    assert (status, out) == (2, "")
    assert "crypto_provider: train_mnist: argument --epochs: 0 is out of range" in one_line(err)


# ---------------------------------------------------------------------- in one process


def test_without_a_launcher_the_command_says_how_to_start_it(capsys):
    assert train_mnist.main(["--world", "mpi", "--workers", "3"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and one_line(err) == (
        "train_mnist: --world mpi: no launcher of MPI started this process; start mpiexec -n 5 "
        "python -m mpc.train_mnist")


def test_a_launcher_is_recognised_by_what_it_leaves_in_the_environment(monkeypatch):
    for rank, size in mpi.LAUNCHERS:
        monkeypatch.delenv(rank, raising=False)
        monkeypatch.delenv(size, raising=False)
    assert mpi.launched() is None
    monkeypatch.setenv("PMI_RANK", "2")
    assert mpi.launched() is None
    monkeypatch.setenv("PMI_SIZE", "4")
    assert mpi.launched() == (2, 4)


def test_missing_mpi4py_is_told_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    mpi.mpi.cache_clear()
    with pytest.raises(ValueError, match=r"MPI cannot be used .* pip install '.\[mpi\]'"):
        mpi.mpi()


def test_a_message_survives_the_wire_and_garbage_does_not():
    header = (17, "relu/drelu/x")
    parcel = mpi.from_wire("alice", "bob", mpi.to_wire(header, b"payload"))
    assert parcel == ("alice", "bob", header, b"payload")
    message = mpi.to_wire(header, b"")
    for n in range(len(message)):
        with pytest.raises(ProtocolError, match=f"bob heard {n} bytes from alice that are no"):
            mpi.from_wire("alice", "bob", message[:n])
    with pytest.raises(ProtocolError, match="no message of this program"):
        mpi.from_wire("alice", "bob", b"\xff" * 20)


def test_papers_that_differ_are_told_by_what_and_whose():
    names = role_names(2)
    queues = Queues(names)
    link = queues.endpoint("server")
    for other in names[1:]:
        lr = 0.5 if other == "bob" else 0.1
        queues.put(other, "server", (0, "papers"), json.dumps({"lr": lr}).encode())
    with pytest.raises(ValueError, match="bob was started with lr 0.5 and server with 0.1; start"):
        mpi.compare_papers(names, "server", link, {"lr": 0.1})


@pytest.mark.parametrize("papers", [b"", b"{", b"\xff\xfe", b"7"])
def test_papers_that_are_none_are_refused(papers):
    names = role_names(2)
    queues = Queues(names)
    queues.put("alice", "server", (0, "papers"), papers)
    with pytest.raises(ProtocolError, match="alice sent no papers that server can read"):
        mpi.compare_papers(names, "server", queues.endpoint("server"), {"lr": 0.1})


@pytest.mark.parametrize("n_workers", [2, 3])
def test_each_group_agrees_on_a_key_and_others_do_not_hear_of_it(n_workers):
    names = role_names(n_workers)
    queues = Queues(names)
    keys = {role: mpi.agree_on_keys(names, role, queues.endpoint(role)) for role in names}
    for group in key_groups(names):
        assert len({keys[role][group] for role in group}) == 1
        assert not any(group in keys[role] for role in names if role not in group)
    queues.finish()
    assert {group for role in names for group in keys[role]} == set(make_keys(names))


def test_a_key_of_another_length_is_refused():
    queues = Queues(role_names(2))
    names = role_names(2)
    queues.put("alice", "bob", (0, "key of alice, bob"), b"short")
    with pytest.raises(ProtocolError, match="alice sent a key of 5 bytes to bob in place of 16"):
        mpi.agree_on_keys(names, "bob", queues.endpoint("bob"))


def test_what_is_no_element_of_the_ring_is_refused():
    from helpers import give
    from mpc import run_threads
    from mpc.ring import Zm

    class Loose(Zm):
        """Sends what it likes."""

        def pack(self, x):
            return b"\xff" * self.nbytes(x.shape[1:])

    def program(world):
        return world.open(give(world, [1, 2], Loose(67)), name="x")

    with pytest.raises(ProtocolError, match="what is no element of Z_67"):
        run_threads(program, seed=1)
