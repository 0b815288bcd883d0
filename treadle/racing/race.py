"""Races: check functions against each other, with the two properties that need no author."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from treadle.checking import check
from treadle.racing.finding import Source, seen, source_of
from treadle.racing.functions import Function, Racer, racers
from treadle.scenario import Client, Database, Scenario
from treadle.search.protocol import Progress
from treadle.serial import serial_equivalence, serial_failures
from treadle.turn import turn
from treadle.values.fault import FaultBudget
from treadle.values.property import Property
from treadle.values.verdict import Result

PROPERTIES: Mapping[str, Callable[[], Property]] = {
    "serial_equivalence": serial_equivalence,
    "serial_failures": serial_failures,
}
"""What can be asked of any functions."""


@frozen
class Race:
    """Functions that are to be checked against each other.

    Attributes:
        scenario: what is checked.
        racers: the functions, with their clients.
        source: where the database comes from.
        properties: the names in ``PROPERTIES`` of those that are checked.
        idle: the names of the clients that, alone, left the database as it was.
    """

    scenario: Scenario
    racers: tuple[Racer, ...]
    source: Source
    properties: tuple[str, ...]
    idle: tuple[str, ...]

    @property
    def note(self) -> str:
        """What a reader must know of a race in which nothing was written; else an empty text."""
        if len(self.idle) < len(self.scenario.clients):
            return ""
        rows = "" if self.source.metadata is None else " Its tables were made anew, and are empty."
        return (
            f"No client alone changes what is in the database, so there was little to go wrong.{rows} If they should "
            "have found something to do there, give them rows: a database that has some, or a seed in the scenario."
        )


def race_of(
    functions: Sequence[Function],
    *,
    clients: int | None = None,
    database: Any = None,
    faults: FaultBudget | None = None,
) -> Race:
    """Prepare a race: find the database, and run each client once, alone.

    Args:
        functions: as for ``race``.
        clients: as for ``race``.
        database: as for ``race``.
        faults: as for ``race``.

    Raises:
        UsageError: as ``race``.
        TreadleError: as ``race``.
    """
    found = racers(functions, clients)
    runners = _in_turn(found)
    name = "race/" + "+".join(client.name for client in runners)
    budget = faults or FaultBudget()
    # A lock that is injected makes most clients fail, and no serial execution has any.
    properties = tuple(each for each in PROPERTIES if each != "serial_failures" or not budget.locked)
    with turn("race()", name):
        source = source_of([racer.function for racer in found], runners, database)
        scenario = Scenario(
            name, source.database, runners, [PROPERTIES[each]() for each in properties], faults=budget
        )  # fmt: skip
        known = seen(scenario, as_found=not source.path)
    idle = tuple(client.name for client, run in zip(known.scenario.clients, known.runs, strict=True) if not run.changes)
    return Race(known.scenario, found, source, properties, idle)


def _in_turn(found: Sequence[Racer]) -> list[Client]:
    """Return the clients of all functions, the first of each before the second of any."""
    most = max(len(racer.clients) for racer in found)
    return [racer.clients[number] for number in range(most) for racer in found if number < len(racer.clients)]


def race(
    *functions: Callable[..., object],
    clients: int | None = None,
    database: Database | Any = None,
    faults: FaultBudget | None = None,
    progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> Result:
    """Check functions of an application against each other: no scenario, and no property to write.

    Two properties are checked: ``serial_equivalence()``, and, where no ``locked`` faults are injected,
    ``serial_failures()``. The database is that which the functions' modules lead to, by an engine or an open
    connection; else the only one that anything loaded leads to; else the one that the functions connect to. If its file
    has tables, it is copied (``Database.copy_of``); otherwise the tables of the metadata are created, without rows. The
    journal mode is that of the file, or the one that the application sets.

    Args:
        functions: called without arguments, or asynchronous; one that is given twice races with itself.
        clients: how many run each function; by default one, and two of a function that is alone.
        database: a ``Database``, an engine, or the path of a file, where it is not to be looked for.
        faults: how many faults one execution may contain; none by default.
        progress: as for ``check``.
        options: further options of ``check``.

    Raises:
        UsageError: a function takes arguments, or the database cannot be found, or there are several.
        TreadleError: as ``check``.
    """
    found = race_of(functions, clients=clients, database=database, faults=faults)
    return check(found.scenario, progress=progress, **options)
