"""Generated programs, executed for real, end and pass through what the checker says, and nothing else."""

from __future__ import annotations

import contextlib
import itertools
import random
import re
import sqlite3
from collections import Counter
from types import ModuleType

import pytest

from tests.truth.compared import Settings, compare
from tests.truth.generator import ENGINES, FEATURES, HAS_AUTOCOMMIT, PARTS, STYLES, VERBS, Case, draw, smaller
from tests.truth.interface import Handle
from tests.truth.real import Explored, explore_case, rerun

try:
    import pysqlite3
except ImportError:  # no wheel for this Python
    pysqlite3 = None

DRIVERS = [sqlite3, *([pysqlite3] if pysqlite3 else [])]


# The executor itself.


def _explored(written: str, most: int = 5_000) -> Explored:
    return explore_case(Case.parse(written), most)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        # Both connect, execute, fetch and close: C(8, 4) = 70.
        ("wal 5000 / none: read / none: read", 70),
        # A writer fetches nothing: C(7, 3) = 35.
        ("wal 5000 / none: read one / none: add", 35),
        # A rollback journal: the write between the read and the fetch waits until the fetch. Of the 35, C(3, 1) C(3, 1)
        # have it there; with the fetch next, and then the attempt and the close beside the reader's close, as many.
        ("delete 5000 / none: read one / none: add", 35),
        # Three clients, each connects, executes and closes: 9! / (3! 3! 3!) = 1680.
        ("wal 0 / none: begin / none: begin / none: begin", 1680),
        # In autocommit, two rows are two turns: connect, row, row, close beside four: C(8, 4) = 70.
        ("wal 5000 / none: many list / none: read", 70),
        # In a transaction they are one: connect, execute, close beside four: C(7, 3) = 35.
        ("wal 5000 / legacy: many list / none: read", 35),
        # A script of two statements: connect, the call, two statements, close, beside four: C(9, 4) = 126.
        ("wal 5000 / none: script / none: read", 126),
        # Connect, BEGIN IMMEDIATE, COMMIT, close, and nobody waits: a BEGIN between the other's BEGIN and COMMIT fails,
        # and its client then only closes. Apart: the first has made k = 0 or 1 calls of the second's before its COMMIT:
        # C(2, 0) C(5, 1) + C(3, 1) C(4, 1) = 17. Inside: C(3, 1) ways before, C(3, 1) after. Twice (17 + 9) = 52.
        ("wal 0 / none: begin immediate, COMMIT / none: begin immediate, COMMIT", 52),
        # The same, waiting: only the COMMIT can come after the BEGIN that waits, and then any order of one call with
        # three: C(3, 1) C(4, 1). Twice (17 + 12) = 58.
        ("wal 5000 / none: begin immediate, COMMIT / none: begin immediate, COMMIT", 58),
    ],
)
def test_number_of_executions_is_as_counted_by_hand(written: str, expected: int) -> None:
    """Every call is one turn, an attempt that waits is one more, and nothing else is."""
    explored = _explored(written)
    assert (True, expected) == (explored.complete, explored.executions)


def test_waiting_write_holds_what_sqlite_holds() -> None:
    """In a rollback journal a write that waits for a reader keeps PENDING: a second reader cannot start, and waits."""
    case = Case.parse("delete 5000 / none: first, rest / none: add / none: read one")
    # The first reader and the write; the second reader in vain, as the write still waits; then all can go on.
    ran = rerun(case, (0, 0, 1, 1, 2, 2, 0, 0, 1, 2, 2))
    assert ("returned [(1, 10)] | [(2, 20)]", "returned 1", "returned [(12,)]") == ran.ends


def test_timeout_expires_where_all_wait() -> None:
    """A client that ended with its transaction open never lets go, and who waits for it is refused in the end.

    Or the other one has come first.
    """
    locked = "raised OperationalError: database is locked [SQLITE_BUSY]"
    ends = {ends for ends, _ in _explored("wal 5000 / none leave: begin immediate / none: add").ends}
    assert {("returned -1", locked), ("returned -1", "returned 1")} == ends


def test_what_is_left_open_keeps_its_lock() -> None:
    """A raw connection is in a cycle with its statements: nothing closes it before garbage is collected."""
    explored = _explored("wal 0 / legacy leave: add / none: read one, unique?")
    assert "returned [(10,)] | OperationalError: database is locked [SQLITE_BUSY]" in {
        end for (_, end), _ in explored.ends
    }
    assert {((1, 10), (2, 20))} == {content.tables[0][1] for _, content in explored.ends}


def test_contents_come_with_the_ends_so_far() -> None:
    """Every moment counts: also the one between a commit and the end of its client."""
    passed = {(content.tables[0][1], ends) for content, ends in _explored("wal 5000 / none: add").passed}
    before, after = ((1, 10), (2, 20)), ((1, 11), (2, 20))
    assert {(before, (None,)), (after, (None,)), (after, ("returned 1",))} == passed


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.__name__)
def test_programs_see_the_busy_timeout_of_plain_sqlite(driver: ModuleType) -> None:
    """What a PRAGMA reads and sets is as it is without the executor."""
    statements = ("PRAGMA busy_timeout", "PRAGMA busy_timeout = 77", "PRAGMA busy_timeout", "PRAGMA busy_timeout(0)")
    with contextlib.closing(driver.connect(":memory:", timeout=3, isolation_level=None)) as connection:
        handle = Handle(driver, connection, lambda: False)
        seen = []
        for statement in (*statements, "PRAGMA busy_timeout"):
            seen.append(connection.execute(statement).fetchone())
            handle.refresh()
    assert [(3000,), (77,), (77,), (0,), (0,)] == seen


@pytest.mark.parametrize("seed", range(3))
def test_same_seed_executes_the_same(seed: int) -> None:
    """Executions are chosen by the seed, and clients do again what they did."""
    case = draw(random.Random(seed))
    assert explore_case(case, 30, seed) == explore_case(case, 30, seed)


def test_cases_are_what_they_are_written_as() -> None:
    """Each case can be read again, and so can all that are smaller."""
    for seed in range(100):
        case = draw(random.Random(seed))
        for one in (case, *smaller(case)):
            assert one == Case.parse(str(one))


def test_every_verb_and_style_is_drawn() -> None:
    """Nothing that a program can do is left out, but for what this Python has not."""
    programs = [program for seed in range(3_000) for program in draw(random.Random(seed)).programs]
    absent = set() if HAS_AUTOCOMMIT else {"on", "off", "autocommit on", "autocommit off"}
    assert {*VERBS, *PARTS} - absent == {step.verb for program in programs for step in program.steps}
    assert {*STYLES, *ENGINES} - absent == {program.style for program in programs}


# Two SQLites.

COLD_SELECTS = {"constant", "changes", "last id", "id of read"}
"""Known: a SELECT from no table reads the schema first in a newer SQLite, and can be refused there."""

BUILT_OTHERWISE = {"analyze"}
"""Known: the wheel is built with SQLITE_ENABLE_STAT4, and has a table of statistics more."""

COMPILED_OTHERWISE = "explain"
"""Known: the bytecode of a newer SQLite has another length."""


def _alike(text: str | None) -> str | None:
    """Return how a client ended without what is known to differ between the drivers, whatever the SQLite.

    pysqlite3 is of before Python 3.11: it has primary codes only, and a Warning for two statements.
    """
    if text is None:
        return None
    text = re.sub(r"\[(SQLITE_[A-Z]+)_[A-Z]+\]", r"[\1]", text)
    return text.replace("pysqlite3.dbapi2.", "sqlite3.").replace(
        "Warning: You can only", "ProgrammingError: You can only"
    )


def _seen(case: Case, most: int, seed: int, driver: ModuleType) -> set[object]:
    explored = explore_case(case, most, seed, driver)
    ends = {(tuple(map(_alike, ends)), content) for ends, content in explored.ends}
    return ends | {(content, tuple(map(_alike, ends))) for content, ends in explored.passed}


def _differ(seed: int) -> bool:
    """Tell whether one SQLite shows in a few executions what the other does not show in many.

    A driver may have a call more than another, and then the same seed is another choice of schedules.
    """
    case = draw(random.Random(seed), set(FEATURES) - {"autocommit", COMPILED_OTHERWISE})
    if {step.verb for program in case.programs for step in program.steps} & {*COLD_SELECTS, *BUILT_OTHERWISE}:
        return False
    few = {driver: _seen(case, 20, seed, driver) for driver in DRIVERS}
    return few[sqlite3] != few[pysqlite3] and any(
        few[one] - _seen(case, 1_000, seed, other) for one, other in itertools.permutations(DRIVERS)
    )


@pytest.mark.skipif(pysqlite3 is None, reason="pysqlite3 has no wheel for this Python")
@pytest.mark.parametrize("seed", range(40))
def test_two_sqlites_show_the_same(seed: int) -> None:
    """Programs end and pass through the same, but for what is named above."""
    assert not _differ(seed)


@pytest.mark.truth
@pytest.mark.skipif(pysqlite3 is None, reason="pysqlite3 has no wheel for this Python")
def test_two_sqlites_show_the_same_at_length() -> None:
    """The same, for many more."""
    assert [] == [seed for seed in range(10_000, 11_000) if _differ(seed)]


# The checker.

SOME = 40
"""How many programs the default tests compare."""

MANY = 2_000
BLOCK = 50


@pytest.mark.parametrize("seed", range(SOME))
def test_checker_finds_what_happens(seed: int) -> None:
    """All that real executions show, the search found; where all were executed, it found nothing else.

    For every tenth, "it never ends so" is asked for one of the ends, and must be violated.
    """
    case = draw(random.Random(seed))
    tally: Counter[str] = Counter()
    settings = Settings(executions=30, seed=seed, max_seconds=2, asked=int(seed % 10 == 0))
    assert [] == [str(mismatch) for mismatch in compare(case, settings, tally)]
    if not tally["compared"]:
        pytest.skip(f"no result for --case '{case}': {', '.join(name for name in tally if name.startswith('no'))}")


@pytest.mark.truth
@pytest.mark.parametrize("start", range(100_000, 100_000 + MANY, BLOCK))
def test_checker_finds_what_happens_at_length(start: int) -> None:
    """The same for many more programs and executions, with an end of each to ask for."""
    tally: Counter[str] = Counter()
    mismatches = [
        str(mismatch)
        for seed in range(start, start + BLOCK)
        for mismatch in compare(
            draw(random.Random(seed)), Settings(executions=150, seed=seed, max_seconds=20, asked=1), tally
        )
    ]
    print(dict(tally))
    assert [] == mismatches
    assert BLOCK // 2 <= tally["compared"]
