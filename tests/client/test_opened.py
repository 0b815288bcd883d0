"""Connections that are open when the check starts: those of clients are like them, or the check says why not."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from treadle import Client, Database, Scenario, UnsupportedOperationError, Verdict, at_end, check
from treadle.client.loading import loading
from treadle.world.library import library_of

Opens = Callable[[], contextlib.AbstractContextManager[sqlite3.Connection]]


def _filled(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE item (id INTEGER PRIMARY KEY, stock INTEGER NOT NULL)"))
        connection.execute(text("CREATE TABLE part (item INTEGER REFERENCES item (id))"))
        connection.execute(text("INSERT INTO item VALUES (1, 10)"))


def _scenario(path: Path, client: Callable[[], object], *, clients: int = 2) -> Scenario:
    nine = at_end("the stock is what two sales leave", lambda view: view.rows("item")[0]["stock"] == 8, name="both")
    database = Database(_filled, engine=create_engine(f"sqlite:///{path}"))
    return Scenario("opened", database, [Client(name, client) for name in "AB"[:clients]], [nine])


def _returned(path: Path, client: Callable[[], object]) -> object:
    """Return what one client returns that runs alone."""
    returned: list[object] = []

    def keep(view: Any) -> bool:
        returned.extend(view.returned().values())
        return True

    scenario = _scenario(path, client, clients=1)
    check(Scenario("opened", scenario.database, scenario.clients, [at_end("it returned", keep)]))
    return returned[-1]


@contextlib.contextmanager
def _opened(path: Path, *, noted: bool, **options: Any) -> Iterator[sqlite3.Connection]:
    """Open a connection as a module does that is imported by a TARGET, or before."""
    with loading(library_of(sqlite3.dbapi2).refuse_attach) if noted else contextlib.nullcontext():
        connection = sqlite3.connect(path, **options)
    with contextlib.closing(connection):
        yield connection


@pytest.mark.parametrize("noted", [True, False])
def test_a_lost_update_through_a_cursor_that_was_opened_before(tmp_path: Path, *, noted: bool) -> None:
    """The cursor leads to the checked database as its connection does."""
    path = tmp_path / "own.db"
    with _opened(path, noted=noted) as connection:
        cursor, commit = connection.cursor(), connection.commit

        def sell() -> None:
            stock = cursor.execute("SELECT stock FROM item").fetchone()[0]
            cursor.execute("UPDATE item SET stock = ?", (stock - 1,))
            commit()

        def sell_in_place() -> None:
            cursor.execute("UPDATE item SET stock = stock - 1")
            connection.commit()

        assert check(_scenario(path, sell))["both"].verdict is Verdict.VIOLATED
        fixed = check(_scenario(path, sell_in_place))
        assert (Verdict.HOLDS, True) == (fixed["both"].verdict, fixed.exhausted)
    assert not path.exists() or not path.read_bytes()


@pytest.mark.filterwarnings("ignore:The default date converter:DeprecationWarning")  # since Python 3.12
@pytest.mark.parametrize("noted", [True, False])
def test_settings_come_along(tmp_path: Path, *, noted: bool) -> None:
    """Timeout, conversions, foreign keys, isolation level, rows and texts."""
    path = tmp_path / "own.db"
    options = {"timeout": 1.25, "detect_types": sqlite3.PARSE_COLNAMES, "isolation_level": "IMMEDIATE"}
    with _opened(path, noted=noted, **options) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.row_factory = sqlite3.Row
        connection.text_factory = bytes

        def look() -> object:
            waits = connection.execute("PRAGMA busy_timeout").fetchone()
            keys = connection.execute("PRAGMA foreign_keys").fetchone()
            day = connection.execute("SELECT '2026-01-31' AS \"day [date]\", 'x' AS name").fetchone()
            kinds = tuple(type(value).__name__ for value in day)
            return waits[0], keys[0], day.keys(), kinds, connection.isolation_level

        expected = (1250, 1, ["day", "name"], ("date", "bytes"), "IMMEDIATE")
        assert expected == _returned(path, look)


def test_what_only_reads_goes_on_to_only_read(tmp_path: Path) -> None:
    """A connection that was opened read-only fails where it writes."""
    path = tmp_path / "own.db"
    path.touch()
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:

        def sell() -> object:
            try:
                connection.execute("UPDATE item SET stock = 3")
            except sqlite3.OperationalError as error:
                return error.sqlite_errorname
            return connection.execute("SELECT stock FROM item").fetchone()[0]

        assert _returned(path, sell) == "SQLITE_READONLY"


class _Named(sqlite3.Cursor):
    def fetchone(self) -> Any:
        return {"stock": super().fetchone()[0]}


@pytest.mark.parametrize("keeps", [False, True])
def test_a_cursor_of_another_class_goes_on_to_be_of_that_class(tmp_path: Path, *, keeps: bool) -> None:
    """One that keeps something ends the check: another one would not have it."""
    path = tmp_path / "own.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        cursor: Any = connection.cursor(_Named)
        if keeps:
            cursor.prefix = "x"

        def look() -> object:
            return cursor.execute("SELECT stock FROM item").fetchone()

        if keeps:
            with pytest.raises(UnsupportedOperationError, match="a cursor of its keeps, of class _Named"):
                check(_scenario(path, look))
        else:
            assert {"stock": 10} == _returned(path, look)


def _less_one() -> Callable[[int], int]:
    step = 1
    return lambda value: value - step


def _backwards(left: str, right: str) -> int:
    return (left < right) - (left > right)


@pytest.mark.parametrize("noted", [True, False])
def test_functions_and_collations_that_were_noted_come_along(tmp_path: Path, *, noted: bool) -> None:
    """Those that were not noted end the check where they are needed."""
    path = tmp_path / "own.db"
    with _opened(path, noted=noted) as connection:
        connection.create_function("less", 1, _less_one(), deterministic=True)
        connection.create_collation("backwards", _backwards)

        def sell() -> object:
            connection.execute("UPDATE item SET stock = less(stock)")
            connection.commit()
            return connection.execute("SELECT 'a' UNION SELECT 'b' ORDER BY 1 COLLATE backwards").fetchall()

        if noted:
            assert check(_scenario(path, sell))["both"].verdict is Verdict.HOLDS
            assert check(_scenario(path, sell), isolate=True)["both"].verdict is Verdict.HOLDS
        else:
            with pytest.raises(UnsupportedOperationError, match="backwards, less"):
                check(_scenario(path, sell))


def test_a_function_that_stays_with_its_client_is_called_in_any_of_its_processes(tmp_path: Path) -> None:
    """Also when the run that has lent it is over."""
    path = tmp_path / "own.db"
    with _opened(path, noted=True) as connection:
        connection.create_function("less", 1, _less_one())

        def sell() -> None:
            connection.execute("UPDATE item SET stock = less(stock)")
            connection.commit()

        for isolate in (None, True):
            result = check(_scenario(path, sell, clients=1), isolate=isolate)
            assert result.exhausted


def test_a_connection_that_cannot_be_led_is_no_matter_until_it_is_used(tmp_path: Path) -> None:
    """A class of the application's own is one."""

    class Own(sqlite3.Connection):
        pass

    path = tmp_path / "own.db"
    engine = create_engine(f"sqlite:///{path}")
    with _opened(path, noted=True, factory=Own) as connection:

        def sell(through: Any) -> None:
            through.execute("UPDATE item SET stock = stock - 1")
            through.commit()

        with pytest.raises(UnsupportedOperationError, match="Own"):
            check(_scenario(path, lambda: sell(connection)))

        def sell_by_engine() -> None:
            with engine.begin() as own:
                own.execute(text("UPDATE item SET stock = stock - 1"))

        assert check(_scenario(path, sell_by_engine))["both"].verdict is Verdict.HOLDS


def test_what_sqlalchemy_gives_each_connection_is_known(tmp_path: Path) -> None:
    """A module-level connection of an engine finds ``regexp`` as before."""
    path = tmp_path / "own.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:

        def look() -> object:
            return connection.execute(text("SELECT 'treadle' REGEXP '^tre'")).scalar()

        assert 1 == _returned(path, look)
    engine.dispose()


def test_rows_of_a_class_of_the_applications_own(tmp_path: Path) -> None:
    """A kind of ``sqlite3.Row`` is made as the driver makes it."""

    class Named(sqlite3.Row):
        @property
        def stock(self) -> int:
            return int(self["stock"])

    path = tmp_path / "own.db"

    def look() -> object:
        connection = sqlite3.connect(path)
        connection.row_factory = Named
        with contextlib.closing(connection):
            return connection.execute("SELECT stock FROM item").fetchone().stock

    assert 10 == _returned(path, look)
