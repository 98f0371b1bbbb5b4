"""Protocols as experiments: inputs on tiny rings that a role must not tell apart.

A worker's own input share is fixed and all shares of the others are compared; the
crypto provider must not tell any inputs apart. `ideal_*` replace a sub-protocol that
has tables of its own. That is sound, since these are equal for every fixed input, its
coins are fresh, and its answer is right for every coin: the tests of the sub-protocol
show it.
"""

from itertools import combinations, product

import numpy as np

from mpc import (
    FixedPoint,
    beaver,
    carry_tree,
    comparison,
    securenn,
    sorting,
    truncation,
)
from mpc.audit.views import Experiment
from mpc.ring import Z2kMinus1, Zm, prime_above, unpack_bits
from mpc.securenn import CompareCoins
from mpc.share import Share

BITS = carry_tree.BITS
ALICE, BOB, WORKER3, P2, SERVER = "alice", "bob", "worker3", "crypto_provider", "server"
WORKERS = [ALICE, BOB, WORKER3, "worker4"]

# free coins of drelu as one composition, with ideal sub-protocols
JOINT = ["r_0", "r_1", "eta_2", "delta", "eta_1", "compute_msb/beta", "compute_msb/x",
         "x_lsb", "beta_1", "product"]


class GivenOwnCoins(Experiment):
    """An experiment that fixes the coins of `coalition` and enumerates the others.

    The table is then that of one of the many values of the coalition's own coins: a
    stronger statement than the table over all of them, for the values that `own` (a
    number) picks, and small enough for three workers. Coins named in `ignored` are
    fixed although they are hidden: a leak, unless nothing in the view depends on them.
    Coins named in `free` are enumerated in full, although the coalition holds a part.
    """

    def __init__(self, step, coalition, own=0, ignored=(), free=(), **options):
        super().__init__(step, free, **options)
        self.coalition, self.own, self.ignored = coalition, own, ignored

    def _free(self, coin):
        free = super()._free(coin)
        if not any(coin.matches(name) for name in self.ignored):
            free[self._hidden(coin)] = True
        return free

    def _hidden(self, coin):
        """The rows of a coin that nobody in the coalition holds."""
        return [i for i, holders in enumerate(coin.groups)
                if not holders & set(self.coalition)]

    def _constant(self, coin, total):
        seed = f"{coin.name} {self.own}".encode()
        rng = np.random.default_rng([*seed])
        return np.repeat(rng.choice(coin.values, (*coin.digits, 1)), total, axis=-1)


class GivenOwnShares(GivenOwnCoins):
    """Moreover, this fixes every share that the coalition is dealt of a known number.

    The coalition lacks one worker, whose share of a number that the provider shares is
    a coin used for nothing else, unless that worker is the last one. So the last
    worker's share, the number less all coins, is uniform and independent of the number.
    With this share fixed too, the outsider's coin follows from the number, and the
    outsider's shares of masks are the only coins left to enumerate.

    A first run, in which those coins are 0, finds the numbers for all others: they do
    not depend on any input. A coin in `free` is enumerated instead, as it must be if a
    mutant changes it by more than writing other coins over it.
    """

    def __init__(self, step, coalition, own=0, **options):
        super().__init__(step, coalition, own, **options)
        self.options["comparison"] = "carry-tree"
        self._drawn, self._dealt = None, None

    def coins(self, **inputs):
        if self._drawn is None:
            self._drawn = super().coins(**inputs)
        return self._drawn

    def run(self, **inputs):
        if self._dealt is None:
            self._dealt = {}
            self._dealt = self._last_shares(super().run(**inputs)[0])
        world, outputs = super().run(**inputs)
        if world.workers_here[-1] in self.coalition and not self.mutants:
            for share in self._last_shares(world).values():
                assert np.all(share == share[..., :1]), "it depends on the inputs"
        return world, outputs

    def _last_shares(self, world):
        """The last worker's share (*digits, assignments) of each value."""
        last, shares = world.workers_here[-1], {}
        for coin in filter(self._follows, world.drawn):
            seen = [(array, ring) for label, array, ring in world.seen[last]
                    if label == coin.label]
            shares[coin.name] = world._elements_last(*seen[coin.count - 1])
        return shares

    def _follows(self, coin):
        """Is it for the sharing of a value that the provider knows?"""
        dealt = P2 in coin.groups[0] and len(coin.groups) < self.options["n_workers"]
        return dealt and not any(map(coin.matches, self.free))

    def _free(self, coin):
        return super()._free(coin) & (not self._follows(coin))

    def _constant(self, coin, total):
        values = super()._constant(coin, total)
        for i in self._hidden(coin) if self._follows(coin) else ():
            known = self._dealt.get(coin.name, values[i])
            values[i] = coin.ring.sub(known, values[i])
        return values


def coalitions(workers):
    """All sets of all workers but one, who must learn nothing even if they collude."""
    return list(combinations(WORKERS[:workers], workers - 1))


def outsider_varies(workers, coalition, values, **inputs):
    """The one outsider's share of each input takes all `values`; other rows stay."""
    outside = next(i for i in range(workers) if WORKERS[i] not in coalition)

    def case(theirs):
        rows = [list(shares[:workers]) for shares in inputs.values()]
        for mine, value in zip(rows, theirs, strict=True):
            mine[outside] = value
        return dict(zip(inputs, map(tuple, rows), strict=True))
    return [case(theirs) for theirs in product(values, repeat=len(inputs))]


def less_bits(step):
    """The protocol, with bob's view less the shares of bits that he hands on to P2.

    Sound because alice's share of them is a coin used nowhere else, so that bob's, the
    bits less that coin, is uniform and independent of everything, and because no later
    message to him depends on it: it goes to P2 alone, under z. Alice's coin may then be
    fixed, although bob's share would show the bits. At l = 2, share_convert and
    compute_msb have tables with these shares and their coins in full (test_views.py),
    which show the same.
    """
    def run(world, **inputs):
        result = step(world, **inputs)
        world.seen[BOB] = [s for s in world.seen[BOB] if not s[0].endswith("x_bits")]
        return result
    return run


# ------------------------------------------------------------------ protocols


def reveal(world, x):
    """The server gets refreshed shares of x."""
    world.gather(world.server, x=beaver.refresh(world.given(x)))


def share_by(owner):
    """`owner` shares the value x."""
    def step(world, x):
        rows = world._repeat(np.array([x], np.uint64), 0)
        return world.share(owner, x=(rows, world.ring))[0]
    return step


def multiply(world, x, y):
    return beaver.multiply(world.given(x), world.given(y))


def open_all(world, x, y):
    beaver.open_all(world.given(x), world.given(y))


def product_opened(world, x, y):
    """All workers learn x y."""
    world.open(z=multiply(world, x, y))


def product_revealed(world, x, y):
    """The server learns x y, by refreshed shares; the workers keep theirs."""
    z = beaver.refresh(multiply(world, x, y))
    world.gather(world.server, z=z)
    return z


def multiply_twice(world, x, x2, y):
    """Two different secrets in two products: W before and after an update."""
    partner = world.given(y)
    return tuple(beaver.multiply(world.given(v), partner) for v in (x, x2))


def matmul(world, x, y):
    """(1, i) @ (i, 1), times the number of workers."""
    i = np.size(x) // len(x)
    return beaver.matmul(world.given(np.reshape(x, (-1, 1, i))),
                         world.given(np.reshape(y, (-1, i, 1))))


def outer(world, x, y):
    """(2, 1) @ (1, 2): each entry of an operand meets two others."""
    return beaver.matmul(world.given(np.reshape(x, (-1, 2, 1))),
                         world.given(np.reshape(y, (-1, 1, 2))))


def matmul_twice(world, x, x2, y):
    """Two different secrets in two products: W before and after an update."""
    y = world.given(np.reshape(y, (-1, 1, 1)))
    return tuple(beaver.matmul(world.given(np.reshape(v, (-1, 1, 1))), y)
                 for v in (x, x2))


def square(world, x):
    x = world.given(x)
    return beaver.multiply(x, x)


def select_share(world, alpha, x, y):
    return securenn.select_share(world.given(alpha), world.given(x), world.given(y))


def private_compare(l, known=False, check=True):
    """x >? r on l bits; x_0 are alice's shares of the bits (l, ...), bob's follow."""
    def step(world, x, r, x_0):
        field = Zm(prime_above(l))
        bits = np.stack([np.asarray(x) >> i & 1 for i in range(l)])
        rows = np.stack([np.asarray(x_0), (bits - np.asarray(x_0)) % field.modulus])
        x_bits = world.given(rows, field, axis=1)
        r = world.known(r)
        coins = CompareCoins.draw(world, field, l, r.shape[1:])
        flags = np.ones(r.shape, bool) if known else None
        answer = securenn.private_compare(x_bits, r, coins, known=flags)
        true = known | (world.known(x) > r)
        assert not check or np.array_equal(answer == 1, (coins.beta == 1) ^ true)
    return step


def share_convert(world, a):
    y = securenn.share_convert(world.given(a))
    if (sum(np.asarray(a)) % world.ring.modulus != world.ring.modulus - 1).all():
        assert np.array_equal(y.ring.sum(y.rows, axis=0),
                              np.broadcast_to(_clear(world, a), y.shape))
    return y


def compute_msb(world, a):
    odd = Z2kMinus1(world.ring.bits)
    bit = securenn.compute_msb(world.given(a, odd), world.ring)
    clear = np.asarray(sum(np.asarray(a)) % odd.modulus)
    expected = (clear >= 2 ** (odd.bits - 1)).astype(np.uint64)
    assert np.array_equal(bit.ring.sum(bit.rows, axis=0),
                          np.broadcast_to(expected, bit.shape))
    return bit


def drelu(world, a):
    return securenn.drelu(world.given(a))


def relu(world, a):
    return comparison.relu(world.given(a))


def equal(world, x, y):
    return comparison.equal(world.given(x), world.given(y))


def provider_truncation(d):
    """Of one element or of several: the last axis of x runs over assignments."""
    def step(world, x):
        x = world.given(x, axis=np.ndim(x) - 1)
        return truncation.truncate_with_provider(x, d)
    return step


def leaves(low=0, less=0):
    """A group's g and p, of the bits of x above the `low` ones."""
    def step(world, x):
        x = world.given(x)
        return carry_tree.leaves(x, *carry_tree.known_bits(x, low, less))
    return step


def tree_drelu(low=0):
    def step(world, x):
        bit = carry_tree.drelu(world.given(x), low)
        clear = _signed(world, x)
        assert np.all((_sum(bit) == (clear >= 0)) | _rounded(world, clear, low))
        return bit
    return step


def tree_msb(low=0):
    """Of one element or of several: the last axis of x runs over assignments."""
    def step(world, x):
        bit = carry_tree.msb(world.given(x, axis=np.ndim(x) - 1), low)
        clear = _signed(world, x)[..., None]
        right = unpack_bits(_sum(bit), world.n) == (clear < 0)
        assert np.all(right | _rounded(world, clear, low))
        return bit
    return step


def at_least(*thresholds):
    """[x >= t] for several t, in the range where x - t does not wrap around."""
    def step(world, x):
        bits = carry_tree.at_least(world.given(x), np.array(thresholds))
        for bit, t in zip(_sum(bits), thresholds, strict=True):
            assert np.all(bit == (_signed(world, [*x, -t]) >= 0))
        return bits
    return step


def is_zero(world, **inputs):
    """[x == 0] of each input, one call after another."""
    bits = [carry_tree.is_zero(world.given(x)) for x in inputs.values()]
    for bit, x in zip(bits, inputs.values(), strict=True):
        assert np.all(_sum(bit) == (_signed(world, x) == 0))
    return tuple(bits)


def bits_and(world, x, y):
    """The node of the tree: one bit, opened once, times two others."""
    return beaver.multiply(world.given(x, BITS), world.given(y, BITS))


def and_all(world, x):
    """The AND of bits whose XOR shares are `x`, (workers, l)."""
    bit = carry_tree.and_all(world.given(x, BITS))
    clear = np.bitwise_xor.reduce(np.array(x, np.uint8), axis=0).all()
    assert np.all(unpack_bits(_sum(bit), world.n) == clear)
    return bit


def all_pairs(world, x):
    """The first maximum's place among the candidates with shares `x`, (workers, m)."""
    place = comparison.all_pairs(world.given(x))
    clear = _signed(world, x)
    assert np.all(_sum(place) == (np.arange(len(clear)) == np.argmax(clear)))
    return place


def maximum(world, x):
    return comparison.maximum(world.given(x))


def tournament(world, x):
    return comparison.tournament(world.given(x))


def shuffle(world, x):
    """The numbers with shares `x`, (workers, n), as n rows of one column."""
    return sorting.shuffle_rows(world.given(np.array(x)[..., None]))


def shuffle_shown(role):
    """The shuffled numbers are revealed to a `role`, by refreshed shares."""
    def step(world, x):
        world.gather(role, shuffled=beaver.refresh(shuffle(world, x)))
    return step


def bit_to_arithmetic(world, x):
    """A dealt bit brings one XOR-shared bit into the ring."""
    return carry_tree.bit_to_arithmetic(world.given(x, BITS), world.n, world.ring)


def one_hot_step(world, bit, pair):
    """The tournament's product: a bit, opened once, times a value and a place."""
    return beaver.multiply(world.given(np.reshape(bit, (-1, 1))), world.given(pair))


def _clear(world, rows):
    return np.asarray(sum(np.asarray(rows)) % world.ring.modulus)


def _signed(world, rows):
    """The numbers behind the shares `rows`, as integers with a sign."""
    return world.ring.to_int(_clear(world, rows).astype(np.uint64))


def _rounded(world, x, low):
    """May the sign of x be that of the next multiple of 2^low?"""
    return (-2**low < x) & (x < 0) | (x > world.ring.modulus // 2 - 2**low)


def _sum(share):
    rows = share.world.values_in(share.rows, share.ring)
    return share.ring.sum(rows, axis=0)


# ------------------------------------------------ several protocols read one opening


def products(world, x, y, y2):
    """x in two products, with y and with y2; of matrices, and elementwise."""
    x, y, y2 = (world.given(v) for v in (x, y, y2))
    column = (world.n, 1, 1)
    return (beaver.matmul(x.reshape(column), y.reshape(column)),
            beaver.multiply(x, y2))


def through_views(world, x, y):
    """The first view of x opens it; the others meet this opening."""
    x, y = world.given([[v] for v in x], axis=1), world.given(y)
    assert x.shape == (1, world.n) or world.n == 1
    return (beaver.multiply(x.T, y.reshape(-1, 1)), beaver.multiply(x.reshape(-1), y),
            beaver.multiply(x, x))


def all_of_one(d):
    """Both products, the quotient by d and the sign of x, with one partner y."""
    def step(world, x, y):
        x, y, column = world.given(x), world.given(y), (world.n, 1, 1)
        return (beaver.multiply(x, y),
                beaver.matmul(x.reshape(column), y.reshape(column)),
                truncation.truncate_with_provider(x, d), carry_tree.drelu(x))
    return step


def quotient_products(d):
    """A quotient times itself, and times y."""
    def step(world, x, y):
        q = truncation.truncate_with_provider(world.given(x), d)
        return beaver.multiply(q, q), beaver.multiply(q, world.given(y))
    return step


def bit_products(world, bit, x, y):
    """A bit, opened under a dealt one, times itself, a quotient and a masked y."""
    bit = carry_tree.bit_to_arithmetic(world.given(bit, BITS), world.n, world.ring)
    q = truncation.truncate_with_provider(world.given(x), 2)
    return (beaver.multiply(bit, bit), beaver.multiply(bit, q),
            beaver.multiply(world.given(y), bit))


def interval_products(*thresholds):
    """The bits of several thresholds times x, times its half, and times y."""
    def step(world, x, y):
        x, y = world.given(x), world.given(y)
        bits = carry_tree.at_least(x, np.array(thresholds))
        half = truncation.truncate_with_provider(x, 2)
        beaver.open_all(half, y)
        return tuple(beaver.multiply(bits, v) for v in (x, half, y))
    return step


def fixed_relu(d):
    """ReLUs of fixed point: truncation by d, sign and product from one opening each."""
    def step(world, **inputs):
        results = []
        for x in inputs.values():
            number = FixedPoint(world.given(x), d, 1, scale=d * d, rest=d)
            y, slope = number.relu_and_slope()
            results += [y.value, slope.value]
            clear, off = _signed(world, x), d * (world.ring.modulus // 4 // d)
            if -off <= clear < world.ring.modulus // 2 - off:
                found = world.ring.to_int(_sum(y.value))
                assert np.all(abs(d * found - max(clear, 0)) < (d if clear > 0 else 1))
        return tuple(results)
    return step


def neuron(world, w, x, y):
    """A training step: relu(w x), the gradient of its error, and that of w."""
    w, x, y = (FixedPoint(world.given(np.reshape(v, (-1, 1, 1))), 2, 0)
               for v in (w, x, y))
    output, slope = (x @ w).relu_and_slope()
    inner = (output - y) * slope
    return output.value, inner.value, (x @ inner).value


# ------------------------------------------------------------------ ideal sub-protocols


def ideal_private_compare(x_bits, r, coins, *, known=None):
    """P2 gets beta XOR (x > r) and nothing else."""
    world, l = x_bits.world, x_bits.shape[0]
    bits = x_bits.ring.sum(x_bits.rows, axis=0).astype(np.uint64)
    x = sum(bits[i] << np.uint64(i) for i in range(l))[None]
    greater = x > r if known is None else (x > r) | known
    answer = (greater ^ (coins.beta == 1)).astype(np.uint8)
    world.see(P2, answer, Zm(2), "answer")
    return answer


def _fresh(world, ring, clear, name):
    """Shares of an ideal result: alice's is a coin of hers, bob gets the rest."""
    mask, = world._draw([frozenset([ALICE])], ring, clear.shape, name)
    rows = np.concatenate([mask, ring.sub(clear, mask)])
    world.see(BOB, rows[1:], ring, name)
    return Share(world, ring, rows)


def ideal_multiply(x, y):
    """The workers get fresh shares of x * y."""
    ring = x.ring
    clear = ring.mul(ring.sum(x.rows, axis=0), ring.sum(y.rows, axis=0))
    return _fresh(x.world, ring, clear, "product")


def ideal_drelu(a, divisor=1):
    """The workers get fresh shares of [a >= 0]."""
    clear = (a.ring.to_int(a.ring.sum(a.rows, axis=0)) >= 0).astype(a.ring.dtype)
    return _fresh(a.world, a.ring, clear, "bit")


# --------------------------------------------------------------- the inputs to compare


def splits(names, role, sizes, own=None):
    """For each own share of `role` (all, or `own`): the cases of all other shares.

    `names` are inputs of two shares each, with values below `sizes`; yields lists of
    dicts.
    """
    values = list(product(*(range(m) for m in sizes)))
    for mine in values if own is None else own:
        yield [{name: (m, o) if role == ALICE else (o, m)
                for name, m, o in zip(names, mine, other, strict=True)}
               for other in values]


def some_candidates(workers, coalition, m=3):
    """`m` candidates of two bits that differ by at most 1; each is first at times."""
    rows = np.array([(1, 3, 0), (2, 0, 3), (0, 1, 2)])[:workers, :m]
    outside = next(i for i in range(workers) if WORKERS[i] not in coalition)
    known = np.delete(rows, outside, axis=0).sum(axis=0)
    values = [(0, 0, 0), (0, 1, 0), (0, 0, 1), (3, 3, 0), (1, 0, 1)]
    rests = [tuple(((np.array(v[:m]) - known) % 4).tolist()) for v in values]
    return outsider_varies(workers, coalition, rests, x=rows.tolist())


def every(names, sizes):
    """The cases of all shares of all inputs, which the provider must not tell apart."""
    grids = [list(product(range(m), repeat=2)) for m in sizes]
    return [dict(zip(names, rows, strict=True)) for rows in product(*grids)]
