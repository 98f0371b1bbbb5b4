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
    owners = [next(filter(title.startswith, ROLES), "") for title in samples]
    others = ["#5A5A5A"] if any(owners) else [c for c, *_ in SERIES[1:]]
    for i, (axis, title, numbers) in enumerate(zip(axes, samples, values, strict=True)):
        colour = ROLES.get(owners[i], others[i % len(others)])
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
    if "x" in log:
        _tick_at_the_data(axis, {float(v) for line in axis.lines
                                 for v in line.get_xdata() if v > 0})
    axis.grid(color="#DDDDDD", linewidth=0.6)
    axis.legend(frameon=False)


def _tick_at_the_data(axis, places, most=12):
    """Few points on a logarithmic axis get a tick each, unless their labels touch."""
    if not 1 < len(places) <= most:
        return
    first, *others = sorted(places)
    chosen = {first: _label(first)}
    for place in others:
        last, label = max(chosen), _label(place)
        gap = math.log(place / last) / math.log(others[-1] / first)
        if gap > 0.015 + 0.0075 * (len(chosen[last]) + len(label)):
            chosen[place] = label
    axis.set_xticks(list(chosen), list(chosen.values()))
    axis.minorticks_off()


def _label(number):
    return f"{number:,.0f}" if number >= 1 else f"{number:g}"


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
    labels = [f"{h:,.0f}" if abs(h) >= 99.5 else f"{h:.2g}" for h in numbers]
    axis.bar_label(drawn, labels, padding=4)
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


# ------------------------------------------------------------------ the setting


def setting(model: str, data: str, deals: str, masked: str, results: str) -> Figure:
    """Draw the parties of a training and what travels between them.

    The arguments label the arrows: from the server to the workers, between the workers,
    from the crypto provider to them, back to it, and from the workers to the server.
    """
    figure, (axis,) = panels(1, (7.2, 4.2))
    places = {"server": (0.5, 0.88), "alice": (0.14, 0.47), "bob": (0.86, 0.47),
              "crypto_provider": (0.5, 0.06)}
    for role, (x, y) in places.items():
        axis.text(x, y, role.replace("_", " "), ha="center", va="center", size=12,
                  weight="bold", color="white", bbox={
                      "boxstyle": "round,pad=0.5", "facecolor": ROLES[role],
                      "edgecolor": "none"})
    bend, straight = "arc3,rad=0.16", "arc3,rad=0"
    for worker in ("alice", "bob"):
        out, back = ("server", worker), (worker, "server")
        turn = "arc3,rad=-0.16"
        first, second = (bend, turn) if worker == "alice" else (turn, bend)
        _party_arrow(axis, places, *out, first, "-")
        _party_arrow(axis, places, *back, turn if worker == "bob" else bend, "-")
        _party_arrow(axis, places, "crypto_provider", worker, second, "--")
        _party_arrow(axis, places, worker, "crypto_provider",
                     bend if worker == "bob" else turn, ":")
    _party_arrow(axis, places, "alice", "bob", straight, "-", "<|-|>")
    for y, text, colour in ((0.74, model, ROLES["server"]), (0.62, results, "black"),
                            (0.50, data, "black"), (0.22, masked, "black"),
                            (0.34, deals, ROLES["crypto_provider"])):
        axis.text(0.5, y, text, ha="center", va="center", color=colour, bbox={
            "facecolor": "white", "edgecolor": "none", "pad": 1.5})
    axis.set(xlim=(0, 1), ylim=(0, 1))
    axis.set_axis_off()
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1)
    return figure


def _party_arrow(axis, places, src, dst, bend, dash, style="-|>"):
    axis.annotate("", places[dst], places[src], arrowprops={
        "arrowstyle": style, "color": ROLES[src] if style == "-|>" else "black",
        "linestyle": dash, "linewidth": 1.4, "shrinkA": 24, "shrinkB": 24,
        "connectionstyle": bend})


# ------------------------------------------------------------------ messages

# The information in each message of a SecureNN ReLU, by receiver, for `sequence`.
RELU_NOTES = {
    "a_tilde": "provider: 2a under the mask r, so nothing",
    "share_convert/x_bits": "bob: random shares, so nothing",
    "share_convert/private_compare/d": "provider: a zero or none, at random",
    "eta_1": "bob: a random share",
    "compute_msb/x_bits": "bob: random shares of the bits of a mask",
    "r": "alice and bob: 2a under the mask x",
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

# The same for the end of a sealed program, and its check.
SEALED_NOTES = {
    "revealed": "alice and bob: the result under a mask",
    "check/hash of seed": "nothing yet; and a hash of all that was heard",
    "check/seed": "the coefficients: all is opened now",
    "check/hash of sigma": "nothing yet",
    "check/sigma": "do the seals fit?",
    "pad of revealed": "server: a part of the mask, from each",
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


# ------------------------------------------------------------------ trees and maps


def binary_tree(marks: Sequence[Sequence]) -> Figure:
    """Draw a binary tree; a node is dark if ``marks[level][node]`` holds.

    The leaves are numbered.
    """
    depth = len(marks) - 1
    figure, (axis,) = panels(1, (0.42 * 2**depth + 0.6, 0.62 * (depth + 1) + 0.5))
    for level, row in enumerate(marks):
        for node, marked in enumerate(row):
            x, y = (node + 0.5) * 2 ** (depth - level), -level
            if level:
                up = (node // 2 + 0.5) * 2 ** (depth - level + 1)
                axis.plot([up, x], [y + 1, y], color="#5A5A5A", linewidth=1, zorder=0)
            axis.plot(x, y, "o", markersize=13, markeredgecolor="#5A5A5A",
                      color="#D55E00" if marked else "white")
    for node in range(2**depth):
        axis.text(node + 0.5, -depth - 0.55, str(node), ha="center", va="center",
                  fontsize=9)
    axis.set(xlim=(-0.2, 2**depth + 0.2), ylim=(-depth - 0.9, 0.4))
    axis.set_axis_off()
    figure.tight_layout()
    return figure


# Five ways to compute on data that their owners do not show: for each role, the kind of
# its view and a few words. "data" is data in the clear.
APPROACHES = {
    "secure multi-party\ncomputation": {
        "computes": ("noise", "several workers:\nshares"),
        "helps": ("noise", "provider: random\nnumbers, or none"),
        "receives": ("result", "the result")},
    "homomorphic\nencryption": {
        "computes": ("noise", "one server:\nciphertexts"),
        "helps": ("none", "nobody"),
        "receives": ("result", "the result:\nholder of the key")},
    "functional\nencryption": {
        "computes": ("result", "one server: result,\nby its key for f"),
        "helps": ("data", "authority: can make\na key for any f"),
        "receives": ("result", "the same server")},
    "trusted\nhardware": {
        "computes": ("data", "one chip: the data;\nits host: ciphertexts"),
        "helps": ("data", "the chip's maker:\ncould sign a fake"),
        "receives": ("result", "the result")},
    "federated\nlearning": {
        "computes": ("data", "each owner: its\nown data"),
        "helps": ("other", "server: an update\nfrom each owner"),
        "receives": ("result", "everybody:\nthe model")}}
KINDS = {"data": ("#D55E00", "white"), "other": ("#E69F00", "black"),
         "result": ("#9CC9E8", "black"), "noise": ("#EEEEEE", "black"),
         "none": ("white", "black")}


def who_sees(approaches: dict[str, dict[str, tuple[str, str]]]) -> Figure:
    """Draw a map, {approach: {role: (kind of its view, words)}}, shaded by kind."""
    roles = list(next(iter(approaches.values())))
    figure, (axis,) = panels(1, (7.6, 0.7 + 0.62 * len(approaches)))
    for i, (name, views) in enumerate(approaches.items()):
        axis.text(-0.05, i, name, ha="right", va="center", fontsize=9.5)
        for j, role in enumerate(roles):
            kind, words = views[role]
            fill, ink = KINDS[kind]
            axis.barh(i, 0.97, left=j, height=0.92, color=fill, edgecolor="#AAAAAA",
                      linewidth=0.6)
            axis.text(j + 0.485, i, words, ha="center", va="center", fontsize=8.5,
                      color=ink)
    for j, role in enumerate(roles):
        axis.text(j + 0.485, -0.75, role, ha="center", weight="bold")
    axis.set(xlim=(-0.85, len(roles)), ylim=(len(approaches) - 0.45, -1.1))
    axis.set_axis_off()
    figure.tight_layout()
    return figure
