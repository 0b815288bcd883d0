"""Observations: what a client sees of an operation."""

from __future__ import annotations

import builtins
import sqlite3
from types import ModuleType
from typing import Any

from attrs import field, frozen

from treadle.values.canonical import canonical
from treadle.values.display import in_part, name, prose

BUSY = 5
"""Primary result code SQLITE_BUSY (https://www.sqlite.org/rescode.html#busy)."""

BUSY_SNAPSHOT = 517
"""Extended result code SQLITE_BUSY_SNAPSHOT (https://www.sqlite.org/rescode.html#busy_snapshot)."""


_BUSY_MESSAGE = "database is locked"


@frozen
class Failure:
    """An exception of the driver, as a value.

    Attributes:
        type: the name of the class in the ``sqlite3`` module, or of a built-in exception.
        message: its text.
        code: the extended SQLite result code, or None where SQLite was not involved.
        code_name: the symbolic name of that code.
    """

    type: str
    message: str = field(repr=lambda text: in_part(text)[0])
    code: int | None = None
    code_name: str | None = None

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe an exception that the driver raised."""
        return cls(
            type(error).__name__,
            str(error),
            getattr(error, "sqlite_errorcode", None),
            getattr(error, "sqlite_errorname", None),
        )

    @property
    def busy(self) -> bool:
        """Whether SQLite answered SQLITE_BUSY, or one of its extended codes, because of another's lock.

        COMMIT and RELEASE answer SQLITE_BUSY too when a writing statement of the same connection is under way
        (``cannot commit transaction - SQL statements in progress``); no lock is missing there.
        """
        return self.code is not None and self.code & 0xFF == BUSY and self.message == _BUSY_MESSAGE

    def exception(self, driver: ModuleType = sqlite3) -> Exception:
        """Build the exception that a driver would raise."""
        kind = getattr(driver, self.type, None) or getattr(builtins, self.type, driver.DatabaseError)
        assert isinstance(kind, type)
        error: Any = kind(self.message)
        if self.code is not None and isinstance(error, driver.Error):
            error.sqlite_errorcode = self.code
            error.sqlite_errorname = self.code_name or ""
        assert isinstance(error, Exception)
        return error


LOCKED = Failure("OperationalError", _BUSY_MESSAGE, BUSY, "SQLITE_BUSY")
"""What the driver raises when SQLite answers SQLITE_BUSY."""


ObservationKey = tuple[bytes, int, int | None, Any, Failure | None, bool]
"""What makes two observations the same observation."""


def observation_key(
    rows: Any, rowcount: int, lastrowid: int | None, description: Any, failure: Failure | None, *, in_transaction: bool
) -> ObservationKey:
    """Return the key of an observation with these attributes."""
    return (canonical(rows), rowcount, lastrowid, description, failure, in_transaction)


@frozen(eq=False)
class Observation:
    """What came back from an operation.

    Two observations are the same if their keys are equal; the checker interns them, so that identity tells.

    Attributes:
        rows: the rows of a fetch, the value of a configuration, or the numbers of the cursors that outlive a close.
        rowcount: as ``sqlite3.Cursor.rowcount``.
        lastrowid: as ``sqlite3.Cursor.lastrowid``.
        description: as ``sqlite3.Cursor.description``.
        failure: the error, if one was raised.
        in_transaction: whether the connection is in a transaction afterwards.
        key: what makes two observations the same observation.
    """

    rows: Any = field(default=None, repr=lambda rows: in_part(rows)[0])
    rowcount: int = -1
    lastrowid: int | None = None
    description: tuple[tuple[Any, ...], ...] | None = None
    failure: Failure | None = None
    in_transaction: bool = False

    key: ObservationKey = field(kw_only=True, repr=False)

    @key.default
    def _key(self) -> ObservationKey:
        return observation_key(
            self.rows,
            self.rowcount,
            self.lastrowid,
            self.description,
            self.failure,
            in_transaction=self.in_transaction,
        )

    def __str__(self) -> str:
        """Return a short text: the error, the rows, or the count of changed rows."""
        if self.failure is not None:
            return f"{name(self.failure.type)}: {prose(self.failure.message)}"
        if self.rows is not None:
            return in_part(self.rows)[0]
        return "ok" if self.rowcount < 0 else f"{self.rowcount} row{'s' * (self.rowcount != 1)}"
