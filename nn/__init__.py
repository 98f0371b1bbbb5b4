"""Gradients by hand: reverse-mode differentiation over any value type, and training.

Values may be float64 arrays, fixed-point numbers in the clear or fixed-point numbers on
secret shares. Nothing in this package tells them apart or depends on their content.
"""

from .batches import batches
from .convolution import AvgPool2d, Conv2d, MaxPool2d, conv2d
from .files import load
from .layers import Dropout, Flatten, Linear, ReLU, Sigmoid, Square, Tanh
from .loss import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from .module import Module, Sequential
from .optim import SGD
from .refusals import INSTEAD as _INSTEAD
from .tensor import Tensor

__all__ = [
    "AvgPool2d", "Conv2d", "Dropout", "Flatten", "Linear", "MaxPool2d", "Module",
    "ReLU", "SGD", "Sequential", "Sigmoid", "Square", "Tanh", "Tensor",
    "batches", "binary_cross_entropy_with_logits", "conv2d", "cross_entropy",
    "load", "mse_loss",
]


def __getattr__(name: str) -> None:
    way = f"; {_INSTEAD[name]}" if name in _INSTEAD else ""
    raise AttributeError(f"module 'nn' has no attribute '{name}'{way}")
