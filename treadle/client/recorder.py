"""What an application does to a connection when it opens it, noted while the application is loaded.

SQLite does not tell which functions a connection has been given, and the driver does not tell with which options it was
opened. So what is opened while a TARGET is loaded is of a class that notes both. What was opened before is asked for
what can be asked (``treadle.client.opened``).
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen

NAMES = ("timeout", "detect_types", "isolation_level", "check_same_thread", "factory", "cached_statements", "uri")
"""The parameters of ``sqlite3.connect`` behind the first, in their order."""

_CONFIGURES = (
    *("create_function", "create_aggregate", "create_window_function", "create_collation"),
    *("set_authorizer", "set_progress_handler", "set_trace_callback"),
    *("enable_load_extension", "load_extension", "setlimit", "setconfig"),
)
"""The calls that change what a connection does from then on, and not what is in its database."""


@frozen
class ConfiguringCall:
    """A call that configured a connection.

    Attributes:
        name: of the method.
        arguments: without names.
        options: with names.
    """

    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]


@define(eq=False)
class Recording:
    """What was done to a connection.

    Attributes:
        options: with which it was opened, by the names of the parameters.
        calls: that configured it, in their order.
    """

    options: dict[str, Any]
    calls: list[ConfiguringCall] = field(factory=list)


def _noted(name: str) -> Any:
    original: Callable[..., Any] = getattr(sqlite3.Connection, name)

    @functools.wraps(original)
    def call(self: Recorded, *arguments: Any, **options: Any) -> Any:
        done = original(self, *arguments, **options)
        self.treadle_recording.calls.append(ConfiguringCall(name, arguments, options))
        return done

    return call


class Recorded(sqlite3.Connection):
    """A connection of Python's own driver that notes how it is configured.

    Attributes:
        treadle_recording: what was done to it.
    """

    def __init__(self, database: Any, *arguments: Any, **options: Any) -> None:
        """Open it."""
        given = dict(zip(NAMES, arguments, strict=False)) | options
        self.treadle_recording = Recording(given)
        super().__init__(database, *arguments, **options)


def recording_of(connection: Any) -> Recording | None:
    """Return what was noted of a connection, or None if nobody was there to note it."""
    return connection.treadle_recording if isinstance(connection, Recorded) else None


for _name in _CONFIGURES:
    if hasattr(sqlite3.Connection, _name):  # some are newer than others, and Python can be built without some
        setattr(Recorded, _name, _noted(_name))
