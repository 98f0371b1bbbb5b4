"""The package as a whole: dependencies, layout, size, the wheel, and a true README."""

import ast
import configparser
import doctest
import io
import os
import re
import shutil
import subprocess
import sys
import tokenize
import zipfile
from pathlib import Path

import pytest
from mpi_runs import Started, in_processes, program

import mpc
from mpc import train_mnist
from mpc.train_mnist.forecast import forecast_parser
from mpc.train_mnist.options import parser

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGES = ("mpc", "nn", "data")
SOURCES = [path for package in PACKAGES
           for path in sorted((ROOT / package).rglob("*.py"))]
OTHERS = [path for folder in ("benchmarks", "docs", "examples", "notebooks", "tests")
          for path in sorted((ROOT / folder).rglob("*.py"))]
# The front room teaches the lesson. Each module imports only modules before it.
FRONT = ("tiny limbs ring randomness masks share ledger seals world beaver truncation "
         "securenn carry_tree comparison public encoding public_factors functions "
         "sorting array_functions fixed_point program").split()
TABLE = "mpc.array_functions"       # of NumPy's functions, which nn takes from mpc
LIBRARY = {"array_functions", "functions", "sorting"}   # beside the lesson
# The side rooms. Each imports only the front room and the rooms before it.
ROOMS = ("transport", "audit", "privacy", "train_mnist", "predict", "course")
# What a module may import inside a function.
SIDE_DOORS = {"fixed_point": {"audit"}}
DRAWS, FASTER, MPI = {"matplotlib"}, {"threadpoolctl"}, {"mpi4py"}
EXTRAS = {"mpc.course.graph": DRAWS, "mpc.course.pictures": DRAWS,
          "mpc.course.sliders": DRAWS | {"ipywidgets"},
          "mpc.predict.pictures": DRAWS,
          "mpc.transport.blas": FASTER, "mpc.transport.mpi": MPI}
MOST_CODE = 2450        # lines of code of the front room, without tiny and the library


@pytest.fixture(scope="module")
def setup():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def blocks(language):
    """The contents of the README's fenced blocks of this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


def name_of(path):
    """The module in a file of the three packages, in full."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def imported(path, top_level=False):
    """The modules that a file imports, in full; ``from a import b`` is a and a.b.

    Only those that it imports outside functions if `top_level`.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = [path.parent.name] * bool(node.level)
            base = ".".join(package + [node.module] * bool(node.module))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def room_of(name):
    """The place in ROOMS of a module of mpc; -1 for the front room."""
    folder = name.split(".")[1]
    return ROOMS.index(folder) if folder in ROOMS else -1


def code_lines(path):
    """The number of lines with code: no docstring, comment or blank line."""
    source = path.read_text(encoding="utf-8")
    blank = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT,
             tokenize.DEDENT, tokenize.ENDMARKER)
    lines = {line for token in tokenize.generate_tokens(io.StringIO(source).readline)
             if token.type not in blank
             for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            if ast.get_docstring(node) is not None:
                lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


# ------------------------------------------------------------------ metadata


def test_there_are_three_dependencies_at_run_time(setup):
    needed = setup["options"]["install_requires"].split()
    names = [re.split("[>=<~!]", line)[0] for line in needed]
    assert names == ["numpy", "scipy", "idx2numpy"]


def test_name_python_and_extras(setup):
    assert setup["metadata"]["name"] == "mpc-numpy"
    assert setup["options"]["python_requires"] == ">=3.10"
    assert {"test", "notebooks", "mpi", "bench", "check"} <= set(
        setup["options.extras_require"])


def test_every_folder_with_modules_is_a_package_of_the_wheel(setup):
    folders = {name_of(path.parent / "__init__.py") for path in SOURCES}
    assert set(setup["options"]["packages"].split()) == folders


def test_there_is_one_version(setup):
    """That of the metadata, in the package and at the top of the changelog."""
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changes, re.M)
    assert newest[1] == mpc.__version__ == setup["metadata"]["version"]


# ------------------------------------------------------------------ layout


def test_the_rooms_of_mpc_are_those_of_the_layout():
    inside = {name_of(path).split(".")[1] for path in SOURCES
              if name_of(path).startswith("mpc.")}
    assert inside == {*FRONT, *ROOMS}, "give the new module its place in FRONT"


def test_nn_and_data_import_neither_each_other_nor_mpc():
    """Nor does mpc import them, except the overture and the rooms that train.

    nn and mpc share the table of NumPy's functions, which knows nothing of secrets.
    """
    for path in SOURCES:
        package, *inside = name_of(path).split(".")
        found = {name.split(".")[0] for name in imported(path)
                 if package != "nn" or not name.startswith(TABLE)} & set(PACKAGES)
        due = {package}
        if inside[:1] == ["tiny"]:
            due = {"data"}
        elif inside and inside[0] in ("train_mnist", "predict", "course"):
            due = set(PACKAGES)
        assert found <= due, f"{name_of(path)} imports {found - due}"


@pytest.mark.parametrize("name", FRONT)
def test_a_module_of_the_front_room_imports_only_those_before_it(name):
    path = ROOT / "mpc" / f"{name}.py"
    found = {module for module in imported(path) if module.startswith("mpc.")}
    inside = found - set(imported(path, top_level=True))
    found -= {module for module in inside
              if module.split(".")[1] in SIDE_DOORS.get(name, ())}
    above = {module.split(".")[1] for module in found} - set(FRONT[:FRONT.index(name)])
    assert not above, f"{name} imports {above}"


@pytest.mark.parametrize("room", ROOMS)
def test_a_side_room_imports_only_the_front_room_and_those_before_it(room):
    for path in (ROOT / "mpc" / room).rglob("*.py"):
        for module in imported(path):
            if module.startswith("mpc."):
                assert room_of(module) <= ROOMS.index(room), f"{path} imports {module}"


def test_mpc_itself_imports_no_command_and_no_course():
    found = {module for module in imported(ROOT / "mpc" / "__init__.py")
             if module.startswith("mpc.")}
    assert {room_of(module) for module in found} <= {-1, 0, 1}


def test_nobody_imports_a_main_module():
    for path in [*SOURCES, *OTHERS]:
        assert not [name for name in imported(path) if name.endswith("__main__")], path


def test_nothing_is_imported_but_the_dependencies_and_the_standard_library():
    """Except matplotlib for pictures, mpi4py for MPI, threadpoolctl if installed."""
    allowed = {*PACKAGES, "numpy", "scipy", "idx2numpy", *sys.stdlib_module_names}
    for path in SOURCES:
        extra = EXTRAS.get(name_of(path), set())
        found = {name.split(".")[0] for name in imported(path)}
        assert found <= allowed | extra, path


def test_without_the_extra_mpi_everything_can_be_imported():
    code = ("import sys; sys.modules['mpi4py'] = None; "
            "import mpc.transport.mpi, mpc.train_mnist.costs")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_no_generator_of_numpy_is_near_a_mask():
    """They draw initial weights and, in attacks, the masks that an attack sees through.

    The overture, which protects nothing, says at its top that its masks come from one.
    """
    for path in SOURCES:
        package, room, *_ = *name_of(path).split("."), ""
        may = "tiny", "audit", "train_mnist", "predict", "course"
        if package == "mpc" and room not in may:
            assert "np.random" not in path.read_text(encoding="utf-8"), path


# ------------------------------------------------------------------ size


def test_the_front_room_is_small():
    lines = {path.name: code_lines(path) for path in (ROOT / "mpc").glob("*.py")
             if path.stem not in {"tiny", *LIBRARY}}
    assert sum(lines.values()) <= MOST_CODE, lines


def test_lines_have_at_most_88_columns():
    long = [f"{path.relative_to(ROOT)}:{i}" for path in [*SOURCES, *OTHERS]
            for i, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            if len(line) > 88]
    assert not long, f"{len(long)} lines: {' '.join(long)}"


# ------------------------------------------------------------------ the README


def test_the_code_of_the_readme_prints_the_output_shown():
    code = "\n".join(blocks("python"))
    name = "README.md"
    examples = doctest.DocTestParser().get_doctest(code, {}, name, name, 0)
    said = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    result = runner.run(examples, out=said.append)
    assert result.attempted >= 10 and not result.failed, "".join(said)


@in_processes
def test_the_program_of_the_readme_runs_with_and_without_mpi(tmp_path, monkeypatch):
    text, = (block for block in blocks("python") if "make_world" in block)
    for name, lines in (("alice", "1.5\n2\n"), ("bob", "4\n")):
        (tmp_path / f"{name}.txt").write_text(lines)
    monkeypatch.chdir(tmp_path)
    words = program(tmp_path / "folder", text)
    status, out, err = Started((4, words)).ends()
    assert (status, out, err) == (0, "alice: largest 4.0, mean 2.5\n", "")
    exec(compile(text, "README.md", "exec"), {})


def test_the_commands_of_the_readme_are_those_that_are_run():
    train, test, course, others, roles, own = blocks("sh")
    assert own == (".venv/bin/mpiexec -n 4 .venv/bin/python -m mpc.transport.mpi "
                   "PROGRAM.py\n")
    assert train == ("python3 -m venv .venv && "
                     ".venv/bin/python -m pip install -e . && \\\n"
                     ".venv/bin/python -m mpc.train_mnist\n")
    assert test == "scripts/test\n"
    assert os.access(ROOT / "scripts" / "test", os.X_OK)
    assert "-e '.[notebooks]'" in course and "-m jupyterlab notebooks/01_" in course
    install, *starts = roles.splitlines()
    assert install == ".venv/bin/python -m pip install -e '.[mpi]'"
    started = re.findall(r"-n \d+ ([^:\n]*)", "\n".join(starts))
    assert len(started) == 4
    for line in [*others.splitlines(), *started]:
        python, _, module, *words = line.partition("#")[0].split()
        assert python == ".venv/bin/python"
        if module == "mpc.train_mnist.costs":
            assert words[:1] in ([], ["forecast"])
            forecast_parser().parse_args(words[1:])
        elif module == "mpc.predict":
            assert words[0] == "--model" and words[2] == "test:0-9"
        elif module != "data.mnist":
            assert module == "mpc.train_mnist"
            parser().parse_args(words)


def test_every_command_of_the_readme_names_the_environments_python():
    assert README.count("python -m ") == README.count(".venv/bin/python -m ") > 5


def test_no_command_needs_a_variable():
    scripts = (path.read_text(encoding="utf-8")
               for path in (ROOT / "scripts").iterdir())
    assert not [text for text in (README, *scripts) if "NUM_THREADS=" in text]


def test_the_map_in_the_readme_has_every_module_of_the_front_room_and_every_room():
    named = re.findall(r"^\|.*?\]\(mpc/(\w+)(?:\.py)?\)", README, re.M)
    assert sorted(named) == sorted([*FRONT, *ROOMS])


def test_the_output_in_the_readme_is_of_todays_form():
    options = parser().parse_args("--train-items 64 --test-items 2 --epochs 2".split())
    lines = []
    lines += train_mnist.report(train_mnist.train(options, lines.append), options)
    first, tested, *_ = real = [re.sub(r" *[\d,.]+", "#", line) for line in lines]
    shown = [re.sub(r" *[\d,.]+", "#", line) for line in blocks("text")[0].splitlines()
             if line != "..."]
    assert shown == [first, first, tested, first, tested, *real[4:]]


def test_pictures_and_files_that_the_readme_names_are_there():
    names = re.findall(r"\]\((?!http)([^)#]+)", README)
    assert names and all((ROOT / name).exists() for name in names), names


@pytest.mark.parametrize("words, due", [
    ((), "docs/pictures"), (("new/pictures",), "{here}/new/pictures"),
    (("/nowhere",), "/nowhere")])
def test_pictures_are_drawn_into_the_callers_folder(tmp_path, words, due):
    python = tmp_path / "bin" / "python"        # a python that prints its arguments
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    script = str(ROOT / "scripts" / "pictures")
    out = run([script, *words], tmp_path, VENV=str(tmp_path))
    assert out.splitlines()[-1].split() == [
        "docs/pictures/draw_shares.py", due.format(here=tmp_path)]


# ------------------------------------------------------------------ the wheel


def run(command, cwd, **variables):
    """Run a command line as a newcomer would; its output."""
    ours = "MNIST_DIR", "PYTHONPATH", "VENV", "VIRTUAL_ENV", "PYTEST_ADDOPTS"
    env = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        command, shell=isinstance(command, str), cwd=cwd, env=env | variables,
        capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the tree without generated files."""
    made = shutil.ignore_patterns(
        ".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".hypothesis",
        ".*_cache")
    folder = tmp_path_factory.mktemp("copy") / "clone"
    return Path(shutil.copytree(ROOT, folder, ignore=made))


@pytest.mark.slow
def test_a_wheel_has_the_three_packages_the_data_and_the_licences(
        clone, tmp_path, setup):
    """And nothing else; built from the source distribution, as for a release."""
    run([sys.executable, "-m", "build", "--outdir", str(tmp_path)], clone)
    wheel, = tmp_path.glob("mpc_numpy-*-py3-none-any.whl")
    info = f"mpc_numpy-{setup['metadata']['version']}.dist-info"
    data_files = sorted(path.name for path in (ROOT / "data" / "mnist").iterdir())
    assert len([name for name in data_files if name.endswith(".gz")]) == 4
    assert sorted(zipfile.ZipFile(wheel).namelist()) == sorted([
        *(str(path.relative_to(ROOT)) for path in SOURCES),
        *(f"{package}/py.typed" for package in PACKAGES), "mpc/course/play.html",
        *(f"data/mnist/{name}" for name in data_files),
        *(f"{info}/licenses/{name}" for name in ("LICENSE", "data/mnist/LICENSE")),
        *(f"{info}/{name}"
          for name in ("METADATA", "RECORD", "WHEEL", "top_level.txt"))])

    run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check",
         "--no-deps", "--target", str(tmp_path / "installed"), str(wheel)], tmp_path)
    code = ("import data, mpc.train_mnist.costs; print(data.__file__); "
            "print(*(len(data.load_mnist(s)[0]) for s in ('train', 'test')))")
    path, counts = run([sys.executable, "-c", code], tmp_path,
                       PYTHONPATH=str(tmp_path / "installed")).splitlines()
    assert path.startswith(str(tmp_path)) and counts == "6400 1280"


@pytest.mark.slow
def test_the_first_command_of_the_readme_learns(clone):
    """Two of its ten epochs: half of the digits are recognised by then."""
    command = f"set -e\n{blocks('sh')[0].rstrip()} --epochs 2"
    out = run(command, clone, PIP_NO_COMPILE="1")
    line = r"^Accuracy after 2 epochs: \d+/640 \((.*) %\)$"
    accuracy, = re.findall(line, out, re.M)
    assert float(accuracy) >= 45
