"""What a statement does to locks, read from SQLite's own bytecode.

``EXPLAIN`` lists the program of a statement (https://www.sqlite.org/opcode.html). Three opcodes decide:

=============  ================================================================
Transaction    p1 the database, p2 0 to read it, 1 or 2 to write it; absent: the statement touches no database
Savepoint      p1 0 to begin, 1 to release, 2 to roll back to; p4 the name
AutoCommit     p1 0 for BEGIN, 1 for COMMIT; p2 1 for ROLLBACK
=============  ================================================================

Checkpoint, JournalMode, Vacuum, IncrVacuum, and the functions sqlite_attach and sqlite_detach reach past the locks
of a transaction.
"""

from __future__ import annotations

import enum
import itertools
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

from attrs import evolve, field, fields, frozen

from treadle.values.operation import Kind, Operation
from treadle.world.reach import NOWHERE, UNCLEAR, Reach, joined, reach_of

BUSY_TIMEOUT = re.compile(r"\s*PRAGMA\s+(?:\w+\.)?busy_timeout\s*(?:[=(]\s*(\d+)\s*\)?)?\s*;?\s*", re.IGNORECASE)
"""The PRAGMA that sets or tells how long a connection waits; its one group is the number of milliseconds."""


class SavepointAction(enum.IntEnum):
    """p1 of the opcode Savepoint."""

    BEGIN = 0
    RELEASE = 1
    ROLLBACK_TO = 2


_FAR_REACHING = frozenset({"Checkpoint", "JournalMode", "Vacuum", "IncrVacuum"})
_FAR_REACHING_FUNCTIONS = ("sqlite_attach", "sqlite_detach")
_EXCLUSIVE = 2
"""p2 of the opcode Transaction for BEGIN EXCLUSIVE."""

_ESCAPES = {
    "sqlite_attach(": "ATTACH opens a second database, and one is checked",
    "random(": "random() differs from run to run",
    "randomblob(": "randomblob() differs from run to run",
}
"""SQL functions that cannot be checked, and why."""

_LAST_ROWID = 0x20
"""The bit of p5 of the opcode Insert that makes it set the last insert rowid."""

_SESSION_FUNCTIONS = ("last_insert_rowid(", "changes(", "total_changes(")


_shapes: dict[tuple[object, ...], Effects] = {}
"""All effects that there are, by their attributes; there are some dozens."""


@frozen(eq=False)
class Effects:
    """What a statement does to its connection's locks. Kept by the lexicon, once for each text.

    Attributes:
        reads: it needs at least a read snapshot.
        writes: it needs the write lock.
        begins: it is a BEGIN.
        exclusive: it is a BEGIN EXCLUSIVE.
        ends: it is a COMMIT or ROLLBACK.
        rolls_back: it is a ROLLBACK.
        savepoint: what it does to a savepoint, or None.
        name: the name of that savepoint, in lower case; otherwise empty.
        temporary: it writes to the connection's own temporary database.
        setting: it may change the connection itself (a PRAGMA, or an ATTACH).
        far_reaching: it may depend on or change more than a transaction does.
        inserts: it sets the connection's last insert rowid where it inserts a row.
        session_functions: it reads what earlier statements of the connection left behind, as last_insert_rowid().
        reach: the tables and indexes that it looks at and changes.
        escapes: why the statement cannot be checked, or an empty text.
        known: SQLite could compile it; if not, nothing else here is certain.
        may_write: it may change what is committed, now or when its transaction ends.
        shape: the one object for all effects that differ only in the name of a savepoint.
    """

    reads: bool = False
    writes: bool = False
    begins: bool = False
    exclusive: bool = False
    ends: bool = False
    rolls_back: bool = False
    savepoint: SavepointAction | None = None
    name: str = ""
    temporary: bool = False
    setting: bool = False
    far_reaching: bool = False
    inserts: bool = False
    session_functions: bool = False
    reach: Reach = NOWHERE
    escapes: str = ""
    known: bool = True
    may_write: bool = field(init=False, repr=False)
    shape: Effects = field(init=False, repr=False)

    @may_write.default
    def _may_write(self) -> bool:
        return self.writes or self.far_reaching or not self.known

    @shape.default
    def _shape(self) -> Effects:
        if self.name:
            return evolve(self, name="").shape
        key = tuple(getattr(self, item.name) for item in fields(Effects) if item.init)
        return _shapes.setdefault(key, self)

    @property
    def only_reads(self) -> bool:
        """Whether the statement reads the database and does nothing else."""
        does = self.writes or self.begins or self.ends or self.savepoint is not None or self.temporary
        depends = self.setting or self.far_reaching or self.session_functions
        return self.known and self.reads and not (does or depends)

    @property
    def touches_database(self) -> bool:
        """Whether the statement reads or writes the database, or controls a transaction."""
        return self.reads or self.writes or self.begins or self.ends or self.savepoint is not None


NOTHING = Effects()
"""The effects of a statement that touches no database."""


UNKNOWN = Effects(far_reaching=True, reach=UNCLEAR, known=False)
"""The effects of a statement that could not be compiled."""

SETTING = Effects(setting=True)
"""The effects of a ``PRAGMA busy_timeout``, which SQLite is never asked for."""


def _statements(script: str) -> Iterator[str]:
    """Split a script into statements, where SQLite says that they are complete."""
    start = 0
    for position, letter in enumerate(script):
        if letter == ";" and sqlite3.complete_statement(script[start : position + 1]):
            yield script[start : position + 1]
            start = position + 1
    if script[start:].strip():
        yield script[start:]


def _first_word(sql: str) -> str:
    """Return the first keyword of a statement, in capitals, past comments."""
    text = sql.lstrip()
    while text.startswith(("--", "/*")):
        _, _, text = text.partition("\n" if text.startswith("--") else "*/")
        text = text.lstrip()
    return text.split(None, 1)[0].rstrip(";").upper() if text else ""


def _of_program(program: list[tuple[Any, ...]], sql: str, reach: Reach) -> Effects:
    reads = writes = begins = exclusive = ends = temporary = far = session = inserts = False
    escapes = ""
    setting = _first_word(sql) in {"PRAGMA", "ATTACH", "DETACH"}
    rolls_back = False
    savepoint: SavepointAction | None = None
    name = ""
    for _, opcode, p1, p2, _, p4, p5, _ in program:
        if opcode == "Transaction":
            if p1 == 1:
                temporary = temporary or bool(p2)
            else:
                reads = True
                writes = writes or bool(p2)
                exclusive = exclusive or p2 == _EXCLUSIVE
        elif opcode == "Savepoint":
            savepoint, name = SavepointAction(p1), str(p4).lower()
        elif opcode == "AutoCommit":
            begins = begins or p1 == 0
            ends = ends or p1 == 1
            rolls_back = rolls_back or bool(p2)
        elif opcode == "Insert":
            inserts = inserts or bool(p5 & _LAST_ROWID)
        elif opcode in _FAR_REACHING:
            far = True
            if opcode == "Vacuum" and p2:
                escapes = "VACUUM INTO writes a file outside"
        elif opcode in {"Function", "PureFunc"}:
            far = far or str(p4).startswith(_FAR_REACHING_FUNCTIONS)
            session = session or str(p4).startswith(_SESSION_FUNCTIONS)
            escapes = escapes or next((why for name, why in _ESCAPES.items() if str(p4).startswith(name)), "")
    temporary = temporary and not begins  # BEGIN IMMEDIATE locks every database of the connection
    return Effects(
        reads=reads,
        writes=writes,
        begins=begins,
        exclusive=exclusive,
        ends=ends,
        rolls_back=rolls_back,
        savepoint=savepoint,
        name=name,
        temporary=temporary,
        setting=setting or far,
        far_reaching=far,
        inserts=inserts,
        session_functions=session,
        reach=UNCLEAR if temporary else reach,  # a temporary trigger, perhaps
        escapes=escapes,
    )


def _script_savepoints(parts: list[Effects]) -> str:
    used = any(part.savepoint is not None for part in parts)
    return "savepoints inside a script cannot be followed" if used else ""


def _joined(parts: list[Effects]) -> Effects:
    """Return the effects of several statements run one after another."""
    return Effects(
        reads=any(part.reads for part in parts),
        writes=any(part.writes for part in parts),
        begins=any(part.begins for part in parts),
        ends=any(part.ends for part in parts),
        temporary=any(part.temporary for part in parts),
        setting=any(part.setting for part in parts),
        session_functions=any(part.session_functions for part in parts),
        reach=joined([part.reach for part in parts]),
        far_reaching=True,
        escapes=next((part.escapes for part in parts if part.escapes), _script_savepoints(parts)),
        known=all(part.known for part in parts),
    )


_listed = itertools.count()
"""How many programs have been listed."""


def program_of(connection: sqlite3.Connection, sql: str, arguments: Any) -> list[tuple[Any, ...]]:
    """Return the program of a statement, and those of the triggers and foreign-key actions that it calls.

    The driver keeps statements that it has compiled, by their text. To run an EXPLAIN a second time that listed
    programs of triggers reads memory that is gone (seen with SQLite 3.40.1), so that no two have the same text.

    Raises:
        sqlite3.Error: it cannot be compiled.
    """
    return connection.execute(f"EXPLAIN /* {next(_listed)} */ {sql}", arguments).fetchall()


class Lexicon:
    """The effects of every statement that was ever asked about."""

    def __init__(self, connection: sqlite3.Connection, thorough: sqlite3.Connection | None = None) -> None:
        """Compile statements on connections that nobody else uses: EXPLAIN PRAGMA may carry the PRAGMA out.

        Args:
            connection: as a client's connection begins.
            thorough: where all that a connection may have switched on is switched on; without one, nothing is said of
                what statements reach.
        """
        self._connection = connection
        self._thorough = thorough
        self._roots: dict[int, str] = {}
        if thorough is not None:
            thorough.execute("PRAGMA foreign_keys = ON")
            thorough.execute("PRAGMA recursive_triggers = ON")
            self._roots.update(thorough.execute("SELECT rootpage, tbl_name FROM sqlite_schema WHERE rootpage > 0"))
        self._known: dict[str, Effects] = {}
        self._scripts: dict[str, Effects] = {}

    def effects(self, operation: Operation) -> Effects:
        """Return what the statement of an operation does, or all statements of its script together."""
        sql = operation.sql
        assert sql is not None
        known = self._scripts if operation.kind is Kind.EXECUTESCRIPT else self._known
        found = known.get(sql)
        if found is None:
            found = known[sql] = self._effects(operation.kind, sql, operation.arguments)
        return found

    def _effects(self, kind: Kind, sql: str, arguments: Any) -> Effects:
        if BUSY_TIMEOUT.fullmatch(sql):
            return SETTING
        if kind is Kind.EXECUTESCRIPT:
            return _joined([self._compile(part, ()) for part in _statements(sql)])
        if kind is Kind.EXECUTEMANY:
            arguments = arguments[0] if arguments else ()
        return self._compile(sql, arguments)  # EXPLAIN must be given as many parameters

    def _compile(self, sql: str, arguments: Any) -> Effects:
        try:
            program = program_of(self._connection, sql, arguments)
        except sqlite3.Error:
            return UNKNOWN
        if any(len(line) != 8 for line in program):  # noqa: PLR2004  # an EXPLAIN of the client's own
            return Effects(reads=True, far_reaching=True, reach=UNCLEAR)
        return _of_program(program, sql, self._reach(sql, arguments))

    def _reach(self, sql: str, arguments: Any) -> Reach:
        if self._thorough is None:
            return UNCLEAR
        try:
            return reach_of(program_of(self._thorough, sql, arguments), self._roots)
        except sqlite3.Error:
            return UNCLEAR
