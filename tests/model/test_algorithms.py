"""Every algorithm, one request at a time: what all of them have in common."""

from __future__ import annotations

import inspect

import pytest

from model.backfill import INTERVAL, NOW, Reprocess, RunState, flush, shipped_3_2_2
from tests.model.workshop import FIRST, Build

DAY_1, DAY_2 = "2020-01-01 00:00:00.000000", "2020-01-02 00:00:00.000000"


def test_a_request_alone_creates_a_run_for_every_date(build: Build, name: str, mode: str) -> None:
    """It gets 201, and each date has a queued run with its tasks."""
    workshop = build(name, mode=mode, task_ids=["extract", "load"])
    assert workshop.post().status == 201
    assert [("A", None, 1)] == workshop.rows("SELECT triggering_user_name, completed_at, max_active_runs FROM backfill")
    assert [(DAY_1, 1, None, "queued", 1), (DAY_2, 2, None, "queued", 1)] == workshop.rows(
        "SELECT bdr.logical_date, sort_ordinal, exception_reason, state, run.backfill_id "
        "FROM backfill_dag_run bdr JOIN dag_run run ON run.id = dag_run_id ORDER BY sort_ordinal"
    )
    # 2 dates x 2 tasks = 4
    assert 4 == workshop.count("task_instance WHERE state IS NULL")


def test_all_algorithms_write_the_same_rows(build: Build, name: str) -> None:
    """Without rivals, the algorithms differ in nothing that is left in the tables."""

    def story(name: str) -> list[list[tuple[object, ...]]]:
        workshop = build(name, history=[FIRST], state=RunState.FAILED)
        assert workshop.post(reprocess="failed").status == 201
        tables = ("dag_run", "backfill_dag_run", "task_instance")
        return [workshop.rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables]

    assert story("shipped-3.2.2") == story(name)


def test_a_second_request_gets_a_conflict_and_writes_nothing(build: Build, name: str) -> None:
    """The guard sees the first one."""
    workshop = build(name)
    workshop.post()
    assert workshop.post(user="B").status == 409
    assert 1 == workshop.count("backfill")
    assert 2 == workshop.count("dag_run")


def test_a_request_after_a_completed_backfill_gets_dates_that_exist_already(build: Build, name: str) -> None:
    """It gets 201, but no runs of its own."""
    workshop = build(name)
    workshop.post()
    workshop.rival("UPDATE dag_run SET state = 'success'", f"UPDATE backfill SET completed_at = '{DAY_1}'")
    assert workshop.post(user="B").status == 201
    assert [(2, None, "already exists")] * 2 == workshop.rows(
        "SELECT backfill_id, dag_run_id, exception_reason FROM backfill_dag_run WHERE backfill_id = 2"
    )
    assert 2 == workshop.count("dag_run")


def test_reverse_numbers_the_latest_date_first(build: Build, name: str) -> None:
    """The ordinals count down the calendar."""
    workshop = build(name)
    workshop.post(reverse=True)
    assert [(DAY_2,), (DAY_1,)] == workshop.rows("SELECT logical_date FROM backfill_dag_run ORDER BY sort_ordinal")


def test_a_date_counts_when_its_interval_is_over(build: Build, name: str) -> None:
    """Yesterday's interval ends now, and now is not yet over."""
    workshop = build(name)
    workshop.post(from_date=NOW - INTERVAL * 2, to_date=NOW - INTERVAL)
    assert [("2025-12-30 00:00:00.000000",)] == workshop.rows("SELECT logical_date FROM backfill_dag_run")


@pytest.mark.parametrize(
    ("status", "dag", "changes"),
    [
        (404, {}, {"dag_id": "other"}),
        (400, {"allowed_run_types": ["scheduled"]}, {}),
        (422, {"schedule": None}, {}),
        (422, {"depends_on_past": True}, {"reprocess": Reprocess.FAILED, "reverse": True}),
        (422, {"depends_on_past": True}, {}),
        (422, {}, {"from_date": NOW, "to_date": NOW + INTERVAL}),
        (422, {}, {"conf": {"size": "large"}}),
    ],
    ids=["dag", "run type", "schedule", "direction", "reprocess", "future", "conf"],
)
def test_a_request_that_is_refused_writes_nothing(
    build: Build, name: str, status: int, dag: dict[str, object], changes: dict[str, object]
) -> None:
    """Each reason has its status."""
    workshop = build(name, **dag)
    assert status == workshop.post(**changes).status
    assert 0 == workshop.count("backfill")


@pytest.mark.parametrize(
    ("status", "orphans", "named"),
    [
        (500, 1, ["shipped-3.2.2"]),
        (422, 0, ["shipped-3.3.2"]),
        (500, 0, ["flush", "immediate", "unique-index", "staged", "bulk"]),
    ],
)
def test_a_range_without_dates(build: Build, status: int, orphans: int, named: list[str]) -> None:
    """Only the algorithm that commits before it computes the dates leaves a backfill behind."""
    for name in named:
        workshop = build(name)
        assert status == workshop.post(from_date=NOW - INTERVAL, to_date=NOW).status, name
        assert orphans == workshop.count("backfill"), name


@pytest.mark.parametrize(
    ("state", "reprocess", "reason"),
    [
        ("success", "none", "already exists"),
        ("success", "failed", "already exists"),
        ("success", "completed", None),
        ("failed", "none", "already exists"),
        ("failed", "failed", None),
        ("failed", "completed", None),
        ("running", "completed", "in flight"),
        ("queued", "none", "in flight"),
    ],
)
def test_a_run_that_exists(build: Build, name: str, state: str, reprocess: str, reason: str | None) -> None:
    """It is left alone, with the reason; or it is queued again with its tasks, and changes its owner."""
    workshop = build(name, history=[FIRST], state=RunState(state))
    assert workshop.post(to_date=FIRST, reprocess=reprocess, conf={"size": 2}).status == 201
    taken = reason is None
    assert [(1 if taken else None, reason)] == workshop.rows(
        "SELECT dag_run_id, exception_reason FROM backfill_dag_run"
    )
    run = ("queued", "backfill", 1, 1, '{"size": 2}') if taken else (state, "scheduled", None, 0, "{}")
    assert [run] == workshop.rows("SELECT state, run_type, backfill_id, clear_number, conf FROM dag_run")
    assert [(None if taken else state,)] == workshop.rows("SELECT state FROM task_instance")


def test_a_run_id_that_is_taken_counts_as_a_run_in_flight(build: Build, name: str) -> None:
    """The first date is rolled back to its savepoint; without savepoints, the whole request is refused."""
    workshop = build(name)
    workshop.rival(
        "INSERT INTO dag_run (dag_id, run_id, logical_date, state, run_type, conf, clear_number) "
        "VALUES ('etl', 'backfill__2020-01-01T00:00:00+00:00', '2019-01-01 00:00:00.000000', 'success', "
        "'scheduled', '{}', 0)"
    )
    if name == "bulk":
        assert workshop.post().status == 409
        assert 0 == workshop.count("backfill")
        return
    assert workshop.post().status == 201
    assert [(DAY_1, None, "in flight"), (DAY_2, 2, None)] == workshop.rows(
        "SELECT logical_date, dag_run_id, exception_reason FROM backfill_dag_run ORDER BY sort_ordinal"
    )


def test_the_audit_log_is_written_even_if_the_request_is_refused(build: Build, name: str) -> None:
    """It is a transaction of its own."""
    workshop = build(name)
    assert workshop.post(dag_id="other", log=True).status == 404
    assert [("create_backfill", "other", "A")] == workshop.rows("SELECT event, dag_id, owner FROM log")


def test_the_flush_fix_is_one_line() -> None:
    """Buggy and fixed stand side by side, and a diff shows just the fix."""
    shipped = inspect.getsource(shipped_3_2_2.create_backfill).splitlines()
    fixed = inspect.getsource(flush.create_backfill).splitlines()
    assert [("    session.commit()", "    session.flush()")] == [
        (before, after) for before, after in zip(shipped, fixed, strict=True) if before != after
    ]
