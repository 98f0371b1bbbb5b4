"""Run the notebooks of the course from a clean kernel; `scripts/notebooks` stores them.

`execute` also tries each exercise: after its cell it runs the collapsed solution and
the wrong answers of the cell's metadata in place of the placeholder. Each runs in a
forked child of the kernel, so that it leaves no trace for the following cells.
"""

import hashlib
import re
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent
SOLUTION = re.compile(r"<details><summary>(?:Solution|Lösung)</summary>\s*"
                      r"```python\n(.*?)\n```\s*</details>", re.S)
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
    kind: str           # "empty", "solution" or "wrong"
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


def placeholder_and_check(cell):
    """The lines of an exercise's cell, without the last, and the last: the check."""
    *lines, call = cell.source.rstrip().splitlines()
    return "\n".join(lines), call


def answers(notebook, i):
    """The answers to try in the exercise at index `i`: (kind, answer, due reply)."""
    found = SOLUTION.search(notebook.cells[i - 1].source)
    if found:
        yield "solution", found[1], "Right. "
    for answer, due in notebook.cells[i].metadata.get("wrong", ()):
        yield "wrong", answer, due


def execute(path, timeout=300):
    """Run the notebook at `path`: (the notebook with fresh outputs, all attempts)."""
    notebook = nbformat.read(path, as_version=4)
    attempts = []
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
                i, "empty", placeholder, "Not yet: put your answer", text_of(cell)))
            for kind, answer, due in answers(notebook, i):
                tried = TRY.format(code=f"{answer}\n{call}\n")
                trial = nbformat.v4.new_code_cell(tried)
                client.execute_cell(trial, spare, store_history=False)
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
    for cell in notebook.cells:
        keep = {k: cell.metadata[k] for k in ("tags", "wrong") if cell.metadata.get(k)}
        cell.metadata = nbformat.from_dict(keep)
        name = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        while name in used:
            name += "x"
        cell.id = name
        used.add(name)
        for output in cell.get("outputs", ()):
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})
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
