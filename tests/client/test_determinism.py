"""What is the same for a client in each run, by whatever name it is called, and what is said where it is not."""

from __future__ import annotations

import os
import random
import sqlite3
import ssl
import sys
import types
from collections.abc import Callable, Iterator
from functools import partial
from os import urandom
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from sqlalchemy import Engine, text

from tests.checking.bank import bank, read_then_write
from treadle import ChallengeError, Client, NondeterminismError, Verdict, at_end, check
from treadle.client.loading import loading
from treadle.report import render_result
from treadle.values.origin import ADDRESS, TIME, Source
from treadle.world.library import library_of

_draw_under_another_name = urandom


def _noting(make: Callable[[], object], engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO account (id, balance) VALUES (:id, 1)"), {"id": make()})


def _scenario(make: Callable[[], object]) -> Any:
    scenario = bank(read_then_write)
    two = at_end("each client has an id of its own", lambda view: len(view.rows("account")) == 3, name="apart")
    clients = [Client(name, partial(_noting, make, scenario.database.engine)) for name in ("Ann", "Bob")]
    return evolve(scenario, clients=clients, properties=[two])


@pytest.mark.parametrize(
    "draw",
    [partial(_draw_under_another_name, 6), partial(os.getrandom, 6), partial(ssl.RAND_bytes, 6)],
    ids=["urandom", "getrandom", "ssl"],
)
def test_random_bytes_are_the_clients_own_by_any_name(draw: Callable[[], bytes]) -> None:
    """Also where a package has imported the function by itself: the same in each run, others in each client."""
    assert check(_scenario(lambda: int.from_bytes(draw())))["apart"].verdict is Verdict.HOLDS


def test_a_generator_that_a_module_has_made_is_another_in_each_process() -> None:
    """Where it was given no seed; where it was, each process draws the same."""
    with loading(library_of(sqlite3.dbapi2).refuse_attach):
        by_system, by_seed = random.Random(), random.Random(5)
    assert check(_scenario(lambda: by_system.getrandbits(40)))["apart"].verdict is Verdict.HOLDS
    assert check(_scenario(lambda: by_seed.getrandbits(40)))["apart"].verdict is Verdict.VIOLATED


_IDS = """
import time

_last = None
_made = 0

def make():
    global _last, _made
    now = time.time_ns()
    if _last is not None and now <= _last:
        now = _last + 1
    _last = now
    _made += 1
    return now // 1000 % 10**6 + _made * 10**7
"""


@pytest.fixture
def ids() -> Iterator[Any]:
    """A module of a third party that makes ids, and remembers the last one."""
    module = types.ModuleType("ids_of_a_third_party")
    exec(_IDS, vars(module))  # noqa: S102  # it is above
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


def test_what_a_module_remembers_of_its_last_id_does_not_outlive_a_run(ids: Any) -> None:
    """So a process can run its client again: with ``isolate=False`` it must."""
    scenario = _scenario(ids.make)
    assert check(scenario, isolate=False).exhausted
    warm = evolve(scenario, warm=True)
    assert check(warm, isolate=False).exhausted


def _source(error: NondeterminismError) -> Source | None:
    assert error.difference is not None
    return error.difference.source


def test_a_time_that_no_clock_of_python_tells_is_called_one(tmp_path: Path) -> None:
    """Of the value that differs, it is said what it looks like."""
    file = tmp_path / "written"

    def written() -> int:
        file.write_text("")
        return file.stat().st_mtime_ns

    with pytest.raises(NondeterminismError) as caught:
        check(_scenario(written))
    assert TIME is _source(caught.value)


@pytest.mark.parametrize(("learned", "live", "source"), [(2**44, 2**44 + 64, ADDRESS), (10, 2**50, None)])
def test_an_address_that_only_a_challenge_shows_is_called_one(learned: int, live: int, source: Source | None) -> None:
    """Where the gate is, objects are elsewhere; what looks like no address is still a mistake of the search."""
    scenario = bank(read_then_write)
    engine = scenario.database.engine

    def client() -> None:
        with engine.begin() as connection:
            opened = type(connection.connection.dbapi_connection).__name__
            number = learned if opened == "GateConnection" else live
            connection.execute(text("UPDATE account SET balance = :number"), {"number": number})

    with pytest.raises((NondeterminismError, ChallengeError)) as caught:
        check(evolve(scenario, clients=[Client("Ann", client)]))
    found = getattr(caught.value, "difference", None)
    assert source is (found and found.source)


@pytest.mark.parametrize("ends", ["returns", "raises"])
def test_a_client_that_ran_nothing_says_how_it_ended(ends: str) -> None:
    """With its exception, if it raised one; and the reason stands once in a report."""

    def client() -> int:
        if ends == "raises":
            raise FileNotFoundError("settings.ini")
        return 12345

    scenario = bank(read_then_write)
    properties = [*scenario.properties, at_end("nothing", lambda view: True, name="nothing")]
    clients = [*scenario.clients, Client("Cleo", client)]
    result = check(evolve(scenario, clients=clients, properties=properties, faults=evolve(scenario.faults, locked=0)))
    why = result["nothing"].why
    assert ("FileNotFoundError: settings.ini" if ends == "raises" else "12345") in why
    assert 1 >= render_result(result).count("no statement")
