"""Fixtures of all tests; what they call by name is in helpers.py."""

import pytest

from mpc import World


@pytest.fixture
def world():
    """A tagged simulation of two workers whose masks repeat."""
    return World(seed=7, tagged=True)


def pytest_terminal_summary(terminalreporter):
    """Who learns what when a coin is missing, where the mutants were run."""
    caught = [r for r in terminalreporter.stats.get("passed", []) if "test_mutants.py::test_a_broken_coin" in r.nodeid]
    if caught:
        import mutants
        terminalreporter.section(f"{len(caught)} broken coins, each caught: who learns what")
        for m in mutants.MUTANTS:
            terminalreporter.write_line(f"{m.setting:<36} {m.coins:<18} {m.how:<48} "
                                        f"{', '.join(m.roles)}: {m.learns}")
