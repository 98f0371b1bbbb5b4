"""Conversions that a Tensor refuses: they would need its value, which may be secret."""

from __future__ import annotations


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
