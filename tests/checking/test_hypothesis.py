"""Scenarios as Hypothesis machines."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from attrs import evolve
from hypothesis.stateful import run_state_machine_as_test

from properties.backfill import scenarios
from tests.checking.bank import add_in_place, bank, read_then_write
from treadle import CounterexampleError, FaultBudget, Scenario, UsageError, check, replay
from treadle.execution.system import System
from treadle.hypothesis import close_machines, state_machine
from treadle.judge import Judge
from treadle.values.schedule import Schedule


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close what machines opened."""
    yield
    close_machines()


def _rules(error: BaseException) -> list[str]:
    """Return the rules of the falsifying example, as Hypothesis prints them."""
    lines = [line.strip() for note in getattr(error, "__notes__", []) for line in note.splitlines()]
    return [line.partition("(")[0].removeprefix("state.") for line in lines if line.startswith("state.")]


def _fewest_rules(scenario: Scenario, name: str) -> int:
    """Return the least number of rules after which running on in order breaks a property, by breadth first search."""
    with System(scenario) as system:
        judge = Judge(scenario, system.sequel, system.serial)
        level = [system.product.root()]
        judge.start(level[0])
        for rules in itertools.count():
            for state in level:
                end = state
                while choices := system.product.choices(end):
                    end = system.product.run(end, choices[0]).after
                if name in judge.broken(end):
                    return rules
            level = [
                system.product.run(state, choice).after for state in level for choice in system.product.choices(state)
            ]
    raise AssertionError("unreachable")


def test_it_finds_the_orphan_and_shrinks_it_to_the_minimum() -> None:
    """One request: start it, step it to its first savepoint, fail it there. The backfill row stays.

    The steps between are the scheduling points on the way: three reads, the INSERT and its COMMIT, and a read.
    """
    scenario = scenarios(algorithms="shipped-3.2.2", requests=1)[0]
    with pytest.raises(CounterexampleError) as caught:
        run_state_machine_as_test(state_machine(scenario, properties=["all-or-nothing"]))
    rules = [rule for rule in _rules(caught.value) if rule in {"start", "step", "fail"}]
    assert ["start", *["step"] * (len(rules) - 2), "fail"] == rules
    assert _fewest_rules(scenario, "all-or-nothing") == len(rules)
    trace = replay(scenario, caught.value.token)
    assert ("all-or-nothing" in trace.breaches, trace.as_recorded) == (True, True)


@pytest.mark.truth
def test_it_finds_the_orphan_among_two_requests() -> None:
    """Two requests, with Hypothesis' default settings: the token replays to the same breach."""
    scenario = scenarios(algorithms="shipped-3.2.2")[0]
    with pytest.raises(CounterexampleError) as caught:
        run_state_machine_as_test(state_machine(scenario, properties=["all-or-nothing"]))
    assert "all-or-nothing" in replay(scenario, caught.value.token).breaches
    assert Schedule.parse(caught.value.token).faults <= 1
    assert "database is locked" in str(caught.value)


def test_it_passes_on_a_fix_that_the_search_proves() -> None:
    """What the exhaustive search proves, the machine does not find."""
    run_state_machine_as_test(state_machine(scenarios(algorithms="immediate")[0]))


def test_it_finds_a_lost_update() -> None:
    """No faults: starting and stepping are enough."""
    with pytest.raises(CounterexampleError):
        run_state_machine_as_test(state_machine(bank(read_then_write)))
    run_state_machine_as_test(state_machine(bank(add_in_place)))


def test_it_crashes_clients_within_the_budget() -> None:
    """A crash is a rule of its own: a client that crashes after its COMMIT has counted, and never says so."""
    scenario = evolve(bank(add_in_place), faults=FaultBudget(crash=1))
    machine = state_machine(scenario)
    assert (True, False) == (hasattr(machine, "crash"), hasattr(machine, "fail"))
    example = check(scenario)["every-increment-counts"].counterexample
    assert example is not None
    assert str(example.schedule.choices[-1]).endswith("-crash")


def test_an_unknown_property_is_refused() -> None:
    """The error names what there is."""
    with pytest.raises(UsageError, match="every-increment-counts"):
        state_machine(bank(add_in_place), properties=["no-such"])
