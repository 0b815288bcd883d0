"""The unit of all figures: one plain run."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import event

from treadle import Scenario

_MEMORY = Path("/dev/shm")  # noqa: S108  # where worlds live too, so that the two are compared on one file system

_LONG_S = 1.0
"""From here on, what the first run does once is too little to matter."""


@contextlib.contextmanager
def _redirected(scenario: Scenario, path: Path) -> Iterator[None]:
    """Let the scenario's engine connect to another file."""
    engine = scenario.database.engine

    def connect(dialect: Any, record: object, positional: list[Any], options: dict[str, Any]) -> sqlite3.Connection:
        del dialect, record, positional
        connection: sqlite3.Connection = sqlite3.connect(path, **options)
        return connection

    event.listen(engine, "do_connect", connect)
    try:
        yield
    finally:
        engine.dispose()
        event.remove(engine, "do_connect", connect)


def plain_runs_s(scenario: Scenario, *, at_least: int = 3, for_s: float = 0.3) -> list[float]:
    """Return how long each of several plain runs takes, in seconds.

    A plain run is all clients of a scenario, one after another, through plain SQLAlchemy on a fresh SQLite file,
    in this process. Creating the file is not counted. The first run fills caches and is not counted either, unless
    it is so long that this does not matter: then it is the only one.

    Args:
        scenario: whose clients run.
        at_least: how many runs are measured.
        for_s: measure on until this many seconds are over.
    """
    times: list[float] = []
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as directory:
        first = _plain_run_s(scenario, Path(directory) / "first.db")
        if first > _LONG_S:
            return [first]
        while len(times) < at_least or sum(times) < for_s:
            times.append(_plain_run_s(scenario, Path(directory) / f"{len(times)}.db"))
    return times


def _plain_run_s(scenario: Scenario, path: Path) -> float:
    with contextlib.closing(sqlite3.connect(path)) as first:
        first.execute(f"PRAGMA journal_mode = {scenario.database.journal}")
    with _redirected(scenario, path):
        scenario.database.create()
        start = time.perf_counter()
        for client in scenario.clients:
            client.run()
        return time.perf_counter() - start
