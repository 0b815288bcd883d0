from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from treadle import Client, Database, Raised, Returned, Scenario, UnsupportedOperationError, View, check, sometimes

STATEMENTS = (
    "SELECT stock FROM item",
    "INSERT INTO item VALUES (2, 2)",
    "UPDATE item SET stock = 3 WHERE id = 9",
    "BEGIN",
    "INSERT INTO item VALUES (3, 3)",
    "CREATE TABLE other (id INTEGER)",
    "PRAGMA user_version = 3",
    "BEGIN IMMEDIATE",
    "BEGIN EXCLUSIVE",
    "CREATE TEMP TABLE own (id INTEGER)",
    "PRAGMA journal_mode = PERSIST",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a database with one table."""
    path = tmp_path / "app.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE item (id INTEGER PRIMARY KEY, stock INTEGER); INSERT INTO item VALUES (1, 9)"
        )
    return path


def tried(uri: str, sql: str) -> object:
    """Return what a statement gives, or the error."""
    with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.Error as error:
            return type(error).__name__, str(error), error.sqlite_errorcode


@pytest.mark.parametrize("mode", ["ro", "rw"])
def test_the_mode_of_a_uri_is_kept_to(path: Path, mode: str) -> None:
    """What a connection may write is what it may write on the file: asked of real connections to a copy of it."""
    uri = f"file:{path}?mode={mode}"
    database = Database.copy_of(path)

    def client() -> object:
        """Run each statement on a connection of its own, and what only reads on one more."""
        return [tried(uri, sql) for sql in STATEMENTS]

    expected = client()

    def is_real(view: View) -> bool:
        outcome = view.outcomes["A"]
        assert isinstance(outcome, (Returned, Raised))
        return isinstance(outcome, Returned) and outcome.value == expected

    scenario = Scenario("uri", database, [Client("A", client)], [sometimes("it is as it really is", is_real)])
    assert check(scenario).as_expected


@pytest.mark.parametrize("options", ["nolock=1", "immutable=1", "cache=shared", "vfs=unix-none", "mode=rw&psow=0"])
def test_what_changes_locks_is_refused(path: Path, options: str) -> None:
    """An option of a URI that cannot be kept to ends the check, and names itself."""

    def client() -> None:
        sqlite3.connect(f"file:{path}?{options}", uri=True)

    scenario = Scenario("uri", Database.copy_of(path), [Client("A", client)], [sometimes("x", lambda _: True)])
    with pytest.raises(UnsupportedOperationError, match=options.rpartition("&")[2]):
        check(scenario)
