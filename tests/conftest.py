"""Fixtures of all tests; functions that they call are in helpers.py."""

import signal

import pytest

from mpc.audit.tags import TaggedWorld

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:   # as in a shell's background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def world():
    """A tagged simulation of two workers whose masks repeat."""
    return TaggedWorld(seed=7)


def pytest_addoption(parser):
    parser.addoption("--one-case", action="store_true",
                     help="run only the first case of each parametrised test")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--one-case"):
        first = {}
        for item in items:
            first.setdefault(item.nodeid.split("[")[0], item)
        config.hook.pytest_deselected(items=set(items) - set(first.values()))
        items[:] = first.values()


def pytest_terminal_summary(terminalreporter):
    """A table of the mutants that were caught: with the leak of each missing coin."""
    test = "test_mutants.py::test_a_broken_coin_is_caught["
    passed = [report.nodeid for report in terminalreporter.stats.get("passed", [])
              if test in report.nodeid]
    if passed:
        import mutants
        ids = {nodeid.split(test)[1].removesuffix("]") for nodeid in passed}
        caught = [m for m in mutants.MUTANTS if m.id in ids]
        terminalreporter.section(f"{len(caught)} broken coins caught, with their leaks")
        for m in caught:
            terminalreporter.write_line(f"{m.setting:<36} {m.coins:<18} {m.how:<48} "
                                        f"{m.who}: {m.learns}")
