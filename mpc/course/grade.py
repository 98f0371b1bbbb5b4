"""Grade a chapter of a learner: ``python -m mpc.course.grade NOTEBOOK``.

    solved   Exercise 1: once round the clock (0.0 s)
    not yet  Exercise 2: three workers (0.0 s): one of the shares is the secret itself
    error    Exercise 3: lazy masks (10.0 s): it did not end within 10 s
    1 of 3 solved

The submission is not run as a whole. The grader runs the chapter of the repository,
cell by cell, and takes only the cells of exercises from the submission. It ignores all
other cells, so an answer must be complete in its own cell. Each answer runs in a
process of its own, without output and with limits of time and memory, and sends back
plain data: numbers, arrays, lists, strings. If an answer is a function, its calls run
in that process. The check itself runs in the grader's process, where no code of the
learner runs, so an answer cannot replace a check, print a verdict, or change a variable
of the chapter. Some checks hand more than data to a function, such as
shares of a World: these run beside the answer, in its process, and the score says so.

This is not a sandbox. An answer runs with your rights: it can read and write files, use
the network, start processes that outlive it, and stop the grader. Grade submissions of
strangers in a container. Nor does a score prove understanding: the solutions are in
the stored chapters, and an answer can read them and the checks from the disk.
"""

from __future__ import annotations

import argparse
import ast
import base64
import io
import json
import os
import pickle
import re
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from mpc.ring import Ring
from mpc.world import Role

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
CALL = re.compile(r"^exercises\.(\w+)\(.*\)\s*$", re.M)
LARGEST = 2**24         # bytes of a submission
MOST_SENT = 2**22       # bytes of the data that an answer sends
FOUND = {"Right. ": "solved", "Not yet: ": "not yet",
         "Richtig. ": "solved", "Noch nicht: ": "not yet"}      # of exercises_de


class BadInput(Exception):
    """A file that cannot be graded."""


class Stopped(BaseException):
    """A limit was reached, or the process died. No check may catch it."""


class NotData(BaseException):
    """The check hands objects to the answer, which must stay in one process with it."""


class Exercise(NamedTuple):
    """An exercise of a chapter."""

    cell: int               # its index in the chapter
    title: str
    check: str              # the name of the check
    call: str               # the line that calls it
    names: tuple[str, ...]  # the names that the learner defines


class Verdict(NamedTuple):
    """The result of an exercise."""

    exercise: str
    check: str
    verdict: str            # "solved", "not yet" or "error"
    said: str               # one line
    seconds: float
    forgeable: bool         # the check ran in the process of the answer

    def __str__(self):
        line = f"{self.verdict:8} {self.exercise} ({self.seconds:.1f} s)"
        line += f": {self.said}" if self.said else ""
        return line + " [checked beside the answer]" * self.forgeable


# ------------------------------------------------------------------ notebooks


def read(path: Path) -> list[dict]:
    """The cells of a notebook, each with its source as one string.

    Raises BadInput with a line that names the fault.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise BadInput(f"{path} has more than {LARGEST:,} bytes")
        notebook = json.loads(path.read_text(encoding="utf-8"))
        if notebook["nbformat"] != 4:
            raise BadInput(f"{path} has the format {notebook['nbformat']!r}, not 4; "
                           "save it with a recent Jupyter")
        return [{**cell, "source": "".join(cell["source"])}
                for cell in notebook["cells"] if cell["cell_type"]]
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise BadInput(f"{path} is not a notebook: it is not JSON") from None
    except (KeyError, TypeError, AttributeError):
        raise BadInput(f"{path} is not a notebook: it has no list of cells") from None


def exercises_of(cells: list[dict]) -> list[Exercise]:
    """The exercises of a chapter in order."""
    found = []
    for i, cell in enumerate(cells):
        if "exercise" in cell.get("metadata", {}).get("tags", ()):
            *lines, call = cell["source"].rstrip().splitlines()
            title = re.search(r"^### (.*)", cells[i - 1]["source"], re.M)
            name = CALL.match(call)
            if not (title and name):
                raise BadInput(f"cell {i} of the chapter is not an exercise")
            defined = tuple(defines("\n".join(lines)))
            found.append(Exercise(i, title[1], name[1], call, defined))
    return found


def defines(code: str) -> Iterator[str]:
    """The names that a placeholder defines."""
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets
                        if isinstance(target, ast.Name))


def answers_of(cells: list[dict]) -> dict[str, list[str]]:
    """The code of the cells that call a check, without the call: {check: [code]}."""
    found: dict[str, list[str]] = {}
    for cell in cells:
        names = set(CALL.findall(cell["source"])) if cell["cell_type"] == "code" else ()
        for name in names:
            found.setdefault(name, []).append(CALL.sub("", cell["source"]))
    return found


def chapter_of(cells: list[dict], folder: Path) -> Path:
    """The chapter in `folder` with the most checks in common, then cells in common."""
    checks, sources = answers_of(cells).keys(), {cell["source"] for cell in cells}

    def alike(path):
        ours = read(path)
        return (len(checks & {e.check for e in exercises_of(ours)}),
                len(sources & {cell["source"] for cell in ours}))

    chapters = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not chapters:
        raise BadInput(f"there are no chapters in {folder}: name the folder notebooks "
                       "of a clone with --chapters")
    best = max(chapters, key=alike)
    if not alike(best)[0]:
        raise BadInput("the notebook has no exercise of the course")
    return best


# ------------------------------------------------------------------ plain data


def encode(value: Any, path: tuple) -> Any:
    """A value as JSON: a role by its name, a function by the `path` from a name."""
    if value is ...:
        return {"ellipsis": 0}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf":
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"array": [value.dtype.str, list(value.shape), data],
                "scalar": isinstance(value, np.generic)}
    for kind in (tuple, list, set):
        if isinstance(value, kind):
            parts = [encode(part, (*path, i)) for i, part in enumerate(value)]
            return {kind.__name__: parts}
    if isinstance(value, range):
        return encode(list(value), path)
    if isinstance(value, dict):
        return {"dict": [[key, encode(part, (*path, key))]
                         for key, part in value.items()]}
    if isinstance(value, Role):
        return value.name
    if callable(value):
        return {"function": list(path)}
    raise TypeError(f"a {type(value).__name__} is no number, array, list or function")


def decode(data: Any, function: Callable) -> Any:
    """The value of `encode`; ``function(path)`` stands for each function."""
    if not isinstance(data, dict):
        return data
    if "array" in data:
        kind, shape, text = data["array"]
        dtype = np.dtype(kind)
        if dtype.kind not in "biuf":
            raise TypeError("an array of numbers is expected")
        array = np.frombuffer(base64.b64decode(text), dtype).reshape(shape).copy()
        return array[()] if data.get("scalar") else array
    if "dict" in data:
        return {key: decode(part, function) for key, part in data["dict"]}
    if "function" in data:
        return function(tuple(data["function"]))
    for kind in (tuple, list, set):
        if kind.__name__ in data:
            return kind(decode(part, function) for part in data[kind.__name__])
    return ...


def is_data(value: Any) -> bool:
    """Is this plain data, so that a copy in another process serves as well?"""
    if type(value) in (list, tuple, dict):
        parts = value.values() if isinstance(value, dict) else value
        return all(is_data(part) for part in parts)
    return (type(value) in (bool, int, float, str)
            or isinstance(value, (np.generic, Ring))
            or type(value) is np.ndarray and value.dtype.kind in "biuf")


# ------------------------------------------------------------------ processes


class Apart:
    """A child process that runs ``work(request)``, with limits and without output.

    `ask` sends a request and returns the result, which must be JSON. It raises Stopped
    if the child dies or sends too much, and an exception of the same name for one that
    `work` raises. The child starts with a copy of the memory of this process.
    """

    def __init__(self, work: Callable[[Any], Any], memory: int):
        theirs, requests = os.pipe()
        replies, back = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")             # of forks
            self.child = os.fork()
        if not self.child:
            _serve(work, memory, theirs, back)
        for end in (theirs, back):
            os.close(end)
        self.requests = os.fdopen(requests, "wb")
        self.replies = os.fdopen(replies, "rb")

    def ask(self, request: Any = None) -> Any:
        """The result of ``work(request)``."""
        try:
            pickle.dump(request, self.requests)
            self.requests.flush()
            line = self.replies.readline(MOST_SENT + 1)
            if len(line) > MOST_SENT:
                raise Stopped(f"it returned more than {MOST_SENT:,} bytes")
            reply = json.loads(line)
            if "raised" not in reply:
                return reply["value"]
            name, message = map(str, reply["raised"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise Stopped("its process died") from None
        raise type(name, (Exception,), {})(message)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        signal.setitimer(signal.ITIMER_REAL, 0)         # nothing interrupts the end
        for kill in (os.killpg, os.kill):               # before and after its setsid
            try:
                kill(self.child, signal.SIGKILL)
            except ProcessLookupError:
                pass
        os.waitpid(self.child, 0)
        self.replies.close()
        try:
            self.requests.close()
        except OSError:                                 # the rest of a request
            pass


def _serve(work: Callable, memory: int, requests: int, replies: int) -> NoReturn:
    """The child's part of `Apart`."""
    try:
        os.setsid()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(null, stream)
        for start, stop in ((3, requests), (requests + 1, replies),
                            (replies + 1, 4096)):       # files of the caller
            os.closerange(start, stop)
        sys.stdout = sys.stderr = open(os.devnull, "w")
        for limit, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 2**24),
                            (resource.RLIMIT_AS, _size() + memory * 2**20)):
            resource.setrlimit(limit, (most, most))
        with os.fdopen(requests, "rb") as asked, os.fdopen(replies, "w") as file:
            while True:
                request = pickle.load(asked)
                try:
                    reply = json.dumps({"value": work(request)})
                except Exception as error:
                    reply = json.dumps({"raised": [type(error).__name__, str(error)]})
                file.write(reply + "\n")
                file.flush()
    finally:
        os._exit(0)


def _size() -> int:
    """Bytes of address space of this process: what the chapter itself needs."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 2**33                                    # not Linux
    return pages * resource.getpagesize()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise Stopped after some seconds."""
    def stop(*_):
        raise Stopped(f"it did not end within {seconds:g} s")

    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)    # again, if one is ignored
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


# ------------------------------------------------------------------ grading


def grade(submission: Path, chapter: Path | None = None, folder: Path = FOLDER,
          seconds: float = 60, total: float = 600, memory: int = 1024
          ) -> tuple[Path, list[Verdict]]:
    """The chapter of a submission and the verdict on each of its exercises.

    An exercise may take `seconds`, all together `total` (the chapter's own cells are
    not counted), and `memory` megabytes more than the chapter. The process changes to
    the folder of the chapter.
    """
    cells = read(submission)
    chapter = (chapter or chapter_of(cells, folder)).resolve()
    ours, answers = read(chapter), answers_of(cells)
    due = exercises_of(ours)
    if not answers.keys() & {exercise.check for exercise in due}:
        raise BadInput(f"the notebook has no exercise of {chapter.name}")
    os.chdir(chapter.parent)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    verdicts: list[Verdict] = []
    begin = 0
    for exercise in due:
        for i, cell in enumerate(ours[begin:exercise.cell], begin):
            if cell["cell_type"] == "code":
                _run_ours(cell, f"{chapter.name}, cell {i}", namespace)
        begin = exercise.cell
        left = total - sum(verdict.seconds for verdict in verdicts)
        verdicts.append(judge(exercise, answers.get(exercise.check, []), namespace,
                              min(seconds, left), memory))
    return chapter, verdicts


def _run_ours(cell, where, namespace):
    plain = re.sub(r"^( *)%.*", r"\1pass", cell["source"], flags=re.M)  # no install
    try:
        with redirect_stdout(io.StringIO()):
            exec(compile(plain, where, "exec"), namespace)
    except Exception as error:
        varies = "varies" in cell.get("metadata", {}).get("tags", ())
        if varies and isinstance(error, AssertionError):
            return                      # a claim about times, on a busy machine
        raise BadInput(f"the chapter fails in {where}: {type(error).__name__}: "
                       f"{error}") from None


def judge(exercise: Exercise, answers: list[str], namespace: dict,
          seconds: float, memory: int) -> Verdict:
    """The verdict on the `answers` to an exercise, after its chapter's cells so far."""
    beside = False
    start = time.perf_counter()
    try:
        if not answers:
            raise Stopped("the cell of this exercise is missing")
        if len(answers) > 1:
            raise Stopped(f"{len(answers)} cells answer this exercise; keep one")
        if seconds <= 0:
            raise Stopped("no time is left for it")
        for run in (_outside, _beside):
            beside = run is _beside
            try:
                with deadline(seconds):
                    said = run(exercise, answers[0], namespace, memory)
                break
            except NotData:
                pass
        opening = next((text for text in FOUND if said.startswith(text)), None)
        if not opening:
            raise Stopped("the check gave no verdict")
        verdict, said = FOUND[opening], said.removeprefix(opening)
    except Stopped as stopped:
        verdict, said = "error", str(stopped)
    except Exception as error:
        verdict, said = "error", f"{type(error).__name__}: {error}"
    line = "".join(c if c.isprintable() else " " for c in said)[:300].strip()
    return Verdict(exercise.title, exercise.check, verdict, line,
                   round(time.perf_counter() - start, 2), beside)


def _outside(exercise, answer, namespace, memory):
    """The line of the check, run here on data that the answer sends."""
    def work(request):
        if request is None:
            exec(compile(answer, "answer", "exec"), namespace)
            missing = [name for name in exercise.names if name not in namespace]
            if missing:
                raise NameError(f"the cell does not define {missing[0]}")
            return {name: encode(namespace[name], (name,)) for name in exercise.names}
        (name, *parts), args, kwargs = request
        function = namespace[name]
        for part in parts:
            function = function[part]
        return encode(function(*args, **kwargs), ("result",))

    def function(path):
        def call(*args, **kwargs):
            if not is_data((args, kwargs)):
                raise NotData
            return decode(process.ask((path, args, kwargs)), _no_function)
        return call

    with Apart(work, memory) as process, redirect_stdout(io.StringIO()) as said:
        sent = process.ask()
        values = {name: decode(sent[name], function) for name in exercise.names}
        exec(exercise.call, {**namespace, **values})
    return said.getvalue()


def _no_function(path):
    raise TypeError("the result is a function")


def _beside(exercise, answer, namespace, memory):
    """The line of the check, run in the process of the answer."""
    def work(request):
        exec(compile(answer, "answer", "exec"), namespace)
        with redirect_stdout(io.StringIO()) as said:
            exec(exercise.call, namespace)
        return said.getvalue()

    with Apart(work, memory) as process:
        return str(process.ask())


# ------------------------------------------------------------------ the command


def arguments() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m mpc.course.grade",
        description="Grade the exercises of a chapter in a learner's notebook. This is "
                    "not a sandbox: answers run with your rights.")
    parser.add_argument("notebook", type=Path, help="the learner's notebook")
    parser.add_argument("--chapter", type=Path, help="the original chapter "
                        "(default: the best match in the folder of chapters)")
    parser.add_argument("--chapters", type=Path, default=FOLDER, metavar="FOLDER",
                        help="the folder notebooks of a clone (default: beside the "
                        "package)")
    parser.add_argument("--seconds", type=float, default=60,
                        help="limit for an exercise (default: %(default)s)")
    parser.add_argument("--total", type=float, default=600, metavar="SECONDS",
                        help="limit for all exercises (default: %(default)s)")
    parser.add_argument("--memory", type=int, default=1024, metavar="MB",
                        help="limit for an answer (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the score as JSON")
    return parser


def main(words: list[str] | None = None) -> int:
    """Print the score and return the exit status."""
    parser = arguments()
    options = parser.parse_args(words)
    for limit in (options.seconds, options.total, options.memory):
        if not 0 < limit < 1e6:
            parser.error(f"a limit must be positive and below a million, not {limit}")
    try:
        chapter, verdicts = grade(
            options.notebook, options.chapter, options.chapters, options.seconds,
            options.total, options.memory)
    except BadInput as bad:
        print(f"grade: {bad}", file=sys.stderr)
        return 2
    solved = sum(verdict.verdict == "solved" for verdict in verdicts)
    if options.json:
        print(json.dumps({
            "notebook": str(options.notebook), "chapter": chapter.name,
            "solved": solved, "of": len(verdicts),
            "exercises": [verdict._asdict() for verdict in verdicts]}, indent=2))
    else:
        print(*verdicts, f"{solved} of {len(verdicts)} solved", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
