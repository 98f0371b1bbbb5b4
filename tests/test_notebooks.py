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
NUMBER = re.compile(r"\*\*[^\w\s*]*(\d[\d,.]*\d|\d)[^*\n]*\*\*")
CLAIM = re.compile(r"^ *(?:assert |exercises\.expect\().*", re.M)
TIME = re.compile(r"\*\*(?:Time|Zeit):\*\* (\d+) [a-zA-Z ]+, (\d+) ")
SOURCES = re.compile(r"^## (?:Further reading|Zum Weiterlesen)\n(.*)", re.M | re.S)


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


def shows_a_picture(cell):
    return any(len(kind) > 2 for kind in kinds(cell))


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
        right = attempt.kind in ("solution", "right")
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
        lines = run.DETAILS.sub("", cell.source).strip().splitlines()
        assert len(lines) <= (10 if cell.cell_type == "code" else 24), f"cell {i}"
        widths = [len(line) for line in cell.source.splitlines()
                  if "https://" not in line]
        assert max(widths, default=0) <= 100, f"cell {i}"


@each_chapter
def test_it_installs_the_package_and_sets_its_sizes_in_one_cell(path):
    first, *others = code(read(path))
    assert 'find_spec("mpc' in first.source
    assert "%pip install --quiet .. " in first.source       # from the clone
    assert sum(run.has_tag(cell, "parameters") for cell in others) == 1


@each_chapter
def test_every_picture_is_described_in_words_beside_it(path):
    notebook = read(path)
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and shows_a_picture(cell):
            assert run.caption(notebook, i), f"no *Figure: ...* for cell {i}"


@each_chapter
def test_a_picture_of_times_asserts_what_its_caption_claims(path):
    for i, cell in enumerate(read(path).cells):
        if run.has_tag(cell, "varies") and shows_a_picture(cell):
            assert re.search("^assert ", cell.source, re.M), f"cell {i}"


@each_chapter
def test_the_time_that_it_names_follows_from_its_words_code_and_exercises(path):
    original = path.with_name(path.name.replace(".de.", "."))
    said = TIME.search(read(path).cells[0].source)
    due = run.minutes(read(original))
    assert said and tuple(map(int, said.groups())) == due, f"{path.name}: {due}"


@each_chapter
def test_it_ends_with_three_to_six_sources_that_have_a_year_and_a_link(path):
    section = SOURCES.search(read(path).cells[-1].source)
    assert section, "the last cell has no section '## Further reading'"
    entries = re.split(r"^- ", section[1], flags=re.M)[1:]
    assert 3 <= len(entries) <= 6
    for entry in entries:
        assert re.search(r"\b(19|20)\d\d\b", entry), entry
        assert re.search(r"\]\(https://\S+\)", entry), entry


@each_chapter
def test_bold_numbers_of_the_text_are_asserted_in_the_next_code_cell(path):
    cells = read(path).cells
    for i, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            after = next((c.source for c in cells[i:] if c.cell_type == "code"), "")
            claims = "\n".join(CLAIM.findall(after))
            for number in NUMBER.findall(run.DETAILS.sub("", cell.source)):
                digits = re.escape(number.replace(",", ""))
                found = re.search(
                    rf"(?<![\d.]){digits}(?![\d.]*\d)", claims.replace("_", ""))
                assert found, f"cell {i}: **{number}** is asserted nowhere"


@each_chapter
def test_there_are_three_exercises_with_hint_solution_check_and_wrong_answers(path):
    cells = read(path).cells
    places = [i for i, cell in enumerate(cells) if run.has_tag(cell, "exercise")]
    assert len(places) >= 3
    for i in places:
        task = cells[i - 1].source
        assert re.match("### (Exercise|Aufgabe) ", task), f"cell {i}"
        assert re.search("<summary>(Hint|Tipp)</summary>", task), f"cell {i}"
        replies = [(kind, due) for kind, _, due in run.answers(read(path), i)]
        assert replies.count(("solution", "Right. ")) == 1, f"cell {i} has no solution"
        mistakes = {due for kind, due in replies if kind == "wrong"}
        assert len(mistakes) >= 3, f"cell {i} tries {len(mistakes)} kinds of mistakes"
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


def test_the_map_names_every_chapter_in_order_and_its_minutes():
    text = (run.FOLDER / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\((\d\d_\w+(?:\.de)?\.ipynb)\)", text)
    assert linked == [path.name for path in run.chapters()]
    rows = re.findall(r"^\| \[.*?\]\((\S+)\).*\| (\d+) \+ (\d+) \|$", text, re.M)
    assert [name for name, *_ in rows] == [n for n in linked if ".de." not in n]
    for name, to_read, for_exercises in rows:
        due = run.minutes(read(run.FOLDER / name))
        assert (int(to_read), int(for_exercises)) == due, name


# ------------------------------------------------------------------ words

# Terms that are everyday words, too, and may come before the chapter that explains them
EVERYDAY = {"common", "distance", "forecast", "opened", "protocol", "rule", "scale",
            "slope", "table", "turn", "unit"}


def terms():
    """Each term of the glossary: (name, the chapters that introduce it)."""
    page = (run.FOLDER.parent / "docs" / "GLOSSARY.md").read_text(encoding="utf-8")
    for line in page.splitlines():
        cells = [part.strip() for part in line.split("|")]
        if line.startswith("| **") and cells[2]:
            for name in re.findall(r"\*\*(.+?)\*\*", cells[1]):
                yield name, [int(n) for n in cells[2].split(",")]


def words(path):
    """The text of a chapter, without its code."""
    texts = [c.source for c in read(path).cells if c.cell_type == "markdown"]
    plain = str.maketrans({"{": "(", "}": ")", "*": None})
    return " ".join(" ".join(texts).split()).translate(plain)


@each_chapter
def test_no_term_comes_before_the_chapter_that_introduces_it(path):
    if ".de." in path.name:
        return
    here, text = int(path.name[:2]), words(path)
    early = []
    for name, chapters in terms():
        found = re.search(rf"(?<![\w`_./-]){re.escape(name)}s?(?![\w`_-])", text, re.I)
        if found and here < min(chapters) and name not in EVERYDAY:
            place = text[max(found.start() - 40, 0):found.end() + 20]
            early.append(f"{name}, of chapter {chapters[0]}, in: {place}")
        if here in chapters and not found:
            early.append(f"{name} is missing")
    assert not early, "\n".join(early)
