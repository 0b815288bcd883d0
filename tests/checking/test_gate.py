"""The gate behaves as the driver does: the same calls, on a plain connection and behind the gate."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from tests.checking.bank import bank, write_once
from treadle import Client, View, at_end, check


def _cursors(connection: Any) -> list[object]:
    cursor = connection.cursor()
    cursor.execute("INSERT INTO account (balance) VALUES (5), (6)")
    seen: list[object] = [cursor.rowcount, cursor.lastrowid, cursor.description, connection.in_transaction]
    cursor.execute("SELECT id, balance FROM account ORDER BY id")
    seen += [
        cursor.description,
        cursor.rowcount,
        cursor.fetchone(),
        cursor.fetchmany(1),
        list(cursor),
        cursor.fetchone(),
    ]
    cursor.executemany("INSERT INTO account (balance) VALUES (?)", [(7,), (8,)])
    seen += [cursor.rowcount, cursor.lastrowid]
    cursor.close()
    connection.rollback()
    return [*seen, connection.in_transaction]


def _last_rowids(connection: Any) -> list[object]:
    cursor = connection.cursor()
    first = cursor.lastrowid
    cursor.execute("UPDATE account SET balance = 1")
    updated = cursor.lastrowid
    cursor.execute("INSERT INTO account (balance) VALUES (9)")
    inserted = cursor.lastrowid
    other = connection.execute("UPDATE account SET balance = 2")
    return [first, updated, inserted, other.lastrowid, connection.total_changes]


def _returning(connection: Any) -> list[object]:
    cursor = connection.execute("INSERT INTO account (balance) VALUES (1), (2) RETURNING id, balance")
    return [cursor.description, cursor.fetchone(), cursor.fetchall(), cursor.rowcount]


def _rows(connection: Any) -> list[object]:
    connection.row_factory = sqlite3.Row
    row = connection.execute("SELECT id, balance FROM account").fetchone()
    connection.row_factory = lambda cursor, values: (len(cursor.description), values)
    return [row["balance"], tuple(row), row.keys(), connection.execute("SELECT 1, 2").fetchone()]


def _contexts(connection: Any) -> list[object]:
    with connection:
        connection.execute("UPDATE account SET balance = 3")
    seen: list[object] = [connection.in_transaction]
    try:
        with connection:
            connection.execute("UPDATE account SET balance = 4")
            raise ValueError
    except ValueError:
        seen.append(connection.execute("SELECT balance FROM account").fetchall())
    return [*seen, connection.in_transaction]


def _scripts(connection: Any) -> list[object]:
    connection.execute("UPDATE account SET balance = 3")
    connection.executescript("UPDATE account SET balance = 4; UPDATE account SET balance = balance + 1;")
    return [connection.in_transaction, connection.execute("SELECT balance FROM account").fetchall()]


class _Polite(sqlite3.Cursor):
    """As frameworks have it: another spelling of parameters, and rows of another kind."""

    def execute(self, sql: str, parameters: Any = ()) -> _Polite:
        return super().execute(sql.replace("%s", "?"), parameters)

    def fetchone(self) -> Any:
        return {"row": super().fetchone()}


def _cursors_of_another_class(connection: Any) -> list[object]:
    cursor = connection.cursor(factory=_Polite)
    same = cursor.execute("UPDATE account SET balance = %s", (7,))
    seen: list[object] = [same is cursor, cursor.rowcount, connection.in_transaction, type(cursor).__name__]
    cursor.execute("SELECT balance FROM account WHERE id = %s", (1,))
    return [*seen, cursor.fetchone(), list(cursor), cursor.description, isinstance(cursor, _Polite)]


def _functions(connection: Any) -> list[object]:
    connection.create_function("twice", 1, lambda value: value * 2)
    connection.create_collation("backwards", lambda left, right: (left < right) - (left > right))
    return [
        connection.execute("SELECT twice(21)").fetchone(),
        connection.execute("SELECT 'a' UNION SELECT 'b' ORDER BY 1 COLLATE backwards").fetchall(),
        connection.isolation_level,
        connection.row_factory,
        connection.text_factory,
    ]


def _errors(connection: Any) -> list[object]:
    seen: list[object] = []
    cursor = connection.cursor()
    cursor.close()
    calls: tuple[Callable[[], object], ...] = (
        lambda: connection.execute("SELEC 1"),
        lambda: connection.execute("SELECT * FROM nowhere"),
        lambda: connection.execute("INSERT INTO account (id, balance) VALUES (1, 1)"),
        lambda: connection.execute("SELECT ?", (1, 2)),
        lambda: connection.execute("SELECT ?", (frozenset({1}),)),
        lambda: cursor.execute("SELECT 1"),
    )
    for call in calls:
        try:
            call()
        except Exception as error:  # noqa: BLE001  # whatever it is
            seen.append((type(error).__name__, getattr(error, "sqlite_errorname", None)))
    return [*seen, connection.in_transaction, isinstance(connection, sqlite3.Connection)]


def _plainly(probe: Callable[[Any], list[object]]) -> list[object]:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE account (id INTEGER NOT NULL, balance INTEGER NOT NULL, PRIMARY KEY (id))")
    connection.execute("INSERT INTO account VALUES (1, 0)")
    connection.commit()
    fresh = sqlite3.connect(":memory:")
    connection.backup(fresh)
    connection.close()
    try:
        return probe(fresh)
    finally:
        fresh.close()


_PROBES = (
    *(_cursors, _last_rowids, _returning, _rows, _contexts, _scripts),
    *(_cursors_of_another_class, _functions, _errors),
)


@pytest.mark.parametrize("probe", _PROBES)
def test_the_gate_shows_what_the_driver_shows(probe: Callable[[Any], list[object]]) -> None:
    """What a client sees of its connection is what it would see without us."""
    scenario = bank(write_once, clients=1)
    seen: list[object] = []

    def client() -> list[object]:
        pooled = scenario.database.engine.raw_connection()
        try:
            return probe(pooled.driver_connection)
        finally:
            pooled.close()

    @at_end("returned", name="returned")
    def returned(view: View) -> bool:
        seen[:] = view.returned()["A"]
        return not view.raised()

    result = check(evolve(scenario, clients=[Client("A", client)], properties=[returned]))
    assert result["returned"].verdict == "holds"
    assert _plainly(probe) == seen
