"""Programs of database clients as data, what plays them on any driver, and what draws them.

A case is one line of text, which can be read and written by hand::

    delete 5000 / legacy: read, add?, 2.read, commit / none leave: immediate, or rollback!, COMMIT

These are the journal mode and the busy timeout in milliseconds, then one program for each client: its style, whether
it leaves its connections open (it closes them otherwise), and its steps. A step is a verb of ``VERBS`` or ``PARTS``, on
the client's second connection with ``2.`` before it. With ``?`` an error is noted and the program goes on, with ``!``
the step is tried once more before that, and without either the client ends with the error.

What a client saw is what it returns, and what it read goes into what it writes, so that two executions that differ
anywhere differ in how they end.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from attrs import evolve, frozen
from sqlalchemy import Column, Engine, ForeignKey, Integer, NullPool, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Session, configure_mappers

# Cases.


@frozen
class Step:
    """One step.

    Attributes:
        verb: what to do.
        connection: on which of the client's connections, 1 or 2.
        handling: of an error: ``""`` raise, ``"?"`` note it and go on, ``"!"`` try once more, then the same.
    """

    verb: str
    connection: int = 1
    handling: str = ""

    def __str__(self) -> str:
        return f"{'2.' if self.connection == 2 else ''}{self.verb}{self.handling}"

    @classmethod
    def parse(cls, written: str) -> Step:
        """Read a step as it is written."""
        found = re.fullmatch(r"(2\.)?([^?!]+?)([?!]?)", written.strip())
        assert found, f"{written!r} is no step"
        verb = found[2]
        assert verb in VERBS or verb in PARTS, f"{verb!r} is no verb"
        return cls(verb, 2 if found[1] else 1, found[3])


@frozen
class Program:
    """What one client does.

    Attributes:
        style: one of ``STYLES`` or ``ENGINES``.
        steps: in this order.
        leaves: its connections open.
    """

    style: str
    steps: tuple[Step, ...]
    leaves: bool = False

    def __str__(self) -> str:
        return f"{self.style}{' leave' if self.leaves else ''}: {', '.join(map(str, self.steps))}"

    @classmethod
    def parse(cls, written: str) -> Program:
        """Read a program as it is written."""
        head, _, steps = written.strip().partition(":")
        style = head.removesuffix(" leave")
        assert style in STYLES or style in ENGINES, f"{style!r} is no style"
        return cls(style, tuple(Step.parse(step) for step in steps.split(",") if step.strip()), style != head)


@frozen
class Case:
    """Programs side by side, and the database that they share.

    Attributes:
        journal: wal or delete.
        busy_timeout_ms: of every connection.
        programs: one for each client.
    """

    journal: str
    busy_timeout_ms: int
    programs: tuple[Program, ...]

    def __str__(self) -> str:
        return " / ".join((f"{self.journal} {self.busy_timeout_ms}", *map(str, self.programs)))

    @classmethod
    def parse(cls, written: str) -> Case:
        """Read a case as it is written."""
        head, *programs = written.split("/")
        journal, timeout = head.split()
        return cls(journal, int(timeout), tuple(map(Program.parse, programs)))

    @property
    def features(self) -> frozenset[str]:
        """What the verbs and styles of the case belong to."""
        return frozenset(
            feature
            for program in self.programs
            for feature in (
                *_features_of_style(program.style),
                *(feature for step in program.steps for feature in _features_of_verb(step.verb)),
            )
        )

    @property
    def schema(self) -> tuple[str, ...]:
        """The statements that make the database: what the case needs, and no more."""
        return tuple(sql for name, statements in SCHEMAS.items() if name in {"", *self.features} for sql in statements)


# What is there before any client starts, for each feature that needs it.

SCHEMAS = {
    "": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)",
        "INSERT INTO t VALUES (1, 10), (2, 20)",
        "CREATE TABLE u (id INTEGER PRIMARY KEY, k INTEGER UNIQUE)",
        "INSERT INTO u VALUES (1, 1)",
    ),
    "conflict": (
        """CREATE TABLE k (
            rolls INTEGER UNIQUE ON CONFLICT ROLLBACK, fails INTEGER UNIQUE ON CONFLICT FAIL,
            replaced INTEGER UNIQUE ON CONFLICT REPLACE, ignored INTEGER UNIQUE ON CONFLICT IGNORE,
            full INTEGER NOT NULL ON CONFLICT ABORT DEFAULT 0)""",
        "INSERT INTO k VALUES (1, 1, 1, 1, 1)",
    ),
    "trigger": (
        "CREATE TABLE g (v INTEGER)",
        "CREATE TABLE heard (v INTEGER)",
        """CREATE TRIGGER before_g BEFORE INSERT ON g BEGIN
            SELECT RAISE(ROLLBACK, 'rolled') WHERE new.v = 66; SELECT RAISE(IGNORE) WHERE new.v = 67;
            SELECT RAISE(ABORT, 'aborted') WHERE new.v = 68; SELECT RAISE(FAIL, 'failed') WHERE new.v = 69; END""",
        """CREATE TRIGGER after_g AFTER INSERT ON g BEGIN
            INSERT INTO heard VALUES (new.v); UPDATE t SET v = v + new.v WHERE id = 1; END""",
    ),
    "foreign key": (
        "CREATE TABLE p (id INTEGER PRIMARY KEY, v INTEGER)",
        "INSERT INTO p VALUES (1, 1), (2, 2)",
        "CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p ON DELETE CASCADE)",
        "INSERT INTO child VALUES (1, 1), (2, 1)",
        "CREATE TABLE late (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TABLE loose (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p ON DELETE SET NULL)",
        "INSERT INTO loose VALUES (1, 2)",
    ),
    "view": (
        "CREATE VIEW summed AS SELECT sum(v) AS s, count(*) AS n FROM t",
        "CREATE TRIGGER instead INSTEAD OF INSERT ON summed BEGIN INSERT INTO t (v) VALUES (new.s); END",
    ),
    "without rowid": (
        "CREATE TABLE w (k TEXT PRIMARY KEY, v INTEGER) WITHOUT ROWID",
        "INSERT INTO w VALUES ('a', 1), ('b', 2)",
    ),
    "generated": (
        "CREATE TABLE made (a INTEGER, twice INTEGER GENERATED ALWAYS AS (a * 2) STORED, more INTEGER AS (a + 1))",
        "INSERT INTO made (a) VALUES (1)",
    ),
    "autoincrement": (
        "CREATE TABLE ai (id INTEGER PRIMARY KEY AUTOINCREMENT, v INTEGER)",
        "INSERT INTO ai (v) VALUES (1), (2)",
    ),
}

# Styles.

STYLES: dict[str, dict[str, Any]] = {
    "legacy": {"isolation_level": ""},
    "none": {"isolation_level": None},
    "immediate": {"isolation_level": "IMMEDIATE"},
    "exclusive": {"isolation_level": "EXCLUSIVE"},
    "off": {"autocommit": False},
    "on": {"autocommit": True},
}
"""How a connection is opened; the last two since Python 3.12."""

ENGINES = ("pool", "null pool", "autocommit engine")
"""SQLAlchemy engines, with sessions of the ORM and connections of the core."""

HAS_AUTOCOMMIT = sys.version_info >= (3, 12)


def _features_of_style(style: str) -> tuple[str, ...]:
    if style in ENGINES:
        return ("alchemy",)
    return ("autocommit",) if style in {"off", "on"} else ()


# Verbs of the driver.


@frozen
class Verb:
    """What a step can do.

    Attributes:
        feature: what it belongs to.
        kind: how the player does it.
        sql: the statement, where it needs one; it may use the parameters ``:own``, which differs for each client, and
            ``:last``, which is what the client read last.
    """

    feature: str
    kind: str
    sql: str = ""


def _verbs(feature: str, kind: str, **statements: str) -> dict[str, Verb]:
    return {name.replace("_", " ").strip(): Verb(feature, kind, sql) for name, sql in statements.items()}


VERBS: dict[str, Verb] = {
    # Plain reads and writes.
    **_verbs(
        "plain",
        "rows",
        read="SELECT id, v FROM t",
        read_one="SELECT v FROM t WHERE id = 1",
        read_u="SELECT id, k FROM u",
        constant="SELECT 1",
        count="SELECT count(*) FROM t",
    ),
    **_verbs(
        "plain",
        "run",
        add="UPDATE t SET v = v + :own WHERE id = 1",
        add_two="UPDATE t SET v = v + :own WHERE id = 2",
        put="UPDATE t SET v = :last + 100 * :own WHERE id = 1",
        same="UPDATE t SET v = v",
        no_row="UPDATE t SET v = 0 WHERE id = 99",
        delete="DELETE FROM t WHERE id = 2",
        insert="INSERT INTO t (v) VALUES (:own)",
        unique="INSERT INTO u (k) VALUES (2)",
        duplicate="INSERT INTO u (k) VALUES (1)",
        from_select="INSERT INTO u (k) SELECT v + :own FROM t",
    ),
    # Transactions.
    **_verbs(
        "transaction",
        "run",
        begin="BEGIN",
        begin_immediate="BEGIN IMMEDIATE",
        begin_exclusive="BEGIN EXCLUSIVE",
        COMMIT="COMMIT",
        ROLLBACK="ROLLBACK",
    ),
    "commit": Verb("plain", "call"),
    "rollback": Verb("plain", "call"),
    "shut": Verb("plain", "call"),
    # Savepoints.
    **_verbs(
        "savepoint",
        "run",
        savepoint="SAVEPOINT s",
        release="RELEASE s",
        rollback_to="ROLLBACK TO s",
        savepoint_in="SAVEPOINT inner",
        release_in="RELEASE inner",
        rollback_to_in="ROLLBACK TO inner",
    ),
    # Half-read cursors.
    **_verbs(
        "cursor",
        "keep",
        first="SELECT id, v FROM t",
        first_u="SELECT id, k FROM u UNION ALL SELECT 9, 9",
    ),
    "next": Verb("cursor", "kept"),
    "rest": Verb("cursor", "kept"),
    "again": Verb("cursor", "kept", "SELECT id, k FROM u UNION ALL SELECT id, v FROM t"),
    "add by it": Verb("cursor", "kept", "UPDATE t SET v = v + :own WHERE id = 1"),
    "close": Verb("cursor", "kept"),
    "drop": Verb("cursor", "kept"),
    **_verbs(
        "returning",
        "keep",
        returning="INSERT INTO t (v) VALUES (:last), (5), (:own) RETURNING id",
        update_returning="UPDATE t SET v = v + :own RETURNING v",
    ),
    **_verbs(
        "returning",
        "rows",
        returning_all="INSERT INTO t (v) VALUES (:last), (:own) RETURNING id, v",
        delete_returning="DELETE FROM t WHERE id = 2 RETURNING v",
    ),
    # Changes of the schema.
    **_verbs(
        "schema",
        "run",
        create="CREATE TABLE n (a INTEGER)",
        create_if="CREATE TABLE IF NOT EXISTS n (a INTEGER)",
        create_as="CREATE TABLE n AS SELECT v AS a FROM t",
        drop_n="DROP TABLE n",
        drop_if="DROP TABLE IF EXISTS n",
        drop_u="DROP TABLE u",
        fill="INSERT INTO n (a) VALUES (:own)",
        index="CREATE INDEX by_v ON t (v)",
        index_unique="CREATE UNIQUE INDEX by_v ON t (v)",
        drop_index="DROP INDEX by_v",
        alter="ALTER TABLE t ADD COLUMN extra INTEGER DEFAULT 7",
        rename="ALTER TABLE u RENAME TO n",
        create_trigger="CREATE TRIGGER made AFTER INSERT ON u BEGIN UPDATE t SET v = v + new.k WHERE id = 2; END",
    ),
    **_verbs(
        "schema", "rows", read_n="SELECT a FROM n", star="SELECT * FROM t", names="SELECT name FROM sqlite_schema"
    ),
    # Constraints that end more than a statement.
    **_verbs(
        "conflict",
        "run",
        or_rollback="INSERT OR ROLLBACK INTO u (k) VALUES (10 + :own), (1)",
        or_abort="INSERT OR ABORT INTO u (k) VALUES (10 + :own), (1)",
        or_fail="INSERT OR FAIL INTO u (k) VALUES (10 + :own), (1), (20 + :own)",
        or_ignore="INSERT OR IGNORE INTO u (k) VALUES (10 + :own), (1), (2)",
        or_replace="INSERT OR REPLACE INTO u (id, k) VALUES (10 + :own, 1)",
        update_or_rollback="UPDATE OR ROLLBACK u SET id = 1",
        update_or_replace="UPDATE OR REPLACE u SET k = 2",
        rolls="INSERT INTO k (rolls) VALUES (10 + :own), (1)",
        fails="INSERT INTO k (fails) VALUES (10 + :own), (1)",
        replaces="INSERT INTO k (replaced) VALUES (10 + :own), (1)",
        ignores="INSERT INTO k (ignored) VALUES (10 + :own), (1)",
        null_aborts='INSERT INTO k ("full") VALUES (10 + :own), (NULL)',
        upsert="INSERT INTO u (k) VALUES (1) ON CONFLICT (k) DO UPDATE SET k = k + 10 * :own",
        upsert_nothing="INSERT INTO u (k) VALUES (1) ON CONFLICT DO NOTHING",
        upsert_new="INSERT INTO u (k) VALUES (2) ON CONFLICT (k) DO UPDATE SET k = k + 10",
    ),
    # Triggers.
    **_verbs(
        "trigger",
        "run",
        hear="INSERT INTO g VALUES (:own)",
        raise_rollback="INSERT INTO g VALUES (:own), (66)",
        raise_ignore="INSERT INTO g VALUES (67), (:own)",
        raise_abort="INSERT INTO g VALUES (:own), (68)",
        raise_fail="INSERT INTO g VALUES (:own), (69)",
    ),
    **_verbs("trigger", "rows", read_heard="SELECT v FROM heard"),
    # Foreign keys.
    **_verbs(
        "foreign key",
        "run",
        keys_on="PRAGMA foreign_keys = ON",
        keys_off="PRAGMA foreign_keys = OFF",
        keys_later="PRAGMA defer_foreign_keys = ON",
        delete_parent="DELETE FROM p WHERE id = 1",
        delete_other="DELETE FROM p WHERE id = 2",
        orphan="INSERT INTO child (p) VALUES (9)",
        late_orphan="INSERT INTO late (p) VALUES (9)",
        add_child="INSERT INTO child (p) VALUES (1)",
        add_late="INSERT INTO late (p) VALUES (2)",
        add_parent="INSERT INTO p VALUES (9, :own)",
    ),
    **_verbs("foreign key", "rows", keys="PRAGMA foreign_keys", read_child="SELECT id, p FROM child"),
    # Temporary tables, views, and special tables.
    **_verbs(
        "temporary",
        "run",
        temp="CREATE TEMP TABLE mine AS SELECT v FROM t",
        temp_fill="INSERT INTO temp.mine VALUES (:own)",
        temp_from="INSERT INTO mine SELECT v FROM t",
        to_t="INSERT INTO t (v) SELECT max(v) + :own FROM mine",
        temp_shadow="CREATE TEMP TABLE u (id INTEGER PRIMARY KEY, k INTEGER)",
        temp_trigger="CREATE TEMP TRIGGER mine_too AFTER UPDATE ON t BEGIN INSERT INTO u (k) VALUES (70 + new.v); END",
    ),
    **_verbs("temporary", "rows", read_temp="SELECT v FROM mine"),
    **_verbs("view", "rows", read_view="SELECT n, s FROM summed"),
    **_verbs("view", "run", insert_view="INSERT INTO summed (s) VALUES (:own)"),
    **_verbs("without rowid", "rows", read_w="SELECT k, v FROM w"),
    **_verbs(
        "without rowid",
        "run",
        add_w="UPDATE w SET v = v + :own WHERE k = 'a'",
        insert_w="INSERT INTO w VALUES ('c', :own)",
        replace_w="REPLACE INTO w VALUES ('a', :last + :own)",
    ),
    **_verbs("generated", "rows", read_made="SELECT a, more, twice FROM made"),
    **_verbs(
        "generated",
        "run",
        insert_made="INSERT INTO made (a) VALUES (:own)",
        add_made="UPDATE made SET a = twice + :own",
    ),
    **_verbs("autoincrement", "rows", read_sequence="SELECT name, seq FROM sqlite_sequence"),
    **_verbs(
        "autoincrement",
        "run",
        insert_ai="INSERT INTO ai (v) VALUES (:own)",
        delete_ai="DELETE FROM ai",
        reset_ai="DELETE FROM sqlite_sequence",
    ),
    # The header, and settings of a connection.
    **_verbs("header", "rows", version="PRAGMA user_version", application="PRAGMA application_id"),
    **_verbs(
        "header",
        "run",
        set_version="PRAGMA user_version = 5",
        set_version_six="PRAGMA user_version = 6",
        set_application="PRAGMA application_id = 7",
    ),
    **_verbs("timeout", "rows", timeout="PRAGMA busy_timeout"),
    **_verbs(
        "timeout",
        "rows",
        timeout_zero="PRAGMA busy_timeout = 0",
        timeout_long="PRAGMA busy_timeout = 3000",
        timeout_quoted="/* now */ PRAGMA main.busy_timeout('0')",
    ),
    "timeout by script": Verb("timeout", "script", "PRAGMA foreign_keys = OFF; PRAGMA busy_timeout = 0;"),
    **_verbs(
        "settings",
        "rows",
        query_only="PRAGMA query_only = ON",
        ignore_checks="PRAGMA ignore_check_constraints = 1",
        recursive_off="PRAGMA recursive_triggers = 0",
        dirty="PRAGMA read_uncommitted = 1",
        reverse="PRAGMA reverse_unordered_selects = ON",
        reads_schema="PRAGMA table_info(t)",
        reads_tables="PRAGMA table_list(n)",
    ),
    # Counters: of the connection, and of the file.
    **_verbs(
        "counter",
        "rows",
        changes="SELECT changes(), total_changes()",
        last_id="SELECT last_insert_rowid()",
    ),
    "insert id": Verb("counter", "run", "INSERT INTO t (v) VALUES (100 + last_insert_rowid())"),
    "total": Verb("counter", "attribute", "total_changes"),
    "in it": Verb("counter", "attribute", "in_transaction"),
    "id of insert": Verb("counter", "lastrowid", "INSERT INTO t (v) VALUES (:own)"),
    "id of upsert": Verb(
        "counter", "lastrowid", "INSERT INTO u (k) VALUES (1) ON CONFLICT (k) DO UPDATE SET k = k + 1"
    ),
    "id of ignored": Verb("counter", "lastrowid", "INSERT OR IGNORE INTO u (k) VALUES (1)"),
    "id of read": Verb("counter", "lastrowid", "SELECT 1"),
    **_verbs(
        "file",
        "rows",
        data_version="PRAGMA data_version",
        schema_version="PRAGMA schema_version",
        page_count="PRAGMA page_count",
        freelist="PRAGMA freelist_count",
        checkpoint="PRAGMA wal_checkpoint",
        truncate="PRAGMA wal_checkpoint(TRUNCATE)",
        quick="PRAGMA quick_check",
    ),
    **_verbs("file", "run", analyze="ANALYZE", vacuum="VACUUM"),
    **_verbs("file", "rows", read_statistics="SELECT tbl, stat FROM sqlite_stat1"),
    # Many rows.
    **_verbs(
        "many",
        "many",
        many_list="UPDATE t SET v = v + ? WHERE id = ?",
        many_drawn="UPDATE t SET v = v + ? WHERE id = ?",
        many_none="UPDATE t SET v = v + ? WHERE id = ?",
        many_left="UPDATE t SET v = v + ? WHERE id = ?",
        many_reader="UPDATE t SET v = ? WHERE id = ?",
        many_kept="INSERT INTO u (id, k) VALUES (10 * ?, 10 * ?)",
        many_other="UPDATE t SET v = ? WHERE id = ?",
        many_cursor="INSERT OR IGNORE INTO u (id, k) VALUES (50 + ?, ?)",
        many_writer="INSERT INTO u (id, k) VALUES (?, ?)",
        many_breaks="UPDATE t SET v = v + ? WHERE id = ?",
        many_duplicate="INSERT INTO u (id, k) VALUES (?, ?)",
    ),
    # Scripts.
    **_verbs(
        "script",
        "script",
        script="UPDATE t SET v = v + 1 WHERE id = 1; UPDATE t SET v = v + 1 WHERE id = 2;",
        script_commented="-- one\nUPDATE t SET v = v + 1; /* then */\n-- two\nINSERT INTO u (k) VALUES (3); -- end",
        script_begin="BEGIN; UPDATE t SET v = v + 1; INSERT INTO t (v) VALUES (6); COMMIT;",
        script_immediate="BEGIN IMMEDIATE; UPDATE t SET v = v + 2; COMMIT; SELECT * FROM t;",
        script_half="BEGIN; UPDATE t SET v = v + 3 WHERE id = 1;",
        script_reads="SELECT * FROM t; SELECT v FROM t; UPDATE t SET v = v + 1 WHERE id = 1",
        script_begin_reads="BEGIN; SELECT v FROM t; UPDATE t SET v = v + 1 WHERE id = 1; COMMIT",
        script_savepoint="SAVEPOINT s; UPDATE t SET v = v + 4; RELEASE s;",
        script_breaks="UPDATE t SET v = v + 1 WHERE id = 1; INSERT INTO u (k) VALUES (1); DELETE FROM t;",
        script_creates="CREATE TABLE IF NOT EXISTS n (a INTEGER); INSERT INTO n VALUES (1);",
        script_empty="-- nothing at all",
    ),
    # `with connection:` blocks.
    **_verbs(
        "with",
        "with",
        with_add="UPDATE t SET v = v + :own WHERE id = 1",
        with_duplicate="UPDATE t SET v = v + 50; INSERT INTO u (k) VALUES (1)",
        with_read="SELECT v FROM t WHERE id = 1; UPDATE t SET v = :last + :own WHERE id = 1",
        with_nothing="",
    ),
    # Changes of the isolation level in the middle.
    "level none": Verb("level", "level", "none"),
    "level deferred": Verb("level", "level", "DEFERRED"),
    "level immediate": Verb("level", "level", "IMMEDIATE"),
    "level exclusive": Verb("level", "level", "EXCLUSIVE"),
    "autocommit on": Verb("autocommit", "autocommit", "True"),
    "autocommit off": Verb("autocommit", "autocommit", "False"),
    # What cannot be, or does nothing.
    "too large": Verb("mistake", "wrong", "UPDATE t SET v = ? WHERE id = 1"),
    "no such column": Verb("mistake", "run", "SELECT nothing FROM t"),
    "no syntax": Verb("mistake", "run", "SELEKT 1"),
    "few parameters": Verb("mistake", "wrong", "UPDATE t SET v = ? WHERE id = ?"),
    "two statements": Verb("mistake", "run", "SELECT 1; SELECT 2"),
    "explain": Verb("explain", "length", "EXPLAIN SELECT v FROM t"),
    "explain write": Verb("explain", "length", "EXPLAIN UPDATE t SET v = 1"),
    "plan": Verb("explain", "length", "EXPLAIN QUERY PLAN SELECT v FROM t WHERE id = 1"),
    # Functions and collations of Python.
    "function": Verb("function", "function", "SELECT id, twice(v) FROM t"),
    "function write": Verb("function", "function", "UPDATE t SET v = twice(v) WHERE id = 1"),
}
"""What a step can do on a connection of the driver."""


class Place(Protocol):
    """Where programs are played: what opens connections to the one database."""

    def connect(self, **options: Any) -> Any:
        """Open a connection of the driver."""

    def engine(self, **options: Any) -> Engine:
        """Make an engine of SQLAlchemy."""


_TOO_LARGE = 2**63


def _told(error: BaseException) -> str:
    """Return the text of an error, with SQLite's own code where it has one."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return f"{type(error).__name__}({_told(error.orig)})"
    code = getattr(error, "sqlite_errorname", None)
    return f"{type(error).__name__}: {error}{f' [{code}]' if code else ''}"


class _Player:
    """Plays one program on connections of the driver."""

    def __init__(self, place: Place, program: Program, position: int, timeout_s: float) -> None:
        self._place = place
        self._options = {**STYLES[program.style], "timeout": timeout_s}
        self._own = 1 + position
        self._last = 0
        self._connections: dict[int, Any] = {}
        self._kept: dict[int, Any] = {}

    def _connection(self, number: int) -> Any:
        if number not in self._connections:
            self._connections[number] = self._place.connect(**self._options)
        return self._connections[number]

    def _parameters(self, sql: str) -> Any:
        return {"own": self._own, "last": self._last} if ":own" in sql or ":last" in sql else ()

    def _run(self, connection: Any, sql: str) -> str:
        cursor = connection.execute(sql, self._parameters(sql))
        seen = self._rows(cursor.fetchall()) if cursor.description else str(cursor.rowcount)
        cursor.close()
        return seen

    def _rows(self, rows: Any) -> str:
        if rows and isinstance(rows[0][-1], int):
            self._last = rows[0][-1]
        return repr(rows)

    def _one(self, cursor: Any) -> str:
        row = cursor.fetchone()
        return self._rows([row]) if row is not None else "None"

    def do(self, step: Step) -> str:
        """Do a step, and return what was seen."""
        verb, number = VERBS[step.verb], step.connection
        if verb.kind == "kept":
            return self._with_kept(step.verb, verb.sql, number)
        connection = self._connection(number)
        match verb.kind:
            case "rows" | "run":
                return self._run(connection, verb.sql)
            case "keep":
                self._kept[number] = connection.execute(verb.sql, self._parameters(verb.sql))
                return self._one(self._kept[number])
            case "many":
                return self._many(connection, step.verb, verb.sql, number)
            case "with":
                return self._with(connection, verb.sql)
            case "call":
                _CALLS[step.verb](connection)
                return ""
            case _:
                return self._special(connection, step.verb, verb)

    def _with_kept(self, name: str, sql: str, number: int) -> str:
        cursor = self._kept.get(number)
        if cursor is None:
            return "no cursor"
        match name:
            case "next":
                return self._one(cursor)
            case "rest":
                return self._rows(cursor.fetchall())
            case "again":
                cursor.execute(sql)
                return self._one(cursor)
            case "add by it":
                return str(cursor.execute(sql, self._parameters(sql)).rowcount)
            case "close":
                del self._kept[number]
                cursor.close()
            case _:
                del self._kept[number]
        return ""

    def _special(self, connection: Any, name: str, verb: Verb) -> str:
        match verb.kind:
            case "script":
                connection.executescript(verb.sql).close()
            case "lastrowid":
                cursor = connection.execute(verb.sql, self._parameters(verb.sql))
                seen = (cursor.fetchall(), cursor.lastrowid)
                cursor.close()
                return repr(seen)
            case "attribute":
                return repr(getattr(connection, verb.sql))
            case "level":
                connection.isolation_level = None if verb.sql == "none" else verb.sql
            case "autocommit":
                connection.autocommit = verb.sql == "True"
            case "wrong":
                connection.execute(verb.sql, (_TOO_LARGE,)).close()
            case "length":
                return str(len(connection.execute(verb.sql).fetchall()))
            case "function":
                connection.create_function("twice", 1, lambda value: 2 * value)
                return self._run(connection, verb.sql)
        return ""

    def _many(self, connection: Any, name: str, sql: str, number: int) -> str:
        cursor = connection.executemany(sql, self._drawn(connection, name, number))
        seen = cursor.rowcount
        if name == "many left":
            self._kept[number] = cursor
        else:
            cursor.close()
        return str(seen)

    def _drawn(self, connection: Any, name: str, number: int) -> Any:  # noqa: PLR0911  # one case a verb
        own = self._own
        match name:
            case "many list" | "many left":
                return [(own, 1), (own, 2)]
            case "many none":
                return []
            case "many drawn":
                return ((own, key) for key in (1, 2))
            case "many reader":
                return ((v + own, key) for key, v in connection.execute("SELECT id, v FROM t"))
            case "many kept":
                return self._kept.get(number, ())
            case "many other":
                other = self._connection(3 - number)
                return ((v + own, key) for key, v in other.execute("SELECT id, v FROM t"))
            case "many cursor":
                return connection.execute("SELECT id, v FROM t")
            case "many writer":
                return self._writing(connection)
            case "many breaks":
                return self._breaking()
            case _:
                return [(7 + own, 7 + own), (8 + own, 1), (9 + own, 9 + own)]

    def _writing(self, connection: Any) -> Iterator[tuple[int, int]]:
        for key in (3, 4):
            connection.execute("UPDATE t SET v = v + 1 WHERE id = 2").close()
            yield 10 * self._own + key, 10 * self._own + key

    def _breaking(self) -> Iterator[tuple[int, int]]:
        yield self._own, 1
        raise ValueError("no more rows")

    def _with(self, connection: Any, sql: str) -> str:
        with connection:
            seen = [self._run(connection, statement) for statement in sql.split("; ") if statement]
        return repr(seen)

    def finish(self, *, leaves: bool) -> None:
        """Let go of cursors, and close the connections in the order in which they were opened."""
        while self._kept:
            self._kept.popitem()
        if not leaves:
            for connection in self._connections.values():
                connection.close()


_CALLS: dict[str, Callable[[Any], object]] = {
    "commit": lambda connection: connection.commit(),
    "rollback": lambda connection: connection.rollback(),
    "shut": lambda connection: connection.close(),
}


# Parts of SQLAlchemy.


class _Base(DeclarativeBase):
    pass


class _T(_Base):
    __tablename__ = "t"
    id = Column(Integer, primary_key=True)
    v = Column(Integer)


class _U(_Base):
    __tablename__ = "u"
    id = Column(Integer, primary_key=True)
    k = Column(Integer, unique=True)


class _P(_Base):
    __tablename__ = "p"
    id = Column(Integer, primary_key=True)
    v = Column(Integer)


class _Child(_Base):
    __tablename__ = "child"
    id = Column(Integer, primary_key=True)
    p = Column(Integer, ForeignKey("p.id"))


configure_mappers()


class _AlchemyPlayer:
    """Plays one program on an engine of SQLAlchemy: each of its two "connections" is a session."""

    def __init__(self, place: Place, program: Program, position: int, timeout_s: float) -> None:
        options: dict[str, Any] = {"connect_args": {"timeout": timeout_s}}
        if program.style == "null pool":
            options["poolclass"] = NullPool
        if program.style == "autocommit engine":
            options["isolation_level"] = "AUTOCOMMIT"
        self._engine = place.engine(**options)
        self._own = 1 + position
        self._sessions: dict[int, Session] = {}

    def _session(self, number: int) -> Session:
        if number not in self._sessions:
            self._sessions[number] = Session(self._engine)
        return self._sessions[number]

    def do(self, step: Step) -> str:
        """Do a step, and return what was seen."""
        return PARTS[step.verb](self, self._session(step.connection))

    def load(self, session: Session) -> str:
        row = session.get(_T, 1)
        return repr(row and row.v)

    def change(self, session: Session) -> str:
        row = session.get(_T, 1)
        if row is not None:
            row.v = (row.v or 0) + self._own  # type: ignore[assignment]  # plain columns, for both series
        return ""

    def refresh(self, session: Session) -> str:
        session.expire_all()
        return self.load(session)

    def add(self, session: Session) -> str:
        session.add(_T(v=self._own))
        return ""

    def add_unique(self, session: Session) -> str:
        session.add(_U(k=2))
        return ""

    def flush(self, session: Session) -> str:
        session.flush()
        return ""

    def commit(self, session: Session) -> str:
        session.commit()
        return ""

    def rollback(self, session: Session) -> str:
        session.rollback()
        return ""

    def close(self, session: Session) -> str:
        session.close()
        return ""

    def query(self, session: Session) -> str:
        return repr(list(session.scalars(select(_T.v).order_by(_T.id))))

    def first(self, session: Session) -> str:
        return repr(session.execute(select(_T.id, _T.v)).first())

    def bulk_update(self, session: Session) -> str:
        session.execute(update(_T), [{"id": 1, "v": 30 + self._own}, {"id": 2, "v": 40 + self._own}])
        return ""

    def bulk_insert(self, session: Session) -> str:
        session.execute(insert(_T), [{"v": 5}, {"v": 6}])
        return ""

    def bulk_returning(self, session: Session) -> str:
        return repr(list(session.scalars(insert(_T).returning(_T.id), [{"v": 5}, {"v": 6}])))

    def update_where(self, session: Session) -> str:
        session.execute(update(_T).where(_T.id == 1).values(v=_T.v + self._own))
        return ""

    def nested(self, session: Session) -> str:
        with session.begin_nested():
            session.add(_U(k=3))
        return ""

    def nested_fails(self, session: Session) -> str:
        try:
            with session.begin_nested():
                session.add(_U(k=1))
        except DBAPIError as error:
            return _told(error)
        return ""

    def core(self, session: Session) -> str:
        with self._engine.begin() as connection:
            return str(connection.execute(text(f"UPDATE t SET v = v + {self._own} WHERE id = 2")).rowcount)

    def core_read(self, session: Session) -> str:
        with self._engine.connect() as connection:
            return repr(connection.execute(text("SELECT v FROM t")).fetchall())

    def core_many(self, session: Session) -> str:
        with self._engine.begin() as connection:
            connection.execute(
                text("UPDATE t SET v = v + :by WHERE id = :id"), [{"by": 1, "id": 1}, {"by": 1, "id": 2}]
            )
        return ""

    def core_autocommit(self, session: Session) -> str:
        with self._engine.connect() as connection:
            switched = connection.execution_options(isolation_level="AUTOCOMMIT")
            switched.execute(text(f"UPDATE t SET v = v + {self._own} WHERE id = 2"))
        return ""

    def finish(self, *, leaves: bool) -> None:
        """Close sessions and engine."""
        if not leaves:
            for session in self._sessions.values():
                session.close()
            self._engine.dispose()


PARTS: dict[str, Callable[[_AlchemyPlayer, Session], str]] = {
    "s load": _AlchemyPlayer.load,
    "s change": _AlchemyPlayer.change,
    "s refresh": _AlchemyPlayer.refresh,
    "s add": _AlchemyPlayer.add,
    "s add unique": _AlchemyPlayer.add_unique,
    "s flush": _AlchemyPlayer.flush,
    "s commit": _AlchemyPlayer.commit,
    "s rollback": _AlchemyPlayer.rollback,
    "s close": _AlchemyPlayer.close,
    "s query": _AlchemyPlayer.query,
    "s first": _AlchemyPlayer.first,
    "s bulk update": _AlchemyPlayer.bulk_update,
    "s bulk insert": _AlchemyPlayer.bulk_insert,
    "s bulk returning": _AlchemyPlayer.bulk_returning,
    "s update where": _AlchemyPlayer.update_where,
    "s nested": _AlchemyPlayer.nested,
    "s nested fails": _AlchemyPlayer.nested_fails,
    "core": _AlchemyPlayer.core,
    "core read": _AlchemyPlayer.core_read,
    "core many": _AlchemyPlayer.core_many,
    "core autocommit": _AlchemyPlayer.core_autocommit,
}
"""What a step can do with SQLAlchemy."""


def _features_of_verb(verb: str) -> tuple[str, ...]:
    return (VERBS[verb].feature,) if verb in VERBS else ("alchemy",)


def play(place: Place, program: Program, position: int, timeout_s: float) -> str:
    """Play a program, and return what was seen.

    Args:
        place: opens connections.
        program: what to do.
        position: of the client; what it writes differs by it.
        timeout_s: the busy timeout of each connection, in seconds.

    Raises:
        Exception: whatever the driver raises at a step that does not handle it.
    """
    player: _Player | _AlchemyPlayer = (_AlchemyPlayer if program.style in ENGINES else _Player)(
        place, program, position, timeout_s
    )
    seen = []
    try:
        for step in program.steps:
            tries = {"": 0, "?": 1, "!": 2}[step.handling]
            if not tries:
                seen.append(player.do(step))
                continue
            for _ in range(tries):
                try:
                    seen.append(player.do(step))
                    break
                except Exception as error:  # noqa: BLE001  # a client that goes on after whatever it was
                    seen.append(_told(error))
    finally:
        player.finish(leaves=program.leaves)
    return " | ".join(seen)


def spoken(error: BaseException) -> str:
    """Return how a client ended that raised."""
    return f"raised {_told(error)}"


# Drawing programs.

FEATURES = (
    "plain", "transaction", "savepoint", "cursor", "returning", "schema", "conflict", "trigger", "foreign key",
    "temporary", "view", "without rowid", "generated", "autoincrement", "header", "timeout", "settings", "counter",
    "file", "many", "script", "with", "level", "autocommit", "mistake", "explain", "function",
    "two connections", "alchemy",
)  # fmt: skip
"""What programs can be made of."""

_OPENINGS = (
    (), (), (), (), ("begin",), ("begin immediate",), ("begin exclusive",), ("savepoint",),
    ("begin", "read"), ("read",), ("add",), ("first",),
)  # fmt: skip
_CLOSINGS = ((), (), ("commit",), ("commit",), ("COMMIT",), ("release",), ("rollback",))


def draw(dice: random.Random, features: Iterable[str] = FEATURES, *, clients: int | None = None) -> Case:
    """Draw a case.

    Args:
        dice: what chooses.
        features: what may be in it, beside plain reads and writes.
        clients: how many; two, and sometimes three, by default.
    """
    allowed = [feature for feature in FEATURES if feature in set(features)]
    if not HAS_AUTOCOMMIT and "autocommit" in allowed:
        allowed.remove("autocommit")
    theme = [feature for feature in allowed if feature not in {"plain", "alchemy"}]
    chosen = {"plain", "transaction"} & set(FEATURES) | set(
        dice.sample(theme, min(len(theme), dice.choice((1, 1, 2, 3))))
    )
    count = clients or dice.choice((2, 2, 2, 2, 3))
    longest = 5 if count == 2 else 3
    programs = [
        _alchemy(dice, longest)
        if "alchemy" in allowed and dice.random() < 0.12
        else _program(dice, sorted(chosen), longest)
        for _ in range(count)
    ]
    if dice.random() < 0.1:
        programs[-1] = programs[0]
    return Case(dice.choice(("wal", "delete")), dice.choice((0, 5000)), tuple(programs))


def _handling(dice: random.Random) -> str:
    return dice.choice(("", "", "", "?", "?", "!"))


def _program(dice: random.Random, features: list[str], longest: int) -> Program:
    styles = ["legacy", "legacy", "none", "none", "immediate", "exclusive"]
    if "autocommit" in features:
        styles += ["off", "off", "on"]
    by_feature: dict[str, list[str]] = {feature: [] for feature in features}
    for name, verb in VERBS.items():
        if verb.feature in by_feature:
            by_feature[verb.feature].append(name)
    kinds = [feature for feature in features if by_feature[feature]]
    weights = [0.6 if feature == "transaction" else 1.0 for feature in kinds]
    steps = [Step(verb) for verb in dice.choice(_OPENINGS)]
    for _ in range(dice.randint(1, max(1, longest - len(steps)))):
        (kind,) = dice.choices(kinds, weights)
        second = "two connections" in features and dice.random() < 0.4
        steps.append(Step(dice.choice(by_feature[kind]), 2 if second else 1, _handling(dice)))
    steps += [Step(verb, 1, _handling(dice)) for verb in dice.choice(_CLOSINGS)]
    return Program(dice.choice(styles), tuple(steps[:longest]), dice.random() < 0.2)


def _alchemy(dice: random.Random, longest: int) -> Program:
    steps = [
        Step(dice.choice(tuple(PARTS)), dice.choice((1, 1, 1, 2)), _handling(dice))
        for _ in range(dice.randint(1, longest - 1))
    ]
    if dice.random() < 0.7:
        steps.append(Step("s commit", 1, _handling(dice)))
    return Program(dice.choice(ENGINES), tuple(steps), dice.random() < 0.2)


def smaller(case: Case) -> Iterator[Case]:
    """Yield cases that have less of something: a client, a step, or a way to go on after an error."""
    for place, program in enumerate(case.programs):
        others = case.programs[:place], case.programs[place + 1 :]
        if len(case.programs) > 2:
            yield evolve(case, programs=others[0] + others[1])
        for less in _smaller_programs(program):
            yield evolve(case, programs=(*others[0], less, *others[1]))


def _smaller_programs(program: Program) -> Iterator[Program]:
    for place, step in enumerate(program.steps):
        rest = program.steps[:place], program.steps[place + 1 :]
        yield evolve(program, steps=rest[0] + rest[1])
        for handling in {"!": ("", "?"), "?": ("",)}.get(step.handling, ()):
            yield evolve(program, steps=(*rest[0], evolve(step, handling=handling), *rest[1]))
        if step.connection == 2:
            yield evolve(program, steps=(*rest[0], evolve(step, connection=1), *rest[1]))
    if program.leaves:
        yield evolve(program, leaves=False)
