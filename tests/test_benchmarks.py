"""The benchmarks run, and their counts are right; no timing decides a test."""

import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import mpc
from benchmarks import batch, scale, steps
from benchmarks.measure import interleaved
from benchmarks.peers import table as peers
from mpc import beaver, truncation
from mpc.train_mnist.options import check_options, parser


def test_tasks_run_in_turn_and_a_short_one_several_times():
    ran = []
    tasks = {"a": (lambda: ran.append("a"), 1), "b": (lambda: ran.append("b"), 2)}
    medians = interleaved(tasks, repeat=2, warm_up=1)
    assert "".join(ran) == "abb" * 3 and set(medians) == {"a", "b"}
    assert all(cpu >= 0 and wall >= 0 for cpu, wall in medians.values())


def test_the_coins_of_a_protocol_are_counted_once_for_each_key():
    n = 1000
    assert steps.stream_of(beaver.multiply, (n,), (n,)) == 5 * 8 * n
    assert steps.stream_of(lambda x: truncation.truncate_locally(x, 10), (n,)) == 0


def test_a_task_may_bring_its_own_times():
    times = iter([(9, 9), (1, 10), (2, 20), (3, 30)])
    tasks = {"other": (lambda: next(times), 0)}
    assert interleaved(tasks, repeat=3, warm_up=1) == {"other": (2, 20)}


def test_every_setting_is_one_of_the_training_commands():
    assert len(set(batch.SETTINGS)) == 7
    for setting in batch.SETTINGS:
        assert check_options(parser().parse_args(setting.words)) is None


@pytest.mark.parametrize("workers", [2, 3])
def test_a_role_by_itself_runs_the_batches_of_the_simulation(workers):
    runs = batch.alone(batch.Setting("carry-tree", workers=workers), 2)
    for run in runs.values():
        run()
        run()
    with pytest.raises(mpc.OutOfStep):
        runs["alice"]()


def test_a_batch_takes_few_function_calls():
    """Of Python and into C; they depend on no machine, and little on its versions."""
    setting = batch.Setting("carry-tree")
    tiny = batch.calls(batch.overhead(setting.world()))
    assert tiny <= 12_000 and tiny == batch.calls(batch.batch(setting.world()))


def test_the_online_part_runs_as_many_batches_as_were_dealt():
    run = batch.online(batch.Setting("carry-tree", workers=3), 2)
    run()
    run()
    with pytest.raises(mpc.OutOfStep):
        run()


@pytest.mark.slow
def test_all_commands_print_their_tables(capsys, monkeypatch):
    monkeypatch.setattr(batch, "SETTINGS", batch.SETTINGS[::3])     # one of each kind
    monkeypatch.setattr(batch, "WARM_UP", 1)
    for name, few in (("ITEMS", (64, 128)), ("SIZES", (8, 512)), ("WORKERS", (2, 5))):
        monkeypatch.setattr(scale, name, few)
    batch.main(["--repeat", "1"])
    steps.main(["--repeat", "1"])
    scale.main(["--repeat", "1"])
    out = capsys.readouterr().out
    assert re.search(r"^Python .*, \w+ with \w+ kernels, 1 BLAS thread", out)
    assert out.count("\n| securenn | ") == 1 and out.count("\n| carry-tree | ") == 4
    assert "\n| carry_tree drelu" in out and "\n| 512 | " in out


def test_a_peer_tells_its_facts_and_runs_one_batch_after_the_other(tmp_path):
    fake = tmp_path / "peer.py"
    fake.write_text(
        "import sys\nprint('[a log]')\nprint('{\"versions\": \"A 1\"}', flush=True)\n"
        "for i, line in enumerate(sys.stdin):\n    print(i, 2 * i, flush=True)\n")
    peer = peers.Peer("A", tmp_path, [sys.executable, str(fake)])
    try:
        assert peer.facts == {"versions": "A 1"}
        assert [peer.run(), peer.run(), peer.run()] == [(0, 0), (1, 2), (2, 4)]
    finally:
        peer.close()


def test_the_batch_of_the_peers_here_has_the_weights_of_float(tmp_path):
    arrays, due, _ = peers.first_batch()
    np.savez(tmp_path / "batch.npz", *arrays)
    moved = peers.largest(arrays[2:], due)
    for name, (_, facts, wrong) in peers.ours(tmp_path, due).items():
        assert wrong < moved / 60, name
        assert facts["rounds"] > 18 and facts["sent"] > 10**5


def test_a_system_that_is_not_installed_takes_one_line(capsys):
    options = SimpleNamespace(crypten=None, spu="python", mp_spdz=None)
    found = peers.commands(options)
    assert [command[0] for command in found.values()] == ["python", "python"]
    out = capsys.readouterr().out
    assert out.startswith("CrypTen is not installed: pip install")
    assert "--mp-spdz" in out and out.count("\n") == 2
