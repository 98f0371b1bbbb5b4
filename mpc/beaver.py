"""Products of two secrets, after Beaver: spend one random product that the provider dealt.

With shares of random a, b and c = a op b, the workers open epsilon = x - a and delta = y - b, which
are uniform and so tell nothing, and

    x op y = (epsilon + a) op (delta + b) = epsilon op delta + epsilon op b + a op delta + c

is linear in the shares. `op` is any product that distributes over sums: elementwise or of matrices.
A secret is opened once: x keeps its mask and epsilon (`Masked`) for all products of the same x.
"""

import numpy as np

from mpc.ledger import step
from mpc.provider import correct, mask
from mpc.share import Share, matched


@step
def multiply(x, y):
    """The workers get shares of ``x * y``, and learn nothing.

    Parameters
    ----------
    x, y : Share of one ring
        Shapes that broadcast; no scale is known here.

    Returns
    -------
    Share
        Of the broadcast shape. Rows are uniform.

    Raises
    ------
    ValueError
        When the rings differ or the shapes do not broadcast.

    Notes
    -----
    Rounds: 1
    Bytes: (k - 1)*k*w*(x + y) online, w*z offline
        where x, y, z count the elements of the operands and of the product, w the bytes of one, k
        the workers; an operand that a product has opened before is not opened again
    Security: semi-honest; any coalition that leaves one worker out. The provider receives nothing.
    Source: Beaver, CRYPTO 1991; epsilon op delta is added by one worker only (SecureNN's
        Algorithm 1 as printed lets both subtract it, which gives xy - 3 epsilon delta).
    """
    _check(x, y, "multiply")
    try:
        np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        raise ValueError(f"multiply: shapes {x.shape} and {y.shape} do not broadcast; reshape one "
                         "of them") from None
    return _product(x, y, x.ring.mul)


@step
def matmul(x, y):
    """The workers get shares of the matrix product ``x @ y``, and learn nothing.

    Parameters
    ----------
    x, y : Share of one ring, of shapes (..., m, k) and (..., k, n)

    Returns
    -------
    Share
        Of shape (..., m, n). Rows are uniform.

    Raises
    ------
    ValueError
        When the rings differ, an operand is no matrix, or the inner sizes differ.

    Notes
    -----
    Rounds: 1
    Bytes: (k - 1)*k*w*(x + y) online, w*z offline
        where x, y, z count the elements of the operands and of the product, w the bytes of one, k
        the workers; an operand that a product has opened before is not opened again
    Security: semi-honest; any coalition that leaves one worker out. The provider receives nothing.
    Source: Beaver's product with matrices for numbers (Mohassel and Zhang, S&P 2017).
    """
    _check(x, y, "matmul")
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-2]:
        raise ValueError(f"matmul: {x.shape} @ {y.shape} is no product of matrices; reshape a "
                         "vector to one row or one column")
    return _product(x, y, x.ring.matmul)


def _product(x, y, op):
    ring, a, b = x.ring, mask(x, "a"), mask(y, "b")
    c = correct(x.world, ring, op(*matched(a.clear, b.clear)))
    epsilon, delta = _opened((x, "epsilon"), (y, "delta"))
    # one worker adds epsilon op delta: it does so by adding delta to its row of b
    left = op(*matched(epsilon, b.a.plus(delta).rows))
    right = op(*matched(a.a.rows, delta))
    return c._with(ring.add(c.rows, ring.add(left, right)))


def _opened(*operands):
    """``x - a`` for each (x, name), a being the mask of x; opened now if never before."""
    waiting = [(x, name) for i, (x, name) in enumerate(operands) if x.masked.epsilon is None
               and all(x is not other for other, _ in operands[:i])]
    if waiting:
        opened = waiting[0][0].world.open(*(x - x.masked.a for x, _ in waiting),
                                          name=", ".join(name for _, name in waiting))
        for (x, _), epsilon in zip(waiting, opened if len(waiting) > 1 else (opened,)):
            x.masked = x.masked._replace(epsilon=epsilon)
    return [x.masked.epsilon for x, _ in operands]


@step
def square(x):
    """The workers get shares of ``x * x``, and learn nothing: one opening where a product has two.

    Parameters
    ----------
    x : Share

    Returns
    -------
    Share
        Of the same shape. Rows are uniform.

    Notes
    -----
    Rounds: 1
    Bytes: (k - 1)*k*w*x online, w*x offline
        where x counts the elements, w the bytes of one, k the workers
    Security: semi-honest; any coalition that leaves one worker out. The provider receives nothing.
    Source: x^2 = epsilon^2 + 2 epsilon a + a^2 with epsilon = x - a and a dealt pair (a, a^2).
    """
    ring, a = x.ring, mask(x, "a")
    c = correct(x.world, ring, ring.mul(a.clear, a.clear))
    epsilon, = _opened((x, "epsilon"))
    return c + a.a.times(ring.add(epsilon, epsilon)).plus(ring.mul(epsilon, epsilon))


@step
def refresh(x):
    """The workers get fresh shares of the same secret: each adds its row of a new sharing of zero.

    Whoever is shown the new rows, and holds nothing else, learns their sum and no more.

    Parameters
    ----------
    x : Share

    Returns
    -------
    Share
        Of the same shape and scale. Rows are uniform.

    Notes
    -----
    Rounds: 0
    Bytes: 0
    Security: rows are uniform but for their sum, independent of all earlier rows.
    Source: SecureNN, section 3 (zero shares from the workers' common key).
    """
    return x + x.world.zero_share(x.ring, x.shape, "zero")


def _check(x, y, name):
    if not isinstance(y, Share):
        raise TypeError(f"{name}: a {type(y).__name__} is no Share; use times() for what all "
                        "workers know")
    if x.ring != y.ring:
        raise ValueError(f"{name}: shares over {x.ring} and {y.ring}; convert one first")
