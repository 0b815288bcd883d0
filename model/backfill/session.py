"""The settings of engines and sessions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session


def enforce_foreign_keys(engine: Engine) -> None:
    """Make each connection of an engine enforce foreign keys, which SQLite by itself does not.

    SQLite ignores the pragma inside a transaction, and a connection with ``autocommit=False`` (Python 3.12)
    is always inside one, so that is switched off meanwhile.
    """

    @event.listens_for(engine, "connect")
    def set_pragma(connection: sqlite3.Connection, record: object) -> None:
        del record
        in_transaction = getattr(connection, "autocommit", None) is False
        if in_transaction:
            connection.autocommit = True  # type: ignore[attr-defined,unused-ignore]  # since Python 3.12
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()
        if in_transaction:
            connection.autocommit = False  # type: ignore[attr-defined,unused-ignore]


@contextmanager
def unit_of_work(engine: Engine) -> Iterator[Session]:
    """Open a session: commit at the end, roll back on an exception, close in any case."""
    session = Session(engine, autoflush=False, expire_on_commit=False)
    try:
        yield session
        session.commit()
    except Exception:
        session.rollback()
        raise
    finally:
        session.close()
