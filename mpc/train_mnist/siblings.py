"""Are `data` and `nn` the packages of this project? Other modules have these names too.

Python imports the first module that it finds, and it searches the current folder before
the installed packages: a file data.py there hides ours.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = str(Path(__file__).absolute().parents[2])


def insist(*names: str) -> None:
    """Raise `ImportError` unless the packages `names` are those beside this one.

    If ``python -m`` starts one of our commands, the command prints the same line and
    exits with status 2 instead. No code of the other module runs.
    """
    wrong = next((name for name in names if not _ours(name)), None)
    if wrong is None:
        return
    place = _place(wrong) or "nothing"
    line = (f"Python finds {place} instead of the package {wrong!r} in {ROOT}; "
            "rename or uninstall it, or start from another folder")
    if sys.argv[:1] != ["-m"]:      # the first word while Python looks for the command
        raise ImportError(line)
    print(f"train_mnist: {line}", file=sys.stderr)
    sys.exit(2)


def _ours(name: str) -> bool:
    due, found = os.path.join(ROOT, name), os.path.dirname(_place(name) or "")
    return os.path.realpath(found) == os.path.realpath(due)


def _place(name: str) -> str | None:
    """The file or folder that Python imports as `name`, or None."""
    module = sys.modules.get(name)
    if module is None:
        spec = find_spec(name)
        if spec is None:
            return None
        file, folders = spec.origin, spec.submodule_search_locations
    else:
        file = getattr(module, "__file__", None)
        folders = getattr(module, "__path__", None)
    return file or next(iter(folders or ()), "a module without a file")
