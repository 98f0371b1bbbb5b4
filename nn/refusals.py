"""Operations that a Tensor refuses: results would be wrong, or would need its value.

NumPy treats any object as an array of one element, and Python compares objects by
identity: without these refusals `np.mean(tensor)` is the tensor and ``tensor == 3`` is
False.
"""

from __future__ import annotations

from typing import Any, NoReturn

OPERATORS = {"add": "add", "subtract": "sub", "multiply": "mul", "divide": "truediv",
             "matmul": "matmul", "negative": "neg", "power": "pow"}
INSTEAD = {"dot": "a @ b", "inner": "a @ b.T", "transpose": "tensor.T",
           "maximum": "tensor.relu"}


def _refusal(text):
    """Return a method that raises TypeError with this text."""
    def refuse(self, *_, **__):
        raise TypeError(text)
    return refuse


class Refusals:
    """Base of Tensor: comparisons, truth, conversions, iteration and NumPy raise.

    Tensors hash by identity, so they can be keys of a dict and elements of a set.
    """

    __eq__, __ne__, __lt__, __le__, __gt__, __ge__ = (
        _refusal(f"{sign} of a Tensor: elements are not compared; write a is b for the "
                 f"same object, or compare the values: a.value {sign} b.value")
        for sign in ("==", "!=", "<", "<=", ">", ">="))
    __hash__ = object.__hash__
    __bool__ = _refusal("bool(Tensor): a branch must not depend on a value, which may "
                        "be secret; compute both sides, or test a public .value")
    __float__, __int__ = (
        _refusal(f"{kind}(Tensor): a Tensor is not a number; "
                 f"write {kind}(tensor.value) where the value is public")
        for kind in ("float", "int"))
    __len__ = _refusal("len(Tensor): write tensor.shape[0]")
    __iter__ = _refusal("a Tensor is not iterable; index it: tensor[i]")
    __array__ = _refusal("np.asarray: a Tensor is not an array; pass its .value")

    def __array_function__(self, function, types, args, kwargs) -> NoReturn:
        self._refuse_numpy(function.__name__)

    def __array_ufunc__(self, ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Map ``array + tensor`` and ``np.add(array, tensor)`` to Tensor operators."""
        name = OPERATORS.get(ufunc.__name__)
        if name and method == "__call__" and not options:
            x, *others = inputs
            if isinstance(x, Refusals):
                return getattr(x, f"__{name}__")(*others)
            if hasattr(self, f"__r{name}__"):
                return getattr(others[0], f"__r{name}__")(x)
        self._refuse_numpy(ufunc.__name__)

    def _refuse_numpy(self, name) -> NoReturn:
        method = f"tensor.{name}" if hasattr(self, name) else "operators and methods"
        raise TypeError(f"np.{name}: NumPy cannot compute with a Tensor; use "
                        f"{INSTEAD.get(name, method)}, or pass its .value where no "
                        "gradient is wanted")
