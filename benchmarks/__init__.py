"""Figures that anyone can re-run: see README.md here."""
