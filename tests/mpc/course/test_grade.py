"""The grader: verdicts, limits, hostile answers, and files that are no submissions."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("resource", reason="limits need a POSIX system")
pytest.importorskip("matplotlib", reason="the chapters draw pictures")
nbformat = pytest.importorskip("nbformat", reason="needs the extra `notebooks`")

from mpc.course import grade
from notebooks import run, teach

CHAPTER = grade.FOLDER / "01_shares_of_a_picture.ipynb"
CELLS = """\
import numpy as np
from mpc.course import exercises
from mpc.ring import Z2k
data = [7, 0, 1]"""


def cell(source, *tags):
    return {"cell_type": "code", "source": source, "metadata": {"tags": list(tags)}}


def text(source):
    return {"cell_type": "markdown", "source": source, "metadata": {}}


def write(path, cells):
    path.write_text(json.dumps({"nbformat": 4, "cells": cells, "metadata": {}}))
    return path


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """Grade answers to two exercises of a small chapter: {check: its verdict}."""
    monkeypatch.chdir(tmp_path)
    chapter = write(tmp_path / "01_small.ipynb", [
        text("# 1. Small"), cell(CELLS),
        text("### Exercise 1: clock"),
        cell("answer = ...\nexercises.round_the_clock(answer)", "exercise"),
        text("### Exercise 2: three"),
        cell("def split(secret, mask_1, mask_2, ring):\n    return ...\n"
             "exercises.split_in_three(split)", "exercise")])

    def judged(*cells, **limits):
        path = write(tmp_path / "mine.ipynb", [cell(source) for source in cells])
        _, verdicts = grade.grade(path, chapter, **{"seconds": 20, **limits})
        return [(verdict.verdict, verdict.said) for verdict in verdicts]

    return judged


CLOCK = "answer = 4\nexercises.round_the_clock(answer)"
SPLIT = """\
def split(secret, mask_1, mask_2, ring):
    return mask_1, mask_2, ring.sub(ring.sub(secret, mask_1), mask_2)
exercises.split_in_three(split)"""


def test_right_answers_are_solved_and_others_get_the_line_of_the_check(judged):
    (one, said), (two, _) = judged(CLOCK, SPLIT)
    assert (one, two) == ("solved", "solved") and said.startswith("6 + 4 = 10")
    (one, said), (two, error) = judged(
        CLOCK.replace("4", "5"), SPLIT.replace("mask_1, mask_2, ring.sub",
                                               "mask_1, secret, ring.sub"))
    assert (one, said) == ("not yet", "6 + 5 is 3 on this clock, not 2.")
    assert (two, error) == ("not yet", "one of the shares is the secret itself: its "
                            "worker can read it.")


def test_placeholders_missing_and_repeated_cells(judged):
    assert judged(CLOCK.replace("4", "..."))[0] == (
        "not yet", "put your answer in place of the three dots, then "
        "run the cell again.")
    assert judged(CLOCK)[1] == ("error", "the cell of this exercise is missing")
    assert judged(CLOCK, CLOCK)[0] == (
        "error", "2 cells answer this exercise; keep one")
    assert judged("four = 4\nexercises.round_the_clock(four)")[0] == (
        "error", "NameError: the cell does not define answer")


def test_only_the_cells_of_exercises_are_run(judged, tmp_path):
    (one, _), _ = judged(f"open({str(tmp_path / 'ran')!r}, 'w')", "while True: pass",
                         CLOCK + "\nprint('a line below')")
    assert one == "solved" and not (tmp_path / "ran").exists()
    verdict, said = judged("six = 6", CLOCK.replace("4", "six - 2"))[0]
    assert (verdict, said) == ("error", "NameError: name 'six' is not defined")


def test_an_answer_leaves_nothing_behind_for_the_next(judged):
    spoiled = "import numpy as np\nnp.asarray = None\nZ2k = data = None\n" + CLOCK
    assert [v for v, _ in judged(spoiled, SPLIT)] == ["solved", "solved"]


FORGE = ["exercises.round_the_clock = lambda answer: print('Right. Forged.')",
         "import builtins\nbuiltins.print = lambda *a: None",
         "import mpc.course.exercises as e\ne.EMPTY = ''\ne.is_empty = lambda a: 0\n"
         "e.check = lambda f: lambda a: print('Right. Forged.')",
         "exercises.round_the_clock.__wrapped__.__code__ = (lambda answer: None)"
         ".__code__",
         "print('Right. Forged.\\nsolved')\nimport os\nos.write(1, b'solved')",
         "class Four(int):\n    __eq__ = __ge__ = lambda self, other: True\n"
         "    __add__ = __radd__ = lambda self, other: 2\n    __hash__ = None\n"]


@pytest.mark.parametrize("forge", FORGE)
def test_a_forged_verdict_does_not_count(judged, capfd, forge):
    wrong = CLOCK.replace("4", "Four(5)" if "class" in forge else "5")
    assert judged(f"{forge}\n{wrong}")[0] == (
        "not yet", "6 + 5 is 3 on this clock, not 2.")
    assert "solved" not in capfd.readouterr().out


def test_a_forged_function_does_not_count(judged):
    patch = "import numpy\nnumpy.array_equal = lambda *a: True\n"
    lazy = patch + SPLIT.replace("mask_1, mask_2, ring.sub(ring.sub(secret, mask_1), "
                                 "mask_2)", "mask_1, mask_2, mask_1")
    verdict, said = judged(lazy)[1]
    assert verdict == "not yet" and "they must add up to the secret" in said


def test_a_forged_result_with_a_method_counts_as_data(judged):
    class_ = ("class Same:\n    def __eq__(self, other): return True\n"
              "    __array__ = None\n")
    answer = class_ + SPLIT.replace("return mask_1", "return Same()")
    verdict, said = judged(answer)[1]
    assert verdict == "not yet" and "a Same is no number" in said


@pytest.mark.parametrize("code, due", [
    ("while True: pass", "it did not end within 1 s"),
    ("import time\ntime.sleep(99)", "it did not end within 1 s"),
    ("import os\nos._exit(0)", "its process died"),
    ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "its process died"),
    ("raise SystemExit", "its process died"),
    ("x = np.ones(2**29)", "MemoryError"),
    ("x = bytearray(2**32)", "MemoryError"),
    ("import os\nif os.fork(): os._exit(0)\nwhile True: pass",
     "it did not end within"),
    ("answer = np.zeros(2**20)", "it returned more than"),
    ("1 / 0", "ZeroDivisionError: division by zero"),
    ("raise ValueError('a\\nb\\x1b[31m' * 999)", "ValueError: a b [31ma b"),
    ("class Error(Exception): pass\nraise Error('x')", "Error: x"),
    ("answer = (", "SyntaxError: "),
    ("def f(): return f()\nf()", "RecursionError: "),
])
def test_an_answer_that_exceeds_a_limit_is_an_error(judged, code, due):
    source = f"{code}\nexercises.round_the_clock(answer)"
    seconds = 1 if due.startswith("it did not end") else 60
    (verdict, said), _ = judged(source, seconds=seconds, memory=1000)
    assert verdict == "error" and due in said and len(said) <= 300
    assert said.isprintable()


def test_all_exercises_together_have_a_limit(judged):
    loop = "while True: pass\n"
    (_, first), (_, second) = judged(loop + CLOCK, loop + SPLIT, seconds=1, total=1)
    assert first == "it did not end within 1 s"
    assert second == "no time is left for it"


def test_an_endless_function_and_files_of_the_caller(judged, tmp_path):
    endless = SPLIT.replace("    return", "    while True: pass\n    return")
    assert judged(endless, seconds=1)[1] == ("error", "it did not end within 1 s")
    with open(tmp_path / "score", "w") as score:
        write_all = ("import os\nfor fd in range(3, 64):\n    try: os.write(fd, "
                     "b'solved')\n    except OSError: pass\n")
        assert judged(write_all + CLOCK)[0][0] == "error"       # no answer arrived
        score.flush()
    assert (tmp_path / "score").read_text() == ""


def test_a_check_that_hands_out_objects_runs_beside_the_answer_and_the_score_says_so(
        tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start, *lines = "def look_up(at_least, u):", "exercises.look_up(look_up)"
    chapter = write(tmp_path / "04_small.ipynb", [
        cell(CELLS), text("### Exercise 6: look it up"),
        cell("\n".join([start, "    return ...", *lines]), "exercise")])
    path = write(tmp_path / "mine.ipynb", [cell("\n".join(
        [start, "    g = at_least[16 - u]", "    return g, at_least[15 - u] ^ g",
         *lines]))])
    (verdict,) = grade.grade(path, chapter)[1]
    assert (verdict.verdict, verdict.forgeable) == ("solved", True)
    assert str(verdict).endswith(" [checked beside the answer]")
    assert grade.is_data([1, "a", {"k": (grade.np.ones(2), 2.5)}, grade.np.uint64(1)])
    for value in (object(), [object()], grade.np.array([object()]), lambda: 0,
                  grade.np.ones(2).view(grade.np.recarray)):
        assert not grade.is_data(value)


# ------------------------------------------------------------------ the command


def command(*words):
    done = subprocess.run([sys.executable, "-m", "mpc.course.grade", *map(str, words)],
                          capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_a_chapter_with_solutions_is_solved_and_a_students_is_not(tmp_path):
    for kind in ("student", "solutions"):
        teach.teach(kind, tmp_path / kind, ["1"])
    status, out, err = command(tmp_path / "solutions" / CHAPTER.name)
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "4 of 4 solved"
    assert out.startswith("solved   Exercise 1: once round the clock (")
    status, out, err = command("--json", tmp_path / "student" / CHAPTER.name)
    report = json.loads(out)
    assert (status, report["chapter"]) == (0, CHAPTER.name)
    assert (report["solved"], report["of"]) == (0, 4)
    assert {e["verdict"] for e in report["exercises"]} == {"not yet"}


@pytest.mark.parametrize("content, due", [
    (None, "cannot be read: No such file"),
    ("", "is not a notebook: it is not JSON"),
    ("{", "is not a notebook: it is not JSON"),
    ("[" * 100_000, "is not a notebook: it is not JSON"),
    ("[]", "is not a notebook: it has no list of cells"),
    ('{"nbformat": 4}', "is not a notebook: it has no list of cells"),
    ('{"nbformat": 3, "worksheets": []}', "has the format 3, not 4"),
    ('{"nbformat": 4, "cells": [7]}', "it has no list of cells"),
    ('{"nbformat": 4, "cells": [{"cell_type": "code", "source": 7}]}',
     "it has no list of cells"),
    ('{"nbformat": 4, "cells": []}', "the notebook has no exercise of the course"),
    (b"\xff\xfe\x00", "is not a notebook: it is not JSON"),
])
def test_a_file_that_is_no_submission_is_refused_in_one_line(
        tmp_path, capsys, content, due):
    path = tmp_path / "file.ipynb"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert grade.main([str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and due in err


def test_options_are_checked_and_chapters_can_be_elsewhere(
        tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "mine.ipynb", [cell(CLOCK)])
    assert grade.main([str(path), "--chapters", str(tmp_path / "none")]) == 2
    assert "name the folder notebooks of a clone with --chapters" in (
        capsys.readouterr().err)
    assert grade.main([str(path), "--chapter", str(tmp_path / "none.ipynb")]) == 2
    other = grade.FOLDER / "03_multiplying_secrets.ipynb"
    assert grade.main([str(path), "--chapter", str(other)]) == 2
    broken = write(tmp_path / "01_broken.ipynb", [
        cell("assert 2 < 1, 'seconds'", "varies"), cell("1 / 0"),
        text("### Exercise 1: clock"),
        cell("answer = ...\nexercises.round_the_clock(answer)", "exercise")])
    capsys.readouterr()
    assert grade.main([str(path), "--chapter", str(broken)]) == 2
    assert capsys.readouterr().err == (
        "grade: the chapter fails in 01_broken.ipynb, cell 1: ZeroDivisionError: "
        "division by zero\n")
    for words in (["--seconds", "0"], ["--total", "nan"], ["--seconds", "inf"],
                  ["--memory", "-1"]):
        with pytest.raises(SystemExit) as stopped:
            grade.main([str(path), *words])
        assert stopped.value.code == 2
        assert "a limit must be positive" in capsys.readouterr().err


def test_the_chapter_is_found_by_its_exercises_and_its_language():
    for path in run.chapters():
        cells = grade.read(path)
        assert grade.chapter_of(cells, grade.FOLDER) == path
        assert len(grade.exercises_of(cells)) >= 3


def test_data_survives_the_way_back():
    np = grade.np
    for value in (1, 1.5, "a", True, None, [1, (2, {"k": 3})], {1, 2}, np.uint64(2**63),
                  np.arange(6, dtype=np.int8).reshape(2, 3), np.zeros((0, 3)), 10**30):
        sent = json.loads(json.dumps(grade.encode(value, ())))
        back = grade.decode(sent, None)
        assert type(back) is type(value) and repr(back) == repr(value)
    assert grade.decode(grade.encode(..., ()), None) is ...
    for value in (object(), np.array([object()]), 1j):
        with pytest.raises(TypeError, match="is no number, array, list or function"):
            grade.encode(value, ())


def attempts(path):
    """The exercises of a chapter with their solutions and wrong answers."""
    notebook = nbformat.read(path, as_version=4)
    for exercise in grade.exercises_of(grade.read(path)):
        for kind, answer, due in run.answers(notebook, exercise.cell):
            yield exercise, kind, answer, due


@pytest.mark.notebooks
@pytest.mark.parametrize("path", [path for path in run.chapters()
                                  if path.name[:2] in ("03", "05")],
                         ids=lambda path: path.stem)
def test_every_answer_is_judged_as_in_the_notebook(path, monkeypatch):
    """Each solution is solved, each wrong answer gets its line.

    A sample; for the others, grade what `scripts/teach solutions` writes.
    """
    monkeypatch.chdir(path.parent)
    cells, namespace, begin = grade.read(path), {"__name__": "__main__"}, 0
    for exercise, kind, answer, due in attempts(path):
        for i, each in enumerate(cells[begin:exercise.cell], begin):
            if each["cell_type"] == "code":
                grade._run_ours(each, f"cell {i}", namespace)
        begin = exercise.cell
        verdict = grade.judge(exercise, [answer], namespace, 300, 2048)
        assert verdict.verdict == ("not yet" if kind == "wrong" else "solved"), (
            exercise.title, answer, verdict)
        if ".de" not in path.name:                      # the due replies are English
            assert due.removeprefix("Right. ") in verdict.said
