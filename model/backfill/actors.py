"""The other actors on the same tables: the scheduler, a user who cancels, a task that finishes.

As in Apache Airflow 3.2.2 (``airflow/jobs/scheduler_job_runner.py``, ``airflow/models/dagrun.py`` and the
cancel route). Each is one call on an engine, and may be a client of its own.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus

from sqlalchemy import ColumnElement, Engine, exists, func, or_, select, update
from sqlalchemy.orm import Session

from model.backfill.guard import EVERY_BACKFILL
from model.backfill.route import Response
from model.backfill.schema import UNFINISHED, Backfill, BackfillDagRun, DagRun, RunState, TaskInstance
from model.backfill.session import unit_of_work

SET_UP_WITHIN = timedelta(minutes=2)
"""For how long the scheduler takes a backfill without any dates for one that is being created."""


def scheduler_start(engine: Engine, heeded: ColumnElement[bool] = EVERY_BACKFILL) -> list[int]:
    """Start queued runs of backfills that are not paused, while their limits allow.

    Args:
        engine: reaches the database.
        heeded: which backfills the scheduler knows of.

    Returns:
        The ids of the runs that are running now, in the order of their dates' ordinals.
    """
    with unit_of_work(engine) as session:
        queued = (
            select(DagRun, Backfill)
            .join(
                BackfillDagRun,
                (BackfillDagRun.dag_run_id == DagRun.id) & (BackfillDagRun.backfill_id == DagRun.backfill_id),
            )
            .join(Backfill, Backfill.id == DagRun.backfill_id)
            .where(DagRun.state == RunState.QUEUED, Backfill.is_paused.is_not(True), heeded)
            .order_by(BackfillDagRun.sort_ordinal, DagRun.id)
        )
        started: list[int] = []
        running = _count_running(session)
        for run, backfill in session.execute(queued).all():
            limit = (run.dag_id, backfill.id)
            if running.get(limit, 0) < backfill.max_active_runs:
                run.state = RunState.RUNNING
                running[limit] = running.get(limit, 0) + 1
                started.append(run.id)
        return started


def scheduler(
    engine: Engine, now: datetime, heeded: ColumnElement[bool] = EVERY_BACKFILL
) -> tuple[list[int], list[int]]:
    """Go round once: start the runs that may start, then complete the backfills that are done.

    Args:
        engine: reaches the database.
        now: the time.
        heeded: which backfills the scheduler knows of.

    Returns:
        The ids of the runs that it started, and of the backfills that it completed.
    """
    return scheduler_start(engine, heeded), scheduler_complete(engine, now, heeded)


def _count_running(session: Session) -> dict[tuple[str, int | None], int]:
    counts = session.execute(
        select(DagRun.dag_id, DagRun.backfill_id, func.count(DagRun.id))
        .where(DagRun.state == RunState.RUNNING)
        .group_by(DagRun.dag_id, DagRun.backfill_id)
    ).all()
    return {(dag_id, backfill_id): count for dag_id, backfill_id, count in counts}


def scheduler_complete(engine: Engine, now: datetime, heeded: ColumnElement[bool] = EVERY_BACKFILL) -> list[int]:
    """Complete the active backfills that have dates, or are old, and have no unfinished run.

    Args:
        engine: reaches the database.
        now: the time.
        heeded: which backfills the scheduler knows of.

    Returns:
        The ids of the backfills that are complete now.
    """
    with unit_of_work(engine) as session:
        backfills = session.scalars(
            select(Backfill)
            .where(
                Backfill.completed_at.is_(None),
                heeded,
                or_(
                    exists().where(BackfillDagRun.backfill_id == Backfill.id),
                    Backfill.created_at < now - SET_UP_WITHIN,
                ),
                ~exists().where(DagRun.backfill_id == Backfill.id, DagRun.state.in_(UNFINISHED)),
            )
            .order_by(Backfill.id)
        ).all()
        for backfill in backfills:
            backfill.completed_at = now
        return [backfill.id for backfill in backfills]


def cancel(engine: Engine, backfill_id: int, now: datetime, heeded: ColumnElement[bool] = EVERY_BACKFILL) -> Response:
    """Cancel a backfill, in three transactions: pause it, fail its queued runs, complete it.

    Args:
        engine: reaches the database.
        backfill_id: the number of the backfill.
        now: the time.
        heeded: which backfills the user can see.

    Returns:
        200; 404 if there is no such backfill; 409 if it is complete.
    """
    with unit_of_work(engine) as session:
        backfill = session.scalars(select(Backfill).where(Backfill.id == backfill_id, heeded)).one_or_none()
        if backfill is None:
            return Response(HTTPStatus.NOT_FOUND, f"backfill {backfill_id} is not there")
        if backfill.completed_at is not None:
            return Response(HTTPStatus.CONFLICT, f"backfill {backfill_id} is complete")
        if not backfill.is_paused:
            backfill.is_paused = True
            session.commit()
        runs = select(BackfillDagRun.dag_run_id).where(BackfillDagRun.backfill_id == backfill_id)
        session.execute(
            update(DagRun)
            .where(DagRun.id.in_(runs), DagRun.state == RunState.QUEUED)
            .values(state=RunState.FAILED)
            .execution_options(synchronize_session=False)
        )
        session.commit()
        session.refresh(backfill)
        backfill.completed_at = now
        return Response(HTTPStatus.OK, f"backfill {backfill_id}")


def task_finish(engine: Engine, run_id: int, state: RunState = RunState.SUCCESS) -> bool:
    """Finish the tasks of a running run, and with them the run.

    Args:
        engine: reaches the database.
        run_id: the number of the run.
        state: how its tasks end.

    Returns:
        Whether the run was running.
    """
    with unit_of_work(engine) as session:
        return _finish(session, session.get(DagRun, run_id), state) is not None


def task_finish_first(engine: Engine, state: RunState = RunState.SUCCESS) -> int | None:
    """Finish the tasks of the first run that is running, and with them the run.

    Args:
        engine: reaches the database.
        state: how its tasks end.

    Returns:
        The id of the run, or None if none is running.
    """
    with unit_of_work(engine) as session:
        running = select(DagRun).where(DagRun.state == RunState.RUNNING).order_by(DagRun.id).limit(1)
        return _finish(session, session.scalar(running), state)


def _finish(session: Session, run: DagRun | None, state: RunState) -> int | None:
    if run is None or run.state is not RunState.RUNNING:
        return None
    for task in session.scalars(select(TaskInstance).filter_by(dag_id=run.dag_id, run_id=run.run_id)).all():
        task.state = state
    run.state = state
    return run.id


def work_off(engine: Engine, now: datetime, heeded: ColumnElement[bool] = EVERY_BACKFILL) -> list[int]:
    """Let the scheduler and the tasks go on, alone, until nothing is left to start.

    Args:
        engine: reaches the database.
        now: the time at which the scheduler then looks for what is complete.
        heeded: which backfills the scheduler knows of.

    Returns:
        The ids of the backfills that are complete now.
    """
    while started := scheduler_start(engine, heeded):
        for run_id in started:
            task_finish(engine, run_id)
    return scheduler_complete(engine, now, heeded)
