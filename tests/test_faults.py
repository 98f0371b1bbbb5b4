"""Whatever happens to a role under MPI, the run ends with one line that says it.

The whole matrix takes half an hour: ``scripts/check --faults``. A sample of it runs
with the other tests under MPI.
"""

from pathlib import Path

import pytest
from fault_matrix import (
    FAULTS,
    NONSENSE,
    OUTCOMES,
    PLACES,
    SAMPLE,
    check,
    combinations,
    outcome_of,
    table,
)
from mpi_runs import in_processes, unshared, without_mpi

PAGE = Path(__file__).parents[1] / "docs" / "FAULTS.md"


def cases(combinations):
    """A parameter for each; a full disk needs a file system of its own."""
    return [pytest.param(*each, id=f"{each[0]}_workers-{'-'.join(each[1:])}",
                         marks=pytest.mark.skipif(
                             "full" in each[3] and not unshared(),
                             reason="this system forbids mounts of one's own"))
            for each in combinations]


@in_processes
@pytest.mark.parametrize("n_workers, role, place, fault", cases(SAMPLE))
def test_a_fault_has_the_outcome_of_the_table(tmp_path, n_workers, role, place, fault):
    check(tmp_path, n_workers, role, place, fault)


@without_mpi
@pytest.mark.faults
@pytest.mark.parametrize("n_workers, role, place, fault", cases(combinations()))
def test_every_fault_has_the_outcome_of_the_table(
        tmp_path, n_workers, role, place, fault):
    check(tmp_path, n_workers, role, place, fault, idle=True)


def test_every_combination_has_one_outcome_or_makes_no_sense():
    assert set(OUTCOMES) == set(FAULTS)
    for fault, outcomes in OUTCOMES.items():
        for place in PLACES:
            found = [outcome for outcome in outcomes if place in outcome.places]
            assert len(found) + ((fault, place) in NONSENSE) == 1
    assert len(combinations()) == 9 * (len(PLACES) * len(FAULTS) - len(NONSENSE))


def test_the_sample_has_every_role_place_and_fault():
    assert set(SAMPLE) <= set(combinations()) and len(set(SAMPLE)) == len(SAMPLE)
    for chosen, everything in zip(list(zip(*SAMPLE, strict=True))[2:], (PLACES, FAULTS),
                                  strict=True):
        assert set(chosen) == set(everything)
    assert {role for _, role, _, _ in SAMPLE} == {
        role for _, role, _, _ in combinations()}
    assert outcome_of("SIGKILL", "save").status == 1


def test_the_page_has_the_places_and_the_table_of_outcomes():
    page = PAGE.read_text(encoding="utf-8")
    assert "\n".join(table()) in page
    for name, description in PLACES.items():
        assert f"- *{name}*: {description}" in page
