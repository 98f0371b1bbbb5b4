"""Slides of lectures, made from chapters: one HTML file each, which needs no network.

A chapter becomes its slides by these rules: a title; for each section its heading and
first paragraph, with the formulas of the section; for each picture the picture and its
caption; for each exercise the task; and "In short". Formulas are drawn by matplotlib.
Arrow keys, page keys and space turn the slides; printing gives one slide a page.
"""

import base64
import html
import io
import re

import nbformat
from matplotlib.mathtext import MathTextParser, math_to_image

from notebooks import run

LECTURES = {
    "1_shares_and_products": ("Shares and products", (
        "01_shares_of_a_picture", "03_multiplying_secrets")),
    "2_signs_and_views": ("Signs, and a proof of privacy", (
        "04_comparing_secrets", "05_who_sees_what"))}
DETAILS = re.compile(r"<details>.*?</details>", re.S)
BLOCK = re.compile(r"```\w*\n(?P<fence>.*?)\n```|\$\$(?P<math>.*?)\$\$"
                   r"|(?P<text>(?:(?!```|\$\$)[^\n]+\n?)+)", re.S)
INLINE = re.compile(r"`(?P<code>[^`]+)`|(?<!\$)\$(?P<math>[^$]+)\$"
                    r"|\*\*(?P<strong>.+?)\*\*|\*(?P<em>[^*]+)\*"
                    r"|\[(?P<link>[^]]+)\]\([^)]+\)", re.S)
PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ margin: 0; color: #222; background: #fff;
       font: min(3.4vmin, 2.2vw)/1.45 "DejaVu Sans", Verdana, sans-serif; }}
section {{ box-sizing: border-box; width: 100vw; min-height: 100vh;
          padding: 4vmin 9vmin; display: none; flex-direction: column;
          justify-content: center; break-after: page; }}
section.now {{ display: flex; }}
h1 {{ font-size: 6vmin; }}
h2 {{ font-size: 4.4vmin; margin: 0 0 0.8em; color: #0072B2; }}
p, li {{ max-width: 44em; }}
p, ul, ol {{ margin: 0.5em 0; }}
pre, code {{ font-family: "DejaVu Sans Mono", monospace; font-size: 0.9em; }}
pre {{ background: #f3f3f3; padding: 0.6em; overflow: auto; }}
td, th {{ padding: 0.1em 0.8em; border-bottom: 1px solid #ccc; }}
figure {{ margin: 0; }}
figure img {{ display: block; margin: 0 auto 1em; max-width: 100%;
             height: 54vh; object-fit: contain; }}
figcaption {{ font-size: 0.7em; max-width: 64em; color: #444; }}
.formula {{ text-align: center; font-size: 1.3em; }}
footer {{ position: fixed; right: 2vmin; bottom: 1vmin; font-size: 1.6vmin;
         color: #767676; }}
@media print {{ section {{ display: flex; height: 100vh; }}
               footer {{ display: none; }} }}
</style>
</head>
<body>
{slides}
<footer></footer>
<script>
const slides = [...document.querySelectorAll("section")];
let now = 0;
function show(n) {{
  now = Math.min(Math.max(n || 0, 0), slides.length - 1);
  slides.forEach((slide, i) => slide.classList.toggle("now", i === now));
  document.querySelector("footer").textContent = `${{now + 1}} / ${{slides.length}}`;
  history.replaceState(null, "", "#" + (now + 1));
}}
const steps = {{ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1,
               ArrowLeft: -1, ArrowUp: -1, PageUp: -1}};
addEventListener("keydown", event => {{
  const last = {{Home: 0, End: slides.length - 1}}[event.key];
  if (event.key in steps) show(now + steps[event.key]);
  else if (last !== undefined) show(last);
  else return;
  event.preventDefault();
}});
addEventListener("hashchange", () => show(location.hash.slice(1) - 1));
show(location.hash.slice(1) - 1);
</script>
</body>
</html>
"""


def page(name):
    """The HTML of the lecture `name` of `LECTURES`."""
    title, chapters = LECTURES[name]
    slides = [f"<h1>{html.escape(title)}</h1>"]
    for chapter in chapters:
        path = run.FOLDER / f"{chapter}.ipynb"
        slides += slides_of(nbformat.read(path, as_version=4).cells)
    sections = "\n".join(f"<section>\n{slide}\n</section>" for slide in slides)
    return PAGE.format(title=html.escape(title), slides=sections)


def slides_of(cells):
    """The slides of a chapter in order."""
    heading = ""
    for i, cell in enumerate(cells):
        if cell.cell_type == "code":
            after = cells[i + 1].source if i + 1 < len(cells) else ""
            yield from pictures(cell, heading, after)
            continue
        source = DETAILS.sub("", cell.source)
        for part in re.split(r"^(?=#{1,3} )", source, flags=re.M):
            found = re.match(r"(#+) (.*)\n*", part)
            if not found:
                continue
            level, heading = len(found[1]), found[2]
            body = part[found.end():].strip()
            if level == 1:
                yield f"<h1>{inline(heading)}</h1>\n{goal(body)}"
            elif level == 2 and heading != "In short":
                yield f"<h2>{inline(heading)}</h2>\n{lead(body)}"
            else:
                body = body.split("\n\n**On your own")[0]
                yield f"<h2>{inline(heading)}</h2>\n{blocks(body)}"


def goal(body):
    """The paragraph of a chapter's first cell that says what a reader will do."""
    found = re.search(r"^\*\*You will\*\*.*?(?=\n\n|\Z)", body, re.M | re.S)
    return blocks(found[0]) if found else ""


def lead(body):
    """The first paragraph of a section and a list that it announces, and its formulas.

    Captions are left out.
    """
    first, *others = (p for p in body.split("\n\n") if not p.startswith("*Figure"))
    if first.endswith(":") and others and others[0].startswith("- "):
        first += "\n\n" + others[0]
    return blocks("\n\n".join([first, *(p for p in others if p.startswith("$$"))]))


def pictures(cell, heading, after):
    """A slide for each picture of a cell; its caption is in the cell that follows."""
    found = re.match(r"\*(?:Figure|Bild): (.*?)\*(?:\n\n|\Z)", after, re.S)
    caption = inline(found[1]) if found else ""
    alt = html.escape(re.sub(r"[$*`]", "", found[1]) if found else heading, quote=True)
    for output in cell.outputs:
        image = output.get("data", {}).get("image/png")
        if image:
            image = "".join(image.split())
            yield (f"<h2>{inline(heading)}</h2>\n<figure>"
                   f'<img alt="{alt}" src="data:image/png;base64,{image}">'
                   f"<figcaption>{caption}</figcaption></figure>")


# ------------------------------------------------------------------ Markdown


def blocks(text):
    """The HTML of the Markdown that chapters use: paragraphs, lists, tables, code."""
    made = []
    for found in BLOCK.finditer(text):
        if found["fence"] is not None:
            made.append(f"<pre>{html.escape(found['fence'])}</pre>")
        elif found["math"] is not None:
            made.append(f'<p class="formula">{formula(found["math"])}</p>')
        else:
            made.append(block(found["text"].rstrip("\n")))
    return "\n".join(made)


def block(text):
    """A paragraph, list, table or indented code."""
    if text.startswith("    "):
        return f"<pre>{html.escape(re.sub('^    ', '', text, flags=re.M))}</pre>"
    if text.startswith("|"):
        rows = [line.strip("| ").split("|") for line in text.splitlines()
                if not re.fullmatch(r"[-|: ]+", line)]
        cells = ["".join(f"<td>{inline(c.strip())}</td>" for c in row) for row in rows]
        return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"
    mark = re.match(r"- |\d+\. ", text)
    if mark:
        kind = "ul" if mark[0] == "- " else "ol"
        items = re.split(r"^(?:- |\d+\. )", text, flags=re.M)[1:]
        return (f"<{kind}>" + "".join(f"<li>{inline(item)}</li>" for item in items)
                + f"</{kind}>")
    return f"<p>{inline(text)}</p>"


def inline(text):
    """The HTML of a line with emphasis, code, formulas and links, which become text."""
    made, end = [], 0
    for found in INLINE.finditer(text):
        made.append(html.escape(text[end:found.start()], quote=False))
        end = found.end()
        kind = found.lastgroup
        inner = found[kind]
        if kind == "code":
            made.append(f"<code>{html.escape(inner)}</code>")
        elif kind == "math":
            made.append(formula(inner))
        elif kind == "link":
            made.append(inline(inner))
        else:
            made.append(f"<{kind}>{inline(inner)}</{kind}>")
    return "".join(made) + html.escape(text[end:], quote=False)


def formula(tex):
    """A formula as a picture that stands on the line, in the size of the text."""
    tex = f"${' '.join(tex.split())}$"
    tex = re.sub(r"\\([lg])e(?![a-z])", r"\\\1eq", tex)    # as matplotlib spells it
    size = 10.0                     # points of the text in math_to_image
    _, _, depth, *_ = MathTextParser("path").parse(tex, dpi=72)
    file = io.BytesIO()
    math_to_image(tex, file, dpi=72, format="svg")
    points = float(re.search(rb'height="([\d.]+)pt"', file.getvalue())[1])
    data = base64.b64encode(file.getvalue()).decode()
    return (f'<img alt="{html.escape(tex.strip("$"), quote=True)}" '
            f'style="height: {points / size:.2f}em; '
            f'vertical-align: {-depth / size:.2f}em" '
            f'src="data:image/svg+xml;base64,{data}">')
