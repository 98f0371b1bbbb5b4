"""Pictures: their texts and axes, and the chart of messages."""

import subprocess
import sys

import numpy as np
import pytest

import mpc
from mpc.course import pictures


def messages(n_workers=2, reveal=True, **how):
    world = mpc.World(n_workers, seed=1, **how)
    x = mpc.fix_precision([1.5])
    y = x.share(*world.workers, crypto_provider=world.crypto_provider).relu()
    if reveal:
        y.get()
    return world.ledger.messages


def texts(figure):
    return [t for axis in figure.axes for t in axis.texts if t.get_text()]


@pytest.mark.parametrize("notes", [
    {}, {"d": "the provider: is there a zero among them?"}, pictures.RELU_NOTES])
@pytest.mark.parametrize("n_workers", [2, 3])
def test_the_texts_of_a_chart_of_messages_do_not_overlap(n_workers, notes):
    figure = pictures.sequence(messages(n_workers), notes)
    figure.draw_without_rendering()
    boxes = [t.get_window_extent() for t in texts(figure)]
    whole = figure.bbox
    assert len(boxes) > 20
    for i, box in enumerate(boxes):
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1, texts(figure)[i]
        assert not any(box.overlaps(other) for other in boxes[:i]), texts(figure)[i]


def test_a_chart_shows_every_round_and_all_bytes():
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


@pytest.mark.parametrize("comparison, due", [
    ("securenn", pictures.RELU_NOTES), ("carry-tree", pictures.CARRY_TREE_NOTES)])
def test_there_is_a_note_on_every_round_of_a_relu(comparison, due):
    sent = [m for m in messages(reveal=False, comparison=comparison) if m.path]
    shown = [t.get_text() for t in texts(pictures.sequence(sent, due))]
    notes = [text for text in shown if text in due.values()]
    assert len(notes) == len({m.round for m in sent})
    assert set(notes) == set(due.values())


def test_the_longest_end_of_a_path_selects_the_note():
    notes = {"d": "any", "compare/d": "of compare", "e": "another"}
    paths = "x/compare/d", "x/d", "x/odd", "d"
    assert [pictures.note_on(path, notes) for path in paths] == [
        "of compare", "any", "", "any"]


def test_pictures_have_their_titles_and_labels():
    figure = pictures.images([np.zeros((2, 2))] * 3, "abc", signs="=+", note="mod")
    assert [axis.get_title() for axis in figure.axes] == ["a", "b", "c"]
    figure = pictures.histograms({"alice's": [0, 1], "other": [1, 2]}, "value", bins=2)
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
    lines = {"one": [1, 2], "two": ([1, 2], [3, 4])}
    axis, = pictures.curves(lines, "epoch", "loss", log="y").axes
    assert axis.get_yscale() == "log" and axis.get_ylabel() == "loss"
    figure = pictures.training({"a": ([3, 2], [40, 50]), "b": ([3, 1], [45, 60])})
    assert [axis.get_xlabel() for axis in figure.axes] == ["batch", "epoch"]
    assert [len(axis.lines) for axis in figure.axes] == [2, 2]
    figure = pictures.grid([[1, 2], [3, 4]], "seen", "secret")
    assert [t.get_text() for t in texts(figure)] == ["1", "2", "3", "4"]
    curve = [0, 0.01, 0.1, 1], [0, 0.2, 0.5, 1]
    axis, = pictures.rocs({"an attack": curve}).axes
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    assert axis.get_xlim() == axis.get_ylim() == (1e-3, 1)
    figure = pictures.bars({"a": 1000, "b": 2.345, "c": 123.4, "d": 99.7}, "bytes")
    assert {"1,000", "2.3", "123", "100"} <= {t.get_text() for t in texts(figure)}


def test_histograms_have_two_colours_and_owners_keep_theirs():
    def colours(*titles):
        figure = pictures.histograms(dict.fromkeys(titles, [0, 1]), "value", bins=2)
        return [axis.patches[0].get_facecolor() for axis in figure.axes]

    members, others = colours("trained with these", "never seen")
    digit, alice = colours("the digit", "alice's share")
    assert len({members, others, digit}) == 3
    assert colours("alice's", "any") == colours("alices", "any") == [alice, digit]


def test_few_points_on_a_logarithmic_axis_are_its_ticks():
    def ticks(places):
        axis, = pictures.curves({"a": (places, places)}, "x", "y", log="x").axes
        assert not places[12:] or len(axis.get_xticks()) != len(places)
        return [label.get_text() for label in axis.get_xticklabels()]

    assert ticks([16, 64, 2**21]) == ["16", "64", "2,097,152"]
    assert ticks([1024, 1025, 4096]) == ["1,024", "4,096"]      # too close
    assert ticks([0.01, 0.1]) == ["0.01", "0.1"]
    ticks([2**i for i in range(20)])


def test_the_setting_has_a_label_for_every_kind_of_arrow():
    labels = {"model": "one", "data": "two", "deals": "three", "masked": "four",
              "results": "five"}
    figure = pictures.setting(**labels)
    figure.draw_without_rendering()
    shown = [t for t in figure.axes[0].texts if t.get_text()]
    assert {t.get_text() for t in shown} == {
        *labels.values(), "server", "alice", "bob", "crypto provider"}
    boxes = [t.get_window_extent() for t in shown]
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_a_missing_matplotlib_is_one_line():
    code = ("import sys; sys.modules['matplotlib'] = None\n"
            "import mpc.course.pictures, mpc.course.exercises\n"
            "try: mpc.course.pictures.panels()\n"
            "except ImportError as error: print(error)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == (
        "mpc.course.pictures needs matplotlib: pip install matplotlib\n")


def test_a_map_and_a_tree_show_every_view_and_every_node():
    figure = pictures.who_sees(pictures.APPROACHES)
    figure.draw_without_rendering()
    shown = [t.get_text() for t in texts(figure)]
    for name, views in pictures.APPROACHES.items():
        assert {name, *(words for _, words in views.values())} <= set(shown)
    boxes = [t.get_window_extent() for t in texts(figure)]
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, shown[i]
        assert not any(box.overlaps(other) for other in boxes[:i]), shown[i]
    axis, = pictures.binary_tree([[True], [False, True], [False] * 4]).axes
    dark = [line for line in axis.lines if line.get_color() == "#D55E00"]
    assert len(dark) == 2 and len(texts(axis.figure)) == 4


def test_there_is_a_note_on_every_round_of_a_sealed_reveal():
    world = mpc.World(seed=1, security="abort")
    x = world.secret([1.0], owner="alice")
    start = len(world.ledger.messages)
    x.reveal(to="server")
    sent = [m for m in world.ledger.messages[start:] if not m.offline
            and (m.dst != "server" or m.name.startswith("pad"))]
    assert len({m.round for m in sent}) == 6
    figure = pictures.sequence(sent, pictures.SEALED_NOTES)
    shown = [t.get_text() for t in texts(figure)]
    assert sum(text in pictures.SEALED_NOTES.values() for text in shown) == 6
