"""The C interface of the SQLite library that the standard driver uses, for asking SQLite itself.

The driver offers no busy handler and no lock state; SQLite does. A CPython ``sqlite3.Connection`` starts with its
``sqlite3*``, right behind the object header.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import sqlite3

_HEADER_BYTES = object.__basicsize__
_LIBRARY = ctypes.CDLL(_sqlite3.__file__)  # its symbols, and those of the libraries it is linked with
_HANDLER = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)

_LIBRARY.sqlite3_busy_handler.argtypes = [ctypes.c_void_p, _HANDLER, ctypes.c_void_p]
_LIBRARY.sqlite3_txn_state.argtypes = [ctypes.c_void_p, ctypes.c_char_p]


def _pointer(connection: sqlite3.Connection) -> ctypes.c_void_p:
    return ctypes.c_void_p.from_address(id(connection) + _HEADER_BYTES)


class BusyHandler:
    """A real busy handler that does not wait, and remembers whether SQLite called it.

    https://www.sqlite.org/c3ref/busy_handler.html
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Install the handler; this object must live as long as the connection."""
        self._called = False
        self._function = _HANDLER(self._handle)
        _LIBRARY.sqlite3_busy_handler(_pointer(connection), self._function, None)

    def _handle(self, _: object, __: int) -> int:
        self._called = True
        return 0

    def was_called(self) -> bool:
        """Tell whether SQLite has called the handler since this was last asked."""
        called, self._called = self._called, False
        return called


def transaction_state(connection: sqlite3.Connection) -> int:
    """Return 0 for no transaction, 1 for a read, 2 for a write transaction (sqlite3_txn_state)."""
    state: int = _LIBRARY.sqlite3_txn_state(_pointer(connection), b"main")
    return state
