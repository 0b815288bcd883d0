"""Forked continuations change the cost of a check, and nothing else."""

from __future__ import annotations

import contextlib
import os
import random
import select
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import evolve
from sqlalchemy import Engine, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from properties.backfill import scenarios
from tests.checking.bank import Account, add_in_place, bank, read_then_write
from treadle import FaultBudget, Raised, Result, Returned, Scenario, UnsupportedOperationError, View, always, check
from treadle.client.coroutine import Coroutine
from treadle.client.forked import Forked, can_fork, wait_for_ended
from treadle.client.tree import Tree
from treadle.execution import system
from treadle.judge import Judge
from treadle.search.protocol import Limits
from treadle.search.sweep import Sweep
from treadle.values.operation import Operation


@pytest.fixture
def trees(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Tree]]:
    """Let clients fork wherever there is a reason to, give the trees, and see that no process is left."""
    if not can_fork():
        pytest.skip("this process has several threads, or this platform has no fork")
    made: list[Tree] = []

    def make(*arguments: Any, **options: Any) -> Tree:
        made.append(Tree(*arguments, **options, fork_depth=0))
        return made[-1]

    monkeypatch.setattr(system, "Tree", make)
    ours, theirs = os.pipe()  # which every process that is forked here has open until it ends
    yield made
    os.close(theirs)
    assert select.select([ours], [], [], 0)[0], "some process is left"
    os.close(ours)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def _facts(result: Result) -> tuple[object, ...]:
    decided = [
        (item.property.name, item.verdict, item.why, item.counterexample and item.counterexample.schedule.token)
        for item in result.decisions
    ]
    stats = result.stats
    return (decided, result.exhausted, stats.states, stats.transitions, stats.schedules, result.outcomes)


def _refused(run: Callable[..., object], *more: Any) -> Scenario:
    """Return a scenario in which one client may be refused a lock anywhere."""
    scenario = bank(run, clients=1)
    return evolve(
        scenario,
        properties=[*scenario.properties, *more],
        faults=FaultBudget(locked=1),
        faults_at="statement",
    )


@pytest.mark.parametrize("algorithm", ["shipped-3.2.2", "shipped-3.3.2", "flush", "staged"])
def test_a_sweep_finds_the_same(trees: list[Tree], monkeypatch: pytest.MonkeyPatch, algorithm: str) -> None:
    """Verdicts, states, schedules and outcomes are those of a sweep that replays."""
    scenario = scenarios(algorithms=algorithm, requests=1, runs=3, locked=1)[0]
    result = check(scenario, search="sweep")

    assert _facts(check(scenario, without=["fork"], search="sweep")) == _facts(result)
    assert sum(tree.forks for tree in trees) > 0


@pytest.mark.parametrize("search", ["exhaustive", "random", "pct", "sweep"])
@pytest.mark.parametrize("clients", [1, 2])
def test_every_search_finds_the_same(
    trees: list[Tree], monkeypatch: pytest.MonkeyPatch, search: str, clients: int
) -> None:
    """Whatever the policy, and however many clients there are."""
    del trees
    scenario = evolve(
        bank(read_then_write, clients=clients), faults=FaultBudget(locked=1, crash=1), faults_at="statement"
    )
    options: dict[str, Any] = {"search": search}

    assert _facts(check(scenario, without=["fork"], **options)) == _facts(check(scenario, **options))


def draw(engine: Engine) -> list[float]:
    """Draw numbers before and after a statement, whether that is refused or not."""
    drawn = [random.random()]  # the point of the test
    with Session(engine) as session:
        try:
            session.execute(update(Account).values(balance=Account.balance + 1))
            session.commit()
        except OperationalError:
            time.sleep(5)
            drawn.append(time.time())
    return [*drawn, random.random()]  # the point of the test


def test_randomness_and_clock_go_on(trees: list[Tree], monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy draws what a replay would draw, though forking reseeds a process."""
    result = check(_refused(draw), search="sweep")

    assert _facts(check(_refused(draw), without=["fork"], search="sweep")) == _facts(result)
    assert sum(tree.forks for tree in trees) > 0


def open_another(engine: Engine) -> None:
    """Open an account with a random number when a lock is refused."""
    try:
        add_in_place(engine)
    except OperationalError:
        with Session(engine) as session:
            session.add(Account(id=random.randrange(2, 10**9), balance=1))
            session.commit()


def test_what_a_copy_draws_is_noticed(trees: list[Tree]) -> None:
    """Random sources are seeded with the names of clients: interchangeable ones would draw the same."""
    scenario = _refused(open_another)
    with system.System(scenario) as checked, checked.active() as surroundings:
        Sweep(clients=1, faults=1).explore(checked.product, Judge(scenario, checked.sequel, checked.serial), Limits())

        assert trees[-1].forks == trees[-1].live_runs - 1 > 0
        assert surroundings.drew_randomness()


class Local:
    """A value that cannot leave its process."""

    def __repr__(self) -> str:
        """Return what all of them have in common."""
        return "Local()"

    def __reduce__(self) -> tuple[Any, ...]:
        """Refuse."""
        raise TypeError("this stays here")


def unsendable(engine: Engine) -> object:
    """Return something that cannot be pickled when a lock is refused."""
    try:
        return add_in_place(engine)
    except OperationalError:
        return Local()


def register(engine: Engine) -> object:
    """Register a function when a lock is refused."""
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("UPDATE account SET balance = balance + 1")
        connection.commit()
    except sqlite3.OperationalError:
        connection.rollback()
        driver = connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.create_function("answer", 0, lambda: 42)
        return driver.execute("SELECT answer()").fetchone()
    finally:
        connection.close()
    return 1


@pytest.mark.parametrize("run", [unsendable, register])
def test_what_cannot_be_sent_is_replayed(
    trees: list[Tree], monkeypatch: pytest.MonkeyPatch, run: Callable[[Engine], object]
) -> None:
    """A value or a function that only the copy has is found again in the process itself."""
    seen: list[object] = []

    def note(view: View) -> bool:
        seen.extend(end.value for end in view.outcomes.values() if isinstance(end, Returned))
        return True

    scenario = _refused(run, always("outcomes are noted", note, name="noted"))
    result = check(scenario, search="sweep")
    values = {type(value) for value in seen}

    assert {int, Local if run is unsendable else tuple} == values
    assert sum(tree.forks for tree in trees) > 0
    assert _facts(check(scenario, without=["fork"], search="sweep")) == _facts(result)


def chained(engine: Engine) -> None:
    """Raise from what the database raised."""
    try:
        add_in_place(engine)
    except OperationalError as error:
        raise RuntimeError("gave up") from error


def grouped(engine: Engine) -> None:
    """Raise a group that has such an exception in it."""
    try:
        chained(engine)
    except RuntimeError as error:
        raise ExceptionGroup("several", [error]) from None


@pytest.mark.parametrize("run", [chained, grouped])
def test_exceptions_keep_their_causes(run: Callable[[Engine], None], trees: list[Tree]) -> None:
    """What a property sees of an exception is what was raised, with its chain, also in a group."""
    causes: list[BaseException | None] = []

    def note(view: View) -> bool:
        ends = [end.exception for end in view.outcomes.values() if isinstance(end, Raised)]
        raised = [end.exceptions[0] if isinstance(end, ExceptionGroup) else end for end in ends]
        causes.extend(error.__cause__ for error in raised)
        return True

    check(_refused(run, always("causes are noted", note, name="noted")), search="sweep")

    assert sum(tree.forks for tree in trees) > 0
    assert causes
    for cause in causes:
        assert isinstance(cause, OperationalError)
        assert isinstance(cause.orig, sqlite3.OperationalError)
        assert sqlite3.SQLITE_BUSY == cause.orig.sqlite_errorcode


def spin(engine: Engine) -> None:
    """Compute for ever when a lock is refused."""
    try:
        add_in_place(engine)
    except OperationalError:
        while True:
            pass


def test_a_copy_that_computes_for_ever_is_stuck(trees: list[Tree], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended, and the check says so as it does without copies."""
    scenario = evolve(_refused(spin), max_step_s=0.3)
    result = check(scenario, search="sweep")

    assert "computed for more than 0.3 s" in result.decisions[0].why
    assert check(scenario, without=["fork"], search="sweep").decisions[0].why == result.decisions[0].why
    assert sum(tree.forks for tree in trees) > 0


def misuse(engine: Engine) -> None:
    """Ask for what the gate cannot carry when a lock is refused."""
    try:
        add_in_place(engine)
    except OperationalError:
        with contextlib.closing(engine.raw_connection()) as connection:
            assert isinstance(connection.driver_connection, sqlite3.Connection)
            connection.driver_connection.iterdump()


def test_errors_of_the_check_come_out(trees: list[Tree]) -> None:
    """A misuse in a copy ends the check with its own error."""
    with pytest.raises(UnsupportedOperationError, match="iterdump"):
        check(_refused(misuse), search="sweep")
    assert sum(tree.forks for tree in trees) > 0


def vanish(engine: Engine) -> int:
    """Leave a copy, and no other process, without a word."""
    here = os.getpid()
    try:
        return add_in_place(engine)
    except OperationalError:
        if os.getpid() != here:
            os._exit(1)
        return 0


def test_a_copy_that_dies_is_replayed(trees: list[Tree], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ended it."""
    result = check(_refused(vanish), search="sweep")

    assert _facts(check(_refused(vanish), without=["fork"], search="sweep")) == _facts(result)
    assert sum(tree.forks for tree in trees) > 0


def test_a_run_that_has_ended_leaves_its_copies_alone(trees: list[Tree]) -> None:
    """It is waited for when they have been told to end, too, and not before."""
    del trees
    scenario = _refused(add_in_place)
    with (
        system.System(scenario) as checked,
        checked.active() as surroundings,
        contextlib.closing(checked._make_world()) as world,
    ):
        run = Coroutine(scenario.clients[0], surroundings)
        stop = run.resume()
        while isinstance(stop, Operation) and stop.sql is None:  # what comes first is to register functions
            stop = run.resume(world.perform((0, stop.connection), stop).observation)
        original = Forked.of(run, surroundings)
        run.abandon()
        copy = original.copy()
        seen = []
        while isinstance(stop, Operation):
            seen.append(world.perform((0, stop.connection), stop).observation)
            stop = original.resume(seen[-1])
        wait_for_ended()
        ends = [copy.resume(observation) for observation in seen]
        wait_for_ended()

        assert isinstance(ends[-1], Returned)
        assert ends[-1] == stop


def test_several_threads_are_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that another thread holds would stay locked in a copy."""
    monkeypatch.setattr(threading, "active_count", lambda: 2)

    assert not can_fork()
