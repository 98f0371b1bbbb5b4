"""Are `data` and `nn` the packages of this project? Other modules go by these names too.

Python takes the first module of a name that it finds, and it looks in the current folder before it
looks at what is installed: a file data.py there stands in the way of ours.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[2])


def insist(*names):
    """Raise `ImportError` unless the packages of these `names` are those beside this one.

    Where a command of ours is starting, it ends instead, with status 2 and the line on what is
    wrong. Nothing of the other module is run.
    """
    wrong = next((name for name in names if not _ours(name)), None)
    if wrong is None:
        return
    line = (f"{_place(wrong) or 'nothing'} stands in the place of the package {wrong!r} in {ROOT}; "
            "rename or uninstall it, or start from another folder")
    command = getattr(getattr(sys.modules["__main__"], "__spec__", None), "name", "")
    if not command.startswith("mpc."):
        raise ImportError(line)
    print(f"{command.removeprefix('mpc.')}: {line}", file=sys.stderr)
    sys.exit(2)


def _ours(name):
    due, found = os.path.join(ROOT, name), os.path.dirname(_place(name) or "")
    return os.path.realpath(found) == os.path.realpath(due)


def _place(name):
    """The file that Python takes for the package `name`, its folder if it has none, or None."""
    module = sys.modules.get(name)
    if module is None:
        spec = find_spec(name)
        if spec is None:
            return None
        file, folders = spec.origin, spec.submodule_search_locations
    else:
        file, folders = getattr(module, "__file__", None), getattr(module, "__path__", None)
    return file or next(iter(folders or ()), "a module without a file")
