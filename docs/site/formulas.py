"""Formulas as MathML, which browsers draw without a library or a font."""

from docutils import nodes
from latex2mathml.converter import convert


def write(self, node):
    display = "block" if isinstance(node, nodes.math_block) else "inline"
    formula = convert(node.astext(), display=display)
    self.body.append(f'<div class="formula">{formula}</div>' if display == "block"
                     else formula)
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (write, None), (write, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
