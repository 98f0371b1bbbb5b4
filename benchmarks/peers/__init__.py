"""The same training batch here and in other systems: ``python -m benchmarks.peers``.

Each system has a program beside this file, run by an interpreter that can import it.
"""
