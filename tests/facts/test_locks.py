"""The rules of docs/locks.md are those of SQLite: each is tried on real connections that really wait."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.facts.locks import GOES_ON, NEVER, PICTURE, REFUSED, RULES, WAITS, WANTS, picture

_TIMEOUT_S = 0.3
_TRIES = [
    (journal, holds, want, end)
    for journal, rows in RULES.items()
    for holds, ends in rows.items()
    for want, end in zip(WANTS, ends, strict=True)
    if end != NEVER
]


def _open(path: Path, journal: str, timeout: float = _TIMEOUT_S) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA journal_mode = {journal}").fetchall()
    return connection


def _read(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")
    connection.execute("SELECT n FROM t").fetchall()


@contextlib.contextmanager
def _holding(path: Path, journal: str, holds: str) -> Iterator[None]:
    """Let A be in a state meanwhile."""
    with contextlib.closing(_open(path, journal, timeout=5)) as one:
        if holds == "is reading":
            _read(one)
        else:
            one.execute("BEGIN IMMEDIATE")
            one.execute("INSERT INTO t VALUES (2)")
        if holds == "has committed since B read":
            one.execute("COMMIT")
        if holds != "waits to commit":
            yield
            return
        with contextlib.closing(_open(path, journal)) as reader:
            _read(reader)
            commits = threading.Thread(target=one.execute, args=("COMMIT",))
            commits.start()
            time.sleep(0.1)  # by then it holds PENDING
            yield
            reader.execute("COMMIT")
            commits.join()


def _end_of(statement: str, connection: sqlite3.Connection) -> str:
    start = time.monotonic()
    try:
        connection.execute(statement).fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname.startswith("SQLITE_BUSY"):
            return WAITS if time.monotonic() - start > _TIMEOUT_S / 2 else REFUSED
        raise
    return GOES_ON


@pytest.mark.parametrize(("journal", "holds", "want", "end"), _TRIES)
def test_rules_are_those_of_sqlite(tmp_path: Path, journal: str, holds: str, want: str, end: str) -> None:
    """What B wants while A is in that state."""
    path = tmp_path / "locks.db"
    with contextlib.closing(_open(path, journal)) as other:
        other.execute("CREATE TABLE t (n)")
        if want in WANTS[2:]:
            _read(other)
        if want == WANTS[3]:
            other.execute("INSERT INTO t VALUES (1)")
        with _holding(path, journal, holds):
            statement = dict(zip(WANTS, ("SELECT n FROM t", "BEGIN IMMEDIATE", "DELETE FROM t", "COMMIT"), strict=True))
            assert end == _end_of(statement[want], other)
            other.rollback()  # or A could not commit


def test_the_picture_is_of_the_rules() -> None:
    """``python -m tests.facts.locks`` draws it anew."""
    assert picture() == PICTURE.read_text(encoding="utf-8")
