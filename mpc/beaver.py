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

from functools import cached_property, reduce
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
    names = ["c", *(f"c_{i}" for i in range(2, len(pairs) + 1))]
    products = share_offline(x.world, **{
        name: (ring.mul(*matched(s.value, t.value)), ring)
        for name, (s, t) in zip(names, pairs, strict=True)})
    z = ring.add(ring.mul(*matched(left.constant, y.rows)),
                 ring.mul(*matched(left.dealt_rows(ring), right.constant)))
    for (s, t), st in zip(pairs, products, strict=True):
        factors = [f for f in (s.factor, t.factor) if f is not None]
        z = ring.add(z, reduce(lambda v, f: ring.mul(*matched(v, f)), factors, st.rows))
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
    ring, (left, right) = x.ring, masked(epsilon=x, delta=y)
    k = len(x.world.workers)
    a, b = left.dealer_rows, right.dealer_rows
    b_sum, brackets = ring.sum(b, axis=1), []
    for j in range(k - 1):
        apart = ring.sub(a[:, j], a[:, -1]), ring.sub(b_sum, ring.mul(b[:, j], k))
        brackets.append(ring.matmul(*matched(*apart)))
    bracket = ring.mul(reduce(ring.add, brackets), k)
    c, = share_offline(x.world, c=(bracket, ring))
    z = ring.matmul(*matched(left.operand(), right.operand()))
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
    """A dealt number times a common factor; None is the factor 1."""

    factor: np.ndarray | None   # (1, *shape)
    share: Share
    value: np.ndarray           # at the provider, (provider_here, *shape)


class Opened:
    """A secret as a common constant and a sum of dealt numbers."""

    def __init__(self, constant: np.ndarray, *terms: Term):
        self.constant, self.terms = constant, terms

    def dealt_rows(self, ring: Ring) -> np.ndarray:
        """The workers' shares of the sum of all terms."""
        return reduce(ring.add, (s.share.rows if s.factor is None
                                 else ring.mul(s.share.rows, s.factor)
                                 for s in self.terms))

    def moved(self, move, like: Share) -> Opened:
        """The same for a view of `like`, whose elements are in other places."""
        def rows(array):
            return None if array is None else _moved(array, move, like)
        return Opened(rows(self.constant), *(
            Term(rows(s.factor), move(s.share), rows(s.value)) for s in self.terms))


class Masked(Opened):
    """A secret x = epsilon + a under a mask a of its own."""

    def __init__(self, epsilon: np.ndarray, a: Share, dealer_rows: np.ndarray):
        self.constant, self.a = epsilon, a
        self.dealer_rows = dealer_rows      # of a, (provider_here, n_workers, *shape)

    @cached_property
    def terms(self):
        return Term(None, self.a, self.a.ring.sum(self.dealer_rows, axis=1)),

    def operand(self) -> np.ndarray:
        """What each of k workers multiplies in `matmul`, epsilon + k a_j."""
        ring, k = self.a.ring, len(self.a.world.workers)
        return ring.add(self.constant, ring.mul(self.a.rows, k))

    def moved(self, move, like):
        rows = [_moved(self.dealer_rows[:, j], move, like)
                for j in range(self.dealer_rows.shape[1])]
        return Masked(_moved(self.constant, move, like), move(self.a),
                      np.stack(rows, axis=1))


def _moved(array, move, like):
    return move(RingArray(like.world, like.ring, array)).rows


_opened = Notes()


def opened(kind: type[Opened] = Opened, /, **secrets: Share) -> list:
    """Each secret in the opened form; one round opens those that are not open yet.

    epsilon=x and delta=y name the messages. A view of a secret shares its opening.
    """
    waiting: dict[str, Share] = {}
    for name, x in secrets.items():
        x = _original(x)
        if not isinstance(_opened[x], kind) and all(x is not y for y in waiting.values()):
            waiting[name] = x
    if waiting:
        world = next(iter(waiting.values())).world
        dealt = {name: world.deal(x.ring, x.shape, MASKS[name])
                 for name, x in waiting.items()}
        epsilons = world.open(**{name: x - dealt[name][0] for name, x in waiting.items()})
        for x, mask, epsilon in zip(waiting.values(), dealt.values(), epsilons, strict=True):
            _opened[x] = Masked(epsilon, *mask)
            _freeze(x.rows)
    return [_form(x) for x in secrets.values()]


MASKS = {"epsilon": "a", "delta": "b"}


def masked(**secrets: Share) -> list[Masked]:
    """Each secret under a mask of its own, opened as by `opened`."""
    return opened(Masked, **secrets)


def as_share(form: Opened, like: Share) -> Share:
    """An opened secret as a Share, with the masks of `like` spent on it."""
    share = form.terms[0].share
    share = share._with(form.dealt_rows(share.ring)).plus(form.constant)
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
