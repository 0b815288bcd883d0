"""The cases that are measured."""

from __future__ import annotations

from attrs import evolve, field, frozen

from properties.backfill import scenarios
from treadle import FaultBudget, Scenario

_OF_THE_REPORT = ("all-or-nothing", "history-kept", "one-active-backfill", "retry-succeeds")
"""The properties that the bug report is about; the others run further clients after each execution."""


@frozen
class Case:
    """One thing that is measured.

    Attributes:
        name: a letter, and a number where there are several.
        title: what it is.
        scenario: what is checked.
        search: the search policy.
        slow: it takes more than a minute, and runs only when asked for.
        rounds: how often it is measured.
    """

    name: str
    title: str
    scenario: Scenario
    search: str = "exhaustive"
    slow: bool = field(default=False, kw_only=True)
    rounds: int = field(default=3, kw_only=True)


def backfill(algorithm: str, *, requests: int, runs: int, locked: int) -> Scenario:
    """Return the create-backfill scenario of an algorithm, with the properties of the report."""
    scenario = scenarios(algorithms=algorithm, requests=requests, runs=runs, locked=locked)[0]
    kept = [item for item in scenario.properties if item.name in _OF_THE_REPORT]
    return evolve(
        scenario,
        properties=kept,
        faults=FaultBudget(locked=locked),
        expect_violated=scenario.expect_violated & {item.name for item in kept},
        max_operations=1_000_000,
    )


def _exhausted(name: str, *, requests: int, runs: int, locked: int, slow: bool = False, rounds: int = 3) -> Case:
    return Case(
        name,
        f"{requests} requests x {runs} runs x {locked} locked, exhausted",
        backfill("shipped-3.2.2", requests=requests, runs=runs, locked=locked),
        slow=slow,
        rounds=rounds,
    )


def cases() -> list[Case]:
    """Return all cases, cheapest first."""
    return [
        _exhausted("A", requests=2, runs=2, locked=1, rounds=5),
        _exhausted("B", requests=3, runs=1, locked=1, rounds=1, slow=True),
        _exhausted("C", requests=3, runs=2, locked=0, rounds=1, slow=True),
        *(_exhausted(f"E{runs}", requests=2, runs=runs, locked=1, rounds=1, slow=runs > 3) for runs in range(1, 7)),
        Case(
            "F",
            "1 request x 100 runs, a locked fault at every savepoint in turn",
            backfill("shipped-3.2.2", requests=1, runs=100, locked=1),
            search="sweep",
            rounds=1,
            slow=True,
        ),
    ]
