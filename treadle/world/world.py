"""A live world: one real SQLite database, one real connection for each connection of a client."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from attrs import frozen

from treadle.interning import intern_observation, the_observation
from treadle.values.errors import TreadleError
from treadle.values.instant import START
from treadle.values.observation import LOCKED, Failure, Observation
from treadle.values.operation import RUNS_SQL, Kind, Operation
from treadle.values.signals import HistoryNeededError, LogsNeededError, NotLocalError
from treadle.world.bookkeeping import Bookkeeper, Deed, why_locked
from treadle.world.clock import Clock
from treadle.world.connection import Connection, Done, refused
from treadle.world.content import Content, ContentStore, bring_back
from treadle.world.effects import LOOKS, NOTHING, OPAQUE, Effects, Lexicon
from treadle.world.footprint import Footprint, Footprints
from treadle.world.holding import Holding, Lock, Stop, StopKind
from treadle.world.ledger import Ledger
from treadle.world.library import library_of
from treadle.world.observer import Observer
from treadle.world.patience import patience
from treadle.world.room import lacks_named, own_lack
from treadle.world.state import IDLE, Book, Key, Mode, Result, Transition, WorldState

_SPARES = 4
_COUNTERS = frozenset({"total_changes", "lastrowid"})
"""What a connection tells of statements that are over."""

_NOTHING_SEEN = intern_observation(Observation())


@frozen
class Template:
    """The database as it is before any client starts.

    Attributes:
        path: the file; nobody writes to it any more.
        journal: its journal mode.
        driver: a module with the interface of ``sqlite3``.
    """

    path: Path
    journal: str
    driver: ModuleType


class World:
    """A live world, always in one state.

    Attributes:
        content: what is committed.
        executed: how many operations were carried out.
    """

    def __init__(
        self,
        template: Template,
        directory: Path,
        book: Book,
        contents: ContentStore,
        *,
        lexicon: Lexicon,
        footprints: Footprints,
        everything_known: bool = True,
    ) -> None:
        """Copy the template into a directory of this world's own, and open it.

        Args:
            template: what the database starts as.
            directory: an empty directory.
            book: where states are interned; worlds that share it can be compared.
            contents: where contents are interned, likewise.
            lexicon: what statements do under the template's schema.
            footprints: tells what operations are to others.
            everything_known: what depends on the whole execution is not carried out, but signalled.
        """
        self.journal = template.journal
        self.executed = 0
        self._template = template
        self._library = library_of(template.driver)
        self._book = book
        self._contents = contents
        self._path = directory / "world.db"
        self._connections: dict[Key, Connection] = {}
        self._spares: dict[tuple[int, bool], list[Connection]] = {}
        self._clock = Clock(START)
        self._patience = patience()
        self._lexicon = lexicon
        self._footprints = footprints
        self._bookkeeper = Bookkeeper(book)
        self._everything_known = everything_known
        self._load()

    def _load(self) -> None:
        """Start over from the template.

        Raises:
            ResourceError: the check has not enough of something.
        """
        with lacks_named(self._path.parent):
            shutil.copyfile(self._template.path, self._path)
            self._observer = Observer(self._path, self.journal, self._template.driver)
            self._version = self._observer.data_version()
            self._ledger = Ledger()
            self.content = self._contents.read(self._observer.connection)
        self._ledger.settle()
        self._move(self._book.state(self.content, {}))

    def _unload(self) -> None:
        spares = [connection for spares in self._spares.values() for connection in spares]
        for connection in [*self._connections.values(), *spares]:
            connection.close()
        self._connections.clear()
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

    # What operations do.

    def effects(self, operation: Operation, held: Holding, schema: int) -> Effects:
        """Return what an operation's statement does, or that of its script which is next.

        Args:
            operation: any operation.
            held: what its connection holds.
            schema: the number of the schema under which it would run.

        Raises:
            LogsNeededError: it asks for what the book forgets.
            HistoryNeededError: it may depend on the whole execution.
        """
        effects = self._effects(operation, held, schema)
        if effects.unknown and self._everything_known:
            raise HistoryNeededError(effects.unknown, operation)
        if effects.counters or effects.changes_schema:
            self._need_logs()
        return effects

    def _effects(self, operation: Operation, held: Holding, schema: int) -> Effects:
        stopped = held.posture.call
        if stopped is not None and stopped.kind is not StopKind.DRAWS:
            if stopped.sql is None:
                return NOTHING
            effects = self._lexicon.of(stopped.sql, operation.arguments if operation.kind is Kind.EXECUTE else ())
        elif operation.sql is None:
            if operation.kind is Kind.CONFIGURE and operation.arguments[0] in _COUNTERS:
                self._need_logs()
            return NOTHING
        elif operation.kind is Kind.EXECUTESCRIPT:
            return OPAQUE if self._book.keep_logs else LOOKS
        elif operation.kind is Kind.EXECUTEMANY and operation.arguments is None:
            return OPAQUE  # the driver begins a transaction before it draws a row, perhaps BEGIN IMMEDIATE
        else:
            effects = self._lexicon.effects(operation)
        # Where a client has changed the schema, only its own connection can tell what a statement does there.
        return OPAQUE if schema and (effects.reads or effects.writes) else effects

    def _need_logs(self) -> None:
        if not self._book.keep_logs:
            raise LogsNeededError

    def footprint(self, key: Key, operation: Operation) -> Footprint:
        """Return what an operation is to others, here."""
        held = self.holding(key)
        return self._footprints.of(held, operation, self.effects(operation, held, self.content.schema.number))

    # Carrying out operations.

    def perform(self, key: Key, operation: Operation, mode: Mode = Mode.STEP) -> Transition:
        """Carry out an operation, or go on with one that has stopped, and move to the state after it.

        Args:
            key: the connection.
            operation: what is asked of it.
            mode: how.
        """
        transition = self._book.apply(self.state, key, self._perform(key, operation, mode))
        self._move(transition.after)
        return transition

    def perform_alone(self, key: Key, operation: Operation) -> Result:
        """Carry out an operation that no other connection can notice, and that commits nothing.

        As ``perform``; but the state after it, if that is of no interest, is never made.

        Raises:
            NotLocalError: it changed a lock that others notice.
        """
        content, before = self.content, self.holding(key)
        result = self._perform(key, operation, Mode.STEP)
        after = IDLE if result.holding is None else result.holding
        noticed = before.lock is not after.lock and (self.journal != "wal" or Lock.WRITE in {before.lock, after.lock})
        if noticed or result.content is not content or result.stop is not None:
            raise NotLocalError
        self._ahead[key] = result.holding
        return result

    def _perform(self, key: Key, operation: Operation, mode: Mode) -> Result:
        before = self.holding(key)
        effects = self.effects(operation, before, self.content.schema.number)
        if not effects.known and self._everything_known and operation.sql is not None:
            self._look_at_home(key, operation)
        if effects.escapes:
            raise refused(operation, effects.escapes)
        footprint = self._footprints.of(before, operation, effects)
        self.executed += 1
        publishes = before.lock >= Lock.WRITE or effects.may_write  # it, or its connection before it
        if publishes and self._version is None:
            self._version = self._observer.data_version()
        seen, stop, changes = self._carry_out(key, operation, mode, footprint, effects)
        connection = self._connections[key]
        if mode is Mode.OUTSIDE and (stop is not None or seen.failure is None or not seen.failure.busy):
            mode = Mode.STEP  # it needed no lock that was held
        self._ledger.note(effects, changes, self.content.schema.number)
        deed = Deed(before, operation, effects, mode, seen, stop, footprint.local)
        after = self._bookkeeper.holding(deed, connection, self.content)
        committed = publishes and self._note_commits(effects, after)
        if connection.gone:
            del self._connections[key]
        return Result(
            seen,
            None if connection.gone else after,
            self.content,
            committed=committed and self.journal == "wal",  # elsewhere nobody commits beside a reader
            stop=stop if stop is not None and stop.kind is not StopKind.DRAWS else None,
            lock_kind=why_locked(deed),
        )

    def _look_at_home(self, key: Key, operation: Operation) -> None:
        """Compile a statement on its own connection, where only that knows what it names.

        Raises:
            HistoryNeededError: it may depend on the whole execution.
            UnsupportedOperationError: it cannot be checked.
        """
        connection = self._connections.get(key)
        if connection is None or connection.stopped() is not None:
            return
        found = self._lexicon.elsewhere(connection.real, operation)
        connection.waited = False
        if found.unknown:
            raise HistoryNeededError(found.unknown, operation)
        if found.escapes:
            raise refused(operation, found.escapes)

    def _carry_out(
        self, key: Key, operation: Operation, mode: Mode, footprint: Footprint, effects: Effects
    ) -> tuple[Observation, Stop | None, int]:
        """Make the driver's call; return what is seen, where it has stopped, and how many rows were changed."""
        self._clock.clock_s = operation.clock_s
        if operation.kind is Kind.CONNECT:
            self._connections[key] = self._open(operation)
        connection = self._connections[key]
        if operation.kind is Kind.CONFIGURE:
            self._lexicon.register(operation)
        at = connection.stopped()
        begins = at is None or at.kind is StopKind.DRAWS
        if operation.kind is Kind.EXECUTE and begins and not self._book.keep_logs:
            self._library.mark_rowid(connection.real)
        before = connection.real.total_changes if effects.may_write else 0
        end = self._call(key, operation, mode, footprint, effects)
        if connection.waited:
            raise NotLocalError
        if isinstance(end, Done) and end.error is not None:
            self._require_own(key, operation, end.error)
        if connection.gone:
            return _NOTHING_SEEN, None, 0
        changes = connection.real.total_changes - before if effects.may_write else 0
        if isinstance(end, Stop):
            self._note_stop(connection, end)
            return self._seen_at(connection, end), end, changes
        return self._seen(connection, operation, end), None, changes

    def _open(self, operation: Operation) -> Connection:
        """Open a connection.

        Raises:
            ResourceError: the check has not enough of something.
        """
        with lacks_named(self._path.parent):
            return Connection.open(
                self._path, operation, self._clock, self._library, self.journal, max_step_s=self._patience.max_step_s
            )

    def _require_own(self, key: Key, operation: Operation, error: Exception) -> None:
        """Let an error be observed only if it is the client's own doing.

        Raises:
            StuckClientError: the statement computed for too long, and was interrupted.
            ResourceError: the check has not enough of something.
        """
        connection = self._connections[key]
        if connection.timer.expired:
            self._unload()  # to interrupt a statement may roll back its transaction, and that is no state of anybody's
            self._load()
            raise self._patience.stuck(key[0], operation.sql)
        lack = own_lack(error, connection.real, self._library, self._path.parent)
        if lack is not None:
            raise lack from error

    def _note_stop(self, connection: Connection, at: Stop) -> None:
        """Take over a busy timeout that is set already: SQLite does so when it compiles the statement."""
        if at.kind is StopKind.PAUSES:
            following = self._lexicon.of(at.sql or "")
            if following.timeout and following.setting:
                connection.note_timeout()

    @staticmethod
    def _seen_at(connection: Connection, at: Stop) -> Observation:
        if at.kind is not StopKind.DRAWS:
            return _NOTHING_SEEN
        return the_observation("draws", -1, None, None, None, in_transaction=connection.real.in_transaction)

    def _call(self, key: Key, operation: Operation, mode: Mode, footprint: Footprint, effects: Effects) -> Done | Stop:
        connection, held = self._connections[key], self.holding(key)
        if operation.kind is Kind.CONNECT:
            return Done()
        connection.patient = mode is Mode.STEP
        stoppable = not footprint.local or operation.kind in {Kind.EXECUTEMANY, Kind.EXECUTESCRIPT}
        timeout = effects.timeout and operation.kind is not Kind.EXECUTESCRIPT
        outside = mode is Mode.OUTSIDE
        lock = self._observer.outside_lock(held.lock) if outside else contextlib.nullcontext(enter_result=True)
        try:
            with lock as executes:
                if not executes:
                    return Done(error=LOCKED.exception(self._template.driver))
                return connection.perform(operation, stoppable=stoppable, timeout=timeout)
        finally:
            connection.patient = True

    def _seen(self, connection: Connection, operation: Operation, end: Done) -> Observation:
        failure = None if end.error is None else Failure.of(end.error)
        rowcount, lastrowid, description = -1, None, None
        cursor = connection.cursors.get(-1 if operation.cursor is None else operation.cursor)
        if failure is None and cursor is not None:
            rowcount = cursor.rowcount
            if operation.kind in RUNS_SQL and operation.kind is not Kind.EXECUTESCRIPT:
                description = cursor.description
            if operation.kind is Kind.EXECUTE:
                lastrowid = cursor.lastrowid if self._book.keep_logs else connection.inserted_rowid()
        if operation.kind is Kind.EXECUTESCRIPT:
            rowcount = -1
        return the_observation(
            end.rows, rowcount, lastrowid, description, failure, in_transaction=connection.real.in_transaction
        )

    def read_again(self) -> Content:
        """Return what is committed, reading it again if somebody has committed since."""
        version = self._observer.data_version()
        if version not in {None, self._version}:  # None: while a COMMIT is barred by readers
            self._read_again(version)
        return self.content

    def _read_again(self, version: int | None) -> None:
        self.content = self._contents.read(self._observer.connection, self.content, self._ledger)
        self._ledger.settle()
        self._version = version

    def _note_commits(self, effects: Effects, after: Holding) -> bool:
        """Read the committed content again if an operation that may write committed, and tell whether it did."""
        if after.lock >= Lock.WRITE and effects.known:
            return False
        version = self._observer.data_version()
        if version is None or version == self._version:
            return False
        self._read_again(version)
        return True

    # Doing operations again.

    def repeat(self, deeds: Sequence[tuple[Key, Operation, Mode]], after: WorldState) -> bool:
        """Carry out operations again, from the state in which they were performed before.

        Args:
            deeds: the connection of each, what is asked of it, and how it is carried out.
            after: where they led to; only a single one commits something.

        Returns:
            Whether they did what they did before, as far as the connections show: a cheap test. Every history that
            matters for a verdict is compared in full when it is confirmed.
        """
        for key, operation, mode in deeds:
            self._repeat(key, operation, mode)
        if after.content is not self.content:
            self._ledger.settle()
        self._version = None
        self.content = after.content
        self._move(after)
        return all(self._shows(key, after) for key in {key for key, _, _ in deeds})

    def _repeat(self, key: Key, operation: Operation, mode: Mode) -> None:
        held = self.holding(key)
        effects = self.effects(operation, held, self.content.schema.number)
        footprint = self._footprints.of(held, operation, effects)
        _, _, changes = self._carry_out(key, operation, mode, footprint, effects)
        self._ledger.note(effects, changes, self.content.schema.number)
        if self._connections[key].gone:
            del self._connections[key]

    def _shows(self, key: Key, state: WorldState) -> bool:
        """Tell whether a connection is as it is in a state, as far as it shows."""
        held, connection = state.holdings.get(key), self._connections.get(key)
        if held is None or connection is None:
            return held is None and connection is None
        posture = held.posture
        return (connection.real.in_transaction, connection.lock(), connection.stopped()) == (
            posture.in_transaction,
            posture.lock,
            posture.call,
        )

    # Going back.

    def vanish(self, client: int, *, only_idle: bool) -> WorldState:
        """Close connections of a client, without its doing, and move to the state after that.

        Args:
            client: its position.
            only_idle: leave those open that hold something.
        """
        holdings = dict(self.state.holdings)
        for key, holding in self.state.holdings.items():
            if key[0] == client and not (only_idle and holds_something(holding)):
                connection = self._connections.pop(key)
                if only_idle:
                    self._put_by(connection, holding)
                else:
                    connection.close()
                del holdings[key]
        self._move(self._book.state(self.content, holdings))
        return self._state

    def restore(self, wanted: WorldState) -> None:
        """Move to a state in which no connection holds anything."""
        assert wanted.quiescent
        if self._book.keep_logs or not (self.can_write(wanted.content) and self.can_write(self.content)):
            self._restart(wanted)
            return
        for key in [key for key, one in self._connections.items() if one.closed or key not in wanted.holdings]:
            self._put_by(self._connections.pop(key), self.holding(key))
        for key, connection in tuple(self._connections.items()):
            connection.rest()
            if connection.gone:  # it was about to be closed
                del self._connections[key]
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
            if not self.can_write(wanted.content):
                raise TreadleError("this content can only be reached from the start")
            self._write(wanted.content)
        self._reopen(wanted)
        self._move(wanted)

    def reachable_directly(self, state: WorldState) -> bool:
        """Tell whether ``restore`` can move to a state."""
        if not state.quiescent:
            return False
        return state.content.number == 0 or (not self._book.keep_logs and self.can_write(state.content))

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
            connection, now = self._connections.get(key), self.holding(key)
            if connection is not None and _alike(now) == _alike(holding) and not now.pinned:
                continue
            if connection is not None:
                self._put_by(connection, now)
            if self._spares.get(_alike(holding)):
                self._connections[key] = self._spares[_alike(holding)].pop()
                continue
            self._open_anew(key, holding)

    def _open_anew(self, key: Key, holding: Holding) -> None:
        for operation in self._settings(holding.settings):
            effects = self.effects(operation, IDLE, 0)
            footprint = self._footprints.of(IDLE, operation, effects)
            self._carry_out(key, operation, Mode.STEP, footprint, effects)
        connection = self._connections[key]
        if holding.posture.schema_read:
            connection.real.execute("EXPLAIN SELECT 1 FROM sqlite_schema").fetchall()
        connection.rest()

    def _put_by(self, connection: Connection, holding: Holding) -> None:
        """Keep a connection for when one just like it is wanted, or close it if nobody could tell."""
        spares = self._spares.setdefault(_alike(holding), [])
        if holding.pinned or connection.closed or len(spares) >= _SPARES:
            connection.close()
        else:
            connection.rest()
            if not connection.gone:
                spares.append(connection)

    def _settings(self, number: int) -> list[Operation]:
        operations: list[Operation] = []
        while number:
            earlier, _, operation = self._book.last(number)
            assert isinstance(earlier, int)
            assert isinstance(operation, Operation)
            operations.append(operation)
            number = earlier
        return operations[::-1]


def holds_something(holding: Holding) -> bool:
    """Tell whether a connection holds what others could notice, or what its client left under way."""
    posture = holding.posture
    return posture.lock is not Lock.NONE or posture.call is not None or bool(posture.active)


def _alike(holding: Holding) -> tuple[int, bool]:
    """Return what a connection at rest has that another one may not have."""
    return holding.settings, holding.posture.schema_read
