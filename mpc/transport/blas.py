"""One thread for a product of matrices, unless the user asks for more.

The library behind NumPy's products (BLAS) starts a thread for every core. For matrices of the size
of a batch this gains little on an idle machine; on a busy one the threads wait for each other, and
a batch can take many times as long. It reads its number of threads from the environment when NumPy
is loaded, so that ``import mpc`` sets it beforehand; where NumPy is there already, threadpoolctl
limits it, if that is installed. To have more threads, set one of the `VARIABLES`, for example
``OPENBLAS_NUM_THREADS=4``, before Python starts.
"""

import os
import sys
import warnings

VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
             "VECLIB_MAXIMUM_THREADS")


class ManyThreads(UserWarning):
    """NumPy computes with a thread for every core, and nobody has asked for that."""


def limit_threads():
    """Give BLAS as many threads as the first of the `VARIABLES` that is set says, or else one.

    Variables that are not set get the same number, for libraries that are loaded later and for
    processes that this one starts. `ManyThreads` is warned of where it comes too late.
    """
    asked = [os.environ[name] for name in VARIABLES if os.environ.get(name)]
    for name in VARIABLES:
        if not os.environ.get(name):
            os.environ[name] = asked[0] if asked else "1"
    if asked or "numpy" not in sys.modules:
        return
    try:
        import threadpoolctl
    except ImportError:
        if _cores() > 1:
            warnings.warn("mpc: NumPy was loaded first, with a thread for every core, which is "
                          "slow on a busy machine; import mpc before NumPy, nn and data, install "
                          "threadpoolctl, or set OPENBLAS_NUM_THREADS to the number that you want",
                          ManyThreads, stacklevel=3)
    else:
        threadpoolctl.threadpool_limits(1, user_api="blas")     # lasts: nothing restores it


def _cores():
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
