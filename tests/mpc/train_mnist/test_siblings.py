"""A user's own file called data or nn: reported in one line, and never run."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import data
import nn
from mpc.train_mnist import siblings

ROOT = Path(__file__).parents[3]
COMMANDS = "mpc.train_mnist", "mpc.train_mnist.costs"
SMALL = "--epochs 1 --train-items 2 --test-items 2".split()
CRASH = "raise RuntimeError('somebody ran this')\n"


def run(folder, *words):
    """A command in `folder`, with the packages installed behind it, as pip does."""
    (place := folder / "installed").mkdir()
    for package in ("mpc", "nn", "data"):
        (place / package).symlink_to(ROOT / package)
    (current := folder / "current").mkdir(exist_ok=True)
    env = os.environ | {"PYTHONPATH": str(place)}
    return subprocess.run([sys.executable, *words], cwd=current, env=env,
                          capture_output=True, text=True)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("file", [
    "data.py", "data/__init__.py", "nn.py", "nn/__init__.py"])
def test_a_command_says_which_file_stands_in_its_way(tmp_path, command, file):
    path = tmp_path / "current" / file
    path.parent.mkdir(parents=True)
    path.write_text(CRASH)
    done = run(tmp_path, "-m", command)
    name = Path(file).parts[0].removesuffix(".py")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"train_mnist: Python finds {path} instead of the package '{name}' in "
        f"{tmp_path}/installed; rename or uninstall it, or start from another folder\n")


@pytest.mark.parametrize("name", ["data", "nn", "mpc"])
def test_a_plain_folder_of_such_a_name_is_no_package_and_does_no_harm(tmp_path, name):
    (tmp_path / "current" / name).mkdir(parents=True)
    (tmp_path / "current" / name / "numbers.txt").touch()
    done = run(tmp_path, "-m", "mpc.train_mnist", *SMALL)
    assert (done.returncode, done.stderr) == (0, "")


def test_nor_does_it_where_the_packages_are_installed_from_a_clone():
    """The clone itself is on the path: a finder would come after the plain folder."""
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert "package_dir =\n    = .\n" in setup


@pytest.mark.parametrize("words, name", [("import data", "data"), ("import nn", "nn")])
def test_an_import_in_a_program_raises(tmp_path, words, name):
    (tmp_path / "current").mkdir()
    (tmp_path / "current" / f"{name}.py").touch()
    done = run(tmp_path, "-c", f"{words}\nfrom mpc import train_mnist")
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    file = f"{tmp_path}/current/{name}.py"
    assert last.startswith(f"ImportError: Python finds {file} instead of ")


def test_a_module_that_was_given_such_a_name_by_hand_is_noticed(monkeypatch):
    monkeypatch.setitem(sys.modules, "nn", torch_nn := types.ModuleType("torch.nn"))
    with pytest.raises(ImportError, match="^Python finds a module without .*'nn'"):
        siblings.insist("mpc", "data", "nn")
    torch_nn.__file__ = "/torch/nn/__init__.py"
    with pytest.raises(ImportError, match="^Python finds /torch/nn/__init__.py "):
        siblings.insist("nn")


def test_a_package_that_is_not_there_is_noticed():
    with pytest.raises(ImportError, match="^Python finds nothing instead .*'nowhere'"):
        siblings.insist("nowhere")


def test_ours_are_ours_behind_links_too(monkeypatch, tmp_path):
    siblings.insist("mpc", "data", "nn")
    (tmp_path / "data").symlink_to(Path(data.__file__).parent)
    monkeypatch.setattr(data, "__file__", str(tmp_path / "data" / "__init__.py"))
    siblings.insist("data")


def test_without_source_files_they_are_ours(monkeypatch):
    monkeypatch.setattr(nn, "__file__", nn.__file__ + "c")
    siblings.insist("nn")
