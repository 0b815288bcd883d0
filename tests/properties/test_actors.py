"""Requests beside the scheduler, a user who cancels and a task: buggy and fixed side by side, checked."""

from __future__ import annotations

import pytest

from properties.backfill import scenarios
from tests.sampled import one_in
from treadle import Result, Verdict, check


def violated(result: Result) -> set[str]:
    """Return the names of the properties that are violated, without those that only have to be possible."""
    assert result.exhausted
    return {
        item.property.name
        for item in result.decisions
        if item.verdict is Verdict.VIOLATED and not item.property.name.startswith("some-")
    }


@pytest.mark.parametrize(
    ("actors", "why"),
    one_in(
        2,
        [
            ("scheduler", "backfill 1 is complete, but lacks 2020-01-02"),
            ("cancel", "backfill 1 was cancelled, but lacks 2020-01-01, 2020-01-02"),
        ],
    ),
)
def test_others_see_a_part_of_a_backfill_that_is_committed_in_parts(actors: str, why: str) -> None:
    """No fault is needed for that, and no second request: a date that needs no run is all there is to complete."""
    shipped, flush, immediate, staged = map(
        check,
        scenarios(
            requests=1,
            history=1,
            locked=0,
            actors=actors,
            algorithms="shipped-3.2.2,flush,immediate,staged",
        ),
    )
    assert {"all-or-nothing", "complete-means-complete", "never-partial"} == violated(shipped)
    counterexample = shipped["complete-means-complete"].counterexample
    assert counterexample is not None
    assert why == counterexample.why
    for fixed in (flush, immediate, staged):
        assert set() == violated(fixed)


def test_every_other_client_finds_something_to_do() -> None:
    """Beside each algorithm; and none of them confuses the properties of a right one."""
    for result in map(check, scenarios(requests=1, runs=1, locked=0, actors="all", algorithms="flush,immediate")):
        assert {Verdict.HOLDS} == {item.verdict for item in result.decisions}
        assert result.exhausted


def test_two_requests_and_a_cancel() -> None:
    """Two backfills may be there one after the other, and with the guard under the lock never both active."""
    flush, immediate = map(check, scenarios(runs=1, locked=0, actors="cancel", algorithms="flush,immediate"))
    assert {"one-active-backfill"} == violated(flush)
    assert set() == violated(immediate)
