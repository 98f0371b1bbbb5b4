"""Differential privacy: what a trained model tells about one item, and its limit."""
