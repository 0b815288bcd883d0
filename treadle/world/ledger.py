"""The ledger: which tables may differ from the committed content that was read last.

To read all rows after each commit costs more the more there are. What a statement can write stands in its bytecode
(https://www.sqlite.org/opcode.html): OpenWrite opens the tables and indexes that it writes to by their root pages,
and Clear empties one. The programs of triggers and of foreign-key actions are listed below that of the statement.

Where all that was done to a table were plain INSERTs, and it has just as many rows with higher rowids than before,
then these are all that is new. Where anything is unclear, everything is read.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from attrs import define, field, frozen

from treadle.values.operation import Kind, Operation
from treadle.world.effects import Effects, program_of

_COLUMNS = ("addr", "opcode", "p1", "p2", "p3", "p4", "p5", "comment")
"""What EXPLAIN shows of an instruction."""

_UNCLEAR = frozenset(
    {
        "Checkpoint",
        "CreateBtree",
        "Destroy",
        "DropIndex",
        "DropTable",
        "DropTrigger",
        "IncrVacuum",
        "JournalMode",
        "LoadAnalysis",
        "ParseSchema",
        "SetCookie",
        "SqlExec",
        "VBegin",
        "VCreate",
        "VDestroy",
        "VRename",
        "VUpdate",
        "Vacuum",
    }
)
"""Opcodes that write past cursors."""

_NOT_PLAIN = frozenset({"Clear", "Delete", "IdxDelete", "Program", "ResultRow"})
"""Opcodes that the program of a plain INSERT does not have; one with ResultRow may be under way for long."""

_IS_REGISTER = 0x10
"""The bit of p5 of OpenWrite that says that p2 is no root page, but a register with one."""

_IS_UPDATE = 0x04
"""The bit of p5 of Insert that says that it puts a row in the place of another."""


@frozen
class Reach:
    """What one statement can write to.

    Attributes:
        tables: their names.
        plain: the table that it does nothing but insert rows into; None for any other statement.
    """

    tables: frozenset[str]
    plain: str | None = None


def reach_of(program: list[tuple[Any, ...]], tables: dict[int, str]) -> Reach | None:
    """Return what a program can write to, or None where that is unclear.

    Args:
        program: as EXPLAIN lists it.
        tables: the table that each root page belongs to.
    """
    written: set[str] = set()
    plain = True
    for _, opcode, p1, p2, p3, _, p5, _ in program:
        if opcode in _UNCLEAR:
            return None
        if opcode in {"OpenWrite", "Clear"}:
            page, database = (p2, p3) if opcode == "OpenWrite" else (p1, p2)
            if database != 0 or page not in tables or (opcode == "OpenWrite" and p5 & _IS_REGISTER):
                return None
            written.add(tables[page])
        if opcode in _NOT_PLAIN or (opcode == "Insert" and p5 & _IS_UPDATE):
            plain = False
    counted = [name for name in written if not name.startswith("sqlite_")]  # AUTOINCREMENT writes sqlite_sequence
    return Reach(frozenset(written), counted[0] if plain and len(counted) == 1 else None)


@define
class Ledger:
    """What may have been written since the committed content was read.

    Attributes:
        unclear: everything may have been.
        tables: for each table that may have been written to, how many rows were inserted into it; None if
            something else may have been done to it.
    """

    _connection: sqlite3.Connection
    unclear: bool = True
    tables: dict[str, int | None] = field(factory=dict)
    _hidden: bool = False
    _known: dict[str, Reach | None] = field(factory=dict)
    _roots: dict[int, str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Compile with all that a connection may have switched on: what that adds only writes more."""
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.execute("PRAGMA recursive_triggers = ON")
        listed = self._connection.execute("SELECT rootpage, tbl_name FROM sqlite_schema WHERE rootpage > 0")
        self._roots = dict(listed.fetchall())

    def note(self, operation: Operation, effects: Effects, changes: int, schema: int) -> None:
        """Note an operation.

        Args:
            operation: what was done, or tried.
            effects: what it does to locks.
            changes: how many rows it changed, as the driver counts them.
            schema: the number of the schema under which it ran.
        """
        if effects.temporary or not effects.known:
            self._hidden = True  # a temporary trigger, perhaps: only its own connection would know of it
        if self._hidden or effects.far_reaching or schema:
            self.unclear = True
        elif effects.writes and operation.sql is not None:
            reach = self._reach(operation)
            if reach is None:
                self.unclear = True
            else:
                self._add(reach, changes)

    def _add(self, reach: Reach, changes: int) -> None:
        for table in reach.tables:
            if table == reach.plain:
                count = self.tables.get(table, 0)
                self.tables[table] = None if count is None else count + changes
            else:
                self.tables[table] = None

    def _reach(self, operation: Operation) -> Reach | None:
        sql = operation.sql
        assert sql is not None
        if sql not in self._known:
            arguments = operation.arguments
            if operation.kind is Kind.EXECUTEMANY:
                arguments = arguments[0] if arguments else ()
            try:
                program = program_of(self._connection, sql, arguments)
            except sqlite3.Error:
                program = []
            listed = program and len(program[0]) == len(_COLUMNS)  # not an EXPLAIN of the client's own
            self._known[sql] = reach_of(program, self._roots) if listed else None
        return self._known[sql]

    def settle(self) -> None:
        """Note that the committed content is known, and that nothing else was written."""
        self.unclear = False
        self.tables.clear()
