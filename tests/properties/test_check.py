"""The checker on small scenarios: buggy and fixed side by side."""

from __future__ import annotations

import pytest
from attrs import evolve

from properties.backfill import scenarios
from tests.sampled import one_in
from treadle import Breach, Property, Verdict, View, check


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


def test_nothing_tells_the_clients_of_a_scenario_apart_that_send_requests() -> None:
    """They run one object, and no name of theirs gets into the database or into a property."""
    for scenario in scenarios(requests=3, log=1, algorithms="all"):
        a, b, c = scenario.clients
        assert a.run is b.run is c.run


@pytest.mark.parametrize(
    ("algorithm", "faults"), one_in(2, [("staged", {"locked": 1}), ("shipped-3.2.2", {"locked": 0, "crash": 2})])
)
def test_every_property_judges_alike_when_clients_swap_their_ends(algorithm: str, faults: dict[str, int]) -> None:
    """In every view that the checker shows it."""
    (scenario,) = scenarios(runs=1, algorithms=algorithm, **faults)

    def judged_twice(item: Property) -> Property:
        def predicate(view: View) -> list[Breach]:
            names = {"A": "B", "B": "A"}
            swapped = {name: view.outcomes[names[name]] for name in names if names[name] in view.outcomes}
            breaches = item.breaches(view)
            twin = View(view.committed, view.initial, swapped, view.then, lambda order: view.serially(*order))
            assert bool(breaches) == bool(item.breaches(twin)), (item.name, view.outcomes)
            return list(breaches)

        return evolve(item, predicate=predicate)

    twice = check(evolve(scenario, properties=[judged_twice(item) for item in scenario.properties]))
    once = check(scenario)
    assert [item.verdict for item in once.decisions] == [item.verdict for item in twice.decisions]


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
