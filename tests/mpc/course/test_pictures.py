"""Pictures: what they show, and that nothing overlaps in the chart of messages."""

import subprocess
import sys

import numpy as np
import pytest

import mpc
from mpc.course import pictures


def messages(n_workers=2, reveal=True):
    world = mpc.World(n_workers, seed=1)
    x = mpc.fix_precision([1.5]).share(*world.workers, crypto_provider=world.crypto_provider)
    y = x.relu()
    if reveal:
        y.get()
    return world.ledger.messages


def texts(figure):
    return [t for axis in figure.axes for t in axis.texts if t.get_text()]


@pytest.mark.parametrize("notes", [{}, {"d": "the provider: is there a zero among them?"},
                                   pictures.RELU_NOTES])
@pytest.mark.parametrize("n_workers", [2, 3])
def test_no_two_texts_of_a_chart_of_messages_overlap(n_workers, notes):
    figure = pictures.sequence(messages(n_workers), notes)
    figure.canvas.draw()
    boxes = [t.get_window_extent() for t in texts(figure)]
    whole = figure.bbox
    assert len(boxes) > 20
    for i, box in enumerate(boxes):
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1, texts(figure)[i]
        assert not any(box.overlaps(other) for other in boxes[:i]), texts(figure)[i]


def test_a_chart_has_a_line_for_every_round_and_all_bytes():
    sent = messages(reveal=False)
    shown = [t.get_text() for t in texts(pictures.sequence(sent))]
    rounds = len({m.round for m in sent})
    assert [t for t in shown if t.isdigit()] == [str(i + 1) for i in range(rounds)]
    total = 0
    for text in shown:
        if " B" in text:
            both = 2 if text.endswith("each way") else 1
            total += both * int(text.rpartition(": ")[2].split()[0])
    assert total == sum(m.nbytes for m in sent)


def test_the_notes_on_a_relu_say_who_may_learn_what_in_every_round():
    sent = [m for m in messages(reveal=False) if m.path]
    shown = [t.get_text() for t in texts(pictures.sequence(sent, pictures.RELU_NOTES))]
    notes = [text for text in shown if text in pictures.RELU_NOTES.values()]
    assert len(notes) == len({m.round for m in sent})
    assert set(notes) == set(pictures.RELU_NOTES.values())


def test_the_longest_end_of_a_path_chooses_the_note():
    notes = {"d": "any", "compare/d": "of compare", "e": "another"}
    assert [pictures._note(path, notes) for path in ("x/compare/d", "x/d", "x/odd", "d")] == [
        "of compare", "any", "", "any"]


def test_pictures_have_their_titles_and_labels():
    figure = pictures.images([np.zeros((2, 2))] * 3, "abc", signs="=+", note="mod")
    assert [axis.get_title() for axis in figure.axes] == ["a", "b", "c"]
    figure = pictures.histograms({"alice's": [0, 1], "other": [1, 2]}, "value", bins=2)
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
    figure = pictures.curves({"one": [1, 2], "two": ([1, 2], [3, 4])}, "epoch", "loss", log="y")
    assert figure.axes[0].get_yscale() == "log" and figure.axes[0].get_ylabel() == "loss"
    figure = pictures.training({"a": ([3, 2], [40, 50]), "b": ([3, 1], [45, 60])})
    assert [axis.get_xlabel() for axis in figure.axes] == ["batch", "epoch"]
    assert [len(axis.lines) for axis in figure.axes] == [2, 2]
    figure = pictures.grid([[1, 2], [3, 4]], "seen", "secret")
    assert [t.get_text() for t in texts(figure)] == ["1", "2", "3", "4"]
    assert "1,000" in [t.get_text() for t in texts(pictures.bars({"a": 1000, "b": 2}, "bytes"))]


def test_without_matplotlib_one_line_says_what_is_missing():
    code = ("import sys; sys.modules['matplotlib'] = None\n"
            "import mpc.course.pictures, mpc.course.exercises\n"
            "try: mpc.course.pictures.panels()\nexcept ImportError as error: print(error)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == ("mpc.course.pictures draws with matplotlib, which is missing: "
                           "pip install matplotlib\n")
