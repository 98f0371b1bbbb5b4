"""Roles that are processes of MPI: the same bits, keys of their own, and an end with a reason."""

import concurrent.futures
import contextlib
import hashlib
import importlib.util
import json
import linecache
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

import numpy as np
import pytest
from mpi_roles import digest

from mpc.audit.replay import RecordedWorld
from mpc import World, train_mnist
from mpc.transport import mpi, supervisor
from mpc.transport.link import Disagreement, ProtocolError, Queues
from mpc.train_mnist.options import parser
from mpc.randomness import stream
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


def shared_memory(pid):
    """The files in shared memory that a process has opened."""
    with contextlib.suppress(OSError):
        return set(re.findall(r"/dev/shm/\w+", Path(f"/proc/{pid}/maps").read_text()))
    return set()


def clean(**variables):
    """An environment without a launcher's variables."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("PMI", "MPI", "MNIST", "OMPI", "SLURM", "FLUX", "JSM"))}
    return env | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[2]), **variables}


class Started:
    """A run under mpiexec: `groups` are (number of processes, command line) of MPMD, and maybe the
    PYTHONPATH of these processes."""

    def __init__(self, *groups):
        self.marker, self.shared = f"MARKER_OF_A_TEST={uuid.uuid4()}", set()
        words = []
        for count, command, *path in groups:
            env = ["-env", "PYTHONPATH", *path] * bool(path)
            words += [":"] * bool(words) + ["-n", str(count), *env, sys.executable, *command]
        self.process = subprocess.Popen([MPIEXEC, *words], text=True,
                                        env=clean(**dict([self.marker.split("=")])),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self):
        """Note what memory the processes share: others on this machine have theirs."""
        while self.process.poll() is None:
            self.shared |= {name for pid, _ in processes(self.marker) for name in shared_memory(pid)}
            time.sleep(0.05)

    def ends(self, within=SOON):
        """(status, output, error output); nothing of the run is left, in processes or memory."""
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
        """The process of a `role`, as its guard was told it."""
        for _, words in processes(self.marker):
            if any(word.endswith("guard.py") for word in words) and role in words:
                return int(words[words.index(role) + 1])
        raise LookupError(role)


def roles(program, folder, *words, n=4):
    """``program`` of mpi_roles.py in `n` processes."""
    return Started((n, [str(HERE.parent / "mpi_roles.py"), program, str(folder), *words]))


def program(folder, text, name="program.py"):
    """The words that start a program of a user, written into `folder`, as a role."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return ["-m", "mpc.transport.mpi", str(folder / name)]


def one_line(err):
    """The only line of the error output."""
    assert err.count("\n") == 1, err
    return err.removesuffix("\n")


# ---------------------------------------------------------------------- the same bits


@pytest.mark.parametrize("also, how", [
    ("", "transcript"), ("--comparison carry-tree", "transcript"), ("--workers 3", "transcript"),
    ("", "restless"), ("--workers 3", "restless")])
@in_processes
def test_every_message_and_the_model_equal_the_simulations_bit_for_bit(tmp_path, also, how):
    """Both epochs, the encrypted test and the revealed model; payloads, headers, ledgers."""
    options = parser().parse_args(f"{SMALL} {also}".split())
    names = role_names(options.workers)
    started = roles(how, tmp_path, *f"{SMALL} {also}".split(), n=len(names))
    world = RecordedWorld(options.workers, seed=1, comparison=options.comparison,
                  truncation=options.truncation)
    run = train_mnist.train(options, lambda line: None, world)
    status, out, err = started.ends()
    assert (status, out, err) == (0, "", "")
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
        shutil.copytree(HERE.parents[2] / package, copy / package)
    with (copy / "mpc" / "ring.py").open("a") as file:
        file.write("# another version\n")
    other = ["-c", f"import sys; sys.path.insert(0, {str(copy)!r}); from mpc import train_mnist; "
             "sys.exit(train_mnist.main(sys.argv[1:]))", *SMALL.split()]
    status, out, err = Started(command(SMALL, 3), (1, other)).ends()
    assert (status, out) == (2, "")
    assert re.fullmatch(r'\w+: train_mnist: \w+ was started with code "\w{16}" and \w+ with '
                        r'"\w{16}"; start all roles alike', one_line(err))
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
    (4, "--data-dir /nowhere/at/all", "/nowhere/at/all: no such directory")])
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


# ---------------------------------------------------------------------- several Worlds


@in_processes
def test_a_program_may_make_several_worlds(tmp_path):
    status, _, err = roles("several", tmp_path).ends()
    assert (status, err) == (0, "")
    left = json.loads((tmp_path / "server.json").read_text())
    assert left == pytest.approx([6.0, 0.0, 7.5, 7.5, 7.5, 7.5], abs=0.01)


# ---------------------------------------------------------------------- agreement


@in_processes
@pytest.mark.parametrize("who", ["server", "bob"])
def test_seeds_that_are_equal_and_no_integers_alike_are_refused(tmp_path, who):
    status, _, err = roles("seeds", tmp_path, who).ends()
    assert status == 1
    assert one_line(err) == (f"{who}: TypeError: a seed is a whole number, not a bool; take an int, "
                             "or None for fresh keys")


def test_papers_tell_types_apart_and_take_numpys_integers_for_integers():
    texts = [mpi.handshake({"seed": seed})["seed"] for seed in (1, True, 1.0, "1")]
    assert len(set(texts)) == 4
    assert mpi.handshake({"seed": np.int64(1)})["seed"] == texts[0]
    for value in (object(), {1}, np.ones(2)):
        with pytest.raises(ValueError, match="MpiWorld: x is a .* give numbers, texts, lists and"):
            mpi.handshake({"x": value})


PRODUCT = """
from mpc import fix_precision
from mpc.transport.mpi import MpiWorld
from factor import FACTOR

world = MpiWorld()
x = fix_precision([2.0]).share(*world.workers, crypto_provider=world.crypto_provider)
result = (x * FACTOR + 1.0).get().float_precision()
world.finish()
if world.has("server"):
    print(result)
"""


@in_processes
@pytest.mark.parametrize("change, what", [(("+ 1.0", "+ 2.0"), "__main__"),
                                          (("FACTOR = 3.0", "FACTOR = 4.0"), "factor")])
def test_programs_that_differ_in_a_constant_are_refused(tmp_path, change, what):
    """In the file that is started, or in one that it imports."""
    def written(folder, old="", new=""):
        program(folder, "FACTOR = 3.0\n".replace(old, new), "factor.py")
        return program(folder, PRODUCT.replace(old, new))

    alike = written(tmp_path / "one"), written(tmp_path / "two")
    status, out, err = Started((3, alike[0]), (1, alike[1])).ends()
    assert (status, out, err) == (0, "[7.]\n", "")
    other = written(tmp_path / "three", *change)
    status, out, err = Started((2, alike[0]), (1, other), (1, alike[0])).ends()
    assert (status, out) == (1, "")
    assert re.fullmatch(rf'\w+: Disagreement: \w+ was started with source of {what} "\w{{16}}" and '
                        r'\w+ with "\w{16}"; start all roles alike', one_line(err))
    assert "bob " in err


def test_versions_name_python_numpy_and_every_module_of_a_program():
    found = mpi.versions()
    assert found["python"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert np.__version__.startswith(found["numpy"])
    assert f"source of {__name__}" in found
    loaded = {name.removeprefix("source of ").split(".")[0] for name in found if " of " in name}
    assert not loaded & {"mpc", "nn", "data", "json", "numpy", "pytest"}


def test_keys_that_differ_are_found_and_the_proof_tells_nothing_of_them():
    names, queues = role_names(2), Queues(role_names(2))
    sound = make_keys(names)
    said = []

    class Overheard:
        def __init__(self, role):
            self.link = queues.endpoint(role)
            self.get = self.link.get

        def put(self, *parcel):
            said.append(parcel)
            self.link.put(*parcel)

    def confirm(broken=frozenset()):
        keys = {role: {g: key for g, key in sound.items() if role in g} for role in names}
        if broken:
            keys["bob"][broken] = bytes(16)
        with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
            return {role: pool.submit(mpi.confirm_keys, names, role, Overheard(role), keys[role])
                    for role in names}

    assert all(done.exception() is None for done in confirm().values())
    assert {frozenset(parcel[:2]) for parcel in said} == {frozenset(pair) for pair in (
        ("alice", "bob"), ("server", "alice"), ("server", "bob"),
        ("alice", "crypto_provider"), ("bob", "crypto_provider"))}
    assert len({parcel[3] for parcel in said}) == len(said)
    drawn = {stream(key, label, counter)(16) for key in sound.values() for label in ("", "x")
             for counter in range(9)}
    assert not {parcel[3] for parcel in said} & {*sound.values(), *drawn}
    told = confirm(frozenset(("bob", "crypto_provider")))
    with pytest.raises(Disagreement, match="bob and crypto_provider hold different keys of the gr"):
        raise told["crypto_provider"].exception()
    assert told["server"].exception() is None


@in_processes
def test_ledgers_that_differ_are_found_at_the_end_with_the_step(tmp_path):
    status, _, err = roles("shapes", tmp_path).ends()
    assert status == 1
    assert re.fullmatch(r"server: Disagreement: the ledgers of \w+ and server differ from step \d+ "
                        r"\(mistaken/\w+\) on; .*", one_line(err))


@in_processes
@pytest.mark.parametrize("how, told", [
    ("heard", r"alice: ProtocolError: alice sent to bob \d+ bytes and its ledger counts \d+"),
    ("left over", r"bob: OutOfStep: bob is at step \d+ \(finish\) and alice at step \d+ \(extra\);.*")])
def test_a_message_that_is_in_no_ledger_is_found_at_the_end(tmp_path, how, told):
    status, _, err = roles("extra", tmp_path, how).ends()
    assert status == 1 and re.fullmatch(told, one_line(err))


# ---------------------------------------------------------------------- no wait without an end


EARLY = """
import os, sys
rank = int(os.environ["PMI_RANK"])
if rank == {rank}:
    {what}
from mpc.transport.mpi import MpiWorld
world = MpiWorld()
world.finish()
"""


@in_processes
@pytest.mark.parametrize("rank, what, told", [
    (0, "import nowhere", r"server: ModuleNotFoundError: No module named 'nowhere'"),
    (2, "import nowhere", r"bob: ModuleNotFoundError: No module named 'nowhere'"),
    (1, "1 +", r"(server|alice|bob|crypto_provider): SyntaxError: invalid syntax \(program.py, 5\)"),
    (3, "sys.exit('no room')", "crypto_provider: no room"),
    (3, "sys.exit(7)", "crypto_provider: ended with status 7; the run ends"),
    (0, "sys.exit(0)", r"server: OutOfStep: server has come to the end of the program and alice is "
     r"at step 0 \(papers\); start all roles alike, .*"),
    (3, "sys.exit(0)", r"server: OutOfStep: server waits at step 0 \(papers\) for crypto_provider, "
     "who has come to the end of the program; start all roles alike, .*"),
    (1, "os._exit(0)", "alice: ended before the others did; the run ends"),
    (0, "from mpi4py import MPI; os.kill(os.getpid(), 9)",
     r"server: killed by signal 9 \(SIGKILL\); the run ends"),
    (2, "from mpi4py import MPI; os.kill(os.getpid(), 9)",
     r"bob: killed by signal 9 \(SIGKILL\); the run ends")])
def test_a_role_that_ends_early_ends_the_run_in_a_line_that_names_it(tmp_path, rank, what, told):
    words = program(tmp_path, EARLY.format(rank=rank, what=what))
    status, out, err = Started((4, words)).ends()
    assert status != 0 and out == ""
    assert re.fullmatch(told, one_line(err))


@in_processes
def test_numpy_that_cannot_be_loaded_in_one_role_ends_the_run(tmp_path):
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "__init__.py").write_text(
        "try:\n    raise ImportError('libblas.so: no such file')\n"
        "except ImportError as error:\n    raise ImportError('\\n\\nPLEASE READ THIS\\n') from error")
    path = f"{tmp_path}:{HERE.parents[2]}"
    status, out, err = Started(command(SMALL, 2), (*command(SMALL, 1), path),
                               command(SMALL, 1)).ends()
    assert (status, out) == (1, "")
    assert one_line(err) == "bob: ImportError: libblas.so: no such file"


@in_processes
def test_help_is_printed_once_and_in_one_role_alone_ends_the_run():
    status, out, err = Started(command("--help")).ends()
    assert (status, out.count("usage:"), err) == (0, 1, "")
    status, out, err = Started(command(SMALL, 3), command("--help", 1)).ends()
    assert (status, out) == (1, "")
    assert one_line(err).startswith("server: OutOfStep: server waits at step 0 (papers) for "
                                    "crypto_provider, who has come to the end of the program")


@in_processes
@pytest.mark.parametrize("before, role", [(0, "server"), (2, "bob")])
def test_a_simulation_under_a_launcher_of_several_is_refused(before, role):
    groups = [command(SMALL, before)] * bool(before) + [
        command(f"{SMALL} --world simulation", 4 - before)]
    status, out, err = Started(*groups).ends()
    assert (status, out) == (2, "")
    assert one_line(err) == (f"{role}: train_mnist: --world simulation: a launcher started 4 "
                             "processes, and each would play all roles; start it without mpiexec, "
                             "or leave --world out")


@in_processes
def test_roles_that_wait_for_each_other_find_it_out(tmp_path):
    status, _, err = roles("circle", tmp_path).ends()
    assert status == 1
    assert re.fullmatch(r"(alice|bob): OutOfStep: (alice|bob) waits for what (alice|bob) never "
                        r"sent, at step (\d+) \(revealed\) of .*; decide on held values through "
                        r"broadcast\(\) only", one_line(err))


@in_processes
def test_a_role_whose_messages_nobody_takes_is_told(tmp_path):
    status, _, err = roles("full", tmp_path).ends()
    assert status == 1
    assert one_line(err) == ("bob: OutOfStep: alice sent what bob never heard, at step 1 (x) of "
                             "alice and 20 (y) of bob; decide on held values through broadcast() "
                             "only")


@in_processes
def test_a_program_that_nobody_guards_is_refused(tmp_path):
    _, _, path = program(tmp_path, EARLY.format(rank=9, what="pass"))
    status, out, err = Started((4, [path])).ends()
    assert status == 1 and out == ""
    assert ("ValueError: MpiWorld: nobody would end the other roles if this one failed; start "
            "mpiexec -n 4 python -m mpc.transport.mpi PROGRAM, or run it by as_role\n") in err


# ---------------------------------------------------------------------- what is shown


@in_processes
def test_every_role_can_show_a_result_of_its_own(tmp_path):
    status, out, err = roles("prints", tmp_path).ends()
    assert (status, err) == (0, "")
    assert sorted(out.splitlines()) == ["alice: mine: [4.]", "bob: mine: [4.]", "the server's line"]


@in_processes
def test_a_value_in_a_librarys_error_stays_with_its_owner(tmp_path):
    words = program(tmp_path, EARLY.format(rank=1, what="int('9912345678 euros')"))
    status, _, err = Started((4, words)).ends()
    assert status == 1 and "9912" not in err
    assert one_line(err).startswith("alice: ValueError in program.py, line 5; its words are a libr")


def error_of(folder, text):
    """What may be said of the error that a program of this `text` raises."""
    path = folder / "erring.py"
    path.write_text(text)
    linecache.checkcache()
    try:
        exec(compile(text, str(path), "exec"), {})
    except BaseException as error:
        return supervisor.words_of(error)


@pytest.mark.parametrize("text, told", [
    ("raise RuntimeError('the disk\\nis full')", "RuntimeError: the disk"),
    ("raise ValueError(\n    'too '\n    'much')", "ValueError: too much"),
    ("if True: raise KeyError", "KeyError"),
    ("assert False, 'no'", "AssertionError: no"),
    ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
    ("open('/no/file')", "FileNotFoundError: [Errno 2] No such file or directory: '/no/file'"),
    ("raise KeyboardInterrupt", "interrupted"),
    ("import mpc\nmpc.World(1)", "ValueError: World: 1 worker(s) cannot share a secret; take 2 or "
     "more")])
def test_words_that_a_program_chose_are_shown(tmp_path, text, told):
    assert error_of(tmp_path, text) == told


@pytest.mark.parametrize("text, line", [
    ("x = 1\nint('4711 euros')", 2), ("import json\njson.loads('[4711')", 2), ("{}[4711]", 1),
    ("import numpy as np\nnp.zeros(1).reshape(4711)", 2), ("[].index(4711)", 1),
    ("int('4711 euros')      # may raise ValueError", 1),
    ("raise RuntimeError(f'{int(\"4711 euros\")}')", 1), ("x = {}[4711]; assert x", 1),
    ("import mpc\nmpc.World().held('alice', (1,), lambda: [float('4711 euros')])", 2)])
def test_words_of_a_library_are_not(tmp_path, text, line):
    said = error_of(tmp_path, text)
    assert "4711" not in said and f" in erring.py, line {line}; its words are a library's" in said


# ---------------------------------------------------------------------- the guard


@pytest.mark.parametrize("status, held, told, spoke, due", [
    (0, ["warning"], [supervisor.ENDED], False, (0, ["warning"])),
    (0, [], [], False, (1, ["ended before the others did; the run ends"])),
    (2, ["bad option"], [], False, (2, ["bad option"])),
    (2, [], [], True, (2, [])),
    (7, [], [], False, (7, ["ended with status 7; the run ends"])),
    (1, ["warning"], ["ValueError: x"], False, (1, ["warning", "ValueError: x"])),
    (-signal.SIGINT, [], [], False, (130, ["interrupted"])),
    (-signal.SIGUSR2, [], ["PeerFailed: x"], False, (supervisor.CONSEQUENCE, [])),
    (-signal.SIGBUS, [], [], False, (-9, ["killed by signal 7 (SIGBUS) (shared memory is full); "
                                          "the run ends"]))])
def test_a_guard_judges_the_end_of_its_role(status, held, told, spoke, due):
    assert supervisor.judged(status, held, told, spoke) == due


def test_the_reason_is_told_before_its_consequences():
    """A killed role at once, then what may befall all alike in the order of roles, then the rest."""
    assert supervisor.turn(-9, 3, 4) == supervisor.turn(0, 3, 4) == supervisor.turn(1, 0, 4) == 0
    alike = [supervisor.turn(status, rank, 4) for rank in range(4) for status in (1, 2, 4, 130)]
    assert alike == sorted(alike) and len(set(alike)) == 4
    assert all(supervisor.turn(supervisor.CONSEQUENCE, rank, 4) > max(alike) for rank in range(4))


@pytest.mark.parametrize("n_workers", range(2, 7))
def test_a_guard_names_roles_as_the_world_does(n_workers):
    names = role_names(n_workers)
    assert names == tuple(supervisor.role_of(rank, len(names)) for rank in range(len(names)))


# ---------------------------------------------------------------------- other launchers


@pytest.fixture
def no_launcher(monkeypatch):
    for rank, size in [*supervisor.LAUNCHERS, *supervisor.OTHERS.values()]:
        monkeypatch.delenv(rank, raising=False)
        monkeypatch.delenv(size, raising=False)
    return monkeypatch


@pytest.mark.parametrize("variables, launcher", [
    ({"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "4", "PMIX_RANK": "2", "PMIX_NAMESPACE": "a"},
     "srun"),
    ({"FLUX_TASK_RANK": "0", "FLUX_JOB_SIZE": "4"}, "flux"),
    ({"JSM_NAMESPACE_RANK": "0", "JSM_NAMESPACE_SIZE": "4"}, "jsrun"),
    ({"PMIX_RANK": "0", "PMIX_NAMESPACE": "prterun-1"}, "a launcher with PMIx")])
def test_another_launcher_is_named(no_launcher, variables, launcher):
    for name, value in variables.items():
        no_launcher.setenv(name, value)
    with pytest.raises(ValueError, match=f"^{launcher} started this process .* start them by the "
                                         "mpiexec of the MPI that mpi4py uses: mpiexec -n 4"):
        mpi.launched()


@pytest.mark.parametrize("variables", [
    {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"},                         # a batch script
    {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "PMIX_RANK": "0", "PMIX_NAMESPACE": "a"},
    {"FLUX_TASK_RANK": "0", "FLUX_JOB_SIZE": "1"}])
def test_one_process_of_another_launcher_is_an_ordinary_one(no_launcher, variables):
    for name, value in variables.items():
        no_launcher.setenv(name, value)
    assert mpi.launched() is None


@pytest.mark.parametrize("rank, size", [("abc", "4"), ("4", "4"), ("-1", "4"), ("0", ""), ("", "0")])
def test_garbage_in_a_launchers_variables_is_refused(no_launcher, rank, size):
    no_launcher.setenv("PMI_RANK", rank)
    no_launcher.setenv("PMI_SIZE", size)
    with pytest.raises(ValueError, match=f"PMI_RANK is '{rank}' and PMI_SIZE is '{size}', no rank"):
        mpi.launched()


NO_FORK = """
import os, runpy, sys
del os.fork
sys.modules["fcntl"] = sys.modules["termios"] = None
sys.argv[0] = "-m"
import mpc                              # as on Windows
from mpc import train_mnist
sys.exit(train_mnist.main(["--epochs", "1"]))
"""


@pytest.mark.parametrize("words, variables, told", [
    (["-m", "mpc.train_mnist"], {"PMI_RANK": "abc", "PMI_SIZE": "4"}, "PMI_RANK is 'abc' and PMI_"),
    (["-m", "mpc.train_mnist"], {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "4"}, "srun started"),
    (["-c", "from mpc import train_mnist; exit(train_mnist.main([]))"],
     {"PMIX_RANK": "0", "PMIX_NAMESPACE": "x"}, "a launcher with PMIx started this process"),
    (["-m", "mpc.train_mnist.forecast"], {"PMI_RANK": "abc", "PMI_SIZE": "4"}, "forecast: PMI_RANK is 'abc'"),
    (["-c", NO_FORK], {"PMI_RANK": "0", "PMI_SIZE": "4"},
     f"roles in processes of MPI need os.fork, which {sys.platform} does not have; take Linux, or")])
def test_a_start_that_cannot_work_is_refused_in_one_line(words, variables, told):
    done = subprocess.run([sys.executable, *words], env=clean(**variables), capture_output=True,
                          text=True, timeout=SOON)
    assert (done.returncode, done.stdout) == (2, "")
    assert one_line(done.stderr).startswith(told)


def test_other_processes_of_another_launcher_leave_the_line_to_the_first():
    done = subprocess.run([sys.executable, "-m", "mpc.train_mnist"], capture_output=True, text=True,
                          env=clean(SLURM_PROCID="1", SLURM_STEP_NUM_TASKS="4"), timeout=SOON)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


@in_processes
def test_a_launcher_of_another_mpi_is_named():
    done = subprocess.run([sys.executable, "-m", "mpc.train_mnist", *SMALL.split()], text=True,
                          env=clean(OMPI_COMM_WORLD_RANK="0", OMPI_COMM_WORLD_SIZE="4"),
                          capture_output=True, timeout=SOON)
    assert done.returncode != 0 and done.stdout == ""
    assert re.fullmatch(r"server: train_mnist: the launcher started 4 processes and (.*), which "
                        r"mpi4py uses, finds 1: they belong to different MPIs; take the mpiexec of "
                        r"\1", one_line(done.stderr))


# ---------------------------------------------------------------------- in one process


def test_without_a_launcher_the_command_says_how_to_start_it(capsys):
    assert train_mnist.main(["--world", "mpi", "--workers", "3"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and one_line(err) == (
        "train_mnist: --world mpi: no launcher of MPI started this process; start mpiexec -n 5 "
        "python -m mpc.train_mnist")


def test_a_launcher_is_recognised_by_what_it_leaves_in_the_environment(monkeypatch):
    for rank, size in [*supervisor.LAUNCHERS, *supervisor.OTHERS.values()]:
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
        queues.put(other, "server", (0, "papers"), json.dumps({"lr": f"{lr}"}).encode())
    with pytest.raises(ValueError, match="bob was started with lr 0.5 and server with 0.1; start"):
        mpi.compare_handshakes(names, "server", link, mpi.handshake({"lr": 0.1}))


@pytest.mark.parametrize("papers", [b"", b"{", b"\xff\xfe", b"7"])
def test_papers_that_are_none_are_refused(handshake):
    names = role_names(2)
    queues = Queues(names)
    queues.put("alice", "server", (0, "papers"), handshake)
    with pytest.raises(ProtocolError, match="alice sent no papers that server can read"):
        mpi.compare_handshakes(names, "server", queues.endpoint("server"), {"lr": 0.1})


@pytest.mark.parametrize("n_workers, provided", [
    (2, "server+alice server+bob alice+bob alice+crypto_provider bob+crypto_provider"),
    (3, "server+alice server+bob server+worker3 alice+bob alice+worker3 bob+worker3 "
        "alice+bob+worker3 alice+crypto_provider bob+crypto_provider worker3+crypto_provider")])
def test_these_groups_have_a_key_and_no_others(n_workers, provided):
    """None of the server and the provider, nor of several workers and one of these two."""
    names = role_names(n_workers)
    queues, expected = Queues(names), {frozenset(g.split("+")) for g in provided.split()}
    keys = {role: mpi.agree_on_keys(names, role, queues.endpoint(role)) for role in names}
    for role in names:
        assert set(keys[role]) == {group for group in expected if role in group}


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
        return world.open(x=give(world, [1, 2], Loose(67)))[0]

    with pytest.raises(ProtocolError, match="what is no element of Z_67"):
        run_threads(program, seed=1)
