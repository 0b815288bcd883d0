"""What the search leaves out changes nothing: its outcomes are those of every interleaving, executed for real."""

from __future__ import annotations

import pytest
from hypothesis import event, given, note
from hypothesis import strategies as st

from tests.truth.checked import outcomes, outcomes_of_every_operation, real_outcomes
from tests.truth.programs import Case, cases, sized
from treadle.checking import REDUCTIONS

_SAME_SCHEDULES = {"merge", "symmetry", "memory"}
"""The reductions that change nothing about which schedules there are."""

_FAULTS = st.sampled_from(((1, 0, "reachable"), (1, 0, "statement"), (1, 0, "savepoint"), (0, 1, "reachable")))


def _compare_with_real(case: Case, most: int) -> None:
    note(f"{case}")
    found, result = outcomes(case)
    assert result.exhausted
    truth, complete = real_outcomes(case, most)
    event("all interleavings" if complete else "some interleavings")
    assert set() == truth - found
    if complete:
        assert truth == found


def _compare_modes(case: Case, faults: tuple[int, int, str], most: int) -> None:
    locked, crash, faults_at = faults
    fast, result = outcomes(case, faults=(locked, crash), faults_at=faults_at)
    assert result.exhausted
    live, _ = outcomes(case, faults=(locked, crash), faults_at=faults_at, live=True)
    assert fast == live
    assert fast == outcomes_of_every_operation(case, faults=(locked, crash), faults_at=faults_at)
    slow, result = outcomes(case, faults=(locked, crash), faults_at=faults_at, reduction=False, max_states=most)
    event("all schedules" if result.exhausted else "some schedules")
    assert set() == slow - fast
    if result.exhausted:
        assert slow == fast


def _compare_reductions(case: Case, faults: tuple[int, int, str], most: int) -> None:
    note(f"{case}")
    locked, crash, faults_at = faults
    fast, expected = outcomes(case, faults=(locked, crash), faults_at=faults_at)
    assert expected.exhausted
    for off in (*([name] for name in REDUCTIONS), list(REDUCTIONS)):
        bound = most if "merge" in off else None
        slow, result = outcomes(case, faults=(locked, crash), faults_at=faults_at, without=off, max_states=bound)
        assert set() == slow - fast, off
        if result.exhausted:
            assert (slow, expected.outcomes) == (fast, result.outcomes), off
        if result.exhausted and _SAME_SCHEDULES.issuperset(off):
            assert expected.stats.schedules == result.stats.schedules, off
        event(f"without {'all' if len(off) > 1 else off[0]}: {'all' if result.exhausted else 'some'} states")


def _compare_processes(case: Case, faults: tuple[int, int, str]) -> None:
    note(f"{case}")
    locked, crash, faults_at = faults
    one, two = (outcomes(case, faults=(locked, crash), faults_at=faults_at, workers=workers)[1] for workers in (1, 2))
    assert (one.exhausted, one.outcomes) == (two.exhausted, two.outcomes)
    counts = [(stats.states, stats.transitions, stats.schedules) for stats in (one.stats, two.stats)]
    assert counts[0] == counts[1]


@sized(15)
@given(cases(longest=3))
def test_reduced_search_finds_the_outcomes_of_all_interleavings(case: Case) -> None:
    """Two clients without faults: just the outcomes of every interleaving of single calls."""
    _compare_with_real(case, 40)


@sized(6)
@given(cases(longest=2), _FAULTS)
def test_reduced_learned_and_live_searches_agree(case: Case, faults: tuple[int, int, str]) -> None:
    """With a fault, learned, live and unreduced searches find the same outcomes."""
    _compare_modes(case, faults, 300)


@sized(15)
@given(cases(longest=3), _FAULTS)
def test_searches_without_a_reduction_agree(case: Case, faults: tuple[int, int, str]) -> None:
    """Each reduction switched off alone, and all of them: the same outcomes, and as many schedules."""
    _compare_reductions(case, faults, 500)


@sized(10)
@given(cases(clients=3, longest=2, alike=True))
def test_searches_of_interchangeable_clients_agree(case: Case) -> None:
    """The same for three clients of which two run the same program."""
    _compare_reductions(case, (0, 0, "reachable"), 500)


@sized(6)
@given(cases(longest=3), _FAULTS)
def test_two_processes_agree_with_one(case: Case, faults: tuple[int, int, str]) -> None:
    """The same outcomes, states, transitions and schedules."""
    _compare_processes(case, faults)


@pytest.mark.truth
@sized(1000)
@given(cases(longest=5))
def test_reduced_search_finds_the_outcomes_of_all_interleavings_of_longer_programs(case: Case) -> None:
    """The same, more and longer."""
    _compare_with_real(case, 200)


@pytest.mark.truth
@sized(200)
@given(cases(clients=3, longest=2))
def test_reduced_search_finds_the_outcomes_of_three_clients(case: Case) -> None:
    """The same for three clients."""
    _compare_with_real(case, 200)


@pytest.mark.truth
@sized(300)
@given(cases(longest=4), _FAULTS)
def test_reduced_learned_and_live_searches_agree_on_longer_programs(case: Case, faults: tuple[int, int, str]) -> None:
    """The same for more and longer programs with a fault."""
    _compare_modes(case, faults, 10_000)


@pytest.mark.truth
@sized(300)
@given(cases(longest=4), _FAULTS)
def test_searches_of_longer_programs_without_a_reduction_agree(case: Case, faults: tuple[int, int, str]) -> None:
    """The same for more and longer programs."""
    _compare_reductions(case, faults, 10_000)


@pytest.mark.truth
@sized(100)
@given(cases(clients=3, longest=3, alike=True))
def test_searches_of_more_interchangeable_clients_agree(case: Case) -> None:
    """The same for three clients of which two run the same program."""
    _compare_reductions(case, (0, 0, "reachable"), 10_000)


@pytest.mark.truth
@sized(300)
@given(cases(clients=3, longest=3), _FAULTS)
def test_two_processes_agree_with_one_on_three_clients(case: Case, faults: tuple[int, int, str]) -> None:
    """The same for more programs, side by side."""
    _compare_processes(case, faults)
