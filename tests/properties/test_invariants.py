"""Each property on views that break it and on views that do not."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from model.backfill import NOW, Reprocess, Response, RunState, cancel, scheduler_start, work_off
from properties.backfill.equivalence import explain
from properties.backfill.reading import Reading
from tests.model.workshop import FIRST
from tests.properties.stage import Enact, committed
from treadle import Crashed, Raised, Returned, View
from treadle.values.view import SerialEnd

ORPHAN = "DELETE FROM backfill_dag_run", "DELETE FROM task_instance", "DELETE FROM dag_run"
ANOTHER_BACKFILL = (
    "INSERT INTO backfill (dag_id, from_date, to_date, dag_run_conf, reprocess_behavior, max_active_runs, "
    "created_at, updated_at) SELECT dag_id, from_date, to_date, dag_run_conf, "
    "reprocess_behavior, max_active_runs, created_at, updated_at FROM backfill WHERE id = 1"
)
ANOTHER_WHOLE_BACKFILL = (
    ANOTHER_BACKFILL,
    (
        "INSERT INTO backfill_dag_run (backfill_id, exception_reason, logical_date, sort_ordinal) "
        "SELECT 2, 'in flight', logical_date, sort_ordinal FROM backfill_dag_run WHERE backfill_id = 1"
    ),
)


def test_all_or_nothing_is_kept_by_a_success_and_a_refusal(enact: Enact) -> None:
    """All of the one, nothing of the other."""
    stage = enact(history=[FIRST], reprocess=Reprocess.COMPLETED)
    assert () == stage.broken("all-or-nothing", A=404, B=500)
    stage.post()
    assert () == stage.broken("all-or-nothing", A=201, B=409)


@pytest.mark.parametrize("end", [409, 500, 503, Raised(ValueError("no"))])
def test_all_or_nothing_is_broken_by_what_a_failed_request_left(enact: Enact, end: int) -> None:
    """However it failed, and however little it left."""
    stage = enact()
    stage.post()
    (breach,) = stage.broken("all-or-nothing", A=end, B=409)
    # 1 backfill, 2 dates, 2 runs
    assert ["backfill"] + ["backfill_dag_run"] * 2 + ["dag_run"] * 2 == [table for table, _ in breach.rows]
    stage.workshop.rival(*ORPHAN)
    (breach,) = stage.broken("all-or-nothing", A=end, B=409)
    assert ["backfill"] == [table for table, _ in breach.rows]


def test_a_client_that_died_has_all_or_nothing(enact: Enact) -> None:
    """It may have died after its COMMIT, before it got an answer; then it is one that succeeded."""
    stage = enact()
    assert () == stage.broken("all-or-nothing", A=Crashed(), B=409)
    assert stage.broken("honest-conflict", A=Crashed(), B=409)
    stage.post()
    for name in ("all-or-nothing", "honest-conflict", "retry-succeeds"):
        assert () == stage.broken(name, A=Crashed(), B=409)
    stage.workshop.rival("DELETE FROM backfill_dag_run WHERE sort_ordinal = 2")
    for name in ("all-or-nothing", "honest-conflict", "retry-succeeds"):
        assert stage.broken(name, A=Crashed(), B=409)


def test_only_as_many_backfills_as_clients_died_count_as_theirs(enact: Enact) -> None:
    """If they are whole, and no answer names them. It does not matter which of the clients died."""
    stage = enact()
    stage.post()
    stage.workshop.rival(*ANOTHER_WHOLE_BACKFILL)
    assert () == stage.broken("all-or-nothing", A=Crashed(), B=Crashed())
    assert (
        () == stage.broken("all-or-nothing", A=201, B=Crashed()) == stage.broken("all-or-nothing", A=Crashed(), B=201)
    )
    assert 1 == len(stage.broken("all-or-nothing", A=Crashed(), B=500))
    assert 1 == len(stage.broken("all-or-nothing", A=201, B=500))
    stage.workshop.rival("DELETE FROM backfill_dag_run WHERE backfill_id = 2 AND sort_ordinal = 1")
    assert 1 == len(stage.broken("all-or-nothing", A=Crashed(), B=Crashed()))
    assert 1 == len(stage.broken("all-or-nothing", A=201, B=Crashed()))


@pytest.mark.parametrize(
    ("ends", "who"),
    [
        ({"A": 201, "B": 500}, "request B got 500 (as told), but left "),
        ({"A": 409, "B": 500}, "request A got 409, B got 500, and one of them left "),
        ({"A": Crashed(), "B": 500}, "request A crashed, B got 500, and one of them left "),
        ({"A": Raised(ValueError("no")), "B": 201}, "request A raised ValueError: no, but left "),
        ({"A": 201, "B": 201}, "request B got 201 (as told), but its backfill lacks "),
    ],
)
def test_all_or_nothing_says_who_left_something_as_far_as_that_is_known(
    enact: Enact, ends: dict[str, Any], who: str
) -> None:
    """No row says whose it is: a backfill that no answer names is that of the only request that failed, or of any."""
    stage = enact()
    stage.post()
    stage.workshop.rival(ANOTHER_BACKFILL, "DELETE FROM backfill_dag_run WHERE sort_ordinal = 2")
    assert any(breach.why.startswith(who) for breach in stage.broken("all-or-nothing", **ends))


def test_a_backfill_has_one_request(enact: Enact) -> None:
    """Where two answers name one backfill, a request has none; where no answer names one, it has no request."""
    stage = enact()
    stage.post()
    both = Returned(Response(201, "as told", 1))
    (breach,) = stage.broken("all-or-nothing", A=both, B=both)
    assert "request A got 201 (as told), but no backfill of it is there" == breach.why
    stage.workshop.rival(*ANOTHER_WHOLE_BACKFILL)
    assert () == stage.broken("all-or-nothing", A=201, B=201)
    assert 2 == len(stage.broken("all-or-nothing", A=both, B=both))


def test_what_was_there_before_is_of_no_request(enact: Enact) -> None:
    """A backfill that nobody completed is in everybody's way, and nothing else."""
    stage = enact()
    stage.post()
    stage = evolve(stage, initial=committed(stage.workshop))
    for name in ("all-or-nothing", "never-partial", "honest-conflict"):
        assert () == stage.broken(name, A=409, B=409)


@pytest.mark.parametrize(
    ("ends", "whose"),
    [
        ({}, "backfill 2"),
        ({"B": 500}, "backfill 2"),
        ({"A": 201, "B": 201}, "backfill 2 of request B"),
        ({"A": 201, "B": 500}, "backfill 2 of a request that failed"),
    ],
)
def test_a_part_of_a_backfill_is_called_by_what_is_known_of_it(enact: Enact, ends: dict[str, Any], whose: str) -> None:
    """While its request still runs, it has a number and no more."""
    stage = enact()
    stage.post()
    stage.workshop.rival(ANOTHER_BACKFILL)
    (breach,) = stage.broken("never-partial", **ends)
    assert f"{whose} is committed with 0 of its 2 dates" == breach.why


def test_all_or_nothing_is_broken_by_a_success_without_all_dates(enact: Enact) -> None:
    """One date missing, or everything."""
    stage = enact()
    assert 1 == len(stage.broken("all-or-nothing", A=201, B=409))
    stage.post()
    stage.workshop.rival("DELETE FROM backfill_dag_run WHERE sort_ordinal = 2")
    assert 1 == len(stage.broken("all-or-nothing", A=201, B=409))


def test_all_or_nothing_is_broken_by_a_change_without_an_owner(enact: Enact) -> None:
    """The request that failed is the only one that can have made it."""
    stage = enact(history=[FIRST])
    stage.workshop.rival("UPDATE task_instance SET state = NULL")
    (breach,) = stage.broken("all-or-nothing", A=500, B=404)
    assert ["success", None] == [row["state"] for _, row in breach.rows]


@pytest.mark.parametrize(
    ("reprocess", "state"), [("completed", "success"), ("completed", "failed"), ("failed", "failed")]
)
def test_history_is_kept_by_a_success_that_may_run_it_again(enact: Enact, reprocess: str, state: str) -> None:
    """A request that did not succeed may not."""
    stage = enact(history=[FIRST], state=RunState(state), reprocess=Reprocess(reprocess))
    assert () == stage.broken("history-kept", A=500, B=500)
    stage.post()
    assert () == stage.broken("history-kept", A=201, B=409)
    assert 1 == len(stage.broken("history-kept", A=500, B=409))


@pytest.mark.parametrize(("reprocess", "state"), [("none", "success"), ("none", "failed"), ("failed", "success")])
def test_history_is_broken_by_a_success_that_did_not_ask_for_it(enact: Enact, reprocess: str, state: str) -> None:
    """It took over what it had to leave alone."""
    stage = enact(history=[FIRST], state=RunState(state), reprocess=Reprocess(reprocess))
    stage.workshop.post(reprocess="completed")
    assert 1 == len(stage.broken("history-kept", A=201, B=409))


def test_history_is_broken_by_a_run_that_is_gone_or_changed_by_nobody(enact: Enact) -> None:
    """Whether a request succeeded or not."""
    stage = enact(history=[FIRST])
    stage.workshop.rival("UPDATE dag_run SET clear_number = 1")
    assert 1 == len(stage.broken("history-kept", A=201))
    stage.workshop.rival("DELETE FROM dag_run")
    assert 1 == len(stage.broken("history-kept", A=201))


def test_history_is_only_what_had_finished(enact: Enact) -> None:
    """A run that was running may finish."""
    stage = enact(history=[FIRST], state=RunState.RUNNING)
    stage.workshop.rival("UPDATE dag_run SET state = 'success'")
    assert () == stage.broken("history-kept", A=201)


def test_one_active_backfill(enact: Enact) -> None:
    """Two are one too many, unless one is complete."""
    stage = enact()
    stage.post()
    assert () == stage.broken("one-active-backfill")
    stage.workshop.rival(ANOTHER_BACKFILL)
    (breach,) = stage.broken("one-active-backfill")
    assert [1, 2] == [row["id"] for _, row in breach.rows]
    stage.workshop.rival("UPDATE backfill SET completed_at = created_at WHERE id = 1")
    assert () == stage.broken("one-active-backfill")


def test_a_retry_is_refused_because_of_an_orphan(enact: Enact) -> None:
    """Its own, or that of another request that failed."""
    stage = enact()
    stage.post()
    assert 2 == len(stage.broken("retry-succeeds", A=500, B=500))


def test_a_retry_succeeds_where_nothing_was_left(enact: Enact) -> None:
    """Without an answer, a client may have succeeded or not; nothing was left, so it may try again."""
    stage = enact()
    assert () == stage.broken("retry-succeeds", A=503, B=409)
    assert () == stage.broken("retry-succeeds", A=Crashed(), B=409)


def test_a_retry_waits_for_the_backfill_of_a_success(enact: Enact) -> None:
    """That one is in its way by right."""
    stage = enact()
    stage.post()
    assert () == stage.broken("retry-succeeds", A=201, B=500)


def test_only_a_server_error_is_tried_again(enact: Enact) -> None:
    """A conflict is an answer."""
    stage = enact()
    stage.post()
    assert () == stage.broken("retry-succeeds", A=409, B=409)


@pytest.mark.parametrize(("number", "broken"), [(1, False), (2, True)])
def test_serial_equivalence_compares_whether_the_backfill_is_there_that_a_client_was_told_of(
    enact: Enact, number: int, broken: bool
) -> None:
    """The rows are the same either way."""
    stage = enact()
    alone = SerialEnd({"A": Returned(stage.post())}, committed(stage.workshop))
    told = Returned(Response(201, f"backfill {number}", number))
    view = View(alone.committed, stage.initial, {"A": told}, serial=lambda order: alone)
    assert broken is bool(explain(Reading(view, ("A",), stage.request)))


def test_honest_conflict(enact: Enact) -> None:
    """Somebody else must have succeeded, or must have been there before."""
    stage = enact()
    assert 1 == len(stage.broken("honest-conflict", A=500, B=409))
    assert 2 == len(stage.broken("honest-conflict", A=409, B=409))
    assert () == stage.broken("honest-conflict", A=201, B=409)


def test_complete_means_complete_for_a_whole_backfill(enact: Enact) -> None:
    """Active, worked off, or cancelled while nothing ran."""
    stage = enact()
    stage.post()
    assert () == stage.broken("complete-means-complete", A=201, B=409)
    assert [1] == work_off(stage.workshop.engine, NOW)
    assert () == stage.broken("complete-means-complete", A=201, B=409)


def test_complete_means_complete_is_broken_by_the_scheduler_completing_an_orphan(enact: Enact) -> None:
    """It does so when the orphan is old enough, although not a single date has run."""
    stage = enact()
    stage.post()
    stage.workshop.rival(*ORPHAN)
    assert 1 == len(stage.broken("complete-means-complete", A=500, B=500))


def test_complete_means_complete_is_broken_by_an_unfinished_run(enact: Enact) -> None:
    """Set to complete too early."""
    stage = enact()
    stage.post()
    stage.workshop.rival("UPDATE backfill SET completed_at = created_at")
    assert 1 == len(stage.broken("complete-means-complete", A=201, B=409))


def test_complete_means_complete_is_looked_at_while_clients_run(enact: Enact) -> None:
    """What the scheduler would do in the end is not."""
    stage = enact()
    stage.post()
    stage.workshop.rival("DELETE FROM backfill_dag_run WHERE sort_ordinal = 2")
    assert () == stage.broken("complete-means-complete", A=201)
    stage.workshop.rival("UPDATE dag_run SET state = 'success'", "UPDATE backfill SET completed_at = created_at")
    (breach,) = stage.broken("complete-means-complete", A=201)
    assert breach.why.endswith("is complete, but lacks 2020-01-02")


def test_complete_means_complete_lets_a_run_outlive_a_cancel(enact: Enact) -> None:
    """If it was running; one that still waits will never run, and nobody says so."""
    stage = enact()
    stage.post()
    scheduler_start(stage.workshop.engine)
    cancel(stage.workshop.engine, 1, NOW)
    assert () == stage.broken("complete-means-complete", A=201)
    stage.workshop.rival("UPDATE dag_run SET state = 'queued' WHERE state = 'failed'")
    (breach,) = stage.broken("complete-means-complete", A=201)
    assert breach.why.endswith("was cancelled, but has a queued run")


def test_other_clients_are_no_requests(enact: Enact) -> None:
    """How they end says nothing about rows: only A failed here, and left nothing."""
    stage = enact(history=[FIRST])
    ends: dict[str, Any] = {"A": 500, "cancel": 404, "scheduler": Returned(([], [])), "task": Raised(ValueError("no"))}
    for name in ("all-or-nothing", "history-kept", "retry-succeeds", "honest-conflict"):
        assert () == stage.broken(name, **ends)


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("some-start", {"scheduler": Returned(([1], []))}),
        ("some-cancel", {"cancel": 200}),
        ("some-finish", {"task": Returned(1)}),
    ],
)
def test_a_witness_of_another_client(enact: Enact, name: str, end: dict[str, int]) -> None:
    """It found something to do."""
    idle: dict[str, Any] = {"scheduler": Returned(([], [])), "cancel": 404, "task": Returned(None)}
    assert () == enact().broken(name, **(idle | end))
    assert enact().broken(name, **idle)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM backfill_dag_run WHERE sort_ordinal = 2",
        "UPDATE backfill_dag_run SET dag_run_id = NULL WHERE sort_ordinal = 2",
        "UPDATE backfill_dag_run SET dag_run_id = NULL, exception_reason = 'in flight'",
    ],
)
def test_never_partial(enact: Enact, change: str) -> None:
    """A date is missing; or has neither run nor reason; or has a reason although there is a run."""
    stage = enact()
    stage.post()
    assert () == stage.broken("never-partial")
    stage.workshop.rival(change)
    assert stage.broken("never-partial")


def test_never_partial_is_broken_by_a_backfill_without_dates(enact: Enact) -> None:
    """None of its dates is a part as well."""
    stage = enact()
    stage.post()
    stage.workshop.rival(*ORPHAN)
    assert 1 == len(stage.broken("never-partial"))


def test_what_readers_do_not_heed_is_no_part_and_not_active(enact: Enact) -> None:
    """A backfill of ``staged`` that is not initialized; but it counts as left behind."""
    stage = enact("staged")
    stage.post()
    stage.workshop.rival(
        "UPDATE backfill SET initialized_at = NULL", "DELETE FROM backfill_dag_run WHERE sort_ordinal = 2"
    )
    assert () == stage.broken("never-partial")
    assert () == stage.broken("complete-means-complete", A=500, B=500)
    assert stage.broken("some-active-backfill")
    assert stage.broken("all-or-nothing", A=500, B=500)


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("some-request-succeeds", {"A": 201, "B": 409}),
        ("some-request-fails", {"A": 201, "B": 409}),
        ("some-history", {}),
        ("some-active-backfill", {}),
        ("some-whole-backfill", {}),
        ("some-conflict", {"A": 201, "B": 409}),
        ("some-server-error", {"A": 201, "B": Crashed()}),
        ("some-completion", {"A": 201, "B": 409}),
        ("some-rival-loses", {"A": 201, "B": 409}),
    ],
)
def test_a_witness_is_seen(enact: Enact, name: str, ends: dict[str, int]) -> None:
    """A request succeeded, and its backfill is active."""
    stage = enact(history=[FIRST])
    stage.post()
    assert () == stage.broken(name, **ends)


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("some-request-succeeds", {"A": 500, "B": 500}),
        ("some-request-fails", {"A": 201, "B": 201}),
        ("some-history", {}),
        ("some-active-backfill", {}),
        ("some-whole-backfill", {}),
        ("some-conflict", {"A": 201, "B": 500}),
        ("some-server-error", {"A": 201, "B": 409}),
        ("some-completion", {"A": 500, "B": 500}),
        ("some-rival-loses", {"A": 201, "B": 201}),
    ],
)
def test_a_witness_is_not_seen(enact: Enact, name: str, ends: dict[str, int]) -> None:
    """Nothing is there."""
    assert enact().broken(name, **ends)
