"""How roles exchange messages, and how a process becomes a role."""

from mpc.transport import interrupts

interrupts.end_early()      # `mpc` imports this package first, before NumPy
