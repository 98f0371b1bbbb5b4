"""Run the notebooks of the course from a clean kernel; `scripts/notebooks` stores them.

`execute` also tries each exercise: after its cell it runs the collapsed solution and
the answers `right` and `wrong` of the cell's metadata in place of the placeholder. Each
runs in a forked child of the kernel and so leaves no trace for the following cells.
"""

import hashlib
import math
import re
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent
SOLUTION = re.compile(r"<details><summary>(?:Solution|Lösung)</summary>\s*"
                      r"```python\n(.*?)\n```\s*</details>", re.S)
DETAILS = re.compile(r"<details>.*?</details>", re.S)
FIGURE = re.compile(r"^\*(?:Figure|Bild): (.{20,}?)\*$", re.M | re.S)
TRY = """\
def _try(code):
    import contextlib, io, os, traceback, warnings
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                 # of forks
        child = os.fork()
    if not child:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            try:
                exec(code, globals())
            except BaseException:
                traceback.print_exc(file=said)
        with os.fdopen(write, "w") as pipe:
            pipe.write(said.getvalue())
            pipe.flush()
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        print(pipe.read(), end="")
    os.waitpid(child, 0)
_try({code!r})
del _try
"""


class Attempt(NamedTuple):
    """The reply of an exercise's check to an answer."""

    cell: int           # its index in the notebook
    kind: str           # "empty", "solution", "right" or "wrong"
    answer: str
    due: str            # a text that the reply must contain
    said: str


def chapters():
    """All notebooks of the course, in order; a translation follows its original."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"),
                  key=lambda path: (path.name.partition(".")[0], len(path.name)))


def has_tag(cell, tag):
    return tag in cell.metadata.get("tags", ())


def text_of(cell):
    """The outputs of a cell as plain text."""
    return "".join(
        o.text if o.output_type == "stream" else o.get("data", {}).get("text/plain", "")
        for o in cell.outputs)


def replies(path):
    """The first words of a check's reply: to a correct answer, and to any other."""
    german = path.name.endswith(".de.ipynb")
    return ("Richtig. ", "Noch nicht: ") if german else ("Right. ", "Not yet: ")


def placeholder_and_check(cell):
    """The lines of an exercise's cell, without the last, and the last: the check."""
    *lines, call = cell.source.rstrip().splitlines()
    return "\n".join(lines), call


def answers(notebook, i):
    """The answers to try in the exercise at index `i`: (kind, answer, due reply)."""
    found = SOLUTION.search(notebook.cells[i - 1].source)
    if found:
        yield "solution", found[1], "Right. "
    for answer in notebook.cells[i].metadata.get("right", ()):
        yield "right", answer, "Right. "
    for answer, due in notebook.cells[i].metadata.get("wrong", ()):
        yield "wrong", answer, due


def minutes(notebook):
    """The time for a chapter: (to read its text and code, for its exercises).

    A minute is 200 words or 10 lines of code; an exercise takes 5. Both are rounded up
    to the next 5 minutes.
    """
    texts = [DETAILS.sub("", c.source) for c in notebook.cells
             if c.cell_type == "markdown"]
    codes = [c.source for c in notebook.cells if c.cell_type == "code"]
    words = sum(len(text.split()) for text in texts)
    lines = sum(bool(line.strip()) for text in codes for line in text.splitlines())
    exercises = sum(has_tag(cell, "exercise") for cell in notebook.cells)
    return 5 * math.ceil((words / 200 + lines / 10) / 5), 5 * exercises


def caption(notebook, i):
    """The description of the picture of cell `i`, from the text beside it, or None."""
    for cell in notebook.cells[i + 1:i + 2] + notebook.cells[max(i - 1, 0):i]:
        found = cell.cell_type == "markdown" and FIGURE.search(cell.source)
        if found:
            return " ".join(found[1].split())


def execute(path, timeout=300):
    """Run the notebook at `path`: (the notebook with fresh outputs, all attempts)."""
    notebook = nbformat.read(path, as_version=4)
    attempts, (right, not_yet) = [], replies(path)
    translated = not_yet != "Not yet: "             # and `due` is English
    client = NotebookClient(
        notebook, timeout=timeout, kernel_name="python3", coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(FOLDER)}})
    spare = len(notebook.cells)
    notebook.cells.append(nbformat.v4.new_code_cell())
    with client.setup_kernel():
        for i, cell in enumerate(notebook.cells[:spare]):
            if cell.cell_type != "code":
                continue
            client.execute_cell(cell, i)
            if not has_tag(cell, "exercise"):
                continue
            placeholder, call = placeholder_and_check(cell)
            attempts.append(Attempt(
                i, "empty", placeholder, not_yet, text_of(cell)))
            for kind, answer, due in answers(notebook, i):
                tried = TRY.format(code=f"{answer}\n{call}\n")
                trial = nbformat.v4.new_code_cell(tried)
                client.execute_cell(trial, spare, store_history=False)
                if translated or kind != "wrong":
                    due = not_yet if kind == "wrong" else right
                attempts.append(Attempt(i, kind, answer, due, text_of(trial)))
    del notebook.cells[spare:]
    return clean(notebook), attempts


def clean(notebook):
    """The notebook without transient data, so that a second run changes little."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = nbformat.from_dict({
        "kernelspec": kernel, "language_info": {"name": "python"}})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    used = set()
    for i, cell in enumerate(notebook.cells):
        keep = {k: cell.metadata[k] for k in ("tags", "right", "wrong")
                if cell.metadata.get(k)}
        cell.metadata = nbformat.from_dict(keep)
        name = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        while name in used:
            name += "x"
        cell.id = name
        used.add(name)
        for output in cell.get("outputs", ()):
            if "metadata" in output:
                alt = caption(notebook, i)      # for readers who cannot see it
                known = {kind: {"alt": alt} for kind in output.get("data", ())
                         if kind.startswith("image/") and alt}
                output.metadata = nbformat.from_dict(known)
            output.pop("transient", None)
            output.get("data", {}).pop(                 # a widget; its picture stays
                "application/vnd.jupyter.widget-view+json", None)
    return notebook


def main(words):
    """Execute the notebooks that are named, or all, and store them."""
    for path in [Path(word) for word in words] or chapters():
        notebook, attempts = execute(path)
        nbformat.write(notebook, path)
        wrong = [a for a in attempts if a.due not in a.said]
        print(f"{path.name}: stored; {len(attempts)} answers tried, "
              f"{len(wrong)} misjudged")
        for a in wrong:
            print(f"  cell {a.cell}, {a.kind} {a.answer!r}: {a.said}")


if __name__ == "__main__":
    main(sys.argv[1:])
