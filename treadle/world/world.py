"""A live world: one real SQLite database, one real connection for each connection of a client."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from treadle.interning import intern_observation, the_observation
from treadle.values.errors import NondeterminismError, TreadleError, UnsupportedOperationError
from treadle.values.fault import LockKind
from treadle.values.instant import START
from treadle.values.observation import LOCKED, Failure, Observation
from treadle.values.operation import RUNS_SQL, Kind, Operation
from treadle.values.signals import LogsNeededError
from treadle.world.aftermath import Aftermath, Deed, why_busy
from treadle.world.clock import Clock
from treadle.world.content import Content, Library, bring_back
from treadle.world.effects import BUSY_TIMEOUT, NOTHING, SETTING, UNKNOWN, Effects, Lexicon
from treadle.world.holding import Holding, Lock
from treadle.world.ledger import Ledger
from treadle.world.line import DRIVER_ERRORS, Line, is_under_way
from treadle.world.observer import Observer
from treadle.world.past import Done
from treadle.world.state import IDLE, Book, Key, Result, Transition, WorldState

_SPARES = 4
_REMEMBERED = frozenset({"total_changes", "lastrowid"})
"""What a connection tells of statements that are over."""


@frozen
class Template:
    """The database as it is before any client starts.

    Attributes:
        path: the file; nobody writes to it any more.
        journal: its journal mode.
    """

    path: Path
    journal: str


class World:
    """A live world, always in one state.

    Attributes:
        content: what is committed.
        executed: how many operations were carried out.
    """

    def __init__(self, template: Template, directory: Path, book: Book, library: Library, lexicon: Lexicon) -> None:
        """Copy the template into a directory of this world's own, and open it.

        Args:
            template: what the database starts as.
            directory: an empty directory.
            book: where states are interned; worlds that share it can be compared.
            library: where contents are interned, likewise.
            lexicon: what statements do under the template's schema.
        """
        self.journal = template.journal
        self.executed = 0
        self._template = template
        self._book = book
        self._library = library
        self._path = directory / "world.db"
        self._lines: dict[Key, Line] = {}
        self._spares: dict[int, list[Line]] = {}
        self._clock = Clock(START)
        self._lexicon = lexicon
        self._load()

    def _load(self) -> None:
        """Start over from the template."""
        shutil.copyfile(self._template.path, self._path)
        self._observer = Observer(self._path, self.journal)
        self._aftermath = Aftermath(self.journal, self._book, self._observer)
        self._version = self._observer.data_version()
        self._ledger = Ledger()
        self.content = self._library.read(self._observer.connection)
        self._ledger.settle()
        self._move(self._book.state(self.content, {}))

    def _unload(self) -> None:
        for line in [*self._lines.values(), *(line for spares in self._spares.values() for line in spares)]:
            line.close()
        self._lines.clear()
        self._spares.clear()
        self._observer.close()
        for suffix in ("", "-wal", "-shm", "-journal"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Close every connection."""
        self._unload()
        self._clock.close()

    # Where it is.

    @property
    def state(self) -> WorldState:
        """Where it is."""
        if self._ahead:
            self._move(self._book.moved(self._state, self._ahead))
        return self._state

    def _move(self, state: WorldState) -> None:
        self._state = state
        self._ahead: dict[Key, Holding | None] = {}

    def holding(self, key: Key) -> Holding:
        """Return what a connection holds; ``IDLE`` if it is not open."""
        if key in self._ahead:
            return self._ahead[key] or IDLE
        return self._state.holding(key)

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
            if operation.kind is Kind.CONFIGURE and operation.arguments[0] in _REMEMBERED:
                self._need_logs()
            return NOTHING
        if schema:  # a client has changed it: only its own connection can tell
            return SETTING if BUSY_TIMEOUT.fullmatch(operation.sql) else UNKNOWN
        effects = self._lexicon.effects(operation)
        if effects.session_functions:
            self._need_logs()
        return effects

    def _need_logs(self) -> None:
        if not self._book.keep_logs:
            raise LogsNeededError

    def _effects_here(self, key: Key, operation: Operation) -> Effects:
        """Return the effects, compiled on the connection itself where the template's schema does not do."""
        effects = self.effects(operation, self.content.schema.number)
        if effects.known or operation.sql is None:
            return effects
        return Lexicon(self._lines[key].real).effects(operation)

    def perform(self, key: Key, operation: Operation, *, outside: bool = False) -> Transition:
        """Carry out an operation, and move to the state after it.

        Args:
            key: the connection.
            operation: what is asked of it.
            outside: a process outside holds the lock that the operation needs, for as long as it runs.
        """
        transition = self._book.apply(self.state, key, self._perform(key, operation, outside=outside))
        self._move(transition.after)
        return transition

    def perform_alone(self, key: Key, operation: Operation) -> Result:
        """Carry out an operation that no other connection can notice, and that commits nothing.

        As ``perform``; but the state after it, if that is of no interest, is never made.
        """
        content = self.content
        result = self._perform(key, operation, outside=False)
        assert result.content is content, "what others cannot notice commits nothing"
        self._ahead[key] = result.holding
        return result

    def _perform(self, key: Key, operation: Operation, *, outside: bool) -> Result:
        before = self.holding(key)
        effects = self._effects_here(key, operation)
        if effects.escapes:
            raise UnsupportedOperationError(
                f"{operation}: {effects.escapes}. Leave the statement out of the code that clients run, or do it in "
                "the database's seed."
            )
        self.executed += 1
        self._clock.clock_s = operation.clock_s
        writes = before.lock is Lock.WRITE or effects.may_write  # it, or its connection before it
        if writes and self._version is None:
            self._version = self._observer.data_version()
        if outside:
            observation, line, changes = self._carry_out_beside(key, operation, effects)
        else:
            observation, line, changes = self._carry_out(key, operation, effects)
        self._ledger.note(effects, changes, self.content.schema.number)
        unwritten = effects.exclusive and not self.state.others_write(key)
        deed = Deed(before, operation, effects, observation, unwritten)
        kind = None if observation.failure is None else why_busy(self.journal, deed, self.state.other_locks(key))
        waits = kind is LockKind.TIMEOUT and before.busy_timeout_ms > 0 and not outside
        if waits and changes:
            raise UnsupportedOperationError(
                f"{operation}: SQLite would wait for a lock in the middle of an executemany or script, after "
                f"{changes} changed rows, and cannot be stopped there. Begin a transaction around it."
            )
        if outside and observation.failure is None:
            raise AssertionError(f"{operation} succeeded although a process outside held the lock")
        after = self._aftermath.holding(deed, line, self.content, waits=waits, outside=outside)
        if self._commits_beside_readers(key, before, after):
            raise UnsupportedOperationError(
                f"{operation}: SQLite would wait here until others have read, to commit a statement that returned rows "
                "outside a transaction, and cannot be stopped there. Begin a transaction around it."
            )
        committed = writes and self._note_commits(effects, after)
        return Result(
            observation,
            None if line.gone else after,
            self.content,
            committed=committed and self.journal == "wal",  # elsewhere nobody commits beside a reader
            waits=waits,
            lock_kind=LockKind.OUTSIDE if outside else kind,
        )

    def _commits_beside_readers(self, key: Key, before: Holding, after: Holding) -> bool:
        """Tell whether a writing statement outside a transaction ended where readers bar a commit."""
        ended = before.lock is Lock.WRITE and not before.posture.in_transaction and after.lock is not Lock.WRITE
        return ended and self.journal != "wal" and before.busy_timeout_ms > 0 and bool(self.state.other_locks(key))

    def perform_beside_writer(self, key: Key, operation: Operation) -> Transition:
        """Carry out an operation as ``perform`` does, while another connection holds the write lock.

        Args:
            key: the connection.
            operation: what is asked of it.
        """
        assert self.holding(key).lock is not Lock.WRITE, "two cannot write"
        with self._observer.writing():
            return self.perform(key, operation)

    def perform_again(self, key: Key, operation: Operation, known: Transition, *, outside: bool = False) -> Observation:
        """Carry out an operation that another world performed, and move to the state that it came to.

        What is committed is read again where it was then; ``content`` has what is there now.

        Args:
            key: the connection.
            operation: what is asked of it.
            known: what it did then.
            outside: as for ``perform``.

        Returns:
            What is seen now.
        """
        effects = self._effects_here(key, operation)
        self._clock.clock_s = operation.clock_s
        carry_out = self._carry_out_beside if outside else self._carry_out
        seen, _, changes = carry_out(key, operation, effects)
        self._ledger.note(effects, changes, self.content.schema.number)
        if known.result.committed or known.result.content is not self.content:
            self._read_again(self._observer.data_version())
        self._move(known.after)
        return seen

    def read_again(self) -> Content:
        """Return what is committed, reading it again if somebody has committed since."""
        version = self._observer.data_version()
        if version not in {None, self._version}:  # None: while a COMMIT is barred by readers
            self._read_again(version)
        return self.content

    def _read_again(self, version: int | None) -> None:
        self.content = self._library.read(self._observer.connection, self.content, self._ledger)
        self._ledger.settle()
        self._version = version

    def repeat(self, deeds: Sequence[tuple[Key, Operation, bool]], after: WorldState) -> bool:
        """Carry out operations again, from the state in which they were performed before.

        Args:
            deeds: the connection of each, what is asked of it, and whether a process outside holds the lock.
            after: where they led to; only a single one commits something.

        Returns:
            Whether they did what they did before, as far as the connections show: a cheap test. Every history that
            matters for a verdict is compared in full when it is confirmed.
        """
        for key, operation, outside in deeds:
            self._repeat(key, operation, outside=outside)
        if after.content is not self.content:
            self._ledger.settle()
        self._version = None
        self.content = after.content
        self._move(after)
        return all(self._shows(key, after) for key in {key for key, _, _ in deeds})

    def _repeat(self, key: Key, operation: Operation, *, outside: bool) -> None:
        self._clock.clock_s = operation.clock_s
        lock = self._observer.outside_lock(self.holding(key)) if outside else contextlib.nullcontext(enter_result=True)
        with lock as executes:
            if operation.kind is Kind.CONNECT:
                self._lines[key] = Line.connect(self._path, operation, self._clock)
            line = self._lines[key]
            changes = line.real.total_changes
            try:
                if executes:
                    line.call(operation)
            except DRIVER_ERRORS:
                line.end_statement(operation)
        if operation.sql is not None:
            effects = self.effects(operation, self.content.schema.number)
            changes = line.real.total_changes - changes
            self._ledger.note(effects, changes, self.content.schema.number)
        if line.gone:
            del self._lines[key]

    def _shows(self, key: Key, state: WorldState) -> bool:
        """Tell whether a connection is as it is in a state, as far as it shows."""
        held, line = state.holdings.get(key), self._lines.get(key)
        if held is None or line is None:
            return held is None and line is None
        return line.real.in_transaction == held.posture.in_transaction

    def rebuild(self, key: Key, held: Holding, content: Content | None, past: list[Done]) -> None:
        """Move to a state in which one connection holds what it holds in another one, and no other holds anything.

        Args:
            key: the connection.
            held: what it is to hold; ``IDLE`` if it is not to be open.
            content: what is to be committed; None for anything, if only something was committed since its snapshot.
            past: what brings it there from rest.

        Raises:
            NondeterminismError: it saw something else than before.
        """
        resting = held if not held.log else self._book.resting(held)
        start = next((done.snapshot for done in past if done.snapshot is not None), content or self.content)
        self.restore(self._book.state(start, {} if held is IDLE else {key: resting}))
        for operation, seen, snapshot in past:
            if snapshot is not None and snapshot is not self.content:
                self._write(snapshot)
            self._clock.clock_s = operation.clock_s
            effects = self.effects(operation, self.content.schema.number)
            now, _, changes = self._carry_out(key, operation, effects)
            self._ledger.note(effects, changes, self.content.schema.number)
            if now is not seen:
                raise NondeterminismError("the database", self.executed, f"{seen} of {operation}", str(now))
        if content is not None and content is not self.content:
            assert not held.posture.reads_snapshot, "a snapshot of what is not committed any more is stale"
            self._write(content)
        elif held.posture.stale:
            self._observer.commit_nothing(self.content.user_version)
        self._version = None
        self._move(self._book.state(self.content, {} if held is IDLE else {key: held}))

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
                    line.close()
                del holdings[key]
        self._move(self._book.state(self.content, holdings))
        return self._state

    def _carry_out_beside(self, key: Key, operation: Operation, effects: Effects) -> tuple[Observation, Line, int]:
        """Make the driver's call while a process outside holds the lock that it needs."""
        with self._observer.outside_lock(self.holding(key)) as executes:
            if executes:
                return self._carry_out(key, operation, effects)
            line = self._lines[key]
            seen = Observation(failure=LOCKED, in_transaction=line.real.in_transaction)
            return intern_observation(seen), line, 0

    def _carry_out(self, key: Key, operation: Operation, effects: Effects) -> tuple[Observation, Line, int]:
        """Make the driver's call; return what is seen, the connection, and how many rows were changed."""
        if operation.kind is Kind.CONNECT:
            self._lines[key] = Line.connect(self._path, operation, self._clock)
        line = self._lines[key]
        real = line.real
        changes = real.total_changes if effects.may_write else 0
        rows: Any = None
        failure: Failure | None = None
        try:
            rows = line.call(operation)
        except DRIVER_ERRORS as error:
            failure = Failure.of(error)
            line.end_statement(operation)
        if line.gone:
            del self._lines[key]
            return intern_observation(Observation()), line, 0
        rowcount, lastrowid, description = -1, None, None
        if (
            failure is None
            and operation.kind is not Kind.CLOSE_CURSOR
            and (cursor := line.cursor(operation)) is not None
        ):
            rowcount = cursor.rowcount
            if operation.kind in RUNS_SQL:
                description = cursor.description
                lastrowid = self._last_rowid(cursor, operation, effects)
        observation = the_observation(
            rows, rowcount, lastrowid, description, failure, in_transaction=real.in_transaction
        )
        return observation, line, real.total_changes - changes if effects.may_write else 0

    def _last_rowid(self, cursor: sqlite3.Cursor, operation: Operation, effects: Effects) -> int | None:
        """Return the rowid that a statement inserted last, or None if it is no INSERT.

        The driver sets lastrowid after every statement, to whatever the connection inserted last; what it
        documents is that only an INSERT changes it, and so it is here.
        """
        if operation.kind is not Kind.EXECUTE or not effects.inserts:
            return None
        if cursor.rowcount <= 0 and not is_under_way(cursor):  # no row: it tells what an earlier statement did
            self._need_logs()
        return cursor.lastrowid

    # Committed content.

    def _note_commits(self, effects: Effects, after: Holding) -> bool:
        """Read the committed content again if an operation that may write committed, and tell whether it did."""
        if after.lock is Lock.WRITE and not effects.far_reaching:
            return False
        version = self._observer.data_version()
        if version is None or version == self._version:
            return False
        self._read_again(version)
        return True

    # Going back.

    def restore(self, wanted: WorldState) -> None:
        """Move to a state in which no connection holds anything."""
        assert wanted.quiescent
        if self.content.schema is not wanted.content.schema or not self.content.schema.simple:
            self._restart(wanted)
            return
        for key in [key for key, line in self._lines.items() if line.closed or key not in wanted.holdings]:
            self._put_by(self._lines.pop(key), self.holding(key))
        for line in self._lines.values():
            line.rest()
        self._ledger.settle()
        self._version = None
        if self.content is not wanted.content:
            self._write(wanted.content)
        self._reopen(wanted)
        self._move(wanted)

    def _restart(self, wanted: WorldState) -> None:
        self._unload()
        self._load()
        if self.content is not wanted.content:
            if self.content.schema is not wanted.content.schema or not self.content.schema.simple:
                raise TreadleError("this content can only be reached from the start")
            self._write(wanted.content)
        self._reopen(wanted)
        self._move(wanted)

    def reachable_directly(self, state: WorldState) -> bool:
        """Tell whether ``restore`` can move to a state."""
        if not state.quiescent:
            return False
        return state.content.number == 0 or self.can_write(state.content)

    @staticmethod
    def can_write(content: Content) -> bool:
        """Tell whether the world can be given a content, whatever is committed now."""
        return content.schema.simple and content.schema.number == 0

    def _write(self, content: Content) -> None:
        bring_back(self._observer.connection, self.content, content)
        self.content = content

    def _reopen(self, wanted: WorldState) -> None:
        """Open the connections of a state, with the settings that they have there."""
        for key, holding in wanted.holdings.items():
            line = self._lines.get(key)
            now = self.holding(key)
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

    def _put_by(self, line: Line, holding: Holding) -> None:
        """Keep a connection for when one with just its settings is wanted, or close it if nobody could tell."""
        spares = self._spares.setdefault(holding.settings, [])
        if holding.pinned or line.closed or len(spares) >= _SPARES:
            line.close()
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
