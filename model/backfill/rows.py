"""New rows, not yet in any session."""

from __future__ import annotations

from datetime import datetime

from model.backfill.request import Request
from model.backfill.schema import Backfill, DagRun, RunState, RunType, SerializedDag, TaskInstance


def new_backfill(request: Request) -> Backfill:
    """Return the row of a request."""
    return Backfill(
        dag_id=request.dag_id,
        from_date=request.from_date,
        to_date=request.to_date,
        dag_run_conf=dict(request.conf),
        reprocess_behavior=request.reprocess,
        max_active_runs=request.max_active_runs,
        created_at=request.now,
        updated_at=request.now,
        triggering_user_name=request.user,
    )


def new_run(
    backfill: Backfill, date: datetime, request: Request, dag: SerializedDag, bundle_version: str | None
) -> DagRun:
    """Return a queued run of a backfill."""
    return DagRun(
        dag_id=request.dag_id,
        run_id=f"{RunType.BACKFILL}__{date.isoformat()}",
        logical_date=date,
        start_date=request.now,
        state=RunState.QUEUED,
        run_type=RunType.BACKFILL,
        conf=dict(request.conf),
        bundle_version=bundle_version,
        created_dag_version_id=dag.id,
        backfill_id=backfill.id,
        triggering_user_name=request.user,
    )


def new_tasks(run: DagRun, dag: SerializedDag) -> list[TaskInstance]:
    """Return the tasks of a run, not yet scheduled."""
    return [TaskInstance(dag_id=run.dag_id, task_id=task_id, run_id=run.run_id) for task_id in dag.task_ids]
