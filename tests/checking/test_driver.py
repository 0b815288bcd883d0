"""Another driver than Python's own: the same interface, and another SQLite."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from treadle import Client, Database, Scenario, Verdict, check, serial_equivalence

pysqlite3: Any = pytest.importorskip("pysqlite3")


def _create(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY, v)"))
        connection.execute(text("INSERT INTO t VALUES (1, 10)"))


def _engine() -> Engine:
    return create_engine("sqlite:////nowhere/application.db", module=pysqlite3)


def _check(run: Any, engine: Engine) -> Any:
    clients = [Client("A", run), Client("B", run)]
    return check(Scenario("driver", Database(_create, engine=engine), clients, [serial_equivalence()]))


def test_sqlalchemy_s_module_is_what_runs() -> None:
    """A lost update is found on the SQLite of the driver that the engine names."""
    engine = _engine()

    def sell() -> None:
        with engine.begin() as connection:
            value = connection.execute(text("SELECT v FROM t")).scalar_one()
            connection.execute(text("UPDATE t SET v = :v"), {"v": value - 1})

    result = _check(sell, engine)
    assert Verdict.VIOLATED is result["serial-equivalence"].verdict
    assert pysqlite3.sqlite_version == result.sqlite_version


def test_its_own_connections_lead_to_the_checked_database() -> None:
    """As those of ``sqlite3`` do; and its errors are its own."""
    engine = _engine()

    def add() -> str:
        connection = pysqlite3.connect("/nowhere/application.db")
        try:
            connection.execute("UPDATE t SET nothing = 1")
        except pysqlite3.OperationalError:
            connection.execute("UPDATE t SET v = v + 1")
        connection.commit()
        connection.close()
        return "added"

    result = _check(add, engine)
    assert Verdict.HOLDS is result["serial-equivalence"].verdict
    assert 0 < result.stats.challenges
