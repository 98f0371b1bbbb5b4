"""Gradients by hand: reverse-mode differentiation over any value type, and training.

Values may be float64 arrays, fixed-point numbers in the clear or fixed-point numbers on
secret shares. Nothing in this package tells them apart or depends on their content.
"""

from .layers import Dropout, Flatten, Linear, ReLU, Sigmoid, Square, Tanh
from .loss import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from .module import Module, Sequential
from .optim import SGD
from .tensor import Tensor

__all__ = [
    "Dropout", "Flatten", "Linear", "Module", "ReLU", "SGD", "Sequential", "Sigmoid",
    "Square", "Tanh", "Tensor", "binary_cross_entropy_with_logits", "cross_entropy",
    "mse_loss",
]
