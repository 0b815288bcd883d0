"""What the checker finds for every algorithm, in every mode, under all circumstances: values, and how to get them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from attrs import frozen

from model.backfill import ALGORITHMS
from properties.backfill.expectations import CIRCUMSTANCES
from properties.backfill.parameters import JOURNALS, TRANSACTIONS
from properties.backfill.scenarios import scenarios
from treadle import Decision, Result, UsageError, Verdict, check
from treadle.report import render_timeline

WIDTH = 110
"""How wide a timeline on the page is, in characters."""

WITNESS = "some-"
"""How the names of properties begin that only have to be possible."""


@frozen
class Cell:
    """What is checked at a time.

    Attributes:
        circumstances: a name from ``CIRCUMSTANCES``.
        algorithm: the name of the algorithm.
        journal: the journal mode.
        mode: the transaction mode.
    """

    circumstances: str
    algorithm: str
    journal: str
    mode: str

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters that make its scenario."""
        given = CIRCUMSTANCES[self.circumstances]
        return {"algorithms": self.algorithm, "journal": self.journal, "transactions": self.mode, **given}


@frozen
class Violation:
    """How a property is violated in a cell.

    Attributes:
        cell: where.
        name: of the property.
        token: of the schedule.
        faults: how many faults it contains.
        events: how many operations it takes.
        why: one sentence.
        timeline: what happens.
        breach: what is then committed that breaks the property.
    """

    cell: Cell
    name: str
    token: str
    faults: int
    events: int
    why: str
    timeline: str
    breach: str


@frozen
class Record:
    """All that was found.

    Attributes:
        sqlite_version: of the library that ran.
        clauses: the properties by name, in English, without those that only have to be possible.
        found: cell to its violations.
    """

    sqlite_version: str
    clauses: Mapping[str, str]
    found: Mapping[Cell, tuple[Violation, ...]]

    def violated(self, cell: Cell) -> list[str]:
        """Return the names of the properties that are violated in a cell."""
        return sorted(violation.name for violation in self.found[cell])

    def document(self) -> dict[str, dict[str, dict[str, dict[str, list[str]]]]]:
        """Return what ``expectations.json`` keeps."""
        document: dict[str, dict[str, dict[str, dict[str, list[str]]]]] = {}
        for cell in self.found:
            modes = document.setdefault(cell.circumstances, {}).setdefault(cell.journal, {})
            modes.setdefault(cell.mode, {})[cell.algorithm] = self.violated(cell)
        return document


def cells(modes: Iterable[str] = TRANSACTIONS) -> Iterator[Cell]:
    """Yield every cell with one of these transaction modes."""
    modes = tuple(modes)
    for circumstances in CIRCUMSTANCES:
        for algorithm in ALGORITHMS:
            for journal in JOURNALS:
                for mode in modes:
                    yield Cell(circumstances, algorithm, journal, mode)


def record(wanted: Iterable[Cell], *, processes: int = 1) -> Record:
    """Check cells.

    Args:
        wanted: which.
        processes: how many share the work.

    Raises:
        UsageError: something is inconclusive.
    """
    wanted = tuple(wanted)
    if processes == 1:
        answers = [_find(cell) for cell in wanted]
    else:
        # Not forked: what one process knows of databases and engines is nothing for another.
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            answers = list(pool.map(_find, wanted))
    clauses = {name: clause for answer in answers for name, clause in answer[0].items()}
    return Record(sqlite3.sqlite_version, clauses, dict(zip(wanted, (found for _, found in answers), strict=True)))


def _find(cell: Cell) -> tuple[dict[str, str], tuple[Violation, ...]]:
    """Return the clauses of the properties that a cell has, and its violations."""
    result = run(cell)
    named = [item.property for item in result.decisions if not item.property.name.startswith(WITNESS)]
    found = [_violation(cell, item) for item in result.decisions if item.verdict is Verdict.VIOLATED]
    return {item.name: item.clause for item in named}, tuple(found)


def run(cell: Cell) -> Result:
    """Check one cell.

    Raises:
        UsageError: something is inconclusive.
    """
    (scenario,) = scenarios(**cell.parameters)
    result = check(scenario)
    if result.inconclusive:
        why = next(item.why for item in result.decisions if item.verdict is Verdict.INCONCLUSIVE)
        raise UsageError(f"{cell}: inconclusive, because {why}. Only what is decided can be recorded.")
    return result


def _violation(cell: Cell, decision: Decision) -> Violation:
    name, example = decision.property.name, decision.counterexample
    if example is None:  # a witness that is not seen
        return Violation(cell, name, "", 0, 0, decision.why, "", "")
    body = render_timeline(example.trace, width=WIDTH, properties=())
    return Violation(
        cell,
        name,
        example.schedule.token,
        example.schedule.faults,
        len(example.trace.events),
        example.why,
        body,
        render_timeline(example.trace, width=WIDTH, properties=[name]).removeprefix(body).lstrip("\n"),
    )
