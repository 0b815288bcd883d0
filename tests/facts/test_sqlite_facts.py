"""The behaviour of SQLite and of Python's driver that the model and the checker stand on, measured."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Connect = Callable[..., sqlite3.Connection]

SHORT_S = 0.2
"""A busy timeout that a test can wait for."""

LONG_S = 20.0
"""A busy timeout that no test waits for: an error after less than half of it came at once."""


@pytest.fixture(params=["wal", "delete"])
def journal(request: pytest.FixtureRequest) -> str:
    """Return each journal mode."""
    return str(request.param)


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    """Return a function that opens one more connection to one database with the table ``t(n)``."""
    opened: list[sqlite3.Connection] = []

    def open_one(timeout: float = 0.0, *, journal: str = "wal", legacy: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(tmp_path / "facts.db", timeout=timeout)
        if not legacy:
            connection.isolation_level = None
        connection.execute(f"PRAGMA journal_mode = {journal}").fetchall()
        connection.execute("CREATE TABLE IF NOT EXISTS t (n)")
        opened.append(connection)
        return connection

    yield open_one
    for connection in opened:
        connection.close()


def refusal(connection: sqlite3.Connection, statement: str) -> tuple[str, float]:
    """Return the name of the error that a statement fails with, and after how many seconds."""
    start = time.monotonic()
    with pytest.raises(sqlite3.OperationalError, match="database is locked") as caught:
        connection.execute(statement)
    return caught.value.sqlite_errorname, time.monotonic() - start


def count(connection: sqlite3.Connection) -> int:
    """Return the number of rows that a connection sees."""
    return int(connection.execute("SELECT count(*) FROM t").fetchall()[0][0])


FIRST_STATEMENTS = ["INSERT INTO t VALUES (1)", "UPDATE t SET n = n WHERE FALSE", "BEGIN IMMEDIATE"]


@pytest.mark.parametrize("statement", FIRST_STATEMENTS)
def test_a_transaction_that_starts_with_a_write_waits_for_the_lock(
    connect: Connect, journal: str, statement: str
) -> None:
    """It is refused when the busy timeout is over, not before; an UPDATE of no rows is a write too."""
    holder, waiter = connect(journal=journal), connect(SHORT_S, journal=journal)
    holder.execute("BEGIN IMMEDIATE")
    name, seconds = refusal(waiter, statement)
    assert name == "SQLITE_BUSY"
    assert seconds >= SHORT_S * 0.9


def test_a_transaction_that_has_read_is_refused_the_lock_at_once(connect: Connect, journal: str) -> None:
    """Whatever its busy timeout: the one that holds the lock may be waiting for this reader to end."""
    holder, reader = connect(journal=journal), connect(LONG_S, journal=journal)
    reader.execute("BEGIN")
    count(reader)
    holder.execute("BEGIN IMMEDIATE")
    name, seconds = refusal(reader, "INSERT INTO t VALUES (1)")
    assert name == "SQLITE_BUSY"
    assert seconds < LONG_S / 2


def test_a_transaction_that_has_read_old_content_is_refused_the_lock_at_once(connect: Connect) -> None:
    """In WAL mode another connection can commit meanwhile, and then no waiting would help."""
    writer, reader = connect(), connect(LONG_S)
    reader.execute("BEGIN")
    count(reader)
    writer.execute("INSERT INTO t VALUES (1)")
    name, seconds = refusal(reader, "INSERT INTO t VALUES (2)")
    assert name == "SQLITE_BUSY_SNAPSHOT"
    assert seconds < LONG_S / 2


def test_the_driver_begins_before_a_write_and_at_no_other_place(connect: Connect) -> None:
    """In its legacy mode neither SELECT nor SAVEPOINT makes it send BEGIN."""
    connection = connect(legacy=True)
    sent: list[str] = []
    connection.set_trace_callback(sent.append)
    count(connection)
    connection.execute("SAVEPOINT s")
    connection.execute("RELEASE s")
    assert not any(statement.startswith("BEGIN") for statement in sent)
    connection.execute("INSERT INTO t VALUES (1)")
    assert 1 == sum(statement.startswith("BEGIN") for statement in sent)


def test_release_of_an_outermost_savepoint_is_a_commit(connect: Connect) -> None:
    """In the driver's legacy mode it is the whole transaction, and a ROLLBACK after it comes too late."""
    connection, other = connect(legacy=True), connect()
    connection.execute("SAVEPOINT s")
    connection.execute("INSERT INTO t VALUES (1)")
    assert 0 == count(other)
    connection.execute("RELEASE s")
    assert not connection.in_transaction
    connection.rollback()
    assert 1 == count(other)


def test_rollback_to_leaves_its_savepoint_open(connect: Connect) -> None:
    """So the RELEASE of a later savepoint is a nested one, and commits nothing."""
    connection, other = connect(legacy=True), connect()
    connection.execute("SAVEPOINT first")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.execute("ROLLBACK TO first")
    assert connection.in_transaction
    connection.execute("SAVEPOINT second")
    connection.execute("INSERT INTO t VALUES (2)")
    connection.execute("RELEASE second")
    assert connection.in_transaction
    assert 0 == count(other)
    connection.rollback()
    assert 0 == count(connection)


def test_an_open_cursor_pins_its_snapshot_past_rollback(connect: Connect) -> None:
    """In WAL mode the next write is refused, until the cursor is closed."""
    connection, other = connect(), connect()
    other.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
    connection.execute("BEGIN")
    cursor = connection.execute("SELECT n FROM t")
    cursor.fetchone()
    connection.rollback()
    other.execute("INSERT INTO t VALUES (3)")
    assert refusal(connection, "INSERT INTO t VALUES (4)")[0] == "SQLITE_BUSY_SNAPSHOT"
    cursor.close()
    connection.execute("INSERT INTO t VALUES (4)")
    assert 4 == count(other)


def test_an_open_cursor_blocks_the_commit_of_another_connection(connect: Connect) -> None:
    """In rollback-journal mode, even outside a transaction; the writer may try again."""
    reader, writer = connect(journal="delete"), connect(SHORT_S, journal="delete")
    writer.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
    cursor = reader.execute("SELECT n FROM t")
    cursor.fetchone()
    writer.execute("BEGIN")
    writer.execute("INSERT INTO t VALUES (3)")
    name, seconds = refusal(writer, "COMMIT")
    assert name == "SQLITE_BUSY"
    assert seconds >= SHORT_S * 0.9
    assert writer.in_transaction
    cursor.close()
    writer.execute("COMMIT")
    assert 3 == count(reader)


def test_a_writer_that_waits_to_commit_blocks_new_readers(connect: Connect) -> None:
    """In rollback-journal mode it holds the PENDING lock after its first try."""
    reader, writer, newcomer = (connect(journal="delete") for _ in range(3))
    writer.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
    cursor = reader.execute("SELECT n FROM t")
    cursor.fetchone()
    writer.execute("BEGIN")
    writer.execute("INSERT INTO t VALUES (3)")
    assert 2 == count(newcomer)
    refusal(writer, "COMMIT")
    assert refusal(newcomer, "SELECT count(*) FROM t")[0] == "SQLITE_BUSY"
    cursor.close()


def test_a_closed_connection_holds_its_locks_until_its_cursors_are_collected(connect: Connect) -> None:
    """A statement that is under way outlives its connection; in rollback-journal mode others see it."""
    reader, writer = connect(journal="delete"), connect(journal="delete")
    writer.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
    cursor = reader.execute("SELECT n FROM t")
    cursor.fetchone()
    reader.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        cursor.close()
    writer.execute("BEGIN")
    writer.execute("INSERT INTO t VALUES (3)")
    refusal(writer, "COMMIT")
    del cursor
    writer.execute("COMMIT")


@pytest.mark.parametrize(("begins", "rows"), [(False, 2), (True, 0)])
def test_a_writing_statement_that_outlives_its_connection_ends_with_its_cursor(
    connect: Connect, journal: str, begins: bool, rows: int
) -> None:
    """Outside a transaction it commits then, and an open transaction is rolled back; until then nobody can write."""
    connection, other = connect(journal=journal), connect(journal=journal)
    if begins:
        connection.execute("BEGIN")
    cursor = connection.execute("INSERT INTO t VALUES (1), (2) RETURNING n")
    cursor.fetchone()
    connection.close()
    assert 0 == count(other)
    refusal(other, "BEGIN IMMEDIATE")
    del cursor
    assert rows == count(other)
    other.execute("BEGIN IMMEDIATE")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="autocommit=False is new in Python 3.12")
def test_with_autocommit_off_closing_rolls_back_at_once(connect: Connect, journal: str) -> None:
    """The driver sends a ROLLBACK then, which ends statements that write."""
    connect(journal=journal)
    connection, other = connect(journal=journal), connect(journal=journal)
    connection.autocommit = False  # type: ignore[attr-defined]  # new in Python 3.12
    cursor = connection.execute("INSERT INTO t VALUES (1), (2) RETURNING n")
    cursor.fetchone()
    connection.close()
    other.execute("BEGIN IMMEDIATE")
    del cursor
    assert 0 == count(other)


def test_the_foreign_keys_pragma_does_nothing_inside_a_transaction(connect: Connect) -> None:
    """So it must be sent before the driver begins one."""
    connection = connect()
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("BEGIN")
    connection.execute("PRAGMA foreign_keys = ON")
    assert [(0,)] == connection.execute("PRAGMA foreign_keys").fetchall()
    connection.execute("COMMIT")
    connection.execute("PRAGMA foreign_keys = ON")
    assert [(1,)] == connection.execute("PRAGMA foreign_keys").fetchall()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT n FROM t", [("Transaction", 0, 0)]),
        ("INSERT INTO t VALUES (1)", [("Transaction", 0, 1)]),
        ("UPDATE t SET n = n WHERE FALSE", [("Transaction", 0, 1)]),
        ("SELECT 1", []),
        ("BEGIN", [("AutoCommit", 0, 0)]),
        ("BEGIN IMMEDIATE", [("Transaction", 0, 1), ("Transaction", 1, 1), ("AutoCommit", 0, 0)]),
        ("COMMIT", [("AutoCommit", 1, 0)]),
        ("ROLLBACK", [("AutoCommit", 1, 1)]),
        ("SAVEPOINT s", [("Savepoint", 0, 0)]),
        ("RELEASE s", [("Savepoint", 1, 0)]),
        ("ROLLBACK TO s", [("Savepoint", 2, 0)]),
    ],
)
def test_explain_shows_what_a_statement_does_to_locks(
    connect: Connect, statement: str, expected: list[tuple[str, int, int]]
) -> None:
    """Transaction: p1 is the database (0 main, 1 temp), and p2 is 1 for a write."""
    program = connect().execute(f"EXPLAIN {statement}").fetchall()
    shown = [(opcode, p1, p2) for _, opcode, p1, p2, *_ in program]
    assert expected == [step for step in shown if step[0] in {"Transaction", "AutoCommit", "Savepoint"}]


def test_explain_shows_which_table_a_statement_opens(connect: Connect) -> None:
    """OpenRead and OpenWrite name it by its root page."""
    connection = connect()
    ((root,),) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 't'").fetchall()

    def opened(statement: str) -> list[tuple[str, int]]:
        program = connection.execute(f"EXPLAIN {statement}").fetchall()
        return [(opcode, p2) for _, opcode, _, p2, *_ in program if opcode.startswith("Open")]

    assert [("OpenRead", root)] == opened("SELECT n FROM t")
    assert [("OpenWrite", root)] == opened("INSERT INTO t VALUES (1)")
