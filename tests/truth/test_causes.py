"""One case for each cause of a false verdict that is known, compared with all that it does for real.

What happens is executed, and not written down here. Each case has something that must show in it, so that it is about
what it is named for.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from attrs import evolve, frozen

from tests.sampled import one_in
from tests.truth.compared import CRASHED, Checked, Settings, checked, compare, shared
from tests.truth.generator import HAS_AUTOCOMMIT, Case, Program
from tests.truth.real import Explored, explore_case
from treadle import FaultBudget

_EXECUTIONS = 300
_MAX_SECONDS = 20.0

_LONG = {
    "checkpoint sees readers",
    "checkpoint waits",
    "data_version",
    "function of a connection",
    "page_count",
    "statistics",
    "freelist_count",
    "schema_version",
}
"""The causes where every schedule is run live, and there are many: they are for ``make truth``."""


@frozen
class Cause:
    """A case, as it is written.

    Attributes:
        name: what it is about.
        written: the case.
        shows: this is in how some client ends, in some execution.
    """

    name: str
    written: str
    shows: str

    def __str__(self) -> str:
        return self.name

    @property
    def case(self) -> Case:
        """The case."""
        return Case.parse(self.written)


READ_THEN_WRITE = "none: begin, read one, add two?, COMMIT"
LOCKED = "OperationalError: database is locked [SQLITE_BUSY]"

CAUSES = [
    # A call that waits holds what it has.
    Cause("BEGIN EXCLUSIVE waits", f"delete 5000 / none: begin exclusive, add, COMMIT / {READ_THEN_WRITE}", LOCKED),
    Cause("autocommit write waits", f"delete 5000 / none: add / {READ_THEN_WRITE}", LOCKED),
    Cause("change of the schema waits", f"delete 5000 / none: create / {READ_THEN_WRITE}", LOCKED),
    Cause("header waits", f"delete 5000 / none: set version / {READ_THEN_WRITE}", LOCKED),
    Cause("third cannot start to read", "delete 5000 / none: first, rest / none: add / none: read one", "[(12,)]"),
    Cause("COMMIT waits", f"delete 5000 / legacy: add, commit / {READ_THEN_WRITE}", LOCKED),
    Cause("nothing is left of an attempt", "delete 5000 / none: insert id / none: first, rest", "returned 1"),
    Cause("nothing is left of it in a row", "delete 5000 / none: insert id, insert id, read / none: first", "103"),
    # A statement that is over is not under way.
    Cause(
        "executemany is over", "wal 5000 / legacy: many left, commit, read one / none: add", "returned 2 |  | [(13,)]"
    ),
    Cause("ORM bulk update is over", "wal 5000 / null pool: s bulk update, s commit, s query / none: add", "[33, 41]"),
    # Statements that end the transaction.
    Cause("OR ROLLBACK", f"wal 5000 / legacy: add, or rollback? / {READ_THEN_WRITE}", LOCKED),
    Cause("ON CONFLICT ROLLBACK", f"wal 5000 / legacy: add, rolls?, commit / {READ_THEN_WRITE}", LOCKED),
    Cause("RAISE(ROLLBACK)", f"wal 5000 / legacy: add, raise rollback?, commit / {READ_THEN_WRITE}", LOCKED),
    Cause("UPDATE OR ROLLBACK", "wal 0 / legacy: unique, update or rollback?, commit / none: add", LOCKED),
    # The driver's grain.
    Cause("rows in autocommit", "wal 5000 / none: many list / none: read", "[(1, 11), (2, 20)]"),
    Cause("rows in autocommit, rollback journal", "delete 5000 / none: many list / none: read", "[(1, 11), (2, 20)]"),
    Cause("rows are drawn in the transaction", "wal 5000 / legacy: many reader?, commit / none: add two", LOCKED[:-1]),
    Cause("rows are drawn in autocommit", "wal 5000 / none: many reader / none: add two", "returned 2"),
    Cause("an iterator that writes", "wal 5000 / none: many writer / none: read", "(2, 21)"),
    Cause("an iterator that reads elsewhere", "wal 5000 / legacy: many other?, commit / none: add two", "returned 2"),
    Cause("statements of a script", "wal 5000 / none: script / none: read", "[(1, 11), (2, 20)]"),
    Cause("statements of a script, rollback journal", "delete 5000 / none: script / none: read", "[(1, 11), (2, 20)]"),
    Cause("script that commits first", "wal 5000 / legacy: add, script / none: read", "[(1, 11), (2, 20)]"),
    Cause("script that begins", f"wal 5000 / none: script begin / {READ_THEN_WRITE}", LOCKED[:-1]),
    # What a connection knows.
    Cause("schema that was read", "wal 0 / none: read one, unique? / none: drop u, begin immediate, COMMIT", LOCKED),
    Cause(
        "schema that was not read", "wal 0 / none: read one, fill? / none: create, begin immediate", "no such table: n"
    ),
    Cause("changes()", "wal 5000 / none: read one, changes / none: add, delete", "(0, 0)"),
    Cause(
        "changes() of a rolled back statement", "wal 5000 / none: duplicate?, changes, total / none: unique", "(0, 0)"
    ),
    Cause("changes() differ", "wal 5000 / none: or ignore, changes, total / none: unique", "(2, 2)"),
    Cause("last_insert_rowid()", "wal 5000 / none: insert, last id, insert id / none: insert", "(4,)"),
    Cause("lastrowid of an upsert", "wal 5000 / none: insert, id of upsert / none: insert", "([], 4)"),
    Cause("lastrowid of what was ignored", "wal 5000 / none: insert, id of ignored / none: insert", "([], 4)"),
    Cause("timeout by script", "wal 5000 / none: begin immediate, COMMIT / none: timeout by script, add?", LOCKED),
    Cause("timeout, quoted", "wal 5000 / none: begin immediate, COMMIT / none: timeout quoted, add?", LOCKED),
    Cause("timeout is read", "wal 0 / none: timeout, timeout long, add / none: begin immediate, COMMIT", "[(3000,)]"),
    Cause("query_only", "wal 5000 / none: query only, add? / none: read", "readonly"),
    Cause("foreign keys of a connection", "wal 5000 / none: keys on, orphan? / none: orphan", "FOREIGN KEY"),
    Cause("function of a connection", "wal 5000 / none: function, function write / none: add", "returned [(1, 20)"),
    Cause("isolation_level is set", f"wal 5000 / legacy: add, level none, add / {READ_THEN_WRITE}", LOCKED),
    Cause("isolation_level immediate", f"wal 5000 / legacy: level immediate, add, commit / {READ_THEN_WRITE}", LOCKED),
    Cause("temporary table", "wal 5000 / none: temp, add, read temp / none: add", "[(12,), (20,)]"),
    # What is committed.
    Cause("application_id", "wal 5000 / none: set application / none: application, read one", "[(7,)]"),
    Cause("user_version twice", "wal 5000 / none: set version, set version six / none: version, version", "[(5,)]"),
    Cause("header in a transaction", "delete 5000 / none: begin, set version, ROLLBACK / none: version", "[(0,)]"),
    Cause("sqlite_sequence", "wal 5000 / none: insert ai, delete ai / none: insert ai, read sequence", "('ai', 4)"),
    Cause(
        "sqlite_sequence is reset", "wal 5000 / none: reset ai / none: delete ai, insert ai, read sequence", "('ai', 1)"
    ),
    Cause("statistics", "wal 5000 / none: read one, analyze / none: read statistics?", "no such table: sqlite_stat1"),
    Cause("data_version", "wal 5000 / none: data version, read one, data version / none: add", "[(2,)]"),
    Cause("page_count", "wal 5000 / none: page count, page count / none: create", "returned [("),
    Cause("freelist_count", "wal 5000 / none: freelist, freelist / none: drop u", "returned [("),
    Cause("schema_version", "wal 5000 / none: schema version, schema version / none: create", "returned [("),
    Cause("checkpoint sees readers", "wal 0 / none: add, truncate / none: first, rest", "[(1, "),
    Cause("checkpoint waits", "wal 5000 / none: add, truncate / none: first, rest", "[(0, 0, 0)]"),
    # What tells or asks nothing.
    Cause("EXPLAIN reads nothing", "delete 5000 / none: explain, read / none: add, add two", "returned 9"),
    Cause("EXPLAIN of a write", "wal 5000 / none: begin, explain write, read, COMMIT / none: add", "(1, 12)"),
    Cause(
        "script after a read", "wal 5000 / legacy: constant, script / legacy: constant, script", "returned [(1,)] | "
    ),
    Cause("script that is empty", "wal 5000 / legacy: add, script empty, rollback / none: read one", "[(11,)]"),
    Cause("value that cannot be bound", "wal 5000 / none: too large?, read / none: read one", "OverflowError"),
    Cause("value in a transaction", "wal 0 / legacy: too large?, add two / none: add", LOCKED),
    Cause("leaked connection", "wal 0 / legacy leave: add / none: read one, unique?", LOCKED),
    Cause("leaked connection, rollback journal", "delete 5000 / legacy leave: first, add / none: add two", LOCKED),
    # Who has returned.
    Cause("an end is seen", "wal 5000 / none: add, read one / none: add two", "returned 1"),
    Cause("an end with nothing to commit", "wal 5000 / none: begin, read one / none: add two, add", "returned -1"),
]

if HAS_AUTOCOMMIT:
    CAUSES += [
        Cause("autocommit=False", "wal 5000 / off: add / off: read one, rollback, read one", "[(10,)]"),
        Cause(
            "autocommit=False, rollback journal", "delete 0 / off: add / off: read one, rollback, read one", "[(10,)]"
        ),
        Cause("autocommit is set", f"wal 5000 / off: add, autocommit on / {READ_THEN_WRITE}", LOCKED),
    ]


def _must_show(cause: Cause, real: Explored) -> None:
    assert any(cause.shows in str(end) for ends, _ in real.ends for end in ends), sorted(ends for ends, _ in real.ends)


def _require_no_mismatch(cause: Cause, settings: Settings) -> None:
    real = explore_case(cause.case, _EXECUTIONS)
    _must_show(cause, real)
    tally: Counter[str] = Counter()
    assert [] == [str(mismatch) for mismatch in compare(cause.case, settings, tally, real)]
    assert 1 == tally["compared"], dict(tally)


@pytest.mark.parametrize("cause", one_in(2, [cause for cause in CAUSES if cause.name not in _LONG]), ids=str)
def test_known_causes_lead_to_no_false_verdict(cause: Cause) -> None:
    """What happens and what the search found are the same; some execution ends in the way that the case is about."""
    _require_no_mismatch(cause, Settings(executions=_EXECUTIONS, max_seconds=_MAX_SECONDS))


@pytest.mark.truth
@pytest.mark.parametrize("cause", [cause for cause in CAUSES if cause.name in _LONG], ids=str)
def test_known_causes_that_take_long_lead_to_no_false_verdict(cause: Cause) -> None:
    """The same."""
    _require_no_mismatch(cause, Settings(executions=_EXECUTIONS, max_seconds=_MAX_SECONDS))


@pytest.mark.parametrize("cause", one_in(6, [cause for cause in CAUSES if cause.name not in _LONG]), ids=str)
def test_an_end_that_happens_violates_that_it_never_does(cause: Cause) -> None:
    """What the search found is what a property is asked about."""
    _require_no_mismatch(cause, Settings(executions=_EXECUTIONS, max_seconds=_MAX_SECONDS, asked=1))


# Faults: what one process outside can do at most once, and the death of a client.


@frozen
class Outside:
    """A case of one client, and what a process outside does."""

    name: str
    written: str
    outside: str
    shows: str

    def __str__(self) -> str:
        return self.name


TAKES_THE_LOCK = "none: begin immediate, ROLLBACK"
READS = "none: first, rest"

OUTSIDE = [
    Outside("write after a change of the schema", "wal 0 / legacy: create, add, commit", TAKES_THE_LOCK, LOCKED),
    Outside("change of the schema", "wal 0 / none: add, create", TAKES_THE_LOCK, LOCKED),
    Outside("write", "wal 0 / legacy: read one, add, commit", TAKES_THE_LOCK, LOCKED),
    Outside("COMMIT beside a reader", "delete 0 / legacy: add, commit", READS, LOCKED),
    Outside("implicit COMMIT of a script", "delete 0 / legacy: add, script", READS, LOCKED),
    Outside("implicit COMMIT of isolation_level", "delete 0 / legacy: add, level none", READS, LOCKED),
    Outside("implicit COMMIT of autocommit", "delete 0 / off: add, autocommit on", READS, LOCKED),
    Outside("with block beside a reader", "delete 0 / legacy: with add", READS, LOCKED),
    Outside("second statement of a script", "wal 0 / none: script", TAKES_THE_LOCK, LOCKED),
    Outside("second statement, rollback journal", "delete 0 / none: script", TAKES_THE_LOCK, LOCKED),
    Outside("second row in autocommit", "wal 0 / none: many list", TAKES_THE_LOCK, LOCKED),
    Outside("second row, rollback journal", "delete 0 / none: many list", READS, LOCKED),
    Outside("RETURNING that commits late", "delete 0 / none: returning, rest", READS, LOCKED),
]

KILLED = [
    "wal 0 / none: script",
    "delete 0 / none: script",
    "wal 0 / none: many list",
    "wal 0 / none leave: add",
    "wal 0 / legacy leave: add, commit",
    "delete 0 / legacy: add, commit, add two, commit",
    "wal 0 / legacy: add, script",
    "wal 0 / legacy: add, level none, add two",
    "wal 0 / none: returning, rest",
    "wal 0 / legacy: with add, with add",
]


def _checked_with(case: Case, faults: FaultBudget) -> Checked:
    found = checked(case, max_seconds=_MAX_SECONDS, faults=faults)
    assert (None, True) == (found.trouble, found.exhausted)
    return found


@pytest.mark.parametrize("outside", OUTSIDE, ids=str)
def test_every_refusal_by_a_process_outside_is_found(outside: Outside) -> None:
    """However one more process takes a lock once, the client ends as it does with at most one fault."""
    case = Case.parse(outside.written)
    if not HAS_AUTOCOMMIT and "autocommit" in case.features:
        pytest.skip("autocommit is new in Python 3.12")
    beside = evolve(case, programs=(*case.programs, Program.parse(outside.outside)))
    real = explore_case(beside, _EXECUTIONS)
    ends = {(ends[0], shared(content, case)[0]) for ends, content in real.ends}
    assert any(outside.shows in str(end) for end, _ in ends)
    found = {(ends[0], tables) for ends, tables in _checked_with(case, FaultBudget(locked=1)).ends}
    assert set() == ends - found


@pytest.mark.parametrize("written", KILLED)
def test_client_can_die_wherever_it_has_not_returned(written: str) -> None:
    """What a client that is killed leaves behind is what was committed at some moment before it returned."""
    case = Case.parse(written)
    real = explore_case(case, _EXECUTIONS)
    left: set[Any] = {shared(content, case)[0] for content, (end,) in (*real.passed, *real.late) if end is None}
    found = {tables for ends, tables in _checked_with(case, FaultBudget(crash=1)).ends if ends == (CRASHED,)}
    assert left == found


def test_statement_that_the_driver_has_prepared_is_no_other_state() -> None:
    """A call waits in the implicit BEGIN before its statement, or in the preparation of that: one wait, one future."""
    case = Case.parse(
        "delete 5000 / exclusive: add two, many writer / exclusive: read u?, many left, constant!, shut!, many none!"
    )
    assert _checked_with(case, FaultBudget(locked=1)).ends


@pytest.mark.skipif(not HAS_AUTOCOMMIT, reason="Python 3.12 has it")
def test_transaction_that_rollback_does_not_end_is_put_to_rest() -> None:
    """The driver's ``rollback()`` does nothing with ``autocommit=True``, and what was begun lasts."""
    assert _checked_with(Case.parse("wal 0 / none: no row, insert / on: begin exclusive"), FaultBudget()).ends


def test_script_is_not_refused_where_no_process_outside_can_hold_a_lock() -> None:
    """Beside EXCLUSIVE there is no reader, so a COMMIT within a script is not refused, and the script goes on."""
    case = Case.parse(
        "delete 5000 / legacy: begin immediate, returning all! "
        "/ exclusive: first, delete returning!, script half, read one"
    )
    assert _checked_with(case, FaultBudget(locked=1)).ends
