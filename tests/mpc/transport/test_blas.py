"""One BLAS thread, by every import, unless the user asks for more."""

import json
import os
import subprocess
import sys
import warnings

import pytest
import threadpoolctl
from mpi_runs import MPIEXEC, ROOT, in_processes

from mpc.transport import blas

several_cores = pytest.mark.skipif(
    blas._cores() < 2, reason="BLAS never has more threads than there are cores")
REPORT = ("import threadpoolctl; print('threads', *(lib['num_threads'] for lib in "
          "threadpoolctl.threadpool_info() if lib['user_api'] == 'blas'))")
HIDDEN = "import sys; sys.modules['threadpoolctl'] = None; "
SHOWN = "; del sys.modules['threadpoolctl']"
SMALL = "--epochs 1 --train-items 2 --test-items 2"
COMMANDS = [("mpc.train_mnist", SMALL), ("mpc.train_mnist.costs", ""),
            ("mpc.train_mnist.costs", f"forecast {SMALL}"), ("data.mnist", "--help")]


def bare():
    """The environment without the VARIABLES."""
    return {name: os.environ[name] for name in os.environ if name not in blas.VARIABLES}


def python(code, *words, **variables):
    """Both outputs of a fresh interpreter, with these of the VARIABLES only."""
    done = subprocess.run([sys.executable, *words, "-c", code], env=bare() | variables,
                          cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def threads_of(code, **variables):
    """How many threads BLAS has after `code`, which must not warn."""
    out, err = python(f"{code}\n{REPORT}", "-W", "error", **variables)
    assert err == ""
    name, *counts = out.splitlines()[-1].split()        # of NumPy, perhaps of SciPy
    assert name == "threads"
    return max(map(int, counts))


def default():
    """The threads of NumPy without this package."""
    return threads_of("import numpy")


def imports(notebook):
    """The cell of a notebook that imports NumPy."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return next(source for source in sources if "import numpy" in source)


# ------------------------------------------------------------------ every import


@pytest.mark.parametrize("code", [
    "import mpc", "import mpc, numpy", "import numpy, mpc",
    "import numpy as np\nimport mpc", "import mpc, nn", "import nn, mpc",
    "import data, mpc", "import mpc.ring",
    "import mpc.transport.mpi", "from mpc import World",
    "import numpy\nfrom mpc.fixed_point import fix_precision",
    f"{HIDDEN}import mpc, numpy{SHOWN}"])
def test_an_import_of_mpc_leaves_one_thread(code):
    assert threads_of(code) == 1


@pytest.mark.parametrize("module, words", COMMANDS)
def test_a_command_computes_with_one_thread(module, words):
    code = (f"import runpy, sys; sys.argv = {[module, *words.split()]}\n"
            f"try: runpy.run_module({module!r}, run_name='__main__', alter_sys=True)\n"
            "except SystemExit as stop: assert not stop.code")
    if module == "data.mnist":              # which does not import mpc
        code += "; assert 'mpc' not in sys.modules; import mpc"
    assert threads_of(code) == 1


CELLS = sorted({imports(path) for path in (ROOT / "notebooks").glob("*.ipynb")})


@pytest.mark.parametrize("cell", CELLS)
def test_a_notebook_computes_with_one_thread(cell):
    assert threads_of(cell) == 1


def test_these_tests_compute_with_as_many_threads_as_their_environment_sets():
    found = [library["num_threads"] for library in threadpoolctl.threadpool_info()
             if library["user_api"] == "blas"]
    assert set(found) == {int(os.environ["OPENBLAS_NUM_THREADS"])}


@in_processes
def test_a_role_under_mpiexec_computes_with_one_thread():
    done = subprocess.run([MPIEXEC, "-n", "2", sys.executable, "-c",
                           f"import mpc.train_mnist\n{REPORT}"], env=bare(), cwd=ROOT,
                          capture_output=True, text=True)
    assert done.stdout.splitlines() == ["threads 1"] * 2, done.stderr


# ------------------------------------------------------------------ more threads


@several_cores
@pytest.mark.parametrize("variable", blas.VARIABLES)
@pytest.mark.parametrize("code", ["import mpc", "import numpy, mpc"])
def test_a_variable_that_asks_for_two_threads_gets_two(variable, code):
    assert threads_of(code, **{variable: "2"}) == 2


def test_an_empty_variable_asks_for_nothing():
    assert threads_of("import mpc", OPENBLAS_NUM_THREADS="", OMP_NUM_THREADS="") == 1


@several_cores
def test_data_alone_is_plain_numpy_and_nn_loads_mpc():
    assert threads_of("import data") == default() > 1
    assert threads_of("import nn") == 1


# ------------------------------------------------------------------ warnings


def test_the_limit_of_a_loaded_numpy_lasts():
    code = ("import numpy, mpc, gc, threadpoolctl\ngc.collect()\n"
            "with threadpoolctl.threadpool_limits(2): pass\n"
            "a = numpy.ones((500, 500)); a @ a")
    assert threads_of(code) == 1


def test_child_processes_have_one_thread_too():
    child = f"import numpy; {REPORT}"
    out, _ = python("import numpy, mpc, subprocess, sys\n"
                    f"subprocess.run([sys.executable, '-c', {child!r}])")
    assert out == "threads 1\n"


@several_cores
def test_without_threadpoolctl_a_loaded_numpy_warns_once_at_the_users_line():
    out, err = python(f"{HIDDEN}\nimport numpy\nimport mpc\n"
                      "import mpc.transport.mpi, mpc.train_mnist.costs")
    first, *more = err.splitlines()
    assert out == "" and "ManyThreads" not in "".join(more)
    assert first.startswith("<string>:3: ManyThreads: mpc: NumPy was loaded first, ")
    assert "import mpc before NumPy" in first and "set OPENBLAS_NUM_THREADS" in first


@pytest.mark.parametrize("code, variables", [
    ("import numpy, mpc", {"OPENBLAS_NUM_THREADS": "1"}),
    ("import mpc, numpy", {}),
    ("import os; os.sched_getaffinity = lambda pid: {0}; import numpy, mpc", {})])
def test_without_threadpoolctl_a_right_number_of_threads_does_not_warn(code, variables):
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
