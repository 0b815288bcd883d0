"""What statements do, as SQLite tells it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from treadle.world.effects import NOTHING, Effects, Lexicon, SavepointAction

_SCHEMA = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, v)",
    "CREATE TABLE u (id INTEGER PRIMARY KEY, k UNIQUE ON CONFLICT ROLLBACK)",
    "CREATE TABLE w (v)",
    "CREATE TRIGGER no AFTER INSERT ON w BEGIN SELECT RAISE(ROLLBACK, 'no') WHERE NEW.v = 3; END",
    "CREATE VIEW x AS SELECT changes() AS c FROM t",
)

_INSERTS = {"schema", "reads", "writes", "tables", "plain"}


@pytest.fixture
def lexicon() -> Iterator[Lexicon]:
    """Give what compiles statements."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in _SCHEMA:
        connection.execute(statement)
    yield Lexicon(connection, "wal")
    connection.close()


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("-- nothing", {}),
        ("SELECT 1", {"schema"}),
        ("SELECT v FROM t", {"schema", "reads"}),
        ("EXPLAIN SELECT v FROM t", {"schema"}),
        ("EXPLAIN QUERY PLAN SELECT v FROM t", {"schema"}),
        ("INSERT INTO t (v) VALUES (1)", _INSERTS),
        ("UPDATE t SET v = 1", {"schema", "reads", "writes", "tables"}),
        ("INSERT OR ROLLBACK INTO t VALUES (1, 1)", {*_INSERTS, "may_roll_back"}),
        ("INSERT INTO u (k) VALUES (1)", {*_INSERTS, "may_roll_back"}),
        ("INSERT INTO w VALUES (1)", {"schema", "reads", "writes", "tables", "may_roll_back"}),
        ("BEGIN", {"begins"}),
        ("BEGIN IMMEDIATE", {"begins", "reads", "writes"}),
        ("BEGIN EXCLUSIVE", {"begins", "reads", "writes", "exclusive"}),
        ("COMMIT", {"ends"}),
        ("ROLLBACK", {"ends", "rolls_back"}),
        ("SELECT total_changes()", {"schema", "counters"}),
        ("SELECT c FROM x", {"schema", "reads", "counters"}),
        ("CREATE TABLE n (a)", {"schema", "reads", "writes", "changes_schema", "tables"}),
        ("CREATE TABLE IF NOT EXISTS t (a)", {"schema", "reads"}),
        ("CREATE TEMP TABLE n (a)", {"schema", "temporary", "tables"}),
        ("PRAGMA foreign_keys = ON", {"schema", "setting"}),
        ("PRAGMA /* so */ 'busy_timeout' = 3", {"setting", "timeout"}),
        ("PRAGMA busy_timeout", {"timeout"}),
        ("PRAGMA user_version", {"schema", "reads"}),
        ("PRAGMA user_version = 3", {"schema", "reads", "writes"}),
        ("PRAGMA journal_mode", {"schema"}),
        ("PRAGMA journal_mode = WAL", {"schema"}),
        ("PRAGMA no_such_thing = 3", {}),
    ],
)
def test_effects(lexicon: Lexicon, sql: str, expected: set[str]) -> None:
    """The attributes that differ from those of a statement that does nothing."""
    effects = lexicon.of(sql)
    names = {name for name in _names() if getattr(effects, name) != getattr(NOTHING, name)}
    assert set(expected) == names


@pytest.mark.parametrize(
    "sql",
    [
        *("PRAGMA wal_checkpoint", "PRAGMA data_version", "PRAGMA journal_mode = DELETE", "VACUUM", "ANALYZE"),
        "SELECT rootpage FROM sqlite_schema",
    ],
)
def test_what_is_on_no_list_is_unknown(lexicon: Lexicon, sql: str) -> None:
    """It may depend on everything."""
    assert lexicon.of(sql).unknown


@pytest.mark.parametrize("sql", ["ATTACH 'other.db' AS other", "VACUUM INTO 'copy.db'", "SELECT random()"])
def test_what_escapes_is_refused(lexicon: Lexicon, sql: str) -> None:
    """It cannot be checked."""
    assert lexicon.of(sql).escapes


def test_a_statement_that_does_not_compile_may_do_anything(lexicon: Lexicon) -> None:
    """Only its own connection may know what it names."""
    assert not lexicon.of("SELECT * FROM missing").known


def test_savepoints_have_names(lexicon: Lexicon) -> None:
    """In lower case, as SQLite compares them."""
    found: list[Any] = [lexicon.of(sql) for sql in ("SAVEPOINT Abc", "ROLLBACK TO abc", "RELEASE ABC")]
    assert [(SavepointAction.BEGIN, "abc"), (SavepointAction.ROLLBACK_TO, "abc"), (SavepointAction.RELEASE, "abc")] == [
        (effects.savepoint, effects.name) for effects in found
    ]


def _names() -> list[str]:
    skipped = {"shape", "name", "savepoint"}
    return [item.name for item in Effects.__attrs_attrs__ if item.name not in skipped]
