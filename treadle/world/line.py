"""Lines: real connections, and the driver's calls on them."""

from __future__ import annotations

import contextlib
import functools
import gc
import re
import sqlite3
from pathlib import Path
from typing import Any

from attrs import define, field

from treadle.values.errors import UnsupportedOperationError
from treadle.values.operation import Kind, Operation
from treadle.world.clock import Clock
from treadle.world.effects import BUSY_TIMEOUT

DRIVER_ERRORS = (sqlite3.Error, sqlite3.Warning, ValueError, TypeError, OverflowError)
"""What the driver raises for an operation, to be shown to the client."""

_LOCKING_MODE = re.compile(r"\s*PRAGMA\s+(?:\w+\.)?locking_mode\s*[=(]\s*'?EXCLUSIVE", re.IGNORECASE)
_NOT_FOR_SQLITE = frozenset({"timeout", "factory", "check_same_thread", "uri", "database"})


def is_under_way(cursor: sqlite3.Cursor) -> bool:
    """Tell whether a cursor's statement is not finished.

    The driver lets go of a cursor's statement when it is finished, and the garbage collector knows who refers to
    whom (a test compares this with the locks that SQLite holds).
    """
    for thing in gc.get_referents(cursor):  # noqa: SIM110  # asked at every operation: a generator takes thrice as long
        if type(thing).__name__ == "Statement":
            return True
    return False


@define(eq=False)
class Line:
    """One real connection.

    It never waits: its own timeout is 0, since waiting is for the scheduler to see.

    Attributes:
        real: the driver's connection.
        autocommit_off: the driver keeps a transaction open (``autocommit=False``).
        warm: SQLite had read the schema when the connection was opened.
        cursors: its cursors, by the client's number.
        closed: the client has closed it, and statements that were under way then still are.
        gone: the client has closed it, and that is all there was.
    """

    real: sqlite3.Connection
    autocommit_off: bool
    warm: bool
    cursors: dict[int, sqlite3.Cursor] = field(factory=dict)
    closed: bool = False
    gone: bool = False

    @classmethod
    def connect(cls, path: Path, operation: Operation, clock: Clock) -> Line:
        """Open a connection as a client asked for it, but for the timeout."""
        options = {name: value for name, value in operation.payload.items() if name not in _NOT_FOR_SQLITE}
        real = sqlite3.connect(path, timeout=0, check_same_thread=False, **options)
        clock.install(real)
        # SQLite reads the schema before the first statement that needs it, and then keeps it. Reading it now makes
        # all connections alike; where that cannot be (another client is about to commit), the log tells them apart.
        warm = False
        with contextlib.suppress(sqlite3.OperationalError):
            real.execute("EXPLAIN SELECT 1 FROM sqlite_schema").close()
            warm = True
        return cls(real, autocommit_off=options.get("autocommit") is False, warm=warm)

    def under_way(self) -> frozenset[int]:
        """Return the cursors whose statements are not finished."""
        return frozenset([number for number, cursor in self.cursors.items() if is_under_way(cursor)])

    def still_active(self, operation: Operation, before: frozenset[int]) -> object:
        """Return what tells, with the cursors that were under way before an operation, which ones are now.

        A call on one cursor does nothing to the statements of others.
        """
        if operation.cursor is None:
            return self.under_way() if before else before
        cursor = self.cursors.get(operation.cursor)
        return cursor is not None and is_under_way(cursor)

    def rest(self) -> None:
        """Let go of everything but the settings, and commit nothing."""
        if not self.real.in_transaction and self.under_way():
            # To close an unfinished INSERT ... RETURNING without a transaction around it would commit it.
            self.real.interrupt()
            for number in self.under_way():
                with contextlib.suppress(sqlite3.Error):
                    self.cursors[number].fetchall()
        for cursor in self.cursors.values():
            cursor.close()
        self.cursors.clear()
        if self.real.in_transaction:
            self.real.rollback()

    def close(self) -> None:
        """Close the connection, and commit nothing."""
        self.rest()
        self.real.close()

    def cursor(self, operation: Operation) -> sqlite3.Cursor | None:
        """Return the cursor of an operation, made if it is not there."""
        if operation.cursor is None:
            return None
        cursor = self.cursors.get(operation.cursor)
        if cursor is None:
            cursor = self.cursors[operation.cursor] = self.real.cursor()
        return cursor

    def end_statement(self, operation: Operation) -> None:
        """Close the cursor of an operation that failed: SQLite has reset its statement, but the driver keeps it."""
        cursor = self.cursors.pop(operation.cursor, None) if operation.cursor is not None else None
        if cursor is not None:
            cursor.close()

    def call(self, operation: Operation) -> Any:
        """Make the driver's call for an operation, and return the rows or the value that it gives.

        Raises:
            UnsupportedOperationError: the operation cannot be checked.
            sqlite3.Error, ValueError, TypeError, OverflowError: what the driver raises.
        """
        kind = operation.kind
        if kind is Kind.CONFIGURE:
            return self._configure(operation)
        cursor = self.cursor(operation)
        if cursor is None:
            return self._control(kind)
        if operation.sql is not None:
            _run(cursor, kind, operation.sql, operation.arguments)
            return None
        if kind is not Kind.CLOSE_CURSOR:
            return _fetch(cursor, kind, operation.arguments)
        self.cursors.pop(operation.cursor or 0).close()
        if self.closed:
            self._let_go()
        return None

    def _control(self, kind: Kind) -> tuple[int, ...] | None:
        if kind is Kind.COMMIT:
            self.real.commit()
        elif kind is Kind.ROLLBACK:
            self.real.rollback()
        elif kind is Kind.CLOSE:
            if self.autocommit_off and self.real.in_transaction:  # as the driver does
                self.real.execute("ROLLBACK")
            return self._let_go()
        return None

    def _let_go(self) -> tuple[int, ...] | None:
        """Close the connection, or leave it until its last statement is over: SQLite does too, and keeps its locks.

        https://www.sqlite.org/c3ref/close.html says so of ``sqlite3_close_v2``, which the driver calls.

        Returns:
            The cursors whose statements are under way, if there are any.
        """
        left = tuple(sorted(self.under_way()))
        self.closed = bool(left)
        if not left:
            self.real.close()
            self.gone = True
        return left or None

    def _configure(self, operation: Operation) -> Any:
        name, *values = operation.arguments
        if name == "lastrowid":
            cursor = self.cursor(operation)
            assert cursor is not None
            return cursor.lastrowid
        if name in {"isolation_level", "autocommit"}:
            setattr(self.real, name, values[0])
            self.autocommit_off = getattr(self.real, "autocommit", None) is False
            return None
        positional, named = operation.payload
        if name == "total_changes":
            return self.real.total_changes
        if name == "text_factory":
            self.real.text_factory = positional[0]
            return None
        return getattr(self.real, name)(*positional, **named)


def _fetch(cursor: sqlite3.Cursor, kind: Kind, arguments: Any) -> tuple[Any, ...]:
    if kind is Kind.FETCHONE:
        row = cursor.fetchone()
        return () if row is None else (row,)
    return tuple(cursor.fetchall() if kind is Kind.FETCHALL else cursor.fetchmany(*arguments))


@functools.lru_cache(maxsize=10_000)
def _busy_timeout(sql: str) -> int | None:
    """Return the number that a ``PRAGMA busy_timeout`` sets or 0, or None for another statement.

    Raises:
        UnsupportedOperationError: the statement cannot be checked.
    """
    if _LOCKING_MODE.match(sql):
        raise UnsupportedOperationError(
            f"{sql!r}: a connection in exclusive locking mode never lets go of its locks, and cannot be "
            "checked beside others. Leave the PRAGMA out for the check."
        )
    timeout = BUSY_TIMEOUT.fullmatch(sql)
    return int(timeout[1] or 0) if timeout else None


def _run(cursor: sqlite3.Cursor, kind: Kind, sql: str, arguments: Any) -> None:
    timeout_ms = _busy_timeout(sql)
    if timeout_ms is not None:  # only the answer is real
        cursor.execute("SELECT ? AS timeout", (timeout_ms,))
    elif kind is Kind.EXECUTE:
        cursor.execute(sql, arguments)
    elif kind is Kind.EXECUTEMANY:
        cursor.executemany(sql, arguments)
    else:
        cursor.executescript(sql)
