"""A database with a workflow, and requests to it, for tests of the model."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen
from sqlalchemy import Engine, create_engine, event, text

from model.backfill import (
    INTERVAL,
    Algorithm,
    Request,
    Response,
    enforce_foreign_keys,
    post,
)

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
SECOND = FIRST + INTERVAL
MODES = ("legacy", "begin", "immediate", *(("autocommit-off",) if sys.version_info >= (3, 12) else ()))


def make_engine(path: Path, *, journal: str = "wal", mode: str = "legacy", timeout_s: float = 5.0) -> Engine:
    """Return an engine on a file, with the driver's transactions begun in one of the modes."""
    arguments: dict[str, Any] = {"timeout": timeout_s}
    if mode == "autocommit-off":
        arguments["autocommit"] = False
    engine = create_engine(f"sqlite:///{path}", connect_args=arguments)
    if mode in {"begin", "immediate"}:

        @event.listens_for(engine, "connect")
        def take_control(connection: sqlite3.Connection, record: object) -> None:
            connection.isolation_level = None

        @event.listens_for(engine, "begin")
        def begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if mode == "immediate" else "BEGIN")

    enforce_foreign_keys(engine)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.close()
    return engine


@frozen
class Workshop:
    """A database with a workflow, an algorithm, and a request for two dates."""

    path: Path
    engine: Engine
    algorithm: Algorithm
    request: Request = field(factory=lambda: Request("etl", FIRST, SECOND, user="A"))

    def post(self, **changes: Any) -> Response:
        log = changes.pop("log", False)
        return post(self.engine, self.algorithm, evolve(self.request, **changes), log=log)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return rows as another connection reads them."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])

    def rival(self, *statements: str) -> None:
        """Let an outside process commit statements, at once or not at all."""
        connection = sqlite3.connect(self.path, timeout=0)
        try:
            with connection:
                for statement in statements:
                    connection.execute(statement)
        finally:
            connection.close()

    def before(self, prefix: str, act: Callable[[], object], *, nth: int = 1) -> None:
        """Act once, before the application executes the nth statement that starts in this way."""
        seen = 0

        @event.listens_for(self.engine, "before_cursor_execute")
        def look(connection: object, cursor: object, statement: str, *rest: object) -> None:
            nonlocal seen
            if statement.startswith(prefix):
                seen += 1
                if seen == nth:
                    act()


Build = Callable[..., Workshop]
"""The fixture ``build``: takes an algorithm's name, and makes a workshop for it."""
