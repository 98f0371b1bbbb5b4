"""The package: its exports, its imports and the length of its modules."""

import ast
import sys
from pathlib import Path

import nn

MODULES = sorted(Path(nn.__file__).parent.glob("*.py"))


def imported(path):
    """The top-level packages that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0] if node.level == 0 else "nn"


def test_nn_imports_only_numpy_and_the_standard_library():
    found = {name for path in MODULES for name in imported(path)}
    assert "numpy" in found and found <= {"numpy", "nn"} | set(sys.stdlib_module_names)


def test_exported_names_are_the_public_ones():
    public = {name for name, item in vars(nn).items()
              if not name.startswith("_") and not isinstance(item, type(sys))}
    assert sorted(public) == sorted(nn.__all__)


def test_every_module_has_fewer_than_250_lines():
    for path in MODULES:
        assert len(path.read_text(encoding="utf-8").splitlines()) < 250, path.name


def test_no_module_depends_on_fixed_point():
    for path in MODULES:
        assert "FixedPoint" not in path.read_text(encoding="utf-8"), path.name
