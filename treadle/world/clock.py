"""The clock and the dice of SQL: functions of the time of day that follow the client's virtual clock.

SQLite lets a connection replace its built-in functions (https://www.sqlite.org/c3ref/create_function.html).
The date functions (https://www.sqlite.org/lang_datefunc.html) are replaced by ones that compute the same, with
the virtual time in place of ``'now'``.
"""

from __future__ import annotations

import datetime as dt
import functools
import sqlite3
from collections.abc import Callable
from typing import Any

_DATE_FUNCTIONS = ("date", "time", "datetime", "julianday", "unixepoch")
_CURRENT = {"current_date": "date", "current_time": "time", "current_timestamp": "datetime"}


def _is_now(value: Any) -> bool:
    return isinstance(value, str) and value.lower() == "now"


class Clock:
    """The time of day that SQL sees.

    Attributes:
        clock_s: seconds since the clients' common start.
    """

    def __init__(self, start: dt.datetime) -> None:
        """Start at an instant."""
        self.clock_s = 0.0
        self._start = start
        version = sqlite3.sqlite_version_info
        self._names = [name for name in _DATE_FUNCTIONS if name != "unixepoch" or version >= (3, 38)]

    @functools.cached_property
    def _calculator(self) -> sqlite3.Connection:
        return sqlite3.connect(":memory:", check_same_thread=False)

    def _text(self) -> str:
        now = self._start + dt.timedelta(seconds=self.clock_s)
        return now.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]

    def _function(self, name: str, first: int) -> Callable[..., Any]:
        """Return a date function; its time value is its argument at position ``first``."""

        def call(*arguments: Any) -> Any:
            values = list(arguments)
            if len(values) == first:
                values.append(self._text())
            elif len(values) > first and _is_now(values[first]):
                values[first] = self._text()
            marks = ", ".join("?" * len(values))
            return self._calculator.execute(f"SELECT {name}({marks})", values).fetchone()[0]  # own names

        return call

    def install(self, connection: sqlite3.Connection) -> None:
        """Let a connection's SQL follow this clock."""
        for name in self._names:
            connection.create_function(name, -1, self._function(name, 0), deterministic=True)
        connection.create_function("strftime", -1, self._function("strftime", 1), deterministic=True)
        for name, like in _CURRENT.items():
            connection.create_function(name, 0, self._function(like, 0), deterministic=True)

    def close(self) -> None:
        """Let go of the connection that computes, if it was ever needed."""
        if "_calculator" in vars(self):
            self._calculator.close()
