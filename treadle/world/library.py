"""SQLite's C interface, for what the driver does not offer: the locks that a connection holds, and its busy handler.

A connection of CPython's driver starts with its ``sqlite3*``, and a statement with its ``sqlite3_stmt*``, each right
behind the object header; so do those of pysqlite3, which is the same code. That this is so is tried out where a
library is opened.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import os
import sqlite3
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from treadle.values.errors import UsageError

_HEADER_BYTES = object.__basicsize__
_MAIN = b"main"
_LOCKSTATE = 1
"""SQLITE_FCNTL_LOCKSTATE (https://www.sqlite.org/c3ref/c_fcntl_begin_atomic_write.html#sqlitefcntllockstate)."""

_SCHEMA_USED = 2
"""SQLITE_DBSTATUS_SCHEMA_USED (https://www.sqlite.org/c3ref/c_dbstatus_options.html)."""

_TRACE_STATEMENT = 1
"""SQLITE_TRACE_STMT (https://www.sqlite.org/c3ref/c_trace.html)."""

BUSY_HANDLER: Any = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
"""A busy handler in C: is told how often it was called before, and answers whether SQLite shall try again."""

TRACER: Any = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
"""A trace callback in C."""

PROGRESS: Any = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
"""A progress handler in C: answers whether SQLite shall end the statement."""

_AUTHORIZER: Any = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p
)

_COMMIT_HOOK: Any = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_REFUSE_COMMIT = _COMMIT_HOOK(lambda _: 1)
_NO_HANDLER = BUSY_HANDLER()
_NO_TRACER = TRACER()
_NO_HOOK = _COMMIT_HOOK()

_POINTER = ctypes.c_void_p
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "sqlite3_busy_handler": (ctypes.c_int, (_POINTER, BUSY_HANDLER, _POINTER)),
    "sqlite3_busy_timeout": (ctypes.c_int, (_POINTER, ctypes.c_int)),
    "sqlite3_commit_hook": (_POINTER, (_POINTER, _COMMIT_HOOK, _POINTER)),
    "sqlite3_db_filename": (ctypes.c_char_p, (_POINTER, ctypes.c_char_p)),
    "sqlite3_db_readonly": (ctypes.c_int, (_POINTER, ctypes.c_char_p)),
    "sqlite3_db_status": (ctypes.c_int, (_POINTER, ctypes.c_int, _POINTER, _POINTER, ctypes.c_int)),
    "sqlite3_file_control": (ctypes.c_int, (_POINTER, ctypes.c_char_p, ctypes.c_int, _POINTER)),
    "sqlite3_get_autocommit": (ctypes.c_int, (_POINTER,)),
    "sqlite3_interrupt": (None, (_POINTER,)),
    "sqlite3_last_insert_rowid": (ctypes.c_int64, (_POINTER,)),
    "sqlite3_progress_handler": (None, (_POINTER, ctypes.c_int, PROGRESS, _POINTER)),
    "sqlite3_set_authorizer": (ctypes.c_int, (_POINTER, _AUTHORIZER, _POINTER)),
    "sqlite3_set_last_insert_rowid": (None, (_POINTER, ctypes.c_int64)),
    "sqlite3_sql": (ctypes.c_char_p, (_POINTER,)),
    "sqlite3_stmt_busy": (ctypes.c_int, (_POINTER,)),
    "sqlite3_trace_v2": (ctypes.c_int, (_POINTER, ctypes.c_uint, TRACER, _POINTER)),
    "sqlite3_txn_state": (ctypes.c_int, (_POINTER, ctypes.c_char_p)),
}

_DETECT_TYPES = (0, 1, 2, 3)
"""What ``connect`` takes as ``detect_types``."""

UNTOUCHED_ROWID = -0x7E57_0F5E_A5CE_DBAD
"""Stands for a last insert rowid that no statement has set since."""


class Library:
    """The SQLite that a driver uses.

    Attributes:
        driver: a module with the interface of ``sqlite3``.
    """

    def __init__(self, driver: ModuleType) -> None:
        """Open the library of a driver; ``library_of`` does it once.

        Raises:
            UsageError: it cannot be looked into.
        """
        self.driver = driver
        self._kept: list[Any] = []
        own = sys.modules.get(f"{driver.__name__.partition('.')[0]}._sqlite3") or sys.modules.get("_sqlite3")
        try:
            self._c = ctypes.CDLL(getattr(own, "__file__", None))
            for name, (result, arguments) in _SIGNATURES.items():
                function = getattr(self._c, name)
                function.restype, function.argtypes = result, arguments
            probe = driver.connect(":memory:", isolation_level=None)
            found = [self.in_transaction(probe)]
            probe.execute("BEGIN IMMEDIATE")
            found += [self.in_transaction(probe), self.transaction(probe) == 2]  # noqa: PLR2004  # SQLITE_TXN_WRITE
            probe.close()
        except (AttributeError, OSError, TypeError) as error:
            raise self._unknown(str(error)) from error
        if found != [False, True, True]:
            raise self._unknown("a connection is laid out in another way")

    def _unknown(self, why: str) -> UsageError:
        return UsageError(
            f"driver {self.driver.__name__!r}: its SQLite cannot be asked which locks it holds ({why}). Use CPython's "
            "sqlite3 or pysqlite3, with SQLite 3.34 or later."
        )

    @staticmethod
    def _of(thing: object) -> Any:
        return _POINTER.from_address(id(thing) + _HEADER_BYTES)

    def filename(self, connection: Any) -> str:
        """Return the absolute path of a connection's database file; an empty text for none, or where it is closed.

        https://www.sqlite.org/c3ref/db_filename.html
        """
        pointer = self._of(connection)
        return os.fsdecode(self._c.sqlite3_db_filename(pointer, _MAIN) or b"") if pointer else ""

    def only_reads(self, connection: Any) -> bool:
        """Tell whether a connection's database file was opened read-only (https://www.sqlite.org/c3ref/db_readonly.html)."""
        pointer = self._of(connection)
        return bool(pointer) and self._c.sqlite3_db_readonly(pointer, _MAIN) == 1

    def detect_types(self, connection: Any) -> int | None:
        """Return what the driver converts on a connection, as ``connect`` takes it, or None if that cannot be told.

        The driver keeps it in a field of the connection; which one, connections that are known to differ in it show.
        """
        place = self._place_of_detect_types()
        return None if place is None else ctypes.c_int.from_address(id(connection) + place).value

    def _place_of_detect_types(self) -> int | None:
        made = [self.driver.connect(":memory:", detect_types=value) for value in _DETECT_TYPES]
        places = range(_HEADER_BYTES, self.driver.Connection.__basicsize__, ctypes.sizeof(ctypes.c_int))
        found = [
            place
            for place in places
            if [ctypes.c_int.from_address(id(one) + place).value for one in made] == list(_DETECT_TYPES)
        ]
        for one in made:
            one.close()
        return found[0] if len(found) == 1 else None

    def refuse_attach(self, connection: Any, allows: Callable[[str | None], bool]) -> None:
        """Let a connection attach only what is allowed, also while the driver still opens it.

        https://www.sqlite.org/c3ref/set_authorizer.html

        Args:
            connection: the driver's.
            allows: told the name of the database, or None where a parameter has it.
        """
        pointer = self._of(connection)
        if not pointer:  # it is closed
            return

        def decide(_: object, action: int, file: bytes | None, *__: object) -> int:
            attaches = action == sqlite3.SQLITE_ATTACH
            return (
                sqlite3.SQLITE_DENY
                if attaches and not allows(None if file is None else os.fsdecode(file))
                else sqlite3.SQLITE_OK
            )

        callback = _AUTHORIZER(decide)
        self._kept.append(callback)  # for as long as the process
        self._c.sqlite3_set_authorizer(pointer, callback, None)

    def transaction(self, connection: Any) -> int:
        """Return 0 for no transaction, 1 for a read and 2 for a write transaction of the main database.

        https://www.sqlite.org/c3ref/txn_state.html
        """
        return int(self._c.sqlite3_txn_state(self._of(connection), _MAIN))

    def file_lock(self, connection: Any) -> int:
        """Return the lock on the database file: 0 for none, SHARED, RESERVED, PENDING, and 4 for EXCLUSIVE.

        In WAL mode this tells nothing. https://www.sqlite.org/lockingv3.html
        """
        state = ctypes.c_int(0)
        self._c.sqlite3_file_control(self._of(connection), _MAIN, _LOCKSTATE, ctypes.byref(state))
        return state.value

    def in_transaction(self, connection: Any) -> bool:
        """Tell whether a connection is in a transaction, as the driver does."""
        return not self._c.sqlite3_get_autocommit(self._of(connection))

    def knows_schema(self, connection: Any) -> bool:
        """Tell whether a connection has read the schema: SQLite does so when it first needs it, and keeps it.

        https://www.sqlite.org/c3ref/db_status.html
        """
        bytes_, most = ctypes.c_int(0), ctypes.c_int(0)
        self._c.sqlite3_db_status(self._of(connection), _SCHEMA_USED, ctypes.byref(bytes_), ctypes.byref(most), 0)
        return bytes_.value > 0

    @staticmethod
    def keeps_statement(cursor: Any) -> bool:
        """Tell whether a cursor keeps a statement, done or not: then its connection outlives its own end."""
        return any(type(thing).__name__ == "Statement" for thing in gc.get_referents(cursor))

    def is_under_way(self, cursor: Any) -> bool:
        """Tell whether the statement of a cursor has begun and is neither done nor reset.

        The garbage collector knows which statement that is. Python 3.11 keeps that of an ``executemany`` when it is
        done; SQLite knows that it is.
        """
        for thing in gc.get_referents(cursor):
            if type(thing).__name__ == "Statement":
                pointer = self._of(thing)
                return bool(pointer) and bool(self._c.sqlite3_stmt_busy(pointer))
        return False

    def text_of(self, statement: int) -> str:
        """Return the SQL of a statement, given its pointer."""
        return bytes(self._c.sqlite3_sql(statement) or b"").decode("utf-8", "surrogateescape")

    def set_busy_handler(self, connection: Any, handler: Any) -> None:
        """Let SQLite call a ``BUSY_HANDLER`` where it would wait; it must live as long as the connection."""
        self._c.sqlite3_busy_handler(self._of(connection), handler or _NO_HANDLER, None)

    def set_busy_timeout(self, connection: Any, timeout_ms: int) -> None:
        """Let SQLite itself wait; ``PRAGMA busy_timeout`` tells this number, and not whether there is a handler."""
        self._c.sqlite3_busy_timeout(self._of(connection), timeout_ms)

    def set_tracer(self, connection: Any, tracer: Any) -> None:
        """Let SQLite call a ``TRACER`` before each statement, or nobody."""
        self._c.sqlite3_trace_v2(self._of(connection), _TRACE_STATEMENT if tracer else 0, tracer or _NO_TRACER, None)

    def set_progress_handler(self, connection: Any, instructions: int, handler: Any) -> None:
        """Let SQLite call a ``PROGRESS`` each time that a statement has executed so many instructions.

        It must live as long as the connection. https://www.sqlite.org/c3ref/progress_handler.html
        """
        self._c.sqlite3_progress_handler(self._of(connection), instructions, handler, None)

    def refuse_commits(self, connection: Any, *, refuse: bool) -> None:
        """Let every COMMIT of a connection roll back, or end that (https://www.sqlite.org/c3ref/commit_hook.html)."""
        self._c.sqlite3_commit_hook(self._of(connection), _REFUSE_COMMIT if refuse else _NO_HOOK, None)

    def interrupt(self, connection: Any) -> None:
        """Let the statements that are under way end with an error."""
        self._c.sqlite3_interrupt(self._of(connection))

    def last_rowid(self, connection: Any) -> int:
        """Return what ``last_insert_rowid()`` would."""
        return int(self._c.sqlite3_last_insert_rowid(self._of(connection)))

    def mark_rowid(self, connection: Any) -> None:
        """Let ``last_rowid`` return ``UNTOUCHED_ROWID`` until a statement sets it."""
        self._c.sqlite3_set_last_insert_rowid(self._of(connection), UNTOUCHED_ROWID)


@functools.cache
def library_of(driver: ModuleType) -> Library:
    """Return the SQLite that a driver uses.

    Raises:
        UsageError: it cannot be looked into.
    """
    return Library(driver)
