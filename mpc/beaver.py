"""Products of two secrets, after Beaver: spend one random product that the provider dealt.

With shares of random a, b and c = a op b, the workers open epsilon = x - a and delta = y - b, which
are uniform and so tell nothing, and

    x op y = (epsilon + a) op (delta + b) = epsilon op delta + epsilon op b + a op delta + c

is linear in the shares. `op` is any product that distributes over sums: elementwise or of matrices.
A secret is opened once: x keeps its mask and epsilon (`Masked`) for all products of the same x.
"""

import functools
import weakref

import numpy as np

from mpc.ledger import step
from mpc.masks import moved, spoilt
from mpc.share import Share, matched, reversed_axes


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
    Security: semi-honest; safe from any coalition that lacks one worker. The provider
        receives nothing.
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
    Security: semi-honest; safe from any coalition that lacks one worker. The provider
        receives nothing.
    Source: Beaver's product with matrices for numbers (Mohassel and Zhang, S&P 2017).
    """
    _check(x, y, "matmul")
    _matrices(x, y, "matmul")
    return _product(x, y, x.ring.matmul)


def _product(x, y, op):
    ring, a, b = x.ring, mask(x, "a"), mask(y, "b")
    c = deal_product(x.world, ring, op(*matched(a.mask_value, b.mask_value)))
    epsilon, delta = _opened((x, "masked", "epsilon"), (y, "masked", "delta"))
    # one worker adds epsilon op delta: it does so by adding delta to its row of b
    z = ring.add(op(*matched(epsilon, b.a.plus(delta).rows)), op(*matched(a.a.rows, delta)))
    return c._with(ring.add(c.rows, z), spoilt(x.masks) | spoilt(y.masks))


def _opened(*operands):
    """The opening of each (x, kind, name): epsilon, opened now if it never was before.

    `kind` says under which mask of x. All that is missing is opened in one round.
    """
    waiting = []
    for x, kind, name in operands:
        twice = any(x is other and kind == k for other, k, _ in waiting)
        if masked(x, kind).epsilon is None and not twice:
            waiting.append((x, kind, name))
    if waiting:
        hidden = {name: x - masked(x).a if kind == "masked" else
                  x + x - _doubled(masked(x, kind).a) for x, kind, name in waiting}
        opened = x.world.open(**hidden)
        for (x, kind, _), epsilon in zip(waiting, opened):
            masked(x, kind).epsilon = frozen(epsilon)
    return [masked(x, kind).epsilon for x, kind, _ in operands]


def _doubled(u):
    """The mask 2 u_0 - u_1 for a doubled secret."""
    first = u.world.party_index(u.rows) == 0
    rows = np.where(first, u.ring.add(u.rows, u.rows), u.ring.neg(u.rows))
    return u._with(rows, moved(u.masks, "doubled"))


@step
def matmul_in_three(x, y):
    """The workers get shares of twice the matrix product, ``2 x @ y``, and learn nothing.

    Three local products in place of Beaver's five: one for each worker and one for the provider.
    With dealt u = (u_0, u_1), v = (v_0, v_1) the workers open

        e = 2 x - (2 u_0 - u_1)        f = y - (v_0 + v_1)

    and worker j multiplies once, with t = (2, -1): z_j = (e + u_j) (t_j f + v_j) + c_j. In

        z_0 + z_1 = e f + e (v_0 + v_1) + (2 u_0 - u_1) f + u_0 v_0 + u_1 v_1 + c

    all but the last three terms is Beaver's expansion of 2 x y, which lacks the product of the
    masks, (2 u_0 - u_1)(v_0 + v_1). So c makes up the difference: c = (u_0 - u_1)(v_0 + 2 v_1). The
    secret must be doubled: worker 1 knows the parity of 2 u_0 - u_1 and would read that of x.

    Parameters
    ----------
    x, y : Share of one ring Z_2^l, of shapes (..., m, k) and (..., k, n), of two workers

    Returns
    -------
    Share
        Of shape (..., m, n). Rows are uniform. The factor 2 costs one bit of range; a truncation
        takes it away.

    Raises
    ------
    ValueError
        For another number of workers than two, other rings, or shapes that do not fit.

    Notes
    -----
    Rounds: 1
    Bytes: (k - 1)*k*w*(x + y) online, w*z offline
        where x, y, z count the elements of the operands and of the product, w the bytes of one, k
        the workers (two); an operand that was opened before under the same mask is not again
    Security: semi-honest; one worker. The provider receives nothing.
    Source: this package's own scheme, admitted by its exact tables (tests/mpc/test_views_three.py).
    """
    _check(x, y, "matmul_in_three")
    _matrices(x, y, "matmul_in_three")
    if len(x.world.workers) != 2:
        raise ValueError(f"matmul_in_three: a protocol of two workers, not {len(x.world.workers)}; "
                         "call matmul")
    ring, u, v = x.ring, mask(x, "u", "doubled"), mask(y, "v")
    (u_0, u_1), (v_0, v_1) = ((m.dealer_rows[:, 0], m.dealer_rows[:, 1]) for m in (u, v))
    left, right = matched(ring.sub(u_0, u_1), ring.add(v_0, ring.add(v_1, v_1)))
    c = deal_product(x.world, ring, ring.matmul(left, right))
    e, f = _opened((x, "doubled", "e"), (y, "masked", "f"))
    t_f = np.where(x.world.party_index(v.a.rows) == 0, ring.add(f, f), ring.neg(f))
    z = ring.matmul(*matched(ring.add(e, u.a.rows), ring.add(t_f, v.a.rows)))
    return c._with(ring.add(c.rows, z), spoilt(x.masks) | spoilt(y.masks))


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
    Security: semi-honest; safe from any coalition that lacks one worker. The provider
        receives nothing.
    Source: x^2 = epsilon^2 + 2 epsilon a + a^2 with epsilon = x - a and a dealt pair (a, a^2).
    """
    ring, a = x.ring, mask(x, "a")
    c = deal_product(x.world, ring, ring.mul(a.mask_value, a.mask_value))
    epsilon, = _opened((x, "masked", "epsilon"))
    rest = a.a.times(ring.add(epsilon, epsilon)).plus(ring.mul(epsilon, epsilon))
    return c._with(ring.add(c.rows, rest.rows), spoilt(x.masks))


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
    if x.world is not y.world:
        raise ValueError(f"{name}: shares of two Worlds do not meet: their workers are not the "
                         "same; share both in one")


def _matrices(x, y, name):
    product = f"{name}: {x.shape} @ {y.shape} is no product of matrices"
    if x.ndim < 2 or y.ndim < 2:
        raise ValueError(f"{product}; reshape a vector to one row or one column")
    if x.shape[-1] != y.shape[-2]:
        raise ValueError(f"{product}: the inner sizes differ; transpose or reshape one of them")
    try:
        np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    except ValueError:
        raise ValueError(f"{product}: the stacks do not broadcast; reshape one of them") from None


# ---- masked values, and the products of masks that the provider deals


class Masked:
    """A secret x under a dealt mask a, kept so that x is opened only once.

    The workers know epsilon = x - a. Every product of the same x may use it again with
    another partner, since nothing new is shown; another value needs another mask.

    Attributes
    ----------
    a : Share
        The mask.
    dealer_rows : local to the provider, (provider_here, n_workers, *shape)
        The shares of the mask, which the provider knows.
    epsilon : common (1, *shape), or None until it is opened
    """

    def __init__(self, a, dealer_rows, epsilon=None):
        self.a, self.dealer_rows, self.epsilon = a, dealer_rows, epsilon

    @functools.cached_property
    def mask_value(self):
        """The mask as the provider knows it, (provider_here, *shape)."""
        return frozen(self.a.ring.sum(self.dealer_rows, axis=1))

    @property
    def T(self):
        turned = Masked(self.a.T, reversed_axes(self.dealer_rows, 2),
                        reversed_axes(self.epsilon))
        if "mask_value" in vars(self):
            turned.mask_value = reversed_axes(self.mask_value)
        return turned


_masked = {}        # (id of a Share, kind): a weak reference to the Share, its Masked


def masked(x, kind="masked"):
    """The `Masked` under which `x` is kept, or None; the transpose of an opened x is open.

    `kind` "doubled" is a second mask beside it, for `matmul_in_three`.
    """
    share, known = _masked.get((id(x), kind), (lambda: None, None))
    if share() is x:
        return known
    original = None if x.transpose_of is None else masked(x.transpose_of, kind)
    if original is not None and original.epsilon is not None:
        return _keep(x, kind, original.T)
    return None


def _keep(x, kind, known):
    key = id(x), kind
    _masked[key] = weakref.ref(x, lambda _: _masked.pop(key, None)), known
    return known


def mask(x, name, kind="masked"):
    """The `Masked` of the secret `x`, under a freshly dealt mask if it has none yet."""
    known = masked(x, kind)
    if known is None:
        a, dealer_rows = x.world.deal(x.ring, x.shape, name)
        frozen(x.rows), frozen(a.rows)
        known = _keep(x, kind, Masked(a, dealer_rows))
    return known


def frozen(array):
    """`array` made read-only, with the arrays that it is a view of."""
    owner = array
    while isinstance(owner, np.ndarray):
        owner.flags.writeable = False
        owner = owner.base
    return array


def deal_product(world, ring, product):
    """Shares of a product of masks, which the provider knows: its only message."""
    with world.ledger.offline():
        c, = world.share(world.crypto_provider, c=(product, ring))
    return c
