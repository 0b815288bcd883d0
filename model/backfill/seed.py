"""The rows that are there before any request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from model.backfill.schema import Dag, DagRun, RunState, RunType, SerializedDag, TaskInstance


def seed(
    engine: Engine,
    dag_id: str,
    *,
    history: Iterable[datetime] = (),
    state: RunState = RunState.SUCCESS,
    task_ids: Sequence[str] = ("task",),
    schedule: str | None = "@daily",
    allowed_run_types: Sequence[str] | None = None,
    depends_on_past: bool = False,
) -> None:
    """Write a workflow, and runs that its scheduler created before.

    Args:
        engine: reaches the database.
        dag_id: the workflow.
        history: the logical dates that have a run.
        state: the state of these runs and of their tasks.
        task_ids: the workflow's tasks.
        schedule: its schedule, or None.
        allowed_run_types: the kinds of runs that it allows, or None for all.
        depends_on_past: whether its tasks depend on the run before.
    """
    with Session(engine) as session, session.begin():
        session.add(
            Dag(
                dag_id=dag_id,
                schedule=schedule,
                allowed_run_types=None if allowed_run_types is None else list(allowed_run_types),
                bundle_version="v1",
            )
        )
        session.flush()
        session.add(
            SerializedDag(dag_id=dag_id, task_ids=list(task_ids), params={"size": 1}, depends_on_past=depends_on_past)
        )
        session.flush()
        for date in history:
            run = _scheduled_run(dag_id, date, state)
            session.add(run)
            session.flush()
            session.add_all(
                TaskInstance(dag_id=dag_id, task_id=task_id, run_id=run.run_id, state=state) for task_id in task_ids
            )


def _scheduled_run(dag_id: str, date: datetime, state: RunState) -> DagRun:
    return DagRun(
        dag_id=dag_id,
        run_id=f"{RunType.SCHEDULED}__{date.isoformat()}",
        logical_date=date,
        start_date=date,
        state=state,
        run_type=RunType.SCHEDULED,
        conf={},
    )
