"""Reduced, unreduced and live searches decide the same."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import pytest
from attrs import evolve
from sqlalchemy import Engine

from properties.backfill import scenarios
from tests.checking.bank import add_in_place, bank, read_then_write, write_once
from tests.sampled import one_in
from treadle import Client, FaultBudget, Result, Scenario, View, at_end, check


def _verdicts(result: Result) -> dict[str, str]:
    return {item.property.name: item.verdict.value for item in result.decisions}


def _same(scenario: Scenario, **options: Any) -> None:
    reduced, other = check(scenario), check(scenario, **options)
    assert (reduced.exhausted, other.exhausted) == (True, True)
    assert _verdicts(reduced) == _verdicts(other)
    assert reduced.outcomes == other.outcomes


def _agrees_live(scenario: Scenario) -> None:
    """Compare with live executions, every operation a scheduling point: all of them, or a hundred."""
    reduced, live = check(scenario), check(scenario, live=True, max_executions=100)
    assert reduced.exhausted
    if live.exhausted:
        assert (_verdicts(live), live.outcomes) == (_verdicts(reduced), reduced.outcomes)
    assert live.outcomes <= reduced.outcomes
    assert _violated(live) <= _violated(reduced)
    assert live.outcomes


def _violated(result: Result) -> set[str]:
    kinds = {item.property.name for item in result.decisions if item.counterexample is not None}
    return {name for name, verdict in _verdicts(result).items() if verdict == "violated" and name in kinds}


@pytest.mark.parametrize(
    ("requests", "algorithm", "locked"),
    one_in(3, itertools.product([1, 2], ["shipped-3.2.2", "flush", "immediate"], [0, 1])),
)
def test_live_searches_agree_on_create_backfill(algorithm: str, requests: int, locked: int) -> None:
    """Running every schedule live, and learning nothing, gives the same verdicts and final outcomes."""
    _agrees_live(scenarios(algorithms=algorithm, requests=requests, runs=1, locked=locked)[0])


@pytest.mark.parametrize("transactions", one_in(2, ["begin", "immediate"]))
def test_live_searches_agree_where_readers_are_barred(transactions: str) -> None:
    """In rollback-journal mode a COMMIT that waits lets nobody begin to read."""
    parameters = {"algorithms": "shipped-3.2.2", "runs": 1, "journal": "delete", "transactions": transactions}
    _agrees_live(scenarios(**parameters)[0])


@pytest.mark.parametrize("algorithm", ["shipped-3.2.2", "flush", "immediate"])
def test_unreduced_searches_agree_on_one_request(algorithm: str) -> None:
    """Branching on every operation, and merging nothing, gives the same for one client and one fault."""
    _same(scenarios(algorithms=algorithm, requests=1, runs=1, locked=1)[0], reduction=False)


@pytest.mark.parametrize("run", [read_then_write, add_in_place, write_once])
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_unreduced_searches_agree_on_two_clients(run: Any, journal: str) -> None:
    """Branching on every operation, and merging nothing, gives the same for two clients."""
    _same(bank(run, journal=journal), reduction=False)


def _through_a_temporary_table(engine: Engine) -> int:
    """Read the balance by way of a table of the connection's own, each statement in a transaction of its own."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CREATE TEMP TABLE mine (balance)")
        connection.exec_driver_sql("INSERT INTO mine SELECT balance FROM account")
        balance: int = connection.exec_driver_sql("SELECT balance FROM mine").scalar_one()
        return balance


def test_live_searches_agree_on_a_temporary_table() -> None:
    """What was committed when it was filled is part of what its connection holds, though it shows nowhere else."""
    scenario = bank(add_in_place)
    engine = scenario.database.engine
    runs = (_through_a_temporary_table, add_in_place)
    seen: set[object] = set()

    def note(view: View) -> bool:
        seen.add(view.returned()["A"])
        return True

    scenario = evolve(
        scenario,
        clients=[Client(name, partial(run, engine)) for name, run in zip("AB", runs, strict=True)],
        properties=[at_end("what was read is noted", note, name="noted")],
    )
    _agrees_live(scenario)
    assert {0, 1} == seen


def test_live_searches_agree_on_three_clients() -> None:
    """Three clients, one fault."""
    scenario = bank(read_then_write, clients=3)
    _agrees_live(evolve(scenario, faults=FaultBudget(locked=1), faults_at="reachable"))


def test_three_requests_agree() -> None:
    """Three requests of the report, without learning."""
    _agrees_live(scenarios(algorithms="immediate", requests=3, runs=1, locked=0)[0])
