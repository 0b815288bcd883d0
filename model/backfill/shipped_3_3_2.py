"""Create-backfill as shipped in Apache Airflow 3.3.2 (apache/airflow PRs #67900 and #68883).

The early commit is kept. The dates are computed before it, and when the loop finds the database locked, the
rows of the request are deleted again, as far as that succeeds.
"""

from __future__ import annotations

from http import HTTPStatus

from sqlalchemy import delete
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from model.backfill.algorithm import Algorithm
from model.backfill.dates import dates_of
from model.backfill.errors import NoRunsError
from model.backfill.guard import find_dag, refuse_second_backfill, reread_dag, validate
from model.backfill.request import Request
from model.backfill.rows import new_backfill
from model.backfill.runs import create_runs
from model.backfill.schema import Backfill, BackfillDagRun, DagRun


def create_backfill(session: Session, request: Request) -> Backfill:
    """Write a backfill and its runs.

    Raises:
        BackfillError: the request is refused.
    """
    dag = find_dag(session, request.dag_id)
    refuse_second_backfill(session, request.dag_id)
    validate(dag, request)
    dates = dates_of(request)
    if not dates:
        raise NoRunsError(f"dag {request.dag_id!r} has no runs to create")
    backfill = new_backfill(request)
    session.add(backfill)
    session.commit()
    reread_dag(session, request.dag_id)
    try:
        create_runs(session, dag, backfill, dates, request)
    except OperationalError as error:
        if "database is locked" in str(error.orig).lower():
            clean_up(session, backfill)
        raise
    return backfill


def clean_up(session: Session, backfill: Backfill) -> None:
    """Delete a backfill with all runs that it owns now; give up silently if that fails."""
    try:
        session.rollback()
        session.execute(delete(BackfillDagRun).where(BackfillDagRun.backfill_id == backfill.id))
        session.execute(delete(DagRun).where(DagRun.backfill_id == backfill.id))
        session.delete(backfill)
        session.commit()
    except Exception:  # noqa: BLE001  # so it was shipped: the error that led here is the one to report
        session.rollback()


ALGORITHM = Algorithm("shipped-3.3.2", create_backfill, locked_status=HTTPStatus.SERVICE_UNAVAILABLE)
