"""Tasks of which a limited number may run, and each counts before it starts."""

from __future__ import annotations

from sqlalchemy import CursorResult, Engine, func, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

LIMIT = 2
"""How many tasks may run at the same time."""

TASKS = (1, 2, 3)
"""The tasks, one more than the limit."""

QUEUED = "queued"
RUNNING = "running"


class Base(DeclarativeBase):
    """The registry of the tables."""


class Task(Base):
    """A task, queued or running."""

    __tablename__ = "task"

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(default=QUEUED)


def seed(engine: Engine) -> None:
    """Write the tasks, all queued."""
    with Session(engine) as session, session.begin():
        session.add_all(Task(id=task_id) for task_id in TASKS)


_RUNNING = select(func.count()).select_from(Task).where(Task.state == RUNNING)


def start(engine: Engine, task_id: int) -> bool:
    """Count the tasks that run, then start one more."""
    with Session(engine) as session, session.begin():
        if session.scalars(_RUNNING).one() >= LIMIT:
            return False
        session.execute(update(Task).where(Task.id == task_id).values(state=RUNNING))
    return True


def start_if_below_limit(engine: Engine, task_id: int) -> bool:
    """Count and start in one statement."""
    with engine.begin() as connection:
        result: CursorResult[object] = connection.execute(
            update(Task).where(Task.id == task_id, _RUNNING.scalar_subquery() < LIMIT).values(state=RUNNING)
        )
    return result.rowcount == 1
