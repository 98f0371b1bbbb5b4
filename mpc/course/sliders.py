"""Pictures with sliders, for JupyterLab with ipywidgets.

    sliders.mask_to_share()             # as the last value of a cell

Without ipywidgets, or in a notebook without a kernel, the picture for the first values
replaces the sliders. The functions `draw_...` draw one for any values.
"""

from __future__ import annotations

import base64
import functools
import inspect
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mpc.course.pictures import ROLES, panels
from mpc.program import World
from mpc.share import Share
from mpc.train_mnist import forecast
from mpc.truncation import truncate_locally

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SETTINGS = {"2 workers, SecureNN": "--comparison securenn",
            "2 workers, carry tree": "--comparison carry-tree",
            "3 workers, carry tree": "--workers 3 --comparison carry-tree"}


class Sliders:
    """A picture, and a slider for each argument of the function that draws it.

    A slider goes through a sequence of values. It starts at the argument's default.
    """

    def __init__(self, draw: Callable[..., Figure], **values: Sequence):
        self.draw, self.values = draw, values
        defaults = inspect.signature(draw).parameters
        self.start = {name: defaults[name].default for name in values}

    def __repr__(self):
        return f"<a picture with sliders for {', '.join(self.values)}>"

    def png(self, **values: Any) -> bytes:
        """The picture for these values as the bytes of a PNG file."""
        file = io.BytesIO()
        self.draw(**values).savefig(file, format="png")
        return file.getvalue()

    def widget(self) -> Any:
        """The sliders above the picture, for ipywidgets."""
        from ipywidgets import Image, SelectionSlider, VBox

        image = Image(value=self.png(**self.start), format="png")
        sliders = {name: SelectionSlider(options=options, value=self.start[name],
                                         description=name.replace("_", " "))
                   for name, options in self.values.items()}

        def redraw(change):
            chosen = {name: slider.value for name, slider in sliders.items()}
            image.value = self.png(**chosen)

        for slider in sliders.values():
            slider.observe(redraw, "value")
        return VBox([*sliders.values(), image])

    def _repr_mimebundle_(self, include=None, exclude=None):
        """The forms of a cell's output; `notebooks/run.py` stores all but the widget.

        A front end without widgets shows the picture.
        """
        picture = base64.b64encode(self.png(**self.start)).decode()
        forms = {"text/plain": repr(self), "image/png": picture}
        try:
            return {**self.widget()._repr_mimebundle_(), **forms}
        except ImportError:
            return forms


# ------------------------------------------------------------------ 1. Shares


def draw_mask_to_share(secret: int = 5, mask: int = 3) -> Figure:
    """Draw the clock Z_2^3: from the secret, the mask leads back to bob's share.

    On the right are the shares of the secret under all masks, each of them once.
    """
    share = (secret - mask) % 8
    figure, (clock, table) = panels(2, (6.6, 3.1))
    angle = np.pi / 2 - np.arange(8) * np.pi / 4
    path = np.pi / 2 - np.linspace(secret - mask, secret, 50) * np.pi / 4
    clock.plot(0.8 * np.cos(path), 0.8 * np.sin(path), color=ROLES["alice"],
               linewidth=2)
    for hour, x, y in zip(range(8), np.cos(angle), np.sin(angle), strict=True):
        colour = "black" if hour == secret else ROLES["bob"] if hour == share else None
        clock.text(x, y, str(hour), ha="center", va="center", fontsize=12,
                   color=colour or "#8A8A8A", weight="bold" if colour else "normal")
    clock.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), aspect="equal",
              title=f"secret {secret} - mask {mask} = share {share} (mod 8)")
    clock.set_axis_off()
    masks = np.arange(8)
    table.plot(masks, (secret - masks) % 8, "o", color="#8A8A8A", markersize=5)
    table.plot([mask], [share], "s", color=ROLES["bob"], markersize=9)
    table.set(xlabel="mask", ylabel="bob's share", xticks=masks, yticks=masks,
              title="under all masks: each share once")
    figure.tight_layout()
    return figure


def mask_to_share() -> Sliders:
    """Bob's share of a secret in Z_2^3 for any mask."""
    return Sliders(draw_mask_to_share, secret=range(8), mask=range(8))


# ------------------------------------------------------------------ 2. Truncation


def divided(x: int, bits: int, d: int = 10) -> np.ndarray:
    """x / d by two workers who divide locally, for each of the 2^bits masks of x."""
    world = World(2, ring_bits=bits)
    ring, masks = world.ring, np.arange(2**bits, dtype=np.uint64)
    rows = np.stack([ring.add(ring.from_int(np.array([x])), masks), ring.neg(masks)])
    return ring.to_int(ring.sum(truncate_locally(Share(world, ring, rows), d).rows,
                                axis=0))


def failures(x: int, bits: int, d: int = 10) -> np.ndarray:
    """The masks under which `divided` is far off: |x| of them."""
    return np.flatnonzero(np.abs(divided(x, bits, d) - x / d) > 2**bits / d / 2)


def draw_failure_of_truncation(x: int = 25, bits: int = 8) -> Figure:
    """Draw x / 10 by two workers who divide locally, for all masks; mark errors."""
    results, wrong = divided(x, bits), failures(x, bits)
    figure, (axis,) = panels(1, (6.6, 3))
    masks = np.arange(2**bits)
    axis.plot(masks, results, color="#0072B2", linewidth=1, label="result")
    axis.plot(masks[wrong], results[wrong], ".", color=ROLES["bob"], markersize=4,
              label="wrap-around error")
    axis.axhline(x / 10, color="#5A5A5A", linestyle=":", label=f"{x} / 10")
    axis.set(xlabel="mask r", ylabel=f"{x} / 10 by shares",
             title=f"{len(wrong)} of {2**bits} masks fail: |x| / $2^l$ = "
                   f"{len(wrong) / 2**bits:.4f}")
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    return figure


def failure_of_truncation() -> Sliders:
    """The masks under which a local truncation fails, for |x| / 2^l."""
    return Sliders(draw_failure_of_truncation,
                   x=[-100, -60, -25, -1, 0, 1, 25, 60, 100], bits=range(8, 13))


# ------------------------------------------------------------------ 8. Networks


@functools.cache
def batch(options: str) -> forecast.Traffic:
    """The messages of a training batch of 64 digits, from shapes alone."""
    parsed = forecast.forecast_parser().parse_args(
        ["--epochs", "1", "--test-items", "3", "--log-interval", "0", *options.split()])
    three, two = (forecast.ledger_of(parsed, train_items=64 * n) for n in (4, 3))
    roles = World(parsed.workers, here=(), keys={}).roles
    counted = three - two
    nbytes = counted[1:-3].reshape((len(roles),) * 2)
    return forecast.Traffic(roles, int(counted[0]), nbytes, int(counted[-3]))


def draw_time_of_a_batch(round_trip: float = 40, bandwidth: float = 100) -> Figure:
    """Draw the milliseconds that a batch waits and sends, without its computation.

    The round trip is in milliseconds, the bandwidth in megabits per second.
    """
    network = forecast.Network("", round_trip, bandwidth)
    parts = 1000 * np.array([batch(options).seconds(network)
                             for options in SETTINGS.values()])
    figure, (axis,) = panels(1, (6.6, 2.3), layout="constrained")
    names = [f"{name}, {batch(options).rounds} rounds"
             for name, options in SETTINGS.items()]
    axis.barh(names, parts[:, 0], color="#0072B2", label="waiting for rounds")
    drawn = axis.barh(names, parts[:, 1], left=parts[:, 0], color="#E69F00",
                      label="moving bytes")
    axis.bar_label(drawn, [f"{total:,.0f} ms" for total in parts.sum(axis=1)],
                   padding=4)
    axis.invert_yaxis()
    axis.margins(x=0.2)
    axis.set(xlabel="milliseconds for a batch",
             title=f"round trip {round_trip:g} ms, {bandwidth:g} Mbit/s")
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    return figure


def time_of_a_batch() -> Sliders:
    """The time of a batch on a network, for any round trip and bandwidth."""
    return Sliders(draw_time_of_a_batch,
                   round_trip=[0.1, 0.3, 1, 2, 5, 10, 20, 40, 80, 160, 600],
                   bandwidth=[10, 100, 1000, 10_000])
