"""What is expected is what the checker finds, and the page says it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from model.backfill import ALGORITHMS
from properties.backfill import expected, scenarios
from properties.backfill.expectations import CIRCUMSTANCES, FILE, nearest
from properties.backfill.grid import grid
from properties.backfill.page import COLUMNS, cause, page, where
from properties.backfill.parameters import JOURNALS, TRANSACTIONS, Parameters
from properties.backfill.recording import Cell, Record, Violation, cells, record, run
from treadle import replay
from treadle.values.schedule import Schedule, Step

PAGE = Path(__file__).parents[2] / "docs" / "which-fix-keeps-what.md"
RECORDED = json.loads(FILE.read_text(encoding="utf-8"))
MODES = TRANSACTIONS if sys.version_info >= (3, 12) else TRANSACTIONS[:-1]

FAST = [
    Cell("default", "immediate", "wal", "legacy"),
    Cell("default", "flush", "delete", "begin"),
    Cell("undisturbed", "flush", "wal", "legacy"),
    Cell("alone", "shipped-3.3.2", "wal", "legacy"),
    Cell("rerun", "unique-index", "delete", "immediate"),
    Cell("crash", "shipped-3.2.2", "wal", "immediate"),
    Cell("default", "bulk", "delete", "legacy"),
]
"""Cells that are checked in a second or so each."""


def recorded(cell: Cell) -> list[str]:
    """Return what the file says about a cell."""
    found: list[str] = RECORDED[cell.circumstances][cell.journal][cell.mode][cell.algorithm]
    return found


@pytest.mark.parametrize("cell", FAST, ids=str)
def test_the_record_is_what_the_checker_finds(cell: Cell) -> None:
    """In a few cells."""
    assert recorded(cell) == record([cell]).violated(cell)
    assert run(cell).as_expected


@pytest.mark.truth
@pytest.mark.parametrize("cell", list(cells(MODES)), ids=str)
def test_the_whole_record_is_what_the_checker_finds(cell: Cell) -> None:
    """In every cell that this Python can check."""
    assert recorded(cell) == record([cell]).violated(cell)


def test_the_record_has_every_cell() -> None:
    """And no other."""
    assert {(cell.circumstances, cell.journal, cell.mode, cell.algorithm) for cell in cells()} == {
        (circumstances, journal, mode, algorithm)
        for circumstances, journals in RECORDED.items()
        for journal, modes in journals.items()
        for mode, algorithms in modes.items()
        for algorithm in algorithms
    }
    assert (list(JOURNALS), len(COLUMNS)) == (list(RECORDED["default"]), 8)
    assert set(ALGORITHMS) == set(RECORDED["default"]["wal"]["legacy"])


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "default"),
        ({"journal": "delete", "transactions": "begin", "algorithms": "all"}, "default"),
        ({"faults_at": "reachable"}, "reachable"),
        ({"locked": 0}, "undisturbed"),
        ({"requests": 1}, "alone"),
        ({"history": 1, "reprocess": "completed"}, "rerun"),
        ({"locked": 0, "crash": 1}, "crash"),
        # What was not recorded.
        ({"runs": 3, "locked": 2}, "default"),
        ({"crash": 1}, "default"),
        ({"history": 1}, "default"),
        ({"actors": "all", "locked": 0}, "undisturbed"),
        ({"requests": 3, "locked": 0, "crash": 2}, "crash"),
        ({"requests": 1, "locked": 0}, "alone"),
        ({"requests": 3, "history": 2, "reprocess": "failed"}, "rerun"),
    ],
)
def test_the_nearest_circumstances(given: dict[str, Any], name: str) -> None:
    """The same ones, or else those that are most like them."""
    assert name == nearest(Parameters.of(given))


def test_a_scenario_expects_what_is_recorded_of_properties_that_it_has() -> None:
    """With other clients there is no serial equivalence."""
    (scenario,) = scenarios(algorithms="flush")
    assert {"one-active-backfill", "serial-equivalence"} == scenario.expect_violated
    (scenario,) = scenarios(algorithms="flush", actors="cancel")
    assert {"one-active-backfill"} == scenario.expect_violated


def test_nothing_is_expected_of_what_was_not_recorded() -> None:
    """A new algorithm is a right one until the checker says otherwise."""
    assert frozenset() == expected(Parameters(), "brand-new", "wal", "legacy")


def test_cells_can_be_limited_to_modes() -> None:
    """An older Python has not all of them."""
    # circumstances * algorithms * journal modes
    assert 6 * 7 * 2 == len(list(cells(["legacy"])))


# --- The page -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (COLUMNS, "every mode"),
        ([("wal", mode) for mode in TRANSACTIONS], "every mode (wal)"),
        ([("wal", "begin"), ("delete", "begin")], "begin"),
        ([("delete", "begin"), ("wal", "legacy"), ("delete", "legacy")], "legacy, begin (delete)"),
    ],
)
def test_modes_in_words(columns: list[tuple[str, str]], words: str) -> None:
    """As short as they can be."""
    assert words == where(columns)


def violation(cell: Cell, name: str, why: str, faults: int = 0) -> Violation:
    """Return a violation."""
    return Violation(cell, name, f"t1.A{faults + 1}", faults, 1, why, f"timeline of {why}", f"{name} is broken")


def test_a_cause_leaves_details_out() -> None:
    """The same happened to another request, with other rows."""
    cell = FAST[0]
    first = violation(cell, "all-or-nothing", "request A got 500 (no), but left 1 backfill row")
    second = violation(cell, "all-or-nothing", "request B got 503 (why), but left 2 dag_run rows")
    unknown = violation(cell, "all-or-nothing", "request A got 409, B got 500, and one of them left 1 backfill row")
    assert cause(first) == cause(second) == cause(unknown)
    assert cause(first) != cause(violation(cell, "all-or-nothing", "request A is odd"))
    parts = [
        violation(cell, "never-partial", f"{whose} is committed with {there} of its 2 dates")
        for whose, there in [
            ("backfill 1", 0),
            ("backfill 2 of request B", 1),
            ("backfill 3 of a request that failed", 1),
        ]
    ]
    assert 1 == len({cause(part) for part in parts})


def test_the_page_is_a_function_of_the_record() -> None:
    """It names what is broken, and where, once with a timeline: that of the smallest execution."""
    found: dict[Cell, tuple[Violation, ...]] = dict.fromkeys(cells(), ())
    for cell in found:
        if cell.algorithm == "shipped-3.3.2" and cell.mode == "legacy":
            found[cell] = (violation(cell, "p", "big", 1), violation(cell, "q", "small"))
    pages = {page(Record("3.0", {"p": "p must be", "q": "q must be"}, found)) for _ in range(2)}
    assert 1 == len(pages)
    (text,) = pages
    assert "`p` is broken, and not by `shipped-3.2.2` (default: legacy;" in text
    assert "| `shipped-3.3.2` | **legacy** | **legacy** |" in text
    assert "`flush` keeps every property, under all circumstances, in every mode." in text
    assert (
        "`shipped-3.3.2` keeps every property, under all circumstances, in begin, immediate, autocommit-off; it "
        in text
    )
    assert 1 == text.count("timeline of small")
    assert text.index("timeline of small") < text.index("timeline of big")


def test_the_page_has_one_row_for_a_schedule_that_shows_the_same_in_several_modes() -> None:
    """Though other statements are run there, so that its tokens differ."""
    found: dict[Cell, tuple[Violation, ...]] = dict.fromkeys(cells(), ())
    for mode, digest in (("begin", "0000"), ("immediate", "1111")):
        cell = Cell("default", "flush", "wal", mode)
        found[cell] = (evolve(violation(cell, "p", "why"), token=Schedule((Step(0),), (digest,)).token),)
    row = "| `p` | default: begin (wal), immediate (wal) | `t1.A1` | why |"
    assert row in page(Record("3.0", {"p": "p must be"}, found))


def test_the_page_says_what_is_recorded() -> None:
    """Each table is made from the file."""
    text = PAGE.read_text(encoding="utf-8")
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    tables = [at for at, line in enumerate(lines) if line[0] == "`all-or-nothing`" and len(line) > 6]
    assert len(CIRCUMSTANCES) == len(tables)
    for start, circumstances in zip(tables, CIRCUMSTANCES, strict=True):
        names = [name.strip("`") for name in lines[start]]
        for line in lines[start + 2 : start + 2 + len(ALGORITHMS)]:
            algorithm = line[0].strip("`")
            for name, said in zip(names, line[1:], strict=True):
                columns = [
                    (journal, mode)
                    for journal, mode in COLUMNS
                    if name in recorded(Cell(circumstances, algorithm, journal, mode))
                ]
                assert (f"**{where(columns)}**" if columns else ".") == said, (circumstances, algorithm, name)


def test_a_schedule_of_the_page_breaks_what_it_says() -> None:
    """The first that it shows, replayed live."""
    (scenario,) = scenarios(algorithms="shipped-3.2.2")
    text = PAGE.read_text(encoding="utf-8")
    section = text.partition("### Violations of shipped-3.2.2\n")[2]
    row = next(
        line
        for line in section.splitlines()
        if "default: every mode" not in line and "legacy" in line and "default" in line
    )
    names, _, token, why = (cell.strip() for cell in row.strip("| ").split(" | "))
    breaches = replay(scenario, token.strip("`")).breaches
    assert why in {breach.why for name in names.split(", ") for breach in breaches[name.strip("`")]}


def test_the_grid_of_the_page_is_made_from_the_file() -> None:
    """Each cell counts the modes that break its property, and tells under which circumstances."""
    text = PAGE.read_text(encoding="utf-8")
    clauses = text.partition("## The properties")[2].partition("## What is broken")[0]
    names = re.findall(r"^\| `([^`]+)` \|", clauses, re.MULTILINE)
    broken = {
        (circumstances, algorithm, name): sum(
            name in recorded(Cell(circumstances, algorithm, journal, mode)) for journal, mode in COLUMNS
        )
        for circumstances in CIRCUMSTANCES
        for algorithm in ALGORITHMS
        for name in names
    }
    assert grid(names, broken, len(COLUMNS)) in text
    assert "title='rerun: 2 of 8'>elsewhere</td>" in text
