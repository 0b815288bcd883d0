"""The other actors, alone."""

from __future__ import annotations

from datetime import timedelta

from model.backfill import (
    NOW,
    Response,
    RunState,
    cancel,
    scheduler,
    scheduler_complete,
    scheduler_start,
    task_finish,
    task_finish_first,
    work_off,
)
from tests.model.workshop import Build


def test_the_scheduler_starts_runs_in_order_up_to_the_limit(build: Build) -> None:
    """Ordinals decide, and max_active_runs is the limit."""
    workshop = build("flush")
    workshop.post(reverse=True, max_active_runs=1)
    assert [1] == scheduler_start(workshop.engine)
    assert [("2020-01-02 00:00:00.000000", "running")] == workshop.rows(
        "SELECT logical_date, state FROM dag_run WHERE state = 'running'"
    )
    assert [] == scheduler_start(workshop.engine)
    assert task_finish(workshop.engine, 1)
    assert [2] == scheduler_start(workshop.engine)


def test_the_scheduler_starts_no_run_of_a_paused_backfill(build: Build) -> None:
    """Pausing a backfill keeps its runs queued."""
    workshop = build("flush")
    workshop.post()
    workshop.rival("UPDATE backfill SET is_paused = 1")
    assert [] == scheduler_start(workshop.engine)


def test_only_a_running_run_finishes(build: Build) -> None:
    """A run that waits, or is not there, stays as it is."""
    workshop = build("flush")
    workshop.post()
    assert not task_finish(workshop.engine, 1)
    assert not task_finish(workshop.engine, 99)
    scheduler_start(workshop.engine)
    assert task_finish(workshop.engine, 1, RunState.FAILED)
    assert [("failed", "failed")] == workshop.rows(
        "SELECT run.state, task.state FROM dag_run run JOIN task_instance task USING (run_id) WHERE run.id = 1"
    )


def test_the_scheduler_completes_a_backfill_when_all_its_runs_have_finished(build: Build) -> None:
    """Not before, and then at the scheduler's time."""
    workshop = build("flush")
    workshop.post()
    assert [] == scheduler_complete(workshop.engine, NOW)
    assert [1] == work_off(workshop.engine, NOW)
    assert [("success",)] * 2 == workshop.rows("SELECT state FROM dag_run")
    assert 1 == workshop.count("backfill WHERE completed_at IS NOT NULL")


def test_the_scheduler_goes_round_once(build: Build) -> None:
    """It starts, then completes; where there is nothing to do it does nothing."""
    workshop = build("flush")
    assert ([], []) == scheduler(workshop.engine, NOW)
    workshop.post()
    assert ([1], []) == scheduler(workshop.engine, NOW)
    assert 1 == task_finish_first(workshop.engine)
    assert ([2], []) == scheduler(workshop.engine, NOW)
    assert 2 == task_finish_first(workshop.engine)
    assert ([], [1]) == scheduler(workshop.engine, NOW)


def test_the_first_running_run_finishes(build: Build) -> None:
    """With its tasks; where none is running, nothing does."""
    workshop = build("flush")
    assert task_finish_first(workshop.engine) is None
    workshop.post(max_active_runs=2)
    assert task_finish_first(workshop.engine) is None
    scheduler_start(workshop.engine)
    assert 1 == task_finish_first(workshop.engine, RunState.FAILED)
    assert [("failed",), ("running",)] == workshop.rows("SELECT state FROM dag_run ORDER BY id")
    assert [("failed",), (None,)] == workshop.rows("SELECT state FROM task_instance ORDER BY run_id")


def test_a_user_cannot_cancel_what_is_not_heeded(build: Build) -> None:
    """There is nothing to see yet."""
    workshop = build("staged")
    workshop.post()
    workshop.rival("UPDATE backfill SET initialized_at = NULL")
    assert 404 == cancel(workshop.engine, 1, NOW, workshop.algorithm.heeded).status
    workshop.rival("UPDATE backfill SET initialized_at = created_at")
    assert 200 == cancel(workshop.engine, 1, NOW, workshop.algorithm.heeded).status


def test_the_scheduler_gives_a_backfill_without_dates_two_minutes(build: Build) -> None:
    """It may be in creation; after that it is taken for an orphan, and completed."""
    workshop = build("shipped-3.2.2")
    workshop.post(from_date=NOW - timedelta(days=1), to_date=NOW)
    assert [] == scheduler_complete(workshop.engine, NOW + timedelta(minutes=2))
    assert [1] == scheduler_complete(workshop.engine, NOW + timedelta(minutes=3))


def test_the_scheduler_does_not_heed_what_staged_has_not_initialized(build: Build) -> None:
    """Its runs are not started, and it is not completed."""
    workshop = build("staged")
    workshop.post()
    workshop.rival("UPDATE backfill SET initialized_at = NULL")
    heeded = workshop.algorithm.heeded
    assert [] == work_off(workshop.engine, NOW + timedelta(hours=1), heeded)
    workshop.rival("UPDATE backfill SET initialized_at = created_at")
    assert [1] == work_off(workshop.engine, NOW, heeded)


def test_cancel_pauses_fails_and_completes(build: Build) -> None:
    """A run that is running goes on; one that is queued fails."""
    workshop = build("flush")
    workshop.post()
    scheduler_start(workshop.engine)
    assert Response(200, "backfill 1") == cancel(workshop.engine, 1, NOW)
    assert [(1, "2026-01-01 00:00:00.000000")] == workshop.rows("SELECT is_paused, completed_at FROM backfill")
    assert [("running",), ("failed",)] == workshop.rows("SELECT state FROM dag_run ORDER BY id")


def test_cancel_answers_404_and_409(build: Build) -> None:
    """There must be a backfill, and it must not be complete."""
    workshop = build("flush")
    workshop.post()
    assert cancel(workshop.engine, 2, NOW).status == 404
    cancel(workshop.engine, 1, NOW)
    assert cancel(workshop.engine, 1, NOW).status == 409
