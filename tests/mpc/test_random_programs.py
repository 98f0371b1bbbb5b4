"""Random programs give NumPy's numbers, within the documented ranges and errors."""

import collections

import numpy as np
import pytest
from differential import Program, Setting, check, check_beyond, difference, smallest
from expected import Expected, Format, LeftRange, encoded
from random_programs import draw, draw_beyond, run

import mpc

SEED, CHUNK = 1, 250            # in chunks, for the processes of pytest-xdist


@pytest.mark.parametrize("first", range(0, 2500, CHUNK))
def test_random_programs_agree_with_numpy(first):
    report = run(SEED, first, CHUNK)
    assert not report.failures, "\n".join(map(str, [report, "", *report.failures[:3]]))


@pytest.mark.parametrize("first", range(5000, 5500, CHUNK))
def test_programs_in_range_pass_in_checked_mode(first):
    report = run(SEED, first, CHUNK, checked=True)
    assert not report.failures, "\n".join(map(str, [report, "", *report.failures[:3]]))


def test_programs_beyond_the_range_are_refused_in_checked_mode():
    refusals = mpc.OutOfRange, ValueError
    programs = [draw_beyond((SEED, i)) for i in range(500)]
    failures = [check_beyond(program, refusals, checked=True) for program in programs]
    assert not any(failures), "\n".join(str(f) for f in failures if f)


# -------------------------------------------------------------- the tests can fail

FORMAT = Format()
DEFAULT = Setting(FORMAT)


def numbers(*values):
    return encoded(FORMAT, np.array(values, float))


def program(*lines, setting=DEFAULT):
    return Program((0, 0), setting, lines)


def test_programs_are_of_all_kinds():
    drawn = [draw((SEED, i)).program for i in range(700)]
    text = "\n".join(line for p in drawn for _, line in p.lines)
    for part in (" @ ", " ** 2", ".sum(", ".reshape(", ".T", ".max(", ".argmax(",
                 ".relu()", ".eq(", " > ", " <= ", "concatenate(", ".refresh()",
                 "public(", "secret(", "None", "::-1", "np.float16(", "np.int8(",
                 "Fraction(", "Decimal(", "True", "np.zeros("):
        assert text.count(part) >= 5, part
    settings = collections.Counter(
        ((p.setting.format.workers, *p.setting[1:]), p.setting.format.bits)
        for p in drawn)
    for workers, comparison, truncation in ((2, "securenn", "provider"),
                                            (2, "securenn", "local"),
                                            (2, "carry-tree", "provider"),
                                            (2, "carry-tree", "local"),
                                            (3, "carry-tree", "provider")):
        for bits in (64, 48) + (44, 36) * (truncation == "provider"):
            assert settings[(workers, comparison, truncation), bits] >= 3
    assert max(len(p.lines) for p in drawn) > 60


def test_most_bounds_are_small():
    """Any result would pass a bound that is larger than the number."""
    drawn = [draw((SEED, i)) for i in range(300)]
    in_eps = np.concatenate([
        (d.expected[name].revealed_error / d.expected[name].format.eps).ravel()[:5]
        for d in drawn for name in d.program.results])
    assert np.quantile(in_eps, [0.5, 0.75]).tolist() <= [10, 100]


def test_a_program_is_drawn_again_from_its_seed_and_reads_as_python():
    first, again = (draw((SEED, 11)).program for _ in range(2))
    assert first == again
    shown = program(("x0", "secret(np.array([2.0, 3.0]))"), ("m1", "np.array([1, 0])"),
                    ("t2", "x0 * m1"), ("t3", "t2 - 1"), ("t4", "t3 / 3"),
                    ("t5", "(t4).relu()"))
    assert str(shown).splitlines()[1:] == [
        "x0 = secret(np.array([2.0, 3.0]))",
        "t5 = ((x0 * np.array([1, 0]) - 1) / 3).relu()"]


def test_a_wrong_number_and_a_wrong_shape_are_found():
    expected = numbers(1, 2) * 0.5
    bound = expected.revealed_error
    assert difference(expected.value + 0.99 * bound, expected) is None
    assert "bound 0.0025" in difference(expected.value + [0, 1.01] * bound, expected)
    assert "1 of 2" in difference(np.array([0.5, np.nan]), expected)
    assert "shape" in difference(np.array([[0.5, 1.0]]), expected)


def test_a_refusal_is_reduced_to_the_lines_that_show_it(monkeypatch):
    long = program(("x0", "secret(np.array([2.0, 3.0]))"), ("t1", "x0 * 3"),
                   ("t2", "-t1"), ("t3", "t2.unknown()"), ("t4", "t3 + 1"),
                   ("t5", "t2 + 1"))

    monkeypatch.setattr(Expected, "unknown", Expected.relu, raising=False)
    failure = smallest(check(long))
    assert failure.kind == "AttributeError"
    assert failure.program.lines == (long.lines[0], ("t3", "x0.unknown()"))


@pytest.mark.parametrize("line, error", [
    ("x + y", 0), ("x + 0.375", 0), ("x + 0.0004", 0.0005),
    ("x * 2 - y", 0.002 + 0.003 + 8e-6),
    ("x * y", 0.004 + 0.002 + 1e-6), ("x * 0.5", 0.5e-6 * 4 + 0.0015), ("x * 0", 0.001),
    ("x.sum()", 0), ("(x * y).sum()", 0.006001 + 0.001), ("-x", 0), ("x.relu()", 0),
    ("(x * 0).relu()", 0.002), ("x > y", 0), ("x * 0 > 0.002", 1), ("x * 0 > 0.004", 0),
    ("x.argmax()", 0), ("x.eq(x)", 0), ("(x * 0).argmax(one_hot=True)", 0),
])
def test_the_error_is_the_documented_one(line, error):
    expected = eval(line, {"x": numbers(4), "y": numbers(2)})
    assert expected.error.item() == pytest.approx(error, abs=1e-12)


@pytest.mark.parametrize("line", [
    "big", "wide + wide", "wide > -wide - wide", "x * y", "x ** 2", "(z * z).sum()",
    "z.reshape(1, -1) @ z.reshape(-1, 1)", "v.reshape(1, -1) @ v.reshape(-1, 1)",
    "f * 1.5", "f * np.array([1.5])", "x * 1e10", "x * 2e9", "(w * 0.9).sum()"])
def test_a_line_that_leaves_the_range_is_not_drawn(line):
    limit = FORMAT.values
    wide, root = numbers(0.99 * limit), (FORMAT.products / 3.9) ** 0.5
    names = {"number": numbers, "limit": limit, "np": np, "wide": wide + wide,
             "x": numbers(3e6), "y": numbers(3e6), "f": numbers(4e12),
             "z": numbers(*[root] * 4), "v": numbers(*[root / 1.5] * 4),
             "w": numbers(*[2e12] * 3)}
    with pytest.raises(LeftRange):
        eval(line.replace("big", "number(limit)"), names)


def test_a_matrix_product_of_secrets_has_less_room_than_with_a_public_one():
    root = (FORMAT.products / 8.5) ** 0.5
    secret = numbers(*[root] * 4)
    public = encoded(FORMAT, secret.value, secret=False)
    with pytest.raises(LeftRange):
        secret.reshape(1, -1) @ secret.reshape(-1, 1)
    for fine in ((secret * secret).sum(),
                 secret.reshape(1, -1) @ public.reshape(-1, 1)):
        assert fine.value.item() == 4 * root**2
