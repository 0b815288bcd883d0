"""Whether SQLite waits or fails, where a call stops, and who holds which lock: the world beside the plain driver.

Every operation is carried out twice: in a world, and by the plain driver on a file of its own, where waiting is real (a
busy handler and a trace callback of these tests' own, ``tests.truth.interface``).
"""

from __future__ import annotations

import ctypes
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from greenlet import getcurrent, greenlet
from hypothesis import HealthCheck, currently_in_test_context, given, note, settings
from hypothesis import strategies as st

from tests.truth.interface import Handle, interface_of, pointer_of
from tests.truth.programs import SCHEMA
from treadle.interning import intern_operation
from treadle.values.fault import LockKind, Placement
from treadle.values.observation import BUSY_SNAPSHOT
from treadle.values.operation import Kind, Operation
from treadle.world.content import ContentStore
from treadle.world.effects import Lexicon
from treadle.world.footprint import Footprint, Footprints
from treadle.world.holding import Holding, Lock, StopKind
from treadle.world.state import Book, Mode, Transition
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

SCRIPTS = (
    "UPDATE t SET v = v + 1; UPDATE t SET v = v + 2",
    "BEGIN; SELECT v FROM t; COMMIT",
    "BEGIN IMMEDIATE; INSERT INTO u (k) VALUES (1)",
    "SAVEPOINT s; SAVEPOINT r; RELEASE s",
    "-- nothing",
)
"""Scripts, likewise."""

MANY = "UPDATE t SET v = v + ? WHERE id = ?"
"""What is asked for two rows."""

_ON_CURSORS = frozenset({Kind.FETCHONE, Kind.FETCHALL, Kind.CLOSE_CURSOR})
_RUNS = frozenset({Kind.EXECUTE, Kind.EXECUTEMANY})
_PAUSES, _WAITS = StopKind.PAUSES, StopKind.WAITS
_LOCKSTATE = 1
_WAL_LOCKS = (Lock.NONE, Lock.READ, Lock.WRITE)

_call = st.one_of(
    st.tuples(st.just(Kind.EXECUTE), st.integers(0, 1), st.sampled_from(STATEMENTS)),
    st.tuples(st.just(Kind.EXECUTESCRIPT), st.integers(0, 1), st.sampled_from(SCRIPTS)),
    st.tuples(st.just(Kind.EXECUTEMANY), st.integers(0, 1), st.just(MANY)),
    st.tuples(st.sampled_from((Kind.FETCHONE, Kind.FETCHALL, Kind.CLOSE_CURSOR)), st.integers(0, 1), st.none()),
    st.tuples(st.sampled_from((Kind.COMMIT, Kind.ROLLBACK, Kind.CLOSE)), st.none(), st.none()),
)
_calls = st.lists(st.tuples(st.integers(0, 2), _call, st.booleans()), min_size=1, max_size=25)


def make_template(path: Path, journal: str) -> None:
    """Make a database with the schema of the programs."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    for statement in SCHEMA:
        connection.execute(statement)
    connection.close()  # the last one: all is in the one file


class _Plain:
    """One connection of the driver, whose calls stop where SQLite stops them."""

    def __init__(self, path: Path, level: Any, timeout_s: float, journal: str) -> None:
        self._journal = journal
        self.real = sqlite3.connect(path, timeout=timeout_s, isolation_level=level, check_same_thread=False)
        self.handle = Handle(sqlite3, self.real, lambda: bool(self._stop(_WAITS)))
        self._cursors: dict[int, sqlite3.Cursor] = {}
        self._call: greenlet | None = None
        self.stopped: StopKind | None = None
        self.closed = False

    def _stop(self, why: StopKind) -> object:
        outer = getcurrent().parent
        assert outer is not None
        return outer.switch(why)

    def perform(self, operation: Operation, *, patient: bool) -> tuple[StopKind | None, Any]:
        """Make a call, or go on with the one that has stopped; return where it stops, or what it ends with."""
        if self._call is None:
            self._call = greenlet(lambda _: self._end_of(operation))
        self._call.parent = getcurrent()
        answer = self._call.switch(patient)
        if isinstance(answer, StopKind):
            self.stopped = answer
            return answer, None
        self._call, self.stopped = None, None
        return None, answer

    def _end_of(self, operation: Operation) -> Any:
        count = 0

        def before_statement() -> None:
            nonlocal count
            count += 1
            script = operation.kind is Kind.EXECUTESCRIPT
            if script or (count > 1 and self.handle.in_autocommit()):
                self._stop(_PAUSES)

        traced = operation.kind in {Kind.EXECUTESCRIPT, Kind.EXECUTEMANY}
        if traced:
            self.handle.trace(before_statement)
        try:
            return self._act(operation)
        except sqlite3.Error as error:
            return f"{type(error).__name__}: {error}"
        finally:
            if traced:
                self.handle.trace(None)
            if not self.closed:
                self.handle.refresh()

    def _act(self, operation: Operation) -> Any:
        kind, number = operation.kind, operation.cursor
        if kind is Kind.CLOSE:
            self._cursors.clear()
            self.real.close()
            self.closed = True
            return None
        if number is None:
            calls: dict[Kind, Callable[[], object]] = {Kind.COMMIT: self.real.commit, Kind.ROLLBACK: self.real.rollback}
            return calls[kind]()
        cursor = self._cursors.setdefault(number, self.real.cursor())
        if operation.sql is not None:
            if kind is Kind.EXECUTE:
                cursor.execute(operation.sql)
            elif kind is Kind.EXECUTEMANY:
                cursor.executemany(operation.sql, operation.arguments)
            else:
                cursor.executescript(operation.sql)
            return None
        if kind is Kind.CLOSE_CURSOR:
            return self._cursors.pop(number).close()
        rows = cursor.fetchall() if kind is Kind.FETCHALL else [cursor.fetchone()]
        return tuple(row for row in rows if row is not None)

    def lock(self) -> Lock:
        """Return the lock that SQLite says it holds."""
        library = interface_of(sqlite3).library
        if self._journal == "wal":
            return _WAL_LOCKS[library.sqlite3_txn_state(_pointer(self.real), b"main")]
        state = ctypes.c_int()
        library.sqlite3_file_control(_pointer(self.real), b"main", _LOCKSTATE, ctypes.byref(state))
        return Lock(state.value)

    def end(self) -> None:
        """Give up what has stopped, and close."""
        while self._call is not None:
            self._call.parent = getcurrent()
            if not isinstance(self._call.switch(False), StopKind):
                self._call = None
        self.real.close()


def _pointer(connection: sqlite3.Connection) -> ctypes.c_void_p:
    return ctypes.c_void_p(pointer_of(connection))


class Bench:
    """A world with three connections, and three of the driver beside it."""

    def __init__(self, directory: Path, journal: str, levels: tuple[str | None, ...], timeout_s: float = 5.0) -> None:
        path = directory / "template.db"
        make_template(path, journal)
        (directory / "world").mkdir()
        (directory / "plain.db").write_bytes(path.read_bytes())
        self._compiler = sqlite3.connect(path, isolation_level=None)
        self.world = World(
            Template(path, journal, sqlite3),
            directory / "world",
            Book(keep_logs=True),
            ContentStore(),
            lexicon=Lexicon(self._compiler, journal),
            footprints=Footprints(journal, Placement.REACHABLE),
        )
        self._observer = sqlite3.connect(directory / "plain.db", timeout=0, isolation_level=None)
        self._plain = [_Plain(directory / "plain.db", level, timeout_s, journal) for level in levels]
        self._pending: dict[int, Operation] = {}
        self.stops: Counter[str] = Counter()
        for number, level in enumerate(levels):
            options: dict[str, Any] = {"isolation_level": level, "timeout": timeout_s}
            shown = (level, timeout_s)
            self.world.perform(
                (number, 0), intern_operation(Operation(Kind.CONNECT, 0, arguments=shown, payload=options))
            )

    def close(self) -> None:
        """Close all connections."""
        for plain in self._plain:
            plain.end()
        self._observer.close()
        self.world.close()
        self._compiler.close()

    def perform(self, number: int, kind: Kind, cursor: int | None, sql: str | None, *, patient: bool = True) -> None:
        """Perform an operation, or go on with one that has stopped, and compare what the world and SQLite do.

        Args:
            number: of the connection.
            kind: what is asked.
            cursor: the number of the cursor.
            sql: the statement.
            patient: a call that waits tries again; otherwise its time is over.
        """
        key = (number, 0)
        if key not in self.world.state.holdings:
            return
        held = self.world.state.holding(key)
        if number in self._pending:
            stopped = held.posture.call
            assert stopped is not None
            expires = stopped.kind is _WAITS and not patient
            self._compare(number, self._pending[number], Mode.EXPIRE if expires else Mode.STEP)
            return
        if kind in _ON_CURSORS and cursor not in held.posture.active:
            return
        if kind in _RUNS and cursor in held.posture.active:  # as the gate does
            self.perform(number, Kind.CLOSE_CURSOR, cursor, None)
            if number in self._pending:
                return
        arguments = ((1, 1), (2, 2)) if kind is Kind.EXECUTEMANY else ()
        self._compare(number, intern_operation(Operation(kind, 0, cursor, sql, arguments)), Mode.STEP)

    def _compare(self, number: int, operation: Operation, mode: Mode) -> None:
        key = (number, 0)
        before, content = self.world.state.holding(key), self.world.content
        footprint = self.world.footprint(key, operation)
        transition = self.world.perform(key, operation, mode)
        plain = self._plain[number]
        stop, end = plain.perform(operation, patient=mode is Mode.STEP)
        found = transition.result.stop
        if currently_in_test_context():
            note(f"{number} {operation.kind} {operation.cursor} {operation.sql} {mode}: {stop}, {end}")
        assert stop is (None if found is None else found.kind)
        self.stops[str(stop)] += 1
        if stop is None:
            self._pending.pop(number, None)
            failure = transition.observation.failure
            assert (end if isinstance(end, str) else None) == (failure and f"{failure.type}: {failure.message}")
            if not isinstance(end, str) and operation.kind in {Kind.FETCHONE, Kind.FETCHALL}:
                assert end == transition.observation.rows
        else:
            self._pending[number] = operation
        _require_kind(transition, mode)
        _require_footprint(self.world.journal, footprint, before, transition, content is self.world.content)
        self._compare_all()

    def _compare_all(self) -> None:
        """Locks, transactions and rows are those that SQLite tells."""
        for number, plain in enumerate(self._plain):
            held = self.world.state.holding((number, 0))
            if (number, 0) not in self.world.state.holdings:
                assert plain.closed
                continue
            assert plain.lock() is held.lock, number
            assert plain.real.in_transaction == held.posture.in_transaction, number
        tables = self.world.content.committed.tables
        try:
            for name in ("t", "u", "c"):
                assert self._observer.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() == list(
                    tables[name].values
                ), name
        except sqlite3.OperationalError as error:
            assert str(error) == "database is locked"  # noqa: PT017  # PENDING is held: nothing new can be committed


def _require_kind(transition: Transition, mode: Mode) -> None:
    """What the world says of why a lock was met is what SQLite's code says."""
    failure, kind = transition.observation.failure, transition.result.lock_kind
    if transition.result.stop is not None:
        assert kind is (LockKind.TIMEOUT if transition.result.stop.kind is _WAITS else None)
    elif failure is None or not failure.busy:
        assert kind is None
    elif mode is Mode.EXPIRE:
        assert kind is LockKind.TIMEOUT
    else:
        assert kind in {LockKind.UPGRADE, LockKind.SNAPSHOT, LockKind.NO_WAIT}
        assert (failure.code == BUSY_SNAPSHOT) == (kind is LockKind.SNAPSHOT)


def _require_footprint(
    journal: str, footprint: Footprint, before: Holding, transition: Transition, same_content: bool
) -> None:
    """What is declared of an operation beforehand includes what it did."""
    failure, stop = transition.observation.failure, transition.result.stop
    lock = transition.held_after
    waits = stop is not None and stop.kind is _WAITS
    refused = waits or (stop is None and failure is not None and failure.busy)
    waited = before.posture.call is not None and before.posture.call.kind is _WAITS
    assert footprint.refusable or footprint.opaque or waited or not refused
    assert footprint.opaque or footprint.takes is not Lock.NONE or lock <= before.lock or refused
    assert footprint.opaque or footprint.lets_go or lock >= before.lock
    if footprint.local:
        noticed = before.lock is not lock and (journal != "wal" or Lock.WRITE in {before.lock, lock})
        assert not noticed
        assert same_content
        assert not waits


def _run(
    journal: str, levels: tuple[str | None, ...], timeout_s: float, calls: list[tuple[int, tuple[Any, ...], bool]]
) -> Counter[str]:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as directory:  # noqa: S108
        bench = Bench(Path(directory), journal, levels, timeout_s)
        try:
            for number, (kind, cursor, sql), patient in calls:
                bench.perform(number, kind, cursor, sql, patient=patient)
        finally:
            bench.close()
        return bench.stops


_journals = st.sampled_from(("wal", "delete"))
_levels = st.tuples(*[st.sampled_from(("", None))] * 3)
_timeouts = st.sampled_from((0.0, 5.0, 5.0))


@settings(max_examples=400, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(_journals, _levels, _timeouts, _calls)
def test_world_waits_stops_and_holds_locks_just_as_sqlite_does(
    journal: str, levels: tuple[str | None, ...], timeout_s: float, calls: list[tuple[int, tuple[Any, ...], bool]]
) -> None:
    """After every operation of any sequence: the same stop or end, the same locks, and the same rows."""
    _run(journal, levels, timeout_s, calls)


def test_calls_wait_and_pause_in_these_tests() -> None:
    """A wait for the write lock, another attempt, the end of its patience; and the two statements of a script."""
    calls = [
        (0, (Kind.EXECUTE, 0, "BEGIN IMMEDIATE"), True),
        (1, (Kind.EXECUTE, 0, "UPDATE t SET v = v"), True),
        (1, (Kind.EXECUTE, 0, ""), True),
        (1, (Kind.EXECUTE, 0, ""), False),
        (0, (Kind.COMMIT, None, None), True),
        *[(0, (Kind.EXECUTESCRIPT, 0, SCRIPTS[0]), True)] * 3,
    ]
    expected = {str(_WAITS): 2, str(_PAUSES): 2, "None": 4}
    assert expected == _run("wal", (None, None, None), 5.0, calls)


@pytest.mark.truth
@settings(max_examples=20_000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(_journals, _levels, _timeouts, _calls)
def test_world_waits_stops_and_holds_locks_just_as_sqlite_does_at_length(
    journal: str, levels: tuple[str | None, ...], timeout_s: float, calls: list[tuple[int, tuple[Any, ...], bool]]
) -> None:
    """The same, many more."""
    _run(journal, levels, timeout_s, calls)
