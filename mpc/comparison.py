"""Comparison, whichever way the World was made to do it.

    securenn      two workers; the provider takes part in every comparison and sees masked messages;
                  |x| < 2^(l-2); a ReLU takes 176 bytes from each worker and 88 from the provider
    carry-tree    any number of workers; the provider only deals ahead; any x; a ReLU takes 47 bytes
                  from each of two workers, and none from the provider
"""

from mpc import carry_tree, securenn
from mpc.beaver import multiply
from mpc.ledger import must_be_secret, step
from mpc.share import concatenate

DRELU = {"securenn": securenn.drelu, "carry-tree": carry_tree.drelu}


def drelu(x):
    """Shares of [x >= 0], by the World's comparison: `securenn.drelu` or `carry_tree.drelu`."""
    must_be_secret(x, "drelu")
    return DRELU[x.world.comparison](x)


@step
def relu(x):
    """The workers get shares of max(x, 0), and learn nothing.

    Parameters
    ----------
    x : Share over Z_2^l
        In the range of the World's comparison.

    Returns
    -------
    Share over Z_2^l
        Of the same shape and scale.

    Notes
    -----
    Rounds: drelu + multiply
    Bytes: drelu + multiply
        for as many elements
    Security: that of drelu and multiply.
    Source: SecureNN, algorithm 7: x times its sign.
    """
    return multiply(drelu(x), x)


@step
def equal(x, y):
    """The workers get shares of [x == y], and learn nothing.

    Parameters
    ----------
    x, y : Share over Z_2^l of one scale
        Shapes that broadcast; x - y in the range of the World's comparison.

    Returns
    -------
    Share over Z_2^l
        0 or 1, without a scale, of the broadcast shape.

    Notes
    -----
    Rounds: drelu + multiply with securenn; is_zero with carry-tree
    Bytes: 2*drelu + multiply with securenn; is_zero with carry-tree
        for as many elements, twice as many comparisons
    Security: that of drelu and multiply, or of the carry tree.
    Source: securenn: [x >= y] [y >= x]; comparing the square of the difference with zero, as others
        do, needs one comparison less and overflows. carry-tree: x - y is zero if and only if no bit
        of it, opened under the mask r, differs from r's.
    """
    must_be_secret(y, "equal")
    if x.world.comparison == "carry-tree":
        return carry_tree.is_zero(x - y)
    difference = (x - y)[None]
    both = drelu(concatenate([difference, -difference]))
    return multiply(both[0], both[1])
