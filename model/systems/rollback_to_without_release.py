"""A batch of items, each in a savepoint that is its transaction, and one of them is refused.

ROLLBACK TO undoes what was done since the SAVEPOINT, and leaves the savepoint itself open. From then on
every further savepoint is nested in it, its RELEASE commits nothing, and what the batch stores is gone when
the connection is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection, Engine, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The registry of the tables."""


class Item(Base):
    """An item; its name is unique."""

    __tablename__ = "item"

    name: Mapped[str] = mapped_column(primary_key=True)
    batch: Mapped[str]


@contextmanager
def undo_on_error(connection: Connection) -> Iterator[None]:
    """Commit what is done inside, or undo it on an exception. It forgets to end what it has undone."""
    connection.exec_driver_sql("SAVEPOINT item")
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK TO item")
        raise
    connection.exec_driver_sql("RELEASE item")


@contextmanager
def undo_and_release_on_error(connection: Connection) -> Iterator[None]:
    """Commit what is done inside, or undo it on an exception."""
    connection.exec_driver_sql("SAVEPOINT item")
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK TO item")
        connection.exec_driver_sql("RELEASE item")
        raise
    connection.exec_driver_sql("RELEASE item")


def store(
    engine: Engine,
    batch: str,
    names: Iterable[str],
    atomic: Callable[[Connection], AbstractContextManager[None]],
) -> list[str]:
    """Store items, each atomically; skip those that are there already. Return those that were stored."""
    stored = []
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name in names:
            try:
                with atomic(connection):
                    connection.execute(insert(Item).values(name=name, batch=batch))
            except IntegrityError:
                continue
            stored.append(name)
    return stored
