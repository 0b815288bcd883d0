"""The modes that a result tells are those that clients used."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from tests.checking.bank import bank, read_then_write
from treadle import Client, Database, Scenario, at_end, check
from treadle.scenario import TRANSACTIONS, set_up_transactions

_PATH = "/nonexistent/treadle/modes.db"
_ADD = "UPDATE account SET balance = balance + 1"


def _filled(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE account (balance INTEGER)"))
        connection.execute(text("INSERT INTO account VALUES (0)"))


def _database(**options: Any) -> Database:
    return Database(_filled, engine=create_engine(f"sqlite:///{_PATH}"), **options)


def _connecting(use: Callable[[sqlite3.Connection], object], **options: Any) -> Callable[[], None]:
    def client() -> None:
        with contextlib.closing(sqlite3.connect(_PATH, **options)) as connection:
            use(connection)

    return client


def _told(client: Callable[[], object], database: Database) -> tuple[str, str]:
    result = check(Scenario("modes", database, [Client("Ann", client)], [at_end("all is well", lambda view: True)]))
    return result.journal, result.transactions


def _raised(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_ADD)
    connection.execute("COMMIT")


def _set_later(connection: sqlite3.Connection) -> None:
    connection.execute(_ADD)
    connection.commit()
    connection.isolation_level = None
    connection.execute(_ADD)


@pytest.mark.parametrize(
    ("use", "options", "transactions"),
    [
        (lambda connection: connection.execute(_ADD), {}, "legacy"),
        (lambda connection: connection.execute(_ADD), {"isolation_level": None}, "isolation_level=None"),
        (lambda connection: connection.execute(_ADD), {"isolation_level": "EXCLUSIVE"}, "legacy EXCLUSIVE"),
        (_raised, {"isolation_level": None}, "immediate"),
        (_set_later, {}, "isolation_level=None and legacy"),
    ],
)
def test_transactions_are_told_as_the_clients_have_them(
    use: Callable[[sqlite3.Connection], object], options: dict[str, Any], transactions: str
) -> None:
    """Whatever the scenario says."""
    assert ("wal", transactions) == _told(_connecting(use, **options), _database())


def test_a_journal_mode_that_a_client_sets_is_told() -> None:
    """Beside the one in which the database is when it starts."""
    client = _connecting(lambda connection: connection.execute("PRAGMA journal_mode = WAL"))
    assert "delete, then wal" == _told(client, _database(journal="delete"))[0]
    assert "wal" == _told(client, _database())[0]


@pytest.mark.parametrize("mode", [mode for mode in TRANSACTIONS if mode != "autocommit-off"])
def test_a_mode_that_the_scenario_sets_up_is_told_by_its_name(mode: str) -> None:
    """As it always was."""
    assert mode == check(bank(read_then_write, transactions=mode)).transactions


def test_an_engine_that_begins_by_itself_is_told_as_it_is() -> None:
    """The scenario says nothing of it."""
    scenario = bank(read_then_write)
    set_up_transactions(scenario.database.engine, "immediate")
    assert "immediate" == check(scenario).transactions


def test_what_changes_the_schema_is_published() -> None:
    """A new table and a new column are rows of the schema, which everybody reads."""

    def client(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE note (what TEXT)")
        connection.execute("ALTER TABLE note ADD COLUMN star INTEGER")

    never = at_end("nobody ends", lambda view: False, name="never")
    result = check(Scenario("schema", _database(), [Client("Ann", _connecting(client))], [never]))
    counterexample = result["never"].counterexample
    assert counterexample is not None
    changes = [change for event in counterexample.trace.events for change in event.changes]
    assert ["sqlite_schema"] * 2 == [change.table for change in changes]
    assert [False, True] == [change.before is not None for change in changes]
    assert all(change.after is not None and "note" == change.after["name"] for change in changes)
