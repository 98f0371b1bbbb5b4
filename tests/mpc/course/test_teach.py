"""Handouts, solutions, slides, and the page for instructors."""

import doctest
import html.parser
import os
import re
import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the extra `notebooks`")
pytest.importorskip("nbclient", reason="needs the extra `notebooks`")
pytest.importorskip("matplotlib", reason="needs the extra `notebooks`")

from mpc.course import exercises, lab
from notebooks import lectures, run, teach

ROOT = run.FOLDER.parent
PAGE = (ROOT / "docs" / "TEACHING.md").read_text(encoding="utf-8")
each_chapter = pytest.mark.parametrize(
    "path", run.chapters(), ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def places(notebook):
    return [i for i, cell in enumerate(notebook.cells) if run.has_tag(cell, "exercise")]


# ------------------------------------------------------------------ notebooks


@each_chapter
def test_a_students_chapter_has_hints_and_placeholders_but_no_answers(path):
    before, after = read(path), teach.student(read(path))
    nbformat.validate(after)
    text = nbformat.writes(after)
    assert not re.search("<summary>(Solution|Lösung)|\"(wrong|right)\":", text)
    assert not [cell for cell in after.cells if cell.get("outputs")]
    for i in places(before):
        assert after.cells[i].source == before.cells[i].source
        answers = [answer for kind, answer, _ in run.answers(before, i)]
        task = after.cells[i - 1].source
        assert not [answer for answer in answers if answer in task]
        assert re.search("<summary>(Hint|Tipp)</summary>", task)
        assert task.count("<details>") == task.count("</details>") == 1


@each_chapter
def test_a_solved_chapter_has_each_solution_before_its_check(path):
    before, after = read(path), teach.solutions(read(path))
    nbformat.validate(after)
    for i, (old, new) in enumerate(zip(before.cells, after.cells, strict=True)):
        if i in places(before):
            solution = next(run.answers(before, i))[1]
            _, call = run.placeholder_and_check(old)
            assert new.source == f"{solution}\n\n{call}" and new.outputs == []
            compile(new.source, path.name, "exec")
        else:
            assert new == old
    assert not [cell for cell in after.cells if {"right", "wrong"} & set(cell.metadata)]


@pytest.mark.parametrize("words, names", [
    (["5"], ["05_who_sees_what"]),
    (["07"], ["07_mnist_training", "07_mnist_training.de"]),
    (["03_multiplying_secrets", "2"],
     ["03_multiplying_secrets", "02_the_decimal_point", "02_the_decimal_point.de"]),
    (["08_more_workers.ipynb"], ["08_more_workers"]),
    ([], [path.stem for path in run.chapters()])])
def test_chapters_are_named_by_number_or_file(words, names):
    assert [path.stem for path in teach.chosen(words)] == names


@pytest.mark.parametrize("words, due", [
    ([], teach.USAGE), (["everything"], teach.USAGE),
    (["student", "{}", "99"], "there is no chapter '99'; take a number such as 3"),
    (["student", "{}", "shares"], "there is no chapter 'shares'"),
    (["slides", "{}", "1"], "slides takes no chapters"),
])
def test_a_wrong_call_is_refused_in_one_line(tmp_path, capsys, words, due):
    folder = tmp_path / "new"
    assert teach.main([word.format(folder) for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"teach: {due}") and err.count("\n") == 1
    assert not folder.exists()


def test_nothing_is_overwritten(tmp_path, capsys):
    assert teach.main(["student", str(tmp_path), "5"]) == 0
    there = tmp_path / "05_who_sees_what.ipynb"
    there.write_text("mine")
    capsys.readouterr()
    assert teach.main(["student", str(tmp_path), "1", "5"]) == 2
    assert capsys.readouterr().err == (
        f"teach: {there} is there already; nothing was written\n")
    assert [path.name for path in tmp_path.iterdir()] == [there.name]
    assert there.read_text() == "mine"
    assert teach.main(["student", str(there)]) == 2             # a file, not a folder
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("words, due", [
    (["student"], "student {here}/student"), (["slides", "a/b"], "slides {here}/a/b"),
    (["solutions", "/nowhere", "1", "2"], "solutions /nowhere 1 2"), ([], "{here}/")])
def test_the_script_writes_into_the_callers_folder(tmp_path, words, due):
    python = tmp_path / "bin" / "python"        # a python that prints its arguments
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    done = subprocess.run([ROOT / "scripts" / "teach", *words], cwd=tmp_path,
                          env={**os.environ, "VENV": str(tmp_path)}, text=True,
                          capture_output=True, check=True)
    last = done.stdout.splitlines()[-1]
    assert last.split() == ["-m", "notebooks.teach",
                            *due.format(here=tmp_path).split()]


# ------------------------------------------------------------------ slides


class Slides(html.parser.HTMLParser):
    """The tags of a page: open ones must be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.tags, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.stack):
            self.words.append(data)


@pytest.mark.parametrize("name", lectures.LECTURES)
def test_a_lecture_needs_no_network_and_describes_every_picture(name):
    text = lectures.page(name)
    slides = Slides(text)
    assert slides.stack == []
    assert not re.search(r"https?:|url\(|@import|<link|<summary", text)
    images = [attrs for tag, attrs in slides.tags if tag == "img"]
    assert all(image["src"].startswith("data:image/") for image in images)
    assert all(image["alt"].strip() for image in images)
    said = "".join(slides.words)
    assert not re.search(r"\*\*|\$", said)
    chapters = [read(run.FOLDER / f"{c}.ipynb") for c in lectures.LECTURES[name][1]]
    titles = [title for chapter in chapters for cell in chapter.cells
              for title in re.findall(r"^#+ (.*)", cell.source, re.M)
              if cell.cell_type == "markdown"]
    assert [title for title in titles
            if title.replace("$", "") not in said.replace("$", "")] == []
    drawn = [image for image in images if "image/png" in image["src"]]
    stored = [output for chapter in chapters for cell in chapter.cells
              for output in cell.get("outputs", ())
              if "image/png" in output.get("data", {})]
    assert len(drawn) == len(stored) > 10


@pytest.mark.parametrize("text, due", [
    ("a *b* **c**\nd", "<p>a <em>b</em> <strong>c</strong>\nd</p>"),
    ("`a < *b*` & [c](d.md)", "<p><code>a &lt; *b*</code> &amp; c</p>"),
    ("- a\n- b\n  c", "<ul><li>a\n</li><li>b\n  c</li></ul>"),
    ("1. a\n2. b", "<ol><li>a\n</li><li>b</li></ol>"),
    ("```python\nx < 1\n\ny\n```", "<pre>x &lt; 1\n\ny</pre>"),
    ("    x\n    y", "<pre>x\ny</pre>"),
    ("| a | b |\n| --- | --- |\n| 1 | 2 |",
     "<table><tr><td>a</td><td>b</td></tr><tr><td>1</td><td>2</td></tr></table>"),
    ("a\n\nb", "<p>a</p>\n<p>b</p>"),
])
def test_markdown_becomes_html(text, due):
    assert lectures.blocks(text) == due


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
@pytest.mark.notebooks
def test_every_slide_fits_a_screen_and_keys_turn_them(tmp_path):
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    paths = teach.teach("slides", tmp_path, [])
    with api.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"),
                                          args=["--no-sandbox"])
        page = browser.new_page()
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        for path, (width, height) in product(paths, [(1280, 720), (1024, 768)]):
            page.set_viewport_size({"width": width, "height": height})
            page.goto(path.as_uri())
            for i in range(page.evaluate("slides.length")):
                page.wait_for_url(f"**#{i + 1}")
                assert page.evaluate(
                    "document.querySelector('section.now').scrollHeight") <= height
                page.keyboard.press("ArrowRight")
            page.keyboard.press("Home")
            page.wait_for_url("**#1")
        browser.close()
    assert all(url.startswith(("file:", "data:")) for url in asked)


# ------------------------------------------------------------------ the page


def test_every_answer_of_the_exam_is_computed():
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S))
    examples = doctest.DocTestParser().get_doctest(code, {}, "TEACHING", None, 0)
    said = []
    result = doctest.DocTestRunner().run(examples, out=said.append)
    assert not result.failed, "".join(said)
    assert result.attempted >= PAGE.count("**Exam.**") > 0


def test_the_feedback_that_the_page_quotes_is_that_of_the_checks():
    source = Path(exercises.__file__).read_text(encoding="utf-8")
    source = re.sub(r'"\s+f?"', "", source)             # join texts over lines
    chapters = PAGE.partition("## Chapter by chapter")[2].partition("## Two lec")[0]
    for chapter in re.split(r"^### ", chapters, flags=re.M)[1:]:
        misconceptions = chapter.split("On the board")[0]
        quoted = re.findall(r'"([^"]{12,})"', misconceptions)
        assert len(quoted) >= 3, chapter[:20]
        for text in (" ".join(text.split()) for text in quoted):
            assert text in source, text


def test_the_page_plans_every_chapter_with_its_minutes_and_has_true_names():
    for path in run.chapters():
        if ".de" not in path.name:
            chapter = read(path)
            title = chapter.cells[0].source.splitlines()[0].removeprefix("# ")
            plan = PAGE.partition(f"### {title} (")[2].partition("\n#")[0]
            assert "On the board" in plan and "**Exam.**" in plan, title
            for_class = int(plan.partition(" minutes")[0])
            assert 10 <= for_class - sum(run.minutes(chapter)) <= 20, title
    for name in re.findall(r"-m (mpc[\w.]+)", PAGE):
        assert (ROOT / name.replace(".", "/")).with_suffix(".py").exists() or (
            ROOT / name.replace(".", "/") / "__main__.py").exists()
    assert f"fill {len(lab.TASKS)} holes" in PAGE
    assert sum(map(int, re.findall(r"^\| (\d+) \|", PAGE, re.M))) == 2 * 90
