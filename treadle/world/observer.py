"""The observer: the checker's own connection to a world.

Through it, what is committed is read, and a process outside the scenario is played.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from treadle.values.observation import Failure
from treadle.world.holding import Holding, Lock


class Observer:
    """The checker's own connection to a world.

    Attributes:
        connection: the driver's connection; it is in no transaction between calls.
    """

    def __init__(self, path: Path, journal: str) -> None:
        """Open a connection.

        Args:
            path: the world's database file.
            journal: its journal mode.
        """
        self.connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA synchronous = OFF")
        self._journal = journal

    def data_version(self) -> int | None:
        """Return a number that changes when another connection commits, or None while one is about to commit.

        https://www.sqlite.org/pragma.html#pragma_data_version
        """
        try:
            version: int = self.connection.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.OperationalError as error:
            if not Failure.of(error).busy:
                raise
            return None
        return version

    def commit_nothing(self, user_version: int) -> None:
        """Commit what is there already, this PRAGMA among it: it makes the snapshots of others stale."""
        self.connection.execute(f"PRAGMA user_version = {user_version}")

    def write_locked(self) -> bool:
        """Ask SQLite whether some connection holds the write lock."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        self.connection.execute("ROLLBACK")
        return False

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the write lock."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            self.connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def outside_lock(self, holding: Holding) -> Iterator[bool]:
        """Hold, as a process outside, the lock that a connection in this condition needs next.

        Gives whether it could be had. A COMMIT that failed already admits no new readers; one that was there before
        would make it fail again, and change nothing.
        """
        outsider = self.connection
        executes = True
        if holding.lock is Lock.WRITE:  # its COMMIT needs all readers gone
            outsider.execute("BEGIN")
            try:
                outsider.execute("SELECT 1 FROM sqlite_schema").fetchall()
            except sqlite3.OperationalError:
                executes = False
        elif self._journal == "wal" or holding.lock is Lock.READ:
            outsider.execute("BEGIN IMMEDIATE")
        else:
            self._hold_off_readers(outsider)
        try:
            yield executes
        finally:
            outsider.execute("ROLLBACK")

    @staticmethod
    def _hold_off_readers(outsider: sqlite3.Connection) -> None:
        """Hold EXCLUSIVE, or PENDING where there are readers: a COMMIT that waits for readers admits no new ones."""
        try:
            outsider.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            outsider.execute("BEGIN IMMEDIATE")
            version = outsider.execute("PRAGMA user_version").fetchone()[0]
            outsider.execute(f"PRAGMA user_version = {(version + 1) % 2**31}")
            with contextlib.suppress(sqlite3.OperationalError):
                outsider.execute("COMMIT")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()
