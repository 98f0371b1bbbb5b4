"""One thread for a product of matrices, by every way in, unless the user asks for more."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import threadpoolctl

from mpc.transport import blas

ROOT = Path(__file__).parents[3]
CORES = blas._cores()
REPORT = ("import threadpoolctl; print('threads', *(lib['num_threads'] for lib in "
          "threadpoolctl.threadpool_info() if lib['user_api'] == 'blas'))")
HIDDEN = "import sys; sys.modules['threadpoolctl'] = None; "
SHOWN = "; del sys.modules['threadpoolctl']"
SMALL = "--epochs 1 --train-items 2 --test-items 2"
COMMANDS = {"mpc.train_mnist": SMALL, "mpc.train_mnist.forecast": SMALL, "mpc.train_mnist.costs": "", "data.mnist": "--help"}


def python(code, *words, **variables):
    """What a fresh interpreter prints to both outputs, with these variables and no others."""
    env = {name: value for name, value in os.environ.items() if name not in blas.VARIABLES}
    done = subprocess.run([sys.executable, *words, "-c", code], env=env | variables, cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def threads_of(code, **variables):
    """How many threads BLAS has after `code`, in which nothing may be said."""
    out, err = python(f"{code}\n{REPORT}", "-W", "error", **variables)
    assert err == ""
    name, count = out.splitlines()[-1].split()
    assert name == "threads"
    return int(count)


def default():
    """The threads of a NumPy that is left alone."""
    return threads_of("import numpy")


def imports(notebook):
    """The cell of a notebook that imports NumPy."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return next(source for source in sources if "import numpy" in source)


# ---------------------------------------------------------------------- every way in


@pytest.mark.parametrize("code", [
    "import mpc", "import mpc, numpy", "import numpy, mpc", "import numpy as np\nimport mpc",
    "import mpc, nn", "import nn, mpc", "import data, mpc", "import mpc.ring", "import mpc.transport.mpi",
    "from mpc import World", "import numpy\nfrom mpc.fixed_point import fix_precision",
    f"{HIDDEN}import mpc, numpy{SHOWN}"])
def test_an_import_of_mpc_leaves_one_thread(code):
    assert threads_of(code) == 1


@pytest.mark.parametrize("module", COMMANDS)
def test_a_command_computes_with_one_thread(module):
    words = [module, *COMMANDS[module].split()]
    code = (f"import runpy, sys; sys.argv = {words}\n"
            f"try: runpy.run_module({module!r}, run_name='__main__', alter_sys=True)\n"
            "except SystemExit as stop: assert not stop.code")
    if module == "data.mnist":              # no products, and no word of mpc
        code += "; assert 'mpc' not in sys.modules; import mpc"
    assert threads_of(code) == 1


CELLS = sorted({imports(path) for path in (ROOT / "notebooks").glob("*.ipynb")})


@pytest.mark.parametrize("cell", CELLS)
def test_a_notebook_computes_with_one_thread(cell):
    assert threads_of(cell) == 1


def test_these_tests_compute_with_as_many_as_they_were_told():
    found = [library["num_threads"] for library in threadpoolctl.threadpool_info()
             if library["user_api"] == "blas"]
    assert set(found) == {int(os.environ["OPENBLAS_NUM_THREADS"])}


@pytest.mark.mpi
def test_a_role_under_mpiexec_computes_with_one_thread():
    pytest.importorskip("mpi4py")
    env = {name: value for name, value in os.environ.items() if name not in blas.VARIABLES}
    done = subprocess.run([Path(sys.executable).parent / "mpiexec", "-n", "2", sys.executable, "-c",
                           f"import mpc.train_mnist\n{REPORT}"], env=env, cwd=ROOT,
                          capture_output=True, text=True)
    assert done.stdout.splitlines() == ["threads 1"] * 2, done.stderr


# ---------------------------------------------------------------------- those who ask for more


@pytest.mark.skipif(CORES < 2, reason="BLAS never has more threads than there are cores")
@pytest.mark.parametrize("variable", blas.VARIABLES)
@pytest.mark.parametrize("code", ["import mpc", "import numpy, mpc"])
def test_who_asks_for_two_gets_two(variable, code):
    assert threads_of(code, **{variable: "2"}) == 2


def test_an_empty_variable_asks_for_nothing():
    assert threads_of("import mpc", OPENBLAS_NUM_THREADS="", OMP_NUM_THREADS="") == 1


@pytest.mark.skipif(CORES < 2, reason="BLAS never has more threads than there are cores")
def test_nn_and_data_alone_are_plain_numpy():
    assert threads_of("import nn") == threads_of("import data") == default() > 1


# ---------------------------------------------------------------------- what lasts, and warnings


def test_the_limit_of_a_loaded_numpy_lasts():
    code = ("import numpy, mpc, gc, threadpoolctl\ngc.collect()\n"
            "with threadpoolctl.threadpool_limits(2): pass\n"
            "a = numpy.ones((500, 500)); a @ a")
    assert threads_of(code) == 1


def test_programs_that_are_started_from_it_have_one_thread_too():
    out, _ = python("import numpy, mpc, subprocess, sys\n"
                    f"subprocess.run([sys.executable, '-c', 'import numpy; ' + {REPORT!r}])")
    assert out == "threads 1\n"


@pytest.mark.skipif(CORES < 2, reason="a thread for every core is one")
def test_without_threadpoolctl_a_loaded_numpy_is_warned_of_once_at_the_users_line():
    out, err = python(f"{HIDDEN}\nimport numpy\nimport mpc\nimport mpc.transport.mpi, mpc.train_mnist.forecast")
    first, *more = err.splitlines()
    assert out == "" and "ManyThreads" not in "".join(more)
    assert first.startswith("<string>:3: ManyThreads: mpc: NumPy was loaded first, with a thread ")
    assert "import mpc before NumPy" in first and "set OPENBLAS_NUM_THREADS" in first


@pytest.mark.parametrize("code, variables", [
    ("import numpy, mpc", {"OPENBLAS_NUM_THREADS": "1"}),       # whoever chose has chosen
    ("import mpc, numpy", {}),
    ("import os; os.sched_getaffinity = lambda pid: {0}; import numpy, mpc", {})])
def test_without_threadpoolctl_nothing_is_said_where_nothing_is_wrong(code, variables):
    assert python(f"{HIDDEN}{code}", "-W", "error", **variables) == ("", "")


def test_a_program_may_ignore_the_warning_by_its_class(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    monkeypatch.setattr(blas, "_cores", lambda: 2)
    for name in blas.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", blas.ManyThreads)
        blas.limit_threads()
    for name in blas.VARIABLES:
        monkeypatch.delenv(name)
    with pytest.warns(blas.ManyThreads, match="install threadpoolctl"):
        blas.limit_threads()
