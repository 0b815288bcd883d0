"""What the check itself has not enough of ends it, and no client is told so."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from sqlalchemy import Engine

from tests.checking.bank import add_in_place, bank
from treadle import Client, ResourceError, Returned, Scenario, TreadleError, Verdict, check, sometimes
from treadle.execution import connecting
from treadle.values.lack import Want, lack_of
from treadle.values.operation import Kind

_HERE = Path(__file__).parents[2]

_FILLS = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from attrs import evolve
from sqlalchemy import exc
from tests.checking.bank import add_in_place, bank
from treadle import Client, ResourceError, check
from treadle.world import sandbox
sandbox._MEMORY = Path("/nowhere")
scenario = bank(add_in_place)

def fill():
    try:
        with scenario.database.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS big (value BLOB)")
            connection.exec_driver_sql("INSERT INTO big VALUES (zeroblob(30000000))")
    except exc.DBAPIError:
        return "told"

clients = [Client("A", fill), Client("B", lambda: add_in_place(scenario.database.engine))]
try:
    check(evolve(scenario, clients=clients))
except ResourceError as error:
    sys.stdout.write(str(error))
"""
"""A check in which a client writes more than there is room for, and takes note of what it is told."""


def _scenario(run: Callable[[Engine], object]) -> Scenario:
    """Return a scenario of a client that does this, catching what goes wrong, and another one."""
    scenario = bank(add_in_place)
    engine = scenario.database.engine

    def carefully() -> object:
        try:
            return run(engine)
        except Exception as error:
            if isinstance(error, TreadleError):
                raise
            return "told"

    clients = [Client("A", carefully), Client("B", lambda: add_in_place(engine))]
    told = sometimes("A is told that something went wrong", lambda view: view.outcomes["A"] == Returned("told"))
    return evolve(scenario, clients=clients, properties=[told])


def _in_namespace(directory: Path, size: str) -> list[str]:
    """Return the beginning of a command that has a small file system at a directory."""
    mount = f"mount -t tmpfs -o size={size} none {directory} && exec " + '"$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("no file system may be mounted here")
    return command


def test_a_file_system_without_room_ends_the_check(tmp_path: Path) -> None:
    """SQLITE_FULL, from a real file system of four megabytes."""
    command = [*_in_namespace(tmp_path, "4m"), sys.executable, "-c", _FILLS.format(here=str(_HERE))]
    done = subprocess.run(
        command, env=os.environ | {"TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert "SQLITE_FULL" in done.stdout
    assert str(tmp_path) in done.stdout


@pytest.mark.parametrize(
    ("limit", "what"),
    [
        ("resource.RLIMIT_FSIZE, (2_000_000, 2_000_000)", "SQLITE_"),
        *((f"resource.RLIMIT_NOFILE, ({count}, {count})", "ulimit -n") for count in (8, 10, 12, 14)),
    ],
)
def test_a_limit_of_the_process_ends_the_check(tmp_path: Path, limit: str, what: str) -> None:
    """Files that may not be that large, and too many of them."""
    script = _FILLS.format(here=str(_HERE)).replace(
        "\ntry:\n    check", f"\nimport resource\nresource.setrlimit({limit})\ntry:\n    check"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert what in done.stdout


def _raised(code: int, name: str, text: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    return error


_ERRORS = [
    _raised(13, "SQLITE_FULL", "database or disk is full"),
    _raised(14, "SQLITE_CANTOPEN", "unable to open database file"),
    _raised(10, "SQLITE_IOERR", "disk I/O error"),
    _raised(778, "SQLITE_IOERR_WRITE", "disk I/O error"),
    _raised(1032, "SQLITE_READONLY_DBMOVED", "attempt to write a readonly database"),
    _raised(15, "SQLITE_PROTOCOL", "locking protocol"),
]


@pytest.mark.parametrize("error", [*_ERRORS, MemoryError()], ids=str)
@pytest.mark.parametrize("options", [{}, {"live": True}, {"workers": 2}], ids=str)
def test_no_client_is_told_what_the_check_lacks(
    monkeypatch: pytest.MonkeyPatch, error: Exception, options: dict[str, Any]
) -> None:
    """Whatever SQLite or the driver says of the machine, in the world of the search."""
    from treadle.world.connection import Connection

    perform = Connection._run

    def fail(self: Any, cursor: Any, kind: Any, sql: str, arguments: Any) -> None:
        if "INSERT" in sql:
            raise error
        perform(self, cursor, kind, sql, arguments)

    monkeypatch.setattr(Connection, "_run", fail)

    def insert(engine: Engine) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO account VALUES (2, 0)")

    with pytest.raises(ResourceError, match=getattr(error, "sqlite_errorname", "MemoryError")):
        check(_scenario(insert), **options)


@pytest.mark.parametrize("error", [*_ERRORS, MemoryError()], ids=str)
def test_no_client_is_told_what_a_challenge_lacks(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Nor where nothing is between the client and SQLite."""
    plain = connecting._class_of(sqlite3.dbapi2)  # as SQLAlchemy calls it
    traced = plain.traced

    def fail(self: Any, kind: Any, *, first: bool) -> Any:
        if kind is Kind.EXECUTE and self.actor._asked[1] and "INSERT" in self.actor._asked[1]:
            raise error
        return traced(self, kind, first=first)

    monkeypatch.setattr(plain, "traced", fail)

    def insert(engine: Engine) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO account VALUES (2, 0)")

    with pytest.raises(ResourceError, match=getattr(error, "sqlite_errorname", "MemoryError")):
        check(_scenario(insert), challenges=1)


@pytest.mark.parametrize(
    ("error", "want"),
    [
        (OSError(errno.EMFILE, "Too many open files"), Want.FILES),
        (OSError(errno.ENOSPC, "No space left on device"), Want.ROOM),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), Want.PROCESSES),
        (RuntimeError("can't start new thread"), Want.PROCESSES),
        (MemoryError(), Want.MEMORY),
        (_ERRORS[1], Want.ACCESS),
        (_raised(8, "SQLITE_READONLY", "attempt to write a readonly database"), None),
        (_raised(18, "SQLITE_TOOBIG", "string or blob too big"), None),
        (_raised(5, "SQLITE_BUSY", "database is locked"), None),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), None),
        (RuntimeError("of the application's own"), None),
    ],
    ids=str,
)
def test_which_errors_are_a_lack(error: Exception, want: Want | None) -> None:
    """What a client or the application may have caused itself is none."""
    lack = lack_of(error)
    assert want is (None if lack is None else lack.want)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOSPC, errno.EAGAIN])
def test_what_the_check_lacks_outside_sqlite_ends_it_as_well(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A directory, a copy of the template, a process: one error says what there is too little of."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("treadle.world.world.shutil.copyfile", refuse)
    with pytest.raises(ResourceError, match=errno.errorcode[number]):
        check(bank(add_in_place))


def test_processes_that_cannot_be_started_end_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are forked; a fork that the system refuses is EAGAIN."""

    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", refuse)
    with pytest.raises(ResourceError, match="--workers"):
        check(bank(add_in_place), workers=2)


def test_a_predicate_is_not_blamed_for_memory_that_is_used_up() -> None:
    """It is the process that has none."""

    def greedy(view: object) -> bool:
        raise MemoryError

    with pytest.raises(ResourceError, match="memory is used up"):
        check(evolve(bank(add_in_place), properties=[sometimes("memory is used up", greedy)]))


def _limits_pages(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 4")
        connection.exec_driver_sql("INSERT INTO account SELECT value, 0 FROM json_each(?)", (str([*range(2, 4000)]),))


def _counts_up(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT)")
        connection.exec_driver_sql("INSERT INTO event VALUES (9223372036854775807)")
    with engine.begin() as connection:  # SQLite rolls back a whole transaction that finds the database full
        connection.exec_driver_sql("INSERT INTO event DEFAULT VALUES")


def _is_too_big(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT zeroblob(3000000000)").all()


def _limits_length(engine: Engine) -> None:
    raw = engine.raw_connection()
    with contextlib.closing(raw):
        raw.driver_connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 100)  # type: ignore[union-attr]
        raw.cursor().execute("SELECT zeroblob(1000)").fetchall()


def _writes_read_only(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA query_only = 1")
        connection.exec_driver_sql("INSERT INTO account VALUES (2, 0)")


@pytest.mark.parametrize("run", [_limits_pages, _counts_up, _is_too_big, _limits_length, _writes_read_only])
def test_a_limit_of_the_clients_own_is_observed(run: Callable[[Engine], object]) -> None:
    """SQLITE_FULL, SQLITE_TOOBIG and SQLITE_READONLY that a client has caused are what it is told."""
    scenario = _scenario(run)
    [decision] = check(evolve(scenario, clients=scenario.clients[:1]), challenges=1).decisions
    assert Verdict.HOLDS is decision.verdict
