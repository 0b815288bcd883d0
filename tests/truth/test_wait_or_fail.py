"""Whether SQLite waits or fails, and which lock a connection holds: the world's bookkeeping against SQLite's own.

SQLite is asked through its C interface: a real busy handler on the connection of the world itself tells whether
SQLite would wait, and ``sqlite3_txn_state`` tells which lock it holds. It is the same library that clients use: a
second binding such as apsw brings a SQLite of its own, which may be another version.
"""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, currently_in_test_context, given, note, settings
from hypothesis import strategies as st

from tests.truth.brute import make_template
from tests.truth.library import BusyHandler, transaction_state
from treadle.interning import intern_operation
from treadle.values.errors import UnsupportedOperationError
from treadle.values.fault import LockKind
from treadle.values.operation import Kind, Operation
from treadle.world.content import Library
from treadle.world.effects import Lexicon
from treadle.world.holding import Lock
from treadle.world.state import Book
from treadle.world.world import Template, World

STATEMENTS = (
    "BEGIN",
    "BEGIN IMMEDIATE",
    "BEGIN EXCLUSIVE",
    "SAVEPOINT s",
    "SAVEPOINT r",
    "RELEASE s",
    "ROLLBACK TO s",
    "COMMIT",
    "ROLLBACK",
    "SELECT 1 UNION SELECT 2",
    "SELECT v FROM t",
    "SELECT v FROM t WHERE id = 99",
    "UPDATE t SET v = v + 1",
    "UPDATE t SET v = v",
    "UPDATE t SET v = 0 WHERE id = 99",
    "INSERT INTO u (k) VALUES (1)",
    "INSERT OR ROLLBACK INTO u (k) VALUES (1)",
    "INSERT INTO t (v) VALUES (7)",
    "INSERT INTO t (v) VALUES (7), (8), (9) RETURNING id",
    "PRAGMA user_version",
    "nonsense",
)
"""What connections are asked; all of it in all orders."""

_call = st.one_of(
    st.tuples(st.just(Kind.EXECUTE), st.integers(0, 1), st.sampled_from(STATEMENTS)),
    st.tuples(st.sampled_from((Kind.FETCHONE, Kind.FETCHALL, Kind.CLOSE_CURSOR)), st.integers(0, 1), st.none()),
    st.tuples(st.sampled_from((Kind.COMMIT, Kind.ROLLBACK, Kind.CLOSE)), st.none(), st.none()),
)
_calls = st.lists(st.tuples(st.integers(0, 2), _call), min_size=1, max_size=25)


class Bench:
    """A world with three connections, each with a busy handler."""

    def __init__(self, directory: Path, journal: str, levels: tuple[str | None, ...]) -> None:
        path = directory / "template.db"
        make_template(path, journal)
        worlds = directory / "world"
        worlds.mkdir()
        self._explainer = sqlite3.connect(path, isolation_level=None)
        self.world = World(Template(path, journal), worlds, Book(keep_logs=True), Library(), Lexicon(self._explainer))
        self.handlers: dict[int, BusyHandler] = {}
        self.refused = False
        for number, level in enumerate(levels):
            options: dict[str, Any] = {"isolation_level": level}
            self.world.perform(
                (number, 0), intern_operation(Operation(Kind.CONNECT, 0, arguments=(level,), payload=options))
            )
            self.handlers[number] = BusyHandler(self.world._lines[number, 0].real)

    def close(self) -> None:
        """Close all connections."""
        self.world.close()
        self._explainer.close()

    def perform(self, number: int, kind: Kind, cursor: int | None, sql: str | None) -> None:
        """Perform an operation, and compare what the world says about it with what SQLite does."""
        key = (number, 0)
        held = self.world.state.holding(key)
        if key not in self.world.state.holdings or (held.posture.closed and kind is not Kind.CLOSE_CURSOR):
            return
        if kind in {Kind.FETCHONE, Kind.FETCHALL, Kind.CLOSE_CURSOR} and cursor not in held.posture.active:
            return
        if kind is Kind.EXECUTE and cursor in held.posture.active:  # as the gate does
            self.perform(number, Kind.CLOSE_CURSOR, cursor, None)
        if not self.refused:
            self._compare(number, Operation(kind, 0, cursor, sql))

    def _compare(self, number: int, operation: Operation) -> None:
        key = (number, 0)
        self.handlers[number].was_called()
        try:
            transition = self.world.perform(key, intern_operation(operation))
        except UnsupportedOperationError:  # the commit of a statement that returned rows
            assert self.handlers[number].was_called()
            self.refused = True
            return
        waits = self.handlers[number].was_called()
        failure = transition.observation.failure
        if currently_in_test_context():
            note(f"{number} {operation.kind} {operation.cursor} {operation.sql}: {failure}, {waits}")
        assert waits == transition.result.waits
        lock_kind = transition.result.lock_kind
        if waits:
            assert LockKind.TIMEOUT is lock_kind
        elif failure is not None and failure.message == "database is locked":
            assert lock_kind in {LockKind.UPGRADE, LockKind.SNAPSHOT}
            assert (failure.code == 517) == (lock_kind is LockKind.SNAPSHOT)
        for other, line in self.world._lines.items():
            holding = self.world.state.holding(other)
            if Lock(transaction_state(line.real)) is not holding.lock:  # it kept a lock that is no transaction's
                assert (self.world.journal, holding.lock) == ("delete", Lock.WRITE), other
                assert self.world._observer.write_locked()
            assert line.real.in_transaction == holding.posture.in_transaction, other


def _compare(journal: str, levels: tuple[str | None, ...], calls: list[tuple[int, tuple[Any, ...]]]) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as directory:  # noqa: S108
        bench = Bench(Path(directory), journal, levels)
        try:
            for number, (kind, cursor, sql) in calls:
                if not bench.refused:
                    bench.perform(number, kind, cursor, sql)
        finally:
            bench.close()


_journals = st.sampled_from(("wal", "delete"))
_levels = st.tuples(*[st.sampled_from(("", None))] * 3)


@settings(max_examples=400, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(_journals, _levels, _calls)
def test_world_waits_and_holds_locks_just_as_sqlite_does(
    journal: str, levels: tuple[str | None, ...], calls: list[tuple[int, tuple[Any, ...]]]
) -> None:
    """After every operation of any sequence, SQLite called the busy handler iff the world waits; locks are equal."""
    _compare(journal, levels, calls)


@pytest.mark.truth
@settings(max_examples=20_000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(_journals, _levels, _calls)
def test_world_waits_and_holds_locks_just_as_sqlite_does_at_length(
    journal: str, levels: tuple[str | None, ...], calls: list[tuple[int, tuple[Any, ...]]]
) -> None:
    """The same, many more."""
    _compare(journal, levels, calls)
