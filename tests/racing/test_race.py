from __future__ import annotations

import functools
import importlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from treadle import Database, FaultBudget, Result, UsageError, Verdict, check, cli
from treadle import race as race_with
from treadle.pytest_plugin import CheckFailed, Treadle
from treadle.racing.race import race_of
from treadle.racing.script import script_of, written
from treadle.targets import resolve

ROOT = Path(__file__).parent.parent.parent

ORM = """
from sqlalchemy import create_engine, event, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

class Base(DeclarativeBase):
    pass

class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    stock: Mapped[int]

{engine}

def sell():
    with Session() as session:
        item = session.get(Item, 1)
        item.stock = item.stock - 1
        session.commit()

def sell_in_one_statement():
    with Session() as session:
        session.execute(update(Item).where(Item.id == 1).values(stock=Item.stock - 1))
        session.commit()

def add():
    with Session() as session:
        session.add(Item(stock=5))
        session.commit()

def look():
    with Session() as session:
        return session.get(Item, 1) is None

def sell_some(count, to):
    pass
"""

MODULE_LEVEL = """
engine = create_engine("sqlite:///{path}")
Session = scoped_session(sessionmaker(engine))
"""

SETS_WAL = """
engine = create_engine("sqlite:///{path}")
Session = sessionmaker(engine)

@event.listens_for(engine, "connect")
def connected(connection, record):
    connection.execute("PRAGMA journal_mode = WAL")
"""

LAZY = """
def Session():
    from sqlalchemy.orm import Session
    return Session(create_engine("sqlite:///{path}"))
"""

ASYNC = """
import sqlite3
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy import text

engine = create_async_engine("sqlite+aiosqlite:///{path}")
beside = create_engine("sqlite:///file:{path}?mode=rw&uri=true")

async def sell():
    async with AsyncSession(engine) as session:
        stock = (await session.execute(text("SELECT stock FROM item"))).scalar_one()
        await session.execute(text("UPDATE item SET stock = :stock"), dict(stock=stock - 1))
        await session.commit()

def sell_beside():
    with beside.begin() as connection:
        connection.execute(text("UPDATE item SET stock = stock - 1"))
"""

RAW = """
import sqlite3

{connection}

def sell():
    with connect() as connection:
        (stock,) = connection.execute("SELECT stock FROM item WHERE id = 1").fetchone()
        connection.execute("UPDATE item SET stock = ? WHERE id = 1", [stock - 1])
"""

FEW: dict[str, Any] = {"challenge": 0, "challenges": 2}
"""Few live executions: what is found here is the same, and this is about finding a database."""

race = functools.partial(race_with, **FEW)

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return what makes a module of a text, and imports it, in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def loads(text: str) -> ModuleType:
        name = f"app_{abs(hash(tmp_path))}"
        (tmp_path / f"{name}.py").write_text(text)
        return importlib.import_module(name)

    return loads


def made(path: Path, journal: str = "delete") -> Path:
    """Make the database of an application, with ten items in stock."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.executescript(
        "CREATE TABLE item (id INTEGER PRIMARY KEY, stock INTEGER); INSERT INTO item VALUES (1, 10)"
    )
    connection.close()
    return path


def verdicts(result: Result) -> dict[str, Verdict]:
    """Return the verdict on each property."""
    return {item.property.name: item.verdict for item in result.decisions}


def again(functions: list[Any], module: ModuleType, **options: Any) -> Result:
    """Return the result of the scenario file that says the same as a race."""
    found = race_of(functions, **options)
    targets = [f"{module.__name__}:{racer.function.__name__}" for racer in found.racers]
    target = written(Path("races.py"), script_of(found, targets))
    sys.modules.pop("races", None)
    (one,) = resolve([target], {})
    return check(one.scenario, **FEW)


BROKEN = {"serial-equivalence": Verdict.VIOLATED, "serial-failures": Verdict.HOLDS}
FINE = {"serial-equivalence": Verdict.HOLDS, "serial-failures": Verdict.HOLDS}


@pytest.mark.parametrize(("engine", "journal"), [(MODULE_LEVEL, "delete"), (SETS_WAL, "wal"), (LAZY, "delete")])
def test_functions_of_an_orm_are_raced(tmp_path: Path, load: Load, engine: str, journal: str) -> None:
    """The engine is found, its file copied with its rows, and the scenario file says the same."""
    path = made(tmp_path / "app.db")
    before = path.read_bytes()
    module = load(ORM.replace("{engine}", engine.replace("{path}", str(path))))

    broken = race(module.sell)
    fine = race(module.sell_in_one_statement, module.sell_in_one_statement)

    assert (BROKEN, FINE, journal) == (verdicts(broken), verdicts(fine), broken.journal)
    assert ("sell-1", "sell-2") == broken.clients
    file = again([module.sell], module)
    assert (verdicts(broken), broken.clients, journal) == (verdicts(file), file.clients, file.journal)
    assert (before, ["app.db"]) == (path.read_bytes(), sorted(there.name for there in tmp_path.glob("app.db*")))


def test_without_a_file_the_tables_are_made(tmp_path: Path, load: Load) -> None:
    """Where there is no file, the metadata near the functions says which tables there are."""
    engine = MODULE_LEVEL.replace("{path}", str(tmp_path / "app.db"))
    module = load(ORM.replace("{engine}", engine))

    found = race_of([module.add, module.look])

    assert ("delete", ("look",)) == (found.scenario.database.journal, found.idle)
    assert found.note == ""
    assert race_of([module.look]).note
    assert FINE == verdicts(race(module.add, module.look)) == verdicts(again([module.add, module.look], module))


def test_asynchronous_functions_are_raced(tmp_path: Path, load: Load) -> None:
    """A coroutine runs in a loop of its own, and a synchronous engine leads to the same file by its URI."""
    module = load(ASYNC.replace("{path}", str(made(tmp_path / "app.db"))))

    assert BROKEN == verdicts(race(module.sell, module.sell_beside))
    assert BROKEN == verdicts(again([module.sell, module.sell_beside], module))


@pytest.mark.parametrize(
    "connection",
    [
        "def connect():\n    return sqlite3.connect('app.db')",
        "def connect():\n    return sqlite3.connect('file:app.db?mode=rw', uri=True)",
        "def connect():\n    db = sqlite3.connect('app.db'); db.execute('PRAGMA journal_mode=WAL'); return db",
        "opened = sqlite3.connect('app.db')\ndef connect():\n    return opened",
    ],
)
def test_functions_of_the_driver_are_raced(tmp_path: Path, load: Load, connection: str) -> None:
    """Without an engine, the file is found by an open connection, or by what a function connects to."""
    made(tmp_path / "app.db")
    module = load(RAW.replace("{connection}", connection))

    result = race(module.sell)

    assert ("wal" if "WAL" in connection else "delete") == result.journal
    assert BROKEN == verdicts(result) == verdicts(again([module.sell], module))


def test_locked_faults_leave_serial_failures_out(tmp_path: Path, load: Load) -> None:
    """A lock that is injected makes a client fail as none fails alone, which says nothing."""
    module = load(ORM.replace("{engine}", MODULE_LEVEL.replace("{path}", str(made(tmp_path / "app.db")))))

    result = race(module.add, database=module.engine, faults=FaultBudget(locked=1))

    assert {"serial-equivalence": Verdict.HOLDS} == verdicts(result)


def test_a_database_can_be_named(tmp_path: Path, load: Load) -> None:
    """A path, an engine or a Database is taken as it is."""
    path = made(tmp_path / "app.db", "wal")
    module = load(RAW.replace("{connection}", "def connect():\n    return sqlite3.connect('app.db')"))

    assert BROKEN == verdicts(race(module.sell, database=path)) == verdicts(race(module.sell, database="app.db"))
    assert BROKEN == verdicts(race(module.sell, database=Database.copy_of(path)))


def test_several_files_are_named(tmp_path: Path, load: Load) -> None:
    """Of two databases that a module leads to, that one is taken which its functions use; both are an error."""
    text = MODULE_LEVEL.replace("{path}", str(tmp_path / "one.db"))
    module = load(ORM.replace("{engine}", f"{text}\nother = create_engine('sqlite:///{tmp_path}/two.db')"))

    def elsewhere() -> None:
        with module.other.connect():
            pass

    assert str(tmp_path / "one.db") == race_of([module.add, module.add]).source.path
    with pytest.raises(UsageError, match=r"one\.db.*two\.db.*--database"):
        race(module.sell, elsewhere)


def test_arguments_are_named(tmp_path: Path, load: Load) -> None:
    """A function that takes arguments is no client; with a partial, it is."""
    module = load(ORM.replace("{engine}", MODULE_LEVEL.replace("{path}", str(made(tmp_path / "app.db")))))

    with pytest.raises(UsageError, match=r"count, to.*functools\.partial\(sell_some, count=\.\.\., to=\.\.\.\)"):
        race(module.sell_some)
    assert ("sell_some-1", "sell_some-2") == tuple(
        client.name for client in race_of([functools.partial(module.sell_some, 1, to=2)]).scenario.clients
    )


@pytest.mark.parametrize(
    ("functions", "options"),
    [([], {}), ([7], {}), ([print], {"clients": 0}), ([print], {"clients": 27}), ([print], {"database": ":memory:"})],
)
def test_what_is_no_race_is_refused(functions: list[Any], options: dict[str, Any]) -> None:
    """No function, no callable, and too few or too many clients."""
    with pytest.raises(UsageError):
        race(*functions, **options)


def test_the_fixture_races(tmp_path: Path, load: Load) -> None:
    """A test fails with the report where functions break something, and gets the result where they do not."""
    module = load(ORM.replace("{engine}", MODULE_LEVEL.replace("{path}", str(made(tmp_path / "app.db")))))

    assert FINE == verdicts(Treadle().race(module.sell_in_one_statement, **FEW))
    with pytest.raises(CheckFailed) as caught:
        Treadle().race(module.sell)
    (token,) = caught.value.tokens
    assert f"({token})" in str(caught.value)


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run ``python -m treadle`` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "treadle", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_command_writes_what_check_reads(tmp_path: Path) -> None:
    """What a module made of its database when it was imported is what is raced, if there is no file yet."""
    makes = "opened = sqlite3.connect('app.db')\ndef connect():\n    return opened\n"
    makes += (
        "opened.executescript('CREATE TABLE item (id INTEGER PRIMARY KEY, stock INT); INSERT INTO item VALUES (1, 10)')"
    )
    (tmp_path / "shop.py").write_text(RAW.replace("{connection}", makes))

    raced = run("race", "shop:sell", "shop:sell", "--write", "races.py", cwd=tmp_path)
    checked = run("check", "races:scenario", "--format", "json", cwd=tmp_path)

    assert (1, 1) == (raced.returncode, checked.returncode), raced.stderr + checked.stderr
    (result,) = json.loads(checked.stdout)["results"]
    assert ["violated", "holds"] == [item["verdict"] for item in result["properties"]]
    token = result["properties"][0]["counterexample"]["schedule"]
    assert token in raced.stdout
    assert ["races.py", "shop.py"] == sorted(there.name for there in tmp_path.iterdir() if there.is_file())


def test_the_command_replays_and_overwrites_nothing(tmp_path: Path, load: Load) -> None:
    """A schedule of a race is replayed by naming the race again; a file that exists is a usage error."""
    module = load(RAW.replace("{connection}", "def connect():\n    return sqlite3.connect('app.db')"))
    made(tmp_path / "app.db")
    counterexample = race(module.sell)["serial-equivalence"].counterexample
    assert counterexample is not None
    target, token = f"{module.__name__}:sell", counterexample.schedule.token
    Path("races.py").write_text("")

    for expected, arguments in (
        (1, [target, "--replay", token]),
        (2, [target, "--write", "races.py"]),
        (2, [target, "--write", "no-module.txt"]),
        (2, [f"{module.__name__}:nothing"]),
        (2, [target, "--database", "nowhere.db"]),
        (2, [target, "--clients", "0"]),
    ):
        assert expected == CliRunner().invoke(cli.cli, ["race", *arguments]).exit_code, arguments


BEGINS = """
engine = create_engine("sqlite:///{path}")
Session = sessionmaker(engine)

@event.listens_for(engine, "connect")
def connected(connection, record):
    connection.isolation_level = None

@event.listens_for(engine, "begin")
def begun(connection):
    connection.exec_driver_sql("BEGIN IMMEDIATE")
"""


def test_how_transactions_begin_is_told(tmp_path: Path, load: Load) -> None:
    """What the clients do is what the report and the scenario file say."""
    module = load(ORM.replace("{engine}", BEGINS.replace("{path}", str(made(tmp_path / "app.db")))))

    result = race(module.sell)

    assert ("immediate", FINE) == (result.transactions, verdicts(result))
    assert "immediate" == again([module.sell], module).transactions


BY_HAND = """
import contextlib, sqlite3

def sell():
    with contextlib.closing(sqlite3.connect("{path}")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE item SET stock = stock - 1")
        connection.commit()
"""


def test_a_transaction_begun_by_hand_does_not_change_the_driver_s_mode(tmp_path: Path, load: Load) -> None:
    """The report and the scenario file say what the connection was opened with."""
    module = load(BY_HAND.replace("{path}", str(made(tmp_path / "app.db"))))

    assert "legacy" == race(module.sell).transactions
    assert "legacy" == race_of([module.sell]).scenario.database.transactions
