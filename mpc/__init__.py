"""Machine learning on secret shares, in NumPy.

Read `mpc.tiny` for the whole idea in one file, then `mpc.world` for the parties.
"""

# ruff: noqa: E402, I001
from mpc.transport import blas, launcher

launcher.start_early()      # before NumPy is loaded, which can fail in a role under MPI
blas.limit_threads()        # before NumPy is loaded, which reads their number once

from mpc.audit.checked import OutOfRange
from mpc.audit.tags import RoleError
from mpc.beaver import matmul, multiply, refresh
from mpc.comparison import all_pairs, drelu, equal, relu, tournament
from mpc.fixed_point import FixedPoint, concatenate, fix_precision
from mpc.masks import MaskReused
from mpc.program import World
from mpc.seals import Cheated
from mpc.securenn import (CompareCoins, compute_msb, private_compare, select_share,
                          share_convert)
from mpc.share import Local, Share
from mpc.transport.link import OutOfStep, PeerFailed, ProtocolError
from mpc.transport.start import make_world
from mpc.transport.threads import run_threads
from mpc.truncation import truncate
from mpc.world import Role

__version__ = "0.1.0"

__all__ = [
    "Cheated", "CompareCoins", "FixedPoint", "Local", "MaskReused", "OutOfRange",
    "OutOfStep", "PeerFailed", "ProtocolError", "Role", "RoleError", "Share", "World",
    "all_pairs", "compute_msb", "concatenate", "drelu", "equal", "fix_precision",
    "make_world", "matmul", "multiply", "private_compare", "refresh", "relu",
    "run_threads", "select_share", "share_convert", "tournament", "truncate",
]
