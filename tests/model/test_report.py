"""The bug report, reproduced with real threads and no checker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from model.backfill import Response
from tests.model.workshop import Build, Workshop

PATIENCE_S = 20


class Threads:
    """Two real threads that send a request each, and meet at given statements."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.answers: dict[str, Response] = {}
        self._stops: dict[tuple[str, str, int], Callable[[], object]] = {}
        self._seen: dict[tuple[str, str], int] = {}
        event.listen(workshop.engine, "before_cursor_execute", self._look)

    def at(self, thread: str, prefix: str, nth: int, act: Callable[[], object]) -> None:
        """Let a thread act before its nth statement that starts in this way."""
        self._stops[thread, prefix, nth] = act

    def _look(self, connection: object, cursor: object, statement: str, *rest: Any) -> None:
        name = threading.current_thread().name
        for (thread, prefix, nth), act in list(self._stops.items()):
            if thread == name and statement.startswith(prefix):
                self._seen[thread, prefix] = self._seen.get((thread, prefix), 0) + 1
                if self._seen[thread, prefix] == nth:
                    act()

    def start(self, name: str) -> threading.Thread:
        def send() -> None:
            self.answers[name] = self.workshop.post(user=name)

        thread = threading.Thread(target=send, name=name, daemon=True)
        thread.start()
        return thread


def meet(arrived: threading.Event, awaited: threading.Event) -> None:
    """Say that this thread has arrived, and wait for the other one."""
    arrived.set()
    assert awaited.wait(PATIENCE_S)


def run_the_report(workshop: Workshop) -> dict[str, Response]:
    """Send two requests, in this order.

    ::

        A          guard  INSERT backfill  date 1  SELECT date 2 │                             │ INSERT date 2
        B  guard │                                               │ INSERT backfill  dates  201 │
    """
    threads = Threads(workshop)
    b_looked, a_read, b_finished = (threading.Event() for _ in range(3))
    threads.at("B", "INSERT INTO backfill ", 1, lambda: meet(b_looked, a_read))
    threads.at("A", "INSERT INTO dag_run ", 2, lambda: meet(a_read, b_finished))
    b = threads.start("B")
    assert b_looked.wait(PATIENCE_S)
    a = threads.start("A")
    b.join(PATIENCE_S)
    b_finished.set()
    a.join(PATIENCE_S)
    return threads.answers


@pytest.mark.parametrize("timeout_s", [0.1, 30.0])
def test_the_report(build: Build, timeout_s: float) -> None:
    """A gets 500 at once, whatever its busy timeout, and leaves a backfill with one run of two."""
    workshop = build("shipped-3.2.2", timeout_s=timeout_s)
    answers = run_the_report(workshop)
    assert Response(500, "OperationalError: database is locked") == answers["A"]
    assert 201 == answers["B"].status
    assert [("A", 1), ("B", 2)] == workshop.rows(
        "SELECT triggering_user_name, count(bdr.id) FROM backfill "
        "JOIN backfill_dag_run bdr ON backfill_id = backfill.id GROUP BY 1 ORDER BY 1"
    )
    # Both backfills are active, and every later request is refused.
    assert 2 == workshop.count("backfill WHERE completed_at IS NULL")
    assert 409 == workshop.post(user="C").status


def test_the_partial_backfill_alone_blocks_later_requests(build: Build) -> None:
    """It counts as active, although its request got 500."""
    workshop = build("shipped-3.2.2")
    run_the_report(workshop)
    workshop.rival("UPDATE backfill SET completed_at = created_at WHERE triggering_user_name = 'B'")
    assert 409 == workshop.post(user="C").status


def test_the_same_moments_do_no_harm_under_immediate(build: Build) -> None:
    """B holds the lock from before its guard until its COMMIT, so it never meets A half way."""
    workshop = build("immediate", timeout_s=0.1)
    threads = Threads(workshop)
    b_holds_the_lock, a_was_refused = threading.Event(), threading.Event()
    threads.at("B", "SELECT count(*)", 1, lambda: meet(b_holds_the_lock, a_was_refused))
    b = threads.start("B")
    assert b_holds_the_lock.wait(PATIENCE_S)
    threads.start("A").join(PATIENCE_S)
    a_was_refused.set()
    b.join(PATIENCE_S)
    assert [500, 201] == [threads.answers[name].status for name in "AB"]
    assert [("B",)] == workshop.rows("SELECT triggering_user_name FROM backfill")
