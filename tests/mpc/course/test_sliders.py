"""The sliders: true pictures for all values, with and without ipywidgets."""

import base64
import json
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs the extra `notebooks`")

from mpc.course import sliders
from mpc.train_mnist import costs

ALL = [sliders.mask_to_share, sliders.failure_of_truncation, sliders.time_of_a_batch]
each = pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)


def texts(figure):
    """All texts in a figure."""
    figure.draw_without_rendering()             # labels of ticks are written then
    return [text.get_text() for text in figure.findobj(
        lambda artist: hasattr(artist, "get_text"))]


@pytest.mark.parametrize("secret", range(8))
def test_the_drawn_share_and_its_mask_add_up_to_the_secret(secret):
    for mask in (0, 3, 7):
        figure = sliders.draw_mask_to_share(secret, mask)
        marked = figure.axes[1].lines[1]
        (x,), (share,) = marked.get_data()
        assert x == mask and (mask + share) % 8 == secret
        said = f"secret {secret} - mask {mask} = share {share} (mod 8)"
        assert said in texts(figure)
        _, shares = figure.axes[1].lines[0].get_data()
        assert sorted(shares) == list(range(8))


def test_exactly_x_masks_fail_for_every_value_of_the_slider():
    shown = sliders.failure_of_truncation().values
    for bits in shown["bits"]:
        for x in shown["x"]:
            assert len(sliders.failures(x, bits)) == abs(x)
    title = "60 of 256 masks fail: |x| / $2^l$ = 0.2344"
    assert title in texts(sliders.draw_failure_of_truncation(-60, 8))
    assert np.abs(sliders.divided(25, 8)[:231] - 2.5).max() == 0.5


@pytest.mark.parametrize("name, options", sliders.SETTINGS.items())
def test_a_batch_costs_as_much_as_a_measured_one(name, options):
    batch = sliders.batch(options)
    comparison = "securenn" if "SecureNN" in name else "carry-tree"
    cost = costs.measure(int(name[0]), comparison, costs.batch, runs=1)
    assert batch.rounds == cost.rounds
    sent = batch.nbytes.sum(axis=1)
    assert sent[1] == cost.worker and sent[-1] == cost.online + cost.offline


def test_a_longer_round_trip_is_a_longer_bar():
    figure = sliders.draw_time_of_a_batch(40, 100)
    said = texts(figure)
    widths = [bar.get_width() for bar in figure.axes[0].patches[:3]]
    np.testing.assert_allclose(widths, [29 * 20, 19 * 20, 19 * 20])
    assert "round trip 40 ms, 100 Mbit/s" in said
    assert "2 workers, SecureNN, 29 rounds" in said


@each
def test_the_widget_draws_again_for_each_change(make):
    ipywidgets = pytest.importorskip("ipywidgets")
    shown = make()
    box = shown.widget()
    *moved, image = box.children
    assert isinstance(image, ipywidgets.Image)
    assert image.value == shown.png(**shown.start)
    for slider, (name, values) in zip(moved, shown.values.items(), strict=True):
        before = image.value
        slider.value = next(v for v in values if v != slider.value)
        assert image.value != before and slider.description == name.replace("_", " ")
    assert bytes(image.value).startswith(b"\x89PNG")


@each
def test_without_ipywidgets_the_picture_stands_alone(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    forms = make()._repr_mimebundle_()
    assert sorted(forms) == ["image/png", "text/plain"]
    assert base64.b64decode(forms["image/png"]).startswith(b"\x89PNG")
    assert "sliders for" in forms["text/plain"]
    json.dumps(forms)


@each
def test_a_stored_notebook_keeps_the_picture_and_drops_the_widget(make):
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    from notebooks import run

    forms = make()._repr_mimebundle_()
    output = nbformat.v4.new_output("execute_result", data=forms)
    cell = nbformat.v4.new_code_cell("sliders.mask_to_share()", outputs=[output])
    notebook = run.clean(nbformat.v4.new_notebook(cells=[cell]))
    assert sorted(notebook.cells[0].outputs[0].data) == ["image/png", "text/plain"]
