"""Fixtures of all tests; what they call by name is in helpers.py."""

import pytest

from mpc import World
from mpc.audit.tags import TaggedWorld


@pytest.fixture
def world():
    """A tagged simulation of two workers whose masks repeat."""
    return TaggedWorld(seed=7)


def pytest_terminal_summary(terminalreporter):
    """Who learns what when a coin is missing: of the mutants that were run and caught."""
    test = "test_mutants.py::test_a_broken_coin_is_caught["
    passed = [r.nodeid for r in terminalreporter.stats.get("passed", []) if test in r.nodeid]
    if passed:
        import mutants
        ids = {nodeid.split(test)[1].removesuffix("]") for nodeid in passed}
        caught = [m for m in mutants.MUTANTS if m.id in ids]
        terminalreporter.section(f"{len(caught)} broken coins, each caught: who learns what")
        for m in caught:
            terminalreporter.write_line(f"{m.setting:<36} {m.coins:<18} {m.how:<48} "
                                        f"{m.who}: {m.learns}")
