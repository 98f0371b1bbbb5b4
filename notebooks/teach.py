"""The course for a class: `scripts/teach student|solutions|slides [FOLDER] [CHAPTERS]`.

`student` writes notebooks without solutions, wrong answers and outputs, with the hints.
`solutions` writes them with each placeholder replaced by its solution, and with all
stored outputs but those of the exercises. `slides` writes the lectures of `lectures`.
A chapter is named by its number, such as 3, or its file. No file is overwritten.
"""

import re
import sys
from pathlib import Path

import nbformat

from notebooks import lectures, run

KINDS = ("student", "solutions", "slides")
USAGE = "usage: scripts/teach student|solutions|slides [FOLDER] [CHAPTERS]"


class Refused(Exception):
    """A line for the caller."""


def forget(cell):
    """Remove the answers that tests try."""
    for name in ("right", "wrong"):
        cell.metadata.pop(name, None)


def student(notebook):
    """The notebook without its answers; outputs go too, since many show a result."""
    for cell in notebook.cells:
        forget(cell)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = re.sub(r"\n{3,}", "\n\n", run.SOLUTION.sub("", cell.source))
            cell.source = cell.source.rstrip()
    return notebook


def solutions(notebook):
    """The notebook with each placeholder replaced by the solution."""
    for i, cell in enumerate(notebook.cells):
        forget(cell)
        if run.has_tag(cell, "exercise"):
            answer = run.SOLUTION.search(notebook.cells[i - 1].source)[1]
            _, call = run.placeholder_and_check(cell)
            cell.source, cell.outputs = f"{answer}\n\n{call}", []
    return notebook


def chosen(words):
    """The chapters that `words` name, or all."""
    found = [path for word in words for path in named(word)]
    return found if words else run.chapters()


def named(word):
    """The chapters of a number, translations included, or of a file's name."""
    found = [path for path in run.chapters()
             if word in (path.name, path.stem)
             or word.isdecimal() and int(path.name[:2]) == int(word)]
    if not found:
        raise Refused(f"there is no chapter {word!r}; take a number such as 3, or a "
                      f"name such as {run.chapters()[0].name}")
    return found


def teach(kind, folder, words):
    """Write the notebooks or lectures into `folder`; the paths written."""
    if kind == "slides":
        if words:
            raise Refused("slides takes no chapters: notebooks/lectures.py names them")
        pages = {folder / f"{name}.html": lectures.page(name)
                 for name in lectures.LECTURES}
    else:
        make = {"student": student, "solutions": solutions}[kind]
        pages = {folder / path.name:
                 nbformat.writes(make(nbformat.read(path, as_version=4))) + "\n"
                 for path in chosen(words)}
    there = [path for path in pages if path.exists()]
    if there:
        raise Refused(f"{there[0]} is there already; nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in pages.items():
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    return list(pages)


def main(words):
    """The exit status of the command."""
    kind, folder, *chapters = [*words, *[""] * (2 - len(words))]
    try:
        if kind not in KINDS:
            raise Refused(USAGE)
        paths = teach(kind, Path(folder or kind), chapters)
    except (Refused, OSError) as refused:
        print(f"teach: {refused}", file=sys.stderr)
        return 2
    print(*paths, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
