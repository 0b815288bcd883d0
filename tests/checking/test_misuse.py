"""Checks that cannot run where they are called say so, and do nothing."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from sqlalchemy import Engine

from tests.checking.bank import add_in_place, bank
from treadle import Client, Scenario, TreadleError, UsageError, Verdict, check, replay, sometimes

CALLS: list[Callable[[Scenario], Any]] = [check, lambda scenario: replay(scenario, "t1.A3")]


@pytest.fixture(params=CALLS, ids=["check", "replay"])
def call(request: pytest.FixtureRequest) -> Callable[[Scenario], Any]:
    """Return what is called."""
    found: Callable[[Scenario], Any] = request.param
    return found


def _is_well() -> None:
    """Require that a check runs afterwards, as ever."""
    [decision] = check(bank(add_in_place)).decisions
    assert Verdict.HOLDS is decision.verdict


def test_in_another_thread(call: Callable[[Scenario], Any]) -> None:
    """A check may run in any thread: its clients have processes of their own."""
    ended: list[object] = []
    thread = threading.Thread(target=lambda: ended.append(call(bank(add_in_place))), name="worker 7")
    thread.start()
    thread.join()
    assert ended
    _is_well()


def test_in_a_running_event_loop(call: Callable[[Scenario], Any]) -> None:
    """The loop stands still meanwhile, and clients do not find it running."""
    scenario = bank(add_in_place)

    def own_loop() -> int:
        return asyncio.run(_add(scenario.database.engine))

    async def run() -> None:
        call(evolve(scenario, clients=[Client("A", own_loop)]))

    asyncio.run(run())
    _is_well()


async def _add(engine: Engine) -> int:
    return add_in_place(engine)


@pytest.mark.parametrize("catches", [False, True])
def test_from_a_client(call: Callable[[Scenario], Any], catches: bool) -> None:
    """The check that is under way ends with the error, whatever the client makes of it."""
    scenario = bank(add_in_place)

    def recurse() -> None:
        with contextlib.suppress(UsageError) if catches else contextlib.nullcontext():
            call(bank(add_in_place))

    with pytest.raises(UsageError, match="under way"):
        check(evolve(scenario, clients=[Client("A", recurse), Client("B", scenario.clients[0].run)]))
    _is_well()


def test_from_a_property(call: Callable[[Scenario], Any]) -> None:
    """Likewise."""
    recursive = sometimes("another check is done meanwhile", lambda view: bool(call(bank(add_in_place))))
    with pytest.raises(UsageError, match="under way"):
        check(evolve(bank(add_in_place), properties=[recursive]))
    _is_well()


def test_from_a_seed(call: Callable[[Scenario], Any]) -> None:
    """Likewise."""
    scenario = bank(add_in_place)
    scenario.database.seed = lambda engine: call(bank(add_in_place))
    with pytest.raises(UsageError, match="under way"):
        check(scenario)
    _is_well()


def test_at_once(call: Callable[[Scenario], Any]) -> None:
    """While one is under way in the main thread, another thread is told where it is."""
    scenario = bank(add_in_place)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call(bank(add_in_place))
        except TreadleError as error:
            raised.append(error)

    def look(view: object) -> bool:
        if not raised:
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
        return True

    [decision] = check(evolve(scenario, properties=[sometimes("somebody else looks", look)])).decisions
    assert Verdict.HOLDS is decision.verdict
    assert [UsageError] == [type(error) for error in raised]
