"""A queue of jobs, from which each worker claims the first that is free."""

from __future__ import annotations

from sqlalchemy import CursorResult, Engine, Select, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

FREE = "free"
CLAIMED = "claimed"


class Base(DeclarativeBase):
    """The registry of the tables."""


class Job(Base):
    """A job; claimed by one worker, it is no longer free."""

    __tablename__ = "job"

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(default=FREE)
    worker: Mapped[str | None]


def seed(engine: Engine) -> None:
    """Write two free jobs."""
    with Session(engine) as session, session.begin():
        session.add_all([Job(id=1), Job(id=2)])


def _first_free() -> Select[int]:
    return select(Job.id).where(Job.state == FREE).order_by(Job.id).limit(1)


def claim(engine: Engine, worker: str) -> int | None:
    """Look for a free job, then take it, whoever may have taken it meanwhile."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        job = session.scalar(select(Job).where(Job.state == FREE).order_by(Job.id).limit(1))
        if job is None:
            return None
        job.state, job.worker = CLAIMED, worker
    return job.id


def claim_and_look(engine: Engine, worker: str) -> int | None:
    """Take the job only if it is still free, and look at the count of rows; if it is not, take the next."""
    while True:
        with engine.begin() as connection:
            job_id = connection.scalar(_first_free())
            if job_id is None:
                return None
            result: CursorResult[object] = connection.execute(
                update(Job).where(Job.id == job_id, Job.state == FREE).values(state=CLAIMED, worker=worker)
            )
        if result.rowcount == 1:
            return job_id


def claim_at_once(engine: Engine, worker: str) -> int | None:
    """Look and take in one statement."""
    with engine.begin() as connection:
        return connection.scalar(
            update(Job)
            .where(Job.state == FREE, Job.id == _first_free().scalar_subquery())
            .values(state=CLAIMED, worker=worker)
            .returning(Job.id)
        )
