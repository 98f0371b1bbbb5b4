"""The command: output, revealed values and accuracy are right, and all roles agree."""

import re
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers import everywhere, rows_of
from training_runs import IN_FLOATS, PARAMETERS, SMALL, command, options, trained

import data
import mpc
import nn
from mpc import beaver, public, run_threads, train_mnist
from mpc.share import RingArray
from mpc.train_mnist import command as command_module
from mpc.train_mnist import costs, training

ONE_EPOCH = SMALL.replace("--epochs 2", "--epochs 1")
TRAIN_LINE = (r"Train Epoch: (\d+) \[(\d+)/10 \((\d+)%\)\]  "
              r"Loss: \d+\.(\d+)  Time: \d+\.\d{3}s")
TEST_LINE = r"Test set: Accuracy: (\d+)/6 \((\d+)%\)"

# ------------------------------------------------------------------ the output


def test_the_lines_have_the_form_of_the_tutorial():
    _, lines = trained(SMALL)
    done = [("4", "40"), ("8", "80"), ("10", "100")]        # the last batch is short
    for epoch in ("1", "2"):
        for numbers in done:
            found = re.fullmatch(TRAIN_LINE, lines.pop(0)).groups()
            assert found[:3] == (epoch, *numbers)
        correct, percent = map(int, re.fullmatch(TEST_LINE, lines.pop(0)).groups())
        assert percent == round(100 * correct / 6)
    assert lines == []


@pytest.mark.parametrize("how, digits", [
    ("", 3), ("--precision-fractional 4", 4), ("--base 2 --precision-fractional 10", 4),
    ("--arithmetic fixed", 3), ("--arithmetic float", 6)])
def test_a_loss_is_printed_with_the_digits_that_its_numbers_have(how, digits):
    run, lines = trained(f"--train-items 8 --test-items 2 --epochs 1 {how}")
    shown = re.fullmatch(TRAIN_LINE.replace("/10", "/8"), lines[0])
    assert len(shown[4]) == digits
    loss, = run.losses
    step = 2.0**-10 if "base 2" in how else 10.0**-digits
    if how != "--arithmetic float":
        assert loss / step == pytest.approx(round(loss / step))     # the rest are zeros


def test_the_report_has_accuracy_cost_and_the_revealed_values(capsys):
    status, out, err = command(capsys, SMALL)
    assert (status, err) == (0, "")
    training, report = out.split("\n\n")
    last = re.findall(TEST_LINE, training)[-1][0]
    assert re.match(rf"Accuracy after 2 epochs: {last}/6 \(\d+\.\d %\)\n"
                    r"Time per batch: \d+\.\d{3} s \(median of 6\)\n"
                    r"Rounds per batch: \d+\n"
                    r"Bytes per batch sent by server: 0\n"
                    r"Bytes per batch sent by alice: [\d,]+\n"
                    r"Bytes per batch sent by bob: [\d,]+\n"
                    r"Bytes per batch sent by crypto_provider: "
                    r"[\d,]+ and [\d,]+ offline\n", report)
    lines = report[report.index("Revealed, to the server alone:\n"):].splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["6", "2", "6"]


@pytest.mark.parametrize("how", ["--workers 3", "--truncation local"])
def test_truncation_reveals_nothing_more(how):
    """Openings while a loss is revealed go to the workers and are not counted."""
    run, _ = trained(f"{SMALL} {how}")
    lines = list(train_mnist.report(run, options(SMALL)))
    first = lines.index("Revealed, to the server alone:") + 1
    assert [line.split()[0] for line in lines[first:first + 3]] == ["6", "2", "6"]
    told = {m.round for m in run.world.ledger.messages if m.dst == "server"}
    assert len(told) == 6 + 2 + 6


def test_the_report_ends_with_the_public_values_and_the_workers_ignorance():
    run, _ = trained("--train-items 2 --test-items 2 --epochs 1")
    known, received = list(train_mnist.report(run, options("")))[-2:]
    assert known.startswith("Known to everybody: ")
    assert known.endswith("the initial weights.")
    assert received.startswith("No worker received any of these. ")


def test_one_epoch_is_singular():
    run, _ = trained("--train-items 2 --test-items 2 --epochs 1")
    lines = train_mnist.report(run, options("--epochs 1"))
    assert "Accuracy after 1 epoch: " in "\n".join(lines)


@pytest.mark.parametrize("arithmetic", ["float", "fixed"])
def test_in_the_clear_the_report_claims_no_secrecy(capsys, arithmetic):
    text = IN_FLOATS.replace("float", arithmetic)
    status, out, _ = command(capsys, text)
    assert status == 0
    assert out.endswith(f"Arithmetic: {arithmetic}; nothing was secret\n")


def test_ledger_prints_one_batch_by_protocol(capsys):
    def integers(texts):
        return [int(text.replace(",", "")) for text in texts]

    _, out, _ = command(capsys, f"{SMALL} --ledger")
    header, total, *steps = out[out.index("\nstep "):].strip().splitlines()
    assert header.split() == ["step", "rounds", "bytes", "offline", "rounds", "bytes"]
    rounds, nbytes, _, _ = integers(total.split()[1:])
    assert f"Rounds per batch: {rounds}\n" in out
    assert nbytes == sum(integers(re.findall(r"sent by \w+: ([\d,]+)", out)))
    assert {"drelu", "share_convert", "compute_msb", "private_compare", "matmul",
            "truncate_with_provider"} <= {line.split()[0] for line in steps}


def test_the_price_of_a_batch():
    """Change these numbers on purpose only: for fewer rounds or bytes."""
    run, _ = trained("--train-items 64 --test-items 2 --epochs 1")
    cost = run.world.ledger.cost(run.batch_messages)
    assert cost.rounds == 29
    assert (cost.nbytes, cost.offline_bytes) == (6_425_088, 2_164_224)


@pytest.mark.parametrize("workers, comparison, bits, truncation, rounds, sent, ahead", [
    (2, "carry-tree", 48, "provider", 19, 0.99e6, 1.7e6),
    (2, "carry-tree", 64, "provider", 19, 1.32e6, 2.3e6),
    (2, "carry-tree", 64, "local", 20, 1.35e6, 2.3e6),
    (3, "carry-tree", 48, "provider", 19, 1.98e6, 1.7e6),
    (2, "securenn", 48, "provider", 29, 2.6e6, 2.2e6)])
def test_a_batch_of_opened_pictures_costs_no_more_than_this(
        workers, comparison, bits, truncation, rounds, sent, ahead):
    """From the second epoch on. A comparison opens at most 6 bytes of tree bits."""
    world = mpc.World(workers, comparison=comparison, truncation=truncation, here=(),
                      keys={}, ring_bits=bits)
    run = costs.batch(world, fresh=False)
    run()
    mark = len(world.ledger.messages)
    run()
    messages = world.ledger.messages[mark:]
    by = {str(role): [m for m in messages if m.src == str(role)]
          for role in world.roles}
    assert world.ledger.cost(mark).rounds <= rounds
    assert sum(m.nbytes for m in by["crypto_provider"] if m.offline) <= ahead
    for worker in map(str, world.workers):
        assert sum(m.nbytes for m in by[worker]) <= sent
        to_one = [m for m in by[worker] if m.dst == by[worker][0].dst]
        bits = [m for m in to_one if m.ring == "bits"]
        assert sum(m.nbytes for m in bits) <= 6 * 64 * (128 + 64)
        assert bool(bits) == (comparison == "carry-tree")


def test_an_interrupted_run_ends_without_a_traceback(capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_module, "train", interrupted)
    assert command(capsys, "") == (130, "", "train_mnist: interrupted\n")


def test_a_truncated_file_is_reported_in_one_line(capsys, tmp_path):
    for path in data.load.EMBEDDED.glob("*.gz"):
        content = path.read_bytes()
        (tmp_path / path.name).write_bytes(content[:len(content) // 2])
    status, out, err = command(capsys, f"--data-dir {tmp_path}")
    assert (status, out) == (2, "")
    line, = err.splitlines()
    assert f"{tmp_path}/train-images-idx3-ubyte.gz: " in line


# ------------------------------------------------------------------ revealed values


def to_server(run):
    return [(m.path.split("/")[0], m.shape) for m in run.world.ledger.messages
            if m.dst == "server"]


def test_the_server_learns_the_losses_one_count_an_epoch_and_the_model():
    run, _ = trained(SMALL)
    both = 2                                        # one share from each worker
    epoch = [("reveal loss", ())] * 3 * both + [("reveal count", ())] * both
    model = [("reveal model", shape) for shape in PARAMETERS.values()
             for _ in range(both)]
    assert to_server(run) == epoch * 2 + model
    assert len(run.losses) == 6 and len(run.accuracies) == 2


def test_the_server_sends_the_model_and_the_owners_nothing():
    run, _ = trained(SMALL)
    sent = [(m.path, m.src, m.dst, m.shape) for m in run.world.ledger.messages
            if m.src == "server" or "share data" in m.path]
    assert sent == [
        ("share model", "server", "bob", shape) for shape in PARAMETERS.values()]


@pytest.mark.parametrize("interval, due, words", [
    (1, 3, "losses of training batches"), (2, 1, "loss of a training batch"),
    (3, 1, "loss of a training batch"), (4, 0, "losses of training batches"),
    (0, 0, "losses of training batches")])
def test_log_interval_reveals_fewer_losses(interval, due, words):
    run, lines = trained(f"{ONE_EPOCH} --log-interval {interval}")
    assert len(run.losses) == due == sum(line.startswith("Train") for line in lines)
    assert to_server(run).count(("reveal loss", ())) == 2 * due
    assert len(run.seconds) == 3                    # of every batch, shown or not
    progress = [line for line in lines if line.startswith("Test set: [")]
    assert progress == ["Test set: [6/6 (100%)]"] * (interval == 2)     # of 2 batches
    report = list(train_mnist.report(run, options(SMALL)))
    assert f"  {due:>5}  {words}" in report
    assert "      1  count of correctly classified test items" in report


FEW = "Loss: not revealed, since it is of fewer than 8 items"


@pytest.mark.parametrize("items, size, due", [
    (23, 8, [True, True, False]), (24, 8, [True, True, True]), (14, 7, [False, False]),
    (7, 64, [False]), (8, 64, [True])])
def test_the_loss_of_few_items_is_not_revealed(items, size, due):
    """Not even as a message; a line says so."""
    run, lines = trained(f"--train-items {items} --batch-size {size} --test-items 2 "
                         "--epochs 1")
    assert len(run.losses) == sum(due)
    assert to_server(run).count(("reveal loss", ())) == 2 * sum(due)
    assert [not line.endswith(FEW) for line in lines[:-1]] == due
    assert len(run.seconds) == len(due)
    assert (f"  {sum(due):>5}  loss" in "\n".join(
        train_mnist.report(run, options("--test-items 2"))))


@pytest.mark.parametrize("how", ["--reproducible", "--arithmetic fixed",
                                 "--arithmetic float"])
def test_where_nothing_is_secret_all_losses_are_shown(how):
    run, lines = trained(f"--train-items 3 --batch-size 2 --test-items 2 --epochs 1 "
                         f"{how}")
    assert len(run.losses) == 2 and not any(FEW in line for line in lines)


def test_the_initial_weights_of_the_provider_are_known_to_nobody_else():
    """The server sends nothing, and the workers get a share; no two runs begin alike.
    """
    text = "--train-items 8 --test-items 2 --epochs 1 --lr 1e-6 --initial-weights"
    runs = [trained(f"{text} {owner}")[0] for owner in ("provider", "provider", "seed")]
    for run in runs[:2]:
        told = [(m.src, m.dst) for m in run.world.ledger.messages
                if m.path.startswith("share model")]
        assert told == [("crypto_provider", "bob")] * len(PARAMETERS)
        assert not [m for m in run.world.ledger.messages if m.src == "server"]
        report = "\n".join(train_mnist.report(
            run, options("--initial-weights provider")))
        assert "Known to the crypto provider alone: the initial weights.\n" in report
        assert "--seed" not in report
    first, second, public = (run.model.fc1.weight.value for run in runs)
    for one, other in ((first, second), (first, public)):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.02
    bound = 1 / np.sqrt(784)
    assert 0.97 * bound < np.abs(first).max() < bound + 0.002


@pytest.mark.parametrize("how", ["", "--workers 3", "--security abort"])
def test_weights_of_the_provider_train_the_same_in_every_world(how):
    text = ("--train-items 8 --test-items 4 --epochs 1 --reproducible "
            f"--initial-weights provider {how}")
    twice = [trained(text)[0] for _ in range(2)]
    assert twice[0].losses == twice[1].losses
    assert twice[0].losses != trained(text.replace("provider", "seed"))[0].losses
    if how:
        return
    told = []

    def program(world):
        run, _ = trained(text, world)
        if world.has(world.server):
            told.append(run.losses)
        else:
            assert np.isnan(run.losses).all()
        return {}

    everywhere(program)
    assert len(told) >= 3 and all(losses == told[0] for losses in told)


def test_only_the_owners_read_their_data(monkeypatch):
    """Each role in its own thread: alice and bob load their items, the others never."""
    readers, load = set(), data.load_mnist

    def watched(*args):
        readers.add(threading.current_thread())
        return load(*args)

    monkeypatch.setattr(data, "load_mnist", watched)

    def program(world):
        trained("--train-items 4 --test-items 2 --epochs 1", world)
        return threading.current_thread()

    thread = run_threads(program)
    assert readers == {thread["alice"], thread["bob"]}


# ------------------------------------------------------------------ reproducible or not


def test_reproducible_runs_are_alike_and_others_share_no_mask():
    def run_and_coins(text):
        run, _ = trained(text)
        return run, run.world.common_coins(run.world.ring, (4,), "the next coins")

    one, coins_of_one = run_and_coins(SMALL)
    same, coins_of_same = run_and_coins(SMALL)
    other, coins_of_other = run_and_coins(SMALL.replace(" --reproducible", ""))
    assert one.losses == same.losses and one.accuracies == same.accuracies
    np.testing.assert_array_equal(coins_of_one, coins_of_same)
    assert not np.any(coins_of_one == coins_of_other)
    pairs = zip(one.model.parameters(), same.model.parameters(), strict=True)
    for mine, its in pairs:
        np.testing.assert_array_equal(mine.value, its.value)


def test_fixed_point_in_the_clear_can_be_reproduced_too():
    one, _ = trained(f"{SMALL} --arithmetic fixed")
    same, _ = trained(f"{SMALL} --arithmetic fixed")
    assert one.losses == same.losses


def test_every_encoded_value_is_rounded_with_coins_of_its_own():
    arithmetic = train_mnist.Fixed(options("--reproducible"))
    x, y = (arithmetic.encode(np.full(500, 0.5)) for _ in range(2))
    half = np.full(500, 0.001)              # 0.5 * 0.001 lies half-way between steps
    mine, its = ((v * half + 0.0).refresh().float_precision() for v in (x, y))
    assert set(mine) == set(its) == {0.0, 0.001} and 150 < np.sum(mine != its) < 350


# ------------------------------------------------------------------ three arithmetics


@pytest.mark.parametrize("arithmetic, variant", [
    *((arithmetic, variant) for arithmetic in ("fixed", "shared") for variant in (
        "", "--activation square --lr 0.01", "--precision-fractional 5",
        "--base 2 --precision-fractional 10")),
    *(("shared", variant) for variant in (
        "--workers 3", "--comparison carry-tree", "--truncation local",
        "--truncation local --comparison carry-tree --ring-bits 61",
        "--precision-fractional 7", "--ring-bits 44", "--ring-bits 61",
        "--ring-bits 31 --comparison carry-tree"))])
def test_the_losses_are_those_of_floats(variant, arithmetic):
    text = "--train-items 24 --batch-size 8 --test-items 20 --epochs 1"
    lr = "--activation square --lr 0.01" * ("square" in variant)
    twin, _ = trained(f"{text} --arithmetic float {lr}")
    run, _ = trained(f"{text} --reproducible {variant} --arithmetic {arithmetic}")
    np.testing.assert_allclose(run.losses, twin.losses, atol=0.02)
    assert abs(run.accuracies[-1] - twin.accuracies[-1]) <= 1
    models = run.model.parameters(), twin.model.parameters()
    for name, mine, its in zip(PARAMETERS, *models, strict=True):
        assert np.max(np.abs(mine.value - its.value)) < 0.005, name


def test_the_initial_weights_are_uniform_within_the_root_of_the_fan_in():
    model = train_mnist.Net(np.random.default_rng(1))
    assert {name: p.shape for name, p in model.named_parameters()} == PARAMETERS
    for layer in (model.fc1, model.fc2, model.fc3):
        bound = 1 / np.sqrt(layer.weight.shape[0])
        assert 0.97 * bound < np.abs(layer.weight.value).max() <= bound
        assert 0.5 * bound < np.abs(layer.bias.value).max() <= bound


DIVERGES = "--train-items 8 --batch-size 2 --test-items 2 --epochs 3 --lr 10"


@pytest.mark.parametrize("how, more", [
    ("", " or more --ring-bits"), ("--ring-bits 64", ""),
    ("--ring-bits 36 --comparison carry-tree", " or more --ring-bits"),
    ("--ring-bits 50 --precision-fractional 5",
     " or more --ring-bits or fewer --precision-fractional digits"),
    ("--base 2", " or more --ring-bits"), ("--base 2 --ring-bits 64", ""),
    ("--base 2 --precision-fractional 16", " or fewer --precision-fractional digits"),
    ("--arithmetic float", "")])
def test_values_that_leave_the_ring_cause_one_warning_on_the_error_output(
        capsys, how, more):
    """Its advice fits the options."""
    how += " --reproducible" * ("float" not in how)
    status, out, err = command(capsys, f"{DIVERGES} {how}")
    assert status == 0 and "warning" not in out
    assert err == ("warning: a loss of this size shows that numbers have left their "
                   f"range, or soon will; take a smaller --lr{more}\n")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bits", [31, 36])
def test_in_a_small_ring_no_diverging_run_is_silent(capsys, seed, bits):
    _, out, err = command(
        capsys, f"{DIVERGES} --ring-bits {bits} --comparison carry-tree --reproducible "
        f"--seed {seed}")
    assert err.count("warning") == 1, out


@pytest.mark.parametrize("how", [
    "", "--ring-bits 31 --comparison carry-tree", "--base 2 --precision-fractional 1",
    "--ring-bits 36", "--precision-fractional 7", "--arithmetic float",
    "--batch-size 1 --lr 0.001", "--ring-bits 44 --batch-size 64"])
def test_training_that_learns_causes_no_warning(capsys, how):
    text = "--train-items 64 --test-items 2 --epochs 1 --reproducible"
    text = text.replace("--reproducible", "") if "float" in how else text
    status, _, err = command(capsys, f"{text} {how}")
    assert (status, err) == (0, "")


@pytest.mark.parametrize("arithmetic", train_mnist.ARITHMETICS)
def test_the_count_includes_every_batch_and_every_item(arithmetic):
    """Outputs that are right for some items of the first batch, for none of the second
    and for all of the last, which is short."""
    parties = train_mnist.ARITHMETICS[arithmetic](options(f"--arithmetic {arithmetic}"))
    labels = np.arange(22) % 10
    answers = labels.copy()
    answers[[0, 3, 8, 9, 10, 11, 12, 13, 14, 15, 17]] += 1
    outputs = data.one_hot(answers % 10) * 2 - 0.5

    owners = 1 if arithmetic == "float" else 2
    batches = [tuple(parties.batch(rows.__getitem__, (10,), parts)
                     for rows in (outputs, data.one_hot(labels)))
               for parts in data.batches(22, 8, owners)]
    right = [np.sum(answers[i:i + 8] == labels[i:i + 8]) for i in range(0, 22, 8)]
    for chosen in ([0, 1, 2], [2, 1, 0], [0], [1, 2], [1]):
        some = [batches[i] for i in chosen]
        found = train_mnist.count_correct(parties, lambda x: x, some)
        assert found == sum(right[i] for i in chosen)


# ------------------------------------------------------------------ the loop


@pytest.mark.parametrize("stream", [False, True])
def test_gradient_descent_takes_one_step_for_each_batch_of_each_epoch(stream):
    choice = options("--arithmetic float --train-items 10 --batch-size 4"
                     + " --stream" * stream)
    batches = train_mnist.private_batches(train_mnist.Float(choice), "train", choice)
    taken = []

    def step(pictures, labels):
        taken.append(len(pictures))
        return len(taken)

    assert len(batches) == 3
    assert list(training.gradient_descent(step, batches, 2)) == [
        (1, 1, 1), (1, 2, 2), (1, 3, 3), (2, 1, 4), (2, 2, 5), (2, 3, 6)]
    assert taken == [4, 4, 2] * 2


# ------------------------------------------------------------------ all roles agree


def test_one_real_batch_is_the_same_in_the_simulation_alone_and_in_threads():
    """784-128-64-10, 64 items: shares, openings, gradients, model, bit for bit."""
    def program(world):
        opened, open_ = [], world.open

        def recording(**shares):
            values = open_(**shares)
            opened.extend(values)
            return values

        world.open = recording
        choice = options("--train-items 64")
        arithmetic = train_mnist.Shared(choice, world)
        rng = np.random.default_rng(1) if world.has(world.server) else None
        model = arithmetic.model(train_mnist.Net(rng))
        start = {f"initial {name}": p.value for name, p in model.named_parameters()}
        batch, = train_mnist.private_batches(arithmetic, "train", choice)
        loss = train_mnist.train_batch(model, nn.SGD(model.parameters(), 0.02), *batch)
        parameters = dict(model.named_parameters())
        return {
            "pictures": batch[0], "labels": batch[1], **start,
            "loss": loss, "shown": loss.get(),
            **{f"opening {i}": value for i, value in enumerate(opened)},
            **{f"gradient of {name}": p.grad for name, p in parameters.items()},
            **{f"trained {name}": p.value for name, p in parameters.items()},
            **{f"model {name}": p.value.get() for name, p in parameters.items()}}

    world, values = everywhere(program)
    assert len([name for name in values if name.startswith("opening")]) >= 10
    shown = float(values["shown"].float_precision())
    run, _ = trained("--train-items 64 --test-items 1 --epochs 1 --arithmetic float")
    assert abs(shown - run.losses[0]) < 0.02


def test_a_stream_shares_each_batch_anew_in_every_pass_and_keeps_none():
    choice = options("--stream --train-items 40 --batch-size 16 --reproducible")
    arithmetic = train_mnist.Shared(choice)
    stream = train_mnist.private_batches(arithmetic, "train", choice)
    assert arithmetic.world.ledger.calls["share data"] == 0
    passes = [[x for x, _ in stream] for _ in range(2)]
    choice = options("--train-items 40 --batch-size 16")
    kept = [x for x, _ in train_mnist.private_batches(arithmetic, "train", choice)]
    for first, second, third in zip(*passes, kept, strict=True):
        assert not np.array_equal(rows_of(first), rows_of(second))
        for other in (second, third):
            np.testing.assert_array_equal(
                first.get().float_precision(), other.get().float_precision())


def test_a_streamed_run_learns_as_the_other_does():
    text = "--train-items 128 --test-items 64 --epochs 2 --reproducible"
    (streamed, _), (kept, _) = trained(f"{text} --stream"), trained(text)
    np.testing.assert_allclose(streamed.losses, kept.losses, atol=0.02)


def test_a_whole_run_is_the_same_in_every_world():
    """Training, the encrypted test and the revealed model.

    Roles without the server read NaN.
    """
    lines = {}

    def program(world):
        text = "--train-items 8 --batch-size 8 --test-items 2 --epochs 1"
        run, printed = trained(text, world)
        printed = [re.sub(r"  Time: .*", "", line) for line in printed]
        lines.setdefault(world.here, []).append(printed)
        assert world.has(world.server) or np.isnan(run.losses).all()
        assert world.has(world.server) or np.isnan(run.model.fc1.weight.value).all()
        return {}

    everywhere(program)
    simulation, = lines["server", "alice", "bob", "crypto_provider"]
    assert lines["server",] == [simulation, simulation]     # by replay, in its thread
    assert all("nan" in line for printed in lines["alice",] for line in printed)


@pytest.mark.parametrize("digits", [3, 5])
def test_gradients_on_shares_agree_with_those_on_floats(digits):
    """In steps of the last digit: 2 on average, and 20 where a ReLU near 0 decides."""
    def gradients(arithmetic):
        choice = options("--train-items 64 " + (
            "--arithmetic float" if arithmetic == "float" else
            f"--reproducible --precision-fractional {digits}"))
        parties = train_mnist.ARITHMETICS[arithmetic](choice)
        model = parties.model(train_mnist.Net(np.random.default_rng(1)))
        batch, = train_mnist.private_batches(parties, "train", choice)
        train_mnist.train_batch(model, nn.SGD(model.parameters(), 0.02), *batch)
        return {name: parties.reveal(p.grad * 1000, "gradient") / 1000   # 3 digits more
                for name, p in model.named_parameters()}

    exact, shared = gradients("float"), gradients("shared")
    for name in PARAMETERS:
        steps = np.abs(shared[name] - exact[name]) * 10**digits
        assert steps.mean() < 2 and steps.max() < 20, name
        assert np.abs(exact[name]).max() * 10**digits > 30


# ------------------------------------------------------------------ scales, small rings

LAYERS = [(128,), (64,), (10,)]


def truncated(text):
    """The shapes that each batch truncates, counted without any role or picture.

    For each of them, the provider deals t and q.
    """
    chosen, found = options(text), []
    world = mpc.World(chosen.workers, ring_bits=chosen.ring_bits, here=(), keys={},
                      comparison=chosen.comparison, truncation=chosen.truncation)
    arithmetic = train_mnist.Shared(chosen, world)
    step = training.make_step(
        arithmetic, arithmetic.model(train_mnist.Net()), chosen.lr)
    for batch in train_mnist.private_batches(arithmetic, "train", chosen):
        mark = len(world.ledger.messages)
        step(*batch)
        t, q = ([m.shape for m in world.ledger.messages[mark:]
                 if m.path.endswith("truncate_with_provider") and m.name == name]
                for name in "tq")
        assert t == q
        found.append(sorted(t))
    return found


@pytest.mark.parametrize("text", [
    "", "--comparison carry-tree", "--workers 3", "--workers 5", "--lr 0.1",
    "--precision-fractional 4", "--base 2 --precision-fractional 10", "--ring-bits 48",
    "--ring-bits 48 --workers 3", "--ring-bits 44", "--lr 0.03", "--lr 0.0213",
    "--lr 0.0213 --ring-bits 44", "--workers 3 --lr 0.03 --ring-bits 48"])
@pytest.mark.parametrize("batch", [8, 64])
def test_a_batch_truncates_no_update_of_a_finer_weight(text, batch):
    """Only each item's outputs of three layers, and its gradients of all three.

    The last gradient is a second quotient of the last output.
    """
    due = [*LAYERS, *LAYERS]
    found, = truncated(f"{text} --batch-size {batch} --train-items {batch}")
    assert found == sorted((batch, *shape) for shape in due)


@pytest.mark.parametrize("text", [
    "", "--lr 0.1", "--lr 0.0213", "--workers 3", "--ring-bits 64 --lr 0.03",
    "--ring-bits 64 --lr 0.0213", "--ring-bits 44 --lr 0.05"])
@pytest.mark.parametrize("batch, last", [
    (64, 36), (60, 7), (7, 6), (96, 64), (100, 57), (33, 4), (4, 3)])
def test_a_smaller_last_batch_truncates_no_update_either(text, batch, last):
    """Except, in a small ring and for a rate that does not suit, of the last bias."""
    found = truncated(f"{text} --batch-size {batch} --train-items {batch + last}")
    bias = "64" not in text and (10,)
    for n, shapes in zip((batch, last), found, strict=True):
        assert [shape for shape in shapes if shape != bias] == sorted(
            (n, *shape) for shape in (*LAYERS, *LAYERS))


@pytest.mark.parametrize("text", ["--ring-bits 40", "--ring-bits 31"])
def test_the_updates_of_ordinary_weights_are_truncated(text):
    found, = truncated(f"{text} --batch-size 8 --train-items 8")
    assert set(PARAMETERS.values()) <= set(found)


@pytest.mark.parametrize("text", ["", "--ring-bits 44", "--workers 3", "--lr 0.03",
                                  "--activation square", "--lr 0.123457"])
def test_every_quotient_is_used(text, monkeypatch):
    """A batch and the revealed loss: nothing is truncated in vain."""
    made, used = [], set()
    truncate, form = public.truncate, beaver._form
    rows = property(lambda x: used.add(id(x)) or x._rows)

    def recording(x, d):
        made.append(truncate(x, d))
        used.discard(id(made[-1]))
        return made[-1]

    monkeypatch.setattr(public, "truncate", recording)
    monkeypatch.setattr(beaver, "_form", lambda x: used.add(id(x)) or form(x))
    monkeypatch.setattr(RingArray, "rows", rows)
    trained(f"{text} --train-items 8 --batch-size 8 --test-items 4 --epochs 1")
    assert len(made) > 6 and all(id(quotient) in used for quotient in made)


@pytest.mark.parametrize("bits, width", [(44, 6), (31, 4), (64, 8)])
def test_a_smaller_ring_sends_smaller_words(bits, width):
    run, _ = trained(
        f"--ring-bits {bits} --train-items 8 --batch-size 8 "
        "--test-items 4 --epochs 1 --comparison carry-tree --reproducible")
    pictures, = [m for m in run.world.ledger.messages[run.batch_messages]
                 if m.shape == (8, 784) and m.src == "alice"]
    assert (pictures.ring, pictures.nbytes) == (f"Z_2^{bits}", 8 * 784 * width)


# ------------------------------------------------------------------ it learns


@pytest.mark.slow
def test_encrypted_training_is_as_accurate_as_training_on_floats():
    """Masks fixed beforehand: within 1 point on average, 2.5 points each.

    The loss of every batch is that of floats and that of fixed point in the clear, to
    within 0.01. The table in the README says the same, within 2 points: it has seeds 0
    to 3, of which this test trains the first two.
    """
    how = "--arithmetic float", "--arithmetic fixed --reproducible", "--reproducible"
    runs = [[trained(f"--seed {seed} {text}")[0] for text in how] for seed in range(2)]
    correct = np.array([[run.accuracies[-1] for run in row] for row in runs])
    losses = np.array([[run.losses for run in row] for row in runs])
    assert losses.shape == (2, 3, 100) and np.ptp(losses, axis=1).max() < 0.01
    check_accuracies(correct / 6.4)
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    row = r"^\| [a-z ]+ " + r"\| (\d+) \([^)]*\) " * 4
    shown = np.array(re.findall(row, readme, re.M), int).T
    assert shown.shape == (4, 3)
    check_accuracies(shown / 6.4)
    np.testing.assert_allclose(shown[:2], correct, atol=13)


def check_accuracies(percent):
    """Rows of float, fixed point and shares, in percent."""
    assert np.all((73.5 <= percent[:, 0]) & (percent[:, 0] <= 76.5)), percent
    gaps = percent[:, 1:] - percent[:, :1]
    assert np.all(np.abs(gaps.mean(axis=0)) <= 1) and np.all(np.abs(gaps) <= 2.5)


@pytest.mark.slow
@pytest.mark.parametrize("other", [
    "--workers 3", "--comparison carry-tree", "--truncation local",
    "--ring-bits 64", "--ring-bits 44"])
def test_other_protocols_are_as_accurate_as_training_on_floats(other):
    """In three epochs; the test before has ten."""
    run, _ = trained(f"{other} --epochs 3 --reproducible")
    floats, _ = trained("--arithmetic float --epochs 3")
    assert abs(run.accuracies[-1] - floats.accuracies[-1]) <= 0.02 * 640
    coarse = "--ring-bits 44" in other          # gradients are
    np.testing.assert_allclose(
        run.losses, floats.losses, atol=0.03 if coarse else 0.008)
