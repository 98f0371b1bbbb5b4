"""Private training in one file: a network learns to read digits that no party sees.

Read it from top to bottom. It builds a ring, shares over it, products, truncation, the
sign of a secret, gradients, and trains on MNIST with them: ``python -m mpc.tiny``.

The workers alice and bob hold shares: arrays whose first axis has size 2, with alice's
share in row 0 and bob's in row 1. Arithmetic on such an array is done by each worker on
its own row. P2, the crypto provider, helps: a name that ends in _p2 is known to P2 alone.
Every other array is public or common to the workers. Data moves in three ways only:

    share(), share_odd(), share_bits()    somebody splits a value, one share each
    reveal(), reveal_odd()                the workers show each other their shares
    to_p2()                               the workers send their shares to P2

The package does the same with care. This file leaves out:

    unpredictable masks      mpc.randomness; NumPy's generator, used here, can be predicted
    parties that are apart   mpc.world, mpc.mpi; this process holds all shares
    tests of privacy         mpc.views: what each party sees, counted over all masks
    a record of messages     mpc.ledger: rounds and bytes of every step
    more than two workers    mpc.beaver, mpc.carry_tree
    checks of range          mpc.checked; here overflow goes undetected
"""

import numpy as np

import data

L, P, SCALE = 2**64, 67, 1000           # two moduli; 1000 stands for 1.0
rng = np.random.default_rng()

# ------------------------------------------------------------ numbers in the ring Z_L
# uint64 wraps around at 2^64, so NumPy's own +, - and * are the arithmetic of the ring.


def encode(x):
    return np.rint(x * SCALE).astype(np.int64).view(np.uint64)  # -1 becomes L - 1


def decode(x):
    return x.view(np.int64) / SCALE


def uniform(shape, m=L):
    return rng.integers(0, m, shape, dtype=np.uint64)


# ------------------------------------------------------------ shares


def as_shares(value):
    """A value that both workers know: alice takes all of it, bob 0."""
    return np.stack([value, np.zeros_like(value)])


def share(secret):
    """Each share alone is uniform; the two add up to the secret."""
    mask = uniform(secret.shape)
    return np.stack([mask, secret - mask])


def reveal(x):
    return x[0] + x[1]


def to_p2(x):
    return x


def refresh(x):
    """The same secret in new shares: the workers add shares of 0 from a common mask."""
    u = uniform(x.shape[1:])
    return x + np.stack([u, -u])


# ------------------------------------------------------------ products and truncation


def product(op, x, y):
    """Beaver: x y = (epsilon + a)(delta + b) with a, b, c = a b dealt by P2."""
    a_p2, b_p2 = uniform(x.shape[1:]), uniform(y.shape[1:])
    a, b, c = share(a_p2), share(b_p2), share(op(a_p2, b_p2))
    epsilon, delta = reveal(x - a), reveal(y - b)       # uniform, whatever x and y are
    return c + op(epsilon, b) + op(a, delta) + as_shares(op(epsilon, delta))


def multiply(x, y):
    return product(np.multiply, x, y)


def matmul(x, y):
    return product(np.matmul, x, y)


def truncate(x, d=SCALE):
    """x / d: alice rounds down and bob up, so that the result is right on average.

    It is wrong with probability |x| / L, which holds for fresh shares only.
    """
    x = refresh(x)
    return np.stack([x[0] // d, -(-x[1] // d)])


# ------------------------------------------------------------ the ring Z_(L-1), and bits
# In a ring of odd size the top bit of a is the lowest bit of 2a, which is easier to get.


def odd_sum(*terms):
    """The sum mod L - 1: L is 1 there, so that a carry out of the top comes back in."""
    total = terms[0]
    for y in terms[1:]:
        total = total + y
        total = total + (total < y)
    return total * (total != L - 1)


def odd_negative(x):
    return (L - 1) - x


def share_odd(secret):
    mask = uniform(secret.shape, L - 1)
    return np.stack([mask, odd_sum(secret, odd_negative(mask))])


def reveal_odd(x):
    return odd_sum(x[0], x[1])


def bits(x, l=64):
    """The bits of x, lowest first, along a new last axis."""
    return (x[..., None] >> np.arange(l, dtype=np.uint64) & 1).astype(np.int64)


def share_bits(secret, l=64):
    """Shares mod P of each bit."""
    mask = rng.integers(0, P, (*secret.shape, l))
    return np.stack([mask, (bits(secret, l) - mask) % P])


def wrap(x, y):
    """1 where x + y reaches L, 0 elsewhere."""
    return (x + y < x).astype(np.uint64)


def xor(b, c):
    """Shares of b XOR c, with c known to both workers."""
    return np.where(c == 1, as_shares(c) - b, b)


# ------------------------------------------------------------ SecureNN: is a secret >= 0?
# Wagh, Gupta and Chandran, PETS 2019; in square brackets the lines of its algorithms.


def private_compare(x, r, beta):
    """P2 learns beta XOR (x > r) from shared bits of x, the workers nothing: algorithm 3."""
    l, r, beta = x.shape[-1], r[..., None], beta[..., None]
    j = np.arange(2).reshape(2, *[1] * r.ndim)          # alice is worker 0, bob worker 1
    t = bits(np.where(beta == 1, r + 1, r)[..., 0], l)                              # [1]
    w = x + j * t - 2 * t * x                           # w_i = x_i XOR t_i      [5, 8]
    sum_w = w[..., ::-1].cumsum(-1)[..., ::-1] - w      # of the higher bits
    c = np.where(beta == 0, j * t - x, x - j * t) + j + sum_w                    # [6, 9]
    never = (beta == 1) & (r == 2**l - 1)               # then x <= r always        [10]
    c = np.where(never, j * (np.arange(l) > 0), c)      # one zero, at bit 0        [11]
    s, u = rng.integers(1, P, t.shape), rng.integers(0, P, t.shape)
    pi = rng.permuted(np.broadcast_to(np.arange(l), t.shape), axis=-1)
    d = (s * c + np.stack([u, -u])) % P                 # zeros stay, the rest is noise
    d_p2 = to_p2(np.take_along_axis(d, pi[None], axis=-1))                         # [14]
    return (d_p2.sum(axis=0) % P == 0).any(axis=-1).astype(np.uint64)              # [15]


def share_convert(a):
    """From shares mod L to shares mod L - 1, for a != L - 1: algorithm 4."""
    r_j, eta_2 = uniform(a.shape), uniform(a.shape[1:], 2)      # common to the workers
    r, alpha = r_j[0] + r_j[1], wrap(r_j[0], r_j[1])                                # [1]
    a_tilde, beta = a + r_j, wrap(a, r_j)                                           # [2]
    a_tilde_p2 = to_p2(a_tilde)                                                     # [3]
    x_p2, delta_p2 = a_tilde_p2[0] + a_tilde_p2[1], wrap(*a_tilde_p2)               # [4]
    x_bits, delta = share_bits(x_p2), share_odd(delta_p2)                        # [5, 6]
    eta_1_p2 = private_compare(x_bits, r - 1, eta_2)    # r = 0: see mpc.securenn   [7]
    eta_1 = share_odd(eta_1_p2)                                                     # [8]
    not_eta_1 = odd_sum(as_shares(np.ones_like(r)), odd_negative(eta_1))
    eta = np.where(eta_2 == 1, not_eta_1, eta_1)                                # [9, 10]
    minus_alpha_1 = as_shares(odd_negative(alpha + 1))
    theta = odd_sum(beta, minus_alpha_1, delta, eta)    # 1 if the shares of a wrap [11]
    u = share_odd(np.zeros_like(r))                     # from a common mask
    return odd_sum(a, odd_negative(theta), u)                                      # [12]


def msb(a):
    """The top bit of a, from shares mod L - 1 to shares mod L: algorithm 5."""
    x_p2, beta = uniform(a.shape[1:], L - 1), uniform(a.shape[1:], 2)   # beta is common
    x, x_bits, x_0 = share_odd(x_p2), share_bits(x_p2), share(x_p2 & 1)          # [1, 2]
    r = reveal_odd(odd_sum(a, a, x))                                             # [3, 4]
    beta_1_p2 = private_compare(x_bits, r, beta)        # x > r if 2a + x wrapped   [5]
    beta_1 = share(beta_1_p2)                                                       # [6]
    gamma = xor(beta_1, beta)                                                       # [7]
    delta = xor(x_0, r & 1)                                                         # [8]
    theta = multiply(gamma, delta)                                                  # [9]
    return refresh(gamma + delta - 2 * theta)           # gamma XOR delta          [10]


def drelu(a):
    """1 where a >= 0, 0 elsewhere, for |a| < L / 4: algorithm 6."""
    alpha = msb(share_convert(2 * a))
    return as_shares(np.ones_like(a[0])) - alpha


# ------------------------------------------------------------ gradients


class Tensor:
    """Shares that remember their parents, each with a rule that passes the gradient on."""

    def __init__(self, value, *parents, constant=False):
        self.value, self.parents, self.constant, self.grad = value, parents, constant, None

    def __add__(self, bias):
        return Tensor(self.value + bias.value, (self, lambda g: g),
                      (bias, lambda g: g.sum(axis=1, keepdims=True)))

    def __sub__(self, other):
        return Tensor(self.value - other.value, (self, lambda g: g), (other, lambda g: -g))

    def __mul__(self, other):
        x, y = self.value, other.value
        return Tensor(truncate(multiply(x, y)), (self, lambda g: truncate(multiply(g, y))),
                      (other, lambda g: truncate(multiply(g, x))))

    def __matmul__(self, other):
        x, y = self.value, other.value
        return Tensor(truncate(matmul(x, y)), (self, lambda g: truncate(matmul(g, y.mT))),
                      (other, lambda g: truncate(matmul(x.mT, g))))

    def relu(self):
        bit = drelu(self.value)
        return Tensor(multiply(self.value, bit), (self, lambda g: multiply(g, bit)))

    def sum(self):
        x = self.value
        return Tensor(x.sum(axis=(1, 2), keepdims=True),
                      (self, lambda g: np.broadcast_to(g, x.shape)))

    def ancestors(self, found):
        """Add this tensor to the dict `found`, after all that it was made from."""
        if self not in found:
            for parent, _ in self.parents:
                parent.ancestors(found)
            found[self] = True
        return found

    def backward(self):
        """Reverse mode: set grad of this tensor to 1, then walk back to the leaves."""
        self.grad = as_shares(encode(np.ones(self.value.shape[1:])))
        for tensor in reversed(self.ancestors({})):
            for parent, rule in tensor.parents:
                if not parent.constant:
                    g = rule(tensor.grad)
                    parent.grad = g if parent.grad is None else parent.grad + g


# ------------------------------------------------------------ training


def network(*sizes):
    """A weight and a bias for each layer."""
    def initial(n, *shape):
        return Tensor(share(encode(rng.uniform(-1, 1, shape) / np.sqrt(n))))

    return [(initial(n, n, m), initial(n, 1, m)) for n, m in zip(sizes, sizes[1:])]


def forward(layers, x):
    *hidden, (weight, bias) = layers
    for w, b in hidden:
        x = (x @ w + b).relu()
    return x @ weight + bias


def train_batch(layers, x, t, lr=0.02):
    """One step of gradient descent; the mean-squared error, which the server learns."""
    error = forward(layers, Tensor(x, constant=True)) - Tensor(t, constant=True)
    loss, n = (error * error).sum(), x.shape[1]
    loss.backward()
    for p in (p for layer in layers for p in layer):
        p.value = p.value - truncate(p.grad, round(n / lr))     # the mean's 1/n, and lr
        p.grad = None
    return decode(reveal(refresh(loss.value))).item() / n


def count_correct(layers, x, t):
    """How often no output is above that of the right class; the server learns the count."""
    y = forward(layers, Tensor(x)).value
    right = truncate(multiply(y, t)).sum(axis=2, keepdims=True)
    bit = drelu(right - y)
    correct = bit[..., :1]
    for k in range(1, t.shape[2]):
        correct = multiply(correct, bit[..., k:k + 1])
    return reveal(refresh(correct.sum(axis=1))).item()


def load(split, n):
    """The pictures and the one-hot labels, as their owners share them."""
    images, labels = data.load_mnist(split, n)
    return share(encode(data.normalise(images))), share(encode(data.one_hot(labels)))


def main(n=640, n_test=640, epochs=10, batch=64):
    layers, (x, t) = network(784, 128, 64, 10), load("train", n)
    for epoch in range(1, epochs + 1):
        losses = [train_batch(layers, x[:, i:i + batch], t[:, i:i + batch])
                  for i in range(0, n, batch)]
        print(f"Epoch {epoch}: loss {np.mean(losses):.3f}", flush=True)
    correct = count_correct(layers, *load("test", n_test))
    print(f"Test set: {correct} of {n_test} correct ({100 * correct / n_test:.1f} %)")


if __name__ == "__main__":
    main()
