"""Single moments at which a rival process gets in: what each algorithm then does."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from attrs import evolve
from sqlalchemy import create_engine

from model.backfill import Response, post
from tests.model.workshop import FIRST, Build, Workshop

COMMIT_SOMETHING = "UPDATE dag SET bundle_version = 'v2'"
ACTIVE_BACKFILL = (
    "INSERT INTO backfill (dag_id, from_date, to_date, dag_run_conf, reprocess_behavior, max_active_runs, "
    "created_at, updated_at, triggering_user_name) "
    "VALUES ('etl', '2020-01-01 00:00:00.000000', '2020-01-02 00:00:00.000000', '{}', 'none', 1, "
    "'2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000', 'rival')"
)


def rival_between_read_and_insert_of_the_second_date(workshop: Workshop, **changes: object) -> Response:
    """Make SQLite refuse the INSERT at once: what its transaction has read is no longer the newest."""
    workshop.before("INSERT INTO dag_run ", lambda: workshop.rival(COMMIT_SOMETHING), nth=2)
    return workshop.post(**changes)


def test_shipped_3_2_2_leaves_a_part_of_a_backfill_that_blocks_every_later_request(build: Build) -> None:
    """The bug report: 500, but the rows of the first savepoint are committed."""
    workshop = build("shipped-3.2.2")
    assert Response(500, "OperationalError: database is locked") == (
        rival_between_read_and_insert_of_the_second_date(workshop)
    )
    assert [(1, None)] == workshop.rows("SELECT id, completed_at FROM backfill")
    assert 1 == workshop.count("backfill_dag_run")
    assert 1 == workshop.count("dag_run")
    assert workshop.post().status == 409


def test_shipped_3_3_2_cleans_up_and_answers_503(build: Build) -> None:
    """Nothing is left, and the next request succeeds."""
    workshop = build("shipped-3.3.2")
    assert rival_between_read_and_insert_of_the_second_date(workshop).status == 503
    assert [0, 0, 0] == [workshop.count(table) for table in ("backfill", "backfill_dag_run", "dag_run")]
    assert workshop.post().status == 201


def test_shipped_3_3_2_cleans_up_a_run_that_it_had_only_taken_over(build: Build) -> None:
    """The clean-up deletes what the backfill owns, and it owns a historic run by then."""
    workshop = build("shipped-3.3.2", history=[FIRST])
    workshop.before("INSERT INTO dag_run ", lambda: workshop.rival(COMMIT_SOMETHING))
    assert workshop.post(reprocess="completed").status == 503
    assert 0 == workshop.count("dag_run")


def test_shipped_3_3_2_answers_503_to_a_lock_before_the_loop_too(build: Build) -> None:
    """The route decides on the status, wherever the lock was met."""
    workshop = build("shipped-3.3.2", mode="begin")
    workshop.before("INSERT INTO backfill ", lambda: workshop.rival(COMMIT_SOMETHING))
    assert workshop.post().status == 503


def test_shipped_3_3_2_swallows_what_its_clean_up_raises(build: Build) -> None:
    """The request's own error is reported, and the rows stay."""
    workshop = build("shipped-3.3.2")

    def fail() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    workshop.before("DELETE FROM dag_run", fail)
    assert Response(503, "OperationalError: database is locked") == (
        rival_between_read_and_insert_of_the_second_date(workshop)
    )
    assert [1, 1, 1] == [workshop.count(table) for table in ("backfill", "backfill_dag_run", "dag_run")]


def test_staged_deletes_its_own_rows(build: Build) -> None:
    """Nothing is left of a request that failed."""
    workshop = build("staged")
    assert rival_between_read_and_insert_of_the_second_date(workshop).status == 500
    assert [0, 0, 0] == [workshop.count(table) for table in ("backfill", "backfill_dag_run", "dag_run")]


def test_staged_keeps_a_run_that_it_had_only_taken_over(build: Build) -> None:
    """It is not deleted, but what it was before is lost."""
    workshop = build("staged", history=[FIRST])
    workshop.before("INSERT INTO dag_run ", lambda: workshop.rival(COMMIT_SOMETHING))
    assert workshop.post(reprocess="completed").status == 500
    assert [("queued", None)] == workshop.rows("SELECT state, backfill_id FROM dag_run")
    assert 0 == workshop.count("backfill")


@pytest.mark.parametrize(("minutes", "left"), [(1, 1), (3, 0)])
def test_staged_heeds_no_unfinished_backfill_and_reclaims_a_stale_one(build: Build, minutes: int, left: int) -> None:
    """A request gets 201 in spite of it, and deletes it when it is over two minutes old."""
    workshop = build("staged")
    created = f"2025-12-31 23:{60 - minutes}:00.000000"
    workshop.rival(ACTIVE_BACKFILL, f"UPDATE backfill SET created_at = '{created}'")
    assert workshop.post().status == 201
    assert left == workshop.count("backfill WHERE triggering_user_name = 'rival'")
    assert 1 == workshop.count("backfill WHERE initialized_at IS NOT NULL")


@pytest.mark.parametrize(
    ("name", "status", "active"),
    [("shipped-3.2.2", 201, 2), ("flush", 201, 2), ("bulk", 201, 2), ("unique-index", 409, 1)],
)
def test_a_rival_that_gets_in_after_the_guard(build: Build, name: str, status: int, active: int) -> None:
    """Only the index keeps it to one active backfill."""
    workshop = build(name)
    workshop.before("INSERT INTO backfill ", lambda: workshop.rival(ACTIVE_BACKFILL))
    assert status == workshop.post().status
    assert active == workshop.count("backfill WHERE completed_at IS NULL")


def test_immediate_lets_no_rival_write_after_the_guard(build: Build, mode: str) -> None:
    """Under every transaction mode, the lock is held from the first statement to the COMMIT."""
    workshop = build("immediate", mode=mode)

    def rival() -> None:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            workshop.rival(ACTIVE_BACKFILL)
        refused.append(True)

    refused: list[bool] = []
    workshop.before("SELECT count(*)", rival)
    workshop.before("INSERT INTO backfill ", rival)
    assert workshop.post().status == 201
    assert [True, True] == refused


def test_flush_is_one_transaction_from_its_first_insert(build: Build) -> None:
    """Nothing is committed while the loop runs, and nothing stays when it fails."""
    workshop = build("flush")
    seen: list[int] = []

    def look() -> None:
        connection = sqlite3.connect(workshop.path)
        seen.extend(connection.execute("SELECT count(*) FROM backfill").fetchone())
        connection.close()
        raise sqlite3.OperationalError("database is locked")

    workshop.before("INSERT INTO dag_run ", look, nth=2)
    assert workshop.post().status == 500
    assert [0] == seen
    assert 0 == workshop.count("backfill")
    assert 0 == workshop.count("dag_run")


def test_the_cursor_of_select_for_update_is_open_until_after_the_release(build: Build) -> None:
    """It is never read, and dropped only when the function returns."""
    workshop = build("shipped-3.2.2", history=[FIRST])
    story: list[str] = []

    class Cursor(sqlite3.Cursor):
        sql = ""
        closed = False

        def execute(self, sql: str, *parameters: Any) -> Cursor:
            self.sql = sql
            if sql.startswith(("SAVEPOINT", "RELEASE")):
                story.append(sql)
            return super().execute(sql, *parameters)

        def close(self) -> None:
            self.closed = True
            super().close()

        def __del__(self) -> None:
            if not self.closed:
                story.append(f"dropped {self.sql.split()[0]}")

    class Connection(sqlite3.Connection):
        def cursor(self, *factory: Any) -> Any:
            return super().cursor(Cursor)

    engine = create_engine(f"sqlite:///{workshop.path}", connect_args={"factory": Connection})
    assert post(engine, workshop.algorithm, evolve(workshop.request, reprocess="completed")).status == 201
    engine.dispose()
    assert [
        "SAVEPOINT sa_savepoint_1",
        "RELEASE SAVEPOINT sa_savepoint_1",
        "dropped SELECT",
        "SAVEPOINT sa_savepoint_2",
        "RELEASE SAVEPOINT sa_savepoint_2",
    ] == story
