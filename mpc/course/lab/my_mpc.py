"""My own secure computation: fill the holes from top to bottom, and after each one run

    python -m mpc.course.lab my_mpc.py

A ring has the elements 0 to L - 1. They are uint64, which wrap around at 2^64, and L
divides 2^64: so ``% L`` after sums, differences and products gives the right element.
NumPy refuses negative integers as uint64: write -(2 * x) % L, not -2 * x % L.
The workers, alice and bob, hold shares: arrays whose first axis has size 2, with
alice's share in row 0 and bob's in row 1. A worker computes on its own row. Only
`opened` sends shares to the other worker. The dealer knows what it deals, and no more.
"""

import numpy as np

L = 2**62           # the checks make it 4 or 8, to count all cases: do not write 2**62
SCALE = 1000        # the integer that stands for 1.0
rng = np.random.default_rng()       # its output can be predicted: for lessons only


def uniform(shape):
    """Fresh coins: random elements of the ring."""
    return rng.integers(0, L, shape, np.uint64)


def opened(x):
    """The workers send their shares of x to each other: both know the value now."""
    return reconstruct(x)


# ------------------------------------------------------------ shares


def share(secret):
    """Shares of an array of elements: each row alone is uniform, whatever it is."""
    raise NotImplementedError("Task 1")


def reconstruct(x):
    """The elements that have the shares x."""
    raise NotImplementedError("Task 2")


def add(x, y):
    """Shares of the sum. Each worker adds its own; no message."""
    raise NotImplementedError("Task 3")


def add_public(x, c):
    """Shares of x + c, for elements c that both workers know."""
    raise NotImplementedError("Task 4")


# ------------------------------------------------------------ numbers with a point


def encode(numbers):
    """The elements for these floats: thousandths, rounded; the upper half is < 0."""
    raise NotImplementedError("Task 5: encode")


def decode(elements):
    """The floats for these elements."""
    raise NotImplementedError("Task 5: decode")


# ------------------------------------------------------------ products


def triple(op, m, n):
    """The dealer: shares of random a, of shape m, and b, of shape n, and of op(a, b).

    op is np.multiply or np.matmul.
    """
    raise NotImplementedError("Task 6")


def multiply(x, y):
    """Shares of the product, element by element, without a change of the scale.

    With a triple: open epsilon = x - a and delta = y - b, each once. Then
    x y = (epsilon + a) (delta + b).
    """
    raise NotImplementedError("Task 7")


def truncate(x, d):
    """Shares of x / d, up to one unit. Each worker divides its own share; no message.

    Alice rounds her share down. Bob's share stands for a negative number.
    """
    raise NotImplementedError("Task 8")


def matmul(x, y):
    """Shares of the matrix product, without a change of the scale.

    Each matrix is opened once, under a mask of its shape. The operator @ takes shares
    of shape (2, m, k) as two matrices.
    """
    raise NotImplementedError("Task 9")


# ------------------------------------------------------------ signs


def dealt_bits(shape):
    """The dealer: shares of a random r of this shape, and of each of its bits.

    The bits have the shape (2, l, *shape) for L = 2^l, the lowest first. Each bit is a
    secret of its own: an element that is 0 or 1.
    """
    raise NotImplementedError("Task 10")


def private_compare(c, bits):
    """Shares of 1 where the number with these shared bits is above c, which is public.

    Go from the lowest bit to the highest. Where bit i of c is 0, r_i OR (the result of
    the bits below) is the new result; where it is 1, r_i AND that result.
    """
    raise NotImplementedError("Task 11")


def negative(x):
    """Shares of 1 where x < 0, that is, of its top bit.

    Open c = x + r, for a dealt r. The top bit of x = c - r is the XOR of three bits:
    the top bits of c and of r, and a borrow: are the bits of r below the top one above
    those of c?
    """
    raise NotImplementedError("Task 12")


def relu(x):
    """Shares of x where x >= 0, and of 0 elsewhere."""
    raise NotImplementedError("Task 13")


# ------------------------------------------------------------ training


def step(w1, w2, x, t, rate):
    """One step of gradient descent: shares of the new weights (w1, w2).

    All are shares of encoded numbers but `rate`, a public float. The network is
    y = relu(x w1) w2; its loss is half the sum of the squares of y - t, divided by the
    number of rows of x. Let n / rate be the integer by which you divide.
    """
    raise NotImplementedError("Task 14")
