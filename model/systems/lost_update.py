"""A counter that is read in Python and written back by primary key."""

from __future__ import annotations

from sqlalchemy import Engine, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """The registry of the tables."""


class Counter(Base):
    """A number that many increment."""

    __tablename__ = "counter"

    id: Mapped[int] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(default=0)


class VersionedCounter(Base):
    """The same, with a version that each UPDATE by the ORM checks and raises by one."""

    __tablename__ = "versioned_counter"

    id: Mapped[int] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column()

    __mapper_args__ = {"version_id_col": version}


def seed(engine: Engine) -> None:
    """Write a counter of each kind, at zero."""
    with Session(engine) as session, session.begin():
        session.add_all([Counter(id=1), VersionedCounter(id=1)])


def increment(engine: Engine) -> int:
    """Read, add one in Python, write: what is written no longer depends on what is there by then."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        counter = session.get_one(Counter, 1)
        counter.n += 1
    return counter.n


def increment_in_place(engine: Engine) -> None:
    """Let the database add one, in the statement that writes."""
    with Session(engine) as session, session.begin():
        session.execute(update(Counter).where(Counter.id == 1).values(n=Counter.n + 1))


def increment_versioned(engine: Engine) -> int:
    """Do as ``increment``, but write only if the version is still the one that was read.

    Raises:
        StaleDataError: it is not.
    """
    with Session(engine, expire_on_commit=False) as session, session.begin():
        counter = session.get_one(VersionedCounter, 1)
        counter.n += 1
    return counter.n
