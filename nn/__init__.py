"""Gradients by hand: reverse-mode differentiation over any value type, and training.

Values may be float64 arrays, fixed-point numbers in the clear or fixed-point numbers on
secret shares. Nothing in this package tells them apart or depends on their content.
"""

from .files import load
from .layers import Linear, Module, ReLU, Square
from .loss import mse_loss
from .optim import SGD
from .tensor import Tensor

__all__ = ["Linear", "Module", "ReLU", "SGD", "Square", "Tensor", "load", "mse_loss"]
