"""Text in the database that is no UTF-8: SQLite keeps it, and the driver reads it only as bytes."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import Engine, text

from treadle import Breach, Client, Database, Raised, Scenario, Verdict, View, at_end, check, replay
from treadle.report import render_replay, render_result

ODD = "CAST(x'636166e9' AS TEXT)"  # "café" in Latin-1


def create(engine: Engine) -> None:
    """Make two rows with such text, one of which has other text beside it."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE place (id INTEGER PRIMARY KEY, name TEXT, visits INTEGER)"))
        connection.execute(text(f"INSERT INTO place VALUES (1, {ODD}, 0), (2, 'caf' || char(233), 0)"))


def visit(engine: Engine) -> None:
    """Count in Python: an update may be lost."""
    with engine.begin() as connection:
        visits = connection.execute(text("SELECT visits FROM place WHERE id = 1")).scalar_one()
    with engine.begin() as connection:
        connection.execute(text("UPDATE place SET visits = :visits WHERE id = 1"), {"visits": visits + 1})
        connection.execute(text(f"INSERT INTO place (name, visits) VALUES ({ODD}, 0)"))


def look(engine: Engine) -> None:
    """Read the text: that is the client's error, as it is without a checker."""
    with engine.begin() as connection:
        connection.execute(text("SELECT name FROM place")).all()


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("live", [False, True])
def test_text_that_is_no_utf8_is_a_value(journal: str, live: bool) -> None:
    """With a lone surrogate for each byte that does not fit (PEP 383), also in rows that are put back."""
    database = Database(create, journal=journal)
    seen: set[tuple[object, ...]] = set()

    def keeps_count(view: View) -> list[Breach]:
        seen.update((row["id"], row["name"]) for row in view.rows("place"))
        place = view.rows("place")[0]
        return [Breach(place["name"], [("place", place)])] * (place["visits"] != len(view.returned()))

    clients = [Client(name, partial(visit, database.engine)) for name in "AB"]
    scenario = Scenario("place", database, clients, [at_end("every visit counts", keeps_count, name="counts")])
    result = check(scenario, live=live)
    assert Verdict.VIOLATED is result["counts"].verdict
    assert {(1, "caf\udce9"), (2, "café"), (3, "caf\udce9"), (4, "caf\udce9")} == seen
    found = result["counts"].counterexample
    assert found is not None
    trace = replay(scenario, found.schedule.token)
    assert {"counts"} == trace.breaches.keys()
    for report in (render_result(result), render_replay(trace, ["counts"], [], verbose=True)):
        assert "CAST(x'636166e9' AS TEXT)" in report
        assert report.encode()


def test_a_client_that_reads_it_gets_the_driver_s_error() -> None:
    """And the check goes on."""
    database = Database(create)
    raises = at_end("it raises", lambda view: isinstance(view.outcomes["A"], Raised), name="raises")
    scenario = Scenario("place", database, [Client("A", partial(look, database.engine))], [raises], may_fail=["A"])
    assert Verdict.HOLDS is check(scenario)["raises"].verdict
