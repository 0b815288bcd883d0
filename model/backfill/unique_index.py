"""Create-backfill as in ``flush``, with one active backfill for each workflow as a rule of the schema.

The INSERT of a second one fails. The route answers 409 to that, as it does to the guard.
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
        IntegrityError: a backfill of this workflow is active.
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


ALGORITHM = Algorithm(
    "unique-index",
    create_backfill,
    migration=("CREATE UNIQUE INDEX one_active_backfill ON backfill (dag_id) WHERE completed_at IS NULL",),
)
