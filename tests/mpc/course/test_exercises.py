"""The decorator of the checks; the notebooks test each check."""

import pytest

from mpc.course import exercises


def said(capsys, check, answer):
    check(answer)
    return capsys.readouterr().out


@pytest.mark.parametrize("answer", [
    ..., None, (1, ...), [...], lambda: ..., lambda: None])
def test_an_empty_answer_prints_the_instruction(capsys, answer):
    check = exercises.check(lambda answer: answer() and "unreachable")
    assert said(capsys, check, answer) == f"Not yet: {exercises.EMPTY}.\n"


def test_a_right_answer_prints_the_docstring_and_a_wrong_one_the_mistake(capsys):
    @exercises.check
    def seven(answer):
        """A week has seven days."""
        return exercises.differs(answer, 7)

    assert said(capsys, seven, 7) == "Right. A week has seven days.\n"
    assert said(capsys, seven, 8) == "Not yet: 8 is not correct.\n"
    assert said(capsys, seven, [7]) == (
        "Not yet: the shape is (1,), and () is expected.\n")


def test_an_answer_that_raises_prints_one_line(capsys):
    line = said(capsys, exercises.round_the_clock, "four")
    assert line.startswith("Not yet: this answer cannot be used (TypeError: ")
    assert line.count("\n") == 1


def test_a_difference_of_arrays_is_counted():
    assert exercises.differs([1, 2, 3], [1, 5, 3]) == "1 of 3 numbers differ"
    assert exercises.differs([1.0, 2.0], [1, 2]) is None
