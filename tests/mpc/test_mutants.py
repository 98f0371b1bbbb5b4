"""The privacy tables have teeth: each coin, once broken, is caught at the role that would profit."""

import importlib

import pytest

from mutants import MUTANTS, SETTINGS

pytestmark = pytest.mark.view


@pytest.fixture
def setting(request, monkeypatch):
    chosen = SETTINGS[request.param]
    for (module, name), ideal in chosen.patches.items():
        monkeypatch.setattr(importlib.import_module(module), name, ideal)
    return chosen


@pytest.mark.parametrize("setting", SETTINGS, indirect=True)
def test_unbroken_nobody_can_tell_the_inputs_apart(setting):
    """The control: same step, same inputs, same coins standing still, and all tables are equal."""
    for role, groups in setting.groups.items():
        for cases in groups:
            assert len(cases) > 1 and not setting.experiment().tells_apart(role, cases), role


@pytest.mark.parametrize("setting, mutant", [(m.setting, m) for m in MUTANTS], indirect=["setting"],
                         ids=[f"{m.setting}: {m.coins}: {m.how}" for m in MUTANTS])
def test_a_broken_coin_is_caught(setting, mutant):
    experiment = setting.experiment(mutant.coin, mutant.mutant, mutant.extra)
    for role in mutant.roles:
        assert any(experiment.tells_apart(role, cases) for cases in setting.groups[role]), role
