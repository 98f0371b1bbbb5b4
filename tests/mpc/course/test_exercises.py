"""The decorator of the checks; the notebooks test each check."""

import numpy as np
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
    line = said(capsys, exercises.negative, lambda share: share)
    assert line.startswith("Not yet: this answer cannot be used (TypeError: ")
    assert line.count("\n") == 1


@pytest.mark.parametrize("answer", [4, 4.0, "4", " 4 ", np.uint64(4), np.array([4])])
def test_a_whole_number_may_be_written_in_any_form(capsys, answer):
    assert said(capsys, exercises.round_the_clock, answer).startswith("Right. ")


@pytest.mark.parametrize("answer", ["four", 4.5, [4, 4], np.inf, "nan", {4: 4}])
def test_an_answer_that_is_no_whole_number_is_told_the_form(capsys, answer):
    line = said(capsys, exercises.round_the_clock, answer)
    assert line.startswith("Not yet: a whole number is expected, such as 7")


@pytest.mark.parametrize("answer", [[7, 0, 1, 2], (0, 1, 2, 7), {0, 1, 2, 7}, "7 0 1 2",
                                    "[7, 0, 1, 2]", np.array([7, 0, 1, 2])])
def test_a_list_may_be_written_in_any_form(capsys, answer):
    assert said(capsys, exercises.lazy_masks, answer).startswith("Right. ")


def test_a_value_in_place_of_a_function_is_named(capsys):
    line = said(capsys, exercises.negative, 3)
    assert line == "Not yet: the answer is a function, not 3.\n"


UNSEEN = [exercises.Shared(3), exercises.SharedBit(1), exercises.MultipliedBit(1),
          exercises.Hidden(np.arange(3, dtype=np.uint64))]


@pytest.mark.parametrize("look", [
    bool, int, float, str, abs, lambda v: v == 0, lambda v: v < 1, lambda v: ~v,
    lambda v: v or 1, lambda v: v >> 1, lambda v: v // 2, lambda v: v | 1,
    lambda v: v**2, lambda v: v @ v])
@pytest.mark.parametrize("number", UNSEEN, ids=lambda v: type(v).__name__)
def test_a_number_that_nobody_knows_cannot_be_looked_at(number, look):
    with pytest.raises(exercises.Refused, match="nobody knows this number: "):
        look(number)


def test_shares_allow_what_is_linear_and_count_products():
    t, products = exercises.Shared(5), []
    found = 3 + 2 * t - t * np.uint64(1) - (1 - t)
    assert found.value == 3 + 10 - 5 + 4
    with pytest.raises(exercises.Refused, match="multiply it by common numbers"):
        t * t
    a, b = exercises.Shared(5, products), exercises.Shared(-2, products)
    assert ((a - b) * (a + b)).value == 21 and len(products) == 1


def test_bits_in_shares_allow_xor_and_perhaps_and():
    one = exercises.SharedBit(1)
    assert (one ^ one).value == 0 and (1 ^ one).value == 0
    with pytest.raises(exercises.Refused, match="by \\^ alone"):
        one & one
    assert (exercises.MultipliedBit(1) & 1).value == 1


def test_of_hidden_elements_only_the_lowest_bit_is_seen():
    a = exercises.Hidden(np.arange(4, dtype=np.uint64))
    assert (a & np.uint64(1)).tolist() == (np.uint64(1) & a).tolist() == [0, 1, 0, 1]
    for mask in (2, 3):
        with pytest.raises(exercises.Refused, match="nothing but a lowest bit"):
            a & mask


def test_limbs_refuse_products_of_whole_numbers():
    limbs = np.ones((2, 2)).view(exercises.Limbs)
    exercises.Limbs.made.clear()
    assert (limbs @ limbs + limbs.dot(limbs)).tolist() == [[4, 4], [4, 4]]
    assert len(exercises.Limbs.made) == 2
    words = limbs.astype(np.int64).view(np.uint64)
    for product in (lambda: words @ words, lambda: words.dot(words)):
        with pytest.raises(exercises.Refused, match="matrices of whole numbers"):
            product()
    with pytest.raises(exercises.Refused, match=r"by @, not by np\.dot"):
        np.dot(words, words)


def test_a_difference_of_arrays_is_counted():
    assert exercises.differs([1, 2, 3], [1, 5, 3]) == "1 of 3 numbers differ"
    assert exercises.differs([1.0, 2.0], [1, 2]) is None
