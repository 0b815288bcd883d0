"""What a statement does, told by SQLite itself while it compiles the statement.

``EXPLAIN`` lists the program of a statement (https://www.sqlite.org/opcode.html). Of its opcodes these decide:

=============  ================================================================
Transaction    p1 the database, p2 0 to read it, 1 or 2 to write it; absent: the statement touches no database
Savepoint      p1 0 to begin, 1 to release, 2 to roll back to; p4 the name
AutoCommit     p1 0 for BEGIN, 1 for COMMIT; p2 1 for ROLLBACK
Halt           p2 1: rolls the transaction back, as do OR ROLLBACK and RAISE(ROLLBACK)
=============  ================================================================

The authorizer (https://www.sqlite.org/c3ref/set_authorizer.html) is told every PRAGMA, function and table that the
statement names, however it is spelt, and those of triggers and views. What is on no list of ``treadle.world.known``
depends on everything.
"""

from __future__ import annotations

import enum
import itertools
import sqlite3
from typing import Any

from attrs import define, evolve, field, fields, frozen

from treadle.values.operation import Kind, Operation
from treadle.world.known import (
    CLOCK_FUNCTIONS,
    COUNTERS,
    DICE,
    INERT,
    INTERPRETED,
    PRAGMAS,
    PURE_FUNCTIONS,
    PURE_TABLES,
    UNKNOWN_PRAGMAS,
    Pragma,
)

_COLUMNS = 8
"""How many columns a listed program has."""


class SavepointAction(enum.IntEnum):
    """p1 of the opcode Savepoint."""

    BEGIN = 0
    RELEASE = 1
    ROLLBACK_TO = 2


_EXCLUSIVE = 2
"""p2 of the opcode Transaction for BEGIN EXCLUSIVE."""

_ASKS = -1
"""p3 of the opcode JournalMode that only asks: a CREATE ... IF NOT EXISTS of what exists has one, and does nothing."""

_ROLLS_BACK = 1
"""p2 of the opcodes Halt and HaltIfNull for OE_Rollback."""

_HARMLESS = PURE_FUNCTIONS | CLOCK_FUNCTIONS | COUNTERS | DICE
_SCHEMA_TABLES = frozenset(["sqlite_master", "sqlite_schema", "sqlite_temp_master", "sqlite_temp_schema"])


_shapes: dict[tuple[object, ...], Effects] = {}
"""All effects that there are, by their attributes; there are some dozens."""


@frozen(eq=False)
class Effects:
    """What a statement does to its connection and to the database. Kept by the lexicon, once for each text.

    Attributes:
        reads: it needs at least a read snapshot.
        writes: it needs the write lock.
        begins: it is a BEGIN.
        exclusive: it is a BEGIN EXCLUSIVE.
        ends: it is a COMMIT or ROLLBACK.
        rolls_back: it is a ROLLBACK.
        may_roll_back: it may end the transaction by itself, where a constraint fails.
        savepoint: what it does to a savepoint, or None.
        name: the name of that savepoint, in lower case; otherwise empty.
        temporary: it makes or changes something of the connection's own that a fresh one could not be given.
        setting: it may change the connection itself, for good.
        timeout: it is a ``PRAGMA busy_timeout``.
        schema: it needs to know the schema.
        changes_schema: it changes the schema.
        counters: it asks what earlier statements of the connection left behind, as last_insert_rowid().
        tables: the names of the tables that it may change, their indexes included; None if that is unclear.
        plain: the table that it does nothing but insert rows into; None for any other statement.
        unknown: what it uses that is on no list, or an empty text: then it may depend on everything.
        escapes: why the statement cannot be checked, or an empty text.
        known: SQLite could compile it; if not, nothing else here is certain.
        shape: the one object for all effects that differ only in names.
    """

    reads: bool = False
    writes: bool = False
    begins: bool = False
    exclusive: bool = False
    ends: bool = False
    rolls_back: bool = False
    may_roll_back: bool = False
    savepoint: SavepointAction | None = None
    name: str = ""
    temporary: bool = False
    setting: bool = False
    timeout: bool = False
    schema: bool = False
    changes_schema: bool = False
    counters: bool = False
    tables: frozenset[str] | None = frozenset()
    plain: str | None = None
    unknown: str = ""
    escapes: str = ""
    known: bool = True
    shape: Effects = field(init=False, repr=False)

    @shape.default
    def _shape(self) -> Effects:
        if self.name or self.tables or self.plain:
            return evolve(self, name="", tables=frozenset(), plain=None).shape
        key = tuple(getattr(self, item.name) for item in fields(Effects) if item.init)
        return _shapes.setdefault(key, self)

    @property
    def may_write(self) -> bool:
        """Whether it may change what is committed, now or when its transaction ends."""
        return self.writes or not self.known or bool(self.unknown)

    @property
    def touches_database(self) -> bool:
        """Whether the statement reads or writes the database, or controls a transaction."""
        return self.reads or self.writes or self.begins or self.ends or self.savepoint is not None


NOTHING = Effects()
"""The effects of a statement that touches no database."""


OPAQUE = Effects(known=False, tables=None, schema=True)
"""The effects of a statement that could not be compiled."""

LOOKS = Effects(schema=True)
"""The effects of a statement that needs nothing but the schema."""

_ESCAPING = Effects(escapes="ATTACH opens a second database, and one is checked")


def _first_word(sql: str) -> tuple[str, str]:
    """Return the first keyword of a statement, in capitals, past comments, and what follows it."""
    text = sql.lstrip()
    while text.startswith(("--", "/*")):
        _, _, text = text.partition("\n" if text.startswith("--") else "*/")
        text = text.lstrip()
    word = text.split(None, 1)[0].rstrip(";") if text else ""
    return word.upper(), text[len(word) :]


@define
class _Named:
    """What the authorizer was told.

    Attributes:
        pragma: the name and the argument of a PRAGMA.
        attaches: the statement is an ATTACH or DETACH.
        functions: names, in lower case.
        tables: names of tables that are read, in lower case.
        layout: where tables lie in the file is read.
        allows: a PRAGMA may be carried out.
    """

    pragma: tuple[str, str | None] | None = None
    attaches: bool = False
    functions: set[str] = field(factory=set)
    tables: set[str] = field(factory=set)
    layout: bool = False
    allows: bool = False

    def note(self, action: int, one: str | None, two: str | None) -> int:
        """Note what is named, and answer whether to go on compiling: a PRAGMA would be carried out."""
        if action == sqlite3.SQLITE_PRAGMA:
            self.pragma = ((one or "").lower(), two)
            return sqlite3.SQLITE_OK if self.allows else sqlite3.SQLITE_DENY
        if action in {sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH}:
            self.attaches = True
            return sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_FUNCTION:
            self.functions.add((two or "").lower())
        elif action == sqlite3.SQLITE_READ:
            name = (one or "").lower()
            self.tables.add(name)
            self.layout = self.layout or (name in _SCHEMA_TABLES and two == "rootpage")
        return sqlite3.SQLITE_OK


_REGISTERS = frozenset(["create_aggregate", "create_collation", "create_function", "create_window_function"])
"""The calls of a connection that register something for SQL."""

_listed = itertools.count()
"""How many programs have been listed."""


class Lexicon:
    """The effects of every statement that was ever asked about."""

    def __init__(self, connection: sqlite3.Connection, journal: str) -> None:
        """Compile statements on a connection that nobody else uses.

        All that a connection may have switched on is switched on, which only adds to what a statement does.

        Args:
            connection: to a database that has the schema.
            journal: its journal mode.
        """
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA recursive_triggers = ON")
        entries = connection.execute("SELECT name, tbl_name, rootpage, sql FROM sqlite_schema").fetchall()
        self._roots: dict[int, str] = {root: table for _, table, root, _ in entries if root}
        self._plain_tables = {
            name.lower()
            for name, _, root, sql in entries
            if root or not (sql or "").lower().lstrip().startswith("create v")
        } | {name.lower() for name, _, _, sql in entries if (sql or "").lower().lstrip().startswith("create view")}
        self._connection = connection
        self._journal = journal
        self._functions: dict[str, bool] = {}
        self._collations: set[str] = set()
        self._known: dict[str, Effects] = {}
        self._named = _Named(allows=True)
        connection.set_authorizer(lambda action, one, two, _, __: self._named.note(action, one, two))

    def register(self, operation: Operation) -> None:
        """Know a function or a collation that a client registers; what it does is not looked at."""
        if operation.arguments[0] not in _REGISTERS:
            return
        call, name, *values = operation.arguments
        if call == "create_collation":
            if name in self._collations:
                return
            self._collations.add(name)
            self._connection.create_collation(name, lambda one, two: (one > two) - (one < two))
        else:
            deterministic = ("deterministic", True) in values or _is_sqlalchemys(operation)
            deterministic = deterministic and self._functions.get(name.lower(), True)  # of all that were registered
            if self._functions.get(name.lower()) == deterministic:
                return
            self._functions[name.lower()] = deterministic
            self._connection.create_function(name, values[0], lambda *_: None)
        self._known.clear()

    def effects(self, operation: Operation) -> Effects:
        """Return what the statement of an operation does; a script's are those of its statements, one by one."""
        sql = operation.sql
        assert sql is not None
        if operation.kind is Kind.EXECUTESCRIPT:
            return NOTHING
        arguments = operation.arguments
        if operation.kind in {Kind.EXECUTEMANY, Kind.ROW}:
            arguments = arguments[0] if arguments else ()
        return self.of(sql, arguments)

    def of(self, sql: str, arguments: Any = ()) -> Effects:
        """Return what a statement does.

        Args:
            sql: its text.
            arguments: parameters for it, of which only the names or the number counts.
        """
        found = self._known.get(sql)
        if found is None:
            try:
                found = self._compile(sql, arguments)
            except (self._connection.Error, self._connection.Warning, ValueError, TypeError):
                return OPAQUE  # with other parameters it may well be right
            self._known[sql] = found
        return found

    def _compile(self, sql: str, arguments: Any) -> Effects:
        word, rest = _first_word(sql)
        if not word:
            return NOTHING
        if word == "EXPLAIN":  # lists programs and reads nothing; but a PRAGMA may be carried out
            word, further = _first_word(rest)
            if word == "QUERY":
                word, further = _first_word(_first_word(further)[1])
            effects = self._compile(word + further, arguments)  # what does not compile is no statement to list
            return effects if word == "PRAGMA" else LOOKS
        empty = dict.fromkeys(arguments) if isinstance(arguments, dict) else [None] * len(arguments)
        named = _Named()
        try:
            program = self._program(sql, empty, named)
        except self._connection.DatabaseError:
            if named.attaches:
                return _ESCAPING
            if named.pragma is None:
                raise
            return self._of_pragma(sql, *named.pragma)
        return self._of_program(program, named)

    def elsewhere(self, connection: Any, operation: Operation) -> Effects:
        """Return what the statement of an operation does on a connection that alone knows what it names.

        Only what is unknown in it, and why it cannot be checked, is of interest.
        """
        sql = operation.sql
        assert sql is not None
        named = _Named()
        connection.set_authorizer(lambda action, one, two, _, __: named.note(action, one, two))
        try:
            marks = operation.arguments
            empty = dict.fromkeys(marks) if isinstance(marks, dict) else [None] * len(marks or ())
            rows = connection.execute(f"EXPLAIN /* {next(_listed)} */ {sql}", empty).fetchall()
        except (connection.Error, connection.Warning, ValueError, TypeError):
            return OPAQUE
        finally:
            connection.set_authorizer(None)
        return self._of_program(rows, named)

    def _program(self, sql: str, arguments: Any, named: _Named) -> list[tuple[Any, ...]]:
        """Return the program of a statement, and those of the triggers and foreign-key actions that it calls.

        The driver keeps statements that it has compiled, by their text. To run an EXPLAIN a second time that listed
        programs of triggers reads memory that is gone (seen with SQLite 3.40.1), so that no two have the same text.
        """
        self._named = named
        try:
            return self._connection.execute(f"EXPLAIN /* {next(_listed)} */ {sql}", arguments).fetchall()
        finally:
            self._named = _Named(allows=True)

    def _of_pragma(self, sql: str, name: str, argument: str | None) -> Effects:
        kind = PRAGMAS.get(name)
        sets = argument is not None
        match kind:
            case Pragma.SETTING:
                found = Effects(setting=True, schema=True)
            case Pragma.PASSING:
                found = Effects(temporary=True, schema=True)
            case Pragma.TIMEOUT:
                found = Effects(setting=sets, timeout=True)
            case Pragma.INTROSPECTION | Pragma.HEADER | Pragma.CHECK:  # to compile it carries nothing out
                program = self._program(sql, (), _Named(allows=True))
                found = evolve(self._of_program(program, _Named()), unknown="", schema=True)
                found = evolve(found, changes_schema=False, tables=frozenset())  # it sets another number in the header
            case Pragma.JOURNAL if argument is None or argument.lower() == self._journal:
                found = LOOKS
            case Pragma.LOCKING if argument is None or argument.lower() == "normal":
                found = LOOKS
            case Pragma.LOCKING:
                found = evolve(OPAQUE, escapes="a connection in exclusive locking mode never lets go of its locks")
            case None if name not in UNKNOWN_PRAGMAS and not self._has_pragma(name):
                found = NOTHING  # SQLite ignores what it does not know
            case _:
                found = evolve(OPAQUE, unknown=f"PRAGMA {name}")
        return found

    def _has_pragma(self, name: str) -> bool:
        return any(name == known for (known,) in self._connection.execute("PRAGMA pragma_list"))

    def _of_program(self, program: list[tuple[Any, ...]], named: _Named) -> Effects:
        facts: dict[str, Any] = {}
        for line in program:
            _note(facts, line)
        if facts.get("begins"):
            facts["temporary"] = False  # BEGIN IMMEDIATE locks every database of the connection
        if named.layout and "changes_schema" not in facts and "temporary" not in facts:
            facts["unknown"] = "sqlite_schema.rootpage"
        opens_virtual = any(line[1] == "VOpen" for line in program)
        for name in sorted(named.tables - self._plain_tables - _SCHEMA_TABLES):
            if opens_virtual and not self._is_pure_table(name):
                facts["unknown"] = f"table {name}"
        called = {str(line[5]).partition("(")[0].lower() for line in program if line[1] in _CALLS}
        self._note_functions(facts, named.functions | called)
        tables, plain = written_by(program, self._roots)
        if facts.get("temporary"):
            tables, plain = None, None  # a temporary trigger, perhaps
        touches = {"begins", "ends", "savepoint"}.isdisjoint(facts)
        return Effects(schema=touches, tables=tables, plain=plain, **facts)

    def _is_pure_table(self, name: str) -> bool:
        introspects = PRAGMAS.get(name.removeprefix("pragma_")) is Pragma.INTROSPECTION
        return name in PURE_TABLES or (name.startswith("pragma_") and introspects)

    def _note_functions(self, facts: dict[str, Any], functions: set[str]) -> None:
        for name in sorted(functions):
            if name in self._functions:
                if not self._functions[name]:
                    facts["unknown"] = f"function {name}(), which its client did not register as deterministic"
            elif name in DICE:
                facts["escapes"] = f"{name}() differs from run to run"
            elif name in COUNTERS:
                facts["counters"] = True
            elif name not in _HARMLESS:
                facts["unknown"] = f"function {name}()"


_CALLS = frozenset(["AggStep", "AggStep1", "Function", "PureFunc"])
"""Opcodes that call a function, which p4 names."""


def _note(facts: dict[str, Any], line: tuple[Any, ...]) -> None:
    """Note what one line of a program says of its statement."""
    _, opcode, p1, p2, p3, p4, _, _ = line
    match opcode:
        case "Transaction" if p1 == 1:
            facts["temporary"] = facts.get("temporary", False) or bool(p2)
        case "Transaction":
            facts["reads"] = True
            facts["writes"] = facts.get("writes", False) or bool(p2)
            facts["exclusive"] = facts.get("exclusive", False) or p2 == _EXCLUSIVE
        case "Savepoint":
            facts["savepoint"], facts["name"] = SavepointAction(p1), str(p4).lower()
        case "AutoCommit":
            facts["begins" if p1 == 0 else "ends"] = True
            facts["rolls_back"] = bool(p2)
        case "Halt" | "HaltIfNull":
            facts["may_roll_back"] = facts.get("may_roll_back", False) or (bool(p1) and p2 == _ROLLS_BACK)
        case "JournalMode" if p3 != _ASKS:
            facts["unknown"] = "a change of the journal mode"
        case "Vacuum" if p2:
            facts["escapes"] = "VACUUM INTO writes a file outside"
        case _ if opcode in _DATABASE_OF:
            facts["temporary" if {"p1": p1, "p3": p3}[_DATABASE_OF[opcode]] == 1 else "changes_schema"] = True
    if opcode not in INERT and opcode not in INTERPRETED:
        facts["unknown"] = f"opcode {opcode}"


_DATABASE_OF = {
    "CreateBtree": "p1",
    "Destroy": "p3",
    "DropIndex": "p1",
    "DropTable": "p1",
    "DropTrigger": "p1",
    "ParseSchema": "p1",
    "SetCookie": "p1",
}
"""Where opcodes that change a schema say in which database."""


def _is_sqlalchemys(operation: Operation) -> bool:
    """Tell whether a function is one that SQLAlchemy registers on each connection (regexp): they are pure."""
    values = operation.payload[0] if operation.payload else ()
    return any(getattr(value, "__module__", "").startswith("sqlalchemy.") for value in values if callable(value))


# --- What a statement may change ---------------------------------------------------------------------

_OPENS = frozenset(["OpenWrite", "ReopenIdx"])
_NOT_PLAIN = frozenset(["Clear", "Delete", "IdxDelete", "Program", "ResultRow"])
"""Opcodes that the program of a plain INSERT does not have; one with ResultRow may be under way for long."""

_IS_REGISTER = 0x10
"""The bit of p5 of OpenWrite that says that p2 is no root page, but a register with one."""

_IS_UPDATE = 0x04
"""The bit of p5 of Insert that says that it puts a row in the place of another."""


def written_by(program: list[tuple[Any, ...]], tables: dict[int, str]) -> tuple[frozenset[str] | None, str | None]:
    """Return the tables that a program may change (None: unclear), and the one that it only inserts into, if so.

    OpenWrite opens tables and indexes by their root pages, and Clear empties one. The programs of triggers and of
    foreign-key actions are listed below that of the statement.

    Args:
        program: as EXPLAIN lists it.
        tables: the table that each root page belongs to.
    """
    changed: set[int] = set()
    plain = True
    for _, opcode, p1, p2, p3, _, p5, _ in program:
        if opcode in _OPENS and p3 != 1 and (opcode == "OpenWrite" or p2 in tables):
            if p3 > 1 or p5 & _IS_REGISTER or p2 not in tables:
                return None, None
            if opcode == "OpenWrite":
                changed.add(p2)
        elif opcode == "Clear":
            if p2 or p1 not in tables:
                return None, None
            changed.add(p1)
        elif opcode in _DATABASE_OF:
            return None, None
        if opcode in _NOT_PLAIN or (opcode == "Insert" and p5 & _IS_UPDATE):
            plain = False
    written = frozenset(tables[page] for page in changed)
    counted = [name for name in written if not name.startswith("sqlite_")]  # AUTOINCREMENT writes sqlite_sequence
    return written, counted[0] if plain and len(counted) == 1 else None
