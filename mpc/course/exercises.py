"""The checks of the course's exercises: each takes the learner's answer and prints one line.

    >>> sum_of_rows(...)
    Not yet: put your answer in place of the three dots, then run the cell again.

A check is a function of the answer that returns None if it is right, or else a sentence that says
what is wrong with it; the decorator `check` prints. Its docstring is what a right answer shows. An
answer may be a function of the learner's: as long as it returns nothing or `...`, it is empty.
Checks stand here and not in the notebooks, so that a notebook's cell does not tell its solution.
"""

import functools

import numpy as np

from mpc.ring import Z2kMinus1, Z2k

EMPTY = "put your answer in place of the three dots, then run the cell again"


class _Empty(Exception):
    """The learner's function gave nothing yet."""


def check(function):
    """Make a check of a `function(answer)` that says what is wrong, or returns None."""
    @functools.wraps(function)
    def run(answer):
        try:
            wrong = EMPTY if is_empty(answer) else function(_watched(answer))
        except _Empty:
            wrong = EMPTY
        except Exception as error:              # a learner's mistake is answered, never thrown back
            wrong = f"that cannot be used as an answer ({type(error).__name__}: {error})"
        print(f"Not yet: {wrong}." if wrong else f"Right. {function.__doc__}")
    return run


def is_empty(answer):
    """Is there still a placeholder: `...`, or a tuple or list with one in it?"""
    parts = answer if isinstance(answer, (tuple, list)) else [answer]
    return any(part is ... or part is None for part in parts)


def _watched(answer):
    if not callable(answer):
        return answer

    @functools.wraps(answer)
    def call(*args, **kwargs):
        result = answer(*args, **kwargs)
        if is_empty(result):
            raise _Empty
        return result
    return call


def differs(answer, right):
    """What is wrong with an array or number that should be `right`, exactly; None if nothing."""
    answer, right = np.asarray(answer), np.asarray(right)
    if answer.shape != right.shape:
        return f"the shape is {answer.shape} where {right.shape} is due"
    if not np.array_equal(answer, right):
        n = int((answer != right).sum())
        return f"{n} of {right.size} numbers differ" if right.ndim else f"{answer} is not it"
    return None


# ------------------------------------------------------------------ 1. Shares of a picture


@check
def round_the_clock(answer):
    """6 + 4 = 10, and 10 is 2: one may add 4 as well as take 4 away."""
    if not 0 <= answer < 8 or answer != int(answer):
        return f"{answer} is not there: the elements of Z_2^3 are 0 to 7"
    if (6 + answer) % 8 != 2:
        return f"6 + {answer} is {(6 + answer) % 8} on this clock, and 2 is due"


@check
def split_in_three(split):
    """Two masks and what remains; any two of the three rows still look like noise."""
    for ring, numbers in ((Z2k(64), [5, 2**63 + 1, 2**62]), (Z2k(3), [2, 7, 6])):
        secret, *masks = (np.array([n], np.uint64) for n in numbers)
        rows = split(secret, *masks, ring)
        if len(rows) != 3:
            return f"{len(rows)} rows came where three workers wait"
        for row in map(np.asarray, rows):
            if np.any(row != ring.reduce(row)):
                return f"{row[0]} is no element of {ring}: ring.sub goes round, - does not"
            if np.array_equal(row, secret):
                return "one of the rows is the secret itself, and its worker can read it"
        total = ring.add(ring.add(rows[0], rows[1]), rows[2])
        if not np.array_equal(total, secret):
            return f"of the secret {secret[0]} the rows make {total[0]}; they must add up to it"
        for row in rows:
            if np.array_equal(ring.sub(total, np.asarray(row)), secret):
                return "two of the rows make the secret without the third"


@check
def lazy_masks(answer):
    """Half of the secrets are ruled out: the mask was too small to go once round."""
    found, possible = set(answer), {7, 0, 1, 2}
    if not found <= set(range(8)):
        return f"{sorted(found - set(range(8)))} are no elements of Z_2^3: go round at 8"
    if found - possible:
        guess = min(found - possible)
        return f"{guess} is not possible: its mask would be {(guess - 7) % 8}"
    if found != possible:
        return f"there are 4 possible masks, hence 4 possible secrets, and {len(found)} came"


@check
def negative(function):
    """A public number goes to one worker only: the package's `Share.plus` takes care of it."""
    ring, x = Z2k(64), np.array([0, 18, 253], np.uint64)
    row = np.array([7, 2**63, 2**64 - 1], np.uint64)
    sum_of = ring.to_int(ring.add(function(row, 0, ring), function(ring.sub(x, row), 1, ring)))
    for wrong, why in ((510 - x.astype(int), "255 went in twice, since both workers added it"),
                       (-x.astype(int), "255 is missing: one worker must add it")):
        if np.array_equal(sum_of, wrong):
            return why
    if not np.array_equal(sum_of, 255 - x.astype(int)):
        return f"pixels of brightness {x} become {sum_of}, and {255 - x} is due"


# ------------------------------------------------------------------ 2. The decimal point


@check
def quarter_below_zero(answer):
    """The element 65,286 is 250 before 65,536, which is 0: it stands for -250 thousandths."""
    if not 0 <= answer < 2**16 or answer != int(answer):
        return f"{answer} is not there: the elements of Z_2^16 are 0 to 65,535"
    number = (answer - 2**16 * (answer >= 2**15)) / 1000
    if number != -0.25:
        return f"{answer} stands for {number:g}"


@check
def sum_of_two_scales(answer):
    """3,125,000 millionths are 3.125, and no digit was cut off."""
    if answer == 128_000:
        return "raw numbers of two scales were added; 3 is 3,000,000 at scale 1,000,000"
    if answer == 3125:
        return "3125 is the sum at scale 1000, and asked is that at scale 1,000,000"
    if answer != 3_125_000:
        return f"at scale 1,000,000 this is {answer / 10**6:g}, and 3.125 is due"


@check
def half_of_bob(function):
    """One rounds down and one up, so that the errors cancel on average."""
    ring, d = Z2k(12), np.uint64(10)
    mask = np.arange(ring.modulus, dtype=np.uint64)
    for x in (25, 700, -31):
        row = ring.add(ring.from_int(np.array([x])), mask)
        of_bob = np.asarray(function(ring.neg(mask), d, ring))
        result = ring.to_int(ring.add(row // d, of_bob))
        if np.array_equal(of_bob, ring.neg(mask)):
            return f"bob's row is 10 times too large if it is not divided: 25 becomes {result[0]}"
        error = result - x / 10
        far = np.abs(error) > 100
        if far.sum() != abs(x):
            return (f"for {x} / 10 the result is far off with {far.sum()} of {ring.modulus} masks, "
                    f"and {abs(x)} cannot be avoided")
        mean = error[~far].mean()
        if abs(mean) > 0.01:
            side = "high" if mean > 0 else "low"
            return f"{x} / 10 comes out {abs(mean):.1f} too {side} on average"


@check
def bits_of_the_ring(answer):
    """2^54 is the first power of two above 10^16."""
    if not 1 <= answer <= 64 or answer != int(answer):
        return f"{answer} is no number of bits; take a whole one from 1 to 64"
    if 2**answer <= 10**16:
        return f"with {answer} bits it fails more often than once in 10^9: {1e7 / 2**answer:.1e}"
    if answer > 54:
        return f"fewer would do: with {answer} bits it fails once in {2**answer / 1e7:.1e}"



# ------------------------------------------------------------------ 3. Multiplying secrets


@check
def put_together(function):
    """Four pieces of a rectangle: one known to all, two linear in a share, one dealt ahead."""
    from mpc import Share, World
    world = World(seed=3)
    ring, (alice, bob), one = world.ring, world.workers, np.ones((1, 4), np.uint64)
    (x,), (y,) = (world.share(w, x=(k * one, ring)) for w, k in ((alice, 21), (bob, 2**40)))
    (a, a_apart), (b, b_apart) = (world.deal(ring, (4,), name) for name in "ab")
    c_clear = ring.mul(ring.sum(a_apart, axis=1), ring.sum(b_apart, axis=1))
    c, = world.share(world.crypto_provider, c=(c_clear, ring))
    epsilon, delta = world.open(epsilon=x - a, delta=y - b)
    share = function(a, b, c, epsilon, delta, ring)
    if not isinstance(share, Share):
        return f"a {type(share).__name__} came where a share of the product is due"
    found, due = ring.sum(share.rows, axis=0), ring.mul(21 * one, 2**40 * one)[0]
    grey, orange = ring.mul(epsilon, delta)[0], c_clear[0]
    blue = ring.sub(ring.sub(due, grey), orange)
    swapped = ring.add(ring.mul(epsilon, ring.sum(a_apart, axis=1)),
                       ring.mul(delta, ring.sum(b_apart, axis=1)))[0]
    for wrong, why in ((ring.sub(due, grey), "the grey piece is missing: one worker must add it"),
                       (ring.add(due, grey), "the grey piece went in twice, once for each worker"),
                       (ring.sub(due, orange), "the orange piece, a b, is missing"),
                       (ring.add(ring.sub(due, blue), swapped),
                        "epsilon goes with b, and delta with a; look at the rectangle")):
        if np.array_equal(found, wrong):
            return why
    return differs(found, due)


@check
def bytes_of_a_batch(answer):
    """1,204,224 bytes: what is opened are the factors, 50,176 and 100,352 elements."""
    due = 8 * (64 * 784 + 784 * 128)
    if answer == due // 8:
        return "these are elements, not bytes"
    if answer == 2 * due:
        return "these are the bytes of both workers"
    if answer >= 8 * 64 * 784 * 128:
        return "that would be so if each factor were opened for each single product"
    if answer != due:
        return f"{answer:,} is not it: count the elements of both factors"


@check
def a_word_too_many(function):
    """Whoever knows the mask and the opened value knows the secret: so the dealer hears nothing."""
    ring, secret = Z2k(64), np.array([0, 18, 253], np.uint64)
    rows = np.array([[7, 2**63, 5], [2**64 - 1, 3, 2**62]], np.uint64)
    mask = ring.sum(rows, axis=0)
    epsilon = ring.sub(secret, mask)
    found = function(epsilon, rows, ring)
    for wrong, why in ((epsilon, "the mask is still on it"),
                       (ring.sub(epsilon, mask), "the mask was taken away again; it must be added"),
                       *((ring.add(epsilon, row), "one row of the mask is missing")
                         for row in rows)):
        if np.array_equal(found, wrong):
            return why
    return differs(found, secret)


@check
def same_mask(answer):
    """The difference, 26, and alice's 5 make 31; the mask was 11, and nobody needed it."""
    if not 0 <= answer < 256 or answer != int(answer):
        return f"{answer} is not there: the elements of Z_2^8 are 0 to 255"
    if answer == 26:
        return "26 is the difference of the secrets; alice knows hers"
    if answer in (235, 230):
        return "the difference was taken the other way round"
    if answer != 31:
        return (f"under the mask {(answer - 20) % 256}, 5 would be opened as "
                f"{(25 - answer) % 256}, and not as 250")



# ------------------------------------------------------------------ 4. Comparing secrets


@check
def top_bit(function):
    """In an odd ring a double is odd exactly if it went round, which the upper half does."""
    for l in (3, 4, 6):
        ring = Z2kMinus1(l)
        a = np.arange(ring.modulus, dtype=np.uint64)
        bit, right = np.asarray(function(a, ring)), a >> np.uint64(l - 1)
        if bit.max() > 1:
            return f"{bit.max()} came, and bits are 0 and 1: look at the lowest bit only"
        if np.array_equal(bit, a & np.uint64(1)):
            return f"that is the lowest bit of a itself: of {a[1]}, the top bit is 0"
        if not bit.any():
            return "every double is even without going round: ring.add goes round, + does not"
        if not np.array_equal(bit, right):
            return f"of {a[bit != right][0]}, an element of {ring}, the top bit is another"


@check
def below(function):
    """One zero if x < t, and none otherwise: with t = r + 1 that is x <= r, the flipped answer."""
    number = np.arange(16)
    bits = number[:, None] >> np.array([3, 2, 1, 0]) & 1
    for x in number:
        for t in number:
            differ = bits[x] ^ bits[t]
            above = np.cumsum(differ) - differ
            c = np.asarray(function(bits[x], bits[t], above))
            zero, pair = bool((c == 0).any()), f"x = {x} and t = {t}"
            if x == t and zero:
                return f"{pair} give a zero, {x} being equal, which is not below"
            if ((c == 0) & (above > 0)).any():
                return f"{pair} give {c}, a zero where a place further up has decided"
            if zero and x > t or not zero and x < t:
                return f"{pair} give {c} in which a zero {'means' if zero else 'is missing for'} " \
                       f"{'x > t' if zero else 'x < t'}: that finds x > t, if anything"
            if (c == 0).sum() > 1 or (c < 0).any() or (c > 5).any():
                return f"{pair} give {c}: one zero at most, and nothing below 0 or above 5"


@check
def smallest_prime(answer):
    """37: between 33 and it there is no other prime."""
    if answer != int(answer) or answer < 2:
        return f"{answer} is no modulus"
    if answer <= 33:
        return f"32 bits can make c = {answer}, which goes round to 0 mod {answer}"
    factor = next((k for k in range(2, int(answer)) if answer % k == 0), None)
    if factor:
        return f"{answer} is {factor} times {answer // factor}: a product of non-zeros can be 0"
    if answer > 37:
        return f"{answer} serves, but a smaller one does too"


@check
def too_large(answer):
    """2 times 8 is 16, the first number of the upper half: the limit is 2^(l-2)."""
    if answer not in range(1, 16):
        return f"{answer} is no positive number of this ring: go from 1 to 15"
    if answer < 8:
        return f"of {answer} DReLU says 1, and it is right"
    if answer > 8:
        return f"of {answer} DReLU says 0, but there is a smaller one"


@check
def explains(function):
    """The factor s hides one number, but not the ratio of two."""
    p = 67
    for c, s in (((2, 3), 2), ((2, 3), 40), ((66, 1), 5), ((17, 45), 66)):
        d = tuple(s * n % p for n in c)
        if not function(*c, *d, p):
            word = "there is an s" if max(c) * s < p else "go round at p: there is an s"
            return f"c = {c} and d = {d}: {word}, {s}"
    for c, d in (((2, 3), (3, 2)), ((1, 2), (1, 3)), ((17, 45), (45, 17))):
        if function(*c, *d, p):
            return f"c = {c} and d = {d}: no s does that"


# ------------------------------------------------------------------ 5. Who sees what


@check
def view_of_alice(answer):
    """Her rows, and what bob sends: his rows of the two values that are opened."""
    reasons = {2: "with it she knows the mask a, and so x",
               4: "nobody but the provider has it",
               6: "with it she knows the result; he sends it to nobody"}
    names = {1: "her row of x", 3: "bob's row of x - a", 5: "her row of b"}
    for number in answer:
        if number not in {**reasons, **names}:
            return f"there is no number {number} in the list"
        if number in reasons:
            return f"number {number} is not in her view: {reasons[number]}"
    for number, name in names.items():
        if number not in answer:
            return f"something is missing: how could she go on without {name}?"


@check
def who_can_tell(answer):
    """Alice knew her rows before; bob gets what these rows were to hide from him."""
    names = ("alice", "bob")
    if len(answer) != 3 or not set(answer) <= set(names):
        return "three names are due, each alice or bob"
    rows = [(p, q) for p in range(4) for q in range(4)]
    cases = {"alice": [dict(x=(1, p), y=(2, q)) for p, q in rows],
             "bob": [dict(x=(p, 1), y=(q, 2)) for p, q in rows]}

    def alices_row(row):
        return lambda v, coins: np.concatenate([row(v, coins), v[1:]])

    bugs = [{"b": alices_row(lambda v, coins: 0 * v[:1])},
            {"a": alices_row(lambda v, coins: coins["multiply/b"][:1])},
            {"c": lambda v, coins: coins["multiply/a"][:1]}]
    for number, (name, mutants) in enumerate(zip(answer, bugs), 1):
        if not _of_a_product(2, mutants).tells_apart(name, cases[name]):
            return f"({number}) {name}'s table is the same for all rows of the other worker"


def _of_a_product(bits, mutants):
    from mpc.beaver import multiply
    from mpc.audit.views import Experiment

    def step(world, x, y):
        return multiply(world.given(x), world.given(y))

    return Experiment(step, ["a", "b", "c"], bits, mutants=mutants)


@check
def one_mask_for_two(function):
    """Each mask alone is perfect, and their difference tells x - x'."""
    v = np.arange(2 * 2 * 5, dtype=np.uint64).reshape(2, 2, 5)
    found = np.asarray(function(v.copy(), {}))
    if found.shape != v.shape:
        return differs(found, v)
    if not np.array_equal(found[:, 0], v[:, 0]):
        return "the first element has changed; its coin must stay as it is"
    others = [(0, 0), (0, 1), (1, 0), (1, 1)]
    pairs = [dict(x=((0, 1), other), y=((1, 1), (0, 1))) for other in others]
    if not _of_a_product(1, {"a": function}).tells_apart("alice", pairs):
        return "alice still cannot tell inputs apart: do both elements have the same coin?"
    return differs(found[:, 1], v[:, 0])


@check
def triple_of_zeros(mutants):
    """Every answer is right and every factor is known: only a table of views turns red."""
    for name, mutant in mutants.items():
        if not callable(mutant):
            return f"{mutant!r} is no function of (v, coins), as zero is"
    step = _of_a_product(2, mutants)
    varied = [[dict(x=(1, p), y=(2, 0)) for p in range(4)],
              [dict(x=(1, 0), y=(2, p)) for p in range(4)]]
    for which, cases in zip(("first", "second"), varied):
        if step.distance("alice", cases) < 1:
            return f"the {which} factor is still hidden from alice, at least in part"
    world, product = step.run(x=(1, 2), y=(2, 1))
    if np.any(world.ring.sum(product.rows, axis=0) != 3 * 3 % 4):
        return "the product is no longer right"


@check
def blind_spot(answer):
    """A table takes coins as given, all values alike; how they are drawn it cannot see."""
    reasons = {**dict.fromkeys((1, 2), "the tables of two elements turn red"),
               **dict.fromkeys((3, 4), "the provider's table turns red"),
               5: "the table turns red at once",
               6: "the table of that party, with all that it sees, turns red"}
    if answer not in {*reasons, 7}:
        return f"{answer} is not in the list, which goes from 1 to 7"
    if answer != 7:
        return f"for number {answer} {reasons[answer]}"



# ------------------------------------------------------------------ 6. Gradients by hand


@check
def slope(function):
    """For a parabola it is even exact, whatever the step."""
    for f, derivative in ((lambda w: w * w, 6.0), (lambda w: 5 - 2 * w, -2.0)):
        found = float(function(f, 3.0, 0.5))
        if abs(found - derivative) < 1e-9:
            continue
        said = f"at w = 3 with h = 0.5 the slope of {'w * w' if derivative > 0 else '5 - 2 w'} is "
        said += f"{derivative:g}, and {found:g} came"
        if abs(found - (f(3.5) - f(3)) / 0.5) < 1e-9:
            return f"{said}: that looks to one side only"
        if abs(found - 2 * derivative) < 1e-9:
            return f"{said}, twice the slope: the two places are 2 h apart"
        return said + ": the wrong sign" * (abs(found + derivative) < 1e-9)


@check
def matmul_rules(function):
    """Both rules are matrix products again: on shares, one more of Beaver's products each."""
    rng = np.random.default_rng(0)
    a, b, g = (rng.integers(-3, 4, shape) for shape in ((2, 3), (3, 4), (2, 4)))
    for name, operand, found, right in zip("ab", (a, b), function(a, b, g), (g @ b.T, a.T @ g)):
        if np.shape(found) != operand.shape:
            return f"the gradient of {name}, {operand.shape}, has the shape {np.shape(found)}"
        if not np.array_equal(found, right):
            return f"the shapes are right, but the gradient of {name} is another"


@check
def three_ways(answer):
    """5 through each factor, and 3: the derivative of x x + 3 x is 2 x + 3."""
    known = {8: "that counts x x through one factor only", 10: "the way through 3x is missing",
             40: "that is the value of y, not its gradient"}
    if answer != 13:
        return known.get(answer, f"{answer} is not it: add up the gradients of three ways")


@check
def products_of_a_step(answer):
    """Forward one for each layer; back one for each weight, and one to get from layer to layer."""
    forward, backward = answer
    if forward != 2:
        return f"{forward} forward: there are two layers, with one matrix product each"
    if backward == 4:
        return "4 back: one of them is for x, which needs no gradient"
    if backward == 2:
        return "2 back: two for the weights, and how does g get to the first layer?"
    if backward != 3:
        return f"{backward} back: count the rules of the two products that are asked"


# ------------------------------------------------------------------ 7. Training on MNIST


@check
def straddling_batches(answer):
    """Batches 4 and 7: pictures 214 and 427, where an owner ends, are no multiples of 64."""
    import data
    due = [i for i, parts in enumerate(data.batches(640, 64, 3), 1) if len(parts) > 1]
    found = sorted(set(answer))
    if due == [i + 1 for i in found]:
        return "right, if one counted from 0; here the first batch is number 1"
    if found != due:
        return (f"of the batches {found}, {len(set(found) & set(due))} straddle two owners, and "
                f"{len(due)} of all ten do; owner 1 has the pictures 0 to 213")


@check
def comparisons_a_batch(answer):
    """12,288 comparisons: one for each of 192 hidden units and 64 pictures."""
    each, batch = 128 + 64, 64
    if answer == 2 * each * batch:
        return "the backward pass needs no comparison: it uses the bit of the forward pass again"
    if answer == each:
        return f"{each} is right for one picture, and a batch has {batch}"
    if answer == (each + 10) * batch:
        return "no ReLU follows the last layer"
    if answer != each * batch:
        return f"{answer} is not it"


@check
def epoch_loss(function):
    """One number an epoch, and the server still sees that the network learns."""
    import mpc
    world, numbers = mpc.World(seed=7, comparison="carry-tree"), [1.25, 0.75, 0.25]
    losses = [mpc.fix_precision(x).share(*world.workers, crypto_provider=world.crypto_provider)
              for x in numbers]
    mark = len(world.ledger.messages)
    result = function(losses)
    told = len({m.round for m in world.ledger.messages[mark:] if m.dst == str(world.server)})
    if isinstance(result, mpc.FixedPoint):
        return (".float_precision() is missing, which decodes what was revealed" if told else
                "that is still secret: .get() reveals it, .float_precision() decodes it")
    if told != 1:
        return f"of {len(losses)} losses the server was told {told} numbers: add first, then reveal"
    if abs(float(result) - np.mean(numbers)) > 0.002:
        return f"the losses {numbers} make {float(result):.3f}, and their mean is due"


@check
def sabotage(function):
    """All digits are sevens now. One party broke the rules, and nobody can tell."""
    ring, coins = Z2k(64), np.random.default_rng(7)
    row = coins.integers(0, 2**64, 10, np.uint64)
    before = coins.integers(-200, 200, 10)
    rows_of_bob = ring.sub(ring.from_int(before), row)
    after = ring.to_int(ring.add(np.asarray(function(row.copy(), ring)), rows_of_bob))
    change = (after - before) / 1000
    if np.abs(change).max() > 1e9:
        return ("the biases are noise now: alice does not know bob's row, so that she can add to "
                "hers but not replace it")
    lead = change[7] - np.delete(change, 7).max()
    if lead < 5:
        return (f"the 7 gains {lead:g} over the others, and 5 is due; the rows count thousandths")


@check
def membership(answer):
    """More than every second guess is right: the model betrays who was in its training data."""
    threshold, inside, outside = answer
    right = (np.mean(np.asarray(inside) < threshold), np.mean(np.asarray(outside) >= threshold))
    best = max((np.mean(np.asarray(inside) < t) + np.mean(np.asarray(outside) >= t)) / 2
               for t in np.concatenate([inside, outside]))
    if np.mean(right) < best - 0.02:
        return (f"with {threshold:g}, {100 * right[0]:.0f} % of the members and "
                f"{100 * right[1]:.0f} % of the others are guessed right; a better place is where "
                "the two histograms cross")


# ------------------------------------------------------------------ 8. More workers


@check
def bytes_of_an_opening(function):
    """Rows go from each worker to all others: n (n - 1) messages, and one round."""
    for k, n in ((2, 784), (3, 784), (5, 10)):
        found, due = function(k, n), 8 * k * (k - 1) * n
        if found == due:
            continue
        said = f"{k} workers open {n} elements: {found:,} came"
        if found == 8 * k * n:
            return f"{said}; each worker sends to all others, which may be more than one"
        if found == 8 * k * k * n:
            return f"{said}, as if each worker sent its row also to itself"
        if found == 8 * (k - 1) * n:
            return f"{said}, which is what one worker sends; all of them send"
        return f"{said}; these are elements, not bytes" if 8 * found == due else said


@check
def went_round(function):
    """From the upper half to the lower one: only by going round. Alone a product with public."""
    for r in range(16):
        for x in range(8):
            c = (r + x) % 16
            found, due = int(function(r >> 3, c >> 3)), r + x >= 16
            if found == due:
                continue
            said = f"l = 4, r = {r}, x = {x}, c = {c}: "
            if not due:
                return said + ("it stayed in the upper half" if r >> 3 else
                               "less than half a turn leads from the lower half nowhere further "
                               "than to the upper half")
            return said + "it went round"


@check
def two_places(function):
    """A pair of places behaves like one, and so does a pair of pairs."""
    places = [(0, 0), (0, 1), (1, 0)]
    for high in places:
        for low in places:
            g, p = function(high, low)
            for carry in (0, 1):
                due = high[0] ^ (high[1] & (low[0] ^ (low[1] & carry)))
                if (int(g) ^ (int(p) & carry)) == due:
                    continue
                where = f"high {high}, low {low}: "
                if low[0] and not carry and due:
                    return where + "the low place makes a carry and the high one hands it on"
                if low[0] and not due and not high[0]:
                    return where + "that is the other way round: the high place stops this carry"
                return where + "a carry gets through only if both places hand it on"


@check
def seconds_on_a_network(function):
    """26 rounds and 2 MB: a second and a bit between cities, a hundredth of it for the line."""
    from mpc.train_mnist.forecast import NETWORKS
    for rounds, nbytes in ((26, 0), (0, 2_000_000), (26, 2_000_000)):
        for rtt, bandwidth in NETWORKS.values():
            found = float(function(rounds, nbytes, rtt, bandwidth))
            due = rounds * rtt / 1e3 + 8 * nbytes / (bandwidth * 1e6)
            if abs(found - due) < 1e-9:
                continue
            said = (f"{rounds} rounds and {nbytes:,} bytes at {rtt:g} ms and {bandwidth:g} Mbit/s: "
                    f"{found:g} came where {due:g} is due")
            if rounds and abs(found - due - 0.999 * rounds * rtt) < 1e-9:
                return f"{said}; rtt is in milliseconds"
            if nbytes and not rounds and abs(8 * found - due) < 1e-9:
                return f"{said}; a byte has eight bits"
            return said


# ------------------------------------------------------------------ 9. Making it fast


@check
def six_products(function):
    """Exact, and by the unit that only knows floats; the three other products are 0 mod 2^64."""
    from mpc.limbs import matmul_mod, split_limbs
    rng = np.random.default_rng(9)
    x, y = rng.integers(0, 2**64, (5, 300), np.uint64), rng.integers(0, 2**64, (300, 4), np.uint64)
    a, b = split_limbs(x), split_limbs(y)
    found = np.asarray(function(a, b))
    if found.dtype != np.uint64:
        return ("floats came where words are due: make words of each bracket by whole(), and shift "
                "these" if found.dtype == float else f"{found.dtype} came where uint64 is due")
    due = matmul_mod(x, y)
    for i in range(3):
        terms = [(a[j] @ b[i - j]).astype(np.int64).view(np.uint64) << np.uint64(22 * i)
                 for j in range(i + 1)]
        if np.array_equal(found + sum(terms), due):
            return f"the bracket of 2^{22 * i} is missing"
        for j, term in enumerate(terms):
            if np.array_equal(found + term, due):
                return f"a{j} b{i - j} is missing"
    return differs(found, due)


@check
def shorter_limbs(answer):
    """2^21 is long enough for anything; but four limbs take ten products where three take six."""
    known = {2**23: "that would hold for one product, and the bracket adds up four",
             2**19: "the limbs are signed: of 16 bits, 15 are left for the size"}
    if answer != 2**21:
        return known.get(answer, f"4 K 2^30 is {4 * answer * 2**30 / 2**53:g} times the limit")


@check
def lowest_bit(function):
    """e is uniform, and so is u_1; their difference is not: it has the parity of x."""
    x = np.arange(6, dtype=np.uint64)
    u_0 = np.array([7, 2**63, 5, 2**64 - 1, 3, 2**62], np.uint64)
    u_1 = np.array([2**64 - 1, 4, 2**63, 9, 6, 2**63 + 1], np.uint64)
    e = x - (u_0 + u_0 - u_1)
    found, bit = np.asarray(function(e, u_1)), x & np.uint64(1)
    if found.max() > 1:
        return f"{found.max()} came, and a bit is 0 or 1: take the lowest bit only"
    if np.array_equal(found, e & np.uint64(1)) or np.array_equal(found, u_1 & np.uint64(1)):
        return "the mask is still on it: e and u_1 must come together"
    return differs(found, bit)


@check
def before_or_behind(answer):
    """100,352 numbers or 8,192: twelve times fewer openings, for the same update."""
    product, gradient = answer
    if (product, gradient) == (64 * 128, 784 * 128):
        return "just the other way round"
    if product != 784 * 128:
        return f"{product:,} for the product: it has the shape of the weights"
    if gradient != 64 * 128:
        return f"{gradient:,} for d: count its 64 rows of 128"
