"""The benchmarks run and count what they say; no timing decides a test."""

import pytest

from benchmarks import batch, steps
from benchmarks.measure import interleaved


def test_tasks_run_in_turn_and_a_short_one_several_times():
    ran = []
    medians = interleaved({"a": (lambda: ran.append("a"), 1), "b": (lambda: ran.append("b"), 2)},
                          repeat=2, warm_up=1)
    assert "".join(ran) == "abb" * 3 and set(medians) == {"a", "b"}
    assert all(cpu >= 0 and wall >= 0 for cpu, wall in medians.values())


def test_the_coins_of_a_step_are_counted_once_for_each_key():
    n = 1000
    assert steps.stream_of(lambda x, y: steps.beaver.multiply(x, y), (n,), (n,)) == 5 * 8 * n
    assert steps.stream_of(lambda x: steps.truncation.truncate_locally(x, 10), (n,)) == 0


@pytest.mark.slow
def test_both_commands_print_their_tables(capsys):
    batch.main(["--repeat", "1"])
    steps.main(["--repeat", "1"])
    out = capsys.readouterr().out
    assert out.count("\n| carry-tree | ") == out.count("\n| securenn | ") == 2
    assert "Peak memory" in out and "\n| carry_tree drelu" in out
