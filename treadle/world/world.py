"""A live world: one real SQLite database, one real connection for each connection of a client."""

from __future__ import annotations

import contextlib
import gc
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from treadle.interning import intern_observation
from treadle.values.errors import TreadleError, UnsupportedOperationError
from treadle.values.fault import LockKind
from treadle.values.instant import START
from treadle.values.observation import BUSY_SNAPSHOT, LOCKED, Failure, Observation
from treadle.values.operation import RUNS_SQL, Kind, Operation
from treadle.values.signals import LogsNeededError
from treadle.world.clock import Clock
from treadle.world.content import Content, Library, bring_back
from treadle.world.effects import NOTHING, Effects, Lexicon
from treadle.world.holding import Holding, Lock
from treadle.world.state import IDLE, Book, Key, Result, Transition, WorldState

_BUSY_TIMEOUT = re.compile(r"\s*PRAGMA\s+(?:\w+\.)?busy_timeout\s*(?:[=(]\s*(\d+)\s*\)?)?\s*;?\s*", re.IGNORECASE)
_LOCKING_MODE = re.compile(r"\s*PRAGMA\s+(?:\w+\.)?locking_mode\s*[=(]\s*'?EXCLUSIVE", re.IGNORECASE)
_NOT_FOR_SQLITE = frozenset({"timeout", "factory", "check_same_thread", "uri", "database"})
_DRIVER_ERRORS = (sqlite3.Error, sqlite3.Warning, ValueError, TypeError, OverflowError)
_SPARES = 4
_DEFAULT_TIMEOUT_S = 5.0


@frozen
class Template:
    """The database as it is before any client starts.

    Attributes:
        path: the file; nobody writes to it any more.
        journal: its journal mode.
    """

    path: Path
    journal: str


def _under_way(cursor: sqlite3.Cursor) -> bool:
    """Tell whether a cursor's statement is not finished.

    The driver lets go of a cursor's statement when it is finished, and the garbage collector knows who refers to
    whom (a test compares this with the locks that SQLite holds).
    """
    return any(type(thing).__name__ == "Statement" for thing in gc.get_referents(cursor))


@define(eq=False)
class _Line:
    """One real connection."""

    real: sqlite3.Connection
    autocommit_off: bool
    warm: bool
    cursors: dict[int, sqlite3.Cursor] = field(factory=dict)

    def under_way(self) -> frozenset[int]:
        """Return the cursors whose statements are not finished."""
        return frozenset(number for number, cursor in self.cursors.items() if _under_way(cursor))

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


class World:
    """A live world, always in one state.

    Attributes:
        state: where it is.
        executed: how many operations were carried out.
    """

    def __init__(self, template: Template, directory: Path, book: Book, library: Library) -> None:
        """Copy the template into a directory of this world's own, and open it.

        Args:
            template: what the database starts as.
            directory: an empty directory.
            book: where states are interned; worlds that share it can be compared.
            library: where contents are interned, likewise.
        """
        self.journal = template.journal
        self.executed = 0
        self._template = template
        self._book = book
        self._library = library
        self._path = directory / "world.db"
        self._lines: dict[Key, _Line] = {}
        self._spares: dict[int, list[_Line]] = {}
        self._clock = Clock(START)
        shutil.copyfile(template.path, directory / "lexicon.db")
        self._explainer = self._open(directory / "lexicon.db")
        self._lexicon = Lexicon(self._explainer)
        self._load()

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)

    def _load(self) -> None:
        """Start over from the template."""
        shutil.copyfile(self._template.path, self._path)
        self._observer = self._open(self._path)
        self._observer.execute("PRAGMA synchronous = OFF")
        self._version: int | None = None
        self.content = self._library.read(self._observer)
        self.state = self._book.state(self.content, {})

    def _unload(self) -> None:
        for line in [*self._lines.values(), *(line for spares in self._spares.values() for line in spares)]:
            self._close(line)
        self._lines.clear()
        self._spares.clear()
        self._observer.close()
        for suffix in ("", "-wal", "-shm", "-journal"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Close every connection."""
        self._unload()
        self._explainer.close()
        self._clock.close()

    @staticmethod
    def _close(line: _Line) -> None:
        line.rest()
        line.real.close()

    # Carrying out operations.

    def effects(self, operation: Operation, schema: int) -> Effects:
        """Return what an operation's statement does to locks.

        Args:
            operation: any operation.
            schema: the number of the schema under which it would run.

        Raises:
            LogsNeededError: it asks for what the book forgets.
        """
        if operation.sql is None:
            if operation.kind is Kind.CONFIGURE and operation.arguments[0] == "total_changes":
                self._need_logs()
            return NOTHING
        if _BUSY_TIMEOUT.fullmatch(operation.sql):
            return Effects(setting=True)
        if operation.kind is Kind.EXECUTESCRIPT:
            effects = self._lexicon.effects_of_script(operation.sql, schema)
        else:
            arguments = operation.arguments
            if operation.kind is Kind.EXECUTEMANY:
                arguments = arguments[0] if arguments else ()
            effects = self._lexicon.effects(operation.sql, arguments, schema)
        if effects.session_functions:
            self._need_logs()
        return effects

    def _need_logs(self) -> None:
        if not self._book.keep_logs:
            raise LogsNeededError

    def _effects_here(self, key: Key, operation: Operation) -> Effects:
        """Return the effects, compiled on the connection itself where the template's schema does not do."""
        effects = self.effects(operation, self.content.schema.number)
        if effects.known or operation.kind is not Kind.EXECUTE or operation.sql is None:
            return effects
        return Lexicon(self._lines[key].real).effects(operation.sql, operation.arguments)

    def perform(self, key: Key, operation: Operation, *, outside: bool = False) -> Transition:
        """Carry out an operation, and move to the state after it.

        Args:
            key: the connection.
            operation: what is asked of it.
            outside: a process outside holds the lock that the operation needs, for as long as it runs.
        """
        before = self.state.holding(key)
        effects = self._effects_here(key, operation)
        if effects.escapes:
            raise UnsupportedOperationError(
                f"{operation}: {effects.escapes}. Leave the statement out of the code that clients run, or do it in "
                "the database's seed."
            )
        self.executed += 1
        self._clock.clock_s = operation.clock_s
        if self._version is None:
            self._version = self._data_version()
        with self._outside_lock(before) if outside else contextlib.nullcontext(enter_result=True) as executes:
            if executes:
                observation, line, changes = self._carry_out(key, operation, effects)
            else:
                line, changes = self._lines[key], 0
                observation = intern_observation(Observation(failure=LOCKED, in_transaction=line.real.in_transaction))
        kind = self._why_busy(before, effects, observation, self.state.other_locks(key))
        waits = kind is LockKind.TIMEOUT and before.busy_timeout_ms > 0 and not outside
        if waits and changes:
            raise UnsupportedOperationError(
                f"{operation}: SQLite would wait for a lock in the middle of an executemany or script, after "
                f"{changes} changed rows, and cannot be stopped there. Begin a transaction around it."
            )
        if outside and observation.failure is None:
            raise AssertionError(f"{operation} succeeded although a process outside held the lock")
        after = self._holding_after(before, operation, effects, observation, line, waits=waits, outside=outside)
        committed = self._note_commits(before, effects, after)
        result = Result(
            observation,
            None if operation.kind is Kind.CLOSE and observation.failure is None else after,
            self.content,
            committed=committed and self.journal == "wal",  # elsewhere nobody commits beside a reader
            waits=waits,
            lock_kind=LockKind.OUTSIDE if outside else kind,
        )
        transition = self._book.apply(self.state, key, result)
        self.state = transition.after
        return transition

    def repeat(self, key: Key, operation: Operation, after: WorldState, *, outside: bool = False) -> bool:
        """Carry out an operation again, in the state in which it was performed before.

        Args:
            key: the connection.
            operation: what is asked of it.
            after: where it led to.
            outside: as for ``perform``.

        Returns:
            Whether it did what it did before, as far as the connection shows: a cheap test. Every history that
            matters for a verdict is compared in full when it is confirmed.
        """
        self._clock.clock_s = operation.clock_s
        lock = self._outside_lock(self.state.holding(key)) if outside else contextlib.nullcontext(enter_result=True)
        with lock as executes:
            if operation.kind is Kind.CONNECT:
                self._lines[key] = self._connect(operation)
            line = self._lines[key]
            try:
                cursor = None if operation.cursor is None else self._cursor(line, operation)
                if executes:
                    self._call(line, cursor, operation)
            except _DRIVER_ERRORS:
                self._end_statement(line, operation)
        self._version = None
        self.state = after
        self.content = after.content
        if operation.kind is Kind.CLOSE:
            return self._lines.pop(key, None) is line
        held = after.holdings[key]
        return line.real.in_transaction == held.in_transaction

    def vanish(self, client: int, *, only_idle: bool) -> WorldState:
        """Close connections of a client, without its doing, and move to the state after that.

        Args:
            client: its position.
            only_idle: leave those open that hold something.
        """
        holdings = dict(self.state.holdings)
        for key, holding in self.state.holdings.items():
            if key[0] == client and not (only_idle and holding.log):
                line = self._lines.pop(key)
                if only_idle:
                    self._put_by(line, holding)
                else:
                    self._close(line)
                del holdings[key]
        self.state = self._book.state(self.content, holdings)
        return self.state

    def _carry_out(self, key: Key, operation: Operation, effects: Effects) -> tuple[Observation, _Line, int]:
        """Make the driver's call; return what is seen, the connection, and how many rows were changed."""
        if operation.kind is Kind.CONNECT:
            self._lines[key] = self._connect(operation)
        line = self._lines[key]
        real = line.real
        changes = real.total_changes
        rows: Any = None
        cursor: sqlite3.Cursor | None = None
        failure: Failure | None = None
        try:
            if operation.cursor is not None:
                cursor = self._cursor(line, operation)
            rows = self._call(line, cursor, operation)
        except _DRIVER_ERRORS as error:
            failure = Failure.of(error)
            self._end_statement(line, operation)
        if operation.kind is Kind.CLOSE and failure is None:
            del self._lines[key]
            return intern_observation(Observation()), line, 0
        rowcount, lastrowid, description = -1, None, None
        if failure is None and cursor is not None and operation.kind is not Kind.CLOSE_CURSOR:
            rowcount = cursor.rowcount
            if operation.kind in RUNS_SQL:
                description = cursor.description
                lastrowid = self._last_rowid(cursor, operation, effects)
        observation = Observation(rows, rowcount, lastrowid, description, failure, real.in_transaction)
        return intern_observation(observation), line, real.total_changes - changes

    @staticmethod
    def _end_statement(line: _Line, operation: Operation) -> None:
        """Close the cursor of an operation that failed: SQLite has reset its statement, but the driver keeps it."""
        cursor = line.cursors.pop(operation.cursor, None) if operation.cursor is not None else None
        if cursor is not None:
            cursor.close()

    def _last_rowid(self, cursor: sqlite3.Cursor, operation: Operation, effects: Effects) -> int | None:
        """Return the rowid that a statement inserted last, or None if it is no INSERT.

        The driver sets lastrowid after every statement, to whatever the connection inserted last; what it
        documents is that only an INSERT changes it, and so it is here.
        """
        if operation.kind is not Kind.EXECUTE or not effects.inserts:
            return None
        if cursor.rowcount <= 0 and not _under_way(cursor):  # no row: it tells what an earlier statement did
            self._need_logs()
        return cursor.lastrowid

    def _cursor(self, line: _Line, operation: Operation) -> sqlite3.Cursor:
        assert operation.cursor is not None
        cursor = line.cursors.get(operation.cursor)
        if cursor is None:
            cursor = line.cursors[operation.cursor] = line.real.cursor()
        return cursor

    def _call(self, line: _Line, cursor: sqlite3.Cursor | None, operation: Operation) -> Any:
        kind, sql, arguments = operation.kind, operation.sql, operation.arguments
        if kind is Kind.CONFIGURE:
            return self._configure(line, operation)
        if cursor is None:
            if kind is not Kind.CONNECT:
                {Kind.COMMIT: line.real.commit, Kind.ROLLBACK: line.real.rollback, Kind.CLOSE: line.real.close}[kind]()
            return None
        if kind is Kind.CLOSE_CURSOR:
            line.cursors.pop(operation.cursor or 0).close()
            return None
        if sql is None:
            return self._fetch(cursor, kind, arguments)
        if _LOCKING_MODE.match(sql):
            raise UnsupportedOperationError(
                f"{sql!r}: a connection in exclusive locking mode never lets go of its locks, and cannot be "
                "checked beside others. Leave the PRAGMA out for the check."
            )
        timeout = _BUSY_TIMEOUT.fullmatch(sql)
        if timeout:
            # The real connection never waits: waiting is for the scheduler to see. Only the answer is real.
            cursor.execute("SELECT ? AS timeout", (int(timeout[1] or 0),))
        elif kind is Kind.EXECUTE:
            cursor.execute(sql, arguments)
        elif kind is Kind.EXECUTEMANY:
            cursor.executemany(sql, arguments)
        else:
            cursor.executescript(sql)
        return None

    @staticmethod
    def _fetch(cursor: sqlite3.Cursor, kind: Kind, arguments: Any) -> tuple[Any, ...]:
        if kind is Kind.FETCHONE:
            row = cursor.fetchone()
            return () if row is None else (row,)
        return tuple(cursor.fetchall() if kind is Kind.FETCHALL else cursor.fetchmany(*arguments))

    def _connect(self, operation: Operation) -> _Line:
        options = {name: value for name, value in operation.payload.items() if name not in _NOT_FOR_SQLITE}
        real = sqlite3.connect(self._path, timeout=0, check_same_thread=False, **options)
        self._clock.install(real)
        # SQLite reads the schema before the first statement that needs it, and then keeps it. Reading it now makes
        # all connections alike; where that cannot be (another client is about to commit), the log tells them apart.
        warm = False
        with contextlib.suppress(sqlite3.OperationalError):
            real.execute("EXPLAIN SELECT 1 FROM sqlite_schema").close()
            warm = True
        return _Line(real, autocommit_off=options.get("autocommit") is False, warm=warm)

    @staticmethod
    def _configure(line: _Line, operation: Operation) -> Any:
        name, *values = operation.arguments
        if name in {"isolation_level", "autocommit"}:
            setattr(line.real, name, values[0])
            line.autocommit_off = getattr(line.real, "autocommit", None) is False
            return None
        positional, named = operation.payload
        if name == "total_changes":
            return line.real.total_changes
        if name == "text_factory":
            line.real.text_factory = positional[0]
            return None
        return getattr(line.real, name)(*positional, **named)

    # What the connection holds afterwards.

    def _holding_after(
        self,
        before: Holding,
        operation: Operation,
        effects: Effects,
        seen: Observation,
        line: _Line,
        *,
        waits: bool,
        outside: bool,
    ) -> Holding:
        if operation.kind is Kind.CLOSE and seen.failure is None:
            return IDLE
        active = line.under_way()
        holding = frozenset(cursor for cursor in active if self._holds(cursor, before, operation, effects))
        lock = self._lock_after(before, operation, effects, seen, holding)
        savepoints, began, due = before.savepoints, before.savepoint_began, before.first_write_due
        if seen.failure is None:
            if effects.savepoint is not None:
                savepoints, began, due = before.after_savepoint(effects)
            due = due and not effects.writes
        if self._ended(before, operation, effects, seen):
            savepoints, began, due = (), False, False
        timeout_ms, settings, pinned = self._settings_after(before, operation, effects, line, seen)
        clean = lock is Lock.NONE and not active and not savepoints and not pinned
        if clean and seen.in_transaction == line.autocommit_off:
            log = 0
        else:
            log = self._log_after(before, lock, operation, seen, waits=waits, outside=outside)
        return Holding(
            lock=lock,
            in_transaction=seen.in_transaction,
            savepoints=savepoints,
            savepoint_began=began,
            first_write_due=due,
            active=active,
            holding=holding,
            busy_timeout_ms=timeout_ms,
            settings=settings,
            log=log,
            bars_readers=self.journal != "wal" and lock is Lock.WRITE and self._data_version() is None,
            stale=before.stale and lock is Lock.READ and not (operation.kind is Kind.EXECUTESCRIPT and not holding),
            pinned=pinned,
        )

    @staticmethod
    def _ended(before: Holding, operation: Operation, effects: Effects, seen: Observation) -> bool:
        """Tell whether an operation ended a transaction."""
        if before.in_transaction and not seen.in_transaction:
            return True
        ends = operation.kind in {Kind.COMMIT, Kind.ROLLBACK, Kind.EXECUTESCRIPT} or effects.ends
        return before.in_transaction and ends and seen.failure is None

    @staticmethod
    def _holds(cursor: int, before: Holding, operation: Operation, effects: Effects) -> bool:
        """Tell whether a cursor whose statement is under way holds a lock: not if that touches no database."""
        if cursor == operation.cursor and operation.kind in RUNS_SQL:
            return effects.reads or effects.writes or not effects.known
        return cursor in before.holding

    def _lock_after(
        self, before: Holding, operation: Operation, effects: Effects, seen: Observation, holding: frozenset[int]
    ) -> Lock:
        if not seen.in_transaction:
            if not holding:
                return Lock.NONE
            written = before.lock is Lock.WRITE or (effects.writes and seen.failure is None)
            return Lock.WRITE if written and self._write_locked() else Lock.READ
        lock = before.lock
        if self._ended(before, operation, effects, seen):
            lock = Lock.READ if holding else Lock.NONE
        wanted = Lock.WRITE if effects.writes else Lock.READ if effects.reads else Lock.NONE
        failure = seen.failure
        if failure is None:
            return max(lock, wanted)
        if failure.busy or failure.code is None or not effects.known:
            return lock
        if wanted is Lock.WRITE and lock < Lock.WRITE:  # it failed while running: was it running already?
            return Lock.WRITE if self._write_locked() else max(lock, Lock.READ)
        return max(lock, wanted)

    def _write_locked(self) -> bool:
        """Ask SQLite whether some connection holds the write lock."""
        try:
            self._observer.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        self._observer.execute("ROLLBACK")
        return False

    def _settings_after(
        self, before: Holding, operation: Operation, effects: Effects, line: _Line, seen: Observation
    ) -> tuple[int, int, bool]:
        """Return the busy timeout, the number of the settings, and whether the log is pinned."""
        timeout_ms, settings, pinned = before.busy_timeout_ms, before.settings, before.pinned
        if operation.kind is Kind.CONNECT:
            timeout_ms = max(0, int(operation.payload.get("timeout", _DEFAULT_TIMEOUT_S) * 1000))
            pinned = not line.warm
        elif operation.kind is not Kind.CONFIGURE and not effects.setting:
            return timeout_ms, settings, pinned or effects.temporary or self._book.keep_logs
        timeout = _BUSY_TIMEOUT.fullmatch(operation.sql or "")
        if timeout and timeout[1]:
            timeout_ms = int(timeout[1])
        resting = before.lock is Lock.NONE and not before.savepoints and not before.active
        plain = resting and seen.failure is None and before.in_transaction in {False, line.autocommit_off}
        settings = self._book.extend(settings, "setting", operation)
        return timeout_ms, settings, pinned or not (plain or operation.kind is Kind.CONNECT)

    def _log_after(
        self, before: Holding, lock: Lock, operation: Operation, seen: Observation, *, waits: bool, outside: bool
    ) -> int:
        log = before.log
        if log:
            earlier, *entry = self._book.last(log)
            if entry == ["waits", operation]:  # a retry: what waiting did is part of what it does now
                assert isinstance(earlier, int)
                log = earlier
        if waits:
            return self._book.extend(log, "waits", operation)
        snapshot = self.content.number if before.lock is Lock.NONE and lock is not Lock.NONE else None
        return self._book.extend(log, operation, seen, snapshot, outside)

    @staticmethod
    def _why_busy(
        before: Holding, effects: Effects, seen: Observation, others: tuple[tuple[Key, Lock], ...]
    ) -> LockKind | None:
        """Tell why SQLite answered SQLITE_BUSY: it calls the busy handler only where no lock is held yet.

        But for BEGIN EXCLUSIVE beside a cursor of its own that reads: that waits until the others have read.

        https://www.sqlite.org/c3ref/busy_handler.html
        """
        failure = seen.failure
        if failure is None or not failure.busy:
            return None
        if failure.code == BUSY_SNAPSHOT:
            return LockKind.SNAPSHOT
        if effects.exclusive and all(lock is Lock.READ for _, lock in others):
            return LockKind.TIMEOUT
        return LockKind.UPGRADE if before.lock is Lock.READ else LockKind.TIMEOUT

    # Committed content.

    def _data_version(self) -> int | None:
        """Return a number that changes when another connection commits, or None while one is about to commit.

        https://www.sqlite.org/pragma.html#pragma_data_version
        """
        try:
            version: int = self._observer.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.OperationalError as error:
            if not Failure.of(error).busy:
                raise
            return None
        return version

    def _note_commits(self, before: Holding, effects: Effects, after: Holding) -> bool:
        """Read the committed content again if an operation committed, and tell whether it did."""
        wrote = before.lock is Lock.WRITE or effects.writes or effects.far_reaching or not effects.known
        if not wrote or (after.lock is Lock.WRITE and not effects.far_reaching):
            return False
        version = self._data_version()
        if version is None or version == self._version:
            return False
        self.content = self._library.read(self._observer)
        self._version = version
        return True

    # A process outside.

    @contextlib.contextmanager
    def _outside_lock(self, holding: Holding) -> Iterator[bool]:
        """Hold, as a process outside, the lock that a connection in this condition needs next.

        Gives whether it could be had. A COMMIT that failed already admits no new readers; one that was there before
        would make it fail again, and change nothing.
        """
        outsider = self._observer
        executes = True
        if holding.lock is Lock.WRITE:  # its COMMIT needs all readers gone
            outsider.execute("BEGIN")
            try:
                outsider.execute("SELECT 1 FROM sqlite_schema").fetchall()
            except sqlite3.OperationalError:
                executes = False
        elif self.journal == "wal" or holding.lock is Lock.READ:
            outsider.execute("BEGIN IMMEDIATE")
        else:
            self._hold_off_readers(outsider)
        try:
            yield executes
        finally:
            outsider.execute("ROLLBACK")

    @staticmethod
    def _hold_off_readers(outsider: sqlite3.Connection) -> None:
        """Hold EXCLUSIVE, or PENDING where there are readers: a COMMIT that waits for readers admits no new ones."""
        try:
            outsider.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            outsider.execute("BEGIN IMMEDIATE")
            version = outsider.execute("PRAGMA user_version").fetchone()[0]
            outsider.execute(f"PRAGMA user_version = {(version + 1) % 2**31}")
            with contextlib.suppress(sqlite3.OperationalError):
                outsider.execute("COMMIT")

    # Going back.

    def restore(self, wanted: WorldState) -> None:
        """Move to a state in which no connection holds anything."""
        assert wanted.quiescent
        if self.content.schema is not wanted.content.schema or not self.content.schema.simple:
            self._restart(wanted)
            return
        for key in [key for key in self._lines if key not in wanted.holdings]:
            self._put_by(self._lines.pop(key), self.state.holding(key))
        for line in self._lines.values():
            line.rest()
        self._version = None
        if self.content is not wanted.content:
            self._write(wanted.content)
        self._reopen(wanted)
        self.state = wanted

    def _restart(self, wanted: WorldState) -> None:
        self._unload()
        self._load()
        if self.content is not wanted.content:
            if self.content.schema is not wanted.content.schema or not self.content.schema.simple:
                raise TreadleError("this content can only be reached from the start")
            self._write(wanted.content)
        self._reopen(wanted)
        self.state = wanted

    def reachable_directly(self, state: WorldState) -> bool:
        """Tell whether ``restore`` can move to a state."""
        if not state.quiescent:
            return False
        return state.content.number == 0 or (state.content.schema.simple and state.content.schema.number == 0)

    def _write(self, content: Content) -> None:
        bring_back(self._observer, self.content, content)
        self.content = content

    def _reopen(self, wanted: WorldState) -> None:
        """Open the connections of a state, with the settings that they have there."""
        for key, holding in wanted.holdings.items():
            line = self._lines.get(key)
            now = self.state.holding(key)
            if line is not None and now.settings == holding.settings and not now.pinned:
                continue
            if line is not None:
                self._put_by(line, now)
            if self._spares.get(holding.settings):
                self._lines[key] = self._spares[holding.settings].pop()
                continue
            for operation in self._settings(holding.settings):
                self._clock.clock_s = operation.clock_s
                _, line, _ = self._carry_out(key, operation, NOTHING)
                line.rest()

    def _put_by(self, line: _Line, holding: Holding) -> None:
        """Keep a connection for when one with just its settings is wanted, or close it if nobody could tell."""
        spares = self._spares.setdefault(holding.settings, [])
        if holding.pinned or len(spares) >= _SPARES:
            self._close(line)
        else:
            line.rest()
            spares.append(line)

    def _settings(self, number: int) -> list[Operation]:
        operations: list[Operation] = []
        while number:
            earlier, _, operation = self._book.last(number)
            assert isinstance(earlier, int)
            assert isinstance(operation, Operation)
            operations.append(operation)
            number = earlier
        return operations[::-1]
