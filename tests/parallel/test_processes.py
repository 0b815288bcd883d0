"""Several processes find exactly what one finds, whoever dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from properties.backfill import scenarios
from tests.checking.bank import add_in_place, bank, read_then_write
from treadle import FaultBudget, NondeterminismError, Result, Scenario, UsageError, check
from treadle.parallel.part import Report
from treadle.parallel.processes import Processes


def facts(result: Result) -> tuple[object, ...]:
    """Return all that must be the same."""
    decided = [
        (item.property.name, item.verdict, item.why, item.counterexample and item.counterexample.schedule.token)
        for item in result.decisions
    ]
    stats = result.stats
    return (decided, result.exhausted, stats.states, stats.transitions, stats.schedules, result.outcomes, result.notes)


def faulty(run: Callable[..., object], *, clients: int = 3, **options: Any) -> Scenario:
    """Return a scenario in which one operation may be refused a lock."""
    return evolve(bank(run, clients=clients, **options), faults=FaultBudget(locked=1), faults_at="reachable")


def two_kinds(**options: Any) -> Scenario:
    """Return a scenario whose clients run different code."""
    scenario, other = bank(read_then_write, **options), bank(add_in_place, **options)
    del other
    engine = scenario.database.engine
    first, second = scenario.clients
    return evolve(scenario, clients=[first, evolve(second, run=lambda: add_in_place(engine))])


def draw(engine: Engine) -> str:
    """Add one, and draw a random number: clients that do so are not interchangeable."""
    add_in_place(engine)
    return str(uuid.uuid4())


def remember(engine: Engine) -> int:
    """Ask for what an earlier statement left behind."""
    with Session(engine) as session:
        session.execute(text("UPDATE account SET balance = balance + 1"))
        number = session.execute(text("SELECT changes()")).scalar_one()
        session.commit()
        return int(number)


SCENARIOS: dict[str, Callable[[], Scenario]] = {
    "with a fault": lambda: faulty(read_then_write),
    "different clients": two_kinds,
    "rollback journal": lambda: faulty(read_then_write, clients=2, journal="delete"),
    "crash": lambda: evolve(bank(add_in_place, clients=3), faults=FaultBudget(crash=1)),
    "random": lambda: bank(draw),
    "logs": lambda: bank(remember),
    "create-backfill": lambda: scenarios(algorithms="shipped-3.2.2", requests=2, runs=1, locked=1)[0],
    "create-backfill, three": lambda: scenarios(algorithms="flush", requests=3, runs=1, locked=0)[0],
}


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("name", SCENARIOS)
def test_several_processes_find_what_one_finds(name: str, workers: int) -> None:
    """Verdicts, counts, schedules and outcomes are the same."""
    scenario = SCENARIOS[name]()
    assert facts(check(scenario)) == facts(check(scenario, workers=workers))


@pytest.mark.parametrize("without", [["symmetry"], ["constants"], ["memory"], ["local"], ["symmetry", "constants"]])
def test_with_each_reduction_switched_off(without: list[str]) -> None:
    """Parts of a search are searched as the whole is."""
    scenario = faulty(read_then_write, clients=2)
    assert facts(check(scenario, without=without)) == facts(check(scenario, without=without, workers=2))


@pytest.mark.parametrize("when", [0, 1, 2, 4])
def test_a_worker_that_is_killed_loses_nothing(when: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part whose process dies begins anew with all that had arrived in it."""
    scenario = SCENARIOS["create-backfill"]()
    alone = facts(check(scenario))
    killed: list[int] = []
    right = Processes.wait

    def wait(self: Processes) -> tuple[int, Report]:
        if len(killed) <= when:
            killed.append(0)
            if len(killed) == when + 1:
                victim = self._processes[when % 2]
                assert victim.pid is not None
                os.kill(victim.pid, signal.SIGKILL)
        return right(self)

    monkeypatch.setattr(Processes, "wait", wait)
    assert alone == facts(check(scenario, workers=2))
    assert len(killed) == when + 1


def test_a_worker_that_is_killed_at_the_end_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it found is found again."""
    scenario = SCENARIOS["with a fault"]()
    alone = facts(check(scenario))
    killed: list[int] = []
    right = Processes.harvest

    def harvest(self: Processes, part: int) -> Any:
        if not killed:
            victim = self._processes[part]
            assert victim.pid is not None
            killed.append(victim.pid)
            os.kill(victim.pid, signal.SIGKILL)
            victim.join()
        return right(self, part)

    monkeypatch.setattr(Processes, "harvest", harvest)
    assert alone == facts(check(scenario, workers=2))
    assert killed


def test_a_bound_makes_it_inconclusive() -> None:
    """What was not violated by then is not said to hold."""
    result = check(SCENARIOS["create-backfill"](), workers=2, max_states=20)
    assert not result.exhausted
    assert any("bound of 20 states" in item.why for item in result.decisions)


def test_errors_of_clients_come_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that differs from run to run is reported as in one process."""
    seen: list[int] = []

    def fickle(engine: Engine) -> None:
        seen.append(0)
        with engine.connect() as connection:
            connection.execute(text(f"SELECT {len(seen)} FROM account"))
            connection.execute(text("UPDATE account SET balance = 1"))
            connection.commit()

    with pytest.raises(NondeterminismError):
        check(bank(fickle), workers=2)


def left_behind() -> set[Path]:
    """Return the directories of processes that are no more, wherever they may be."""
    roots = [Path(tempfile.gettempdir()), Path("/dev/shm")]  # noqa: S108  # where the sandbox puts them
    found = {path for root in roots for path in root.glob("treadle-*-*")}
    return {path for path in found if not Path(f"/proc/{path.name.split('-')[1]}").exists()}


def test_nothing_is_left_behind() -> None:
    """Neither processes nor directories."""
    before = left_behind()
    check(SCENARIOS["with a fault"](), workers=2)
    assert not multiprocessing.active_children()
    assert before == left_behind()


@pytest.mark.parametrize(
    "options",
    [{"workers": 0}, {"workers": -1}, {"workers": 2, "search": "pct"}, {"workers": 2, "live": True}],
)
def test_what_cannot_be_shared_is_refused(options: dict[str, Any]) -> None:
    """Only an exhaustive search is divided among processes."""
    with pytest.raises(UsageError, match="workers="):
        check(bank(add_in_place), **options)
