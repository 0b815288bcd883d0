"""The same programs under the checker and for real, with the outcomes as comparable sets."""

from __future__ import annotations

from functools import partial
from typing import Any

from attrs import evolve

from tests.truth.compared import scenario_of, tables_of
from tests.truth.programs import SCHEMA, Case, Program, play
from tests.truth.real import Ends, bench, explore
from treadle import FaultBudget, Raised, Result, Returned, Scenario, View, always, at_end, check
from treadle.execution.system import Known, System
from treadle.judge import Judge
from treadle.search.exhaustive import Exhaustive
from treadle.search.protocol import Limits

Tables = tuple[tuple[str, tuple[tuple[Any, ...], ...]], ...]
"""The committed rows of each table, by name."""

Outcome = tuple[Ends, Tables]
"""How each client ended, and what was committed in the end."""


def client(program: Program, offset: int, case: Case, place: Any) -> str:
    """Run a program, as an application does; the same function for real and under the checker.

    Args:
        program: what it does.
        offset: by which its writes differ.
        case: says how connections are opened.
        place: opens them.
    """
    level = "" if case.transactions == "legacy" else None
    connection = place.connect(isolation_level=level, timeout=case.busy_timeout_ms / 1000)
    connection.execute("SELECT 1").fetchall()  # touches nothing; a client without a statement proves nothing
    return play(program, offset, connection)


def clients_of(case: Case) -> tuple[partial[str], ...]:
    """Return the clients of a case; each is given what opens connections."""
    return tuple(partial(client, program, case.offset(place), case) for place, program in enumerate(case.programs))


# For real.


def real_outcomes(case: Case, most: int) -> tuple[set[Outcome], bool]:
    """Return the outcomes of all interleavings, and whether these are really all.

    Args:
        case: what runs.
        most: how many interleavings are tried; where there are more, a random choice of them.
    """
    with bench(SCHEMA, clients_of(case), journal=case.journal) as place:
        explored = explore(place, most)
    return {(tuple(map(_plain, ends)), content.tables) for ends, content in explored.ends}, explored.complete


def _plain(end: str | None) -> str | None:
    """Return how a client ended, without the names of codes."""
    return end if end is None or end.startswith("returned") else end.partition(" [SQLITE_")[0]


# Under the checker.


def _spoken(outcome: object) -> str:
    if isinstance(outcome, Returned):
        return f"returned {outcome.value}"
    if isinstance(outcome, Raised):
        return f"raised {type(outcome.exception).__name__}: {outcome.exception}"
    return str(outcome)


def _scenario(case: Case, faults: tuple[int, int], faults_at: str) -> tuple[Scenario, set[Outcome]]:
    """Return the scenario of a case, and the set into which every outcome goes that a search meets."""
    seen: set[Outcome] = set()

    def note(view: View) -> bool:
        ends = tuple(_spoken(view.outcomes[one.name]) for one in scenario.clients)
        seen.add((ends, tables_of(view.committed)))
        return True

    properties = [at_end("every outcome is noted", note, name="noted")]
    made = scenario_of(SCHEMA, clients_of(case), properties, journal=case.journal)
    names = [one.name for one in made.clients]
    scenario = evolve(made, faults=FaultBudget(*faults), faults_at=faults_at, may_fail=names)
    return scenario, seen


UNCHALLENGED: dict[str, Any] = {"challenge": 0, "challenges": 0}
"""What is compared here needs no further executions."""


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
    result = check(scenario, **UNCHALLENGED, **options)
    return seen, result


def ends_of_one_more(case: Case, program: Program, **options: Any) -> set[tuple[bool, Tables, str]]:
    """Check a case, and return for each state: whether all clients have ended, the rows, and how one more client ends.

    Args:
        case: the clients.
        program: what the one more does.
        **options: of ``treadle.check``.
    """
    scenario, _ = _scenario(case, (0, 0), "reachable")
    place = scenario.clients[0].run.args[-1]  # type: ignore[attr-defined]  # a partial
    more = partial(client, program, len(case.programs), case, place)
    found: set[tuple[bool, Tables, str]] = set()

    def ask(view: View) -> bool:
        found.add((len(view.outcomes) == len(case.programs), tables_of(view.committed), _spoken(view.then(more))))
        return True

    check(evolve(scenario, properties=[always("every end is noted", ask, name="noted")]), **UNCHALLENGED, **options)
    return found


def outcomes_of_every_operation(case: Case, *, faults: tuple[int, int], faults_at: str) -> set[Outcome]:
    """Return the outcomes of a search in which every operation is a scheduling point, but equal states are merged."""
    scenario, seen = _scenario(case, faults, faults_at)
    with System(scenario, Known(keep_logs=True), local=False, memory=False) as system:
        judge = Judge(scenario, system.sequel, system.serial)
        assert Exhaustive(system.symmetry).explore(system.product, judge, Limits()).exhausted
    return seen
