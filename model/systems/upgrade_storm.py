"""Requests that read and then write in one transaction, all at the same time.

Each has a long busy timeout, and no use for it: where another one writes, or has written since, SQLite
refuses a transaction that has read and then wants to write at once. Waiting could not help it.
"""

from __future__ import annotations

from sqlalchemy import Engine, func, insert, literal, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """The registry of the tables."""


class Entry(Base):
    """An entry of a diary, numbered from 1."""

    __tablename__ = "entry"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]
    text: Mapped[str]


def add_entry(engine: Engine, text: str) -> int:
    """Count the entries, then insert the next."""
    with Session(engine) as session, session.begin():
        number = 1 + session.scalars(select(func.count()).select_from(Entry)).one()
        session.add(Entry(number=number, text=text))
    return number


def add_entry_at_once(engine: Engine, text: str) -> int:
    """Count and insert in one statement: a transaction whose first statement writes waits for its turn."""
    counted = select(1 + func.count(Entry.id), literal(text))
    with engine.begin() as connection:
        return connection.scalars(insert(Entry).from_select(["number", "text"], counted).returning(Entry.number)).one()
