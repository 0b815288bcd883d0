"""What samples, shrinks and steps does what the scheduler may decide, and nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import partial

import pytest
from attrs import evolve
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from properties.backfill import scenarios
from tests.checking.bank import METADATA, Account, bank, read_then_write, seed
from treadle import (
    Client,
    CounterexampleError,
    Database,
    FaultBudget,
    Scenario,
    Verdict,
    View,
    at_end,
    check,
    sometimes,
)
from treadle.execution.product import Product
from treadle.execution.state import State
from treadle.execution.taken import Edge
from treadle.hypothesis import close_machines, state_machine
from treadle.values.fault import Fault
from treadle.values.schedule import Choice

pytestmark = pytest.mark.usefixtures("few_challenges")


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[State, Choice]]]:
    """Note what a product is asked to do that is no choice in its state."""
    found: list[tuple[State, Choice]] = []
    run = Product.run

    def watched(self: Product, state: State, choice: Choice) -> Edge:
        if choice not in self.choices(state):
            found.append((state, choice))
        return run(self, state, choice)

    monkeypatch.setattr(Product, "run", watched)
    yield found
    close_machines()


def _read_and_write_twice(engine: Engine) -> str:
    """Write in two transactions, so that a fault between them shows; a read that is refused is told."""
    with Session(engine) as session:
        try:
            session.scalars(select(Account.balance)).all()
        except OperationalError:
            return "the read was refused"
        session.execute(update(Account).values(balance=1))
        session.commit()
        session.scalars(select(Account.balance)).all()
        session.execute(update(Account).values(balance=2))
        session.commit()
        return "both were written"


def _refusable() -> Scenario:
    database = Database(METADATA, seed)
    return Scenario(
        "read and write twice",
        database,
        [Client("A", partial(_read_and_write_twice, database.engine))],
        [
            at_end("both are written, or none is", lambda view: view.rows("account")[0]["balance"] != 1, name="whole"),
            sometimes("a read is refused", _a_read_is_refused, name="refused"),
        ],
        faults=FaultBudget(locked=1),
    )


def _a_read_is_refused(view: View) -> bool:
    return "the read was refused" in view.returned().values()


@pytest.mark.parametrize("search", ["random", "pct", "sweep"])
def test_shrinking_is_no_witness_and_no_outcome(search: str) -> None:
    """In WAL mode no process outside can make a read fail: no search may show it, whatever its shrinker tries."""
    everything = check(_refusable())
    sampled = check(_refusable(), search=search)
    assert Verdict.VIOLATED is everything["refused"].verdict
    assert Verdict.HOLDS is not sampled["refused"].verdict
    assert sampled.outcomes <= everything.outcomes
    smallest, shrunk = everything["whole"].counterexample, sampled["whole"].counterexample
    assert smallest is not None
    assert shrunk is not None
    assert smallest.schedule == shrunk.schedule


@pytest.mark.parametrize("search", ["exhaustive", "random", "pct", "sweep"])
def test_no_search_does_what_may_not_happen(search: str, forbidden: list[tuple[State, Choice]]) -> None:
    """Neither while it looks, nor while it shrinks what it found: a bound lets the exhaustive one shrink, too."""
    for scenario in (_refusable(), scenarios(algorithms="shipped-3.2.2", faults_at="reachable", crash=1)[0]):
        result = check(scenario, search=search, max_states=60)
        assert any(item.counterexample for item in result.decisions)
    assert [] == forbidden


def test_no_machine_does_what_may_not_happen(forbidden: list[tuple[State, Choice]]) -> None:
    """A Hypothesis machine neither, while Hypothesis shrinks."""
    with pytest.raises(CounterexampleError):
        run_state_machine_as_test(state_machine(_refusable()))
    assert [] == forbidden


@pytest.mark.parametrize("search", ["random", "pct"])
def test_shrinking_adds_no_fault(search: str) -> None:
    """A lost update needs none, though there may be two: the smallest schedule is found as by the exhaustive search."""
    scenario = evolve(bank(read_then_write), faults=FaultBudget(locked=2))
    smallest, shrunk = (check(scenario, search=one).decisions[0].counterexample for one in ("exhaustive", search))
    assert smallest is not None
    assert shrunk is not None
    assert (0, len(smallest.schedule)) == (shrunk.schedule.faults, len(shrunk.schedule))


_VERBS = {
    "read": "SELECT balance FROM account",
    "add": "UPDATE account SET balance = balance + 1",
    "double": "UPDATE account SET balance = balance * 2",
    "begin": "BEGIN",
    "immediate": "BEGIN IMMEDIATE",
    "savepoint": "SAVEPOINT s",
    "release": "RELEASE s",
    "commit": "COMMIT",
    "rollback": "ROLLBACK",
}


def _play(engine: Engine, verbs: tuple[str, ...]) -> list[str]:
    """Do what some verbs say, whatever comes of it, and tell what came."""
    connection = engine.raw_connection()
    told = []
    try:
        for verb in verbs:
            try:
                told.append(str(connection.cursor().execute(_VERBS[verb]).fetchall()))
            except sqlite3.OperationalError as error:
                told.append(str(error))
    finally:
        connection.close()
    return told


def _generated(programs: list[tuple[str, ...]], journal: str, faults: FaultBudget, faults_at: str) -> Scenario:
    database = Database(METADATA, seed, journal=journal)
    return Scenario(
        "generated",
        database,
        [Client(f"c{place}", partial(_play, database.engine, verbs)) for place, verbs in enumerate(programs)],
        [at_end("true", lambda _: True, name="true")],
        faults=faults,
        faults_at=faults_at,
    )


_PROGRAMS = st.lists(
    st.lists(st.sampled_from(sorted(_VERBS)), min_size=1, max_size=4).map(tuple), min_size=2, max_size=2
)
_BUDGETS = {"reachable": FaultBudget(1), "savepoint": FaultBudget(2), "statement": FaultBudget(1, 1)}


@settings(max_examples=10, deadline=None, database=None, derandomize=True, phases=[Phase.generate])
@given(
    _PROGRAMS,
    st.sampled_from(["wal", "delete"]),
    st.sampled_from(sorted(_BUDGETS)),
    st.sampled_from(["random", "pct"]),
    st.data(),
)
def test_what_sampling_meets_is_part_of_everything(
    programs: list[tuple[str, ...]], journal: str, faults_at: str, search: str, data: st.DataObject
) -> None:
    """Whatever end is looked for, and shrunk: nothing is met that the exhaustive search does not know."""
    scenario = _generated(programs, journal, _BUDGETS[faults_at], faults_at)
    everything = check(scenario)
    assert everything.exhausted
    balance = data.draw(st.sampled_from(_balances(scenario)))
    avoiding = evolve(
        scenario,
        properties=[at_end("never so", lambda view: view.rows("account")[0]["balance"] != balance, name="never")],
    )
    sampled = check(avoiding, search=search, max_executions=30)
    assert sampled.outcomes <= everything.outcomes
    example = sampled["never"].counterexample
    if example is not None:
        spent = [event.fault for event in example.trace.events if event.fault is not None]
        budget = _BUDGETS[faults_at]
        assert (spent.count(Fault.LOCKED), spent.count(Fault.CRASH)) <= (budget.locked, budget.crash)
        assert faults_at != "reachable" or all(event.reachable for event in example.trace.events)


def _balances(scenario: Scenario) -> list[int]:
    """Return the balances that executions end with."""
    found: set[int] = set()

    def note(view: View) -> bool:
        found.add(view.rows("account")[0]["balance"])
        return True

    check(evolve(scenario, properties=[at_end("noted", note, name="noted")]))
    return sorted(found)
