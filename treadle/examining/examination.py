"""Examinations of scenarios: each client is run alone, on a fresh database, and what it did is read off.

It is run once as it is, for what it asks of its database and how long that takes, and once more watched.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import evolve, frozen

from treadle.application.files import path_of_engine
from treadle.examining.watching import Sight, Watched
from treadle.execution.alone import Noted
from treadle.execution.modes import transactions_in
from treadle.execution.system import System
from treadle.racing.finding import NOTHING_KNOWN
from treadle.racing.functions import InLoop
from treadle.scenario import Client, Scenario
from treadle.turn import turn
from treadle.values.display import said
from treadle.values.errors import TreadleError, UsageError
from treadle.values.operation import RUNS_SQL, Kind, Operation
from treadle.values.outcome import Returned
from treadle.values.signals import SignalError

_PRAGMA = re.compile(r"\s*pragma\b", re.IGNORECASE)

_CHALLENGES = 20
"""How many live executions a search stands against, at least."""

_STATE_S = 0.002
"""What a state costs at most where nothing new is learned, in seconds: a round number, and not a measurement."""


@frozen
class Patient:
    """What was seen of one client.

    Attributes:
        name: the client's.
        noted: what it asked its database for; None if it could not be run.
        sight: what it did in its process; None if it did not come to an end there.
        stopped: why it could not be run; else an empty text.
    """

    name: str
    noted: Noted | None = None
    sight: Sight | None = None
    stopped: str = ""

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What it asked for."""
        return () if self.noted is None else tuple(operation for operation, _ in self.noted.steps)

    @property
    def statements(self) -> tuple[str, ...]:
        """The SQL that it ran."""
        return tuple(one.sql for one in self.operations if one.kind in RUNS_SQL and one.sql is not None)

    @property
    def pragmas(self) -> tuple[str, ...]:
        """Each PRAGMA that it ran, once."""
        return tuple(dict.fromkeys(sql for sql in self.statements if _PRAGMA.match(sql)))

    @property
    def connections(self) -> int:
        """How often it connected."""
        return sum(one.kind is Kind.CONNECT for one in self.operations)

    @property
    def timeouts_s(self) -> tuple[float, ...]:
        """The busy timeouts that it connected with, in seconds, each once."""
        given = [dict(one.arguments).get("timeout", 5.0) for one in self.operations if one.kind is Kind.CONNECT]
        return tuple(sorted(set(given)))

    @property
    def transactions(self) -> str:
        """The mode of its connections, as ``Database(transactions=...)`` calls it; empty if it ran no statement."""
        return transactions_in(self.operations)

    @property
    def points(self) -> int:
        """At how many of its operations another client may come in between, at most."""
        if self.noted is None:
            return 0
        ends = {Kind.COMMIT, Kind.ROLLBACK}
        count, was_in = 0, False
        for operation, observation in self.noted.steps:
            count += operation.kind in RUNS_SQL or (operation.kind in ends and was_in)
            was_in = observation.in_transaction
        return count


@frozen
class Estimate:
    """How large an exhaustive search may be.

    Attributes:
        states: how many states there may be, at most.
        least_s: how long it may take if nearly all runs are alike, in seconds.
        most_s: how long it may take if each state shows something new to a client, in seconds.
    """

    states: int
    least_s: float
    most_s: float


@frozen
class Examination:
    """What was seen of the clients of a scenario.

    Attributes:
        scenario: whose they are.
        path: of the application's database file.
        patients: the clients, in their order.
    """

    scenario: Scenario
    path: str
    patients: tuple[Patient, ...]

    @property
    def estimate(self) -> Estimate | None:
        """How long an exhaustive search is likely to take; None if some client could not be run."""
        runs = [patient.noted for patient in self.patients]
        noted = [run for run in runs if run is not None]
        if len(noted) < len(runs):
            return None
        faults = self.scenario.faults
        points = [patient.points + 1 for patient in self.patients]
        places = sum(points)
        states = math.prod(points) * (1 + places) ** min(faults.locked, 2) * (1 + places) ** min(faults.crash, 2)
        run_s = min(run.seconds for run in noted)  # the first one pays for what is done once
        least = _CHALLENGES * len(noted) * run_s + states * _STATE_S / 10
        return Estimate(states, least, least + states * (_STATE_S + run_s))


def examine(scenario: Scenario) -> Examination:
    """Run each client alone, and return what it did.

    Args:
        scenario: whose clients they are; its properties are not looked at.

    Raises:
        UsageError: there is no database as the scenario says.
        TreadleError: the database cannot be made.
    """
    watched = [Client(f"{one.name} (watched)", Watched(one.run, _package(one.run))) for one in scenario.clients]
    clients = [*scenario.clients, *watched]
    with turn("examine()", scenario.name), System(evolve(scenario, clients=clients), NOTHING_KNOWN) as system:
        patients: list[Patient] = []
        for place, (client, beside) in enumerate(zip(scenario.clients, watched, strict=True)):
            first = next(number for number, other in enumerate(scenario.clients) if other.run is client.run)
            same = first < place
            patients.append(evolve(patients[first], name=client.name) if same else _patient(system, client, beside))
    return Examination(scenario, path_of_engine(scenario.database.engine), tuple(patients))


def _patient(system: System, client: Client, watched: Client) -> Patient:
    noted = None
    try:
        noted = system.alone(client)
        outcome = system.alone(watched).outcome
    except UsageError:
        raise
    except (TreadleError, SignalError) as error:
        return Patient(client.name, noted, stopped=said(error))
    if isinstance(outcome, Returned) and isinstance(outcome.value, Sight):
        return Patient(client.name, noted, outcome.value)
    return Patient(client.name, noted, stopped=f"it {outcome}")


def _package(run: Callable[[], Any]) -> str:
    while isinstance(run, (partial, InLoop)):
        run = run.func if isinstance(run, partial) else run.function
    return str(getattr(run, "__module__", None) or type(run).__module__).partition(".")[0]
