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


def test_the_audit_log_is_no_part_of_serial_equivalence() -> None:
    """A request that is refused has an entry in it all the same."""
    (scenario,) = scenarios(runs=1, locked=0, log=1, algorithms="immediate")
    result = check(scenario)
    assert Verdict.HOLDS is result["serial-equivalence"].verdict
    assert Verdict.HOLDS is result["some-conflict"].verdict


def test_a_client_that_dies_after_its_commit_is_no_failure() -> None:
    """Nor is one that dies before; with the early commit, one that dies in between is."""
    shipped, immediate = map(check, scenarios(runs=1, locked=0, crash=1, algorithms="shipped-3.2.2,immediate"))
    for name in ("all-or-nothing", "serial-equivalence", "retry-succeeds", "honest-conflict"):
        assert Verdict.VIOLATED is shipped[name].verdict
        assert Verdict.HOLDS is immediate[name].verdict
