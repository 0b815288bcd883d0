"""Which file a name or an engine leads to.

While an application is loaded, what it connects to is a private file that stands for the one it meant
(``treadle.client.loading``); which stands for which is noted here.
"""

from __future__ import annotations

import os
import urllib.parse
from typing import Any

from sqlalchemy import Engine

BESIDE = ("", "-wal", "-shm", "-journal")
"""What SQLite appends to the name of a database for the files beside it (https://www.sqlite.org/tempfiles.html)."""

KEPT = frozenset({("mode", "rw"), ("mode", "rwc"), ("mode", "ro"), ("cache", "private")})
"""The options of URIs that clients may use (https://www.sqlite.org/uri.html)."""

stand_ins: dict[str, str] = {}
"""The file that each private file stands for."""


def file_of(database: Any, *, uri: bool = False) -> str:
    """Return the absolute path of the file that ``sqlite3.connect`` would open, or an empty text for none.

    https://www.sqlite.org/uri.html

    Args:
        database: its first argument.
        uri: whether a text that starts with ``file:`` is a URI.
    """
    try:
        name = os.fsdecode(database)
    except TypeError:
        return ""
    if uri and name.startswith("file:"):
        parts = urllib.parse.urlsplit(name)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if query.get("mode") == "memory" or query.get("vfs") == "memdb":
            return ""
        name = urllib.parse.unquote(parts.path)
    return "" if name in {"", ":memory:"} else os.path.abspath(name)  # noqa: PTH100  # as SQLite does; links stay


def options_of_uri(database: Any, *, uri: bool) -> dict[str, str]:
    """Return the options in the name of a database, as ``mode``; none where the name is no URI.

    https://www.sqlite.org/uri.html

    Args:
        database: the first argument of ``sqlite3.connect``.
        uri: whether a text that starts with ``file:`` is a URI.
    """
    name = os.fsdecode(database)
    if not (uri and name.startswith("file:")):
        return {}
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(name).query, keep_blank_values=True))


def path_of_engine(engine: Engine) -> str:
    """Return the file that an engine leads to, or an empty text."""
    positional, options = _connect_arguments(engine)
    return file_of(positional[0] if positional else "", uri=bool(options.get("uri")))


def _connect_arguments(engine: Engine) -> tuple[Any, Any]:
    """Return what an engine connects with.

    SQLAlchemy makes it when it makes the engine, and a relative name is of the directory that was the current one then.
    """
    creator = engine.pool._creator  # noqa: SLF001  # nothing else remembers
    code, cells = getattr(creator, "__code__", None), getattr(creator, "__closure__", None)
    if code is not None and cells is not None:
        known = dict(zip(code.co_freevars, cells, strict=True))
        positional = known.get("cargs_tup", known.get("cargs"))  # as in SQLAlchemy 2.1, or in 2.0
        if positional is not None and "cparams" in known:
            return positional.cell_contents, known["cparams"].cell_contents
    return engine.dialect.create_connect_args(engine.url)  # it has a creator of the application's own


def meant_by(path: str) -> str:
    """Return the file that a path stands for: itself, unless it is private."""
    return stand_ins.get(path, path)


def stand_in_for(path: str) -> str | None:
    """Return the private file that stands for a file, if there is one."""
    real = os.path.realpath(path)
    return next((private for private, meant in stand_ins.items() if os.path.realpath(meant) == real), None)
