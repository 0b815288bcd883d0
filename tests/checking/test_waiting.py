"""Who waits, who fails at once, and whose timeout expires."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from attrs import evolve
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from tests.checking.bank import add_in_place, bank
from treadle import Client, FaultBudget, LockKind, Raised, Returned, Scenario, Trace, View, at_end, check, replay


def _ends(scenario: Scenario) -> set[tuple[str, ...]]:
    """Return how the clients may end: "returned", or the text of the driver's error."""
    found: set[tuple[str, ...]] = set()

    @at_end("look", name="look")
    def look(view: View) -> bool:
        found.add(tuple(_word(view.outcomes[name]) for name in sorted(view.outcomes)))
        return True

    assert check(evolve(scenario, properties=[look])).exhausted
    return found


def _word(outcome: object) -> str:
    if isinstance(outcome, Returned):
        return "returned"
    if isinstance(outcome, Raised) and isinstance(outcome.exception, OperationalError):
        return str(outcome.exception.orig)
    return str(outcome)


def _kinds(trace: Trace) -> list[LockKind]:
    return [item.lock_kind for item in trace.events if item.lock_kind is not None]


def write_twice(engine: Engine) -> None:
    """Hold the write lock on one connection, and ask for it on another."""
    with engine.connect() as first, engine.connect() as second:
        first.exec_driver_sql("UPDATE account SET balance = balance + 1")
        second.exec_driver_sql("UPDATE account SET balance = balance + 1")


def close_early(engine: Engine) -> list[object]:
    """Close a connection while it inserts; write on another one before and after the first one's cursor is gone."""
    pooled = [engine.raw_connection() for _ in range(2)]
    first, other = (one.driver_connection for one in pooled)
    assert isinstance(first, sqlite3.Connection)
    assert isinstance(other, sqlite3.Connection)
    first.isolation_level = other.isolation_level = None
    cursor = first.execute("INSERT INTO account (balance) VALUES (5), (6) RETURNING id")
    seen = [cursor.fetchone()]
    first.close()
    for call in (cursor.fetchone, cursor.close, lambda: other.execute("UPDATE account SET balance = 1")):
        try:
            call()
        except sqlite3.Error as error:
            seen.append(str(error))
    del cursor, call
    return [*seen, other.execute("SELECT balance FROM account").fetchall()]


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_statement_outlives_its_connection(journal: str) -> None:
    """What it holds is held until its cursor is collected, and what it inserts is committed then."""
    closed = "Cannot operate on a closed database."
    found: list[object] = []

    @at_end("look", name="look")
    def look(view: View) -> bool:
        found.append((view.returned()["A"], [row["balance"] for row in view.rows("account")]))
        return True

    assert check(evolve(bank(close_early, clients=1, journal=journal), properties=[look])).exhausted
    expected = ([(2,), closed, closed, "database is locked", [(0,), (5,), (6,)]], [0, 5, 6])
    assert [expected] * len(found) == found  # a challenge looks at it, too
    assert found


def test_writers_wait_for_each_other() -> None:
    """With nothing but writes, nobody fails: the busy handler waits."""
    assert {("returned", "returned")} == _ends(bank(add_in_place))


def test_without_a_timeout_a_writer_fails_at_once() -> None:
    """A connection whose busy timeout is 0 never waits."""
    ends = _ends(bank(add_in_place, busy_timeout_ms=0))
    assert {("returned", "returned"), ("returned", "database is locked"), ("database is locked", "returned")} == ends


def test_a_pragma_sets_the_timeout_too() -> None:
    """PRAGMA busy_timeout overrides what the connection was opened with."""
    scenario = bank(add_in_place)

    @event.listens_for(scenario.database.engine, "connect")
    def impatient(connection: Any, record: object) -> None:
        del record
        assert [(0,)] == connection.execute("PRAGMA busy_timeout = 0").fetchall()

    assert ("returned", "database is locked") in _ends(scenario)


def test_a_timeout_within_the_budget_expires() -> None:
    """While it waits, a client's timeout may expire: that is a locked fault, and SQLite could answer so."""
    scenario = evolve(bank(add_in_place), faults=FaultBudget(locked=1), faults_at="reachable")
    assert ("returned", "database is locked") in _ends(scenario)


def test_a_client_that_waits_for_itself_times_out_free_of_charge() -> None:
    """If all unfinished clients wait, the longest waiter's timeout expires, without any budget."""
    scenario = bank(write_twice, clients=1)
    assert {("database is locked",)} == _ends(scenario)
    example = check(evolve(scenario, properties=[at_end("returns", lambda view: not view.raised(), name="returns")]))[
        "returns"
    ].counterexample
    assert example is not None
    assert ([LockKind.TIMEOUT], 0) == (_kinds(replay(scenario, example.schedule.token)), example.faults)


def test_a_crash_rolls_back_and_the_others_go_on() -> None:
    """A client's connections vanish: what it had not committed is gone, and who waited for it goes on."""
    scenario = evolve(bank(add_in_place), faults=FaultBudget(crash=1))
    assert {
        ("returned", "returned"),
        ("crashed", "returned"),
        ("returned", "crashed"),
    } == _ends(scenario)
    total = at_end(
        "who returned has counted, once",
        lambda view: view.rows("account")[0]["balance"] in {len(view.returned()), len(view.returned()) + 1},
        name="total",
    )
    assert check(evolve(scenario, properties=[total]))["total"].verdict == "holds"


@pytest.mark.parametrize(("journal", "blocked"), [("wal", False), ("delete", True)])
def test_an_open_cursor_blocks_a_commit_in_rollback_journal_mode(journal: str, *, blocked: bool) -> None:
    """A reader that has not fetched all rows is in the way of a COMMIT, but not in WAL mode."""
    scenario = bank(add_in_place, journal=journal)
    engine = scenario.database.engine

    def linger() -> None:
        connection = engine.raw_connection()
        cursor = connection.cursor()
        cursor.execute("SELECT 1 FROM account UNION ALL SELECT 2 FROM account")
        cursor.fetchone()
        cursor.fetchone()
        cursor.fetchone()
        connection.close()

    waits = at_end("nobody waits", lambda view: not view.raised(), name="nobody-waits")
    clients = [Client("reader", linger), Client("writer", lambda: add_in_place(engine))]
    faulty = evolve(scenario, clients=clients, properties=[waits], faults=FaultBudget(locked=1), faults_at="statement")
    kinds = {
        kind
        for item in check(faulty).decisions
        if item.counterexample is not None
        for kind in _kinds(item.counterexample.trace)
    }
    assert kinds
    ends = _ends(evolve(scenario, clients=clients))
    assert {("returned", "returned")} == ends
    assert blocked is _somebody_waits(evolve(scenario, clients=clients))


def _somebody_waits(scenario: Scenario) -> bool:
    """Tell whether some schedule has a client that waits: with a timeout of 0 it fails instead."""
    impatient = evolve(scenario)

    @event.listens_for(impatient.database.engine, "connect")
    def no_patience(connection: Any, record: object) -> None:
        del record
        connection.execute("PRAGMA busy_timeout = 0").fetchall()

    return _ends(impatient) != {("returned", "returned")}
