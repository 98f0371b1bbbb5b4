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

from functools import reduce
from typing import NamedTuple

import numpy as np

from mpc.ledger import step
from mpc.masks import spoilt
from mpc.ring import Ring
from mpc.share import Notes, RingArray, Share, check_broadcast, check_matmul, matched
from mpc.world import World


@step(shares=2, rounds=1, online="(k - 1)*k*w*(x + y)", offline="w*z",
      source="Beaver, CRYPTO 1991")
def multiply(x: Share, y: Share) -> Share:
    """Shares of ``x * y``, for shapes that broadcast. Scales are up to the caller.

    With x = C + sum f s and y = D + sum g t, the workers add C y, D sum f s and the
    f g s t, of which the provider deals shares: one for each pair of s and t.
    """
    check_broadcast(x.shape, y.shape, "multiply")
    ring, (left, right) = x.ring, opened(epsilon=x, delta=y)
    pairs = [(s, t) for s in left.terms for t in right.terms]
    products = share_offline(x.world, **{
        f"c_{i}" if i else "c": (
            ring.mul(*matched(ring.sum(s.parts, 1), ring.sum(t.parts, 1))), ring)
        for i, (s, t) in enumerate(pairs)})
    z = ring.add(ring.mul(*matched(left.constant, y.rows)),
                 ring.mul(*matched(left.dealt_rows(ring), right.constant)))
    for (s, t), st in zip(pairs, products, strict=True):
        for factor in (s.factor, t.factor):
            if factor is not None:
                st = st.times(factor)
        z = ring.add(z, st.rows)
    return x._with(z, spoilt(x.masks | y.masks))


@step(shares=2, rounds=1, online="(k - 1)*k*w*(x + y)", offline="w*z",
      source="Mohassel and Zhang, S&P 2017, with one product for each worker")
def matmul(x: Share, y: Share) -> Share:
    """Shares of ``k x @ y`` for k workers, of shapes (..., m, i) and (..., i, n).

    The factor k belongs into the scale of the result. Beaver's formula takes two
    products from each worker and one more for epsilon @ delta. Here worker j adds its
    mask k times and multiplies once: (epsilon + k a_j) @ (delta + k b_j). These sum to

        k (epsilon + a) @ (delta + b)  -  k (a @ b - k sum of a_j @ b_j)

    The bracket depends on masks only, so the provider deals its shares. It is the sum
    over j of (a_j - a_last) @ (b - k b_j): k - 1 products, since the last one is 0.
    """
    check_matmul(x.shape, y.shape)
    ring, k, (left, right) = x.ring, len(x.world.workers), masked(epsilon=x, delta=y)
    (_, a, a_parts), (_, b, b_parts) = left.terms[0], right.terms[0]
    b_sum, bracket = ring.sum(b_parts, axis=1), np.zeros((), ring.dtype)
    for j in range(k - 1):
        bracket = ring.add(bracket, ring.matmul(*matched(
            ring.sub(a_parts[:, j], a_parts[:, -1]),
            ring.sub(b_sum, ring.mul(b_parts[:, j], k)))))
    c, = share_offline(x.world, c=(ring.mul(bracket, k), ring))
    z = ring.matmul(*matched(ring.add(left.constant, ring.mul(a.rows, k)),
                             ring.add(right.constant, ring.mul(b.rows, k))))
    return c._with(ring.add(c.rows, z), spoilt(x.masks | y.masks))


@step(secure="shares are uniform up to their sum, and independent of earlier shares",
      source="SecureNN, section 3: shares of zero from the workers' common key")
def refresh(x: Share) -> Share:
    """Fresh shares of the same secret: each worker adds its share of zero.

    Someone who is shown the fresh shares and holds nothing else learns only their sum.
    """
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
    parts: np.ndarray       # of the number, at the provider, (provider_here, n, *shape)


class Opened(NamedTuple):
    """A secret as a common constant and a sum of dealt numbers."""

    constant: np.ndarray
    terms: tuple[Term, ...]
    is_masked: bool = False     # by a mask of its own: epsilon + a

    def dealt_rows(self, ring: Ring) -> np.ndarray:
        """The workers' shares of the sum of all terms."""
        return reduce(ring.add, (s.share.rows if s.factor is None
                                 else ring.mul(s.share.rows, s.factor)
                                 for s in self.terms))

    def moved(self, move, like: Share) -> Opened:
        """The same for a view of `like`, whose elements are in other places."""
        def rows(array):
            return move(RingArray(like.world, like.ring, array)).rows
        terms = (Term(f if f is None else rows(f), move(share),
                      np.stack([rows(parts[:, j]) for j in range(parts.shape[1])], 1))
                 for f, share, parts in self.terms)
        return Opened(rows(self.constant), tuple(terms), self.is_masked)


_opened = Notes()
MASKS = {"epsilon": "a", "delta": "b"}      # message: mask


def masked(**secrets: Share) -> list[Opened]:
    """Each secret as epsilon + a; one round opens those that are not open yet.

    epsilon=x and delta=y name the messages. A view of a secret shares its opening.
    """
    waiting: dict[str, Share] = {}
    for name, x in secrets.items():
        x = _original(x)
        known = _opened[x]
        if not (known and known.is_masked or any(x is y for y in waiting.values())):
            waiting[name] = x
    if waiting:
        world = next(iter(waiting.values())).world
        masks = {name: world.deal(x.ring, x.shape, MASKS[name])
                 for name, x in waiting.items()}
        epsilons = world.open(
            **{name: x - masks[name][0] for name, x in waiting.items()})
        for (name, x), epsilon in zip(waiting.items(), epsilons, strict=True):
            _opened[x] = Opened(epsilon, (Term(None, *masks[name]),), True)
            _freeze(x.rows)
    return [_form(x) for x in secrets.values()]


def opened(**secrets: Share) -> list[Opened]:
    """Each secret in the form it is opened in; masked now if it is not open yet."""
    masked(**{name: x for name, x in secrets.items() if not _opened[_original(x)]})
    return [_form(x) for x in secrets.values()]


def as_share(constant: np.ndarray, *terms: tuple, like: Share) -> Share:
    """An opened secret as a Share, from (factor, share, value at the provider).

    The masks in `like`, from which it was computed, no longer hide it.
    """
    form = Opened(constant, tuple(Term(f, s, value[:, None]) for f, s, value in terms))
    share = terms[0][1]
    share = share._with(form.dealt_rows(share.ring)).plus(constant)
    share = share._with(share.rows, spoilt(like.masks))
    _opened[share] = form
    return share


def _freeze(rows):
    """A mask serves these numbers alone: nobody may write others in their place."""
    while isinstance(rows, np.ndarray):
        rows.flags.writeable = False
        rows = rows.base


def _original(x):
    return x if x.view_of is None else _original(x.view_of[0])


def _form(x):
    if x.view_of is None:
        return _opened[x]
    original, move = x.view_of
    return _form(original).moved(move, original)
