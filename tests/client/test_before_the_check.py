"""What an application had running before the check: it stays in the process that checks."""

from __future__ import annotations

import functools
import sys
import threading
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from attrs import evolve
from sqlalchemy import Engine

from tests.checking.bank import add_in_place, bank, read_then_write
from treadle import Client, Scenario, check


def _asks(ask: Callable[[Engine], object]) -> Scenario:
    scenario = bank(read_then_write)
    run = functools.partial(ask, scenario.database.engine)
    return evolve(scenario, clients=[Client(name, run) for name in ("A", "B")], max_step_s=1.0)


def test_a_pool_of_threads_that_was_used_works_in_a_client() -> None:
    """Its threads stayed behind, and it starts others."""
    with ThreadPoolExecutor(1) as pool:
        assert 1 == pool.submit(abs, -1).result()
        result = check(_asks(lambda engine: pool.submit(add_in_place, engine).result()))
        assert 2 == pool.submit(abs, -2).result()

    assert ["holds"] * len(result.decisions) == [decision.verdict.value for decision in result.decisions]
    assert result.exhausted


def test_a_thread_that_a_client_waits_for_in_vain_is_named() -> None:
    """A worker that was started before is in no client's process."""
    asked, answered, over = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        asked.wait()
        over.wait()

    def ask(engine: Engine) -> None:
        asked.set()
        answered.wait()
        add_in_place(engine)

    worker = threading.Thread(target=work, name="started-early")
    worker.start()
    result = check(_asks(ask))
    asked.set()
    over.set()
    worker.join()

    assert {"inconclusive"} == {decision.verdict.value for decision in result.decisions}
    assert all("started-early" in decision.why for decision in result.decisions)


class _Foreign:
    """What says that it is a module, and is none: nothing can refer to it weakly, as to cffi's libraries."""

    __slots__ = ("__dict__", "counter")

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return types.ModuleType


def test_what_only_says_that_it_is_a_module_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages put such things into sys.modules."""
    monkeypatch.setitem(sys.modules, "foreign.lib", _Foreign())
    assert check(_asks(add_in_place)).exhausted
