"""The unit of all figures: one plain run."""

from __future__ import annotations

import contextlib
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import event

from treadle import Scenario

_MEMORY = Path("/dev/shm")  # noqa: S108  # where worlds live too, so that the two are compared on one file system


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


def plain_run_s(scenario: Scenario, *, rounds: int) -> float:
    """Return how long one plain run takes, in seconds: the median of several.

    A plain run is all clients of a scenario, one after another, through plain SQLAlchemy on a fresh SQLite file,
    in this process. Creating the file is not counted.

    Args:
        scenario: whose clients run.
        rounds: how many runs are measured.
    """
    times = []
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as directory:
        for number in range(rounds + 1):
            path = Path(directory) / f"{number}.db"
            with contextlib.closing(sqlite3.connect(path)) as first:
                first.execute(f"PRAGMA journal_mode = {scenario.database.journal}")
            with _redirected(scenario, path):
                scenario.database.create()
                start = time.perf_counter()
                for client in scenario.clients:
                    client.run()
                times.append(time.perf_counter() - start)
    return statistics.median(times[1:])
