"""Operations: what a client asks of a connection."""

from __future__ import annotations

import enum
from typing import Any

from attrs import field, frozen

from treadle.values.canonical import canonical, digest, spoken
from treadle.values.display import FULL, in_part, name, statement


class Kind(enum.StrEnum):
    """What is asked."""

    CONNECT = "connect"
    CONFIGURE = "configure"
    EXECUTE = "execute"
    EXECUTEMANY = "executemany"
    EXECUTESCRIPT = "executescript"
    ROW = "row"
    END_ROWS = "end of rows"
    FETCHONE = "fetchone"
    FETCHMANY = "fetchmany"
    FETCHALL = "fetchall"
    CLOSE_CURSOR = "close cursor"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    CLOSE = "close"
    ANSWER = "answer"

    __hash__ = str.__hash__  # an enumeration's own is written in Python


RUNS_SQL = frozenset({Kind.EXECUTE, Kind.EXECUTEMANY, Kind.EXECUTESCRIPT, Kind.ROW})
"""The kinds that carry SQL text."""


_GOES_ON = frozenset({Kind.FETCHONE, Kind.FETCHMANY, Kind.FETCHALL, Kind.CLOSE_CURSOR})
"""The kinds that take rows of a statement that is under way, or end it."""


OperationKey = tuple[Kind, int, int | None, str | None, bytes, float]
"""What makes two operations the same operation."""


def operation_key(
    kind: Kind, connection: int, cursor: int | None, sql: str | None, arguments: Any, *, clock_s: float
) -> OperationKey:
    """Return the key of an operation with these attributes."""
    return (kind, connection, cursor, sql, canonical(arguments), clock_s)


@frozen(eq=False)
class Operation:
    """One thing that a client asks of its connection.

    Two operations are the same if their keys are equal; the checker interns them, so that identity tells.

    Attributes:
        kind: what is asked.
        connection: the client's number for the connection, from 0; the lowest free one is reused.
        cursor: the connection's number for the cursor, from 0, or None where no cursor is involved.
        sql: the statement text, for the kinds in ``RUNS_SQL``.
        arguments: parameters of a statement, the size of a fetchmany, or the arguments of a configuration; None for
            an executemany whose rows are drawn from an iterator, each of which is a ``ROW`` then.
        clock_s: the client's virtual time, in seconds since the client started.
        payload: live objects that an operation needs (functions to register); not part of its identity.
        key: what makes two operations the same operation.
    """

    kind: Kind
    connection: int
    cursor: int | None = None
    sql: str | None = field(default=None, repr=lambda text: in_part(text)[0])
    arguments: Any = field(default=(), repr=lambda given: in_part(given)[0])
    clock_s: float = 0.0
    payload: Any = field(default=None, repr=False)

    key: OperationKey = field(kw_only=True, repr=False)

    @key.default
    def _key(self) -> OperationKey:
        return operation_key(self.kind, self.connection, self.cursor, self.sql, self.arguments, clock_s=self.clock_s)

    def goes_on_with(self, statement: Operation) -> bool:
        """Tell whether this takes rows of a statement that was executed before on its cursor, or ends it."""
        same = (self.connection, self.cursor) == (statement.connection, statement.cursor)
        return same and self.kind in _GOES_ON

    def described(self) -> str:
        """Return what tells it from others: the statement or the name of the call, and the arguments."""
        text = repr(str(self))
        if self.sql is not None and len(self.sql) > FULL.most:
            text += f" {digest(canonical(self.sql))}"
        return f"{text} with {spoken(self.arguments)}" if self.arguments else text

    def __str__(self) -> str:
        """Return the statement on one line, or the name of the call."""
        if self.sql is not None:
            return statement(self.sql)
        if self.kind is Kind.CONFIGURE:
            return f"configure {name(str(self.arguments[0]))}"
        return self.kind.value.upper() if self.kind in {Kind.COMMIT, Kind.ROLLBACK} else self.kind.value
