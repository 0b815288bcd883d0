"""What a check decides, and when it refuses to."""

from __future__ import annotations

import itertools
import time

import pytest
from attrs import evolve

from properties.backfill import scenarios
from tests.checking.bank import add_in_place, bank, read_then_write
from treadle import (
    Client,
    FaultBudget,
    LockKind,
    PropertyError,
    Raised,
    ScheduleMismatchError,
    TokenError,
    Verdict,
    View,
    always,
    at_end,
    check,
    replay,
    sometimes,
)
from treadle.values.outcome import Outcome

_COUNTS = "every-increment-counts"


def test_a_lost_update_is_found_and_shrunk() -> None:
    """The smallest schedule: A reads, B does all, A writes."""
    decision = check(bank(read_then_write))[_COUNTS]
    assert decision.counterexample is not None
    assert (Verdict.VIOLATED, True) == (decision.verdict, decision.counterexample.confirmed)
    assert (2, 3, 0) == (
        decision.counterexample.schedule.switches,
        len(decision.counterexample.schedule),
        decision.counterexample.schedule.faults,
    )


def test_the_fix_holds() -> None:
    """An update in SQL loses nothing, and the search is exhausted."""
    result = check(bank(add_in_place))
    assert (True, Verdict.HOLDS) == (result.exhausted, result[_COUNTS].verdict)


@pytest.mark.parametrize("search", ["random", "pct"])
def test_sampling_finds_and_shrinks_but_never_proves(search: str) -> None:
    """A sampled counterexample is as small as the exhaustive one; a sample without one is inconclusive."""
    found = check(bank(read_then_write), search=search)[_COUNTS]
    smallest = check(bank(read_then_write))[_COUNTS]
    assert found.counterexample is not None
    assert smallest.counterexample is not None
    assert len(smallest.counterexample.schedule) == len(found.counterexample.schedule)
    assert Verdict.INCONCLUSIVE is check(bank(add_in_place), search=search)[_COUNTS].verdict


def test_the_orphan_of_the_report_needs_no_fault() -> None:
    """Two requests are enough: SQLite itself refuses the upgrade, and rows stay behind."""
    decision = check(scenarios(algorithms="shipped-3.2.2", locked=0)[0])["all-or-nothing"]
    assert decision.counterexample is not None
    kinds = {event.lock_kind for event in decision.counterexample.trace.events} - {None}
    assert (0, Verdict.VIOLATED) == (decision.counterexample.schedule.faults, decision.verdict)
    assert kinds <= {LockKind.UPGRADE, LockKind.SNAPSHOT}
    assert kinds


def test_the_orphan_of_the_report_needs_one_client_and_one_fault() -> None:
    """With one client, one locked savepoint is enough."""
    decision = check(scenarios(algorithms="shipped-3.2.2", requests=1, locked=1)[0])["all-or-nothing"]
    assert decision.counterexample is not None
    assert (1, 0) == (decision.counterexample.schedule.faults, decision.counterexample.schedule.switches)


def test_a_token_replays_identically() -> None:
    """The trace of a replay is the trace of the counterexample."""
    scenario = scenarios(algorithms="shipped-3.2.2", locked=0)[0]
    example = check(scenario)["all-or-nothing"].counterexample
    assert example is not None
    first, second = replay(scenario, example.schedule.token), replay(scenario, example.schedule.token)
    seen = [[(str(event.operation), str(event.observation)) for event in trace.events] for trace in (first, second)]
    assert seen[0] == seen[1]
    assert [(str(event.operation), str(event.observation)) for event in example.trace.events] == seen[0]
    assert "all-or-nothing" in first.breaches


def test_tokens_that_do_not_fit_are_refused() -> None:
    """A malformed token, one of another version, and one for another scenario."""
    scenario = bank(add_in_place)
    for token, error in (
        ("A3", TokenError),
        ("t1.A0", TokenError),
        ("t3.A3", TokenError),
        ("t1.C1", ScheduleMismatchError),
    ):
        with pytest.raises(error):
            replay(scenario, token)


def test_a_client_that_asks_nothing_makes_the_run_inconclusive() -> None:
    """A client whose statements are not seen must not pass."""
    scenario = evolve(bank(add_in_place), clients=[Client("A", lambda: 1)])
    result = check(evolve(scenario, properties=[always("true", lambda _: True, name="true")]))
    assert (Verdict.INCONCLUSIVE, False) == (result["true"].verdict, result.exhausted)
    assert "'A'" in result["true"].why


def test_a_sometimes_that_is_never_seen_is_violated() -> None:
    """Nothing holds vacuously."""
    scenario = evolve(
        bank(add_in_place), properties=[sometimes("somebody fails", lambda v: bool(v.raised()), name="s")]
    )
    assert Verdict.VIOLATED is check(scenario)["s"].verdict
    faulty = evolve(scenario, faults=FaultBudget(locked=1), faults_at="reachable")
    assert Verdict.HOLDS is check(faulty)["s"].verdict


def test_a_predicate_without_an_answer_is_an_error() -> None:
    """A forgotten return would hold everywhere."""
    scenario = evolve(bank(add_in_place), properties=[at_end("forgot", lambda _: None, name="f")])  # type: ignore[arg-type,return-value]
    with pytest.raises(PropertyError, match="'return'"):
        check(scenario)


def test_a_client_that_raises_has_an_outcome() -> None:
    """What a client raises is what it ends with."""

    def fail() -> None:
        add_in_place(scenario.database.engine)
        raise ValueError("no")

    scenario = bank(add_in_place)
    seen: list[Outcome] = []

    @at_end("look", name="look")
    def look(view: View) -> bool:
        seen.append(view.outcomes["A"])
        return True

    check(evolve(scenario, clients=[Client("A", fail)], properties=[look]))
    assert [Raised(ValueError("no"))] == seen[:1]


def test_a_client_without_end_is_inconclusive() -> None:
    """A retry loop hits the operation bound, and the verdict names the client."""
    scenario = bank(add_in_place)

    def forever() -> None:
        for _ in itertools.count():
            add_in_place(scenario.database.engine)

    endless = evolve(scenario, clients=[Client("loop", forever)], max_operations=200)
    decision = check(endless)[_COUNTS]
    assert Verdict.INCONCLUSIVE is decision.verdict
    assert "'loop'" in decision.why


def test_a_client_that_computes_without_end_is_inconclusive() -> None:
    """A loop that asks nothing is interrupted."""
    scenario = bank(add_in_place)

    def forever() -> None:
        with scenario.database.engine.begin() as connection:  # which it rolls back when it is interrupted
            connection.exec_driver_sql("UPDATE account SET balance = 0")
            while True:
                pass

    decision = check(evolve(scenario, clients=[Client("busy", forever)], max_step_s=0.2))[_COUNTS]
    assert Verdict.INCONCLUSIVE is decision.verdict
    assert "'busy'" in decision.why


def test_sleeping_takes_no_time() -> None:
    """The clock is virtual."""
    scenario = bank(add_in_place)

    def nap() -> int:
        time.sleep(3600)
        return add_in_place(scenario.database.engine)

    start = time.perf_counter()
    assert Verdict.HOLDS is check(evolve(scenario, clients=[Client("A", nap)]))[_COUNTS].verdict
    assert time.perf_counter() - start < 60
