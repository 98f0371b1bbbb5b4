"""The glossary's terms, where a page first uses them: a link with a tooltip.

The definition shows while the term has the pointer or the focus, and a screen reader
reads it after the term. Words with an everyday meaning get it where emphasised.
"""

import re
from html import escape
from pathlib import Path

from docutils import nodes

PAGE = "docs/GLOSSARY"
ROW = re.compile(r"^\| (\*\*.*?) \|[^|]*\| (.*) \|$", re.M)
EVERYDAY = set("""batch bias bandwidth broadcast carry common deal distance form
    forecast generate gradient key leaf local loss mask noise open opened owner
    parameter party prime profile propagate protocol public quotient rest reveal ripple
    role round rule scale secret server simulation slope table tape turn unit view
    worker""".split())
OUTSIDE = (nodes.reference, nodes.literal, nodes.title, nodes.raw, nodes.math,
           nodes.FixedTextElement)


def load(app):
    """{term: its meaning} from the table of the glossary."""
    text = Path(app.srcdir, f"{PAGE}.md").read_text(encoding="utf-8")
    app.terms = {term: re.sub(r"[*`]|\]\(.*?\)|\[", "", meaning)
                 for names, meaning in ROW.findall(text)
                 for term in re.findall(r"\*\*(.+?)\*\*", names)}
    words = sorted(map(re.escape, app.terms), key=len, reverse=True)
    app.any_term = re.compile(rf"(?<![\w-])({'|'.join(words)})(s?)(?![\w-])")


def anchor(term):
    return "term-" + re.sub(r"\W+", "-", term.lower()).strip("-")


def explain(app, doctree, page):
    """Explain each term at its first place in a `page`; the glossary gets anchors."""
    if page == PAGE:
        for name in doctree.findall(nodes.strong):
            name["ids"].append(anchor(name.astext()))
        return
    left = {} if page.endswith(".de") else dict(app.terms)
    places = [text for paragraph in doctree.findall(nodes.paragraph)
              for text in paragraph.findall(nodes.Text)]
    for text in places:
        new = marked(app, text, page, left)
        if len(new) > 1:
            text.parent.replace(text, new)


def marked(app, text, page, left):
    """The parts of a `text`, with the terms that are `left` replaced by links."""
    outer = text.parent
    while not isinstance(outer, nodes.paragraph):
        if isinstance(outer, OUTSIDE):
            return []
        outer = outer.parent
    emphasised = isinstance(text.parent, nodes.emphasis | nodes.strong)
    parts, end = [], 0
    for found in app.any_term.finditer(text):
        term = found[1]
        if term not in left or term in EVERYDAY and not (
                emphasised and found[0] == text.astext()):
            continue
        where = app.builder.get_relative_uri(page, PAGE) + "#" + anchor(term)
        tip = f"tip-{anchor(term)}"
        parts += [nodes.Text(text[end:found.start()]), nodes.raw("", (
            f'<span class="term"><a href="{where}" aria-describedby="{tip}">'
            f'{escape(found[0])}</a><span class="tip" role="tooltip" id="{tip}">'
            f'{escape(left.pop(term))}</span></span>'), format="html")]
        end = found.end()
    return [*parts, nodes.Text(text[end:])]


def setup(app):
    app.connect("builder-inited", load)
    app.connect("doctree-resolved", explain)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
