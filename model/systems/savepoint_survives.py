"""An import that writes each book under a savepoint, and rolls back all of them if one is refused.

In the driver's default transaction mode no BEGIN precedes a SAVEPOINT. So the savepoint is the transaction,
its RELEASE commits, and the rollback afterwards has nothing to undo. SQLAlchemy documents that, and a
recipe that sends the BEGIN.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """The registry of the tables."""


class Book(Base):
    """A book; its title is unique."""

    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(unique=True)
    shelf: Mapped[str]


def import_books(engine: Engine, shelf: str, titles: Iterable[str]) -> None:
    """Write books, each under a savepoint: all of them, or none.

    Raises:
        IntegrityError: a book is there already.
    """
    with Session(engine) as session, session.begin():
        for title in titles:
            with session.begin_nested():
                session.add(Book(title=title, shelf=shelf))


def import_books_plainly(engine: Engine, shelf: str, titles: Iterable[str]) -> None:
    """Write books without savepoints: all of them, or none.

    Raises:
        IntegrityError: a book is there already.
    """
    with Session(engine) as session, session.begin():
        for title in titles:
            session.add(Book(title=title, shelf=shelf))
            session.flush()
