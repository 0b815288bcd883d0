"""Create-backfill in stages: nobody heeds a backfill before its last statement (apache/airflow #64534).

::

    INSERT backfill   one date at a time   UPDATE initialized_at
    ├──────────────── not heeded ─────────┤├──── heeded ────

The early commit is kept. The guard and the scheduler ignore a backfill whose ``initialized_at`` is NULL. A
request that fails deletes its own rows. If it cannot, a later request does, once they are stale.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import column, delete, literal_column, select, table, update
from sqlalchemy.orm import Session

from model.backfill.algorithm import Algorithm
from model.backfill.dates import dates_of
from model.backfill.guard import find_dag, refuse_second_backfill, reread_dag, validate
from model.backfill.request import Request
from model.backfill.rows import new_backfill
from model.backfill.runs import create_runs
from model.backfill.schema import Backfill, BackfillDagRun, DagRun, UtcDateTime

MIGRATED = table("backfill", column("id"), column("initialized_at", UtcDateTime()))
"""What this algorithm writes of the migrated table."""

INITIALIZED = literal_column("backfill.initialized_at").is_not(None)
"""The condition under which a backfill is heeded."""

STALE_AFTER = timedelta(minutes=2)
"""How old a backfill without ``initialized_at`` is when its request is taken for dead."""


def create_backfill(session: Session, request: Request) -> Backfill:
    """Write a backfill and its runs.

    Raises:
        BackfillError: the request is refused.
        RuntimeError: the range has no dates.
    """
    dag = find_dag(session, request.dag_id)
    refuse_second_backfill(session, request.dag_id, INITIALIZED)
    validate(dag, request)
    dates = dates_of(request)
    if not dates:
        raise RuntimeError(f"dag {request.dag_id!r} has no runs to create")
    reclaim_stale(session, request)
    backfill = new_backfill(request)
    session.add(backfill)
    session.commit()
    backfill_id = backfill.id
    try:
        reread_dag(session, request.dag_id)
        create_runs(session, dag, backfill, dates, request)
        session.flush()
        initialize(session, backfill_id, request.now)
        session.commit()
    except Exception:
        session.rollback()
        discard(session, backfill_id)
        session.commit()
        raise
    return backfill


def initialize(session: Session, backfill_id: int, now: datetime) -> None:
    """Make a backfill one that is heeded."""
    session.execute(update(MIGRATED).where(MIGRATED.c.id == backfill_id).values(initialized_at=now))


def reclaim_stale(session: Session, request: Request) -> None:
    """Delete what requests for the same workflow left behind when they died."""
    stale = select(Backfill.id).where(
        Backfill.dag_id == request.dag_id, ~INITIALIZED, Backfill.created_at < request.now - STALE_AFTER
    )
    for backfill_id in session.scalars(stale).all():
        discard(session, backfill_id)


def discard(session: Session, backfill_id: int) -> None:
    """Delete a backfill and the runs that it created; runs that it took over stay, without an owner."""
    owned = DagRun.backfill_id == backfill_id
    session.execute(update(DagRun).where(owned, DagRun.clear_number > 0).values(backfill_id=None))
    session.execute(delete(BackfillDagRun).where(BackfillDagRun.backfill_id == backfill_id))
    session.execute(delete(DagRun).where(owned))
    session.execute(delete(Backfill).where(Backfill.id == backfill_id))


ALGORITHM = Algorithm(
    "staged",
    create_backfill,
    migration=("ALTER TABLE backfill ADD COLUMN initialized_at DATETIME",),
    heeded=INITIALIZED,
)
