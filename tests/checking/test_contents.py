"""Reading what a commit changed gives what reading everything gives."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from treadle.interning import intern_operation
from treadle.values.fault import Placement
from treadle.values.operation import Kind, Operation
from treadle.world import content as content_module
from treadle.world.content import ContentStore
from treadle.world.effects import Lexicon
from treadle.world.footprint import Footprints
from treadle.world.state import Book, WorldState
from treadle.world.world import Template, World

_SIMPLE = """
    CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent ON DELETE CASCADE, value);
    CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, value);
    CREATE TABLE plain (value, other);
    CREATE TABLE keyed (name TEXT PRIMARY KEY, value);
    CREATE INDEX by_value ON child (value);
"""

_RICH = (
    _SIMPLE
    + """
    CREATE TABLE sorted (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE replaced (id INTEGER PRIMARY KEY ON CONFLICT REPLACE, value);
    CREATE TABLE noted (id INTEGER PRIMARY KEY, what);
    CREATE TRIGGER note AFTER INSERT ON keyed BEGIN INSERT INTO noted (what) VALUES (new.name); END;
    CREATE TRIGGER drop_noted AFTER DELETE ON plain BEGIN DELETE FROM noted; UPDATE counted SET value = 0; END;
"""
)

_COMMON = (
    "INSERT INTO parent (name) VALUES ({text})",
    "INSERT INTO parent (id, name) VALUES ({key}, {text})",
    "INSERT OR REPLACE INTO parent (id, name) VALUES ({key}, {text})",
    "INSERT OR IGNORE INTO parent (id, name) VALUES ({key}, {text})",
    "INSERT INTO child (parent_id, value) VALUES (NULL, {number})",
    "INSERT INTO child (parent_id, value) VALUES (1, {number})",
    "INSERT INTO child (parent_id, value) SELECT parent_id, value FROM child",
    "INSERT INTO child (value) SELECT id FROM parent WHERE id < {key}",
    "INSERT INTO child (id, value) VALUES ({key}, {number}) ON CONFLICT (id) DO UPDATE SET value = {number}",
    "INSERT INTO child (value) VALUES ({number}), ({number}), ({number}) RETURNING id",
    "INSERT INTO counted (value) VALUES ({number})",
    "INSERT INTO counted (id, value) VALUES ({key} + 500, {number})",
    "INSERT INTO plain VALUES ({number}, {text})",
    "INSERT INTO plain (rowid, value) VALUES ({key}, {number})",
    "REPLACE INTO keyed VALUES ({text}, {number})",
    "INSERT INTO keyed VALUES ({text}, {number})",
    "UPDATE child SET value = {number} WHERE id % 3 = 0",
    "UPDATE child SET value = value * 1.0",
    "UPDATE child SET id = id + 1000 WHERE id = {key}",
    "UPDATE plain SET rowid = -rowid WHERE rowid = {key}",
    "UPDATE OR REPLACE parent SET id = {key} WHERE id = {key} + 1",
    "UPDATE parent SET name = name",
    "UPDATE sqlite_sequence SET seq = {key}",
    "DELETE FROM parent WHERE id = {key}",
    "DELETE FROM parent WHERE id > {key}",
    "DELETE FROM child WHERE id % 2",
    "DELETE FROM child",
    "DELETE FROM plain WHERE rowid = {key}",
    "DELETE FROM counted WHERE id > {key}",
    "PRAGMA user_version = {key}",
    "SAVEPOINT one",
    "SAVEPOINT two",
    "ROLLBACK TO one",
    "RELEASE one",
    "RELEASE two",
    "SELECT count(*) FROM child",
)

_ONLY_RICH = (
    "INSERT INTO sorted VALUES ({text}, {number})",
    "UPDATE sorted SET value = {number}",
    "DELETE FROM sorted WHERE name < {text}",
    "INSERT INTO replaced VALUES ({key}, {number})",
    "INSERT INTO replaced (value) VALUES ({number})",
    "CREATE TEMP TRIGGER IF NOT EXISTS hidden AFTER INSERT ON plain BEGIN UPDATE child SET value = 7; END",
)

_SCHEMA_CHANGES = (
    "CREATE TABLE IF NOT EXISTS late (id INTEGER PRIMARY KEY, value)",
    "INSERT INTO late (value) VALUES ({number})",
    "ALTER TABLE plain ADD COLUMN more DEFAULT 1",
    "DROP TABLE IF EXISTS late",
    "ANALYZE",
    "CREATE INDEX IF NOT EXISTS later ON plain (value)",
    "CREATE TRIGGER IF NOT EXISTS late_one AFTER INSERT ON counted BEGIN DELETE FROM child WHERE id < 3; END",
)

_PROGRAMS = {
    "simple": (_SIMPLE, _COMMON),
    "rich": (_RICH, _COMMON + _ONLY_RICH),
    "changing": (_RICH, _COMMON + _ONLY_RICH + _SCHEMA_CHANGES),
}


def _statement(dice: random.Random, pool: tuple[str, ...]) -> str:
    text = "'" + dice.choice("abcdefgh") + dice.choice("abcdefgh") + "'"
    number = dice.choice(["1", "1.0", "NULL", "'x'", "x'00'", "2"])
    return dice.choice(pool).format(text=text, number=number, key=dice.randrange(1, 12))


class _Driver:
    """Two connections to a world, and whoever works with them."""

    def __init__(self, template: Template, home: Path, library: ContentStore) -> None:
        copy = home.parent / "lexicon.db"
        shutil.copyfile(template.path, copy)
        self._compiler = sqlite3.connect(copy, isolation_level=None)
        lexicon = Lexicon(self._compiler, template.journal)
        footprints = Footprints(template.journal, Placement.REACHABLE)
        self.world = World(
            template,
            home,
            Book(keep_logs=False),
            library,
            lexicon=lexicon,
            footprints=footprints,
            everything_known=False,
        )
        for client in range(2):
            self.do(client, Kind.CONNECT, payload={"timeout": 0.0})
            self.do(client, Kind.EXECUTE, f"PRAGMA foreign_keys = {client}")

    def close(self) -> None:
        self.world.close()
        self._compiler.close()

    def do(self, client: int, kind: Kind, sql: str | None = None, payload: Any = None) -> WorldState:
        cursor = None if kind in {Kind.CONNECT, Kind.COMMIT, Kind.ROLLBACK} else 0
        operation = intern_operation(Operation(kind, 0, cursor, sql, payload=payload))
        return self.world.perform((client, 0), operation).after

    def act(self, dice: random.Random, pool: tuple[str, ...]) -> None:
        client = dice.randrange(2)
        kind = dice.choices([Kind.EXECUTE, Kind.COMMIT, Kind.ROLLBACK, Kind.FETCHALL], [12, 4, 1, 1])[0]
        if kind is Kind.EXECUTE:
            self.do(client, kind, _statement(dice, pool))
        elif kind is not Kind.FETCHALL or 0 in self.world.state.holding((client, 0)).posture.active:
            self.do(client, kind)


@pytest.fixture(params=["wal", "delete"])
def journal(request: pytest.FixtureRequest) -> str:
    """Give each journal mode."""
    mode: str = request.param
    return mode


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> ContentStore:
    """Give a library of small stretches, so that few rows make many of them."""
    monkeypatch.setattr(World, "_need_logs", lambda world: None)  # nothing here depends on what is over
    monkeypatch.setattr(content_module, "_SPAN", 4)
    return ContentStore()


def _driver(directory: Path, library: ContentStore, schema: str, journal: str) -> _Driver:
    path = directory / "template.db"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.executescript(schema)
    connection.executemany("INSERT INTO parent (name) VALUES (?)", [(f"p{number}",) for number in range(6)])
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    home = directory / "world"
    home.mkdir()
    return _Driver(Template(path, journal, sqlite3), home, library)


def _committed(driver: _Driver, library: ContentStore) -> object:
    """Return what a full read finds: the same object, if all is well."""
    observer = driver.world._observer  # the white box of this test
    if observer.data_version() is None:  # a COMMIT is under way
        return driver.world.content
    return library.read(observer.connection)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("program", _PROGRAMS)
def test_what_a_commit_changed_is_all_that_it_changed(
    tmp_path: Path, library: ContentStore, journal: str, program: str, seed: int
) -> None:
    """After each operation of a random program, the content is the one that reading all rows finds."""
    dice = random.Random(f"{journal} {program} {seed}")
    schema, pool = _PROGRAMS[program]
    driver = _driver(tmp_path, library, schema, journal)
    try:
        for _ in range(150):
            driver.act(dice, pool)
            assert _committed(driver, library) is driver.world.content
    finally:
        driver.close()


@pytest.mark.parametrize("seed", range(12))
def test_contents_are_brought_back(tmp_path: Path, library: ContentStore, journal: str, seed: int) -> None:
    """After moving to an earlier state, and after what follows, reading all rows finds the content of that state."""
    dice = random.Random(f"{journal} back {seed}")
    driver = _driver(tmp_path, library, _SIMPLE, journal)
    rest = {driver.world.content: driver.world.state}
    went_back = 0
    try:
        for step in range(200):
            driver.act(dice, _COMMON)
            state = driver.world.state
            if driver.world.reachable_directly(state):
                rest[state.content] = state
            if step % 7 == 0 and rest:
                wanted = dice.choice(list(rest.values()))
                went_back += wanted.content is not driver.world.content
                driver.world.restore(wanted)
            assert _committed(driver, library) is driver.world.content
    finally:
        driver.close()
    assert went_back > 0


def test_a_commit_costs_what_it_changed(tmp_path: Path, library: ContentStore) -> None:
    """Inserting row after row reads each row a few times, and not all rows each time."""
    driver = _driver(tmp_path, library, _SIMPLE, "wal")
    read: list[str] = []
    driver.world._observer.connection.set_trace_callback(read.append)  # the white box of this test
    try:
        for _ in range(50):
            driver.do(0, Kind.EXECUTE, "INSERT INTO child (value) VALUES (1)")
            driver.do(0, Kind.COMMIT)
    finally:
        driver.close()
    tables = [statement for statement in read if statement.startswith("SELECT")]

    assert 50 == len(tables)
    assert 49 == sum("WHERE rowid >" in statement for statement in tables)


def test_contents_share_what_they_have_in_common(tmp_path: Path, library: ContentStore) -> None:
    """One row more is one more object for its stretch; the rows before are the same objects."""
    driver = _driver(tmp_path, library, _SIMPLE, "wal")
    try:
        contents = []
        for _ in range(9):
            driver.do(0, Kind.EXECUTE, "INSERT INTO child (value) VALUES (1)")
            contents.append(driver.do(0, Kind.COMMIT).content)
    finally:
        driver.close()
    before, after = (content.committed for content in contents[-2:])

    assert [1, 1, 1] == [
        len(set(left) - set(right))
        for left, right in zip(contents[-1].tables, contents[-2].tables, strict=True)
        if left != right
    ] + [1, 1]
    assert all(left is right for left, right in zip(before.rows("child"), after.rows("child"), strict=False))
    assert (8, 9) == (len(before.rows("child")), len(after.rows("child")))
