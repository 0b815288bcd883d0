"""Copies of database files that others may be using.

The one file of the application that is ever read, and only here::

    who has it open        how it is read                                    what is written beside it
    ------------------     ------------------------------------------------  -------------------------
    rollback journal       online backup, a read lock meanwhile              nothing
    WAL, somebody has it   online backup, the shared memory read-only        nothing
    WAL, nobody has it     online backup, immutable; its files are the same  nothing
                           afterwards, or it is read again
    left by a crash        the file and its journal are copied, and          nothing
                           SQLite recovers the copy

https://www.sqlite.org/backup.html, https://www.sqlite.org/uri.html, https://www.sqlite.org/wal.html#readonly
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any

from attrs import field, frozen

from treadle.application.files import BESIDE, stand_in_for
from treadle.values.display import prose, quoted, text_of
from treadle.values.errors import UsageError

_PATIENCE_S = 10.0
"""How long others may keep a file locked, in seconds."""

_ATTEMPTS = 5
"""How often a file is read anew that has changed meanwhile."""

_FORMAT = 18
"""Where the header of a file says whether its journal is a write-ahead log (https://www.sqlite.org/fileformat.html)."""

_WAL = 2

_read: ContextVar[tuple[str, ...]] = ContextVar("_read", default=())


@frozen
class Copy:
    """What a database file had in it.

    Attributes:
        path: of the file, absolute.
        content: a database file with the same in it: all tables and rows, ``user_version``, ``application_id``.
        journal: its journal mode: wal or delete, which is all that a file remembers.
    """

    path: str
    content: bytes = field(repr=lambda content: f"<{len(content):,} bytes>")
    journal: str


def is_read(path: object) -> bool:
    """Tell whether a file is just being copied, by this thread."""
    return path in _read.get()


def copied(path: str, driver: ModuleType) -> Copy:
    """Return what a database file has in it, without changing anything there.

    Of a file that is not there, or has no tables, what the application made in its place while it was loaded.

    Args:
        path: of the file, absolute.
        driver: a module with the interface of ``sqlite3``.

    Raises:
        UsageError: it has no tables; or it cannot be read.
    """
    found = copied_if_there(path, driver)
    if found is not None:
        return found
    missing = "has no tables" if Path(path).exists() else "does not exist"
    raise UsageError(
        f"{quoted(path)} {missing}, so there is nothing to copy: the schema and rows of a check come from a database "
        "that the application has been using. Start the application once, name another file, or give the schema, as "
        "Database(Base.metadata, seed, engine=engine)."
    )


def copied_if_there(path: str, driver: ModuleType) -> Copy | None:
    """Return the same, or None where there is no file with tables.

    Raises:
        UsageError: it cannot be read.
    """
    for place in (path, stand_in_for(path)):
        if place is not None and Path(place).is_file() and Path(place).stat().st_size:
            content = _content(os.path.realpath(place), driver)
            if _tables(content, driver):
                return Copy(path, content, "wal" if content[_FORMAT] == _WAL else "delete")
    return None


def _tables(content: bytes, driver: ModuleType) -> int:
    with tempfile.TemporaryDirectory(prefix="treadle-copy-") as directory:
        path = os.path.join(directory, "copy.db")  # noqa: PTH118  # a text, as elsewhere here
        Path(path).write_bytes(content)
        with _opened(f"file:{urllib.parse.quote(path)}?mode=ro&immutable=1", path, driver) as connection:
            count = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
            return int(count)


def _content(path: str, driver: ModuleType) -> bytes:
    """Return a file's content, by the way that suits who else has it open."""
    for _ in range(_ATTEMPTS):
        before = _looks(path)
        try:
            content = _attempt(path, before, driver)
        except (OSError, driver.Error) as error:
            if before != _looks(path):  # somebody has just opened or closed it
                continue
            raise _unreadable(path, error) from error
        if content is not None:
            return content
    raise _unreadable(path, TimeoutError("others opened, changed and closed it each time that it was read"))


def _attempt(path: str, before: dict[str, tuple[int, ...]], driver: ModuleType) -> bytes | None:
    """Return a file's content; None if it has changed under a way of reading that does not lock."""
    if "-shm" in before:
        return _backup(path, "mode=ro&readonly_shm=1", driver)
    if "-wal" in before:
        return _recovered(path, before, driver)
    content = _backup(path, "mode=ro&immutable=1", driver)
    if content[_FORMAT] == _WAL:
        return content if before == _looks(path) else None
    try:
        return _backup(path, "mode=ro", driver)
    except driver.Error:
        if "-journal" not in before:
            raise
        return _recovered(path, before, driver)


def _looks(path: str) -> dict[str, tuple[int, ...]]:
    """Return what shows that somebody has used a file, or opened it: how it looks, and what is beside it."""
    found = {}
    for end in BESIDE:
        with contextlib.suppress(FileNotFoundError):
            there = os.stat(path + end)  # noqa: PTH116  # a text
            # The shared memory is of those that use the file, and changes as they read.
            found[end] = (there.st_ino, *(() if end == "-shm" else (there.st_size, there.st_mtime_ns)))
    return found


def _backup(path: str, how: str, driver: ModuleType) -> bytes:
    """Return a file's content by an online backup in one step, which others cannot come into."""
    with tempfile.TemporaryDirectory(prefix="treadle-copy-") as directory:
        private = os.path.join(directory, "copy.db")  # noqa: PTH118  # a text, as elsewhere here
        with (
            _opened(f"file:{urllib.parse.quote(path)}?{how}", path, driver) as source,
            _opened(private, private, driver) as target,
        ):
            source.backup(target, progress=_deadline(), sleep=0.01)
        return Path(private).read_bytes()


def _deadline() -> Callable[[int, int, int], None]:
    """Return what ends a backup for which others have had the file locked for too long."""
    end = time.monotonic() + _PATIENCE_S

    def progress(status: int, remaining: int, total: int) -> None:
        del remaining, total
        if status in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED} and time.monotonic() > end:
            raise TimeoutError(f"it was locked for more than {_PATIENCE_S:g} s")

    return progress


def _recovered(path: str, before: dict[str, tuple[int, ...]], driver: ModuleType) -> bytes | None:
    """Return the content of a file whose last user was killed; None if it has changed meanwhile."""
    with tempfile.TemporaryDirectory(prefix="treadle-copy-") as directory:
        private = os.path.join(directory, "copy.db")  # noqa: PTH118  # a text, as elsewhere here
        for end in ("", "-wal", "-journal"):
            if end in before:
                shutil.copyfile(path + end, private + end)
        if before != _looks(path):
            return None
        with _opened(private, private, driver) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return Path(private).read_bytes()


@contextlib.contextmanager
def _opened(name: str, path: str, driver: ModuleType) -> Iterator[Any]:
    """Open a database here, which nothing else in this process is allowed to do meanwhile."""
    token = _read.set((*_read.get(), path))
    try:
        # The class, and not the function: that may lead elsewhere while an application is loaded.
        connection = driver.Connection(name, timeout=_PATIENCE_S, isolation_level=None, uri=name.startswith("file:"))
    finally:
        _read.reset(token)
    try:
        yield connection
    finally:
        connection.close()


def _unreadable(path: str, error: Exception) -> UsageError:
    return UsageError(
        f"{quoted(path)} cannot be copied: {prose(text_of(error))}. It must be an SQLite database that this user may "
        "read, and that others do not keep locked. Name another file, or let go of it."
    )
