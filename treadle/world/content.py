"""Committed contents: reading them, telling them apart, and bringing them back."""

from __future__ import annotations

import hashlib
import marshal
import sqlite3
from collections.abc import Iterable
from typing import Any

from attrs import field, frozen

from treadle.values.view import Committed, Reference, Table


def quoted(name: str) -> str:
    """Return an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


@frozen
class Layout:
    """How the rows of one table are read and written.

    Attributes:
        name: the table.
        columns: its columns.
        hidden_rowid: the rowid is no column, and is read in front of the columns.
        rowid_position: where in a row, as read, the rowid stands; None if it cannot be read.
        simple: rows can be taken out and put back by plain DELETE and INSERT.
        references: its foreign keys of one column.
        select: the statement that reads all rows in a fixed order.
        delete: the statement that takes out the row with a rowid.
        insert: the statement that puts a row, as read, back.
    """

    name: str
    columns: tuple[str, ...]
    hidden_rowid: bool
    rowid_position: int | None
    simple: bool
    references: tuple[Reference, ...]
    select: str = field(init=False)
    delete: str = field(init=False)
    insert: str = field(init=False)

    @property
    def key(self) -> str | None:
        """The column that is the INTEGER PRIMARY KEY, if there is one."""
        if self.hidden_rowid or self.rowid_position is None:
            return None
        return self.columns[self.rowid_position]

    def _read_columns(self) -> tuple[str, ...]:
        return ("rowid", *self.columns) if self.hidden_rowid else self.columns

    @select.default
    def _select(self) -> str:
        names = ", ".join(map(quoted, self._read_columns()))
        count = len(self._read_columns())
        order = range(1, count + 1) if self.rowid_position is None else [self.rowid_position + 1]
        return f"SELECT {names} FROM {quoted(self.name)} ORDER BY {', '.join(map(str, order))}"  # noqa: S608  # quoted

    @delete.default
    def _delete(self) -> str:
        return f"DELETE FROM {quoted(self.name)} WHERE rowid = ?"  # noqa: S608  # quoted name

    @insert.default
    def _insert(self) -> str:
        names = ", ".join(map(quoted, self._read_columns()))
        marks = ", ".join("?" * len(self._read_columns()))
        return f"INSERT INTO {quoted(self.name)} ({names}) VALUES ({marks})"  # noqa: S608  # quoted names


@frozen
class Schema:
    """The tables of a database.

    Attributes:
        key: the text of the schema; equal texts are equal schemas.
        number: its place among the schemas seen, from 0.
        layouts: its tables, ``sqlite_sequence`` included.
        simple: contents under this schema can be brought back by plain DELETE and INSERT.
    """

    key: bytes
    number: int
    layouts: tuple[Layout, ...]
    simple: bool


@frozen(eq=False)
class Content:
    """One committed content. Interned: identity tells.

    Attributes:
        number: its place among the contents seen, from 0.
        schema: its schema.
        rows: for each layout, the rows as read; equal rows are one object.
        user_version: the PRAGMA of that name.
    """

    number: int
    schema: Schema
    rows: tuple[tuple[tuple[Any, ...], ...], ...]
    user_version: int
    _view: list[Committed] = field(factory=list, init=False, repr=False)
    _digest: list[str] = field(factory=list, init=False, repr=False)

    @property
    def digest(self) -> str:
        """What makes two contents the same, in every process."""
        if not self._digest:
            whole = marshal.dumps((self.schema.key, self.rows, self.user_version), 2)
            self._digest.append(hashlib.blake2b(whole, digest_size=16).hexdigest())
        return self._digest[0]

    @property
    def committed(self) -> Committed:
        """The content as properties see it: without SQLite's own tables and hidden rowids."""
        if not self._view:
            self._view.append(
                Committed(
                    {
                        layout.name: Table(
                            layout.columns,
                            tuple(row[1:] for row in rows) if layout.hidden_rowid else rows,
                            layout.key,
                            layout.references,
                        )
                        for layout, rows in zip(self.schema.layouts, self.rows, strict=True)
                        if not layout.name.startswith("sqlite_")
                    }
                )
            )
        return self._view[0]


def _references(connection: sqlite3.Connection, name: str) -> tuple[Reference, ...]:
    """Return the foreign keys of one column (https://www.sqlite.org/pragma.html#pragma_foreign_key_list)."""
    listed = connection.execute(f"PRAGMA foreign_key_list({quoted(name)})").fetchall()
    numbers = [entry[0] for entry in listed]
    return tuple(Reference(entry[3], entry[2]) for entry in listed if numbers.count(entry[0]) == 1)


def _layout(connection: sqlite3.Connection, name: str, sql: str) -> Layout:
    columns = connection.execute(f"PRAGMA table_xinfo({quoted(name)})").fetchall()
    visible = tuple(column[1] for column in columns if column[6] != 1)
    keys = [column[1] for column in columns if column[5]]
    types = {column[1]: column[2].upper() for column in columns}
    try:
        connection.execute(f"SELECT rowid FROM {quoted(name)} LIMIT 0")  # noqa: S608  # quoted name
        has_rowid = "rowid" not in map(str.lower, visible)
    except sqlite3.Error:
        has_rowid = False
    alias = visible.index(keys[0]) if len(keys) == 1 and types[keys[0]] == "INTEGER" and has_rowid else None
    hidden = has_rowid and alias is None
    generated = any(column[6] for column in columns)
    virtual = sql.lstrip()[:14].upper().startswith("CREATE VIRTUAL")
    return Layout(
        name,
        visible,
        hidden_rowid=hidden,
        rowid_position=0 if hidden else alias,
        simple=has_rowid and not (generated or virtual),
        references=_references(connection, name),
    )


class Library:
    """All contents and schemas that were seen, each once."""

    def __init__(self) -> None:
        """Start empty."""
        self._schemas: dict[bytes, Schema] = {}
        self._tables: dict[bytes, tuple[tuple[Any, ...], ...]] = {}
        self._contents: dict[tuple[int, tuple[int, ...], int], Content] = {}

    def read(self, connection: sqlite3.Connection) -> Content:
        """Return the committed content that a connection sees.

        Args:
            connection: one that is in no transaction; rows are read under one snapshot.
        """
        connection.execute("BEGIN")
        try:
            schema = self._schema(connection)
            rows = tuple(self._rows(connection, layout) for layout in schema.layouts)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        finally:
            connection.execute("COMMIT")
        key = (schema.number, tuple(map(id, rows)), version)
        content = self._contents.get(key)
        if content is None:
            content = self._contents[key] = Content(len(self._contents), schema, rows, version)
        return content

    def _rows(self, connection: sqlite3.Connection, layout: Layout) -> tuple[tuple[Any, ...], ...]:
        rows = tuple(connection.execute(layout.select))
        key = marshal.dumps(rows, 2)
        return self._tables.setdefault(key, rows)

    def _schema(self, connection: sqlite3.Connection) -> Schema:
        entries = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2").fetchall()
        key = marshal.dumps(entries, 2)
        schema = self._schemas.get(key)
        if schema is None:
            layouts = tuple(
                _layout(connection, name, sql or "")
                for kind, name, _, sql in entries
                if kind == "table" and not name.startswith("sqlite_stat")
            )
            simple = all(layout.simple for layout in layouts) and not any(entry[0] == "trigger" for entry in entries)
            schema = self._schemas[key] = Schema(key, len(self._schemas), layouts, simple)
        return schema


def _outside_of(rows: tuple[tuple[Any, ...], ...], others: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    known = {marshal.dumps(row, 2) for row in others}
    return [row for row in rows if marshal.dumps(row, 2) not in known]


def bring_back(connection: sqlite3.Connection, now: Content, wanted: Content) -> None:
    """Make a database with one content have another of the same, simple schema.

    Rows that differ are deleted and put back, by a connection that enforces no foreign keys.
    """
    assert now.schema is wanted.schema
    connection.execute("BEGIN IMMEDIATE")
    try:
        fresh: list[tuple[Layout, list[tuple[Any, ...]]]] = []
        for layout, rows, goal in zip(now.schema.layouts, now.rows, wanted.rows, strict=True):
            if rows is not goal:
                position = layout.rowid_position
                assert position is not None
                connection.executemany(layout.delete, [(row[position],) for row in _outside_of(rows, goal)])
                fresh.append((layout, _outside_of(goal, rows)))
        # sqlite_sequence last: inserting into an AUTOINCREMENT table writes it.
        for layout, missing in sorted(fresh, key=lambda item: item[0].name == "sqlite_sequence"):
            connection.executemany(layout.insert, missing)
        if now.user_version != wanted.user_version:
            connection.execute(f"PRAGMA user_version = {wanted.user_version}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
