"""What a statement reaches: the tables and indexes that it looks at, and those that it changes.

It stands in its bytecode (https://www.sqlite.org/opcode.html): OpenRead and OpenWrite open tables and indexes by their
root pages, and Clear empties one. The programs of triggers and of foreign-key actions are listed below that of the
statement; a statement is compiled here as if all that a connection may switch on were on, which only reaches more.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any

from attrs import frozen

ANYWHERE = -1
"""Stands among root pages for all there are."""

_ALL = frozenset({ANYWHERE})

_LOOKS_ELSEWHERE = frozenset({"ReadCookie", "Pagecount", "MaxPgcnt", "IntegrityCk", "VOpen"})
"""Opcodes that read the database, and not a table or index by its root page."""

_WRITES_ELSEWHERE = frozenset(
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

_OPENS = frozenset({"OpenRead", "OpenWrite", "ReopenIdx"})

_NOT_PLAIN = frozenset({"Clear", "Delete", "IdxDelete", "Program", "ResultRow"})
"""Opcodes that the program of a plain INSERT does not have; one with ResultRow may be under way for long."""

_IS_REGISTER = 0x10
"""The bit of p5 of OpenWrite that says that p2 is no root page, but a register with one."""

_IS_UPDATE = 0x04
"""The bit of p5 of Insert that says that it puts a row in the place of another."""


@frozen
class Reach:
    """What one statement reaches.

    Attributes:
        looked_at: the root pages of the tables and indexes that it reads or writes; ``ANYWHERE`` for all.
        changed: the root pages of those that it may change, likewise.
        sources: the names of the tables that it looks at, their indexes included; None if that is unclear.
        tables: the names of the tables that it may change, their indexes included; None if that is unclear.
        plain: the table that it does nothing but insert rows into; None for any other statement.
    """

    looked_at: frozenset[int] = frozenset()
    changed: frozenset[int] = frozenset()
    sources: frozenset[str] | None = frozenset()
    tables: frozenset[str] | None = frozenset()
    plain: str | None = None


NOWHERE = Reach()
"""The reach of a statement that touches no database."""

UNCLEAR = Reach(_ALL, _ALL, None, None)
"""The reach of a statement of which nothing is known."""


def overlap(left: AbstractSet[int], right: AbstractSet[int]) -> bool:
    """Tell whether tables and indexes given by their root pages, with ``ANYWHERE`` for all, have one in common."""
    if ANYWHERE in left or ANYWHERE in right:
        return bool(left) and bool(right)
    return not left.isdisjoint(right)


def reach_of(program: list[tuple[Any, ...]], tables: dict[int, str]) -> Reach:
    """Return what a program reaches.

    Args:
        program: as EXPLAIN lists it.
        tables: the table that each root page belongs to.
    """
    looked_at: set[int] = set()
    changed: set[int] = set()
    plain = True
    for _, opcode, p1, p2, p3, _, p5, _ in program:
        if opcode in _OPENS:
            root = ANYWHERE if p3 > 1 or p5 & _IS_REGISTER else p2
            if p3 != 1:  # the connection's own temporary database
                looked_at.add(root)
                if opcode == "OpenWrite":
                    changed.add(root)
        elif opcode == "Clear":
            changed.add(p1 if p2 == 0 else ANYWHERE)
        elif opcode in _LOOKS_ELSEWHERE:
            looked_at.add(ANYWHERE)
        elif opcode in _WRITES_ELSEWHERE:
            changed.add(ANYWHERE)
        if opcode in _NOT_PLAIN or (opcode == "Insert" and p5 & _IS_UPDATE):
            plain = False
    written = _names(changed, tables)
    counted = [name for name in written or () if not name.startswith("sqlite_")]  # AUTOINCREMENT writes sqlite_sequence
    return Reach(
        frozenset(looked_at),
        frozenset(changed),
        _names(looked_at, tables),
        written,
        counted[0] if plain and len(counted) == 1 else None,
    )


def _names(pages: set[int], tables: dict[int, str]) -> frozenset[str] | None:
    """Return the tables that root pages belong to; None if one belongs to none that is known."""
    return frozenset(tables[page] for page in pages) if pages <= tables.keys() else None


def joined(parts: list[Reach]) -> Reach:
    """Return the reach of several statements together."""
    return Reach(
        frozenset().union(*(part.looked_at for part in parts)),
        frozenset().union(*(part.changed for part in parts)),
        _united([part.sources for part in parts]),
        _united([part.tables for part in parts]),
    )


def _united(parts: list[frozenset[str] | None]) -> frozenset[str] | None:
    """Return all names; None if some are unclear."""
    known = [part for part in parts if part is not None]
    return frozenset().union(*known) if len(known) == len(parts) else None
