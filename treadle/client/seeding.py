"""Seeding: the schema and the seed of a database, written by the application's own code in a process of its own."""

from __future__ import annotations

from attrs import evolve
from sqlalchemy import URL, Engine, create_engine

from treadle.application.files import path_of_engine
from treadle.scenario import Database


def create(database: Database) -> None:
    """Create the schema and write the seed rows.

    Schema and seed are ordinary functions. An engine that can only be used from coroutines is of no use to them, so in
    its place they are given one for ordinary code that leads to the same file.

    Args:
        database: what is to be created.
    """
    engine = database.engine
    if not engine.dialect.is_async:
        database.create()
        return
    ordinary = _ordinary(engine)
    try:
        evolve(database, engine=ordinary).create()
    finally:
        ordinary.dispose()


def _ordinary(engine: Engine) -> Engine:
    """Return an engine for ordinary code that leads to the same file.

    The listeners of the other engine are for the connections of its driver, and so are the options in its URL.
    """
    return create_engine(URL.create("sqlite", database=path_of_engine(engine)))
