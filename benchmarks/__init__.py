"""Figures that anyone can re-run: ``python -m benchmarks.batch`` and ``python -m benchmarks.steps``."""
