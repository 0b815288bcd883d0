"""What statements reach, and what tells contents apart."""

from __future__ import annotations

import contextlib
import sqlite3

from treadle.values.operation import Kind, Operation
from treadle.world.content import Library
from treadle.world.effects import Lexicon

_SCHEMA = """
    CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent ON DELETE CASCADE);
"""


def test_a_foreign_key_action_changes_its_table() -> None:
    """A client may have switched foreign keys on: what a DELETE cascades to is no constant."""
    with contextlib.ExitStack() as stack:
        plain, thorough = (stack.enter_context(contextlib.closing(sqlite3.connect(":memory:"))) for _ in range(2))
        for connection in (plain, thorough):
            connection.executescript(_SCHEMA)
        reach = Lexicon(plain, thorough).effects(Operation(Kind.EXECUTE, 0, 0, "DELETE FROM parent WHERE id = 1")).reach
        roots = dict(thorough.execute("SELECT name, rootpage FROM sqlite_schema"))
        assert {roots["parent"], roots["child"]} <= reach.changed
        assert reach.tables is not None
        assert {"parent", "child"} <= reach.tables


def test_contents_that_differ_in_the_next_key_have_other_digests() -> None:
    """Rows alone do not tell: what AUTOINCREMENT gives next is part of what is committed."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(_SCHEMA)
        library = Library()
        before = library.read(connection)
        connection.execute("INSERT INTO parent (name) VALUES ('a')")
        connection.execute("DELETE FROM parent")
        after = library.read(connection)
    assert before is not after
    assert before.digest != after.digest
