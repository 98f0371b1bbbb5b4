"""Mean and spread of the salaries in two companies, which neither shows the other.

    .venv/bin/python examples/salaries.py
    .venv/bin/mpiexec -n 4 .venv/bin/python -m mpc.transport.mpi examples/salaries.py
"""

import mpc

SALARIES = {"alice": [41_500, 52_000, 38_250, 61_000], "bob": [47_000, 39_500, 88_000]}

world = mpc.make_world()                            # two workers, alice and bob
salaries = world.secret(SALARIES)                   # each loads its own in practice
mean = salaries.mean().reveal()                     # to everybody
spread = salaries.std().reveal(to="alice")          # nan for all others
above = (salaries[:4] > mean).sum().reveal(to="alice")
if world.has("alice"):
    print(f"mean {mean:,.2f}, standard deviation {spread:,.0f}")
    print(f"of my own people, {above} earn more than that")
