"""Real connections, and the driver's calls on them.

A call of the driver is one call of C code, and yet others can come in between: where SQLite waits for a lock, between
the statements of a script, between the rows of an executemany outside a transaction, and where the driver draws the
next row from an iterator of the client's. Each call that may stop at such a place runs in a greenlet of its own, which
is left from inside SQLite's busy handler, a trace callback or the iterator, and later entered again::

    world        call              SQLite
      ── go ──▶  execute(...) ──▶  ... BUSY ──▶ busy handler
      ◀───────────────── WAITS ─────────────────────┘
      ── again (1), or: your time is over (0) ──────▶  tries again, or answers BUSY
      ◀───────────────── done ──────────

So nothing about waiting is modelled: a waiting call holds what SQLite holds then (in a rollback journal RESERVED or
PENDING), and goes on as SQLite goes on.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from attrs import define, field
from greenlet import getcurrent, greenlet

from treadle.values.bound import ToConvert
from treadle.values.errors import UnsupportedOperationError
from treadle.values.operation import Kind, Operation
from treadle.world.clock import Clock
from treadle.world.holding import Lock, Stop, StopKind
from treadle.world.library import BUSY_HANDLER, TRACER, UNTOUCHED_ROWID, Library
from treadle.world.patience import Timer

_NOT_FOR_SQLITE = frozenset({"timeout", "factory", "check_same_thread", "uri", "database", "converters", "mode"})
_DEFAULT_TIMEOUT_S = 5.0
_AGAIN = 1
_GIVE_UP = 0
_IN_MODE_WAL = (Lock.NONE, Lock.READ, Lock.WRITE)


def driver_errors(driver: ModuleType) -> tuple[type[Exception], ...]:
    """Return what a driver raises for an operation, to be shown to the client."""
    return (driver.Error, driver.Warning, ValueError, TypeError, OverflowError)


def name_of(path: Path, options: Mapping[str, Any]) -> str:
    """Return the URI by which a file is opened (https://www.sqlite.org/uri.html).

    Args:
        path: of the file, absolute.
        options: of the connection, of which ``mode`` is ``ro`` if it only reads.
    """
    mode = options.get("mode")
    return path.as_uri() + (f"?mode={mode}" if mode else "")


def arguments_of(path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with which the driver opens a file as a client asked for it, but never waits by itself."""
    given = {name: value for name, value in options.items() if name not in _NOT_FOR_SQLITE}
    return {"database": name_of(path, options), "timeout": 0, "check_same_thread": False, "uri": True, **given}


def timeout_of(options: Mapping[str, Any]) -> int:
    """Return how long a connection waits that a client opens with these options, in milliseconds."""
    return max(0, int(options.get("timeout", _DEFAULT_TIMEOUT_S) * 1000))


class _UndrawnError(Exception):
    """The client's iterator has failed: the driver gives its executemany up."""


@define(eq=False)
class Done:
    """How a call has ended.

    Attributes:
        rows: what it returned.
        error: what it raised, or None.
    """

    rows: Any = None
    error: Exception | None = None


class Call:
    """One call of the driver, which may stop before it is done.

    Attributes:
        cursor: the number of the cursor that it was made on, or None.
        at: where it has stopped, or None.
    """

    def __init__(self, act: Any, errors: tuple[type[Exception], ...], cursor: int | None) -> None:
        """Prepare a call.

        Args:
            act: makes it.
            errors: what it may raise.
            cursor: the number of its cursor.
        """
        self.cursor = cursor
        self.at: Stop | None = None
        self._act = act
        self._errors = errors
        self._greenlet = greenlet(self._body)

    def _body(self, _: object = None) -> Done:
        try:
            return Done(self._act())
        except _UndrawnError:
            return Done()
        except self._errors as error:
            return Done(error=error.with_traceback(None))

    def go(self, answer: object = None) -> Done | Stop:
        """Go on with an answer to what it has stopped for."""
        self._greenlet.parent = getcurrent()
        end: Done | Stop = self._greenlet.switch(answer)
        self.at = end if isinstance(end, Stop) else None
        return end

    def is_running(self) -> bool:
        """Tell whether it is what runs now."""
        return bool(getcurrent() is self._greenlet)

    @staticmethod
    def stop(at: Stop) -> Any:
        """Stop the call that runs now, until it is to go on, and return the answer."""
        outer = getcurrent().parent
        assert outer is not None
        return outer.switch(at)


@define(eq=False)
class Connection:
    """One real connection.

    Attributes:
        real: the driver's connection.
        library: its SQLite.
        journal: the journal mode of its database.
        timeout_ms: how long SQLite would wait for a lock.
        timer: interrupts a call that computes for too long.
        cursors: its cursors, by the client's number.
        calls: its calls that have stopped, innermost last.
        closed: the client has closed it, and statements that were under way then still are.
        gone: the client has closed it, and that is all there was.
        patient: a call that SQLite lets wait does wait; otherwise its time is over at once.
        waited: SQLite would have waited where a call cannot stop.
    """

    real: Any
    library: Library
    journal: str
    timeout_ms: int
    timer: Timer
    cursors: dict[int, Any] = field(factory=dict)
    calls: list[Call] = field(factory=list)
    closed: bool = False
    gone: bool = False
    patient: bool = True
    waited: bool = False
    _handler: Any = None
    _tracer: Any = None
    _sql: str | None = None
    _sql_of_call: str | None = None
    _statements: int = 0
    _converters: tuple[str, ...] = ()

    @classmethod
    def open(
        cls, path: Path, operation: Operation, clock: Clock, library: Library, journal: str, *, max_step_s: float
    ) -> Connection:
        """Open a connection as a client asked for it; nothing is read yet.

        Args:
            path: the database file.
            operation: the client's.
            clock: the time of day of its SQL.
            library: SQLite.
            journal: the journal mode of the database.
            max_step_s: how long one call may compute, in seconds.
        """
        real = library.driver.connect(**arguments_of(path, operation.payload))
        clock.install(real)
        timeout_ms = timeout_of(operation.payload)
        made = cls(real, library, journal, timeout_ms, Timer(real, library, max_step_s))
        made._handler = BUSY_HANDLER(made._on_busy)  # of this class
        made._tracer = TRACER(made._on_statement)  # likewise
        made._converters = operation.payload.get("converters", ())  # likewise
        made._arm()  # likewise
        return made

    def _arm(self) -> None:
        """Let SQLite call the busy handler, where it would wait at all."""
        self.library.set_busy_handler(self.real, self._handler if self.timeout_ms > 0 else None)

    # What SQLite calls back.

    def _on_busy(self, _: object, __: int) -> int:
        call = self.calls[-1] if self.calls else None
        if not self.patient:
            return _GIVE_UP
        if call is None or not call.is_running():
            self.waited = True
            return _GIVE_UP
        # The driver keeps statements that it has prepared. Whether the implicit BEGIN waits or the preparation
        # makes no difference to anyone: both are the wait of the one statement that was asked for.
        return int(call.stop(Stop(StopKind.WAITS, self._sql_of_call or self._sql)))

    def _on_statement(self, _: int, __: object, statement: int, text: int) -> int:
        sql = self.library.text_of(statement)
        if (ctypes.string_at(text) if text else b"").decode("utf-8", "surrogateescape") != sql:
            return 0  # a trigger's
        self._statements += 1
        call = self.calls[-1] if self.calls else None
        if self.patient and call is not None and call.is_running() and self._pauses():
            call.stop(Stop(StopKind.PAUSES, sql))
        self._sql = sql
        return 0

    def _pauses(self) -> bool:
        """Tell whether others can come in before the statement that is about to begin."""
        script = self._sql_of_call is None
        return script or (self._statements > 1 and not self.library.in_transaction(self.real))

    # What it is like.

    def lock(self) -> Lock:
        """Return the strongest lock that it holds."""
        if self.gone:
            return Lock.NONE
        if self.journal == "wal":
            return _IN_MODE_WAL[max(0, self.library.transaction(self.real))]
        return Lock(self.library.file_lock(self.real))

    def under_way(self) -> frozenset[int]:
        """Return the cursors whose statements are not finished."""
        is_under_way = self.library.is_under_way
        return frozenset([number for number, cursor in self.cursors.items() if is_under_way(cursor)])

    def keeping(self) -> frozenset[int]:
        """Return the cursors that keep a statement, finished or not."""
        keeps = self.library.keeps_statement
        return frozenset([number for number, cursor in self.cursors.items() if keeps(cursor)])

    def stopped(self) -> Stop | None:
        """Return where its innermost call has stopped."""
        return self.calls[-1].at if self.calls else None

    # What is done with it.

    def perform(self, operation: Operation, *, stoppable: bool, timeout: bool) -> Done | Stop:
        """Make the driver's call for an operation, or go on with it.

        Args:
            operation: what is asked.
            stoppable: the call may stop.
            timeout: its statement sets or tells the busy timeout.

        Raises:
            UnsupportedOperationError: the operation cannot be checked.
        """
        self.timer.begin()
        if timeout:
            self.library.set_busy_timeout(self.real, self.timeout_ms)
        try:
            return self._perform(operation, stoppable=stoppable)
        finally:
            if timeout:
                self.note_timeout()
            self.timer.end()

    def note_timeout(self) -> None:
        """Take over the busy timeout that a statement has set."""
        self.timeout_ms = self.real.execute("PRAGMA busy_timeout").fetchone()[0]
        self._arm()

    def _perform(self, operation: Operation, *, stoppable: bool) -> Done | Stop:
        top = self.calls[-1] if self.calls else None
        if top is not None and top.at is not None and top.at.kind is not StopKind.DRAWS:
            return self._go(top, _AGAIN if self.patient else _GIVE_UP)
        if operation.kind in {Kind.ROW, Kind.END_ROWS}:
            drawing = next(call for call in reversed(self.calls) if call.cursor == operation.cursor)
            self.calls.remove(drawing)
            self.calls.append(drawing)
            self._sql = self._sql_of_call = operation.sql
            return self._go(drawing, operation)
        errors = driver_errors(self.library.driver)
        if not stoppable:
            try:
                return Done(self._act(operation))
            except errors as error:
                return Done(error=error.with_traceback(None))
        call = Call(lambda: self._act(operation), errors, operation.cursor)
        self.calls.append(call)
        self._statements = 0
        self._sql = self._sql_of_call = None if operation.kind is Kind.EXECUTESCRIPT else operation.sql
        traced = operation.kind in {Kind.EXECUTESCRIPT, Kind.EXECUTEMANY} and operation.arguments is not None
        if traced:
            self.library.set_tracer(self.real, self._tracer)
        return self._go(call, None)

    def _go(self, call: Call, answer: object) -> Done | Stop:
        end = call.go(answer)
        if isinstance(end, Done):
            self.calls.remove(call)
            if not self.gone:
                self.library.set_tracer(self.real, None)
        return end

    def _act(self, operation: Operation) -> Any:
        kind = operation.kind
        if kind is Kind.CONFIGURE:
            return self._configure(operation)
        cursor = self.cursor(operation)
        if cursor is None:
            return self._control(kind, operation.arguments)
        if operation.sql is not None:
            self._run(cursor, kind, operation.sql, operation.arguments)
            return None
        if kind is not Kind.CLOSE_CURSOR:
            return _fetch(cursor, kind, operation.arguments)
        self.cursors.pop(operation.cursor or 0).close()
        if self.closed:
            self._let_go()
        return None

    def cursor(self, operation: Operation) -> Any:
        """Return the cursor of an operation, made if it is not there; None if it has none."""
        if operation.cursor is None:
            return None
        cursor = self.cursors.get(operation.cursor)
        if cursor is None:
            cursor = self.cursors[operation.cursor] = self.real.cursor()
        return cursor

    def _run(self, cursor: Any, kind: Kind, sql: str, arguments: Any) -> None:
        with self._leaving_conversions():
            self._execute(cursor, kind, sql, arguments)

    @contextlib.contextmanager
    def _leaving_conversions(self) -> Iterator[None]:
        """Let values that the client has converters for come as they are: a statement takes its converters with it."""
        known: dict[str, Any] = self.library.driver.converters
        before = {name: known.get(name) for name in self._converters}
        known.update({name: functools.partial(ToConvert, name) for name in before})
        try:
            yield
        finally:
            for name, converter in before.items():
                if converter is None:
                    del known[name]
                else:
                    known[name] = converter

    def _execute(self, cursor: Any, kind: Kind, sql: str, arguments: Any) -> None:
        if kind is Kind.EXECUTE:
            cursor.execute(sql, arguments)
        elif kind is Kind.EXECUTESCRIPT:
            cursor.executescript(sql)
        else:
            cursor.executemany(sql, _Rows() if arguments is None else arguments)

    def _control(self, kind: Kind, alive: tuple[int, ...]) -> tuple[int, ...] | None:
        if kind is Kind.COMMIT:
            self.real.commit()
        elif kind is Kind.ROLLBACK:
            self.real.rollback()
        elif kind is Kind.CLOSE:
            if getattr(self.real, "autocommit", None) is False and self.real.in_transaction:  # as the driver does
                self.real.execute("ROLLBACK")
            self.cursors = {number: cursor for number, cursor in self.cursors.items() if number in alive}
            return self._let_go()
        return None

    def _let_go(self) -> tuple[int, ...] | None:
        """Close the connection, or leave it until its last statement is gone: SQLite does too, and keeps its locks.

        https://www.sqlite.org/c3ref/close.html says so of ``sqlite3_close_v2``, which the driver calls. A statement is
        gone when no cursor keeps it; that of a cursor that has failed is kept.

        Returns:
            The cursors that keep a statement, if there are any.
        """
        left = tuple(sorted(self.keeping()))
        self.closed = bool(left)
        if not left:
            self.real.close()
            self.gone = True
        return left or None

    def _configure(self, operation: Operation) -> Any:
        name, *values = operation.arguments
        if name == "lastrowid":
            cursor = self.cursor(operation)
            return cursor.lastrowid
        if name in {"isolation_level", "autocommit"}:
            setattr(self.real, name, values[0])
            return None
        positional, named = operation.payload
        if name == "total_changes":
            return self.real.total_changes
        if name == "text_factory":
            self.real.text_factory = positional[0]
            return None
        return getattr(self.real, name)(*positional, **named)

    def inserted_rowid(self) -> int | None:
        """Return the rowid that was inserted since it was marked; None if none was."""
        rowid = self.library.last_rowid(self.real)
        return None if rowid == UNTOUCHED_ROWID else rowid

    # How it ends without its client's doing.

    def rest(self) -> None:
        """Let go of everything but the settings, and commit nothing."""
        if self.gone:
            return
        self.patient = False
        self.library.refuse_commits(self.real, refuse=True)
        try:
            for call in reversed(tuple(self.calls)):
                self._abandon(call)
            if self.gone:  # the call was a close
                return
            for cursor in self.cursors.values():
                with contextlib.suppress(self.library.driver.Error):
                    cursor.close()
            self.cursors.clear()
            if self.real.in_transaction:
                self.real.rollback()
            if self.real.in_transaction and getattr(self.real, "autocommit", None) is True:
                self.real.execute("ROLLBACK")  # rollback() does nothing then
        finally:
            self.patient = True
            if not self.gone:
                self.library.refuse_commits(self.real, refuse=False)

    def _abandon(self, call: Call) -> None:
        """Let a call that has stopped end; what it still writes is not committed."""
        while call.at is not None:
            self.library.interrupt(self.real)
            give_up: object = _GIVE_UP
            if call.at.kind is StopKind.DRAWS:
                give_up = None
            call.go(give_up)
        self.calls.remove(call)
        if not self.gone:
            self.library.set_tracer(self.real, None)

    def close(self) -> None:
        """Close the connection, and commit nothing."""
        if not self.gone:
            self.rest()
        if not self.gone:
            self.real.close()
            self.gone = True


class _Rows:
    """The rows of an executemany, each drawn from the client when the driver wants it."""

    def __iter__(self) -> _Rows:
        return self

    def __next__(self) -> Any:
        operation = Call.stop(Stop(StopKind.DRAWS, None))
        if operation is None or (operation.kind is Kind.END_ROWS and operation.arguments):
            raise _UndrawnError
        if operation.kind is Kind.END_ROWS:
            raise StopIteration
        return operation.arguments[0]


def _fetch(cursor: Any, kind: Kind, arguments: Any) -> tuple[Any, ...]:
    if kind is Kind.FETCHONE:
        row = cursor.fetchone()
        return () if row is None else (row,)
    return tuple(cursor.fetchall() if kind is Kind.FETCHALL else cursor.fetchmany(*arguments))


def refused(operation: Operation, why: str) -> UnsupportedOperationError:
    """Return the error for an operation that cannot be checked."""
    return UnsupportedOperationError(
        f"{operation}: {why}. Leave the statement out of the code that clients run, or do it in the database's seed."
    )
