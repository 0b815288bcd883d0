"""The observer: the checker's own connection to a world.

Through it, what is committed is read, and a process outside the scenario is played.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from treadle.values.observation import Failure
from treadle.world.holding import Lock


class Observer:
    """The checker's own connection to a world.

    Attributes:
        connection: the driver's connection; it is in no transaction between calls.
    """

    def __init__(self, path: Path, journal: str, driver: ModuleType) -> None:
        """Open a connection.

        Args:
            path: the world's database file.
            journal: its journal mode.
            driver: as ``sqlite3``.
        """
        self._locked = driver.OperationalError
        self.connection: Any = driver.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA synchronous = OFF")
        self.connection.execute("PRAGMA ignore_check_constraints = ON")  # what was there once may be put back
        self._journal = journal

    def data_version(self) -> int | None:
        """Return a number that changes when another connection commits, or None while one is about to commit.

        https://www.sqlite.org/pragma.html#pragma_data_version
        """
        try:
            version: int = self.connection.execute("PRAGMA data_version").fetchone()[0]
        except self._locked as error:
            if not Failure.of(error).busy:
                raise
            return None
        return version

    @contextlib.contextmanager
    def outside_lock(self, held: Lock) -> Iterator[bool]:
        """Hold, as a process outside, the lock that a connection that holds this one needs next.

        Gives whether it could be had. A COMMIT that failed already admits no new readers; one that was there before
        would make it fail again, and change nothing.
        """
        outsider = self.connection
        executes = True
        if held >= Lock.WRITE:  # its COMMIT needs all readers gone
            outsider.execute("BEGIN")
            try:
                outsider.execute("SELECT 1 FROM sqlite_schema").fetchall()
            except self._locked:
                executes = False
        else:
            try:
                if self._journal == "wal" or held is Lock.READ:
                    outsider.execute("BEGIN IMMEDIATE")
                else:
                    self._hold_off_readers(outsider)
            except self._locked:
                executes = False
        try:
            yield executes
        finally:
            if outsider.in_transaction:
                outsider.execute("ROLLBACK")

    def _hold_off_readers(self, outsider: Any) -> None:
        """Hold EXCLUSIVE, or PENDING where there are readers: a COMMIT that waits for readers admits no new ones."""
        try:
            outsider.execute("BEGIN EXCLUSIVE")
        except self._locked:
            outsider.execute("BEGIN IMMEDIATE")
            version = outsider.execute("PRAGMA user_version").fetchone()[0]
            outsider.execute(f"PRAGMA user_version = {(version + 1) % 2**31}")
            with contextlib.suppress(self._locked):
                outsider.execute("COMMIT")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()
