from __future__ import annotations

from tests.report.examples import Script, appears, orphan
from treadle.report.entries import Entry, entries
from treadle.values.fault import Fault, LockKind
from treadle.values.observation import LOCKED, Observation
from treadle.values.operation import Kind
from treadle.values.outcome import Crashed, Returned


def read(script: Script, *, verbose: bool = False) -> tuple[Entry, ...]:
    """Return the entries of a script."""
    return entries(script.trace("t1"), verbose=verbose)


def extras(entry: Entry) -> list[str]:
    """Return the whole text of each extra."""
    return [extra.render() for extra in entry.extras]


class TestFolding:
    def test_folds_housekeeping(self) -> None:
        """To connect, configure and close says nothing about an interleaving."""
        script = Script()
        script.start(0)
        script.run(0, "SAVEPOINT a", inside=True)
        script.add(0, Kind.CLOSE)
        assert [entry.statement for entry in read(script)] == ["SAVEPOINT a"]

    def test_verbose_folds_nothing(self) -> None:
        """Every event is an entry."""
        trace = orphan()
        assert len(trace.events) == len(entries(trace, verbose=True))
        assert len(trace.events) > len(entries(trace))

    def test_joins_fetches_to_their_statement(self) -> None:
        """A statement shows the rows that were fetched right after it."""
        script = Script()
        script.select(0, "SELECT x", (7,), (1,), (2,))
        (entry,) = read(script)
        assert entry.number == 1
        assert extras(entry) == ["(7)", "→ 2 rows: (1), (2)"]

    def test_shows_a_late_fetch(self) -> None:
        """A fetch after which another client went on is shown: until then the cursor held its snapshot."""
        script = Script()
        script.add(0, Kind.EXECUTE, "SELECT x", held="read", seen=Observation(description=(("x",),)))
        script.run(1, "INSERT", held="write")
        script.add(0, Kind.FETCHALL, held="none", seen=Observation(rows=[(1,)]))
        assert [entry.statement for entry in read(script)] == ["SELECT x", "INSERT", "fetchall"]

    def test_shows_a_close_that_releases_a_lock(self) -> None:
        """Housekeeping that changes a lock is part of the story."""
        script = Script()
        script.add(0, Kind.EXECUTE, "SELECT x", held="read", seen=Observation(description=(("x",),)))
        script.run(1, "INSERT", held="write")
        script.add(0, Kind.CLOSE_CURSOR, held="none")
        assert [entry.statement for entry in read(script)] == ["SELECT x", "INSERT", "close cursor"]

    def test_folds_the_rollback_of_a_connection_pool(self) -> None:
        """A ROLLBACK right after a COMMIT is what a pool does."""
        script = Script()
        script.run(0, "INSERT", held="write")
        script.add(0, Kind.COMMIT, held="none")
        script.add(0, Kind.ROLLBACK)
        assert [entry.statement for entry in read(script)] == ["INSERT", "COMMIT"]

    def test_shows_a_rollback_that_comes_too_late(self) -> None:
        """A ROLLBACK that finds no transaction, since a RELEASE committed, is the point of the story."""
        script = Script()
        script.run(0, "RELEASE SAVEPOINT a", inside=False, changes=(appears("t", {"id": 1}),))
        script.add(0, Kind.ROLLBACK)
        assert [entry.statement for entry in read(script)] == ["RELEASE SAVEPOINT a", "ROLLBACK"]
        assert extras(read(script)[1]) == ["(no transaction is open)"]

    def test_shows_the_outcome_without_the_call_that_came_last(self) -> None:
        """That a client ended by closing its connection is of no interest."""
        script = Script()
        script.add(0, Kind.CLOSE, outcome=Returned(201))
        (entry,) = read(script)
        assert (entry.statement, entry.notes) == ("", ("■ returned 201",))


class TestWaiting:
    def script(self) -> Script:
        script = Script()
        script.run(1, "INSERT b", held="write")
        for _ in range(3):
            script.run(0, "INSERT a", (1,), seen=None, holders=("request-2",))
        return script

    def test_is_shown_once(self) -> None:
        """To be told again to wait for the same client is no news."""
        found = read(self.script())
        assert [(entry.number, entry.notes) for entry in found] == [(1, ()), (2, ("waits for B",))]

    def test_ends_when_the_operation_is_done(self) -> None:
        """The operation that waited is marked when it succeeds."""
        script = self.script()
        script.add(1, Kind.COMMIT, held="none")
        script.run(0, "INSERT a", (1,), held="write")
        *_, last = read(script)
        assert (last.statement, extras(last)) == ("INSERT a", ["(again)"])
        assert last.held == ("write", "none")

    def test_ends_when_the_timeout_expires(self) -> None:
        """The operation was shown when it began to wait; now only the error is news."""
        script = self.script()
        seen = Observation(failure=LOCKED)
        script.run(0, "INSERT a", seen=seen, lock_kind=LockKind.TIMEOUT, holders=("request-2",), fault=Fault.LOCKED)
        *_, last = read(script)
        assert last.statement == ""
        assert len(last.notes) == 1


class TestHeld:
    def test_follows_every_client(self) -> None:
        """While an event happens, every client's lock is known."""
        script = Script()
        script.run(0, "INSERT a", held="write")
        script.select(1, "SELECT b", (), held="read")
        script.add(0, Kind.COMMIT, held="none")
        script.run(1, "SELECT c")
        expected = [("write", "none"), ("write", "read"), ("write", "read"), ("none", "read")]
        assert expected == [entry.held for entry in read(script)]

    def test_ends_with_a_crash(self) -> None:
        """What a client held is gone when its process has died."""
        script = Script()
        script.run(0, "INSERT a", held="write")
        script.add(0, None, held="none", fault=Fault.CRASH, outcome=Crashed())
        script.run(1, "INSERT b", held="write")
        assert [entry.held for entry in read(script)] == [
            ("write", "none"),
            ("write", "none"),
            ("none", "write"),
        ]

    def test_names_what_the_holder_holds(self) -> None:
        """A refusal says what the other client holds."""
        script = Script()
        script.run(1, "SELECT b", held="read")
        seen = Observation(failure=LOCKED)
        script.run(0, "COMMIT", seen=seen, lock_kind=LockKind.UPGRADE, holders=("request-2",))
        *_, last = read(script)
        assert last.notes[0].endswith("B holds a read lock]")
