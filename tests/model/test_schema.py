"""The constraints that the algorithms rely on, enforced by SQLite under every transaction mode."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from model.backfill.schema import BackfillDagRun
from tests.model.workshop import Build


def test_deleting_a_run_keeps_its_date_and_deletes_its_tasks(build: Build, mode: str) -> None:
    """SET NULL for the one, CASCADE for the others."""
    workshop = build("shipped-3.2.2", mode=mode)
    workshop.post()
    with workshop.engine.begin() as connection:
        connection.execute(text("DELETE FROM dag_run WHERE id = 1"))
    assert [(None,), (2,)] == workshop.rows("SELECT dag_run_id FROM backfill_dag_run ORDER BY sort_ordinal")
    assert 1 == workshop.count("task_instance")


def test_deleting_a_backfill_needs_its_runs_gone_and_deletes_its_dates(build: Build, mode: str) -> None:
    """The runs' foreign key restricts; the dates' cascades."""
    workshop = build("shipped-3.2.2", mode=mode)
    workshop.post()
    with workshop.engine.connect() as connection:
        with pytest.raises(IntegrityError, match="FOREIGN KEY"):
            connection.execute(text("DELETE FROM backfill"))
        connection.rollback()
    with workshop.engine.begin() as connection:
        connection.execute(text("UPDATE dag_run SET backfill_id = NULL"))
        connection.execute(text("DELETE FROM backfill"))
    assert 0 == workshop.count("backfill_dag_run")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE dag_run SET run_id = 'same'",
        "UPDATE dag_run SET logical_date = 'same'",
        "UPDATE backfill_dag_run SET dag_run_id = 1",
    ],
)
def test_what_is_unique(build: Build, change: str) -> None:
    """Run ids and dates of a workflow, and runs of a backfill."""
    workshop = build("shipped-3.2.2", task_ids=[])
    workshop.post()
    with workshop.engine.connect() as connection, pytest.raises(IntegrityError, match="UNIQUE"):
        connection.execute(text(change))


def test_dates_are_counted_from_one() -> None:
    """There is no date number 0."""
    with pytest.raises(ValueError, match="1 or more"):
        BackfillDagRun(sort_ordinal=0)
