"""Bookkeeping: what a connection holds after an operation, and why it met a lock.

Locks, transactions and statements that are under way are asked of SQLite. Kept here is what SQLite does not tell:
which savepoints are open, which settings were made, and how a connection came to what it holds.
"""

from __future__ import annotations

from typing import NamedTuple

from treadle.values.fault import LockKind
from treadle.values.observation import BUSY_SNAPSHOT, Observation
from treadle.values.operation import Kind, Operation
from treadle.world.connection import Connection
from treadle.world.content import Content
from treadle.world.effects import Effects, SavepointAction
from treadle.world.holding import Holding, Lock, Posture, Stop, StopKind
from treadle.world.state import IDLE, Book, Mode

_ENDS = frozenset({Kind.COMMIT, Kind.ROLLBACK})
"""The calls that end a transaction if they succeed."""

_TELLS = frozenset({"lastrowid", "total_changes", "getlimit", "getconfig"})
"""Configurations that only tell something."""


class Deed(NamedTuple):
    """What happened.

    Attributes:
        before: what the connection held before.
        operation: what was asked of it.
        effects: what the statement does, or that of its script which was next.
        mode: how it was carried out.
        seen: what the driver answered; of no meaning where the call has stopped.
        stop: where it has stopped, if it has.
        local: nobody else could notice it, or be noticed by it.
    """

    before: Holding
    operation: Operation
    effects: Effects
    mode: Mode
    seen: Observation
    stop: Stop | None
    local: bool


def _is_autocommit_off(connection: Connection) -> bool:
    return not connection.gone and getattr(connection.real, "autocommit", None) is False


class Bookkeeper:
    """Tells what connections hold."""

    def __init__(self, book: Book) -> None:
        """Keep postures and logs in a book."""
        self._book = book

    def holding(self, deed: Deed, connection: Connection, content: Content) -> Holding:
        """Return what a connection holds after an operation.

        Args:
            deed: what happened.
            connection: the connection.
            content: what was committed before.
        """
        if connection.gone:
            return IDLE
        before = deed.before
        posture = self._book.posture(_posture_after(deed, connection))
        names = _names_after(deed, posture)
        settings, pinned = before.settings, before.pinned or self._book.keep_logs or deed.effects.temporary
        if _sets(deed):
            settings = self._book.extend(settings, "setting", deed.operation)
            resting = before.posture.free and before.posture.in_transaction in {False, _is_autocommit_off(connection)}
            whole = deed.operation.kind in {Kind.EXECUTE, Kind.CONFIGURE, Kind.CONNECT} and deed.stop is None
            pinned = pinned or not (resting and whole and deed.seen.failure is None)
        log = 0
        if not posture.free or pinned or posture.in_transaction != _is_autocommit_off(connection):
            log = self._log_after(deed, posture, content)
        return self._book.holding(posture, names, connection.timeout_ms, settings, log, pinned=pinned)

    def _log_after(self, deed: Deed, posture: Posture, content: Content) -> int:
        operation, before = deed.operation, deed.before
        # A statement in a transaction of its own leaves no lock, but perhaps in a temporary table what it read.
        copied = not deed.effects.known or (deed.effects.temporary and deed.effects.reads)
        took = posture.lock is not Lock.NONE or (deed.stop is None and (deed.effects.writes or copied))
        snapshot: Content | None = content if before.lock is Lock.NONE and took else None
        log = before.log
        if log:
            earlier, *entry = self._book.last(log)
            if entry[:2] == ["waits", operation]:  # what it came to hold is the same, however often it has tried
                assert isinstance(earlier, int)
                log = earlier
                assert entry[3] is None or isinstance(entry[3], Content)
                snapshot = entry[3] or snapshot
        if deed.stop is not None and deed.stop.kind is StopKind.WAITS:
            return self._book.extend(log, "waits", operation, deed.stop.sql, snapshot)
        seen = None if deed.stop is not None else deed.seen
        where: object = None
        if self._book.keep_logs:  # what it depended on
            where = content.schema.digest if deed.local and deed.mode is Mode.STEP else content
        return self._book.extend(log, operation, deed.stop and deed.stop.sql, seen, snapshot, deed.mode, where)


def _sets(deed: Deed) -> bool:
    """Tell whether an operation changes the connection itself."""
    if deed.operation.kind is Kind.CONFIGURE:
        return deed.operation.arguments[0] not in _TELLS
    return deed.operation.kind is Kind.CONNECT or deed.effects.setting


def _posture_after(deed: Deed, connection: Connection) -> Posture:
    held, operation, effects, _, seen, stop, _ = deed
    before = held.posture
    lock = connection.lock()
    in_transaction = connection.library.in_transaction(connection.real)
    executed = stop is None or stop.kind is not StopKind.WAITS
    succeeded = executed and (stop is not None or seen.failure is None)
    savepoints, began, due = _savepoints_after(held, effects) if succeeded else _savepoints_before(before)
    if not in_transaction or (succeeded and (operation.kind in _ENDS or effects.ends)):
        savepoints, began, due = 0, False, False
    active = connection.under_way()
    return Posture(
        lock,
        in_transaction,
        savepoints,
        began,
        due,
        active,
        connection.keeping() - active,
        stale=before.stale and lock is Lock.READ,
        closed=connection.closed,
        schema_read=connection.library.knows_schema(connection.real),
        call=connection.stopped(),
    )


def _savepoints_before(posture: Posture) -> tuple[int, bool, bool]:
    return posture.savepoints, posture.savepoint_began, posture.first_write_due


def _savepoints_after(held: Holding, effects: Effects) -> tuple[int, bool, bool]:
    """Return savepoints, savepoint_began and first_write_due after a statement that did not end the transaction."""
    before = held.posture
    began = before.savepoint_began
    if effects.savepoint is SavepointAction.BEGIN:
        return before.savepoints + 1, began if before.savepoints else not before.in_transaction, True
    place = held.place_of(effects)
    if place is not None:
        return place + (effects.savepoint is SavepointAction.ROLLBACK_TO), began, False
    return before.savepoints, began, before.first_write_due and not (effects.writes or not effects.known)


def _names_after(deed: Deed, posture: Posture) -> tuple[str, ...]:
    """Return the names of the savepoints that are open after an operation."""
    names = deed.before.names
    began = len(names) < posture.savepoints
    return (*names, deed.effects.name) if began else names[: posture.savepoints]


def why_locked(deed: Deed) -> LockKind | None:
    """Tell why an operation met ``database is locked``, if it did.

    SQLite calls the busy handler only where no lock is held yet, or where readers are in the way of a writer
    (https://www.sqlite.org/c3ref/busy_handler.html); where it did not, to wait would have been of no use.
    """
    if deed.stop is not None and deed.stop.kind is StopKind.WAITS:
        return LockKind.TIMEOUT
    failure = deed.seen.failure
    if deed.stop is not None or failure is None or not failure.busy:
        return None
    if deed.mode is Mode.OUTSIDE:
        return LockKind.OUTSIDE
    if deed.mode is Mode.EXPIRE:
        return LockKind.TIMEOUT
    if failure.code == BUSY_SNAPSHOT:
        return LockKind.SNAPSHOT
    if deed.before.lock is Lock.READ:
        return LockKind.UPGRADE
    return LockKind.NO_WAIT if deed.before.busy_timeout_ms == 0 else LockKind.UPGRADE
