"""Create-backfill with a flush where 3.2.2 commits early (apache/airflow PRs #68125 and #68705).

The INSERT of the backfill opens a transaction, and everything after it is in that one.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from model.backfill.algorithm import Algorithm
from model.backfill.dates import dates_of
from model.backfill.guard import find_dag, refuse_second_backfill, reread_dag, validate
from model.backfill.request import Request
from model.backfill.rows import new_backfill
from model.backfill.runs import create_runs
from model.backfill.schema import Backfill


def create_backfill(session: Session, request: Request) -> Backfill:
    """Write a backfill and its runs.

    Raises:
        BackfillError: the request is refused.
        RuntimeError: the range has no dates.
    """
    dag = find_dag(session, request.dag_id)
    refuse_second_backfill(session, request.dag_id)
    validate(dag, request)
    backfill = new_backfill(request)
    session.add(backfill)
    session.flush()
    reread_dag(session, request.dag_id)
    dates = dates_of(request)
    if not dates:
        raise RuntimeError(f"dag {request.dag_id!r} has no runs to create")
    create_runs(session, dag, backfill, dates, request)
    return backfill


ALGORITHM = Algorithm("flush", create_backfill)
