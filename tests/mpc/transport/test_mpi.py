"""Roles in MPI processes: the same bits, keys of their own, errors with a reason."""

import hashlib
import json
import os
import re
import shutil
import signal
import sys
import time

import numpy as np
import pytest
from helpers import give
from mpi_roles import digest
from mpi_runs import (
    ROOT,
    SMALL,
    Started,
    command,
    in_processes,
    one_line,
    processes,
    program,
    roles,
    shared_memory,
)

from data.load import EMBEDDED
from mpc import run_threads, train_mnist
from mpc.audit.replay import RecordedWorld
from mpc.ring import Zm
from mpc.train_mnist.options import parser
from mpc.transport import mpi
from mpc.transport.link import ProtocolError
from mpc.world import key_groups, role_names

# If several roles fail, those of lower ranks report first, on an idle machine: a test
# of such a run accepts the line of any of them.
ROLE = "server|alice|bob|crypto_provider"
LONG = "--epochs 1000 --train-items 64 --test-items 2"

# ------------------------------------------------------------------ the same bits


@pytest.mark.parametrize("also, how", [
    ("", "restless"), ("--comparison carry-tree", "transcript"),
    ("--workers 3", "restless"),
    ("--security abort --workers 3 --seals 1", "transcript")])
@in_processes
def test_every_message_and_the_model_equal_the_simulations_bit_for_bit(
        tmp_path, also, how):
    """Two epochs, the encrypted test and the revealed model."""
    options = parser().parse_args(f"{SMALL} {also}".split())
    names = role_names(options.workers)
    started = roles(how, tmp_path, *f"{SMALL} {also}".split(), n=len(names))
    world = RecordedWorld(options.workers, seed=1, comparison=options.comparison,
                          truncation=options.truncation, ring_bits=options.ring_bits,
                          security=options.security, seals=options.seals)
    run = train_mnist.train(options, lambda line: None, world)
    status, out, err = started.ends()
    assert (status, out, err) == (0, "", "")
    for role in names:
        saved = json.loads((tmp_path / f"{role}.json").read_text())
        assert saved["sent"] == digest(p for p in world.tape if p.src == role)
        assert saved["received"] == digest(p for p in world.tape if p.dst == role)
        whole = repr(world.ledger.messages).encode()
        assert saved["ledger"] == hashlib.sha256(whole).hexdigest()
        assert saved["sent bytes"] == traffic(world, role, "src", "dst")
        assert saved["received bytes"] == traffic(world, role, "dst", "src")
        assert saved["keys"] and all(role in group for group in saved["keys"])
        if role == "server":
            assert saved["losses"] == run.losses
        else:
            assert np.isnan(saved["losses"]).all()
    with np.load(tmp_path / "model.npz") as model:
        for name, parameter in run.model.named_parameters():
            np.testing.assert_array_equal(model[name], parameter.value)


def traffic(world, role, mine, peer):
    """Bytes between `role` and each other one, from the ledger of the simulation."""
    counted = {}
    for message in world.ledger.messages:
        if getattr(message, mine) == role:
            other = getattr(message, peer)
            counted[other] = counted.get(other, 0) + message.nbytes
    return counted


# ------------------------------------------------------------------ keys and files


@in_processes
def test_roles_that_share_a_key_agree_on_it_and_show_it_nowhere(tmp_path):
    names = role_names(3)
    assert roles("keys", tmp_path, n=len(names)).ends()[::2] == (0, "")
    saved = {role: json.loads((tmp_path / f"{role}.json").read_text())
             for role in names}
    everything = {}
    for role in names:
        own = saved[role]["keys"]
        assert set(own) == {" ".join(sorted(g)) for g in key_groups(names) if role in g}
        for group, key in own.items():
            assert everything.setdefault(group, key) == key and len(key) == 32
    assert len(set(everything.values())) == len(everything) == len(key_groups(names))
    for role in names:
        for key in everything.values():
            assert key not in saved[role]["shown"]
            assert repr(bytes.fromhex(key))[2:-1] not in saved[role]["shown"]


@in_processes
def test_only_owners_read_their_files_and_only_the_server_prints_and_saves(tmp_path):
    """Missing: the data of server and provider, and the workers' folder for a model."""
    owners = f"{SMALL} --data-dir {EMBEDDED} --save {tmp_path}/nowhere/model.npz"
    others = f"{SMALL} --data-dir {tmp_path}/nowhere --save {tmp_path}/model.npz"
    status, out, err = Started(
        command(others, 1), command(owners, 2), command(others, 1)).ends()
    assert (status, err) == (0, "")
    assert out.count("Accuracy after 2 epochs") == 1 == out.count("Model written to")
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]
    assert "nan" not in out and len(re.findall("^Train Epoch", out, re.M)) == 4


# ------------------------------------------------------------------ running ahead


@in_processes
def test_the_provider_runs_ahead_of_slow_workers_by_a_bounded_number_of_messages(
        tmp_path):
    status, _, err = roles("ahead", tmp_path).ends()
    assert (status, err) == (0, "")
    awake = min(float((tmp_path / f"{w}.times").read_text()) for w in ("alice", "bob"))
    seen = [line.split() for line in (tmp_path / "seen").read_text().splitlines()]
    before = [int(n) for n, when in seen if float(when) < awake]
    assert len(before) == max(before) == 5          # one message for each product
    assert max(int(n) for n, _ in seen) == 5


# ------------------------------------------------------------------ how a run ends


def wait_for(condition):
    """Wait until ``condition()`` is true."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


LATE = """
import os, time
if int(os.environ["PMI_RANK"]) in {late}:
    time.sleep(100)
from mpc.transport.mpi import mpi
mpi()
"""


def late(folder, *ranks):
    """A run of which all roles but those of some ranks wait in MPI for these."""
    started = Started((4, program(folder, LATE.format(late=ranks))))
    early = [role for rank, role in enumerate(ROLE.split("|")) if rank not in ranks]

    def all_wait():
        return set(early) <= set(started.supervisors()) and all(
            "mpich_shm" in str(shared_memory(started.pid_of(role))) for role in early)

    wait_for(all_wait)
    return started


@in_processes
def test_a_killed_server_ends_the_run_in_a_line_and_leaves_no_model(tmp_path):
    """`test_checkpoint_mpi.py` and `test_faults.py` kill every role."""
    started = Started(command(f"{LONG} --save {tmp_path}/model.npz"))
    lines = []
    for _ in range(int(np.random.default_rng().integers(1, 8))):
        lines.append(started.process.stdout.readline())
    assert "Train Epoch" in lines[0]
    os.kill(started.pid_of("server"), signal.SIGKILL)
    status, _, err = started.ends()
    assert status != 0
    assert one_line(err) == "server: killed by signal 9 (SIGKILL); the run ends"
    assert not list(tmp_path.iterdir())


@in_processes
def test_an_interrupted_run_says_so_once():
    started = Started(command(LONG))
    assert "Train Epoch" in started.process.stdout.readline()
    started.process.send_signal(signal.SIGINT)
    status, _, err = started.ends()
    assert status == 130
    assert re.fullmatch(rf"({ROLE}): train_mnist: interrupted", one_line(err))


@in_processes
def test_ctrl_c_ends_a_run_whose_roles_still_load_their_libraries(tmp_path):
    """NumPy waits here, and does not let an interrupt pass."""
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "__init__.py").write_text(
        "import time\nfor _ in range(100):\n    try:\n        time.sleep(1)\n"
        "    except KeyboardInterrupt:\n        pass\n")
    started = Started((4, ["-m", "mpc.train_mnist"], f"{tmp_path}:{ROOT}"))
    wait_for(lambda: len(started.supervisors()) == 4)
    started.process.send_signal(signal.SIGINT)
    status, _, err = started.ends()
    assert status == 130 and re.fullmatch(rf"({ROLE}): interrupted", one_line(err))


@in_processes
def test_ctrl_c_ends_a_run_whose_roles_wait_in_mpi_for_one_that_is_late(tmp_path):
    started = late(tmp_path, 2)
    started.process.send_signal(signal.SIGINT)
    status, _, err = started.ends()
    assert status == 130 and re.fullmatch(rf"({ROLE}): interrupted", one_line(err))


@in_processes
def test_a_role_whose_supervisor_is_killed_ends_although_it_waits_in_mpi(tmp_path):
    started = late(tmp_path, 2)
    os.kill(started.supervisors()["alice"], signal.SIGKILL)
    started.process.communicate(timeout=30)
    assert started.process.returncode != 0
    wait_for(lambda: not list(processes(started.marker)))


@in_processes
@pytest.mark.parametrize("ranks", [(2,), (0, 2, 3)])
def test_a_role_that_is_killed_while_it_waits_in_mpi_leaves_no_memory(tmp_path, ranks):
    """Also if it is the only one to have opened it."""
    started = late(tmp_path, *ranks)
    os.kill(started.pid_of("alice"), signal.SIGKILL)
    status, _, err = started.ends()
    assert (status, one_line(err)) == (
        1, "alice: killed by signal 9 (SIGKILL); the run ends")


@in_processes
@pytest.mark.parametrize("words, own", [
    (["-c", "pass"], ""), (["-m", "nowhere"], r".*: No module named nowhere\n")])
def test_a_process_that_ends_before_it_has_a_supervisor_ends_the_run(words, own):
    started = Started(command(SMALL, 2), (1, words), command(SMALL, 1))
    status, out, err = started.ends()
    assert (status, out) == (1, "")
    assert re.fullmatch(
        own + "bob: ended before it joined the others; the run ends\n", err)


JOINS = """
import os, time
from mpc.transport.mpi import mpi
mpi()
open("{folder}/joined" + os.environ["PMI_RANK"], "x").close()
time.sleep(100)
"""


@in_processes
def test_shared_memory_has_no_name_once_all_roles_have_joined(tmp_path):
    """So nothing remains, whatever ends the run later."""
    started = Started((4, program(tmp_path, JOINS.format(folder=tmp_path))))
    wait_for(lambda: len(list(tmp_path.glob("joined*"))) == 4)
    assert not started.memory()
    started.process.kill()
    assert started.ends()[0] == -signal.SIGKILL


@in_processes
@pytest.mark.parametrize("role", ["server", "crypto_provider"])
def test_an_error_in_one_role_ends_the_run_in_a_line_that_names_it(tmp_path, role):
    status, _, err = roles("fails", tmp_path, role, "raise").ends()
    assert (status, one_line(err)) == (1, f"{role}: RuntimeError: the disk is full")


@in_processes
def test_a_role_with_other_parameters_is_refused_before_anything_is_shared():
    status, out, err = Started(
        command(SMALL, 2), command(f"{SMALL} --lr 0.5", 1), command(SMALL, 1)).ends()
    assert (status, out) == (2, "")
    assert re.fullmatch(
        r"\w+: train_mnist: \w+ was started with lr (0.5|0.02) and \w+ with "
        "(0.5|0.02); start all roles alike", one_line(err))
    assert "bob was started with lr 0.5" in err or "and bob with 0.5" in err


@in_processes
def test_a_role_with_another_version_is_refused(tmp_path):
    copy = tmp_path / "copy"
    for package in ("mpc", "nn", "data"):
        shutil.copytree(ROOT / package, copy / package)
    with (copy / "mpc" / "audit" / "tags.py").open("a") as file:
        file.write("# another version\n")
    start = (f"import sys; sys.path.insert(0, {str(copy)!r})\n"
             "from mpc import train_mnist; sys.exit(train_mnist.main(sys.argv[1:]))")
    status, out, err = Started(
        command(SMALL, 3), (1, ["-c", start, *SMALL.split()])).ends()
    assert (status, out) == (2, "")
    assert re.fullmatch(r'\w+: train_mnist: \w+ was started with code "\w{16}" and \w+ '
                        r'with "\w{16}"; start all roles alike', one_line(err))
    assert "crypto_provider " in err


@in_processes
@pytest.mark.parametrize("what, message", [
    ("noise", "bob received a malformed message of 7 bytes from alice"),
    ("long", "bob received a malformed message from alice at step ")])
def test_the_receiver_rejects_malformed_messages(tmp_path, what, message):
    status, _, err = roles("garbage", tmp_path, what).ends()
    assert status == 1
    assert one_line(err).startswith(f"bob: ProtocolError: {message}")


@in_processes
@pytest.mark.parametrize("n, words, message", [
    (3, "", "3 MPI processes cannot play the 4 roles of 2 workers; start mpiexec -n 4"),
    (4, "--arithmetic float", "--arithmetic float: one process "),
    (4, "--train-items 16 --batch-size 8 --data-dir /nowhere/at/all",
     "/nowhere/at/all: no such directory")])
def test_a_bad_start_is_reported_in_one_line(n, words, message):
    small = SMALL.removesuffix(" --reproducible")
    status, out, err = Started(command(f"{small} {words}", n)).ends()
    assert (status, out) == (2, "")
    assert re.match(rf"({ROLE}|worker3): train_mnist: ", one_line(err))
    assert message in err


@in_processes
def test_a_bad_option_of_one_role_alone_ends_the_run():
    bad = command(f"{SMALL} --epochs 0", 1)
    status, out, err = Started(command(SMALL, 3), bad).ends()
    assert (status, out) == (2, "")
    assert ("crypto_provider: train_mnist: argument --epochs: 0 is out of range"
            in one_line(err))


# ------------------------------------------------------------------ several Worlds


@in_processes
def test_a_program_may_make_several_worlds(tmp_path):
    status, _, err = roles("several", tmp_path).ends()
    assert (status, err) == (0, "")
    results = json.loads((tmp_path / "server.json").read_text())
    assert results == pytest.approx([6.0, 0.0, 7.5, 7.5, 7.5, 7.5], abs=0.01)


# ------------------------------------------------------------------ agreement


@in_processes
def test_a_seed_that_is_equal_but_not_an_integer_is_refused(tmp_path):
    status, _, err = roles("seeds", tmp_path, "bob").ends()
    assert status == 1
    assert one_line(err).startswith("bob: TypeError: ") and "bool" in err


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
def test_programs_that_differ_in_a_constant_are_refused(tmp_path):
    """In the file that is started, or in one that it imports."""
    def written(name, old="", new=""):
        program(tmp_path / name, "FACTOR = 3.0\n".replace(old, new), "factor.py")
        return program(tmp_path / name, PRODUCT.replace(old, new))

    one, two = written("one"), written("two")
    assert Started((3, one), (1, two)).ends() == (0, "[7.]\n", "")
    for change, module in ((("+ 1.0", "+ 2.0"), "__main__"),
                           (("FACTOR = 3.0", "FACTOR = 4.0"), "factor")):
        other = written(module, *change)
        status, out, err = Started((2, one), (1, other), (1, one)).ends()
        assert (status, out) == (1, "")
        assert re.fullmatch(
            rf'\w+: Disagreement: \w+ was started with source of {module} "\w{{16}}" '
            r'and \w+ with "\w{16}"; start all roles alike', one_line(err))
        assert "bob " in err


@in_processes
def test_ledgers_that_differ_are_found_at_the_end_with_the_step(tmp_path):
    status, _, err = roles("shapes", tmp_path).ends()
    assert status == 1
    assert re.fullmatch(
        r"(server: Disagreement: the ledgers of alice and server|alice: Disagreement: "
        r"the ledgers of server and alice) differ from step \d+ \(mistaken/\w+\) on; "
        ".*", one_line(err))


@in_processes
@pytest.mark.parametrize("how, report", [
    ("received", r"(alice: ProtocolError: alice sent to bob|bob: ProtocolError: bob "
     r"received from alice) \d+ bytes, but its ledger counts \d+; .*"),
    ("left over", r"bob: OutOfStep: bob is at step \d+ \(finish\) and alice at step "
     r"\d+ \(extra\); .*")])
def test_a_message_that_is_in_no_ledger_is_found_at_the_end(tmp_path, how, report):
    status, _, err = roles("extra", tmp_path, how).ends()
    assert status == 1 and re.fullmatch(report, one_line(err))


# ------------------------------------------------------------------ every wait ends


EARLY = """
import os, sys
rank = int(os.environ["PMI_RANK"])
if rank == {rank}:
    {what}
from mpc.transport.mpi import MpiWorld
world = MpiWorld()
world.finish()
"""
KILLED = "from mpi4py import MPI; os.kill(os.getpid(), 9)"


def ended_at_the_handshake(role):
    """The report of `role`, which ended too early, or of another that noticed it."""
    alike = "start all roles alike, .*"
    return (rf"{role}: OutOfStep: {role} is at the end of the program and ({ROLE}) at "
            rf"step 0 \(handshake\); {alike}|({ROLE}): OutOfStep: \w+ is at step 0 "
            rf"\(handshake\) and {role} at the end of the program; {alike}")


@in_processes
@pytest.mark.parametrize("rank, what, report", [
    (2, "import nowhere", r"bob: ModuleNotFoundError: No module named 'nowhere'"),
    (1, "1 +", r"(server|alice|bob|crypto_provider): "
     r"SyntaxError: invalid syntax \(program.py, 5\)"),
    (3, "sys.exit('no room')", "crypto_provider: no room"),
    (3, "sys.exit(7)", "crypto_provider: ended with status 7; the run ends"),
    (0, "sys.exit(0)", ended_at_the_handshake("server")),
    (2, KILLED, r"bob: killed by signal 9 \(SIGKILL\); the run ends")])
def test_a_role_that_ends_early_ends_the_run_in_a_line_that_names_it(
        tmp_path, rank, what, report):
    words = program(tmp_path, EARLY.format(rank=rank, what=what))
    status, out, err = Started((4, words)).ends()
    assert status != 0 and out == ""
    assert re.fullmatch(report, one_line(err))


BROKEN_NUMPY = """
try:
    raise ImportError('libblas.so: no such file')
except ImportError as error:
    raise ImportError('\\n\\nPLEASE READ THIS\\n') from error
"""


@in_processes
def test_numpy_that_cannot_be_loaded_in_one_role_ends_the_run(tmp_path):
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "__init__.py").write_text(BROKEN_NUMPY)
    broken = (*command(SMALL, 1), f"{tmp_path}:{ROOT}")
    status, out, err = Started(command(SMALL, 2), broken, command(SMALL, 1)).ends()
    assert (status, out) == (1, "")
    assert one_line(err) == "bob: ImportError: libblas.so: no such file"


@in_processes
def test_help_is_printed_once_and_in_one_role_alone_ends_the_run():
    status, out, err = Started(command("--help")).ends()
    assert (status, out.count("usage:"), err) == (0, 1, "")
    status, out, err = Started(command(SMALL, 3), command("--help", 1)).ends()
    assert (status, out) == (1, "")
    assert re.fullmatch(ended_at_the_handshake("crypto_provider"), one_line(err))


@in_processes
def test_a_simulation_under_a_launcher_of_several_is_refused():
    status, out, err = Started(command(f"{SMALL} --world simulation")).ends()
    assert (status, out) == (2, "")
    assert re.match(f"({ROLE}): train_mnist: --world simulation: a launcher started 4 "
                    "processes", one_line(err))


@in_processes
def test_roles_that_wait_for_each_other_find_it_out(tmp_path):
    status, _, err = roles("circle", tmp_path).ends()
    assert status == 1
    assert re.fullmatch(
        r"(alice|bob): OutOfStep: (alice|bob) waits for a message that (alice|bob) "
        r"never sent, at step \d+ \(revealed\) of \w+ and step \d+ \(revealed\) of "
        r"\w+; decide on local values through broadcast\(\) only", one_line(err))


@in_processes
def test_a_role_whose_messages_nobody_receives_finds_it_out(tmp_path):
    status, _, err = roles("full", tmp_path).ends()
    assert status == 1
    assert one_line(err) == (
        "bob: OutOfStep: alice sent a message that bob never received, at step 1 (x) "
        "of alice and step 20 (y) of bob; decide on local values through broadcast() "
        "only")


@in_processes
def test_a_program_without_supervisors_is_refused(tmp_path):
    _, _, path = program(tmp_path, EARLY.format(rank=9, what="pass"))
    status, out, err = Started((4, [path])).ends()
    assert status == 1 and out == ""
    assert ("ValueError: MpiWorld: no supervisor would end the other roles if this one "
            "failed; start mpiexec -n 4 python -m mpc.transport.mpi PROGRAM, or run it "
            "with as_role\n") in err


# ------------------------------------------------------------------ the console


@in_processes
def test_every_role_can_show_a_result_of_its_own_in_whole_lines(tmp_path):
    """Lines are written whole even if Python is told not to buffer its output."""
    status, out, err = roles("prints", tmp_path, PYTHONUNBUFFERED="1").ends()
    assert (status, err) == (0, "")
    assert sorted(out.splitlines()) == [
        "alice: mine: [4.]", "bob: mine: [4.]",
        """writes: [b"the server's line\\n"]"""]


@in_processes
def test_a_program_that_simulates_all_roles_in_every_process_is_refused(tmp_path):
    words = program(tmp_path, "import mpc\nmpc.World()\n")
    status, out, err = Started((4, words)).ends()
    assert (status, out) == (1, "")
    assert re.fullmatch(
        f"({ROLE}): ValueError: .*program.py made no World of its role, so every "
        r"process ran the whole program; take mpc.make_world\(\)", one_line(err))


@in_processes
def test_a_value_in_a_librarys_error_stays_with_its_owner(tmp_path):
    words = program(tmp_path, EARLY.format(rank=1, what="int('9912345678 euros')"))
    status, _, err = Started((4, words)).ends()
    assert status == 1 and "9912" not in err
    assert one_line(err).startswith(
        "alice: ValueError in program.py, line 5; a library worded the message")


@in_processes
def test_no_role_but_the_server_waits_for_input(tmp_path):
    words = program(tmp_path, EARLY.format(rank=1, what="input('bid: ')"))
    status, _, err = Started((4, words)).ends()
    assert status == 1
    assert one_line(err).startswith("alice: EOFError in program.py, line 5; ")


# ------------------------------------------------------------------ in one process


@pytest.mark.parametrize("words, fault", [
    ([], "no program"), (["none.py"], "none.py: no such file")])
def test_a_missing_program_is_reported_in_one_line(words, fault, capsys):
    assert mpi.run(words) == 2
    assert capsys.readouterr().err == (
        f"mpc.transport.mpi: {fault}; start mpiexec -n 4 python -m mpc.transport.mpi "
        "PROGRAM.py\n")


def test_missing_mpi4py_is_reported_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    mpi.mpi.cache_clear()
    with pytest.raises(ValueError, match=r"MPI cannot be used .* install '.\[mpi\]'"):
        mpi.mpi()


def test_a_message_survives_the_wire_and_a_malformed_one_is_rejected():
    header = (17, "relu/drelu/x")
    parcel = mpi.from_wire("alice", "bob", mpi.to_wire(header, b"payload"))
    assert parcel == ("alice", "bob", header, b"payload")
    message = mpi.to_wire(header, b"")
    for n in range(len(message)):
        with pytest.raises(ProtocolError, match=f"malformed message of {n} bytes from"):
            mpi.from_wire("alice", "bob", message[:n])
    with pytest.raises(ProtocolError, match="bob received a malformed message"):
        mpi.from_wire("alice", "bob", b"\xff" * 20)


def test_the_receiver_rejects_elements_outside_the_ring():
    class Loose(Zm):
        """Sends other bytes than it should."""

        def pack(self, x):
            return b"\xff" * self.nbytes(x.shape[1:])

    def send(world):
        return world.open(x=give(world, [1, 2], Loose(67)))[0]

    with pytest.raises(ProtocolError, match="its bytes are not elements of Z_67"):
        run_threads(send, seed=1)
