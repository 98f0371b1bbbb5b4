"""Products of two secrets, after Beaver: spend one random product that the provider dealt.

With shares of random a, b and c = a op b, the workers open epsilon = x - a and delta = y - b, which
are uniform and so tell nothing, and

    x op y = (epsilon + a) op (delta + b) = epsilon op delta + epsilon op b + a op delta + c

is linear in the shares. `op` is any product that distributes over sums: elementwise or of matrices.
"""

import numpy as np

from mpc.ledger import step
from mpc.provider import deal_square, deal_triple
from mpc.share import matched


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
    Bytes: 2*w*(x + y) online, w*z offline
        where x, y, z count the elements of the operands and of the product, w the bytes of one
    Security: semi-honest; any coalition that leaves one worker out. The provider receives nothing.
    Source: Beaver, CRYPTO 1991; epsilon op delta is added by one worker only (SecureNN's
        Algorithm 1 as printed lets both subtract it, which gives xy - 3 epsilon delta).
    """
    _check(x, y, "multiply")
    np.broadcast_shapes(x.shape, y.shape)
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
    Bytes: 2*w*(x + y) online, w*z offline
        where x, y, z count the elements of the operands and of the product, w the bytes of one
    Security: semi-honest; any coalition that leaves one worker out. The provider receives nothing.
    Source: Beaver's product with matrices for numbers (Mohassel and Zhang, S&P 2017).
    """
    _check(x, y, "matmul")
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-2]:
        raise ValueError(f"matmul: {x.shape} @ {y.shape} is no product of matrices; reshape a vector "
                         "to one row or one column")
    return _product(x, y, x.ring.matmul)


def _product(x, y, op):
    world, ring = x.world, x.ring
    a, b, c = deal_triple(world, ring, x.shape, y.shape, op)
    epsilon, delta = world.open(x - a, y - b, name="epsilon, delta")
    # one worker adds epsilon op delta: it does so by adding delta to its row of b
    left = op(*matched(epsilon, b.plus(delta).rows))
    right = op(*matched(a.rows, delta))
    return c._with(ring.add(c.rows, ring.add(left, right)))


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
    Bytes: 2*w*x online, w*x offline
        where x counts the elements, w the bytes of one
    Security: semi-honest; any coalition that leaves one worker out. The provider receives nothing.
    Source: x^2 = epsilon^2 + 2 epsilon a + a^2 with epsilon = x - a and a dealt pair (a, a^2).
    """
    world, ring = x.world, x.ring
    a, c = deal_square(world, ring, x.shape)
    epsilon = world.open(x - a, name="epsilon")
    return c + a.times(ring.add(epsilon, epsilon)).plus(ring.mul(epsilon, epsilon))


@step
def refresh(x):
    """The workers get fresh shares of the same secret: each adds its row of a new sharing of zero.

    Whoever is shown the new rows, and holds nothing else, learns their sum and no more.

    Notes
    -----
    Rounds: 0
    Bytes: 0
    Security: rows are uniform but for their sum, independent of all earlier rows.
    Source: SecureNN, section 3 (zero shares from the workers' common key).
    """
    return x + x.world.zero_share(x.ring, x.shape, "zero")


def _check(x, y, name):
    if x.ring != y.ring:
        raise ValueError(f"{name}: shares over {x.ring} and {y.ring}; convert one first")
