"""The slow truth: every interleaving of single database calls, in real threads, on a real database.

Nothing of the checker is used here. Each client runs in a thread of its own with a driver connection of its own,
and makes one database call when it is told to. Whether a call that met ``database is locked`` would have waited is
not reasoned about: SQLite calls the busy handler, or does not.

The rules of waiting, in one place: a client that waits makes its call again after another client has made one; if
all unfinished clients wait, the timeout of the longest waiter expires.
"""

from __future__ import annotations

import _thread
import contextlib
import random
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.truth.library import BusyHandler
from tests.truth.programs import SCHEMA, TABLES, Case, play

Outcome = tuple[tuple[Any, ...], ...]
"""How each client ended, and the committed rows of each table."""


_PATIENCE_S = 5.0


class _Abandoned(BaseException):
    """Ends a client's thread that is not needed any more."""


def _signal() -> _thread.LockType:
    """Return what one thread acquires when another has released it."""
    lock = _thread.allocate_lock()
    lock.acquire()
    return lock


class _Client:
    """A client in a thread, standing before a call."""

    def __init__(self, path: Path, case: Case, position: int) -> None:
        self._path = path
        self._case = case
        self._position = position
        self._go = _signal()
        self._stopped = _signal()
        self._abandoned = False
        self._expired = False
        self._waits = False
        self._real: sqlite3.Connection | None = None
        self._errors: list[sqlite3.OperationalError] = []
        self.outcome: str | None = None
        self._thread = threading.Thread(target=self._body, daemon=True)
        self._thread.start()
        self._await()

    def _body(self) -> None:
        outcome = "abandoned"
        try:
            connection = _Proxy(self)
            outcome = "returned " + play(
                self._case.programs[self._position],
                self._case.offset(self._position),
                connection,
                connection.put_back,
            )
        except _Abandoned:
            pass
        except sqlite3.Error as error:
            outcome = f"raised {type(error).__name__}: {error}"
        except BaseException as error:  # noqa: BLE001  # a fault of the test itself: it shows as a difference
            outcome = f"broken: {error!r}"
        self._abandoned = True
        del connection
        self.outcome = outcome
        self._stopped.release()

    def connect(self) -> sqlite3.Connection:
        level: Any = "" if self._case.transactions == "legacy" else None
        real = sqlite3.connect(self._path, timeout=0, isolation_level=level, check_same_thread=False)
        self._real, self._handler = real, BusyHandler(real)
        with contextlib.suppress(sqlite3.OperationalError):  # a warm connection knows the schema
            real.execute("EXPLAIN SELECT 1 FROM t").close()
        self._handler.was_called()
        return real

    def ask(self, call: Callable[[], Any]) -> Any:
        """Make a call when told to; once more if SQLite would wait."""
        if self._abandoned:
            return None
        while True:
            self._stopped.release()
            self._go.acquire()
            if self._abandoned:
                raise _Abandoned
            self._waits = False
            if self._expired:
                self._expired = False
                raise self._errors.pop()
            try:
                answer = call()
            except sqlite3.OperationalError as error:
                if not self._handler.was_called() or not self._case.busy_timeout_ms:
                    raise
                error.__context__ = None  # frames of the client would keep cursors alive, as a traceback would
                self._errors = [error.with_traceback(None)]
                self._waits = True
                continue
            self._handler.was_called()
            return answer

    def step(self, *, expire: bool = False) -> bool:
        """Let the client make its next call, and return whether it waits now."""
        self._expired = expire
        self._go.release()
        self._await()
        return self._waits

    def _await(self) -> None:
        """Wait until the client stands before its next call, or has ended."""
        if not self._stopped.acquire(timeout=_PATIENCE_S):
            raise AssertionError(f"client {self._position} of {self._case} hangs")

    def roll_back(self) -> None:
        """Give up a transaction that was left open: where its COMMIT was refused, nobody could read beside it."""
        with contextlib.suppress(sqlite3.ProgrammingError):  # it is closed
            if self._real is not None:
                self._real.rollback()

    def end(self) -> None:
        """End the thread and close the connection."""
        if self.outcome is None:
            self._abandoned = True
            self._go.release()
        self._thread.join(_PATIENCE_S)
        if self._real is not None:
            self._real.close()


class _Proxy:
    """A connection whose every call is made when the client is told to."""

    def __init__(self, client: _Client) -> None:
        self._client = client
        self._real: sqlite3.Connection = client.ask(client.connect)
        self.closed = False

    def cursor(self) -> _Cursor:
        return _Cursor(self, self._real.cursor())

    def ask(self, call: Callable[[], Any]) -> Any:
        self.require_open()
        return self._client.ask(call)

    def require_open(self) -> None:
        if self.closed:
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")

    def collect(self, call: Callable[[], None]) -> None:
        """Make a call that is made on a closed connection, too."""
        self._client.ask(call)

    def commit(self) -> None:
        self.ask(self._real.commit)

    def rollback(self) -> None:
        self.ask(self._real.rollback)

    def close(self) -> None:
        if not self.closed:
            self.ask(self._real.close)
            self.closed = True

    def put_back(self) -> None:
        """Roll back, as a pool does; a connection that was closed is of no use to it."""
        if not self.closed:
            self.rollback()


class _Cursor:
    """A cursor, likewise; to be collected counts as a call."""

    def __init__(self, connection: _Proxy, real: sqlite3.Cursor) -> None:
        self._connection = connection
        self._real: sqlite3.Cursor | None = real
        self._open = False

    def execute(self, sql: str, parameters: Any = ()) -> None:
        assert self._real is not None
        real = self._real
        if self._open:
            self._reset()
        self._open = True
        self._connection.ask(lambda: real.execute(sql, parameters))
        self._open = real.description is not None

    def _reset(self) -> None:
        """Wait for a turn before the driver resets the statement: what it drops may be taken by others."""
        real = self._real
        assert real is not None
        self._connection.ask(lambda: real.execute("-- nothing"))

    @property
    def rowcount(self) -> int:
        assert self._real is not None
        return self._real.rowcount

    def fetchone(self) -> Any:
        assert self._real is not None
        row = self._connection.ask(self._real.fetchone)
        self._open = row is not None
        return row

    def fetchall(self) -> Any:
        assert self._real is not None
        self._open = False
        return self._connection.ask(self._real.fetchall)

    def close(self) -> None:
        self._connection.require_open()
        real, self._real = self._real, None
        if real is None:
            return
        if self._open:
            self._connection.ask(real.close)
        else:
            real.close()

    def __del__(self) -> None:
        if self._open and self._real is not None:
            self._connection.collect(self._let_go)

    def _let_go(self) -> None:
        """Let the driver's cursor be collected right now."""
        self._real = None


class _Execution:
    """One execution, under one list of decisions."""

    def __init__(self, directory: Path, template: bytes, case: Case) -> None:
        self._path = directory / "brute.db"
        for suffix in ("", "-wal", "-shm", "-journal"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._path.write_bytes(template)
        self._observer = sqlite3.connect(self._path, isolation_level=None)
        self._observer.execute("SELECT * FROM t").fetchall()  # the last connection to close would checkpoint
        self._clients = [_Client(self._path, case, position) for position in range(len(case.programs))]
        self._waiting: list[int] = []
        self._retries: set[int] = set()

    def able(self) -> list[int]:
        """Return the clients that can make a call now."""
        alive = [position for position, client in enumerate(self._clients) if client.outcome is None]
        able = [position for position in alive if position not in self._waiting or position in self._retries]
        return able or self._waiting[:1]

    def step(self, position: int) -> None:
        expires = position in self._waiting and position not in self._retries
        if self._clients[position].step(expire=expires):
            self._retries.discard(position)
            if position not in self._waiting:
                self._waiting.append(position)
            return
        if position in self._waiting:
            self._waiting.remove(position)
        self._retries.discard(position)
        if not expires:
            self._retries |= set(self._waiting)

    def outcome(self) -> Outcome:
        ends = tuple(client.outcome or "" for client in self._clients)
        for client in self._clients:
            client.roll_back()
        return (ends, *(tuple(self._observer.execute(f"SELECT * FROM {table} ORDER BY 1")) for table in TABLES))

    def close(self) -> None:
        for client in self._clients:
            client.end()
        self._observer.close()


def make_template(path: Path, journal: str) -> bytes:
    """Make a database with the schema of the programs, and return its bytes."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    for statement in SCHEMA:
        connection.execute(statement)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path.read_bytes()


def all_outcomes(case: Case, directory: Path, most: int) -> tuple[set[Outcome], bool]:
    """Return the outcomes of all interleavings, and whether these are really all.

    Args:
        case: what runs.
        directory: an empty directory; what it holds afterwards is of no use.
        most: how many interleavings are tried; where there are more, a random choice of them.
    """
    template = make_template(directory / "template.db", case.journal)
    outcomes: set[Outcome] = set()
    todo: list[list[int]] = [[]]
    dice = random.Random(0)
    for _ in range(most):
        if not todo:
            break
        place = dice.randrange(len(todo))
        todo[place], todo[-1] = todo[-1], todo[place]
        path = todo.pop()
        execution = _Execution(directory, template, case)
        try:
            for position in path:
                execution.step(position)
            while able := execution.able():
                dice.shuffle(able)
                todo += [[*path, other] for other in able[1:]]
                path.append(able[0])
                execution.step(able[0])
            outcomes.add(execution.outcome())
        finally:
            execution.close()
    return outcomes, not todo
