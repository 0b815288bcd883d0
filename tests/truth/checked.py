"""The same programs under the checker, with the outcomes that it finds as comparable sets."""

from __future__ import annotations

from functools import partial
from typing import Any

from attrs import evolve
from hypothesis import reject
from sqlalchemy import Engine

from tests.truth.brute import Outcome
from tests.truth.programs import SCHEMA, TABLES, Case, Program, play
from treadle import Client, Database, FaultBudget, Raised, Result, Returned, Scenario, View, always, at_end, check
from treadle.execution.system import System
from treadle.judge import Judge
from treadle.search.exhaustive import Exhaustive
from treadle.search.protocol import Limits
from treadle.values.errors import UnsupportedOperationError

_left_open: list[object] = []
"""Connections that programs left open: nobody collects them while a check is under way."""


def _create(engine: Engine) -> None:
    connection = engine.raw_connection()
    for statement in SCHEMA:
        connection.cursor().execute(statement)
    connection.commit()
    connection.close()


def _run(engine: Engine, program: Program, offset: int) -> str:
    connection = engine.raw_connection()
    if program.leaves_open:
        _left_open.append(connection)
    driver: Any = connection.driver_connection
    driver.execute("SELECT 1").fetchall()  # touches nothing; a client without a statement proves nothing
    return play(program, offset, driver, connection.close)


def _spoken(outcome: object) -> str:
    if isinstance(outcome, Returned):
        return f"returned {outcome.value}"
    if isinstance(outcome, Raised):
        return f"raised {type(outcome.exception).__name__}: {outcome.exception}"
    return str(outcome)


def _scenario(case: Case, faults: tuple[int, int], faults_at: str) -> tuple[Scenario, set[Outcome]]:
    """Return the scenario of a case, and the set into which every outcome goes that a search meets."""
    database = Database(
        _create, journal=case.journal, transactions=case.transactions, busy_timeout_ms=case.busy_timeout_ms
    )
    names = [chr(ord("a") + position) for position in range(len(case.programs))]
    seen: set[Outcome] = set()

    def note(view: View) -> bool:
        ends = tuple(_spoken(view.outcomes[name]) for name in names)
        seen.add((ends, *(tuple(tuple(row.values()) for row in view.rows(table)) for table in TABLES)))
        return True

    scenario = Scenario(
        "generated",
        database,
        [
            Client(name, partial(_run, database.engine, program, case.offset(position)))
            for position, (name, program) in enumerate(zip(names, case.programs, strict=True))
        ],
        [at_end("every outcome is noted", note, name="noted")],
        faults=FaultBudget(*faults),
        faults_at=faults_at,
    )
    return scenario, seen


def outcomes(
    case: Case, *, faults: tuple[int, int] = (0, 0), faults_at: str = "reachable", **options: Any
) -> tuple[set[Outcome], Result]:
    """Check a case, and return all outcomes that the checker reaches.

    Args:
        case: what runs.
        faults: the budget, locked and crash.
        faults_at: where faults are injected.
        **options: of ``treadle.check``.
    """
    scenario, seen = _scenario(case, faults, faults_at)
    try:
        return seen, check(scenario, **options)
    except UnsupportedOperationError:  # a statement that returned rows would wait to commit, in the middle
        reject()
    finally:
        _left_open.clear()


def ends_of_one_more(case: Case, program: Program, **options: Any) -> set[tuple[bool, Outcome, str]]:
    """Check a case, and return for each state: whether all clients have ended, the rows, and how one more client ends.

    Args:
        case: the clients.
        program: what the one more does.
        **options: of ``treadle.check``.
    """
    scenario, _ = _scenario(case, (0, 0), "reachable")
    more = partial(_run, scenario.database.engine, program, len(case.programs))
    found: set[tuple[bool, Outcome, str]] = set()

    def ask(view: View) -> bool:
        rows = tuple(tuple(tuple(row.values()) for row in view.rows(table)) for table in TABLES)
        found.add((len(view.outcomes) == len(case.programs), rows, _spoken(view.then(more))))
        return True

    try:
        check(evolve(scenario, properties=[always("every end is noted", ask, name="noted")]), **options)
    except UnsupportedOperationError:  # likewise
        reject()
    finally:
        _left_open.clear()
    return found


def outcomes_of_every_operation(case: Case, *, faults: tuple[int, int], faults_at: str) -> set[Outcome]:
    """Return the outcomes of a search in which every operation is a scheduling point, but equal states are merged."""
    scenario, seen = _scenario(case, faults, faults_at)
    try:
        with (
            System(scenario, local=False, constants=False, memory=False, symmetry=False, keep_logs=True) as system,
            system.active(),
        ):
            judge = Judge(scenario, system.sequel, system.serial)
            assert Exhaustive(system.symmetry).explore(system.product, judge, Limits()).exhausted
    except UnsupportedOperationError:  # likewise
        reject()
    finally:
        _left_open.clear()
    return seen
