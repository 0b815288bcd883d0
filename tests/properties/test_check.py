"""The checker on small scenarios: buggy and fixed side by side."""

from __future__ import annotations

from properties.backfill import scenarios
from treadle import Verdict, check


def test_the_shipped_algorithm_is_violated_and_the_immediate_one_is_exhausted() -> None:
    """Two requests for one date, one fault."""
    shipped, immediate = map(check, scenarios(runs=1, algorithms="shipped-3.2.2,immediate"))
    assert Verdict.VIOLATED is shipped["all-or-nothing"].verdict
    assert Verdict.VIOLATED is shipped["one-active-backfill"].verdict
    assert Verdict.VIOLATED is shipped["never-partial"].verdict
    assert {Verdict.HOLDS} == {decision.verdict for decision in immediate.decisions}
    assert immediate.exhausted


def test_every_witness_of_the_default_algorithms_is_seen() -> None:
    """Nothing holds vacuously, not even for one date."""
    for result in map(check, scenarios(runs=1)):
        unseen = [
            decision.property.name
            for decision in result.decisions
            if decision.property.name.startswith("some-") and decision.verdict is not Verdict.HOLDS
        ]
        assert [] == unseen, result.scenario
