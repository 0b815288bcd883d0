"""Create-backfill without savepoints: one look at the existing runs, then multi-row INSERTs, one transaction.

A run that another request creates in between breaks a unique constraint, and with it the whole request: 409.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from model.backfill.algorithm import Algorithm
from model.backfill.dates import dates_of
from model.backfill.guard import find_dag, refuse_second_backfill, reread_dag, validate
from model.backfill.request import Request
from model.backfill.rows import new_backfill, new_run, new_tasks
from model.backfill.runs import reason_to_skip, take_over
from model.backfill.schema import Backfill, BackfillDagRun, DagRun


def create_backfill(session: Session, request: Request) -> Backfill:
    """Write a backfill and its runs.

    Raises:
        BackfillError: the request is refused.
        RuntimeError: the range has no dates.
        IntegrityError: another request has created one of the runs.
    """
    dag = find_dag(session, request.dag_id)
    refuse_second_backfill(session, request.dag_id)
    validate(dag, request)
    dates = dates_of(request)
    if not dates:
        raise RuntimeError(f"dag {request.dag_id!r} has no runs to create")
    query = select(DagRun).where(DagRun.dag_id == request.dag_id, DagRun.logical_date.in_(dates))
    existing = {run.logical_date: run for run in session.scalars(query).all()}
    backfill = new_backfill(request)
    session.add(backfill)
    session.flush()
    bundle_version = reread_dag(session, request.dag_id).bundle_version
    created = {date: new_run(backfill, date, request, dag, bundle_version) for date in dates if date not in existing}
    session.add_all(created.values())
    session.flush()
    session.add_all(task for run in created.values() for task in new_tasks(run, dag))
    for ordinal, date in enumerate(dates, start=1):
        dated = BackfillDagRun(backfill_id=backfill.id, logical_date=date, sort_ordinal=ordinal)
        session.add(dated)
        if date in created:
            dated.dag_run_id = created[date].id
            continue
        run = existing[date]
        dated.exception_reason = reason_to_skip(run, request.reprocess)
        if dated.exception_reason is None:
            dated.dag_run_id = run.id
            take_over(session, run, backfill, request)
    return backfill


ALGORITHM = Algorithm("bulk", create_backfill)
