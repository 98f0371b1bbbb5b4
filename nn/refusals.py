"""Conversions that a Tensor refuses: they would need its value, which may be secret.

And PyTorch's names that `nn` does not have, with others that do the same.
"""

from __future__ import annotations

INSTEAD = {name: way for way, names in {
    "take SGD, with a momentum": "Adam AdamW RMSprop Adagrad",
    "take cross_entropy(output, target)": "CrossEntropyLoss NLLLoss nll_loss",
    "take mse_loss(output, target)": "MSELoss",
    "take binary_cross_entropy_with_logits(output, target)":
        "BCELoss BCEWithLogitsLoss binary_cross_entropy",
    "take abs(output - target).mean()": "L1Loss l1_loss",
    "take methods of a Tensor, such as x.softmax()":
        "functional Softmax softmax relu sigmoid tanh",
    "take np.where(x > 0, x, 0.01 * x)": "LeakyReLU leaky_relu",
    "take Tensor(value, requires_grad=True)": "Parameter",
    "write a Module with a forward": "BatchNorm1d BatchNorm2d LayerNorm Embedding LSTM",
    "assign a list or dict of modules": "ModuleList ModuleDict",
    "take .value of a Tensor, which has no gradient": "no_grad",
    }.items() for name in names.split()}


def _refusal(text):
    """Return a method that raises TypeError with this text."""
    def refuse(self, *_, **__):
        raise TypeError(text)
    return refuse


class Refusals:
    """Base of Tensor: truth and conversions to numbers and arrays raise."""

    __bool__ = _refusal("bool(Tensor): a branch must not depend on a value, which may "
                        "be secret; compute both sides, or test a public .value")
    __float__, __int__ = (
        _refusal(f"{kind}(Tensor): a Tensor is not a number; "
                 f"write {kind}(tensor.value) where the value is public")
        for kind in ("float", "int"))
    __array__ = _refusal("np.asarray: a Tensor is not an array; pass its .value")
