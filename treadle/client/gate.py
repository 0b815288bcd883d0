"""The gate: driver classes that hand every call to the checker instead of to a database.

``GateConnection`` and ``GateCursor`` subclass the classes of the driver, since applications and SQLAlchemy ask
``isinstance``. Their base classes are never initialised: a method that is not overridden here raises instead of
reaching some database behind the checker's back.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any, Literal, Protocol, Self, TypeVar

from treadle.interning import the_operation
from treadle.values.bound import ToConvert, ToDecode, Unsupported
from treadle.values.errors import TreadleError, UnsupportedOperationError
from treadle.values.observation import Observation
from treadle.values.operation import Kind, Operation


class Port(Protocol):
    """Where a gate hands its operations to."""

    name: str

    @property
    def clock_s(self) -> float:
        """The client's time, in seconds since it started."""

    def ask(self, operation: Operation) -> Observation:
        """Carry out an operation and return what is to be observed."""

    def blame(self, misuse: TreadleError) -> None:
        """Let the check end with an error when the client stops next."""

    def listening(self) -> bool:
        """Tell whether the client is running now, so that it can be asked something."""

    def take_number(self) -> int:
        """Return the lowest connection number that is free, and take it."""

    def free_number(self, number: int) -> None:
        """Give a connection number back."""

    def keep(self, connection: object) -> None:
        """Keep an open connection alive for as long as the client runs.

        A connection of the driver is in a cycle with the statements that it caches. So one that its client has
        forgotten stays open, with its locks, until garbage is collected.
        """

    def let_go(self, connection: object) -> None:
        """Keep a connection no more, which was closed."""


DRAWS = "draws"
"""What an executemany shows while the driver wants another row."""

_FROZEN = frozenset({type(None), bool, int, float, str, bytes})
"""Types whose values nobody can change."""

_EXACTLY: tuple[tuple[type[Any], Callable[[Any], Any]], ...] = (
    (int, int.__int__),
    (float, float.__float__),
    (str, str.__str__),
    (bytes, bytes.__bytes__),
)
"""Types that SQLite has, and what makes one of exactly that type of a value of a subtype."""


class _Binding:
    """What becomes of the parameters of one call on their way to SQLite.

    Attributes:
        error: what an adapter raised.
        strange: the name of the type of the first value that SQLite cannot take.
    """

    def __init__(self, driver: ModuleType) -> None:
        self.error: Exception | None = None
        self.strange: str | None = None
        self._driver = driver

    def of(self, parameters: Any) -> Any:
        """Return parameters as plain values that nobody changes later."""
        if type(parameters) is tuple and _FROZEN.issuperset(map(type, parameters)):  # as nearly all are
            return parameters
        if isinstance(parameters, Mapping):
            return {key: self._value(item) for key, item in parameters.items()}
        if isinstance(parameters, (list, tuple)):
            return tuple([self._value(item) for item in parameters])
        return self._others(parameters)

    def _others(self, parameters: Any) -> Any:
        """Return parameters that are neither list nor mapping: the driver takes whatever is a sequence."""
        try:
            return tuple([self._value(parameters[index]) for index in range(len(parameters))])
        except TypeError:
            return Unsupported(type(parameters).__name__)

    def _value(self, value: Any) -> Any:
        if type(value) in _FROZEN:
            return value
        adapted = value if isinstance(value, bytearray) else self._adapted(value)
        for kind, exactly in _EXACTLY:
            if isinstance(adapted, kind):
                return exactly(adapted)
        if adapted is None:
            return None
        try:
            return bytes(memoryview(adapted))
        except TypeError:
            name = type(adapted).__name__
            self.strange = self.strange or name
            return Unsupported(name)

    def _adapted(self, value: Any) -> Any:
        try:
            return self._driver.adapt(value, self._driver.PrepareProtocol, value)
        except Exception as error:  # noqa: BLE001  # whatever an adapter raises is the client's
            self.error = self.error or error
            return Unsupported(type(value).__name__)

    def failed(self, error: Exception) -> Exception:
        """Return the error that the client sees, where SQLite did not take the parameters."""
        if "Unsupported" not in str(error):
            return error
        if self.error is not None:
            return self.error
        return type(error)(str(error).replace("Unsupported", self.strange or ""))


_LIBRARIES = frozenset({"sqlalchemy", *sys.stdlib_module_names})
"""Whose functions are the same for every client, whatever they close over."""


def _describe(value: Any, client: str) -> Any:
    """Return what identifies an argument of a configuration call: of what closes over something, that of a client."""
    if not callable(value):
        return value
    module, name = getattr(value, "__module__", ""), getattr(value, "__qualname__", type(value).__qualname__)
    if str(module).partition(".")[0] in _LIBRARIES:
        return name
    plain = isinstance(value, type) or (
        isinstance(value, FunctionType) and not (value.__closure__ or value.__defaults__)
    )
    return f"{module}.{name}" if plain else f"{module}.{name} of {client}"


def _refusal(name: str) -> Any:
    """Return a method that refuses: the gate cannot carry this call."""

    def refuse(self: ConnectionCalls, *arguments: object, **options: object) -> None:
        del arguments, options
        raise self._refused(
            f"Connection.{name}: the gate cannot carry this call to the checked database. "
            "Leave it out of the code that clients run, or run it in the database's seed."
        )

    refuse.__name__ = name
    return refuse


_SHADOWED = ("arraysize", "description", "row_factory", "rowcount")
"""Attributes of a driver's cursor that are the gate's own."""


_Call = TypeVar("_Call", bound=Callable[..., Any])


def _frameless(call: _Call) -> _Call:
    """Let no frame of the gate keep a cursor or a connection alive in a traceback: the driver's own are C."""

    @functools.wraps(call)
    def called(self: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return call(self, *arguments, **options)
        except BaseException as error:
            error.__traceback__ = None
            raise
        finally:
            del self

    return called  # type: ignore[return-value]  # of the same signature


class CursorCalls:
    """The calls of a cursor, each of which is an operation."""

    _closed: bool
    _gate: ConnectionCalls
    _inserted: bool
    _lastrowid: int | None
    _number: int
    arraysize: int
    description: Any
    row_factory: Any
    rowcount: int

    def __init__(self, connection: ConnectionCalls) -> None:
        """Take the lowest free cursor number of the connection."""
        self._number = connection._take_cursor_number()  # noqa: SLF001  # the two classes are one gate
        self._gate = connection
        self._closed = False
        self.arraysize = 1
        self.description = None
        self._lastrowid = None
        self._inserted = True
        self.rowcount = -1
        self.row_factory = connection.row_factory

    @property
    def connection(self) -> Any:
        """The connection that made this cursor."""
        return self._gate

    @property
    def lastrowid(self) -> int | None:
        """The rowid of the last inserted row.

        The driver sets it after every statement, to what the connection inserted last. Only an INSERT's own is part
        of what the statement shows; any other is asked for when it is read.
        """
        if not self._inserted and not self._closed:
            asked = self._gate._ask(Kind.CONFIGURE, self._number, None, ("lastrowid",))  # noqa: SLF001  # one gate
            self._lastrowid, self._inserted = asked.rows, True
        return self._lastrowid

    def _ask(self, kind: Kind, sql: str | None = None, arguments: Any = ()) -> Observation:
        if self._closed:
            raise self._gate.ProgrammingError("Cannot operate on a closed cursor.")
        return self._gate._ask(kind, self._number, sql, arguments)  # noqa: SLF001  # the two classes are one gate

    def _run(
        self, kind: Kind, sql: str, arguments: Any, goes_on: Callable[[Observation], Observation] | None = None
    ) -> Self:
        if not isinstance(sql, str):
            raise TypeError(f"execute() argument 1 must be str, not {type(sql).__name__}")
        if kind is Kind.EXECUTESCRIPT:  # runs beside the cursor's own statement
            self._ask(kind, sql, arguments)
            return self
        unfinished, number = self._gate._unfinished, self._number  # noqa: SLF001  # the two classes are one gate
        if number in unfinished:  # the driver resets the cursor's statement first, which may drop a lock
            self._gate._require_open()  # noqa: SLF001  # likewise
            self._ask(Kind.CLOSE_CURSOR)
            unfinished.discard(number)
        self.description = None
        self.rowcount = -1
        seen = self._ask(kind, sql, arguments)
        if goes_on is not None:
            seen = goes_on(seen)
        if seen.description is not None:
            unfinished.add(number)
        self.description = seen.description
        self.rowcount = seen.rowcount
        self._inserted = kind is Kind.EXECUTEMANY or seen.lastrowid is not None
        if seen.lastrowid is not None:
            self._lastrowid = seen.lastrowid
        return self

    @_frameless
    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        """Run one statement."""
        return self._run(Kind.EXECUTE, sql, parameters)

    @_frameless
    def executemany(self, sql: str, seq_of_parameters: Iterable[Any], /) -> Self:
        """Run one statement for each set of parameters.

        The driver draws them one by one, while it executes. Nobody can tell where they are in a list already.
        """
        if type(seq_of_parameters) in {list, tuple}:
            return self._run(Kind.EXECUTEMANY, sql, tuple(seq_of_parameters))
        rows = iter(seq_of_parameters)
        return self._run(Kind.EXECUTEMANY, sql, None, lambda seen: self._draw(sql, rows, seen))

    def _draw(self, sql: str, rows: Iterator[Any], seen: Observation) -> Observation:
        """Give the driver row after row, for as long as it wants one."""
        while seen.rows == DRAWS:
            try:
                row = next(rows)
            except StopIteration:
                seen = self._ask(Kind.END_ROWS, sql)
            except BaseException:
                self._ask(Kind.END_ROWS, sql, ("failed",))
                raise
            else:
                seen = self._ask(Kind.ROW, sql, (row,))
        return seen

    @_frameless
    def executescript(self, sql_script: str, /) -> Self:
        """Run several statements; the driver commits an open transaction first."""
        return self._run(Kind.EXECUTESCRIPT, sql_script, ())

    def _fetch(self, kind: Kind, size: int | None = None) -> list[Any]:
        if self._closed:
            raise self._gate.ProgrammingError("Cannot operate on a closed cursor.")
        unfinished, number = self._gate._unfinished, self._number  # noqa: SLF001  # the two classes are one gate
        self._gate._require_open()  # noqa: SLF001  # likewise
        if number not in unfinished:
            return []
        unfinished.discard(number)  # if this fails, the driver lets go of the statement
        seen = self._ask(kind, None, () if size is None else (size,))
        rows: Sequence[Any] = seen.rows or ()
        if kind is not Kind.FETCHALL and len(rows) == (1 if size is None else size):
            unfinished.add(number)
        self.rowcount = seen.rowcount
        if self._gate._converts:  # noqa: SLF001  # likewise
            rows = [self._converted(row) for row in rows]
        factory = self.row_factory
        return list(rows) if factory is None else [self._shape(factory, row) for row in rows]

    def _converted(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return a row as converters and the text factory make it."""
        gate = self._gate
        return tuple(
            [
                gate.driver.converters[value.converter](value.data)
                if isinstance(value, ToConvert)
                else gate.text_factory(value.data)
                if isinstance(value, ToDecode)
                else value
                for value in row
            ]
        )

    def _shape(self, factory: Callable[..., Any], row: tuple[Any, ...]) -> Any:
        driver = self._gate.driver
        if isinstance(factory, type) and issubclass(factory, driver.Row):
            names = ", ".join('NULL AS "' + item[0].replace('"', '""') + '"' for item in self.description)
            with contextlib.closing(driver.connect(":memory:")) as shaper:
                return factory(shaper.execute(f"SELECT {names}"), row)
        return factory(self, row)

    @_frameless
    def fetchone(self) -> Any:
        """Return the next row, or None."""
        rows = self._fetch(Kind.FETCHONE)
        return rows[0] if rows else None

    @_frameless
    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return up to ``size`` rows."""
        return self._fetch(Kind.FETCHMANY, self.arraysize if size is None else size)

    @_frameless
    def fetchall(self) -> list[Any]:
        """Return all remaining rows."""
        return self._fetch(Kind.FETCHALL)

    def __iter__(self) -> Self:
        """Iterate over the remaining rows."""
        return self

    @_frameless
    def __next__(self) -> Any:
        """Return the next row."""
        rows = self._fetch(Kind.FETCHONE)
        if not rows:
            raise StopIteration
        return rows[0]

    def close(self) -> None:
        """Close the cursor; an unfinished statement releases what it holds."""
        self._gate._require_open()  # noqa: SLF001  # the two classes are one gate
        if not self._closed:
            self._finish()

    def _finish(self) -> None:
        """End the statement, also one that outlived its connection."""
        gate, number = self._gate, self._number
        try:
            if number in gate._unfinished:  # noqa: SLF001  # the two classes are one gate
                self._ask(Kind.CLOSE_CURSOR)
        finally:
            self._closed = True
            gate._free_cursor_number(number)  # noqa: SLF001  # likewise

    def setinputsizes(self, sizes: object, /) -> None:
        """Do nothing, as the driver does."""

    def setoutputsize(self, size: object, column: object = None, /) -> None:
        """Do nothing, as the driver does."""

    def __del__(self) -> None:
        """Count as closed: collecting an unfinished cursor releases what it holds, at this very moment."""
        gate = getattr(self, "_gate", None)
        if gate is None or self._closed:
            return
        if self._number in gate._unfinished and gate._port.listening():  # noqa: SLF001  # the two classes are one gate
            self._finish()
        else:
            gate._free_cursor_number(self._number)  # noqa: SLF001  # the two classes are one gate


_ERRORS = (
    *("Warning", "Error", "InterfaceError", "DatabaseError", "DataError", "OperationalError", "IntegrityError"),
    *("InternalError", "ProgrammingError", "NotSupportedError"),
)
"""The exceptions that a connection has as attributes (PEP 249)."""


class ConnectionCalls:
    """The calls of a connection, each of which is an operation.

    Statements that cursors keep when it is closed go on, and so does what they hold, until the cursors are collected
    (https://www.sqlite.org/c3ref/close.html); until then, its number is not free.
    """

    driver: ModuleType
    cursors: type[CursorCalls]
    ProgrammingError: type[Exception]

    def __init__(self, port: Port, options: Mapping[str, Any]) -> None:
        """Ask the world to open a connection.

        Args:
            port: where operations go.
            options: keyword arguments of ``sqlite3.connect``.
        """
        self._port = port
        self._open = False
        self._number = port.take_number()
        self._cursors: set[int] = set()
        self._unfinished: set[int] = set()
        self._row_factory: Any = None
        self._text_factory: Any = str
        self._converts = bool(options.get("detect_types"))
        self._in_transaction = False
        self._isolation_level = options.get("isolation_level", "")
        self._autocommit = options.get("autocommit", getattr(self.driver, "LEGACY_TRANSACTION_CONTROL", -1))
        shown = tuple(sorted((name, _describe(value, port.name)) for name, value in options.items()))
        self._open = True
        own = {"converters": tuple(self.driver.converters)} if self._converts else {}
        self._ask(Kind.CONNECT, None, None, shown, payload={**options, **own})
        port.keep(self)

    def _ask(
        self, kind: Kind, cursor: int | None = None, sql: str | None = None, arguments: Any = (), payload: Any = None
    ) -> Observation:
        if kind is not Kind.CLOSE_CURSOR:
            self._require_open()
        port = self._port
        binding = None
        if sql is not None and arguments:
            binding = _Binding(self.driver)
            arguments = self._bound(binding, kind, arguments)
        seen = port.ask(
            the_operation(kind, self._number, cursor, sql, arguments, clock_s=port.clock_s, payload=payload)
        )
        self._in_transaction = seen.in_transaction
        if seen.failure is not None:
            error = seen.failure.exception(self.driver)
            raise error if binding is None else binding.failed(error)
        return seen

    @staticmethod
    def _bound(binding: _Binding, kind: Kind, arguments: Any) -> Any:
        if kind in {Kind.EXECUTEMANY, Kind.ROW}:
            return tuple([binding.of(row) for row in arguments])
        return arguments if kind is Kind.END_ROWS else binding.of(arguments)

    def _require_open(self) -> None:
        if not self._open:
            raise self.ProgrammingError("Cannot operate on a closed database.")

    def _refused(self, text: str) -> UnsupportedOperationError:
        """Return an error that the check ends with, whatever the client makes of it."""
        error = UnsupportedOperationError(text)
        self._port.blame(error)
        return error

    def _take_cursor_number(self) -> int:
        self._require_open()
        number = 0
        while number in self._cursors:
            number += 1
        self._cursors.add(number)
        return number

    def _free_cursor_number(self, number: int) -> None:
        self._cursors.discard(number)
        if number in self._unfinished:
            self._unfinished.discard(number)
            self._free_number()

    def _free_number(self) -> None:
        """Give the connection's number back once it is closed, and nothing of it is under way."""
        if not self._open and not self._unfinished:
            self._port.free_number(self._number)

    def cursor(self, factory: Any = None) -> Any:
        """Return a new cursor, of a class of the application's own if it asks for that."""
        if factory is None or factory is self.driver.Cursor:
            return self.cursors(self)
        if not (isinstance(factory, type) and issubclass(factory, self.driver.Cursor)):
            raise self._refused(
                f"cursor(factory={factory!r}): cursors that it makes would bypass the gate. "
                f"Give a class that is derived from {self.driver.__name__}.Cursor."
            )
        return through(factory, self.cursors)(self)  # type: ignore[arg-type]  # classes can be hashed

    @_frameless
    def execute(self, sql: str, parameters: Any = (), /) -> CursorCalls:
        """Run one statement on a new cursor."""
        return self.cursors(self).execute(sql, parameters)

    @_frameless
    def executemany(self, sql: str, parameters: Iterable[Any], /) -> CursorCalls:
        """Run one statement for each set of parameters on a new cursor."""
        return self.cursors(self).executemany(sql, parameters)

    @_frameless
    def executescript(self, sql_script: str, /) -> CursorCalls:
        """Run several statements on a new cursor."""
        return self.cursors(self).executescript(sql_script)

    @_frameless
    def commit(self) -> None:
        """Commit the open transaction, if there is one."""
        self._ask(Kind.COMMIT)

    @_frameless
    def rollback(self) -> None:
        """Roll the open transaction back, if there is one."""
        self._ask(Kind.ROLLBACK)

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back once no statement is under way."""
        if not self._open:
            return
        kept = self._ask(Kind.CLOSE, arguments=tuple(sorted(self._cursors))).rows or ()
        self._unfinished = set(kept)
        self._open = False
        self._in_transaction = False
        self._port.let_go(self)
        self._free_number()

    def __enter__(self) -> Self:
        """Return the connection."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object, /) -> Literal[False]:
        """Commit, or roll back after an exception; the connection stays open."""
        if kind is None:
            try:
                self.commit()
            except self.driver.Error:
                self.rollback()
                raise
        else:
            self.rollback()
        return False

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        self._require_open()
        return self._in_transaction

    @property
    def total_changes(self) -> int:
        """How many rows were changed through this connection."""
        return int(self._configure("total_changes"))

    @property
    def isolation_level(self) -> Any:
        """The driver's ``isolation_level``."""
        return self._isolation_level

    @isolation_level.setter
    def isolation_level(self, value: Any) -> None:
        self._ask(Kind.CONFIGURE, arguments=("isolation_level", value))
        self._isolation_level = value

    @property
    def autocommit(self) -> Any:
        """The driver's ``autocommit`` (Python 3.12 and later)."""
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value: Any) -> None:
        self._ask(Kind.CONFIGURE, arguments=("autocommit", value))
        self._autocommit = value

    @property
    def row_factory(self) -> Any:
        """What shapes the rows of new cursors."""
        return self._row_factory

    @row_factory.setter
    def row_factory(self, value: Any) -> None:
        self._row_factory = value

    @property
    def text_factory(self) -> Any:
        """What makes Python values of TEXT."""
        return self._text_factory

    @text_factory.setter
    def text_factory(self, value: Any) -> None:
        plain = any(value is kind for kind in (str, bytes, bytearray))
        self._configure("text_factory", value if plain else ToDecode)
        self._text_factory = value
        self._converts = self._converts or not plain

    def _configure(self, name: str, *values: Any, **options: Any) -> Any:
        client = self._port.name
        named = sorted((key, _describe(item, client)) for key, item in options.items())
        shown = (name, *[_describe(value, client) for value in values], *named)
        seen = self._ask(Kind.CONFIGURE, arguments=shown, payload=(values, options))
        return seen.rows

    def create_function(self, name: str, narg: int, func: Any, /, *, deterministic: bool = False) -> None:
        """Register a function for SQL."""
        self._configure("create_function", name, narg, func, deterministic=deterministic)

    def create_aggregate(self, name: str, n_arg: int, aggregate_class: Any, /) -> None:
        """Register an aggregate for SQL."""
        self._configure("create_aggregate", name, n_arg, aggregate_class)

    def create_window_function(self, name: str, num_params: int, aggregate_class: Any, /) -> None:
        """Register a window function for SQL."""
        self._configure("create_window_function", name, num_params, aggregate_class)

    def create_collation(self, name: str, callback: Any, /) -> None:
        """Register a collation for SQL."""
        self._configure("create_collation", name, callback)

    def getlimit(self, category: int, /) -> int:
        """Return a limit of the connection."""
        return int(self._configure("getlimit", category))

    def setlimit(self, category: int, limit: int, /) -> int:
        """Set a limit of the connection."""
        return int(self._configure("setlimit", category, limit))

    def getconfig(self, op: int, /) -> bool:
        """Return a switch of the connection (Python 3.12 and later)."""
        return bool(self._configure("getconfig", op))

    def setconfig(self, op: int, enable: bool = True, /) -> None:  # noqa: FBT001, FBT002  # the driver's signature
        """Set a switch of the connection (Python 3.12 and later)."""
        self._configure("setconfig", op, enable)

    def interrupt(self) -> None:
        """Do nothing: no operation is under way while a client runs."""

    backup = _refusal("backup")
    blobopen = _refusal("blobopen")
    deserialize = _refusal("deserialize")
    enable_load_extension = _refusal("enable_load_extension")
    iterdump = _refusal("iterdump")
    load_extension = _refusal("load_extension")
    serialize = _refusal("serialize")
    set_authorizer = _refusal("set_authorizer")
    set_progress_handler = _refusal("set_progress_handler")
    set_trace_callback = _refusal("set_trace_callback")
    __call__ = _refusal("__call__")

    def __del__(self) -> None:
        """Count as closed: collecting an open connection rolls its transaction back."""
        if getattr(self, "_open", False) and self._port.listening():
            self.close()


@functools.cache
def through(factory: type[Any], cursors: type[Any]) -> type[Any]:
    """Return a cursor class of an application's, whose calls of its base class go to another one.

    Args:
        factory: derived from the driver's cursor class.
        cursors: likewise.
    """
    return type(factory.__name__, (factory, cursors), {"__module__": factory.__module__})


@functools.cache
def gate_of(driver: ModuleType) -> type[Any]:
    """Return the connection class of a driver's gate.

    Args:
        driver: a module with the interface of ``sqlite3``.
    """
    cursors = type("GateCursor", (CursorCalls, driver.Cursor), {"__slots__": _SHADOWED})
    errors = {name: getattr(driver, name) for name in _ERRORS}
    own = {"driver": driver, "cursors": cursors, **errors}
    return type("GateConnection", (ConnectionCalls, driver.Connection), own)


GateConnection = gate_of(sqlite3)
"""The gate of Python's own driver."""
