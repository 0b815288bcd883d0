"""What is looked at before anything is written: the workflow, other backfills, the request."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Select, func, select, true
from sqlalchemy.orm import Session

from model.backfill.errors import (
    AlreadyRunningError,
    DagNotFoundError,
    InvalidConfError,
    InvalidDateError,
    InvalidDirectionError,
    InvalidReprocessError,
    NoScheduleError,
    RunTypeNotAllowedError,
)
from model.backfill.request import Request
from model.backfill.schema import Backfill, Dag, Reprocess, RunType, SerializedDag

EVERY_BACKFILL: ColumnElement[bool] = true()
"""The condition of readers that heed every backfill."""


def latest_definition(dag_id: str) -> Select[SerializedDag]:
    """Return the query for the newest definition of a workflow."""
    return select(SerializedDag).where(SerializedDag.dag_id == dag_id).order_by(SerializedDag.id.desc()).limit(1)


def find_dag(session: Session, dag_id: str) -> SerializedDag:
    """Read the workflow's definition and its row.

    Raises:
        DagNotFoundError: there is no definition.
        RunTypeNotAllowedError: it allows no backfills.
        NoScheduleError: it has no schedule.
    """
    definition = session.scalar(latest_definition(dag_id))
    if definition is None:
        raise DagNotFoundError(f"dag {dag_id!r} is not there")
    dag = session.scalar(select(Dag).where(Dag.dag_id == dag_id).limit(1))
    if dag is not None:
        if dag.allowed_run_types is not None and RunType.BACKFILL not in dag.allowed_run_types:
            raise RunTypeNotAllowedError(f"dag {dag_id!r} allows no backfill runs")
        if dag.schedule is None:
            raise NoScheduleError(f"dag {dag_id!r} has no schedule")
    return definition


def refuse_second_backfill(session: Session, dag_id: str, heeded: ColumnElement[bool] = EVERY_BACKFILL) -> None:
    """Count the active backfills of a workflow. Nothing keeps the count from changing afterwards.

    Raises:
        AlreadyRunningError: there is one.
    """
    active = session.scalar(
        select(func.count())
        .select_from(Backfill)
        .where(Backfill.dag_id == dag_id, Backfill.completed_at.is_(None), heeded)
    )
    if active:
        raise AlreadyRunningError(f"a backfill of dag {dag_id!r} is active already")


def validate(dag: SerializedDag, request: Request) -> None:
    """Check a request against the workflow's definition.

    Raises:
        BackfillError: one of its subclasses with status 422.
    """
    if dag.depends_on_past:
        if request.reverse:
            raise InvalidDirectionError("tasks that depend on the past cannot run in reverse")
        if request.reprocess is Reprocess.NONE:
            raise InvalidReprocessError("tasks that depend on the past need their existing runs reprocessed")
    if min(request.from_date, request.to_date) >= request.now:
        raise InvalidDateError("a backfill is for dates in the past")
    for name, value in request.conf.items():
        if name in dag.params and type(value) is not type(dag.params[name]):
            raise InvalidConfError(f"parameter {name!r} cannot be {value!r}")


def reread_dag(session: Session, dag_id: str) -> Dag:
    """Read the workflow's row once more, as the application does after it has written the backfill."""
    return session.scalars(select(Dag).where(Dag.dag_id == dag_id)).one()
