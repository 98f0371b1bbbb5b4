"""The Mermaid diagram of the course as SVG, since no page loads a library."""

import re
from html import escape

NODE = re.compile(r'(\w+)\["(.*?)"\]')
EDGE = re.compile(r"^\s*(\w+)(?:\[.*?\])? --> (\w+)", re.M)
WIDTH, HEIGHT, GAP, DOWN = 180, 46, 20, 86


def draw(mermaid: str, pages: dict[str, str]) -> str:
    """The SVG of a `graph TD`; boxes with a number link to that chapter's page.

    The <div> makes it a block of HTML, whose texts the page leaves alone.
    """
    labels, edges = dict(NODE.findall(mermaid)), direct(EDGE.findall(mermaid))
    level = dict.fromkeys(labels, 0)
    for _ in labels:                        # the longest way from the top
        for start, end in edges:
            level[end] = max(level[end], level[start] + 1)
    rows = [[n for n in labels if level[n] == i] for i in sorted({*level.values()})]
    width = max(map(len, rows)) * (WIDTH + GAP)
    places = {n: (width / 2 + (i - (len(row) - 1) / 2) * (WIDTH + GAP), DOWN * y)
              for y, row in enumerate(rows) for i, n in enumerate(row)}
    lines = "".join(arrow(*places[start], *places[end]) for start, end in edges)
    boxes = "".join(box(*places[n], label, pages.get(label.split(".")[0]))
                    for n, label in labels.items())
    told = "; ".join(f"{labels[b].split('.')[0]} needs {labels[a].split('.')[0]}"
                     for a, b in edges)
    return (f'<div><svg class="map" viewBox="0 -4 {width} {DOWN * len(rows) - 20}" '
            f'role="group" aria-label="Map of the chapters: {told}"><defs><marker '
            'id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
            'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>'
            f"{lines}{boxes}</svg></div>")


def direct(edges):
    """The edges that no chain of others implies."""
    def reaches(start, end, left):
        return any(a == start and (b == end or reaches(b, end, left)) for a, b in left)

    return [edge for edge in edges
            if not reaches(*edge, [other for other in edges if other != edge])]


def arrow(x, y, to_x, to_y):
    bend = (to_y - y - HEIGHT) / 2
    return (f'<path d="M{x} {y + HEIGHT}C{x} {y + HEIGHT + bend} {to_x} {to_y - bend} '
            f'{to_x} {to_y - 1}" marker-end="url(#head)"/>')


def box(x, y, label, page):
    texts = "".join(f'<text x="{x}" y="{y + 19 + 17 * i}">{escape(line)}</text>'
                    for i, line in enumerate(label.split("<br>")))
    shape = (f'<rect x="{x - WIDTH / 2}" y="{y}" width="{WIDTH}" height="{HEIGHT}" '
             f'rx="6"/>{texts}')
    return f'<a href="{page}">{shape}</a>' if page else shape
