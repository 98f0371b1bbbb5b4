"""The package as a whole: what it needs, what a wheel of it holds, and that the README is true."""

import ast
import configparser
import doctest
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mpc import train_mnist
from mpc.train_mnist.forecast import forecast_parser
from mpc.train_mnist.options import parser

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGES = ("mpc", "nn", "data")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).glob("*.py"))]
# A module of mpc imports only modules that stand before it here.
ORDER = ("tiny threads siblings console ring randomness tags ledger masks share link world "
         "views provider beaver truncation securenn carry_tree comparison argmax checked "
         "encoding either fixed_point labs guard mpi save options train_mnist costs forecast "
         "show graph exercises").split()
COMMANDS = ("train_mnist", "costs", "forecast")     # modules that bring all three packages together
OVERTURE = "tiny"               # stands alone: NumPy and the digits, nothing else of mpc


@pytest.fixture(scope="module")
def setup():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def blocks(language):
    """The contents of the README's fenced blocks of this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


def imported(path):
    """The modules that a file imports, in full; ``from a import b`` counts as a and a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = [path.parent.name] * bool(node.level)
            base = ".".join(package + [node.module] * bool(node.module))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


# ---------------------------------------------------------------------- metadata


def test_there_are_three_dependencies_at_run_time(setup):
    needed = setup["options"]["install_requires"].split()
    assert [re.split("[>=<~!]", line)[0] for line in needed] == ["numpy", "scipy", "idx2numpy"]


def test_name_python_and_extras(setup):
    assert setup["metadata"]["name"] == "mpc-numpy"
    assert setup["options"]["python_requires"] == ">=3.10"
    assert {"test", "notebooks", "mpi", "bench"} <= set(setup["options.extras_require"])


def test_the_changelog_ends_at_the_version(setup):
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert newest[1] == setup["metadata"]["version"]


# ---------------------------------------------------------------------- source


def test_imports_point_downward():
    allowed = {"nn": {"nn"}, "data": {"data"}, "mpc": {"mpc"}}
    for path in SOURCES:
        found = {name.split(".")[0] for name in imported(path)} & set(PACKAGES)
        due = set(PACKAGES) if path.stem in (*COMMANDS, "exercises") else allowed[path.parent.name]
        due = {"data"} if path.stem == OVERTURE else due
        assert found <= due, f"{path.parent.name}/{path.name} imports {found - due}"


def test_inside_mpc_they_point_downward_too():
    modules = {path.stem: path for path in SOURCES if path.parent.name == "mpc"}
    del modules["__init__"]
    assert set(modules) == set(ORDER), "give the new module its place in ORDER"
    for name, path in modules.items():
        found = {part.split(".")[1] for part in imported(path) if part.startswith("mpc.")}
        above = set(ORDER[:ORDER.index(name)])
        assert found & set(modules) <= above, f"{name} imports {found & set(modules) - above}"


def test_nothing_is_imported_but_the_dependencies_and_the_standard_library():
    """But for matplotlib in the one module that draws, mpi4py in that of MPI, and threadpoolctl."""
    allowed = {*PACKAGES, "numpy", "scipy", "idx2numpy", *sys.stdlib_module_names}
    for path in SOURCES:
        extra = {"show": {"matplotlib"}, "mpi": {"mpi4py"},
                 "threads": {"threadpoolctl"}}.get(path.stem, set())
        assert {name.split(".")[0] for name in imported(path)} <= allowed | extra, path.name


def test_without_the_extra_mpi_everything_can_be_imported():
    code = "import sys; sys.modules['mpi4py'] = None; import mpc.transport.mpi, mpc.train_mnist, mpc.train_mnist.forecast"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_no_generator_of_numpy_is_near_a_mask():
    """They choose initial weights and, in labs, the masks that an attack then sees through.

    The overture, which protects nothing, says at its top that it takes its masks from one.
    """
    for name in ORDER[ORDER.index(OVERTURE) + 1:ORDER.index("labs")]:
        assert "np.random" not in (ROOT / "mpc" / f"{name}.py").read_text(encoding="utf-8"), name


def test_lines_have_at_most_100_columns():
    others = [*(ROOT / "docs").rglob("*.py"), ROOT / "notebooks" / "run.py"]
    long = [f"{path.relative_to(ROOT)}:{i}" for path in [*SOURCES, *others]
            for i, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            if len(line) > 100]
    assert not long, f"{len(long)} lines: {' '.join(long)}"


# ---------------------------------------------------------------------- the README


def test_the_code_of_the_readme_prints_what_it_shows():
    examples = doctest.DocTestParser().get_doctest("\n".join(blocks("python")), {}, "README.md",
                                                   "README.md", 0)
    said = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=said.append)
    assert result.attempted >= 10 and not result.failed, "".join(said)


def test_the_commands_of_the_readme_are_those_that_are_run():
    train, test, course, others, roles = blocks("sh")
    assert train == ("python3 -m venv .venv && .venv/bin/python -m pip install -e . && \\\n"
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
        elif module != "data.mnist":
            assert module == "mpc.train_mnist"
            parser().parse_args(words)


def test_every_command_of_the_readme_names_the_environments_python():
    assert README.count("python -m ") == README.count(".venv/bin/python -m ") > 5


def test_no_command_needs_a_variable():
    texts = README, *(path.read_text(encoding="utf-8") for path in (ROOT / "scripts").iterdir())
    assert not [text for text in texts if re.search(r"NUM_THREADS=", text)]


def test_the_map_in_the_readme_has_every_module_in_reading_order():
    named = re.findall(r"\]\(mpc/(\w+)\.py\)", README)
    assert named == ORDER


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


@pytest.mark.parametrize("words, due", [((), "docs/pictures"), (("new/pictures",),
                         "{here}/new/pictures"), (("/nowhere",), "/nowhere")])
def test_pictures_are_drawn_into_the_callers_folder(tmp_path, words, due):
    python = tmp_path / "bin" / "python"            # a python that says what it is asked to do
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    out = run([str(ROOT / "scripts" / "pictures"), *words], tmp_path, VENV=str(tmp_path))
    assert out.splitlines()[-1].split() == ["docs/pictures/draw_shares.py",
                                            due.format(here=tmp_path)]


# ---------------------------------------------------------------------- the wheel


def run(command, cwd, **variables):
    """Run a command line as a newcomer would; its output."""
    env = {name: value for name, value in os.environ.items()
           if name not in ("MNIST_DIR", "PYTHONPATH", "VENV", "VIRTUAL_ENV", "PYTEST_ADDOPTS")}
    done = subprocess.run(command, shell=isinstance(command, str), cwd=cwd, env=env | variables,
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the tree without what is made in it."""
    made = shutil.ignore_patterns(".git", ".venv", "build", "dist", "*.egg-info", "__pycache__",
                                  ".hypothesis", ".pytest_cache")
    return Path(shutil.copytree(ROOT, tmp_path_factory.mktemp("copy") / "clone", ignore=made))


@pytest.mark.slow
def test_a_wheel_holds_the_three_packages_the_data_and_the_licences(clone, tmp_path, setup):
    """And nothing else; built by way of the source distribution, as for a release."""
    run([sys.executable, "-m", "build", "--outdir", str(tmp_path)], clone)
    wheel, = tmp_path.glob("mpc_numpy-*-py3-none-any.whl")
    info = f"mpc_numpy-{setup['metadata']['version']}.dist-info"
    data_files = sorted(path.name for path in (ROOT / "data" / "mnist").iterdir())
    assert len([name for name in data_files if name.endswith(".gz")]) == 4
    assert sorted(zipfile.ZipFile(wheel).namelist()) == sorted([
        *(f"{path.parent.name}/{path.name}" for path in SOURCES),
        *(f"data/mnist/{name}" for name in data_files),
        *(f"{info}/licenses/{name}" for name in ("LICENSE", "data/mnist/LICENSE")),
        *(f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "top_level.txt"))])

    run([sys.executable, "-m", "venv", str(tmp_path / "venv")], tmp_path)
    python = str(tmp_path / "venv" / "bin" / "python")
    run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", str(wheel)], tmp_path)
    printed = run([python, "-c", "import data, mpc, nn; print(data.__file__); "
                                 "print(*(len(data.load_mnist(s)[0]) for s in ('train', 'test')))"],
                  tmp_path)
    path, counts = printed.splitlines()
    assert path.startswith(str(tmp_path)) and counts == "6400 1280"


@pytest.mark.slow
def test_the_first_command_of_the_readme_learns(clone):
    out = run("set -e\n" + blocks("sh")[0], clone)
    accuracy, = re.findall(r"^Accuracy after 10 epochs: \d+/640 \((.*) %\)$", out, re.M)
    assert float(accuracy) >= 73
