"""Pictures for the lessons, all in one look; needs matplotlib, which nothing else here does.

Every function returns a figure: as the last line of a notebook's cell it is shown, elsewhere
``.savefig(path)`` keeps it. The colours are those of Okabe and Ito, which survive colour blindness;
their lightness, line styles and markers differ, so that they survive grey printing too.
"""

import math

import numpy as np

ROLES = {"alice": "#0072B2", "bob": "#D55E00", "crypto_provider": "#007A5A", "server": "#5A5A5A"}
SERIES = (("#000000", "-", "o"), ("#0072B2", "--", "s"), ("#E69F00", "-.", "^"),
          ("#CC79A7", ":", "D"), ("#009E73", (0, (5, 1, 1, 1, 1, 1)), "v"))
LOOK = {"font.size": 10, "axes.titlesize": 10, "figure.dpi": 100, "savefig.dpi": 100,
        "axes.spines.top": False, "axes.spines.right": False}


def plotting():
    """matplotlib.pyplot, or one line that says how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError("mpc.course.pictures draws with matplotlib, which is missing: "
                          "pip install matplotlib") from None
    return plt


def panels(n=1, size=(6.6, 3), **options):
    """A figure and its `n` axes side by side, in the look of the course."""
    plt = plotting()
    with plt.rc_context(LOOK):
        figure, axes = plt.subplots(1, n, figsize=size, squeeze=False, **options)
    plt.close(figure)                   # shown by its cell, once, and not by pyplot again
    return figure, list(axes[0])


# ------------------------------------------------------------------ pictures


def images(pictures, titles, signs=None, note="", limits=(0, 1), width=1.65):
    """A row of grey pictures, (height, width) arrays with `limits` for black and white.

    `signs` stand between them, as in ("=", "+"), and a `note` under the last sign.
    """
    n = len(pictures)
    figure, axes = panels(n, (n * width + (n - 1) * 0.65 * bool(signs), width + 0.4))
    for axis, picture, title in zip(axes, pictures, titles):
        axis.imshow(picture, cmap="gray", vmin=limits[0], vmax=limits[1])
        axis.set_title(title, fontsize=11 if signs else 10)
        axis.set_axis_off()
    figure.subplots_adjust(left=0.02, right=0.98, bottom=0.03, top=0.82,
                           wspace=0.45 if signs else 0.1)
    for left, right, sign in zip(axes, axes[1:], signs or ()):
        x = (left.get_position().x1 + right.get_position().x0) / 2
        figure.text(x, 0.44, sign, ha="center", va="center", fontsize=18)
    if note:
        figure.text(x, 0.28, note, ha="center", va="center", fontsize=9)
    return figure


# ------------------------------------------------------------------ plots


def histograms(samples, xlabel, bins=32, limits=None, ylabel="how often", log=False):
    """One histogram for each named sample {title: numbers}, side by side on one scale.

    `limits` are the ends of the horizontal axis, by default those of all numbers together; `log`
    is for the heights.
    """
    figure, axes = panels(len(samples), (3.1 * len(samples), 2.6), sharey=True)
    values = [np.asarray(numbers, float).ravel() for numbers in samples.values()]
    limits = limits or (min(v.min() for v in values), max(v.max() for v in values))
    for axis, title, numbers in zip(axes, samples, values):
        axis.hist(numbers, bins, range=limits, color=ROLES.get(title.split("'")[0], "#5A5A5A"))
        axis.set(title=title, xlabel=xlabel, yscale="log" if log else "linear")
    axes[0].set_ylabel(ylabel)
    figure.tight_layout()
    return figure


def curves(lines, xlabel, ylabel, log="", title="", markers=True):
    """Named curves on one pair of axes: {name: y} or {name: (x, y)}; `log` is "x", "y" or "xy"."""
    figure, (axis,) = panels(1, (6.6, 3.4))
    _draw_curves(axis, lines, xlabel, ylabel, log, title, markers)
    figure.tight_layout()
    return figure


def training(runs, labels=("batch", "loss of the batch", "epoch", "right answers, %")):
    """Training runs {name: (losses, accuracies)}: the losses on the left, accuracies on the right.
    """
    figure, axes = panels(2, (7.6, 3.2))
    for i, (axis, xlabel, ylabel) in enumerate(zip(axes, labels[::2], labels[1::2])):
        _draw_curves(axis, {name: run[i] for name, run in runs.items()}, xlabel, ylabel,
                     markers=i == 1)
    figure.tight_layout()
    return figure


def _draw_curves(axis, lines, xlabel, ylabel, log="", title="", markers=True):
    for (name, points), (colour, dash, marker) in zip(lines.items(), SERIES):
        x, y = points if isinstance(points, tuple) else (range(1, len(points) + 1), points)
        axis.plot(x, y, label=name, color=colour, linestyle=dash, markersize=4,
                  marker=marker if markers else None)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title,
             xscale="log" if "x" in log else "linear", yscale="log" if "y" in log else "linear")
    axis.grid(color="#DDDDDD", linewidth=0.6)
    axis.legend(frameon=False)


def bars(heights, ylabel, title=""):
    """A horizontal bar for each {name: height}, with its number beside it."""
    figure, (axis,) = panels(1, (6.6, 0.6 + 0.36 * len(heights)))
    drawn = axis.barh(list(heights), list(heights.values()), color="#0072B2", height=0.6)
    axis.bar_label(drawn, [f"{h:,.4g}" for h in heights.values()], padding=4)
    axis.invert_yaxis()
    axis.margins(x=0.16)
    axis.set(xlabel=ylabel, title=title)
    figure.tight_layout()
    return figure


def grid(table, xlabel, ylabel, columns=None, rows=None, title=""):
    """A small table of counts as a picture: (rows, columns) numbers on a ground that says as much.

    `columns` and `rows` are their names, 0, 1, 2 ... if left out.
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


# ------------------------------------------------------------------ the messages of a protocol

# Who may learn what from the messages of one ReLU by SecureNN, for `sequence`.
RELU_NOTES = {
    "a~": "provider: 2a under the mask r, so nothing",
    "share_convert/x bits": "bob: random rows, so nothing",
    "share_convert/private_compare/d": "provider: a zero or none, on a coin's flip",
    "eta'": "bob: a random row",
    "compute_msb/x bits": "bob: random rows of a mask's bits",
    "r": "alice and bob: 4a under the mask x",
    "compute_msb/private_compare/d": "provider: a zero or none, on a coin's flip",
    "beta'": "bob: a random row",
    "c": "bob: a random row of a mask's product",
    "epsilon": "alice and bob: two factors, each under its mask",
}


def sequence(messages, notes=None):
    """A sequence chart of the ledger's `messages`: time runs downward, a column for each party.

    An arrow carries what is sent and its bytes; it is dashed if sent offline. A pair of messages in
    both directions is one arrow with two heads. On the left stands the round, and the step where it
    changes; on the right, in the line of a round, the text that `notes` has for it: {name of a
    message, or "step/name", or a longer end of its path: text}.
    """
    notes = notes or {}
    places = {role: i for i, role in enumerate(_columns(messages))}
    lines, heads, last = [], {}, None
    for group in _by_round(messages):
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
        axis.plot([x, x], [-0.5, len(lines) - 0.4], color=ROLES.get(role, "black"), linewidth=1.5)
        *above, name = role.split("_")
        axis.text(x, -0.8, name, ha="center", weight="bold", color=ROLES.get(role, "black"))
        axis.text(x, -1.17, " ".join(above), ha="center", weight="bold",
                  color=ROLES.get(role, "black"))
    for y, (first, line) in enumerate(lines):
        for arrow in line:
            _draw_arrow(axis, y, *arrow, places)
        if first is not None:
            axis.text(-0.22, y, str(first.round - messages[0].round + 1), ha="right", va="center",
                      color="#5A5A5A", fontsize=9)
            note = _note(f"{first.path}/{first.name}", notes)
            axis.text(len(places) - 0.82, y, note, va="center", fontsize=8.5)
        if y in heads:
            axis.text(left, y, heads[y], va="center", fontsize=9)
            axis.plot([left, right], [y - 0.62] * 2, color="#DDDDDD", linewidth=0.6, zorder=0)
    axis.text(left, -0.8, "step", weight="bold")
    axis.text(-0.22, -0.8, "round", ha="right", weight="bold")
    axis.set(xlim=(left - 0.05, right), ylim=(len(lines) - 0.3, -1.6))
    axis.set_axis_off()
    figure.subplots_adjust(left=0, right=1, bottom=0.01, top=0.99)
    return figure


def _columns(messages):
    """The parties of `messages` from left to right: the provider stands between two workers."""
    found = dict.fromkeys(role for m in messages for role in (m.src, m.dst))
    others = [role for role in found if role not in ("crypto_provider", "server")]
    order = ["server", *sorted(others), "crypto_provider"]
    if len(others) <= 2:
        order.insert(2, order.pop())
    return [role for role in order if role in found]


def _note(path, notes):
    """The text of the longest key that `path` ends with."""
    fitting = [key for key in notes if f"/{path}".endswith(f"/{key}")]
    return notes[max(fitting, key=len)] if fitting else ""


def _by_round(messages):
    rounds = {}
    for m in messages:
        rounds.setdefault(m.round, []).append(m)
    return list(rounds.values())


def _heading(path, last):
    """The parts of a step's `path` that are new after `last`, indented below those that are not."""
    parts, known = path.split("/"), last.split("/")
    depth = next((i for i, part in enumerate(parts[:-1]) if known[i:i + 1] != [part]),
                 len(parts) - 1)
    return "   " * depth + " / ".join(parts[depth:])


def _arrows(group):
    """(from, to, both ways?, names, bytes each way, offline?) for each pair of parties in a round.
    """
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
    """The arrows of a round in as few lines as hold them without overlap."""
    lines = []
    for arrow in arrows:
        low, high = sorted((places[arrow[0]], places[arrow[1]]))
        for line, taken in lines:
            if all(high <= a or low >= b for a, b in taken):
                break
        else:
            line, taken = [], []
            lines.append((line, taken))
        line.append(arrow)
        taken.append((low, high))
    return [line for line, _ in lines]


def _draw_arrow(axis, y, src, dst, both, names, size, offline, places):
    start, end = places[src], places[dst]
    look = {"arrowstyle": "<|-|>" if both else "-|>", "shrinkA": 2, "shrinkB": 2,
            "color": "black" if both else ROLES.get(src, "black"),
            "linestyle": "--" if offline else "-", "linewidth": 1.3}
    axis.annotate("", (end, y), (start, y), arrowprops=look)
    near = start + math.copysign(0.5, end - start)      # the middle of the first gap it crosses
    text = f"{names}: {size:,} B" + " each way" * both
    axis.text(near, y - 0.1, text, ha="center", va="bottom", fontsize=8.5,
              bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})
