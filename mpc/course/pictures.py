"""Pictures for the lessons, in one style; the only module that needs matplotlib.

Each function returns a figure: a notebook shows it if it is the last value of a cell,
and ``.savefig(path)`` saves it. The colours are those of Okabe and Ito, safe for colour
blindness; lightness, line styles and markers differ too, for printing in grey.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mpc.ledger import Message

ROLES = {"alice": "#0072B2", "bob": "#D55E00", "crypto_provider": "#007A5A",
         "server": "#5A5A5A"}
SERIES = (("#000000", "-", "o"), ("#0072B2", "--", "s"), ("#E69F00", "-.", "^"),
          ("#CC79A7", ":", "D"), ("#009E73", (0, (5, 1, 1, 1, 1, 1)), "v"))
LOOK: Any = {"font.size": 10, "axes.titlesize": 10, "figure.dpi": 100,
             "savefig.dpi": 100, "axes.spines.top": False, "axes.spines.right": False}


def panels(n: int = 1, size: tuple[float, float] = (6.6, 3),
           **options: Any) -> tuple[Figure, list]:
    """Return a figure and its `n` axes side by side, in the style of the course."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError("mpc.course.pictures needs matplotlib: "
                          "pip install matplotlib") from None
    with plt.rc_context(LOOK):
        figure, axes = plt.subplots(1, n, figsize=size, squeeze=False, **options)
    plt.close(figure)                   # the cell shows it, so pyplot must not
    return figure, list(axes[0])


# ------------------------------------------------------------------ pictures


def images(pictures: Sequence[np.ndarray], titles: Iterable[str],
           signs: Sequence[str] | None = None, note: str = "",
           limits: tuple[float, float] = (0, 1), width: float = 1.65) -> Figure:
    """Draw grey pictures side by side, arrays of shape (height, width).

    `limits` are the values of black and white. `signs`, such as ("=", "+"), are drawn
    between the pictures, and a `note` below the last sign.
    """
    n = len(pictures)
    figure, axes = panels(n, (n * width + (n - 1) * 0.65 * bool(signs), width + 0.4))
    for axis, picture, title in zip(axes, pictures, titles, strict=False):
        axis.imshow(picture, cmap="gray", vmin=limits[0], vmax=limits[1])
        axis.set_title(title, fontsize=11 if signs else 10)
        axis.set_axis_off()
    figure.subplots_adjust(left=0.02, right=0.98, bottom=0.03, top=0.82,
                           wspace=0.45 if signs else 0.1)
    for (left, right), sign in zip(pairwise(axes), signs or (), strict=False):
        x = (left.get_position().x1 + right.get_position().x0) / 2
        figure.text(x, 0.44, sign, ha="center", va="center", fontsize=18)
    if note:
        figure.text(x, 0.28, note, ha="center", va="center", fontsize=9)
    return figure


# ------------------------------------------------------------------ plots


def histograms(samples: dict[str, Any], xlabel: str, bins: int = 32,
               limits: tuple[float, float] | None = None, ylabel: str = "count",
               log: bool = False) -> Figure:
    """Draw a histogram per sample, {title: numbers}, side by side on the same scale.

    `limits` bound the horizontal axis, by default to the range of all numbers; `log`
    applies to the heights.
    """
    figure, axes = panels(len(samples), (3.1 * len(samples), 2.6), sharey=True)
    values = [np.asarray(numbers, float).ravel() for numbers in samples.values()]
    limits = limits or (min(v.min() for v in values), max(v.max() for v in values))
    for axis, title, numbers in zip(axes, samples, values, strict=True):
        colour = ROLES.get(title.split("'")[0], "#5A5A5A")
        axis.hist(numbers, bins, range=limits, color=colour)
        axis.set(title=title, xlabel=xlabel, yscale="log" if log else "linear")
    axes[0].set_ylabel(ylabel)
    figure.tight_layout()
    return figure


def curves(lines: dict[str, Any], xlabel: str, ylabel: str, log: str = "",
           title: str = "", markers: bool = True) -> Figure:
    """Draw named curves, {name: y} or {name: (x, y)}; `log` is "x", "y" or "xy"."""
    figure, (axis,) = panels(1, (6.6, 3.4))
    _draw_curves(axis, lines, xlabel, ylabel, log, title, markers)
    figure.tight_layout()
    return figure


def training(
    runs: dict[str, tuple[Sequence[float], Sequence[float]]],
    labels: Sequence[str] = ("batch", "loss of the batch", "epoch", "accuracy, %"),
) -> Figure:
    """Draw training runs, {name: (losses, accuracies)}: losses left, accuracies right.
    """
    figure, axes = panels(2, (7.6, 3.2))
    for i, axis in enumerate(axes):
        lines = {name: run[i] for name, run in runs.items()}
        xlabel, ylabel = labels[2 * i:2 * i + 2]
        _draw_curves(axis, lines, xlabel, ylabel, markers=i == 1)
    figure.tight_layout()
    return figure


def _draw_curves(axis, lines, xlabel, ylabel, log="", title="", markers=True):
    for (name, points), look in zip(lines.items(), SERIES, strict=False):
        colour, dash, marker = look
        if not isinstance(points, tuple):
            points = range(1, len(points) + 1), points
        x, y = points
        axis.plot(x, y, label=name, color=colour, linestyle=dash, markersize=4,
                  marker=marker if markers else None)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title,
             xscale="log" if "x" in log else "linear",
             yscale="log" if "y" in log else "linear")
    axis.grid(color="#DDDDDD", linewidth=0.6)
    axis.legend(frameon=False)


def rocs(attacks: dict[str, Any], least: float = 1e-3) -> Figure:
    """Draw ROC curves on log axes, {name: (false-positive rates, true-positive rates)}.

    Both axes begin at `least`: an attack that is sure of a few members is dangerous,
    and linear axes would hide it. A dotted line shows coin tosses.
    """
    figure, (axis,) = panels(1, (4.6, 3.8))
    axis.plot([least, 1], [least, 1], color="#5A5A5A", linestyle=":", linewidth=1,
              label="coin tosses")
    _draw_curves(axis, attacks, "false-positive rate", "true-positive rate", "xy",
                 markers=False)
    axis.set(xlim=(least, 1), ylim=(least, 1))
    axis.axvline(0.01, color="#DDDDDD", zorder=0)
    figure.tight_layout()
    return figure


def bars(heights: dict[str, float], ylabel: str, title: str = "") -> Figure:
    """Draw a horizontal bar with its number for each {name: height}."""
    figure, (axis,) = panels(1, (6.6, 0.6 + 0.36 * len(heights)))
    names, numbers = zip(*heights.items(), strict=True)
    drawn = axis.barh(names, numbers, color="#0072B2", height=0.6)
    axis.bar_label(drawn, [f"{h:,.4g}" for h in numbers], padding=4)
    axis.invert_yaxis()
    axis.margins(x=0.16)
    axis.set(xlabel=ylabel, title=title)
    figure.tight_layout()
    return figure


def grid(table: Any, xlabel: str, ylabel: str, columns: Sequence | None = None,
         rows: Sequence | None = None, title: str = "") -> Figure:
    """Draw a small table of counts, shaded by size.

    `columns` and `rows` are their names, by default 0, 1, 2, ...
    """
    table = np.asarray(table)
    columns = range(table.shape[1]) if columns is None else columns
    rows = range(table.shape[0]) if rows is None else rows
    cell = 0.42
    figure, (axis,) = panels(1, (1.5 + cell * len(columns), 0.9 + cell * len(rows)))
    top = max(float(table.max()), 1.0)
    axis.imshow(table, cmap="Blues", vmin=0, vmax=2 * top, aspect="auto")
    for (i, j), n in np.ndenumerate(table):
        axis.text(j, i, f"{n:g}", ha="center", va="center", fontsize=9)
    axis.set_xticks(range(len(columns)), columns)
    axis.set_yticks(range(len(rows)), rows)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    figure.tight_layout()
    return figure


# ------------------------------------------------------------------ messages

# The information in each message of a SecureNN ReLU, by receiver, for `sequence`.
RELU_NOTES = {
    "a_tilde": "provider: 2a under the mask r, so nothing",
    "share_convert/x_bits": "bob: random shares, so nothing",
    "share_convert/private_compare/d": "provider: a zero or none, at random",
    "eta_1": "bob: a random share",
    "compute_msb/x_bits": "bob: random shares of the bits of a mask",
    "r": "alice and bob: 4a under the mask x",
    "compute_msb/private_compare/d": "provider: a zero or none, at random",
    "beta_1": "bob: a random share",
    "c": "bob: a random share of a product of masks",
    "epsilon": "alice and bob: two factors, each under its mask",
}

# The same for a ReLU with the carry tree.
CARRY_TREE_NOTES = {
    "msb/epsilon": "alice and bob: x under the mask a",
    "top": "bob: a random share of the top bit of a",
    "table": "bob: random shares of the tables of a",
    "carry/multiply/epsilon": "alice and bob: bits, each under its mask",
    "carry/multiply/c": "bob: random shares of products of masks",
    "b": "bob: a random share of the bit b",
    "m": "alice and bob: the sign under the mask b",
    "multiply/c": "bob: a random share of a b",
}


def sequence(messages: Sequence[Message],
             notes: dict[str, str] | None = None) -> Figure:
    """Draw a sequence chart of `messages`: time runs downward, one column per party.

    Each arrow shows the names of its messages and their size; it is dashed if they are
    sent offline, and has two heads if both parties send the same messages. The left
    margin shows the round, and the protocol when it changes. The right margin shows a
    text from `notes`, {name of a message, or the end of its path, "protocol/name":
    text}; the longest match counts.
    """
    notes = notes or {}
    places = {role: i for i, role in enumerate(columns(messages))}
    lines: list[tuple[Message | None, list]] = []
    heads, last = {}, None
    for group in (list(group) for _, group in groupby(messages, lambda m: m.round)):
        if group[0].path != last:
            heads[len(lines)] = _heading(group[0].path, last or "") or group[0].name
            last = group[0].path
        for i, line in enumerate(_side_by_side(_arrows(group), places)):
            lines.append((group[0] if i == 0 else None, line))
    left, right = -1.45, len(places) - 0.7
    if notes:
        right += 0.035 * max(map(len, notes.values()))
    figure, (axis,) = panels(1, (1.9 * (right - left + 0.05), 0.65 + 0.46 * len(lines)))
    for role, x in places.items():
        colour = ROLES.get(role, "black")
        axis.plot([x, x], [-0.5, len(lines) - 0.4], color=colour, linewidth=1.5)
        *above, name = role.split("_")
        axis.text(x, -0.8, name, ha="center", weight="bold", color=colour)
        axis.text(x, -1.17, " ".join(above), ha="center", weight="bold", color=colour)
    for y, (first, line) in enumerate(lines):
        for arrow in line:
            _draw_arrow(axis, y, places, *arrow)
        if first is not None:
            number = str(first.round - messages[0].round + 1)
            axis.text(-0.22, y, number, ha="right", va="center", color="#5A5A5A",
                      fontsize=9)
            note = note_on(f"{first.path}/{first.name}", notes)
            axis.text(len(places) - 0.82, y, note, va="center", fontsize=8.5)
        if y in heads:
            axis.text(left, y, heads[y], va="center", fontsize=9)
            axis.plot([left, right], [y - 0.62] * 2, color="#DDDDDD", linewidth=0.6,
                      zorder=0)
    axis.text(left, -0.8, "protocol", weight="bold")
    axis.text(-0.22, -0.8, "round", ha="right", weight="bold")
    axis.set(xlim=(left - 0.05, right), ylim=(len(lines) - 0.3, -1.6))
    axis.set_axis_off()
    figure.subplots_adjust(left=0, right=1, bottom=0.01, top=0.99)
    return figure


def columns(messages):
    """The parties of `messages` from left to right: a provider between two workers."""
    found = dict.fromkeys(role for m in messages for role in (m.src, m.dst))
    others = [role for role in found if role not in ("crypto_provider", "server")]
    order = ["server", *sorted(others), "crypto_provider"]
    if len(others) <= 2:
        order.insert(2, order.pop())
    return [role for role in order if role in found]


def note_on(path, notes):
    """The text of the longest key at the end of `path`."""
    fitting = [key for key in notes if f"/{path}".endswith(f"/{key}")]
    return notes[max(fitting, key=len)] if fitting else ""


def _heading(path, last):
    """The parts of `path` that differ from `last`, indented below the common parts."""
    parts, known = path.split("/"), last.split("/")
    depth = next((i for i, part in enumerate(parts[:-1]) if known[i:i + 1] != [part]),
                 len(parts) - 1)
    return "   " * depth + " / ".join(parts[depth:])


def _arrows(group):
    """The arrows of a round: (from, to, both ways?, names, bytes one way, offline?)."""
    sent = {}
    for m in group:
        sent.setdefault((m.src, m.dst), []).append(m)
    arrows = []
    for (src, dst), these in sent.items():
        names, size = ", ".join(m.name for m in these), sum(m.nbytes for m in these)
        back = sent.get((dst, src), ())
        if names == ", ".join(m.name for m in back):
            if src > dst:
                continue
            arrows.append((src, dst, True, names, size, these[0].offline))
        else:
            arrows.append((src, dst, False, names, size, these[0].offline))
    return arrows


def _side_by_side(arrows, places):
    """Distribute the arrows of a round over lines, so that none overlap."""
    def span(arrow):
        return sorted((places[arrow[0]], places[arrow[1]]))

    lines = []
    for arrow in arrows:
        low, high = span(arrow)
        for line in lines:
            if all(high <= a or low >= b for a, b in map(span, line)):
                line.append(arrow)
                break
        else:
            lines.append([arrow])
    return lines


def _draw_arrow(axis, y, places, src, dst, both, names, size, offline):
    start, end = places[src], places[dst]
    look = {"arrowstyle": "<|-|>" if both else "-|>", "shrinkA": 2, "shrinkB": 2,
            "color": "black" if both else ROLES.get(src, "black"),
            "linestyle": "--" if offline else "-", "linewidth": 1.3}
    axis.annotate("", (end, y), (start, y), arrowprops=look)
    near = start + math.copysign(0.5, end - start)      # the middle of the first gap
    text = f"{names}: {size:,} B" + " each way" * both
    axis.text(near, y - 0.1, text, ha="center", va="bottom", fontsize=8.5,
              bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})
