"""The aftermath of an operation: what its connection holds then, and why it met a lock."""

from __future__ import annotations

from typing import NamedTuple

from treadle.values.fault import LockKind
from treadle.values.observation import BUSY_SNAPSHOT, Observation
from treadle.values.operation import RUNS_SQL, Kind, Operation
from treadle.world.content import Content
from treadle.world.effects import BUSY_TIMEOUT, Effects, SavepointAction
from treadle.world.holding import Holding, Lock, Posture
from treadle.world.line import Line
from treadle.world.locality import situation_of
from treadle.world.observer import Observer
from treadle.world.state import IDLE, Book, Key

_DEFAULT_TIMEOUT_S = 5.0
_ENDS = frozenset({Kind.COMMIT, Kind.ROLLBACK, Kind.EXECUTESCRIPT})
"""The calls that end a transaction if they succeed."""

_CONFIGURES = frozenset({Kind.CONNECT, Kind.CONFIGURE})
"""The calls that change the connection itself."""


class Deed(NamedTuple):
    """What happened.

    Attributes:
        before: what the connection held before.
        operation: what was asked of it.
        effects: what the statement does to locks.
        seen: what the driver answered.
        unwritten: for a BEGIN EXCLUSIVE: no other connection held the write lock.
    """

    before: Holding
    operation: Operation
    effects: Effects
    seen: Observation
    unwritten: bool


class Aftermath:
    """Tells what a connection holds after an operation.

    Most follows from the bytecode of the statement and from what the driver shows, and is the same whenever these are;
    where that leaves something open, SQLite is asked through the observer.
    """

    def __init__(self, journal: str, book: Book, observer: Observer) -> None:
        """Tell it for a world.

        Args:
            journal: its journal mode.
            book: where its postures and logs are kept.
            observer: the checker's own connection to it.
        """
        self._journal = journal
        self._book = book
        self._observer = observer
        self._asked = False

    def holding(self, deed: Deed, line: Line, content: Content, *, waits: bool, outside: bool) -> Holding:
        """Return what a connection holds after an operation.

        Args:
            deed: what happened.
            line: the connection.
            content: what was committed before.
            waits: SQLite would wait here.
            outside: a process outside held the lock.
        """
        if line.gone:
            return IDLE
        before, operation, effects, seen, _ = deed
        posture = self._posture(deed, line)
        names = self._names_after(deed, posture) if posture.savepoints else ()
        timeout_ms, settings, pinned = before.busy_timeout_ms, before.settings, before.pinned
        if effects.setting or operation.kind in _CONFIGURES:
            timeout_ms, settings, pinned = self._settings_after(deed, line)
        elif effects.temporary or self._book.keep_logs:
            pinned = True
        if posture.free and not pinned and seen.in_transaction == line.autocommit_off:
            log = 0
        else:
            # A statement in a transaction of its own leaves no lock, but perhaps in a temporary table what it read.
            copied = seen.failure is None and (effects.writes or (effects.temporary and effects.reads))
            snapshot = content if before.lock is Lock.NONE and (posture.lock is not Lock.NONE or copied) else None
            log = self._log_after(deed, snapshot, waits=waits, outside=outside)
        return self._book.holding(posture, names, timeout_ms, settings, log, pinned=pinned)

    def _posture(self, deed: Deed, line: Line) -> Posture:
        """Return what a connection holds, without how it came to it; from memory, if SQLite was not asked then."""
        before, operation, effects, seen, unwritten = deed
        failure = seen.failure
        at = (
            situation_of(before, operation, effects),
            operation.cursor,
            line.still_active(operation, before.posture.active),
            seen.in_transaction,
            None if failure is None else (failure.busy, failure.code is None),
            unwritten,
            line.closed,
        )
        posture = self._book.postures_after.get(at)
        if posture is None:
            self._asked = False
            posture = self._book.posture(self._posture_after(deed, line.under_way(), closed=line.closed))
            if not self._asked:
                self._book.postures_after[at] = posture
        return posture

    def _posture_after(self, deed: Deed, active: frozenset[int], *, closed: bool) -> Posture:
        held, operation, effects, seen, _ = deed
        before = held.posture
        holding = frozenset([cursor for cursor in active if self._holds(cursor, deed)]) if active else active
        ended = self._ended(deed)
        lock = self._lock_after(deed, holding, ended=ended)
        savepoints, began, due = _savepoints_after(held, effects, seen)
        if ended:
            savepoints, began, due = 0, False, False
        return Posture(
            lock,
            seen.in_transaction,
            savepoints,
            began,
            due,
            active,
            holding,
            bars_readers=self._journal != "wal" and lock is Lock.WRITE and self._bars_readers(),
            stale=before.stale and lock is Lock.READ and not (operation.kind is Kind.EXECUTESCRIPT and not holding),
            closed=closed,
        )

    @staticmethod
    def _names_after(deed: Deed, posture: Posture) -> tuple[str, ...]:
        """Return the names of the savepoints that are open after an operation."""
        names = deed.before.names
        began = len(names) < posture.savepoints
        return (*names, deed.effects.name) if began else names[: posture.savepoints]

    def _bars_readers(self) -> bool:
        self._asked = True
        return self._observer.data_version() is None

    def _is_write_locked(self) -> bool:
        self._asked = True
        return self._observer.write_locked()

    @staticmethod
    def _ended(deed: Deed) -> bool:
        """Tell whether an operation ended a transaction."""
        if not deed.before.posture.in_transaction:
            return False
        if not deed.seen.in_transaction:
            return True
        return deed.seen.failure is None and (deed.operation.kind in _ENDS or deed.effects.ends)

    @staticmethod
    def _holds(cursor: int, deed: Deed) -> bool:
        """Tell whether a cursor whose statement is under way holds a lock: not if that touches no database."""
        effects = deed.effects
        if cursor == deed.operation.cursor and deed.operation.kind in RUNS_SQL:
            return effects.reads or effects.writes or not effects.known
        return cursor in deed.before.posture.holding

    def _lock_after(self, deed: Deed, holding: frozenset[int], *, ended: bool) -> Lock:
        before, _, effects, seen, _ = deed
        failure = seen.failure
        # Where others only read, BEGIN EXCLUSIVE keeps what it came to hold, if its connection was reading already.
        kept = effects.exclusive and deed.unwritten
        if not seen.in_transaction:
            if not holding:
                return Lock.NONE
            # One that failed keeps the lock where a cursor is under way whose statement wrote, if only once.
            ran = failure is None or (failure.code is not None and not failure.busy)
            written = before.lock is Lock.WRITE or (effects.writes and (ran or kept))
            return Lock.WRITE if written and self._is_write_locked() else Lock.READ
        lock = before.lock
        if ended:
            lock = Lock.READ if holding else Lock.NONE
        wanted = Lock.WRITE if effects.writes else Lock.READ if effects.reads else Lock.NONE
        if failure is None:
            return max(lock, wanted)
        if failure.busy and kept and self._is_write_locked():
            return Lock.WRITE
        if failure.busy or failure.code is None or not effects.known:
            return lock
        if wanted is Lock.WRITE and lock < Lock.WRITE:  # it failed while running: was it running already?
            return Lock.WRITE if self._is_write_locked() else max(lock, Lock.READ)
        return max(lock, wanted)

    def _settings_after(self, deed: Deed, line: Line) -> tuple[int, int, bool]:
        """Return the busy timeout, the number of the settings, and whether the log is pinned."""
        before, operation, _, seen, _ = deed
        timeout_ms, settings, pinned = before.busy_timeout_ms, before.settings, before.pinned
        if operation.kind is Kind.CONNECT:
            timeout_ms = max(0, int(operation.payload.get("timeout", _DEFAULT_TIMEOUT_S) * 1000))
            pinned = not line.warm
        timeout = BUSY_TIMEOUT.fullmatch(operation.sql or "")
        if timeout and timeout[1]:
            timeout_ms = int(timeout[1])
        resting = before.posture.free and before.posture.in_transaction in {False, line.autocommit_off}
        plain = resting and seen.failure is None
        settings = self._book.extend(settings, "setting", operation)
        return timeout_ms, settings, pinned or not (plain or operation.kind is Kind.CONNECT)

    def _log_after(self, deed: Deed, snapshot: Content | None, *, waits: bool, outside: bool) -> int:
        operation = deed.operation
        log = deed.before.log
        if log:
            entry = self._book.last(log)
            if entry[1:] == ("waits", operation):  # a retry: what waiting did is part of what it does now
                earlier = entry[0]
                assert isinstance(earlier, int)
                log = earlier
        if waits:
            return self._book.extend(log, "waits", operation)
        return self._book.extend(log, operation, deed.seen, snapshot, outside)


def why_busy(journal: str, deed: Deed, others: tuple[tuple[Key, Lock], ...]) -> LockKind | None:
    """Tell why SQLite answered SQLITE_BUSY: it calls the busy handler only where no lock is held yet.

    But where others only read, a connection that reads can still become the writer, and what bars it are readers: a
    BEGIN EXCLUSIVE, and in rollback-journal mode a statement that commits, wait until these have read.

    https://www.sqlite.org/c3ref/busy_handler.html
    """
    failure = deed.seen.failure
    if failure is None or not failure.busy:
        return None
    if failure.code == BUSY_SNAPSHOT:
        return LockKind.SNAPSHOT
    if (deed.effects.exclusive or journal != "wal") and all(lock is Lock.READ for _, lock in others):
        return LockKind.TIMEOUT
    return LockKind.UPGRADE if deed.before.lock is Lock.READ else LockKind.TIMEOUT


def _savepoints_after(held: Holding, effects: Effects, seen: Observation) -> tuple[int, bool, bool]:
    """Return savepoints, savepoint_began and first_write_due after a statement that did not end the transaction."""
    before = held.posture
    began = before.savepoint_began
    if seen.failure is not None:
        return before.savepoints, began, before.first_write_due
    if effects.savepoint is SavepointAction.BEGIN:
        return before.savepoints + 1, began if before.savepoints else not before.in_transaction, True
    place = held.place_of(effects)
    if place is not None:
        return place + (effects.savepoint is SavepointAction.ROLLBACK_TO), began, False
    return before.savepoints, began, before.first_write_due and not effects.writes
