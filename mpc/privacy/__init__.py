"""Differential privacy: the training step, its noise, and what a run has spent."""
