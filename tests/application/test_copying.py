from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from treadle import Client, Database, Scenario, UsageError, check, serial_equivalence
from treadle.application.files import BESIDE
from treadle.scenario import JOURNALS

USER = """
import os, sqlite3, sys
path, journal, does = sys.argv[1:]
connection = sqlite3.connect(path, isolation_level=None)
connection.execute(f"PRAGMA journal_mode = {journal}")
connection.executescript('''
    CREATE TABLE item (id INTEGER PRIMARY KEY, stock INTEGER NOT NULL);
    CREATE INDEX by_stock ON item (stock);
    INSERT INTO item VALUES (1, 10);
    PRAGMA user_version = 7;
    PRAGMA application_id = 99;
''')
if does in {"writes", "dies"}:
    connection.execute(f"PRAGMA cache_spill = {int(does == 'dies')}")
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE item SET stock = 0")
    connection.execute("INSERT INTO item SELECT value + 2, 0 FROM json_each(?)", [str(list(range(5000)))])
if does == "closes":
    connection.close()
print("ready", flush=True)
sys.stdin.readline()
os._exit(0)
"""


@contextlib.contextmanager
def used(path: Path, journal: str, does: str) -> Iterator[None]:
    """Let another process make a database and use it; what it has not committed is never seen."""
    command = [sys.executable, "-c", USER, str(path), journal, "stays" if does == "died" else does]
    if does == "died":
        command[-1] = "dies"
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        if does in {"died", "closes"}:
            process.communicate("\n")
        yield
        if process.poll() is None:
            process.communicate("\n")


def looks(path: Path) -> dict[str, tuple[str, int, int, int]]:
    """Return the files of a database as they are: their bytes, when they were written, and which they are."""
    return {
        end: (hashlib.sha256(there.read_bytes()).hexdigest(), *_of(there))
        for end in BESIDE
        if (there := Path(f"{path}{end}")).exists()
    }


def _of(path: Path) -> tuple[int, int, int]:
    there = path.stat()
    return there.st_ino, there.st_size, there.st_mtime_ns


@pytest.mark.parametrize("journal", JOURNALS)
@pytest.mark.parametrize("does", ["closes", "stays", "writes", "died"])
def test_a_file_is_copied_and_left_alone(tmp_path: Path, journal: str, does: str) -> None:
    """Whoever uses a file, the copy has what is committed there, and the file and all beside it are as they were."""
    path = tmp_path / "app ü?#%.db"
    with used(path, journal, does):
        before = looks(path)
        copy = Database.copy_of(path).copy
        after = looks(path)

    assert before == after
    assert copy is not None
    assert (str(path), journal) == (copy.path, copy.journal)
    private = tmp_path / "private.db"
    private.write_bytes(copy.content)
    with contextlib.closing(sqlite3.connect(private)) as connection:
        assert [(1, 10)] == connection.execute("SELECT * FROM item").fetchall()
        assert [(7,)] == connection.execute("PRAGMA user_version").fetchall()
        assert [(99,)] == connection.execute("PRAGMA application_id").fetchall()
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
        assert [("by_stock",)] == connection.execute("SELECT name FROM sqlite_master WHERE type='index'").fetchall()


def test_the_clients_get_what_was_copied(tmp_path: Path) -> None:
    """Raw sqlite3 code runs on the copy, in the journal mode of the file, and the file stays as it is."""
    path = tmp_path / "app.db"

    def look() -> object:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            names = ("user_version", "application_id", "journal_mode")
            return (
                connection.execute("SELECT * FROM item").fetchall(),
                *(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names),
            )

    expected = ([(1, 10)], 7, 99, "delete")
    with used(path, "delete", "stays"):
        database = Database.copy_of(path)
        before = looks(path)
        prop = serial_equivalence(result=lambda outcome: getattr(outcome, "value", None) == expected)
        result = check(Scenario("copy", database, [Client("A", look), Client("B", look)], [prop]))
        assert before == looks(path)

    assert ("delete", True) == (result.journal, result.as_expected)


@pytest.mark.parametrize(
    "url",
    ["sqlite:///{}", "sqlite:///file:{}?mode=rw&uri=true", "sqlite:///file://{}?uri=true", "sqlite+aiosqlite:///{}"],
)
def test_engines_name_their_file(tmp_path: Path, url: str) -> None:
    """An engine leads to its file, by a path or by a URI, and an asynchronous one does, too."""
    path = tmp_path / "app.db"
    with used(path, "wal", "closes"):
        make = create_async_engine if "aio" in url else create_engine
        database = Database.copy_of(make(url.format(path)))

    assert database.copy is not None
    assert (str(path), "wal") == (database.copy.path, database.journal)


def test_a_uri_names_a_file(tmp_path: Path) -> None:
    """What sqlite3.connect(..., uri=True) takes is understood."""
    path = tmp_path / "app.db"
    with used(path, "wal", "closes"):
        copy = Database.copy_of(f"file:{path}?mode=rw").copy

    assert copy is not None
    assert str(path) == copy.path


@pytest.mark.parametrize("content", [None, b"", b"no database, but long enough to be one" * 100])
def test_what_is_no_database_with_tables_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """A file that is not there, is empty, or is something else gives one error that names it."""
    path = tmp_path / "app.db"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(UsageError, match=r"app\.db"):
        Database.copy_of(path)


@pytest.mark.parametrize("source", [7, ":memory:", "", create_engine("sqlite://")])
def test_what_names_no_file_is_refused(source: object) -> None:
    """What is neither a path nor an engine of a file is an error."""
    with pytest.raises(UsageError):
        Database.copy_of(source)


def test_a_file_that_stays_locked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One who keeps the file locked is not waited for without end."""
    monkeypatch.setattr("treadle.application.copying._PATIENCE_S", 0.05)
    path = tmp_path / "app.db"
    with used(path, "delete", "closes"), contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UsageError, match="locked"):
            Database.copy_of(path)
