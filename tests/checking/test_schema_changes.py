"""Clients that change the schema."""

from __future__ import annotations

from functools import partial

from attrs import evolve
from sqlalchemy import Engine

from tests.checking.bank import bank, read_then_write
from treadle import Client, Verdict, View, at_end, check


def _create_and_fill(engine: Engine) -> None:
    """Create a table if it is not there, and write to it through a statement that also compiled before."""
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS extra (id INTEGER PRIMARY KEY, note TEXT)")
        connection.exec_driver_sql("INSERT INTO extra (note) VALUES ('x')")
        connection.exec_driver_sql("UPDATE account SET balance = balance + 1")


def _rows(view: View) -> bool:
    return bool(len(view.rows("extra")) == view.rows("account")[0]["balance"] == len(view.returned()))


def test_what_a_client_creates_is_there_for_the_others() -> None:
    """Two clients create the same table; both rows are there in the end, live and learned."""
    scenario = bank(_create_and_fill)
    engine = scenario.database.engine
    clients = [Client(name, lambda: _create_and_fill(engine)) for name in "AB"]
    scenario = evolve(scenario, clients=clients, properties=[at_end("both wrote", _rows, name="both-wrote")])
    learned, live = check(scenario), check(scenario, live=True, max_executions=200)
    assert Verdict.HOLDS is learned["both-wrote"].verdict
    assert live["both-wrote"].counterexample is None
    assert learned.outcomes >= live.outcomes


def _create_and_drop(engine: Engine) -> None:
    """Create a table, and drop it again."""
    with engine.connect() as connection:
        for statement in ("CREATE TABLE extra (note TEXT)", "DROP TABLE extra"):
            connection.exec_driver_sql(statement)
            connection.commit()


def test_a_snapshot_under_a_schema_that_is_gone() -> None:
    """One client reads while another one's table is there, and writes when the schema is as before."""
    scenario = bank(read_then_write, transactions="begin")
    clients = [scenario.clients[0], Client("B", partial(_create_and_drop, scenario.database.engine))]
    scenario = evolve(scenario, clients=clients)
    learned, live = check(scenario), check(scenario, live=True, max_executions=200)
    assert learned.exhausted
    assert learned.outcomes >= live.outcomes
