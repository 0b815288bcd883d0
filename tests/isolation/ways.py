"""All ways to the application's own file that lead through Python.

What does not lead through Python is outside the promise: a C library that opens files by itself, as ``ctypes`` and
``cffi`` can let any do (``sqlite3_open`` of ``libsqlite3.so``), ``ssl`` its certificates and ``readline`` its history.
"""

from __future__ import annotations

from tests.isolation.actors import actors
from tests.isolation.application import Kept, Way
from tests.isolation.openings import openings
from tests.isolation.reaches import reaches

WAYS: tuple[Way, ...] = (*openings(), *reaches(), *actors())


def kept_for(way: Way) -> Kept:
    """Return how the application's own file was left: the ways take turns, so that each group meets all kinds."""
    kinds = tuple(Kept)
    return kinds[WAYS.index(way) % len(kinds)] if way.kept is None else way.kept
