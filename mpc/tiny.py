"""Private training in one file: a network learns to read digits that no party sees.

Read it from top to bottom; ``python -m mpc.tiny`` runs it. The workers, alice and bob,
hold shares: arrays whose first axis has size 2, with alice's share in row 0 and bob's
in row 1. Each computes on its own row. Names that end in _p2 belong to P2, the crypto
provider, alone. All other arrays are public or common to both workers. Data moves in a
few functions only: share, share_odd and share_bits split a value among the workers;
reveal adds their shares; to_p2 sends them to P2.

The package does the same with care. This file leaves out:

    unpredictable masks          mpc.randomness; NumPy's generator can be predicted
    separate parties             mpc.transport; this process holds all shares
    tests of privacy             mpc.audit.views tabulates views over all masks
    a record of messages         mpc.ledger: rounds and bytes of every protocol
    one opening of each secret   mpc.beaver; here every product opens both factors
    more than two workers        mpc.beaver, mpc.carry_tree
    exact truncation             mpc.truncation; here it fails once in 2^64 / |x| times
    range checks                 mpc.audit.checked; here overflow goes undetected
    the case r = 0               mpc.securenn; here it fails once in 2^64 times
"""

import numpy as np

import data

L, P, SCALE = 2**64, 67, 1000       # two moduli, and the integer that stands for 1.0
rng = np.random.default_rng()

# -------------------------------------------- the ring Z_L: uint64 wraps around at 2^64


def encode(x):
    return np.rint(x * SCALE).astype(np.int64).view(np.uint64)      # -1 becomes L - 1


def decode(x):
    return x.view(np.int64) / SCALE


def uniform(shape, m=L, dtype=np.uint64):
    return rng.integers(0, m, shape, dtype)


# -------------------------------------------- shares


def share(secret):
    """Each share alone is uniform; the two add up to the secret."""
    mask = uniform(secret.shape)
    return np.stack([mask, secret - mask])


def reveal(x, add=np.add):
    return add(x[0], x[1])


def to_p2(x):
    return x


def as_shares(value):
    """A value that both workers know: alice takes all of it, bob 0."""
    return np.stack([value, np.zeros_like(value)])


def refresh(x):
    """The same secret in fresh shares; u is common to the workers."""
    u = uniform(x.shape[1:])
    return x + np.stack([u, -u])


# -------------------------------------------- products and truncation


def matmul(x, y):
    return np.einsum("...ij,...jk->...ik", x, y)        # on integers faster than x @ y


def product(op, x, y):
    """Beaver: x y = (epsilon + a) (delta + b), with a, b and c = a b dealt by P2."""
    a_p2, b_p2 = uniform(x.shape[1:]), uniform(y.shape[1:])
    a, b, c = share(a_p2), share(b_p2), share(op(a_p2, b_p2))
    epsilon, delta = reveal(x - a), reveal(y - b)       # uniform, whatever x and y are
    return c + op(a, delta) + op(epsilon, b + as_shares(delta))


def truncate(x, d=SCALE):
    """x / d: alice rounds down and bob up, which is right on average.

    It is wrong with probability |x| / L, provided that the shares are fresh.
    """
    x = refresh(x)
    return np.stack([x[0] // d, -(-x[1] // d)])


# -------------------------------------------- the ring Z_(L-1), where -x is L - 1 - x


def odd_sum(*terms):
    """L is 1 in this ring: a carry out of the top comes back in at the bottom."""
    total, *others = terms
    for y in others:
        total = total + y
        total = total + (total < y)
    return total * (total != L - 1)


def share_odd(secret):
    mask = uniform(secret.shape, L - 1)
    return np.stack([mask, odd_sum(secret, L - 1 - mask)])


def wrap(x, y):
    """1 where x + y reaches L."""
    return (x + y < x).astype(np.uint64)


# -------------------------------------------- bits, shared mod P or mod L


def bits(x, l):
    """The lowest l bits of x along a new last axis, lowest first."""
    return (x[..., None] >> np.arange(l, dtype=np.uint64) & 1).astype(np.int32)


def share_bits(secret, l=64):
    mask = uniform((*secret.shape, l), P, np.int32)
    return np.stack([mask, (bits(secret, l) - mask) % P])


def xor(b, c):
    """Shares of b XOR c, from shares of b; both workers know c."""
    return np.where(c == 1, as_shares(c) - b, b)


# -------------------------------------------- SecureNN: is a secret >= 0?
# Wagh, Gupta and Chandran, PETS 2019, with the line numbers of its algorithms.
# In a ring of odd size the top bit of a is the lowest bit of 2a, and easier to read.


def private_compare(x, r, beta):
    """P2 learns beta XOR (x > r), for shared bits of x. Algorithm 3.

    If beta is 0, c_i is 0 at the highest bit where x and r differ, provided that x has
    the 1 there, and nowhere else: x > r if some c_i is 0. For beta = 1, x < r + 1.
    """
    l = x.shape[-1]
    t = bits(np.where(beta == 1, r + 1, r), l)      # x > r, or x < r + 1          [1]
    never, beta = ((beta == 1) & (r == 2**l - 1))[..., None], beta[..., None]
    j = np.int32([0, 1]).reshape(2, *[1] * t.ndim)      # alice is 0, bob 1
    w = x + j * t - 2 * t * x                       # x_i XOR t_i               [5, 8]
    sum_w = w[..., ::-1].cumsum(-1, np.int32)[..., ::-1] - w  # bits above i
    c = np.where(beta == 0, j * t - x, x - j * t) + j + sum_w                 # [6, 9]
    c = np.where(never, j * (np.arange(l) > 0), c)  # one 0: x <= r           [10, 11]
    s, u = 1 + uniform(t.shape, P - 1, np.int32), uniform(t.shape, P, np.int32)
    d = (s * c + np.stack([u, -u])) % P                 # 0 stays 0
    pi = rng.permuted(np.broadcast_to(np.arange(l), t.shape), axis=-1)
    d_p2 = to_p2(np.take_along_axis(d, pi[None], axis=-1))                      # [14]
    return (d_p2.sum(axis=0) % P == 0).any(axis=-1).astype(np.uint64)           # [15]


def share_convert(a):
    """Shares mod L - 1 from shares mod L, for a != L - 1. Algorithm 4.

    The integers a_0 and a_1 add up to a, or to a + L if they wrap around. L is 1 in the
    new ring, so subtracting theta = [they wrap around] is enough.
    """
    r_j, eta_2 = uniform(a.shape), uniform(a.shape[1:], 2)      # common to the workers
    r, alpha = r_j.sum(axis=0), wrap(*r_j)                                       # [1]
    a_tilde, beta = a + r_j, wrap(a, r_j)                                        # [2]
    a_tilde_p2 = to_p2(a_tilde)                                                  # [3]
    x_p2, delta_p2 = a_tilde_p2.sum(axis=0), wrap(*a_tilde_p2)                   # [4]
    x, delta = share_bits(x_p2), share_odd(delta_p2)                          # [5, 6]
    eta_1_p2 = private_compare(x, r - 1, eta_2)                                  # [7]
    eta_1, one = share_odd(eta_1_p2), as_shares(np.ones_like(r))                 # [8]
    eta = np.where(eta_2 == 1, odd_sum(one, L - 1 - eta_1), eta_1)           # [9, 10]
    theta = odd_sum(beta, as_shares(L - 1 - (alpha + 1)), delta, eta)           # [11]
    u = share_odd(np.zeros_like(r))                 # common to the workers
    return odd_sum(a, L - 1 - theta, u)                                         # [12]


def msb(a):
    """Shares mod L of the top bit of a, from shares mod L - 1. Algorithm 5.

    That is the lowest bit of 2a, and the workers open r = 2a + x. The lowest bit of r
    is off by that of x, and by one more if the sum wrapped around, that is, if x > r.
    """
    x_p2, beta = uniform(a.shape[1:], L - 1), uniform(a.shape[1:], 2)
    x, x_bits, x_0 = share_odd(x_p2), share_bits(x_p2), share(x_p2 & 1)       # [1, 2]
    r = reveal(odd_sum(a, a, x), odd_sum)                                     # [3, 4]
    beta_1_p2 = private_compare(x_bits, r, beta)    # has 2a + x wrapped?          [5]
    beta_1 = share(beta_1_p2)                                                    # [6]
    gamma = xor(beta_1, beta)                                                    # [7]
    delta = xor(x_0, r & 1)                                                      # [8]
    theta = product(np.multiply, gamma, delta)                                   # [9]
    return refresh(gamma + delta - 2 * theta)       # gamma XOR delta             [10]


def drelu(a):
    """Shares of 1 where a >= 0 and of 0 elsewhere, for |a| < L / 4. Algorithm 6."""
    one = as_shares(np.ones(a.shape[1:], np.uint64))
    return one - msb(share_convert(2 * a))


# -------------------------------------------- gradients


class Tensor:
    """Shares, their parents, and for each parent a rule that passes the gradient on."""

    def __init__(self, value, *parents, constant=False):
        self.value, self.parents, self.constant = value, parents, constant
        self.grad = None

    def __add__(self, bias):
        return Tensor(self.value + bias.value, (self, lambda g: g),
                      (bias, lambda g: g.sum(axis=1, keepdims=True)))

    def __matmul__(self, weight):
        x, w = self.value, weight.value
        return Tensor(truncate(product(matmul, x, w)),
                      (self, lambda g: truncate(product(matmul, g, w.mT))),
                      (weight, lambda g: truncate(product(matmul, x.mT, g))))

    def relu(self):
        bit = drelu(self.value)
        return Tensor(product(np.multiply, self.value, bit),
                      (self, lambda g: product(np.multiply, g, bit)))

    def squared_error(self, t):
        e = self.value - t
        return Tensor(truncate(product(np.multiply, e, e)),
                      (self, lambda g: truncate(product(np.multiply, g, 2 * e))))

    def backward(self):
        """Reverse mode: each leaf gets the gradient of the sum of these elements."""
        self.grad = as_shares(encode(np.ones(self.value.shape[1:])))
        for tensor in reversed(self.history({})):
            for parent, rule in tensor.parents:
                if not parent.constant:
                    g = rule(tensor.grad)
                    parent.grad = g if parent.grad is None else parent.grad + g

    def history(self, found):
        """Collect this tensor and those behind it in a dict, parents first."""
        if self not in found:
            for parent, _ in self.parents:
                parent.history(found)
            found[self] = True
        return found


# -------------------------------------------- training


def layer(n, m):
    """A weight and a bias."""
    initial = [rng.uniform(-1, 1, shape) / np.sqrt(n) for shape in ((n, m), (1, m))]
    return [Tensor(share(encode(values))) for values in initial]


def forward(layers, x):
    *hidden, (weight, bias) = layers
    for w, b in hidden:
        x = (x @ w + b).relu()
    return x @ weight + bias


def train_batch(layers, x, t, lr=0.02):
    """One step of SGD. The server learns the mean-squared error, which it returns."""
    n, output = x.shape[1], forward(layers, Tensor(x, constant=True))
    loss = output.squared_error(t)
    loss.backward()
    for p in (p for pair in layers for p in pair):
        p.value = p.value - truncate(p.grad, round(n / lr))     # lr times the mean
        p.grad = None
    total = loss.value.sum(axis=(1, 2), keepdims=True)
    return decode(reveal(refresh(total))).item() / n


def count_correct(layers, x, t):
    """The server learns how often no output exceeds that of the correct class."""
    y = forward(layers, Tensor(x)).value
    right = truncate(product(np.multiply, y, t)).sum(axis=2, keepdims=True)
    bit = drelu(right - y)
    correct = bit[..., :1]
    for k in range(1, bit.shape[2]):
        correct = product(np.multiply, correct, bit[..., k:k + 1])
    return reveal(refresh(correct.sum(axis=1))).item()


def load(split, n):
    """Pictures and one-hot labels, shared by their owners."""
    images, labels = data.load_mnist(split, n)
    return share(encode(data.normalise(images))), share(encode(data.one_hot(labels)))


def main(n=640, epochs=10, batch=64):
    layers, (x, t) = [layer(784, 128), layer(128, 64), layer(64, 10)], load("train", n)
    for epoch in range(epochs):
        losses = [train_batch(layers, x[:, i:i + batch], t[:, i:i + batch])
                  for i in range(0, n, batch)]
        print(f"Epoch {epoch + 1}: loss {np.mean(losses):.3f}", flush=True)
    correct = count_correct(layers, *load("test", n))
    print(f"Test set: {correct} of {n} correct ({100 * correct / n:.1f} %)")


if __name__ == "__main__":
    main()
