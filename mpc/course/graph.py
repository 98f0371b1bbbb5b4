"""The tape of a `nn.Tensor`, drawn: what was computed, and which rule brings its gradient back.

Only the links that `backward` follows are on the tape, so data and targets, which need no gradient,
are not drawn. Nothing here imports `nn`: a tensor shows its links and each rule its own docstring.
"""

from mpc.course.pictures import ROLES, panels

FORWARD, BACKWARD = "#5A5A5A", ROLES["bob"]
WIDTH = 1.15            # of a column of operations


def operations(tensor):
    """The tape of `tensor` as (tensor, its operation or None at a leaf, the first sentence of that
    operation's docstring), each after all that it was made from."""
    found, seen = [], set()

    def visit(item):
        if id(item) in seen:
            return
        seen.add(id(item))
        if item._parents is None:
            raise ValueError("tape: a backward pass has taken it up; run the forward pass again, "
                             "and draw before you call backward()")
        for parent, _ in item._parents:
            visit(parent)
        name, text = None, ""
        if item._parents:
            rule = item._parents[0][1]
            name = rule.__qualname__.split(".")[0]
            text = rule.__globals__[name].__doc__.split(". ")[0].splitlines()[0].rstrip(".")
        found.append((item, name, text))

    visit(tensor)
    return found


def tape(tensor, names, columns=None):
    """Draw the tape of `tensor` before its backward pass, a line for each operation.

    Parameters
    ----------
    tensor : nn.Tensor
        The result, at the bottom.
    names : dict
        {name: leaf}, as ``dict(model.named_parameters())``.
    columns : dict, optional
        {operation: 0, 1 ...}: where in a wider drawing it stands, so that links do not cross it.
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
            x, y, known.get(id(item), "leaf") if name is None else name, ha="center", va="center",
            weight="bold" if name is None else "normal",
            bbox={"boxstyle": "round" if name else "square", "facecolor": "white",
                  "edgecolor": "black" if name else ROLES["alice"]})
        boxes[id(item)] = label.get_bbox_patch()
        axis.text(shape, y, " × ".join(map(str, item.shape)) or "1 number", ha="center",
                  va="center")
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
