"""Processes that run their client again, and what tells that they must not."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from tests.checking.bank import add_in_place, bank, read_then_write
from treadle import Client, FaultBudget, NondeterminismError, Scenario, View, at_end, check
from treadle.execution.system import Known, System, less_known
from treadle.judge import Judge
from treadle.search.exhaustive import Exhaustive
from treadle.search.protocol import Limits
from treadle.values.errors import ChallengeError


def _with(client: Callable[[Any], object], *, clients: int = 2) -> Scenario:
    scenario = bank(read_then_write)
    engine = scenario.database.engine
    return evolve(scenario, clients=[Client(name, functools.partial(client, engine)) for name in "ABC"[:clients]])


def _cached() -> Callable[[Any], object]:
    @functools.cache
    def first(engine: Any) -> None:
        add_in_place(engine)

    def client(engine: Any) -> None:
        first(engine)
        add_in_place(engine)

    return client


def test_isolated_or_not_the_result_is_the_same() -> None:
    """States, schedules, ends, verdicts and counterexamples."""
    scenario = evolve(bank(read_then_write), faults=FaultBudget(locked=1, crash=1))
    results = [check(scenario, isolate=isolate) for isolate in (True, False, None)]
    assert 1 == len({result.stats.schedules for result in results})
    assert 1 == len({result.stats.states for result in results})
    tokens = [[item.counterexample and item.counterexample.schedule.token for item in one.decisions] for one in results]
    assert tokens[0] == tokens[1] == tokens[2]


def test_a_process_runs_its_client_again() -> None:
    """As long as nothing speaks against it, there are fewer processes than runs."""
    with System(evolve(bank(read_then_write), faults=FaultBudget(locked=1))) as system:
        judge = Judge(system.scenario, system.sequel, system.serial)
        Exhaustive(system.symmetry).explore(system.product, judge, Limits())
        assert len(system.scenario.clients) == system.processes < system.live_runs


def test_what_a_first_run_leaves_starts_the_check_over() -> None:
    """Each process adds twice, and one that has run before would add once."""
    scenario = evolve(
        _with(_cached()), properties=[at_end("four", lambda view: view.rows("account")[0]["balance"] == 4, name="four")]
    )
    assert check(scenario)["four"].verdict == "holds"
    with pytest.raises(NondeterminismError):
        check(scenario, isolate=False)


def test_clients_that_have_served_a_request_before_are_warm() -> None:
    """Each has added to a database of its own what it adds once."""
    two = at_end("two", lambda view: view.rows("account")[0]["balance"] == 2, name="two")
    scenario = evolve(_with(_cached()), properties=[two], warm=True)
    assert check(scenario)["two"].verdict == "holds"


def test_what_differs_on_one_way_only_is_found_by_a_fresh_process() -> None:
    """A client that is refused remembers it; a fresh one has nothing to remember."""
    refused: list[int] = []

    def client(engine: Any) -> object:
        try:
            add_in_place(engine)
        except Exception:
            refused.append(1)
            raise
        if refused:
            return "remembers"
        return None

    never = at_end("nobody remembers", lambda view: "remembers" not in view.returned().values(), name="never")
    scenario = evolve(_with(client, clients=1), properties=[never], faults=FaultBudget(locked=1))
    assert check(scenario)["never"].verdict == "holds"


@pytest.mark.parametrize("leaves", ["a thread", "an event loop"])
def test_who_leaves_something_running_has_fresh_processes(leaves: str) -> None:
    """What is left there is nothing to the next run."""
    kept: list[asyncio.AbstractEventLoop] = []

    def wait() -> None:
        threading.Event().wait()

    def client(engine: Any) -> object:
        if leaves == "a thread":
            threading.Thread(target=wait, daemon=True).start()
        else:
            kept.append(asyncio.new_event_loop())
        return add_in_place(engine)

    assert check(_with(client)).exhausted
    with pytest.raises(NondeterminismError, match="left threads or an event loop behind"):
        check(_with(client), isolate=False)


def test_a_loop_that_is_closed_is_nothing_left() -> None:
    """The process runs its client again."""

    def client(engine: Any) -> object:
        asyncio.run(asyncio.sleep(0))
        return add_in_place(engine)

    assert check(_with(client), isolate=False).exhausted


def test_a_client_that_does_not_let_go_is_run_in_another_process() -> None:
    """It catches what gives a run up, and goes on."""

    def client(engine: Any) -> object:
        while True:
            try:
                return add_in_place(engine)
            except BaseException as error:
                if isinstance(error, Exception):
                    raise

    @at_end("someone returns", name="returns")
    def returns(view: View) -> bool:
        return bool(view.returned())

    scenario = evolve(_with(client), properties=[returns], faults=FaultBudget(locked=1))
    assert check(scenario)["returns"].verdict == "holds"


def test_nothing_is_left_when_a_system_ends() -> None:
    """No process of a client outlives its scenario, wherever it stands."""
    with System(bank(read_then_write), Known(isolated=True)) as system:
        system.product.root()
        assert system.processes
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_what_one_challenge_of_many_has_found_is_challenged_as_often_again() -> None:
    """Otherwise a mistake that the default number of challenges does not show would be absorbed."""
    error = ChallengeError("t1.A1", "rows", "A1", "why")
    error.count = 77
    known = less_known(Known(), error)
    assert (True, 77) == (known.isolated, known.challenges)
    with pytest.raises(ChallengeError):
        less_known(known, error)
