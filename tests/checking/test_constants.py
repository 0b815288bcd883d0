"""Constants: reads of what no client changes need no scheduling point, in WAL mode."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, insert

from treadle import Client, Database, Result, Scenario, View, at_end, check

METADATA = MetaData()
TABLES = [Table(name, METADATA, Column("id", Integer, primary_key=True), Column("v", Integer)) for name in ("t", "c")]

_kept: list[object] = []


def _seed(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in TABLES:
            connection.execute(insert(table).values(id=1, v=0))


def _driver(engine: Engine) -> Any:
    return engine.raw_connection()


def _read(driver: Any, table: str = "c") -> int:
    found: int = driver.cursor().execute(f"SELECT v FROM {table}").fetchall()[0][0]
    return found


def read(engine: Engine, times: int) -> list[int]:
    """Read the constant table again and again."""
    driver = _driver(engine)
    found = [_read(driver) for _ in range(times)]
    driver.close()
    return found


def write(engine: Engine, table: str = "t") -> None:
    """Write to a table."""
    driver = _driver(engine)
    driver.cursor().execute(f"UPDATE {table} SET v = v + 1")
    driver.commit()
    driver.close()


def write_if(engine: Engine) -> None:
    """Write to the constant table if another client has written to the other one."""
    driver = _driver(engine)
    written = _read(driver, "t")
    driver.close()
    if written:
        write(engine, "c")


def write_and_read(engine: Engine) -> list[int]:
    """Write to one table, and read the constant one twice."""
    write(engine, "t")
    return read(engine, 2)


def keep_open(engine: Engine) -> list[int]:
    """Write, leave a cursor on the constant table open, and read the other table twice."""
    write(engine, "t")
    driver = _driver(engine)
    cursor = driver.cursor().execute("SELECT v FROM c UNION ALL SELECT 1 UNION ALL SELECT 2")
    found = [cursor.fetchone()[0], _read(driver, "t")]
    cursor.close()
    found.append(_read(driver, "t"))
    driver.close()
    return found


def _scenario(*runs: Any, journal: str = "wal") -> Scenario:
    database = Database(METADATA, _seed, journal=journal)
    clients = [
        Client(chr(ord("A") + number), partial(run, database.engine, *arguments))
        for number, (run, *arguments) in enumerate(runs)
    ]

    def anything(view: View) -> bool:
        return bool(view.outcomes)

    return Scenario("constants", database, clients, [at_end("anything", anything, name="anything")])


def _both(scenario: Scenario) -> tuple[Result, Result]:
    """Return what is found with constants and without; all that happens must be the same."""
    with_, without = check(scenario), check(scenario, without=["constants"])
    assert without.outcomes == with_.outcomes
    assert with_.exhausted
    return with_, without


def test_reads_of_a_table_that_nobody_writes_are_local() -> None:
    """One reads six times and one writes: the reads are one stretch, which begins before or after the commit.

    The write and the commit are the writer's two scheduling points, and the reader's one stretch stands before,
    between or after them.
    """
    with_, without = _both(_scenario((read, 6), (write,)))
    assert 3 == with_.stats.schedules
    assert 28 == without.stats.schedules  # C(8, 2)


def test_reads_of_a_table_that_a_client_writes_are_not() -> None:
    """Each may come before or after the commit."""
    with_, without = _both(_scenario((read, 2), (write, "c")))
    assert without.stats.schedules == with_.stats.schedules
    assert {"[0, 0]", "[0, 1]", "[1, 1]"} == {
        value for value in ("[0, 0]", "[0, 1]", "[1, 1]") for item in with_.outcomes if f"A returned {value}" in item
    }


def test_a_table_that_is_written_in_a_rare_branch_is_no_constant() -> None:
    """Alone, the second client never writes it; when it is found to, the search starts over."""
    with_, _ = _both(_scenario((write_and_read,), (write_if,)))
    assert any("A returned [0, 1]" in item for item in with_.outcomes)


def test_a_read_whose_cursor_stays_open_is_not_local() -> None:
    """What is read in its snapshot tells when it was taken."""
    with_, _ = _both(_scenario((keep_open,), (write,)))
    seen = {
        value
        for value in ("[0, 1, 1]", "[0, 1, 2]", "[0, 2, 2]")
        for item in with_.outcomes
        if f"returned {value}" in item
    }
    assert {"[0, 1, 1]", "[0, 1, 2]", "[0, 2, 2]"} == seen


def test_a_begin_that_takes_the_write_lock_changes_no_table() -> None:
    """BEGIN IMMEDIATE names no table, and must not make all of them changeable."""

    def immediate(engine: Engine) -> None:
        driver = _driver(engine)
        driver.cursor().execute("BEGIN IMMEDIATE")
        driver.rollback()
        driver.close()

    with_, without = _both(_scenario((read, 3), (immediate,)))
    assert with_.stats.schedules < without.stats.schedules


@pytest.mark.parametrize("runs", [((read, 2), (write,)), ((keep_open,), (write,))])
def test_nothing_is_constant_in_a_rollback_journal(runs: Any) -> None:
    """There a reader bars a commit."""
    with_, without = _both(_scenario(*runs, journal="delete"))
    assert without.stats == _same_effort(with_, without)


def _same_effort(one: Result, other: Result) -> object:
    """Return the numbers of one result, but what differs from run to run as in another."""
    from attrs import evolve

    stats = other.stats
    return evolve(one.stats, seconds=stats.seconds, peak_rss_bytes=stats.peak_rss_bytes, live_runs=stats.live_runs)
