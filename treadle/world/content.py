"""Committed contents: reading them, telling them apart, and bringing them back.

A content is a tuple of tables, a table a tuple of stretches, and a stretch all rows whose rowids lie in one range.
Equal stretches are one object, as equal contents are, so that contents share what they have in common::

    content 7   backfill ▣   dag_run ▣ ▣ ▣         one row more in dag_run:
                         │           │ │           the last stretch is another one,
    content 8   backfill ▣   dag_run ▣ ▣ ▣         and all others are the same

(Merkle, "A Digital Signature Based on a Conventional Encryption Function", 1987, tells trees of values apart so: each
by a digest of its parts. The digest is cryptographic, so that no two different contents will ever have the same.)
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import marshal
import operator
import sqlite3
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any

from attrs import field, frozen

from treadle.values.view import Committed, Record, Records, Reference, Table
from treadle.world.ledger import Ledger

Rows = tuple[tuple[Any, ...], ...]
"""Rows as read."""

_SEQUENCE = "sqlite_sequence"
"""Where SQLite keeps the highest rowids of AUTOINCREMENT tables (https://www.sqlite.org/autoinc.html)."""

HEADER = ("user_version", "application_id")
"""PRAGMAs that tell the numbers in the header that belong to what is committed."""

Header = tuple[int, int]
"""What the PRAGMAs in ``HEADER`` tell."""

_SPAN = 64
"""How many rowids a stretch spans, or how many rows where rowids cannot be read."""


_UNDECODABLE = "Could not decode to UTF-8"
"""How the driver's message starts where TEXT is no UTF-8, which SQLite does not mind."""


def _text(value: bytes) -> str:
    """Return text of which some may be no UTF-8: each such byte as a lone surrogate (PEP 383)."""
    return value.decode("utf-8", "surrogateescape")


def _fetched(connection: sqlite3.Connection, sql: str, arguments: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the rows of a query, whatever their text is."""
    try:
        return connection.execute(sql, arguments).fetchall()
    except sqlite3.OperationalError as error:
        if not str(error).startswith(_UNDECODABLE):
            raise
    connection.text_factory = _text  # slow: it is called for each text
    try:
        return connection.execute(sql, arguments).fetchall()
    finally:
        connection.text_factory = str


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
        references: the columns of its foreign keys.
        primary_key: the columns of its primary key, whatever their types.
        select: the statement that reads all rows in a fixed order.
        select_after: the statement that reads the rows after a rowid, in this order.
        delete: the statement that takes out the row with a rowid.
        insert: the statement that puts a row, as read, back.
    """

    name: str
    columns: tuple[str, ...]
    hidden_rowid: bool
    rowid_position: int | None
    simple: bool
    references: tuple[Reference, ...]
    primary_key: tuple[str, ...]
    select: str = field(init=False)
    select_after: str = field(init=False)
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

    @select_after.default
    def _select_after(self) -> str:
        return self.select.replace(" ORDER BY ", " WHERE rowid > ? ORDER BY ")

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
        key: the text of the schema, with its number in the header: connections that know another read it again.
        number: its place among the schemas seen, from 0.
        layouts: its tables, ``sqlite_sequence`` included.
        simple: contents under this schema can be brought back by plain DELETE and INSERT.
    """

    key: bytes
    number: int
    layouts: tuple[Layout, ...]
    simple: bool

    @property
    def digest(self) -> str:
        """What tells it from other schemas, in every process."""
        return hashlib.blake2b(self.key, digest_size=16).hexdigest()

    @property
    def entries(self) -> Table:
        """The rows of ``sqlite_schema``, without those that SQLite makes by itself."""
        _, rows = marshal.loads(self.key)  # noqa: S302  # it was made below
        own = [(name, kind, sql) for kind, name, _, sql in rows if not name.startswith("sqlite_")]
        return Table(("name", "type", "sql"), own)


class Stretch:
    """Neighbouring rows of one table. Interned: identity tells.

    Attributes:
        number: its place among the stretches of its table: the rowids divided by ``_SPAN``.
        digest: tells its rows from others.
        rows: the rows as read.
        records: the rows as properties see them.
    """

    __slots__ = ("digest", "number", "records", "rows")

    def __init__(self, number: int, digest: bytes, rows: Rows, records: tuple[Record, ...]) -> None:
        """Join rows, and the records of them."""
        self.number = number
        self.digest = digest
        self.rows = rows
        self.records = records


Stretches = tuple[Stretch, ...]
"""The rows of one table, in order."""


@frozen(eq=False)
class Content:
    """One committed content. Interned: identity tells.

    Attributes:
        number: its place among the contents seen, from 0.
        schema: its schema.
        tables: for each layout, its rows.
        header: the numbers in the database's header that are its own, in the order of ``HEADER``.
    """

    number: int
    schema: Schema
    tables: tuple[Stretches, ...]
    header: Header

    @functools.cached_property
    def digest(self) -> str:
        """Return what tells this content from others, in every process."""
        whole = hashlib.blake2b(self.schema.key, digest_size=16)
        for stretches in self.tables:
            whole.update(b"%d;" % len(stretches))
            for stretch in stretches:
                whole.update(stretch.digest)
        whole.update(b"%d;%d" % self.header)
        return whole.hexdigest()

    @property
    def committed(self) -> Committed:
        """The content as properties see it: without SQLite's own tables and hidden rowids."""
        return Committed(
            {
                layout.name: Table(
                    layout.columns,
                    Records(stretch.records for stretch in stretches),
                    layout.key,
                    layout.references,
                    layout.primary_key,
                )
                for layout, stretches in self._own_tables()
            }
        )

    def rows_of(self, names: AbstractSet[str]) -> tuple[Stretches, ...]:
        """Return the rows of some tables: one object each for equal rows."""
        return tuple(
            [rows for layout, rows in zip(self.schema.layouts, self.tables, strict=True) if layout.name in names]
        )

    def _own_tables(self) -> Iterator[tuple[Layout, Stretches]]:
        for layout, stretches in zip(self.schema.layouts, self.tables, strict=True):
            if not layout.name.startswith("sqlite_"):
                yield layout, stretches


def _references(connection: sqlite3.Connection, name: str) -> tuple[Reference, ...]:
    """Return the columns of foreign keys (https://www.sqlite.org/pragma.html#pragma_foreign_key_list)."""
    listed = connection.execute(f"PRAGMA foreign_key_list({quoted(name)})").fetchall()
    return tuple(Reference(column, table, target) for _, _, table, column, target, *_ in listed)


def _layout(connection: sqlite3.Connection, name: str, sql: str) -> Layout:
    columns = connection.execute(f"PRAGMA table_xinfo({quoted(name)})").fetchall()
    visible = tuple(column[1] for column in columns if column[6] != 1)
    keys = [column[1] for column in sorted(columns, key=operator.itemgetter(5)) if column[5]]
    types = {column[1]: column[2].upper() for column in columns}
    try:
        connection.execute(f"SELECT rowid FROM {quoted(name)} LIMIT 0")  # noqa: S608  # quoted name
        has_rowid = "rowid" not in map(str.lower, visible)
    except sqlite3.Error:
        has_rowid = False
    has_index = any(entry[3] == "pk" for entry in connection.execute(f"PRAGMA index_list({quoted(name)})"))
    is_alias = len(keys) == 1 and types[keys[0]] == "INTEGER" and has_rowid and not has_index  # DESC is none
    alias = visible.index(keys[0]) if is_alias else None
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
        primary_key=tuple(keys),
    )


def _can_insert(connection: Any, layout: Layout) -> bool:
    """Tell whether the checker's own connection can write rows: indexes may need a function of the application's."""
    count = layout.insert.count("?")
    try:
        connection.execute(f"EXPLAIN {layout.insert}", [None] * count).close()
    except connection.Error:
        return False
    return True


class ContentStore:
    """All contents and schemas that were seen, each once."""

    def __init__(self) -> None:
        """Start empty."""
        self._schemas: dict[bytes, Schema] = {}
        self._stretches: dict[tuple[int, int, bytes], Stretch] = {}
        self._contents: dict[tuple[int, tuple[Stretches, ...], Header], Content] = {}

    def read(
        self, connection: sqlite3.Connection, since: Content | None = None, ledger: Ledger | None = None
    ) -> Content:
        """Return the committed content that a connection sees.

        Args:
            connection: one that is in no transaction; rows are read under one snapshot.
            since: the content that was committed before, if it is known.
            ledger: what may have been written since; without, everything.
        """
        connection.execute("BEGIN")
        try:
            if since is None or ledger is None or ledger.unclear:
                schema = self._schema(connection)
                tables = tuple(self._all(connection, layout) for layout in schema.layouts)
            else:
                schema = since.schema
                tables = tuple(
                    self._again(connection, layout, stretches, ledger.tables[layout.name])
                    if layout.name in ledger.tables
                    else stretches
                    for layout, stretches in zip(schema.layouts, since.tables, strict=True)
                )
            user_version, application_id = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in HEADER)
        finally:
            connection.execute("COMMIT")
        header = (user_version, application_id)
        key = (schema.number, tables, header)
        content = self._contents.get(key)
        if content is None:
            content = self._contents[key] = Content(len(self._contents), schema, tables, header)
        return content

    def _all(self, connection: sqlite3.Connection, layout: Layout, known: Stretches = ()) -> Stretches:
        """Read all rows of a table; what is known of it is only looked at to make fewer new objects."""
        return self._stretched(layout, _fetched(connection, layout.select), known)

    def _again(
        self, connection: sqlite3.Connection, layout: Layout, known: Stretches, inserted: int | None
    ) -> Stretches:
        """Read a table again.

        Args:
            connection: reads.
            layout: of the table.
            known: what was there before.
            inserted: how many rows were inserted since; None if something else may have happened.
        """
        position = layout.rowid_position
        if position is not None and inserted is not None and known:
            fresh = _fetched(connection, layout.select_after, (known[-1].rows[-1][position],))
            if len(fresh) == inserted:  # so it was inserted here, and nowhere else
                last = known[-1]
                if not fresh:
                    return known
                if fresh[-1][position] // _SPAN == last.number:
                    return (*known[:-1], self._stretch(layout, last.number, (*last.rows, *fresh), last))
                return known[:-1] + self._stretched(layout, itertools.chain(last.rows, fresh), (last,))
        return self._all(connection, layout, known)

    def _stretched(self, layout: Layout, rows: Iterable[tuple[Any, ...]], known: Stretches) -> Stretches:
        position = layout.rowid_position
        before = {stretch.number: stretch for stretch in known}
        numbered: Iterable[tuple[int, tuple[Any, ...]]] = (
            enumerate(rows) if position is None else ((row[position], row) for row in rows)
        )
        return tuple(
            self._stretch(layout, number, tuple(row for _, row in group), before.get(number))
            for number, group in itertools.groupby(numbered, key=lambda item: item[0] // _SPAN)
        )

    def _stretch(self, layout: Layout, number: int, rows: Rows, known: Stretch | None) -> Stretch:
        digest = hashlib.blake2b(marshal.dumps(rows, 2), digest_size=32).digest()
        if known is not None and known.digest == digest:
            return known
        key = (id(layout), number, digest)  # layouts live as long as this library
        stretch = self._stretches.get(key)
        if stretch is None:
            stretch = self._stretches[key] = Stretch(number, digest, rows, _records(layout, rows, known))
        return stretch

    def _schema(self, connection: sqlite3.Connection) -> Schema:
        entries = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2").fetchall()
        cookie = connection.execute("PRAGMA schema_version").fetchone()[0]
        key = marshal.dumps((cookie, entries), 2)
        schema = self._schemas.get(key)
        if schema is None:
            layouts = tuple(_layout(connection, name, sql or "") for kind, name, _, sql in entries if kind == "table")
            simple = all(layout.simple and _can_insert(connection, layout) for layout in layouts)
            simple = simple and not any(entry[0] == "trigger" for entry in entries)
            schema = self._schemas[key] = Schema(key, len(self._schemas), layouts, simple)
        return schema


def _marked(row: tuple[Any, ...]) -> bytes:
    """Return bytes that are equal for equal rows; ``==`` would take 1 for 1.0."""
    return marshal.dumps(row, 2)


def _records(layout: Layout, rows: Rows, known: Stretch | None) -> tuple[Record, ...]:
    """Return records of rows, those of a stretch that had the same rows where that is so."""
    shared: tuple[Record, ...] = ()
    same: dict[bytes, Record] = {}
    if known is not None:
        if len(known.rows) <= len(rows) and all(map(operator.is_, known.rows, rows)):  # rows were added to it
            shared = known.records
        else:
            same = dict(zip(map(_marked, known.rows), known.records, strict=True))
    others = rows[len(shared) :]
    return shared + tuple(
        (same.get(_marked(row)) if same else None) or Record(row[1:] if layout.hidden_rowid else row) for row in others
    )


def _outside_of(rows: Rows, others: Rows) -> list[tuple[Any, ...]]:
    if not others:
        return list(rows)
    known = set(map(_marked, others))
    return [row for row in rows if _marked(row) not in known]


def _difference(now: Stretches, wanted: Stretches) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return the rows that are too many, and those that are missing."""
    too_many: list[tuple[Any, ...]] = []
    missing: list[tuple[Any, ...]] = []
    here = {stretch.number: stretch for stretch in now}
    there = {stretch.number: stretch for stretch in wanted}
    for number in {**here, **there}:
        old, new = here.get(number), there.get(number)
        if old is not new:
            rows, goal = old.rows if old else (), new.rows if new else ()
            too_many += _outside_of(rows, goal)
            missing += _outside_of(goal, rows)
    return too_many, missing


def _put(connection: sqlite3.Connection, layout: Layout, rows: Iterable[tuple[Any, ...]]) -> None:
    """Insert rows as read. The driver takes text that is no UTF-8 as bytes only, and SQLite makes text of them."""
    try:
        connection.executemany(layout.insert, rows)
    except UnicodeEncodeError:
        head, values, _ = layout.insert.replace("INSERT", "INSERT OR REPLACE", 1).rpartition(" VALUES ")
        for row in rows:  # those before the one that it did not take are there already
            marks = ", ".join("CAST(? AS TEXT)" if isinstance(value, str) else "?" for value in row)
            bound = [value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value for value in row]
            connection.execute(f"{head}{values}({marks})", bound)


def bring_back(connection: sqlite3.Connection, now: Content, wanted: Content) -> None:
    """Make a database with one content have another of the same, simple schema.

    Rows that differ are deleted and put back, by a connection that enforces no foreign keys. All of sqlite_sequence
    is put back last: SQLite itself writes it when a row comes into an AUTOINCREMENT table.
    """
    assert now.schema is wanted.schema
    connection.execute("BEGIN IMMEDIATE")
    try:
        fresh: list[tuple[Layout, list[tuple[Any, ...]]]] = []
        for layout, stretches, goal in zip(now.schema.layouts, now.tables, wanted.tables, strict=True):
            if layout.name == _SEQUENCE:
                fresh.append((layout, [row for stretch in goal for row in stretch.rows]))
            elif stretches != goal:
                position = layout.rowid_position
                assert position is not None
                too_many, missing = _difference(stretches, goal)
                connection.executemany(layout.delete, [(row[position],) for row in too_many])
                fresh.append((layout, missing))
        for layout, missing in sorted(fresh, key=lambda item: item[0].name == _SEQUENCE):
            if layout.name == _SEQUENCE:
                connection.execute("DELETE FROM sqlite_sequence")
            _put(connection, layout, missing)
        for name, number, wanted_number in zip(HEADER, now.header, wanted.header, strict=True):
            if number != wanted_number:
                connection.execute(f"PRAGMA {name} = {wanted_number}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
