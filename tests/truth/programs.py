"""Small transaction programs: data that Hypothesis generates and that any DB-API connection can play.

A program is a list of steps. What a step read goes into what later steps write, and all that a client saw is its
outcome, so that two executions that differ anywhere differ in their outcomes.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Protocol

from attrs import frozen
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

SCHEMA = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)",
    "CREATE TABLE u (id INTEGER PRIMARY KEY, k INTEGER UNIQUE)",
    "INSERT INTO t VALUES (1, 10), (2, 20)",
    "INSERT INTO u (k) VALUES (1)",
    "CREATE TABLE c (id INTEGER PRIMARY KEY, v INTEGER)",
    "INSERT INTO c VALUES (1, 30)",
)
"""The database before any client starts. Most programs only read the last table."""

READS = ("read", "first", "next", "again", "close", "drop", "look", "look", "peek")
WRITES = ("add", "put", "same", "none", "unique", "returning", "delete", "back")
CONTROLS = ("begin", "immediate", "savepoint", "release", "rollback to", "commit", "rollback", "COMMIT", "shut")
BRANCHES = ("leave if", "stay if")
ON_BUSY = ("raise", "raise", "go on", "retry")


@frozen
class Step:
    """One step: what to do, and what to do when the database is locked."""

    verb: str
    on_busy: str

    def __str__(self) -> str:
        return self.verb if self.on_busy == "raise" else f"{self.verb} ({self.on_busy})"


@frozen
class Program:
    """What one client does; ``leaves_open`` is how it ends: with its transaction open, or closing its connection."""

    steps: tuple[Step, ...]
    leaves_open: bool = False


@frozen
class Case:
    """Programs side by side, and the database they share.

    What a program writes differs by its offset. Clients that are alike have the same one: where they run the same
    program, they do the same.
    """

    programs: tuple[Program, ...]
    journal: str
    transactions: str
    busy_timeout_ms: int
    alike: bool = False

    def offset(self, position: int) -> int:
        """Return the offset of a client."""
        return self.programs.index(self.programs[position]) if self.alike else position


class Connection(Protocol):
    """What a program needs of a connection."""

    def cursor(self) -> Any:
        """Return a cursor."""

    def commit(self) -> None:
        """Commit."""

    def rollback(self) -> None:
        """Roll back."""

    def close(self) -> None:
        """Close."""


class _Player:
    """Plays one program on one connection."""

    def __init__(self, connection: Connection, offset: int) -> None:
        self._connection = connection
        self._offset = offset
        self._kept: Any = None
        self._last = 0

    def _run(self, sql: str, *parameters: int) -> Any:
        cursor = self._connection.cursor()
        cursor.execute(sql, parameters)
        return cursor

    def _rows(self, cursor: Any) -> str:
        rows = cursor.fetchall()
        cursor.close()
        if rows:
            self._last = rows[0][-1]
        return repr(rows)

    def _one(self) -> str:
        row = self._kept.fetchone()
        if row:
            self._last = row[-1]
        return repr(row)

    def _count(self, sql: str, *parameters: int) -> str:
        cursor = self._run(sql, *parameters)
        count = cursor.rowcount
        cursor.close()
        return str(count)

    def do(self, verb: str) -> str:  # noqa: C901, PLR0911, PLR0912  # one case a verb
        match verb:
            case "read":
                return self._rows(self._run("SELECT id, v FROM t"))
            case "first":
                self._kept = self._run("SELECT id, v FROM t")
                return self._one()
            case "look":
                return self._rows(self._run("SELECT id, v FROM c"))
            case "peek":
                self._kept = self._run("SELECT id, v FROM c UNION ALL SELECT 9, 9")
                return self._one()
            case "shift":
                return self._count("UPDATE c SET v = v + ?", 1 + self._offset)
            case "again" if self._kept is not None:
                self._kept.execute("SELECT id, v FROM t WHERE id = 1 UNION ALL SELECT id, k FROM u")
                return self._one()
            case "next" if self._kept is not None:
                return self._one()
            case "close" if self._kept is not None:
                self._kept.close()
                self._kept = None
            case "drop":
                self._kept = None
            case "add":
                return self._count("UPDATE t SET v = v + ? WHERE id = 1", 1 + self._offset)
            case "back":
                return self._count("UPDATE t SET v = v - ? WHERE id = 1", 1 + self._offset)
            case "put":
                return self._count("UPDATE t SET v = ? WHERE id = 1", self._last + 100 * (1 + self._offset))
            case "same":
                return self._count("UPDATE t SET v = v")
            case "none":
                return self._count("UPDATE t SET v = 0 WHERE id = 99")
            case "unique":
                return self._count("INSERT INTO u (k) VALUES (?)", 2)
            case "returning":
                self._kept = self._run("INSERT INTO t (v) VALUES (?), (?), (?) RETURNING id", self._last, 5, 6)
                return self._one()
            case "delete":
                return self._count("DELETE FROM t WHERE id = 2")
            case "begin" | "immediate" | "savepoint" | "release" | "rollback to" | "COMMIT":
                self._run(_SQL[verb]).close()
            case "commit":
                self._connection.commit()
            case "rollback":
                self._connection.rollback()
            case "shut":
                self._connection.close()
        return ""

    def play(self, steps: tuple[Step, ...]) -> str:
        """Play all steps, and return what was seen."""
        seen = []
        for step in steps:
            if step.verb in BRANCHES:
                if (self._last > 10) == (step.verb == "leave if"):
                    break
                continue
            try:
                seen.append(self._attempt(step))
            except sqlite3.Error as error:
                if step.on_busy == "raise" and str(error) == "database is locked":
                    raise
                seen.append(f"{type(error).__name__}: {error} ({getattr(error, 'sqlite_errorcode', None)})")
        return " | ".join(seen)

    def _attempt(self, step: Step) -> str:
        if step.on_busy == "retry":
            try:
                return self.do(step.verb)
            except sqlite3.OperationalError as error:
                return f"{error}, then {self.do(step.verb)}"
        return self.do(step.verb)


_SQL = {
    "begin": "BEGIN",
    "immediate": "BEGIN IMMEDIATE",
    "savepoint": "SAVEPOINT s",
    "release": "RELEASE s",
    "rollback to": "ROLLBACK TO s",
    "COMMIT": "COMMIT",
}


def play(program: Program, offset: int, connection: Connection) -> str:
    """Play a program, and return what was seen.

    Args:
        program: what to do.
        offset: the client's; writes differ by it.
        connection: a new connection.
    """
    player = _Player(connection, offset)
    try:
        return player.play(program.steps)
    finally:
        player.do("drop")
        if not program.leaves_open:
            connection.close()


_steps = st.builds(
    Step, st.sampled_from((*READS, *WRITES, *WRITES, *CONTROLS, *BRANCHES, "shift")), st.sampled_from(ON_BUSY)
)


@st.composite
def _programs(draw: st.DrawFn, longest: int) -> Program:
    opening = draw(st.sampled_from(((), ("begin",), ("immediate",), ("savepoint",), ("begin", "read"), ("first",))))
    steps = [Step(verb, "raise") for verb in opening]
    steps += draw(st.lists(_steps, min_size=1, max_size=max(1, longest - len(steps))))
    if draw(st.booleans()):
        steps.append(Step(draw(st.sampled_from(("commit", "release"))), draw(st.sampled_from(ON_BUSY))))
    return Program(tuple(steps), draw(st.sampled_from((False, False, False, True))))


@st.composite
def cases(draw: st.DrawFn, clients: int = 2, longest: int = 4, *, alike: bool | None = None) -> Case:
    """Return a strategy for cases.

    Args:
        draw: of Hypothesis.
        clients: how many.
        longest: how many steps a program has at most.
        alike: some clients run the same program; by default in some cases.
    """
    programs = [draw(_programs(longest)) for _ in range(clients)]
    if alike is None:
        alike = draw(st.booleans())
    if alike:
        programs[-1] = programs[0]
    return Case(
        tuple(programs),
        draw(st.sampled_from(("wal", "delete"))),
        draw(st.sampled_from(("legacy", "begin"))),
        draw(st.sampled_from((0, 5000))),
        alike,
    )


def sized(examples: int, *, fixed_to: int = 100) -> settings:
    """Return the settings of a test of so many examples: always the same ones, if they are few."""
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=examples <= fixed_to,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
