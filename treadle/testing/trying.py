"""Schedules that are tried before anything is searched: they broke a property before, and may do so again."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from treadle.checking import broken_by, replay, undecided
from treadle.scenario import Scenario
from treadle.values.errors import TreadleError
from treadle.values.trace import Trace
from treadle.values.verdict import Counterexample, Decision, Result, Verdict


def first_broken(scenario: Scenario, tokens: Iterable[str]) -> Result | None:
    """Return what the first schedule shows that breaks a property which is expected to hold; None if none does.

    A token that is none, belongs to other clients, or leads to an error says nothing: what there is, the search finds.

    Args:
        scenario: what the schedules may belong to.
        tokens: of the schedules.
    """
    for token in tokens:
        try:
            trace = replay(scenario, token)
        except TreadleError:
            continue
        surprising = [name for name in broken_by(trace, scenario) if name not in scenario.expect_violated]
        if surprising:
            return _shown(scenario, trace, surprising)
    return None


def _shown(scenario: Scenario, trace: Trace, broken: list[str]) -> Result:
    nothing = undecided(scenario, "nothing was searched: a schedule that is known breaks another property", {})
    return evolve(
        nothing,
        decisions=tuple(
            _violated(decision, trace) if decision.property.name in broken else decision
            for decision in nothing.decisions
        ),
    )


def _violated(decision: Decision, trace: Trace) -> Decision:
    why = trace.breaches[decision.property.name][0].why
    example = Counterexample(trace.schedule, trace, confirmed=True, why=why)
    return evolve(decision, verdict=Verdict.VIOLATED, why="", counterexample=example)
