"""The scenarios of create-backfill: several clients send the same request at the same time, maybe beside others."""

from __future__ import annotations

import string
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from model.backfill import ALGORITHMS, INTERVAL, Request, enforce_foreign_keys, post, seed
from properties.backfill.catalogue import properties_of
from properties.backfill.expectations import expected
from properties.backfill.others import OTHERS
from properties.backfill.parameters import Parameters
from treadle import Client, Database, FaultBudget, Placement, Scenario

DAG_ID = "etl"
"""The workflow of all scenarios."""

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
"""The first date of every request."""


def scenarios(**parameters: Any) -> list[Scenario]:
    """Return one scenario for each algorithm that is asked for, and for each journal and transaction mode.

    Args:
        parameters: see ``Parameters``; numbers may be text, as they come from the command line.

    Raises:
        UsageError: there is no parameter of such a name, or a value is not one of those allowed.
    """
    return list(_scenarios(Parameters.of(parameters)))


def _scenarios(parameters: Parameters) -> Iterator[Scenario]:
    for algorithm in parameters.algorithms:
        for journal in parameters.journals:
            for mode in parameters.modes:
                yield _scenario(parameters, algorithm, journal, mode)


def _scenario(parameters: Parameters, name: str, journal: str, mode: str) -> Scenario:
    algorithm = ALGORITHMS[name]
    history = [FIRST + INTERVAL * day for day in range(-1, parameters.history)]
    database = Database(
        algorithm.create_schema,
        partial(seed, dag_id=DAG_ID, history=history),
        journal=journal,
        transactions=mode,
        busy_timeout_ms=parameters.busy_timeout,
    )
    enforce_foreign_keys(database.engine)
    names = string.ascii_uppercase[: parameters.requests]
    request = _request(parameters)
    send = partial(post, database.engine, algorithm, request, log=bool(parameters.log))
    faults = FaultBudget(locked=parameters.locked, crash=parameters.crash)
    properties = properties_of(
        database.engine, algorithm, names, request, parameters.actors, faults=faults != FaultBudget()
    )
    return Scenario(
        f"create-backfill/{name}{parameters.suffix(journal, mode)}",
        database,
        [Client(name, send) for name in names]  # one object: nothing tells one of these clients from another
        + [Client(actor, OTHERS[actor](database.engine, algorithm)) for actor in parameters.actors],
        properties,
        faults=faults,
        faults_at=Placement(parameters.faults_at),
        expect_violated=expected(parameters, name, journal, mode) & {item.name for item in properties},
    )


def _request(parameters: Parameters) -> Request:
    last = FIRST + INTERVAL * (parameters.runs - 1)
    return Request(DAG_ID, FIRST, last, reprocess=parameters.reprocess)
