"""The privacy tables catch each broken coin, at every observer who would profit."""

import importlib

import pytest
from mutants import EQUAL, MUTANTS, SETTINGS, TIED, ties

pytestmark = pytest.mark.view


@pytest.fixture
def setting(request, monkeypatch):
    chosen = SETTINGS[request.param]
    for (module, name), ideal in chosen.patches.items():
        monkeypatch.setattr(importlib.import_module(module), name, ideal)
    return chosen


@pytest.mark.parametrize("setting", SETTINGS, indirect=True)
def test_unbroken_nobody_can_tell_the_inputs_apart(setting):
    """The control: same protocol, inputs and fixed coins, and all tables are equal."""
    for role, groups in setting.groups.items():
        assert groups
        for cases in groups:
            assert len(cases) > 1
            assert not setting.experiment(role).tells_apart(role, cases), role


@pytest.mark.parametrize("setting, mutant", [(m.setting, m) for m in MUTANTS],
                         indirect=["setting"], ids=[m.id for m in MUTANTS])
def test_a_broken_coin_is_caught(setting, mutant):
    for role in mutant.roles:
        experiment = setting.experiment(role, mutant.coin, mutant.mutant, mutant.extra)
        groups = setting.groups[role]
        assert any(experiment.tells_apart(role, cases) for cases in groups), role


@pytest.mark.parametrize("name", TIED)
def test_shares_of_one_opening_may_be_tied_only_if_they_share_one_number(name):
    setting, harmless = SETTINGS[name], set()
    for role, coin, other, mutant in ties(name):
        experiment = setting.experiment(role, coin, mutant)
        if not any(experiment.tells_apart(role, g) for g in setting.groups[role]):
            harmless.add((coin, other))
    assert harmless == set(EQUAL.get(name, ()))


def test_every_mutant_has_a_name_of_its_own_and_every_setting_a_mutant():
    assert len({m.id for m in MUTANTS}) == len(MUTANTS)
    assert {m.setting for m in MUTANTS} == set(SETTINGS)
