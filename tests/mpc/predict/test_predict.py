"""python -m mpc.predict: right answers on shares, which only their owner learns."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import everywhere
from mpi_runs import Started, in_processes, one_line

import data
import nn
from mpc import predict, run_threads
from mpc.audit.attacks import cheat
from mpc.audit.replay import RecordedWorld
from mpc.predict import command as command_module
from mpc.predict.command import predict_parser
from mpc.seals import Cheated

IMAGES, _ = data.load_mnist("test", 70)


def options(text=""):
    return predict_parser().parse_args(text.split())


def main(capsys, text):
    """Exit status, output and error output of the command."""
    try:
        status = predict.main(text.split())
    except SystemExit as stop:
        status = stop.code
    return status, *capsys.readouterr()


def expected(path, images, activation="relu"):
    """The answers in floating point, and their leads over the second best."""
    net = predict.network(options(f"--activation {activation}"), nn.load(path))
    output = net(nn.Tensor(data.normalise(images))).value
    best = np.sort(output, axis=1)
    return output.argmax(axis=1), best[:, -1] - best[:, -2]


@pytest.mark.parametrize("how", [
    "", "--comparison carry-tree", "--workers 3 --owner worker3", "--truncation local",
    "--comparison carry-tree --ring-bits 44", "--activation square", "--checked",
    "--owner bob --base 2 --precision-fractional 10", "--security abort",
    "--security abort --workers 3 --owner worker3 --seals 1"])
def test_the_answers_are_those_of_floating_point(trained, how):
    """Up to a tie within the rounding; more pictures than are asked at once."""
    chosen = options(how)
    model = trained[chosen.activation]
    images = IMAGES if not how else IMAGES[:9]
    answers = predict.ask(chosen, nn.load(model), images)
    digits, lead = expected(model, images, chosen.activation)
    assert len(set(digits)) > 2
    sure = lead > 0.02
    assert sure.mean() > 0.8
    np.testing.assert_array_equal(np.array(answers.digits)[sure], digits[sure])


def test_each_role_alone_and_in_threads_computes_the_same(model):
    """And no role but the owner holds an answer."""
    def program(world):
        parameters = nn.load(model) if world.has("server") else None
        images = IMAGES[:2] if world.has("alice") else IMAGES[:0]
        digits = predict.ask(options(), parameters, images, world).digits
        assert np.isnan(digits).all() != world.has("alice")
        return {}

    everywhere(program)


def test_a_worker_that_lies_about_an_answer_is_caught(model):
    """In its share of the last opening, or in what it tells the owner."""
    def answers(words, label="none", change=1):
        def lie(own, ring, rows):
            return ring.add(rows, change) if own.endswith(label) else rows

        chosen = options(words)
        return cheat(
            lambda world: predict.ask(chosen, nn.load(model), IMAGES[:3], world).digits,
            lie, comparison="carry-tree", ring_bits=44, security=chosen.security)

    honest, sealed = "--ring-bits 44 --comparison carry-tree", "--security abort"
    digits, _ = answers(honest)
    wrong, _ = answers(honest, "reveal answer/revealed", 1000)
    assert [w - d for w, d in zip(wrong, digits, strict=True)] == [1000] * 3
    for label in "and_all/multiply/epsilon", "bit_to_arithmetic/m", "revealed":
        assert isinstance(answers(sealed, label)[1], Cheated)
    assert answers(sealed) == (digits, None)


def test_nobody_but_the_owner_is_sent_an_answer_and_the_server_is_sent_nothing(model):
    world = RecordedWorld(seed=1)
    predict.ask(options("--owner bob"), nn.load(model), IMAGES[:3], world)
    revealed = [m for m in world.ledger.messages if m.name == "revealed"]
    assert {(m.src, m.dst) for m in revealed} == {("alice", "bob")}
    assert [m.shape for m in revealed] == [(3,)]
    to_server = [m for m in world.ledger.messages if m.dst == "server"]
    assert [(m.name, m.shape) for m in to_server] == [("broadcast", (1,))]
    parcel, = (p for p in world.tape if p.dst == "server")
    assert int.from_bytes(parcel.payload, "little") == 3    # how many pictures


def test_the_messages_of_other_pictures_and_models_have_the_same_sizes(model):
    def traffic(seed, images):
        world = RecordedWorld(seed=1)
        parameters = {n: np.roll(p, seed) for n, p in nn.load(model).items()}
        predict.ask(options(), parameters, images, world)
        return world.ledger.messages

    assert traffic(0, IMAGES[:2]) == traffic(5, IMAGES[2:4])


# ------------------------------------------------------------------ the command


def test_the_command_prints_answers_cost_and_what_was_revealed(model, capsys):
    status, out, err = main(capsys, f"--model {model} test:0-2 test:5")
    assert (status, err) == (0, "")
    digits, _ = expected(model, IMAGES[[0, 1, 2, 5]])
    lines = out.splitlines()
    assert lines[:4] == [f"test:{i}: {digit}"
                         for i, digit in zip((0, 1, 2, 5), digits, strict=True)]
    assert re.fullmatch(
        r"\nRounds: \d+\nBytes sent by server: 875,088\nBytes sent by alice: [\d,]+\n"
        r"Bytes sent by bob: [\d,]+\nBytes sent by crypto_provider: [\d,]+ and [\d,]+ "
        r"offline\nTime: \d+\.\d{3} s\nRevealed, to alice alone: 4 answers\n"
        r"Known to everybody: the number of pictures, the shapes and the options\.",
        "\n".join(lines[4:]))


def test_ledger_and_one_answer(model, capsys):
    text = f"--model {model} test:0 --ledger --comparison carry-tree"
    _, out, _ = main(capsys, text)
    assert "Revealed, to alice alone: 1 answer\n" in out
    assert "crypto_provider: 0 and" in out
    assert re.search(r"^step +rounds +bytes", out, re.M) and "  reveal answer " in out


def test_help_shows_its_own_options_first_and_none_without_effect(capsys):
    status, out, _ = main(capsys, "--help")
    assert status == 0 and "None" not in out
    titles = re.findall(r"^(\w.*):\n  \S", out[:out.index("example:")], re.M)
    assert titles == ["options", "model and pictures", "data", "training",
                      "arithmetic and protocol", "output", "processes"]
    for name in command_module.WITHOUT_EFFECT:
        assert not re.search(rf"^ +--{name.replace('_', '-')} ", out, re.M)
    example = re.search(r"^  python -m mpc.predict (.*)$", out, re.M)[1]
    assert options(example).images == ["test:0-9"]


@pytest.mark.parametrize("text, said", [
    ("test:0", "--model is missing; name a file that python -m mpc.train_mnist "),
    ("--model {model}", "no picture; name one, such as test:0, or a .png or .npy"),
    ("--model {model} test:0 --owner server", "--owner server: no worker; take one of "
     "alice, bob"),
    ("--model {model} test:0 --owner worker3", "take one of alice, bob"),
    ("--model {model} test:0 --epochs 3", "--epochs has no effect on an answer; leave"),
    ("--model {model} test:0 --arithmetic float", "--arithmetic has no effect on an"),
    ("--model {model} test:0 --checkpoint x", "--checkpoint has no effect"),
    ("--model {model} test:0 --workers 3 --comparison securenn", "for two workers"),
    ("--model {model} test:0 --ring-bits 30", "products need 31 bits"),
    ("--model {model} test:0 --world mpi", "start mpiexec -n 4 python -m mpc.predict"),
    ("--model {model} nowhere.png", "nowhere.png: no such file"),
    ("--model nowhere.npz test:0", "load: nowhere.npz: no such file"),
    ("--model {model} test:0 --nonsense", "unrecognized arguments: --nonsense"),
    ("--model= test:0", "--model: the name is empty")])
def test_a_bad_command_is_refused_in_one_line(model, capsys, text, said):
    status, out, err = main(capsys, text.format(model=model))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("predict: ") and said in err


@pytest.mark.parametrize("change, said", [
    (lambda p: p.pop("fc1.bias"), "fc1.bias is nothing, and (128,) in the network"),
    (lambda p: p.update(more=np.ones(2)), "more is (2,), and nothing in the network"),
    (lambda p: p.update({"fc2.weight": np.ones((64, 128))}),
     "fc2.weight is (64, 128), and (128, 64) in the network"),
    (lambda p: p.update({"fc2.weight": np.ones((128, 64), np.float32)}), "float32"),
    (lambda p: p.update({"fc3.bias": np.full(10, np.nan)}), "contains nan or inf"),
    (lambda p: p.update({"fc3.bias": np.full(10, 1e15)}), "cannot be represented")])
def test_a_model_that_does_not_fit_is_refused_in_one_line(model, capsys, change, said):
    parameters = nn.load(model)
    change(parameters)
    np.savez(model, **parameters)
    status, out, err = main(capsys, f"--model {model} test:0")
    assert (status, out, err.count("\n")) == (2, "", 1) and said in err


def test_only_the_owner_knows_the_number_of_pictures_beforehand(model):
    """The others hear it by a broadcast."""
    def program(world):
        images = IMAGES[:3] if world.has("bob") else IMAGES[:0]
        parameters = nn.load(model) if world.has("server") else None
        return predict.ask(options("--owner bob"), parameters, images, world).digits

    told = run_threads(program, seed=1, comparison="securenn")
    digits, _ = expected(model, IMAGES[:3])
    assert told["bob"] == digits.tolist() and len(told["server"]) == 3


# ------------------------------------------------------------------ MPI


def words(text, n=1):
    return n, ["-m", "mpc.predict", *text.split()]


@in_processes
def test_under_mpi_each_role_reads_only_its_own_and_the_owner_prints(model, tmp_path):
    """The other roles name no file, or files that are not there."""
    np.save(tmp_path / "x.npy", IMAGES[:2])
    given = (f"--model {model}", "--model nowhere.npz", f"{tmp_path}/x.npy test:2",
             "nowhere.png")
    groups = [words(f"--owner bob --comparison carry-tree {text}") for text in given]
    status, out, err = Started(*groups).ends()
    assert (status, err) == (0, "")
    digits, _ = expected(model, IMAGES[:3])
    names = f"{tmp_path}/x.npy[0]", f"{tmp_path}/x.npy[1]", "test:2"
    assert out.splitlines()[:3] == [f"bob: {name}: {digit}"
                                    for name, digit in zip(names, digits, strict=True)]
    assert all(line.startswith("bob: ") for line in out.splitlines())


@in_processes
@pytest.mark.parametrize("text, said", [
    ("--model nowhere.npz test:0", "server: predict: load: nowhere.npz: no such file"),
    ("--model {model} nowhere.png", "alice: predict: nowhere.png: no such file"),
    ("--model {model} test:0 --owner carol", r"\w+: predict: --owner carol: no")])
def test_under_mpi_bad_input_ends_in_one_line(model, text, said):
    """All roles refuse an owner, and whichever is first is heard."""
    status, out, err = Started(words(text.format(model=model), 4)).ends()
    assert (status, out) == (2, "") and re.match(said, one_line(err))


@in_processes
def test_under_mpi_roles_with_other_owners_are_refused(model):
    text = f"--model {model} test:0"
    status, out, err = Started(words(text, 3), words(f"{text} --owner bob")).ends()
    assert (status, out) == (2, "")
    assert "was started with owner" in one_line(err)


@in_processes
def test_under_mpi_help_is_printed_once():
    status, out, err = Started(words("--help", 4)).ends()
    assert (status, err) == (0, "") and out.count("usage: ") == 1


def test_the_examples_start_as_a_module(model):
    done = subprocess.run(
        [sys.executable, "-m", "mpc.predict", "--model", str(model), "test:0"],
        capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.returncode == 0 and done.stdout.startswith("test:0: ")
