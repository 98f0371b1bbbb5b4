"""A drawing of the tape of a `nn.Tensor`: its operations and their gradient rules.

The tape has only the links that `backward` follows: data and targets, which need no
gradient, are not drawn. This module does not import `nn`: it uses the links of a tensor
and the docstrings of the rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpc.course.pictures import ROLES, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nn import Tensor

FORWARD, BACKWARD = "#5A5A5A", ROLES["bob"]
WIDTH = 1.15            # of a column of operations


def operations(tensor: Tensor) -> list[tuple[Tensor, str | None, str]]:
    """Return the tape of `tensor`, in order of computation.

    Each entry is a tensor, the name of its operation (None for a leaf), and the first
    sentence of the docstring of the operation.
    """
    found: list[tuple[Tensor, str | None, str]] = []
    seen = set()

    def visit(item):
        if id(item) in seen:
            return
        seen.add(id(item))
        if item._parents is None:
            raise ValueError("tape: a backward pass has removed it; run the forward "
                             "pass again, and draw before backward()")
        for parent, _ in item._parents:
            visit(parent)
        name, text = None, ""
        if item._parents:
            rule = item._parents[0][1]
            name = rule.__qualname__.split(".")[0]
            text = rule.__globals__[name].__doc__.splitlines()[0]
            text = text.split(". ")[0].rstrip(".")
        found.append((item, name, text))

    visit(tensor)
    return found


def tape(tensor: Tensor, names: dict[str, Tensor],
         columns: dict[str, int] | None = None) -> Figure:
    """Draw the tape of `tensor` before its backward pass, one line per operation.

    Parameters
    ----------
    tensor : nn.Tensor
        The result, at the bottom.
    names : dict
        {name: leaf}, as ``dict(model.named_parameters())``.
    columns : dict, optional
        {operation: 0, 1, ...}, its column in a wider drawing, so that no link crosses
        it.
    """
    lines, columns = operations(tensor), columns or {}
    known = {id(leaf): name for name, leaf in names.items()}
    place = {id(item): (1 + WIDTH * columns.get(name, 0) if name else 0.0, y)
             for y, (item, name, _) in enumerate(lines)}
    last = 1 + WIDTH * max(columns.values(), default=0)
    shape, rule, right = last + 0.75, last + 1.15, last + 3.9
    figure, (axis,) = panels(1, (1.44 * (right + 0.6), 0.8 + 0.44 * len(lines)))
    boxes = {}
    for item, name, text in lines:
        x, y = place[id(item)]
        label = axis.text(
            x, y, name or known.get(id(item), "leaf"), ha="center", va="center",
            weight="normal" if name else "bold",
            bbox={"boxstyle": "round" if name else "square", "facecolor": "white",
                  "edgecolor": "black" if name else ROLES["alice"]})
        boxes[id(item)] = label.get_bbox_patch()
        sizes = " × ".join(map(str, item.shape)) or "1 number"
        axis.text(shape, y, sizes, ha="center", va="center")
        axis.text(rule, y, text, va="center", fontsize=9)
    for item, _, _ in lines:
        for parent, _ in item._parents:
            _link(axis, id(parent), id(item), place, boxes, FORWARD, "-")
            _link(axis, id(item), id(parent), place, boxes, BACKWARD, "--")
    for x, title in ((0, "leaf"), ((1 + last) / 2, "operation"), (shape, "shape"),
                     (rule + 1.2, "its rule")):
        axis.text(x, -0.9, title, ha="center", weight="bold")
    axis.text(0, len(lines) - 0.9, "values", color=FORWARD, ha="center")
    axis.text(0, len(lines) - 0.45, "gradients (dashed)", color=BACKWARD, ha="center")
    axis.set(xlim=(-0.6, right), ylim=(len(lines) - 0.2, -1.3))
    axis.set_axis_off()
    figure.subplots_adjust(left=0, right=1, bottom=0.01, top=0.99)
    return figure


def _link(axis, source, target, place, boxes, colour, dash):
    bend = 0.25 if abs(place[source][0] - place[target][0]) in (0, 1) else 0.06
    axis.annotate("", place[target], place[source], arrowprops={
        "arrowstyle": "-|>", "color": colour, "linestyle": dash, "linewidth": 1.2,
        "patchA": boxes[source], "patchB": boxes[target], "shrinkA": 1, "shrinkB": 1,
        "connectionstyle": f"arc3,rad={bend}"})
