"""The database of a race, found among what is loaded, and seen by running each function once alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from sqlalchemy import URL, Engine, MetaData, create_engine

from treadle.application.copying import copied_if_there
from treadle.application.engines import OWN, Place, metadata_near, places, places_near
from treadle.application.files import file_of, path_of_engine
from treadle.application.metadata import all_metadata, the_metadata
from treadle.execution.alone import Noted
from treadle.execution.modes import transactions_in
from treadle.execution.system import Known, System
from treadle.racing.functions import Function
from treadle.scenario import JOURNALS, TRANSACTIONS, Client, Database, Scenario, require_engine
from treadle.serial import serial_equivalence
from treadle.values.display import names, quoted
from treadle.values.errors import TreadleError, UnsupportedOperationError, UsageError
from treadle.values.operation import RUNS_SQL

_SETS_WAL = re.compile(r"\s*pragma\s+(\w+\s*\.\s*)?journal_mode\s*[=(]\s*['\"]?wal\b", re.IGNORECASE)

NOTHING_KNOWN = Known(keep_logs=True, names_alike=False, ends_visible=True, locality=False, history="-", isolated=True)
"""Nothing is taken for granted of what is run once: nothing is learned of it."""

_ONE = "One file is checked, because SQLite commits each by itself."

_REMEDY = "Say which is meant: --database FILE or --database MODULE:ENGINE, in Python race(..., database=...)."


@frozen
class Source:
    """Where the database of a race comes from.

    Attributes:
        path: of the application's file, absolute; an empty text where a Database was given.
        engine: the application's own that leads there, if one is loaded.
        metadata: whose tables are created, if the file is not copied.
        database: what the race runs on.
    """

    path: str
    engine: Engine | None
    metadata: MetaData | None
    database: Database


def source_of(functions: Sequence[Function], clients: Sequence[Client], named: Any) -> Source:
    """Find the database of some functions.

    Args:
        functions: of the application.
        clients: run them.
        named: a Database, an engine, or the path of a file; None to look for it.

    Raises:
        UsageError: it cannot be found, or there are several, or it has no tables.
        TreadleError: a client cannot be run.
    """
    if isinstance(named, Database):
        return Source("", None, None, named)
    place = _place(functions, clients) if named is None else _named_place(named)
    engine = place.engine or create_engine(URL.create("sqlite", database=place.path))
    copy = copied_if_there(place.path, Database(lambda _: None, engine=engine).driver)
    metadata = _metadata(functions, engine) if copy is None else None
    journal = "delete" if copy is None else copy.journal
    return Source(place.path, place.engine, metadata, Database(metadata, engine=engine, journal=journal, copy=copy))


def _named_place(named: Any) -> Place:
    if isinstance(named, (str, os.PathLike)):
        path = file_of(named, uri=True)
        if not path:
            raise UsageError(f"database={quoted(named)}: this names no file. Write its path, as 'app.db'.")
        return _place_of(path, places())
    engine = require_engine(named)
    return Place(path_of_engine(engine), engine)


def _place(functions: Sequence[Function], clients: Sequence[Client]) -> Place:
    """Return the one file that functions use: that of their modules, else what they connect to, else all there is."""
    close = places_near(functions)
    if len(close) == 1:
        return close[0]
    wanted = {client.name: path for client in _distinct(clients) if (path := _wanted_by(client))}
    there = close or places()
    paths = {os.path.realpath(path): path for path in wanted.values()}
    if len(paths) == 1:
        (path,) = paths.values()
        return _place_of(path, [*close, *places()])
    if paths:
        each = names(f"{name} connects to {path}" for name, path in wanted.items())
        raise UsageError(f"the functions use {len(paths)} database files: {each}. {_ONE} {_REMEDY}")
    if len(there) == 1:
        return there[0]
    if there:
        each = names(place.path for place in there)
        raise UsageError(f"{len(there)} database files are led to by what is loaded: {each}. {_ONE} {_REMEDY}")
    raise UsageError(
        f"no database was found: no engine and no connection that leads to an SQLite file is loaded, and none of "
        f"{names(client.name for client in clients)} connects to one. {_REMEDY}"
    )


def _distinct(clients: Sequence[Client]) -> list[Client]:
    """Return the first client of each function: what is run once need not be run for the others."""
    first: dict[int, Client] = {}
    for client in clients:
        first.setdefault(id(client.run), client)
    return list(first.values())


def _place_of(path: str, there: Sequence[Place]) -> Place:
    real = os.path.realpath(path)
    return next((place for place in there if os.path.realpath(place.path) == real), Place(path, None))


def _wanted_by(client: Client) -> str:
    """Return the file that a client connects to first, which is refused to it; an empty text for none."""
    nowhere = create_engine(URL.create("sqlite", database=f"{OWN}nowhere.db"))
    database = Database(lambda _: None, engine=nowhere)
    try:
        with System(Scenario("race", database, [client], [serial_equivalence()]), NOTHING_KNOWN) as system:
            system.alone(client)
    except UnsupportedOperationError as error:
        return error.path
    except TreadleError:
        pass
    return ""


def _metadata(functions: Sequence[Function], engine: Engine) -> MetaData:
    near = metadata_near(functions)
    if len(near) == 1:
        return near[0]
    found = near or all_metadata()
    if not found:
        path = path_of_engine(engine)
        raise UsageError(
            f"{quoted(path)} {'has no tables' if Path(path).exists() else 'does not exist'}, and no metadata with "
            "tables is loaded, so nothing says which tables there are. Start the application once, so that its "
            f"database is there, or import the module with its tables where the functions are. {_REMEDY}"
        )
    return the_metadata(engine, among=found)


@frozen
class Seen:
    """What was seen of the clients, each run once and alone.

    Attributes:
        scenario: with the journal mode that the application sets.
        runs: of its clients, in their order.
    """

    scenario: Scenario
    runs: tuple[Noted, ...]


def seen(scenario: Scenario, *, as_found: bool) -> Seen:
    """Run each client once, alone, in the journal mode that the application sets.

    Args:
        scenario: whose clients they are.
        as_found: its database is as somebody has described it, and stays so.

    Raises:
        TreadleError: a client cannot be run, or there is no database as the scenario says.
    """
    opened = scenario if as_found else _touched(scenario)
    for found in () if as_found else _in_each_journal(opened):
        runs = _runs(found)
        if runs is not None:
            journal = found.database.journal
            if journal != "wal" and any(_sets_wal(run) for run in runs):
                continue
            return Seen(_described(_with_journal(scenario, journal), runs), runs)
    runs = _runs(opened, must=True)
    assert runs is not None
    return Seen(scenario, runs)


def _touched(scenario: Scenario) -> Scenario:
    """Return a scenario whose database has been connected to once, as the application does when it starts."""
    database = scenario.database
    if database.copy is None:
        return scenario
    return evolve(scenario, database=evolve(database, schema=_touch))


def _touch(engine: Engine) -> None:
    with engine.connect():
        pass


def _in_each_journal(scenario: Scenario) -> Iterator[Scenario]:
    first = scenario.database.journal
    for journal in (first, *[other for other in JOURNALS if other != first]):
        yield _with_journal(scenario, journal)


def _with_journal(scenario: Scenario, journal: str) -> Scenario:
    return evolve(scenario, database=evolve(scenario.database, journal=journal))


def _runs(scenario: Scenario, *, must: bool = False) -> tuple[Noted, ...] | None:
    """Return a run of each client; None if the application sets another journal mode."""
    try:
        with System(scenario, NOTHING_KNOWN) as system:
            runs = {id(client.run): system.alone(client) for client in _distinct(scenario.clients)}
            return tuple(runs[id(client.run)] for client in scenario.clients)
    except UsageError:
        if must:
            raise
        return None


def _described(scenario: Scenario, runs: Sequence[Noted]) -> Scenario:
    """Return a scenario that says how its clients begin their transactions, where all do in one way that has a name."""
    ways = {transactions_in(operation for operation, _ in run.steps) for run in runs} - {""}
    if len(ways) != 1 or not ways <= set(TRANSACTIONS):
        return scenario
    return evolve(scenario, database=evolve(scenario.database, transactions=ways.pop()))


def _sets_wal(run: Noted) -> bool:
    return any(
        operation.kind in RUNS_SQL and operation.sql is not None and _SETS_WAL.match(operation.sql)
        for operation, _ in run.steps
    )
