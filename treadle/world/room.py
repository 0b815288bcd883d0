"""Whether the check has room and files left, and whose limit a full database has met."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import evolve

from treadle.values.errors import ResourceError, TreadleError
from treadle.values.lack import FULL, Lack, Want, lack_of
from treadle.values.signals import SignalError
from treadle.world.library import Library
from treadle.world.sandbox import roots

_LITTLE_BYTES = 2**20
"""With less than this much room, a file system counts as full: a database asks for some pages at a time."""

_NO_LIMIT_PAGES = 1_073_741_823
"""Smaller than this, ``max_page_count`` was set by somebody (https://www.sqlite.org/pragma.html#pragma_max_page_count)."""

_LAST_ROWID = 2**63 - 1
"""An AUTOINCREMENT table that had this rowid is full (https://www.sqlite.org/autoinc.html)."""


def own_lack(error: Exception, real: Any, library: Library, directory: Path) -> ResourceError | None:
    """Return what to end a check with after an error of SQLite; None if it is the client's, and is to be observed.

    SQLITE_FULL is both. It is the client's where its reason is found (``max_page_count``, or a table that has used up
    its numbers), and the file system has room; otherwise it is the check's. The connection's busy handler is taken
    away, to look for the reason.

    Args:
        error: what a call of the driver raised.
        real: the connection on which it was made.
        library: its SQLite.
        directory: where its database is.
    """
    lack = lack_of(error)
    if lack is None:
        return None
    if getattr(error, "sqlite_errorcode", 0) == FULL and _has_room(directory) and _met_limit(real, library):
        return None
    return _explained(lack, directory).error(place_of(directory))


@contextlib.contextmanager
def lacks_named(directory: Path | None = None) -> Iterator[None]:
    """Say what the check has not enough of, where that shows anywhere in what is done meanwhile.

    Args:
        directory: where it is done; by default, where sandboxes are made.

    Raises:
        ResourceError: it does.
    """
    try:
        yield
    except (TreadleError, SignalError):
        raise
    except Exception as error:
        lack = lack_of(error)
        if lack is None:
            raise
        name = getattr(error, "filename", None)
        place = Path(name).parent if isinstance(name, str) else directory or roots()[0]
        raise _explained(lack, place).error(place_of(place)) from error


def _explained(lack: Lack, directory: Path) -> Lack:
    """Return a lack with its reason, where SQLite only says that a file cannot be opened, read or written."""
    if lack.want is not Want.ACCESS:
        return lack
    if not _can_open():
        return evolve(lack, want=Want.FILES)
    return lack if _has_room(directory) else evolve(lack, want=Want.ROOM)


def place_of(directory: Path) -> str:
    """Return a directory and how large its file system is."""
    try:
        total = shutil.disk_usage(directory).total
    except OSError:
        return f"'{directory}'"
    return f"'{directory}' ({total / 2**20:,.0f} MB in all)"


def _has_room(directory: Path) -> bool:
    try:
        return shutil.disk_usage(directory).free >= _LITTLE_BYTES
    except OSError:
        return False


def _can_open() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _met_limit(real: Any, library: Library) -> bool:
    """Tell whether a connection has a limit of its own that makes SQLite say that the database is full."""
    library.set_busy_handler(real, None)
    driver = library.driver
    found = []
    for sql in ("PRAGMA max_page_count", "PRAGMA temp.max_page_count", "SELECT -max(seq) FROM sqlite_sequence"):
        with contextlib.suppress(driver.Error):
            cursor = driver.Cursor(real)
            driver.Cursor.execute(cursor, sql)
            ((value,),) = driver.Cursor.fetchall(cursor)
            found.append(value)
    return any(value is not None and (value == -_LAST_ROWID or 0 < value < _NO_LIMIT_PAGES) for value in found)
