"""Machine learning on secret shares, in NumPy: see `mpc.world` for the idea and the parties."""

from mpc import guard, threads

guard.stand_by()    # before NumPy is loaded: a role of MPI may fail to do that, too
threads.limit()     # likewise: NumPy reads the number of threads once

from mpc.argmax import all_pairs, tournament
from mpc.beaver import matmul, matmul_in_three, multiply, refresh, square
from mpc.checked import OutOfRange
from mpc.comparison import drelu, equal, relu
from mpc.fixed_point import FixedPoint, concatenate, fix_precision
from mpc.link import OutOfStep, PeerFailed, ProtocolError
from mpc.masks import MaskReused
from mpc.securenn import (CompareCoins, compute_msb, private_compare, select_share,
                          share_convert)
from mpc.share import Private, Share
from mpc.tags import RoleError
from mpc.truncation import truncate
from mpc.world import Role, World, run_threads

__all__ = [
    "CompareCoins", "FixedPoint", "MaskReused", "OutOfRange", "OutOfStep", "PeerFailed", "Private",
    "ProtocolError", "Role", "RoleError", "Share", "World", "all_pairs", "compute_msb",
    "concatenate", "drelu", "equal", "fix_precision", "matmul", "matmul_in_three", "multiply",
    "private_compare", "refresh", "relu", "run_threads", "select_share", "share_convert", "square",
    "tournament", "truncate",
]
