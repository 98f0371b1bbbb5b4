"""Products of two secrets, after Beaver: each secret is opened once, under a mask.

With shares of random a, b and c = a op b, the workers open epsilon = x - a and
delta = y - b, which are uniform and so reveal nothing, and

    x op y = (epsilon + a) op (delta + b)
           = epsilon op delta + epsilon op b + a op delta + c

is linear in the shares. `op` is any product that distributes over sums, elementwise or
of matrices. From then on x is public except for a, a number that the provider has dealt
and knows. Whatever is computed from x later starts from this one opening: its products
with any partner, its quotient (`mpc.truncation`) and its sign (`mpc.carry_tree`).

More generally, a secret is *opened* if the workers know all but dealt numbers of it:

    x = constant + factor * s + factor' * s' + ...     the s dealt, the rest common

An opened bit is m + (1 - 2 m) b, with m public and b dealt. The product of two opened
secrets is again linear in dealt numbers and in their products, of which the provider
can send shares in advance. So it takes no message online.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from mpc.ledger import step
from mpc.masks import Mask, spoilt
from mpc.ring import Ring, Z2k
from mpc.share import Notes, Share, aligned, check_broadcast, check_matmul
from mpc.world import World


@step(shares=2, rounds=1, online="(k - 1)*k*w*(x + y)", offline="w*z",
      source="Beaver, CRYPTO 1991")
def multiply(x: Share, y: Share) -> Share:
    """Shares of ``x * y``, for shapes that broadcast. Scales are up to the caller.

    With x = C + sum f s and y = D + sum g t, the workers add C y, D sum f s and the
    f g s t, of which the provider deals shares: one for each pair of s and t.
    """
    check_broadcast(x.shape, y.shape, "multiply")
    x, y = aligned(x, y)
    ring, (left, right) = x.ring, opened(epsilon=x, delta=y)
    pairs = [(s, t) for s in left.terms for t in right.terms]
    products = {f"c_{i}" if i else "c": (ring.mul(s.value, t.value), ring)
                for i, (s, t) in enumerate(pairs)}
    z = [ring.mul(left.constant, y.rows),
         ring.mul(left.dealt_rows(ring), right.constant)]
    for (s, t), st in zip(pairs, share_offline(x.world, **products), strict=True):
        factors = [f for f in (s.factor, t.factor) if f is not None]
        z.append(reduce(ring.mul, factors, st.rows))
    return x._with(reduce(ring.add, z), spoilt(x.masks | y.masks))


@step(shares=2, over=Z2k, rounds=1, online="(k - 1)*k*w*(x + y)", offline="w*z",
      source="Mohassel and Zhang, S&P 2017, with one product for each worker")
def matmul(x: Share, y: Share) -> Share:
    """Shares of ``k x @ y`` for k workers, of shapes (..., m, i) and (..., i, n).

    The factor k belongs in the scale of the result. Beaver's formula takes two
    products from each worker and one more for epsilon @ delta. Here worker j adds its
    mask k times and multiplies once: (epsilon + k a_j) @ (delta + k b_j). These sum to

        k (epsilon + a) @ (delta + b)  -  k (a @ b - k sum of a_j @ b_j)

    The bracket depends on masks only, so the provider deals its shares. It is the sum
    over j of (a_j - a_last) @ (b - k b_j): k - 1 products, since the last one is 0.

    Seals must come from linear steps alone. With them k = 1 and each worker multiplies
    twice, epsilon @ y + a @ delta + a @ b.
    """
    check_matmul(x.shape, y.shape)
    x, y = aligned(x, y)
    ring, k, (left, right) = x.ring, x.world.matmul_factor, masked(epsilon=x, delta=y)
    (_, a, a_sum), (_, b, b_sum) = left.terms[0], right.terms[0]
    if x.world.seals:
        c, = share_offline(x.world, c=(ring.matmul(a_sum, b_sum), ring))
        parts = [ring.matmul(left.constant, y.rows),
                 ring.matmul(a.rows, right.constant)]
        return c._with(reduce(ring.add, parts, c.rows), spoilt(x.masks | y.masks))
    brackets = [ring.matmul((a_j - left.parts[-1]) * k, b_sum - b_j * k)
                for a_j, b_j in zip(left.parts[:-1], right.parts, strict=False)]
    c, = share_offline(x.world, c=(reduce(ring.add, brackets), ring))
    z = ring.matmul(left.constant + a.rows * k, right.constant + b.rows * k)
    return c._with(ring.add(c.rows, z), spoilt(x.masks | y.masks))


@step(shares=None, rounds=1, online="(k - 1)*k*w*(x + y)", source="as `multiply`")
def open_all(*secrets: Share) -> None:
    """Open secrets in one round, for products and quotients that follow.

    The price is that of two. Those that are open already are not opened again.
    """
    names = "epsilon", "delta", *(f"epsilon_{i}" for i in range(2, len(secrets)))
    masked(**dict(zip(names, secrets, strict=False)))


@step(secure="shares are uniform up to their sum, and independent of earlier shares",
      source="SecureNN, section 3: shares of zero from the workers' common key")
def refresh(x: Share) -> Share:
    """Fresh shares of the same secret: each worker adds its share of zero.

    Someone who is shown the fresh shares and holds nothing else learns only their sum.
    With seals nobody is shown any share (`mpc.seals`), and x is returned.
    """
    if x.world.seals:
        return x
    return x + x.world.zero_share(x.ring, x.shape, "zero")


def share_offline(world: World, **values) -> tuple:
    """Shares of values of the provider that depend on no input, as in `World.share`."""
    with world.ledger.offline():
        return world.share(world.crypto_provider, **values)


# ---- opened secrets


class Term(NamedTuple):
    """A dealt number times a common factor, (1, *shape) or None for 1."""

    factor: np.ndarray | None
    share: Share
    value: np.ndarray       # of the number, at the provider, (provider_here, *shape)


class Opened(NamedTuple):
    """A secret as a common constant and a sum of dealt numbers."""

    constant: np.ndarray
    terms: list[Term]
    parts: Sequence = ()    # of a, if this is epsilon + a: each worker's, like a value

    def dealt_rows(self, ring: Ring) -> np.ndarray:
        """The workers' shares of the sum of all terms."""
        rows = [s.share.rows if s.factor is None else ring.mul(s.share.rows, s.factor)
                for s in self.terms]
        return reduce(ring.add, rows)

    def moved(self, move, *how) -> Opened:
        """The same for a view, whose elements are in other places."""
        terms = [Term(f if f is None else move(f), share._view(move, *how), move(value))
                 for f, share, value in self.terms]
        return Opened(move(self.constant), terms, [*map(move, self.parts)])


_opened = Notes()
MASKS = {"epsilon": "a", "delta": "b"}      # message: mask; that of others is a


def masked(**secrets: Share) -> list[Opened]:
    """Each secret as epsilon + a; one round opens those that are not open yet.

    epsilon=x and delta=y name the messages. A view of a secret shares its opening.
    """
    return _forms(secrets, whole=True)


def opened(**secrets: Share) -> list[Opened]:
    """Each secret in the form it is opened in; masked now if it is not open yet."""
    return _forms(secrets, whole=False)


def _forms(secrets, whole):
    """The form of each secret, if `whole` as epsilon + a; new ones are opened first."""
    new = {}
    for name, x in secrets.items():
        x = _original(x)
        form = _opened[x]
        if form is None or whole and not form.parts:
            new.setdefault(id(x), (MASKS.get(name, "a"), name, x))
    if new:
        _open_masked([*new.values()])
    return [_form(x) for x in secrets.values()]


def _open_masked(secrets):
    """Open each secret x of (mask, message, x) as epsilon + a, for a fresh a."""
    dealt = [x.world.deal(x.ring, x.shape, mask) for mask, _, x in secrets]
    epsilons = secrets[0][2].world.open(
        **{name: x - a for (_, name, x), (a, _) in zip(secrets, dealt, strict=True)})
    for (*_, x), (a, known), epsilon in zip(secrets, dealt, epsilons, strict=True):
        parts = [known[:, j] for j in range(len(x.world.workers))]
        _opened[x] = Opened(epsilon, [Term(None, a, reduce(x.ring.add, parts))], parts)
        _freeze(x.rows.base)


def mask_of(x: Share) -> Mask | None:
    """The dealt mask a under which x is open, if it is; so a later run can repeat it.

    Only a secret that is open as epsilon + a has one.
    """
    form = _opened[_original(x)]
    return next(iter(form.terms[0].share.masks)) if form and form.parts else None


def as_share(constant: np.ndarray, *terms: tuple, like: Share) -> Share:
    """An opened secret as a Share, from (factor, share, value at the provider).

    The masks in `like`, from which it was computed, no longer hide it.
    """
    form, share = Opened(constant, [Term(*term) for term in terms]), terms[0][1]
    share = share._with(form.dealt_rows(share.ring), spoilt(like.masks)).plus(constant)
    _opened[share] = form
    return share


def _freeze(rows):
    """A mask serves these numbers alone: nobody may write others in their place.

    An array of rows is read-only from the start; a base of which it is a view need not.
    """
    while isinstance(rows, np.ndarray):
        rows.flags.writeable = False
        rows = rows.base


def _original(x):
    return x if x.view_of[0] is None else x.view_of[0]


def _form(x):
    form = _opened[_original(x)]
    for move, *how in x.view_of[1]:
        form = form.moved(move, *how)
    return form
