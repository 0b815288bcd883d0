"""Connections that the application had opened before its processes were forked, and what they are like.

A client gets one of its own in place of each, and it must be like that one: a connection without the function, the
collation or the busy timeout that the application gave it would do what the application's never does. What it is like
is known from three sources::

    opened while a TARGET was loaded    all that was done to it was noted        (treadle.client.recorder)
    opened before                       the driver and SQLite are asked          options, switches, timeout
                                        what they do not tell is not known       functions, collations

A connection that has something which is not known does nothing, and the check ends when a client uses it.
"""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Callable
from typing import Any, Protocol

from attrs import define, field
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from treadle.client.recorder import ConfiguringCall, Recorded, Recording, recording_of

Put = Callable[[Any], None]
"""Puts something else where a reference was found."""

_SWITCHES = (
    *("cell_size_check", "checkpoint_fullfsync", "foreign_keys", "fullfsync", "ignore_check_constraints"),
    *("legacy_alter_table", "query_only", "read_uncommitted", "recursive_triggers", "reverse_unordered_selects"),
    *("trusted_schema", "writable_schema"),
)
"""The PRAGMAs that are a connection's own, can be asked for, and read nothing of its file to answer."""

_ITS_OWN = frozenset({"check_same_thread", "database", "factory", "isolation_level", "timeout", "uri"})
"""Options of which something else tells what they are now, or that say how the file is found."""

_NOT_CARRIED = frozenset(
    {"enable_load_extension", "load_extension", "set_authorizer", "set_progress_handler", "set_trace_callback"}
)
"""Calls that cannot be carried to the checked database; taking one back, with None or False, does nothing."""


class Library(Protocol):
    """A driver's SQLite."""

    def filename(self, connection: Any) -> str:
        """Return the file of a connection, or an empty text."""

    def detect_types(self, connection: Any) -> int | None:
        """Return what the driver converts on a connection, as ``connect`` takes it, or None if that cannot be told."""

    def only_reads(self, connection: Any) -> bool:
        """Tell whether the file of a connection was opened read-only."""

    def refuse_attach(self, connection: Any, allows: Callable[[str | None], bool]) -> None:
        """Let a connection attach only what is allowed."""


def _keeps_more(cursor: Any, driver: Any) -> bool:
    """Tell whether a cursor is of a class of the application's own whose cursors are not all alike at first."""
    kind = type(cursor)
    prepares = kind.__init__ is not driver.Cursor.__init__ or any(vars(base).get("__slots__") for base in kind.__mro__)
    return prepares or bool(getattr(cursor, "__dict__", None))


@define(eq=False)
class Opened:
    """A connection that was open before the process was forked.

    Attributes:
        connection: the driver's.
        path: of its database file.
        puts: put another connection wherever this one is referred to.
        cursors: its cursors, each with what puts another one where it is referred to.
        unknown: what it has that another one cannot be given, or an empty text.
    """

    connection: Any
    path: str
    puts: list[Put]
    cursors: list[tuple[Any, list[Put]]] = field(factory=list)
    unknown: str = ""
    _options: dict[str, Any] = field(factory=dict)
    _calls: list[ConfiguringCall] = field(factory=list)
    _switches: dict[str, int] = field(factory=dict)
    _is_sqlalchemys: bool = False

    def look(self, driver: Any, library: Library) -> None:
        """Find out what it is like; nothing of its file is read.

        Args:
            driver: the module whose connection it is.
            library: its SQLite.
        """
        recording = recording_of(self.connection)
        if attached_to(driver, self.connection):
            self.unknown = "what it has attached"
            return
        if type(self.connection) not in {driver.Connection, Recorded}:
            self.unknown = f"its class, {type(self.connection).__qualname__}"
            return
        keeping = next((cursor for cursor, _ in self.cursors if _keeps_more(cursor, driver)), None)
        if keeping is not None:
            self.unknown = f"what a cursor of its keeps, of class {type(keeping).__qualname__}"
            return
        try:
            self._look_at_settings(driver)
            if library.only_reads(self.connection):
                self._options["mode"] = "ro"
            if recording is not None:
                self._take(recording)
            else:
                self._look_at_functions(driver)
                self._options["detect_types"] = library.detect_types(self.connection)
                if self._options["detect_types"] is None:
                    self.unknown = self.unknown or "what it converts (detect_types)"
        except driver.Error as error:  # it belongs to another thread, or an authorizer says no
            self.unknown = f"what it does not tell ({error})"

    def _look_at_settings(self, driver: Any) -> None:
        with contextlib.closing(driver.connect(":memory:")) as fresh:
            for name in _SWITCHES:
                value = _asked(driver, self.connection, name)
                if value != _asked(driver, fresh, name):
                    self._switches[name] = value[0][0]
        self._options["timeout"] = _asked(driver, self.connection, "busy_timeout")[0][0] / 1000

    def _take(self, recording: Recording) -> None:
        """Take what was noted of it."""
        for name, value in recording.options.items():
            if name not in _ITS_OWN:
                self._options.setdefault(name, value)
        for call in recording.calls:
            if call.name not in _NOT_CARRIED:
                self._calls.append(call)
            elif call.arguments[0]:
                self.unknown = f"what {call.name}() did to it"

    def _look_at_functions(self, driver: Any) -> None:
        """See which functions and collations it has that no new connection has."""
        with contextlib.closing(driver.connect(":memory:")) as fresh:
            usual = _functions(driver, fresh)
            own = _functions(driver, self.connection) - usual
            if own:
                _set_up(driver)(fresh)
                sqlalchemys = _functions(driver, fresh) - usual
                self._is_sqlalchemys = sqlalchemys <= own
                own -= sqlalchemys
        if own:
            self.unknown = f"{', '.join(sorted(name for name, *_ in own))}, which it was given for SQL"

    def options(self) -> dict[str, Any]:
        """Return the options with which another one is to be opened."""
        connection = self.connection
        options = {**self._options, "isolation_level": connection.isolation_level, "check_same_thread": False}
        if not options.get("detect_types"):
            options.pop("detect_types", None)
        if hasattr(connection, "autocommit"):
            options["autocommit"] = connection.autocommit
        return options

    def put(self, driver: Any, made: Any) -> None:
        """Put another connection, made like this one, where this one is referred to; cursors likewise.

        Args:
            driver: the module whose connection it is.
            made: the other one, opened with the same options.
        """
        if self._is_sqlalchemys:
            _set_up(driver)(made)
        for call in self._calls:
            getattr(made, call.name)(*call.arguments, **call.options)
        for name, value in self._switches.items():
            made.execute(f"PRAGMA {name} = {value}").close()
        made.row_factory = self.connection.row_factory
        if self.connection.text_factory is not str:
            made.text_factory = self.connection.text_factory
        _put_all(self.puts, made)
        for cursor, puts in self.cursors:
            own = made.cursor(type(cursor))
            own.arraysize, own.row_factory = cursor.arraysize, cursor.row_factory
            _put_all(puts, own)

    def put_refusal(self, driver: Any, refuse: Callable[[], Exception]) -> None:
        """Put what refuses everything where this connection and its cursors are referred to.

        Args:
            driver: the module whose connection it is.
            refuse: returns an error, with which the check ends.
        """
        for kind, puts in ((driver.Connection, self.puts), *((driver.Cursor, puts) for _, puts in self.cursors)):
            _put_all(puts, _refusing(kind, refuse))


def attached_to(driver: Any, connection: Any) -> str:
    """Return a file that a connection has attached, or an empty text; nothing is read to find out.

    https://www.sqlite.org/pragma.html#pragma_database_list
    """
    try:
        return next(
            (file for _, name, file in _asked(driver, connection, "database_list") if name != "main" and file), ""
        )
    except driver.Error:  # it is closed, belongs to another thread, or an authorizer says no
        return ""


def _refusing(kind: type[Any], refuse: Callable[[], Exception]) -> Any:
    """Return an object of a type of the driver of which every use is refused."""

    def look_up(self: object, name: str) -> Any:
        if name.startswith("__") and name not in {"__enter__", "__exit__", "__call__", "__iter__", "__next__"}:
            return object.__getattribute__(self, name)
        raise refuse()

    def call(*_: object) -> Any:
        raise refuse()

    used = dict.fromkeys(("__enter__", "__exit__", "__call__", "__iter__", "__next__"), call)
    made: Any = type(f"Refusing{kind.__name__}", (kind,), {"__getattribute__": look_up, **used})
    return made.__new__(made)  # nothing of the driver is initialised


def _put_all(puts: list[Put], thing: Any) -> None:
    for put in puts:
        with contextlib.suppress(AttributeError, TypeError):
            put(thing)


def _asked(driver: Any, connection: Any, pragma: str) -> list[tuple[Any, ...]]:
    """Return what a connection says of itself, whatever it makes of rows and texts."""
    cursor, makes = driver.Cursor(connection), connection.text_factory
    cursor.row_factory = None
    connection.text_factory = str
    try:
        rows: list[tuple[Any, ...]] = cursor.execute(f"PRAGMA {pragma}").fetchall()
    finally:
        connection.text_factory = makes
        cursor.close()
    return rows


def _functions(driver: Any, connection: Any) -> set[tuple[Any, ...]]:
    """Return what the functions and collations of a connection are; what there is twice has been replaced."""
    functions = collections.Counter(_asked(driver, connection, "function_list"))
    collations = [name for _, name in _asked(driver, connection, "collation_list")]
    return {(*row, count) for row, count in functions.items()} | {(name, "collation") for name in collations}


def _set_up(driver: Any) -> Callable[[Any], None]:
    """Return what gives a connection the functions that SQLAlchemy gives to each."""
    connect: Callable[[Any], None] = SQLiteDialect_pysqlite(dbapi=driver).on_connect()
    return connect
