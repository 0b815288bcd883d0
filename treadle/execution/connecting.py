"""Plain connections: those of the driver itself, which stop before each call until it is their client's turn.

They live in the client's process, and so does the SQLite that they use: between a call and SQLite there is no gate, no
bookkeeping and no knowledge of what the call does. Where SQLite would wait it calls the busy handler, and there the
client stops inside the call, with all that SQLite holds::

    execution             client                  SQLite
      ── your turn ──▶  before execute(...) ──▶  BUSY ──▶ busy handler
      ◀────────────────── waits ──────────────────────────────┘
      ── again, or: your time is over ──▶  tries again, or raises
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import re
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast

from attrs import frozen

from treadle.client.gate import through
from treadle.client.inside import Run
from treadle.interning import the_operation
from treadle.values.instant import START
from treadle.values.observation import Failure, Observation
from treadle.values.operation import Kind
from treadle.world.clock import Clock
from treadle.world.connection import arguments_of, timeout_of
from treadle.world.holding import Lock
from treadle.world.library import BUSY_HANDLER, TRACER, Library, library_of
from treadle.world.room import own_lack

_TIMEOUT = re.compile("busy_timeout", re.IGNORECASE)
_SETS_TIMEOUT = re.compile(r"busy_timeout\s*[=(]", re.IGNORECASE)
_WAL_LOCKS = (Lock.NONE, Lock.READ, Lock.WRITE)

GO_ON = Observation(rowcount=0)
"""It is the client's turn."""

TIME_IS_OVER = Observation(rowcount=1)
"""It is the client's turn, and whatever would wait is refused."""

DIE = Observation(rowcount=2)
"""The client vanishes, with all that it has open, and commits nothing more."""


@frozen
class Note:
    """What an execution needs to know of a client that has stopped.

    Attributes:
        at: the number of the connection whose call it stands before, or in; None for none.
        waits: it is inside a call that waits.
        refused: SQLite has found the database locked since it went on.
        locks: what each of its connections holds, in the order in which they were opened; None if it is closed.
    """

    at: int | None
    waits: bool
    refused: bool
    locks: tuple[Lock | None, ...]


NOWHERE = Note(None, waits=False, refused=False, locks=())
"""Where a client is that has opened nothing."""


@frozen
class OpensPlainly:
    """Opens plain connections for a client: a way to start one that pickles.

    Attributes:
        path: the database file.
        journal: its journal mode.
    """

    path: Path
    journal: str
    driver: str

    def __call__(self, client: Run) -> Callable[[dict[str, Any]], Any]:
        """Return what opens connections, in the client's process."""
        driver = importlib.import_module(self.driver)
        return Actor(client, self.path, self.journal, library_of(driver)).open


class _DyingError(BaseException):
    """Leads out of a call that draws rows."""


class Actor:
    """A client in its own process, standing before a call or inside one that waits.

    Attributes:
        over: it dies; whatever is left of it calls nothing any more.
        refused: SQLite has found the database locked since it went on.
    """

    def __init__(self, client: Run, path: Path, journal: str, library: Library) -> None:
        """Open nothing yet.

        Args:
            client: whose process it is.
            path: of the database file.
            journal: its journal mode.
            library: SQLite.
        """
        self.journal = journal
        self.library = library
        self.clock = Clock(START)
        self.refused = False
        self.over = False
        self.connections: list[Any] = []
        self.handlers: list[Any] = []  # SQLite may call them for as long as a statement outlives its connection
        self._path = path
        self._client = client
        self._at: Any = None
        self._waits = False
        self._patient = True
        self._asked: tuple[Kind, str | None, tuple[object, ...]] = (Kind.CONNECT, None, ())
        client.at_end = self._close

    def open(self, options: dict[str, Any]) -> Any:
        """Open a connection."""
        timeout_ms = timeout_of(options)
        connection = _class_of(self.library.driver)
        self.point(None, Kind.CONNECT)
        try:
            opened = self._client.opened(lambda: connection(**arguments_of(self._path, options)))
        except (self.library.driver.Error, MemoryError) as error:
            self.require_own(error, None)
            raise
        opened.begin(self, timeout_ms)
        return opened

    # What connections call.

    def point(self, connection: Any, kind: Kind, sql: str | None = None, arguments: tuple[object, ...] = ()) -> None:
        """Stop before a call, until it is this client's turn."""
        self.stop(connection, kind, sql, arguments)
        if self.over:
            self.leave()

    def stop(self, connection: Any, kind: Kind, sql: str | None = None, arguments: tuple[object, ...] = ()) -> None:
        """Stop before a part of a call. If the client is to die then, the call must be led out of first."""
        self._at, self._waits = connection, False
        self._asked = (kind, sql, arguments)
        self._ask()
        self.clock.clock_s = self._client.clock_s

    def wait(self, connection: Any) -> bool:
        """Stop inside a call that SQLite would let wait; return whether it shall try again."""
        if self.over or not self._patient:
            self.refused = True
            return False
        self._at, self._waits = connection, True
        self._ask()
        self._waits = False
        self.refused = not self._patient
        return self._patient and not self.over

    def _ask(self) -> None:
        kind, sql, arguments = self._asked
        client = self._client
        operation = the_operation(kind, 0, None, sql, arguments, clock_s=client.clock_s, payload=self._note())
        answer = client.ask(operation).rowcount
        self._at = None
        self._patient, self.refused = answer == GO_ON.rowcount, False
        if answer == DIE.rowcount:
            self.over = True
            for connection in self.connections:
                if not connection.closed:
                    self.library.refuse_commits(connection, refuse=True)

    def _note(self) -> Note:
        at = next((place for place, one in enumerate(self.connections) if one is self._at), None)
        locks = tuple([None if one.closed else one.lock() for one in self.connections])
        return Note(None if at is None or self._at.closed else at, self._waits, self.refused, locks)

    def require_own(self, error: Exception, connection: Any) -> None:
        """Let a client be told only of what is its own doing: what the check lacks ends the check."""
        lack = own_lack(error, connection, self.library, self._path.parent)
        if lack is not None:
            self._client.blame(lack)

    def leave(self) -> None:
        """Close what is open, commit nothing, and end the process."""
        self._close()
        self._client.vanish()

    def _close(self) -> None:
        self.over = True
        for connection in self.connections:
            connection.end()

    def listening(self) -> bool:
        """Tell whether the client is still running."""
        return not self.over and self._client.listening()


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
            self.actor, self.library, self.closed = actor, actor.library, False
            self.cursors: weakref.WeakSet[Any] = weakref.WeakSet()
            self._timeout_ms, self._notes_timeout = timeout_ms, False
            self._handler = BUSY_HANDLER(lambda _, __: int(actor.wait(self)))
            self._arm()
            actor.clock.install(cast("Any", _Functions(self)))
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
            except (driver.Error, MemoryError) as error:
                self.actor.require_own(error, self)
                if not self.closed:
                    self._arm()  # to find that out may take the handler away
                self.actor.refused = self.actor.refused or (
                    isinstance(error, driver.OperationalError) and Failure.of(error).busy
                )
                raise
            finally:
                if self.actor.over:
                    self.actor.leave()
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
            self.actor.stop(self, kind, sql)
            if self.actor.over:
                self.library.interrupt(self)

        def drawn(self, rows: Iterator[Any], sql: str) -> Iterator[Any]:
            """Stop after each row that is drawn."""
            for row in rows:
                self._stop_drawing(Kind.ROW, sql)
                yield row
            self._stop_drawing(Kind.END_ROWS, sql)

        def _stop_drawing(self, kind: Kind, sql: str) -> None:
            self.actor.stop(self, kind, sql)
            if self.actor.over:
                raise _DyingError

        def lock(self) -> Lock:
            """Return the strongest lock that it holds."""
            if self.actor.journal == "wal":
                return _WAL_LOCKS[max(0, self.library.transaction(self))]
            return Lock(self.library.file_lock(self))

        def cursor(self, factory: Any = None) -> Any:
            plain = factory is None or factory is driver.Cursor
            return driver.Connection.cursor(self, Cursor if plain else through(factory, Cursor))

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
