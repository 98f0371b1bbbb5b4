"""Error reports quote the program, and never a value in a library's message."""

import linecache

import pytest

from mpc.transport.error_report import describe


def error_of(folder, text):
    """The report on the error that a program of this `text` raises."""
    path = folder / "erring.py"
    path.write_text(text)
    linecache.checkcache()
    try:
        exec(compile(text, str(path), "exec"), {})
    except BaseException as error:
        return describe(error)


@pytest.mark.parametrize("text, report", [
    ("raise RuntimeError('the disk\\nis full')", "RuntimeError: the disk"),
    ("raise ValueError(\n    'too '\n    'much')", "ValueError: too much"),
    ("if True: raise KeyError", "KeyError"),
    ("assert False, 'no'", "AssertionError: no"),
    ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
    ("open('/no/file')",
     "FileNotFoundError: [Errno 2] No such file or directory: '/no/file'"),
    ("raise KeyboardInterrupt", "interrupted"),
    ("import mpc\nmpc.World(1)",
     "ValueError: World: 1 workers; take 2 or more")])
def test_a_message_that_the_program_worded_is_shown(tmp_path, text, report):
    assert error_of(tmp_path, text) == report


@pytest.mark.parametrize("text, line", [
    ("x = 1\nint('4711 euros')", 2), ("import json\njson.loads('[4711')", 2),
    ("{}[4711]", 1), ("import numpy as np\nnp.zeros(1).reshape(4711)", 2),
    ("[].index(4711)", 1), ("int('4711 euros')      # may raise ValueError", 1),
    ("raise RuntimeError(f'{int(\"4711 euros\")}')", 1), ("x = {}[4711]; assert x", 1),
    ("import mpc\n"
     "mpc.World().private_input('alice', (1,), lambda: [float('4711 euros')])", 2)])
def test_a_message_that_a_library_worded_is_not_shown(tmp_path, text, line):
    report = error_of(tmp_path, text)
    assert "4711" not in report
    assert f" in erring.py, line {line}; a library worded the message" in report
