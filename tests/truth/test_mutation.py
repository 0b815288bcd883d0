"""The tests of truth notice when a rule is switched off.

=================================================  ==============================================================
rule that is switched off                          what notices
=================================================  ==============================================================
an upgrade fails at once                           the busy handler (test_wait_or_fail)
a stale snapshot fails at once                     the busy handler
a RELEASE of an outermost savepoint may commit     the world, in which what is local commits nothing
an open cursor holds a lock                        sqlite3_txn_state (test_wait_or_fail)
to take a snapshot is not local                    all interleavings (test_reductions)
to take the write lock is not local                the world, in which two cannot write
to let go of the write lock is not local           the world, in which what is local commits nothing
to drop a read lock is not local in delete mode    all interleavings
a commit makes the snapshots of others stale       live executions (NondeterminismError), or all interleavings
the cursor's old statement is reset first          all interleavings
a connection with a timeout of 0 fails at once     all interleavings
a waiting client tries again when locks change     all interleavings
a log is forgotten only when nothing is held       live executions (NondeterminismError), or all interleavings
an outermost savepoint begins the transaction      the world, in which what is local commits nothing
two contents with other rows differ                live executions (NondeterminismError), or all interleavings
what some client changes is not constant           all interleavings
what is found to be changed starts the search over all interleavings
a read that keeps its snapshot is not local        all interleavings
nor is one in whose snapshot something else is read all interleavings
clients with other arguments differ                all interleavings
what a stretch does depends on the locks of others the world, in which two cannot write
a stale snapshot alone sees nothing of commits     live executions (NondeterminismError), or all interleavings
a past starts from what was committed then         the past, which shows something else (NondeterminismError)
a stale snapshot is made stale again               live executions (NondeterminismError), or all interleavings
another writer is in the way of a rebuilt past     the world, in which two cannot write
a read is left out of a past with all its fetches  the past, which shows something else (NondeterminismError)
a closed connection lives on with its statements   all interleavings
=================================================  ==============================================================
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.truth.brute import all_outcomes
from tests.truth.checked import outcomes
from tests.truth.programs import Case, Program, Step
from tests.truth.test_wait_or_fail import Bench
from treadle import NondeterminismError
from treadle.client.gate import GateCursor
from treadle.execution import product, symmetry
from treadle.execution.state import State
from treadle.values.fault import LockKind
from treadle.values.operation import Kind
from treadle.world import aftermath, content, learned, line, locality, observer, past, world
from treadle.world.holding import NO_LOCKS, Lock, Posture


def _program(*verbs: str) -> Program:
    return Program(tuple(Step(verb, "go on") for verb in verbs))


def _agrees(case: Case) -> bool:
    """Tell whether the checker finds the outcomes of all interleavings, or of many where there are more."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as directory:  # noqa: S108
        truth, complete = all_outcomes(case, Path(directory), 400)
    try:
        found, result = outcomes(case)
    except NondeterminismError:
        return False
    return result.exhausted and (found == truth if complete else found >= truth)


def _bookkeeping_agrees(*calls: tuple[int, Kind, int | None, str | None]) -> bool:
    """Tell whether the world's bookkeeping is SQLite's own."""
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory), "wal", (None, None))
        try:
            for call in calls:
                bench.perform(*call)
        except AssertionError:
            return False
        finally:
            bench.close()
    return True


def _seen_as_local(monkeypatch: pytest.MonkeyPatch, local: Callable[..., bool]) -> None:
    """Take operations for local where this says so, too."""
    right = locality.is_local
    monkeypatch.setattr(locality, "is_local", lambda journal, given: local(given) or right(journal, given))


_TWO_READS = Case((_program("read", "read"), _program("immediate", "add", "commit")), "wal", "legacy", 5000)
_READ_WRITE = Case((_program("begin", "read", "put", "commit"),) * 2, "wal", "legacy", 5000)
_REREAD = Case((_program("begin", "read", "read", "put", "commit"),) * 2, "wal", "legacy", 5000)
_SAVEPOINTS = Case((_program("savepoint", "add", "release"), _program("read", "read")), "wal", "legacy", 5000)
_READERS = Case((_program("first", "close"), _program("add", "commit")), "delete", "legacy", 0)
_REUSE = Case((_program("first", "again"), _program("add", "commit")), "wal", "legacy", 5000)
_NOTHING = _program("immediate", "add", "back", "commit")
_IMPATIENT = Case((_program("add", "commit"),) * 2, "wal", "legacy", 0)
_PATIENT = Case((_program("add", "commit"),) * 2, "wal", "legacy", 5000)
_ROWIDS = Case((_program("unique", "commit"), _program("delete", "commit", "read")), "wal", "legacy", 5000)
_BACK = Case((_program("begin", "read", "put", "commit"), _NOTHING), "wal", "legacy", 5000)
_LOOKS = Case((_program("look", "look"), _program("shift", "commit")), "wal", "legacy", 5000)
_RARE = Case(
    (_program("add", "commit", "look", "look"), _program("read", "stay if", "shift", "commit")), "wal", "legacy", 5000
)
_PEEK = Case((_program("add", "commit", "peek", "read"), _program("put", "commit")), "wal", "legacy", 5000)
_KEPT = Case(
    (_program("add", "commit", "peek", "commit", "immediate", "add", "commit", "close"), _program("put", "commit")),
    "wal",
    "legacy",
    5000,
)
_SHUT = Case((_program("returning", "shut", "drop", "look"), _program("read", "read")), "wal", "begin", 5000)
_SHUT_IN_TURN = Case((_program("first", "shut", "drop"), _program("add", "commit", "read")), "delete", "legacy", 0)
_ALIKE = Case((_program("read", "put", "commit"),) * 2, "wal", "legacy", 5000, alike=True)
_UNLIKE = Case((_program("read", "put", "commit"),) * 2, "wal", "legacy", 5000)

_UPGRADE = (
    (0, Kind.EXECUTE, 0, "BEGIN"),
    (0, Kind.EXECUTE, 0, "SELECT v FROM t WHERE id = 1"),
    (0, Kind.FETCHALL, 0, None),
    (1, Kind.EXECUTE, 0, "BEGIN IMMEDIATE"),
    (0, Kind.EXECUTE, 0, "UPDATE t SET v = v"),
)
_SNAPSHOT = (*_UPGRADE[:4], (1, Kind.EXECUTE, 0, "UPDATE t SET v = v + 1"), (1, Kind.COMMIT, None, None), _UPGRADE[4])
_CURSOR = ((0, Kind.EXECUTE, 0, "SELECT v FROM t"),)


@pytest.mark.parametrize(
    "case",
    [
        *(_TWO_READS, _READ_WRITE, _SAVEPOINTS, _READERS, _REUSE, _IMPATIENT, _PATIENT, _ROWIDS, _BACK),
        *(_REREAD, _LOOKS, _RARE, _PEEK, _KEPT, _ALIKE, _UNLIKE, _SHUT, _SHUT_IN_TURN),
    ],
)
def test_unchanged_checker_agrees_with_all_interleavings(case: Case) -> None:
    """With all rules in force, nothing is noticed."""
    assert _agrees(case)


@pytest.mark.parametrize("calls", [_UPGRADE, _SNAPSHOT, _CURSOR])
def test_unchanged_bookkeeping_agrees_with_sqlite(calls: tuple[Any, ...]) -> None:
    """With all rules in force, nothing is noticed."""
    assert _bookkeeping_agrees(*calls)


@pytest.mark.parametrize(("kind", "calls"), [(LockKind.UPGRADE, _UPGRADE), (LockKind.SNAPSHOT, _SNAPSHOT)])
def test_waiting_where_sqlite_fails_at_once_is_noticed(
    monkeypatch: pytest.MonkeyPatch, kind: LockKind, calls: tuple[Any, ...]
) -> None:
    """Upgrades and stale snapshots fail at once."""
    right = aftermath.why_busy

    def wrong(*given: Any) -> LockKind | None:
        found = right(*given)
        return LockKind.TIMEOUT if found is kind else found

    monkeypatch.setattr(world, "why_busy", wrong)
    assert not _bookkeeping_agrees(*calls)


def test_forgetting_open_cursors_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An open cursor holds a lock."""
    monkeypatch.setattr(line.Line, "under_way", lambda _: frozenset())
    assert not _bookkeeping_agrees(*_CURSOR)


def test_a_connection_that_is_closed_at_once_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements that are under way when their connection is closed go on, and commit when they end."""

    def let_go(self: line.Line) -> None:
        self.real.close()
        self.gone = True

    monkeypatch.setattr(line.Line, "_let_go", let_go)
    assert not _agrees(_SHUT)


def test_a_local_snapshot_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """To take a snapshot is not local."""
    _seen_as_local(monkeypatch, lambda given: given.effects.reads and not given.effects.writes)
    assert not _agrees(_TWO_READS)


def test_a_local_write_lock_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """To take the write lock is not local."""
    _seen_as_local(monkeypatch, lambda given: given.effects.writes)
    with pytest.raises(AssertionError, match="two cannot write"):
        _agrees(_READ_WRITE)


def test_a_local_commit_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """To let go of the write lock is not local."""
    _seen_as_local(monkeypatch, lambda given: given.kind is Kind.COMMIT)
    with pytest.raises(AssertionError, match="commits nothing"):
        _agrees(_READ_WRITE)


def test_a_release_that_never_commits_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A RELEASE of the outermost savepoint may commit."""
    monkeypatch.setattr(locality.Situation, "releases", False)
    with pytest.raises(AssertionError, match="commits nothing"):
        _agrees(_SAVEPOINTS)


def test_a_local_end_of_reading_in_delete_mode_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """To drop a read lock is not local in delete mode."""
    _seen_as_local(
        monkeypatch,
        lambda given: given.posture.lock is Lock.READ and not given.effects.touches_database,
    )
    assert not _agrees(_READERS)


def test_snapshots_that_never_grow_stale_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit makes the snapshots of others stale, even if it changes nothing."""
    monkeypatch.setattr(Posture, "reads_snapshot", False)
    assert not _agrees(_BACK)


def test_a_cursor_that_is_not_reset_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cursor that is used again lets go of its old statement first."""
    right = GateCursor._run

    def wrong(self: GateCursor, *given: Any) -> GateCursor:
        self._gate._unfinished.discard(self._number)
        return right(self, *given)

    monkeypatch.setattr(GateCursor, "_run", wrong)
    assert not _agrees(_REUSE)


def test_a_timeout_of_zero_that_waits_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection whose busy timeout is 0 never waits."""
    right = aftermath.Aftermath._settings_after
    monkeypatch.setattr(aftermath.Aftermath, "_settings_after", lambda *given: (5000, *right(*given)[1:]))
    assert not _agrees(_IMPATIENT)


def test_a_waiting_client_that_never_tries_again_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A waiting client tries again when another one changes its lock."""
    monkeypatch.setattr(product.Product, "_may_step", lambda _, state, client: state.locals[client].wait is None)
    assert not _agrees(_PATIENT)


def test_a_log_that_is_forgotten_too_early_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a connection did since it held nothing is part of its state."""
    monkeypatch.setattr(aftermath.Aftermath, "_log_after", lambda *_, **__: 1)
    assert not _agrees(_READ_WRITE)


def test_a_savepoint_that_begins_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A savepoint outside a transaction begins one, which its RELEASE ends."""
    right = aftermath._savepoints_after

    def wrong(*given: Any) -> tuple[int, bool, bool]:
        savepoints, _, due = right(*given)
        return savepoints, False, due

    monkeypatch.setattr(aftermath, "_savepoints_after", wrong)
    with pytest.raises(AssertionError, match="commits nothing"):
        _agrees(_SAVEPOINTS)


def test_contents_that_are_taken_for_equal_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Committed rows are part of the state."""
    right = content.Library.read
    first: list[content.Content] = []

    def wrong(self: content.Library, *given: Any) -> content.Content:
        found = right(self, *given)
        if not first or found.schema is not first[0].schema:
            first[:] = [found]
        return first[0]

    monkeypatch.setattr(content.Library, "read", wrong)
    assert not _agrees(_ROWIDS)


def test_constants_that_a_client_changes_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that some client is known to change is not constant."""
    monkeypatch.setattr(product.Product, "_may_change", lambda *_: False)
    assert not _agrees(_LOOKS)


def test_a_change_that_is_found_too_late_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a table turns out not to be constant, the search starts over."""
    monkeypatch.setattr(product.Product, "outdated", property(lambda _: False, lambda *_: None), raising=False)
    assert not _agrees(_RARE)


def test_a_snapshot_that_is_kept_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read of a constant table is not local where its cursor stays open: its snapshot tells when it was taken."""
    monkeypatch.setattr(product.Product, "_seen_in_passing", lambda *_: frozenset())
    assert not _agrees(_KEPT)


def test_what_is_read_in_passing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it local where something else is read in its snapshot before that is gone."""
    right = product.Product._seen_in_passing
    monkeypatch.setattr(product.Product, "_seen_in_passing", lambda *given: right(*given) and frozenset())
    assert not _agrees(_PEEK)


def test_clients_that_are_wrongly_interchangeable_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients with other arguments are not interchangeable."""
    monkeypatch.setattr(symmetry, "_same_code", lambda left, right: left.run.func is right.run.func)
    assert _agrees(_ALIKE)
    assert not _agrees(_UNLIKE)


def test_a_stretch_that_ignores_locks_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stretch does depends on the locks that others hold."""
    right = State.others

    def wrong(self: State, client: int, connection: int | None = None) -> Any:
        return NO_LOCKS if connection is None else right(self, client, connection)

    monkeypatch.setattr(State, "others", wrong)
    with pytest.raises(AssertionError, match="two cannot write"):
        _agrees(_PATIENT)


@pytest.mark.parametrize("case", [_READ_WRITE, _BACK])
def test_a_fresh_snapshot_that_is_taken_for_stale_is_noticed(monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    """What others committed makes a difference to a snapshot that is not stale."""
    for module in (locality, learned):
        monkeypatch.setattr(module, "sees_no_commits", lambda posture, _: posture.in_transaction)
    assert not _agrees(case)


def test_a_past_that_starts_anywhere_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection is brought back to what it held from what was committed when it took its snapshot."""
    right = past.past_of

    def wrong(*given: Any) -> Any:
        found = right(*given)
        return found and [done._replace(snapshot=None) for done in found]

    monkeypatch.setattr(learned, "past_of", wrong)
    assert not _agrees(_READ_WRITE)


def test_a_stale_snapshot_that_is_rebuilt_fresh_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where others changed nothing, or changed it back, a snapshot is stale all the same."""
    monkeypatch.setattr(observer.Observer, "commit_nothing", lambda *_: None)
    assert not _agrees(_BACK)


def test_a_writer_that_is_left_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is brought back to what it held finds the write lock held if another one holds it."""
    monkeypatch.setattr(world.World, "perform_beside_writer", lambda self, *given: self.perform(*given))
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):  # two wrote, and one cannot be undone
        _agrees(_PATIENT)


def test_half_a_read_that_is_left_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read is left out of a past with all that is fetched of it, or not at all."""
    monkeypatch.setattr(past, "_passing", lambda *_: 1)
    assert not _agrees(_REREAD)
