"""What a Tensor refuses: every question whose answer would be wrong, or would need its value.

NumPy takes any object as an array of one element, and Python compares any two by identity: without
these refusals `np.mean(tensor)` is the tensor and ``tensor == 3`` is False.
"""

OPERATORS = {"add": "add", "subtract": "sub", "multiply": "mul", "divide": "truediv",
             "matmul": "matmul", "negative": "neg", "power": "pow"}
COMPARISONS = "equal", "not_equal", "less", "less_equal", "greater", "greater_equal"
INSTEAD = {
    **dict.fromkeys(COMPARISONS, "compare the values, a.value and b.value"),
    "sum": "write tensor.sum()", "mean": "write tensor.mean()", "average": "write tensor.mean()",
    "reshape": "write tensor.reshape()", "ravel": "write tensor.reshape(-1)",
    "transpose": "write tensor.T", "square": "write tensor.square()", "dot": "write a @ b",
    "matmul": "write a @ b", "inner": "write a @ b.T", "maximum": "write tensor.relu()",
    "shape": "write tensor.shape", "ndim": "write tensor.ndim"}


def _refusal(text):
    """Return a method that raises TypeError with this text, whatever it is given."""
    def refuse(self, *_, **__):
        raise TypeError(text)
    return refuse


class Refusals:
    """Base of Tensor: comparisons, truth, conversion, iteration and NumPy's functions raise.

    Tensors are told apart by identity, so that they can be keys of a dict and elements of a set.
    """

    __eq__, __ne__, __lt__, __le__, __gt__, __ge__ = (
        _refusal(f"{sign} of a Tensor: nothing here compares elements; write a is b for the same "
                 f"object, or compare the values: a.value {sign} b.value")
        for sign in ("==", "!=", "<", "<=", ">", ">="))
    __hash__ = object.__hash__
    __bool__ = _refusal("bool(Tensor): a branch must not depend on a value, which may be secret; "
                        "compute both sides, or look at .value where it is public")
    __float__, __int__ = (
        _refusal(f"{kind}(Tensor): a Tensor is no number; write {kind}(tensor.value) where the "
                 "value is public") for kind in ("float", "int"))
    __len__ = _refusal("len(Tensor): write tensor.shape[0]")
    __iter__ = _refusal("a Tensor is not iterable; index it: tensor[i]")
    __array__ = _refusal("np.asarray: a Tensor is no array; pass its .value")

    def __array_function__(self, function, types, args, kwargs):
        _refuse_numpy(function.__name__)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        """``array + tensor`` and ``np.add(array, tensor)`` are the operators of Tensor."""
        name = OPERATORS.get(ufunc.__name__)
        if name and method == "__call__" and not options:
            x, *others = inputs
            if isinstance(x, Refusals):
                return getattr(x, f"__{name}__")(*others)
            if hasattr(self, f"__r{name}__"):
                return getattr(others[0], f"__r{name}__")(x)
        _refuse_numpy(ufunc.__name__)


def _refuse_numpy(name):
    instead = INSTEAD.get(name, "use its operators and methods")
    raise TypeError(f"np.{name}: NumPy cannot compute with a Tensor; {instead}, or pass its .value "
                    "where no gradient is wanted")
