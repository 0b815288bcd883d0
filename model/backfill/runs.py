"""The runs of a backfill, one savepoint for each date.

What happens inside one savepoint::

    SELECT the run of this date
    ├── it exists, and may not run again   INSERT the date with the reason
    ├── it exists, and may run again       clear it, take it over, INSERT the date with it
    └── it does not exist                  INSERT the run and its tasks, INSERT the date with it
        └── IntegrityError                 ROLLBACK TO, then INSERT the date as 'in flight'

The statements and their order are those of Apache Airflow 3.2.2 (``airflow/models/backfill.py``). The session
writes pending rows only when it must: before the next SAVEPOINT, before the RELEASE, and before the COMMIT.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Select, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from model.backfill.guard import latest_definition
from model.backfill.request import Request
from model.backfill.rows import new_run, new_tasks
from model.backfill.schema import (
    UNFINISHED,
    Backfill,
    BackfillDagRun,
    Dag,
    DagRun,
    Reason,
    Reprocess,
    RunState,
    RunType,
    SerializedDag,
    TaskInstance,
)


def create_runs(
    session: Session, dag: SerializedDag, backfill: Backfill, dates: Iterable[datetime], request: Request
) -> None:
    """Give each date of a backfill its row, and a run where one may be had."""
    for ordinal, date in enumerate(dates, start=1):
        row = BackfillDagRun(backfill_id=backfill.id, logical_date=date, sort_ordinal=ordinal)
        _create_run(session, dag, backfill, row, request)


def _create_run(
    session: Session, dag: SerializedDag, backfill: Backfill, row: BackfillDagRun, request: Request
) -> None:
    with session.begin_nested() as savepoint:
        run = session.scalar(latest_run(dag.dag_id, row.logical_date))
        if run is not None:
            row.exception_reason = reason_to_skip(run, request.reprocess)
            if row.exception_reason is None:
                # Nobody reads this result: its cursor is open until this function returns, after the RELEASE.
                _lock = session.execute(same_run(run).with_for_update(skip_locked=True))
                take_over(session, run, backfill, request)
                row.dag_run_id = run.id
            session.add(row)
            return
        try:
            run = _insert_run(session, dag, backfill, row.logical_date, request)
            row.dag_run_id = run.id
        except IntegrityError:
            savepoint.rollback()
            row.exception_reason = Reason.IN_FLIGHT
        session.add(row)


def latest_run(dag_id: str, date: datetime) -> Select[DagRun]:
    """Return the query for the newest run of a date."""
    return (
        select(DagRun)
        .where(DagRun.dag_id == dag_id, DagRun.logical_date == date)
        .order_by(DagRun.start_date.is_(None), DagRun.start_date.desc())
        .limit(1)
    )


def same_run(run: DagRun) -> Select[DagRun]:
    """Return the query for a run, by its date."""
    return select(DagRun).where(DagRun.logical_date == run.logical_date, DagRun.dag_id == run.dag_id)


def reason_to_skip(run: DagRun, reprocess: Reprocess) -> Reason | None:
    """Return why an existing run may not run again, or None if it may."""
    if run.state in UNFINISHED:
        return Reason.IN_FLIGHT
    if reprocess is Reprocess.NONE or (reprocess is Reprocess.FAILED and run.state is not RunState.FAILED):
        return Reason.ALREADY_EXISTS
    return None


def take_over(session: Session, run: DagRun, backfill: Backfill, request: Request) -> None:
    """Queue a finished run again, with its tasks, and make a backfill its owner."""
    for task in session.scalars(select(TaskInstance).filter_by(dag_id=run.dag_id, run_id=run.run_id)).all():
        task.state = None
    for cleared in session.scalars(select(DagRun).filter_by(dag_id=run.dag_id, run_id=run.run_id)).all():
        cleared.state = RunState.QUEUED
        cleared.start_date = None
        cleared.clear_number += 1
    session.flush()
    session.execute(
        update(DagRun)
        .where(DagRun.logical_date == run.logical_date, DagRun.dag_id == run.dag_id)
        .values(backfill_id=backfill.id, run_type=RunType.BACKFILL, conf=dict(request.conf))
    )


def _insert_run(session: Session, dag: SerializedDag, backfill: Backfill, date: datetime, request: Request) -> DagRun:
    bundle_version = session.scalar(select(Dag.bundle_version).where(Dag.dag_id == dag.dag_id))
    latest = session.scalars(latest_definition(dag.dag_id)).one()
    run = new_run(backfill, date, request, latest, bundle_version)
    session.add(run)
    session.flush()
    present = session.scalars(
        select(TaskInstance.task_id).where(TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
    ).all()
    session.add_all(task for task in new_tasks(run, dag) if task.task_id not in present)
    session.flush()
    return run
