"""All ways to the application's own file that lead through Python.

What does not lead through Python is outside the promise: a C library that opens files by itself, as ``ctypes`` and
``cffi`` can let any do (``sqlite3_open`` of ``libsqlite3.so``), ``ssl`` its certificates and ``readline`` its history.
"""

from __future__ import annotations

from attrs import evolve

from tests.isolation.actors import actors
from tests.isolation.application import Kept, Way
from tests.isolation.openings import openings
from tests.isolation.reaches import reaches

_BY_ENGINE = frozenset(
    {
        "engine: with execution options",
        "under the engine: raw_connection",
        "under the engine: its pool's creator",
        "under the engine: its pool's creator bound early",
        "import: its module, with an engine",
        "import: its module, making its tables",
        "import: a mapped class, by reflection",
        "later: atexit, with an engine",
        "scenario: a seed that ignores its engine",
        "scenario: a predicate, with an engine",
        "target: the application's own function",
    }
)
"""Those that lead through the application's engine."""

TOUCHES_NOTHING = frozenset({"process: subprocess that outlives the check"})
"""What is tried for another reason."""

WAYS: tuple[Way, ...] = tuple(
    evolve(way, by_engine=way.name in _BY_ENGINE) for way in (*openings(), *reaches(), *actors())
)


def kept_for(way: Way) -> Kept:
    """Return how the application's own file was left: the ways take turns, so that each group meets all kinds."""
    kinds = tuple(Kept)
    return kinds[WAYS.index(way) % len(kinds)] if way.kept is None else way.kept
