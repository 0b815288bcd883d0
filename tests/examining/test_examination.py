from __future__ import annotations

import asyncio
import datetime as dt
import functools
import importlib
import os
import random
import secrets
import sqlite3
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from treadle import Client, Database, Scenario, cli, serial_equivalence
from treadle.examining.examination import Examination, examine
from treadle.examining.text import render_examination

WIDTH = 100
seen_before: list[int] = []


def schema(engine: object) -> None:
    """Make one table with one row."""
    with engine.begin() as connection:  # type: ignore[attr-defined]  # an engine
        connection.execute(text("CREATE TABLE item (id INTEGER PRIMARY KEY, stock INTEGER)"))
        connection.execute(text("INSERT INTO item VALUES (1, 10)"))


@functools.cache
def database(transactions: str = "legacy") -> Database:
    """Return a database of its own for each way in which transactions begin."""
    return Database(schema, transactions=transactions)


def sells(kind: str = "legacy") -> None:
    """Read, and write."""
    with database(kind).engine.begin() as connection:
        connection.execute(text("SELECT stock FROM item")).fetchall()
        connection.execute(text("UPDATE item SET stock = stock - 1"))


def draws() -> None:
    """Ask for all that differs from run to run."""
    random.randint(1, 6)
    uuid.uuid4()
    secrets.token_hex()
    os.urandom(2)
    time.time()
    dt.datetime.now(tz=dt.UTC)
    os.getpid()


def starts() -> None:
    """Start a thread and an event loop, remember something, and run a PRAGMA."""
    thread = threading.Thread(target=str)
    thread.start()
    thread.join()
    asyncio.run(asyncio.sleep(3))
    importlib.import_module("model.backfill")
    seen_before.append(1)
    with database("legacy").engine.connect() as connection:
        connection.execute(text("PRAGMA foreign_keys = ON"))


def raises() -> None:
    """Fail."""
    raise ValueError("no")


def connects_elsewhere() -> None:
    """Connect to another file."""
    sqlite3.connect("/tmp/other.db")  # noqa: S108  # it is refused


def examined(*functions: object, kind: str = "legacy") -> Examination:
    """Examine functions."""
    clients = [Client(f"client {number}", run) for number, run in enumerate(functions)]  # type: ignore[arg-type]  # functions
    return examine(Scenario("examined", database(kind), clients, [serial_equivalence()]))


def test_what_differs_from_run_to_run_is_named_with_who_asks() -> None:
    """Each source is told by the function that the application calls, and where it does; SQLAlchemy's own is not."""
    sight = examined(draws).patients[0].sight
    assert sight is not None
    asked = {(one.source, one.what) for one in sight.asked}

    expected = {
        ("randomness", "random.randint"),
        ("randomness", "uuid.uuid4"),
        ("randomness", "secrets.token_hex"),
        ("randomness", "os.urandom"),
        ("clock", "time.time"),
        ("clock", "datetime.now"),
        ("identity", "os.getpid"),
    }
    assert expected == asked
    assert {Path(__file__).name} == {one.where.partition(":")[0] for one in sight.asked}


def test_what_runs_in_the_process_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads, loops, PRAGMAs, and what of the module's globals has changed."""
    monkeypatch.delitem(sys.modules, "model.backfill", raising=False)  # other tests may have imported it
    patient = examined(starts).patients[0]
    sight = patient.sight
    assert sight is not None, patient.stopped

    assert (1, 1, ("PRAGMA foreign_keys = ON",)) == (sight.threads, sight.loops, patient.pragmas)
    assert f"{__name__}.seen_before" in sight.changed
    assert "model.backfill" in sight.imported
    assert not seen_before


def test_nothing_is_told_of_a_client_that_does_nothing_of_it() -> None:
    """A client that reads and writes draws on nothing, starts nothing and remembers nothing."""
    patient = examined(sells).patients[0]
    sight = patient.sight
    assert sight is not None
    assert patient.noted is not None

    assert ((), 0, 0, 0, (), "") == (
        sight.asked, sight.threads, sight.loops, sight.engines, sight.changed, sight.raised
    )  # fmt: skip
    assert (1, (5.0,), True) == (patient.connections, patient.timeouts_s, patient.noted.changes)


KINDS = ["legacy", "begin", "immediate", *(["autocommit-off"] if sys.version_info >= (3, 12) else [])]


def test_the_first_use_of_mapped_classes_is_seen() -> None:
    """SQLAlchemy configures mappers when they are used first, which a client may be the first to do."""

    class Base(DeclarativeBase):
        pass

    class Item(Base):
        __tablename__ = "item"
        id: Mapped[int] = mapped_column(primary_key=True)

    def uses() -> None:
        with Session(database("legacy").engine) as session:
            session.get(Item, 1)

    sights = [patient.sight for patient in examined(uses, sells).patients]

    assert [True, False] == [sight.configures for sight in sights if sight is not None]


@pytest.mark.parametrize("kind", KINDS)
def test_how_transactions_begin_is_seen(kind: str) -> None:
    """The way is read off what a client does, and not off what the scenario says."""
    assert kind == examined(functools.partial(sells, kind), kind=kind).patients[0].transactions


def test_what_cannot_be_run_is_said() -> None:
    """A client that fails is told from one that cannot be run, and one does not keep the other from being seen."""
    examination = examined(raises, connects_elsewhere, sells)
    failing, stopped, fine = examination.patients

    assert failing.sight is not None
    assert ("ValueError: no", "", "") == (failing.sight.raised, failing.stopped, fine.stopped)
    assert "other.db" in stopped.stopped
    assert examination.estimate is None
    assert "other.db" in render_examination(examination, width=WIDTH)


def test_the_estimate_grows_with_clients_and_faults() -> None:
    """States multiply; two clients with three points each stand in 4 * 4 = 16 places."""
    one, two = examined(sells).estimate, examined(sells, sells).estimate
    assert one is not None
    assert two is not None

    assert (4, 16) == (one.states, two.states)
    assert two.least_s <= two.most_s


def test_the_command_takes_functions_and_scenarios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of an application is run; one of a module that uses Treadle makes scenarios."""
    (tmp_path / "odd_shop.py").write_text(
        "import sqlite3\n"
        "def sell():\n"
        "    with sqlite3.connect('app.db') as connection:\n"
        "        connection.execute('UPDATE item SET stock = stock - 1')\n"
    )
    (tmp_path / "odd_checks.py").write_text(
        "from odd_shop import sell\n"
        "from treadle import Client, Database, Scenario, serial_equivalence\n"
        "def scenarios():\n"
        "    return Scenario('x', Database.copy_of('app.db'), [Client('A', sell)], [serial_equivalence()])\n"
    )
    with sqlite3.connect(tmp_path / "app.db") as connection:
        connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, stock INTEGER)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    for expected, target in ((0, "odd_shop:sell"), (0, "odd_checks:scenarios"), (2, "odd_shop:nothing")):
        assert expected == CliRunner().invoke(cli.cli, ["doctor", target]).exit_code, target
