"""The forecast: rounds and bytes of a whole run, exactly, from shapes alone."""

import itertools
import re
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

import data
from mpc import train_mnist
from mpc.train_mnist import costs, forecast
from mpc.train_mnist.forecast import Network, Traffic, forecast_parser, traffic
from mpc.train_mnist.options import flag

RUNS = [
    "--epochs 1 --train-items 5 --test-items 3",
    "--epochs 4 --train-items 20 --test-items 3 --log-interval 2 "
    "--comparison carry-tree",
    "--epochs 2 --train-items 18 --test-items 20 --log-interval 100 --stream",
    "--epochs 2 --train-items 17 --test-items 9 --truncation local "
    "--comparison carry-tree --log-interval 2",
    "--epochs 2 --train-items 18 --test-items 5 --ring-bits 44 --lr 0.03 "
    "--log-interval 5",
    "--epochs 3 --train-items 15 --test-items 9 --comparison carry-tree "
    "--lr 0.123457 --activation square",
    "--epochs 2 --train-items 9 --test-items 5 --workers 4 --batch-size 1",
    "--epochs 2 --train-items 25 --test-items 6 --batch-size 8 --security abort "
    "--log-interval 2",
    "--epochs 2 --train-items 25 --test-items 6 --batch-size 8 --dp-noise 1",
    # losses of 8 items or more are revealed
    "--epochs 2 --train-items 35 --test-items 4 --batch-size 8 --log-interval 2",
    "--epochs 2 --train-items 29 --test-items 4 --batch-size 10 --initial-weights "
    "provider",
    "--epochs 2 --train-items 28 --test-items 4 --batch-size 9 --workers 3",
    "--epochs 2 --train-items 26 --test-items 4 --batch-size 9 --log-interval 3",
    "--epochs 2 --train-items 24 --test-items 4 --batch-size 8 --log-interval 0"]


@pytest.mark.parametrize("words", RUNS)
def test_rounds_and_bytes_are_those_of_a_real_run(words):
    """Every pair of roles; training, the encrypted test, losses and the model."""
    options = forecast_parser().parse_args(f"--batch-size 4 {words}".split())
    foreseen = traffic(options)
    world = train_mnist.train(options, lambda line: None).world
    assert foreseen.roles == world.roles
    assert foreseen.rounds == world.ledger.cost().rounds
    rounds = itertools.groupby((m for m in world.ledger.messages if not m.offline),
                               lambda m: m.round)
    assert foreseen.in_turn == sum(
        max(sum(m.nbytes for m in messages if role == end(m))
            for role in world.roles for end in (lambda m: m.src, lambda m: m.dst))
        for messages in (list(messages) for _, messages in rounds))
    for i, sender in enumerate(world.roles):
        for j, receiver in enumerate(world.roles):
            assert foreseen.nbytes[i, j] == sum(
                m.nbytes for m in world.ledger.messages
                if (m.src, m.dst) == (sender, receiver))


@pytest.mark.slow
def test_rounds_with_checks_between_results_are_close():
    options = forecast_parser().parse_args(
        "--epochs 1 --train-items 384 --test-items 64 --security abort "
        "--log-interval 6".split())
    foreseen = traffic(options)
    world = train_mnist.train(options, lambda line: None).world
    assert world.seals.checks > 1 + 1 + 6       # losses, counts, parameters
    assert foreseen.rounds == pytest.approx(world.ledger.cost().rounds, rel=0.05)
    total = sum(world.ledger.totals.nbytes.values())
    assert foreseen.nbytes.sum() == pytest.approx(total, rel=0.01)


def test_no_picture_is_read(monkeypatch):
    monkeypatch.setattr(data, "load_mnist", None)
    options = forecast_parser().parse_args(["--items", "10000000"])
    assert traffic(options).rounds > 10**7


@pytest.mark.parametrize("words", ["", "--workers 3", "--comparison carry-tree"])
def test_huge_batches_take_no_memory(words):
    """A role without rows has none but one bool an element, which it never touches."""
    options = forecast_parser().parse_args(
        f"--batch-size 1000000 --items 2000000 --epochs 1 {words}".split())
    tracemalloc.start()
    try:
        assert traffic(options).rounds > 50
        assert tracemalloc.get_traced_memory()[1] < 1.5e8
    finally:
        tracemalloc.stop()


def test_counts_beyond_64_bits_are_exact():
    """10^9 epochs over 10^9 items."""
    words = "--epochs {} --items 1000000000 --test-items 64".format
    one, two, many = (traffic(forecast_parser().parse_args(words(n).split()))
                      for n in (1, 2, 10**9))
    for name in ("rounds", "nbytes"):
        first, second, last = (np.array(getattr(t, name)) for t in (one, two, many))
        assert np.all(last == first + (10**9 - 1) * (second - first))
    assert many.nbytes.max() > 2**70


def test_a_forecast_does_not_warn_of_the_losses_of_its_timed_batches(capsys):
    words = "forecast --batch-size 1 --lr 10 --test-items 2 --items 4".split()
    assert costs.main(words) == 0
    assert capsys.readouterr().err == ""


def test_the_time_is_that_of_waiting_and_of_the_busiest_role():
    nbytes = np.array([[0, 10**6, 0], [0, 0, 3 * 10**6], [0, 2 * 10**6, 0]])
    run = Traffic(("a", "b", "c"), 50, nbytes)
    waiting, moving = run.seconds(Network("", 20.0, 8.0))
    assert (waiting, moving) == (0.5, 3.0)      # b sends 3 MB and gets 3, at 1 a second
    assert run._replace(in_turn=5 * 10**6).seconds(Network("", 20.0, 8.0)) == (0.5, 5.0)


@pytest.mark.parametrize("words, timed, training, testing", [
    ("", 64, 2, 1), ("--batch-size 1000000", 256, 5, 2.5),
    ("--batch-size 1000000 --items 60000 --test-items 256", 256, 468.75, 1),
    ("--batch-size 512 --test-items 128", 256, 4, 0.5),
    ("--items 8 --test-items 4", 8, 2, 0.5)])
def test_a_large_batch_is_not_run_to_tell_its_time(
        monkeypatch, words, timed, training, testing):
    """A timed batch takes 2 s here, and a test batch 1 s."""
    clock, sizes = itertools.count(), []

    def train(options, log, progress, **how):
        sizes.extend([options.batch_size, options.train_items, options.test_items])
        for _ in range(3):
            for text in "Test set: 0/128", "Test set: 64/128", "":
                progress(text)
        return SimpleNamespace(seconds=[2.0, 3.0])

    monkeypatch.setattr(forecast, "train", train)
    monkeypatch.setattr(forecast.time, "perf_counter", clock.__next__)
    options = forecast_parser().parse_args(words.split())
    assert forecast.computation(options) == (training, testing)
    assert sizes == [timed] * 3


@pytest.mark.parametrize("how, seconds", [
    ("--comparison carry-tree", 42), ("--comparison securenn", 1.3 * 42)])
def test_with_securenn_workers_and_provider_compute_in_turn(monkeypatch, how, seconds):
    monkeypatch.setattr(forecast, "computation", lambda options: (2, 1))
    options = forecast_parser().parse_args(
        f"--items 640 --epochs 2 --test-items 64 {how}".split())
    shown = " ".join(forecast.lines(options))
    assert f" + {seconds:.0f} s of computation" in shown


@pytest.mark.parametrize("text, rtt, bandwidth", [
    ("lan", 0.3, 1000), ("wan", 40, 100), ("20,8.5", 20, 8.5), ("0,1", 0, 1)])
def test_networks(text, rtt, bandwidth):
    assert forecast.network(text) == (text, rtt, bandwidth)


def test_the_command_prints_the_parts_of_the_time_and_their_sum(capsys):
    words = "forecast --items 640 --epochs 2 --test-items 64 --network 1000,1".split()
    assert costs.main(words) == 0
    out, err = capsys.readouterr()
    assert err == "" and "Forecast: 2 epochs over 640 items, 2 workers\n" in out
    assert "Network: round trip 1000 ms, 1 Mbit/s to and from each role\n" in out
    total, *parts = (int(n.replace(",", "")) for n in re.findall(
        r"([\d,]+) s\b", re.search("^Time: (.*)$", out, re.M)[1]))
    rounds = int(re.search("^Rounds: (.*)$", out, re.M)[1].replace(",", ""))
    start, waiting = parts[:2]
    assert start >= forecast.CONNECTING and abs(waiting - rounds / 2) <= 0.5
    assert abs(sum(parts) - total) <= 2


def test_help_lists_exactly_the_options_that_are_accepted(capsys):
    with pytest.raises(SystemExit):
        costs.main(["forecast", "--help"])
    listed = set(re.findall(r"^  (--[a-z][\w-]*)", capsys.readouterr().out, re.M))
    with pytest.raises(SystemExit):
        train_mnist.main(["--help"])
    known = set(re.findall(r"^  (--[a-z][\w-]*)", capsys.readouterr().out, re.M))
    refused = {flag(name) for name in forecast.WITHOUT_EFFECT}
    assert refused < known and listed == known - refused | {"--items", "--network"}


def test_the_help_of_the_table_points_to_the_forecast(capsys):
    with pytest.raises(SystemExit):
        costs.main(["--help"])
    assert "costs forecast [options]" in capsys.readouterr().out


@pytest.mark.parametrize("words, told", [
    ("--network slow", "'slow' is not a network; take lan, wan or RTT,BANDWIDTH in"),
    ("--network 1", "'1' is not a network"),
    ("--network 1,0", "'1,0' is not a network"),
    ("--network nan,1", "'nan,1' is not a network"),
    ("--network=-1,1", "'-1,1' is not a network"),
    ("--items 0", "0 is out of range"), ("--items x", "'x' is not a whole number"),
    ("--save m.npz", "--save has no effect on a forecast; leave it out"),
    ("--data-dir d", "--data-dir has no effect on a forecast"),
    ("--arithmetic float", "--arithmetic has no effect on a forecast"),
    ("--seed 2", "--seed has no effect on a forecast"),
    ("--ledger", "--ledger has no effect on a forecast"),
    ("--reproducible", "--reproducible has no effect on a forecast"),
    ("--world mpi", "--world has no effect on a forecast"),
    ("--workers 3 --comparison securenn", "a protocol for two workers, wrong for 3")])
def test_bad_input_is_reported_in_one_line(capsys, words, told):
    try:
        status = costs.main(["forecast", *words.split()])
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.startswith("costs forecast: ")
    assert err.count("\n") == 1 and told in err
