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
            inner = node.module if node.module and node.module.startswith("mpc") else ""
            yield "nn" if node.level else inner or node.module.split(".")[0]


def test_nn_imports_only_numpy_the_standard_library_and_the_table_of_functions():
    found = {name for path in MODULES for name in imported(path)}
    allowed = {"numpy", "nn", "mpc.array_functions", *sys.stdlib_module_names}
    assert "numpy" in found and found <= allowed


def test_exported_names_are_the_public_ones():
    public = {name for name, item in vars(nn).items()
              if not name.startswith("_") and not isinstance(item, type(sys))}
    assert sorted(public) == sorted(nn.__all__)


def test_every_module_has_fewer_than_300_lines():
    for path in MODULES:
        assert len(path.read_text(encoding="utf-8").splitlines()) < 300, path.name


def test_no_module_depends_on_fixed_point():
    for path in MODULES:
        assert "FixedPoint" not in path.read_text(encoding="utf-8"), path.name
