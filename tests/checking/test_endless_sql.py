"""SQL without an end is interrupted, and named."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from attrs import evolve
from sqlalchemy import Engine

from tests.checking.bank import add_in_place, bank
from treadle import Client, Result, Scenario, StuckClientError, Verdict, check, replay
from treadle.world.library import library_of
from treadle.world.patience import Timer

_COUNTS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
_JOINS = "WITH t (i) AS (SELECT value FROM json_each(?)) SELECT count(*) FROM t a, t b, t c, t d, t e"
_WRITES = "INSERT INTO account WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT 2 FROM n) SELECT max(i), 0 FROM n"


def _execute(engine: Engine, sql: str, arguments: tuple[object, ...] = ()) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(sql, arguments)


def _fetch_all(engine: Engine) -> None:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(_COUNTS.replace("count(*) FROM n", "i FROM n WHERE i % 10000 = 1"))
        rows.fetchmany(3)
        rows.fetchall()


def _script(engine: Engine) -> None:
    raw = engine.raw_connection()
    raw.cursor().executescript(f"SELECT 1; {_COUNTS}; SELECT 2")


def _many(engine: Engine) -> None:
    raw = engine.raw_connection()
    sql = _WRITES.replace("SELECT 2 UNION", "SELECT ? UNION")
    raw.cursor().executemany(sql, [(5,), (6,)])


def _with_endless(run: Callable[..., object], *arguments: object) -> Scenario:
    scenario = bank(add_in_place)
    engine = scenario.database.engine
    clients = [Client("Ann", partial(add_in_place, engine)), Client("Bea", partial(run, engine, *arguments))]
    return evolve(scenario, clients=clients, max_step_s=0.3)


def _whys(result: Result) -> str:
    [decision] = result.decisions
    assert Verdict.INCONCLUSIVE is decision.verdict
    return decision.why


@pytest.mark.parametrize(
    ("run", "shown"),
    [
        (partial(_execute, sql=_COUNTS), "count(*) FROM n"),
        (lambda engine: _execute(engine, _JOINS, (str(list(range(1000))),)), "t e"),
        (partial(_execute, sql=_WRITES), "INSERT INTO account"),
        (_fetch_all, "a statement that was begun before"),
        (_script, "count(*) FROM n"),
        (_many, "INSERT INTO account"),
    ],
)
def test_a_statement_without_end_is_named(run: Callable[..., object], shown: str) -> None:
    """Client and statement are, after some seconds, wherever SQLite computes."""
    began = time.perf_counter()
    why = _whys(check(_with_endless(run)))
    assert "client 'Bea'" in why
    assert shown in why
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize(
    "options", [{"live": True}, {"reduction": False}, {"workers": 2}, {"search": "random"}], ids=str
)
def test_every_search_ends(options: dict[str, Any]) -> None:
    """What is learned, and what is run live."""
    assert "client 'Bea'" in _whys(check(_with_endless(_execute, _COUNTS), **options))


def test_a_replay_ends() -> None:
    """Whoever replays is told in the same words."""
    with pytest.raises(StuckClientError, match="client 'Bea'"):
        replay(_with_endless(_execute, _COUNTS), "t1.A3.B9")


def test_what_ends_in_time_is_not_disturbed() -> None:
    """Many statements, each of them short, are not one long one; nor is one that computes for a while."""
    scenario = bank(add_in_place, clients=1)
    engine = scenario.database.engine
    long = _COUNTS.replace("FROM n)", "FROM n LIMIT 1000000)")

    def work() -> int:
        for _ in range(3):
            _execute(engine, long)
        return add_in_place(engine)

    one_s = evolve(scenario, clients=[Client("A", work)], max_step_s=1.0)
    assert {Verdict.HOLDS} == {decision.verdict for decision in check(one_s).decisions}


def test_an_interrupt_is_not_lost_in_sqlite() -> None:
    """Ctrl-C while SQLite computes ends the statement, and is raised behind it."""
    import sqlite3

    def interrupted() -> float:
        raise KeyboardInterrupt

    real = sqlite3.connect(":memory:")
    timer = Timer(real, library_of(sqlite3), 60.0)
    timer.begin()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("treadle.world.patience.time.perf_counter", interrupted)
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            real.execute(_COUNTS).fetchall()
    with pytest.raises(KeyboardInterrupt):
        timer.end()
    timer.end()
    real.close()
