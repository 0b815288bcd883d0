"""Scenarios as Hypothesis machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve
from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test
from hypothesis.statistics import collector

from properties.backfill import scenarios
from tests.checking.bank import add_in_place, bank, read_then_write
from treadle import CounterexampleError, FaultBudget, UsageError, check, replay
from treadle.hypothesis import close_machines, state_machine
from treadle.values.schedule import Schedule


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close what machines opened."""
    yield
    close_machines()


def _rules(error: BaseException) -> list[str]:
    """Return the rules of the falsifying example, as Hypothesis prints them."""
    lines = [line.strip() for note in getattr(error, "__notes__", []) for line in note.splitlines()]
    return [line.removeprefix("state.") for line in lines if line.startswith("state.") and "teardown" not in line]


def _size(schedule: Schedule) -> tuple[int, int, int]:
    return schedule.faults, schedule.switches, len(schedule)


@pytest.mark.parametrize(
    "chosen", [1, pytest.param(2, marks=pytest.mark.truth), pytest.param(3, marks=pytest.mark.truth)]
)
def test_it_finds_the_orphan_and_shrinks_it_to_what_the_search_proves(chosen: int, few_challenges: None) -> None:
    """One request, one rule: as many faults, switches and choices as in the smallest schedule there is."""
    scenario = scenarios(algorithms="shipped-3.2.2", requests=1)[0]
    smallest = check(scenario)["all-or-nothing"].counterexample
    assert smallest is not None
    machine = seed(chosen)(state_machine(scenario, properties=["all-or-nothing"]))
    with pytest.raises(CounterexampleError) as caught:
        run_state_machine_as_test(machine, settings=settings(machine.TestCase.settings, database=None))
    assert ["locked_at(client='A', place='INSERT 2 of 7')"] == _rules(caught.value)
    assert _size(smallest.schedule) == _size(Schedule.parse(caught.value.token))
    trace = replay(scenario, caught.value.token)
    assert ("all-or-nothing" in trace.breaches, trace.as_recorded) == (True, True)


def test_no_example_is_wasted() -> None:
    """Every rule can do something where Hypothesis may choose it, so no example is invalid."""
    machine = state_machine(scenarios(algorithms="immediate")[0])
    counted: list[Any] = []
    collect: Any = counted.append
    with collector.with_value(collect):
        run_state_machine_as_test(machine, settings=settings(machine.TestCase.settings, max_examples=30, database=None))
    (phases,) = counted
    statuses = [case["status"] for case in phases["generate-phase"]["test-cases"]]
    assert statuses.count("valid") >= 30
    assert 0 == statuses.count("invalid")


def test_rules_can_be_called_by_hand() -> None:
    """An example that Hypothesis prints can be run as it is; a place that is not ahead is refused by name."""
    machine: Any = state_machine(scenarios(algorithms="shipped-3.2.2", requests=1)[0], properties=["all-or-nothing"])
    state = machine()
    state.locked_at(client="A", place="INSERT 2 of 7")
    with pytest.raises(CounterexampleError):
        state.teardown()
    with pytest.raises(UsageError, match="SAVEPOINT 2 of 2"):
        machine().turn(client="A", to="SAVEPOINT 9 of 9")
    with pytest.raises(UsageError, match="Z"):
        machine().turn(client="Z", to="the end")


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
    assert (True, False) == (hasattr(machine, "crash_at"), hasattr(machine, "locked_at"))
    example = check(scenario)["every-increment-counts"].counterexample
    assert example is not None
    assert str(example.schedule.choices[-1]).endswith("-crash")


def test_an_unknown_property_is_refused() -> None:
    """The error names what there is."""
    with pytest.raises(UsageError, match="every-increment-counts"):
        state_machine(bank(add_in_place), properties=["no-such"])
