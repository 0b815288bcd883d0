"""Plain executions: real connections of the driver, one call at a time, and nothing of the checker in between.

Clients run as they are, each in a greenlet. Before each call of the driver a client stops, and goes on when it is its
turn; the call then reaches SQLite without gate, bookkeeping or knowledge of what it does. Where SQLite would wait it
calls the busy handler, and there the client stops inside the call, with all that SQLite holds::

    execution             client                  SQLite
      ── your turn ──▶  before execute(...) ──▶  BUSY ──▶ busy handler
      ◀────────────────── waits ──────────────────────────────┘
      ── again, or: your time is over ──▶  tries again, or raises

Searches rest on rules, and what learns and what is learned rest on the same world. This shares none of it, so that it
shows where one is wrong (``treadle.search.challenge``). The rules here are few: whoever is not waiting can go on;
whoever waits can try again when somebody else has gone on; if all wait, the timeout of the longest waiter expires; a
process outside may take any lock that is free, at any call; what a client leaves open stays open.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import re
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast

from attrs import define, field

from treadle.client.coroutine import Coroutine
from treadle.client.surroundings import Surroundings
from treadle.interning import the_operation
from treadle.scenario import Client
from treadle.values.fault import Fault
from treadle.values.instant import START
from treadle.values.observation import Failure, Observation
from treadle.values.operation import Kind, Operation
from treadle.values.outcome import Crashed, Outcome
from treadle.values.schedule import Choice, Fail, Step
from treadle.values.signals import OperationBoundError
from treadle.world.clock import Clock
from treadle.world.content import Content, ContentStore
from treadle.world.holding import Lock
from treadle.world.library import BUSY_HANDLER, TRACER, Library, library_of
from treadle.world.observer import Observer

_NOT_FOR_THE_DRIVER = frozenset({"factory", "check_same_thread", "uri", "database"})
_DEFAULT_TIMEOUT_S = 5.0
_GO_ON = Observation()
_TIME_IS_OVER = Observation()
_TIMEOUT = re.compile("busy_timeout", re.IGNORECASE)
_SETS_TIMEOUT = re.compile(r"busy_timeout\s*[=(]", re.IGNORECASE)
_WAL_LOCKS = (Lock.NONE, Lock.READ, Lock.WRITE)
_NOT_REFUSED = frozenset({Kind.CONNECT, Kind.ANSWER, Kind.ROW, Kind.END_ROWS})
"""Where a client stops, and no call of SQLite follows that needs a lock."""


class Actor:
    """A client, standing before a call or inside one that waits.

    Attributes:
        stop: what it is about to ask for, or how it has ended.
        waits: it is inside a call that waits.
        refused: SQLite has found the database locked since it went on.
        over: it has ended or died; whatever is left of it calls nothing any more.
        steps: how often it has gone on.
    """

    def __init__(self, client: Client, surroundings: Surroundings, place: Place) -> None:
        """Run a client to its first call.

        Args:
            client: what runs.
            surroundings: what it runs in.
            place: where connections are opened.
        """
        self.place = place
        self.waits = False
        self.refused = False
        self.over = False
        self.steps = 0
        self.connections: list[Any] = []
        self.handlers: list[Any] = []  # SQLite may call them for as long as a statement outlives its connection
        self.at: Any = None
        self._patient = True
        self._asked: tuple[Kind, str | None, tuple[object, ...]] = (Kind.CONNECT, None, ())
        self._coroutine = Coroutine(client, surroundings)
        self._coroutine.opens = functools.partial(place.open, self)
        self.stop: Operation | Outcome = self._coroutine.resume()

    @property
    def outcome(self) -> Outcome | None:
        """How it has ended, or None if it has not."""
        return None if isinstance(self.stop, Operation) else self.stop

    def go(self, *, patient: bool = True) -> None:
        """Go on to the next stop; impatiently, whatever would wait is refused."""
        self._patient, self.refused = patient, False
        self.steps += 1
        self.stop = self._coroutine.resume(_GO_ON if patient else _TIME_IS_OVER)
        self.over = self.outcome is not None

    def die(self) -> None:
        """Vanish, with all connections; nothing more is committed."""
        self.leave()
        self.stop = Crashed()

    def leave(self) -> None:
        """Close what is open, and commit nothing."""
        self.over = True
        library = self.place.library
        for connection in self.connections:
            if not connection.closed:
                library.refuse_commits(connection, refuse=True)
        self._coroutine.abandon()
        for connection in self.connections:
            connection.end()
        self.connections.clear()

    # What connections call, from inside the client.

    def point(self, connection: Any, kind: Kind, sql: str | None = None, arguments: tuple[object, ...] = ()) -> None:
        """Stop before a call, until it is this client's turn."""
        self.at, self.waits = connection, False
        self._asked = (kind, sql, arguments)
        self._ask()
        self.place.clock.clock_s = self._coroutine.clock_s

    def wait(self, connection: Any) -> bool:
        """Stop inside a call that SQLite would let wait; return whether it shall try again."""
        if self.over or not self._patient:
            self.refused = True
            return False
        self.at, self.waits = connection, True
        try:
            self._ask()
        except BaseException:  # noqa: BLE001  # it is being unwound: SQLite's C code is below
            return False
        finally:
            self.waits = False
        self.refused = not self._patient
        return self._patient

    def _ask(self) -> None:
        port = self._coroutine
        kind, sql, arguments = self._asked
        port.ask(the_operation(kind, 0, None, sql, arguments, clock_s=port.clock_s, payload=None))
        self.at = None

    def listening(self) -> bool:
        """Tell whether it is what runs now."""
        return not self.over and self._coroutine.listening()


@define
class Place:
    """Where connections are opened: one file.

    Attributes:
        path: the file.
        journal: its journal mode.
        library: SQLite.
        clock: the time of day of SQL.
    """

    path: Path
    journal: str
    library: Library
    clock: Clock

    def open(self, actor: Actor, options: dict[str, Any]) -> Any:
        """Open a connection of a client."""
        given = {name: value for name, value in options.items() if name not in _NOT_FOR_THE_DRIVER}
        timeout_ms = max(0, int(given.pop("timeout", _DEFAULT_TIMEOUT_S) * 1000))
        connection = _class_of(self.library.driver)
        actor.point(None, Kind.CONNECT)
        opened = connection(self.path, timeout=0, check_same_thread=False, **given)
        opened.begin(actor, timeout_ms)
        return opened


def _decoded(text: int) -> str:
    """Return the text at an address."""
    return (ctypes.string_at(text) if text else b"").decode("utf-8", "surrogateescape")


@functools.cache
def _class_of(driver: ModuleType) -> type[Any]:  # noqa: C901  # two classes, made for a driver
    """Return the class of a driver's connections that stop before each call."""

    class Cursor(driver.Cursor):  # type: ignore[name-defined, misc]  # the base is a value
        """A cursor.

        The driver's own methods have no frames that could keep a cursor alive in a traceback; so these let go of it.
        """

        def __init__(self, connection: Any, /) -> None:
            driver.Cursor.__init__(self, connection)
            connection.cursors.add(self)

        def _under_way(self) -> bool:
            return bool(self.connection.library.is_under_way(self))

        def _run(self, kind: Kind, call: Callable[..., Any], sql: str, *arguments: Any) -> Any:
            try:
                connection = self.connection
                if connection.closed:
                    return call(self, sql, *arguments)
                first = kind is Kind.EXECUTESCRIPT
                if not first and self._under_way():  # the driver resets that one first
                    first = True
                    connection.actor.point(connection, Kind.CLOSE_CURSOR)
                else:
                    connection.actor.point(connection, kind, sql)
                with connection.made(kind, sql), connection.traced(kind, first=first):
                    return call(self, sql, *arguments)
            finally:
                del self, arguments

        def execute(self, sql: str, *arguments: Any) -> Any:
            try:
                return self._run(Kind.EXECUTE, driver.Cursor.execute, sql, *arguments)
            finally:
                del self, arguments

        def executemany(self, sql: str, rows: Any) -> Any:
            try:
                drawn = rows if type(rows) in {list, tuple} else self.connection.drawn(iter(rows), sql)
                return self._run(Kind.EXECUTEMANY, driver.Cursor.executemany, sql, drawn)
            finally:
                del self, rows

        def executescript(self, sql: str) -> Any:
            try:
                return self._run(Kind.EXECUTESCRIPT, driver.Cursor.executescript, sql)
            finally:
                del self

        def _fetch(self, kind: Kind) -> Any:
            connection = self.connection
            if not connection.closed and self._under_way():
                connection.actor.point(connection, kind)
            return connection.made()

        def fetchone(self) -> Any:
            try:
                with self._fetch(Kind.FETCHONE):
                    return driver.Cursor.fetchone(self)
            finally:
                del self

        def fetchmany(self, *arguments: Any, **options: Any) -> Any:
            try:
                with self._fetch(Kind.FETCHMANY):
                    return driver.Cursor.fetchmany(self, *arguments, **options)
            finally:
                del self

        def fetchall(self) -> Any:
            try:
                with self._fetch(Kind.FETCHALL):
                    return driver.Cursor.fetchall(self)
            finally:
                del self

        def __next__(self) -> Any:
            try:
                with self._fetch(Kind.FETCHONE):
                    return driver.Cursor.__next__(self)
            finally:
                del self

        def close(self) -> None:
            with self._fetch(Kind.CLOSE_CURSOR):
                driver.Cursor.close(self)

        def __del__(self) -> None:
            connection = self.connection
            if connection.actor.listening() and self._under_way():
                connection.actor.point(connection, Kind.CLOSE_CURSOR)

    class PlainConnection(driver.Connection):  # type: ignore[name-defined, misc]  # the base is a value
        """A connection."""

        actor: Actor

        def begin(self, actor: Actor, timeout_ms: int) -> None:
            """Belong to a client."""
            self.actor, self.library, self.closed = actor, actor.place.library, False
            self.cursors: weakref.WeakSet[Any] = weakref.WeakSet()
            self._timeout_ms, self._notes_timeout = timeout_ms, False
            self._handler = BUSY_HANDLER(lambda _, __: int(actor.wait(self)))
            self._arm()
            actor.place.clock.install(cast("Any", _Functions(self)))
            actor.connections.append(self)
            actor.handlers.append(self._handler)

        def _arm(self) -> None:
            self.library.set_busy_handler(self, self._handler if self._timeout_ms > 0 else None)

        @contextlib.contextmanager
        def made(self, kind: Kind = Kind.EXECUTE, sql: str = "") -> Iterator[None]:
            """Make a call, and note whether it was refused; SQLite knows the busy timeout where it may be asked.

            Nobody sees the answers of a script; and where SQLite knew the timeout, it would wait by itself.
            """
            timeout = kind is not Kind.EXECUTESCRIPT and bool(_TIMEOUT.search(sql))
            if timeout:
                self.library.set_busy_timeout(self, self._timeout_ms)
            try:
                yield
            except driver.OperationalError as error:
                self.actor.refused = self.actor.refused or Failure.of(error).busy
                raise
            finally:
                if timeout and not self.closed:
                    self._note_timeout()

        def _note_timeout(self) -> None:
            cursor = driver.Cursor(self)
            self._notes_timeout = True
            driver.Cursor.execute(cursor, "PRAGMA busy_timeout")
            ((self._timeout_ms,),) = driver.Cursor.fetchall(cursor)
            self._notes_timeout = False
            self._arm()

        @contextlib.contextmanager
        def traced(self, kind: Kind, *, first: bool) -> Iterator[None]:
            """Stop before the statements of a call; before the first one only if that is said."""
            if kind is Kind.EXECUTE and not first:
                yield
                return
            library, count = self.library, 0

            def called(_: int, __: object, statement: int, text: int) -> int:
                nonlocal count
                own = library.text_of(statement)
                if self._notes_timeout or _decoded(text) != own:
                    return 0  # it is ours, or a trigger's
                count += 1
                stops = first if count == 1 else kind is not Kind.EXECUTE
                if stops and (kind is Kind.EXECUTESCRIPT or count == 1 or not library.in_transaction(self)):
                    self._pause(kind, own)
                return 0

            tracer = TRACER(called)
            library.set_tracer(self, tracer)
            try:
                yield
            finally:
                if not self.closed:
                    library.set_tracer(self, None)

        def _pause(self, kind: Kind, sql: str) -> None:
            if self.actor.over:
                return
            if kind is Kind.EXECUTESCRIPT and _SETS_TIMEOUT.search(sql):
                self._note_timeout()  # SQLite has set it when it compiled the statement
            with contextlib.suppress(BaseException):  # it is being unwound: SQLite's C code is below
                self.actor.point(self, kind, sql)

        def drawn(self, rows: Iterator[Any], sql: str) -> Iterator[Any]:
            """Stop after each row that is drawn."""
            for row in rows:
                self.actor.point(self, Kind.ROW, sql)
                yield row
            self.actor.point(self, Kind.END_ROWS, sql)

        def lock(self) -> Lock:
            """Return the strongest lock that it holds."""
            if self.actor.place.journal == "wal":
                return _WAL_LOCKS[max(0, self.library.transaction(self))]
            return Lock(self.library.file_lock(self))

        def cursor(self, factory: Any = None) -> Any:
            return driver.Connection.cursor(self, factory or Cursor)

        def execute(self, sql: str, *arguments: Any) -> Any:
            return self.cursor().execute(sql, *arguments)

        def executemany(self, sql: str, rows: Any) -> Any:
            return self.cursor().executemany(sql, rows)

        def executescript(self, sql: str) -> Any:
            return self.cursor().executescript(sql)

        def commit(self) -> None:
            self._control(Kind.COMMIT, driver.Connection.commit)

        def rollback(self) -> None:
            self._control(Kind.ROLLBACK, driver.Connection.rollback)

        def close(self) -> None:
            if not self.closed:
                self._control(Kind.CLOSE, lambda _: self._close())

        def _control(self, kind: Kind, call: Callable[[Any], None]) -> None:
            if not (self.actor.over or self.closed):
                self.actor.point(self, kind)
            if not self.actor.over:
                with self.made():
                    call(self)

        def _close(self) -> None:
            driver.Connection.close(self)
            self.closed = True

        def end(self) -> None:
            """Close it, whatever is open."""
            if not self.closed:
                self._timeout_ms = 0
                self._arm()
                self.library.interrupt(self)
                for cursor in tuple(self.cursors):  # a statement that is under way keeps its lock
                    with contextlib.suppress(driver.Error):
                        driver.Cursor.close(cursor)
                with contextlib.suppress(driver.Error):
                    driver.Connection.rollback(self)
                self._close()

        def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object, /) -> Literal[False]:
            if kind is not None:
                self.rollback()
                return False
            try:
                self.commit()
            except driver.Error:
                self.rollback()
                raise
            return False

        @property
        def isolation_level(self) -> Any:
            return driver.Connection.isolation_level.__get__(self)

        @isolation_level.setter
        def isolation_level(self, level: Any) -> None:
            if not self.closed:
                self.actor.point(self, Kind.CONFIGURE, None, ("isolation_level", level))
            with self.made():
                driver.Connection.isolation_level.__set__(self, level)

        if hasattr(driver.Connection, "autocommit"):

            @property
            def autocommit(self) -> Any:
                return driver.Connection.autocommit.__get__(self)

            @autocommit.setter
            def autocommit(self, value: Any) -> None:
                if not self.closed:
                    self.actor.point(self, Kind.CONFIGURE, None, ("autocommit", value))
                with self.made():
                    driver.Connection.autocommit.__set__(self, value)

    class _Functions:
        """The one method that the clock needs, of the driver itself."""

        def __init__(self, connection: Any) -> None:
            self.create_function = functools.partial(driver.Connection.create_function, connection)

    return PlainConnection


@define(eq=False)
class Passed:
    """Where an execution has come to.

    Attributes:
        content: what is committed.
        outcomes: how each client has ended, or None.
    """

    content: Content
    outcomes: tuple[Outcome | None, ...]


Made = tuple[Choice, Operation | None, bool]
"""A choice that was made, with what its client was about to do, None for a crash, and whether it waits then."""


@define
class PlainExecution:
    """One execution on a fresh file, choice by choice; a context manager.

    Attributes:
        locked: how many ``locked`` faults are left.
        crash: how many ``crash`` faults are left.
        outside: a process outside may take locks, and not only let timeouts expire.
        script: the choices that were made.
    """

    locked: int
    crash: int
    outside: bool
    _clients: tuple[Client, ...]
    _surroundings: Surroundings
    _place: Place
    _observer: Observer
    _contents: ContentStore
    _max_operations: int
    script: list[Made] = field(factory=list)
    _actors: list[Actor] = field(factory=list)
    _waiting: list[int] = field(factory=list)  # the longest first
    _able_again: set[int] = field(factory=set)
    _version: int | None = None
    _content: Any = None

    @classmethod
    def on(
        cls,
        path: Path,
        journal: str,
        driver: ModuleType,
        *,
        clients: tuple[Client, ...],
        surroundings: Surroundings,
        faults: tuple[int, int],
        outside: bool,
        contents: ContentStore,
        max_operations: int,
    ) -> PlainExecution:
        """Start all clients on a database file that is theirs alone.

        Args:
            path: the file.
            journal: its journal mode.
            driver: as ``sqlite3``.
            clients: what runs.
            surroundings: what they run in; entered.
            faults: how many ``locked`` and ``crash`` faults there may be.
            outside: a process outside may take locks.
            contents: where contents are interned.
            max_operations: how often a client may stop.
        """
        place = Place(path, journal, library_of(driver), Clock(START))
        observer = Observer(path, journal, driver)
        made = cls(*faults, outside, clients, surroundings, place, observer, contents, max_operations)
        try:
            made._look()  # of this class
            for client in clients:
                made._actors.append(Actor(client, surroundings, place))  # likewise
        except BaseException:
            made.close()
            raise
        return made

    @property
    def passed(self) -> Passed:
        """Where it has come to."""
        return Passed(self._content, tuple(actor.outcome for actor in self._actors))

    @property
    def ended(self) -> bool:
        """Whether all clients have ended."""
        return all(actor.outcome is not None for actor in self._actors)

    def _look(self) -> None:
        version = self._observer.data_version()
        if version is not None and version != self._version:  # else a COMMIT is barred, and nothing is new
            self._content = self._contents.read(self._observer.connection)
            self._version = version

    def choices(self) -> tuple[Choice, ...]:
        """Return what may happen next."""
        alive = [place for place, actor in enumerate(self._actors) if actor.outcome is None]
        found: list[Choice] = [Step(place) for place in alive if self._is_able(place)]
        if not found and alive:
            found.append(Fail(self._waiting[0]))
        for place in alive:
            if self.locked > 0 and (place in self._waiting or (self.outside and self._may_be_refused(place))):
                found.append(Fail(place, Fault.LOCKED))
            if self.crash > 0:
                found.append(Fail(place, Fault.CRASH))
        return tuple(dict.fromkeys(found))

    def _is_able(self, place: int) -> bool:
        return place not in self._waiting or place in self._able_again

    def _may_be_refused(self, place: int) -> bool:
        actor = self._actors[place]
        assert isinstance(actor.stop, Operation)
        if actor.at is None or actor.at.closed or actor.stop.kind in _NOT_REFUSED:
            return False
        others = [one for other in self._actors for one in other.connections if one is not actor.at]
        return not any(one.lock() >= Lock.WRITE for one in others if not one.closed)

    def take(self, choice: Choice) -> None:
        """Let something happen.

        Raises:
            OperationBoundError: a client does not come to an end.
        """
        place = choice.client
        actor = self._actors[place]
        assert isinstance(actor.stop, Operation)
        about = actor.stop
        waited = place in self._waiting
        if isinstance(choice, Fail) and choice.fault is Fault.CRASH:
            actor.die()
            self.crash -= 1
        elif isinstance(choice, Step):
            actor.go()
        elif waited:
            free = not any(self._is_able(other) for other, one in enumerate(self._actors) if one.outcome is None)
            actor.go(patient=False)
            self.locked -= not (free and place == self._waiting[0])
        else:
            with self._observer.outside_lock(actor.at.lock()) as executes:
                actor.go(patient=not executes)
            self.locked -= actor.refused
        self.script.append((choice, None if choice == Fail(place, Fault.CRASH) else about, actor.waits))
        self._note_waiting(place, waited=waited, tried=isinstance(choice, Step))
        if actor.steps > self._max_operations:
            raise OperationBoundError.of(self._clients[place].name, self._max_operations, about)
        self._look()

    def _note_waiting(self, place: int, *, waited: bool, tried: bool) -> None:
        waits = self._actors[place].waits
        self._able_again.discard(place)
        in_vain = waited and waits and tried
        if not in_vain:
            self._able_again |= set(self._waiting) - {place}
            if waited:
                self._waiting.remove(place)
            if waits:
                self._waiting.append(place)

    def alone(self, client: Client) -> Outcome:
        """Run one more client to its end, with nobody else going on."""
        actor = Actor(client, self._surroundings, self._place)
        self._actors.append(actor)
        while actor.outcome is None:
            actor.go(patient=not actor.waits)
        return actor.outcome

    def close(self) -> None:
        """End all clients, and close all connections."""
        for actor in self._actors:
            actor.leave()
        self._observer.close()
        self._place.clock.close()
