"""The tables that create-backfill touches, as in Apache Airflow 3.2, without the columns that it ignores."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, validates


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, kept as UTC text without an offset: SQLite has no type for one."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what is written."""
        del dialect
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what was read."""
        del dialect
        return None if value is None else value.replace(tzinfo=UTC)


class RunState(enum.StrEnum):
    """How far a run is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"


UNFINISHED = (RunState.QUEUED, RunState.RUNNING)
"""The states of a run that a backfill waits for."""


class RunType(enum.StrEnum):
    """Who asked for a run."""

    SCHEDULED = "scheduled"
    BACKFILL = "backfill"


class Reprocess(enum.StrEnum):
    """Which of the runs that exist already a backfill runs again."""

    NONE = "none"
    FAILED = "failed"
    COMPLETED = "completed"


class Reason(enum.StrEnum):
    """Why a date of a backfill got no run."""

    IN_FLIGHT = "in flight"
    ALREADY_EXISTS = "already exists"


class Base(DeclarativeBase):
    """The registry of the tables."""

    type_annotation_map = {
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(),
        list[str]: JSON(none_as_null=True),
        enum.Enum: Enum(
            enum.Enum, native_enum=False, values_callable=lambda members: [member.value for member in members]
        ),
    }


class Dag(Base):
    """A workflow."""

    __tablename__ = "dag"

    dag_id: Mapped[str] = mapped_column(primary_key=True)
    schedule: Mapped[str | None]
    allowed_run_types: Mapped[list[str] | None]
    bundle_version: Mapped[str | None]


class SerializedDag(Base):
    """A version of a workflow's definition; the newest one counts."""

    __tablename__ = "serialized_dag"

    id: Mapped[int] = mapped_column(primary_key=True)
    dag_id: Mapped[str] = mapped_column(ForeignKey("dag.dag_id", ondelete="CASCADE"))
    task_ids: Mapped[list[str]]
    params: Mapped[dict[str, Any]]
    depends_on_past: Mapped[bool] = mapped_column(default=False)


class Backfill(Base):
    """A request to run a workflow for a range of past dates. Active until ``completed_at`` is set."""

    __tablename__ = "backfill"

    id: Mapped[int] = mapped_column(primary_key=True)
    dag_id: Mapped[str]
    from_date: Mapped[datetime]
    to_date: Mapped[datetime]
    dag_run_conf: Mapped[dict[str, Any]]
    is_paused: Mapped[bool | None] = mapped_column(default=False)
    reprocess_behavior: Mapped[Reprocess]
    max_active_runs: Mapped[int] = mapped_column(default=10)
    created_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]
    triggering_user_name: Mapped[str | None]


class DagRun(Base):
    """One execution of a workflow, for one logical date; ``backfill_id`` is the backfill that owns it now."""

    __tablename__ = "dag_run"
    __table_args__ = (UniqueConstraint("dag_id", "run_id"), UniqueConstraint("dag_id", "logical_date"))

    id: Mapped[int] = mapped_column(primary_key=True)
    dag_id: Mapped[str]
    run_id: Mapped[str]
    logical_date: Mapped[datetime]
    start_date: Mapped[datetime | None]
    state: Mapped[RunState]
    run_type: Mapped[RunType]
    conf: Mapped[dict[str, Any]]
    bundle_version: Mapped[str | None]
    created_dag_version_id: Mapped[int | None]
    clear_number: Mapped[int] = mapped_column(default=0)
    backfill_id: Mapped[int | None] = mapped_column(ForeignKey("backfill.id"))
    triggering_user_name: Mapped[str | None]


class BackfillDagRun(Base):
    """One date of a backfill: its run, or the reason why it has none."""

    __tablename__ = "backfill_dag_run"
    __table_args__ = (UniqueConstraint("backfill_id", "dag_run_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    backfill_id: Mapped[int] = mapped_column(ForeignKey("backfill.id", ondelete="CASCADE"))
    dag_run_id: Mapped[int | None] = mapped_column(ForeignKey("dag_run.id", ondelete="SET NULL"))
    exception_reason: Mapped[Reason | None]
    logical_date: Mapped[datetime]
    sort_ordinal: Mapped[int]

    @validates("sort_ordinal")
    def _from_one(self, key: str, value: int) -> int:
        if value < 1:
            raise ValueError(f"{key}={value!r}: it must be 1 or more. Count the dates from 1.")
        return value


class TaskInstance(Base):
    """One task of one run. Without a state it waits to be scheduled."""

    __tablename__ = "task_instance"
    __table_args__ = (
        ForeignKeyConstraint(["dag_id", "run_id"], ["dag_run.dag_id", "dag_run.run_id"], ondelete="CASCADE"),
        Index("ti_dag_run", "dag_id", "run_id"),
    )

    dag_id: Mapped[str] = mapped_column(primary_key=True)
    task_id: Mapped[str] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(primary_key=True)
    map_index: Mapped[int] = mapped_column(primary_key=True, default=-1)
    state: Mapped[RunState | None]


class Log(Base):
    """An entry of the audit log."""

    __tablename__ = "log"

    id: Mapped[int] = mapped_column(primary_key=True)
    dttm: Mapped[datetime]
    dag_id: Mapped[str | None]
    event: Mapped[str]
    owner: Mapped[str | None]
