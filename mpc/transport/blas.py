"""One BLAS thread, unless the user asks for more.

BLAS, the library behind NumPy's matrix products, starts a thread for every core. For
matrices of batch size this gains little on an idle machine. On a busy machine the
threads wait for each other, and a batch can take many times as long. BLAS reads its
number of threads from the environment when NumPy is loaded, so ``import mpc`` sets it
first. If NumPy is loaded already, threadpoolctl limits the threads, if it is installed.
To use more threads, set one of the `VARIABLES`, for example ``OPENBLAS_NUM_THREADS=4``,
before Python starts.
"""

from __future__ import annotations

import os
import sys
import warnings

VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
             "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class ManyThreads(UserWarning):
    """NumPy uses one thread per core, although the user did not ask for it."""


def limit_threads() -> None:
    """Set the number of BLAS threads: the first of the `VARIABLES` that is set, or 1.

    The other variables get the same number, for libraries loaded later and for child
    processes. Warns (`ManyThreads`) if it comes too late to limit NumPy.
    """
    requested = [os.environ[name] for name in VARIABLES if os.environ.get(name)]
    for name in VARIABLES:
        if not os.environ.get(name):
            os.environ[name] = requested[0] if requested else "1"
    if requested or "numpy" not in sys.modules:
        return
    try:
        import threadpoolctl
    except ImportError:
        if _cores() > 1:
            warnings.warn(
                "mpc: NumPy was loaded first, with a thread for every core, which is "
                "slow on a busy machine; import mpc before NumPy, nn and data, install "
                "threadpoolctl, or set OPENBLAS_NUM_THREADS", ManyThreads, stacklevel=3)
    else:
        threadpoolctl.threadpool_limits(1, user_api="blas")     # permanent


def _cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
