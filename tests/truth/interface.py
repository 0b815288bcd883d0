"""The C interface of the SQLite that a driver uses: waiting for real, and stopping inside a call.

The driver offers no busy handler, and no callback that can stop between two rows of an ``executemany``; SQLite does. A
``Connection`` of the driver starts with its ``sqlite3*``, right behind the object header, in every version so far.

``PRAGMA busy_timeout = N`` replaces a busy handler, and installing a handler zeroes the number that the PRAGMA reads.
So that programs see what plain SQLite shows, the two fields of SQLite's own structure are found by experiment (a number
and a pointer that nothing else has are set, and looked for), and looked at from then on.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

_HEADER_BYTES = object.__basicsize__
_SCANNED_BYTES = 1024
_TRACE_STATEMENT = 1  # SQLITE_TRACE_STMT, https://www.sqlite.org/c3ref/c_trace.html

_EXTENSIONS = {"sqlite3": "_sqlite3", "pysqlite3": "pysqlite3._sqlite3"}

_BusyFunction = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_TraceFunction = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
_NO_TRACE = _TraceFunction()


class Interface:
    """SQLite's C interface, as the library of one driver has it."""

    def __init__(self, driver: ModuleType) -> None:
        """Find the library, and the two fields in the structure of a connection.

        Args:
            driver: ``sqlite3`` or ``pysqlite3``.
        """
        extension = importlib.import_module(_EXTENSIONS[driver.__name__])
        assert extension.__file__ is not None
        self.library = ctypes.CDLL(extension.__file__)  # its symbols, and those of the libraries it is linked with
        self.library.sqlite3_busy_handler.argtypes = [ctypes.c_void_p, _BusyFunction, ctypes.c_void_p]
        self.library.sqlite3_busy_timeout.argtypes = [ctypes.c_void_p, ctypes.c_int]
        self.library.sqlite3_trace_v2.argtypes = [ctypes.c_void_p, ctypes.c_uint, _TraceFunction, ctypes.c_void_p]
        self.library.sqlite3_get_autocommit.argtypes = [ctypes.c_void_p]
        self.library.sqlite3_next_stmt.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self.library.sqlite3_next_stmt.restype = ctypes.c_void_p
        self.library.sqlite3_stmt_busy.argtypes = [ctypes.c_void_p]
        self.library.sqlite3_sql.argtypes = [ctypes.c_void_p]
        self.library.sqlite3_sql.restype = ctypes.c_char_p
        self.timeout_offset, self.handler_offset = self._find_fields(driver)

    def _find_fields(self, driver: ModuleType) -> tuple[int, int]:
        """Return where ``busyTimeout`` and ``xBusyHandler`` are in the structure ``sqlite3``, in bytes."""
        probe = driver.connect(":memory:")
        pointer = pointer_of(probe)
        places: list[set[int]] = []
        for number in (0x51A7E001, 0x0BADCAFE):
            self.library.sqlite3_busy_timeout(pointer, number)
            places.append(_places(pointer, number.to_bytes(4, "little"), 4))
        (timeout,) = places[0] & places[1]
        places = []
        for _ in range(2):
            function = _BusyFunction(lambda _, __: 0)
            self.library.sqlite3_busy_handler(pointer, function, None)
            address = ctypes.cast(function, ctypes.c_void_p).value
            assert address is not None
            places.append(_places(pointer, address.to_bytes(8, "little"), 8))
            self.library.sqlite3_busy_timeout(pointer, 0)
        (handler,) = places[0] & places[1]
        probe.close()
        return timeout, handler


def pointer_of(connection: Any) -> int:
    """Return the ``sqlite3*`` of an open connection."""
    pointer = ctypes.c_void_p.from_address(id(connection) + _HEADER_BYTES).value
    assert pointer is not None, "the connection is closed"
    return pointer


def _places(pointer: int, sought: bytes, alignment: int) -> set[int]:
    memory = ctypes.string_at(pointer, _SCANNED_BYTES)
    return {place for place in range(0, len(memory), alignment) if memory[place : place + len(sought)] == sought}


@functools.cache
def interface_of(driver: ModuleType) -> Interface:
    """Return the interface of a driver's library."""
    return Interface(driver)


class Handle:
    """One open connection, seen through the C interface.

    It must live as long as SQLite may call it: until all statements of its connection are gone.
    """

    def __init__(self, driver: ModuleType, connection: Any, wait: Callable[[], bool]) -> None:
        """Install the busy handler where the connection has a timeout.

        Args:
            driver: the connection's.
            connection: just opened, with a timeout as the driver set it.
            wait: called inside SQLite when it would wait; returns whether SQLite shall try again.
        """
        self._interface = interface_of(driver)
        self._pointer = pointer_of(connection)
        self._timeout = ctypes.c_int.from_address(self._pointer + self._interface.timeout_offset)
        self._installed = ctypes.c_void_p.from_address(self._pointer + self._interface.handler_offset)
        self._busy = _BusyFunction(lambda _, __: int(wait()))
        self._address = ctypes.cast(self._busy, ctypes.c_void_p).value
        self._trace: Any = None
        self.refresh()

    def refresh(self) -> None:
        """Put the handler back if a PRAGMA has replaced it. A timeout of zero means that there is none."""
        timeout = self._timeout.value
        if self._installed.value == self._address or timeout <= 0:
            return
        self._interface.library.sqlite3_busy_handler(self._pointer, self._busy, None)
        self._timeout.value = timeout

    def in_autocommit(self) -> bool:
        """Tell whether no transaction is open (``sqlite3_get_autocommit``)."""
        return bool(self._interface.library.sqlite3_get_autocommit(self._pointer))

    def under_way(self) -> frozenset[int]:
        """Return the statements of the connection that are under way (``sqlite3_stmt_busy``)."""
        library = self._interface.library
        found = []
        statement = library.sqlite3_next_stmt(self._pointer, None)
        while statement:
            if library.sqlite3_stmt_busy(statement):
                found.append(statement)
            statement = library.sqlite3_next_stmt(self._pointer, statement)
        return frozenset(found)

    def trace(self, before_statement: Callable[[], None] | None) -> None:
        """Have a function called before each statement that is not part of a trigger, or none any more."""
        library = self._interface.library
        if before_statement is None:
            library.sqlite3_trace_v2(self._pointer, 0, _NO_TRACE, None)
            return

        def called(_: int, __: object, statement: int, text: bytes) -> int:
            if library.sqlite3_sql(statement) == text:  # else a trigger of the statement starts
                before_statement()
            return 0

        self._trace = _TraceFunction(called)
        library.sqlite3_trace_v2(self._pointer, _TRACE_STATEMENT, self._trace, None)
