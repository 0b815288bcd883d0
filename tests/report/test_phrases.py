from __future__ import annotations

import pytest

from tests.report.examples import CLIENTS, appears, backfill
from treadle.report import phrases
from treadle.report.sql import NO_BREAK
from treadle.values.fault import Fault, LockKind
from treadle.values.observation import LOCKED, Failure, Observation
from treadle.values.operation import Kind, Operation
from treadle.values.outcome import Crashed, Outcome, Raised, Returned
from treadle.values.trace import Change, Event

EXECUTE = Operation(Kind.EXECUTE, 0, 0, "INSERT")
B = ("request-2",)


def locked(kind: LockKind, *, reachable: bool = True, holders: tuple[str, ...] = B) -> Event:
    """Return an event in which a client saw that the database is locked."""
    seen = Observation(failure=LOCKED)
    return Event(1, 0, EXECUTE, seen, lock_kind=kind, reachable=reachable, holders=holders)


class TestFailure:
    @pytest.mark.parametrize(
        ("event", "expected"),
        [
            (
                locked(LockKind.UPGRADE),
                "upgrade: at once, a longer timeout cannot help; B holds the write lock",
            ),
            (
                locked(LockKind.SNAPSHOT, holders=()),
                "snapshot: at once, a longer timeout cannot help; another has committed since it read",
            ),
            (locked(LockKind.TIMEOUT), "timeout: waited for B until the busy timeout expired"),
            (locked(LockKind.OUTSIDE), "outside, injected; reachable: SQLite can answer so here"),
            (
                locked(LockKind.OUTSIDE, reachable=False),
                "outside, injected; adversarial: SQLite would not answer so here",
            ),
        ],
    )
    def test_says_which_kind_of_locked_it_is(self, event: Event, expected: str) -> None:
        """Each kind has its own words, and says whether a longer timeout would help."""
        assert f"✗ database is locked [{expected}]" == phrases.failure(event, CLIENTS, "the write lock")

    def test_of_another_error(self) -> None:
        """Any other error shows its type and text."""
        seen = Observation(failure=Failure("IntegrityError", "UNIQUE constraint failed: t.a", 2067))
        event = Event(1, 0, EXECUTE, seen)
        assert phrases.failure(event, CLIENTS) == "✗ IntegrityError: UNIQUE constraint failed: t.a"

    def test_of_no_error(self) -> None:
        """Nothing is said where nothing failed."""
        assert phrases.failure(Event(1, 0, EXECUTE, Observation()), CLIENTS) == ""


class TestWaiting:
    def test_names_all_holders(self) -> None:
        """Holders are lettered; one that is no client is another."""
        event = Event(1, 0, EXECUTE, None, holders=("request-1", "request-2", "?"))
        assert phrases.waiting(event, CLIENTS) == "waits for A, B and another"


class TestPublished:
    def test_counts_each_table(self) -> None:
        """Appeared, disappeared and changed rows are counted for each table."""
        changes = [
            appears("backfill", backfill(1)),
            appears("backfill", backfill(2)),
            Change("dag", {"id": 1}, None),
            Change("run", {"id": 1, "state": "queued"}, {"id": 1, "state": "failed"}),
        ]
        text = phrases.published(changes).replace(NO_BREAK, " ")
        assert text == "▶ published 4 rows: +2 backfill, -1 dag, ~1 run"
        assert phrases.published([]) == ""


class TestDifferences:
    def test_shows_old_and_new_values(self) -> None:
        """What changed in a row is shown with the first column, which tells rows apart."""
        change = Change("run", {"id": 1, "state": "queued", "n": 1}, {"id": 1, "state": "failed", "n": 1})
        (text,) = phrases.differences([change])
        assert text.replace(NO_BREAK, " ") == "run id 1: state 'queued' → 'failed'"

    def test_is_silent_about_many(self) -> None:
        """Many changed rows would bury the rest."""
        change = Change("run", {"id": 1}, {"id": 2})
        assert phrases.differences([change] * 4) == []


class TestEnded:
    def test_shows_outcomes(self) -> None:
        """A crash is shown where it happens, so it is not said again."""
        outcomes: list[Outcome | None] = [Returned(201), Raised(ValueError("no")), Crashed(), None]
        expected = ["■ returned 201", "■ raised ValueError: no", "", ""]
        assert expected == [phrases.ended(outcome) for outcome in outcomes]


class TestCrash:
    def test_says_what_is_lost(self) -> None:
        """A crash rolls back."""
        event = Event(1, 0, None, None, fault=Fault.CRASH, outcome=Crashed())
        assert phrases.crash(event) == "✗ crash: the process dies, and what it has not committed is rolled back"


class TestTitles:
    def test_does_not_repeat_a_letter(self) -> None:
        """A client that is called by its letter needs no other name."""
        assert phrases.titles(("A", "writer")) == ("A", "B = writer")
