"""The lab: a reference solution passes, wrong fillings fail with the right line."""

import re
import subprocess
import sys

import pytest

from mpc.course import lab
from mpc.course.lab.checks import TASKS

SKELETON = lab.SKELETON.read_text(encoding="utf-8")
HOLE = r'    raise NotImplementedError\("Task {}"\)\n'

# A filling of every hole: {the hole: the lines of the function}.
RIGHT = {
    "1": """\
    mask = uniform(secret.shape)
    return np.stack([mask, (secret - mask) % L])
""", "2": """\
    return (x[0] + x[1]) % L
""", "3": """\
    return (x + y) % L
""", "4": """\
    return np.stack([(x[0] + c) % L, x[1]])
""", "5: encode": """\
    return np.rint(numbers * SCALE).astype(np.int64).astype(np.uint64) % L
""", "5: decode": """\
    signed = elements.astype(np.int64)
    return np.where(elements < L // 2, signed, signed - L) / SCALE
""", "6": """\
    a, b = uniform(m), uniform(n)
    return share(a), share(b), share(op(a, b) % L)
""", "7": """\
    return beaver(np.multiply, x, y)


def beaver(op, x, y):
    a, b, c = triple(op, x.shape[1:], y.shape[1:])
    epsilon, delta = opened((x - a) % L), opened((y - b) % L)
    return add_public((c + op(epsilon, b) + op(a, delta)) % L, op(epsilon, delta))
""", "8": """\
    bob = (L - x[1]) % L // d
    return np.stack([x[0] // d, (L - bob) % L])
""", "9": """\
    return beaver(np.matmul, x, y)
""", "10": """\
    r = uniform(shape)
    places = range(L.bit_length() - 1)
    bits = [share(r >> np.uint64(i) & np.uint64(1)) for i in places]
    return share(r), np.stack(bits, axis=1)
""", "11": """\
    above = 0 * bits[:, 0]
    for i in range(bits.shape[1]):
        r, both = bits[:, i], multiply(bits[:, i], above)
        one = c >> np.uint64(i) & np.uint64(1) == 1
        above = np.where(one, both, (r + above - both) % L)
    return above
""", "12": """\
    r, bits = dealt_bits(x.shape[1:])
    c = opened((x + r) % L)
    top, borrow = bits[:, -1], private_compare(c % (L // 2), bits[:, :-1])
    bit = (top + borrow - 2 * multiply(top, borrow)) % L
    return np.where(c >= L // 2, add_public(-bit % L, 1), bit)
""", "13": """\
    return multiply(x, add_public(-negative(x) % L, 1))
""", "14": """\
    n = round(x.shape[1] / rate)
    z = truncate(x @ w1, SCALE) if False else truncate(matmul(x, w1), SCALE)
    bit = add_public(-negative(z) % L, 1)
    h = multiply(z, bit)
    error = (truncate(matmul(h, w2), SCALE) - t) % L
    back = multiply(truncate(matmul(error, w2.mT), SCALE), bit)
    g1, g2 = matmul(x.mT, back), matmul(h.mT, error)
    return (w1 - truncate(g1, SCALE * n)) % L, (w2 - truncate(g2, SCALE * n)) % L
"""}
RIGHT["14"] = RIGHT["14"].replace("truncate(x @ w1, SCALE) if False else ", "")


def filled(holes):
    """The text of a file with these fillings."""
    text = SKELETON
    for hole, lines in holes.items():
        text, n = re.subn(HOLE.format(hole), lambda _, lines=lines: lines, text)
        assert n == 1, hole
    return text


def changed(hole, right, wrong):
    """The reference solution with one change."""
    assert RIGHT[hole].count(right) == 1, "the text to replace must be unique"
    return filled({**RIGHT, hole: RIGHT[hole].replace(right, wrong)})


def said(tmp_path, capsys, text):
    """The exit status, and the lines for each task."""
    path = tmp_path / "my_mpc.py"
    path.write_text(text, encoding="utf-8")
    status = lab.main([str(path)])
    return status, capsys.readouterr().out.splitlines()


def test_the_reference_solution_is_short_and_solves_every_task(tmp_path, capsys):
    status, lines = said(tmp_path, capsys, filled(RIGHT))
    assert status == 0 and len(lines) == len(TASKS) + 1
    for i, (line, check) in enumerate(zip(lines, TASKS, strict=False), 1):
        assert line.startswith(f"Task {i:2}, ")
        assert line.endswith(f": solved. {check.__doc__}")
    code = "".join(RIGHT.values()).splitlines()
    assert len([line for line in code if line.strip()]) <= 45


def test_the_empty_skeleton_stops_at_the_first_hole(tmp_path, capsys):
    status, lines = said(tmp_path, capsys, SKELETON)
    hole = SKELETON.splitlines().index('    raise NotImplementedError("Task 1")') + 1
    assert status == 1
    assert lines == [f"Task  1, share: not yet: fill the hole in line {hole}, share"]


@pytest.mark.parametrize("number", range(2, len(TASKS) + 1))
def test_each_hole_is_asked_for_in_order(tmp_path, capsys, number):
    """A hole in any task stops the run there and not before."""
    before = {hole: lines for hole, lines in RIGHT.items()
              if int(hole.split(":")[0]) < number}
    status, lines = said(tmp_path, capsys, filled(before))
    assert status == 1 and len(lines) == number
    assert ": solved. " in lines[-2] and ": not yet: fill the hole in " in lines[-1]


WRONG = [
    # 1 share
    ("1", "mask = uniform(secret.shape)", "mask = 0 * secret", "draws no coin"),
    ("1", "[mask, (secret - mask) % L]", "[secret, 0 * secret]",
     "alice can tell 0 from 1"),
    ("1", "secret - mask", "secret + mask", "add up to"),
    ("1", "(secret - mask) % L", "secret - mask", "outside of the ring"),
    ("1", "uniform(secret.shape)", "uniform(secret.shape) % 4", "bob can tell"),
    ("1", "uniform(secret.shape)", "uniform(secret.shape) * 2 % L", "bob can tell"),
    ("1", "uniform(secret.shape)", "(secret + uniform(secret.shape) // 2) % L",
     "alice can tell"),
    ("1", "uniform(secret.shape)", "uniform(1)", "too few or too many coins"),
    ("1", "[mask, (secret - mask) % L]", "[mask, (secret - mask) % L, mask]",
     "the shape (3, 1)"),
    # 2 reconstruct
    ("2", "(x[0] + x[1]) % L", "x[0] + x[1]", "outside of the ring"),
    ("2", "(x[0] + x[1]) % L", "(x[0] - x[1]) % L", "are those of 7"),
    ("2", "(x[0] + x[1]) % L", "x % L", "the shape (2, 3)"),
    ("2", "return (x[0] + x[1]) % L", "(x[0] + x[1]) % L", "returns nothing"),
    ("2", "(x[0] + x[1]) % L", "(x[0] + x[1]) / 1.0", "float64"),
    # 3 add
    ("3", "(x + y) % L", "x + y", "outside of the ring"),
    ("3", "(x + y) % L", "np.stack([x[0] + y[1], x[1] + y[0]]) % L",
     "which that worker never sent"),
    ("3", "(x + y) % L", "share(reconstruct(x) + reconstruct(y))", "only opened"),
    ("3", "(x + y) % L", "share(opened(x) + opened(y))", "needs no message"),
    ("3", "(x + y) % L", "(x - y) % L", "not the sum"),
    # 4 add_public
    ("4", "x[1]]", "(x[1] + c) % L]", "twice"),
    ("4", "(x[0] + c) % L", "x[0]", "c is missing"),
    ("4", "(x[0] + c) % L", "(x[0] - c) % L", "not x + c"),
    ("4", "np.stack([(x[0] + c) % L, x[1]])", "np.stack([(x[0] + x[1]) % L, c])",
     "which that worker never sent"),
    ("4", "return np.stack([(x[0] + c) % L, x[1]])", "x[0] += c\n    return x % L",
     "changes an array"),
    # 5 fixed point
    ("5: encode", "np.rint(numbers * SCALE)", "(numbers * SCALE)", "0.0006 becomes 0"),
    ("5: encode", " % L", "", "outside of the ring"),
    ("5: encode", "numbers * SCALE", "numbers", "1 becomes 1, not 1000"),
    ("5: encode", "np.rint(numbers * SCALE)", "np.abs(np.rint(numbers * SCALE))",
     "-1 becomes 1000"),
    ("5: decode", "np.where(elements < L // 2, signed, signed - L)", "signed",
     "for the element of -1"),
    ("5: decode", " / SCALE", "", "decode gives 1000"),
    ("5: decode", "< L // 2", "< L", "for the element of -1"),
    # 6 triple
    ("6", "share(op(a, b) % L)", "share((a + b) % L)", "c is not multiply(a, b)"),
    ("6", "a, b = uniform(m), uniform(n)", "a, b = 0 * uniform(m), 0 * uniform(n)",
     "tell something about a or b"),
    ("6", "share(a), share(b), share(op(a, b) % L)",
     "share(a), share(b), np.stack([op(a, b) % L, 0 * op(a, b)])",
     "tell something about a or b"),
    ("6", "share(op(a, b) % L)", "share(a * b % L)", "broadcast"),
    ("6", "uniform(m), uniform(n)", "uniform(m) // 2, uniform(n)",
     "tell something about a or b"),
    # 7 multiply
    ("7", "add_public((c + op(epsilon, b) + op(a, delta)) % L, op(epsilon, delta))",
     "(c + op(epsilon, b) + op(a, delta)) % L", "epsilon delta is missing"),
    ("7", "add_public((c + op(epsilon, b) + op(a, delta)) % L, op(epsilon, delta))",
     "(c + op(epsilon, b) + op(a, delta) + op(epsilon, delta)) % L", "twice"),
    ("7", "opened((x - a) % L)", "opened(x)", "can tell x, y = 0, 0 from x, y = 1, 0"),
    ("7", "opened((y - b) % L)", "opened((y - a) % L)", "can tell x, y = 0, 0"),
    ("7", "op(epsilon, b) + op(a, delta)", "op(epsilon, a) + op(b, delta)",
     "do not add up to the product"),
    ("7", "    return beaver(np.multiply, x, y)",
     "    return share(opened(x) * opened(y) % L)", "takes no triple"),
    ("7", "    return beaver(np.multiply, x, y)",
     "    return share(reconstruct(x) * reconstruct(y) % L)", "only opened"),
    ("7", "    return beaver(np.multiply, x, y)",
     "    return share((x[0] + x[1]) * (y[0] + y[1]) % L)", "0 values were opened"),
    # 8 truncate
    ("8", "np.stack([x[0] // d, (L - bob) % L])", "x // d", "2500 / 10 is"),
    ("8", "(L - bob) % L]", "bob]", "2500 / 10 is"),
    ("8", "np.stack([x[0] // d, (L - bob) % L])", "np.stack([x[0] // d, x[1]])",
     "2500 / 10 is"),
    ("8", "    bob = (L - x[1]) % L // d", "    bob = (L - x[1]) // d\n    opened(x)",
     "needs no message"),
    ("8", "    bob = (L - x[1]) % L // d", "    return share(reconstruct(x) // d)",
     "only opened"),
    # 9 matmul
    ("9", "beaver(np.matmul, x, y)", "(x @ y) % L", "opens nothing"),
    ("9", "beaver(np.matmul, x, y)", "share(opened(x) @ opened(y) % L)",
     "no fresh mask"),
    ("9", "beaver(np.matmul, x, y)", "beaver(np.matmul, y.mT, x.mT)",
     "the shape (2, 5, 3)"),
    ("9", "return beaver(np.matmul, x, y)",
     "s = (2, 3, 4, 5)\n    return multiply(np.broadcast_to(x[..., None], s), "
     "np.broadcast_to(y[:, None], s)).sum(axis=2) % L", "120 elements were opened"),
    ("9", "return beaver(np.matmul, x, y)",
     "z = beaver(np.matmul, x, y)\n    return (z + z) % L", "not the matrix product"),
    # 10 dealt_bits
    ("10", "range(L.bit_length() - 1)", "range(L.bit_length() - 1)[::-1]",
     "the lowest bit is first"),
    ("10", "range(L.bit_length() - 1)", "range(L.bit_length() - 2)", "the shape"),
    ("10", "& np.uint64(1)", "| np.uint64(0)", "neither 0 nor 1"),
    ("10", "share(r >> np.uint64(i) & np.uint64(1))",
     "np.stack([r >> np.uint64(i) & np.uint64(1), 0 * r])", "tell something about r"),
    ("10", "    r = uniform(shape)\n", "    r = uniform(shape) // 2\n",
     "tell something about r"),
    ("10", "share(r), np", "share(uniform(shape)), np", "not those of r"),
    # 11 private_compare
    ("11", "above = 0 * bits[:, 0]", "above = add_public(0 * bits[:, 0], 1)",
     "for the number 0 and c = 0 the result is 1"),
    ("11", "(r + above - both)", "(r + above)", "for the number"),
    ("11", "range(bits.shape[1])", "reversed(range(bits.shape[1]))",
     "for the number"),
    ("11", "where(one, both, (r + above - both) % L)",
     "where(one, (r + above - both) % L, both)",
     "for the number 1 and c = 0 the result is 0"),
    ("11", "above = 0 * bits[:, 0]", "return share((opened(bits).T @ np.uint64("
     "[1, 2, 4, 8]) > c).astype(np.uint64))", "no fresh mask"),
    ("11", "multiply(bits[:, i], above)", "bits[:, i] * above % L", "opens nothing"),
    # 12 negative
    ("12", "(top + borrow - 2 * multiply(top, borrow)) % L", "top",
     "negative gives"),
    ("12", "opened((x + r) % L)", "opened(x)", "no fresh mask"),
    ("12", "opened((x + r) % L)", "opened((x + r // 2) % L)", "negative gives"),
    ("12", "np.where(c >= L // 2, add_public(-bit % L, 1), bit)",
     "np.where(c < L // 2, add_public(-bit % L, 1), bit)",
     "negative gives 1 for 0"),
    ("12", "r, bits = dealt_bits(x.shape[1:])",
     "r, bits = dealt_bits(x.shape[1:])\n    opened(r)", "can tell"),
    ("12", "c = opened((x + r) % L)",
     "c = opened((x + r) % L)\n    opened(bits[:, 0])", "can tell"),
    # 13 relu
    ("13", "multiply(x, add_public(-negative(x) % L, 1))", "multiply(x, negative(x))",
     "the negative numbers were kept"),
    ("13", "multiply(x, add_public(-negative(x) % L, 1))",
     "truncate(multiply(x, add_public(-negative(x) % L, 1)), SCALE)",
     "1000 times too small"),
    ("13", "multiply(x, add_public(-negative(x) % L, 1))",
     "add_public(-negative(x) % L, 1)", "relu gives"),
    ("13", "multiply(x, add_public(-negative(x) % L, 1))",
     "np.where(opened(negative(x)) == 1, 0, x)", "no fresh mask"),
    # 14 step
    ("14", "(w1 - truncate(g1, SCALE * n)) % L, (w2 - truncate(g2, SCALE * n)) % L",
     "(w1 + truncate(g1, SCALE * n)) % L, (w2 + truncate(g2, SCALE * n)) % L",
     "went uphill"),
    ("14", "(w1 - truncate(g1, SCALE * n)) % L, (w2 - truncate(g2, SCALE * n)) % L",
     "w1, w2", "did not move"),
    ("14", "multiply(truncate(matmul(error, w2.mT), SCALE), bit)",
     "truncate(matmul(error, w2.mT), SCALE)", "through the ReLU"),
    ("14", "round(x.shape[1] / rate)", "round(1 / rate)", "the number of rows"),
    ("14", "round(x.shape[1] / rate)", "round(x.shape[1] / rate / 2)",
     "half the square"),
    ("14", "truncate(matmul(h, w2), SCALE)", "matmul(h, w2)", "off by"),
    ("14", "return (w1", "return w2, w1\n    return (w1", "the shape"),
    ("14", "z = truncate(matmul(x, w1), SCALE)",
     "z = share(opened(x) @ opened(w1) // SCALE)", "no fresh mask"),
]


@pytest.mark.parametrize("hole, right, wrong, due", WRONG)
def test_a_wrong_filling_fails_with_a_line_about_it(tmp_path, hole, right, wrong, due):
    path = tmp_path / "my_mpc.py"
    path.write_text(changed(hole, right, wrong), encoding="utf-8")
    check = TASKS[int(hole.split(":")[0]) - 1]
    line = lab.mistake(check, lab.load(path), path)
    assert line and due in line and "\n" not in line


OTHERS = [
    ("1", "[mask, (secret - mask) % L]", "[(secret + mask) % L, -mask % L]"),
    ("4", "[(x[0] + c) % L, x[1]]", "[x[0], (x[1] + c) % L]"),
    ("5: encode", "np.rint(numbers * SCALE)", "np.round(np.asarray(numbers) * SCALE)"),
    ("6", "a, b = uniform(m), uniform(n)",
     "a, b = uniform(m), uniform(n)\n    b = (b + 1) % L"),
    ("7", "opened((x - a) % L), opened((y - b) % L)",
     "opened(add(x, -a % L)), opened(add(y, -b % L))"),
    ("7", "    return beaver(np.multiply, x, y)",
     "    zero = share(np.zeros(x.shape[1:], np.uint64))\n"
     "    return add(beaver(np.multiply, x, y), zero)"),
    ("8", "np.stack([x[0] // d, (L - bob) % L])",
     "np.array([x[0] // d, -bob % L], np.uint64)"),
    ("10", "share(r), np.stack", "share(r + 0), np.stack"),
    ("10", "    r = uniform(shape)\n    places = range(L.bit_length() - 1)\n"
     "    bits = [share(r >> np.uint64(i) & np.uint64(1)) for i in places]\n",
     "    plain = [uniform(shape) % 2 for _ in range(L.bit_length() - 1)]\n"
     "    r = sum(bit << np.uint64(i) for i, bit in enumerate(plain))\n"
     "    bits = [share(bit) for bit in plain]\n"),
    ("11", "where(one, both, (r + above - both) % L)",
     "where(one, both, add((r - both) % L, above))"),
    ("12", "(top + borrow - 2 * multiply(top, borrow)) % L",
     "add(top, multiply(borrow, add_public(-(2 * top) % L, 1)))"),
    ("13", "multiply(x, add_public(-negative(x) % L, 1))",
     "(x - multiply(negative(x), x)) % L"),
    ("14", "h = multiply(z, bit)", "h = relu(z)"),
]


@pytest.mark.parametrize("hole, right, other", OTHERS)
def test_another_right_filling_passes(tmp_path, hole, right, other):
    path = tmp_path / "my_mpc.py"
    path.write_text(changed(hole, right, other), encoding="utf-8")
    check = TASKS[int(hole.split(":")[0]) - 1]
    assert lab.mistake(check, lab.load(path), path) is None


def test_every_task_has_three_wrong_fillings():
    found = [int(hole.split(":")[0]) for hole, *_ in WRONG]
    assert min(found.count(n) for n in range(1, len(TASKS) + 1)) >= 3


@pytest.mark.parametrize("text, due", [
    ("def share(:\n", "SyntaxError: invalid syntax"),
    ("import nothing_of_this_name\n", "ModuleNotFoundError"),
    ("L = 8\n", "has no attribute"),
    ("raise SystemExit(0)\n", "SystemExit: 0"),
    (SKELETON.replace('raise NotImplementedError("Task 1")', "return secret + missing"),
     "name 'missing' is not defined, in line "),
])
def test_an_error_of_the_file_is_one_line(tmp_path, capsys, text, due):
    status, lines = said(tmp_path, capsys, text)
    assert status == 1 and len(lines) == 1 and due in lines[0]


def test_the_command_writes_the_skeleton_and_never_overwrites(tmp_path):
    def call(*words):
        return subprocess.run([sys.executable, "-m", "mpc.course.lab", *words],
                              capture_output=True, text=True)

    path = str(tmp_path / "my_mpc.py")
    first, again = call("--new", path), call("--new", path)
    assert first.returncode == 0 and "fill the holes" in first.stdout
    with open(path, encoding="utf-8") as file:
        assert file.read() == SKELETON
    assert again.returncode == 2 and again.stderr == f"lab: {path}: File exists\n"
    missing = call(str(tmp_path / "other.py"))
    assert missing.returncode == 2 and missing.stderr.count("\n") == 1
    text = tmp_path / "my_mpc.txt"
    text.write_text(SKELETON)
    assert call(str(text)).stderr == f"lab: {text}: its name must end in .py\n"
