"""The unit of all figures: one plain run."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import event

from treadle import Scenario

_MEMORY = Path("/dev/shm")  # noqa: S108  # where worlds live too, so that the two are compared on one file system

_LONG_S = 1.0
"""From here on, what the first run does once is too little to matter."""

_AT_LEAST = 3
"""How often something is measured at least."""

_FOR_S = 0.3
"""How long it is measured at least, in seconds."""


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


def plain_runs_s(scenario: Scenario) -> list[float]:
    """Return how long each of several plain runs takes, in seconds.

    A plain run is all clients of a scenario, one after another, through plain SQLAlchemy on a fresh SQLite file,
    in this process. Creating the file is not counted.

    Args:
        scenario: whose clients run.
    """
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as directory:
        numbers = itertools.count()
        return again_and_again(lambda: _plain_run_s(scenario, Path(directory) / f"{next(numbers)}.db"))


def again_and_again(once: Callable[[], float]) -> list[float]:
    """Do something several times, and return how many seconds of it counted each time.

    The first time fills caches and is not counted, unless it is so long that this does not matter: then it is the only
    one.
    """
    first = once()
    if first > _LONG_S:
        return [first]
    times: list[float] = []
    while len(times) < _AT_LEAST or sum(times) < _FOR_S:
        times.append(once())
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
