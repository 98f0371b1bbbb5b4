"""Differential privacy: what a run costs (`accountant`), and its noise (`noise`)."""

from mpc.privacy.accountant import Spent, noise_for, spent
from mpc.privacy.noise import discrete_gaussian, from_words, words_per_sample

__all__ = ["Spent", "discrete_gaussian", "from_words", "noise_for", "spent",
           "words_per_sample"]
