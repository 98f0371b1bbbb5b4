"""The course: notebooks run and are stored as they run; exercises judge correctly.

`scripts/test -m notebooks` starts a kernel for each chapter; the fast suite checks the
files alone.
"""

import io
import re
import tokenize

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the extra `notebooks`")
pytest.importorskip("nbclient", reason="needs the extra `notebooks`")

from notebooks import run

each_chapter = pytest.mark.parametrize(
    "path", run.chapters(), ids=lambda path: path.stem)
DETAILS = re.compile(r"<details>.*?</details>", re.S)
NUMBER = re.compile(r"\*\*[^\w\s*]*(\d[\d,.]*\d|\d)[^*\n]*\*\*")
FIGURE = re.compile(r"^\*(Figure|Bild): .{20,}?\*$", re.M | re.S)


def read(path):
    return nbformat.read(path, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(cell):
    """The outputs of a cell in order: images by kind, everything else as text."""
    shown = []
    for output in cell.outputs:
        data = output.get("data", {})
        image = [kind for kind in data if kind.startswith("image/")]
        text = output.get("text", data.get("text/plain", ""))
        text = "" if run.has_tag(cell, "varies") else text
        shown.append((output.output_type, *image, text))
    return shown


def errors(cell):
    return [o for o in cell.outputs
            if o.output_type == "error" or o.get("name") == "stderr"]


# ------------------------------------------------------------------ with a kernel


@pytest.mark.notebooks
@each_chapter
def test_it_runs_as_it_is_stored_and_its_checks_judge_correctly(path):
    fresh, attempts = run.execute(path)
    stored = read(path)
    for i, (old, new) in enumerate(zip(stored.cells, fresh.cells, strict=True)):
        if new.cell_type == "code":
            remedy = f"cell {i} is stale; run scripts/notebooks {path.name}"
            assert not errors(new), f"cell {i} fails: {errors(new)}"
            assert kinds(old) == kinds(new), remedy
    for attempt in attempts:
        assert attempt.due in attempt.said, attempt
        assert len(attempt.said.strip().splitlines()) == 1, attempt
        right = attempt.kind == "solution"
        assert attempt.said.startswith("Right. " if right else "Not yet: ")


# ------------------------------------------------------------------ from the file alone


@each_chapter
def test_every_cell_is_stored_executed_in_order_and_clean(path):
    notebook = read(path)
    counts = [cell.execution_count for cell in code(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    assert not [error for cell in code(notebook) for error in errors(cell)]
    again = nbformat.writes(run.clean(read(path))) + "\n"
    remedy = f"run scripts/notebooks {path.name}"
    assert path.read_text(encoding="utf-8") == again, remedy
    assert path.stat().st_size < 1.5e6
    assert notebook.metadata.kernelspec.name == "python3"


@each_chapter
def test_cells_are_short_and_lines_fit(path):
    for i, cell in enumerate(read(path).cells):
        lines = DETAILS.sub("", cell.source).strip().splitlines()
        assert len(lines) <= (10 if cell.cell_type == "code" else 24), f"cell {i}"
        assert max(map(len, cell.source.splitlines())) <= 100, f"cell {i}"


@each_chapter
def test_it_installs_the_package_and_sets_its_sizes_in_one_cell(path):
    first, *others = code(read(path))
    assert 'find_spec("mpc")' in first.source
    assert "%pip install --quiet .. " in first.source       # from the clone
    assert sum(run.has_tag(cell, "parameters") for cell in others) == 1


@each_chapter
def test_every_picture_is_described_in_words_beside_it(path):
    cells = read(path).cells
    for i, cell in enumerate(cells):
        if cell.cell_type == "code" and any(len(kind) > 2 for kind in kinds(cell)):
            beside = [other.source for other in cells[i - 1:i + 2:2]
                      if other.cell_type == "markdown"]
            found = any(FIGURE.search(text) for text in beside)
            assert found, f"no *Figure: ...* for cell {i}"


@each_chapter
def test_bold_numbers_of_the_text_are_asserted_in_the_next_code_cell(path):
    cells = read(path).cells
    for i, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            after = next((c.source for c in cells[i:] if c.cell_type == "code"), "")
            claims = "\n".join(re.findall(r"^ *assert .*", after, re.M))
            for number in NUMBER.findall(DETAILS.sub("", cell.source)):
                digits = re.escape(number.replace(",", ""))
                found = re.search(
                    rf"(?<![\d.]){digits}(?![\d.]*\d)", claims.replace("_", ""))
                assert found, f"cell {i}: **{number}** is asserted nowhere"


@each_chapter
def test_there_are_three_exercises_with_hint_solution_check_and_a_wrong_answer(path):
    cells = read(path).cells
    places = [i for i, cell in enumerate(cells) if run.has_tag(cell, "exercise")]
    assert len(places) >= 3
    for i in places:
        task = cells[i - 1].source
        assert re.match("### (Exercise|Aufgabe) ", task), f"cell {i}"
        assert re.search("<summary>(Hint|Tipp)</summary>", task), f"cell {i}"
        found = dict.fromkeys(kind for kind, *_ in run.answers(read(path), i))
        assert list(found) == ["solution", "wrong"], f"cell {i} has {list(found)}"
        placeholder, call = run.placeholder_and_check(cells[i])
        assert "..." in placeholder and call.startswith("exercises."), f"cell {i}"


def bare(cell):
    """The tokens of a cell, without the comments and texts that translators change."""
    tokens = tokenize.generate_tokens(io.StringIO(cell.source).readline)
    texts = ("COMMENT", "NL", "STRING", "FSTRING_START", "FSTRING_MIDDLE",
             "FSTRING_END")
    return [token.string for token in tokens
            if tokenize.tok_name[token.type] not in texts]


@pytest.mark.parametrize(
    "path", sorted(run.FOLDER.glob("*.de.ipynb")), ids=lambda path: path.stem)
def test_a_translation_has_the_code_of_its_original(path):
    original = code(read(path.with_name(path.name.replace(".de.", "."))))
    translated = code(read(path))
    assert [bare(cell) for cell in translated] == [bare(cell) for cell in original]
    for mine, its in zip(translated, original, strict=True):
        assert mine.metadata == its.metadata


def test_the_map_names_every_chapter_in_order():
    text = (run.FOLDER / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\((\d\d_\w+(?:\.de)?\.ipynb)\)", text)
    assert linked == [path.name for path in run.chapters()]
